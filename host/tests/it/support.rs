//! What the tests share: built guests, a scratch folder, the binary.

use std::borrow::BorrowMut;
use std::fs::Permissions;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, LazyLock, Mutex};
use std::thread::JoinHandle;

use clickmill_sandbox::build::{Freshness, Install, build};
use serde_json::Value as Json;

/// Long enough for a key; every test masks with it.
pub(crate) const KEY: &str = "a key for tests, 32 bytes or more";

/// The root of the project.
pub(crate) fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(2).expect("`host/cli` lies in the project").to_owned()
}

/// The component of a guest, built once however many tests want it.
pub(crate) fn component(folder: &str) -> PathBuf {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    build(&root().join(folder), Freshness::Sources, Install::Allowed).expect("the guest builds")
}

/// The component of a guest, with a section of no meaning at its end: another, which does the same.
pub(crate) fn another(folder: &str) -> Vec<u8> {
    let mut bytes = std::fs::read(component(folder)).expect("the guest can be read");
    bytes.extend([0, 4, 3, b'a', b'b', b'c']);
    bytes
}

/// Writes other bytes over some, wherever a component has them. Returns in how many places.
pub(crate) fn write_over(component: &mut [u8], these: &[u8], other: &[u8]) -> usize {
    let places: Vec<usize> = (0..component.len() - these.len())
        .filter(|at| component[*at..].starts_with(these))
        .collect();
    for at in &places {
        component[*at..*at + these.len()].copy_from_slice(other);
    }
    places.len()
}

/// How a pipeline file begins: where its records come from, its table, and in the same dataset its letters,
/// of which there may be any number.
pub(crate) fn head(name: &str, source: &str, table: &str, schema: &str) -> String {
    let (dataset, _) = table.split_once('.').expect("`dataset.table`");
    let letters = root().join("schemas/dead_letter.json");
    format!(
        r#"
name = "{name}"
source = {{ {source} }}
sink = {{ table = "{table}", schema = "{schema}" }}
dead_letter = {{ table = "{dataset}.dead_letter", schema = "{}", max_rejected_share = 1.0 }}
"#,
        letters.display()
    )
}

/// The stage that makes columns of records, and keeps aside what has none.
pub(crate) fn parse_stage(format: &str, reads: &str, columns: &str) -> String {
    let component = root().join("plugins/parse");
    format!(
        r#"
[[plugin]]
name = "parse"
component = "{}"
reads = ["{reads}"]
writes = ["*"]
config = {{ format = "{format}", unknown = "keep", columns = [{columns}] }}
"#,
        component.display()
    )
}

/// The stage of the guest that misbehaves, as its configuration says. More of its keys may follow.
pub(crate) fn hostile_stage(misdeed: &str) -> String {
    let component = component("host/tests/hostile");
    format!(
        r#"
[[plugin]]
name = "hostile"
component = "{}"
reads = ["payload"]
writes = ["out", "flag"]
config = {{ misdeed = "{misdeed}" }}
"#,
        component.display()
    )
}

/// The components of the four plugins, so that no test waits for the compiler inside a run.
pub(crate) fn plugins() {
    for name in ["parse", "enrich", "mask", "validate"] {
        component(&format!("plugins/{name}"));
    }
}

/// A scratch folder with a warehouse in it.
pub(crate) struct Scratch {
    pub folder: tempfile::TempDir,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        // Built before any test asks it, so that none waits for the compiler inside a run.
        static SQL_ENGINE: LazyLock<PathBuf> =
            LazyLock::new(|| clickmill_query::prepare().expect("the SQL engine builds"));
        LazyLock::force(&SQL_ENGINE);
        Self { folder: tempfile::tempdir().expect("a scratch folder") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).expect("the scratch folder takes files");
        path
    }

    /// A script of the shell, which may be run.
    pub(crate) fn program(&self, name: &str, script: impl AsRef<[u8]>) -> PathBuf {
        let path = self.write(name, script);
        std::fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("it is the test's");
        path
    }

    /// Where programs are looked for: in the scratch folder first.
    pub(crate) fn search_path(&self) -> String {
        let path = std::env::var("PATH").expect("a path");
        format!("{}:{path}", self.folder.path().display())
    }

    pub(crate) fn warehouse(&self) -> String {
        self.path("warehouse").to_string_lossy().into_owned()
    }

    /// Whether a load into the warehouse has begun: it has a folder of its own among what is staged.
    pub(crate) fn has_staged(&self) -> bool {
        let staged = std::fs::read_dir(self.path("warehouse/_staging"));
        staged.into_iter().flatten().flatten().any(|entry| entry.path().is_dir())
    }

    /// The binary, in the scratch folder, with this warehouse.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.command_of(Path::new(env!("CARGO_BIN_EXE_clickmill")), arguments)
    }

    /// A copy of the binary, in the scratch folder, with this warehouse.
    pub(crate) fn command_of(&self, binary: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary);
        command
            .current_dir(self.folder.path())
            .args(arguments)
            .arg("--warehouse")
            .arg(self.warehouse())
            .env("CLICKMILL_MASK_KEY", KEY)
            .env("GOOGLE_CLOUD_PROJECT", "test-project")
            .env("CLICKMILL_CACHE", cache())
            // Where processes say where they are: among the tests' own things.
            .env_remove("XDG_RUNTIME_DIR");
        fence(&mut command);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the binary starts")
    }

    /// Runs what must succeed, and returns its standard output.
    #[track_caller]
    pub(crate) fn done(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// The command that runs a pipeline with other settings.
    pub(crate) fn load(&self, pipeline: &Path, set: &[&str]) -> Command {
        let pipeline = pipeline.to_string_lossy();
        let mut arguments = vec!["run", "--json", &pipeline];
        arguments.extend(set.iter().flat_map(|set| ["--set", set]));
        self.command(&arguments)
    }

    /// Runs a pipeline and returns its summary.
    #[track_caller]
    pub(crate) fn summary(&self, pipeline: &Path, set: &[&str]) -> Json {
        summary(&self.load(pipeline, set).output().expect("the binary starts"))
    }

    /// The rows of a query.
    #[track_caller]
    pub(crate) fn query(&self, sql: &str) -> Vec<Json> {
        let text = self.done(&["query", "--json", sql]);
        text.lines().map(|line| serde_json::from_str(line).expect("a row")).collect()
    }

    /// The one number that a query answers.
    #[track_caller]
    pub(crate) fn number(&self, sql: &str) -> u64 {
        let rows = self.query(sql);
        let row = rows.first().and_then(Json::as_object).expect("one row");
        row.values().next().and_then(Json::as_u64).expect("one number")
    }
}

/// Runs a command that must succeed, and returns its standard output.
#[track_caller]
pub(crate) fn succeeds(mut command: impl BorrowMut<Command>) -> String {
    let command: &mut Command = command.borrow_mut();
    let output = command.output().expect("the program starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}{errors}");
    said
}

/// The cache of all that tests start.
pub(crate) fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled")
}

/// The admin interface of a process, and an operator's token for it.
#[derive(Debug, Clone)]
pub(crate) struct Interface {
    /// Where it is, such as `127.0.0.1:8080`.
    pub address: String,
    /// What an operator shows.
    pub bearer: String,
}

impl Interface {
    /// That of a process of ours, which has told where it is.
    #[track_caller]
    pub(crate) fn of(process: u32, address: &str) -> Self {
        let said = std::fs::read_dir(cache().join("processes")).expect("a folder of processes");
        let ours = format!("{process}-");
        let mut said = said.map(|entry| entry.expect("an entry").path()).filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(&ours) && name.ends_with(".json")
        });
        let found = said.find_map(|path| {
            let said: Json = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
            let port = |address: &str| address.rsplit(':').next().map(str::to_owned);
            let is_here = port(said["admin"].as_str()?) == port(address);
            is_here.then(|| said["token"].as_str().map(str::to_owned))?
        });
        let token = found.unwrap_or_else(|| panic!("{process} has not said that it is {address}"));
        Self { address: address.to_owned(), bearer: format!("Bearer {token}") }
    }

    /// Status and text of what an operator is answered.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        let request = agent().get(format!("http://{}{path}", self.address));
        let answer = request.header("authorization", &self.bearer).call();
        let mut answer = answer.expect("an answer");
        (answer.status().as_u16(), answer.body_mut().read_to_string().expect("text"))
    }

    /// Status and JSON of what an operator is answered.
    #[track_caller]
    pub(crate) fn json(&self, path: &str) -> (u16, Json) {
        let (status, text) = self.get(path);
        (status, serde_json::from_str(&text).unwrap_or(Json::String(text)))
    }

    /// A new link that opens the page, from the first slash on.
    #[track_caller]
    pub(crate) fn link(&self) -> String {
        let request = agent().post(format!("http://{}/v1/links", self.address));
        let answer = request.header("authorization", &self.bearer).send_empty();
        let link: Json = answer.expect("an answer").body_mut().read_json().expect("JSON");
        link["path"].as_str().expect("a path").to_owned()
    }

    /// What a browser shows that has opened a link.
    #[track_caller]
    pub(crate) fn session(&self) -> String {
        let link = self.link();
        let (_, code) = link.split_once("#open=").expect("a code");
        let request = agent().post(format!("http://{}/v1/sessions", self.address));
        let answer = request.send_json(serde_json::json!({ "code": code }));
        let session: Json = answer.expect("an answer").body_mut().read_json().expect("JSON");
        format!("Bearer {}", session["token"].as_str().expect("a token"))
    }
}

/// Asks without a proxy, and takes errors for answers.
pub(crate) fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None);
    config.build().into()
}

/// A process that a test has started. It does not outlive the test, whichever way that ends.
pub(crate) struct Process {
    child: Option<Child>,
    /// What it prints, standard output first, where it is listened to.
    said: Option<[JoinHandle<Vec<u8>>; 2]>,
}

impl Process {
    pub(crate) fn spawn(command: &mut Command) -> Self {
        Self { child: Some(command.spawn().expect("the program starts")), said: None }
    }

    /// Starts one whose output is wanted later. It is read from now on: a pipe that nobody reads is full after
    /// 64 KiB, and holds whoever writes to it.
    pub(crate) fn listen(command: &mut Command) -> Self {
        let mut process = Self::spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
        let (stdout, stderr) = (process.stdout.take(), process.stderr.take());
        process.said = Some([all_of(stdout.expect("a pipe")), all_of(stderr.expect("a pipe"))]);
        process
    }

    /// Waits for its end, and returns what it has printed.
    pub(crate) fn wait_with_output(mut self) -> io::Result<Output> {
        let mut child = self.child.take().expect("it is there until it is dropped");
        let Some(said) = self.said.take() else { return child.wait_with_output() };
        drop(child.stdin.take());
        let status = child.wait()?;
        let [stdout, stderr] = said.map(|said| said.join().expect("no thread panics"));
        Ok(Output { status, stdout, stderr })
    }
}

fn all_of(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut said = Vec::new();
        // What was read before an error is kept.
        let _ = pipe.read_to_end(&mut said);
        said
    })
}

impl Deref for Process {
    type Target = Child;

    fn deref(&self) -> &Child {
        self.child.as_ref().expect("it is there until it is dropped")
    }
}

impl DerefMut for Process {
    fn deref_mut(&mut self) -> &mut Child {
        self.child.as_mut().expect("it is there until it is dropped")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking()
            && let Some(said) = self.said.take()
        {
            for said in said.into_iter().filter_map(|said| said.join().ok()) {
                eprintln!(
                    "a process said, before the test failed:\n{}",
                    String::from_utf8_lossy(&said)
                );
            }
        }
    }
}

#[test]
fn a_process_does_not_outlive_a_test_that_fails() {
    let (mut command, mut id) = (Command::new("sleep"), 0);
    let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let process = Process::spawn(command.arg("1000"));
        id = process.id();
        panic!("as a test does that fails");
    }));
    assert!(failed.is_err());
    assert!(!Path::new(&format!("/proc/{id}")).exists());
}

/// A dashboard without a running pipeline.
pub(crate) struct Dashboard {
    /// How it is asked.
    pub at: Interface,
    /// What it has said since, line by line.
    pub talk: Arc<Mutex<Vec<String>>>,
    _process: Process,
}

impl Dashboard {
    /// Starts one over the warehouse, and waits until it is there.
    #[track_caller]
    pub(crate) fn start(scratch: &Scratch, arguments: &[&str]) -> Self {
        let serve = ["dashboard", "--listen", "127.0.0.1:0"];
        Self::of(scratch.command(&[&serve[..], arguments].concat()))
    }

    /// The one that a command starts.
    #[track_caller]
    pub(crate) fn of(mut command: Command) -> Self {
        let mut process = Process::spawn(command.stderr(Stdio::piped()));
        let mut lines = BufReader::new(process.stderr.take().expect("a pipe")).lines();
        // Warnings may come before it.
        let line = lines.find_map(|line| line.ok().filter(|line| line.starts_with("dashboard: ")));
        let line = line.expect("it says where it is");
        let url = line.split_whitespace().nth(1).unwrap_or_else(|| panic!("{line}"));
        let address = url.trim_start_matches("http://").trim_end_matches('/');
        let at = Interface::of(process.id(), address);
        let talk = Arc::<Mutex<Vec<String>>>::default();
        let told = talk.clone();
        std::thread::spawn(move || {
            lines.map_while(Result::ok).for_each(|line| told.lock().expect("a list").push(line));
        });
        Self { at, talk, _process: process }
    }
}

/// A command as a program runs it that finds it behind its own arguments.
fn run_by(program: &str, arguments: &[&str], run: &Command) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).arg(run.get_program()).args(run.get_args());
    if let Some(folder) = run.get_current_dir() {
        command.current_dir(folder);
    }
    for (name, value) in run.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

/// A command as a shell runs it once it has done something else, such as `umask 077`.
pub(crate) fn after(first: &str, run: &Command) -> Command {
    run_by("sh", &["-c", &format!("{first}; exec \"$0\" \"$@\"")], run)
}

/// A command on a terminal of Python's making, which passes on what it is given.
pub(crate) fn on_a_terminal(run: &Command) -> Command {
    let terminal =
        "import os, pty, sys\nsys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
    run_by("python3", &["-c", terminal], run)
}

/// Keeps a command on this machine: whatever asks beyond loopback finds a closed port.
fn fence(command: &mut Command) {
    const CLOSED: &str = "127.0.0.1:9";
    for name in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"] {
        command.env(name, format!("http://{CLOSED}"));
    }
    for name in ["no_proxy", "NO_PROXY"] {
        command.env(name, "127.0.0.1,localhost,::1");
    }
    for name in ["GCE_METADATA_HOST", "GCE_METADATA_ROOT", "GCE_METADATA_IP", "METADATA_HOST"] {
        command.env(name, CLOSED);
    }
    command.env_remove("GOOGLE_APPLICATION_CREDENTIALS");
}

/// The files in a folder and in all below it.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Says that a test is not run for want of a program, past the harness, which keeps what passing tests
/// print to itself. CI fails on such a line.
pub(crate) fn not_run(test: &str, why: &str) {
    // Whoever has closed the stream does not want to know.
    let _ = writeln!(std::io::stderr(), "NOT RUN {test}: {why}");
}

/// Where a program is, of the folders that `PATH` names.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// A program, which is installed with apt first where that is there and allowed.
pub(crate) fn installed(program: &str, packages: &[&str]) -> Option<PathBuf> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    on_path(program).or_else(|| {
        let install = format!("apt-get install -y --no-install-recommends {}", packages.join(" "));
        // Without the right to install it fails, and is not there.
        let _ = Command::new("sh")
            .args(["-c", &format!("{install} || (apt-get update && {install})")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        on_path(program)
    })
}

/// The summary of a run that ended well.
#[track_caller]
pub(crate) fn summary(output: &Output) -> Json {
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?}: {talk}", output.status);
    let summary: Json = serde_json::from_slice(&output.stdout).expect("a summary");
    conserved(&summary);
    summary
}

/// in + made = out + rejected + filtered, where plugins make several rows of a record; and every record has a
/// row, a letter, or is filtered whole.
#[track_caller]
pub(crate) fn conserved(summary: &Json) {
    let count = |key: &str| summary[key].as_u64().expect("a count");
    let out = count("rows_out") + count("rows_rejected") + count("rows_filtered");
    let records = &summary["records"];
    let of_records = |key: &str| records[key].as_u64().expect("a count");
    let made = if records.is_null() { 0 } else { of_records("rows_made") };
    assert_eq!(count("rows_in") + made, out, "{summary:#}");
    if !records.is_null() {
        let kept = of_records("with_rows") + of_records("with_letters_only");
        assert_eq!(count("rows_in"), kept + of_records("filtered_whole"), "{summary:#}");
    }
}

/// The standard error of a command, without the scratch folder and the project's own place in it.
pub(crate) fn talk(output: &Output, scratch: &Scratch) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let scratch = scratch.folder.path().to_string_lossy().into_owned();
    let text = text.replace(&scratch, "<scratch>");
    text.replace(&*root().to_string_lossy(), "<project>")
}
