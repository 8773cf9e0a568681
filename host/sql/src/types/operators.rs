//! Operators of expressions: what stands for each once the types of what it works on are known.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, plan_err};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::{
    Between, BinaryExpr, Case, InList, Like, ScalarFunction, Sort, WindowFunction,
};
use datafusion::logical_expr::{Expr, ExprSchemable, Operator, WindowFrameUnits, lit};
use datafusion::scalar::ScalarValue;

use super::frames;
use crate::functions::{self, Kind};

/// An expression over columns with BigQuery's operators.
pub(crate) fn checked_expr(expr: Expr, schema: &DFSchema) -> Result<Expr, DataFusionError> {
    Ok(expr.transform_up(|expr| operator(expr, schema))?.data)
}

/// A number that sorts as in BigQuery, other values as they are.
pub(super) fn in_order(expr: Expr, schema: &DFSchema) -> Result<Expr, DataFusionError> {
    let sorted = functions::sorted();
    let done = matches!(&expr, Expr::ScalarFunction(call) if call.func.name() == sorted.name());
    if done || kind(&expr, schema)? != Some(Kind::Float) {
        return Ok(expr);
    }
    Ok(sorted.call(vec![expr]))
}

/// What rows are ordered by: a number as in [`in_order`], and no array, record or JSON.
pub(super) fn sorted_by(expr: Expr, schema: &DFSchema) -> Result<Expr, DataFusionError> {
    let found = expr.get_type(schema)?;
    if found.is_nested() || Kind::of(&found) == Some(Kind::Json) {
        return plan_err!("ORDER BY does not take {}", Kind::name_of(&found));
    }
    in_order(expr, schema)
}

fn kind(expr: &Expr, schema: &DFSchema) -> Result<Option<Kind>, DataFusionError> {
    Ok(Kind::of(&expr.get_type(schema)?))
}

fn call(name: &str, arguments: Vec<Expr>) -> Result<Expr, DataFusionError> {
    match functions::by_name(name) {
        Some(function) => Ok(function.call(arguments)),
        None => plan_err!("`{name}` is no function"),
    }
}

/// What stands for one operator; what it works on is done already.
fn operator(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>, DataFusionError> {
    Ok(match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            Transformed::yes(binary(*left, op, *right, schema)?)
        }
        Expr::Negative(of) if matches!(*of, Expr::Literal(..)) => {
            Transformed::no(Expr::Negative(of))
        }
        Expr::Negative(of) => Transformed::yes(call("negate", vec![*of])?),
        Expr::Between(Between { expr, negated, low, high }) => {
            let from = binary((*expr).clone(), Operator::GtEq, *low, schema)?;
            let to = binary(*expr, Operator::LtEq, *high, schema)?;
            let both = from.and(to);
            Transformed::yes(if negated { Expr::Not(Box::new(both)) } else { both })
        }
        Expr::InList(list) => Transformed::yes(in_list(list, schema)?),
        Expr::InSubquery(of) => {
            let found = of.subquery.subquery.schema().field(0).data_type().clone();
            let wanted = of.expr.get_type(schema)?;
            compared(&wanted, &found, "IN")?;
            if [&wanted, &found].iter().any(|of| Kind::of(of) == Some(Kind::Float)) {
                return plan_err!(
                    "IN with a subquery does not take FLOAT64 here: NaN is equal to nothing in BigQuery"
                );
            }
            Transformed::no(Expr::InSubquery(of))
        }
        // It is NULL where the subquery finds no row, of which the column knows nothing.
        Expr::ScalarSubquery(of) if !of.subquery.schema().field(0).is_nullable() => {
            Transformed::yes(functions::nullable().call(vec![Expr::ScalarSubquery(of)]))
        }
        Expr::Case(case) => Transformed::yes(cases(case, schema)?),
        Expr::Like(like) => {
            like_checked(&like, schema)?;
            Transformed::no(Expr::Like(like))
        }
        Expr::Not(of) => {
            truth(&of, schema, "NOT")?;
            Transformed::no(Expr::Not(of))
        }
        Expr::IsTrue(of) => truth(&of, schema, "IS").map(|()| Transformed::no(Expr::IsTrue(of)))?,
        Expr::IsFalse(of) => {
            truth(&of, schema, "IS").map(|()| Transformed::no(Expr::IsFalse(of)))?
        }
        Expr::IsNotTrue(of) => {
            truth(&of, schema, "IS").map(|()| Transformed::no(Expr::IsNotTrue(of)))?
        }
        Expr::IsNotFalse(of) => {
            truth(&of, schema, "IS").map(|()| Transformed::no(Expr::IsNotFalse(of)))?
        }
        Expr::ScalarFunction(ScalarFunction { func, mut args }) if func.name() == "coalesce" => {
            one_type(args.iter_mut(), schema, "COALESCE or IFNULL")?;
            Transformed::yes(Expr::ScalarFunction(ScalarFunction { func, args }))
        }
        Expr::AggregateFunction(mut aggregate) => {
            for Sort { expr, .. } in &mut aggregate.params.order_by {
                *expr = sorted_by(expr.clone(), schema)?;
            }
            Transformed::yes(Expr::AggregateFunction(aggregate))
        }
        Expr::WindowFunction(window) => {
            let WindowFunction { fun, mut params } = *window;
            if let ("lag" | "lead", [value, _, default]) = (fun.name(), &mut params.args[..]) {
                one_type([value, default].into_iter(), schema, "LAG or LEAD")?;
            }
            let fun = frames::recomputed(fun, &params, schema)?;
            for Sort { expr, .. } in &mut params.order_by {
                *expr = sorted_by(expr.clone(), schema)?;
            }
            if let [Sort { expr, .. }] = &params.order_by[..]
                && params.window_frame.units == WindowFrameUnits::Range
                && kind(expr, schema)? == Some(Kind::Bytes)
            {
                return plan_err!(
                    "a window is not ordered by BYTES here: ORDER BY TO_HEX of it, whose order is the same"
                );
            }
            for expr in &params.partition_by {
                if Kind::of(&expr.get_type(schema)?) == Some(Kind::Float) {
                    return plan_err!(
                        "PARTITION BY does not take FLOAT64 in BigQuery: CAST it to STRING or NUMERIC"
                    );
                }
            }
            Transformed::yes(Expr::WindowFunction(Box::new(WindowFunction { fun, params })))
        }
        other => Transformed::no(other),
    })
}

fn binary(
    left: Expr,
    op: Operator,
    right: Expr,
    schema: &DFSchema,
) -> Result<Expr, DataFusionError> {
    match op {
        Operator::And | Operator::Or => {
            truth(&left, schema, "AND and OR")?;
            truth(&right, schema, "AND and OR")?;
        }
        Operator::BitwiseAnd | Operator::BitwiseOr | Operator::BitwiseXor => {
            for side in [&left, &right] {
                let of = side.get_type(schema)?;
                if Kind::of(&of) != Some(Kind::Int) && !of.is_null() {
                    return plan_err!("`{op}` does not take {} here", Kind::name_of(&of));
                }
            }
        }
        Operator::Eq
        | Operator::NotEq
        | Operator::Lt
        | Operator::LtEq
        | Operator::Gt
        | Operator::GtEq
        | Operator::IsDistinctFrom
        | Operator::IsNotDistinctFrom => return comparison(left, op, right, schema),
        _ => return plan_err!("the operator `{op}` was not checked against BigQuery"),
    }
    Ok(Expr::BinaryExpr(BinaryExpr { left: Box::new(left), op, right: Box::new(right) }))
}

fn comparison(
    left: Expr,
    op: Operator,
    right: Expr,
    schema: &DFSchema,
) -> Result<Expr, DataFusionError> {
    let [left, right] = read_texts(left, right, schema)?;
    let of = [left.get_type(schema)?, right.get_type(schema)?];
    compared(&of[0], &of[1], &op.to_string())?;
    let [left, right] = beside_numeric(left, right, schema)?;
    let of = [left.get_type(schema)?, right.get_type(schema)?];
    if of.iter().any(|of| Kind::of(of) == Some(Kind::Float)) {
        return match op {
            Operator::Eq => call("equal", vec![left, right]),
            Operator::NotEq => call("not_equal", vec![left, right]),
            Operator::Lt => call("less", vec![left, right]),
            Operator::LtEq => call("less_or_equal", vec![left, right]),
            Operator::Gt => call("less", vec![right, left]),
            Operator::GtEq => call("less_or_equal", vec![right, left]),
            // NaN is not distinct from NaN: what is one in an order is one here.
            op => {
                let sides = [in_order(left, schema)?, in_order(right, schema)?];
                let [left, right] = sides.map(Box::new);
                Ok(Expr::BinaryExpr(BinaryExpr { left, op, right }))
            }
        };
    }
    let [left, right] = [left, right].map(Box::new);
    Ok(Expr::BinaryExpr(BinaryExpr { left, op, right }))
}

/// A literal text is read as the date, datetime or timestamp that it stands beside; other texts are none.
fn read_texts(left: Expr, right: Expr, schema: &DFSchema) -> Result<[Expr; 2], DataFusionError> {
    let kinds = [kind(&left, schema)?, kind(&right, schema)?];
    let read = |side: Expr, beside: Option<Kind>| match (&side, beside) {
        (Expr::Literal(literal, _), Some(Kind::Date)) if is_text(literal) => {
            call("cast_date", vec![side])
        }
        (Expr::Literal(literal, _), Some(Kind::Time)) if is_text(literal) => {
            call("cast_timestamp", vec![side])
        }
        (Expr::Literal(literal, _), Some(Kind::Civil)) if is_text(literal) => {
            call("cast_datetime", vec![side])
        }
        _ => Ok(side),
    };
    Ok([read(left, kinds[1])?, read(right, kinds[0])?])
}

/// A FLOAT64 and a NUMERIC as one type: a literal becomes a NUMERIC, beside any other the NUMERIC becomes a
/// FLOAT64.
fn beside_numeric(
    left: Expr,
    right: Expr,
    schema: &DFSchema,
) -> Result<[Expr; 2], DataFusionError> {
    let kinds = [kind(&left, schema)?, kind(&right, schema)?];
    let (float, numeric, swapped) = match kinds {
        [Some(Kind::Float), Some(Kind::Numeric)] => (left, right, false),
        [Some(Kind::Numeric), Some(Kind::Float)] => (right, left, true),
        _ => return Ok([left, right]),
    };
    let [float, numeric] = match float {
        Expr::Literal(ScalarValue::Float64(Some(number)), metadata) => {
            [Expr::Literal(functions::numeric_literal(number)?, metadata), numeric]
        }
        float => [float, call("cast_float64", vec![numeric])?],
    };
    Ok(if swapped { [numeric, float] } else { [float, numeric] })
}

fn is_text(literal: &ScalarValue) -> bool {
    Kind::of(&literal.data_type()) == Some(Kind::Text)
}

/// Whether two types may be compared: one with itself, and numbers with each other.
pub(super) fn compared(
    left: &DataType,
    right: &DataType,
    what: &str,
) -> Result<(), DataFusionError> {
    use Kind::{Float, Int, Json, Numeric, Texts};
    let fits = match (Kind::of(left), Kind::of(right)) {
        (Some(Texts | Json), _) | (_, Some(Texts | Json)) => false,
        (Some(Int | Float | Numeric), Some(Int | Float | Numeric)) => true,
        (Some(left), Some(right)) => left == right,
        (None, Some(_)) => left.is_null(),
        (_, None) => right.is_null() && !left.is_nested(),
    };
    if fits {
        return Ok(());
    }
    let (left, right) = (Kind::name_of(left), Kind::name_of(right));
    plan_err!("`{what}` does not compare {left} with {right}: CAST one of them")
}

fn truth(expr: &Expr, schema: &DFSchema, what: &str) -> Result<(), DataFusionError> {
    let found = expr.get_type(schema)?;
    if found.is_null() || found == DataType::Boolean {
        return Ok(());
    }
    plan_err!("{what} wants BOOL, not {}", Kind::name_of(&found))
}

fn in_list(list: InList, schema: &DFSchema) -> Result<Expr, DataFusionError> {
    let InList { expr, list, negated } = list;
    let mut float = kind(&expr, schema)? == Some(Kind::Float);
    let mut values = Vec::with_capacity(list.len());
    for value in list {
        let [of, value] = read_texts((*expr).clone(), value, schema)?;
        compared(&of.get_type(schema)?, &value.get_type(schema)?, "IN")?;
        let [_, value] = beside_numeric(of, value, schema)?;
        float |= kind(&value, schema)? == Some(Kind::Float);
        values.push(value);
    }
    if !float {
        return Ok(Expr::InList(InList { expr, list: values, negated }));
    }
    let mut any = lit(false);
    for value in values {
        any = any.or(comparison((*expr).clone(), Operator::Eq, value, schema)?);
    }
    Ok(if negated { Expr::Not(Box::new(any)) } else { any })
}

fn cases(case: Case, schema: &DFSchema) -> Result<Expr, DataFusionError> {
    let Case { expr, when_then_expr, mut else_expr } = case;
    let mut whens = Vec::with_capacity(when_then_expr.len());
    let is_false = |when: &Expr| *when == lit(false);
    let is_null = |then: &Expr| matches!(then, Expr::Literal(value, _) if value.is_null());
    // `NULLIF(a, b)` is `CASE WHEN a = b THEN NULL WHEN FALSE THEN b ELSE a END`: of numbers, the wider one is the type
    // of both, and of anything else b says nothing of it.
    let is_nullif = matches!(
        (&expr, when_then_expr.as_slice(), &else_expr),
        (None, [(_, null), (never, _)], Some(_)) if is_false(never) && is_null(null)
    );
    for (when, then) in when_then_expr {
        let numbers = [Kind::Int, Kind::Float, Kind::Numeric];
        if is_nullif
            && is_false(&when)
            && !kind(&then, schema)?.is_some_and(|of| numbers.contains(&of))
        {
            continue;
        }
        let when = match &expr {
            Some(expr) => comparison((**expr).clone(), Operator::Eq, *when, schema)?,
            None => {
                truth(&when, schema, "WHEN")?;
                *when
            }
        };
        whens.push((Box::new(when), then));
    }
    let answers = whens.iter_mut().map(|(_, then)| &mut **then).chain(else_expr.as_deref_mut());
    one_type(answers, schema, "CASE or IF")?;
    Ok(Expr::Case(Case { expr: None, when_then_expr: whens, else_expr }))
}

/// Whether two types are one to BigQuery.
pub(super) fn is_same(one: &DataType, other: &DataType) -> bool {
    match (Kind::of(one), Kind::of(other)) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}

/// Values of one type; INT64 beside FLOAT64 or NUMERIC becomes such.
fn one_type<'a>(
    answers: impl Iterator<Item = &'a mut Expr>,
    schema: &DFSchema,
    what: &str,
) -> Result<(), DataFusionError> {
    let mut answers: Vec<&mut Expr> = answers.collect();
    let types = answers.iter().map(|answer| answer.get_type(schema));
    let types: Vec<DataType> = types.collect::<Result<_, DataFusionError>>()?;
    let mut known = types.iter().filter(|found| !found.is_null());
    let is_among = |kind| types.iter().any(|found| Kind::of(found) == Some(kind));
    let (wide, cast) = if is_among(Kind::Numeric) {
        (Kind::Numeric, "cast_numeric")
    } else {
        (Kind::Float, "cast_float64")
    };
    let number = |of: &DataType| Kind::of(of).is_some_and(|of| of == Kind::Int || of == wide);
    if let Some(first) = known.next()
        && let Some(found) =
            known.find(|found| !(is_same(first, found) || (number(first) && number(found))))
    {
        let (first, found) = (Kind::name_of(first), Kind::name_of(found));
        return plan_err!("{what} gives one type, not {first} and {found}: CAST one of them");
    }
    if is_among(wide) {
        for (answer, found) in answers.iter_mut().zip(&types) {
            if Kind::of(found) == Some(Kind::Int) {
                **answer = call(cast, vec![std::mem::take(&mut **answer)])?;
            }
        }
    }
    Ok(())
}

fn like_checked(like: &Like, schema: &DFSchema) -> Result<(), DataFusionError> {
    for side in [&like.expr, &like.pattern] {
        let found = side.get_type(schema)?;
        if !found.is_null() && Kind::of(&found) != Some(Kind::Text) {
            return plan_err!("LIKE does not take {} here", Kind::name_of(&found));
        }
    }
    let pattern = match &*like.pattern {
        Expr::Literal(literal, _) => literal.try_as_str().flatten().unwrap_or_default(),
        _ => {
            return plan_err!(
                "LIKE wants a literal as its pattern here; REGEXP_CONTAINS and STARTS_WITH do not"
            );
        }
    };
    let mut rest = pattern.chars();
    while let Some(character) = rest.next() {
        if character == '\\' && !matches!(rest.next(), Some('\\' | '%' | '_')) {
            return plan_err!(
                "`{pattern}`: a backslash wants `%`, `_` or a backslash behind it in LIKE"
            );
        }
    }
    Ok(())
}
