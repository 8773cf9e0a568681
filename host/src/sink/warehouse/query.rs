//! SQL over the warehouse, with DataFusion: tables are named as in BigQuery.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::{
    CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider, SchemaProvider,
};
use datafusion::datasource::ViewTable;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{
    ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl,
};
use datafusion::error::DataFusionError;
use datafusion::prelude::{SessionConfig, SessionContext};

use super::{Warehouse, WarehouseError};
use crate::sink::views;

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The warehouse can't be read.
    #[error(transparent)]
    Warehouse(#[from] WarehouseError),
    /// The query is wrong, or fails.
    #[error("cannot answer the query: {}", .0.find_root().strip_backtrace())]
    Query(Box<DataFusionError>),
}

impl From<DataFusionError> for QueryError {
    fn from(error: DataFusionError) -> Self {
        Self::Query(Box::new(error))
    }
}

/// An answer: its columns, and rows in batches.
pub struct Answer {
    /// Its columns.
    pub schema: SchemaRef,
    /// Its rows.
    pub batches: Vec<RecordBatch>,
}

impl Warehouse {
    /// Runs a query in BigQuery's dialect. Tables are `dataset.table`.
    pub async fn query(&self, sql: &str) -> Result<Answer, QueryError> {
        let context = self.session().await?;
        let frame = context.sql(sql).await?;
        let schema = Arc::new(frame.schema().as_arrow().clone());
        let batches = frame.collect().await?;
        Ok(Answer { schema, batches })
    }

    async fn session(&self) -> Result<SessionContext, QueryError> {
        let mut config =
            SessionConfig::new().with_default_catalog_and_schema("warehouse", "public");
        config.options_mut().sql_parser.dialect = "BigQuery".parse()?;
        // Column names are taken as they are written: `errorMessage` is one of Google's own.
        config.options_mut().sql_parser.enable_ident_normalization = false;
        let context = SessionContext::new_with_config(config);
        let base = match &self.disk {
            Some(folder) => format!("file://{}", folder.display()),
            None => {
                let bucket = self.uri.split('/').take(3).collect::<Vec<_>>().join("/");
                let url = ListingTableUrl::parse(&bucket)?;
                context.register_object_store(url.object_store().as_ref(), self.store.clone());
                format!("{bucket}/{}", self.root)
            }
        };
        let catalog = MemoryCatalogProvider::new();
        catalog.register_schema("public", Arc::new(MemorySchemaProvider::new()))?;
        for (name, schema) in self.tables().await? {
            let url = ListingTableUrl::parse(format!("{base}/{}/{}/", name.dataset, name.table))?;
            let options = ListingOptions::new(Arc::new(ParquetFormat::default()));
            let table = ListingTableConfig::new(url)
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
            for view in views::in_dataset(&dataset) {
                let mut reads = view.reads.iter().chain([&view.of]);
                if reads.all(|table| schema.table_exist(table)) && !schema.table_exist(view.name) {
                    let plan = context.sql(&view.sql).await?.logical_plan().clone();
                    let table = Arc::new(ViewTable::new(plan, Some(view.sql)));
                    schema.register_table(view.name.to_owned(), table)?;
                }
            }
        }
        Ok(context)
    }
}
