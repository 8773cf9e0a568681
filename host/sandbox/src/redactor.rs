//! Takes the values of secrets out of what guests say: they are replaced by their names.
//!
//! A value is found as it is, in capitals or small letters, escaped as in JSON, in `Debug` or in a URL, and
//! in hexadecimal digits, in base64 or as a list of bytes, also within something longer that was encoded as
//! a whole. A text that tells one with other escapes, or with anything but letters and digits in between, is
//! left out whole. A plugin that is out to tell its secret says it backwards, in several texts or
//! enciphered, or writes it into a column: that cannot be seen here.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::iter;
use std::ops::Range;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, AhoCorasickKind, Match, MatchKind};
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use serde_json::Value as Json;

use super::boundary::Output;
use super::lift::{MAX_CODE_BYTES, cut};
use clickmill_core::words::resolved;

/// The code of a rejection whose own code told a secret.
const TOLD_A_SECRET: &str = "told_a_secret";

/// What is escaped in a URL.
const IN_A_URL: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Fewer letters and digits stand one after the other by chance, where all else is taken away.
const LEAST_BARE: usize = 12;
/// Bytes that a byte of a value takes in the widest of usual spellings: a list with a line for each.
const WIDEST: usize = 10;

/// Finds values of secrets. One of no secrets finds none. A clone costs no copy.
#[derive(Clone, Default)]
pub(super) struct Redactor(Option<Arc<Known>>);

struct Known {
    /// The forms in which values are replaced.
    forms: Finder,
    /// What is left of them and of others without all that is no letter and no digit.
    bare: Finder,
    /// Bytes of the longest form.
    longest: usize,
}

/// Forms of secrets, each with the name of the secret that it is of.
struct Finder {
    forms: AhoCorasick,
    names: Vec<String>,
}

impl Finder {
    fn of(named: impl Iterator<Item = (String, String)>) -> Self {
        let (names, forms): (Vec<String>, Vec<String>) = named.unzip();
        // Each start makes two of these. A deterministic automaton takes longer to make, and a load of which half
        // become letters takes no less time by it.
        let forms = AhoCorasick::builder()
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .match_kind(MatchKind::LeftmostLongest)
            .ascii_case_insensitive(true)
            .build(forms)
            .expect("forms of secrets are fewer and shorter than an automaton takes");
        Self { forms, names }
    }

    /// The name of the first secret that a text tells.
    fn find(&self, text: &[u8]) -> Option<&str> {
        self.forms.find(text).map(|found| self.name(&found))
    }

    fn name(&self, found: &Match) -> &str {
        self.names.get(found.pattern().as_usize()).map_or("", String::as_str)
    }
}

impl Known {
    /// The name of the first secret that a text tells, though in none of the forms.
    fn find_spelled(&self, text: &str) -> Option<&str> {
        let resolved = resolved(text.as_bytes());
        let mut texts = iter::once(text.as_bytes()).chain(resolved.iter().map(Vec::as_slice));
        let plainly = resolved.iter().find_map(|text| self.forms.find(text));
        plainly.or_else(|| texts.find_map(|text| self.bare.find(&bare(text))))
    }

    /// The same of what stands between the forms.
    fn find_spelled_between(&self, text: &str) -> Option<&str> {
        let mut from = 0;
        let ranges = self.forms.forms.find_iter(text).map(|found| found.range());
        let mut ranges = ranges.chain(iter::once(text.len()..text.len()));
        ranges.find_map(|Range { start, end }| {
            let between = &text[from..start];
            from = end;
            self.find_spelled(between)
        })
    }
}

impl Redactor {
    /// One that knows these secrets: names, each with its value.
    pub(crate) fn new<'a>(secrets: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let secrets: Vec<(&str, &str)> = secrets.collect();
        if secrets.is_empty() {
            return Self::default();
        }
        let named = |forms: fn(&str) -> BTreeSet<String>| {
            let each = move |(name, value): &(&str, &str)| {
                let name = (*name).to_owned();
                forms(value).into_iter().map(move |form| (name.clone(), form))
            };
            secrets.iter().flat_map(each)
        };
        let longest_of_value = secrets.iter().map(|(_, value)| value.len() * WIDEST).max();
        let longest = named(forms).map(|(_, form)| form.len()).max().max(longest_of_value);
        Self(Some(Arc::new(Known {
            forms: Finder::of(named(forms)),
            bare: Finder::of(named(bare_forms)),
            longest: longest.unwrap_or_default(),
        })))
    }

    /// The name of the first secret that a text tells.
    pub(crate) fn find(&self, text: &str) -> Option<&str> {
        let known = self.0.as_ref()?;
        known.forms.find(text.as_bytes()).or_else(|| known.find_spelled(text))
    }

    /// Where a configuration tells a secret, each place with the secret's name. Keys count too.
    pub(crate) fn find_in(&self, config: &serde_json::Map<String, Json>) -> Vec<(String, &str)> {
        let mut found = Vec::new();
        if self.0.is_some() {
            self.look_at_members(config, "config", &mut found);
        }
        found
    }

    fn look_at_members<'a>(
        &'a self,
        members: &serde_json::Map<String, Json>,
        path: &str,
        found: &mut Vec<(String, &'a str)>,
    ) {
        for (key, value) in members {
            match self.find(key) {
                Some(name) => found.push((format!("a key of `{path}`"), name)),
                None => self.look_at(value, &format!("{path}.{key}"), found),
            }
        }
    }

    fn look_at<'a>(&'a self, value: &Json, path: &str, found: &mut Vec<(String, &'a str)>) {
        let before = found.len();
        match value {
            Json::Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    self.look_at(item, &format!("{path}[{at}]"), found);
                }
            }
            Json::Object(members) => self.look_at_members(members, path, found),
            Json::String(text) => found.extend(self.find(text).map(|name| (quoted(path), name))),
            Json::Number(_) | Json::Bool(_) | Json::Null => {}
        }
        // A number of many digits, or a list of bytes.
        if found.len() == before && matches!(value, Json::Number(_) | Json::Array(_)) {
            found.extend(self.find(&value.to_string()).map(|name| (quoted(path), name)));
        }
    }

    /// Bytes of the longest form of a secret.
    pub(crate) fn longest(&self) -> usize {
        self.0.as_ref().map_or(0, |known| known.longest)
    }

    /// The text without secrets, cut at a limit. No more of it is looked at than the limit and the longest
    /// secret, so that a long text costs no more than a short one.
    pub(crate) fn clean(&self, text: String, max_bytes: usize) -> String {
        let Some(known) = &self.0 else { return cut(text, max_bytes) };
        let end = text.floor_char_boundary(max_bytes.saturating_add(known.longest));
        let seen = &text[..end];
        let mut cleaned = String::new();
        let mut at = 0;
        // What begins beyond the limit is cut off. It may begin within `seen` and not end there.
        let all = known.forms.forms.find_iter(seen);
        for found in all.take_while(|found| found.start() < max_bytes) {
            let Range { start, end } = found.range();
            cleaned.push_str(&seen[at..start]);
            let _ = write!(cleaned, "[secret {}]", known.forms.name(&found));
            at = end;
        }
        if let Some(name) = known.find_spelled_between(seen) {
            return cut(format!("[left out: it spells secret {name}]"), max_bytes);
        }
        if at == 0 {
            return cut(text, max_bytes);
        }
        let is_cut = text.len() > max_bytes;
        cleaned.push_str(&seen[at..text.floor_char_boundary(max_bytes).max(at)]);
        if is_cut && cleaned.len() <= max_bytes {
            cleaned.push('…');
            return cleaned;
        }
        cut(cleaned, max_bytes)
    }

    /// An answer whose texts tell no secret. Its columns' values stay as they are: they are checked, and
    /// no texts of the operator's.
    pub(crate) fn clean_answer(&self, mut output: Output, max_bytes: usize) -> Output {
        if self.0.is_none() {
            return output;
        }
        for rejection in &mut output.rejections {
            let code = std::mem::take(&mut rejection.code);
            rejection.code = if code.len() > MAX_CODE_BYTES {
                // It stays too long, and is refused.
                self.clean(code, 2 * MAX_CODE_BYTES)
            } else if self.find(&code).is_some() {
                TOLD_A_SECRET.to_owned()
            } else {
                code
            };
            rejection.message = self.clean(std::mem::take(&mut rejection.message), max_bytes);
            rejection.column = rejection.column.take().map(|column| self.clean(column, max_bytes));
        }
        for column in &mut output.columns {
            // An announced name tells none: a plugin announces names before it knows a secret.
            if self.find(&column.name).is_some() {
                column.name = self.clean(std::mem::take(&mut column.name), max_bytes);
            }
        }
        output
    }
}

fn quoted(path: &str) -> String {
    format!("`{path}`")
}

/// The forms in which a value is looked for.
fn forms(value: &str) -> BTreeSet<String> {
    let bytes = value.as_bytes();
    let list: Vec<String> = bytes.iter().map(u8::to_string).collect();
    let mut forms = BTreeSet::from([
        value.to_owned(),
        hex(bytes),
        list.join(", "),
        list.join(","),
        inner(&Json::from(value).to_string()).to_owned(),
        inner(&format!("{value:?}")).to_owned(),
        percent_encode(bytes, IN_A_URL).to_string(),
    ]);
    for before in 0..3 {
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            forms.insert(within_base64(bytes, before, &engine));
        }
    }
    forms
}

/// The letters and digits of the forms in which a value is looked for where all else is taken away: its own,
/// and those of each byte as numbers and escapes have them, such as `0x61, 0x62`, `\x61\x62` and `\141\142`.
fn bare_forms(value: &str) -> BTreeSet<String> {
    let octal: String = value.bytes().map(|byte| format!("{byte:03o}")).collect();
    let before = |before: &str| -> String {
        value.bytes().map(|byte| format!("{before}{byte:02x}")).collect()
    };
    let mut all = forms(value);
    all.extend([octal, before("x"), before("0x"), before("u")]);
    let bare = all.iter().map(|form| bare(form.as_bytes()));
    let bare = bare.filter(|form| form.len() >= LEAST_BARE);
    bare.filter_map(|form| String::from_utf8(form).ok()).collect()
}

/// The letters and digits of a text.
fn bare(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(u8::is_ascii_alphanumeric).collect()
}

/// Without the quotes around it.
fn inner(quoted: &str) -> &str {
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The characters of base64 that these bytes alone make, where so many others, modulo three, stand before
/// them.
fn within_base64(bytes: &[u8], before: usize, engine: &impl base64::Engine) -> String {
    let padded = [&vec![0; before][..], bytes].concat();
    let encoded = engine.encode(&padded);
    let (first, last) = ((before * 8).div_ceil(6), padded.len() * 8 / 6);
    encoded.get(first..last).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
