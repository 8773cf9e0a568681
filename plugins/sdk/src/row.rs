//! Plugins over rows: the batch is walked by the SDK.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::{
    Batch, Booleans, Column, ColumnSpec, DataType, Dates, Fault, Float64s, Int64s, Needs, Output,
    Plugin, Problems, Rejection, Texts, Timestamps,
};

/// A plugin that works on one row at a time. Every `RowPlugin` is a [`Plugin`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a plugin over rows",
    label = "write `impl RowPlugin for {Self}` with `configure`, `needs` and `row`"
)]
pub trait RowPlugin: Sized + 'static {
    /// What the pipeline file may set: see [`Plugin::Config`].
    type Config: DeserializeOwned + JsonSchema;

    /// Secrets this plugin wants: see [`Plugin::SECRETS`].
    const SECRETS: &'static [&'static str] = &[];

    /// Checks the configuration and gets ready: see [`Plugin::configure`].
    fn configure(config: Self::Config, available: &[ColumnSpec]) -> Result<Self, Problems>;

    /// What it reads, writes and looks up, as configured.
    fn needs(&self) -> Needs;

    /// Transforms one row: reads it, sets the columns it writes, and refuses it with [`reject`] or
    /// filters it out with [`Row::filter_out`]. A written column that is not set keeps what was read of that
    /// name, or is null.
    fn row(&self, row: &mut Row<'_>) -> Result<(), Refusal>;
}

impl<T: RowPlugin> Plugin for T {
    type Config = T::Config;
    const SECRETS: &'static [&'static str] = T::SECRETS;

    fn configure(config: Self::Config, available: &[ColumnSpec]) -> Result<Self, Problems> {
        T::configure(config, available)
    }

    fn needs(&self) -> Needs {
        T::needs(self)
    }

    fn process(&self, batch: Batch) -> Result<Output, Fault> {
        let writes = self.needs().writes;
        let rows = batch.rows as usize;
        let mut builders: Vec<Builder> =
            writes.iter().map(|w| Builder::new(w.data_type, rows)).collect();
        let kept: Vec<Option<&Column>> = writes
            .iter()
            .map(|w| batch.column(&w.name).filter(|c| c.values.data_type() == w.data_type))
            .collect();
        let mut output = Output::new(Vec::with_capacity(writes.len()));
        let mut row = Row {
            batch: &batch,
            index: 0,
            writes: &writes,
            values: vec![None; writes.len()],
            dropped: false,
        };
        for index in 0..rows {
            row.index = index;
            row.dropped = false;
            match self.row(&mut row) {
                Ok(()) if row.dropped => output.dropped.push(index as u32),
                Ok(()) => {}
                Err(refusal) => output.rejections.push(Rejection {
                    row: index as u32,
                    code: refusal.code,
                    message: refusal.message,
                    column: refusal.column,
                }),
            }
            for ((builder, value), kept) in builders.iter_mut().zip(&mut row.values).zip(&kept) {
                match (value.take(), kept) {
                    (Some(value), _) => builder.push(value),
                    (None, Some(column)) => builder.copy(column, index),
                    (None, None) => builder.push(Value::Null),
                }
            }
        }
        output.columns =
            builders.into_iter().zip(&writes).map(|(b, w)| b.finish(&w.name)).collect();
        Ok(output)
    }
}

/// Why a row is refused. [`reject`] makes one.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    code: String,
    message: String,
    column: Option<String>,
}

/// Refuses a row: `code` is a stable word for counting (`a-z`, `0-9`, `_`; not one that begins with
/// `plugin_`, as the host's own do), `message` tells a person what is wrong. The row goes to the
/// dead-letter table.
pub fn reject(code: impl Into<String>, message: impl Into<String>) -> Refusal {
    Refusal { code: code.into(), message: message.into(), column: None }
}

impl Refusal {
    /// Names the column at fault: one that the plugin reads or writes.
    pub fn column(mut self, name: impl Into<String>) -> Self {
        self.column = Some(name.into());
        self
    }
}

/// One row of a batch, as a [`RowPlugin`] sees it.
pub struct Row<'a> {
    batch: &'a Batch,
    index: usize,
    writes: &'a [ColumnSpec],
    values: Vec<Option<Value>>,
    dropped: bool,
}

impl<'a> Row<'a> {
    /// The row's text in a column: `None` where it is null or there is no such text column.
    pub fn text(&self, column: &str) -> Option<&'a str> {
        self.batch.column(column)?.text(self.index)
    }

    /// The row's text in a column; a null refuses the row with code `required`.
    pub fn require_text(&self, column: &str) -> Result<&'a str, Refusal> {
        self.text(column).ok_or_else(|| required(column))
    }

    /// The row's integer in a column: `None` where it is null or there is no such integer column.
    pub fn int64(&self, column: &str) -> Option<i64> {
        self.batch.column(column)?.int64(self.index)
    }

    /// The row's integer in a column; a null refuses the row with code `required`.
    pub fn require_int64(&self, column: &str) -> Result<i64, Refusal> {
        self.int64(column).ok_or_else(|| required(column))
    }

    /// The row's number in a column: `None` where it is null or there is no such number column.
    pub fn float64(&self, column: &str) -> Option<f64> {
        self.batch.column(column)?.float64(self.index)
    }

    /// The row's boolean in a column: `None` where it is null or there is no such boolean column.
    pub fn boolean(&self, column: &str) -> Option<bool> {
        self.batch.column(column)?.boolean(self.index)
    }

    /// The row's date in a column, in days since 1970-01-01.
    pub fn date(&self, column: &str) -> Option<i32> {
        self.batch.column(column)?.date(self.index)
    }

    /// The row's instant in a column, in microseconds since 1970-01-01T00:00:00Z.
    pub fn timestamp(&self, column: &str) -> Option<i64> {
        self.batch.column(column)?.timestamp(self.index)
    }

    /// When the host took the row in, in microseconds since 1970-01-01T00:00:00Z: the plugin's "now".
    pub fn ingest_time(&self) -> i64 {
        self.batch.ingest_time
    }

    /// Sets a column that [`RowPlugin::needs`] announced.
    ///
    /// Panics where it was not announced or with another type: a mistake of the plugin, which the host
    /// reports with this message.
    pub fn set(&mut self, column: &str, value: impl Into<Value>) {
        let value = value.into();
        let Some(at) = self.writes.iter().position(|w| w.name == column) else {
            panic!(
                "`{column}` is set but not announced: add `.writes(\"{column}\", …)` to `needs`"
            );
        };
        let wanted = self.writes[at].data_type;
        if value.data_type().is_some_and(|got| got != wanted) {
            panic!("`{column}` is announced as {wanted:?} but set to {value:?}");
        }
        self.values[at] = Some(value);
    }

    /// Filters the row out: counted, not dead-lettered.
    pub fn filter_out(&mut self) {
        self.dropped = true;
    }
}

fn required(column: &str) -> Refusal {
    reject("required", format!("`{column}` is missing")).column(column)
}

/// A value to [`Row::set`].
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// No value.
    Null,
    /// True or false.
    Boolean(bool),
    /// An integer.
    Int64(i64),
    /// A number.
    Float64(f64),
    /// Days since 1970-01-01.
    Date(i32),
    /// Microseconds since 1970-01-01T00:00:00Z.
    Timestamp(i64),
    /// Text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

impl Value {
    fn data_type(&self) -> Option<DataType> {
        Some(match self {
            Value::Null => return None,
            Value::Boolean(_) => DataType::Boolean,
            Value::Int64(_) => DataType::Int64,
            Value::Float64(_) => DataType::Float64,
            Value::Date(_) => DataType::Date,
            Value::Timestamp(_) => DataType::Timestamp,
            Value::Text(_) => DataType::Text,
            Value::Blob(_) => DataType::Blob,
        })
    }
}

macro_rules! value_from {
    ($($from:ty => $case:ident),* $(,)?) => {$(
        impl From<$from> for Value {
            fn from(value: $from) -> Self {
                Value::$case(value.into())
            }
        }
    )*};
}

value_from!(bool => Boolean, i64 => Int64, f64 => Float64, &str => Text, String => Text, Vec<u8> => Blob);

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

enum Builder {
    Booleans(Booleans),
    Int64s(Int64s),
    Float64s(Float64s),
    Dates(Dates),
    Timestamps(Timestamps),
    Texts(Texts),
    Blobs(Texts),
}

impl Builder {
    fn new(data_type: DataType, rows: usize) -> Self {
        match data_type {
            DataType::Boolean => Self::Booleans(Booleans::with_capacity(rows)),
            DataType::Int64 => Self::Int64s(Int64s::with_capacity(rows)),
            DataType::Float64 => Self::Float64s(Float64s::with_capacity(rows)),
            DataType::Date => Self::Dates(Dates::with_capacity(rows)),
            DataType::Timestamp => Self::Timestamps(Timestamps::with_capacity(rows)),
            DataType::Text => Self::Texts(Texts::with_capacity(rows, 0)),
            DataType::Blob => Self::Blobs(Texts::with_capacity(rows, 0)),
        }
    }

    /// Adds a value that [`Row::set`] has checked.
    fn push(&mut self, value: Value) {
        match (self, value) {
            (Self::Booleans(b), Value::Boolean(v)) => b.push(v),
            (Self::Int64s(b), Value::Int64(v)) => b.push(v),
            (Self::Float64s(b), Value::Float64(v)) => b.push(v),
            (Self::Dates(b), Value::Date(v)) => b.push(v),
            (Self::Timestamps(b), Value::Timestamp(v)) => b.push(v),
            (Self::Texts(b), Value::Text(v)) => b.push(v),
            (Self::Blobs(b), Value::Blob(v)) => b.push(v),
            (Self::Booleans(b), _) => b.push_null(),
            (Self::Int64s(b), _) => b.push_null(),
            (Self::Float64s(b), _) => b.push_null(),
            (Self::Dates(b), _) => b.push_null(),
            (Self::Timestamps(b), _) => b.push_null(),
            (Self::Texts(b) | Self::Blobs(b), _) => b.push_null(),
        }
    }

    /// Adds what a column of the same type holds in that row.
    fn copy(&mut self, column: &Column, row: usize) {
        match self {
            Self::Booleans(b) => b.push_option(column.boolean(row)),
            Self::Int64s(b) => b.push_option(column.int64(row)),
            Self::Float64s(b) => b.push_option(column.float64(row)),
            Self::Dates(b) => b.push_option(column.date(row)),
            Self::Timestamps(b) => b.push_option(column.timestamp(row)),
            Self::Texts(b) | Self::Blobs(b) => b.push_option(column.bytes(row)),
        }
    }

    fn finish(self, name: &str) -> Column {
        match self {
            Self::Booleans(b) => b.finish(name),
            Self::Int64s(b) => b.finish(name),
            Self::Float64s(b) => b.finish(name),
            Self::Dates(b) => b.finish(name),
            Self::Timestamps(b) => b.finish(name),
            Self::Texts(b) => b.finish(name),
            Self::Blobs(b) => b.finish_blobs(name),
        }
    }
}
