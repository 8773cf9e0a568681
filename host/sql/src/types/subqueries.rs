//! Conditions with a subquery: `IN (SELECT …)` and `EXISTS`. DataFusion makes joins of them. Where one is a whole
//! condition of WHERE, what is not true is left out, and whether it was false or NULL is no matter; elsewhere it
//! matters, and the joins do not tell the two apart.

use datafusion::common::plan_err;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, Subquery};

/// Refuses conditions with a subquery that are no whole conditions of WHERE, or that are answered otherwise there.
pub(super) fn stand_alone(plan: &LogicalPlan) -> Result<(), DataFusionError> {
    // HAVING and QUALIFY are filters too.
    if let LogicalPlan::Filter(filter) = plan
        && !matches!(&*filter.input, LogicalPlan::Aggregate(_) | LogicalPlan::Window(_))
    {
        return split_conjunction(&filter.predicate).into_iter().try_for_each(whole);
    }
    plan.apply_expressions(|expr| none_within(expr).map(|()| TreeNodeRecursion::Continue))?;
    Ok(())
}

/// A whole condition of WHERE.
fn whole(condition: &Expr) -> Result<(), DataFusionError> {
    let (mut inner, mut negative) = (condition, false);
    while let Expr::Not(of) = inner {
        (inner, negative) = (of, true);
    }
    match inner {
        Expr::Exists(Exists { subquery, .. }) => answered(subquery),
        Expr::InSubquery(InSubquery { expr, subquery, negated }) => {
            if (negative || *negated) && is_correlated(subquery) {
                return plan_err!(
                    "NOT IN with a subquery that names columns of the query around it is not taken here: \
                     write NOT EXISTS, with the comparison in its WHERE"
                );
            }
            answered(subquery)?;
            none_within(expr)
        }
        other => none_within(other),
    }
}

fn is_correlated(subquery: &Subquery) -> bool {
    !subquery.outer_ref_columns.is_empty()
}

/// An aggregate of no rows is a row too, which is lost where the subquery becomes a join.
fn answered(subquery: &Subquery) -> Result<(), DataFusionError> {
    let of_all = |plan: &LogicalPlan| {
        Ok(
            matches!(plan, LogicalPlan::Aggregate(Aggregate { group_expr, .. }) if group_expr.is_empty()),
        )
    };
    if is_correlated(subquery) && subquery.subquery.exists(of_all)? {
        return plan_err!(
            "EXISTS, or IN with a subquery, does not take an aggregate without GROUP BY here where it names columns \
             of the query around it: write a JOIN with a subquery that has GROUP BY"
        );
    }
    Ok(())
}

fn none_within(expr: &Expr) -> Result<(), DataFusionError> {
    let is_condition = |expr: &Expr| Ok(matches!(expr, Expr::Exists(_) | Expr::InSubquery(_)));
    if expr.exists(is_condition)? {
        return plan_err!(
            "IN with a subquery and EXISTS are taken as a condition of WHERE by itself, or beside others with AND: \
             write a LEFT JOIN with `SELECT DISTINCT …`, and ask whether its column IS NULL"
        );
    }
    Ok(())
}
