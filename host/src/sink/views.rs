//! Views over the tables: the same text on BigQuery and in the warehouse.

use crate::config::TableName;

/// The dataset that the views are written for.
const DATASET: &str = "clickstream_analytics";

/// Name, the table it is of, the other tables it reads, text.
const VIEWS: [(&str, &str, &[&str], &str); 2] = [
    ("clicks", "clicks_raw", &[], include_str!("../../../sql/views/clicks.sql")),
    (
        "dead_letters",
        "dead_letter",
        &["dead_letter_attempts"],
        include_str!("../../../sql/views/dead_letters.sql"),
    ),
];

/// A view of a dataset.
pub struct View {
    /// Its name.
    pub name: &'static str,
    /// The table it is of.
    pub of: &'static str,
    /// The other tables that it reads.
    pub reads: &'static [&'static str],
    /// Its text.
    pub sql: String,
}

/// The views beside a pipeline's table, by name, with their text: those of the table and of the dead
/// letters.
pub fn of(table: &TableName) -> Vec<(TableName, String)> {
    in_dataset(&table.dataset)
        .filter(|view| view.of == table.table || view.of == "dead_letter")
        .map(|view| (table.beside(view.name), view.sql))
        .collect()
}

/// All views of a dataset.
pub fn in_dataset(dataset: &str) -> impl Iterator<Item = View> {
    let (from, to) = (format!("{DATASET}."), format!("`{dataset}`."));
    let view = move |(name, of, reads, sql): (_, _, _, &str)| View {
        name,
        of,
        reads,
        sql: sql.replace(&from, &to),
    };
    VIEWS.into_iter().map(view)
}
