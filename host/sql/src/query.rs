//! SQL over the warehouse, with DataFusion: tables are named as in BigQuery.

use std::sync::Arc;

use datafusion::catalog::{
    CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider, SchemaProvider,
};
use datafusion::common::TableReference;
use datafusion::datasource::ViewTable;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{
    ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl,
};
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::parser::Statement;

use super::{dialect, functions, types};
use clickmill_tables::result_set::{Answer, Parameter};
use clickmill_tables::views;
use clickmill_warehouse::{Warehouse, WarehouseError};

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The warehouse can't be read.
    #[error(transparent)]
    Warehouse(Box<WarehouseError>),
    /// The query names a table that is not there.
    #[error("{}", .0.find_root().strip_backtrace())]
    NoTable(Box<DataFusionError>),
    /// The query is wrong, or fails.
    #[error("{}", .0.find_root().strip_backtrace())]
    Query(Box<DataFusionError>),
}

impl From<WarehouseError> for QueryError {
    fn from(error: WarehouseError) -> Self {
        Self::Warehouse(Box::new(error))
    }
}

impl From<DataFusionError> for QueryError {
    fn from(error: DataFusionError) -> Self {
        Self::Query(Box::new(error))
    }
}

/// Queries over one warehouse.
pub struct Queries {
    warehouse: Warehouse,
    /// What queries share: the footers of files that were read before, say.
    runtime: Arc<RuntimeEnv>,
}

impl Queries {
    /// Opens a warehouse. All queries of this process share `memory`.
    pub fn open(uri: &str, memory: Arc<dyn MemoryPool>) -> Result<Self, QueryError> {
        // What files a table has changes all the time.
        let runtime = RuntimeEnvBuilder::new().with_object_list_cache_limit(0);
        let runtime = Arc::new(runtime.with_memory_pool(memory).build()?);
        Ok(Self { warehouse: Warehouse::open(uri)?, runtime })
    }

    /// Runs a query in BigQuery's dialect, with named parameters such as `@country`. Tables are
    /// `dataset.table`.
    pub async fn query(
        &self,
        sql: &str,
        parameters: &[(String, Parameter)],
    ) -> Result<Answer, QueryError> {
        let context = self.session(sql).await?;
        let plan = plan(&context, sql, parameters).await?;
        let frame = context.execute_logical_plan(plan).await?;
        let schema = Arc::new(frame.schema().as_arrow().clone());
        let batches = frame.collect().await?;
        Ok(Answer { schema, batches })
    }

    /// The tables, and the views that a query names.
    async fn session(&self, sql: &str) -> Result<SessionContext, QueryError> {
        let context = context(self.runtime.clone());
        if let Some((bucket, store)) = self.warehouse.bucket() {
            let url = ListingTableUrl::parse(bucket)?;
            context.register_object_store(url.object_store().as_ref(), store);
        }
        let catalog = MemoryCatalogProvider::new();
        catalog.register_schema("public", Arc::new(MemorySchemaProvider::new()))?;
        for (name, schema) in self.warehouse.tables().await? {
            let urls = self.warehouse.urls(&name).await?.into_iter();
            let urls = urls.map(ListingTableUrl::parse).collect::<Result<_, _>>()?;
            let options = ListingOptions::new(Arc::new(ParquetFormat::default()));
            let table = ListingTableConfig::new_with_multi_paths(urls)
                .with_listing_options(options)
                .with_schema(schema.arrow());
            let dataset = match catalog.schema(&name.dataset) {
                Some(dataset) => dataset,
                None => {
                    let dataset: Arc<dyn SchemaProvider> = Arc::new(MemorySchemaProvider::new());
                    catalog.register_schema(&name.dataset, dataset.clone())?;
                    dataset
                }
            };
            dataset.register_table(name.table, Arc::new(ListingTable::try_new(table)?))?;
        }
        let tables: Vec<(String, Arc<dyn SchemaProvider>)> = catalog
            .schema_names()
            .into_iter()
            .filter_map(|name| Some((name.clone(), catalog.schema(&name)?)))
            .collect();
        context.register_catalog("warehouse", Arc::new(catalog));
        for (dataset, schema) in tables {
            for view in views::named_in(sql, &dataset) {
                let mut reads = view.reads.iter().chain([&view.of]);
                if reads.all(|table| schema.table_exist(table)) && !schema.table_exist(view.name) {
                    let plan = plan(&context, &view.sql, &[]).await?;
                    let table = Arc::new(ViewTable::new(plan, Some(view.sql)));
                    schema.register_table(view.name.to_owned(), table)?;
                }
            }
        }
        Ok(context)
    }
}

/// A session that speaks BigQuery's dialect, without tables.
pub(crate) fn context(runtime: Arc<RuntimeEnv>) -> SessionContext {
    let mut config = SessionConfig::new().with_default_catalog_and_schema("warehouse", "public");
    // Column names are taken as they are written: `errorMessage` is one of Google's own.
    config.options_mut().sql_parser.enable_ident_normalization = false;
    // Null comes before every value, as in BigQuery.
    config.options_mut().sql_parser.default_null_ordering = "nulls_min".to_owned();
    let context = SessionContext::new_with_config_rt(config, runtime);
    for function in functions::all() {
        context.register_udf(function);
    }
    context
}

/// Plans a query, once it is in DataFusion's words.
pub(crate) async fn plan(
    context: &SessionContext,
    sql: &str,
    parameters: &[(String, Parameter)],
) -> Result<LogicalPlan, QueryError> {
    let state = context.state();
    let statement = Statement::Statement(Box::new(dialect::query(sql, parameters)?));
    let named = state.resolve_table_references(&statement)?;
    let planned = state.statement_to_plan(statement).await.map_err(|error| {
        let is_there = |table: TableReference| context.table_exist(table).unwrap_or(false);
        if named.into_iter().all(is_there) {
            error.into()
        } else {
            QueryError::NoTable(Box::new(error))
        }
    });
    Ok(types::checked(planned?)?)
}
