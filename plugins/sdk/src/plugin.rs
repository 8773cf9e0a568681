//! What a plugin is, and the glue between it and the exports of the component.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::{Batch, ColumnSpec, DataType, Fault, Needs, Output};

/// Everything that is wrong with a configuration, a line each.
pub type Problems = Vec<String>;

/// A plugin that works on whole columns. For one that works on rows see
/// [`RowPlugin`](crate::RowPlugin), which is enough for most.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a clickmill plugin",
    label = "implement `RowPlugin` (a function over one row) or `Plugin` (over columns) for it",
    note = "the crate documentation of `clickmill_plugin` shows a whole plugin"
)]
pub trait Plugin: Sized + 'static {
    /// What the pipeline file may set. Derive `serde::Deserialize` and `schemars::JsonSchema`, and
    /// give it `#[serde(deny_unknown_fields)]`, so that a typing error is found at the start.
    type Config: DeserializeOwned + JsonSchema;

    /// Secrets this plugin wants; each arrives as a string field of that name in the configuration, of 16
    /// bytes at least. Where the plugin is only asked or tried it is a made-up one, 64 hexadecimal digits.
    const SECRETS: &'static [&'static str] = &[];

    /// Checks the configuration against the columns `available` to the plugin and gets ready. Called at
    /// start, and again for each fresh instance: keep it cheap.
    fn configure(config: Self::Config, available: &[ColumnSpec]) -> Result<Self, Problems>;

    /// What it reads, writes and looks up, as configured.
    fn needs(&self) -> Needs;

    /// Transforms one batch. A [`Fault`] says that it could not be worked on at all: the host then
    /// splits it to find the guilty rows. Rows are refused in [`Output::rejections`].
    fn process(&self, batch: Batch) -> Result<Output, Fault>;
}

impl Needs {
    /// Nothing yet.
    pub fn new() -> Self {
        Self { reads: Vec::new(), writes: Vec::new(), lookups: Vec::new() }
    }

    /// Adds a column to read.
    pub fn reads(mut self, name: impl Into<String>, data_type: DataType) -> Self {
        self.reads.push(ColumnSpec { name: name.into(), data_type });
        self
    }

    /// Adds a column to write.
    pub fn writes(mut self, name: impl Into<String>, data_type: DataType) -> Self {
        self.writes.push(ColumnSpec { name: name.into(), data_type });
        self
    }

    /// Adds a lookup table.
    pub fn lookup(mut self, table: impl Into<String>) -> Self {
        self.lookups.push(table.into());
        self
    }
}

impl Default for Needs {
    fn default() -> Self {
        Self::new()
    }
}

/// Called by [`export!`](crate::export) and by [`testing`](crate::testing).
pub mod glue {
    use std::any::Any;
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::{Batch, ColumnSpec, Fault, Needs, Output, Plugin};
    use crate::Manifest;

    /// Answers `describe`.
    pub fn describe<P: Plugin>(name: &str, version: &str, description: &str) -> Manifest {
        Manifest {
            name: name.to_owned(),
            version: version.to_owned(),
            description: description.to_owned(),
            config_schema: schemars::schema_for!(P::Config).as_value().to_string(),
            secrets: P::SECRETS.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    /// Answers `configure`.
    pub fn configure<P: Plugin>(
        config: &str,
        available: &[ColumnSpec],
    ) -> Result<Needs, Vec<String>> {
        tell_panics();
        Ok(build::<P>(config, available)?.needs())
    }

    /// Answers `process`.
    pub fn process<P: Plugin>(config: &str, batch: Batch) -> Result<Output, Fault> {
        thread_local! {
            // An instance that the pipeline reuses is configured once.
            static READY: RefCell<Option<(String, Rc<dyn Any>)>> = const { RefCell::new(None) };
        }
        tell_panics();
        let ready = READY.with_borrow(|ready| match ready {
            Some((of, plugin)) if of == config => plugin.clone().downcast::<P>().ok(),
            _ => None,
        });
        let plugin = match ready {
            Some(plugin) => plugin,
            None => {
                let available: Vec<ColumnSpec> = batch.columns.iter().map(|c| c.spec()).collect();
                let plugin = build::<P>(config, &available)
                    .map_err(|problems| Fault { message: problems.join("; ") })?;
                let plugin = Rc::new(plugin);
                READY.set(Some((config.to_owned(), plugin.clone())));
                plugin
            }
        };
        plugin.process(batch)
    }

    fn build<P: Plugin>(config: &str, available: &[ColumnSpec]) -> Result<P, Vec<String>> {
        let config = serde_json::from_str(config).map_err(|error| vec![error.to_string()])?;
        P::configure(config, available)
    }

    /// A panic ends in a trap, which carries no text: the log line does.
    pub fn tell_panics() {
        #[cfg(target_family = "wasm")]
        {
            static ONCE: std::sync::Once = std::sync::Once::new();
            ONCE.call_once(|| {
                std::panic::set_hook(Box::new(|info| crate::error(&info.to_string())))
            });
        }
    }
}
