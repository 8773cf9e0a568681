//! What `guest_0_1` does, by contract 0.2, in the same steps: what flat columns cost by both is compared.

/// The contract.
#[allow(missing_docs, clippy::too_many_arguments, reason = "it is generated")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit/plugin.wit",
        world: "plugin",
    });
}

use bindings::Guest;
use bindings::clickmill::plugin::log::unreadable;
use bindings::clickmill::plugin::types::{
    Batch, Column, ColumnSpec, Configured, DataType, Fault, Manifest, Needs, Output, Text, Values,
};

/// Makes the component. Natively there is nothing to export.
#[cfg(target_family = "wasm")]
#[allow(unsafe_code, reason = "the host calls an export by its name")]
const _: () = {
    bindings::export!(Now with_types_in bindings);
};

/// The guest.
pub struct Now;

impl Guest for Now {
    fn describe() -> Manifest {
        Manifest {
            name: "guest-0-2".to_owned(),
            version: "0.1.0".to_owned(),
            description: "speaks contract 0.2".to_owned(),
            config_schema: "{}".to_owned(),
            secrets: Vec::new(),
        }
    }

    fn configure(_config: String, available: Vec<ColumnSpec>) -> Result<Configured, Vec<String>> {
        let spec = |path: &str, data_type| ColumnSpec {
            path: path.to_owned(),
            data_type,
            repeated: false,
        };
        if !available.iter().any(|column| column.path == "payload") {
            return Err(vec!["there is no `payload`".to_owned()]);
        }
        let needs = Needs {
            reads: vec![spec("payload", DataType::Text)],
            writes: vec![spec("before", DataType::Text), spec("bytes", DataType::Int64)],
            lookups: Vec::new(),
            multiplies: false,
        };
        Ok(Configured { needs, prepared: Vec::new() })
    }

    fn process(_config: String, _prepared: Vec<u8>, batch: Batch) -> Result<Output, Fault> {
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
            unreadable("bytes", empty as u32);
        }
        let text = Text { offsets: text.offsets.clone(), bytes: text.bytes.clone() };
        let column = |name: &str, values, validity| {
            let name = name.to_owned();
            Column { name, parent: None, offsets: None, values, validity }
        };
        let columns = vec![
            column("before", Values::Texts(text), validity.clone()),
            column("bytes", Values::Int64s(lengths), Some(bits)),
        ];
        Ok(Output { came_from: None, columns, rejections: Vec::new(), dropped: Vec::new() })
    }
}
