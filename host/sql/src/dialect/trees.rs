//! Small pieces of syntax trees.

use std::ops::ControlFlow;

use datafusion::common::plan_datafusion_err;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident,
    ObjectName, UnaryOperator, Value, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::BigQueryDialect;
use datafusion::sql::sqlparser::parser::Parser;

/// A call of a function.
pub(super) fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    let unnamed = |argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument));
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: arguments.into_iter().map(unnamed).collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// A call of the function of an operator. A literal with a point or an exponent is a FLOAT64, but for beside a
/// NUMERIC, where it is one: which is told by its name, since types are not known yet.
pub(super) fn arithmetic(name: &str, arguments: Vec<Expr>) -> Expr {
    let operator = name.strip_prefix("safe_").unwrap_or(name);
    let safe = &name[..name.len() - operator.len()];
    let [left, right] = &arguments[..] else { return call(name, arguments) };
    let (left, right) = (left.clone(), right.clone());
    match (is_float(&left), is_float(&right), operator) {
        (false, true, _) => call(&format!("{safe}{operator}_literal"), vec![left, right]),
        (true, false, "add" | "multiply") => {
            call(&format!("{safe}{operator}_literal"), vec![right, left])
        }
        (true, false, _) => call(&format!("{safe}literal_{operator}"), vec![right, left]),
        _ => call(name, arguments),
    }
}

/// Whether this is a literal of FLOAT64.
fn is_float(expr: &Expr) -> bool {
    match expr {
        Expr::Value(value) => {
            matches!(&value.value, Value::Number(number, _) if number.parse::<i64>().is_err())
        }
        Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr } => is_float(expr),
        Expr::Nested(inner) => is_float(inner),
        _ => false,
    }
}

/// A text as a literal.
pub(super) fn text(text: impl Into<String>) -> Expr {
    Expr::Value(Value::SingleQuotedString(text.into()).into())
}

/// The text of a literal.
pub(super) fn as_text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text.as_str()),
            _ => None,
        },
        _ => None,
    }
}

/// The number of a literal that is whole and not negative.
pub(super) fn as_number(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(number, _) => number.parse().ok(),
            _ => None,
        },
        Expr::Nested(inner) => as_number(inner),
        _ => None,
    }
}

/// A template with arguments in it, `_0` for the first. They are put in as trees: nothing has to be quoted.
/// Every argument must be used: one that is not would be ignored without a word.
pub(super) fn fill(template: &str, arguments: &[Expr]) -> Result<Expr, DataFusionError> {
    let parsed = Parser::new(&BigQueryDialect {})
        .try_with_sql(template)
        .and_then(|mut parser| parser.parse_expr());
    let mut expr = parsed.map_err(|error| DataFusionError::SQL(Box::new(error), None))?;
    let mut filler = Filler { arguments, used: vec![false; arguments.len()] };
    let missing = expr.visit(&mut filler).is_break();
    if missing || filler.used.contains(&false) {
        return Err(plan_datafusion_err!("a function does not take {} arguments", arguments.len()));
    }
    Ok(Expr::Nested(Box::new(expr)))
}

struct Filler<'a> {
    arguments: &'a [Expr],
    used: Vec<bool>,
}

impl VisitorMut for Filler<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Identifier(name) = expr
            && let Some(number) = name.value.strip_prefix('_').and_then(|n| n.parse::<usize>().ok())
        {
            match self.arguments.get(number) {
                Some(argument) => {
                    self.used[number] = true;
                    *expr = argument.clone();
                }
                None => return ControlFlow::Break(()),
            }
        }
        ControlFlow::Continue(())
    }
}
