//! What FROM is to a SELECT. A name of a table is its row in BigQuery, and comes before a column of that name; DataFusion
//! knows it before a point alone. Without FROM a SELECT has nothing but what it selects.

use std::collections::HashSet;
use std::iter::once;
use std::ops::ControlFlow;
use std::ptr;

use datafusion::common::{plan_datafusion_err, plan_err};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{
    AccessExpr, Distinct, Expr, GroupByExpr, Ident, Query, Select, SelectItem, SetExpr,
    TableFactor, TableWithJoins, Visit, Visitor,
};

use super::aliases::{Found, named};
use super::unnest::name_of;

/// Refuses two tables of one name, whatever its capitals.
pub(super) fn apart(select: &Select) -> Result<(), DataFusionError> {
    let mut known = HashSet::new();
    let tables = joined(&select.from).into_iter().flat_map(factors);
    let mut names = tables.filter_map(|table| match table {
        TableFactor::UNNEST { alias, .. } => alias.as_ref().map(|alias| alias.name.clone()),
        table => name_of(table),
    });
    match names.find(|name| !known.insert(name.value.to_lowercase())) {
        Some(twice) => plan_err!(
            "FROM has `{}` twice, whatever the capitals: give one of them another name with AS",
            twice.value
        ),
        None => Ok(()),
    }
}

/// Checks a SELECT that is in DataFusion's words.
pub(super) fn checked(select: &Select) -> Result<(), DataFusionError> {
    if select.from.is_empty() { without(select) } else { done(without_rows(select)) }
}

/// Checks what a SELECT is ordered by.
pub(super) fn ordered(query: &Query) -> Result<(), DataFusionError> {
    let SetExpr::Select(select) = &*query.body else { return Ok(()) };
    done(query.order_by.visit(&mut Rows::of(select).but_given(select)))
}

fn done(flow: ControlFlow<DataFusionError>) -> Result<(), DataFusionError> {
    match flow {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

fn without(select: &Select) -> Result<(), DataFusionError> {
    let found = Found::within(&select.projection);
    let is_grouped =
        !matches!(&select.group_by, GroupByExpr::Expressions(keys, _) if keys.is_empty());
    let parts = [
        ("DISTINCT", matches!(select.distinct, Some(Distinct::Distinct))),
        ("WHERE", select.selection.is_some()),
        ("GROUP BY", is_grouped),
        ("HAVING", select.having.is_some()),
        ("QUALIFY", select.qualify.is_some()),
        ("aggregate function", found.aggregate),
        ("window function", found.window),
    ];
    match parts.into_iter().find(|(_, is_there)| *is_there) {
        Some((part, _)) => {
            plan_err!("SELECT takes no {part} without FROM: write `FROM (SELECT 1)`")
        }
        None => Ok(()),
    }
}

/// Goes through what may name columns, and ends at the name of a table that stands by itself.
fn without_rows(select: &Select) -> ControlFlow<DataFusionError> {
    let mut rows = Rows::of(select);
    for join in joined(&select.from).into_iter().flat_map(|tables| &tables.joins) {
        join.join_operator.visit(&mut rows)?;
    }
    select.projection.visit(&mut rows)?;
    select.selection.visit(&mut rows)?;
    let mut rows = rows.but_given(select);
    select.group_by.visit(&mut rows)?;
    select.having.visit(&mut rows)?;
    select.qualify.visit(&mut rows)
}

/// Tables with their joins, and those in brackets among them.
fn joined(from: &[TableWithJoins]) -> Vec<&TableWithJoins> {
    let mut joined: Vec<&TableWithJoins> = from.iter().collect();
    let mut at = 0;
    while let Some(tables) = joined.get(at).copied() {
        joined.extend(factors(tables).filter_map(|table| match table {
            TableFactor::NestedJoin { table_with_joins, .. } => Some(&**table_with_joins),
            _ => None,
        }));
        at += 1;
    }
    joined
}

fn factors(tables: &TableWithJoins) -> impl Iterator<Item = &TableFactor> {
    once(&tables.relation).chain(tables.joins.iter().map(|join| &join.relation))
}

/// Names of tables, in small letters.
struct Rows {
    names: HashSet<String>,
    /// How many queries within the SELECT it is in: they have tables of their own.
    queries: usize,
    /// Names beside a point, which are no whole rows.
    beside_points: Vec<*const Ident>,
}

impl Rows {
    fn of(select: &Select) -> Self {
        let names = joined(&select.from).into_iter().flat_map(factors).filter_map(name_of);
        let names = names.map(|name| name.value.to_lowercase()).collect();
        Self { names, queries: 0, beside_points: Vec::new() }
    }

    /// Without those that SELECT gives to a column, which come before both behind it: `*` gives any.
    fn but_given(mut self, select: &Select) -> Self {
        use SelectItem::{QualifiedWildcard, Wildcard};
        if select.projection.iter().any(|i| matches!(i, Wildcard(_) | QualifiedWildcard(..))) {
            self.names.clear();
        }
        for (given, _) in select.projection.iter().filter_map(named) {
            self.names.remove(&given.to_lowercase());
        }
        self
    }
}

impl Visitor for Rows {
    type Break = DataFusionError;

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<DataFusionError> {
        self.queries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<DataFusionError> {
        self.queries -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<DataFusionError> {
        match expr {
            Expr::CompoundFieldAccess { root, access_chain } => {
                let points = access_chain.iter().filter_map(|access| match access {
                    AccessExpr::Dot(field) => Some(field),
                    AccessExpr::Subscript(_) => None,
                });
                let is_before_point = matches!(access_chain.first(), Some(AccessExpr::Dot(_)));
                let beside = points.chain(is_before_point.then_some(&**root));
                self.beside_points.extend(beside.filter_map(|expr| match expr {
                    Expr::Identifier(name) => Some(ptr::from_ref(name)),
                    _ => None,
                }));
                ControlFlow::Continue(())
            }
            Expr::Identifier(name)
                if self.queries == 0
                    && self.names.contains(&name.value.to_lowercase())
                    && !self.beside_points.contains(&ptr::from_ref(name)) =>
            {
                let name = &name.value;
                ControlFlow::Break(plan_datafusion_err!(
                    "`{name}` is a table of FROM, whose name is its whole row in BigQuery, whatever columns it has: \
                     write `{name}.{name}` for the column, or give the table another name with AS"
                ))
            }
            _ => ControlFlow::Continue(()),
        }
    }
}
