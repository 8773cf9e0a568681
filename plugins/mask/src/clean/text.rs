//! Finds what is to be replaced in a value: in each text of it where it is JSON, in what it stands for
//! where it is escaped, and so on inwards.

use super::json::{self, Scalar};
use super::kinds::Kinds;
use super::names::Holds;
use super::signs::{self, Signs};
use super::span::{Mark, Span, merge};
use super::view::{Decoded, View};
use super::{address, api_key, card, email, escape, iban, param, phone, token, value, wrapped};
use crate::config::Kind;

/// How many writings one lies in another that are looked through: JSON in a parameter in JSON has five, and
/// nobody has more. It bounds the time.
const MAX_LAYERS: usize = 8;

/// What is to be replaced, and memory that is used again for the next value.
#[derive(Default)]
pub(super) struct Found {
    /// Parts of the value, in order and apart.
    pub spans: Vec<Span>,
    in_text: Vec<Span>,
    groups: phone::Groups,
    spare: Vec<Decoded>,
}

/// Looks for some kinds of data.
pub(super) struct Finder {
    kinds: Kinds,
    /// The signs without which there is nothing to find.
    wanted: Signs,
    /// Whether there may be something without any sign: keys are found by how they begin.
    always: bool,
}

impl Finder {
    pub(super) fn new(kinds: Kinds) -> Self {
        let mut wanted = if kinds.is_empty() { Signs::default() } else { Signs::ENCODED };
        if kinds.contain(Kind::Email) {
            wanted |= Signs::AT;
        }
        if kinds.contain(Kind::Phone) {
            wanted |= Signs::PHONE | Signs::ASSIGN;
        }
        if kinds.contain(Kind::Token) {
            wanted |= Signs::AT | Signs::ASSIGN | Signs::JWT | Signs::BEARER;
        }
        if kinds.any_of(&[Kind::Ip, Kind::Iban, Kind::Card]) {
            wanted |= Signs::DIGIT;
        }
        Self { kinds, wanted, always: kinds.contain(Kind::ApiKey) }
    }

    /// Whether a text with these signs may hold something.
    #[inline]
    pub(super) fn suspects(&self, signs: Signs) -> bool {
        self.always || signs.intersects(self.wanted)
    }

    /// Finds all that is to be replaced in a value with these signs, or fewer.
    pub(super) fn find(&self, value: &[u8], signs: Signs, found: &mut Found) {
        found.spans.clear();
        if self.suspects(signs) {
            self.find_suspect(View::of(value), signs, MAX_LAYERS, found);
        }
        merge(&mut found.spans);
    }

    fn find_within(&self, text: View<'_>, layers: usize, found: &mut Found) {
        let signs = signs::scan(text.bytes());
        if self.suspects(signs) {
            self.find_suspect(text, signs, layers, found);
        }
    }

    fn find_suspect(&self, text: View<'_>, signs: Signs, layers: usize, found: &mut Found) {
        if layers > 0 && json::may_be(text.bytes()) {
            let known = found.spans.len();
            let act = |scalar| self.find_in_scalar(text, scalar, layers - 1, found);
            if json::walk(text.bytes(), act).is_some() {
                return;
            }
            found.spans.truncate(known);
        }
        if layers > 0 && self.matter_escapes(signs) {
            let mut decoded = found.spare.pop().unwrap_or_default();
            let has_escapes = escape::decode(text, &mut decoded);
            if has_escapes {
                self.find_within(decoded.view(), layers - 1, found);
            }
            found.spare.push(decoded);
            if has_escapes {
                return;
            }
        }
        self.find_plain(text, signs, found);
    }

    /// Whether something may be missed in a text with these signs if its escapes are not decoded. Those
    /// that do not tell are no part of a name, nor do they end a value.
    fn matter_escapes(&self, signs: Signs) -> bool {
        signs.intersects(Signs::ENCODED)
            || signs.intersects(Signs::ESCAPE)
                && (self.always || signs.intersects(self.wanted.except(Signs::ASSIGN)))
    }

    fn find_in_scalar(&self, json: View<'_>, scalar: Scalar, layers: usize, found: &mut Found) {
        let raw = json.slice(scalar.start..scalar.end);
        if !scalar.is_text {
            let known = found.spans.len();
            self.find_within(raw, 0, found);
            let is_named =
                |holds| self.wants_named(holds) && value::is_number_of(raw.bytes(), holds);
            if found.spans.len() > known || scalar.holds.is_some_and(is_named) {
                let (start, end) = (raw.source(0), raw.source(raw.bytes().len()));
                found.spans.truncate(known);
                found.spans.push(Span { start, end, mark: Mark::Null });
            }
            return;
        }
        if !raw.bytes().contains(&b'\\') {
            return self.find_in_text(raw, scalar.holds, layers, found);
        }
        let mut decoded = found.spare.pop().unwrap_or_default();
        json::decode(raw, &mut decoded);
        self.find_in_text(decoded.view(), scalar.holds, layers, found);
        found.spare.push(decoded);
    }

    /// Finds what is to be replaced in a text of JSON, of which the key may have told what it holds.
    fn find_in_text(&self, text: View<'_>, holds: Option<Holds>, layers: usize, found: &mut Found) {
        match holds.filter(|holds| self.wants_named(*holds)) {
            Some(holds) if holds.is_password() && value::is_password(text.bytes(), holds) => {
                let (start, end) = (text.source(0), text.source(text.bytes().len()));
                found.spans.push(Span { start, end, mark: Mark::Token });
                return;
            }
            Some(holds) if !holds.is_password() => self.find_named(text, holds, layers, found),
            _ => {}
        }
        if holds == Some(Holds::Version) {
            Self::new(self.kinds.without(Kind::Ip)).find_within(text, layers, found);
        } else {
            self.find_within(text, layers, found);
        }
    }

    fn wants_named(&self, holds: Holds) -> bool {
        holds.mark().is_some_and(|mark| self.kinds.contain_named(mark))
    }

    /// Finds what a text without escapes begins with, given what its name says.
    fn find_named(&self, text: View<'_>, holds: Holds, layers: usize, found: &mut Found) {
        let mut decoded = found.spare.pop().unwrap_or_default();
        if layers > 0 && escape::decode(text, &mut decoded) {
            self.find_named(decoded.view(), holds, layers - 1, found);
        } else {
            let quote = wrapped::quote(text, 0, false).filter(|quote| *quote > 0);
            let start = quote.map_or(0, |quote| quote + 1);
            let length = value::length(text.rest(start), holds, 0);
            if let Some(mark) = holds.mark()
                && length > 0
            {
                let (start, end) = (text.source(start), text.source(start + length));
                found.spans.push(Span { start, end, mark });
            }
        }
        found.spare.push(decoded);
    }

    /// Finds all in a text that is neither JSON nor escaped.
    fn find_plain(&self, text: View<'_>, signs: Signs, found: &mut Found) {
        let Found { spans: all, in_text: spans, groups, .. } = found;
        let wants = |kind| self.kinds.contain(kind);
        spans.clear();
        if signs.intersects(Signs::ASSIGN) && (wants(Kind::Token) || wants(Kind::Phone)) {
            param::find(text, |announced, span| {
                if self.kinds.contain_named(announced) {
                    spans.push(span);
                }
            });
        }
        if wants(Kind::Token) && signs.intersects(Signs::JWT | Signs::BEARER | Signs::AT) {
            token::find(text, signs, spans);
        }
        if wants(Kind::ApiKey) {
            api_key::find(text.bytes(), spans);
        }
        merge(spans);
        if wants(Kind::Email) && signs.intersects(Signs::AT) {
            between(text, spans, email::find);
        }
        if wants(Kind::Iban) && signs.intersects(Signs::DIGIT) {
            between(text, spans, |part, spans| iban::find(part.bytes(), spans));
        }
        if wants(Kind::Card) && signs.intersects(Signs::DIGIT) {
            between(text, spans, |part, spans| card::find(part.bytes(), spans));
        }
        if wants(Kind::Phone) && signs.intersects(Signs::PHONE) {
            let before = spans.clone();
            between(text, spans, |part, spans| phone::find(part, groups, spans));
            if *spans != before {
                *spans = before;
                between(text, spans, |part, spans| kept(part.bytes(), spans));
                between(text, spans, |part, spans| phone::find(part, groups, spans));
            }
        }
        if wants(Kind::Ip) && signs.intersects(Signs::DIGIT) {
            between(text, spans, |part, spans| address::find(part.bytes(), spans));
        }
        spans.retain(|span| span.mark != Mark::Kept);
        let source = |span: &Span| Span {
            start: text.source(span.start),
            end: text.source(span.end),
            mark: span.mark,
        };
        all.extend(spans.iter().map(source));
    }
}

/// Finds the numbers of accounts and of cards that are grouped as no phone number is: where they are not
/// to be cleaned, a group of theirs is no phone number.
fn kept(text: &[u8], spans: &mut Vec<Span>) {
    let known = spans.len();
    card::find(text, spans);
    let mut kept = known;
    for at in known..spans.len() {
        let span = spans[at];
        let number = &text[span.start..span.end];
        let digits = number.iter().filter(|b| b.is_ascii_digit()).count();
        if digits < number.len() && (digits > 15 || !text[..span.start].ends_with(b"+")) {
            spans[kept] = span;
            kept += 1;
        }
    }
    spans.truncate(kept);
    iban::find(text, spans);
    spans[known..].iter_mut().for_each(|span| span.mark = Mark::Kept);
}

/// Looks for more in what lies between the spans, as if these were replaced already.
fn between(text: View<'_>, spans: &mut Vec<Span>, mut find: impl FnMut(View<'_>, &mut Vec<Span>)) {
    let known = spans.len();
    let mut start = 0;
    for at in 0..=known {
        let (end, next) = match &spans[..known].get(at) {
            Some(span) => (span.start, span.end),
            None => (text.bytes().len(), text.bytes().len()),
        };
        let before = spans.len();
        find(text.slice(start..end), spans);
        for span in &mut spans[before..] {
            span.start += start;
            span.end += start;
        }
        start = next;
    }
    merge(spans);
}
