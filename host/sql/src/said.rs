//! DataFusion's errors, in words that say what BigQuery's SQL wants.

use datafusion::error::DataFusionError;

/// Parts of errors that tell of DataFusion's own types and settings, and what is said in place of the whole.
const TOLD: [(&str, &str); 6] = [
    (
        "does not support logical expression AggregateFunction",
        "an aggregate function stands where none is taken, such as in GROUP BY",
    ),
    (
        "does not support logical expression WindowFunction",
        "a window function stands where none is taken, such as in WHERE: QUALIFY filters by one",
    ),
    (
        "does not support logical expression ScalarSubquery",
        "a subquery that names columns of the query around it is taken here only where it is an aggregate of rows \
         that `=` picks by those columns, and not within an aggregate (sql/README.md)",
    ),
    (
        "Correlated scalar subquery",
        "a subquery that names columns of the query around it is taken in SELECT and WHERE alone; in GROUP BY, name \
         the column of SELECT (sql/README.md)",
    ),
    (
        "Function 'coalesce' user-defined coercion failed",
        "COALESCE and IFNULL give one type: CAST the others to it",
    ),
    ("Cannot access field at argument", "a field is asked for of a column that is no record"),
];
/// What a wrong name is told with, of settings that nobody here has.
const SETTINGS: &str = "\nColumn names are case sensitive. You can use double quotes";

/// What an error says.
pub(crate) fn said(error: &DataFusionError) -> String {
    let said = error.find_root().strip_backtrace();
    if let Some((_, told)) = TOLD.iter().find(|(part, _)| said.contains(part)) {
        return (*told).to_owned();
    }
    let Some(at) = said.find(SETTINGS) else { return said };
    let rest = said[at + 1..].split_once('\n').map_or("", |(_, rest)| rest);
    format!("{}\nColumns are named as they were made, capitals included. {rest}", &said[..at])
}
