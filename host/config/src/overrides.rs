//! `--set key=value`: settings that are given in place of those of the pipeline file.

use super::{ConfigError, raw, schema};

/// Keys that hold a path; given by `--set`, it is relative to the current folder.
const PATH_KEYS: [&str; 8] =
    ["uri", "component", "schema", "file", "spool", "state", "token_file", "reader_token_file"];

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
    let value = match value {
        toml::Value::String(path)
            if PATH_KEYS.contains(last) && !is_none(last, &path) && !path.contains("://") =>
        {
            let absolute = std::path::absolute(&path).map_err(|_| match &*path {
                "" => refuse("the path is empty"),
                _ => refuse(
                    "the folder that this runs in cannot be found, and the path begins there",
                ),
            })?;
            toml::Value::String(absolute.to_string_lossy().into_owned())
        }
        other => other,
    };
    if key.trim() == "source.kind" && place.get("kind") != Some(&value) {
        // The file's other keys belong to the source that it names.
        place.clear();
    }
    place.insert((*last).to_owned(), value);
    Ok(())
}

/// Whether a path names no file: standard input, or no spool.
fn is_none(key: &str, path: &str) -> bool {
    path == "-" || (key == "spool" && path == raw::NO_SPOOL)
}
