//! Values behind any blank and within any sign, and what is written around them.

use super::clean_of;
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
