//! What can be told of a pipeline before anything is built, and the keys of its dead letters.

use std::path::Path;

use super::BuildError;
use crate::components::fetched;
use clickmill_config as config;
use clickmill_config::Pipeline;
use clickmill_dead_letter::{Seal, SealKeys};
use clickmill_sandbox::{Secrets, Trust};

/// What keeps a pipeline from running, as far as it can be told before anything is built, started or written, in the
/// order of the pipeline file: secrets that are missing or short, components that are none, or that no registry gives,
/// keys. `given` are secrets that do not come from the environment; what registries give is kept in `cache`.
pub fn look(pipeline: &Pipeline, given: &Secrets, cache: Option<&Path>) -> Vec<BuildError> {
    let environment = |variable: &str| std::env::var_os(variable);
    let secrets = Secrets::read(&pipeline.plugins, given, environment);
    let mut found: Vec<BuildError> = secrets.err().map(BuildError::from).into_iter().collect();
    let trust = Trust::of(&pipeline.trust);
    // With keys that are none nothing is known of signatures.
    let trusting = trust.as_ref().cloned().unwrap_or_default();
    let (plugins, not_had) = fetched(pipeline, cache);
    found.extend(not_had.into_iter().map(BuildError::from));
    let plugins = clickmill_sandbox::look(&plugins, &trusting, pipeline.swap.components);
    found.extend(plugins.into_iter().map(BuildError::from));
    if let Some(config) = &pipeline.dead_letter.seal {
        let old = config.old.iter().map(|old| (&old.variable, &old.key_id));
        let keys = std::iter::once((&config.variable, &config.key_id)).chain(old);
        found.extend(keys.filter_map(|(variable, key_id)| seal(variable, key_id).err()));
    }
    found.extend(trust.err().map(BuildError::from));
    found
}

/// The keys that dead letters are sealed with, and were.
pub(super) fn keys(config: &config::Seal) -> Result<SealKeys, BuildError> {
    let old = config.old.iter().map(|old| seal(&old.variable, &old.key_id));
    Ok(SealKeys {
        current: seal(&config.variable, &config.key_id)?,
        old: old.collect::<Result<_, _>>()?,
    })
}

fn seal(variable: &str, key_id: &str) -> Result<Seal, BuildError> {
    let key = std::env::var(variable).unwrap_or_default();
    Seal::new(&key, key_id)
        .map_err(|source| BuildError::Seal { variable: variable.to_owned(), source })
}
