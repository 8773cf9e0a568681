//! Cleans personal data out of URLs, JSON and free text: e-mail addresses become `[email]`, phone numbers
//! `[phone]`, tokens and passwords `[token]`, and so on. What counts as which is said in the module of each.
//!
//! A value is cleaned for what it means: the finders see it decoded ([`escape`], [`json`]), and replaced is
//! what is written there ([`view`]). So all else stays byte for byte, and what was JSON is JSON.
//!
//! Most values hold nothing of the kind, so each is first scanned for the few bytes without which there
//! can be nothing ([`signs`]): a value without any is not looked at again, and a column in which nothing
//! was found is handed on as it came. Tokens are found first, e-mail addresses in what is left, numbers in
//! what is left then.
//!
//! Hand-written scanners and no regular expressions: a fresh instance per batch would compile them anew,
//! and they would have to run over every byte of every value.

mod address;
mod api_key;
mod assigned;
mod card;
mod element;
mod email;
mod escape;
mod form;
mod iban;
mod json;
mod kinds;
mod names;
mod pair;
mod param;
mod phone;
mod query;
mod signs;
mod span;
mod text;
mod token;
mod value;
mod view;
mod wrapped;

use clickmill_plugin::{Column, Text, Values, same};

use crate::config::Clean;
use kinds::Kinds;
use signs::Signs;
use text::{Finder, Found};

/// Cleans the values of a column.
pub(crate) struct Cleaner {
    finder: Finder,
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
    found: Found,
}

impl Cleaner {
    pub(crate) fn new(options: Clean) -> Self {
        let finder = Finder::new(Kinds::of(&options.kinds));
        Self { finder, keep_params: options.keep_params }
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
            if !same(value, harmless) {
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
        let has_query = self.keep_params.is_some() && query::has_query(value);
        let signs = signs::scan(value);
        if has_query || self.finder.suspects(signs) {
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
        let Scratch { current, next, found } = scratch;
        let mut changed = false;
        if let Some(keep) = &self.keep_params {
            current.clear();
            changed = query::shorten(value, keep, current);
        }
        for _ in 0..MAX_PASSES {
            let text = if changed { current.as_slice() } else { value };
            self.finder.find(text, signs, found);
            if !span::replace(text, &found.spans, next) {
                break;
            }
            std::mem::swap(current, next);
            signs = signs::scan(current);
            changed = true;
        }
        changed.then_some(current)
    }
}
