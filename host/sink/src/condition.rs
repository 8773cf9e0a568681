//! Conditions in SQL that callers write, and that stand in parentheses within a query of clickmill's: each has
//! to stay within them, or it would undo what the query says beside it.

use clickmill_core::Fault;

use super::SinkError;

/// Why a text is no condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{condition}` is not one condition in SQL: {why}")]
pub struct ConditionError {
    /// The text.
    pub condition: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl From<ConditionError> for SinkError {
    fn from(error: ConditionError) -> Self {
        Self::new(Fault::Input, false, error)
    }
}

/// Checks that a condition ends where the query around it says so: its parentheses and quotation marks are in
/// pairs, and it holds no comment and no further statement. Whether it is an expression is the query's to
/// say.
///
/// # Errors
///
/// Where it is otherwise.
pub fn check_condition(condition: &str) -> Result<(), ConditionError> {
    end(condition.as_bytes()).map_err(|why| ConditionError { condition: condition.to_owned(), why })
}

/// Reads a condition to its end, as GoogleSQL reads it.
fn end(text: &[u8]) -> Result<(), &'static str> {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        at += 1;
        match (byte, text.get(at)) {
            (b'(', _) => depth += 1,
            (b')', _) => depth = depth.checked_sub(1).ok_or("a `)` has no `(` before it")?,
            (b';', _) => return Err("a `;` ends it"),
            (b'#', _) | (b'-', Some(b'-')) | (b'/', Some(b'*')) => return Err("it has a comment"),
            (b'\'' | b'"' | b'`', _) => {
                at = after_quotation(text, at - 1).ok_or("a quotation mark has no second one")?;
            }
            _ => {}
        }
    }
    if depth == 0 { Ok(()) } else { Err("a `(` has no `)` behind it") }
}

/// Where it goes on behind the quotation that begins at `start`.
fn after_quotation(text: &[u8], start: usize) -> Option<usize> {
    let mark = text[start];
    let is_long = mark != b'`' && text[start..].starts_with(&[mark; 3]);
    let end = if is_long { &[mark; 3][..] } else { &[mark][..] };
    let mut at = start + end.len();
    while at < text.len() {
        if text[at..].starts_with(end) {
            return Some(at + end.len());
        }
        // What a backslash escapes does not end it, be it raw or not.
        at += if text[at] == b'\\' { 2 } else { 1 };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_stays_within_its_parentheses() {
        for condition in [
            "TRUE",
            "code = 'bad_ip' AND (stage = 'mask' OR stage = \"parse\")",
            "errorMessage LIKE '%) -- ; # /* %'",
            r"errorMessage = 'it''s' OR errorMessage = 'it\'s )' OR errorMessage = r'\')'",
            "errorMessage = '''a ' ) b''' OR errorMessage = \"\"\")\"\"\"",
            "`odd ) name` IS NULL",
            "errorMessage = ''",
            "price - -1 > 4 / 2",
            "errorMessage = 'ü)'",
        ] {
            assert_eq!(check_condition(condition), Ok(()), "{condition}");
        }
        for condition in [
            "TRUE) OR (TRUE",
            "TRUE) --",
            "TRUE -- all of them",
            "TRUE # all of them",
            "TRUE /* all",
            "TRUE; DROP TABLE letters",
            "(TRUE",
            "TRUE)",
            "errorMessage = 'it",
            r"errorMessage = 'it\'",
            "errorMessage = '''it'",
            "errorMessage = '' ) OR ('",
            "`odd",
        ] {
            let error = check_condition(condition).expect_err(condition).to_string();
            assert!(error.starts_with(&format!("`{condition}` is not one condition")), "{error}");
        }
    }
}
