//! `clickmill plugin test --record`: golden cases of dead letters, or of rows of a tap.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Map, Value as Json};

use crate::Failure;
use crate::admin::Admin;
use crate::compile::Limits;
use crate::pipeline_args::options;
use crate::place::read_pipeline;
use crate::plugin::alone::Alone;
use crate::tap;
use clickmill_config::Plugin;
use clickmill_core::private;
use clickmill_pipeline::{RecordedRows, Recording, open, record, record_tapped, tapped};
use clickmill_sandbox::build::is_crate;
use clickmill_sandbox::{Change, NewComponent, PluginError};

/// Which letters become cases.
#[derive(Debug, Args)]
pub(crate) struct Record {
    /// Write golden cases of dead letters of a pipeline, in place of running those that are there
    #[arg(long, value_name = "PIPELINE.toml", conflicts_with_all = ["fuel", "json", "junit", "watch"])]
    record: Option<PathBuf>,

    /// With --record: of rows that a tap of the running pipeline shows, in place of dead letters
    #[arg(long, requires = "record")]
    tap: bool,

    /// With --record: set a value of the pipeline file, as for `run`
    #[arg(long = "set", value_name = "KEY=VALUE", requires = "record")]
    set: Vec<String>,

    /// With --record: the plugin's stage in the pipeline file (default: the one that has it)
    #[arg(long, value_name = "STAGE", requires = "record")]
    stage: Option<String>,

    /// With --record: which letters or rows, a condition in SQL (default: any)
    #[arg(long = "where", value_name = "SQL", requires = "record")]
    condition: Option<String>,

    /// With --record: the most letters or rows that are taken (default: 20)
    #[arg(long, value_name = "N", requires = "record", value_parser = clap::value_parser!(u64).range(1..=5000))]
    limit: Option<u64>,

    /// With --record: the name of the file in `tests`, without its ending (default: recorded)
    #[arg(long, value_name = "NAME", requires = "record")]
    name: Option<String>,

    #[command(flatten)]
    admin: Admin,
}

/// Letters or rows that are taken where nobody says how many.
const TAKEN: u64 = 20;

impl Record {
    /// Whether that is what is asked for, and not a test.
    pub(super) fn is_asked(&self) -> bool {
        self.record.is_some()
    }

    /// Writes the cases.
    pub(super) fn run(
        self,
        plugin: &Path,
        limits: &Limits,
        warehouse: &str,
    ) -> Result<(), Failure> {
        let name = self.name.unwrap_or_else(|| "recorded".to_owned());
        if Path::new(&name).file_name() != Some(name.as_ref()) {
            return Err(Failure::bad_input(format!("`{name}` is not a name of a file")));
        }
        let file = format!("{name}.json");
        let prepared =
            open(read_pipeline(&self.record.unwrap_or_default(), &self.set)?, &options(warehouse))?;
        let pipeline = prepared.pipeline();
        if !pipeline.trust.keys.is_empty() && is_crate(plugin) {
            let (stage, path) = (self.stage.unwrap_or_default(), plugin.to_owned());
            return Err(PluginError::UnsignedCrate { stage, path }.into());
        }
        let alone = Alone::load(plugin, limits)?;
        let tests = alone.folder.join("tests");
        is_free(&tests.join(&file), None)?;
        let component = NewComponent::read(&alone.component, pipeline.swap.components.max_bytes)?;
        let given = || stage_of(&pipeline.plugins, &[plugin, &alone.component]);
        let stage = self.stage.or_else(given).unwrap_or_else(|| alone.made().plugin);
        let change = Change { stage, component: Some(component), ..Change::default() };
        let recording = Recording {
            change,
            condition: self.condition.unwrap_or_else(|| "TRUE".to_owned()),
            letters: self.limit.unwrap_or(TAKEN) as usize,
            file: file.clone(),
        };
        let recorded = if self.tap {
            let tapped = tapped(&prepared, &recording.change.stage)?;
            let rows = rows(&self.admin, &tapped.after, &recording)?;
            record_tapped(&prepared, &recording, &tapped, rows)?
        } else {
            record(&prepared, &recording)?
        };
        write(&tests, &file, &recorded)?;
        tell(&tests.join(&file), &recorded);
        Ok(())
    }
}

/// The one stage that has the plugin of these paths. Where the file names another copy of it, or several stages have it,
/// there is none.
fn stage_of(stages: &[Plugin], paths: &[&Path]) -> Option<String> {
    let real = |path: &Path| path.canonicalize().ok();
    let paths: Vec<PathBuf> = paths.iter().filter_map(|path| real(path)).collect();
    let has_it = |stage: &&Plugin| real(&stage.component).is_some_and(|path| paths.contains(&path));
    let mut found = stages.iter().filter(has_it);
    match (found.next(), found.next()) {
        (Some(stage), None) => Some(stage.name.to_string()),
        _ => None,
    }
}

/// Rows that a tap shows after a stage.
fn rows(
    admin: &Admin,
    after: &str,
    recording: &Recording,
) -> Result<Vec<Map<String, Json>>, Failure> {
    let query = [("stage", after.to_owned()), ("where", recording.condition.clone())];
    let mut rows = Vec::new();
    eprintln!("waiting for {} rows after stage `{after}`", recording.letters);
    tap::each(admin, &query, |_, row| {
        if let Json::Object(row) = row {
            rows.push(row);
        }
        Ok(rows.len() < recording.letters)
    })?;
    Ok(rows)
}

/// Writes the cases and the reference data that they name. What is there stays.
fn write(tests: &Path, file: &str, recorded: &RecordedRows) -> Result<(), Failure> {
    let golden = &recorded.golden;
    if golden.cases() == 0 {
        return Err(Failure::bad_input("no row of the letters can be written as JSON"));
    }
    for (name, text) in golden.files() {
        is_free(&tests.join(name), Some(text))?;
    }
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| Failure::unwritable(&path, error)
    };
    fs::create_dir_all(tests).map_err(failed(tests))?;
    let text = golden.text();
    for (name, text) in golden.files().chain([(file, text.as_str())]) {
        let path = tests.join(name);
        if path.exists() && name != file {
            continue;
        }
        // They are values of events.
        let opened = private::options().write(true).create_new(true).open(&path);
        let written = opened.and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(failed(&path))?;
    }
    Ok(())
}

/// Whether there is no such file yet, or one of this text.
fn is_free(path: &Path, text: Option<&str>) -> Result<(), Failure> {
    let is_same =
        text.is_some_and(|text| fs::read_to_string(path).is_ok_and(|there| there == text));
    if is_same || fs::symlink_metadata(path).is_err() {
        return Ok(());
    }
    Err(Failure::bad_input(format!("`{}` is there already", path.display()))
        .hint("nothing is written over: take it away, or give `--name`"))
}

fn tell(path: &Path, recorded: &RecordedRows) {
    let RecordedRows { golden, letters, rows, left_out, hidden } = recorded;
    let of = letters.map_or_else(String::new, |letters| format!(" of {letters} letters"));
    println!("{} golden cases of {rows} rows{of} in `{}`", golden.cases(), path.display());
    if *left_out > 0 {
        eprintln!(
            "{left_out} rows are left out: they have other columns than the first, or values that JSON does not hold"
        );
    }
    if !hidden.is_empty() {
        let names: Vec<String> = hidden.iter().map(|name| format!("`{name}`")).collect();
        eprintln!(
            "hidden, as in a tap: {}; `admin.reveal` in the pipeline file names columns that are shown",
            names.join(", ")
        );
    }
    eprintln!("they say what the plugin makes of the rows now: change what is not as it should be");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stage_is_the_one_that_has_the_component() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("p")).unwrap();
        fs::write(path("p/other.wasm"), "").unwrap();
        let stage = |name: &str, component: &str| Plugin {
            component: path(component),
            ..Plugin::named(name.parse().unwrap())
        };
        let stages = [stage("loud", "p/../p"), stage("quiet", "p/other.wasm"), stage("gone", "x")];
        let of = |name: &str| stage_of(&stages, &[&path(name)]);
        assert_eq!(of("p").as_deref(), Some("loud"));
        assert_eq!(of("p/other.wasm").as_deref(), Some("quiet"));
        // There is none, and there are two.
        assert_eq!(of("x"), None);
        assert_eq!(stage_of(&stages, &[&path("p"), &path("p/other.wasm")]), None);
    }
}
