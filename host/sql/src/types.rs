//! Operators once types are known. DataFusion's wrap around, make one type of two that BigQuery keeps apart,
//! and hold NaN for a number like others; BigQuery's do not. Works on a plan as DataFusion made it of a
//! query, before it changes anything.

mod columns;
mod frames;
mod keys;
mod operators;
mod subqueries;

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, plan_err};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr_rewriter::{NamePreserver, coerce_plan_expr_for_schema};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Aggregate, Distinct, ExprSchemable, LogicalPlan, Union};

use super::functions::Kind;
pub(super) use operators::checked_expr;
use operators::{compared, in_order, is_same, sorted_by};

/// A plan with BigQuery's operators.
pub(super) fn checked(plan: LogicalPlan) -> Result<LogicalPlan, DataFusionError> {
    keys::forgotten(plan.transform_up_with_subqueries(node)?.data)
}

fn node(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>, DataFusionError> {
    // Their expressions are of the optimizer, or were seen in a plan of their own.
    if matches!(plan, LogicalPlan::TableScan(_)) {
        return Ok(Transformed::no(plan));
    }
    subqueries::stand_alone(&plan)?;
    let schema = merge_schema(&plan.inputs());
    if let LogicalPlan::Join(join) = &plan {
        for (left, right) in &join.on {
            let of = [left.get_type(&schema)?, right.get_type(&schema)?];
            compared(&of[0], &of[1], "JOIN")?;
            if of.iter().any(|of| Kind::of(of) == Some(Kind::Float)) {
                return plan_err!(
                    "USING, INTERSECT and EXCEPT do not take FLOAT64 here: NaN is equal to nothing in BigQuery"
                );
            }
        }
    }
    if let LogicalPlan::Union(union) = plan {
        return Ok(Transformed::yes(one_type_a_column(union)?));
    }
    let float = |field: &FieldRef| Kind::of(field.data_type()) == Some(Kind::Float);
    if let LogicalPlan::Distinct(Distinct::All(input)) = &plan
        && input.schema().fields().iter().any(float)
    {
        return Ok(Transformed::yes(distinct(input)?));
    }
    let names = NamePreserver::new(&plan);
    let group = if let LogicalPlan::Aggregate(Aggregate { group_expr, .. }) = &plan {
        group_expr.clone()
    } else {
        Vec::new()
    };
    let sorts = matches!(plan, LogicalPlan::Sort(_));
    let checked = plan.map_expressions(|expr| {
        let name = names.save(&expr);
        // A number is grouped with those that are equal, as it is ordered with them.
        let groups = group.contains(&expr);
        let expr = checked_expr(expr, &schema)?;
        let expr = match (sorts, groups) {
            (true, _) => sorted_by(expr, &schema)?,
            (false, true) => in_order(expr, &schema)?,
            (false, false) => expr,
        };
        Ok(Transformed::yes(name.restore(expr)))
    });
    // What is above sees the types that there are now.
    checked?.map_data(LogicalPlan::recompute_schema)
}

/// The same columns of what is put together have the same types: DataFusion reads the bits of one as those of the
/// other. BigQuery makes FLOAT64 of INT64, and refuses other pairs. Nulls without a type get the others'.
fn one_type_a_column(union: Union) -> Result<LogicalPlan, DataFusionError> {
    let Union { inputs, schema } = union;
    let mut known: Vec<Option<&DataType>> = vec![None; schema.fields().len()];
    for input in &inputs {
        for ((at, first), field) in known.iter_mut().enumerate().zip(input.schema().fields()) {
            let found = field.data_type();
            if found.is_null() {
                continue;
            }
            let first = *first.get_or_insert(found);
            if !is_same(first, found) {
                let (first, found) = (Kind::name_of(first), Kind::name_of(found));
                return plan_err!(
                    "UNION puts {found} under {first} in column {}: CAST one of them",
                    at + 1
                );
            }
        }
    }
    let has_null = |plan: &Arc<LogicalPlan>| {
        plan.schema().fields().iter().any(|field| field.data_type().is_null())
    };
    if !inputs.iter().any(has_null) {
        return Ok(LogicalPlan::Union(Union { inputs, schema }));
    }
    let fields = schema.iter().zip(known).map(|((table, field), known)| {
        let typed = field.data_type().is_null().then_some(known).flatten();
        let field = match typed {
            Some(known) => Arc::new(field.as_ref().clone().with_data_type(known.clone())),
            None => field.clone(),
        };
        (table.cloned(), field)
    });
    let schema = DFSchema::new_with_metadata(fields.collect(), schema.metadata().clone())?;
    let typed = |input: &Arc<LogicalPlan>| {
        coerce_plan_expr_for_schema(input.as_ref().clone(), &schema).map(Arc::new)
    };
    let inputs = inputs.iter().map(typed).collect::<Result<_, DataFusionError>>()?;
    Ok(LogicalPlan::Union(Union { inputs, schema: Arc::new(schema) }))
}

/// Rows once, all NaN being one and both zeros.
fn distinct(input: &Arc<LogicalPlan>) -> Result<LogicalPlan, DataFusionError> {
    let rows = columns::each(input.clone(), |column| in_order(column, input.schema()))?;
    Ok(LogicalPlan::Distinct(Distinct::All(Arc::new(rows))))
}
