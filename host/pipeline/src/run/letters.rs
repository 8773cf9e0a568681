//! A stream's dead letters on their way to their table; while that is away, to the spool, and from there
//! to the table once it is back.
//!
//! A letter is in the table, in the spool, or its message is not acknowledged. Without a spool it is held,
//! with its message, until the table takes it. What the table refuses is set aside in the spool, and what it
//! has taken of a file leaves the spool before anything else is tried: nothing is appended again while this
//! process lives, nor stands in the way of others.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::error::ArrowError;
use tokio::sync::watch;

use super::backoff::backoff;
use crate::observe::status::Status;
use clickmill_core::batch::{Position, Rejected};
use clickmill_core::{causes, lock};
use clickmill_dead_letter::{Spool, SpoolError, Writer};
use clickmill_sink::{Appended, Appender, SinkError};
use clickmill_tables::Rows;

/// How often letters in the spool are tried to be carried over.
const CARRY_EVERY: Duration = Duration::from_secs(5);
/// How often it is told that they can't be.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// Another process may carry over for so long before that is told: it may be stopped.
const LONG: Duration = Duration::from_secs(300);
/// So many files in a row that can't be carried over are the table's fault, not theirs.
const MOST_FAILURES: usize = 2;

/// Where a stream's dead letters go.
pub(crate) struct Letters {
    table: Box<dyn Appender>,
    writer: Arc<Writer>,
    /// None: what the table does not take is held.
    spool: Option<Spool>,
    status: Arc<Status>,
    /// The file that failed last: others come before it the next time.
    failed: Mutex<Option<PathBuf>>,
    /// When it was told last that letters stay in the spool.
    told: Mutex<Option<Instant>>,
    /// Since when another process carries over, as far as this one has looked.
    another: Mutex<Option<Instant>>,
}

/// What became of letters. All of them are durable.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    /// How many were in the table already.
    pub repeated: u64,
    /// How many are in the spool.
    pub spooled: u64,
    /// Appends that failed.
    pub retries: u64,
}

/// What became of an append.
struct AppendOutcome {
    /// How many were there already.
    repeated: u64,
    /// Those that the table refuses, with what it says of one.
    refused: Option<(RecordBatch, String)>,
    /// Those that it has not taken, and why.
    rest: Option<(RecordBatch, SinkError)>,
}

/// Why a file stays in the spool.
#[derive(Debug, thiserror::Error)]
enum CarryOverError {
    #[error(transparent)]
    Spool(#[from] SpoolError),
    #[error(transparent)]
    Table(#[from] SinkError),
    #[error("cannot make rows of dead letters")]
    Rows(#[from] ArrowError),
    #[error("another process has been carrying over for {seconds} s")]
    Another { seconds: u64 },
}

impl Letters {
    pub(crate) fn new(
        table: Box<dyn Appender>,
        writer: Arc<Writer>,
        spool: Option<Spool>,
        status: Arc<Status>,
    ) -> Self {
        let (failed, told, another) = Default::default();
        let letters = Self { table, writer, spool, status, failed, told, another };
        letters.count();
        letters.tell_of_others();
        letters
    }

    /// How long they had better wait for others.
    pub(crate) fn min_wait(&self) -> Duration {
        self.table.min_wait()
    }

    /// Puts letters of these rows into their table or, where that is away, into the spool. Where both are
    /// away, holds them.
    pub(crate) async fn deliver(&self, rejected: &[Rejected]) -> Result<Kept, ArrowError> {
        let mut kept = Kept::default();
        for letters in self.writer.rows(rejected) {
            let Kept { repeated, spooled, retries } = self.put(letters?).await?;
            kept.repeated += repeated;
            kept.spooled += spooled;
            kept.retries += retries;
        }
        Ok(kept)
    }

    async fn put(&self, mut letters: RecordBatch) -> Result<Kept, ArrowError> {
        let mut so_far = Kept::default();
        let mut waits = backon::BackoffBuilder::build(backoff());
        loop {
            let AppendOutcome { repeated: there, mut refused, rest } =
                self.append(&letters).await?;
            so_far.repeated += there;
            if refused.is_none() && rest.is_none() {
                return Ok(so_far);
            }
            if rest.is_some() {
                so_far.retries += 1;
                self.status.retry();
            }
            // Each is kept once: what was kept is not looked at again.
            let kept = self.keep(&mut refused, rest.as_ref(), &mut so_far);
            self.count();
            let Err(full) = kept else { return Ok(so_far) };
            tracing::warn!(
                error = rest.as_ref().map(|(_, away)| causes(away)),
                spool = causes(&full),
                "dead-letter table and spool are away: holding what is in hand"
            );
            let rest = rest.map(|(rest, _)| rest);
            let held: Vec<RecordBatch> =
                rest.into_iter().chain(refused.map(|(refused, _)| refused)).collect();
            letters = concat_batches(&self.writer.schema, &held)?;
            // Endless, so there is always a next.
            tokio::time::sleep(waits.next().unwrap_or(CARRY_EVERY)).await;
        }
    }

    /// Keeps in the spool what the table refuses, and then what it has not taken.
    fn keep(
        &self,
        refused: &mut Option<(RecordBatch, String)>,
        rest: Option<&(RecordBatch, SinkError)>,
        so_far: &mut Kept,
    ) -> Result<(), SpoolError> {
        let spool = self.spool.as_ref().ok_or(SpoolError::Off)?;
        if let Some((letters, why)) = &*refused {
            spool.keep_aside(letters)?;
            let letters = letters.num_rows() as u64;
            so_far.spooled += letters;
            tracing::warn!(
                letters,
                why,
                "the dead-letter table refuses letters: they are set aside"
            );
            *refused = None;
        }
        if let Some((letters, away)) = rest {
            spool.keep(letters)?;
            let letters = letters.num_rows() as u64;
            so_far.spooled += letters;
            tracing::warn!(
                error = causes(away),
                letters,
                "the dead-letter table is away: letters go to the spool"
            );
        }
        Ok(())
    }

    /// Tries to append letters, once.
    async fn append(&self, letters: &RecordBatch) -> Result<AppendOutcome, ArrowError> {
        let mut rows = vec![Rows::letters(letters.clone())];
        let mut so_far = Appended::default();
        let done = self.table.append(&mut rows, &mut so_far).await;
        let why = so_far.refused.first().map(|refused| refused.reason.message.clone());
        let numbers: BTreeSet<u64> = so_far.refused.iter().filter_map(number).collect();
        let is_refused = (0..letters.num_rows() as u64).map(|row| Some(numbers.contains(&row)));
        let is_refused: BooleanArray = is_refused.collect();
        let refused = match why {
            Some(why) => Some((filter_record_batch(letters, &is_refused)?, why)),
            None => None,
        };
        let rest = concat_batches(&letters.schema(), rows.iter().map(|rows| &rows.rows))?;
        let rest = done.err().filter(|_| rest.num_rows() > 0).map(|error| (rest, error));
        Ok(AppendOutcome { repeated: so_far.repeated.len() as u64, refused, rest })
    }

    /// Carries letters from the spool to their table, now and then, until `ended` says so. What is on its
    /// way then is waited for: dropped, it would be in the table and in the spool.
    pub(crate) async fn carry_over(&self, mut ended: watch::Receiver<bool>) {
        let mut ticks = tokio::time::interval(CARRY_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = ended.wait_for(|ended| *ended) => return,
                _ = ticks.tick() => {}
            }
            self.carry_over_while(|| !*ended.borrow()).await;
        }
    }

    /// Carries what the spool holds over, once. What can't be carried stays.
    pub(crate) async fn carry_over_once(&self) {
        self.carry_over_while(|| true).await;
    }

    async fn carry_over_while(&self, goes_on: impl Fn() -> bool) {
        match self.try_carry_over(goes_on).await {
            Ok(()) => *lock(&self.told) = None,
            Err(error) => self.tell(&error),
        }
        self.count();
    }

    async fn try_carry_over(&self, goes_on: impl Fn() -> bool) -> Result<(), CarryOverError> {
        let Some(spool) = &self.spool else { return Ok(()) };
        // One process at a time, or both would append the same letters.
        let Some(_carrier) = spool.carrier()? else { return self.another(spool) };
        *lock(&self.another) = None;
        let mut waiting = spool.waiting()?;
        // The file that failed last comes last: the others do not wait for it.
        let after = lock(&self.failed).clone();
        if let Some(at) = waiting.iter().position(|path| Some(path) == after.as_ref()) {
            waiting.rotate_left(at + 1);
        }
        let mut failures = 0;
        let mut never: Vec<(PathBuf, String)> = Vec::new();
        let mut taken = false;
        let mut last = None;
        for path in waiting {
            if !goes_on() {
                break;
            }
            match self.carry(spool, &path).await {
                Ok(()) => (failures, taken) = (0, true),
                Err(error) => {
                    failures += 1;
                    if matches!(&error, CarryOverError::Table(error) if !error.is_transient()) {
                        never.push((path.clone(), causes(&error)));
                    }
                    *lock(&self.failed) = Some(path);
                    last = Some(error);
                    if failures == MOST_FAILURES {
                        break;
                    }
                }
            }
        }
        // A table that takes others will never take these.
        for (path, why) in never.iter().filter(|_| taken) {
            let at = spool.set_aside(path)?;
            tracing::warn!(why, at = %at.display(), "the dead-letter table refuses a file of the spool: it is set aside");
        }
        last.map_or(Ok(()), Err)
    }

    /// Another process carries over. Where it does for long, letters of this one may wait for it.
    fn another(&self, spool: &Spool) -> Result<(), CarryOverError> {
        let since = lock(&self.another).get_or_insert_with(Instant::now).elapsed();
        if since < LONG || spool.waiting()?.is_empty() {
            return Ok(());
        }
        Err(CarryOverError::Another { seconds: since.as_secs() })
    }

    /// Carries a file over, or what the table takes of it.
    async fn carry(&self, spool: &Spool, path: &Path) -> Result<(), CarryOverError> {
        let letters = match spool.read(path, &self.writer.schema) {
            Ok(letters) => letters,
            Err(error @ SpoolError::Arrow { .. }) => {
                let at = spool.set_aside(path)?;
                let error = causes(&error);
                tracing::error!(error, at = %at.display(), "a file of the spool cannot be read: it is set aside");
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let AppendOutcome { refused, rest, .. } = self.append(&letters).await?;
        let (rest, away) = rest.unzip();
        let mut left: Vec<RecordBatch> = rest.into_iter().collect();
        let mut aside = Ok(());
        if let Some((refused, why)) = refused {
            aside = spool.keep_aside(&refused);
            match aside {
                Ok(()) => tracing::warn!(
                    letters = refused.num_rows(),
                    why,
                    "the dead-letter table refuses letters of the spool: they are set aside"
                ),
                Err(_) => left.push(refused),
            }
        }
        // Whatever else fails, what the table has taken leaves the file now.
        let left = concat_batches(&letters.schema(), &left)?;
        if left.num_rows() == 0 {
            if let Err(error) = spool.remove(path) {
                // Remembered at least.
                let _ = spool.leave(path, &left);
                return Err(error.into());
            }
            tracing::info!(path = %path.display(), "carried letters over from the spool");
        } else if left.num_rows() < letters.num_rows() {
            spool.leave(path, &left)?;
        }
        aside?;
        away.map_or(Ok(()), |away| Err(away.into()))
    }

    /// Tells that letters stay in the spool: at once, and then now and then.
    fn tell(&self, error: &CarryOverError) {
        let mut told = lock(&self.told);
        if told.is_some_and(|told| told.elapsed() < TELL_EVERY) {
            return;
        }
        *told = Some(Instant::now());
        let held = self.spool.as_ref().and_then(|spool| spool.held().ok());
        let letters = held.map_or(0, |held| held.waiting);
        tracing::warn!(error = causes(error), letters, "letters stay in the spool");
    }

    /// Tells, at the start, of letters in the same folder that this pipeline does not carry over: another's, or
    /// those for another table.
    fn tell_of_others(&self) {
        // One that can't be listed keeps no stream from starting.
        let others = self.spool.as_ref().and_then(|spool| spool.others().ok());
        for (of, files) in others.unwrap_or_default() {
            tracing::warn!(
                of,
                files,
                "letters of another pipeline or for another table are in the spool: a stream of that name with that table carries them over"
            );
        }
    }

    /// Counts what the spool holds, for whoever watches.
    fn count(&self) {
        match self.spool.as_ref().map(Spool::held) {
            None => {}
            Some(Ok(held)) => self.status.spool(held),
            Some(Err(error)) => {
                tracing::warn!(error = causes(&error), "cannot look into the spool")
            }
        }
    }

    /// Ends it, as [`Appender::close`] does.
    pub(crate) async fn close(&self) {
        self.table.close().await;
    }
}

/// A refused letter's number.
fn number(refused: &Rejected) -> Option<u64> {
    match refused.position {
        Position::Line(number) => Some(number),
        Position::Message(_) => None,
    }
}

#[cfg(test)]
mod tests;
