//! `clickmill plugin lock`: writes the digests of tags into a pipeline file, which keeps its form and comments.

use std::fs;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};

use clap::Args;
use toml_edit::{Document, Item, TableLike, Value};

use super::registry;
use crate::{Exit, Failure};
use clickmill_core::oci::Reference;
use clickmill_registry::Registry;

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
        let document = Document::parse(text.as_str()).map_err(|error| {
            // What stands there may be a secret.
            let why = error.message().trim().to_owned();
            Failure::bad_input(format!("pipeline file `{}` is not TOML: {why}", path.display()))
        })?;
        let (mut changed, mut registry) = (Vec::new(), None);
        for named in components(&document) {
            if let Some(locked) = self.locked(named.text, &mut registry)? {
                changed.push((named, locked));
            }
        }
        if changed.is_empty() {
            eprintln!("{}: nothing to lock", path.display());
            return Ok(());
        }
        if self.check {
            let names: Vec<&str> = changed.iter().map(|(named, _)| named.stage).collect();
            let what = format!("`{}` is not locked: {}", path.display(), names.join(", "));
            return Err(Failure::new(Exit::Failed, anyhow::Error::msg(what)));
        }
        let text = with(&text, &changed);
        write(path, &text).map_err(|error| Failure::unwritable(path, error))?;
        for (named, locked) in changed {
            println!("{}  {locked}", named.stage);
        }
        Ok(())
    }

    /// What a stage is to name instead; `None` where it is to stay. All of them are asked for over the same
    /// connections, which are made with the first.
    fn locked(
        &self,
        text: &str,
        registry: &mut Option<Registry>,
    ) -> Result<Option<Reference>, Failure> {
        if !Reference::is_meant(text) {
            return Ok(None);
        }
        if text.contains("${") {
            return Err(Failure::bad_input(format!(
                "cannot lock `{text}`: what stands for a variable has no digest, write the reference out"
            )));
        }
        let named: Reference = text.parse()?;
        if named.digest().is_some() && !(self.upgrade && named.tag().is_some()) {
            return Ok(None);
        }
        let registry = match registry {
            Some(registry) => registry,
            None => registry.insert(registry::registry()?),
        };
        let locked = registry.resolve(&named.tagged())?;
        Ok((locked != named).then_some(locked))
    }
}

/// What a stage of a pipeline file names as its component.
struct Named<'a> {
    stage: &'a str,
    text: &'a str,
    /// Where that stands in the file, with its quotes.
    place: Range<usize>,
}

/// The components that stages name, in either form of a list, in the order of the file.
fn components<'a>(document: &'a Document<&str>) -> Vec<Named<'a>> {
    let stages: Vec<&dyn TableLike> = match document.as_table().get("plugin") {
        Some(Item::ArrayOfTables(tables)) => {
            tables.iter().map(|table| table as &dyn TableLike).collect()
        }
        Some(Item::Value(Value::Array(tables))) => {
            let tables = tables.iter().filter_map(Value::as_inline_table);
            tables.map(|table| table as &dyn TableLike).collect()
        }
        _ => Vec::new(),
    };
    let named = |stage: &'a dyn TableLike| {
        let component = stage.get("component")?;
        let name = stage.get("name").and_then(Item::as_str).unwrap_or_default();
        Some(Named { stage: name, text: component.as_str()?, place: component.span()? })
    };
    stages.into_iter().filter_map(named).collect()
}

/// The text with references in the places of others. Written anew, the whole of it would lose its line ends.
fn with(text: &str, changed: &[(Named<'_>, Reference)]) -> String {
    let mut text = text.to_owned();
    // From the end, so that what is before stays where it is.
    for (named, locked) in changed.iter().rev() {
        text.replace_range(named.place.clone(), &format!("\"{locked}\""));
    }
    text
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
                "plugin = [\n  { name = 'a', component = 'oci://localhost/a:1' },  # one\n  { name = 'b', component = 'oci://localhost/a:1'}, ]\nbatch.max_rows = 1\nsource.rows = 2\nbatch.max_secs = 3 # ü\n",
                "plugin = [\n  { name = 'a', component = \"LOCKED\" },  # one\n  { name = 'b', component = \"LOCKED\"}, ]\nbatch.max_rows = 1\nsource.rows = 2\nbatch.max_secs = 3 # ü\n",
            ),
        ] {
            for end in ["\n", "\r\n"] {
                let [text, wanted] = [text, wanted].map(|text| text.replace('\n', end));
                let document = Document::parse(text.as_str()).unwrap();
                let mut changed = Vec::new();
                for named in components(&document) {
                    let reference: Reference = named.text.parse().unwrap();
                    changed.push((named, reference.at(&digest).unwrap()));
                }
                let locked = format!("oci://localhost/a:1@{digest}");
                assert_eq!(with(&text, &changed), wanted.replace("LOCKED", &locked));
            }
        }
        assert!(components(&Document::parse("plugin = 1").unwrap()).is_empty());
    }
}
