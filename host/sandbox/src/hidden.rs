//! Values of sensitive columns, which no message of a plugin is to say: neither a rejection, which goes
//! into the dead-letter table, nor a log line.
//!
//! Before the sensitive columns are there, nobody knows which parts of a record will become them. Until
//! then a rejection says nothing of what its stage has read, and a log line no word but of letters.

mod code;
mod marks;

use std::collections::HashSet;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::datatypes::DataType;

use super::kind::Columns;
use clickmill_core::RawColumn;
use clickmill_core::batch::{Batch, Reason};
use clickmill_core::leaves::Leaf;
use clickmill_core::parts::{Parts, parts};
use clickmill_core::words::{find, resolved, texts, unescaped};

use code::Codes;
use marks::{LEAST_BYTES, Marks, beginning, may_hold};

/// Lines of a batch that are looked through. A plugin may be allowed more of them.
const MAX_LINES: usize = 256;
/// How much is looked for in the messages of a batch: a value is counted once for each message, and where its parts
/// do not tell them apart, with each of the message's bytes. A list may have millions of values.
const MAX_LOOKED_FOR: usize = 1 << 26;
/// What is told in place of further ones.
const LEFT_OUT: &str = "[left out: more than is looked through for sensitive values]";
/// What it costs to look for a value in a line: about as many instructions.
const FUEL_PER_VALUE: usize = 8;

/// The sensitive values of a batch.
#[derive(Clone, Default)]
pub(super) struct HiddenValues {
    batch: Arc<Hidden>,
    /// Names of columns, which no visitor has said: between backticks they are told, whatever a record says.
    names: Arc<HashSet<String>>,
}

#[derive(Default)]
struct Hidden {
    /// The sensitive columns by name, as they are and as they were.
    columns: Vec<RawColumn>,
    /// The columns that the stage reads, where sensitive ones are still to come: it can quote no others.
    read: Option<Vec<ArrayRef>>,
    /// The sensitive columns as texts: made for the first message.
    texts: OnceLock<Vec<Text>>,
    /// How many values the sensitive columns have.
    values: OnceLock<usize>,
    lines: AtomicUsize,
    looked_for: AtomicUsize,
}

/// The values of a sensitive column, or of a field below it, as texts.
struct Text {
    name: String,
    leaf: Leaf,
    values: StringArray,
}

impl Text {
    /// The values of a row, each with the column's name.
    fn of_row(&self, row: usize) -> impl Iterator<Item = (&str, &str)> + Clone {
        let there = self.leaf.of_row(row).filter(|at| self.values.is_valid(*at));
        there.map(|at| (self.name.as_str(), self.values.value(at)))
    }
}

impl HiddenValues {
    /// Those of these columns of a batch: as they are, and as they were before they were masked. `to_come` is there
    /// where this stage or a later one makes another such column: the columns that this stage reads.
    pub(crate) fn of(
        batch: &Batch,
        columns: &[String],
        raw: &[RawColumn],
        to_come: Option<&Columns>,
    ) -> Self {
        let now = columns.iter().filter_map(|name| {
            let column = batch.columns.column_by_name(name)?;
            Some(RawColumn::new(name, column.clone()))
        });
        let batch = Arc::new(Hidden {
            columns: now.chain(raw.iter().cloned()).collect(),
            read: to_come.map(|reads| {
                let there =
                    reads.all.iter().filter_map(|node| batch.columns.column_by_name(&node.name));
                there.cloned().collect()
            }),
            ..Hidden::default()
        });
        Self { batch, names: Arc::default() }
    }

    /// The same, of messages that may name these columns.
    pub(crate) fn but_for(self, names: Arc<HashSet<String>>) -> Self {
        Self { names, ..self }
    }

    /// Reasons for refusing rows that were made of one, in which that row's values are replaced by the columns' names.
    /// A plugin may refuse thousands of them, and the row may be a megabyte: it is looked through once.
    pub(crate) fn keep_out(&self, row: usize, refused: &[(u32, Reason)]) -> Vec<(u32, Reason)> {
        if self.are_none() {
            return refused.to_vec();
        }
        // As they are, and with escapes resolved.
        let messages = || refused.iter().map(|(_, reason)| reason.message.as_bytes());
        let plain: Vec<Vec<u8>> = messages().flat_map(resolved).collect();
        let codes = || refused.iter().map(|(_, reason)| reason.code.as_str());
        let escaped = plain.iter().map(Vec::as_slice);
        let of_messages = Parts::of(messages().chain(escaped).chain(codes().map(str::as_bytes)));
        let quotable = self.batch.read.as_ref().map(|read| {
            let mut texts = Vec::new();
            for column in read {
                texts_of(column, row..row + 1, &mut texts);
            }
            common(&of_messages, texts.iter().map(String::as_bytes))
        });
        let values: usize = self.texts().iter().map(|text| text.leaf.of_row(row).len()).sum();
        let of_row = || self.texts().iter().flat_map(move |text| text.of_row(row));
        let said: Vec<_> = different(of_row().filter(|(_, value)| may_hold(&of_messages, value)));
        let bytes =
            messages().map(<[u8]>::len).sum::<usize>() + plain.iter().map(Vec::len).sum::<usize>();
        let in_codes = Codes::of(codes()).may_say(of_row().map(|(_, value)| value));
        let sought = said.len().saturating_mul(refused.len() + bytes);
        let sought = sought.saturating_add(in_codes.len().saturating_mul(refused.len()));
        if !self.may_look_for(values.saturating_mul(2).saturating_add(sought)) {
            let left_out = |(made, reason): &(u32, Reason)| {
                let (code, message) = (code::HIDDEN.to_owned(), LEFT_OUT.to_owned());
                (*made, Reason { code, message, ..reason.clone() })
            };
            return refused.iter().map(left_out).collect();
        }
        let told = |(made, reason): &(u32, Reason)| {
            let mut marks = Marks::on(&reason.message, &self.names);
            let of_message = Parts::of([reason.message.as_bytes()]);
            for (name, value) in said.iter().filter(|(_, value)| may_hold(&of_message, value)) {
                marks.hide(value, name);
            }
            if let Some(quotable) = &quotable {
                let of_message = parts(reason.message.as_bytes());
                let quoted: Vec<bool> = of_message.map(|part| quotable.contains(&part)).collect();
                marks.hide_quotes(&quoted);
            }
            let message = without_escaped(marks.told(), said.iter().copied());
            let code = code::told(&reason.code, &in_codes, quotable.as_ref());
            (*made, Reason { code, message, ..reason.clone() })
        };
        refused.iter().map(told).collect()
    }

    /// A line without the values of any row.
    pub(crate) fn keep_all_out(&self, line: &str) -> String {
        if self.are_none() {
            return line.to_owned();
        }
        let is_one_more = self.batch.lines.fetch_add(1, Ordering::Relaxed) < MAX_LINES;
        if !is_one_more || !self.may_look_for(self.values()) {
            return LEFT_OUT.to_owned();
        }
        let mut marks = Marks::on(line, &self.names);
        let plain = resolved(line.as_bytes());
        let of_line =
            Parts::of(std::iter::once(line.as_bytes()).chain(plain.iter().map(Vec::as_slice)));
        let all = self.texts().iter();
        let all = all
            .flat_map(|text| text.values.iter().flatten().map(|value| (text.name.as_str(), value)));
        let said = different(all.filter(|(_, value)| may_hold(&of_line, value)));
        if !self.may_look_for(said.len().saturating_mul(line.len())) {
            return LEFT_OUT.to_owned();
        }
        for (name, value) in &said {
            marks.hide(value, name);
        }
        if self.batch.read.is_some() {
            marks.hide_words();
        }
        without_escaped(marks.told(), said.iter().copied())
    }

    /// The fuel that a line costs.
    pub(crate) fn cost_of_line(&self) -> usize {
        self.values().saturating_mul(FUEL_PER_VALUE)
    }

    /// Whether so many values may be looked for in one more message.
    fn may_look_for(&self, values: usize) -> bool {
        let values = values.min(MAX_LOOKED_FOR + 1);
        self.batch.looked_for.fetch_add(values, Ordering::Relaxed) + values <= MAX_LOOKED_FOR
    }

    /// How many sensitive values there are, at any depth.
    fn values(&self) -> usize {
        *self.batch.values.get_or_init(|| {
            let leaves = self.batch.columns.iter().flat_map(RawColumn::leaves);
            leaves.map(|leaf| leaf.values.len()).sum()
        })
    }

    fn are_none(&self) -> bool {
        self.batch.columns.is_empty() && self.batch.read.is_none()
    }

    fn texts(&self) -> &[Text] {
        self.batch.texts.get_or_init(|| {
            let leaves = self.batch.columns.iter().flat_map(RawColumn::leaves);
            let text = |leaf: Leaf| {
                let values = texts(&leaf.values).ok().flatten()?;
                Some(Text { name: leaf.path.to_string(), leaf, values })
            };
            leaves.filter_map(text).collect()
        })
    }
}

/// Values with their columns, each once.
fn different<'a>(values: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<(&'a str, &'a str)> {
    let mut seen = HashSet::new();
    values.filter(|value| seen.insert(*value)).collect()
}

/// The texts of some rows of a column, at any depth.
fn texts_of(column: &ArrayRef, rows: Range<usize>, found: &mut Vec<String>) {
    match column.data_type() {
        DataType::List(_) => {
            let list = column.as_list::<i32>();
            let [from, to] = [rows.start, rows.end].map(|row| list.offsets()[row] as usize);
            texts_of(list.values(), from..to, found);
        }
        DataType::Struct(_) => {
            let fields = column.as_struct().columns();
            fields.iter().for_each(|field| texts_of(field, rows.clone(), found));
        }
        DataType::Utf8 | DataType::Dictionary(_, _) => {
            let Ok(Some(texts)) = texts(&column.slice(rows.start, rows.len())) else { return };
            found.extend(texts.iter().flatten().map(str::to_owned));
        }
        DataType::Binary => {
            let bytes = column.as_binary::<i32>();
            let there = rows.filter(|row| bytes.is_valid(*row));
            found.extend(there.map(|row| String::from_utf8_lossy(bytes.value(row)).into_owned()));
        }
        _ => {}
    }
}

/// What is told, but for a message that says a value with escapes, as `{:?}` or a URL writes it: of that
/// nothing is.
fn without_escaped<'a>(
    told: String,
    values: impl Iterator<Item = (&'a str, &'a str)> + Clone,
) -> String {
    for plain in resolved(told.as_bytes()) {
        let parts = Parts::of([&*plain]);
        let mut values = values.clone().filter(|(_, value)| may_hold(&parts, value));
        if let Some((name, _)) = values.find(|(_, value)| find(beginning(value), &plain).is_some())
        {
            return format!("[left out: it says a value of {name} with escapes]");
        }
    }
    told
}

/// The parts that messages and texts have in common, but for JSON's keys: what a message quotes may be cut, so it is
/// not looked for as a whole.
fn common<'a>(
    of_messages: &Parts<LEAST_BYTES>,
    texts: impl Iterator<Item = &'a [u8]>,
) -> HashSet<[u8; LEAST_BYTES]> {
    let mut common = HashSet::new();
    for text in texts {
        let text = without_keys(text);
        let plain = unescaped(&text);
        let all = parts(&text).chain(parts(&plain));
        common.extend(all.filter(|part| of_messages.may_have(*part)));
    }
    common
}

/// A text whose JSON keys are blank, where they are names. Those are what a program has given, and not what a visitor
/// has said, as the address of somebody by which a map tells something is.
fn without_keys(text: &[u8]) -> Vec<u8> {
    let mut blank = text.to_vec();
    let mut at = 0;
    while let Some(begin) = text[at..].iter().position(|byte| *byte == b'"').map(|found| at + found)
    {
        let mut end = begin + 1;
        while end < text.len() && text[end] != b'"' {
            end += if text[end] == b'\\' { 2 } else { 1 };
        }
        let after = text.get(end + 1..).unwrap_or_default().trim_ascii_start();
        let is_name = is_name(text.get(begin + 1..end).unwrap_or_default());
        if after.first() == Some(&b':') && is_name {
            blank[begin..end].fill(0);
        }
        at = (end + 1).min(text.len());
    }
    blank
}

/// Whether a key may be one that a program has given: of letters, and hardly any digits.
fn is_name(key: &[u8]) -> bool {
    const MOST_DIGITS: usize = 2;
    let is_sign = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let digits = key.iter().filter(|byte| byte.is_ascii_digit()).count();
    digits <= MOST_DIGITS && key.iter().all(is_sign)
}

#[cfg(test)]
mod tests;
