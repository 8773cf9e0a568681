//! Columns that a pipeline file grants and that are misspelt: told before anything is built, as far as the file and
//! the table tell.
//!
//! A column that is not there is no error by itself. It is taken for misspelt where another is there that is spelt
//! much alike, and that the stage is not granted. Of what is read that is sure enough for an error. What is written
//! may go nowhere on purpose. What a stage makes that may write any column is known by its configuration only, where
//! that lists columns, as that of `parse` does: behind it nothing is sure.

use std::collections::BTreeSet;

use clickmill_config::{Format, Grant, Pipeline, Plugin, Sink};
use clickmill_core::schema::provenance;
use clickmill_core::{list, near};
use clickmill_decode::messages;

/// Stages are granted columns that nobody gives.
#[derive(Debug, thiserror::Error)]
#[error("columns are misspelt in the pipeline file:{list}", list = list(problems))]
pub struct Misspelt {
    /// Each of them, with what may be meant.
    problems: Vec<String>,
}

/// Checks the grants of a pipeline file that is about to run. What may be misspelt is logged.
///
/// # Errors
///
/// All that are misspelt, of what is read.
pub fn look_at_columns(pipeline: &Pipeline) -> Result<(), Misspelt> {
    let schema = match &pipeline.format {
        // Each object has its own, and is told with them where it is opened.
        Format::Csv { .. } => None,
        // A line is a column `payload`, as a message is.
        format @ (Format::Ndjson { .. } | Format::Message { .. }) => {
            Some(messages::schema(format.payload()))
        }
    };
    let given = schema.as_ref().map(|schema| {
        schema.fields().iter().map(|column| column.name().as_str()).collect::<BTreeSet<&str>>()
    });
    let Slips { errors: problems, warnings } = misspelt(&pipeline.plugins, &pipeline.sink, given);
    for problem in warnings {
        tracing::warn!(problem, "a column may be misspelt in the pipeline file");
    }
    if problems.is_empty() { Ok(()) } else { Err(Misspelt { problems }) }
}

/// What may be misspelt in grants, a line each.
#[derive(Debug, Default, PartialEq)]
struct Slips {
    errors: Vec<String>,
    warnings: Vec<String>,
}

/// What may be misspelt in grants where these columns come in, or any.
fn misspelt<'a>(plugins: &'a [Plugin], sink: &Sink, given: Option<BTreeSet<&'a str>>) -> Slips {
    let mut found = Slips::default();
    // None where any may be.
    let mut there = given;
    let mut is_sure = true;
    for (at, plugin) in plugins.iter().enumerate() {
        let told = |grant: &str, why: &str, slips: Vec<(&str, &str)>| {
            let line = |(name, meant)| {
                let stage = &plugin.name;
                format!(
                    "plugin `{stage}`: `{grant}` names `{name}`, {why}: did you mean `{meant}`?"
                )
            };
            slips.into_iter().map(line).collect::<Vec<String>>()
        };
        if let (Grant::Only(reads), Some(there)) = (&plugin.reads, &there) {
            let (found, why) = if is_sure {
                (&mut found.errors, "which nobody gives")
            } else {
                (&mut found.warnings, "which no stage before it is configured to make")
            };
            found.extend(told("reads", why, slips(reads, there, there)));
        }
        let Grant::Only(writes) = &plugin.writes else {
            is_sure = false;
            let before = there.take().unwrap_or_default();
            there = configured(plugin).map(|made| before.into_iter().chain(made).collect());
            continue;
        };
        let Some(there) = &mut there else { continue };
        let unwanted = unwanted(writes, &plugins[at + 1..], sink, there);
        let why = "which no later stage reads and the table lacks";
        found.warnings.extend(told("writes", why, unwanted));
        there.extend(writes.iter().map(|name| first(name)));
    }
    found
}

/// The columns that a stage is configured to make, where its configuration lists them by name.
fn configured(plugin: &Plugin) -> Option<Vec<&str>> {
    let columns = plugin.config.get("columns")?.as_array()?;
    columns.iter().map(|column| column.get("name")?.as_str()).collect()
}

/// Columns that are written, and that neither a later stage reads nor a table has, each with the one of the table
/// that nobody else gives.
fn unwanted<'a>(
    writes: &'a [String],
    later: &[Plugin],
    sink: &'a Sink,
    there: &BTreeSet<&str>,
) -> Vec<(&'a str, &'a str)> {
    // Conditions of routes want columns too, and a stage that may touch all may want or give any.
    let may_all = |plugin: &Plugin| [&plugin.reads, &plugin.writes].contains(&&Grant::All);
    if !sink.routes.is_empty() || later.iter().any(may_all) {
        return Vec::new();
    }
    let names = |grant: &Grant| -> Vec<String> { grant.clone().into() };
    let granted = later.iter().flat_map(|plugin| [names(&plugin.reads), names(&plugin.writes)]);
    let granted: Vec<String> = granted.flatten().collect();
    let table = sink.schema.columns.iter().map(|column| column.name.as_str());
    let table: BTreeSet<&str> = table.filter(|name| !provenance::ALL.contains(name)).collect();
    let mut wanted: BTreeSet<&str> = granted.iter().map(|name| first(name)).collect();
    wanted.extend(there);
    let lacking = table.iter().copied().filter(|column| !wanted.contains(column)).collect();
    wanted.extend(table);
    slips(writes, &wanted, &lacking)
}

/// Of names that are granted those that are not known, each with the one that may be meant.
fn slips<'a>(
    granted: &'a [String],
    known: &BTreeSet<&str>,
    meant: &BTreeSet<&'a str>,
) -> Vec<(&'a str, &'a str)> {
    let is_granted = |column: &str| granted.iter().any(|name| first(name) == column);
    let unknown = granted.iter().map(String::as_str);
    let unknown = unknown.filter(|name| !known.contains(name) && !known.contains(first(name)));
    let meant = |name: &'a str| {
        let others = meant.iter().copied().filter(|column| !is_granted(column));
        Some((name, near(first(name), others)?))
    };
    unknown.filter_map(meant).collect()
}

/// The name of the column in a path: `user` of `user.email`.
fn first(path: &str) -> &str {
    path.split('.').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::versions::fit::Target;

    /// A stage that reads and writes these columns.
    fn stage(reads: &[&str], writes: &[&str]) -> Plugin {
        let grant =
            |names: &[&str]| Grant::from(names.iter().map(ToString::to_string).collect::<Vec<_>>());
        let plugin = Plugin::named("shout".parse().unwrap());
        Plugin { reads: grant(reads), writes: grant(writes), ..plugin }
    }

    /// What is told of a chain over `country` and `utm_source` into a table with `country` and `traffic_source`.
    fn told(plugins: &[Plugin]) -> Slips {
        let column =
            |name: &str| format!(r#"{{"name": "{name}", "type": "STRING", "mode": "NULLABLE"}}"#);
        let columns = ["country", "traffic_source", provenance::SOURCE].map(column).join(",");
        let target = Target::of_columns(&format!("[{columns}]"));
        let given = ["country", "utm_source"];
        misspelt(plugins, &target.sink, Some(BTreeSet::from(given)))
    }

    /// A stage that may write any column, and has this in its configuration as `columns`.
    fn any(columns: serde_json::Value) -> Plugin {
        let config = serde_json::Map::from_iter([("columns".to_owned(), columns)]);
        Plugin { config, ..stage(&["*"], &["*"]) }
    }

    /// By what `parse` is configured to make, and perhaps it makes more.
    #[test]
    fn behind_a_stage_that_may_write_any_column_slips_are_warnings() {
        let parse =
            any(serde_json::json!([{"name": "price", "type": "float64"}, {"name": "page"}]));
        let told = told(&[parse.clone(), stage(&["pric", "page", "contry"], &["trafic_source"])]);
        assert_eq!(told.errors, [""; 0]);
        let why = "which no stage before it is configured to make: did you mean";
        assert_eq!(
            told.warnings[..2],
            [
                format!("plugin `shout`: `reads` names `pric`, {why} `price`?"),
                format!("plugin `shout`: `reads` names `contry`, {why} `country`?"),
            ]
        );
        assert!(told.warnings[2].contains("`writes` names `trafic_source`"), "{told:?}");
        // So they are where nothing is known of what comes in, as of CSV.
        let target =
            Target::of_columns(r#"[{"name": "page", "type": "STRING", "mode": "NULLABLE"}]"#);
        let plugins = [stage(&["pagee"], &[]), parse, stage(&["pagee"], &[])];
        let told = misspelt(&plugins, &target.sink, None);
        assert_eq!((told.errors.len(), told.warnings.len()), (0, 1), "{told:?}");
    }

    #[test]
    fn a_slip_is_told_with_what_is_meant() {
        let slips = [stage(&["utm_sorce"], &["trafic_source"]), stage(&["contry.name"], &[])];
        let told = told(&slips);
        assert_eq!(
            told.errors,
            [
                "plugin `shout`: `reads` names `utm_sorce`, which nobody gives: did you mean `utm_source`?",
                "plugin `shout`: `reads` names `contry.name`, which nobody gives: did you mean `country`?",
            ]
        );
        assert_eq!(
            told.warnings,
            [
                "plugin `shout`: `writes` names `trafic_source`, which no later stage reads and the table lacks: \
              did you mean `traffic_source`?"
            ]
        );
    }

    /// A tap may be all that shows it, and names that are right may be much alike.
    #[test]
    fn what_is_written_is_no_error() {
        let told = told(&[stage(&["country"], &["country", "traffic_score"])]);
        assert_eq!(told.errors, [""; 0]);
        assert_eq!(told.warnings.len(), 1);
    }

    #[test]
    fn what_may_be_meant_so_is_none() {
        for plugins in [
            // There, in the table, written before, or a field of one.
            vec![stage(&["utm_source", "country.name"], &["traffic_source", "country"])],
            vec![stage(&["country"], &["countri"]), stage(&["countri"], &["country"])],
            // Like none, or like one that is granted too.
            vec![stage(&["price"], &["device"])],
            vec![stage(&["utm_source", "utm_source2"], &["traffic_source", "traffic_source2"])],
            // Read by a later stage; all is.
            vec![stage(&[], &["trafic_source"]), stage(&["trafic_source"], &[])],
            vec![stage(&[], &["trafic_source"]), stage(&["*"], &[])],
            // After a stage that may write anything.
            vec![stage(&["country"], &["*"]), stage(&["utm_sorce"], &["trafic_source"])],
            vec![any(serde_json::json!({"country": "ip"})), stage(&["utm_sorce"], &[])],
            vec![any(serde_json::json!([{"to": "country"}])), stage(&["utm_sorce"], &[])],
            // The host's.
            vec![stage(&[], &["sources"])],
        ] {
            assert_eq!(told(&plugins), Slips::default(), "{plugins:?}");
        }
    }
}
