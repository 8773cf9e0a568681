//! The table `dead_letter_attempts`: an attempt to replay a letter, a row each. Letters themselves are
//! never changed: a table that is only added to is the same here and in BigQuery.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::error::ArrowError;

use clickmill_config::TableName;
use clickmill_core::batch::Reason;
use clickmill_core::schema::system::DEAD_LETTER_ATTEMPTS;
use clickmill_core::schema::{SchemaError, TableSchema};
use clickmill_core::{Micros, StageName};

/// The table's name in its dataset.
pub(crate) const TABLE: &str = DEAD_LETTER_ATTEMPTS.name;

/// What became of a letter.
#[derive(Debug, Clone, PartialEq)]
pub enum Fate {
    /// Its row is in the table, or would be.
    Resolved,
    /// A plugin dropped it on purpose.
    Filtered,
    /// It is refused again.
    Rejected {
        /// By whom.
        stage: StageName,
        /// Why.
        reason: Reason,
    },
}

/// The table's columns.
pub(crate) fn schema() -> Result<TableSchema, SchemaError> {
    DEAD_LETTER_ATTEMPTS.schema()
}

/// Attempts as rows.
pub(super) fn rows(
    fates: &[(String, Fate)],
    pipeline: &str,
    table: &TableName,
    plugin_set: &str,
    actor: &str,
    at: Micros,
    schema: &TableSchema,
) -> Result<RecordBatch, ArrowError> {
    let same = |text: &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, fates.len())))
    };
    let refused = |value: fn(&str, &Reason) -> String| -> ArrayRef {
        let of = |(_, fate): &(String, Fate)| match fate {
            Fate::Rejected { stage, reason } => Some(value(stage, reason)),
            Fate::Resolved | Fate::Filtered => None,
        };
        Arc::new(fates.iter().map(of).collect::<StringArray>())
    };
    let outcome = |(_, fate): &(String, Fate)| match fate {
        Fate::Resolved => "resolved",
        Fate::Filtered => "filtered",
        Fate::Rejected { .. } => "rejected",
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(fates.iter().map(|(id, _)| id))),
        same(pipeline),
        Arc::new(TimestampMicrosecondArray::from_value(at.get(), fates.len()).with_timezone("UTC")),
        same(plugin_set),
        Arc::new(StringArray::from_iter_values(fates.iter().map(outcome))),
        refused(|stage, _| stage.to_owned()),
        refused(|_, reason| reason.code.clone()),
        refused(|_, reason| reason.message.clone()),
        same(actor),
        same(&table.to_string()),
    ];
    RecordBatch::try_new(schema.arrow(), columns)
}
