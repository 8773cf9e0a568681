//! `clickmill generate`: realistic events, the same for the same seed.

use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::PathBuf;

use clap::Args;

use super::{Exit, Failure};
use crate::source::generator::{BadShares, Generator, Kind, Options, Timestamp};

const EXAMPLES: &str = "\
Examples:
  clickmill generate shop --rows 165474 --output clothing.csv
  clickmill generate clicks --rows 1000000 --seed 7 --bad 2% --output clicks.ndjson
  clickmill generate clicks --bad bad_ip=1%,truncated_json=0.5% | head

Bad records of shop: wrong_field_count, not_a_number, unknown_code, bad_date, model_category_mismatch, invalid_utf8, negative_price, unbalanced_quote
Bad records of clicks: truncated_json, invalid_utf8, missing_required, wrong_type, bad_ip, bad_timestamp, future_timestamp, unknown_event_type, negative_price, too_deep";

/// Generates realistic events: shop clicks as CSV, click events as JSON
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Generate {
    /// What to generate: shop or clicks
    kind: Kind,

    /// How many records
    #[arg(long, default_value_t = 100_000)]
    rows: u64,

    /// Same seed, same records
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Share of bad records: of all kinds, or by kind
    #[arg(long, value_name = "SHARES", default_value = "0%")]
    bad: BadShares,

    /// How many users clicks come from
    #[arg(long, default_value_t = 10_000)]
    users: u64,

    /// When it begins, such as 2026-01-31 or 2026-01-31T08:30:00Z
    #[arg(long, value_name = "TIME")]
    start: Option<Timestamp>,

    /// File to write, instead of standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Generate {
    pub fn run(self) -> Result<(), Failure> {
        self.bad.check(self.kind).map_err(|error| Failure::new(Exit::BadInput, error))?;
        let mut options = Options::new(self.kind, self.rows, self.seed);
        options.bad = self.bad;
        options.users = self.users;
        options.start = self.start;
        let mut generator = Generator::new(&options);
        let written = match &self.output {
            Some(path) => File::create(path).and_then(|file| copy(&mut generator, file)),
            None => copy(&mut generator, io::stdout().lock()),
        };
        match written {
            // `| head` has seen enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => {
                let to = self.output.map_or_else(
                    || "standard output".to_owned(),
                    |path| path.display().to_string(),
                );
                let error = anyhow::Error::new(error).context(format!("cannot write `{to}`"));
                return Err(Failure::new(Exit::Environment, error));
            }
            Ok(()) => {}
        }
        if self.output.is_some() {
            let counts = generator.counts();
            eprintln!("{} good records", counts.good());
            for (kind, count) in counts.bad_kinds() {
                eprintln!("{count} {kind}");
            }
        }
        Ok(())
    }
}

fn copy(generator: &mut Generator, to: impl Write) -> io::Result<()> {
    let mut writer = BufWriter::with_capacity(1 << 16, to);
    io::copy(generator, &mut writer)?;
    writer.flush()
}
