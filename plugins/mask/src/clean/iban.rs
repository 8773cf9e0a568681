//! Finds International Bank Account Numbers: two letters of a country, two check digits and as many letters
//! and digits as that country has, in one or grouped by single spaces or dashes, by the check digits
//! (ISO 7064, mod 97-10). All of a number is found, or nothing.

use super::span::{Mark, Span};

/// The shortest a number is.
const MIN_LENGTH: usize = 15;

/// The countries whose numbers have the same length: the IBAN registry, and the countries that are not in
/// it and use them.
const LENGTHS: &[(usize, &[u8])] = &[
    (15, b"NO"),
    (16, b"BE"),
    (18, b"DK FI FK FO GL NL SD"),
    (19, b"MK SI"),
    (20, b"AT BA EE KZ LT LU MN XK"),
    (21, b"CH HR LI LV"),
    (22, b"BG BH CR DE GB GE IE ME RS VA"),
    (23, b"AE GI IL IQ OM SO TL"),
    (24, b"AD CZ ES MD PK RO SA SE SK TN VG"),
    (25, b"AO CV GW LY MZ PT ST"),
    (26, b"DZ IR IS TR"),
    (27, b"BI CF CG CM DJ FR GA GF GP GQ GR IT KM MC MG MQ MR NC PF PM RE SM TD TF WF YT"),
    (28, b"AL AZ BF BJ BY CI CY DO GT HN HU LB MA ML NE NI PL SN SV TG"),
    (29, b"BR EG PS QA UA"),
    (30, b"JO KW MU YE"),
    (31, b"MT SC"),
    (32, b"LC"),
    (33, b"RU"),
];

pub(super) fn find(text: &[u8], spans: &mut Vec<Span>) {
    let mut at = 0;
    while at + MIN_LENGTH <= text.len() {
        let is_free = at == 0 || !text[at - 1].is_ascii_alphanumeric();
        match is_free.then(|| number(text, at)).flatten() {
            Some(end) => {
                spans.push(Span { start: at, end, mark: Mark::Iban });
                at = end;
            }
            None => at += 1,
        }
    }
}

/// Where the number ends that begins here.
fn number(text: &[u8], start: usize) -> Option<usize> {
    let wanted = match &text[start..] {
        [a, b, c, d, ..]
            if a.is_ascii_alphabetic()
                && b.is_ascii_alphabetic()
                && c.is_ascii_digit()
                && d.is_ascii_digit() =>
        {
            length([*a, *b])?
        }
        _ => return None,
    };
    let (mut number, mut length, mut at) = ([0; 34], 0, start);
    while length < wanted {
        match text.get(at)? {
            byte if byte.is_ascii_alphanumeric() => {
                number[length] = *byte;
                length += 1;
            }
            b' ' | b'-' | b'+' if text[at - 1].is_ascii_alphanumeric() => {}
            _ => return None,
        }
        at += 1;
    }
    let ends = text.get(at).is_none_or(|b| !b.is_ascii_alphanumeric());
    (ends && checks(&number[..wanted])).then_some(at)
}

fn length(country: [u8; 2]) -> Option<usize> {
    let country = country.map(|letter| letter.to_ascii_uppercase());
    let has = |countries: &[u8]| countries.split(|b| *b == b' ').any(|known| known == country);
    LENGTHS.iter().find(|(_, countries)| has(countries)).map(|(length, _)| *length)
}

/// Whether the number, its first four characters behind the others and letters as 10 to 35, is 1 modulo 97.
fn checks(number: &[u8]) -> bool {
    let (first, rest) = number.split_at(4);
    let digits = rest.iter().chain(first).filter_map(|b| char::from(*b).to_digit(36));
    let remainder = digits.fold(0, |remainder, digit| {
        let shift = if digit < 10 { 10 } else { 100 };
        (remainder * shift + digit) % 97
    });
    remainder == 1
}

#[cfg(test)]
mod tests {
    use super::LENGTHS;
    use crate::config::Kind;
    use crate::tests::check_clean_of;

    #[test]
    fn account_numbers_are_found_whole() {
        check_clean_of(
            Kind::Iban,
            &[
                ("DE89370400440532013000", "[iban]"),
                ("IBAN:DE89 3704 0044 0532 0130 00 BIC", "IBAN:[iban] BIC"),
                ("gb82-west-1234-5698-7654-32", "[iban]"),
                ("/pay?to=NO9386011117947&n=1", "/pay?to=[iban]&n=1"),
                ("q=GB82+WEST+1234+5698+7654+32", "q=[iban]"),
                ("GR1601101250000000012300695", "[iban]"),
                ("iban_DE89370400440532013000_", "iban_[iban]_"),
                ("\x1b[31mDE89370400440532013000\x1b[0m", "\x1b[31m[iban]\x1b[0m"),
                ("MT84MALT011000012345MTLCAST001S.", "[iban]."),
            ],
        );
    }

    #[test]
    fn what_only_looks_like_one_stays_whole() {
        for text in [
            "DE89370400440532013001",
            "DE8937040044053201300",
            "DE893704004405320130000",
            "XDE89370400440532013000",
            "DE89  3704 0044 0532 0130 00",
            "DE89 3704 0044 0532 0130",
            "ZZ89370400440532013000",
            "DE123456789",
        ] {
            check_clean_of(Kind::Iban, &[(text, text)]);
        }
    }

    #[test]
    fn countries_are_there_once() {
        let countries = LENGTHS.iter().flat_map(|(_, countries)| countries.split(|b| *b == b' '));
        let mut countries: Vec<&[u8]> = countries.collect();
        let all = countries.len();
        countries.sort_unstable();
        countries.dedup();
        assert_eq!(countries.len(), all);
        assert!(LENGTHS.iter().all(|(length, _)| (super::MIN_LENGTH..=34).contains(length)));
    }
}
