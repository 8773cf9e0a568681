//! The folder that the tables are in: wherever it is, whatever a loss of power or a full disk has made of
//! it, and over months.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

use crate::cloud::wait_until;
use crate::emulators::Storage;
use crate::support::{Process, Scratch, after, files, plugins, root, talk};

const ROWS: &str = "SELECT COUNT(*) FROM clickstream_analytics.clickstream_batch";
const LOADS: &str = "SELECT COUNT(*) FROM clickstream_analytics.load_ledger";

fn batch() -> String {
    root().join("host/pipelines/batch.toml").to_string_lossy().into_owned()
}

fn stream() -> String {
    root().join("host/pipelines/stream.toml").to_string_lossy().into_owned()
}

fn generate(scratch: &Scratch, name: &str, rows: &str) {
    scratch.done(&["generate", "shop", "--rows", rows, "--output", name]);
}

/// Parquet files below a folder.
fn parquet_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let paths = entries.map(|entry| entry.unwrap().path());
    let files = |path: PathBuf| if path.is_dir() { parquet_files(&path) } else { vec![path] };
    paths.flat_map(files).filter(|path| path.extension().is_some_and(|e| e == "parquet")).collect()
}

#[track_caller]
fn ended_well(output: Output, scratch: &Scratch) -> String {
    let talk = talk(&output, scratch);
    assert!(output.status.success(), "{talk}");
    talk
}

/// What a loss of power, or a disk, may make of a file.
fn damages(whole: &[u8]) -> [Vec<u8>; 3] {
    let cut = whole[..whole.len() * 2 / 3].to_vec();
    [Vec::new(), whole.iter().map(|byte| byte ^ 0x5a).collect(), cut]
}

#[test]
fn a_damaged_schema_file_is_told_and_heals() {
    plugins();
    let scratch = Scratch::new();
    let batch = batch();
    generate(&scratch, "a.csv", "300");
    generate(&scratch, "b.csv", "200");
    let run = |name: &str| scratch.run(&["run", &batch, "--set", &format!("source.uri={name}")]);
    ended_well(run("a.csv"), &scratch);
    let folder = scratch.path("warehouse/clickstream_analytics/clickstream_batch");
    let file = folder.join("_schema.json");
    let whole = fs::read(&file).unwrap();
    for (at, damage) in damages(&whole).into_iter().enumerate() {
        fs::write(&file, &damage).unwrap();
        // Queries answer, and say so; the ledger's own file may be damaged too.
        let ledger = scratch.path("warehouse/clickstream_analytics/load_ledger/_schema.json");
        fs::write(&ledger, &damage).unwrap();
        let output = scratch.run(&["query", "--json", ROWS]);
        assert!(talk(&output, &scratch).contains("clickstream_batch/_schema.json"), "{at}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("300"), "{at}");
        assert_eq!(scratch.number(LOADS), 1);
        assert_eq!(fs::read(&file).unwrap(), damage, "who reads changes nothing");
        // A run sets it aside and writes it anew.
        let told = ended_well(run("a.csv"), &scratch);
        assert!(told.contains("clickstream_batch/_schema.json.damaged") || at > 0, "{told}");
        assert_eq!(fs::read(&file).unwrap(), whole);
        assert_eq!(scratch.number(ROWS), 300);
    }
    let kept = fs::read_dir(&folder)
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|e| e == "damaged"));
    assert_eq!(kept.count(), 3);
    // Columns that the rows do not have are refused all the same.
    fs::write(&file, "").unwrap();
    let mut columns: serde_json::Value = serde_json::from_slice(&whole).unwrap();
    columns.as_array_mut().unwrap().swap(0, 1);
    scratch.write("other.json", columns.to_string());
    let other = ["run", &batch, "--set", "source.uri=b.csv", "--set", "sink.schema=other.json"];
    assert_eq!(scratch.run(&other).status.code(), Some(2));
    ended_well(run("b.csv"), &scratch);
    assert_eq!(scratch.number(ROWS), 500);
}

#[test]
fn a_damaged_ledger_entry_is_told_and_counts_for_nothing() {
    plugins();
    let scratch = Scratch::new();
    let batch = batch();
    generate(&scratch, "a.csv", "300");
    let run = ["run", &batch, "--set", "source.uri=a.csv"];
    ended_well(scratch.run(&run), &scratch);
    let ledger = scratch.path("warehouse/clickstream_analytics/load_ledger");
    let entry = parquet_files(&ledger).remove(0);
    let whole = fs::read(&entry).unwrap();
    for damage in damages(&whole) {
        // Asked first by a query, or by a run.
        fs::write(&entry, &damage).unwrap();
        let output = scratch.run(&["query", "--json", LOADS]);
        let told = talk(&output, &scratch);
        assert!(output.status.success() && told.contains(".damaged"), "{told}");
        assert!(String::from_utf8_lossy(&output.stdout).contains(":0"));
        fs::write(&entry, &damage).unwrap();
        let told = ended_well(scratch.run(&run), &scratch);
        assert!(told.contains(".damaged"), "{told}");
        // The object was loaded again, in place of what was there.
        assert_eq!((scratch.number(ROWS), scratch.number(LOADS)), (300, 1));
        assert_eq!(parquet_files(&ledger).len(), 1);
    }
    // So with the other tables of small entries.
    let sets = parquet_files(&scratch.path("warehouse/clickstream_analytics/plugin_sets"));
    fs::write(&sets[0], "no Parquet").unwrap();
    let query = "SELECT COUNT(*) FROM clickstream_analytics.plugin_sets";
    assert_eq!(scratch.number(query), 0);
    ended_well(scratch.run(&run), &scratch);
    assert!(scratch.number(query) > 0);
}

#[test]
fn a_damaged_file_of_rows_is_named_where_it_is_asked_for() {
    plugins();
    let scratch = Scratch::new();
    generate(&scratch, "a.csv", "300");
    ended_well(scratch.run(&["run", &batch(), "--set", "source.uri=a.csv"]), &scratch);
    let file = parquet_files(&scratch.path("warehouse/clickstream_analytics/clickstream_batch"));
    let file = file.first().unwrap();
    let whole = fs::read(file).unwrap();
    // One that is empty says nothing, and is set aside.
    for damage in &damages(&whole)[1..] {
        fs::write(file, damage).unwrap();
        let output = scratch.run(&["query", ROWS]);
        let told = talk(&output, &scratch);
        assert_eq!(output.status.code(), Some(3), "{told}");
        assert!(told.contains(&*file.file_name().unwrap().to_string_lossy()), "{told}");
    }
    // It is the user's, and stays where it is.
    fs::write(file, whole).unwrap();
    assert_eq!(scratch.number(ROWS), 300);
}

#[test]
fn damaged_state_is_told_and_the_pipeline_file_counts() {
    plugins();
    let scratch = Scratch::new();
    let stream = stream();
    let run = ["run", &stream, "--set", "source.rows=200", "--set", "source.rate=4000"];
    ended_well(scratch.run(&run), &scratch);
    let state = scratch.path("warehouse/_state");
    let running = state.join("running/clicks-stream.json");
    let whole = fs::read(&running).unwrap();
    for damage in damages(&whole) {
        fs::write(&running, damage).unwrap();
        let told = ended_well(scratch.run(&run), &scratch);
        assert!(told.contains("running/clicks-stream.json"), "{told}");
        assert_eq!(fs::read(&running).unwrap(), whole);
    }
    // What a set is made of is kept anew where it was damaged.
    for folder in ["sets", "blobs"] {
        let file = fs::read_dir(state.join(folder)).unwrap().next().unwrap().unwrap().path();
        let whole = fs::read(&file).unwrap();
        for damage in damages(&whole) {
            fs::write(&file, damage).unwrap();
            let told = ended_well(scratch.run(&run), &scratch);
            assert!(told.contains(".damaged"), "{told}");
            assert_eq!(fs::read(&file).unwrap(), whole);
        }
    }
    let rows = scratch.number("SELECT COUNT(*) FROM clickstream_analytics.clicks_raw");
    let letters = scratch.number("SELECT COUNT(*) FROM clickstream_analytics.dead_letter");
    assert_eq!(rows + letters, 10 * 200);
}

#[test]
fn a_warehouse_may_be_at_any_path() {
    plugins();
    let scratch = Scratch::new();
    let (batch, stream) = (batch(), stream());
    generate(&scratch, "shop.csv", "300");
    scratch.done(&[
        "generate", "shop", "--rows", "200", "--bad", "10%", "--seed", "5", "--output", "bad.csv",
    ]);
    fs::create_dir(scratch.path("real")).unwrap();
    std::os::unix::fs::symlink(scratch.path("real"), scratch.path("link")).unwrap();
    let names = [
        "a b",
        "100%",
        "%20",
        "a#1",
        "what?",
        "*",
        "[a-z]",
        "{a,b}",
        "it's \"quoted\"",
        "back\\slash",
        "line\nfeed",
        "żółw-東京-🦆",
        "deep/x:y/..z/…",
        "link/below",
        "-",
    ];
    for name in names {
        let run = |arguments: &[&str]| -> String {
            let mut command = Command::new(env!("CARGO_BIN_EXE_clickmill"));
            let of = scratch.command(&[]);
            command.current_dir(scratch.folder.path());
            command.envs(of.get_envs().filter_map(|(name, value)| Some((name, value?))));
            // Relative to the current folder.
            command.args(arguments).arg(format!("--warehouse=./{name}"));
            let output = command.output().unwrap();
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{name:?}: {errors}");
            String::from_utf8(output.stdout).unwrap()
        };
        let number = |sql: &str| -> u64 {
            let row: serde_json::Value =
                serde_json::from_str(&run(&["query", "--json", sql])).unwrap();
            row.as_object().unwrap().values().next().unwrap().as_u64().unwrap()
        };
        run(&["run", &batch, "--set", "source.uri=shop.csv"]);
        assert_eq!(number(ROWS), 300, "{name:?}");
        let summary = run(&["run", "--json", &batch, "--set", "source.uri=*.csv"]);
        let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
        assert_eq!(summary["objects_loaded"], 1, "{name:?}: what is loaded is known");
        let letters = number("SELECT COUNT(*) FROM clickstream_analytics.dead_letter");
        assert_eq!((number(ROWS), letters > 0), (500 - letters, true), "{name:?}");
        run(&["dead-letter", "replay", &batch]);
        let tries = number("SELECT COUNT(*) FROM clickstream_analytics.dead_letter_attempts");
        assert_eq!(tries, letters, "{name:?}");
        run(&[
            "run",
            &stream,
            "--set",
            "source.rows=300",
            "--set",
            "source.rate=6000",
            "--set",
            "source.bad=0%",
        ]);
        for table in ["clicks_raw", "clicks"] {
            let sql = format!("SELECT COUNT(*) FROM clickstream_analytics.{table}");
            assert_eq!(number(&sql), 300, "{name:?}");
        }
        assert!(scratch.path(name).join("clickstream_analytics").is_dir(), "{name:?}");
    }
}

/// The binary where no file may be larger than so many blocks of 512 bytes.
fn on_a_small_disk(scratch: &Scratch, blocks: u32, arguments: &[&str]) -> Output {
    let small = format!("trap '' XFSZ; ulimit -f {blocks}");
    after(&small, &scratch.command(arguments)).output().unwrap()
}

#[test]
fn a_disk_that_fills_ends_the_run_with_the_cause_and_leaves_nothing() {
    plugins();
    let scratch = Scratch::new();
    let batch = batch();
    generate(&scratch, "small.csv", "100");
    generate(&scratch, "large.csv", "400000");
    let small = ["run", &batch, "--set", "source.uri=small.csv"];
    ended_well(scratch.run(&small), &scratch);
    let large = ["run", &batch, "--set", "source.uri=large.csv"];
    for blocks in [200, 1000] {
        let output = on_a_small_disk(&scratch, blocks, &large);
        let told = talk(&output, &scratch);
        assert_eq!(output.status.code(), Some(3), "{told}");
        assert!(told.contains("File too large") && !told.contains("panicked"), "{told}");
        assert_eq!((scratch.number(ROWS), scratch.number(LOADS)), (100, 1));
        let staged = fs::read_dir(scratch.path("warehouse/_staging")).unwrap();
        assert_eq!(staged.count(), 0, "what was half written is gone");
    }
    ended_well(scratch.run(&large), &scratch);
    assert_eq!((scratch.number(ROWS), scratch.number(LOADS)), (400_100, 2));
}

#[test]
fn what_killed_runs_left_in_staging_is_removed_by_the_next() {
    plugins();
    let scratch = Scratch::new();
    let batch = batch();
    generate(&scratch, "a.csv", "100");
    let staging = scratch.path("warehouse/_staging");
    fs::create_dir_all(staging.join("00c0ffee")).unwrap();
    fs::write(staging.join("00c0ffee/rows.parquet"), "half").unwrap();
    fs::write(staging.join("00c0ffee.lock"), "").unwrap();
    fs::write(staging.join("1-2-3.part"), "half").unwrap();
    ended_well(scratch.run(&["run", &batch, "--set", "source.uri=a.csv"]), &scratch);
    assert_eq!(fs::read_dir(&staging).unwrap().count(), 0);
}

#[test]
fn what_is_beyond_its_retention_goes_and_its_object_stays_loaded() {
    plugins();
    let scratch = Scratch::new();
    let batch = batch();
    scratch.done(&["generate", "shop", "--rows", "300", "--bad", "5%", "--output", "a.csv"]);
    let run = |days: &str| {
        let days = format!("warehouse.retention_days={days}");
        let lax = "dead_letter.max_rejected_share=1.0";
        let own = ["run", &batch, "--set", "source.uri=a.csv", "--set", &days, "--set", lax];
        ended_well(scratch.run(&own), &scratch)
    };
    let letters = "SELECT COUNT(*) FROM clickstream_analytics.dead_letter";
    let count = || [ROWS, letters, LOADS].map(|sql| scratch.number(sql));
    run("36500");
    let [rows, refused, loads] = count();
    assert!(rows > 0 && refused > 0 && loads == 1);
    // 2020-01-01T00:00:00Z
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_577_836_800);
    for table in ["clickstream_batch", "dead_letter"] {
        let folder = scratch.path("warehouse/clickstream_analytics").join(table);
        let day = folder.join("load_date=2020-01-01");
        fs::create_dir_all(&day).unwrap();
        for file in parquet_files(&folder) {
            fs::File::open(&file).unwrap().set_modified(long_ago).unwrap();
            fs::rename(&file, day.join(file.file_name().unwrap())).unwrap();
        }
    }
    run("36500");
    assert_eq!(count(), [rows, refused, 1]);
    let told = run("30");
    assert!(told.contains("loaded already"), "{told}");
    assert_eq!(count(), [0, 0, 1]);
}

#[test]
fn a_pipe_in_the_place_of_a_file_holds_nobody_up() {
    plugins();
    let scratch = Scratch::new();
    let batch = batch();
    generate(&scratch, "a.csv", "100");
    let run = ["run", &batch, "--set", "source.uri=a.csv"];
    ended_well(scratch.run(&run), &scratch);
    let pipe = |path: &Path| {
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    };
    let warehouse = scratch.path("warehouse");
    let written = files(&warehouse);
    for staging in ["_staging", "_state/_staging"] {
        fs::create_dir_all(warehouse.join(staging)).unwrap();
        pipe(&warehouse.join(staging).join("x.part"));
    }
    let aside = scratch.path("aside");
    let mut told = String::new();
    for file in &written {
        fs::rename(file, &aside).unwrap();
        pipe(file);
        let mut command = scratch.command(&run);
        let mut process = Process::listen(&mut command);
        wait_until("its end", || process.try_wait().unwrap().is_some());
        let output = process.wait_with_output().unwrap();
        let talk = talk(&output, &scratch);
        let code = output.status.code();
        assert!(matches!(code, Some(0 | 3)), "{}: {code:?} {talk}", file.display());
        told.push_str(&talk);
        fs::rename(&aside, file).unwrap();
    }
    assert!(told.contains("a pipe or a device"), "{told}");
    ended_well(scratch.run(&run), &scratch);
    assert_eq!(scratch.number(ROWS), 100);
}

#[test]
fn small_files_are_merged_and_the_rows_stay_as_they_are() {
    plugins();
    let scratch = Scratch::new();
    let stream = stream();
    // Each batch is a flush, and two processes of one pipeline each write files of their own.
    let run = [
        "run",
        &stream,
        "--set",
        "source.rows=4000",
        "--set",
        "source.rate=2000",
        "--set",
        "batch.max_rows=50",
        "--set",
        "batch.max_wait_ms=20",
        "--set",
        "admin.listen=off",
    ];
    let mut other = scratch.command(&run).stderr(std::process::Stdio::null()).spawn().unwrap();
    ended_well(scratch.run(&[&run[..], &["--set", "source.seed=2"]].concat()), &scratch);
    assert!(other.wait().unwrap().success());
    let counts = "SELECT COUNT(*) AS n, COUNT(DISTINCT message_id) AS ids, MIN(message_id) AS first, \
         MAX(ingested_at) AS last FROM clickstream_analytics.clicks_raw";
    let before = scratch.query(counts);
    let view = scratch.number("SELECT COUNT(*) FROM clickstream_analytics.clicks");
    let planned = scratch.done(&["warehouse", "compact", "--dry-run"]);
    assert!(planned.contains("clickstream_analytics.clicks_raw: "), "{planned}");
    scratch.done(&["warehouse", "compact"]);
    let table = scratch.path("warehouse/clickstream_analytics/clicks_raw");
    assert!(parquet_files(&table).len() <= 4, "{:?}", parquet_files(&table));
    assert_eq!(scratch.query(counts), before);
    assert_eq!(scratch.number("SELECT COUNT(*) FROM clickstream_analytics.clicks"), view);
    let again =
        scratch.done(&["warehouse", "compact", "--table", "clickstream_analytics.clicks_raw"]);
    assert!(again.contains("none to be merged"), "{again}");
}

#[test]
fn a_batch_waits_for_those_before_it_and_not_for_its_own_fill() {
    plugins();
    let scratch = Scratch::new();
    let stream = stream();
    let run = |min_wait: &[&str]| {
        let set =
            ["--set", "source.rows=400", "--set", "source.rate=200", "--set", "admin.listen=off"];
        // Before that the stream is over.
        let wait = ["--set", "batch.max_wait_ms=60000"];
        ended_well(scratch.run(&[&["run", &stream][..], &set, &wait, min_wait].concat()), &scratch);
        let batches = "SELECT COUNT(DISTINCT ingested_at) FROM clickstream_analytics.clicks_raw";
        scratch.number(batches)
    };
    let batches = run(&[]);
    // How many that are is the disk's to say.
    assert!(batches > 1, "{batches}");
    assert_eq!(run(&["--set", "batch.min_wait_ms=60000"]), batches + 1);
    let count = |table: &str| {
        scratch.number(&format!("SELECT COUNT(*) FROM clickstream_analytics.{table}"))
    };
    assert_eq!(count("clicks_raw") + count("dead_letter"), 800);
}

#[test]
fn the_view_shows_each_message_once_whatever_files_it_is_in() {
    plugins();
    let scratch = Scratch::new();
    let stream = stream();
    let run = |rows: &str, seed: &str| {
        let (rows, seed) = (format!("source.rows={rows}"), format!("source.seed={seed}"));
        let set = ["--set", &rows, "--set", "source.rate=6000", "--set", &seed];
        ended_well(scratch.run(&[&["run", &stream][..], &set].concat()), &scratch);
    };
    let count = |table: &str| {
        scratch.number(&format!("SELECT COUNT(*) FROM clickstream_analytics.{table}"))
    };
    run("3000", "1");
    run("2000", "2");
    let rows = count("clicks_raw");
    assert_eq!(count("clicks"), rows);
    let table = scratch.path("warehouse/clickstream_analytics/clicks_raw");
    let files = parquet_files(&table);
    assert_eq!(files.len(), 2, "a file for each session: {files:?}");
    // What another session wrote too, since it was delivered to both.
    let name = files[0].file_name().unwrap().to_str().unwrap();
    let (_, flushes) = name.strip_prefix("live-").unwrap().split_once('-').unwrap();
    fs::copy(&files[0], files[0].with_file_name(format!("live-s0123456789abcde-{flushes}")))
        .unwrap();
    let twice = count("clicks_raw") - rows;
    assert!(twice > 1500, "{twice}");
    // Whatever is asked of it.
    assert_eq!(count("clicks"), rows);
    let found = scratch.query(
        "SELECT COUNT(*) AS n, COUNT(DISTINCT message_id) AS ids, COUNT(DISTINCT url) > 0 AS urls \
         FROM clickstream_analytics.clicks WHERE event_date >= DATE '2000-01-01'",
    );
    assert_eq!(found[0]["n"].as_u64(), Some(rows));
    assert_eq!(
        scratch.number("SELECT SUM(events) FROM clickstream_analytics.sessions"),
        rows,
        "views over it"
    );
    // Merged or not.
    scratch.done(&["warehouse", "compact"]);
    assert_eq!((count("clicks"), count("clicks_raw")), (rows, rows + twice));
}

#[test]
fn in_cloud_storage_too_a_stream_merges_its_small_files() {
    merges_its_small_files(&Storage::start(None));
}

#[test]
fn in_cloud_storage_a_stream_merges_its_small_files_though_answers_are_lost() {
    merges_its_small_files(&Storage::losing_answers());
}

fn merges_its_small_files(storage: &Storage) {
    plugins();
    let scratch = Scratch::new();
    let stream = stream();
    let command = |arguments: &[&str]| {
        let local = scratch.command(arguments);
        let mut command = Command::new(local.get_program());
        command.current_dir(scratch.folder.path());
        command.args(local.get_args().take_while(|argument| *argument != "--warehouse"));
        // Characters that URLs give a meaning, here too.
        command.args(["--warehouse", "gs://lake/a b%20/wäre"]);
        command.envs(local.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env("STORAGE_EMULATOR_HOST", format!("http://{}", storage.address));
        command
    };
    let run = |arguments: &[&str]| -> String {
        let output = command(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let query = |sql: &str| run(&["query", "--json", sql]);
    run(&[
        "run",
        &stream,
        "--set",
        "source.rows=3000",
        "--set",
        "source.rate=1500",
        "--set",
        "batch.max_rows=50",
        "--set",
        "batch.max_wait_ms=20",
        "--set",
        "source.bad=0%",
    ]);
    for table in ["clicks_raw", "clicks"] {
        let answer = query(&format!("SELECT COUNT(*) AS n FROM clickstream_analytics.{table}"));
        assert_eq!(answer, "{\"n\":3000}\n", "{table}");
    }
    let files =
        run(&["warehouse", "compact", "--dry-run", "--table", "clickstream_analytics.clicks_raw"]);
    assert_eq!(files, "clickstream_analytics.clicks_raw: 1 file, none to be merged\n");
}
