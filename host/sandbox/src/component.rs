//! One component: compiled, linked and asked what it is.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use wasmtime::component::types::{self, ComponentExtern, ComponentItem};
use wasmtime::component::{ComponentExportIndex, ComponentNamedList, InstancePre, Lift, Lower};

use super::allowance::FuelLimit;
use super::boundary::{ColumnSpec, ConfigureIn, ConfigureOut, Manifest};
use super::contract::{Contract, PACKAGE};
use super::contract_0_1;
use super::ending::{CallLimits, Ending};
use super::engine::{Engine, EngineError};
use super::error::PluginError;
use super::guest::{Guest, link, store, tell_unwritten};
use super::lift::{MAX_NAME_BYTES, cut};
use super::lookup::Lookups;
use super::manifest::{Answers, told};
use super::permits::Permits;
use super::processor_time::{Slice, set_fuel, until};
use super::shape;
use super::signature::{MAX_BYTES as MAX_SIGNATURE_BYTES, beside};
use super::trust::Trust;
use clickmill_config::{ComponentLimits, Limits};
use clickmill_core::{Digest, file};

/// A question may use the fuel of so many batches: `configure` does once what every batch is spared, such
/// as compiling patterns, and `describe` writes a schema.
const QUESTION_BATCHES: u64 = 10;

/// Bytes that a question may be answered with: some thousand names, or a large schema.
const MAX_ANSWER_BYTES: usize = 4 << 20;

/// Processor time that `describe` may take, in seconds. It is asked of components that nobody has configured
/// yet: with `max_compile_secs` it makes less than the minute in which any file is looked at.
const MAX_DESCRIBE_SECS: u64 = 3;

/// Functions, types and instances that a component may import, within each other. A component built for all of
/// WASI imports some hundreds. The same instance may be imported by many names, so few bytes name many of them,
/// and for each function that no plugin is given one is made that traps.
const MAX_IMPORTED: usize = 10_000;

/// Bytes of why a component can't be linked.
const MAX_LINK_ERROR_BYTES: usize = 1024;

/// What to do about a component that was built for another world.
const OTHER_WORLD: &str = "a plugin is built for the world `plugin` of `wit/plugin.wit`: `clickmill plugin build FOLDER` does so for sources with the SDK of their language";

/// What to do about a component that was built for another version of the contract.
const OTHER_VERSION: &str =
    "build it again for a contract that is spoken here, or take a clickmill that speaks its own";

/// Exports that are told of a component that is no plugin.
const MAX_EXPORTS_TOLD: usize = 5;

/// A component that has been compiled, linked and described.
pub(super) struct Loaded {
    pub digest: Digest,
    /// The contract that it was built for.
    pub contract: Contract,
    pub pre: InstancePre<Guest>,
    pub slice: Slice,
    pub permits: Permits,
    configure: ComponentExportIndex,
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
    /// The contract it was built for.
    pub contract: &'static str,
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
    /// Asks what the plugin is.
    fn describe(
        &self,
        stage: &str,
        describe: &ComponentExportIndex,
    ) -> Result<Manifest, PluginError> {
        let limits = Limits { max_call_secs: MAX_DESCRIBE_SECS, ..Limits::default() };
        let lookups = Arc::default();
        match self.contract {
            Contract::V0_1 => self.ask::<(), contract_0_1::Manifest>(
                stage,
                limits,
                lookups,
                "describe",
                describe,
                (),
            ),
            Contract::V0_2 => {
                self.ask::<(), Manifest>(stage, limits, lookups, "describe", describe, ())
            }
        }
    }

    /// Asks what the plugin needs with a configuration, where these columns are available.
    pub(crate) fn configure(
        &self,
        stage: &str,
        limits: Limits,
        lookups: Arc<Lookups>,
        config: &str,
        available: &[ColumnSpec],
    ) -> Result<ConfigureOut, PluginError> {
        let (export, index) = ("configure", &self.configure);
        match self.contract {
            Contract::V0_1 => {
                let available = available.iter().filter_map(contract_0_1::ColumnSpec::of);
                let available: Vec<_> = available.collect();
                self.ask::<contract_0_1::ConfigureIn<'_>, contract_0_1::ConfigureOut>(
                    stage,
                    limits,
                    lookups,
                    export,
                    index,
                    (config, &available),
                )
            }
            Contract::V0_2 => self.ask::<ConfigureIn<'_>, ConfigureOut>(
                stage,
                limits,
                lookups,
                export,
                index,
                (config, available),
            ),
        }
    }

    /// Calls an export of a fresh instance, under the stage's limits.
    fn ask<'a, Params, Answer>(
        &self,
        stage: &str,
        limits: Limits,
        lookups: Arc<Lookups>,
        export: &'static str,
        index: &ComponentExportIndex,
        params: Params,
    ) -> Result<Answer::Checked, PluginError>
    where
        Params: ComponentNamedList + Lower + 'a,
        (Answer,): ComponentNamedList + Lift,
        Answer: Answers + 'static,
    {
        let failed = |what: String| {
            let stage = stage.to_owned();
            PluginError::Failed { stage, export, what }
        };
        let output_bytes = MAX_ANSWER_BYTES.min(limits.max_output_bytes);
        let fuel = limits.max_fuel_per_batch.saturating_mul(QUESTION_BATCHES);
        let _permit = self.permits.take();
        let mut store = store(self.pre.engine(), Guest::new(stage.into(), limits, lookups));
        store.set_hostcall_fuel(output_bytes);
        let deadline = store.data().deadline;
        let answer = set_fuel(&mut store, self.slice, fuel).and_then(|()| {
            until(deadline, async {
                let instance = self.pre.instantiate_async(&mut store).await?;
                let func = instance
                    .get_func(&mut store, index)
                    .ok_or_else(|| wasmtime::format_err!("it is not a function"))?;
                func.typed::<Params, (Answer,)>(&store)?.call_async(&mut store, params).await
            })
        });
        tell_unwritten(stage, store.data().lines_unwritten);
        let answer = answer.map_err(|error| {
            // What a component is asked to say of itself is asked before it has a stage, and limits of one.
            let granted_by = match export {
                "configure" => format!(", {}", FuelLimit::of_question(&limits)),
                _ => String::new(),
            };
            let fuel = &format!("{fuel} for a call{granted_by}");
            let output = &format!("{output_bytes} bytes");
            Ending::of(&error, store.data(), &CallLimits { limits, fuel, output }).text
        });
        store.data_mut().tell_errors_of_call(answer.is_err());
        let (answer,) = answer.map_err(failed)?;
        answer.checked().map_err(|what| failed(Ending::bad_output(&what).text))
    }
}

/// Reads a component file of at most `max_bytes`.
pub(super) fn read(path: &Path, max_bytes: usize) -> Result<Bytes, PluginError> {
    let read = file::read(path, max_bytes);
    let bytes = read.map_err(|source| PluginError::Read { path: path.to_owned(), source })?;
    Ok(bytes.into())
}

/// The signature beside a component, where there is one.
pub(super) fn read_signature(path: &Path) -> Option<String> {
    file::read_text(&beside(path), MAX_SIGNATURE_BYTES).ok()
}

/// Reads a component file, and tells what is wrong with it before it is compiled.
pub(super) fn look(
    stage: &str,
    path: &Path,
    trust: &Trust,
    limits: ComponentLimits,
) -> Result<(), PluginError> {
    let bytes = read(path, limits.max_bytes)?;
    let signature = read_signature(path).unwrap_or_default();
    let trusted = trust.check(stage, &bytes, &signature).map_err(EngineError::from);
    let fine = trusted.and_then(|_| Ok(shape::check(&bytes).map(drop)?));
    fine.map_err(|source| PluginError::Compile {
        stage: stage.to_owned(),
        path: path.to_owned(),
        source,
    })
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
    let wasmtime = component.engine();
    let contract = |what: String, hint| {
        let stage = stage.to_owned();
        PluginError::Contract { stage, what, hint }
    };
    let component_type = component.component_type();
    let imports: Vec<&str> = component_type.imports(wasmtime).map(|(name, _)| name).collect();
    let spoken = Contract::of(wasmtime, &component_type).map_err(|other| {
        contract(format!("it was built for `{}`", cut(other, MAX_NAME_BYTES)), OTHER_VERSION)
    })?;
    let mut imported = component_type.imports(wasmtime).map(|(_, import)| import);
    let mut left = MAX_IMPORTED;
    if !imported.all(|import| takes_off(wasmtime, &import, &mut left)) {
        let what = format!(
            "it imports more than {MAX_IMPORTED} functions and types, over all that it imports"
        );
        return Err(contract(what, OTHER_WORLD));
    }
    let foreign: Vec<&str> =
        imports.into_iter().filter(|name| !name.starts_with(PACKAGE)).collect();
    if !foreign.is_empty() {
        let imports = told(foreign, MAX_NAME_BYTES).join(", ");
        tracing::info!(
            plugin = stage,
            imports,
            "no plugin is given this: it traps where it calls it"
        );
    }
    let export = |name: &str| {
        component
            .get_export_index(None, name)
            .ok_or_else(|| contract(lacks(wasmtime, &component_type, name), OTHER_WORLD))
    };
    let (describe, configure, process) =
        (export("describe")?, export("configure")?, export("process")?);
    let pre =
        link(wasmtime, &component).and_then(|linker| linker.instantiate_pre(&component)).map_err(
            |error| contract(cut(format!("{error:#}"), MAX_LINK_ERROR_BYTES), OTHER_VERSION),
        )?;
    let digest = Digest::of(bytes);
    let manifest = Manifest::default();
    let permits = engine.permits.clone();
    let contract = spoken;
    let slice = Slice::of(pre.component());
    let mut loaded = Loaded { digest, contract, pre, slice, permits, configure, process, manifest };
    loaded.manifest = loaded.describe(stage, &describe)?;
    let is_as_signed = claim.check_version(&loaded.manifest.version);
    is_as_signed.map_err(|error| failed(error.into()))?;
    Ok(loaded)
}

/// What a component is that lacks an export of plugins, by those that it has.
fn lacks(engine: &wasmtime::Engine, component: &types::Component, name: &str) -> String {
    let exports: Vec<&str> = component.exports(engine).map(|(name, _)| name).collect();
    let has = |start: &str| exports.iter().any(|export| export.starts_with(start));
    let what = if has("wasi:cli/run") {
        "it is a program of WASI, which is started, not called for rows".to_owned()
    } else if has("wasi:http/incoming-handler") || has("wasi:http/handler") {
        "it answers HTTP requests, not calls for rows".to_owned()
    } else if exports.is_empty() {
        "it exports nothing at all".to_owned()
    } else {
        let more = exports.len().saturating_sub(MAX_EXPORTS_TOLD);
        let first = told(exports.into_iter().take(MAX_EXPORTS_TOLD), MAX_NAME_BYTES).join("`, `");
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("it was built for another world, whose exports are `{first}`{more}")
    };
    format!("it does not export `{name}`: {what}")
}

/// Takes off what an import has in it; whether so much was left. Instances are no deeper in each other than the
/// compiler has them.
fn takes_off(engine: &wasmtime::Engine, import: &ComponentExtern<'_>, left: &mut usize) -> bool {
    let Some(others) = left.checked_sub(1) else { return false };
    *left = others;
    match &import.ty {
        ComponentItem::ComponentInstance(instance) => {
            instance.exports(engine).all(|(_, export)| takes_off(engine, &export, left))
        }
        _ => true,
    }
}

/// Describes a component file.
///
/// # Errors
///
/// As of [`describe`]; or the file cannot be read.
pub fn describe_file(engine: &Engine, path: &Path) -> Result<Described, PluginError> {
    let bytes = read(path, engine.limits().max_bytes)?;
    describe(engine, path, &bytes, read_signature(path).as_deref())
}

/// Describes a component. `path` is where it came from, for messages.
///
/// # Errors
///
/// It is no component of the contract, has more of something than a plugin may, takes too long or too much to
/// compile, or its description is bad.
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
    let imports = component_type.imports(loaded.pre.engine()).map(|(name, _)| name);
    let imports = told(imports, MAX_NAME_BYTES);
    let Manifest { name, version, description, config_schema, secrets } = loaded.manifest;
    Ok(Described {
        name,
        version,
        description,
        config_schema,
        contract: loaded.contract.name(),
        secrets: secrets.into_iter().map(|secret| secret.name).collect(),
        digest: loaded.digest,
        bytes: bytes.len(),
        imports,
    })
}

#[cfg(test)]
mod tests;
