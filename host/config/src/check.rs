//! From the raw sections to a checked [`Pipeline`]: every problem is collected, none stops the rest.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::problem::{Problem, join, problem};
use super::secrets::OfHost;
use super::{
    Admin, BatchLimits, DeadLetter, Pipeline, Seal, Sink, Token, admin, bounds, guard, raw, routes,
    schema, secrets, service, source, stages, swap, table, trust,
};
use clickmill_core::stage;

pub(super) fn check(
    mut document: toml::Table,
    folder: &Path,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Pipeline, Vec<Problem>> {
    let mut problems = Vec::new();
    bounds::hold(&mut document, &mut problems);
    for key in document.keys().filter(|key| !schema::SECTIONS.contains(&key.as_str())) {
        let message = format!("there is no such section, only: {}", schema::SECTIONS.join(", "));
        problem(&mut problems, key, message);
    }

    let name: Option<String> = raw::section(document.remove("name"), "name", &mut problems);
    if let Some(Err(error)) = name.as_deref().map(stage::check_name) {
        problem(&mut problems, "name", error.to_string());
    }
    // Serde would read a list too: the kind first, then what it has.
    let source: Option<toml::Table> =
        raw::section(document.remove("source"), "source", &mut problems);
    let source = source
        .and_then(|table| raw::section(Some(toml::Value::Table(table)), "source", &mut problems))
        .and_then(|section| source::check(section, folder, &mut problems));
    let plugins = stages::stages(document.remove("plugin"), folder, &mut problems);
    let warehouse = raw::optional(document.remove("warehouse"), "warehouse", &mut problems);
    let sink = raw::section(document.remove("sink"), "sink", &mut problems).and_then(
        |section: raw::Sink| {
            let (table, schema) =
                table::table("sink", &section.table, &section.schema, folder, &mut problems)?;
            let place = service::place(&section, variable, &mut problems)?;
            let retention_days = service::retention(&warehouse, &place, &mut problems);
            let unrouted = section.unrouted;
            let routes = routes::routes(&section, (&table, &schema), folder, &mut problems)?;
            Some(Sink { table, schema, routes, unrouted, place, retention_days })
        },
    );
    let dead_letter = raw::section(document.remove("dead_letter"), "dead_letter", &mut problems)
        .and_then(|section| check_dead_letter(&section, folder, &mut problems));
    let swap = raw::optional(document.remove("swap"), "swap", &mut problems);
    let swap = swap::swap(swap, folder, &mut problems);
    swap::check(&swap, &plugins, &mut problems);
    let guard = raw::optional(document.remove("guard"), "guard", &mut problems);
    let guard = guard::guard(guard, &mut problems);
    let trust = raw::optional(document.remove("trust"), "trust", &mut problems);
    let trust = trust::trust(trust, folder, &mut problems);
    let admin = raw::optional(document.remove("admin"), "admin", &mut problems);
    let admin = admin::admin(admin, folder, &mut problems);
    let batch: BatchLimits = raw::optional(document.remove("batch"), "batch", &mut problems);
    if let Some(least) = batch.min_wait_ms.filter(|least| *least > batch.max_wait_ms) {
        let most = batch.max_wait_ms;
        let message = format!("is {least}, wanted at most `batch.max_wait_ms`, which is {most}");
        problem(&mut problems, "batch.min_wait_ms", message);
    }
    let workers: usize = raw::optional(document.remove("workers"), "workers", &mut problems);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = if workers == 0 { cores.min(schema::MAX_WORKERS) } else { workers };

    if let (Some(sink), Some(letters)) = (&sink, &dead_letter) {
        routes::check(sink, &letters.table, &mut problems);
    }
    if let Some(sink) = &sink {
        guard::check(&guard, sink, &mut problems);
    }
    let seal = dead_letter.as_ref().and_then(|letters| letters.seal.as_ref());
    let of_host = variables_of_host(seal, &admin);
    secrets::check_variables(&plugins, &of_host, &mut problems);

    match (name, source, sink, dead_letter) {
        (Some(name), Some((source, format)), Some(sink), Some(dead_letter))
            if problems.is_empty() =>
        {
            Ok(Pipeline {
                name,
                source,
                format,
                plugins,
                sink,
                dead_letter,
                swap,
                admin,
                guard,
                trust,
                batch,
                workers,
            })
        }
        _ => Err(problems),
    }
}

/// The variables that hold secrets of the host.
fn variables_of_host<'a>(seal: Option<&'a Seal>, admin: &'a Admin) -> Vec<OfHost<'a>> {
    let mut found = Vec::new();
    if let Some(seal) = seal {
        let path = "dead_letter.seal.key_env".to_owned();
        let what = "the key of `dead_letter.seal`";
        found.push(OfHost { path, variable: &seal.variable, what });
        for (at, old) in seal.old.iter().enumerate() {
            let path = format!("dead_letter.seal.old[{at}].key_env");
            let what = "an old key of `dead_letter.seal`";
            found.push(OfHost { path, variable: &old.variable, what });
        }
    }
    for (key, token, what) in [
        ("token_env", &admin.token, "the token of `admin`"),
        ("reader_token_env", &admin.reader_token, "the reader's token of `admin`"),
    ] {
        if let Some(Token::Variable(variable)) = token {
            found.push(OfHost { path: format!("admin.{key}"), variable, what });
        }
    }
    found
}

fn check_dead_letter(
    section: &raw::DeadLetter,
    folder: &Path,
    problems: &mut Vec<Problem>,
) -> Option<DeadLetter> {
    if let Some(seal) = &section.seal {
        let mut ids = vec![&seal.key_id];
        for (at, old) in seal.old.iter().enumerate() {
            if ids.contains(&&old.key_id) {
                let message =
                    format!("is `{}`, and so is another key's, wanted one of its own", old.key_id);
                problem(problems, &format!("dead_letter.seal.old[{at}].key_id"), message);
            }
            ids.push(&old.key_id);
        }
    }
    let (table, schema) =
        table::table("dead_letter", &section.table, &section.schema, folder, problems)?;
    let spool = match section.spool.as_deref() {
        None => Some(PathBuf::from("clickmill-data/spool")),
        Some(raw::NO_SPOOL) => None,
        Some(spool) => {
            // No text at all would be the folder of the pipeline file, and a URI a folder of its name.
            if spool.is_empty() || spool.contains("://") {
                let message = format!("is `{spool}`, wanted a folder on a disk, or `off`");
                problem(problems, "dead_letter.spool", message);
            }
            Some(join(folder, spool))
        }
    };
    Some(DeadLetter {
        table,
        schema,
        max_rejected_share: section.max_rejected_share,
        window_rows: section.window_rows,
        spool,
        spool_max_bytes: section.spool_max_bytes,
        spool_max_wait: Duration::from_secs(section.spool_max_wait_secs),
        seal: section.seal.clone(),
    })
}
