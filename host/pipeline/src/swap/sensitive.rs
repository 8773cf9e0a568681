//! Which stages write sensitive columns, and whether they still do in another set.

use std::collections::BTreeSet;

use crate::versions::fit::Fitted;
use clickmill_config::Grant;
use clickmill_core::StageName;
use clickmill_core::path::Path;
use clickmill_guard::Guard;
use clickmill_sandbox::Library;

/// Stages that write sensitive columns and do so no more in another set, a line each. What such a stage does to
/// the column, such as masking, may be all that stands between a raw value and the table. Without the columns
/// that come in it is not known what a stage writes, and what it may write counts.
pub(super) fn lost(
    guard: &Guard,
    (running, before): (&Library, Option<&Fitted>),
    (library, now): (&Library, Option<&Fitted>),
) -> Vec<String> {
    let (before, now) = match (before, now) {
        (Some(before), Some(now)) => (written(guard, before), written(guard, now)),
        _ => (granted(guard, running), granted(guard, library)),
    };
    let lost = |(stage, columns): (StageName, BTreeSet<String>)| {
        let written = now.iter().find(|(other, _)| *other == stage).map(|(_, written)| written);
        let lost = |column: &String| written.is_none_or(|written| !written.contains(column));
        let lost: Vec<String> = columns.into_iter().filter(lost).collect();
        (!lost.is_empty()).then(|| format!("stage `{stage}`: `{}`", lost.join("`, `")))
    };
    before.into_iter().filter_map(lost).collect()
}

type Written = Vec<(StageName, BTreeSet<String>)>;

/// The sensitive columns that each stage of a chain writes.
fn written(guard: &Guard, fitted: &Fitted) -> Written {
    let stages = fitted.chain.written_by_stage();
    stages.map(|(stage, paths)| (stage.clone(), guard.among(&paths))).collect()
}

/// The sensitive columns that each stage may write.
fn granted(guard: &Guard, library: &Library) -> Written {
    let stages = library.set().stages.into_iter();
    let of_grant = |grant: &Grant| match grant {
        Grant::All => guard.all(),
        Grant::Only(paths) => {
            let paths: Vec<Path> = paths.iter().filter_map(|path| path.parse().ok()).collect();
            guard.among(&paths)
        }
    };
    stages.map(|made| (made.stage, of_grant(&made.writes))).collect()
}
