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

use super::bots;
use super::devices::{self, Hint};
use super::families::{Browser, System};

/// What a user agent says.
#[derive(Debug, PartialEq)]
pub(super) struct Agent<'a> {
    /// desktop, mobile, tablet, tv, console, headset, bot or other.
    pub device: &'static str,
    /// A family of [`Browser`], or what a bot or an app calls itself: ASCII.
    pub browser: &'a [u8],
    /// A family of [`System`].
    pub os: &'static str,
    /// Whether it is no person's browser or app.
    pub is_bot: bool,
}

/// As much of a user agent as is read: of ten thousand of browsers one is longer. So who sends much
/// longer ones pays no more for them.
const MAX_LEN: usize = 512;

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
    /// Whether the first word is "Mozilla", as that of browsers is.
    mozilla: bool,
    /// Whether it says on what system it is, known or not, before all else, as browsers do.
    system: bool,
    browser: Browser,
    os: System,
    mobile: bool,
    /// Says that it is a tablet: "Tablet PC", of which Windows speaks, is none.
    tablet: bool,
    /// What words say of the device, each a bit.
    hints: u8,
    /// A phone, as it says.
    phone: bool,
    darwin: bool,
    /// An app by what shows pages or asks for them in it. What it calls itself may be anything.
    app: bool,
    /// Between "Android" and what comes after the device's name, which may be anything too.
    model: bool,
    mac: bool,
    macintosh: bool,
    compatible: bool,
    /// Internet Explorer, or what is built on it.
    explorer: bool,
    /// An address of its maker, which browsers do not give.
    contact: bool,
    /// The first word that gives a bot away, unless it belongs to an address.
    bot: Option<&'a [u8]>,
    /// The word after "compatible", or else before the address.
    named: Option<&'a [u8]>,
}

impl<'a> Agent<'a> {
    /// Reads a user agent. Anything goes.
    pub(super) fn parse(agent: &'a [u8]) -> Self {
        let agent = &agent[..agent.len().min(MAX_LEN)];
        let mut words =
            agent.split(|byte| !IN_WORD[usize::from(*byte)]).filter(|word| match word {
                // Versions are of no interest, 360Spider is.
                [first, .., last] => first.is_ascii_alphabetic() || last.is_ascii_alphabetic(),
                _ => false,
            });
        let first = words.next().unwrap_or_default();
        let mut seen = Seen {
            mozilla: first == b"Mozilla",
            system: !agent.starts_with(b"Mozilla/5.0 AppleWebKit"),
            browser: Browser::None,
            os: System::None,
            mobile: false,
            tablet: false,
            hints: 0,
            phone: false,
            darwin: false,
            app: false,
            model: false,
            mac: false,
            macintosh: false,
            compatible: false,
            explorer: false,
            contact: false,
            bot: None,
            named: None,
        };
        let mut before = first;
        if !seen.mozilla {
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
            b"AppleWebKit" | b"KHTML" | b"like" | b"Gecko" | b"Version" | b"Mozilla" | b"Build" => {
                self.model = false;
                return;
            }
            b"Android" => self.model = true,
            b"wv" => (self.app, self.model) = (true, false),
            b"Mobile" | b"Mobi" | b"mobile" => self.mobile = true,
            b"Tablet" | b"tablet" | b"iPad" => self.tablet = true,
            b"PC" => self.tablet &= before != b"Tablet",
            b"VR" if before == b"Mobile" => self.mobile = false,
            b"Phone" if before == b"Windows" => self.os = System::WindowsPhone,
            b"Phone" => self.phone = true,
            b"Mini" if before == b"Opera" => self.browser = self.browser.min(Browser::OperaMini),
            b"CFNetwork" | b"cfnetwork" => (self.darwin, self.app) = (true, true),
            b"Darwin" | b"darwin" => self.darwin = true,
            b"x86_64" | b"i386" => self.mac = true,
            b"Macintosh" => self.macintosh = true,
            // Browsers say "Macintosh" before it, and iOS that it is like one.
            b"Mac" if before != b"like" => self.mac_app(),
            b"compatible" => (self.compatible, self.model) = (true, false),
            b"MSIE" | b"Trident" => self.explorer = true,
            b"http" | b"https" => {
                self.contact = true;
                self.named = self.named.or(Some(before));
            }
            _ => {}
        }
        let os = System::of(word);
        self.os = self.os.min(os);
        // A device may be called "Edge" or "Line".
        let browser = if self.is_model() { Browser::None } else { Browser::of(word) };
        self.browser = self.browser.min(browser);
        if before == b"compatible" {
            self.named = Some(word);
        }
        if browser == Browser::None {
            self.uncommon(word, before, os);
        }
    }

    /// Whether a site's name is a bot's maker: apps name networks, old browsers those who handed them
    /// out, and others the site "via" which they look.
    fn may_name_a_site(&self, before: &[u8]) -> bool {
        self.mozilla
            && !self.explorer
            && before != b"via"
            && matches!(self.browser, Browser::None | Browser::Chrome | Browser::Safari)
    }

    /// Whether the word may be a device's name, of a browser on Android.
    fn is_model(&self) -> bool {
        self.model && self.mozilla && self.os == System::Android
    }

    fn mac_app(&mut self) {
        self.mac = true;
        if !self.mozilla {
            self.os = self.os.min(System::MacOs);
        }
    }

    /// Words that give away no browser: those that are rare, or of which a part gives something away.
    fn uncommon(&mut self, word: &'a [u8], before: &[u8], os: System) {
        let hint = if self.model { devices::model(word) } else { devices::hint(word) };
        self.hints |= 1 << hint as u8;
        match word {
            _ if os != System::None => {}
            [b'A', ..] if word.starts_with(b"AppleTV") => self.os = System::TvOs,
            [b'B', ..] if word.starts_with(b"BlackBerry") => {
                self.os = self.os.min(System::BlackBerry);
            }
            [b'M', ..] if word.starts_with(b"MacBook") || word.starts_with(b"Macmini") => {
                self.mac_app();
            }
            [b'P', ..] if word.starts_with(b"PowerMac") => self.mac_app(),
            [b'R', ..] if word.starts_with(b"Roku") => self.os = self.os.min(System::Roku),
            [b'U', ..] if word.starts_with(b"UCWEB") => {
                self.browser = self.browser.min(Browser::Uc);
            }
            [b'i', ..] if word.starts_with(b"iPhone") || word.starts_with(b"iPad") => {
                self.os = self.os.min(System::Ios);
            }
            [b'i', ..] if word.starts_with(b"iMac") => self.mac_app(),
            [b'm', ..] if word.starts_with(b"musical_ly_") => {
                self.browser = self.browser.min(Browser::TikTok);
            }
            [b't', ..] if word.starts_with(b"trill_") => {
                self.browser = self.browser.min(Browser::TikTok);
            }
            _ if hint != Hint::Nothing || self.bot.is_some() || self.contact => {}
            _ if bots::is_service(word) => self.bot = Some(word),
            // What an app or a device calls itself may be anything.
            _ if self.app || self.is_model() => {}
            _ if bots::has_part(word) || bots::is_google(word, before) => {
                self.bot = Some(word);
            }
            _ if self.may_name_a_site(before) && bots::is_site(word) => {
                self.contact = true;
                self.named = self.named.or(Some(word));
            }
            _ => {}
        }
    }

    fn says(&self, hint: Hint) -> bool {
        self.hints >> hint as u8 & 1 == 1
    }

    fn conclude(mut self, first: &'a [u8]) -> Agent<'a> {
        let mozilla = self.mozilla;
        self.tablet |= self.says(Hint::Tablet);
        self.phone |= self.says(Hint::Keys);
        match self.os {
            System::None if self.darwin && self.mac => self.os = System::MacOs,
            System::None if self.darwin => self.os = System::Ios,
            // A desktop page asked for on an iPad: Safari gives no hint, others do.
            System::MacOs if self.mobile => (self.os, self.tablet) = (System::Ios, true),
            System::Ios if self.macintosh => self.tablet = true,
            _ => {}
        }
        // What an app calls itself stands before what it asks by.
        if self.app && !mozilla {
            self.bot = None;
        }
        let nothing = self.is_nothing();
        if nothing && !mozilla && self.bot.is_none() && !self.contact {
            self.phone = devices::is_phone(first);
        }
        // Internet Explorer and Konqueror said that they are compatible with what others are now.
        let compatible = self.compatible
            && self.named.is_some()
            && !(self.explorer || self.is_held())
            && !matches!(self.named, Some(b"Opera"))
            && !matches!(self.browser, Browser::Konqueror | Browser::Opera | Browser::Outlook);
        let is_bot = self.bot.is_some() || self.contact || compatible || nothing && !self.phone;
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
            device: if is_bot { "bot" } else { self.device() },
            browser: match browser {
                b"" => b"other",
                name => &name[..name.len().min(32)],
            },
            os: self.os.name(),
            is_bot,
        }
    }

    /// Whether it is neither a browser nor an app of a device that people hold.
    fn is_nothing(&self) -> bool {
        let held = self.mobile || self.is_held();
        match self.os {
            // Apps that do not say on what they run look at pages to make previews of them.
            System::None if !self.mozilla => {
                !held
                    && matches!(
                        self.browser,
                        Browser::None
                            | Browser::LinkedIn
                            | Browser::Pinterest
                            | Browser::Spotify
                            | Browser::Telegram
                            | Browser::Twitter
                            | Browser::Viber
                            | Browser::Zalo
                    )
            }
            System::None => !held && (self.browser == Browser::None || !self.system),
            System::Linux | System::Bsd => !held && !self.mozilla && self.browser == Browser::None,
            _ => false,
        }
    }

    /// Whether it says that it is a device that people hold, or sit before.
    fn is_held(&self) -> bool {
        self.phone || self.tablet || self.says(Hint::Tv) || self.says(Hint::Headset)
    }

    fn is_desktop(&self) -> bool {
        !self.mobile
            && matches!(
                self.os,
                System::Windows | System::MacOs | System::Linux | System::ChromeOs | System::Bsd
            )
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

    fn device(&self) -> &'static str {
        match self.os {
            System::VisionOs => "headset",
            _ if self.browser.is_on_headsets() => "headset",
            _ if self.says(Hint::Headset) && !self.mobile => "headset",
            _ if self.says(Hint::Tv) => "tv",
            _ if self.says(Hint::Console) => "console",
            System::TvOs | System::Roku => "tv",
            System::PlayStation | System::Nintendo => "console",
            _ if self.tablet => "tablet",
            System::Windows if self.says(Hint::Arm) => "tablet",
            System::Ios
            | System::WindowsPhone
            | System::KaiOs
            | System::BlackBerry
            | System::Symbian
            | System::Bada => "mobile",
            System::Android if self.says(Hint::Box) && !self.mobile => "tv",
            // On a tablet browsers leave out "Mobile"; apps never say it.
            System::Android | System::HarmonyOs
                if self.mobile || self.phone || !self.mozilla || self.browser.is_on_phones() =>
            {
                "mobile"
            }
            System::Android | System::HarmonyOs => "tablet",
            _ if self.mobile || self.phone => "mobile",
            System::None | System::Linux if self.browser.is_on_phones() => "mobile",
            System::WebOs => "mobile",
            System::Tizen => "tv",
            _ if self.browser == Browser::Silk => "tablet",
            _ if self.is_desktop() => "desktop",
            _ => "other",
        }
    }
}
