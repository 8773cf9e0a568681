//! Rows as JSON objects, and as columns. Bytes are in base64, as BigQuery has them; JSON is read as it is, or as its
//! text.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef, Float64Type, Schema};
use arrow::error::ArrowError;
use arrow::json::writer::{JsonArray, NullableEncoder, WriterBuilder};
use arrow::json::{Encoder, EncoderFactory, EncoderOptions, ReaderBuilder};
use arrow::util::display::array_value_to_string;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::IgnoredAny;
use serde_json::{Map, Number, Value as Json};

use super::kind::{Kind, is_json};

/// Rows of JSON as columns. What a row lacks is null.
pub(super) fn decode(
    schema: &Schema,
    rows: &[&Map<String, Json>],
) -> Result<RecordBatch, ArrowError> {
    let lax = |field: &Arc<Field>| field.as_ref().clone().with_nullable(true);
    let schema = Arc::new(Schema::new(schema.fields().iter().map(lax).collect::<Vec<_>>()));
    if schema.fields().is_empty() {
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        return RecordBatch::try_new_with_options(schema, Vec::new(), &options);
    }
    let mut decoder =
        ReaderBuilder::new(schema.clone()).with_batch_size(rows.len().max(1)).build_decoder()?;
    if schema.fields().iter().any(|field| is_read_otherwise(field)) {
        let all = Field::new_struct("", schema.fields().clone(), false);
        let rows = rows.iter().map(|row| for_arrow(&all, &Json::from((*row).clone())));
        decoder.serialize(&rows.collect::<Result<Vec<_>, _>>()?)?;
    } else {
        decoder.serialize(rows)?;
    }
    match decoder.flush()? {
        Some(batch) => Ok(batch),
        None => Ok(RecordBatch::new_empty(schema)),
    }
}

/// Whether Arrow reads values of it in another form.
fn is_read_otherwise(field: &Field) -> bool {
    match field.data_type() {
        DataType::Binary => true,
        DataType::List(element) => is_read_otherwise(element),
        DataType::Struct(fields) => fields.iter().any(|field| is_read_otherwise(field)),
        _ => is_json(field),
    }
}

fn is_text_of_json(value: &Json) -> bool {
    value.as_str().is_some_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
}

/// The value as Arrow reads it: bytes in hexadecimal digits, and JSON as its text.
fn for_arrow(field: &Field, value: &Json) -> Result<Json, ArrowError> {
    Ok(match (field.data_type(), value) {
        (_, Json::Null) => Json::Null,
        (DataType::Binary, Json::String(text)) => {
            let bytes = STANDARD.decode(text).map_err(|error| {
                ArrowError::JsonError(format!("`{text}` is to be bytes in base64: {error}"))
            })?;
            Json::from(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        }
        (DataType::List(element), Json::Array(values)) => {
            values.iter().map(|value| for_arrow(element, value)).collect::<Result<_, _>>()?
        }
        (DataType::Struct(fields), Json::Object(values)) => {
            let value = |(name, value): (&String, &Json)| {
                let field = fields.iter().find(|field| field.name() == name);
                let value = match field {
                    Some(field) => for_arrow(field, value)?,
                    None => value.clone(),
                };
                Ok((name.clone(), value))
            };
            let values: Result<Map<String, Json>, ArrowError> = values.iter().map(value).collect();
            values?.into()
        }
        _ if is_json(field) && !is_text_of_json(value) => value.to_string().into(),
        _ => value.clone(),
    })
}

/// Rows as JSON, from which [`decode`] makes the same. A null is left out, or told where `nulls` are wanted.
pub(super) fn encode(
    rows: &RecordBatch,
    nulls: bool,
) -> Result<Vec<Map<String, Json>>, ArrowError> {
    if rows.num_columns() == 0 {
        return Ok(vec![Map::new(); rows.num_rows()]);
    }
    let writer = WriterBuilder::new().with_explicit_nulls(nulls);
    let mut writer = writer.with_encoder_factory(Arc::new(Exact)).build::<_, JsonArray>(Vec::new());
    writer.write(rows)?;
    writer.finish()?;
    let rows = serde_json::from_slice(&writer.into_inner());
    rows.map_err(|error| ArrowError::JsonError(error.to_string()))
}

/// Bytes in base64, decimals as texts, since numbers of JSON may lose digits, and as texts the floats that no number
/// of JSON is.
#[derive(Debug)]
struct Exact;

/// Writes what needs no escape within quotes.
struct Quoted<F>(F);

impl<F: Fn(usize) -> String> Encoder for Quoted<F> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        out.push(b'"');
        out.extend_from_slice((self.0)(row).as_bytes());
        out.push(b'"');
    }
}

/// Writes floats of which some are no numbers of JSON.
struct Floats<'a>(&'a Float64Array);

impl Encoder for Floats<'_> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        let value = self.0.value(row);
        let told = match Number::from_f64(value) {
            Some(number) => number.to_string(),
            None if value.is_nan() => r#""NaN""#.to_owned(),
            None if value > 0.0 => r#""Infinity""#.to_owned(),
            None => r#""-Infinity""#.to_owned(),
        };
        out.extend_from_slice(told.as_bytes());
    }
}

impl EncoderFactory for Exact {
    fn make_default_encoder<'a>(
        &self,
        _field: &'a FieldRef,
        array: &'a dyn Array,
        _options: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        let encoder: Box<dyn Encoder + 'a> = if let Some(bytes) = array.as_binary_opt::<i32>() {
            Box::new(Quoted(move |row| STANDARD.encode(bytes.value(row))))
        } else if let Some(decimals) = array.as_primitive_opt::<Decimal128Type>() {
            Box::new(Quoted(move |row| decimals.value_as_string(row)))
        } else if let Some(floats) = array.as_primitive_opt::<Float64Type>()
            && floats.values().iter().any(|value| !value.is_finite())
        {
            Box::new(Floats(floats))
        } else {
            return Ok(None);
        };
        Ok(Some(NullableEncoder::new(encoder, array.nulls().cloned())))
    }
}

/// Columns with their texts written out. Those of types that no plugin is given are left out.
pub(super) fn plainly(rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    for (field, column) in rows.schema_ref().fields().iter().zip(rows.columns()) {
        if let Some(kind) = Kind::of(field) {
            let field = kind.field(field.name());
            columns.push(cast(column, field.data_type())?);
            fields.push(field);
        }
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
}

/// What of a row is not as wanted, by column. Columns that are not wanted are not looked at.
pub(super) fn differences(
    wanted: &Map<String, Json>,
    rows: &RecordBatch,
    row: usize,
) -> Result<Vec<String>, ArrowError> {
    let mut differences = Vec::new();
    for (name, value) in wanted {
        let Some(got) = rows.column_by_name(name) else {
            differences.push(format!("there is no column `{name}`"));
            continue;
        };
        let got = plain(&got.slice(row, 1), rows.schema_ref().field_with_name(name)?)?;
        let schema = Schema::new(vec![Field::new(name, got.data_type().clone(), true)]);
        let one = Map::from_iter([(name.clone(), value.clone())]);
        let wanted: ArrayRef = decode(&schema, &[&one])?.column(0).clone();
        if *wanted != *got {
            differences.push(format!("`{name}` is {}, wanted {}", shown(&got)?, shown(&wanted)?));
        }
    }
    Ok(differences)
}

/// A column with its texts written out.
fn plain(column: &ArrayRef, field: &Field) -> Result<ArrayRef, ArrowError> {
    match Kind::of(field) {
        Some(kind) => cast(column, kind.field(field.name()).data_type()),
        None => Ok(column.clone()),
    }
}

/// The first value of a column, in words.
fn shown(array: &ArrayRef) -> Result<String, ArrowError> {
    Ok(match array.as_binary_opt::<i32>() {
        _ if array.is_null(0) => "nothing".to_owned(),
        Some(bytes) => format!("`{}`", STANDARD.encode(bytes.value(0))),
        None => format!("`{}`", array_value_to_string(array, 0)?),
    })
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::TimeUnit;
    use serde_json::json;

    use super::*;
    use crate::kind::marked;

    fn row(json: Json) -> Map<String, Json> {
        json.as_object().cloned().expect("an object")
    }

    #[test]
    fn bytes_are_in_base64_wherever_they_are() {
        let bytes = |name: &str| Field::new(name, DataType::Binary, true);
        let record = DataType::Struct(vec![bytes("raw")].into());
        let list = DataType::List(Arc::new(Field::new("item", record, false)));
        let schema = Schema::new(vec![bytes("payload"), Field::new("parts", list, true)]);
        let first = row(json!({"payload": "AP9oaQ==", "parts": [{"raw": "aGk="}, {}]}));
        let batch = decode(&schema, &[&first, &row(json!({}))]).unwrap();
        let payload = batch.column(0).as_binary::<i32>();
        assert_eq!(payload.value(0), b"\x00\xffhi");
        assert!(payload.is_null(1));
        let parts = batch.column(1).as_list::<i32>().value(0);
        let raw = parts.as_struct().column(0).as_binary::<i32>();
        assert_eq!((raw.value(0), raw.is_null(1)), (&b"hi"[..], true));
        assert_eq!(differences(&first, &batch, 0).unwrap(), [""; 0]);
        let other = row(json!({"payload": "aGk="}));
        let wanted = ["`payload` is `AP9oaQ==`, wanted `aGk=`"];
        assert_eq!(differences(&other, &batch, 0).unwrap(), wanted);
        let wrong = row(json!({"payload": "not base64"}));
        let error = decode(&schema, &[&wrong]).unwrap_err().to_string();
        assert!(error.contains("`not base64` is to be bytes in base64"), "{error}");
    }

    #[test]
    fn rows_become_json_and_the_same_rows_again() {
        let field = |name: &str, data_type: DataType| Field::new(name, data_type, true);
        let micros = TimeUnit::Microsecond;
        let record =
            vec![field("raw", DataType::Binary), field("price", DataType::Decimal128(38, 9))];
        let element = Field::new("item", DataType::Struct(record.into()), false);
        let schema = Schema::new(vec![
            field("price", DataType::Decimal128(38, 9)),
            field("day", DataType::Date32),
            field("time", DataType::Time64(micros)),
            field("local", DataType::Timestamp(micros, None)),
            field("at", clickmill_core::schema::timestamp_type()),
            field("ratio", DataType::Float64),
            field("count", DataType::Int64),
            field("flag", DataType::Boolean),
            field("text", DataType::Utf8),
            field("items", DataType::List(Arc::new(element))),
        ]);
        let rows = [
            row(json!({
                "price": "12345678901234567890123456789.123456789", "day": "2026-05-01",
                "time": "10:11:12.000013", "local": "2026-05-01T10:11:12.5",
                "at": "2026-05-01T10:11:12.000001Z", "ratio": 0.1, "count": i64::MIN, "flag": true,
                "text": "\"\u{7}\u{1f600}", "items": [{"raw": "AP8=", "price": "-0.000000001"}, {}],
            })),
            row(json!({"items": []})),
            row(json!({"ratio": "NaN"})),
            row(json!({"ratio": "Infinity"})),
            row(json!({"ratio": "-Infinity"})),
        ];
        let batch = decode(&schema, &rows.each_ref()).unwrap();
        let ratio = batch.column(5).as_primitive::<Float64Type>();
        assert_eq!((ratio.null_count(), ratio.value(4)), (1, f64::NEG_INFINITY));
        for nulls in [false, true] {
            let told = encode(&plainly(&batch).unwrap(), nulls).unwrap();
            let again: Vec<&Map<String, Json>> = told.iter().collect();
            assert_eq!(decode(&schema, &again).unwrap(), batch);
            assert_eq!(told[1].contains_key("day"), nulls);
            assert_eq!(told[0]["price"], rows[0]["price"]);
        }
    }

    #[test]
    fn json_is_read_as_it_is_and_as_its_text() {
        let raw = marked(Field::new("raw", DataType::Utf8, true), crate::boundary::DataType::Json);
        let element = Field::new("item", DataType::Struct(vec![raw.clone()].into()), false);
        let items = Field::new("items", DataType::List(Arc::new(element)), true);
        let schema = Schema::new(vec![raw, items]);
        let read = |raw: Json| {
            let row = row(json!({ "raw": raw.clone(), "items": [{ "raw": raw }] }));
            let batch = decode(&schema, &[&row]).unwrap();
            let items = batch.column(1).as_list::<i32>().value(0);
            let texts = [batch.column(0), items.as_struct().column(0)];
            let [one, other] = texts.map(|text| text.as_string::<i32>().iter().next().flatten());
            assert_eq!(one, other);
            one.map(str::to_owned)
        };
        for (given, text) in [
            (json!({"a": [1, null]}), r#"{"a":[1,null]}"#),
            (json!(r#"{"a": [1, null]}"#), r#"{"a": [1, null]}"#),
            (json!("a word"), r#""a word""#),
            (json!(7), "7"),
        ] {
            assert_eq!(read(given).as_deref(), Some(text));
        }
        assert_eq!(read(Json::Null), None);
    }

    #[test]
    fn all_columns_that_differ_are_told() {
        let schema = Schema::new(vec![
            Field::new("a", DataType::Int64, true),
            Field::new("b", DataType::Utf8, true),
        ]);
        let batch = decode(&schema, &[&row(json!({"a": 1, "b": "x"}))]).unwrap();
        let wanted = row(json!({"a": 2, "b": null, "c": true}));
        let told =
            ["`a` is `1`, wanted `2`", "`b` is `x`, wanted nothing", "there is no column `c`"];
        assert_eq!(differences(&wanted, &batch, 0).unwrap(), told);
    }
}
