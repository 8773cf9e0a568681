//! The ledger and the failures beside it, as the verbs of loads ask for them.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value as Json;

use crate::{Failure, place};
use clickmill_bigquery::{BigQuery, Change};
use clickmill_config::{Place, TableName};
use clickmill_core::schema::TableSchema;
use clickmill_core::schema::provenance::SOURCE;
use clickmill_sink::Tables;
use clickmill_tables::result_set::{Parameter, ResultSet};
use clickmill_tables::{failures, ledger};

/// So many objects that failed are asked for in one query.
const PAGE: usize = 1000;
/// So many objects are looked for by their names in one query.
const ASKED_AT_ONCE: usize = 100;

/// Whose loads
#[derive(Debug, Args)]
pub(super) struct LoadsArgs {
    /// Look where this pipeline file writes to, in place of the warehouse
    #[arg(long, value_name = "PIPELINE.toml")]
    pub pipeline: Option<PathBuf>,

    /// Set a value of the pipeline file, such as sink.project=my-project
    #[arg(long = "set", value_name = "KEY=VALUE", requires = "pipeline")]
    pub set: Vec<String>,
}

/// A load that failed, and has not happened since.
pub(super) struct Failed {
    pub load_id: String,
    pub pipeline: String,
    pub table: String,
    pub object: String,
    pub source: String,
    pub error: String,
    pub failed_at: String,
}

impl Failed {
    fn of(row: Vec<Json>) -> Option<Self> {
        let mut texts = row.into_iter().map(|value| value.as_str().map(str::to_owned));
        let mut next = || texts.next().flatten();
        Some(Self {
            load_id: next()?,
            pipeline: next()?,
            table: next()?,
            object: next()?,
            source: next()?,
            error: next()?,
            failed_at: next()?,
        })
    }

    /// What could not be looked at has none, and may be a folder.
    pub(super) fn has_generation(&self) -> bool {
        self.source != self.object
    }

    /// Whether this object, of whatever generation, is the one that failed, or is in the folder that did.
    fn is_of(&self, object: &str) -> bool {
        match object.strip_prefix(&self.object) {
            Some("") => true,
            Some(within) => !self.has_generation() && within.starts_with('/'),
            None => false,
        }
    }
}

/// Asks page by page, until there are no more or enough. A page is how many were asked for, and those of
/// them that are meant.
fn paged<T, E>(
    most: usize,
    mut page: impl FnMut(usize) -> Result<(usize, Vec<T>), E>,
) -> Result<Vec<T>, E> {
    let (mut found, mut skip) = (Vec::new(), 0);
    while found.len() < most {
        let (asked, meant) = page(skip)?;
        found.extend(meant);
        skip += asked;
        if asked < PAGE {
            break;
        }
    }
    found.truncate(most);
    Ok(found)
}

/// The ledger and the failures beside it.
pub(super) struct LoadHistory {
    runtime: tokio::runtime::Runtime,
    tables: Tables,
    place: Place,
    /// Tables of the warehouse, where the place is that.
    known: Vec<TableName>,
    dataset: String,
    /// The table and the pipeline of the file that was named.
    of: Option<(TableName, String)>,
    /// Of that file, where it has several: tables whose rows name their object.
    several: Vec<TableName>,
}

impl LoadHistory {
    pub(super) fn open(whose: &LoadsArgs, warehouse: &str) -> Result<Self, Failure> {
        let read = |path: &Path| place::read_pipeline(path, &whose.set);
        let pipeline = whose.pipeline.as_deref().map(read).transpose()?;
        let place = pipeline.as_ref().map_or(Place::Warehouse, |p| p.sink.place.clone());
        let several = pipeline.iter().filter(|pipeline| !pipeline.sink.routes.is_empty());
        let tables = several.flat_map(|pipeline| pipeline.sink.tables());
        let named = tables.filter(|(_, schema)| schema.columns.iter().any(|c| c.name == SOURCE));
        let several = named.map(|(table, _)| table.clone()).collect();
        let known = match place {
            Place::Warehouse => place::tables(warehouse)?,
            Place::BigQuery(_) => Vec::new(),
        };
        let of = pipeline.map(|pipeline| (pipeline.sink.table, pipeline.name));
        let dataset = match &of {
            Some((table, _)) => table.dataset.clone(),
            None => {
                let tables = [ledger::TABLE, failures::TABLE];
                let hint = "`--pipeline` names a file that writes there";
                place::dataset_with(&known, &tables, hint)?
            }
        };
        let runtime = tokio::runtime::Runtime::new()?;
        let tables = runtime.block_on(Tables::open(&place, warehouse))?;
        Ok(Self { runtime, tables, place, known, dataset, of, several })
    }

    /// Whether any load has failed: earlier versions had no such table.
    pub(super) fn has_failures(&self) -> Result<bool, Failure> {
        self.has(failures::TABLE, &failures::schema()?)
    }

    /// Whether there has been any load: streams enter none.
    pub(super) fn has_loads(&self) -> Result<bool, Failure> {
        self.has(ledger::TABLE, &ledger::schema()?)
    }

    fn has(&self, table: &str, schema: &TableSchema) -> Result<bool, Failure> {
        let table = TableName { dataset: self.dataset.clone(), table: table.to_owned() };
        match &self.place {
            Place::Warehouse => Ok(self.known.contains(&table)),
            Place::BigQuery(place) => self.runtime.block_on(async {
                let changes = BigQuery::open(place).await?.plan(&table, schema).await?;
                Ok(!changes.iter().any(|change| matches!(change, Change::Create)))
            }),
        }
    }

    /// What failed and has not happened since, newest first, each object once for each table: neither the load
    /// that failed nor a later one of the same name. No more than `most`.
    pub(super) fn failures(&self, most: usize) -> Result<Vec<Failed>, Failure> {
        if !self.has_failures()? {
            return Ok(Vec::new());
        }
        let (ledger, failures) = (self.table(ledger::TABLE), self.table(failures::TABLE));
        let (own, parameters) = self.own("f.");
        // Earlier versions also entered what nobody can meet again: standard input and the like.
        let sql = format!(
            "SELECT met.load_id, met.pipeline, met.into_table, met.object, met.source, met.error, met.failed_at FROM (\
             SELECT f.load_id, f.pipeline, f.`table` AS into_table, f.object, f.source, f.fault, f.error, f.failed_at, \
             ROW_NUMBER() OVER (PARTITION BY f.`table`, f.object ORDER BY f.failed_at DESC) AS nth \
             FROM {failures} AS f \
             LEFT JOIN {ledger} AS l ON l.load_id = f.load_id AND l.state = 'committed' \
             WHERE l.load_id IS NULL AND (f.object LIKE 'file://%' OR f.object LIKE 'gs://%') AND {own}\
             ) AS met WHERE met.nth = 1 AND met.fault <> '{}' ORDER BY met.failed_at DESC, met.object, met.into_table \
             LIMIT {PAGE}",
            failures::NOBODY
        );
        paged(most, |skip| {
            let rows = self.ask(&format!("{sql} OFFSET {skip}"), &parameters)?.rows;
            let asked = rows.len();
            let mut failed: Vec<Failed> = rows.into_iter().filter_map(Failed::of).collect();
            let since = self.loaded_since(&failed)?;
            failed.retain(|failed| !since.contains(&failed.load_id));
            Ok((asked, failed))
        })
    }

    /// Loads that failed before another generation of their object was loaded into their table.
    fn loaded_since(&self, failed: &[Failed]) -> Result<HashSet<String>, Failure> {
        let ledger = self.table(ledger::TABLE);
        let mut since = HashSet::new();
        for failed in failed.chunks(ASKED_AT_ONCE) {
            let names: Vec<String> = (0..failed.len()).map(|at| format!("o{at}")).collect();
            // What could not be looked at, which has no generation, may be a folder.
            let begin = |failed: &Failed| {
                let end = if failed.has_generation() { "@" } else { "" };
                Parameter::Text(Some(format!("{}{end}", failed.object)))
            };
            let parameters = names.iter().map(String::as_str).zip(failed.iter().map(begin));
            let parameters: Vec<(&str, Parameter)> = parameters.collect();
            let is_of = |name: &String| format!("SUBSTR(source, 1, LENGTH(@{name})) = @{name}");
            let any: Vec<String> = names.iter().map(is_of).collect();
            let sql = format!(
                "SELECT `table` AS into_table, source, MAX(finished_at) AS finished_at FROM {ledger} \
                 WHERE state = 'committed' AND ({}) GROUP BY 1, 2",
                any.join(" OR ")
            );
            for row in self.ask(&sql, &parameters)?.rows {
                let texts = (row[0].as_str(), row[1].as_str(), row[2].as_str());
                let (Some(table), Some(source), Some(at)) = texts else { continue };
                let Some((object, _)) = source.rsplit_once('@') else { continue };
                let is_over = |failed: &&Failed| {
                    failed.table == table && failed.is_of(object) && failed.failed_at.as_str() < at
                };
                since.extend(failed.iter().filter(is_over).map(|failed| failed.load_id.clone()));
            }
        }
        Ok(since)
    }

    /// Loads that happened, newest first, as rows of the list. Who completes another's load enters it, too.
    pub(super) fn loaded(&self, limit: usize) -> Result<Vec<Vec<Json>>, Failure> {
        if !self.has_loads()? {
            return Ok(Vec::new());
        }
        let (own, parameters) = self.own("");
        let sql = format!(
            "SELECT load_id, 'loaded' AS state, pipeline, source, rows_in, rows_out, rows_rejected, finished_at FROM (\
             SELECT load_id, pipeline, source, rows_in, rows_out, rows_rejected, finished_at, \
             ROW_NUMBER() OVER (PARTITION BY load_id ORDER BY finished_at) AS nth \
             FROM {} WHERE state = 'committed' AND {own}\
             ) AS entered WHERE nth = 1 ORDER BY finished_at DESC LIMIT {limit}",
            self.table(ledger::TABLE)
        );
        let mut rows = self.ask(&sql, &parameters)?.rows;
        rows.iter_mut().for_each(|row| row.push(Json::Null));
        Ok(rows)
    }

    /// What a table says of loads whose ids begin so, newest first.
    pub(super) fn whole(&self, table: &str, order: &str, id: &str) -> Result<ResultSet, Failure> {
        let table = self.table(table);
        // Hexadecimal digits, as was checked.
        let sql = format!(
            "SELECT * FROM {table} WHERE load_id LIKE '{id}%' ORDER BY {order} DESC LIMIT 100"
        );
        self.ask(&sql, &[])
    }

    /// How many rows of an object are in each table, where the pipeline file that was named has several.
    pub(super) fn rows_by_table(&self, source: &str) -> Result<Vec<(&TableName, Json)>, Failure> {
        let parameters = [("source", Parameter::Text(Some(source.to_owned())))];
        let count = |table| {
            let sql = format!("SELECT COUNT(*) AS n FROM {table} WHERE {SOURCE} = @source");
            let found = self.ask(&sql, &parameters)?;
            Ok((table, found.single().cloned().unwrap_or_default()))
        };
        self.several.iter().map(count).collect()
    }

    /// A condition that a load is one into the pipeline's table, with its parameters.
    fn own(&self, of: &str) -> (String, Vec<(&'static str, Parameter)>) {
        let Some((table, pipeline)) = &self.of else { return ("TRUE".to_owned(), Vec::new()) };
        let text = |text: String| Parameter::Text(Some(text));
        let parameters =
            vec![("into", text(table.to_string())), ("pipeline", text(pipeline.clone()))];
        (format!("{of}`table` = @into AND {of}pipeline = @pipeline"), parameters)
    }

    fn table(&self, name: &str) -> String {
        format!("{}.{name}", self.dataset)
    }

    fn ask(&self, sql: &str, parameters: &[(&str, Parameter)]) -> Result<ResultSet, Failure> {
        let asked = self.tables.query(sql, parameters, "look into the load ledger");
        Ok(self.runtime.block_on(asked)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_failed_is_found_however_much_of_it_is_over() {
        let page = |skip: usize| {
            let asked = skip..(skip + PAGE).min(2 * PAGE + 5);
            // All of the first page has been loaded since.
            Ok::<_, Failure>((asked.len(), asked.filter(|at| *at >= PAGE).collect::<Vec<usize>>()))
        };
        assert_eq!(paged(usize::MAX, page).expect("pages").len(), PAGE + 5);
        assert_eq!(paged(3, page).expect("pages"), [PAGE, PAGE + 1, PAGE + 2]);
    }
}
