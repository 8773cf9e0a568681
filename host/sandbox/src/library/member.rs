//! One stage's component with its configuration, grants and reference data.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use arrow::datatypes::Field;
use bytes::Bytes;

use super::grant::{Granted, Offer, Wanted, set_fields};
use crate::boundary::{Configured, Secret};
use crate::change::{Change, NewComponent};
use crate::component::{Loaded, load};
use crate::engine::Engine;
use crate::error::{ChangeError, PluginError};
use crate::lookup::{LookupFile, LookupFileError, Lookups};
use crate::manifest::told;
use crate::secrets::{Secrets, made_up, wrong};
use crate::set::{LookupMade, StageMade};
use crate::stage::Stage;
use clickmill_config::Plugin;
use clickmill_core::Digest;

/// A component that was compiled and described, and how the pipeline wants it.
pub(super) struct Member {
    pub plugin: Plugin,
    pub component: Arc<Loaded>,
    /// The component as it was read.
    pub bytes: Bytes,
    /// The signature that came with it.
    pub signature: Option<String>,
    pub lookup_files: Vec<LookupFile>,
    lookups: Arc<Lookups>,
}

impl Member {
    /// Reads a component file with what belongs to it, compiles and describes.
    pub(super) fn load(engine: &Engine, plugin: Plugin) -> Result<Self, PluginError> {
        let NewComponent { bytes, signature, .. } =
            NewComponent::read(&plugin.component, engine.limits().max_bytes)?;
        let lookups = plugin.lookups.iter().map(|(table, path)| LookupFile::read(table, path));
        let lookups =
            lookups.collect::<Result<_, _>>().map_err(|e| lookup_failed(&plugin.name, e))?;
        Self::new(engine, plugin, (bytes, signature), lookups)
    }

    /// Compiles and describes what was read.
    pub(super) fn new(
        engine: &Engine,
        plugin: Plugin,
        (bytes, signature): (Bytes, Option<String>),
        lookup_files: Vec<LookupFile>,
    ) -> Result<Self, PluginError> {
        let (name, path) = (&plugin.name, &plugin.component);
        let component = Arc::new(load(engine, name, path, &bytes, signature.as_deref())?);
        let lookups = Lookups::parse(&lookup_files).map_err(|e| lookup_failed(&plugin.name, e))?;
        let lookups = Arc::new(lookups);
        Ok(Self { plugin, component, bytes, signature, lookup_files, lookups })
    }

    /// The same with the component, configuration and lookup tables that were kept of the stage.
    pub(super) fn restore<E: From<PluginError>>(
        &self,
        engine: &Engine,
        kept: &StageMade,
        mut blob: impl FnMut(&Digest) -> Result<Bytes, E>,
    ) -> Result<Self, E> {
        let (component, config) = (kept.component.as_str().into(), kept.config.clone());
        let plugin = Plugin { component, config, ..self.plugin.clone() };
        let mut lookup_files = self.lookup_files.clone();
        for granted in &mut lookup_files {
            if let Some(made) = kept.lookups.iter().find(|made| made.table == granted.table) {
                let bytes = blob(&made.digest)?;
                *granted = LookupFile::new(made.table.clone(), made.file.as_str().into(), bytes);
            }
        }
        let component = (blob(&kept.component)?, kept.signature.clone());
        Ok(Self::new(engine, plugin, component, lookup_files)?)
    }

    /// The same with a change.
    pub(super) fn with(&self, engine: &Engine, change: Change) -> Result<Self, ChangeError> {
        let mut plugin = self.plugin.clone();
        for (key, value) in change.config {
            match value {
                serde_json::Value::Null => plugin.config.remove(&key),
                value => plugin.config.insert(key, value),
            };
        }
        let (component, bytes, signature) = match change.component {
            Some(NewComponent { path, bytes, signature }) => {
                plugin.component = path;
                let (name, path) = (&plugin.name, &plugin.component);
                let loaded = load(engine, name, path, &bytes, signature.as_deref())?;
                (Arc::new(loaded), bytes, signature)
            }
            None => (self.component.clone(), self.bytes.clone(), self.signature.clone()),
        };
        if change.lookups.is_empty() {
            let (lookup_files, lookups) = (self.lookup_files.clone(), self.lookups.clone());
            return Ok(Self { plugin, component, bytes, signature, lookup_files, lookups });
        }
        let mut lookup_files = self.lookup_files.clone();
        for file in change.lookups {
            match lookup_files.iter_mut().find(|known| known.table == file.table) {
                Some(known) => *known = file,
                None => {
                    let (stage, table) = (plugin.name.to_string(), file.table);
                    return Err(ChangeError::UnknownTable { stage, table });
                }
            }
        }
        let lookups = Lookups::parse(&lookup_files).map_err(|e| lookup_failed(&plugin.name, e))?;
        let lookups = Arc::new(lookups);
        Ok(Self { plugin, component, bytes, signature, lookup_files, lookups })
    }

    /// The same, granted these lookup tables too, which take the place of those of their names.
    pub(super) fn granting(mut self, lookups: Vec<LookupFile>) -> Result<Self, PluginError> {
        if lookups.is_empty() {
            return Ok(self);
        }
        for file in lookups {
            self.plugin.lookups.retain(|(table, _)| *table != file.table);
            self.plugin.lookups.push((file.table.clone(), file.path.clone()));
            self.lookup_files.retain(|known| known.table != file.table);
            self.lookup_files.push(file);
        }
        let lookups = Lookups::parse(&self.lookup_files);
        self.lookups = Arc::new(lookups.map_err(|e| lookup_failed(&self.plugin.name, e))?);
        Ok(self)
    }

    /// Fits the component to the columns there are, and adds those that it writes. `multiplying` is how many
    /// stages before it make several rows of one.
    pub(super) fn configure(
        &self,
        columns: &mut Vec<Field>,
        multiplying: &mut u32,
        secrets: &Secrets,
    ) -> Result<Stage, PluginError> {
        let plugin = &self.plugin;
        let contract = self.component.contract;
        self.check_secrets(secrets)?;
        let offer = Offer::of(columns, &plugin.reads, contract);
        offer.check(&plugin.reads).map_err(|problems| self.beyond_grant(problems))?;
        let rehearsal = self.config(made_up);
        let answer = self.component.configure(
            &plugin.name,
            plugin.limits,
            self.lookups.clone(),
            &rehearsal,
            &offer.specs,
        )?;
        // What the plugin misses may be misspelt in its grant.
        let told = |problems: Vec<String>| {
            let mut told = told(problems, plugin.limits.max_message_bytes);
            told.extend(offer.missing(&plugin.reads));
            told
        };
        let Configured { needs, prepared } = answer.map_err(|problems| PluginError::Config {
            stage: plugin.name.to_string(),
            problems: told(problems),
        })?;
        let wanted = Wanted { offer: &offer, needs: &needs, plugin, contract };
        let granted = wanted.granted(*multiplying);
        let Granted { reads, writes } =
            granted.map_err(|problems| self.beyond_grant(told(problems)))?;
        set_fields(columns, &writes);
        let written = columns.iter().filter(|column| writes.position(column.name()).is_some());
        let mut written: Vec<Field> = written.cloned().collect();
        written.sort_by_key(|column| writes.position(column.name()));
        let multiplies = needs.multiplies.then_some(*multiplying);
        *multiplying += u32::from(needs.multiplies);
        let mut names = HashSet::new();
        [&reads, &writes].iter().for_each(|columns| columns.add_names(None, &mut names));
        Ok(Stage {
            name: plugin.name.clone(),
            digest: self.component.digest.clone(),
            contract,
            pre: self.component.pre.clone(),
            slice: self.component.slice,
            permits: self.component.permits.clone(),
            process: self.component.process,
            config: self.config(|name, _| secrets.get(&plugin.name, name).unwrap_or_default()),
            rehearsal,
            prepared,
            redactor: secrets.redactor.clone(),
            reads,
            writes,
            names: Arc::new(names),
            written,
            multiplies,
            lookups: self.lookups.clone(),
            limits: plugin.limits,
            life: plugin.instance,
        })
    }

    fn beyond_grant(&self, problems: Vec<String>) -> PluginError {
        PluginError::Grant { stage: self.plugin.name.to_string(), problems }
    }

    /// The configuration with these values of its secrets, as the JSON text that the plugin gets.
    fn config<V: Into<serde_json::Value>>(&self, value: impl Fn(&str, usize) -> V) -> String {
        let mut config = self.plugin.config.clone();
        for Secret { name, min_bytes } in &self.component.manifest.secrets {
            config.insert(name.clone(), value(name, *min_bytes as usize).into());
        }
        serde_json::Value::Object(config).to_string()
    }

    /// Whether the component asks for no secret but those that its stage is granted, none of them can be
    /// guessed, and none stands in the configuration, which is kept and shown.
    pub(super) fn check_secrets(&self, secrets: &Secrets) -> Result<(), PluginError> {
        let (stage, asked) = (&self.plugin.name, &self.component.manifest.secrets);
        let excess = asked.iter().filter(|secret| secrets.get(stage, &secret.name).is_none());
        let problems: Vec<String> = excess
            .map(|Secret { name, .. }| {
                let variable = Plugin::secret_variable(stage, name);
                format!(
                    "it asks for secret `{name}`: add `secrets = [\"{name}\"]` to the stage in the pipeline file if it may know `{variable}`"
                )
            })
            .collect();
        if !problems.is_empty() {
            return Err(PluginError::Grant { stage: stage.to_string(), problems });
        }
        let known = secrets.names(stage).chain(asked.iter().map(|secret| secret.name.as_str()));
        let known: BTreeSet<&str> = known.collect();
        let keys = known.into_iter().filter(|name| self.plugin.config.contains_key(*name));
        let keys = keys.map(|name| format!("`config.{name}` is a secret: take it out"));
        let guessed = asked.iter().filter_map(|Secret { name, min_bytes }| {
            let value = secrets.get(stage, name).unwrap_or_default();
            let wrong = wrong(value, *min_bytes as usize)?;
            Some(format!("secret `{name}` {wrong}"))
        });
        let held = secrets.held_by(&self.plugin);
        let problems: Vec<String> = guessed.chain(keys).chain(held).collect();
        if problems.is_empty() {
            Ok(())
        } else {
            Err(PluginError::Secret { stage: stage.to_string(), problems })
        }
    }

    /// What the stage is made of.
    pub(super) fn made(&self) -> StageMade {
        let plugin = &self.plugin;
        let lookup = |file: &LookupFile| LookupMade {
            table: file.table.clone(),
            file: file.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            digest: file.digest.clone(),
        };
        StageMade {
            stage: plugin.name.clone(),
            plugin: self.component.manifest.name.clone(),
            version: self.component.manifest.version.clone(),
            contract: self.component.contract.name().to_owned(),
            component: self.component.digest.clone(),
            signature: self.signature.clone(),
            config: plugin.config.clone(),
            reads: plugin.reads.clone(),
            writes: plugin.writes.clone(),
            secrets: plugin.secrets.clone(),
            lookups: self.lookup_files.iter().map(lookup).collect(),
            limits: plugin.limits,
            instance: plugin.instance,
        }
    }
}

fn lookup_failed(stage: &str, source: LookupFileError) -> PluginError {
    PluginError::Lookup { stage: stage.to_owned(), source }
}
