//! Whether the first line of delimited text has the names of its columns.

use crate::form::{Form, form};
use crate::personal::{Look, look};

/// Whether the first record is a header of those after it.
///
/// Numbers, dates, addresses and the like are values, unless all below them are of another kind, as numbers below
/// dates are. A question is a name where others stand beside it. Where all is words, a first record of words that
/// come again below is a row, and any other a header.
pub fn is_header(first: &[String], rest: &[Vec<String>]) -> bool {
    const MAX_CHARS: usize = 1024;
    let all_are = |at: usize, is: &dyn Fn(Form) -> bool| {
        let mut values =
            rest.iter().filter_map(|row| row.get(at)).filter(|text| !text.is_empty()).peekable();
        values.peek().is_some() && values.all(|text| is(form(text)))
    };
    let is_word = |text: &str| {
        let is_named = matches!(form(text), Form::Text | Form::Boolean | Form::Nothing);
        is_named && look(text).is_none()
    };
    let has_words = first.iter().any(|text| !text.is_empty() && is_word(text));
    let is_number = |form: Form| matches!(form, Form::Integer | Form::Decimal | Form::Float);
    let is_name = |at: usize, text: &String| {
        let own = form(text);
        let is_year = own == Form::Integer && text.len() == 4;
        let is_question = look(text) == Some(Look::Prose);
        let is_over_others =
            || rest.len() > 1 && !is_number(own) && all_are(at, &|form| is_number(form));
        (is_word(text) || is_year || has_words && (is_question || is_over_others()))
            && text.chars().count() <= MAX_CHARS
    };
    let named = first.iter().filter(|text| !text.is_empty());
    let mut names = first.iter().enumerate().filter(|(_, text)| !text.is_empty());
    if !names.all(|(at, text)| is_name(at, text))
        || named.clone().count() * 2 < first.len()
        || named.clone().count() == 0
    {
        return false;
    }
    // Columns of a year each have other columns beside them.
    if named.clone().all(|text| form(text) == Form::Integer) {
        return false;
    }
    // `no` may well be a name, but not of yes and no.
    let is_one_of_them =
        |at: usize| form(&first[at]) == Form::Boolean && all_are(at, &|form| form == Form::Boolean);
    if (0..first.len()).any(is_one_of_them) {
        return false;
    }
    if (0..first.len()).any(|at| all_are(at, &|form| form != Form::Text)) {
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
            (true, "id,Was the delivery on time or not,Phone", &["1,yes,030 1", "2,no,030 2"]),
            (true, "product,2026-01-01,2026-01-02", &["a,1,2", "b,3,4"]),
            (true, "day,ada@example.com,https://a.example/", &["2026-01-01,1,2", "2026-01-02,3,4"]),
            (false, "a,2026-01-01,1", &["b,2026-01-02,2", "c,2026-01-03,3"]),
            (false, "1,the shoes that I got are small", &["2,these are the ones that I like"]),
            (false, "2026-01-01,1.5", &["1,2.5", "2,3.5"]),
            (false, "1,a", &["2,b"]),
            (false, "a,2026-01-05", &["b,2026-01-06"]),
            (false, "red,yes", &["blue,no", "red,no"]),
            (false, "ada@example.com,x", &["bob@example.com,y"]),
        ] {
            assert_eq!(is_header(&row(first), &rows(rest)), wanted, "{first}");
        }
    }
}
