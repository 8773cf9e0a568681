//! What a changed plugin set has to pass before it counts.

use std::sync::Arc;

use arrow::error::ArrowError;

use super::set_store::KeepError;
use super::shadow::{Shadow, shadow};
use super::{Inner, Request};
use crate::build::BuildError;
use crate::versions::rules::{Breach, breach};
use crate::versions::version::{Fitted, Version};
use clickmill_core::schema::SchemaError;
use clickmill_sandbox::{ChangeError, Library, PluginSet, StageMade, TestError};
use clickmill_sink::SinkError;

/// Something that was checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// What: `component`, `columns`, `golden`, `shadow`.
    pub name: &'static str,
    /// What was found.
    pub found: String,
}

/// Why a changed set is not taken up. What ran before still runs.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// A component or a configuration is no good.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// The chain does not fit the columns that come in, or the table.
    #[error(transparent)]
    Fit(#[from] Box<BuildError>),
    /// Golden cases can't be run.
    #[error(transparent)]
    Golden(#[from] TestError),
    /// Golden cases fail.
    #[error("{failed} of {cases} golden cases of stage `{stage}` fail:{list}", list = lines(problems))]
    GoldenFailed {
        /// The stage.
        stage: String,
        /// How many fail.
        failed: usize,
        /// Of how many.
        cases: usize,
        /// Each that fails, a line.
        problems: Vec<String>,
    },
    /// On the last batches it breaks a rule.
    #[error("on the last {rows} rows it is worse than what runs: {breach}{list}", rows = shadow.rows, list = lines(&newly(shadow)))]
    Shadow {
        /// The rule.
        breach: Breach,
        /// What would change.
        shadow: Box<Shadow>,
    },
    /// There is no version to go back to.
    #[error("there is no version before the one that runs: name a plugin set to go to")]
    NothingBefore,
    /// Plugin sets can't be kept, or made again.
    #[error(transparent)]
    Keep(#[from] KeepError),
    /// The tables failed.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The table of plugin sets has a broken schema: a mistake of clickmill.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// Rows can't be made: a mistake of clickmill.
    #[error("cannot make rows")]
    Rows(#[from] ArrowError),
}

impl Refused {
    /// The check that failed.
    pub fn check(&self) -> &'static str {
        match self {
            Self::Change(_) => "component",
            Self::Fit(_) => "columns",
            Self::Golden(_) | Self::GoldenFailed { .. } => "golden",
            Self::Shadow { .. } => "shadow",
            Self::NothingBefore => "history",
            Self::Keep(_) | Self::Sink(_) | Self::Schema(_) | Self::Rows(_) => "environment",
        }
    }
}

fn lines(problems: &[String]) -> String {
    problems.iter().map(|problem| format!("\n  {problem}")).collect()
}

/// What is newly rejected, by stage and code, the most frequent first.
fn newly(shadow: &Shadow) -> Vec<String> {
    let mut rejected: Vec<_> = shadow.newly_rejected.iter().collect();
    rejected.sort_by_key(|(_, rows)| std::cmp::Reverse(**rows));
    let line = |((stage, code), rows): (&(String, String), &u64)| {
        format!("{rows} more are rejected, `{code}` at stage `{stage}`")
    };
    rejected.into_iter().take(10).map(line).collect()
}

/// A set that passed.
pub(super) struct Passed {
    pub library: Library,
    pub fitted: Option<Fitted>,
    pub changes: Vec<String>,
    pub checks: Vec<Check>,
    pub shadow: Shadow,
}

/// Checks what is asked for against what runs.
pub(super) fn check(
    inner: &Inner,
    running: &Arc<Version>,
    request: &Request,
) -> Result<Passed, Refused> {
    let mut checks = Vec::new();
    let mut passed = |name, found: String| checks.push(Check { name, found });
    let max = inner.config.max_component_bytes;
    let library = running.library.with(request.changes.clone(), max)?;
    let changes = changes(&running.library.set(), &library.set());
    passed("component", changes.join("; "));
    let fitted = fit(inner, &library)?;
    passed(
        "columns",
        match &fitted {
            Some(fitted) => format!("{} of the chain fit the table", fitted.chain.output().len()),
            None => "checked with the first object".to_owned(),
        },
    );
    let mut cases = 0;
    for (stage, golden) in &request.golden {
        let problems = library.golden(stage, golden)?;
        if !problems.is_empty() {
            let (stage, failed) = (stage.clone(), problems.len());
            return Err(Refused::GoldenFailed { stage, failed, cases: golden.cases(), problems });
        }
        cases += golden.cases();
    }
    passed("golden", format!("{cases} cases"));
    let recent = inner.slot.recent();
    let before = fitted.as_ref().and_then(|fitted| running.fitted(&fitted.columns));
    let shadow = match (&before, &fitted) {
        (Some(before), Some(now)) => shadow(before, now, &recent)?,
        _ => Shadow::default(),
    };
    if let Some(breach) = breach(&inner.config.rules, &shadow.before, &shadow.now) {
        return Err(Refused::Shadow { breach, shadow: Box::new(shadow) });
    }
    passed("shadow", format!("{} rows of the last {} batches", shadow.rows, recent.len()));
    Ok(Passed { library, fitted, changes, checks, shadow })
}

/// Fits a library to the columns that came in last, where any did.
pub(super) fn fit(inner: &Inner, library: &Library) -> Result<Option<Fitted>, Refused> {
    let columns = inner.slot.columns();
    Ok(columns.map(|columns| inner.slot.try_fit(library, &columns)).transpose()?)
}

/// What stages of a set may do otherwise than those of the set before, a line each.
pub(super) fn grants(before: &PluginSet, now: &PluginSet) -> Vec<(String, String)> {
    let of = |made: &StageMade| {
        let reads: Vec<String> = made.reads.clone().into();
        let writes: Vec<String> = made.writes.clone().into();
        let lookups: Vec<&str> = made.lookups.iter().map(|l| l.table.as_str()).collect();
        let lists = (reads.join(", "), writes.join(", "), lookups.join(", "));
        format!(
            "reads [{}], writes [{}], lookups [{}], {:?}",
            lists.0, lists.1, lists.2, made.limits
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

/// What is different between two sets of the same stages, a line each.
pub(super) fn changes(before: &PluginSet, now: &PluginSet) -> Vec<String> {
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
