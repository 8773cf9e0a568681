//! Reads one user agent: its words, and what they mean together.
//!
//! Why no crate (looked at in November 2026): those over the patterns of uap-core (`ua-parser`,
//! `uaparser`, `user-agent-parser`) compile thousands of regular expressions, hundreds of milliseconds
//! for each fresh instance. `woothee` (last release 2021) compiles some thirty on first use, 2 to 5 ms
//! against the few hundred microseconds that a whole batch takes here, and knows no tablets and few of
//! today's bots. `iscrawl` has no such cost, but remembers verdicts by address and length, so that in a
//! reused instance a bot can get the verdict of another user agent.
//!
//! User agents are words in a fixed vocabulary, so one pass over the words is enough. Browsers name
//! those they want to be taken for as well, hence the order of [`Browser`] and [`System`].

use super::families::{Browser, System};

/// What a user agent says.
#[derive(Debug, PartialEq)]
pub(super) struct Agent<'a> {
    /// desktop, mobile, tablet, tv, console, bot or other.
    pub device: &'static str,
    /// A family of [`Browser`], or what a bot or an app calls itself: ASCII.
    pub browser: &'a [u8],
    /// A family of [`System`].
    pub os: &'static str,
    /// Whether it is no person's browser or app.
    pub is_bot: bool,
}

/// Parts of words, lower case, that only bots have in theirs.
const BOT_PARTS: &[&[u8]] = &[
    b"archiver",
    b"bot",
    b"check",
    b"crawl",
    b"externalhit",
    b"fetch",
    b"headless",
    b"lighthouse",
    b"monitor",
    b"phantomjs",
    b"pingdom",
    b"playwright",
    b"preview",
    b"ptst",
    b"puppeteer",
    b"scan",
    b"scrap",
    b"selenium",
    b"slurp",
    b"spider",
    b"synthetic",
    b"uptime",
];

/// By the first letter of parts, a bit for each letter that comes second: hardly any pair of letters
/// passes that does not begin one.
const BOT_STARTS: [u32; 26] = {
    let mut starts = [0; 26];
    let mut at = 0;
    while at < BOT_PARTS.len() {
        let part = BOT_PARTS[at];
        starts[(part[0] - b'a') as usize] |= 1 << (part[1] - b'a');
        at += 1;
    }
    starts
};

/// Which bytes words are made of.
const IN_WORD: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] =
            (byte as u8).is_ascii_alphanumeric() || matches!(byte as u8, b'-' | b'_' | b'.');
        byte += 1;
    }
    table
};

/// What is noticed on the way over the words.
struct Seen<'a> {
    browser: Browser,
    os: System,
    mobile: bool,
    /// Says that it is a tablet: "Tablet PC", of which Windows speaks, is none.
    tablet: bool,
    tv: bool,
    xbox: bool,
    phone: bool,
    darwin: bool,
    mac: bool,
    macintosh: bool,
    compatible: bool,
    /// An address of its maker, which browsers do not give.
    contact: bool,
    /// The first word with a part of [`BOT_PARTS`], unless it belongs to an address.
    bot: Option<&'a [u8]>,
    /// The word after "compatible", or else before the address.
    named: Option<&'a [u8]>,
}

impl<'a> Agent<'a> {
    /// Reads a user agent. Anything goes.
    pub(super) fn parse(agent: &'a [u8]) -> Self {
        let mut seen = Seen {
            browser: Browser::None,
            os: System::None,
            mobile: false,
            tablet: false,
            tv: false,
            xbox: false,
            phone: false,
            darwin: false,
            mac: false,
            macintosh: false,
            compatible: false,
            contact: false,
            bot: None,
            named: None,
        };
        let mut words =
            agent.split(|byte| !IN_WORD[usize::from(*byte)]).filter(|word| match word {
                // Versions are of no interest, 360Spider is.
                [first, .., last] => first.is_ascii_alphabetic() || last.is_ascii_alphabetic(),
                _ => false,
            });
        let first = words.next().unwrap_or_default();
        let mut before = first;
        if first != b"Mozilla" {
            seen.word(first, first);
        }
        for word in words {
            seen.word(word, before);
            before = word;
        }
        seen.conclude(first)
    }
}

impl<'a> Seen<'a> {
    fn word(&mut self, word: &'a [u8], before: &'a [u8]) {
        match word {
            b"AppleWebKit" | b"KHTML" | b"like" | b"Gecko" | b"Version" | b"Mozilla" => return,
            b"Mobile" => self.mobile = true,
            b"Tablet" | b"iPad" => self.tablet = true,
            b"PC" => self.tablet &= before != b"Tablet",
            b"Phone" if before == b"Windows" => self.os = System::WindowsPhone,
            b"Phone" => self.phone = true,
            b"Xbox" => self.xbox = true,
            b"TV" | b"SMART-TV" | b"SmartTV" | b"Smart-TV" | b"GoogleTV" | b"HbbTV"
            | b"NetCast" | b"BRAVIA" | b"CrKey" | b"webOS.TV" | b"tvOS" | b"Roku" | b"MiTV"
            | b"AndroidTV" => {
                self.tv = true;
            }
            b"CFNetwork" | b"Darwin" => self.darwin = true,
            b"Mac" | b"x86_64" => self.mac = true,
            b"Macintosh" => self.macintosh = true,
            b"compatible" => self.compatible = true,
            b"http" | b"https" => {
                self.contact = true;
                self.named = self.named.or(Some(before));
            }
            _ => {}
        }
        let browser = Browser::of(word);
        let os = System::of(word);
        self.browser = self.browser.min(browser);
        self.os = self.os.min(os);
        if before == b"compatible" {
            self.named = Some(word);
        }
        if browser == Browser::None && os == System::None {
            self.uncommon(word);
        }
    }

    /// Words that only begin with or contain what gives them away.
    fn uncommon(&mut self, word: &'a [u8]) {
        if word.starts_with(b"AppleTV") {
            (self.os, self.tv) = (System::TvOs, true);
        } else if word.starts_with(b"iPhone") || word.starts_with(b"iPad") {
            self.os = self.os.min(System::Ios);
            self.tablet |= word.starts_with(b"iPad");
        } else if word.starts_with(b"AFT") && self.os == System::Android {
            self.tv = true;
        } else if word.starts_with(b"SM-T") || word.starts_with(b"SM-X") {
            self.tablet = true;
        } else if word.starts_with(b"BlackBerry") {
            self.os = self.os.min(System::BlackBerry);
        } else if self.bot.is_none() && !self.contact && has_bot_part(word) {
            self.bot = Some(word);
        }
    }

    fn conclude(mut self, first: &'a [u8]) -> Agent<'a> {
        let mozilla = first == b"Mozilla";
        match self.os {
            System::None if self.darwin && self.mac => self.os = System::MacOs,
            System::None if self.darwin => self.os = System::Ios,
            // A desktop page asked for on an iPad: Safari gives no hint, others do.
            System::MacOs if self.mobile => (self.os, self.tablet) = (System::Ios, true),
            System::Ios if self.macintosh => self.tablet = true,
            _ => {}
        }
        // Internet Explorer and Konqueror said that they are compatible with what others are now.
        let compatible = self.compatible
            && !matches!(self.browser, Browser::Explorer | Browser::Konqueror | Browser::Opera);
        // What is neither a browser nor an app of a device that people hold.
        let nothing = self.browser == Browser::None
            && match self.os {
                System::None => true,
                System::Linux | System::Bsd => !mozilla,
                _ => false,
            };
        let is_bot = self.bot.is_some() || self.contact || compatible || nothing;
        let browser = if is_bot {
            let name = self.bot.or(self.named.filter(|_| mozilla));
            let name = name.or((!mozilla).then_some(first));
            name.unwrap_or_default()
        } else if self.browser == Browser::None && !mozilla {
            first
        } else {
            self.family().as_bytes()
        };
        Agent {
            device: if is_bot { "bot" } else { self.device(mozilla) },
            browser: match browser {
                b"" => b"other",
                name => &name[..name.len().min(32)],
            },
            os: self.os.name(),
            is_bot,
        }
    }

    fn family(&self) -> &'static str {
        match (self.browser, self.os) {
            // Android's browser before Chrome.
            (Browser::Safari, System::Android) => "Android Browser",
            // An app that shows a page says everything that Safari does but its name.
            (Browser::None, System::Ios) => Browser::WebView.name(),
            _ => self.browser.name(),
        }
    }

    fn device(&self, mozilla: bool) -> &'static str {
        match self.os {
            _ if self.tv => "tv",
            _ if self.xbox => "console",
            System::TvOs | System::Roku => "tv",
            System::PlayStation | System::Nintendo => "console",
            System::Ios if self.tablet => "tablet",
            System::Ios | System::WindowsPhone | System::KaiOs | System::BlackBerry => "mobile",
            // On a tablet browsers leave out "Mobile"; apps never say it.
            System::Android | System::HarmonyOs if self.tablet => "tablet",
            System::Android | System::HarmonyOs if self.mobile || self.phone || !mozilla => {
                "mobile"
            }
            System::Android | System::HarmonyOs => "tablet",
            System::Tizen | System::WebOs if self.mobile => "mobile",
            System::Tizen | System::WebOs => "tv",
            System::Windows | System::MacOs | System::Linux | System::ChromeOs | System::Bsd => {
                "desktop"
            }
            System::None if self.mobile => "mobile",
            System::None => "other",
        }
    }
}

fn has_bot_part(word: &[u8]) -> bool {
    // Cubot makes phones.
    let phone = word.len() >= 5 && word[..5].eq_ignore_ascii_case(b"cubot");
    !phone
        && word.windows(2).enumerate().any(|(at, pair)| {
            let [first, second] = [pair[0], pair[1]].map(|byte| (byte | 0x20).wrapping_sub(b'a'));
            let seconds = BOT_STARTS.get(usize::from(first)).copied().unwrap_or(0);
            second < 26
                && seconds >> second & 1 == 1
                && BOT_PARTS.iter().any(|part| {
                    let here = word.get(at..at + part.len());
                    here.is_some_and(|here| here.eq_ignore_ascii_case(part))
                })
        })
}
