//! The Wasm toolchain: found, or installed.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use super::tools::{output, run};
use clickmill_core::build_tool;

/// What plugins are compiled for.
pub(super) const TARGET: &str = "wasm32-unknown-unknown";

/// Debian's packages: a second compiler in `/usr/bin`, the sources of the standard library, a linker.
const DEBIAN_PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld-22"];
const DEBIAN_LINKER: &str = "wasm-ld-22";

/// What installs rustup where nothing of Rust is, as its makers say.
const RUSTUP: &str = "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s --";

/// A compiler that can build plugins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Toolchain {
    /// The active toolchain, which has the target.
    Installed,
    /// Debian's compiler, which builds the standard library.
    Debian,
}

/// No toolchain for Wasm is here.
#[derive(Debug, Clone)]
pub(super) struct Missing {
    /// The line that installs one.
    pub line: String,
}

impl Toolchain {
    /// Finds a toolchain. One that was found is not looked for again: a third of a second of each build of a watch.
    pub(super) fn find() -> Result<Self, Missing> {
        static FOUND: OnceLock<Toolchain> = OnceLock::new();
        if let Some(found) = FOUND.get() {
            return Ok(*found);
        }
        let is_there = |toolchain: &Self| match toolchain {
            Self::Installed => has_target(),
            Self::Debian => has_debian(),
        };
        if let Some(found) = [Self::Installed, Self::Debian].into_iter().find(is_there) {
            return Ok(*FOUND.get_or_init(|| found));
        }
        let is_here = |program| output(program, ["--version"]).is_some();
        let line = if is_here("rustup") {
            format!("rustup target add {TARGET}")
        } else if is_here("apt-get") {
            format!("sudo apt-get {}", install_debian().collect::<Vec<_>>().join(" "))
        } else {
            format!("{RUSTUP} --target {TARGET}")
        };
        Err(Missing { line })
    }

    /// Finds a toolchain, and installs one if it must.
    pub(super) fn find_or_install() -> Result<Self, Missing> {
        let missing = match Self::find() {
            Ok(found) => return Ok(found),
            Err(missing) => missing,
        };
        tracing::info!(
            wasm_target = TARGET,
            "no Rust toolchain here can build plugins: installing one"
        );
        if run("rustup", ["target", "add", TARGET]) && has_target() {
            return Ok(Toolchain::Installed);
        }
        let root = output("id", ["-u"]).is_some_and(|output| output.stdout == b"0\n");
        if root
            && run("apt-get", ["update", "-q"])
            && run("apt-get", install_debian())
            && has_debian()
        {
            return Ok(Toolchain::Debian);
        }
        Err(missing)
    }

    /// Its `cargo`, set to build for Wasm.
    pub(super) fn cargo(self) -> Command {
        match self {
            Toolchain::Installed => build_tool("cargo"),
            Toolchain::Debian => {
                let mut cargo = build_tool("/usr/bin/cargo");
                cargo
                    .env("RUSTC", "/usr/bin/rustc")
                    .env("RUSTC_BOOTSTRAP", "1")
                    .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", DEBIAN_LINKER);
                cargo
            }
        }
    }

    /// What its `cargo` is told after the command.
    pub(super) fn arguments(self) -> &'static [&'static str] {
        match self {
            Toolchain::Installed => &[],
            Toolchain::Debian => &["-Zbuild-std=std,panic_abort"],
        }
    }
}

/// What `apt-get` is told.
fn install_debian() -> impl Iterator<Item = &'static str> {
    ["install", "-y", "--no-install-recommends"].into_iter().chain(DEBIAN_PACKAGES)
}

fn has_target() -> bool {
    let cargo = output("cargo", ["--version"]);
    if !cargo.is_some_and(|output| output.status.success()) {
        return false;
    }
    let printed = output("rustc", ["--print", "target-libdir", "--target", TARGET]);
    printed.is_some_and(|output| {
        let folder = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success() && Path::new(&folder).is_dir()
    })
}

fn has_debian() -> bool {
    let printed = output("/usr/bin/rustc", ["--print", "sysroot"]);
    let sources = printed.is_some_and(|output| {
        let sysroot = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Path::new(&sysroot).join("lib/rustlib/src/rust/library").is_dir()
    });
    sources
        && Path::new("/usr/bin/cargo").is_file()
        && output(DEBIAN_LINKER, ["--version"]).is_some()
}
