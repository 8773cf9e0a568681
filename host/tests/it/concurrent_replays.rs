//! Any number of replays at once into one table, killed at any moment: each row is written once.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::concurrent_loads::{Run, count, forget, moments};
use crate::support::{Scratch, plugins, root};

#[test]
fn killed_at_any_moment_replays_at_once_write_each_row_once() {
    plugins();
    let scratch = Scratch::new();
    scratch.done(&[
        "generate", "shop", "--rows", "30000", "--bad", "20%", "--seed", "5", "--output",
        "shop.csv",
    ]);
    let pipeline = root().join("host/pipelines/batch.toml");
    let all_letters = ["source.uri=shop.csv", "dead_letter.max_rejected_share=1.0"];
    let loaded = scratch.summary(&pipeline, &all_letters);
    // Hardly a rule: what only a rule refused passes.
    let no_rules = r#"plugin.validate.config.rules=[{required={columns=["price"]}}]"#;
    let (warehouse, kept) = (scratch.path("warehouse"), scratch.path("kept"));
    let copy = |from: &Path, to: &Path| {
        let copied = Command::new("cp").arg("-r").args([from, to]).status().unwrap();
        assert!(copied.success());
    };
    copy(&warehouse, &kept);
    let table = "clickstream_analytics.clickstream_batch";
    for round in 0..8_u32 {
        forget(&scratch);
        copy(&kept, &warehouse);
        let pipeline = pipeline.to_string_lossy().into_owned();
        let replay = |name: &str, condition: &str| {
            let set = ["dead-letter", "replay", &pipeline, "--json", "--set", no_rules];
            let arguments = [&set[..], &["--where", condition]].concat();
            Run::start(&scratch, name, scratch.command(&arguments))
        };
        // The same letters, on other pages.
        let mut one = replay("one", "TRUE");
        let mut other = replay("other", "code <> 'bad_date'");
        if round % 2 == 1 {
            std::thread::sleep(moments(1, Duration::from_millis(1500))[0]);
            one.kill();
        }
        let (status, _) = one.wait();
        assert!(status.success() || round % 2 == 1, "{status}: {}", one.talk());
        let (status, _) = other.wait();
        assert!(status.success(), "{status}: {}", other.talk());
        let (status, _) = replay("last", "TRUE").wait();
        assert!(status.success(), "round {round}");
        let letters =
            "SELECT COUNT(*) FROM clickstream_analytics.dead_letters WHERE resolved_at IS NOT NULL";
        let resolved = scratch.number(letters);
        assert!(resolved > 0);
        let rows = scratch.number(&format!("SELECT COUNT(*) FROM {table}"));
        assert_eq!(rows, count(&loaded, "rows_out") + resolved, "round {round}");
        let places = format!(
            "SELECT COUNT(*) FROM (SELECT DISTINCT source, source_line FROM {table}) AS places"
        );
        assert_eq!(scratch.number(&places), rows, "round {round}");
    }
}
