//! Views over the tables: the same text on BigQuery and in the warehouse.

use clickmill_config::TableName;

/// The dataset that the views are written for.
const DATASET: &str = "clickstream_analytics";

/// A view as it is in `sql/views`.
struct Text {
    name: &'static str,
    of: &'static str,
    reads: &'static [&'static str],
    /// Whether it has the rows of its table, those of one message once.
    once: bool,
    sql: &'static str,
}

/// All of them, each after those that it reads.
static VIEWS: [Text; 11] = [
    Text {
        name: "clicks",
        of: "clicks_raw",
        reads: &[],
        once: true,
        sql: include_str!("../../../sql/views/clicks.sql"),
    },
    Text {
        name: "dead_letters",
        of: "dead_letter",
        reads: &["dead_letter_attempts"],
        once: false,
        sql: include_str!("../../../sql/views/dead_letters.sql"),
    },
    Text {
        name: "exchange_rates",
        of: "clicks_raw",
        reads: &[],
        once: false,
        sql: include_str!("../../../sql/views/exchange_rates.sql"),
    },
    Text {
        name: "sessions",
        of: "clicks_raw",
        reads: &["clicks", "exchange_rates"],
        once: false,
        sql: include_str!("../../../sql/views/sessions.sql"),
    },
    Text {
        name: "daily",
        of: "clicks_raw",
        reads: &["clicks", "exchange_rates"],
        once: false,
        sql: include_str!("../../../sql/views/daily.sql"),
    },
    Text {
        name: "product_performance",
        of: "clicks_raw",
        reads: &["clicks", "exchange_rates"],
        once: false,
        sql: include_str!("../../../sql/views/product_performance.sql"),
    },
    Text {
        name: "response_times",
        of: "clicks_raw",
        reads: &["clicks"],
        once: false,
        sql: include_str!("../../../sql/views/response_times.sql"),
    },
    Text {
        name: "errors",
        of: "clicks_raw",
        reads: &["clicks"],
        once: false,
        sql: include_str!("../../../sql/views/errors.sql"),
    },
    Text {
        name: "shop_sessions",
        of: "clickstream_batch",
        reads: &[],
        once: false,
        sql: include_str!("../../../sql/views/shop_sessions.sql"),
    },
    Text {
        name: "shop_events",
        of: "shop_events_raw",
        reads: &[],
        once: true,
        sql: include_str!("../../../sql/views/shop_events.sql"),
    },
    Text {
        name: "shop_items",
        of: "shop_events_raw",
        reads: &["shop_events"],
        once: false,
        sql: include_str!("../../../sql/views/shop_items.sql"),
    },
];

/// A view of a dataset.
pub struct View {
    /// Its name.
    pub name: &'static str,
    /// The table it is of.
    pub of: &'static str,
    /// The other tables that it reads.
    pub reads: &'static [&'static str],
    /// Whether it has the rows of its table, those of one message once: of rows that agree in all by which
    /// it tells a message, `publish_time` among that.
    pub once: bool,
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
    let view = move |text: &'static Text| View {
        name: text.name,
        of: text.of,
        reads: text.reads,
        once: text.once,
        sql: in_place(text.sql, dataset),
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
        if is_named(&texts, view.name) {
            texts.push_str(&view.sql);
            named.push(view);
        }
    }
    named.reverse();
    named
}

/// Whether a text has a name as a whole word.
pub fn is_named(text: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(name).any(|(at, _)| {
        !text[..at].ends_with(is_word) && !text[at + name.len()..].starts_with(is_word)
    })
}

/// A text of `sql/` for a dataset of another name.
pub fn in_place(sql: &str, dataset: &str) -> String {
    sql.replace(&format!("{DATASET}."), &format!("`{dataset}`."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_named_by_its_whole_name() {
        let named = |sql: &str| -> Vec<&str> {
            named_in(sql, "d").into_iter().map(|view| view.name).collect()
        };
        assert_eq!(named("SELECT COUNT(*) FROM d.clicks_raw"), [""; 0]);
        assert_eq!(named("SELECT COUNT(*) FROM d.`clicks`"), ["clicks"]);
        assert_eq!(named("SELECT 1 FROM d.sessions"), ["clicks", "exchange_rates", "sessions"]);
    }
}
