//! What the caller is told, in the order of the elements.

use std::collections::HashSet;
use std::convert::Infallible;
use std::io::Write;

use crossbeam_channel::Receiver;

use super::error::ExecError;
use super::executor::{Answer, Executor, InHand, Made};
use super::{plugins, said};
use crate::observe::summary::Counts;
use crate::run::RunError;
use crate::run::judge::Judge;
use crate::versions::slot::SlotEvent;
use crate::versions::version::VersionRecord;
use clickmill_core::{Digest, Fault};
use clickmill_dead_letter::TooManyRejected;

/// What the caller is told.
pub(super) struct Answers<'a, W> {
    executor: &'a Executor,
    output: &'a mut W,
    events: Receiver<SlotEvent>,
    /// Plugin sets of which it is told what they are.
    told: HashSet<Digest>,
    /// The object in hand.
    element: Option<u64>,
    /// Of that object.
    counts: Counts,
    judge: Judge,
}

impl<'a, W: Write> Answers<'a, W> {
    pub(super) fn new(
        executor: &'a Executor,
        output: &'a mut W,
        events: Receiver<SlotEvent>,
    ) -> Self {
        Self {
            executor,
            output,
            events,
            told: HashSet::new(),
            element: None,
            counts: Counts::default(),
            judge: Judge::new(&executor.pipeline.dead_letter),
        }
    }

    /// Hello, the schemas, and the set that runs.
    pub(super) fn greet(&mut self, watch: bool) -> Result<(), ExecError> {
        let executor = self.executor;
        let record = executor.slot.current().record.clone();
        let (pipeline, most) = (&executor.pipeline, executor.max_frame_bytes);
        let hello = said::hello(pipeline, &record.set.digest, watch, most)?;
        hello.iter().try_for_each(|frame| self.put(frame))?;
        self.tell_set(&record)?;
        self.flush()
    }

    fn put(&mut self, frame: &[u8]) -> Result<(), ExecError> {
        self.output.write_all(frame).map_err(ExecError::Write)
    }

    fn flush(&mut self) -> Result<(), ExecError> {
        self.output.flush().map_err(ExecError::Write)
    }

    /// Says what a set is made of, once.
    fn tell_set(&mut self, version: &VersionRecord) -> Result<(), ExecError> {
        if !self.told.insert(version.set.digest.clone()) {
            return Ok(());
        }
        self.put(&said::plugin_set(&version.set, &self.executor.pipeline.name)?)
    }

    /// The end of an element, which is told at once.
    fn end(&mut self, frame: &[u8]) -> Result<(), ExecError> {
        self.put(frame)?;
        self.flush()?;
        plugins::settle(&self.executor.slot, &self.events);
        Ok(())
    }

    /// Tells an answer.
    pub(super) fn write(&mut self, answer: Answer) -> Result<Option<Infallible>, ExecError> {
        match answer {
            Answer::Ready(frame) => self.end(&frame)?,
            Answer::Whole { element, version, made: Made { frames, mut counts } } => {
                self.tell_set(&version)?;
                frames.iter().try_for_each(|frame| self.put(frame))?;
                self.fill(&mut counts);
                self.end(&said::counts(element, None, &version, &counts)?)?;
            }
            Answer::Part { object, .. } if object.is_given_up() => {}
            Answer::Part { object, made: Made { frames, counts }, last } => {
                self.begin(&object);
                self.tell_set(&object.version.record)?;
                frames.iter().try_for_each(|frame| self.put(frame))?;
                let (rows, rejected) = (counts.rows_told(), counts.rows_rejected);
                self.counts.add(counts);
                if let Err(found) = self.judge.count(rows, rejected, last) {
                    self.too_many(&object, found)?;
                }
            }
            Answer::End { object, .. } if object.is_given_up() => {}
            Answer::End { object, end } => {
                self.begin(&object);
                match end.map(|()| self.judge.end()) {
                    Ok(Ok(())) => {
                        let mut counts = std::mem::take(&mut self.counts);
                        self.fill(&mut counts);
                        let (name, version) = (Some(&*object.name), &object.version.record);
                        self.tell_set(version)?;
                        self.end(&said::counts(object.element, name, version, &counts)?)?;
                    }
                    Ok(Err(found)) => self.too_many(&object, found)?,
                    Err(error) => self.fail(&object, &RunError::of(&object.called, error))?,
                }
            }
        }
        Ok(None)
    }

    /// Begins an object, where it is another. Each is judged by itself.
    fn begin(&mut self, object: &InHand) {
        if self.element.replace(object.element) != Some(object.element) {
            self.counts = Counts::default();
            self.judge.begin();
        }
    }

    /// Every table has a number, be it 0.
    fn fill(&self, counts: &mut Counts) {
        let tables = self.executor.pipeline.sink.tables().count();
        counts.rows_by_table.resize(tables, 0);
    }

    fn too_many(&mut self, object: &InHand, found: TooManyRejected) -> Result<(), ExecError> {
        let most_frequent = self.counts.most_frequent();
        let called = object.called.clone();
        let error = RunError::TooManyRejected { object: called, found, most_frequent };
        self.fail(object, &error)
    }

    fn fail(&mut self, object: &InHand, error: &RunError) -> Result<(), ExecError> {
        object.give_up();
        let fault: Fault = error.fault();
        self.end(&said::failed(object.element, Some(&object.name), error, fault))
    }
}
