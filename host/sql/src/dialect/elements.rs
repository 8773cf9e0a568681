//! `FROM events, UNNEST(events.items) AS items`: an element that is called as the column that it is of, which it hides.
//! As a column more of that table, which it is to DataFusion, it would be one of two with one name. So it gets
//! another, wherever the query names it.

use std::iter::once;
use std::ops::ControlFlow;

use datafusion::common::plan_datafusion_err;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{
    AccessExpr, Expr, Ident, OrderByKind, Query, Select, SelectItem, SetExpr, TableFactor,
    VisitMut, VisitorMut,
};

/// Gives such elements another name in a SELECT.
pub(super) fn rename(select: &mut Select) -> Result<(), DataFusionError> {
    let mut hiding = Hiding::default();
    for tables in &mut select.from {
        hiding.name(&mut tables.relation)?;
        for join in &mut tables.joins {
            hiding.name(&mut join.relation)?;
            hiding.put_into(&mut join.join_operator)?;
        }
    }
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(Expr::Identifier(name)) = item
            && hiding.names.iter().any(|known| known.value == name.value)
        {
            let alias = name.clone();
            *item = SelectItem::ExprWithAlias { expr: Expr::Identifier(alias.clone()), alias };
        }
    }
    hiding.put_into(&mut select.projection)?;
    hiding.put_into(&mut select.selection)?;
    hiding.selected = selected(select);
    hiding.put_into(&mut select.group_by)?;
    hiding.put_into(&mut select.having)?;
    hiding.put_into(&mut select.qualify)
}

/// The same in ORDER BY, before its SELECT is seen.
pub(super) fn rename_in_order(query: &mut Query) -> Result<(), DataFusionError> {
    let (SetExpr::Select(select), Some(order_by)) = (&*query.body, &mut query.order_by) else {
        return Ok(());
    };
    let tables = select.from.iter().flat_map(|tables| {
        once(&tables.relation).chain(tables.joins.iter().map(|join| &join.relation))
    });
    let names = tables.filter_map(hides).cloned().collect();
    let mut hiding = Hiding { names, selected: selected(select), queries: 0 };
    // What is selected by its own name has it as an alias soon.
    hiding.selected.extend(select.projection.iter().filter_map(|item| match item {
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(name.clone()),
        _ => None,
    }));
    match &mut order_by.kind {
        OrderByKind::Expressions(orders) => hiding.put_into(orders),
        OrderByKind::All(_) => Ok(()),
    }
}

/// The names that SELECT gives.
fn selected(select: &Select) -> Vec<Ident> {
    let alias = |item: &SelectItem| match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(alias.clone()),
        _ => None,
    };
    select.projection.iter().filter_map(alias).collect()
}

/// The name of an element that hides the column that it is of.
fn hides(table: &TableFactor) -> Option<&Ident> {
    let TableFactor::UNNEST { alias: Some(alias), array_exprs, .. } = table else { return None };
    let column = match &array_exprs[..] {
        [Expr::Identifier(name)] => name,
        [Expr::CompoundIdentifier(path)] => path.last()?,
        _ => return None,
    };
    (column.value == alias.name.value).then_some(&alias.name)
}

/// The name that it gets.
fn inner(name: &Ident) -> Ident {
    Ident::new(format!("element[{}]", name.value))
}

#[derive(Default)]
struct Hiding {
    /// The elements that hide a column.
    names: Vec<Ident>,
    /// The names that come before them.
    selected: Vec<Ident>,
    /// How many queries within the SELECT it is in.
    queries: usize,
}

impl Hiding {
    /// Names what stands in FROM. An array may be of elements before it.
    fn name(&mut self, table: &mut TableFactor) -> Result<(), DataFusionError> {
        let name = hides(table).cloned();
        let TableFactor::UNNEST { alias, array_exprs, .. } = table else { return Ok(()) };
        self.put_into(array_exprs)?;
        if let (Some(name), Some(alias)) = (name, alias) {
            alias.name = inner(&name);
            self.names.push(name);
        }
        Ok(())
    }

    fn put_into(&mut self, tree: &mut impl VisitMut) -> Result<(), DataFusionError> {
        if self.names.is_empty() {
            return Ok(());
        }
        match tree.visit(self) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(error) => Err(error),
        }
    }
}

impl VisitorMut for Hiding {
    type Break = DataFusionError;

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<DataFusionError> {
        self.queries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<DataFusionError> {
        self.queries -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<DataFusionError> {
        let (name, is_alone) = match expr {
            Expr::Identifier(name) => (name, true),
            Expr::CompoundIdentifier(path) => (&mut path[0], false),
            _ => return ControlFlow::Continue(()),
        };
        let has = |names: &[Ident]| names.iter().any(|known| known.value == name.value);
        if !has(&self.names) || (is_alone && has(&self.selected)) {
            return ControlFlow::Continue(());
        }
        if self.queries > 0 {
            return ControlFlow::Break(plan_datafusion_err!(
                "a subquery names `{name}`, an element that is called as its column: give it another name, as in \
                 `UNNEST({name}) AS element`"
            ));
        }
        *name = inner(name);
        ControlFlow::Continue(())
    }

    // The fields of a path are no elements: `events.items[OFFSET(0)]` is of the column.
    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<DataFusionError> {
        if let Expr::CompoundFieldAccess { access_chain, .. } = expr {
            for access in access_chain {
                let AccessExpr::Dot(Expr::Identifier(field)) = access else { continue };
                if let Some(name) = self.names.iter().find(|name| inner(name) == *field) {
                    *field = name.clone();
                }
            }
        }
        ControlFlow::Continue(())
    }
}
