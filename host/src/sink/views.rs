//! Views over the tables: the same text on BigQuery and in the warehouse.

use crate::config::TableName;

/// The dataset that the views are written for.
const DATASET: &str = "clickstream_analytics";

const VIEWS: [(&str, &str, &str); 2] = [
    ("clicks", "clicks_raw", include_str!("../../../sql/views/clicks.sql")),
    ("dead_letters", "dead_letter", include_str!("../../../sql/views/dead_letters.sql")),
];

/// The views beside a pipeline's table, by name, with their text: those of the table and of the dead
/// letters.
pub fn of(table: &TableName) -> Vec<(TableName, String)> {
    in_dataset(&table.dataset)
        .filter(|(_, of, _)| *of == table.table || *of == "dead_letter")
        .map(|(name, _, sql)| {
            (TableName { dataset: table.dataset.clone(), table: name.to_owned() }, sql)
        })
        .collect()
}

/// All views of a dataset: their names, the tables they are of, their text.
pub fn in_dataset(dataset: &str) -> impl Iterator<Item = (&'static str, &'static str, String)> {
    let (from, to) = (format!("{DATASET}."), format!("`{dataset}`."));
    VIEWS.into_iter().map(move |(name, of, sql)| (name, of, sql.replace(&from, &to)))
}
