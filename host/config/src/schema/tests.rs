use std::collections::BTreeMap;

use super::*;

fn plugin(name: &str, config: &Json, secrets: &[&str]) -> PluginSchema {
    let secrets = secrets.iter().map(|secret| (*secret).to_owned()).collect();
    PluginSchema { name: name.to_owned(), config: config.to_string(), secrets }
}

fn of(config: &Json, secrets: &[&str]) -> Json {
    let schema = schema(&[plugin("mask", config, secrets)]);
    schema["definitions"]["config_of_mask"].clone()
}

/// All values below one.
fn below(value: &Json) -> Vec<&Json> {
    let within: Vec<&Json> = match value {
        Json::Array(list) => list.iter().collect(),
        Json::Object(object) => object.values().collect(),
        _ => Vec::new(),
    };
    within.iter().copied().chain(within.iter().flat_map(|value| below(value))).collect()
}

#[test]
fn it_has_the_sections_that_are_read_and_says_what_each_key_is() {
    let schema = schema(&[]);
    let sections = schema["properties"].as_object().expect("sections");
    let known: Vec<&str> =
        SECTIONS.into_iter().filter(|name| sections.contains_key(*name)).collect();
    assert_eq!((known.len(), sections.len()), (SECTIONS.len(), SECTIONS.len()));
    assert_eq!(schema["required"], json!(["name", "source", "sink", "dead_letter"]));
    assert_eq!(schema["additionalProperties"], false);
    let objects = below(&schema).into_iter().filter_map(|value| value["properties"].as_object());
    for (key, property) in objects.flatten() {
        // Of forms that are told from each other by it.
        if key != "kind" || property.get("description").is_some() {
            assert!(property["description"].is_string(), "`{key}` says nothing: {property}");
        }
    }
}

#[test]
fn it_has_types_defaults_and_bounds_of_numbers() {
    let inlined = inlined();
    let key = |section: &str, key: &str| inlined["properties"][section]["properties"][key].clone();
    let rows = key("batch", "max_rows");
    assert_eq!(
        (&rows["default"], &rows["minimum"], &rows["maximum"]),
        (&json!(8192), &json!(1), &json!(1_048_576))
    );
    assert_eq!(key("swap", "canary_share")["minimum"], 0.001);
    assert_eq!(key("sink", "patience_secs")["default"], 600);
    let limits = &inlined["properties"]["plugin"]["items"]["properties"]["limits"]["properties"];
    assert_eq!(limits["max_rows_per_record"]["maximum"], 10_000);
    assert_eq!(limits["max_memory_bytes"]["default"], 64 << 20);
    // References are for those who are shown it.
    assert!(!inlined.to_string().contains("$ref"));
}

#[test]
fn there_is_no_null_in_toml() {
    let schema = schema(&[plugin(
        "mask",
        &json!({
            "properties": {
                "from": { "type": ["string", "null"], "default": null },
                "how": { "anyOf": [{ "$ref": "#/$defs/How" }, { "type": "null" }] },
            },
            "$defs": { "How": { "enum": ["a", null] } },
        }),
        &[],
    )]);
    let nothing = [json!(null), json!("null")];
    let found = below(&schema).into_iter().find(|value| nothing.contains(value));
    assert_eq!(found, None);
}

#[test]
fn a_text_of_a_form_may_be_a_variable() {
    let schema = schema(&[]);
    let name = &schema["properties"]["name"]["pattern"];
    assert_eq!(name, r"^[a-z0-9_-]{1,64}$|\$\{");
    let format = schema["definitions"]["FormatName"]["anyOf"].as_array().expect("its words");
    let words: Vec<&Json> = format.iter().map(|form| &form["const"]).collect();
    assert_eq!(words, [&json!("csv"), &json!("ndjson"), &json!(null)]);
    // What is not to be stays so, and so do names of keys.
    let stage = &schema["definitions"]["Plugin"]["properties"];
    assert_eq!(stage["name"]["not"], json!({ "enum": ["decode", "guard", "sink"] }));
    let secrets = &stage["secrets"]["anyOf"][1];
    assert_eq!(secrets["propertyNames"]["pattern"], "^[A-Za-z0-9_-]{1,64}$");
}

#[test]
fn a_plugin_is_known_by_its_component() {
    let config = json!({ "type": "object" });
    let plugins = [plugin("mask", &config, &[]), plugin("a.b", &config, &[])];
    let schema = schema(&plugins);
    let stage = &schema["definitions"]["Plugin"];
    let form = |form: &Json| {
        (
            form["if"]["properties"]["component"]["pattern"].clone(),
            form["then"]["properties"]["config"]["$ref"].clone(),
        )
    };
    assert_eq!(
        form(stage),
        (
            json!(r"(^|\/)a\.b(\.wasm|(:[\w.-]+)?(@sha256:[0-9a-f]+)?)\/*$"),
            json!("#/definitions/config_of_a_b")
        )
    );
    assert_eq!(
        form(&stage["else"]),
        (
            json!(r"(^|\/)mask(\.wasm|(:[\w.-]+)?(@sha256:[0-9a-f]+)?)\/*$"),
            json!("#/definitions/config_of_mask")
        )
    );
    assert_eq!(stage["else"]["else"], json!(null));
    let pattern = regex::Regex::new(&component("mask")).expect("a pattern");
    for path in ["mask", "mask.wasm", "../plugins/mask", "plugins/mask/", "/a/mask.wasm"] {
        assert!(pattern.is_match(path), "{path}");
    }
    for path in ["oci://localhost:5000/p/mask:1.2", "oci://localhost/mask:1.2@sha256:00ff"] {
        assert!(pattern.is_match(path), "{path}");
    }
    for path in ["unmask", "mask-v2.wasm", "mask/other", "mask.wat"] {
        assert!(!pattern.is_match(path), "{path}");
    }
}

#[test]
fn what_a_plugin_says_refers_to_itself_and_to_nothing_else() {
    let said = of(
        &json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": "https://example.com/mask",
            "type": "object",
            "properties": {
                "columns": { "$ref": "#/$defs/Columns", "description": "Which." },
                "tree": { "$ref": "#" },
                "gone": { "$ref": "#/$defs/Nowhere" },
                "far": { "$ref": "https://example.com/far.json", "type": "string" },
                "file": { "$ref": "file:///etc/passwd" },
                "$ref": { "type": "integer" },
            },
            "dependencies": { "columns": { "$ref": "https://example.com/more.json" } },
            "x": { "y": { "$ref": "https://example.com/x.json" } },
            "$defs": { "Columns": { "type": "object" } },
        }),
        &[],
    );
    let properties = &said["properties"];
    assert_eq!(
        properties["columns"]["allOf"],
        json!([{ "$ref": "#/definitions/config_of_mask/$defs/Columns" }])
    );
    assert_eq!(properties["columns"]["description"], "Which.");
    assert_eq!(properties["tree"], json!({ "$ref": "#/definitions/config_of_mask" }));
    assert_eq!(properties["far"], json!({ "type": "string" }));
    assert_eq!(properties["$ref"], json!({ "type": "integer" }));
    let text = said.to_string();
    assert!(
        !text.contains("example.com") && !text.contains("file:") && !text.contains("Nowhere"),
        "{text}"
    );
}

#[test]
fn references_that_lead_round_have_an_end() {
    let round = vec![json!({ "$ref": "#/definitions/round" }); 10_000];
    let said = of(
        &json!({
            "properties": { "columns": { "$ref": "#/definitions/round" } },
            "definitions": { "round": { "anyOf": round } },
        }),
        &[],
    );
    assert!(said["properties"]["columns"].is_object());
}

#[test]
fn whatever_a_plugin_says_there_is_a_schema() {
    for config in
        ["", "no JSON", "null", "7", "[]", "\"text\"", "{\"properties\": 7, \"required\": {}}"]
    {
        let plugin = PluginSchema {
            name: "odd".to_owned(),
            config: config.to_owned(),
            secrets: vec!["key".to_owned()],
        };
        let schema = schema(&[plugin]);
        assert!(schema["definitions"]["config_of_odd"].is_object(), "{config}: {schema}");
    }
}

#[test]
fn secrets_are_not_for_the_pipeline_file() {
    let config = json!({
        "properties": { "key": { "type": "string" }, "key_id": { "type": "string" } },
        "required": ["key", "key_id"],
        "additionalProperties": false,
    });
    let said = of(&config, &["key"]);
    assert_eq!(said["properties"], json!({ "key_id": { "type": "string" } }));
    assert_eq!(said["required"], json!(["key_id"]));
}

#[test]
fn a_table_stands_for_a_list_of_columns() {
    let said = of(
        &json!({
            "properties": {
                "columns": { "type": "array" },
                "named": { "$ref": "#/$defs/List" },
                "either": { "anyOf": [{ "type": "string" }, { "type": "array" }] },
                "anything": true,
                "map": { "type": "object" },
                "word": { "enum": ["a", "b"] },
                "round": { "$ref": "#/$defs/Round" },
            },
            "$defs": { "List": { "type": ["array", "null"] }, "Round": { "$ref": "#/$defs/Round" } },
        }),
        &[],
    );
    let table = json!({ "$ref": "#/definitions/TableColumns" });
    let takes = |key: &str| {
        said["properties"][key]["anyOf"].as_array().is_some_and(|forms| forms.contains(&table))
    };
    for key in ["columns", "named", "either", "anything"] {
        assert!(takes(key), "{key}: {said}");
    }
    for key in ["map", "word", "round"] {
        assert!(!takes(key), "{key}: {said}");
    }
}

#[test]
fn text_is_wanted_where_the_sections_have_texts() {
    for (key, wanted) in [
        ("name", true),
        ("workers", false),
        ("source.uri", true),
        ("source.format", true),
        ("source.csv.delimiter", true),
        ("source.watch", false),
        ("source.rate", false),
        ("source.subscription", true),
        ("source.payload", true),
        ("swap.watch", true),
        ("sink.kind", true),
        ("sink.missing_tables", true),
        ("sink.policy_tags.ip", true),
        ("trust.not_before", true),
        ("trust.keys", false),
        ("guard.allow.ip", true),
        ("dead_letter.seal.key_id", true),
        ("plugin.mask.component", true),
        ("plugin.mask.reads", false),
        ("plugin.mask.watch", false),
        ("plugin.mask.lookups.countries", true),
        ("plugin.mask.secrets", false),
        ("plugin.mask.secrets.key", true),
        ("plugin.mask.limits.max_call_secs", false),
        ("plugin.mask.config.key_id", false),
        ("nowhere.at.all", false),
    ] {
        let keys: Vec<&str> = key.split('.').collect();
        assert_eq!(wants_text(&keys), wanted, "{key}");
    }
}

/// Settings of pipeline files that the README shows, by section and key: their values, where they stand for
/// themselves, and the texts of all of its blocks.
fn shown() -> (BTreeMap<(String, String), Vec<Json>>, String) {
    let readme = include_str!("../../../README.md");
    let blocks = readme.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let (mut shown, mut texts) = (BTreeMap::<_, Vec<Json>>::new(), String::new());
    for block in blocks {
        let mut section = String::new();
        for line in block.lines() {
            if let Some(name) = line.strip_prefix('[') {
                section = name.trim_start_matches('[').split(']').next().unwrap_or_default().into();
            }
            let Some((key, rest)) = line.split_once(" = ") else { continue };
            // What comes after a value may be a comment, and a text may have its sign.
            let ends = rest.match_indices(" #").map(|(at, _)| at).chain([rest.len()]);
            let mut values = ends.filter_map(|end| {
                let line = format!("value = {}", &rest[..end]);
                toml::from_str::<toml::Table>(&line).ok()?.remove("value")
            });
            let value = values.next().map(|value| serde_json::to_value(value).expect("JSON"));
            shown.entry((section.clone(), key.to_owned())).or_default().extend(value);
        }
        texts.push_str(block);
    }
    (shown, texts)
}

/// All settings below a section, with their defaults.
fn settings(section: &str, of: &Json, found: &mut Vec<(String, String, Option<Json>)>) {
    for form in of["oneOf"].as_array().into_iter().flatten() {
        settings(section, form, found);
    }
    for (key, property) in of["properties"].as_object().into_iter().flatten() {
        let item = if property["items"].is_object() { &property["items"] } else { property };
        let has_settings =
            item["properties"].is_object() || item["oneOf"][0]["properties"].is_object();
        if has_settings {
            let below = if section.is_empty() { key.clone() } else { format!("{section}.{key}") };
            settings(&below, item, found);
        }
        if !has_settings || property.get("default").is_some() {
            let default = property.get("default").filter(|value| !has_settings && !value.is_null());
            let default = default.cloned();
            found.push((section.to_owned(), key.clone(), default));
        }
    }
}

#[test]
fn the_readme_shows_every_setting_with_its_default() {
    let (shown, texts) = shown();
    let mut all = Vec::new();
    settings("", &inlined(), &mut all);
    assert!(all.len() > 100, "{}", all.len());
    let is_named = |key: &str| {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        texts.split(|c: char| !is_word(c)).any(|word| word == key)
    };
    let defaults = |of: &(String, String)| -> Vec<Json> {
        let same = all.iter().filter(|(section, key, _)| (section, key) == (&of.0, &of.1));
        same.filter_map(|(_, _, default)| default.clone()).collect()
    };
    for (section, key, default) in &all {
        // What tells forms from each other is said of each.
        if key == "kind" {
            continue;
        }
        assert!(is_named(key), "[{section}] {key} is in no block of host/README.md");
        let of = (section.clone(), key.clone());
        let Some(default) = default else { continue };
        // Of several forms one is enough, and what is no value is told in words.
        let values = shown.get(&of).map(Vec::as_slice).unwrap_or_default();
        let is_default = |value: &Json| {
            value == default
                || value.as_f64().is_some_and(|number| default.as_f64() == Some(number))
        };
        let is_shown = values
            .iter()
            .any(|value| is_default(value) || defaults(&of).iter().any(|default| value == default));
        assert!(
            is_shown || values.is_empty(),
            "[{section}] {key} has the default {default}, and host/README.md shows {values:?}"
        );
    }
}
