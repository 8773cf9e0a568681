//! Faults of loads: two or three runs at once over the same objects, round after round.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use serde_json::json;

use crate::emulators::{BigQuery, PROJECT, Storage};
use crate::kinds::{Fault, Place, between, break_for};
use crate::part::{Part, count, keep};
use crate::process::Process;
use crate::proxy::Proxy;
use crate::smoke;
use crate::support::{Scratch, root};

/// The bucket of the emulator, and the folder of a warehouse in it.
const BUCKET: &str = "lake";
const FOLDER: &str = "warehouse";

struct Load {
    scratch: Scratch,
    place: Place,
    storage: Option<Storage>,
    bigquery: Option<BigQuery>,
    /// Before Cloud Storage or BigQuery's REST interface, whichever there is.
    wire: Option<Proxy>,
    /// Every version of each object, the last one last.
    objects: BTreeMap<String, Vec<PathBuf>>,
    part: Part,
}

/// Runs a part.
pub(crate) fn run(place: Place, fault: Fault, times: u64, part: Part) -> Part {
    let storage = matches!(place, Place::StorageToDisk | Place::DiskToStorage);
    let storage = storage.then(|| Storage::start(None));
    let bigquery = (place == Place::DiskToBigQuery).then(BigQuery::start);
    let target = bigquery.as_ref().map(|bigquery| &bigquery.rest);
    let target = target.or(storage.as_ref().map(|storage| &storage.address));
    let wire = target.map(|target| Proxy::start(target));
    let scratch = Scratch::new();
    std::fs::create_dir(scratch.path("in")).unwrap();
    let mut load = Load { scratch, place, storage, bigquery, wire, objects: BTreeMap::new(), part };
    for number in 0..times {
        load.put(&format!("{number:03}-a.csv"));
        load.put(&format!("{number:03}-b.csv"));
        load.part.times += u64::from(load.round(fault, number));
    }
    load.finish();
    std::mem::take(&mut load.part)
}

impl Load {
    /// Puts an object, or another version of it.
    fn put(&mut self, name: &str) {
        let versions = self.objects.entry(name.to_owned()).or_default();
        let file = self.scratch.path(&format!("{}-{name}", versions.len()));
        // Versions differ in their number of records, which is how one is told from another.
        let rows = smoke::of(60_000, 10_000) + versions.len() * 1111;
        let (rows, seed) = (rows.to_string(), rand::random::<u32>().to_string());
        let output = file.to_string_lossy().into_owned();
        let generate = ["generate", "shop", "--rows", &rows, "--bad", "1%", "--seed", &seed];
        self.scratch.done(&[&generate[..], &["--output", &output]].concat());
        versions.push(file.clone());
        let bytes = std::fs::read(&file).unwrap();
        match &self.storage {
            Some(storage) if self.place == Place::StorageToDisk => {
                storage.put(&format!("in/{name}"), &bytes);
            }
            // Where it lies it is written over, as `cp` does, if there is one.
            _ => std::fs::write(self.scratch.path("in").join(name), &bytes).unwrap(),
        }
    }

    fn command(&self) -> Command {
        let pipeline = match self.place {
            Place::DiskToBigQuery => "batch_gcp.toml",
            Place::Disk | Place::StorageToDisk | Place::DiskToStorage => "batch.toml",
        };
        let pipeline = root().join("host/pipelines").join(pipeline);
        let source = match self.place {
            Place::StorageToDisk => format!("source.uri=gs://{BUCKET}/in/*.csv"),
            _ => format!("source.uri={}/*.csv", self.scratch.path("in").display()),
        };
        let mut command = self.scratch.command(&["run", &pipeline.to_string_lossy()]);
        command.args(["--set", &source, "--set", "dead_letter.max_rejected_share=1.0"]);
        command.args(["--set", "batch.max_rows=1000"]).env("CLICKSTREAM_BUCKET", BUCKET);
        if let Some(wire) = &self.wire {
            let wire = format!("http://{}", wire.address);
            match &self.bigquery {
                None => command.env("STORAGE_EMULATOR_HOST", wire),
                Some(bigquery) => command
                    .env("BIGQUERY_EMULATOR_HOST", wire)
                    .env("BIGQUERY_STORAGE_EMULATOR_HOST", &bigquery.grpc),
            };
        }
        command
    }

    /// A run. A warehouse elsewhere is named last, which counts.
    fn start(&self) -> Process {
        let mut command = self.command();
        if self.place == Place::DiskToStorage {
            let local = command;
            command = Command::new(local.get_program());
            let before = local.get_args().position(|argument| argument == "--warehouse").unwrap();
            for (at, argument) in local.get_args().enumerate() {
                if at == before + 1 {
                    command.arg(format!("gs://{BUCKET}/{FOLDER}"));
                } else {
                    command.arg(argument);
                }
            }
            for (name, value) in local.get_envs() {
                match value {
                    Some(value) => command.env(name, value),
                    None => command.env_remove(name),
                };
            }
            command.current_dir(self.scratch.folder.path());
        }
        Process::start(&self.scratch, command)
    }

    /// Runs at once, one of which meets the fault. Says whether it did.
    fn round(&mut self, fault: Fault, number: u64) -> bool {
        let mut runs: Vec<Process> = (0..1 + number % 2).map(|_| self.start()).collect();
        let mut victim = if fault == Fault::FillDisk { self.cramped() } else { self.start() };
        // A run takes less than a second.
        std::thread::sleep(between(20, 400));
        let hit = victim.is_running();
        match fault {
            Fault::Kill => victim.kill(),
            Fault::Terminate => victim.signal("-TERM"),
            Fault::Interrupt => victim.signal("-INT"),
            Fault::InterruptTwice => {
                victim.signal("-INT");
                std::thread::sleep(between(0, 100));
                victim.signal("-INT");
            }
            Fault::Break(_, how) => {
                break_for(self.wire.as_ref().unwrap(), how, between(500, 1500));
            }
            Fault::SecondLoader => runs.push(self.start()),
            Fault::Overwrite => {
                let name =
                    format!("{number:03}-{}.csv", if number.is_multiple_of(2) { "a" } else { "b" });
                self.put(&name);
            }
            Fault::FillDisk => {}
            _ => unreachable!("a fault of streams"),
        }
        self.ended(victim, fault != Fault::SecondLoader);
        for run in runs {
            self.ended(run, matches!(fault, Fault::Break(..) | Fault::Overwrite));
        }
        hit
    }

    /// A run that can write no file of more than 64 KiB.
    fn cramped(&self) -> Process {
        let run = self.command();
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' XFSZ; ulimit -f 128; exec \"$0\" \"$@\""]);
        command.arg(run.get_program()).args(run.get_args());
        command.envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.current_dir(self.scratch.folder.path());
        Process::start(&self.scratch, command)
    }

    /// Waits for the end of a run. Only one that met a fault may end badly.
    fn ended(&mut self, mut run: Process, faulted: bool) {
        let note = match run.end() {
            None => {
                self.part.stuck += 1;
                "a run did not end".to_owned()
            }
            Some(status) if !status.success() && !faulted => {
                format!("a run failed beside the faulted one: {}", run.last_words())
            }
            Some(status) if status.code() == Some(101) => {
                format!("a run panicked: {}", run.talk())
            }
            Some(_) => return,
        };
        if !self.part.notes.contains(&note) {
            self.part.notes.push(note);
        }
    }

    /// Loads what is left, and counts.
    fn finish(&mut self) {
        let mut last = self.start();
        let status = last.end();
        let words = last.last_words();
        assert!(status.is_some_and(|status| status.success()), "the last run failed: {words}");
        let tables = match (&self.bigquery, &self.storage) {
            (Some(bigquery), _) => json!({ "bigquery": bigquery.rest, "project": PROJECT }),
            (None, Some(storage)) if self.place == Place::DiskToStorage => {
                json!({ "storage": storage.address, "bucket": BUCKET, "prefix": FOLDER })
            }
            (None, _) => json!({ "warehouse": self.scratch.warehouse() }),
        };
        self.part.counted = count(&json!({ "tables": tables, "objects": self.objects }));
        if !self.part.is_good() {
            self.part.notes.push(keep(&mut self.scratch));
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", keep(&mut self.scratch));
        }
    }
}
