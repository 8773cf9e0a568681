//! `clickmill plugin lock`: writes the digests of tags into a pipeline file, which keeps its form and comments.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use toml_edit::{DocumentMut, Item, TableLike, Value};

use super::registry::registry;
use crate::{Exit, Failure};
use clickmill_core::oci::Reference;

const EXAMPLES: &str = "\
Examples:
  clickmill plugin lock pipeline.toml
  clickmill plugin lock pipeline.toml --upgrade
  clickmill plugin lock pipeline.toml --check

Writes `oci://HOST/REPOSITORY:TAG@sha256:DIGEST` where a stage names a tag alone, so that each run is of the same component. Nothing else in the file changes.";

/// Write the digests of tags into a pipeline file
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Lock {
    /// The pipeline file
    #[arg(value_name = "PIPELINE.toml")]
    pipeline: PathBuf,

    /// Take the digests that tags have now, also where there is one already
    #[arg(long)]
    upgrade: bool,

    /// Change nothing: the exit code is 1 where something would be written
    #[arg(long)]
    check: bool,
}

impl Lock {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let path = &self.pipeline;
        let text = fs::read_to_string(path).map_err(|error| Failure::unreadable(path, error))?;
        let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| {
            // What stands there may be a secret.
            let why = error.message().trim().to_owned();
            Failure::bad_input(format!("pipeline file `{}` is not TOML: {why}", path.display()))
        })?;
        let mut changed = Vec::new();
        for stage in stages(&mut document) {
            let name = stage.get("name").and_then(Item::as_str).unwrap_or_default().to_owned();
            let Some(component) = stage.get_mut("component").and_then(Item::as_value_mut) else {
                continue;
            };
            if let Some(locked) = self.locked(component)? {
                let decor = component.decor().clone();
                *component = Value::from(locked.to_string());
                *component.decor_mut() = decor;
                changed.push((name, locked));
            }
        }
        if changed.is_empty() {
            eprintln!("{}: nothing to lock", path.display());
            return Ok(());
        }
        if self.check {
            let names: Vec<&str> = changed.iter().map(|(name, _)| name.as_str()).collect();
            let what = format!("`{}` is not locked: {}", path.display(), names.join(", "));
            return Err(Failure::new(Exit::Failed, anyhow::Error::msg(what)));
        }
        write(path, &document.to_string()).map_err(|error| Failure::unwritable(path, error))?;
        for (name, locked) in changed {
            println!("{name}  {locked}");
        }
        Ok(())
    }

    /// What a stage is to name instead; `None` where it is to stay.
    fn locked(&self, component: &Value) -> Result<Option<Reference>, Failure> {
        let Some(text) = component.as_str().filter(|text| Reference::is_meant(text)) else {
            return Ok(None);
        };
        if text.contains("${") {
            return Err(Failure::bad_input(format!(
                "cannot lock `{text}`: what stands for a variable has no digest, write the reference out"
            )));
        }
        let named: Reference = text
            .parse()
            .map_err(|error| Failure::new(Exit::BadInput, anyhow::Error::new(error)))?;
        if named.digest().is_some() && !(self.upgrade && named.tag().is_some()) {
            return Ok(None);
        }
        let locked = registry()?.resolve(&named.tagged())?;
        Ok((locked != named).then_some(locked))
    }
}

/// The stages of a pipeline file, in either form of a list.
fn stages(document: &mut DocumentMut) -> Vec<&mut dyn TableLike> {
    match document.get_mut("plugin") {
        Some(Item::ArrayOfTables(tables)) => {
            tables.iter_mut().map(|table| table as &mut dyn TableLike).collect()
        }
        Some(Item::Value(Value::Array(tables))) => {
            let tables = tables.iter_mut().filter_map(Value::as_inline_table_mut);
            tables.map(|table| table as &mut dyn TableLike).collect()
        }
        _ => Vec::new(),
    }
}

/// Writes a file anew, whole or not at all, with the mode that it has. A link stays one.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let path = fs::canonicalize(path)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(fs::metadata(&path)?.permissions())?;
    file.as_file().sync_all()?;
    file.persist(&path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_found_in_either_form_and_the_rest_stays_as_it_is() {
        let digest = format!("sha256:{}", "0".repeat(64));
        for (text, wanted) in [
            (
                "# a pipeline\nname = 'x'   # so\n\n[[plugin]]\nname = \"a\"\n  component = 'oci://localhost/a:1' # pinned\n[[plugin]]\nname = \"b\"\n",
                "# a pipeline\nname = 'x'   # so\n\n[[plugin]]\nname = \"a\"\n  component = \"LOCKED\" # pinned\n[[plugin]]\nname = \"b\"\n",
            ),
            (
                "plugin = [\n  { name = 'a', component = 'oci://localhost/a:1' },  # one\n  { name = 'b' },\n]\n",
                "plugin = [\n  { name = 'a', component = \"LOCKED\" },  # one\n  { name = 'b' },\n]\n",
            ),
        ] {
            let mut document: DocumentMut = text.parse().unwrap();
            let mut stages = stages(&mut document);
            assert_eq!(stages.len(), 2);
            let component = stages[0].get_mut("component").and_then(Item::as_value_mut).unwrap();
            let named: Reference = component.as_str().unwrap().parse().unwrap();
            let decor = component.decor().clone();
            *component = Value::from(named.at(&digest).unwrap().to_string());
            *component.decor_mut() = decor;
            let locked = format!("oci://localhost/a:1@{digest}");
            assert_eq!(document.to_string(), wanted.replace("LOCKED", &locked));
        }
        assert!(stages(&mut "plugin = 1".parse().unwrap()).is_empty());
    }
}
