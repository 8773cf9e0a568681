//! Columns that a pipeline file grants and that are misspelt: told before anything is built, as far as the file and
//! the table tell.
//!
//! A column that is not there is no error by itself. It is taken for misspelt where another is there that is spelt
//! much alike, and that the stage is not granted. Of what is read that is sure enough for an error. What is written
//! may go nowhere on purpose.

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
        Format::Csv { .. } => return Ok(()),
        // A line is a column `payload`, as a message is.
        format @ (Format::Ndjson { .. } | Format::Message { .. }) => {
            messages::schema(format.payload())
        }
    };
    let given = schema.fields().iter().map(|column| column.name().as_str());
    let Slips { reads: problems, writes } = misspelt(&pipeline.plugins, &pipeline.sink, given);
    for problem in writes {
        tracing::warn!(problem, "a column may be misspelt in the pipeline file");
    }
    if problems.is_empty() { Ok(()) } else { Err(Misspelt { problems }) }
}

/// What may be misspelt in grants, a line each.
#[derive(Debug, Default, PartialEq)]
struct Slips {
    reads: Vec<String>,
    writes: Vec<String>,
}

/// What may be misspelt in grants where these columns come in.
fn misspelt<'a>(plugins: &'a [Plugin], sink: &Sink, given: impl Iterator<Item = &'a str>) -> Slips {
    let mut found = Slips::default();
    let mut there: BTreeSet<&str> = given.collect();
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
        if let Grant::Only(reads) = &plugin.reads {
            found.reads.extend(told("reads", "which nobody gives", slips(reads, &there, &there)));
        }
        let Grant::Only(writes) = &plugin.writes else {
            // From here on there may be any column.
            return found;
        };
        let unwanted = unwanted(writes, &plugins[at + 1..], sink, &there);
        let why = "which no later stage reads and the table lacks";
        found.writes.extend(told("writes", why, unwanted));
        there.extend(writes.iter().map(|name| first(name)));
    }
    found
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
        misspelt(plugins, &target.sink, given.into_iter())
    }

    #[test]
    fn a_slip_is_told_with_what_is_meant() {
        let slips = [stage(&["utm_sorce"], &["trafic_source"]), stage(&["contry.name"], &[])];
        let told = told(&slips);
        assert_eq!(
            told.reads,
            [
                "plugin `shout`: `reads` names `utm_sorce`, which nobody gives: did you mean `utm_source`?",
                "plugin `shout`: `reads` names `contry.name`, which nobody gives: did you mean `country`?",
            ]
        );
        assert_eq!(
            told.writes,
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
        assert_eq!(told.reads, [""; 0]);
        assert_eq!(told.writes.len(), 1);
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
            // The host's.
            vec![stage(&[], &["sources"])],
        ] {
            assert_eq!(told(&plugins), Slips::default(), "{plugins:?}");
        }
    }
}
