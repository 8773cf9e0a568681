//! The JSON Schema of pipeline files, made of the sections that serde reads: for editors, and for the bounds of
//! numbers. The configuration of each plugin is what the plugin says of it.
//!
//! It is of draft 7, which editors of TOML have.

use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use schemars::transform::{
    RecursiveTransform, RemoveRefSiblings, ReplacePrefixItems, Transform, transform_subschemas,
};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value as Json, json};

use super::BatchLimits;
use super::admin::RawAdmin;
use super::guard::RawGuard;
use super::raw::{DeadLetter, NAME, Plugin, Sink, Source, Warehouse};
use super::swap::RawSwap;
use super::trust::RawTrust;

/// Chain workers, at most, however many cores the machine has.
pub const MAX_WORKERS: usize = 256;

/// The sections of a pipeline file.
pub(super) const SECTIONS: [&str; 12] = [
    "name",
    "source",
    "plugin",
    "sink",
    "warehouse",
    "dead_letter",
    "guard",
    "swap",
    "trust",
    "admin",
    "batch",
    "workers",
];

/// Where a schema of draft 7 keeps what it refers to.
const DEFINITIONS: &str = "definitions";
/// What stands for a list of columns in the configuration of a plugin.
const TABLE_COLUMNS: &str = "TableColumns";
/// Forms that are looked at, to tell whether a value may be a list.
const MAX_FORMS: usize = 1000;

/// A pipeline of clickmill: records come from a source, go through plugins, and become rows of tables or dead
/// letters.
#[derive(JsonSchema)]
#[schemars(title = "Pipeline file of clickmill", deny_unknown_fields)]
#[expect(dead_code, reason = "the schema alone: each section is read by itself")]
struct PipelineFile {
    /// Its name: in the ledger, in dead letters and in metrics.
    #[schemars(regex(pattern = NAME))]
    name: String,
    /// Where records come from, and how bytes become records.
    source: Source,
    /// The chain, in order.
    #[schemars(default)]
    plugin: Vec<Plugin>,
    /// Where good rows go.
    sink: Sink,
    /// The warehouse, where the tables are there.
    #[schemars(default)]
    warehouse: Warehouse,
    /// Where rejected records go, and when there are too many.
    dead_letter: DeadLetter,
    /// How sensitive columns are guarded.
    #[schemars(default)]
    guard: RawGuard,
    /// How plugins change while the pipeline runs.
    #[schemars(default)]
    swap: RawSwap,
    /// Which components are taken.
    #[schemars(default)]
    trust: RawTrust,
    /// The admin interface.
    #[schemars(default)]
    admin: RawAdmin,
    /// When a batch is full: whichever comes first.
    #[schemars(default)]
    batch: BatchLimits,
    /// Chain workers, each on a thread of its own; 0: one per core.
    #[schemars(default, range(max = MAX_WORKERS))]
    workers: usize,
}

/// Where in a pipeline file a key comes: its section, and its place in a list. Sections that there are not come
/// first.
pub(super) fn place(key: &str) -> (Option<usize>, Option<usize>) {
    let end = key.find(['.', '[']).unwrap_or(key.len());
    let (section, rest) = key.split_at(end);
    let section = SECTIONS.iter().position(|name| *name == section);
    let number = rest.strip_prefix('[').and_then(|rest| rest.split(']').next());
    (section, number.and_then(|number| number.parse().ok()))
}

/// What a plugin says of its configuration.
#[derive(Debug, Clone)]
pub struct PluginSchema {
    /// How pipeline files name its component: the last part of the path, without `.wasm`.
    pub name: String,
    /// The JSON Schema of its configuration.
    pub config: String,
    /// Its secrets, which are not for the pipeline file.
    pub secrets: Vec<String>,
}

/// The JSON Schema of pipeline files, with the configuration of these plugins. Of another plugin any configuration
/// will do.
#[must_use]
pub fn schema(plugins: &[PluginSchema]) -> Json {
    let settings = SchemaSettings::draft07()
        .with_transform(RecursiveTransform(without_null))
        .with_transform(with_variables);
    let mut root = settings.into_generator().into_root_schema_for::<PipelineFile>().to_value();
    let Some(Json::Object(definitions)) = root.get_mut(DEFINITIONS) else { return root };
    let by_key: BTreeMap<String, &PluginSchema> =
        plugins.iter().map(|plugin| (key(&plugin.name), plugin)).collect();
    let Some(Json::Object(stage)) = definitions.get_mut("Plugin") else { return root };
    if let Some(config) = stage.get_mut("properties").and_then(|all| all.get_mut("config"))
        && !by_key.is_empty()
    {
        // An editor that does not look at `if` completes the keys of all of them.
        let any = by_key.keys().map(|key| reference(key)).chain([json!({})]);
        config["anyOf"] = any.collect();
    }
    let mut forms = Map::new();
    for (key, plugin) in by_key.iter().rev() {
        let is_it = json!({
            "properties": { "component": { "pattern": component(&plugin.name) } },
            "required": ["component"],
        });
        let then = json!({ "properties": { "config": reference(key) } });
        let others = std::mem::take(&mut forms);
        forms.insert("if".to_owned(), is_it);
        forms.insert("then".to_owned(), then);
        if !others.is_empty() {
            forms.insert("else".to_owned(), Json::Object(others));
        }
    }
    stage.append(&mut forms);
    for (key, plugin) in by_key {
        definitions.insert(key.clone(), configuration(plugin, &key));
    }
    definitions.insert(TABLE_COLUMNS.to_owned(), table_columns());
    root
}

/// The schema of the host's own sections without references, as it checks them.
pub(super) fn inlined() -> Json {
    let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<PipelineFile>().to_value()
}

/// Whether a key wants text, as far as the schema says. `keys` lead to it; behind a list comes the name of one of
/// its items. The keys of a plugin's configuration are its own.
pub(super) fn wants_text(keys: &[&str]) -> bool {
    let root = inlined();
    let mut found = vec![&root];
    let mut keys = keys.iter();
    while let Some(key) = keys.next() {
        let mut below: Vec<&Json> = Vec::new();
        for form in forms(&found) {
            let named = &form["properties"][*key];
            let any = &form["additionalProperties"];
            below.push(if named.is_null() { any } else { named });
        }
        let items = below.iter().map(|schema| &schema["items"]);
        let items: Vec<&Json> = items.filter(|items| items["properties"].is_object()).collect();
        if items.is_empty() {
            found = below;
        } else {
            keys.next();
            found = items;
        }
    }
    let is_text = |kind: &Json| kind == "string";
    forms(&found).iter().any(|form| match &form["type"] {
        Json::Array(kinds) => kinds.iter().any(is_text),
        kind => is_text(kind),
    })
}

/// Schemas with all forms that they have.
fn forms<'a>(schemas: &[&'a Json]) -> Vec<&'a Json> {
    let mut found = Vec::new();
    for schema in schemas {
        found.push(*schema);
        for key in ["anyOf", "oneOf"] {
            let within: Vec<&Json> = schema[key].as_array().into_iter().flatten().collect();
            found.extend(forms(&within));
        }
    }
    found
}

fn reference(key: &str) -> Json {
    json!({ "$ref": format!("#/{DEFINITIONS}/{key}") })
}

/// The key of a plugin's definition, which needs no escapes in a reference.
fn key(plugin: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "_-".contains(c) { c } else { '_' };
    format!("config_of_{}", plugin.chars().map(plain).collect::<String>())
}

/// A pattern of the paths by which a pipeline file names a component: a file, the folder of its crate, or a
/// registry's repository. Only what has a meaning is escaped, as patterns of JavaScript want it.
fn component(plugin: &str) -> String {
    let mut name = String::new();
    for c in plugin.chars() {
        if r".+*?()[]{}|^$\/".contains(c) {
            name.push('\\');
        }
        name.push(c);
    }
    format!(r"(^|\/){name}(\.wasm|(:[\w.-]+)?(@sha256:[0-9a-f]+)?)\/*$")
}

/// What a pipeline file may have in the configuration of a plugin, by what the plugin says, which may be
/// anything: a definition of its own that refers to nothing else.
fn configuration(plugin: &PluginSchema, key: &str) -> Json {
    let said: Json = serde_json::from_str(&plugin.config).unwrap_or_default();
    let said = Schema::try_from(said).unwrap_or_default();
    let own = said.to_value();
    let mut kept = own.clone();
    keep_own(&mut kept, &own, &format!("#/{DEFINITIONS}/{key}"));
    let mut schema = Schema::try_from(kept).unwrap_or_default();
    RemoveRefSiblings::default().transform(&mut schema);
    ReplacePrefixItems::default().transform(&mut schema);
    RecursiveTransform(without_null).transform(&mut schema);
    with_variables(&mut schema);
    let is_secret = |name: &str| plugin.secrets.iter().any(|secret| secret == name);
    if let Some(Json::Array(required)) = schema.get_mut("required") {
        required.retain(|name| !name.as_str().is_some_and(is_secret));
    }
    if let Some(Json::Object(properties)) = schema.get_mut("properties") {
        properties.retain(|name, _| !is_secret(name));
        for (name, property) in properties.iter_mut() {
            if may_be_list(&own["properties"][name.as_str()], &own, &mut MAX_FORMS.clone()) {
                let plain = property.take();
                *property = json!({ "anyOf": [plain, reference(TABLE_COLUMNS)] });
            }
        }
    }
    schema.to_value()
}

/// Takes out what refers elsewhere, wherever it stands. A property of such a name is no text.
fn keep_own(value: &mut Json, own: &Json, base: &str) {
    match value {
        Json::Array(values) => values.iter_mut().for_each(|value| keep_own(value, own, base)),
        Json::Object(object) => {
            for key in
                ["$schema", "$id", "$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveRef"]
            {
                if object.get(key).is_some_and(Json::is_string) {
                    object.remove(key);
                }
            }
            if let Some(Json::String(to)) = object.get("$ref") {
                let own_one = to.strip_prefix('#').filter(|at| own.pointer(at).is_some());
                match own_one.map(|at| format!("{base}{at}")) {
                    Some(to) => drop(object.insert("$ref".to_owned(), to.into())),
                    None => drop(object.remove("$ref")),
                }
            }
            object.values_mut().for_each(|value| keep_own(value, own, base));
        }
        _ => {}
    }
}

/// Whether a value may be a list, as far as the schema says. So many forms are `left` to look at.
fn may_be_list(schema: &Json, root: &Json, left: &mut usize) -> bool {
    let Some(fewer) = left.checked_sub(1) else { return false };
    *left = fewer;
    let Json::Object(object) = schema else { return *schema == json!(true) };
    if let Some(to) = object.get("$ref").and_then(Json::as_str) {
        let to = to.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        return to.is_some_and(|to| may_be_list(to, root, left));
    }
    match object.get("type") {
        Some(Json::String(kind)) => kind == "array",
        Some(kinds) => kinds.as_array().is_some_and(|kinds| kinds.contains(&json!("array"))),
        None => {
            let forms = ["anyOf", "oneOf", "allOf"].into_iter().filter_map(|key| object.get(key));
            let mut forms = forms.filter_map(Json::as_array).flatten().peekable();
            let is_any = forms.peek().is_none() && !object.contains_key("const");
            is_any && !object.contains_key("enum")
                || forms.any(|form| may_be_list(form, root, left))
        }
    }
}

/// A table's schema in the place of a list of columns.
fn table_columns() -> Json {
    json!({
        "description": "The columns of a table's schema, as a list of name, type and whether they are required.",
        "type": "object",
        "properties": {
            "schema": { "type": "string", "description": "The file of the table's schema." },
            "except": {
                "type": "array",
                "items": { "type": "string" },
                "description": "Columns that are left out, and fields of records by their paths.",
            },
        },
        "required": ["schema"],
        "additionalProperties": false,
    })
}

/// TOML has no null: what may be null may be absent.
fn without_null(schema: &mut Schema) {
    if schema.get("default").is_some_and(Json::is_null) {
        schema.remove("default");
    }
    if let Some(Json::Array(values)) = schema.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(Json::Array(forms)) = schema.get_mut(key) {
            forms.retain(|form| form["type"] != "null");
        }
    }
    if let Some(kind) = schema.get_mut("type")
        && let Some(kinds) = kind.as_array_mut()
    {
        kinds.retain(|kind| kind != "null");
        if let [one] = kinds.as_mut_slice() {
            *kind = one.take();
        }
    }
}

/// `${NAME}` may stand for any text, also for one that has to have a certain form.
fn with_variables(schema: &mut Schema) {
    let variable = || json!({ "type": "string", "pattern": r"\$\{" });
    // Keys are written as they are, and what is not to be stays so.
    let fixed = take(schema, &["not", "if", "propertyNames"]);
    let forms = take(schema, &["anyOf", "oneOf"]);
    transform_subschemas(&mut with_variables, schema);
    if let Some(Json::String(pattern)) = schema.get_mut("pattern") {
        pattern.push_str(r"|\$\{");
    }
    if is_word(schema.as_value()) {
        let word = Json::Object(take(schema, &["const", "enum"]));
        schema.insert("anyOf".to_owned(), json!([word, variable()]));
    }
    for (_, mut forms) in forms {
        let Json::Array(list) = &mut forms else { continue };
        for form in list.iter_mut().filter(|form| !is_word(form)) {
            if let Ok(form) = form.try_into() {
                with_variables(form);
            }
        }
        if list.iter().any(is_word) {
            list.push(variable());
        }
        // What tells one form from the others may be a variable, too.
        schema.insert("anyOf".to_owned(), forms);
    }
    // What is true or false stays so.
    if let Some(object) = schema.as_object_mut() {
        object.extend(fixed);
    }
}

/// Whether a schema has a text or several for what is written.
fn is_word(schema: &Json) -> bool {
    let words = schema["enum"].as_array().is_some_and(|words| words.iter().all(Json::is_string));
    words || schema["const"].is_string()
}

fn take(schema: &mut Schema, keys: &[&str]) -> Map<String, Json> {
    let taken = keys.iter().filter_map(|key| Some(((*key).to_owned(), schema.remove(*key)?)));
    taken.collect()
}

#[cfg(test)]
mod tests;
