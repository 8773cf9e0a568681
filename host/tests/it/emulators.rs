//! Google's services on loopback, one process each, started by the tests on free ports. Each ends with
//! the test run, since it reads from a pipe that the run holds open.

use std::io::{BufRead, BufReader, Read, Seek};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::support::{Process, not_run, on_path, root};

/// The project of all tests.
pub(crate) const PROJECT: &str = "test-project";
/// How long an emulator may take to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// Below those that Linux gives to connections, which begin at 32768.
const PORTS: std::ops::Range<u16> = 12_000..32_000;

/// How many tests share a Pub/Sub emulator. It goes on looking after the streams of clients that are gone: after
/// a hundred tests, hundreds of its threads took a quarter of a processor.
const SHARE_PUBSUB: u32 = 12;

/// Google's own Pub/Sub emulator, shared by some tests: each has topics of its own. `None`, with the reason
/// printed, where it is not installed.
pub(crate) fn pubsub(test: &str) -> Option<Arc<PubSub>> {
    static SHARED: Mutex<Option<(Arc<PubSub>, u32)>> = Mutex::new(None);
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    let start = || Some((Arc::new(PubSub::start(free_port())?), 0));
    let Some((emulator, tests)) =
        shared.take().filter(|(_, tests)| *tests < SHARE_PUBSUB).or_else(start)
    else {
        not_run(
            test,
            "Google's Pub/Sub emulator is missing: `gcloud components install pubsub-emulator`, or the package google-cloud-cli-pubsub-emulator, and Java",
        );
        return None;
    };
    *shared = Some((Arc::clone(&emulator), tests + 1));
    Some(emulator)
}

/// Google's own Pub/Sub emulator. It forgets everything when it is dropped.
pub(crate) struct PubSub {
    child: Child,
    /// Where it is.
    pub address: String,
}

impl PubSub {
    /// Starts one; `None` where it is not installed.
    pub(crate) fn start(port: u16) -> Option<Self> {
        let program = pubsub_program()?;
        // The emulator takes no notice of its standard input: this does, and takes its group along.
        let mut command = Command::new("sh");
        let script = r#""$0" --host=127.0.0.1 --port="$1" >"$2" 2>&1 </dev/null & cat; kill 0"#;
        let log = scratch().join(format!("pubsub-{port}.log"));
        command.args(["-c", script]).arg(program).arg(port.to_string()).arg(&log);
        // With one gigabyte it was busy collecting garbage, and acknowledgements came late.
        // None lives long enough for Java's second compiler to pay.
        command.env("JAVA_OPTS", "-Xmx4g -XX:TieredStopAtLevel=1 -XX:+UseSerialGC");
        let child = command.stdin(Stdio::piped()).process_group(0).spawn().expect("sh starts");
        let address = format!("127.0.0.1:{port}");
        let path = format!("/v1/projects/{PROJECT}/topics");
        let began = Instant::now();
        while request(&address, "GET", &path, None).is_none() {
            assert!(began.elapsed() < PATIENCE, "the Pub/Sub emulator does not start, see {log:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(Self { child, address })
    }
}

impl Drop for PubSub {
    fn drop(&mut self) {
        // What waits for the end of its input ends the group.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// The emulator's program beside `gcloud`.
fn pubsub_program() -> Option<PathBuf> {
    let gcloud = std::fs::canonicalize(on_path("gcloud")?).ok()?;
    let sdk = gcloud.parent()?.parent()?;
    let program = sdk.join("platform/pubsub-emulator/bin/cloud-pubsub-emulator");
    program.is_file().then_some(program)
}

/// A BigQuery emulator. It forgets everything when it is dropped.
pub(crate) struct BigQuery {
    _process: Process,
    /// Where its REST interface is.
    pub rest: String,
    /// Where its Storage Write interface is.
    pub grpc: String,
    refuse: PathBuf,
}

impl BigQuery {
    /// Starts one.
    pub(crate) fn start() -> Self {
        let (rest, grpc) = (free_port(), free_port());
        let refuse = scratch().join(format!("refuse-{rest}"));
        let mut command = Command::new(python());
        command
            .arg(script("bigquery.py"))
            .args(["--rest-port", &rest.to_string(), "--grpc-port", &grpc.to_string()])
            .args(["--project", PROJECT, "--home"])
            .arg(scratch())
            .arg("--refuse-file")
            .arg(&refuse);
        let (rest, grpc) = (format!("127.0.0.1:{rest}"), format!("127.0.0.1:{grpc}"));
        Self { _process: start(command), rest, grpc, refuse }
    }

    /// From now on refuses rows of `table` that hold `text`.
    pub(crate) fn refuse(&self, table: &str, text: &str) {
        std::fs::write(&self.refuse, format!("{table}\t{text}\n"))
            .expect("the scratch takes files");
    }

    /// Orders a fault, as `bigquery.py` lists them.
    #[track_caller]
    pub(crate) fn order(&self, fault: &Json) {
        request(&self.rest, "POST", "/faults", Some(fault)).expect("the emulator takes orders");
    }

    /// Takes all faults back.
    #[track_caller]
    pub(crate) fn take_back(&self) {
        request(&self.rest, "DELETE", "/faults", None).expect("the emulator takes orders");
    }

    /// How often a fault was met so far.
    #[track_caller]
    pub(crate) fn met(&self, kind: &str) -> u64 {
        let met = request(&self.rest, "GET", "/faults", None).expect("the emulator tells");
        met[kind].as_u64().unwrap_or_default()
    }

    /// The rows of a query: a list of values, as text, per row.
    #[track_caller]
    pub(crate) fn query(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        let path = format!("/bigquery/v2/projects/{PROJECT}/queries");
        let body = json!({ "query": sql, "useLegacySql": false, "maxResults": 10_000_000 });
        let answer = request(&self.rest, "POST", &path, Some(&body)).expect("an answer");
        let rows = answer["rows"].as_array().cloned().unwrap_or_default();
        assert!(answer["error"].is_null(), "{sql}: {answer:#}");
        let value = |value: &Json| value["v"].as_str().map(str::to_owned);
        let values = |row: &Json| row["f"].as_array().into_iter().flatten().map(value).collect();
        rows.iter().map(values).collect()
    }

    /// The one number that a query answers.
    #[track_caller]
    pub(crate) fn number(&self, sql: &str) -> u64 {
        let rows = self.query(sql);
        let value = rows.first().and_then(|row| row.first()).cloned().flatten();
        value.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{sql}: {rows:?}"))
    }

    /// What the REST interface says of a table.
    pub(crate) fn table(&self, dataset: &str, table: &str) -> Json {
        let path = format!("/bigquery/v2/projects/{PROJECT}/datasets/{dataset}/tables/{table}");
        request(&self.rest, "GET", &path, None).expect("an answer")
    }
}

impl Drop for BigQuery {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.refuse);
    }
}

/// What passes calls on to Pub/Sub's emulator, and ends pull streams as the service may.
pub(crate) struct PullStreams {
    _process: Process,
    /// Where it is.
    pub address: String,
}

impl PullStreams {
    /// The first so many end with UNKNOWN as they are opened.
    pub(crate) fn ended(pubsub: &str, unknown: u32) -> Self {
        let port = free_port();
        let mut command = Command::new(python());
        command.arg(script("pubsub.py")).args(["--port", &port.to_string(), "--target", pubsub]);
        command.args(["--unknown", &unknown.to_string()]);
        Self { _process: start(command), address: format!("127.0.0.1:{port}") }
    }
}

/// A Cloud Storage emulator with one bucket, `lake`.
pub(crate) struct Storage {
    _process: Process,
    /// Where it is.
    pub address: String,
}

impl Storage {
    /// Starts one; a body of an object is cut after `cut_after` bytes, if given.
    pub(crate) fn start(cut_after: Option<u64>) -> Self {
        match cut_after {
            Some(bytes) => Self::start_with(&["--cut-after", &bytes.to_string()]),
            None => Self::start_with(&[]),
        }
    }

    /// Starts one whose objects' generations begin with a number.
    pub(crate) fn start_at(generation: u64) -> Self {
        Self::start_with(&["--first-generation", &generation.to_string()])
    }

    /// Starts one that does every third write and says that it cannot.
    pub(crate) fn losing_answers() -> Self {
        Self::start_with(&["--lose-every", "3"])
    }

    fn start_with(arguments: &[&str]) -> Self {
        let port = free_port();
        let mut command = Command::new(python());
        command.arg(script("storage.py")).args(["--port", &port.to_string(), "--bucket", "lake"]);
        command.args(arguments);
        Self { _process: start(command), address: format!("127.0.0.1:{port}") }
    }

    /// Puts an object.
    pub(crate) fn put(&self, name: &str, bytes: &[u8]) {
        self.put_with(name, bytes, &[]);
    }

    /// Puts an object with headers that are kept with it.
    pub(crate) fn put_with(&self, name: &str, bytes: &[u8], headers: &[(&str, &str)]) {
        // Whole, so that nobody on the way takes the name for a path.
        let name: String = name.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let mut put = ureq::put(format!("http://{}/lake/{name}", self.address));
        for (name, value) in headers {
            put = put.header(*name, *value);
        }
        assert!(put.send(bytes).expect("the emulator answers").status().is_success());
    }
}

/// Docker's own registry, of Debian's package. It forgets everything when it is dropped.
pub(crate) struct DockerRegistry {
    _process: Process,
    /// Where it is.
    pub address: String,
    _folder: tempfile::TempDir,
}

impl DockerRegistry {
    /// Starts one for all; `None`, with the reason printed, where it is not there and cannot be had.
    pub(crate) fn start(test: &str) -> Option<Self> {
        Self::start_with(test, "")
    }

    /// Starts one for a user `reader` with the password `open sesame`.
    pub(crate) fn start_locked(test: &str) -> Option<Self> {
        Self::start_with(test, "auth: {htpasswd: {realm: clicks, path: users}}\n")
    }

    fn start_with(test: &str, auth: &str) -> Option<Self> {
        let Some(program) = registry_program() else {
            not_run(test, "Docker's registry is missing: the Debian package docker-registry");
            return None;
        };
        let folder = tempfile::tempdir().expect("a scratch folder");
        let address = format!("127.0.0.1:{}", free_port());
        let config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: data}}}}\n\
             http: {{addr: '{address}'}}\n{auth}"
        );
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).expect("the scratch takes files");
        };
        write("config.yml", &config);
        // By bcrypt, at its least cost.
        write("users", "reader:$2b$04$w5.zpnTxh./8PkCHeycx5u2fqmPGl/zzaMdKUWwXVO1Ec19sqLO9G\n");
        let log = std::fs::File::create(folder.path().join("log")).expect("a file");
        let mut command = Command::new(program);
        command.args(["serve", "config.yml"]).current_dir(folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut process = Process::spawn(&mut command);
        let began = Instant::now();
        while std::net::TcpStream::connect(&address).is_err() {
            let log = || std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
            assert!(process.try_wait().expect("a process").is_none(), "{}", log());
            assert!(began.elapsed() < PATIENCE, "Docker's registry does not start: {}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(Self { _process: process, address, _folder: folder })
    }
}

/// The program: the installed one, or that of Debian's package, which needs no rights to be unpacked.
fn registry_program() -> Option<PathBuf> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(program) = on_path("docker-registry") {
        return Some(program);
    }
    let folder = scratch().join("docker-registry");
    let program = folder.join("usr/bin/docker-registry");
    if !program.is_file() {
        std::fs::create_dir_all(&folder).ok()?;
        // It is there whole or not at all.
        let unpack = "(apt-get download docker-registry || (apt-get update && apt-get download docker-registry)) \
                      && dpkg -x docker-registry_*.deb new && rm -rf usr docker-registry_*.deb && mv new/usr .";
        let mut unpack_it = Command::new("sh");
        unpack_it.args(["-c", unpack]).current_dir(&folder).stdin(Stdio::null());
        let _ = unpack_it.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
    program.is_file().then_some(program)
}

/// Starts an emulator and waits until it says that it is ready.
fn start(mut command: Command) -> Process {
    let mut log = tempfile::tempfile().expect("a file");
    let errors = log.try_clone().expect("a second handle");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors);
    let mut child = Process::spawn(&mut command);
    let mut line = String::new();
    let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
    output.read_line(&mut line).expect("a line");
    if line != "ready\n" {
        let mut told = String::new();
        let _ = log.rewind().and_then(|()| log.read_to_string(&mut told));
        panic!("{command:?} said {line:?}, and of errors:\n{told}");
    }
    // It says nothing more.
    std::thread::spawn(move || output.read_to_string(&mut String::new()));
    child
}

/// A Python with what the emulators need, installed once into the target folder.
pub(crate) fn python() -> PathBuf {
    python_with("requirements.txt").unwrap_or_else(|why| panic!("{why}"))
}

/// A Python with what that file asks for, installed once into the target folder; or why there is none.
pub(crate) fn python_with(requirements: &str) -> Result<PathBuf, String> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let requirements = script(requirements);
    let text = std::fs::read(&requirements).expect("the project has it");
    let name = format!("python-{}", &blake3::hash(&text).to_hex()[..12]);
    let folder = scratch().join(name);
    let python = folder.join("bin/python");
    if !folder.join("ready").is_file() {
        let run = |command: &mut Command| {
            let output = command.output().map_err(|error| error.to_string())?;
            if output.status.success() {
                Ok(())
            } else {
                Err(String::from_utf8_lossy(&output.stderr).into_owned())
            }
        };
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
        run(Command::new(&python).args(pip).arg(&requirements))?;
        std::fs::write(folder.join("ready"), "").expect("the scratch takes files");
    }
    Ok(python)
}

fn script(name: &str) -> PathBuf {
    root().join("host/tests/emulators").join(name)
}

fn scratch() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("emulators");
    std::fs::create_dir_all(&folder).expect("the target folder takes folders");
    folder
}

/// A port that nobody listens on, given once. It is none of those that the kernel gives: what starts on
/// it takes seconds to get there, and a connection could have it by then.
pub(crate) fn free_port() -> u16 {
    static ASKED: AtomicU32 = AtomicU32::new(0);
    let count = u32::from(PORTS.end - PORTS.start);
    // Processes of tests that run beside each other begin at other ones.
    let first = std::process::id().wrapping_mul(97);
    for _ in 0..count {
        let nth = first.wrapping_add(ASKED.fetch_add(1, Ordering::Relaxed)) % count;
        let port = PORTS.start + u16::try_from(nth).expect("it is below their count");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("all ports of {PORTS:?} are taken")
}

#[test]
fn a_free_port_is_given_once_and_the_kernel_gives_none_of_them() {
    let path = "/proc/sys/net/ipv4/ip_local_port_range";
    let range = std::fs::read_to_string(path).expect("Linux tells");
    let numbers: Vec<u16> = range.split_whitespace().map(|port| port.parse().unwrap()).collect();
    let asked: std::collections::BTreeSet<u16> = (0..500).map(|_| free_port()).collect();
    assert_eq!(asked.len(), 500);
    assert!(
        asked.iter().all(|port| !(numbers[0]..=numbers[1]).contains(port)),
        "{range}: {asked:?}"
    );
}

/// The JSON that a service answers, be it an error; `None` where it does not answer, or not in JSON.
pub(crate) fn request(
    address: &str,
    method: &str,
    path: &str,
    body: Option<&Json>,
) -> Option<Json> {
    let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None);
    let agent: ureq::Agent = config.timeout_global(Some(Duration::from_secs(30))).build().into();
    let request = ureq::http::Request::builder()
        .method(method)
        .uri(format!("http://{address}{path}"))
        .header("content-type", "application/json");
    let answer = match body {
        Some(body) => agent.run(request.body(body.to_string()).ok()?),
        None => agent.run(request.body(()).ok()?),
    };
    answer.ok()?.body_mut().read_json().ok()
}
