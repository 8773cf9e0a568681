//! Ids as they are given on the command line: hexadecimal digits, of which the first will do.

use super::Failure;

/// How the id of `what`, such as `letter`, begins, in small letters.
pub(super) fn beginning(id: &str, what: &str) -> Result<String, Failure> {
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Failure::bad_input(format!(
            "`{id}` is not a {what}'s id, wanted hexadecimal digits"
        )));
    }
    Ok(id.to_lowercase())
}
