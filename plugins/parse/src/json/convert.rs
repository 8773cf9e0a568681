//! The values of a block of scanned messages to one column.

use clickmill_plugin::{Decimal, Texts};

use super::scan::Scanner;
use super::value::{Kind, Span, unescape};
use crate::config::{ColumnConfig, ColumnType};
use crate::number;
use crate::rejection::{Code, Refusals};
use crate::time;
use crate::typed::{Builder, base64, boolean};

/// A block of messages that were scanned.
pub(super) struct Block<'a> {
    pub(super) scanner: &'a Scanner<'a>,
    /// What the spans are positions in.
    pub(super) text: &'a [u8],
    /// The row of the first message.
    pub(super) first: usize,
    /// How many messages there are.
    pub(super) len: usize,
    /// Whether an empty text is null.
    pub(super) empty_is_null: bool,
}

impl Block<'_> {
    /// Adds a value per message to the column, null where it is missing or does not fit.
    pub(super) fn convert(
        &self,
        column: &ColumnConfig,
        node: u16,
        builder: &mut Builder,
        scratch: &mut Vec<u8>,
        refusals: &mut Refusals,
    ) {
        let to = To { block: self, column, node };
        match builder {
            Builder::Texts(texts) => to.texts(texts, refusals),
            Builder::Booleans(rows) => {
                rows.extend(to.read(scratch, refusals, |text| boolean(text, column)));
            }
            Builder::Int64s(rows) => rows.extend(to.read(scratch, refusals, |text| {
                number::int64(text).or_else(|| number::integral(text))
            })),
            Builder::Float64s(rows) => rows.extend(to.read(scratch, refusals, number::float64)),
            Builder::Dates(rows) => rows.extend(to.read(scratch, refusals, time::date)),
            Builder::Timestamps(rows) => rows.extend(to.read(scratch, refusals, time::timestamp)),
            Builder::Decimals(rows) => rows.extend(to.read(scratch, refusals, Decimal::parse)),
            Builder::Times(rows) => rows.extend(to.read(scratch, refusals, time::time)),
            Builder::Datetimes(rows) => rows.extend(to.read(scratch, refusals, time::datetime)),
            Builder::Jsons(texts) => to.jsons(texts, refusals),
            Builder::Blobs(texts) => {
                let bytes = |text: &[u8]| {
                    let mut bytes = Vec::new();
                    (!text.is_empty() && base64(text, &mut bytes)).then_some(bytes)
                };
                to.read(scratch, refusals, bytes).for_each(|value| texts.push_option(value));
            }
        }
    }
}

struct To<'a> {
    block: &'a Block<'a>,
    column: &'a ColumnConfig,
    node: u16,
}

impl To<'_> {
    #[inline]
    fn values(&self) -> impl Iterator<Item = (usize, &Span)> {
        self.block.scanner.values(self.node)[..self.block.len].iter().enumerate()
    }

    fn texts(&self, texts: &mut Texts, refusals: &mut Refusals) {
        for (slot, value) in self.values() {
            let content = value.content(self.block.text);
            match value.kind {
                Kind::Absent | Kind::Null | Kind::Misplaced => {
                    self.missing(slot, value, refusals);
                    texts.push_null();
                    continue;
                }
                Kind::Escaped => unescape(content, texts.buffer()),
                _ => {
                    if content.is_empty() {
                        if self.column.required {
                            self.refuse(slot, Code::Required, value, refusals);
                        }
                        if self.block.empty_is_null {
                            texts.push_null();
                            continue;
                        }
                    }
                    copy(content, value, self.block.text, texts.buffer());
                }
            }
            texts.end_row();
        }
    }

    fn jsons(&self, texts: &mut Texts, refusals: &mut Refusals) {
        for (slot, value) in self.values() {
            let is_empty = self.block.empty_is_null && self.is_empty(value);
            if is_empty || matches!(value.kind, Kind::Absent | Kind::Null | Kind::Misplaced) {
                self.missing(slot, value, refusals);
                texts.push_null();
            } else {
                texts.push(value.spelled(self.block.text));
            }
        }
    }

    #[inline]
    fn read<T>(
        &self,
        scratch: &mut Vec<u8>,
        refusals: &mut Refusals,
        read: impl Fn(&[u8]) -> Option<T>,
    ) -> impl Iterator<Item = Option<T>> {
        self.values().map(move |(slot, span)| {
            let content = span.content(self.block.text);
            let value = match span.kind {
                Kind::Absent | Kind::Null | Kind::Misplaced => {
                    self.missing(slot, span, refusals);
                    return None;
                }
                // Words are read too: booleans are spelled so.
                Kind::String | Kind::Integer | Kind::Decimal | Kind::True | Kind::False => {
                    read(content)
                }
                Kind::Escaped => {
                    scratch.clear();
                    unescape(content, scratch);
                    read(scratch)
                }
                Kind::Object | Kind::Array => None,
            };
            if value.is_none() {
                self.unlike(slot, span, refusals);
            }
            value
        })
    }

    #[inline]
    fn missing(&self, slot: usize, value: &Span, refusals: &mut Refusals) {
        // From around the array it comes told already; else the scanner knows.
        let found = match value.kind {
            Kind::Absent => self.block.scanner.value_of(self.node, slot),
            _ => *value,
        };
        if found.kind == Kind::Misplaced && !(self.block.empty_is_null && self.is_empty(&found)) {
            self.unreadable(slot, Code::WrongType, &found, refusals);
        } else if self.column.required {
            self.refuse(slot, Code::Required, value, refusals);
        }
    }

    #[cold]
    fn unlike(&self, slot: usize, value: &Span, refusals: &mut Refusals) {
        let code = match value.kind {
            Kind::True | Kind::False if self.column.column_type != ColumnType::Boolean => {
                Code::WrongType
            }
            Kind::Object | Kind::Array => Code::WrongType,
            Kind::String if self.is_empty(value) && self.column.required => {
                return self.refuse(slot, Code::Required, value, refusals);
            }
            Kind::String if self.is_empty(value) && self.block.empty_is_null => return,
            _ => Code::unlike(self.column.column_type),
        };
        self.unreadable(slot, code, value, refusals);
    }

    /// Whether it is an empty text.
    fn is_empty(&self, value: &Span) -> bool {
        value.is_empty(self.block.text)
    }

    #[cold]
    fn unreadable(&self, slot: usize, code: Code, value: &Span, refusals: &mut Refusals) {
        let text = Some(value.content(self.block.text));
        refusals.add_unreadable(self.block.first + slot, code, self.column, text);
    }

    #[cold]
    fn refuse(&self, slot: usize, code: Code, value: &Span, refusals: &mut Refusals) {
        let text = (value.kind != Kind::Absent).then(|| value.content(self.block.text));
        refusals.add_value(self.block.first + slot, code, self.column, text);
    }
}

/// Adds the content of a value to a buffer. Most are short, and copying a fixed length and cutting it is
/// cheaper than a call of `memcpy`, in Wasm above all.
#[inline]
fn copy(content: &[u8], value: &Span, text: &[u8], out: &mut Vec<u8>) {
    const SHORT: usize = 32;
    match text.get(value.content_start()..).and_then(<[u8]>::first_chunk::<SHORT>) {
        Some(chunk) if content.len() <= SHORT => {
            let len = out.len() + content.len();
            out.extend_from_slice(chunk);
            out.truncate(len);
        }
        _ => out.extend_from_slice(content),
    }
}
