//! Dead letters and the audit log, page by page, the newest first.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{Served, no, range};
use clickmill_core::Micros;
use clickmill_tables::result_set::{Bounds, Parameter, Question};

/// How many a page has, unless the reader says otherwise.
const PAGE: usize = 50;
/// How many it has at most.
const MAX_PAGE: usize = 500;

/// The most characters of any value, as of a payload.
const MAX_CHARS: usize = 4000;

/// Of a payload, 4000 characters are shown, and no more are read: a page of whole ones may fill memory.
const LETTERS: &str = "\
SELECT timestamp, letter_id, pipeline, stage, code, errorMessage AS message, `column`, source,
  source_line, message_id, record_index, plugin_set, attempts, resolved_at, sealed_with,
  SUBSTR(payloadString, 1, 4000) AS payload
FROM clickstream_analytics.dead_letters
WHERE timestamp <= @at AND (timestamp < @at OR letter_id > @after)
  AND (@pipeline IS NULL OR pipeline = @pipeline)
  AND (@stage IS NULL OR stage = @stage) AND (@code IS NULL OR code = @code)
  AND (@text IS NULL OR STRPOS(errorMessage, @text) > 0 OR letter_id = @text)
ORDER BY timestamp DESC, letter_id";

const AUDIT: &str = "\
SELECT sequence, time, pipeline, actor, action, subject, old_plugin_set, new_plugin_set, outcome, detail,
  entry_hash
FROM clickstream_analytics.audit_log
WHERE time <= @at AND (time < @at OR entry_hash > @after)
  AND (@pipeline IS NULL OR pipeline = @pipeline)
ORDER BY time DESC, entry_hash";

#[derive(Serialize)]
struct Letters {
    letters: Vec<Map<String, Value>>,
    next: Option<String>,
}

#[derive(Serialize)]
struct Entries {
    entries: Vec<Map<String, Value>>,
    next: Option<String>,
}

/// The columns that put rows in their one order. Rows of a batch have the same time.
type Order = [&'static str; 2];

/// `GET /v1/dead-letters`
pub(super) async fn list(
    State(served): State<Arc<Served>>,
    Query(asked): Query<HashMap<String, String>>,
) -> Response {
    let texts = ["pipeline", "stage", "code", "text"].map(|key| (key, text(&asked, key)));
    match served
        .page(LETTERS, ["timestamp", "letter_id"], &asked, &texts, "list dead letters")
        .await
    {
        Ok((mut letters, next)) => {
            for letter in &mut letters {
                let shown = served.dashboard.reveals_payload && letter["sealed_with"].is_null();
                letter.insert("payload_hidden".to_owned(), (!shown).into());
                if !shown && let Some(payload) = letter.get_mut("payload") {
                    *payload = Value::Null;
                }
            }
            Json(Letters { letters, next }).into_response()
        }
        Err(response) => *response,
    }
}

/// `GET /v1/audit`
pub(super) async fn audit(
    State(served): State<Arc<Served>>,
    Query(asked): Query<HashMap<String, String>>,
) -> Response {
    let texts = [("pipeline", text(&asked, "pipeline"))];
    match served.page(AUDIT, ["time", "entry_hash"], &asked, &texts, "list the audit log").await {
        Ok((entries, next)) => Json(Entries { entries, next }).into_response(),
        Err(response) => *response,
    }
}

/// What a reader asks for by a parameter; all where it is missing or empty.
fn text(asked: &HashMap<String, String>, key: &str) -> Parameter {
    Parameter::Text(asked.get(key).filter(|value| !value.is_empty()).cloned())
}

/// Which page a reader asks for.
#[derive(Debug)]
pub(super) struct Wanted {
    /// How many rows it has at most.
    pub limit: usize,
    /// It begins behind this moment, or at it behind this id.
    pub at: Micros,
    pub after: String,
}

/// A parameter that says no page.
#[derive(Debug, thiserror::Error)]
#[error("`{key}` is `{value}`, wanted {wanted}")]
pub(super) struct WantedError {
    key: &'static str,
    value: String,
    wanted: String,
}

impl Wanted {
    /// Reads `limit` and `after`; each may be missing.
    pub(super) fn parse(asked: &HashMap<String, String>) -> Result<Self, WantedError> {
        let bad = |key, value: &str, wanted: &str| WantedError {
            key,
            value: value.to_owned(),
            wanted: wanted.to_owned(),
        };
        let given = |key: &str| asked.get(key).filter(|value| !value.is_empty());
        let limit = match given("limit").map(|value| (value, value.parse::<usize>())) {
            None => PAGE,
            Some((_, Ok(limit))) if (1..=MAX_PAGE).contains(&limit) => limit,
            Some((value, _)) => return Err(bad("limit", value, &format!("1 to {MAX_PAGE}"))),
        };
        let (at, after) = match given("after") {
            None => (range::end(), String::new()),
            Some(value) => value
                .split_once('/')
                .and_then(|(at, after)| Some((at.parse::<Micros>().ok()?, after.to_owned())))
                .ok_or_else(|| bad("after", value, "the `next` of the page before"))?,
        };
        Ok(Self { limit, at, after })
    }
}

impl Served {
    /// A page of rows, as objects, and where the next one begins.
    async fn page(
        &self,
        sql: &str,
        order: Order,
        asked: &HashMap<String, String>,
        texts: &[(&str, Parameter)],
        what: &str,
    ) -> Result<(Vec<Map<String, Value>>, Option<String>), Box<Response>> {
        let wanted = Wanted::parse(asked);
        let bad =
            |error: WantedError| Box::new(no(StatusCode::BAD_REQUEST, error.to_string(), false));
        let Wanted { limit, at, after } = wanted.map_err(bad)?;
        let mut parameters = texts.to_vec();
        parameters.push(("at", Parameter::Timestamp(at)));
        parameters.push(("after", Parameter::Text(Some(after))));
        let sql = format!("{sql} LIMIT {}", limit + 1);
        let bounds = Bounds { rows: limit + 1, chars: MAX_CHARS };
        let question = Question { sql: &sql, parameters: &parameters, bounds, what };
        let found = self.ask(question).await;
        let found = found.map_err(|unanswered| Box::new(unanswered.into_response()))?;
        let names: Vec<&String> = found.columns.iter().map(|column| &column.name).collect();
        let object = |row: Vec<Value>| names.iter().map(|name| (*name).clone()).zip(row).collect();
        let mut rows: Vec<Map<String, Value>> = found.rows.into_iter().map(object).collect();
        let more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().filter(|_| more);
        let next = last.map(|row| order.map(|column| row[column].as_str().unwrap_or("")).join("/"));
        Ok((rows, next))
    }
}
