//! Views over the tables: the same text on BigQuery and in the warehouse.

use std::fmt::Write;

use clickmill_config::{Sink, TableName};
use clickmill_core::schema::TableSchema;
use clickmill_core::schema::provenance::{
    INGESTED_AT, MESSAGE_ID, PUBLISH_TIME, RECORD_INDEX, SOURCE, SOURCE_LINE,
};

/// The dataset that the views are written for.
const DATASET: &str = "clickstream_analytics";
/// How the name of a table ends of which there is a view by the name before it.
const RAW: &str = "_raw";
/// The day of an event: the same however often its message is delivered.
const EVENT_DATE: &str = "event_date";

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
    pub name: String,
    /// The table it is of.
    pub of: String,
    /// The other tables that it reads.
    pub reads: &'static [&'static str],
    /// Whether it has the rows of its table, those of one message once: of rows that agree in all by which
    /// it tells a message, `publish_time` among that.
    pub once: bool,
    /// Its text.
    pub sql: String,
}

impl View {
    /// The columns by which it tells a message where it has each one once, as its text has them.
    pub fn told_by(&self) -> Option<&str> {
        let (_, partition) = self.sql.split_once("PARTITION BY").filter(|_| self.once)?;
        Some(partition.split_once("ORDER BY")?.0.trim())
    }
}

/// The views beside a pipeline's tables, by name, with their text: those of the tables, of the dead
/// letters, and [`once_of`] the tables of its routes.
pub fn of(sink: &Sink) -> Vec<(TableName, String)> {
    let mut views: Vec<(TableName, String)> = Vec::new();
    for (at, (table, schema)) in sink.tables().enumerate() {
        let own = in_dataset(&table.dataset)
            .filter(|view| view.of == table.table || (at == 0 && view.of == "dead_letter"));
        let once = once_of(table, schema).filter(|_| at > 0);
        for view in own.chain(once) {
            let name = table.beside(&view.name);
            let is_known = views.iter().any(|(known, _)| *known == name);
            if !is_known && sink.tables().all(|(table, _)| *table != name) {
                views.push((name, view.sql));
            }
        }
    }
    views
}

/// The view of a table that has each row once, where one is not written for it: of `purchases_raw` it is
/// `purchases`. `None` where the table is called otherwise, or lacks a column by which a message is told.
pub fn once_of(table: &TableName, schema: &TableSchema) -> Option<View> {
    let name = table.table.strip_suffix(RAW).filter(|name| !name.is_empty())?;
    let is_written = |text: &Text| text.name == name || (text.once && text.of == table.table);
    let has = |name: &str| schema.columns.iter().any(|column| column.name == name);
    // Without places, the rows that were made of one message could not be told apart.
    let told_by = [SOURCE, SOURCE_LINE, MESSAGE_ID, PUBLISH_TIME, RECORD_INDEX, INGESTED_AT];
    if VIEWS.iter().any(is_written) || !told_by.into_iter().all(has) {
        return None;
    }
    let mut sql = format!("SELECT *\nFROM `{}`.{}\n", table.dataset, table.table);
    sql += "QUALIFY ROW_NUMBER() OVER (\n  PARTITION BY\n";
    if has(EVENT_DATE) {
        let _ = writeln!(sql, "    {EVENT_DATE},");
    }
    let _ = write!(
        sql,
        "    {PUBLISH_TIME},\n    COALESCE({MESSAGE_ID}, CONCAT({SOURCE}, '#', CAST({SOURCE_LINE} AS STRING))),\n    COALESCE({RECORD_INDEX}, 0)\n  ORDER BY {INGESTED_AT}\n) = 1"
    );
    Some(View { name: name.to_owned(), of: table.table.clone(), reads: &[], once: true, sql })
}

/// All views of a dataset.
pub fn in_dataset(dataset: &str) -> impl Iterator<Item = View> + '_ {
    let view = move |text: &'static Text| View {
        name: text.name.to_owned(),
        of: text.of.to_owned(),
        reads: text.reads,
        once: text.once,
        sql: in_place(text.sql, dataset),
    };
    VIEWS.iter().map(view)
}

/// The views of a dataset that a text names, with those that they read, which come first; `tables` are
/// those of the dataset. Planning a view takes longer than many a query.
pub fn named_in<'a>(
    sql: &str,
    dataset: &str,
    tables: impl Iterator<Item = (&'a TableName, &'a TableSchema)>,
) -> Vec<View> {
    let mut texts = sql.to_owned();
    let mut named: Vec<View> = Vec::new();
    let once = tables.filter_map(|(table, schema)| once_of(table, schema));
    let all: Vec<View> = once.chain(in_dataset(dataset)).collect();
    for view in all.into_iter().rev() {
        if is_named(&texts, &view.name) {
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
        let named = |sql: &str| -> Vec<String> {
            let views = named_in(sql, "d", std::iter::empty());
            views.into_iter().map(|view| view.name).collect()
        };
        assert_eq!(named("SELECT COUNT(*) FROM d.clicks_raw"), [""; 0]);
        assert_eq!(named("SELECT COUNT(*) FROM d.`clicks`"), ["clicks"]);
        assert_eq!(named("SELECT 1 FROM d.sessions"), ["clicks", "exchange_rates", "sessions"]);
    }

    #[test]
    fn a_raw_table_that_has_no_view_of_its_own_has_one_with_each_row_once() {
        let schema = |columns: &[&str]| {
            let columns = columns.iter().map(|name| {
                format!("{{\"name\": \"{name}\", \"type\": \"STRING\", \"mode\": \"NULLABLE\"}}")
            });
            let text = format!("[{}]", columns.collect::<Vec<_>>().join(", "));
            TableSchema::parse(&text, std::path::Path::new("t.json")).expect("a schema")
        };
        let table = |name: &str| TableName { dataset: "d".to_owned(), table: name.to_owned() };
        let told =
            ["record_index", "source", "source_line", "message_id", "publish_time", "ingested_at"];
        let all = schema(&[&told[..], &["event_date"]].concat());
        let view = once_of(&table("purchases_raw"), &all).expect("a view");
        assert_eq!((view.name.as_str(), view.of.as_str()), ("purchases", "purchases_raw"));
        assert!(view.told_by().is_some_and(|key| key.starts_with("event_date,\n    publish_time")));
        assert!(in_dataset("d").all(|view| view.told_by().is_some() == view.once));
        // The text that is written for another is the same, comments apart.
        let written = in_dataset("d").find(|view| view.name == "shop_events").expect("a view");
        let lines = written.sql.lines().filter(|line| !line.starts_with("--"));
        let written =
            lines.collect::<Vec<_>>().join("\n").replace("shop_events_raw", "purchases_raw");
        assert_eq!(view.sql, written.trim_end());
        let least = once_of(&table("purchases_raw"), &schema(&told)).expect("a view");
        assert!(!least.sql.contains("event_date"));
        assert!(once_of(&table("purchases_raw"), &schema(&told[1..])).is_none());
        for other in ["purchases", "clicks_raw", "sessions_raw", "_raw"] {
            assert!(once_of(&table(other), &all).is_none(), "{other}");
        }
        // Tables of a warehouse are looked up by name.
        let tables = [(table("purchases_raw"), all)];
        let named = |sql: &str| {
            let tables = tables.iter().map(|(table, schema)| (table, schema));
            named_in(sql, "d", tables).len()
        };
        assert_eq!(named("SELECT 1 FROM d.purchases"), 1);
        assert_eq!(named("SELECT 1 FROM d.purchases_raw"), 0);
    }
}
