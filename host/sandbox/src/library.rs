//! From stages as configured to a chain that runs: components are compiled and described once, then
//! fitted to the columns that come in.

mod grant;
mod member;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema};
use bytes::Bytes;

use super::bench::Bench;
use super::build;
use super::chain::Chain;
use super::change::{Change, NewComponent};
use super::component;
use super::digest;
use super::engine::Engine;
use super::error::{ChangeError, PluginError, TestError};
use super::golden::{Golden, GoldenError};
use super::lookup::LookupFile;
use super::record::{self, Recorded};
use super::rows::{decode, plainly};
use super::secrets::Secrets;
use super::set::{PluginSet, StageMade};
use super::tested::{self, Measure, Tested};
use super::trust::Trust;
use clickmill_config::{ComponentLimits, Grant, Plugin};
use clickmill_core::{Digest, Micros};
use member::Member;

/// The components of a chain, compiled and described, not yet fitted to columns. Immutable: a change
/// makes another library, which shares what is the same.
#[derive(Clone)]
pub struct Library {
    engine: Engine,
    members: Vec<Arc<Member>>,
    digest: Digest,
}

impl Library {
    /// Builds, compiles and describes the components of a pipeline. An engine that takes signed components
    /// only builds none: a crate would run code of its own before anybody has looked for a signature.
    ///
    /// # Errors
    ///
    /// Of the first stage that fails: its crate cannot be built, its component cannot be had, is not trusted, is no
    /// component of the contract, or its description is bad.
    pub fn load(engine: &Engine, plugins: &[Plugin]) -> Result<Self, PluginError> {
        let is_crate = |plugin: &&Plugin| build::is_crate(&plugin.component);
        if engine.wants_signatures()
            && let Some(plugin) = plugins.iter().find(is_crate)
        {
            return Err(unsigned(plugin));
        }
        let plugins = built(plugins)?;
        let members = plugins.into_iter().map(|plugin| Ok(Arc::new(Member::load(engine, plugin)?)));
        Ok(Self::of(engine, PluginError::all(members)?))
    }

    /// Compiles and describes components that are at hand, each with how it is configured and the content
    /// of its lookup tables. Nothing is built or read, so `component` and the files of `lookups` are names
    /// for messages only.
    ///
    /// # Errors
    ///
    /// Of the first stage that fails, as of [`Library::load`].
    pub fn from_components(
        engine: &Engine,
        stages: impl IntoIterator<Item = (Plugin, NewComponent, Vec<LookupFile>)>,
    ) -> Result<Self, PluginError> {
        let member = |(plugin, component, lookups): (Plugin, NewComponent, Vec<LookupFile>)| {
            let NewComponent { path, bytes, signature } = component;
            let plugin = Plugin { component: path, ..plugin };
            Ok(Arc::new(Member::new(engine, plugin, (bytes, signature), lookups)?))
        };
        let members: Result<_, PluginError> = stages.into_iter().map(member).collect();
        Ok(Self::of(engine, members?))
    }

    /// The same stages with the components, configurations and lookup tables of a set that was kept. A kept
    /// set decides no more than that: which stages there are, in which order, and what each may read, write,
    /// ask and use, stays as it is here, and a stage that the set lacks stays whole. `blob` gives components
    /// and lookup tables by their digest.
    ///
    /// # Errors
    ///
    /// `blob` fails, or what it gives for a digest is another's or cannot be taken.
    pub fn restore<E: From<PluginError>>(
        &self,
        set: &PluginSet,
        mut blob: impl FnMut(&Digest) -> Result<Bytes, E>,
    ) -> Result<Self, E> {
        let mut members = Vec::new();
        for member in &self.members {
            let kept = set.stages.iter().find(|kept| kept.stage == member.plugin.name);
            members.push(match kept {
                Some(kept) => Arc::new(member.restore(&self.engine, kept, &mut blob)?),
                None => member.clone(),
            });
        }
        Ok(Self::of(&self.engine, members))
    }

    /// The library with some stages changed.
    ///
    /// # Errors
    ///
    /// There is no such stage, nothing changes, or the new component or configuration cannot be taken.
    pub fn with(&self, changes: Vec<Change>) -> Result<Self, ChangeError> {
        let mut members = self.members.clone();
        let known: Vec<String> = self.stage_names().map(str::to_owned).collect();
        let stages = changes.iter().map(|change| change.stage.clone());
        let stages: Vec<String> = stages.filter(|stage| !known.contains(stage)).collect();
        if !stages.is_empty() {
            return Err(ChangeError::UnknownStage { stages, known });
        }
        let mut errors = Vec::new();
        for change in changes {
            let stage = members.iter_mut().find(|member| member.plugin.name == *change.stage);
            let Some(member) = stage else { continue };
            match member.with(&self.engine, change) {
                Ok(changed) => *member = Arc::new(changed),
                Err(error) => errors.push(error),
            }
        }
        if errors.len() > 1 {
            return Err(ChangeError::Several { errors });
        }
        if let Some(error) = errors.pop() {
            return Err(error);
        }
        let changed = Self::of(&self.engine, members);
        if changed.digest == self.digest {
            Err(ChangeError::Nothing { plugin_set: self.digest.clone() })
        } else {
            Ok(changed)
        }
    }

    fn of(engine: &Engine, members: Vec<Arc<Member>>) -> Self {
        let digest = digest::digest(&stages(&members));
        Self { engine: engine.clone(), members, digest }
    }

    /// Digest of components, configurations, grants, limits and reference data, in order: the plugin set.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Whether the library is the set that is remembered by this digest, which an earlier version of
    /// clickmill may have made in another form.
    pub fn is_set(&self, digest: &str) -> bool {
        self.digest == *digest || self.set().digest_v0() == *digest
    }

    /// The stages' names, in order.
    pub fn stage_names(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|member| member.plugin.name.as_str())
    }

    /// What the library is made of.
    pub fn set(&self) -> PluginSet {
        PluginSet { digest: self.digest.clone(), stages: stages(&self.members) }
    }

    /// Components and lookup tables by their digests, each once, in however many stages it is.
    pub fn blobs(&self) -> BTreeMap<Digest, Bytes> {
        let mut blobs = BTreeMap::new();
        for member in &self.members {
            blobs.insert(member.component.digest.clone(), member.bytes.clone());
            for file in &member.lookup_files {
                blobs.insert(file.digest.clone(), file.bytes.clone());
            }
        }
        blobs
    }

    /// Runs golden cases through a stage, by itself. The secrets that they do not give are made up.
    ///
    /// # Errors
    ///
    /// There is no such stage, or it cannot be configured for the cases. A case that fails is no error.
    pub fn golden(
        &self,
        stage: &str,
        golden: &Golden,
        measure: Measure,
    ) -> Result<Tested, TestError> {
        Ok(tested::run(golden, &self.alone(stage, golden)?, measure)?)
    }

    /// Golden cases of what a stage makes of rows now, under its configuration and with its reference data, for a
    /// file of this name. Of the columns those are kept that it reads.
    ///
    /// # Errors
    ///
    /// There is no such stage, it cannot be configured for these columns, or no rows are left.
    pub fn record(
        &self,
        stage: &str,
        file: &str,
        rows: &RecordBatch,
        ingest_time: Micros,
    ) -> Result<Recorded, TestError> {
        let values = |source| GoldenError::Values { file: file.to_owned(), source };
        let member = self.member(stage, file)?;
        let rows = plainly(rows).map_err(values)?;
        let (config, lookups) = (&member.plugin.config, &member.lookup_files);
        let mut golden = Golden::of_rows(file, &rows.schema(), config, lookups, ingest_time);
        // What it is not granted it does not see; of a record of which it is granted a field, it sees all that
        // whoever records may see.
        golden.keep_columns(|name| match &member.plugin.reads {
            Grant::All => true,
            Grant::Only(paths) => {
                let is_in = |path: &String| path == name || path.split('.').next() == Some(name);
                paths.iter().any(is_in)
            }
        });
        let chain = self.alone(stage, &golden)?;
        let reads = &chain.stages[0].reads;
        golden.keep_columns(|name| reads.position(name).is_some());
        let chain = self.alone(stage, &golden)?;
        Ok(record::record(golden, &chain, &rows)?)
    }

    /// The same of rows of JSON objects, such as a tap shows. Bytes are in base64.
    ///
    /// # Errors
    ///
    /// As of [`Library::record`]; or an object is not of the columns.
    pub fn record_objects(
        &self,
        stage: &str,
        file: &str,
        columns: &Schema,
        rows: &[serde_json::Map<String, serde_json::Value>],
    ) -> Result<Recorded, TestError> {
        let rows = decode(columns, &rows.iter().collect::<Vec<_>>());
        let rows = rows.map_err(|source| GoldenError::Values { file: file.to_owned(), source })?;
        self.record(stage, file, &rows, Micros::now())
    }

    /// The stages that come before one.
    pub fn before(&self, stage: &str) -> Self {
        let before = self.members.iter().take_while(|member| member.plugin.name != *stage);
        Self::of(&self.engine, before.cloned().collect())
    }

    /// A stage by itself with the columns, configuration, secrets and lookup tables of golden cases, and rows
    /// for it: `count` of those given, in turn, or of those of the cases where none are given.
    ///
    /// # Errors
    ///
    /// There is no such stage, or it cannot be configured for the cases or the rows.
    pub fn bench(
        &self,
        stage: &str,
        golden: &Golden,
        rows: &[serde_json::Map<String, serde_json::Value>],
        count: usize,
    ) -> Result<Bench, TestError> {
        Ok(Bench::new(golden, self.alone(stage, golden)?, rows, count)?)
    }

    /// A stage by itself, as golden cases want it.
    fn alone(&self, stage: &str, golden: &Golden) -> Result<Chain, TestError> {
        let failed = |source: ChangeError| TestError::Change {
            file: golden.file.clone(),
            source: Box::new(source),
        };
        let member = self.member(stage, &golden.file)?;
        let (stage, config) = (stage.to_owned(), golden.config.clone());
        let change = Change { stage: stage.clone(), config, ..Change::default() };
        let alone = member.with(&self.engine, change).map_err(failed)?;
        let alone = alone.granting(golden.lookups()?);
        let mut alone = alone.map_err(|error| failed(error.into()))?;
        // The cases say which columns there are; what the pipeline grants is checked by itself.
        (alone.plugin.reads, alone.plugin.writes) = (Grant::All, Grant::All);
        let asked = &alone.component.manifest.secrets;
        let secrets = golden.secrets(&stage, asked)?;
        let alone = Self::of(&self.engine, vec![Arc::new(alone)]);
        let chain = alone.configure(&golden.columns()?, &secrets);
        chain.map_err(|error| failed(error.into()))
    }

    /// A stage that the cases of a file are for.
    fn member(&self, stage: &str, file: &str) -> Result<&Member, TestError> {
        let member = self.members.iter().find(|member| member.plugin.name == *stage);
        member.map(|member| &**member).ok_or_else(|| {
            let known = self.stage_names().map(str::to_owned).collect();
            let source = ChangeError::UnknownStage { stages: vec![stage.to_owned()], known };
            TestError::Change { file: file.to_owned(), source: Box::new(source) }
        })
    }

    /// Whether each stage asks for no secret but those that it is granted, none of these can be guessed, and
    /// no configuration holds one. [`Library::configure`] asks this too.
    ///
    /// # Errors
    ///
    /// [`PluginError::Grant`] and [`PluginError::Secret`], of all stages that are not in order.
    pub fn check_secrets(&self, secrets: &Secrets) -> Result<(), PluginError> {
        let checked = self.members.iter().map(|member| member.check_secrets(secrets));
        PluginError::all(checked).map(|_| ())
    }

    /// Fits the chain to the columns that come in. A stage gets the `secrets` that it is granted.
    ///
    /// # Errors
    ///
    /// A stage refuses its configuration, with all that it says about it; asks for columns or lookup tables beyond its
    /// grants, or for columns that do not come in; or lacks a secret.
    pub fn configure(&self, input: &Schema, secrets: &Secrets) -> Result<Chain, PluginError> {
        let mut columns: Vec<Field> =
            input.fields().iter().map(|field| (**field).clone()).collect();
        let mut stages = Vec::new();
        let mut multiplying = 0;
        for member in &self.members {
            stages.push(Arc::new(member.configure(&mut columns, &mut multiplying, secrets)?));
        }
        let (plugin_set, guarded) = (self.digest.clone(), Arc::default());
        Ok(Chain { stages, plugin_set, output: columns, guarded, wanted: None })
    }
}

/// What is wrong with stages, as far as it can be told before any is built or compiled: crates that are not taken,
/// components that cannot be read, are too large, are not trusted, or are none at first sight.
pub fn look(plugins: &[Plugin], trust: &Trust, limits: ComponentLimits) -> Vec<PluginError> {
    let look = |plugin: &Plugin| {
        if build::is_crate(&plugin.component) {
            return trust.wants_signatures().then(|| unsigned(plugin));
        }
        let path = build::packed(&plugin.component);
        let path = path.as_ref().unwrap_or(&plugin.component);
        component::look(&plugin.name, path, trust, limits).err()
    };
    plugins.iter().filter_map(look).collect()
}

fn unsigned(plugin: &Plugin) -> PluginError {
    let (stage, path) = (plugin.name.to_string(), plugin.component.clone());
    PluginError::UnsignedCrate { stage, path }
}

/// The plugins with crates built into component files.
fn built(plugins: &[Plugin]) -> Result<Vec<Plugin>, PluginError> {
    let mut plugins = plugins.to_vec();
    let crates = plugins.iter_mut().filter(|plugin| plugin.component.is_dir());
    let crates: Vec<&mut Plugin> = crates.collect();
    let folders: Vec<PathBuf> = crates.iter().map(|plugin| plugin.component.clone()).collect();
    let components = build::build_all(&folders, build::Freshness::Sources, build::Install::Never);
    let built = crates.into_iter().zip(components).map(|(plugin, component)| {
        let failed = |source| PluginError::Build { stage: plugin.name.to_string(), source };
        plugin.component = component.map_err(failed)?;
        Ok(())
    });
    PluginError::all(built)?;
    Ok(plugins)
}

fn stages(members: &[Arc<Member>]) -> Vec<StageMade> {
    members.iter().map(|member| member.made()).collect()
}

#[cfg(test)]
mod tests;
