//! A plugin without a pipeline: its component, alone in a library, and its golden cases.

use std::path::{Path, PathBuf};

use super::built::with_folder;
use super::pushed::pulled;
use crate::Failure;
use crate::compile::Limits;
use clickmill_config::{Grant, Plugin};
use clickmill_core::{StageName, causes};
use clickmill_sandbox::{Cases, Golden, Library, StageMade};

/// A plugin that may read and write all that its cases have.
pub(super) struct Alone {
    pub library: Library,
    /// The name of its stage: the folder's, as in messages.
    pub stage: StageName,
    /// The component.
    pub component: PathBuf,
    /// The folder that has its cases in `tests`.
    pub folder: PathBuf,
    cases: Vec<Cases>,
}

impl Alone {
    /// Takes a component file, builds the crate of a folder, or pulls what a registry holds.
    pub(super) fn load(plugin: &Path, limits: &Limits) -> Result<Self, Failure> {
        let (component, folder) = Self::find(plugin, limits)?;
        Self::of(component, folder, limits)
    }

    /// The component that a path or a reference names, and the folder that has its cases in `tests`.
    pub(super) fn find(plugin: &Path, limits: &Limits) -> Result<(PathBuf, PathBuf), Failure> {
        match pulled(plugin, limits.max_bytes())? {
            Some(pulled) => Ok((pulled.component, pulled.folder)),
            None => with_folder(plugin),
        }
    }

    /// Takes a component, and the folder that has its cases in `tests`.
    pub(super) fn of(
        component: PathBuf,
        folder: PathBuf,
        limits: &Limits,
    ) -> Result<Self, Failure> {
        let cases = Golden::each_beside(&folder)?;
        let stage = stage_of(&folder, &component);
        let plugin = Plugin {
            component: component.clone(),
            reads: Grant::All,
            writes: Grant::All,
            ..Plugin::named(stage.clone())
        };
        let library = Library::load(&limits.engine()?, &[plugin])?;
        Ok(Self { library, stage, component, folder, cases })
    }

    /// Its cases, by file: they are no longer here then.
    pub(super) fn take_cases(&mut self) -> Result<Vec<Cases>, Failure> {
        self.has_cases()?;
        Ok(std::mem::take(&mut self.cases))
    }

    /// The cases of a file, or all.
    pub(super) fn cases_of(&self, file: Option<&str>) -> Result<Vec<&Golden>, Failure> {
        self.has_cases()?;
        let is_wanted = |name: &str| file.is_none_or(|file| name == file);
        let wanted: Vec<_> = self.cases.iter().filter(|(name, _)| is_wanted(name)).collect();
        if let (Some(file), true) = (file, wanted.is_empty()) {
            let known = self.cases.iter().map(|(name, _)| format!("`{name}`"));
            let known = known.collect::<Vec<_>>().join(", ");
            return Err(Failure::bad_input(format!("there are no cases `{file}`, only {known}")));
        }
        wanted
            .into_iter()
            .map(|(_, golden)| golden.as_ref().map_err(|error| Failure::bad_input(causes(error))))
            .collect()
    }

    fn has_cases(&self) -> Result<(), Failure> {
        if self.cases.is_empty() {
            return Err(Failure::bad_input(format!(
                "there are no golden cases `{}`",
                self.folder.join("tests/*.json").display()
            )));
        }
        Ok(())
    }

    /// What the component says of itself, with its digest.
    pub(super) fn made(&self) -> StageMade {
        self.library.set().stages.swap_remove(0)
    }
}

/// What a plugin is called: as its folder or its component is, where stages may be called so.
fn stage_of(folder: &Path, component: &Path) -> StageName {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let name = |name: Option<&std::ffi::OsStr>| name?.to_str()?.parse().ok();
    let called = name(folder.file_name()).or_else(|| name(component.file_stem()));
    called.unwrap_or_else(|| "plugin".parse().expect("a name that stages may have"))
}
