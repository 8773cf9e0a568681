//! From a checked pipeline file to something that can run: components compiled, tables made sure of.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use arrow::datatypes::SchemaRef;

use super::audit_sink::{Trail, TrailError};
use super::replay::attempts;
use super::swap::{self, Inner, Keep, KeepError, Outcomes, Refused, Swaps};
use super::versions::guard::Guard;
use super::versions::slot::{Slot, Target};
use super::versions::version::Origin;
use clickmill_audit as audit;
use clickmill_config as config;
use clickmill_config::{Pipeline, Place, Source, TableName};
use clickmill_core::schema::provenance;
use clickmill_core::schema::{SchemaError, TableSchema};
use clickmill_dead_letter::{Seal, SealError, Writer};
use clickmill_decode::Decoder;
use clickmill_decode::messages;
use clickmill_sandbox::signature::{KeyError, Keys};
use clickmill_sandbox::{Engine, EngineError, Library, PluginError, Secrets};
use clickmill_sink::{SinkError, Tables};
use clickmill_source as source;
use clickmill_source::Progress;
use clickmill_tables::{Misfit, ledger};

/// Batches of a stream between cutter and delivery, per worker: one in hand, one ready on each side, one
/// on its way to the table.
const BATCHES_PER_WORKER: usize = 6;

/// What a run needs beside the pipeline file.
#[derive(Debug, Clone)]
pub struct Options {
    /// Path or URI of the warehouse.
    pub warehouse: String,
    /// Folder for compiled plugins.
    pub cache: PathBuf,
    /// Values of secrets that do not come from the environment, by `stage.secret`.
    pub secrets: Secrets,
    /// Run the set of the pipeline file, whatever was swapped since.
    pub forget_swaps: bool,
    /// Folder of the audit log.
    pub audit: PathBuf,
    /// Who runs the pipeline, for the audit log.
    pub actor: String,
}

/// A pipeline that can run.
pub struct Built {
    pub(super) pipeline: Pipeline,
    pub(super) tables: Tables,
    pub(super) swaps: Swaps,
    pub(super) letters: Arc<Writer>,
    pub(super) actor: String,
    pub(super) runtime: tokio::runtime::Runtime,
}

/// Why a pipeline can't run.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The engine does not start.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A trusted key is none.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A plugin can't run.
    #[error(transparent)]
    Plugin(Box<PluginError>),
    /// The tables can't be used.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The ledger's own schema is broken.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// What the chain gives does not fit the table.
    #[error("the chain's rows do not fit table `{table}`:{list}", list = lines(misfits))]
    Misfit {
        /// The table.
        table: String,
        /// Every column that does not fit.
        misfits: Vec<Misfit>,
    },
    /// A swapped plugin set can't be taken up again.
    #[error("cannot take up the plugin set of the last swap")]
    Resume(#[source] Box<KeepError>),
    /// The plugin set can't be kept or entered into its table.
    #[error("cannot enter the plugin set")]
    Publish(#[source] Box<Refused>),
    /// Payloads of dead letters can't be sealed.
    #[error("environment variable `{variable}` does not hold a key for dead letters")]
    Seal {
        /// The variable.
        variable: String,
        /// Why.
        source: SealError,
    },
    /// There is no audit log.
    #[error(transparent)]
    Trail(#[from] TrailError),
    /// There is no runtime for I/O.
    #[error("cannot start threads for input and output")]
    Runtime(#[source] std::io::Error),
}

impl From<PluginError> for BuildError {
    fn from(error: PluginError) -> Self {
        Self::Plugin(Box::new(error))
    }
}

fn lines(misfits: &[Misfit]) -> String {
    misfits.iter().map(|misfit| format!("\n  {misfit}")).collect()
}

/// All tables that a pipeline writes to.
pub fn tables_of(pipeline: &Pipeline) -> Result<Vec<(TableName, TableSchema)>, SchemaError> {
    let (sink, letters) = (&pipeline.sink, &pipeline.dead_letter);
    let mut tables = vec![
        (sink.table.clone(), sink.schema.clone()),
        (letters.table.clone(), letters.schema.clone()),
        (sink.table.beside(swap::table::TABLE), swap::table::schema()?),
        (sink.table.beside(audit::TABLE), audit::schema()?),
        (sink.table.beside(attempts::TABLE), attempts::schema()?),
    ];
    if !pipeline.source.is_stream() {
        tables.push((sink.table.beside(ledger::TABLE), ledger::schema()?));
    }
    Ok(tables)
}

/// Builds a pipeline: plugins are compiled, the tables are there, and `plugin_sets` says what the
/// plugin set is made of.
pub fn build(pipeline: Pipeline, options: &Options) -> Result<Built, BuildError> {
    let built = assemble(pipeline, options)?;
    let published = built.swaps.0.publish(&built.slot().current().library);
    published.map_err(|error| BuildError::Publish(Box::new(error)))?;
    built.swaps.0.begin(&options.actor);
    Ok(built)
}

/// Builds a pipeline to look at what it left, or to replay it: nothing is run, nothing is entered.
pub fn open(pipeline: Pipeline, options: &Options) -> Result<Built, BuildError> {
    assemble(pipeline, options)
}

fn assemble(pipeline: Pipeline, options: &Options) -> Result<Built, BuildError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        // Input and output only wait; the chain has threads of its own.
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(BuildError::Runtime)?;
    let engine = Engine::new(&options.cache)?.trusting(Keys::parse(&pipeline.trusted_keys)?);
    let library = Library::load(&engine, &pipeline.plugins)?;
    let tables = runtime.block_on(async {
        let tables = Tables::open(&pipeline.sink.place, &options.warehouse).await?;
        for (table, schema) in tables_of(&pipeline)? {
            tables.ensure(&table, &schema).await?;
        }
        Ok::<_, BuildError>(tables)
    })?;
    let keep = match &pipeline.swap.state {
        Some(uri) => Keep::open(uri, runtime.handle()),
        None => Keep::open(&state(&pipeline, &options.warehouse), runtime.handle()),
    };
    let keep = keep.map_err(|error| BuildError::Resume(Box::new(error)))?;
    let file = library.digest().to_string();
    let (library, origin) = match options.forget_swaps {
        true => (library, Origin { actor: "pipeline file".to_owned(), ..Origin::default() }),
        false => resume(&keep, &engine, &pipeline.name, library)
            .map_err(|error| BuildError::Resume(Box::new(error)))?,
    };
    let target = Target {
        table: pipeline.sink.table.clone(),
        schema: pipeline.sink.schema.clone(),
        unknown: match pipeline.source.is_stream() {
            true => provenance::UNKNOWN_OF_MESSAGES,
            false => provenance::UNKNOWN_OF_OBJECTS,
        },
        columns: pipeline.source.is_stream().then(messages::schema),
        guard: Guard::of(&pipeline.sink.schema, &pipeline.guard),
        secrets: options.secrets.clone(),
    };
    let (slot, happened) = Slot::new(target, pipeline.swap.clone(), library, origin);
    let table = &pipeline.sink.table;
    let trail = Trail::open(&options.audit, &pipeline.name, &tables, table, runtime.handle())?;
    let inner = Inner {
        trail,
        pipeline: pipeline.name.clone(),
        config: pipeline.swap.clone(),
        slot,
        engine,
        keep,
        tables: tables.clone(),
        sets: pipeline.sink.table.beside(swap::table::TABLE),
        runtime: runtime.handle().clone(),
        file,
        one: Mutex::new(()),
        outcomes: Outcomes::default(),
    };
    let swaps = Swaps(Arc::new(inner));
    swaps.listen(happened);
    let letters = Arc::new(Writer {
        pipeline: pipeline.name.clone(),
        schema: pipeline.dead_letter.schema.arrow(),
        seal: pipeline.dead_letter.seal.as_ref().map(seal).transpose()?,
    });
    Ok(Built { pipeline, tables, swaps, letters, actor: options.actor.clone(), runtime })
}

/// Where plugin sets are kept unless the pipeline file says otherwise: beside the tables, where those
/// are files.
fn state(pipeline: &Pipeline, warehouse: &str) -> String {
    match pipeline.sink.place {
        Place::Warehouse => format!("{}/_state", warehouse.trim_end_matches('/')),
        Place::BigQuery(_) => "clickmill-data/state".to_owned(),
    }
}

/// The key that payloads of dead letters are sealed with.
pub(super) fn seal(config: &config::Seal) -> Result<Seal, BuildError> {
    let key = std::env::var(&config.variable).unwrap_or_default();
    Seal::new(&key, &config.key_id)
        .map_err(|source| BuildError::Seal { variable: config.variable.clone(), source })
}

/// The set of the last swap, as long as the pipeline file is what it was then.
fn resume(
    keep: &Keep,
    engine: &Engine,
    pipeline: &str,
    file: Library,
) -> Result<(Library, Origin), KeepError> {
    let of_file = Origin { actor: "pipeline file".to_owned(), ..Origin::default() };
    let digest = file.digest().to_string();
    match keep.running(pipeline)? {
        Some(last) if last.running == digest => Ok((file, of_file)),
        Some(last) if last.file == digest => {
            let set = keep.set(&last.running)?;
            tracing::info!(
                plugin_set = set.digest,
                "going on with the plugin set of the last swap"
            );
            let origin = Origin { actor: last.actor, note: last.note, changes: Vec::new() };
            Ok((keep.restore(engine, &set)?, origin))
        }
        Some(last) if last.file != last.running => {
            tracing::warn!(
                plugin_set = last.running,
                "the pipeline file has changed since the last swap: it counts, not the swap"
            );
            Ok((file, of_file))
        }
        Some(_) | None => Ok((file, of_file)),
    }
}

/// Builds a pipeline and fits its chain to the first object of its source, without reading more than
/// the header. Returns what could not be checked, a line each.
pub fn validate(pipeline: Pipeline, options: &Options) -> Result<Vec<String>, BuildError> {
    let built = assemble(pipeline, options)?;
    let unchecked = |why: String| vec![format!("the chain's columns are not checked: {why}")];
    if let Source::Stdin = built.pipeline.source {
        return Ok(unchecked("standard input is read by `run` only".to_owned()));
    }
    if built.pipeline.source.is_stream() {
        return built.fit(&messages::schema()).map(|()| Vec::new());
    }
    let object = match built.runtime.block_on(source::list(&built.pipeline.source)) {
        Ok(objects) => objects.into_iter().next(),
        Err(error) => return Ok(unchecked(error.to_string())),
    };
    let Some(object) = object else { return Ok(Vec::new()) };
    let input = match object.open(built.runtime.handle(), &Progress::default()) {
        Ok(input) => input,
        Err(error) => return Ok(unchecked(error.to_string())),
    };
    let name = object.name().into();
    let pipeline = &built.pipeline;
    match Decoder::new(&pipeline.format, pipeline.batch, name, 0, input) {
        Ok(decoder) => built.fit(decoder.schema()).map(|()| Vec::new()),
        Err(error) => Ok(unchecked(error.to_string())),
    }
}

impl Built {
    /// Whether its source gives messages without an end, rather than objects.
    pub fn is_stream(&self) -> bool {
        self.pipeline.source.is_stream()
    }

    /// Whether it runs until it is told to stop: a stream, or a source that is watched.
    pub fn is_live(&self) -> bool {
        self.is_stream() || matches!(self.pipeline.source, Source::Storage { watch: Some(_), .. })
    }

    /// Takes components up when they change: those that the pipeline file says, or all.
    pub fn watch(&self, all: bool) {
        swap::watch::watch(&self.swaps, &self.pipeline.plugins, all);
    }

    /// The pipeline as it was read.
    pub fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// Where its rows go.
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// Runs a future on the pipeline's own runtime.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// How its plugins change while it runs.
    pub fn swaps(&self) -> &Swaps {
        &self.swaps
    }

    /// The most batches that are between source and table at once.
    pub(super) fn most_batches(&self) -> usize {
        self.pipeline.workers * BATCHES_PER_WORKER
    }

    pub(super) fn slot(&self) -> &Slot {
        &self.swaps.0.slot
    }

    fn fit(&self, columns: &SchemaRef) -> Result<(), BuildError> {
        let slot = self.slot();
        slot.fit(&slot.current(), columns).map(|_| ()).map_err(|error| *error)
    }
}
