//! Collects what the configured enrichments read, write and look up, and every problem with it.
//!
//! In: the columns available to the plugin. Out: [`Needs`] without repetitions, or all problems, each
//! with its place in the configuration, what is there and what was wanted.

use clickmill_plugin::{ColumnSpec, DataType, Needs, Problems};

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
        self.available.iter().find(|spec| spec.name == column).map(|spec| spec.data_type)
    }

    /// Reads a column of one of the `wanted` types; it is a problem where there is none.
    pub(crate) fn read(&mut self, path: &str, column: &str, wanted: &[DataType]) {
        let wanted_names = || wanted.iter().map(|t| t.name()).collect::<Vec<_>>();
        match self.type_of(column) {
            None => {
                let available: Vec<String> = self
                    .available
                    .iter()
                    .map(|spec| format!("`{}` ({})", spec.name, spec.data_type.name()))
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
                if !self.needs.reads.iter().any(|spec| spec.name == column) {
                    self.needs.reads.push(ColumnSpec { name: column.to_owned(), data_type });
                }
            }
        }
    }

    /// Writes a column; it is a problem where another enrichment writes it too.
    pub(crate) fn write(&mut self, path: &str, column: &str, data_type: DataType) {
        if column.is_empty() {
            self.problem(path, "the column to write has no name");
        } else if self.needs.writes.iter().any(|spec| spec.name == column) {
            self.problem(path, format!("column `{column}` is written already"));
        } else {
            self.needs.writes.push(ColumnSpec { name: column.to_owned(), data_type });
        }
    }

    /// Asks a lookup table.
    pub(crate) fn look_up(&mut self, path: &str, table: &str) {
        if table.is_empty() {
            self.problem(path, "the lookup table has no name");
        } else if !self.needs.lookups.iter().any(|known| known == table) {
            self.needs.lookups.push(table.to_owned());
        }
    }

    /// Notes a problem at a place of the configuration.
    pub(crate) fn problem(&mut self, path: &str, what: impl AsRef<str>) {
        self.problems.push(format!("`{path}`: {}", what.as_ref()));
    }

    /// What the plugin needs.
    pub(crate) fn finish(mut self) -> Result<Needs, Problems> {
        if self.problems.is_empty() && self.needs.writes.is_empty() {
            self.problems.push(
                "nothing to do: configure `user_agent`, `url`, `event_date` or `names`".to_owned(),
            );
        }
        if self.problems.is_empty() { Ok(self.needs) } else { Err(self.problems) }
    }
}

/// The name of an output column, `None` where it is left out: null, or empty as TOML has no null.
pub(crate) fn output(name: Option<String>) -> Option<String> {
    name.filter(|name| !name.is_empty())
}
