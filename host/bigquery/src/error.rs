//! What can go wrong with BigQuery, and whether it may pass.

use std::fmt;
use std::time::Duration;

use google_cloud_bigquery::error::QueryError;
use google_cloud_gax::client_builder::Error as ClientError;
use google_cloud_gax::error::Error as ServiceError;

use clickmill_config::TableName;
use clickmill_core::schema::SchemaError;
use clickmill_core::{Fault, list};
use clickmill_google as google;

/// What can go wrong with BigQuery.
#[derive(Debug, thiserror::Error)]
pub enum BigQueryError {
    /// A client can't be made: no credentials, say.
    #[error("cannot connect to BigQuery")]
    Client(#[source] ClientError),
    /// A request failed.
    #[error("BigQuery: cannot {what}")]
    Service {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: ServiceError,
    },
    /// A query failed.
    #[error("BigQuery: cannot {what}")]
    Query {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: Box<QueryError>,
    },
    /// A query would be billed for more than it may.
    #[error(
        "BigQuery: cannot {what}: it would be billed for more than {limit} bytes (`sink.max_bytes_billed` in the pipeline file); ask for a shorter time range, or raise that"
    )]
    Billed {
        /// What was tried.
        what: String,
        /// What it may be billed for.
        limit: u64,
        /// What BigQuery says.
        source: Box<QueryError>,
    },
    /// A text is another statement than a query.
    #[error(
        "BigQuery: cannot {what}: only queries are taken here, which begin with SELECT or WITH, and this is {found}"
    )]
    NoQuery {
        /// What was tried.
        what: String,
        /// What BigQuery calls it, such as `DELETE`.
        found: String,
    },
    /// A query's answer can't be read.
    #[error("BigQuery: cannot {what}")]
    Row {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: Box<google_cloud_bigquery::error::RowError>,
    },
    /// A request had no answer in time.
    #[error("BigQuery: no answer in {seconds} s on trying to {what}")]
    NoAnswer {
        /// What was tried.
        what: String,
        /// How long.
        seconds: u64,
    },
    /// The connection ended.
    #[error("BigQuery: the connection ended on trying to {what}")]
    Ended {
        /// What was tried.
        what: String,
    },
    /// Something is not there yet that BigQuery gets over by itself.
    #[error("BigQuery is not ready: table `{table}`: {reason}")]
    Unready {
        /// The table.
        table: TableName,
        /// What is waited for.
        reason: Unready,
        /// What BigQuery says.
        source: Box<BigQueryError>,
    },
    /// It was waited for in vain.
    #[error(
        "BigQuery is not ready: table `{table}`: {reason}, and that has not changed in {seconds} s (`sink.patience_secs`)"
    )]
    Overdue {
        /// The table.
        table: TableName,
        /// What was waited for.
        reason: Unready,
        /// How long.
        seconds: u64,
        /// What BigQuery says.
        source: Box<BigQueryError>,
    },
    /// A load into several tables is in some of them, and BigQuery has dropped the rest of it.
    #[error(
        "BigQuery: load {load_id} of `{object}` is in `{there}` and not in `{gone}`, whose rows BigQuery has dropped since; delete its rows from `{there}` and the tables before `{gone}` in the pipeline file (`source` = '{object}') and its entry from the load ledger, then `clickmill loads retry`",
        there = tables[0], gone = tables[1]
    )]
    HalfThere {
        /// The load.
        load_id: String,
        /// The object.
        object: String,
        /// The first table that has its rows, and the first that has not.
        tables: Box<[TableName; 2]>,
    },
    /// The stream of a load is gone, and with it rows that it had.
    #[error("BigQuery: the stream of a load into `{table}` is gone before it was committed")]
    StreamGone {
        /// The table.
        table: TableName,
    },
    /// Rows can't be put into Arrow's form.
    #[error("cannot encode rows for table `{table}`")]
    Encode {
        /// The table.
        table: TableName,
        /// Why.
        source: arrow::error::ArrowError,
    },
    /// A dataset or table is missing.
    #[error(
        "there is no {what}, and `sink.missing_tables` says to refuse; create it:\n  {command}"
    )]
    Missing {
        /// Which.
        what: String,
        /// What creates it.
        command: String,
    },
    /// A table does not take the pipeline's rows.
    #[error("table `{table}` does not take the pipeline's rows:{list}", list = list(misfits))]
    Misfit {
        /// The table.
        table: TableName,
        /// Why, a line each.
        misfits: Vec<String>,
    },
    /// A request cannot be built: a bug in clickmill, or a wrong `….table.json`.
    #[error("BigQuery: cannot describe table `{table}`")]
    Describe {
        /// The table.
        table: TableName,
        /// Why.
        source: serde_json::Error,
    },
    /// The ledger's schema is broken.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// A load can't be committed.
    #[error(
        "BigQuery: load `{load_id}` is written and cannot be committed: {why}; run again to find out and finish"
    )]
    Commit {
        /// The load.
        load_id: String,
        /// What BigQuery said.
        why: String,
        /// Whether it may be committed later.
        passes: bool,
    },
    /// A dead letter is refused by its table.
    #[error("BigQuery: a dead letter of load `{load_id}` is refused by `{table}`: {why}")]
    LetterRefused {
        /// The load.
        load_id: String,
        /// The table.
        table: TableName,
        /// What BigQuery said.
        why: String,
    },
    /// Streams are not committed, for a reason that may pass.
    #[error("BigQuery: cannot {what}: {why}")]
    Uncommitted {
        /// What was tried.
        what: String,
        /// What BigQuery said.
        why: String,
    },
    /// It is not known which of several loads of one object counts.
    #[error(
        "BigQuery: load `{load_id}` is written, and it is not decided whether it counts: {why}; run again to find out"
    )]
    Undecided {
        /// The load.
        load_id: String,
        /// Why.
        why: String,
    },
}

/// What is waited for: what BigQuery gets over by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unready {
    /// There is no such table: it may be made again.
    NoTable,
    /// The table is there by REST.
    UnseenTable,
    /// The table has the columns by REST.
    UnseenColumns,
    /// A role may have been given.
    Denied,
    /// A credential may have been given, or is renewed.
    Unauthenticated,
    /// The service cannot be reached, or does not want more for now.
    Away,
}

impl fmt::Display for Unready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoTable => "there is no such table",
            Self::UnseenTable => "the table is there, and the Write API does not see it yet",
            Self::UnseenColumns => {
                "the table has the columns, and the Write API does not see them yet"
            }
            Self::Denied => "permission is denied, as it is until a new role has spread",
            Self::Unauthenticated => "the credentials are refused, as they are until they spread",
            Self::Away => "BigQuery is away",
        })
    }
}

/// What `future` gives, unless that takes longer than `timeout`.
pub(super) async fn in_time<T>(
    timeout: Duration,
    what: &str,
    future: impl Future<Output = T>,
) -> Result<T, BigQueryError> {
    let no_answer =
        |_| BigQueryError::NoAnswer { what: what.to_owned(), seconds: timeout.as_secs() };
    tokio::time::timeout(timeout, future).await.map_err(no_answer)
}

impl BigQueryError {
    /// A request failed.
    pub(super) fn service(what: &str, source: ServiceError) -> Self {
        Self::Service { what: what.to_owned(), source }
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Client(_)
            | Self::Service { .. }
            | Self::Query { .. }
            | Self::NoAnswer { .. }
            | Self::Ended { .. }
            | Self::Unready { .. }
            | Self::Overdue { .. }
            | Self::StreamGone { .. }
            | Self::Commit { .. }
            | Self::Uncommitted { .. }
            | Self::Undecided { .. } => Fault::Environment,
            Self::Row { .. }
            | Self::Billed { .. }
            | Self::NoQuery { .. }
            | Self::LetterRefused { .. }
            | Self::HalfThere { .. }
            | Self::Encode { .. }
            | Self::Missing { .. }
            | Self::Misfit { .. }
            | Self::Describe { .. }
            | Self::Schema(_) => Fault::Input,
        }
    }

    /// Whether the same may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Service { source, .. } => google::is_transient(source),
            Self::NoAnswer { .. }
            | Self::Ended { .. }
            | Self::Unready { .. }
            | Self::Overdue { reason: Unready::Away, .. }
            | Self::StreamGone { .. }
            | Self::Uncommitted { .. }
            | Self::Undecided { .. } => true,
            Self::Commit { passes, .. } => *passes,
            Self::Query { source, .. } => match &**source {
                QueryError::Rpc { source, .. } => google::is_transient(source),
                QueryError::JobFailed { errors, .. } => {
                    let mut reasons = errors.iter().map(|error| error.reason.as_str());
                    !errors.is_empty() && reasons.all(google::is_passing_reason)
                }
                _ => false,
            },
            _ => false,
        }
    }

    /// Whether a query would be billed for more than it may.
    pub(super) fn is_billed_too_much(error: &QueryError) -> bool {
        const REASON: &str = "bytesBilledLimitExceeded";
        match error {
            QueryError::Rpc { source, .. } => google::has_reason(source, |reason| reason == REASON),
            QueryError::JobFailed { errors, .. } => {
                errors.iter().any(|error| error.reason == REASON)
            }
            _ => false,
        }
    }

    /// Whether a query names a table or a dataset that is not there.
    pub fn is_of_missing_table(&self) -> bool {
        let Self::Query { source, .. } = self else { return false };
        match &**source {
            QueryError::Rpc { source, .. } => google::is_not_found(source),
            QueryError::JobFailed { errors, .. } => {
                errors.iter().any(|error| error.reason == "notFound")
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use google_cloud_gax::error::rpc::{Code, Status, StatusDetails};
    use serde_json::json;

    use super::*;

    fn said(code: Code, reason: &str) -> ServiceError {
        let info = json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo", "domain": "global", "reason": reason
        });
        let info: StatusDetails = serde_json::from_value(info).expect("details");
        ServiceError::service(Status::default().set_code(code).set_details([info]))
    }

    #[test]
    fn a_rate_limit_passes_and_is_no_missing_role_whatever_its_code() {
        for (code, reason, passes, is_denied) in [
            (Code::PermissionDenied, "rateLimitExceeded", true, false),
            (Code::InvalidArgument, "jobRateLimitExceeded", true, false),
            (Code::PermissionDenied, "accessDenied", false, true),
            (Code::InvalidArgument, "invalidQuery", false, false),
            (Code::Unavailable, "backendError", true, false),
        ] {
            let error = said(code, reason);
            assert_eq!(google::is_denied(&error), is_denied, "{reason}");
            assert_eq!(BigQueryError::service("look", error).is_transient(), passes, "{reason}");
        }
    }

    #[test]
    fn an_outage_that_is_waited_for_in_vain_passes_all_the_same_and_nothing_else_does() {
        let overdue = |reason| BigQueryError::Overdue {
            table: TableName { dataset: "d".to_owned(), table: "t".to_owned() },
            reason,
            seconds: 300,
            source: Box::new(BigQueryError::service("look", said(Code::Unavailable, ""))),
        };
        assert!(overdue(Unready::Away).is_transient());
        assert!(!overdue(Unready::NoTable).is_transient());
    }
}
