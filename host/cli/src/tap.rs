//! `clickmill tap`: rows of a running pipeline, as they pass.

use std::io::{self, BufRead, BufReader, ErrorKind, Read as _};

use clap::Args;
use serde_json::Value as Json;

use super::admin::Admin;
use super::print::lines;
use super::{Exit, Failure};

const EXAMPLES: &str = "\
Examples:
  clickmill tap
  clickmill tap enrich --where \"event_type = 'purchase'\" --limit 10
  clickmill tap --rejected
  clickmill tap validate --rejected --where \"code = 'negative_price'\"

A column is shown in its last form only: one that a later stage still writes, or that is
sensitive, is (hidden), unless `admin.reveal` in the pipeline file names it. Of rejected rows the
filter sees stage, code, message, column, source, source_line and message_id. A tap never holds the
pipeline up: what is not taken in time is missed, and said.";

/// The most that a line may have: twice the longest that a pipeline sends.
const MAX_LINE_BYTES: u64 = 8 << 20;

/// Shows rows of a running pipeline as they pass a stage, a JSON object a line, until Ctrl-C
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Tap {
    /// After which stage (default: the last); with --rejected: rejected by which (default: any)
    stage: Option<String>,

    /// Only rows that this condition holds for, in SQL
    #[arg(long = "where", value_name = "SQL")]
    condition: Option<String>,

    /// Rows that are refused, and why
    #[arg(long)]
    rejected: bool,

    /// End after that many rows
    #[arg(long, value_name = "ROWS")]
    limit: Option<u64>,

    #[command(flatten)]
    admin: Admin,
}

impl Tap {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let mut query = vec![("rejected", self.rejected.to_string())];
        query.extend(self.stage.map(|stage| ("stage", stage)));
        query.extend(self.condition.map(|condition| ("where", condition)));
        let mut shown = 0;
        each(&self.admin, &query, |line, _| {
            shown += 1;
            Ok(lines(&format!("{line}\n"))? && self.limit.is_none_or(|limit| shown < limit))
        })
    }
}

/// Takes rows of a tap, each as a line and as it was read, for as long as more are wanted.
pub(super) fn each(
    admin: &Admin,
    query: &[(&'static str, String)],
    mut take: impl FnMut(&str, Json) -> Result<bool, Failure>,
) -> Result<(), Failure> {
    let mut from = BufReader::new(admin.stream("/v1/tap", query)?);
    let failed = |error: io::Error| match error.kind() {
        ErrorKind::InvalidData => Failure::new(Exit::Environment, error),
        _ => Failure::new(Exit::Environment, error)
            .hint("the pipeline has ended, or nothing was taken of this tap for a minute"),
    };
    while let Some(line) = next_line(&mut from).map_err(failed)? {
        let said: Json = serde_json::from_str(&line).unwrap_or_default();
        if let Some(missed) = said.get("missed").filter(|_| is_alone(&said)) {
            eprintln!("missed {missed} rows: they passed faster than they were taken");
            continue;
        }
        if let Some(error) = said.get("error").and_then(Json::as_str).filter(|_| is_alone(&said)) {
            return Err(Failure::bad_input(error));
        }
        if !take(&line, said)? {
            break;
        }
    }
    Ok(())
}

/// The next line, without its end. What listens there may be anything, and no line of its has to end.
fn next_line(from: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = String::new();
    from.by_ref().take(MAX_LINE_BYTES).read_line(&mut line)?;
    if line.len() as u64 == MAX_LINE_BYTES && !line.ends_with('\n') {
        let what = format!("a line has more than {MAX_LINE_BYTES} bytes: that is no pipeline's");
        return Err(io::Error::new(ErrorKind::InvalidData, what));
    }
    let is_there = !line.is_empty();
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    Ok(is_there.then_some(line))
}

/// Whether it is a word of the tap, and not a row: rows have many columns.
fn is_alone(said: &Json) -> bool {
    said.as_object().is_some_and(|object| object.len() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_does_not_end_is_no_pipelines() {
        let mut from = &b"{\"a\":1}\r\n\nlast"[..];
        let lines: Vec<String> =
            std::iter::from_fn(|| next_line(&mut from).expect("they are lines")).collect();
        assert_eq!(lines, ["{\"a\":1}", "", "last"]);
        let error = next_line(&mut BufReader::new(io::repeat(b'x'))).expect_err("it has no end");
        assert_eq!(error.kind(), ErrorKind::InvalidData);
    }
}
