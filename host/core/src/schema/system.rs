//! The tables that clickmill keeps beside a pipeline's own, each described by files of `schemas/`.

use std::path::Path;

use super::{SchemaError, TableSchema};

/// A table of clickmill's own.
#[derive(Debug, Clone, Copy)]
pub struct SystemTable {
    /// Its name in its dataset, and that of its files in `schemas/`.
    pub name: &'static str,
    columns: &'static str,
    options: &'static str,
}

/// Which objects are loaded.
pub const LEDGER: SystemTable = SystemTable {
    name: "load_ledger",
    columns: include_str!("../../../../schemas/load_ledger.json"),
    options: include_str!("../../../../schemas/load_ledger.table.json"),
};
/// Which objects could not be loaded, and why.
pub const LOAD_FAILURES: SystemTable = SystemTable {
    name: "load_failures",
    columns: include_str!("../../../../schemas/load_failures.json"),
    options: include_str!("../../../../schemas/load_failures.table.json"),
};
/// What each plugin set was made of.
pub const PLUGIN_SETS: SystemTable = SystemTable {
    name: "plugin_sets",
    columns: include_str!("../../../../schemas/plugin_sets.json"),
    options: include_str!("../../../../schemas/plugin_sets.table.json"),
};
/// What became of dead letters that were replayed.
pub const DEAD_LETTER_ATTEMPTS: SystemTable = SystemTable {
    name: "dead_letter_attempts",
    columns: include_str!("../../../../schemas/dead_letter_attempts.json"),
    options: include_str!("../../../../schemas/dead_letter_attempts.table.json"),
};
/// Who changed what.
pub const AUDIT_LOG: SystemTable = SystemTable {
    name: "audit_log",
    columns: include_str!("../../../../schemas/audit_log.json"),
    options: include_str!("../../../../schemas/audit_log.table.json"),
};

/// All of them.
pub const ALL: [SystemTable; 5] =
    [LEDGER, LOAD_FAILURES, PLUGIN_SETS, DEAD_LETTER_ATTEMPTS, AUDIT_LOG];

impl SystemTable {
    /// Its columns and options.
    pub fn schema(&self) -> Result<TableSchema, SchemaError> {
        let file = |ending: &str| format!("schemas/{}.{ending}", self.name);
        let schema = TableSchema::parse(self.columns, Path::new(&file("json")))?;
        schema.with_options(self.options, Path::new(&file("table.json")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_what_its_files_say() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for table in ALL {
            let schema = table.schema().expect("a schema");
            let read = TableSchema::read(&folder.join(&schema.path)).expect("its file");
            assert_eq!((schema.columns, schema.options), (read.columns, read.options));
        }
    }
}
