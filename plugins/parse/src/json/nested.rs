//! Lists and records of messages to columns: the spans that the scanner has found are walked through once
//! more, for there the values of a row are many.
//!
//! Recurses no deeper than the configured records.

use clickmill_plugin::{Column, Decimal, Problems, Texts, Validity, Values};

use super::extras::Kept;
use super::paths;
use super::scan::Options;
use super::value::{Kind, Span, unescape};
use super::walk::{Member, Walk};
use crate::config::{ColumnConfig, ColumnType, Duplicates, Entries, Unknown};
use crate::number;
use crate::rejection::{Code, Refusals, shown};
use crate::time;
use crate::typed::{Builder, base64, boolean};

/// A column with its fields, as configured.
pub(super) struct Shape {
    column: ColumnConfig,
    /// The key that it has in the object of its record.
    key: Box<[u8]>,
    fields: Vec<Shape>,
    /// The fields by key, each key once.
    by_key: Vec<u16>,
}

/// A column of lists or records in the making.
pub(super) struct Nested<'s> {
    shape: &'s Shape,
    offsets: Option<Vec<u32>>,
    len: u32,
    of: Of<'s>,
}

enum Of<'s> {
    Values(Builder),
    Records(Validity, Vec<Nested<'s>>),
}

/// A message that values are read from, and what is noted on the way.
pub(super) struct Reading<'r, 's> {
    pub(super) text: &'r [u8],
    pub(super) row: usize,
    pub(super) options: Options,
    pub(super) empty_is_null: bool,
    pub(super) refusals: &'r mut Refusals,
    pub(super) kept: &'r mut Vec<Kept>,
    pub(super) room: &'r mut Room<'s>,
}

/// Room that is used again from value to value.
#[derive(Default)]
pub(super) struct Room<'s> {
    /// Of each record that is open, the spans of its fields.
    spans: Vec<Span>,
    /// The way to the value: names, and which element of a list.
    way: Vec<(&'s str, Option<u32>)>,
    scratch: Vec<u8>,
}

impl Shape {
    pub(super) fn new(mut column: ColumnConfig, place: &str, problems: &mut Problems) -> Self {
        let fields = std::mem::take(&mut column.fields);
        let unreadable = column.unreadable;
        let fields: Vec<Self> = fields
            .into_iter()
            .enumerate()
            .map(|(at, mut field)| {
                field.unreadable = field.unreadable.or(unreadable);
                let place = format!("{place}.fields[{at}]");
                if paths::split(field.from()).len() > 1 {
                    problems.push(format!(
                        "`{place}.from` is `{}`: a field of a record is taken from a key of it, without dots",
                        field.from()
                    ));
                }
                Self::new(field, &place, problems)
            })
            .collect();
        let mut by_key: Vec<u16> = (0..fields.len() as u16).collect();
        by_key.sort_by(|a, b| fields[usize::from(*a)].key.cmp(&fields[usize::from(*b)].key));
        for pair in by_key.windows(2) {
            let (a, b) = (&fields[usize::from(pair[0])], &fields[usize::from(pair[1])]);
            if a.key == b.key {
                problems.push(format!(
                    "`{place}.fields` has `{}` and `{}` from the same key",
                    a.column.name, b.column.name
                ));
            }
        }
        let key = paths::split(column.from()).pop().unwrap_or_default().into_bytes();
        Self { column, key: key.into_boxed_slice(), fields, by_key }
    }

    /// The field of that key. `guess` is the one that it mostly is.
    #[inline]
    fn field(&self, key: &[u8], guess: usize) -> Option<usize> {
        if self.fields.get(guess).is_some_and(|field| *field.key == *key) {
            return Some(guess);
        }
        let found =
            self.by_key.binary_search_by(|at| (*self.fields[usize::from(*at)].key).cmp(key));
        found.ok().map(|at| usize::from(self.by_key[at]))
    }
}

impl<'s> Nested<'s> {
    pub(super) fn new(shape: &'s Shape, rows: usize) -> Self {
        let of = match shape.column.column_type {
            ColumnType::Record => {
                let fields = shape.fields.iter().map(|field| Self::new(field, rows)).collect();
                Of::Records(Validity::default(), fields)
            }
            column_type => Of::Values(Builder::new(column_type, rows)),
        };
        Self { shape, offsets: shape.column.repeated.then(|| vec![0]), len: 0, of }
    }

    /// Adds what stands there: the value of a row or record, or its list.
    pub(super) fn push(&mut self, span: Span, reading: &mut Reading<'_, 's>) {
        reading.room.way.push((&self.shape.column.name, None));
        if self.offsets.is_some() {
            self.list(span, reading);
        } else {
            self.value(span, false, reading);
        }
        reading.room.way.pop();
    }

    /// Adds nothing: null, or an empty list.
    fn nothing(&mut self) {
        match &mut self.offsets {
            Some(offsets) => offsets.push(self.len),
            None => {
                self.len += 1;
                match &mut self.of {
                    Of::Values(builder) => builder.push_null(),
                    Of::Records(validity, fields) => {
                        validity.push(false);
                        fields.iter_mut().for_each(Nested::nothing);
                    }
                }
            }
        }
    }

    fn list(&mut self, span: Span, reading: &mut Reading<'_, 's>) {
        match span.kind {
            Kind::Absent | Kind::Null => {}
            Kind::Array => {
                let mut walk = Walk::into(reading.text, span);
                let mut number = 0;
                while let Some(element) = walk.element() {
                    if let Some((_, at)) = reading.room.way.last_mut() {
                        *at = Some(number);
                    }
                    self.value(element, true, reading);
                    number += 1;
                }
            }
            _ if reading.is_empty(span) => {}
            _ => reading.refuse_list(span),
        }
        if let Some(offsets) = &mut self.offsets {
            offsets.push(self.len);
        }
    }

    fn value(&mut self, span: Span, is_element: bool, reading: &mut Reading<'_, 's>) {
        self.len += 1;
        let shape = self.shape;
        match &mut self.of {
            Of::Values(builder) => reading.scalar(builder, &shape.column, span, is_element),
            Of::Records(validity, fields) => {
                let base = reading.room.spans.len();
                let is_record = reading.record(shape, span, is_element);
                validity.push(is_record || is_element);
                for (at, field) in fields.iter_mut().enumerate() {
                    if is_record {
                        let span = reading.room.spans[base + at];
                        field.push(span, reading);
                    } else {
                        field.nothing();
                    }
                }
                reading.room.spans.truncate(base);
            }
        }
    }

    /// Adds the finished columns.
    pub(super) fn finish(self, parent: Option<u32>, columns: &mut Vec<Column>) {
        let name = &self.shape.column.name;
        let (column, fields) = match self.of {
            Of::Values(builder) => (builder.finish(name), Vec::new()),
            Of::Records(validity, fields) => {
                (Column::new(name, Values::Records, validity.finish()), fields)
            }
        };
        columns.push(Column { parent, offsets: self.offsets, ..column });
        let at = Some(columns.len() as u32 - 1);
        fields.into_iter().for_each(|field| field.finish(at, columns));
    }
}

impl<'s> Reading<'_, 's> {
    /// Adds a value that is no record.
    fn scalar(&mut self, builder: &mut Builder, column: &ColumnConfig, span: Span, element: bool) {
        match builder {
            Builder::Booleans(to) => {
                to.push(self.read(column, span, element, |text| boolean(text, column)));
            }
            Builder::Int64s(to) => to.push(self.read(column, span, element, |text| {
                number::int64(text).or_else(|| number::integral(text))
            })),
            Builder::Float64s(to) => to.push(self.read(column, span, element, number::float64)),
            Builder::Decimals(to) => to.push(self.read(column, span, element, Decimal::parse)),
            Builder::Dates(to) => to.push(self.read(column, span, element, time::date)),
            Builder::Times(to) => to.push(self.read(column, span, element, time::time)),
            Builder::Datetimes(to) => to.push(self.read(column, span, element, time::datetime)),
            Builder::Timestamps(to) => to.push(self.read(column, span, element, time::timestamp)),
            Builder::Blobs(to) => {
                let bytes = |text: &[u8]| {
                    let mut bytes = Vec::new();
                    base64(text, &mut bytes).then_some(bytes)
                };
                to.push_option(self.read(column, span, element, bytes));
            }
            Builder::Jsons(to) => match span.kind {
                Kind::Absent | Kind::Null => {
                    self.missing(column, span, element);
                    // A null of JSON is a value, where one has to be.
                    to.push_option(element.then_some("null"));
                }
                _ => to.push(span.spelled(self.text)),
            },
            Builder::Texts(to) => self.text(to, column, span, element),
        }
    }

    fn text(&mut self, to: &mut Texts, column: &ColumnConfig, span: Span, element: bool) {
        let content = span.content(self.text);
        match span.kind {
            Kind::Absent | Kind::Null => {
                self.missing(column, span, element);
                to.push_option(element.then_some(""));
            }
            Kind::Escaped => {
                unescape(content, to.buffer());
                to.end_row();
            }
            _ if content.is_empty() && !element => {
                if column.required {
                    self.refuse(Code::Required, column, span);
                }
                to.push_option((!self.empty_is_null).then_some(""));
            }
            _ => to.push(content),
        }
    }

    #[inline]
    fn read<T: Default>(
        &mut self,
        column: &ColumnConfig,
        span: Span,
        element: bool,
        read: impl Fn(&[u8]) -> Option<T>,
    ) -> Option<T> {
        let value = match span.kind {
            Kind::Absent | Kind::Null => {
                self.missing(column, span, element);
                return element.then(T::default);
            }
            Kind::Object | Kind::Array => None,
            Kind::Escaped => {
                let scratch = &mut self.room.scratch;
                scratch.clear();
                unescape(span.content(self.text), scratch);
                read(scratch)
            }
            _ => read(span.content(self.text)),
        };
        if value.is_none() {
            self.unlike(column, span, element);
            return element.then(T::default);
        }
        value
    }

    #[cold]
    fn unlike(&mut self, column: &ColumnConfig, span: Span, element: bool) {
        let code = match span.kind {
            Kind::True | Kind::False if column.column_type != ColumnType::Boolean => {
                Code::WrongType
            }
            Kind::Object | Kind::Array => Code::WrongType,
            _ if self.is_empty(span) && !element => {
                if column.required {
                    self.refuse(Code::Required, column, span);
                }
                return;
            }
            _ => Code::unlike(column.column_type),
        };
        self.unreadable(code, column, span, element);
    }

    /// Notes a value that is not there.
    #[inline]
    fn missing(&mut self, column: &ColumnConfig, span: Span, element: bool) {
        if column.required || element {
            self.refuse(Code::Required, column, span);
        }
    }

    /// Finds the fields of an object, and leaves their spans in the room. Whether it is one: null otherwise.
    fn record(&mut self, shape: &'s Shape, span: Span, element: bool) -> bool {
        let column = &shape.column;
        match (span.kind, &column.entries) {
            (Kind::Object, _) => self.object(shape, span),
            (Kind::Array, Some(entries)) => self.entries(shape, entries, span),
            (Kind::Absent | Kind::Null, _) => {
                self.missing(column, span, element);
                return false;
            }
            _ if self.is_empty(span) && !element => {
                self.missing(column, span, element);
                return false;
            }
            _ => {
                self.unreadable(Code::WrongType, column, span, element);
                return false;
            }
        }
        true
    }

    fn object(&mut self, shape: &'s Shape, span: Span) {
        let base = self.open(shape);
        let mut walk = Walk::into(self.text, span);
        let mut guess = 0;
        while let Some(member) = walk.member() {
            let found = if member.escaped {
                shape.field(&self.unescaped(&member), guess)
            } else {
                shape.field(&self.text[member.key.clone()], guess)
            };
            match found {
                Some(at) => {
                    guess = at + 1;
                    self.take(base, at, member);
                }
                None => self.unknown(member),
            }
        }
    }

    /// Fields by the keys of a list: `[{"key": "page", "value": {"string_value": "/"}}, …]`.
    fn entries(&mut self, shape: &'s Shape, entries: &Entries, span: Span) {
        let base = self.open(shape);
        let mut walk = Walk::into(self.text, span);
        let mut number = 0;
        while let Some(entry) = walk.element() {
            let (mut key, mut value) = (None, Span::ABSENT);
            if entry.kind == Kind::Object {
                let mut members = Walk::into(self.text, entry);
                while let Some(member) = members.member() {
                    let name = self.unescaped(&member);
                    if name == entries.key.as_bytes() {
                        key = matches!(member.value.kind, Kind::String | Kind::Escaped)
                            .then_some(member.value);
                    } else if name == entries.value.as_bytes() {
                        value = self.only(member.value);
                    }
                }
            }
            match key {
                None => {
                    let place = format!("{}[{number}]", self.place());
                    let told = format!(
                        "`{place}` is `{}`, wanted an object with a text as its `{}`",
                        shown(entry.spelled(self.text)),
                        entries.key
                    );
                    self.refusals.add_column(self.row, Code::WrongType, &place, told);
                }
                Some(key) => {
                    let start = key.content_start();
                    let length = key.content(self.text).len();
                    let escaped = key.kind == Kind::Escaped;
                    let member = Member { key: start..start + length, escaped, value };
                    match shape.field(&self.unescaped(&member), number) {
                        Some(at) => self.take(base, at, member),
                        None => self.unknown(member),
                    }
                }
            }
            number += 1;
        }
    }

    /// The one member of an object that is not null, or else the value itself.
    fn only(&self, value: Span) -> Span {
        if value.kind != Kind::Object {
            return value;
        }
        let mut walk = Walk::into(self.text, value);
        let mut only = None;
        while let Some(member) = walk.member() {
            if member.value.kind != Kind::Null {
                if only.is_some() {
                    return value;
                }
                only = Some(member.value);
            }
        }
        only.unwrap_or(Span::ABSENT)
    }

    /// Room for the fields of a record, of which none is found yet.
    fn open(&mut self, shape: &Shape) -> usize {
        let spans = &mut self.room.spans;
        let base = spans.len();
        spans.resize(base + shape.fields.len(), Span::ABSENT);
        base
    }

    #[inline]
    fn take(&mut self, base: usize, at: usize, member: Member) {
        let span = &mut self.room.spans[base + at];
        if span.kind == Kind::Absent {
            *span = member.value;
            return;
        }
        match self.options.duplicates {
            Duplicates::First => {}
            Duplicates::Last => *span = member.value,
            Duplicates::Refuse => {
                let place = self.key_place(&member);
                let told = format!("key `{place}` is there twice");
                self.refusals.add(self.row, Code::DuplicateField, told);
            }
        }
    }

    fn unknown(&mut self, member: Member) {
        match self.options.unknown {
            Unknown::Ignore => {}
            Unknown::Refuse => {
                let told = format!("key `{}` is unknown", self.key_place(&member));
                self.refusals.add(self.row, Code::UnknownField, told);
            }
            Unknown::Keep => {
                let key = self.path_of(&String::from_utf8_lossy(&self.unescaped(&member)));
                let value = member.value.spelled(self.text).to_owned();
                self.kept.push(Kept::new(self.row, &key, value));
            }
        }
    }

    fn unescaped(&self, member: &Member) -> Vec<u8> {
        let mut key = Vec::with_capacity(member.key.len());
        unescape(&self.text[member.key.clone()], &mut key);
        key
    }

    fn is_empty(&self, span: Span) -> bool {
        self.empty_is_null && span.kind == Kind::String && span.content(self.text).is_empty()
    }

    #[cold]
    fn unreadable(&mut self, code: Code, column: &ColumnConfig, span: Span, element: bool) {
        if !element && column.unreadable_is_null() {
            let names = self.room.way.iter().map(|(name, _)| *name);
            let path = names.collect::<Vec<_>>().join(".");
            self.refusals.null(self.row, path);
        } else {
            self.refuse(code, column, span);
        }
    }

    #[cold]
    fn refuse(&mut self, code: Code, column: &ColumnConfig, span: Span) {
        let value =
            (!matches!(span.kind, Kind::Absent | Kind::Null)).then(|| span.content(self.text));
        let place = self.place();
        self.refusals.add_at(self.row, code, column, &place, value);
    }

    #[cold]
    fn refuse_list(&mut self, span: Span) {
        let place = self.place();
        let got = shown(span.content(self.text));
        let told = format!("`{place}` is `{got}`, wanted a JSON array");
        self.refusals.add_column(self.row, Code::WrongType, &place, told);
    }

    /// The value that is read, as people are told of it: `items[3].price`.
    fn place(&self) -> String {
        let step = |(name, element): &(&str, Option<u32>)| match element {
            Some(number) => format!("{name}[{number}]"),
            None => (*name).to_owned(),
        };
        self.room.way.iter().map(step).collect::<Vec<_>>().join(".")
    }

    fn path_of(&self, key: &str) -> String {
        format!("{}.{key}", self.place())
    }

    fn key_place(&self, member: &Member) -> String {
        self.path_of(&shown(&self.text[member.key.clone()]))
    }
}
