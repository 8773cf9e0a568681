//! What a registry holds: a component for the verbs that want one, and what is beside it, shown by
//! `plugin inspect`.

use std::path::Path;

use serde_json::{Value as Json, json};

use super::registry;
use crate::Failure;
use clickmill_core::indented;
use clickmill_core::oci::Reference;
use clickmill_registry::Pulled;
use clickmill_sandbox::Golden;
use clickmill_sandbox::signature::{self, Signed};

/// The reference that a path is; `None` where it is none.
pub(super) fn reference(given: &Path) -> Result<Option<Reference>, Failure> {
    match given.to_str().filter(|text| Reference::is_meant(text)) {
        Some(text) => Ok(Some(text.parse()?)),
        None => Ok(None),
    }
}

/// What a path names that is a reference; `None` where it is none.
pub(super) fn pulled(given: &Path, max_bytes: usize) -> Result<Option<Pulled>, Failure> {
    let Some(reference) = reference(given)? else { return Ok(None) };
    registry::pulled(&reference, max_bytes).map(Some)
}

/// What came with a component.
pub(super) struct Pushed {
    reference: String,
    /// What its signature says, and why that says nothing. Nobody has checked it: there is no key here.
    signed: Option<Result<Signed, String>>,
    /// Files of golden cases, each with how many there are.
    cases: Vec<(String, usize)>,
    files: Vec<String>,
    /// Its README.
    pub readme: Option<String>,
}

impl Pushed {
    /// Reads what was pulled.
    pub(super) fn read(pulled: &Pulled) -> Result<Self, Failure> {
        let cases = Golden::beside(&pulled.folder)?;
        let signed = pulled.signature.as_ref();
        let signed = signed.map(|text| signature::claimed(text).map_err(|error| error.to_string()));
        let readme = pulled.folder.join("README.md");
        Ok(Self {
            reference: pulled.reference.to_string(),
            signed,
            cases: cases.iter().map(|golden| (golden.file.clone(), golden.cases())).collect(),
            files: pulled.files.clone(),
            readme: std::fs::read_to_string(readme).ok(),
        })
    }

    pub(super) fn json(&self) -> Json {
        let signed = self.signed.as_ref().map(|signed| match signed {
            Ok(signed) => json!({ "key_id": signed.key_id, "comment": signed.comment }),
            Err(error) => json!({ "error": error }),
        });
        let cases = self.cases.iter().map(|(file, count)| json!({ "file": file, "cases": count }));
        json!({
            "reference": self.reference,
            "signature": signed,
            "golden_cases": cases.collect::<Vec<_>>(),
            "files": self.files,
            "readme": self.readme,
        })
    }

    pub(super) fn print(&self) {
        println!("reference {}", self.reference);
        match &self.signed {
            None => println!("signed    no"),
            Some(Ok(Signed { key_id, comment })) => {
                println!("signed    by key {key_id}, not checked: {}", indented(comment));
            }
            Some(Err(error)) => println!("signed    no: {error}"),
        }
        for (file, count) in &self.cases {
            println!("cases     {count} in tests/{}", indented(file));
        }
    }
}
