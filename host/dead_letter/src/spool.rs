//! A folder that keeps dead letters while their table is away: a file per append, durable before it
//! counts, carried over and removed once the table is back. Any number of processes share it.
//!
//! ```text
//! <spool>/<pipeline>/<nanoseconds>-<process>-<number>-<table>.arrow   letters that wait, the oldest first
//! <spool>/<pipeline>/….part                                           letters in the making
//! <spool>/<pipeline>.refused/….arrow                                  letters that the table refuses
//! <spool>/<pipeline>.carry                                            locked by the process that carries over
//! <spool>/<pipeline>.write                                            locked by all that write, together
//! ```
//!
//! `<table>` is the beginning of a digest of the table that the letters are for: pipelines of one name may
//! have several. A file of before names none, and goes to whichever comes first.
//!
//! What the table has taken of a file is taken out of it before anything else is done. A crash between the
//! two gives those letters twice; `letter_id` tells.

mod error;

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::reader::FileReader;
use arrow::ipc::writer::FileWriter;

pub use error::SpoolError;

use clickmill_core::columns::{absent, fitted};
use clickmill_core::{Digest, Micros, durable, file, lock, private};

/// How the names of files with letters end.
const LETTERS: &str = "arrow";
/// How the names of files in the making end.
const PART: &str = "part";
/// Beside a spool, its name with these extensions: the folder of what the table refuses, …
const REFUSED: &str = "refused";
/// … what is locked by whoever carries over, …
const CARRY: &str = "carry";
/// … and by all that write.
const WRITE: &str = "write";

/// So much of a table's digest is in a file's name.
const DIGITS_OF_TABLE: usize = 16;

/// How long is waited for a process that looks whether anybody writes: one that is stopped must not stop
/// others.
const LOCK_WAIT: Duration = Duration::from_secs(10);

/// A spool.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    /// How the names of files for its table end, before the extension.
    table: String,
    max_bytes: u64,
    /// How many letters files hold, as far as this process has looked.
    counted: Mutex<HashMap<PathBuf, u64>>,
    /// What is left of files that the disk would not take the rest of.
    unwritten: Mutex<HashMap<PathBuf, RecordBatch>>,
}

/// What a spool holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    /// Letters that wait for their table.
    pub waiting: u64,
    /// Letters that the table refuses, and files that hold no letters, which count as one.
    pub set_aside: u64,
    /// Since when the oldest of those that wait does.
    pub oldest: Option<Micros>,
}

/// Whoever has it carries letters over, and no other process does. It is given back when it is dropped.
#[derive(Debug)]
pub struct Carrier {
    _carrying: File,
}

impl Spool {
    /// The spool of a pipeline's letters for `table`, a name that no other table has, in `folder`, which may
    /// hold `max_bytes`. What was set aside is tried once more: the table may have changed since.
    pub fn open(
        folder: &Path,
        pipeline: &str,
        table: &str,
        max_bytes: u64,
    ) -> Result<Self, SpoolError> {
        let folder = folder.join(pipeline);
        durable::private_folder(&folder).map_err(disk("create", &folder))?;
        let (counted, unwritten) = Default::default();
        let digest = Digest::of(table.as_bytes());
        let table = digest.as_str()[..DIGITS_OF_TABLE].to_owned();
        let spool = Self { folder, table, max_bytes, counted, unwritten };
        for path in spool.own(&spool.beside(REFUSED))? {
            rename(&path, &spool.folder)?;
        }
        Ok(spool)
    }

    /// Keeps letters; durable once it returns.
    pub fn keep(&self, letters: &RecordBatch) -> Result<(), SpoolError> {
        self.keep_in(&self.folder, letters)
    }

    /// Keeps letters that the table refuses; durable once it returns.
    pub fn keep_aside(&self, letters: &RecordBatch) -> Result<(), SpoolError> {
        self.keep_in(&self.refused()?, letters)
    }

    fn keep_in(&self, folder: &Path, letters: &RecordBatch) -> Result<(), SpoolError> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let (process, number) = (std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let name = format!("{nanos:020}-{process}-{number}-{}.{LETTERS}", self.table);
        let path = folder.join(name);
        let bytes = encode(letters).map_err(arrow("write", &path))?;
        let (held, wanted) = (self.bytes()?, bytes.len() as u64);
        if held + wanted > self.max_bytes {
            let (folder, max_bytes) = (self.folder.clone(), self.max_bytes);
            return Err(SpoolError::Full { folder, held, wanted, max_bytes });
        }
        self.write(&path, &bytes, letters.num_rows())
    }

    /// Claims to carry letters over. `None` while another process is at it. What processes that are gone
    /// have left half written is removed: its letters were never acknowledged.
    pub fn carrier(&self) -> Result<Option<Carrier>, SpoolError> {
        let Some(carrying) = self.exclusive(CARRY)? else { return Ok(None) };
        if let Some(_nobody_writes) = self.exclusive(WRITE)? {
            for folder in [&self.folder, &self.beside(REFUSED)] {
                for (path, _) in files(folder, PART)? {
                    fs::remove_file(&path).map_err(disk("remove", &path))?;
                }
            }
        }
        Ok(Some(Carrier { _carrying: carrying }))
    }

    /// The files that wait to be carried over, the oldest first.
    pub fn waiting(&self) -> Result<Vec<PathBuf>, SpoolError> {
        self.own(&self.folder)
    }

    /// Files of a folder with letters for this table, the oldest first.
    fn own(&self, folder: &Path) -> Result<Vec<PathBuf>, SpoolError> {
        let paths = files(folder, LETTERS)?.into_iter().map(|(path, _)| path);
        Ok(paths.filter(|path| self.is_own(path)).collect())
    }

    fn is_own(&self, path: &Path) -> bool {
        table(path).is_none_or(|table| table == self.table)
    }

    /// Pipelines that have letters in the same folder that this one does not carry over, and in how many files:
    /// others, and this one with another table. Nobody does where a pipeline or its table has another name by now.
    pub fn others(&self) -> Result<Vec<(String, usize)>, SpoolError> {
        let Some(beside) = self.folder.parent() else { return Ok(Vec::new()) };
        let mut others = Vec::new();
        for entry in fs::read_dir(beside).map_err(disk("list", beside))? {
            let folder = entry.map_err(disk("list", beside))?.path();
            // A pipeline's name has no dot.
            let name =
                folder.file_name().and_then(OsStr::to_str).filter(|name| !name.contains('.'));
            let Some(name) = name else { continue };
            let mut there = files(&folder, LETTERS)?;
            there.extend(files(&folder.with_extension(REFUSED), LETTERS)?);
            let is_other = |path: &Path| folder != self.folder || !self.is_own(path);
            let count = there.iter().filter(|(path, _)| is_other(path)).count();
            if count > 0 {
                others.push((name.to_owned(), count));
            }
        }
        others.sort();
        Ok(others)
    }

    /// How much there is.
    pub fn held(&self) -> Result<Held, SpoolError> {
        let waiting = self.waiting()?;
        let aside = self.own(&self.beside(REFUSED))?;
        let is_there = |path: &PathBuf| waiting.contains(path) || aside.contains(path);
        lock(&self.counted).retain(|path, _| is_there(path));
        let count = |paths: &[PathBuf]| paths.iter().map(|path| self.count(path)).sum();
        Ok(Held {
            waiting: count(&waiting),
            set_aside: count(&aside),
            oldest: waiting.first().and_then(|path| since(path)),
        })
    }

    /// The letters of a file, with the columns of `schema`: columns that the file lacks are null.
    pub fn read(&self, path: &Path, schema: &SchemaRef) -> Result<RecordBatch, SpoolError> {
        let unwritten = lock(&self.unwritten).get(path).cloned();
        let letters = match unwritten {
            Some(rest) => fit(&rest, schema),
            None => {
                let opened =
                    private::check_read(&self.folder, path).and_then(|()| file::open(path));
                let file = opened.map_err(disk("read", path))?;
                let reader = FileReader::try_new(file, None).map_err(arrow("read", path))?;
                let batches = reader.map(|batch| fit(&batch?, schema));
                let batches: Result<Vec<RecordBatch>, ArrowError> = batches.collect();
                batches.and_then(|batches| concat_batches(schema, &batches))
            }
        };
        let letters = letters.map_err(arrow("read", path))?;
        lock(&self.counted).insert(path.to_owned(), letters.num_rows() as u64);
        Ok(letters)
    }

    /// Leaves in a file what the table has not taken of it. Where the disk does not take that, this
    /// process remembers it, and the error says why.
    pub fn leave(&self, path: &Path, rest: &RecordBatch) -> Result<(), SpoolError> {
        let bytes = encode(rest).map_err(arrow("write", path))?;
        let written = self.write(path, &bytes, rest.num_rows());
        let mut unwritten = lock(&self.unwritten);
        match &written {
            Ok(()) => unwritten.remove(path),
            Err(_) => unwritten.insert(path.to_owned(), rest.clone()),
        };
        written
    }

    /// Removes a file whose letters are in the table.
    pub fn remove(&self, path: &Path) -> Result<(), SpoolError> {
        let removed = fs::remove_file(path).and_then(|()| durable::sync_name(path));
        removed.map_err(disk("remove", path))?;
        lock(&self.unwritten).remove(path);
        Ok(())
    }

    /// Sets a file aside that can't be carried over. Returns where it is now.
    pub fn set_aside(&self, path: &Path) -> Result<PathBuf, SpoolError> {
        rename(path, &self.refused()?)
    }

    /// The folder of what the table refuses, which is there from now on.
    fn refused(&self) -> Result<PathBuf, SpoolError> {
        let folder = self.beside(REFUSED);
        durable::private_folder(&folder).map_err(disk("create", &folder))?;
        Ok(folder)
    }

    fn beside(&self, extension: &str) -> PathBuf {
        // A pipeline's name has no dot.
        self.folder.with_extension(extension)
    }

    fn write(&self, path: &Path, bytes: &[u8], letters: usize) -> Result<(), SpoolError> {
        // Together with others that write, so that nobody takes the file for one that a crash left.
        let writing = self.lock_file(WRITE)?;
        lock_shared(&writing, &self.beside(WRITE), LOCK_WAIT)?;
        durable::write(path, bytes).map_err(disk("write", path))?;
        lock(&self.counted).insert(path.to_owned(), letters as u64);
        Ok(())
    }

    /// A lock that nobody else has, until it is dropped.
    fn exclusive(&self, name: &str) -> Result<Option<File>, SpoolError> {
        let file = self.lock_file(name)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(disk("lock", &self.beside(name))(source)),
        }
    }

    fn lock_file(&self, name: &str) -> Result<File, SpoolError> {
        let path = self.beside(name);
        let opened = private::writing(&self.folder, &path)
            .and_then(|mut options| options.create(true).truncate(false).open(&path));
        opened.map_err(disk("open", &path))
    }

    /// Bytes of all that is there, whatever it is.
    fn bytes(&self) -> Result<u64, SpoolError> {
        let mut sum = 0;
        for folder in [&self.folder, &self.beside(REFUSED)] {
            for extension in [LETTERS, PART] {
                sum += files(folder, extension)?.iter().map(|(_, bytes)| bytes).sum::<u64>();
            }
        }
        Ok(sum)
    }

    /// How many letters a file holds.
    fn count(&self, path: &Path) -> u64 {
        if let Some(count) = lock(&self.counted).get(path) {
            return *count;
        }
        let rows = |path: &Path| -> Result<u64, ArrowError> {
            let reader = FileReader::try_new(file::open(path)?, None)?;
            reader.map(|batch| Ok(batch?.num_rows() as u64)).sum()
        };
        let count = rows(path).unwrap_or(1);
        lock(&self.counted).insert(path.to_owned(), count);
        count
    }
}

/// Takes a lock together with others, or gives up after a while.
fn lock_shared(file: &File, path: &Path, within: Duration) -> Result<(), SpoolError> {
    let began = Instant::now();
    loop {
        match file.try_lock_shared() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(source)) => return Err(disk("lock", path)(source)),
            Err(TryLockError::WouldBlock) if began.elapsed() >= within => {
                return Err(SpoolError::Locked { path: path.to_owned(), waited: within });
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

fn rename(path: &Path, folder: &Path) -> Result<PathBuf, SpoolError> {
    let to = folder.join(path.file_name().unwrap_or_default());
    match fs::rename(path, &to).and_then(|()| durable::sync_name(&to)) {
        // Another process that has just started did so.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(to),
        moved => moved.map(|()| to).map_err(disk("move", path)),
    }
}

/// Files of a folder whose names end like that, with their sizes, by name: the oldest first. None where
/// there is no such folder.
fn files(folder: &Path, extension: &str) -> Result<Vec<(PathBuf, u64)>, SpoolError> {
    let mut files = Vec::new();
    let entries = match fs::read_dir(folder) {
        Err(error) if is_none(&error) => return Ok(files),
        entries => entries.map_err(disk("list", folder))?,
    };
    for entry in entries {
        let entry = entry.map_err(disk("list", folder))?;
        let path = entry.path();
        if path.extension() != Some(OsStr::new(extension)) {
            continue;
        }
        match entry.metadata() {
            Ok(metadata) => files.push((path, metadata.len())),
            // Another process has carried it over by now.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(disk("look at", &path)(source)),
        }
    }
    files.sort();
    Ok(files)
}

/// Whether there is no folder to be listed.
fn is_none(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Since when a file's letters wait: its name says so.
fn since(path: &Path) -> Option<Micros> {
    let nanos = path.file_stem()?.to_str()?.split('-').next()?.parse::<u128>().ok()?;
    i64::try_from(nanos / 1000).ok().map(Micros::from)
}

/// The table that a file's letters are for, where its name says so.
fn table(path: &Path) -> Option<&str> {
    path.file_stem()?.to_str()?.split('-').nth(3)
}

fn encode(letters: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let mut writer = FileWriter::try_new(Vec::new(), &letters.schema())?;
    writer.write(letters)?;
    writer.into_inner()
}

fn fit(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let rows = batch.num_rows();
    let columns = schema.fields().iter().map(|field| {
        // One of another type tells nothing that the table could say.
        let found = batch.column_by_name(field.name()).map(|column| fitted(field, column));
        found.and_then(Result::ok).map_or_else(|| absent(field, rows), Ok)
    });
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let columns = columns.collect::<Result<_, _>>()?;
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
}

fn disk(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SpoolError {
    let path = path.to_owned();
    move |source| SpoolError::Disk { what, path, source }
}

fn arrow(what: &'static str, path: &Path) -> impl FnOnce(ArrowError) -> SpoolError {
    let path = path.to_owned();
    move |source| SpoolError::Arrow { what, path, source }
}

#[cfg(test)]
mod tests;
