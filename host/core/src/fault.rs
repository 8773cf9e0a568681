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

/// The text of an error, and that of each of its causes.
pub fn chain(error: &dyn std::error::Error) -> Vec<String> {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect()
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
