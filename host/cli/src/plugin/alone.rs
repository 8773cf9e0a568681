//! A plugin without a pipeline: its component, alone in a library, and its golden cases.

use std::path::{Path, PathBuf};

use super::built::built;
use super::swap::golden;
use crate::Failure;
use crate::compile::Limits;
use clickmill_config::{Grant, Plugin};
use clickmill_sandbox::{Golden, Library, StageMade};

/// A plugin that may read and write all that its cases have.
pub(super) struct Alone {
    pub library: Library,
    /// The folder that has its cases in `tests`.
    folder: PathBuf,
    cases: Vec<Golden>,
}

impl Alone {
    /// The name of its stage.
    pub(super) const STAGE: &str = "plugin";

    /// Takes a component file, or builds the crate of a folder.
    pub(super) fn load(plugin: &Path, limits: &Limits) -> Result<Self, Failure> {
        let (component, folder) = if plugin.is_dir() {
            (built(plugin)?, plugin.to_owned())
        } else {
            (plugin.to_owned(), plugin.parent().map(Path::to_owned).unwrap_or_default())
        };
        let cases = golden(&folder)?;
        let plugin = Plugin {
            component,
            reads: Grant::All,
            writes: Grant::All,
            ..Plugin::named(Self::STAGE.parse().expect("a name that stages may have"))
        };
        let library = Library::load(&limits.engine()?, &[plugin])?;
        Ok(Self { library, folder, cases })
    }

    /// Its cases, by file.
    pub(super) fn cases(&self) -> Result<&[Golden], Failure> {
        if self.cases.is_empty() {
            return Err(Failure::bad_input(format!(
                "there are no golden cases `{}`",
                self.folder.join("tests/*.json").display()
            )));
        }
        Ok(&self.cases)
    }

    /// What the component says of itself, with its digest.
    pub(super) fn made(&self) -> StageMade {
        self.library.set().stages.swap_remove(0)
    }
}
