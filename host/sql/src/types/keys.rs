//! Keys of groups. DataFusion knows that the columns of GROUP BY tell the rows of a subquery apart. Where such a
//! subquery is joined, or an array in it becomes rows, it goes on to take them for keys of what it groups next, and
//! drops other columns from ORDER BY and GROUP BY.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;

use super::columns;
use crate::functions;

/// A plan of which no group that is joined has keys.
pub(super) fn forgotten(plan: LogicalPlan) -> Result<LogicalPlan, DataFusionError> {
    Ok(forget(plan, false)?.data)
}

fn forget(plan: LogicalPlan, is_joined: bool) -> Result<Transformed<LogicalPlan>, DataFusionError> {
    let groups = matches!(plan, LogicalPlan::Aggregate(_) | LogicalPlan::Distinct(_));
    let joins = matches!(plan, LogicalPlan::Join(_) | LogicalPlan::Unnest(_));
    let below = joins || (is_joined && !groups);
    let plan = plan.map_children(|child| forget(child, below))?;
    let plan = plan.transform_data(|plan| plan.map_subqueries(|asked| forget(asked, false)))?;
    let plan = plan.map_data(LogicalPlan::recompute_schema)?;
    if !(is_joined && groups) {
        return Ok(plan);
    }
    plan.map_data(as_values).map(|plan| Transformed::yes(plan.data))
}

/// The same rows, each column by a function of it.
fn as_values(plan: LogicalPlan) -> Result<LogicalPlan, DataFusionError> {
    let value = functions::nullable();
    columns::each(Arc::new(plan), |column| Ok(value.call(vec![column])))
}
