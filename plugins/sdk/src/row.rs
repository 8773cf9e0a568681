//! Plugins over rows: the batch is walked by the SDK.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::record::{List, Record};
use crate::tree::{self, Root};
use crate::{
    Batch, Column, ColumnSpec, DataType, Decimal, Fault, Needs, Output, Plugin, Problems,
    Rejection, Secret, Value, is_within,
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
    const SECRETS: &'static [Secret] = &[];

    /// Checks the configuration and gets ready: see [`Plugin::configure`].
    fn configure(config: Self::Config, available: &[ColumnSpec]) -> Result<Self, Problems>;

    /// What it reads, writes and looks up, as configured.
    fn needs(&self) -> Needs;

    /// What it prepared, for [`RowPlugin::restore`]: see [`Plugin::prepare`].
    fn prepare(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Gets ready from what it prepared: see [`Plugin::restore`].
    fn restore(
        _config: &str,
        _prepared: &[u8],
        _available: &[ColumnSpec],
    ) -> Result<Self, Problems> {
        Err(vec!["what was prepared cannot be restored".to_owned()])
    }

    /// Transforms one row: reads it, sets the columns it writes, and refuses it with [`reject`] or
    /// filters it out with [`Row::filter_out`]. A written column that is not set keeps what was read of that
    /// path, or is null. Several rows are made of it with [`Row::emit`].
    fn row(&self, row: &mut Row<'_>) -> Result<(), Refusal>;
}

impl<T: RowPlugin> Plugin for T {
    type Config = T::Config;
    const SECRETS: &'static [Secret] = T::SECRETS;

    fn configure(config: Self::Config, available: &[ColumnSpec]) -> Result<Self, Problems> {
        T::configure(config, available)
    }

    fn needs(&self) -> Needs {
        T::needs(self)
    }

    fn prepare(&self) -> Vec<u8> {
        T::prepare(self)
    }

    fn restore(config: &str, prepared: &[u8], available: &[ColumnSpec]) -> Result<Self, Problems> {
        T::restore(config, prepared, available)
    }

    fn process(&self, batch: Batch) -> Result<Output, Fault> {
        let Needs { reads, writes, multiplies, .. } = self.needs();
        let rows = batch.rows as usize;
        let mut roots = tree::roots(&writes, &batch, rows);
        let mut output = Output::new(Vec::with_capacity(writes.len()));
        output.came_from = multiplies.then(Vec::new);
        let mut len = 0;
        let mut made = Made { values: vec![None; roots.len()], rows: Vec::new(), dropped: false };
        for index in 0..rows {
            let record = Record::row(&batch, index);
            let ingest_time = batch.ingest_time;
            made.dropped = false;
            let mut row = Row {
                record,
                ingest_time,
                roots: &roots,
                reads: &reads,
                writes: &writes,
                multiplies,
                made,
            };
            let outcome = self.row(&mut row);
            made = row.made;
            let mut end = |values: &mut [Option<Value>], becomes: Becomes| {
                let at = len as u32;
                len += 1;
                match becomes {
                    Becomes::Row => {}
                    Becomes::Dropped => output.dropped.push(at),
                    Becomes::Refused(Refusal { code, message, column }) => {
                        output.rejections.push(Rejection { row: at, code, message, column });
                    }
                }
                for (root, value) in roots.iter_mut().zip(values) {
                    root.push(value.take(), &batch, index);
                }
                if let Some(came_from) = &mut output.came_from {
                    came_from.push(index as u32);
                }
            };
            match made.end(outcome) {
                Some(becomes) => end(&mut made.values, becomes),
                None => made.rows.drain(..).for_each(|mut row| end(&mut row.values, row.becomes)),
            }
        }
        for root in roots {
            root.finish(&batch, &mut output);
        }
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
    /// Names the column at fault by its path, one that the plugin reads or writes; elements of a list by
    /// their number, from 0: `items[3].price`.
    pub fn column(mut self, name: impl Into<String>) -> Self {
        self.column = Some(name.into());
        self
    }
}

/// One row of a batch, as a [`RowPlugin`] sees it. Fields of records are named by path: `user.email`.
///
/// To ask for a column that [`RowPlugin::needs`] does not announce, or as another type than it has, panics: a
/// mistake of the plugin, which the host reports with its message and the file and line of the call.
pub struct Row<'a> {
    record: Record<'a>,
    ingest_time: i64,
    roots: &'a [Root],
    reads: &'a [ColumnSpec],
    writes: &'a [ColumnSpec],
    multiplies: bool,
    made: Made,
}

/// What becomes of one row of a batch.
struct Made {
    /// What is set of the row in the making.
    values: Vec<Option<Value>>,
    rows: Vec<MadeRow>,
    dropped: bool,
}

struct MadeRow {
    values: Vec<Option<Value>>,
    becomes: Becomes,
}

enum Becomes {
    Row,
    Dropped,
    Refused(Refusal),
}

impl Made {
    /// Ends the row in the making.
    fn row(&mut self, becomes: Becomes) {
        let empty = vec![None; self.values.len()];
        let values = std::mem::replace(&mut self.values, empty);
        self.rows.push(MadeRow { values, becomes });
        self.dropped = false;
    }

    /// Ends the row that was given. What becomes of it, where it is still one row: the one in the making.
    fn end(&mut self, outcome: Result<(), Refusal>) -> Option<Becomes> {
        match outcome {
            Err(refusal) => {
                self.rows.clear();
                Some(Becomes::Refused(refusal))
            }
            Ok(()) if self.rows.is_empty() => {
                Some(if self.dropped { Becomes::Dropped } else { Becomes::Row })
            }
            Ok(()) => {
                assert!(
                    !self.dropped && self.values.iter().all(Option::is_none),
                    "a row is set or filtered out after the last one was emitted: call `emit` behind it"
                );
                None
            }
        }
    }
}

impl<'a> Row<'a> {
    /// The column of a path, of single values of a type, and which of them is the row's.
    #[track_caller]
    fn single(&self, path: &str, wanted: DataType) -> Option<(&'a Column, usize)> {
        let (column, index) = self.read(path)?;
        let (kind, is_list) = (column.values.data_type(), column.offsets.is_some());
        if is_list || kind != wanted {
            let list = if is_list { "a list of " } else { "" };
            panic!("`{path}` is {list}{kind:?}, not {wanted:?}");
        }
        Some((column, index))
    }

    /// The column of a path. `None` where it is announced and a test has not given it.
    #[track_caller]
    fn read(&self, path: &str) -> Option<(&'a Column, usize)> {
        let found = self.record.column(path);
        if found.is_none() && !self.lacks(path) {
            panic!("`{path}` is not read: add `.reads(\"{path}\", …)` to `needs`");
        }
        found
    }

    /// Whether the batch lacks a column that is announced, with all below it.
    fn lacks(&self, path: &str) -> bool {
        let root = path.split_once('.').map_or(path, |(root, _)| root);
        self.record.column(root).is_none()
            && self.reads.iter().any(|read| is_within(&read.path, root))
    }

    /// The row's text in a column: `None` where it is null.
    #[track_caller]
    pub fn text(&self, column: &str) -> Option<&'a str> {
        let (column, index) = self.single(column, DataType::Text)?;
        column.text(index)
    }

    /// The row's text in a column; a null refuses the row with code `required`.
    #[track_caller]
    pub fn require_text(&self, column: &str) -> Result<&'a str, Refusal> {
        self.text(column).ok_or_else(|| required(column))
    }

    /// The row's integer in a column: `None` where it is null.
    #[track_caller]
    pub fn int64(&self, column: &str) -> Option<i64> {
        let (column, index) = self.single(column, DataType::Int64)?;
        column.int64(index)
    }

    /// The row's integer in a column; a null refuses the row with code `required`.
    #[track_caller]
    pub fn require_int64(&self, column: &str) -> Result<i64, Refusal> {
        self.int64(column).ok_or_else(|| required(column))
    }

    /// The row's number in a column: `None` where it is null.
    #[track_caller]
    pub fn float64(&self, column: &str) -> Option<f64> {
        let (column, index) = self.single(column, DataType::Float64)?;
        column.float64(index)
    }

    /// The row's exact number in a column: `None` where it is null.
    #[track_caller]
    pub fn decimal(&self, column: &str) -> Option<Decimal> {
        let (column, index) = self.single(column, DataType::Decimal)?;
        column.decimal(index)
    }

    /// The row's exact number in a column; a null refuses the row with code `required`.
    #[track_caller]
    pub fn require_decimal(&self, column: &str) -> Result<Decimal, Refusal> {
        self.decimal(column).ok_or_else(|| required(column))
    }

    /// The row's boolean in a column: `None` where it is null.
    #[track_caller]
    pub fn boolean(&self, column: &str) -> Option<bool> {
        let (column, index) = self.single(column, DataType::Boolean)?;
        column.boolean(index)
    }

    /// The row's date in a column, in days since 1970-01-01.
    #[track_caller]
    pub fn date(&self, column: &str) -> Option<i32> {
        let (column, index) = self.single(column, DataType::Date)?;
        column.date(index)
    }

    /// The row's time of day in a column, in microseconds since midnight.
    #[track_caller]
    pub fn time(&self, column: &str) -> Option<i64> {
        let (column, index) = self.single(column, DataType::Time)?;
        column.time(index)
    }

    /// The row's day and time of day in a column, in microseconds since 1970-01-01T00:00:00, in no zone.
    #[track_caller]
    pub fn datetime(&self, column: &str) -> Option<i64> {
        let (column, index) = self.single(column, DataType::Datetime)?;
        column.datetime(index)
    }

    /// The row's instant in a column, in microseconds since 1970-01-01T00:00:00Z.
    #[track_caller]
    pub fn timestamp(&self, column: &str) -> Option<i64> {
        let (column, index) = self.single(column, DataType::Timestamp)?;
        column.timestamp(index)
    }

    /// The row's JSON in a column, as its text.
    #[track_caller]
    pub fn json(&self, column: &str) -> Option<&'a str> {
        let (column, index) = self.single(column, DataType::Json)?;
        column.json(index)
    }

    /// The row's bytes in a column: `None` where it is null.
    #[track_caller]
    pub fn blob(&self, column: &str) -> Option<&'a [u8]> {
        let (column, index) = self.single(column, DataType::Blob)?;
        column.bytes(index)
    }

    /// The row's record in a column: `None` where it is null.
    #[track_caller]
    pub fn record(&self, column: &str) -> Option<Record<'a>> {
        self.single(column, DataType::Record)?;
        self.record.record(column)
    }

    /// The row's list in a column.
    #[track_caller]
    pub fn list(&self, column: &str) -> List<'a> {
        if self.read(column).is_some_and(|(column, _)| column.offsets.is_none()) {
            panic!("`{column}` is not a list");
        }
        self.record.list(column)
    }

    /// The row's value in a column, whatever it is.
    #[track_caller]
    pub fn value(&self, column: &str) -> Value {
        self.read(column);
        self.record.value(column)
    }

    /// The row's value in a column as a type of your own, by serde: see [`Value::to`]. What does not fit
    /// refuses the row with code `wrong_type`.
    #[track_caller]
    pub fn get<T: DeserializeOwned>(&self, column: &str) -> Result<T, Refusal> {
        self.value(column)
            .to()
            .map_err(|error| reject("wrong_type", format!("`{column}`: {error}")).column(column))
    }

    /// When the host took the row in, in microseconds since 1970-01-01T00:00:00Z: the plugin's "now".
    pub fn ingest_time(&self) -> i64 {
        self.ingest_time
    }

    /// Sets a column that [`RowPlugin::needs`] announced.
    ///
    /// A record that is announced is set as a whole, with [`Value::record`], and a list with
    /// [`Value::list`]. A field that is announced without its record is set by path; where that leads
    /// through a list, with a list that has a value for each element, in their order.
    ///
    /// Panics where it was not announced or with another type: a mistake of the plugin, which the host
    /// reports with this message and the file and line of the call.
    #[track_caller]
    pub fn set(&mut self, column: &str, value: impl Into<Value>) {
        let value = value.into();
        let Some(at) = self.roots.iter().position(|root| root.path() == column) else {
            if self.writes.iter().any(|write| write.path == column) {
                panic!("`{column}` is part of a record that is announced: set that");
            }
            panic!(
                "`{column}` is set but not announced: add `.writes(\"{column}\", …)` to `needs`"
            );
        };
        if let Some(wanted) = self.roots[at].unlike(&value) {
            panic!("`{column}` is announced as {wanted:?} but set to {value:?}");
        }
        self.made.values[at] = Some(value);
    }

    /// Sets a column to a type of your own, by serde: see [`Value::from_serde`].
    ///
    /// Panics as [`Row::set`] does, and where the type is none that columns have.
    #[track_caller]
    pub fn set_typed(&mut self, column: &str, value: &impl Serialize) {
        // In no closure, whose place would be told for the caller's.
        let value = match Value::from_serde(value) {
            Ok(value) => value,
            Err(error) => panic!("`{column}` cannot be set: {error}"),
        };
        let announced = self.writes.iter().find(|write| write.path == column);
        let value = match announced {
            Some(write) => value.fit(write.data_type),
            None => value,
        };
        self.set(column, value);
    }

    /// Filters the row out: counted, not dead-lettered.
    pub fn filter_out(&mut self) {
        self.made.dropped = true;
    }

    /// Ends a row of those that become of this one, with what is set. Columns that are set for one are
    /// not for the next: they are what was read, or null. Columns that the plugin does not write are the same
    /// in all.
    ///
    /// Without any call of it one row becomes one row. Where the function ends in a refusal, that is one row,
    /// and those that were emitted are forgotten.
    ///
    /// Panics where [`Needs::multiplies`] was not announced.
    #[track_caller]
    pub fn emit(&mut self) {
        let becomes = if self.made.dropped { Becomes::Dropped } else { Becomes::Row };
        self.emit_as(becomes);
    }

    /// Ends a row as [`Row::emit`] does, and refuses it alone.
    #[track_caller]
    pub fn emit_refused(&mut self, refusal: Refusal) {
        self.emit_as(Becomes::Refused(refusal));
    }

    #[track_caller]
    fn emit_as(&mut self, becomes: Becomes) {
        assert!(self.multiplies, "a row is emitted, but `needs` has no `.multiplies()`");
        self.made.row(becomes);
    }
}

fn required(column: &str) -> Refusal {
    reject("required", format!("`{column}` is missing")).column(column)
}

#[cfg(test)]
mod tests;
