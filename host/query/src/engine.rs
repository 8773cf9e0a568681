//! The SQL engine's process: started when it is first asked, started anew where it has ended.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, BufReader};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use arrow::error::ArrowError;
use clickmill_core::private::UMASK_VARIABLE;
use clickmill_core::{Fault, is_build_setting, lock};
use tokio::sync::oneshot;

use super::executable::{self, ExecutableError};
use super::memory::{self, MEMORY_VARIABLE};
use super::wire::{self, Hello, Reply, Request};

/// Why the engine can't be asked.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// There is none.
    #[error(transparent)]
    Executable(#[from] ExecutableError),
    /// It does not start.
    #[error("cannot start the SQL engine `{path}`", path = path.display())]
    Start {
        /// The executable.
        path: std::path::PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is another clickmill's.
    #[error(
        "the SQL engine `{path}` speaks version {version}, wanted {wanted}\nhint: install both executables from one version of clickmill", path = path.display(), wanted = wire::VERSION
    )]
    OtherVersion {
        /// The executable.
        path: std::path::PathBuf,
        /// The version that it speaks.
        version: u32,
    },
    /// It ended on a question.
    #[error("the SQL engine ended on this question ({how}); it starts anew with the next one")]
    Ended {
        /// What is known of its end.
        how: String,
    },
    /// It takes too long.
    #[error("the SQL engine has no answer within {seconds} s and is stopped")]
    TooLong {
        /// The time it had.
        seconds: u64,
    },
    /// It can't be written to.
    #[error("cannot ask the SQL engine")]
    Ask(#[source] io::Error),
    /// Rows can't be put into Arrow's form, or read.
    #[error("cannot exchange rows with the SQL engine")]
    Rows(#[from] ArrowError),
}

impl EngineError {
    /// Whose fault it is: an engine that is missing or ends is the machine's.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Executable(error) => error.fault(),
            Self::Start { .. }
            | Self::OtherVersion { .. }
            | Self::Ended { .. }
            | Self::TooLong { .. }
            | Self::Ask(_)
            | Self::Rows(_) => Fault::Environment,
        }
    }

    /// Whether the same question may have an answer later: whatever ended the engine may have been
    /// another question.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Ended { .. })
    }
}

type Answered = (Reply, Vec<u8>);
/// Takes an answer to whoever waits for it. Dropped uncalled, it says that there is none.
type Waiter = Box<dyn FnOnce(Answered) + Send>;

/// The engine. Its process lives as long as this does, or until something ends it.
#[derive(Default, Clone)]
pub struct Engine(Arc<Inner>);

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Inner {
    process: Mutex<Option<Arc<Process>>>,
    /// The most memory that it may have, in MiB; as it says itself where absent.
    memory_mb: Option<u64>,
    numbers: AtomicU64,
}

struct Process {
    child: Mutex<Child>,
    input: Mutex<ChildStdin>,
    /// Who waits for the answer of which number; `None` once there is no more answer.
    waiting: Mutex<Option<HashMap<u64, Waiter>>>,
    how: OnceLock<String>,
}

/// A question on its way. Dropped, it is taken back.
struct PendingQuestion {
    number: u64,
    process: Arc<Process>,
}

impl Engine {
    /// The engine that this process asks about its tables: one for all, since it remembers what it has
    /// read of their files.
    pub fn shared() -> Self {
        static SHARED: OnceLock<Engine> = OnceLock::new();
        SHARED.get_or_init(Self::default).clone()
    }

    /// An engine of its own, whose process may have so much memory, or what `CLICKMILL_SQL_MEMORY_MB` says
    /// where that is less.
    pub fn of_memory(megabytes: u64) -> Self {
        let (process, numbers) = (Mutex::default(), AtomicU64::default());
        Self(Arc::new(Inner { process, memory_mb: Some(megabytes), numbers }))
    }

    /// Asks, and waits for the answer.
    pub(super) async fn ask(
        &self,
        request: &Request,
        body: Vec<u8>,
    ) -> Result<Answered, EngineError> {
        let this = self.clone();
        let header =
            serde_json::to_value(request).map_err(|error| EngineError::Ask(error.into()))?;
        let (sender, answer) = oneshot::channel();
        // Whoever does not wait any more has taken the question back.
        let waiter: Waiter = Box::new(|answered| drop(sender.send(answered)));
        // The engine may have to be built first, and a full pipe blocks.
        let asked = tokio::task::spawn_blocking(move || this.send(&header, &body, waiter)).await;
        let asked = asked.map_err(|error| EngineError::Ask(io::Error::other(error)))??;
        answer.await.map_err(|_| asked.process.ended())
    }

    /// Asks and waits, on a thread that may block. An engine that takes longer than `patience` is
    /// stopped: a computation of its own it does not interrupt.
    pub(super) fn ask_blocking(
        &self,
        request: &Request,
        body: &[u8],
        patience: Duration,
    ) -> Result<Answered, EngineError> {
        let (sender, answer) = sync_channel(1);
        let asked = self.send(request, body, Box::new(move |a| drop(sender.send(a))))?;
        answer.recv_timeout(patience).map_err(|error| match error {
            RecvTimeoutError::Disconnected => asked.process.ended(),
            RecvTimeoutError::Timeout => {
                self.stop();
                EngineError::TooLong { seconds: patience.as_secs() }
            }
        })
    }

    /// Ends the process, and with it all that it is asked; the next question starts another.
    pub fn stop(&self) {
        if let Some(process) = lock(&self.0.process).take() {
            process.kill();
        }
    }

    fn send(
        &self,
        header: &impl serde::Serialize,
        body: &[u8],
        waiter: Waiter,
    ) -> Result<PendingQuestion, EngineError> {
        let process = self.process()?;
        let number = 1 + self.0.numbers.fetch_add(1, Ordering::Relaxed);
        match &mut *lock(&process.waiting) {
            Some(waiting) => drop(waiting.insert(number, waiter)),
            None => return Err(process.ended()),
        }
        let asked = PendingQuestion { number, process };
        let written = wire::write(&mut *lock(&asked.process.input), number, header, body);
        match written {
            Ok(()) => Ok(asked),
            // It has ended meanwhile: whoever reads from it finds out how.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(asked),
            Err(error) => Err(EngineError::Ask(error)),
        }
    }

    /// The process, started if need be.
    fn process(&self) -> Result<Arc<Process>, EngineError> {
        let mut process = lock(&self.0.process);
        if let Some(running) = &*process
            && lock(&running.waiting).is_some()
        {
            return Ok(running.clone());
        }
        let started = Process::start(self.0.memory_mb)?;
        *process = Some(started.clone());
        Ok(started)
    }
}

/// How long an engine that was started has to say that it is there.
const GREETING: Duration = Duration::from_secs(30);

/// Whether the engine is given the variable of this name: its own settings, and where things are. Tables may
/// be in Cloud Storage, which is reached with credentials.
fn is_of_engine(name: &str) -> bool {
    const NAMES: [&str; 4] =
        [MEMORY_VARIABLE, UMASK_VARIABLE, "METADATA_HOST", "STORAGE_EMULATOR_HOST"];
    is_build_setting(name)
        || NAMES.contains(&name)
        || name.starts_with("GCE_METADATA_")
        || name.starts_with("GOOGLE_")
}

impl Process {
    fn start(memory_mb: Option<u64>) -> Result<Arc<Self>, EngineError> {
        let path = executable::prepare()?;
        let failed = |source| EngineError::Start { path: path.clone(), source };
        let passed = std::env::vars_os();
        let passed = passed.filter(|(name, _)| name.to_str().is_some_and(is_of_engine));
        let memory = memory_mb.map(|most| {
            let named = memory::memory_mb().ok().flatten();
            (MEMORY_VARIABLE, named.map_or(most, |named| named.min(most)).to_string())
        });
        let mut child = Command::new(&path)
            // Statements are of many authors: secrets are none of its business.
            .env_clear()
            // What its allocator reserves is not to count, or a bound below 1.2 GiB lets nothing start.
            .env("MIMALLOC_ARENA_EAGER_COMMIT", "0")
            .envs(passed)
            .envs(memory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C is for whoever asks: the engine ends with its standard input.
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let pipes = (child.stdin.take(), child.stdout.take());
        let (Some(input), Some(output)) = pipes else {
            return Err(failed(io::Error::other("it has no pipes")));
        };
        let (greeted, greeting) = sync_channel(1);
        let greet = move || {
            let mut output = BufReader::new(output);
            let hello = wire::read::<Hello>(&mut output);
            // Whoever has stopped to wait does not want to know.
            let _ = greeted.send(hello.map(|hello| (hello, output)));
        };
        std::thread::Builder::new().spawn(greet).map_err(failed)?;
        // One that finds no room for its threads may end in neither a greeting nor an exit.
        let Ok(hello) = greeting.recv_timeout(GREETING) else {
            let _ = child.kill();
            let _ = child.wait();
            let what = format!("it has said nothing for {} s", GREETING.as_secs());
            return Err(failed(io::Error::other(what)));
        };
        let (hello, output) = hello.map_err(failed)?;
        match hello {
            Some((_, Hello { version: wire::VERSION }, _)) => {}
            Some((_, Hello { version }, _)) => {
                return Err(EngineError::OtherVersion { path, version });
            }
            None => {
                let how = child.wait().map_or_else(|error| error.to_string(), how);
                return Err(failed(io::Error::other(format!("it ended at once ({how})"))));
            }
        }
        let process = Arc::new(Self {
            child: Mutex::new(child),
            input: Mutex::new(input),
            waiting: Mutex::new(Some(HashMap::new())),
            how: OnceLock::new(),
        });
        let reading = process.clone();
        std::thread::Builder::new().spawn(move || reading.read(output)).map_err(failed)?;
        Ok(process)
    }

    /// Hands answers to those who wait, until the engine ends.
    fn read(&self, mut output: BufReader<ChildStdout>) {
        while let Ok(Some((number, reply, body))) = wire::read::<Reply>(&mut output) {
            let waiting = lock(&self.waiting).as_mut().and_then(|all| all.remove(&number));
            if let Some(waiting) = waiting {
                waiting((reply, body));
            }
        }
        // What can't be read is no more use than what has ended.
        self.kill();
        let status = lock(&self.child).wait();
        let _ = self.how.set(status.map_or_else(|error| error.to_string(), how));
        lock(&self.waiting).take();
    }

    fn kill(&self) {
        // It may have ended by itself.
        let _ = lock(&self.child).kill();
    }

    fn ended(&self) -> EngineError {
        let how = self.how.get().map_or("it was stopped", String::as_str);
        EngineError::Ended { how: how.to_owned() }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(process) = lock(&self.process).take() {
            process.kill();
        }
    }
}

impl Drop for PendingQuestion {
    fn drop(&mut self) {
        let known = lock(&self.process.waiting).as_mut().and_then(|all| all.remove(&self.number));
        if known.is_some() {
            let mut input = lock(&self.process.input);
            let _ = wire::write(&mut *input, self.number, &Request::Cancel, &[]);
        }
    }
}

/// How a process has ended.
fn how(status: ExitStatus) -> String {
    match status.signal() {
        // An allocation beyond its limit, or a stack's end, aborts it; the kernel kills what takes too much of
        // the machine.
        Some(6 | 9) => {
            format!("{status}: it asked for more memory than it may have, or is nested too deeply")
        }
        _ => status.to_string(),
    }
}
