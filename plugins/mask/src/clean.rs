//! Cleans personal data out of URLs and free text: e-mail addresses become `[email]`, phone numbers
//! `[phone]`, tokens and passwords `[token]`. What counts as which is said in the module of each.
//!
//! Most values hold nothing of the kind, so each is first scanned for the few bytes without which there
//! can be nothing ([`signs`]): a value without any is not looked at again, and a column in which nothing
//! was found is handed on as it came. Tokens are found first, e-mail addresses in what is left, phone
//! numbers in what is left then.
//!
//! Hand-written scanners and no regular expressions: a fresh instance per batch would compile them anew,
//! and they would have to run over every byte of every value.

mod email;
mod param;
mod phone;
mod query;
mod signs;
mod span;
mod token;

use clickmill_plugin::{Column, Text, Values};

use crate::config::{Clean, Kind};
use signs::Signs;
use span::{Mark, Span};

/// Cleans the values of a column.
pub(crate) struct Cleaner {
    emails: bool,
    phones: bool,
    tokens: bool,
    /// The signs without which there is nothing to find.
    wanted: Signs,
    keep_params: Option<Vec<String>>,
}

/// A mark can uncover something (a phone number that kept the text before it from being an e-mail
/// address), so a changed value is cleaned again until nothing changes: mostly once, and never more
/// often than this.
const MAX_PASSES: usize = 8;

/// Memory for one value at a time, used again for the next.
#[derive(Default)]
pub(crate) struct Scratch {
    current: Vec<u8>,
    next: Vec<u8>,
    spans: Vec<Span>,
    groups: phone::Groups,
}

impl Cleaner {
    pub(crate) fn new(options: Clean) -> Self {
        let emails = options.kinds.contains(&Kind::Email);
        let phones = options.kinds.contains(&Kind::Phone);
        let tokens = options.kinds.contains(&Kind::Token);
        let mut wanted = Signs::default();
        if emails {
            wanted |= Signs::AT | Signs::ENCODED;
        }
        if phones {
            wanted |= Signs::PHONE | Signs::ASSIGN | Signs::ENCODED;
        }
        if tokens {
            wanted |= Signs::AT | Signs::ASSIGN | Signs::ENCODED | Signs::JWT | Signs::BEARER;
        }
        Self { emails, phones, tokens, wanted, keep_params: options.keep_params }
    }

    /// The column with its values cleaned.
    pub(crate) fn column(&self, mut source: Column) -> Column {
        if let Values::Texts(text) = &source.values
            && let Some(cleaned) = self.text(text)
        {
            source.values = Values::Texts(cleaned);
        }
        source
    }

    /// The texts cleaned: `None` where nothing changes.
    fn text(&self, text: &Text) -> Option<Text> {
        let mut scratch = Scratch::default();
        let mut bytes = Vec::new();
        let mut offsets = Vec::new();
        // How much of the source is in `bytes` already: the unchanged rows in between are copied at once.
        let mut copied = 0;
        // Values repeat from row to row, suspect ones that turn out to hold nothing among them.
        let mut harmless: &[u8] = &[];
        for (row, ends) in text.offsets.windows(2).enumerate() {
            let (start, end) = (ends[0] as usize, ends[1] as usize);
            let value = &text.bytes[start..end];
            if value != harmless {
                if let Some(cleaned) = self.clean(value, &mut scratch) {
                    if offsets.is_empty() {
                        offsets.reserve(text.offsets.len());
                        offsets.extend_from_slice(&text.offsets[..=row]);
                        bytes.reserve(text.bytes.len());
                    }
                    bytes.extend_from_slice(&text.bytes[copied..start]);
                    bytes.extend_from_slice(cleaned);
                    copied = end;
                } else {
                    harmless = value;
                }
            }
            if !offsets.is_empty() {
                offsets.push((bytes.len() + end - copied) as u32);
            }
        }
        if offsets.is_empty() {
            return None;
        }
        bytes.extend_from_slice(&text.bytes[copied..]);
        Some(Text { offsets, bytes })
    }

    /// The value cleaned: `None` where there is nothing to clean.
    #[inline]
    pub(crate) fn clean<'a>(&self, value: &[u8], scratch: &'a mut Scratch) -> Option<&'a [u8]> {
        let signs = signs::scan(value);
        let has_query = self.keep_params.is_some() && query::has_query(value);
        if signs.intersects(self.wanted) || has_query {
            self.clean_suspect(value, signs, scratch)
        } else {
            None
        }
    }

    fn clean_suspect<'a>(
        &self,
        value: &[u8],
        mut signs: Signs,
        scratch: &'a mut Scratch,
    ) -> Option<&'a [u8]> {
        let Scratch { current, next, spans, groups } = scratch;
        let mut changed = false;
        if let Some(keep) = &self.keep_params {
            current.clear();
            changed = query::shorten(value, keep, current);
        }
        for _ in 0..MAX_PASSES {
            let text = if changed { current.as_slice() } else { value };
            self.find(text, signs, spans, groups);
            if !replace(text, spans, next) {
                break;
            }
            std::mem::swap(current, next);
            signs = signs::scan(current);
            changed = true;
        }
        changed.then_some(current)
    }

    /// Finds what is to be replaced in a text that has these signs, or fewer.
    fn find(&self, text: &[u8], signs: Signs, spans: &mut Vec<Span>, groups: &mut phone::Groups) {
        spans.clear();
        if signs.intersects(Signs::ASSIGN | Signs::ENCODED) && (self.tokens || self.phones) {
            param::find(text, |span| {
                let wanted = if span.mark == Mark::Phone { self.phones } else { self.tokens };
                if wanted {
                    spans.push(span);
                }
            });
        }
        if self.tokens && signs.intersects(Signs::JWT | Signs::BEARER | Signs::AT) {
            token::find(text, signs, spans);
        }
        merge(spans);
        if self.emails && signs.intersects(Signs::AT | Signs::ENCODED) {
            between(text, spans, email::find);
        }
        if self.phones && signs.intersects(Signs::PHONE | Signs::ENCODED) {
            between(text, spans, |part, spans| phone::find(part, groups, spans));
        }
    }
}

/// Looks for more in what lies between the spans, as if these were replaced already.
fn between(value: &[u8], spans: &mut Vec<Span>, mut find: impl FnMut(&[u8], &mut Vec<Span>)) {
    let known = spans.len();
    let mut start = 0;
    for at in 0..=known {
        let (end, next) = match &spans[..known].get(at) {
            Some(span) => (span.start, span.end),
            None => (value.len(), value.len()),
        };
        let before = spans.len();
        find(&value[start..end], spans);
        for span in &mut spans[before..] {
            span.start += start;
            span.end += start;
        }
        start = next;
    }
    merge(spans);
}

/// Puts the spans in order and joins those that overlap.
fn merge(spans: &mut Vec<Span>) {
    spans.sort_unstable();
    spans.dedup_by(|next, span| {
        let overlap = next.start < span.end;
        if overlap {
            span.end = span.end.max(next.end);
        }
        overlap
    });
}

/// Makes `cleaned` the value with a mark in place of each span. Says whether that changes anything.
fn replace(value: &[u8], spans: &[Span], cleaned: &mut Vec<u8>) -> bool {
    if spans.is_empty() {
        return false;
    }
    cleaned.clear();
    let mut copied = 0;
    for span in spans {
        cleaned.extend_from_slice(&value[copied..span.start]);
        cleaned.extend_from_slice(span.mark.text());
        copied = span.end;
    }
    cleaned.extend_from_slice(&value[copied..]);
    // `password=[token]` was cleaned before.
    cleaned != value
}

impl Mark {
    fn text(self) -> &'static [u8] {
        match self {
            Self::Token => b"[token]",
            Self::Email => b"[email]",
            Self::Phone => b"[phone]",
        }
    }
}
