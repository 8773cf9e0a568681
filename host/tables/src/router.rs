//! Which tables a row goes to, and the rows of each: the pipeline's own table, and those of its routes.
//!
//! Conditions are asked in the order of the routes. A row goes to the first whose condition it meets, and
//! beside that to each before it that takes a copy. What no route but such took goes to the pipeline's own
//! table; or, where that is for nothing else, is refused unless a copy of it was taken.
//!
//! A row is in all of its tables or in none: where one of them can't take it, since it lacks a REQUIRED
//! value, it is refused, once.

use std::collections::BTreeSet;

use arrow::array::BooleanArray;
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::Field;
use arrow::error::ArrowError;

use super::nested::Misfit;
use super::projection::Projection;
use super::{Refused, Rows};
use clickmill_config::{Route, Sink, TableName, Unrouted};
use clickmill_core::batch::{Batch, Origins, Reason, Rejected, Rejector, RowKey};
use clickmill_core::condition::{BindError, Bound};
use clickmill_core::schema::TableSchema;
use clickmill_core::{Digest, list, stage};

/// The code of rows that meet the condition of no route.
pub const NO_ROUTE: &str = "no_route";

/// How to make rows of a pipeline's tables.
pub struct Router {
    own: Projection,
    routes: Vec<Way>,
    unrouted: Unrouted,
}

/// The way to a route's table.
struct Way {
    met: Bound,
    copy: bool,
    to: Projection,
}

/// Why a chain's output can't be routed.
#[derive(Debug, thiserror::Error)]
pub enum Unroutable {
    /// It does not fit a table.
    #[error("the chain's rows do not fit table `{table}`:{list}", list = list(misfits))]
    Misfit {
        /// The table.
        table: TableName,
        /// Every column that does not fit.
        misfits: Vec<Misfit>,
    },
    /// A condition can't be asked of it.
    #[error("the chain's rows cannot be asked for `{condition}`, the condition of table `{table}`")]
    Condition {
        /// The table of the route.
        table: TableName,
        /// Its condition.
        condition: String,
        /// Why.
        source: Box<BindError>,
    },
}

/// Rows by their tables.
#[derive(Debug, Clone)]
pub struct Routed {
    /// Those of the pipeline's own table.
    pub own: Rows,
    /// Those of its routes' tables, in the order of the routes.
    pub others: Vec<Rows>,
    /// Where each row came from, once, however many tables it is in; absent where there are no routes.
    distinct: Option<Origins>,
}

/// Rows of a pipeline without routes.
impl From<Rows> for Routed {
    fn from(own: Rows) -> Self {
        Self { own, others: Vec::new(), distinct: None }
    }
}

impl Routed {
    /// Where the rows came from: each of them once, in their order.
    pub fn origins(&self) -> &Origins {
        self.distinct.as_ref().unwrap_or(&self.own.origins)
    }

    /// How many rows, each of them once.
    pub fn count(&self) -> usize {
        self.origins().ranges.len()
    }

    /// Leaves rows out of all tables, by their numbers among those of [`Routed::origins`].
    pub fn leave_out(&mut self, out: &[usize]) -> Result<(), ArrowError> {
        let Some(distinct) = &mut self.distinct else { return self.own.leave_out(out) };
        let known = out.iter().map(|row| distinct.key(*row)).collect();
        leave_out(std::iter::once(&mut self.own).chain(&mut self.others), &known)?;
        leave_out_of(distinct, out);
        Ok(())
    }

    /// Leaves rows out of the tables that have them, as `is_there` says by the number of a table. A row that
    /// is in a table to which it does not go now went elsewhere before: it is left out of all.
    pub fn leave_out_there(
        &mut self,
        is_there: impl Fn(usize, &RowKey) -> bool,
    ) -> Result<(), ArrowError> {
        let goes: Vec<BTreeSet<RowKey>> = self.tables().map(|rows| keys(&rows.origins)).collect();
        let is_done = |key: &RowKey| {
            let (mut has, mut lacks) = (false, false);
            for (table, goes) in goes.iter().enumerate() {
                match (goes.contains(key), is_there(table, key)) {
                    (true, true) => has = true,
                    (true, false) => lacks = true,
                    (false, true) => return true,
                    (false, false) => {}
                }
            }
            has && !lacks
        };
        let rows = 0..self.count();
        let done: Vec<usize> = rows.filter(|row| is_done(&self.origins().key(*row))).collect();
        self.leave_out(&done)?;
        for (table, rows) in std::iter::once(&mut self.own).chain(&mut self.others).enumerate() {
            rows.leave_out_where(|key| is_there(table, key))?;
        }
        Ok(())
    }

    /// The rows of each table: of the pipeline's own, then of its routes' in their order.
    pub fn tables(&self) -> impl Iterator<Item = &Rows> {
        std::iter::once(&self.own).chain(&self.others)
    }

    /// As [`Routed::tables`].
    pub fn into_tables(self) -> impl Iterator<Item = Rows> {
        std::iter::once(self.own).chain(self.others)
    }
}

impl Router {
    /// Fits a chain's output to the tables of a sink. `unknown` are the columns of provenance that rows of
    /// this source have no value for.
    pub fn new(sink: &Sink, output: &[Field], unknown: &[&str]) -> Result<Self, Unroutable> {
        let fit = |table: &TableName, schema: &TableSchema| {
            Projection::new(schema, output, unknown)
                .map_err(|misfits| Unroutable::Misfit { table: table.clone(), misfits })
        };
        let way = |route: &Route| {
            let met = route.condition.bind(output).map_err(|source| Unroutable::Condition {
                table: route.table.clone(),
                condition: route.condition.to_string(),
                source: Box::new(source),
            })?;
            Ok(Way { met, copy: route.copy, to: fit(&route.table, &route.schema)? })
        };
        Ok(Self {
            own: fit(&sink.table, &sink.schema)?,
            routes: sink.routes.iter().map(way).collect::<Result<_, _>>()?,
            unrouted: sink.unrouted,
        })
    }

    /// Makes rows of a batch. With them come those that are refused.
    pub fn rows(
        &self,
        batch: Batch,
        plugin_set: &Digest,
    ) -> Result<(Routed, Vec<Refused>), ArrowError> {
        if self.routes.is_empty() {
            let (own, refused) = self.own.rows(batch, plugin_set)?;
            return Ok((own.into(), refused));
        }
        let rows = batch.rows();
        let Split { own, others, nowhere } = self.split(&batch)?;
        let by = Rejector::host(stage::SINK, plugin_set, batch.ingest_time);
        let mut refused: Vec<Refused> = (0..rows)
            .filter(|row| nowhere[*row])
            .map(|row| batch.origins.reject(row, &by, no_route()))
            .collect();
        let mut distinct = batch.origins.clone();
        let part = |projection: &Projection, goes: Vec<bool>| {
            let goes = BooleanArray::new(BooleanBuffer::from(goes), None);
            projection.rows(batch.clone().keep(&goes)?, plugin_set)
        };
        let (mut own, mut lacking) = part(&self.own, own)?;
        let mut known: BTreeSet<RowKey> = lacking.iter().map(Rejected::key).collect();
        let mut made = Vec::with_capacity(others.len());
        for (way, goes) in self.routes.iter().zip(others) {
            let (rows, lack) = part(&way.to, goes)?;
            made.push(rows);
            // Refused once, however many tables lack something; each delivery of a message by itself.
            lacking.extend(lack.iter().filter(|row| !known.contains(&row.key())).cloned());
            known.extend(lack.iter().map(Rejected::key));
        }
        if !lacking.is_empty() {
            // A row that one table can't take is taken out of the others.
            leave_out(std::iter::once(&mut own).chain(&mut made), &known)?;
            refused.extend(lacking);
        }
        if !refused.is_empty() {
            let known = refused.iter().map(Rejected::key).collect();
            let out = those_of(&distinct, &known);
            leave_out_of(&mut distinct, &out);
        }
        Ok((Routed { own, others: made, distinct: Some(distinct) }, refused))
    }

    /// Which rows go to which table.
    fn split(&self, batch: &Batch) -> Result<Split, ArrowError> {
        let rows = batch.rows();
        // Those that no route but one of copies has taken.
        let mut left = vec![true; rows];
        let mut taken = vec![false; rows];
        let mut others = Vec::with_capacity(self.routes.len());
        for way in &self.routes {
            // A chain ends early where no row is left: the columns are those of some stage.
            if rows == 0 {
                others.push(Vec::new());
                continue;
            }
            let met = way.met.met(&batch.columns)?;
            let goes: Vec<bool> = (0..rows).map(|row| left[row] && met.value(row)).collect();
            for row in (0..rows).filter(|row| goes[*row]) {
                taken[row] = true;
                left[row] = way.copy;
            }
            others.push(goes);
        }
        let (own, nowhere) = match self.unrouted {
            Unrouted::Table => (left, vec![false; rows]),
            Unrouted::Reject => (vec![false; rows], taken.iter().map(|taken| !taken).collect()),
        };
        Ok(Split { own, others, nowhere })
    }
}

/// For each row whether it goes to a table.
struct Split {
    own: Vec<bool>,
    others: Vec<Vec<bool>>,
    nowhere: Vec<bool>,
}

/// Leaves these rows out of tables.
fn leave_out<'a>(
    tables: impl Iterator<Item = &'a mut Rows>,
    known: &BTreeSet<RowKey>,
) -> Result<(), ArrowError> {
    for rows in tables {
        rows.leave_out_where(|key| known.contains(key))?;
    }
    Ok(())
}

/// Leaves rows out, by number.
fn leave_out_of(origins: &mut Origins, out: &[usize]) {
    let mut keep = vec![true; origins.ranges.len()];
    for row in out {
        keep[*row] = false;
    }
    origins.keep(&BooleanArray::new(BooleanBuffer::from(keep), None));
}

/// What tells rows of one source from each other.
fn keys(origins: &Origins) -> BTreeSet<RowKey> {
    (0..origins.ranges.len()).map(|row| origins.key(row)).collect()
}

/// The numbers of the rows that are among these.
fn those_of(origins: &Origins, known: &BTreeSet<RowKey>) -> Vec<usize> {
    (0..origins.ranges.len()).filter(|row| known.contains(&origins.key(*row))).collect()
}

fn no_route() -> Reason {
    Reason {
        code: NO_ROUTE.to_owned(),
        message: "it meets the condition of no `[[sink.route]]`, and `sink.unrouted` is `reject`"
            .to_owned(),
        column: None,
    }
}

#[cfg(test)]
mod tests;
