//! Names of what is selected, in GROUP BY, HAVING and QUALIFY. In BigQuery they come before the columns of FROM,
//! in DataFusion behind them, so what is selected is put in place of its name. Works on a SELECT that is in
//! DataFusion's words: units such as `MONTH` are names no more.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::common::plan_err;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{
    Expr, Function, GroupByExpr, Ident, Query, Select, SelectItem, UnaryOperator, Value, Visit,
    VisitMut, Visitor, VisitorMut,
};

use super::listed::is_aggregate;
use super::trees::call;

/// Puts what is selected in place of its names.
pub(super) fn resolve(select: &mut Select) -> Result<(), DataFusionError> {
    let selected = Selected(select.projection.iter().filter_map(named).collect());
    selected.apart()?;
    if let GroupByExpr::Expressions(keys, _) = &mut select.group_by {
        keys.iter_mut().try_for_each(|key| selected.key(key))?;
    }
    for (clause, condition) in [("HAVING", &mut select.having), ("QUALIFY", &mut select.qualify)] {
        let Some(condition) = condition else { continue };
        let mut resolver = Resolver { selected: &selected, clause, within: Within::default() };
        if let ControlFlow::Break(error) = VisitMut::visit(condition, &mut resolver) {
            return Err(error);
        }
    }
    Ok(())
}

/// What is selected under a name, which a column has without being given one.
pub(super) fn named(item: &SelectItem) -> Option<(String, Expr)> {
    match item {
        SelectItem::ExprWithAlias { expr, alias } => Some((alias.value.clone(), expr.clone())),
        SelectItem::UnnamedExpr(expr) => Some((column(expr)?.value.clone(), expr.clone())),
        _ => None,
    }
}

/// The name of a column by itself.
fn column(expr: &Expr) -> Option<&Ident> {
    match expr {
        Expr::Identifier(name) => Some(name),
        Expr::CompoundIdentifier(path) => path.last(),
        Expr::Nested(inner) => column(inner),
        _ => None,
    }
}

struct Selected(Vec<(String, Expr)>);

impl Selected {
    /// Refuses two names that differ in capitals alone: they are one in BigQuery, which could not tell them apart.
    fn apart(&self) -> Result<(), DataFusionError> {
        let mut known: HashMap<String, &str> = HashMap::new();
        for (name, _) in &self.0 {
            if let Some(other) = known.insert(name.to_lowercase(), name)
                && other != name
            {
                return plan_err!(
                    "SELECT has two columns `{other}` and `{name}`, which is one name in BigQuery: give one of them \
                     another with AS"
                );
            }
        }
        Ok(())
    }

    /// What is selected under a name; `None` where that is the name alone.
    fn by_name(&self, name: &Ident) -> Result<Option<&Expr>, DataFusionError> {
        let mut all = self.0.iter();
        let mut alike = all.by_ref().filter(|(known, _)| known.eq_ignore_ascii_case(&name.value));
        let Some((_, first)) = alike.next() else { return Ok(None) };
        if alike.any(|(_, other)| other != first) {
            return plan_err!("`{name}` is ambiguous: SELECT has it more than once");
        }
        Ok((!matches!(first, Expr::Identifier(same) if same.value == name.value)).then_some(first))
    }

    /// What rows are grouped by. Names are those of what is selected where they stand alone.
    fn key(&self, key: &mut Expr) -> Result<(), DataFusionError> {
        let name = match key {
            Expr::Nested(inner) => return self.key(inner),
            Expr::Identifier(name) => name.clone(),
            _ => return Ok(()),
        };
        let Some(selected) = self.by_name(&name)? else { return Ok(()) };
        let found = Found::within(selected);
        if found.aggregate || found.window {
            return plan_err!(
                "GROUP BY `{name}`: SELECT gives this name to an aggregate or a window function; \
                 write the column with its table, as in `table.{name}`"
            );
        }
        // A number would be the place of a column.
        let number = is_whole(selected);
        *key = selected.clone();
        if number {
            *key = call("cast_int64", vec![selected.clone()]);
        }
        Ok(())
    }
}

fn is_whole(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner)
        | Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr: inner } => {
            is_whole(inner)
        }
        Expr::Value(value) => {
            matches!(&value.value, Value::Number(number, _) if number.parse::<i64>().is_ok())
        }
        _ => false,
    }
}

/// How many queries and aggregates an expression is in.
#[derive(Default)]
struct Within {
    queries: usize,
    aggregates: usize,
}

fn aggregate(expr: &Expr) -> bool {
    let plain = |call: &Function| call.over.is_none() && is_aggregate(&call.name.to_string());
    matches!(expr, Expr::Function(call) if plain(call))
}

struct Resolver<'a> {
    selected: &'a Selected,
    clause: &'static str,
    within: Within,
}

impl Resolver<'_> {
    fn resolved(&self, name: &Ident) -> Result<Option<Expr>, DataFusionError> {
        let Some(selected) = self.selected.by_name(name)? else { return Ok(None) };
        let clause = self.clause;
        if self.within.aggregates > 0 {
            if column(selected).is_some_and(|same| same.value == name.value) {
                return Ok(Some(selected.clone()));
            }
            return plan_err!(
                "{clause} has the name `{name}` in an aggregate, and SELECT gives it to another expression: \
                 write the column with its table, as in `table.{name}`, or give that another name"
            );
        }
        let found = Found::within(selected);
        if found.window && clause == "HAVING" {
            return plan_err!("HAVING takes no window functions, which `{name}` is the name of");
        }
        Ok(Some(Expr::Nested(Box::new(selected.clone()))))
    }
}

impl VisitorMut for Resolver<'_> {
    type Break = DataFusionError;

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<DataFusionError> {
        self.within.queries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<DataFusionError> {
        self.within.queries -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<DataFusionError> {
        self.within.aggregates += usize::from(aggregate(expr));
        ControlFlow::Continue(())
    }

    // What is put in is not looked at again.
    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<DataFusionError> {
        self.within.aggregates -= usize::from(aggregate(expr));
        let Expr::Identifier(name) = expr else { return ControlFlow::Continue(()) };
        if self.within.queries > 0 {
            return ControlFlow::Continue(());
        }
        match self.resolved(name) {
            Ok(Some(selected)) => *expr = selected,
            Ok(None) => {}
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }
}

/// What an expression has in it, its subqueries left out.
#[derive(Default)]
pub(super) struct Found {
    queries: usize,
    pub(super) aggregate: bool,
    pub(super) window: bool,
}

impl Found {
    pub(super) fn within(of: &impl Visit) -> Self {
        let mut found = Self::default();
        let _ = Visit::visit(of, &mut found);
        found
    }
}

impl Visitor for Found {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.queries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.queries -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if self.queries == 0 {
            self.aggregate |= aggregate(expr);
            self.window |= matches!(expr, Expr::Function(call) if call.over.is_some());
        }
        ControlFlow::Continue(())
    }
}
