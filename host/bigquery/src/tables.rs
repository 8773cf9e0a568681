//! Datasets and tables: created from the pipeline's schemas, or checked against them before a run.

mod compare;

use futures::future::BoxFuture;
use google_cloud_bigquery_v2::model::{Dataset, Table};
use serde_json::{Value as Json, json};

pub use compare::Change;

use compare::{compare, with_fields_of};

use super::BigQuery;
use super::error::BigQueryError;
use super::patience::{Outages, Patience};
use clickmill_config::{MissingTables, TableName};
use clickmill_core::path::Path;
use clickmill_core::schema::{Column, TableSchema};
use clickmill_google as google;

impl BigQuery {
    /// Makes sure that a table is there and takes rows of this schema.
    pub async fn ensure_table(
        &self,
        table: &TableName,
        schema: &TableSchema,
    ) -> Result<(), BigQueryError> {
        let patience = Patience::new(self, table, None);
        match patience.until_done(Outages::Fail, || self.find(table)).await? {
            Some(found) => {
                let (changes, mut misfits) = compare(table, schema, &found);
                let lacks = changes.into_iter().flat_map(|change| match change {
                    Change::AddColumn { name, .. } => vec![name],
                    Change::AddFields { fields, .. } => fields,
                    Change::Create | Change::Expire { .. } => Vec::new(),
                });
                misfits.extend(lacks.map(|name| {
                    format!("it has no column `{name}`: `clickmill tables apply` adds it")
                }));
                if misfits.is_empty() {
                    return Ok(());
                }
                Err(BigQueryError::Misfit { table: table.clone(), misfits })
            }
            None if self.config.missing_tables == MissingTables::Refuse => {
                Err(BigQueryError::Missing {
                    what: format!("table `{}.{table}`", self.config.project),
                    command: self.command(table, schema),
                })
            }
            None => self.create(table, schema).await,
        }
    }

    /// What `clickmill tables apply` would change.
    pub fn plan<'a>(
        &'a self,
        table: &'a TableName,
        schema: &'a TableSchema,
    ) -> BoxFuture<'a, Result<Vec<Change>, BigQueryError>> {
        Box::pin(async move {
            let Some(found) = self.find(table).await? else { return Ok(vec![Change::Create]) };
            let (changes, misfits) = compare(table, schema, &found);
            if misfits.is_empty() {
                return Ok(changes);
            }
            Err(BigQueryError::Misfit { table: table.clone(), misfits })
        })
    }

    /// Carries a change out.
    pub fn apply<'a>(
        &'a self,
        table: &'a TableName,
        schema: &'a TableSchema,
        change: &'a Change,
    ) -> BoxFuture<'a, Result<(), BigQueryError>> {
        Box::pin(async move {
            match change {
                Change::Create => self.create(table, schema).await,
                Change::AddColumn { name, sql } => {
                    self.ask(sql, &[], &format!("add column `{name}` to `{table}`")).await?;
                    let column = schema.columns.iter().find(|column| column.name == *name);
                    if column.is_some_and(Column::is_sensitive) {
                        self.describe(table, schema).await?;
                    }
                    Ok(())
                }
                Change::AddFields { .. } => self.add_fields(table, schema).await,
                Change::Expire { what, patch } => {
                    let patch = serde_json::from_value(patch.clone());
                    let patch = patch.map_err(|source| BigQueryError::Describe {
                        table: table.clone(),
                        source,
                    })?;
                    self.patch(table, patch, format!("have `{table}` expire: {what}")).await
                }
            }
        })
    }

    /// Adds the fields of records that a table lacks, which SQL cannot: the table's schema is patched, with
    /// all that it has.
    async fn add_fields(
        &self,
        table: &TableName,
        schema: &TableSchema,
    ) -> Result<(), BigQueryError> {
        let describe = |source| BigQueryError::Describe { table: table.clone(), source };
        let Some(found) = self.find(table).await? else { return Ok(()) };
        let found = serde_json::to_value(&found.schema).map_err(describe)?;
        let there = found["fields"].as_array().map(Vec::as_slice).unwrap_or_default();
        let fields = with_fields_of(there, &self.tagged(table, schema));
        let patch = json!({ "schema": { "fields": fields } });
        let patch: Table = serde_json::from_value(patch).map_err(describe)?;
        self.patch(table, patch, format!("add fields to `{table}`")).await
    }

    /// Creates or replaces a view.
    pub async fn create_view(&self, view: &TableName, sql: &str) -> Result<(), BigQueryError> {
        let sql = format!("CREATE OR REPLACE VIEW `{}`.`{}` AS\n{sql}", view.dataset, view.table);
        self.ask(&sql, &[], &format!("create view `{view}`")).await.map(drop)
    }

    /// The table as REST describes it, if it is there.
    pub(super) async fn find(&self, table: &TableName) -> Result<Option<Table>, BigQueryError> {
        let what = format!("look at table `{table}`");
        self.call(&what, |rest| {
            let what = &what;
            async move {
                let found = rest
                    .tables
                    .get_table()
                    .set_project_id(&self.config.project)
                    .set_dataset_id(&table.dataset)
                    .set_table_id(&table.table)
                    .send()
                    .await;
                match found {
                    Ok(found) => Ok(Some(found)),
                    Err(error) if google::is_not_found(&error) => Ok(None),
                    Err(source) => Err(BigQueryError::service(what, source)),
                }
            }
        })
        .await
    }

    async fn create(&self, table: &TableName, schema: &TableSchema) -> Result<(), BigQueryError> {
        self.create_dataset(table).await?;
        let described = self.described(table, schema)?;
        let what = format!("create table `{table}`");
        self.call(&what, |rest| {
            let (what, described) = (&what, described.clone());
            async move {
                let created = rest
                    .tables
                    .insert_table()
                    .set_project_id(&self.config.project)
                    .set_dataset_id(&table.dataset)
                    .set_table(described)
                    .send()
                    .await;
                match created {
                    Ok(_) => tracing::info!(table = %table, "created a table"),
                    Err(error) if google::is_already_there(&error) => {}
                    Err(source) => return Err(BigQueryError::service(what, source)),
                }
                Ok(())
            }
        })
        .await
    }

    async fn create_dataset(&self, table: &TableName) -> Result<(), BigQueryError> {
        let project = &self.config.project;
        let mut dataset = json!({
            "datasetReference": { "projectId": project, "datasetId": table.dataset },
        });
        if let Some(location) = &self.config.location {
            dataset["location"] = json!(location);
        }
        let dataset: Dataset = serde_json::from_value(dataset)
            .map_err(|source| BigQueryError::Describe { table: table.clone(), source })?;
        let what = format!("create dataset `{}`", table.dataset);
        self.call(&what, |rest| {
            let (what, dataset) = (&what, dataset.clone());
            async move {
                let inserted = rest.datasets.insert_dataset().set_project_id(project);
                match inserted.set_dataset(dataset).send().await {
                    Ok(_) => tracing::info!(dataset = table.dataset, "created a dataset"),
                    Err(error) if google::is_already_there(&error) => {}
                    // Whoever may not create datasets may still create tables in one that is there.
                    Err(error) if error.http_status_code() == Some(403) => {}
                    Err(source) => return Err(BigQueryError::service(what, source)),
                }
                Ok(())
            }
        })
        .await
    }

    /// Gives a table that is there the descriptions and policy tags of the schema.
    async fn describe(&self, table: &TableName, schema: &TableSchema) -> Result<(), BigQueryError> {
        let described = self.described(table, schema)?;
        self.patch(table, described, format!("set the policy tags of `{table}`")).await
    }

    async fn patch(
        &self,
        table: &TableName,
        described: Table,
        what: String,
    ) -> Result<(), BigQueryError> {
        self.call(&what, |rest| {
            let (what, described) = (&what, described.clone());
            async move {
                let patched = rest
                    .tables
                    .patch_table()
                    .set_project_id(&self.config.project)
                    .set_dataset_id(&table.dataset)
                    .set_table_id(&table.table)
                    .set_table(described)
                    .send()
                    .await;
                patched.map(drop).map_err(|source| BigQueryError::service(what, source))
            }
        })
        .await
    }

    /// The table as the REST API wants it.
    fn described(&self, table: &TableName, schema: &TableSchema) -> Result<Table, BigQueryError> {
        let mut described = Json::Object(schema.options.clone());
        described["tableReference"] = json!({
            "projectId": self.config.project, "datasetId": table.dataset, "tableId": table.table,
        });
        described["schema"] = json!({ "fields": self.tagged(table, schema) });
        serde_json::from_value(described)
            .map_err(|source| BigQueryError::Describe { table: table.clone(), source })
    }

    /// The schema's columns with the policy tags that the configuration names, fields of records too. The
    /// others are left off: a schema can't know their numbers.
    fn tagged(&self, table: &TableName, schema: &TableSchema) -> Vec<Json> {
        let mut fields = schema.fields();
        self.tag(table, &mut fields, None);
        fields
    }

    fn tag(&self, table: &TableName, fields: &mut [Json], record: Option<&Path>) {
        for field in fields {
            let name = field["name"].as_str().unwrap_or_default();
            let path = record.map_or_else(|| Path::of(name), |record| record.field(name));
            if let Some(fields) = field.get_mut("fields").and_then(Json::as_array_mut) {
                self.tag(table, fields, Some(&path));
            }
            let Some(tag) = field["policyTags"]["names"][0].as_str() else { continue };
            let tag = tag.rsplit('/').next().unwrap_or_default().to_owned();
            match self.config.policy_tags.get(&tag) {
                Some(name) => field["policyTags"] = json!({ "names": [name] }),
                None => {
                    tracing::warn!(
                        table = %table,
                        column = %path,
                        "a sensitive column has no policy tag: name `{tag}` in `sink.policy_tags`"
                    );
                    if let Some(field) = field.as_object_mut() {
                        field.remove("policyTags");
                    }
                }
            }
        }
    }

    /// What creates a table by hand.
    fn command(&self, table: &TableName, schema: &TableSchema) -> String {
        let mut command = format!("bq --project_id={} mk --table", self.config.project);
        let options = Json::Object(schema.options.clone());
        let partition = &options["timePartitioning"];
        for (flag, value) in [
            ("time_partitioning_type", &partition["type"]),
            ("time_partitioning_field", &partition["field"]),
        ] {
            if let Some(value) = value.as_str() {
                command.push_str(&format!(" --{flag}={value}"));
            }
        }
        let milliseconds = partition["expirationMs"].as_str().and_then(|ms| ms.parse::<u64>().ok());
        if let Some(milliseconds) = milliseconds {
            command.push_str(&format!(" --time_partitioning_expiration={}", milliseconds / 1000));
        }
        if let Some(fields) = options["clustering"]["fields"].as_array() {
            let fields: Vec<&str> = fields.iter().filter_map(Json::as_str).collect();
            command.push_str(&format!(" --clustering_fields={}", fields.join(",")));
        }
        command.push_str(&format!(" {table} {}", schema.path.display()));
        command
    }
}
