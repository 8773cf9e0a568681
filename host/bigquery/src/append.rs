//! The rows of a stream: appended to the table's default stream, at least once, or to a stream of our
//! own with offsets, where a repeated append is told from a new one.
//!
//! An append is tried once here: whoever calls tries again. After a failure the connection is made anew,
//! since one that hangs never says so.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use backon::{ExponentialBuilder, Retryable};
use google_cloud_bigquery::error::{AppendError, WriterBuilderError};
use google_cloud_bigquery::model::ArrowRecordBatch;
use google_cloud_bigquery::write::format::Arrow;
use google_cloud_bigquery::write::{CommittedWriter, DefaultWriter};
use google_cloud_gax::error::rpc::Code;
use google_cloud_gax::retry_policy::NeverRetry;
use tokio::sync::Mutex;

use super::{BigQuery, BigQueryError, arrow_schema, encode, in_time};
use clickmill_config::TableName;
use clickmill_tables::{Refused, Rows};

/// How long an append may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often a few rows are tried, where nobody else tries again.
const TRIES: usize = 5;

/// Appends to one table.
#[derive(Clone)]
pub(crate) struct Append {
    bigquery: BigQuery,
    table: TableName,
    schema: SchemaRef,
    writer: Arc<Mutex<Writer>>,
}

enum Writer {
    /// The default stream, once it is open. Appends overlap.
    Default(Option<Arc<DefaultWriter<Arrow>>>),
    /// A stream of our own. Appends follow each other, so that offsets do.
    Own { stream: Option<String>, offset: i64, open: Option<CommittedWriter<Arrow>> },
}

/// What the table says of rows.
pub(super) enum Verdict {
    Taken,
    /// Nothing was taken; these rows are at fault, by number.
    Rows(Vec<(usize, String)>),
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
            Writer::Own { stream: None, offset: 0, open: None }
        } else {
            Writer::Default(None)
        };
        Self {
            bigquery: bigquery.clone(),
            table: table.clone(),
            schema,
            writer: Arc::new(Mutex::new(writer)),
        }
    }

    /// Appends rows; durable once it returns. Rows that are in the table, or that it refuses, are taken
    /// out of `rows` as this comes to be known: after a failure, the rest can be tried again.
    pub(crate) async fn append(
        &self,
        rows: &mut Rows,
        refused: &mut Vec<Refused>,
    ) -> Result<(), BigQueryError> {
        let failed = |source| BigQueryError::Encode { table: self.table.clone(), source };
        while rows.rows.num_rows() > 0 {
            let (count, bytes) = encode::first_piece(&rows.rows).map_err(failed)?;
            let verdict = match bytes {
                Some(bytes) => self.send(encode::message(bytes), count).await?,
                None => Verdict::Rows(vec![(0, too_large())]),
            };
            match verdict {
                Verdict::Taken => *rows = rows.part(count..rows.rows.num_rows()),
                Verdict::Rows(bad) => {
                    let before = rows.rows.num_rows();
                    refused.extend(rows.take_out(&bad).map_err(failed)?);
                    if rows.rows.num_rows() == before {
                        return Err(BigQueryError::Ended { what: self.what() });
                    }
                }
            }
        }
        Ok(())
    }

    /// Appends rows of which none may be refused.
    pub(crate) async fn append_whole(&self, rows: &RecordBatch) -> Result<(), BigQueryError> {
        let mut refused = Vec::new();
        self.append(&mut Rows::letters(rows.clone()), &mut refused).await?;
        if refused.is_empty() {
            return Ok(());
        }
        let misfits = refused.into_iter().map(|refused| refused.reason.message).collect();
        Err(BigQueryError::Misfit { table: self.table.clone(), misfits })
    }

    async fn send(&self, message: ArrowRecordBatch, rows: usize) -> Result<Verdict, BigQueryError> {
        let mut writer = self.writer.lock().await;
        match &mut *writer {
            Writer::Default(open) => {
                let current = match open {
                    Some(current) => current.clone(),
                    None => open.insert(Arc::new(self.open_default().await?)).clone(),
                };
                drop(writer);
                let sent = current.append(message).send().await;
                let verdict = verdict(sent.map(drop), &self.what());
                if verdict.is_err()
                    && let Writer::Default(open) = &mut *self.writer.lock().await
                    && open.as_ref().is_some_and(|open| Arc::ptr_eq(open, &current))
                {
                    *open = None;
                }
                verdict
            }
            Writer::Own { stream, offset, open } => {
                let current = match open.take() {
                    Some(current) => current,
                    None => self.open_own(stream, offset).await?,
                };
                let sent = current.append(message).set_offset(*offset).send();
                match in_time(PATIENCE, &self.what(), sent).await? {
                    // The answer to an earlier try was lost.
                    Err(AppendError::Rpc { source, .. })
                        if source.status().is_some_and(|s| s.code == Code::AlreadyExists) =>
                    {
                        *offset += rows as i64;
                        *open = Some(current);
                        Ok(Verdict::Taken)
                    }
                    // The server finalized the stream; everything acknowledged on it is committed.
                    Err(AppendError::Rpc { source, .. }) if is_over(&source) => {
                        tracing::warn!(error = %source, "the write stream has ended, going on with another");
                        *stream = None;
                        Err(BigQueryError::Ended { what: self.what() })
                    }
                    sent => {
                        let verdict = verdict(sent.map(drop), &self.what())?;
                        if let Verdict::Taken = verdict {
                            *offset += rows as i64;
                        }
                        *open = Some(current);
                        Ok(verdict)
                    }
                }
            }
        }
    }

    async fn open_default(&self) -> Result<DefaultWriter<Arrow>, BigQueryError> {
        let client = self.bigquery.write_client().await?;
        let writer = client
            .open_default_stream(self.bigquery.resource(&self.table))
            .with_retry_policy(NeverRetry)
            .with_attempt_timeout(PATIENCE);
        let opened = writer.build_arrow(arrow_schema(&self.table, &self.schema)?).await;
        opened.map_err(|error| opening(error, &self.what()))
    }

    async fn open_own(
        &self,
        stream: &mut Option<String>,
        offset: &mut i64,
    ) -> Result<CommittedWriter<Arrow>, BigQueryError> {
        let client = self.bigquery.write_client().await?;
        let schema = arrow_schema(&self.table, &self.schema)?;
        let opening_it = async {
            match stream {
                Some(name) => client.attach_to_stream(name.as_str()).build_arrow(schema).await,
                None => {
                    client
                        .create_stream(self.bigquery.resource(&self.table))
                        .build_arrow(schema)
                        .await
                }
            }
        };
        let opened: Result<CommittedWriter<Arrow>, _> =
            in_time(PATIENCE, &self.what(), opening_it).await?;
        match opened {
            Ok(writer) => {
                if stream.is_none() {
                    *stream = Some(writer.write_stream().to_owned());
                    *offset = 0;
                }
                Ok(writer)
            }
            Err(error) => {
                if let WriterBuilderError::Rpc { source, .. } = &error
                    && clickmill_google::is_not_found(source)
                {
                    *stream = None;
                }
                Err(opening(error, &self.what()))
            }
        }
    }

    fn what(&self) -> String {
        format!("append to `{}`", self.table)
    }
}

impl BigQuery {
    /// Appends a few rows, none of which may be refused, with a few tries.
    pub async fn enter_rows(
        &self,
        table: &TableName,
        rows: &RecordBatch,
    ) -> Result<(), BigQueryError> {
        let append = Append::new(self, table, rows.schema(), false);
        let patience = ExponentialBuilder::default().with_max_times(TRIES);
        let append = || append.append_whole(rows);
        append.retry(patience).when(BigQueryError::is_transient).await
    }
}

/// What a row too large for any request is told.
pub(super) fn too_large() -> String {
    format!("the row is larger than a request may be: limit {} bytes", encode::MAX_REQUEST_BYTES)
}

/// What an append's answer says.
pub(super) fn verdict(sent: Result<(), AppendError>, what: &str) -> Result<Verdict, BigQueryError> {
    match sent {
        Ok(()) => Ok(Verdict::Taken),
        Err(AppendError::RowErrors { row_errors, .. }) if !row_errors.is_empty() => {
            let rows = row_errors.into_iter();
            Ok(Verdict::Rows(
                rows.filter_map(|row| Some((usize::try_from(row.index).ok()?, row.message)))
                    .collect(),
            ))
        }
        Err(AppendError::Rpc { source, .. }) => {
            Err(BigQueryError::Service { what: what.to_owned(), source })
        }
        Err(_) => Err(BigQueryError::Ended { what: what.to_owned() }),
    }
}

pub(super) fn opening(error: WriterBuilderError, what: &str) -> BigQueryError {
    match error {
        WriterBuilderError::Rpc { source, .. } => {
            BigQueryError::Service { what: what.to_owned(), source }
        }
        _ => BigQueryError::Ended { what: what.to_owned() },
    }
}

/// Whether a stream of our own takes nothing any more: finalised, or gone.
fn is_over(error: &google_cloud_gax::error::Error) -> bool {
    error.status().is_some_and(|status| {
        matches!(status.code, Code::NotFound | Code::FailedPrecondition | Code::OutOfRange)
    })
}
