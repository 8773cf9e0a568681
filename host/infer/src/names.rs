//! Names of columns: what BigQuery takes without quoting, near to what the data say.

use std::collections::BTreeSet;

/// Prefixes that BigQuery keeps for itself, in small letters. A test of the command line holds them to those that
/// schemas are checked by: this crate uses no other.
pub const RESERVED: [&str; 9] = [
    "_table_",
    "_file_",
    "_partition",
    "_row_timestamp",
    "__root__",
    "_colidentifier",
    "_change_sequence_number",
    "_change_timestamp",
    "_change_type",
];
const MAX_CHARS: usize = 120;

/// Letters of Latin alphabets, and how they are written in ASCII.
const LETTERS: &str = "àáâãåāăą=a ä=ae æ=ae ç=c ćč=c ďđð=d èéêëēęě=e ğ=g ìíîïīı=i ł=l ñńň=n òóôõøō=o ö=oe œ=oe ř=r śšş=s ß=ss ťţ=t ùúûūů=u ü=ue ýÿ=y źżž=z";

/// Names that are taken, in small letters, and more as they are given out.
pub(crate) struct Names(BTreeSet<String>);

impl Names {
    /// Those are taken.
    pub(crate) fn new(taken: &[&str]) -> Self {
        Self(taken.iter().map(|name| name.to_ascii_lowercase()).collect())
    }

    /// A name for the `at`th column, from 0.
    pub(crate) fn give(&mut self, given: &str, at: usize) -> String {
        let name = plain(given);
        let name = if name.is_empty() { format!("column_{}", at + 1) } else { name };
        let small = name.to_ascii_lowercase();
        let is_reserved = |small: &str| RESERVED.iter().any(|prefix| small.starts_with(prefix));
        // `_table` is no such name, and `_table_2` is.
        let is_reserved_numbered = is_reserved(&format!("{small}_"));
        if !is_reserved(&small) && self.0.insert(small) {
            return name;
        }
        let stem = if is_reserved_numbered { format!("data{name}") } else { name };
        let mut count = 2;
        loop {
            let numbered = format!("{stem}_{count}");
            if self.0.insert(numbered.to_ascii_lowercase()) {
                return numbered;
            }
            count += 1;
        }
    }
}

/// How a small letter of a Latin alphabet is written in ASCII, which has no such letter.
pub(crate) fn in_ascii(letter: char) -> Option<&'static str> {
    LETTERS.split(' ').find_map(|pair| {
        let (letters, spelled) = pair.split_once('=')?;
        letters.contains(letter).then_some(spelled)
    })
}

/// A name of letters, digits and `_` of ASCII, no digit first. One that is so already stays as it is.
pub fn plain(given: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if given.len() <= MAX_CHARS
        && given.chars().all(is_plain)
        && given.starts_with(|c: char| !c.is_ascii_digit())
    {
        return given.to_owned();
    }
    let mut name = String::new();
    for c in given.to_lowercase().chars() {
        match in_ascii(c) {
            Some(spelled) => name.push_str(spelled),
            None if c.is_ascii_alphanumeric() => name.push(c),
            None if !name.is_empty() && !name.ends_with('_') => name.push('_'),
            None => {}
        }
    }
    let name: String = name.chars().take(MAX_CHARS).collect();
    let name = name.trim_end_matches('_');
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        format!("_{name}")
    } else {
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_such_as_bigquery_takes_and_no_two_are_one() {
        let mut names = Names::new(&["source", "unknown_fields"]);
        let given = [
            "Order ID",
            "order_id",
            "Größe (cm)",
            "2020",
            "source",
            "userId",
            "цена",
            "",
            "_TABLE_x",
            "Cena zł",
            "_file",
            "_File",
        ];
        let all: Vec<String> =
            given.iter().enumerate().map(|(at, name)| names.give(name, at)).collect();
        assert_eq!(
            all,
            [
                "order_id",
                "order_id_2",
                "groesse_cm",
                "_2020",
                "source_2",
                "userId",
                "column_7",
                "column_8",
                "data_TABLE_x_2",
                "cena_zl",
                "_file",
                "data_File_2"
            ]
        );
    }
}
