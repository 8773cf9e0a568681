//! A plugin's folder in another language than Rust: its name, where it is built, and whether its component is
//! of the sources that are there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::encode::{Made, named, write};
use super::error::BuildError;
use super::language::Language;
use super::{Install, made_of, tools};
use clickmill_core::shell_word;

/// Folders that hold what is made and not written: builds, installed packages, a warehouse.
const NO_SOURCES: [&str; 4] = ["target", "node_modules", "__pycache__", "clickmill-data"];

/// How deep sources lie in a folder.
const MAX_DEPTH: usize = 16;

/// A plugin's folder.
#[derive(Debug)]
pub(super) struct Project {
    /// An absolute path.
    pub folder: PathBuf,
    /// As it was given, for messages.
    pub given: PathBuf,
    pub language: Language,
    /// The folder's.
    pub name: String,
}

impl Project {
    pub(super) fn at(given: &Path, language: Language) -> Result<Self, BuildError> {
        let folder = fs::canonicalize(given)
            .map_err(|source| BuildError::File { path: given.to_owned(), source })?;
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { folder, given: given.to_owned(), language, name })
    }

    /// Where it is built.
    pub(super) fn target(&self) -> PathBuf {
        self.folder.join("target/plugins")
    }

    /// Where the component is.
    pub(super) fn component(&self) -> PathBuf {
        self.target().join("components").join(format!("{}.wasm", self.name))
    }

    /// The contract that the SDK in the folder speaks.
    pub(super) fn contract(&self) -> PathBuf {
        self.folder.join("sdk/wit/plugin.wit")
    }

    /// Whether the component was made of the sources that are there, as they are.
    pub(super) fn is_fresh(&self) -> bool {
        self.made_of().is_some_and(|now| made_of::is_of(&self.component(), &now))
    }

    /// In which state its sources and golden cases are.
    pub(super) fn state(&self) -> String {
        let tests = fs::read_dir(self.folder.join("tests"));
        let tests = tests.into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
        made_of::seen(self.sources().into_iter().chain(tests).collect())
    }

    /// Every file that it is made of.
    fn sources(&self) -> Vec<PathBuf> {
        let mut sources = Vec::new();
        add_files(&self.folder, MAX_DEPTH, &mut sources);
        sources.retain(|path| {
            path.strip_prefix(&self.folder).is_ok_and(|below| self.language.is_source(below))
        });
        sources.push(self.contract());
        sources
    }

    /// What a component that is made now is of.
    pub(super) fn made_of(&self) -> Option<String> {
        made_of::made_of(&self.folder, &self.sources())
    }

    /// Keeps what was made of it, and of what: the sources before they were read. One that is saved while tools run
    /// may not be in it.
    pub(super) fn keep(&self, made: &Made, made_of: Option<&str>) -> Result<PathBuf, BuildError> {
        let path = self.component();
        made_of::forget(&path)?;
        write(&path, &made.component)?;
        match &made.named {
            // Newer than that, or it would be of an earlier build.
            Some(with_names) => write(&named(&path), with_names)?,
            // That of an earlier build is none of this one's.
            None => drop(fs::remove_file(named(&path))),
        }
        made_of::keep(&path, &made.component, made_of)?;
        Ok(path)
    }

    /// A folder for what tools make on the way to the component.
    pub(super) fn work_folder(&self) -> Result<PathBuf, BuildError> {
        let path = self.target().join("work");
        match fs::create_dir_all(&path) {
            Ok(()) => Ok(path),
            Err(source) => Err(BuildError::File { path, source }),
        }
    }

    /// Keeps other processes from building it as long as the file is open: they would write into each other's
    /// files. Where the file system knows no locks, they are not kept from it.
    pub(super) fn lock(&self) -> Result<fs::File, BuildError> {
        let path = self.work_folder()?.join("lock");
        match fs::File::options().create(true).append(true).open(&path) {
            Ok(file) => {
                let _ = file.lock();
                Ok(file)
            }
            Err(source) => Err(BuildError::File { path, source }),
        }
    }

    /// Has a tool make a file of it, and reads that. What the tool says goes to standard error: standard output
    /// is for data.
    ///
    /// # Errors
    ///
    /// Where it has ended without, and has said why.
    pub(super) fn made_by(&self, tool: &mut Command, path: PathBuf) -> Result<Vec<u8>, BuildError> {
        tool.stdin(Stdio::null()).stdout(std::io::stderr());
        if !tool.status().is_ok_and(|status| status.success()) {
            return Err(BuildError::Tools { path: self.given.clone(), language: self.language });
        }
        fs::read(&path).map_err(|source| BuildError::File { path, source })
    }

    /// Its tools are not here. `line` installs them, as an administrator or whoever reads it would.
    pub(super) fn no_tools(&self, line: &str, install: Install) -> BuildError {
        let (path, language) = (self.given.clone(), self.language);
        let (has_installer, packages) = match language {
            Language::JavaScript => (tools::has_npm(), "npm"),
            _ => (tools::has_pip(), "python3 python3-pip"),
        };
        let way = match install {
            Install::Never => {
                let folder = shell_word(&path.to_string_lossy());
                format!("run `clickmill plugin build --install {folder}`, or {line}")
            }
            Install::Allowed if has_installer => {
                format!("they could not be installed, as is told above; {line}")
            }
            Install::Allowed => format!(
                "nor is what installs them: run `sudo apt-get install -y {packages}` first, or {line}"
            ),
        };
        BuildError::NoTools { path, language, way }
    }
}

/// Adds the files that somebody wrote.
fn add_files(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) {
    let Some(depth) = depth.checked_sub(1) else { return };
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.filter_map(Result::ok) {
        let (name, path) = (entry.file_name(), entry.path());
        let name = name.to_string_lossy();
        // An editor's, such as the lock `.#plugin.py`, which leads nowhere.
        if name.starts_with('.') {
            continue;
        }
        // A link to a folder is none: it may lead to where it is.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            if !NO_SOURCES.contains(&&*name) {
                add_files(&path, depth, files);
            }
        } else {
            files.push(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn a_component_is_fresh_as_long_as_its_sources_are_as_they_were() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("shout");
        // Whatever time it has: what is put back from a copy has an earlier one.
        let write = |name: &str, text: &str, later: i64| {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            let (now, by) =
                (SystemTime::now(), std::time::Duration::from_secs(later.unsigned_abs()));
            let at = if later < 0 { now - by } else { now + by };
            fs::File::options().append(true).open(path).unwrap().set_modified(at).unwrap();
        };
        for source in ["plugin.c", "sdk/clickmill.h", "sdk/wit/plugin.wit", "tests/cases.json"] {
            write(source, "as it was", 0);
        }
        let project = Project::at(&folder, Language::C).unwrap();
        assert_eq!(project.name, "shout");
        assert!(!project.is_fresh());
        let made = Made { component: b"a component".to_vec(), named: Some(b"named".to_vec()) };
        let made_of = project.made_of();
        assert_eq!(project.keep(&made, made_of.as_deref()).unwrap(), project.component());
        assert!(named(&project.component()).is_file());
        assert!(project.is_fresh());
        fs::write(project.component(), "of an earlier commit").unwrap();
        assert!(!project.is_fresh());
        project.keep(&made, made_of.as_deref()).unwrap();
        let before = project.state();
        for other in [
            "README.md",
            "target/plugins/work/plugin.c",
            "node_modules/a/a.c",
            ".git/a.c",
            ".#plugin.c",
            "a.wasm",
        ] {
            write(other, "other", 20);
            assert!(project.is_fresh(), "{other}");
        }
        assert_eq!(project.state(), before);
        // Cases are none of what it is made of, and are looked at all the same.
        write("tests/cases.json", "other", 20);
        assert!(project.is_fresh());
        assert_ne!(project.state(), before);
        let before = project.state();
        for later in [20, 0, -86_400] {
            for source in ["sdk/clickmill.h", "sdk/wit/plugin.wit", "plugin.c"] {
                write(source, "another", later);
                assert!(!project.is_fresh(), "{source}, {later}");
                assert_ne!(project.state(), before, "{source}, {later}");
                write(source, "as it was", later);
                assert!(project.is_fresh(), "{source}, {later}");
            }
            write("new.c", "", later);
            assert!(!project.is_fresh(), "a source more, {later}");
            fs::remove_file(folder.join("new.c")).unwrap();
            assert!(project.is_fresh());
        }
        write("src/more.c", "", 0);
        let made_of = project.made_of();
        write("plugin.c", "saved while it was built", 0);
        project.keep(&made, made_of.as_deref()).unwrap();
        assert!(!project.is_fresh(), "saved while it was built");
        project.keep(&made, project.made_of().as_deref()).unwrap();
        assert!(project.is_fresh());
        for source in ["src/more.c", "sdk/wit/plugin.wit"] {
            fs::remove_file(folder.join(source)).unwrap();
            assert!(!project.is_fresh(), "{source} is gone");
        }
        // Nor is it known of what one is that was made while a source could not be read.
        project.keep(&made, project.made_of().as_deref()).unwrap();
        write("sdk/wit/plugin.wit", "as it was", 0);
        assert!(!project.is_fresh());
    }

    #[test]
    fn names_of_functions_are_those_of_the_last_build() {
        let scratch = tempfile::tempdir().unwrap();
        let project = Project::at(scratch.path(), Language::Python).unwrap();
        let mut made = Made { component: Vec::new(), named: Some(Vec::new()) };
        let path = project.keep(&made, None).unwrap();
        assert!(named(&path).is_file());
        made.named = None;
        project.keep(&made, None).unwrap();
        assert!(path.is_file() && !named(&path).exists());
    }
}
