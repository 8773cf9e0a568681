//! The table without its sensitive columns, as a view in a dataset of its own. Readers are given that
//! dataset, and the view, not they, is given the table's: an authorised view.

use super::Condition;
use clickmill_config::TableName;
use clickmill_core::schema::{Column, TableSchema};

/// A view of all columns that are not sensitive.
#[derive(Debug, Clone, PartialEq)]
pub struct MaskedView {
    /// The project of both.
    pub project: String,
    /// The table.
    pub of: TableName,
    /// The view.
    pub name: TableName,
    /// Its columns.
    pub columns: Vec<String>,
    /// The columns it leaves out.
    pub without: Vec<String>,
    /// When it is needed, and can be made.
    pub when: Vec<Condition>,
}

impl MaskedView {
    /// The view of a table; `None` where nothing is sensitive, or everything is.
    pub(super) fn of(
        project: &str,
        table: &TableName,
        schema: &TableSchema,
        when: Vec<Condition>,
    ) -> Option<Self> {
        let (without, columns): (Vec<&Column>, Vec<&Column>) =
            schema.columns.iter().partition(|column| column.is_sensitive());
        if without.is_empty() || columns.is_empty() {
            return None;
        }
        let names = |columns: Vec<&Column>| columns.iter().map(|c| c.name.clone()).collect();
        let dataset = format!("{}_masked", table.dataset);
        Some(Self {
            project: project.to_owned(),
            of: table.clone(),
            name: TableName { dataset, table: table.table.clone() },
            columns: names(columns),
            without: names(without),
            when,
        })
    }

    /// The query that it is.
    pub fn query(&self) -> String {
        let columns: Vec<String> = self.columns.iter().map(|name| quoted(name)).collect();
        let columns = columns.join(",\n  ");
        format!("SELECT\n  {columns}\nFROM {}{}", self.path(&self.of), self.alias())
    }

    /// Another name for the table where a column has its name: in BigQuery that would be the whole row, with all that is
    /// sensitive in it.
    fn alias(&self) -> String {
        let is_column = |name: &str| {
            let mut all = self.columns.iter().chain(&self.without);
            all.any(|column| column.eq_ignore_ascii_case(name))
        };
        let mut name = self.of.table.clone();
        while is_column(&name) {
            name.push('_');
        }
        if name == self.of.table { String::new() } else { format!(" AS {}", quoted(&name)) }
    }

    /// The statement that creates it.
    pub fn create(&self) -> String {
        format!("CREATE OR REPLACE VIEW {} AS\n{}", self.path(&self.name), self.query())
    }

    fn path(&self, table: &TableName) -> String {
        [&self.project, &table.dataset, &table.table].map(|part| quoted(part)).join(".")
    }
}

/// A name as BigQuery SQL takes it, whatever is in it.
fn quoted(name: &str) -> String {
    let mut quoted = String::from("`");
    for c in name.chars() {
        match c {
            '`' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted + "`"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_that_is_called_as_the_table_is_not_its_row() {
        let name =
            |dataset: &str| TableName { dataset: dataset.to_owned(), table: "visits".into() };
        let view = |columns: &[&str]| MaskedView {
            project: "p".to_owned(),
            of: name("shop"),
            name: name("shop_masked"),
            columns: columns.iter().map(|&column| column.to_owned()).collect(),
            without: vec!["visits_".to_owned()],
            when: Vec::new(),
        };
        assert_eq!(view(&["day"]).query(), "SELECT\n  `day`\nFROM `p`.`shop`.`visits`");
        assert_eq!(
            view(&["day", "Visits"]).query(),
            "SELECT\n  `day`,\n  `Visits`\nFROM `p`.`shop`.`visits` AS `visits__`"
        );
    }
}
