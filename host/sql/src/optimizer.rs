//! DataFusion's physical optimizer, without what changes an answer.
//!
//! Two of its rules are right for some plans only, so they are given those parts of a plan that they are right for:
//!
//! - A filter on its way to the rows of a table looks for columns by their names. Behind a join two may have one name,
//!   and it is put on either.
//! - What SELECT computes is moved below WHERE, where fewer columns come out of it than go in. Then it is computed of
//!   rows that WHERE leaves out, and fails: `SELECT a / b … WHERE b <> 0`.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::DataFusionError;
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;

type Plan = Arc<dyn ExecutionPlan>;
type Rule = Arc<dyn PhysicalOptimizerRule + Send + Sync>;

/// The rules, in DataFusion's order.
pub(crate) fn rules() -> Vec<Rule> {
    let within = |rule: Rule| -> Rule {
        let fits = match rule.name() {
            name if name.starts_with("FilterPushdown") => names_are_unique,
            "ProjectionPushdown" => computes_nothing_of_a_filter,
            _ => return rule,
        };
        Arc::new(Within { rule, fits })
    };
    PhysicalOptimizer::new().rules.into_iter().map(within).collect()
}

/// A rule for the largest parts of a plan that fit it.
#[derive(Debug)]
struct Within {
    rule: Rule,
    fits: fn(&Plan) -> Result<bool, DataFusionError>,
}

impl PhysicalOptimizerRule for Within {
    fn optimize(&self, plan: Plan, config: &ConfigOptions) -> Result<Plan, DataFusionError> {
        let optimized = plan.transform_down(|part| {
            if !(self.fits)(&part)? {
                return Ok(Transformed::no(part));
            }
            let optimized = self.rule.optimize(part, config)?;
            Ok(Transformed::new(optimized, true, TreeNodeRecursion::Jump))
        });
        Ok(optimized?.data)
    }

    fn name(&self) -> &str {
        self.rule.name()
    }

    fn schema_check(&self) -> bool {
        self.rule.schema_check()
    }
}

/// Whether no two columns have one name, wherever rows pass.
fn names_are_unique(plan: &Plan) -> Result<bool, DataFusionError> {
    let repeats = |part: &Plan| {
        let schema = part.schema();
        let mut names = HashSet::new();
        Ok(!schema.fields().iter().all(|field| names.insert(field.name())))
    };
    plan.exists(repeats).map(|repeats| !repeats)
}

/// Whether nothing is computed of rows that a filter lets through.
fn computes_nothing_of_a_filter(plan: &Plan) -> Result<bool, DataFusionError> {
    let filters = |part: &Plan| Ok(part.downcast_ref::<FilterExec>().is_some());
    let computes = |part: &Plan| {
        let Some(projection) = part.downcast_ref::<ProjectionExec>() else { return Ok(false) };
        let computes = projection.expr().iter().any(|column| {
            let expr = &column.expr;
            expr.downcast_ref::<Column>().is_none() && expr.downcast_ref::<Literal>().is_none()
        });
        Ok(computes && part.exists(filters)?)
    };
    plan.exists(computes).map(|computes| !computes)
}
