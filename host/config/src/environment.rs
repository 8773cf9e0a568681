//! `${NAME}` in a pipeline file stands for an environment variable, `${NAME:-default}` for one that may
//! be unset, and `$${` for `${` itself. What is filled in may be kept, shown and told, so no variable that
//! holds a secret is.

use std::collections::BTreeSet;

use super::problem::{Problem, problem};

/// Looks a variable up.
type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Fills variables in wherever the document has text. Returns those that can't be, such as `secrets`.
pub(super) fn fill_in(
    document: &mut toml::Table,
    lookup: Lookup,
    secrets: &BTreeSet<String>,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (key, value) in document.iter_mut() {
        fill(value, key, lookup, secrets, &mut problems);
    }
    problems
}

fn fill(
    value: &mut toml::Value,
    path: &str,
    lookup: Lookup,
    secrets: &BTreeSet<String>,
    problems: &mut Vec<Problem>,
) {
    match value {
        toml::Value::String(text) if text.contains("${") => match expand(text, lookup, secrets) {
            Ok(filled) => *text = filled,
            Err(message) => problem(problems, path, message),
        },
        toml::Value::Array(list) => {
            for (at, value) in list.iter_mut().enumerate() {
                fill(value, &format!("{path}[{at}]"), lookup, secrets, problems);
            }
        }
        toml::Value::Table(table) => {
            for (key, value) in table.iter_mut() {
                fill(value, &format!("{path}.{key}"), lookup, secrets, problems);
            }
        }
        _ => {}
    }
}

fn expand(text: &str, lookup: Lookup, secrets: &BTreeSet<String>) -> Result<String, String> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if let Some(before) = rest[..at].strip_suffix('$') {
            filled.push_str(before);
            filled.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        filled.push_str(&rest[..at]);
        let end = rest[at..].find('}').ok_or_else(|| {
            format!(
                "`{}` has no `}}`: wanted `${{NAME}}`, or `$${{` for a plain `${{`",
                &rest[at..]
            )
        })?;
        let inside = &rest[at + 2..at + end];
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        let fine = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(fine) {
            return Err(format!("`${{{inside}}}` names no environment variable"));
        }
        if secrets.contains(name) {
            return Err(format!(
                "`${{{name}}}` is a secret, which is not filled in: a stage gets it by `secrets`"
            ));
        }
        let value = lookup(name).filter(|value| !value.is_empty());
        match value.or_else(|| default.map(str::to_owned)) {
            Some(value) => filled.push_str(&value),
            None => return Err(format!("environment variable `{name}` is not set")),
        }
        rest = &rest[at + end + 1..];
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, &str>) {
        let lookup = |name: &str| (name == "PROJECT").then(|| "shop".to_owned());
        let got = expand(text, &lookup, &BTreeSet::from(["KEY".to_owned()]));
        assert_eq!(got.as_deref().map_err(String::as_str), expected);
    }

    #[test]
    fn variables_are_filled_in() {
        check("projects/${PROJECT}/topics/${TOPIC:-clicks}", Ok("projects/shop/topics/clicks"));
        check("${PROJECT}${PROJECT:-x}", Ok("shopshop"));
        check("^a$|$${PROJECT}", Ok("^a$|${PROJECT}"));
        check("${TOPIC}", Err("environment variable `TOPIC` is not set"));
        check("${TO PIC}", Err("`${TO PIC}` names no environment variable"));
        let secret = "`${KEY}` is a secret, which is not filled in: a stage gets it by `secrets`";
        check("${KEY}", Err(secret));
        check("a ${PROJECT} ${KEY:-k}", Err(secret));
        check("$${KEY}", Ok("${KEY}"));
        check("a${b", Err("`${b` has no `}`: wanted `${NAME}`, or `$${` for a plain `${`"));
    }
}
