//! Records in which a character escapes quotes: the dialects of MySQL, Spark, Athena and Python's `csv`.
//!
//! The parser's own escapes would not do: it drops the character wherever it stands in quotes, so that
//! `C:\new` is `C:new`, and knows none outside of quotes. Here it stands for nothing but itself unless
//! what follows is a quote or another one, or outside of quotes a delimiter.

use super::parsed::{Parsed, Stop};
use super::quotes::Quotes;

/// The characters that mean something.
#[derive(Clone, Copy)]
pub(super) struct Signs {
    pub delimiter: u8,
    pub quote: u8,
    pub escape: u8,
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
}

/// Reads the record that `input` begins with: its fields, end to end, to `fields`, and where each ends to
/// `ends`. `ended` says that the input has no more than this.
pub(super) fn read(
    input: &[u8],
    signs: Signs,
    ended: bool,
    fields: &mut [u8],
    ends: &mut [usize],
) -> Parsed {
    let Signs { delimiter, quote, escape } = signs;
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
        if next.is_none() && !ended && (byte == escape || byte == quote) {
            return parsed(Stop::Block, at, count, quotes);
        }
        // What is to be kept of the bytes here, and how many they are.
        let (kept, taken) = match (place, byte) {
            (Place::Quoted, byte) if byte == escape => match next {
                Some(next) if next == quote || next == escape => (Some(next), 2),
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
                    Some(next) if byte == escape && [quote, escape, delimiter].contains(&next) => {
                        (Some(next), 2)
                    }
                    // It would escape the line's end, which only a quoted field may hold.
                    None | Some(b'\r' | b'\n') if byte == escape => {
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
