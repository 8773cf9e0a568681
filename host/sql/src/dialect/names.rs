//! Columns without a name. Nobody can ask for one, so while a query runs each has a name that no column of BigQuery
//! has; in the answer they are `f0_`, `f1_`.

use std::sync::Arc;

use arrow::datatypes::{FieldRef, Schema};
use datafusion::sql::sqlparser::ast::{
    AccessExpr, Expr, Ident, Select, SelectItem, TableAlias, TableFactor,
};

/// What the name of a column without one begins with.
const NAMELESS: &str = "column[";

/// How many columns of a query have no name so far.
#[derive(Default)]
pub(super) struct Nameless(usize);

impl Nameless {
    /// Names what is selected without a name.
    pub(super) fn name_columns(&mut self, select: &mut Select) {
        for item in &mut select.projection {
            let SelectItem::UnnamedExpr(expr) = item else { continue };
            let alias = match (&*expr, own_name(expr)) {
                (Expr::Identifier(_) | Expr::CompoundIdentifier(_), Some(_)) => continue,
                (_, Some(name)) => name.clone(),
                (_, None) => self.fresh(),
            };
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
        }
    }

    /// Names the elements of an array that has no alias.
    pub(super) fn name_elements(&mut self, table: &mut TableFactor) {
        if let TableFactor::UNNEST { alias: alias @ None, .. } = table {
            let name = self.fresh();
            *alias = Some(TableAlias { explicit: true, name, columns: Vec::new(), at: None });
        }
    }

    fn fresh(&mut self) -> Ident {
        self.0 += 1;
        Ident::new(format!("{NAMELESS}{}]", self.0))
    }
}

/// The name that a column has without being given one: that of the column or field that it is.
fn own_name(expr: &Expr) -> Option<&Ident> {
    match expr {
        Expr::Identifier(name) => (!name.value.starts_with('@')).then_some(name),
        Expr::CompoundIdentifier(path) => path.last(),
        Expr::CompoundFieldAccess { access_chain, .. } => match access_chain.last() {
            Some(AccessExpr::Dot(Expr::Identifier(name))) => Some(name),
            _ => None,
        },
        Expr::Nested(inner) => own_name(inner),
        _ => None,
    }
}

/// The columns of an answer, those without a name as BigQuery names them.
pub(crate) fn shown(answer: &Schema) -> Schema {
    let mut nameless = 0;
    let field = |field: &FieldRef| {
        if !field.name().starts_with(NAMELESS) {
            return field.clone();
        }
        let name = format!("f{nameless}_");
        nameless += 1;
        Arc::new(field.as_ref().clone().with_name(name))
    };
    let fields: Vec<FieldRef> = answer.fields().iter().map(field).collect();
    Schema::new(fields)
}
