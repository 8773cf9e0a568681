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
//! it is, or nobody has said that its values are addresses. A column that comes in was made by the decoder.

use std::collections::BTreeMap;
use std::net::IpAddr;

use arrow::array::{Array, AsArray, BooleanArray, StringArray};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use regex::Regex;

use super::spelling::Spellings;
use clickmill_config::{self as config, Dialect, Format};
use clickmill_core::batch::{Batch, Reason, Rejected, Rejector};
use clickmill_core::schema::TableSchema;
use clickmill_core::{Digest, stage};

/// Why rows are stopped.
pub(crate) const CODE: &str = "unmasked";

/// The columns that are looked at.
#[derive(Debug, Clone, Default)]
pub(crate) struct Guard {
    columns: Vec<Guarded>,
    /// How records that are delimited text are written.
    dialect: Option<Dialect>,
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
    /// A guard of a table's sensitive columns, whose rows are from records of a format.
    pub(crate) fn of(schema: &TableSchema, config: &config::Guard, format: &Format) -> Self {
        if config.off {
            return Self::default();
        }
        let sensitive = schema.columns.iter().filter(|column| column.is_sensitive());
        let columns = sensitive.map(|column| {
            let form = config.allow.iter().find(|(name, _)| *name == column.name);
            let form = form.map(|(_, form)| form.clone());
            Guarded { name: column.name.clone(), form, networks: false }
        });
        let dialect = match format {
            Format::Csv { dialect, .. } => Some(*dialect),
            Format::Ndjson { .. } | Format::Message { .. } => None,
        };
        Self { columns: columns.collect(), dialect }
    }

    /// The guard of a chain, of which `writes` are the columns that each stage writes, and `decoded` those
    /// that come in: the decoder is the first that writes them.
    pub(crate) fn over<'a>(
        &self,
        decoded: &'a Schema,
        writes: impl Iterator<Item = &'a str>,
    ) -> Self {
        let mut guard = self.clone();
        let mut written: BTreeMap<&str, usize> = BTreeMap::new();
        let decoded = decoded.fields().iter().map(|field| field.name().as_str());
        for name in decoded.chain(writes) {
            *written.entry(name).or_default() += 1;
        }
        for column in &mut guard.columns {
            column.networks = written.get(column.name.as_str()).is_some_and(|times| *times > 1);
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
        let texts = self.columns.iter().filter_map(|guarded| {
            let column = batch.columns.column_by_name(&guarded.name)?;
            Some((guarded, column.as_string_opt::<i32>()?))
        });
        let texts: Vec<(&Guarded, &StringArray)> = texts.collect();
        if texts.is_empty() {
            return Ok((batch, Vec::new()));
        }
        let origins = &batch.origins;
        let mut found: BTreeMap<usize, &str> = BTreeMap::new();
        for (row, range) in origins.ranges.iter().enumerate() {
            let record = &origins.block[range.clone()];
            let record = Spellings::of(record, self.dialect.as_ref(), &origins.source);
            let came_in = |(guarded, values): &&(&Guarded, &StringArray)| {
                let value = values.is_valid(row).then(|| values.value(row));
                value.is_some_and(|value| record.hold(value) && !guarded.allows(value))
            };
            if let Some((guarded, _)) = texts.iter().find(came_in) {
                found.insert(row, &guarded.name);
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
        // 6to4 has a whole IPv4 address in the first six: masked, it is that address's network.
        Ok(IpAddr::V6(address)) => {
            address.segments()[0] != 0x2002 && address.segments()[3..] == [0; 5]
        }
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field};

    use super::*;

    #[test]
    fn the_decoder_is_the_first_that_writes_a_column_that_comes_in() {
        let guarded = ["ip", "user_id"].map(|name| Guarded {
            name: name.to_owned(),
            form: None,
            networks: false,
        });
        let guard = Guard { columns: guarded.to_vec(), dialect: None };
        let csv = ["id", "ip", "user_id"].map(|name| Field::new(name, DataType::Utf8, false));
        let csv = Schema::new(csv.to_vec());
        let json = Schema::new(vec![Field::new("payload", DataType::Utf8, false)]);
        // Who writes, and whether networks pass in `ip`. In `user_id`, which no stage writes again, never.
        for (decoded, writes, wanted) in [
            (&csv, &[][..], false),
            (&csv, &["id"], false),
            (&csv, &["ip"], true),
            (&csv, &["ip", "ip"], true),
            (&json, &[], false),
            (&json, &["ip", "user_id"], false),
            (&json, &["ip", "user_id", "ip"], true),
        ] {
            let over = guard.over(decoded, writes.iter().copied());
            let networks: Vec<bool> = over.columns.iter().map(|column| column.networks).collect();
            assert_eq!(networks, [wanted, false], "{writes:?} over {decoded}");
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
            "2002:c000:239::",
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
