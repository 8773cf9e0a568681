//! Maps: objects whose keys are values, such as days or numbers of products, and name no columns.

use std::collections::BTreeSet;

use crate::form;
use crate::node::Node;
use crate::personal;

/// Keys that each object has few of are values, such as numbers of products, and their object a map.
const MAP_KEYS: usize = 24;

/// Whether the objects of a place within records are maps.
pub(crate) fn is_map(node: &Node) -> bool {
    let there: u64 = node.fields.iter().map(|(_, field)| field.values).sum();
    let differ =
        node.fields.len() > MAP_KEYS && there * 4 < node.objects * node.fields.len() as u64;
    let values = node.fields.iter().filter(|(key, _)| is_value(key)).count();
    differ || values > 1 && values * 2 > node.fields.len()
}

/// The keys of whole records that are those of a map. Names may be beside them: those of a map are values, or many
/// of which each record has few. So are names of what only some records have, but their values are not all numbers,
/// nor have they digits in them.
pub(crate) fn keys(node: &Node) -> BTreeSet<&str> {
    let all = || node.fields.iter().filter(|(key, _)| !personal::is_in_key(key));
    let mut keys: BTreeSet<&str> =
        all().filter(|(key, _)| is_value(key)).map(|(key, _)| key.as_str()).collect();
    if keys.len() == 1 {
        keys.clear();
    }
    let is_rare = |field: &Node| field.values > 0 && field.values * 4 < node.objects;
    let rare: Vec<_> = all().filter(|(_, field)| is_rare(field)).collect();
    let has_digit = |key: &str| key.bytes().any(|byte| byte.is_ascii_digit());
    let numbered = rare.iter().filter(|(key, _)| has_digit(key)).count();
    let are_numbers = || rare.iter().all(|(_, field)| field.kinds() == [false, true, false, false]);
    let are_alike = || rare.iter().all(|(_, field)| field.kinds() == rare[0].1.kinds());
    if rare.len() > MAP_KEYS && (are_numbers() || numbered * 2 > rare.len() && are_alike()) {
        keys.extend(rare.iter().map(|(key, _)| key.as_str()));
    }
    keys
}

/// Whether something is personal by its name in what keys of a map hold, or by the key's own.
pub(crate) fn names_personal(node: &Node, keys: &BTreeSet<&str>) -> bool {
    let is_named = |(key, field): &(String, Node)| {
        keys.contains(key.as_str()) && field.is_named_personal(&[], key)
    };
    node.fields.iter().any(is_named)
}

/// Whether a key is no name but a value: a day, a time, or the hex of an identifier. Years and other numbers may well
/// name columns.
fn is_value(key: &str) -> bool {
    const LEAST_DIGITS: usize = 5;
    const LEAST_HEX: usize = 16;
    let count = |is: fn(&u8) -> bool| key.bytes().filter(is).count();
    let (digits, hex) = (count(u8::is_ascii_digit), count(u8::is_ascii_hexdigit));
    let is_of_moment = |byte: u8| byte.is_ascii_digit() || b"-/.:_ TWZ+".contains(&byte);
    let is_moment = digits >= LEAST_DIGITS && digits < key.len() && key.bytes().all(is_of_moment);
    let is_hex = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
    let is_identifier = hex >= LEAST_HEX && (1..hex).contains(&digits) && key.bytes().all(is_hex);
    is_moment || is_identifier || form::is_compact_date(key)
}

#[cfg(test)]
mod tests {
    use super::is_value;

    #[test]
    fn values_are_told_from_names() {
        for key in [
            "2026-01-05",
            "2026-01",
            "20260105",
            "2026-01-05T10:00:00Z",
            "05/01/2026 10:00",
            "0f8fad5b-d9cb-469f-a165-70867728950e",
            "507f1f77bcf86cd799439011",
        ] {
            assert!(is_value(key), "{key}");
        }
        for key in [
            "2026",
            "47110815",
            "00012",
            "0",
            "1",
            "metrics",
            "utm_source",
            "sku-4711",
            "deadbeef",
            "",
            "T",
            "v1.2",
        ] {
            assert!(!is_value(key), "{key}");
        }
    }
}
