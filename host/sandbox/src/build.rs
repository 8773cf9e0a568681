//! Builds a plugin crate into a component, with whatever Wasm toolchain the machine has or can get.
//!
//! In this order: the installed `wasm32-unknown-unknown` target of the active toolchain; `rustup target
//! add`; Debian's own compiler, which builds the standard library from source; installing that one with
//! `apt-get`, as root. Where nothing works the error says which line to run.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::SystemTime;

use wit_component::ComponentEncoder;

const TARGET: &str = "wasm32-unknown-unknown";

/// Debian's packages: a second compiler in `/usr/bin`, the sources of the standard library, a linker.
const DEBIAN_PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld-22"];
const DEBIAN_LINKER: &str = "wasm-ld-22";

/// What a plugin is compiled with. Wasm's SIMD takes a third off string searches. Inlining more than
/// usual takes a twentieth off the whole chain, since every call settles the fuel account. The small stack
/// is memory that each fresh instance has to clear.
const FLAGS: &str = "-Ctarget-feature=+simd128,+bulk-memory -Cllvm-args=-inline-threshold=600 \
     -Clink-arg=-zstack-size=131072";
const PROFILE: [(&str, &str); 6] = [
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "3"),
    ("CARGO_PROFILE_RELEASE_LTO", "fat"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
    ("CARGO_PROFILE_RELEASE_PANIC", "abort"),
    ("CARGO_PROFILE_RELEASE_STRIP", "symbols"),
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

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The folder is no crate.
    #[error("`{path}` is not a Rust crate: {what}", path = path.display())]
    NotACrate {
        /// The folder.
        path: PathBuf,
        /// What cargo says.
        what: String,
    },
    /// There is no toolchain for Wasm, and none could be installed.
    #[error("no Rust toolchain here can build for {TARGET}: run `{advice}`")]
    NoToolchain {
        /// The line to run.
        advice: String,
    },
    /// The crate does not compile. The compiler has said why on standard error.
    #[error("`{path}` does not compile for {TARGET}", path = path.display())]
    Compile {
        /// The folder.
        path: PathBuf,
    },
    /// A file can't be read or written.
    #[error("cannot read or write `{path}`", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The compiled module does not make a component.
    #[error("the module of `{path}` makes no component: {what}", path = path.display())]
    Component {
        /// The folder.
        path: PathBuf,
        /// Why.
        what: String,
    },
}

enum Toolchain {
    /// The active toolchain, which has the target.
    Installed,
    /// Debian's compiler, which builds the standard library.
    Debian,
}

/// Builds the plugin crate in `folder` and returns the component's path.
pub fn build(folder: &Path, freshness: Freshness) -> Result<PathBuf, BuildError> {
    let krate = Crate::read(folder)?;
    let output = krate.target.join("components").join(format!("{}.wasm", krate.name));
    if freshness == Freshness::Sources && is_fresh(&output, &krate.dep_info(), folder) {
        return Ok(output);
    }
    let toolchain = toolchain()?;
    tracing::info!(plugin = krate.name, wasm_target = TARGET, "building plugin");
    let mut cargo = match toolchain {
        Toolchain::Installed => Command::new("cargo"),
        Toolchain::Debian => Command::new("/usr/bin/cargo"),
    };
    cargo
        .current_dir(folder)
        .args([
            "rustc",
            "--quiet",
            "--release",
            "--lib",
            "--crate-type",
            "cdylib",
            "--target",
            TARGET,
        ])
        .arg("--target-dir")
        .arg(&krate.target)
        .envs(PROFILE)
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", FLAGS)
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .stdin(Stdio::null())
        // Standard output is for data.
        .stdout(Stdio::null());
    if let Toolchain::Debian = toolchain {
        cargo
            .arg("-Zbuild-std=std,panic_abort")
            .env("RUSTC", "/usr/bin/rustc")
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", DEBIAN_LINKER);
    }
    let built = cargo.status().is_ok_and(|status| status.success());
    if !built {
        return Err(BuildError::Compile { path: folder.to_owned() });
    }
    let module = krate.module();
    let bytes = fs::read(&module).map_err(|source| BuildError::File { path: module, source })?;
    let component = ComponentEncoder::default()
        .validate(true)
        .module(&bytes)
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| BuildError::Component {
            path: folder.to_owned(),
            what: format!("{error:#}"),
        })?;
    write(&output, &component)?;
    Ok(output)
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

struct Crate {
    name: String,
    /// Where plugins of this crate's workspace are built: apart from the host, so that neither waits for
    /// the other's lock nor rebuilds the other's dependencies.
    target: PathBuf,
}

impl Crate {
    fn read(folder: &Path) -> Result<Self, BuildError> {
        let not_a_crate = |what: String| BuildError::NotACrate { path: folder.to_owned(), what };
        // Reading the two files is what `cargo metadata` does, without its half second.
        let manifest_path = folder.join("Cargo.toml");
        let text =
            fs::read_to_string(&manifest_path).map_err(|error| not_a_crate(error.to_string()))?;
        let manifest: toml::Table =
            toml::from_str(&text).map_err(|error| not_a_crate(error.message().to_owned()))?;
        let name = manifest.get("package").and_then(|package| package.get("name"));
        let name = name
            .and_then(toml::Value::as_str)
            .ok_or_else(|| not_a_crate("it has no `package.name`".to_owned()))?;
        let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
        let target = target.unwrap_or_else(|| workspace(folder).join("target"));
        let target = std::path::absolute(&target).unwrap_or(target).join("plugins");
        Ok(Self { name: name.to_owned(), target })
    }

    fn artifact(&self, extension: &str) -> PathBuf {
        let stem = self.name.replace('-', "_");
        self.target.join(TARGET).join("release").join(format!("{stem}.{extension}"))
    }

    fn module(&self) -> PathBuf {
        self.artifact("wasm")
    }

    /// The list of every source file the module was made of, which cargo leaves beside it.
    fn dep_info(&self) -> PathBuf {
        self.artifact("d")
    }
}

/// The outermost folder above a crate that has a lock file: the root of its workspace.
fn workspace(folder: &Path) -> PathBuf {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let root = folder.ancestors().filter(|folder| folder.join("Cargo.lock").is_file()).last();
    root.unwrap_or(&folder).to_owned()
}

fn is_fresh(component: &Path, dep_info: &Path, folder: &Path) -> bool {
    let Some(made) = modified(component) else { return false };
    let Some(sources) = sources(dep_info, folder) else { return false };
    sources.iter().all(|path| modified(path).is_some_and(|at| at <= made))
}

/// When a crate's newest source was changed: those that its last build was made of, and those in its
/// `src` and `tests`.
pub fn last_change(folder: &Path) -> Option<SystemTime> {
    let krate = Crate::read(folder).ok()?;
    let mut sources = sources(&krate.dep_info(), folder).unwrap_or_default();
    for below in ["src", "tests"] {
        add_files(&folder.join(below), &mut sources);
    }
    sources.iter().filter_map(|path| modified(path)).max()
}

fn add_files(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        match path.is_dir() {
            true => add_files(&path, files),
            false => files.push(path),
        }
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|meta| meta.modified()).ok()
}

/// Every file that the last build was made of.
fn sources(dep_info: &Path, folder: &Path) -> Option<Vec<PathBuf>> {
    let text = fs::read_to_string(dep_info).ok()?;
    // `artifact: source source …`, with spaces in names escaped.
    let sources = text.split_once(": ").map_or("", |(_, sources)| sources).replace("\\ ", "\0");
    let sources = sources.split_whitespace().map(|source| source.replace('\0', " ").into());
    let manifests = [folder.join("Cargo.toml"), workspace(folder).join("Cargo.lock")];
    Some(sources.chain(manifests).collect())
}

/// Finds a toolchain, and installs one if it must.
fn toolchain() -> Result<Toolchain, BuildError> {
    if has_target() {
        return Ok(Toolchain::Installed);
    }
    if has_debian() {
        return Ok(Toolchain::Debian);
    }
    tracing::info!(
        wasm_target = TARGET,
        "no Rust toolchain here can build plugins: installing one"
    );
    if run("rustup", ["target", "add", TARGET]) && has_target() {
        return Ok(Toolchain::Installed);
    }
    let install = ["install", "-y", "--no-install-recommends"].into_iter().chain(DEBIAN_PACKAGES);
    let root = output("id", ["-u"]).is_some_and(|output| output.stdout == b"0\n");
    if root && run("apt-get", ["update", "-q"]) && run("apt-get", install.clone()) && has_debian() {
        return Ok(Toolchain::Debian);
    }
    let debian = output("apt-get", ["--version"]).is_some();
    let advice = match debian && output("rustup", ["--version"]).is_none() {
        true => format!("sudo apt-get {}", install.collect::<Vec<_>>().join(" ")),
        false => format!("rustup target add {TARGET}"),
    };
    Err(BuildError::NoToolchain { advice })
}

fn has_target() -> bool {
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

fn run<A: AsRef<OsStr>>(program: &str, arguments: impl IntoIterator<Item = A>) -> bool {
    let mut command = Command::new(program);
    // Standard output is for data: what these say goes to standard error.
    command.args(arguments).stdin(Stdio::null()).stdout(std::io::stderr());
    command.status().is_ok_and(|status| status.success())
}

fn output<A: AsRef<OsStr>>(
    program: &str,
    arguments: impl IntoIterator<Item = A>,
) -> Option<Output> {
    Command::new(program).args(arguments).stdin(Stdio::null()).output().ok()
}
