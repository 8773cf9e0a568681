//! How well cleaning does what it promises, measured on made-up texts, and that the README says so.
//!
//! A line of `tests/corpus` is a value of a kind, or a text with the value between `|` where something
//! around it tells what it is. Each is written in every [`Writing`]; it is removed where nothing but its mark
//! stands in its place, and all else is as it was.

use std::fmt::Write;

use super::writings::{Part, WRITINGS, Writing};
use super::{EVERY_KIND, clean_of};
use crate::config::Kind;

/// A text with a value in it.
struct Line {
    before: String,
    value: String,
    after: String,
}

impl Line {
    fn read(line: &str) -> Self {
        let parts: Vec<&str> = line.split('|').collect();
        let (before, value, after) = match parts.as_slice() {
            [value] => ("", *value, ""),
            [before, value, after] => (*before, *value, *after),
            _ => panic!("`{line}` has a single `|`"),
        };
        let [before, value, after] = [before, value, after].map(str::to_owned);
        Self { before, value, after }
    }

    fn write(&self, writing: &Writing) -> String {
        let Self { before, value, after } = self;
        writing.write(&[Part::Text(before), Part::Text(value), Part::Text(after)])
    }

    /// The text as it is when the value is removed.
    fn cleaned(&self, writing: &Writing, mark: &str) -> String {
        writing.write(&[Part::Text(&self.before), Part::Mark(mark), Part::Text(&self.after)])
    }
}

fn lines(kind: &str) -> Vec<Line> {
    let path = format!("{}/tests/corpus/{kind}.txt", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("the corpus is there");
    text.lines().map(Line::read).collect()
}

/// Keys in the forms of their services. They are put together here, so that nobody who looks for keys in
/// repositories finds some.
fn api_keys() -> Vec<Line> {
    let letters = "Q7wErTy1UiOp2AsDfGh3JkLzXc4VbNm5qWeRt6YuIoP8aSdFg9HjKlZ0xCvBnM".repeat(2);
    let (capitals, hex) = (letters.to_uppercase(), "0123456789abcdef".repeat(4));
    let key = |begin: &str, follows: &str, length: usize| {
        Line::read(&format!("{begin}{}", &follows[..length]))
    };
    let mut keys = Vec::new();
    for (begin, length) in [
        ("ghp_", 36),
        ("gho_", 36),
        ("ghs_", 36),
        ("github_pat_", 60),
        ("glpat-", 20),
        ("xoxb-", 48),
        ("xoxp-", 60),
        ("xapp-", 60),
        ("sk_live_", 24),
        ("sk_test_", 24),
        ("rk_live_", 24),
        ("whsec_", 32),
        ("AIza", 35),
        ("GOCSPX-", 28),
        ("ya29.", 80),
        ("hf_", 34),
        ("npm_", 36),
        ("pypi-", 100),
        ("sk-", 48),
        ("sk-proj-", 64),
        ("sq0atp-", 22),
        ("hvs.", 24),
        ("dckr_pat_", 27),
        ("lin_api_", 40),
        ("figd_", 40),
        ("NRAK-", 27),
        ("gsk_", 52),
        ("r8_", 37),
        ("glsa_", 41),
        ("pscale_tkn_", 43),
        ("ATATT3xFfGF0", 110),
        ("glrt-", 20),
        ("ntn_", 43),
        ("sbp_", 40),
        ("tskey-", 40),
    ] {
        keys.push(key(begin, &letters, length));
        keys.push(key(begin, &letters[9..], length));
    }
    for begin in ["AKIA", "ASIA"] {
        keys.extend([0, 3, 11].map(|at| key(begin, &capitals[at..], 16)));
    }
    for (begin, length) in
        [("SK", 32), ("shpat_", 32), ("dop_v1_", 64), ("key-", 32), ("dapi", 32), ("sqp_", 40)]
    {
        keys.push(key(begin, &hex, length));
    }
    keys.push(Line::read(&format!("SG.{}.{}", &letters[..22], &letters[3..46])));
    keys.push(Line::read(&format!(
        "eyJ{}.eyJ{}.{}",
        &letters[..30],
        &letters[..60],
        &letters[..43]
    )));
    for name in ["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "] {
        let (begin, end) = (format!("BEGIN {name}PRIVATE KEY"), format!("END {name}PRIVATE KEY"));
        let (one, two) = (&letters[..64], &letters[9..50]);
        let text = format!("-----{begin}-----\n{one}\n{two}==\n-----{end}-----");
        keys.push(Line::read(&text));
    }
    keys
}

/// What is measured of a kind.
struct Measured {
    name: &'static str,
    values: usize,
    texts: usize,
    left: Vec<String>,
}

fn measure(name: &'static str, kind: Kind, lines: &[Line]) -> Measured {
    let mark = format!("[{name}]");
    let mut left = Vec::new();
    for line in lines {
        for writing in WRITINGS {
            let (text, expected) = (line.write(writing), line.cleaned(writing, &mark));
            let cleaned = clean_of(&[kind], &text);
            if cleaned != expected {
                left.push(format!("{}: {text} -> {cleaned}", writing.name));
            }
        }
    }
    Measured { name, values: lines.len(), texts: lines.len() * WRITINGS.len(), left }
}

fn measure_all() -> Vec<Measured> {
    let kinds = [
        ("email", Kind::Email),
        ("phone", Kind::Phone),
        ("token", Kind::Token),
        ("ip", Kind::Ip),
        ("iban", Kind::Iban),
        ("card", Kind::Card),
        ("api_key", Kind::ApiKey),
    ];
    let lines = |name| if name == "api_key" { api_keys() } else { lines(name) };
    kinds.map(|(name, kind)| measure(name, kind, &lines(name))).into()
}

/// Texts that hold nothing, of which something is replaced.
fn touched(kinds: &[Kind]) -> (usize, Vec<String>) {
    let lines = lines("harmless");
    let texts: Vec<String> =
        lines.iter().flat_map(|line| WRITINGS.iter().map(|writing| line.write(writing))).collect();
    let touched = texts.iter().filter(|text| clean_of(kinds, text) != **text);
    (texts.len(), touched.cloned().collect())
}

#[test]
fn what_is_promised_is_removed_in_every_writing() {
    let bad = measure_all().into_iter().filter(|kind| {
        assert!(kind.values >= 50, "{}: {} values", kind.name, kind.values);
        kind.left.len() * 100 > kind.texts
    });
    let bad: Vec<String> = bad.flat_map(|kind| kind.left).collect();
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

#[test]
fn accounts_and_cards_are_removed_whole_or_not_at_all() {
    for (name, kind) in [("iban", Kind::Iban), ("card", Kind::Card)] {
        for line in lines(name) {
            for writing in WRITINGS {
                let (text, whole) =
                    (line.write(writing), line.cleaned(writing, &format!("[{name}]")));
                let cleaned = clean_of(&[kind], &text);
                assert!(cleaned == text || cleaned == whole, "{text} -> {cleaned}");
            }
        }
    }
}

#[test]
fn what_only_looks_like_it_stays() {
    for kinds in [&Kind::usual()[..], EVERY_KIND] {
        let (texts, touched) = touched(kinds);
        assert!(texts >= 200 * WRITINGS.len());
        assert!(touched.len() * 50 < texts, "{} of {texts}\n{}", touched.len(), touched.join("\n"));
    }
}

#[test]
fn the_readme_has_the_figures() {
    let mut table = String::from(
        "| kind | values | in so many texts | removed whole | not |\n|---|---|---|---|---|\n",
    );
    for Measured { name, values, texts, left } in measure_all() {
        let removed = texts - left.len();
        let share = removed as f64 * 100.0 / texts as f64;
        let _ =
            writeln!(table, "| `{name}` | {values} | {texts} | {share:.1} % | {} |", left.len());
    }
    let _ = writeln!(
        table,
        "\n| cleaned of | texts that hold nothing | touched | share |\n|---|---|---|---|"
    );
    for (name, kinds) in
        [("`email`, `phone`, `token`", &Kind::usual()[..]), ("every kind", EVERY_KIND)]
    {
        let (texts, touched) = touched(kinds);
        let share = touched.len() as f64 * 100.0 / texts as f64;
        let _ = writeln!(table, "| {name} | {texts} | {} | {share:.1} % |", touched.len());
    }
    let readme = include_str!("../../README.md");
    assert!(readme.contains(&table), "plugins/mask/README.md wants this table:\n{table}");
    let writings: Vec<&str> = WRITINGS.iter().map(|writing| writing.name).collect();
    let writings = format!("{} writings: {}", writings.len(), writings.join("; "));
    assert!(readme.contains(&writings), "plugins/mask/README.md wants this:\n{writings}");
}
