//! A condition in SQL over rows that are in no table.

use std::sync::Arc;

use arrow::array::{AsArray, BooleanBuilder, RecordBatch, RecordBatchOptions};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, FieldRef, Fields, Schema};
use arrow::error::ArrowError;
use datafusion::common::DFSchema;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;

use super::dialect::condition;
use super::said::said;
use super::{query, types};

/// Rows that a condition is asked of at once: thousands may share a text of a megabyte, and it is written out for each.
const ROWS_AT_ONCE: usize = 64;

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
    #[error("{}", said(source))]
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

    /// The rows it holds for. To the condition the texts of a dictionary are texts.
    pub fn keep(&self, rows: &RecordBatch) -> Result<RecordBatch, RowFilterError> {
        let wrong = |error| self.wrong(error);
        let fields: Fields = rows.schema_ref().fields().iter().map(plain).collect();
        let plain = Arc::new(Schema::new(fields));
        let schema = DFSchema::try_from(plain.clone()).map_err(wrong)?;
        let parsed = condition(&self.condition).map_err(wrong)?;
        let planned = self.state.create_logical_expr_from_sql_expr(parsed, &schema);
        let planned = planned.and_then(|expr| types::checked_expr(expr, &schema));
        let planned = planned.and_then(|expr| self.state.create_physical_expr(expr, &schema));
        let planned = planned.map_err(wrong)?;
        let mut held = BooleanBuilder::with_capacity(rows.num_rows());
        for begin in (0..rows.num_rows()).step_by(ROWS_AT_ONCE) {
            let some = rows.slice(begin, ROWS_AT_ONCE.min(rows.num_rows() - begin));
            let columns = some.columns().iter().zip(plain.fields());
            let columns = columns.map(|(column, field)| cast(column, field.data_type()));
            let options = RecordBatchOptions::new().with_row_count(Some(some.num_rows()));
            let columns = columns.collect::<Result<_, _>>()?;
            let some = RecordBatch::try_new_with_options(plain.clone(), columns, &options)?;
            let of_some = planned.evaluate(&some).and_then(|held| held.into_array(some.num_rows()));
            let of_some = of_some.map_err(wrong)?;
            held.append_array(of_some.as_boolean_opt().ok_or_else(|| {
                let (condition, found) = (self.condition.clone(), of_some.data_type().clone());
                RowFilterError::NoCondition { condition, found }
            })?);
        }
        Ok(filter_record_batch(rows, &held.finish())?)
    }

    fn wrong(&self, source: DataFusionError) -> RowFilterError {
        RowFilterError::Condition { condition: self.condition.clone(), source: Box::new(source) }
    }
}

/// The column as it is once its texts are written out.
fn plain(field: &FieldRef) -> FieldRef {
    match field.data_type() {
        DataType::Dictionary(_, values) => {
            Arc::new(field.as_ref().clone().with_data_type(values.as_ref().clone()))
        }
        _ => field.clone(),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, DictionaryArray, Int32Array, StringArray};

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

    #[test]
    fn texts_of_a_dictionary_are_texts_and_stay_one() {
        let keys: Int32Array = (0..1000).map(|row| (row % 10 > 0).then_some(row % 3)).collect();
        let texts = StringArray::from(vec!["ab", "cd", "ef"]);
        let texts: ArrayRef = Arc::new(DictionaryArray::new(keys, Arc::new(texts)));
        let written_out = cast(&texts, &DataType::Utf8).expect("texts");
        let of = |column: ArrayRef| RecordBatch::try_from_iter([("text", column)]).expect("rows");
        for condition in [
            "text = 'ab'",
            "UPPER(text) LIKE 'C%'",
            "STARTS_WITH(text, 'e')",
            "text IS NULL",
            "TRUE",
        ] {
            let keep = |rows| RowFilter::parse(condition).and_then(|filter| filter.keep(&rows));
            let kept = keep(of(texts.clone())).expect(condition);
            assert_eq!(kept.column(0).data_type(), texts.data_type());
            assert!(kept.num_rows() > 0, "{condition}");
            let wanted = keep(of(written_out.clone())).expect(condition);
            let kept = cast(kept.column(0), &DataType::Utf8).expect("texts");
            assert_eq!(kept.as_string::<i32>(), wanted.column(0).as_string::<i32>(), "{condition}");
        }
    }
}
