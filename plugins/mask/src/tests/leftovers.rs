//! Values behind any blank and within any sign, and what is written around them.

use serde_json::Value;

use super::{EVERY_KIND, check_clean, clean, clean_of};
use crate::config::Kind;

#[test]
fn blanks_of_any_kind_and_number_announce_what_one_space_does() {
    const KEY: &str = "abcdef0123456789abcdef";
    for blank in
        ["\t", "  ", " \t ", "\t\t", "\u{a0}", "\u{202f}", "\u{2003}", "\u{3000}", " \u{a0}"]
    {
        for (text, mark) in [
            (format!("X-Api-Key:…{KEY}"), "X-Api-Key:…[token]"),
            (format!("X-Api-Key…:…{KEY}"), "X-Api-Key…:…[token]"),
            ("Password:…hunter2".to_owned(), "Password:…[token]"),
            ("password…=…hunter2".to_owned(), "password…=…[token]"),
            ("password…:=…\"hunter 2\"".to_owned(), "password…:=…\"[token]\""),
            ("mot de passe…:…hunter2".to_owned(), "mot de passe…:…[token]"),
            ("phone:…01701234567".to_owned(), "phone:…[phone]"),
            (format!("Authorization:…Bearer…{KEY}"), "Authorization:…[token]"),
            ("Authorization:…Basic…cm9vdDpyb290".to_owned(), "Authorization:…[token]"),
            (format!("sent Bearer…{KEY}"), "sent Bearer…[token]"),
        ] {
            let [text, mark] = [&text, mark].map(|text| text.replace('…', blank));
            assert_eq!(clean(&text), mark, "{}", text.escape_debug());
            // As JSON has it, and in a text that holds JSON.
            let json = |text: &str| serde_json::json!({ "m": text }).to_string();
            assert_eq!(clean(&json(&text)), json(&mark));
            let cut = |text: &str| json(text).replace(['{', '}'], "");
            assert_eq!(clean(&cut(&text)), cut(&mark));
        }
        let version = format!("version:{blank}1.2.3.4");
        assert_eq!(clean_of(&[Kind::Ip], &version), version);
    }
    for blank in ["\t", "   ", " \t ", "\u{a0}", "\u{2003}"] {
        let of = |number: &str| format!("Tel.{blank}{number}");
        assert_eq!(clean(&of("601234567")), of("[phone]"));
    }
    check_clean(&[
        (r"X-Api-Key\t:\t\tabcdef0123456789abcdef", r"X-Api-Key\t:\t\t[token]"),
        ("X-Api-Key:%09abcdef0123456789abcdef", "X-Api-Key:%09[token]"),
        ("X-Api-Key%3A%09abcdef0123456789abcdef", "X-Api-Key%3A%09[token]"),
        ("Bearer%20%20abcdef0123456789abcdef", "Bearer%20%20[token]"),
        ("q=Bearer++abcdef0123456789abcdef", "q=Bearer++[token]"),
    ]);
}

#[test]
fn signs_within_a_password_do_not_end_it() {
    check_clean(&[
        ("SET password = 'it''s hunter2', n = 'b'", "SET password = '[token]', n = 'b'"),
        ("password = \"a\"\"b\"; n=1", "password = \"[token]\"; n=1"),
        (r#"m=\"password='it''s x'\", n='b'"#, r#"m=\"password='[token]'\", n='b'"#),
        ("password = '', n = 'x'", "password = '', n = 'x'"),
        ("password=hunt,er2x", "password=[token]"),
        ("password=hunt;er2x&n=1", "password=[token]&n=1"),
        ("password=hunt'er2x", "password=[token]"),
        ("password=hunt,er2x,n=1", "password=[token],n=1"),
        ("password=a;b;Server=db;n=1", "password=[token];Server=db;n=1"),
        ("{password:hunt,er2x,user : ada}", "{password:[token],user : ada}"),
        ("password=hunter2, and more; x", "password=[token], and more; x"),
        ("{\"q\":\"password=hunter2\",\"n\"", "{\"q\":\"password=[token]\",\"n\""),
        ("password=null,7, pass=3,4, pw=;path=/", "password=null,7, pass=3,4, pw=;path=/"),
        ("password=hunter2(\"x", "password=[token]"),
        ("password=hunter(\"x", "password=[token]"),
        ("password=sha256(\"x\")", "password=sha256(\"[token]\")"),
    ]);
}

#[test]
fn what_a_password_is_set_in_stays() {
    check_clean(&[
        ("password: <hunter2x>", "password: <[token]>"),
        ("password=<hunter2x>, n=1", "password=<[token]>, n=1"),
        ("password: <<hunter2x>>, password: <x", "password: <<[token]>>, password: <[token]"),
        ("token: <abcdef0123456789>", "token: <[token]>"),
        ("tel: <01701234567>", "tel: <[phone]>"),
        ("password: <b>hunter2</b>", "password: <b>[token]</b>"),
        ("Password:<br>must be long", "Password:<br>must be long"),
        ("login <password> [options]", "login <password> [options]"),
        ("var password string = \"a b\"", "var password string = \"[token]\""),
        ("var password []byte = []byte(\"a b\")", "var password []byte = []byte(\"[token]\")"),
        ("DECLARE @password NVARCHAR(50) = N'a b'", "DECLARE @password NVARCHAR(50) = N'[token]'"),
        ("if password != \"a b\" {", "if password != \"[token]\" {"),
        (
            "password <> 'a b' and password =~ \"a b\"",
            "password <> '[token]' and password =~ \"[token]\"",
        ),
        ("if (password !== 'a b')", "if (password !== '[token]')"),
        ("if (password != null) other != \"\"", "if (password != null) other != \"\""),
    ]);
}

#[test]
fn a_phrase_goes_to_the_end_of_its_line() {
    check_clean(&[
        ("passphrase: correct horse battery staple", "passphrase: [token]"),
        ("Seed phrase: legal winner, thank true wave\nn: 1", "Seed phrase: [token]\nn: 1"),
        ("mnemonic = a b c user=ada", "mnemonic = [token] user=ada"),
        ("passphrase: it's a dog; n: 1", "passphrase: [token]; n: 1"),
        ("passphrase=a b c, n=1", "passphrase=[token], n=1"),
        ("?passphrase=a+b%20c&n=1", "?passphrase=[token]&n=1"),
        ("at /a?passphrase=a is a field", "at /a?passphrase=[token] is a field"),
        ("m='passphrase: a b', n=1", "m='passphrase: [token]', n=1"),
        ("passphrase: none of these", "passphrase: none of these"),
        ("password: hunter2 was wrong", "password: [token] was wrong"),
    ]);
}

#[test]
fn several_words_name_a_value_before_any_sign_that_stands_apart() {
    for sign in [" = ", "\t=\t", " == ", " := ", " += ", " -> ", ": "] {
        for (name, value, mark) in [
            ("seed phrase", "\"legal winner thank\"", "\"[token]\""),
            ("Recovery Phrase", "\"legal winner thank\"", "\"[token]\""),
            ("mot de passe", "\"hunter2\"", "\"[token]\""),
            ("password new", "\"hunter2\"", "\"[token]\""),
            ("phone number", "\"1234567\"", "\"[phone]\""),
        ] {
            check_clean(&[(&format!("{name}{sign}{value}"), &format!("{name}{sign}{mark}"))]);
        }
    }
    check_clean(&[
        ("seed phrase = legal winner thank", "seed phrase = [token]"),
        ("my seed phrase = legal winner\nn = 1", "my seed phrase = [token]\nn = 1"),
        ("seed phrase=legal winner, n=1", "seed phrase=[token], n=1"),
        ("q=seed+phrase+%3D+legal%20winner", "q=seed+phrase+%3D+[token]"),
        ("verification code = 482913", "verification code = [token]"),
    ]);
    for text in [
        "search phrase = red shoes",
        "search phrase=red shoes",
        "the pass = 3 of 4, num pw = 100",
        "error code = 100234",
        "cell value = 12345",
        "?a=1&phrase=red+shoes",
    ] {
        check_clean(&[(text, text)]);
    }
}

#[test]
fn parts_of_a_form_become_a_mark() {
    for end in ["\r\n", "\n"] {
        let form = |password: &str, phone: &str| {
            format!(
                "--b{end}Content-Disposition: form-data; name=\"password\"{end}{end}{password}{end}\
                 --b{end}content-disposition: form-data; name=\"n\"{end}{end}x y{end}\
                 --b{end}Content-Disposition: form-data; name=\"phone\"; x=\"y\"{end}\
                 Content-Type: text/plain{end}{end}{phone}{end}--b--{end}"
            )
        };
        let (text, wanted) = (form("hunter 2", "01701234567"), form("[token]", "[phone]"));
        assert_eq!(clean(&text), wanted);
        let json = |text: &str| serde_json::json!({ "body": text }).to_string();
        assert_eq!(clean(&json(&text)), json(&wanted));
        let cut = |text: &str| json(text).replace(['{', '}'], "");
        assert_eq!(clean(&cut(&text)), cut(&wanted));
    }
    for text in [
        "form-data; name=\"password\"\r\n\r\n--b--",
        "form-data; name=\"pass\"\r\n\r\n3\r\n--b--",
        "<input name=\"password\"\n\n type=\"text\">",
    ] {
        assert_eq!(clean(text), text);
    }
}

#[test]
fn tokens_of_any_scheme_and_with_empty_parts_become_a_mark() {
    let jwe = "eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..AxY8DCtDaGlsbGljb3RoZQ.KDlTtXch.U0m_Ym";
    check_clean(&[
        ("Authorization: NTLM TlRMTVNTUAABAAAAB4IIog==", "Authorization: [token]"),
        ("authorization: dpop TlRMTVNTUAABAAAAB4IIog==", "authorization: [token]"),
        (jwe, "[token]"),
        ("x eyJhbGciOiJIUzI1NiJ9..dozjgNryP4J3jVmNHl0w5N y", "x [token] y"),
        ("eyJhbGciOiJub25l... and more", "eyJhbGciOiJub25l... and more"),
    ]);
}

#[test]
fn private_keys_of_other_tools_are_found_whole() {
    let key = "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L".repeat(2);
    for begin in ["AGE-SECRET-KEY-1", "AGE-SECRET-KEY-PQ-1"] {
        let text = format!("# a comment\n{begin}{}\n", &key[..58]);
        assert_eq!(clean_of(&[Kind::ApiKey], &text), "# a comment\n[api_key]\n");
    }
    for end in ["\r\n", "\n", r"\r\n"] {
        let file = format!(
            "PuTTY-User-Key-File-3: ssh-ed25519{end}Encryption: none{end}Public-Lines: 1{end}\
             AAAAC3Nza{end}Private-Lines: 1{end}AAAAIGq/x+={end}Private-MAC: 0123abcd"
        );
        let text = format!("a {file}{end}b");
        assert_eq!(clean_of(&[Kind::ApiKey], &text), format!("a [api_key]{end}b"));
    }
}

#[test]
fn a_text_of_json_alone_stays_one() {
    for text in [
        "\"<password>x 1\"",
        "\"password: a\\\"b\"",
        " \"passphrase: a b\" ",
        "\"+48 601 234 567\"",
        "\"form-data; name=\\\"password\\\"\\n\\nx\"",
        "\"4111111111111111\"",
    ] {
        let cleaned = clean_of(EVERY_KIND, text);
        assert_ne!(cleaned, text);
        assert!(
            serde_json::from_str::<Value>(&cleaned).is_ok_and(|json| json.is_string()),
            "{cleaned}"
        );
    }
    check_clean(&[("\"a@b.de\", \"c@d.de\"", "\"[email]\", \"[email]\"")]);
    assert_eq!(clean_of(&[Kind::Card], "4111111111111111"), "[card]");
}

#[test]
fn numbers_behind_a_colour_that_is_written_out_are_found() {
    let check = |text: &str, wanted: &str| assert_eq!(clean_of(EVERY_KIND, text), wanted);
    check("at ^[[31m203.0.113.57^[[0m", "at ^[[31m[ip]^[[0m");
    check("^[[1;33m2001:db8::1^[[0m", "^[[1;33m[ip]^[[0m");
    check("^[[31m030 1234567^[[0m", "^[[31m[phone]^[[0m");
    check("[31m4111 1111 1111 1111[0m", "[31m[card][0m");
    check("a31m203.0.113.57, [12 m203.0.113.57", "a31m203.0.113.57, [12 m203.0.113.57");
}

#[test]
fn a_number_that_is_no_date_is_one_behind_its_word() {
    check_clean(&[
        ("Tel. 22 45 7800", "Tel. [phone]"),
        ("Tel. 45 12 1999", "Tel. [phone]"),
        ("Tel. 12 10 2024", "Tel. 12 10 2024"),
        ("Tel. 10/31/2024", "Tel. 10/31/2024"),
        ("Tel. 2024-05-06", "Tel. 2024-05-06"),
    ]);
}
