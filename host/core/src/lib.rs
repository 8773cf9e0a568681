//! What every other crate knows: batches and where their rows came from, table schemas, object stores by
//! URI, errors on one line. It knows neither plugins nor services nor the pipeline file.

pub mod batch;
pub mod schema;
pub mod store;
pub mod tls;

/// Target of the spans that traces are made of. The log does not show them.
pub const SPANS: &str = "clickmill_spans";

/// An error and its causes on one line.
pub fn causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
