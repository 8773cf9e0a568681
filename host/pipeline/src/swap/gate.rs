//! What a changed plugin set has to pass before it counts.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::error::ArrowError;

use super::difference::changes;
use super::sensitive;
use super::set_store::SetStoreError;
use super::shadow::{Shadow, shadow};
use crate::columns::Misspelt;
use crate::components::ComponentError;
use crate::context::PublishError;
use crate::versions::fit::{FitError, Fitted};
use crate::versions::reading::Reading;
use crate::versions::rules::{Breach, Compared, breach, changes_too_much, reroutes_too_much};
use crate::versions::slot::Slot;
use crate::versions::version::Version;
use crate::versions::workers::Slices;
use clickmill_audit::AuditError;
use clickmill_config::{ConfigError, Rules};
use clickmill_core::{Digest, Fault, StageName, list};
use clickmill_sandbox::{ChangeError, Golden, Library, Measure, Secrets, SecretsError, TestError};

/// Something that was checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// What: `component`, `columns`, `guard` where the pipeline file was read again, `golden`, `shadow`.
    pub name: &'static str,
    /// What was found.
    pub found: String,
}

/// Why a changed set is not taken up. What ran before still runs.
#[derive(Debug, thiserror::Error)]
pub enum SwapRefused {
    /// A component or a configuration is no good.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// The chain does not fit the columns that come in, or the table.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// Golden cases can't be run.
    #[error(transparent)]
    Golden(#[from] TestError),
    /// Golden cases fail.
    #[error("{failed} of {cases} golden cases of stage `{stages}` fail:{list}", stages = stages.join("`, `"), list = list(problems))]
    GoldenFailed {
        /// The stages of which some fail.
        stages: Vec<String>,
        /// How many fail.
        failed: usize,
        /// Of how many, in the files that have one that fails.
        cases: usize,
        /// Each that fails, a line.
        problems: Vec<String>,
    },
    /// On the last batches it breaks a rule.
    #[error("on the last {rows} rows it is worse than what runs: {breach}{list}", rows = shadow.rows, list = list(newly(shadow)))]
    Shadow {
        /// The rule.
        breach: Breach,
        /// What would change.
        shadow: Box<Shadow>,
    },
    /// Something else was taken up or taken back meanwhile.
    #[error("what runs has changed while this was checked, so nothing is done: ask again{}", does_not_count(entered.as_ref()))]
    Overtaken {
        /// The set of a swap that was entered into the audit log by then.
        entered: Option<Digest>,
    },
    /// The pipeline file can't be read again, or says things that can't be.
    #[error(transparent)]
    File(Box<ConfigError>),
    /// What the pipeline file names is not had from a registry.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// What the pipeline file grants is misspelt.
    #[error(transparent)]
    Columns(#[from] Misspelt),
    /// The process was not started with a pipeline file.
    #[error("this process has no pipeline file that can be read again")]
    NoFile,
    /// The pipeline file is not the one that was to be taken up.
    #[error("`{path}` has the digest {found} here, wanted {expected}: copy the file to where the process reads it, or ask without its digest", path = path.display())]
    OtherFile {
        /// The file.
        path: PathBuf,
        /// What was asked for.
        expected: Digest,
        /// What is there.
        found: Digest,
    },
    /// More than stages is different in the pipeline file.
    #[error("`{path}` has another {sections} than at the start: only stages (`[[plugin]]`) are taken up while the pipeline runs. Put that back, or stop the pipeline and start it again", path = path.display(), sections = quoted(sections))]
    Restart {
        /// The file.
        path: PathBuf,
        /// The sections.
        sections: Vec<&'static str>,
    },
    /// The pipeline file has the stages that it had when it was read last.
    #[error("the stages in `{path}` are as they were, and what was swapped since counts more: `clickmill plugin rollback --to {plugin_set}` goes back to the file's", path = path.display())]
    SameFile {
        /// The file.
        path: PathBuf,
        /// Its plugin set.
        plugin_set: Digest,
    },
    /// Secrets of the stages are not as they have to be.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// Stages that write sensitive columns would not any more.
    #[error("sensitive columns would not be written any more by stages that write them now, which may be what masks them:{list}\nhint: while the guard is on such a stage stays, by its name; it may be moved, and another may be added beside it. To take it out, stop the pipeline and start it with the changed file", list = list(lost))]
    Unguarded {
        /// Each stage, with the columns.
        lost: Vec<String>,
    },
    /// A plugin set that ran before has other stages than the pipeline file had since the start.
    #[error(
        "plugin set {plugin_set} has the stages {stages}, and the pipeline file has not had them since the start: what a stage may do stands there only. Edit the file, and take it up with `clickmill plugin swap --pipeline`"
    )]
    OtherStages {
        /// The set.
        plugin_set: Digest,
        /// Its stages, in order.
        stages: String,
    },
    /// Of a fleet no process changes its set alone.
    #[error(
        "this process is one of the fleet in `{fleet}`, which has one plugin set: `{instead} PIPELINE.toml` changes it for all of them"
    )]
    InFleet {
        /// Where the fleet is.
        fleet: String,
        /// The command that does.
        instead: &'static str,
    },
    /// What a fleet proposes comes to another set here.
    #[error("with the stages of the pipeline file here plugin set {plugin_set} would be {made}:{list}", list = list(different))]
    OtherSet {
        /// The set that is proposed.
        plugin_set: Digest,
        /// What it comes to here.
        made: Digest,
        /// What is different.
        different: Vec<String>,
    },
    /// There is no version to go back to.
    #[error(
        "there is no version before the one that runs, or it ran before this process began: `clickmill plugin rollback --to PLUGIN_SET` goes to any that ran, and the table `plugin_sets` has them"
    )]
    NothingBefore,
    /// A plugin set that ran before can't be made again.
    #[error(transparent)]
    Store(#[from] SetStoreError),
    /// The new set can't be kept or entered into its table.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// It can't be entered into the audit log.
    #[error("it cannot be entered, and what is not entered does not count")]
    Audit(#[source] AuditError),
    /// Rows can't be made: a bug in clickmill.
    #[error("cannot make rows")]
    Rows(#[from] ArrowError),
}

impl SwapRefused {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Change(_)
            | Self::Fit(_)
            | Self::Golden(_)
            | Self::GoldenFailed { .. }
            | Self::Shadow { .. }
            | Self::Overtaken { .. }
            | Self::File(_)
            | Self::NoFile
            | Self::OtherFile { .. }
            | Self::Restart { .. }
            | Self::SameFile { .. }
            | Self::Secrets(_)
            | Self::Unguarded { .. }
            | Self::OtherStages { .. }
            | Self::InFleet { .. }
            | Self::OtherSet { .. }
            | Self::NothingBefore => Fault::Input,
            Self::Component(error) => error.fault(),
            Self::Columns(_) => Fault::Input,
            Self::Store(error) => error.fault(),
            Self::Publish(error) => error.fault(),
            // Whatever is wrong with the log, what was asked for is not.
            Self::Audit(_) => Fault::Environment,
            Self::Rows(_) => Fault::Bug,
        }
    }

    /// The check that failed.
    pub fn check(&self) -> &'static str {
        match self {
            Self::Change(_) | Self::Component(_) => "component",
            Self::Fit(_) | Self::Columns(_) => "columns",
            Self::Golden(_) | Self::GoldenFailed { .. } => "golden",
            Self::Shadow { .. } => "shadow",
            Self::File(_)
            | Self::NoFile
            | Self::OtherFile { .. }
            | Self::Restart { .. }
            | Self::SameFile { .. }
            | Self::OtherSet { .. }
            | Self::Secrets(_) => "pipeline file",
            Self::Unguarded { .. } => "guard",
            Self::InFleet { .. } => "fleet",
            Self::Overtaken { .. } | Self::OtherStages { .. } | Self::NothingBefore => "history",
            Self::Audit(_) => "audit",
            Self::Store(_) | Self::Publish(_) | Self::Rows(_) => "environment",
        }
    }
}

fn quoted(sections: &[&str]) -> String {
    let sections: Vec<String> = sections.iter().map(|section| format!("`{section}`")).collect();
    sections.join(", ")
}

/// What a reader of the audit log has to know of a swap that came to nothing after its entry.
fn does_not_count(entered: Option<&Digest>) -> String {
    let told = |set| format!(" (the entry of the swap to `{set}` before this does not count)");
    entered.map(told).unwrap_or_default()
}

/// The most stages and codes of a shadow run that a refusal lists.
const MAX_LINES: usize = 10;

/// What becomes of rows that are good now: rejections by stage and code, the most frequent first, and how
/// many are dropped.
fn newly(shadow: &Shadow) -> Vec<String> {
    let mut rejected: Vec<_> = shadow.newly_rejected.iter().collect();
    rejected.sort_by_key(|(_, rows)| std::cmp::Reverse(**rows));
    let line = |((stage, code), rows): (&(StageName, String), &u64)| {
        format!("{rows} more are rejected, `{code}` at stage `{stage}`")
    };
    let mut lines: Vec<String> = rejected.into_iter().take(MAX_LINES).map(line).collect();
    if shadow.newly_dropped > 0 {
        let dropped = shadow.newly_dropped;
        lines.push(format!(
            "{dropped} more are dropped on purpose: no table and no letter has them"
        ));
    }
    lines
}

/// A set that is to run.
pub(crate) struct Candidate {
    pub library: Library,
    /// The stages of the pipeline file that it has.
    pub reading: Arc<Reading>,
    /// Golden cases, by stage.
    pub golden: Vec<(String, Golden)>,
}

/// A set that passed.
pub(crate) struct Passed {
    pub library: Library,
    pub reading: Arc<Reading>,
    pub fitted: Option<Fitted>,
    pub changes: Vec<(StageName, String)>,
    pub checks: Vec<Check>,
    pub shadow: Shadow,
}

/// Checks what is to run in place of what runs.
pub(crate) fn check(
    slot: &Slot,
    rules: &Rules,
    running: &Arc<Version>,
    candidate: Candidate,
) -> Result<Passed, SwapRefused> {
    let mut checks = Vec::new();
    let mut passed = |name, found: String| checks.push(Check { name, found });
    let Candidate { library, reading, golden } = candidate;
    library.check_secrets(&reading.secrets).map_err(ChangeError::from)?;
    let changes = changes(&running.library.set(), &library.set());
    passed("component", lines(&changes).join("; "));
    let fitted = fit(slot, &library, &reading.secrets)?;
    passed(
        "columns",
        match &fitted {
            Some(fitted) => format!("{} of the chain fit the table", fitted.chain.output().len()),
            None => "checked with the first object".to_owned(),
        },
    );
    if !Arc::ptr_eq(&reading, &running.reading) {
        let columns = fitted.as_ref().map(|fitted| &fitted.columns);
        let before = columns.map(|columns| slot.fit(running, columns)).transpose()?;
        let (guard, before) = (&slot.target().guard, before.as_deref());
        let now = (&library, fitted.as_ref());
        let lost = sensitive::lost(guard, (&running.library, before), now);
        if !lost.is_empty() {
            return Err(SwapRefused::Unguarded { lost });
        }
        passed("guard", format!("{} sensitive columns", guard.all().len()));
    }
    let mut slices = Slices::beside(slot.workers());
    let cases = self::golden(&library, &golden, &mut slices)?;
    passed("golden", format!("{cases} cases"));
    let recent = slot.recent().batches()?;
    let before = fitted.as_ref().and_then(|fitted| running.fitted(&fitted.columns));
    let shadow = match (&before, &fitted) {
        (Some(before), Some(now)) => shadow(before, now, &recent, rules, &mut slices)?,
        _ => Shadow::default(),
    };
    let broken = breach(rules, &shadow.before, &shadow.now, Compared::OnTheSame);
    let broken = broken.or_else(|| reroutes_too_much(rules, shadow.good, shadow.rerouted));
    let broken = broken.or_else(|| changes_too_much(rules, shadow.good, shadow.changed_rows));
    if let Some(breach) = broken {
        return Err(SwapRefused::Shadow { breach, shadow: Box::new(shadow) });
    }
    passed("shadow", format!("{} rows of the last {} batches", shadow.rows, recent.len()));
    Ok(Passed { library, reading, fitted, changes, checks, shadow })
}

/// Runs golden cases, by stage. Returns how many there are.
pub(crate) fn golden(
    library: &Library,
    golden: &[(String, Golden)],
    slices: &mut Slices<'_>,
) -> Result<usize, SwapRefused> {
    let (mut all, mut failed, mut cases) = (0, 0, 0);
    let (mut stages, mut problems) = (Vec::new(), Vec::new());
    for (stage, golden) in golden {
        let tested = slices.run(|| library.golden(stage, golden, Measure::Budgets))?;
        all += golden.cases();
        if tested.failed() > 0 {
            failed += tested.failed();
            cases += golden.cases();
            problems.extend(tested.problems());
            stages.push(stage.clone());
        }
    }
    stages.dedup();
    if failed > 0 {
        return Err(SwapRefused::GoldenFailed { stages, failed, cases, problems });
    }
    Ok(all)
}

/// Changes as lines.
pub(crate) fn lines(changes: &[(StageName, String)]) -> Vec<String> {
    changes.iter().map(|(stage, what)| format!("{stage}: {what}")).collect()
}

/// Fits a library to the columns that came in last, where any did.
pub(super) fn fit(
    slot: &Slot,
    library: &Library,
    secrets: &Secrets,
) -> Result<Option<Fitted>, SwapRefused> {
    let columns = slot.columns();
    let target = slot.target();
    Ok(columns.map(|columns| target.fit(library, &columns, secrets)).transpose()?)
}
