//! Components that registries hold, in files of the cache.

use std::path::Path;

use clickmill_config::{Pipeline, Plugin};
use clickmill_core::Fault;
use clickmill_registry::{Registry, RegistryError};
use clickmill_sandbox::Trust;

/// Why a component cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ComponentError {
    /// It is named by a tag alone.
    #[error(
        "stage `{stage}`: `{reference}` is a tag, which may be another component's tomorrow: `clickmill plugin lock PIPELINE.toml` adds its digest, and `trust.allow_tags = true` allows tags"
    )]
    Tag {
        /// The stage.
        stage: String,
        /// What the pipeline file names.
        reference: String,
    },
    /// Its registry gives it not.
    #[error("stage `{stage}` has no component")]
    Registry {
        /// The stage.
        stage: String,
        /// Why.
        source: Box<RegistryError>,
    },
}

impl ComponentError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Tag { .. } => Fault::Input,
            Self::Registry { source, .. } => source.fault(),
        }
    }
}

/// The plugins of a pipeline, each with its component in a file or a crate: what a registry holds is pulled, unless
/// the cache has it. And what cannot be had, by stage.
///
/// A tag is another thing's tomorrow: it is refused unless the pipeline file allows it.
pub(crate) fn fetched(
    pipeline: &Pipeline,
    cache: Option<&Path>,
) -> (Vec<Plugin>, Vec<ComponentError>) {
    let (mut found, mut errors, mut registry) = (Vec::new(), Vec::new(), None);
    for plugin in &pipeline.plugins {
        match fetch(plugin, pipeline, cache, &mut registry) {
            Ok(plugin) => found.push(plugin),
            Err(error) => errors.push(error),
        }
    }
    (found, errors)
}

/// The same, where all of them can be had.
pub(crate) fn all_fetched(
    pipeline: &Pipeline,
    cache: Option<&Path>,
) -> Result<Vec<Plugin>, ComponentError> {
    let (plugins, not_had) = fetched(pipeline, cache);
    not_had.into_iter().next().map_or(Ok(plugins), Err)
}

fn fetch(
    plugin: &Plugin,
    pipeline: &Pipeline,
    cache: Option<&Path>,
    registry: &mut Option<Registry>,
) -> Result<Plugin, ComponentError> {
    let Some(reference) = plugin.reference() else { return Ok(plugin.clone()) };
    let stage = plugin.name.to_string();
    if reference.digest().is_none() && !pipeline.trust.allow_tags {
        return Err(ComponentError::Tag { stage, reference: reference.to_string() });
    }
    let failed =
        |source| ComponentError::Registry { stage: stage.clone(), source: Box::new(source) };
    let registry = match registry {
        Some(registry) => registry,
        None => registry.insert(Registry::new(cache.map(Path::to_owned)).map_err(failed)?),
    };
    // Keys that are none are told elsewhere.
    let trust = Trust::of(&pipeline.trust).unwrap_or_default();
    let max_bytes = pipeline.swap.components.max_bytes;
    let accepts =
        |component: &[u8], signature: Option<&str>| trust.takes(&plugin.name, component, signature);
    let pulled = registry.pull(&reference, max_bytes, &accepts).map_err(failed)?;
    tracing::debug!(stage, reference = %pulled.reference, "a component of a registry");
    if reference.digest().is_none() {
        tracing::info!(stage, reference = %pulled.reference, "the tag is this component's now");
    }
    Ok(Plugin { component: pulled.component, ..plugin.clone() })
}
