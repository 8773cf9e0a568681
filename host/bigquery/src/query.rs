//! Parameters and values of queries, between BigQuery's form and ours.

use google_cloud_bigquery_v2::model::{
    QueryParameter, QueryParameterType, QueryParameterValue, TableFieldSchema, TableSchema,
};
use serde_json::Value as Json;

use clickmill_core::Micros;
use clickmill_tables::result_set::{Column, Kind, Parameter, exact, json};

/// A named parameter.
pub(super) fn parameter((name, value): &(&str, Parameter)) -> QueryParameter {
    let (kind, value) = match value {
        Parameter::Text(text) => ("STRING", text.clone()),
        Parameter::Integer(number) => ("INT64", Some(number.to_string())),
        Parameter::Timestamp(moment) => ("TIMESTAMP", Some(moment.to_string())),
        Parameter::Written(of, value) => (of.name(), value.clone()),
    };
    QueryParameter::new()
        .set_name(*name)
        .set_parameter_type(QueryParameterType::new().set_type(kind))
        .set_parameter_value(QueryParameterValue::new().set_or_clear_value(value))
}

/// The columns of an answer.
pub(super) fn columns(schema: Option<&TableSchema>) -> Vec<Column> {
    let column =
        |field: &TableFieldSchema| Column { name: field.name.clone(), kind: kind_of(field) };
    fields(schema).iter().map(column).collect()
}

/// The columns of an answer as BigQuery tells them.
pub(super) fn fields(schema: Option<&TableSchema>) -> &[TableFieldSchema] {
    schema.map(|schema| schema.fields.as_slice()).unwrap_or_default()
}

fn kind_of(field: &TableFieldSchema) -> Kind {
    if field.mode == "REPEATED" {
        return Kind::Json;
    }
    match field.r#type.as_str() {
        "INTEGER" | "INT64" | "FLOAT" | "FLOAT64" | "NUMERIC" | "BIGNUMERIC" => Kind::Number,
        "BOOLEAN" | "BOOL" => Kind::Boolean,
        "TIMESTAMP" => Kind::Timestamp,
        "DATE" => Kind::Date,
        "RECORD" | "STRUCT" | "JSON" => Kind::Json,
        _ => Kind::Text,
    }
}

/// A value as the client reads it, in the form of [`Kind`]: lists are lists and records are objects, with
/// the values in them as BigQuery sends them.
pub(super) fn value(value: Json, field: &TableFieldSchema) -> Json {
    if field.mode == "REPEATED" {
        let Json::Array(elements) = value else { return Json::Array(Vec::new()) };
        return elements.into_iter().map(|element| one(element, field)).collect();
    }
    one(value, field)
}

/// The same for a single value.
fn one(value: Json, field: &TableFieldSchema) -> Json {
    match (field.r#type.as_str(), value) {
        ("RECORD" | "STRUCT", Json::Object(mut record)) => {
            let named = field.fields.iter().map(|field| {
                let found = record.remove(&field.name).unwrap_or_default();
                (field.name.clone(), self::value(found, field))
            });
            Json::Object(named.collect())
        }
        ("JSON", Json::String(text)) => json(&text),
        ("NUMERIC" | "BIGNUMERIC", Json::String(digits)) => exact(&digits),
        (_, value) => scalar(value, kind_of(field)),
    }
}

fn scalar(value: Json, kind: Kind) -> Json {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nested_answers_are_told_as_the_warehouse_tells_them() {
        let field = |name: &str, kind: &str, mode: &str| {
            TableFieldSchema::new().set_name(name).set_type(kind).set_mode(mode)
        };
        let items = field("items", "RECORD", "REPEATED").set_fields([
            field("price", "NUMERIC", "NULLABLE"),
            field("tags", "STRING", "REPEATED"),
            field("raw", "JSON", "NULLABLE"),
            field("at", "RECORD", "NULLABLE").set_fields([field("n", "INTEGER", "NULLABLE")]),
        ]);
        let sent = json!([
            {"price": "19.99", "tags": ["a", "b"], "raw": "{\"k\":1}", "at": {"n": "7"}},
            {"price": null, "tags": [], "raw": null, "at": null}
        ]);
        let wanted = json!([
            {"price": 19.99, "tags": ["a", "b"], "raw": {"k": 1}, "at": {"n": 7}},
            {"price": null, "tags": [], "raw": null, "at": null}
        ]);
        assert_eq!(value(sent, &items), wanted);
        assert_eq!(kind_of(&items), Kind::Json);
        assert_eq!(value(Json::Null, &items), json!([]));
        assert_eq!(value(json!("2.50"), &field("n", "NUMERIC", "NULLABLE")), json!(2.5));
        assert_eq!(value(json!("true"), &field("b", "BOOL", "NULLABLE")), json!(true));
    }
}
