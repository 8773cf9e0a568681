//! Values behind any blank and within any sign, and what is written around them.

use serde_json::Value;

use super::{EVERY_KIND, check_clean, clean_of};
use crate::config::Kind;

#[test]
fn private_keys_of_other_tools_are_found_whole() {
    let key = "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L".repeat(2);
    for begin in ["AGE-SECRET-KEY-1", "AGE-SECRET-KEY-PQ-1"] {
        let text = format!("# a comment\n{begin}{}\n", &key[..58]);
        assert_eq!(clean_of(&[Kind::ApiKey], &text), "# a comment\n[api_key]\n");
    }
    for end in ["\r\n", "\n", r"\r\n"] {
        let file = format!(
            "PuTTY-User-Key-File-3: ssh-ed25519{end}Encryption: none{end}Public-Lines: 1{end}\
             AAAAC3Nza{end}Private-Lines: 1{end}AAAAIGq/x+={end}Private-MAC: 0123abcd"
        );
        let text = format!("a {file}{end}b");
        assert_eq!(clean_of(&[Kind::ApiKey], &text), format!("a [api_key]{end}b"));
    }
}

#[test]
fn a_text_of_json_alone_stays_one() {
    for text in [
        "\"<password>x 1\"",
        "\"password: a\\\"b\"",
        "\"+48 601 234 567\"",
        "\"4111111111111111\"",
    ] {
        let cleaned = clean_of(EVERY_KIND, text);
        assert_ne!(cleaned, text);
        assert!(
            serde_json::from_str::<Value>(&cleaned).is_ok_and(|json| json.is_string()),
            "{cleaned}"
        );
    }
    check_clean(&[("\"a@b.de\", \"c@d.de\"", "\"[email]\", \"[email]\"")]);
    assert_eq!(clean_of(&[Kind::Card], "4111111111111111"), "[card]");
}
