//! Expressions other than calls of functions.

use datafusion::common::{plan_datafusion_err, plan_err};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, CastKind, CeilFloorKind, DataType, DateTimeField, ExactNumberInfo,
    Expr, Subscript, TimezoneInfo, UnaryOperator, Value, ValueWithSpan,
};

use super::calls::{interval_parts, prepare, translated};
use super::given::no_text;
use super::not_in::{unwrapped, with_null_in_mind};
use super::syntax::refused;
use super::trees::{arithmetic, as_number, call, text};
use crate::functions;

/// Before what is in it is looked at: words that are no expressions become arguments.
pub(super) fn opened(expr: &mut Expr) -> Result<(), DataFusionError> {
    match expr {
        Expr::Function(function) => prepare(function)?,
        Expr::Extract { field, expr: of, .. } => *expr = extract(field, of)?,
        Expr::CompoundFieldAccess { root, access_chain } => *expr = access(root, access_chain)?,
        Expr::BinaryOp { left, op: op @ (BinaryOperator::Plus | BinaryOperator::Minus), right } => {
            if let Expr::Interval(_) = **right {
                let [number, unit] = interval_parts(right)?;
                let minus = *op == BinaryOperator::Minus;
                let name = if minus { "SUBTRACT_INTERVAL[]" } else { "ADD_INTERVAL[]" };
                *expr = call(name, vec![(**left).clone(), number, unit]);
            }
        }
        Expr::InUnnest { expr: of, array_expr, negated } => {
            if let Expr::Array(array) = &**array_expr
                && !array.elem.is_empty()
            {
                let (of, list, negated) = (of.clone(), array.elem.clone(), *negated);
                *expr = Expr::InList { expr: of, list, negated };
            }
        }
        Expr::UnaryOp { op: UnaryOperator::Minus, expr: of } => {
            // The least INT64 is written as the negative of a number that is none.
            if let Expr::Value(ValueWithSpan { value: Value::Number(number, _), .. }) = &**of
                && number.parse::<i64>().is_err()
                && let negative = format!("-{number}")
                && negative.parse::<i64>().is_ok()
            {
                *expr = Expr::Value(Value::Number(negative, false).into());
            }
        }
        // The parser takes a product for what it is of, BigQuery the first factor.
        Expr::UnaryOp { op: UnaryOperator::BitwiseNot, expr: of }
            if matches!(**of, Expr::BinaryOp { .. }) =>
        {
            return plan_err!("`~` wants parentheses in a product here: `(~x) * y` or `~(x * y)`");
        }
        _ => {}
    }
    Ok(())
}

/// What to write in place of an expression; `None` where it may stay. What is in it is done already.
pub(super) fn closed(expr: &mut Expr) -> Result<Option<Expr>, DataFusionError> {
    if compared(expr).into_iter().any(|side| !compared(side).is_empty()) {
        return plan_err!(
            "one comparison in another, such as `a = b = c`, wants parentheses in BigQuery: so do IS, IN, LIKE \
             and BETWEEN"
        );
    }
    match expr {
        Expr::Identifier(name) if name.value.starts_with("@@") => Err(refused(name)),
        Expr::InSubquery { negated: true, .. } => Ok(with_null_in_mind(expr)),
        Expr::CompoundIdentifier(path) => path.iter().try_for_each(no_text).map(|()| None),
        // What is compared, and how, is seen once types are known.
        Expr::Identifier(_)
        | Expr::IsFalse(_)
        | Expr::IsNotFalse(_)
        | Expr::IsTrue(_)
        | Expr::IsNotTrue(_)
        | Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::IsDistinctFrom(..)
        | Expr::IsNotDistinctFrom(..)
        | Expr::InList { .. }
        | Expr::InSubquery { .. }
        | Expr::Between { .. }
        | Expr::Nested(_)
        | Expr::Case { .. }
        | Expr::Exists { .. }
        | Expr::Subquery(_) => Ok(None),
        Expr::CompoundFieldAccess { access_chain, .. } => {
            let fields = access_chain.iter().all(|access| matches!(access, AccessExpr::Dot(_)));
            if fields { Ok(None) } else { Err(refused("an index of an array")) }
        }
        Expr::BinaryOp { left, op: BinaryOperator::PGLikeMatch, right } => {
            Ok(Some(Expr::IsDistinctFrom(left.clone(), right.clone())))
        }
        Expr::BinaryOp { left, op: BinaryOperator::PGILikeMatch, right } => {
            Ok(Some(Expr::IsNotDistinctFrom(left.clone(), right.clone())))
        }
        Expr::BinaryOp { left, op, right } => binary(left, op, right),
        Expr::UnaryOp { op: UnaryOperator::Not, expr: of }
            if let Expr::InSubquery { expr, subquery, negated: false } = unwrapped(of) =>
        {
            let (expr, subquery) = (expr.clone(), subquery.clone());
            let negated = Expr::InSubquery { expr, subquery, negated: true };
            Ok(Some(with_null_in_mind(&negated).unwrap_or(negated)))
        }
        Expr::UnaryOp { op, expr: of } => match op {
            UnaryOperator::Plus | UnaryOperator::Not => Ok(None),
            UnaryOperator::Minus if matches!(**of, Expr::Value(_)) => Ok(None),
            UnaryOperator::Minus => Ok(Some(call("negate", vec![(**of).clone()]))),
            UnaryOperator::BitwiseNot => Ok(Some(call("bit_not", vec![(**of).clone()]))),
            other => Err(refused(format!("the operator `{other}`"))),
        },
        Expr::InUnnest { expr: of, array_expr, negated } => {
            let held = call("in_unnest", vec![(**of).clone(), (**array_expr).clone()]);
            let not = |expr| Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(expr) };
            Ok(Some(if *negated { not(held) } else { held }))
        }
        Expr::Like { any: false, escape_char: None, .. } => Ok(None),
        Expr::Cast { kind, expr: of, data_type, array: false, format: None } => {
            let safe = match kind {
                CastKind::Cast => "",
                CastKind::SafeCast => "safe_",
                CastKind::TryCast | CastKind::DoubleColon => {
                    return Err(refused("this form of CAST"));
                }
            };
            let name = format!("{safe}{}", cast(data_type)?);
            Ok(Some(call(&name, vec![(**of).clone()])))
        }
        Expr::TypedString(typed) => match (&typed.data_type, &typed.value.value) {
            (
                of @ (DataType::Date
                | DataType::Datetime(None)
                | DataType::Timestamp(None, TimezoneInfo::None)
                | DataType::Numeric(ExactNumberInfo::None)
                | DataType::Decimal(ExactNumberInfo::None)),
                Value::SingleQuotedString(value),
            ) => {
                let name = cast(of)?;
                if name == "cast_numeric" {
                    functions::exact_numeric(value)?;
                }
                Ok(Some(call(name, vec![text(value)])))
            }
            (of, value) => Err(refused(format!("the literal `{of} {value}`"))),
        },
        Expr::Ceil { expr: of, field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) } => {
            Ok(Some(call("ceil", vec![(**of).clone()])))
        }
        Expr::Floor {
            expr: of,
            field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime),
        } => Ok(Some(call("floor", vec![(**of).clone()]))),
        Expr::Substring { expr: of, substring_from, substring_for, special: true, .. } => {
            let rest = [substring_from, substring_for].into_iter().flatten();
            let arguments = std::iter::once(of).chain(rest).map(|argument| (**argument).clone());
            Ok(Some(call("substr", arguments.collect())))
        }
        Expr::Trim { trim_where: None, trim_what: None, expr: of, trim_characters } => {
            let mut arguments = vec![(**of).clone()];
            arguments.extend(trim_characters.iter().flatten().cloned());
            Ok(Some(call("trim", arguments)))
        }
        Expr::Array(array) if !array.elem.is_empty() => {
            Ok(Some(call("array_of", array.elem.clone())))
        }
        Expr::Value(value) => literal(&value.value),
        Expr::Function(function) => match function.name.to_string().as_str() {
            // These are made above, and nobody can write them.
            "ADD_INTERVAL[]" => Ok(Some(renamed(expr, "add_interval"))),
            "SUBTRACT_INTERVAL[]" => Ok(Some(renamed(expr, "subtract_interval"))),
            "EXTRACT[]" => Ok(Some(renamed(expr, "extract"))),
            "FIELD[]" => Ok(Some(renamed(expr, "get_field"))),
            "OFFSET[]" => Ok(Some(renamed(expr, "array_offset"))),
            "SAFE_OFFSET[]" => Ok(Some(renamed(expr, "array_safe_offset"))),
            "ORDINAL[]" => Ok(Some(renamed(expr, "array_ordinal"))),
            "SAFE_ORDINAL[]" => Ok(Some(renamed(expr, "array_safe_ordinal"))),
            "cast_date[]" => Ok(Some(renamed(expr, "cast_date"))),
            "cast_datetime[]" => Ok(Some(renamed(expr, "cast_datetime"))),
            "cast_timestamp[]" => Ok(Some(renamed(expr, "cast_timestamp"))),
            _ => translated(function).map(Some),
        },
        other => Err(refused(format!("`{other}`"))),
    }
}

/// What a comparison compares; nothing of what is none.
fn compared(expr: &Expr) -> Vec<&Expr> {
    use BinaryOperator as Of;
    match expr {
        Expr::BinaryOp {
            left,
            op:
                Of::Eq | Of::NotEq | Of::Lt | Of::LtEq | Of::Gt | Of::GtEq
                // `IS DISTINCT FROM` and its opposite, as they are in tokens.
                | Of::PGLikeMatch | Of::PGILikeMatch,
            right,
        } => vec![&**left, &**right],
        Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right) => {
            vec![&**left, &**right]
        }
        Expr::IsFalse(of)
        | Expr::IsNotFalse(of)
        | Expr::IsTrue(of)
        | Expr::IsNotTrue(of)
        | Expr::IsNull(of)
        | Expr::IsNotNull(of)
        | Expr::InList { expr: of, .. }
        | Expr::InUnnest { expr: of, .. }
        | Expr::InSubquery { expr: of, .. } => vec![&**of],
        Expr::Like { expr: of, pattern, .. } => vec![&**of, &**pattern],
        Expr::Between { expr: of, low, high, .. } => vec![&**of, &**low, &**high],
        _ => Vec::new(),
    }
}

fn renamed(expr: &Expr, name: &str) -> Expr {
    let mut renamed = call(name, Vec::new());
    if let (Expr::Function(from), Expr::Function(to)) = (expr, &mut renamed) {
        to.args = from.args.clone();
    }
    renamed
}

fn literal(value: &Value) -> Result<Option<Expr>, DataFusionError> {
    match value {
        Value::Number(number, false) => {
            let whole = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
            if whole && number.parse::<i64>().is_err() {
                return plan_err!("`{number}` is no INT64");
            }
            if !whole && number.parse::<f64>().is_ok_and(f64::is_infinite) {
                return plan_err!("`{number}` is no FLOAT64");
            }
            Ok(None)
        }
        Value::SingleQuotedString(_)
        | Value::HexStringLiteral(_)
        | Value::Boolean(_)
        | Value::Null => Ok(None),
        other => Err(refused(format!("the literal `{other}`"))),
    }
}

fn binary(left: &Expr, op: &BinaryOperator, right: &Expr) -> Result<Option<Expr>, DataFusionError> {
    use BinaryOperator as Of;
    let both = || vec![left.clone(), right.clone()];
    match op {
        Of::Plus => Ok(Some(arithmetic("add", both()))),
        Of::Minus => Ok(Some(arithmetic("subtract", both()))),
        Of::Multiply => Ok(Some(arithmetic("multiply", both()))),
        Of::Divide => Ok(Some(arithmetic("divide", both()))),
        Of::Eq
        | Of::NotEq
        | Of::Lt
        | Of::LtEq
        | Of::Gt
        | Of::GtEq
        | Of::And
        | Of::Or
        | Of::BitwiseAnd
        | Of::BitwiseOr
        | Of::BitwiseXor => Ok(None),
        Of::StringConcat => Ok(Some(call("concat", both()))),
        other => Err(refused(format!("the operator `{other}`"))),
    }
}

/// The function that casts to a type.
fn cast(to: &DataType) -> Result<&'static str, DataFusionError> {
    Ok(match to {
        DataType::Int64 => "cast_int64",
        DataType::Float64 => "cast_float64",
        DataType::Numeric(ExactNumberInfo::None) | DataType::Decimal(ExactNumberInfo::None) => {
            "cast_numeric"
        }
        DataType::Bool => "cast_bool",
        DataType::String(None) => "cast_string",
        DataType::Bytes(None) => "cast_bytes",
        DataType::Date => "cast_date",
        DataType::Datetime(None) => "cast_datetime",
        DataType::Timestamp(None, TimezoneInfo::None) => "cast_timestamp",
        DataType::Double(ExactNumberInfo::None) => {
            return plan_err!("DOUBLE is no type of BigQuery, wanted FLOAT64");
        }
        other => return Err(refused(format!("the type {other}"))),
    })
}

/// `EXTRACT(part FROM value AT TIME ZONE zone)`
fn extract(field: &DateTimeField, of: &Expr) -> Result<Expr, DataFusionError> {
    let part = field.to_string().to_uppercase();
    let mut arguments = match of {
        Expr::AtTimeZone { timestamp, time_zone } => {
            vec![(**timestamp).clone(), (**time_zone).clone()]
        }
        of => vec![of.clone()],
    };
    if part == "DATE" {
        return Ok(call("DATE", arguments));
    }
    arguments.insert(1, text(part));
    Ok(call("EXTRACT[]", arguments))
}

/// `array[OFFSET(number)]` and its like, and fields of records.
fn access(root: &Expr, chain: &[AccessExpr]) -> Result<Expr, DataFusionError> {
    let mut accessed = root.clone();
    for access in chain {
        accessed = match access {
            AccessExpr::Dot(field) => match (accessed, field) {
                (Expr::CompoundFieldAccess { root, mut access_chain }, _) => {
                    access_chain.push(access.clone());
                    Expr::CompoundFieldAccess { root, access_chain }
                }
                (root @ (Expr::Identifier(_) | Expr::CompoundIdentifier(_)), _) => {
                    let access_chain = vec![access.clone()];
                    Expr::CompoundFieldAccess { root: Box::new(root), access_chain }
                }
                // Of what has no name, DataFusion takes no path.
                (of, Expr::Identifier(name)) if !matches!(name.quote_style, Some('\'' | '"')) => {
                    call("FIELD[]", vec![of, text(name.value.clone())])
                }
                (_, other) => return Err(refused(format!("`.{other}`"))),
            },
            AccessExpr::Subscript(Subscript::Index { index: Expr::Function(way) }) => {
                let name = way.name.to_string().to_uppercase();
                let Some(number) = only_argument(way) else { return Err(refused(way)) };
                match (&accessed, name.as_str()) {
                    (Expr::Function(of), "OFFSET")
                        if of.name.to_string().eq_ignore_ascii_case("APPROX_QUANTILES") =>
                    {
                        quantile(of, &number)?
                    }
                    (_, "OFFSET" | "ORDINAL" | "SAFE_OFFSET" | "SAFE_ORDINAL") => {
                        call(&format!("{name}[]"), vec![accessed, number])
                    }
                    _ => return Err(refused(way)),
                }
            }
            AccessExpr::Subscript(_) => {
                return plan_err!(
                    "an index of an array wants OFFSET, ORDINAL, SAFE_OFFSET or SAFE_ORDINAL around it"
                );
            }
        };
    }
    Ok(accessed)
}

fn arguments(function: &datafusion::sql::sqlparser::ast::Function) -> Option<Vec<Expr>> {
    use datafusion::sql::sqlparser::ast::{FunctionArg, FunctionArgExpr, FunctionArguments};
    let FunctionArguments::List(list) = &function.args else { return None };
    let expression = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    };
    let plain = list.clauses.is_empty() && list.duplicate_treatment.is_none();
    list.args.iter().map(expression).collect::<Option<Vec<_>>>().filter(|_| plain)
}

fn only_argument(function: &datafusion::sql::sqlparser::ast::Function) -> Option<Expr> {
    match arguments(function)?.as_slice() {
        [only] => Some(only.clone()),
        _ => None,
    }
}

/// `APPROX_QUANTILES(x, n)[OFFSET(k)]` is one function to DataFusion.
fn quantile(
    of: &datafusion::sql::sqlparser::ast::Function,
    at: &Expr,
) -> Result<Expr, DataFusionError> {
    let plain = of.over.is_none() && of.filter.is_none() && of.within_group.is_empty();
    if plain
        && let Some([value, count]) = arguments(of).as_deref()
        && let (Some(count), Some(at)) = (as_number(count), as_number(at))
        && (1..=count).contains(&at.max(1))
    {
        let percentile = format!("{:?}", at as f64 / count as f64);
        let percentile = Expr::Value(Value::Number(percentile, false).into());
        return Ok(call("APPROX_QUANTILES[]", vec![value.clone(), percentile]));
    }
    Err(plan_datafusion_err!(
        "wanted APPROX_QUANTILES(x, number)[OFFSET(number)], the second number not above the first"
    ))
}
