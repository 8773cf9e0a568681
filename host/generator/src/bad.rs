//! Records that are wrong on purpose: which kinds there are, how many are wanted, how many made.
//!
//! In: text such as `2%` or `bad_ip=1%,truncated_json=0.5%`. Out: a choice for each record, and
//! counts, so that a test knows exactly how many rejections to expect. How a record of a kind is
//! spoiled is told where records are written, in [`super::shop`], [`super::clicks`] and [`super::events`].

use std::fmt;
use std::str::FromStr;

use super::Kind;
use super::dice::Dice;

macro_rules! bad_kinds {
    ($($(#[doc = $doc:literal])+ $kind:ident = $name:literal,)+) => {
        /// The ways in which a record can be bad. Each bad record is bad in exactly one way.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum BadKind { $($(#[doc = $doc])+ $kind,)+ }

        impl BadKind {
            /// All of them.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$kind),+];

            /// The stable name, as used in options and reports.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)+ }
            }
        }
    };
}

bad_kinds! {
    /// Shop: a field too few or too many.
    WrongFieldCount = "wrong_field_count",
    /// Shop: text where order, session or price belongs.
    NotANumber = "not_a_number",
    /// Shop: a country, colour, location or photography code that stands for nothing.
    UnknownCode = "unknown_code",
    /// Shop: year, month and day that make no date.
    BadDate = "bad_date",
    /// Shop: a main category other than the model's letter says.
    ModelCategoryMismatch = "model_category_mismatch",
    /// Shop: a quote before the model that nothing closes on the line.
    UnbalancedQuote = "unbalanced_quote",
    /// All: bytes that are not UTF-8, within the model or the user agent.
    InvalidUtf8 = "invalid_utf8",
    /// All: a price below zero.
    NegativePrice = "negative_price",
    /// Clicks, events: the line ends in the middle of the object.
    TruncatedJson = "truncated_json",
    /// Clicks, events: `event_id`, `event_timestamp` or `event_type` is absent; of one event of a message.
    MissingRequired = "missing_required",
    /// Clicks, events: text, list or object where a number or text belongs.
    WrongType = "wrong_type",
    /// Clicks, events: `ip` is no address.
    BadIp = "bad_ip",
    /// Clicks, events: `event_timestamp` is no time.
    BadTimestamp = "bad_timestamp",
    /// Clicks, events: `event_timestamp` is a century late.
    FutureTimestamp = "future_timestamp",
    /// Clicks, events: an `event_type` nobody knows.
    UnknownEventType = "unknown_event_type",
    /// Clicks, events: lists nested 200 deep in a field of their own, `context`.
    TooDeep = "too_deep",
}

const KINDS: usize = BadKind::ALL.len();

impl BadKind {
    /// Those that a generator of this kind can make.
    pub const fn of(kind: Kind) -> &'static [Self] {
        // As they stand above: six of the shop's own, two of all, eight of those in JSON.
        match kind {
            Kind::Shop => BadKind::ALL.split_at(8).0,
            Kind::Clicks | Kind::Events => BadKind::ALL.split_at(6).1,
        }
    }
}

impl fmt::Display for BadKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How large a part of all records is to be bad; by default none.
///
/// From text: one share for all kinds of the generator together (`2%`), or a list with one share
/// for each kind wanted (`bad_ip=1%,truncated_json=0.5%`); shares have up to six decimals and
/// sum to at most 100%.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BadShares(Shares);

/// In millionths of a percent.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Shares {
    Even(u64),
    Each([u64; KINDS]),
}

impl Default for Shares {
    fn default() -> Self {
        Self::Even(0)
    }
}

const PERCENT: u64 = 1_000_000;
const WHOLE: u64 = 100 * PERCENT;

/// Why shares of bad records make no sense.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadSharesError {
    /// Not a percentage.
    #[error(
        "`{value}` is not a share of bad records: expected a percentage such as `2%` or `0.5%`, \
         or kinds with one each such as `invalid_utf8=1%`; kinds are {}",
        list(&BadKind::ALL)
    )]
    NotAShare {
        /// What was given.
        value: String,
    },
    /// No generator makes such records.
    #[error("unknown kind of bad record `{name}`: kinds are {}", list(&BadKind::ALL))]
    UnknownKind {
        /// What was given.
        name: String,
    },
    /// This generator makes no such records.
    #[error(
        "generator `{generator}` makes no bad records of kind `{kind}`: its kinds are {}",
        list(BadKind::of(*.generator))
    )]
    OtherGenerator {
        /// The generator.
        generator: Kind,
        /// The kind that it does not make.
        kind: BadKind,
    },
    /// One kind, two shares.
    #[error("kind of bad record `{kind}` is given twice")]
    Twice {
        /// The kind.
        kind: BadKind,
    },
    /// More than all.
    #[error("shares of bad records in `{value}` sum to more than all records: limit 100%")]
    TooMuch {
        /// What was given.
        value: String,
    },
}

fn list(kinds: &[BadKind]) -> String {
    let names: Vec<String> = kinds.iter().map(|kind| format!("`{kind}`")).collect();
    names.join(", ")
}

impl BadShares {
    /// Whether a generator of this kind can make all that is asked for. One built regardless
    /// makes none of the kinds it cannot.
    pub fn check(&self, generator: Kind) -> Result<(), BadSharesError> {
        let foreign = BadKind::ALL.into_iter().find(|kind| {
            !BadKind::of(generator).contains(kind)
                && matches!(self.0, Shares::Each(shares) if shares[*kind as usize] > 0)
        });
        match foreign {
            Some(kind) => Err(BadSharesError::OtherGenerator { generator, kind }),
            None => Ok(()),
        }
    }
}

impl FromStr for BadShares {
    type Err = BadSharesError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let too_much = || BadSharesError::TooMuch { value: text.to_owned() };
        if !text.contains('=') {
            let share = percentage(text)?;
            return if share <= WHOLE { Ok(Self(Shares::Even(share))) } else { Err(too_much()) };
        }

        let mut shares = [None; KINDS];
        for part in text.split(',') {
            let (name, share) = part.split_once('=').ok_or_else(|| not_a_share(part))?;
            let kind = BadKind::ALL
                .into_iter()
                .find(|kind| kind.name() == name.trim())
                .ok_or_else(|| BadSharesError::UnknownKind { name: name.trim().to_owned() })?;
            if shares[kind as usize].replace(percentage(share)?).is_some() {
                return Err(BadSharesError::Twice { kind });
            }
        }
        let shares = shares.map(Option::unwrap_or_default);
        // Each is at most 10^17 and there are 16 of them: no overflow.
        if shares.iter().sum::<u64>() > WHOLE {
            return Err(too_much());
        }
        Ok(Self(Shares::Each(shares)))
    }
}

fn not_a_share(value: &str) -> BadSharesError {
    BadSharesError::NotAShare { value: value.trim().to_owned() }
}

/// `0.5%` in millionths of a percent.
fn percentage(text: &str) -> Result<u64, BadSharesError> {
    let digits = |text: &str, most| {
        let sound = !text.is_empty() && text.len() <= most;
        (sound && text.bytes().all(|b| b.is_ascii_digit())).then_some(())
    };
    let parse = |text: &str| {
        let number = text.strip_suffix('%')?;
        let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
        digits(whole, 9).and(digits(decimals, 6))?;
        Some(whole.parse::<u64>().ok()? * PERCENT + format!("{decimals:0<6}").parse::<u64>().ok()?)
    };
    parse(text.trim()).ok_or_else(|| not_a_share(text))
}

/// Decides for each record whether it is to be bad, and how.
pub(super) struct BadSampler {
    /// Upper bounds, of 2^32, of the kinds' parts of the line; what lies above is good.
    bounds: Vec<(u64, BadKind)>,
}

impl BadSampler {
    pub(super) fn new(shares: &BadShares, generator: Kind) -> Self {
        let kinds = BadKind::of(generator);
        let mut total = 0;
        let bounds = kinds.iter().map(|kind| {
            // In units of one n-th: an even share need not divide by the number of kinds.
            total += match &shares.0 {
                Shares::Even(share) => *share,
                Shares::Each(shares) => shares[*kind as usize] * kinds.len() as u64,
            };
            ((total << 32) / (WHOLE * kinds.len() as u64), *kind)
        });
        Self { bounds: bounds.collect() }
    }

    pub(super) fn draw(&self, dice: &mut Dice) -> Option<BadKind> {
        let (end, _) = self.bounds.last()?;
        let point = u64::from(dice.u32());
        if point >= *end {
            return None;
        }
        self.bounds.iter().find(|(bound, _)| point < *bound).map(|(_, kind)| *kind)
    }
}

/// How many records were made, good and of each bad kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    good: u64,
    bad: [u64; KINDS],
}

impl Counts {
    /// Good records.
    pub const fn good(&self) -> u64 {
        self.good
    }

    /// Bad records of a kind.
    pub const fn bad(&self, kind: BadKind) -> u64 {
        self.bad[kind as usize]
    }

    /// Bad records of all kinds.
    pub fn bad_total(&self) -> u64 {
        self.bad.iter().sum()
    }

    /// All records.
    pub fn total(&self) -> u64 {
        self.good + self.bad_total()
    }

    /// The bad kinds of which there were any.
    pub fn bad_kinds(&self) -> impl Iterator<Item = (BadKind, u64)> + '_ {
        BadKind::ALL.into_iter().zip(self.bad).filter(|(_, count)| *count > 0)
    }

    pub(super) fn add(&mut self, bad: Option<BadKind>) {
        match bad {
            None => self.good += 1,
            Some(kind) => self.bad[kind as usize] += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(shares: &str, generator: Kind) -> Counts {
        let sampler = BadSampler::new(&shares.parse().unwrap(), generator);
        let mut dice = Dice::new(7, b"testtest");
        let mut counts = Counts::default();
        (0..100_000).for_each(|_| counts.add(sampler.draw(&mut dice)));
        counts
    }

    #[test]
    fn one_share_is_spread_evenly_over_the_generators_kinds() {
        for generator in [Kind::Shop, Kind::Clicks, Kind::Events] {
            let counts = drawn("20%", generator);
            assert_eq!(counts.total(), 100_000);
            assert_eq!(counts.bad_kinds().count(), BadKind::of(generator).len());
            for kind in BadKind::of(generator) {
                let expected = 20_000 / BadKind::of(generator).len() as u64;
                let found = counts.bad(*kind);
                assert!(found.abs_diff(expected) < expected / 10, "{kind}: {found} {expected}");
            }
        }
    }

    #[test]
    fn shares_of_kinds_are_kept_to() {
        let counts = drawn("bad_ip=1%, invalid_utf8=0.5%", Kind::Clicks);
        assert!((900..1100).contains(&counts.bad(BadKind::BadIp)));
        assert!((420..580).contains(&counts.bad(BadKind::InvalidUtf8)));
        assert_eq!(counts.bad_kinds().count(), 2);
        assert_eq!(drawn("0%", Kind::Shop).bad_total(), 0);
        assert_eq!(drawn("100%", Kind::Shop).good(), 0);
        assert_eq!(drawn("bad_ip=100%", Kind::Clicks).good(), 0);
        assert_eq!(drawn("bad_ip=100%", Kind::Shop).bad_total(), 0);
    }

    #[test]
    fn errors_name_the_value_and_what_is_allowed() {
        let error = |text: &str| text.parse::<BadShares>().unwrap_err().to_string();
        assert_eq!(
            error("bad_pi=1%"),
            "unknown kind of bad record `bad_pi`: kinds are `wrong_field_count`, `not_a_number`, \
             `unknown_code`, `bad_date`, `model_category_mismatch`, `unbalanced_quote`, \
             `invalid_utf8`, `negative_price`, `truncated_json`, `missing_required`, \
             `wrong_type`, `bad_ip`, `bad_timestamp`, `future_timestamp`, `unknown_event_type`, \
             `too_deep`"
        );
        for text in ["", "2", "-1%", "1e2%", ".5%", "1.%", "0.1234567%", "%", "1 %", "bad_ip"] {
            let error = error(text);
            assert!(error.starts_with(&format!("`{text}` is not a share")), "{error}");
            assert!(error.contains("`bad_timestamp`"), "{error}");
        }
        assert!(error("bad_ip=1%,2%").starts_with("`2%` is not a share"));
        assert!(error("bad_ip=x").starts_with("`x` is not a share"));
        assert_eq!(error("bad_ip=1%,bad_ip=1%"), "kind of bad record `bad_ip` is given twice");
        for text in ["100.000001%", "bad_ip=60%,too_deep=60%", "999999999%"] {
            assert!(error(text).contains("sum to more than all records: limit 100%"));
        }
    }

    #[test]
    fn kinds_of_the_other_generator_are_found_by_check() {
        let shares: BadShares = "bad_date=1%,bad_ip=0%".parse().unwrap();
        assert_eq!(shares.check(Kind::Shop), Ok(()));
        assert_eq!(
            shares.check(Kind::Clicks).unwrap_err().to_string(),
            "generator `clicks` makes no bad records of kind `bad_date`: its kinds are \
             `invalid_utf8`, `negative_price`, `truncated_json`, `missing_required`, \
             `wrong_type`, `bad_ip`, `bad_timestamp`, `future_timestamp`, `unknown_event_type`, \
             `too_deep`"
        );
        assert_eq!("3%".parse::<BadShares>().unwrap().check(Kind::Clicks), Ok(()));
    }
}
