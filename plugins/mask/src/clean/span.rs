//! Parts of a text that are to be replaced.

/// A part of a text that is to be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    pub start: usize,
    pub end: usize,
    pub mark: Mark,
}

/// What stands in the place of what was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mark {
    Token,
    ApiKey,
    Email,
    Iban,
    Card,
    Phone,
    Ip,
    /// Itself: the number of an account or a card that nobody wants cleaned, nor cut into pieces.
    Kept,
    /// In JSON, in the place of a number: it stays JSON, and no quotes are needed, however deep it lies.
    Null,
}

impl Mark {
    pub(super) fn text(self) -> &'static [u8] {
        match self {
            Self::Token => b"[token]",
            Self::ApiKey => b"[api_key]",
            Self::Email => b"[email]",
            Self::Iban => b"[iban]",
            Self::Card => b"[card]",
            Self::Phone => b"[phone]",
            Self::Ip => b"[ip]",
            Self::Kept => b"",
            Self::Null => b"null",
        }
    }
}

/// Puts the spans in order and joins those that overlap.
pub(super) fn merge(spans: &mut Vec<Span>) {
    spans.sort_unstable();
    spans.dedup_by(|next, span| {
        let overlap = next.start < span.end;
        if overlap {
            span.end = span.end.max(next.end);
        }
        overlap
    });
}

/// Makes `cleaned` the value with a mark in place of each span. Says whether that changes anything.
pub(super) fn replace(value: &[u8], spans: &[Span], cleaned: &mut Vec<u8>) -> bool {
    if spans.is_empty() {
        return false;
    }
    cleaned.clear();
    let mut copied = 0;
    for span in spans {
        cleaned.extend_from_slice(&value[copied..span.start]);
        cleaned.extend_from_slice(span.mark.text());
        copied = span.end;
    }
    cleaned.extend_from_slice(&value[copied..]);
    // `password=[token]` was cleaned before.
    cleaned != value
}
