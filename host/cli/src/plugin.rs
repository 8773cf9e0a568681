//! `clickmill plugin`: begins, builds, tests and signs plugins, says what a component is, and swaps plugins of
//! a running pipeline.

mod alone;
mod bench;
mod built;
mod keygen;
mod lock;
mod new;
mod profile;
mod pushed;
mod registry;
mod sign;
pub(crate) mod swap;
mod test;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

pub(crate) use built::built;

use super::Failure;
use super::compile::Limits;
use clickmill_core::indented;
use clickmill_sandbox::build::{self, Freshness, Install};
use clickmill_sandbox::describe_file;

const EXAMPLES: &str = "\
Examples:
  clickmill plugin build plugins/mask
  clickmill plugin build --install plugins/mask
  clickmill plugin inspect plugins/mask
  clickmill plugin inspect --json mask.wasm
  clickmill plugin inspect oci://localhost:5000/plugins/mask:1.2.0";

const WAY: &str = "\
Examples:
  clickmill plugin new traffic-source
  clickmill plugin test traffic-source
  clickmill plugin swap mask=plugins/mask --note \"phones too\"
  clickmill plugin rollback --note \"rejects too much\"

Each verb has examples of its own: `clickmill plugin test --help`.";

/// Begins, builds, inspects, tests, signs and swaps plugins
#[derive(Debug, Subcommand)]
#[command(after_help = WAY)]
pub(super) enum Plugin {
    /// Begin a plugin: a project of its own, in any folder
    New(new::New),
    /// Build plugins into components
    Build(Build),
    /// Show what a component is, what it wants and how it is configured
    Inspect(Inspect),
    /// Run a plugin's golden cases
    Test(test::Test),
    /// Measure what a plugin's rows cost, against another version too
    Bench(bench::Bench),
    /// Show where a plugin's fuel goes, by function
    Profile(profile::Profile),
    /// Push a plugin to an OCI registry
    Push(registry::Push),
    /// Pull a plugin from an OCI registry
    Pull(registry::Pull),
    /// Copy a plugin from one OCI registry or repository to another
    Copy(registry::Copy),
    /// List the tags of a plugin in an OCI registry, each with its digest
    List(registry::List),
    /// Write the digests of tags into a pipeline file
    Lock(lock::Lock),
    /// Swap plugins of a running pipeline, their configuration or lookup tables, or its list of stages
    Swap(swap::Swap),
    /// Take the last swap of a running pipeline back, or go to any plugin set that ran before
    Rollback(swap::Rollback),
    /// List the versions of a running pipeline's plugins since its start
    History(swap::History),
    /// Sign components
    Sign(sign::Sign),
    /// Make a key pair to sign components with
    Keygen(keygen::Keygen),
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Build {
    /// Folders of plugins; what lies in one says its language
    #[arg(required = true, value_name = "FOLDER")]
    folders: Vec<PathBuf>,

    /// Install what is missing for it: Rust by rustup or, as root, by apt-get; other tools from PyPI or npm, into a folder of their own
    #[arg(long)]
    install: bool,
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Inspect {
    /// A component file, the folder of a plugin crate, or oci://HOST/REPOSITORY:TAG
    plugin: PathBuf,

    /// Print it as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    limits: Limits,
}

impl Plugin {
    pub(crate) fn run(self, warehouse: &str) -> Result<(), Failure> {
        match self {
            Plugin::New(new) => new.run(),
            Plugin::Build(build) => build.run(),
            Plugin::Inspect(inspect) => inspect.run(),
            Plugin::Test(test) => test.run(warehouse),
            Plugin::Bench(bench) => bench.run(),
            Plugin::Profile(profile) => profile.run(),
            Plugin::Push(push) => push.run(),
            Plugin::Pull(pull) => pull.run(),
            Plugin::Copy(copy) => copy.run(),
            Plugin::List(list) => list.run(),
            Plugin::Lock(lock) => lock.run(),
            Plugin::Swap(swap) => swap.run(),
            Plugin::Rollback(rollback) => rollback.run(),
            Plugin::History(history) => history.run(),
            Plugin::Sign(sign) => sign.run(),
            Plugin::Keygen(keygen) => keygen.run(),
        }
    }
}

impl Build {
    fn run(self) -> Result<(), Failure> {
        let install = if self.install { Install::Allowed } else { Install::Never };
        for component in build::build_all(&self.folders, Freshness::Rebuild, install) {
            println!("{}", component?.display());
        }
        Ok(())
    }
}

impl Inspect {
    fn run(self) -> Result<(), Failure> {
        let engine = self.limits.engine()?;
        let pulled = pushed::pulled(&self.plugin, engine.limits().max_bytes)?;
        let path = match &pulled {
            Some(pulled) => pulled.component.clone(),
            None if self.plugin.is_dir() => built(&self.plugin)?,
            None => self.plugin,
        };
        let plugin = describe_file(&engine, &path)?;
        let pushed = pulled.as_ref().map(pushed::Pushed::read).transpose()?;
        let schema: serde_json::Value =
            serde_json::from_str(&plugin.config_schema).unwrap_or_default();
        if self.json {
            let mut described = json!({
                "name": plugin.name,
                "version": plugin.version,
                "description": plugin.description,
                "contract": plugin.contract,
                "digest": plugin.digest,
                "bytes": plugin.bytes,
                "imports": plugin.imports,
                "secrets": plugin.secrets,
                "config_schema": schema,
            });
            if let Some(pushed) = &pushed {
                described["registry"] = pushed.json();
            }
            println!("{described:#}");
            return Ok(());
        }
        // Of these none begins a line that could be taken for one of those below.
        let [name, version, description, imports, secrets] = [
            plugin.name,
            plugin.version,
            plugin.description,
            plugin.imports.join(", "),
            plugin.secrets.join(", "),
        ]
        .map(|text| indented(&text));
        println!("{name} {version}  {description}");
        if let Some(pushed) = &pushed {
            pushed.print();
        }
        println!("contract  {}", plugin.contract);
        println!("digest    {}", plugin.digest);
        println!("size      {} bytes", plugin.bytes);
        println!("imports   {imports}");
        if !secrets.is_empty() {
            println!("secrets   {secrets}");
        }
        println!("config    (JSON Schema)\n{schema:#}");
        if let Some(readme) = pushed.as_ref().and_then(|pushed| pushed.readme.as_ref()) {
            println!("readme\n{}", indented(readme));
        }
        Ok(())
    }
}
