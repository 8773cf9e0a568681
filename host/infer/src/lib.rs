//! What a sample of records supports: columns and their types, which of them look personal and how they are
//! masked, rules; and the files that say so, a pipeline that runs as it is.
//!
//! All of it has to be safe for rows that were not looked at: no column is required, what does not fit any
//! column is kept, a rule that might refuse a good row is wide or commented out, and what is in doubt is text.
//! This crate knows neither where records come from nor the terminal.

mod events;
mod files;
mod form;
mod guard;
mod kind;
mod map;
mod names;
mod node;
mod personal;
mod refused;
mod rows;
mod rules;
mod shape;
mod toml;
mod value;

pub use form_of_header::is_header;
pub use names::{RESERVED, plain};
pub use rows::Rows;
pub use toml::quoted;
pub use value::Value;

mod form_of_header;

use std::collections::BTreeSet;

use events::Events;
use names::Names;
use node::Node;
use refused::Refused;
use shape::{Column, columns};

use clickmill_core::path;

/// The column that keeps what no other takes.
const UNKNOWN: &str = "unknown_fields";
/// What to do where no key names a column.
const ENTRIES: &str =
    "`jq -c 'to_entries[]' FILE` makes a record of each, with its `key` and its `value`";

/// Records that were looked at.
#[derive(Debug)]
pub enum Records {
    /// Delimited text: the names of its columns, and the fields of each row.
    Csv {
        /// The names.
        names: Vec<String>,
        /// Rows of as many fields.
        rows: Rows,
    },
    /// JSON, a text each: objects, or arrays of them.
    Json(Vec<String>),
}

/// What the files say beside what the records do.
#[derive(Debug)]
pub struct About {
    /// The pipeline's name.
    pub name: String,
    /// Its dataset.
    pub dataset: String,
    /// Its table.
    pub table: String,
    /// Where the records are from, in words.
    pub origin: String,
    /// Lines of the section `source`.
    pub source: Vec<String>,
    /// Whether all records were looked at.
    pub is_all: bool,
    /// The folder of the plugins.
    pub plugins: String,
    /// The schema of dead letters.
    pub dead_letter: String,
    /// Columns that the host fills in: name, type, what it is.
    pub filled_in: Vec<(&'static str, &'static str, &'static str)>,
    /// Names that no other column may have.
    pub taken: Vec<&'static str>,
    /// The year.
    pub year: u32,
    /// How the pipeline file is named in commands, as a shell takes it.
    pub pipeline: String,
    /// What comes before the command that runs it, such as `cat clicks.csv | `.
    pub before_run: String,
    /// The bytes of the largest record.
    pub largest: usize,
    /// How many records could not be decoded, beside those that were looked at.
    pub malformed: usize,
    /// Which of them was the first, and why.
    pub first_malformed: String,
}

/// Files to write, and what to tell of them.
#[derive(Debug)]
pub struct Proposal {
    /// Their names and texts.
    pub files: Vec<(String, String)>,
    /// How many records were looked at.
    pub records: u64,
    /// How many columns there are.
    pub columns: usize,
    /// Columns that look personal, each with how it is masked and why.
    pub personal: Vec<String>,
    /// What else is to be told, a sentence each.
    pub told: Vec<String>,
    /// How it is run.
    pub run: String,
}

/// The files of a pipeline of these records.
///
/// # Errors
///
/// Why no pipeline can be made of them, in words.
pub fn propose(records: &Records, about: &About) -> Result<Proposal, String> {
    let (messages, no_json) = match records {
        Records::Csv { .. } => Default::default(),
        Records::Json(texts) => messages(texts)?,
    };
    if let Records::Csv { names, .. } = records {
        names.iter().try_for_each(|name| check_name(name))?;
    }
    let is_csv = matches!(records, Records::Csv { .. });
    let events = Events::find(&messages);
    let rows: Vec<(usize, &Value)> = match &events {
        None => messages.iter().enumerate().collect(),
        Some(events) => {
            let each = |(at, message)| events.of(message).iter().map(move |record| (at, record));
            messages.iter().enumerate().flat_map(each).collect()
        }
    };
    let mut root = match records {
        Records::Csv { names, rows } => Node::of_rows(names, rows),
        Records::Json(_) => Node::default(),
    };
    rows.iter().for_each(|(_, row)| root.add(row));
    let arounds: Vec<Value> = match &events {
        Some(events) => messages.iter().filter_map(|message| events.around(message)).collect(),
        None => Vec::new(),
    };
    let mut around = Node::default();
    arounds.iter().for_each(|value| around.add(value));
    if root.objects == 0 && !is_csv {
        return Err(
            "no record is a JSON object, whose keys name the columns: `jq -c '{value: .}' FILE` makes one of each"
                .to_owned(),
        );
    }
    let taken: Vec<&str> = about.taken.iter().copied().chain([UNKNOWN]).collect();
    let mut names = Names::new(&taken);
    // Whoever writes a header names columns.
    let of_map = if is_csv { BTreeSet::new() } else { map::keys(&root) };
    let of_map_around = map::keys(&around);
    let mut found = columns(&root, &mut names, &[], &of_map, is_csv);
    for mut column in columns(&around, &mut names, &[], &of_map_around, false) {
        column.is_around = true;
        found.push(column);
    }
    let left = Left {
        personal_keys: root.personal_keys() + around.personal_keys(),
        map_keys: of_map.len() + of_map_around.len(),
        map_is_personal: map::names_personal(&root, &of_map)
            || map::names_personal(&around, &of_map_around),
    };
    if found.is_empty() && left.personal_keys > 0 {
        let instead = if is_csv { "give its columns other names in the header" } else { ENTRIES };
        return Err(format!(
            "all its keys have something personal in them, such as an e-mail address, and so name no columns: {instead}"
        ));
    }
    if found.is_empty() && left.map_is_personal {
        return Err(format!(
            "all its keys are values, such as days, that name no columns, and what they hold is personal by its name: {ENTRIES}"
        ));
    }
    if found.is_empty() && left.map_keys == 0 {
        return Err("no record has a key, and keys name the columns".to_owned());
    }
    let sample = match records {
        Records::Csv { rows, .. } => guard::Sample::Rows(rows),
        Records::Json(_) => guard::Sample::Messages { rows: &rows, arounds: &arounds },
    };
    guard::settle(&mut found, &sample);
    let shape = Shape {
        columns: found,
        explode: events.as_ref().map(|events| events.explode.as_str()),
        most_events: events.as_ref().map_or(1, |events| {
            messages.iter().map(|message| events.of(message).len()).max().unwrap_or(1)
        }),
        repeats_keys: messages.iter().any(Value::repeats_a_key),
        left,
        is_csv,
        refused: Refused::of(records, &no_json, events.is_some(), about),
        records: match records {
            Records::Csv { rows, .. } => rows.len() as u64,
            Records::Json(texts) => texts.len() as u64,
        },
    };
    files::write(&shape, about)
}

/// Checks the name of a column of delimited text, by which it is read.
fn check_name(name: &str) -> Result<(), String> {
    // Points are between the names of records to the host.
    const MAX_BYTES: usize = path::MAX_NAME_BYTES;
    const MAX_PARTS: usize = path::MAX_DEPTH + 1;
    const SHOWN_CHARS: usize = 40;
    let is_long = name.split('.').any(|part| part.len() > MAX_BYTES);
    if !is_long && name.split('.').count() <= MAX_PARTS {
        return Ok(());
    }
    let shown = if personal::is_in_key(name) {
        String::new()
    } else {
        let begin: String = name.chars().take(SHOWN_CHARS).collect();
        format!(", `{}…`,", toml::comment(&begin))
    };
    let what = if is_long {
        format!("of {} bytes, and at most {MAX_BYTES} are read", name.len())
    } else {
        format!(
            "of {} parts between points, and at most {MAX_PARTS} are read",
            name.split('.').count()
        )
    };
    Err(format!(
        "its header has a name{shown} {what}: give the column a shorter name in the header"
    ))
}

/// What the files are made of.
struct Shape<'a> {
    columns: Vec<Column<'a>>,
    explode: Option<&'a str>,
    most_events: usize,
    repeats_keys: bool,
    left: Left,
    is_csv: bool,
    refused: Refused,
    records: u64,
}

/// What is left to what no column takes.
struct Left {
    /// How many keys of the records name no columns, since something personal is in them.
    personal_keys: usize,
    /// How many name none since they are values, as those of a map are.
    map_keys: usize,
    /// Whether something that these hold is personal by its name.
    map_is_personal: bool,
}

/// Texts of JSON as values, and the places of those that are none. What is none becomes a dead letter; where much of it
/// is none, it is something else.
fn messages(texts: &[String]) -> Result<(Vec<Value>, Vec<usize>), String> {
    let (mut all, mut no_json) = (Vec::new(), Vec::new());
    for (at, text) in texts.iter().enumerate() {
        match Value::parse(text) {
            Some(value) => all.push(value),
            None => no_json.push(at),
        }
    }
    if all.is_empty() || all.len() * 2 < texts.len() {
        let (bad, count) = (no_json.len(), texts.len());
        return Err(format!(
            "{bad} of {count} records are not JSON: `jq -c . FILE` names the first line that is none"
        ));
    }
    Ok((all, no_json))
}

#[cfg(test)]
mod tests;
