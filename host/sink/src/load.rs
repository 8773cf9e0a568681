//! The rows and dead letters of one input object, all of them or none.
//!
//! All methods block: they belong on a thread, not in a task.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use tokio::runtime::Handle;

use clickmill_bigquery as bigquery;
use clickmill_tables::ledger::Entry;
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

impl Load {
    /// Begins a load. What an interrupted load of the same object has left is removed first.
    pub fn begin(
        tables: &Tables,
        runtime: &Handle,
        id: &str,
        targets: Targets,
    ) -> Result<Self, SinkError> {
        let Targets { rows, dead_letters } = targets;
        let kind = match tables {
            Tables::Warehouse(warehouse) => Kind::Warehouse(Box::new(warehouse::Load::begin(
                warehouse,
                runtime,
                id,
                rows,
                dead_letters,
            )?)),
            Tables::BigQuery(bigquery) => {
                let begin = |(table, schema): (TableName, SchemaRef)| {
                    bigquery::Load::begin(bigquery, &table, schema)
                };
                Kind::BigQuery(bigquery.clone(), Box::new([begin(rows), begin(dead_letters)]))
            }
        };
        Ok(Self { runtime: runtime.clone(), kind })
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
    pub fn commit(self, entry: &Entry) -> Result<(), SinkError> {
        match self.kind {
            Kind::Warehouse(load) => Ok(load.commit(&self.runtime, entry)?),
            Kind::BigQuery(bigquery, loads) => {
                let [rows, letters] = *loads;
                Ok(self.runtime.block_on(bigquery.commit_load(entry, rows, letters))?)
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
