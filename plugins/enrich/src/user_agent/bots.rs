//! The vocabulary of bots: which words only crawlers, monitors, scripts and libraries have in theirs.

/// A part of a word, lower case.
enum Part {
    /// Wherever it stands.
    Any(&'static [u8]),
    /// Where a name ends with it: "Googlebot", "BotPoke", "bots", but not "Botanist".
    End(&'static [u8]),
}

use Part::{Any, End};

/// The parts, by their first letters.
const PARTS: &[Part] = &[
    Any(b"analyzer"),
    Any(b"archive"),
    Any(b"audit"),
    Any(b"axios"),
    End(b"bot"),
    End(b"check"),
    Any(b"crawl"),
    End(b"curl"),
    Any(b"externalhit"),
    Any(b"favicon"),
    Any(b"fetch"),
    Any(b"gomez"),
    Any(b"headless"),
    Any(b"httpagent"),
    Any(b"httpx"),
    Any(b"imageproxy"),
    Any(b"inspect"),
    Any(b"lighthouse"),
    Any(b"monitor"),
    Any(b"nutch"),
    Any(b"observatory"),
    Any(b"optimizer"),
    Any(b"phantomjs"),
    Any(b"pingdom"),
    Any(b"pinger"),
    Any(b"playwright"),
    Any(b"preview"),
    Any(b"powershell"),
    End(b"probe"),
    Any(b"ptst"),
    Any(b"puppeteer"),
    Any(b"python"),
    End(b"scan"),
    Any(b"scrap"),
    Any(b"screenshot"),
    Any(b"selenium"),
    Any(b"slurp"),
    Any(b"spider"),
    Any(b"statuscake"),
    Any(b"synthetic"),
    Any(b"thumb"),
    Any(b"uptime"),
    Any(b"urllib"),
    Any(b"validator"),
    Any(b"wget"),
    Any(b"wkhtml"),
];

/// What may follow a part at the end of a name.
const ENDINGS: &[&[u8]] = &[b"", b"s", b"er", b"ers", b"ing", b"ner", b"ners", b"ning"];

const LONGEST_ENDING: usize = 4;

/// Names, lower case, that have a part in them and are no bot's: of makers and shops, mostly.
const NAMES: &[&[u8]] = &[
    b"abbot",
    b"cabot",
    b"camscan",
    b"cubot",
    b"irobot",
    b"mozacfetch",
    b"sabot",
    b"talbot",
    b"turbot",
];

/// As much of a word as is looked through: bots have shorter names, and who sends a longer one pays no
/// more for it.
const MAX_NAME: usize = 64;

/// By the first letter of parts: where those are in [`PARTS`], and a bit for each letter that comes
/// second and third. Hardly any three letters pass that do not begin a part.
const STARTS: [Start; 26] = {
    let mut starts = [Start { seconds: 0, thirds: 0, from: 0, to: 0 }; 26];
    let mut at = 0;
    while at < PARTS.len() {
        let (Any(part) | End(part)) = PARTS[at];
        let start = &mut starts[(part[0] - b'a') as usize];
        if start.seconds == 0 {
            start.from = at;
        }
        start.to = at + 1;
        start.seconds |= 1 << (part[1] - b'a');
        start.thirds |= 1 << (part[2] - b'a');
        at += 1;
    }
    starts
};

#[derive(Clone, Copy)]
struct Start {
    seconds: u32,
    thirds: u32,
    from: usize,
    to: usize,
}

/// Whether a word has a part that only bots have in theirs.
pub(super) fn has_part(word: &[u8]) -> bool {
    let word = &word[..word.len().min(MAX_NAME)];
    word.windows(3).enumerate().any(|(at, letters)| {
        let letter = |at: usize| (letters[at] | 0x20).wrapping_sub(b'a');
        let Some(start) = STARTS.get(usize::from(letter(0))) else { return false };
        let [second, third] = [letter(1), letter(2)];
        second < 26
            && start.seconds >> second & 1 == 1
            && third < 26
            && start.thirds >> third & 1 == 1
            && PARTS[start.from..start.to].iter().any(|part| has(word, at, part))
    })
}

fn has(word: &[u8], at: usize, part: &Part) -> bool {
    let (Any(letters) | End(letters)) = part;
    let end = at + letters.len();
    word[at + 1] | 0x20 == letters[1]
        && word.get(at..end).is_some_and(|here| here.eq_ignore_ascii_case(letters))
        && (matches!(part, Any(_)) || ends_there(word, end))
        && !NAMES.iter().any(|name| is_name(&word[..end], name))
}

/// Whether a name ends after the first `end` bytes, or after one of [`ENDINGS`] behind those.
fn ends_there(word: &[u8], end: usize) -> bool {
    let rest = &word[end..];
    let mut before = word[end - 1];
    for (at, next) in rest.iter().take(LONGEST_ENDING + 1).enumerate() {
        if parts(before, *next) {
            return is_ending(&rest[..at]);
        }
        before = *next;
    }
    is_ending(rest)
}

fn is_ending(rest: &[u8]) -> bool {
    ENDINGS.iter().any(|ending| rest.eq_ignore_ascii_case(ending))
}

/// Whether `word` ends with that name, and nothing of another is before it.
fn is_name(word: &[u8], name: &[u8]) -> bool {
    word.len().checked_sub(name.len()).is_some_and(|start| {
        word[start] | 0x20 == name[0]
            && word[start..].eq_ignore_ascii_case(name)
            && (start == 0 || parts(word[start - 1], word[start]))
    })
}

/// Whether a name ends between two bytes: where one is no letter, or a capital follows a small one.
fn parts(before: u8, next: u8) -> bool {
    !(before.is_ascii_alphabetic() && next.is_ascii_alphabetic())
        || before.is_ascii_lowercase() && next.is_ascii_uppercase()
}

/// Whether it is the name of a service that looks at pages by a browser that is like any other.
pub(super) fn is_service(word: &[u8]) -> bool {
    matches!(
        word,
        b"AppInsights"
            | b"Catchpoint"
            | b"CloudflareDiagnostics"
            | b"Collapsify"
            | b"Checkly"
            | b"Cypress"
            | b"DMBrowser"
            | b"DMBrowser-BV"
            | b"DMBrowser-UV"
            | b"DareBoost"
            | b"Datanyze"
            | b"Daum"
            | b"Daumoa"
            | b"DebugBear"
            | b"DejaClick"
            | b"Detectify"
            | b"Foregenix"
            | b"GTmetrix"
            | b"Hardenize"
            | b"Hotjar"
            | b"LinkTiger"
            | b"Neustar"
            | b"OpenVAS"
            | b"Rigor"
            | b"SecurityHeaders"
            | b"Silktide"
            | b"SiteSucker"
            | b"ThousandEyes"
            | b"Uptrends"
            | b"YLT"
            | b"ips-agent"
            | b"splash"
            | b"wechatdevtools"
    )
}

/// Whether it is the name of a site, which a bot gives as its maker's.
pub(super) fn is_site(word: &[u8]) -> bool {
    matches!(
        word,
        [_, .., b'.', b'c', b'o', b'm']
            | [_, .., b'.', b'n', b'e', b't']
            | [_, .., b'.', b'o', b'r', b'g']
            | [_, .., b'.', b'i', b'o' | b't']
            | [_, .., b'.', b'c', b'o' | b'h']
            | [_, .., b'.', b'a', b'i']
            | [_, .., b'.', b'd', b'e']
            | [_, .., b'.', b'f', b'r']
            | [_, .., b'.', b'r', b'u']
            | [_, .., b'.', b'e', b'u']
            | [_, .., b'.', b'i', b'n', b'f', b'o']
    )
}

/// Whether it is one of Google's own visitors: "Google-Ads-Qualify", "Mediapartners-Google", or
/// "Google Page Speed". Its apps, devices and toolbars are called otherwise.
pub(super) fn is_google(word: &[u8], before: &[u8]) -> bool {
    word.starts_with(b"Google-A")
        || word.ends_with(b"-Google")
        || before == b"Google" && matches!(word, b"Page" | b"Search")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_found_and_every_name_passes() {
        for part in PARTS {
            let (Any(letters) | End(letters)) = part;
            assert!(has_part(letters) && has_part(&letters.to_ascii_uppercase()));
            assert!(has_part(&[b"My_", *letters, b"s/2"].concat()));
        }
        for name in NAMES {
            assert!(!has_part(name) && !has_part(&name.to_ascii_uppercase()));
        }
        for ending in ENDINGS {
            assert!(ending.len() <= LONGEST_ENDING);
        }
    }
}
