//! Keys of a semi join once. `IN (SELECT …)` and `EXISTS` become joins that ask whether there is a row; DataFusion goes
//! through all rows of a key for each row that has it, which of two large tables with few keys takes for ever.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{
    Aggregate, Distinct, Expr, Join, JoinType, LogicalPlan, LogicalPlanBuilder,
};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// The rule. It comes after those that make such joins.
#[derive(Debug)]
pub(crate) struct KeysOnce;

impl OptimizerRule for KeysOnce {
    fn name(&self) -> &str {
        "keys_once"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>, DataFusionError> {
        let LogicalPlan::Join(join) = plan else { return Ok(Transformed::no(plan)) };
        let asks =
            matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark);
        // What else is compared wants each row.
        if !asks || join.on.is_empty() || join.filter.is_some() || is_once(&join.right) {
            return Ok(Transformed::no(LogicalPlan::Join(join)));
        }
        let mut keys: Vec<Expr> = Vec::new();
        for column in join.on.iter().flat_map(|(_, key)| key.column_refs()) {
            let key = Expr::Column(column.clone());
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        if keys.is_empty() {
            return Ok(Transformed::no(LogicalPlan::Join(join)));
        }
        let rows = LogicalPlanBuilder::new_from_arc(join.right.clone());
        let right = Arc::new(rows.aggregate(keys, Vec::<Expr>::new())?.build()?);
        Ok(Transformed::yes(LogicalPlan::Join(Join { right, ..join })))
    }
}

/// Whether rows are there once.
fn is_once(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Distinct(Distinct::All(_)) => true,
        LogicalPlan::Aggregate(Aggregate { aggr_expr, .. }) => aggr_expr.is_empty(),
        LogicalPlan::Projection(projection) => is_once(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => is_once(&alias.input),
        _ => false,
    }
}
