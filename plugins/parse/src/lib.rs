//! The plugin `parse`: text in, typed columns out.
//!
//! Two formats come in: fields of a CSV, which the host has split into text columns named by the
//! header, and JSON messages, one object per row in one text column. The configuration lists the
//! columns to make of them. A row with a value that does not fit is refused, with the first problem
//! found in it; the codes are in `rejection` and do not change. A column that is not required may have
//! null in place of such a value, which is counted.
//!
//! This is the hot path of every pipeline, so both formats work on whole columns and allocate nothing
//! per row. It does not know what the values mean (that is `validate`'s part), and it does not split
//! CSV records (the host's).

mod config;
mod csv;
mod json;
mod number;
mod problems;
mod rejection;
#[cfg(test)]
mod tests;
mod time;
mod typed;
mod unpack;

use clickmill_plugin::{Batch, ColumnSpec, Fault, Needs, Output, Plugin, Problems};

pub use config::{
    ColumnConfig, ColumnType, Config, Duplicates, Entries, Format, Packing, Unknown, Unreadable,
};

/// The plugin, configured.
pub struct Parse {
    reader: Reader,
    /// The configuration as bytes, in which nothing is missing: to read them takes a sixth of what JSON takes.
    prepared: Vec<u8>,
}

enum Reader {
    Csv(csv::Csv),
    Json(json::Json),
}

impl Plugin for Parse {
    type Config = Config;

    fn configure(mut config: Config, available: &[ColumnSpec]) -> Result<Self, Problems> {
        let mut problems = config.problems();
        if config.format == Format::Csv {
            csv::check(&config, available, &mut problems);
        }
        for column in &mut config.columns {
            column.unreadable.get_or_insert(config.unreadable);
        }
        let prepared = postcard::to_allocvec(&config).map_err(|error| vec![error.to_string()])?;
        Self::ready(config, prepared, available, problems)
    }

    fn prepare(&self) -> Vec<u8> {
        self.prepared.clone()
    }

    fn restore(_config: &str, prepared: &[u8], available: &[ColumnSpec]) -> Result<Self, Problems> {
        let config = postcard::from_bytes(prepared).map_err(|error| vec![error.to_string()])?;
        Self::ready(config, Vec::new(), available, Problems::new())
    }

    fn needs(&self) -> Needs {
        match &self.reader {
            Reader::Csv(csv) => csv.needs(),
            Reader::Json(json) => json.needs(),
        }
    }

    fn process(&self, batch: Batch) -> Result<Output, Fault> {
        match &self.reader {
            Reader::Csv(csv) => csv.process(batch),
            Reader::Json(json) => json.process(&batch),
        }
    }
}

impl Parse {
    /// The plugin, where the columns that there are have no more problems.
    fn ready(
        config: Config,
        prepared: Vec<u8>,
        available: &[ColumnSpec],
        mut problems: Problems,
    ) -> Result<Self, Problems> {
        let reader = match config.format {
            Format::Csv => Reader::Csv(csv::Csv::new(config, available)),
            Format::Json => Reader::Json(json::Json::new(config, available, &mut problems)),
        };
        if problems.is_empty() { Ok(Self { reader, prepared }) } else { Err(problems) }
    }
}

clickmill_plugin::export!(Parse);
