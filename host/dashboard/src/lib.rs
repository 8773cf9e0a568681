//! The dashboard: tiles over the warehouse or BigQuery, each of them a SQL file, and what readers of a
//! pipeline look up in its tables: dead letters and the audit log. It does not know a running pipeline;
//! the admin interface serves it, and adds what one tells.
//!
//! | request | answer |
//! |---|---|
//! | `GET /` and `/assets/…` | the page |
//! | `GET /v1/dashboard` | pages, filters with their values, tiles, and files that are no tiles |
//! | `GET /v1/dashboard/tiles/{name}?from&to&{filter}` | columns and rows |
//! | `GET /v1/dead-letters?stage&code&text&after&limit` | dead letters, the newest first |
//! | `GET /v1/audit?after&limit` | entries of the audit log, the newest first |

mod assets;
mod files;
mod letters;
mod range;
mod tile;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use tokio::sync::Semaphore;

use clickmill_core::{Micros, causes, lock};
use clickmill_query::ExecutableError;
use clickmill_sink::{SinkError, Tables};
use clickmill_tables::result_set::{Column, Parameter, ResultSet};
use clickmill_tables::views;
pub use files::Folder;
use range::Range;
use tile::{Filter, Problem, Tile};

/// Queries at once: they use all cores, and the pipeline wants some of them.
const QUERIES_AT_ONCE: usize = 2;
/// The longest that a reader waits for a tile.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the values of a filter are known: each time all days are read for them.
const KNOWN_FOR: Duration = Duration::from_secs(300);
/// The most rows that a tile shows.
const MAX_ROWS: usize = 5000;

/// What the dashboard is over.
pub struct Dashboard {
    /// Where the tables are.
    pub tables: Tables,
    /// The dataset, which stands for `clickstream_analytics` in the tiles' text.
    pub dataset: String,
    /// How the page names where the tables are.
    pub over: String,
    /// The pipeline that runs in this process.
    pub pipeline: Option<String>,
    /// Where the tiles are.
    pub folder: Folder,
    /// How often the page asks for new numbers. Each time costs a query per tile.
    pub refresh: Duration,
    /// Whether readers see the payload of dead letters.
    pub reveals_payload: bool,
}

struct Served {
    dashboard: Dashboard,
    queries: Semaphore,
    /// The values of filters, by the text of their query, and when they were asked for.
    values: Mutex<HashMap<String, (Instant, Vec<serde_json::Value>)>>,
}

/// The page itself, which holds no data: it needs no token.
pub fn page() -> Router {
    Router::new().route("/", get(assets::index)).route("/assets/{name}", get(assets::asset))
}

/// What the page asks for.
pub fn router(dashboard: Dashboard) -> Router {
    let queries = Semaphore::new(QUERIES_AT_ONCE);
    let served = Served { dashboard, queries, values: Mutex::default() };
    Router::new()
        .route("/v1/dashboard", get(describe))
        .route("/v1/dashboard/tiles/{name}", get(tile))
        .route("/v1/dead-letters", get(letters::list))
        .route("/v1/audit", get(letters::audit))
        .with_state(Arc::new(served))
}

#[derive(Serialize)]
struct Description<'a> {
    /// The pipeline that runs in this process.
    name: Option<&'a str>,
    over: &'a str,
    refresh_secs: f64,
    pages: Vec<Page>,
    filters: Vec<Choice>,
    tiles: Vec<Tile>,
    problems: Vec<Problem>,
}

#[derive(Serialize)]
struct Page {
    name: &'static str,
    title: &'static str,
}

const PAGES: [Page; 2] =
    [Page { name: "stream", title: "Live events" }, Page { name: "batch", title: "Shop sessions" }];

/// A filter, with the values to choose from.
#[derive(Serialize)]
struct Choice {
    #[serde(flatten)]
    filter: Filter,
    values: Vec<serde_json::Value>,
}

async fn describe(State(served): State<Arc<Served>>) -> Response {
    let dashboard = &served.dashboard;
    let read = dashboard.folder.read();
    let mut filters = Vec::new();
    for filter in read.filters {
        let values = served.values(&filter.sql).await;
        filters.push(Choice { filter, values });
    }
    Json(Description {
        name: dashboard.pipeline.as_deref(),
        over: &dashboard.over,
        refresh_secs: dashboard.refresh.as_secs_f64(),
        pages: PAGES.into(),
        filters,
        tiles: read.tiles,
        problems: read.problems,
    })
    .into_response()
}

#[derive(Serialize)]
struct TileAnswer {
    columns: Vec<Column>,
    rows: Vec<Vec<serde_json::Value>>,
    /// Whether there are more rows than are shown.
    cut: bool,
    took_ms: u64,
}

async fn tile(
    State(served): State<Arc<Served>>,
    Path(name): Path<String>,
    Query(asked): Query<HashMap<String, String>>,
) -> Response {
    let Some(tile) = served.dashboard.folder.tile(&name) else {
        return no(StatusCode::NOT_FOUND, format!("there is no tile `{name}`"), None);
    };
    let range = match Range::parse(&asked) {
        Ok(range) => range,
        Err(error) => return no(StatusCode::BAD_REQUEST, error.to_string(), None),
    };
    let began = Instant::now();
    let extent = if tile.parameters.iter().any(|name| name == range::BUCKET) && range.is_open() {
        served.extent().await
    } else {
        None
    };
    let parameters = range.parameters(&tile.parameters, &asked, Micros::now(), extent);
    match served.ask(&tile.sql, &parameters, "ask for a tile").await {
        Ok(ResultSet { columns, mut rows }) => {
            let cut = rows.len() > MAX_ROWS;
            rows.truncate(MAX_ROWS);
            let took_ms = began.elapsed().as_millis() as u64;
            Json(TileAnswer { columns, rows, cut, took_ms }).into_response()
        }
        Err(unanswered) => unanswered.into_response(),
    }
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
enum Unanswered {
    #[error(transparent)]
    Sink(#[from] SinkError),
    #[error("no answer within {} s: choose a shorter range", PATIENCE.as_secs())]
    TooLong,
    #[error(transparent)]
    Engine(#[from] ExecutableError),
}

impl IntoResponse for Unanswered {
    fn into_response(self) -> Response {
        let missing = matches!(&self, Self::Sink(error) if error.is_of_missing_table());
        let hint = missing.then(|| "the table is made by the first run of its pipeline".to_owned());
        no(StatusCode::SERVICE_UNAVAILABLE, causes(&self), hint)
    }
}

impl Served {
    async fn ask(
        &self,
        sql: &str,
        parameters: &[(&str, Parameter)],
        what: &str,
    ) -> Result<ResultSet, Unanswered> {
        if self.dashboard.tables.asks_sql_engine() {
            clickmill_query::without_waiting()?;
        }
        let sql = views::in_place(sql, &self.dashboard.dataset);
        // Never closed.
        let _turn = self.queries.acquire().await;
        let asked = self.dashboard.tables.query(&sql, parameters, what);
        let answer = tokio::time::timeout(PATIENCE, asked).await;
        Ok(answer.map_err(|_| Unanswered::TooLong)??)
    }

    /// The values of a filter. Where the table is not there yet, nor are they.
    async fn values(&self, sql: &str) -> Vec<serde_json::Value> {
        let known = || lock(&self.values);
        if let Some((asked, values)) = known().get(sql)
            && asked.elapsed() < KNOWN_FOR
        {
            return values.clone();
        }
        let Ok(found) = self.ask(sql, &[], "list the values of a filter").await else {
            return Vec::new();
        };
        let values: Vec<_> = found.rows.into_iter().filter_map(|r| r.into_iter().next()).collect();
        known().insert(sql.to_owned(), (Instant::now(), values.clone()));
        values
    }

    /// From when to when there are events, for ranges that have no ends of their own.
    async fn extent(&self) -> Option<(Micros, Micros)> {
        let found = self.ask(range::EXTENT, &[], "look from when to when there are events").await;
        let row = found.ok()?.rows.into_iter().next()?;
        let moment = |at: usize| Some(Micros::from(row.get(at)?.as_i64()?));
        Some((moment(0)?, moment(1)?))
    }
}

fn no(status: StatusCode, error: String, hint: Option<String>) -> Response {
    #[derive(Serialize)]
    struct No {
        error: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
    }
    (status, Json(No { error, hint })).into_response()
}
