//! All columns of a plan, each by an expression of it.

use std::sync::Arc;

use arrow::datatypes::FieldRef;
use datafusion::common::{Column, TableReference};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};

/// The rows of a plan, in columns of the same names.
pub(super) fn each(
    plan: Arc<LogicalPlan>,
    by: impl Fn(Expr) -> Result<Expr, DataFusionError>,
) -> Result<LogicalPlan, DataFusionError> {
    let column = |(table, field): (Option<&TableReference>, &FieldRef)| {
        let column = Expr::Column(Column::new(table.cloned(), field.name()));
        Ok(by(column)?.alias_qualified(table.cloned(), field.name()))
    };
    let columns = plan.schema().iter().map(column).collect::<Result<Vec<_>, DataFusionError>>()?;
    LogicalPlanBuilder::new_from_arc(plan).project(columns)?.build()
}
