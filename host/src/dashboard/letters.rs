//! Dead letters and the audit log, page by page, the newest first.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;

use super::{Served, no, range};
use crate::batch::micros;
use crate::sink::result_set::Parameter;

/// How many a page has, unless the reader says otherwise.
const PAGE: usize = 50;
/// How many it has at most.
const MAX_PAGE: usize = 500;
/// What is shown of a payload, in characters.
const MAX_PAYLOAD: usize = 4000;

const LETTERS: &str = "\
SELECT timestamp, letter_id, pipeline, stage, code, errorMessage AS message, `column`, source,
  source_line, message_id, plugin_set, attempts, resolved_at, sealed_with, payloadString AS payload
FROM clickstream_analytics.dead_letters
WHERE timestamp < @before AND (@stage IS NULL OR stage = @stage) AND (@code IS NULL OR code = @code)
  AND (@text IS NULL OR STRPOS(errorMessage, @text) > 0 OR letter_id = @text)
ORDER BY timestamp DESC, letter_id";

const AUDIT: &str = "\
SELECT sequence, time, pipeline, actor, action, subject, old_plugin_set, new_plugin_set, outcome, detail
FROM clickstream_analytics.audit_log
WHERE time < @before
ORDER BY time DESC, sequence DESC";

#[derive(Serialize)]
struct Letters {
    letters: Vec<HashMap<String, Value>>,
    more: bool,
}

#[derive(Serialize)]
struct Entries {
    entries: Vec<HashMap<String, Value>>,
    more: bool,
}

/// `GET /v1/dead-letters`
pub(super) async fn list(
    State(served): State<Arc<Served>>,
    Query(asked): Query<HashMap<String, String>>,
) -> Response {
    let text = |key: &str| asked.get(key).filter(|value| !value.is_empty()).cloned();
    let texts = ["stage", "code", "text"].map(|key| (key, Parameter::Text(text(key))));
    match served.page(LETTERS, &asked, &texts, "list dead letters").await {
        Ok((mut letters, more)) => {
            for letter in &mut letters {
                let shown = served.dashboard.reveals_payload && letter["sealed_with"].is_null();
                letter.insert("payload_hidden".to_owned(), (!shown).into());
                if let Some(payload) = letter.get_mut("payload") {
                    *payload = match payload.as_str() {
                        Some(text) if shown => {
                            text.chars().take(MAX_PAYLOAD).collect::<String>().into()
                        }
                        _ => Value::Null,
                    };
                }
            }
            Json(Letters { letters, more }).into_response()
        }
        Err(response) => *response,
    }
}

/// `GET /v1/audit`
pub(super) async fn audit(
    State(served): State<Arc<Served>>,
    Query(asked): Query<HashMap<String, String>>,
) -> Response {
    match served.page(AUDIT, &asked, &[], "list the audit log").await {
        Ok((entries, more)) => Json(Entries { entries, more }).into_response(),
        Err(response) => *response,
    }
}

impl Served {
    /// A page of rows, as objects, and whether there are more.
    async fn page(
        &self,
        sql: &str,
        asked: &HashMap<String, String>,
        texts: &[(&str, Parameter)],
        what: &str,
    ) -> Result<(Vec<HashMap<String, Value>>, bool), Box<Response>> {
        let bad = |key: &str, value: &str, wanted: &str| {
            let error = format!("`{key}` is `{value}`, wanted {wanted}");
            Box::new(no(StatusCode::BAD_REQUEST, error, None))
        };
        let given = |key: &str| asked.get(key).filter(|value| !value.is_empty());
        let limit = match given("limit").map(|value| (value, value.parse::<usize>())) {
            None => PAGE,
            Some((_, Ok(limit))) if (1..=MAX_PAGE).contains(&limit) => limit,
            Some((value, _)) => return Err(bad("limit", value, &format!("1 to {MAX_PAGE}"))),
        };
        let before = match given("before") {
            None => range::END,
            Some(value) => micros(value)
                .ok_or_else(|| bad("before", value, "a moment such as 2026-11-25T10:00:00Z"))?,
        };
        let mut parameters = texts.to_vec();
        parameters.push(("before", Parameter::Timestamp(before)));
        let sql = format!("{sql} LIMIT {}", limit + 1);
        let found = self.ask(&sql, &parameters, what).await;
        let found = found.map_err(|unanswered| Box::new(unanswered.into_response()))?;
        let names: Vec<&String> = found.columns.iter().map(|column| &column.name).collect();
        let object = |row: Vec<Value>| names.iter().map(|name| (*name).clone()).zip(row).collect();
        let mut rows: Vec<HashMap<String, Value>> = found.rows.into_iter().map(object).collect();
        let more = rows.len() > limit;
        rows.truncate(limit);
        Ok((rows, more))
    }
}
