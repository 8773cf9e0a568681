//! Values of sensitive columns, which no message of a plugin is to say: neither a rejection, which goes
//! into the dead-letter table, nor a log line.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};

use clickmill_core::batch::{Batch, Reason};

/// Shorter values are words that anything may say.
const LEAST_BYTES: usize = 4;

/// The sensitive columns of a batch.
#[derive(Clone, Default)]
pub(super) struct HiddenValues(Arc<[(String, ArrayRef)]>);

impl HiddenValues {
    pub(crate) fn of(batch: &Batch, columns: &[String]) -> Self {
        let found = columns.iter().filter_map(|name| {
            let column = batch.columns.column_by_name(name)?;
            column.as_string_opt::<i32>()?;
            Some((name.clone(), column.clone()))
        });
        Self(found.collect())
    }

    /// A reason for refusing a row, in which its values are replaced by the columns' names.
    pub(crate) fn keep_out(&self, row: usize, reason: &Reason) -> Reason {
        let mut reason = reason.clone();
        for (name, column) in &*self.0 {
            replace(&mut reason.message, name, column, row);
        }
        reason
    }

    /// A log line without the values of any row.
    pub(crate) fn keep_all_out(&self, line: &str) -> String {
        let mut line = line.to_owned();
        for (name, column) in &*self.0 {
            for row in 0..column.len() {
                replace(&mut line, name, column, row);
            }
        }
        line
    }
}

fn replace(text: &mut String, name: &str, column: &ArrayRef, row: usize) {
    let values = column.as_string::<i32>();
    if values.is_valid(row) {
        let value = values.value(row);
        if value.len() >= LEAST_BYTES && text.contains(value) {
            *text = text.replace(value, &format!("[{name}]"));
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{RecordBatch, StringArray};
    use bytes::Bytes;

    use super::*;
    use clickmill_core::Micros;
    use clickmill_core::batch::{Origins, Positions};

    #[test]
    fn messages_say_the_column_and_not_the_value() {
        let users: ArrayRef = Arc::new(StringArray::from(vec![Some("u-4711"), None, Some("u-12")]));
        let batch = Batch {
            columns: RecordBatch::try_from_iter([("user_id", users)]).expect("a batch"),
            origins: Origins {
                source: "test".into(),
                header: None,
                positions: Positions::Lines(vec![1, 2, 3]),
                block: Bytes::new(),
                ranges: vec![0..0; 3],
            },
            ingest_time: Micros::default(),
        };
        let hidden = HiddenValues::of(&batch, &["user_id".to_owned(), "ip".to_owned()]);
        let reason = |message: &str| Reason {
            code: "bad".to_owned(),
            message: message.to_owned(),
            column: None,
        };
        let told = hidden.keep_out(0, &reason("`u-4711` is no user, u-12 is"));
        assert_eq!(told.message, "`[user_id]` is no user, u-12 is");
        assert_eq!(hidden.keep_out(1, &reason("u-4711")).message, "u-4711");
        assert_eq!(hidden.keep_all_out("u-12 and u-4711"), "[user_id] and [user_id]");
    }
}
