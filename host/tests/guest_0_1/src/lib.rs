//! A guest of contract 0.1: it reads `payload` and writes it into `before` with its length. A payload of no
//! bytes is null and counted as unreadable, by the line of the log that contract 0.1 has for it.

/// The contract as it was.
#[allow(missing_docs, reason = "it is generated")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit/deps/clickmill-plugin-0.1.0",
        world: "plugin",
    });
}

use bindings::Guest;
use bindings::clickmill::plugin::log::{Level, write};
use bindings::clickmill::plugin::types::{
    Batch, Column, ColumnSpec, DataType, Fault, Manifest, Needs, Output, Text, Values,
};

/// Makes the component. Natively there is nothing to export.
#[cfg(target_family = "wasm")]
#[allow(unsafe_code, reason = "the host calls an export by its name")]
const _: () = {
    bindings::export!(Before with_types_in bindings);
};

/// The guest.
pub struct Before;

impl Guest for Before {
    fn describe() -> Manifest {
        Manifest {
            name: "guest-0-1".to_owned(),
            version: "0.1.0".to_owned(),
            description: "speaks contract 0.1".to_owned(),
            config_schema: "{}".to_owned(),
            secrets: Vec::new(),
        }
    }

    fn configure(_config: String, available: Vec<ColumnSpec>) -> Result<Needs, Vec<String>> {
        let spec = |name: &str, data_type| ColumnSpec { name: name.to_owned(), data_type };
        if !available.iter().any(|column| column.name == "payload") {
            return Err(vec!["there is no `payload`".to_owned()]);
        }
        Ok(Needs {
            reads: vec![spec("payload", DataType::Text)],
            writes: vec![spec("before", DataType::Text), spec("bytes", DataType::Int64)],
            lookups: Vec::new(),
        })
    }

    fn process(_config: String, batch: Batch) -> Result<Output, Fault> {
        let fault = |message: &str| Fault { message: message.to_owned() };
        let [Column { values: Values::Texts(text), validity, .. }] = &batch.columns[..] else {
            return Err(fault("`payload` is not the one column that it was given"));
        };
        let lengths = text.offsets.windows(2).map(|pair| i64::from(pair[1] - pair[0]));
        let lengths: Vec<i64> = lengths.collect();
        let mut bits = vec![0; lengths.len().div_ceil(8)];
        for (row, _) in lengths.iter().enumerate().filter(|(_, length)| **length > 0) {
            bits[row / 8] |= 1 << (row % 8);
        }
        let empty = lengths.iter().filter(|length| **length == 0).count();
        if empty > 0 {
            write(Level::Info, &format!("unreadable {empty} bytes"));
        }
        let text = Text { offsets: text.offsets.clone(), bytes: text.bytes.clone() };
        let column = |name: &str, values, validity| {
            let name = name.to_owned();
            Column { name, values, validity }
        };
        let columns = vec![
            column("before", Values::Texts(text), validity.clone()),
            column("bytes", Values::Int64s(lengths), Some(bits)),
        ];
        Ok(Output { columns, rejections: Vec::new(), dropped: Vec::new() })
    }
}
