//! What every crate says of its errors: whose fault they are.

/// Whose fault an error is. The exit code and the HTTP status of an answer follow from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The input's or the configuration's: the same request fails again.
    Input,
    /// The environment's: unreachable, denied, full. The same request may succeed later.
    Environment,
    /// The run's: too much was rejected, or it was interrupted.
    Run,
    /// A bug in clickmill.
    Bug,
}

/// The text of an error, and that of each of its causes. One that the text before ends with is left out: some libraries
/// repeat the cause in their own text.
pub fn chain(error: &dyn std::error::Error) -> Vec<String> {
    let (mut told, mut last) = (vec![error.to_string()], error.to_string());
    for cause in std::iter::successors(error.source(), |error| error.source()) {
        let text = cause.to_string();
        if !last.ends_with(&text) {
            told.push(text.clone());
        }
        last = text;
    }
    told
}

/// An error and its causes on one line.
pub fn causes(error: &dyn std::error::Error) -> String {
    chain(error).join(": ")
}

/// Each item on an indented line of its own, as errors list what they found.
pub fn list<T: std::fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| format!("\n  {}", indented(&item.to_string()))).collect()
}

/// A text whose further lines are indented: somebody else's text begins no line that could be taken for one of
/// ours, such as a hint.
pub fn indented(text: &str) -> String {
    text.replace('\n', "\n    ")
}

#[cfg(test)]
mod tests {
    use std::io::Error;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Caused {
        text: &'static str,
        source: Error,
    }

    #[test]
    fn a_cause_is_told_once() {
        let cause = || Error::other("there is no room");
        let repeats = Caused { text: "cannot write: there is no room", source: cause() };
        assert_eq!(causes(&repeats), "cannot write: there is no room");
        let other = Caused { text: "cannot write", source: cause() };
        assert_eq!(chain(&other), ["cannot write", "there is no room"]);
        let outer = Caused { text: "not loaded", source: Error::other(repeats) };
        assert_eq!(causes(&outer), "not loaded: cannot write: there is no room");
    }
}
