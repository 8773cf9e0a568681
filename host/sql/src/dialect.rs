//! BigQuery's SQL for DataFusion's planner. The parser speaks the dialect; what the planner does not
//! know is put into its own words here: functions of BigQuery, named parameters, types by BigQuery's
//! names, and division, which in BigQuery is never one of integers.
//!
//! This works on the syntax tree, before planning: units such as `HOUR` would be taken for columns, and
//! `APPROX_QUANTILES(x, 100)[OFFSET(95)]` is one function to DataFusion.

use std::ops::ControlFlow;

use datafusion::common::plan_datafusion_err;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, DataType, ExactNumberInfo, Expr, ExprWithAlias, Function,
    FunctionArg, FunctionArgExpr, FunctionArguments, Statement, Subscript, Value, VisitMut,
    VisitorMut,
};
use datafusion::sql::sqlparser::dialect::BigQueryDialect;
use datafusion::sql::sqlparser::parser::Parser;

use clickmill_tables::result_set::Parameter;

/// BigQuery's functions in DataFusion's words; `_0` stands for the first argument.
const FUNCTIONS: [(&str, &str); 17] = [
    ("ANY_VALUE", "first_value(_0)"),
    ("APPROX_COUNT_DISTINCT", "approx_distinct(_0)"),
    ("COUNTIF", "count(CASE WHEN _0 THEN 1 END)"),
    ("DATE", "CAST(_0 AS DATE)"),
    ("DIV", "arrow_cast(_0, 'Int64') / arrow_cast(_1, 'Int64')"),
    ("IF", "CASE WHEN _0 THEN _1 ELSE _2 END"),
    ("IFNULL", "coalesce(_0, _1)"),
    ("LOGICAL_AND", "bool_and(_0)"),
    ("LOGICAL_OR", "bool_or(_0)"),
    ("MOD", "_0 % _1"),
    ("SAFE_DIVIDE", "CAST(_0 AS DOUBLE) / nullif(CAST(_1 AS DOUBLE), 0)"),
    ("STRING", "CAST(_0 AS VARCHAR)"),
    ("TIMESTAMP", "arrow_cast(_0, 'Timestamp(µs, \"UTC\")')"),
    ("TIMESTAMP_SECONDS", "arrow_cast(1000000 * _0, 'Timestamp(µs, \"UTC\")')"),
    ("UNIX_MICROS", "arrow_cast(arrow_cast(_0, 'Timestamp(µs, \"UTC\")'), 'Int64')"),
    ("UNIX_MILLIS", "arrow_cast(arrow_cast(_0, 'Timestamp(ms, \"UTC\")'), 'Int64')"),
    ("UNIX_SECONDS", "arrow_cast(arrow_cast(_0, 'Timestamp(s, \"UTC\")'), 'Int64')"),
];

/// Units of time, with their microseconds where those are fixed. BigQuery's weeks begin on Sundays,
/// DataFusion's on Mondays, which BigQuery calls ISO weeks.
const UNITS: [(&str, &str, Option<i64>); 10] = [
    ("MICROSECOND", "microsecond", Some(1)),
    ("MILLISECOND", "millisecond", Some(1_000)),
    ("SECOND", "second", Some(1_000_000)),
    ("MINUTE", "minute", Some(60_000_000)),
    ("HOUR", "hour", Some(3_600_000_000)),
    ("DAY", "day", Some(86_400_000_000)),
    ("ISOWEEK", "week", None),
    ("MONTH", "month", None),
    ("QUARTER", "quarter", None),
    ("YEAR", "year", None),
];

/// Puts a statement into DataFusion's words.
pub(super) fn translate(
    statement: &mut Statement,
    parameters: &[(String, Parameter)],
) -> Result<(), DataFusionError> {
    match statement.visit(&mut Translator { parameters }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// Reads a condition, and puts it into DataFusion's words.
pub(crate) fn condition(
    state: &SessionState,
    text: &str,
) -> Result<ExprWithAlias, DataFusionError> {
    let mut parsed = state.sql_to_expr_with_alias(text, &"BigQuery".parse()?)?;
    match parsed.expr.visit(&mut Translator { parameters: &[] }) {
        ControlFlow::Continue(()) => Ok(parsed),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Translator<'a> {
    parameters: &'a [(String, Parameter)],
}

impl VisitorMut for Translator<'_> {
    type Break = DataFusionError;

    // Arguments come before the calls that they are of.
    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<DataFusionError> {
        match self.translated(expr) {
            Ok(Some(translated)) => *expr = translated,
            Ok(None) => {}
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }
}

impl Translator<'_> {
    /// What to write in place of an expression; `None` where it may stay.
    fn translated(&self, expr: &mut Expr) -> Result<Option<Expr>, DataFusionError> {
        match expr {
            // The dialect lets names begin with it.
            Expr::Identifier(name) if name.value.starts_with('@') => {
                self.parameter(&name.value).map(Some)
            }
            Expr::BinaryOp { left, op: BinaryOperator::Divide, right } => {
                fill("CAST(_0 AS DOUBLE) / _1", &[(**left).clone(), (**right).clone()]).map(Some)
            }
            Expr::Cast { data_type, .. } => {
                match data_type {
                    DataType::Int64 => *data_type = DataType::BigInt(None),
                    DataType::Float64 => *data_type = DataType::Double(ExactNumberInfo::None),
                    _ => {}
                }
                Ok(None)
            }
            Expr::CompoundFieldAccess { root, access_chain } => quantile(root, access_chain),
            Expr::Function(function) => call(function),
            _ => Ok(None),
        }
    }

    fn parameter(&self, name: &str) -> Result<Expr, DataFusionError> {
        let known = self.parameters.iter().find(|(known, _)| *known == name[1..]);
        let (_, value) =
            known.ok_or_else(|| plan_datafusion_err!("parameter `{name}` has no value"))?;
        match value {
            Parameter::Text(Some(text)) => {
                Ok(Expr::Value(Value::SingleQuotedString(text.clone()).into()))
            }
            Parameter::Text(None) => fill("CAST(NULL AS VARCHAR)", &[]),
            Parameter::Integer(number) => fill(&number.to_string(), &[]),
            Parameter::Timestamp(moment) => {
                fill(&format!("arrow_cast({}, 'Timestamp(µs, \"UTC\")')", moment.get()), &[])
            }
        }
    }
}

/// `APPROX_QUANTILES(x, n)[OFFSET(k)]`
fn quantile(root: &Expr, access: &[AccessExpr]) -> Result<Option<Expr>, DataFusionError> {
    let (Expr::Function(of), [AccessExpr::Subscript(Subscript::Index { index })]) = (root, access)
    else {
        return Ok(None);
    };
    let Expr::Function(offset) = index else { return Ok(None) };
    if !is(of, "APPROX_QUANTILES") || !is(offset, "OFFSET") {
        return Ok(None);
    }
    let number = |expr: &Expr| expr.to_string().parse::<f64>().ok();
    let (of, offset) = (arguments(of), arguments(offset));
    if let ([value, count], [at]) = (&of[..], &offset[..])
        && let (Some(count), Some(at)) = (number(count), number(at))
    {
        let percentile = at / count;
        let quantile = format!("approx_percentile_cont({percentile:?}) WITHIN GROUP (ORDER BY _0)");
        return fill(&quantile, &[(*value).clone()]).map(Some);
    }
    Err(plan_datafusion_err!("wanted numbers in APPROX_QUANTILES(x, number)[OFFSET(number)]"))
}

/// A call of one of BigQuery's functions.
fn call(function: &Function) -> Result<Option<Expr>, DataFusionError> {
    let arguments: Vec<Expr> = arguments(function).into_iter().cloned().collect();
    let unit = || {
        let unit = arguments.last().map(Expr::to_string).unwrap_or_default().to_uppercase();
        let known = UNITS.iter().find(|(name, ..)| *name == unit);
        known.ok_or_else(|| {
            let names = UNITS.map(|(name, ..)| name).join(", ");
            plan_datafusion_err!("`{unit}` is no unit that the warehouse knows: {names}")
        })
    };
    let template = if is(function, "TIMESTAMP_TRUNC") {
        format!("date_trunc('{}', _0)", unit()?.1)
    } else if is(function, "DATE_TRUNC") {
        format!("CAST(date_trunc('{}', _0) AS DATE)", unit()?.1)
    } else if is(function, "TIMESTAMP_DIFF") || is(function, "DATE_DIFF") {
        let (name, _, micros) = unit()?;
        let micros = micros.ok_or_else(|| plan_datafusion_err!("`{name}` has no fixed length"))?;
        let number = |argument: &str| {
            format!("arrow_cast(arrow_cast({argument}, 'Timestamp(µs, \"UTC\")'), 'Int64')")
        };
        format!("({} - {}) / {micros}", number("_0"), number("_1"))
    } else if let Some((_, template)) = FUNCTIONS.iter().find(|(name, _)| is(function, name)) {
        (*template).to_owned()
    } else {
        return Ok(None);
    };
    let mut filled = fill(&template, &arguments)?;
    if let Expr::Nested(inner) = &mut filled
        && let Expr::Function(inner) = &mut **inner
    {
        inner.over.clone_from(&function.over);
    }
    Ok(Some(filled))
}

fn is(function: &Function, name: &str) -> bool {
    function.name.to_string().eq_ignore_ascii_case(name)
}

fn arguments(function: &Function) -> Vec<&Expr> {
    let FunctionArguments::List(list) = &function.args else { return Vec::new() };
    let expression = |argument| match argument {
        &FunctionArg::Unnamed(FunctionArgExpr::Expr(ref expr)) => Some(expr),
        _ => None,
    };
    list.args.iter().filter_map(expression).collect()
}

/// A template with arguments in it. They are put in as trees: nothing has to be quoted.
fn fill(template: &str, arguments: &[Expr]) -> Result<Expr, DataFusionError> {
    let parsed = Parser::new(&BigQueryDialect {})
        .try_with_sql(template)
        .and_then(|mut parser| parser.parse_expr());
    let mut expr = parsed.map_err(|error| DataFusionError::SQL(Box::new(error), None))?;
    match expr.visit(&mut Filler(arguments)) {
        ControlFlow::Continue(()) => Ok(Expr::Nested(Box::new(expr))),
        ControlFlow::Break(()) => Err(plan_datafusion_err!(
            "a function wants more arguments than the {} it has",
            arguments.len()
        )),
    }
}

struct Filler<'a>(&'a [Expr]);

impl VisitorMut for Filler<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Identifier(name) = expr
            && let Some(number) = name.value.strip_prefix('_').and_then(|n| n.parse::<usize>().ok())
        {
            match self.0.get(number) {
                Some(argument) => *expr = argument.clone(),
                None => return ControlFlow::Break(()),
            }
        }
        ControlFlow::Continue(())
    }
}
