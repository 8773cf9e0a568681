//! `NOT IN (SELECT …)`, which NULL has a say in.

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr};

/// `x NOT IN (SELECT …)` where `x` is computed: NULL is in no answer but of no rows. DataFusion sees only of columns
/// whether they may be NULL.
pub(super) fn with_null_in_mind(expr: &Expr) -> Option<Expr> {
    let Expr::InSubquery { expr: of, subquery, negated: true } = expr else { return None };
    if matches!(unwrapped(of), Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
        return None;
    }
    let is_known = Expr::IsNotNull(Box::new(Expr::Nested(of.clone())));
    let is_empty = Expr::Exists { subquery: subquery.clone(), negated: true };
    let both = |left: Expr, op, right: Expr| {
        let (left, right) = (Box::new(left), Box::new(right));
        Expr::Nested(Box::new(Expr::BinaryOp { left, op, right }))
    };
    let or = both(is_known, BinaryOperator::Or, is_empty);
    Some(both(or, BinaryOperator::And, expr.clone()))
}

/// An expression without the parentheses around it.
pub(super) fn unwrapped(mut expr: &Expr) -> &Expr {
    while let Expr::Nested(inner) = expr {
        expr = inner;
    }
    expr
}
