//! A table's rows, those of one message once. To number all of them is dear, and hardly any message comes
//! again: which ones do is asked first, of the columns that tell messages apart alone, and only rows that
//! were published at such a moment are numbered. Where none comes again, the files are read as they are.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{SchemaRef, TimestampMicrosecondType};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{
    Expr, LogicalPlan, LogicalPlanBuilder, TableProviderFilterPushDown, TableType, is_not_true,
};
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::prelude::{col, in_list, lit, not};

use clickmill_core::schema::provenance::PUBLISH_TIME;

/// Where so many messages come again, all rows that may be there twice are numbered.
pub(super) const MOST_MESSAGES: usize = 10_000;

/// The rows of a table, each message once.
#[derive(Debug)]
pub(super) struct EachOnce {
    pub(super) schema: SchemaRef,
    /// Files whose rows are in no other file.
    pub(super) unique: LogicalPlan,
    /// The other files.
    pub(super) suspected: LogicalPlan,
    /// When rows of those that may be there twice were published: from and to, in microseconds.
    pub(super) published: Vec<(i64, i64)>,
    /// Over those files, when the messages were published of which there is more than one row.
    pub(super) repeated: LogicalPlan,
    /// Over those files, the rows, each message once.
    pub(super) numbered: LogicalPlan,
    /// Columns in which all rows of one message agree.
    pub(super) of_message: Vec<String>,
}

impl EachOnce {
    /// Which rows have to be numbered for an answer by these filters, those of messages that come again, and which
    /// are the others.
    async fn again(
        &self,
        state: &dyn Session,
        filters: &[Expr],
    ) -> Result<Option<(Expr, Expr)>, DataFusionError> {
        let doubtful = self.published.iter().fold(col(PUBLISH_TIME).is_null(), |others, bounds| {
            others.or(col(PUBLISH_TIME).between(moment(bounds.0), moment(bounds.1)))
        });
        // Of a message that is not asked for, it does not matter how often it comes.
        let is_of_message = |filter: &&Expr| {
            filter.column_refs().iter().all(|column| self.of_message.contains(&column.name))
        };
        let asked = filters.iter().filter(is_of_message).cloned();
        let asked = over(&self.repeated, &asked.fold(doubtful.clone(), Expr::and))?;
        let asked = LogicalPlanBuilder::from(asked).limit(0, Some(MOST_MESSAGES))?.build()?;
        let plan = state.create_physical_plan(&asked).await?;
        let found = collect(plan, state.task_ctx()).await?;
        if found.iter().map(RecordBatch::num_rows).sum::<usize>() == MOST_MESSAGES {
            // It is never null. By this form of it files are passed over, and by the one below they are not.
            return Ok(Some((doubtful.clone(), not(doubtful))));
        }
        let times = found
            .iter()
            .flat_map(|batch| batch.column(0).as_primitive::<TimestampMicrosecondType>().iter());
        let times: BTreeSet<Option<i64>> = times.collect();
        let unknown = times.contains(&None).then(|| col(PUBLISH_TIME).is_null());
        let known: Vec<i64> = times.into_iter().flatten().collect();
        let known = known.first().zip(known.last()).map(|(first, last)| {
            // By the bounds files are passed over.
            let within = col(PUBLISH_TIME).between(moment(*first), moment(*last));
            let moments = known.iter().copied().map(moment).collect();
            within.and(in_list(col(PUBLISH_TIME), moments, false))
        });
        let again = unknown.into_iter().chain(known).reduce(Expr::or);
        Ok(again.map(|again| (again.clone(), is_not_true(again))))
    }

    /// The rows, before any filter.
    fn rows(&self, again: Option<(Expr, Expr)>) -> Result<LogicalPlanBuilder, DataFusionError> {
        let unique = LogicalPlanBuilder::from(self.unique.clone());
        let suspected = LogicalPlanBuilder::from(self.suspected.clone());
        let Some((again, others)) = again else { return unique.union(suspected.build()?) };
        let numbered = over(&self.numbered, &again)?;
        unique.union(suspected.filter(others)?.build()?)?.union(numbered)
    }
}

fn moment(micros: i64) -> Expr {
    lit(ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into())))
}

/// A plan over those rows only.
fn over(plan: &LogicalPlan, rows: &Expr) -> Result<LogicalPlan, DataFusionError> {
    let filtered = plan.clone().transform_down(|part| {
        let LogicalPlan::TableScan(_) = part else { return Ok(Transformed::no(part)) };
        let part = LogicalPlanBuilder::from(part).filter(rows.clone())?.build()?;
        Ok(Transformed::new(part, true, TreeNodeRecursion::Jump))
    });
    Ok(filtered?.data)
}

#[async_trait]
impl TableProvider for EachOnce {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>, DataFusionError> {
        let is_of_rows = |filter: &&Expr| {
            let asks = |part: &Expr| {
                Ok(matches!(part, Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_)))
            };
            Ok(if filter.exists(asks)? {
                TableProviderFilterPushDown::Unsupported
            } else {
                TableProviderFilterPushDown::Exact
            })
        };
        filters.iter().map(is_of_rows).collect()
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let again = self.again(state, filters).await?;
        let mut rows = self.rows(again)?;
        if let Some(filter) = conjunction(filters.iter().cloned()) {
            rows = rows.filter(filter)?;
        }
        if let Some(projection) = projection {
            let column = |at: &usize| Expr::from(rows.schema().qualified_field(*at));
            let columns: Vec<Expr> = projection.iter().map(column).collect();
            rows = rows.project(columns)?;
        }
        if limit.is_some() {
            rows = rows.limit(0, limit)?;
        }
        state.create_physical_plan(&rows.build()?).await
    }
}
