//! Records in which a character may escape quotes: the dialects of MySQL, Spark, Athena and Python's `csv`.
//!
//! The parser's own escapes would not do: it drops the character wherever it stands in quotes, so that
//! `C:\new` is `C:new`, and knows none outside of quotes. Here it stands for nothing but itself unless
//! what follows is a quote or another one, or outside of quotes a delimiter.

use memchr::memchr_iter;

use super::parsed::{Parsed, Stop};
use super::quotes::Quotes;

/// So many line ends may be escaped in a record, outside of quotes.
pub(super) const MAX_OVER: usize = 100;

/// The characters that mean something.
#[derive(Clone, Copy)]
pub(super) struct Signs {
    pub delimiter: u8,
    pub quote: u8,
    /// Where nothing but a quote stands for a quote, none.
    pub escape: Option<u8>,
}

/// Where in a record the next byte is.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// Where a field begins.
    Begin,
    /// In a field without quotes, or behind them.
    Plain,
    /// Within quotes.
    Quoted,
    /// Behind the closing quote.
    Behind,
    /// At a line end that is escaped, outside of quotes.
    LineEnd,
}

/// The fields of a whole record as they are read, with a line end behind each.
pub(super) fn fields(record: &[u8], signs: Signs) -> Vec<u8> {
    let count = memchr_iter(signs.delimiter, record).count() + 2;
    // The parser stops where it has no room left.
    let (mut text, mut ends) = (vec![0; record.len() + 1], vec![0; count]);
    let parsed = read(record, signs, true, MAX_OVER, &mut text, &mut ends);
    let mut lines = Vec::with_capacity(text.len() + count);
    let mut start = 0;
    for end in &ends[..parsed.count] {
        lines.extend_from_slice(&text[start..*end]);
        lines.push(b'\n');
        start = *end;
    }
    lines
}

/// Reads the record that `input` begins with: its fields, end to end, to `fields`, and where each ends to
/// `ends`. `ended` says that the input has no more than this. Outside of quotes it goes over so many line ends that are
/// escaped.
pub(super) fn read(
    input: &[u8],
    signs: Signs,
    ended: bool,
    mut over: usize,
    fields: &mut [u8],
    ends: &mut [usize],
) -> Parsed {
    let Signs { delimiter, quote, escape } = signs;
    let is_escape = |byte| Some(byte) == escape;
    let (mut place, mut quotes) = (Place::Begin, Quotes::Closed);
    let (mut at, mut written, mut count) = (0, 0, 0);
    let parsed = |stop, read, count, quotes| Parsed { stop, read, count, quotes: Some(quotes) };
    loop {
        if written == fields.len() || count == ends.len() {
            return parsed(Stop::Full, at, count, quotes);
        }
        let Some(&byte) = input.get(at) else {
            if !ended {
                return parsed(Stop::Block, at, count, quotes);
            }
            ends[count] = written;
            let quotes = if place == Place::Quoted { Quotes::Open } else { quotes };
            return parsed(Stop::Input, at, count + 1, quotes);
        };
        let next = input.get(at + 1).copied();
        if next.is_none() && !ended && (is_escape(byte) || byte == quote) {
            return parsed(Stop::Block, at, count, quotes);
        }
        // What is to be kept of the bytes here, and how many they are.
        let (kept, taken) = match (place, byte) {
            (Place::Quoted, byte) if is_escape(byte) => match next {
                Some(next) if next == quote || is_escape(next) => (Some(next), 2),
                _ => (Some(byte), 1),
            },
            (Place::Quoted, byte) if byte == quote && next == Some(quote) => (Some(quote), 2),
            (Place::Quoted, byte) if byte == quote => {
                place = Place::Behind;
                (None, 1)
            }
            (Place::Quoted, byte) => (Some(byte), 1),
            (Place::Begin, byte) if byte == quote => {
                place = Place::Quoted;
                (None, 1)
            }
            (Place::LineEnd, b'\r') if next == Some(b'\n') => (Some(byte), 1),
            (Place::LineEnd, byte) => {
                place = Place::Plain;
                (Some(byte), 1)
            }
            (_, b'\r' | b'\n') => {
                ends[count] = written;
                return parsed(Stop::LineEnd, at + 1, count + 1, quotes);
            }
            (_, byte) if byte == delimiter => {
                ends[count] = written;
                count += 1;
                place = Place::Begin;
                (None, 1)
            }
            (place_now, byte) => {
                if place_now == Place::Behind {
                    quotes = Quotes::Loose;
                }
                place = Place::Plain;
                match next {
                    Some(next)
                        if is_escape(byte)
                            && (is_escape(next) || next == quote || next == delimiter) =>
                    {
                        (Some(next), 2)
                    }
                    Some(b'\r' | b'\n') if is_escape(byte) && over > 0 => {
                        over -= 1;
                        place = Place::LineEnd;
                        (None, 1)
                    }
                    // It would escape the line's end, which only a quoted field may hold.
                    None | Some(b'\r' | b'\n') if is_escape(byte) => {
                        quotes = Quotes::Loose;
                        (Some(byte), 1)
                    }
                    _ => (Some(byte), 1),
                }
            }
        };
        if let Some(kept) = kept {
            fields[written] = kept;
            written += 1;
        }
        at += taken;
    }
}
