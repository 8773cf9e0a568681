//! From a checked pipeline file to something that can run: components compiled, tables made sure of.

pub(crate) mod chain;
mod error;
mod look;
mod options;

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use crossbeam_channel::Receiver;
use futures::stream::{self, StreamExt, TryStreamExt};

use chain::{Loaded, letters, load, target};
pub use error::BuildError;
pub use look::look;
pub use options::Options;

use super::audit_sink::{AuditSink, AuditSinkError};
use super::context::{Context, Outcomes};
use super::fleet::{follow, replica};
use super::observe::metrics;
use super::observe::running::Running;
use super::observe::status::Status;
use super::observe::tap::Taps;
use super::replay::attempts;
use super::run::open::open_object;
use super::swap::set_store::{SetStore, SetStoreError};
use super::swap::watch::{self, AtStart};
use super::swap::{Swaps, table};
use super::threads::{AT_ONCE, Runtime, Threads, Wake};
use super::versions::actor;
use super::versions::reading::Reading;
use super::versions::slot::{Slot, SlotEvent};
use super::versions::version::Origin;
use clickmill_audit as audit;
use clickmill_config::{Pipeline, Place, Source, TableName};
use clickmill_core::schema::{SchemaError, TableSchema};
use clickmill_core::{Micros, causes};
use clickmill_decode::messages;
use clickmill_sandbox::Library;
use clickmill_sink::Tables;
use clickmill_source as source;
use clickmill_source::{Interrupt, Progress};
use clickmill_tables::{failures, ledger};

/// How often rows that are too old are looked for, which lists the tables.
const REMOVE_EVERY: Duration = Duration::from_secs(600);

/// A pipeline that can run.
pub struct PreparedPipeline {
    /// First, so that they end while there is still a runtime.
    threads: Threads,
    context: Arc<Context>,
    runtime: Runtime,
}

/// Ends compiling that still goes on: its result is not needed any more, and is not waited for.
impl Drop for PreparedPipeline {
    fn drop(&mut self) {
        self.context.engine.stop();
    }
}

/// All tables that a pipeline writes to.
pub fn tables_of(pipeline: &Pipeline) -> Result<Vec<(TableName, TableSchema)>, SchemaError> {
    let (sink, letters) = (&pipeline.sink, &pipeline.dead_letter);
    let rows = sink.tables().map(|(table, schema)| (table.clone(), schema.clone()));
    let mut tables: Vec<_> = rows.collect();
    tables.extend([
        (letters.table.clone(), letters.schema.clone()),
        (sink.table.beside(table::TABLE), table::schema()?),
        (sink.table.beside(audit::TABLE), audit::schema()?),
        (sink.table.beside(attempts::TABLE), attempts::schema()?),
    ]);
    if !pipeline.source.is_stream() {
        tables.push((sink.table.beside(ledger::TABLE), ledger::schema()?));
        tables.push((sink.table.beside(failures::TABLE), failures::schema()?));
    }
    Ok(tables)
}

/// Builds a pipeline: plugins are compiled, the tables are there, and `plugin_sets` says what the
/// plugin set is made of.
pub fn build(pipeline: Pipeline, options: &Options) -> Result<PreparedPipeline, BuildError> {
    let prepared = assemble(pipeline, options, Purpose::Run)?;
    let context = &prepared.context;
    if let Some(days) = context.pipeline.sink.retention_days {
        let rows = context.pipeline.sink.tables().map(|(table, _)| table);
        let of = rows.chain([&context.pipeline.dead_letter.table]);
        let of: Vec<TableName> = of.cloned().collect();
        prepared.runtime.block_on(context.tables.keep_for(days, &of))?;
        keep_removing(context, days, of, &prepared.threads);
    }
    let published = context.publish(&context.slot.current().library);
    published.map_err(|error| BuildError::Publish(Box::new(error)))?;
    context.begin().map_err(AuditSinkError::from)?;
    Ok(prepared)
}

/// Removes what is too old now and then, also where a run waits for objects or messages and writes nothing.
fn keep_removing(context: &Arc<Context>, days: u32, of: Vec<TableName>, threads: &Threads) {
    let (tables, runtime) = (context.tables.clone(), context.runtime.clone());
    threads.spawn("retention", move |end| {
        while !end.comes_within(REMOVE_EVERY) {
            if let Err(error) = runtime.block_on(tables.keep_for(days, &of)) {
                let error = causes(&error);
                tracing::warn!(error, "rows that are too old stay, and this is tried again");
            }
        }
    });
}

/// Builds a pipeline to look at what it left, or to replay it: nothing is run, nothing is entered.
pub fn open(pipeline: Pipeline, options: &Options) -> Result<PreparedPipeline, BuildError> {
    assemble(pipeline, options, Purpose::Look)
}

/// What a pipeline is assembled for.
#[derive(Clone, Copy, PartialEq)]
enum Purpose {
    /// To run its chain.
    Run,
    /// To look at what it left.
    Look,
}

fn assemble(
    mut pipeline: Pipeline,
    options: &Options,
    purpose: Purpose,
) -> Result<PreparedPipeline, BuildError> {
    let Loaded { runtime, engine, library, secrets } = load(&mut pipeline, options)?;
    let failed = |error| BuildError::Resume(Box::new(error));
    let joined = match purpose {
        Purpose::Run => follow::begin(&pipeline, &library, options.forget_swaps, runtime.handle())?,
        Purpose::Look => None,
    };
    let sets = SetStore::open(&state(&pipeline, &options.warehouse), runtime.handle());
    let target = target(&pipeline);
    // Before a table is made: a column that is misspelt, say. After a swap it is the swap's set that runs.
    if let Some(columns) = target.columns.as_ref().filter(|_| purpose == Purpose::Run)
        && let Err(error) = target.fit(&library, columns, &secrets)
        && match &joined {
            Some((_, fleets, _)) => fleets.digest() == library.digest(),
            None => {
                options.forget_swaps
                    || !sets.as_ref().is_ok_and(|sets| is_swapped(sets, &pipeline.name, &library))
            }
        }
    {
        return Err(error.into());
    }
    let tables = runtime.block_on(tables(&pipeline, &options.warehouse))?;
    let sets = sets.map_err(failed)?;
    let reading = Reading { plugins: pipeline.plugins.clone(), library: library.clone(), secrets };
    let (fleet, library, origin) = match joined {
        Some((member, library, origin)) => (Some(Arc::new(member)), library, origin),
        None if options.forget_swaps => {
            (None, library, Origin { actor: actor::FILE.to_owned(), ..Origin::default() })
        }
        None => {
            let (library, origin) = resume(&sets, &pipeline.name, library).map_err(failed)?;
            (None, library, origin)
        }
    };
    // That of the last swap is held to the file too.
    library.check_secrets(&reading.secrets)?;
    let (slot, events) = Slot::new(target, pipeline.swap.clone(), library, reading, origin);
    let table = &pipeline.sink.table;
    let audit = AuditSink::open(&options.audit, &pipeline.name, &tables, table, runtime.handle())?;
    let audit = Arc::new(audit);
    let letters = letters(&pipeline)?;
    let context = Arc::new(Context {
        actor: options.actor.clone(),
        tables,
        runtime: runtime.handle().clone(),
        engine,
        slot,
        taps: Taps::of_letters(letters.keys.is_some()),
        sets,
        fleet,
        audit: audit.clone(),
        letters,
        file: options.file.clone(),
        cache: options.cache.clone(),
        secrets: options.secrets.clone(),
        swap_lock: Mutex::new(()),
        entering: Mutex::new(()),
        remembered: Mutex::default(),
        unpublished: Mutex::default(),
        to_catch_up: Wake::default(),
        is_held_back: AtomicBool::default(),
        outcomes: Outcomes::default(),
        events: Mutex::new(events.clone()),
        pipeline,
    });
    let threads = Threads::default();
    tell_events(&context, events, &threads);
    audit.keep(&threads);
    context.keep_up(&threads);
    context.keep_promoting(&threads);
    Ok(PreparedPipeline { threads, context, runtime })
}

/// The tables, which are there from now on.
async fn tables(pipeline: &Pipeline, warehouse: &str) -> Result<Tables, BuildError> {
    let tables = Tables::open(&pipeline.sink.place, warehouse).await?;
    let mut names = BTreeSet::new();
    // A table that comes again has to have the columns that it has by then.
    let (others, again): (Vec<_>, Vec<_>) =
        tables_of(pipeline)?.into_iter().partition(|(table, _)| names.insert(table.clone()));
    let ensure = |(table, schema): (TableName, TableSchema)| {
        let tables = &tables;
        async move { tables.ensure(&table, &schema).await }
    };
    // What all of them need comes with the first: a folder, a dataset. The others do not wait for each other's disk
    // or network; the error is that of the first of them that has one.
    let mut others = others.into_iter();
    for (some, at_once) in
        [(others.by_ref().take(1).collect(), 1), (others.collect::<Vec<_>>(), AT_ONCE), (again, 1)]
    {
        stream::iter(some).map(ensure).buffered(at_once).try_collect::<()>().await?;
    }
    Ok(tables)
}

/// Tells what the slot does, on a thread of its own.
fn tell_events(context: &Arc<Context>, events: Receiver<SlotEvent>, threads: &Threads) {
    let context = context.clone();
    threads.spawn("events", move |end| {
        loop {
            let is_over = end.comes_before(&events);
            context.tell_events();
            if is_over {
                return;
            }
        }
    });
}

/// Where plugin sets are kept: where the pipeline file says, else beside the tables, where those are files.
fn state(pipeline: &Pipeline, warehouse: &str) -> String {
    if let Some(uri) = &pipeline.swap.state {
        return uri.clone();
    }
    match pipeline.sink.place {
        Place::Warehouse => format!("{}/_state", warehouse.trim_end_matches('/')),
        Place::BigQuery(_) => "clickmill-data/state".to_owned(),
    }
}

/// The set of the last swap, as long as the pipeline file is what it was then.
fn resume(
    sets: &SetStore,
    pipeline: &str,
    file: Library,
) -> Result<(Library, Origin), SetStoreError> {
    let of_file = Origin { actor: actor::FILE.to_owned(), ..Origin::default() };
    match sets.running(pipeline)? {
        Some(last) if file.is_set(&last.running) => Ok((file, of_file)),
        Some(last) if file.is_set(&last.file) => {
            let plugin_set = &last.running;
            let set = sets.set(plugin_set);
            match set.and_then(|set| sets.restore(&file, &set)) {
                Ok(library) => {
                    tracing::info!(%plugin_set, "going on with the plugin set of the last swap");
                    let origin = Origin { actor: last.actor, note: last.note, changes: Vec::new() };
                    Ok((library, origin))
                }
                // What is lost does not come back: no start is to end by it.
                Err(error) if error.is_lost() => {
                    tracing::error!(
                        %plugin_set,
                        error = causes(&error),
                        "the plugin set of the last swap is lost: the pipeline file counts, swap again"
                    );
                    Ok((file, of_file))
                }
                Err(error) => Err(error),
            }
        }
        Some(last) if last.taken_back.as_ref().is_some_and(|set| file.is_set(set)) => {
            tracing::warn!(
                plugin_set = %file.digest(),
                actor = last.actor,
                note = last.note,
                "the pipeline file has the stages that were taken back while it ran: it counts, edit it back and start again where it should not"
            );
            Ok((file, of_file))
        }
        Some(last) if last.file != last.running => {
            tracing::warn!(
                plugin_set = %last.running,
                "the pipeline file has changed since the last swap: it counts, not the swap"
            );
            Ok((file, of_file))
        }
        Some(_) | None => Ok((file, of_file)),
    }
}

/// Whether another set than the file's goes on, as far as that can be told.
fn is_swapped(sets: &SetStore, pipeline: &str, file: &Library) -> bool {
    let last = sets.running(pipeline);
    last.is_ok_and(|last| {
        last.is_some_and(|last| file.is_set(&last.file) && !file.is_set(&last.running))
    })
}

/// Builds a pipeline and fits its chain to the first object of its source, without reading more than
/// the header. Returns what could not be checked, a line each.
pub fn validate(mut pipeline: Pipeline, options: &Options) -> Result<Vec<String>, BuildError> {
    // The file is what is asked about, whatever its fleet runs.
    pipeline.swap.fleet = None;
    let prepared = assemble(pipeline, options, Purpose::Run)?;
    let pipeline = prepared.pipeline();
    let unchecked = |why: String| vec![format!("the chain's columns are not checked: {why}")];
    if let Source::Stdin = pipeline.source {
        return Ok(unchecked("standard input is read by `run` only".to_owned()));
    }
    if prepared.is_stream() {
        return prepared.fit(&messages::schema(pipeline.format.payload())).map(|()| Vec::new());
    }
    let object = match prepared.block_on(source::list(&pipeline.source)) {
        Ok(listing) if listing.objects.is_empty() && !listing.not_seen.is_empty() => {
            let why = listing.not_seen.first().map(|not_seen| not_seen.error.to_string());
            return Ok(unchecked(why.unwrap_or_default()));
        }
        Ok(listing) => listing.objects.into_iter().next(),
        Err(error) => return Ok(unchecked(error.to_string())),
    };
    let Some(object) = object else { return Ok(Vec::new()) };
    let runtime = prepared.runtime.handle();
    let (progress, interrupt) = (Progress::default(), Interrupt::default());
    match open_object(&object, pipeline, Micros::default(), runtime, &progress, &interrupt) {
        Ok(Some(decoder)) => prepared.fit(decoder.schema()).map(|()| Vec::new()),
        Ok(None) => Ok(unchecked(format!("`{}` holds nothing", object.uri))),
        Err(error) => Ok(unchecked(error.to_string())),
    }
}

impl PreparedPipeline {
    /// Whether its source gives messages without an end, rather than objects.
    pub fn is_stream(&self) -> bool {
        self.pipeline().source.is_stream()
    }

    /// Whether it runs until it is told to stop: a stream, or a source that is watched.
    pub fn is_live(&self) -> bool {
        self.pipeline().source.is_live()
    }

    /// Takes components up when they change: those that the pipeline file says, or all.
    pub fn watch(&self, all: bool) {
        watch::watch(Swaps(self.context.clone()), all, AtStart::Runs, &self.threads);
    }

    /// Takes part in its fleet, if it is of one, from now on.
    pub(crate) fn join(&self) {
        replica::join(&self.context, &self.threads);
    }

    /// Begins to look at it, and to show its numbers to whoever reads metrics. The process measures by now.
    pub fn observe(&self, status: &Arc<Status>) -> Running {
        status.show_latencies();
        let running = Running::new(&self.context, status);
        metrics::show(&running);
        running
    }

    /// The pipeline as it was read.
    pub fn pipeline(&self) -> &Pipeline {
        &self.context.pipeline
    }

    /// Where its rows go.
    pub fn tables(&self) -> &Tables {
        &self.context.tables
    }

    /// Runs a future on the pipeline's own runtime.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    pub(crate) fn context(&self) -> &Arc<Context> {
        &self.context
    }

    fn fit(&self, columns: &SchemaRef) -> Result<(), BuildError> {
        let slot = &self.context.slot;
        slot.fit(&slot.current(), columns)?;
        Ok(())
    }
}
