//! The pipeline file, read again while the pipeline runs: stages that are added, removed or moved, what they
//! are, and what they may do. All of it is one set, which goes through the gate as any other. What else the file
//! says is not taken up: the source, the tables and the rest are open since the start.

use std::path::Path;
use std::sync::Arc;

use super::gate::{Candidate, SwapRefused};
use crate::columns;
use crate::components::all_fetched;
use crate::context::Context;
use crate::versions::reading::Reading;
use crate::versions::version::Version;
use clickmill_config::Plugin;
use clickmill_core::Digest;
use clickmill_sandbox::{ChangeError, Golden, Library, Secrets, StageMade, TestError};

/// That the pipeline file is to be read again.
#[derive(Debug, Clone, Default)]
pub struct Reload {
    /// What the text of the file is known by, where only that text is to be taken up.
    pub expected: Option<Digest>,
}

/// What the pipeline file says now, in place of what runs, and what its text is known by.
pub(super) fn candidate(
    context: &Context,
    running: &Version,
    asked: &Reload,
) -> Result<(Candidate, Digest), SwapRefused> {
    let (reading, digest) = read(context, asked)?;
    let library = reading.library.clone();
    let plugin_set = library.digest().clone();
    if plugin_set == *running.reading.library.digest() {
        context.slot.reads_as(&running.reading);
    }
    if plugin_set == *running.library.digest() {
        return Err(ChangeError::Nothing { plugin_set }.into());
    }
    // As at a restart: as long as the file is what it was, what was swapped since counts more.
    if plugin_set == *running.reading.library.digest() {
        let path = context.file.as_ref().map(|file| file.path.clone()).unwrap_or_default();
        return Err(SwapRefused::SameFile { path, plugin_set });
    }
    let golden = golden(&reading.plugins, &library, &running.library)?;
    Ok((Candidate { library, reading: Arc::new(reading), golden }, digest))
}

/// The stages of the pipeline file as it is now, and what its text is known by.
pub(crate) fn read(context: &Context, asked: &Reload) -> Result<(Reading, Digest), SwapRefused> {
    let file = context.file.as_ref().ok_or(SwapRefused::NoFile)?;
    let (pipeline, digest) = file.read().map_err(|error| SwapRefused::File(Box::new(error)))?;
    let path = || file.path.clone();
    if let Some(expected) = asked.expected.as_ref().filter(|expected| **expected != digest) {
        let expected = expected.clone();
        return Err(SwapRefused::OtherFile { path: path(), expected, found: digest });
    }
    let sections = context.pipeline.differs(&pipeline);
    if !sections.is_empty() {
        return Err(SwapRefused::Restart { path: path(), sections });
    }
    let plugins = all_fetched(&pipeline, context.cache.as_deref())?;
    let secrets = Secrets::read(&plugins, &context.secrets, |variable| std::env::var_os(variable))?;
    // Building may take a while.
    columns::look_at_columns(&pipeline)?;
    let library = Library::load(&context.engine, &plugins).map_err(ChangeError::from)?;
    Ok((Reading { plugins, library, secrets }, digest))
}

/// The golden cases of the stages that are new, or get another component.
pub(crate) fn golden(
    plugins: &[Plugin],
    library: &Library,
    running: &Library,
) -> Result<Vec<(String, Golden)>, SwapRefused> {
    let before = running.set();
    let mut golden = Vec::new();
    for (plugin, made) in plugins.iter().zip(library.set().stages) {
        let is_known =
            |known: &StageMade| known.stage == made.stage && known.component == made.component;
        if before.stages.iter().any(is_known) {
            continue;
        }
        let folder = match plugin.component.as_path() {
            folder if folder.is_dir() => folder,
            file => file.parent().unwrap_or(Path::new(".")),
        };
        let cases = Golden::beside(folder).map_err(TestError::from)?;
        golden.extend(cases.into_iter().map(|cases| (plugin.name.to_string(), cases)));
    }
    Ok(golden)
}
