//! A process of the executable under test.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::support::Scratch;

/// How long a process may take to start on a busy machine, a compiler beside it.
const START: Duration = Duration::from_secs(90);
/// How long it may take to end once it was told to.
const END: Duration = Duration::from_secs(60);

/// A process. It does not outlive the part, stopped or not.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts one; what it says goes to a file of its own.
    pub(crate) fn start(scratch: &Scratch, mut command: Command) -> Self {
        let log = scratch.path(&format!("log-{:016x}", rand::random::<u64>()));
        let file = File::create(&log).unwrap();
        let child = command.stdout(Stdio::null()).stderr(file).spawn().unwrap();
        Self { child, log }
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub(crate) fn signal(&self, name: &str) {
        let mut kill = Command::new("kill");
        kill.args([name, &self.child.id().to_string()]).stderr(Stdio::null());
        // The process may have ended by itself.
        let _ = kill.status().unwrap();
    }

    pub(crate) fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Where its admin interface is. `None` where it ended before that, or took too long.
    pub(crate) fn admin(&mut self) -> Option<String> {
        let began = Instant::now();
        loop {
            let running = self.is_running();
            let talk = self.talk();
            let mut lines = talk.lines();
            let address = lines.find_map(|line| line.strip_prefix("admin interface: "));
            match address {
                Some(address) => return Some(address.to_owned()),
                None if !running || began.elapsed() > START => return None,
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// Waits for its end. `None` where it does not come: it is killed then.
    pub(crate) fn end(&mut self) -> Option<ExitStatus> {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status);
            }
            if began.elapsed() > END {
                self.kill();
                return None;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// What it has said so far.
    pub(crate) fn talk(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Why it ended, as it says.
    pub(crate) fn last_words(&self) -> String {
        let talk = self.talk();
        let lines = talk.lines().filter(|line| line.contains("error") || line.contains("caused"));
        let mut last: Vec<&str> = lines.rev().take(4).collect();
        last.reverse();
        last.join(" | ")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
