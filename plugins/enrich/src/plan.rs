//! Collects what the configured enrichments read, write and look up, and every problem with it.
//!
//! In: the columns available to the plugin. Out: [`Needs`] without repetitions, or all problems, each
//! with its place in the configuration, what is there and what was wanted.

use std::fmt::Display;

use clickmill_plugin::{ColumnSpec, DataType, Needs, Problems, is_within};

/// The needs in the making.
pub(crate) struct Plan<'a> {
    available: &'a [ColumnSpec],
    needs: Needs,
    problems: Problems,
}

impl<'a> Plan<'a> {
    pub(crate) fn new(available: &'a [ColumnSpec]) -> Self {
        Self { available, needs: Needs::new(), problems: Problems::new() }
    }

    /// The type of a column, where it is available.
    pub(crate) fn type_of(&self, column: &str) -> Option<DataType> {
        self.available.iter().find(|spec| spec.path == column).map(|spec| spec.data_type)
    }

    /// Reads a column of one of the `wanted` types; it is a problem where there is none.
    pub(crate) fn read(&mut self, path: impl Display, column: &str, wanted: &[DataType]) {
        if let Some(list) = self.list_of(column) {
            let what =
                format!("column `{column}` lies in the list `{list}`, wanted one value per row");
            self.problem(path, what);
        } else {
            self.read_values(path, column, wanted);
        }
    }

    /// The innermost list that a column lies in.
    pub(crate) fn list_of(&self, column: &str) -> Option<String> {
        let spec = self.available.iter().find(|spec| spec.path == column)?;
        spec.list(self.available).map(str::to_owned)
    }

    /// A column within a record that is as cheap to read as any, and tells how many records there are.
    pub(crate) fn field_of(&self, record: &str) -> Option<&'a ColumnSpec> {
        let in_record = |spec: &&ColumnSpec| {
            spec.record() == Some(record) && spec.data_type != DataType::Record && !spec.repeated
        };
        self.available.iter().find(in_record)
    }

    /// [`Plan::read`], of a column that may lie in a list.
    pub(crate) fn read_values(&mut self, path: impl Display, column: &str, wanted: &[DataType]) {
        let wanted_names = || wanted.iter().map(|t| t.name()).collect::<Vec<_>>();
        match self.type_of(column) {
            None => {
                let available: Vec<String> = self
                    .available
                    .iter()
                    .map(|spec| format!("`{}` ({})", spec.path, spec.data_type.name()))
                    .collect();
                let available =
                    if available.is_empty() { "none".to_owned() } else { available.join(", ") };
                self.problem(path, format!("no column `{column}` to read; available: {available}"));
            }
            Some(found) if !wanted.contains(&found) => self.problem(
                path,
                format!(
                    "column `{column}` is {}, wanted {}",
                    found.name(),
                    wanted_names().join(" or ")
                ),
            ),
            Some(data_type) => {
                if !self.needs.reads.iter().any(|spec| spec.path == column) {
                    let repeated =
                        self.available.iter().any(|spec| spec.path == column && spec.repeated);
                    let spec = ColumnSpec { path: column.to_owned(), data_type, repeated };
                    self.needs.reads.push(spec);
                }
            }
        }
    }

    /// Writes a column; it is a problem where another enrichment writes it too.
    pub(crate) fn write(&mut self, path: impl Display, column: &str, data_type: DataType) {
        let spec = ColumnSpec { path: column.to_owned(), data_type, repeated: false };
        match spec.record() {
            Some(record) if self.is_list(record) => {
                let what =
                    format!("column `{column}` would lie in a list, wanted one value per row");
                self.problem(path, what);
            }
            _ => self.write_beside(path, column, data_type, false),
        }
    }

    fn is_list(&self, record: &str) -> bool {
        self.list_of(record).is_some()
    }

    /// Writes a column whose values belong to those of one that is read.
    pub(crate) fn write_beside(
        &mut self,
        path: impl Display,
        column: &str,
        data_type: DataType,
        repeated: bool,
    ) {
        if column.is_empty() {
            self.problem(path, "the column to write has no name");
        } else if self.needs.writes.iter().any(|spec| spec.path == column) {
            self.problem(path, format!("column `{column}` is written already"));
        } else {
            self.needs.writes.push(ColumnSpec { path: column.to_owned(), data_type, repeated });
        }
    }

    /// Asks a lookup table.
    pub(crate) fn look_up(&mut self, path: impl Display, table: &str) {
        if table.is_empty() {
            self.problem(path, "the lookup table has no name");
        } else if !self.needs.lookups.iter().any(|known| known == table) {
            self.needs.lookups.push(table.to_owned());
        }
    }

    /// Notes a problem at a place of the configuration.
    pub(crate) fn problem(&mut self, path: impl Display, what: impl AsRef<str>) {
        self.problems.push(format!("`{path}`: {}", what.as_ref()));
    }

    /// What the plugin needs.
    pub(crate) fn finish(mut self) -> Result<Needs, Problems> {
        if self.problems.is_empty() && self.needs.writes.is_empty() {
            self.problems.push(
                "nothing to do: configure `user_agent`, `url`, `event_date`, `names` or `totals`"
                    .to_owned(),
            );
        }
        // A field is written into a record as it is given, which it is with a field that is read.
        for write in &self.needs.writes {
            let Some(record) = write.record() else { continue };
            if !self.needs.reads.iter().any(|read| is_within(&read.path, record)) {
                self.problems.push(format!(
                    "column `{}` cannot be written: no field of `{record}` is read",
                    write.path
                ));
            }
        }
        if self.problems.is_empty() { Ok(self.needs) } else { Err(self.problems) }
    }
}

/// The name of an output column, `None` where it is left out: null, or empty as TOML has no null.
pub(crate) fn output(name: Option<String>) -> Option<String> {
    name.filter(|name| !name.is_empty())
}
