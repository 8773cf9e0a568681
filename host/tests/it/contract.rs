//! The contract's text and its version go together.

use crate::support::root;

/// Digests of the contract's text by version. A change of the text adds a line here, with the new
/// version; a line once written stays.
const VERSIONS: [(&str, &str); 1] =
    [("0.1.0", "789e3c8ccbeb85db80b63f52bbe5135b0168c418fa0b6da0c3ec87b4eeec0c59")];

#[test]
fn changing_the_contract_changes_its_version() {
    let text = std::fs::read_to_string(root().join("wit/plugin.wit")).unwrap();
    let line = text.lines().find(|line| line.starts_with("package ")).unwrap();
    let version = line.trim_start_matches("package clickmill:plugin@").trim_end_matches(';');
    let (_, digest) =
        VERSIONS.iter().find(|(known, _)| *known == version).expect("a known version");
    let got = blake3::hash(text.as_bytes()).to_hex();
    assert_eq!(got.as_str(), *digest, "wit/plugin.wit changed: give it a new version");
    assert_eq!(clickmill_sandbox::CONTRACT, format!("clickmill:plugin@{version}"));
}
