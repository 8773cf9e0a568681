//! The rows and dead letters of one input object: a pending stream each, of which nothing is seen until
//! it is committed. Appends overlap; a refused row is taken out and what follows it is sent again.

use std::collections::VecDeque;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use google_cloud_bigquery::error::AppendError;
use google_cloud_bigquery::write::format::Arrow;
use google_cloud_bigquery::write::{AppendFuture, PendingWriter};
use google_cloud_gax::error::rpc::Code;

use super::append::{Verdict, opening, too_large, verdict};
use super::{BigQuery, BigQueryError, arrow_schema, encode, in_time, waits};
use clickmill_config::TableName;
use clickmill_tables::{Refused, Rows};

/// Appends that are on their way at once: enough to hide the network.
const ON_THE_WAY: usize = 8;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often the same rows are sent again before the load is given up.
const RETRIES: usize = 5;

/// One table's part of a load.
pub struct Load {
    bigquery: BigQuery,
    table: TableName,
    schema: SchemaRef,
    /// Opened with the first row.
    writer: Option<PendingWriter<Arrow>>,
    /// Where the next rows go.
    offset: i64,
    on_the_way: VecDeque<OnTheWay>,
    refused: Vec<Refused>,
}

struct OnTheWay {
    offset: i64,
    rows: Rows,
    answer: AppendFuture,
}

impl Load {
    /// Begins a load. Nothing is opened yet.
    pub fn begin(bigquery: &BigQuery, table: &TableName, schema: SchemaRef) -> Self {
        Self {
            bigquery: bigquery.clone(),
            table: table.clone(),
            schema,
            writer: None,
            offset: 0,
            on_the_way: VecDeque::new(),
            refused: Vec::new(),
        }
    }

    /// Adds rows. They are in the stream once [`Load::settle`] returns.
    pub async fn write(&mut self, rows: Rows) -> Result<(), BigQueryError> {
        while self.on_the_way.len() >= ON_THE_WAY {
            self.settle_first().await?;
        }
        self.send(rows).await
    }

    /// Waits until all rows are in the stream or refused, and returns the refused ones.
    pub async fn settle(&mut self) -> Result<Vec<Refused>, BigQueryError> {
        while !self.on_the_way.is_empty() {
            self.settle_first().await?;
        }
        Ok(std::mem::take(&mut self.refused))
    }

    /// Ends the stream and returns its name; `None` where it has no rows.
    pub async fn finish(&mut self) -> Result<Option<String>, BigQueryError> {
        let Some(writer) = &self.writer else { return Ok(None) };
        let what = format!("finalize the stream of `{}`", self.table);
        let finalized = in_time(PATIENCE, &what, writer.finalize()).await?;
        finalized.map_err(|source| BigQueryError::Service { what, source })?;
        Ok(Some(writer.write_stream().to_owned()))
    }

    async fn send(&mut self, mut rows: Rows) -> Result<(), BigQueryError> {
        let failed = |source| BigQueryError::Encode { table: self.table.clone(), source };
        while rows.rows.num_rows() > 0 {
            let (count, bytes) = encode::first_piece(&rows.rows).map_err(failed)?;
            let Some(bytes) = bytes else {
                self.refused.extend(rows.take_out(&[(0, too_large())]).map_err(failed)?);
                continue;
            };
            if self.writer.is_none() {
                self.writer = Some(self.open().await?);
            }
            let Some(writer) = &self.writer else { continue };
            let answer = writer.append(encode::message(bytes)).set_offset(self.offset).send();
            let part = rows.part(0..count);
            self.on_the_way.push_back(OnTheWay { offset: self.offset, rows: part, answer });
            self.offset += count as i64;
            rows = rows.part(count..rows.rows.num_rows());
        }
        Ok(())
    }

    /// Waits for the answer to the first append on its way. If it was not taken, neither was any after
    /// it: all are sent again, without the rows at fault.
    async fn settle_first(&mut self) -> Result<(), BigQueryError> {
        let what = format!("append to `{}`", self.table);
        let mut waits = waits(RETRIES);
        loop {
            let Some(mut first) = self.on_the_way.pop_front() else { return Ok(()) };
            let answer = match tokio::time::timeout(PATIENCE, &mut first.answer).await {
                Ok(answer) => answer.map(drop),
                Err(_) => Err(AppendError::UnexpectedEndOfStream),
            };
            let verdict = match verdict(answer, &what) {
                // The answer to an earlier try was lost.
                Err(BigQueryError::Service { source, .. })
                    if source.status().is_some_and(|s| s.code == Code::AlreadyExists) =>
                {
                    Ok(Verdict::Taken)
                }
                verdict => verdict,
            };
            let mut again = vec![first.rows];
            match verdict {
                Ok(Verdict::Taken) => return Ok(()),
                Ok(Verdict::Rows(bad)) => {
                    let failed =
                        |source| BigQueryError::Encode { table: self.table.clone(), source };
                    let before = again[0].rows.num_rows();
                    let refused = again[0].take_out(&bad).map_err(failed)?;
                    if again[0].rows.num_rows() == before {
                        return Err(BigQueryError::Ended { what });
                    }
                    self.refused.extend(refused);
                }
                Err(error) => {
                    let wait = waits.next().filter(|_| error.is_transient());
                    let Some(wait) = wait else { return Err(error) };
                    tracing::warn!(%error, ?wait, "an append failed and is sent again");
                    tokio::time::sleep(wait).await;
                    self.reopen().await?;
                }
            }
            self.offset = first.offset;
            again.extend(self.on_the_way.drain(..).map(|later| later.rows));
            for rows in again {
                self.send(rows).await?;
            }
        }
    }

    async fn open(&self) -> Result<PendingWriter<Arrow>, BigQueryError> {
        let client = self.bigquery.write_client().await?;
        let schema = arrow_schema(&self.table, &self.schema)?;
        let what = format!("open a stream to `{}`", self.table);
        let stream = client.create_stream(self.bigquery.resource(&self.table));
        let opened = in_time(PATIENCE, &what, stream.build_arrow(schema)).await?;
        opened.map_err(|error| opening(error, &what))
    }

    /// The same stream over a new connection.
    async fn reopen(&mut self) -> Result<(), BigQueryError> {
        if let Some(writer) = self.writer.take() {
            let client = self.bigquery.write_client().await?;
            let what = format!("open the stream to `{}` again", self.table);
            let attached = client.attach_to_stream(writer.write_stream());
            let schema = arrow_schema(&self.table, &self.schema)?;
            let attached = in_time(PATIENCE, &what, attached.build_arrow(schema)).await?;
            self.writer = Some(attached.map_err(|error| opening(error, &what))?);
        }
        Ok(())
    }
}
