//! Finds the numbers of payment cards: 12 to 19 digits in one or grouped as on cards (4-4-4-4, 4-6-5, 4-6-4)
//! with spaces, dashes or dots, by their check digit (Luhn) and by the first digits that the networks have.
//! All of a number is found, or nothing.
//!
//! One number in ten has a valid check digit, so numbers of articles (GTIN) of 12 or 13 digits, which have
//! one of their own, are none. Those of 14 digits are of cartons, hardly ever begin as cards of Diners Club do,
//! and one card in ten would be taken for one. A number that is part of a longer one, or of a word, is none.

use super::assigned::ends_with_colour;
use super::span::{Mark, Span};

const MIN_DIGITS: usize = 12;
const MAX_DIGITS: usize = 19;
const MAX_GROUPS: usize = 5;
/// The number of an article that is sold has as many digits at most.
const MAX_ARTICLE: usize = 13;

pub(super) fn find(text: &[u8], spans: &mut Vec<Span>) {
    let mut at = 0;
    while let Some(next) = text[at..].iter().position(u8::is_ascii_digit) {
        let start = at + next;
        at = match number(text, start) {
            Some(end) => {
                spans.push(Span { start, end, mark: Mark::Card });
                end
            }
            None => start + digits(&text[start..]),
        };
    }
}

/// Where the number ends that begins here.
fn number(text: &[u8], start: usize) -> Option<usize> {
    // Most digits are told apart by how many begin: four of a group, or all.
    let first = digits(&text[start..]);
    if first != 4 && !(MIN_DIGITS..=MAX_DIGITS).contains(&first) || is_within(&text[..start]) {
        return None;
    }
    let mut number = [0; MAX_DIGITS];
    let (mut length, mut lengths, mut end) = (0, [0; MAX_GROUPS], start);
    let mut separator = None;
    let mut found = None;
    for group in 0..MAX_GROUPS {
        let count = digits(&text[end..]);
        if count == 0 || length + count > MAX_DIGITS {
            break;
        }
        number[length..length + count].copy_from_slice(&text[end..end + count]);
        length += count;
        lengths[group] = count;
        end += count;
        let is_dashed =
            separator == Some(b'-') && matches!(&text[end..], [b'-', b, ..] if b.is_ascii_digit());
        if !goes_on(&text[end..])
            && !is_dashed
            && is_grouped(&lengths[..=group])
            && is_card(&number[..length])
        {
            found = Some(end);
        }
        match text.get(end) {
            Some(byte @ (b' ' | b'-' | b'+' | b'.'))
                if separator.is_none_or(|first| first == *byte) =>
            {
                separator = Some(*byte);
                end += 1;
            }
            _ => break,
        }
    }
    found
}

/// Whether what begins behind this text is part of a longer number or of a word.
fn is_within(before: &[u8]) -> bool {
    match before {
        [.., b] if b.is_ascii_alphanumeric() => !ends_with_colour(before),
        [.., a, b'-' | b'.' | b'_'] => a.is_ascii_digit(),
        _ => false,
    }
}

/// Whether what ends before this text is part of a longer number or of a word.
fn goes_on(after: &[u8]) -> bool {
    match after {
        [b, ..] if b.is_ascii_alphanumeric() => true,
        [b'.' | b'_', b, ..] => b.is_ascii_digit(),
        [b'-', b, ..] => b.is_ascii_alphabetic(),
        _ => false,
    }
}

fn is_grouped(lengths: &[usize]) -> bool {
    match lengths {
        [_] | [4, 6, 4 | 5] => true,
        [fours @ .., last] => {
            fours.len() >= 3 && fours.iter().all(|length| *length == 4) && (1..=4).contains(last)
        }
        [] => false,
    }
}

fn is_card(number: &[u8]) -> bool {
    number.len() >= MIN_DIGITS
        && is_issued(number)
        && checks(number, |digit, is_doubled| match (is_doubled, digit) {
            (false, digit) => digit,
            (true, 0..=4) => digit * 2,
            (true, _) => digit * 2 - 9,
        })
        && !(number.len() <= MAX_ARTICLE
            && checks(number, |digit, is_tripled| if is_tripled { digit * 3 } else { digit }))
}

/// Whether a sum over the digits, of which from the right every second weighs differently, ends with 0.
fn checks(number: &[u8], weigh: impl Fn(u32, bool) -> u32) -> bool {
    let digits = number.iter().rev().enumerate();
    let sum: u32 = digits.map(|(at, digit)| weigh(u32::from(digit - b'0'), at % 2 == 1)).sum();
    sum.is_multiple_of(10)
}

/// Whether a network has numbers that begin so and are that long.
fn is_issued(number: &[u8]) -> bool {
    let first = |digits: usize| {
        number[..digits].iter().fold(0, |value, digit| value * 10 + u32::from(digit - b'0'))
    };
    match (first(1), first(2), number.len()) {
        // Visa; Mastercard; American Express.
        (4, _, 13 | 16 | 19) | (5, 51..=55, 16) | (3, 34 | 37, 15) => true,
        // Mastercard; Mir.
        (2, _, 16) => matches!(first(4), 2221..=2720 | 2200..=2204),
        // Diners Club; JCB.
        (3, 30 | 36 | 38 | 39, 14..=19) | (3, 35, 16..=19) => true,
        // JCB, as they were.
        (1 | 2, _, 15) => matches!(first(4), 1800 | 2131),
        // Maestro and its likes; Discover, UnionPay, RuPay, Maestro.
        (5, 50 | 56..=58, _) | (6, 60..=69, _) => true,
        // RuPay; Troy.
        (8, 81 | 82, 16) => true,
        (9, 97, 16) => first(4) == 9792,
        _ => false,
    }
}

fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|b| b.is_ascii_digit()).count()
}

#[cfg(test)]
mod tests {
    use crate::config::Kind;
    use crate::tests::check_clean_of;

    #[test]
    fn card_numbers_are_found_whole() {
        check_clean_of(
            Kind::Card,
            &[
                ("4111111111111111", "[card]"),
                ("4111 1111 1111 1111 12/27", "[card] 12/27"),
                ("card=4111-1111-1111-1111&cvc=1", "card=[card]&cvc=1"),
                ("q=4111+1111+1111+1111", "q=[card]"),
                ("3782 822463 10005", "[card]"),
                ("3056 930902 5904", "[card]"),
                // They could be numbers of articles by their check digit.
                ("30097594604142", "[card]"),
                ("3645 245474 8543", "[card]"),
                ("4222222222222", "[card]"),
                ("180089171890622", "[card]"),
                ("6304000000000000", "[card]"),
                ("paid 42,4111111111111111,EUR.", "paid 42,[card],EUR."),
                ("visa-4111111111111111.", "visa-[card]."),
                ("4111.1111.1111.1111.", "[card]."),
                ("12 4111 1111 1111 1111", "12 [card]"),
                ("card_4111111111111111.pdf", "card_[card].pdf"),
                ("_4111-1111-1111-1111_", "_[card]_"),
                ("\x1b[31m4111111111111111\x1b[0m", "\x1b[31m[card]\x1b[0m"),
                (r"\x1b[1;31m4111 1111 1111 1111\x1b[0m", r"\x1b[1;31m[card]\x1b[0m"),
            ],
        );
    }

    #[test]
    fn other_numbers_stay_whole() {
        for text in [
            "4111111111111112",
            "41111111111111111",
            "4111 1111 1111 1111a",
            "x4111111111111111",
            "4111111111111111_2",
            "12_4111111111111111",
            "0.4111111111111111",
            "4111111111111111.5",
            "9-4111111111111111",
            "4111-1111-1111-1111-2222",
            "4111.1111.1111.1111.2222",
            "4111.1111 1111.1111",
            "41 11 11 11 11 11 11 11",
            "4111 1111 1111 11 11",
            "1111111111111117",
            "4006381333931",
            "1700000000000",
        ] {
            check_clean_of(Kind::Card, &[(text, text)]);
        }
    }
}
