//! Made-up data: a web shop's clicks, in any amount, without any service or file.
//!
//! In: [`Options`]. Out: bytes, either through [`Read`] (a whole file: for `shop` a CSV with its
//! header, else one JSON object a line) or record by record. The same options give the same bytes
//! on every machine. Memory depends on the number of users active at once, never on
//! the number of rows.
//!
//! A settable share of records is bad in known ways, counted by [`Generator::counts`]. A bad
//! record is the good one of the same place with one thing spoiled; all others stay the same.
//!
//! It deliberately does not pace itself (whoever reads decides how fast), look at the clock, or
//! reproduce anyone's data: distributions are parameters, and people, addresses and shop do not
//! exist.

mod bad;
mod clicks;
mod dice;
mod events;
mod shop;
mod text;
mod time;

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

pub use bad::{BadKind, BadShares, BadSharesError, Counts};
pub use time::{Timestamp, TimestampError};

use bad::BadSampler;
use dice::Dice;

/// What is generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A CSV in the shape of UCI's "Clickstream Data for Online Shopping": `;` between 14 columns,
    /// CRLF, about 40 bytes a row.
    Shop,
    /// Click events as newline-delimited JSON, about 590 bytes each.
    Clicks,
    /// Messages of one to five shop events each, with lists of items and exact prices, as
    /// newline-delimited JSON: about 1.2 KB an event.
    Events,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shop => "shop",
            Self::Clicks => "clicks",
            Self::Events => "events",
        })
    }
}

/// There is no such generator.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("unknown generator `{name}`: generators are `shop`, `clicks`, `events`")]
pub struct KindError {
    name: String,
}

impl FromStr for Kind {
    type Err = KindError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Shop, Self::Clicks, Self::Events]
            .into_iter()
            .find(|kind| kind.to_string() == text)
            .ok_or_else(|| KindError { name: text.to_owned() })
    }
}

/// What to generate.
#[derive(Clone, Debug)]
pub struct Options {
    /// Of what kind.
    pub kind: Kind,
    /// Records, good and bad, not counting a header: of `events`, messages.
    pub rows: u64,
    /// Same seed, same records.
    pub seed: u64,
    /// How many of them are bad, and how.
    pub bad: BadShares,
    /// `clicks`, `events`: how many people there are to click; 0 counts as 1. Of `clicks`, from 10,000
    /// on, more of them also means more traffic: about 15 events a day each.
    pub users: u64,
    /// `clicks`, `events`: when they begin, by default 2026-01-05T08:00Z. `shop`: the first of
    /// the 135 days over which the rows are spread, by default 2008-04-01.
    pub start: Option<Timestamp>,
    /// `clicks`, `events`: about that many records a second of generated time, at all hours; by default
    /// traffic of `clicks` follows the users, more by day than by night, and of `events` one comes a second.
    pub rate: Option<u64>,
}

impl Options {
    /// No bad records, 10,000 users, the default start.
    pub fn new(kind: Kind, rows: u64, seed: u64) -> Self {
        Self { kind, rows, seed, bad: BadShares::default(), users: 10_000, start: None, rate: None }
    }
}

/// A stream of generated records. Read it as a file or ask for records, not both in turn: a read
/// may leave part of a record behind.
pub struct Generator {
    maker: Maker,
    sampler: BadSampler,
    /// Separate from the maker's dice, so that spoiling one record leaves the others alone.
    spoil: Dice,
    left: u64,
    counts: Counts,
    pending: Vec<u8>,
    read: usize,
}

enum Maker {
    Shop(Box<shop::Shop>),
    Clicks(Box<clicks::Clicks>),
    Events(Box<events::Events>),
}

impl Generator {
    /// A generator at its first record.
    pub fn new(options: &Options) -> Self {
        let maker = match options.kind {
            Kind::Shop => Maker::Shop(Box::new(shop::Shop::new(options))),
            Kind::Clicks => Maker::Clicks(Box::new(clicks::Clicks::new(options))),
            Kind::Events => Maker::Events(Box::new(events::Events::new(options))),
        };
        let mut generator = Self {
            maker,
            sampler: BadSampler::new(&options.bad, options.kind),
            spoil: Dice::new(options.seed, b"spoiling"),
            left: options.rows,
            counts: Counts::default(),
            pending: Vec::new(),
            read: 0,
        };
        if let Some(header) = generator.header() {
            generator.pending.extend_from_slice(header.as_bytes());
            generator.pending.extend_from_slice(generator.line_end());
        }
        generator
    }

    /// The line above all records, without its line ending, where the format has one.
    pub const fn header(&self) -> Option<&'static str> {
        match self.maker {
            Maker::Shop(_) => Some(shop::HEADER),
            Maker::Clicks(_) | Maker::Events(_) => None,
        }
    }

    /// Appends the next record, without a line ending; false, and nothing appended, after the
    /// last. A record never contains a line break.
    pub fn next_record(&mut self, out: &mut Vec<u8>) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        let bad = self.sampler.draw(&mut self.spoil);
        match &mut self.maker {
            Maker::Shop(shop) => shop.write(bad, &mut self.spoil, out),
            Maker::Clicks(clicks) => clicks.write(bad, &mut self.spoil, out),
            Maker::Events(events) => events.write(bad, &mut self.spoil, out),
        }
        self.counts.add(bad);
        true
    }

    /// Of the records made so far; while reading, the last of them may not be wholly read yet.
    pub fn counts(&self) -> Counts {
        self.counts.clone()
    }

    const fn line_end(&self) -> &'static [u8] {
        match self.maker {
            Maker::Shop(_) => b"\r\n",
            Maker::Clicks(_) | Maker::Events(_) => b"\n",
        }
    }
}

impl Read for Generator {
    /// Fills all of `into` while there are records. Never fails.
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < into.len() {
            if self.read == self.pending.len() {
                let mut record = std::mem::take(&mut self.pending);
                record.clear();
                self.read = 0;
                let more = self.next_record(&mut record);
                if more {
                    record.extend_from_slice(self.line_end());
                }
                self.pending = record;
                if !more {
                    break;
                }
            }
            let rest = &self.pending[self.read..];
            let taken = rest.len().min(into.len() - filled);
            into[filled..filled + taken].copy_from_slice(&rest[..taken]);
            self.read += taken;
            filled += taken;
        }
        Ok(filled)
    }
}

#[cfg(test)]
mod tests;
