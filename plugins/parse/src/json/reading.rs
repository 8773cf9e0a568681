//! Values within lists and records, read one at a time, each with its place for what is said of it.

use clickmill_plugin::{Decimal, Texts};

use super::containers::Containers;
use super::extras::Kept;
use super::scan::Options;
use super::shape::Shape;
use super::value::{Kind, Span, unescape};
use super::walk::{Member, Walk};
use crate::config::{ColumnConfig, ColumnType, Duplicates, Entries, Unknown};
use crate::number;
use crate::rejection::{Code, Refusals, shown};
use crate::time;
use crate::typed::{Builder, base64, boolean};

/// A message that values are read from, and what is noted on the way.
pub(super) struct Reading<'r, 's> {
    pub(super) text: &'r [u8],
    pub(super) row: usize,
    pub(super) options: Options,
    pub(super) empty_is_null: bool,
    pub(super) refusals: &'r mut Refusals,
    pub(super) kept: &'r mut Vec<Kept>,
    pub(super) room: &'r mut Room<'s>,
    pub(super) containers: &'r mut Containers,
}

/// Room that is used again from value to value.
#[derive(Default)]
pub(super) struct Room<'s> {
    /// Of each record that is open, the spans of its fields.
    pub(super) spans: Vec<Span>,
    /// The way to the list or record that is read, or to its element: names, and which element of a list.
    pub(super) way: Vec<(&'s str, Option<u32>)>,
    scratch: Vec<u8>,
}

impl<'s> Reading<'_, 's> {
    /// Adds a value that is no record.
    pub(super) fn scalar(
        &mut self,
        builder: &mut Builder,
        column: &ColumnConfig,
        span: Span,
        element: bool,
    ) {
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
                _ if self.is_empty(span) && !element => {
                    if column.required {
                        self.refuse(Code::Required, column, span, false);
                    }
                    to.push_null();
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
                    self.refuse(Code::Required, column, span, false);
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
                    self.refuse(Code::Required, column, span, false);
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
            self.refuse(Code::Required, column, span, element);
        }
    }

    /// Finds the fields of an object, and leaves their spans in the room. Whether it is one: null otherwise.
    pub(super) fn record(&mut self, shape: &'s Shape, span: Span, element: bool) -> bool {
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
        let mut walk = Walk::into(self.text, span, self.containers);
        let mut before = 0;
        loop {
            let guess = shape.guess(before);
            let pattern = guess.map(|(_, pattern)| pattern);
            let Some((member, guessed)) = walk.guessed_member(pattern, self.containers) else {
                return;
            };
            let found = match guess {
                Some((at, _)) if guessed => Some(at),
                _ if member.escaped => shape.field(&self.unescaped(&member), before),
                _ => shape.field(&self.text[member.key.clone()], before),
            };
            match found {
                Some(at) => {
                    before = at + 1;
                    self.take(base, at, &shape.fields[at].column.name, member);
                }
                None => self.unknown(member),
            }
        }
    }

    /// Fields by the keys of a list: `[{"key": "page", "value": {"string_value": "/"}}, …]`.
    fn entries(&mut self, shape: &'s Shape, entries: &Entries, span: Span) {
        let base = self.open(shape);
        let mut walk = Walk::into(self.text, span, self.containers);
        let (mut number, mut before) = (0, 0);
        while let Some(entry) = walk.element(self.containers) {
            let (mut key, mut value) = (None, Span::ABSENT);
            if entry.kind == Kind::Object {
                let mut members = Walk::into(self.text, entry, self.containers);
                while let Some(member) = members.member(self.containers) {
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
                    match shape.field(&self.unescaped(&member), before) {
                        Some(at) => {
                            before = at + 1;
                            self.take(base, at, &shape.fields[at].column.name, member);
                        }
                        None => self.unknown(member),
                    }
                }
            }
            number += 1;
        }
    }

    /// The one member of an object that is not null, or else the value itself.
    fn only(&mut self, value: Span) -> Span {
        if value.kind != Kind::Object {
            return value;
        }
        let mut walk = Walk::into(self.text, value, self.containers);
        let mut only = None;
        while let Some(member) = walk.member(self.containers) {
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
    fn take(&mut self, base: usize, at: usize, name: &str, member: Member) {
        let span = &mut self.room.spans[base + at];
        if span.kind == Kind::Absent {
            *span = member.value;
            return;
        }
        match self.options.duplicates {
            Duplicates::First => {}
            Duplicates::Last => *span = member.value,
            Duplicates::Refuse => {
                let told = format!("key `{}` is there twice", self.key_place(&member));
                let place = self.path_of(name);
                self.refusals.add_column(self.row, Code::DuplicateField, &place, told);
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

    pub(super) fn is_empty(&self, span: Span) -> bool {
        self.empty_is_null && span.is_empty(self.text)
    }

    #[cold]
    fn unreadable(&mut self, code: Code, column: &ColumnConfig, span: Span, element: bool) {
        if !element && column.unreadable_is_null() {
            let names = self.room.way.iter().map(|(name, _)| *name);
            let path: Vec<&str> = names.chain(own_name(column, element)).collect();
            self.refusals.null(self.row, path.join("."));
        } else {
            self.refuse(code, column, span, element);
        }
    }

    #[cold]
    fn refuse(&mut self, code: Code, column: &ColumnConfig, span: Span, element: bool) {
        let value =
            (!matches!(span.kind, Kind::Absent | Kind::Null)).then(|| span.content(self.text));
        let place = match own_name(column, element) {
            Some(name) => self.path_of(name),
            None => self.place(),
        };
        self.refusals.add_at(self.row, code, column, &place, value);
    }

    #[cold]
    pub(super) fn refuse_list(&mut self, span: Span) {
        let place = self.place();
        let got = shown(span.content(self.text));
        let told = format!("`{place}` is `{got}`, wanted a JSON array");
        self.refusals.add_column(self.row, Code::WrongType, &place, told);
    }

    /// The list, record or element that is read, as people are told of it: `items[3]`.
    fn place(&self) -> String {
        let step = |(name, element): &(&str, Option<u32>)| match element {
            Some(number) => format!("{name}[{number}]"),
            None => (*name).to_owned(),
        };
        self.room.way.iter().map(step).collect::<Vec<_>>().join(".")
    }

    /// What is in it.
    fn path_of(&self, key: &str) -> String {
        format!("{}.{key}", self.place())
    }

    fn key_place(&self, member: &Member) -> String {
        self.path_of(&shown(&self.text[member.key.clone()]))
    }
}

/// The name of a field that is no list or record: the way does not lead further than to what it is in.
fn own_name(column: &ColumnConfig, element: bool) -> Option<&str> {
    (column.is_flat() && !element).then_some(&*column.name)
}
