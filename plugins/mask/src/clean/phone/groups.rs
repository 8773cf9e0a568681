//! Reads the digits of phone numbers in groups, with what separates them.

use super::super::view::View;

/// The groups of a run of digits.
pub(crate) type Groups = Vec<Group>;

/// A group of digits, and what separates it from the one before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Group {
    /// Where a number begins that begins with this group: its first digit, or the parenthesis before it.
    pub(super) lead: usize,
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) gap: u8,
    pub(super) first: u8,
    pub(super) second: u8,
    pub(super) third: u8,
}

impl Group {
    pub(super) fn len(&self) -> usize {
        self.end - self.start
    }
}

pub(super) const SPACE: u8 = 1;
pub(super) const DASH: u8 = 2;
pub(super) const DOT: u8 = 4;
pub(super) const SLASH: u8 = 8;
pub(super) const OPEN: u8 = 16;
pub(super) const CLOSE: u8 = 32;

/// How many groups are read at once. A run may be as long as the text, and what is left of it behind a number
/// may be read anew: without a limit the time would grow with the square of its length.
pub(super) const MAX_READ: usize = 32;

/// More separators between two groups than anyone writes.
const MAX_GAP: usize = 3;

/// Reads groups of digits from `first` on, and says where they end. A last group that touches a word or
/// is the hour of a time is left out, with all that it is tied to.
pub(super) fn read_run(
    view: View<'_>,
    lead: usize,
    first: usize,
    plus: Option<usize>,
    groups: &mut Groups,
) -> usize {
    let text = view.bytes();
    groups.clear();
    let gap = if text[lead] == b'(' { OPEN } else { 0 };
    // In `%2B49+30`, and encoded once more, the first `+` is one and the second a space.
    let sign = plus.map_or(u8::MAX, |plus| view.percent(plus).max(1));
    let mut next = Some((lead, first, gap));
    let mut end = first;
    while let Some((lead, start, gap)) = next {
        end = start + text[start..].iter().take_while(|b| b.is_ascii_digit()).count();
        let digit = |at: usize| text[start..end].get(at).copied().unwrap_or(b' ');
        let (first, second, third) = (text[start], digit(1), digit(2));
        groups.push(Group { lead, start, end, gap, first, second, third });
        next = if groups.len() < MAX_READ { read_gap(view, end, sign) } else { None };
    }
    let touches = match &text[end..] {
        [b'_', ..] => plus.is_none(),
        [b'.' | b'-', b, ..] => b.is_ascii_alphabetic(),
        [b':', b, ..] => b.is_ascii_digit(),
        // An extension.
        [b'x' | b'X', b, ..] if b.is_ascii_digit() => false,
        [b, ..] => b.is_ascii_alphabetic(),
        [] => false,
    };
    if touches {
        while groups.pop().is_some_and(|group| group.gap != SPACE) {}
    }
    end
}

/// What separates the digits that end here from more digits: where those begin, with and without a
/// parenthesis, and the separators. A `+` that is percent-encoded as often as `sign` is one, and no space.
fn read_gap(view: View<'_>, mut at: usize, sign: u8) -> Option<(usize, usize, u8)> {
    let text = view.bytes();
    let mut gap = 0;
    for _ in 0..MAX_GAP {
        let lead = at;
        let separator = match text.get(at)? {
            b' ' => SPACE,
            // A space in a query, where it stands alone or behind a sign that is encoded (`+%2F+`); else the
            // sign of another number.
            b'+' if view.percent(at) < sign
                && (matches!(gap, 0 | CLOSE) || view.percent(at - 1) > view.percent(at)) =>
            {
                SPACE
            }
            b'-' => DASH,
            b'.' => DOT,
            b'/' => SLASH,
            b'(' => OPEN,
            b')' => CLOSE,
            _ => return None,
        };
        gap |= separator;
        at += 1;
        if text.get(at).is_some_and(u8::is_ascii_digit) {
            return Some((if separator == OPEN { lead } else { at }, at, gap));
        }
    }
    None
}

pub(super) fn digits(groups: &[Group]) -> usize {
    groups.iter().map(Group::len).sum()
}
