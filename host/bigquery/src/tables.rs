//! Datasets and tables: created from the pipeline's schemas, or checked against them before a run.

use google_cloud_bigquery_v2::model::{Dataset, Table, TableFieldSchema};
use serde_json::{Value as Json, json};

use super::BigQuery;
use super::error::BigQueryError;
use super::patience::{Outages, Patience};
use clickmill_config::{MissingTables, TableName};
use clickmill_core::schema::{Column, TableSchema};
use clickmill_google as google;

/// Something that a table lacks and can be given.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The table itself.
    Create,
    /// A column that may be null.
    AddColumn {
        /// Its name.
        name: String,
        /// What adds it.
        sql: String,
    },
}

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
                misfits.extend(changes.iter().filter_map(|change| match change {
                    Change::AddColumn { name, .. } => {
                        Some(format!("it has no column `{name}`: `clickmill tables apply` adds it"))
                    }
                    Change::Create => None,
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
    pub async fn plan(
        &self,
        table: &TableName,
        schema: &TableSchema,
    ) -> Result<Vec<Change>, BigQueryError> {
        let Some(found) = self.find(table).await? else { return Ok(vec![Change::Create]) };
        let (changes, misfits) = compare(table, schema, &found);
        if misfits.is_empty() {
            return Ok(changes);
        }
        Err(BigQueryError::Misfit { table: table.clone(), misfits })
    }

    /// Carries a change out.
    pub async fn apply(
        &self,
        table: &TableName,
        schema: &TableSchema,
        change: &Change,
    ) -> Result<(), BigQueryError> {
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
        }
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
        let what = format!("set the policy tags of `{table}`");
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

    /// The schema's columns with the policy tags that the configuration names. The others are left off:
    /// a schema can't know their numbers.
    fn tagged(&self, table: &TableName, schema: &TableSchema) -> Vec<Json> {
        let mut fields = schema.fields();
        for field in &mut fields {
            let Some(tag) = field["policyTags"]["names"][0].as_str() else { continue };
            let tag = tag.rsplit('/').next().unwrap_or_default().to_owned();
            match self.config.policy_tags.get(&tag) {
                Some(name) => field["policyTags"] = json!({ "names": [name] }),
                None => {
                    tracing::warn!(
                        table = %table,
                        column = field["name"].as_str(),
                        "a sensitive column has no policy tag: name `{tag}` in `sink.policy_tags`"
                    );
                    if let Some(field) = field.as_object_mut() {
                        field.remove("policyTags");
                    }
                }
            }
        }
        fields
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

/// What a table lacks, and what can't be mended.
fn compare(table: &TableName, schema: &TableSchema, found: &Table) -> (Vec<Change>, Vec<String>) {
    let none = Vec::new();
    let there = found.schema.as_ref().map_or(&none, |schema| &schema.fields);
    let mut changes = Vec::new();
    let mut misfits = Vec::new();
    let fields = schema.fields();
    for field in &fields {
        let name = field["name"].as_str().unwrap_or_default();
        let wanted = canonical(field["type"].as_str().unwrap_or_default());
        let mode = field["mode"].as_str().unwrap_or("NULLABLE");
        match there.iter().find(|column| column.name.eq_ignore_ascii_case(name)) {
            None if mode == "NULLABLE" => changes.push(add(table, field, name, wanted)),
            None => misfits.push(format!(
                "it has no column `{name}`, which is {mode} and so can't be added: make the table anew"
            )),
            Some(column) => {
                let got = canonical(&column.r#type);
                if got != wanted {
                    misfits.push(format!("column `{name}` is {got}, the rows have {wanted}"));
                } else if (column.mode == "REPEATED") != (mode == "REPEATED") {
                    misfits.push(format!("column `{name}` is {}, the rows have {mode}", column.mode));
                } else if column.mode == "REQUIRED" && mode != "REQUIRED" {
                    misfits.push(format!("column `{name}` is REQUIRED, the rows may lack it"));
                }
            }
        }
    }
    let unknown = |column: &&TableFieldSchema| {
        let known = |field: &Json| {
            field["name"].as_str().is_some_and(|name| name.eq_ignore_ascii_case(&column.name))
        };
        column.mode == "REQUIRED" && !fields.iter().any(known)
    };
    for column in there.iter().filter(unknown) {
        misfits.push(format!("column `{}` is REQUIRED, the rows do not have it", column.name));
    }
    (changes, misfits)
}

fn add(table: &TableName, field: &Json, name: &str, wanted: &str) -> Change {
    let sql_type = match wanted {
        "INTEGER" => "INT64",
        "FLOAT" => "FLOAT64",
        "BOOLEAN" => "BOOL",
        other => other,
    };
    let description = field["description"].as_str().unwrap_or_default();
    // Escaped as JSON, which is an escape of the language too.
    let sql = format!(
        "ALTER TABLE `{}`.`{}` ADD COLUMN IF NOT EXISTS `{name}` {sql_type} OPTIONS(description={})",
        table.dataset,
        table.table,
        Json::from(description)
    );
    Change::AddColumn { name: name.to_owned(), sql }
}

/// One name for each type.
fn canonical(kind: &str) -> &str {
    match kind {
        "INT64" => "INTEGER",
        "FLOAT64" => "FLOAT",
        "BOOL" => "BOOLEAN",
        "STRUCT" => "RECORD",
        other => other,
    }
}
