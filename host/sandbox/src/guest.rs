//! What surrounds an instance: its limits, its log lines, its lookups. The whole world that a guest
//! can reach is linked here.

use std::collections::BTreeMap;
use std::sync::Arc;

use wasmtime::component::{Component, Linker};
use wasmtime::{ResourceLimiter, StoreContextMut, Trap};

use super::boundary::{Column, Level, LookupError, Text};
use super::engine::MAX_TABLE_ELEMENTS;
use super::hidden::HiddenValues;
use super::lookup::Lookups;
use super::redactor::Redactor;
use clickmill_config::Limits;

/// The state of a store.
pub(super) struct Guest {
    stage: Arc<str>,
    limits: Limits,
    lookups: Arc<Lookups>,
    log_lines: usize,
    hidden: HiddenValues,
    redactor: Redactor,
    /// By column, how many values of it are null since they could not be read.
    pub unreadable: BTreeMap<String, u64>,
    /// The last error line: a panic leaves its message there before it traps.
    pub last_error: Option<String>,
    /// The size that its memory was last refused to grow to, in bytes.
    pub refused_memory: Option<usize>,
    /// The most memory it had, in bytes.
    pub most_memory: usize,
}

impl Guest {
    pub(crate) fn new(stage: Arc<str>, limits: Limits, lookups: Arc<Lookups>) -> Self {
        Self {
            stage,
            limits,
            lookups,
            log_lines: 0,
            hidden: HiddenValues::default(),
            redactor: Redactor::default(),
            unreadable: BTreeMap::new(),
            last_error: None,
            refused_memory: None,
            most_memory: 0,
        }
    }

    /// One whose log lines and last error tell no secret.
    pub(crate) fn redacting(self, redactor: Redactor) -> Self {
        Self { redactor, ..self }
    }

    /// Makes ready for the next batch.
    pub(crate) fn next_batch(&mut self, hidden: HiddenValues) {
        self.hidden = hidden;
        self.log_lines = 0;
        self.unreadable.clear();
        self.last_error = None;
        self.refused_memory = None;
    }

    fn log(&mut self, level: Level, message: String) {
        if matches!(level, Level::Info)
            && let Some((column, values)) = unreadable(&message)
            && self.unreadable.len() < MAX_COUNTED_COLUMNS
        {
            let sum = self.unreadable.entry(column.to_owned()).or_default();
            *sum = sum.saturating_add(values);
            return;
        }
        let message = self.redactor.clean(message, self.limits.max_message_bytes);
        self.log_lines += 1;
        if self.log_lines <= self.limits.max_log_lines {
            let message = self.hidden.keep_all_out(&message);
            let plugin = &*self.stage;
            match level {
                Level::Debug => tracing::debug!(plugin, message, "plugin says"),
                Level::Info => tracing::info!(plugin, message, "plugin says"),
                Level::Warn => tracing::warn!(plugin, message, "plugin says"),
                // A panic logs here before it traps, and the fault is reported with it.
                Level::Error => tracing::debug!(plugin, message, "plugin says"),
            }
        }
        if matches!(level, Level::Error) {
            self.last_error = Some(message);
        }
    }
}

/// Columns that a call may name. Those that it does not write do not count.
const MAX_COUNTED_COLUMNS: usize = 1024;

/// Reads `unreadable 3 ip`, by which the SDK says that three values of a column could not be read and are
/// null instead. Contract 0.1 has no counters, so it is a line of the log.
fn unreadable(line: &str) -> Option<(&str, u64)> {
    let (values, column) = line.strip_prefix("unreadable ")?.split_once(' ')?;
    Some((column, values.parse().ok()?))
}

impl ResourceLimiter for Guest {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let granted = desired <= self.limits.max_memory_bytes;
        if granted {
            self.most_memory = self.most_memory.max(desired);
        } else {
            self.refused_memory = Some(desired);
        }
        Ok(granted)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= MAX_TABLE_ELEMENTS)
    }
}

/// What a host call costs a guest, so that it cannot make the host work for nothing: about what the
/// same work costs in Wasm.
const FUEL_PER_CALL: usize = 100;
const FUEL_PER_KEY: usize = 50;

fn charge(store: &mut StoreContextMut<'_, Guest>, work: usize) -> wasmtime::Result<()> {
    let fuel = store.get_fuel()?;
    let left = fuel.checked_sub((FUEL_PER_CALL + work) as u64);
    store.set_fuel(left.unwrap_or(0))?;
    left.map(|_| ()).ok_or_else(|| Trap::OutOfFuel.into())
}

/// Links the imports of the contract, and for any other import a function that traps: a component
/// built for WASI loads, and finds an empty world.
pub(super) fn link(
    engine: &wasmtime::Engine,
    component: &Component,
) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = given(engine)?;
    linker.define_unknown_imports_as_traps(component)?;
    Ok(linker)
}

/// Links the imports of the contract.
pub(super) fn given(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    linker.instance("clickmill:plugin/log@0.1.0")?.func_wrap(
        "write",
        |mut store: StoreContextMut<'_, Guest>, (level, message): (Level, String)| {
            charge(&mut store, message.len())?;
            store.data_mut().log(level, message);
            Ok(())
        },
    )?;
    linker.instance("clickmill:plugin/lookup@0.1.0")?.func_wrap(
        "find",
        |mut store: StoreContextMut<'_, Guest>,
         (table, field, keys): (String, String, Text)|
         -> wasmtime::Result<(Result<Column, LookupError>,)> {
            charge(&mut store, keys.bytes.len() + keys.offsets.len() * FUEL_PER_KEY)?;
            Ok((store.data().lookups.find(&table, &field, &keys),))
        },
    )?;
    Ok(linker)
}
