//! A folder that keeps dead letters while their table is away: a file per append, durable before it
//! counts, carried over and removed once the table is back.
//!
//! A crash between carrying over and removing gives letters twice; `letter_id` tells.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::reader::FileReader;
use arrow::ipc::writer::FileWriter;

use clickmill_core::{Fault, durable};

/// A spool.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    max_bytes: u64,
}

/// Why letters are not kept, or not read.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// It holds as much as it may.
    #[error("spool `{folder}` is full: it holds {held} bytes, the letters have {wanted}, limit {max_bytes}", folder = folder.display())]
    Full {
        /// The folder.
        folder: PathBuf,
        /// Bytes in it.
        held: u64,
        /// Bytes of the new letters.
        wanted: u64,
        /// Bytes it may hold.
        max_bytes: u64,
    },
    /// The disk failed.
    #[error("spool: cannot {what} `{path}`", path = path.display())]
    Disk {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The letters can't be written or read as Arrow.
    #[error("spool: cannot {what} `{path}`", path = path.display())]
    Arrow {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: ArrowError,
    },
}

impl SpoolError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Full { .. } | Self::Disk { .. } | Self::Arrow { .. } => Fault::Environment,
        }
    }
}

impl Spool {
    /// The spool of a pipeline in `folder`, which may hold `max_bytes`.
    pub fn open(folder: &Path, pipeline: &str, max_bytes: u64) -> Result<Self, SpoolError> {
        let folder = folder.join(pipeline);
        fs::create_dir_all(&folder).map_err(disk("create", &folder))?;
        Ok(Self { folder, max_bytes })
    }

    /// Keeps letters; durable once it returns.
    pub fn keep(&self, letters: &RecordBatch) -> Result<(), SpoolError> {
        let held: u64 = self.files()?.iter().map(|(_, bytes)| bytes).sum();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let name = format!("{:020}-{}", now.as_nanos(), std::process::id());
        let path = self.folder.join(format!("{name}.arrow"));
        let bytes = encode(letters).map_err(arrow("write", &path))?;
        let wanted = bytes.len() as u64;
        if held + wanted > self.max_bytes {
            let (folder, max_bytes) = (self.folder.clone(), self.max_bytes);
            return Err(SpoolError::Full { folder, held, wanted, max_bytes });
        }
        durable::write(&path, &bytes).map_err(disk("write", &path))
    }

    /// The files that wait to be carried over, the oldest first.
    pub fn waiting(&self) -> Result<Vec<PathBuf>, SpoolError> {
        let mut files: Vec<PathBuf> = self.files()?.into_iter().map(|(path, _)| path).collect();
        files.sort();
        Ok(files)
    }

    /// The letters of a file, with the columns of `schema`: columns that the file lacks are null.
    pub fn read(&self, path: &Path, schema: &SchemaRef) -> Result<Vec<RecordBatch>, SpoolError> {
        let file = File::open(path).map_err(disk("read", path))?;
        let reader = FileReader::try_new(file, None).map_err(arrow("read", path))?;
        let batches = reader.map(|batch| fit(&batch?, schema));
        batches.collect::<Result<_, _>>().map_err(arrow("read", path))
    }

    /// Removes a file whose letters are in the table.
    pub fn remove(&self, path: &Path) -> Result<(), SpoolError> {
        fs::remove_file(path).map_err(disk("remove", path))
    }

    fn files(&self) -> Result<Vec<(PathBuf, u64)>, SpoolError> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(disk("list", &self.folder))? {
            let entry = entry.map_err(disk("list", &self.folder))?;
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == "arrow") {
                files.push((path, entry.metadata().map_err(disk("list", &self.folder))?.len()));
            }
        }
        Ok(files)
    }
}

fn encode(letters: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let mut writer = FileWriter::try_new(Vec::new(), &letters.schema())?;
    writer.write(letters)?;
    writer.into_inner()
}

fn fit(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let rows = batch.num_rows();
    let columns = schema.fields().iter().map(|field| -> ArrayRef {
        match batch.column_by_name(field.name()) {
            Some(column) if column.data_type() == field.data_type() => column.clone(),
            _ => new_null_array(field.data_type(), rows),
        }
    });
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema.clone(), columns.collect(), &options)
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
mod tests {
    use std::sync::Arc;

    use arrow::array::StringArray;
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;

    fn letters(ids: &[&str]) -> RecordBatch {
        let schema = Schema::new(vec![Field::new("letter_id", DataType::Utf8, false)]);
        let ids: ArrayRef = Arc::new(StringArray::from(ids.to_vec()));
        RecordBatch::try_new(Arc::new(schema), vec![ids]).expect("a batch")
    }

    #[test]
    fn letters_come_back_in_order_and_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let spool = Spool::open(folder.path(), "clicks", 1 << 20).expect("a spool");
        spool.keep(&letters(&["a", "b"])).expect("kept");
        spool.keep(&letters(&["c"])).expect("kept");
        // Another process finds them.
        let spool = Spool::open(folder.path(), "clicks", 1 << 20).expect("a spool");
        let waiting = spool.waiting().expect("listed");
        let read = |path: &PathBuf| spool.read(path, &letters(&[]).schema()).expect("read");
        let read: Vec<RecordBatch> = waiting.iter().flat_map(read).collect();
        assert_eq!(read, [letters(&["a", "b"]), letters(&["c"])]);
        for path in waiting {
            spool.remove(&path).expect("removed");
        }
        assert_eq!(spool.waiting().expect("listed"), Vec::<PathBuf>::new());
    }

    #[test]
    fn a_full_spool_says_so_and_keeps_what_it_has() {
        let folder = tempfile::tempdir().expect("a folder");
        let spool = Spool::open(folder.path(), "clicks", 1500).expect("a spool");
        spool.keep(&letters(&["a"])).expect("kept");
        let large = "x".repeat(2000);
        let full = spool.keep(&letters(&[&large])).expect_err("full");
        assert!(matches!(full, SpoolError::Full { max_bytes: 1500, .. }), "{full}");
        assert_eq!(spool.waiting().expect("listed").len(), 1);
    }
}
