//! Where good rows and dead letters go: the tables that a pipeline names, on a disk, in Cloud Storage or
//! in BigQuery. [`Tables`] opens them; how they are used is [`TableStore`]'s. What is the same wherever
//! the tables are is here: dead letters, read back by SQL.

mod condition;
mod letters;

use std::ops::Deref;
use std::sync::Arc;

use clickmill_bigquery::BigQuery;
use clickmill_config::Place;
pub use clickmill_tables::{
    Appended, Appender, Begun, Claim, Load, TableError as SinkError, TableStore, Targets,
};
use clickmill_warehouse::Warehouse;

pub use condition::{ConditionError, check_condition};
pub use letters::{Key, Kinds, Lender, Letter, LetterError, Present, Record, Wanted};

/// What keeps tables. Copies are of the same.
#[derive(Debug, Clone)]
pub struct Tables(Arc<dyn TableStore>);

impl Tables {
    /// What a pipeline names. Nothing is asked of it yet.
    pub async fn open(place: &Place, warehouse: &str) -> Result<Self, SinkError> {
        Ok(match place {
            Place::Warehouse => Self::of(Warehouse::open(warehouse)?),
            Place::BigQuery(config) => Self::of(BigQuery::open(config).await?),
        })
    }

    /// What keeps them, whatever it is.
    pub fn of(store: impl TableStore + 'static) -> Self {
        Self(Arc::new(store))
    }
}

impl Deref for Tables {
    type Target = dyn TableStore;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}
