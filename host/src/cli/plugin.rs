//! `clickmill plugin`: builds plugin crates, and says what a component is.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use super::{Exit, Failure, place};
use crate::plugin::build::{self, Freshness};
use crate::plugin::{Engine, describe_file};

const EXAMPLES: &str = "\
Examples:
  clickmill plugin build plugins/mask
  clickmill plugin inspect plugins/mask
  clickmill plugin inspect --json mask.wasm";

/// Builds and inspects plugins
#[derive(Debug, Subcommand)]
pub(super) enum Plugin {
    /// Build plugin crates into components
    Build(Build),
    /// Say what a component is, what it wants and how it is configured
    Inspect(Inspect),
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Build {
    /// Folders of plugin crates
    #[arg(required = true, value_name = "CRATE")]
    crates: Vec<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Inspect {
    /// A component file, or the folder of a plugin crate
    plugin: PathBuf,

    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

impl Plugin {
    pub fn run(self) -> Result<(), Failure> {
        match self {
            Plugin::Build(build) => build.run(),
            Plugin::Inspect(inspect) => inspect.run(),
        }
    }
}

impl Build {
    fn run(self) -> Result<(), Failure> {
        for folder in &self.crates {
            println!("{}", built(folder, Freshness::Rebuild)?.display());
        }
        Ok(())
    }
}

fn built(folder: &std::path::Path, freshness: Freshness) -> Result<PathBuf, Failure> {
    build::build(folder, freshness).map_err(|error| {
        let exit = match error {
            build::BuildError::NoToolchain { .. } => Exit::Environment,
            _ => Exit::BadInput,
        };
        Failure::new(exit, error)
    })
}

impl Inspect {
    fn run(self) -> Result<(), Failure> {
        let path = match self.plugin.is_dir() {
            true => built(&self.plugin, Freshness::Sources)?,
            false => self.plugin,
        };
        let engine = Engine::new(&place::cache())?;
        let plugin = describe_file(&engine, &path)?;
        let schema: serde_json::Value =
            serde_json::from_str(&plugin.config_schema).unwrap_or_default();
        if self.json {
            let described = json!({
                "name": plugin.name,
                "version": plugin.version,
                "description": plugin.description,
                "contract": crate::plugin::CONTRACT,
                "digest": plugin.digest,
                "bytes": plugin.bytes,
                "imports": plugin.imports,
                "secrets": plugin.secrets,
                "config_schema": schema,
            });
            println!("{described:#}");
            return Ok(());
        }
        println!("{} {}  {}", plugin.name, plugin.version, plugin.description);
        println!("contract  {}", crate::plugin::CONTRACT);
        println!("digest    {}", plugin.digest);
        println!("size      {} bytes", plugin.bytes);
        println!("imports   {}", plugin.imports.join(", "));
        if !plugin.secrets.is_empty() {
            println!("secrets   {}", plugin.secrets.join(", "));
        }
        println!("config    (JSON Schema)\n{schema:#}");
        Ok(())
    }
}
