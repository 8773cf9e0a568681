//! The table `plugin_sets`: what each plugin set was made of, a row per stage. "Which rows did mask
//! 1.4.2 make?" is a join with it.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::error::ArrowError;

use clickmill_core::Micros;
use clickmill_core::schema::system::PLUGIN_SETS;
use clickmill_core::schema::{SchemaError, TableSchema};
use clickmill_sandbox::{PluginSet, StageMade};

/// The table's name in its dataset.
pub(crate) const TABLE: &str = PLUGIN_SETS.name;

/// The table's columns.
pub(crate) fn schema() -> Result<TableSchema, SchemaError> {
    PLUGIN_SETS.schema()
}

/// A set as rows.
pub(crate) fn rows(
    set: &PluginSet,
    pipeline: &str,
    added_at: Micros,
    schema: &TableSchema,
) -> Result<RecordBatch, ArrowError> {
    let text = |value: &dyn Fn(&StageMade) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(set.stages.iter().map(value)))
    };
    fn json<T: serde::Serialize>(value: &T) -> String {
        serde_json::to_string(value).expect("texts and numbers are JSON")
    }
    let stages = set.stages.len();
    let columns: Vec<ArrayRef> = vec![
        text(&|_| set.digest.to_string()),
        text(&|_| pipeline.to_owned()),
        Arc::new(Int64Array::from_iter_values(1..=stages as i64)),
        text(&|stage| stage.stage.to_string()),
        text(&|stage| stage.plugin.clone()),
        text(&|stage| stage.version.clone()),
        text(&|stage| stage.contract.clone()),
        text(&|stage| stage.component.to_string()),
        text(&|stage| json(&stage.config)),
        text(&|stage| json(&stage.reads)),
        text(&|stage| json(&stage.writes)),
        text(&|stage| json(&stage.lookups)),
        text(&|stage| json(&stage.limits)),
        Arc::new(
            TimestampMicrosecondArray::from_value(added_at.get(), stages).with_timezone("UTC"),
        ),
    ];
    RecordBatch::try_new(schema.arrow(), columns)
}
