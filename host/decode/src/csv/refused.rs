//! Records of delimited text that are refused as they stand, or of which only the first line is.

use std::ops::Range;

use memchr::memchr;

use super::super::{Malformed, reason, too_large};
use super::escaped::Signs;
use super::extent::{self, Extent};
use super::{Csv, Next, UNBALANCED_QUOTE, WRONG_FIELD_COUNT, lines};
use clickmill_core::batch::{Position, Reason};

/// So many times the size limit is looked ahead for the end of a record whose quotes are in order so far.
/// It is kept meanwhile, since all but its first line is read again where they are not in the end.
const LOOK_AHEAD: usize = 4;
/// And so many bytes beyond the limit at most.
const MAX_LOOK_AHEAD_BYTES: usize = 16 << 20;

impl Csv {
    /// Refuses the record at `at`, which is beyond a limit: the whole of it where its quotes are in order,
    /// else its first line.
    pub(super) fn refuse(&mut self) -> Next {
        let rest = &self.block[self.at..];
        let beyond = (LOOK_AHEAD - 1) * self.max_record_bytes;
        let most = self.max_record_bytes + beyond.min(MAX_LOOK_AHEAD_BYTES);
        let seen = &rest[..rest.len().min(most)];
        let is_all = self.blocks.ended && seen.len() == rest.len();
        let (delimiter, quote) = (self.delimiter, self.quote);
        let signs = Signs { delimiter, quote, escape: self.sign() };
        match extent::of(seen, signs, is_all) {
            Extent::Ends(bytes) if !self.may_be_escaped(&rest[..bytes]) => self.refuse_whole(bytes),
            // One byte more tells whether that is the end of the input.
            Extent::Beyond if rest.len() <= most && !self.blocks.ended => Next::BlockEnds,
            Extent::Ends(_) | Extent::NotInOrder | Extent::Beyond => self.first_line_is_malformed(),
        }
    }

    /// Refuses the record at `at`, which has so many bytes.
    fn refuse_whole(&mut self, bytes: usize) -> Next {
        let range = self.at..self.at + bytes;
        let Some(next) = self.past_line_end(range.end) else {
            return Next::BlockEnds;
        };
        let reason = if bytes > self.max_record_bytes {
            too_large(bytes, self.max_record_bytes)
        } else {
            self.too_many_fields()
        };
        let line = self.line;
        self.line += 1 + lines::count_ends(&self.block[range.clone()]);
        self.at = next;
        self.malformed(range, line, reason)
    }

    /// Why a record is refused that has more fields than any may have.
    fn too_many_fields(&self) -> Reason {
        reason(WRONG_FIELD_COUNT, format!("record has more than {} fields", self.ends.len()))
    }

    /// The first line of the record at `at` is malformed by itself, and the next record begins after it.
    pub(super) fn first_line_is_malformed(&mut self) -> Next {
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
        } else if self.may_be_escaped(text) {
            let told = "a backslash stands before a quote: set `source.csv.escape` to the backslash where \
                        it escapes quotes, or to the quote where it does not";
            reason(UNBALANCED_QUOTE, told.to_owned())
        } else if self.sign().is_some_and(|escape| text.ends_with(&[escape])) {
            let told = "the last character escapes nothing, or the line's end, which is not quoted";
            reason(UNBALANCED_QUOTE, told.to_owned())
        } else if memchr(self.quote, text).is_some() {
            let told = "a quote opens and is not closed where a field ends";
            reason(UNBALANCED_QUOTE, told.to_owned())
        } else {
            self.too_many_fields()
        };
        let line = self.line;
        // The line's number counts now: what is passed over of it later does not count again.
        self.line += 1;
        self.at = next;
        self.skipping = goes_on;
        self.malformed(range, line, reason)
    }

    pub(super) fn malformed(&self, range: Range<usize>, line: u64, reason: Reason) -> Next {
        let end = range.end.min(range.start + self.max_record_bytes);
        let payload = self.block.slice(range.start..end);
        Next::Malformed(Malformed { position: Position::Line(line), payload, reason })
    }
}
