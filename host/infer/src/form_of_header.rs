//! Whether the first line of delimited text has the names of its columns.

use crate::form::{Form, form};
use crate::personal::{Look, look};

/// Whether the first record is a header of those after it.
///
/// Numbers, dates, addresses and the like are values, unless all below them are of another kind, as numbers below
/// dates are. A question is a name where others stand beside it. What is made as all below it are is a row: pairs
/// (`level=info`), and a whole line whose digits or gaps stand over theirs. Where all is words, a first record of words
/// that come again below is a row, and any other a header.
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
    if (0..first.len()).any(is_one_of_them) || is_made_alike(first, rest) {
        return false;
    }
    if (0..first.len()).any(|at| all_are(at, &|form| form != Form::Text)) {
        return true;
    }
    let comes_again = |at: usize| rest.iter().any(|row| row.get(at) == first.get(at));
    !(0..first.len()).any(|at| !first[at].is_empty() && comes_again(at))
}

/// Whether the first record is made as those after it are.
fn is_made_alike(first: &[String], rest: &[Vec<String>]) -> bool {
    let below =
        |at: usize| rest.iter().filter_map(move |row| row.get(at)).filter(|text| !text.is_empty());
    let is_of_pairs = |at: usize| {
        has_pair(&first[at])
            && below(at).all(|text| has_pair(text))
            && (first.len() == 1 || below(at).next().is_some())
    };
    let is_line = |line: &String| stands_over(line, &below(0).collect::<Vec<_>>());
    (0..first.len()).any(is_of_pairs) || matches!(first, [line] if is_line(line))
}

/// Whether a text has a name and its value in it: `level=info`.
fn has_pair(text: &str) -> bool {
    let is_of_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    text.split_whitespace().any(|word| {
        let name = word.split_once('=').map_or("", |(name, _)| name);
        !name.is_empty() && name.chars().all(is_of_name)
    })
}

/// Whether a line has digits where those below it have them, three of them or, where it has gaps as they have, all.
fn stands_over(line: &str, below: &[&String]) -> bool {
    /// So many characters tell.
    const LOOKED_AT: usize = 200;
    const LEAST: usize = 3;
    /// Of so many lines, one may be another, such as the last, of sums.
    const ONE_OF: usize = 10;
    let has_gap = |line: &str| line.trim().contains("  ");
    let mut digits = [0; LOOKED_AT];
    for line in below {
        for (count, c) in digits.iter_mut().zip(line.chars()) {
            *count += usize::from(c.is_ascii_digit());
        }
    }
    let are_digits = |count: usize| count > 0 && count * ONE_OF >= below.len() * (ONE_OF - 1);
    let all = digits.iter().filter(|count| are_digits(**count)).count();
    let own = line.chars().zip(digits);
    let own = own.filter(|(c, count)| c.is_ascii_digit() && are_digits(*count)).count();
    let gaps = below.iter().filter(|line| has_gap(line)).count();
    own >= LEAST || has_gap(line) && own == all && gaps * 2 >= below.len()
}

#[cfg(test)]
mod tests {
    use super::is_header;

    #[test]
    fn names_are_told_from_values() {
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
            check(wanted, first, rest);
        }
    }

    #[test]
    fn the_first_of_lines_that_are_made_alike_is_one_of_them() {
        for (wanted, first, rest) in [
            (false, "level=info msg=up", &["level=warn msg=down"][..]),
            (false, "ts=1 level=info", &["level=warn ts=2", "msg=x"]),
            (false, "level=info msg=up", &[]),
            (false, "level=info msg=\"a, b\"", &["level=warn msg=\"c, d\""]),
            (true, "color=red,color=blue", &["0,1", "1,0"]),
            (true, "message", &["level=info", "level=warn"]),
            (false, "0001 ADA   PARIS 20260101", &["0002 BOB   ROME  20260102"]),
            (false, "0001ADA  20260101", &["0002BOB  20260102", "0003EVE  20260103"]),
            (false, "A0001X", &["B0002Y", "C0003Z"]),
            (false, "ADA       12.50", &["BOB      112.50", "EVE        7.00"]),
            (false, "ADA       PARIS", &["BOB       ROME", "EVE       OSLO"]),
            (false, "ADA       PARIS", &[]),
            (true, "NAME     AMOUNT", &["BOB      112.50", "EVE        7.00"]),
            (true, "ID   NAME", &["0001 ADA", "0002 BOB"]),
            (true, "first  name", &["ada", "bob"]),
            (true, "product", &["A0001X", "B0002Y"]),
            (true, "step_1", &["take_1", "mix_2"]),
        ] {
            check(wanted, first, rest);
        }
        // One of ten lines may be another.
        let mut lines: Vec<String> = (10..30).map(|at| format!("00{at} x")).collect();
        lines.push("END".to_owned());
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        check(false, "0009 x", &lines);
    }

    fn check(wanted: bool, first: &str, rest: &[&str]) {
        let row = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        let rest: Vec<Vec<String>> = rest.iter().map(|text| row(text)).collect();
        assert_eq!(is_header(&row(first), &rest), wanted, "{first}");
    }
}
