//! Settings that are no texts, held against the types that the schema gives them: what stands in their place is told,
//! since none of them can be a secret.

use serde_json::Value as Json;

/// No number, truth value or word is longer. What is may be a secret that stands in a wrong place.
const MOST_CHARS: usize = 15;

/// What to tell of a value of another type than the schema wants of a number, a truth value or a word. `range` is what
/// it wants of a number.
pub(super) fn mistyped(schema: &Json, value: &toml::Value, range: Option<&str>) -> Option<String> {
    let numbers = || range.map_or_else(String::new, |range| format!(", {range}"));
    let wanted = if let Some(words) = words(schema).filter(|words| !words.is_empty()) {
        let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
        (!value.is_str()).then(|| format!("one of {}", words.join(", ")))
    } else {
        match kind(schema)? {
            "boolean" => (!value.is_bool()).then(|| "true or false".to_owned()),
            "integer" => (!value.is_integer()).then(|| format!("a whole number{}", numbers())),
            "number" => {
                let is_number = value.is_integer() || value.is_float();
                (!is_number).then(|| format!("a number{}", numbers()))
            }
            _ => None,
        }
    };
    Some(format!("is {}, wanted {}", told(value), wanted?))
}

fn told(value: &toml::Value) -> String {
    let told = match value {
        toml::Value::String(text) => format!("`{text}`"),
        other => other.to_string(),
    };
    if told.chars().count() > MOST_CHARS + "``".len() {
        return format!("of type {}", value.type_str());
    }
    told
}

/// The one type of a schema, but for null.
fn kind(schema: &Json) -> Option<&str> {
    match &schema["type"] {
        Json::Array(kinds) => {
            let mut kinds = kinds.iter().filter_map(Json::as_str).filter(|kind| *kind != "null");
            kinds.next().filter(|_| kinds.next().is_none())
        }
        kind => kind.as_str(),
    }
}

/// The words of which a schema wants one, but for null: `None` where it wants something else.
fn words(schema: &Json) -> Option<Vec<&str>> {
    if schema["type"] == "null" {
        return Some(Vec::new());
    }
    if let Some(word) = schema["const"].as_str() {
        return Some(vec![word]);
    }
    if let Some(all) = schema["enum"].as_array() {
        return all.iter().filter(|word| !word.is_null()).map(Json::as_str).collect();
    }
    let forms = ["oneOf", "anyOf"].into_iter().find_map(|key| schema[key].as_array())?;
    let words: Option<Vec<Vec<&str>>> = forms.iter().map(words).collect();
    words.map(|words| words.concat())
}
