//! Bytes in, batches out: delimited text, newline-delimited JSON, messages.
//!
//! A decoder streams: it holds a few blocks of its input, however large the object. What can't be decoded
//! leaves as [`Malformed`], with its exact bytes and line, and the rest goes on. Values stay text here:
//! what they mean is the `parse` plugin's to say. This module knows neither plugins nor sinks.

mod csv;
pub mod messages;
mod ndjson;
mod recoded;

pub use csv::csv_fields;
pub use recoded::in_utf8;

use std::collections::VecDeque;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use arrow::buffer::{Buffer, OffsetBuffer};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use bytes::Bytes;

use clickmill_config::{BatchLimits, Format};
use clickmill_core::batch::{Batch, Origins, Position, Positions, Reason};
use clickmill_core::{Fault, Micros};

/// Bytes read at once. A batch is cut from one block, so a block holds several batches.
const BLOCK_BYTES: usize = 2 << 20;
/// Bytes that are read of delimited text for its header: before that nothing else of a load begins.
const FIRST_BYTES: usize = 64 << 10;
/// So many buffers of a decoder are looked at again: more than are on their way, which are some for each worker. None
/// is made where another one is free.
const KEPT_BUFFERS: usize = 256;

/// What a block of input became.
pub struct Decoded {
    /// The records that could be decoded. May have no rows.
    pub batch: Batch,
    /// The others.
    pub malformed: Vec<Malformed>,
    /// Bytes of input that both were made of.
    pub bytes: usize,
}

/// A record that can't be decoded.
#[derive(Debug, Clone, PartialEq)]
pub struct Malformed {
    /// Its place in the source.
    pub position: Position,
    /// Its exact bytes, without the line end. Of one beyond the size limit, the first bytes.
    pub payload: Bytes,
    /// Why.
    pub reason: Reason,
}

/// Why an object can't be decoded at all.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Its bytes can't be read.
    #[error("cannot read on after line {line}")]
    Read {
        /// The last line that was decoded.
        line: u64,
        /// Why.
        source: io::Error,
    },
    /// Its header names a column twice.
    #[error("the header on line 1 names column `{name}` twice, as columns {first} and {second}")]
    HeaderTwice {
        /// The name.
        name: String,
        /// Its first column, from 1.
        first: usize,
        /// Its second column.
        second: usize,
    },
    /// Its first record is none, and no header says how many columns there are.
    #[error("the first record, which tells how many columns there are, cannot be read: {message}")]
    FirstRecord {
        /// What is wrong with it.
        message: String,
    },
    /// The quotes of its header are not in order.
    #[error("the header on line 1 cannot be read: {message}")]
    HeaderQuotes {
        /// What is wrong with them.
        message: String,
    },
    /// Its header names too many columns.
    #[error("the header on line 1 has more than {most} columns")]
    HeaderWide {
        /// So many are taken.
        most: usize,
    },
    /// Its first record, which tells how many columns there are, has too many fields.
    #[error("the first record has more than {most} fields")]
    FirstWide {
        /// So many are taken.
        most: usize,
    },
    /// Its header is not text.
    #[error(
        "the header on line 1 is not UTF-8 text of at most {max_bytes} bytes: is this a CSV file? (`source.csv.encoding` names another encoding)"
    )]
    HeaderText {
        /// The most that a record may have.
        max_bytes: usize,
    },
    /// Arrow refuses what was decoded.
    #[error("cannot make a batch of lines {line} and after")]
    Batch {
        /// The first line of the batch.
        line: u64,
        /// Why.
        source: ArrowError,
    },
}

impl DecodeError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            // The bytes are there, and are not what they should be.
            Self::Read { source, .. } if source.kind() == io::ErrorKind::InvalidData => {
                Fault::Input
            }
            Self::Read { .. } => Fault::Environment,
            Self::HeaderTwice { .. }
            | Self::FirstRecord { .. }
            | Self::FirstWide { .. }
            | Self::HeaderQuotes { .. }
            | Self::HeaderWide { .. }
            | Self::HeaderText { .. }
            | Self::Batch { .. } => Fault::Input,
        }
    }
}

/// Decodes one object.
pub struct Decoder(Kind);

enum Kind {
    Csv(Box<csv::Csv>),
    Ndjson(Box<ndjson::Ndjson>),
}

impl Decoder {
    /// A decoder for the object `source` (`uri@generation`), of which `input` gives the bytes. Reads the
    /// header, where the format has one.
    pub fn new(
        format: &Format,
        limits: BatchLimits,
        source: Arc<str>,
        ingest_time: Micros,
        input: Box<dyn Read + Send>,
    ) -> Result<Self, DecodeError> {
        let mut blocks = Blocks::of(input, BLOCK_BYTES);
        if let Format::Csv { .. } = format {
            blocks.next_bytes = FIRST_BYTES;
        }
        Self::of_blocks(format, limits, source, ingest_time, blocks)
    }

    fn of_blocks(
        format: &Format,
        limits: BatchLimits,
        source: Arc<str>,
        ingest_time: Micros,
        blocks: Blocks,
    ) -> Result<Self, DecodeError> {
        let context = Context { limits, source, header: None, ingest_time };
        Ok(Self(match format {
            Format::Csv { dialect, max_record_bytes } => {
                let mut blocks = blocks;
                if let Some(encoding) = dialect.encoding {
                    blocks.input = Box::new(recoded::Recoded::new(encoding, blocks.input));
                }
                let csv = csv::Csv::new(*dialect, *max_record_bytes, context, blocks)?;
                Kind::Csv(Box::new(csv))
            }
            Format::Ndjson { max_record_bytes } | Format::Message { max_record_bytes, .. } => {
                Kind::Ndjson(Box::new(ndjson::Ndjson::new(*max_record_bytes, context, blocks)))
            }
        }))
    }

    /// The columns that its batches have, all of text.
    pub fn schema(&self) -> &SchemaRef {
        match &self.0 {
            Kind::Csv(decoder) => decoder.schema(),
            Kind::Ndjson(decoder) => decoder.schema(),
        }
    }

    /// Whether there is nothing in the object but line ends, so that it has no columns.
    pub fn holds_nothing(&self) -> bool {
        self.schema().fields().is_empty()
    }

    /// The next batch, or `None` at the end.
    pub fn next_batch(&mut self) -> Result<Option<Decoded>, DecodeError> {
        match &mut self.0 {
            Kind::Csv(decoder) => decoder.next_batch(),
            Kind::Ndjson(decoder) => decoder.next_batch(),
        }
    }
}

/// What goes with every batch of an object.
struct Context {
    limits: BatchLimits,
    source: Arc<str>,
    /// Known once it is read.
    header: Option<Bytes>,
    ingest_time: Micros,
}

/// Decoded records on their way into a batch.
#[derive(Default)]
struct Records {
    /// The line on which each begins.
    lines: Vec<u64>,
    /// The bytes of each in the block, or in the text that was put together of it.
    ranges: Vec<Range<usize>>,
    malformed: Vec<Malformed>,
}

impl Records {
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many there are, with those that are malformed.
    fn len(&self) -> usize {
        self.lines.len() + self.malformed.len()
    }

    fn push(&mut self, line: u64, range: Range<usize>) {
        self.lines.push(line);
        self.ranges.push(range);
    }

    /// The batch of these records, of which `columns` are the texts: for each column the bytes of all
    /// records, and where each begins and the last one ends.
    fn decoded(
        self,
        context: &Context,
        schema: &SchemaRef,
        columns: impl IntoIterator<Item = (Buffer, Vec<i32>)>,
        block: Bytes,
        bytes: usize,
    ) -> Result<Decoded, DecodeError> {
        let line = self.lines.first().copied().unwrap_or(1);
        let failed = |source| DecodeError::Batch { line, source };
        let columns = columns.into_iter().map(|(bytes, offsets)| -> Result<ArrayRef, ArrowError> {
            let offsets = OffsetBuffer::new(offsets.into());
            Ok(Arc::new(StringArray::try_new(offsets, bytes, None)?))
        });
        let columns = columns.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let options = RecordBatchOptions::new().with_row_count(Some(self.lines.len()));
        let columns =
            RecordBatch::try_new_with_options(schema.clone(), columns, &options).map_err(failed)?;
        let origins = Origins {
            source: context.source.clone(),
            header: context.header.clone(),
            positions: Positions::Lines(self.lines),
            places: None,
            block,
            ranges: self.ranges,
        };
        let batch = Batch { columns, origins, ingest_time: context.ingest_time };
        Ok(Decoded { batch, malformed: self.malformed, bytes })
    }
}

/// Buffers whose pages are the process's already, which a new one's are not: the kernel has to clear each.
#[derive(Default)]
struct Buffers {
    /// Those given, the oldest first, which may still be in use.
    given: VecDeque<Bytes>,
}

impl Buffers {
    /// An empty buffer of at least so many bytes: one that nobody uses any more, or a new one.
    fn take(&mut self, bytes: usize) -> Vec<u8> {
        let unused = self.given.iter().position(Bytes::is_unique);
        let unused = unused.and_then(|at| self.given.remove(at)?.try_into_mut().ok());
        let mut buffer = unused.map_or_else(Vec::new, |mut buffer| {
            buffer.clear();
            Vec::from(buffer)
        });
        buffer.reserve_exact(bytes);
        buffer
    }

    /// What a buffer holds now, which can be taken again once nobody has it.
    fn give(&mut self, buffer: Vec<u8>) -> Bytes {
        let bytes = Bytes::from(buffer);
        // One of an unusually large record would stay as long as the decoder.
        if bytes.len() <= 2 * BLOCK_BYTES {
            self.given.push_back(bytes.clone());
        }
        // One that is used for longer is not waited for.
        if self.given.len() > KEPT_BUFFERS {
            self.given.pop_front();
        }
        bytes
    }
}

/// The input, block by block. What a decoder leaves of a block comes again at the start of the next.
struct Blocks {
    input: Box<dyn Read + Send>,
    ended: bool,
    /// Bytes read at once: of the next block, and of those after it.
    next_bytes: usize,
    block_bytes: usize,
    buffers: Buffers,
}

impl Blocks {
    fn of(input: Box<dyn Read + Send>, block_bytes: usize) -> Self {
        let buffers = Buffers::default();
        Self { input, ended: false, next_bytes: block_bytes, block_bytes, buffers }
    }

    /// The next block: `rest`, what is left of the last one, and more of the input. `None` where the
    /// last block was the end; whether this one is, `ended` tells. `line` is the one at `rest`.
    fn next(&mut self, rest: &[u8], line: u64) -> Result<Option<Bytes>, DecodeError> {
        if self.ended {
            return Ok(None);
        }
        let wanted = rest.len() + std::mem::replace(&mut self.next_bytes, self.block_bytes);
        let mut block = self.buffers.take(wanted);
        block.extend_from_slice(rest);
        while block.len() < wanted && !self.ended {
            let missing = (wanted - block.len()) as u64;
            let got = self.input.by_ref().take(missing).read_to_end(&mut block);
            let got = got.map_err(|source| DecodeError::Read { line: line - 1, source })?;
            self.ended = got == 0 || (got as u64) < missing;
        }
        Ok(Some(self.buffers.give(block)))
    }
}

fn reason(code: &str, message: String) -> Reason {
    Reason { code: code.to_owned(), message, column: None }
}

fn too_large(bytes: usize, max_bytes: usize) -> Reason {
    let kept = if bytes > max_bytes {
        format!("; its first {max_bytes} bytes are kept")
    } else {
        String::new()
    };
    reason("too_large", format!("record of {bytes} bytes or more, limit {max_bytes}{kept}"))
}

#[cfg(test)]
mod tests;
