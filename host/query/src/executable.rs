//! Where the SQL engine's executable is, and how it is made where there is none yet.
//!
//! It lies beside `clickmill`, or on the path. In a clone of the project it is built when it is first
//! wanted, and again when its sources have changed.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;
use std::time::SystemTime;

use clickmill_core::{Fault, build_tool, lock};

/// The executable's name.
const NAME: &str = "clickmill-sql";
/// The environment variable that names it where it lies elsewhere.
const VARIABLE: &str = "CLICKMILL_SQL";

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum ExecutableError {
    /// It is nowhere.
    #[error(
        "there is no `{NAME}`, the SQL engine, beside `clickmill` or on the path\nhint: install it as `clickmill` was, with `cargo install --locked --path host/sql` from a clone of the project, or say where it is by {VARIABLE}"
    )]
    Missing,
    /// It is being built.
    #[error(
        "the SQL engine is being built, which takes some minutes the first time; ask again then"
    )]
    BeingBuilt,
    /// It can't be built.
    #[error(
        "cannot build `{NAME}`, the SQL engine: {why}\nhint: cargo says more where it was run; try `cargo build --release --bin {NAME}` in the clone"
    )]
    Build {
        /// How cargo ended, or why it did not start.
        why: String,
    },
}

impl ExecutableError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Missing | Self::BeingBuilt | Self::Build { .. } => Fault::Environment,
        }
    }
}

/// Where the executable is. In a clone of the project it is built first, if need be, which takes
/// minutes once; cargo tells on standard error how that goes.
pub fn prepare() -> Result<PathBuf, ExecutableError> {
    let Some(build) = Build::here() else {
        return installed().ok_or(ExecutableError::Missing);
    };
    if !build.is_fresh() {
        build.run(&[]).map_err(|why| ExecutableError::Build { why })?;
    }
    Ok(build.executable)
}

/// What there is of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// It can be asked.
    Ready,
    /// It is being built in the background; ask again later.
    BeingBuilt,
    /// It could not be built.
    Failed {
        /// How cargo ended, or why it did not start.
        why: String,
    },
}

/// Whether the engine can be asked without waiting for cargo, for servers: nobody waits at a page for a
/// compiler, and what could not be built is not tried again for each question.
pub fn without_waiting() -> Result<(), ExecutableError> {
    match readiness() {
        Readiness::Ready => Ok(()),
        Readiness::BeingBuilt => Err(ExecutableError::BeingBuilt),
        Readiness::Failed { why } => Err(ExecutableError::Build { why }),
    }
}

/// Whether the engine can be asked without waiting for cargo. Where it is not built yet, this begins to
/// build it in the background, which cargo is quiet about; it is tried once.
pub fn readiness() -> Readiness {
    static KNOWN: Mutex<Option<Readiness>> = Mutex::new(None);
    let mut known = lock(&KNOWN);
    if let Some(known) = &*known {
        return known.clone();
    }
    let stale = Build::here().filter(|build| !build.is_fresh());
    let found = match stale {
        None => Readiness::Ready,
        Some(build) => {
            std::thread::spawn(move || {
                let built = match build.run(&["--quiet"]) {
                    Ok(()) => Readiness::Ready,
                    Err(why) => {
                        let error = ExecutableError::Build { why: why.clone() };
                        tracing::error!("{error}");
                        Readiness::Failed { why }
                    }
                };
                *lock(&KNOWN) = Some(built);
            });
            Readiness::BeingBuilt
        }
    };
    *known = Some(found.clone());
    found
}

fn installed() -> Option<PathBuf> {
    let named = std::env::var_os(VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join(NAME)));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join(NAME));
    named.into_iter().chain(beside).chain(on_path).find(|path| path.is_file())
}

/// A build in a clone of the project.
struct Build {
    root: PathBuf,
    executable: PathBuf,
}

impl Build {
    /// Where this executable was built by cargo in a clone that is still there, so is the engine's.
    fn here() -> Option<Self> {
        if std::env::var_os(VARIABLE).is_some_and(|value| !value.is_empty()) {
            return None;
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2)?.to_owned();
        let exe = std::env::current_exe().ok()?;
        let folder = exe.parent()?;
        // Tests and benches lie one folder deeper.
        let folder = if folder.ends_with("deps") { folder.parent()? } else { folder };
        let made_by_cargo = folder.join(".cargo-lock").is_file() || folder.join("deps").is_dir();
        let is_clone = root.join("host/sql/Cargo.toml").is_file();
        (made_by_cargo && is_clone).then(|| Self { executable: folder.join(NAME), root })
    }

    /// Whether it is there and newer than every file it was made of, which cargo lists beside it.
    fn is_fresh(&self) -> bool {
        let modified =
            |path: &Path| -> Option<SystemTime> { path.metadata().ok()?.modified().ok() };
        let Some(made) = modified(&self.executable) else { return false };
        let Ok(list) = std::fs::read_to_string(self.executable.with_extension("d")) else {
            return false;
        };
        // `executable: source source …`, with spaces in names escaped.
        let sources = list.split_once(": ").map_or("", |(_, list)| list).replace("\\ ", "\0");
        let sources: Vec<PathBuf> = sources
            .split_whitespace()
            .map(|source| PathBuf::from(source.replace('\0', " ")))
            .chain([self.root.join("Cargo.lock")])
            .collect();
        // Clones may share a target folder: one that is made of another's sources says nothing of these.
        let is_ours = sources.iter().any(|path| path.starts_with(self.root.join("host")));
        is_ours && sources.iter().all(|path| modified(path).is_some_and(|at| at <= made))
    }

    /// Builds it. The error says how cargo ended, or why it did not start.
    fn run(&self, more: &[&str]) -> Result<(), String> {
        let profile = self.executable.parent().and_then(Path::file_name).unwrap_or_default();
        let profile = match profile.to_string_lossy().as_ref() {
            "debug" => "dev".to_owned(),
            other => other.to_owned(),
        };
        let target = self.executable.ancestors().nth(2).unwrap_or(&self.root);
        tracing::info!("building the SQL engine, which takes minutes the first time");
        let built = build_tool(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            // All of the workspace is selected, so that crates have the features that they have
            // elsewhere and none is compiled again.
            .args(["build", "--locked", "--bin", NAME, "--profile", &profile, "--target-dir"])
            .arg(target)
            .args(more)
            .current_dir(&self.root)
            .stdin(Stdio::null())
            // Standard output is for data.
            .stdout(std::io::stderr())
            .status();
        match built {
            Ok(status) if status.success() => {}
            Ok(status) => return Err(format!("cargo ended with {status}")),
            Err(error) => return Err(format!("cargo does not start: {error}")),
        }
        // Cargo leaves a file as it is where nothing has changed but times.
        if let Ok(file) = std::fs::File::options().append(true).open(&self.executable) {
            let _ = file.set_modified(SystemTime::now());
        }
        Ok(())
    }
}
