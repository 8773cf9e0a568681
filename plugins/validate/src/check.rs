//! From the rules as written and the columns there are to rules that can run, or to everything that is
//! wrong with them.

use clickmill_plugin::is_within;
use clickmill_plugin::prelude::*;
use serde_bytes::ByteBuf;
use serde_json::{Number, Value};

use crate::config::{self, Config, Kind, Limit, RuleConfig};
use crate::levels::Levels;
use crate::pattern::Pattern;
use crate::rule::{Check, DAY, Rule, When};
use crate::words::Allowed;

/// How many allowed values a message names.
const MAX_LISTED: usize = 12;

const NUMBERS: &[DataType] = &[DataType::Int64, DataType::Float64, DataType::Decimal];
const TEXT: &[DataType] = &[DataType::Text];
const KEYS: &[DataType] = &[DataType::Text, DataType::Int64];
const TIMES: &[DataType] = &[DataType::Timestamp, DataType::Date];
const COMPARABLE: &[DataType] = &[
    DataType::Int64,
    DataType::Float64,
    DataType::Decimal,
    DataType::Date,
    DataType::Time,
    DataType::Datetime,
    DataType::Timestamp,
    DataType::Text,
];
const ANY: &[DataType] = &[];

/// The rules, checked. Problems name a rule by its number, counted from 1.
pub(crate) fn check(config: Config, available: &[ColumnSpec]) -> Result<Vec<Rule>, Problems> {
    let mut patterns = 0;
    let mut problems = Problems::new();
    if config.rules.is_empty() {
        problems.push("`rules` has no rule, so nothing is checked".to_owned());
    }
    let mut rules = Vec::with_capacity(config.rules.len());
    for (number, entry) in (1..).zip(config.rules) {
        let checker = Checker { available, patterns: &mut patterns, problems: Vec::new() };
        match entry.0.map(|config| checker.rule(config)) {
            Ok(Ok(rule)) => rules.push(rule),
            Ok(Err((kind, found))) => {
                let kind = kind.map_or(String::new(), |kind| format!(" (`{kind}`)"));
                problems
                    .extend(found.iter().map(|problem| format!("rule {number}{kind}: {problem}")));
            }
            Err(problem) => problems.push(format!("rule {number}{problem}")),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    // A mistyped name would have the values told that must not be.
    for name in &config.sensitive {
        if !rules.iter().flat_map(Rule::reads).any(|column| is_within(&column.path, name)) {
            problems.push(format!("`sensitive` names `{name}`, which no rule reads"));
        }
    }
    if problems.is_empty() { Ok(rules) } else { Err(problems) }
}

/// Collects the problems of one rule.
struct Checker<'a> {
    available: &'a [ColumnSpec],
    /// How many patterns there were so far.
    patterns: &'a mut usize,
    problems: Vec<String>,
}

impl Checker<'_> {
    /// The rule, or its kind, where it has one, and its problems.
    fn rule(mut self, mut config: RuleConfig) -> Result<Rule, (Option<&'static str>, Vec<String>)> {
        let kind = config.kind().map_err(|problem| (None, vec![problem]))?;
        let name = kind.name();
        let code = config.code.unwrap_or_else(|| kind.code().to_owned());
        if !is_code(&code) {
            self.problem(format!("`code` is `{code}`, wanted 1 to 64 of `a-z`, `0-9` and `_`"));
        } else if code.starts_with("plugin_") {
            self.problem(format!(
                "`code` is `{code}`: codes that begin with `plugin_` are the host's"
            ));
        }
        let when = config.when.and_then(|when| {
            let column = self.column(&when.column, KEYS)?;
            let allowed = self.allowed(&when.values, &column)?;
            let in_list = column.list(self.available).is_some();
            Some(When { column, in_list, allowed })
        });
        let found = self.kind(kind);
        if let Some((columns, check)) = &found {
            let when = when.as_ref().map(|when| &when.column);
            self.problems.extend(Levels(self.available).problems(columns, check, when));
        }
        match found {
            Some((columns, check)) if self.problems.is_empty() => {
                let levels = Levels(self.available);
                let levels = columns.iter().map(|column| levels.in_list(column, &check)).collect();
                Ok(Rule { code, action: config.action, when, columns, levels, check })
            }
            _ => Err((Some(name), self.problems)),
        }
    }

    /// The check and its columns: `None` only where there is a problem.
    fn kind(&mut self, kind: Kind) -> Option<(Vec<ColumnSpec>, Check)> {
        match kind {
            Kind::Required(required) => self.required(&required.columns),
            Kind::OneOf(one_of) => {
                let column = self.column(&one_of.column, KEYS)?;
                let allowed = self.allowed(&one_of.values, &column)?;
                Some((vec![column], Check::OneOf { allowed, listed: list(&one_of.values) }))
            }
            Kind::Range(range) => self.range(range),
            Kind::Pattern(pattern) => {
                let column = self.column(&pattern.column, TEXT);
                let made = Pattern::new(&pattern.pattern, *self.patterns);
                *self.patterns += 1;
                let pattern =
                    made.map_err(|error| self.problem(format!("`pattern`: {}", last_line(&error))));
                Some((vec![column?], Check::Pattern(pattern.ok()?)))
            }
            Kind::Length(length) => self.length(length),
            Kind::Elements(elements) => self.elements(elements),
            Kind::Window(window) => self.window(window),
            Kind::Compare(compare) => self.compare(compare),
            Kind::Starts(starts) => {
                let column = self.column(&starts.column, TEXT);
                let by = self.column(&starts.by, KEYS);
                if starts.prefixes.is_empty() {
                    self.problem("`prefixes` is empty".to_owned());
                }
                let prefixes = starts
                    .prefixes
                    .into_iter()
                    .map(|(value, prefix)| (bytes(value), bytes(prefix)))
                    .collect();
                Some((vec![column?, by?], Check::Starts { prefixes, strict: starts.strict }))
            }
        }
    }

    fn required(&mut self, names: &[String]) -> Option<(Vec<ColumnSpec>, Check)> {
        if names.is_empty() {
            self.problem("`columns` is empty".to_owned());
        }
        let columns = names.iter().filter_map(|name| self.column(name, ANY)).collect();
        Some((columns, Check::Required))
    }

    fn range(&mut self, range: config::Range) -> Option<(Vec<ColumnSpec>, Check)> {
        let column = self.column(&range.column, NUMBERS);
        let bounds = bounds(range.min.as_ref(), range.max.as_ref());
        if column.as_ref().is_some_and(|column| column.data_type == DataType::Decimal) {
            let min = self.exact(range.min.as_ref())?;
            let max = self.exact(range.max.as_ref())?;
            self.limits(min, max);
            let (min, max) = (min.unwrap_or(Decimal::MIN), max.unwrap_or(Decimal::MAX));
            return Some((vec![column?], Check::DecimalRange { min, max, bounds }));
        }
        let (min, max) = (self.number(range.min), self.number(range.max));
        let range = Numbers { min, max };
        let float = |number: &Option<Number>| number.as_ref().and_then(Number::as_f64);
        let (low, high) = (float(&range.min), float(&range.max));
        self.limits(low, high);
        let column = column?;
        let check = if column.data_type == DataType::Int64 {
            let min = range.min.as_ref().map_or(i64::MIN, |min| whole(min, f64::ceil));
            let max = range.max.as_ref().map_or(i64::MAX, |max| whole(max, f64::floor));
            Check::Int64Range { min, max, bounds }
        } else {
            let min = low.unwrap_or(f64::NEG_INFINITY);
            let max = high.unwrap_or(f64::INFINITY);
            Check::Float64Range { min, max, bounds }
        };
        Some((vec![column], check))
    }

    /// A limit of an exact range: the digits that it was written with. `None` where it is none.
    #[expect(clippy::option_option, reason = "no limit is fine, a limit that is no number is not")]
    fn exact(&mut self, limit: Option<&Limit>) -> Option<Option<Decimal>> {
        let Some(limit) = limit else { return Some(None) };
        let exact = Decimal::parse(limit.to_string().as_bytes());
        if exact.is_none() {
            self.problem(format!(
                "`{limit}` is no number of at most 29 digits before the point and 9 after it"
            ));
        }
        exact.map(Some)
    }

    /// A limit of a range that is not exact.
    fn number(&mut self, limit: Option<Limit>) -> Option<Number> {
        match limit? {
            Limit::Number(number) => Some(number),
            Limit::Text(text) => {
                self.problem(format!("the limit \"{text}\" is a text, wanted a number: only a decimal column takes texts"));
                None
            }
        }
    }

    fn elements(&mut self, elements: config::Elements) -> Option<(Vec<ColumnSpec>, Check)> {
        let column = self.column(&elements.column, ANY)?;
        if !column.repeated {
            self.problem(format!("column `{}` is no list", column.path));
        }
        self.limits(elements.min, elements.max);
        let size = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX);
        let check = Check::Elements {
            min: elements.min.map_or(0, size),
            max: elements.max.map_or(usize::MAX, size),
            bounds: bounds(elements.min.as_ref(), elements.max.as_ref()),
        };
        Some((vec![column], check))
    }

    fn length(&mut self, length: config::Length) -> Option<(Vec<ColumnSpec>, Check)> {
        let column = self.column(&length.column, TEXT);
        self.limits(length.min, length.max);
        let size = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX);
        let check = Check::Length {
            min: length.min.map_or(0, size),
            max: length.max.map_or(usize::MAX, size),
            bounds: bounds(length.min.as_ref(), length.max.as_ref()),
        };
        Some((vec![column?], check))
    }

    fn window(&mut self, window: config::Window) -> Option<(Vec<ColumnSpec>, Check)> {
        let column = self.column(&window.column, TIMES);
        let seconds = |seconds: u32| i64::from(seconds) * 1_000_000;
        let past = match (window.past_days, window.past_secs) {
            (Some(_), Some(_)) => {
                self.problem("has both `past_days` and `past_secs`: wanted one of them".to_owned());
                None
            }
            (Some(days), None) => Some(i64::from(days).saturating_mul(DAY)),
            (None, secs) => secs.map(seconds),
        };
        let future = window.future_secs.map(seconds);
        if past.is_none() && future.is_none() && self.problems.is_empty() {
            self.problem(
                "has no limit: wanted `past_days`, `past_secs` or `future_secs`".to_owned(),
            );
        }
        Some((vec![column?], Check::Window { past, future }))
    }

    fn compare(&mut self, compare: config::Compare) -> Option<(Vec<ColumnSpec>, Check)> {
        let left = self.column(&compare.left, COMPARABLE);
        let right = self.column(&compare.right, COMPARABLE);
        let (left, right) = (left?, right?);
        let are = |types: &[DataType]| [&left, &right].iter().all(|c| types.contains(&c.data_type));
        // A float beside an exact number would be compared with what it stands for, not with what it was.
        let are_numbers = are(&[DataType::Int64, DataType::Float64])
            || are(&[DataType::Int64, DataType::Decimal]);
        if left.data_type != right.data_type && !are_numbers {
            self.problem(format!(
                "columns `{}` and `{}` cannot be compared: one is {}, the other {}",
                left.path,
                right.path,
                left.data_type.name(),
                right.data_type.name()
            ));
        }
        Some((vec![left, right], Check::Compare(compare.op)))
    }

    /// The column of that path, where it is there and of one of the types. No types: any will do.
    fn column(&mut self, name: &str, wanted: &[DataType]) -> Option<ColumnSpec> {
        let Some(found) = self.available.iter().find(|column| column.path == name) else {
            let there: Vec<String> =
                self.available.iter().map(|c| format!("`{}`", c.path)).collect();
            let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
            self.problem(format!(
                "there is no column `{name}` here, or it is not granted: there are {there}"
            ));
            return None;
        };
        if !wanted.is_empty() && !wanted.contains(&found.data_type) {
            let wanted: Vec<&str> = wanted.iter().map(|t| t.name()).collect();
            self.problem(format!(
                "column `{name}` is {}, wanted {}",
                found.data_type.name(),
                wanted.join(" or ")
            ));
            return None;
        }
        Some(found.clone())
    }

    /// The values as a set, where they are of the column's type.
    fn allowed(&mut self, values: &[Value], column: &ColumnSpec) -> Option<Allowed> {
        if values.is_empty() {
            self.problem("`values` is empty".to_owned());
        }
        let text = |value: &Value| value.as_str().map(|text| bytes(text.to_owned()));
        let (allowed, wrong) = if column.data_type == DataType::Int64 {
            let wrong = values.iter().find(|value| value.as_i64().is_none());
            (Allowed::Int64s(values.iter().filter_map(Value::as_i64).collect()), wrong)
        } else {
            let wrong = values.iter().find(|value| !value.is_string());
            (Allowed::Texts(values.iter().filter_map(text).collect()), wrong)
        };
        if let Some(wrong) = wrong {
            self.problem(format!(
                "`values` has {wrong}, wanted {} as column `{}` has",
                column.data_type.name(),
                column.path
            ));
            return None;
        }
        Some(allowed)
    }

    /// There must be one, and they must leave something between them.
    fn limits<T: PartialOrd>(&mut self, min: Option<T>, max: Option<T>) {
        match (min, max) {
            (None, None) => self.problem("has no limit: wanted `min` or `max`".to_owned()),
            (Some(min), Some(max)) if min > max => {
                self.problem("`min` is greater than `max`".to_owned());
            }
            _ => {}
        }
    }

    fn problem(&mut self, text: String) {
        self.problems.push(text);
    }
}

/// The limits of a range that is not exact.
struct Numbers {
    min: Option<Number>,
    max: Option<Number>,
}

fn is_code(text: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    (1..=64).contains(&text.len()) && text.bytes().all(is_part)
}

/// The error without the drawing of where it is, which takes lines of its own.
fn last_line(error: &regex::Error) -> String {
    let text = error.to_string();
    let line = text.lines().last().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// The limit of an integer column: of a fraction the next integer within the limits.
fn whole(limit: &Number, round: fn(f64) -> f64) -> i64 {
    // A float out of an integer's range becomes the nearest integer.
    let float = || limit.as_f64().map_or(0, |float| round(float) as i64);
    limit.as_i64().unwrap_or_else(float)
}

fn bounds<T: std::fmt::Display>(min: Option<&T>, max: Option<&T>) -> String {
    match (min, max) {
        (Some(min), Some(max)) => format!("{min} to {max}"),
        (Some(min), None) => format!("at least {min}"),
        (None, Some(max)) => format!("at most {max}"),
        (None, None) => String::new(),
    }
}

/// The allowed values, for messages.
fn list(values: &[Value]) -> String {
    let mut listed = String::new();
    for value in values.iter().take(MAX_LISTED) {
        if !listed.is_empty() {
            listed.push_str(", ");
        }
        match value {
            Value::String(text) => listed.push_str(text),
            other => listed.push_str(&other.to_string()),
        }
    }
    if values.len() > MAX_LISTED {
        listed.push_str(&format!(" … ({} in all)", values.len()));
    }
    listed
}

fn bytes(text: String) -> ByteBuf {
    ByteBuf::from(text.into_bytes())
}
