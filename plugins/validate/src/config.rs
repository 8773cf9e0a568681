//! What the pipeline file may set: a list of rules, each a table with one kind of check in it. A rule
//! that makes no sense is kept as the text of its problem, so that all of them are told at once, each
//! with its number.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Number, Value};

/// The rules that rows must keep.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The rules, in the order in which they are told. The first one that a row breaks decides on it.
    #[schemars(with = "Vec<RuleConfig>")]
    pub(crate) rules: Vec<Entry>,
    /// Columns of the rules whose values no message may hold.
    #[serde(default)]
    pub(crate) sensitive: Vec<String>,
}

/// A rule, or what is wrong with it.
pub(crate) struct Entry(pub(crate) Result<RuleConfig, String>);

/// One rule: exactly one of the kinds `required`, `enum`, `range`, `regex`, `length`, `elements`, `window`,
/// `compare` and `starts`. A null breaks `required` and no other.
///
/// Columns are named by path. What lies in a list, such as `items.price`, is checked element by element, and
/// one that breaks the rule is enough; it is told with its number, `items[3].price`. All columns of a rule lie in
/// the same list, but for that of `when`, which may lie in none.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleConfig {
    /// What the rejection is counted by, 1 to 64 of `a-z`, `0-9` and `_`, not beginning with `plugin_`. By
    /// default the kind's own word: required, not_allowed, out_of_range, no_match, bad_length, bad_count,
    /// out_of_window, inconsistent or wrong_prefix.
    #[serde(default)]
    pub(crate) code: Option<String>,
    /// What becomes of a row that breaks the rule.
    #[serde(default)]
    pub(crate) action: Action,
    /// The rows that the rule is for. By default all.
    #[serde(default)]
    pub(crate) when: Option<When>,
    /// Columns that must not be null.
    #[serde(default)]
    pub(crate) required: Option<Required>,
    /// The values that a column may have.
    #[serde(default, rename = "enum")]
    pub(crate) one_of: Option<OneOf>,
    /// The least and the greatest value of a number.
    #[serde(default)]
    pub(crate) range: Option<Range>,
    /// A pattern that a text must match.
    #[serde(default)]
    pub(crate) regex: Option<Pattern>,
    /// How long a text may be.
    #[serde(default)]
    pub(crate) length: Option<Length>,
    /// How many elements a list may have.
    #[serde(default)]
    pub(crate) elements: Option<Elements>,
    /// How far a date or timestamp may be from the time at which the row was taken in.
    #[serde(default)]
    pub(crate) window: Option<Window>,
    /// How the values of two columns must compare.
    #[serde(default)]
    pub(crate) compare: Option<Compare>,
    /// What a text must start with, by the value of another column.
    #[serde(default)]
    pub(crate) starts: Option<Starts>,
}

/// What becomes of a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Action {
    /// It goes to the dead-letter table.
    #[default]
    Reject,
    /// It is filtered out and counted.
    Drop,
}

/// Rows in which a column has one of some values.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct When {
    /// A text or int64 column.
    pub(crate) column: String,
    /// Texts or integers, as the column's type is.
    pub(crate) values: Vec<Value>,
}

/// Columns that must not be null, and lists that must not be empty. An empty text is not null: `length` with
/// `min = 1` refuses it. A field of a record that is null is null; one in a list is asked of each element.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Required {
    /// Columns of any type.
    pub(crate) columns: Vec<String>,
}

/// The values that a column may have.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OneOf {
    /// A text or int64 column.
    pub(crate) column: String,
    /// Texts or integers, as the column's type is.
    pub(crate) values: Vec<Value>,
}

/// The least and the greatest value of a number, themselves included. NaN is in no range.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Range {
    /// An int64, float64 or decimal column.
    pub(crate) column: String,
    /// The least value. At least one of `min` and `max` is wanted.
    #[serde(default)]
    pub(crate) min: Option<Limit>,
    /// The greatest value.
    #[serde(default)]
    pub(crate) max: Option<Limit>,
}

/// A limit of a range: a number; of a decimal column also its text, for digits that a float does not have.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Limit {
    /// A number.
    Number(Number),
    /// An exact number: "19.99".
    Text(String),
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// How many elements a list may have.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Elements {
    /// A repeated column, of any type.
    pub(crate) column: String,
    /// The fewest elements. At least one of `min` and `max` is wanted.
    #[serde(default)]
    pub(crate) min: Option<u64>,
    /// The most elements.
    #[serde(default)]
    pub(crate) max: Option<u64>,
}

/// A pattern that must be found in a text.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pattern {
    /// A text column.
    pub(crate) column: String,
    /// A regular expression in the syntax of the Rust crate `regex`. It is searched for: write `^…$`
    /// where the whole text must match. Letter case and classes like `\d` and `\w` are those of ASCII,
    /// and `.` is one byte, which for other scripts is part of a character: `(?u:.)` is a whole one.
    pub(crate) pattern: String,
}

/// How long a text may be, in characters (Unicode scalar values).
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Length {
    /// A text column.
    pub(crate) column: String,
    /// The fewest characters. At least one of `min` and `max` is wanted.
    #[serde(default)]
    pub(crate) min: Option<u64>,
    /// The most characters.
    #[serde(default)]
    pub(crate) max: Option<u64>,
}

/// How far a date or timestamp may be from the time at which the row was taken in, which a replay does
/// not change. A date is the whole of its day: it is within the window where any part of it is.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Window {
    /// A date or timestamp column.
    pub(crate) column: String,
    /// How many days it may lie back. At least one limit is wanted, and only one for the past.
    #[serde(default)]
    pub(crate) past_days: Option<u32>,
    /// How many seconds it may lie back.
    #[serde(default)]
    pub(crate) past_secs: Option<u32>,
    /// How many seconds it may lie ahead.
    #[serde(default)]
    pub(crate) future_secs: Option<u32>,
}

/// How the values of two columns must compare: both numbers, or both date, time, datetime, timestamp or text.
/// Beside a float64 an int64 is taken as one, beside a decimal it is compared exactly; a float64 and a decimal
/// are not compared. Texts compare by their bytes. A row where either is null passes.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Compare {
    /// The column on the left, the one at fault.
    pub(crate) left: String,
    /// What must hold between them.
    pub(crate) op: Operator,
    /// The column on the right.
    pub(crate) right: String,
}

/// A comparison. With a NaN only `ne` holds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Operator {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Less than.
    Lt,
    /// At most.
    Le,
    /// Greater than.
    Gt,
    /// At least.
    Ge,
}

/// What a text must start with, by the value of another column: a clothing model's first letter names
/// its category. A row where either is null passes.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Starts {
    /// A text column.
    pub(crate) column: String,
    /// The column that decides, text or int64.
    pub(crate) by: String,
    /// The prefix for each value of `by`; an integer is given as its decimal text.
    pub(crate) prefixes: BTreeMap<String, String>,
    /// Whether a value of `by` that has no prefix breaks the rule. By default it passes.
    #[serde(default)]
    pub(crate) strict: bool,
}

/// A rule's check.
pub(crate) enum Kind {
    Required(Required),
    OneOf(OneOf),
    Range(Range),
    Pattern(Pattern),
    Length(Length),
    Elements(Elements),
    Window(Window),
    Compare(Compare),
    Starts(Starts),
}

/// The kinds as the pipeline file names them.
const KINDS: [&str; 9] =
    ["required", "enum", "range", "regex", "length", "elements", "window", "compare", "starts"];

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        // The kind is part of the problem's text: `missing field` alone could be anywhere in the rule.
        let kind =
            value.as_object().and_then(|rule| KINDS.into_iter().find(|k| rule.contains_key(*k)));
        Ok(Self(serde_json::from_value(value).map_err(|error| match kind {
            Some(kind) => format!(" (`{kind}`): {error}"),
            None => format!(": {error}"),
        })))
    }
}

impl RuleConfig {
    /// The one check of the rule.
    pub(crate) fn kind(&mut self) -> Result<Kind, String> {
        let kinds = [
            self.required.take().map(Kind::Required),
            self.one_of.take().map(Kind::OneOf),
            self.range.take().map(Kind::Range),
            self.regex.take().map(Kind::Pattern),
            self.length.take().map(Kind::Length),
            self.elements.take().map(Kind::Elements),
            self.window.take().map(Kind::Window),
            self.compare.take().map(Kind::Compare),
            self.starts.take().map(Kind::Starts),
        ];
        let mut given: Vec<Kind> = kinds.into_iter().flatten().collect();
        match (given.pop(), given.is_empty()) {
            (Some(kind), true) => Ok(kind),
            (None, _) => Err(format!(
                "has no check: wanted one of {}",
                KINDS.map(|k| format!("`{k}`")).join(", ")
            )),
            (Some(last), false) => {
                given.push(last);
                let names: Vec<String> =
                    given.iter().map(|kind| format!("`{}`", kind.name())).collect();
                Err(format!("has {}: make a rule of each", names.join(" and ")))
            }
        }
    }
}

impl Kind {
    /// As the pipeline file names it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Required(_) => "required",
            Self::OneOf(_) => "enum",
            Self::Range(_) => "range",
            Self::Pattern(_) => "regex",
            Self::Length(_) => "length",
            Self::Elements(_) => "elements",
            Self::Window(_) => "window",
            Self::Compare(_) => "compare",
            Self::Starts(_) => "starts",
        }
    }

    /// The code of rejections, where the rule does not say another.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Required(_) => "required",
            Self::OneOf(_) => "not_allowed",
            Self::Range(_) => "out_of_range",
            Self::Pattern(_) => "no_match",
            Self::Length(_) => "bad_length",
            Self::Elements(_) => "bad_count",
            Self::Window(_) => "out_of_window",
            Self::Compare(_) => "inconsistent",
            Self::Starts(_) => "wrong_prefix",
        }
    }
}
