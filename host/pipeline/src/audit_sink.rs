//! The audit trail of a pipeline: who changed what, entered before it counts.
//!
//! An entry is *entered* once it is the end of this host's own chain, a file, and durable there. From the
//! file it is carried to the table, by a thread of its own, for as long as that takes. What a change goes
//! through, and what a kill at that point leaves:
//!
//! | step | killed right here |
//! |---|---|
//! | a swap is checked, its set kept and in `plugin_sets` | nothing changed, nothing is said |
//! | it is entered; where that fails it is refused | the entry tells of a swap that did not count: no row names its set, and the next start's entry names the set that runs |
//! | it counts | rows name its set; the next start's entry says whether it was remembered |
//! | it does not count, since what it was checked against was taken back meanwhile | no row names its set; a refusal after its entry says so, else the next start's entry names the set that runs |
//! | it is remembered | the next start goes on with it, and says so |
//! | its entry is carried to the table | the next start carries it |
//!
//! A canary takes over once that is entered. Where the file takes no entry it stays a canary: it goes on with its
//! batches, is watched as before, and is tried again each second.
//!
//! A rollback and a refusal were decided already, and nobody is to wait for a disk before a bad set is gone: they
//! count first, and another such thread enters them at once. Where the file takes no entry, that is told at error
//! and by `/readyz`, no swap passes before them, no pipeline starts without its entry, and they are tried until
//! the process ends; what is left then is told, and lost. A kill before that loses them too: rows name their set,
//! and the next start's entry the set that runs.

mod carrier;
mod denied;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::threads::{Threads, Wake};
use carrier::Carrier;
use clickmill_audit as audit;
use clickmill_audit::{Action, AuditError, Entry, Event, Log, Outcome};
use clickmill_config::TableName;
use clickmill_core::schema::SchemaError;
use clickmill_core::{Fault, Micros, causes, lock};
use clickmill_sink::Tables;
use denied::Denied;

/// The most entries that wait for the file.
const MAX_LATE: usize = 200;
/// The most of those that callers can bring about as they like, and that change nothing: they are not to
/// take the place of what does.
const MAX_LATE_REFUSALS: usize = 100;
/// For how long an entry stands for what follows it, where callers can bring as many about as they like.
const STANDS_FOR: Duration = Duration::from_secs(60);

/// Enters who changed what.
pub struct AuditSink {
    log: Log,
    pipeline: String,
    carrier: Carrier,
    /// The sets that the newest entry names of those before this process, which say what runs.
    ran_last: Vec<String>,
    /// Held while entries are appended, so that what was done first is entered first.
    order: Mutex<()>,
    late: Mutex<VecDeque<Late>>,
    head: Mutex<Option<Entry>>,
    /// Callers that were turned away, by what they showed.
    denied: Mutex<BTreeMap<&'static str, Denied>>,
    /// Who was shown what, and when that was entered.
    shown: Mutex<Vec<(String, Instant)>>,
    /// Something is late.
    to_enter: Wake,
    /// Something was appended.
    to_carry: Wake,
    /// The table is not asked any more.
    has_ended: AtomicBool,
}

/// What enters and carries over, while it is there.
pub struct Kept {
    _threads: Threads,
}

/// Something that counts, and is not entered yet.
struct Late {
    event: Event,
    at: Micros,
    /// Others after it that had no place in the queue.
    more: u64,
    /// It could not be entered at once, and that is told.
    is_told: bool,
}

impl Late {
    /// As it is entered.
    fn to_event(&self) -> Event {
        let mut event = self.event.clone();
        let mut add = |text: String| {
            let parted = if event.detail.is_empty() { "" } else { "; " };
            event.detail = format!("{}{parted}{text}", event.detail);
        };
        if self.is_told {
            add(format!("entered late, it was at {}", self.at));
        }
        if self.more > 0 {
            add(format!("{} later ones are in no entry", self.more));
        }
        event
    }
}

fn says_what_runs(entry: &Entry) -> bool {
    let is_done = entry.outcome == Outcome::Done;
    match entry.action {
        Action::Start | Action::Swap | Action::Promote | Action::Rollback => is_done,
        // However the run ended.
        Action::Stop => true,
        _ => false,
    }
}

impl AuditSink {
    /// Opens the log of a pipeline in a folder, and its table in the dataset of `target`, which is there.
    ///
    /// # Errors
    ///
    /// Where there is no such folder and none can be made, or the name is none that a pipeline has.
    pub fn open(
        folder: &Path,
        pipeline: &str,
        tables: &Tables,
        target: &TableName,
        runtime: &tokio::runtime::Handle,
    ) -> Result<Self, AuditSinkError> {
        let log = Log::open(folder, pipeline)?;
        let path = folder.join(format!("{pipeline}.jsonl"));
        // What can't be read is for `audit verify` to tell.
        let before: Vec<Entry> = if path.is_file() {
            audit::read(&path)?.filter_map(Result::ok).collect()
        } else {
            Vec::new()
        };
        let head = Mutex::new(before.last().cloned());
        let ran_last = before.iter().rev().find(|entry| says_what_runs(entry));
        let ran_last = ran_last.iter().flat_map(|e| [&e.old_plugin_set, &e.new_plugin_set]);
        let ran_last = ran_last.flatten().cloned().collect();
        let carrier = Carrier::new(tables, target, runtime, before)?;
        Ok(Self {
            log,
            pipeline: pipeline.to_owned(),
            carrier,
            ran_last,
            order: Mutex::default(),
            late: Mutex::default(),
            head,
            denied: Mutex::default(),
            shown: Mutex::default(),
            to_enter: Wake::default(),
            to_carry: Wake::default(),
            has_ended: AtomicBool::default(),
        })
    }

    /// The plugin sets of which one ran last on this host, as far as its own chain says: where that ends in a
    /// stop it is one, and two where the process was killed after a swap.
    pub fn ran_last(&self) -> &[String] {
        &self.ran_last
    }

    /// Enters what is about to count: durable once this returns, after all that counted before it.
    ///
    /// # Errors
    ///
    /// Where it is not entered: then it is not to be done.
    pub fn enter(&self, event: Event) -> Result<(), AuditError> {
        let _order = lock(&self.order);
        self.append_late()?;
        self.append(event)
    }

    /// Has what counts already entered as soon as that can be. Waits for nothing.
    pub fn enter_late(&self, event: Event) {
        {
            let most = match event.action {
                Action::Refuse | Action::Deny => MAX_LATE_REFUSALS,
                _ => MAX_LATE,
            };
            let mut late = lock(&self.late);
            if late.len() < most {
                late.push_back(Late { event, at: Micros::now(), more: 0, is_told: false });
            } else if let Some(last) = late.back_mut() {
                last.more += 1;
            }
        }
        self.to_enter.wake();
    }

    /// Enters that somebody is about to be shown values that are raw, or masked in the table. For a minute
    /// the entry stands for all that `who` is shown of this `subject`.
    ///
    /// # Errors
    ///
    /// Where it is not entered: then nothing is to be shown.
    pub fn reveal(&self, who: &str, event: Event) -> Result<(), AuditError> {
        let key = format!("{who} {}", event.subject);
        {
            let mut shown = lock(&self.shown);
            shown.retain(|(_, entered)| entered.elapsed() < STANDS_FOR);
            if shown.iter().any(|(known, _)| *known == key) {
                return Ok(());
            }
        }
        self.enter(event)?;
        lock(&self.shown).push((key, Instant::now()));
        Ok(())
    }

    /// Has it entered that a caller was turned away for `what` it showed, such as `token`: one at once, those of
    /// the minute after it by their number. Waits for nothing.
    pub fn deny(&self, what: &'static str, from: SocketAddr) {
        lock(&self.denied).entry(what).or_default().count(from);
        self.count_denied(STANDS_FOR);
    }

    /// Enters what waits to be, and brings into the table what that lacks, as far as it takes them now.
    /// Blocks: it belongs on a thread, not in a task.
    pub fn settle(&self) {
        self.enter_those_late();
        self.carrier.carry();
    }

    /// The same, for the last time; what is left is told. `last` is what was done last.
    pub(crate) fn end(&self, last: Option<Event>) {
        // Before the table is asked: whoever asks it now is waited for, and nobody does afterwards.
        self.has_ended.store(true, Ordering::SeqCst);
        self.count_denied(Duration::ZERO);
        last.into_iter().for_each(|last| self.enter_late(last));
        self.settle();
        for late in lock(&self.late).iter() {
            let Event { actor, action, detail, .. } = late.to_event();
            let action = action.as_str();
            tracing::error!(actor, action, detail, "this is lost: the audit log did not take it");
        }
    }

    /// Keeps entering and carrying until what is returned is dropped, which has to be before the runtime is.
    pub fn kept(self: &Arc<Self>) -> Kept {
        let threads = Threads::default();
        self.keep(&threads);
        Kept { _threads: threads }
    }

    /// Keeps entering what is late, and carrying entries over, on a thread each: a table that takes its time
    /// keeps nothing out of the log.
    pub(crate) fn keep(self: &Arc<Self>, threads: &Threads) {
        let sink = self.clone();
        threads.spawn("audit log", move |end| {
            let enter = || {
                sink.count_denied(STANDS_FOR);
                sink.enter_those_late();
            };
            sink.to_enter.work_until(end, enter);
            enter();
        });
        let sink = self.clone();
        threads.spawn("audit table", move |end| {
            sink.to_carry.work_until(end, || {
                if !sink.has_ended.load(Ordering::SeqCst) {
                    sink.carrier.carry();
                }
            });
        });
    }

    /// How many entries wait for the file, and how many for the table.
    pub(crate) fn waiting(&self) -> (u64, u64) {
        let late = lock(&self.late);
        let late = late.iter().map(|late| 1 + late.more).sum();
        (late, self.carrier.waiting())
    }

    /// Logs the head of the chain, to be kept where nobody who may write the log can.
    pub(crate) fn tell_head(&self) {
        if let Some(Entry { sequence, hash, .. }) = &*lock(&self.head) {
            let pipeline = &self.pipeline;
            tracing::info!(pipeline, entries = sequence, head = hash, "audit log");
        }
    }

    fn enter_those_late(&self) {
        let entered = {
            let _order = lock(&self.order);
            self.append_late()
        };
        if let Err(error) = entered {
            self.tell_late(&error);
        }
    }

    /// Appends what is late, in its order. Under the lock `order`.
    fn append_late(&self) -> Result<(), AuditError> {
        // The queue is not locked meanwhile: whoever adds one does not wait.
        let next = || lock(&self.late).front().map(Late::to_event);
        while let Some(event) = next() {
            self.append(event)?;
            lock(&self.late).pop_front();
        }
        Ok(())
    }

    fn append(&self, event: Event) -> Result<(), AuditError> {
        let after = self.before_the_first();
        let entry = self.log.append(event, after)?;
        let before = lock(&self.head).replace(entry.clone());
        if let Some(before) = before.filter(|before| before.sequence >= entry.sequence) {
            tracing::error!(
                pipeline = self.pipeline,
                entries = before.sequence,
                head = before.hash,
                goes_on_with = entry.sequence,
                "the audit log was removed, cut or exchanged while this ran: it no longer has the entry with this hash"
            );
        }
        self.carrier.add(entry);
        self.to_carry.wake();
        Ok(())
    }

    /// The hash of the entry after which a chain is begun: the last one that is known, where its file is gone,
    /// so that it is missed.
    fn before_the_first(&self) -> Option<String> {
        let head = lock(&self.head).as_ref().map(|head| head.hash.clone());
        head.or_else(|| self.log.is_new().then(|| self.carrier.newest(&self.pipeline)).flatten())
    }

    /// Tells what is not entered and counts all the same, each once.
    fn tell_late(&self, error: &AuditError) {
        let error = causes(error);
        for late in lock(&self.late).iter_mut().filter(|late| !late.is_told) {
            late.is_told = true;
            let Event { actor, action, detail, .. } = &late.event;
            let action = action.as_str();
            tracing::error!(
                error,
                actor,
                action,
                detail,
                "this counts and is not in the audit log yet: it is tried again, and no swap passes before it"
            );
        }
    }

    /// Has those entered that were turned away since the last entry, where that is so long ago.
    fn count_denied(&self, since: Duration) {
        let denied: Vec<Event> = {
            let mut denied = lock(&self.denied);
            denied.iter_mut().filter_map(|(what, denied)| denied.take(what, since)).collect()
        };
        denied.into_iter().for_each(|event| self.enter_late(event));
    }
}

/// Why there is no audit trail.
#[derive(Debug, thiserror::Error)]
pub enum AuditSinkError {
    /// The log file can't be used.
    #[error(transparent)]
    Log(#[from] AuditError),
    /// The table's schema is broken: a bug in clickmill.
    #[error(transparent)]
    Schema(#[from] SchemaError),
}

impl AuditSinkError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Log(error) => error.fault(),
            Self::Schema(_) => Fault::Bug,
        }
    }
}

#[cfg(test)]
mod tests;
