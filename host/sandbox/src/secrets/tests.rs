use super::*;

const KEY: &str = "a key for tests, 32 bytes or more";

fn plugin() -> Plugin {
    let secrets = vec![("key".to_owned(), "CLICKMILL_MASK_KEY".to_owned())];
    Plugin { secrets, ..Plugin::named("mask".parse().unwrap()) }
}

fn read(plugins: &[Plugin], value: Option<&str>) -> Result<Secrets, SecretsError> {
    Secrets::read(plugins, &Secrets::new(), |variable| {
        assert_eq!(variable, "CLICKMILL_MASK_KEY");
        value.map(OsString::from)
    })
}

#[test]
fn a_secret_that_can_be_guessed_or_gets_lost_is_refused_and_not_told() {
    let spaces = ["\n", "\r\n", " ", "\t", "\u{a0}", "\u{2003}"];
    let ends = spaces.map(|space| format!("{KEY}{space}"));
    let begins = spaces.map(|space| format!("{space}{KEY}"));
    let short = ["", "short", "fifteen bytes..", "                "].map(str::to_owned);
    for value in [&ends[..], &begins, &short].concat() {
        let error = read(&[plugin()], Some(&value)).expect_err(&value).to_string();
        for said in ["stage `mask`", "secret `key`", "`CLICKMILL_MASK_KEY`"] {
            assert!(error.contains(said), "{error}");
        }
        assert!(value.trim().len() < 5 || !error.contains(value.trim()), "{error}");
    }
    let error = read(&[plugin()], None).expect_err("it is not set").to_string();
    assert!(error.contains("`CLICKMILL_MASK_KEY`, is not set"), "{error}");
    for value in ["sixteen bytes...", "a key with spaces within", "16 bytes of ünicode"] {
        assert!(read(&[plugin()], Some(value)).is_ok(), "{value}");
    }
}

#[cfg(unix)]
#[test]
fn a_secret_that_is_no_text_is_refused() {
    use std::os::unix::ffi::OsStringExt;

    let bytes = [b"a key for tests, ", &[0xff; 20][..]].concat();
    let secrets =
        Secrets::read(&[plugin()], &Secrets::new(), |_| Some(OsString::from_vec(bytes.clone())));
    assert!(secrets.expect_err("no UTF-8").to_string().ends_with("is not UTF-8"));
}

#[test]
fn all_problems_are_told_at_once() {
    let named = |name: &str| Plugin { name: name.parse().unwrap(), ..plugin() };
    let error = read(&[named("one"), named("two")], Some("short")).expect_err("both are short");
    assert_eq!(error.problems.len(), 2);
}

#[test]
fn what_is_given_stands_for_the_environment() {
    let given =
        Secrets::new().with("mask", "key", KEY).with("other", "key", "not granted, not read");
    let secrets = Secrets::read(&[plugin()], &given, |_| None).expect("it is given");
    assert_eq!(secrets.get("mask", "key"), Some(KEY));
    assert_eq!(secrets.get("other", "key"), None);
}

#[test]
fn a_value_in_any_configuration_is_refused() {
    let mut other = Plugin::named("other".parse().unwrap());
    other.config.insert("salt".to_owned(), format!("x{KEY}").into());
    let error = read(&[plugin(), other], Some(KEY)).expect_err("it is written down").to_string();
    assert!(error.contains("stage `other`: `config.salt` holds secret `key`"), "{error}");
    assert!(!error.contains(KEY), "{error}");
}

#[test]
fn debug_says_no_value() {
    let told = format!("{:?}", Secrets::new().with("mask", "key", KEY));
    assert_eq!(told, r#"{("mask", "key")}"#);
}

/// Golden cases may rest on them.
#[test]
fn made_up_values_never_change() {
    let of_key = made_up("key", 0);
    assert_eq!((of_key.len(), wrong(&of_key, 0)), (64, None));
    assert_eq!(of_key, made_up("key", 0));
    assert_ne!(of_key, made_up("salt", 0));
}
