//! What is wrong with a configuration whatever columns there are.

use std::collections::BTreeSet;
use std::fmt;

use clickmill_plugin::Problems;

use crate::config::{ColumnConfig, ColumnType, Config, Format, Unknown, Unreadable};

/// How many records deep columns may be nested: BigQuery's own limit.
const MAX_RECORDS: usize = 15;

impl Config {
    /// What is wrong with it whatever columns there are.
    pub(crate) fn problems(&self) -> Problems {
        let mut problems = Problems::new();
        let mut names = BTreeSet::new();
        // What is unknown is a column too.
        if self.columns.is_empty() && self.unknown != Unknown::Keep {
            problems.push("`columns` is empty, wanted at least one column".to_owned());
        }
        if self.max_depth == 0 {
            problems.push("`max_depth` is 0, wanted at least 1".to_owned());
        }
        self.check_columns(&self.columns, "columns", 0, &mut problems);
        names.extend(self.columns.iter().map(|column| column.name.as_str()));
        self.check_messages(&names, &mut problems);
        if self.unknown == Unknown::Keep && names.contains(self.unknown_column.as_str()) {
            problems.push(format!(
                "`unknown_column` is `{}`, which is the name of a column",
                self.unknown_column
            ));
        }
        problems
    }

    /// What is wrong with columns, those of the message or the fields of a record.
    fn check_columns(
        &self,
        columns: &[ColumnConfig],
        path: impl fmt::Display,
        depth: usize,
        problems: &mut Problems,
    ) {
        let mut names = BTreeSet::new();
        for (at, column) in columns.iter().enumerate() {
            let name = &column.name;
            // Written where there is a problem only: an instance is configured for each batch.
            let here = format_args!("{path}[{at}]");
            if name.is_empty() {
                problems.push(format!("`{here}.name` is empty"));
            } else if name.contains('.') {
                problems.push(format!("`{here}.name` is `{name}`: a name has no dot"));
            } else if !names.insert(name.as_str()) {
                problems.push(format!("`{here}.name` is `{name}`, which another column has"));
            }
            let mut wrong = |what: &str| problems.push(format!("`{here}` (`{name}`) {what}"));
            if column.required && column.unreadable == Some(Unreadable::Null) {
                wrong("is required: what is unreadable cannot be null");
            }
            let is_record = column.column_type == ColumnType::Record;
            if is_record && column.fields.is_empty() {
                wrong("is a record without `fields`");
            }
            if !is_record && !column.fields.is_empty() {
                wrong("has fields, which only a record takes");
            }
            if is_record && depth == MAX_RECORDS {
                wrong("is nested deeper than 15 records");
            }
            if self.format == Format::Csv && !column.is_flat() {
                wrong("is a list or record, which a CSV has none of");
            }
            if column.repeated && column.required {
                wrong("is a list, which is empty where it is missing: it cannot be required");
            }
            if column.repeated && column.unreadable == Some(Unreadable::Null) {
                wrong("is a list, of which no element is null");
            }
            if column.entries.is_some() && (!is_record || column.repeated) {
                wrong("has `entries`, which only a record takes that is no list");
            }
            let spellings = [&column.true_values, &column.false_values];
            if column.column_type != ColumnType::Boolean && spellings.iter().any(|s| !s.is_empty())
            {
                wrong("has spellings of true or false, which only a boolean takes");
            }
            if spellings.iter().any(|s| s.iter().any(String::is_empty)) {
                wrong("has an empty spelling of true or false, which means null");
            }
            for both in &column.true_values {
                if column.false_values.iter().any(|f| f.eq_ignore_ascii_case(both)) {
                    wrong(&format!("spells both true and false `{both}`"));
                }
            }
            if is_record && depth < MAX_RECORDS {
                let fields = format!("{here}.fields");
                self.check_columns(&column.fields, fields.as_str(), depth + 1, problems);
            }
        }
    }

    /// What is wrong with how messages are taken apart.
    fn check_messages(&self, names: &BTreeSet<&str>, problems: &mut Problems) {
        if self.format == Format::Csv && (self.explode.is_some() || !self.packed.is_empty()) {
            problems.push("`explode` and `packed` are for JSON, `format` is `csv`".to_owned());
        }
        if self.explode.is_none() && !self.envelope.is_empty() {
            problems.push("`envelope` is for messages that `explode` takes apart".to_owned());
        }
        for name in self.envelope.keys().filter(|name| !names.contains(name.as_str())) {
            problems.push(format!("`envelope.{name}` is no column of `columns`"));
        }
        if self.max_unpacked_bytes == 0 {
            problems.push("`max_unpacked_bytes` is 0, wanted at least 1".to_owned());
        }
    }
}
