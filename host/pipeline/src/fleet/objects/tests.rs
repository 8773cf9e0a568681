use super::*;

const SET: &str = "0123456789abcdef0123456789abcdef";

fn proposal(changed: &str, to: &str) -> Result<Entry, Malformed> {
    let text = format!(
        r#"{{"kind": "proposal", "after": 0, "parent": "{SET}", "plugin_set": "{SET}", "actor": "ada", "at": "now",
            "canary": {{"share": 0.5, "secs": 10.0}}}}"#
    );
    assert!(text.contains(changed), "{changed}");
    Entry::read(text.replace(changed, to).as_bytes())
}

#[test]
fn what_neighbours_write_is_bounded_and_one_line() {
    assert!(proposal("ada", "ada").is_ok());
    assert!(proposal("10.0", "10.0, \"replicas\": 0.1").is_ok());
    for (changed, to) in [
        (SET, "0123"),
        (SET, "../../etc/passwd"),
        ("0.5", "0"),
        ("0.5", "1e300"),
        ("10.0", "-1"),
        ("10.0", "-0.5"),
        ("10.0", "NaN"),
        ("10.0", "1e999"),
        ("10.0", "86401"),
        ("10.0", "10.0, \"replicas\": -1"),
        ("10.0", "10.0, \"replicas\": 1001"),
        ("10.0", "10.0, \"replicas\": 0"),
        ("10.0", "10.0, \"replicas\": 1e9"),
        ("10.0", "1e9"),
        ("\"after\": 0", "\"after\": -1"),
        ("\"at\"", "\"component\": \"/etc/passwd\", \"at\""),
        ("\"at\"", "\"stages\": [], \"at\""),
        ("proposal", "order"),
    ] {
        assert!(proposal(changed, to).is_err(), "{changed} to {to}");
    }
    let Ok(Entry::Proposal(told)) = proposal("ada", r"a\nb\u001b[31m") else { panic!("read") };
    assert_eq!(told.actor, "a b [31m");
    let long = "x".repeat(100_000);
    let vote = Vote { ok: false, why: long }.written().expect("written");
    assert!((vote.len() as u64) < MAX_BYTES);
}

#[test]
fn the_longest_of_each_is_read() {
    // Each character of which JSON makes six.
    let text = "\u{1}\"\\é".repeat(2000);
    let (parent, plugin_set) = (SET.parse::<Digest>().expect("one"), SET.parse().expect("one"));
    let (actor, note, at) = (text.clone(), text.clone(), text.clone());
    let proposal = Proposal { after: 9, parent, plugin_set, actor, note, at, canary: None };
    let bytes = Entry::Proposal(proposal).written().expect("written");
    assert!((bytes.len() as u64) < MAX_BYTES, "{}", bytes.len());
    Entry::read(&bytes).expect("read");
    let named = |count: usize| {
        let replicas = (0..count).map(|number| format!("{number:0>100}")).collect();
        Canaries { replicas, by: text.clone(), at: text.clone() }.written()
    };
    let bytes = named(MAX_REPLICAS).expect("written");
    assert!((bytes.len() as u64) < MAX_BYTES, "{}", bytes.len());
    Canaries::read(&bytes).expect("read");
    assert!(named(0).is_err() && named(MAX_REPLICAS + 1).is_err());
}

#[test]
fn names_are_names_of_files_and_nothing_else() {
    let own = new_name("web-1.example.org/..");
    assert!(is_name(&own) && own.starts_with("web-1-example-org---"), "{own}");
    assert_ne!(own, new_name("web-1.example.org/.."));
    assert_eq!(life_of(&life_name(&own, 7)), Some((&*own, 7)));
    for wrong in [
        "a.7.json",
        "a.00000000000x.json",
        "../a.000000000007.json",
        ".000000000007.json",
        "a b.000000000007.json",
        "a.000000000007.json.damaged",
        "a.b.000000000007.json",
    ] {
        assert_eq!(life_of(wrong), None, "{wrong}");
    }
    assert!(!is_name(&"a".repeat(101)) && !is_name("ä") && !is_name(""));
}
