//! Newline-delimited JSON: each line that is not blank is a record, column `payload`.

use std::ops::Range;
use std::sync::Arc;

use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use bytes::Bytes;
use memchr::memchr;

use super::{
    Blocks, Buffers, Context, DecodeError, Decoded, Malformed, Records, reason, too_large,
};
use clickmill_core::batch::Position;

pub(super) struct Ndjson {
    context: Context,
    schema: SchemaRef,
    max_record_bytes: usize,
    blocks: Blocks,
    block: Bytes,
    /// Where records are copied to, without what stands between them.
    texts: Buffers,
    /// Where in the block the next line begins.
    at: usize,
    /// The next line's number.
    line: u64,
    /// The rest of a record beyond the size limit is passed over.
    skipping: bool,
}

impl Ndjson {
    pub(crate) fn new(max_record_bytes: usize, context: Context, blocks: Blocks) -> Self {
        let schema = Schema::new(vec![Field::new("payload", DataType::Utf8, false)]);
        Self {
            context,
            schema: Arc::new(schema),
            max_record_bytes,
            blocks,
            block: Bytes::new(),
            texts: Buffers::default(),
            at: 0,
            line: 1,
            skipping: false,
        }
    }

    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub(crate) fn next_batch(&mut self) -> Result<Option<Decoded>, DecodeError> {
        let limits = self.context.limits;
        let mut text: Vec<u8> = Vec::new();
        let mut offsets = vec![0];
        let mut records = Records::default();
        let mut begin = self.at;
        while records.len() < limits.max_rows && text.len() < limits.max_bytes {
            let Some(line) = self.next_line() else {
                if !records.is_empty() || !self.next_block()? {
                    break;
                }
                begin = 0;
                continue;
            };
            if text.capacity() == 0 {
                // As for records of this size, so that little is moved as it grows.
                let most = limits.max_bytes.saturating_add(line.len());
                let most = most.min(self.block.len() - line.start);
                text = self.texts.take(line.len().saturating_mul(limits.max_rows).min(most));
            }
            let number = self.line - 1;
            let bytes = &self.block[line.clone()];
            if bytes.len() > self.max_record_bytes {
                records.malformed.push(self.oversized(line, number));
            } else if let Err(error) = std::str::from_utf8(bytes) {
                let message =
                    format!("record is not UTF-8 from byte {} on", error.valid_up_to() + 1);
                records.malformed.push(Malformed {
                    position: Position::Line(number),
                    payload: self.block.slice(line),
                    reason: reason("invalid_utf8", message),
                });
            } else if !bytes.trim_ascii().is_empty() {
                let begin = text.len();
                text.extend_from_slice(bytes);
                offsets.push(text.len() as i32);
                records.push(number, begin..text.len());
            }
        }
        if records.is_empty() {
            return Ok(None);
        }
        let bytes = self.at - begin;
        // The column and the original bytes are the same memory.
        let text = self.texts.give(text);
        let column = (Buffer::from(text.clone()), offsets);
        records.decoded(&self.context, &self.schema, [column], text, bytes).map(Some)
    }

    /// The next line of the block without its end; `None` where the block has no whole line left.
    fn next_line(&mut self) -> Option<Range<usize>> {
        let rest = &self.block[self.at..];
        if self.skipping {
            match memchr(b'\n', rest) {
                Some(end) => {
                    self.at += end + 1;
                    self.skipping = false;
                    return self.next_line();
                }
                None => {
                    self.at = self.block.len();
                    return None;
                }
            }
        }
        let (end, next) = match memchr(b'\n', rest) {
            Some(end) => (end, end + 1),
            None if rest.is_empty() => return None,
            None if self.blocks.ended => (rest.len(), rest.len()),
            // A CR at the end may be half of the line's end, which is not the record's.
            None if rest.strip_suffix(b"\r").unwrap_or(rest).len() > self.max_record_bytes => {
                self.skipping = true;
                let line = self.at..self.block.len();
                self.at = self.block.len();
                // The line's number counts now, its end is passed over later without counting again.
                self.line += 1;
                return Some(line);
            }
            None => return None,
        };
        let mut line = self.at..self.at + end;
        if self.block[line.clone()].last() == Some(&b'\r') {
            line.end -= 1;
        }
        self.at += next;
        self.line += 1;
        Some(line)
    }

    fn oversized(&self, line: Range<usize>, number: u64) -> Malformed {
        let kept = line.start..line.start + self.max_record_bytes;
        let reason = too_large(line.len(), self.max_record_bytes);
        Malformed { position: Position::Line(number), payload: self.block.slice(kept), reason }
    }

    /// Goes on to the next block; `false` where there is none.
    fn next_block(&mut self) -> Result<bool, DecodeError> {
        let Some(block) = self.blocks.next(&self.block[self.at..], self.line)? else {
            return Ok(false);
        };
        self.block = block;
        if self.at == 0 && self.line == 1 && self.block.starts_with(b"\xef\xbb\xbf") {
            self.at = 3;
        } else {
            self.at = 0;
        }
        Ok(true)
    }
}
