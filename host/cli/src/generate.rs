//! `clickmill generate`: realistic events, the same for the same seed.

use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};

use super::print::bytes;
use super::{Exit, Failure};
use clickmill_generator::{BadShares, Generator, Kind, Options, Timestamp};
use clickmill_source::publish::{Published, Target, publish, start_now};

const EXAMPLES: &str = "\
Examples:
  clickmill generate shop --rows 165474 --output clothing.csv
  clickmill generate clicks --rows 1000000 --seed 7 --bad 2% \\
      --output clicks.ndjson
  clickmill generate events --rows 10000 --output events.ndjson
  clickmill generate clicks --bad bad_ip=1%,truncated_json=0.5% | head
  clickmill generate clicks --publish projects/P/topics/clicks --rate 500 \\
      --count 100000 --bad 2%
  clickmill generate clicks --publish projects/P/topics/clicks --create \\
      --subscription projects/P/subscriptions/S

Bad records of shop: wrong_field_count, not_a_number, unknown_code, bad_date, model_category_mismatch, invalid_utf8, negative_price, unbalanced_quote
Bad records of clicks and events: truncated_json, invalid_utf8, missing_required, wrong_type, bad_ip, bad_timestamp, future_timestamp, unknown_event_type, negative_price, too_deep";

/// Generates realistic events: shop clicks as CSV, clicks and nested events as JSON
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Generate {
    /// What to generate: shop, clicks or events
    kind: Kind,

    /// How many records: of events, messages of several
    #[arg(long, visible_alias = "count", default_value_t = 100_000)]
    rows: u64,

    /// Same seed, same records
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Share of bad records: of all kinds, or by kind
    #[arg(long, value_name = "SHARES", default_value = "0%")]
    bad: BadShares,

    /// How many users clicks and events come from
    #[arg(long, default_value_t = 10_000)]
    users: u64,

    /// When it begins, such as 2026-01-31 or 2026-01-31T08:30:00Z
    #[arg(long, value_name = "TIME")]
    start: Option<Timestamp>,

    /// File to write, instead of standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Pub/Sub topic to publish clicks or events to: projects/P/topics/NAME
    #[arg(long, value_name = "TOPIC", conflicts_with = "output")]
    publish: Option<String>,

    /// Messages a second; as fast as the topic takes them without it
    #[arg(long, requires = "publish")]
    rate: Option<u64>,

    /// Create the topic, and the subscription that --subscription names, where they are missing
    #[arg(long, requires = "publish")]
    create: bool,

    /// Subscription to create on the topic: projects/P/subscriptions/NAME
    #[arg(long, value_name = "SUBSCRIPTION", requires = "create")]
    subscription: Option<String>,

    /// Field whose value is the messages' ordering key, such as session_id
    #[arg(long, value_name = "FIELD", requires = "publish")]
    order_by: Option<String>,
}

impl Generate {
    pub(crate) fn run(self) -> Result<(), Failure> {
        self.bad.check(self.kind).map_err(|error| Failure::new(Exit::BadInput, error))?;
        let mut options = Options::new(self.kind, self.rows, self.seed);
        options.bad = self.bad;
        options.users = self.users;
        options.start = self.start;
        if let Some(topic) = self.publish {
            let target = Target {
                topic,
                subscription: self.subscription,
                create: self.create,
                rate: self.rate,
                order_by: self.order_by,
            };
            return publish_to(&target, self.kind, options);
        }
        let mut generator = Generator::new(&options);
        let written = match &self.output {
            Some(path) => File::create(path).and_then(|file| copy(&mut generator, file)),
            None => copy(&mut generator, bytes()),
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

/// Publishes, with progress, until all is published or Ctrl-C.
fn publish_to(target: &Target, kind: Kind, mut options: Options) -> Result<(), Failure> {
    let wrong = |message: &str| Failure::bad_input(message);
    if kind == Kind::Shop {
        return Err(wrong(
            "only clicks and events are published: shop clicks are lines of one file",
        ));
    }
    if target.rate == Some(0) {
        return Err(wrong("`--rate 0`: wanted at least 1"));
    }
    options.start = options.start.or_else(|| Some(start_now()));
    options.rate = target.rate;
    let rows = options.rows;
    let published = Arc::new(Published::default());
    let (stop, stopped) = tokio::sync::watch::channel(false);
    ctrlc::set_handler(move || {
        eprintln!("stopping: what is on its way is published");
        // The receiver may be gone: then all is published.
        let _ = stop.send(true);
    })
    .map_err(|error| Failure::new(Exit::Environment, error))?;
    let bar = ProgressBar::new(rows);
    let style =
        ProgressStyle::with_template("{bar:30} {pos}/{len} published, {per_sec}, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let started = Instant::now();
    let runtime = tokio::runtime::Runtime::new()?;
    let done = runtime.block_on(async {
        let publishing = publish(Generator::new(&options), target, &published, stopped);
        let watching = async {
            let mut ticks = tokio::time::interval(Duration::from_millis(200));
            loop {
                ticks.tick().await;
                bar.set_position(published.messages());
            }
        };
        tokio::select! {
            done = publishing => done,
            never = watching => never,
        }
    });
    bar.finish_and_clear();
    let seconds = started.elapsed().as_secs_f64();
    let messages = published.messages();
    eprintln!(
        "published {} messages, {} in {seconds:.1} s: {}/s",
        HumanCount(messages),
        HumanBytes(published.bytes()),
        HumanCount((messages as f64 / seconds) as u64),
    );
    Ok(done?)
}

fn copy(generator: &mut Generator, to: impl Write) -> io::Result<()> {
    let mut writer = BufWriter::with_capacity(1 << 16, to);
    io::copy(generator, &mut writer)?;
    writer.flush()
}
