//! What a text of ASCII without escapes has of the signs, sixteen bytes at once.
//!
//! A byte's classes are looked up by its upper and by its lower four bits: it has those that both have. So a
//! class is all bytes with some upper and some lower bits, and what is not is put together from several. As
//! in the scan byte by byte, the second byte of a pair has the bit next to that of the first.

use super::lanes::{LANES, Lanes};

/// A set of bytes, each of these upper bits with each of these lower bits.
type Set = (&'static [u8], &'static [u8]);

const DIGIT: Set = (&[3], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
/// Space, `)`, `+`, `-`, `.` and `/`.
const SEPARATOR: Set = (&[2], &[0, 9, 0xB, 0xD, 0xE, 0xF]);
/// Space, `-` and `/`.
const GOES_ON: Set = (&[2], &[0, 0xD, 0xF]);
/// Space, a tab, `(`, `+` and `.`, with them `)` and some that no text has.
const BEFORE_DIGIT: Set = (&[0, 2], &[0, 8, 9, 0xB, 0xE]);
/// `<`, `=` and `>`.
const EQUALS: Set = (&[3], &[0xC, 0xD, 0xE]);
const B: Set = (&[4, 6], &[2]);
const E: Set = (&[4, 6], &[5]);
const Y: Set = (&[7], &[9]);
const J: Set = (&[4], &[0xA]);
const COLON: Set = (&[3], &[0xA]);
const AMPERSANDS: Set = (&[2], &[6]);
const SEMICOLONS: Set = (&[3], &[0xB]);
const AT: Set = (&[4], &[0]);

/// From the least significant bit on.
const NUMBERS: Classes =
    Classes::of([DIGIT, SEPARATOR, GOES_ON, BEFORE_DIGIT, DIGIT, SEPARATOR, DIGIT, EQUALS]);
/// A digit, and `=`, `<` or `>`.
const NUMBER_SINGLES: u8 = 1 | 1 << 7;
/// What is before a digit, and the digit.
const NUMBER_PAIRS: u8 = 1 << 4;
/// A digit, a separator, and what goes on.
const NUMBER_TRIPLES: u8 = 1 << 2 | 1 << 6;

const WORDS: Classes = Classes::of([B, E, Y, J, COLON, AMPERSANDS, SEMICOLONS, AT]);
const IS_COLON: u8 = 1 << 4;
/// `&`, `;` and `@`.
const WORD_SINGLES: u8 = 1 << 5 | 1 << 6 | 1 << 7;
/// `be` and `yJ`.
const WORD_PAIRS: u8 = 1 << 1 | 1 << 3;

/// Eight classes of bytes: those by the upper and those by the lower bits.
struct Classes {
    upper: [u8; LANES],
    lower: [u8; LANES],
}

impl Classes {
    const fn of(sets: [Set; 8]) -> Self {
        let (mut upper, mut lower) = ([0; LANES], [0; LANES]);
        let mut bit = 0;
        while bit < sets.len() {
            let (uppers, lowers) = sets[bit];
            let mut at = 0;
            while at < uppers.len() {
                upper[uppers[at] as usize] |= 1 << bit;
                at += 1;
            }
            let mut at = 0;
            while at < lowers.len() {
                lower[lowers[at] as usize] |= 1 << bit;
                at += 1;
            }
            bit += 1;
        }
        Self { upper, lower }
    }
}

/// What there is in a text.
pub(super) struct Found {
    /// `@`.
    pub at: bool,
    /// `=`, `<`, `>`, or `:` that is not followed by `/`.
    pub assign: bool,
    /// `&` and `;`, of which escapes of HTML are made.
    pub ampersand: bool,
    pub semicolon: bool,
    /// `yJ`.
    pub jwt: bool,
    /// `be`, in any case.
    pub bearer: bool,
    pub digit: bool,
    /// A digit behind what stands before numbers, or with a separator and more behind it.
    pub phone: bool,
}

/// What was seen so far, and the classes of the sixteen bytes before.
struct Seen {
    bytes: Lanes,
    escapes: Lanes,
    colons: Lanes,
    number_singles: Lanes,
    number_pairs: Lanes,
    number_triples: Lanes,
    word_singles: Lanes,
    word_pairs: Lanes,
    numbers_before: Lanes,
    pairs_before: Lanes,
    words_before: Lanes,
}

/// What there is in a text: `None` where it is short, or has an escape or a byte that is not of ASCII, which
/// the scan byte by byte knows about.
#[inline]
pub(super) fn scan(text: &[u8]) -> Option<Found> {
    let last = text.last_chunk::<LANES>()?;
    let none = Lanes::all(0);
    let mut seen = Seen {
        bytes: none,
        escapes: none,
        colons: none,
        number_singles: none,
        number_pairs: none,
        number_triples: none,
        word_singles: none,
        word_pairs: none,
        numbers_before: none,
        pairs_before: none,
        words_before: none,
    };
    let (chunks, rest) = text.as_chunks::<LANES>();
    for chunk in chunks {
        seen.add(Lanes::of(chunk), Lanes::all(0xFF));
    }
    if !rest.is_empty() {
        // The last sixteen bytes without those that were looked at, and zeros behind them.
        let places = Lanes::of(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
        let bytes = places.plus((LANES - rest.len()) as u8).of_table(Lanes::of(last));
        seen.add(bytes, places.is_below(rest.len() as u8));
    }
    seen.found()
}

impl Seen {
    /// Adds sixteen bytes. Where `there` is empty there is none.
    #[inline(always)]
    fn add(&mut self, bytes: Lanes, there: Lanes) {
        let (upper, lower) = (bytes.upper(), bytes.and(Lanes::all(0x0F)));
        let classes = |of: &Classes| {
            upper.of_table(Lanes::of(&of.upper)).and(lower.of_table(Lanes::of(&of.lower)))
        };
        let numbers = classes(&NUMBERS);
        let pairs = numbers.behind(self.numbers_before).twice().and(numbers);
        let triples = pairs.behind(self.pairs_before).twice().and(numbers);
        let words = classes(&WORDS);
        let before = words.behind(self.words_before);
        let colons = before.and(Lanes::all(IS_COLON)).and(bytes.is(b'/').not()).and(there);
        self.bytes = self.bytes.or(bytes);
        self.escapes = self.escapes.or(bytes.is(b'%')).or(bytes.is(b'\\')).or(bytes.is(0x1B));
        self.colons = self.colons.or(colons);
        self.number_singles = self.number_singles.or(numbers);
        self.number_pairs = self.number_pairs.or(pairs);
        self.number_triples = self.number_triples.or(triples);
        self.word_singles = self.word_singles.or(words);
        self.word_pairs = self.word_pairs.or(before.twice().and(words));
        self.numbers_before = numbers;
        self.pairs_before = pairs;
        self.words_before = words;
    }

    /// Never a call: what was seen would be in memory for it, all along the text.
    #[inline(always)]
    fn found(&self) -> Option<Found> {
        let is_other = self.bytes.and(Lanes::all(0x80)).or(self.escapes);
        if is_other.any() != 0 {
            return None;
        }
        let of = |lanes: Lanes, bits| lanes.and(Lanes::all(bits));
        let numbers = of(self.number_singles, NUMBER_SINGLES)
            .or(of(self.number_pairs, NUMBER_PAIRS))
            .or(of(self.number_triples, NUMBER_TRIPLES))
            .any();
        let words = of(self.word_singles, WORD_SINGLES)
            .or(of(self.word_pairs, WORD_PAIRS))
            .or(self.colons)
            .any();
        let has = |bits: u8, bit: u8| bits >> bit & 1 == 1;
        Some(Found {
            at: has(words, 7),
            assign: has(numbers, 7) || words & IS_COLON != 0,
            ampersand: has(words, 5),
            semicolon: has(words, 6),
            jwt: has(words, 3),
            bearer: has(words, 1),
            digit: has(numbers, 0),
            phone: numbers & (NUMBER_PAIRS | NUMBER_TRIPLES) != 0,
        })
    }
}
