//! Views over the tables: the same text on BigQuery and in the warehouse.

use clickmill_config::TableName;

/// The dataset that the views are written for.
const DATASET: &str = "clickstream_analytics";

macro_rules! views {
    ($($name:literal of $of:literal $(reads $($reads:literal)+)?;)*) => {
        /// Name, the table it is of, the other tables and views it reads, text. Each comes after those
        /// that it reads.
        const VIEWS: &[(&str, &str, &[&str], &str)] = &[$((
            $name,
            $of,
            &[$($($reads),+)?],
            include_str!(concat!("../../../sql/views/", $name, ".sql")),
        )),*];
    };
}

views! {
    "clicks" of "clicks_raw";
    "dead_letters" of "dead_letter" reads "dead_letter_attempts";
    "exchange_rates" of "clicks_raw";
    "sessions" of "clicks_raw" reads "clicks" "exchange_rates";
    "daily" of "clicks_raw" reads "clicks" "exchange_rates";
    "product_performance" of "clicks_raw" reads "clicks" "exchange_rates";
    "response_times" of "clicks_raw" reads "clicks";
    "errors" of "clicks_raw" reads "clicks";
    "shop_sessions" of "clickstream_batch";
}

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
pub fn in_dataset(dataset: &str) -> impl Iterator<Item = View> + '_ {
    let view = move |&(name, of, reads, sql): &(_, _, _, &str)| View {
        name,
        of,
        reads,
        sql: in_place(sql, dataset),
    };
    VIEWS.iter().map(view)
}

/// The views of a dataset that a text names, with those that they read, which come first. Planning a
/// view takes longer than many a query.
pub fn named_in(sql: &str, dataset: &str) -> Vec<View> {
    let mut texts = sql.to_owned();
    let mut named: Vec<View> = Vec::new();
    let all: Vec<View> = in_dataset(dataset).collect();
    for view in all.into_iter().rev() {
        if texts.contains(view.name) {
            texts.push_str(&view.sql);
            named.push(view);
        }
    }
    named.reverse();
    named
}

/// A text of `sql/` for a dataset of another name.
pub fn in_place(sql: &str, dataset: &str) -> String {
    sql.replace(&format!("{DATASET}."), &format!("`{dataset}`."))
}
