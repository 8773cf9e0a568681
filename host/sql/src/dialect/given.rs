//! Names that a query gives, and names them by.

use datafusion::common::plan_datafusion_err;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{Ident, ObjectName};

/// The reserved words of GoogleSQL (lexical.md).
const RESERVED: &str = "ALL AND ANY ARRAY AS ASC ASSERT_ROWS_MODIFIED AT BETWEEN BY CASE CAST COLLATE CONTAINS CREATE \
    CROSS CUBE CURRENT DEFAULT DEFINE DESC DISTINCT ELSE END ENUM ESCAPE EXCEPT EXCLUDE EXISTS EXTRACT FALSE FETCH \
    FOLLOWING FOR FROM FULL GROUP GROUPING GROUPS HASH HAVING IF IGNORE IN INNER INTERSECT INTERVAL INTO IS JOIN \
    LATERAL LEFT LIKE LIMIT LOOKUP MERGE NATURAL NEW NO NOT NULL NULLS OF ON OR ORDER OUTER OVER PARTITION PRECEDING \
    PROTO QUALIFY RANGE RECURSIVE RESPECT RIGHT ROLLUP ROWS SELECT SET SOME STRUCT TABLESAMPLE THEN TO TREAT TRUE \
    UNBOUNDED UNION UNNEST USING WHEN WHERE WINDOW WITH WITHIN";

/// Checks a name that is given: it is no text, and a reserved word is one in backticks.
pub(super) fn name(given: &Ident) -> Result<(), DataFusionError> {
    no_text(given)?;
    match given.quote_style {
        None if is_reserved(&given.value) => Err(plan_datafusion_err!(
            "{given} is a reserved word of BigQuery, and a name in backticks alone: `{given}`"
        )),
        _ => Ok(()),
    }
}

/// Checks a name: what stands in quotation marks is a text, which the parser takes for one too.
pub(super) fn no_text(name: &Ident) -> Result<(), DataFusionError> {
    match name.quote_style {
        Some('\'' | '"') => Err(plan_datafusion_err!(
            "{name} is a text, and no name: write it without marks, or in backticks"
        )),
        _ => Ok(()),
    }
}

/// Checks a name with what it is in.
pub(super) fn no_texts(path: &ObjectName) -> Result<(), DataFusionError> {
    path.0.iter().filter_map(|part| part.as_ident()).try_for_each(no_text)
}

/// Whether a word is a name in backticks alone.
pub(super) fn is_reserved(word: &str) -> bool {
    RESERVED.split_whitespace().any(|reserved| reserved.eq_ignore_ascii_case(word))
}
