//! Whether the first line of delimited text has the names of its columns.

use crate::form::{Form, form};
use crate::personal::look;

/// Whether the first record is a header of those after it.
///
/// Numbers, dates, addresses and the like are values. Where all is words, a first record of words that come again
/// below is a row, and any other a header.
pub fn is_header(first: &[String], rest: &[Vec<String>]) -> bool {
    const MAX_CHARS: usize = 128;
    let is_name = |text: &String| {
        let form = form(text);
        let is_year = form == Form::Integer && text.len() == 4;
        (matches!(form, Form::Text | Form::Boolean | Form::Nothing) || is_year)
            && look(text).is_none()
            && text.chars().count() <= MAX_CHARS
    };
    let named = first.iter().filter(|text| !text.is_empty());
    if !named.clone().all(is_name)
        || named.clone().count() * 2 < first.len()
        || named.clone().count() == 0
    {
        return false;
    }
    // Columns of a year each have other columns beside them.
    if named.clone().all(|text| form(text) == Form::Integer) {
        return false;
    }
    let all_are = |at: usize, is: fn(Form) -> bool| {
        let mut values =
            rest.iter().filter_map(|row| row.get(at)).filter(|text| !text.is_empty()).peekable();
        values.peek().is_some() && values.all(|text| is(form(text)))
    };
    // `no` may well be a name, but not of yes and no.
    let is_one_of_them =
        |at: usize| form(&first[at]) == Form::Boolean && all_are(at, |form| form == Form::Boolean);
    if (0..first.len()).any(is_one_of_them) {
        return false;
    }
    if (0..first.len()).any(|at| all_are(at, |form| form != Form::Text)) {
        return true;
    }
    let comes_again = |at: usize| rest.iter().any(|row| row.get(at) == first.get(at));
    !(0..first.len()).any(|at| !first[at].is_empty() && comes_again(at))
}

#[cfg(test)]
mod tests {
    use super::is_header;

    #[test]
    fn names_are_told_from_values() {
        let row = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        let rows = |all: &[&str]| all.iter().map(|text| row(text)).collect::<Vec<_>>();
        for (wanted, first, rest) in [
            (true, "id,name", &["1,a", "2,b"][..]),
            (true, ",id,name", &["0,1,a"]),
            (true, "country,2019,2020", &["PL,1,2"]),
            (true, "name,city", &["ada,Paris"]),
            (true, "id,name", &[]),
            (true, "No,yes,na", &["1,2,3"]),
            (false, "1,a", &["2,b"]),
            (false, "a,2026-01-05", &["b,2026-01-06"]),
            (false, "red,yes", &["blue,no", "red,no"]),
            (false, "ada@example.com,x", &["bob@example.com,y"]),
        ] {
            assert_eq!(is_header(&row(first), &rows(rest)), wanted, "{first}");
        }
    }
}
