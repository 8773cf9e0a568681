//! What surrounds an instance: its limits, its log lines, its lookups. The whole world that a guest
//! can reach is linked here.

use std::collections::BTreeMap;
use std::mem::take;
use std::sync::Arc;
use std::time::Duration;

use tracing::level_filters::LevelFilter;
use wasmtime::component::{Component, Linker, WasmStr};
use wasmtime::{ResourceLimiter, Store, StoreContextMut, Trap};

use super::boundary::{Column, Level, LookupError, LookupKeys};
use super::contract_0_1;
use super::engine::MAX_TABLE_ELEMENTS;
use super::hidden::HiddenValues;
use super::lift::{MAX_NAME_BYTES, cut};
use super::lookup::{Lookups, size_of_answer};
use super::processor_time::{OutOfTime, spent};
use super::redactor::Redactor;
use super::shape::MOST_PARTS;
use clickmill_config::Limits;
use clickmill_core::path::MAX_DEPTH;

/// The state of a store.
pub(super) struct Guest {
    stage: Arc<str>,
    limits: Limits,
    lookups: Arc<Lookups>,
    hidden: HiddenValues,
    pub redactor: Redactor,
    /// The processor time of its thread at which its call ends.
    pub deadline: Duration,
    /// Log lines that it may still write.
    pub lines_left: usize,
    /// Log lines that were not written, being more than it may write.
    pub lines_unwritten: u64,
    /// By column, how many values of it are null since they could not be read.
    pub unreadable: BTreeMap<String, u64>,
    /// The last error line, or the first one of a trace: a panic leaves its message there before it traps.
    pub last_error: Option<String>,
    trace: Trace,
    /// Error lines that are not written yet, and which of them is the last error.
    errors: Vec<String>,
    last_error_at: usize,
    /// The size that its memory was refused to grow to when it grew last, in bytes.
    pub refused_memory: Option<usize>,
    /// The memory that it has, in bytes: of all its memories together.
    memory: usize,
    /// The most memory it had, in bytes.
    pub most_memory: usize,
}

impl Guest {
    /// A guest that has a call's time from now on.
    pub(crate) fn new(stage: Arc<str>, limits: Limits, lookups: Arc<Lookups>) -> Self {
        let deadline = spent().saturating_add(Duration::from_secs(limits.max_call_secs));
        Self { deadline, ..Self::idle(stage, limits, lookups) }
    }

    /// A guest that has no time before [`Guest::next_call`].
    pub(crate) fn idle(stage: Arc<str>, limits: Limits, lookups: Arc<Lookups>) -> Self {
        Self {
            stage,
            limits,
            lookups,
            hidden: HiddenValues::default(),
            redactor: Redactor::default(),
            deadline: Duration::ZERO,
            lines_left: limits.max_log_lines,
            lines_unwritten: 0,
            unreadable: BTreeMap::new(),
            last_error: None,
            trace: Trace::default(),
            errors: Vec::new(),
            last_error_at: 0,
            refused_memory: None,
            memory: 0,
            most_memory: 0,
        }
    }

    /// One whose log lines and last error tell no secret.
    pub(crate) fn redacting(self, redactor: Redactor) -> Self {
        Self { redactor, ..self }
    }

    /// Makes ready for the next call. `deadline` is the processor time of this thread at which it ends.
    pub(crate) fn next_call(
        &mut self,
        hidden: HiddenValues,
        deadline: Duration,
        lines_left: usize,
    ) {
        self.hidden = hidden;
        self.deadline = deadline;
        self.lines_left = lines_left;
        self.lines_unwritten = 0;
        self.unreadable.clear();
        self.last_error = None;
        self.trace = Trace::default();
        self.refused_memory = None;
    }

    /// The fuel that the next line costs beside its own bytes. Keeping sensitive values out of it costs the same
    /// whether anybody reads it or not: what a plugin may do is the same at every level. With a piece of a trace
    /// those before it are looked at again.
    fn cost_of_line(&self) -> usize {
        let hiding = if self.lines_left > 0 { self.hidden.cost_of_line() } else { 0 };
        let is_in_pieces = matches!(self.trace, Trace::Pieces);
        let pieces = self.last_error.as_ref().filter(|_| is_in_pieces).map_or(0, String::len);
        hiding.saturating_add(pieces)
    }

    /// Counts values of a column that are null since they could not be read.
    fn count_unreadable(&mut self, column: &str, values: u64) {
        if self.unreadable.len() < MAX_COUNTED_COLUMNS || self.unreadable.contains_key(column) {
            let sum = self.unreadable.entry(column.to_owned()).or_default();
            *sum = sum.saturating_add(values);
        }
    }

    fn log(&mut self, level: Level, message: String) {
        let message = self.redactor.clean(message, self.limits.max_message_bytes);
        let is_error = matches!(level, Level::Error);
        let shown_from = match level {
            Level::Debug => LevelFilter::DEBUG,
            Level::Info => LevelFilter::INFO,
            Level::Warn => LevelFilter::WARN,
            Level::Error => LevelFilter::ERROR,
        };
        // Not by `tracing::enabled!`: a layer with a filter of its own that has said no drops the next event.
        let is_read = shown_from <= LevelFilter::current();
        let left = self.lines_left.checked_sub(1);
        self.lines_left = left.unwrap_or(0);
        self.lines_unwritten += u64::from(left.is_none());
        let shown = (is_read && left.is_some()).then(|| self.hidden.keep_all_out(&message));
        if is_error {
            if self.errors.len() == MOST_ERRORS_KEPT {
                self.tell_errors();
            }
            self.keep_error(message);
            self.errors.extend(shown);
            return;
        }
        // It went on: what it said before is not why it traps, if it does.
        self.tell_errors();
        (self.last_error, self.trace) = (None, Trace::Nowhere);
        let Some(message) = shown else { return };
        let plugin = &*self.stage;
        match level {
            Level::Debug => tracing::debug!(plugin, message, "plugin says"),
            Level::Info => tracing::info!(plugin, message, "plugin says"),
            Level::Warn => tracing::warn!(plugin, message, "plugin says"),
            Level::Error => {}
        }
    }

    /// Writes the error lines that are kept.
    fn tell_errors(&mut self) {
        let plugin = &*self.stage;
        for message in self.errors.drain(..) {
            tracing::error!(plugin, message, "plugin says");
        }
        self.last_error_at = 0;
    }

    /// Writes the error lines of a call that is over. Those of a panic, by which it has trapped, are told with the
    /// fault.
    pub(super) fn tell_errors_of_call(&mut self, has_trapped: bool) {
        if has_trapped {
            let plugin = &*self.stage;
            for message in self.errors.drain(self.last_error_at.min(self.errors.len())..) {
                tracing::debug!(plugin, message, "plugin says");
            }
        }
        self.tell_errors();
    }

    /// Keeps why it traps, if it does.
    fn keep_error(&mut self, message: String) {
        let is_behind = BEHIND_PANIC.iter().any(|word| message.starts_with(word));
        match (self.trace, &mut self.last_error) {
            (Trace::Behind, _) => {}
            (Trace::Line | Trace::Pieces, _) if is_behind => self.trace = Trace::Behind,
            (Trace::Pieces, Some(line)) => {
                if line.len() < self.limits.max_message_bytes {
                    line.push_str(&message);
                    // Each piece was looked at, and what they make together was not.
                    *line = self.redactor.clean(take(line), self.limits.max_message_bytes);
                }
            }
            (_, last) => {
                self.trace = Trace::begun_by(&message);
                *last = Some(message);
                self.last_error_at = self.errors.len();
            }
        }
    }
}

/// Error lines that are kept until it is known whether they are told with a fault.
const MOST_ERRORS_KEPT: usize = 64;

/// Where in a trace the error lines are. Go's runtime writes one in pieces, and where a line of it ends is not told.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Trace {
    /// In none.
    #[default]
    Nowhere,
    /// Behind its first line, if it is one: that may be all there is.
    Line,
    /// Within its first line.
    Pieces,
    /// Behind that.
    Behind,
}

/// How the first line of a trace begins, and the piece that it begins with.
const PANIC: [&str; 2] = ["panic: ", "fatal error: "];
/// How the next one begins.
const BEHIND_PANIC: [&str; 3] = ["goroutine ", "[signal ", "runtime stack:"];

impl Trace {
    fn begun_by(message: &str) -> Self {
        if PANIC.contains(&message) {
            Self::Pieces
        } else if PANIC.iter().any(|word| message.starts_with(word)) {
            Self::Line
        } else {
            Self::Nowhere
        }
    }
}

/// Says how many log lines of a plugin were not written.
pub(super) fn tell_unwritten(plugin: &str, lines: u64) {
    if lines > 0 {
        tracing::warn!(plugin, lines, "log lines beyond `limits.max_log_lines` are not written");
    }
}

/// Columns that a call may name. Those that it does not write do not count.
const MAX_COUNTED_COLUMNS: usize = 1024;

/// The longest path of a column.
const MAX_PATH_BYTES: usize = (MAX_DEPTH + 1) * (MAX_NAME_BYTES + 1);

/// A line of the log is copied so far at least: `unreadable`, a number, and the longest name of a column.
const LINE_BYTES: usize = 32 + MAX_NAME_BYTES;

impl ResourceLimiter for Guest {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let all = self.memory.saturating_add(desired.saturating_sub(current));
        if all > self.limits.max_memory_bytes {
            self.refused_memory = Some(all);
            return Ok(false);
        }
        // Beyond what a memory says of itself it does not grow, so that is not counted.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.memory = all;
        // It asked for less after that, and got it.
        self.refused_memory = None;
        self.most_memory = self.most_memory.max(all);
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= MAX_TABLE_ELEMENTS)
    }

    fn instances(&self) -> usize {
        MOST_PARTS.core_instances as usize
    }

    fn memories(&self) -> usize {
        MOST_PARTS.memories as usize
    }

    fn tables(&self) -> usize {
        MOST_PARTS.tables as usize
    }
}

/// A store for an instance, with no fuel yet.
pub(super) fn store(engine: &wasmtime::Engine, guest: Guest) -> Store<Guest> {
    let mut store = Store::new(engine, guest);
    store.limiter(|guest| guest);
    store
}

/// What a host call costs a guest, so that it cannot make the host work for nothing: about what the
/// same work costs in Wasm. A byte that is looked at or copied, in or out, costs one more.
const FUEL_PER_LINE: usize = 500;
/// A lookup's answer is made, and put into memory that the guest is asked for.
const FUEL_PER_LOOKUP: usize = 2_000;
const FUEL_PER_KEY: usize = 50;

fn charge(store: &mut StoreContextMut<'_, Guest>, work: usize) -> wasmtime::Result<()> {
    // What is set here begins another slice of fuel, after which the guest would stop for the clock.
    if spent() >= store.data().deadline {
        return Err(OutOfTime.into());
    }
    pay(store, work)
}

/// Takes fuel off, within a host call that has looked at the clock.
fn pay(store: &mut StoreContextMut<'_, Guest>, work: usize) -> wasmtime::Result<()> {
    let fuel = store.get_fuel()?;
    let left = fuel.checked_sub(work as u64);
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

/// Links the imports of the contract. Texts and lists are looked at where they lie in the guest's memory:
/// what is not paid for, or too long, is not copied.
pub(super) fn given(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    linker.instance("clickmill:plugin/log@0.1.0")?.func_wrap("write", write_0_1)?;
    linker.instance("clickmill:plugin/lookup@0.1.0")?.func_wrap("find", find_0_1)?;
    let mut log = linker.instance("clickmill:plugin/log@0.2.0")?;
    log.func_wrap("write", write)?;
    log.func_wrap("unreadable", unreadable)?;
    linker.instance("clickmill:plugin/lookup@0.2.0")?.func_wrap("find", find)?;
    Ok(linker)
}

fn write(
    store: StoreContextMut<'_, Guest>,
    (level, message): (Level, WasmStr),
) -> wasmtime::Result<()> {
    let (mut store, message) = line(store, &message)?;
    store.data_mut().log(level, message);
    Ok(())
}

fn write_0_1(
    store: StoreContextMut<'_, Guest>,
    (level, message): (Level, WasmStr),
) -> wasmtime::Result<()> {
    let (mut store, message) = line(store, &message)?;
    match contract_0_1::unreadable(&message) {
        Some((column, values)) if matches!(level, Level::Info) => {
            store.data_mut().count_unreadable(column, values);
        }
        _ => store.data_mut().log(level, message),
    }
    Ok(())
}

fn unreadable(
    mut store: StoreContextMut<'_, Guest>,
    (column, values): (WasmStr, u32),
) -> wasmtime::Result<()> {
    let bytes = column.to_str(&store)?.len();
    charge(&mut store, FUEL_PER_LINE + bytes)?;
    if bytes <= MAX_PATH_BYTES {
        let column = column.to_str(&store)?.into_owned();
        store.data_mut().count_unreadable(&column, values.into());
    }
    Ok(())
}

/// A line of the log, paid for and no longer than it is told.
fn line<'a>(
    mut store: StoreContextMut<'a, Guest>,
    message: &WasmStr,
) -> wasmtime::Result<(StoreContextMut<'a, Guest>, String)> {
    let bytes = message.to_str(&store)?.len();
    let hiding = store.data().cost_of_line();
    charge(&mut store, FUEL_PER_LINE + bytes + hiding)?;
    let Guest { limits, redactor, .. } = store.data();
    // A secret that reaches beyond the limit is seen whole.
    let longest = limits.max_message_bytes.saturating_add(redactor.longest()).max(LINE_BYTES);
    let message = cut(message.to_str(&store)?, longest);
    Ok((store, message))
}

fn find_0_1(
    store: StoreContextMut<'_, Guest>,
    asked: (WasmStr, WasmStr, LookupKeys),
) -> wasmtime::Result<(Result<contract_0_1::Column, LookupError>,)> {
    let (answer,) = find(store, asked)?;
    Ok((contract_0_1::found(answer),))
}

fn find(
    mut store: StoreContextMut<'_, Guest>,
    (table, field, keys): (WasmStr, WasmStr, LookupKeys),
) -> wasmtime::Result<(Result<Column, LookupError>,)> {
    let names = table.to_str(&store)?.len() + field.to_str(&store)?.len();
    let keys_cost = keys.bytes.len() + keys.offsets.len() * FUEL_PER_KEY;
    charge(&mut store, FUEL_PER_LOOKUP + names + keys_cost)?;
    let (table, field) = (table.to_str(&store)?, field.to_str(&store)?);
    let (offsets, bytes) = (keys.offsets.as_le_slice(&store), keys.bytes.as_le_slice(&store));
    let answer = store.data().lookups.find(&table, &field, offsets, bytes);
    pay(&mut store, size_of_answer(&answer))?;
    Ok((answer,))
}

#[cfg(test)]
mod tests;
