//! What is different between two plugin sets, for the audit log and for whoever asked for the change.

use clickmill_core::StageName;
use clickmill_sandbox::{PluginSet, StageMade};

/// What stages of a set may do otherwise than those of the set before, a line each.
pub(crate) fn grants(before: &PluginSet, now: &PluginSet) -> Vec<(StageName, String)> {
    let of = |made: &StageMade| {
        let secrets: Vec<String> = made
            .secrets
            .iter()
            .map(|(secret, variable)| format!("{secret} = {variable}"))
            .collect();
        let reads: Vec<String> = made.reads.clone().into();
        let writes: Vec<String> = made.writes.clone().into();
        let lookups: Vec<&str> = made.lookups.iter().map(|l| l.table.as_str()).collect();
        format!(
            "reads [{}], writes [{}], lookups [{}], secrets [{}], {:?}, {:?}",
            reads.join(", "),
            writes.join(", "),
            lookups.join(", "),
            secrets.join(", "),
            made.limits,
            made.instance,
        )
    };
    let changed = now.stages.iter().filter_map(|new| {
        let old = before.stages.iter().find(|old| old.stage == new.stage);
        let (was, is) = (old.map(of), of(new));
        match was {
            Some(was) if was == is => None,
            Some(was) => Some((new.stage.clone(), format!("{was}; now {is}"))),
            None => Some((new.stage.clone(), format!("new: {is}"))),
        }
    });
    changed.collect()
}

/// How the stages of a set, and what they may do, differ from those of a set that was kept, a line each.
pub(crate) fn rights(kept: &PluginSet, now: &PluginSet) -> Vec<String> {
    let mut lines: Vec<String> =
        grants(kept, now).into_iter().map(|(stage, line)| format!("{stage}: {line}")).collect();
    let names = |set: &PluginSet| -> Vec<StageName> {
        set.stages.iter().map(|made| made.stage.clone()).collect()
    };
    let (before, now) = (names(kept), names(now));
    lines.extend(before.iter().filter(|stage| !now.contains(stage)).map(|s| format!("{s}: gone")));
    if lines.is_empty() && before != now {
        lines.push("the stages come in another order".to_owned());
    }
    lines
}

/// What is different between two sets, a line each, with the stage that it is about: stages that are added,
/// removed or moved, and what is another in those that stay.
pub(crate) fn changes(before: &PluginSet, now: &PluginSet) -> Vec<(StageName, String)> {
    let of = |set: &PluginSet, stage: &StageName| {
        set.stages.iter().find(|made| made.stage == *stage).cloned()
    };
    let mut changes = Vec::new();
    for gone in before.stages.iter().filter(|made| of(now, &made.stage).is_none()) {
        changes.push((gone.stage.clone(), format!("removed, it was {}", named(gone))));
    }
    let moved = moved(before, now);
    for (at, new) in now.stages.iter().enumerate() {
        let stage = &new.stage;
        let mut change = |what: String| changes.push((stage.clone(), what));
        let place = || match at.checked_sub(1).and_then(|at| now.stages.get(at)) {
            Some(before) => format!("after {}", before.stage),
            None => "as the first".to_owned(),
        };
        let Some(old) = of(before, stage) else {
            change(format!("added {}: {}", place(), named(new)));
            continue;
        };
        if moved.contains(stage) {
            change(format!("moved, now {}", place()));
        }
        between(&old, new).into_iter().for_each(change);
    }
    changes
}

/// What is another in a stage.
fn between(old: &StageMade, new: &StageMade) -> Vec<String> {
    let mut changes = Vec::new();
    if old.component != new.component {
        changes.push(format!("{} to {}", named(old), named(new)));
    }
    let keys = old.config.keys().chain(new.config.keys().filter(|k| !old.config.contains_key(*k)));
    let keys = keys.filter(|key| old.config.get(*key) != new.config.get(*key));
    let keys: Vec<&str> = keys.map(String::as_str).collect();
    if !keys.is_empty() {
        changes.push(format!("config {}", keys.join(", ")));
    }
    for new in &new.lookups {
        let old = old.lookups.iter().find(|old| old.table == new.table);
        if old.is_none_or(|old| old.digest != new.digest) {
            changes.push(format!("lookup {}", new.table));
        }
    }
    let tables = |made: &StageMade| -> Vec<String> {
        made.lookups.iter().map(|made| made.table.clone()).collect()
    };
    let rights = [
        ("reads", old.reads != new.reads),
        ("writes", old.writes != new.writes),
        ("lookups", tables(old) != tables(new)),
        ("secrets", old.secrets != new.secrets),
        ("limits", old.limits != new.limits),
        ("instance", old.instance != new.instance),
    ];
    let rights: Vec<&str> =
        rights.into_iter().filter(|(_, differs)| *differs).map(|(right, _)| right).collect();
    if !rights.is_empty() {
        changes.push(format!("grants: {}", rights.join(", ")));
    }
    changes
}

/// The stages of both sets that have another place among these: as few as explain the order.
fn moved(before: &PluginSet, now: &PluginSet) -> Vec<StageName> {
    let place = |stage: &StageName| before.stages.iter().position(|made| made.stage == *stage);
    let both: Vec<(usize, &StageName)> =
        now.stages.iter().filter_map(|made| Some((place(&made.stage)?, &made.stage))).collect();
    // The longest run of stages that come in the order of before, by where it ends.
    let mut runs: Vec<Vec<usize>> = Vec::new();
    for (at, (place, _)) in both.iter().enumerate() {
        let earlier =
            runs.iter().filter(|run| run.last().is_some_and(|last| both[*last].0 < *place));
        let mut run = earlier.max_by_key(|run| run.len()).cloned().unwrap_or_default();
        run.push(at);
        runs.push(run);
    }
    let stay = runs.into_iter().max_by_key(Vec::len).unwrap_or_default();
    let moves = both.iter().enumerate().filter(|(at, _)| !stay.contains(at));
    moves.map(|(_, (_, stage))| (*stage).clone()).collect()
}

fn named(made: &StageMade) -> String {
    let digest = made.component.get(..8).unwrap_or_default();
    format!("{} {} ({digest})", made.plugin, made.version)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(stages: &[(&str, &str)]) -> PluginSet {
        let stages = stages.iter().map(|(stage, reads)| {
            json!({
                "stage": stage, "plugin": stage, "version": "1.0.0", "contract": "c",
                "component": "0123456789abcdef", "config": {}, "reads": [reads], "writes": [],
                "secrets": [], "lookups": [], "limits": {}, "instance": "fresh",
            })
        });
        let set = json!({ "digest": "0123", "stages": stages.collect::<Vec<_>>() });
        serde_json::from_value(set).expect("a set")
    }

    fn told(before: &[(&str, &str)], now: &[(&str, &str)]) -> Vec<String> {
        let changes = changes(&set(before), &set(now));
        changes.iter().map(|(stage, what)| format!("{stage}: {what}")).collect()
    }

    #[test]
    fn stages_are_added_removed_and_moved_by_name() {
        let [a, b, c, d] = [("a", "x"), ("b", "x"), ("c", "x"), ("d", "x")];
        assert_eq!(told(&[a, b, c], &[a, b, c]), Vec::<String>::new());
        assert_eq!(told(&[a, c], &[a, b, c]), ["b: added after a: b 1.0.0 (01234567)"]);
        assert_eq!(told(&[], &[a]), ["a: added as the first: a 1.0.0 (01234567)"]);
        assert_eq!(told(&[a, b], &[b]), ["a: removed, it was a 1.0.0 (01234567)"]);
        // One is moved past the others, not the others past it.
        assert_eq!(told(&[a, b, c, d], &[b, c, d, a]), ["a: moved, now after d"]);
        assert_eq!(told(&[a, b, c, d], &[d, a, b, c]), ["d: moved, now as the first"]);
        let both =
            ["c: removed, it was c 1.0.0 (01234567)", "d: added as the first: d 1.0.0 (01234567)"];
        assert_eq!(told(&[a, b, c], &[d, a, b]), both);
        assert_eq!(told(&[a, b], &[a, ("b", "y")]), ["b: grants: reads"]);
    }
}
