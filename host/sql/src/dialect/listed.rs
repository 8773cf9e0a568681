//! The functions that are taken, other than those of `functions` by their own names.

use std::ops::RangeInclusive;

/// Functions of a row by other names than in `functions`, where most are.
pub(super) const RENAMED: [(&str, &str); 14] = [
    ("CEILING", "ceil"),
    ("CHARACTER_LENGTH", "char_length"),
    ("OCTET_LENGTH", "byte_length"),
    ("POWER", "pow"),
    ("SAFE_ADD", "safe_add"),
    ("SAFE_DIVIDE", "safe_divide"),
    ("SAFE_MULTIPLY", "safe_multiply"),
    ("SAFE_NEGATE", "safe_negate"),
    ("SAFE_SUBTRACT", "safe_subtract"),
    ("SUBSTRING", "substr"),
    ("ARRAY_LENGTH", "array_length"),
    ("TO_BASE64", "to_base64"),
    ("TO_JSON_STRING", "to_json_string"),
    // Of what it gets, only those of the right type are evaluated until one is not null, as in BigQuery.
    ("COALESCE", "coalesce"),
];

/// Names in `functions` that are not BigQuery's.
pub(super) const INNER: [&str; 32] = [
    "add",
    "subtract",
    "multiply",
    "divide",
    "add_literal",
    "add_interval",
    "subtract_interval",
    "subtract_literal",
    "literal_subtract",
    "multiply_literal",
    "divide_literal",
    "literal_divide",
    "negate",
    "bit_not",
    "equal",
    "not_equal",
    "less",
    "less_or_equal",
    "extract",
    "float_of",
    "text_of",
    "bool_of",
    "concat_part",
    "cast_int64",
    "cast_float64",
    "cast_numeric",
    "cast_bool",
    "cast_string",
    "cast_bytes",
    "cast_date",
    "cast_datetime",
    "cast_timestamp",
];

/// Functions of a row that are put together, by the number of their arguments.
pub(super) const TEMPLATES: [(&str, usize, &str); 8] = [
    ("CURRENT_DATE", 0, "date(arrow_cast(now(), 'Timestamp(µs, \"UTC\")'))"),
    ("CURRENT_DATE", 1, "date(arrow_cast(now(), 'Timestamp(µs, \"UTC\")'), _0)"),
    ("CURRENT_TIMESTAMP", 0, "arrow_cast(now(), 'Timestamp(µs, \"UTC\")')"),
    ("IF", 3, "CASE WHEN bool_of(_0) THEN _1 ELSE _2 END"),
    ("IFNULL", 2, "coalesce(_0, _1)"),
    ("UNNEST[]", 1, "unnest(_0)"),
    ("NULLIF", 2, "CASE WHEN _0 = _1 THEN NULL WHEN FALSE THEN _1 ELSE _0 END"),
    (
        "APPROX_QUANTILES[]",
        2,
        "quantile_of(approx_percentile_cont(_1) WITHIN GROUP (ORDER BY _0), min(_0))",
    ),
];

/// An aggregate function.
pub(super) struct Aggregate {
    pub(super) name: &'static str,
    /// DataFusion's.
    pub(super) of: &'static str,
    /// What it gets for its first argument.
    pub(super) argument: &'static str,
    /// What becomes of its answer.
    pub(super) answer: &'static str,
    /// Whether it takes DISTINCT.
    pub(super) distinct: bool,
}

const fn aggregate(
    name: &'static str,
    of: &'static str,
    argument: &'static str,
    answer: &'static str,
    distinct: bool,
) -> Aggregate {
    Aggregate { name, of, argument, answer, distinct }
}

pub(super) const AGGREGATES: [Aggregate; 19] = [
    aggregate("ANY_VALUE", "first_value", "_0", "_0", false),
    aggregate("APPROX_COUNT_DISTINCT", "approx_distinct", "_0", "cast_int64(_0)", false),
    aggregate("ARRAY_AGG", "array_agg", "_0", "_0", true),
    aggregate("AVG", "avg", "avg_of(_0)", "averaged(_0)", true),
    aggregate("BIT_AND", "bit_and", "_0", "_0", false),
    aggregate("BIT_OR", "bit_or", "_0", "_0", false),
    aggregate("BIT_XOR", "bit_xor", "_0", "_0", false),
    aggregate("COUNT", "count", "sorted(_0)", "_0", true),
    aggregate("COUNTIF", "count", "CASE WHEN bool_of(_0) THEN 1 END", "_0", false),
    aggregate("LOGICAL_AND", "bool_and", "bool_of(_0)", "_0", false),
    aggregate("LOGICAL_OR", "bool_or", "bool_of(_0)", "_0", false),
    aggregate("MAX", "max", "max_of(_0)", "extreme(_0)", true),
    aggregate("MIN", "min", "min_of(_0)", "extreme(_0)", true),
    aggregate("STDDEV", "stddev", "float_of(_0)", "_0", false),
    aggregate("STDDEV_POP", "stddev_pop", "float_of(_0)", "_0", false),
    aggregate("STDDEV_SAMP", "stddev", "float_of(_0)", "_0", false),
    aggregate("STRING_AGG", "string_agg", "text_of(_0)", "cast_string(_0)", true),
    aggregate("SUM", "sum", "sum_of(_0)", "summed(_0)", true),
    aggregate("VAR_SAMP", "var_samp", "float_of(_0)", "_0", false),
];

/// Whether this is DataFusion's name of an aggregate, as calls are put into its words.
pub(super) fn is_aggregate(name: &str) -> bool {
    name == "approx_percentile_cont" || AGGREGATES.iter().any(|aggregate| aggregate.of == name)
}

/// A function of a window.
pub(super) struct Windowed {
    pub(super) name: &'static str,
    /// The least and the most arguments that it takes.
    pub(super) arguments: RangeInclusive<usize>,
    /// What becomes of its answer: numbers of rows are of another type in DataFusion.
    pub(super) answer: &'static str,
    /// Whether it wants ORDER BY.
    pub(super) ordered: bool,
    /// Whether it takes a frame.
    pub(super) framed: bool,
}

const fn windowed(
    name: &'static str,
    arguments: RangeInclusive<usize>,
    answer: &'static str,
    ordered: bool,
    framed: bool,
) -> Windowed {
    Windowed { name, arguments, answer, ordered, framed }
}

pub(super) const WINDOWS: [Windowed; 10] = [
    windowed("CUME_DIST", 0..=0, "_0", true, false),
    windowed("DENSE_RANK", 0..=0, "cast_int64(_0)", true, false),
    windowed("FIRST_VALUE", 1..=1, "_0", false, true),
    windowed("LAG", 1..=3, "_0", true, false),
    windowed("LAST_VALUE", 1..=1, "_0", false, true),
    windowed("LEAD", 1..=3, "_0", true, false),
    windowed("NTH_VALUE", 2..=2, "_0", false, true),
    windowed("PERCENT_RANK", 0..=0, "_0", true, false),
    windowed("RANK", 0..=0, "cast_int64(_0)", true, false),
    windowed("ROW_NUMBER", 0..=0, "cast_int64(_0)", false, false),
];

/// Where a function has a unit of time, an INTERVAL, and dates or timestamps that may be written as texts.
pub(super) struct Timed {
    pub(super) name: &'static str,
    pub(super) unit: Option<usize>,
    pub(super) interval: Option<usize>,
    /// The arguments, and what reads a text there.
    pub(super) values: &'static [usize],
    pub(super) reads: &'static str,
}

const fn timed(
    name: &'static str,
    unit: Option<usize>,
    interval: Option<usize>,
    values: &'static [usize],
    reads: &'static str,
) -> Timed {
    Timed { name, unit, interval, values, reads }
}

pub(super) const TIMED: [Timed; 21] = [
    timed("DATE", None, None, &[0], "cast_timestamp"),
    timed("DATE_ADD", None, Some(1), &[0], "cast_date"),
    timed("DATE_DIFF", Some(2), None, &[0, 1], "cast_date"),
    timed("DATE_SUB", None, Some(1), &[0], "cast_date"),
    timed("DATE_TRUNC", Some(1), None, &[0], "cast_date"),
    timed("DATETIME_ADD", None, Some(1), &[0], "cast_datetime"),
    timed("DATETIME_DIFF", Some(2), None, &[0, 1], "cast_datetime"),
    timed("DATETIME_SUB", None, Some(1), &[0], "cast_datetime"),
    timed("DATETIME_TRUNC", Some(1), None, &[0], "cast_datetime"),
    timed("FORMAT_DATE", None, None, &[1], "cast_date"),
    timed("FORMAT_TIMESTAMP", None, None, &[1], "cast_timestamp"),
    timed("LAST_DAY", Some(1), None, &[0], "cast_date"),
    timed("STRING", None, None, &[0], "cast_timestamp"),
    timed("TIMESTAMP_ADD", None, Some(1), &[0], "cast_timestamp"),
    timed("TIMESTAMP_DIFF", Some(2), None, &[0, 1], "cast_timestamp"),
    timed("TIMESTAMP_SUB", None, Some(1), &[0], "cast_timestamp"),
    timed("TIMESTAMP_TRUNC", Some(1), None, &[0], "cast_timestamp"),
    timed("UNIX_DATE", None, None, &[0], "cast_date"),
    timed("UNIX_MICROS", None, None, &[0], "cast_timestamp"),
    timed("UNIX_MILLIS", None, None, &[0], "cast_timestamp"),
    timed("UNIX_SECONDS", None, None, &[0], "cast_timestamp"),
];
