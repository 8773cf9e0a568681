//! Finds secrets and phone numbers by the name they are given: `name=value` in a URL's query or fragment,
//! `name: value` or `"name": "value"` in text, in elements ([`element`]), and apart from the value ([`pair`]).

use super::assigned::{COLOUR, name, name_end, quote_end, sign_end, signs, value_start};
use super::element;
use super::form;
use super::names::{self, Holds, MAX_NAME};
use super::pair;
use super::span::{Mark, Span};
use super::value;
use super::view::View;
use super::wrapped;

/// Calls `found` with what is to be replaced, and what the name announces.
pub(super) fn find(text: View<'_>, mut found: impl FnMut(Mark, Span)) {
    let bytes = text.bytes();
    // What lies in a value that is replaced is not looked at, so a text is never walked twice.
    let mut done = 0;
    let mut names_near = pair::Names::default();
    for at in signs(bytes) {
        if at < done || bytes[at] == b':' && bytes.get(at + 1) == Some(&b'/') {
            continue;
        }
        if bytes[at] == b'<' && bytes.get(at + 1) != Some(&b'>') {
            if let Some((holds, value)) = element::find(text, at)
                && let Some(mark) = holds.mark()
            {
                done = value.end;
                found(mark, Span { start: value.start, end: value.end, mark });
            }
            continue;
        }
        let (name_end, adds) = name_end(text, at);
        let mut before = &bytes[..name_end];
        // A type stands apart from the sign.
        if bytes[at] == b'=' && name_end < at {
            before = wrapped::without_type(before).unwrap_or(before);
        }
        if !names::may_tell(before) {
            if bytes[at..].starts_with(b"=\"")
                && let Some((holds, value)) = form::find(text, at)
                && let Some(mark) = holds.mark()
            {
                done = value.end;
                found(mark, Span { start: value.start, end: value.end, mark });
            }
            continue;
        }
        let name_of = |of_words| name(text, before.len(), at, of_words);
        let name = name_of(bytes[at] == b':');
        let is_after_space = bytes[before.len()..at].iter().any(|byte| *byte != COLOUR);
        // Where several words are told from what is before them, the last alone may say less: `seed phrase = a b`.
        let in_words = || {
            let is_told = is_after_space || ends_with_phrase(before);
            (is_told && bytes[at] != b':').then(|| names::holds(name_of(true))).flatten()
        };
        let alone = names::holds(name);
        let holds = match alone {
            None | Some(Holds::Code) => in_words().or(alone),
            alone => alone,
        };
        let apart = || pair::find(text, name, at, &mut names_near);
        let Some(holds) = holds.or_else(apart) else {
            continue;
        };
        let Some(kind) = holds.mark() else {
            continue;
        };
        // No parameter of a URL has a space in it.
        let is_param = || matches!(before[..before.len() - name.len()], [.., b'?' | b'&']);
        let holds = if holds == Holds::Phrase && is_param() { Holds::Secret } else { holds };
        let sign_end = sign_end(text, at);
        let is_bare =
            !before.ends_with(b"\"") && !before.ends_with(b"'") && !before.ends_with(b"]");
        let is_spaced = bytes[at] == b':' || is_after_space || sign_end > at + 1;
        let is_json = bytes[at] == b':' && before.ends_with(b"\"");
        let start = value_start(text, at, sign_end, is_spaced);
        let is_list = holds.is_password() && !is_json && bytes[sign_end..start].contains(&b'[');
        let start = match quote(text, at, start, holds) {
            Some(quote) => quote,
            // `[90, 120]` is all of a password, and not the first of several.
            None if is_list => start - without_list(&bytes[sign_end..start]),
            None => start,
        };
        let start = start + wrapped::tags(&bytes[start..]);
        let mut mark = kind;
        let (start, length) = match &bytes[start..] {
            [quote @ (b'"' | b'\''), ..] => {
                let end = quote_end(text, start, *quote);
                let start = start + 1;
                let colours = bytes[start..end].iter().take_while(|b| **b == COLOUR).count();
                let start = start + colours;
                let value = text.slice(start..end);
                let length = match holds {
                    _ if holds.is_password() => {
                        let value = value.bytes();
                        if value::is_password(value, holds) { value.len() } else { 0 }
                    }
                    _ => value::length(value, holds, text.percent(start - 1)),
                };
                (start, length)
            }
            [b'`', rest @ ..] if holds.is_password() && back_quoted(rest) > 0 => {
                (start + 1, back_quoted(rest))
            }
            [b'<', ..] => {
                let start = start + bytes[start..].iter().take_while(|b| **b == b'<').count();
                let length = value::length(text.rest(start), holds, text.percent(at));
                let (value, rest) = bytes[start..].split_at(length);
                (start, if wrapped::is_angled(value, rest) { length } else { 0 })
            }
            [b'-' | b'0'..=b'9', ..] if is_json => {
                let number = &bytes[start..start + number_length(&bytes[start..])];
                mark = Mark::Null;
                (start, if value::is_number_of(number, holds) { number.len() } else { 0 })
            }
            rest if is_json && is_literal(rest) => continue,
            // Of a program: `password => hash(password)`.
            rest if is_bare && is_of_program(text, at, rest, adds) => continue,
            // A bare `code: 100234` is one of errors.
            _ if is_spaced && holds == Holds::Code => continue,
            _ => (start, value::length(text.rest(start), holds, text.percent(at))),
        };
        if length > 0 {
            done = start + length;
            found(kind, Span { start, end: done, mark });
        }
    }
}

/// Whether the last word of a text is `phrase`, of which only words before it say what it is of.
fn ends_with_phrase(text: &[u8]) -> bool {
    text.last_chunk().is_some_and(|last: &[u8; 6]| last.eq_ignore_ascii_case(b"phrase"))
}

/// How long the value is that a back quote ends, on the line that this text begins with.
fn back_quoted(text: &[u8]) -> usize {
    const MAX_LENGTH: usize = 128;
    let line = text.iter().take(MAX_LENGTH).take_while(|byte| **byte != b'\n');
    line.into_iter().position(|byte| *byte == b'`').unwrap_or(0)
}

/// How far the bracket of a list is before its first value, where this text is before that.
fn without_list(before: &[u8]) -> usize {
    before.iter().rev().position(|byte| *byte == b'[').map_or(0, |at| at + 1)
}

/// Where the quote of the value is that begins at `start`, behind what a program writes before it.
fn quote(text: View<'_>, sign: usize, start: usize, holds: Holds) -> Option<usize> {
    let bytes = text.bytes();
    // What PHP dumps is on the next line.
    let is_dumped = bytes[sign..].starts_with(b"=>");
    let rest = &bytes[start..];
    let lines = rest.iter().take(MAX_NAME).take_while(|b| is_dumped && b.is_ascii_whitespace());
    let start = start + lines.count();
    let any_call = holds.is_password();
    let quote = wrapped::quote(text, start, any_call)?;
    // `hunter("x`: what is called has an end.
    let is_open = any_call && quote > start && quote_end(text, quote, bytes[quote]) == bytes.len();
    if is_open { wrapped::quote(text, start, false) } else { Some(quote) }
}

/// Whether what is behind this sign, which is in no quotes, is of a program and no value: a function that is
/// called, or a word behind a sign that values hardly have before them.
fn is_of_program(text: View<'_>, sign: usize, value: &[u8], adds: bool) -> bool {
    let bytes = text.bytes();
    let is = |signs: &[u8]| bytes[sign..].starts_with(signs);
    let is_spaced = matches!(bytes[..bytes.len() - value.len()], [.., b' ' | b'\t']);
    let is_rare = adds || is(b"->");
    // A word that is longer is none that anyone writes in a program.
    let word = value.iter().take(2 * MAX_NAME).take_while(|b| b.is_ascii_graphic());
    let is_word = !{ word }.any(u8::is_ascii_digit);
    let may_call = is(b"=>") || is_rare || is_spaced && (is(b":=") || is(b"=="));
    may_call && is_call(value) || is_rare && is_word || is(b"->") && !is_spaced
}

/// Whether a text begins with the name of a function that is called.
fn is_call(text: &[u8]) -> bool {
    let is_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b':');
    let length = text.iter().take(MAX_NAME).take_while(|byte| is_of_name(byte)).count();
    length > 0 && text.get(length) == Some(&b'(')
}

fn number_length(text: &[u8]) -> usize {
    text.iter()
        .take_while(|b| b.is_ascii_digit() || matches!(b, b'-' | b'+' | b'.' | b'e' | b'E'))
        .count()
}

fn is_literal(text: &[u8]) -> bool {
    [b"null".as_slice(), b"true", b"false"].iter().any(|literal| text.starts_with(literal))
}

#[cfg(test)]
mod tests {
    use crate::tests::check_clean;

    #[test]
    fn values_of_telling_names_become_a_mark() {
        check_clean(&[
            ("/a?token=0123456789abcdef&b=1", "/a?token=[token]&b=1"),
            ("pw=hunter2", "pw=[token]"),
            (
                "?u=ada&pw=hunter2&user_pw=7&dbPw=1",
                "?u=ada&pw=[token]&user_pw=[token]&dbPw=[token]",
            ),
            ("pw: hunter2, pswd: x", "pw: [token], pswd: [token]"),
            (r#"{"pw":"a b","pass":1234"#, r#"{"pw":"[token]","pass":null"#),
            (r#"{"pw":"100 b","pass":1234}"#, r#"{"pw":"[token]","pass":null}"#),
            ("pwd=100&passwd=3&passphrase=a", "pwd=[token]&passwd=[token]&passphrase=[token]"),
            ("/a?access_token=AbCdEfGhIjKlMnOp#x", "/a?access_token=[token]#x"),
            ("/a#apiKey=0123456789abcdef", "/a#apiKey=[token]"),
            ("/a;jsessionid=0123456789ABCDEF", "/a;jsessionid=[token]"),
            ("/a?PHPSESSID=0123456789abcdef", "/a?PHPSESSID=[token]"),
            ("/a?u=%2Fb%3Ftoken%3D0123456789abcdef%26c%3D1", "/a?u=%2Fb%3Ftoken%3D[token]%26c%3D1"),
            ("/a?u=%2Fb%3Fc%3D1%26sid%3D0123456789abcdef", "/a?u=%2Fb%3Fc%3D1%26sid%3D[token]"),
            ("?user=ada&password=x&b=1", "?user=ada&password=[token]&b=1"),
            ("user[password]=hunter2", "user[password]=[token]"),
            ("order[to][phone]=1234567", "order[to][phone]=[phone]"),
            ("user%5Bpassword%5D=hunter2", "user%5Bpassword%5D=[token]"),
            (r#"{"password": "a b", "n": 1}"#, r#"{"password": "[token]", "n": 1}"#),
            ("failed: token: 0123456789abcdef.", "failed: token: [token]."),
            ("Authorization: Basic YWRhOnNlY3JldA==", "Authorization: [token]"),
            ("?phone=1234567&a=b", "?phone=[phone]&a=b"),
            ("?tel=%2B49%2030%20123456", "?tel=[phone]"),
            ("tel:030123456", "tel:[phone]"),
            ("?phone2=1234567", "?phone2=[phone]"),
            ("?mobile_number=0171+123456", "?mobile_number=[phone]"),
            ("?password=[token]", "?password=[token]"),
            ("?password=a%26b%23c&d=1", "?password=[token]&d=1"),
            ("/a?u=%2Fb%3Fpassword%3Da%2526b%26c%3D1", "/a?u=%2Fb%3Fpassword%3D[token]%26c%3D1"),
            ("?connect.sid=s%3A0123456789abcdef.x%2By&b=1", "?connect.sid=[token]&b=1"),
            ("?a=1&amp;password=x&amp;b=1", "?a=1&amp;password=[token]&amp;b=1"),
            ("password = hunter2", "password = [token]"),
            ("contrase%C3%B1a=MiGato%2399&b=1", "contrase%C3%B1a=[token]&b=1"),
            ("q=password+%3A+hunter2&b=1", "q=password+%3A+[token]&b=1"),
            ("q=mot+de+passe+%3A+Soleil%2188", "q=mot+de+passe+%3A+[token]"),
            ("?code=482913&state=1", "?code=[token]&state=1"),
            ("/cb?code=4%2F0AbCdEfGhIjKlMnOp&scope=a", "/cb?code=[token]&scope=a"),
            ("?otp=482913", "?otp=[token]"),
            ("your verification code: 482-913", "your verification code: [token]"),
            ("?ticket=ST-1856-aA5Y&x=1", "?ticket=[token]&x=1"),
            ("?reset=a1b2c3d4", "?reset=[token]"),
            ("phone: 1234567 at home", "phone: [phone] at home"),
            (
                "?user%5Bpassword%5D=hunter2&user%5Bpassword_confirmation%5D=hunter2",
                "?user%5Bpassword%5D=[token]&user%5Bpassword_confirmation%5D=[token]",
            ),
            (
                "?password=a&passwordConfirm=b&passwordRepeat=c",
                "?password=[token]&passwordConfirm=[token]&passwordRepeat=[token]",
            ),
            ("?new_password2=hunter2", "?new_password2=[token]"),
            ("?password[]=hunter2&a=b", "?password[]=[token]&a=b"),
            (
                "?password%5B%5D=hunter2&password%5B1%5D=x",
                "?password%5B%5D=[token]&password%5B1%5D=[token]",
            ),
            ("?token[]=9f8a7b6c5d4e3f2a", "?token[]=[token]"),
            ("phone[0]=01711234567", "phone[0]=[phone]"),
            ("user[phones][]=01711234567", "user[phones][]=[phone]"),
            ("user[0][phone_home][1]=01711234567", "user[0][phone_home][1]=[phone]"),
            (r#"{"password"=>"hunter2"}"#, r#"{"password"=>"[token]"}"#),
            (
                r#"{"user" => {:password => "a b", "n"=>1}}"#,
                r#"{"user" => {:password => "[token]", "n"=>1}}"#,
            ),
            (r#"{"phones"=>["01711234567"]}"#, r#"{"phones"=>["[phone]"]}"#),
            (r#"{"password"=>"hunter2"}"#, r#"{"password"=>"[token]"}"#),
            (
                "{&quot;token&quot;=&gt;&quot;9f8a7b6c5d4e3f2a&quot;}",
                "{&quot;token&quot;=&gt;&quot;[token]&quot;}",
            ),
            (
                "Array ( [user] => ada [password] => hunter2 [tel] => 0171123456 )",
                "Array ( [user] => ada [password] => [token] [tel] => [phone] )",
            ),
        ]);
    }

    #[test]
    fn values_behind_any_sign_become_a_mark() {
        for sign in [":=", "=>", "->", "==", "===", "::=", "?=", "+=", ": =", "||=", "??=", ".="] {
            for value in ["\"…\"", "'…'", "Some(\"…\")", "b'…'", "…", "…, n=1"] {
                let of = |secret: &str| format!("password {sign} {}", value.replace('…', secret));
                check_clean(&[(&of("Zx9kkq"), &of("[token]")), (&of("[token]"), &of("[token]"))]);
            }
        }
        check_clean(&[
            ("password:=\"Zx9kkq\"", "password:=\"[token]\""),
            ("PASSWORD?=hunter2", "PASSWORD?=[token]"),
            ("password==hunter2", "password==[token]"),
            ("password->\"a b\"", "password->\"[token]\""),
            ("token := 9f8a7b6c5d4e3f2a", "token := [token]"),
            ("phone -> '601234567'", "phone -> '[phone]'"),
            ("q=password+%3D%3E+%22a+b%22", "q=password+%3D%3E+%22[token]%22"),
            ("\x1b[32mpassword\x1b[0m=hunter2", "\x1b[32mpassword\x1b[0m=[token]"),
            (
                "\x1b[32mpassword\x1b[0m=\x1b[31mhunter2\x1b[0m n=1",
                "\x1b[32mpassword\x1b[0m=\x1b[31m[token]\x1b[0m n=1",
            ),
            (
                r"\u001b[36mtoken=\u001b[0m9f8a7b6c5d4e3f2a\u001b[0m",
                r"\u001b[36mtoken=\u001b[0m[token]\u001b[0m",
            ),
            (
                "\x1b[34;1m\"password\"\x1b[0m\x1b[1;39m:\x1b[0m \x1b[0;32m\"a b\"\x1b[0m",
                "\x1b[34;1m\"password\"\x1b[0m\x1b[1;39m:\x1b[0m \x1b[0;32m\"[token]\"\x1b[0m",
            ),
            (
                "\"\x1b[34mtoken\x1b[0m\": \"\x1b[32m9f8a7b6c5d4e3f2a\x1b[0m\"",
                "\"\x1b[34mtoken\x1b[0m\": \"\x1b[32m[token]\x1b[0m\"",
            ),
            ("let password = `a b`;", "let password = `[token]`;"),
            ("password: `hunter2", "password: [token]"),
            ("otp=493 817", "otp=[token]"),
            ("otp: 493 817 is valid", "otp: [token] is valid"),
            ("?otp=493+817&n=1", "?otp=[token]&n=1"),
            ("otp=4 9 3 8 1 7", "otp=[token]"),
            ("pin: '4938 1712'", "pin: '[token]'"),
            (r#"{"otp":"493 817"}"#, r#"{"otp":"[token]"}"#),
            ("otp=493817 200 ok", "otp=[token] 200 ok"),
            ("cvc=123 4111", "cvc=[token] 4111"),
            ("otp=493 817x", "otp=[token] 817x"),
        ]);
        for text in [
            "$this->password->validate(7), password->hash1, Account -> Password -> Settings",
            "fn password(&self) -> Secret1, password += char, password == \"\"",
            "password := hash(input), if password == hash(input)",
            "?otp=\x1b[0m \x1b[1mnext\x1b[0m=1",
        ] {
            check_clean(&[(text, text)]);
        }
    }

    #[test]
    fn values_of_other_names_and_short_ones_stay() {
        for text in [
            "/a?key=price&session=42&sid=7",
            "?pass=true&pw=100&ph=80",
            "?pass=3 of 4",
            "pass: 3/4, pw=100px, pass=99.5%",
            "npw=hunter2, spw=1920",
            r#"{"pass":3,"fail":1,"pw":"100"}"#,
            r#"x {"pass":3,"fail":1,"pw":"100"}"#,
            "max_tokens=4096abcd&tickets=2adults1child&keys=CategoryAndPriceRange",
            "/a?iphone_value=12345, phone value: 999.00",
            "undefined method in password => hash(password), token => Token.for(user)",
            "/a?sort_key=summer-dresses-sale",
            "/a?monkey=0123456789abcdef",
            "/a?event_id=0f8fad5b-d9cb-469f-a165-70867728950e",
            "/a?product=0123456789abcdef",
            "/a?mobile=true&phone=",
            "/a?phone=pixel-8000-pro",
            "/a?page=2&sort=price&ts=1700000000000",
            "at 10:20:30",
            "https://shop.example.com:8080/",
            "token: expired",
            "[phone]=1234567",
            "[email][phone]=1234567",
            "=0123456789abcdef",
            "?code=404&error_code=500&country_code=PL&promo_code=SPRING2024",
            "Error code: 100234",
            "?otp=sms&ticket=12345678&reset=1",
            r#"{"password"=>nil, "token"=>nil, "phone"=>nil}"#,
            "[phone][0]=1234567",
            "[]=1234567&[0]=1234567",
            "?max_tokens=4096&keys=price&sessions=42&phones=iphone-15&cells=12345&headphones=12345",
            "cell value: 12345",
            "a => 1234567",
        ] {
            check_clean(&[(text, text)]);
        }
    }
}
