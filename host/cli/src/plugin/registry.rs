//! `clickmill plugin push`, `pull`, `copy` and `list`: plugins that OCI registries hold.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::built::with_folder;
use crate::compile::Limits;
use crate::{Failure, place};
use clickmill_core::oci::Reference;
use clickmill_registry::{Content, Pulled, Registry};
use clickmill_sandbox::{Golden, NewComponent, describe, signature};

const PUSH_EXAMPLES: &str = "\
Examples:
  clickmill plugin push plugins/mask \\
      oci://europe-docker.pkg.dev/my-project/plugins/mask:1.2.0
  clickmill plugin push mask.wasm oci://localhost:5000/plugins/mask:1.2.0

Prints the reference with its digest, for `component` of a pipeline file. Golden cases, the `tests/*.json` in the crate or beside the component, go along with README.md, the JSON Schema of the configuration, and the signature beside the component, as `plugin sign` writes it.

Credentials are those of `docker login`, or of a helper in Docker's configuration; of Artifact Registry else Application Default Credentials; else none.";

/// Push a plugin to an OCI registry
#[derive(Debug, Args)]
#[command(after_help = PUSH_EXAMPLES)]
pub(crate) struct Push {
    /// A component file, or the folder of a plugin crate
    plugin: PathBuf,

    /// Where to: oci://HOST/REPOSITORY:TAG
    #[arg(value_name = "REFERENCE")]
    to: Reference,

    #[command(flatten)]
    limits: Limits,
}

const PULL_EXAMPLES: &str = "\
Examples:
  clickmill plugin pull oci://localhost:5000/plugins/mask:1.2.0
  clickmill plugin pull oci://localhost:5000/plugins/mask:1.2.0 \\
      --output mask.wasm

Makes a folder, which all commands take for a plugin: the component, its signature, golden cases, README.md and the JSON Schema of the configuration. With an output that ends in .wasm it is the component and its signature alone.";

/// Pull a plugin from an OCI registry
#[derive(Debug, Args)]
#[command(after_help = PULL_EXAMPLES)]
pub(crate) struct Pull {
    /// oci://HOST/REPOSITORY:TAG, or …@sha256:DIGEST
    #[arg(value_name = "REFERENCE")]
    from: Reference,

    /// A folder to make, or a file NAME.wasm [default: a folder of the repository's name]
    #[arg(long, short, value_name = "PATH")]
    output: Option<PathBuf>,

    #[command(flatten)]
    limits: Limits,
}

const COPY_EXAMPLES: &str = "\
Examples:
  clickmill plugin copy oci://localhost:5000/mask:1.2.0 \\
      oci://registry.example/plugins/mask:1.2.0

The copy has the same digest, and its signature, golden cases and README.";

/// Copy a plugin from one OCI registry or repository to another
#[derive(Debug, Args)]
#[command(after_help = COPY_EXAMPLES)]
pub(crate) struct Copy {
    /// oci://HOST/REPOSITORY:TAG, or …@sha256:DIGEST
    from: Reference,

    /// oci://HOST/REPOSITORY:TAG
    to: Reference,

    #[command(flatten)]
    limits: Limits,
}

const LIST_EXAMPLES: &str = "\
Examples:
  clickmill plugin list oci://localhost:5000/plugins/mask
  clickmill plugin list --json oci://localhost:5000/plugins/mask";

/// List the tags of a plugin in an OCI registry, each with its digest
#[derive(Debug, Args)]
#[command(after_help = LIST_EXAMPLES)]
pub(crate) struct List {
    /// oci://HOST/REPOSITORY
    repository: Reference,

    /// Print a JSON object per tag
    #[arg(long)]
    json: bool,
}

/// What registries are asked with.
pub(super) fn registry() -> Result<Registry, Failure> {
    Ok(Registry::new(place::cache())?)
}

/// What a registry holds, in a folder of the cache, whoever signed it. Where the cache has no signature, one is
/// looked for.
pub(super) fn pulled(reference: &Reference, max_bytes: usize) -> Result<Pulled, Failure> {
    Ok(registry()?.pull(reference, max_bytes, &|_, signature| signature.is_some())?)
}

impl Push {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let (path, folder) = with_folder(&self.plugin)?;
        let engine = self.limits.engine()?;
        let component = NewComponent::read(&path, engine.limits().max_bytes)?;
        let said = describe(&engine, &path, &component.bytes, None)?;
        let files = files(&folder, &said.config_schema)?;
        let content = Content {
            name: said.name,
            version: said.version,
            description: said.description,
            contract: said.contract.to_owned(),
            imports: said.imports,
            files: files.into_iter().map(|(name, bytes)| (name, bytes.into())).collect(),
            component: component.bytes,
            signature: component.signature,
        };
        println!("{}", registry()?.push(&content, &self.to)?);
        Ok(())
    }
}

/// What goes along with a component: the README, the schema, and all of its golden cases, which have to be whole, with
/// the tables that they name.
fn files(folder: &Path, schema: &str) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let golden = Golden::beside(folder)?;
    let mut found = vec![("config.schema.json".to_owned(), schema.as_bytes().to_vec())];
    let mut read = |name: &str| -> Result<(), Failure> {
        let path = folder.join(name);
        let bytes = fs::read(&path).map_err(|error| Failure::unreadable(&path, error))?;
        found.push((name.to_owned(), bytes));
        Ok(())
    };
    // A link leads to any file, and what cases do not name is none of the plugin's.
    let is_file =
        |name: &str| fs::symlink_metadata(folder.join(name)).is_ok_and(|found| found.is_file());
    let tests = golden.iter().flat_map(Golden::file_names).map(|name| format!("tests/{name}"));
    let names: BTreeSet<String> = tests.chain(["README.md".to_owned()]).collect();
    for name in names.iter().filter(|name| is_file(name)) {
        read(name)?;
    }
    Ok(found)
}

impl Pull {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let output = self.output.unwrap_or_else(|| self.from.name().into());
        let is_file = output.extension().is_some_and(|ending| ending == "wasm");
        let beside = is_file.then(|| signature::beside(&output));
        // So is a link that leads to nothing, and a signature of something else.
        let is_there = |place: &&PathBuf| fs::symlink_metadata(place).is_ok();
        if let Some(place) = std::iter::once(&output).chain(&beside).find(is_there) {
            let place = place.display();
            return Err(Failure::bad_input(format!("`{place}` is there already"))
                .hint("--output names another place"));
        }
        let engine = self.limits.engine()?;
        let pulled = pulled(&self.from, engine.limits().max_bytes)?;
        let component = if is_file {
            output.clone()
        } else {
            // So packages have it: every command takes the folder for the plugin.
            let mut name = output.file_name().unwrap_or("plugin".as_ref()).to_os_string();
            name.push(".wasm");
            for file in &pulled.files {
                copy(&pulled.folder.join(file), &output.join(file))?;
            }
            output.join(name)
        };
        copy(&pulled.component, &component)?;
        if pulled.signature.is_some() {
            copy(&signature::beside(&pulled.component), &signature::beside(&component))?;
        }
        eprintln!("{}", pulled.reference);
        println!("{}", output.display());
        Ok(())
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(|error| Failure::unwritable(folder, error))?;
    }
    let bytes = fs::read(from).map_err(|error| Failure::unreadable(from, error))?;
    fs::write(to, bytes).map_err(|error| Failure::unwritable(to, error))
}

impl Copy {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let max_bytes = self.limits.engine()?.limits().max_bytes;
        println!("{}", registry()?.copy(&self.from, &self.to, max_bytes)?);
        Ok(())
    }
}

impl List {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let tags = registry()?.tags(&self.repository)?;
        let width = tags.keys().map(String::len).max().unwrap_or_default();
        for (tag, digest) in tags {
            if self.json {
                println!("{}", json!({ "tag": tag, "digest": digest }));
            } else {
                let digest = digest.as_deref().unwrap_or("no plugin");
                println!("{tag:width$}  {digest}");
            }
        }
        Ok(())
    }
}
