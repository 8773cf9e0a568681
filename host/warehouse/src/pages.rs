//! What the pages of a Parquet file become once they are read. A page of a few bytes may become gigabytes, and what
//! the footer says of it is what somebody wrote: so the pages' own headers are looked at first, by which the reader
//! goes too.

use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::reader::ChunkReader;

/// What is read of a page for its header: most are short, and those that quote values are not endless.
const HEADER_BYTES: [u64; 2] = [512, 1 << 20];
/// Structures in a header that may stand one in another.
const MAX_DEPTH: usize = 8;

/// Refuses a column that begins or ends outside of a file of so many bytes: readers panic at some of them.
pub(super) fn check_places(metadata: &ParquetMetaData, bytes: u64) -> Result<(), ParquetError> {
    let mut columns = metadata.row_groups().iter().flat_map(|group| group.columns());
    columns.try_for_each(|column| place(column, bytes).map(drop))
}

/// Where a column's pages begin and end.
fn place(column: &ColumnChunkMetaData, bytes: u64) -> Result<(u64, u64), ParquetError> {
    let start = column.dictionary_page_offset().unwrap_or(column.data_page_offset());
    let [start, length] = [start, column.compressed_size()].map(u64::try_from);
    let within = start.ok().zip(length.ok()).and_then(|(start, length)| {
        let end = start.checked_add(length)?;
        (end <= bytes).then_some((start, end))
    });
    within.ok_or_else(|| {
        let name = column.column_path().string();
        ParquetError::General(format!("column `{name}` is not within the file"))
    })
}

/// The bytes of the largest page among some columns, which are known by their numbers.
///
/// # Errors
///
/// It has more than `most`, or a header can't be read.
pub(super) fn largest(
    file: &impl ChunkReader,
    metadata: &ParquetMetaData,
    is_read: impl Fn(usize) -> bool,
    most: u64,
) -> Result<u64, ParquetError> {
    let mut largest = 0;
    for group in metadata.row_groups() {
        let columns = group.columns().iter().enumerate();
        for (_, column) in columns.filter(|(number, _)| is_read(*number)) {
            let (mut at, end) = place(column, file.len())?;
            while at < end {
                let header = header_at(file, at, end).ok_or_else(|| {
                    let name = column.column_path().string();
                    ParquetError::General(format!("a page of column `{name}` has no sound header"))
                })?;
                if header.whole > most {
                    let (name, whole) = (column.column_path().string(), header.whole);
                    return Err(ParquetError::General(format!(
                        "a page of column `{name}` becomes {whole} bytes, at most {most} are read"
                    )));
                }
                largest = largest.max(header.whole);
                at += header.length + header.stored;
            }
        }
    }
    Ok(largest)
}

/// What the header of a page says.
#[derive(Debug, PartialEq)]
struct Header {
    /// Bytes of the header itself.
    length: u64,
    /// Bytes of the page in the file.
    stored: u64,
    /// Bytes that it becomes.
    whole: u64,
}

fn header_at(file: &impl ChunkReader, at: u64, end: u64) -> Option<Header> {
    HEADER_BYTES.iter().find_map(|bytes| {
        let length = usize::try_from((end - at).min(*bytes)).ok()?;
        header(&file.get_bytes(at, length).ok()?)
    })
}

/// Reads a header, which is a structure in Thrift's compact protocol.
fn header(bytes: &[u8]) -> Option<Header> {
    let mut left = Left(bytes);
    let (mut whole, mut stored) = (None, None);
    left.fields(&mut |left, id, kind| match (id, kind) {
        (2, INT) => left.size().map(|size| whole = Some(size)),
        (3, INT) => left.size().map(|size| stored = Some(size)),
        _ => left.skip(kind, MAX_DEPTH),
    })?;
    let length = (bytes.len() - left.0.len()) as u64;
    Some(Header { length, stored: stored?, whole: whole? })
}

/// The kind of a field that is a number of 32 bits.
const INT: u8 = 5;

/// What of a header is not read yet.
struct Left<'a>(&'a [u8]);

impl Left<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn pass(&mut self, bytes: u64) -> Option<()> {
        self.0 = self.0.get(usize::try_from(bytes).ok()?..)?;
        Some(())
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// A number with a sign, of those that have none.
    fn size(&mut self) -> Option<u64> {
        let number = self.number()?;
        (number & 1 == 0).then_some(number >> 1)
    }

    /// Goes through the fields of a structure.
    fn fields(&mut self, each: &mut dyn FnMut(&mut Self, u64, u8) -> Option<()>) -> Option<()> {
        let mut id = 0;
        loop {
            let (step, kind) = match self.byte()? {
                0 => return Some(()),
                begin => (begin >> 4, begin & 0xf),
            };
            id = if step == 0 { self.size()? } else { id + u64::from(step) };
            each(self, id, kind)?;
        }
    }

    fn skip(&mut self, kind: u8, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match kind {
            // These two are said by the kind itself.
            1 | 2 => Some(()),
            3 => self.pass(1),
            4..=6 => self.number().map(drop),
            7 => self.pass(8),
            8 => self.number().and_then(|bytes| self.pass(bytes)),
            9 | 10 => {
                let begin = self.byte()?;
                let items = if begin >> 4 == 15 { self.number()? } else { u64::from(begin >> 4) };
                (0..items).try_for_each(|_| match begin & 0xf {
                    1 | 2 => self.pass(1),
                    kind => self.skip(kind, depth),
                })
            }
            12 => self.fields(&mut |left, _, kind| left.skip(kind, depth)),
            // Pages have no others.
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    use bytes::Bytes;
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
    use parquet::basic::{Compression, ZstdLevel};
    use parquet::file::properties::WriterProperties;

    use super::*;

    fn file(text: &str, properties: WriterProperties) -> (Bytes, ArrowReaderMetadata) {
        let texts: StringArray = (0..20).map(|_| Some(text)).collect();
        let numbers: Int64Array = (0..20).collect();
        let columns: [(&str, ArrayRef); 2] =
            [("text", Arc::new(texts)), ("number", Arc::new(numbers))];
        let rows = RecordBatch::try_from_iter(columns).unwrap();
        let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties)).unwrap();
        writer.write(&rows).unwrap();
        let file = Bytes::from(writer.into_inner().unwrap());
        let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::default()).unwrap();
        (file, metadata)
    }

    #[test]
    fn pages_are_known_by_their_headers_whatever_they_are_packed_to() {
        let long = "x".repeat(1 << 20);
        let zstd = Compression::ZSTD(ZstdLevel::default());
        let builder = || WriterProperties::builder().set_compression(zstd);
        let version = parquet::file::properties::WriterVersion::PARQUET_2_0;
        for properties in [builder().build(), builder().set_writer_version(version).build()] {
            let (file, metadata) = file(&long, properties);
            let metadata = metadata.metadata();
            assert!(file.len() < 1 << 18, "{}", file.len());
            check_places(metadata, file.len() as u64).unwrap();
            let found = largest(&file, metadata, |column| column == 0, 1 << 30).unwrap();
            assert!((1 << 20..1_050_000).contains(&found), "{found}");
            let numbers = largest(&file, metadata, |column| column == 1, 1 << 20).unwrap();
            assert!((160..1000).contains(&numbers), "{numbers}");
            let error = largest(&file, metadata, |_| true, 1 << 20).unwrap_err().to_string();
            assert!(error.contains("`text`") && error.contains("becomes 104"), "{error}");
            // Cut, it has columns that end nowhere.
            let error = check_places(metadata, 100).unwrap_err().to_string();
            assert!(error.contains("is not within the file"), "{error}");
        }
    }

    #[test]
    fn headers_of_any_bytes_are_read_to_an_end() {
        let sound = [0x15, 0x00, 0x15, 0x80, 0x01, 0x15, 0x10, 0x2c, 0x15, 0x02, 0x00, 0x00];
        assert_eq!(header(&sound), Some(Header { length: 12, stored: 8, whole: 64 }));
        for cut in 0..sound.len() {
            assert_eq!(header(&sound[..cut]), None, "{cut}");
        }
        for _ in 0..20_000 {
            let bytes: [u8; 64] = std::array::from_fn(|_| rand::random());
            header(&bytes);
        }
        // Deep, long, and negative.
        assert_eq!(header(&[0x1c; 1000]), None);
        assert_eq!(header(&[0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]), None);
        assert_eq!(header(&[0x25, 0x01, 0x15, 0x02, 0x00]), None);
    }
}
