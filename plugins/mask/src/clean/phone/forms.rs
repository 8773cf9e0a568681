//! What groups of digits are phone numbers, by how countries write them.

use super::groups::{CLOSE, DASH, DOT, Group, OPEN, SLASH, SPACE, digits};

/// Whether these are the digits of a number in one: neither those of an epoch time or a date nor of an article.
pub(super) fn is_ungrouped(groups: &[Group]) -> bool {
    let [group] = groups else {
        return false;
    };
    let is_foreign = group.first == b'0' && group.second == b'0';
    let is_date = matches!((group.first, group.second), (b'1', b'9') | (b'2', b'0'));
    match group.len() {
        8 => !is_date,
        10 => group.first != b'1',
        9..=12 => true,
        13..=15 => is_foreign,
        _ => false,
    }
}

/// Whether these are the day, the month and the year of a date, or these the other way round: `Tel. 22 45 7800`
/// has no such month.
pub(super) fn is_date(groups: &[Group]) -> bool {
    let (year, one, other) = match groups {
        [one, other, year] | [year, one, other]
            if (year.len(), one.len(), other.len()) == (4, 2, 2) =>
        {
            (year, one, other)
        }
        _ => return false,
    };
    let number = |group: &Group| (group.first - b'0') * 10 + (group.second - b'0');
    let is_day_of = |day, month| (1..=31).contains(&day) && (1..=12).contains(&month);
    let (one, other) = (number(one), number(other));
    matches!(number(year), 19 | 20) && (is_day_of(one, other) || is_day_of(other, one))
}

/// Whether these are the groups of an account or a card, be it a valid one or not: three of four digits or
/// more, and what is left.
pub(super) fn is_in_fours(groups: &[Group]) -> bool {
    groups.len() >= 3
        && groups.iter().rev().skip(1).all(|group| group.len() == 4 && group.gap & !SPACE == 0)
        && groups.last().is_some_and(|last| last.gap == SPACE && last.len() <= 4)
        && groups[0].lead == groups[0].start
}

/// Whether these are the groups that a country without a leading 0 writes, and no more.
pub(super) fn has_groups_of_a_country(groups: &[Group]) -> bool {
    let is = |lengths: &[usize]| groups.iter().map(Group::len).eq(lengths.iter().copied());
    let [first, second, rest @ ..] = groups else {
        return false;
    };
    let in_one_way =
        rest.iter().all(|group| group.gap == second.gap) && second.gap & !(SPACE | DASH) == 0;
    let separated = groups[1..].iter().all(|group| group.gap & !(SPACE | DASH | OPEN | CLOSE) == 0);
    is(&[1, 3, 3, 2, 2])
        && separated
        && matches!((first.first, second.first), (b'7' | b'8', b'3' | b'4' | b'8' | b'9'))
        || is(&[3, 4, 4]) && in_one_way && first.first == b'1' && first.second >= b'3'
        || is(&[3, 2, 2, 2]) && in_one_way && second.gap == SPACE && first.first >= b'6'
        || is(&[2, 3, 2, 2]) && in_one_way && first.first != b'0'
}

/// Whether the group at this place is one of thousands within a larger number: `1 050 000 000`.
pub(super) fn is_of_thousands(groups: &[Group], at: usize) -> bool {
    let Some([before, group, second, third]) =
        at.checked_sub(1).and_then(|at| groups.get(at..at + 4))
    else {
        return false;
    };
    // `12 050 030 000 000`
    let goes_on = at > 1 && before.gap == SPACE && before.len() == 3;
    before.len() <= 3
        && (before.first != b'0' || goes_on)
        && [group, second, third].iter().all(|group| group.len() == 3 && group.gap == SPACE)
}

pub(super) fn is_with_area_code(groups: &[Group]) -> bool {
    let [area, second, rest @ ..] = groups else {
        return false;
    };
    area.gap & OPEN != 0
        && second.gap & CLOSE != 0
        && (2..=5).contains(&area.len())
        && (7..=15).contains(&digits(groups))
        && second.len() >= 2
        && are_separated(rest, SPACE | DASH | DOT)
}

/// Whether these groups, the third and those behind it, are of two digits and more and separated so, the first
/// of them also by `/`: `06-26/591 7518`.
fn are_separated(groups: &[Group], separators: u8) -> bool {
    groups.iter().enumerate().all(|(at, group)| {
        let separators = if at == 0 { separators | SLASH } else { separators };
        group.len() >= 2 && group.gap & !separators == 0
    })
}

pub(super) fn is_north_american(groups: &[Group]) -> bool {
    let groups = match groups {
        [country, rest @ ..] if country.len() == 1 && country.first == b'1' && rest.len() == 3 => {
            rest
        }
        _ => groups,
    };
    let [area, exchange, line] = groups else {
        return false;
    };
    area.len() == 3
        && exchange.len() == 3
        && line.len() == 4
        && area.first >= b'2'
        && exchange.gap == line.gap
        && matches!(line.gap, SPACE | DASH | DOT)
}

pub(super) fn is_national(groups: &[Group]) -> bool {
    let [trunk, second, rest @ ..] = groups else {
        return false;
    };
    if trunk.first != b'0' || !(2..=6).contains(&trunk.len()) {
        return false;
    }
    // No country and no area begins with 0 behind `00`: these are the zeros of a round number.
    let third = if trunk.len() == 2 { second.first } else { trunk.third };
    if trunk.second == b'0' && third == b'0' {
        return false;
    }
    let is_date =
        trunk.len() == 2 && second.len() == 2 && rest.first().is_some_and(|year| year.len() == 4);
    let in_pairs = groups.iter().all(|group| group.len() == 2);
    let fewest = if in_pairs { 9 } else { 8 };
    // A single digit where more groups follow: `0033 1 70 18 99 00`, `06 1 441 4000`.
    let is_foreign = trunk.second == b'0' && trunk.len() >= 3;
    let second_is_long =
        second.len() >= 2 || (groups.len() >= 4 || is_foreign) && digits(groups) >= 9;
    let rest_separators = if second.gap & SLASH == 0 { SPACE | DASH } else { SPACE | DASH | DOT };
    // `089 123456-0`
    let (rest, last) = match rest {
        [rest @ .., last] if last.len() == 1 && last.gap == DASH && second.gap & DASH == 0 => {
            (rest, Some(last))
        }
        _ => (rest, None),
    };
    let is_extended = last.is_none() || rest.last().unwrap_or(second).len() >= 3;
    let is_separated = second.gap & !(SPACE | DASH | SLASH) == 0
        && is_extended
        && are_separated(rest, rest_separators);
    let is_postcode =
        trunk.len() == 5 && second.gap == DASH && second.len() == 3 && groups.len() == 2;
    let is_dotted = groups[1..].iter().all(|group| group.gap == DOT)
        && (in_pairs && groups.len() == 5
            || [&[3, 3, 2, 2][..], &[2, 4, 4]]
                .iter()
                .any(|lengths| groups.iter().map(Group::len).eq(lengths.iter().copied())));
    // `00-14-22-01-23-45`
    let is_hardware =
        in_pairs && groups.len() == 6 && groups[1..].iter().all(|group| group.gap == DASH);
    // `0012 / 0013 / 14`
    let is_list = second.gap & SLASH != 0 && second.first == b'0'
        || groups.len() > 2 && groups[1..].iter().all(|group| group.gap & SLASH != 0);
    (trunk.second != b'0' || trunk.len() != 6)
        && !is_list
        && (fewest..=15).contains(&digits(groups))
        && second_is_long
        && (is_separated || is_dotted)
        && !is_date
        && !is_postcode
        && !is_hardware
}
