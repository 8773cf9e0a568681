//! The JSON Schema of pipeline files, held against the files of the project and against what takes them: what one
//! of the two refuses, so does the other.

mod validator;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clickmill_config as config;
use serde_json::{Value as Json, json};

use crate::support::{Scratch, files, plugins, root};
use validator::errors;

/// A file as an editor sees it.
fn read(path: &Path) -> Option<Json> {
    let text = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    text.parse::<toml::Table>().ok().map(|table| as_json(&toml::Value::Table(table)))
}

fn as_json(value: &toml::Value) -> Json {
    match value {
        toml::Value::Datetime(moment) => moment.to_string().into(),
        toml::Value::Array(list) => list.iter().map(as_json).collect(),
        toml::Value::Table(table) => {
            table.iter().map(|(key, value)| (key.clone(), as_json(value))).collect()
        }
        // JSON has no infinity.
        toml::Value::Float(number) => json!(number.clamp(f64::MIN, f64::MAX)),
        toml::Value::Integer(number) => json!(number),
        toml::Value::Boolean(is) => json!(is),
        toml::Value::String(text) => json!(text),
    }
}

fn toml_in(folder: &str) -> Vec<PathBuf> {
    let mut found = files(&root().join(folder));
    found.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    assert!(found.len() > 5, "{found:?}");
    found.sort();
    found
}

/// The schema with the configuration of the project's plugins, as the command prints it.
fn printed(scratch: &Scratch, more: &[&str]) -> Json {
    plugins();
    let said = scratch.done(&[&["schema"], more].concat());
    serde_json::from_str(&said).expect("a schema")
}

#[test]
fn every_pipeline_of_the_project_fits_the_schema() {
    let scratch = Scratch::new();
    let schema = printed(&scratch, &[]);
    for path in toml_in("host/pipelines") {
        let file = read(&path).unwrap();
        assert_eq!(errors(&schema, &file), Vec::<String>::new(), "{}", path.display());
    }
}

/// A mistake in a plugin's configuration is at the stage that has it, and no other plugin's rules count there.
#[test]
fn the_configuration_of_a_stage_is_its_plugins() {
    let scratch = Scratch::new();
    let schema = printed(&scratch, &[]);
    let pipeline = read(&root().join("host/pipelines/stream.toml")).unwrap();
    let with = |at: usize, key: &str, value: Json| {
        let mut changed = pipeline.clone();
        let config = &mut changed["plugin"][at]["config"];
        config[key] = value;
        errors(&schema, &changed)
    };
    for (at, key, value) in [
        (0, "formt", json!("json")),
        (0, "unknown", json!("remember")),
        (0, "max_depth", json!(0)),
        (0, "columns", json!({ "schema": "a.json", "exept": [] })),
        (1, "user_agent", json!(7)),
        (2, "columns", json!({ "ip": "hash" })),
        (2, "key", json!("a secret that is written down")),
        (3, "rules", json!([{ "rang": { "column": "price" } }])),
    ] {
        let found = with(at, key, value.clone());
        assert!(
            !found.is_empty() && found[0].starts_with(&format!("`/plugin/{at}")),
            "{key} = {value}: {found:?}"
        );
    }
    assert_eq!(with(0, "unknown", json!("${UNKNOWN:-keep}")), Vec::<String>::new());
    // Nobody knows the plugin.
    let mut other = pipeline.clone();
    other["plugin"][2]["component"] = json!("my-mask.wasm");
    other["plugin"][2]["config"] = json!({ "anything": 1 });
    assert_eq!(errors(&schema, &other), Vec::<String>::new());
    // Until it is named.
    let mine =
        scratch.write("my-mask.wasm", fs::read(crate::support::component("plugins/mask")).unwrap());
    let schema = printed(&scratch, &[mine.to_str().unwrap()]);
    assert_ne!(errors(&schema, &other), Vec::<String>::new());
    assert_eq!(errors(&schema, &pipeline), Vec::<String>::new());
}

#[test]
fn bad_pipeline_files_do_not_fit_the_schema() {
    // These are fine in themselves: what they name is not there or nowhere, or two settings do not go together.
    let beyond = [
        "bad_encoding",
        "fleet",
        "guard",
        "missing_schema",
        "places",
        "route_conditions",
        "routes",
        "seal",
        "unknown_column_type",
        "unknown_format",
        "waits",
    ];
    let schema = config::schema(&[]);
    let bad = toml_in("host/tests/it/invalid");
    let fine =
        bad.iter().filter(|path| read(path).is_some_and(|file| errors(&schema, &file).is_empty()));
    let fine: BTreeSet<_> = fine.map(|path| path.file_stem().unwrap().to_str().unwrap()).collect();
    assert_eq!(fine, BTreeSet::from(beyond));
}

#[test]
fn what_is_taken_fits_the_schema() {
    let schema = config::schema(&[]);
    let mut taken = 0;
    for path in toml_in("host/fuzz/corpus/pipeline_files") {
        let bytes = fs::read(&path).unwrap();
        // Overrides come later.
        if !bytes.starts_with(b"# --set ") && config::fuzz::pipeline_file(&bytes) {
            let found = errors(&schema, &read(&path).unwrap());
            assert_eq!(found, Vec::<String>::new(), "{}", path.display());
            taken += 1;
        }
    }
    assert!(taken > 0);
}

/// One step to a value: a key, or the first of a list.
type Place = Vec<String>;

/// A section with what its references and forms say of it.
fn resolved(root: &Json, schema: &Json, value: &Json) -> Json {
    let mut all = schema.clone();
    loop {
        let next = if let Some(to) = all["$ref"].as_str() {
            root.pointer(&to[1..]).unwrap().clone()
        } else if let Some([form]) = all["allOf"].as_array().map(Vec::as_slice) {
            form.clone()
        } else {
            let forms = all["anyOf"].as_array().cloned().unwrap_or_default();
            let is_it = |form: &Json| {
                let form = resolved(root, form, value);
                let kind = form["properties"]["kind"]["anyOf"][0]["const"].clone();
                form["properties"].is_object() && (kind.is_null() || kind == value["kind"])
            };
            match forms.into_iter().find(is_it) {
                Some(form) => form,
                None => return all,
            }
        };
        let object = all.as_object_mut().unwrap();
        object.retain(|key, _| !["$ref", "allOf", "anyOf"].contains(&key.as_str()));
        for (key, value) in next.as_object().unwrap() {
            object.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
}

/// All keys that the sections of a document may have, each with its schema.
fn keys(root: &Json, schema: &Json, value: &Json, place: &Place, found: &mut Vec<(Place, Json)>) {
    let schema = resolved(root, schema, value);
    if let Json::Array(list) = value {
        return keys(
            root,
            &schema["items"],
            &list[0],
            &[place.as_slice(), &["0".to_owned()]].concat(),
            found,
        );
    }
    for (key, schema) in schema["properties"].as_object().into_iter().flatten() {
        let place = [place.as_slice(), std::slice::from_ref(key)].concat();
        let within = value.get(key).filter(|value| value.is_object() || value[0].is_object());
        found.push((place.clone(), resolved(root, schema, within.unwrap_or(&Json::Null))));
        if let Some(value) = within {
            keys(root, schema, value, &place, found);
        }
    }
}

/// The document with another value there, or without one.
fn with(document: &Json, place: &Place, value: Option<Json>) -> Json {
    let mut changed = document.clone();
    let (last, path) = place.split_last().unwrap();
    let mut section = &mut changed;
    for step in path {
        section = match step.parse::<usize>() {
            Ok(at) => &mut section[at],
            Err(_) => &mut section[step.as_str()],
        };
    }
    match value {
        Some(value) => section[last.as_str()] = value,
        None => drop(section.as_object_mut().unwrap().remove(last)),
    }
    changed
}

/// Documents with all sections, of every kind of source and sink.
fn documents() -> Vec<Json> {
    let schema = root().join("host/tests/it/invalid/schema.json").to_string_lossy().into_owned();
    let document = |source: Json, mut sink: Json| {
        sink["table"] = json!("d.t");
        sink["schema"] = json!(schema);
        let seal = json!({ "key_env": "SEAL", "key_id": "s1", "old": [{ "key_env": "OLD", "key_id": "s0" }] });
        json!({
            "name": "shop",
            "source": source,
            "plugin": [{ "name": "mask", "component": schema, "limits": {} }],
            "sink": sink,
            "warehouse": {},
            "dead_letter": { "table": "d.dead_letter", "schema": schema, "seal": seal },
            "guard": {},
            "swap": {},
            "trust": { "keys": ["RWkey"] },
            "admin": {},
            "batch": {},
        })
    };
    let route = json!([{ "table": "d.r", "schema": schema, "where": "a = 'b'" }]);
    vec![
        document(
            json!({ "kind": "storage", "uri": "a.csv", "csv": {} }),
            json!({ "route": route }),
        ),
        document(json!({ "kind": "stdin", "format": "ndjson" }), json!({})),
        document(json!({ "kind": "generator", "data": "clicks" }), json!({})),
        document(
            json!({ "kind": "pubsub", "subscription": "projects/p/subscriptions/clicks" }),
            json!({ "kind": "bigquery", "project": "shop" }),
        ),
    ]
}

/// What becomes of a document: what is read, if it is taken.
fn taken(scratch: &Scratch, document: &Json) -> Option<String> {
    let text = toml::to_string(document).unwrap();
    let read = config::read(&scratch.write("shop.toml", text), &[]).ok()?;
    Some(format!("{read:#?}").replace("Usual(", "At("))
}

#[track_caller]
fn agree(scratch: &Scratch, schema: &Json, document: &Json, is_fine: bool, what: &str) {
    let found = errors(schema, document);
    assert_eq!(found.is_empty(), is_fine, "the schema: {what}: {found:?}");
    assert_eq!(taken(scratch, document).is_some(), is_fine, "clickmill: {what}");
}

#[test]
fn the_schema_and_clickmill_take_and_refuse_the_same() {
    let scratch = Scratch::new();
    let schema = config::schema(&[]);
    let (mut numbers, mut texts, mut words, mut defaults) = (0, 0, 0, 0);
    for document in documents() {
        agree(&scratch, &schema, &document, true, "as it is");
        let bare = taken(&scratch, &document).unwrap();
        let is_bigquery = document["sink"]["kind"] == "bigquery";
        let mut found = Vec::new();
        keys(&schema, &schema, &document, &Place::new(), &mut found);
        for (place, said) in found {
            let name = place.join(".");
            // Of the other kind of sink, and refused there.
            let of_bigquery =
                said["description"].as_str().is_some_and(|text| text.starts_with("Of BigQuery"));
            let of_warehouse =
                name == "warehouse.retention_days" || name.starts_with("sink.unrouted");
            if if is_bigquery { of_warehouse } else { of_bigquery } {
                continue;
            }
            let agree = |value: Json, is_fine| {
                let what = format!("{name} = {value}");
                agree(&scratch, &schema, &with(&document, &place, Some(value)), is_fine, &what);
            };
            // Of another type.
            agree(json!([[{ "no": ["such"] }]]), false);
            let is_text = said["type"] == "string";
            let is_word = said["anyOf"][0]["const"].is_string() || said["enum"].is_array();
            if is_text || is_word {
                texts += 1;
                agree(json!(7), false);
            }
            if said["pattern"].is_string() {
                agree(json!("no such / ß"), false);
            }
            for word in said["anyOf"].as_array().into_iter().flatten().map(|form| &form["const"]) {
                // Words that want others beside them.
                let alone = !["source.kind", "sink.kind", "sink.unrouted"].contains(&name.as_str());
                if word.is_string() && alone {
                    words += 1;
                    agree(word.clone(), true);
                    agree(json!("no such word"), false);
                }
            }
            for (bound, beyond) in [("minimum", -1.0), ("maximum", 1.0)] {
                let Some(number) = said[bound].as_f64() else { continue };
                // At most `batch.max_wait_ms`.
                if name == "batch.min_wait_ms" && bound == "maximum" {
                    continue;
                }
                numbers += 1;
                let is_integer = said["type"] == "integer";
                let of =
                    |number: f64| if is_integer { json!(number as i64) } else { json!(number) };
                agree(of(number), true);
                agree(of(number + beyond), false);
            }
            let value = said["default"].clone();
            // These are there, and something else.
            let is_other = ["sink.kind", "trust.keys"].contains(&name.as_str());
            if !value.is_null() && !is_other {
                defaults += 1;
                let document = with(&document, &place, Some(value));
                assert_eq!(
                    taken(&scratch, &document).as_ref(),
                    Some(&bare),
                    "the default of {name}"
                );
            }
        }
    }
    assert!(
        numbers > 100 && texts > 60 && words > 8 && defaults > 100,
        "{numbers}, {texts}, {words}, {defaults}"
    );
}

#[test]
fn what_is_wanted_is_wanted_and_what_is_unknown_is_refused_by_both() {
    let scratch = Scratch::new();
    let schema = config::schema(&[]);
    for document in documents() {
        let mut found = vec![(Place::new(), resolved(&schema, &schema, &document))];
        keys(&schema, &schema, &document, &Place::new(), &mut found);
        for (place, said) in found {
            // Of what is there.
            let pointer: String = place.iter().map(|step| format!("/{step}")).collect();
            let Some(section) = document.pointer(&pointer) else { continue };
            let (said, place) = match section {
                Json::Array(list) if list[0].is_object() => {
                    let items = resolved(&schema, &said["items"], &list[0]);
                    (items, [place.as_slice(), &["0".to_owned()]].concat())
                }
                _ => (said, place),
            };
            let name = place.join(".");
            for key in said["required"].as_array().into_iter().flatten() {
                let place = [place.as_slice(), &[key.as_str().unwrap().to_owned()]].concat();
                agree(
                    &scratch,
                    &schema,
                    &with(&document, &place, None),
                    false,
                    &format!("no {key} in `{name}`"),
                );
            }
            if said["additionalProperties"] == false {
                let place = [place.as_slice(), &["no_such_key".to_owned()]].concat();
                agree(
                    &scratch,
                    &schema,
                    &with(&document, &place, Some(json!(1))),
                    false,
                    &format!("more in `{name}`"),
                );
            }
        }
    }
}
