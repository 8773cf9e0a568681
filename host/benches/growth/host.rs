//! The executable as a process, and what it takes: processor time of it and of those that it starts, time by
//! the clock, memory at the peak.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use clickmill_generator::{Generator, Kind, Options};
use clickmill_sandbox::build::{Freshness, Install, build};
use serde_json::Value as Json;

const KEY: &str = "a key for benches, 32 bytes long";
/// A run that takes less processor time than this is repeated: the kernel tells hundredths of a second.
const ENOUGH: f64 = 0.5;

/// What a run took; of several, each.
#[derive(Clone, Copy)]
pub(crate) struct Took {
    /// Seconds of processor time, user and system.
    pub processor: f64,
    /// Seconds by the clock.
    pub clock: f64,
    pub peak_mib: f64,
}

/// What is measured, and a scratch folder for it.
pub(crate) struct Host {
    binary: PathBuf,
    /// A folder with pipelines, schemas and plugins.
    pub share: PathBuf,
    folder: tempfile::TempDir,
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

impl Host {
    pub(crate) fn new() -> Self {
        let binary = std::env::var_os("CLICKMILL_BENCH_BINARY");
        if binary.is_none() {
            // Queries want it; it is built before anything is timed.
            clickmill_query::prepare().unwrap();
        }
        let share = std::env::var_os("CLICKMILL_BENCH_SHARE").map(PathBuf::from);
        let share = share.unwrap_or_else(|| {
            for plugin in ["parse", "enrich", "mask", "validate"] {
                let folder = root().join("plugins").join(plugin);
                build(&folder, Freshness::Sources, Install::Allowed).unwrap();
            }
            root()
        });
        let binary = binary.unwrap_or_else(|| env!("CARGO_BIN_EXE_clickmill").into());
        Self::of(binary.into(), share)
    }

    /// Another executable, with pipelines, schemas and plugins that it knows.
    pub(crate) fn of(binary: PathBuf, share: PathBuf) -> Self {
        let host = Self { binary, share, folder: tempfile::tempdir().unwrap() };
        // What compiles the plugins is not counted.
        let rows = || Box::new(Generator::new(&Options::new(Kind::Shop, 10, 1))) as Box<dyn Read>;
        let set = ["source.uri=-".to_owned()];
        host.load(&host.shipped("batch.toml"), &set, Some(&rows));
        host
    }

    /// A file or folder in the scratch folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// One of the pipelines that come with clickmill.
    pub(crate) fn shipped(&self, pipeline: &str) -> PathBuf {
        self.share.join("host/pipelines").join(pipeline)
    }

    fn command(&self, arguments: &[String]) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .current_dir(self.folder.path())
            .args(arguments)
            .arg("--warehouse")
            .arg(self.path("warehouse"))
            .env("CLICKMILL_MASK_KEY", KEY)
            .env("CLICKMILL_AUDIT", self.path("audit"))
            .env("CLICKMILL_CACHE", std::env::temp_dir().join("clickmill-bench-cache"))
            .stdin(Stdio::null())
            .stderr(File::create(self.path("said")).unwrap());
        if self.share != root() {
            // Plugins of another commit would be built in the place of ours.
            command.env("CARGO_TARGET_DIR", self.share.join("target"));
        }
        command
    }

    /// Runs a pipeline with these settings; returns its summary too.
    pub(crate) fn load(&self, pipeline: &Path, set: &[String], input: Input<'_>) -> (Took, Json) {
        let mut arguments =
            vec!["run".to_owned(), "--json".to_owned(), pipeline.to_string_lossy().into_owned()];
        for setting in set {
            arguments.extend(["--set".to_owned(), setting.clone()]);
        }
        let (took, output) = self.run(&mut self.command(&arguments), input);
        (took, serde_json::from_str(&output).unwrap())
    }

    /// Asks the warehouse.
    pub(crate) fn query(&self, sql: &str) -> Took {
        self.run(&mut self.command(&["query".to_owned(), sql.to_owned()]), None).0
    }

    /// The same again and again, until it has taken enough to be measured. Returns what one took.
    pub(crate) fn repeated(mut once: impl FnMut() -> Took) -> Took {
        let mut sum = once();
        let mut times = 1.0;
        while crate::smoke::of(sum.processor < ENOUGH, false) {
            let took = once();
            sum.processor += took.processor;
            sum.clock += took.clock;
            sum.peak_mib = sum.peak_mib.max(took.peak_mib);
            times += 1.0;
        }
        Took { processor: sum.processor / times, clock: sum.clock / times, ..sum }
    }

    /// Runs a command to its end, looking at its memory all the while.
    pub(crate) fn run(&self, command: &mut Command, input: Input<'_>) -> (Took, String) {
        if input.is_some() {
            command.stdin(Stdio::piped());
        }
        let before = children_secs();
        let started = Instant::now();
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take();
        let mut stdout = child.stdout.take().unwrap();
        let mut output = String::new();
        let pid = child.id();
        let mut looked = BTreeMap::new();
        let ended = std::thread::scope(|scope| {
            scope.spawn(move || {
                if let (Some(input), Some(stdin)) = (input, &mut stdin) {
                    // A process that has ended says why itself.
                    let _ = std::io::copy(&mut *input(), stdin).and_then(|_| stdin.flush());
                }
                drop(stdin);
            });
            scope.spawn(|| stdout.read_to_string(&mut output).unwrap());
            loop {
                look(pid, &mut looked);
                if let Some(ended) = child.try_wait().unwrap() {
                    break ended;
                }
                std::thread::sleep(Duration::from_millis(4));
            }
        });
        let clock = started.elapsed().as_secs_f64();
        let said = || fs::read_to_string(self.path("said")).unwrap();
        assert!(ended.success(), "{command:?}\n{}", said());
        let peak_mib = looked.values().map(|seen| seen.peak_kib).sum::<f64>() / 1024.0;
        // It waits for none that it starts: the SQL engine.
        looked.remove(&pid);
        let started_ones: f64 = looked.values().map(|seen| seen.processor).sum();
        let processor = children_secs() - before + started_ones;
        (Took { processor, clock, peak_mib }, output)
    }
}

/// What a process had when it was last looked at.
#[derive(Default)]
struct Seen {
    processor: f64,
    peak_kib: f64,
}

/// Looks at a process, and at those that it has started.
fn look(pid: u32, looked: &mut BTreeMap<u32, Seen>) {
    let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let seen = looked.entry(pid).or_default();
    // The kernel keeps the high-water mark: the last look sees nearly all of it.
    let status = read("status");
    let mark = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let mark = mark.and_then(|mark| mark.trim().trim_end_matches(" kB").parse().ok());
    seen.peak_kib = seen.peak_kib.max(mark.unwrap_or(0.0));
    seen.processor = seen.processor.max(processor_secs(&read("stat"), 11));
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    for thread in threads {
        let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        let children = children.split_whitespace().filter_map(|child| child.parse().ok());
        children.for_each(|child| look(child, looked));
    }
}

/// Two times of `/proc/…/stat`, user and system, from this field behind the name on.
fn processor_secs(stat: &str, at: usize) -> f64 {
    // The name of the program may have blanks in it, and ends with the last parenthesis.
    let Some((_, fields)) = stat.rsplit_once(')') else { return 0.0 };
    let ticks =
        fields.split_whitespace().skip(at).take(2).map(|ticks| ticks.parse::<f64>().unwrap());
    ticks.sum::<f64>() / 100.0
}

/// What a process is given on standard input.
pub(crate) type Input<'a> = Option<&'a (dyn Fn() -> Box<dyn Read> + Sync)>;

/// Processor time of all processes that have ended, of those that they have waited for too.
fn children_secs() -> f64 {
    processor_secs(&fs::read_to_string("/proc/self/stat").unwrap(), 13)
}
