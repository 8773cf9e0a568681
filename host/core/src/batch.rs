//! A batch: Arrow columns, and for each row where it came from and its original bytes.
//!
//! Batches are what flows through clickmill. This module knows neither where bytes come from nor where
//! rows go; it offers what every stage does with a batch: add columns, keep some rows, take one out.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::{concat_batches, filter_record_batch, take_record_batch};
use arrow::datatypes::{Field, Schema};
use arrow::error::ArrowError;
use bytes::Bytes;

use crate::digest::Digest;
use crate::micros::Micros;
use crate::stage::StageName;

/// Rows on their way through the pipeline.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The columns. Every column has [`Batch::rows`] values.
    pub columns: RecordBatch,
    /// Where the rows came from, one entry per row.
    pub origins: Origins,
    /// When the host took the rows in.
    pub ingest_time: Micros,
}

/// Where rows came from: an object or a subscription, and in it a position and the exact bytes of each.
#[derive(Debug, Clone)]
pub struct Origins {
    /// `uri@generation` of the object, or the subscription.
    pub source: Arc<str>,
    /// The object's header, where its format has one: without it the bytes of a row say nothing.
    pub header: Option<Bytes>,
    /// Each row's place in the source.
    pub positions: Positions,
    /// Each row's place among the rows of its record, its `record_index`: 0 for all of them where it is
    /// absent, as it is until a plugin makes several rows of one.
    pub places: Option<Vec<u64>>,
    /// What the rows' bytes are cut from.
    pub block: Bytes,
    /// Each row's bytes in `block`.
    pub ranges: Vec<Range<usize>>,
}

/// The places of a batch's rows, one per row.
#[derive(Debug, Clone)]
pub enum Positions {
    /// The lines of an object on which the rows begin, from 1.
    Lines(Vec<u64>),
    /// The messages that the rows are.
    Messages(Vec<Arc<Message>>),
}

/// A row's place in its source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Position {
    /// The line of an object on which it begins, from 1.
    Line(u64),
    /// The message that it is.
    Message(Arc<Message>),
}

/// What tells a row from all others of its source: its record, and its place among the rows of that.
pub type RowKey = (Position, u64);

/// What a message carries beside its payload.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Message {
    /// The topic's number for it: every delivery of a message has the same.
    pub id: String,
    /// When it was published.
    pub publish_time: Micros,
    /// Messages of one key are delivered in the order in which they were published; empty for none.
    pub ordering_key: String,
    /// Its attributes, by key.
    pub attributes: Vec<(String, String)>,
}

/// The attribute of a dead letter without a payload that says which letter has it: both are of rows of one
/// record.
pub const PAYLOAD_ATTRIBUTE: &str = "clickmill.payload_with";

/// A row that leaves the pipeline by the dead-letter table.
#[derive(Debug, Clone, PartialEq)]
pub struct Rejected {
    /// `uri@generation` of the object it came from, or the subscription.
    pub source: Arc<str>,
    /// The header of that object, where it has one.
    pub header: Option<Bytes>,
    /// Its place in the source.
    pub position: Position,
    /// Its place among the rows of that record; 0 where the record is one row, or never became one.
    pub record_index: u64,
    /// Its original bytes: those of the record, whatever rows were made of it.
    pub payload: Bytes,
    /// Who refused it: the name of a plugin in the pipeline file, or one of [`crate::stage`].
    pub stage: StageName,
    /// The digest of the component that refused it, where it was a plugin.
    pub plugin_digest: Option<Digest>,
    /// The digest of the whole plugin set.
    pub plugin_set: Digest,
    /// Why.
    pub reason: Reason,
    /// When the host took the row in.
    pub ingest_time: Micros,
}

/// Who rejects rows of a batch: what all rejections of one stage and one batch have in common.
#[derive(Debug, Clone)]
pub struct Rejector {
    /// See [`Rejected::stage`].
    pub stage: StageName,
    /// See [`Rejected::plugin_digest`].
    pub plugin_digest: Option<Digest>,
    /// See [`Rejected::plugin_set`].
    pub plugin_set: Digest,
    /// See [`Rejected::ingest_time`].
    pub ingest_time: Micros,
}

/// Why a row was refused.
#[derive(Debug, Clone, PartialEq)]
pub struct Reason {
    /// A stable word for counting.
    pub code: String,
    /// What is wrong, for a person.
    pub message: String,
    /// The column at fault, where there is one.
    pub column: Option<String>,
}

impl Rejector {
    /// A stage of the host, one of [`crate::stage`].
    pub fn host(stage: &'static str, plugin_set: &Digest, ingest_time: Micros) -> Self {
        let (stage, plugin_set) = (StageName::of_host(stage), plugin_set.clone());
        Self { stage, plugin_digest: None, plugin_set, ingest_time }
    }
}

impl Rejected {
    /// What tells the row from all others of its source.
    pub fn key(&self) -> RowKey {
        (self.position.clone(), self.record_index)
    }
}

impl Batch {
    /// How many rows.
    pub fn rows(&self) -> usize {
        self.columns.num_rows()
    }

    /// The rows of a range, without copying.
    pub fn slice(&self, rows: Range<usize>) -> Self {
        Self {
            columns: self.columns.slice(rows.start, rows.len()),
            origins: self.origins.slice(rows),
            ingest_time: self.ingest_time,
        }
    }

    /// The rows of batches of one source and of the same columns, one batch behind the other. They count as
    /// taken in when the first of them was.
    pub fn concat(batches: &[Self]) -> Result<Self, ArrowError> {
        let [first, rest @ ..] = batches else {
            return Err(ArrowError::InvalidArgumentError("no batch to begin with".to_owned()));
        };
        if rest.is_empty() {
            return Ok(first.clone());
        }
        let columns = batches.iter().map(|batch| &batch.columns);
        let columns = concat_batches(&first.columns.schema(), columns)?;
        let origins = Origins::concat(batches.iter().map(|batch| &batch.origins));
        Ok(Self { columns, origins: origins?, ingest_time: first.ingest_time })
    }

    /// Only the rows where `keep` is true. `keep` has one value per row.
    pub fn keep(mut self, keep: &BooleanArray) -> Result<Self, ArrowError> {
        if keep.true_count() == self.rows() {
            return Ok(self);
        }
        self.columns = filter_record_batch(&self.columns, keep)?;
        self.origins.keep(keep);
        Ok(self)
    }

    /// Puts columns in: each replaces the one of its name, or is added at the end.
    pub fn set_columns(&mut self, columns: Vec<(Field, ArrayRef)>) -> Result<(), ArrowError> {
        let rows = self.rows();
        let schema = self.columns.schema();
        let mut fields: Vec<Arc<Field>> = schema.fields().iter().cloned().collect();
        let mut arrays = self.columns.columns().to_vec();
        for (field, array) in columns {
            let field = Arc::new(field);
            match fields.iter().position(|known| known.name() == field.name()) {
                Some(at) => {
                    fields[at] = field;
                    arrays[at] = array;
                }
                None => {
                    fields.push(field);
                    arrays.push(array);
                }
            }
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        self.columns =
            RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)?;
        Ok(())
    }

    /// The same rows in memory of their own: what they were cut from, which may be far larger, can go.
    pub fn detached(&self) -> Result<Self, ArrowError> {
        let rows: UInt32Array = (0..self.rows() as u32).collect();
        let columns = take_record_batch(&self.columns, &rows)?;
        Ok(Self { columns, origins: self.origins.detached(), ingest_time: self.ingest_time })
    }
}

impl Origins {
    /// The original bytes of a row.
    pub fn payload(&self, row: usize) -> Bytes {
        self.block.slice(self.ranges[row].clone())
    }

    /// The part of the block in which the rows' bytes are.
    pub fn extent(&self) -> Range<usize> {
        let begin = self.ranges.iter().map(|range| range.start).min().unwrap_or(0);
        begin..self.ranges.iter().map(|range| range.end).max().unwrap_or(begin)
    }

    /// A row's place in the source.
    pub fn position(&self, row: usize) -> Position {
        match &self.positions {
            Positions::Lines(lines) => Position::Line(lines[row]),
            Positions::Messages(messages) => Position::Message(messages[row].clone()),
        }
    }

    /// A row's place among the rows of its record.
    pub fn record_index(&self, row: usize) -> u64 {
        self.places.as_ref().map_or(0, |places| places[row])
    }

    /// What tells a row from all others of the source.
    pub fn key(&self, row: usize) -> RowKey {
        (self.position(row), self.record_index(row))
    }

    /// The last row's place in the source.
    pub fn last(&self) -> Option<Position> {
        self.ranges.len().checked_sub(1).map(|row| self.position(row))
    }

    /// A row, rejected.
    pub fn reject(&self, row: usize, by: &Rejector, reason: Reason) -> Rejected {
        Rejected {
            record_index: self.record_index(row),
            ..self.reject_record(self.position(row), self.payload(row), by, reason)
        }
    }

    /// A record of the same source that never became a row, rejected.
    pub fn reject_record(
        &self,
        position: Position,
        payload: Bytes,
        by: &Rejector,
        reason: Reason,
    ) -> Rejected {
        Rejected {
            source: self.source.clone(),
            header: self.header.clone(),
            position,
            record_index: 0,
            payload,
            stage: by.stage.clone(),
            plugin_digest: by.plugin_digest.clone(),
            plugin_set: by.plugin_set.clone(),
            reason,
            ingest_time: by.ingest_time,
        }
    }

    /// Those of rows of one source, one behind the other.
    fn concat<'a>(all: impl Iterator<Item = &'a Self> + Clone) -> Result<Self, ArrowError> {
        let mut joined: Option<Self> = None;
        let mut block = Vec::with_capacity(all.clone().map(|origins| origins.block.len()).sum());
        let has_places = all.clone().any(|origins| origins.places.is_some());
        for origins in all {
            let (at, rows) = (block.len(), origins.ranges.len());
            block.extend_from_slice(&origins.block);
            let places = || origins.places.clone().unwrap_or_else(|| vec![0; rows]);
            let ranges = origins.ranges.iter().map(|range| range.start + at..range.end + at);
            let Some(joined) = &mut joined else {
                let places = has_places.then(places);
                joined = Some(Self { places, ..origins.clone() });
                continue;
            };
            match (&mut joined.positions, &origins.positions) {
                (Positions::Lines(all), Positions::Lines(lines)) => all.extend(lines),
                (Positions::Messages(all), Positions::Messages(messages)) => {
                    all.extend(messages.iter().cloned());
                }
                (Positions::Lines(_), Positions::Messages(_))
                | (Positions::Messages(_), Positions::Lines(_)) => {
                    let why = "lines and messages are of two sources".to_owned();
                    return Err(ArrowError::InvalidArgumentError(why));
                }
            }
            if let Some(all) = &mut joined.places {
                all.extend(places());
            }
            joined.ranges.extend(ranges);
        }
        let joined = joined.map(|joined| Self { block: block.into(), ..joined });
        joined.ok_or_else(|| ArrowError::InvalidArgumentError("no origins".to_owned()))
    }

    /// Those of a range of rows.
    pub fn slice(&self, rows: Range<usize>) -> Self {
        Self {
            source: self.source.clone(),
            header: self.header.clone(),
            positions: match &self.positions {
                Positions::Lines(lines) => Positions::Lines(lines[rows.clone()].to_vec()),
                Positions::Messages(all) => Positions::Messages(all[rows.clone()].to_vec()),
            },
            places: self.places.as_ref().map(|places| places[rows.clone()].to_vec()),
            block: self.block.clone(),
            ranges: self.ranges[rows].to_vec(),
        }
    }

    /// Those of the rows that came of these, by their numbers, each with its place in its record.
    #[must_use]
    pub fn repeat(&self, came_from: &[u32], places: Vec<u64>) -> Self {
        fn of<T: Clone>(all: &[T], came_from: &[u32]) -> Vec<T> {
            came_from.iter().map(|row| all[*row as usize].clone()).collect()
        }
        Self {
            source: self.source.clone(),
            header: self.header.clone(),
            positions: match &self.positions {
                Positions::Lines(lines) => Positions::Lines(of(lines, came_from)),
                Positions::Messages(all) => Positions::Messages(of(all, came_from)),
            },
            places: Some(places),
            block: self.block.clone(),
            ranges: of(&self.ranges, came_from),
        }
    }

    /// Only those of the rows where `keep` is true. `keep` has one value per row.
    pub fn keep(&mut self, keep: &BooleanArray) {
        fn retain<T>(all: &mut Vec<T>, keep: &BooleanArray) {
            let mut kept = keep.values().iter();
            all.retain(|_| kept.next().unwrap_or(false));
        }
        match &mut self.positions {
            Positions::Lines(lines) => retain(lines, keep),
            Positions::Messages(messages) => retain(messages, keep),
        }
        if let Some(places) = &mut self.places {
            retain(places, keep);
        }
        retain(&mut self.ranges, keep);
    }

    /// The same over a block of their own.
    fn detached(&self) -> Self {
        let extent = self.extent();
        let begin = extent.start;
        let ranges = self.ranges.iter().map(|range| range.start - begin..range.end - begin);
        Self {
            source: self.source.clone(),
            header: self.header.clone(),
            positions: self.positions.clone(),
            places: self.places.clone(),
            block: Bytes::copy_from_slice(&self.block[extent]),
            ranges: ranges.collect(),
        }
    }
}

#[cfg(test)]
mod tests;
