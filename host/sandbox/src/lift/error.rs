//! What is wrong with an answer.

/// What is wrong with an answer. Columns are told by path. `of` says of what there are so many: rows,
/// records or elements.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnswerError {
    #[error("it returned column `{0}`, which it did not announce")]
    NotAnnounced(String),
    #[error("it returned column `{0}` twice")]
    Twice(String),
    #[error("it did not return column `{0}`, which it announced")]
    Missing(String),
    #[error("column `{column}` has parent {parent}, wanted the place of a record before it")]
    NoSuchParent { column: String, parent: u32 },
    #[error("it returned column `{column}` as {got}, announced as {announced}")]
    WrongType { column: String, got: String, announced: String },
    #[error("column `{0}` has no offsets, and was announced as repeated")]
    NotRepeated(String),
    #[error("column `{0}` has offsets, and was not announced as repeated")]
    Repeated(String),
    #[error("column `{column}` has {got} values for {wanted} {of}")]
    WrongLength { column: String, got: usize, wanted: usize, of: &'static str },
    #[error("column `{column}` has {got} words for {wanted} {of}, wanted two for each")]
    WrongWords { column: String, got: usize, wanted: usize, of: &'static str },
    #[error("column `{column}` has {got} lists for {wanted} {of}")]
    WrongLists { column: String, got: usize, wanted: usize, of: &'static str },
    #[error("column `{column}` has {got} bytes of validity for {values} {of}, wanted {wanted}")]
    WrongValidity { column: String, got: usize, wanted: usize, values: usize, of: &'static str },
    #[error("column `{column}` has offset {got} after {before} at row {row}")]
    OffsetFalls { column: String, row: usize, before: u32, got: u32 },
    #[error("column `{column}` has offsets from {first} to {last} for {bytes} bytes")]
    OffsetRange { column: String, first: u32, last: u32, bytes: usize },
    #[error(
        "column `{column}` has lists from {first} to {last}, wanted them from 0 on and below 2^31"
    )]
    ListRange { column: String, first: u32, last: u32 },
    #[error("column `{column}` has list {list} from {before} to {got}")]
    ListFalls { column: String, list: usize, before: u32, got: u32 },
    #[error("column `{0}` has an element that is null")]
    NullElement(String),
    #[error("column `{column}` has a value in record {record}, which is null")]
    FieldOfNull { column: String, record: usize },
    #[error(
        "column `{0}` is not as it was given: it has other lists or nulls, and only fields of it were announced"
    )]
    NotAsGiven(String),
    #[error("column `{0}` holds text that is not UTF-8")]
    NotUtf8(String),
    #[error("column `{column}` holds text {got} of {values} at row {row}")]
    NotInDictionary { column: String, row: usize, got: u32, values: usize },
    #[error("column `{column}` holds what is not a JSON value at row {row}")]
    NotJson { column: String, row: usize },
    #[error("column `{column}` holds boolean {got} at row {row}, wanted 0 or 1")]
    NotABoolean { column: String, row: usize, got: u8 },
    #[error("column `{column}` holds {got} at row {row}, outside the years 1 to 9999")]
    OutOfCalendar { column: String, row: usize, got: i64 },
    #[error("column `{column}` holds {got} at row {row}, outside a day's microseconds")]
    OutOfDay { column: String, row: usize, got: i64 },
    #[error("column `{column}` holds a decimal of more than 38 digits at row {row}")]
    TooManyDigits { column: String, row: usize },
    #[error("it named row {row} of {rows}")]
    NoSuchRow { row: u32, rows: usize },
    #[error("it refused or dropped row {0} twice")]
    RowTwice(u32),
    #[error("it refused row {row} with code `{code}`, wanted 1 to 64 of a-z, 0-9 and `_`")]
    BadCode { row: u32, code: String },
    #[error(
        "it refused row {row} with code `{code}`: codes that begin with `plugin_` are the host's own, for calls that fail"
    )]
    HostCode { row: u32, code: String },
    #[error("it refused row {row} for column `{column}`, which it neither reads nor writes")]
    ForeignColumn { row: u32, column: String },
    #[error(
        "it said from which rows those of its answer came, and did not announce that it multiplies"
    )]
    Multiplies,
    #[error("row {row} of its answer came from row {got}, wanted {wanted}")]
    CameFrom { row: usize, got: u32, wanted: String },
    #[error("its answer has rows of the first {got} of {rows} rows only")]
    CameFromFew { got: usize, rows: usize },
    #[error(
        "its answer has {0} bytes once the columns that it does not write are repeated, and texts are written out"
    )]
    TooLarge(usize),
}
