//! `clickmill schema`: what a pipeline file may have, for editors.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;

use super::Failure;
use super::compile::Limits;
use super::place;
use super::plugin::built;
use clickmill_config::PluginSchema;
use clickmill_sandbox::{Engine, describe_file};

const EXAMPLES: &str = "\
Examples:
  clickmill schema > pipeline.schema.json
  clickmill schema my-plugin other.wasm > pipeline.schema.json

`#:schema ./pipeline.schema.json` as the first line of a pipeline file tells editors where it is: Even Better TOML and Tombi, in VS Code and others, complete and check keys by it.";

/// Prints the JSON Schema of pipeline files, with the configuration of each installed plugin
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Schema {
    /// More plugins: component files, or folders of plugin crates, which are built
    #[arg(value_name = "PLUGIN")]
    plugins: Vec<PathBuf>,

    #[command(flatten)]
    limits: Limits,
}

impl Schema {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let engine = self.limits.engine()?;
        let mut found = BTreeMap::new();
        for folder in place::plugins() {
            match describe(&engine, &folder) {
                Ok(plugin) => drop(found.insert(plugin.name.clone(), plugin)),
                // The others can be completed all the same.
                Err(failure) => eprintln!("without `{}`: {failure}", folder.display()),
            }
        }
        for path in &self.plugins {
            let plugin = describe(&engine, path)?;
            found.insert(plugin.name.clone(), plugin);
        }
        let plugins: Vec<PluginSchema> = found.into_values().collect();
        println!("{:#}", clickmill_config::schema(&plugins));
        Ok(())
    }
}

/// What a plugin says of its configuration. Pipeline files name it as it is named here.
fn describe(engine: &Engine, path: &Path) -> Result<PluginSchema, Failure> {
    let absolute = std::path::absolute(path).map_err(|error| Failure::unreadable(path, error))?;
    let name = if path.is_dir() { absolute.file_name() } else { absolute.file_stem() };
    let name = name.unwrap_or_default().to_string_lossy().into_owned();
    let component = if path.is_dir() { built(path)? } else { path.to_owned() };
    let plugin = describe_file(engine, &component)?;
    Ok(PluginSchema { name, config: plugin.config_schema, secrets: plugin.secrets })
}
