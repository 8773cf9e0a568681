//! The spellings of a record in which a value may stand: its bytes, and what decoders make of them.

use std::borrow::Cow;
use std::cell::OnceCell;

use memchr::{memchr, memmem};

use super::search::{Known, Search};
use clickmill_config::Dialect;
use clickmill_core::words::{stands, unescaped};
use clickmill_decode::csv_fields;

/// How the records of a batch are written.
#[derive(Clone, Copy)]
pub(super) struct Writing<'a> {
    /// Of delimited text.
    dialect: Option<&'a Dialect>,
    source: &'a str,
    /// No record has another spelling than its bytes: that is known of all of them by one look.
    is_plain: bool,
}

impl<'a> Writing<'a> {
    /// That of the records of `source` in this block, which are delimited text where there is a dialect.
    pub(super) fn of(block: &[u8], dialect: Option<&'a Dialect>, source: &'a str) -> Self {
        let differs = dialect.is_some_and(|dialect| may_differ(block, dialect));
        Self { dialect, source, is_plain: !differs && memchr(b'\\', block).is_none() }
    }
}

/// A record in all its spellings. All but the first are made when they are needed.
pub(super) struct Spellings<'a> {
    writing: Writing<'a>,
    record: &'a [u8],
    others: OnceCell<Vec<Vec<u8>>>,
    search: Search,
}

/// Whether a value stands somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stands {
    Nowhere,
    Here,
    /// There are too many values to look for.
    Unknown,
}

impl<'a> Spellings<'a> {
    /// Those of no record yet.
    pub(super) fn new(writing: Writing<'a>) -> Self {
        Self { writing, record: &[], others: OnceCell::new(), search: Search::default() }
    }

    /// Goes on to the next record.
    pub(super) fn begin(&mut self, record: &'a [u8]) {
        self.record = record;
        self.others.take();
        self.search.begin();
    }

    /// Whether so many values were looked for that what is cheaper than to look comes first.
    pub(super) fn were_many(&self) -> bool {
        self.search.are_many()
    }

    /// Whether a value stands in any of them as a word of its own.
    pub(super) fn hold(&self, value: &str) -> Stands {
        let has_quotes = memchr(b'"', value.as_bytes()).is_some();
        // Nearly all of them are spelled in one way.
        if !has_quotes && value.is_ascii() {
            return self.hold_any(value, &[value]);
        }
        let doubled = has_quotes.then(|| value.replace('"', "\"\""));
        let cases = cases(value);
        let others = doubled.iter().chain(&cases).map(String::as_str);
        self.hold_any(value, &std::iter::once(value).chain(others).collect::<Vec<_>>())
    }

    fn hold_any(&self, value: &str, spelled: &[&str]) -> Stands {
        match self.search.known(value, spelled, || self.all()) {
            Known::Absent => return Stands::Nowhere,
            Known::TooMany => return Stands::Unknown,
            Known::Unknown => {}
        }
        let is_in = |text: &[u8]| spelled.iter().any(|value| stands(value.as_bytes(), text));
        if is_in(self.record) || self.others().iter().any(|text| is_in(text)) {
            return Stands::Here;
        }
        self.search.was_absent(value);
        Stands::Nowhere
    }

    fn all(&self) -> Vec<&[u8]> {
        std::iter::once(self.record).chain(self.others().iter().map(Vec::as_slice)).collect()
    }

    /// The fields of delimited text, and both with the escapes of JSON resolved: fields may hold it.
    fn others(&self) -> &[Vec<u8>] {
        let Writing { dialect, source, is_plain } = self.writing;
        if is_plain {
            return &[];
        }
        self.others.get_or_init(|| {
            let fields = dialect.filter(|dialect| may_differ(self.record, dialect));
            let fields = fields.map(|dialect| csv_fields(dialect, source, self.record));
            let texts = [Some(self.record), fields.as_deref()];
            let texts = texts.into_iter().flatten().map(unescaped);
            let owned = |text: Cow<'_, [u8]>| match text {
                Cow::Owned(text) => Some(text),
                Cow::Borrowed(_) => None,
            };
            let mut others: Vec<Vec<u8>> = texts.filter_map(owned).collect();
            others.extend(fields);
            others
        })
    }
}

/// A value in small letters and in large ones, where it has others than those of ASCII: of these, no case counts
/// wherever values are looked for.
pub(super) fn cases(value: &str) -> Vec<String> {
    if value.is_ascii() { Vec::new() } else { vec![value.to_lowercase(), value.to_uppercase()] }
}

/// Whether words of the fields may be other ones than words of the records.
fn may_differ(records: &[u8], dialect: &Dialect) -> bool {
    let Dialect { quote, escape, .. } = *dialect;
    let escapes = escape.filter(|escape| *escape != quote);
    // Few records have a quote; those that names tell are no letters.
    let is_doubled = || memmem::find(records, &[quote, quote]).is_some();
    (memchr(quote, records).is_some() && is_doubled())
        || escapes.is_some_and(|escape| memchr(escape, records).is_some())
        || dialect.delimiter.is_some_and(|delimiter| delimiter.is_ascii_alphanumeric())
        || quote.is_ascii_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(value: &str, record: &[u8]) -> bool {
        holds(&spellings(record, None), value)
    }

    /// Those of a record alone, as those of one that is beside others.
    fn spellings<'a>(record: &'a [u8], dialect: Option<&'a Dialect>) -> Spellings<'a> {
        let mut spellings = Spellings::new(Writing::of(record, dialect, "a.csv@1"));
        spellings.begin(b"another");
        assert_eq!(spellings.hold("another"), Stands::Here);
        spellings.begin(record);
        spellings
    }

    /// Whether a value is held, be it the first one or one of many.
    fn holds(record: &Spellings<'_>, value: &str) -> bool {
        let first = record.hold(value);
        (0..20).for_each(|n| assert_eq!(record.hold(&format!("#{n}#")), Stands::Nowhere));
        assert!(record.were_many());
        assert_eq!(record.hold(value), first, "{value}");
        first == Stands::Here
    }

    #[test]
    fn a_value_came_in_where_it_is_a_word_of_the_record() {
        let record = br#"{"user_id":"u-4711","ip":"192.0.2.77"}"#;
        for (value, wanted) in [
            ("u-4711", true),
            ("192.0.2.77", true),
            ("192.0.2.7", false),
            ("u-471", false),
            ("192.0.2.0", false),
            ("", false),
            ("4711", true),
        ] {
            assert_eq!(held(value, record), wanted, "{value}");
        }
        assert!(held("u-4711", b"u-4711"));
    }

    #[test]
    fn a_value_came_in_however_it_was_spelled() {
        for (value, record) in [
            ("zoë-4711", r#"{"user_id":"zo\u00EB-4711"}"#),
            ("u-😀-1", r#"{"user_id":"u-\ud83d\ude00-1"}"#),
            ("u-1", r#"{"user_id":"\u0075\u002d\u0031"}"#),
            ("a/b\"c\\d", r#"{"user_id":"a\/b\"c\\d"}"#),
            ("two\nlines", r#"{"user_id":"two\nlines"}"#),
            ("say \"x\"", r#"1,"say ""x""",2"#),
            ("zoë-4711", r#"{"user_id":"ZOË-4711"}"#),
            ("ЖАННА.77", r#"{"user_id":"жанна.77"}"#),
            ("Müller.77", r#"{"user_id":"M\u00dcLLER.77"}"#),
        ] {
            assert!(held(value, record.as_bytes()), "{value}");
        }
        for (value, record) in [
            ("u-1", r#"{"user_id":"u-\u0031\u0032"}"#),
            ("ab", r#"{"user_id":"a\u00zzb"}"#),
            ("x", r#"{"user_id":"\"#),
        ] {
            assert!(!held(value, record.as_bytes()), "{value}");
        }
    }

    #[test]
    fn a_value_came_in_however_its_dialect_spells_it() {
        let dialect = |quote, escape| Dialect { quote, escape, ..Dialect::default() };
        let plain = dialect(b'"', None);
        let single = dialect(b'\'', None);
        let caret = dialect(b'"', Some(b'^'));
        let backslash = dialect(b'"', Some(b'\\'));
        let letters = Dialect { delimiter: Some(b'x'), ..dialect(b'q', None) };
        for (dialect, value, record) in [
            (plain, r#"say "x""#, r#"1,"say ""x""",2"#),
            (plain, "zoë-1", r#"1,"{""user_id"":""zo\u00EB-1""}""#),
            (plain, r#"a"b"#, r#"1,"{""user_id"":""a\""b""}""#),
            (single, "O'Brien", "1,'O''Brien',2"),
            (single, "O'Brien", "1,O'Brien,2"),
            (caret, r#"a"b"#, r#"1,"a^"b",2"#),
            (caret, r#"a"b"#, r#"1,a^"b,2"#),
            (caret, "a^b", r#"1,"a^^b",2"#),
            (caret, "a,b", "1,a^,b,2"),
            (caret, "a^,b", r#"1,"a^,b",2"#),
            (caret, r#"a"b"c"#, r#"1,"a^"b""c",2"#),
            (backslash, r#"a"b\new"#, r#"1,"a\"b\new",2"#),
            (backslash, r"a\b\new", r#"1,"a\\b\new",2"#),
            (backslash, r"C:\new,old", r"1,C:\new\,old,2"),
            (letters, "u-4711", "1xu-4711x2"),
            (letters, "u-4711", "1xqu-4711qx2"),
        ] {
            let record = spellings(record.as_bytes(), Some(&dialect));
            assert!(holds(&record, value), "{value} in {dialect:?}");
        }
        for (dialect, value, record) in [
            (single, "O''Brien", "1,'O\"Brien',2"),
            (caret, "a", r#"1,"b^"c",2"#),
            (backslash, "k1:5f", r#"1,"a\"b\new",2"#),
            (letters, "4711", "1xu-14711x2"),
        ] {
            let record = spellings(record.as_bytes(), Some(&dialect));
            assert!(!holds(&record, value), "{value} in {dialect:?}");
        }
    }
}
