//! Plugins in C, compiled by zig, which brings a C library for WASI along: one download, of PyPI, and no rights.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use super::asked::Install;
use super::encode::{Made, encode_wasi};
use super::error::BuildError;
use super::project::Project;
use super::tools;
use clickmill_core::build_tool;

const TOOLS: &str = "ziglang-0.17.1";
const REQUIREMENTS: &str = include_str!("requirements/ziglang.txt");

/// What a plugin is compiled with. The names of functions stay; they are taken out of the component. The
/// small stack is memory that each fresh instance has to clear.
const FLAGS: [&str; 9] = [
    "cc",
    "-target",
    "wasm32-wasi",
    "-mexec-model=reactor",
    "-O2",
    "-g0",
    // An assertion that fails refuses its row.
    "-UNDEBUG",
    "-Wall",
    "-Wl,-z,stack-size=131072",
];

/// What is looked for while it runs: a division by zero, a pointer to nothing, and what lies beyond an array. Without
/// that the first would end the call without a word of where, and the others not at all.
const CHECKS: [&str; 3] = [
    "-fsanitize=integer-divide-by-zero,null,bounds",
    "-fno-sanitize-recover=all",
    // The last array of a struct has the length that is declared, unless that is none, or one as in older C.
    "-fstrict-flex-arrays=1",
];
/// How functions are called that tell what was found. An SDK of clickmill 0.1 has none.
const FOUND: &str = "__ubsan_handle_";

/// Folders below the plugin's in which sources lie.
const SOURCES: [&str; 3] = ["", "src", "sdk"];

/// The line that installs the tools, where they are not here.
pub(super) fn missing() -> Option<String> {
    zig().is_none().then(|| "install zig from https://ziglang.org/download".to_owned())
}

fn zig() -> Option<PathBuf> {
    tools::find(TOOLS, "ziglang/zig", "zig")
}

/// Builds a plugin.
pub(super) fn build(project: &Project, install: Install) -> Result<Made, BuildError> {
    if zig().is_none() && install == Install::Allowed {
        tools::install_from_pypi(TOOLS, REQUIREMENTS);
    }
    let zig = zig().ok_or_else(|| project.no_tools(&missing().unwrap_or_default(), install))?;
    let work = project.work_folder()?;
    let module = work.join("plugin.wasm");
    let mut command = build_tool(zig);
    command
        .current_dir(&project.folder)
        .args(FLAGS)
        .args(CHECKS.iter().filter(|_| tells_what_is_found(&project.folder)))
        .arg("-o")
        .arg(&module)
        .args(sources(&project.folder).iter().map(|path| below(&project.folder, path)))
        .env("ZIG_LOCAL_CACHE_DIR", work.join("zig"))
        .envs(tools::folder("zig-cache").map(|cache| ("ZIG_GLOBAL_CACHE_DIR", cache)));
    encode_wasi(&project.given, &project.contract(), project.made_by(&mut command, module)?)
}

/// Whether the SDK in a plugin's folder tells what checks find.
fn tells_what_is_found(folder: &Path) -> bool {
    let sdk = fs::read_to_string(folder.join("sdk/clickmill.c"));
    sdk.is_ok_and(|sdk| sdk.contains(FOUND))
}

/// A source by its path from the folder, which is what an assertion tells of it: a component is the same wherever its
/// folder lies.
fn below(folder: &Path, source: &OsStr) -> PathBuf {
    let source = Path::new(source);
    Path::new(".").join(source.strip_prefix(folder).unwrap_or(source))
}

/// The plugin's files of C, in the order of their names.
fn sources(folder: &Path) -> Vec<OsString> {
    let mut sources = Vec::new();
    for below in SOURCES {
        let entries = fs::read_dir(folder.join(below)).into_iter().flatten();
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let is_hidden = |path: &Path| {
            path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
        };
        // What is hidden is an editor's, such as the lock `.#plugin.c`, which leads nowhere.
        let files =
            paths.filter(|path| path.extension() == Some(OsStr::new("c")) && !is_hidden(path));
        sources.extend(files.map(PathBuf::into_os_string));
    }
    sources.sort();
    sources
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_for_an_sdk_that_tells_what_they_find() {
        let scratch = tempfile::tempdir().unwrap();
        assert!(!tells_what_is_found(scratch.path()));
        fs::create_dir(scratch.path().join("sdk")).unwrap();
        let sdk = include_str!("../../../../plugins/sdk-c/clickmill.c");
        for (sdk, wanted) in [(sdk, true), (&sdk.replace(FOUND, ""), false)] {
            fs::write(scratch.path().join("sdk/clickmill.c"), sdk).unwrap();
            assert_eq!(tells_what_is_found(scratch.path()), wanted);
        }
    }

    #[test]
    fn sources_are_those_of_the_folder_and_of_the_sdk() {
        let scratch = tempfile::tempdir().unwrap();
        for file in [
            "plugin.c",
            ".#plugin.c",
            "src/b.c",
            "src/a.h",
            "sdk/clickmill.c",
            "sdk/testing/testing.c",
            "tests/plugin_test.c",
            "README.md",
        ] {
            let path = scratch.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let found = sources(scratch.path());
        assert_eq!(below(scratch.path(), &found[0]), Path::new("./plugin.c"));
        let found: Vec<&Path> = found
            .iter()
            .map(|path| Path::new(path).strip_prefix(scratch.path()).unwrap())
            .collect();
        assert_eq!(found, ["plugin.c", "sdk/clickmill.c", "src/b.c"].map(Path::new));
    }
}
