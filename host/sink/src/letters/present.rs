//! Rows of letters that are in a table, by their records and places.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::letter::{Key, Letter, Record};
use clickmill_core::Micros;
use clickmill_tables::result_set::ResultSet;

/// What letters are of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kinds {
    /// Some are of messages.
    pub messages: bool,
    /// Some are of lines of objects.
    pub lines: bool,
}

impl Kinds {
    /// What these letters are of.
    pub fn of(letters: &[Letter]) -> Self {
        letters.iter().filter_map(Letter::key).fold(Self::default(), |kinds, key| {
            match key.record {
                Record::Message(..) => Self { messages: true, ..kinds },
                Record::Line(..) => Self { lines: true, ..kinds },
            }
        })
    }

    /// Whether all of the others are among these.
    pub fn hold(self, others: Self) -> bool {
        (self.messages || !others.messages) && (self.lines || !others.lines)
    }
}

/// Rows that are in a table. Each record has the places of its rows there; `None` is any.
#[derive(Debug, Clone, Default)]
pub struct Present(pub(super) BTreeMap<Record, Vec<Option<u64>>>);

impl Present {
    /// Whether the row of a key is there. Where either side does not say when a message was published, its id
    /// decides; where a row does not say its place, its record.
    pub fn has(&self, key: &Key) -> bool {
        let is_there = |places: &Vec<Option<u64>>| {
            places.iter().any(|place| place.is_none_or(|place| place == key.place))
        };
        match &key.record {
            Record::Message(id, time) if *time == Micros::default() => self
                .0
                .range(
                    Record::Message(id.clone(), Micros::from(i64::MIN))
                        ..=Record::Message(id.clone(), Micros::MAX),
                )
                .any(|(_, places)| is_there(places)),
            Record::Message(id, _) => {
                let unknown = Record::Message(id.clone(), Micros::default());
                [&key.record, &unknown].into_iter().filter_map(|of| self.0.get(of)).any(is_there)
            }
            Record::Line(..) => self.0.get(&key.record).is_some_and(is_there),
        }
    }

    /// Adds a row that was written.
    pub fn insert(&mut self, key: Key) {
        self.0.entry(key.record).or_default().push(Some(key.place));
    }

    /// Adds others of the table.
    pub fn extend(&mut self, other: Self) {
        for (record, places) in other.0 {
            self.0.entry(record).or_default().extend(places);
        }
    }

    /// Adds rows of messages: id, place, and microseconds of publishing.
    pub(super) fn add_messages(&mut self, found: &ResultSet) {
        for row in &found.rows {
            let [Json::String(id), place, published, ..] = row.as_slice() else { continue };
            let published = published.as_i64().filter(|micros| *micros >= 0);
            let record = Record::Message(id.clone(), published.unwrap_or_default().into());
            self.0.entry(record).or_default().push(place.as_u64());
        }
    }

    /// Adds rows of objects: source, line, and place.
    pub(super) fn add_lines(&mut self, found: &ResultSet) {
        for row in &found.rows {
            let [Json::String(source), line, place, ..] = row.as_slice() else { continue };
            let Some(line) = line.as_i64() else { continue };
            let record = Record::Line(source.clone(), line);
            self.0.entry(record).or_default().push(place.as_u64());
        }
    }
}
