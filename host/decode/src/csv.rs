//! Delimited text with a header line: each field becomes text in the column its header names.
//!
//! LF, CRLF and CR each end a line, in one object as they come. A CR at the end of a block may be half of
//! a CRLF: nothing is decided on it before the next byte is there.
//!
//! Quoted fields may hold delimiters and line ends. Quotes that are not where RFC 4180 wants them are
//! never guessed at, since a guess alters the field: the record is malformed. Nor does a quote that is
//! never closed swallow the rows after it: a record goes over several lines only if its quotes are in
//! order, else its first line alone is malformed, and decoding goes on with the second. Where they are in
//! order, the lines within are a field's text and no records, be the record malformed or not.
//!
//! Outside of quotes a backslash may escape a line end, as MySQL writes it. Where `escape` does not say so and only the
//! lines together are a record, they are one malformed one; where each is a record, the backslash is text.
//!
//! A column that the header does not name is called by its place, `column_1`, and so are all of them where there is
//! no header. Records then have a header of those names, so that each can be read alone.

mod ahead;
mod columns;
mod escaped;
mod extent;
mod header;
mod lines;
mod marks;
mod parsed;
mod passed;
mod plain;
mod quotes;
mod refused;

use std::ops::Range;
use std::sync::Arc;

use arrow::buffer::Buffer;
use arrow::datatypes::{Schema, SchemaRef};
use bytes::Bytes;
use csv_core::{Reader, ReaderBuilder};
use memchr::memchr;

use ahead::Ahead;
use escaped::{MAX_OVER, Signs};
use lines::BYTE_ORDER_MARK;
use marks::Marks;
use parsed::{Parsed, Stop};
use quotes::Quotes;

use super::{Blocks, Context, DecodeError, Decoded, Malformed, Records, reason, too_large};
use clickmill_config::Dialect;

/// The code of records whose quotes are not in order.
const UNBALANCED_QUOTE: &str = "unbalanced_quote";
/// The code of records that have other fields than the header names, or more than any may have.
const WRONG_FIELD_COUNT: &str = "wrong_field_count";
/// The most columns that an object may have.
const MAX_COLUMNS: usize = 4096;

/// The fields of a whole record of `source`, as it is decoded, with a line end behind each.
pub fn csv_fields(dialect: &Dialect, source: &str, record: &[u8]) -> Vec<u8> {
    let Dialect { quote, escape, .. } = *dialect;
    let (delimiter, escape) = (dialect.delimiter_of(source), escape.filter(|e| *e != quote));
    escaped::fields(record, Signs { delimiter, quote, escape })
}

pub(super) struct Csv {
    context: Context,
    schema: SchemaRef,
    delimiter: u8,
    quote: u8,
    /// What stands before a quote that is a field's own: the quote where it is doubled and nothing else
    /// will do. Absent where nobody has said.
    escape: Option<u8>,
    trailing_delimiter: bool,
    repeated_names: bool,
    max_record_bytes: usize,
    /// Reads records where nothing escapes a quote.
    parser: Reader,
    /// Reads records of blocks in which nothing is quoted.
    marks: Marks,
    blocks: Blocks,
    block: Bytes,
    /// Whether there is a quote anywhere in the block.
    block_has_quotes: bool,
    /// Whether the whole block is UTF-8, so that its fields need no check.
    block_is_utf8: bool,
    /// Where in the block the next record begins.
    at: usize,
    /// The number of the line there.
    line: u64,
    /// The fields of a record, end to end, and where each ends.
    fields: Vec<u8>,
    ends: Vec<usize>,
    /// Room for the fields of a record that may be longer than the one at hand.
    longer: Vec<u8>,
    /// The rest of a line beyond the size limit is passed over.
    skipping: bool,
    /// Where lines lead that were refused since a quote that they open leads nowhere.
    ahead: Option<Ahead>,
    /// Where they lead if a backslash escapes quotes.
    ahead_escaped: Option<Ahead>,
    /// As far as the parser has been.
    parsed_to: usize,
    /// Whether batches were asked for.
    has_begun: bool,
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
        dialect: Dialect,
        max_record_bytes: usize,
        context: Context,
        blocks: Blocks,
    ) -> Result<Self, DecodeError> {
        let delimiter = dialect.delimiter_of(&context.source);
        let Dialect { quote, escape, trailing_delimiter, repeated_names, .. } = dialect;
        let mut csv = Self {
            context,
            schema: Arc::new(Schema::empty()),
            delimiter,
            quote,
            escape,
            trailing_delimiter,
            repeated_names,
            max_record_bytes,
            parser: ReaderBuilder::new().delimiter(delimiter).quote(quote).build(),
            marks: Marks::new(delimiter),
            blocks,
            block: Bytes::new(),
            block_has_quotes: false,
            block_is_utf8: true,
            at: 0,
            line: 1,
            fields: Vec::new(),
            ends: vec![0; MAX_COLUMNS],
            longer: Vec::new(),
            skipping: false,
            ahead: None,
            ahead_escaped: None,
            parsed_to: 0,
            has_begun: false,
        };
        while csv.block.len() < BYTE_ORDER_MARK.len() && csv.next_block()? {}
        if csv.block.starts_with(BYTE_ORDER_MARK) {
            csv.at = BYTE_ORDER_MARK.len();
        }
        if dialect.header {
            csv.read_header()?;
        } else {
            csv.name_columns()?;
        }
        Ok(csv)
    }

    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub(crate) fn next_batch(&mut self) -> Result<Option<Decoded>, DecodeError> {
        if !std::mem::replace(&mut self.has_begun, true) {
            // A batch is of one block, and so much was read for the header alone.
            self.next_block()?;
        }
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
        while records.len() < limits.max_rows && self.at - begin < limits.max_bytes {
            if self.read_plain(&mut columns, &mut records, begin) {
                continue;
            }
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
        let columns =
            columns.into_iter().map(|(bytes, offsets)| (Buffer::from_vec(bytes), offsets));
        records.decoded(&self.context, &self.schema, columns, self.block.clone(), bytes).map(Some)
    }

    /// Reads records of the batch that begins at `begin` as long as they are what most are: one line, no quote,
    /// as many fields as there are columns. `false` where the next one is another, or nobody knows yet.
    fn read_plain(
        &mut self,
        columns: &mut [(Vec<u8>, Vec<i32>)],
        records: &mut Records,
        begin: usize,
    ) -> bool {
        if self.block_has_quotes || !self.block_is_utf8 || self.sign().is_some() || self.skipping {
            return false;
        }
        let (limits, width) = (self.context.limits, columns.len());
        let before = records.len();
        self.marks.see(&self.block, self.at);
        while records.len() < limits.max_rows
            && self.at - begin < limits.max_bytes
            && let Some((range, next)) =
                self.marks.take(&self.block, self.at, width, self.max_record_bytes)
        {
            records.push(self.line, range);
            self.line += 1;
            self.at = next;
        }
        self.marks.copy(&self.block, columns);
        records.len() > before
    }

    /// Reads the record at `at`. `width` is the number of fields it must have.
    fn next_record(&mut self, width: Option<usize>) -> Next {
        if (self.skipping && !self.skip_line()) || !self.skip_blank_lines() {
            return Next::BlockEnds;
        }
        if let Some(next) = self.led_as_before() {
            return next;
        }
        if let Some(next) = self.refused_unread() {
            return next;
        }
        let start = self.at;
        let Parsed { stop, read, mut count, quotes } = self.parse(width);
        self.parsed_to = self.parsed_to.max(start + read);
        let end = match stop {
            Stop::LineEnd => start + read - 1,
            Stop::Input => start + read,
            Stop::Block if self.block.len() - start <= self.max_record_bytes => {
                return Next::BlockEnds;
            }
            Stop::Block | Stop::Full => return self.refuse(),
        };
        let Some(next) = self.past_line_end(end) else {
            return Next::BlockEnds;
        };
        let range = start..end;
        let record = &self.block[range.clone()];
        if width.is_some_and(|width| count == width + 1) && self.ends_in_delimiter(count) {
            count -= 1;
        }
        let quotes = || match quotes {
            Some(quotes) => quotes,
            None if !self.block_has_quotes || memchr(self.quote, record).is_none() => {
                Quotes::Closed
            }
            None if self.may_be_escaped(record) => Quotes::Escaped,
            None => Quotes::of(record, self.delimiter, self.quote),
        };
        let several_lines = lines::first_end(record).is_some();
        // Its end may be in the block or not: what is done may not rest on that.
        let more_lines = if several_lines { lines::count_ends(record) } else { 0 };
        if several_lines && record.len() > self.max_record_bytes {
            return self.refuse();
        }
        if quotes() != Quotes::Closed {
            if several_lines {
                self.remember(end);
            }
            return self.first_line_is_malformed();
        }
        if let Some(next) = self.goes_over(end) {
            return next;
        }
        let line = self.line;
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
            return self.malformed(range, line, reason(WRONG_FIELD_COUNT, text));
        }
        Next::Record { range, line, count }
    }

    /// Has the record at `at` read into `fields` and `ends`. One of `width` fields may go over line ends that are escaped.
    fn parse(&mut self, width: Option<usize>) -> Parsed {
        let signs = self.signs();
        let input = &self.block[self.at..];
        let (fields, ends) = (&mut self.fields, &mut self.ends);
        let ended = self.blocks.ended;
        if signs.escape.is_some() {
            let parsed = escaped::read(input, signs, ended, 0, fields, ends);
            let Some(width) = width.filter(|_| parsed.quotes == Some(Quotes::Loose)) else {
                return parsed;
            };
            let most = width + usize::from(self.trailing_delimiter);
            let over = escaped::read(input, signs, ended, MAX_OVER, fields, &mut ends[..most]);
            return match over.stop {
                Stop::Block => over,
                _ if over.is_one_of(width, input) => over,
                _ => escaped::read(input, signs, ended, 0, fields, ends),
            };
        }
        plain::read(&mut self.parser, input, ended, fields, ends)
    }

    fn signs(&self) -> Signs {
        Signs { delimiter: self.delimiter, quote: self.quote, escape: self.sign() }
    }

    /// What stands before a quote, where that is not another one.
    fn sign(&self) -> Option<u8> {
        self.escape.filter(|escape| *escape != self.quote)
    }

    /// Whether a backslash stands before a quote, and nobody has said what that means.
    fn may_be_escaped(&self, text: &[u8]) -> bool {
        self.escape.is_none() && quotes::is_escaped(text, self.quote)
    }

    /// Whether the record at hand has an empty field last, which is none where lines may end in a
    /// delimiter.
    fn ends_in_delimiter(&self, count: usize) -> bool {
        self.trailing_delimiter && count > 1 && self.ends[count - 1] == self.ends[count - 2]
    }

    /// The first field of the record at hand that is not text by itself. That all of them together are
    /// is not enough: a character may be cut in two by a delimiter.
    fn first_field_not_utf8(&self, count: usize) -> Option<usize> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let mut fields = starts.zip(&self.ends[..count]);
        fields.position(|(start, end)| std::str::from_utf8(&self.fields[start..*end]).is_err())
    }

    /// Goes on to the next block; `false` where there is none.
    fn next_block(&mut self) -> Result<bool, DecodeError> {
        let Some(block) = self.blocks.next(&self.block[self.at..], self.line)? else {
            return Ok(false);
        };
        self.block = block;
        // No record has more bytes than the block. The parser stops where it has no room left, even if the next
        // byte ends the record.
        let room = self.max_record_bytes.min(self.block.len()) + 1;
        if self.fields.len() < room {
            self.fields = vec![0; room];
        }
        for ahead in [&mut self.ahead, &mut self.ahead_escaped] {
            *ahead = ahead.take().and_then(|ahead| ahead.moved(self.at));
        }
        self.parsed_to = self.parsed_to.saturating_sub(self.at);
        self.marks.forget();
        self.block_has_quotes = memchr(self.quote, &self.block).is_some();
        // A character cut in two at the end belongs to the record that comes again in the next block,
        // where there is a next one.
        self.block_is_utf8 = std::str::from_utf8(&self.block)
            .map_or_else(|error| error.error_len().is_none() && !self.blocks.ended, |_| true);
        self.at = 0;
        Ok(true)
    }
}
