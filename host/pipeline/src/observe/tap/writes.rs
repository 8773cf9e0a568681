//! What a tap's reader may see of a chain's rows.

use std::collections::BTreeSet;

use arrow::array::RecordBatch;
use arrow::compute::filter_record_batch;
use arrow::error::ArrowError;

use super::rows::masked;
use crate::versions::fit::Fitted;
use clickmill_config::Sink;
use clickmill_core::RawColumn;
use clickmill_core::batch::Batch;
use clickmill_guard::Guard;

/// Columns that hold records as they came in.
const RAW: [&str; 2] = ["payload", "attributes"];

/// What a chain does to columns, as far as a tap has to know.
pub(crate) struct StageWrites<'a> {
    /// The stages in order, each with the columns that it writes.
    pub stages: Vec<(&'a str, Vec<&'a str>)>,
    /// Columns of a table that are sensitive in none.
    pub open: BTreeSet<&'a str>,
    /// Knows what no row is to hold.
    pub guard: &'a Guard,
}

impl<'a> StageWrites<'a> {
    /// What a chain writes, of which the rows go to the tables of a sink.
    pub(crate) fn of(fitted: &'a Fitted, sink: &'a Sink) -> Self {
        let stages = fitted.chain.writes().map(|(stage, writes)| (stage, writes.collect()));
        let columns = || sink.tables().flat_map(|(_, schema)| &schema.columns);
        // A record may have a sensitive field in one table, and others in another.
        let closed = columns().filter(|column| column.is_sensitive());
        let closed: BTreeSet<&str> = closed.map(|column| column.name.as_str()).collect();
        let open = columns().map(|column| column.name.as_str());
        let open = open.filter(|name| !closed.contains(name)).collect();
        Self { stages: stages.collect(), open, guard: &fitted.guard }
    }

    /// Rows as a reader sees them who may see these columns besides: after a stage, or, without one, as they
    /// come to the first.
    pub(crate) fn seen(
        &self,
        stage: Option<&str>,
        batch: &Batch,
        raw: &[RawColumn],
        reveal: &'a [String],
    ) -> Result<RecordBatch, ArrowError> {
        let rows = masked(&batch.columns, self.hides(stage, reveal))?;
        let raw = self.raw_after(stage, batch, raw);
        let raw: Vec<_> = raw.filter(|raw| !reveals(reveal, &raw.name)).collect();
        filter_record_batch(&rows, &self.guard.holding_none(&rows, &raw)?)
    }

    /// Which columns such a reader may not see.
    pub(crate) fn hides(
        &self,
        stage: Option<&str>,
        reveal: &'a [String],
    ) -> impl Fn(&str) -> bool + use<'a> {
        let shown = self.shown_after(stage);
        move |name| !shown.contains(name) && !reveals(reveal, name)
    }

    /// Columns that are written after a stage, or by any.
    fn written_after(&self, stage: Option<&str>) -> impl Iterator<Item = &'a str> {
        let at = |stage: &str| self.stages.iter().position(|(name, _)| *name == stage);
        let done = stage.map_or(0, |stage| at(stage).map_or(self.stages.len(), |at| at + 1));
        self.stages[done..].iter().flat_map(|(_, writes)| writes.iter().copied())
    }

    /// Columns that anybody may see after a stage: in their last form, and not sensitive.
    fn shown_after(&self, stage: Option<&str>) -> BTreeSet<&'a str> {
        let later: BTreeSet<&str> = self.written_after(stage).chain(RAW).collect();
        self.open.difference(&later).copied().collect()
    }

    /// Raw values after a stage: those of columns that were written anew, and of those that will be.
    fn raw_after(
        &self,
        stage: Option<&str>,
        batch: &Batch,
        raw: &[RawColumn],
    ) -> impl Iterator<Item = RawColumn> {
        let later: BTreeSet<&str> = self.written_after(stage).collect();
        let still = self.guard.columns().filter(move |name| later.contains(name));
        let still = still.filter_map(|name| {
            Some(RawColumn::new(name, batch.columns.column_by_name(name)?.clone()))
        });
        raw.iter().cloned().chain(still)
    }
}

pub(super) fn reveals(reveal: &[String], column: &str) -> bool {
    reveal.iter().any(|name| name == "*" || name == column)
}
