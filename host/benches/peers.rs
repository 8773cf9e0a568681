//! The shop job, whole process, against the same job in Polars and in Apache Beam on its direct runner,
//! in turn; and clickmill's own figures on JSON clicks and at start. Prints medians and ratios.
//!
//!     CLICKMILL_CLOTHING_CSV="e-shop clothing 2008.csv" cargo bench --bench peers
//!
//! Without that variable a generated file of the same shape stands in. The peers are installed from PyPI
//! into a cache; needs `python3` with `venv`.

#![expect(clippy::unwrap_used, reason = "a bench that fails may stop")]

mod smoke;

use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use clickmill_generator::{Generator, Kind, Options};

static ROUNDS: LazyLock<usize> = LazyLock::new(|| smoke::of(7, 1));
static CLICKS: LazyLock<u64> = LazyLock::new(|| smoke::of(1_000_000, 10_000));
const KEY: &str = "a key for benches, 32 bytes long";

/// One run of a command: seconds and peak memory.
#[derive(Clone, Copy)]
struct Ran {
    seconds: f64,
    peak_mib: f64,
}

fn main() {
    let cache = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("peers");
    fs::create_dir_all(&cache).unwrap();
    let shop = shop_file(&cache);
    let clicks = clicks_file(&cache, *CLICKS);
    let one_row = cache.join("one.csv");
    let text = fs::read_to_string(&shop).unwrap();
    fs::write(&one_row, text.lines().take(2).map(|line| format!("{line}\r\n")).collect::<String>())
        .unwrap();

    // The first run compiles the plugins: not counted.
    clickmill("batch.toml", &one_row, &cache);
    clickmill("clicks.toml", &clicks, &cache);

    let shop_job: fn(&Path, &Path) = smoke::of(shop_against_peers, shop_alone);
    shop_job(&shop, &cache);
    println!("\none row: start to end, compiled plugins cached");
    let runs: Vec<Ran> = (0..*ROUNDS).map(|_| clickmill("batch.toml", &one_row, &cache)).collect();
    report("clickmill", &runs);
    println!("\n{} JSON clicks", *CLICKS);
    let runs: Vec<Ran> = (0..*ROUNDS).map(|_| clickmill("clicks.toml", &clicks, &cache)).collect();
    report("clickmill", &runs);
    println!("{:<22} {:>9.0} clicks/s", "", *CLICKS as f64 / median(&runs).seconds);
}

fn shop_against_peers(shop: &Path, cache: &Path) {
    let python = python(cache);
    let twenty = repeated(shop, 20, cache);
    let hundred = repeated(shop, 100, cache);
    println!("shop file, {} rounds in turn, median seconds of the whole process", *ROUNDS);
    versus(
        "clickmill / polars",
        || clickmill("batch.toml", shop, cache),
        || peer(&python, "polars_job.py", shop, cache),
    );
    versus(
        "clickmill / beam",
        || clickmill("batch.toml", shop, cache),
        || peer(&python, "beam_job.py", shop, cache),
    );
    println!("\nthe same twenty times");
    versus(
        "clickmill / polars",
        || clickmill("batch.toml", &twenty, cache),
        || peer(&python, "polars_job.py", &twenty, cache),
    );
    println!("\nthe same a hundred times");
    report("clickmill", &[clickmill("batch.toml", &hundred, cache)]);
}

fn shop_alone(shop: &Path, cache: &Path) {
    println!("shop file, without the peers");
    report("clickmill", &[clickmill("batch.toml", shop, cache)]);
}

fn versus(name: &str, mut ours: impl FnMut() -> Ran, mut theirs: impl FnMut() -> Ran) {
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for _ in 0..*ROUNDS {
        // Each is timed straight after itself: what rests while the other runs, some kernels page out.
        ours();
        a.push(ours());
        theirs();
        b.push(theirs());
    }
    let mut names = name.split(" / ");
    report(names.next().unwrap(), &a);
    report(names.next().unwrap(), &b);
    let mut ratios: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a.seconds / b.seconds).collect();
    ratios.sort_by(f64::total_cmp);
    let ratio = ratios[ratios.len() / 2];
    println!("{name:<22} {ratio:>9.3} ({:.1} times as fast)", 1.0 / ratio);
}

fn report(name: &str, runs: &[Ran]) {
    let ran = median(runs);
    println!("{name:<22} {:>9.3} s {:>8.0} MiB at the peak", ran.seconds, ran.peak_mib);
}

fn median(runs: &[Ran]) -> Ran {
    let mut runs = runs.to_vec();
    runs.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    runs[runs.len() / 2]
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

fn clickmill(pipeline: &str, input: &Path, cache: &Path) -> Ran {
    let warehouse = cache.join("warehouse");
    let _ = fs::remove_dir_all(&warehouse);
    let mut command = Command::new(env!("CARGO_BIN_EXE_clickmill"));
    command
        .arg("run")
        .arg(root().join("host/pipelines").join(pipeline))
        .arg("--set")
        .arg(format!("source.uri={}", input.display()))
        .arg("--warehouse")
        .arg(&warehouse)
        .env("CLICKMILL_AUDIT", warehouse.join("_audit"))
        .env("CLICKMILL_MASK_KEY", KEY);
    run(&mut command)
}

fn peer(python: &Path, script: &str, input: &Path, cache: &Path) -> Ran {
    let output = cache.join("peer");
    let _ = fs::remove_dir_all(&output);
    let mut command = Command::new(python);
    command
        .arg(root().join("host/benches/peers").join(script))
        .args([input, &output])
        .arg("--reference")
        .arg(root().join("host/pipelines/reference"))
        .env("CLICKMILL_MASK_KEY", KEY);
    run(&mut command)
}

/// Runs a command to its end, looking at its memory all the while.
fn run(command: &mut Command) -> Ran {
    let started = Instant::now();
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak_kib = 0.0_f64;
    let ended = loop {
        // The kernel keeps the high-water mark: the last look sees nearly all of it.
        let text = fs::read_to_string(&status).unwrap_or_default();
        let mark = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let mark = mark.and_then(|mark| mark.trim().trim_end_matches(" kB").parse().ok());
        peak_kib = peak_kib.max(mark.unwrap_or(0.0));
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    let seconds = started.elapsed().as_secs_f64();
    assert!(ended.success(), "{command:?}");
    Ran { seconds, peak_mib: peak_kib / 1024.0 }
}

/// A Python that has the peers.
fn python(cache: &Path) -> PathBuf {
    let venv = cache.join("venv");
    let python = venv.join("bin/python");
    let wanted = fs::read_to_string(root().join("host/benches/peers/requirements.txt")).unwrap();
    let stamp = venv.join("requirements.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return python;
    }
    println!("installing Polars and Beam from PyPI");
    let done =
        |command: &mut Command| assert!(command.stdout(Stdio::null()).status().unwrap().success());
    done(Command::new("python3").args(["-m", "venv"]).arg(&venv));
    done(
        Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "-r"])
            .arg(root().join("host/benches/peers/requirements.txt")),
    );
    fs::write(stamp, wanted).unwrap();
    python
}

fn shop_file(cache: &Path) -> PathBuf {
    match smoke::of(std::env::var_os("CLICKMILL_CLOTHING_CSV"), None) {
        Some(file) => PathBuf::from(file),
        None => {
            let rows = smoke::of(165_474, 1_600);
            generated(cache, "shop.csv", &Options::new(Kind::Shop, rows, 2008))
        }
    }
}

fn clicks_file(cache: &Path, rows: u64) -> PathBuf {
    generated(cache, "clicks.ndjson", &Options::new(Kind::Clicks, rows, 7))
}

fn generated(cache: &Path, name: &str, options: &Options) -> PathBuf {
    let path = cache.join(name);
    let mut writer = BufWriter::new(fs::File::create(&path).unwrap());
    std::io::copy(&mut Generator::new(options), &mut writer).unwrap();
    writer.flush().unwrap();
    path
}

/// The file with its rows repeated, the header once.
fn repeated(file: &Path, times: usize, cache: &Path) -> PathBuf {
    let text = fs::read(file).unwrap();
    let header = text.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let path = cache.join(format!("shop-{times}.csv"));
    let mut writer = BufWriter::new(fs::File::create(&path).unwrap());
    writer.write_all(&text[..header]).unwrap();
    for _ in 0..times {
        writer.write_all(&text[header..]).unwrap();
    }
    writer.flush().unwrap();
    path
}
