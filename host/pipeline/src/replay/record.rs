//! Dead letters as golden cases: the rows that they were when they came to a stage, as a reader may see them. And
//! rows that a tap showed.

use std::collections::BTreeSet;

use arrow::array::{RecordBatch, new_null_array};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use serde_json::{Map, Value as Json};

use super::chains::Chains;
use super::error::ReplayError;
use crate::build::PreparedPipeline;
use crate::context::Context;
use crate::observe::tap::{HIDDEN, StageWrites};
use crate::versions::fit::{FitError, Fitted};
use clickmill_core::batch::Batch;
use clickmill_core::{Micros, RawColumn, stage};
use clickmill_sandbox::{Change, ChangeError, Golden, Library, Recorded};
use clickmill_sink::Letter;

/// Which letters become golden cases of what.
#[derive(Debug, Clone)]
pub struct Recording {
    /// The stage, which gets a component. Before it run the plugins that run now.
    pub change: Change,
    /// Which letters: a condition in SQL.
    pub condition: String,
    /// How many of them, at most.
    pub letters: usize,
    /// The name of the file of cases, for messages.
    pub file: String,
}

/// Rows that became golden cases.
#[derive(Debug, Clone)]
pub struct RecordedRows {
    /// The cases, which say what the stage makes of the rows now.
    pub golden: Golden,
    /// How many letters were looked at; of rows of a tap, none.
    pub letters: Option<usize>,
    /// Rows that came to the stage, as far as a reader may see them.
    pub rows: usize,
    /// Rows of which there is no case, since they have other columns than the first, or values that JSON does not
    /// hold.
    pub left_out: usize,
    /// Columns of the cases whose values a reader may not see.
    pub hidden: Vec<String>,
}

/// The rows that came to a stage.
#[derive(Default)]
struct Seen {
    rows: Vec<RecordBatch>,
    hidden: BTreeSet<String>,
    ingest_time: Micros,
}

/// Where a tap shows what comes to a stage.
#[derive(Debug, Clone)]
pub struct Tapped {
    /// The stage after which it does.
    pub after: String,
    columns: Schema,
}

/// Where a tap shows what comes to a stage of a stream.
///
/// # Errors
///
/// Where none does: the stage is the first, or what comes in is not known before it does.
pub fn tapped(prepared: &PreparedPipeline, stage: &str) -> Result<Tapped, ReplayError> {
    let slot = &prepared.context().slot;
    let (current, target) = (slot.current(), slot.target());
    let library = &current.library;
    let is_there = library.stage_names().any(|name| name == stage);
    let (true, Some(after), Some(incoming)) =
        (is_there, stage_before(library, stage), &target.columns)
    else {
        return Err(ReplayError::NoTap { stage: stage.to_owned() });
    };
    let chain = library.before(stage).configure(incoming, &current.reading.secrets);
    let columns = Schema::new(chain.map_err(FitError::from)?.output().to_vec());
    Ok(Tapped { after, columns })
}

/// Makes golden cases of rows that a tap showed.
pub fn record_tapped(
    prepared: &PreparedPipeline,
    recording: &Recording,
    tapped: &Tapped,
    mut rows: Vec<Map<String, Json>>,
) -> Result<RecordedRows, ReplayError> {
    let changed = changed(&prepared.context().slot.current().library, recording)?;
    let mut hidden = BTreeSet::new();
    for (name, value) in rows.iter_mut().flatten() {
        let Ok(field) = tapped.columns.field_with_name(name) else { continue };
        let is_hidden = *value == HIDDEN;
        // Bytes are not in base64 there.
        if is_hidden || has_bytes(field.data_type()) {
            hidden.insert(name.clone());
            if !(is_hidden && is_text(field.data_type())) {
                *value = Json::Null;
            }
        }
    }
    let (stage, file) = (&recording.change.stage, &recording.file);
    let recorded = changed.record_objects(stage, file, &tapped.columns, &rows)?;
    Ok(RecordedRows::of(recorded, rows.len(), hidden))
}

pub(super) fn record(
    context: &Context,
    recording: &Recording,
    letters: Vec<Letter>,
) -> Result<RecordedRows, ReplayError> {
    let count = letters.len();
    let stage = &recording.change.stage;
    let current = &context.slot.current().library;
    let changed = changed(current, recording)?;
    let before = stage_before(current, stage);
    let passed = before.as_deref().unwrap_or(stage::DECODE);
    let mut seen = Ok(Seen::default());
    // What is tested gets no more of the rows than a reader, nor the pipeline's secrets.
    let mut chains = Chains::new(context, current.clone());
    let mut watch = |fitted: &Fitted, at: &str, batch: &Batch, raw: &[RawColumn]| {
        if let Ok(all) = &mut seen
            && at == passed
            && let Err(error) = all.add(context, fitted, before.as_deref(), batch, raw)
        {
            seen = Err(error);
        }
    };
    chains.run(letters, &mut Vec::new(), &mut watch)?;
    let Seen { rows, hidden, ingest_time } = seen?;
    let all: usize = rows.iter().map(RecordBatch::num_rows).sum();
    let Some(first) = rows.iter().find(|rows| rows.num_rows() > 0) else {
        let (condition, stage) = (recording.condition.clone(), stage.clone());
        return Err(ReplayError::NoRows { condition, stage });
    };
    let schema = first.schema();
    let alike = concat_batches(&schema, rows.iter().filter(|rows| rows.schema() == schema))?;
    let recorded = changed.record(stage, &recording.file, &alike, ingest_time)?;
    let recorded = RecordedRows::of(recorded, all, hidden);
    let left_out = recorded.left_out + all - alike.num_rows();
    Ok(RecordedRows { letters: Some(count), left_out, ..recorded })
}

impl RecordedRows {
    fn of(recorded: Recorded, rows: usize, hidden: BTreeSet<String>) -> Self {
        let Recorded { golden, left_out } = recorded;
        let hidden = hidden.into_iter().filter(|name| golden.has_column(name)).collect();
        Self { golden, letters: None, rows, left_out, hidden }
    }
}

/// The plugins that run, with the one that cases are made of.
fn changed(current: &Library, recording: &Recording) -> Result<Library, ChangeError> {
    match current.with(vec![recording.change.clone()]) {
        // It runs already.
        Err(ChangeError::Nothing { .. }) => Ok(current.clone()),
        changed => changed,
    }
}

/// The stage before another, if there is one. Where there is no such stage, it is told by whoever looks for it.
fn stage_before(library: &Library, stage: &str) -> Option<String> {
    let names: Vec<&str> = library.stage_names().take_while(|name| *name != stage).collect();
    names.last().map(|name| (*name).to_owned())
}

impl Seen {
    fn add(
        &mut self,
        context: &Context,
        fitted: &Fitted,
        before: Option<&str>,
        batch: &Batch,
        raw: &[RawColumn],
    ) -> Result<(), ArrowError> {
        let reveal = &context.pipeline.admin.reveal;
        let writes = StageWrites::of(fitted, &context.pipeline.sink);
        let rows = writes.seen(before, batch, raw, reveal)?;
        let is_hidden = writes.hides(before, reveal);
        let (mut fields, mut columns) = (Vec::new(), Vec::new());
        for (field, column) in batch.columns.schema_ref().fields().iter().zip(rows.columns()) {
            if !is_hidden(field.name()) {
                fields.push(field.as_ref().clone());
                columns.push(column.clone());
                continue;
            }
            self.hidden.insert(field.name().clone());
            // Of the type that the stage gets, or it would not be configured for it.
            let column = if is_text(field.data_type()) {
                fields.push(Field::new(field.name(), DataType::Utf8, true));
                column.clone()
            } else {
                fields.push(field.as_ref().clone().with_nullable(true));
                new_null_array(field.data_type(), rows.num_rows())
            };
            columns.push(column);
        }
        let schema = Schema::new(fields);
        self.rows.push(RecordBatch::try_new(schema.into(), columns)?);
        self.ingest_time = batch.ingest_time;
        Ok(())
    }
}

fn has_bytes(of: &DataType) -> bool {
    match of {
        DataType::List(element) => has_bytes(element.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| has_bytes(field.data_type())),
        of => *of == DataType::Binary,
    }
}

fn is_text(of: &DataType) -> bool {
    match of {
        DataType::Dictionary(_, values) => **values == DataType::Utf8,
        of => *of == DataType::Utf8,
    }
}
