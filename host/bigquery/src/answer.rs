//! What the Storage Write API's answers to appends mean.

use google_cloud_bigquery::error::{AppendError, WriterBuilderError};
use google_cloud_gax::error::Error as ServiceError;
use google_cloud_gax::error::rpc::Code;

use super::encode;
use super::error::BigQueryError;

/// What the table says of rows.
#[derive(Debug)]
pub(super) enum Verdict {
    Taken,
    /// Nothing was taken; these rows are at fault, by number.
    Rows(Vec<(usize, String)>),
    /// Nothing was taken; fewer at once may be.
    TooLarge,
}

/// What became of the first rows of those that were given.
#[derive(Debug)]
pub(super) struct Sent {
    pub rows: usize,
    pub verdict: Verdict,
}

/// What an append's answer says.
pub(super) fn verdict(sent: Result<(), AppendError>, what: &str) -> Result<Verdict, BigQueryError> {
    match sent {
        Ok(()) => Ok(Verdict::Taken),
        Err(AppendError::RowErrors { row_errors, .. }) if !row_errors.is_empty() => {
            let rows = row_errors.into_iter();
            Ok(Verdict::Rows(
                rows.filter_map(|row| Some((usize::try_from(row.index).ok()?, row.message)))
                    .collect(),
            ))
        }
        Err(AppendError::Rpc { source, .. }) if is_too_large(&source) => Ok(Verdict::TooLarge),
        Err(AppendError::Rpc { source, .. }) => {
            Err(BigQueryError::Service { what: what.to_owned(), source })
        }
        Err(_) => Err(BigQueryError::Ended { what: what.to_owned() }),
    }
}

/// Why a stream is not open.
pub(super) fn opening(error: WriterBuilderError, what: &str) -> BigQueryError {
    match error {
        WriterBuilderError::Rpc { source, .. } => {
            BigQueryError::Service { what: what.to_owned(), source }
        }
        _ => BigQueryError::Ended { what: what.to_owned() },
    }
}

/// Whether a request is too large, by what the service says or what carries it there. A quota that is
/// used up has the same code: the text tells.
pub(super) fn is_too_large(error: &ServiceError) -> bool {
    const CODES: [Code; 3] = [Code::InvalidArgument, Code::ResourceExhausted, Code::OutOfRange];
    const WORDS: [&str; 4] = ["too large", "larger than max", "size cap", "size limit"];
    error.status().is_some_and(|status| {
        let message = status.message.to_lowercase();
        CODES.contains(&status.code) && WORDS.iter().any(|words| message.contains(words))
    })
}

/// Whether a stream takes nothing any more: finalised, or gone.
pub(super) fn is_over(error: &ServiceError) -> bool {
    has_code(error, &[Code::NotFound, Code::FailedPrecondition, Code::OutOfRange])
        && !is_too_large(error)
}

pub(super) fn has_code(error: &ServiceError, codes: &[Code]) -> bool {
    error.status().is_some_and(|status| codes.contains(&status.code))
}

/// What a row too large for any request is told.
pub(super) fn too_large() -> String {
    format!("the row is larger than a request may be: limit {} bytes", encode::MAX_REQUEST_BYTES)
}

#[cfg(test)]
mod tests {
    use google_cloud_gax::error::rpc::Status;

    use super::*;

    #[test]
    fn a_request_that_is_too_large_is_told_from_a_quota_that_is_used_up() {
        let said = |code, text: &str| {
            let status = Status::default().set_code(code).set_message(text);
            is_too_large(&ServiceError::service(status))
        };
        for (code, text) in [
            (
                Code::InvalidArgument,
                "MessageSize is too large. Max allow: 10000000 Actual: 10586127",
            ),
            (Code::ResourceExhausted, "Received message larger than max (10586127 vs. 10485760)"),
            (Code::ResourceExhausted, "AppendRowsRequest exceeds the 10485760-byte size cap"),
        ] {
            assert!(said(code, text), "{text}");
        }
        for (code, text) in [
            (Code::ResourceExhausted, "Exceeds 'AppendRows throughput' quota, user_id: project1"),
            (Code::InvalidArgument, "Input schema has more fields than BigQuery schema"),
            (Code::Internal, "too large"),
        ] {
            assert!(!said(code, text), "{text}");
        }
    }
}
