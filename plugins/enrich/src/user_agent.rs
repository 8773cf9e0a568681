//! Device, browser and operating system, from a user agent column.
//!
//! In: a text column. Out, each optional: the kind of device, the browser family, the operating system
//! family, and whether it is a bot. A null user agent gives nulls.
//!
//! [`words`] reads a user agent; here that is done once per distinct one of the batch.

mod bots;
mod devices;
mod families;
#[cfg(test)]
mod tests;
mod words;

use clickmill_plugin::{Batch, Column, DataType, Fault, Values};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Answer;
use crate::columns::{Distinct, column, distinct, gather, text};
use crate::plan::{Plan, output};
use words::Agent;

/// What to tell from a user agent. An output set to null or "" is left out.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The text column of user agents.
    #[serde(default = "default_column")]
    column: String,
    /// The text column to write the kind of device to: desktop, mobile, tablet, tv, console, headset, bot
    /// or other. (An iPad that asks for desktop pages says that it is a Mac, and counts as desktop.)
    #[serde(default = "default_device")]
    device: Option<String>,
    /// The text column to write the browser family to: Chrome, Edge, Safari, Samsung Internet … or
    /// other; for a bot or an app what it calls itself.
    #[serde(default = "default_browser")]
    browser: Option<String>,
    /// The text column to write the operating system family to: Windows, macOS, iOS, Android … or
    /// other.
    #[serde(default = "default_os")]
    os: Option<String>,
    /// The boolean column to write to whether it is a bot: a crawler, monitor, script or library.
    #[serde(default = "default_is_bot")]
    is_bot: Option<String>,
}

fn default_column() -> String {
    "user_agent".to_owned()
}

fn default_device() -> Option<String> {
    Some("device".to_owned())
}

fn default_browser() -> Option<String> {
    Some("browser".to_owned())
}

fn default_os() -> Option<String> {
    Some("os".to_owned())
}

fn default_is_bot() -> Option<String> {
    Some("is_bot".to_owned())
}

/// The enrichment, ready.
#[derive(Serialize, Deserialize)]
pub(crate) struct UserAgent {
    column: String,
    device: Option<String>,
    browser: Option<String>,
    os: Option<String>,
    is_bot: Option<String>,
}

impl UserAgent {
    pub(crate) fn configure(config: Config, plan: &mut Plan<'_>) -> Option<Self> {
        let this = Self {
            column: config.column,
            device: output(config.device),
            browser: output(config.browser),
            os: output(config.os),
            is_bot: output(config.is_bot),
        };
        plan.read("user_agent.column", &this.column, &[DataType::Text]);
        let outputs = [
            ("user_agent.device", &this.device, DataType::Text),
            ("user_agent.browser", &this.browser, DataType::Text),
            ("user_agent.os", &this.os, DataType::Text),
            ("user_agent.is_bot", &this.is_bot, DataType::Boolean),
        ];
        if outputs.iter().all(|(_, name, _)| name.is_none()) {
            plan.problem("user_agent", "no output: set `device`, `browser`, `os` or `is_bot`");
        }
        for (path, name, data_type) in outputs {
            if let Some(name) = name {
                plan.write(path, name, data_type);
            }
        }
        Some(this)
    }

    pub(crate) fn enrich(&self, batch: &Batch, answer: &mut Answer) -> Result<(), Fault> {
        let column = column(batch, &self.column)?;
        let text = text(column)?;
        let Distinct { ids, first, .. } = distinct(column, text);
        let agents: Vec<Agent<'_>> = first.iter().map(|row| Agent::parse(text.get(*row))).collect();
        let texts = |name: &Option<String>, texts: &mut dyn Iterator<Item = &[u8]>| {
            let Some(name) = name else { return Ok(None) };
            let values: Vec<Option<&[u8]>> = std::iter::once(None).chain(texts.map(Some)).collect();
            gather(name, &ids, &values).map(Some)
        };
        let outputs = [
            texts(&self.device, &mut agents.iter().map(|agent| agent.device.as_bytes()))?,
            texts(&self.browser, &mut agents.iter().map(|agent| agent.browser))?,
            texts(&self.os, &mut agents.iter().map(|agent| agent.os.as_bytes()))?,
        ];
        answer.columns.extend(outputs.into_iter().flatten());
        if let Some(name) = &self.is_bot {
            let bots: Vec<u8> = std::iter::once(0)
                .chain(agents.iter().map(|agent| u8::from(agent.is_bot)))
                .collect();
            let bots = Values::Booleans(ids.iter().map(|id| bots[*id as usize]).collect());
            answer.add(Column::new(name, bots, column.validity.clone()));
        }
        Ok(())
    }
}
