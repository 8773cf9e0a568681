//! What stands around aggregates and orders, where DataFusion's differ from BigQuery's: NaN comes before all
//! other numbers in an order, is the answer of MIN and MAX where it is among the values, and SUM overflows.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Float64Array, Int64Array};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type};
use datafusion::common::{ScalarValue, exec_err, plan_err};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::kind::Kind;

/// The type that sums of INT64 are made in: they leave room for all rows there are.
const WIDE: DataType = DataType::Decimal128(20, 0);
/// NUMERIC …
const NUMERIC: DataType = DataType::Decimal128(38, 9);
/// … and the type that sums of it are made in.
const WIDE_NUMERIC: DataType = DataType::Decimal256(57, 9);

/// All of them.
pub(super) fn all() -> impl Iterator<Item = ScalarUDF> {
    [
        Role::Least,
        Role::Greatest,
        Role::Extreme,
        Role::Sorted,
        Role::Summand,
        Role::Sum,
        Role::Part,
        Role::Mean,
        Role::Nullable,
    ]
    .into_iter()
    .map(udf)
}

/// What makes a number sort as BigQuery sorts it, and nothing of other values.
pub(crate) fn sorted() -> ScalarUDF {
    udf(Role::Sorted)
}

/// What gives a value as it is, and tells the planner that it may be NULL.
pub(crate) fn nullable() -> ScalarUDF {
    udf(Role::Nullable)
}

fn udf(role: Role) -> ScalarUDF {
    let signature = Signature::any(1, Volatility::Immutable);
    ScalarUDF::from(Around { role, signature })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Around {
    role: Role,
    signature: Signature,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Role {
    /// What MIN compares: a FLOAT64 as a whole number of the same order, NaN before all.
    Least,
    /// What MAX compares: the same, NaN behind all.
    Greatest,
    /// What MIN or MAX found, as it was.
    Extreme,
    /// A FLOAT64 that sorts as BigQuery sorts it.
    Sorted,
    /// What SUM adds up.
    Summand,
    /// What it gives.
    Sum,
    /// What AVG is taken of.
    Part,
    /// What it gives.
    Mean,
    /// A value that may be NULL, whatever the planner takes it for.
    Nullable,
}

impl ScalarUDFImpl for Around {
    fn name(&self) -> &str {
        match self.role {
            Role::Least => "min_of",
            Role::Greatest => "max_of",
            Role::Extreme => "extreme",
            Role::Sorted => "sorted",
            Role::Summand => "sum_of",
            Role::Sum => "summed",
            Role::Part => "avg_of",
            Role::Mean => "averaged",
            Role::Nullable => "nullable",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType, DataFusionError> {
        let [found] = types else { return plan_err!("{} takes one value", self.name()) };
        let kind = Kind::of(found);
        let wide = matches!(found, DataType::Decimal128(_, 0));
        Ok(match (self.role, kind) {
            (Role::Least | Role::Greatest, Some(Kind::Float)) => WIDE,
            (Role::Least | Role::Greatest, Some(kind)) if kind != Kind::Json => found.clone(),
            (Role::Least | Role::Greatest, None) if found.is_null() => DataType::Int64,
            (Role::Extreme, None) if wide => DataType::Float64,
            (Role::Extreme | Role::Nullable, _) => found.clone(),
            (Role::Sorted, Some(Kind::Float)) => DataType::Float64,
            (Role::Sorted, _) => found.clone(),
            (Role::Summand, Some(Kind::Int)) => WIDE,
            (Role::Summand, Some(Kind::Float)) => DataType::Float64,
            (Role::Summand, None) if found.is_null() => WIDE,
            (Role::Summand | Role::Part, Some(Kind::Numeric)) => WIDE_NUMERIC,
            (Role::Part, Some(Kind::Int | Kind::Float)) => DataType::Float64,
            (Role::Part, None) if found.is_null() => DataType::Float64,
            (Role::Sum, None) if wide => DataType::Int64,
            (Role::Sum, None) if matches!(found, DataType::Decimal256(_, 9)) => NUMERIC,
            (Role::Mean, None) if matches!(found, DataType::Decimal256(..)) => NUMERIC,
            (Role::Sum | Role::Mean, _) => DataType::Float64,
            (Role::Summand | Role::Part, _) => {
                return plan_err!("SUM and AVG do not take {}, only numbers", Kind::name_of(found));
            }
            (Role::Least | Role::Greatest, _) => {
                return plan_err!("MIN and MAX do not take {} here", Kind::name_of(found));
            }
        })
    }

    /// Where nothing is to be done, nothing is left of it: what is known of columns counts then.
    fn simplify(
        &self,
        mut args: Vec<Expr>,
        info: &SimplifyContext,
    ) -> Result<ExprSimplifyResult, DataFusionError> {
        if let [argument] = &args[..] {
            let found = info.get_data_type(argument)?;
            let same = self.return_type(std::slice::from_ref(&found))? == found;
            let nothing = match self.role {
                Role::Least | Role::Greatest | Role::Extreme => same,
                Role::Sorted => same && Kind::of(&found) != Some(Kind::Float),
                Role::Summand | Role::Part => same,
                Role::Sum | Role::Mean | Role::Nullable => false,
            };
            if nothing {
                return Ok(ExprSimplifyResult::Simplified(args.remove(0)));
            }
        }
        Ok(ExprSimplifyResult::Original(args))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue, DataFusionError> {
        let [argument] = &args.args[..] else {
            return plan_err!("{} takes one value", self.name());
        };
        let values = argument.to_array(1)?;
        let answer = self.answer(&values)?;
        Ok(match argument {
            ColumnarValue::Scalar(_) => {
                ColumnarValue::Scalar(ScalarValue::try_from_array(&answer, 0)?)
            }
            ColumnarValue::Array(_) => ColumnarValue::Array(answer),
        })
    }
}

impl Around {
    fn answer(&self, values: &ArrayRef) -> Result<ArrayRef, DataFusionError> {
        let gives = self.return_type(std::slice::from_ref(values.data_type()))?;
        let float = Kind::of(values.data_type()) == Some(Kind::Float);
        Ok(match self.role {
            Role::Nullable => values.clone(),
            Role::Least | Role::Greatest if float => {
                let nan = if let Role::Least = self.role { i64::MIN } else { i64::MAX };
                let values = cast(values, &DataType::Float64)?;
                let keys: Decimal128Array = values
                    .as_primitive::<Float64Type>()
                    .unary(|x| i128::from(if x.is_nan() { nan } else { key(x) }));
                Arc::new(keys.with_precision_and_scale(20, 0)?)
            }
            Role::Extreme if gives == DataType::Float64 && !float => {
                let keys = values.as_primitive::<Decimal128Type>();
                Arc::new(keys.unary::<_, Float64Type>(|key| from_key(key as i64)))
            }
            Role::Sorted if float => {
                let values = cast(values, &DataType::Float64)?;
                let sorted: Float64Array = values.as_primitive::<Float64Type>().unary(|x| {
                    // Arrow's order has the NaN with a sign before all others, and two zeros.
                    if x.is_nan() { f64::NAN.copysign(-1.0) } else { x + 0.0 }
                });
                Arc::new(sorted)
            }
            Role::Summand if gives == WIDE => {
                let values = cast(values, &DataType::Int64)?;
                let wide: Decimal128Array = values.as_primitive::<Int64Type>().unary(i128::from);
                Arc::new(wide.with_precision_and_scale(20, 0)?)
            }
            Role::Sum if gives == DataType::Int64 => {
                let sums = values.as_primitive::<Decimal128Type>();
                let narrow: Int64Array = sums.try_unary(|sum| match i64::try_from(sum) {
                    Ok(sum) => Ok(sum),
                    Err(_) => exec_err!("INT64 overflow: SUM is {sum}"),
                })?;
                Arc::new(narrow)
            }
            // A mean has four digits more, cut off behind them: what is rounded is the same.
            Role::Sum | Role::Mean if gives == NUMERIC => {
                let digits = CastOptions { safe: false, ..CastOptions::default() };
                match cast_with_options(values, &NUMERIC, &digits) {
                    Ok(answers) => answers,
                    Err(_) => return exec_err!("NUMERIC overflow: SUM has more than 38 digits"),
                }
            }
            Role::Sum | Role::Mean => {
                let values = cast(values, &DataType::Float64)?;
                let infinite = |sum: Option<f64>| sum.is_some_and(f64::is_infinite);
                if values.as_primitive::<Float64Type>().iter().any(infinite) {
                    // Whether it overflowed or a value was infinite is not known any more.
                    return exec_err!(
                        "FLOAT64 overflow, or an infinite value: SUM or AVG is infinite"
                    );
                }
                values
            }
            _ => cast(values, &gives)?,
        })
    }
}

/// A whole number of the same order; both zeros have one.
fn key(x: f64) -> i64 {
    let bits = (x + 0.0).to_bits() as i64;
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

fn from_key(key: i64) -> f64 {
    match key {
        i64::MIN | i64::MAX => f64::NAN,
        key => f64::from_bits((key ^ (((key >> 63) as u64) >> 1) as i64) as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_numeric_are_exact_or_an_error() {
        let most = 10_i128.pow(38) - 1;
        let numeric = |values: Vec<i128>| -> ArrayRef {
            let values = Decimal128Array::from(values).with_precision_and_scale(38, 9);
            Arc::new(values.expect("NUMERIC"))
        };
        let around = |role| Around { role, signature: Signature::any(1, Volatility::Immutable) };
        let summands = around(Role::Summand).answer(&numeric(vec![most, 1])).expect("summands");
        assert_eq!(*summands.data_type(), WIDE_NUMERIC);
        let back = around(Role::Sum).answer(&summands).expect("sums");
        assert_eq!(&back, &numeric(vec![most, 1]));
        let beyond = cast(&summands, &DataType::Decimal256(67, 9)).expect("wider");
        let beyond = arrow::compute::kernels::numeric::add(&beyond, &beyond).expect("added");
        let beyond = cast(&beyond, &DataType::Decimal256(67, 9)).expect("a sum");
        let error = around(Role::Sum).answer(&beyond).expect_err("too large");
        assert!(error.to_string().contains("NUMERIC overflow"), "{error}");
        let found = around(Role::Extreme).return_type(&[NUMERIC]).expect("a type");
        assert_eq!(found, NUMERIC);
        let means = cast(&numeric(vec![1, -2]), &DataType::Decimal256(61, 13)).expect("wider");
        assert_eq!(&around(Role::Mean).answer(&means).expect("means"), &numeric(vec![1, -2]));
    }

    #[test]
    fn keys_are_in_the_order_of_their_numbers_and_lead_back_to_them() {
        let numbers = [
            f64::NEG_INFINITY,
            f64::MIN,
            -1.5,
            -f64::MIN_POSITIVE,
            0.0,
            5e-324,
            2.0,
            f64::MAX,
            f64::INFINITY,
        ];
        assert!(numbers.map(key).is_sorted());
        assert_eq!(numbers.map(key).map(from_key), numbers);
        assert_eq!(key(-0.0), key(0.0));
    }
}
