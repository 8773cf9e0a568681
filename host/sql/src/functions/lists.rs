//! Arrays: their length, whether a value is among their elements, and these by number, which in BigQuery count
//! from 0 or from 1.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, ListArray, Scalar, UInt64Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::kernels::cmp::eq;
use arrow::compute::{cast, interleave, take};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type};
use datafusion::common::{ScalarValue, exec_err, plan_err};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::kind::Kind;

/// All of them.
pub(super) fn all() -> [ScalarUDF; 8] {
    let element = |name, from, safe| Of::Element { name, from, safe };
    [
        Of::Length,
        Of::Elements,
        Of::Holds,
        Of::First,
        element("array_offset", 0, false),
        element("array_safe_offset", 0, true),
        element("array_ordinal", 1, false),
        element("array_safe_ordinal", 1, true),
    ]
    .map(|of| {
        let signature = match of {
            Of::Length => Signature::any(1, Volatility::Immutable),
            Of::Elements | Of::Holds => Signature::user_defined(Volatility::Immutable),
            Of::First | Of::Element { .. } => Signature::any(2, Volatility::Immutable),
        };
        ScalarUDF::from(Lists { of, signature })
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Lists {
    of: Of,
    signature: Signature,
}

#[derive(Debug, PartialEq, Eq, Hash)]
enum Of {
    /// `ARRAY_LENGTH(array)`
    Length,
    /// `[value, …]`
    Elements,
    /// `value IN UNNEST(array)`
    Holds,
    /// As many elements of an array as a number says, from the first on; `NULL` where there are none.
    First,
    /// `array[OFFSET(number)]` and its like.
    Element {
        name: &'static str,
        /// The number of the first.
        from: i64,
        /// Whether one that is not there is null.
        safe: bool,
    },
}

impl ScalarUDFImpl for Lists {
    fn name(&self) -> &str {
        match self.of {
            Of::Length => "array_length",
            Of::Elements => "array_of",
            Of::Holds => "in_unnest",
            Of::First => "first_of",
            Of::Element { name, .. } => name,
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Elements are of one type; INT64 becomes FLOAT64 or NUMERIC beside such.
    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>, DataFusionError> {
        if let Of::Holds = self.of {
            return comparable(types);
        }
        let kinds = || types.iter().filter_map(Kind::of);
        let wider =
            [Kind::Float, Kind::Numeric].into_iter().find(|wide| kinds().any(|kind| kind == *wide));
        let kind = wider.or_else(|| kinds().next()).unwrap_or(Kind::Int);
        match types.iter().map(|found| kind.takes(found, true)).collect() {
            Some(types) => Ok(types),
            None => {
                let names: Vec<String> = types.iter().map(Kind::name_of).collect();
                plan_err!("an array has elements of one type, not {}", names.join(", "))
            }
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType, DataFusionError> {
        match (&self.of, types) {
            (Of::Elements, [DataType::List(_), ..]) => plan_err!(
                "an array has no arrays as its elements in BigQuery: put a STRUCT around them there"
            ),
            (Of::Elements, [first, ..]) => {
                Ok(DataType::List(Arc::new(Field::new("item", first.clone(), true))))
            }
            (Of::Length, [DataType::List(_)]) => Ok(DataType::Int64),
            (Of::Holds, [_, DataType::List(_)]) => Ok(DataType::Boolean),
            (Of::First, [array @ DataType::List(_), DataType::Int64]) => Ok(array.clone()),
            (Of::Element { .. }, [DataType::List(item), number])
                if number.is_integer() || number.is_null() =>
            {
                Ok(item.data_type().clone())
            }
            _ => {
                let names: Vec<String> = types.iter().map(Kind::name_of).collect();
                plan_err!(
                    "{} does not take ({}) here",
                    self.name().to_uppercase(),
                    names.join(", ")
                )
            }
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue, DataFusionError> {
        let scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let answer = self.answer(&arrays)?;
        Ok(if scalar {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&answer, 0)?)
        } else {
            ColumnarValue::Array(answer)
        })
    }
}

impl Lists {
    fn answer(&self, arrays: &[ArrayRef]) -> Result<ArrayRef, DataFusionError> {
        if let Of::Elements = self.of {
            let rows = arrays[0].len();
            let places: Vec<(usize, usize)> =
                (0..rows).flat_map(|row| (0..arrays.len()).map(move |at| (at, row))).collect();
            let columns: Vec<&dyn Array> = arrays.iter().map(|array| &**array).collect();
            let values = interleave(&columns, &places)?;
            let item = Arc::new(Field::new("item", values.data_type().clone(), true));
            let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(arrays.len(), rows));
            return Ok(Arc::new(ListArray::new(item, offsets, values, None)));
        }
        if let Of::Holds = self.of {
            return Ok(Arc::new(holds(&arrays[0], arrays[1].as_list())?));
        }
        let lists = arrays[0].as_list::<i32>();
        if let Of::First = self.of {
            return first_of(lists, arrays[1].as_primitive::<Int64Type>());
        }
        let &Of::Element { from, safe, .. } = &self.of else {
            return Ok(cast(&arrow::compute::kernels::length::length(lists)?, &DataType::Int64)?);
        };
        let numbers = cast(&arrays[1], &DataType::Int64)?;
        let numbers = numbers.as_primitive::<Int64Type>();
        let mut places: Vec<Option<u64>> = Vec::with_capacity(lists.len());
        for row in 0..lists.len() {
            if lists.is_null(row) || numbers.is_null(row) {
                places.push(None);
                continue;
            }
            let number = numbers.value(row);
            let length = i64::from(lists.value_length(row));
            let place = number.checked_sub(from).filter(|place| (0..length).contains(place));
            if place.is_none() && !safe {
                return exec_err!(
                    "array index {number} is out of bounds: the array has {length} elements"
                );
            }
            let begins = i64::from(lists.value_offsets()[row]);
            places.push(place.map(|place| (begins + place) as u64));
        }
        Ok(take(lists.values(), &UInt64Array::from(places), None)?)
    }
}

/// The first elements of each array, so many.
fn first_of(lists: &ListArray, numbers: &Int64Array) -> Result<ArrayRef, DataFusionError> {
    let DataType::List(item) = lists.data_type() else { return plan_err!("not an array") };
    let (mut places, mut lengths, mut known) = (Vec::new(), Vec::new(), Vec::new());
    for row in 0..lists.len() {
        let there = if lists.is_null(row) { 0 } else { lists.value_length(row) as u64 };
        let length = there.min(numbers.value(row).max(0) as u64);
        let begins = lists.value_offsets()[row] as u64;
        places.extend(begins..begins + length);
        lengths.push(length as usize);
        known.push(length > 0);
    }
    let values = take(lists.values(), &UInt64Array::from(places), None)?;
    let offsets = OffsetBuffer::from_lengths(lengths);
    let known = NullBuffer::from(known);
    Ok(Arc::new(ListArray::try_new(item.clone(), offsets, values, Some(known))?))
}

/// A value and elements of one type; INT64 becomes FLOAT64 or NUMERIC beside such.
fn comparable(types: &[DataType]) -> Result<Vec<DataType>, DataFusionError> {
    let [value, array] = types else { return plan_err!("IN UNNEST wants a value and an array") };
    let DataType::List(item) = array else {
        return plan_err!("IN UNNEST wants an array, not {}", Kind::name_of(array));
    };
    let item = item.data_type();
    let of = |kind: Kind| [value, item].iter().all(|found| kind.takes(found, true).is_some());
    let is_equal = |kind: &Kind| !matches!(kind, Kind::Json | Kind::Texts);
    let kinds = [Kind::of(item), Kind::of(value)];
    match kinds.into_iter().flatten().filter(is_equal).find(|kind| of(*kind)) {
        Some(kind) => {
            let item = Arc::new(Field::new("item", kind.data_type(), true));
            Ok(vec![kind.data_type(), DataType::List(item)])
        }
        None => {
            let [value, item] = [value, item].map(Kind::name_of);
            plan_err!("IN UNNEST does not compare {value} with {item}: CAST one of them")
        }
    }
}

/// Whether each value is among the elements of its array. In none there is nothing, not even null.
fn holds(values: &ArrayRef, lists: &ListArray) -> Result<BooleanArray, DataFusionError> {
    let row = |row: usize| {
        if lists.is_null(row) || lists.value_length(row) == 0 {
            return Ok(Some(false));
        }
        // A row by itself: beside each element, values of all rows would take more than Arrow has offsets for.
        let (value, elements) = (values.slice(row, 1), lists.value(row));
        let equal: BooleanArray = if *elements.data_type() == DataType::Float64 {
            // As IEEE has it: NaN is equal to nothing, and both zeros are one.
            let value = value.as_primitive::<Float64Type>().iter().next().flatten();
            let elements = elements.as_primitive::<Float64Type>().iter();
            elements.map(|element| Some(element? == value?)).collect()
        } else {
            eq(&elements, &Scalar::new(value))?
        };
        let is_any = equal.true_count() > 0;
        // A null, of either, may be anything.
        Ok((is_any || equal.null_count() == 0).then_some(is_any))
    };
    (0..lists.len()).map(row).collect()
}
