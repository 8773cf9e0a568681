//! The stages of the chain, from the list `[[plugin]]`.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::problem::{Problem, join, mistyped, problem};
use super::{Plugin, raw, secrets};
use clickmill_core::oci::Reference;
use clickmill_core::path::Path as ColumnPath;
use clickmill_core::schema::{Column, Kind, Mode, TableSchema, provenance};
use clickmill_core::{StageName, causes, stage};

/// The chain, in order: of each stage that has a name, what the file says, and all that is wrong.
pub(super) fn stages(
    value: Option<toml::Value>,
    folder: &Path,
    problems: &mut Vec<Problem>,
) -> Vec<Plugin> {
    let list = match value {
        Some(toml::Value::Array(list)) => list,
        None => Vec::new(),
        Some(_) => {
            problem(problems, "plugin", "is one section, wanted a list: `[[plugin]]`".to_owned());
            Vec::new()
        }
    };
    let mut plugins: Vec<Plugin> = Vec::new();
    for (at, value) in list.into_iter().enumerate() {
        let path = format!("plugin[{at}]");
        let Some(section) = raw::section::<raw::Plugin>(Some(value), &path, problems) else {
            continue;
        };
        let name: Option<StageName> = match section.name.parse() {
            Ok(name) => Some(name),
            Err(error) => {
                problem(problems, &format!("{path}.name"), error.to_string());
                None
            }
        };
        if stage::ALL.contains(&section.name.as_str()) {
            let message = format!("is `{}`, which names another stage", section.name);
            problem(problems, &format!("{path}.name"), message);
        }
        if plugins.iter().any(|earlier| earlier.name == *section.name) {
            let message = format!("`{}` is there twice", section.name);
            problem(problems, &format!("{path}.name"), message);
        }
        plugins.extend(check_plugin(section, name, &path, folder, problems));
    }
    plugins
}

/// The stage, if it has a name: without one, only what else is wrong with it is told.
fn check_plugin(
    section: raw::Plugin,
    name: Option<StageName>,
    path: &str,
    folder: &Path,
    problems: &mut Vec<Problem>,
) -> Option<Plugin> {
    let mut config = toml::Value::Table(section.config);
    dates_to_text(&mut config);
    let mut config = match serde_json::to_value(&config) {
        Ok(Json::Object(config)) => config,
        _ => serde_json::Map::new(),
    };
    for (key, value) in &mut config {
        schema_reference(value, &format!("{path}.config.{key}"), folder, problems);
    }
    let mut texts = |key: &str, table: &toml::Table| -> Vec<(String, String)> {
        let mut found = Vec::new();
        for (name, value) in table {
            match value.as_str() {
                Some(text) => found.push((name.clone(), text.to_owned())),
                None => mistyped(
                    problems,
                    &format!("{path}.{key}.{name}"),
                    format!("is {value}, wanted text"),
                ),
            }
        }
        found
    };
    let lookups: Vec<(String, PathBuf)> = texts("lookups", &section.lookups)
        .into_iter()
        .map(|(name, file)| (name, join(folder, &file)))
        .collect();
    let (stage, of) = (&section.name, format!("{path}.secrets"));
    let secrets = secrets::granted(section.secrets.as_ref(), stage, &of, problems);
    for (name, variable) in &secrets {
        if config.contains_key(name) {
            let message = format!(
                "is a secret: take it out, and have environment variable `{variable}` hold it"
            );
            problem(problems, &format!("{path}.config.{name}"), message);
        }
    }
    for (name, file) in &lookups {
        if !file.is_file() {
            let message = format!("there is no file `{}`", file.display());
            problem(problems, &format!("{path}.lookups.{name}"), message);
        }
    }
    let component = component((&section.component, section.watch), path, folder, problems);
    Some(Plugin {
        name: name?,
        component,
        reads: section.reads.into(),
        writes: section.writes.into(),
        config,
        secrets,
        lookups,
        limits: section.limits,
        instance: section.instance,
        watch: section.watch,
    })
}

/// Where the component is: a path as seen from the file's folder, or a reference to a registry as it is.
fn component(
    (named, watch): (&str, bool),
    path: &str,
    folder: &Path,
    problems: &mut Vec<Problem>,
) -> PathBuf {
    let key = format!("{path}.component");
    if Reference::is_meant(named) {
        match named.parse::<Reference>() {
            Ok(reference) if reference.tag().is_none() && reference.digest().is_none() => {
                let message = format!("`{reference}` has neither a tag nor a digest");
                problem(problems, &key, message);
            }
            Ok(_) => {}
            Err(error) => problem(problems, &key, error.to_string()),
        }
        if watch {
            let message = "is for files and crates: what a registry holds is not watched, `clickmill plugin swap STAGE=oci://…@sha256:…` takes another".to_owned();
            problem(problems, &format!("{path}.watch"), message);
        }
        return PathBuf::from(named);
    }
    let component = join(folder, named);
    if !component.exists() {
        let message = format!(
            "there is no `{}`: wanted a component file or a plugin crate",
            component.display()
        );
        problem(problems, &key, message);
    }
    component
}

/// A plugin's configuration is JSON, which has no dates: they become text.
fn dates_to_text(value: &mut toml::Value) {
    match value {
        toml::Value::Datetime(date) => *value = toml::Value::String(date.to_string()),
        toml::Value::Array(list) => list.iter_mut().for_each(dates_to_text),
        toml::Value::Table(table) => table.iter_mut().for_each(|(_, value)| dates_to_text(value)),
        _ => {}
    }
}

/// Replaces `{ schema = "file.json", except = ["column", "record.field"] }` by the columns of that table, as
/// a list of `{ name, type, required }`, with `repeated` where they are lists and `fields` where they are
/// records: the schema stays the one source of what a table looks like. Columns that the host fills in are
/// left out.
fn schema_reference(value: &mut Json, path: &str, folder: &Path, problems: &mut Vec<Problem>) {
    let Json::Object(table) = value else { return };
    let Some(Json::String(file)) = table.get("schema") else { return };
    if let Some(other) = table.keys().find(|key| !["schema", "except"].contains(&key.as_str())) {
        let message = "is not a key of a table's columns, only: schema, except".to_owned();
        problem(problems, &format!("{path}.{other}"), message);
    }
    let names = |list: &Json| -> Option<Vec<String>> {
        list.as_array()?.iter().map(|name| Some(name.as_str()?.to_owned())).collect()
    };
    let except = table.get("except").map(|list| {
        names(list).unwrap_or_else(|| {
            let message =
                "is not a list of columns: wanted `[\"column\", \"record.field\"]`".to_owned();
            problem(problems, &format!("{path}.except"), message);
            Vec::new()
        })
    });
    let except = except.unwrap_or_default();
    let schema = match TableSchema::read(&join(folder, file)) {
        Ok(schema) => schema,
        Err(error) => return problem(problems, path, causes(&error)),
    };
    let all = schema.all_columns();
    let except: Vec<ColumnPath> = except
        .into_iter()
        .filter_map(|name| {
            let found = all.iter().find(|(column, _)| column.to_string() == *name);
            if found.is_none() {
                let message = format!("`{file}` has no column `{name}`");
                problem(problems, &format!("{path}.except"), message);
            }
            found.map(|(column, _)| column.clone())
        })
        .collect();
    *value = columns(&schema.columns, None, &|column| {
        except.contains(column) || provenance::ALL.contains(&column.to_string().as_str())
    });
}

/// Columns of a table, as a plugin reads them.
fn columns(
    columns: &[Column],
    record: Option<&ColumnPath>,
    is_left_out: &dyn Fn(&ColumnPath) -> bool,
) -> Json {
    let mut said = Vec::new();
    for column in columns {
        let name = &column.name;
        let path = record.map_or_else(|| ColumnPath::of(name), |record| record.field(name));
        if is_left_out(&path) {
            continue;
        }
        let kind = match column.kind {
            Kind::String => "text",
            Kind::Bytes => "blob",
            Kind::Integer => "int64",
            Kind::Float => "float64",
            Kind::Boolean => "boolean",
            Kind::Numeric => "decimal",
            Kind::Timestamp => "timestamp",
            Kind::Date => "date",
            Kind::Datetime => "datetime",
            Kind::Time => "time",
            Kind::Json => "json",
            Kind::Record => "record",
        };
        let required = column.mode == Mode::Required;
        let mut one = serde_json::json!({ "name": name, "type": kind, "required": required });
        if column.mode == Mode::Repeated {
            one["repeated"] = true.into();
        }
        if column.kind == Kind::Record {
            one["fields"] = self::columns(&column.fields, Some(&path), is_left_out);
        }
        said.push(one);
    }
    Json::Array(said)
}
