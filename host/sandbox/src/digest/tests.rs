use serde_json::json;

use super::*;

/// A set that has some of everything.
fn stages() -> Vec<StageMade> {
    let config = json!({
        "z": [1, -2, 1.5, 1e21, 0.000_001, true, null],
        "a": { "y": "ü \"quoted\"\n", "b": u64::MAX },
    });
    let mask = StageMade {
        stage: "mask".parse().unwrap(),
        plugin: "mask".to_owned(),
        version: "0.1.0".to_owned(),
        contract: "clickmill:plugin@0.1.0".to_owned(),
        component: "c0".repeat(32).parse().unwrap(),
        signature: None,
        config: config.as_object().cloned().unwrap_or_default(),
        reads: Grant::All,
        writes: Grant::Only(vec!["ip".to_owned(), "user \"id\"".to_owned()]),
        secrets: vec![("key".to_owned(), "CLICKMILL_MASK_KEY".to_owned())],
        lookups: vec![LookupMade {
            table: "countries".to_owned(),
            file: "countries.csv".to_owned(),
            digest: "1f".repeat(32).parse().unwrap(),
        }],
        limits: Limits::default(),
        instance: InstanceLife::Fresh,
    };
    let parse = StageMade {
        stage: "parse".parse().unwrap(),
        config: Map::new(),
        writes: Grant::Only(Vec::new()),
        secrets: Vec::new(),
        lookups: Vec::new(),
        ..mask.clone()
    };
    vec![parse, mask]
}

/// Rows, dead letters, states and audit logs name sets by these: a change here is a change of the form,
/// which wants another version and the digest of this one kept for comparing.
#[test]
fn the_digest_of_a_set_is_what_it_was() {
    assert_eq!(digest(&stages()).as_str(), "d7223c8148bff58d34b6aabf44e0333d");
    let set = PluginSet { digest: Digest::default(), stages: stages() };
    assert_eq!(set.digest_v0().as_str(), "a6e27a3ca3a7cad65503286bbda4ef10");
}

/// As c8b70ae kept it.
const KEPT: &str = r#"{
  "digest": "a078e5ae1a6da3a3453e271f5b42209d",
  "stages": [{
    "stage": "check", "plugin": "check", "version": "0.1.0", "contract": "clickmill:plugin@0.1.0",
    "component": "276c2d10b505aa96936319abdd4ab1621b0aaa6da0768aad99c6eeb453b025fb",
    "config": { "fields": ["event_type", "event_id"], "from": "payload", "refuse": ["search"] },
    "reads": ["payload"], "writes": ["event_type", "event_id", "event_date"],
    "secrets": [], "lookups": [],
    "limits": {
      "max_memory_bytes": 67108864, "max_fuel_per_record": 200000, "max_fuel_per_batch": 10000000,
      "max_output_bytes": 67108864, "max_message_bytes": 1024, "max_log_lines": 16
    },
    "instance": "fresh"
  }]
}"#;

#[test]
fn a_set_that_was_changed_is_not_whole() {
    let today = PluginSet { digest: digest(&stages()), stages: stages() };
    let kept: PluginSet = serde_json::from_str(KEPT).unwrap();
    for set in [today, kept] {
        assert!(set.is_whole());
        let changes: [fn(&mut PluginSet); 6] = [
            |set| set.digest = Digest::of(b"another").short(),
            |set| set.digest = Digest::default(),
            |set| drop(set.stages.remove(0)),
            |set| set.stages[0].component = Digest::of(b"another"),
            |set| set.stages[0].reads = Grant::Only(vec!["user_id".to_owned()]),
            |set| set.stages[0].limits.max_fuel_per_record += 1,
        ];
        for (number, change) in changes.iter().enumerate() {
            let mut changed = set.clone();
            change(&mut changed);
            assert!(!changed.is_whole(), "{number}");
        }
    }
}

#[test]
fn every_part_of_a_stage_that_makes_rows_what_they_are_makes_another_set() {
    let changes: [fn(&mut StageMade); 13] = [
        |made| made.stage = "mask2".parse().unwrap(),
        |made| made.component = "c1".repeat(32).parse().unwrap(),
        |made| drop(made.config.insert("a".to_owned(), json!(1))),
        |made| made.reads = Grant::Only(vec!["all".to_owned()]),
        |made| made.reads = Grant::Only(Vec::new()),
        |made| made.writes = Grant::All,
        |made| made.writes = Grant::Only(vec!["ipuser \"id\"".to_owned()]),
        |made| made.secrets[0].1 = "OTHER".to_owned(),
        |made| made.lookups[0].table = "regions".to_owned(),
        |made| made.lookups[0].file = "countries.json".to_owned(),
        |made| made.lookups[0].digest = "2f".repeat(32).parse().unwrap(),
        |made| made.lookups.clear(),
        |made| made.instance = InstanceLife::Reuse,
    ];
    let mut digests = vec![digest(&stages())];
    for change in changes {
        let mut stages = stages();
        change(&mut stages[1]);
        digests.push(digest(&stages));
    }
    let distinct: std::collections::BTreeSet<&Digest> = digests.iter().collect();
    assert_eq!(distinct.len(), digests.len());
}

#[test]
fn what_changes_no_row_makes_no_other_set() {
    let mut stages = stages();
    stages[1].plugin = "masker".to_owned();
    stages[1].version = "0.2.0".to_owned();
    stages[1].signature = Some("untrusted comment: …".to_owned());
    stages[1].lookups[0].file = "other.csv".to_owned();
    assert_eq!(digest(&stages), digest(&self::stages()));
}

/// The limits are walked by the names that a pipeline file has for them: one that is new, or renamed,
/// has to be in the form before this passes.
#[test]
fn every_limit_makes_another_set() {
    let limits = serde_json::to_value(Limits::default()).expect("limits are numbers");
    let limits = limits.as_object().expect("limits have names");
    assert_eq!(limits.len(), 9);
    for (name, limit) in limits {
        let mut changed = limits.clone();
        changed[name] = json!(limit.as_u64().expect("a limit is a number") + 1);
        let mut stages = stages();
        stages[1].limits = serde_json::from_value(Json::Object(changed)).expect("limits");
        assert_ne!(digest(&stages), digest(&self::stages()), "{name}");
    }
}

#[test]
fn stages_are_told_apart_by_their_order() {
    let mut stages = stages();
    stages.reverse();
    assert_ne!(digest(&stages), digest(&self::stages()));
}

#[test]
fn configurations_are_canonical_json() {
    let value =
        json!({ "b": [1.0, 0, -1, 1e300], "a": { "d": "é\u{1}\"", "c": null }, "B": false });
    assert_eq!(json(&value), r#"{"B":false,"a":{"c":null,"d":"é\u0001\""},"b":[1.0,0,-1,1e+300]}"#);
}
