//! Columns of a batch as texts in which raw values are looked for.

use std::cell::RefCell;

use arrow::array::{Array, AsArray};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use regex::Regex;

use clickmill_core::batch::Batch;
use clickmill_core::columns::is_text;
use clickmill_core::leaves::Leaf;
use clickmill_core::words::{has_digits, may_have_escapes, resolved, stands};

use super::search::{Known, Search};
use super::spelling::cases;

/// A column in which raw values are looked for.
pub(super) struct Text<'a> {
    pub(super) name: &'a str,
    form: Option<&'a Regex>,
    bytes: Buffer,
    offsets: OffsetBuffer<i32>,
    nulls: Option<NullBuffer>,
    /// The text of a row is that of several values, with a zero byte behind each.
    is_joined: bool,
    /// Some values have digits. Where none has, most raw values need not be looked for.
    pub(super) has_digits: bool,
    /// Some values have escapes.
    has_escapes: bool,
    /// The value that was looked at last with its escapes resolved, and its row.
    resolved: RefCell<(Option<usize>, Vec<Vec<u8>>)>,
}

/// The texts of a row that have digits, one behind the other. A raw value with digits that is not in them
/// is in none of them.
#[derive(Default)]
pub(super) struct Joined {
    /// The row of which they are; they are put together for the first value that is long enough to be looked for.
    row: Option<usize>,
    bytes: Vec<u8>,
    has_escapes: bool,
    pub(super) search: Search,
}

impl Joined {
    /// Sees to it that they are those of a row.
    pub(super) fn fill(&mut self, texts: &[Text<'_>], row: usize) {
        if self.row == Some(row) {
            return;
        }
        self.row = Some(row);
        self.bytes.clear();
        self.search.begin();
        for text in texts.iter().filter(|text| text.has_digits) {
            self.bytes.extend_from_slice(text.text(row, "").unwrap_or_default());
            // Where one ends no word goes on.
            self.bytes.push(0);
        }
        let has_escapes = texts.iter().any(|text| text.has_escapes);
        self.has_escapes = has_escapes && may_have_escapes(&self.bytes);
    }

    /// What is known of a value, in these spellings, before it is looked for in all texts of the row.
    pub(super) fn known(
        &self,
        key: &str,
        spelled: &[&str],
        texts: &[Text<'_>],
        row: usize,
    ) -> Known {
        self.search.known(key, spelled, || {
            let texts = texts.iter().filter_map(|text| text.text(row, ""));
            let all = texts.flat_map(|text| resolved(text).into_iter().chain([text.to_owned()]));
            all.collect::<Vec<_>>()
        })
    }

    pub(super) fn may_hold(&self, value: &str) -> bool {
        self.has_escapes || stands(value.as_bytes(), &self.bytes)
    }
}

impl<'a> Text<'a> {
    /// A column in which values may stand: of texts or bytes.
    pub(super) fn of(name: &'a str, form: Option<&'a Regex>, leaf: &Leaf) -> Option<Self> {
        let column = &leaf.values;
        let (bytes, offsets) = if let Some(texts) = column.as_string_opt::<i32>() {
            (texts.values(), texts.offsets())
        } else {
            let bytes = column.as_binary_opt::<i32>()?;
            (bytes.values(), bytes.offsets())
        };
        let (bytes, offsets, nulls) = if leaf.is_single() {
            (bytes.clone(), offsets.clone(), column.nulls().cloned())
        } else {
            let (bytes, offsets) = joined(leaf, bytes, offsets);
            (bytes, offsets, None)
        };
        let all = &bytes[*offsets.first()? as usize..*offsets.last()? as usize];
        let (has_digits, has_escapes) = (has_digits(all), may_have_escapes(all));
        let (is_joined, resolved) = (!leaf.is_single(), RefCell::default());
        let text = Self {
            name,
            form,
            bytes,
            offsets,
            nulls,
            is_joined,
            has_digits,
            has_escapes,
            resolved,
        };
        Some(text)
    }

    /// Whether the value of a row holds another as a word, in any of the ways in which that is spelled.
    pub(super) fn holds(&self, row: usize, spelled: &[&str]) -> bool {
        let shortest = spelled.iter().min_by_key(|value| value.len());
        let text = shortest.and_then(|value| self.text(row, value));
        text.is_some_and(|text| {
            let is_in = |text: &[u8]| spelled.iter().any(|value| stands(value.as_bytes(), text));
            (is_in(text) || (self.has_escapes && self.is_within_escapes(row, text, is_in)))
                && !self.allows(text)
        })
    }

    /// Resolves the escapes of a row's text for the first value that is looked for, not for each.
    fn is_within_escapes(&self, row: usize, text: &[u8], is_in: impl Fn(&[u8]) -> bool) -> bool {
        let mut known = self.resolved.borrow_mut();
        if known.0 != Some(row) {
            *known = (Some(row), resolved(text));
        }
        known.1.iter().any(|text| is_in(text))
    }

    /// Whether the value of a row is another, but for blanks around it.
    pub(super) fn is(&self, row: usize, value: &str) -> bool {
        let cases = cases(value);
        let is = |text: &[u8]| {
            let is_it = |value: &str| text.trim_ascii().eq_ignore_ascii_case(value.as_bytes());
            is_it(value) || cases.iter().any(|value| is_it(value))
        };
        self.text(row, if value.is_ascii() { value } else { "" })
            .is_some_and(|text| self.parts(text).any(|text| is(text) && !self.allows_one(text)))
    }

    /// The value of a row that is long enough for another.
    fn text(&self, row: usize, other: &str) -> Option<&[u8]> {
        let range = self.offsets[row] as usize..self.offsets[row + 1] as usize;
        let is_there = self.nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
        (range.len() >= other.len() && is_there).then(|| &self.bytes[range])
    }

    /// The values of which a text is.
    fn parts<'t>(&self, text: &'t [u8]) -> impl Iterator<Item = &'t [u8]> + use<'t> {
        let is_joined = self.is_joined;
        text.split(move |byte| is_joined && *byte == 0)
    }

    /// Whether each value of a text may hold another.
    fn allows(&self, text: &[u8]) -> bool {
        self.form.is_some()
            && self.parts(text).filter(|text| !text.is_empty()).all(|text| self.allows_one(text))
    }

    fn allows_one(&self, text: &[u8]) -> bool {
        let text = std::str::from_utf8(text).ok();
        self.form.zip(text).is_some_and(|(form, text)| form.is_match(text))
    }
}

/// The batch with the texts of these columns that came as dictionaries written out. The table gets them so
/// anyway: it is done once for both.
pub(super) fn written_out(mut batch: Batch, names: &[String]) -> Result<Batch, ArrowError> {
    let schema = batch.columns.schema();
    let columns = schema.fields().iter().zip(batch.columns.columns());
    let mut plain = Vec::new();
    for (field, column) in columns.filter(|(field, _)| names.contains(field.name())) {
        let kind = field.data_type();
        if is_text(kind) && *kind != DataType::Utf8 {
            let field = field.as_ref().clone().with_data_type(DataType::Utf8);
            plain.push((field, cast(column, &DataType::Utf8)?));
        }
    }
    if !plain.is_empty() {
        batch.set_columns(plain)?;
    }
    Ok(batch)
}

/// The values of each row of a list, one behind the other. Where one ends no word goes on.
fn joined(leaf: &Leaf, bytes: &Buffer, ends: &OffsetBuffer<i32>) -> (Buffer, OffsetBuffer<i32>) {
    let (mut all, mut lengths) = (Vec::new(), Vec::with_capacity(leaf.rows()));
    for row in 0..leaf.rows() {
        let begin = all.len();
        for at in leaf.of_row(row).filter(|at| leaf.values.is_valid(*at)) {
            all.extend_from_slice(&bytes[ends[at] as usize..ends[at + 1] as usize]);
            all.push(0);
        }
        lengths.push(all.len() - begin);
    }
    (Buffer::from_vec(all), OffsetBuffer::from_lengths(lengths))
}
