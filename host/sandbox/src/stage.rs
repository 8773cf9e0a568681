//! One stage: a configured plugin, and a worker's instance of it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::Field;
use wasmtime::component::{ComponentExportIndex, Instance, InstancePre};
use wasmtime::{FrameInfo, Store, Trap, WasmBacktrace};

use super::allowance::{Allowance, FuelLimit, UsedUp};
use super::boundary::{BatchIn, ColumnIn, ProcessIn, ProcessOut};
use super::contract::Contract;
use super::contract_0_1;
use super::ending::{CallLimits, Ending, TIMED_OUT, output_of_batch};
use super::guest::{Guest, store};
use super::hidden::HiddenValues;
use super::kind::Columns;
use super::lift::{Announced, Answer, AnswerError, check};
use super::lookup::Lookups;
use super::lower::{Lowered, bytes_of, lower};
use super::permits::{Permit, Permits};
use super::processor_time::{OutOfTime, Slice, set_fuel, spent, until};
use super::redactor::Redactor;
use clickmill_config::{InstanceLife, Limits};
use clickmill_core::batch::{Batch, Reason};
use clickmill_core::path::Path;
use clickmill_core::{Digest, StageName};

/// A configured plugin.
#[derive(Clone)]
pub(super) struct Stage {
    pub name: StageName,
    /// Digest of the component.
    pub digest: Digest,
    /// The contract that the component was built for.
    pub contract: Contract,
    pub pre: InstancePre<Guest>,
    pub slice: Slice,
    pub permits: Permits,
    pub process: ComponentExportIndex,
    /// The configuration with its secrets. Never printed.
    pub config: String,
    /// The configuration with made-up secrets.
    pub rehearsal: String,
    /// What the plugin prepared for its configuration.
    pub prepared: Vec<u8>,
    /// Takes the secrets out of what the plugin says.
    pub redactor: Redactor,
    pub reads: Columns,
    pub writes: Columns,
    /// The names of both, which a message may say.
    pub names: Arc<HashSet<String>>,
    /// The columns of the batch that are written, with all that they have afterwards.
    pub written: Vec<Field>,
    /// Where it may make several rows of one: how many stages before it may.
    pub multiplies: Option<u32>,
    pub lookups: Arc<Lookups>,
    pub limits: Limits,
    pub life: InstanceLife,
}

/// A stage as one worker runs it.
pub(super) struct StageWorker {
    pub stage: Arc<Stage>,
    /// The plugin gets made-up secrets.
    rehearses: bool,
    /// The columns that are wanted behind it; all where absent.
    wanted: Option<BTreeSet<String>>,
    kept: Option<Live>,
    /// Values of the batch at hand that no log line says.
    pub hidden: HiddenValues,
    /// Fuel used by all calls so far.
    pub fuel: u64,
    /// Calls so far that ended in a fault.
    pub faults: u64,
    /// Those of them that ended since they took too long.
    pub timeouts: u64,
    /// Log lines so far that were not written.
    pub lines_unwritten: u64,
    /// The most memory that an instance had, in bytes.
    pub most_memory: usize,
    /// By column, values that the plugin could not read and that are null.
    pub unreadable: BTreeMap<String, u64>,
}

impl Stage {
    /// Whether it writes a column of the batch, or a field of it.
    pub(crate) fn writes_column(&self, name: &str) -> bool {
        self.writes.position(name).is_some()
    }

    /// Whether it is the same, but for its secrets: what it makes of a batch then is the same too. Lookup tables
    /// are the same where they were read once, or there are none.
    fn is(&self, other: &Self) -> bool {
        self.name == other.name
            && self.digest == other.digest
            && self.rehearsal == other.rehearsal
            && self.prepared == other.prepared
            && self.reads == other.reads
            && self.writes == other.writes
            && self.written == other.written
            && self.multiplies == other.multiplies
            && self.lookups.are(&other.lookups)
            && self.limits == other.limits
            && self.life == other.life
    }

    /// What the plugin is given of a batch.
    pub(crate) fn given(&self, batch: &Batch) -> Vec<Lowered<'_>> {
        lower(&batch.columns, &self.reads, self.contract == Contract::V0_2)
    }
}

/// A store with its instance, once that is made. Its permit is given back after them.
struct Live {
    store: Store<Guest>,
    instance: Option<Instance>,
    _permit: Permit,
}

impl StageWorker {
    pub(crate) fn new(stage: Arc<Stage>, rehearses: bool) -> Self {
        Self {
            stage,
            rehearses,
            wanted: None,
            kept: None,
            hidden: HiddenValues::default(),
            fuel: 0,
            faults: 0,
            timeouts: 0,
            lines_unwritten: 0,
            most_memory: 0,
            unreadable: BTreeMap::new(),
        }
    }

    /// One behind which these columns are wanted; all where absent.
    pub(crate) fn wanting(self, columns: Option<BTreeSet<String>>) -> Self {
        Self { wanted: columns, ..self }
    }

    /// Whether another makes the same of a batch.
    pub(crate) fn does_as(&self, other: &Self) -> bool {
        let has_secrets =
            |worker: &Self| !worker.rehearses && worker.stage.config != worker.stage.rehearsal;
        self.stage.is(&other.stage)
            && self.wanted == other.wanted
            && !has_secrets(self)
            && !has_secrets(other)
    }

    /// Runs the plugin over a batch or a piece of one, of which it is given this, and begins at this processor time.
    /// The error is why the plugin, not a row, failed.
    pub(crate) fn call(
        &mut self,
        batch: &Batch,
        given: &[Lowered<'_>],
        allowance: &mut Allowance,
        began: Duration,
    ) -> Result<Answer, Reason> {
        self.call_within(batch, given, allowance, began).map_err(|ending| {
            self.faults += 1;
            self.timeouts += u64::from(ending.code == TIMED_OUT);
            self.reason(&ending)
        })
    }

    fn call_within(
        &mut self,
        batch: &Batch,
        given: &[Lowered<'_>],
        allowance: &mut Allowance,
        began: Duration,
    ) -> Result<Answer, Ending> {
        let (limits, rows) = (self.stage.limits, batch.rows());
        let bytes = bytes_of(given);
        let share = allowance.share(rows, bytes);
        let mut live = self.kept.take().unwrap_or_else(|| self.fresh());
        let Live { store, instance, .. } = &mut live;
        let deadline = began.saturating_add(share.time);
        store.data_mut().next_call(self.hidden.clone(), deadline, allowance.log_lines);
        // What is copied out: the answer, and what it passes to `log` and `lookup`.
        store.set_hostcall_fuel(limits.max_output_bytes);
        let config = if self.rehearses { &self.stage.rehearsal } else { &self.stage.config };
        let answer = set_fuel(store, self.stage.slice, share.fuel).and_then(|()| {
            until(deadline, call(&self.stage, config, store, instance, (batch, given)))
        });
        let used = share.fuel.saturating_sub(store.get_fuel().unwrap_or(0));
        self.fuel += used;
        let guest = store.data_mut();
        self.most_memory = self.most_memory.max(guest.most_memory);
        self.lines_unwritten += guest.lines_unwritten;
        allowance.log_lines = guest.lines_left;
        let copied = match &answer {
            Ok(Ok(output)) => output.bytes(),
            Ok(Err(fault)) => fault.message.len(),
            Err(error) if error.is::<Trap>() || error.is::<OutOfTime>() => 0,
            // How much was copied before the error is not known.
            Err(_) => limits.max_output_bytes,
        };
        allowance.spend(used, guest.most_memory + copied);
        let has_trapped = answer.is_err();
        let answer = match answer {
            Ok(Ok(output)) => {
                let Stage { reads, writes, multiplies, redactor, .. } = &*self.stage;
                let output = redactor.clean_answer(output, limits.max_message_bytes);
                let wanted = self.wanted.as_ref();
                let announced =
                    Announced { reads, writes, multiplies: multiplies.is_some(), wanted };
                check(output, &batch.columns, announced, &limits).map_err(|error| match error {
                    AnswerError::TooLarge(bytes) => {
                        Ending::answer_too_large(bytes, limits.max_output_bytes, &limits)
                    }
                    error => Ending::bad_output(&error.to_string()),
                })
            }
            Ok(Err(fault)) => {
                let redactor = &self.stage.redactor;
                Err(Ending::fault(&redactor.clean(fault.message, limits.max_message_bytes)))
            }
            Err(error) => {
                let granted_by = FuelLimit::of(&limits, rows, bytes);
                let fuel = &format!("{} for a batch of {rows}, {granted_by}", share.fuel);
                let told = CallLimits { limits, fuel, output: &output_of_batch(&limits) };
                Err(Ending::of(&error, guest, &told).with(&share))
            }
        };
        guest.tell_errors_of_call(has_trapped);
        if let Ok(answer) = &answer {
            let said = std::mem::take(&mut guest.unreadable);
            let rows = answer.came_from.as_ref().map_or(rows, Vec::len);
            self.count_unreadable(said, answer, rows);
            // After a fault nothing of the instance is trusted any more.
            if self.stage.life == InstanceLife::Reuse && self.stage.permits.may_keep() {
                self.kept = Some(live);
            }
        }
        answer
    }

    /// Makes a call for a batch, with made-up secrets, that ends after so much fuel, or where it would otherwise.
    /// Returns the fuel that it used, and, if it ended for want of it, where it was: its functions, the innermost
    /// first.
    pub(crate) fn probe(&self, batch: &Batch, fuel: Option<u64>) -> (u64, Option<Vec<String>>) {
        let (stage, limits) = (&self.stage, self.stage.limits);
        let given = stage.given(batch);
        let (rows, bytes) = (batch.rows(), bytes_of(&given));
        let share = Allowance::new(limits, rows, bytes).share(rows, bytes);
        let fuel = fuel.unwrap_or(share.fuel);
        let mut live = self.fresh();
        let Live { store, instance, .. } = &mut live;
        let deadline = spent().saturating_add(share.time);
        store.data_mut().next_call(HiddenValues::default(), deadline, 0);
        store.set_hostcall_fuel(limits.max_output_bytes);
        let ended = set_fuel(store, stage.slice, fuel).and_then(|()| {
            let called = call(stage, &stage.rehearsal, store, instance, (batch, &given));
            until(deadline, called).map(drop)
        });
        let used = fuel.saturating_sub(store.get_fuel().unwrap_or(0));
        let error = ended.err().filter(|e| e.downcast_ref::<Trap>() == Some(&Trap::OutOfFuel));
        let trace = error.as_ref().map(|error| error.downcast_ref::<WasmBacktrace>());
        let frames = trace.map(|trace| trace.map_or(&[][..], WasmBacktrace::frames));
        (used, frames.map(|frames| frames.iter().map(called).collect()))
    }

    /// Counts what the plugin says of a batch of so many rows, as far as it can be true.
    fn count_unreadable(&mut self, said: BTreeMap<String, u64>, answer: &Answer, rows: usize) {
        for (column, values) in said {
            if let Some(nulls) = nulls_of(&self.stage.writes, &answer.columns, &column, rows) {
                *self.unreadable.entry(column).or_default() += values.min(nulls as u64);
            }
        }
    }

    fn fresh(&self) -> Live {
        let stage = &self.stage;
        let permit = stage.permits.take();
        let guest = Guest::idle(stage.name.clone().into(), stage.limits, stage.lookups.clone());
        let guest = guest.redacting(stage.redactor.clone());
        Live { store: store(stage.pre.engine(), guest), instance: None, _permit: permit }
    }

    /// Its rows have so many bytes, and of what it may return for a batch so many were left.
    pub(crate) fn output_too_large(&self, bytes: usize, left: usize) -> Reason {
        self.reason(&Ending::answer_too_large(bytes, left, &self.stage.limits))
    }

    /// It used up all that it may for a batch.
    pub(crate) fn gave_up(&self, of: UsedUp) -> Reason {
        self.reason(&Ending::gave_up(of))
    }

    fn reason(&self, Ending { code, text }: &Ending) -> Reason {
        let message = format!("plugin `{}` {text}", self.stage.name);
        Reason { code: (*code).to_owned(), message, column: None }
    }
}

/// The name of a function as its author knows it, or its number where the component has no names.
fn called(frame: &FrameInfo) -> String {
    match frame.func_name() {
        Some(name) => format!("{:#}", rustc_demangle::demangle(name)),
        None => format!("function {}", frame.func_index()),
    }
}

async fn call(
    stage: &Stage,
    config: &str,
    store: &mut Store<Guest>,
    instance: &mut Option<Instance>,
    (batch, given): (&Batch, &[Lowered<'_>]),
) -> wasmtime::Result<ProcessOut> {
    let instance = match instance {
        Some(instance) => instance,
        None => instance.insert(stage.pre.instantiate_async(&mut *store).await?),
    };
    let columns = given.iter().map(Lowered::column);
    let (rows, ingest_time) = (batch.rows() as u32, batch.ingest_time.get());
    let process = instance
        .get_func(&mut *store, stage.process)
        .ok_or_else(|| wasmtime::format_err!("`process` is not exported"))?;
    // Typed anew on each call, since the type carries the borrow; with one call per batch the cost is negligible.
    match stage.contract {
        Contract::V0_1 => {
            let columns: Vec<_> = columns.filter_map(contract_0_1::ColumnIn::of).collect();
            let input = contract_0_1::BatchIn { rows, ingest_time, columns: &columns };
            let process = process
                .typed::<contract_0_1::ProcessIn<'_>, (contract_0_1::ProcessOut,)>(&*store)?;
            let (output,) = process.call_async(store, (config, input)).await?;
            Ok(output.map(contract_0_1::Output::now))
        }
        Contract::V0_2 => {
            let columns: Vec<ColumnIn<'_>> = columns.collect();
            let input = BatchIn { rows, ingest_time, columns: &columns };
            let process = process.typed::<ProcessIn<'_>, (ProcessOut,)>(&*store)?;
            let (output,) = process.call_async(store, (config, &stage.prepared, input)).await?;
            Ok(output)
        }
    }
}

/// How many values of a column that is written can be null: one for each row, record or element there is.
fn nulls_of(writes: &Columns, columns: &[ArrayRef], column: &str, rows: usize) -> Option<usize> {
    let mut path = Path::of(column);
    if writes.find(&path).is_none() {
        path = column.parse().ok()?;
    }
    writes.find(&path)?;
    let mut names = path.names();
    let array = columns.get(writes.position(names.next()?)?)?;
    let mut values = rows;
    let mut array = array.clone();
    for name in names {
        if let Some(list) = array.as_list_opt::<i32>() {
            array = list.values().clone();
        }
        values = array.len();
        array = array.as_struct_opt()?.column_by_name(name)?.clone();
    }
    Some(values)
}
