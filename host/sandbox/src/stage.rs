//! One stage: a configured plugin, and a worker's instance of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use wasmtime::component::{ComponentExportIndex, Instance, InstancePre};
use wasmtime::{Store, Trap};

use super::boundary::{BatchIn, ColumnIn, DataType, ProcessIn, ProcessOut};
use super::engine_words::{called_unknown_import, copied_too_much};
use super::guest::Guest;
use super::hidden::HiddenValues;
use super::lift::{Answer, check};
use super::lookup::Lookups;
use super::lower::Lowered;
use super::redactor::Redactor;
use clickmill_config::{InstanceLife, Limits};
use clickmill_core::batch::{Batch, Reason};
use clickmill_core::{Digest, StageName};

/// A configured plugin.
pub(super) struct Stage {
    pub name: StageName,
    /// Digest of the component.
    pub digest: Digest,
    pub pre: InstancePre<Guest>,
    pub process: ComponentExportIndex,
    /// The configuration with its secrets. Never printed.
    pub config: String,
    /// The configuration with made-up secrets.
    pub rehearsal: String,
    /// Takes the secrets out of what the plugin says.
    pub redactor: Redactor,
    pub reads: Vec<(String, DataType)>,
    pub writes: Vec<(String, DataType)>,
    pub lookups: Arc<Lookups>,
    pub limits: Limits,
    pub life: InstanceLife,
}

/// A stage as one worker runs it.
pub(super) struct StageWorker {
    pub stage: Arc<Stage>,
    /// The plugin gets made-up secrets.
    rehearses: bool,
    kept: Option<(Store<Guest>, Instance)>,
    /// Values of the batch at hand that no log line says.
    pub hidden: HiddenValues,
    /// Fuel used by all calls so far.
    pub fuel: u64,
    /// Calls so far that ended in a fault.
    pub faults: u64,
    /// The most memory that an instance had, in bytes.
    pub most_memory: usize,
    /// By column, values that the plugin could not read and that are null.
    pub unreadable: BTreeMap<String, u64>,
}

impl StageWorker {
    pub(crate) fn new(stage: Arc<Stage>, rehearses: bool) -> Self {
        Self {
            stage,
            rehearses,
            kept: None,
            hidden: HiddenValues::default(),
            fuel: 0,
            faults: 0,
            most_memory: 0,
            unreadable: BTreeMap::new(),
        }
    }

    /// Runs the plugin over a batch. The error is why the plugin, not a row, failed.
    pub(crate) fn call(&mut self, batch: &Batch) -> Result<Answer, Reason> {
        let (mut store, instance) = match self.kept.take() {
            Some(kept) => kept,
            None => self.instantiate()?,
        };
        let rows = batch.rows();
        let limits = self.stage.limits;
        let fuel = limits
            .max_fuel_per_record
            .saturating_mul(rows as u64)
            .saturating_add(limits.max_fuel_per_batch);
        store.data_mut().next_batch(self.hidden.clone());
        // What is copied out: the answer, and what it passes to `log` and `lookup`.
        store.set_hostcall_fuel(limits.max_output_bytes);
        let config = if self.rehearses { &self.stage.rehearsal } else { &self.stage.config };
        let answer = store
            .set_fuel(fuel)
            .and_then(|()| call(&self.stage, config, &mut store, &instance, batch));
        self.fuel += fuel - store.get_fuel().unwrap_or(0);
        self.most_memory = self.most_memory.max(store.data().most_memory);
        let answer = match answer {
            Ok(Ok(output)) => {
                let output = self.stage.redactor.clean_answer(output, limits.max_message_bytes);
                check(output, rows, &self.stage.writes, limits.max_message_bytes).map_err(|error| {
                    self.reason("plugin_bad_output", &format!("answered nonsense: {error}"))
                })
            }
            Ok(Err(fault)) => {
                let message = self.stage.redactor.clean(fault.message, limits.max_message_bytes);
                Err(self.reason("plugin_fault", &format!("failed: {message}")))
            }
            Err(error) => Err(self.explain(&error, store.data(), rows, fuel)),
        };
        if answer.is_ok() {
            self.count_unreadable(std::mem::take(&mut store.data_mut().unreadable), rows);
        }
        match &answer {
            Ok(_) if self.stage.life == InstanceLife::Reuse => self.kept = Some((store, instance)),
            Ok(_) => {}
            // After a fault nothing of the instance is trusted any more.
            Err(_) => self.faults += 1,
        }
        answer
    }

    /// Counts what the plugin says of a batch of so many rows, as far as it can be true.
    fn count_unreadable(&mut self, said: BTreeMap<String, u64>, rows: usize) {
        let written = |column: &str| self.stage.writes.iter().any(|(name, _)| name == column);
        for (column, values) in said.into_iter().filter(|(column, _)| written(column)) {
            *self.unreadable.entry(column).or_default() += values.min(rows as u64);
        }
    }

    fn instantiate(&self) -> Result<(Store<Guest>, Instance), Reason> {
        let stage = &self.stage;
        let guest = Guest::new(stage.name.clone().into(), stage.limits, stage.lookups.clone());
        let guest = guest.redacting(stage.redactor.clone());
        let mut store = Store::new(stage.pre.engine(), guest);
        store.limiter(|guest| guest);
        let instance = store
            .set_fuel(stage.limits.max_fuel_per_batch)
            .and_then(|()| stage.pre.instantiate(&mut store));
        match instance {
            Ok(instance) => Ok((store, instance)),
            Err(error) => {
                Err(self.explain(&error, store.data(), 0, stage.limits.max_fuel_per_batch))
            }
        }
    }

    /// Says what ended a call, in words of the limits.
    fn explain(&self, error: &wasmtime::Error, guest: &Guest, rows: usize, fuel: u64) -> Reason {
        let limits = self.stage.limits;
        if let Some(wanted) = guest.refused_memory {
            let limit = limits.max_memory_bytes;
            let text =
                format!("exceeded its memory limit: limit {limit} bytes, wanted {wanted} bytes");
            return self.reason("plugin_out_of_memory", &text);
        }
        match error.downcast_ref::<Trap>() {
            Some(Trap::OutOfFuel) => {
                let text = format!("ran out of fuel: limit {fuel} for a batch of {rows}");
                self.reason("plugin_out_of_fuel", &text)
            }
            Some(Trap::StackOverflow) => {
                self.reason("plugin_trap", "trapped: its call stack overflowed")
            }
            Some(trap) => {
                let said = guest.last_error.as_deref().map_or(trap.to_string(), str::to_owned);
                self.reason("plugin_trap", &format!("trapped: {said}"))
            }
            None => {
                if copied_too_much(error) {
                    return self.output_too_large();
                }
                let text = error.root_cause().to_string();
                let text = self.stage.redactor.clean(text, limits.max_message_bytes);
                if called_unknown_import(error) {
                    let text = format!("called what no plugin is given: {text}");
                    return self.reason("plugin_trap", &text);
                }
                self.reason("plugin_bad_output", &format!("answered nonsense: {text}"))
            }
        }
    }

    /// It returned more than it may for a batch.
    pub(crate) fn output_too_large(&self) -> Reason {
        let limit = self.stage.limits.max_output_bytes;
        self.reason(
            "plugin_output_too_large",
            &format!("returned too much: limit {limit} bytes a batch"),
        )
    }

    fn reason(&self, code: &str, text: &str) -> Reason {
        let message = format!("plugin `{}` {text}", self.stage.name);
        Reason { code: code.to_owned(), message, column: None }
    }
}

fn call(
    stage: &Stage,
    config: &str,
    store: &mut Store<Guest>,
    instance: &Instance,
    batch: &Batch,
) -> wasmtime::Result<ProcessOut> {
    let lowered: Vec<(&str, Lowered)> = stage
        .reads
        .iter()
        .filter_map(|(name, _)| {
            let array = batch.columns.column_by_name(name)?;
            Some((name.as_str(), Lowered::new(array)?))
        })
        .collect();
    let columns: Vec<ColumnIn<'_>> =
        lowered.iter().map(|(name, column)| column.column(name)).collect();
    let (rows, ingest_time) = (batch.rows() as u32, batch.ingest_time.get());
    let input = BatchIn { rows, ingest_time, columns: &columns };
    let process = instance
        .get_func(&mut *store, stage.process)
        .ok_or_else(|| wasmtime::format_err!("`process` is not exported"))?;
    // Typed anew on each call, since the type carries the borrow; with one call per batch the cost is negligible.
    let process = process.typed::<ProcessIn<'_>, (ProcessOut,)>(&*store)?;
    let (output,) = process.call(store, (config, input))?;
    Ok(output)
}
