//! CSV: text columns, named by the header, to typed ones. A column at a time.

use std::collections::HashSet;

use clickmill_plugin::{
    Batch, Column, ColumnSpec, DataType, Decimal, Fault, Needs, Output, Problems, Text, Texts,
    Values, same,
};

use crate::config::{self, ColumnConfig, Config, Unknown};
use crate::json;
use crate::number;
use crate::rejection::{Code, Refusals};
use crate::time;
use crate::typed::{Builder, Rows, base64, boolean};

/// The reader, configured.
pub(crate) struct Csv {
    columns: Vec<ColumnConfig>,
    /// Columns that nobody takes and that are kept.
    extra: Vec<String>,
    unknown_column: Option<String>,
    empty_is_null: bool,
    trim: bool,
}

/// Adds what is wrong with the columns that there are.
pub(crate) fn check(config: &Config, available: &[ColumnSpec], problems: &mut Problems) {
    // A file may have thousands of columns: nothing is looked for among all of them for each.
    let there: HashSet<&str> = texts(available).collect();
    let absent = |column: &ColumnConfig| !there.contains(column.from());
    for (at, column) in config.columns.iter().enumerate().filter(|(_, column)| absent(column)) {
        let path = format_args!("columns[{at}].from");
        config::check_text(path, column.from(), available, problems);
    }
    if config.unknown == Unknown::Refuse {
        problems.extend(unknown(config, available).map(|name| {
            format!(
                "column `{name}` is in the input but not in `columns`, and `unknown` is `refuse`"
            )
        }));
    }
}

/// The columns that nobody takes.
fn unknown<'a>(config: &'a Config, available: &'a [ColumnSpec]) -> impl Iterator<Item = &'a str> {
    let taken: HashSet<&str> = config.columns.iter().map(ColumnConfig::from).collect();
    texts(available).filter(move |path| !taken.contains(path))
}

/// The columns of text.
fn texts(available: &[ColumnSpec]) -> impl Iterator<Item = &str> {
    let texts = available.iter().filter(|have| have.data_type == DataType::Text);
    texts.map(|have| have.path.as_str())
}

impl Csv {
    /// The reader, where nothing is wrong.
    pub(crate) fn new(config: Config, available: &[ColumnSpec]) -> Self {
        let keep = config.unknown == Unknown::Keep;
        let extra = keep.then(|| unknown(&config, available).map(str::to_owned).collect());
        Self {
            extra: extra.unwrap_or_default(),
            columns: config.columns,
            unknown_column: keep.then_some(config.unknown_column),
            empty_is_null: config.empty_is_null,
            trim: config.trim,
        }
    }

    pub(crate) fn needs(&self) -> Needs {
        let extra = self.extra.iter().map(String::as_str);
        let all = self.columns.iter().map(ColumnConfig::from).chain(extra);
        let mut added = HashSet::new();
        let each = all.filter(|name| added.insert(*name));
        let needs = each.fold(Needs::new(), |needs, name| needs.reads(name, DataType::Text));
        config::writes(needs, self.columns.iter(), self.unknown_column.as_deref())
    }

    pub(crate) fn process(&self, mut batch: Batch) -> Result<Output, Fault> {
        let rows = batch.rows as usize;
        let mut refusals = Refusals::new(rows);
        let mut columns = Vec::with_capacity(self.columns.len() + 1);
        let places = places(&batch, self.columns.iter().map(ColumnConfig::from))?;
        let mut uses_left = vec![0_u32; batch.columns.len()];
        places.iter().for_each(|at| uses_left[*at] += 1);
        for (column, at) in self.columns.iter().zip(places) {
            uses_left[at] -= 1;
            let is_last = uses_left[at] == 0;
            let input = if is_last { batch.take_at(at) } else { batch.columns[at].clone() };
            let input = emptied(input);
            let Values::Texts(text) = &input.values else {
                return Err(absent(column.from()));
            };
            let mut builder = Builder::new(column.column_type, rows);
            let fields = Fields { reader: self, column, input: &input, text };
            let refusals = &mut refusals;
            match &mut builder {
                Builder::Booleans(to) => fields.values(to, refusals, |t| boolean(t, column)),
                Builder::Int64s(to) => fields.values(to, refusals, number::int64),
                Builder::Float64s(to) => fields.values(to, refusals, number::float64),
                Builder::Dates(to) => fields.values(to, refusals, time::date),
                Builder::Timestamps(to) => fields.values(to, refusals, time::timestamp),
                Builder::Decimals(to) => fields.values(to, refusals, Decimal::parse),
                Builder::Times(to) => fields.values(to, refusals, time::time),
                Builder::Datetimes(to) => fields.values(to, refusals, time::datetime),
                Builder::Blobs(to) => {
                    let bytes = |text: &[u8]| {
                        let mut bytes = Vec::new();
                        (!text.is_empty() && base64(text, &mut bytes)).then_some(bytes)
                    };
                    fields.read(refusals, bytes).for_each(|value| to.push_option(value));
                }
                Builder::Jsons(to) => {
                    let json = |text: &[u8]| json::is_json(text).then(|| text.to_owned());
                    fields.read(refusals, json).for_each(|value| to.push_option(value));
                }
                Builder::Texts(_) => {
                    columns.push(self.text(column, input, refusals));
                    continue;
                }
            }
            columns.push(builder.finish(&column.name));
        }
        if let Some(name) = &self.unknown_column {
            columns.push(self.keep(name, &batch)?);
        }
        let mut output = Output::new(columns);
        output.rejections = refusals.into_rejections();
        Ok(output)
    }

    /// A text column stays as it is, but for its empty fields.
    fn text(&self, to: &ColumnConfig, mut input: Column, refusals: &mut Refusals) -> Column {
        if let Values::Texts(text) = &input.values {
            let empty = |pair: &[u32]| pair[0] == pair[1];
            let some_empty = text.offsets.windows(2).any(empty);
            if some_empty && to.required {
                for (row, _) in text.offsets.windows(2).enumerate().filter(|(_, pair)| empty(pair))
                {
                    let value: Option<&[u8]> = if input.is_valid(row) { Some(b"") } else { None };
                    refusals.add_value(row, Code::Required, to, value);
                }
            }
            if some_empty && self.empty_is_null {
                // An empty field is null or becomes it, so what was null before does not matter.
                let mut validity = vec![0; input.len().div_ceil(8)];
                for (row, pair) in text.offsets.windows(2).enumerate() {
                    validity[row / 8] |= u8::from(!empty(pair)) << (row % 8);
                }
                input.validity = Some(validity);
            }
        }
        input.name.clone_from(&to.name);
        input
    }

    /// The columns that nobody takes, as a JSON object a row.
    fn keep(&self, name: &str, batch: &Batch) -> Result<Column, Fault> {
        let mut extra = Vec::with_capacity(self.extra.len());
        let places = places(batch, self.extra.iter().map(String::as_str))?;
        for (name, at) in self.extra.iter().zip(places) {
            extra.push((json_string(name), &batch.columns[at]));
        }
        let mut kept = Texts::with_capacity(batch.rows as usize, 0);
        for row in 0..batch.rows as usize {
            let mut some = false;
            for (key, column) in &extra {
                let Some(field) = column.text(row) else {
                    continue;
                };
                if field.is_empty() && self.empty_is_null {
                    continue;
                }
                let buffer = kept.buffer();
                buffer.push(if some { b',' } else { b'{' });
                buffer.extend_from_slice(key.as_bytes());
                buffer.push(b':');
                buffer.extend_from_slice(json_string(field).as_bytes());
                some = true;
            }
            if some {
                kept.buffer().push(b'}');
                kept.end_row();
            } else {
                kept.push_null();
            }
        }
        Ok(kept.finish(name))
    }
}

/// The fields of a column that is not text.
struct Fields<'a> {
    reader: &'a Csv,
    column: &'a ColumnConfig,
    input: &'a Column,
    text: &'a Text,
}

impl Fields<'_> {
    /// Adds the value of every field to a column. Values come again: codes and flags of one byte among all rows,
    /// others in the next one.
    fn values<T: Copy + Default>(
        &self,
        to: &mut Rows<T>,
        refusals: &mut Refusals,
        read: impl Fn(&[u8]) -> Option<T>,
    ) {
        if let Some(bytes) = self.single_bytes() {
            // A text of one byte is ASCII.
            let mut known: [Option<T>; 128] = [None; 128];
            to.extend(bytes.iter().enumerate().map(|(row, byte)| {
                let known = &mut known[usize::from(*byte & 0x7f)];
                if known.is_none() {
                    *known = self.field(row, std::slice::from_ref(byte), refusals, &read);
                }
                *known
            }));
            return;
        }
        if self.text.bytes.len() < 3 * self.input.len() {
            // They take no longer to read than to compare.
            return to.extend(self.read(refusals, read));
        }
        let mut last: (&[u8], Option<T>) = (b"", None);
        to.extend(self.fields().map(|(row, field)| {
            // What cannot be read is told of every row.
            if last.1.is_none() || !same(field, last.0) {
                last = (field, self.field(row, field, refusals, &read));
            }
            last.1
        }));
    }

    /// The fields, where each of them is one byte, and where they are more than a few.
    fn single_bytes(&self) -> Option<&[u8]> {
        let Text { offsets, bytes } = self.text;
        let is_single =
            || offsets.iter().zip(0..).fold(0, |other, (at, row)| other | (at ^ row)) == 0;
        (bytes.len() > 32 && bytes.len() + 1 == offsets.len() && is_single()).then_some(bytes)
    }

    #[inline]
    fn fields(&self) -> impl Iterator<Item = (usize, &[u8])> {
        let field = |ends: &[u32]| &self.text.bytes[ends[0] as usize..ends[1] as usize];
        self.text.offsets.windows(2).map(field).enumerate()
    }

    /// Reads every field. Nulls have no text, and white space is part of no value: so both are left to
    /// those that cannot be read.
    #[inline]
    fn read<T>(
        &self,
        refusals: &mut Refusals,
        read: impl Fn(&[u8]) -> Option<T>,
    ) -> impl Iterator<Item = Option<T>> {
        self.fields().map(move |(row, field)| self.field(row, field, refusals, &read))
    }

    #[inline]
    fn field<T>(
        &self,
        row: usize,
        field: &[u8],
        refusals: &mut Refusals,
        read: impl Fn(&[u8]) -> Option<T>,
    ) -> Option<T> {
        match read(field) {
            Some(value) => Some(value),
            None => self.read_again(row, field, refusals, read),
        }
    }

    #[cold]
    fn read_again<T>(
        &self,
        row: usize,
        field: &[u8],
        refusals: &mut Refusals,
        read: impl Fn(&[u8]) -> Option<T>,
    ) -> Option<T> {
        let column = self.column;
        if !self.input.is_valid(row) {
            if column.required {
                refusals.add_value(row, Code::Required, column, None);
            }
            return None;
        }
        let field = if self.reader.trim { field.trim_ascii() } else { field };
        let value = read(field);
        if value.is_none() {
            if field.is_empty() && column.required {
                refusals.add_value(row, Code::Required, column, Some(field));
            } else if !field.is_empty() || !self.reader.empty_is_null {
                let code = Code::unlike(column.column_type);
                refusals.add_unreadable(row, code, column, Some(field));
            }
        }
        value
    }
}

/// Where the columns of these names are in a batch, which mostly has them in that order.
fn places<'a>(batch: &Batch, names: impl Iterator<Item = &'a str>) -> Result<Vec<usize>, Fault> {
    let mut next = 0;
    let place = |name: &'a str| {
        let is = |column: &Column| {
            column.parent.is_none() && same(column.name.as_bytes(), name.as_bytes())
        };
        let is_next = batch.columns.get(next).is_some_and(is);
        // A header's name is one name, also with a dot in it, which parts a path.
        let at = if is_next { Some(next) } else { batch.columns.iter().position(is) };
        let at = at.ok_or_else(|| absent(name))?;
        next = at + 1;
        Ok(at)
    };
    names.map(place).collect()
}

/// The column with nothing in its null rows, which may hold any text: below, empty is what null means.
fn emptied(column: Column) -> Column {
    if column.validity.is_none() || !matches!(column.values, Values::Texts(_)) {
        return column;
    }
    let mut texts = Texts::with_capacity(column.len(), 0);
    for row in 0..column.len() {
        texts.push_option(column.bytes(row));
    }
    texts.finish(&column.name)
}

/// The text as a JSON string.
fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn absent(column: &str) -> Fault {
    Fault { message: format!("the batch has no text column `{column}`") }
}
