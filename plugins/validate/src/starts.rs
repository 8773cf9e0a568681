//! Whether texts begin as another column says.

use clickmill_plugin::{Column, Text, Values, same};
use serde_bytes::{ByteBuf, Bytes};

use crate::words::{TextMap, of_each};

/// Calls `other` for each row whose text begins in another way than the value beside it wants, or as it may be
/// a null.
pub(crate) fn others(
    text: &Text,
    by: &Column,
    prefixes: &TextMap<ByteBuf>,
    strict: bool,
    mut other: impl FnMut(usize),
) {
    let prefix_of = |value: &[u8]| prefixes.get(Bytes::new(value)).map(|prefix| &prefix[..]);
    let keeps = |row: usize, prefix: Option<&[u8]>| match prefix {
        Some(prefix) => {
            let start = text.get(row).get(..prefix.len());
            start.is_some_and(|start| same(start, prefix))
        }
        None => !strict,
    };
    if let Values::Dictionary(texts) = &by.values {
        let prefixes = of_each(texts, prefix_of);
        for (row, index) in texts.indices.iter().enumerate() {
            let prefix = prefixes.get(*index as usize).copied().flatten();
            if !keeps(row, prefix) && by.is_valid(row) {
                other(row);
            }
        }
        return;
    }
    let mut decimal = String::new();
    // The value before and its prefix: a session stays in a category for a while.
    let mut last: Option<(&[u8], Option<&[u8]>)> = None;
    for row in 0..text.offsets.len().saturating_sub(1) {
        let prefix = if matches!(by.values, Values::Texts(_)) {
            let Some(value) = by.bytes(row) else { continue };
            match last {
                Some((seen, prefix)) if same(seen, value) => prefix,
                _ => last.insert((value, prefix_of(value))).1,
            }
        } else {
            let Some(value) = key(by, row, &mut decimal) else { continue };
            prefix_of(value)
        };
        if !keeps(row, prefix) {
            other(row);
        }
    }
}

/// The text of the row in the column that decides, an integer's in `decimal`.
pub(crate) fn key<'a>(by: &'a Column, row: usize, decimal: &'a mut String) -> Option<&'a [u8]> {
    match by.int64(row) {
        Some(number) => {
            *decimal = number.to_string();
            Some(decimal.as_bytes())
        }
        None => by.bytes(row),
    }
}
