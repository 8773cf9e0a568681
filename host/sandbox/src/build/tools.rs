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

/// Installs packages of PyPI, such as `ziglang==0.17.1`, into their folder.
pub(super) fn install_from_pypi(name: &str, packages: &[&str]) -> bool {
    install(name, |folder| pip_install(folder, &[], packages))
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

/// Installs packages of PyPI into a folder, an absolute path; whether it could. None of them is taken for an option,
/// however it begins.
pub(super) fn pip_install<P: AsRef<OsStr>>(
    folder: &Path,
    options: &[&str],
    packages: &[P],
) -> bool {
    let mut pip = pip();
    pip.args(["install", "--quiet", "--disable-pip-version-check"]).args(options);
    pip.arg("--target").arg(folder).arg("--").args(packages);
    // Standard output is for data.
    pip.stdout(std::io::stderr()).status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

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
