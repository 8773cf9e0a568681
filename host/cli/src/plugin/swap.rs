//! `clickmill plugin swap`, `rollback` and `history`: the plugins of a running pipeline.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::built::with_folder;
use super::registry;
use crate::admin::Admin;
use crate::canary_args::CanaryArgs;
use crate::{Failure, place};
use clickmill_admin::wire::{
    ChangeBody, FileBody, ReloadBody, RollbackBody, RolledBackBody, ShadowBody, SwapBody,
    SwappedBody, VersionBody,
};
use clickmill_core::oci::Reference;
use clickmill_core::{Digest, Micros, indented};
use clickmill_sandbox::{ComponentLimits, Golden, NewComponent};

const SWAP_EXAMPLES: &str = "\
Examples:
  clickmill plugin swap mask=plugins/mask
  clickmill plugin swap mask=mask.wasm validate=gs://lake/validate.wasm \\
      --note \"phones too\"
  clickmill plugin swap mask=oci://localhost:5000/plugins/mask@sha256:…
  clickmill plugin swap --config mask.key_id='\"k2\"' --canary 5% --canary-for 2m
  clickmill plugin swap --lookup enrich.products=products.csv
  clickmill plugin swap mask=plugins/mask --dry-run
  clickmill plugin swap --pipeline --note \"a stage more\"

Everything named counts at once, between two batches. Golden cases, the `tests/*.json` beside a component or in its crate, go along and have to pass. What the pipeline refuses changes nothing.

With --pipeline the process reads its own pipeline file again, wherever that is: stages that are added, removed or moved, their components, configuration, grants, limits and secrets count at once. Other changes of the file want a restart, and are refused.";

// What stages are to have. (No text of help: the verb has its own.)
#[derive(Debug, Args)]
pub(crate) struct Changes {
    /// Stages and what they get: a component file, a plugin crate, which is built, gs://bucket/object, or oci://HOST/REPOSITORY@sha256:DIGEST
    #[arg(value_name = "STAGE=COMPONENT")]
    stages: Vec<String>,

    /// Set a key of a stage's configuration; the value is JSON or else text, null takes the key away, '"null"' is the text
    #[arg(long = "config", value_name = "STAGE.KEY=VALUE")]
    config: Vec<String>,

    /// Give a lookup table of a stage other content
    #[arg(long = "lookup", value_name = "STAGE.TABLE=FILE")]
    lookups: Vec<String>,
}

/// Swap plugins of a running pipeline, their configuration or lookup tables, or its list of stages
#[derive(Debug, Args)]
#[command(after_help = SWAP_EXAMPLES)]
pub(crate) struct Swap {
    #[command(flatten)]
    changes: Changes,

    /// Read the pipeline file again and take its stages up
    #[arg(long, conflicts_with_all = ["stages", "config", "lookups"])]
    pipeline: bool,

    /// Only where the process reads the same text as this file has
    #[arg(long, value_name = "FILE", requires = "pipeline")]
    expect: Option<PathBuf>,

    #[command(flatten)]
    canary: CanaryArgs,

    /// What it is about, for the history
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,

    /// Check everything, change nothing
    #[arg(long)]
    dry_run: bool,

    /// Print the answer as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    admin: Admin,
}

const ROLLBACK_EXAMPLES: &str = "\
Examples:
  clickmill plugin rollback --note \"rejects too much\"
  clickmill plugin rollback --to 3f2a90c1";

/// Take the last swap of a running pipeline back, or go to any plugin set that ran before
#[derive(Debug, Args)]
#[command(after_help = ROLLBACK_EXAMPLES)]
pub(crate) struct Rollback {
    /// The plugin set to go to, or how its digest begins
    #[arg(long, value_name = "DIGEST")]
    to: Option<String>,

    /// Why, for the history
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,

    /// Print the version that runs now as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    admin: Admin,
}

const HISTORY_EXAMPLES: &str = "\
Examples:
  clickmill plugin history
  clickmill plugin history --json --admin 127.0.0.1:7627";

/// List the versions of a running pipeline's plugins since its start
#[derive(Debug, Args)]
#[command(after_help = HISTORY_EXAMPLES)]
pub(crate) struct History {
    /// Print a JSON object per version
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    admin: Admin,
}

impl Swap {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let swapped = if self.pipeline { self.reload()? } else { self.swap()? };
        if self.json {
            println!("{}", serde_json::to_string_pretty(&swapped)?);
            return Ok(());
        }
        for (name, found) in &swapped.checks {
            println!("{name:<10} {}", indented(found));
        }
        print_shadow(&swapped.shadow);
        match &swapped.version {
            Some(version) => println!(
                "version {} is {}: plugin set {}, before it {}",
                version.number, version.standing, swapped.to, swapped.from
            ),
            None => {
                println!("only checked: plugin set {} would follow {}", swapped.to, swapped.from)
            }
        }
        Ok(())
    }

    /// Has the process read its pipeline file again.
    fn reload(&self) -> Result<SwappedBody, Failure> {
        let read = |path: &PathBuf| {
            let bytes = std::fs::read(path).map_err(|error| Failure::unreadable(path, error))?;
            Ok::<Digest, Failure>(Digest::of(&bytes))
        };
        let body = ReloadBody {
            actor: place::actor(),
            note: self.note.clone(),
            expected: self.expect.as_ref().map(read).transpose()?,
            canary_share: self.canary.share,
            canary_secs: self.canary.secs(),
            dry_run: self.dry_run,
        };
        self.admin.post("/v1/plugins/reload", &body)
    }

    /// Sends what is to be different.
    fn swap(&self) -> Result<SwappedBody, Failure> {
        let changes = self.changes.read(|stages| self.check_stages(stages))?;
        let body = SwapBody {
            actor: place::actor(),
            note: self.note.clone(),
            canary_share: self.canary.share,
            canary_secs: self.canary.secs(),
            dry_run: self.dry_run,
            changes,
        };
        self.admin.post("/v1/plugins/swap", &body)
    }
}

impl Changes {
    /// What each stage is to have. `check` looks at the stages that are named, before a crate is built.
    pub(crate) fn read(
        &self,
        check: impl FnOnce(&[&str]) -> Result<(), Failure>,
    ) -> Result<BTreeMap<String, ChangeBody>, Failure> {
        let mut changes = BTreeMap::<String, ChangeBody>::new();
        let components = self.stages.iter().map(|given| pair(given, "STAGE=COMPONENT"));
        let components: Vec<(&str, &str)> = components.collect::<Result<_, _>>()?;
        for given in &self.config {
            let (place, value) = pair(given, "STAGE.KEY=VALUE")?;
            let (stage, key) = dotted(place, "STAGE.KEY=VALUE")?;
            let change = changes.entry(stage.to_owned()).or_default();
            change.written.insert(key.to_owned(), value.to_owned());
        }
        for given in &self.lookups {
            let (place, path) = pair(given, "STAGE.TABLE=FILE")?;
            let (stage, table) = dotted(place, "STAGE.TABLE=FILE")?;
            let change = changes.entry(stage.to_owned()).or_default();
            change.lookups.insert(table.to_owned(), file(Path::new(path))?);
        }
        if changes.is_empty() && components.is_empty() {
            return Err(Failure::bad_input("nothing to change is named").hint(
                "clickmill plugin swap mask=plugins/mask, or --config, or --lookup, or --pipeline",
            ));
        }
        if components.iter().any(|(_, component)| Path::new(component).is_dir()) {
            let stages = components.iter().map(|(stage, _)| *stage);
            let stages: Vec<&str> = stages.chain(changes.keys().map(String::as_str)).collect();
            check(&stages)?;
        }
        for (stage, component) in components {
            component_of(component, changes.entry(stage.to_owned()).or_default())?;
        }
        Ok(changes)
    }
}

impl Swap {
    /// Whether the running pipeline has these stages, which it is asked before a crate is built.
    fn check_stages(&self, named: &[&str]) -> Result<(), Failure> {
        let running: Vec<VersionBody> = self.admin.get("/v1/plugins")?;
        let stages = running.first().map(|version| version.stages.as_slice()).unwrap_or_default();
        let known: Vec<&str> = stages.iter().map(|stage| stage.stage.as_str()).collect();
        let unknown: BTreeSet<&str> =
            named.iter().copied().filter(|stage| !known.contains(stage)).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let unknown: Vec<String> = unknown.iter().map(|stage| format!("`{stage}`")).collect();
        Err(Failure::bad_input(format!(
            "there is no stage {} in this pipeline, only: {}",
            unknown.join(", "),
            known.join(", ")
        )))
    }
}

impl Rollback {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let body = RollbackBody { actor: place::actor(), note: self.note, to: self.to };
        let back: RolledBackBody = self.admin.post("/v1/plugins/rollback", &body)?;
        let RolledBackBody { version, file } = &back;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&back)?);
        } else {
            println!("version {} runs: plugin set {}", version.number, version.plugin_set);
        }
        if let Some(file) = file {
            eprintln!(
                "the pipeline file still has the stages that were taken back, plugin set {file}: a start runs them, so edit it back"
            );
        }
        Ok(())
    }
}

impl History {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let versions: Vec<VersionBody> = self.admin.get("/v1/plugins/history")?;
        for version in versions {
            if self.json {
                println!("{}", serde_json::to_string(&version)?);
                continue;
            }
            let until = version.until.unwrap_or_else(Micros::now);
            let long = Duration::from_secs(until.since(version.since).as_secs());
            println!(
                "{:>3} {:<11} {} for {} {}  {} rows, {} rejected, {} faults, {:.0} fuel/row, by {}",
                version.number,
                version.standing,
                version.since.to_the_second(),
                humantime::format_duration(long),
                version.plugin_set.get(..8).unwrap_or_default(),
                version.rows,
                version.rejected,
                version.faults,
                version.fuel_per_row,
                indented(&version.actor),
            );
            for change in &version.changes {
                println!("      {}", indented(change));
            }
            for text in [Some(&version.note), version.reason.as_ref()].into_iter().flatten() {
                if !text.is_empty() {
                    println!("      {}", indented(text));
                }
            }
        }
        Ok(())
    }
}

fn print_shadow(shadow: &ShadowBody) {
    if shadow.rows == 0 {
        return;
    }
    println!("on the last {} rows", shadow.rows);
    for (column, rows) in &shadow.changed {
        println!("  {column} changes in {rows}");
    }
    for (stage, code, rows) in &shadow.newly_rejected {
        println!("  {rows} more are rejected, `{code}` at stage `{stage}`");
    }
    for (rows, what) in [
        (shadow.newly_accepted, "are no longer rejected"),
        (shadow.newly_dropped, "are dropped on purpose"),
        (shadow.rerouted, "go to other tables"),
    ] {
        if rows > 0 {
            println!("  {rows} {what}");
        }
    }
    println!("  fuel a row {:.0}, before {:.0}", shadow.fuel_per_row, shadow.fuel_per_row_before);
}

/// What a stage gets, with its signature and golden cases.
fn component_of(component: &str, change: &mut ChangeBody) -> Result<(), Failure> {
    if component.starts_with("gs://") {
        change.uri = Some(component.to_owned());
        return Ok(());
    }
    let (path, beside) = if let Some(reference) = reference(component)? {
        let pulled = registry::pulled(&reference, ComponentLimits::MOST_BYTES)?;
        (pulled.component, pulled.folder)
    } else {
        with_folder(Path::new(component))?
    };
    let NewComponent { bytes, signature, .. } =
        NewComponent::read(&path, ComponentLimits::MOST_BYTES)?;
    let name = path.file_name().unwrap_or_default().into();
    change.signature = signature;
    change.component = Some(FileBody { name, base64: bytes });
    change.golden = Golden::beside(&beside)?;
    Ok(())
}

/// What a registry is to be asked for, if a component is there. Swapped in is what was named, and no other thing.
fn reference(component: &str) -> Result<Option<Reference>, Failure> {
    if !Reference::is_meant(component) {
        return Ok(None);
    }
    let named: Reference = component.parse()?;
    if named.digest().is_some() {
        return Ok(Some(named));
    }
    let now = registry::registry()?.resolve(&named)?;
    Err(Failure::bad_input(format!(
        "`{named}` is a tag, which may be another component's tomorrow"
    ))
    .hint(format!("name its digest, now {now}")))
}

fn file(path: &Path) -> Result<FileBody, Failure> {
    let bytes = std::fs::read(path).map_err(|error| Failure::unreadable(path, error))?;
    let name = path.file_name().unwrap_or_default().into();
    Ok(FileBody { name, base64: bytes.into() })
}

fn pair<'a>(given: &'a str, wanted: &str) -> Result<(&'a str, &'a str), Failure> {
    given.split_once('=').ok_or_else(|| Failure::bad_input(format!("`{given}` is not {wanted}")))
}

/// The value is not told: it may be a secret.
fn dotted<'a>(place: &'a str, wanted: &str) -> Result<(&'a str, &'a str), Failure> {
    place.split_once('.').ok_or_else(|| Failure::bad_input(format!("`{place}=…` is not {wanted}")))
}
