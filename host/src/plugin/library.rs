//! From stages as configured to a chain that runs: components are compiled and described once, then
//! fitted to the columns that come in.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema};

use super::boundary::{ColumnSpec, DataType, Needs};
use super::build;
use super::chain::Chain;
use super::component::{Loaded, load};
use super::engine::Engine;
use super::error::PluginError;
use super::lookup::Lookups;
use super::stage::Stage;
use crate::config::{Grant, Plugin};
use crate::schema::provenance;

/// Values of secrets that do not come from the environment, by `stage.secret`.
pub type Secrets = std::collections::BTreeMap<String, String>;

/// The components of a chain, compiled and described, not yet fitted to columns.
pub struct Library {
    members: Vec<Member>,
}

struct Member {
    plugin: Plugin,
    component: Loaded,
    lookups: Arc<Lookups>,
    lookups_digest: blake3::Hash,
}

impl Library {
    /// Builds, compiles and describes the components of a pipeline.
    pub fn load(engine: &Engine, plugins: &[Plugin]) -> Result<Self, PluginError> {
        let members = plugins.iter().map(|plugin| {
            let path = if plugin.component.is_dir() {
                let built = build::build(&plugin.component, build::Freshness::Sources);
                built.map_err(|source| PluginError::Build { stage: plugin.name.clone(), source })?
            } else {
                plugin.component.clone()
            };
            let component = load(engine, &plugin.name, &path)?;
            let (lookups, lookups_digest) = Lookups::read(&plugin.lookups)
                .map_err(|source| PluginError::Lookup { stage: plugin.name.clone(), source })?;
            Ok(Member {
                plugin: plugin.clone(),
                component,
                lookups: Arc::new(lookups),
                lookups_digest,
            })
        });
        Ok(Self { members: members.collect::<Result<_, PluginError>>()? })
    }

    /// Fits the chain to the columns that come in. `secrets` stand in for the environment.
    pub fn configure(&self, input: &Schema, secrets: &Secrets) -> Result<Chain, PluginError> {
        let mut columns: Vec<Field> =
            input.fields().iter().map(|field| (**field).clone()).collect();
        let mut stages = Vec::new();
        let mut set = blake3::Hasher::new();
        for member in &self.members {
            stages.push(Arc::new(member.configure(&mut columns, secrets)?));
            member.digest_into(&mut set);
        }
        let plugin_set = set.finalize().to_hex()[..32].into();
        Ok(Chain { stages, plugin_set, output: columns })
    }
}

impl Member {
    fn configure(&self, columns: &mut Vec<Field>, secrets: &Secrets) -> Result<Stage, PluginError> {
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
        let needs = self.component.ask::<_, Result<Needs, Vec<String>>>(
            &plugin.name,
            plugin.limits,
            self.lookups.clone(),
            "configure",
            &self.component.configure,
            (config.as_str(), available.as_slice()),
        )?;
        let needs = needs.map_err(|mut problems| {
            problems.extend(unset);
            PluginError::Config { stage: plugin.name.clone(), problems }
        })?;
        self.check_grant(&needs, &available)?;
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
            name: plugin.name.as_str().into(),
            digest: self.component.digest.clone(),
            pre: self.component.pre.clone(),
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
                    config.insert(secret.clone(), value.into());
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
        for read in &needs.reads {
            let name = &read.name;
            match available.iter().find(|column| column.name == *name) {
                Some(column) if column.data_type == read.data_type => {}
                Some(column) => problems.push(format!(
                    "it reads `{name}` as {:?}, but the column is {:?}",
                    read.data_type, column.data_type
                )),
                None if !granted(&self.plugin.reads, name) => {
                    problems.push(format!("it reads `{name}`: add it to `reads` if it may"));
                }
                None => {
                    problems.push(format!("it reads `{name}`, and there is no such column here"))
                }
            }
        }
        for (at, write) in needs.writes.iter().enumerate() {
            let name = &write.name;
            if !granted(&self.plugin.writes, name) {
                problems.push(format!("it writes `{name}`: add it to `writes` if it may"));
            }
            if provenance::ALL.contains(&name.as_str()) {
                problems.push(format!("it writes `{name}`, which only the host fills in"));
            }
            if needs.writes[..at].iter().any(|earlier| earlier.name == *name) {
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
        match problems.is_empty() {
            true => Ok(()),
            false => Err(PluginError::Grant { stage: self.plugin.name.clone(), problems }),
        }
    }

    /// What makes a row what it is: component, configuration (secrets aside), grants, limits and
    /// reference data.
    fn digest_into(&self, set: &mut blake3::Hasher) {
        let plugin = &self.plugin;
        let config = serde_json::Value::Object(plugin.config.clone()).to_string();
        let rights = format!("{:?} {:?} {:?}", plugin.reads, plugin.writes, plugin.limits);
        for part in [&plugin.name, &*self.component.digest, &config, &rights] {
            set.update(&(part.len() as u64).to_le_bytes());
            set.update(part.as_bytes());
        }
        set.update(self.lookups_digest.as_bytes());
    }
}

fn granted(grant: &Grant, column: &str) -> bool {
    match grant {
        Grant::All => true,
        Grant::Only(columns) => columns.iter().any(|name| name == column),
    }
}
