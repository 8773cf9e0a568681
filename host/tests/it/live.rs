//! A pipeline that runs while the test changes its plugins.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use serde_json::Value as Json;

use crate::cloud::{signal, summary, wait_until};
use crate::support::{Interface, Process, Scratch, head, hostile_stage, plugins, root};

/// So that a stream has many batches soon, forty a second, and other tests have the processor.
pub(crate) const FAST: [&str; 4] = ["--set", "source.rate=4000", "--set", "batch.max_rows=100"];

/// A running pipeline. One that is not ended ends with the test.
pub(crate) struct Live {
    pub child: Process,
    /// Where its admin interface is.
    pub admin: String,
    /// How that is asked.
    pub at: Interface,
    talk: Arc<Mutex<String>>,
}

impl Live {
    /// Runs a pipeline, until its admin interface is there.
    #[track_caller]
    pub(crate) fn start(scratch: &Scratch, pipeline: &Path, arguments: &[&str]) -> Self {
        Self::start_with(scratch, pipeline, arguments, &[])
    }

    /// The same, with these variables in its environment.
    #[track_caller]
    pub(crate) fn start_with(
        scratch: &Scratch,
        pipeline: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let pipeline = pipeline.to_string_lossy().into_owned();
        let run = ["run", "--json", pipeline.as_str(), "--set", "admin.listen=127.0.0.1:0"];
        let mut command = scratch.command(&[&run[..], arguments].concat());
        command.envs(environment.iter().copied());
        let mut child = Process::spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
        let talk = Arc::new(Mutex::new(String::new()));
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let told = talk.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mut told = told.lock().unwrap();
                told.push_str(&line);
                told.push('\n');
            }
        });
        let mut admin = String::new();
        wait_until("the admin interface", || {
            let talk = talk.lock().unwrap().clone();
            assert!(child.try_wait().unwrap().is_none(), "it ended: {talk}");
            let address = talk.lines().find_map(|line| line.strip_prefix("admin interface: "));
            admin = address.unwrap_or_default().to_owned();
            !admin.is_empty()
        });
        let at = Interface::of(child.id(), &admin);
        Self { child, admin, at, talk }
    }

    /// What it has said so far.
    pub(crate) fn talk(&self) -> String {
        self.talk.lock().unwrap().clone()
    }

    /// Asks for a swap. The error is what the command line says.
    pub(crate) fn swap(&self, scratch: &Scratch, arguments: &[&str]) -> Result<Json, String> {
        let swap = ["plugin", "swap", "--json", "--admin", &self.admin];
        let output = scratch.run(&[&swap[..], arguments].concat());
        match output.status.code() {
            Some(0) => Ok(serde_json::from_slice(&output.stdout).unwrap()),
            Some(2) => Err(String::from_utf8(output.stderr).unwrap()),
            other => panic!("{other:?}: {}", String::from_utf8_lossy(&output.stderr)),
        }
    }

    /// The versions so far.
    pub(crate) fn history(&self) -> Vec<Json> {
        serde_json::from_value(self.at.json("/v1/plugins/history").1).unwrap()
    }

    /// Waits until the version of a number has seen so many rows.
    #[track_caller]
    pub(crate) fn wait_for_rows(&self, number: u64, rows: u64) {
        wait_until("rows of a version", || {
            let history = self.history();
            let version = history.iter().find(|version| version["number"] == number);
            version.is_some_and(|version| version["rows"].as_u64() >= Some(rows))
        });
    }

    /// Waits until all versions together have seen more than so many rows.
    #[track_caller]
    pub(crate) fn wait_for_more_rows_than(&self, rows: u64) {
        wait_until("rows of all versions", || {
            let each = self.history().into_iter().filter_map(|version| version["rows"].as_u64());
            each.sum::<u64>() > rows
        });
    }

    /// Ends it, and returns its summary.
    #[track_caller]
    pub(crate) fn end(mut self) -> Json {
        signal(&self.child, "-INT");
        let mut stdout = Vec::new();
        std::io::Read::read_to_end(&mut self.child.stdout.take().unwrap(), &mut stdout).unwrap();
        let status = self.child.wait().unwrap();
        let stderr = self.talk().into_bytes();
        summary(&std::process::Output { status, stdout, stderr })
    }
}

/// A stream of made-up clicks into the warehouse, as it comes with the project.
pub(crate) fn clicks() -> PathBuf {
    plugins();
    root().join("host/pipelines/stream.toml")
}

/// A stream of made-up clicks through the guest that misbehaves as its configuration says.
pub(crate) fn hostile(scratch: &Scratch, extra: &str) -> PathBuf {
    through(scratch, extra, "none")
}

fn through(scratch: &Scratch, extra: &str, misdeed: &str) -> PathBuf {
    scratch.write(
        "out.json",
        r#"[
  {"name": "out", "type": "STRING", "mode": "REQUIRED"},
  {"name": "flag", "type": "BOOLEAN", "mode": "REQUIRED"},
  {"name": "message_id", "type": "STRING", "mode": "REQUIRED"},
  {"name": "plugin_set", "type": "STRING", "mode": "REQUIRED"},
  {"name": "ingested_at", "type": "TIMESTAMP", "mode": "REQUIRED"}
]"#,
    );
    let source = r#"kind = "generator", data = "clicks", rate = 4000"#;
    let head = head("hostile-live", source, "test.out", "out.json");
    let stage = hostile_stage(misdeed);
    scratch.write("hostile.toml", format!("{head}batch = {{ max_rows = 100 }}\n{extra}\n{stage}"))
}

/// The same stream through the guest that writes what its lookup table `words` has: `old`.
pub(crate) fn lookup(scratch: &Scratch) -> PathBuf {
    let words = scratch.write("words.csv", "key,word\nkey,old\n");
    let pipeline = through(scratch, "", "lookup");
    let text = std::fs::read_to_string(&pipeline).unwrap();
    let lookups = format!("lookups = {{ words = \"{}\" }}\n", words.display());
    std::fs::write(&pipeline, text + &lookups).unwrap();
    pipeline
}
