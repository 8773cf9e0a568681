//! The Arrow types of columns that Arrow has no single name for.

use std::collections::HashMap;

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Field, TimeUnit};

/// Digits of a NUMERIC behind the point.
const NUMERIC_SCALE: i8 = 9;
/// The key by which Arrow's fields name a type that is another's in another meaning …
const EXTENSION: &str = "ARROW:extension:name";
/// … and JSON's canonical name there.
const JSON: &str = "arrow.json";

/// The Arrow type of an instant: microseconds, UTC.
pub fn timestamp_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// The Arrow type of a day and a time of day, in no zone: microseconds.
pub fn datetime_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, None)
}

/// The Arrow type of a time of day: microseconds since midnight.
pub fn time_type() -> DataType {
    DataType::Time64(TimeUnit::Microsecond)
}

/// The Arrow type of an exact number: 38 digits, 9 of them behind the point.
pub fn decimal_type() -> DataType {
    DataType::Decimal128(DECIMAL128_MAX_PRECISION, NUMERIC_SCALE)
}

/// What says of an Arrow field of text that its values are JSON.
pub fn json_metadata() -> HashMap<String, String> {
    HashMap::from([(EXTENSION.to_owned(), JSON.to_owned())])
}

/// Whether the values of an Arrow field of text are JSON.
pub fn is_json(field: &Field) -> bool {
    field.metadata().get(EXTENSION).is_some_and(|name| name == JSON)
}
