//! `[[sink.route]]`: tables that rows go to by a condition.

use std::collections::BTreeMap;
use std::path::Path;

use super::problem::{Problem, problem};
use super::{Route, Sink, TableName, Unrouted, raw, table};
use clickmill_core::condition::Condition;
use clickmill_core::path::Path as ColumnPath;
use clickmill_core::schema::TableSchema;

/// Checks the routes of a sink, each by itself. The table beside them is the pipeline's own.
pub(super) fn routes(
    sink: &raw::Sink,
    own: (&TableName, &TableSchema),
    folder: &Path,
    problems: &mut Vec<Problem>,
) -> Option<Vec<Route>> {
    if sink.route.len() > raw::MAX_ROUTES {
        let message =
            format!("has {} routes, wanted at most {}", sink.route.len(), raw::MAX_ROUTES);
        problem(problems, "sink.route", message);
        return None;
    }
    let checked = sink.route.iter().enumerate();
    let checked = checked.map(|(at, route)| check_route(at, route, folder, problems));
    let checked: Vec<Option<Route>> = checked.collect();
    let checked: Vec<Route> = checked.into_iter().collect::<Option<_>>()?;
    let tables: Vec<(&TableName, &TableSchema)> = std::iter::once(own)
        .chain(checked.iter().map(|route| (&route.table, &route.schema)))
        .collect();
    check_tags(&tables, problems);
    Some(checked)
}

fn check_route(
    at: usize,
    route: &raw::Route,
    folder: &Path,
    problems: &mut Vec<Problem>,
) -> Option<Route> {
    let section = format!("sink.route[{at}]");
    let found = table::table(&section, &route.table, &route.schema, folder, problems);
    let condition = match route.condition.parse::<Condition>() {
        Ok(condition) => Some(condition),
        Err(error) => {
            problem(problems, &format!("{section}.where"), format!("is not a condition: {error}"));
            None
        }
    };
    let (table, schema) = found?;
    Some(Route { table, schema, condition: condition?, copy: route.copy })
}

/// What is sensitive in one table is so in all: the guard and whoever looks at rows on their way know
/// columns, and not which table a row will go to.
fn check_tags(tables: &[(&TableName, &TableSchema)], problems: &mut Vec<Problem>) {
    let mut known: BTreeMap<ColumnPath, (&TableName, bool)> = BTreeMap::new();
    for (at, (table, schema)) in tables.iter().enumerate() {
        let all = schema.all_columns();
        let tagged = all.iter().filter(|(_, column)| column.policy_tags.is_some());
        let tagged: Vec<&ColumnPath> = tagged.map(|(path, _)| path).collect();
        for (path, _) in &all {
            let is_tagged = tagged.iter().any(|tagged| path.starts_with(tagged));
            let (other, before) = known.entry(path.clone()).or_insert((table, is_tagged));
            if *before != is_tagged {
                let (with, without) = if is_tagged { (*table, *other) } else { (*other, *table) };
                // The pipeline's own table comes first, and agrees with itself.
                let section = format!("sink.route[{}].schema", at.saturating_sub(1));
                let message = format!(
                    "says otherwise of `{path}` than another table: it has a policy tag in `{with}` and none in `{without}`"
                );
                problem(problems, &section, message);
            }
        }
    }
}

/// Checks the routes beside what else the file says.
pub(super) fn check(sink: &Sink, letters: &TableName, problems: &mut Vec<Problem>) {
    if sink.routes.is_empty() {
        if sink.unrouted == Unrouted::Reject {
            let message =
                "is `reject`, and there is no `[[sink.route]]`: every row would be a dead letter";
            problem(problems, "sink.unrouted", message.to_owned());
        }
        return;
    }
    let mut tables = vec![letters, &sink.table];
    for (at, route) in sink.routes.iter().enumerate() {
        if tables.contains(&&route.table) {
            let message = format!(
                "is `{}`, which is another table of this pipeline: write one condition with OR",
                route.table
            );
            problem(problems, &format!("sink.route[{at}].table"), message);
        }
        tables.push(&route.table);
    }
}
