//! What a component says of itself and what it wants, checked: it goes into logs, tables, pages and the
//! labels of metrics, and is as hostile as what it answers for a batch.

use std::borrow::Cow;

use super::boundary::{ConfigureOut, Manifest, Needs};
use super::lift::{MAX_NAME_BYTES, cut};
use clickmill_config::Plugin;

/// Characters of a name, a version and a description.
const MAX_NAME: usize = 64;
const MAX_VERSION: usize = 32;
const MAX_DESCRIPTION: usize = 512;
/// Secrets that a plugin may want.
const MAX_SECRETS: usize = 32;
/// Columns that a plugin may read, and that it may write.
const MAX_COLUMNS: usize = 1000;
/// Lookup tables that a plugin may ask.
const MAX_LOOKUPS: usize = 100;
/// Bytes that are shown of a name that is none.
const SHOWN_BYTES: usize = 64;
/// Texts of which a component may have any number, that are told.
const MAX_TOLD: usize = 100;

/// What a component answers a question with.
pub(super) trait Answers {
    /// The first thing that is wrong with it.
    fn check(&self) -> Result<(), String>;
}

impl Answers for Manifest {
    fn check(&self) -> Result<(), String> {
        text("name", &self.name, MAX_NAME)?;
        text("version", &self.version, MAX_VERSION)?;
        text("description", &self.description, MAX_DESCRIPTION)?;
        at_most("secrets", self.secrets.len(), MAX_SECRETS)?;
        match self.secrets.iter().find(|name| !Plugin::is_secret_name(name)) {
            None => Ok(()),
            Some(name) => Err(format!(
                "it wants a secret `{}`, wanted 1 to {} of letters, digits, `_` and `-`",
                cut(name, SHOWN_BYTES).escape_debug(),
                Plugin::MAX_SECRET_NAME_BYTES
            )),
        }
    }
}

impl Answers for ConfigureOut {
    fn check(&self) -> Result<(), String> {
        self.as_ref().map_or(Ok(()), Needs::check)
    }
}

impl Needs {
    /// The first thing that is wrong with it, whatever is granted.
    pub(crate) fn check(&self) -> Result<(), String> {
        at_most("columns to read", self.reads.len(), MAX_COLUMNS)?;
        at_most("columns to write", self.writes.len(), MAX_COLUMNS)?;
        at_most("lookup tables", self.lookups.len(), MAX_LOOKUPS)?;
        let columns = self.reads.iter().chain(&self.writes).map(|column| &column.name);
        match columns.chain(&self.lookups).find(|name| name.len() > MAX_NAME_BYTES) {
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
    match text.chars().find(|c| !is_printable(*c)) {
        None => Ok(()),
        Some(c) => {
            let c = c.escape_unicode();
            Err(format!("its {what} has the character `{c}`, wanted only what can be printed"))
        }
    }
}

/// Whether a character shows as itself: it neither controls a terminal nor turns, joins or hides others.
fn is_printable(c: char) -> bool {
    let hides = matches!(
        c,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    );
    !c.is_control() && !hides
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boundary::{ColumnSpec, DataType};

    fn manifest(name: &str, version: &str, description: &str, secrets: &[&str]) -> Manifest {
        Manifest {
            name: name.to_owned(),
            version: version.to_owned(),
            description: description.to_owned(),
            config_schema: String::new(),
            secrets: secrets.iter().map(|name| (*name).to_owned()).collect(),
        }
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
            assert!(told.len() < 200 && told.chars().all(is_printable), "{told:?}");
        }
    }

    #[test]
    fn what_a_plugin_wants_is_bounded() {
        let columns = |count: usize, bytes: usize| {
            let name = |at: usize| "x".repeat(bytes - 4) + &format!("{at:04}");
            let column = |at| ColumnSpec { name: name(at), data_type: DataType::Text };
            (0..count).map(column).collect::<Vec<_>>()
        };
        let needs = |reads, writes, lookups: usize, bytes: usize| Needs {
            reads,
            writes,
            lookups: vec!["x".repeat(bytes); lookups],
        };
        assert_eq!(needs(columns(1000, 300), columns(1000, 300), 100, 300).check(), Ok(()));
        for wrong in [
            needs(columns(1001, 9), Vec::new(), 0, 0),
            needs(Vec::new(), columns(1001, 9), 0, 0),
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
