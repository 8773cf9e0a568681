//! The rows and dead letters of one input object: a pending stream each, of which nothing is seen until
//! it is committed. Appends overlap; a refused row is taken out and what follows it is sent again. What
//! passes by itself is waited for, as is an outage.

mod moved;

use std::collections::VecDeque;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use google_cloud_bigquery::error::{AppendError, WriterBuilderError};
use google_cloud_bigquery::write::format::Arrow;
use google_cloud_bigquery::write::{AppendFuture, PendingWriter};
use google_cloud_gax::error::rpc::Code;

use super::answer::{Verdict, has_code, is_over, opening, too_large, verdict};
use super::error::{BigQueryError, in_time};
use super::patience::{Backoff, Patience};
use super::{BigQuery, arrow_schema, encode};
use clickmill_config::TableName;
use clickmill_core::causes;
use clickmill_tables::{Refused, Rows};
use moved::Moved;

/// Appends that are on their way at once: enough to hide the network.
const ON_THE_WAY: usize = 8;
/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// One table's part of a load.
pub(super) struct Load {
    bigquery: BigQuery,
    table: TableName,
    schema: SchemaRef,
    patience: Patience,
    /// Opened with the first row.
    writer: Option<PendingWriter<Arrow>>,
    /// Where the next rows go.
    offset: i64,
    /// The most rows of a request.
    most: usize,
    on_the_way: VecDeque<OnTheWay>,
    refused: Vec<Refused>,
    moved: Moved,
}

struct OnTheWay {
    offset: i64,
    rows: Rows,
    answer: AppendFuture,
}

impl Load {
    /// Begins a load. Nothing is opened yet.
    pub(super) fn begin(bigquery: &BigQuery, table: &TableName, schema: SchemaRef) -> Self {
        Self {
            bigquery: bigquery.clone(),
            table: table.clone(),
            patience: Patience::new(bigquery, table, Some(&schema)),
            schema,
            writer: None,
            offset: 0,
            most: usize::MAX,
            on_the_way: VecDeque::new(),
            refused: Vec::new(),
            moved: Moved::default(),
        }
    }

    /// Where its rows go.
    pub(super) fn table(&self) -> &TableName {
        &self.table
    }

    /// How many rows its stream has, once all are settled.
    pub(super) fn rows(&self) -> i64 {
        self.offset
    }

    /// Adds rows. They are in the stream once [`Load::settle`] returns.
    pub(super) async fn write(&mut self, rows: Rows) -> Result<(), BigQueryError> {
        while self.on_the_way.len() >= ON_THE_WAY {
            self.settle_first().await?;
        }
        self.send(rows).await
    }

    /// Waits until all rows are in the stream or refused, and returns the refused ones.
    pub(super) async fn settle(&mut self) -> Result<Vec<Refused>, BigQueryError> {
        while !self.on_the_way.is_empty() {
            self.settle_first().await?;
        }
        Ok(std::mem::take(&mut self.refused))
    }

    /// Ends the stream and returns its name; `None` where it has no rows.
    pub(super) async fn finish(&mut self) -> Result<Option<String>, BigQueryError> {
        let what = format!("finalize the stream of `{}`", self.table);
        let mut backoff = Backoff::default();
        loop {
            let Some(writer) = self.writer.as_ref().filter(|_| self.offset > 0) else {
                return Ok(None);
            };
            let error = match in_time(TIMEOUT, &what, writer.finalize()).await {
                Ok(Ok(finalized)) if finalized.row_count == self.offset => {
                    self.patience.pass();
                    return Ok(Some(writer.write_stream().to_owned()));
                }
                Ok(Ok(finalized)) => {
                    tracing::error!(
                        table = %self.table, wanted = self.offset, found = finalized.row_count,
                        "the stream of a load does not have the rows that were sent to it"
                    );
                    return Err(self.gone());
                }
                Ok(Err(source)) if is_over(&source) => return Err(self.gone()),
                Ok(Err(source)) => BigQueryError::service(&what, source),
                Err(no_answer) => no_answer,
            };
            self.wait_after(error, &mut backoff).await?;
            self.reopen(&mut backoff).await?;
        }
    }

    async fn send(&mut self, mut rows: Rows) -> Result<(), BigQueryError> {
        let failed = |source| BigQueryError::Encode { table: self.table.clone(), source };
        while rows.rows.num_rows() > 0 {
            let (count, bytes) = encode::first_piece(&rows.rows, self.most).map_err(failed)?;
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
        let mut backoff = Backoff::default();
        loop {
            let Some(mut first) = self.on_the_way.pop_front() else { return Ok(()) };
            let answer = match tokio::time::timeout(TIMEOUT, &mut first.answer).await {
                Ok(answer) => answer.map(drop),
                Err(_) => Err(AppendError::UnexpectedEndOfStream),
            };
            let (mut bad, mut error, mut ended) = (Vec::new(), None, false);
            match verdict(answer, &what) {
                Ok(Verdict::Taken) => {
                    self.moved.answered();
                    self.patience.pass();
                    return Ok(());
                }
                // The answer to an earlier try was lost: nobody else writes to the stream, and rows at an
                // offset are always the same, unless they have moved since that try.
                Err(BigQueryError::Service { source, .. })
                    if has_code(&source, &[Code::AlreadyExists]) =>
                {
                    if self.moved.is_in_doubt(first.offset) {
                        tracing::error!(
                            table = %self.table, offset = first.offset,
                            "the stream of a load may have rows that were sent before others were refused"
                        );
                        return Err(self.gone());
                    }
                    self.moved.answered();
                    return Ok(());
                }
                Ok(Verdict::TooLarge) => {
                    // Where what carries it there has said so, the connection is gone.
                    ended = true;
                    match first.rows.rows.num_rows() {
                        1 => bad.push((0, too_large())),
                        rows => self.most = rows / 2,
                    }
                }
                Ok(Verdict::Rows(rows)) => bad = rows,
                Err(failure) => error = Some(failure),
            }
            if !bad.is_empty() {
                self.refuse(&mut first.rows, &bad, &what)?;
                self.moved.refused(self.offset);
            }
            let end = std::mem::replace(&mut self.offset, first.offset);
            let mut again = vec![first.rows];
            again.extend(self.on_the_way.drain(..).map(|later| later.rows));
            match error {
                Some(BigQueryError::Service { source, .. }) if is_over(&source) => {
                    self.open_another()?;
                }
                Some(error) => {
                    self.moved.given_up(end);
                    self.wait_after(error, &mut backoff).await?;
                    self.reopen(&mut backoff).await?;
                }
                None if ended => {
                    self.moved.given_up(end);
                    self.reopen(&mut backoff).await?;
                }
                None => {}
            }
            for rows in again {
                self.send(rows).await?;
            }
        }
    }

    /// Takes rows out that are at fault, by number.
    fn refuse(
        &mut self,
        rows: &mut Rows,
        bad: &[(usize, String)],
        what: &str,
    ) -> Result<(), BigQueryError> {
        let before = rows.rows.num_rows();
        let refused = rows.take_out(bad);
        let refused = refused
            .map_err(|source| BigQueryError::Encode { table: self.table.clone(), source })?;
        if rows.rows.num_rows() == before {
            // No row has such a number.
            return Err(BigQueryError::Ended { what: what.to_owned() });
        }
        self.refused.extend(refused);
        Ok(())
    }

    /// Opens a stream.
    async fn open(&self) -> Result<PendingWriter<Arrow>, BigQueryError> {
        let what = format!("open a stream to `{}`", self.table);
        let schema = arrow_schema(&self.table, &self.schema)?;
        let mut backoff = Backoff::default();
        loop {
            let client = match self.bigquery.write_client().await {
                Ok(client) => client,
                Err(error) => {
                    self.wait_after(error, &mut backoff).await?;
                    continue;
                }
            };
            let stream = client.create_stream(self.bigquery.resource(&self.table));
            let error = match in_time(TIMEOUT, &what, stream.build_arrow(schema.clone())).await {
                Ok(Ok(writer)) => {
                    self.patience.pass();
                    return Ok(writer);
                }
                Ok(Err(error)) => opening(error, &what),
                Err(no_answer) => no_answer,
            };
            self.wait_after(error, &mut backoff).await?;
        }
    }

    /// The same stream over a new connection.
    async fn reopen(&mut self, backoff: &mut Backoff) -> Result<(), BigQueryError> {
        let what = format!("open the stream to `{}` again", self.table);
        let schema = arrow_schema(&self.table, &self.schema)?;
        while let Some(writer) = &self.writer {
            let client = match self.bigquery.write_client().await {
                Ok(client) => client,
                Err(error) => {
                    self.wait_after(error, backoff).await?;
                    continue;
                }
            };
            let attached = client.attach_to_stream(writer.write_stream());
            let error = match in_time(TIMEOUT, &what, attached.build_arrow(schema.clone())).await {
                Ok(Ok(writer)) => {
                    self.writer = Some(writer);
                    return Ok(());
                }
                Ok(Err(WriterBuilderError::Rpc { source, .. })) if is_over(&source) => {
                    return self.open_another();
                }
                Ok(Err(error)) => opening(error, &what),
                Err(no_answer) => no_answer,
            };
            self.wait_after(error, backoff).await?;
        }
        Ok(())
    }

    /// The stream is gone. As long as it had no rows, all of them are still here for another.
    fn open_another(&mut self) -> Result<(), BigQueryError> {
        if self.offset > 0 {
            return Err(self.gone());
        }
        self.writer = None;
        self.moved = Moved::default();
        Ok(())
    }

    fn gone(&self) -> BigQueryError {
        BigQueryError::StreamGone { table: self.table.clone() }
    }

    /// Waits for the next try, where one may help.
    async fn wait_after(
        &self,
        error: BigQueryError,
        backoff: &mut Backoff,
    ) -> Result<(), BigQueryError> {
        self.bigquery.forget_write_client(&error);
        let error = self.patience.judge_outage(error).await;
        // An outage that has lasted too long may pass too: whoever loads decides on that.
        if !matches!(error, BigQueryError::Unready { .. }) {
            return Err(error);
        }
        tracing::debug!(error = causes(&error), table = %self.table, "a load waits for its table");
        backoff.wait().await;
        Ok(())
    }
}
