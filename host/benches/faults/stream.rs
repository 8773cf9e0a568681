//! Faults of streams: two or three processes on one subscription, events published meanwhile.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::emulators::{BigQuery, PROJECT, PubSub, free_port, pubsub, request};
use crate::kinds::{Fault, Sink, Wire, between, break_for, lose_answers};
use crate::part::{Part, count, keep};
use crate::process::Process;
use crate::proxy::{Mode, Proxy};
use crate::publisher::Publisher;
use crate::smoke;
use crate::support::{Scratch, root};

/// Messages are leased for so many seconds, the least that Pub/Sub takes.
const LEASE: &str = "source.ack_deadline_secs=10";
/// For so long nothing may come at the end while something is missing: several leases.
const PATIENCE: Duration = Duration::from_secs(45);
/// Only a rule that a letter's record obeys.
const LENIENT: &str = r#"plugin.validate.config.rules=[{required={columns=["event_type"]}}]"#;

struct Stream {
    scratch: Scratch,
    sink: Sink,
    /// Pub/Sub's own address.
    pubsub: String,
    /// Shared with other parts, or of its own, to be made anew.
    emulator: Option<Arc<PubSub>>,
    bigquery: Option<BigQuery>,
    wires: Wires,
    topic: String,
    subscription: String,
    processes: Vec<Process>,
    destroyed: PathBuf,
    part: Part,
}

struct Wires {
    pubsub: Proxy,
    write: Option<Proxy>,
    rest: Option<Proxy>,
}

/// Runs a part. `None` where Pub/Sub's emulator is not installed.
pub(crate) fn run(sink: Sink, fault: Fault, times: u64, part: Part) -> Option<Part> {
    let mut stream = Stream::start(sink, fault, part)?;
    let ids = stream.scratch.path("published");
    let mut publisher = Publisher::start(stream.pubsub.clone(), stream.topic.clone(), &ids);
    for _ in 0..2 + rand::random::<u64>() % 2 {
        stream.add();
    }
    for number in 0..times {
        let victim = (number as usize) % stream.processes.len();
        stream.revive();
        std::thread::sleep(between(300, 1200));
        if stream.inject(fault, number, victim, &publisher) {
            stream.part.times += 1;
        }
    }
    publisher.stop();
    stream.finish(&publisher);
    Some(std::mem::take(&mut stream.part))
}

impl Stream {
    fn start(sink: Sink, fault: Fault, part: Part) -> Option<Self> {
        let emulator = match fault {
            Fault::RestartEmulator => Arc::new(PubSub::start(free_port())?),
            _ => pubsub("faults")?,
        };
        let address = emulator.address.clone();
        let name = format!("faults-{:016x}", rand::random::<u64>());
        let bigquery = (sink != Sink::Warehouse).then(BigQuery::start);
        let wires = Wires {
            pubsub: Proxy::start(&address),
            write: bigquery.as_ref().map(|bigquery| Proxy::start(&bigquery.grpc)),
            rest: bigquery.as_ref().map(|bigquery| Proxy::start(&bigquery.rest)),
        };
        let scratch = Scratch::new();
        let stream = Self {
            destroyed: scratch.path("destroyed"),
            scratch,
            sink,
            pubsub: address,
            emulator: Some(emulator),
            bigquery,
            wires,
            topic: format!("projects/{PROJECT}/topics/{name}"),
            subscription: format!("projects/{PROJECT}/subscriptions/{name}"),
            processes: Vec::new(),
            part,
        };
        stream.subscribe();
        stream.apply_tables();
        Some(stream)
    }

    fn subscribe(&self) {
        let (topic, subscription) = (&self.topic, &self.subscription);
        request(&self.pubsub, "PUT", &format!("/v1/{topic}"), Some(&json!({}))).expect("a topic");
        let body = json!({ "topic": topic, "ackDeadlineSeconds": 10 });
        let made = request(&self.pubsub, "PUT", &format!("/v1/{subscription}"), Some(&body));
        assert_eq!(made.expect("an answer")["name"], json!(subscription));
    }

    fn pipeline(&self) -> String {
        let name = match self.sink {
            Sink::Warehouse => "stream.toml",
            Sink::BigQuery | Sink::ExactlyOnce => "stream_gcp.toml",
        };
        root().join("host/pipelines").join(name).to_string_lossy().into_owned()
    }

    /// The executable, by way of the wires or past them.
    fn command(&self, arguments: &[&str], wired: bool) -> Command {
        let mut command = self.scratch.command(arguments);
        let wire = |wire: &Proxy, own: &str| {
            if wired { wire.address.clone() } else { own.to_owned() }
        };
        command.env("PUBSUB_EMULATOR_HOST", wire(&self.wires.pubsub, &self.pubsub));
        if let (Some(bigquery), Some(write), Some(rest)) =
            (&self.bigquery, &self.wires.write, &self.wires.rest)
        {
            command
                .env("BIGQUERY_EMULATOR_HOST", wire(rest, &bigquery.rest))
                .env("BIGQUERY_STORAGE_EMULATOR_HOST", wire(write, &bigquery.grpc));
        }
        command
    }

    fn stream(&self, more: &[&str], wired: bool) -> Command {
        let pipeline = self.pipeline();
        let subscription = format!("source.subscription={}", self.subscription);
        let spool = format!("dead_letter.spool={}", self.scratch.path("spool").display());
        let mut arguments = vec!["run", &pipeline, "--set", "admin.listen=127.0.0.1:0"];
        arguments.extend(["--set", "source.kind=pubsub", "--set", &subscription]);
        arguments.extend(["--set", LEASE, "--set", "batch.max_rows=200", "--set", &spool]);
        if self.sink == Sink::ExactlyOnce {
            arguments.extend(["--set", "sink.exactly_once=true"]);
        }
        self.command(&[&arguments, more].concat(), wired)
    }

    /// One more process.
    fn add(&mut self) {
        let command = self.stream(&["--set", "source.streams=2"], true);
        self.processes.push(Process::start(&self.scratch, command));
    }

    /// Starts those anew that have ended, and waits until all have begun.
    fn revive(&mut self) {
        for at in 0..self.processes.len() {
            for _ in 0..3 {
                if self.processes[at].admin().is_some() && self.processes[at].is_running() {
                    break;
                }
                if !self.processes[at].is_running() {
                    let why = self.processes[at].last_words();
                    self.note(format!("a process ended by itself: {why}"));
                }
                let command = self.stream(&["--set", "source.streams=2"], true);
                self.processes[at] = Process::start(&self.scratch, command);
            }
        }
    }

    fn restart(&mut self, victim: usize) {
        let command = self.stream(&["--set", "source.streams=2"], true);
        self.processes[victim] = Process::start(&self.scratch, command);
    }

    fn note(&mut self, note: String) {
        if !self.part.notes.contains(&note) {
            self.part.notes.push(note);
        }
    }

    /// Waits for the end of a process that was told to.
    fn end(&mut self, victim: usize) {
        if self.processes[victim].end().is_none() {
            self.part.stuck += 1;
            self.note("a process did not end when it was told to".to_owned());
        }
    }

    fn wire(&self, wire: Wire) -> Option<&Proxy> {
        match wire {
            Wire::PubSub => Some(&self.wires.pubsub),
            Wire::Write => self.wires.write.as_ref(),
            Wire::Rest => self.wires.rest.as_ref(),
            Wire::Storage => None,
        }
    }

    /// Does it; says whether it was done.
    fn inject(&mut self, fault: Fault, number: u64, victim: usize, publisher: &Publisher) -> bool {
        match fault {
            Fault::Kill => {
                let was_running = self.processes[victim].is_running();
                self.processes[victim].kill();
                self.restart(victim);
                return was_running;
            }
            Fault::Terminate | Fault::Interrupt | Fault::InterruptTwice => {
                let name = if fault == Fault::Terminate { "-TERM" } else { "-INT" };
                self.processes[victim].signal(name);
                if fault == Fault::InterruptTwice {
                    std::thread::sleep(between(0, 200));
                    self.processes[victim].signal(name);
                }
                self.end(victim);
                self.restart(victim);
            }
            Fault::Pause => {
                self.processes[victim].signal("-STOP");
                // Beyond the lease; in a smoke test it is enough that it stops.
                std::thread::sleep(smoke::of(Duration::from_secs(13), Duration::from_secs(2)));
                self.processes[victim].signal("-CONT");
            }
            Fault::Break(wire, how) => {
                if wire == Wire::Rest {
                    // It is asked at the start and at the end.
                    self.processes[victim].signal("-INT");
                    let command = self.stream(&["--set", "source.streams=2"], true);
                    let new = Process::start(&self.scratch, command);
                    let old = std::mem::replace(&mut self.processes[victim], new);
                    break_for(self.wire(wire).unwrap(), how, between(700, 2500));
                    self.processes.push(old);
                    self.end(self.processes.len() - 1);
                    self.processes.pop();
                } else {
                    break_for(self.wire(wire).unwrap(), how, between(700, 1500));
                }
            }
            Fault::LoseAnswer(wire) => lose_answers(self.wire(wire).unwrap()),
            Fault::RestartEmulator => self.restart_emulator(publisher),
            Fault::FillDisk => self.fill_disk(),
            Fault::DropTable => self.drop_table(),
            Fault::Swap => return self.swap(number, victim),
            Fault::Replay => self.replay(number),
            Fault::SecondLoader | Fault::Overwrite => unreachable!("a fault of loads"),
        }
        true
    }

    /// What was published is all taken first: the emulator keeps nothing. The new one gives the same ids to
    /// other messages.
    fn restart_emulator(&mut self, publisher: &Publisher) {
        let gate = publisher.gate.lock().unwrap();
        self.wait_for_all(publisher);
        let port = self.pubsub.rsplit(':').next().unwrap().parse().unwrap();
        drop(self.emulator.take());
        let began = Instant::now();
        while std::net::TcpListener::bind(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < PATIENCE, "the emulator's port is not free");
            std::thread::sleep(Duration::from_millis(50));
        }
        self.emulator = PubSub::start(port).map(Arc::new);
        self.subscribe();
        drop(gate);
    }

    /// One more process, which can write no file of more than 16 KiB.
    fn fill_disk(&mut self) {
        let run = self.stream(&["--set", "source.streams=2"], true);
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' XFSZ; ulimit -f 32; exec \"$0\" \"$@\""]);
        command.arg(run.get_program()).args(run.get_args());
        command.envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.current_dir(self.scratch.folder.path());
        self.processes.push(Process::start(&self.scratch, command));
        let last = self.processes.len() - 1;
        let _ = self.processes[last].admin();
        std::thread::sleep(between(1500, 3000));
        self.processes[last].signal("-INT");
        std::thread::sleep(between(1000, 2000));
        self.processes[last].signal("-INT");
        self.end(last);
        self.processes.pop();
    }

    fn drop_table(&mut self) {
        let (Some(bigquery), Some(write)) = (&self.bigquery, &self.wires.write) else { return };
        // What is on its way arrives, and nothing follows until the table is there again.
        write.set(Mode::Freeze);
        std::thread::sleep(Duration::from_millis(500));
        let rows = bigquery.query("SELECT event_id FROM clickstream_analytics.clicks_raw");
        let mut destroyed = std::fs::OpenOptions::new();
        let mut destroyed = destroyed.create(true).append(true).open(&self.destroyed).unwrap();
        for row in rows {
            writeln!(destroyed, "{}", row[0].as_ref().unwrap()).unwrap();
        }
        let table = "datasets/clickstream_analytics/tables/clicks_raw";
        let path = format!("/bigquery/v2/projects/{PROJECT}/{table}");
        // Answers without a body.
        let _ = request(&bigquery.rest, "DELETE", &path, None);
        let frozen = rand::random::<bool>();
        if !frozen {
            // Appends meet a table that is not there.
            write.set(Mode::Pass);
            std::thread::sleep(between(100, 1000));
        }
        self.apply_tables();
        write.cut();
        write.set(Mode::Pass);
    }

    fn swap(&mut self, number: u64, victim: usize) -> bool {
        let Some(admin) = self.processes[victim].admin() else { return false };
        let key = format!("mask.key_id=k{}", number + 2);
        let swap = ["plugin", "swap", "--json", "--admin", &admin, "--config", &key];
        let output = self.command(&swap, true).output().unwrap();
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr).into_owned();
            self.note(format!("a swap was refused: {}", why.lines().next().unwrap_or_default()));
        }
        output.status.success()
    }

    fn replay(&mut self, number: u64) {
        let pipeline = self.pipeline();
        let replay = ["dead-letter", "replay", &pipeline, "--set", LENIENT];
        let start = || Process::start(&self.scratch, self.command(&replay, true));
        let (mut one, mut other) = (start(), start());
        if number % 2 == 1 {
            std::thread::sleep(between(200, 1500));
            other.kill();
        }
        for (replay, killed) in [(&mut one, false), (&mut other, number % 2 == 1)] {
            match replay.end() {
                None => {
                    self.part.stuck += 1;
                    self.part.notes.push("a replay did not end".to_owned());
                }
                Some(status) if !killed && !status.success() => {
                    self.part.notes.push(format!("a replay failed: {}", replay.last_words()));
                }
                Some(_) => {}
            }
        }
    }

    /// Ends all processes, lets one take what is left, and counts.
    fn finish(&mut self, publisher: &Publisher) {
        self.revive();
        for process in &self.processes {
            process.signal("-INT");
        }
        for at in 0..self.processes.len() {
            self.end(at);
        }
        self.processes.clear();
        self.apply_tables();
        // The emulator goes on to hand messages to streams whose process is gone: we take part with many.
        let command = self.stream(&["--set", "source.streams=64"], false);
        self.processes.push(Process::start(&self.scratch, command));
        self.wait_for_all(publisher);
        self.processes[0].signal("-INT");
        self.end(0);
        let mut job = self.job(publisher);
        job["view"] = json!(self.view());
        self.part.counted = count(&job);
        if !self.part.is_good() {
            self.part.notes.push(keep(&mut self.scratch));
        }
    }

    /// Waits until everything published has become a row or a letter, as long as more and more has.
    fn wait_for_all(&mut self, publisher: &Publisher) {
        let (mut least, mut since) = (u64::MAX, Instant::now());
        loop {
            let left = count(&self.job(publisher)).lost;
            if left == 0 {
                return;
            }
            for process in &mut self.processes {
                assert!(process.is_running(), "it ended: {}", process.last_words());
            }
            if left < least {
                (least, since) = (left, Instant::now());
            }
            if since.elapsed() > PATIENCE {
                self.note(format!("{left} were not there, and for {PATIENCE:?} no more came"));
                return;
            }
            std::thread::sleep(Duration::from_secs(1));
        }
    }

    fn job(&self, publisher: &Publisher) -> Json {
        let tables = match &self.bigquery {
            None => json!({ "warehouse": self.scratch.warehouse() }),
            Some(bigquery) => json!({ "bigquery": bigquery.rest, "project": PROJECT }),
        };
        let mut job = json!({ "tables": tables, "published": publisher.ids });
        if self.destroyed.is_file() {
            job["destroyed"] = json!(self.destroyed);
        }
        job
    }

    /// What the one-row view answers, in a file.
    fn view(&self) -> PathBuf {
        let sql =
            "SELECT event_id, COUNT(*) AS n FROM clickstream_analytics.clicks GROUP BY event_id";
        let text = match &self.bigquery {
            None => self.scratch.done(&["query", "--json", sql]),
            Some(bigquery) => {
                let line = |row: Vec<Option<String>>| {
                    let n: u64 = row[1].as_deref().unwrap().parse().unwrap();
                    format!("{}\n", json!({ "event_id": row[0], "n": n }))
                };
                bigquery.query(sql).into_iter().map(line).collect()
            }
        };
        self.scratch.write("view", text)
    }

    fn apply_tables(&self) {
        if self.bigquery.is_some() {
            let mut command = self.command(&["tables", "apply", &self.pipeline()], false);
            let output = command.stdin(Stdio::null()).output().unwrap();
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "tables apply: {errors}");
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", keep(&mut self.scratch));
        }
    }
}
