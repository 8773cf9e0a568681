//! Enriches rows with what can be told from the row itself and from reference data: device and
//! browser from the user agent, page category and product from the url, the event's day, the
//! names behind codes, and sums and counts over lists.
//!
//! Each enrichment is optional, so the same plugin serves clicks and the shop file. Columns that are
//! not configured are neither read nor written. Nothing here cleans or checks what it does not need:
//! `mask` and `validate` do that.

mod columns;
mod date;
mod names;
mod plan;
mod totals;
mod url;
mod user_agent;

#[cfg(test)]
mod tests;

use clickmill_plugin::{
    Batch, Column, ColumnSpec, Fault, Needs, Output, Plugin, Problems, Rejection,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::plan::Plan;

/// What to add to each row.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Device, browser and operating system, from a user agent column.
    user_agent: Option<user_agent::Config>,
    /// Page category and product, from a url column.
    url: Option<url::Config>,
    /// The day of the event, from a timestamp or from year, month and day.
    event_date: Option<date::Config>,
    /// Codes to be replaced by names, or named beside, from lookup tables. In this order a row's
    /// first unknown code is the one it is refused for.
    #[serde(default)]
    names: Vec<names::Config>,
    /// Sums and counts over lists.
    #[serde(default)]
    totals: Vec<totals::Config>,
}

/// The plugin, ready for batches. As it is, `configure` hands it on to `process`: so an instance need not ask the
/// lookup tables again for their fields.
#[derive(Serialize, Deserialize)]
pub struct Enrich {
    user_agent: Option<user_agent::UserAgent>,
    url: Option<url::Url>,
    event_date: Option<date::EventDate>,
    names: Vec<names::Names>,
    totals: Vec<totals::Total>,
    /// Which `process` does not ask for.
    #[serde(skip)]
    needs: Needs,
}

impl Plugin for Enrich {
    type Config = Config;

    fn configure(config: Config, available: &[ColumnSpec]) -> Result<Self, Problems> {
        let mut plan = Plan::new(available);
        let user_agent = config
            .user_agent
            .and_then(|config| user_agent::UserAgent::configure(config, &mut plan));
        let url = config.url.and_then(|config| url::Url::configure(config, &mut plan));
        let event_date =
            config.event_date.and_then(|config| date::EventDate::configure(config, &mut plan));
        let names = config
            .names
            .into_iter()
            .enumerate()
            .filter_map(|(at, config)| names::Names::configure(config, at, &mut plan))
            .collect();
        let totals = config
            .totals
            .into_iter()
            .enumerate()
            .filter_map(|(at, config)| totals::Total::configure(config, at, &mut plan))
            .collect();
        Ok(Self { user_agent, url, event_date, names, totals, needs: plan.finish()? })
    }

    fn prepare(&self) -> Vec<u8> {
        postcard::to_allocvec(self).unwrap_or_default()
    }

    fn restore(_: &str, prepared: &[u8], _: &[ColumnSpec]) -> Result<Self, Problems> {
        postcard::from_bytes(prepared).map_err(|error| vec![error.to_string()])
    }

    fn needs(&self) -> Needs {
        self.needs.clone()
    }

    fn process(&self, mut batch: Batch) -> Result<Output, Fault> {
        let mut answer = Answer::default();
        if let Some(user_agent) = &self.user_agent {
            user_agent.enrich(&batch, &mut answer)?;
        }
        if let Some(event_date) = &self.event_date {
            event_date.enrich(&batch, &mut answer)?;
        }
        for names in &self.names {
            names.enrich(&batch, &mut answer)?;
        }
        for total in &self.totals {
            total.enrich(&batch, &mut answer)?;
        }
        // Last, because it may take the product column out of the batch instead of copying it.
        if let Some(url) = &self.url {
            url.enrich(&mut batch, &mut answer)?;
        }
        Ok(answer.into_output(&batch))
    }
}

clickmill_plugin::export!(Enrich);

/// The output in the making.
#[derive(Default)]
struct Answer {
    columns: Vec<Column>,
    rejections: Vec<Rejection>,
    /// Which rows are refused already: empty until the first is.
    refused: Vec<bool>,
}

impl Answer {
    fn add(&mut self, column: Column) {
        self.columns.push(column);
    }

    /// Refuses a row of a batch of `rows`, unless it is refused already: the first problem wins.
    fn refuse(&mut self, row: usize, rows: usize, code: &str, column: &str, message: String) {
        if self.refused.is_empty() {
            self.refused.resize(rows, false);
        }
        if !std::mem::replace(&mut self.refused[row], true) {
            self.rejections.push(Rejection {
                row: row as u32,
                code: code.to_owned(),
                message,
                column: Some(column.to_owned()),
            });
        }
    }

    /// The columns stand under their paths, which are their names here.
    fn into_output(self, batch: &Batch) -> Output {
        let mut output = Output::new(Vec::with_capacity(self.columns.len()));
        for mut column in self.columns {
            let path = std::mem::take(&mut column.name);
            output.put(&path, column, batch);
        }
        output.rejections = self.rejections;
        output
    }
}
