//! What the fuzz target `admin_requests` and its test in CI call of the dashboard: any parameters of a query.

use std::collections::HashMap;

use clickmill_core::Micros;
use clickmill_tables::result_set::Parameter;

use super::letters::Wanted;
use super::range::{self, Range};

/// Reads parameters as tiles, dead letters and the audit log do.
///
/// # Panics
///
/// Where a page is taken that has no rows or too many, a bucket that people do not count in, or a tile's
/// parameter is left out; and where reading panics.
pub fn query(asked: &HashMap<String, String>) {
    match Wanted::parse(asked) {
        Ok(Wanted { limit, at, after }) => {
            assert!((1..=500).contains(&limit), "a page of {limit} rows");
            let given = asked.get("after").filter(|after| !after.is_empty());
            assert!(given.is_none_or(|given| given.ends_with(&after)), "it begins behind {after}");
            assert!(given.is_some() || at == range::end(), "it begins at {at}");
        }
        Err(error) => assert!(error.to_string().starts_with('`'), "which parameter? {error}"),
    }
    match Range::parse(asked) {
        Ok(range) => {
            let names = ["from", "to", range::NOW, range::BUCKET, "country"].map(str::to_owned);
            let (now, all) = (Micros::from(0), Some((Micros::from(i64::MIN), Micros::MAX)));
            for extent in [None, all] {
                let values = range.parameters(&names, asked, now, extent);
                assert_eq!(values.len(), names.len());
                for (name, value) in values {
                    let is_bucket = name == range::BUCKET;
                    let counts = |width: i64| range::WIDTHS.contains(&width);
                    assert!(
                        match value {
                            Parameter::Integer(width) => is_bucket && counts(width),
                            Parameter::Timestamp(_) => ["from", "to", range::NOW].contains(&name),
                            Parameter::Text(_) => name == "country",
                            Parameter::Written(..) => false,
                        },
                        "`{name}` is of another type"
                    );
                }
            }
        }
        Err(error) => assert!(error.to_string().starts_with('`'), "which parameter? {error}"),
    }
}
