//! Parameters and values of queries, between BigQuery's form and ours.

use google_cloud_bigquery_v2::model::{
    QueryParameter, QueryParameterType, QueryParameterValue, TableSchema,
};
use serde_json::Value as Json;

use clickmill_core::Micros;
use clickmill_tables::result_set::{Column, Kind, Parameter};

/// A named parameter.
pub(super) fn parameter((name, value): &(&str, Parameter)) -> QueryParameter {
    let (kind, value) = match value {
        Parameter::Text(text) => ("STRING", text.clone()),
        Parameter::Integer(number) => ("INT64", Some(number.to_string())),
        Parameter::Timestamp(moment) => ("TIMESTAMP", Some(moment.to_string())),
    };
    QueryParameter::new()
        .set_name(*name)
        .set_parameter_type(QueryParameterType::new().set_type(kind))
        .set_parameter_value(QueryParameterValue::new().set_or_clear_value(value))
}

/// The columns of an answer.
pub(super) fn columns(schema: Option<&TableSchema>) -> Vec<Column> {
    let fields = schema.map(|schema| schema.fields.as_slice()).unwrap_or_default();
    let column = |field: &google_cloud_bigquery_v2::model::TableFieldSchema| Column {
        name: field.name.clone(),
        kind: match field.r#type.as_str() {
            "INTEGER" | "INT64" | "FLOAT" | "FLOAT64" | "NUMERIC" | "BIGNUMERIC" => Kind::Number,
            "BOOLEAN" | "BOOL" => Kind::Boolean,
            "TIMESTAMP" => Kind::Timestamp,
            "DATE" => Kind::Date,
            _ => Kind::Text,
        },
    };
    fields.iter().map(column).collect()
}

/// A value as BigQuery sends it, in the form of [`Kind`].
pub(super) fn value(value: Json, kind: Kind) -> Json {
    match (kind, value) {
        (Kind::Number, Json::String(text)) => match text.parse::<i64>() {
            Ok(number) => number.into(),
            Err(_) => text.parse::<f64>().map_or(Json::Null, Json::from),
        },
        (Kind::Boolean, Json::String(text)) => (text == "true").into(),
        // Microseconds since 1970.
        (Kind::Timestamp, Json::String(text)) => match text.parse::<i64>() {
            Ok(micros) => Micros::from(micros).to_string().into(),
            Err(_) => text.into(),
        },
        (Kind::Timestamp, Json::Number(number)) => {
            number.as_i64().map_or(Json::Null, |micros| Micros::from(micros).to_string().into())
        }
        (_, value) => value,
    }
}
