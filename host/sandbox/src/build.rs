//! Builds plugins into components, each with the tools of its language: what lies in its folder says which
//! ([`Language`]). Where tools are missing the error says what to run; with [`Install::Allowed`] they are
//! installed, without rights wherever that can be, into a folder of their own.
//!
//! A plugin's folder is trusted code: building it runs tools, and what it brings for them, with our rights. They
//! see the settings of our environment that a build needs ([`clickmill_core::is_build_setting`]) and none of
//! its secrets.

mod asked;
mod c;
mod encode;
mod error;
mod go;
mod javascript;
mod krate;
mod language;
mod made_of;
mod project;
mod python;
mod rust;
mod toolchain;
mod tools;

use std::path::{Path, PathBuf};

pub use asked::{Freshness, Install};
pub use encode::named;
pub use error::BuildError;
pub use language::Language;

use project::Project;

/// Builds the plugin in `folder` and returns the component's path.
///
/// # Errors
///
/// There are no tools, with what to install; or the source does not compile, with what the compiler says.
pub fn build(folder: &Path, freshness: Freshness, install: Install) -> Result<PathBuf, BuildError> {
    build_all(&[folder], freshness, install).pop().expect("a folder has a component or an error")
}

/// The line that installs the tools which build plugins in a language, where they are not here.
pub fn missing_tools(language: Language) -> Option<String> {
    match language {
        Language::Rust => rust::missing(),
        Language::C => c::missing(),
        Language::Go => go::missing(),
        Language::Python => python::missing(),
        Language::JavaScript => javascript::missing(),
    }
}

/// Whether the folder holds a plugin's sources, which have to be built, and not a component in their place.
pub fn is_crate(folder: &Path) -> bool {
    folder.is_dir() && packed(folder).is_none()
}

/// The component that lies in a plugin's folder in place of its sources.
pub(super) fn packed(folder: &Path) -> Option<PathBuf> {
    let name = folder.file_name()?.to_string_lossy();
    let component = folder.join(format!("{name}.wasm"));
    (component.is_file() && Language::of(folder).is_none()).then_some(component)
}

/// In which state the sources of a plugin are, which is another once any of them is changed, put back or gone: those
/// that its last build was made of, and those in its `src` and `tests`. Of a component, which may lie in their place,
/// in which state that is; `None` where there is neither.
pub fn state(plugin: &Path) -> Option<String> {
    if !plugin.is_dir() {
        return plugin.exists().then(|| made_of::seen(vec![plugin.to_owned()]));
    }
    if let Some(component) = packed(plugin) {
        return Some(made_of::seen(vec![component]));
    }
    match Language::of(plugin) {
        None | Some(Language::Rust) => Some(krate::state(plugin)),
        Some(language) => Some(Project::at(plugin, language).ok()?.state()),
    }
}

/// Builds plugins, and returns the component's path for each folder in turn. A folder without sources may hold
/// the component itself, as `mask/mask.wasm`: so packages have it.
pub fn build_all<P: AsRef<Path>>(
    folders: &[P],
    freshness: Freshness,
    install: Install,
) -> Vec<Result<PathBuf, BuildError>> {
    let folders = folders.iter().map(AsRef::as_ref);
    let is_rust =
        |folder: &&Path| packed(folder).is_none() && Language::of(folder) == Some(Language::Rust);
    let crates: Vec<&Path> = folders.clone().filter(is_rust).collect();
    let mut crates = rust::build_all(&crates, freshness, install).into_iter();
    let built = |folder: &Path| {
        if let Some(component) = packed(folder) {
            return Ok(component);
        }
        match Language::of(folder) {
            Some(Language::Rust) => crates.next().expect("each crate has a component or an error"),
            Some(language) => build_project(&Project::at(folder, language)?, freshness, install),
            None => Err(BuildError::NoPlugin { path: folder.to_owned() }),
        }
    };
    folders.map(built).collect()
}

/// Builds what is no crate, where it has to be.
fn build_project(
    project: &Project,
    freshness: Freshness,
    install: Install,
) -> Result<PathBuf, BuildError> {
    let is_there = || freshness == Freshness::Sources && project.is_fresh();
    if is_there() {
        return Ok(project.component());
    }
    let _lock = project.lock()?;
    // Another process may have built it while this one waited.
    if is_there() {
        return Ok(project.component());
    }
    let made_of = project.made_of();
    tracing::info!(plugin = project.name, language = %project.language, "building plugin");
    let made = match project.language {
        // Crates are built together.
        Language::Rust => return rust::build_all(&[&project.given], freshness, install).remove(0),
        Language::C => c::build(project, install),
        Language::Go => go::build(project, install),
        Language::Python => python::build(project, install),
        Language::JavaScript => javascript::build(project, install),
    };
    project.keep(&made?, made_of.as_deref())
}

#[cfg(test)]
mod tests;
