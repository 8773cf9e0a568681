//! What the caller sends, one frame after the other, and the records of an object that it names.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use crossbeam_channel::{Receiver, select};

use super::error::ExecError;
use super::executor::{Executor, InHand, Task};
use super::frame::{Frame, FrameError, Kind};
use super::said::{self, Named};
use crate::run::load_error::LoadError;
use crate::run::named;
use crate::run::open::open_object;
use crate::versions::fit::Fitted;
use crate::versions::version::Version;
use clickmill_core::{Micros, store};
use clickmill_decode::Decoder;
use clickmill_source as source;
use clickmill_source::{Interrupt, Listing, Object, Progress, SourceError};

/// What the caller sends, one after the other.
pub(super) struct Elements<'a> {
    executor: &'a Executor,
    frames: Receiver<Result<Frame, FrameError>>,
    /// Told once nothing more is wanted.
    ended: Receiver<()>,
    interrupt: Interrupt,
    /// The object that is being read.
    object: Option<Reading>,
    /// The number of the next element.
    next: u64,
    is_greeted: bool,
}

/// An object that is being read.
struct Reading {
    in_hand: Arc<InHand>,
    object: Object,
    decoder: Decoder,
    fitted: Arc<Fitted>,
}

impl<'a> Elements<'a> {
    pub(super) fn new(
        executor: &'a Executor,
        frames: Receiver<Result<Frame, FrameError>>,
        ended: Receiver<()>,
        interrupt: Interrupt,
    ) -> Self {
        Self { executor, frames, ended, interrupt, object: None, next: 0, is_greeted: false }
    }

    /// What is to be done next; `None` where the caller has ended, or nothing more is wanted.
    pub(super) fn next(&mut self) -> Result<Option<Task>, ExecError> {
        loop {
            if let Some(reading) = self.object.take() {
                return Ok(Some(self.read_on(reading)));
            }
            let frame = select! {
                recv(self.frames) -> frame => frame,
                recv(self.ended) -> _ => return Ok(None),
            };
            // Closed where standard input has ended.
            let Ok(frame) = frame else { return Ok(None) };
            let Frame { kind, body } = frame?;
            let is_hello = kind == Kind::Hello;
            if is_hello == self.is_greeted {
                let what = format!("the caller sends a frame of kind {}", kind as u8);
                return Err(ExecError::Hello { what });
            }
            if is_hello {
                said::hello_of(&body)?;
                self.is_greeted = true;
                continue;
            }
            let element = self.next;
            self.next += 1;
            if let Some(work) = self.element(element, kind, body)? {
                return Ok(Some(work));
            }
        }
    }

    /// The next records of an object, or its end.
    fn read_on(&mut self, mut reading: Reading) -> Task {
        let (object, fitted) = (reading.in_hand.clone(), reading.fitted.clone());
        if object.is_given_up() {
            return Task::End { object, end: Ok(()) };
        }
        let end = match reading.decoder.next_batch() {
            Ok(Some(decoded)) => {
                self.object = Some(reading);
                return Task::Part { object, fitted, decoded };
            }
            Ok(None) => reading.object.check_unchanged().map_err(LoadError::from),
            Err(error) => Err(error.into()),
        };
        Task::End { object, end }
    }

    /// What is to be done for an element; `None` where it is an object that is read from now on.
    fn element(
        &mut self,
        element: u64,
        kind: Kind,
        body: Bytes,
    ) -> Result<Option<Task>, ExecError> {
        let pipeline = &self.executor.pipeline;
        let (given, of_stream) = match kind {
            Kind::Batch | Kind::Crashed => ("a batch of messages", true),
            _ => ("about objects", false),
        };
        if of_stream != pipeline.source.is_stream() {
            let (pipeline, takes) = (pipeline.name.clone(), said::takes(pipeline));
            return Err(ExecError::Kind { element, given, pipeline, takes });
        }
        let wrong = |what| ExecError::Element { element, what };
        Ok(match kind {
            Kind::Batch => Some(Task::Messages { element, body }),
            Kind::Crashed => Some(Task::Crashed { element, body }),
            Kind::Find => {
                let found = match said::find_of(&body).map_err(wrong)?.uri {
                    Some(uri) => self.find(&uri),
                    None => self.executor.runtime.block_on(source::list(&pipeline.source)),
                };
                Some(Task::Ready(match found {
                    Ok(listing) => said::objects(&listing),
                    Err(error) => said::failed(element, None, &error, error.fault()),
                }))
            }
            _ => self.object(element, said::object_of(&body).map_err(wrong)?),
        })
    }

    /// What lies there, unless nobody wants to know any more.
    fn find(&self, uri: &str) -> Result<Listing, SourceError> {
        self.executor.runtime.block_on(async {
            tokio::select! {
                found = source::find(uri) => found,
                () = self.interrupt.interrupted() => {
                    Err(SourceError::Interrupted { uri: uri.to_owned() })
                }
            }
        })
    }

    /// Begins to read an object; where nothing is to be read of it, it is at its end.
    fn object(&mut self, element: u64, asked: Named) -> Option<Task> {
        let Named { uri, generation, ingest_time } = asked;
        let version = self.executor.slot.pick(element);
        // A file may be named by its path. What is taken for a pattern is still one object, by its generation.
        let found = self.find(&uri).and_then(|found| match found.objects.as_slice() {
            [one] if one.stays() => Ok(found),
            _ => named(found, &uri),
        });
        let found = found.map(|found| found.objects.into_iter().next());
        let name = match &found {
            Ok(Some(object)) => object.name(),
            _ => uri.clone(),
        };
        let called = if store::is_local(&uri) { uri.clone() } else { name.clone() };
        let is_wanted = |found: &String| generation.as_ref().is_none_or(|wanted| wanted == found);
        let opened = match found {
            Ok(Some(object)) if is_wanted(&object.generation) => {
                self.open(object, &version, ingest_time)
            }
            // It is there and holds nothing. One of a generation was listed, so it held something then.
            Ok(None) if generation.is_none() => Ok(None),
            Ok(_) => Err(SourceError::Changed { uri }.into()),
            Err(error) => Err(error.into()),
        };
        let given_up = AtomicBool::new(false);
        let in_hand = Arc::new(InHand { element, name, called, version, given_up });
        let end = match opened {
            Ok(Some((object, decoder, fitted))) => {
                self.object = Some(Reading { in_hand, object, decoder, fitted });
                return None;
            }
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        Some(Task::End { object: in_hand, end })
    }

    fn open(
        &self,
        object: Object,
        version: &Version,
        ingest_time: Micros,
    ) -> Result<Option<(Object, Decoder, Arc<Fitted>)>, LoadError> {
        let Executor { pipeline, runtime, slot, .. } = self.executor;
        let progress = Progress::default();
        let opened =
            open_object(&object, pipeline, ingest_time, runtime, &progress, &self.interrupt)?;
        let Some(decoder) = opened else { return Ok(None) };
        let fitted = slot.fit(version, decoder.schema())?;
        Ok(Some((object, decoder, fitted)))
    }
}
