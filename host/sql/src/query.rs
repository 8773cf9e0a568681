//! SQL over the warehouse, with DataFusion: tables are named as in BigQuery.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Fields, Schema, SchemaRef, TimeUnit};
use datafusion::catalog::{
    CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider, SchemaProvider, TableProvider,
};
use datafusion::common::{TableReference, plan_err};
use datafusion::dataframe::DataFrame;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{
    ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl,
};
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::error::DataFusionError;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::execution::object_store::DefaultObjectStoreRegistry;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::object_store::ObjectMeta;
use datafusion::physical_plan::collect;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::parser::Statement;

use super::each_once::EachOnce;
use super::said::said;
use super::semi_joins::KeysOnce;
use super::{dialect, functions, nested, optimizer, types};
use clickmill_config::TableName;
use clickmill_core::schema::TableSchema;
use clickmill_core::schema::provenance::PUBLISH_TIME;
use clickmill_core::{Fault, lock};
use clickmill_tables::result_set::{Answer, Bounds, Parameter};
use clickmill_tables::views::{self, View};
use clickmill_warehouse::{KnownFacts, PossibleDuplicates, Warehouse, WarehouseError};

/// The most bytes of an answer of which not all is wanted: whoever shows it keeps it in memory.
const MAX_BOUNDED_BYTES: usize = 64 << 20;

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The warehouse can't be read.
    #[error(transparent)]
    Warehouse(Box<WarehouseError>),
    /// The query names a table that is not there.
    #[error("{}", said(.0))]
    NoTable(Box<DataFusionError>),
    /// The query is wrong, or fails.
    #[error("{}", said(.0))]
    Query(Box<DataFusionError>),
}

impl QueryError {
    /// Whether a file that can't be read may be at fault.
    fn may_be_a_file(&self) -> bool {
        match self {
            Self::Warehouse(error) => error.fault() == Fault::Environment,
            Self::NoTable(_) => false,
            Self::Query(error) => !matches!(
                error.find_root(),
                DataFusionError::SQL(..)
                    | DataFusionError::Plan(_)
                    | DataFusionError::SchemaError(..)
                    | DataFusionError::NotImplemented(_)
                    | DataFusionError::ResourcesExhausted(_)
            ),
        }
    }

    /// Whether a file of Parquet is at fault.
    fn is_a_file(&self) -> bool {
        let Self::Query(error) = self else { return false };
        matches!(error.find_root(), DataFusionError::ParquetError(_))
    }
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
    /// What queries share: what the footers say of files that were read before.
    runtime: Arc<RuntimeEnv>,
    /// What files say of rows that come again, by their table.
    known: Mutex<HashMap<TableName, KnownFacts>>,
}

impl Queries {
    /// Opens a warehouse. All queries of this process share `memory`; beside it, so many bytes of footers are kept
    /// from one to the next.
    pub fn open(
        uri: &str,
        memory: Arc<dyn MemoryPool>,
        footers: usize,
    ) -> Result<Self, QueryError> {
        // Of more files than there is room for none would be found again: each query reads them in turn.
        let runtime = RuntimeEnvBuilder::new()
            .with_metadata_cache_limit(footers)
            .with_file_statistics_cache_limit(footers / 2)
            // What files a table has changes all the time.
            .with_object_list_cache_limit(0);
        let runtime = Arc::new(runtime.with_memory_pool(memory).build()?);
        Ok(Self { warehouse: Warehouse::open(uri)?, runtime, known: Mutex::default() })
    }

    /// Runs a query in BigQuery's dialect, with named parameters such as `@country`, and gives what is wanted
    /// of its rows. Tables are `dataset.table`.
    pub async fn query(
        &self,
        sql: &str,
        parameters: &[(String, Parameter)],
        bounds: Bounds,
    ) -> Result<Answer, QueryError> {
        match self.answer(sql, parameters, bounds).await {
            Err(error) if error.may_be_a_file() => {
                // An entry of clickmill's own that is damaged is no reason to answer nothing; a file that
                // was removed since it was listed is none either.
                self.warehouse.set_damaged_aside().await?;
                let answered = self.answer(sql, parameters, bounds).await;
                if answered.as_ref().is_err_and(QueryError::is_a_file) {
                    self.check(sql).await?;
                }
                answered
            }
            answered => answered,
        }
    }

    /// Finds out which file can't be read of the tables that a query names: the engine does not say.
    async fn check(&self, sql: &str) -> Result<(), QueryError> {
        let tables = self.warehouse.tables().await?;
        for (name, _) in &tables {
            let views = named_in(sql, &name.dataset, &tables);
            let mut texts = views.iter().map(|view| view.sql.as_str()).chain([sql]);
            if texts.any(|text| views::is_named(text, &name.table)) {
                self.warehouse.check(name).await?;
            }
        }
        Ok(())
    }

    async fn answer(
        &self,
        sql: &str,
        parameters: &[(String, Parameter)],
        bounds: Bounds,
    ) -> Result<Answer, QueryError> {
        let context = self.session(sql).await?;
        let plan = plan(&context, sql, parameters).await?;
        let frame = context.execute_logical_plan(plan).await?;
        if bounds == Bounds::NONE {
            return Ok(executed(frame).await?);
        }
        let answer = executed(frame.limit(0, Some(bounds.rows))?).await?;
        let answer = answer.within(bounds).map_err(DataFusionError::from)?;
        let bytes: usize = answer.batches.iter().map(RecordBatch::get_array_memory_size).sum();
        if bytes > MAX_BOUNDED_BYTES {
            let what = "the answer has more than 64 MiB: ask for fewer rows, or shorter lists";
            return Err(DataFusionError::ResourcesExhausted(what.to_owned()).into());
        }
        Ok(answer)
    }

    /// The tables and views that a query names.
    async fn session(&self, sql: &str) -> Result<SessionContext, QueryError> {
        // Each query has stores of its own, and all share the rest.
        let registry = Arc::new(DefaultObjectStoreRegistry::new());
        let runtime = RuntimeEnv { object_store_registry: registry, ..(*self.runtime).clone() };
        let context = context(Arc::new(runtime));
        let catalog = MemoryCatalogProvider::new();
        catalog.register_schema("public", Arc::new(MemorySchemaProvider::new()))?;
        let tables = self.warehouse.tables().await?;
        for (name, _) in &tables {
            if catalog.schema(&name.dataset).is_none() {
                catalog.register_schema(&name.dataset, Arc::new(MemorySchemaProvider::new()))?;
            }
        }
        let datasets: Vec<(String, Arc<dyn SchemaProvider>)> = catalog
            .schema_names()
            .into_iter()
            .filter_map(|name| Some((name.clone(), catalog.schema(&name)?)))
            .collect();
        context.register_catalog("warehouse", Arc::new(catalog));
        let mut files = Files { context: &context, warehouse: &self.warehouse, number: 0 };
        for (dataset, provider) in datasets {
            let views = named_in(sql, &dataset, &tables);
            let of_dataset = tables.iter().filter(|(name, _)| name.dataset == dataset);
            let of_dataset: BTreeMap<&str, (&TableName, SchemaRef)> = of_dataset
                .map(|(name, schema)| {
                    // A view of rows that are told apart by their places, over a table from before.
                    let of_view = views.iter().any(|view| view.once && view.of == name.table);
                    let schema = nested::as_read(&schema.arrow(), of_view);
                    (name.table.as_str(), (name, schema))
                })
                .collect();
            let texts: Vec<&str> =
                views.iter().map(|view| view.sql.as_str()).chain([sql]).collect();
            // As it is at one moment, wherever the query names it.
            let mut lists: BTreeMap<&str, Vec<ObjectMeta>> = BTreeMap::new();
            for (table, (name, schema)) in &of_dataset {
                // To list a table takes longer than many a query.
                if texts.iter().any(|text| views::is_named(text, table)) {
                    let listed = self.warehouse.files(name).await?;
                    let of_files = files.table(listed.clone(), schema)?;
                    provider.register_table((*table).to_owned(), of_files)?;
                    lists.insert(table, listed);
                }
            }
            for view in views {
                let is_hidden = provider.table_exist(&view.name);
                // The table that it is of need not be named, nor then registered.
                let has_all = of_dataset.contains_key(view.of.as_str())
                    && view.reads.iter().all(|table| provider.table_exist(table));
                if is_hidden || !has_all {
                    continue;
                }
                let of = of_dataset.get(view.of.as_str()).zip(lists.get(view.of.as_str()));
                let table: Arc<dyn TableProvider> = match of.zip(view.told_by()) {
                    Some(((of, listed), key)) if has_publish_time(&of.1) => {
                        self.once(&mut files, &*provider, &view, key, listed, of).await?
                    }
                    _ => {
                        let plan = plan(&context, &view.sql, &[]).await?;
                        Arc::new(ViewTable::new(plan, Some(view.sql)))
                    }
                };
                provider.register_table(view.name, table)?;
            }
        }
        Ok(context)
    }

    /// The rows of a view that shows each message once.
    async fn once(
        &self,
        files: &mut Files<'_>,
        dataset: &dyn SchemaProvider,
        view: &View,
        key: &str,
        listed: &[ObjectMeta],
        (table, schema): &(&TableName, SchemaRef),
    ) -> Result<Arc<dyn TableProvider>, QueryError> {
        let mut known = lock(&self.known).get(*table).cloned().unwrap_or_default();
        let found = self.warehouse.possible_duplicates(listed.to_vec(), &mut known).await;
        lock(&self.known).insert((*table).clone(), known);
        let PossibleDuplicates { unique, suspected, published } = found?;
        if suspected.is_empty() {
            return Ok(files.table(unique, schema)?);
        }
        let scan = |table: Arc<dyn TableProvider>| {
            LogicalPlanBuilder::scan(view.of.as_str(), provider_as_source(table), None)?.build()
        };
        let unique = scan(files.table(unique, schema)?)?;
        let suspected = files.table(suspected, schema)?;
        // The view's own text, over those files only.
        let name = format!("{}__suspected", view.of);
        dataset.register_table(name.clone(), suspected.clone())?;
        let numbered = view.sql.replace(&format!(".{}", view.of), &format!(".`{name}`"));
        let repeated = format!(
            "SELECT {PUBLISH_TIME} FROM `{}`.`{name}` GROUP BY {key} HAVING COUNT(*) > 1",
            table.dataset
        );
        let numbered = plan(files.context, &numbered, &[]).await;
        let repeated = plan(files.context, &repeated, &[]).await;
        dataset.deregister_table(&name)?;
        Ok(Arc::new(EachOnce {
            schema: schema.clone(),
            unique,
            suspected: scan(suspected)?,
            published,
            repeated: repeated?,
            numbered: numbered?,
            // What is computed of columns has no name of one.
            of_message: key.split(',').map(|part| part.trim().to_owned()).collect(),
        }))
    }
}

/// Files as tables of a session.
struct Files<'a> {
    context: &'a SessionContext,
    warehouse: &'a Warehouse,
    number: usize,
}

impl Files<'_> {
    /// A table of these files: a store of its own holds them, under names that have nothing to do with
    /// where the warehouse is.
    fn table(
        &mut self,
        files: Vec<ObjectMeta>,
        schema: &SchemaRef,
    ) -> Result<Arc<dyn TableProvider>, DataFusionError> {
        self.number += 1;
        let url = ListingTableUrl::parse(format!("warehouse://{}/", self.number))?;
        let store = self.warehouse.reading(files);
        self.context.register_object_store(url.object_store().as_ref(), store);
        let options = ListingOptions::new(Arc::new(ParquetFormat::default()));
        let table =
            ListingTableConfig::new(url).with_listing_options(options).with_schema(schema.clone());
        let statistics = self.context.runtime_env().cache_manager.get_file_statistic_cache();
        Ok(Arc::new(ListingTable::try_new(table)?.with_cache(statistics)))
    }
}

/// The views of a dataset of the warehouse that a query names.
fn named_in(sql: &str, dataset: &str, tables: &[(TableName, TableSchema)]) -> Vec<View> {
    let of_dataset = tables.iter().filter(|(name, _)| name.dataset == dataset);
    views::named_in(sql, dataset, of_dataset.map(|(name, schema)| (name, schema)))
}

fn has_publish_time(schema: &SchemaRef) -> bool {
    let column = schema.column_with_name(PUBLISH_TIME);
    column.is_some_and(|(_, column)| {
        matches!(column.data_type(), DataType::Timestamp(TimeUnit::Microsecond, Some(_)))
    })
}

/// A session that speaks BigQuery's dialect, without tables.
pub(crate) fn context(runtime: Arc<RuntimeEnv>) -> SessionContext {
    let mut config = SessionConfig::new().with_default_catalog_and_schema("warehouse", "public");
    // Column names are taken as they are written: `errorMessage` is one of Google's own.
    config.options_mut().sql_parser.enable_ident_normalization = false;
    // Null comes before every value, as in BigQuery.
    config.options_mut().sql_parser.default_null_ordering = "nulls_min".to_owned();
    // A table's store lists its files and no others, in whatever folders of the warehouse they are.
    config.options_mut().execution.listing_table_ignore_subdirectory = false;
    // It gives the sides of a UNION fields of records in different orders, and then finds that they differ.
    config.options_mut().optimizer.enable_leaf_expression_pushdown = false;
    // It makes no more groups than a LIMIT wants, also where a window function is over all of them.
    config.options_mut().optimizer.enable_topk_aggregation = false;
    let state = SessionStateBuilder::new_with_default_features()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_optimizer_rule(Arc::new(KeysOnce))
        .with_physical_optimizer_rules(optimizer::rules());
    let context = SessionContext::new_with_state(state.build());
    for function in functions::all() {
        context.register_udf(function);
    }
    context
}

/// The rows of a query, as others read them. Their types are those of the plan that is executed: the logical
/// plan's are from before INT64 became FLOAT64 beside such.
pub(crate) async fn executed(frame: DataFrame) -> Result<Answer, DataFusionError> {
    let named = dialect::shown(frame.schema().as_arrow());
    one_name_a_column(&named)?;
    let tasks = Arc::new(frame.task_ctx());
    let plan = frame.create_physical_plan().await?;
    let typed = plan.schema();
    let fields: Fields = named
        .fields()
        .iter()
        .zip(typed.fields())
        .map(|(named, typed)| {
            let nullable = named.is_nullable() || typed.is_nullable();
            let field = named.as_ref().clone().with_data_type(typed.data_type().clone());
            field.with_nullable(nullable)
        })
        .collect();
    let batches = collect(plan, tasks).await?;
    batches.iter().try_for_each(nested::no_null_elements)?;
    nested::shown(Answer { schema: Arc::new(Schema::new(fields)), batches })
}

/// Two columns of one name are an error in BigQuery, whatever their capitals. A row of JSON would hold one of them.
fn one_name_a_column(answer: &Schema) -> Result<(), DataFusionError> {
    let mut names = HashSet::new();
    match answer.fields().iter().find(|field| !names.insert(field.name().to_lowercase())) {
        Some(twice) => plan_err!(
            "the answer has two columns `{}`: give one of them another name with AS",
            twice.name()
        ),
        None => Ok(()),
    }
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

#[cfg(test)]
mod tests;
