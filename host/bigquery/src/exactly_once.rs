//! A stream of our own with offsets (`sink.exactly_once`): a repeated append is told from a new one.
//!
//! The offset says how many rows the stream has. `ALREADY_EXISTS` says that it has more, never whose
//! rows they are, so one thing holds throughout: **while it is not known whether rows were taken at an
//! offset, no other rows are sent to it.** What was sent is kept until there is an answer:
//!
//! 1. Rows are cut to the size of a request and kept as *unanswered*, then sent at the offset.
//! 2. Answered: taken, and the offset goes on; or some are refused, and none are taken.
//! 3. Not answered (the connection ended, or said nothing in time), and the same rows come again, which
//!    is what a stream does with them: the same bytes are sent again at the same offset.
//!    `ALREADY_EXISTS` says now that they are there.
//! 4. Not answered, and other rows come, as letters do when the ones before them went to the spool: the
//!    unanswered ones are sent again first. If they are there, that is remembered, and whoever brings
//!    them next is told without another append. Of the last [`MOST_SETTLED`] pieces, that is: rows may
//!    never come again as they were, as letters do not that are put together otherwise. Whoever brings
//!    rows of a piece before those appends them again: a double, which the views remove.
//! 5. The stream takes nothing any more, since it was finalised or has expired: it is finalised, which
//!    says how many rows it has, and so whether the unanswered ones are among them. Where even that
//!    cannot be found out, since the stream is gone with its table, they are sent again to the next
//!    stream: a double, which the views remove, rather than a loss.
//!
//! Killed at any of these steps, the process leaves messages that were not acknowledged, or letters in
//! the spool: they come again, to another stream, as they would without `exactly_once`.

use std::collections::VecDeque;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use google_cloud_bigquery::error::{AppendError, WriterBuilderError};
use google_cloud_bigquery::model::ArrowRecordBatch;
use google_cloud_bigquery::write::CommittedWriter;
use google_cloud_bigquery::write::format::Arrow;
use google_cloud_gax::error::rpc::Code;

use super::answer::{Sent, Verdict, has_code, is_over, is_too_large, opening, verdict};
use super::error::{BigQueryError, in_time};
use super::{BigQuery, arrow_schema, encode};
use clickmill_config::TableName;

/// So many pieces are remembered that were found to be there.
const MOST_SETTLED: usize = 16;

/// A stream of our own to one table, or none yet.
pub(super) struct OwnStream {
    bigquery: BigQuery,
    table: TableName,
    schema: SchemaRef,
    name: Option<String>,
    /// How many rows the stream has, by all that was answered.
    offset: i64,
    open: Option<CommittedWriter<Arrow>>,
    unanswered: Option<Piece>,
    /// Rows that were found to be there while others were sent: their sender does not know yet.
    settled: Settled,
}

/// Rows that are there, and are to come again; the oldest first.
#[derive(Default)]
struct Settled(VecDeque<RecordBatch>);

/// Rows of one request.
struct Piece {
    rows: RecordBatch,
    message: ArrowRecordBatch,
    /// Whether they were sent before, so that they may be there.
    sent: bool,
}

/// What is known of a piece once its stream has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AtTheEnd {
    There,
    NotThere,
    /// The stream is gone, and cannot be asked.
    Unknown,
}

impl OwnStream {
    pub(super) fn new(bigquery: &BigQuery, table: &TableName, schema: SchemaRef) -> Self {
        Self {
            bigquery: bigquery.clone(),
            table: table.clone(),
            schema,
            name: None,
            offset: 0,
            open: None,
            unanswered: None,
            settled: Settled::default(),
        }
    }

    /// Sends the first of `rows`, at most `most` of them; the unanswered ones first, if those are others.
    /// How long an answer may take is `timeout`.
    pub(super) async fn send(
        &mut self,
        rows: &RecordBatch,
        most: usize,
        timeout: Duration,
    ) -> Result<Sent, BigQueryError> {
        if let Some(rows) = self.settled.take(rows) {
            return Ok(Sent { rows, verdict: Verdict::Taken });
        }
        if let Some(piece) = self.unanswered.take() {
            let others = !begins_with(rows, &piece.rows);
            let earlier = piece.rows.clone();
            self.unanswered = Some(piece);
            if others {
                if let Verdict::Taken = self.settle(timeout).await?.verdict {
                    self.settled.remember(earlier);
                }
            } else {
                return self.try_unanswered(timeout).await;
            }
        }
        let encoded = encode::first_piece(rows, most);
        let encoded =
            encoded.map_err(|source| BigQueryError::Encode { table: self.table.clone(), source });
        let (count, bytes) = encoded?;
        let Some(bytes) = bytes else {
            return Ok(Sent { rows: count, verdict: Verdict::TooLarge });
        };
        let message = encode::message(bytes);
        self.unanswered = Some(Piece { rows: rows.slice(0, count), message, sent: false });
        self.try_unanswered(timeout).await
    }

    /// Finds out what became of the unanswered rows, whatever the service says to them now.
    async fn settle(&mut self, timeout: Duration) -> Result<Sent, BigQueryError> {
        match self.try_unanswered(timeout).await {
            // It has no use for the rows, and yet may have taken them the first time.
            Err(BigQueryError::Service { source, .. })
                if has_code(&source, &[Code::InvalidArgument]) =>
            {
                self.end(timeout).await
            }
            settled => settled,
        }
    }

    async fn try_unanswered(&mut self, timeout: Duration) -> Result<Sent, BigQueryError> {
        let what = self.what();
        let writer = match self.open.take() {
            Some(writer) => writer,
            None => match self.connect(timeout, &what).await? {
                Ok(writer) => writer,
                Err(error) if self.name.is_some() && is_gone(&error) => {
                    return self.end(timeout).await;
                }
                Err(error) => return Err(opening(error, &what)),
            },
        };
        let Some(piece) = &mut self.unanswered else {
            return Ok(Sent { rows: 0, verdict: Verdict::Taken });
        };
        let sent_before = std::mem::replace(&mut piece.sent, true);
        let sent = writer.append(piece.message.clone()).set_offset(self.offset).send();
        let answer = match in_time(timeout, &what, sent).await {
            Ok(answer) => answer.map(drop),
            Err(no_answer) => {
                self.bigquery.forget_write_client(&no_answer);
                return Err(no_answer);
            }
        };
        match answer {
            Err(AppendError::Rpc { source, .. }) if has_code(&source, &[Code::AlreadyExists]) => {
                if sent_before {
                    self.open = Some(writer);
                    return Ok(self.answered(Verdict::Taken));
                }
                // Nobody else writes to the stream: our count of its rows is wrong.
                tracing::error!(
                    table = %self.table, offset = self.offset,
                    "the write stream has more rows than were sent to it, going on with another"
                );
                self.leave();
                Err(BigQueryError::Ended { what })
            }
            Err(AppendError::Rpc { source, .. }) if is_over(&source) => {
                tracing::warn!(error = %source, "the write stream has ended, going on with another");
                if let Some(piece) = &mut self.unanswered {
                    piece.sent = sent_before;
                }
                self.end(timeout).await
            }
            Err(AppendError::Rpc { source, .. }) if is_too_large(&source) => {
                Ok(self.answered(Verdict::TooLarge))
            }
            answer => match verdict(answer, &what) {
                Ok(verdict) => {
                    self.open = Some(writer);
                    Ok(self.answered(verdict))
                }
                Err(error) => {
                    self.bigquery.forget_write_client(&error);
                    Err(error)
                }
            },
        }
    }

    /// The stream takes nothing any more: is what is unanswered among its rows? Goes on without a stream.
    async fn end(&mut self, timeout: Duration) -> Result<Sent, BigQueryError> {
        let Some(piece) = &self.unanswered else {
            self.leave();
            return Err(BigQueryError::Ended { what: self.what() });
        };
        let rows = piece.rows.num_rows();
        let found =
            if piece.sent { self.at_the_end(rows, timeout).await? } else { AtTheEnd::NotThere };
        if found == AtTheEnd::Unknown {
            tracing::warn!(
                table = %self.table, rows,
                "the write stream is gone with the answer to an append: its rows are sent again, and may be there twice"
            );
        }
        self.leave();
        match found {
            AtTheEnd::There => Ok(Sent { rows, verdict: Verdict::Taken }),
            AtTheEnd::NotThere | AtTheEnd::Unknown => {
                Err(BigQueryError::Ended { what: self.what() })
            }
        }
    }

    async fn at_the_end(
        &mut self,
        rows: usize,
        timeout: Duration,
    ) -> Result<AtTheEnd, BigQueryError> {
        if self.name.is_none() {
            return Ok(AtTheEnd::NotThere);
        }
        let what = format!("finalize the stream of `{}`", self.table);
        let writer = match self.connect(timeout, &what).await? {
            Ok(writer) => writer,
            Err(error) if is_gone(&error) => return Ok(AtTheEnd::Unknown),
            Err(error) => return Err(opening(error, &what)),
        };
        let finalized = in_time(timeout, &what, writer.finalize()).await;
        let finalized =
            finalized.inspect_err(|no_answer| self.bigquery.forget_write_client(no_answer));
        let finalized = match finalized? {
            Ok(finalized) => finalized,
            Err(error) if clickmill_google::is_not_found(&error) => return Ok(AtTheEnd::Unknown),
            Err(source) => return Err(BigQueryError::Service { what, source }),
        };
        let are_there = finalized.row_count >= self.offset + rows as i64;
        Ok(if are_there { AtTheEnd::There } else { AtTheEnd::NotThere })
    }

    /// The stream by its name, or a new one.
    async fn connect(
        &mut self,
        timeout: Duration,
        what: &str,
    ) -> Result<Result<CommittedWriter<Arrow>, WriterBuilderError>, BigQueryError> {
        let client = self.bigquery.write_client().await?;
        let schema = arrow_schema(&self.table, &self.schema)?;
        let opening = async {
            match &self.name {
                Some(name) => client.attach_to_stream(name.as_str()).build_arrow(schema).await,
                None => {
                    let table = self.bigquery.resource(&self.table);
                    client.create_stream(table).build_arrow(schema).await
                }
            }
        };
        let opened = in_time(timeout, what, opening).await;
        let opened: Result<CommittedWriter<Arrow>, _> =
            opened.inspect_err(|no_answer| self.bigquery.forget_write_client(no_answer))?;
        if let Ok(writer) = &opened
            && self.name.is_none()
        {
            self.name = Some(writer.write_stream().to_owned());
            self.offset = 0;
        }
        Ok(opened)
    }

    /// There is an answer to what was unanswered.
    fn answered(&mut self, verdict: Verdict) -> Sent {
        let rows = self.unanswered.take().map_or(0, |piece| piece.rows.num_rows());
        if let Verdict::Taken = verdict {
            self.offset += rows as i64;
        }
        Sent { rows, verdict }
    }

    /// Goes on without a stream: the next rows open one.
    fn leave(&mut self) {
        (self.name, self.open, self.unanswered, self.offset) = (None, None, None, 0);
    }

    fn what(&self) -> String {
        format!("append to `{}`", self.table)
    }
}

impl Settled {
    /// Remembers a piece, in place of the oldest where there are too many.
    fn remember(&mut self, piece: RecordBatch) {
        if self.0.len() == MOST_SETTLED {
            self.0.pop_front();
        }
        self.0.push_back(piece);
    }

    /// How many of the first of `rows` are a piece. They have come again now.
    fn take(&mut self, rows: &RecordBatch) -> Option<usize> {
        let at = self.0.iter().position(|piece| begins_with(rows, piece))?;
        self.0.remove(at).map(|piece| piece.num_rows())
    }
}

/// Whether the first of `rows` are those of `first`.
fn begins_with(rows: &RecordBatch, first: &RecordBatch) -> bool {
    let count = first.num_rows();
    rows.num_rows() >= count && rows.slice(0, count).columns() == first.columns()
}

fn is_gone(error: &WriterBuilderError) -> bool {
    matches!(error, WriterBuilderError::Rpc { source, .. } if is_over(source))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;

    fn numbers(numbers: &[i64]) -> RecordBatch {
        let schema = Schema::new(vec![Field::new("n", DataType::Int64, true)]);
        let column = Arc::new(Int64Array::from(numbers.to_vec()));
        RecordBatch::try_new(Arc::new(schema), vec![column]).expect("a batch")
    }

    #[test]
    fn pieces_that_never_come_again_are_not_remembered_for_ever() {
        let mut settled = Settled::default();
        for number in 0..100 {
            settled.remember(numbers(&[number]));
        }
        assert_eq!(settled.0.len(), MOST_SETTLED);
        assert_eq!(settled.take(&numbers(&[99, 100])), Some(1));
        assert_eq!(settled.take(&numbers(&[99, 100])), None);
        assert_eq!(settled.take(&numbers(&[0])), None);
    }

    #[test]
    fn rows_are_the_same_by_what_they_hold_wherever_they_come_from() {
        let rows = numbers(&[1, 2, 3]);
        assert!(begins_with(&rows, &numbers(&[1, 2])));
        assert!(begins_with(&numbers(&[0, 1, 2, 3]).slice(1, 3), &rows));
        assert!(!begins_with(&rows, &numbers(&[1, 3])));
        assert!(!begins_with(&rows, &numbers(&[1, 2, 3, 4])));
        let schema = Schema::new(vec![Field::new("n", DataType::Utf8, true)]);
        let texts = Arc::new(StringArray::from(vec!["1"]));
        let texts = RecordBatch::try_new(Arc::new(schema), vec![texts]).expect("a batch");
        assert!(!begins_with(&rows, &texts));
    }
}
