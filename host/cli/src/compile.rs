//! `clickmill compile`: a process that compiles one component and ends. `clickmill` starts it for itself, so
//! that what compiling takes of time and memory has a bound. And the limits that verbs without a pipeline
//! file are given.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::{Failure, place};
use clickmill_core::causes;
use clickmill_sandbox::{Compiler, ComponentLimits, Engine};

/// Compiles the component on standard input into a cache folder, and says on standard error why not
#[derive(Debug, Args)]
pub(super) struct Compile {
    /// The cache folder
    cache: PathBuf,

    /// Processor time that it may take, in seconds
    secs: u64,

    /// Memory that it may take, in bytes
    memory_bytes: u64,
}

impl Compile {
    pub(crate) fn run(self) -> ExitCode {
        let component = std::io::stdin().lock();
        match clickmill_sandbox::compile(&self.cache, self.secs, self.memory_bytes, component) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{}", causes(&error));
                error.exit_code().into()
            }
        }
    }
}

/// What a component may have and take
#[derive(Debug, Args)]
pub(super) struct Limits {
    /// The largest component that is read
    #[arg(long, value_name = "N", default_value_t = ComponentLimits::default().max_bytes)]
    max_component_bytes: usize,

    /// Processor time that compiling it may take
    #[arg(long, value_name = "N", default_value_t = ComponentLimits::default().max_compile_secs)]
    max_compile_secs: u64,

    /// Memory that compiling it may take
    #[arg(long, value_name = "N", default_value_t = ComponentLimits::default().max_compile_bytes)]
    max_compile_bytes: u64,
}

impl Limits {
    /// The largest component that is read.
    pub(super) fn max_bytes(&self) -> usize {
        self.max_component_bytes
    }

    /// An engine that keeps to them.
    pub(super) fn engine(&self) -> Result<Engine, Failure> {
        let limits = ComponentLimits {
            max_bytes: self.max_component_bytes,
            max_compile_secs: self.max_compile_secs,
            max_compile_bytes: self.max_compile_bytes,
        };
        Ok(place::engine()?.limiting(limits).compiling_by(compiler()))
    }
}

/// Compiles by processes of this executable.
pub(super) fn compiler() -> Compiler {
    // What runs, though another file lies there by now: after an upgrade, a build.
    let this = Path::new("/proc/self/exe");
    let executable = if this.exists() {
        this.to_owned()
    } else {
        std::env::current_exe().unwrap_or_else(|_| "clickmill".into())
    };
    Compiler::new(executable, ["compile"])
}
