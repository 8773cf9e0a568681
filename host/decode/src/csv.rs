//! Delimited text with a header line: each field becomes text in the column its header names.
//!
//! LF, CRLF and CR each end a line, in one object as they come. A CR at the end of a block may be half of
//! a CRLF: nothing is decided on it before the next byte is there.
//!
//! Quoted fields may hold delimiters and line ends. A quote that is never closed must not swallow the
//! rows after it: a record over several lines counts only if its quotes are where RFC 4180 wants them,
//! it has the right number of fields, and it is within the size limit. Otherwise its first line alone
//! is malformed, and decoding goes on with the second.

mod lines;
mod quotes;

use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use bytes::Bytes;
use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use memchr::memchr;

use lines::BYTE_ORDER_MARK;
use quotes::Quotes;

use super::{Blocks, Context, DecodeError, Decoded, Malformed, Records, reason, too_large};
use clickmill_core::batch::{Position, Reason};

pub(super) struct Csv {
    context: Context,
    schema: SchemaRef,
    delimiter: u8,
    quote: u8,
    max_record_bytes: usize,
    parser: Reader,
    blocks: Blocks,
    block: Bytes,
    /// Whether the whole block is UTF-8, so that its fields need no check.
    block_is_utf8: bool,
    /// Where in the block the next record begins.
    at: usize,
    /// The number of the line there.
    line: u64,
    /// The fields of a record, end to end, and where each ends.
    fields: Vec<u8>,
    ends: Vec<usize>,
    /// The rest of a line beyond the size limit is passed over.
    skipping: bool,
}

/// Where the parser stopped.
#[derive(Clone, Copy, PartialEq)]
enum Stop {
    /// After the first byte of the line end that closes the record.
    LineEnd,
    /// At the end of the input, which closes the record too.
    Input,
    /// At the end of the block, which does not.
    Block,
    /// Within a record of more bytes or fields than there is room for, or one without any.
    Full,
}

/// A record, or what it can't be.
enum Next {
    /// Fields are in `fields` and `ends`.
    Record {
        range: Range<usize>,
        line: u64,
        count: usize,
    },
    Malformed(Malformed),
    /// The block has no whole record left.
    BlockEnds,
}

impl Csv {
    pub(crate) fn new(
        delimiter: u8,
        quote: u8,
        max_record_bytes: usize,
        context: Context,
        blocks: Blocks,
    ) -> Result<Self, DecodeError> {
        let mut csv = Self {
            context,
            schema: Arc::new(Schema::empty()),
            delimiter,
            quote,
            max_record_bytes,
            parser: ReaderBuilder::new().delimiter(delimiter).quote(quote).build(),
            blocks,
            block: Bytes::new(),
            block_is_utf8: true,
            at: 0,
            line: 1,
            // The parser stops where it has no room left, even if the next byte ends the record.
            fields: vec![0; max_record_bytes + 1],
            ends: vec![0; 4096],
            skipping: false,
        };
        while csv.block.len() < BYTE_ORDER_MARK.len() && csv.next_block()? {}
        if csv.block.starts_with(BYTE_ORDER_MARK) {
            csv.at = BYTE_ORDER_MARK.len();
        }
        csv.read_header()?;
        Ok(csv)
    }

    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn read_header(&mut self) -> Result<(), DecodeError> {
        let count = loop {
            match self.next_record(None) {
                Next::Record { count, range, .. } => {
                    self.context.header = Some(self.block.slice(range));
                    break count;
                }
                Next::Malformed(_) => {
                    return Err(DecodeError::HeaderText { max_bytes: self.max_record_bytes });
                }
                Next::BlockEnds if self.next_block()? => {}
                // An empty object has no columns and no records.
                Next::BlockEnds => return Ok(()),
            }
        };
        let mut names: Vec<String> = Vec::with_capacity(count);
        for column in 0..count {
            let start = if column == 0 { 0 } else { self.ends[column - 1] };
            let name = std::str::from_utf8(&self.fields[start..self.ends[column]])
                .map_err(|_| DecodeError::HeaderText { max_bytes: self.max_record_bytes })?;
            if name.is_empty() {
                return Err(DecodeError::HeaderEmpty { column: column + 1 });
            }
            if let Some(first) = names.iter().position(|earlier| earlier == name) {
                let name = name.to_owned();
                return Err(DecodeError::HeaderTwice {
                    name,
                    first: first + 1,
                    second: column + 1,
                });
            }
            names.push(name.to_owned());
        }
        let fields = names.iter().map(|name| Field::new(name, DataType::Utf8, false));
        self.schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        Ok(())
    }

    pub(crate) fn next_batch(&mut self) -> Result<Option<Decoded>, DecodeError> {
        let limits = self.context.limits;
        let width = self.schema.fields().len();
        let mut columns: Vec<(Vec<u8>, Vec<i32>)> = (0..width)
            .map(|_| (Vec::new(), Vec::with_capacity(limits.max_rows.min(1 << 16) + 1)))
            .collect();
        for (_, offsets) in &mut columns {
            offsets.push(0);
        }
        let mut records = Records::default();
        let mut begin = self.at;
        while records.lines.len() < limits.max_rows && self.at - begin < limits.max_bytes {
            match self.next_record(Some(width)) {
                Next::Record { range, line, .. } => {
                    let mut start = 0;
                    for ((bytes, offsets), end) in columns.iter_mut().zip(&self.ends) {
                        bytes.extend_from_slice(&self.fields[start..*end]);
                        offsets.push(bytes.len() as i32);
                        start = *end;
                    }
                    records.push(line, range);
                }
                Next::Malformed(bad) => records.malformed.push(bad),
                Next::BlockEnds => {
                    if !records.is_empty() || !self.next_block()? {
                        break;
                    }
                    begin = 0;
                }
            }
        }
        if records.is_empty() {
            return Ok(None);
        }
        let bytes = self.at - begin;
        records.decoded(&self.context, &self.schema, columns, &self.block, bytes).map(Some)
    }

    /// Reads the record at `at`. `width` is the number of fields it must have.
    fn next_record(&mut self, width: Option<usize>) -> Next {
        if (self.skipping && !self.skip_line()) || !self.skip_blank_lines() {
            return Next::BlockEnds;
        }
        let start = self.at;
        let (stop, read, count) = self.parse();
        let end = match stop {
            Stop::LineEnd => start + read - 1,
            Stop::Input => start + read,
            Stop::Block if self.block.len() - start <= self.max_record_bytes => {
                return Next::BlockEnds;
            }
            Stop::Block | Stop::Full => return self.first_line_is_malformed(),
        };
        let Some(next) = self.past_line_end(end) else {
            return Next::BlockEnds;
        };
        let range = start..end;
        let record = &self.block[range.clone()];
        let right_width = width.is_none_or(|width| width == count);
        let quotes = || Quotes::of(record, self.delimiter, self.quote);
        let several_lines = lines::first_end(record).is_some();
        let sound = if several_lines {
            // Of one beyond the limit, the end may be in the block or not: the first line alone is
            // malformed either way, so that it does not matter where blocks are cut.
            right_width && record.len() <= self.max_record_bytes && quotes() == Quotes::Closed
        } else {
            // To the parser the end of the input closes a quote that nobody did.
            stop == Stop::LineEnd || quotes() != Quotes::Open
        };
        if !sound {
            return self.first_line_is_malformed();
        }
        let line = self.line;
        let more_lines = if several_lines { lines::count_ends(record) } else { 0 };
        self.line += 1 + more_lines;
        self.at = next;
        if range.len() > self.max_record_bytes {
            let reason = too_large(range.len(), self.max_record_bytes);
            return self.malformed(range, line, reason);
        }
        if !self.block_is_utf8
            && let Some(field) = self.first_field_not_utf8(count)
        {
            let text = format!("field {} is not UTF-8", field + 1);
            return self.malformed(range, line, reason("invalid_utf8", text));
        }
        if let Some(width) = width.filter(|width| *width != count) {
            let text = format!("record has {count} fields, the header {width}");
            return self.malformed(range, line, reason("wrong_field_count", text));
        }
        Next::Record { range, line, count }
    }

    /// Has the parser read the record at `at` into `fields` and `ends`: where it stopped, after how many
    /// bytes, and how many fields it found.
    fn parse(&mut self) -> (Stop, usize, usize) {
        let input = &self.block[self.at..];
        let (mut read, mut written, mut count) = (0, 0, 0);
        self.parser.reset();
        let stop = loop {
            let (result, nin, nout, nend) = self.parser.read_record(
                &input[read..],
                &mut self.fields[written..],
                &mut self.ends[count..],
            );
            read += nin;
            written += nout;
            count += nend;
            match result {
                ReadRecordResult::Record if nin > 0 => break Stop::LineEnd,
                ReadRecordResult::Record => break Stop::Input,
                ReadRecordResult::InputEmpty | ReadRecordResult::End if !self.blocks.ended => {
                    break Stop::Block;
                }
                // At the very end of the input an empty read closes the last record.
                ReadRecordResult::InputEmpty if nin > 0 => {}
                ReadRecordResult::InputEmpty
                | ReadRecordResult::End
                | ReadRecordResult::OutputFull
                | ReadRecordResult::OutputEndsFull => break Stop::Full,
            }
        };
        (stop, read, count)
    }

    /// The first field of the record at hand that is not text by itself. That all of them together are
    /// is not enough: a character may be cut in two by a delimiter.
    fn first_field_not_utf8(&self, count: usize) -> Option<usize> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let mut fields = starts.zip(&self.ends[..count]);
        fields.position(|(start, end)| std::str::from_utf8(&self.fields[start..*end]).is_err())
    }

    /// The first line of the record at `at` is malformed by itself, and the next record begins after it.
    fn first_line_is_malformed(&mut self) -> Next {
        let rest = &self.block[self.at..];
        let found = lines::first_end(rest);
        let text = &rest[..found.unwrap_or(rest.len())];
        let range = self.at..self.at + text.len();
        let Some(next) = self.past_line_end(range.end) else {
            return Next::BlockEnds;
        };
        let goes_on = found.is_none() && !self.blocks.ended;
        let oversized = text.len() > self.max_record_bytes;
        if goes_on && !oversized {
            return Next::BlockEnds;
        }
        let reason = if oversized {
            too_large(text.len(), self.max_record_bytes)
        } else if memchr(self.quote, text).is_some() {
            reason(
                "unbalanced_quote",
                "a quote opens and is not closed where a field ends".to_owned(),
            )
        } else {
            reason("wrong_field_count", format!("record has more than {} fields", self.ends.len()))
        };
        let line = self.line;
        // The line's number counts now: what is passed over of it later does not count again.
        self.line += 1;
        self.at = next;
        self.skipping = goes_on;
        self.malformed(range, line, reason)
    }

    fn malformed(&self, range: Range<usize>, line: u64, reason: Reason) -> Next {
        let end = range.end.min(range.start + self.max_record_bytes);
        let payload = self.block.slice(range.start..end);
        Next::Malformed(Malformed { position: Position::Line(line), payload, reason })
    }

    /// The place after the line end at `at`, or `at` where there is none. `None` where only the next
    /// block tells: it may begin with the LF of a CRLF.
    fn past_line_end(&self, at: usize) -> Option<usize> {
        match &self.block[at..] {
            [b'\r', b'\n', ..] => Some(at + 2),
            [b'\r'] if !self.blocks.ended => None,
            [b'\r' | b'\n', ..] => Some(at + 1),
            _ => Some(at),
        }
    }

    /// Goes on to the first line that is not blank; `false` where the block has none.
    fn skip_blank_lines(&mut self) -> bool {
        while let Some(next) = self.past_line_end(self.at) {
            if next == self.at {
                return self.at < self.block.len();
            }
            self.at = next;
            self.line += 1;
        }
        false
    }

    /// Passes over the rest of a line; `false` where it goes on in the next block.
    fn skip_line(&mut self) -> bool {
        let rest = &self.block[self.at..];
        self.at += lines::first_end(rest).unwrap_or(rest.len());
        if let Some(next) = self.past_line_end(self.at)
            && next > self.at
        {
            self.at = next;
            self.skipping = false;
        }
        !self.skipping
    }

    /// Goes on to the next block; `false` where there is none.
    fn next_block(&mut self) -> Result<bool, DecodeError> {
        let Some(block) = self.blocks.next(&self.block[self.at..], self.line)? else {
            return Ok(false);
        };
        self.block = block;
        // A character cut in two at the end belongs to the record that comes again in the next block,
        // where there is a next one.
        self.block_is_utf8 = std::str::from_utf8(&self.block)
            .map_or_else(|error| error.error_len().is_none() && !self.blocks.ended, |_| true);
        self.at = 0;
        Ok(true)
    }
}
