//! Calls of functions. Only those listed here are taken; each is a function that answers as BigQuery's does,
//! of DataFusion or of `functions`, or is put together from such.

use datafusion::common::{plan_datafusion_err, plan_err};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArguments, Ident, NullTreatment, ObjectName, OrderByExpr, Value, WindowType,
};

use super::listed::{AGGREGATES, Aggregate, INNER, RENAMED, TEMPLATES, TIMED, WINDOWS, Windowed};
use super::syntax::{bare, refused, window};
use super::trees::{arithmetic, as_number, as_text, call, fill, text};
use crate::functions;

/// Before its arguments are looked at: units and intervals, which are no expressions, become texts.
pub(super) fn prepare(function: &mut Function) -> Result<(), DataFusionError> {
    let name = name_of(function);
    let plain = name.strip_prefix("SAFE.").unwrap_or(&name);
    let Some(timed) = TIMED.iter().find(|timed| timed.name == plain) else { return Ok(()) };
    let FunctionArguments::List(list) = &mut function.args else { return Ok(()) };
    for (at, argument) in list.args.iter_mut().enumerate() {
        let FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)) = argument else { continue };
        if timed.unit == Some(at) {
            *argument = unit(&*argument)?;
        } else if timed.values.contains(&at) && as_text(argument).is_some() {
            *argument = call(&format!("{}[]", timed.reads), vec![argument.clone()]);
        }
    }
    if let Some(at) = timed.interval {
        let [_, FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Interval(_)))] = &list.args[..]
        else {
            return plan_err!("{name} wants `INTERVAL number unit` as its second argument");
        };
        if let FunctionArg::Unnamed(FunctionArgExpr::Expr(interval)) = list.args.remove(at) {
            let parts = interval_parts(&interval)?;
            list.args.extend(parts.map(|part| FunctionArg::Unnamed(FunctionArgExpr::Expr(part))));
        }
    }
    Ok(())
}

/// The number and the unit of `INTERVAL number unit`.
pub(super) fn interval_parts(interval: &Expr) -> Result<[Expr; 2], DataFusionError> {
    let Expr::Interval(interval) = interval else { return Err(refused(interval)) };
    let plain = interval.last_field.is_none()
        && interval.leading_precision.is_none()
        && interval.fractional_seconds_precision.is_none()
        && as_text(&interval.value).is_none();
    match &interval.leading_field {
        Some(unit) if plain => {
            Ok([(*interval.value).clone(), text(unit.to_string().to_uppercase())])
        }
        _ => Err(refused("INTERVAL other than `INTERVAL number unit`")),
    }
}

/// A unit by its name, such as `HOUR` or `WEEK(MONDAY)`.
fn unit(named: &Expr) -> Result<Expr, DataFusionError> {
    match named {
        Expr::Identifier(_) | Expr::Function(_) => Ok(text(named.to_string().to_uppercase())),
        other => plan_err!("`{other}` is no unit of time, wanted one such as DAY"),
    }
}

/// What to write in place of a call whose arguments are in DataFusion's words already.
pub(super) fn translated(function: &Function) -> Result<Expr, DataFusionError> {
    let name = name_of(function);
    if let Some(aggregate) = AGGREGATES.iter().find(|aggregate| aggregate.name == name) {
        return aggregated(aggregate, function);
    }
    if let Some(window) = WINDOWS.iter().find(|window| window.name == name) {
        return windowed(function, window);
    }
    let plain = function.over.is_none()
        && function.filter.is_none()
        && function.null_treatment.is_none()
        && function.within_group.is_empty()
        && matches!(function.parameters, FunctionArguments::None);
    let arguments = match &function.args {
        FunctionArguments::None => Vec::new(),
        FunctionArguments::List(list)
            if list.duplicate_treatment.is_none() && list.clauses.is_empty() =>
        {
            expressions(&list.args, &name)?
        }
        _ => return Err(refused(function)),
    };
    if !plain {
        return Err(refused(function));
    }
    if let Some(safe) = name.strip_prefix("SAFE.") {
        return match of_rows(safe) {
            Some(known) if functions::by_name(&known).is_some() => {
                row(&format!("safe_{known}"), safe, arguments)
            }
            _ => Err(refused(format!("`{name}`"))),
        };
    }
    let count = arguments.len();
    let of_name = || TEMPLATES.iter().filter(|(template, ..)| *template == name);
    if of_name().next().is_some() {
        return match of_name().find(|(_, wants, _)| *wants == count) {
            Some((.., template)) => fill(template, &arguments),
            None => plan_err!("{name} does not take {count} arguments"),
        };
    }
    match of_rows(&name) {
        Some(known) => row(&known, &name, arguments),
        None => Err(refused(format!("`{name}`"))),
    }
}

/// The name of a function of rows in `functions`.
fn of_rows(name: &str) -> Option<String> {
    if let Some((_, renamed)) = RENAMED.iter().find(|(renamed, _)| *renamed == name) {
        return Some((*renamed).to_owned());
    }
    let known = name.to_lowercase();
    let inner = INNER.contains(&known.as_str());
    (!inner && functions::by_name(&known).is_some()).then_some(known)
}

fn row(known: &str, name: &str, arguments: Vec<Expr>) -> Result<Expr, DataFusionError> {
    if arguments.is_empty() {
        return plan_err!("{name} wants arguments");
    }
    // CONCAT takes what can be cast to a text, and no bytes here.
    Ok(match known {
        "safe_add" | "safe_subtract" | "safe_multiply" | "safe_divide" => {
            arithmetic(known, arguments)
        }
        "concat" | "safe_concat" => {
            let part = |argument| call("concat_part", vec![argument]);
            call(known, arguments.into_iter().map(part).collect())
        }
        known => call(known, arguments),
    })
}

fn aggregated(aggregate: &Aggregate, function: &Function) -> Result<Expr, DataFusionError> {
    let name = aggregate.name;
    let mut inner = checked_window(function)?;
    let FunctionArguments::List(list) = &mut inner.args else { return Err(refused(function)) };
    let distinct = match list.duplicate_treatment {
        None => false,
        Some(DuplicateTreatment::Distinct) => true,
        Some(DuplicateTreatment::All) => return Err(refused(format!("{name} with ALL"))),
    };
    if distinct && !aggregate.distinct {
        return Err(refused(format!("{name} with DISTINCT")));
    }
    if let Some(WindowType::WindowSpec(spec)) = &function.over
        && distinct
        && !(spec.order_by.is_empty() && spec.window_frame.is_none())
    {
        return plan_err!("{name}(DISTINCT …) takes no ORDER BY and no frame in OVER");
    }
    inner.name = ObjectName::from(vec![Ident::new(aggregate.of)]);
    if name == "COUNT"
        && let [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)] = list.args[..]
        && !distinct
        && list.clauses.is_empty()
    {
        return Ok(Expr::Function(inner));
    }
    let mut arguments = expressions(&list.args, name)?;
    let collects = matches!(name, "ARRAY_AGG" | "STRING_AGG") && function.over.is_none();
    if distinct && !collects && matches!(name, "ARRAY_AGG" | "STRING_AGG") {
        return Err(refused(format!("{name} with DISTINCT and OVER")));
    }
    let (mut orders, mut most) = (Vec::new(), None);
    for clause in std::mem::take(&mut list.clauses) {
        match clause {
            FunctionArgumentClause::IgnoreOrRespectNulls(nulls) if name == "ARRAY_AGG" => {
                inner.null_treatment = Some(nulls);
            }
            FunctionArgumentClause::OrderBy(by) if collects => {
                // DataFusion takes a number for the place of an argument.
                let is_literal = |order: &&OrderByExpr| matches!(bare(&order.expr), Expr::Value(_));
                if let Some(order) = by.iter().find(is_literal) {
                    return plan_err!("ORDER BY in {name} does not take the literal `{order}`");
                }
                orders = by;
            }
            FunctionArgumentClause::Limit(limit) if collects => {
                if as_number(&limit).is_none_or(|limit| limit < 1) {
                    return plan_err!("LIMIT in {name} wants a literal, 1 or more");
                }
                most = Some(limit);
            }
            other => return Err(refused(format!("{name} with {other}"))),
        }
    }
    match name {
        "ANY_VALUE" if function.over.is_some() => return Err(refused("ANY_VALUE with OVER")),
        "ANY_VALUE" => inner.null_treatment = Some(NullTreatment::IgnoreNulls),
        "STRING_AGG" if arguments.len() == 1 => arguments.push(text(",")),
        "STRING_AGG" if arguments.len() == 2 && as_text(&arguments[1]).is_none() => {
            return plan_err!("STRING_AGG wants a literal as its delimiter");
        }
        _ => {}
    }
    if arguments.len() != if name == "STRING_AGG" { 2 } else { 1 } {
        return plan_err!("{name} does not take {} arguments", arguments.len());
    }
    if distinct && orders.iter().any(|order| order.expr != arguments[0]) {
        return plan_err!("{name}(DISTINCT x) is ordered by nothing but x");
    }
    if distinct && name != "COUNT" {
        // All NaN are one, and both zeros.
        arguments[0] = call("sorted", vec![arguments[0].clone()]);
    }
    // A count of all is of no value: nothing is to be done to it.
    if name != "COUNT" || distinct {
        arguments[0] = fill(aggregate.argument, &arguments[..1])?;
    }
    let argument = arguments[0].clone();
    if distinct {
        orders.iter_mut().for_each(|order| order.expr = argument.clone());
    }
    if !orders.is_empty() {
        list.clauses.push(FunctionArgumentClause::OrderBy(orders));
    }
    if name == "STRING_AGG" && (distinct || most.is_some()) {
        return Ok(joined(inner, arguments, most));
    }
    list.args = arguments.into_iter().map(unnamed).collect();
    if let Some(most) = most {
        return Ok(call("first_of", vec![Expr::Function(inner), most]));
    }
    if name == "STDDEV_POP" {
        return Ok(population(inner, argument));
    }
    answered(aggregate.answer, inner)
}

/// STDDEV_POP: DataFusion's is 0 of one value, whatever it is. A NaN or infinite one is NaN times 0.
fn population(deviation: Function, argument: Expr) -> Expr {
    let zero = Expr::Value(Value::Number("0.0".to_owned(), false).into());
    let mut zeros = deviation.clone();
    zeros.name = ObjectName::from(vec![Ident::new("sum")]);
    if let FunctionArguments::List(list) = &mut zeros.args {
        list.args = vec![unnamed(call("multiply", vec![argument, zero]))];
    }
    call("add", vec![Expr::Function(deviation), Expr::Function(zeros)])
}

/// STRING_AGG of an array: DataFusion's own has no LIMIT.
fn joined(mut texts: Function, arguments: Vec<Expr>, most: Option<Expr>) -> Expr {
    texts.name = ObjectName::from(vec![Ident::new("array_agg")]);
    texts.null_treatment = Some(NullTreatment::IgnoreNulls);
    let (args, between) = arguments.split_at(1);
    if let FunctionArguments::List(list) = &mut texts.args {
        list.args = args.iter().cloned().map(unnamed).collect();
    }
    let all = || Expr::Value(Value::Number(i64::MAX.to_string(), false).into());
    let first = call("first_of", vec![Expr::Function(texts), most.unwrap_or_else(all)]);
    call("array_to_string", [&[first], between].concat())
}

fn unnamed(argument: Expr) -> FunctionArg {
    FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))
}

/// What becomes of a function's answer.
fn answered(template: &str, function: Function) -> Result<Expr, DataFusionError> {
    match template {
        "_0" => Ok(Expr::Function(function)),
        template => fill(template, &[Expr::Function(function)]),
    }
}

fn windowed(function: &Function, window: &Windowed) -> Result<Expr, DataFusionError> {
    let name = window.name;
    let mut inner = checked_window(function)?;
    let FunctionArguments::List(list) = &mut inner.args else { return Err(refused(function)) };
    let Some(WindowType::WindowSpec(over)) = &function.over else {
        return plan_err!("{name} wants OVER");
    };
    let arguments = expressions(&list.args, name)?;
    if !window.arguments.contains(&arguments.len()) || list.duplicate_treatment.is_some() {
        return plan_err!("{name} does not take these arguments");
    }
    if over.window_frame.is_some() && !window.framed {
        return plan_err!("{name} does not take a frame");
    }
    if over.order_by.is_empty() && window.ordered {
        return plan_err!("{name} wants ORDER BY in its window");
    }
    let numbered = |least: i64| as_number(&arguments[1]).is_some_and(|number| number >= least);
    match name {
        "LAG" | "LEAD" if arguments.len() > 1 && !numbered(0) => {
            return plan_err!("{name} wants a number of rows that is a literal, 0 or more");
        }
        "NTH_VALUE" if !numbered(1) => {
            return plan_err!("NTH_VALUE wants the number of a row that is a literal, 1 or more");
        }
        _ => {}
    }
    for clause in &list.clauses {
        match clause {
            FunctionArgumentClause::IgnoreOrRespectNulls(_) if window.framed => {}
            other => return Err(refused(format!("{name} with {other}"))),
        }
    }
    inner.name = ObjectName::from(vec![Ident::new(name.to_lowercase())]);
    answered(window.answer, inner)
}

/// A call that may have a window, without what neither BigQuery's have.
fn checked_window(function: &Function) -> Result<Function, DataFusionError> {
    let plain = function.filter.is_none()
        && function.within_group.is_empty()
        && function.null_treatment.is_none()
        && matches!(function.parameters, FunctionArguments::None);
    if !plain {
        return Err(refused(function));
    }
    match &function.over {
        None => {}
        Some(WindowType::WindowSpec(spec)) => window(spec)?,
        // What a SELECT defines is in its place already.
        Some(WindowType::NamedWindow(name)) => {
            return plan_err!("the window `{name}` is not defined here: WINDOW says what it is");
        }
    }
    Ok(function.clone())
}

/// The arguments, all of them expressions.
fn expressions(arguments: &[FunctionArg], name: &str) -> Result<Vec<Expr>, DataFusionError> {
    let expression = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Ok(expr.clone()),
        other => Err(plan_datafusion_err!("{name} does not take `{other}`")),
    };
    arguments.iter().map(expression).collect()
}

/// The name in capitals, with what stands before it.
fn name_of(function: &Function) -> String {
    function.name.to_string().to_uppercase()
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::ast::Expr;

    use super::*;

    #[test]
    fn templates_use_all_their_arguments_and_no_more() {
        let arguments: Vec<Expr> = (0..4).map(|n| text(n.to_string())).collect();
        let aggregates =
            AGGREGATES.iter().flat_map(|a| [(a.name, 1, a.argument), (a.name, 1, a.answer)]);
        let windows = WINDOWS.iter().map(|window| (window.name, 1, window.answer));
        for (name, count, template) in TEMPLATES.into_iter().chain(aggregates).chain(windows) {
            fill(template, &arguments[..count]).unwrap_or_else(|error| panic!("{name}: {error}"));
            fill(template, &arguments[..count + 1]).expect_err(name);
        }
    }

    #[test]
    fn names_that_are_not_of_bigquery_are_those_of_functions() {
        for inner in INNER {
            assert!(functions::by_name(inner).is_some(), "{inner}");
        }
    }
}
