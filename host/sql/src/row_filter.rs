//! A condition in SQL over rows that are in no table.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use datafusion::common::DFSchema;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;

use super::dialect::condition;
use super::{query, types};

/// Keeps the rows that a condition holds for.
pub struct RowFilter {
    condition: String,
    state: SessionState,
}

impl std::fmt::Debug for RowFilter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("RowFilter").field(&self.condition).finish()
    }
}

/// Why rows can't be filtered.
#[derive(Debug, thiserror::Error)]
pub enum RowFilterError {
    /// The condition is wrong, or does not fit the rows' columns.
    #[error("{}", source.find_root().strip_backtrace())]
    Condition {
        /// The condition.
        condition: String,
        /// What is wrong.
        source: Box<DataFusionError>,
    },
    /// It is of another type.
    #[error("it gives {found}, wanted true or false")]
    NoCondition {
        /// The condition.
        condition: String,
        /// What it gives.
        found: DataType,
    },
    /// The rows can't be put together.
    #[error(transparent)]
    Arrow(#[from] ArrowError),
}

impl RowFilter {
    /// Reads a condition in BigQuery's dialect, such as `event_type = 'purchase'`.
    pub fn parse(text: &str) -> Result<Self, RowFilterError> {
        // As a query has it, so that columns are named in one way.
        let context = query::context(Arc::default());
        let filter = Self { condition: text.to_owned(), state: context.state() };
        condition(text).map_err(|error| filter.wrong(error))?;
        Ok(filter)
    }

    /// The rows it holds for.
    pub fn keep(&self, rows: &RecordBatch) -> Result<RecordBatch, RowFilterError> {
        let wrong = |error| self.wrong(error);
        let schema = DFSchema::try_from(rows.schema()).map_err(wrong)?;
        let parsed = condition(&self.condition).map_err(wrong)?;
        let planned = self.state.create_logical_expr_from_sql_expr(parsed, &schema);
        let planned = planned.and_then(|expr| types::checked_expr(expr, &schema));
        let planned = planned.and_then(|expr| self.state.create_physical_expr(expr, &schema));
        let held = planned.and_then(|expr| expr.evaluate(rows)?.into_array(rows.num_rows()));
        let held = held.map_err(wrong)?;
        match held.as_boolean_opt() {
            Some(held) => Ok(filter_record_batch(rows, held)?),
            None => Err(RowFilterError::NoCondition {
                condition: self.condition.clone(),
                found: held.data_type().clone(),
            }),
        }
    }

    fn wrong(&self, source: DataFusionError) -> RowFilterError {
        RowFilterError::Condition { condition: self.condition.clone(), source: Box::new(source) }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, StringArray};

    use super::*;

    #[test]
    fn columns_are_called_as_they_are_written() {
        let column = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text, "other"])) };
        let columns = [("errorMessage", column("bad")), ("stage", column("mask"))];
        let rows = RecordBatch::try_from_iter(columns).expect("rows");
        for (condition, wanted) in [
            ("errorMessage = 'bad'", 1),
            ("`errorMessage` LIKE 'b%' AND stage = 'mask'", 1),
            ("LOWER(errorMessage) = 'BAD'", 0),
            ("STARTS_WITH(errorMessage, 'o')", 1),
        ] {
            let kept = RowFilter::parse(condition).and_then(|filter| filter.keep(&rows));
            assert_eq!(kept.expect(condition).num_rows(), wanted, "{condition}");
        }
        let filter = RowFilter::parse("errormessage = 'bad'").expect("a condition");
        let error = filter.keep(&rows).expect_err("no such column").to_string();
        assert!(error.contains("errormessage"), "{error}");
    }
}
