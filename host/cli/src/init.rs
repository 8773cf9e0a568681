//! `clickmill init`: looks at data and writes a pipeline for them, which runs as it is. Nothing is asked, and
//! nothing that is there is written over.

mod messages;
mod objects;
mod sample;
mod sniff;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::new_folder::{self, DEAD_LETTER, FILLED_IN, is_there};
use super::{Exit, Failure, place};
use clickmill_core::schema::provenance;
use clickmill_core::{Micros, lock, shell_word, store};
use clickmill_infer::{About, Proposal, propose};
use sample::Sample;

const EXAMPLES: &str = "\
Examples:
  clickmill init orders.csv
  clickmill init 'exports/*.csv.gz' --output orders
  clickmill init gs://my-bucket/events/ --rows 100000
  clickmill generate events --rows 1000 | clickmill init - --output events
  clickmill init projects/my-project/subscriptions/clicks

The folder has a pipeline file with its reasons in comments, the schema of its table, and a README with the next commands. What it looks at stays as it is: messages of a subscription are given back, never acknowledged.";

/// Tables of the host's own, beside those of dead letters.
const TABLES: [&str; 4] = ["audit_log", "load_failures", "load_ledger", "plugin_sets"];

/// What to do where the folder is there.
const INSTEAD: &str = "name another with --output";

/// Longest name of a pipeline.
const MAX_NAME_CHARS: usize = 64;

/// Looks at data and writes a pipeline for them: columns, masks, rules
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Init {
    /// A file, a folder or a pattern, gs://bucket/prefix/, - for standard input, or projects/P/subscriptions/NAME
    #[arg(value_name = "SOURCE")]
    source: String,

    /// The folder to make (default: named by the source, in the current folder)
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,

    /// How many records to look at, at most; of messages, 1000
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    rows: u64,
}

impl Init {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let is_stream =
            self.source.starts_with("projects/") && self.source.contains("/subscriptions/");
        let folder = match &self.output {
            Some(folder) => folder.clone(),
            None => name_of(&self.source).into(),
        };
        // Before anything is looked at, which may take long.
        if folder.symlink_metadata().is_ok() {
            return Err(is_there(&folder, INSTEAD));
        }
        if lies_in(&folder, &self.source) {
            let error = format!(
                "`{}` would lie in `{}`, and a run would take what is written there for data",
                folder.display(),
                self.source
            );
            return Err(Failure::bad_input(error).hint("name a folder beside it with --output"));
        }
        let plugins = plugins()?;
        on_interrupt()?;
        let bar = ProgressBar::new_spinner();
        let style = ProgressStyle::with_template("{spinner} {pos} records looked at, {elapsed}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.enable_steady_tick(Duration::from_millis(200));
        let sample = if is_stream {
            messages::sample(&self.source, self.rows, &bar)
        } else {
            objects::sample(&self.source, self.rows, &bar)
        };
        bar.finish_and_clear();
        let sample = sample?;
        let proposal = self.proposal(&folder, &sample, plugins, is_stream)?;
        let files = proposal.files.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        let writing = lock(&WRITING);
        new_folder::make(&folder, files, INSTEAD)?;
        drop(writing);
        tell(&folder, &proposal, &sample, &self.source);
        Ok(())
    }

    fn proposal(
        &self,
        folder: &Path,
        sample: &Sample,
        plugins: PathBuf,
        is_stream: bool,
    ) -> Result<Proposal, Failure> {
        let named = folder.file_name().unwrap_or_default().to_string_lossy();
        let name = short(&named);
        let table = name.replace('-', "_");
        // Tables that every dataset of a pipeline has.
        let is_taken = table.starts_with("dead_letter") || TABLES.contains(&table.as_str());
        let table = if is_taken { format!("{table}_rows") } else { table };
        let years = Duration::from_secs(31_556_952).as_micros() as i64;
        let about = About {
            // Of messages that come again, a view has each once.
            table: if is_stream { format!("{table}_raw") } else { table },
            name,
            dataset: place::DATASET.to_owned(),
            origin: format!("`{}`", self.source),
            source: sample.source.clone(),
            is_all: sample.is_all,
            plugins: plugins.to_string_lossy().into_owned(),
            dead_letter: DEAD_LETTER.to_owned(),
            filled_in: FILLED_IN.to_vec(),
            taken: provenance::ALL.to_vec(),
            year: u32::try_from(1970 + Micros::now().get() / years).unwrap_or(1970),
            pipeline: shell_word(&format!("{}/pipeline.toml", folder.display())),
            before_run: if self.source == "-" { "cat DATA | ".to_owned() } else { String::new() },
            largest: sample.largest,
            malformed: sample.malformed,
            first_malformed: sample.first_malformed.clone(),
        };
        propose(&sample.records, &about).map_err(|why| {
            Failure::bad_input(format!("no pipeline can be made of `{}`: {why}", self.source))
        })
    }
}

/// A name for the folder, by the source's own.
fn name_of(source: &str) -> String {
    let whole = source.trim_end_matches('/');
    let parts =
        whole.rsplit('/').filter(|part| !part.contains(['*', '?', '[']) && !part.is_empty());
    let last = parts.take(1).next().unwrap_or_default();
    let stem = last.split('.').find(|part| !part.is_empty()).unwrap_or_default();
    if source == "-" { "stdin".to_owned() } else { short(stem) }
}

/// A name as pipelines have it.
fn short(name: &str) -> String {
    let plain = clickmill_infer::plain(name).to_ascii_lowercase();
    let short: String = plain.chars().take(MAX_NAME_CHARS).collect();
    if short.is_empty() { "data".to_owned() } else { short }
}

/// Whether the folder to make lies in the folder that is looked at: of that a run reads all, at any depth.
fn lies_in(folder: &Path, source: &str) -> bool {
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = fs::canonicalize(parent.unwrap_or(Path::new(".")));
    let source = store::local(source).ok().filter(|path| Path::new(path).is_dir());
    let source = source.and_then(|path| fs::canonicalize(path).ok());
    parent.is_ok_and(|parent| source.is_some_and(|source| parent.starts_with(source)))
}

/// The folder of the plugins that come with clickmill.
fn plugins() -> Result<PathBuf, Failure> {
    let all = place::plugins();
    let folder = all.first().and_then(|plugin| plugin.parent()).map(Path::to_owned);
    let wanted = ["parse", "mask", "validate"];
    let is_whole = |folder: &PathBuf| wanted.iter().all(|name| folder.join(name).is_dir());
    folder.filter(is_whole).ok_or_else(|| {
        Failure::bad_input("the plugins parse, mask and validate are not found").hint(
            "in a clone of the project, `.ci/share FOLDER` puts into a folder what comes with clickmill; CLICKMILL_SHARE names it",
        )
    })
}

/// Whether files are being written, which takes a moment.
static WRITING: Mutex<()> = Mutex::new(());

/// Ctrl-C ends it at once, but for that moment.
fn on_interrupt() -> Result<(), Failure> {
    let set = ctrlc::set_handler(|| {
        let _until_whole = lock(&WRITING);
        eprintln!("stopped: nothing is half written");
        std::process::exit(i32::from(Exit::Failed as u8));
    });
    set.map_err(|error| Failure::new(Exit::Environment, error))
}

fn tell(folder: &Path, proposal: &Proposal, sample: &Sample, source: &str) {
    println!("{}", folder.display());
    let looked = if sample.is_all { "all" } else { "the first" };
    eprintln!(
        "looked at {looked} {} records of `{source}`: {} columns; `{}` says why each is as it is",
        proposal.records,
        proposal.columns,
        folder.join("pipeline.toml").display(),
    );
    proposal.told.iter().for_each(|told| eprintln!("{told}"));
    if !proposal.personal.is_empty() {
        eprintln!("these columns look personal, and are masked:");
        proposal.personal.iter().for_each(|line| eprintln!("  {line}"));
    }
    eprintln!("next:");
    eprintln!("  export CLICKMILL_MASK_KEY=$(openssl rand -hex 32)");
    eprintln!("  {}", proposal.run);
    eprintln!("  clickmill dead-letter list");
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_column_is_given_a_name_that_schemas_refuse() {
        let refused = clickmill_core::schema::RESERVED.map(str::to_ascii_lowercase);
        assert_eq!(clickmill_infer::RESERVED.map(str::to_owned), refused);
    }
}
