//! The roles of a pipeline that writes to BigQuery.
//!
//! The host is given datasets, since it may have to make tables in them. Readers are given the table
//! alone: the dead letters, which are rejected records in the clear, are usually in the same dataset.

use std::collections::{BTreeMap, BTreeSet};

use super::{Access, Condition, MaskedView, Provisioned, ReaderAccess, Resource};
use clickmill_config::{BigQuery, MissingTables, Pipeline, Sink, TableName};
use clickmill_core::schema::TableSchema;

/// What the host needs to write rows, dead letters and, of loads, the ledger.
pub(super) fn host(pipeline: &Pipeline, place: &BigQuery, access: &mut Access) {
    let project = of_project(place);
    access.project = Some(place.project.clone());
    let (sink, letters) = (&pipeline.sink, &pipeline.dead_letter);
    let tables: Vec<&TableName> =
        sink.tables().map(|(table, _)| table).chain([&letters.table]).collect();
    let datasets: BTreeSet<&str> = tables.iter().map(|table| table.dataset.as_str()).collect();
    let loads = !pipeline.source.is_stream();
    if creates(place) {
        let tables = tables.iter().map(|name| table(place, name)).collect();
        access.host_makes.insert(Provisioned::Tables, tables);
        let datasets = datasets.iter().map(|name| dataset(place, name)).collect();
        access.host_makes.insert(Provisioned::Datasets, datasets);
        let why =
            "creates the dataset, which makes the host its owner: once it exists, drop the role";
        let missing = vec![Condition::Missing(Provisioned::Datasets)];
        access.host("roles/bigquery.user", project.clone(), why, missing);
    }
    for name in datasets {
        let mut writes = Vec::new();
        if sink.tables().any(|(table, _)| table.dataset == name) {
            writes.push("rows");
        }
        if letters.table.dataset == name {
            writes.push("dead letters");
        }
        // Beside the table.
        if sink.table.dataset == name {
            writes.extend(["plugin sets", "the audit log", "attempts to replay"]);
            if loads {
                writes.push("the load ledger");
            }
        }
        let makes = if creates(place) {
            "creates missing tables, looks at their columns"
        } else {
            "looks at the tables' columns"
        };
        let why = format!("{makes} and writes {}", listed(&writes));
        access.host(
            "roles/bigquery.dataEditor",
            dataset(place, name),
            &why,
            exists(place, Provisioned::Datasets),
        );
    }
    let why = if loads {
        "asks whether a load, a plugin set or an audit entry is there; `clickmill tables apply` adds columns and creates views"
    } else {
        "asks whether a plugin set or an audit entry is there; `clickmill tables apply` adds columns and creates views"
    };
    access.host("roles/bigquery.jobUser", project, why, Vec::new());
    if creates(place) {
        tags_of_new_tables(pipeline, place, access);
    }
}

/// To set a policy tag on a column wants more than to create the table.
fn tags_of_new_tables(pipeline: &Pipeline, place: &BigQuery, access: &mut Access) {
    let (sink, letters) = (&pipeline.sink, &pipeline.dead_letter);
    let mut datasets = BTreeSet::new();
    let mut projects = BTreeSet::new();
    for (table, schema) in sink.tables().chain([(&letters.table, &letters.schema)]) {
        for tag in tagged(schema).keys().filter_map(|tag| place.policy_tags.get(*tag)) {
            datasets.insert(table.dataset.as_str());
            projects.insert(super::parts(tag).0);
        }
    }
    for name in datasets {
        let why = "sets policy tags on the tables it creates, as no smaller predefined role can: once the tables exist, drop the role";
        let when =
            vec![Condition::Exists(Provisioned::Datasets), Condition::Missing(Provisioned::Tables)];
        access.host("roles/bigquery.dataOwner", dataset(place, name), why, when);
    }
    for project in projects {
        let why = "looks up the policy tags that it sets on the tables it creates: once the tables exist, drop the role";
        let missing = vec![Condition::Missing(Provisioned::Tables)];
        access.host("roles/datacatalog.viewer", Resource::Project { project }, why, missing);
    }
}

/// What readers of the table need, and the view that spares them its sensitive columns.
pub(super) fn readers(pipeline: &Pipeline, place: &BigQuery, access: &mut Access) {
    let (sink, letters) = (&pipeline.sink, &pipeline.dead_letter.table);
    let exists = exists(place, Provisioned::Tables);
    let with = |when: Condition| exists.iter().cloned().chain([when]).collect::<Vec<_>>();
    let masked = |(table, schema): (&TableName, &TableSchema)| {
        MaskedView::of(
            &place.project,
            table,
            schema,
            with(Condition::ReadersOf(ReaderAccess::View)),
        )
    };
    let views: Vec<MaskedView> = sink.tables().filter_map(masked).collect();

    access.readers(
        "roles/bigquery.jobUser",
        of_project(place),
        "runs queries".to_owned(),
        Vec::new(),
    );
    for (name, _) in sink.tables() {
        let (why, when) = if views.iter().any(|view| view.of == *name) {
            (
                "reads the table, but for columns under a policy tag",
                with(Condition::ReadersOf(ReaderAccess::Table)),
            )
        } else {
            ("reads the table", exists.clone())
        };
        access.readers("roles/bigquery.dataViewer", table(place, name), why.to_owned(), when);
    }

    let (guarded, unknown) = readers_of_tags(place, sink, access);
    readers_of_views(place, &views, access);
    tell_open_columns(sink, &guarded, &unknown, !views.is_empty(), access);
    access.views = views;
    access.notes.push(if sink.tables().any(|(table, _)| table.dataset == letters.dataset) {
        format!(
            "`{letters}` holds rejected records as they came, in the clear, in the same dataset as `{}`: a role on the dataset would open it, so readers are given the table or the view alone.",
            sink.table
        )
    } else {
        format!(
            "`{letters}` holds rejected records as they came, in the clear: readers are not given it."
        )
    });
}

/// What opens columns under a policy tag. Returns those columns, and the tags that the pipeline file does not name.
fn readers_of_tags<'a>(
    place: &BigQuery,
    sink: &'a Sink,
    access: &mut Access,
) -> (BTreeSet<&'a str>, Vec<String>) {
    let mut guarded = BTreeSet::new();
    let mut unknown = Vec::new();
    let mut by_tag: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (tag, columns) in sink.tables().flat_map(|(_, schema)| tagged(schema)) {
        let known = by_tag.entry(tag).or_default();
        for column in columns {
            if !known.contains(&column) {
                known.push(column);
            }
        }
    }
    for (tag, columns) in by_tag {
        let Some(name) = place.policy_tags.get(tag) else {
            unknown.push(format!("`{tag}`"));
            continue;
        };
        guarded.extend(columns.iter().copied());
        let why = format!(
            "opens {} (`{tag}`): without it, queries must leave them out",
            listed(&columns)
        );
        let when =
            vec![Condition::ReadersOf(ReaderAccess::Table), Condition::Opened(tag.to_owned())];
        let on = Resource::PolicyTag { policy_tag: name.clone() };
        access.readers("roles/datacatalog.categoryFineGrainedReader", on, why, when);
    }
    (guarded, unknown)
}

/// What opens the views to readers: a dataset has them alone.
fn readers_of_views(place: &BigQuery, views: &[MaskedView], access: &mut Access) {
    let mut of_datasets: BTreeMap<&str, Vec<&MaskedView>> = BTreeMap::new();
    for view in views {
        of_datasets.entry(&view.name.dataset).or_default().push(view);
    }
    for (name, views) in of_datasets {
        let said = |view: &&MaskedView| {
            format!("the view `{}`, which leaves out {}", view.name, listed(&view.without))
        };
        let why = format!("reads {}", listed(&views.iter().map(said).collect::<Vec<_>>()));
        access.readers(
            "roles/bigquery.dataViewer",
            dataset(place, name),
            why,
            views[0].when.clone(),
        );
    }
}

/// Notes sensitive columns that no policy tag guards. Where there are views without them, readers are given those.
fn tell_open_columns(
    sink: &Sink,
    guarded: &BTreeSet<&str>,
    unknown: &[String],
    has_views: bool,
    access: &mut Access,
) {
    let open = |name: &&str| !guarded.contains(name);
    let columns = sink.tables().flat_map(|(_, schema)| &schema.columns);
    let sensitive = columns.filter(|column| column.is_sensitive());
    let mut open: Vec<&str> = sensitive.map(|column| column.name.as_str()).filter(open).collect();
    let mut told = BTreeSet::new();
    open.retain(|column| told.insert(*column));
    if !open.is_empty() && has_views {
        access.readers_of = ReaderAccess::View;
    }
    if !open.is_empty() {
        let named = if unknown.is_empty() {
            String::new()
        } else {
            format!(" (`sink.policy_tags` does not name {})", listed(unknown))
        };
        let tables = sink.tables().map(|(table, _)| format!("`{table}`"));
        access.notes.push(format!(
            "No policy tag guards {}{named}: whoever is given {} reads them, so readers are given the view unless you say otherwise.",
            listed(&open),
            listed(&tables.collect::<Vec<_>>())
        ));
    }
}

/// The sensitive columns by their tag: the last part of its name, as in `sink.policy_tags`.
fn tagged(schema: &TableSchema) -> BTreeMap<&str, Vec<&str>> {
    let mut tagged: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for column in &schema.columns {
        let tag = column.policy_tags.as_ref().and_then(|tags| tags.names.first());
        if let Some(tag) = tag.and_then(|tag| tag.rsplit('/').next()) {
            tagged.entry(tag).or_default().push(&column.name);
        }
    }
    tagged
}

fn creates(place: &BigQuery) -> bool {
    place.missing_tables == MissingTables::Create
}

/// That a thing exists, where it may not.
fn exists(place: &BigQuery, thing: Provisioned) -> Vec<Condition> {
    if creates(place) { vec![Condition::Exists(thing)] } else { Vec::new() }
}

fn of_project(place: &BigQuery) -> Resource {
    Resource::Project { project: place.project.clone() }
}

fn dataset(place: &BigQuery, name: &str) -> Resource {
    Resource::Dataset { project: place.project.clone(), dataset: name.to_owned() }
}

fn table(place: &BigQuery, name: &TableName) -> Resource {
    let (project, dataset) = (place.project.clone(), name.dataset.clone());
    Resource::Table { project, dataset, table: name.table.clone() }
}

/// `a, b and c`.
fn listed(words: &[impl AsRef<str>]) -> String {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    match words.as_slice() {
        [most @ .., last] if !most.is_empty() => format!("{} and {last}", most.join(", ")),
        words => words.concat(),
    }
}
