//! An answer that was checked.

use std::borrow::Cow;

use arrow::array::ArrayRef;

use clickmill_core::batch::Reason;

/// A checked answer. Row numbers are below its rows, and no row is named twice.
#[derive(Default)]
pub(crate) struct Answer {
    /// The announced columns of the batch, in the announced order. A record of which only fields were
    /// announced is there with all its fields.
    pub columns: Vec<ArrayRef>,
    /// For each row of the answer, the row of the batch that it came from, where these are not the same.
    pub came_from: Option<Vec<u32>>,
    /// Refused rows, by row.
    pub rejected: Vec<(u32, Reason)>,
    /// Filtered rows, by row.
    pub dropped: Vec<u32>,
    /// What the host holds for it, in bytes.
    pub bytes: usize,
}

/// Cuts a text at a limit, between characters. Nothing is kept of what is cut off.
pub(crate) fn cut<'a>(text: impl Into<Cow<'a, str>>, max_bytes: usize) -> String {
    let text = text.into();
    if text.len() <= max_bytes {
        return text.into_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(max_bytes)])
}
