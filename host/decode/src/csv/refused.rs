//! Records of delimited text that are refused as they stand, or of which only the first line is.
//!
//! Where a quote that a line opens leads nowhere, that line is refused by itself and the next one is read anew. It
//! may open a quote as well. Both then are within quotes where the next one ends, and so go the same way from there:
//! what was seen of it ([`Ahead`]) is not looked at again, or a file of such lines would take hours.
//!
//! Nor may the parser see it again and again. It does not stop at a quote that is not in order, but goes on to the
//! end of a record that is none, up to a limit. So wherever it has been, a record is read only if its quotes were
//! followed to its end. Where it goes beyond such a quote it begins where it had not been, and no byte is read so
//! twice; what is followed ends at the quote, and where it was followed is known from then on.

use std::ops::Range;

use memchr::memchr;

use super::super::{Malformed, reason, too_large};
use super::ahead::{Ahead, Leads};
use super::escaped::{self, MAX_OVER};
use super::extent::{Extent, Follower};
use super::quotes::last_escaped;
use super::{Csv, Next, Signs, Stop, UNBALANCED_QUOTE, WRONG_FIELD_COUNT, lines};
use clickmill_core::batch::{Position, Reason};

/// So many times the size limit is looked ahead for the end of a record whose quotes are in order so far.
/// It is kept meanwhile, since all but its first line is read again where they are not in the end.
const LOOK_AHEAD: usize = 4;
/// And so many bytes beyond the limit at most.
const MAX_LOOK_AHEAD_BYTES: usize = 16 << 20;

const MAY_BE_ESCAPED: &str = "a backslash stands before a quote: set `source.csv.escape` to the backslash where it \
                              escapes quotes, or to the quote where it does not";

const MAY_GO_OVER: &str = "a backslash stands before a line end, behind which a line follows that is no record: set \
                           `source.csv.escape` to the backslash where it escapes line ends, or to the quote where it \
                           does not";

impl Csv {
    /// What becomes of the record at `at`, where its first line opens a quote that leads where one before it led.
    pub(super) fn led_as_before(&mut self) -> Option<Next> {
        let mut ahead = self.ahead.take_if(|ahead| self.at < ahead.follower.at)?;
        let (most, signs) = (self.most_ahead(), self.signs());
        let Some(end) = lines::first_end(&self.block[self.at..]).map(|end| self.at + end) else {
            self.ahead = Some(ahead);
            return None;
        };
        let mut line = Follower::new(self.at);
        let is_open = line.follow(&self.block[..=end], signs, false) == Extent::Beyond
            && line.is_quoted()
            && line.at == end + 1
            && (ahead.from..ahead.follower.at).contains(&end);
        let is_refused = match ahead.leads {
            _ if !is_open => false,
            Leads::Astray => true,
            Leads::Escaped(last) => self.at <= last,
            Leads::Beyond => {
                let limit = self.block.len().min(self.at + most);
                let is_all = self.blocks.ended && limit == self.block.len();
                match ahead.follower.follow(&self.block[..limit], signs, is_all) {
                    Extent::Beyond if self.block.len() - self.at <= most && !self.blocks.ended => {
                        self.ahead = Some(ahead);
                        return Some(Next::BlockEnds);
                    }
                    Extent::Beyond => true,
                    Extent::NotInOrder => {
                        ahead.leads = Leads::Astray;
                        true
                    }
                    Extent::Ends(_) => return None,
                }
            }
        };
        self.ahead = Some(ahead);
        is_refused.then(|| self.first_line_is_malformed())
    }

    /// Remembers where the record at `at` leads, of which the first line is refused. It ends at `end`, if it does.
    pub(super) fn remember(&mut self, end: usize) {
        let input = &self.block[..self.block.len().min(end + 1)];
        let is_all = self.blocks.ended && input.len() == self.block.len();
        let mut follower = Follower::new(self.at);
        let extent = follower.follow(input, self.signs(), is_all);
        self.set_ahead(follower, extent);
    }

    fn set_ahead(&mut self, follower: Follower, extent: Extent) {
        let leads = match extent {
            Extent::NotInOrder => Some(Leads::Astray),
            Extent::Beyond => Some(Leads::Beyond),
            Extent::Ends(end) if self.escape.is_none() => {
                let last = last_escaped(&self.block[self.at..end], self.quote);
                last.map(|last| Leads::Escaped(self.at + last))
            }
            Extent::Ends(_) => None,
        };
        let first = lines::first_end(&self.block[self.at..]);
        let ahead = first.zip(leads).map(|(first, leads)| {
            let from = self.at + first;
            Ahead { from, follower, leads }
        });
        // What goes no further than its own line tells nothing of others, of which more may be known.
        if let Some(ahead) = ahead.filter(|ahead| ahead.from < ahead.follower.at) {
            self.ahead = Some(ahead);
        }
    }

    /// How far is looked for the end of a record.
    fn most_ahead(&self) -> usize {
        let beyond = (LOOK_AHEAD - 1) * self.max_record_bytes;
        self.max_record_bytes + beyond.min(MAX_LOOK_AHEAD_BYTES)
    }

    /// Refuses the record at `at`, which is beyond a limit: the whole of it where its quotes are in order,
    /// else its first line.
    pub(super) fn refuse(&mut self) -> Next {
        let (follower, extent) = self.follow();
        self.refuse_as(follower, extent)
    }

    /// Refuses the record at `at` before it is read, where the parser has been there already and the record's quotes
    /// are not in order, or lead too far.
    pub(super) fn refused_unread(&mut self) -> Option<Next> {
        if self.at >= self.parsed_to {
            return None;
        }
        match self.follow() {
            (_, Extent::Ends(_)) => None,
            (follower, Extent::NotInOrder) if self.is_over(follower.at) => None,
            (follower, extent) => Some(self.refuse_as(follower, extent)),
        }
    }

    /// Whether a line end is escaped here, outside of quotes.
    fn is_over(&self, at: usize) -> bool {
        let pair = self.block.get(at..at + 2);
        pair.is_some_and(|pair| self.sign() == Some(pair[0]) && matches!(pair[1], b'\r' | b'\n'))
    }

    /// Refuses the record at `at`, which ends at `end`, where a backslash is its last character, nobody has said what that
    /// means, and with the next lines it is a record as well: one whose last field goes on. Where a record of as many
    /// fields follows, as behind a folder of Windows, it is not.
    pub(super) fn goes_over(&mut self, end: usize) -> Option<Next> {
        let width = self.schema.fields().len();
        let record = &self.block[self.at..end];
        let backslashes = record.iter().rev().take_while(|byte| **byte == b'\\').count();
        if self.escape.is_some() || width < 2 || backslashes % 2 == 0 {
            return None;
        }
        let next = self.past_line_end(end)?;
        match self.block.get(next) {
            None if !self.blocks.ended => return Some(Next::BlockEnds),
            None | Some(b'\r' | b'\n') => return None,
            Some(_) => {}
        }
        let limit = self.block.len().min(self.at + self.max_record_bytes);
        let is_all = self.blocks.ended && limit == self.block.len();
        let input = &self.block[self.at..limit];
        let signs = Signs { escape: Some(b'\\'), ..self.signs() };
        let most = width + usize::from(self.trailing_delimiter);
        if self.longer.len() <= input.len() {
            self.longer = vec![0; input.len() + 1];
        }
        let (fields, mut ends) = (&mut self.longer, vec![0; most]);
        let parsed = escaped::read(input, signs, is_all, MAX_OVER, fields, &mut ends);
        let whole = match parsed.stop {
            Stop::Block if limit == self.block.len() && !self.blocks.ended => {
                return Some(Next::BlockEnds);
            }
            Stop::Full => return None,
            _ if parsed.count < width && parsed.stop != Stop::Block => return None,
            Stop::LineEnd if parsed.is_one_of(width, input) => self.at + parsed.read - 1,
            Stop::Input if parsed.is_one_of(width, input) => self.at + parsed.read,
            // It cannot be told.
            Stop::LineEnd | Stop::Input | Stop::Block => end,
        };
        Some(self.refuse_whole(whole, reason(UNBALANCED_QUOTE, MAY_GO_OVER.to_owned())))
    }

    /// Follows the record at `at`, as far as its end is looked for.
    fn follow(&self) -> (Follower, Extent) {
        let limit = self.block.len().min(self.at + self.most_ahead());
        let is_all = self.blocks.ended && limit == self.block.len();
        let mut follower = Follower::new(self.at);
        let extent = follower.follow(&self.block[..limit], self.signs(), is_all);
        (follower, extent)
    }

    /// Refuses the record at `at`, which goes so far.
    fn refuse_as(&mut self, follower: Follower, extent: Extent) -> Next {
        let (at, most) = (self.at, self.most_ahead());
        match extent {
            Extent::Ends(end) if !self.may_be_escaped(&self.block[at..end]) => {
                let bytes = end - at;
                let reason = if bytes > self.max_record_bytes {
                    too_large(bytes, self.max_record_bytes)
                } else {
                    self.too_many_fields()
                };
                self.refuse_whole(end, reason)
            }
            // One byte more tells whether that is the end of the input.
            Extent::Beyond if self.block.len() - at <= most && !self.blocks.ended => {
                Next::BlockEnds
            }
            Extent::Ends(_) | Extent::NotInOrder | Extent::Beyond => {
                self.set_ahead(follower, extent);
                self.first_line_is_malformed()
            }
        }
    }

    /// Refuses the record at `at`, which ends at `end`.
    fn refuse_whole(&mut self, end: usize, reason: Reason) -> Next {
        let range = self.at..end;
        let Some(next) = self.past_line_end(end) else {
            return Next::BlockEnds;
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
        let rest = self.block.slice(self.at..);
        let found = lines::first_end(&rest);
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
        let may_be_escaped = self.may_be_escaped(text);
        if may_be_escaped && let Some(next) = self.goes_over(range.end) {
            return next;
        }
        if self.escape.is_none()
            && let Some(next) = self.refused_as_escaped(range.end)
        {
            return next;
        }
        let reason = if oversized {
            too_large(text.len(), self.max_record_bytes)
        } else if may_be_escaped {
            reason(UNBALANCED_QUOTE, MAY_BE_ESCAPED.to_owned())
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

    /// Refuses the record at `at` with the lines behind its first one, which ends at `first`, that are its own where a
    /// backslash escapes quotes. One letter has all of them, so that none becomes a row by itself, and a replay that
    /// knows the escape reads what was written.
    fn refused_as_escaped(&mut self, first: usize) -> Option<Next> {
        let signs = Signs { escape: Some(b'\\'), ..self.signs() };
        let mut line = Follower::new(self.at);
        let is_open = line.follow(self.block.get(..=first)?, signs, false) == Extent::Beyond
            && line.is_quoted()
            && line.at == first + 1;
        if !is_open {
            return None;
        }
        let before = self.ahead_escaped.take();
        let mut ahead = before
            .filter(|ahead| (ahead.from..ahead.follower.at).contains(&first))
            .unwrap_or(Ahead { from: first, follower: line, leads: Leads::Beyond });
        let limit = self.block.len().min(self.at + self.max_record_bytes);
        let is_all = self.blocks.ended && limit == self.block.len();
        let extent = match ahead.leads {
            Leads::Beyond => ahead.follower.follow(&self.block[..limit], signs, is_all),
            Leads::Astray | Leads::Escaped(_) => Extent::NotInOrder,
        };
        match extent {
            Extent::Ends(end) if self.may_be_escaped(&self.block[self.at..end]) => {
                // It was of another reading.
                self.ahead = None;
                let reason = reason(UNBALANCED_QUOTE, MAY_BE_ESCAPED.to_owned());
                return Some(self.refuse_whole(end, reason));
            }
            Extent::Ends(_) | Extent::NotInOrder => ahead.leads = Leads::Astray,
            Extent::Beyond => {}
        }
        self.ahead_escaped = Some(ahead);
        let is_cut = extent == Extent::Beyond && limit == self.block.len() && !self.blocks.ended;
        is_cut.then_some(Next::BlockEnds)
    }

    pub(super) fn malformed(&self, range: Range<usize>, line: u64, reason: Reason) -> Next {
        let end = range.end.min(range.start + self.max_record_bytes);
        let payload = self.block.slice(range.start..end);
        Next::Malformed(Malformed { position: Position::Line(line), payload, reason })
    }
}
