use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::json;

use super::*;

const KEY: &str = "k\"ey/of+tests, 42\\Ä";

fn redactor() -> Redactor {
    Redactor::new([("key", KEY), ("salt", "0123456789abcdef")].into_iter())
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(redactor().clean(text.to_owned(), 1000), expected);
}

#[test]
fn a_secret_is_replaced_by_its_name() {
    check("nothing of it", "nothing of it");
    check("", "");
    check(KEY, "[secret key]");
    check(
        &format!("a {KEY}{KEY} b 0123456789ABCDEF c"),
        "a [secret key][secret key] b [secret salt] c",
    );
    assert_eq!(Redactor::default().clean(KEY.to_owned(), 1000), KEY);
}

#[test]
fn a_secret_is_found_in_whatever_form_programs_print_it() {
    let forms = [
        format!("{KEY:?}"),
        json!(KEY).to_string(),
        json!({ "key": KEY, "n": 1 }).to_string(),
        format!("{:?}", KEY.as_bytes()),
        json!(KEY.as_bytes()).to_string(),
        format!("{:02x?}", KEY.as_bytes()).replace(['[', ']', ',', ' '], ""),
        hex(KEY.as_bytes()).to_uppercase(),
        percent_encode(KEY.as_bytes(), IN_A_URL).to_string(),
        percent_encode(KEY.as_bytes(), IN_A_URL).to_string().to_lowercase(),
        KEY.to_uppercase(),
    ];
    for form in forms {
        assert_eq!(redactor().find(&form), Some("key"), "{form}");
        assert!(redactor().clean(form.clone(), 1000).contains("[secret key]"), "{form}");
    }
}

/// What a text has besides the letters and digits of a value or of its bytes says nothing.
#[test]
fn a_text_that_spells_a_secret_otherwise_is_left_out() {
    const RANDOM: &str = "Zq+8/wPl0=\"9 vTk#Xy7mN2rHs4";
    let redactor = Redactor::new([("key", RANDOM)].into_iter());
    let bytes = RANDOM.as_bytes();
    let each = |of: &dyn Fn(u8) -> String, between: &str| {
        bytes.iter().map(|byte| of(*byte)).collect::<Vec<_>>().join(between)
    };
    let (first, rest) = RANDOM.split_at(10);
    let encoded = STANDARD.encode(RANDOM);
    let (line, next) = encoded.split_at(20);
    for text in [
        format!("{bytes:#?}"),
        format!("{bytes:x?}"),
        format!("{bytes:#x?}"),
        format!("{:?}", RANDOM.chars().collect::<Vec<_>>()),
        format!("{:?}", format!("{RANDOM:?}")),
        each(&|byte| byte.to_string(), " "),
        each(&|byte| format!("{byte:02X}"), ":"),
        each(&|byte| format!("0x{byte:02x}"), ", "),
        each(&|byte| format!("\\x{byte:02x}"), ""),
        each(&|byte| format!("\\u{byte:04x}"), ""),
        each(&|byte| format!("\\u{{{byte:x}}}"), ""),
        each(&|byte| format!("\\{byte:03o}"), ""),
        each(&|byte| format!("&#{byte};"), ""),
        each(&|byte| format!("&#x{byte:x};"), ""),
        each(&|byte| format!("%{byte:02X}"), ""),
        each(&|byte| format!("%25{byte:02X}"), ""),
        each(&|byte| char::from(byte).to_string(), "\0"),
        each(&|byte| char::from(byte).to_string(), "\u{200b}"),
        format!("{first}\n{rest}"),
        format!("{line}\r\n{next}"),
        RANDOM.replace('/', "\\/"),
        RANDOM.replace('+', "\\u002B").replace('"', "\\u0022"),
        RANDOM.replace('"', "%22").replace(' ', "+"),
    ] {
        assert_eq!(redactor.find(&text), Some("key"), "{text}");
        let told = redactor.clean(format!("it is {text}."), 1000);
        assert_eq!(told, "[left out: it spells secret key]", "{text}");
        let told = redactor.clean(format!("{RANDOM} is {text}."), 1000);
        assert_eq!(told, "[left out: it spells secret key]", "{text}");
    }
    for fine in ["Zq+8/wPl0", "vTk#Xy7mN2rHs", "100 % of \\\"it\\\" \\u00e9", "[90, 113, 43, 56]"] {
        assert_eq!(redactor.clean(fine.to_owned(), 1000), fine);
    }
}

/// What is encoded as a whole, with the secret somewhere in it.
#[test]
fn a_secret_is_found_within_base64() {
    for before in 0..7 {
        for after in 0..4 {
            let whole = format!("{}{KEY}{}", "b".repeat(before), "a".repeat(after));
            for encoded in [STANDARD.encode(&whole), URL_SAFE_NO_PAD.encode(&whole)] {
                assert_eq!(redactor().find(&encoded), Some("key"), "{encoded}");
            }
        }
    }
}

#[test]
fn a_cut_leaves_no_part_of_a_secret() {
    let text = format!("{}{KEY} and so on", "x".repeat(100));
    let redactor = redactor();
    for max_bytes in 0..200 {
        let cleaned = redactor.clean(text.clone(), max_bytes);
        assert!(cleaned.len() <= max_bytes + '…'.len_utf8(), "{max_bytes}");
        assert!(!cleaned.contains("k\""), "{max_bytes}: {cleaned}");
        assert_eq!(cleaned.ends_with('…'), text.len() > max_bytes, "{max_bytes}: {cleaned}");
    }
    // Each that is replaced makes room for what was beyond the limit, which was not looked at.
    let text = KEY.repeat(100);
    for max_bytes in 0..300 {
        let cleaned = redactor.clean(text.clone(), max_bytes);
        assert!(!cleaned.contains("k\""), "{max_bytes}: {cleaned}");
    }
}

proptest! {
    #[test]
    fn whatever_is_around_a_secret_it_is_not_told(
        before in ".{0,20}", between in ".{0,20}", after in ".{0,20}", max_bytes in 0_usize..120,
    ) {
        let text = format!("{before}{KEY}{between}0123456789abcdef{after}");
        let redactor = redactor();
        let cleaned = redactor.clean(text, max_bytes);
        prop_assert!(cleaned.len() <= max_bytes + '…'.len_utf8());
        prop_assert_eq!(redactor.find(&cleaned), None);
    }
}

#[test]
fn a_configuration_is_looked_through() {
    let config = json!({
        "fine": "0123456789",
        "nested": { "list": ["a", { "deep": format!("key={KEY}") }] },
        "bytes": KEY.as_bytes(),
        KEY: 1,
    });
    let redactor = Redactor::new([("key", KEY), ("number", "1234567890123456")].into_iter());
    let found = redactor.find_in(config.as_object().unwrap());
    let mut found: Vec<(&str, &str)> = found.iter().map(|(at, name)| (&**at, *name)).collect();
    found.sort_unstable();
    let places = ["`config.bytes`", "`config.nested.list[1].deep`", "a key of `config`"];
    assert_eq!(found, places.map(|place| (place, "key")));
    let number = json!({ "n": 1_234_567_890_123_456_u64 });
    assert_eq!(redactor.find_in(number.as_object().unwrap()).len(), 1);
}
