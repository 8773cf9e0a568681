//! How a scalar function of BigQuery is written here: a name, and for each list of types it takes a loop
//! over rows. A row with a null argument gives null; a row that fails ends the query, or gives null where
//! the function was called with `SAFE.`.

use std::fmt;
use std::hash::{Hash, Hasher};

use arrow::array::{Array, ArrayBuilder, ArrayRef};
use arrow::buffer::NullBuffer;
use arrow::datatypes::DataType;
use datafusion::common::{ScalarValue, exec_datafusion_err, plan_err};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::cells::{Read, Write};
use super::kind::Kind;

/// Functions that are written as operators.
const OPERATORS: [(&str, &str); 12] = [
    ("add", "+"),
    ("subtract", "-"),
    ("multiply", "*"),
    ("divide", "/"),
    ("add_literal", "+"),
    ("subtract_literal", "-"),
    ("literal_subtract", "-"),
    ("multiply_literal", "*"),
    ("divide_literal", "/"),
    ("literal_divide", "/"),
    ("negate", "-"),
    ("bit_not", "~"),
];

/// The bytes of text that some thousand rows may have together. Arrow panics at eight times as many.
const LARGEST: usize = 1 << 28;

/// Why a row has no answer.
#[derive(Debug)]
pub(super) enum Wrong {
    /// BigQuery has none either: with `SAFE.` it is null.
    Value(String),
    /// BigQuery has one, which is not known here: null would be another.
    Here(String),
}

impl Wrong {
    /// A text that is no number. What BigQuery makes of blanks around one, its documentation does not say.
    pub(super) fn no_number(text: &str, of: &str) -> Self {
        let why = format!("`{text}` is no {of}");
        if text.trim() == text { Self::Value(why) } else { Self::Here(format!("{why}: TRIM it")) }
    }
}

impl From<Wrong> for DataFusionError {
    fn from(wrong: Wrong) -> Self {
        let (Wrong::Value(why) | Wrong::Here(why)) = wrong;
        exec_datafusion_err!("{why}")
    }
}

/// A row's answer.
pub(super) type Cell<T> = Result<Option<T>, Wrong>;

/// A column's answer.
pub(super) type Answer = Result<ArrayRef, DataFusionError>;

/// What a function does with a list of types.
pub(super) struct Form {
    /// The types; the last may come more than once where `repeats` says so.
    pub(super) takes: &'static [Kind],
    /// Whether the last of `takes` may come any number of times, once at least.
    pub(super) repeats: bool,
    /// The type of the answer.
    pub(super) gives: Kind,
    /// The loop; its second argument says whether a row that fails gives null.
    pub(super) body: fn(&[ArrayRef], bool) -> Answer,
}

impl Form {
    /// A form with as many arguments as it names.
    pub(super) const fn new(
        takes: &'static [Kind],
        gives: Kind,
        body: fn(&[ArrayRef], bool) -> Answer,
    ) -> Self {
        Self { takes, repeats: false, gives, body }
    }

    /// The kinds that it wants of so many arguments.
    fn wants(&self, arguments: usize) -> Option<impl Iterator<Item = Kind>> {
        let known = self.takes.len();
        let fits = arguments == known || (self.repeats && arguments > known);
        let last = *self.takes.last()?;
        fits.then(|| {
            let more = std::iter::repeat_n(last, arguments - known.min(arguments));
            self.takes.iter().copied().chain(more)
        })
    }
}

/// A function, and what it does for each list of types.
pub(super) struct Named(pub(super) &'static str, pub(super) &'static [Form]);

/// A function as DataFusion calls it.
pub(super) struct Checked {
    name: String,
    forms: &'static [Form],
    safe: bool,
    signature: Signature,
}

/// Types whose columns are there and that few functions take, and what helps.
const SHOWN: [(&str, &str); 2] = [
    ("TIME", "have a plugin write a column of another type beside it"),
    ("JSON", "ask it with JSON_VALUE"),
];

impl Checked {
    /// A function, and the same with null for what fails: `safe_` stands before its name.
    pub(super) fn both(named: &'static Named) -> [ScalarUDF; 2] {
        [false, true].map(|safe| {
            let prefix = if safe { "safe_" } else { "" };
            ScalarUDF::from(Self {
                name: format!("{prefix}{}", named.0),
                forms: named.1,
                safe,
                signature: Signature::user_defined(Volatility::Immutable),
            })
        })
    }

    /// The form for these types, and the types that it wants them in.
    fn form(&self, types: &[DataType]) -> Result<(&Form, Vec<DataType>), DataFusionError> {
        // Types as they are come before those that INT64 becomes.
        for widen in [false, true] {
            for form in self.forms {
                let Some(wants) = form.wants(types.len()) else { continue };
                let fit = |(want, found): (Kind, &DataType)| want.takes(found, widen);
                if let Some(types) = wants.zip(types).map(fit).collect() {
                    return Ok((form, types));
                }
            }
        }
        let names = types.iter().map(Kind::name_of).collect::<Vec<_>>().join(", ");
        let wants = self.forms.iter().map(|form| {
            let names = form.takes.iter().map(Kind::to_string).collect::<Vec<_>>().join(", ");
            format!("({names}{})", if form.repeats { ", …" } else { "" })
        });
        let operator = OPERATORS.iter().find(|(name, _)| *name == self.name);
        let name = operator.map_or(self.name.to_uppercase(), |(_, sign)| format!("`{sign}`"));
        let wants = wants.collect::<Vec<_>>().join(" or ");
        let is_among = |shown: &&(&str, &str)| types.iter().any(|of| Kind::name_of(of) == shown.0);
        let instead = SHOWN.iter().find(is_among).map_or_else(String::new, |(kind, instead)| {
            format!("; {kind} is shown, counted and grouped by: for all else {instead}")
        });
        plan_err!("{name} does not take ({names}) here; it takes {wants}{instead}")
    }
}

impl fmt::Debug for Checked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Checked").field(&self.name).finish()
    }
}

impl PartialEq for Checked {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Checked {}

impl Hash for Checked {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>, DataFusionError> {
        Ok(self.form(types)?.1)
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType, DataFusionError> {
        Ok(self.form(types)?.0.gives.data_type())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue, DataFusionError> {
        let types: Vec<DataType> = args.args.iter().map(ColumnarValue::data_type).collect();
        let (form, _) = self.form(&types)?;
        let scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let answer = (form.body)(&ColumnarValue::values_to_arrays(&args.args)?, self.safe)?;
        Ok(if scalar {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&answer, 0)?)
        } else {
            ColumnarValue::Array(answer)
        })
    }
}

/// A function of one argument.
pub(super) fn map1<A: Read, R: Write>(
    args: &[ArrayRef],
    safe: bool,
    f: impl Fn(A::Item<'_>) -> Cell<R>,
) -> Answer {
    let a = A::open(&args[0]);
    fill(args, safe, |row| f(A::get(a, row)))
}

/// A function of two arguments.
pub(super) fn map2<A: Read, B: Read, R: Write>(
    args: &[ArrayRef],
    safe: bool,
    f: impl Fn(A::Item<'_>, B::Item<'_>) -> Cell<R>,
) -> Answer {
    let (a, b) = (A::open(&args[0]), B::open(&args[1]));
    fill(args, safe, |row| f(A::get(a, row), B::get(b, row)))
}

/// A function of three arguments.
pub(super) fn map3<A: Read, B: Read, C: Read, R: Write>(
    args: &[ArrayRef],
    safe: bool,
    f: impl Fn(A::Item<'_>, B::Item<'_>, C::Item<'_>) -> Cell<R>,
) -> Answer {
    let (a, b, c) = (A::open(&args[0]), B::open(&args[1]), C::open(&args[2]));
    fill(args, safe, |row| f(A::get(a, row), B::get(b, row), C::get(c, row)))
}

/// A function of four arguments.
pub(super) fn map4<A: Read, B: Read, C: Read, D: Read, R: Write>(
    args: &[ArrayRef],
    safe: bool,
    f: impl Fn(A::Item<'_>, B::Item<'_>, C::Item<'_>, D::Item<'_>) -> Cell<R>,
) -> Answer {
    let (a, b, c, d) = (A::open(&args[0]), B::open(&args[1]), C::open(&args[2]), D::open(&args[3]));
    fill(args, safe, |row| f(A::get(a, row), B::get(b, row), C::get(c, row), D::get(d, row)))
}

/// A function of any number of arguments of one type.
pub(super) fn map_all<A: Read, R: Write>(
    args: &[ArrayRef],
    safe: bool,
    f: impl Fn(&mut dyn Iterator<Item = A::Item<'_>>) -> Cell<R>,
) -> Answer {
    let columns: Vec<&A::Array> = args.iter().map(A::open).collect();
    fill(args, safe, |row| f(&mut columns.iter().map(|column| A::get(column, row))))
}

/// The answers of all rows, null where an argument is.
pub(super) fn fill<R: Write>(
    args: &[ArrayRef],
    safe: bool,
    mut f: impl FnMut(usize) -> Cell<R>,
) -> Answer {
    let rows = args.first().map_or(0, |column| column.len());
    let nulls = args.iter().fold(None, |nulls, column| {
        NullBuffer::union(nulls.as_ref(), column.logical_nulls().as_ref())
    });
    let mut builder = R::builder(rows);
    for row in 0..rows {
        if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            R::push(&mut builder, None);
            continue;
        }
        if R::bytes(&builder) > LARGEST {
            return Err(Wrong::Value(format!(
                "the texts of {row} rows have more than {LARGEST} bytes"
            ))
            .into());
        }
        match f(row) {
            Ok(value) => R::push(&mut builder, value),
            Err(Wrong::Value(_)) if safe => R::push(&mut builder, None),
            Err(wrong) => return Err(wrong.into()),
        }
    }
    Ok(builder.finish())
}
