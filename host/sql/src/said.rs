//! DataFusion's errors, in words that say what BigQuery's SQL wants.

use datafusion::error::DataFusionError;

/// Parts of errors that tell of DataFusion's own types and settings, and what is said in place of the whole.
const TOLD: [(&str, &str); 9] = [
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
    ("approx_percentile_cont", "APPROX_QUANTILES takes INT64, FLOAT64 and NUMERIC here"),
    (
        "FLOAT_OF does not",
        "STDDEV, VARIANCE and their like take INT64 and FLOAT64 here: CAST others",
    ),
    (
        "CONCAT_PART does not",
        "CONCAT takes STRING, INT64, BOOL, DATE and TIMESTAMP here: CAST others",
    ),
    ("Cannot access field at argument", "a field is asked for of a column that is no record"),
];
/// What a wrong name is told with, of settings that nobody here has.
const SETTINGS: &str = "\nColumn names are case sensitive. You can use double quotes";

/// What DataFusion says around an error of a function about the types of its arguments.
const COERCION: &str = "user-defined coercion failed with: Error during planning: ";
const CANDIDATES: &str = ". No function matches the given name and argument types";
/// What it says behind an error that it did not foresee.
const BUG: &str = "\nThis issue was likely caused by a bug in DataFusion's code";
const AMBIGUOUS: &str = "Schema error: Ambiguous reference to unqualified field ";

/// What an error says.
pub(crate) fn said(error: &DataFusionError) -> String {
    let said = error.find_root().strip_backtrace();
    if let Some((_, told)) = TOLD.iter().find(|(part, _)| said.contains(part)) {
        return (*told).to_owned();
    }
    if let Some((_, of_function)) = said.split_once(COERCION)
        && let Some((what, _)) = of_function.split_once(CANDIDATES)
    {
        return what.to_owned();
    }
    if let Some((what, _)) = said.split_once(BUG) {
        return format!("the SQL engine fails on this query, by a fault of its own: {what}");
    }
    if let Some(column) = said.strip_prefix(AMBIGUOUS) {
        return format!(
            "`{column}` is a column of several tables: write the table's name before it, and of several JOINs with \
             USING (`{column}`), ON for all but the first"
        );
    }
    let Some(at) = said.find(SETTINGS) else { return said };
    let rest = said[at + 1..].split_once('\n').map_or("", |(_, rest)| rest);
    format!("{}\nColumns are named as they were made, capitals included. {rest}", &said[..at])
}
