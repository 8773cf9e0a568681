//! Properties that hold for any input.

use clickmill_plugin::prelude::*;
use proptest::prelude::*;

use super::{EVERY_KIND, clean, clean_of, pseudonyms, run};

/// Cleaning must not take a time that grows with the square of a text's length: where a finder walked
/// to the end of such a text at each of its signs, this would take minutes.
#[test]
fn long_hostile_texts_are_cleaned_in_linear_time() {
    for piece in [
        "password=",
        "token=",
        "token%3d",
        "tel:",
        "tel:'",
        "eyJ",
        "eyJaaaaaaaaaaaaa.",
        "bearer+",
        "bearer ",
        "://",
        "@",
        "a@",
        "a@a.de",
        "%40",
        "%25",
        "[a]",
        "1 ",
        "030 1234567 ",
        "+49 30 123456-",
        "(0",
        "1-",
        "\"key\":\"",
        "\"key\":\\\"",
        "password:%2527 password:%27 ",
        "\"@",
        "\\",
        "\\\"",
        "&amp;",
        "amp;",
        "&#37;26",
        "%255C",
        "[\"",
        "[1,",
        "{\"a\":",
        "::",
        "1.",
        "1::",
        "xoxb-",
        "AKIA",
        "-----BEGIN ",
        "-----BEGIN PRIVATE KEY",
        "DE89 3704 ",
        "4111 1111 ",
        "4111",
        "\u{a0}1",
        "deadbeef",
        "AIza-",
        "SG.-",
        "sk-",
        ":%2F%2F@",
        "token=%2574oken=",
        "<password>",
        "<password> ",
        "<token><password a='",
        "<password><![CDATA[",
        "&lt;password&gt; &amp;lt;password&amp;gt;",
        "\"name\":\"password\",",
        "\"value\":",
        "\"value\":\"",
        "value=name=",
        "\"name\":\"n\",\"value\":\"\\\"",
        "password=Some(",
        "password=b'",
        "token: Ok(Some(String(\"",
        "password: string ",
        "password->",
        "token => \n",
        "password=[",
        "password=[a,",
        "password: {a:",
        "otp=1 1 1 ",
        "_",
        "_1.1.1.1",
        "..",
        "1..",
        "_+48 ",
        "\x1b[",
        "\x1b[1m",
        "password\x1b[1m=",
        "\\u{",
        "\\033[1m",
        "000 ",
        "1 000 ",
        "password:\t",
        "password\t=\t",
        "bearer\t",
        "tel.\t1",
        "token:\u{3000}",
        "password='a''",
        "password=''",
        "password=a,",
        "password=a;b",
        "password=a'b",
        "password: <a",
        "password: <b>",
        "password:<",
        "password<>",
        "passphrase: a ",
        "passphrase: a, ",
        "passphrase=true ",
        "password=a(\"",
        "password=a(%22",
        "form-data; name=\"password\"",
        "form-data; name=\"password\"\n",
        "form-data; name=\"pass\"\n\n1\n--",
        "form-data; name=\"tel\"\n\n",
        "eyJaaaaaaaaaaaaa..",
        "PuTTY-User-Key-File-",
        "PuTTY-User-Key-File-Private-Lines",
        "AGE-SECRET-KEY-1",
        "[31m1",
        "[1;",
        "password string = ",
    ] {
        let text = piece.repeat(300_000 / piece.len());
        clean(&text);
        clean_of(EVERY_KIND, &text);
        clean_of(EVERY_KIND, &format!("[\"{}\"]", text.replace(['\\', '"'], "%22")));
    }
}

/// Texts made of pieces that the finders look at, joined without care.
pub(super) fn mixed_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-z]{1,6}@[a-z]{1,6}\\.(de|com)",
        "[+(]?[0-9]{1,5}",
        "[0-9]{1,4}",
        Just("030 1234567".to_owned()),
        "[-+@%=:/?&#.,;_ ()\\[\\]\"']{1,2}",
        "(token|password|key|tel|phone|bearer|eyJ|%40|%2540|%20|%2B|%3D|%26|%28|://|ü|[a-zA-Z0-9]{16})",
        "(\\\\u0040|\\\\u002B|\\\\/|\\\\\"|\\\\|&amp;|&#64;|%22|%5C|%7B|%7D|[{}]|\u{a0}|\u{200b}|otp|code)",
        "(192\\.0\\.2\\.[0-9]{1,2}|2001:db8::[0-9a-f]{1,4}|DE89 3704 0044 0532 0130 00|4111 1111 1111 1111)",
        "(pw|pass|name|value|<password>|</password>|<!\\[CDATA\\[|\"name\":\"password\"|\"value\":\")",
        "(Some\\(\"|b'|=>|:=|->|\\?=|new String\\(|\x1b\\[1m|_|\\.\\.\\.|string = |\"\\)|000|otp=493 817)",
        "(\t|\u{3000}|\\\\t|passphrase: |=|: |<|>|''|,|;|a,b|it's|!=| string = |\\(\"|\\^\\[\\[31m|eyJhbGciOiJka..|NTLM )",
        "(form-data; name=\"password\"|\r\n|\n|\n--|<b>|</b>)",
        "[a-zA-Z]{1,4}",
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn address() -> impl Strategy<Value = (String, String)> {
    (
        "[a-z0-9]([a-z0-9._+-]{0,10}[a-z0-9])?",
        prop_oneof![Just("@"), Just("%40")],
        "([a-z][a-z0-9-]{0,8}[a-z0-9]\\.){1,2}[a-z]{2,6}",
    )
        .prop_map(|(name, at, host)| (format!("{name}{at}{host}"), host))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn pseudonyms_are_equal_exactly_where_the_values_are(
        values in prop::collection::vec(prop::option::of("[ab0]{1,9}|.{1,20}"), 1..60),
    ) {
        let values: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
        let found = pseudonyms(r#""pseudonym""#, &values);
        for (a, b) in values.iter().zip(&found) {
            prop_assert_eq!(a.is_some(), b.is_some());
            for (c, d) in values.iter().zip(&found) {
                prop_assert_eq!(a == c, b == d);
            }
        }
    }

    #[test]
    fn no_address_is_left_in_a_cleaned_text(
        (address, host) in address(),
        before in "(|.* |/[a-z]+\\?[a-z]+=|[a-z]+: |<|\\(|%3D)",
        after in "(| .*|&[a-z]+=[a-z0-9]+|>|\\)|,|/|\\?)",
    ) {
        let text = format!("{before}{address}{after}");
        let cleaned = clean(&text);
        prop_assert!(cleaned.contains("[email]") || cleaned.contains("[token]"), "{} -> {}", text, cleaned);
        let with_host = ["@", &host].concat();
        prop_assert!(!cleaned.contains(&address) && !cleaned.contains(&with_host));
    }

    #[test]
    fn no_international_number_is_left_in_a_cleaned_text(
        number in "(\\+|%2B)[1-9][0-9]{1,2}( |-|%20)?[0-9]{2,4}( |-|\\.|%20)?[0-9]{4,6}",
        before in "(|.* |/[a-z]+\\?[a-z]+=|[a-z]+: |\\()",
        after in "(| [a-z ]*|&[a-z]+=[a-z0-9]+|\\)|,)",
    ) {
        let cleaned = clean(&[before, number.clone(), after].concat());
        // Behind the name of a password it is one.
        let marked = cleaned.contains("[phone]") || cleaned.contains("[token]");
        prop_assert!(marked && !cleaned.contains(&number), "{} -> {}", number, cleaned);
    }

    #[test]
    fn no_long_token_is_left_in_a_cleaned_text(
        name in "(token|access_token|refreshToken|api_key|key|auth|session|sessionId|sid|password)",
        token in "[A-Za-z0-9_-]{15,40}[0-9]",
        sign in "(=|: |%3D)",
        before in "(|.* |/[a-z]+\\?[a-z]+=[0-9]&|#|%26)",
        after in "(| .*|&[a-z]+=[a-z0-9]+|#x|\"|%26)",
    ) {
        let cleaned = clean(&[&before, &name, &sign, &token, &after].map(String::as_str).concat());
        prop_assert!(cleaned.contains("[token]") && !cleaned.contains(&token), "{}", cleaned);
    }

    #[test]
    fn cleaning_twice_changes_nothing_more(text in mixed_text()) {
        let once = clean(&text);
        prop_assert_eq!(clean(&once), once);
        let once = clean_of(EVERY_KIND, &text);
        prop_assert_eq!(clean_of(EVERY_KIND, &once), once);
    }

    #[test]
    fn any_text_is_cleaned_without_a_panic(text in any::<String>(), mixed in mixed_text()) {
        clean_of(EVERY_KIND, &text);
        clean_of(EVERY_KIND, &format!("{mixed}{text}{mixed}"));
    }

    #[test]
    fn cleaning_a_column_is_cleaning_each_value(
        values in prop::collection::vec(prop::option::of(prop_oneof![mixed_text(), "[a-z]{0,5}"]), 1..30),
    ) {
        let config = r#"{"columns": {"t": "clean"}}"#;
        let output = run(config, vec![Column::texts("t", values.iter().map(Option::as_deref))]);
        let expected = values.iter().map(|value| value.as_deref().map(clean));
        prop_assert_eq!(&output.columns[0], &Column::texts("t", expected));
    }

    #[test]
    fn truncating_an_address_twice_changes_nothing_more(v4 in any::<u32>(), v6 in any::<u128>(), text in ".{0,20}") {
        let v4 = std::net::Ipv4Addr::from(v4).to_string();
        let v6 = std::net::Ipv6Addr::from(v6).to_string();
        for text in [v4, v6, text] {
            if let Some(once) = crate::ip::truncate(&text) {
                prop_assert_eq!(crate::ip::truncate(&once.to_string()), Some(once));
            }
        }
    }
}
