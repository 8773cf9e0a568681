//! The texts of the protocol: what the process says as JSON, and what callers do.

use arrow::error::ArrowError;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::error::{ExecError, PROTOCOL};
use super::frame::{self, Kind};
use crate::observe::summary::Counts;
use crate::swap::table as plugin_sets;
use crate::versions::version::VersionRecord;
use clickmill_config::{Pipeline, TableName};
use clickmill_core::schema::TableSchema;
use clickmill_core::{Fault, Micros};
use clickmill_sandbox::{PluginSet, RecordCounts};
use clickmill_source::{Listing, NotSeen};

/// What a caller says first.
#[derive(Deserialize)]
struct Hello {
    protocol: u64,
}

/// An object that is to be read.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct ObjectAsked {
    object: Option<String>,
    uri: Option<String>,
    ingest_time: i64,
}

/// An object that is to be read, as it is named.
#[derive(Debug, PartialEq)]
pub(super) struct Named {
    pub uri: String,
    /// As it was listed; any where absent.
    pub generation: Option<String>,
    pub ingest_time: Micros,
}

/// Where to look for objects.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Find {
    /// At the pipeline's source where absent.
    pub uri: Option<String>,
}

/// Whether a caller's hello is one.
pub(super) fn hello_of(body: &[u8]) -> Result<(), ExecError> {
    let said: Result<Hello, _> = serde_json::from_slice(body);
    let what = match said {
        Ok(Hello { protocol: PROTOCOL }) => return Ok(()),
        Ok(Hello { protocol }) => format!("the caller speaks protocol {protocol}"),
        Err(error) => format!("the caller's hello is not the JSON of a hello ({error})"),
    };
    Err(ExecError::Hello { what })
}

/// The object that an element names.
pub(super) fn object_of(body: &[u8]) -> Result<Named, String> {
    let asked: ObjectAsked =
        serde_json::from_slice(body).map_err(|error| format!("names no object: {error}"))?;
    let ingest_time = asked.ingest_time.into();
    match (asked.object, asked.uri) {
        (Some(object), None) => {
            let split = object.rsplit_once('@').map(|(uri, of)| (uri.to_owned(), of.to_owned()));
            let (uri, generation) = split.ok_or_else(|| {
                format!("names `{object}` without a generation, wanted `URI@GENERATION`")
            })?;
            Ok(Named { uri, generation: Some(generation), ingest_time })
        }
        (None, Some(uri)) => Ok(Named { uri, generation: None, ingest_time }),
        _ => Err("names no object: wanted one of `object` and `uri`".to_owned()),
    }
}

/// What a caller wants to find.
pub(super) fn find_of(body: &[u8]) -> Result<Find, String> {
    serde_json::from_slice(body).map_err(|error| format!("does not say where to look: {error}"))
}

/// What the process says first: hello, and the schemas of what it will send.
pub(super) fn hello(
    pipeline: &Pipeline,
    plugin_set: &str,
    watch: bool,
    max_frame_bytes: usize,
) -> Result<Vec<Vec<u8>>, ExecError> {
    let (sink, letters) = (&pipeline.sink, &pipeline.dead_letter);
    let sets = (sink.table.beside(plugin_sets::TABLE), plugin_sets::schema()?);
    let table = |table: &TableName, schema: &TableSchema| json!({ "table": table.to_string(), "columns": schema.fields() });
    let hello = json!({
        "protocol": PROTOCOL,
        "clickmill": env!("CARGO_PKG_VERSION"),
        "pipeline": pipeline.name,
        "takes": takes(pipeline),
        "plugin_set": plugin_set,
        "watch": watch,
        "tables": sink.tables().map(|(name, schema)| table(name, schema)).collect::<Vec<_>>(),
        "dead_letter": table(&letters.table, &letters.schema),
        "plugin_sets": table(&sets.0, &sets.1),
        "limits": {
            "max_frame_bytes": max_frame_bytes,
            "max_rows": pipeline.batch.max_rows,
            "max_bytes": pipeline.batch.max_bytes,
            "max_record_bytes": pipeline.format.max_record_bytes(),
        },
    });
    let failed = |source| ExecError::Rows { element: 0, source };
    let mut frames = vec![frame::json(Kind::Hello, &hello)];
    for (number, (_, schema)) in (0..).zip(sink.tables()) {
        frames.push(frame::schema(Kind::Rows, number, &schema.arrow()).map_err(failed)?);
    }
    frames.push(frame::schema(Kind::Letters, 0, &letters.schema.arrow()).map_err(failed)?);
    Ok(frames)
}

/// What elements a pipeline takes.
pub(super) fn takes(pipeline: &Pipeline) -> &'static str {
    if pipeline.source.is_stream() { "messages" } else { "objects" }
}

/// What a plugin set is made of.
pub(super) fn plugin_set(set: &PluginSet, pipeline: &str) -> Result<Vec<u8>, ExecError> {
    let failed = |source: ArrowError| ExecError::Rows { element: 0, source };
    let schema = plugin_sets::schema()?;
    let rows = plugin_sets::rows(set, pipeline, Micros::now(), &schema).map_err(failed)?;
    let mut frames = Vec::new();
    // Of a few stages it is one.
    frame::rows(Kind::PluginSet, 0, &rows, usize::MAX, &mut frames).map_err(failed)?;
    Ok(frames.concat())
}

/// The end of an element that is answered.
pub(super) fn counts(
    element: u64,
    source: Option<&str>,
    version: &VersionRecord,
    counts: &Counts,
) -> Result<Vec<u8>, ExecError> {
    let RecordCounts { with_rows, with_letters_only, filtered_whole } = counts.records;
    let records = with_rows + with_letters_only + filtered_whole;
    if records != counts.rows_in || counts.rows_in + counts.rows_made != counts.rows_told() {
        return Err(ExecError::Counts { element, counts: counts.summary_line() });
    }
    let rejected = counts.rejected_by.iter();
    let rejected =
        rejected.map(|((stage, code), rows)| json!({ "stage": stage, "code": code, "rows": rows }));
    let plugins = counts.stages.iter().map(|(name, stage)| {
        json!({
            "name": name,
            "rows_in": stage.rows_in,
            "rows_rejected": stage.rejected,
            "rows_filtered": stage.filtered,
            "unreadable": stage.unreadable,
            "faults": stage.faults,
            "fuel": stage.fuel,
            "seconds": stage.time.as_secs_f64(),
        })
    });
    let mut said = json!({
        "element": element,
        "rows_in": counts.rows_in,
        "rows_made": counts.rows_made,
        "rows_out": counts.rows_out,
        "rows_rejected": counts.rows_rejected,
        "rows_filtered": counts.rows_filtered,
        "rows_by_table": counts.rows_by_table,
        "records": {
            "with_rows": with_rows,
            "with_letters_only": with_letters_only,
            "filtered_whole": filtered_whole,
        },
        "bytes": counts.bytes,
        "plugin_set": version.set.digest,
        "rejected_by": rejected.collect::<Vec<_>>(),
        "plugins": plugins.collect::<Vec<_>>(),
    });
    if let Some(source) = source {
        said["source"] = source.into();
    }
    Ok(frame::json(Kind::Counts, &said))
}

/// The end of an element that is not answered.
pub(super) fn failed(
    element: u64,
    object: Option<&str>,
    error: &dyn std::error::Error,
    fault: Fault,
) -> Vec<u8> {
    let exit = match fault {
        Fault::Input => 2,
        Fault::Environment => 3,
        Fault::Run | Fault::Bug => 1,
    };
    let mut said = error_of(error, None, exit);
    said["element"] = element.into();
    said["object"] = object.into();
    frame::json(Kind::Failed, &said)
}

/// What ends the process, as a frame.
pub fn error_frame(error: &dyn std::error::Error, hint: Option<&str>, exit: u8) -> Vec<u8> {
    frame::json(Kind::Error, &error_of(error, hint, exit))
}

fn error_of(error: &dyn std::error::Error, hint: Option<&str>, exit: u8) -> Json {
    let mut causes = clickmill_core::chain(error);
    let said = causes.remove(0);
    json!({ "error": said, "causes": causes, "hint": hint, "exit": exit })
}

/// What there is.
pub(super) fn objects(listing: &Listing) -> Vec<u8> {
    let objects = listing.objects.iter();
    let objects = objects.map(|object| json!({ "object": object.name(), "bytes": object.size }));
    let passed_over = listing.passed_over.iter();
    let passed_over = passed_over.map(|passed| json!({ "object": passed.uri, "why": passed.why }));
    let not_seen = listing.not_seen.iter();
    let not_seen = not_seen.map(
        |NotSeen { uri, error }| json!({ "object": uri, "why": clickmill_core::causes(error) }),
    );
    let said = json!({
        "objects": objects.collect::<Vec<_>>(),
        "passed_over": passed_over.collect::<Vec<_>>(),
        "not_seen": not_seen.collect::<Vec<_>>(),
    });
    frame::json(Kind::Objects, &said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_named_with_its_generation_or_as_it_is_there() {
        let named = |uri: &str, generation: Option<&str>| {
            let (uri, generation) = (uri.to_owned(), generation.map(str::to_owned));
            Ok(Named { uri, generation, ingest_time: 7.into() })
        };
        for (text, wanted) in [
            (
                r#"{"object": "file:///a@b.csv@12-3", "ingest_time": 7}"#,
                named("file:///a@b.csv", Some("12-3")),
            ),
            (r#"{"uri": "gs://b/a@b.csv", "ingest_time": 7}"#, named("gs://b/a@b.csv", None)),
            (r#"{"uri": "gs://b/a@123", "ingest_time": 7}"#, named("gs://b/a@123", None)),
            (
                r#"{"object": "gs://b/a@123@1732890000123456", "ingest_time": 7}"#,
                named("gs://b/a@123", Some("1732890000123456")),
            ),
        ] {
            assert_eq!(object_of(text.as_bytes()), wanted, "{text}");
        }
        for (text, said) in [
            (
                r#"{"object": "file:///a.csv", "ingest_time": 7}"#,
                "names `file:///a.csv` without a generation, wanted `URI@GENERATION`",
            ),
            (r#"{"ingest_time": 7}"#, "names no object: wanted one of `object` and `uri`"),
            (r#"{"uri": "a"}"#, "names no object: missing field `ingest_time` at line 1 column 12"),
            ("\0", "names no object: expected value at line 1 column 1"),
        ] {
            assert_eq!(object_of(text.as_bytes()), Err(said.to_owned()), "{text}");
        }
    }

    #[test]
    fn another_protocol_is_refused_by_its_number() {
        assert!(hello_of(br#"{"protocol": 1, "caller": "beam"}"#).is_ok());
        let error = hello_of(br#"{"protocol": 2}"#).expect_err("another");
        assert_eq!(
            error.to_string(),
            "the caller speaks protocol 2, wanted hello with protocol 1 first, and once"
        );
        assert!(hello_of(b"{}").is_err());
    }
}
