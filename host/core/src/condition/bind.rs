//! A condition over columns of known types.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, RecordBatch, Scalar, StringArray, make_array,
};
use arrow::buffer::NullBuffer;
use arrow::compute::kernels::cmp;
use arrow::compute::{CastOptions, and_kleene, cast_with_options, is_null, not, or_kleene};
use arrow::datatypes::{DataType, Field, Float64Type};
use arrow::error::ArrowError;

use super::Condition;
use super::tree::{Literal, Operator, Tree};
use crate::path::Path;
use crate::schema::is_json;

/// Why a condition can't be asked of columns.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// There is no such column.
    #[error("there is no column `{column}`")]
    Missing {
        /// Its path.
        column: Path,
    },
    /// It has no single value to compare.
    #[error("column `{column}` is {is}: a condition wants a column with one value in a row")]
    NotSingle {
        /// Its path.
        column: Path,
        /// What it is.
        is: &'static str,
    },
    /// A column stands alone, and is no truth value.
    #[error("column `{column}` is neither true nor false: compare it with a value")]
    NotTruth {
        /// Its path.
        column: Path,
    },
    /// The literal is no value of the column's type.
    #[error("`{value}` is not a value of column `{column}`, which is {wanted}")]
    Value {
        /// The literal.
        value: String,
        /// The column's path.
        column: Path,
        /// What the column holds.
        wanted: String,
    },
}

/// A condition whose columns are known.
#[derive(Debug)]
pub struct Bound(Node);

#[derive(Debug)]
enum Node {
    Or(Vec<Node>),
    And(Vec<Node>),
    Not(Box<Node>),
    Column(Path),
    IsNull(Path),
    Compare(Path, Operator, ArrayRef),
    In(Path, Vec<ArrayRef>),
}

impl Condition {
    /// Binds it to columns, such as those that a chain gives.
    ///
    /// # Errors
    ///
    /// Where a column is missing or has several values in a row, and where a literal is of another type.
    pub fn bind(&self, columns: &[Field]) -> Result<Bound, BindError> {
        Ok(Bound(bind(&self.tree, columns)?))
    }

    /// The columns that it looks at.
    pub fn columns(&self) -> Vec<&Path> {
        let mut found = Vec::new();
        collect(&self.tree, &mut found);
        found
    }
}

fn collect<'a>(tree: &'a Tree, found: &mut Vec<&'a Path>) {
    match tree {
        Tree::Or(all) | Tree::And(all) => all.iter().for_each(|tree| collect(tree, found)),
        Tree::Not(inner) => collect(inner, found),
        Tree::Column(path) | Tree::IsNull(path) | Tree::Compare(path, ..) | Tree::In(path, _) => {
            found.push(path);
        }
    }
}

fn bind(tree: &Tree, columns: &[Field]) -> Result<Node, BindError> {
    let all =
        |all: &[Tree]| all.iter().map(|tree| bind(tree, columns)).collect::<Result<Vec<_>, _>>();
    Ok(match tree {
        Tree::Or(each) => Node::Or(all(each)?),
        Tree::And(each) => Node::And(all(each)?),
        Tree::Not(inner) => Node::Not(Box::new(bind(inner, columns)?)),
        Tree::Column(path) => match field(columns, path)?.data_type() {
            DataType::Boolean => Node::Column(path.clone()),
            _ => return Err(BindError::NotTruth { column: path.clone() }),
        },
        // A list is never null, a record may be.
        Tree::IsNull(path) => match field(columns, path)?.data_type() {
            DataType::List(_) => return Err(not_single(path, "a list")),
            _ => Node::IsNull(path.clone()),
        },
        Tree::Compare(path, operator, literal) => {
            let value = value(field(columns, path)?, path, literal)?;
            let has_order = !matches!(literal, Literal::Truth(_));
            if !has_order && !matches!(operator, Operator::Equal | Operator::Unequal) {
                return Err(no_value(path, literal, "to be told by `=` or `<>` alone"));
            }
            Node::Compare(path.clone(), *operator, value)
        }
        Tree::In(path, literals) => {
            let field = field(columns, path)?;
            let values = literals.iter().map(|literal| value(field, path, literal));
            Node::In(path.clone(), values.collect::<Result<_, _>>()?)
        }
    })
}

fn field<'a>(columns: &'a [Field], path: &Path) -> Result<&'a Field, BindError> {
    let missing = || BindError::Missing { column: path.clone() };
    let mut names = path.names();
    let first = names.next().ok_or_else(missing)?;
    let mut found = columns.iter().find(|field| field.name() == first).ok_or_else(missing)?;
    for name in names {
        found = match found.data_type() {
            DataType::Struct(fields) => {
                let inner = fields.iter().find(|field| field.name() == name);
                inner.map(Arc::as_ref).ok_or_else(missing)?
            }
            DataType::List(_) => return Err(not_single(path, "in a list")),
            _ => return Err(missing()),
        };
    }
    Ok(found)
}

fn not_single(column: &Path, is: &'static str) -> BindError {
    BindError::NotSingle { column: column.clone(), is }
}

fn no_value(column: &Path, literal: &Literal, wanted: &str) -> BindError {
    let value = match literal {
        Literal::Text(text) => format!("'{text}'"),
        Literal::Number(number) => number.clone(),
        Literal::Truth(truth) => truth.to_string().to_uppercase(),
    };
    BindError::Value { value, column: column.clone(), wanted: wanted.to_owned() }
}

/// A literal as the one value of an array of the column's type.
fn value(field: &Field, path: &Path, literal: &Literal) -> Result<ArrayRef, BindError> {
    let kind = match field.data_type() {
        DataType::Dictionary(_, values) => values,
        kind => kind,
    };
    let (fits, wanted) = match (kind, literal) {
        (DataType::List(_), _) => return Err(not_single(path, "a list")),
        (DataType::Struct(_), _) => return Err(not_single(path, "a record")),
        (DataType::Binary, _) => return Err(not_single(path, "bytes")),
        (DataType::Utf8, _) if is_json(field) => return Err(not_single(path, "JSON")),
        (DataType::Utf8, literal) => (matches!(literal, Literal::Text(_)), "text"),
        (DataType::Boolean, literal) => (matches!(literal, Literal::Truth(_)), "TRUE or FALSE"),
        (DataType::Int64, literal) => (matches!(literal, Literal::Number(_)), "a whole number"),
        (DataType::Float64 | DataType::Decimal128(..), literal) => {
            (matches!(literal, Literal::Number(_)), "a number")
        }
        (DataType::Date32, literal) => {
            (matches!(literal, Literal::Text(_)), "a date, such as '2026-11-24'")
        }
        (_, literal) => (matches!(literal, Literal::Text(_)), "a time"),
    };
    let no_value = || no_value(path, literal, wanted);
    if !fits {
        return Err(no_value());
    }
    let written = match literal {
        Literal::Text(written) | Literal::Number(written) => written.as_str(),
        Literal::Truth(true) => "true",
        Literal::Truth(false) => "false",
    };
    // A number that the column can't hold exactly is none of its values.
    if let DataType::Decimal128(_, scale) = kind {
        let fraction = written.split_once('.').map_or("", |(_, after)| after);
        let digits = fraction.trim_end_matches('0').len();
        if written.contains(['e', 'E']) || digits > usize::from(scale.unsigned_abs()) {
            return Err(no_value());
        }
    }
    let written: ArrayRef = Arc::new(StringArray::from(vec![written]));
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let value = cast_with_options(&written, kind, &options).map_err(|_| no_value())?;
    if value.null_count() > 0 { Err(no_value()) } else { Ok(value) }
}

impl Bound {
    /// Which rows meet it: those for which it is true, and neither false nor null.
    ///
    /// # Errors
    ///
    /// Where the columns are others than those it was bound to.
    pub fn met(&self, rows: &RecordBatch) -> Result<BooleanArray, ArrowError> {
        let answer = evaluate(&self.0, rows)?;
        let (values, nulls) = answer.into_parts();
        let met = match nulls {
            Some(nulls) => &values & nulls.inner(),
            None => values,
        };
        Ok(BooleanArray::new(met, None))
    }
}

fn evaluate(node: &Node, rows: &RecordBatch) -> Result<BooleanArray, ArrowError> {
    type Both = fn(&BooleanArray, &BooleanArray) -> Result<BooleanArray, ArrowError>;
    let fold = |all: &[Node], with: Both| {
        let mut found: Option<BooleanArray> = None;
        for node in all {
            let next = evaluate(node, rows)?;
            found = Some(match found {
                Some(found) => with(&found, &next)?,
                None => next,
            });
        }
        Ok::<_, ArrowError>(
            found.unwrap_or_else(|| BooleanArray::from(vec![false; rows.num_rows()])),
        )
    };
    match node {
        Node::Or(all) => fold(all, or_kleene),
        Node::And(all) => fold(all, and_kleene),
        Node::Not(inner) => not(&evaluate(inner, rows)?),
        Node::Column(path) => Ok(column(rows, path)?.as_boolean().clone()),
        Node::IsNull(path) => is_null(&column(rows, path)?),
        Node::Compare(path, operator, value) => compare(&column(rows, path)?, *operator, value),
        Node::In(path, values) => {
            let column = column(rows, path)?;
            let mut found: Option<BooleanArray> = None;
            for value in values {
                let next = compare(&column, Operator::Equal, value)?;
                found = Some(match found {
                    Some(found) => or_kleene(&found, &next)?,
                    None => next,
                });
            }
            Ok(found.unwrap_or_else(|| BooleanArray::from(vec![false; column.len()])))
        }
    }
}

fn compare(
    column: &ArrayRef,
    operator: Operator,
    value: &ArrayRef,
) -> Result<BooleanArray, ArrowError> {
    // Arrow's order of floats is a total one, in which NaN is above all and -0 below 0.
    if let Some(floats) = column.as_primitive_opt::<Float64Type>() {
        let value = value.as_primitive::<Float64Type>().value(0);
        return Ok(BooleanArray::from_unary(floats, |float| match operator {
            Operator::Equal => float == value,
            Operator::Unequal => float != value,
            Operator::Less => float < value,
            Operator::LessOrEqual => float <= value,
            Operator::Greater => float > value,
            Operator::GreaterOrEqual => float >= value,
        }));
    }
    let value = Scalar::new(value.clone());
    match operator {
        Operator::Equal => cmp::eq(column, &value),
        Operator::Unequal => cmp::neq(column, &value),
        Operator::Less => cmp::lt(column, &value),
        Operator::LessOrEqual => cmp::lt_eq(column, &value),
        Operator::Greater => cmp::gt(column, &value),
        Operator::GreaterOrEqual => cmp::gt_eq(column, &value),
    }
}

/// A column by its path. A field of a record that is null is null.
fn column(rows: &RecordBatch, path: &Path) -> Result<ArrayRef, ArrowError> {
    let missing = || ArrowError::SchemaError(format!("there is no column `{path}`"));
    let mut names = path.names();
    let first = names.next().ok_or_else(missing)?;
    let mut found = rows.column_by_name(first).ok_or_else(missing)?.clone();
    let mut nulls: Option<NullBuffer> = None;
    for name in names {
        let record = found.as_struct_opt().ok_or_else(missing)?;
        nulls = NullBuffer::union(nulls.as_ref(), record.nulls());
        let inner = record.column_by_name(name).ok_or_else(missing)?.clone();
        found = inner;
    }
    match NullBuffer::union(nulls.as_ref(), found.nulls()) {
        None => Ok(found),
        nulls => Ok(make_array(found.to_data().into_builder().nulls(nulls).build()?)),
    }
}
