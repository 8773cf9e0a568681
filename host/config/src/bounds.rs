//! The bounds that the schema gives the numbers of a pipeline file, and the types of what is no text, held against
//! what is written: they are said there alone.

use serde_json::Value as Json;

use super::problem::{Problem, mistyped, problem};
use super::{schema, types};

/// Tells each number that is out of its bounds and each value of another type, and takes it away: with the default in
/// its place, whatever else is wrong with its section is found too.
pub(super) fn hold(document: &mut toml::Table, problems: &mut Vec<Problem>) {
    within_table(&schema::inlined(), document, "", problems);
}

fn within_table(schema: &Json, table: &mut toml::Table, path: &str, problems: &mut Vec<Problem>) {
    let properties = &of_kind(schema, table)["properties"];
    table.retain(|key, value| {
        let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        within(&properties[key], value, &path, problems)
    });
}

/// Whether a value is of the type that is wanted, and no number that is out of bounds.
fn within(schema: &Json, value: &mut toml::Value, path: &str, problems: &mut Vec<Problem>) -> bool {
    let (least, most) = (schema["minimum"].as_f64(), schema["maximum"].as_f64());
    let range = match (least, most) {
        (Some(least), Some(most)) => Some(format!("{least} to {most}")),
        (Some(least), None) => Some(format!("at least {least}")),
        (None, most) => most.map(|most| format!("at most {most}")),
    };
    if let Some(message) = types::mistyped(schema, value, range.as_deref()) {
        mistyped(problems, path, message);
        return false;
    }
    let (number, told) = match value {
        toml::Value::Integer(number) => (*number as f64, number.to_string()),
        toml::Value::Float(number) => (*number, number.to_string()),
        toml::Value::Table(table) => {
            within_table(schema, table, path, problems);
            return true;
        }
        toml::Value::Array(list) => {
            for (at, value) in list.iter_mut().enumerate() {
                within(&schema["items"], value, &format!("{path}[{at}]"), problems);
            }
            return true;
        }
        _ => return true,
    };
    // Not the other way round: what is not a number is within nothing.
    let fits = least.is_none_or(|least| number >= least) && most.is_none_or(|most| number <= most);
    if !fits {
        problem(problems, path, format!("is {told}, wanted {}", range.unwrap_or_default()));
    }
    fits
}

/// Of a schema that has several forms, the one of a table's `kind`.
fn of_kind<'a>(schema: &'a Json, table: &toml::Table) -> &'a Json {
    let kind = table.get("kind").and_then(toml::Value::as_str);
    let forms = ["oneOf", "anyOf"].into_iter().filter_map(|key| schema[key].as_array()).flatten();
    let is_it = |form: &&Json| {
        let wanted = &form["properties"]["kind"]["const"];
        form["properties"].is_object() && (wanted.is_null() || wanted.as_str() == kind)
    };
    forms.into_iter().find(is_it).unwrap_or(schema)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, wanted: &[&str]) {
        let mut document: toml::Table = toml::from_str(text).expect("a document");
        let mut problems = Vec::new();
        hold(&mut document, &mut problems);
        let told: Vec<String> = problems.iter().map(Problem::to_string).collect();
        assert_eq!(told, wanted, "{text}");
        // What was told is gone.
        problems.clear();
        hold(&mut document, &mut problems);
        assert_eq!(problems, []);
    }

    #[test]
    fn numbers_are_within_the_bounds_of_the_schema() {
        check("workers = 256\nbatch = { max_rows = 1, max_bytes = 268435456 }", &[]);
        check("workers = 257", &["`workers`: is 257, wanted 0 to 256"]);
        check("batch = { max_rows = -1 }", &["`batch.max_rows`: is -1, wanted 1 to 1048576"]);
        check(
            "dead_letter = { window_rows = 0 }",
            &["`dead_letter.window_rows`: is 0, wanted at least 1"],
        );
        check(
            "swap = { canary_share = nan, max_fuel_ratio = -inf }",
            &[
                "`swap.canary_share`: is NaN, wanted 0.001 to 1",
                "`swap.max_fuel_ratio`: is -inf, wanted 1 to 1000000000",
            ],
        );
    }

    #[test]
    fn what_can_be_no_secret_is_told_where_another_type_is_wanted() {
        check(
            "workers = \"many\"\nbatch = { max_rows = \"10k\", max_bytes = 1.5, max_wait_ms = [1] }",
            &[
                "`batch.max_bytes`: is 1.5, wanted a whole number, 1 to 268435456",
                "`batch.max_rows`: is `10k`, wanted a whole number, 1 to 1048576",
                "`batch.max_wait_ms`: is [1], wanted a whole number, 1 to 60000",
                "`workers`: is `many`, wanted a whole number, 0 to 256",
            ],
        );
        check(
            "admin = { strict_port = \"yes\", max_freshness_secs = true }",
            &[
                "`admin.max_freshness_secs`: is true, wanted a whole number, at least 1",
                "`admin.strict_port`: is `yes`, wanted true or false",
            ],
        );
        check(
            "swap = { canary_share = \"half\" }\nsink = { missing_tables = 1 }",
            &[
                "`sink.missing_tables`: is 1, wanted one of `create`, `refuse`",
                "`swap.canary_share`: is `half`, wanted a number, 0.001 to 1",
            ],
        );
        check(
            "plugin = [{ watch = 1, instance = true, limits = { max_call_secs = \"5s\" } }]",
            &[
                "`plugin[0].instance`: is true, wanted one of `fresh`, `reuse`",
                "`plugin[0].limits.max_call_secs`: is `5s`, wanted a whole number, at least 1",
                "`plugin[0].watch`: is 1, wanted true or false",
            ],
        );
        check(
            "source = { kind = \"storage\", watch = \"on\", csv = { header = \"no\" } }",
            &[
                "`source.csv.header`: is `no`, wanted true or false",
                "`source.watch`: is `on`, wanted true or false",
            ],
        );
        // As long as a secret that stands in the wrong place.
        let secret = "9f86d081884c7d659a2feaa0";
        check(
            &format!("workers = \"{secret}\"\nbatch = {{ max_rows = [\"{secret}\"] }}"),
            &[
                "`batch.max_rows`: is of type array, wanted a whole number, 1 to 1048576",
                "`workers`: is of type string, wanted a whole number, 0 to 256",
            ],
        );
        // Numbers are whole ones too, and texts may be secrets.
        check("swap = { canary_share = 1 }\nname = 5\nbatch = \"x\"", &[]);
    }

    #[test]
    fn a_source_has_the_bounds_of_its_kind() {
        check("source = { kind = \"storage\", streams = 0 }", &[]);
        check(
            "source = { kind = \"pubsub\", streams = 0 }",
            &["`source.streams`: is 0, wanted 1 to 64"],
        );
        check("source = { streams = 0 }", &[]);
        check("source = 7", &[]);
    }

    #[test]
    fn bounds_reach_into_lists() {
        check(
            "plugin = [{}, { limits = { max_memory_bytes = 1, max_call_secs = 0 } }]",
            &[
                "`plugin[1].limits.max_call_secs`: is 0, wanted at least 1",
                "`plugin[1].limits.max_memory_bytes`: is 1, wanted 1048576 to 1073741824",
            ],
        );
        // The plugin's own affair.
        check("plugin = [{ config = { max_rows = -1 } }]", &[]);
    }
}
