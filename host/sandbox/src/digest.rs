//! The digest of a plugin set: what makes a row what it is, in a form that is fixed here and depends on
//! no library's way of printing.
//!
//! It is the first 32 hexadecimal digits of BLAKE3 over:
//!
//! - a byte `1`, the version of this form;
//! - the number of stages, then each stage's fields in this order: its name, the digest of its component,
//!   its configuration, the columns it may read, the columns it may write, the variables of its secrets,
//!   its lookup tables, its limits, how long an instance lives.
//!
//! A text is its length in bytes, as 8 bytes with the lowest first, and its bytes. A list is the number of
//! its items, as 8 bytes, and the items. Configurations are JSON without spaces whose keys are sorted.
//!
//! What a component says of itself is not hashed, since the component is. Nor is a signature: it says who
//! vouches for a component, and changes no row.

use serde_json::{Map, Number, Value as Json};

use super::lookup::Format;
use super::set::{LookupMade, PluginSet, StageMade};
use clickmill_config::{Grant, InstanceLife, Limits};
use clickmill_core::Digest;

/// The version of what is hashed.
const VERSION: u8 = 1;

/// The digest of a set of these stages.
pub(super) fn digest(stages: &[StageMade]) -> Digest {
    let mut form = Form::default();
    form.0.update(&[VERSION]);
    form.count(stages.len());
    for stage in stages {
        form.stage(stage);
    }
    form.digest()
}

impl PluginSet {
    /// Whether it is what its digest says, in this form or the one before digests had a version.
    pub fn is_whole(&self) -> bool {
        digest(&self.stages) == self.digest || self.digest_v0() == self.digest
    }

    /// The digest that the set had before digests had a version. It names no set any more, and is there
    /// to be compared with what an earlier version of clickmill left in a pipeline's state.
    pub fn digest_v0(&self) -> Digest {
        let mut form = Form::default();
        for stage in &self.stages {
            form.text(&stage.stage);
            form.text(&stage.component);
            form.text(&json(&Json::Object(stage.config.clone())));
            form.text(&rights_v0(stage));
            let mut lookups = blake3::Hasher::new();
            for LookupMade { table, digest, .. } in &stage.lookups {
                lookups.update(table.as_bytes());
                // A malformed digest names no content: what comes of it equals nothing remembered.
                let content = blake3::Hash::from_hex(digest.as_str()).map_or([0; 32], Into::into);
                lookups.update(&content);
            }
            form.0.update(lookups.finalize().as_bytes());
        }
        form.digest()
    }
}

/// Grants and limits as `Debug` printed them in those versions.
fn rights_v0(stage: &StageMade) -> String {
    let grant = |grant: &Grant| match grant {
        Grant::All => "All".to_owned(),
        Grant::Only(columns) => format!("Only({columns:?})"),
    };
    let Limits {
        max_memory_bytes,
        max_fuel_per_record,
        max_fuel_per_kib: _,
        max_fuel_per_batch,
        max_call_secs: _,
        max_rows_per_record: _,
        max_output_bytes,
        max_message_bytes,
        max_log_lines,
    } = stage.limits;
    format!(
        "{} {} Limits {{ max_memory_bytes: {max_memory_bytes}, \
         max_fuel_per_record: {max_fuel_per_record}, max_fuel_per_batch: {max_fuel_per_batch}, \
         max_output_bytes: {max_output_bytes}, max_message_bytes: {max_message_bytes}, \
         max_log_lines: {max_log_lines} }}",
        grant(&stage.reads),
        grant(&stage.writes),
    )
}

/// What is hashed, as it is written.
#[derive(Default)]
struct Form(blake3::Hasher);

impl Form {
    fn count(&mut self, items: usize) {
        self.0.update(&(items as u64).to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.count(text.len());
        self.0.update(text.as_bytes());
    }

    /// Every field is named here, so that a new one does not compile until it has been decided whether it
    /// makes another set. Whatever is added must leave the digests of sets without it as they are.
    fn stage(&mut self, stage: &StageMade) {
        let StageMade {
            stage,
            plugin: _,
            version: _,
            contract: _,
            component,
            signature: _,
            config,
            reads,
            writes,
            secrets,
            lookups,
            limits,
            instance,
        } = stage;
        self.text(stage);
        self.text(component);
        self.text(&json(&Json::Object(config.clone())));
        self.grant(reads);
        self.grant(writes);
        self.count(secrets.len());
        for (secret, variable) in secrets {
            self.text(secret);
            self.text(variable);
        }
        self.count(lookups.len());
        for LookupMade { table, file, digest } in lookups {
            self.text(table);
            // The same bytes are another table in another format.
            self.text(Format::of(file.as_ref()).as_str());
            self.text(digest);
        }
        self.limits(*limits);
        self.text(match instance {
            InstanceLife::Fresh => "fresh",
            InstanceLife::Reuse => "reuse",
        });
    }

    fn grant(&mut self, grant: &Grant) {
        match grant {
            Grant::All => self.text("all"),
            Grant::Only(columns) => {
                self.text("only");
                self.count(columns.len());
                columns.iter().for_each(|column| self.text(column));
            }
        }
    }

    /// The words here are those of the form, whatever the fields are called.
    fn limits(&mut self, limits: Limits) {
        let Limits {
            max_memory_bytes,
            max_fuel_per_record,
            max_fuel_per_kib,
            max_fuel_per_batch,
            max_call_secs,
            max_rows_per_record,
            max_output_bytes,
            max_message_bytes,
            max_log_lines,
        } = limits;
        let mut limits = vec![
            ("max_memory_bytes", max_memory_bytes as u64),
            ("max_fuel_per_record", max_fuel_per_record),
            ("max_fuel_per_batch", max_fuel_per_batch),
            ("max_output_bytes", max_output_bytes as u64),
            ("max_message_bytes", max_message_bytes as u64),
            ("max_log_lines", max_log_lines as u64),
        ];
        // Limits that came after the form: sets that leave them as they are keep their digest.
        if max_call_secs != Limits::default().max_call_secs {
            limits.push(("max_call_secs", max_call_secs));
        }
        if max_rows_per_record != Limits::default().max_rows_per_record {
            limits.push(("max_rows_per_record", max_rows_per_record.into()));
        }
        if max_fuel_per_kib != Limits::default().max_fuel_per_kib {
            limits.push(("max_fuel_per_kib", max_fuel_per_kib));
        }
        self.count(limits.len());
        for (name, limit) in limits {
            self.text(name);
            self.text(&limit.to_string());
        }
    }

    fn digest(&self) -> Digest {
        Digest::from(self.0.finalize()).short()
    }
}

/// JSON without spaces, keys sorted, numbers by their value: the same text whatever features of
/// `serde_json` some other crate turns on.
fn json(value: &Json) -> String {
    match value {
        Json::Array(items) => {
            let items: Vec<String> = items.iter().map(json).collect();
            format!("[{}]", items.join(","))
        }
        Json::Object(members) => object(members),
        Json::Number(number) => self::number(number),
        Json::Null | Json::Bool(_) | Json::String(_) => value.to_string(),
    }
}

fn object(members: &Map<String, Json>) -> String {
    let mut members: Vec<(&String, &Json)> = members.iter().collect();
    members.sort_by_key(|(key, _)| *key);
    let member =
        |(key, value): (&String, &Json)| format!("{}:{}", Json::String(key.clone()), json(value));
    let members: Vec<String> = members.into_iter().map(member).collect();
    format!("{{{}}}", members.join(","))
}

fn number(number: &Number) -> String {
    match (number.as_u64(), number.as_i64(), number.as_f64()) {
        (Some(number), _, _) => number.to_string(),
        (None, Some(number), _) => number.to_string(),
        (None, None, Some(float)) => Number::from_f64(float)
            .map_or_else(|| number.to_string(), |canonical| canonical.to_string()),
        (None, None, None) => number.to_string(),
    }
}

#[cfg(test)]
mod tests;
