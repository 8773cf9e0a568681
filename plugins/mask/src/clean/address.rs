//! Finds IP addresses: four numbers of IPv4 with dots, and IPv6 in all of its writings, in brackets and with
//! a zone too. A port or a prefix length behind one stays.
//!
//! Versions look like addresses of IPv4. They are told by what stands before them, as in `Chrome/1.2.3.4`,
//! `v1.2.3.4` or `version: 1.2.3.4`, by a fifth number, a word right behind them (`1.2.3.4-beta`) and a zero
//! in front; what has a port behind it (`shop.example.com/203.0.113.9:443`) is none. A `v` announces one in quotes
//! only behind a brand, as browsers name theirs: `"Chromium";v="1.2.3.4"`. What looks like an address of IPv6
//! without a digit is a path in code (`dead::beef`), and eight pairs of digits are a hardware address.

mod packages;

use std::net::Ipv6Addr;
use std::ops::Range;

use super::assigned::{COLOUR, ends_with_colour, is_blank};
use super::names::{self, Holds};
use super::span::{Mark, Span};
use packages::{MAX_WORD, is_of_package, is_package};

/// Longer than any address of IPv6 with a sign on either side and a port.
const MAX_V6: usize = 53;

/// The most signs between a word and the version that it announces.
const MAX_GAP: usize = 8;

/// The longest port.
const MAX_PORT: usize = 5;

pub(super) fn find(text: &[u8], spans: &mut Vec<Span>) {
    let mut at = 0;
    let mut before = b' ';
    while at < text.len() {
        let is_within = before.is_ascii_alphanumeric();
        // Within a word nothing begins, so nothing is measured: words may be as long as the text.
        let length =
            if is_within { 0 } else { text[at..].iter().take_while(|b| is_part(**b)).count() };
        if length == 0 {
            before = text[at];
            at += 1;
            continue;
        }
        let end = at + length;
        let dots = text[at..end].iter().take_while(|b| **b == b'.').count();
        if dots > 1 {
            at += dots;
            before = b'.';
            continue;
        }
        let follows_word = text.get(end).is_some_and(u8::is_ascii_alphanumeric);
        if follows_word && ends_with_colour(&text[..=end]) {
            at = end + 1;
            before = b' ';
            continue;
        }
        let part = &text[at..end];
        let known = spans.len();
        if !follows_word && let Some(v6) = v6(part) {
            spans.push(with_brackets(text, at + v6.start, at + v6.end));
        } else {
            v4s(text, at, end, spans);
        }
        at = spans[known..].last().map_or(end, |span| span.end.max(end));
        before = text[at - 1];
    }
}

fn is_part(byte: u8) -> bool {
    byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.')
}

/// Where in this there is an address of IPv6: without the sign at the end of a sentence, a port, or the colon
/// in front of it.
fn v6(part: &[u8]) -> Option<Range<usize>> {
    if part.len() > MAX_V6 || memchr::memchr(b':', part).is_none() {
        return None;
    }
    let part = std::str::from_utf8(part).ok()?;
    let (start, text) = match part.strip_prefix(':') {
        Some(rest) if !rest.starts_with(':') || rest.starts_with("::") => (1, rest),
        _ => (0, part),
    };
    let address = parsed(text)?;
    let is_code = !address.bytes().any(|b| b.is_ascii_digit());
    let is_hardware =
        address.split(':').count() == 8 && address.split(':').all(|group| group.len() == 2);
    (!is_code && !is_hardware).then(|| start..start + address.len())
}

/// The address of IPv6 that a text is but for signs and a port behind it.
fn parsed(mut text: &str) -> Option<&str> {
    let is_address = |text: &&str| text.parse::<Ipv6Addr>().is_ok();
    loop {
        let address = Some(text).filter(is_address);
        if let Some(address) = address.or_else(|| without_port(text).filter(is_address)) {
            return Some(address);
        }
        text = text.strip_suffix(['.', ':'])?;
    }
}

/// The text before `:443` or `.443` at its end.
fn without_port(text: &str) -> Option<&str> {
    let before = text.trim_end_matches(|char: char| char.is_ascii_digit());
    let is_port = (1..=MAX_PORT).contains(&(text.len() - before.len()));
    before.strip_suffix([':', '.']).filter(|_| is_port)
}

/// The address with the brackets around it, and with its zone.
fn with_brackets(text: &[u8], mut start: usize, mut end: usize) -> Span {
    if text.get(end) == Some(&b'%') {
        let is_zone = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
        let zone = text[end + 1..].iter().take_while(is_zone).count();
        end += if zone > 0 { 1 + zone } else { 0 };
    }
    if start > 0 && text[start - 1] == b'[' && text.get(end) == Some(&b']') {
        start -= 1;
        end += 1;
    }
    Span { start, end, mark: Mark::Ip }
}

/// Finds addresses of IPv4 between the colons of a part.
fn v4s(text: &[u8], start: usize, end: usize, spans: &mut Vec<Span>) {
    let mut at = start;
    for piece in text[start..end].split(|b| *b == b':') {
        let piece_start = at;
        at += piece.len() + 1;
        let piece_end = piece_start + piece.len();
        let mut from = piece_start;
        // `10.0.0.1...10.0.0.9`
        while let Some(dots) = text[from..piece_end].windows(2).position(|two| two == b"..") {
            add_v4(text, from, from + dots, spans);
            from += dots;
            from += text[from..piece_end].iter().take_while(|b| **b == b'.').count();
        }
        let sentence_end = usize::from(text[from..piece_end].ends_with(b"."));
        add_v4(text, from, piece_end - sentence_end, spans);
    }
}

fn add_v4(text: &[u8], start: usize, end: usize, spans: &mut Vec<Span>) {
    if is_v4(&text[start..end]) && !is_version(&text[..start], &text[end..]) {
        spans.push(Span { start, end, mark: Mark::Ip });
    }
}

/// Whether this is four numbers up to 255, not the first 0 alone.
fn is_v4(text: &[u8]) -> bool {
    let is_number = |part: &[u8]| {
        (1..=3).contains(&part.len())
            && part.iter().all(u8::is_ascii_digit)
            && part.iter().fold(0, |value, digit| value * 10 + u32::from(digit - b'0')) <= 255
    };
    text.split(|b| *b == b'.').count() == 4
        && text.split(|b| *b == b'.').all(is_number)
        && (!text.starts_with(b"0.") || text == b"0.0.0.0")
}

fn is_version(before: &[u8], after: &[u8]) -> bool {
    let goes_on = match after {
        [b, ..] if b.is_ascii_alphanumeric() => true,
        // Not `+`, which is a space in a query.
        [b'-', b, ..] => b.is_ascii_alphabetic(),
        [b'_', b, ..] => b.is_ascii_digit() || is_of_package(&after[1..]),
        _ => false,
    };
    // A number before the four.
    let goes_before = match before {
        [.., b'.', b'.'] => false,
        [.., b'.'] => true,
        [.., b, b'_'] => b.is_ascii_digit() || is_package(after),
        _ => false,
    };
    goes_on || goes_before || !is_port(after) && (is_product(before) || announces_version(before))
}

/// Whether the text begins with a port, and with neither a line and a column nor more of a version.
fn is_port(text: &[u8]) -> bool {
    let [b':', port @ ..] = text else {
        return [&b" (port"[..], b"+(port"].iter().any(|port| text.starts_with(port));
    };
    let digits = port.iter().take_while(|b| b.is_ascii_digit()).count();
    let goes_on = match &port[digits..] {
        [b':' | b'.', b, ..] => b.is_ascii_digit(),
        [b, ..] => b.is_ascii_alphanumeric() || *b == b'_',
        [] => false,
    };
    (1..=MAX_PORT).contains(&digits) && !goes_on
}

/// Whether the text ends with a name and a slash, as in `Chrome/`, that are not of a path.
fn is_product(before: &[u8]) -> bool {
    let [before @ .., b'/'] = before else {
        return false;
    };
    let is_name = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'+');
    let length = before.iter().rev().take(2 * MAX_WORD).take_while(is_name).count();
    let name = &before[before.len() - length..];
    name.iter().any(u8::is_ascii_alphabetic) && !before[..before.len() - length].ends_with(b"/")
}

/// Whether the last word of the text is one that is followed by a version.
fn announces_version(before: &[u8]) -> bool {
    let is_between = |at: &usize| {
        let signs = [b'+', b'=', b':', b'"', b'\'', b'/', b'-', b'.', b'_', COLOUR];
        signs.contains(&before[*at]) || is_blank(before, *at)
    };
    let gap = (0..before.len()).rev().take(MAX_GAP).take_while(is_between).count();
    let (before, between) = before.split_at(before.len() - gap);
    let length = before.iter().rev().take(MAX_WORD).take_while(|b| b.is_ascii_alphabetic()).count();
    let (before, word) = before.split_at(before.len() - length);
    let is_quoted = || between.iter().any(|b| matches!(b, b'"' | b'\''));
    names::holds(word) == Some(Holds::Version)
        || word.eq_ignore_ascii_case(b"v") && (!is_quoted() || ends_with_brand(before))
        || word.eq_ignore_ascii_case(b"rv")
}

/// Whether the text ends with a brand in quotes and a semicolon, as in what a browser says of itself.
fn ends_with_brand(text: &[u8]) -> bool {
    let text = text.trim_ascii_end().strip_suffix(b";").unwrap_or_default();
    matches!(text.trim_ascii_end(), [.., b'"' | b'\''])
}

#[cfg(test)]
mod tests {
    use crate::config::Kind;
    use crate::tests::check_clean_of;

    #[test]
    fn addresses_are_found_in_all_writings() {
        check_clean_of(
            Kind::Ip,
            &[
                ("203.0.113.9", "[ip]"),
                ("blocked 203.0.113.9.", "blocked [ip]."),
                ("203.0.113.9:8080, 10.0.0.1", "[ip]:8080, [ip]"),
                ("203.0.113.0/24", "[ip]/24"),
                ("192.168.001.001", "[ip]"),
                ("http://203.0.113.9/a", "http://[ip]/a"),
                ("/lookup/203.0.113.9", "/lookup/[ip]"),
                ("client:203.0.113.9", "client:[ip]"),
                ("face:203.0.113.9", "face:[ip]"),
                ("ip-203.0.113.9", "ip-[ip]"),
                ("2001:db8::1", "[ip]"),
                ("ip=2001:DB8:0:0:0:0:0:1&n=1", "ip=[ip]&n=1"),
                ("http://[2001:db8::1]:8443/", "http://[ip]:8443/"),
                ("fe80::1%eth0 is up", "[ip] is up"),
                ("[fe80::1%25en0]", "[ip]"),
                ("::1", "[ip]"),
                ("::ffff:203.0.113.9", "[ip]"),
                ("from:2001:db8::1.", "from:[ip]."),
                ("2001%3Adb8%3A%3A1", "[ip]"),
                ("q=seen+203.0.113.9+twice", "q=seen+[ip]+twice"),
                (
                    "Failed to connect to shop.example.com/203.0.113.9:443",
                    "Failed to connect to shop.example.com/[ip]:443",
                ),
                ("db-1.internal/10.1.2.3:5432 is away", "db-1.internal/[ip]:5432 is away"),
                ("node-1/10.1.2.3:9092.", "node-1/[ip]:9092."),
                (
                    "to shop/203.0.113.9 (port 443) from /10.0.0.5 (port 51234) after 10 ms",
                    "to shop/[ip] (port 443) from /[ip] (port 51234) after 10 ms",
                ),
                (r#"{"m":"a.example\/203.0.113.9:443"}"#, r#"{"m":"a.example\/[ip]:443"}"#),
                ("a.example%2F203.0.113.9%3A443", "a.example%2F[ip]%3A443"),
                ("server 203.0.113.9:443, v=203.0.113.9:80", "server [ip]:443, v=[ip]:80"),
                ("2001:db8:85a3:8d3:1319:8a2e:370:7348:51234", "[ip]:51234"),
                ("2001:db8:85a3:8d3:1319:8a2e:370:7348.51234 >", "[ip].51234 >"),
                ("2001:db8::1.443", "[ip].443"),
                ("fe80::1.443: refused", "[ip].443: refused"),
                ("::ffff:192.0.2.57:443", "[ip]:443"),
                ("::ffff:192.0.2.57.443.", "[ip].443."),
                (
                    "\u{5730}\u{5740}\u{ff1a}2001:db8:85a3::7348, x",
                    "\u{5730}\u{5740}\u{ff1a}[ip], x",
                ),
                ("\u{90ae}\u{ff1a}::ffff:192.0.2.57", "\u{90ae}\u{ff1a}[ip]"),
                ("\u{ff1a}192.0.2.57", "\u{ff1a}[ip]"),
                (":2001:db8::1", ":[ip]"),
                ("log_203.0.113.45.txt", "log_[ip].txt"),
                ("_203.0.113.45_, x_203.0.113.45_access.log", "_[ip]_, x_[ip]_access.log"),
                ("fe80_2001:db8::1_x", "fe80_[ip]_x"),
                ("...203.0.113.45...", "...[ip]..."),
                ("wait...203.0.113.45, add..203.0.113.45", "wait...[ip], add..[ip]"),
                ("10.0.0.1..10.0.0.9", "[ip]..[ip]"),
                ("...2001:db8::1...", "...[ip]..."),
                ("\x1b[31m203.0.113.45\x1b[0m", "\x1b[31m[ip]\x1b[0m"),
                (r"\u001b[31m203.0.113.45\u001b[0m", r"\u001b[31m[ip]\u001b[0m"),
                (r"\033[1;31m203.0.113.45\033[0m", r"\033[1;31m[ip]\033[0m"),
                ("%1B%5B31m2001:db8::1%1B%5B0m", "%1B%5B31m[ip]%1B%5B0m"),
                ("<tag k=\"client\" v=\"203.0.113.9\"/>", "<tag k=\"client\" v=\"[ip]\"/>"),
                ("v=\"203.0.113.9\", v='203.0.113.9'", "v=\"[ip]\", v='[ip]'"),
                ("a=b; v=\"203.0.113.9\"", "a=b; v=\"[ip]\""),
                ("{\"k\":\"ip\",\"v\":\"203.0.113.9\"", "{\"k\":\"ip\",\"v\":\"[ip]\""),
                (
                    "\"Chromium\";v=\"124.0.0.0\", from=203.0.113.9",
                    "\"Chromium\";v=\"124.0.0.0\", from=[ip]",
                ),
            ],
        );
    }

    #[test]
    fn versions_times_and_code_stay() {
        for text in [
            "Chrome/120.0.0.0 Safari/537.36",
            "Foo-Bar/1.2.3.4",
            "v1.2.3.4",
            "v. 1.2.3.4",
            "version 1.2.3.4",
            "Mozilla/5.0 (X11; U; Linux i686; rv:1.9.2.20) Gecko/20110803 Firefox/3.6.20",
            "app_version=1.2.3.4",
            "\"appVersion\":\"1.2.3.4\"",
            "Build: 10.0.190.45",
            "1.2.3.4-beta",
            "1.2.3.4.5",
            "0.1.2.3",
            "256.1.1.1",
            "1.2.3",
            "10.20.30.4000",
            "app_version_1.2.3.4, v_1.2.3.4",
            "\x1b[32mversion\x1b[0m=\x1b[31m1.2.3.4\x1b[0m",
            "\"Not_A Brand\";v=\"8.0.0.0\", \"Google Chrome\"; v=\"124.0.0.0\"",
            "Sec-CH-UA-Full-Version-List: \"Chromium\";v=\"124.0.0.0\"",
            r#"{"h": "\"Chromium\";v=\"124.0.0.0\""}"#,
            "h=%22Chromium%22%3Bv%3D%22124.0.0.0%22",
            "&quot;Chromium&quot;;v=&quot;124.0.0.0&quot;",
            "app.js?v=1.2.3.4, v=1.2.3.4",
            "tool_1.2.3.4_amd64.deb, tool_1.2.3.4.tar.gz, Setup_10.0.0.5.exe",
            "1.2.3.4_beta2, 1.2.3.4_5",
            "a1.2.3.4",
            "10:20:30",
            "00:1a:2b:3c:4d:5e",
            "00:11:22:33:44:55:66:77",
            "std::vec",
            "dead::beef",
            "a::b",
            "::",
            "1:2",
            "Foo/1.2.3.4:10:20",
            "Foo/1.2.3.4:10.5",
            "0.1.2.3.4:80",
            "dead::beef.12",
            "00:11:22:33:44:55:66:77:88",
            "10:20:30:40:50",
            ":1:2:3",
        ] {
            check_clean_of(Kind::Ip, &[(text, text)]);
        }
    }
}
