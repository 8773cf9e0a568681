//! What runs the chain over elements, and what comes of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use bytes::Bytes;
use tokio::runtime::Handle;

use super::error::ExecError;
use super::frame::Kind;
use super::gather::Frames;
use super::input::{self, Messages};
use crate::observe::summary::Counts;
use crate::observe::tap::Taps;
use crate::run::load_error::LoadError;
use crate::run::transform::{Finished, Worker};
use crate::versions::fit::Fitted;
use crate::versions::slot::Slot;
use crate::versions::version::{Version, VersionRecord};
use clickmill_config::Pipeline;
use clickmill_core::batch::{Position, Reason, Rejected};
use clickmill_core::{StageName, stage};
use clickmill_dead_letter::Writer;
use clickmill_decode::{Decoded, messages};
use clickmill_sandbox::{Engine, RecordCounts};

/// The code of records on which the process died.
const HOST_CRASH: &str = "host_crash";

/// What runs the chain.
pub(super) struct Executor {
    pub pipeline: Pipeline,
    /// For input and output.
    pub runtime: Handle,
    pub engine: Engine,
    pub slot: Slot,
    pub taps: Taps,
    pub letters: Arc<Writer>,
    pub max_frame_bytes: usize,
}

/// What a thread of the chain is to do.
pub(super) enum Task {
    /// An element of messages, as it came in.
    Messages { element: u64, body: Bytes },
    /// One of records on which the process died.
    Crashed { element: u64, body: Bytes },
    /// Some records of an object.
    Part { object: Arc<InHand>, fitted: Arc<Fitted>, decoded: Decoded },
    /// The end of an object.
    End { object: Arc<InHand>, end: Result<(), LoadError> },
    /// A frame that is ready.
    Ready(Vec<u8>),
}

/// What came of it.
pub(super) enum Answer {
    Whole { element: u64, version: Arc<VersionRecord>, made: Made },
    Part { object: Arc<InHand>, made: Made, last: Option<Position> },
    End { object: Arc<InHand>, end: Result<(), LoadError> },
    Ready(Vec<u8>),
}

/// Frames of rows and letters, and what they count.
#[derive(Default)]
pub(super) struct Made {
    pub frames: Vec<Vec<u8>>,
    pub counts: Counts,
}

/// An object that is being answered.
pub(super) struct InHand {
    pub element: u64,
    /// `uri@generation`, or as much of it as is known.
    pub name: String,
    /// What texts call it: a file as it was named.
    pub called: String,
    pub version: Arc<Version>,
    /// It has failed: nothing more of it is wanted.
    pub given_up: AtomicBool,
}

impl InHand {
    /// Nothing more of it is wanted.
    pub(super) fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Relaxed)
    }
}

impl Executor {
    /// Does what there is to do, on one of the chain's threads.
    pub(super) fn answer(&self, worker: &mut Worker<'_>, work: Task) -> Result<Answer, ExecError> {
        match work {
            Task::Messages { element, body } => self.messages(worker, element, body),
            Task::Crashed { element, body } => self.crashed(element, body),
            Task::Part { object, fitted, decoded } => {
                let failed = |source| ExecError::Rows { element: object.element, source };
                let finished = worker
                    .run(&object.version, &fitted, decoded, Instant::now())
                    .map_err(failed)?;
                let last = finished.rows.origins().last();
                let mut frames = self.frames();
                self.add(&mut frames, &finished).map_err(failed)?;
                let frames = frames.finish().map_err(failed)?;
                Ok(Answer::Part { object, made: Made { frames, counts: finished.counts() }, last })
            }
            Task::End { object, end } => Ok(Answer::End { object, end }),
            Task::Ready(frame) => Ok(Answer::Ready(frame)),
        }
    }

    fn read(&self, element: u64, body: Bytes) -> Result<Vec<Messages>, ExecError> {
        input::read(body, self.pipeline.batch).map_err(|what| ExecError::Element { element, what })
    }

    /// Runs the messages of an element through the version that is its turn.
    fn messages(
        &self,
        worker: &mut Worker<'_>,
        element: u64,
        body: Bytes,
    ) -> Result<Answer, ExecError> {
        let failed = |source| ExecError::Rows { element, source };
        let format = &self.pipeline.format;
        let version = self.slot.pick(element);
        let columns: SchemaRef = messages::schema(format.payload());
        let fitted = self.slot.fit(&version, &columns)?;
        let (mut frames, mut counts) = (self.frames(), Counts::default());
        for Messages { source, ingest_time, messages } in self.read(element, body)? {
            let (most, payload) = (format.max_record_bytes(), format.payload());
            let decoded =
                messages::decode(messages, source, most, payload, ingest_time).map_err(failed)?;
            let finished =
                worker.run(&version, &fitted, decoded, Instant::now()).map_err(failed)?;
            counts.add(finished.counts());
            self.add(&mut frames, &finished).map_err(failed)?;
        }
        let frames = frames.finish().map_err(failed)?;
        Ok(Answer::Whole {
            element,
            version: version.record.clone(),
            made: Made { frames, counts },
        })
    }

    /// Makes letters of records that go through no chain, since they ended the process.
    fn crashed(&self, element: u64, body: Bytes) -> Result<Answer, ExecError> {
        let version = self.slot.pick(element).record.clone();
        let failed = |source| ExecError::Rows { element, source };
        let (mut frames, mut all) = (self.frames(), Counts::default());
        for Messages { source, ingest_time, messages } in self.read(element, body)? {
            let bytes: usize = messages.iter().map(|(_, payload)| payload.len()).sum();
            let letter = |(message, payload)| Rejected {
                source: source.clone(),
                header: None,
                position: Position::Message(message),
                record_index: 0,
                payload,
                stage: StageName::of_host(stage::DECODE),
                plugin_digest: None,
                plugin_set: version.set.digest.clone(),
                reason: Reason {
                    code: HOST_CRASH.to_owned(),
                    message: "clickmill died twice on this record alone".to_owned(),
                    column: None,
                },
                ingest_time,
            };
            let letters: Vec<Rejected> = messages.into_iter().map(letter).collect();
            let count = letters.len() as u64;
            let records = RecordCounts { with_letters_only: count, ..RecordCounts::default() };
            let mut counts =
                Counts { rows_in: count, records, bytes: bytes as u64, ..Counts::default() };
            counts.reject(&letters);
            all.add(counts);
            self.add_letters(&mut frames, &letters).map_err(failed)?;
        }
        let frames = frames.finish().map_err(failed)?;
        Ok(Answer::Whole { element, version, made: Made { frames, counts: all } })
    }

    fn frames(&self) -> Frames {
        Frames::new(self.max_frame_bytes)
    }

    fn add(&self, frames: &mut Frames, finished: &Finished) -> Result<(), ArrowError> {
        for (table, rows) in (0..).zip(finished.rows.tables()) {
            frames.add(Kind::Rows, table, &rows.rows)?;
        }
        self.add_letters(frames, &finished.rejected)
    }

    fn add_letters(&self, frames: &mut Frames, rejected: &[Rejected]) -> Result<(), ArrowError> {
        let mut letters = self.letters.rows(rejected);
        letters.try_for_each(|letters| frames.add(Kind::Letters, 0, &letters?))
    }
}
