//! Secrets of stages: which a plugin is granted, by name, and which environment variable holds each. The
//! values are not read here, and nothing that is written in a pipeline file may stand for one.

use std::collections::{BTreeMap, BTreeSet};

use toml::Value;

use super::Plugin;
use super::problem::{Problem, mistyped, problem};
use clickmill_core::is_build_setting;

/// Fewest bytes of a text that is taken for a key.
const MIN_KEY_BYTES: usize = 32;

/// Variables that hold secrets of clickmill's own, each with what it is for.
const OURS: [(&str, &str); 2] = [
    ("CLICKMILL_ADMIN_TOKEN", "the token of the admin interface"),
    ("CLICKMILL_SIGNING_PASSWORD", "the password of the key that signs components"),
];

/// The secrets of a stage as a pipeline file has them, `["key"]` or `{ key = "VARIABLE" }`, each with its
/// variable.
pub(super) fn granted(
    value: Option<&Value>,
    stage: &str,
    path: &str,
    problems: &mut Vec<Problem>,
) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for (name, variable) in listed(value, stage, path, problems) {
        // Where somebody has written the secret itself, it is not told.
        if !Plugin::is_secret_name(&name) {
            let message = format!(
                "has a name that is none: wanted 1 to {} of letters, digits, `_` and `-`",
                Plugin::MAX_SECRET_NAME_BYTES
            );
            problem(problems, path, message);
            continue;
        }
        let path = format!("{path}.{name}");
        let message = if found.iter().any(|(earlier, _)| *earlier == name) {
            "is there twice".to_owned()
        } else if let Some(wrong) = wrong_variable(&variable) {
            wrong
        } else {
            found.push((name, variable));
            continue;
        };
        problem(problems, &path, message);
    }
    found
}

/// What is wrong with the name of a variable that is to hold a secret. Where it may be the secret itself, it
/// is not told.
fn wrong_variable(variable: &str) -> Option<String> {
    if !is_variable(variable) {
        let wrong = "does not name an environment variable: wanted letters, digits and `_`, and the secret itself is written nowhere";
        return Some(wrong.to_owned());
    }
    is_build_setting(variable).then(|| {
        format!(
            "is in environment variable `{variable}`, which builds of plugins see: name another"
        )
    })
}

/// What is listed, of any form.
fn listed(
    value: Option<&Value>,
    stage: &str,
    path: &str,
    problems: &mut Vec<Problem>,
) -> Vec<(String, String)> {
    let mut found = Vec::new();
    match value {
        None => {}
        Some(Value::Array(names)) => {
            for (at, name) in names.iter().enumerate() {
                match name.as_str() {
                    Some(name) => {
                        found.push((name.to_owned(), Plugin::secret_variable(stage, name)));
                    }
                    None => mistyped(
                        problems,
                        &format!("{path}[{at}]"),
                        format!("is of type {}, wanted text", name.type_str()),
                    ),
                }
            }
        }
        Some(Value::Table(variables)) => {
            for (name, variable) in variables {
                match variable.as_str() {
                    Some(variable) => found.push((name.clone(), variable.to_owned())),
                    None => {
                        let message = format!("is of type {}, wanted text", variable.type_str());
                        mistyped(problems, &format!("{path}.{name}"), message);
                    }
                }
            }
        }
        Some(_) => {
            let message =
                "is one value, wanted names, `[\"key\"]`, or `{ key = \"VARIABLE\" }`".to_owned();
            mistyped(problems, path, message);
        }
    }
    found
}

/// Whether a text can name a variable. One of many characters without `_` is no name but a key, in
/// hexadecimal digits or base64.
fn is_variable(text: &str) -> bool {
    let fine = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_key = text.len() >= MIN_KEY_BYTES && !text.contains('_');
    !is_key
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(fine)
}

/// A variable that holds a secret of the host.
pub(super) struct OfHost<'a> {
    /// Where the file names it.
    pub path: String,
    /// The variable.
    pub variable: &'a str,
    /// What it holds.
    pub what: &'static str,
}

/// Finds variables that would hold two secrets: of two stages whose names make the same one, or one of a
/// stage and one of the host's own; and those of the host that are none, or that builds see.
pub(super) fn check_variables(
    plugins: &[Plugin],
    of_host: &[OfHost<'_>],
    problems: &mut Vec<Problem>,
) {
    for OfHost { path, variable, .. } in of_host {
        if let Some(wrong) = wrong_variable(variable) {
            problem(problems, path, wrong);
        }
    }
    let ours = OURS.iter().map(|(variable, what)| (*variable, *what));
    let of_host: BTreeMap<&str, &str> =
        of_host.iter().map(|of| (of.variable, of.what)).chain(ours).collect();
    let mut usual: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
    for (at, plugin) in plugins.iter().enumerate() {
        for (name, variable) in &plugin.secrets {
            let path = format!("plugin[{at}].secrets.{name}");
            if let Some(what) = of_host.get(variable.as_str()) {
                let message = format!(
                    "is in environment variable `{variable}`, which holds {what}: name another, `secrets = {{ {name} = \"VARIABLE\" }}`"
                );
                problem(problems, &path, message);
            }
            if *variable != Plugin::secret_variable(&plugin.name, name) {
                continue;
            }
            if let Some((stage, other)) = usual.insert(variable, (&plugin.name, name)) {
                let message = format!(
                    "is in environment variable `{variable}`, and so is secret `{other}` of stage `{stage}`: name another, `secrets = {{ {name} = \"VARIABLE\" }}`"
                );
                problem(problems, &path, message);
            }
        }
    }
}

/// The variables that hold secrets, as far as the document says: no value of them is filled in anywhere.
/// What is to be filled in where a variable is named is one of them: somebody took its name for its value.
pub(super) fn variables(document: &toml::Table) -> BTreeSet<String> {
    let mut found: BTreeSet<String> =
        OURS.iter().map(|(variable, _)| (*variable).to_owned()).collect();
    let section = |name: &str, key: &str| document.get(name).and_then(|section| section.get(key));
    let seal = section("dead_letter", "seal");
    let old = seal.and_then(|seal| seal.get("old")).and_then(Value::as_array);
    let keys = seal.into_iter().chain(old.into_iter().flatten());
    let tokens = ["token_env", "reader_token_env"].map(|key| section("admin", key));
    let of_host = keys.filter_map(|key| key.get("key_env")).chain(tokens.into_iter().flatten());
    for variable in of_host.filter_map(Value::as_str) {
        found.extend(filled_in(variable));
        found.insert(variable.to_owned());
    }
    let plugins = document.get("plugin").and_then(Value::as_array);
    for plugin in plugins.into_iter().flatten() {
        let stage = plugin.get("name").and_then(Value::as_str).unwrap_or_default();
        for (name, variable) in listed(plugin.get("secrets"), stage, "", &mut Vec::new()) {
            found.extend(filled_in(&name).chain(filled_in(&variable)));
            found.insert(variable);
        }
    }
    found
}

/// The variables whose values a text asks for.
fn filled_in(text: &str) -> impl Iterator<Item = String> {
    let inside = text.split("${").skip(1);
    inside.filter_map(|rest| rest.split(['}', ':']).next()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(stage: &str, secrets: &str, expected: Result<&[(&str, &str)], &[&str]>) {
        let document: toml::Table = toml::from_str(&format!("secrets = {secrets}")).unwrap();
        let mut problems = Vec::new();
        let found = granted(document.get("secrets"), stage, "secrets", &mut problems);
        let problems: Vec<String> = problems.iter().map(Problem::to_string).collect();
        match expected {
            Ok(pairs) => {
                let found: Vec<(&str, &str)> =
                    found.iter().map(|(name, variable)| (&**name, &**variable)).collect();
                assert_eq!((found.as_slice(), problems), (pairs, Vec::new()));
            }
            Err(wanted) => assert_eq!(problems, wanted),
        }
    }

    #[test]
    fn secrets_are_granted_by_name_or_with_their_variable() {
        check("mask", r#"["key"]"#, Ok(&[("key", "CLICKMILL_MASK_KEY")]));
        check("mask-v2", r#"["api-key"]"#, Ok(&[("api-key", "CLICKMILL_MASK_V2_API_KEY")]));
        check("mask", r#"{ key = "SHOP_KEY" }"#, Ok(&[("key", "SHOP_KEY")]));
        check("mask", "[]", Ok(&[]));
        check("mask", "[7]", Err(&["`secrets[0]`: is of type integer, wanted text"]));
        check("mask", r#"["key", "key"]"#, Err(&["`secrets.key`: is there twice"]));
        let form =
            "`secrets`: is one value, wanted names, `[\"key\"]`, or `{ key = \"VARIABLE\" }`";
        check("mask", "\"key\"", Err(&[form]));
        let name =
            "`secrets`: has a name that is none: wanted 1 to 64 of letters, digits, `_` and `-`";
        check("mask", r#"["", "c2VjcmV0IGtleQ=="]"#, Err(&[name, name]));
        let seen = "`secrets.key`: is in environment variable `LC_MESSAGE`, which builds of plugins see: name another";
        check("mask", r#"{ key = "LC_MESSAGE" }"#, Err(&[seen]));
    }

    /// The value is what stands there, not the name of a variable: it is in no message.
    #[test]
    fn a_secret_in_the_place_of_its_variable_is_not_told() {
        for value in [
            "9f86d081884c7d659a2feaa0c55ad015",
            "df86d081884c7d659a2feaa0c55ad015",
            "c2VjcmV0IGtleQ==",
            "a b c d e f g h i",
            "$KEY",
        ] {
            for written in [
                format!("{{ key = \"{value}\" }}"),
                format!("{{ key = [\"{value}\"] }}"),
                format!("{{ key = {{ value = \"{value}\" }} }}"),
                format!("[{{ key = \"{value}\" }}]"),
                format!("[[\"{value}\"]]"),
                format!("\"{value}\""),
            ] {
                let document: toml::Table =
                    toml::from_str(&format!("secrets = {written}")).unwrap();
                let mut problems = Vec::new();
                granted(document.get("secrets"), "mask", "secrets", &mut problems);
                assert_eq!(problems.len(), 1, "{written}");
                assert!(!problems[0].to_string().contains(value), "{}", problems[0]);
            }
            let mut problems = Vec::new();
            let of_host = OfHost { path: "admin.token_env".to_owned(), variable: value, what: "" };
            check_variables(&[], &[of_host], &mut problems);
            assert_eq!(problems.len(), 1, "{value}");
            assert!(!problems[0].to_string().contains(value), "{}", problems[0]);
        }
    }

    #[test]
    fn variables_of_secrets_are_known_before_any_is_filled_in() {
        let text = r#"
            dead_letter = { seal = { key_env = "SEAL", old = [{ key_env = "OLD_SEAL" }] } }
            admin = { token_env = "${TOKEN}", reader_token_env = "READERS" }
            [[plugin]]
            name = "mask"
            secrets = ["key", "${IN_A_LIST}"]
            [[plugin]]
            name = "other"
            secrets = { key = "OTHER", salt = "a${IN_A_TEXT:-b}" }
        "#;
        let found = variables(&toml::from_str(text).unwrap());
        for name in [
            "CLICKMILL_MASK_KEY",
            "SEAL",
            "OLD_SEAL",
            "TOKEN",
            "READERS",
            "IN_A_LIST",
            "OTHER",
            "IN_A_TEXT",
            OURS[0].0,
        ] {
            assert!(found.contains(name), "{name}: {found:?}");
        }
        assert!(!found.contains("key"), "{found:?}");
    }

    #[test]
    fn one_variable_holds_one_secret() {
        let plugin = |stage: &str, name: &str, variable: Option<&str>| {
            let usual = Plugin::secret_variable(stage, name);
            let variable = variable.map_or(usual, str::to_owned);
            let secrets = vec![(name.to_owned(), variable)];
            Plugin { secrets, ..Plugin::named(stage.parse().unwrap()) }
        };
        let told = |plugins: &[Plugin]| {
            let mut problems = Vec::new();
            let path = "dead_letter.seal.key_env".to_owned();
            let of_host = [OfHost { path, variable: "SEAL", what: "the seal" }];
            check_variables(plugins, &of_host, &mut problems);
            problems.iter().map(|problem| problem.path.clone()).collect::<Vec<_>>()
        };
        let first = plugin("mask", "v2_key", None);
        for (stage, name) in [("mask-v2", "key"), ("mask_v2", "key"), ("mask", "V2-KEY")] {
            let second = plugin(stage, name, None);
            let path = format!("plugin[1].secrets.{name}");
            assert_eq!(told(&[first.clone(), second]), [path], "{stage}.{name}");
            // Whoever says which is which is believed, also that it is one secret for both.
            let second = plugin(stage, name, Some("OTHER"));
            assert!(told(&[first.clone(), second.clone(), second]).is_empty());
        }
        assert_eq!(told(&[plugin("admin", "token", None)]), ["plugin[0].secrets.token"]);
        assert_eq!(told(&[plugin("mask", "key", Some("SEAL"))]), ["plugin[0].secrets.key"]);
    }
}
