//! The type that scalars support, and why.

use crate::form::Form;
use crate::node::Seen;
use crate::personal;

/// A column's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Boolean,
    Integer,
    Float,
    Decimal,
    Date,
    Time,
    Datetime,
    Timestamp,
    Text,
    Json,
    Record,
}

impl Kind {
    /// As `parse` calls it.
    pub(crate) fn parsed(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Integer => "int64",
            Self::Float => "float64",
            Self::Decimal => "decimal",
            Self::Date => "date",
            Self::Time => "time",
            Self::Datetime => "datetime",
            Self::Timestamp => "timestamp",
            Self::Text => "text",
            Self::Json => "json",
            Self::Record => "record",
        }
    }

    /// As BigQuery calls it.
    pub(crate) fn in_table(self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::Integer => "INTEGER",
            Self::Float => "FLOAT",
            Self::Decimal => "NUMERIC",
            Self::Date => "DATE",
            Self::Time => "TIME",
            Self::Datetime => "DATETIME",
            Self::Timestamp => "TIMESTAMP",
            Self::Text => "STRING",
            Self::Json => "JSON",
            Self::Record => "RECORD",
        }
    }
}

/// What scalars are.
pub(crate) struct Decided {
    pub kind: Kind,
    /// What was seen, in words; nothing where there is nothing to say.
    pub why: String,
    /// Words that stand for nothing are null.
    pub nothing_is_null: bool,
}

/// Why numbers are dates.
const COMPACT: &str = "days as eight digits";
/// More digits than that a float does not keep.
pub(crate) const FLOAT_DIGITS: usize = 15;

/// The type of scalars, of which `name` is the name.
pub(crate) fn decide(seen: &Seen, name: &str) -> Decided {
    let text = |why: String| Decided { kind: Kind::Text, why, nothing_is_null: false };
    let [booleans, numbers, texts] = seen.json;
    if [booleans, numbers, texts].iter().filter(|count| **count > 0).count() > 1 {
        return text(format!(
            "of several types ({booleans} booleans, {numbers} numbers, {texts} texts), so text as it is spelled"
        ));
    }
    let nothing = seen.of(Form::Nothing);
    let count = seen.count - nothing;
    let all = |forms: &[Form]| forms.iter().map(|form| seen.of(*form)).sum::<u64>() == count;
    let has = |form: Form| seen.of(form) > 0;
    if count == 0 {
        return text("no value was seen, so text".to_owned());
    }
    // What JSON calls a number is one, and so it is beside others that have an exponent and are no code.
    let are_codes = numbers == 0 && has(Form::Coded) && !has(Form::Float);
    if are_codes && all(&[Form::Coded, Form::Integer, Form::Decimal, Form::Zeros]) {
        return text(
            "some are such as `12E3`, which may be a code, so text as it is spelled".to_owned(),
        );
    }
    let number = &[Form::Integer, Form::Decimal, Form::Float, Form::Coded][..];
    let (kind, why) = if all(&[Form::Boolean]) && is_boolean(seen) {
        (Kind::Boolean, String::new())
    } else if all(number) {
        match of_number(seen, name) {
            Ok(decided) => decided,
            Err(why) => return text(why),
        }
    } else if all(&[Form::Date]) {
        (Kind::Date, String::new())
    } else if all(&[Form::Text]) && seen.compact_texts == count && has_date(name) {
        (Kind::Date, COMPACT.to_owned())
    } else if all(&[Form::Time]) {
        (Kind::Time, String::new())
    } else if all(&[Form::Date, Form::Datetime]) {
        (Kind::Datetime, "no zone is given, so none is made up".to_owned())
    } else if all(&[Form::Date, Form::Datetime, Form::Timestamp]) {
        let why = if has(Form::Date) || has(Form::Datetime) {
            "some have no zone: those are taken for UTC".to_owned()
        } else {
            String::new()
        };
        (Kind::Timestamp, why)
    } else {
        let counted = |form: Form, what: &str| match seen.of(form) {
            0 => String::new(),
            count => format!("{count} {what}"),
        };
        let told = [
            counted(Form::Zeros, "with zeros in front, which a number would lose"),
            counted(
                Form::LocalDate,
                &format!(
                    "{}, and only dates whose year comes first are read: DATE(CAST(REGEXP_EXTRACT(…) AS INT64), …) in a query reads them",
                    seen.local_dates.why()
                ),
            ),
            counted(
                Form::NamedZone,
                "with the name of a time zone, which does not say its offset: TIMESTAMP(SUBSTR(…), zone) in a query reads them",
            ),
            counted(
                Form::CommaNumber,
                "with a comma in the number: CAST(REPLACE(…)) in a query reads them",
            ),
        ];
        let told: Vec<String> = told.into_iter().filter(|text| !text.is_empty()).collect();
        return text(match told.is_empty() {
            true if seen.of(Form::Text) == count => String::new(),
            true if all(&[Form::Boolean]) => {
                "only one word of a pair such as `yes` and `no`, or words of several, so text as it is spelled".to_owned()
            }
            true => format!("of several types ({}), so text as it is spelled", by_form(seen)),
            false => format!("text: {}", told.join("; ")),
        });
    };
    let mut told = vec![why];
    if seen.beyond_micros > 0 {
        told.push("what is smaller than a microsecond is cut off".to_owned());
    }
    if nothing > 0 {
        told.push(format!(
            "{nothing} words such as `NA` are null, and so is what is not a value of the type, counted"
        ));
    }
    told.retain(|text| !text.is_empty());
    Decided { kind, why: told.join("; "), nothing_is_null: nothing > 0 }
}

/// How many values have which form, in words.
fn by_form(seen: &Seen) -> String {
    let times = [Form::Time, Form::Datetime, Form::Timestamp];
    let told = [
        (&[Form::Boolean][..], "truth values"),
        (&[Form::Integer, Form::Decimal, Form::Float, Form::Coded], "numbers"),
        (&[Form::Date], "dates"),
        (&times, "times"),
        (&[Form::Text], "texts"),
    ];
    let told = told
        .iter()
        .map(|(forms, what)| (forms.iter().map(|form| seen.of(*form)).sum::<u64>(), what));
    let told: Vec<String> = told
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    told.join(", ")
}

/// Whether words are truth values: those that say so, or both of a pair.
fn is_boolean(seen: &Seen) -> bool {
    const TRUE_AND_FALSE: usize = 0;
    let families: Vec<usize> = seen.booleans.iter().map(|(family, _)| *family).collect();
    let is_one = families.iter().all(|family| *family == families[0]);
    is_one && (families[0] == TRUE_AND_FALSE || seen.booleans.len() == 2)
}

fn of_number(seen: &Seen, name: &str) -> Result<(Kind, String), String> {
    let floats = seen.of(Form::Float) + seen.of(Form::Coded);
    let (has_decimals, has_floats) = (seen.of(Form::Decimal) > 0, floats > 0);
    let (least, most) = seen.numbers.unwrap_or_default();
    // `VAT` may be either a number that names somebody, or money.
    let is_amount = seen.fraction_digits > 0 && personal::is_money(name);
    if personal::is_identifier(name) && !is_amount {
        return Err("its name says that it names things, so its digits stay as they are".to_owned());
    }
    if personal::is_version(name) {
        return Err("its name says that it is a version, and 1.10 is none of 1.1's".to_owned());
    }
    if seen.may_be_grouped() {
        return Err("such as `1.234`, of which nobody can tell thousands from thousandths: CAST(REPLACE(…)) in a query can".to_owned());
    }
    if !has_decimals && !has_floats {
        let is_epoch = [1e9, 1e12, 1e15, 1e18].iter().any(|one| least >= *one && most < one * 3.0);
        return Ok(if personal::is_money(name) {
            (Kind::Decimal, "its name says money, so cents have room".to_owned())
        } else if is_epoch && personal::is_moment(name) {
            let cut = if least >= 1e18 { ": nanoseconds, cut to microseconds" } else { "" };
            (Kind::Timestamp, format!("seconds, or parts of them, since 1970{cut}"))
        } else if seen.compact_dates == seen.of(Form::Integer) && has_date(name) {
            (Kind::Date, COMPACT.to_owned())
        } else {
            (Kind::Integer, String::new())
        });
    }
    // What a float is written as has at most 17.
    if has_floats && seen.most_digits > FLOAT_DIGITS + 2 {
        return Err("numbers with more digits than one type keeps, so text".to_owned());
    }
    let is_exact = !has_floats
        && (seen.fraction_digits <= 2
            || personal::is_money(name)
            || seen.most_digits > FLOAT_DIGITS);
    Ok(if !is_exact {
        (Kind::Float, String::new())
    } else if seen.fraction_digits == 0 {
        (Kind::Decimal, "more digits than 64 bits have room for".to_owned())
    } else {
        let digits = match seen.fraction_digits {
            1 => "1 digit".to_owned(),
            digits => format!("{digits} digits"),
        };
        (Kind::Decimal, format!("exact, at most {digits} behind the point"))
    })
}

fn has_date(name: &str) -> bool {
    personal::words(name).iter().any(|word| matches!(word.as_str(), "date" | "day" | "datum"))
}
