//! One stage's component with its configuration, grants and reference data.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex};

use arrow::datatypes::Field;
use bytes::Bytes;

use crate::boundary::{CONTRACT, ColumnSpec, ConfigureIn, ConfigureOut, DataType, Needs};
use crate::change::{Change, NewComponent};
use crate::component::{Loaded, load};
use crate::engine::Engine;
use crate::error::{ChangeError, PluginError};
use crate::lookup::{LookupFile, LookupFileError, Lookups};
use crate::manifest::told;
use crate::secrets::Secrets;
use crate::set::{LookupMade, StageMade};
use crate::stage::Stage;
use clickmill_config::{Grant, Plugin};
use clickmill_core::lock;
use clickmill_core::schema::provenance;

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
        let NewComponent { bytes, signature, .. } = NewComponent::read(&plugin.component)?;
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

    /// Fits the component to the columns there are, and adds those that it writes.
    pub(super) fn configure(
        &self,
        columns: &mut Vec<Field>,
        secrets: &Secrets,
    ) -> Result<Stage, PluginError> {
        let plugin = &self.plugin;
        let available: Vec<ColumnSpec> = columns
            .iter()
            .filter(|column| granted(&plugin.reads, column.name()))
            .filter_map(|column| {
                let data_type = DataType::of(column.data_type())?;
                Some(ColumnSpec { name: column.name().clone(), data_type })
            })
            .collect();
        let (config, unset) = self.config(secrets);
        let needs = self.component.ask::<ConfigureIn<'_>, ConfigureOut>(
            &plugin.name,
            plugin.limits,
            self.lookups.clone(),
            "configure",
            &self.component.configure,
            (config.as_str(), available.as_slice()),
        )?;
        let mut needs = needs.map_err(|problems| {
            let mut problems = told(problems, plugin.limits.max_message_bytes);
            problems.extend(unset);
            PluginError::Config { stage: plugin.name.to_string(), problems }
        })?;
        self.check_grant(&needs, &available)?;
        // A batch has each column once, however often it is asked for.
        let mut names = HashSet::new();
        needs.reads.retain(|read| names.insert(read.name.clone()));
        let specs =
            |specs: Vec<ColumnSpec>| specs.into_iter().map(|c| (c.name, c.data_type)).collect();
        let writes: Vec<(String, DataType)> = specs(needs.writes);
        for (name, data_type) in &writes {
            let field = Field::new(name, data_type.arrow(), true);
            match columns.iter_mut().find(|column| column.name() == name) {
                Some(column) => *column = field,
                None => columns.push(field),
            }
        }
        Ok(Stage {
            name: plugin.name.clone(),
            digest: self.component.digest.clone(),
            pre: self.component.pre.clone(),
            slots: self.component.slots.clone(),
            process: self.component.process,
            config,
            reads: specs(needs.reads),
            writes,
            lookups: self.lookups.clone(),
            limits: plugin.limits,
            life: plugin.instance,
        })
    }

    /// The configuration with its secrets, as the JSON text that the plugin gets, and a line for each
    /// secret that is not set: whether it can do without is the plugin's to say.
    fn config(&self, secrets: &Secrets) -> (String, Vec<String>) {
        let mut config = self.plugin.config.clone();
        let mut unset = Vec::new();
        let stage = &self.plugin.name;
        for secret in &self.component.manifest.secrets {
            let named = self.plugin.secrets.iter().find(|(name, _)| name == secret);
            // The name is built from the stage's, so that a plugin can't ask for any variable it likes.
            let variable = named.map_or_else(
                || format!("CLICKMILL_{stage}_{secret}").to_uppercase().replace('-', "_"),
                |(_, variable)| variable.clone(),
            );
            let value = secrets.get(&format!("{stage}.{secret}")).cloned();
            match value.or_else(|| std::env::var(&variable).ok()) {
                Some(value) => {
                    // It belongs to what wrote the secret: `echo`, an editor, a mounted file. Seals and
                    // tokens are read without it too.
                    let trimmed = value.trim_end_matches(['\r', '\n']);
                    if trimmed.len() < value.len() {
                        tell_line_end(&variable);
                    }
                    config.insert(secret.clone(), trimmed.into());
                }
                None => unset.push(format!(
                    "secret `{secret}` is not set: set environment variable `{variable}`, or name another one under `secrets`"
                )),
            }
        }
        (serde_json::Value::Object(config).to_string(), unset)
    }

    fn check_grant(&self, needs: &Needs, available: &[ColumnSpec]) -> Result<(), PluginError> {
        let mut problems = Vec::new();
        let types: HashMap<&str, DataType> =
            available.iter().map(|column| (column.name.as_str(), column.data_type)).collect();
        for read in &needs.reads {
            let name = &read.name;
            match types.get(name.as_str()) {
                Some(data_type) if *data_type == read.data_type => {}
                Some(data_type) => problems.push(format!(
                    "it reads `{name}` as {:?}, but the column is {data_type:?}",
                    read.data_type
                )),
                None if !granted(&self.plugin.reads, name) => {
                    problems.push(format!("it reads `{name}`: add it to `reads` if it may"));
                }
                None => {
                    problems.push(format!("it reads `{name}`, and there is no such column here"))
                }
            }
        }
        let mut written = HashSet::new();
        for write in &needs.writes {
            let name = &write.name;
            if !granted(&self.plugin.writes, name) {
                problems.push(format!("it writes `{name}`: add it to `writes` if it may"));
            }
            if provenance::ALL.contains(&name.as_str()) {
                problems.push(format!("it writes `{name}`, which only the host fills in"));
            }
            if !written.insert(name) {
                problems.push(format!("it writes `{name}` twice"));
            }
        }
        for table in &needs.lookups {
            if !self.plugin.lookups.iter().any(|(name, _)| name == table) {
                problems.push(format!(
                    "it asks lookup table `{table}`: name its file under `lookups` if it may"
                ));
            }
        }
        if problems.is_empty() {
            Ok(())
        } else {
            let problems = told(problems, self.plugin.limits.max_message_bytes);
            Err(PluginError::Grant { stage: self.plugin.name.to_string(), problems })
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
            contract: CONTRACT.to_owned(),
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

/// Says once for each variable that its line end is left out.
fn tell_line_end(variable: &str) {
    static TOLD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    if lock(&TOLD).insert(variable.to_owned()) {
        tracing::warn!(variable, "a secret ends in a line end, which is left out");
    }
}

fn lookup_failed(stage: &str, source: LookupFileError) -> PluginError {
    PluginError::Lookup { stage: stage.to_owned(), source }
}

fn granted(grant: &Grant, column: &str) -> bool {
    match grant {
        Grant::All => true,
        Grant::Only(columns) => columns.iter().any(|name| name == column),
    }
}
