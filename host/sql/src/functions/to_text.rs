//! Functions of BigQuery that DataFusion has none for: those by which values that are no text become text.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use arrow::error::ArrowError;
use arrow::json::writer::{Encoder, EncoderFactory, EncoderOptions, NullableEncoder, make_encoder};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use datafusion::common::plan_err;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// All of them.
pub(super) fn all() -> [ScalarUDF; 2] {
    [ToText::new(Form::Base64), ToText::new(Form::Json)].map(ScalarUDF::from)
}

/// A function of one value that gives text.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ToText {
    form: Form,
    signature: Signature,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Form {
    /// `TO_BASE64(bytes)`.
    Base64,
    /// `TO_JSON_STRING(value)`.
    Json,
}

impl ToText {
    fn new(form: Form) -> Self {
        Self { form, signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for ToText {
    // The planner looks for names in lower case.
    fn name(&self) -> &str {
        match self.form {
            Form::Base64 => "to_base64",
            Form::Json => "to_json_string",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType, DataFusionError> {
        let takes = match self.form {
            Form::Base64 => is_bytes,
            Form::Json => is_plain,
        };
        match arguments.iter().find(|kind| !takes(kind)) {
            Some(kind) => plan_err!("{} does not take {kind} here", self.name().to_uppercase()),
            None => Ok(DataType::Utf8),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue, DataFusionError> {
        let [values] = &ColumnarValue::values_to_arrays(&args.args)?[..] else {
            return plan_err!("{} takes one value", self.name().to_uppercase());
        };
        let texts = match self.form {
            Form::Base64 => base64(values)?,
            Form::Json => json(values)?,
        };
        Ok(ColumnarValue::Array(Arc::new(texts)))
    }
}

fn base64(values: &ArrayRef) -> Result<StringArray, ArrowError> {
    let values = cast(values, &DataType::Binary)?;
    Ok(values.as_binary::<i32>().iter().map(|bytes| bytes.map(|b| STANDARD.encode(b))).collect())
}

/// As BigQuery does: nulls are `null`, within a record too.
fn json(values: &ArrayRef) -> Result<StringArray, ArrowError> {
    let field = Arc::new(Field::new("value", values.data_type().clone(), true));
    let options = EncoderOptions::default()
        .with_explicit_nulls(true)
        .with_encoder_factory(Arc::new(WholeNumbers));
    let mut encoder = make_encoder(&field, values, &options)?;
    let mut texts = StringBuilder::new();
    let mut text = Vec::new();
    for row in 0..values.len() {
        text.clear();
        // Without a type there is no encoder that takes nulls, nor a null that is marked.
        if values.data_type().is_null() || values.is_null(row) {
            text.extend(b"null");
        } else {
            encoder.encode(row, &mut text);
        }
        let text = std::str::from_utf8(&text);
        texts.append_value(text.map_err(|error| ArrowError::JsonError(error.to_string()))?);
    }
    Ok(texts.finish())
}

/// Whole numbers as BigQuery writes them: those that a FLOAT64 may not hold are texts.
#[derive(Debug)]
struct WholeNumbers;

impl EncoderFactory for WholeNumbers {
    fn make_default_encoder<'a>(
        &self,
        _: &'a FieldRef,
        values: &'a dyn Array,
        _: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        Ok(values.as_primitive_opt::<Int64Type>().map(|numbers| {
            NullableEncoder::new(Box::new(WholeNumber(numbers)), numbers.nulls().cloned())
        }))
    }
}

struct WholeNumber<'a>(&'a Int64Array);

impl Encoder for WholeNumber<'_> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        const EXACT: u64 = 1 << f64::MANTISSA_DIGITS;
        let number = self.0.value(row);
        let mark = if number.unsigned_abs() > EXACT { "\"" } else { "" };
        out.extend(format!("{mark}{number}{mark}").bytes());
    }
}

fn is_bytes(kind: &DataType) -> bool {
    use DataType::{Binary, BinaryView, LargeBinary, Null};
    matches!(kind, Binary | LargeBinary | BinaryView | Null)
}

/// Whether Arrow's JSON of it is BigQuery's: not that of bytes, instants and the like.
fn is_plain(kind: &DataType) -> bool {
    match kind {
        DataType::Null | DataType::Boolean => true,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::List(item) => is_plain(item.data_type()),
        DataType::Struct(fields) => fields.iter().all(|field| is_plain(field.data_type())),
        number => number.is_integer(),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{BinaryArray, ListBuilder, StructBuilder};
    use arrow::datatypes::Fields;

    use super::*;

    #[test]
    fn bytes_become_base64() {
        let values: ArrayRef = Arc::new(BinaryArray::from(vec![Some(&b"abc\0\xff"[..]), None]));
        let texts = base64(&values).unwrap();
        assert_eq!(texts, StringArray::from(vec![Some("YWJjAP8="), None]));
    }

    #[test]
    fn records_become_json_with_their_nulls() {
        let text = |name| Field::new(name, DataType::Utf8, true);
        let fields = Fields::from(vec![text("key"), text("value")]);
        let mut list = ListBuilder::new(StructBuilder::from_fields(fields, 1));
        for (at, value) in [Some("v\"1"), None].into_iter().enumerate() {
            let record = list.values();
            record.field_builder::<StringBuilder>(0).unwrap().append_value(format!("k{at}"));
            record.field_builder::<StringBuilder>(1).unwrap().append_option(value);
            record.append(true);
        }
        list.append(true);
        list.append(true);
        list.append(false);
        let values: ArrayRef = Arc::new(list.finish());
        assert!(is_plain(values.data_type()));
        let texts = json(&values).unwrap();
        let wanted = [r#"[{"key":"k0","value":"v\"1"},{"key":"k1","value":null}]"#, "[]", "null"];
        assert_eq!(texts, StringArray::from(wanted.to_vec()));
    }

    #[test]
    fn whole_numbers_that_a_float_may_not_hold_are_texts() {
        let most = 1_i64 << 53;
        let numbers = [most, most + 1, -most, -most - 1, i64::MIN];
        let wanted = [
            "9007199254740992",
            r#""9007199254740993""#,
            "-9007199254740992",
            r#""-9007199254740993""#,
            r#""-9223372036854775808""#,
        ];
        let values: ArrayRef = Arc::new(Int64Array::from(numbers.to_vec()));
        assert_eq!(json(&values).unwrap(), StringArray::from(wanted.to_vec()));
        let lists = arrow::array::ListArray::from_iter_primitive::<Int64Type, _, _>([
            Some(vec![Some(1), None, Some(most + 1)]),
            None,
        ]);
        let values: ArrayRef = Arc::new(lists);
        let wanted = [r#"[1,null,"9007199254740993"]"#, "null"];
        assert_eq!(json(&values).unwrap(), StringArray::from(wanted.to_vec()));
        let nulls = arrow::array::new_null_array(&DataType::Null, 2);
        assert_eq!(json(&nulls).unwrap(), StringArray::from(vec!["null", "null"]));
    }

    #[test]
    fn a_type_whose_json_is_another_in_bigquery_is_refused() {
        let bytes = DataType::Struct(vec![Field::new("b", DataType::Binary, true)].into());
        let error = ToText::new(Form::Json).return_type(&[bytes]).unwrap_err();
        assert!(error.to_string().contains("TO_JSON_STRING does not take"), "{error}");
        assert!(ToText::new(Form::Base64).return_type(&[DataType::Utf8]).is_err());
    }
}
