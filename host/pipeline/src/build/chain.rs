//! What runs a pipeline's chain, wherever its rows go.

use std::sync::Arc;

use super::error::BuildError;
use super::look::keys;
use super::options::Options;
use crate::components::all_fetched;
use crate::threads::Runtime;
use crate::versions::fit::Target;
use clickmill_config::Pipeline;
use clickmill_core::schema::provenance;
use clickmill_dead_letter::Writer;
use clickmill_decode::messages;
use clickmill_guard::Guard;
use clickmill_sandbox::{Engine, Library, Secrets, Trust};

/// What runs a chain, before it is known where its rows go.
pub(crate) struct Loaded {
    pub runtime: Runtime,
    pub engine: Engine,
    /// The plugin set of the pipeline file.
    pub library: Library,
    pub secrets: Secrets,
}

/// Compiles the plugins of a pipeline file, which from then on names them where they are on this machine.
/// Nothing is written but the cache.
pub(crate) fn load(pipeline: &mut Pipeline, options: &Options) -> Result<Loaded, BuildError> {
    // Before anything is built or started.
    let environment = |variable: &str| std::env::var_os(variable);
    let secrets = Secrets::read(&pipeline.plugins, &options.secrets, environment)?;
    pipeline.plugins = all_fetched(pipeline, options.cache.as_deref())?;
    let runtime = Runtime::new().map_err(BuildError::Runtime)?;
    let engine = engine(pipeline, options)?;
    let library = Library::load(&engine, &pipeline.plugins)?;
    library.check_secrets(&secrets)?;
    Ok(Loaded { runtime, engine, library, secrets })
}

/// Compiles the plugins of a pipeline file, for somebody who does not run them and has none of their secrets.
pub(crate) fn library(pipeline: &mut Pipeline, options: &Options) -> Result<Library, BuildError> {
    pipeline.plugins = all_fetched(pipeline, options.cache.as_deref())?;
    Ok(Library::load(&engine(pipeline, options)?, &pipeline.plugins)?)
}

/// What makes dead letters of a pipeline.
pub(crate) fn letters(pipeline: &Pipeline) -> Result<Arc<Writer>, BuildError> {
    Ok(Arc::new(Writer {
        pipeline: pipeline.name.clone(),
        schema: pipeline.dead_letter.schema.arrow(),
        keys: pipeline.dead_letter.seal.as_ref().map(keys).transpose()?,
    }))
}

/// What every chain of a pipeline has to fit.
pub(crate) fn target(pipeline: &Pipeline) -> Target {
    let is_stream = pipeline.source.is_stream();
    Target {
        sink: pipeline.sink.clone(),
        dead_letter: (pipeline.dead_letter.table.clone(), pipeline.dead_letter.schema.clone()),
        unknown: if is_stream {
            provenance::UNKNOWN_OF_MESSAGES
        } else {
            provenance::UNKNOWN_OF_OBJECTS
        },
        columns: is_stream.then(|| messages::schema(pipeline.format.payload())),
        guard: Guard::of(
            pipeline.sink.tables().map(|(_, schema)| schema),
            &pipeline.guard,
            &pipeline.format,
        ),
    }
}

/// What runs the plugins, as the pipeline file limits and trusts them.
fn engine(pipeline: &Pipeline, options: &Options) -> Result<Engine, BuildError> {
    let engine = match &options.cache {
        Some(folder) => Engine::new(folder)?,
        None => Engine::without_cache()?,
    };
    let engine = engine.trusting(Trust::of(&pipeline.trust)?).limiting(pipeline.swap.components);
    Ok(match &options.compiler {
        Some(compiler) => engine.compiling_by(compiler.clone()),
        None => engine,
    })
}
