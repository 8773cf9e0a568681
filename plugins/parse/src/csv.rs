//! CSV: text columns, named by the header, to typed ones. A column at a time.

use clickmill_plugin::{
    Batch, Booleans, Column, ColumnSpec, DataType, Dates, Fault, Float64s, Int64s, Needs, Output,
    Problems, Text, Texts, Timestamps, Values,
};

use crate::config::{self, ColumnConfig, ColumnType, Config, Unknown};
use crate::number;
use crate::rejection::{Code, Refusals};
use crate::time;
use crate::typed::boolean;

/// The reader, configured.
pub(crate) struct Csv {
    columns: Vec<ColumnConfig>,
    /// Columns that nobody takes and that are kept.
    extra: Vec<String>,
    unknown_column: Option<String>,
    empty_is_null: bool,
    trim: bool,
}

impl Csv {
    pub(crate) fn new(config: Config, available: &[ColumnSpec], problems: &mut Problems) -> Self {
        for (at, column) in config.columns.iter().enumerate() {
            let path = format!("columns[{at}].from");
            config::check_text(&path, column.from(), available, problems);
        }
        let unknown: Vec<String> = available
            .iter()
            .filter(|have| have.data_type == DataType::Text)
            .filter(|have| config.columns.iter().all(|column| column.from() != have.name))
            .map(|have| have.name.clone())
            .collect();
        if config.unknown == Unknown::Refuse {
            problems.extend(unknown.iter().map(|name| {
                format!("column `{name}` is in the input but not in `columns`, and `unknown` is `refuse`")
            }));
        }
        let keep = config.unknown == Unknown::Keep;
        Self {
            columns: config.columns,
            extra: if keep { unknown } else { Vec::new() },
            unknown_column: keep.then_some(config.unknown_column),
            empty_is_null: config.empty_is_null,
            trim: config.trim,
        }
    }

    pub(crate) fn needs(&self) -> Needs {
        let mut needs = Needs::new();
        for name in
            self.columns.iter().map(ColumnConfig::from).chain(self.extra.iter().map(String::as_str))
        {
            if needs.reads.iter().all(|read| read.name != name) {
                needs = needs.reads(name, DataType::Text);
            }
        }
        config::writes(needs, self.columns.iter(), self.unknown_column.as_deref())
    }

    pub(crate) fn process(&self, mut batch: Batch) -> Result<Output, Fault> {
        let mut refused = Refusals::new(batch.rows as usize);
        let mut columns = Vec::with_capacity(self.columns.len() + 1);
        for (at, column) in self.columns.iter().enumerate() {
            let from = column.from();
            let used_again = self.columns[at + 1..].iter().any(|later| later.from() == from);
            let input = if used_again { batch.column(from).cloned() } else { batch.take(from) };
            let input = input.ok_or_else(|| absent(from))?;
            columns.push(self.column(column, input, &mut refused)?);
        }
        if let Some(name) = &self.unknown_column {
            columns.push(self.keep(name, &batch)?);
        }
        let mut output = Output::new(columns);
        output.rejections = refused.into_rejections();
        Ok(output)
    }

    fn column(
        &self,
        to: &ColumnConfig,
        input: Column,
        refused: &mut Refusals,
    ) -> Result<Column, Fault> {
        let Values::Texts(text) = &input.values else {
            return Err(absent(to.from()));
        };
        let rows = input.len();
        Ok(match to.column_type {
            ColumnType::Text => return Ok(self.text(to, input, refused)),
            ColumnType::Boolean => {
                let mut values = Booleans::with_capacity(rows);
                self.each(to, &input, text, refused, |t| boolean(t, to), |v| values.push_option(v));
                values.finish(&to.name)
            }
            ColumnType::Int64 => {
                let mut values = Int64s::with_capacity(rows);
                self.each(to, &input, text, refused, number::int64, |v| values.push_option(v));
                values.finish(&to.name)
            }
            ColumnType::Float64 => {
                let mut values = Float64s::with_capacity(rows);
                self.each(to, &input, text, refused, number::float64, |v| values.push_option(v));
                values.finish(&to.name)
            }
            ColumnType::Date => {
                let mut values = Dates::with_capacity(rows);
                self.each(to, &input, text, refused, time::date, |v| values.push_option(v));
                values.finish(&to.name)
            }
            ColumnType::Timestamp => {
                let mut values = Timestamps::with_capacity(rows);
                self.each(to, &input, text, refused, time::timestamp, |v| values.push_option(v));
                values.finish(&to.name)
            }
        })
    }

    /// Reads every row of a column and pushes its value, or null.
    #[inline]
    fn each<T>(
        &self,
        to: &ColumnConfig,
        input: &Column,
        text: &Text,
        refused: &mut Refusals,
        read: impl Fn(&[u8]) -> Option<T>,
        mut push: impl FnMut(Option<T>),
    ) {
        for row in 0..input.len() {
            if !input.is_valid(row) {
                if to.required {
                    refused.add_value(row, Code::Required, to, None);
                }
                push(None);
                continue;
            }
            let mut field = text.get(row);
            if self.trim {
                field = trim(field);
            }
            let value = read(field);
            if value.is_none() {
                if !field.is_empty() {
                    refused.add_value(row, Code::unlike(to.column_type), to, Some(field));
                } else if to.required {
                    refused.add_value(row, Code::Required, to, Some(field));
                } else if !self.empty_is_null {
                    refused.add_value(row, Code::unlike(to.column_type), to, Some(field));
                }
            }
            push(value);
        }
    }

    /// A text column stays as it is, but for its empty fields.
    fn text(&self, to: &ColumnConfig, mut input: Column, refused: &mut Refusals) -> Column {
        if let Values::Texts(text) = &input.values {
            let empty = |pair: &[u32]| pair[0] == pair[1];
            let some_empty = text.offsets.windows(2).any(empty);
            if some_empty && to.required {
                for (row, _) in text.offsets.windows(2).enumerate().filter(|(_, pair)| empty(pair))
                {
                    let value: Option<&[u8]> = if input.is_valid(row) { Some(b"") } else { None };
                    refused.add_value(row, Code::Required, to, value);
                }
            }
            if some_empty && self.empty_is_null {
                // An empty field is null or becomes it, so what was null before does not matter.
                let mut validity = vec![0; input.len().div_ceil(8)];
                for (row, pair) in text.offsets.windows(2).enumerate() {
                    validity[row / 8] |= u8::from(!empty(pair)) << (row % 8);
                }
                input.validity = Some(validity);
            }
        }
        input.name.clone_from(&to.name);
        input
    }

    /// The columns that nobody takes, as a JSON object a row.
    fn keep(&self, name: &str, batch: &Batch) -> Result<Column, Fault> {
        let mut extra = Vec::with_capacity(self.extra.len());
        for name in &self.extra {
            let column = batch.column(name).ok_or_else(|| absent(name))?;
            extra.push((json_string(name), column));
        }
        let mut kept = Texts::with_capacity(batch.rows as usize, 0);
        for row in 0..batch.rows as usize {
            let mut some = false;
            for (key, column) in &extra {
                let Some(field) = column.text(row) else {
                    continue;
                };
                if field.is_empty() && self.empty_is_null {
                    continue;
                }
                let buffer = kept.buffer();
                buffer.push(if some { b',' } else { b'{' });
                buffer.extend_from_slice(key.as_bytes());
                buffer.push(b':');
                buffer.extend_from_slice(json_string(field).as_bytes());
                some = true;
            }
            if some {
                kept.buffer().push(b'}');
                kept.end_row();
            } else {
                kept.push_null();
            }
        }
        Ok(kept.finish(name))
    }
}

#[inline]
fn trim(field: &[u8]) -> &[u8] {
    match field {
        [b'!'..=u8::MAX, .., b'!'..=u8::MAX] | [b'!'..=u8::MAX] => field,
        _ => field.trim_ascii(),
    }
}

/// The text as a JSON string.
fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn absent(column: &str) -> Fault {
    Fault { message: format!("the batch has no text column `{column}`") }
}
