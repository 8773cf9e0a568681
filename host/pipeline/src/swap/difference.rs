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

/// What is different between two sets of the same stages, a line each.
pub(crate) fn changes(before: &PluginSet, now: &PluginSet) -> Vec<String> {
    let mut changes = Vec::new();
    for (old, new) in before.stages.iter().zip(&now.stages) {
        let stage = &new.stage;
        if old.component != new.component {
            let named = |made: &StageMade| {
                let digest = made.component.get(..8).unwrap_or_default();
                format!("{} {} ({digest})", made.plugin, made.version)
            };
            changes.push(format!("{stage}: {} to {}", named(old), named(new)));
        }
        let keys =
            old.config.keys().chain(new.config.keys().filter(|k| !old.config.contains_key(*k)));
        let keys = keys.filter(|key| old.config.get(*key) != new.config.get(*key));
        let keys: Vec<&str> = keys.map(String::as_str).collect();
        if !keys.is_empty() {
            changes.push(format!("{stage}: config {}", keys.join(", ")));
        }
        for (old, new) in old.lookups.iter().zip(&new.lookups) {
            if old.digest != new.digest {
                changes.push(format!("{stage}: lookup {}", new.table));
            }
        }
    }
    changes
}
