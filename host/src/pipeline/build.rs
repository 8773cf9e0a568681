//! From a checked pipeline file to something that can run: components compiled, tables made sure of.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::Schema;

use crate::config::{Pipeline, Source};
use crate::decode::Decoder;
use crate::decode::messages;
use crate::plugin::{Chain, Engine, EngineError, Library, PluginError, Secrets};
use crate::schema::SchemaError;
use crate::schema::provenance;
use crate::sink::{Misfit, Projection, SinkError, Tables, tables_of};
use crate::source::{self, Progress};

/// What a run needs beside the pipeline file.
#[derive(Debug, Clone)]
pub struct Options {
    /// Path or URI of the warehouse.
    pub warehouse: String,
    /// Folder for compiled plugins.
    pub cache: PathBuf,
    /// Values of secrets that do not come from the environment, by `stage.secret`.
    pub secrets: Secrets,
}

/// A pipeline that can run.
pub struct Built {
    pub(super) pipeline: Pipeline,
    pub(super) tables: Tables,
    pub(super) library: Library,
    pub(super) secrets: Secrets,
    pub(super) runtime: tokio::runtime::Runtime,
}

/// Why a pipeline can't run.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The engine does not start.
    #[error(transparent)]
    Engine(#[from] EngineError),
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

/// Builds a pipeline: plugins are compiled, and the warehouse has its tables.
pub fn build(pipeline: Pipeline, options: &Options) -> Result<Built, BuildError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        // Input and output only wait; the chain has threads of its own.
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(BuildError::Runtime)?;
    let engine = Engine::new(&options.cache)?;
    let library = Library::load(&engine, &pipeline.plugins)?;
    let tables = runtime.block_on(async {
        let tables = Tables::open(&pipeline.sink.place, &options.warehouse).await?;
        for (table, schema) in tables_of(&pipeline)? {
            tables.ensure(&table, &schema).await?;
        }
        Ok::<_, BuildError>(tables)
    })?;
    Ok(Built { pipeline, tables, library, secrets: options.secrets.clone(), runtime })
}

/// Builds a pipeline and fits its chain to the first object of its source, without reading more than
/// the header. Returns what could not be checked, a line each.
pub fn validate(pipeline: Pipeline, options: &Options) -> Result<Vec<String>, BuildError> {
    let built = build(pipeline, options)?;
    let unchecked = |why: String| vec![format!("the chain's columns are not checked: {why}")];
    if let Source::Stdin = built.pipeline.source {
        return Ok(unchecked("standard input is read by `run` only".to_owned()));
    }
    if built.pipeline.source.is_stream() {
        return built.fit(&messages::schema()).map(|_| Vec::new());
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
        Ok(decoder) => built.fit(decoder.schema()).map(|_| Vec::new()),
        Err(error) => Ok(unchecked(error.to_string())),
    }
}

impl Built {
    /// Whether its source gives messages without an end, rather than objects.
    pub fn is_stream(&self) -> bool {
        self.pipeline.source.is_stream()
    }

    /// Fits the chain to the columns of an object and to the table.
    pub(super) fn fit(&self, columns: &Schema) -> Result<(Arc<Chain>, Projection), BuildError> {
        let chain = self.library.configure(columns, &self.secrets)?;
        let sink = &self.pipeline.sink;
        let unknown = match self.pipeline.source.is_stream() {
            true => provenance::UNKNOWN_OF_MESSAGES,
            false => provenance::UNKNOWN_OF_OBJECTS,
        };
        let projection = Projection::new(&sink.schema, chain.output(), unknown)
            .map_err(|misfits| BuildError::Misfit { table: sink.table.to_string(), misfits })?;
        Ok((Arc::new(chain), projection))
    }
}
