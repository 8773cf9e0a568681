//! The Python package: a wheel brings all that a first run needs, its modules give what `clickmill run` gives,
//! and packages are told apart by names and versions that agree.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::emulators::python_with;
use crate::support::{Scratch, cache, files, installed, not_run, plugins, root, succeeds};

/// The largest file that PyPI takes.
const MAX_WHEEL_BYTES: u64 = 100_000_000;

/// What packages carry, put together once by `.ci/pack`.
fn packed() -> &'static Path {
    static PACKED: OnceLock<PathBuf> = OnceLock::new();
    PACKED.get_or_init(|| {
        plugins();
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("packed");
        let _ = std::fs::remove_dir_all(&folder);
        let engine = clickmill_query::prepare().expect("the SQL engine builds");
        let clickmill = Path::new(env!("CARGO_BIN_EXE_clickmill"));
        succeeds(Command::new(root().join(".ci/pack")).args([&*folder, clickmill, &*engine]));
        folder
    })
}

/// A Python with those packages; or the test is named that is not run for want of them.
fn python(test: &str, requirements: &str) -> Option<PathBuf> {
    match python_with(requirements) {
        Ok(python) => Some(python),
        Err(why) => {
            not_run(test, &format!("`{requirements}` cannot be installed from PyPI: {why}"));
            None
        }
    }
}

/// The one file in a folder whose name ends so.
fn file(folder: &Path, ending: &str) -> PathBuf {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found = entries.filter(|path| path.to_string_lossy().ends_with(ending));
    found.next().unwrap_or_else(|| panic!("nothing in {folder:?} ends in `{ending}`"))
}

/// Builds a wheel or an sdist of a folder.
fn build(python: &Path, kind: &str, of: &Path, into: &Path) {
    let mut command = Command::new(python);
    command.args(["-m", "build", kind, "--no-isolation", "--outdir"]).args([into, of]);
    // The copy in git is one of another user's, in a container.
    command.env("GIT_CONFIG_COUNT", "1").env("GIT_CONFIG_KEY_0", "safe.directory");
    succeeds(command.env("GIT_CONFIG_VALUE_0", "*").env("CLICKMILL_PACKED", packed()));
}

#[test]
fn a_wheel_is_a_first_run_without_a_compiler() {
    let Some(python) = python("the wheel", "wheel.txt") else { return };
    let scratch = Scratch::new();
    let folder = scratch.path("dist");
    build(&python, "--wheel", &root().join("host/python"), &folder);
    let wheel = file(&folder, ".whl");
    let bytes = wheel.metadata().unwrap().len();
    assert!(bytes < MAX_WHEEL_BYTES, "{wheel:?} has {bytes} bytes, limit {MAX_WHEEL_BYTES}");
    if cfg!(target_os = "linux") {
        let name = wheel.file_name().unwrap().to_string_lossy().into_owned();
        let tag = name.trim_end_matches(".whl").rsplit('-').next().unwrap();
        let shown = succeeds(Command::new(&python).args(["-m", "auditwheel", "show"]).arg(&wheel));
        let text = shown.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(&format!("platform tag: \"{tag}\"")), "{name}: {shown}");
    }
    // Nothing but the wheel and the system's own programs.
    let home = scratch.path("home");
    std::fs::create_dir(&home).unwrap();
    let uv = |arguments: &[&str]| {
        let mut uv = Command::new(python.with_file_name("uv"));
        uv.env_clear().env("HOME", &home).env("PATH", "/usr/bin:/bin").current_dir(&home);
        uv.args(arguments);
        uv
    };
    let run = ["tool", "run", "--offline", "--python", python.to_str().unwrap(), "--from"];
    let told = succeeds(uv(&run).arg(&wheel).args(["clickmill", "demo", "--for", "1s"]));
    assert!(told.contains("clickstream_batch: 16") && told.contains("Poland"), "{told}");
    // Installed, the module finds its executable, and that finds what comes with it.
    let venv = home.join("venv");
    succeeds(uv(&["venv", "--offline", "--python", python.to_str().unwrap()]).arg(&venv));
    let there = venv.join("bin/python");
    succeeds(uv(&["pip", "install", "--offline", "--python", there.to_str().unwrap()]).arg(&wheel));
    let script = "import clickmill, subprocess; command = [clickmill.executable(), 'validate', 'clicks', '--set', 'source.uri=clicks.ndjson']; print(clickmill.executable(), subprocess.run(command, capture_output=True, text=True).stderr)";
    std::fs::write(home.join("clicks.ndjson"), "{}\n").unwrap();
    let told = succeeds(Command::new(&there).args(["-c", script]).current_dir(&home).env_clear());
    for part in ["venv/bin/clickmill", "venv/share/clickmill/host/pipelines/clicks.toml"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    // Tools that look for licences look there.
    let script = "from importlib.metadata import metadata, files; print(metadata('clickmill').get_all('License-File'), [str(f) for f in files('clickmill') if '/licenses/' in str(f)])";
    let told = succeeds(Command::new(&there).args(["-c", script]).env_clear());
    let wanted = format!(
        "['LICENSE'] ['clickmill-{}.dist-info/licenses/LICENSE']",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(told.trim(), wanted);
}

#[test]
fn what_packages_carry_is_for_everybody_to_read() {
    for path in files(packed()) {
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777 & !0o111, 0o644, "{path:?}");
    }
}

#[test]
fn an_sdist_has_what_a_wheel_is_built_of() {
    let Some(python) = python("the sdist", "wheel.txt") else { return };
    let scratch = Scratch::new();
    let folder = scratch.path("dist");
    build(&python, "--sdist", &root().join("host/python"), &folder);
    let archive = file(&folder, ".tar.gz");
    succeeds(Command::new("tar").arg("xzf").arg(&archive).arg("-C").arg(&folder));
    std::fs::remove_file(&archive).unwrap();
    let unpacked = folder.join(format!("clickmill-{}", env!("CARGO_PKG_VERSION")));
    // Cargo finds all that it builds of, and what it builds with.
    let sources = unpacked.join("source");
    let metadata = ["metadata", "--locked", "--offline", "--no-deps", "--format-version", "1"];
    let metadata = succeeds(Command::new("cargo").args(metadata).current_dir(&sources));
    assert!(metadata.contains("\"name\":\"clickmill-sql\""));
    for script in [".ci/pack", ".ci/share", ".ci/notices"] {
        let mode = sources.join(script).metadata().expect(script).permissions().mode();
        assert!(mode & 0o100 != 0, "{script} cannot be run");
    }
    // What the README names.
    for name in ["dataflow/Containerfile", "dataflow/template.json"] {
        assert!(unpacked.join(name).is_file(), "{name}");
    }
    build(&python, "--wheel", &unpacked, &folder);
    assert!(file(&folder, ".whl").is_file());
}

#[test]
fn packages_have_the_version_and_the_names_of_a_release() {
    let read = |name: &str| std::fs::read_to_string(root().join(name)).unwrap();
    let project: toml::Table = read("host/python/pyproject.toml").parse().unwrap();
    assert_eq!(project["project"]["version"].as_str(), Some(env!("CARGO_PKG_VERSION")));
    // What builds the wheel takes no file from outside of its folder.
    assert_eq!(read("host/python/LICENSE"), read("LICENSE"));
    let release = read(".github/workflows/release.yml");
    for crate_folder in ["host/cli", "host/sql"] {
        let manifest: toml::Table = read(&format!("{crate_folder}/Cargo.toml")).parse().unwrap();
        let binstall = &manifest["package"]["metadata"]["binstall"];
        let value = |key: &str| binstall[key].as_str().unwrap().to_owned();
        let filled = |text: String| {
            let text = text.replace("{ version }", "$version").replace("{ target }", "$TARGET");
            text.replace("{ repo }/", "")
        };
        let (folder, executable) = filled(value("bin-dir")).split_once('/').map(own).unwrap();
        assert_eq!(executable, "{ bin }{ binary-ext }");
        assert!(release.contains(&format!("NAME={folder}\"")), "{folder}");
        let url = format!("releases/download/v$version/{folder}.tar.gz");
        assert_eq!(filled(value("pkg-url")), url);
        assert_eq!(value("pkg-fmt"), "tgz");
        let name = manifest["package"]["name"].as_str().unwrap().to_owned();
        // A manifest that says nothing for `{ repo }` has the README's command say where the archive is.
        if manifest["package"].get("repository").is_none() {
            let archive =
                value("pkg-url").replace("{ repo }", "https://github.com/OWNER/clickmill");
            let command = format!(
                "\ncargo binstall --manifest-path {crate_folder} --pkg-url \"{archive}\" {name}\n"
            );
            assert!(read("README.md").contains(&command), "{command}");
        }
        assert!(read(".ci/pack").contains(&format!("\"$folder/{name}\"")), "{name}");
    }
}

fn own((one, other): (&str, &str)) -> (String, String) {
    (one.to_owned(), other.to_owned())
}

/// Runs files of Python's own tests over this build.
fn tests(test: &str, requirements: &str, files: &[&str]) {
    let Some(python) = python(test, requirements) else { return };
    plugins();
    let scratch = Scratch::new();
    let package = root().join("host/python");
    let mut command = Command::new(&python);
    command.args(["-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]);
    // Of a million clicks each test leaves as many files.
    command.args(["-o", "tmp_path_retention_policy=failed", "--basetemp"]);
    command.arg(scratch.path("pytest")).args(files).current_dir(package.join("tests"));
    // Workers of engines find what the tests hand them.
    let path = std::env::join_paths([package.clone(), package.join("tests")]).unwrap();
    command.env("PYTHONPATH", path).env("PYTHONDONTWRITEBYTECODE", "1");
    command.env("CLICKMILL_EXECUTABLE", env!("CARGO_BIN_EXE_clickmill"));
    command.env("CLICKMILL_CACHE", cache()).env_remove("CLICKMILL_SHARE");
    println!("{}", succeeds(&mut command));
}

#[test]
fn a_chain_over_arrow_tables_is_what_run_is() {
    tests("clickmill.chain", "python.txt", &["test_chain.py", "test_readme.py"]);
}

#[test]
fn beam_gives_the_same_on_several_processes_some_of_which_are_killed() {
    tests("clickmill.beam", "beam.txt", &["test_beam.py"]);
}

#[test]
fn spark_gives_the_same_on_two_executors_one_of_which_is_killed() {
    let test = "clickmill.spark";
    if installed("java", &["openjdk-17-jre-headless"]).is_none() {
        return not_run(test, "Java is missing: `apt-get install openjdk-17-jre-headless`");
    }
    tests(test, "spark.txt", &["test_spark.py"]);
}
