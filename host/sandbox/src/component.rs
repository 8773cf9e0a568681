//! One component: compiled, linked and asked what it is.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use wasmtime::Store;
use wasmtime::component::{ComponentExportIndex, ComponentNamedList, InstancePre, Lift, Lower};

use super::boundary::{CONTRACT, Manifest};
use super::engine::Engine;
use super::error::PluginError;
use super::guest::{Guest, link};
use super::lookup::Lookups;
use super::signature::beside;
use clickmill_config::Limits;
use clickmill_core::Digest;

/// How the names of the contract's interfaces begin.
const PACKAGE: &str = "clickmill:plugin/";

/// A question may use the fuel of so many batches: `configure` does once what every batch is spared, such
/// as compiling patterns, and `describe` writes a schema.
const QUESTION_BATCHES: u64 = 10;

/// A component that has been compiled, linked and described.
pub(super) struct Loaded {
    pub digest: Digest,
    pub pre: InstancePre<Guest>,
    pub configure: ComponentExportIndex,
    pub process: ComponentExportIndex,
    pub manifest: Manifest,
}

/// What a component says of itself.
#[derive(Debug, Clone)]
pub struct Described {
    /// Its author's name for it.
    pub name: String,
    /// Its version.
    pub version: String,
    /// A sentence on what it does.
    pub description: String,
    /// JSON Schema of its configuration.
    pub config_schema: String,
    /// Secrets it wants.
    pub secrets: Vec<String>,
    /// Digest of the component.
    pub digest: Digest,
    /// Size of the component in bytes.
    pub bytes: usize,
    /// Everything it imports.
    pub imports: Vec<String>,
}

impl Loaded {
    /// Calls an export of a fresh instance, under the stage's limits.
    pub(crate) fn ask<'a, Params, Answer>(
        &self,
        stage: &str,
        limits: Limits,
        lookups: Arc<Lookups>,
        export: &'static str,
        index: &ComponentExportIndex,
        params: Params,
    ) -> Result<Answer, PluginError>
    where
        Params: ComponentNamedList + Lower + 'a,
        (Answer,): ComponentNamedList + Lift,
        Answer: 'static,
    {
        let mut store = Store::new(self.pre.engine(), Guest::new(stage.into(), limits, lookups));
        store.limiter(|guest| guest);
        store.set_hostcall_fuel(limits.max_output_bytes);
        let answer = store
            .set_fuel(limits.max_fuel_per_batch.saturating_mul(QUESTION_BATCHES))
            .and_then(|()| self.pre.instantiate(&mut store))
            .and_then(|instance| {
                let func = instance
                    .get_func(&mut store, index)
                    .ok_or_else(|| wasmtime::format_err!("it is not a function"))?;
                func.typed::<Params, (Answer,)>(&store)?.call(&mut store, params)
            });
        answer.map(|(answer,)| answer).map_err(|error| PluginError::Failed {
            stage: stage.to_owned(),
            export,
            what: store.data().last_error.clone().unwrap_or_else(|| error.root_cause().to_string()),
        })
    }
}

/// Reads a component file.
pub(super) fn read(path: &Path) -> Result<Bytes, PluginError> {
    let read = std::fs::read(path);
    let bytes = read.map_err(|source| PluginError::Read { path: path.to_owned(), source })?;
    Ok(bytes.into())
}

/// The signature beside a component, where there is one.
pub(super) fn read_signature(path: &Path) -> Option<String> {
    std::fs::read_to_string(beside(path)).ok()
}

/// Compiles, links and describes a component. `path` is where it came from, for messages.
pub(super) fn load(
    engine: &Engine,
    stage: &str,
    path: &Path,
    bytes: &[u8],
    signature: Option<&str>,
) -> Result<Loaded, PluginError> {
    let failed =
        |source| PluginError::Compile { stage: stage.to_owned(), path: path.to_owned(), source };
    let claim = engine.check_trust(stage, bytes, signature).map_err(failed)?;
    let component = engine.compile(bytes).map_err(failed)?;
    let contract = |what: String| PluginError::Contract { stage: stage.to_owned(), what };
    let component_type = component.component_type();
    let imports: Vec<&str> =
        component_type.imports(&engine.wasmtime).map(|(name, _)| name).collect();
    if let Some(other) = imports.iter().find(|name| is_other_contract(name)) {
        return Err(contract(format!("it was built for `{other}`")));
    }
    let foreign: Vec<&str> =
        imports.into_iter().filter(|name| !name.starts_with(PACKAGE)).collect();
    if !foreign.is_empty() {
        let imports = foreign.join(", ");
        tracing::info!(
            plugin = stage,
            imports,
            "no plugin is given this: it traps where it calls it"
        );
    }
    let export = |name: &str| {
        component
            .get_export_index(None, name)
            .ok_or_else(|| contract(format!("it does not export `{name}`")))
    };
    let (describe, configure, process) =
        (export("describe")?, export("configure")?, export("process")?);
    let pre = link(&engine.wasmtime, &component)
        .and_then(|linker| linker.instantiate_pre(&component))
        .map_err(|error| contract(format!("{error:#}")))?;
    let digest = Digest::of(bytes);
    let manifest = Manifest::nothing();
    let mut loaded = Loaded { digest, pre, configure, process, manifest };
    loaded.manifest = loaded.ask::<(), Manifest>(
        stage,
        Limits::default(),
        Arc::default(),
        "describe",
        &describe,
        (),
    )?;
    let is_as_signed = claim.check_version(&loaded.manifest.version);
    is_as_signed.map_err(|error| failed(error.into()))?;
    Ok(loaded)
}

/// Whether an import is of the contract, in a version that is not this host's.
fn is_other_contract(import: &str) -> bool {
    let version = CONTRACT.rsplit_once('@').map(|(_, version)| version);
    import.starts_with(PACKAGE) && import.rsplit_once('@').map(|(_, other)| other) != version
}

impl Manifest {
    fn nothing() -> Self {
        let nothing = String::new;
        Self {
            name: nothing(),
            version: nothing(),
            description: nothing(),
            config_schema: nothing(),
            secrets: Vec::new(),
        }
    }
}

/// Describes a component file.
pub fn describe_file(engine: &Engine, path: &Path) -> Result<Described, PluginError> {
    describe(engine, path, &read(path)?, read_signature(path).as_deref())
}

/// Describes a component. `path` is where it came from, for messages.
pub fn describe(
    engine: &Engine,
    path: &Path,
    bytes: &[u8],
    signature: Option<&str>,
) -> Result<Described, PluginError> {
    let stage =
        path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let loaded = load(engine, &stage, path, bytes, signature)?;
    let component_type = loaded.pre.component().component_type();
    let imports =
        component_type.imports(&engine.wasmtime).map(|(name, _)| name.to_owned()).collect();
    let Manifest { name, version, description, config_schema, secrets } = loaded.manifest;
    Ok(Described {
        name,
        version,
        description,
        config_schema,
        secrets,
        digest: loaded.digest,
        bytes: bytes.len(),
        imports,
    })
}
