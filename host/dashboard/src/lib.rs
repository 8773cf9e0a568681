//! The dashboard: tiles over the warehouse or BigQuery, each of them a SQL file, and what readers of a
//! pipeline look up in its tables: dead letters and the audit log. It does not know a running pipeline;
//! the admin interface serves it, and adds what one tells.
//!
//! | request | answer |
//! |---|---|
//! | `GET /` and `/assets/…` | the page |
//! | `GET /v1/dashboard` | pages, filters with their values, tiles, and files that are no tiles |
//! | `GET /v1/dashboard/tiles/{name}?from&to&{filter}` | columns and rows |
//! | `GET /v1/dead-letters?pipeline&stage&code&text&after&limit` | dead letters, the newest first |
//! | `GET /v1/audit?pipeline&after&limit` | entries of the audit log, the newest first |

mod answers;
mod assets;
mod files;
pub mod fuzz;
mod letters;
mod range;
mod tile;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

use answers::{Answers, TooMany};
use clickmill_core::{Micros, causes};
use clickmill_query::ExecutableError;
use clickmill_sink::{SinkError, Tables};
use clickmill_tables::result_set::{Bounds, Column, Question, ResultSet};
use clickmill_tables::views;
pub use files::Folder;
use range::Range;
use tile::{Filter, Problem, Tile};

/// The longest that a reader waits for an answer, its turn included.
const PATIENCE: Duration = Duration::from_secs(60);
/// How much of that a tile waits for what is covered. Without it, it is answered all the same.
const COVERED_PATIENCE: Duration = Duration::from_secs(15);
/// How long the values of a filter are known: each time all days are read for them.
const KNOWN_FOR: Duration = Duration::from_secs(300);
/// The most rows that a tile shows.
const MAX_ROWS: usize = 5000;
/// The most characters of a value that a tile shows: whoever sends events may make them long.
const MAX_CHARS: usize = 1000;
/// The most characters of a value to choose from.
const MAX_CHOICE_CHARS: usize = 200;

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
    /// How often the page asks for new numbers. Each time costs a query per tile, and one for the page.
    pub refresh: Duration,
    /// Whether readers see the payload of dead letters.
    pub reveals_payload: bool,
}

struct Served {
    dashboard: Dashboard,
    answers: Answers,
}

/// The page itself, which holds no data: it needs no token.
pub fn page() -> Router {
    Router::new().route("/", get(assets::index)).route("/assets/{name}", get(assets::asset))
}

/// What the page asks for.
pub fn router(dashboard: Dashboard) -> Router {
    let served = Served { dashboard, answers: Answers::new() };
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

/// A page of tiles, which are about one table.
#[derive(Serialize)]
struct Page {
    name: &'static str,
    title: &'static str,
    #[serde(skip)]
    table: &'static str,
    /// Whether rows have a time, or a day only.
    #[serde(skip)]
    has_times: bool,
}

const PAGES: [Page; 3] = [
    Page { name: "stream", title: "Live events", table: "clicks_raw", has_times: true },
    Page { name: "batch", title: "Shop sessions", table: "clickstream_batch", has_times: false },
    Page { name: "events", title: "Shop events", table: "shop_events_raw", has_times: true },
];

impl Page {
    /// Asks from when to when the table has rows of a range.
    fn extent(&self) -> String {
        let (first, last, within) = if self.has_times {
            let within = "AND event_timestamp >= @from AND event_timestamp < @to";
            ("MIN(event_timestamp)", "MAX(event_timestamp)", within)
        } else {
            ("TIMESTAMP(MIN(event_date))", "TIMESTAMP(MAX(event_date))", "")
        };
        format!(
            "SELECT UNIX_MICROS({first}), UNIX_MICROS({last}) FROM clickstream_analytics.{} \
             WHERE event_date BETWEEN DATE(@from) AND DATE(@to) {within}",
            self.table
        )
    }
}

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
struct TileAnswer<'a> {
    columns: &'a [Column],
    rows: &'a [Vec<serde_json::Value>],
    /// Whether there are more rows than are shown.
    cut: bool,
    /// How wide a bucket of time is, in seconds. Those without rows are not among `rows`.
    #[serde(skip_serializing_if = "Option::is_none")]
    bucket_secs: Option<i64>,
    /// Where it has buckets: from when to when the page's table has rows of the range, whatever the
    /// filters. There a bucket without rows is zero; before and after, nothing is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    covered: Option<[String; 2]>,
    took_ms: u64,
}

async fn tile(
    State(served): State<Arc<Served>>,
    Path(name): Path<String>,
    Query(asked): Query<HashMap<String, String>>,
) -> Response {
    let Some(tile) = served.dashboard.folder.tile(&name) else {
        return no(StatusCode::NOT_FOUND, format!("there is no tile `{name}`"), false);
    };
    let range = match Range::parse(&asked) {
        Ok(range) => range,
        Err(error) => return no(StatusCode::BAD_REQUEST, error.to_string(), false),
    };
    let began = Instant::now();
    let has_buckets =
        tile.bucket_secs.is_some() || tile.parameters.iter().any(|name| name == range::BUCKET);
    let extent = if has_buckets { served.extent(&tile.page, &range).await } else { None };
    let covered = extent.map(|(first, last)| [first.to_string(), last.to_string()]);
    let parameters = range.parameters(&tile.parameters, &asked, Micros::now(), extent);
    let bucket_secs = range::bucket(&parameters).or(tile.bucket_secs);
    let life = served.tile_life();
    let question = Question {
        sql: &tile.sql,
        parameters: &parameters,
        bounds: Bounds { rows: MAX_ROWS + 1, chars: MAX_CHARS },
        what: "ask for a tile",
    };
    match served.lately(question, life).await {
        Ok(found) => {
            let cut = found.rows.len() > MAX_ROWS;
            let rows = &found.rows[..found.rows.len().min(MAX_ROWS)];
            let took_ms = began.elapsed().as_millis() as u64;
            let columns = &found.columns;
            Json(TileAnswer { columns, rows, cut, bucket_secs, covered, took_ms }).into_response()
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
    #[error(transparent)]
    TooMany(#[from] TooMany),
}

impl IntoResponse for Unanswered {
    fn into_response(self) -> Response {
        let missing = matches!(&self, Self::Sink(error) if error.is_of_missing_table());
        let status = match self {
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Sink(_) | Self::TooLong | Self::Engine(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        no(status, causes(&self), missing)
    }
}

impl Served {
    /// How long a tile's answer is shown to whoever asks the same: less than a page waits before it asks
    /// again.
    fn tile_life(&self) -> Duration {
        self.dashboard.refresh / 2
    }

    /// Asks, in turn.
    async fn ask(&self, question: Question<'_>) -> Result<ResultSet, Unanswered> {
        let sql = self.in_place(question.sql)?;
        in_time(self.answers.in_turn(self.look(Question { sql: &sql, ..question }))).await
    }

    /// Asks, in turn, unless the same was asked lately: what the moment is makes no other question.
    async fn lately(
        &self,
        question: Question<'_>,
        life: Duration,
    ) -> Result<Arc<ResultSet>, Unanswered> {
        let sql = self.in_place(question.sql)?;
        let lasting = question.parameters.iter().filter(|(name, _)| *name != range::NOW);
        let most = question.bounds;
        let known_by = format!("{most:?} of {sql}, {:?}", lasting.collect::<Vec<_>>());
        let asked = self.look(Question { sql: &sql, ..question });
        in_time(self.answers.kept(known_by, life, asked)).await
    }

    /// The text for our tables, where somebody is there who answers.
    fn in_place(&self, sql: &str) -> Result<String, Unanswered> {
        if self.dashboard.tables.asks_sql_engine() {
            clickmill_query::without_waiting()?;
        }
        Ok(views::in_place(sql, &self.dashboard.dataset))
    }

    async fn look(&self, question: Question<'_>) -> Result<ResultSet, Unanswered> {
        Ok(self.dashboard.tables.look(question).await?)
    }

    /// The values of a filter, but for those that are too long to choose from. Where the table is not there
    /// yet, nor are they.
    async fn values(&self, sql: &str) -> Vec<serde_json::Value> {
        let what = "list the values of a filter";
        let bounds = Bounds { rows: MAX_ROWS, chars: MAX_CHOICE_CHARS + 1 };
        let question = Question { sql, parameters: &[], bounds, what };
        let Ok(found) = self.lately(question, KNOWN_FOR).await else {
            return Vec::new();
        };
        let is_short = |value: &&serde_json::Value| {
            value.as_str().is_none_or(|text| text.chars().count() <= MAX_CHOICE_CHARS)
        };
        found.rows.iter().filter_map(|row| row.first().filter(is_short).cloned()).collect()
    }

    /// From when to when the table of a page has rows of a range.
    async fn extent(&self, page: &str, range: &Range) -> Option<(Micros, Micros)> {
        let page = PAGES.iter().find(|known| known.name == page)?;
        let names = ["from", "to"].map(str::to_owned);
        let parameters = &range.parameters(&names, &HashMap::new(), Micros::now(), None);
        let what = "look from when to when there are rows";
        let bounds = Bounds { rows: 1, chars: MAX_CHARS };
        let sql = &page.extent();
        let question = Question { sql, parameters, bounds, what };
        let asked = self.lately(question, self.tile_life());
        let found = tokio::time::timeout(COVERED_PATIENCE, asked).await.ok()?.ok()?;
        let row = found.rows.first()?;
        let moment = |at: usize| Some(Micros::from(row.get(at)?.as_i64()?));
        Some((moment(0)?, moment(1)?))
    }
}

async fn in_time<T>(asked: impl Future<Output = Result<T, Unanswered>>) -> Result<T, Unanswered> {
    tokio::time::timeout(PATIENCE, asked).await.map_err(|_| Unanswered::TooLong)?
}

/// Why there is no answer; where a table is not there, which is no fault before the first run, a word for it.
fn no(status: StatusCode, error: String, missing_table: bool) -> Response {
    #[derive(Serialize)]
    struct No {
        error: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<&'static str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<&'static str>,
    }
    let code = missing_table.then_some("missing_table");
    let hint = missing_table.then_some("the table is made by the first run of its pipeline");
    (status, Json(No { error, code, hint })).into_response()
}
