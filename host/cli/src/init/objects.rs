//! The first records of objects or standard input, read as a run reads them.

use std::io::{Cursor, Read};
use std::sync::Arc;

use arrow::array::AsArray;
use indicatif::ProgressBar;

use super::sample::Sample;
use super::sniff::{Found, sniff};
use crate::{Exit, Failure};
use clickmill_config::{BatchLimits, Format};
use clickmill_core::Micros;
use clickmill_core::store;
use clickmill_decode::{DecodeError, Decoder};
use clickmill_infer::{Records, quoted};
use clickmill_source::{Interrupt, Listing, Object, Progress};

/// Bytes by which it is told what an object is.
const SNIFFED_BYTES: u64 = 1 << 20;
/// Bytes of records that are looked at, at most.
const MAX_BYTES: usize = 64 << 20;

/// Looks at records of what there is under a path, a URI or `-`.
pub(super) fn sample(source: &str, rows: u64, bar: &ProgressBar) -> Result<Sample, Failure> {
    let runtime = tokio::runtime::Runtime::new()?;
    let is_stdin = source == "-";
    let uri = if is_stdin || !store::is_local(source) {
        source.to_owned()
    } else {
        let path = store::local(source).map_err(|error| Failure::new(Exit::BadInput, error))?;
        let end = if path.ends_with('/') { "/" } else { "" };
        let path = std::path::absolute(path)?;
        format!("{}{end}", path.to_string_lossy().trim_end_matches('/'))
    };
    let listing = if is_stdin {
        Listing { objects: vec![Object::stdin()], ..Listing::default() }
    } else {
        runtime.block_on(clickmill_source::find(&uri))?
    };
    let mut looking = Looking::new(rows, bar);
    for object in listing.objects {
        if looking.is_full() {
            looking.is_all = false;
            break;
        }
        let name: Arc<str> = object.name().into();
        let opened = object.open(runtime.handle(), &Progress::default(), &Interrupt::default())?;
        if let Some(input) = opened {
            looking.read(&name, input)?;
        }
    }
    looking.sample(source, &uri, is_stdin)
}

/// Records on their way into a sample.
struct Looking<'a> {
    rows: u64,
    bar: &'a ProgressBar,
    /// What the first object is; the others are of its kind or passed over.
    found: Option<Found>,
    names: Vec<String>,
    csv: Vec<Vec<String>>,
    json: Vec<String>,
    bytes: usize,
    largest: usize,
    malformed: u64,
    /// Why the first of them could not be decoded.
    why: String,
    is_all: bool,
}

impl<'a> Looking<'a> {
    fn new(rows: u64, bar: &'a ProgressBar) -> Self {
        Self {
            rows,
            bar,
            found: None,
            names: Vec::new(),
            csv: Vec::new(),
            json: Vec::new(),
            bytes: 0,
            largest: 0,
            malformed: 0,
            why: String::new(),
            is_all: true,
        }
    }

    fn count(&self) -> u64 {
        (self.csv.len() + self.json.len()) as u64
    }

    fn is_full(&self) -> bool {
        self.count() >= self.rows || self.bytes >= MAX_BYTES
    }

    fn read(&mut self, name: &Arc<str>, mut input: Box<dyn Read + Send>) -> Result<(), Failure> {
        let mut start = Vec::new();
        let read = input.by_ref().take(SNIFFED_BYTES).read_to_end(&mut start);
        read.map_err(|error| unreadable(name, error))?;
        let is_whole = (start.len() as u64) < SNIFFED_BYTES;
        let is_first = self.found.is_none();
        let found = match &self.found {
            Some(found) => found.clone(),
            None => sniff(&start, is_whole).map_err(|(what, hint)| {
                Failure::bad_input(format!("`{name}` {what}")).hint(hint)
            })?,
        };
        let limits = BatchLimits { max_rows: 1024, ..BatchLimits::default() };
        let input = Box::new(Cursor::new(start).chain(input));
        let made = Decoder::new(&found.format, limits, name.clone(), Micros::now(), input);
        let mut decoder = match made {
            Ok(decoder) => decoder,
            Err(error) if is_first => return Err(undecodable(name, error)),
            // It is of another kind, which a run will tell.
            Err(_) => {
                self.is_all = false;
                return Ok(());
            }
        };
        let fields = decoder.schema().fields().clone();
        let names: Vec<String> = fields.iter().map(|field| field.name().clone()).collect();
        if is_first {
            self.names.clone_from(&names);
        } else if names != self.names {
            self.is_all = false;
            return Ok(());
        }
        let is_csv = matches!(found.format, Format::Csv { .. });
        self.found = Some(found);
        while let Some(decoded) = decoder.next_batch().map_err(|error| undecodable(name, error))? {
            if self.is_full() {
                self.is_all = false;
                break;
            }
            self.bytes += decoded.bytes;
            self.malformed += decoded.malformed.len() as u64;
            if let Some(bad) = decoded.malformed.first().filter(|_| self.why.is_empty()) {
                self.why.clone_from(&bad.reason.message);
            }
            let batch = decoded.batch;
            let longest = batch.origins.ranges.iter().map(ExactSizeIterator::len).max();
            self.largest = self.largest.max(longest.unwrap_or_default());
            let columns: Vec<_> =
                batch.columns.columns().iter().map(|column| column.as_string::<i32>()).collect();
            let missing = usize::try_from(self.rows - self.count()).unwrap_or(usize::MAX);
            if missing < batch.rows() {
                self.is_all = false;
            }
            for row in 0..batch.rows().min(missing) {
                let mut fields = columns.iter().map(|column| column.value(row).to_owned());
                if is_csv {
                    self.csv.push(fields.collect());
                } else {
                    self.json.extend(fields.next());
                }
            }
            self.bar.set_position(self.count());
        }
        Ok(())
    }

    fn sample(self, source: &str, uri: &str, is_stdin: bool) -> Result<Sample, Failure> {
        let Some(found) = &self.found else {
            return Err(Failure::bad_input(format!("`{source}` holds nothing to look at")));
        };
        if self.malformed > self.count() {
            return Err(Failure::bad_input(format!(
                "most records of `{source}` cannot be decoded ({} of {}): {}",
                self.malformed,
                self.malformed + self.count(),
                self.why
            ))
            .hint("is it delimited text with a header line, or JSON with a value on each line? Lines before the header have to be taken off: `tail -n +2`"));
        }
        let mut lines = if is_stdin {
            vec!["kind = \"stdin\"".to_owned()]
        } else {
            vec!["kind = \"storage\"".to_owned(), format!("uri = {}", quoted(uri))]
        };
        lines.extend(found.lines.iter().cloned());
        if self.largest > 1 << 20 {
            lines.push(format!("max_record_bytes = {}", found.format.max_record_bytes()));
        }
        let is_csv = matches!(found.format, Format::Csv { .. });
        let records = if is_csv {
            Records::Csv { names: self.names, rows: self.csv }
        } else {
            Records::Json(self.json)
        };
        let (is_all, largest, malformed) = (self.is_all, self.largest, self.malformed);
        Ok(Sample { records, source: lines, is_all, largest, malformed })
    }
}

fn unreadable(name: &str, error: std::io::Error) -> Failure {
    match error.downcast::<clickmill_source::SourceError>() {
        Ok(error) => error.into(),
        Err(error) => {
            let error = anyhow::Error::new(error).context(format!("cannot read `{name}`"));
            Failure::new(Exit::Environment, error)
        }
    }
}

fn undecodable(name: &str, error: DecodeError) -> Failure {
    let exit = error.fault().into();
    Failure::new(exit, anyhow::Error::new(error).context(format!("cannot decode `{name}`")))
}
