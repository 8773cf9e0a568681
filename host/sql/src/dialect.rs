//! BigQuery's SQL for DataFusion's planner: BigQuery's answer, or an error that names what differs.
//!
//! What may stand in a query is a list, and nothing else passes. It works in two steps. On the syntax tree,
//! before planning, words become functions: units such as `HOUR` would be taken for columns, and
//! `APPROX_QUANTILES(x, 100)[OFFSET(95)]` is one function to DataFusion. On the plan, once types are known,
//! operators become those of BigQuery (`types`). `sql/README.md` has the table of what differs.

mod aliases;
mod calls;
mod depth;
mod elements;
mod expressions;
mod from;
mod given;
mod listed;
mod names;
mod not_in;
mod raw;
mod sequences;
mod syntax;
mod tokens;
mod trees;
mod unnest;
mod using;
mod wildcards;
mod windows;

use std::ops::ControlFlow;

use datafusion::common::{plan_datafusion_err, plan_err};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{
    Expr, ExprWithAlias, Ident, Query, Select, Statement, TableAlias, TableFactor, Value, VisitMut,
    VisitorMut,
};
use datafusion::sql::sqlparser::dialect::BigQueryDialect;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

use clickmill_tables::result_set::Parameter;

use names::Nameless;
pub(super) use names::shown;
use trees::{call, text};

/// Reads a query, and puts it into DataFusion's words.
pub(super) fn query(
    sql: &str,
    parameters: &[(String, Parameter)],
) -> Result<Statement, DataFusionError> {
    let mut parser = parser(sql)?;
    let mut statement = parser.parse_statement().map_err(syntax_error)?;
    while parser.consume_token(&Token::SemiColon) {}
    ended(&parser)?;
    let Statement::Query(query) = &mut statement else {
        return plan_err!("only queries are taken here, which begin with SELECT or WITH");
    };
    translate(&mut **query, parameters)?;
    Ok(statement)
}

/// Reads a condition, and puts it into DataFusion's words.
pub(crate) fn condition(text: &str) -> Result<ExprWithAlias, DataFusionError> {
    let mut parser = parser(text)?;
    let mut expr = parser.parse_expr().map_err(syntax_error)?;
    ended(&parser)?;
    translate(&mut expr, &[])?;
    Ok(ExprWithAlias { expr, alias: None })
}

fn parser(text: &str) -> Result<Parser<'static>, DataFusionError> {
    let tokens = tokens::tokens(text)?;
    depth::in_tokens(&tokens)?;
    sequences::checked(&tokens)?;
    let parser = Parser::new(&BigQueryDialect {}).with_recursion_limit(depth::PARSER_DEPTH);
    Ok(parser.with_tokens_with_locations(tokens))
}

fn syntax_error(error: ParserError) -> DataFusionError {
    match error {
        ParserError::RecursionLimitExceeded => depth::too_deep(),
        error => DataFusionError::SQL(Box::new(error), None),
    }
}

fn ended(parser: &Parser<'_>) -> Result<(), DataFusionError> {
    match parser.peek_token().token {
        Token::EOF => Ok(()),
        more => plan_err!("`{more}` is too much: one query is taken at a time"),
    }
}

fn translate(
    tree: &mut impl VisitMut,
    parameters: &[(String, Parameter)],
) -> Result<(), DataFusionError> {
    depth::in_tree(tree)?;
    match tree.visit(&mut Translator { parameters, subqueries: 0, nameless: Nameless::default() }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Translator<'a> {
    parameters: &'a [(String, Parameter)],
    /// How many subqueries in FROM had no name.
    subqueries: usize,
    nameless: Nameless,
}

impl VisitorMut for Translator<'_> {
    type Break = DataFusionError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<DataFusionError> {
        let done = syntax::query(query);
        syntax::go_on(done.and_then(|()| elements::rename_in_order(query)))
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<DataFusionError> {
        syntax::go_on(from::ordered(query))
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<DataFusionError> {
        let done = windows::expand(select)
            .and_then(|()| syntax::select(select))
            .and_then(|()| from::apart(select))
            .and_then(|()| using::order(select))
            .and_then(|()| elements::rename(select))
            .and_then(|()| unnest::expand(select));
        unnest::name_fields(select);
        wildcards::name_replaced(select);
        self.nameless.name_columns(select);
        syntax::go_on(done)
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<DataFusionError> {
        syntax::go_on(from::checked(select).and_then(|()| aliases::resolve(select)))
    }

    fn pre_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<DataFusionError> {
        syntax::go_on(syntax::table(table))
    }

    fn post_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<DataFusionError> {
        self.nameless.name_elements(table);
        syntax::name_element(table);
        // Columns of no table would be taken for what is selected under their names.
        if let TableFactor::Derived { alias: alias @ None, .. } = table {
            self.subqueries += 1;
            let name = Ident::new(format!("subquery[{}]", self.subqueries));
            *alias = Some(TableAlias { explicit: true, name, columns: Vec::new(), at: None });
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<DataFusionError> {
        syntax::go_on(expressions::opened(expr))
    }

    // Arguments come before the calls that they are of.
    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<DataFusionError> {
        // The dialect lets names begin with it.
        let translated = match expr {
            Expr::Identifier(name)
                if name.value.starts_with('@') && !name.value.starts_with("@@") =>
            {
                self.parameter(&name.value).map(Some)
            }
            _ => expressions::closed(expr),
        };
        match translated {
            Ok(Some(translated)) => *expr = translated,
            Ok(None) => {}
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }
}

impl Translator<'_> {
    fn parameter(&self, name: &str) -> Result<Expr, DataFusionError> {
        let known = self.parameters.iter().find(|(known, _)| *known == name[1..]);
        let (_, value) =
            known.ok_or_else(|| plan_datafusion_err!("parameter `{name}` has no value"))?;
        let number = |number: i64| Expr::Value(Value::Number(number.to_string(), false).into());
        Ok(match value {
            Parameter::Text(Some(value)) => text(value.clone()),
            Parameter::Text(None) => call("cast_string", vec![Expr::Value(Value::Null.into())]),
            Parameter::Integer(value) => number(*value),
            Parameter::Timestamp(moment) => call("timestamp_micros", vec![number(moment.get())]),
            Parameter::Written(of, value) => {
                let value = value.clone().map_or_else(|| Expr::Value(Value::Null.into()), text);
                call(&format!("cast_{}", of.name().to_lowercase()), vec![value])
            }
        })
    }
}
