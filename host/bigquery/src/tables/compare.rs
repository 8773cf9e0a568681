//! A table beside its schema: what it lacks and can be given, and what cannot be mended.

use google_cloud_bigquery_v2::model::{Table, TableFieldSchema};
use serde_json::{Value as Json, json};

use clickmill_config::TableName;
use clickmill_core::Micros;
use clickmill_core::path::Path;
use clickmill_core::schema::TableSchema;

/// Something that a table lacks and can be given.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The table itself.
    Create,
    /// A column that may be null.
    AddColumn {
        /// Its name.
        name: String,
        /// What adds it.
        sql: String,
    },
    /// Fields of records in a column that is there.
    AddFields {
        /// The column.
        column: String,
        /// The fields, by their paths.
        fields: Vec<String>,
    },
    /// Another expiry, after which BigQuery removes rows.
    Expire {
        /// What expires when, as the rest of a sentence: `partitions after 90 days`.
        what: String,
        /// What is patched of the table.
        patch: Json,
    },
}

const MS_A_DAY: i64 = 86_400_000;

/// What a table lacks, and what can't be mended.
pub(super) fn compare(
    table: &TableName,
    schema: &TableSchema,
    found: &Table,
) -> (Vec<Change>, Vec<String>) {
    let none = Vec::new();
    let there = found.schema.as_ref().map_or(&none, |schema| &schema.fields);
    let mut changes = Vec::new();
    let mut misfits = Vec::new();
    let fields = schema.fields();
    for field in &fields {
        let name = field["name"].as_str().unwrap_or_default();
        let path = Path::of(name);
        match there.iter().find(|column| column.name.eq_ignore_ascii_case(name)) {
            None if mode_of(field) == "REQUIRED" => misfits.push(not_to_be_added(&path)),
            None => changes.push(add(table, field, name)),
            Some(column) => {
                let mut lacks = Vec::new();
                compare_column(field, column, &path, &mut lacks, &mut misfits);
                if !lacks.is_empty() {
                    changes.push(Change::AddFields { column: name.to_owned(), fields: lacks });
                }
            }
        }
    }
    unknown(&fields, there, None, &mut misfits);
    changes.extend(expiries(schema, found, &mut misfits));
    (changes, misfits)
}

/// Expiries that the file beside the schema names and the table has otherwise. One that it does not name is
/// left: somebody has set it.
fn expiries(schema: &TableSchema, found: &Table, misfits: &mut Vec<String>) -> Vec<Change> {
    let options = Json::Object(schema.options.clone());
    let Ok(wanted) = serde_json::from_value::<Table>(options) else { return Vec::new() };
    let mut changes = Vec::new();
    let of_partitions = wanted.time_partitioning.and_then(|partitions| partitions.expiration_ms);
    // A table that is not partitioned stays so.
    if let (Some(ms), Some(there)) = (of_partitions, &found.time_partitioning)
        && there.expiration_ms != Some(ms)
    {
        let after = match (ms / MS_A_DAY, ms % MS_A_DAY) {
            (1, 0) => "a day".to_owned(),
            (days, 0) => format!("{days} days"),
            _ => format!("{} s", ms / 1000),
        };
        // The rest is said as it is: a part of it is no description of partitions.
        let mut partitions = json!({ "type": there.r#type, "expirationMs": ms.to_string() });
        if let Some(field) = &there.field {
            partitions["field"] = json!(field);
        }
        changes.push(Change::Expire {
            what: format!("partitions after {after}"),
            patch: json!({ "timePartitioning": partitions }),
        });
    }
    if let Some(at) = wanted.expiration_time
        && found.expiration_time != Some(at)
    {
        let moment = Micros::from(at.saturating_mul(1000));
        if moment <= Micros::now() {
            // Somebody has given the table more time, and BigQuery would remove it at once.
            misfits.push(format!("its `expirationTime`, {moment}, is over: name a later one"));
        } else {
            let what = format!("the table at {moment}");
            let patch = json!({ "expirationTime": at.to_string() });
            changes.push(Change::Expire { what, patch });
        }
    }
    changes
}

/// Compares a column that is there with the schema's, and its fields with those: adds the paths of fields
/// that are to be added, and what can't be mended.
fn compare_column(
    field: &Json,
    column: &TableFieldSchema,
    path: &Path,
    lacks: &mut Vec<String>,
    misfits: &mut Vec<String>,
) {
    let (wanted, mode) = (canonical(field["type"].as_str().unwrap_or_default()), mode_of(field));
    let got = canonical(&column.r#type);
    if got != wanted {
        misfits.push(format!("column `{path}` is {got}, the rows have {wanted}"));
        return;
    }
    if (column.mode == "REPEATED") != (mode == "REPEATED") {
        misfits.push(format!("column `{path}` is {}, the rows have {mode}", column.mode));
    } else if column.mode == "REQUIRED" && mode != "REQUIRED" {
        misfits.push(format!("column `{path}` is REQUIRED, the rows may lack it"));
    }
    let fields = field["fields"].as_array().map(Vec::as_slice).unwrap_or_default();
    for field in fields {
        let name = field["name"].as_str().unwrap_or_default();
        let path = path.field(name);
        match column.fields.iter().find(|there| there.name.eq_ignore_ascii_case(name)) {
            None if mode_of(field) == "REQUIRED" => misfits.push(not_to_be_added(&path)),
            None => lacks.push(path.to_string()),
            Some(there) => compare_column(field, there, &path, lacks, misfits),
        }
    }
    unknown(fields, &column.fields, Some(path), misfits);
}

fn mode_of(field: &Json) -> &str {
    field["mode"].as_str().unwrap_or("NULLABLE")
}

fn not_to_be_added(path: &Path) -> String {
    format!(
        "it has no column `{path}`, which is REQUIRED and so can't be added: make the table anew"
    )
}

/// Columns that are there, that rows must have, and that the schema does not know.
fn unknown(
    fields: &[Json],
    there: &[TableFieldSchema],
    record: Option<&Path>,
    misfits: &mut Vec<String>,
) {
    let is_known = |name: &str| {
        let mut names = fields.iter().filter_map(|field| field["name"].as_str());
        names.any(|known| known.eq_ignore_ascii_case(name))
    };
    let unknown =
        there.iter().filter(|column| column.mode == "REQUIRED" && !is_known(&column.name));
    misfits.extend(unknown.map(|column| {
        let name = &column.name;
        let path = record.map_or_else(|| Path::of(name), |record| record.field(name));
        format!("column `{path}` is REQUIRED, the rows do not have it")
    }));
}

fn add(table: &TableName, field: &Json, name: &str) -> Change {
    let description = field["description"].as_str().unwrap_or_default();
    // Escaped as JSON, which is an escape of the language too.
    let sql = format!(
        "ALTER TABLE `{}`.`{}` ADD COLUMN IF NOT EXISTS `{name}` {} OPTIONS(description={})",
        table.dataset,
        table.table,
        sql_type(field),
        Json::from(description)
    );
    Change::AddColumn { name: name.to_owned(), sql }
}

/// The type of a column in SQL: its fields and elements with it.
fn sql_type(field: &Json) -> String {
    let kind = match canonical(field["type"].as_str().unwrap_or_default()) {
        "INTEGER" => "INT64".to_owned(),
        "FLOAT" => "FLOAT64".to_owned(),
        "BOOLEAN" => "BOOL".to_owned(),
        "RECORD" => {
            let fields = field["fields"].as_array().map(Vec::as_slice).unwrap_or_default();
            let fields = fields.iter().map(|field| {
                let not_null = if mode_of(field) == "REQUIRED" { " NOT NULL" } else { "" };
                let name = field["name"].as_str().unwrap_or_default();
                let description = match field["description"].as_str() {
                    Some(text) => format!(" OPTIONS(description={})", Json::from(text)),
                    None => String::new(),
                };
                format!("`{name}` {}{not_null}{description}", sql_type(field))
            });
            format!("STRUCT<{}>", fields.collect::<Vec<_>>().join(", "))
        }
        other => other.to_owned(),
    };
    if mode_of(field) == "REPEATED" { format!("ARRAY<{kind}>") } else { kind }
}

/// The columns of a table that is there, with the fields that the schema has besides: what a patch of the
/// table wants, which must name all that it keeps.
pub(super) fn with_fields_of(there: &[Json], wanted: &[Json]) -> Vec<Json> {
    let name = |field: &Json| field["name"].as_str().unwrap_or_default().to_owned();
    let mut all: Vec<Json> = there.to_vec();
    for field in wanted {
        let known = all.iter_mut().find(|known| name(known).eq_ignore_ascii_case(&name(field)));
        let Some(known) = known else {
            all.push(field.clone());
            continue;
        };
        if let (Some(there), Some(wanted)) =
            (known["fields"].as_array(), field["fields"].as_array())
        {
            known["fields"] = with_fields_of(there, wanted).into();
        }
    }
    all
}

/// One name for each type.
fn canonical(kind: &str) -> &str {
    match kind {
        "INT64" => "INTEGER",
        "FLOAT64" => "FLOAT",
        "BOOL" => "BOOLEAN",
        "STRUCT" => "RECORD",
        "DECIMAL" => "NUMERIC",
        other => other,
    }
}

#[cfg(test)]
mod tests;
