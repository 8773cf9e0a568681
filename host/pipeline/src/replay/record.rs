//! Dead letters as golden cases: the rows that they were when they came to a stage, as a reader may see them.

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;

use super::chains::Chains;
use super::error::ReplayError;
use crate::context::Context;
use crate::observe::tap::StageWrites;
use crate::versions::fit::Fitted;
use clickmill_core::batch::Batch;
use clickmill_core::{Micros, stage};
use clickmill_sandbox::{Change, ChangeError, Golden, Library};
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

/// Letters that became golden cases.
#[derive(Debug, Clone)]
pub struct RecordedLetters {
    /// The cases, which say what the stage makes of the rows now.
    pub golden: Golden,
    /// How many letters were looked at.
    pub letters: usize,
    /// Rows of them that came to the stage, as far as a reader may see them.
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
    hidden: Vec<String>,
    ingest_time: Micros,
}

pub(super) fn record(
    context: &Context,
    recording: &Recording,
    letters: Vec<Letter>,
) -> Result<RecordedLetters, ReplayError> {
    let count = letters.len();
    let stage = &recording.change.stage;
    let current = &context.slot.current().library;
    let changed = match current.with(vec![recording.change.clone()]) {
        // What is tested runs already.
        Err(ChangeError::Nothing { .. }) => current.clone(),
        changed => changed?,
    };
    let before = stage_before(current, stage);
    let passed = before.as_deref().unwrap_or(stage::DECODE);
    let mut seen = Ok(Seen::default());
    // What is tested gets no more of the rows than a reader, nor the pipeline's secrets.
    let mut chains = Chains::new(context, current.clone());
    let mut watch = |fitted: &Fitted, at: &str, batch: &Batch, raw: &[(String, ArrayRef)]| {
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
    let is_recorded = |name: &String| recorded.golden.has_column(name);
    Ok(RecordedLetters {
        letters: count,
        rows: all,
        left_out: all - alike.num_rows() + recorded.left_out,
        hidden: hidden.into_iter().filter(is_recorded).collect(),
        golden: recorded.golden,
    })
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
        raw: &[(String, ArrayRef)],
    ) -> Result<(), ArrowError> {
        let reveal = &context.pipeline.admin.reveal;
        let writes = StageWrites::of(fitted, &context.pipeline.sink.schema);
        let rows = writes.seen(before, batch, raw, reveal)?;
        let is_hidden = writes.hides(before, reveal);
        let (mut fields, mut columns) = (Vec::new(), Vec::new());
        for (field, column) in batch.columns.schema_ref().fields().iter().zip(rows.columns()) {
            if !is_hidden(field.name()) {
                fields.push(field.as_ref().clone());
                columns.push(column.clone());
                continue;
            }
            if !self.hidden.contains(field.name()) {
                self.hidden.push(field.name().clone());
            }
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

fn is_text(of: &DataType) -> bool {
    match of {
        DataType::Dictionary(_, values) => **values == DataType::Utf8,
        of => *of == DataType::Utf8,
    }
}
