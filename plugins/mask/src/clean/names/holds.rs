//! What values hold, by their names.

/// What the value of some name holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Holds {
    /// A password: any text.
    Secret,
    /// A token, of which 8 characters are enough.
    Token,
    /// A token, or something short and harmless.
    LongToken,
    /// A code that is valid once.
    OneTimeCode,
    /// A code that is valid once, a token, or one of errors, countries or discounts.
    Code,
    /// A phone number.
    Phone,
    /// A version, and no IP address.
    Version,
}
