//! Plugins in Python: componentize-py makes a component of `plugin.py`, with the interpreter, after what it imports
//! was imported. What the interpreter would ask of a system is not there.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::asked::Install;
use super::encode::{Made, write};
use super::error::BuildError;
use super::project::Project;
use super::tools;
use clickmill_core::{build_tool, shell_word};

/// What builds them, of PyPI.
const PACKAGE: &str = "componentize-py==0.25.1";
const FOLDER: &str = "componentize-py-0.25.1";
const REQUIREMENTS: &str = include_str!("requirements/componentize-py.txt");
/// The oldest version of Python that the SDK's tests run by.
const PYTHON: (u32, u32) = (3, 11);

/// Calls it: what it says of a failure is what Python said, without where it was itself. Modules of the folder that
/// it is called in are the plugin's, and run in the component only.
const CALL: &str = r#"
import sys
sys.path[:] = filter(None, sys.path)
import componentize_py
try:
    componentize_py.script()
except BaseException as error:
    sys.exit(str(error).partition("\n\nCaused by")[0].strip())
"#;

/// The module that a component is made of.
const ENTRY: &str = "clickmill_entry";

/// What installs the tools, where they are not here.
pub(super) fn missing() -> Option<String> {
    here().is_none().then(line)
}

fn here() -> Option<PathBuf> {
    let folder = tools::folder(FOLDER)?;
    let python = tools::version("python3").is_some_and(|version| version >= PYTHON);
    (python && folder.join("componentize_py").is_dir()).then_some(folder)
}

fn line() -> String {
    if tools::version("python3").is_some_and(|version| version < PYTHON) {
        return "install Python 3.11 or later from https://www.python.org: the one here is older"
            .to_owned();
    }
    if !tools::has_pip() {
        return "`sudo apt-get install -y python3 python3-pip`".to_owned();
    }
    let folder = tools::folder(FOLDER).unwrap_or_default();
    let folder = shell_word(&folder.to_string_lossy());
    format!("`python3 -m pip install --target {folder} {PACKAGE}`")
}

/// Builds a plugin.
pub(super) fn build(project: &Project, install: Install) -> Result<Made, BuildError> {
    let about = About::read(project)?;
    if install == Install::Allowed && here().is_none() {
        tools::install_from_pypi(FOLDER, REQUIREMENTS);
    }
    let tools = here().ok_or_else(|| project.no_tools(&line(), install))?;
    let work = project.work_folder()?;
    let packages = packages(project, &about.dependencies, &work, install)?;
    let entry = work.join("entry");
    write(&entry.join(format!("{ENTRY}.py")), about.entry().as_bytes())?;
    let component = work.join("plugin.wasm");
    let mut python = build_tool("python3");
    python
        .current_dir(&project.folder)
        .args(["-c", CALL, "--quiet", "--wit-path"])
        .arg(project.contract())
        .args(["--world", "plugin", "componentize", "--stub-wasi"])
        .args([OsStr::new("--python-path"), entry.as_os_str(), OsStr::new("--python-path")])
        .args([".", "--python-path", "sdk", ENTRY, "--output"])
        .arg(&component)
        .env("PYTHONPATH", tools)
        // Nothing that is installed for other programs gets in.
        .env("VIRTUAL_ENV", packages)
        .env("RUST_BACKTRACE", "0");
    Ok(Made { component: project.made_by(&mut python, component)?, named: None })
}

/// The environment that has the packages which a plugin imports.
fn packages(
    project: &Project,
    dependencies: &[String],
    work: &Path,
    install: Install,
) -> Result<PathBuf, BuildError> {
    let hash = blake3::hash(dependencies.join("\n").as_bytes()).to_hex();
    let environment = work.join(format!("packages-{}", &hash[..12]));
    let folder = environment.join("lib/python/site-packages");
    if folder.is_dir() {
        return Ok(environment);
    }
    if !dependencies.is_empty() {
        // Beside it first: either all is there, or nothing.
        let new = work.join("packages-new");
        let _ = fs::remove_dir_all(&new);
        // What is compiled for this machine runs in no component.
        let pure = ["--only-binary", ":all:", "--platform", "any", "--"];
        let arguments = pure.into_iter().chain(dependencies.iter().map(String::as_str));
        if install == Install::Never || !tools::pip_install(&new, arguments) {
            let names = dependencies.join("`, `");
            let line = format!("leave its dependencies out: `{names}`");
            return Err(project.no_tools(&line, install));
        }
        let made = fs::create_dir_all(environment.join("lib/python"));
        made.and_then(|()| fs::rename(&new, &folder))
            .map_err(|source| BuildError::File { path: folder.clone(), source })?;
        return Ok(environment);
    }
    match fs::create_dir_all(&folder) {
        Ok(()) => Ok(environment),
        Err(source) => Err(BuildError::File { path: folder, source }),
    }
}

/// What `pyproject.toml` says of a plugin.
#[derive(Debug)]
struct About {
    name: String,
    version: String,
    description: String,
    /// Packages, as pip takes them.
    dependencies: Vec<String>,
}

impl About {
    fn read(project: &Project) -> Result<Self, BuildError> {
        let wrong = |what: String| BuildError::Component { path: project.given.clone(), what };
        if !project.folder.join("plugin.py").is_file() {
            return Err(wrong("it has no `plugin.py`".to_owned()));
        }
        let path = project.folder.join("pyproject.toml");
        let text = fs::read_to_string(&path).map_err(|source| BuildError::File { path, source })?;
        let file: toml::Table = toml::from_str(&text)
            .map_err(|error| wrong(format!("`pyproject.toml`: {}", error.message())))?;
        let about = file.get("project");
        let text = |key: &str| Some(about?.get(key)?.as_str()?.to_owned());
        let dependencies = about.and_then(|about| about.get("dependencies"));
        let dependencies = dependencies.and_then(toml::Value::as_array).into_iter().flatten();
        Ok(Self {
            name: text("name").unwrap_or_else(|| project.name.clone()),
            version: text("version").unwrap_or_else(|| "0".to_owned()),
            description: text("description").unwrap_or_default(),
            dependencies: dependencies
                .filter_map(|package| package.as_str().map(str::to_owned))
                .collect(),
        })
    }

    /// The module that a component is made of. What is a text in JSON is one in Python.
    fn entry(&self) -> String {
        let (name, version, description) =
            (json!(self.name), json!(self.version), json!(self.description));
        format!(
            "import plugin\nfrom clickmill_plugin.plugin import world\n\nWitWorld = world(plugin, {name}, {version}, {description})\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::Language;

    fn project(pyproject: &str) -> (tempfile::TempDir, Project) {
        let scratch = tempfile::tempdir().unwrap();
        fs::write(scratch.path().join("pyproject.toml"), pyproject).unwrap();
        fs::write(scratch.path().join("plugin.py"), "").unwrap();
        let project = Project::at(scratch.path(), Language::Python).unwrap();
        (scratch, project)
    }

    #[test]
    fn a_project_says_what_the_plugin_is() {
        let (_scratch, said) = project(
            "[project]\nname = \"shout\"\nversion = \"1.2\"\ndescription = \"a \\\"b\\\"\\n\"\ndependencies = [\"idna>=3\"]\n",
        );
        let about = About::read(&said).unwrap();
        assert_eq!(about.dependencies, ["idna>=3"]);
        let last = about.entry().lines().last().unwrap().to_owned();
        assert_eq!(last, r#"WitWorld = world(plugin, "shout", "1.2", "a \"b\"\n")"#);
        let (_scratch, silent) = project("");
        let about = About::read(&silent).unwrap();
        assert_eq!((about.name, about.version), (silent.name.clone(), "0".to_owned()));
        let (_scratch, wrong) = project("[project");
        assert!(About::read(&wrong).unwrap_err().to_string().contains("`pyproject.toml`"));
        fs::remove_file(silent.folder.join("plugin.py")).unwrap();
        assert!(About::read(&silent).unwrap_err().to_string().contains("no `plugin.py`"));
    }

    #[test]
    fn packages_are_not_installed_by_the_way() {
        let (_scratch, project) = project("");
        let work = project.work_folder().unwrap();
        let none = packages(&project, &[], &work, Install::Never).unwrap();
        assert!(none.join("lib/python/site-packages").is_dir());
        let some = ["idna>=3".to_owned()];
        let told = packages(&project, &some, &work, Install::Never).unwrap_err().to_string();
        assert!(told.contains("--install") && told.contains("`idna>=3`"), "{told}");
    }
}
