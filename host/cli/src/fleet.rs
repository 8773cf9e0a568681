//! `clickmill fleet`: the plugin set of all processes that run a pipeline, by their place in a folder or bucket.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Value as Json, json};

use super::canary_args::{CanaryArgs, share};
use super::pipeline_args::{PipelineArgs, options};
use super::plugin::swap::Changes;
use super::{Exit, Failure, place};
use clickmill_admin::wire::fleet::ReplicaBody;
use clickmill_core::indented;
use clickmill_pipeline::{
    Canary, Decision, Entry, Fleet, FleetStatus, Outcome, Progress, Proposed, RolledBack,
};

const EXAMPLES: &str = "\
Examples:
  clickmill fleet status host/pipelines/stream_gcp.toml
  clickmill fleet swap host/pipelines/stream_gcp.toml mask=plugins/mask \\
      --note \"phones too\"
  clickmill fleet rollback host/pipelines/stream_gcp.toml \\
      --note \"rejects too much\"

The processes that run a pipeline whose file has swap.fleet are its fleet. They have one plugin set: each votes on another by its own last batches, and all take it up or none.";

/// Swap the plugins of all processes that run a pipeline, or of none
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum FleetVerb {
    /// Show which plugin set is in effect, what is voted on, and what each replica runs
    Status(Status),
    /// Propose another plugin set, and wait until all replicas run it or none does
    Swap(Box<Swap>),
    /// Take what is in effect back, on all replicas
    Rollback(Rollback),
}

const STATUS_EXAMPLES: &str = "\
Examples:
  clickmill fleet status host/pipelines/stream_gcp.toml
  clickmill fleet status host/pipelines/stream_gcp.toml --json

A replica that has given no sign of life for three intervals (swap.fleet_interval_secs) is gone: it is not waited for.";

/// Show which plugin set is in effect, what is voted on, and what each replica runs
#[derive(Debug, Args)]
#[command(after_help = STATUS_EXAMPLES)]
pub(super) struct Status {
    #[command(flatten)]
    pipeline: PipelineArgs,

    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

const SWAP_EXAMPLES: &str = "\
Examples:
  clickmill fleet swap host/pipelines/stream_gcp.toml mask=plugins/mask
  clickmill fleet swap host/pipelines/stream_gcp.toml mask=gs://lake/mask.wasm \\
      --note \"phones too\"
  clickmill fleet swap host/pipelines/stream_gcp.toml --config mask.key_id=k2
  clickmill fleet swap host/pipelines/stream_gcp.toml mask=plugins/mask \\
      --canary 5% --canary-for 2m
  clickmill fleet swap host/pipelines/stream_gcp.toml --pipeline \\
      --canary-replicas 1 --canary-for 9m
  clickmill fleet swap host/pipelines/stream_gcp.toml --pipeline \\
      --note \"a stage more\"

Golden cases beside a component are run here, before anything is proposed. Then every live replica tries the set on its own last batches and votes; one refusal, or a vote that is missing at the deadline (swap.fleet_deadline_secs), and none takes it up. Of two who propose at once one is told that the other was first.

With --canary-replicas some replicas, the first by name, then run the set before the others take it up. Where its rules of probation take it back on one of them, or one says nothing within the time and the deadline, all are where they were.

With --pipeline the stages of the pipeline file are proposed: each replica reads its own file again, and says ok where that comes to the same plugin set.";

/// Propose another plugin set, and wait until all replicas run it or none does
#[derive(Debug, Args)]
#[command(
    after_help = SWAP_EXAMPLES,
    mut_arg("canary", |canary| canary
        .help("Begin with a share of each replica's batches, such as 5%")
        .requires("canary_for"))
)]
pub(super) struct Swap {
    #[command(flatten)]
    pipeline: PipelineArgs,

    #[command(flatten)]
    changes: Changes,

    /// Propose the stages of the pipeline file
    #[arg(long = "pipeline", conflicts_with_all = ["stages", "config", "lookups"])]
    file: bool,

    #[command(flatten)]
    canary: CanaryArgs,

    /// Begin with some of the replicas, such as 2, or a share of them, such as 10%
    #[arg(long, value_name = "N|SHARE", value_parser = replicas, requires = "canary_for", group = "canary_of")]
    canary_replicas: Option<f64>,

    /// What it is about, for the log
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,

    /// Print what became of it as JSON
    #[arg(long)]
    json: bool,
}

const ROLLBACK_EXAMPLES: &str = "\
Examples:
  clickmill fleet rollback host/pipelines/stream_gcp.toml \\
      --note \"rejects too much\"

The set before the one in effect runs again on all replicas; once more, and the one before that does. A proposal that is voted on is given up. Where some replicas try one out, that is given up, and what is in effect stays, unless --entry names it. Where one came to nothing just before, or a replica has taken a set back for all, nothing is taken back: --entry says that what is in effect is meant.";

/// Take what is in effect back, on all replicas
#[derive(Debug, Args)]
#[command(after_help = ROLLBACK_EXAMPLES)]
pub(super) struct Rollback {
    #[command(flatten)]
    pipeline: PipelineArgs,

    /// Take back what is in effect by this entry, and no other; a proposal that is voted on or tried out is given up
    #[arg(long, value_name = "N")]
    entry: Option<u64>,

    /// Why, for the log
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,

    /// Print what became of it as JSON
    #[arg(long)]
    json: bool,
}

impl FleetVerb {
    pub(crate) fn run(self, warehouse: &str) -> Result<(), Failure> {
        match self {
            Self::Status(verb) => verb.run(),
            Self::Swap(verb) => verb.run(warehouse),
            Self::Rollback(verb) => verb.run(),
        }
    }
}

impl Status {
    fn run(self) -> Result<(), Failure> {
        let status = Fleet::open(self.pipeline.read()?)?.status()?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&as_json(&status))?);
            return Ok(());
        }
        println!("fleet {}", status.uri);
        match &status.plugin_set {
            Some(set) => println!("plugin set {set} is in effect, entry {}", status.entry),
            None => println!("nothing was committed: the pipeline file's plugin set counts"),
        }
        for (number, entry, decision) in &status.log {
            println!("{}", line(*number, entry, decision.as_ref()));
        }
        for (replica, vote) in &status.votes {
            println!("  {replica}: {}", said(vote.ok, &vote.why));
        }
        for (replica, verdict) in &status.canaries {
            let verdict = verdict.as_ref().map(|verdict| said(verdict.ok, &verdict.why));
            println!("  {replica}, a canary: {}", verdict.as_deref().unwrap_or("tries it out"));
        }
        println!("{} replicas", status.replicas.len());
        for replica in &status.replicas {
            let life = if status.live.contains(&replica.name) {
                format!("since {}", replica.since)
            } else {
                let silent = Duration::from_secs(replica.age.as_secs());
                format!("gone, silent for {}", humantime::format_duration(silent))
            };
            let set = replica.plugin_set.get(..8).unwrap_or_default();
            println!("  {:<40} {set} entry {:>3}  {life}", replica.name, replica.entry);
            if let Some(problem) = &replica.problem {
                println!("      {}", indented(problem));
            }
        }
        Ok(())
    }
}

impl Swap {
    fn run(self, warehouse: &str) -> Result<(), Failure> {
        let secs = self.canary.secs().unwrap_or_default();
        let canary = match (self.canary.share, self.canary_replicas) {
            (Some(share), _) => Some(Canary::of_batches(share, secs)),
            (None, Some(replicas)) => Some(Canary::of_replicas(replicas, secs)),
            (None, None) => None,
        };
        if canary.is_some_and(|canary| !canary.is_within_bounds()) {
            return Err(Failure::bad_input(
                "`--canary` takes 0.1% to 100%, `--canary-replicas` 1000 at most, and `--canary-for` 24h",
            ));
        }
        let mut fleet = Fleet::open(self.pipeline.read()?)?;
        let options = options(warehouse);
        let (actor, note) = (place::actor(), self.note);
        let mut proposed = Proposed { actor, note, canary, ..Proposed::default() };
        let base = if self.file {
            None
        } else {
            let base = fleet.base(&options)?;
            let known: Vec<&str> = base.stage_names().collect();
            let changes = self.changes.read(|named| {
                let unknown: Vec<&str> =
                    named.iter().copied().filter(|stage| !known.contains(stage)).collect();
                if unknown.is_empty() {
                    return Ok(());
                }
                let (unknown, known) = (unknown.join(", "), known.join(", "));
                Err(Failure::bad_input(format!(
                    "there is no stage `{unknown}` in this pipeline, only: {known}"
                )))
            })?;
            let (set, most) = (base.set(), fleet.max_component_bytes());
            let asked = clickmill_admin::asked(changes, &set, most);
            let asked = fleet.block_on(asked).map_err(Failure::bad_input)?;
            (proposed.changes, proposed.golden) = asked;
            Some(base)
        };
        let number = fleet.propose(&options, base, proposed)?;
        eprintln!("proposal {number} is voted on");
        conclude(&fleet, number, self.json, Asked::Commit)
    }
}

impl Rollback {
    fn run(self) -> Result<(), Failure> {
        let fleet = Fleet::open(self.pipeline.read()?)?;
        let number = match fleet.roll_back(&place::actor(), &self.note, self.entry)? {
            RolledBack::Effect(number) => {
                eprintln!("entry {number} takes back what was in effect");
                number
            }
            RolledBack::Trial(number) => {
                eprintln!("proposal {number} is given up");
                number
            }
        };
        conclude(&fleet, number, self.json, Asked::Rollback)
    }
}

/// What is to become of an entry.
#[derive(Clone, Copy, PartialEq)]
enum Asked {
    Commit,
    Rollback,
}

/// Waits for what becomes of an entry, and says so.
fn conclude(fleet: &Fleet, number: u64, json: bool, asked: Asked) -> Result<(), Failure> {
    let outcome = fleet.wait(number, |progress| match progress {
        Progress::Voted(replica, vote) | Progress::Concluded(replica, vote) => {
            eprintln!("{replica}: {}", said(vote.ok, &vote.why));
        }
        Progress::TriedOut(replicas) => eprintln!("tried out by {}", replicas.join(", ")),
        Progress::Decided(decision) => eprintln!("{}", decided(&decision)),
        Progress::Followed(replica) => eprintln!("{replica} follows"),
    })?;
    let Outcome { decision, refused, plugin_set, followed, behind, .. } = outcome;
    if json {
        let told = json!({
            "entry": number,
            "committed": decision.as_ref().is_none_or(|decision| decision.commit),
            "why": decision.as_ref().map(|decision| &decision.why),
            "plugin_set": plugin_set,
            "followed": followed,
            "behind": behind,
        });
        println!("{}", serde_json::to_string_pretty(&told)?);
    }
    let came_to_nothing = |decision: &Decision| asked == Asked::Commit && !decision.commit;
    if let Some(decision) = decision.filter(came_to_nothing) {
        // A word against it is about the set; that nobody answered is not.
        let exit = if refused.is_empty() { Exit::Environment } else { Exit::BadInput };
        let what = format!(
            "proposal {number} came to nothing, what ran before still runs: {}",
            decision.why
        );
        return Err(Failure::new(exit, anyhow::Error::msg(what)));
    }
    if !behind.is_empty() {
        let names = behind.join(", ");
        let what =
            format!("entry {number} counts, and not all replicas have followed in time: {names}");
        return Err(Failure::new(Exit::Environment, anyhow::Error::msg(what))
            .hint("clickmill fleet status PIPELINE.toml shows what keeps them"));
    }
    if !json {
        let set = plugin_set.map(|set| set.to_string()).unwrap_or_default();
        println!("plugin set {set} runs on {} replicas", followed.len());
    }
    Ok(())
}

/// So many replicas: a share of them below 1, else their number.
fn replicas(text: &str) -> Result<f64, String> {
    let count = text.parse::<u32>().ok().filter(|count| *count > 0).map(f64::from);
    let part = count.or_else(|| share(text).ok().filter(|share| *share < 1.0));
    part.ok_or_else(|| "wanted a number, such as 2, or a share below 100%, such as 10%".to_owned())
}

fn said(ok: bool, why: &str) -> String {
    format!("{}: {}", if ok { "ok" } else { "refused" }, indented(why))
}

fn decided(decision: &Decision) -> String {
    let what = if decision.commit { "committed" } else { "aborted" };
    format!("{what} by {}: {}", decision.by, indented(&decision.why))
}

fn line(number: u64, entry: &Entry, decision: Option<&Decision>) -> String {
    match entry {
        Entry::Proposal(proposal) => {
            let set = proposal.plugin_set.get(..8).unwrap_or_default();
            let became = decision.map_or("not decided".to_owned(), decided);
            let (at, actor, note) = (&proposal.at, &proposal.actor, &proposal.note);
            format!("{number:>3} {at} plugin set {set} by {actor} {note}: {became}")
        }
        Entry::Rollback(rollback) => {
            let (at, of, actor) = (&rollback.at, rollback.of, &rollback.actor);
            format!("{number:>3} {at} rollback of {of} by {actor}: {}", indented(&rollback.reason))
        }
    }
}

/// A replica as the admin interface tells it, and whether it is waited for.
#[derive(Serialize)]
struct LiveOrGone {
    live: bool,
    #[serde(flatten)]
    replica: ReplicaBody,
}

fn as_json(status: &FleetStatus) -> Json {
    let replicas = status.replicas.iter().map(|replica| LiveOrGone {
        live: status.live.contains(&replica.name),
        replica: replica.into(),
    });
    let log = status.log.iter().map(|(number, entry, decision)| {
        json!({ "number": number, "entry": entry, "decision": decision })
    });
    json!({
        "fleet": status.uri,
        "entry": status.entry,
        "plugin_set": status.plugin_set,
        "open": status.open,
        "votes": status.votes,
        "canaries": status.canaries,
        "log": log.collect::<Vec<_>>(),
        "replicas": replicas.collect::<Vec<_>>(),
    })
}
