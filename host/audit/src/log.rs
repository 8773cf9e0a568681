//! The file: entries appended by any number of processes at once, a JSON object a line, and read back.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::de::IgnoredAny;

use super::host::Host;
use super::text::fit;
use super::{Entry, Event, NO_HASH, beginning};
use clickmill_core::stage::{self, NotAName};
use clickmill_core::{Fault, Micros, durable, file, private};

/// How long to wait for another process that has the file. An append takes milliseconds.
const LOCK_WAIT: Duration = Duration::from_secs(10);
/// How often to look whether it is free.
const LOCK_PAUSE: Duration = Duration::from_millis(2);
/// Bytes read at once on the way back from the file's end: most entries fit.
const CHUNK_BYTES: u64 = 4 << 10;
/// How the names of files end.
const EXTENSION: &str = "jsonl";

/// The log of a pipeline.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    pipeline: String,
}

/// Why an entry is not written, or a file not read.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// No pipeline is called that: it would name a file elsewhere.
    #[error("no audit log is of a pipeline whose name")]
    Name(#[source] NotAName),
    /// The disk failed.
    #[error("audit log: cannot {what} `{path}`", path = path.display())]
    Disk {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Another process has the file and keeps it.
    #[error("audit log `{path}` is locked by another process: waited {waited:?}", path = path.display())]
    Locked {
        /// The file.
        path: PathBuf,
        /// For how long it was tried.
        waited: Duration,
    },
    /// The last line is whole, but no entry: nothing can be chained to it.
    #[error("audit log `{path}`: the last line is not an entry, so none can follow it", path = path.display())]
    Last {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// The last entry's number is the highest there is.
    #[error("audit log `{path}`: no number follows {sequence}", path = path.display())]
    Exhausted {
        /// The file.
        path: PathBuf,
        /// The last entry's number.
        sequence: u64,
    },
}

impl AuditError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Disk { .. } | Self::Locked { .. } => Fault::Environment,
            Self::Last { .. } | Self::Exhausted { .. } => Fault::Run,
            Self::Name(_) => Fault::Input,
        }
    }
}

/// Why a line is no entry.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is whole, but something else.
    #[error("line {line} is not an entry")]
    NotAnEntry {
        /// The line, from 1.
        line: u64,
        /// Where in it and why.
        source: serde_json::Error,
    },
    /// It is the last one and has no end. A crash leaves that; the next append moves it aside.
    #[error("line {line} is torn: {bytes} bytes without an end of line")]
    Torn {
        /// The line, from 1.
        line: u64,
        /// How much of it there is.
        bytes: usize,
    },
}

impl Log {
    /// The log of a pipeline in `folder`, which is created.
    pub fn open(folder: &Path, pipeline: &str) -> Result<Self, AuditError> {
        stage::check_name(pipeline).map_err(AuditError::Name)?;
        durable::private_folder(folder).map_err(disk("create", folder))?;
        let path = folder.join(format!("{pipeline}.{EXTENSION}"));
        Ok(Self { path, pipeline: pipeline.to_owned() })
    }

    /// Whether it has no entry yet: the next begins a chain.
    pub fn is_new(&self) -> bool {
        fs::metadata(&self.path).map_or(true, |metadata| metadata.len() == 0)
    }

    /// Appends an event; durable once it returns. An error means that there is no entry. Where it begins a
    /// chain, that is after the entry with the hash `after`. Blocks while another process appends, and
    /// until the disk is done: it belongs on a thread, not in a task.
    pub fn append(&self, event: Event, after: Option<String>) -> Result<Entry, AuditError> {
        // Opened anew each time: a file that was moved away is not written to.
        let opened = private::writing(folder_of(&self.path), &self.path).and_then(|mut options| {
            options.read(true).create(true).truncate(false).open(&self.path)
        });
        let mut file = opened.and_then(file::only).map_err(disk("open", &self.path))?;
        // Given back when the file is closed.
        self::lock(&self.path, || file.try_lock())?;
        let (end, last) = self.whole(&mut file)?;
        let (sequence, previous) = match last {
            Some(last) if last.sequence >= i64::MAX as u64 => {
                let (path, sequence) = (self.path.clone(), last.sequence);
                return Err(AuditError::Exhausted { path, sequence });
            }
            Some(last) => (last.sequence + 1, last.hash),
            None => (1, after.unwrap_or_else(|| NO_HASH.to_owned())),
        };
        let mut event = event;
        if sequence == 1 {
            let beginning = beginning(&Host::here(), rand::random());
            event.detail = format!("{beginning}; {}", event.detail);
        }
        let entry = Entry::new(sequence, Micros::now().get(), &self.pipeline, fit(event), previous);
        let mut line = serde_json::to_vec(&entry).expect("texts and numbers are JSON");
        line.push(b'\n');
        let written = file
            .seek(SeekFrom::Start(end))
            .and_then(|_| file.write_all(&line))
            .and_then(|()| file.sync_data())
            .and_then(|()| if end == 0 { durable::sync_name(&self.path) } else { Ok(()) });
        if let Err(source) = written {
            // What the caller takes for lost must not turn up; what stays of it is taken for torn.
            let _ = file.set_len(end);
            return Err(AuditError::Disk { what: "write", path: self.path.clone(), source });
        }
        Ok(entry)
    }

    /// The end of the last whole line and its entry. What a crash left after it is moved aside first.
    fn whole(&self, file: &mut File) -> Result<(u64, Option<Entry>), AuditError> {
        let failed = |source| disk("read", &self.path)(source);
        let length = file.metadata().map_err(failed)?.len();
        let mut end = line_start(file, length).map_err(failed)?;
        let mut line = line_before(file, end).map_err(failed)?;
        let is_json = |line: &[u8]| serde_json::from_slice::<IgnoredAny>(line).is_ok();
        // A crash may leave a line that has its end but not all before it.
        if let Some((start, bytes)) = &line
            && end == length
            && !is_json(bytes)
        {
            end = *start;
            line = line_before(file, end).map_err(failed)?;
        }
        let parsed = line.map(|(_, line)| serde_json::from_slice(&line)).transpose();
        let last = parsed.map_err(|source| AuditError::Last { path: self.path.clone(), source })?;
        if end < length {
            let torn = bytes(file, end, length).map_err(failed)?;
            self.keep(&torn)?;
            file.set_len(end).map_err(disk("truncate", &self.path))?;
        }
        Ok((end, last))
    }

    /// Keeps a torn line in a file of its own.
    fn keep(&self, torn: &[u8]) -> Result<(), AuditError> {
        let mut micros = Micros::now().get();
        loop {
            let path = self.path.with_extension(format!("{EXTENSION}.torn-{micros}"));
            match durable::create(&path, torn) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => micros += 1,
                kept => return kept.map_err(disk("write", &path)),
            }
        }
    }
}

/// The logs in a folder: name of the pipeline and file, in the order of names. None where there is no
/// such folder.
pub fn logs(folder: &Path) -> Result<Vec<(String, PathBuf)>, AuditError> {
    let listed = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed.map_err(disk("list", folder))?,
    };
    let mut logs = Vec::new();
    for entry in listed {
        let path = entry.map_err(disk("list", folder))?.path();
        let name = path.file_stem().and_then(|name| name.to_str()).map(str::to_owned);
        if let Some(name) = name
            && path.extension().is_some_and(|extension| extension == EXTENSION)
        {
            logs.push((name, path));
        }
    }
    logs.sort();
    Ok(logs)
}

/// Reads a file: its n-th item is what line n holds. The file is read whole, while no one appends.
pub fn read(path: &Path) -> Result<Lines, AuditError> {
    let opened = private::check_read(folder_of(path), path).and_then(|()| file::open(path));
    let mut file = opened.map_err(disk("open", path))?;
    lock(path, || file.try_lock_shared())?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(disk("read", path))?;
    Ok(Lines::new(bytes))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

/// The lines of a file.
#[derive(Debug)]
pub struct Lines {
    bytes: Vec<u8>,
    at: usize,
    line: u64,
}

impl Lines {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, at: 0, line: 0 }
    }
}

impl Iterator for Lines {
    type Item = Result<Entry, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.bytes.get(self.at..).filter(|rest| !rest.is_empty())?;
        self.line += 1;
        let line = self.line;
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            self.at = self.bytes.len();
            return Some(Err(ReadError::Torn { line, bytes: rest.len() }));
        };
        self.at += end + 1;
        let entry = serde_json::from_slice(&rest[..end]);
        Some(entry.map_err(|source| ReadError::NotAnEntry { line, source }))
    }
}

/// Takes a lock, or gives up after a while: a process that hangs must not hang others.
fn lock(
    path: &Path,
    mut attempt: impl FnMut() -> Result<(), TryLockError>,
) -> Result<(), AuditError> {
    let began = Instant::now();
    loop {
        match attempt() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(source)) => return Err(disk("lock", path)(source)),
            Err(TryLockError::WouldBlock) if began.elapsed() >= LOCK_WAIT => {
                return Err(AuditError::Locked { path: path.to_owned(), waited: LOCK_WAIT });
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
        }
    }
}

/// Where the line begins that the bytes before `end` belong to.
fn line_start(file: &mut File, end: u64) -> io::Result<u64> {
    let mut to = end;
    while to > 0 {
        let from = to.saturating_sub(CHUNK_BYTES);
        let chunk = bytes(file, from, to)?;
        if let Some(at) = chunk.iter().rposition(|byte| *byte == b'\n') {
            return Ok(from + at as u64 + 1);
        }
        to = from;
    }
    Ok(0)
}

/// Start and bytes of the line whose end of line is the byte before `end`.
fn line_before(file: &mut File, end: u64) -> io::Result<Option<(u64, Vec<u8>)>> {
    let Some(stop) = end.checked_sub(1) else { return Ok(None) };
    let start = line_start(file, stop)?;
    Ok(Some((start, bytes(file, start, stop)?)))
}

fn bytes(file: &mut File, from: u64, to: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(to - from).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn disk(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> AuditError {
    let path = path.to_owned();
    move |source| AuditError::Disk { what, path, source }
}
