//! What the fuzz target `pipeline_files` and its test in CI call: any bytes as a pipeline file.

use std::collections::HashSet;
use std::path::Path;

use clickmill_core::{causes, stage};

use super::reader::read_text;
use super::schema::SECTIONS;
use super::{ConfigError, Pipeline};

/// A first line that begins like that is an override, as behind `--set`.
const SET: &str = "# --set ";
/// Overrides that are taken.
const MAX_OVERRIDES: usize = 8;
/// Where the file is said to lie: the schemas that pipelines name are found from there.
const PLACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../pipelines/fuzzed.toml");

/// Reads bytes as a pipeline file; its first lines may be overrides, `# --set key=value`. The variable
/// `FUZZED` is set, no other one. Whether there is a pipeline.
///
/// # Panics
///
/// Where a pipeline is taken that breaks what its sections promise, where an error names neither a line, a
/// key nor the override, and where reading panics.
pub fn pipeline_file(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    // Paths that lead to devices: reading one may never end.
    if ["/dev", "/proc", "/sys"].iter().any(|folder| text.contains(folder)) {
        return false;
    }
    let given = text.lines().map_while(|line| line.strip_prefix(SET));
    let overrides: Vec<String> = given.take(MAX_OVERRIDES).map(str::to_owned).collect();
    let variable = |name: &str| (name == "FUZZED").then(|| "fuzzed".to_owned());
    let read = read_text(&text, Path::new(PLACE), &overrides, &variable);
    match &read {
        Ok(pipeline) => taken(pipeline),
        Err(error) => refused(error, &text, &overrides),
    }
    read.is_ok()
}

/// What every checked pipeline is.
fn taken(pipeline: &Pipeline) {
    assert!(stage::check_name(&pipeline.name).is_ok(), "its name is `{}`", pipeline.name);
    assert!((1..=256).contains(&pipeline.workers), "{} workers", pipeline.workers);
    let batch = &pipeline.batch;
    assert!((1..=1 << 20).contains(&batch.max_rows), "{batch:?}");
    assert!((1..=1 << 28).contains(&batch.max_bytes), "{batch:?}");
    assert!((1..=60_000).contains(&batch.max_wait_ms), "{batch:?}");
    assert!(batch.min_wait_ms.is_none_or(|least| least <= batch.max_wait_ms), "{batch:?}");
    let share = pipeline.dead_letter.max_rejected_share;
    assert!((0.0..=1.0).contains(&share), "letters are a share of {share}");
    let rules = &pipeline.swap.rules;
    for share in [
        rules.max_rejected_increase,
        rules.max_filtered_increase,
        rules.max_changed_share,
        rules.max_routed_change,
    ] {
        assert!((0.0..=1.0).contains(&share), "{rules:?}");
    }
    let mut names = HashSet::new();
    for plugin in &pipeline.plugins {
        assert!(!stage::ALL.contains(&plugin.name.as_str()), "`{}` is the host's", plugin.name);
        assert!(names.insert(&plugin.name), "stage `{}` is there twice", plugin.name);
        let secret = plugin.secrets.iter().find(|(name, _)| plugin.config.contains_key(name));
        assert_eq!(secret, None, "a secret is in the configuration too");
    }
}

/// Whoever reads an error finds what it is about.
fn refused(error: &ConfigError, text: &str, overrides: &[String]) {
    assert!(!causes(error).is_empty());
    match error {
        ConfigError::Read { .. } => unreachable!("no file was to be read: {error}"),
        ConfigError::Syntax { line, column, why, .. } => {
            let lines = text.split('\n').count();
            assert!((1..=lines).contains(line) && *column > 0 && !why.is_empty(), "where? {error}");
        }
        ConfigError::Set { key, wanted } => {
            let is_given = overrides.iter().any(|given| given.contains(key.as_str()));
            assert!(is_given && !wanted.is_empty(), "which? {error}");
        }
        ConfigError::Problems { problems, .. } => {
            assert!(!problems.is_empty(), "nothing is wrong, and yet it is refused");
            let document: toml::Table = toml::from_str(text).unwrap_or_default();
            let set = overrides.iter().filter_map(|given| given.trim().split(['.', '=']).next());
            let keys = document.keys().map(String::as_str).chain(SECTIONS).chain(set);
            let keys: Vec<&str> = keys.map(str::trim).collect();
            for problem in problems {
                let named = problem.path.trim();
                assert!(keys.iter().any(|key| named.starts_with(key)), "which key? {problem}");
                assert!(!problem.message.is_empty(), "what is wrong? {problem}");
            }
        }
    }
}
