//! The schema of a table, as BigQuery has it.

use serde_json::json;

use crate::personal::Treatment;
use crate::shape::Column;
use crate::toml::comment;
use crate::{About, Shape, UNKNOWN};
use clickmill_core::terminal::shown;

/// The schema of the table. `unknown` says why nothing of what no column takes may be in it, if so.
pub(super) fn schema(shape: &Shape<'_>, about: &About, unknown: Option<&str>) -> String {
    let columns = shape.columns.iter().map(|column| in_table(column, 1));
    let what = "Keys and columns that no other takes, as a JSON object";
    let (what, tags) = match unknown {
        Some(why) => (
            format!("{what}; masked ({}), since {why}", Treatment::Remove.word()),
            tags(Treatment::Remove),
        ),
        None => (format!("{what}, cleaned"), String::new()),
    };
    let unknown = format!(
        "  {{\"name\": \"{UNKNOWN}\", \"type\": \"STRING\", \"mode\": \"NULLABLE\", \"description\": {}{tags}}}",
        json!(what)
    );
    let filled_in = about.filled_in.iter().map(|(name, kind, what)| {
        let mode = if matches!(*name, "source" | "plugin_set" | "ingested_at") { "REQUIRED" } else { "NULLABLE" };
        format!("  {{\"name\": \"{name}\", \"type\": \"{kind}\", \"mode\": \"{mode}\", \"description\": {}}}", json!(what))
    });
    let all: Vec<String> = columns.chain([unknown]).chain(filled_in).collect();
    shown(&format!("[\n{}\n]\n", all.join(",\n"))).into_owned()
}

/// The policy tags of a column that is masked, behind what else its schema says.
fn tags(treatment: Treatment) -> String {
    treatment.tag().map_or_else(String::new, |tag| {
        let tag = format!(
            "projects/${{PROJECT}}/locations/${{LOCATION}}/taxonomies/${{TAXONOMY}}/policyTags/{tag}"
        );
        format!(", \"policyTags\": {{\"names\": [{}]}}", json!(tag))
    })
}

/// A column as BigQuery's schemas have it.
fn in_table(column: &Column<'_>, depth: usize) -> String {
    let indent = "  ".repeat(depth);
    let mode = if column.is_list { "REPEATED" } else { "NULLABLE" };
    let mut description = format!("`{}` of the data", comment(column.key));
    let mut tags_of_it = String::new();
    if let Some((treatment, why)) = &column.treatment {
        description = format!("{description}; masked ({}), since {why}", treatment.word());
        tags_of_it = tags(*treatment);
    }
    let description: String = description.chars().take(1000).collect();
    let fields = if column.fields.is_empty() {
        String::new()
    } else {
        let fields = column.fields.iter().map(|field| in_table(field, depth + 1));
        format!(", \"fields\": [\n{}\n{indent}]", fields.collect::<Vec<_>>().join(",\n"))
    };
    format!(
        "{indent}{{\"name\": {}, \"type\": \"{}\", \"mode\": \"{mode}\", \"description\": {}{tags_of_it}{fields}}}",
        json!(column.name),
        column.kind.in_table(),
        json!(description),
    )
}
