//! The plugin of a test that edits it while it runs: `WORD` is replaced.

use clickmill_plugin::prelude::*;

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Config {}

struct Shout;

impl RowPlugin for Shout {
    type Config = Config;

    fn configure(_config: Config, _available: &[ColumnSpec]) -> Result<Self, Problems> {
        Ok(Self)
    }

    fn needs(&self) -> Needs {
        Needs::new().reads("payload", DataType::Text).writes("out", DataType::Text)
    }

    fn row(&self, row: &mut Row<'_>) -> Result<(), Refusal> {
        row.set("out", "WORD");
        Ok(())
    }
}

clickmill_plugin::export!(Shout);
