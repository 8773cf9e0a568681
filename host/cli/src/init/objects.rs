//! The first records of objects or standard input, read as a run reads them.

use std::io::{Cursor, Read};
use std::mem::discriminant;
use std::path::Path;
use std::sync::Arc;

use arrow::array::AsArray;
use indicatif::ProgressBar;

use super::sample::{MAX_VALUES, Sample, values};
use super::sniff::{Found, sniff};
use crate::{Exit, Failure};
use clickmill_config::{BatchLimits, Format};
use clickmill_core::batch::{Position, Reason};
use clickmill_core::{Micros, store};
use clickmill_decode::{DecodeError, Decoder};
use clickmill_infer::{Records, Rows, quoted};
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
    let is_file = is_stdin || store::local(source).is_ok_and(|path| Path::new(path).is_file());
    let called = |object: &Object| {
        if is_file { source.to_owned() } else { called(&object.uri, source) }
    };
    // Where all are called so, they are what is meant.
    let has_data = listing.objects.iter().any(|object| !is_beside_data(&object.uri));
    let is_beside = |object: &Object| has_data && is_beside_data(&object.uri);
    let (beside, objects): (Vec<Object>, Vec<Object>) =
        listing.objects.into_iter().partition(is_beside);
    let uris: Vec<&str> = objects.iter().map(|object| object.uri.as_str()).collect();
    let is_exact = |pattern: &String| {
        let found = runtime.block_on(clickmill_source::find(pattern));
        found.is_ok_and(|found| found.objects.iter().map(|object| &object.uri).eq(&uris))
    };
    let pattern = if beside.is_empty() { None } else { pattern(&uri, &uris).filter(is_exact) };
    let mut looking = Looking::new(rows, bar);
    if let Some(first) = beside.first() {
        let more = match beside.len() {
            1 => String::new(),
            all => format!(" and {} more", all - 1),
        };
        let passed_over = format!("`{}`{more}: no data by name, and passed over", called(first));
        bar.suspend(|| match &pattern {
            Some(pattern) => eprintln!("{passed_over}; the pipeline reads `{pattern}`"),
            None => eprintln!(
                "{passed_over}. A run reads all that there is: name the data by a pattern, as `'FOLDER/*.csv'` does"
            ),
        });
        looking.is_all = pattern.is_some();
    }
    let uri = pattern.unwrap_or(uri);
    for object in objects {
        if looking.is_full() {
            looking.is_all = false;
            break;
        }
        let name: Arc<str> = called(&object).into();
        let opened = object.open(runtime.handle(), &Progress::default(), &Interrupt::default())?;
        if let Some(input) = opened {
            looking.read(&name, input)?;
        }
    }
    looking.sample(source, &uri, is_stdin)
}

/// What whoever runs the command calls an object: a path as it is written where the source is.
fn called(uri: &str, source: &str) -> String {
    let Some(path) = uri.strip_prefix("file://") else { return uri.to_owned() };
    let is_relative = store::local(source).is_ok_and(|source| Path::new(source).is_relative());
    let current = std::env::current_dir().ok().filter(|_| is_relative);
    let within = current.and_then(|current| Path::new(path).strip_prefix(current).ok());
    within.map_or_else(|| path.to_owned(), |path| path.to_string_lossy().into_owned())
}

/// Whether a file tells of the data beside it and is none, by its name.
fn is_beside_data(uri: &str) -> bool {
    const ENDS: &str = "md markdown rst adoc htm html pdf doc docx rtf png jpg jpeg gif svg py ipynb sql sh \
        yaml yml toml ini md5 sha256";
    const STEMS: &str = "readme license licence copying notice changelog authors contributing";
    let name = uri.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let (stem, end) = name.rsplit_once('.').unwrap_or((&name, ""));
    let is_one_of = |all: &str, it: &str| all.split(' ').any(|one| one == it);
    is_one_of(ENDS, end) || matches!(end, "" | "txt") && is_one_of(STEMS, stem)
}

/// A pattern that may mean these objects of a folder and no others: how their names end, if all do so.
fn pattern(folder: &str, uris: &[&str]) -> Option<String> {
    let end = |uri: &&str| {
        let name = uri.rsplit('/').next()?;
        let (stem, last) = name.rsplit_once('.')?;
        let packed = stem.rsplit_once('.').filter(|_| matches!(last, "gz" | "zst" | "zstd"));
        Some(packed.map_or_else(|| last.to_owned(), |(_, kind)| format!("{kind}.{last}")))
    };
    let first = end(uris.first()?)?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '.';
    let fits = first.chars().all(is_plain) && !folder.contains(['*', '?', '[']);
    let is_shared = || uris.iter().all(|uri| end(uri).as_ref() == Some(&first));
    (fits && is_shared()).then(|| format!("{}/**/*.{first}", folder.trim_end_matches('/')))
}

/// Records on their way into a sample.
struct Looking<'a> {
    rows: u64,
    bar: &'a ProgressBar,
    /// What the first object is; the others are of its kind or passed over.
    found: Option<Found>,
    names: Vec<String>,
    csv: Rows,
    json: Vec<String>,
    bytes: usize,
    /// How many values the JSON texts have.
    values: usize,
    largest: usize,
    malformed: usize,
    /// Where the first of them is, and why it could not be decoded.
    why: Option<(String, Reason)>,
    /// Objects that are of another kind than the first, or have other columns.
    others: Vec<Arc<str>>,
    is_all: bool,
}

impl<'a> Looking<'a> {
    fn new(rows: u64, bar: &'a ProgressBar) -> Self {
        Self {
            rows,
            bar,
            found: None,
            names: Vec::new(),
            csv: Rows::default(),
            json: Vec::new(),
            bytes: 0,
            values: 0,
            largest: 0,
            malformed: 0,
            why: None,
            others: Vec::new(),
            is_all: true,
        }
    }

    fn count(&self) -> u64 {
        (self.csv.len() + self.json.len()) as u64
    }

    fn is_full(&self) -> bool {
        let values = self.csv.fields() + self.values;
        self.count() >= self.rows || self.bytes >= MAX_BYTES || values >= MAX_VALUES
    }

    fn pass_over(&mut self, name: &Arc<str>) {
        self.others.push(Arc::clone(name));
        self.is_all = false;
    }

    fn read(&mut self, name: &Arc<str>, mut input: Box<dyn Read + Send>) -> Result<(), Failure> {
        let mut start = Vec::new();
        let read = input.by_ref().take(SNIFFED_BYTES).read_to_end(&mut start);
        read.map_err(|error| unreadable(name, error))?;
        let is_whole = (start.len() as u64) < SNIFFED_BYTES;
        let is_first = self.found.is_none();
        let sniffed = sniff(&start, is_whole);
        let found = match &self.found {
            Some(found) => {
                let kind = |found: &Found| discriminant(&found.format);
                if !start.is_empty() && !sniffed.is_ok_and(|other| kind(&other) == kind(found)) {
                    self.pass_over(name);
                    return Ok(());
                }
                found.clone()
            }
            None => sniffed.map_err(|(what, hint)| {
                Failure::bad_input(format!("`{name}` {what}")).hint(hint)
            })?,
        };
        let limits = BatchLimits { max_rows: 1024, ..BatchLimits::default() };
        let input = Box::new(Cursor::new(start).chain(input));
        let made = Decoder::new(&found.format, limits, name.clone(), Micros::now(), input);
        let mut decoder = match made {
            Ok(decoder) => decoder,
            Err(error) if is_first => return Err(undecodable(name, error)),
            Err(_) => {
                self.pass_over(name);
                return Ok(());
            }
        };
        let fields = decoder.schema().fields().clone();
        let names: Vec<String> = fields.iter().map(|field| field.name().clone()).collect();
        if is_first {
            self.names.clone_from(&names);
            self.csv = Rows::new(names.len());
            let told = found.told.iter().map(|told| format!("`{name}` {told}"));
            self.bar.suspend(|| told.for_each(|told| eprintln!("{told}")));
        } else if names != self.names {
            self.pass_over(name);
            return Ok(());
        }
        let is_csv = matches!(found.format, Format::Csv { .. });
        self.found = Some(found);
        while let Some(decoded) = decoder.next_batch().map_err(|error| undecodable(name, error))? {
            if self.is_full() {
                self.is_all = false;
                break;
            }
            self.malformed += decoded.malformed.len();
            if let Some(bad) = decoded.malformed.into_iter().next() {
                let place = match bad.position {
                    Position::Line(line) => format!("line {line} of `{name}`"),
                    Position::Message(_) => format!("a message of `{name}`"),
                };
                self.why.get_or_insert((place, bad.reason));
            }
            let batch = decoded.batch;
            let longest = batch.origins.ranges.iter().map(ExactSizeIterator::len).max();
            self.largest = self.largest.max(longest.unwrap_or_default());
            let columns: Vec<_> =
                batch.columns.columns().iter().map(|column| column.as_string::<i32>()).collect();
            for row in 0..batch.rows() {
                if self.is_full() {
                    self.is_all = false;
                    break;
                }
                let mut fields = columns.iter().map(|column| column.value(row));
                if is_csv {
                    self.csv.push(fields);
                } else if let Some(text) = fields.next() {
                    self.values += values(text);
                    self.json.push(text.to_owned());
                }
            }
            self.bytes += decoded.bytes;
            self.bar.set_position(self.count());
        }
        Ok(())
    }

    fn sample(self, source: &str, uri: &str, is_stdin: bool) -> Result<Sample, Failure> {
        if let [first, rest @ ..] = &*self.others {
            let (and, have) = match rest.len() {
                0 => (String::new(), "has"),
                more => (format!(" and {more} more"), "have"),
            };
            self.bar.suspend(|| {
                eprintln!(
                    "`{first}`{and} {have} other columns than what was looked at before, or another format, and the pipeline is not made for it: name files of one kind by a pattern, as `'FOLDER/*.csv'` does, or begin a pipeline for each"
                );
            });
        }
        let Some(found) = &self.found else {
            let error = Failure::bad_input(format!("`{source}` holds nothing to look at"));
            return Err(error.hint("name a file, a folder or a pattern of files that hold records"));
        };
        let (bad, good) = (self.malformed, self.count() as usize);
        if let Some((_, why)) = self.why.as_ref().filter(|_| bad > good) {
            let all = bad + good;
            let error = Failure::bad_input(format!(
                "most records of `{source}` cannot be decoded ({bad} of {all}): {}",
                why.message
            ));
            let hint = if why.code == "invalid_utf8" {
                "is it in two encodings? `iconv -f WINDOWS-1252 -t UTF-8 FILE > DATA.csv` writes lines of that one as UTF-8; `LC_ALL=C.UTF-8 grep -ax '.*' FILE` are those that are UTF-8 already"
            } else {
                "is it delimited text with a header line, or JSON with a value on each line? Lines before the header have to be taken off: `tail -n +2`"
            };
            return Err(error.hint(hint));
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
        let why = self.why.map(|(place, why)| format!("{place}, {}", why.message));
        let first_malformed = why.unwrap_or_default();
        Ok(Sample { records, source: lines, is_all, largest, malformed, first_malformed })
    }
}

fn unreadable(name: &str, error: std::io::Error) -> Failure {
    match error.downcast::<clickmill_source::SourceError>() {
        Ok(error) => error.into(),
        Err(error) => {
            let error = anyhow::Error::new(error).context(format!("cannot read `{name}`"));
            Failure::new(Exit::Environment, error)
                .hint("once it can be read, the same command goes on")
        }
    }
}

fn undecodable(name: &str, error: DecodeError) -> Failure {
    let hint = match error {
        DecodeError::HeaderText { .. } => {
            "the header has to be text: `head -n 1 FILE | iconv -f WINDOWS-1252` shows it where it is in that encoding, and `iconv -f WINDOWS-1252 -t UTF-8 FILE > DATA.csv` writes all so"
        }
        DecodeError::Read { .. } => {
            "what comes there is damaged, or could not be had: try again, with another copy of it"
        }
        _ => {
            "`head -n 1 FILE` shows the first record, which has to be mended: it names the columns"
        }
    };
    let exit = error.fault().into();
    let error = anyhow::Error::new(error).context(format!("cannot decode `{name}`"));
    Failure::new(exit, error).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_tell_of_data_are_told_from_data() {
        for name in ["README.md", "readme", "License.txt", "docs/a.PDF", "readme.en.md", "load.sql"]
        {
            assert!(is_beside_data(&format!("file:///lake/{name}")), "{name}");
        }
        for name in [
            "readme.csv",
            "notes.txt",
            "license_plates.txt",
            "a.csv.gz",
            "part-0",
            "md",
            "readme.md/a",
        ] {
            assert!(!is_beside_data(&format!("file:///lake/{name}")), "{name}");
        }
    }

    #[test]
    fn objects_that_end_alike_are_meant_by_a_pattern() {
        for (uris, wanted) in [
            (&["file:///lake/a.csv", "file:///lake/2026/b.1.csv"][..], Some("/lake/**/*.csv")),
            (&["file:///lake/a.csv.gz"], Some("/lake/**/*.csv.gz")),
            (&["file:///lake/a.csv", "file:///lake/a.csv.gz"], None),
            (&["file:///lake/part-0"], None),
            (&["file:///lake/a.[x"], None),
            (&[], None),
        ] {
            assert_eq!(pattern("/lake/", uris).as_deref(), wanted, "{uris:?}");
        }
        assert_eq!(pattern("/lake/*", &["file:///lake/a.csv"]), None);
    }

    #[test]
    fn objects_are_called_as_the_source_is() {
        let current = std::env::current_dir().expect("a folder");
        let uri = format!("file://{}/lake/a.csv", current.display());
        assert_eq!(called(&uri, "lake"), "lake/a.csv");
        assert_eq!(called(&uri, "/lake"), format!("{}/lake/a.csv", current.display()));
        assert_eq!(called("gs://lake/a.csv", "gs://lake/"), "gs://lake/a.csv");
    }
}
