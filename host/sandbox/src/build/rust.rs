//! Plugins in Rust: crates, built by cargo with whatever Wasm toolchain the machine has or may get.
//!
//! In this order: the installed `wasm32-unknown-unknown` target of the active toolchain; Debian's own
//! compiler, which builds the standard library from source. Where neither is there the error says which
//! line to run; with [`Install::Allowed`] it is run: `rustup target add`, else `apt-get`, as root.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, OnceLock};
use std::thread::ScopedJoinHandle;
use std::time::SystemTime;

use super::asked::{Freshness, Install};
use super::encode::{encode, named, write};
use super::error::BuildError;
use super::krate::Crate;
use super::made_of;
use super::toolchain::{Missing, TARGET, Toolchain};
use super::tools::INSTALL_NOTHING;
use clickmill_core::{causes, lock, shell_word};

/// What a plugin is compiled with. Wasm's SIMD takes a third off string searches. Inlining more than
/// usual takes a twentieth off the whole chain, since every call settles the fuel account; inlining more of
/// what is not marked for it takes nothing off, and a quarter of a build. The small stack is memory that each
/// fresh instance has to clear.
const FLAGS: &str = "-Ctarget-feature=+simd128,+bulk-memory -Cllvm-args=-inlinehint-threshold=900 \
     -Clink-arg=-zstack-size=131072";
const PROFILE: [(&str, &str); 7] = [
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "3"),
    ("CARGO_PROFILE_RELEASE_LTO", "fat"),
    ("CARGO_PROFILE_RELEASE_INCREMENTAL", "false"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
    ("CARGO_PROFILE_RELEASE_PANIC", "abort"),
    // The names of functions stay; they are taken out of the component.
    ("CARGO_PROFILE_RELEASE_STRIP", "debuginfo"),
    ("CARGO_PROFILE_RELEASE_DEBUG", "0"),
];

/// The line that installs a toolchain which builds plugins, where none is here.
pub(super) fn missing() -> Option<String> {
    Toolchain::find().err().map(|missing| missing.line)
}

/// Builds plugin crates, and returns the component's path for each folder in turn.
///
/// Workspaces are built at the same time, and so are the crates of one, each in a target folder of its own: `cargo
/// build` takes several crates, but makes no plugin of one that is an ordinary library to the host too; `cargo rustc`
/// does, takes one crate, and lets one of its calls at a time into a target folder. Where nothing was built yet, the
/// first crate is built alone, and the others begin with what was compiled for it.
pub(super) fn build_all<P: AsRef<Path>>(
    crates: &[P],
    freshness: Freshness,
    install: Install,
) -> Vec<Result<PathBuf, BuildError>> {
    // Nobody needs a compiler where everything is fresh.
    let toolchain = OnceLock::new();
    let find = match install {
        Install::Never => Toolchain::find,
        Install::Allowed => Toolchain::find_or_install,
    };
    let crates = crates.iter().map(|folder| Crate::read(folder.as_ref())).collect();
    build_by(crates, freshness, |krate| match toolchain.get_or_init(find) {
        Ok(toolchain) => compile(krate, *toolchain, install),
        Err(missing) => Err(no_toolchain(krate, missing, install)),
    })
}

fn no_toolchain(krate: &Crate, missing: &Missing, install: Install) -> BuildError {
    let (path, line) = (krate.folder.clone(), &missing.line);
    let lines = match install {
        Install::Never => {
            let folder = shell_word(&path.to_string_lossy());
            format!("`clickmill plugin build --install {folder}`, or `{line}`")
        }
        // It was tried.
        Install::Allowed => format!("`{line}`"),
    };
    BuildError::NoToolchain { path, lines }
}

/// Builds plugin crates by a compiler that returns the module of a crate.
fn build_by(
    crates: Vec<Result<Crate, BuildError>>,
    freshness: Freshness,
    compile: impl Fn(&Crate) -> Result<Vec<u8>, BuildError> + Sync,
) -> Vec<Result<PathBuf, BuildError>> {
    // By the target folder of their workspace, each with its place in the list.
    let mut stale: BTreeMap<&Path, Vec<(usize, &Crate)>> = BTreeMap::new();
    for ((at, krate), is_fresh) in crates.iter().enumerate().zip(are_fresh(&crates, freshness)) {
        if let Ok(krate) = krate
            && !is_fresh
        {
            stale.entry(&krate.target).or_default().push((at, krate));
        }
    }
    let mut made: BTreeMap<usize, Result<(), BuildError>> = std::thread::scope(|scope| {
        let compile = &compile;
        let workers: Vec<_> = stale
            .values()
            .map(|crates| scope.spawn(move || build_workspace(crates, compile)))
            .collect();
        workers.into_iter().flat_map(join).collect()
    });
    let component = |(at, krate): (usize, Result<Crate, BuildError>)| {
        let krate = krate?;
        made.remove(&at).unwrap_or(Ok(()))?;
        Ok(krate.component())
    };
    crates.into_iter().enumerate().map(component).collect()
}

/// Of which crates the component need not be built. They are looked at side by side: a start waits for this.
fn are_fresh(crates: &[Result<Crate, BuildError>], freshness: Freshness) -> Vec<bool> {
    if freshness == Freshness::Rebuild {
        return vec![false; crates.len()];
    }
    std::thread::scope(|scope| {
        let look = |krate| scope.spawn(move || Result::is_ok_and(krate, Crate::is_fresh));
        let looks: Vec<_> = crates.iter().map(|krate| look(krate.as_ref())).collect();
        looks.into_iter().map(join).collect()
    })
}

/// Builds crates of one workspace, as many at a time as there are processors.
fn build_workspace(
    crates: &[(usize, &Crate)],
    compile: &(impl Fn(&Crate) -> Result<Vec<u8>, BuildError> + Sync),
) -> Vec<(usize, Result<(), BuildError>)> {
    let build = |(at, krate): (usize, &Crate)| {
        krate.forget_what_is_older();
        let begun = SystemTime::now();
        (at, compile(krate).and_then(|module| keep(krate, &module, begun)))
    };
    let nothing_is_there = crates.iter().all(|(_, krate)| krate.built_before().is_none());
    let (first, others) = crates.split_at(usize::from(nothing_is_there));
    let mut made: Vec<_> = first.iter().copied().map(build).collect();
    for (_, krate) in others {
        if let Some(other) = krate.built_before()
            && let Err(error) = krate.begin_with(&other)
        {
            // It takes longer.
            tracing::debug!(plugin = krate.name, error = causes(&error), "builds from nothing");
        }
    }
    let waiting = Mutex::new(others.iter().copied());
    let work = || std::iter::from_fn(|| lock(&waiting).next()).map(build).collect::<Vec<_>>();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..processors).map(|_| scope.spawn(work)).collect();
        made.extend(workers.into_iter().flat_map(join));
    });
    made
}

fn join<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Compiles a crate and returns its module.
fn compile(krate: &Crate, toolchain: Toolchain, install: Install) -> Result<Vec<u8>, BuildError> {
    tracing::info!(plugin = krate.name, wasm_target = TARGET, "building plugin");
    let mut cargo = toolchain.cargo();
    cargo
        .current_dir(&krate.folder)
        .args(["rustc", "--quiet", "--release", "--lib", "--crate-type", "cdylib"])
        .args(["--target", TARGET])
        .args(toolchain.arguments())
        .arg("--target-dir")
        .arg(krate.built_in())
        .envs(PROFILE)
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", FLAGS)
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .stdin(Stdio::null())
        // Standard output is for data.
        .stdout(Stdio::null());
    if install == Install::Never {
        let (name, value) = INSTALL_NOTHING;
        cargo.env(name, value);
    }
    let built = cargo.status().is_ok_and(|status| status.success());
    if !built {
        return Err(BuildError::Compile { path: krate.folder.clone() });
    }
    let path = krate.module();
    fs::read(&path).map_err(|source| BuildError::File { path, source })
}

/// Keeps the component of a module whose build was begun then, and beside it one that has the names of functions yet.
fn keep(krate: &Crate, module: &[u8], begun: SystemTime) -> Result<(), BuildError> {
    let made = encode(&krate.folder, module)?;
    made_of::forget(&krate.component())?;
    write(&krate.component(), &made.component)?;
    // Newer than that, or it would be of an earlier build.
    write(&named(&krate.component()), &made.named.unwrap_or_default())?;
    krate.keep_sources(&made.component, begun)
}

#[cfg(test)]
mod tests;
