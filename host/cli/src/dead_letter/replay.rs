//! `clickmill dead-letter replay` and `explain`.

use std::path::Path;

use clap::Args;
use serde_json::json;

use super::Failure;
use crate::ids;
use crate::pipeline_args::{PipelineArgs, options};
use crate::plugin::built;
use clickmill_core::indented;
use clickmill_pipeline as pipeline;
use clickmill_pipeline::{Fate, PreparedPipeline};
use clickmill_sandbox::build::is_crate;
use clickmill_sandbox::{Change, NewComponent, PluginError};

const REPLAY_EXAMPLES: &str = "\
Examples:
  clickmill dead-letter replay host/pipelines/stream.toml --dry-run
  clickmill dead-letter replay host/pipelines/stream.toml \\
      --where \"code = 'bad_ip'\"
  clickmill dead-letter replay host/pipelines/batch.toml \\
      --plugin mask=plugins/mask --dry-run

Letters go from their original bytes through the plugins that run now: those of the last swap, or of the pipeline file. Good rows are written into a table once, however often this is killed and repeated and however many replays into it run at once; their letters are resolved, and left out from then on. Attempts for the others are counted in the view dead_letters.";

/// Run dead letters through the plugins once more
#[derive(Debug, Args)]
#[command(after_help = REPLAY_EXAMPLES)]
pub(crate) struct Replay {
    #[command(flatten)]
    pipeline: PipelineArgs,

    /// Which letters: a condition in SQL
    #[arg(long = "where", value_name = "SQL", default_value = "TRUE")]
    condition: String,

    /// A plugin to try in place of the one that runs: a component file or a plugin crate
    #[arg(long = "plugin", value_name = "STAGE=COMPONENT")]
    plugins: Vec<String>,

    /// Only say what would become of them
    #[arg(long)]
    dry_run: bool,

    /// Print what became of them as JSON
    #[arg(long)]
    json: bool,
}

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  clickmill dead-letter explain host/pipelines/stream.toml 0a1b2c3d

Shows the row as it came in and after each stage, and why it is rejected. The plugins are those that rejected it, by their digest, whatever runs now. Prints the row's values: they may be secret.";

/// Run a letter through the plugins that rejected it, stage by stage
#[derive(Debug, Args)]
#[command(after_help = EXPLAIN_EXAMPLES)]
pub(crate) struct Explain {
    #[command(flatten)]
    pipeline: PipelineArgs,

    /// The letter's id, or how it begins
    id: String,
}

fn open(args: &PipelineArgs, warehouse: &str) -> Result<PreparedPipeline, Failure> {
    Ok(pipeline::open(args.read()?, &options(warehouse))?)
}

impl Replay {
    pub(crate) fn run(self, warehouse: &str) -> Result<(), Failure> {
        let prepared = open(&self.pipeline, warehouse)?;
        let signed_only = !prepared.pipeline().trust.keys.is_empty();
        let max_bytes = prepared.pipeline().swap.components.max_bytes;
        let changes = self.plugins.iter().map(|given| change(given, signed_only, max_bytes));
        let changes = changes.collect::<Result<_, _>>()?;
        let request =
            pipeline::Replay { condition: self.condition, changes, dry_run: self.dry_run };
        let done = pipeline::replay(&prepared, &request)?;
        if self.json {
            let rejected = done.rejected.iter().map(|((stage, code), (letters, example))| {
                json!({ "stage": stage, "code": code, "letters": letters, "example": example })
            });
            let rejected: Vec<_> = rejected.collect();
            let told = json!({
                "dry_run": request.dry_run,
                "plugin_set": done.plugin_set,
                "letters": done.letters,
                "resolved": done.resolved,
                "there_before": done.there_before,
                "filtered": done.filtered,
                "rejected": rejected,
            });
            println!("{told:#}");
            return Ok(());
        }
        let (passed, again) = if request.dry_run {
            ("would pass", "would be rejected again")
        } else {
            ("resolved", "rejected again")
        };
        let rejected: u64 = done.rejected.values().map(|(letters, _)| letters).sum();
        println!(
            "{} letters: {} {passed}, {} filtered, {rejected} {again}",
            done.letters, done.resolved, done.filtered
        );
        if done.there_before > 0 {
            println!("of {} the rows were there before", done.there_before);
        }
        for ((stage, code), (letters, example)) in &done.rejected {
            println!("  {stage:<10} {code:<26} {letters:>8}  {}", indented(example));
        }
        println!("plugin set {}", done.plugin_set);
        Ok(())
    }
}

impl Explain {
    pub(crate) fn run(self, warehouse: &str) -> Result<(), Failure> {
        let id = ids::beginning(&self.id, "letter")?;
        let prepared = open(&self.pipeline, warehouse)?;
        let explained = pipeline::explain(&prepared, &id)?;
        let letter = &explained.letter;
        println!("letter {} of {}", letter.letter_id, indented(&letter.source));
        if letter.record_index > 0 {
            println!(
                "row {} of its record; the steps below show the first row that is left",
                letter.record_index
            );
        }
        let message = indented(&letter.message);
        println!("rejected by {} as {}: {message}", letter.stage, indented(&letter.code));
        println!("plugin set {}", explained.plugin_set);
        let mut before: Vec<(String, String)> = Vec::new();
        for (stage, row) in &explained.steps {
            println!("\nafter {stage}");
            if row.num_rows() == 0 {
                println!("  no row any more");
                continue;
            }
            let mut now = Vec::new();
            for (field, column) in row.schema().fields().iter().zip(row.columns()) {
                let value = arrow::util::display::array_value_to_string(column, 0)?;
                let known = before.iter().find(|(name, _)| name == field.name());
                let mark = match known {
                    Some((_, earlier)) if *earlier == value => ' ',
                    Some(_) => '~',
                    None => '+',
                };
                println!("{mark} {:<18} {}", indented(field.name()), indented(&value));
                now.push((field.name().clone(), value));
            }
            before = now;
        }
        match &explained.fate {
            Fate::Resolved => println!("\nit passes"),
            Fate::Filtered => println!("\nit is dropped on purpose"),
            Fate::Rejected { stage, reason } => {
                let message = indented(&reason.message);
                println!("\nrejected by {stage} as {}: {message}", reason.code);
            }
        }
        Ok(())
    }
}

/// `STAGE=COMPONENT` as a change. A crate is not built where only signed components are taken.
fn change(given: &str, signed_only: bool, max_bytes: usize) -> Result<Change, Failure> {
    let (stage, component) = given
        .split_once('=')
        .ok_or_else(|| Failure::bad_input(format!("`{given}` is not STAGE=COMPONENT")))?;
    let given = Path::new(component);
    if signed_only && is_crate(given) {
        let (stage, path) = (stage.to_owned(), given.to_owned());
        return Err(PluginError::UnsignedCrate { stage, path }.into());
    }
    let path = if given.is_dir() { built(given)? } else { given.to_owned() };
    let component = Some(NewComponent::read(&path, max_bytes)?);
    Ok(Change { stage: stage.to_owned(), component, ..Change::default() })
}
