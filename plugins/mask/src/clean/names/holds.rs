//! What values hold, by their names.

/// What the value of some name holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Holds {
    /// A password: any text.
    Secret,
    /// A password of several words.
    Phrase,
    /// A password, or a number of something: `pass=3`, `pw=100`.
    Pass,
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

impl Holds {
    /// Whether this is a password.
    pub(crate) fn is_password(self) -> bool {
        matches!(self, Self::Secret | Self::Phrase | Self::Pass)
    }

    /// Whether an element or a value of this name is what the name says: `<code>` and `version` are often of
    /// something else.
    pub(crate) fn tells_of_another(self) -> bool {
        !matches!(self, Self::Code | Self::Version)
    }
}
