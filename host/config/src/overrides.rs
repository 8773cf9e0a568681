//! `--set key=value`: settings that are given in place of those of the pipeline file.

use super::{ConfigError, raw, schema};

/// Applies one `key=value`. A key is a path such as `source.uri` or `plugin.mask.config.key_id`, where
/// `mask` is a stage's name; a value is TOML where it parses as TOML, and else text. What looks like a date
/// is text, and so is what looks like a number where text is wanted or stands in the file.
pub(super) fn set(document: &mut toml::Table, given: &str) -> Result<(), ConfigError> {
    let (key, text) = given.split_once('=').map_or((given, None), |(key, text)| (key, Some(text)));
    let refuse = |wanted: &str| ConfigError::Set { key: key.to_owned(), wanted: wanted.to_owned() };
    let text = text.ok_or_else(|| refuse("wanted key=value, such as source.uri=clicks.csv"))?;
    let keys: Vec<&str> = key.trim().split('.').collect();
    let Some((last, parents)) = keys.split_last() else {
        return Err(refuse("the key is empty"));
    };
    let mut place = document;
    let mut at = 0;
    while at < parents.len() {
        let entry =
            place.entry(parents[at]).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        at += 1;
        place = match entry {
            toml::Value::Table(table) => table,
            toml::Value::Array(list) if list.first().is_none_or(toml::Value::is_table) => {
                let name = parents.get(at).copied().unwrap_or_default();
                at += 1;
                list.iter_mut()
                    .filter_map(toml::Value::as_table_mut)
                    .find(|item| item.get("name").and_then(toml::Value::as_str) == Some(name))
                    .ok_or_else(|| {
                        refuse(&format!("there is no `{}` named `{name}`", parents[at - 2]))
                    })?
            }
            _ => {
                return Err(refuse(&format!("`{}` holds a value, not a section", parents[at - 1])));
            }
        };
    }
    let value = toml::from_str::<toml::Table>(&format!("value = {text}"))
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| toml::Value::String(text.to_owned()));
    let wants_text = match place.get(*last) {
        Some(before) => before.is_str(),
        None => schema::wants_text(&keys),
    };
    let value = match value {
        // No key holds a date.
        toml::Value::Datetime(_) => toml::Value::String(text.to_owned()),
        toml::Value::Integer(_) | toml::Value::Float(_) | toml::Value::Boolean(_) if wants_text => {
            toml::Value::String(text.to_owned())
        }
        other => other,
    };
    let value = from_here(&keys, value).map_err(refuse)?;
    if key.trim() == "source.kind" && place.get("kind") != Some(&value) {
        // The file's other keys belong to the source that it names.
        place.clear();
    }
    place.insert((*last).to_owned(), value);
    Ok(())
}

/// Makes the paths in a value absolute: given by `--set`, they are relative to the current folder.
fn from_here(keys: &[&str], value: toml::Value) -> Result<toml::Value, &'static str> {
    Ok(match value {
        toml::Value::String(text) if is_path(keys, &text) => {
            let absolute = std::path::absolute(&text).map_err(|_| match &*text {
                "" => "the path is empty",
                _ => "the folder that this runs in cannot be found, and the path begins there",
            })?;
            toml::Value::String(absolute.to_string_lossy().into_owned())
        }
        toml::Value::Array(list) => {
            let keys = [keys, &[ITEM]].concat();
            let list = list.into_iter().map(|item| from_here(&keys, item));
            toml::Value::Array(list.collect::<Result<Vec<toml::Value>, &'static str>>()?)
        }
        toml::Value::Table(table) => {
            let mut absolute = toml::Table::new();
            for (key, value) in table {
                let value = from_here(&[keys, &[key.as_str()]].concat(), value)?;
                absolute.insert(key, value);
            }
            toml::Value::Table(absolute)
        }
        other => other,
    })
}

/// Stands for the place in a list.
const ITEM: &str = "";

/// Whether a text is a path, by its keys. A plugin's configuration has keys of its own, and of files only those of
/// schemas.
fn is_path(keys: &[&str], text: &str) -> bool {
    let is_path = match keys {
        ["source", "uri"] => text != "-",
        ["dead_letter", "spool"] => text != raw::NO_SPOOL,
        ["trust", "keys", ITEM] => text.ends_with(".pub"),
        ["plugin", _, "component"]
        | ["plugin", _, "lookups", _]
        | ["plugin", _, "config", _, "schema"]
        | ["sink" | "dead_letter", "schema"]
        | ["sink", "route", ITEM, "schema"]
        | ["swap", "watch" | "state" | "fleet"]
        | ["admin", "token_file" | "reader_token_file"] => true,
        _ => false,
    };
    is_path && !text.contains("://")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(given: &str, wanted: &str) {
        let here = std::env::current_dir().expect("a folder");
        let text = "[[plugin]]\nname = \"mask\"\n[plugin.config.columns]\n[plugin.lookups]\n";
        let mut document: toml::Table = toml::from_str(text).expect("a document");
        set(&mut document, given).expect(given);
        let wanted = wanted.replace("HERE", &here.to_string_lossy());
        assert!(document.to_string().contains(&wanted), "{given}: {document}");
    }

    #[test]
    fn paths_that_are_set_are_relative_to_the_current_folder() {
        check("source.uri=in/", "uri = \"HERE/in/\"");
        check("source.uri=-", "uri = \"-\"");
        check("swap.watch=plugins.d", "watch = \"HERE/plugins.d\"");
        check("swap.fleet=fleets", "fleet = \"HERE/fleets\"");
        check("swap.fleet=gs://lake/fleets/", "fleet = \"gs://lake/fleets/\"");
        check("plugin.mask.lookups.names=n.csv", "names = \"HERE/n.csv\"");
        check("plugin.mask.lookups={ names = \"n.csv\" }", "names = \"HERE/n.csv\"");
        check("plugin.mask.config.columns.schema=s.json", "schema = \"HERE/s.json\"");
        check("plugin=[{ component = \"mask\" }]", "component = \"HERE/mask\"");
        check("sink.route=[{ schema = \"s.json\" }]", "schema = \"HERE/s.json\"");
        check("source={ kind = \"storage\", uri = \"a.csv\" }", "uri = \"HERE/a.csv\"");
        check("trust.keys=[\"release.pub\"]", "keys = [\"HERE/release.pub\"]");
        check("trust.keys=[\"RWabc\"]", "keys = [\"RWabc\"]");
    }

    #[test]
    fn a_plugins_own_keys_hold_no_paths() {
        check("plugin.mask.config.state=NY", "state = \"NY\"");
        check("plugin.mask.config.uri=column", "uri = \"column\"");
        check("plugin.mask.reads=[\"uri\"]", "reads = [\"uri\"]");
        check("source.watch=true", "watch = true");
    }

    #[test]
    fn an_empty_path_is_told() {
        for key in ["source.uri", "swap.watch", "swap.state", "swap.fleet", "sink.schema"] {
            let error = set(&mut toml::Table::new(), &format!("{key}=")).expect_err(key);
            assert!(error.to_string().contains("the path is empty"), "{error}");
        }
    }
}
