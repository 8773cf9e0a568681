//! Delimited text with a header line: each field becomes text in the column its header names.
//!
//! Quoted fields may hold delimiters and line ends. A quote that is never closed must not swallow the
//! rows after it: a record over several lines counts only if its quotes are where RFC 4180 wants them
//! and it has the right number of fields. Otherwise its first line alone is malformed, and decoding
//! goes on with the second.

use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use bytes::Bytes;
use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use memchr::{memchr, memchr_iter};

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

/// Where the quotes of a record are.
#[derive(PartialEq)]
enum Quotes {
    /// Around whole fields, as RFC 4180 wants them, or nowhere.
    Closed,
    /// Around the beginning of a field.
    Loose,
    /// One is not closed.
    Open,
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
    pub fn new(
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
            fields: vec![0; max_record_bytes],
            ends: vec![0; 4096],
            skipping: false,
        };
        csv.next_block()?;
        if csv.block.starts_with(b"\xef\xbb\xbf") {
            csv.at = 3;
        }
        csv.read_header()?;
        Ok(csv)
    }

    pub fn schema(&self) -> &SchemaRef {
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

    pub fn next_batch(&mut self) -> Result<Option<Decoded>, DecodeError> {
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
        if self.skipping && !self.skip_line() {
            return Next::BlockEnds;
        }
        self.skip_blank_lines();
        let start = self.at;
        if start == self.block.len() {
            return Next::BlockEnds;
        }
        let input = &self.block[start..];
        let (mut read, mut written, mut count) = (0, 0, 0);
        self.parser.reset();
        let whole = loop {
            let (result, nin, nout, nend) = self.parser.read_record(
                &input[read..],
                &mut self.fields[written..],
                &mut self.ends[count..],
            );
            read += nin;
            written += nout;
            count += nend;
            match result {
                ReadRecordResult::Record => break true,
                // At the very end of the input an empty read closes the last record.
                ReadRecordResult::InputEmpty
                    if self.blocks.ended && read == input.len() && nin > 0 => {}
                ReadRecordResult::InputEmpty | ReadRecordResult::End => break false,
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => break false,
            }
        };
        if !whole && read == input.len() && !self.blocks.ended && read <= self.max_record_bytes {
            return Next::BlockEnds;
        }
        let mut range = start..start + read;
        while range.end > start && matches!(self.block[range.end - 1], b'\r' | b'\n') {
            range.end -= 1;
        }
        let record = &self.block[range.clone()];
        let several_lines = memchr(b'\n', record).is_some();
        let right_width = width.is_none_or(|width| width == count);
        // To the parser the end of the input closes a quote that nobody did.
        let last = self.blocks.ended && start + read == self.block.len();
        let open = last && self.quotes(record) == Quotes::Open;
        let strict = !several_lines || (right_width && self.quotes(record) == Quotes::Closed);
        if !whole || open || !strict {
            return self.first_line_is_malformed(start);
        }
        let line = self.line;
        self.line += memchr_iter(b'\n', &self.block[start..start + read]).count() as u64;
        self.at = start + read;
        if record.len() > self.max_record_bytes {
            let reason = too_large(record.len(), self.max_record_bytes);
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

    /// The first field of the record at hand that is not text by itself. That all of them together are
    /// is not enough: a character may be cut in two by a delimiter.
    fn first_field_not_utf8(&self, count: usize) -> Option<usize> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let mut fields = starts.zip(&self.ends[..count]);
        fields.position(|(start, end)| std::str::from_utf8(&self.fields[start..*end]).is_err())
    }

    /// The first line from `start` on is malformed by itself, and the next record begins after it.
    fn first_line_is_malformed(&mut self, start: usize) -> Next {
        let rest = &self.block[start..];
        let line = self.line;
        let end = memchr(b'\n', rest);
        self.at = start + end.map_or(rest.len(), |end| end + 1);
        self.line += 1;
        self.skipping = end.is_none() && !self.blocks.ended;
        let end = end.unwrap_or(rest.len());
        let text = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
        let range = start..start + text.len();
        let reason = if text.len() > self.max_record_bytes || self.skipping {
            too_large(text.len(), self.max_record_bytes)
        } else if memchr(self.quote, text).is_some() {
            reason(
                "unbalanced_quote",
                "a quote opens and is not closed where a field ends".to_owned(),
            )
        } else {
            reason("wrong_field_count", format!("record has more than {} fields", self.ends.len()))
        };
        self.malformed(range, line, reason)
    }

    fn malformed(&self, range: Range<usize>, line: u64, reason: Reason) -> Next {
        let end = range.end.min(range.start + self.max_record_bytes);
        let payload = self.block.slice(range.start..end);
        Next::Malformed(Malformed { position: Position::Line(line), payload, reason })
    }

    /// Where a record's quotes are.
    fn quotes(&self, record: &[u8]) -> Quotes {
        let mut found = Quotes::Closed;
        let mut rest = record;
        loop {
            if let Some(mut quoted) = rest.strip_prefix(&[self.quote]) {
                loop {
                    let Some(end) = memchr(self.quote, quoted) else { return Quotes::Open };
                    quoted = &quoted[end + 1..];
                    match quoted.strip_prefix(&[self.quote]) {
                        Some(after) => quoted = after,
                        None => break,
                    }
                }
                if quoted.first().is_some_and(|byte| *byte != self.delimiter) {
                    found = Quotes::Loose;
                }
                rest = quoted;
            }
            match memchr(self.delimiter, rest) {
                None => return found,
                Some(end) => rest = &rest[end + 1..],
            }
        }
    }

    fn skip_blank_lines(&mut self) {
        while let Some(byte @ (b'\r' | b'\n')) = self.block.get(self.at) {
            self.line += u64::from(*byte == b'\n');
            self.at += 1;
        }
    }

    /// Passes over the rest of a line; `false` where it goes on in the next block.
    fn skip_line(&mut self) -> bool {
        match memchr(b'\n', &self.block[self.at..]) {
            Some(end) => {
                self.at += end + 1;
                self.skipping = false;
                true
            }
            None => {
                self.at = self.block.len();
                false
            }
        }
    }

    /// Goes on to the next block; `false` where there is none.
    fn next_block(&mut self) -> Result<bool, DecodeError> {
        let Some(block) = self.blocks.next(&self.block[self.at..], self.line)? else {
            return Ok(false);
        };
        self.block = block;
        // A character cut in two at the end belongs to the record that comes again in the next block.
        self.block_is_utf8 = std::str::from_utf8(&self.block)
            .map_or_else(|error| error.error_len().is_none(), |_| true);
        self.at = 0;
        Ok(true)
    }
}
