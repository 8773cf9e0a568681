//! The values of a sensitive column, and where they are found.

use std::net::IpAddr;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::{max, min};
use arrow::datatypes::Int64Type;
use memchr::memchr;
use regex::Regex;

use super::super::search::Known;
use super::super::spelling::{Spellings, Stands, cases};
use super::super::text::{Joined, Text};
use clickmill_core::columns::is_text;
use clickmill_core::leaves::Leaf;
use clickmill_core::path::Path;
use clickmill_core::words::{has_digits, is_plain};

/// Shorter values stand in other texts by chance.
const LEAST_BYTES: usize = 6;
/// Shorter ones are other texts by chance.
const LEAST_BYTES_ALONE: usize = 4;

/// A column that is looked at.
#[derive(Debug, Clone)]
pub(super) struct Guarded {
    /// Its path.
    pub(super) name: String,
    pub(super) path: Path,
    /// The form of values that may stay as they are.
    pub(super) form: Option<Regex>,
    /// Networks of addresses may.
    pub(super) networks: bool,
}

/// What is found in a row: where, and the sensitive column of which it is.
pub(super) struct Found<'a> {
    pub(super) at: &'a str,
    pub(super) of: &'a str,
    /// Not found, but not looked for either: there are too many values.
    pub(super) is_unknown: bool,
}

/// A column's raw values.
pub(super) struct Raw<'a> {
    pub(super) guarded: &'a Guarded,
    pub(super) leaf: Leaf,
    pub(super) values: StringArray,
}

impl Guarded {
    /// Whether a value may stay as it came in.
    pub(super) fn allows(&self, value: &str) -> bool {
        self.form.as_ref().is_some_and(|form| form.is_match(value))
            || (self.networks && is_network(value))
    }
}

impl<'a> Raw<'a> {
    /// The values of a row.
    pub(super) fn of_row(&self, row: usize) -> impl Iterator<Item = &str> {
        let there = self.leaf.of_row(row).filter(|at| self.values.is_valid(*at));
        there.map(|at| self.values.value(at))
    }

    /// Finds a value of a row that is as it came in, and returns whether that is unknown.
    pub(super) fn came_in(&self, row: usize, record: &Spellings<'_>) -> Option<bool> {
        // A short number, such as an age, is in the record by chance.
        let is_text = is_text(self.leaf.values.data_type());
        let least = if is_text { 1 } else { LEAST_BYTES };
        self.of_row(row).filter(|value| value.len() >= least).find_map(|value| {
            if record.were_many() && self.guarded.allows(value) {
                return None;
            }
            match record.hold(value) {
                Stands::Nowhere => None,
                Stands::Here => (!self.guarded.allows(value)).then_some(false),
                Stands::Unknown => Some(true),
            }
        })
    }

    /// Finds a raw value of a row in one of its texts.
    pub(super) fn find(
        &self,
        row: usize,
        texts: &[Text<'a>],
        joined: &mut Joined,
    ) -> Option<Found<'a>> {
        self.of_row(row).find_map(|value| self.find_value(row, value.trim(), texts, joined))
    }

    fn find_value(
        &self,
        row: usize,
        value: &str,
        texts: &[Text<'a>],
        joined: &mut Joined,
    ) -> Option<Found<'a>> {
        let is_short = value.len() < LEAST_BYTES;
        let is_chance =
            value.len() < LEAST_BYTES_ALONE || value.bytes().all(|byte| byte.is_ascii_digit());
        if is_short && is_chance {
            return None;
        }
        joined.fill(texts, row);
        let has_digits = has_digits(value.as_bytes());
        // As a form writes it into a URL.
        let of_form = memchr(b' ', value.as_bytes()).map(|_| value.replace(' ', "+"));
        let both = [value, of_form.as_deref().unwrap_or_default()];
        let mut spelled = if of_form.is_some() { &both[..] } else { &both[..1] };
        let cases: Vec<String> = spelled.iter().flat_map(|value| cases(value)).collect();
        let all: Vec<&str>;
        if !cases.is_empty() {
            all = spelled.iter().copied().chain(cases.iter().map(String::as_str)).collect();
            spelled = &all;
        }
        let guarded = self.guarded;
        let form = guarded.form.as_ref();
        let may_stay = || is_of_nobody(value) || form.is_some_and(|form| form.is_match(value));
        if joined.search.are_many() && may_stay() {
            return None;
        }
        let is_plain = is_plain(value);
        // A mere word is looked for in its own column.
        let of_column =
            (is_plain && joined.search.are_many()).then(|| format!("{}\0{value}", guarded.name));
        let key = of_column.as_deref().unwrap_or(value);
        match joined.known(key, spelled, texts, row) {
            Known::Absent => return None,
            Known::TooMany => {
                let name = guarded.name.as_str();
                return Some(Found { at: name, of: name, is_unknown: true });
            }
            Known::Unknown => {}
        }
        let may_be_there =
            !has_digits || is_short || spelled.iter().any(|value| joined.may_hold(value));
        let found = texts.iter().filter(|_| may_be_there).find(|text| {
            (!has_digits || text.has_digits)
                && (!is_plain || text.name == guarded.name)
                && if is_short { text.is(row, value) } else { text.holds(row, spelled) }
        });
        let Some(text) = found else {
            joined.search.was_absent(key);
            return None;
        };
        (!may_stay()).then_some(Found { at: text.name, of: &guarded.name, is_unknown: false })
    }
}

/// Whether all values are numbers of so few digits that each stands in other texts by chance: they are looked for
/// nowhere.
pub(super) fn are_short_numbers(values: &ArrayRef) -> bool {
    const FIRST_LONG: i64 = 10_i64.pow(LEAST_BYTES as u32 - 1);
    let numbers = values.as_primitive_opt::<Int64Type>();
    let ends = numbers.and_then(|numbers| Some((min(numbers)?, max(numbers)?)));
    ends.is_some_and(|(least, greatest)| least >= 0 && greatest < FIRST_LONG)
}

/// Whether a text is an address of which the part that tells people apart is zero: the last byte of IPv4,
/// the last ten of IPv6.
fn is_network(text: &str) -> bool {
    match text.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V4(address)) => address.octets()[3] == 0,
        // 6to4 has a whole IPv4 address in the first six: masked, it is that address's network.
        Ok(IpAddr::V6(address)) => {
            address.segments()[0] != 0x2002 && address.segments()[3..] == [0; 5]
        }
        Err(_) => false,
    }
}

/// Whether a text tells nobody apart: the address of a network or the machine's own, or an identifier of one sign, as
/// `00000000-0000-0000-0000-000000000000` is of a device that gives none.
fn is_of_nobody(text: &str) -> bool {
    is_network(text)
        || text.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
        || is_of_one_sign(text)
}

fn is_of_one_sign(text: &str) -> bool {
    let mut signs = text.bytes().filter(|byte| *byte != b'-');
    let first = signs.next();
    first.is_some_and(|first| first.is_ascii_hexdigit() && signs.all(|sign| sign == first))
}
