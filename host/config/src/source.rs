//! The source of a pipeline file, and how its bytes become records.

use std::path::Path;
use std::time::Duration;

use encoding_rs::{Encoding, UTF_8};

use super::input::ending;
use super::problem::{Problem, join, problem};
use super::{Dialect, Format, Generated, Payload, Source, Watch, raw, service};

/// Checks a source, and tells the format of its records.
pub(super) fn check(
    section: raw::Source,
    folder: &Path,
    problems: &mut Vec<Problem>,
) -> Option<(Source, Format)> {
    match section {
        raw::Source::Storage {
            uri,
            format,
            csv,
            max_record_bytes,
            watch,
            watch_interval_secs,
            watch_rest_secs,
            watch_all_secs,
            claim_lease_secs,
        } => {
            let name = format.or_else(|| format_of(&uri));
            let Some(name) = name else {
                let message = format!("can't be told from `{uri}`, wanted `csv` or `ndjson`");
                problem(problems, "source.format", message);
                return None;
            };
            let format = check_format(name, &csv, max_record_bytes, problems)?;
            if uri == "-" {
                return Some((Source::Stdin, format));
            }
            let uri = if uri.contains("://") {
                uri
            } else {
                // All that a folder holds, if the name ends as one.
                let end = if uri.ends_with('/') { "/" } else { "" };
                format!("{}{end}", join(folder, &uri).to_string_lossy())
            };
            let watch = watch.then(|| Watch {
                interval: Duration::from_secs(watch_interval_secs),
                rest: Duration::from_secs(watch_rest_secs),
                // A folder is listed at no cost.
                all: watch_all_secs.filter(|_| uri.starts_with("gs://")).map(Duration::from_secs),
            });
            let claim_lease = claim_lease_secs.map(Duration::from_secs);
            Some((Source::Storage { uri, watch, claim_lease }, format))
        }
        raw::Source::Stdin { format, csv, max_record_bytes } => {
            Some((Source::Stdin, check_format(format, &csv, max_record_bytes, problems)?))
        }
        raw::Source::Generator { data, rows, seed, bad, rate } => {
            let max_record_bytes = 1 << 20;
            let format = match (data.as_str(), rate) {
                ("shop", None) => {
                    let dialect = Dialect { delimiter: Some(b';'), ..Dialect::default() };
                    Format::Csv { dialect, max_record_bytes }
                }
                ("clicks" | "events", None) => Format::Ndjson { max_record_bytes },
                ("clicks" | "events", Some(_)) => {
                    Format::Message { max_record_bytes, payload: Payload::Text }
                }
                ("shop", Some(_)) => {
                    let message = "is for `data = \"clicks\"` and `\"events\"`: shop clicks are lines of one file";
                    problem(problems, "source.rate", message.to_owned());
                    return None;
                }
                _ => {
                    let message = format!("is `{data}`, wanted `shop`, `clicks` or `events`");
                    problem(problems, "source.data", message);
                    return None;
                }
            };
            // A stream goes on until it is stopped.
            let rows = rows.unwrap_or(if rate.is_some() { u64::MAX } else { 100_000 });
            let bad = bad.unwrap_or_else(|| "0%".to_owned());
            let generated = Generated { data, rows, seed, bad };
            let source = match rate {
                Some(rate) => Source::Live { generated, rate },
                None => Source::Generator(generated),
            };
            Some((source, format))
        }
        raw::Source::PubSub(section) => {
            let max_record_bytes = section.max_record_bytes;
            let payload = section.payload;
            let source = service::pubsub(section, problems)?;
            Some((Source::PubSub(source), Format::Message { max_record_bytes, payload }))
        }
    }
}

/// The format that a name's ending tells.
fn format_of(uri: &str) -> Option<raw::FormatName> {
    match ending(uri)?.as_str() {
        "csv" | "tsv" => Some(raw::FormatName::Csv),
        "ndjson" | "jsonl" | "json" => Some(raw::FormatName::Ndjson),
        _ => None,
    }
}

fn check_format(
    name: raw::FormatName,
    csv: &raw::Csv,
    max_record_bytes: usize,
    problems: &mut Vec<Problem>,
) -> Option<Format> {
    match name {
        raw::FormatName::Ndjson => Some(Format::Ndjson { max_record_bytes }),
        raw::FormatName::Csv => {
            let mut byte = |key: &str, text: &str| match text.as_bytes() {
                [byte] if byte.is_ascii() && !matches!(byte, b'\r' | b'\n') => Some(*byte),
                _ => {
                    let message =
                        format!("is `{}`, wanted one ASCII character", text.escape_default());
                    problem(problems, &format!("source.csv.{key}"), message);
                    None
                }
            };
            let delimiter = csv.delimiter.as_deref().map(|text| byte("delimiter", text));
            let quote = byte("quote", &csv.quote);
            let escape = csv.escape.as_deref().map(|text| byte("escape", text));
            let (delimiter, quote) = (or_none(delimiter)?, quote?);
            let escape = or_none(escape)?;
            for (key, other) in [("quote", Some(quote)), ("escape", escape)] {
                if delimiter.is_some() && delimiter == other {
                    let message = format!("is the same as `source.csv.{key}`");
                    problem(problems, "source.csv.delimiter", message);
                }
            }
            let encoding = csv.encoding.as_deref().map(|name| {
                let found = Encoding::for_label_no_replacement(name.as_bytes());
                if found.is_none() {
                    let message = format!(
                        "is `{}`, wanted an encoding by its name on the web, such as `windows-1252` or `utf-16`",
                        name.escape_default()
                    );
                    problem(problems, "source.csv.encoding", message);
                }
                found
            });
            let dialect = Dialect {
                delimiter,
                quote,
                escape,
                trailing_delimiter: csv.trailing_delimiter,
                header: csv.header,
                repeated_names: csv.repeated_names,
                // Without another encoding a record that is not UTF-8 is refused by itself.
                encoding: or_none(encoding)?.filter(|encoding| *encoding != UTF_8),
            };
            Some(Format::Csv { dialect, max_record_bytes })
        }
    }
}

/// What is given and fine, or not given; `None` where it is given and is not fine.
fn or_none<T>(given: Option<Option<T>>) -> Option<Option<T>> {
    given.map_or(Some(None), |fine| fine.map(Some))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoding(name: &str) -> Option<&'static Encoding> {
        let csv = raw::Csv { encoding: Some(name.to_owned()), ..raw::Csv::default() };
        let mut problems = Vec::new();
        let format = check_format(raw::FormatName::Csv, &csv, 1024, &mut problems);
        match format {
            Some(Format::Csv { dialect, .. }) if problems.is_empty() => dialect.encoding,
            other => panic!("{name}: {other:?}"),
        }
    }

    #[test]
    fn utf_8_by_its_name_is_what_there_is_without_one() {
        for name in ["utf-8", "UTF-8", "utf8", "unicode-1-1-utf-8"] {
            assert_eq!(encoding(name), None, "{name}");
        }
        assert_eq!(encoding("latin1"), Some(encoding_rs::WINDOWS_1252));
    }
}
