//! Conditions with a subquery: `IN (SELECT …)` and `EXISTS`. DataFusion makes joins of them, which do not tell false
//! from NULL. In WHERE, HAVING and ON of an inner join both leave a row out, and so does what AND and OR make of
//! them; elsewhere they differ. `EXISTS` is never NULL. Of a subquery that stands for one value they are joins too:
//! the second row that one finds would be another row of the query around it.

use datafusion::common::plan_err;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::{
    Aggregate, BinaryExpr, Expr, FetchType, Join, JoinType, LogicalPlan, Operator, SkipType,
    Subquery,
};

/// Refuses conditions with a subquery where false and NULL differ, or that are answered otherwise, and subqueries
/// for one value that may find several.
pub(super) fn stand_alone(plan: &LogicalPlan) -> Result<(), DataFusionError> {
    plan.apply_expressions(|expr| expr.apply(one_value))?;
    match plan {
        // HAVING and QUALIFY are filters too.
        LogicalPlan::Filter(filter) => check(&filter.predicate, Place::Whole),
        LogicalPlan::Join(Join { join_type: JoinType::Inner, filter: Some(on), .. }) => {
            check(on, Place::Whole)
        }
        _ => {
            plan.apply_expressions(|expr| none_within(expr).map(|()| TreeNodeRecursion::Continue))?;
            Ok(())
        }
    }
}

/// Where in a condition, of which NULL is as good as false, something stands.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// It has to hold, by itself or beside others.
    Whole,
    /// It is one of several that may hold.
    OneOf,
    /// Whether it is false matters.
    Negated,
}

fn check(condition: &Expr, place: Place) -> Result<(), DataFusionError> {
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right }) => {
            let within = match (place, op) {
                (Place::Whole, Operator::Or) => Place::OneOf,
                (place, _) => place,
            };
            check(left, within)?;
            check(right, within)
        }
        Expr::Not(of) => match &**of {
            Expr::InSubquery(InSubquery { expr, subquery, negated }) => {
                of_in((expr, subquery), !negated, place)
            }
            of => check(of, Place::Negated),
        },
        Expr::Exists(Exists { subquery, .. }) => answered(subquery),
        Expr::InSubquery(InSubquery { expr, subquery, negated }) => {
            of_in((expr, subquery), *negated, place)
        }
        other => none_within(other),
    }
}

/// `IN`, or `NOT IN`: beside others that may hold, the latter takes NULL for true.
fn of_in(
    (value, subquery): (&Expr, &Subquery),
    negated: bool,
    place: Place,
) -> Result<(), DataFusionError> {
    if place == Place::Negated || negated && place == Place::OneOf {
        return elsewhere();
    }
    if negated && is_correlated(subquery) {
        return plan_err!(
            "NOT IN with a subquery that names columns of the query around it is not taken here: \
             write NOT EXISTS, with the comparison in its WHERE"
        );
    }
    answered(subquery)?;
    none_within(value)
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
    of_one_row(subquery)?;
    if is_correlated(subquery) && subquery.subquery.exists(of_all)? {
        return plan_err!(
            "EXISTS, or IN with a subquery, does not take an aggregate without GROUP BY here where it names columns \
             of the query around it: write a JOIN with a subquery that has GROUP BY"
        );
    }
    Ok(())
}

/// Of a subquery that becomes a join, rows are counted over all rows of the query around it.
fn of_one_row(subquery: &Subquery) -> Result<(), DataFusionError> {
    let counts = |plan: &LogicalPlan| {
        Ok(match plan {
            LogicalPlan::Window(_) => true,
            LogicalPlan::Limit(limit) => {
                !matches!(limit.get_skip_type()?, SkipType::Literal(0))
                    || !matches!(limit.get_fetch_type()?, FetchType::Literal(Some(1..)))
            }
            _ => false,
        })
    };
    if is_correlated(subquery) && subquery.subquery.exists(counts)? {
        return plan_err!(
            "a subquery that names columns of the query around it does not take window functions, QUALIFY, OFFSET or \
             LIMIT 0 here: write a JOIN with a subquery that has them, and PARTITION BY what is compared"
        );
    }
    Ok(())
}

/// DataFusion looks for an aggregate too, but counts rows without a table, such as those of `SELECT 1`, as none. Of
/// an aggregate of all rows it forgets HAVING.
fn one_value(expr: &Expr) -> Result<TreeNodeRecursion, DataFusionError> {
    match expr {
        Expr::ScalarSubquery(subquery) if is_correlated(subquery) => {
            of_one_row(subquery)?;
            match groups(&subquery.subquery) {
                None => plan_err!(
                    "a subquery that stands for one value, and names columns of the query around it, wants an aggregate \
                 here, such as MAX: BigQuery gives an error where it finds several"
                ),
                Some(Groups { by: [], having: true }) => plan_err!(
                    "a subquery that stands for one value, and names columns of the query around it, does not take \
                 HAVING without GROUP BY here: write IF around the aggregate"
                ),
                Some(_) => Ok(TreeNodeRecursion::Continue),
            }
        }
        _ => Ok(TreeNodeRecursion::Continue),
    }
}

/// What rows are groups by, and whether HAVING chooses among them.
struct Groups<'a> {
    by: &'a [Expr],
    having: bool,
}

/// The groups that the rows of a plan are.
fn groups(plan: &LogicalPlan) -> Option<Groups<'_>> {
    match plan {
        LogicalPlan::Projection(projection) => groups(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => groups(&alias.input),
        LogicalPlan::Filter(having) => match &*having.input {
            LogicalPlan::Aggregate(Aggregate { group_expr, .. }) => {
                Some(Groups { by: group_expr, having: true })
            }
            _ => None,
        },
        LogicalPlan::Aggregate(Aggregate { group_expr, .. }) => {
            Some(Groups { by: group_expr, having: false })
        }
        _ => None,
    }
}

fn none_within(expr: &Expr) -> Result<(), DataFusionError> {
    let is_condition = |expr: &Expr| Ok(matches!(expr, Expr::Exists(_) | Expr::InSubquery(_)));
    if expr.exists(is_condition)? { elsewhere() } else { Ok(()) }
}

fn elsewhere() -> Result<(), DataFusionError> {
    plan_err!(
        "IN with a subquery and EXISTS are taken in WHERE, HAVING and ON, by themselves or beside others with AND \
         and OR, NOT IN with AND alone: elsewhere write a LEFT JOIN with `SELECT DISTINCT …`, and ask whether its \
         column IS NULL"
    )
}
