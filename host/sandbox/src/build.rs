//! Builds a plugin crate into a component, with whatever Wasm toolchain the machine has or may get.
//!
//! In this order: the installed `wasm32-unknown-unknown` target of the active toolchain; Debian's own
//! compiler, which builds the standard library from source. Where neither is there the error says which
//! line to run; with [`Install::Allowed`] it is run: `rustup target add`, else `apt-get`, as root.
//!
//! A crate is trusted code: cargo runs its build script and its macros with our rights. They see the settings
//! of our environment that a build needs ([`clickmill_core::is_build_setting`]) and none of its secrets.

mod error;
mod krate;
mod toolchain;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;
use std::thread::ScopedJoinHandle;

use wasmtime::wasmparser::{BinaryReaderError, Parser, Payload};
use wit_component::ComponentEncoder;

pub use error::BuildError;
pub use krate::{last_change, named};

use krate::Crate;
use toolchain::{INSTALL_NOTHING, Missing, TARGET, Toolchain};

/// What a plugin is compiled with. Wasm's SIMD takes a third off string searches. Inlining more than
/// usual takes a twentieth off the whole chain, since every call settles the fuel account. The small stack
/// is memory that each fresh instance has to clear.
const FLAGS: &str = "-Ctarget-feature=+simd128,+bulk-memory -Cllvm-args=-inline-threshold=600 \
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

/// When a component that is there already is good enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// When it is newer than every source it was made of.
    Sources,
    /// Never: ask the compiler.
    Rebuild,
}

/// Whether a toolchain may be installed where none here can build plugins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Install {
    /// No: the error says the line to run.
    Never,
    /// Yes: somebody has asked for it.
    Allowed,
}

/// Builds the plugin crate in `folder` and returns the component's path.
pub fn build(folder: &Path, freshness: Freshness, install: Install) -> Result<PathBuf, BuildError> {
    build_all(&[folder], freshness, install).pop().expect("a folder has a component or an error")
}

/// The line that installs a toolchain which builds plugins, where none is here.
pub fn missing_toolchain() -> Option<String> {
    Toolchain::find().err().map(|missing| missing.line)
}

/// Whether the folder holds a crate, which has to be built, and not a component in its place.
pub fn is_crate(folder: &Path) -> bool {
    folder.is_dir() && krate::packed(folder).is_none()
}

/// The component that lies in a folder in place of its crate.
pub(super) fn packed(folder: &Path) -> Option<PathBuf> {
    krate::packed(folder)
}

/// Builds plugin crates, and returns the component's path for each folder in turn. A folder without a
/// crate may hold the component itself, as `mask/mask.wasm`: so packages have it.
///
/// Workspaces are built at the same time. Within one, crates are compiled one after the other: `cargo
/// build` takes several crates, but makes no plugin of one that is an ordinary library to the host too;
/// `cargo rustc` does, and takes one crate. Cargo lets one of its calls at a time into a target folder, so
/// what is gained here is that modules are made into components meanwhile.
pub fn build_all<P: AsRef<Path>>(
    folders: &[P],
    freshness: Freshness,
    install: Install,
) -> Vec<Result<PathBuf, BuildError>> {
    let packed: Vec<Option<PathBuf>> =
        folders.iter().map(|folder| krate::packed(folder.as_ref())).collect();
    let crates = folders.iter().zip(&packed).filter(|(_, packed)| packed.is_none());
    let crates: Vec<&P> = crates.map(|(folder, _)| folder).collect();
    // Nobody needs a compiler where everything is fresh.
    let toolchain = OnceLock::new();
    let find = match install {
        Install::Never => Toolchain::find,
        Install::Allowed => Toolchain::find_or_install,
    };
    let built = build_by(&crates, freshness, |krate| match toolchain.get_or_init(find) {
        Ok(toolchain) => compile(krate, *toolchain, install),
        Err(missing) => Err(no_toolchain(krate, missing, install)),
    });
    let mut built = built.into_iter();
    let component = |packed: Option<PathBuf>| match packed {
        Some(component) => Ok(component),
        None => built.next().expect("each crate has a component or an error"),
    };
    packed.into_iter().map(component).collect()
}

fn no_toolchain(krate: &Crate, missing: &Missing, install: Install) -> BuildError {
    let (path, line) = (krate.folder.clone(), &missing.line);
    let lines = match install {
        Install::Never => {
            format!("`clickmill plugin build --install {}`, or `{line}`", path.display())
        }
        // It was tried.
        Install::Allowed => format!("`{line}`"),
    };
    BuildError::NoToolchain { path, lines }
}

/// Builds plugin crates by a compiler that returns the module of a crate.
fn build_by<P: AsRef<Path>>(
    folders: &[P],
    freshness: Freshness,
    compile: impl Fn(&Crate) -> Result<Vec<u8>, BuildError> + Sync,
) -> Vec<Result<PathBuf, BuildError>> {
    let crates: Vec<Result<Crate, BuildError>> =
        folders.iter().map(|folder| Crate::read(folder.as_ref())).collect();
    // By the target folder of their workspace, each with its place in the list.
    let mut stale: BTreeMap<&Path, Vec<(usize, &Crate)>> = BTreeMap::new();
    for (at, krate) in crates.iter().enumerate() {
        if let Ok(krate) = krate
            && (freshness == Freshness::Rebuild || !krate.is_fresh())
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

/// Builds crates of one workspace: one is compiled while the modules before it are made into components.
fn build_workspace(
    crates: &[(usize, &Crate)],
    compile: &(impl Fn(&Crate) -> Result<Vec<u8>, BuildError> + Sync),
) -> Vec<(usize, Result<(), BuildError>)> {
    std::thread::scope(|scope| {
        let mut encoders = Vec::new();
        for (at, krate) in crates.iter().copied() {
            let module = compile(krate);
            encoders.push((at, scope.spawn(move || encode(krate, &module?))));
        }
        encoders.into_iter().map(|(at, encoder)| (at, join(encoder))).collect()
    })
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
        .arg(&krate.target)
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

/// Makes a component of a module, and beside it one that has the names of functions yet.
fn encode(krate: &Crate, module: &[u8]) -> Result<(), BuildError> {
    let failed = |what: String| BuildError::Component { path: krate.folder.clone(), what };
    let encode = |module: &[u8]| {
        let encoder = ComponentEncoder::default().validate(true).module(module);
        encoder
            .and_then(|mut encoder| encoder.encode())
            .map_err(|error| failed(format!("{error:#}")))
    };
    let nameless = without_names(module).map_err(|error| failed(error.to_string()))?;
    write(&krate.component(), &encode(&nameless)?)?;
    // Newer than that, or it would be of an earlier build.
    write(&named(&krate.component()), &encode(module)?)
}

/// What linkers leave for tools: names of functions, who made the module, and of what.
const FOR_TOOLS: [&str; 3] = ["name", "producers", "target_features"];

/// A module without what is for tools.
fn without_names(module: &[u8]) -> Result<Vec<u8>, BinaryReaderError> {
    const PREAMBLE: usize = 8;
    let mut kept = module.get(..PREAMBLE).unwrap_or(module).to_vec();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload?;
        if let Payload::CustomSection(section) = &payload
            && FOR_TOOLS.contains(&section.name())
        {
            continue;
        }
        if let Some((id, range)) = payload.as_section() {
            kept.push(id);
            // The length, in seven bits a byte.
            let mut length = range.len();
            while length >= 0x80 {
                kept.push((length & 0x7f) as u8 | 0x80);
                length >>= 7;
            }
            kept.push(length as u8);
            kept.extend_from_slice(&module[range]);
        }
    }
    Ok(kept)
}

/// Writes by renaming, so that nobody ever sees half a component.
fn write(path: &Path, bytes: &[u8]) -> Result<(), BuildError> {
    let failed = |source| BuildError::File { path: path.to_owned(), source };
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(failed)?;
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    std::io::Write::write_all(&mut file, bytes).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests;
