//! The rows of a stream: appended to the table's default stream, at least once, or to a stream of our
//! own with offsets, where a repeated append is told from a new one.
//!
//! An append is tried once here: whoever calls tries again. After a failure the connection is made anew,
//! since one that hangs never says so.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use google_cloud_bigquery::write::DefaultWriter;
use google_cloud_bigquery::write::format::Arrow;
use google_cloud_gax::retry_policy::NeverRetry;
use tokio::sync::Mutex;

use super::answer::{Sent, Verdict, opening, too_large, verdict};
use super::error::BigQueryError;
use super::exactly_once::OwnStream;
use super::patience::{Outages, Patience};
use super::{BigQuery, arrow_schema, encode};
use clickmill_config::TableName;
use clickmill_tables::{Refused, Rows};

/// How long an append may take.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Appends of a stream at once: enough to hide the network; more hold more rows in memory.
const APPENDS_AT_ONCE: usize = 4;

/// Appends to one table.
#[derive(Clone)]
pub(crate) struct Append {
    bigquery: BigQuery,
    table: TableName,
    schema: SchemaRef,
    exactly_once: bool,
    writer: Arc<Mutex<Writer>>,
    patience: Arc<Patience>,
}

enum Writer {
    /// The default stream, once it is open. Appends overlap.
    Default(Option<Arc<DefaultWriter<Arrow>>>),
    /// A stream of our own. Appends follow each other, so that offsets do.
    Own(Box<OwnStream>),
}

impl Append {
    /// An appender. Nothing is opened yet.
    pub(crate) fn new(
        bigquery: &BigQuery,
        table: &TableName,
        schema: SchemaRef,
        exactly_once: bool,
    ) -> Self {
        let writer = if exactly_once {
            Writer::Own(Box::new(OwnStream::new(bigquery, table, schema.clone())))
        } else {
            Writer::Default(None)
        };
        Self {
            bigquery: bigquery.clone(),
            table: table.clone(),
            patience: Arc::new(Patience::new(bigquery, table, Some(&schema))),
            schema,
            exactly_once,
            writer: Arc::new(Mutex::new(writer)),
        }
    }

    /// How many appends may be on their way at once. With offsets it is one: what is not answered comes
    /// again before anything else does.
    pub(crate) fn at_once(&self) -> usize {
        if self.exactly_once { 1 } else { APPENDS_AT_ONCE }
    }

    /// Appends rows; durable once it returns. Rows that are in the table, or that it refuses, are taken
    /// out of `rows` as this comes to be known: after a failure, the rest can be tried again.
    pub(crate) async fn append(
        &self,
        rows: &mut Rows,
        refused: &mut Vec<Refused>,
    ) -> Result<(), BigQueryError> {
        let failed = |source| BigQueryError::Encode { table: self.table.clone(), source };
        let mut most = usize::MAX;
        while rows.rows.num_rows() > 0 {
            let Sent { rows: count, verdict } = match self.send(&rows.rows, most).await {
                Ok(sent) => sent,
                Err(error) => return Err(self.patience.judge(error).await),
            };
            self.patience.pass();
            let bad = match verdict {
                Verdict::Taken => {
                    *rows = rows.part(count..rows.rows.num_rows());
                    continue;
                }
                Verdict::TooLarge if count > 1 => {
                    most = count / 2;
                    continue;
                }
                Verdict::TooLarge => vec![(0, too_large())],
                Verdict::Rows(bad) => bad,
            };
            let before = rows.rows.num_rows();
            refused.extend(rows.take_out(&bad).map_err(failed)?);
            if rows.rows.num_rows() == before {
                return Err(BigQueryError::Ended { what: self.what() });
            }
        }
        Ok(())
    }

    /// Appends rows of which none may be refused.
    async fn append_whole(&self, rows: &RecordBatch) -> Result<(), BigQueryError> {
        let mut refused = Vec::new();
        self.append(&mut Rows::letters(rows.clone()), &mut refused).await?;
        if refused.is_empty() {
            return Ok(());
        }
        let misfits = refused.into_iter().map(|refused| refused.reason.message).collect();
        Err(BigQueryError::Misfit { table: self.table.clone(), misfits })
    }

    /// Sends the first of `rows`, at most `most` of them.
    async fn send(&self, rows: &RecordBatch, most: usize) -> Result<Sent, BigQueryError> {
        let mut writer = self.writer.lock().await;
        let open = match &mut *writer {
            Writer::Own(stream) => return stream.send(rows, most, TIMEOUT).await,
            Writer::Default(open) => open,
        };
        let failed = |source| BigQueryError::Encode { table: self.table.clone(), source };
        let (count, bytes) = encode::first_piece(rows, most).map_err(failed)?;
        let Some(bytes) = bytes else {
            return Ok(Sent { rows: count, verdict: Verdict::TooLarge });
        };
        let current = match open {
            Some(current) => current.clone(),
            None => open.insert(Arc::new(self.open_default().await?)).clone(),
        };
        drop(writer);
        let sent = current.append(encode::message(bytes)).send().await;
        let verdict = verdict(sent.map(drop), &self.what());
        if let Err(error) = &verdict
            && let Writer::Default(open) = &mut *self.writer.lock().await
            && open.as_ref().is_some_and(|open| Arc::ptr_eq(open, &current))
        {
            *open = None;
            self.bigquery.forget_write_client(error);
        }
        Ok(Sent { rows: count, verdict: verdict? })
    }

    async fn open_default(&self) -> Result<DefaultWriter<Arrow>, BigQueryError> {
        let client = self.bigquery.write_client().await?;
        let writer = client
            .open_default_stream(self.bigquery.resource(&self.table))
            .with_retry_policy(NeverRetry)
            .with_attempt_timeout(TIMEOUT);
        let opened = writer.build_arrow(arrow_schema(&self.table, &self.schema)?).await;
        opened.map_err(|error| opening(error, &self.what()))
    }

    fn what(&self) -> String {
        format!("append to `{}`", self.table)
    }
}

impl BigQuery {
    /// Appends a few rows, none of which may be refused, and waits for what passes: an outage too.
    pub async fn enter_rows(
        &self,
        table: &TableName,
        rows: &RecordBatch,
    ) -> Result<(), BigQueryError> {
        let append = Append::new(self, table, rows.schema(), false);
        let patience = append.patience.clone();
        patience.until_done(Outages::Wait, || append.append_whole(rows)).await
    }
}
