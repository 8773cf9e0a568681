//! Compiling, in a process of its own: what it takes of time and memory is the component's to say, and that
//! may be anybody's. Where the process takes more than it may, it ends, and nobody else does.
//!
//! Compiled code is handed over in the cache folder. What was compiled within its bounds once may be compiled
//! by whoever wants it, at the same cost at most, should the cache have lost it: files under [`AFFORDED`] say
//! so. They go before compiled code does that takes too much room.

mod functions;

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use wasmtime::OutOfMemory;
use wasmtime::component::Component;

use functions::Functions;

use super::settings;
use clickmill_config::ComponentLimits;
use clickmill_core::{Digest, Fault, causes, lock, private};

/// The folder under the cache's where a file for each component says that it was compiled within its bounds.
/// Its depth and its files' names are those of compiled code, so that the cache clears both of what is old.
const AFFORDED: &str = "afforded";

/// A component of so many bytes takes seconds to compile: its functions are kept, and whoever waits is told for what.
pub(super) const LARGE_BYTES: usize = 1 << 20;

/// Threads that compile one component, at most: more of them take more memory, and the pipeline's cores.
const MAX_THREADS: usize = 4;

/// How much the process that compiles gives way: it gets a third of what a worker of the pipeline gets.
const NICENESS: i32 = 5;

/// Of the memory that compiling may take, the part that the machine code may have: whoever runs it reads,
/// unpacks and maps it.
const CODE_PART: u64 = 4;

/// What the process says of its end, at most.
const MAX_SAID_BYTES: u64 = 8 << 10;

/// Exit codes of the process.
const REFUSED: i32 = 1;
const NO_MEMORY: i32 = 4;
const NO_BOUNDS: i32 = 5;
/// Rust's own, of a panic.
const PANICKED: i32 = 101;

/// Signals by which a compiler ends that breaks on what it is given: it runs out of stack, say.
const BREAKS: [Signal; 4] = [Signal::ABORT, Signal::BUS, Signal::ILL, Signal::SEGV];

/// Why a component is not compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// It is no component, or none that can be compiled.
    #[error("{0}")]
    Refused(String),
    /// It takes too long.
    #[error(
        "compiling it takes more than {secs} s of processor time\nhint: where it is to be had all the same, raise `swap.max_compile_secs` of the pipeline file, or `--max-compile-secs`"
    )]
    Time {
        /// The time it had.
        secs: u64,
    },
    /// It takes too much memory.
    #[error(
        "compiling it takes more than {bytes} bytes of memory\nhint: where it is to be had all the same, raise `swap.max_compile_bytes` of the pipeline file, or `--max-compile-bytes`"
    )]
    Memory {
        /// The memory it had.
        bytes: u64,
    },
    /// The compiler breaks on it: its process ended in a panic, or by a fault of memory.
    #[error("the compiler breaks on it ({status}): {said}")]
    Broke {
        /// How its process ended.
        status: ExitStatus,
        /// What it said.
        said: String,
    },
    /// Its process ended by something else.
    #[error("the process that compiles it ended ({status}): {said}")]
    Ended {
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        said: String,
    },
    /// Its process can't be started, or not be bounded.
    #[error("cannot start the process that compiles it")]
    Start(#[source] io::Error),
    /// Nobody wants it any more.
    #[error("it is not compiled: the pipeline ends")]
    Stopped,
}

impl CompileError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Refused(_) | Self::Time { .. } | Self::Memory { .. } | Self::Broke { .. } => {
                Fault::Input
            }
            Self::Ended { .. } | Self::Start(_) | Self::Stopped => Fault::Environment,
        }
    }

    /// The exit code of the process that compiles, by which the error is known to whoever started it.
    pub fn exit_code(&self) -> u8 {
        let code = match self {
            Self::Memory { .. } => NO_MEMORY,
            Self::Start(_) => NO_BOUNDS,
            Self::Refused(_)
            | Self::Time { .. }
            | Self::Broke { .. }
            | Self::Ended { .. }
            | Self::Stopped => REFUSED,
        };
        code as u8
    }
}

/// The executable of which a process is started for each component that is to be compiled.
#[derive(Debug, Clone)]
pub struct Compiler {
    executable: PathBuf,
    arguments: Vec<OsString>,
}

impl Compiler {
    /// An executable that does what [`compile`] does: it is given these arguments and three more, the cache
    /// folder, seconds and bytes, and the component on standard input. It ends with 0, or says on standard
    /// error why not, and ends with [`CompileError::exit_code`].
    pub fn new(
        executable: impl Into<PathBuf>,
        arguments: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Self {
        let arguments = arguments.into_iter().map(Into::into).collect();
        Self { executable: executable.into(), arguments }
    }

    fn command(&self, cache: &Path, limits: ComponentLimits) -> Command {
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
        let mut command = Command::new(&self.executable);
        command
            .arg0("clickmill")
            .args(&self.arguments)
            .arg(cache)
            .arg(limits.max_compile_secs.to_string())
            .arg(limits.max_compile_bytes.to_string())
            // Secrets are none of its business.
            .env_clear()
            .envs(std::env::var_os("LD_LIBRARY_PATH").map(|path| ("LD_LIBRARY_PATH", path)))
            .env("RAYON_NUM_THREADS", threads.to_string())
            // What the allocator only reserves would be counted as used.
            .env("MIMALLOC_ARENA_EAGER_COMMIT", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }
}

/// The processes that compile at the moment.
#[derive(Debug, Default)]
pub(super) struct Processes(Mutex<Running>);

#[derive(Debug, Default)]
struct Running {
    /// No more are started.
    stopped: bool,
    children: HashMap<u32, Child>,
}

impl Processes {
    /// Compiles into the cache folder, within the limits.
    pub(super) fn compile(
        &self,
        compiler: &Compiler,
        cache: &Path,
        limits: ComponentLimits,
        bytes: &[u8],
    ) -> Result<(), CompileError> {
        let (status, said) = self.run(compiler.command(cache, limits), bytes)?;
        let memory = CompileError::Memory { bytes: limits.max_compile_bytes };
        match (status.code(), status.signal()) {
            (Some(0), _) => Ok(()),
            (Some(REFUSED), _) => Err(CompileError::Refused(said)),
            (Some(NO_MEMORY), _) => Err(memory),
            (Some(NO_BOUNDS), _) => Err(CompileError::Start(io::Error::other(said))),
            (_, Some(signal)) if signal == Signal::XCPU.as_raw() => {
                Err(CompileError::Time { secs: limits.max_compile_secs })
            }
            // The standard library's words for an allocation that fails, which is an abortion.
            (_, Some(signal))
                if signal == Signal::ABORT.as_raw() && said.contains("memory allocation of") =>
            {
                Err(memory)
            }
            _ if lock(&self.0).stopped => Err(CompileError::Stopped),
            (Some(PANICKED), _) => Err(CompileError::Broke { status, said }),
            (_, Some(signal)) if BREAKS.map(Signal::as_raw).contains(&signal) => {
                Err(CompileError::Broke { status, said })
            }
            _ => Err(CompileError::Ended { status, said }),
        }
    }

    /// Ends those that run, and starts no more.
    pub(super) fn stop(&self) {
        let mut running = lock(&self.0);
        running.stopped = true;
        for child in running.children.values_mut() {
            // It may have ended by itself.
            let _ = child.kill();
        }
    }

    /// Runs a process to its end, with these bytes on its standard input.
    fn run(
        &self,
        mut command: Command,
        bytes: &[u8],
    ) -> Result<(ExitStatus, String), CompileError> {
        let (id, input, output) = {
            let mut running = lock(&self.0);
            if running.stopped {
                return Err(CompileError::Stopped);
            }
            let mut child = command.spawn().map_err(CompileError::Start)?;
            let (id, pipes) = (child.id(), (child.stdin.take(), child.stderr.take()));
            running.children.insert(id, child);
            (id, pipes.0, pipes.1)
        };
        if let Some(mut input) = input {
            // Where it has ended, it says why.
            let _ = input.write_all(bytes);
        }
        let mut said = Vec::new();
        if let Some(output) = output {
            let _ = output.take(MAX_SAID_BYTES).read_to_end(&mut said);
        }
        let child = lock(&self.0).children.remove(&id);
        let mut child = child.ok_or(CompileError::Stopped)?;
        if said.len() as u64 == MAX_SAID_BYTES {
            // It has more to say than is heard.
            let _ = child.kill();
        }
        let status = child.wait().map_err(CompileError::Start)?;
        Ok((status, String::from_utf8_lossy(&said).trim().to_owned()))
    }
}

/// Which components were compiled within their bounds.
#[derive(Debug, Clone)]
pub(super) struct WithinBounds {
    folder: PathBuf,
}

impl WithinBounds {
    /// Those of a compiler with settings of this number: another one may take longer.
    pub(super) fn of(cache: &Path, settings: &str) -> Self {
        Self { folder: cache.join(AFFORDED).join(settings) }
    }

    /// Whether a component of this digest is among them.
    pub(super) fn has(&self, digest: &Digest) -> bool {
        self.folder.join(digest.as_str()).is_file()
    }

    /// Forgets all of them: what is in the cache no more is compiled by a process again, and what is there
    /// costs one a look.
    pub(super) fn forget(&self) -> io::Result<()> {
        // Those of other settings too, whose code goes as well.
        let all = self.folder.parent().unwrap_or(&self.folder);
        match std::fs::remove_dir_all(all) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Adds the component of this digest.
    pub(super) fn add(&self, digest: &Digest) {
        let file = self.folder.join(digest.as_str());
        let made = private::create_dir_all(&self.folder);
        let made = made.and_then(|()| private::options().write(true).create(true).open(file));
        if let Err(error) = made {
            // It is compiled by a process once more.
            tracing::debug!(%error, "it is not remembered that a component is compiled");
        }
    }
}

/// Compiles a component into a cache folder, and bounds the process that this is called in, which is to end
/// after it: seconds of its processor time, and bytes of its memory. On Linux it ends with the thread that
/// started it.
///
/// # Errors
///
/// Where it is no component, where a bound can't be set, and where memory runs out in a way that can be told;
/// in another way, and when time runs out, the process is ended by a signal.
pub fn compile(
    cache: &Path,
    secs: u64,
    memory_bytes: u64,
    mut component: impl Read,
) -> Result<(), CompileError> {
    bound(secs, memory_bytes).map_err(|error| CompileError::Start(error.into()))?;
    let mut bytes = Vec::new();
    component.read_to_end(&mut bytes).map_err(CompileError::Start)?;
    // Nothing is run, so no memory is set aside for that.
    let functions = (bytes.len() >= LARGE_BYTES).then(|| Arc::new(Functions::open(cache)));
    let engine = settings::config(cache).and_then(|mut config| {
        if let Some(functions) = &functions {
            config.enable_incremental_compilation(functions.clone())?;
        }
        wasmtime::Engine::new(&config)
    });
    let engine = engine.map_err(|error| CompileError::Start(io::Error::other(error)))?;
    let component = Component::from_binary(&engine, &bytes).map_err(|error| {
        let cause = error.root_cause();
        if cause.downcast_ref::<Errno>() == Some(&Errno::NOMEM) || cause.is::<OutOfMemory>() {
            return CompileError::Memory { bytes: memory_bytes };
        }
        let error: Box<dyn std::error::Error + Send + Sync> = error.into();
        CompileError::Refused(causes(&*error))
    })?;
    let code = component.image_range();
    let (code, limit) = ((code.end.addr() - code.start.addr()) as u64, memory_bytes / CODE_PART);
    if code > limit {
        let error = format!(
            "it is {code} bytes of machine code, wanted at most {limit}, a part of `max_compile_bytes`"
        );
        return Err(CompileError::Refused(error));
    }
    if let Some(functions) = functions {
        // Where they can't be kept the next one takes longer.
        let _ = functions.save();
    }
    Ok(())
}

fn bound(secs: u64, memory_bytes: u64) -> rustix::io::Result<()> {
    let lower = |resource, most: u64| {
        let before = getrlimit(resource);
        let current = Some(before.current.map_or(most, |current| current.min(most)));
        setrlimit(resource, Rlimit { current, ..before })
    };
    lower(Resource::Cpu, secs)?;
    // Of data, not of addresses: more of those are reserved than used.
    lower(Resource::Data, memory_bytes)?;
    // How it ends is no riddle.
    lower(Resource::Core, 0)?;
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // What runs already goes first. That it can't be had so is no reason not to compile.
    let _ = rustix::process::nice(NICENESS);
    Ok(())
}

#[cfg(test)]
mod tests;
