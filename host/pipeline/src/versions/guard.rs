//! What masking promises, checked by the host: no value of a sensitive column reaches the table as it
//! came in. Columns with policy tags in the table's schema are sensitive.
//!
//! A value came in as it is where it stands in the record's original bytes as a word of its own, plainly
//! or with the escapes of JSON and CSV. Its row is stopped: it becomes a dead letter, which names the
//! column and not the value.
//!
//! The network of an address, such as `192.0.2.0`, is what masking makes of all addresses in it, so it
//! may well stand in the record too: the address may have come masked, and a browser's version looks the
//! same. It tells nobody apart, and passes: in a column that a stage has written after the one from which
//! it is, or nobody has said that its values are addresses.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

use arrow::array::{Array, AsArray, BooleanArray};
use arrow::buffer::BooleanBuffer;
use arrow::error::ArrowError;
use memchr::memmem;
use regex::Regex;

use clickmill_config as config;
use clickmill_core::batch::{Batch, Reason, Rejected, Rejector};
use clickmill_core::schema::TableSchema;
use clickmill_core::{Digest, stage};

/// Why rows are stopped.
pub(crate) const CODE: &str = "unmasked";

/// The columns that are looked at.
#[derive(Debug, Clone, Default)]
pub(crate) struct Guard {
    columns: Vec<Guarded>,
}

/// A column that is looked at.
#[derive(Debug, Clone)]
struct Guarded {
    name: String,
    /// The form of values that may stay as they are.
    form: Option<Regex>,
    /// Networks of addresses may.
    networks: bool,
}

impl Guard {
    /// A guard of a table's sensitive columns.
    pub(crate) fn of(schema: &TableSchema, config: &config::Guard) -> Self {
        if config.off {
            return Self::default();
        }
        let sensitive = schema.columns.iter().filter(|column| column.is_sensitive());
        let columns = sensitive.map(|column| {
            let form = config.allow.iter().find(|(name, _)| *name == column.name);
            let form = form.map(|(_, form)| form.clone());
            Guarded { name: column.name.clone(), form, networks: false }
        });
        Self { columns: columns.collect() }
    }

    /// The guard of a chain, of which `writes` are the columns that each stage writes.
    pub(crate) fn over<'a>(&self, writes: impl Iterator<Item = &'a str>) -> Self {
        let mut guard = self.clone();
        let mut written: BTreeMap<&str, usize> = BTreeMap::new();
        for name in writes {
            *written.entry(name).or_default() += 1;
        }
        for column in &mut guard.columns {
            column.networks = written.get(column.name.as_str()).is_some_and(|stages| *stages > 1);
        }
        guard
    }

    /// The names of the columns.
    pub(crate) fn columns(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| column.name.as_str())
    }

    /// Takes out the rows of which a sensitive value is as it came in.
    pub(crate) fn stop(
        &self,
        batch: Batch,
        plugin_set: &Digest,
    ) -> Result<(Batch, Vec<Rejected>), ArrowError> {
        let mut found: BTreeMap<usize, &str> = BTreeMap::new();
        for guarded in &self.columns {
            let Some(column) = batch.columns.column_by_name(&guarded.name) else { continue };
            let Some(values) = column.as_string_opt::<i32>() else { continue };
            for row in (0..values.len()).filter(|row| values.is_valid(*row)) {
                let value = values.value(row);
                let payload = &batch.origins.block[batch.origins.ranges[row].clone()];
                if came_in(value, payload) && !guarded.allows(value) {
                    found.entry(row).or_insert(&guarded.name);
                }
            }
        }
        if found.is_empty() {
            return Ok((batch, Vec::new()));
        }
        let by = Rejector::host(stage::GUARD, plugin_set, batch.ingest_time);
        let stopped = found.iter().map(|(row, column)| {
            let reason = Reason {
                code: CODE.to_owned(),
                message: format!("`{column}` is sensitive, and leaves the plugins as it came in"),
                column: Some((*column).to_owned()),
            };
            batch.origins.reject(*row, &by, reason)
        });
        let stopped = stopped.collect();
        let keep = (0..batch.rows()).map(|row| !found.contains_key(&row));
        let keep = BooleanArray::new(keep.collect::<BooleanBuffer>(), None);
        Ok((batch.keep(&keep)?, stopped))
    }
}

impl Guarded {
    /// Whether a value may stay as it came in.
    fn allows(&self, value: &str) -> bool {
        self.form.as_ref().is_some_and(|form| form.is_match(value))
            || (self.networks && is_network(value))
    }
}

/// Whether a text is an address of which the part that tells people apart is zero: the last byte of IPv4,
/// the last ten of IPv6.
fn is_network(text: &str) -> bool {
    match text.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V4(address)) => address.octets()[3] == 0,
        Ok(IpAddr::V6(address)) => address.segments()[3..] == [0; 5],
        Err(_) => false,
    }
}

/// Whether a value stands in a record as a word of its own, in any spelling that decoders resolve.
fn came_in(value: &str, record: &[u8]) -> bool {
    stands(value.as_bytes(), record)
        || (value.contains('"') && stands(value.replace('"', "\"\"").as_bytes(), record))
        || match unescaped(record) {
            Cow::Owned(record) => stands(value.as_bytes(), &record),
            Cow::Borrowed(_) => false,
        }
}

/// The record with what a backslash stands before resolved, as in JSON.
fn unescaped(record: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\\', record).is_none() {
        return Cow::Borrowed(record);
    }
    let mut text = Vec::with_capacity(record.len());
    // The halves of a character beyond 16 bits come one after the other.
    let mut units: Vec<u16> = Vec::new();
    let mut rest = record;
    loop {
        if let [b'\\', b'u', hex @ ..] = rest
            && let Some(unit) = hex.first_chunk().and_then(unit)
        {
            units.push(unit);
            rest = &hex[4..];
            continue;
        }
        for character in char::decode_utf16(units.drain(..)) {
            let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
            text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
        let (byte, length) = match *rest {
            [] => return Cow::Owned(text),
            [b'\\', b'n', ..] => (b'\n', 2),
            [b'\\', b'r', ..] => (b'\r', 2),
            [b'\\', b't', ..] => (b'\t', 2),
            [b'\\', b'b', ..] => (8, 2),
            [b'\\', b'f', ..] => (12, 2),
            [b'\\', byte, ..] => (byte, 2),
            [byte, ..] => (byte, 1),
        };
        text.push(byte);
        rest = &rest[length..];
    }
}

fn unit(digits: &[u8; 4]) -> Option<u16> {
    digits.iter().try_fold(0, |unit, digit| {
        Some(unit << 4 | u16::try_from(char::from(*digit).to_digit(16)?).ok()?)
    })
}

/// Whether a value stands in a text as a word of its own.
fn stands(value: &[u8], text: &[u8]) -> bool {
    if value.is_empty() {
        return false;
    }
    let is_word = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    memmem::find_iter(text, value).any(|at| {
        let before = at.checked_sub(1).and_then(|before| text.get(before));
        !is_word(before) && !is_word(text.get(at + value.len()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_came_in_where_it_is_a_word_of_the_record() {
        let record = br#"{"user_id":"u-4711","ip":"192.0.2.77"}"#;
        for (value, wanted) in [
            ("u-4711", true),
            ("192.0.2.77", true),
            ("192.0.2.7", false),
            ("u-471", false),
            ("192.0.2.0", false),
            ("", false),
            ("4711", true),
        ] {
            assert_eq!(came_in(value, record), wanted, "{value}");
        }
        assert!(came_in("u-4711", b"u-4711"));
    }

    #[test]
    fn a_value_came_in_however_it_was_spelled() {
        for (value, record) in [
            ("zoë-4711", r#"{"user_id":"zo\u00EB-4711"}"#),
            ("u-😀-1", r#"{"user_id":"u-\ud83d\ude00-1"}"#),
            ("u-1", r#"{"user_id":"\u0075\u002d\u0031"}"#),
            ("a/b\"c\\d", r#"{"user_id":"a\/b\"c\\d"}"#),
            ("two\nlines", r#"{"user_id":"two\nlines"}"#),
            ("say \"x\"", r#"1,"say ""x""",2"#),
        ] {
            assert!(came_in(value, record.as_bytes()), "{value}");
        }
        for (value, record) in [
            ("u-1", r#"{"user_id":"u-\u0031\u0032"}"#),
            ("ab", r#"{"user_id":"a\u00zzb"}"#),
            ("x", r#"{"user_id":"\"#),
        ] {
            assert!(!came_in(value, record.as_bytes()), "{value}");
        }
    }

    #[test]
    fn networks_pass_where_a_later_stage_has_written_the_column_and_addresses_never_do() {
        let guarded = |networks| Guarded { name: "ip".to_owned(), form: None, networks };
        let networks =
            ["0.0.0.0", "203.0.113.0", "10.0.0.0", "::", "2001:db8:85a3::", "::ffff:192.0.2.0"];
        for value in networks {
            assert!(guarded(true).allows(value), "{value}");
            assert!(!guarded(false).allows(value), "{value}");
        }
        let others = [
            "203.0.113.9",
            "0.0.0.1",
            "::1",
            "2001:db8:85a3:1::",
            "2001:db8:85a3::1",
            "::ffff:192.0.2.1",
            "203.0.113.0:80",
            "203.0.113.0/24",
            "203.0.113",
            " 203.0.113.0",
            "203.0.113.000",
            "u-0",
            "",
            "0",
            "120.0.0.0 ",
        ];
        for value in others {
            assert!(!guarded(true).allows(value), "{value}");
        }
    }
}
