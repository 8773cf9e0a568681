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

    /// Secrets this plugin wants; each arrives as a string field of that name in the configuration. Where the plugin is only asked or tried it is a made-up one, 64 hexadecimal digits.
    const SECRETS: &'static [Secret] = &[];

    /// Checks the configuration against the columns `available` to the plugin and gets ready. Called at
    /// start, and again for each fresh instance: keep it cheap.
    fn configure(config: Self::Config, available: &[ColumnSpec]) -> Result<Self, Problems>;

    /// What it reads, writes and looks up, as configured.
    fn needs(&self) -> Needs;

    /// What took time to get ready, in a form of the plugin's own: the host keeps it, and a fresh instance
    /// begins with [`Plugin::restore`] in place of [`Plugin::configure`]. The secrets are made up here, so
    /// none may go in. Empty, as it is unless the plugin says otherwise: there is nothing, and each instance
    /// is configured.
    fn prepare(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Gets ready from what [`Plugin::prepare`] gave. `config` is the configuration's JSON, for what is not
    /// in there: the secrets. `available` are the columns of the batch.
    fn restore(
        _config: &str,
        _prepared: &[u8],
        _available: &[ColumnSpec],
    ) -> Result<Self, Problems> {
        Err(vec!["what was prepared cannot be restored".to_owned()])
    }

    /// Whether its `process` takes text that comes as a dictionary. Where not, it becomes plain text before.
    const DICTIONARIES: bool = false;

    /// Transforms one batch. A [`Fault`] says that it could not be worked on at all: the host then
    /// splits it to find the guilty rows. Rows are refused in [`Output::rejections`].
    fn process(&self, batch: Batch) -> Result<Output, Fault>;
}

/// A secret that a plugin wants.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Secret {
    pub(crate) name: &'static str,
    min_bytes: u32,
}

impl Secret {
    /// A secret of 16 bytes at least.
    pub const fn new(name: &'static str) -> Self {
        Self { name, min_bytes: 16 }
    }

    /// A secret of so many bytes at least. The host refuses fewer than 16 whatever this says.
    pub const fn at_least(self, min_bytes: u32) -> Self {
        Self { min_bytes, ..self }
    }
}

impl Needs {
    /// Nothing yet.
    pub fn new() -> Self {
        let (reads, writes, lookups) = (Vec::new(), Vec::new(), Vec::new());
        Self { reads, writes, lookups, multiplies: false }
    }

    /// Adds a column to read, by its path: `country`, `items.price`. A record brings all its fields.
    pub fn reads(mut self, path: impl Into<String>, data_type: DataType) -> Self {
        self.reads.push(spec(path, data_type, false));
        self
    }

    /// Adds a column of lists to read.
    pub fn reads_list(mut self, path: impl Into<String>, data_type: DataType) -> Self {
        self.reads.push(spec(path, data_type, true));
        self
    }

    /// Adds a column to write, by its path. A record is followed by its fields, each by its path.
    pub fn writes(mut self, path: impl Into<String>, data_type: DataType) -> Self {
        self.writes.push(spec(path, data_type, false));
        self
    }

    /// Adds a column of lists to write.
    pub fn writes_list(mut self, path: impl Into<String>, data_type: DataType) -> Self {
        self.writes.push(spec(path, data_type, true));
        self
    }

    /// Adds a lookup table.
    pub fn lookup(mut self, table: impl Into<String>) -> Self {
        self.lookups.push(table.into());
        self
    }

    /// Says that one row may become several.
    pub fn multiplies(mut self) -> Self {
        self.multiplies = true;
        self
    }
}

impl ColumnSpec {
    /// The record that it is a field of: `None` for a column of the batch itself.
    pub fn record(&self) -> Option<&str> {
        self.path.rsplit_once('.').map(|(record, _)| record)
    }

    /// The innermost list that its values lie in, itself where it is repeated: `None` where there is one
    /// value per row. `available` are the columns that it is one of.
    pub fn list<'a>(&'a self, available: &[ColumnSpec]) -> Option<&'a str> {
        let mut path = self.path.as_str();
        loop {
            if available.iter().any(|spec| spec.path == path && spec.repeated) {
                return Some(path);
            }
            path = path.rsplit_once('.')?.0;
        }
    }
}

/// Whether a path is another, or leads below it: `items.price` is within `items`.
pub fn is_within(path: &str, record: &str) -> bool {
    let rest = path.strip_prefix(record);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn spec(path: impl Into<String>, data_type: DataType, repeated: bool) -> ColumnSpec {
    ColumnSpec { path: path.into(), data_type, repeated }
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

    use super::{Batch, ColumnSpec, Fault, Output, Plugin};
    use crate::bindings::clickmill::plugin::types::{Configured, Manifest, Secret};

    /// Answers `describe`.
    pub fn describe<P: Plugin>(name: &str, version: &str, description: &str) -> Manifest {
        Manifest {
            name: name.to_owned(),
            version: version.to_owned(),
            description: description.to_owned(),
            config_schema: schemars::schema_for!(P::Config).as_value().to_string(),
            secrets: P::SECRETS
                .iter()
                .map(|secret| Secret { name: secret.name.to_owned(), min_bytes: secret.min_bytes })
                .collect(),
        }
    }

    /// Answers `configure`.
    pub fn configure<P: Plugin>(
        config: &str,
        available: &[ColumnSpec],
    ) -> Result<Configured, Vec<String>> {
        tell_panics();
        let plugin = build::<P>(config, available)?;
        Ok(Configured { needs: plugin.needs(), prepared: plugin.prepare() })
    }

    /// Answers `process`.
    pub fn process<P: Plugin>(
        config: &str,
        prepared: &[u8],
        mut batch: Batch,
    ) -> Result<Output, Fault> {
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
                let plugin = if prepared.is_empty() {
                    build::<P>(config, &batch.specs())
                } else {
                    P::restore(config, prepared, &batch.specs())
                };
                let plugin = plugin.map_err(|problems| Fault { message: problems.join("; ") })?;
                let plugin = Rc::new(plugin);
                READY.set(Some((config.to_owned(), plugin.clone())));
                plugin
            }
        };
        if !P::DICTIONARIES {
            batch.columns.iter_mut().for_each(crate::Column::make_plain);
        }
        plugin.process(batch)
    }

    fn build<P: Plugin>(config: &str, available: &[ColumnSpec]) -> Result<P, Vec<String>> {
        let config = serde_json::from_str(config).map_err(|error| vec![without_place(&error)])?;
        P::configure(config, available)
    }

    /// What is wrong with a configuration, without its place in a text that the host has made of it, and nobody else has.
    fn without_place(error: &serde_json::Error) -> String {
        let told = error.to_string();
        let place = format!(" at line {} column {}", error.line(), error.column());
        told.strip_suffix(&place).unwrap_or(&told).to_owned()
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
