//! A pipeline between emulators: a topic with its subscription, a BigQuery, a scratch folder.

use std::fs::File;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::emulators::{BigQuery, PROJECT, PubSub, pubsub, request};
pub(crate) use crate::support::summary;
use crate::support::{Process, Scratch, plugins, root};

/// See [`Cloud::drain_all`].
pub(crate) const MANY_STREAMS: &str = "source.streams=64";

/// Emulators and where they are reached, which may be by way of a proxy.
pub(crate) struct Cloud {
    pub scratch: Scratch,
    pub bigquery: BigQuery,
    pub pubsub: Arc<PubSub>,
    /// Where the host finds Pub/Sub and BigQuery's Storage Write interface.
    pub via: [String; 2],
    pub topic: String,
    pub subscription: String,
}

impl Cloud {
    /// A topic of its own, whose subscription is as `settings` say. `None` where there is no Pub/Sub
    /// emulator.
    pub(crate) fn start(test: &str, settings: &Json) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let pubsub = pubsub(test)?;
        plugins();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let topic = format!("projects/{PROJECT}/topics/clicks-{number}");
        let subscription = format!("projects/{PROJECT}/subscriptions/clicks-{number}");
        request(&pubsub.address, "PUT", &format!("/v1/{topic}"), Some(&json!({})))
            .expect("a topic");
        let mut body = settings.clone();
        body["topic"] = json!(topic);
        let made = request(&pubsub.address, "PUT", &format!("/v1/{subscription}"), Some(&body));
        assert_eq!(made.expect("an answer")["name"], json!(subscription));
        let bigquery = BigQuery::start();
        let via = [pubsub.address.clone(), bigquery.grpc.clone()];
        Some(Self { scratch: Scratch::new(), bigquery, pubsub, via, topic, subscription })
    }

    /// The binary, with the emulators in its environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.scratch.command(arguments);
        command
            .env("PUBSUB_EMULATOR_HOST", &self.via[0])
            .env("BIGQUERY_EMULATOR_HOST", &self.bigquery.rest)
            .env("BIGQUERY_STORAGE_EMULATOR_HOST", &self.via[1]);
        command
    }

    /// Runs the stream from the subscription to BigQuery.
    pub(crate) fn stream(&self, arguments: &[&str]) -> Command {
        let pipeline = root().join("host/pipelines/stream_gcp.toml");
        let subscription = format!("source.subscription={}", self.subscription);
        let spool = format!("dead_letter.spool={}", self.scratch.path("spool").display());
        let run = ["run", "--json", &*pipeline.to_string_lossy()];
        let mut command = self.command(&[&run[..], arguments].concat());
        command.args(["--set", &subscription, "--set", &spool]);
        if !arguments.iter().any(|set| set.starts_with("source.ack_deadline_secs=")) {
            // After a crash messages are to come again soon.
            command.args(["--set", "source.ack_deadline_secs=10"]);
        }
        if !arguments.contains(&MANY_STREAMS) {
            command.args(["--set", "source.streams=1"]);
        }
        command
    }

    /// Runs the stream until nothing has come for a while; returns its summary.
    #[track_caller]
    pub(crate) fn drain(&self, idle: &str, arguments: &[&str]) -> Json {
        let arguments = [&["--stop-when-idle", idle], arguments].concat();
        let output = self.stream(&arguments).output().expect("the binary starts");
        summary(&output)
    }

    /// Runs the stream until every message published has become a row or a letter; returns its summary.
    /// The emulator goes on to hand messages to streams whose process is gone, from which they come back
    /// after the deadline: so we take part with many streams.
    #[track_caller]
    pub(crate) fn drain_all(&self, published: u64) -> Json {
        self.apply_tables();
        let child = spawn(self.stream(&["--set", MANY_STREAMS]));
        self.wait_for_messages(published);
        signal(&child, "-INT");
        summary(&child.wait_with_output().expect("it ends"))
    }

    /// How many messages have become rows or letters.
    pub(crate) fn messages_there(&self) -> u64 {
        let ids = |table: &str| {
            let sql =
                format!("SELECT COUNT(DISTINCT message_id) FROM clickstream_analytics.{table}");
            self.bigquery.number(&sql)
        };
        ids("clicks_raw") + ids("dead_letter")
    }

    /// Waits until so many messages have become rows or letters, however long that takes: as long as some come.
    #[track_caller]
    pub(crate) fn wait_for_messages(&self, published: u64) {
        let mut there = self.messages_there();
        while there < published {
            let before = there;
            let what = format!("more than {before} of {published} messages");
            wait_until(&what, || {
                // The emulator has one thread for answers and appends: it is not to count all the time.
                std::thread::sleep(Duration::from_millis(200));
                there = self.messages_there();
                there > before
            });
        }
    }

    /// Publishes generated clicks.
    #[track_caller]
    pub(crate) fn publish(&self, arguments: &[&str]) {
        let generate = ["generate", "clicks", "--publish", &self.topic];
        let mut command = self.command(&[&generate[..], arguments].concat());
        let output =
            command.env("PUBSUB_EMULATOR_HOST", &self.pubsub.address).output().expect("it starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Publishes messages: payloads and attributes.
    pub(crate) fn publish_these(&self, messages: &[(&[u8], Json)]) {
        let message = |(data, attributes): &(&[u8], Json)| json!({ "data": base64(data), "attributes": attributes });
        let messages: Vec<Json> = messages.iter().map(message).collect();
        let path = format!("/v1/{}:publish", self.topic);
        let answer =
            request(&self.pubsub.address, "POST", &path, Some(&json!({ "messages": messages })));
        let answer = answer.expect("an answer");
        assert_eq!(answer["messageIds"].as_array().map(Vec::len), Some(messages.len()), "{answer}");
    }

    /// Creates tables and views.
    #[track_caller]
    pub(crate) fn apply_tables(&self) {
        let pipeline = root().join("host/pipelines/stream_gcp.toml");
        let output = self.command(&["tables", "apply", &pipeline.to_string_lossy()]).output();
        let output = output.expect("the binary starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Every message published is a row or a dead letter, and once in the views that keep one per
    /// message.
    #[track_caller]
    pub(crate) fn all_are_there_once(&self, published: u64) {
        self.apply_tables();
        let count = |what: &str, table: &str| {
            self.bigquery.number(&format!("SELECT {what} FROM clickstream_analytics.{table}"))
        };
        let ids = "COUNT(DISTINCT message_id)";
        let (rows, letters) = (count(ids, "clicks_raw"), count(ids, "dead_letter"));
        assert_eq!(rows + letters, published, "{rows} rows, {letters} letters");
        let in_views = (count("COUNT(*)", "clicks"), count("COUNT(*)", "dead_letters"));
        assert_eq!(in_views, (rows, letters));
    }
}

/// Starts a command whose output is wanted later.
pub(crate) fn spawn(mut command: Command) -> Process {
    Process::listen(&mut command)
}

/// Runs a command that ends by itself, however much it says.
#[track_caller]
pub(crate) fn ended(scratch: &Scratch, mut command: Command) -> Output {
    let file = |name: &str| File::create(scratch.path(name)).unwrap();
    command.stdin(Stdio::null()).stdout(file("told.out")).stderr(file("told.err"));
    let mut process = Process::spawn(&mut command);
    let mut status = None;
    let what = format!("the end of {:?}", command.get_args());
    wait_until(&what, || {
        status = process.try_wait().unwrap();
        status.is_some()
    });
    let told = |name: &str| std::fs::read(scratch.path(name)).unwrap();
    Output { status: status.unwrap(), stdout: told("told.out"), stderr: told("told.err") }
}

/// Waits until something holds.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(180), "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Sends a signal.
pub(crate) fn signal(child: &Child, signal: &str) {
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(sent.expect("kill is there").success());
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let group = three.iter().fold(0_u32, |group, byte| group << 8 | u32::from(*byte));
        let group = group << (8 * (3 - three.len()));
        for at in 0..4 {
            let digit = DIGITS[(group >> (18 - 6 * at) & 63) as usize];
            text.push(if at <= three.len() { char::from(digit) } else { '=' });
        }
    }
    text
}
