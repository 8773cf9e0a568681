//! What is deployed: the chart, the plain manifests, Terraform and the container recipe, checked without a
//! cluster; and that a replica may go away at any time, with its disk.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::json;

use crate::cloud::{Cloud, signal, spawn, summary, wait_until};
use crate::emulators::{BigQuery, python_with};
use crate::faults::delete_dead_letters;
use crate::support::{Process, Scratch, files, not_run, root};

fn deployed() -> PathBuf {
    root().join("host/deploy")
}

fn read(name: &str) -> String {
    fs::read_to_string(deployed().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn check(python: &Path, folder: &Path) -> Output {
    let mut command = Command::new(python);
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command.arg(deployed().join("check/check.py")).arg(folder).output().expect("it starts")
}

#[test]
fn what_is_deployed_is_checked_and_what_is_wrong_is_told() {
    let python = match python_with("deploy.txt") {
        Ok(python) => python,
        Err(why) => {
            not_run("what is deployed", &format!("`deploy.txt` cannot be installed: {why}"));
            return;
        }
    };
    let output = check(&python, &deployed());
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    let scratch = Scratch::new();
    for (number, (file, from, to, wanted)) in [
        ("terraform/main.tf", "deletion_protection", "deletion", "has no argument deletion"),
        ("terraform/main.tf", "clicks.id", "click.id", "nothing is called"),
        ("terraform/main.tf", "\"plugin_sets\"", "\"plugin_set\"", "plugin_set.table.json"),
        ("terraform/worker_pool.tf", "drain_secs=4", "drain_secs=9", "the grace period is 10 s"),
        ("terraform/worker_pool.tf", "var.mask_key_version", "\"latest\"", "is of version latest"),
        ("helm/clickmill/templates/deployment.yaml", "=off", "=/spool", "a disk that goes away"),
        ("helm/clickmill/templates/deployment.yaml", " 15 }}", " 4 }}", "the grace period is 5 s"),
        (
            "helm/clickmill/templates/deployment.yaml",
            "replicas: {{ .Values.replicas }}",
            "replicas: two",
            "'two' is not of type",
        ),
        (
            "helm/clickmill/templates/hpa.yaml",
            "\"hpa\"",
            "\"keda\"",
            "autoscaling hpa: scaled by []",
        ),
        (
            "helm/clickmill/templates/keda.yaml",
            "OldestUnackedMessageAge",
            "X",
            "ScaledObject: 'Old",
        ),
        (
            "helm/clickmill/templates/deployment.yaml",
            "{{- include \"clickmill.check\" . -}}",
            "",
            "the chart takes {'settings': ['dead_letter.spool=/spool']}",
        ),
        (
            "helm/clickmill/templates/_helpers.tpl",
            " | first | trim",
            " | first",
            "the chart takes {'settings': ['source.streams=8', ' dead_letter.spool=/spool']}",
        ),
        (
            "helm/clickmill/templates/_helpers.tpl",
            "(ne .kind \"none\")",
            "(eq .kind \"keda\")",
            "'minReplicas': 30, 'maxReplicas': 5}}",
        ),
        ("kubernetes/keda.yaml", "value: \"30\"", "value: \"31\"", "not what the chart says"),
        ("kubernetes/job.yaml", "claim_lease_secs=60", "watch_rest_secs=1", "each other's work"),
        ("kubernetes/job.yaml", "action: Ignore", "action: Count", "counts as a try"),
        ("kubernetes/job.yaml", "completionMode: Indexed", "mode: Indexed", "mode"),
        ("Containerfile", "USER 65532:65532", "USER 0:0", "runs as root"),
        ("Containerfile", "--from=build", "--from=built", "no stage is called built"),
        ("Containerfile", "FROM ${BASE}", "FROM gcr.io/distroless/cc", "is not of an ARG"),
    ]
    .into_iter()
    .enumerate()
    {
        let copy = scratch.path(&number.to_string());
        let copied = Command::new("cp").arg("-r").args([&deployed(), &copy]).status();
        assert!(copied.expect("cp is there").success());
        let text = read(file);
        assert!(text.contains(from), "{file}: {from}");
        fs::write(copy.join(file), text.replace(from, to)).unwrap();
        let Output { status, stdout, stderr } = check(&python, &copy);
        let told = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
        assert_eq!(status.code(), Some(1), "{file}: {from}: {told}");
        assert!(told.contains(wanted), "{file}: {from}: {told}");
    }
}

#[test]
fn terraform_grants_what_permissions_lists() {
    let pipeline = root().join("host/pipelines/stream_gcp.toml");
    let output = Command::new(env!("CARGO_BIN_EXE_clickmill"))
        .arg("permissions")
        .arg(pipeline)
        .args(["--format", "terraform"])
        .env("GOOGLE_CLOUD_PROJECT", "my-project")
        .env_remove("CLICKMILL_SUBSCRIPTION")
        .env_remove("CLICKMILL_TOPIC")
        .output()
        .expect("the binary starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(read("terraform/roles/main.tf"), String::from_utf8_lossy(&output.stdout));
}

#[test]
fn terraform_makes_the_tables_that_the_pipeline_writes_to() {
    let (bigquery, scratch) = (BigQuery::start(), Scratch::new());
    let pipeline = root().join("host/pipelines/stream_gcp.toml");
    let output = scratch
        .command(&["tables", "apply", &pipeline.to_string_lossy()])
        .env("BIGQUERY_EMULATOR_HOST", &bigquery.rest)
        .env("BIGQUERY_STORAGE_EMULATOR_HOST", &bigquery.grpc)
        .output()
        .expect("the binary starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let main = read("terraform/main.tf");
    let list = main.lines().find(|line| line.contains("toset(")).expect("the tables");
    let made: Vec<&str> = list.split('"').skip(1).step_by(2).collect();
    assert!(!made.is_empty(), "{list}");
    for file in files(&root().join("schemas")) {
        let file = file.file_name().unwrap().to_string_lossy().into_owned();
        let Some(table) = file.strip_suffix(".table.json") else { continue };
        let is_there = !bigquery.table("clickstream_analytics", table)["id"].is_null();
        assert_eq!(made.contains(&table), is_there, "{table}");
    }
}

#[test]
fn what_a_million_messages_take_is_reckoned_with_the_fuel_that_was_counted_last() {
    let counts = fs::read_to_string(root().join("host/benches/counts.csv")).unwrap();
    let fuel = |batch: &str| {
        let place = format!(",clicks,{batch},chain,");
        let mut last = counts.lines().rev().filter_map(|line| line.split_once(&place));
        let (_, fuel) = last.next().unwrap_or_else(|| panic!("no count has {place}"));
        let hundreds = format!("{:.0}", fuel.parse::<f64>().unwrap() / 100.0);
        let (thousands, hundred) = hundreds.split_at(hundreds.len() - 1);
        format!("{thousands},{hundred}00")
    };
    let told = format!("| {} to {} |", fuel("full"), fuel("100"));
    assert!(read("README.md").contains(&told), "README.md lacks `{told}`");
}

/// What of the system is linked is what the image has.
#[test]
#[cfg(target_os = "linux")]
fn executables_need_what_distroless_has_and_no_more() {
    const THERE: [&str; 8] = [
        "linux-vdso.so",
        "libc.so",
        "libm.so",
        "libgcc_s.so",
        "libdl.so",
        "libpthread.so",
        "librt.so",
        "ld-linux",
    ];
    let engine = clickmill_query::prepare().expect("the SQL engine builds");
    for program in [Path::new(env!("CARGO_BIN_EXE_clickmill")), &*engine] {
        let output = Command::new("ldd").arg(program).output().expect("ldd is there");
        let listed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(listed.contains("libc.so"), "{listed}");
        for line in listed.lines() {
            assert!(THERE.iter().any(|name| line.contains(name)), "{line} of {program:?}");
        }
    }
}

/// The settings of the plain manifest's pods.
fn settings() -> Vec<String> {
    let text = read("kubernetes/hpa.yaml");
    let lines: Vec<&str> = text.lines().map(|line| line.trim().trim_start_matches("- ")).collect();
    let of = |pair: &[&str]| (pair[0] == "--set").then(|| pair[1].trim_matches('"').to_owned());
    let settings: Vec<String> = lines.windows(2).filter_map(of).collect();
    assert!(settings.contains(&"dead_letter.spool=off".to_owned()), "{settings:?}");
    settings
}

/// A replica as the manifests have it, with a disk that is as an `emptyDir` is, and what it may take to end.
fn replica(cloud: &Cloud, drain: &str, disk: &Path) -> Command {
    fs::create_dir(disk).unwrap();
    fs::set_permissions(disk, fs::Permissions::from_mode(0o777)).unwrap();
    let mut run = cloud.stream(&[]);
    for setting in settings() {
        run.args(["--set", &setting.replace("$(POD_IP)", "10.0.0.1")]);
    }
    // Other tests have the port.
    run.args(["--set", "admin.listen=127.0.0.1:0", "--set", "admin.strict_port=false"]);
    run.args(["--set", drain]).env("CLICKMILL_ADMIN_TOKEN", "0123456789abcdef0123456789abcdef");
    run.current_dir(disk);
    run
}

/// No letter is on the disk.
#[track_caller]
fn is_without_letters(disk: &Path) {
    let found = files(disk);
    let is_letters = |path: &&PathBuf| path.to_string_lossy().contains("spool");
    assert_eq!(found.iter().find(is_letters), None, "{found:?}");
    assert!(!disk.join("clickmill-data/spool").exists());
}

/// Ends as a pod does: by SIGTERM, and long before the grace period's SIGKILL.
fn ended(replica: &mut Process) {
    signal(replica, "-TERM");
    wait_until("the end of the replica", || replica.try_wait().unwrap().is_some());
}

#[test]
fn a_replica_that_is_told_to_end_delivers_what_is_in_hand() {
    let test = "a_replica_that_is_told_to_end_delivers_what_is_in_hand";
    let Some(cloud) = Cloud::start(test, &json!({})) else { return };
    cloud.apply_tables();
    let disk = cloud.scratch.path("disk");
    let mut streaming = spawn(replica(&cloud, "source.max_drain_secs=45", &disk));
    cloud.publish(&["--count", "2000", "--bad", "20%", "--seed", "41"]);
    let rows = "SELECT COUNT(*) FROM clickstream_analytics.clicks_raw";
    wait_until("rows", || cloud.bigquery.number(rows) > 0);
    ended(&mut streaming);
    summary(&streaming.wait_with_output().unwrap());
    is_without_letters(&disk);
    cloud.drain_all(2000);
    cloud.all_are_there_once(2000);
}

#[test]
fn a_replica_whose_letters_have_no_place_gives_their_messages_back() {
    let test = "a_replica_whose_letters_have_no_place_gives_their_messages_back";
    let Some(cloud) = Cloud::start(test, &json!({})) else { return };
    cloud.apply_tables();
    delete_dead_letters(&cloud);
    let disk = cloud.scratch.path("disk");
    let mut streaming = spawn(replica(&cloud, "source.max_drain_secs=5", &disk));
    // It is made at the start; from then on it is away.
    wait_until("the table", || {
        !cloud.bigquery.table("clickstream_analytics", "dead_letter")["id"].is_null()
    });
    delete_dead_letters(&cloud);
    cloud.publish(&["--count", "1000", "--bad", "20%", "--seed", "42"]);
    let rows = "SELECT COUNT(*) FROM clickstream_analytics.clicks_raw";
    wait_until("rows", || cloud.bigquery.number(rows) > 0);
    ended(&mut streaming);
    let output = streaming.wait_with_output().unwrap();
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{talk}");
    for part in ["dead-letter table and spool are away", "there is no spool", "max_drain_secs"] {
        assert!(talk.contains(part), "{part}: {talk}");
    }
    is_without_letters(&disk);
    cloud.drain_all(1000);
    cloud.all_are_there_once(1000);
}
