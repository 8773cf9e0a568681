//! The READMEs, read as a person reads them: in a fresh clone, block by block, files written and commands
//! run as they stand there.
//!
//! The clone lies in the target folder and is made anew by each test; what is built there is kept, so that
//! only the first run waits for the compiler.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value as Json;

use crate::cloud::{signal, wait_until};
use crate::emulators::DockerRegistry;
use crate::languages::{C, GO, GO_INSTALLED};
use crate::languages_javascript::JAVASCRIPT;
use crate::languages_python::PYTHON;
use crate::languages_scripts::tools;
use crate::support::{Dashboard, Process, Scratch, plugins, root};

/// A fenced block of a Markdown file.
#[derive(Debug, PartialEq)]
pub(crate) struct Block {
    /// What stands behind the opening fence; nothing where it is a shell's.
    pub language: String,
    /// Its lines, each with its end.
    pub text: String,
    /// The heading above it, of whatever level.
    pub heading: String,
    /// The paragraph right before it, as one line; empty where another block or a heading is.
    pub preceding_text: String,
}

/// All fenced blocks of a Markdown file, in order.
pub(crate) fn blocks(markdown: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let (mut heading, mut paragraph, mut ended) = (String::new(), String::new(), false);
    let mut lines = markdown.lines();
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let mut text = String::new();
            loop {
                match lines.next() {
                    Some("```") => break,
                    Some(line) => text.extend([line, "\n"]),
                    None => panic!("a block does not end:\n{text}"),
                }
            }
            blocks.push(Block {
                language: language.to_owned(),
                text,
                heading: heading.clone(),
                preceding_text: std::mem::take(&mut paragraph),
            });
        } else if line.starts_with('#') {
            heading = line.trim_start_matches('#').trim().to_owned();
            paragraph.clear();
        } else if line.trim().is_empty() {
            ended = true;
        } else {
            if std::mem::take(&mut ended) {
                paragraph.clear();
            }
            if !paragraph.is_empty() {
                paragraph.push(' ');
            }
            paragraph.push_str(line);
        }
    }
    blocks
}

impl Block {
    /// The file it belongs into: what the text before it names last, in backticks.
    fn file(&self) -> Option<&str> {
        let named = self.preceding_text.split('`').skip(1).step_by(2);
        named.filter(|word| word.contains('/') && !word.contains(['*', ' '])).last()
    }

    /// The stage it belongs behind, where the text before it names one.
    fn stage_before(&self) -> Option<&str> {
        let (_, named) = self.preceding_text.split_once("after `")?;
        named.split('`').next()
    }

    /// The lines that a shell gets.
    fn commands(&self) -> impl Iterator<Item = &str> {
        let is_shell = self.language.is_empty();
        self.text.lines().filter(move |line| is_shell && !line.trim().is_empty())
    }
}

#[test]
fn blocks_know_what_stands_before_them() {
    let found = blocks(
        "# One\ntext\n\nof `a/b.rs`,\nand `c`:\n\n```rust\nfn main() {}\n\n```\n\n```\nls\n```\n\
         ## Two\n```toml\n# no heading\n```\n",
    );
    let block = |language: &str, text: &str, heading: &str, preceding_text: &str| {
        let [language, text, heading, preceding_text] =
            [language, text, heading, preceding_text].map(str::to_owned);
        Block { language, text, heading, preceding_text }
    };
    let wanted = [
        block("rust", "fn main() {}\n\n", "One", "of `a/b.rs`, and `c`:"),
        block("", "ls\n", "One", ""),
        block("toml", "# no heading\n", "Two", ""),
    ];
    assert_eq!(found, wanted);
    assert_eq!(found[0].file(), Some("a/b.rs"));
    assert_eq!(found[1].commands().collect::<Vec<_>>(), ["ls"]);
}

/// How a line begins, and what the reader does before it.
type Before = (&'static str, fn(&Reader));

/// What is special about a README. Lines are told by how they begin; all others are run, and have to end
/// well.
#[derive(Default)]
struct Special {
    /// Languages of blocks that are only looked at, and why.
    shown: &'static [(&'static str, &'static str)],
    /// Lines that are left to people, and why.
    excused: &'static [(&'static str, &'static str)],
    /// Lines that go on until Ctrl-C, and what they say once they do what they are for. The reader ends
    /// them when all else is done.
    endless: &'static [(&'static str, &'static str)],
    /// What the reader does before a line, if it is not done yet.
    before: &'static [Before],
}

impl Special {
    /// Each exception is one that the README still needs.
    fn check(&self, blocks: &[Block]) {
        let shown = self.shown.iter().map(|(language, _)| *language);
        let unused = |language: &&str| blocks.iter().all(|block| block.language != *language);
        assert_eq!(shown.filter(unused).collect::<Vec<_>>(), [""; 0], "no block is of these");
        let begins = self.excused.iter().chain(self.endless).map(|(begin, _)| *begin);
        let begins = begins.chain(self.before.iter().map(|(begin, _)| *begin));
        let lines: Vec<&str> = blocks.iter().flat_map(Block::commands).collect();
        let unused = |begin: &&str| !lines.iter().any(|line| line.starts_with(*begin));
        assert_eq!(begins.filter(unused).collect::<Vec<_>>(), [""; 0], "no line begins like that");
    }
}

/// Somebody with a fresh clone, `clickmill` on the path and a shell.
struct Reader {
    /// The top folder of the clone.
    folder: PathBuf,
    /// What the shell has in its environment.
    environment: BTreeMap<OsString, OsString>,
    /// What goes on until Ctrl-C.
    running: Vec<Running>,
    /// Every line that was run to its end, with what it printed.
    printed: Vec<(String, String)>,
    /// There is one clone: readers wait for each other.
    _alone: File,
}

/// A line that goes on.
struct Running {
    line: String,
    child: Process,
    said: Arc<Mutex<String>>,
}

impl Reader {
    fn new() -> Self {
        // The toolchain, and all that is downloaded to build plugins, is there afterwards.
        plugins();
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("readme");
        let (folder, target) = (place.join("clone"), place.join("target"));
        fs::create_dir_all(&folder).unwrap();
        let alone = File::create(place.join("lock")).unwrap();
        alone.lock().unwrap();
        fresh_clone(&folder);
        let mut reader = Self {
            folder,
            environment: environment(),
            running: Vec::new(),
            printed: Vec::new(),
            _alone: alone,
        };
        let binary = Path::new(env!("CARGO_BIN_EXE_clickmill")).parent().unwrap();
        let path = reader.environment.get(OsStr::new("PATH")).cloned().unwrap_or_default();
        let path = std::iter::once(binary.to_owned()).chain(std::env::split_paths(&path));
        reader.set("PATH", std::env::join_paths(path).unwrap());
        // Where the clone lies, the outermost lock file above a plugin is that of the project itself.
        reader.set("CARGO_TARGET_DIR", target);
        reader.set("CARGO_NET_OFFLINE", "true");
        reader
    }

    fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.environment.insert(name.into(), value.into());
    }

    /// Has Go on the path, the one that clickmill has installed or else that of the machine, without the network.
    fn has_go(&mut self) {
        let path = self.environment.get(OsStr::new("PATH")).cloned().unwrap_or_default();
        let installed = std::iter::once(tools().join(GO_INSTALLED));
        let path = installed.chain(std::env::split_paths(&path));
        self.set("PATH", std::env::join_paths(path).unwrap());
        self.set("GOCACHE", tools().join("go-cache"));
        self.set("GOPROXY", "off");
        self.set("GOTOOLCHAIN", "local");
    }

    /// Does what a README says, from its top to its end.
    fn follow(&mut self, readme: &str, special: &Special) -> Vec<Block> {
        let blocks = blocks(&fs::read_to_string(self.folder.join(readme)).unwrap());
        special.check(&blocks);
        for block in &blocks {
            let is_shown = special.shown.iter().any(|(language, _)| *language == block.language);
            match block.file() {
                _ if block.language.is_empty() => {
                    for line in block.commands() {
                        self.follow_line(line, special);
                    }
                }
                _ if is_shown => {}
                Some(file) => self.write(block, file),
                None => panic!("{readme}, {}: into which file?\n{}", block.heading, block.text),
            }
        }
        self.interrupt();
        blocks
    }

    /// Writes a block into its file: a new one, at the end of one, or into a pipeline file.
    fn write(&self, block: &Block, file: &str) {
        let path = self.folder.join(file);
        let appended = block.preceding_text.contains(&format!("the end of `{file}`"));
        let text = match (fs::read_to_string(&path).ok(), block.stage_before()) {
            (None, None) if !appended => block.text.clone(),
            (Some(before), None) if appended => format!("{before}\n{}", block.text),
            (Some(pipeline), Some(stage)) => with_stage(&pipeline, stage, &block.text),
            (before, _) => panic!(
                "where in `{file}`, which is {}? {}",
                if before.is_some() { "there" } else { "not there" },
                block.preceding_text
            ),
        };
        put(&path, text.as_bytes());
    }

    fn follow_line(&mut self, line: &str, special: &Special) {
        let begins = |(begin, _): &&(&str, &str)| line.starts_with(begin);
        if let Some((_, why)) = special.excused.iter().find(begins) {
            println!("left out: {line} ({why})");
            return;
        }
        for (begin, act) in special.before {
            if line.starts_with(begin) {
                act(self);
            }
        }
        let line = if line.contains(A_LETTER) {
            line.replace(A_LETTER, &self.letter(line))
        } else {
            line.to_owned()
        };
        if let Some((_, sign)) = special.endless.iter().find(begins) {
            return self.start(&line, sign);
        }
        if line.starts_with("export ") {
            return self.export(&line);
        }
        let mut printed = String::new();
        // Of a stream there is something to see only after a moment: whoever asks too early asks again.
        wait_until(&format!("an answer of `{line}`"), || {
            printed = self.run(&line);
            let asks = ["clickmill query ", "clickmill dead-letter list "];
            !asks.iter().any(|ask| line.starts_with(ask)) || printed.lines().count() > EMPTY_TABLE
        });
        self.printed.push((line, printed));
    }

    /// A shell that runs a line.
    fn shell(&self, line: &str) -> Command {
        let mut shell = Command::new("bash");
        shell.args(["-c", line]).current_dir(&self.folder);
        shell.env_clear().envs(&self.environment).stdin(Stdio::null());
        shell
    }

    /// Runs a line that has to end well, and returns what it prints.
    #[track_caller]
    fn run(&self, line: &str) -> String {
        let output = self.shell(line).output().expect("bash is there");
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "`{line}` fails, {}\n{printed}{errors}", output.status);
        printed
    }

    /// Runs a line that sets variables for those after it.
    fn export(&mut self, line: &str) {
        let output = self.shell(&format!("{line}\nenv -0")).output().expect("bash is there");
        assert!(output.status.success(), "`{line}` fails: {output:?}");
        let variables = output.stdout.split(|byte| *byte == 0);
        let variables = variables.filter_map(|variable| {
            let at = variable.iter().position(|byte| *byte == b'=')?;
            let [name, value] = [&variable[..at], &variable[at + 1..]];
            Some((OsString::from_vec(name.to_vec()), OsString::from_vec(value.to_vec())))
        });
        self.environment = variables.collect();
    }

    /// Starts a line that goes on, and waits until it says what it is to say.
    fn start(&mut self, line: &str, sign: &str) {
        // `env` for the sake of lines that set variables first.
        let mut shell = self.shell(&format!("exec env {line}"));
        let shell = shell.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = Process::spawn(shell);
        let said = Arc::new(Mutex::new(String::new()));
        let streams: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for stream in streams {
            let said = said.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    said.lock().unwrap().extend([line.as_str(), "\n"]);
                }
            });
        }
        self.running.push(Running { line: line.to_owned(), child, said });
        let running = self.running.last_mut().unwrap();
        wait_until(&format!("`{sign}` of `{line}`"), || {
            let ended = running.child.try_wait().unwrap();
            assert!(ended.is_none(), "`{line}` has ended:\n{}", running.said());
            running.said().contains(sign)
        });
        let said = running.said();
        if let Some(address) = said.lines().find_map(|line| line.strip_prefix("admin interface: "))
        {
            // Another one than usual where the usual one is taken.
            self.set("CLICKMILL_ADMIN", address);
        }
    }

    /// Ctrl-C for all that goes on, the last one first: a tap before the pipeline that it is at.
    fn interrupt(&mut self) {
        while let Some(mut running) = self.running.pop() {
            signal(&running.child, "-INT");
            let status = running.child.wait().unwrap();
            let line = &running.line;
            // Who has nothing to finish ends by the signal.
            let is_well = status.success() || status.signal() == Some(SIGINT);
            assert!(is_well, "`{line}` ends badly, {status}:\n{}", running.said());
        }
    }

    /// How the id of a letter begins: one of the pipeline that the line names, or of any.
    fn letter(&self, line: &str) -> String {
        let pipeline = line.split_whitespace().find(|word| word.ends_with(".toml"));
        let condition = pipeline.map_or("TRUE".to_owned(), |file| {
            let text = fs::read_to_string(self.folder.join(file)).unwrap();
            let name = text.lines().find_map(|line| line.strip_prefix("name = ")).unwrap();
            format!("pipeline = '{}'", name.trim_matches('"'))
        });
        let list = format!("clickmill dead-letter list --json --limit 1 --where \"{condition}\"");
        let mut letter = String::new();
        wait_until("a letter", || {
            let listed: Json = serde_json::from_str(&self.run(&list)).unwrap_or_default();
            letter = listed["letter"].as_str().unwrap_or_default().to_owned();
            !letter.is_empty()
        });
        letter
    }

    /// The line that begins like that, and what it printed.
    #[track_caller]
    fn printed(&self, begin: &str) -> (&str, &str) {
        let found = self.printed.iter().find(|(line, _)| line.starts_with(begin));
        let (line, printed) = found.unwrap_or_else(|| panic!("no line was run like `{begin}…`"));
        (line.as_str(), printed.as_str())
    }

    /// The rows that the line shows which begins with this verb.
    #[track_caller]
    fn rows(&self, verb: &str) -> Vec<Json> {
        let (line, _) = self.printed(verb);
        let text = self.run(&line.replacen(verb, &format!("{verb} --json"), 1));
        text.lines().map(|line| serde_json::from_str(line).expect("a row")).collect()
    }
}

/// What stands in the READMEs for the id of a letter.
const A_LETTER: &str = "0a1b2c3d";
/// Lines of a printed table without rows.
const EMPTY_TABLE: usize = 4;
/// The signal that Ctrl-C sends.
const SIGINT: i32 = 2;

impl Running {
    /// What it has said so far.
    fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }
}

/// The environment of all tests, which keeps commands on this machine, and nothing that only a test has
/// set.
fn environment() -> BTreeMap<OsString, OsString> {
    let is_ours = |name: &OsStr| name.to_string_lossy().starts_with("CLICKMILL_");
    let mut environment: BTreeMap<OsString, OsString> =
        std::env::vars_os().filter(|(name, _)| !is_ours(name)).collect();
    let command = Scratch::new().command(&[]);
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => environment.insert(name.to_owned(), value.to_owned()),
            None => environment.remove(name),
        };
    }
    for name in ["CLICKMILL_MASK_KEY", "GOOGLE_CLOUD_PROJECT", "CLICKSTREAM_BUCKET"] {
        environment.remove(OsStr::new(name));
    }
    environment
}

/// Makes a folder a fresh clone: what git tracks, as it lies in the working tree, and nothing else. A file
/// that is there already is not written again, since cargo goes by the time of it.
fn fresh_clone(folder: &Path) {
    let tracked = tracked();
    prune(folder, Path::new(""), &tracked);
    for name in &tracked {
        put(&folder.join(name), &fs::read(root().join(name)).unwrap());
    }
}

/// The files that git tracks.
pub(crate) fn tracked() -> BTreeSet<PathBuf> {
    let mut git = Command::new("git");
    let git = git.args(["-c", "safe.directory=*", "ls-files", "-z"]).current_dir(root());
    let listed = git.output().expect("git is there");
    let errors = String::from_utf8_lossy(&listed.stderr);
    assert!(listed.status.success(), "the project is no git checkout: {errors}");
    let names = String::from_utf8(listed.stdout).expect("names of files");
    let names = names.split_terminator('\0').map(PathBuf::from);
    names.filter(|name| root().join(name).is_file()).collect()
}

/// Removes what is not tracked.
fn prune(folder: &Path, below: &Path, tracked: &BTreeSet<PathBuf>) {
    for entry in fs::read_dir(folder.join(below)).unwrap() {
        let name = below.join(entry.unwrap().file_name());
        let path = folder.join(&name);
        if path.is_dir() {
            if tracked.iter().any(|file| file.starts_with(&name)) {
                prune(folder, &name, tracked);
            } else {
                fs::remove_dir_all(&path).unwrap();
            }
        } else if !tracked.contains(&name) {
            fs::remove_file(&path).unwrap();
        }
    }
}

/// Writes a file that is not like that yet.
fn put(path: &Path, bytes: &[u8]) {
    if fs::read(path).is_ok_and(|there| there == bytes) {
        return;
    }
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// A pipeline file with one more stage, behind another.
fn with_stage(pipeline: &str, before: &str, block: &str) -> String {
    const HEADER: &str = "[[plugin]]\n";
    let new = block.strip_prefix(HEADER).expect("a stage begins with its header");
    let new = format!("{new}\n");
    let mut parts: Vec<&str> = pipeline.split(HEADER).collect();
    let named = format!("name = \"{before}\"\n");
    let at = parts.iter().position(|part| part.starts_with(&named));
    let at = at.unwrap_or_else(|| panic!("there is no stage `{before}` in\n{pipeline}"));
    assert!(at + 1 < parts.len(), "other tables follow on stage `{before}`");
    parts.insert(at + 1, &new);
    parts.join(HEADER)
}

#[test]
fn the_first_plugin_builds_in_a_fresh_clone_and_does_what_its_readme_says() {
    let mut reader = Reader::new();
    let registry = DockerRegistry::start("sharing a plugin as its README says");
    if let Some(registry) = &registry {
        reader.set("REGISTRY", format!("{}/plugins", registry.address));
    }
    let special = Special {
        shown: &[("python", SHOUTS), ("javascript", SHOUTS), ("go", SHOUTS), ("c", SHOUTS)],
        endless: &[("clickmill run traffic-source/", ALL_ARE_LOADED)],
        excused: if registry.is_some() { &OWN_REGISTRY } else { &NO_REGISTRY },
        ..Special::default()
    };
    let blocks = reader.follow("plugins/README.md", &special);
    let of = |language: &str| -> String {
        let blocks = blocks.iter().filter(|block| block.language == language);
        blocks.map(|block| block.text.as_str()).collect()
    };
    let rust = of("rust");

    let tests = rust.matches("#[test]").count();
    let (_, tested) = reader.printed("cargo test --manifest-path plugins/");
    assert!(tests > 0 && tested.contains(&format!("ok. {tests} passed")), "{tests}: {tested}");

    let golden: Json = serde_json::from_str(&of("json")).expect("one file of golden cases");
    let cases = golden["cases"].as_array().map_or(0, Vec::len);
    let (_, passed) = reader.printed("clickmill plugin test plugins/");
    assert_eq!(passed, format!("{cases} golden cases pass\n"));

    let rows = reader.rows("clickmill query");
    let countries: Vec<&str> = rows.iter().filter_map(|row| row["country"].as_str()).collect();
    assert!(countries.len() > 1, "{rows:?}");
    for country in countries {
        assert_eq!(country, country.to_uppercase());
    }

    let letters = reader.rows("clickmill dead-letter list");
    assert!(!letters.is_empty(), "nothing was refused");
    for letter in letters {
        let code = letter["code"].as_str().unwrap_or_default();
        assert!(rust.contains(&format!("reject(\"{code}\"")), "{letter}");
    }
}

const OWN_REGISTRY: [(&str, &str); 1] = [("export REGISTRY=", "the test has one of its own")];
const NO_REGISTRY: [(&str, &str); 10] = [
    ("export REGISTRY=", NO_REGISTRY_HERE),
    ("clickmill plugin push", NO_REGISTRY_HERE),
    ("clickmill plugin list", NO_REGISTRY_HERE),
    ("clickmill plugin inspect oci:", NO_REGISTRY_HERE),
    ("clickmill plugin test oci:", NO_REGISTRY_HERE),
    ("clickmill plugin pull", NO_REGISTRY_HERE),
    ("clickmill plugin test pulled/", NO_REGISTRY_HERE),
    ("clickmill plugin copy", NO_REGISTRY_HERE),
    ("sed -i", NO_REGISTRY_HERE),
    ("clickmill plugin lock", NO_REGISTRY_HERE),
];
const NO_REGISTRY_HERE: &str = "there is no registry here";

/// A test of each language has it.
const SHOUTS: &str = "the same plugin in another language";

#[test]
fn the_first_plugin_is_the_same_in_other_languages() {
    let blocks = blocks(&fs::read_to_string(root().join("plugins/README.md")).unwrap());
    let text = |language: &str| {
        let mut found = blocks.iter().filter(|block| block.language == language);
        found.next().unwrap_or_else(|| panic!("no block in {language}")).text.clone()
    };
    let mut cases: Json = serde_json::from_str(&text("json")).unwrap();
    // Fuel is that of Rust.
    cases.as_object_mut().unwrap().remove("max_fuel_per_row");
    for language in [PYTHON, JAVASCRIPT, GO, C] {
        let test = format!("the_first_plugin_is_the_same_in_other_languages: {}", language.name);
        language.shouts(&test, &text(language.name), &cases.to_string());
    }
}

/// What a run says of the made-up events of a new plugin.
const ALL_ARE_LOADED: &str = "\"rows_done\":60,";

/// What `clickmill plugin new` makes of this README.
const PROJECT: &str = "host/cli/templates/rust/README.md";

#[test]
fn a_new_plugin_goes_the_way_that_its_own_readme_says() {
    let mut reader = Reader::new();
    let outside = tempfile::tempdir().unwrap();
    reader.folder = outside.path().to_owned();
    reader.run("clickmill plugin new traffic-source");
    reader.folder.push("traffic-source");
    let special = Special { endless: &[("clickmill run ", ALL_ARE_LOADED)], ..Special::default() };
    reader.follow("README.md", &special);

    let (_, tested) = reader.printed("cargo test");
    assert!(tested.contains("ok. 3 passed"), "{tested}");
    let (_, passed) = reader.printed("clickmill plugin test ");
    assert_eq!(passed, "5 golden cases pass\n");
    let rows = reader.rows("clickmill query");
    let sources: Vec<&str> = rows.iter().filter_map(|row| row["traffic_source"].as_str()).collect();
    assert!(sources.contains(&"facebook"), "{sources:?}");
    assert!(!reader.rows("clickmill dead-letter list").is_empty(), "nothing was refused");
    let (_, component) = reader.printed("clickmill plugin build");
    assert!(Path::new(component.trim()).is_file(), "{component}");
    passes_its_example(&reader);
}

/// The steps of a project's example of continuous integration end well; those that are left out install what is here
/// already.
#[track_caller]
fn passes_its_example(reader: &Reader) {
    let example = fs::read_to_string(reader.folder.join(".github/workflows/ci.yml")).unwrap();
    let steps: Vec<&str> =
        example.lines().filter_map(|line| line.trim().strip_prefix("- run: ")).collect();
    assert!(steps.len() > 3, "{steps:?}");
    for step in steps {
        let lints = step.starts_with("cargo clippy ");
        if lints && !reader.shell("cargo clippy --version").output().unwrap().status.success() {
            crate::support::not_run("clippy over a new plugin", "cargo has no clippy");
        } else {
            reader.run(step);
        }
    }
}

/// What it makes of these in other languages.
const PYTHON_PROJECT: &str = "host/cli/templates/python/README.md";
const JAVASCRIPT_PROJECT: &str = "host/cli/templates/javascript/README.md";
const GO_PROJECT: &str = "host/cli/templates/go/README.md";
const C_PROJECT: &str = "host/cli/templates/c/README.md";

#[test]
fn a_new_plugin_in_python_goes_the_way_that_its_own_readme_says() {
    if PYTHON.has_tools("a_new_plugin_in_python_goes_the_way_that_its_own_readme_says") {
        goes_its_way("python", "python3 -m unittest");
    }
}

#[test]
fn a_new_plugin_in_javascript_goes_the_way_that_its_own_readme_says() {
    if JAVASCRIPT.has_tools("a_new_plugin_in_javascript_goes_the_way_that_its_own_readme_says") {
        goes_its_way("javascript", "node --test");
    }
}

#[test]
fn a_new_plugin_in_go_goes_the_way_that_its_own_readme_says() {
    if GO.has_tools("a_new_plugin_in_go_goes_the_way_that_its_own_readme_says") {
        goes_its_way("go", "clickmill plugin test ");
    }
}

#[test]
fn a_new_plugin_in_c_goes_the_way_that_its_own_readme_says() {
    if C.has_tools("a_new_plugin_in_c_goes_the_way_that_its_own_readme_says") {
        goes_its_way("c", "sh tests/unit");
    }
}

/// A project in a language whose tools are here is made, and its README followed.
fn goes_its_way(language: &str, unit: &str) {
    let mut reader = Reader::new();
    reader.set("CLICKMILL_TOOLS", tools());
    if language == "go" {
        reader.has_go();
    }
    let outside = tempfile::tempdir().unwrap();
    reader.folder = outside.path().to_owned();
    reader.run(&format!("clickmill plugin new traffic-source --language {language}"));
    reader.folder.push("traffic-source");
    let special = Special { endless: &[("clickmill run ", ALL_ARE_LOADED)], ..Special::default() };
    reader.follow("README.md", &special);
    reader.printed(unit);
    let (_, passed) = reader.printed("clickmill plugin test ");
    assert_eq!(passed, "5 golden cases pass\n");
    let rows = reader.rows("clickmill query");
    assert!(rows.iter().any(|row| row["traffic_source"] == "facebook"), "{rows:?}");
    let (_, component) = reader.printed("clickmill plugin build .");
    assert!(Path::new(component.trim()).is_file(), "{component}");
    passes_its_example(&reader);
}

const GOOGLE: &str = "a project on Google Cloud";

const README: Special = Special {
    shown: &[("text", "a picture"), ("python", "a test of its own runs it")],
    excused: &[
        ("cargo ", "builds all that is tested here, or is this test"),
        ("clickmill dashboard --open", "a browser"),
        ("clickmill dashboard host/pipelines/stream_gcp.toml", GOOGLE),
        ("clickmill tables apply host/pipelines/stream_gcp.toml", GOOGLE),
        ("clickmill run host/pipelines/stream_gcp.toml", GOOGLE),
        ("clickmill run host/pipelines/batch_gcp.toml", GOOGLE),
        ("clickmill run host/pipelines/shop_events_gcp.toml", GOOGLE),
        ("clickmill generate clicks --publish projects/", GOOGLE),
        ("clickmill generate events --publish projects/", GOOGLE),
    ],
    endless: &[
        ("clickmill run host/pipelines/stream.toml", "admin interface: "),
        ("clickmill tap ", "{"),
    ],
    before: &[("clickmill plugin swap mask=plugins/mask", change_mask)],
};

/// Changes plugin mask, if only in its description: a swap to what runs already is refused.
fn change_mask(reader: &Reader) {
    let file = "plugins/mask/Cargo.toml";
    let text = fs::read_to_string(root().join(file)).unwrap();
    let changed = text.replacen("description = \"", "description = \"Changed: ", 1);
    assert_ne!(changed, text, "{file} describes it");
    put(&reader.folder.join(file), changed.as_bytes());
}

#[test]
fn the_day_of_the_readme_goes_as_it_says() {
    let mut reader = Reader::new();
    reader.follow("README.md", &README);
    // All of it happened in the clone.
    assert!(reader.folder.join("clickmill-data/warehouse").is_dir());
    let swaps = reader.run(
        "clickmill query --json \"SELECT action, COUNT(*) AS entries \
         FROM clickstream_analytics.audit_log GROUP BY 1\"",
    );
    for action in ["swap", "rollback", "replay", "stop"] {
        assert!(swaps.contains(&format!("\"action\":\"{action}\"")), "{action}: {swaps}");
    }
}

const FUZZ: &str =
    "builds everything once more and goes on for long: `fuzz` gives the targets what is kept";

const BENCH: &str = "`.ci/run` runs every bench on little data";

/// The READMEs with blocks that are followed here, each with what is special about it.
const OTHERS: [(&str, Special); 12] = [
    (
        "plugins/parse/README.md",
        Special {
            shown: &[("toml", "a test of its own runs it"), ("json", "a test of its own runs it")],
            ..NOTHING
        },
    ),
    ("plugins/enrich/README.md", CASES),
    ("plugins/mask/README.md", CASES),
    ("plugins/validate/README.md", CASES),
    (
        "sql/README.md",
        Special {
            shown: &[],
            excused: &[("bq query ", GOOGLE)],
            endless: &[],
            before: &[("clickmill query ", fill)],
        },
    ),
    ("schemas/README.md", NOTHING),
    ("wit/README.md", NOTHING),
    (
        "host/README.md",
        Special {
            shown: &[("text", "a picture"), ("toml", "a part of a pipeline file")],
            endless: &[("clickmill run host/pipelines/stream.toml", "admin interface: ")],
            ..NOTHING
        },
    ),
    (
        "host/python/README.md",
        Special {
            shown: &[
                ("text", "a picture"),
                ("python", "a test of its own runs it"),
                ("sh", "what `python_package` does, and jobs on Google Cloud"),
            ],
            ..NOTHING
        },
    ),
    ("host/fuzz/README.md", Special { excused: &[("host/fuzz/run ", FUZZ)], ..NOTHING }),
    (
        "host/monitoring/README.md",
        Special {
            shown: &[("yaml", "for Prometheus, whose own check is asked with the alert rules")],
            endless: &[("OTEL_EXPORTER_OTLP_ENDPOINT=", "admin interface: ")],
            ..NOTHING
        },
    ),
    (
        "host/benches/README.md",
        Special {
            excused: &[
                ("CLICKMILL_CLOTHING_CSV=", BENCH),
                ("cargo bench ", BENCH),
                ("CLICKMILL_FLUSHES_A_DAY=", "the workspace's tests run it, with fewer flushes"),
                ("clickmill generate clicks --publish projects/", GOOGLE),
                ("clickmill run host/pipelines/stream_gcp.toml", GOOGLE),
            ],
            ..NOTHING
        },
    ),
];

const NOTHING: Special = Special { shown: &[], excused: &[], endless: &[], before: &[] };

/// Golden cases.
const CASES: Special =
    Special { shown: &[("json", "a test of `plugin_cases` runs it")], ..NOTHING };

/// Loads what the analytics are about.
fn fill(reader: &Reader) {
    for line in [
        "clickmill generate shop --rows 2000 --bad 2% --output clothing.csv",
        "clickmill generate clicks --rows 2000 --bad 2% --output clicks.ndjson",
        "clickmill run host/pipelines/batch.toml --set source.uri=clothing.csv",
        "clickmill run host/pipelines/clicks.toml --set source.uri=clicks.ndjson",
    ] {
        reader.run(line);
    }
}

#[test]
fn the_other_readmes_say_what_can_be_done() {
    let mut reader = Reader::new();
    reader.set("CLICKMILL_MASK_KEY", crate::support::KEY);
    for (readme, special) in &OTHERS {
        reader.follow(readme, special);
    }
    // The tile that was dropped there is one.
    let mut serve = reader.shell("exec clickmill dashboard --listen 127.0.0.1:0");
    serve.stderr(Stdio::piped());
    let dashboard = Dashboard::of(serve);
    let get = |path: &str| -> Json { dashboard.at.json(&format!("/v1/dashboard{path}")).1 };
    assert_eq!(get("")["problems"], Json::Array(Vec::new()));
    let searches = get("/tiles/searches?from=2000-01-01T00:00:00Z");
    assert!(!searches["rows"].as_array().unwrap().is_empty(), "{searches}");
}

/// What a README tells the reader to type or to write is done by a test.
#[test]
fn every_readme_with_blocks_is_followed() {
    let projects = [PROJECT, PYTHON_PROJECT, JAVASCRIPT_PROJECT, GO_PROJECT, C_PROJECT];
    let followed = ["README.md", "plugins/README.md"].into_iter().chain(projects);
    let followed: BTreeSet<&str> = followed.chain(OTHERS.iter().map(|(name, _)| *name)).collect();
    let with_blocks = tracked().into_iter().filter(|name| {
        name.file_name() == Some(OsStr::new("README.md"))
            && !blocks(&fs::read_to_string(root().join(name)).unwrap()).is_empty()
    });
    let missing: Vec<PathBuf> =
        with_blocks.filter(|name| !followed.contains(&*name.to_string_lossy())).collect();
    assert_eq!(missing, [] as [PathBuf; 0]);
}
