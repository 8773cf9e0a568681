//! The columns that a place of records supports.

use std::collections::BTreeSet;

use crate::kind::{self, Kind};
use crate::map;
use crate::names::Names;
use crate::node::{Node, Seen};
use crate::personal::{self, Look, Treatment};

/// What a record deeper than that becomes.
const MAX_DEPTH: usize = 12;

/// A column, or a field of a record.
pub(crate) struct Column<'a> {
    pub name: String,
    /// Its key in the data.
    pub key: &'a str,
    /// Which of the keys beside it that is.
    pub at: usize,
    pub kind: Kind,
    pub is_list: bool,
    pub fields: Vec<Column<'a>>,
    pub nothing_is_null: bool,
    /// In how many of how many places it was there.
    pub there: (u64, u64),
    /// Why it is as it is.
    pub why: String,
    pub treatment: Option<(Treatment, String)>,
    /// Whether its key is one of the message around the records.
    pub is_around: bool,
    pub seen: &'a Seen,
}

impl Column<'_> {
    /// Whether no value of it may be in the table as it came in.
    pub(crate) fn is_sensitive(&self) -> bool {
        self.treatment.as_ref().is_some_and(|(treatment, _)| *treatment != Treatment::Clean)
    }

    /// Itself and all fields below it, by path. What a list holds is by the path of the list.
    pub(crate) fn walk<'s>(&'s self, path: &str, to: &mut Vec<(String, &'s Self)>) {
        let path =
            if path.is_empty() { self.name.clone() } else { format!("{path}.{}", self.name) };
        to.push((path.clone(), self));
        self.fields.iter().for_each(|field| field.walk(&path, to));
    }
}

/// The columns of a place, each of another name: of all its keys but those of a map.
pub(crate) fn columns<'a>(
    node: &'a Node,
    names: &mut Names,
    path: &[&'a str],
    of_map: &BTreeSet<&str>,
    is_text: bool,
) -> Vec<Column<'a>> {
    let has_contacts = node.fields.iter().any(|(key, field)| {
        let words = personal::words(key);
        let is_named = words.iter().any(|word| matches!(word.as_str(), "email" | "phone" | "mail"));
        is_named || field.scalars.share(Look::Email) > 0.5
    });
    // What no column can be of is kept with what is unknown. Objects with personal keys are no records, nor are maps,
    // and the whole, which is one, has columns of its other keys.
    let fields = node.fields.iter().enumerate();
    let fields = fields.filter(|(_, (key, _))| {
        let is_key = is_text
            || !key.is_empty() && !key.contains('\\') && (path.is_empty() || !key.contains('.'));
        is_key && !personal::is_in_key(key) && !of_map.contains(key.as_str())
    });
    let made = fields.map(|(at, (key, field))| {
        let path = [path, &[key.as_str()]].concat();
        let beside = node.fields.iter().map(|(name, _)| name.as_str());
        let is_named = !personal::names_property(&path, beside);
        let name = names.give(key, at);
        let made = column(name, key, field, node.objects, &path, is_named.then_some(has_contacts));
        Column { at, ..made }
    });
    made.collect()
}

fn column<'a>(
    name: String,
    key: &'a str,
    node: &'a Node,
    places: u64,
    path: &[&'a str],
    has_contacts: Option<bool>,
) -> Column<'a> {
    let (held, is_list) = match &node.elements {
        Some(elements) if node.lists == node.values && node.null_elements == 0 => {
            (elements.as_ref(), true)
        }
        _ => (node, false),
    };
    let seen = &held.scalars;
    let mut column = Column {
        name,
        key,
        at: 0,
        kind: Kind::Json,
        is_list,
        fields: Vec::new(),
        nothing_is_null: false,
        there: (node.values, places),
        why: String::new(),
        treatment: None,
        is_around: false,
        seen,
    };
    if held.lists == 0 && held.objects == 0 {
        let decided = kind::decide(seen, key);
        column.kind = decided.kind;
        column.why = decided.why;
        // No element of a list is null.
        if decided.nothing_is_null && is_list {
            column.kind = Kind::Text;
        }
        column.nothing_is_null = decided.nothing_is_null && !is_list;
        mask(&mut column, path, has_contacts);
        return column;
    }
    column.why = if held.lists == 0 && held.scalars.count == 0 {
        column.fields = record(held, path);
        if !column.fields.is_empty() {
            column.kind = Kind::Record;
            return column;
        }
        "objects that are not records: their keys differ, are values such as days, or are none"
            .to_owned()
    } else if node.null_elements > 0 {
        "lists with nulls in them, which no list of a table has".to_owned()
    } else if held.lists > 0 && held.objects == 0 && held.scalars.count == 0 {
        "lists that are empty or hold lists".to_owned()
    } else {
        "of several types".to_owned()
    };
    column.is_list = false;
    if node.names_personal(path) {
        column.kind = Kind::Text;
        let why = "JSON in which something is personal by its name, or a name itself: `clean` tells it by neither".to_owned();
        column.treatment = Some((Treatment::Remove, why));
    } else if node.holds_personal(path) {
        column.kind = Kind::Text;
        let why = "JSON in which something looks personal".to_owned();
        column.treatment = Some((Treatment::Clean, why));
    }
    column
}

/// The fields of objects that are records; none where they are none.
fn record<'a>(node: &'a Node, path: &[&'a str]) -> Vec<Column<'a>> {
    if map::is_map(node)
        || node.has_personal_keys()
        || node.has_too_many_keys
        || path.len() >= MAX_DEPTH
    {
        return Vec::new();
    }
    columns(node, &mut Names::new(&[]), path, &BTreeSet::new(), false)
}

/// Says how a column is masked, where it looks personal. What its name says counts where it is known whether there are
/// contacts beside it.
fn mask(column: &mut Column<'_>, path: &[&str], has_contacts: Option<bool>) {
    let seen = column.seen;
    let by_value = |look: Look, least: f64, treatment: Treatment, what: &str| {
        let count = seen.looking(look);
        (count > 0 && seen.share(look) >= least)
            .then(|| (treatment, format!("{count} of {} values {what}", seen.count)))
    };
    use Treatment::{Clean, Ip, Pseudonym, Remove};
    let found = by_value(Look::Email, 0.5, Pseudonym, "are e-mail addresses")
        .or_else(|| by_value(Look::Ip, 0.5, Ip, "are addresses of the network"))
        .or_else(|| by_value(Look::Card, 0.9, Remove, "have the check digit of a payment card"))
        .or_else(|| by_value(Look::Iban, 0.9, Remove, "have the check digits of an account"))
        .or_else(|| by_value(Look::Phone, 0.5, Pseudonym, "are phone numbers"))
        .or_else(|| {
            let (treatment, why) = personal::by_name(path, has_contacts?)?;
            // What is said to be an address and is none would be null.
            let is_other = treatment == Ip && seen.count > 0;
            Some((if is_other { Remove } else { treatment }, why.to_owned()))
        })
        .or_else(|| by_value(Look::Email, 0.0, Clean, "are e-mail addresses"))
        .or_else(|| by_value(Look::HoldsEmail, 0.0, Clean, "hold an e-mail address"))
        .or_else(|| by_value(Look::HoldsIp, 0.0, Clean, "hold an address of the network"))
        .or_else(|| by_value(Look::HoldsPhone, 0.0, Clean, "hold a phone number"))
        .or_else(|| {
            by_value(Look::Url, 0.0, Clean, "are URLs, which may hold addresses and tokens")
        })
        .or_else(|| {
            by_value(Look::HoldsUrl, 0.0, Clean, "hold a URL, in which addresses and tokens may be")
        })
        .or_else(|| by_value(Look::UserAgent, 0.0, Clean, "are user agents"))
        .or_else(|| by_value(Look::Phone, 0.0, Clean, "are phone numbers"))
        .or_else(|| by_value(Look::Ip, 0.0, Clean, "are addresses of the network"))
        .or_else(|| by_value(Look::Prose, 0.2, Clean, "are sentences, in which anything may be"));
    let Some((treatment, why)) = found else { return };
    match (treatment, column.kind) {
        (Pseudonym, Kind::Integer | Kind::Decimal) if seen.fraction_digits == 0 => {
            column.kind = Kind::Text;
            column.nothing_is_null = false;
            column.why = "text, as its pseudonyms are".to_owned();
        }
        (_, Kind::Text) | (Remove, _) => {}
        // Truth values, dates and measures are nobody's name.
        _ => return,
    }
    column.treatment = Some((treatment, why));
}
