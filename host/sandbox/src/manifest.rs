//! What a component says of itself and what it wants, checked: it goes into logs, tables, pages and the
//! labels of metrics, and is as hostile as what it answers for a batch.

use std::borrow::Cow;

use super::boundary::{ConfigureOut, Manifest, Needs, Secret};
use super::lift::{MAX_NAME_BYTES, cut};
use clickmill_config::Plugin;
use clickmill_core::path::MAX_DEPTH;
use clickmill_core::terminal::is_unseen;

/// Characters of a name, a version and a description.
const MAX_NAME: usize = 64;
const MAX_VERSION: usize = 32;
const MAX_DESCRIPTION: usize = 512;
/// Secrets that a plugin may want.
const MAX_SECRETS: usize = 32;
/// Bytes that a plugin may want of a secret.
const MAX_SECRET_BYTES: u32 = 1024;
/// Columns that a plugin may read, and that it may write, with all fields: as many as a table of BigQuery has.
pub(super) const MAX_COLUMNS: usize = 10_000;
/// Lookup tables that a plugin may ask.
const MAX_LOOKUPS: usize = 100;
/// Bytes that are shown of a name that is none.
const SHOWN_BYTES: usize = 64;
/// Texts of which a component may have any number, that are told.
const MAX_TOLD: usize = 100;

/// What a component answers a question with.
pub(super) trait Answers {
    /// The answer in today's form.
    type Checked;

    /// The answer, or the first thing that is wrong with it.
    fn checked(self) -> Result<Self::Checked, String>;
}

impl Answers for Manifest {
    type Checked = Self;

    fn checked(self) -> Result<Self, String> {
        self.check().map(|()| self)
    }
}

impl Answers for ConfigureOut {
    type Checked = Self;

    fn checked(self) -> Result<Self, String> {
        match self {
            Ok(configured) => configured.needs.check().map(|()| Ok(configured)),
            Err(problems) => Ok(Err(problems)),
        }
    }
}

impl Manifest {
    /// The first thing that is wrong with it.
    pub(crate) fn check(&self) -> Result<(), String> {
        text("name", &self.name, MAX_NAME)?;
        text("version", &self.version, MAX_VERSION)?;
        text("description", &self.description, MAX_DESCRIPTION)?;
        at_most("secrets", self.secrets.len(), MAX_SECRETS)?;
        let is_wrong = |name: &&Secret| !Plugin::is_secret_name(&name.name);
        if let Some(Secret { name, .. }) = self.secrets.iter().find(is_wrong) {
            return Err(format!(
                "it wants a secret `{}`, wanted 1 to {} of letters, digits, `_` and `-`",
                cut(name, SHOWN_BYTES).escape_debug(),
                Plugin::MAX_SECRET_NAME_BYTES
            ));
        }
        match self.secrets.iter().find(|secret| secret.min_bytes > MAX_SECRET_BYTES) {
            None => Ok(()),
            Some(Secret { name, min_bytes }) => Err(format!(
                "it wants secret `{name}` of {min_bytes} bytes, wanted at most {MAX_SECRET_BYTES}"
            )),
        }
    }
}

impl Needs {
    /// The first thing that is wrong with it, whatever is granted.
    pub(crate) fn check(&self) -> Result<(), String> {
        at_most("columns to read", self.reads.len(), MAX_COLUMNS)?;
        at_most("columns to write", self.writes.len(), MAX_COLUMNS)?;
        at_most("lookup tables", self.lookups.len(), MAX_LOOKUPS)?;
        let columns = self.reads.iter().chain(&self.writes).map(|column| column.path.as_str());
        if let Some(path) = columns.clone().find(|path| path.split('.').count() > MAX_DEPTH + 1) {
            return Err(format!(
                "it wants `{}`, a field within {} records, wanted at most {MAX_DEPTH}",
                cut(path, SHOWN_BYTES).escape_debug(),
                path.split('.').count() - 1
            ));
        }
        let names = columns.flat_map(|path| path.split('.'));
        let names = names.chain(self.lookups.iter().map(String::as_str));
        match names.into_iter().find(|name| name.len() > MAX_NAME_BYTES) {
            None => Ok(()),
            Some(name) => Err(format!(
                "it wants `{}`, a name of {} bytes, wanted at most {MAX_NAME_BYTES}",
                cut(name, SHOWN_BYTES).escape_debug(),
                name.len()
            )),
        }
    }
}

/// Problems, or names, as they are told: the first ones, each cut.
pub(super) fn told<'a>(
    texts: impl IntoIterator<Item: Into<Cow<'a, str>>>,
    max_bytes: usize,
) -> Vec<String> {
    let mut texts = texts.into_iter();
    let first = texts.by_ref().take(MAX_TOLD);
    let mut told: Vec<String> = first.map(|text| cut(text, max_bytes)).collect();
    let more = texts.count();
    if more > 0 {
        told.push(format!("and {more} more"));
    }
    told
}

fn at_most(what: &str, got: usize, most: usize) -> Result<(), String> {
    if got <= most { Ok(()) } else { Err(format!("it wants {got} {what}, wanted at most {most}")) }
}

fn text(what: &str, text: &str, most: usize) -> Result<(), String> {
    let got = text.chars().count();
    if got > most {
        return Err(format!("its {what} has {got} characters, wanted at most {most}"));
    }
    match text.chars().find(|c| is_unseen(*c)) {
        None => Ok(()),
        Some(c) => {
            let c = c.escape_unicode();
            Err(format!("its {what} has the character `{c}`, wanted only what can be printed"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boundary::{ColumnSpec, DataType};

    fn secret(name: &str, min_bytes: u32) -> Secret {
        Secret { name: name.to_owned(), min_bytes }
    }

    fn manifest(name: &str, version: &str, description: &str, secrets: &[&str]) -> Manifest {
        Manifest {
            name: name.to_owned(),
            version: version.to_owned(),
            description: description.to_owned(),
            config_schema: String::new(),
            secrets: secrets.iter().map(|name| secret(name, 0)).collect(),
        }
    }

    #[test]
    fn a_secret_may_be_wanted_of_so_many_bytes() {
        let wants = |bytes| Manifest { secrets: vec![secret("key", bytes)], ..Manifest::default() };
        assert_eq!(wants(MAX_SECRET_BYTES).check(), Ok(()));
        let told = wants(u32::MAX).check().unwrap_err();
        assert_eq!(told, "it wants secret `key` of 4294967295 bytes, wanted at most 1024");
    }

    #[test]
    fn what_a_component_says_of_itself_is_short_and_can_be_printed() {
        let (name, version, description) = ("ä".repeat(64), "1".repeat(32), "ø ".repeat(256));
        let fine = manifest(&name, &version, &description, &["key", "API_key-2"]);
        assert_eq!(fine.check(), Ok(()));
        assert_eq!(manifest("", "", "", &[]).check(), Ok(()));
        let many = vec!["s"; 33];
        for wrong in [
            manifest(&"x".repeat(65), "", "", &[]),
            manifest(&"x".repeat(1 << 20), "", "", &[]),
            manifest("", &"1".repeat(33), "", &[]),
            manifest("", "", &"x".repeat(513), &[]),
            manifest("a\nb", "", "", &[]),
            manifest("\u{1b}]52;c;ZXZpbA==\u{7}", "", "", &[]),
            manifest("", "1\u{9b}2J", "", &[]),
            manifest("", "", "safe\u{202e}efas", &[]),
            manifest("pa\u{200b}rse", "", "", &[]),
            manifest("", "", "\0", &[]),
            manifest("", "", "", &[""]),
            manifest("", "", "", &["PATH\nX"]),
            manifest("", "", "", &["ключ"]),
            manifest("", "", "", &[&"k".repeat(1 << 20)]),
            manifest("", "", "", &many),
        ] {
            let told = wrong.check().unwrap_err();
            assert!(told.len() < 200 && !told.chars().any(is_unseen), "{told:?}");
        }
    }

    #[test]
    fn what_a_plugin_wants_is_bounded() {
        let columns = |count: usize, bytes: usize| {
            let name = |at: usize| "x".repeat(bytes - 5) + &format!("{at:05}");
            let data_type = DataType::Text;
            let column = |at| ColumnSpec { path: name(at), data_type, repeated: false };
            (0..count).map(column).collect::<Vec<_>>()
        };
        let needs = |reads, writes, lookups: usize, bytes: usize| Needs {
            reads,
            writes,
            lookups: vec!["x".repeat(bytes); lookups],
            multiplies: true,
        };
        let within = |records: usize| {
            let path = vec!["r"; records].join(".") + ".x";
            vec![ColumnSpec { path, data_type: DataType::Text, repeated: false }]
        };
        let many = || columns(MAX_COLUMNS, 300);
        assert_eq!(needs(many(), many(), 100, 300).check(), Ok(()));
        assert_eq!(needs(within(15), within(15), 0, 0).check(), Ok(()));
        for wrong in [
            needs(columns(MAX_COLUMNS + 1, 9), Vec::new(), 0, 0),
            needs(Vec::new(), columns(MAX_COLUMNS + 1, 9), 0, 0),
            needs(within(16), Vec::new(), 0, 0),
            needs(Vec::new(), within(100_000), 0, 0),
            needs(Vec::new(), Vec::new(), 101, 0),
            needs(columns(1, 301), Vec::new(), 0, 0),
            needs(Vec::new(), columns(1, 1 << 20), 0, 0),
            needs(Vec::new(), Vec::new(), 1, 301),
        ] {
            let told = wrong.check().unwrap_err();
            assert!(told.len() < 200, "{told}");
        }
    }

    #[test]
    fn problems_are_told_up_to_a_number_and_a_length() {
        assert_eq!(told(vec!["one".to_owned()], 64), ["one"]);
        let told = told(vec!["x".repeat(1000); 250], 64);
        assert_eq!(told.len(), 101);
        assert_eq!(told[100], "and 150 more");
        assert!(told.iter().all(|problem| problem.len() <= 64 + 3));
    }
}
