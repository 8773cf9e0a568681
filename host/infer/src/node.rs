//! What was seen in one place of all records.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::form::{self, Form, LocalDates};
use crate::personal::{self, Look, Treatment};
use crate::rows::{MAX_COLUMNS, Rows};
use crate::value::Value;

/// An object with more keys than that in all records is a map, not a record.
const MAX_KEYS: usize = MAX_COLUMNS;
/// So many different values are kept.
const MAX_DISTINCT: usize = 24;
const MAX_DISTINCT_CHARS: usize = 40;

/// A place of records: the record itself, a key in it, the elements of a list.
#[derive(Debug, Default)]
pub(crate) struct Node {
    /// How many values there were, nulls not counted.
    pub values: u64,
    pub scalars: Seen,
    pub objects: u64,
    /// In the order in which they came first.
    pub fields: Vec<(String, Node)>,
    /// Where in `fields` each key is.
    places: HashMap<String, usize>,
    pub has_too_many_keys: bool,
    /// Whether one of those that are too many is personal.
    has_personal_key_beyond: bool,
    pub lists: u64,
    pub elements: Option<Box<Node>>,
    pub null_elements: u64,
    /// Values behind which their object has the same key once more, so that they count no longer: only what is kept
    /// as it is spelled has them.
    earlier: Option<Box<Node>>,
}

/// The scalars of a place.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub count: u64,
    pub forms: BTreeMap<Form, u64>,
    /// Booleans, numbers and texts of JSON.
    pub json: [u64; 3],
    /// Truth values by family.
    pub booleans: BTreeSet<(usize, bool)>,
    pub fraction_digits: usize,
    pub most_digits: usize,
    /// How many are days as eight digits.
    pub compact_dates: u64,
    /// And how many are so as texts of JSON.
    pub compact_texts: u64,
    /// How dates are written of which day or month comes first.
    pub local_dates: LocalDates,
    /// Fields that may have a point between thousands.
    pub grouped: u64,
    /// Fields that are whole numbers which those who group by thousands write without a point.
    pub ungrouped: u64,
    pub numbers: Option<(f64, f64)>,
    pub years: Option<(u32, u32)>,
    /// How many moments have digits beyond microseconds.
    pub beyond_micros: u64,
    pub most_chars: usize,
    /// The values and how often each came; `None` where there are too many.
    pub distinct: Option<BTreeMap<String, u64>>,
    pub looks: BTreeMap<Look, u64>,
}

impl Node {
    /// The place of rows of delimited text, with a field for each of their columns. A header alone has them too.
    pub(crate) fn of_rows(names: &[String], rows: &Rows) -> Self {
        let count = rows.len().max(1) as u64;
        let mut fields: Vec<(String, Node)> =
            names.iter().take(rows.columns()).map(|name| (name.clone(), Node::default())).collect();
        for (column, (_, field)) in fields.iter_mut().enumerate() {
            (0..rows.len()).for_each(|row| field.add_field(rows.field(row, column)));
        }
        let beyond = names.iter().skip(rows.columns());
        Self {
            values: count,
            objects: count,
            fields,
            has_personal_key_beyond: beyond.into_iter().any(|name| personal::is_in_key(name)),
            ..Self::default()
        }
    }

    /// A field of delimited text: what it means its spelling tells. An empty one is nothing.
    fn add_field(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.values += 1;
        self.scalars.grouped += u64::from(form::may_be_grouped(text));
        self.scalars.ungrouped += u64::from(form::is_below_thousand(text));
        self.scalars.add(text, form::form(text));
    }

    pub(crate) fn add(&mut self, value: &Value) {
        self.values += u64::from(*value != Value::Null);
        match value {
            Value::Null => {}
            Value::Boolean => self.scalars.add_json(0, "true"),
            Value::Number(text) => self.scalars.add_json(1, text),
            Value::Text(text) => self.scalars.add_json(2, text),
            Value::List(elements) => {
                self.lists += 1;
                for element in elements {
                    self.null_elements += u64::from(*element == Value::Null);
                    self.elements.get_or_insert_default().add(element);
                }
            }
            Value::Object(members) => {
                self.objects += 1;
                let last: HashMap<&str, usize> =
                    members.iter().enumerate().map(|(at, (key, _))| (key.as_str(), at)).collect();
                for (at, (key, value)) in members.iter().enumerate() {
                    let is_last = last.get(key.as_str()) == Some(&at);
                    match self.field(key, at) {
                        Some(field) if is_last => field.add(value),
                        Some(field) => field.earlier.get_or_insert_default().add(value),
                        None => {}
                    }
                }
            }
        }
    }

    /// The place of a key, which is often the `at`th.
    fn field(&mut self, key: &str, at: usize) -> Option<&mut Node> {
        let found = match self.fields.get(at) {
            Some((own, _)) if own == key => Some(at),
            _ => self.places.get(key).copied(),
        };
        if found.is_none() && self.fields.len() >= MAX_KEYS {
            self.has_too_many_keys = true;
            self.has_personal_key_beyond |= personal::is_in_key(key);
            return None;
        }
        let at = found.unwrap_or_else(|| {
            let at = self.fields.len();
            self.fields.push((key.to_owned(), Node::default()));
            self.places.insert(key.to_owned(), at);
            at
        });
        self.fields.get_mut(at).map(|(_, field)| field)
    }

    /// Whether keys of its objects are values of persons, and no names of fields: counts by e-mail address, say.
    pub(crate) fn has_personal_keys(&self) -> bool {
        let is_url = |key: &str| personal::look(key) == Some(Look::Url);
        self.personal_keys() > 0 || self.fields.iter().any(|(key, _)| is_url(key))
    }

    /// How many keys have something personal in them; of those beyond the thousandth one stands for all.
    pub(crate) fn personal_keys(&self) -> usize {
        let personal = self.fields.iter().filter(|(key, _)| personal::is_in_key(key));
        personal.count() + usize::from(self.has_personal_key_beyond)
    }

    /// Whether something in it is personal that is told by no value: by the name of its key, or as a key.
    pub(crate) fn names_personal(&self, path: &[&str]) -> bool {
        self.has_personal_keys()
            || self.fields.iter().any(|(key, field)| field.is_named_personal(path, key))
            || self.held().any(|held| held.names_personal(path))
    }

    /// Whether it is personal by its own key, or something in it is so.
    pub(crate) fn is_named_personal(&self, path: &[&str], key: &str) -> bool {
        let path = [path, &[key]].concat();
        let by_name = personal::by_name(&path, false).map(|(treatment, _)| treatment);
        by_name.is_some_and(|treatment| treatment != Treatment::Clean) || self.names_personal(&path)
    }

    /// Whether there are other scalars, numbers, lists and objects in it.
    pub(crate) fn kinds(&self) -> [bool; 4] {
        let [booleans, numbers, texts] = self.scalars.json;
        [booleans + texts, numbers, self.lists, self.objects].map(|count| count > 0)
    }

    /// Whether something in it looks personal, by value or by the names of keys.
    pub(crate) fn holds_personal(&self, path: &[&str]) -> bool {
        let of_field = |(key, field): &(String, Node)| {
            let path = [path, &[key.as_str()]].concat();
            personal::by_name(&path, false).is_some() || field.holds_personal(&path)
        };
        !self.scalars.looks.is_empty()
            || self.has_personal_keys()
            || self.fields.iter().any(of_field)
            || self.held().any(|held| held.holds_personal(path))
    }

    /// What else is in it under the same name.
    fn held(&self) -> impl Iterator<Item = &Node> {
        [&self.elements, &self.earlier].into_iter().flatten().map(Box::as_ref)
    }
}

impl Seen {
    fn add_json(&mut self, kind: usize, text: &str) {
        self.json[kind] += 1;
        // `parse` takes no spaces off a text of JSON.
        let is_trimmed = text.trim_ascii().len() == text.len();
        self.compact_texts += u64::from(kind == 2 && form::is_compact_date(text));
        let form = match (kind, form::form(text)) {
            // A text that looks like a number is one that its writer calls a text.
            (
                2,
                form @ (Form::Date
                | Form::Datetime
                | Form::Timestamp
                | Form::NamedZone
                | Form::Time
                | Form::LocalDate),
            ) if is_trimmed => form,
            (2, _) => Form::Text,
            // `1E400` is a number of JSON that nothing takes.
            (_, form) => form,
        };
        self.add(text, form);
    }

    fn add(&mut self, text: &str, form: Form) {
        self.count += 1;
        *self.forms.entry(form).or_default() += 1;
        let trimmed = text.trim_ascii();
        if matches!(form, Form::Time | Form::Datetime | Form::Timestamp) {
            self.beyond_micros += u64::from(form::is_beyond_micros(trimmed));
        }
        match form {
            Form::Boolean => self.booleans.extend(form::boolean(trimmed)),
            Form::Integer | Form::Decimal | Form::Float | Form::Coded => {
                self.compact_dates += u64::from(form::is_compact_date(trimmed));
                self.fraction_digits = self.fraction_digits.max(form::fraction_digits(trimmed));
                self.most_digits = self.most_digits.max(form::significant_digits(trimmed));
                if let Ok(number) = trimmed.parse::<f64>() {
                    let (least, most) = self.numbers.unwrap_or((number, number));
                    self.numbers = Some((least.min(number), most.max(number)));
                }
            }
            Form::Date | Form::Datetime | Form::Timestamp => {
                if let Some(year) = trimmed.get(..4).and_then(|year| year.parse().ok()) {
                    let (least, most) = self.years.unwrap_or((year, year));
                    self.years = Some((least.min(year), most.max(year)));
                }
            }
            Form::LocalDate => self.local_dates.add(trimmed),
            _ => {}
        }
        let chars = text.chars().count();
        self.most_chars = self.most_chars.max(chars);
        if let Some(look) = personal::look(text) {
            *self.looks.entry(look).or_default() += 1;
            if look == Look::Url && personal::has_ip(text) {
                *self.looks.entry(Look::HoldsIp).or_default() += 1;
            }
        }
        if self.count == 1 {
            self.distinct = Some(BTreeMap::new());
        }
        if let Some(distinct) = &mut self.distinct {
            *distinct.entry(text.to_owned()).or_default() += 1;
            if distinct.len() > MAX_DISTINCT || chars > MAX_DISTINCT_CHARS {
                self.distinct = None;
            }
        }
    }

    /// Whether points may stand between thousands: all do that there are, and no number that has none is as large.
    pub(crate) fn may_be_grouped(&self) -> bool {
        let (whole, fractional) = (self.of(Form::Integer), self.of(Form::Decimal));
        fractional > 0 && self.grouped == fractional && whole > 0 && self.ungrouped == whole
    }

    pub(crate) fn of(&self, form: Form) -> u64 {
        self.forms.get(&form).copied().unwrap_or_default()
    }

    /// How many values look like this.
    pub(crate) fn looking(&self, look: Look) -> u64 {
        self.looks.get(&look).copied().unwrap_or_default()
    }

    /// The share of values that look like this.
    pub(crate) fn share(&self, look: Look) -> f64 {
        if self.count == 0 { 0.0 } else { self.looking(look) as f64 / self.count as f64 }
    }
}
