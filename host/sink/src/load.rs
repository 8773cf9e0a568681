//! The rows and dead letters of one input object, all of them or none.
//!
//! All methods block: they belong on a thread, not in a task.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use tokio::runtime::Handle;

use clickmill_bigquery as bigquery;
use clickmill_tables::ledger::{Committed, Entry};
use clickmill_tables::{Refused, Rows};
use clickmill_warehouse as warehouse;

use super::{SinkError, Tables};
use clickmill_config::TableName;

/// The tables of a load: names and columns.
pub struct Targets {
    /// Of good rows.
    pub rows: (TableName, SchemaRef),
    /// Of dead letters.
    pub dead_letters: (TableName, SchemaRef),
}

/// A load in the making.
pub struct Load {
    runtime: Handle,
    kind: Kind,
}

enum Kind {
    Warehouse(Box<warehouse::Load>),
    BigQuery(bigquery::BigQuery, Box<[bigquery::Load; 2]>),
}

/// How a load begins.
pub enum Begun {
    /// There is something to load.
    Load(Box<Load>),
    /// There is nothing: it has happened.
    LoadedAlready,
}

impl Load {
    /// Begins a load, unless it has happened by now: the ledger is asked, whoever asked it before. What an
    /// interrupted load of the same object has left is removed, or finished. `None` while another process
    /// is at it.
    pub fn begin(
        tables: &Tables,
        runtime: &Handle,
        id: &str,
        targets: &Targets,
    ) -> Result<Option<Begun>, SinkError> {
        let Targets { rows, dead_letters } = targets;
        let kind = match tables {
            Tables::Warehouse(warehouse) => {
                match warehouse::Load::begin(warehouse, runtime, id, rows, dead_letters)? {
                    None => return Ok(None),
                    Some(warehouse::Begun::LoadedAlready) => return Ok(Some(Begun::LoadedAlready)),
                    Some(warehouse::Begun::Load(load)) => Kind::Warehouse(load),
                }
            }
            Tables::BigQuery(bigquery) => {
                if runtime.block_on(bigquery.is_loaded(id, &rows.0))? {
                    return Ok(Some(Begun::LoadedAlready));
                }
                let begin = |(table, schema): &(TableName, SchemaRef)| {
                    bigquery::Load::begin(bigquery, table, schema.clone())
                };
                Kind::BigQuery(bigquery.clone(), Box::new([begin(rows), begin(dead_letters)]))
            }
        };
        Ok(Some(Begun::Load(Box::new(Self { runtime: runtime.clone(), kind }))))
    }

    /// Adds good rows.
    pub fn write(&mut self, rows: Rows) -> Result<(), SinkError> {
        match &mut self.kind {
            Kind::Warehouse(load) => Ok(load.write(&rows.rows)?),
            Kind::BigQuery(_, loads) => Ok(self.runtime.block_on(loads[0].write(rows))?),
        }
    }

    /// Rows that the table refused since this was last asked. They come to be known late: after the last
    /// row, this waits for all.
    pub fn refused(&mut self) -> Result<Vec<Refused>, SinkError> {
        match &mut self.kind {
            Kind::Warehouse(_) => Ok(Vec::new()),
            Kind::BigQuery(_, loads) => Ok(self.runtime.block_on(loads[0].settle())?),
        }
    }

    /// Adds dead letters.
    pub fn write_dead_letters(&mut self, letters: RecordBatch) -> Result<(), SinkError> {
        match &mut self.kind {
            Kind::Warehouse(load) => Ok(load.write_dead_letters(&letters)?),
            Kind::BigQuery(_, loads) => {
                Ok(self.runtime.block_on(loads[1].write(Rows::letters(letters)))?)
            }
        }
    }

    /// Makes rows and dead letters durable and visible, and enters the load into the ledger.
    pub fn commit(self, entry: &Entry) -> Result<Committed, SinkError> {
        match self.kind {
            Kind::Warehouse(load) => Ok(load.commit(&self.runtime, entry)?),
            Kind::BigQuery(bigquery, loads) => {
                let [rows, letters] = *loads;
                self.runtime.block_on(bigquery.commit_load(entry, rows, letters))?;
                Ok(Committed::Now)
            }
        }
    }

    /// Gives the load up: it has not happened.
    pub fn abandon(self) {
        match self.kind {
            Kind::Warehouse(load) => load.abandon(&self.runtime),
            // BigQuery forgets a pending stream by itself.
            Kind::BigQuery(..) => {}
        }
    }
}
