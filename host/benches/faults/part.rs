//! A part of the campaign: faults of one kind, and what was counted afterwards.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::emulators::python;
use crate::support::{Scratch, root};

/// What a part came to: a line of the results.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Part {
    pub kind: String,
    /// How many faults there were.
    pub times: u64,
    #[serde(flatten)]
    pub counted: Counted,
    /// Processes that did not end although they were told to, and what never came.
    pub stuck: u64,
    /// What else one noticed.
    pub notes: Vec<String>,
    /// Why the part was given up.
    pub failure: Option<String>,
    pub seconds: f64,
}

/// What `count.py` answers, which says what each number is.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(crate) struct Counted {
    pub published: u64,
    pub rows: u64,
    pub letters: u64,
    pub lost: u64,
    pub doubled_raw: u64,
    pub doubled_letters: u64,
    pub doubled_view: u64,
    pub hidden: u64,
    pub unknown: u64,
    pub both: u64,
}

impl Part {
    /// Whether every record was there once, and nothing hung.
    pub(crate) fn is_good(&self) -> bool {
        let Counted { lost, doubled_view, hidden, unknown, .. } = self.counted;
        lost + doubled_view + hidden + unknown + self.stuck == 0 && self.failure.is_none()
    }
}

/// Counts what is there, by a program that knows nothing of the host.
pub(crate) fn count(job: &Json) -> Counted {
    let script = root().join("host/benches/faults/count.py");
    let mut command = Command::new(python());
    command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(job.to_string().as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "count.py: {errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The lines of the results so far.
pub(crate) fn results(path: &Path) -> Vec<Part> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let part = |line: &str| match serde_json::from_str(line) {
        Ok(part) => part,
        Err(error) => panic!("`{}` holds no results, move it away: {error}", path.display()),
    };
    text.lines().map(part).collect()
}

/// Appends a line to the results.
pub(crate) fn append(path: &Path, part: &Part) {
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
    let mut line = serde_json::to_string(part).unwrap();
    line.push('\n');
    file.write_all(line.as_bytes()).unwrap();
}

/// Leaves a scratch folder for whoever wants to know what happened, and says where it is.
pub(crate) fn keep(scratch: &mut Scratch) -> String {
    scratch.folder.disable_cleanup(true);
    format!("tables and logs are kept in {}", scratch.folder.path().display())
}
