//! Finds phone numbers that stand free in a text.
//!
//! - International: `+` that does not follow a letter or digit, and 8 to 15 digits, grouped or
//!   not, the first not 0.
//! - An area code in parentheses: `(030) 1234567`, 7 to 15 digits.
//! - North American: `555-123-4567`, groups of 3, 3 and 4 digits with the same separator (space, `-`
//!   or `.`), the first not beginning with 0 or 1, with or without a leading `1`.
//! - National: a first group of 2 to 6 digits that begins with 0, at least one more group of 2 digits or
//!   more, 8 to 15 digits in all (9 or more where they are all pairs), separated by spaces or `-`, the
//!   first also by `/`: `030 1234567`, `0171/1234567`, `01 23 45 67 89`, an extension of one digit behind a
//!   `-`: `089 123456-0`, and in the groups of France,
//!   Belgium, Switzerland and Australia also by `.`. Not a date like
//!   `01-02-2024`, nor a postcode like `01310-100`.
//! - Without a 0, where the groups of a country tell and nothing else is there: Russian (`8 916 123-45-67`),
//!   Chinese (`138 0013 8000`), Spanish (`912 34 56 78`) and Polish (`22 695 29 00`).
//! - Behind a word such as `Tel.` or `phone`: 7 to 15 digits that are grouped, or 8 to 12 that are not (as
//!   many as 15 behind `00`) and no epoch time or date.
//! - Behind `Tel.` and `Tel: `: 4 to 7 digits too, with no more than spaces between them.
//!
//! - Behind a number and a space, `/` or ` - `: another one, and what is grouped as the number before it is
//!   (`+48 601 234 567 / 601 234 568`). The number before ends there.
//!
//! Groups are separated by up to three of space, `-`, `.`, `/`, `(`, `)` and, as a space in a query, `+`.
//! A number may begin or end where a space, or a `/` between spaces, separates groups, else only where the whole run of digits
//! and separators does; and a run that touches a letter, `_` or `.` is none. So digits without grouping
//! (epoch times, ids, product numbers), dates, prices, versions, IP addresses and UUIDs stay. A product
//! number that is grouped exactly as a phone number is (`0123-45678`) cannot be told apart and goes.

mod forms;
mod groups;

use std::ops::RangeInclusive;

use super::assigned::{COLOUR, ends_with_colour, is_blank};
use super::span::{Mark, Span};
use super::view::View;
use forms::{
    has_groups_of_a_country, is_date, is_in_fours, is_national, is_north_american, is_of_thousands,
    is_ungrouped, is_with_area_code,
};
pub(super) use groups::Groups;
use groups::{DASH, Group, MAX_READ, OPEN, SLASH, SPACE, digits, read_run};

/// More groups than any number has.
const MAX_GROUPS: usize = 8;

/// As many digits as a number has.
const DIGITS: RangeInclusive<usize> = 7..=15;

pub(super) fn find(view: View<'_>, groups: &mut Groups, spans: &mut Vec<Span>) {
    let text = view.bytes();
    let mut at = 0;
    // Whether a number may begin here.
    let mut free = true;
    let mut before = b' ';
    while at < text.len() {
        let byte = text[at];
        // `+49`, `(030)`; a country in parentheses, with its sign before or behind the first of them.
        let (first, plus) = match &text[at..] {
            [b'+', b'(', ..] => (at + 2, Some(at)),
            [b'(', b'+', ..] => (at + 2, Some(at + 1)),
            [b'+', ..] => (at + 1, Some(at)),
            [b'(', ..] => (at + 1, None),
            _ => (at, None),
        };
        // A sign that is written says what follows, also behind a name: `tel_+4930123456`.
        let is_behind_name = before == b'_' && plus == Some(at);
        if (free || is_behind_name) && text.get(first).is_some_and(u8::is_ascii_digit) {
            let run_end = read_run(view, at, first, plus, groups);
            // Behind what is encoded, a `+` that is not is a space: `%3A+20240115`.
            let is_sign = |plus: usize| plus == 0 || view.percent(plus - 1) <= view.percent(plus);
            let number = plus
                .filter(|plus| is_sign(*plus))
                .and_then(|_| international(groups))
                .or_else(|| announced(groups).filter(|_| is_announced(&text[..at], WORDS, false)))
                .or_else(|| national(groups))
                .or_else(|| short(groups).filter(|_| is_announced(&text[..at], SHORT_WORDS, true)));
            let ends = numbers(text, groups, number, spans);
            at = ends.unwrap_or(run_end);
            free = ends.is_some();
            before = b'0';
            if !free && text.get(at) == Some(&b'm') && ends_with_colour(&text[..=at]) {
                at += 1;
                free = true;
            }
            continue;
        }
        free = match byte {
            b'.' => before.is_ascii_alphabetic(),
            b'_' | b'-' => false,
            _ => !byte.is_ascii_alphanumeric(),
        };
        before = byte;
        at += 1;
    }
}

/// Takes the number that was found in a run, and those that follow it. Says where to read on.
fn numbers(
    text: &[u8],
    groups: &[Group],
    mut number: Option<(usize, usize)>,
    spans: &mut Vec<Span>,
) -> Option<usize> {
    let mut rest = groups;
    let mut stop = None;
    while let Some((start, end)) = number {
        let at = rest[end - 1].end;
        let at = at + extension(&text[at..]);
        let lead = rest[start].lead;
        // One that is not closed within the number stands around it: `(0171 1234567)`.
        let count = |sign: u8| text[lead..at].iter().filter(|byte| **byte == sign).count();
        let is_around = text[lead] == b'(' && count(b'(') > count(b')');
        spans.push(Span { start: lead + usize::from(is_around), end: at, mark: Mark::Phone });
        stop = Some(at);
        let again = repeated(&rest[start..], end - start);
        rest = &rest[end..];
        // Before a `+`, which may be a sign, and towards the end of what was read, it is read anew.
        let is_read = groups.len() < MAX_READ || rest.len() >= MAX_GROUPS;
        let next = rest.first().filter(|next| is_read && text[next.lead - 1] != b'+');
        let own = next.and_then(|_| national(rest));
        number = match again {
            Some(length) if own.is_none_or(|(start, end)| start > 0 || end < length) => {
                Some((0, length))
            }
            _ => own,
        };
        if number.is_none() && next.is_some() && groups.len() < MAX_READ {
            return None;
        }
    }
    stop
}

/// How many bytes of this text, which is right behind a number, are its extension: `x12`, ` ext. 12`.
pub(super) fn extension(after: &[u8]) -> usize {
    /// Longer ones are numbers of another kind.
    const MAX_DIGITS: usize = 6;
    let spaces = after.iter().take(1).take_while(|b| matches!(b, b' ' | b'+' | b',')).count();
    let word = after[spaces..].iter().take(4).take_while(|b| b.is_ascii_alphabetic()).count();
    let is_word = [&b"x"[..], b"ext", b"extn"]
        .iter()
        .any(|known| after[spaces..spaces + word].eq_ignore_ascii_case(known));
    let first = spaces + word;
    let gap = after[first..].iter().take(2).take_while(|b| matches!(b, b'.' | b' ' | b'=')).count();
    let digits = after[first + gap..].iter().take_while(|b| b.is_ascii_digit()).count();
    let end = first + gap + digits;
    let goes_on = after.get(end).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    if is_word && (1..=MAX_DIGITS).contains(&digits) && !goes_on { end } else { 0 }
}

/// The number that the groups after a `+` begin with: as many of them as it can have.
fn international(groups: &[Group]) -> Option<(usize, usize)> {
    groups.first().filter(|group| group.first != b'0')?;
    Some((0, end(groups, |groups| digits(groups) >= 8)?))
}

/// Words behind which there is a phone number.
const WORDS: &[&str] = &[
    "call",
    "cell",
    "fax",
    "gsm",
    "handy",
    "mob",
    "mobil",
    "mobile",
    "phone",
    "tel",
    "telefon",
    "telefone",
    "telefono",
    "telefoon",
    "telephone",
    "whatsapp",
    "móvil",
    "tél",
    "téléphone",
    "teléfono",
    "тел",
    "телефон",
    "τηλ",
];

/// Words behind which, with a dot or a colon, a number may be short: behind others years and sizes stand.
const SHORT_WORDS: &[&str] = &["tel", "tél", "тел", "τηλ"];

/// Whether the text ends with such a word, and spaces or a dot behind it: where a sign is wanted, a dot or a colon.
fn is_announced(before: &[u8], words: &[&str], wants_sign: bool) -> bool {
    /// More than the longest of them.
    const MAX_WORD: usize = 20;
    /// More than anyone writes between a word and a number.
    const MAX_SPACES: usize = 16;
    let is_between =
        |at: &usize| matches!(before[*at], b'.' | b':' | b'+' | COLOUR) || is_blank(before, *at);
    let gap = (0..before.len()).rev().take(MAX_SPACES).take_while(is_between).count();
    let (text, between) = before.split_at(before.len() - gap);
    if wants_sign && !between.iter().any(|b| matches!(b, b'.' | b':')) {
        return false;
    }
    let is_letter = |b: &&u8| b.is_ascii_alphanumeric() || !b.is_ascii();
    let length = text.iter().rev().take(MAX_WORD).take_while(is_letter).count();
    if gap == 0 || length == 0 {
        return false;
    }
    let word = String::from_utf8_lossy(&text[text.len() - length..]).to_lowercase();
    words.contains(&word.as_str())
}

/// The number that all of the groups are behind such a word with its sign, be it short.
fn short(groups: &[Group]) -> Option<(usize, usize)> {
    const SHORT: RangeInclusive<usize> = 4..=7;
    let are_apart = groups.iter().skip(1).all(|group| group.gap == SPACE);
    (are_apart && SHORT.contains(&digits(groups))).then_some((0, groups.len()))
}

/// The number that the groups behind such a word begin with.
fn announced(groups: &[Group]) -> Option<(usize, usize)> {
    let is_number = |groups: &[Group]| groups.len() > 1 && !is_date(groups) || is_ungrouped(groups);
    Some((0, end(groups, is_number)?))
}

/// The first number among the groups, and the longest that begins there.
fn national(groups: &[Group]) -> Option<(usize, usize)> {
    if is_in_fours(groups) {
        return None;
    }
    // As many groups as one of a country has, and no more but for those of another such number.
    let of_a_country = [3, 4, 5].into_iter().find(|end| {
        groups.get(..*end).is_some_and(has_groups_of_a_country)
            && (*end == groups.len() || repeated(groups, *end).is_some())
    });
    if let Some(end) = of_a_country {
        return Some((0, end));
    }
    (0..groups.len())
        .filter(|start| *start == 0 || is_border(groups[*start].gap))
        .filter_map(|start| Some((start, start + end(&groups[start..], is_of_a_form)?)))
        .find(|(start, _)| !is_of_thousands(groups, *start))
}

fn is_of_a_form(groups: &[Group]) -> bool {
    is_with_area_code(groups) || is_north_american(groups) || is_national(groups)
}

/// After how many of the groups the number ends that they begin with: as many as it can have, but before
/// another number.
fn end(groups: &[Group], is_number: impl Fn(&[Group]) -> bool) -> Option<usize> {
    let is_number = |end: usize| is_number(&groups[..end]);
    let ends = ends(groups);
    let ends_free = |end: &usize| groups.get(*end).is_none_or(|next| is_border(next.gap));
    let longest = ends.clone().rev().find(|end| ends_free(end) && is_number(*end));
    if longest == Some(groups.len()) {
        return longest;
    }
    // Without a number that ends free there is one only before a sign that borders nothing else.
    let may_separate = |gap: u8| match gap & !OPEN {
        SLASH => true,
        gap if gap == SPACE | DASH => true,
        gap => longest.is_some() && is_border(gap),
    };
    let before_another = ends.clone().find(|end| {
        groups.get(*end).is_some_and(|next| may_separate(next.gap))
            && is_number(*end)
            && (repeated(groups, *end).is_some() || begins_number(&groups[*end..]))
    });
    before_another.or(longest)
}

/// After how many of the groups a number may end, by its digits.
fn ends(groups: &[Group]) -> RangeInclusive<usize> {
    let (mut fewest, mut most, mut digits) = (1, 0, 0);
    for group in groups.iter().take(MAX_GROUPS) {
        digits += group.len();
        if digits > *DIGITS.end() {
            break;
        }
        most += 1;
        fewest += usize::from(digits < *DIGITS.start());
    }
    fewest..=most
}

/// Whether a number may begin or end at such a gap.
fn is_border(gap: u8) -> bool {
    matches!(gap & !OPEN, SPACE) || gap & !OPEN == SPACE | SLASH
}

/// Whether a number that needs none before it begins with the first of these groups.
fn begins_number(groups: &[Group]) -> bool {
    let ends_free = |end: usize| groups.get(end).is_none_or(|next| next.gap & (SPACE | SLASH) != 0);
    ends(groups).any(|end| ends_free(end) && is_of_a_form(&groups[..end]))
}

/// Whether a number in one is as long as the one before it, or as that without its country.
fn is_as_long(group: &Group, before: &Group) -> bool {
    (before.len().saturating_sub(3)..=before.len()).contains(&group.len())
}

/// How many groups behind the first so many, which are a number, have the lengths of the last of these again:
/// `601 234 567 / 601 234 568`. One group has to stand behind more than a space.
fn repeated(groups: &[Group], end: usize) -> Option<usize> {
    let (number, rest) = groups.split_at_checked(end)?;
    let gap = rest.first()?.gap & !OPEN;
    let fewest = match gap {
        SPACE => 2,
        SLASH => 1,
        _ if gap == SPACE | SLASH || gap == SPACE | DASH => 1,
        _ => return None,
    };
    (fewest..=number.len().min(rest.len())).rev().find(|length| {
        let (last, again) = (&number[number.len() - length..], &rest[..*length]);
        DIGITS.contains(&digits(again))
            && (again.iter().map(Group::len).eq(last.iter().map(Group::len))
                || number.len() == 1 && is_as_long(&again[0], &last[0]))
            && rest.get(*length).is_none_or(|next| next.gap & (SPACE | SLASH) != 0)
    })
}

#[cfg(test)]
mod tests;
