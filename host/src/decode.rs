//! Bytes in, batches out: delimited text and newline-delimited JSON.
//!
//! A decoder streams: it holds one block of its input, however large the object. What can't be decoded
//! leaves as [`Malformed`], with its exact bytes and line, and the rest goes on. Values stay text here:
//! what they mean is the `parse` plugin's to say. This module knows neither plugins nor sinks.

mod csv;
mod ndjson;

use std::io::{self, Read};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use bytes::Bytes;

use crate::batch::{Batch, Reason};
use crate::config::{BatchLimits, Format};

/// Bytes read at once. A batch is cut from one block, so a block holds several batches.
const BLOCK_BYTES: usize = 2 << 20;

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
    /// The line on which it begins, from 1.
    pub line: u64,
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
    /// Its header has no name for a column.
    #[error("the header on line 1 has no name for column {column}")]
    HeaderEmpty {
        /// The column, from 1.
        column: usize,
    },
    /// Its header is not text.
    #[error(
        "the header on line 1 is not UTF-8 text of at most {max_bytes} bytes: is this a CSV file?"
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
        source: arrow::error::ArrowError,
    },
}

/// Decodes one object.
pub struct Decoder(Kind);

enum Kind {
    Csv(Box<csv::Csv>),
    Ndjson(ndjson::Ndjson),
}

impl Decoder {
    /// A decoder for the object `source` (`uri@generation`), of which `input` gives the bytes. Reads the
    /// header, where the format has one.
    pub fn new(
        format: &Format,
        limits: BatchLimits,
        source: Arc<str>,
        ingest_time: i64,
        input: Box<dyn Read + Send>,
    ) -> Result<Self, DecodeError> {
        let context = Context { limits, source, ingest_time };
        let blocks = Blocks { input, carry: Vec::new(), ended: false };
        Ok(Self(match format {
            Format::Csv { delimiter, quote, max_record_bytes } => {
                let csv = csv::Csv::new(*delimiter, *quote, *max_record_bytes, context, blocks)?;
                Kind::Csv(Box::new(csv))
            }
            Format::Ndjson { max_record_bytes } => {
                Kind::Ndjson(ndjson::Ndjson::new(*max_record_bytes, context, blocks))
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
    ingest_time: i64,
}

/// The input, block by block. What a decoder leaves of a block comes again at the start of the next.
struct Blocks {
    input: Box<dyn Read + Send>,
    carry: Vec<u8>,
    ended: bool,
}

impl Blocks {
    /// The next block: what was left of the last one and at least `more` bytes of input, unless it ends.
    /// The second value is whether there is nothing after this block.
    fn next(&mut self) -> io::Result<(Bytes, bool)> {
        let mut block = std::mem::take(&mut self.carry);
        let wanted = block.len() + BLOCK_BYTES;
        block.reserve_exact(BLOCK_BYTES);
        while block.len() < wanted && !self.ended {
            let missing = (wanted - block.len()) as u64;
            let got = self.input.by_ref().take(missing).read_to_end(&mut block)?;
            self.ended = got == 0 || (got as u64) < missing;
        }
        Ok((block.into(), self.ended))
    }
}

fn reason(code: &str, message: String) -> Reason {
    Reason { code: code.to_owned(), message, column: None }
}

fn too_large(bytes: usize, max_bytes: usize) -> Reason {
    let kept = match bytes > max_bytes {
        true => format!("; its first {max_bytes} bytes are kept"),
        false => String::new(),
    };
    reason("too_large", format!("record of {bytes} bytes or more, limit {max_bytes}{kept}"))
}

#[cfg(test)]
mod tests;
