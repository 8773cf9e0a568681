//! What visitors say they are: desktop, phone, tablet, the shop's own app, and robots.
//!
//! Templates in the form real programs send, with `{}` for the major version; written by hand,
//! not collected. They carry weights that give each class a realistic share.

/// What kind of program it is; decides how it behaves and what it reports.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Browser,
    /// Leaves fields out where they do not apply, where the others send null.
    App,
    /// Looks at pages fast and never buys.
    Bot,
}

pub(super) struct Agent {
    pub(super) class: Class,
    pub(super) weight: u16,
    text: &'static str,
    oldest: u64,
    versions: u64,
}

impl Agent {
    /// Appends the text, with a version chosen by `hash`.
    pub(super) fn push(&self, out: &mut Vec<u8>, hash: u64) {
        let version = self.oldest + hash % self.versions;
        for (index, part) in self.text.split("{}").enumerate() {
            if index > 0 {
                super::push_number(out, version);
            }
            out.extend_from_slice(part.as_bytes());
        }
    }
}

const fn agent(class: Class, weight: u16, oldest: u64, versions: u64, text: &'static str) -> Agent {
    assert!(versions > 0);
    Agent { class, weight, text, oldest, versions }
}

use Class::{App, Bot, Browser};

pub(super) const AGENTS: [Agent; 27] = [
    // Desktop.
    agent(
        Browser,
        180,
        124,
        18,
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36",
    ),
    agent(
        Browser,
        55,
        124,
        18,
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36",
    ),
    agent(
        Browser,
        18,
        124,
        18,
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36",
    ),
    agent(
        Browser,
        8,
        124,
        18,
        "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36",
    ),
    agent(
        Browser,
        60,
        124,
        18,
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36 Edg/{}.0.0.0",
    ),
    agent(
        Browser,
        14,
        108,
        12,
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 OPR/{}.0.0.0",
    ),
    agent(
        Browser,
        40,
        115,
        30,
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:{}.0) Gecko/20100101 Firefox/{}.0",
    ),
    agent(
        Browser,
        12,
        115,
        30,
        "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:{}.0) Gecko/20100101 Firefox/{}.0",
    ),
    agent(
        Browser,
        50,
        15,
        4,
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/{}.3 Safari/605.1.15",
    ),
    // Phones.
    agent(
        Browser,
        160,
        15,
        4,
        "Mozilla/5.0 (iPhone; CPU iPhone OS {}_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/{}.5 Mobile/15E148 Safari/604.1",
    ),
    agent(
        Browser,
        22,
        124,
        18,
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/{}.0.6778.73 Mobile/15E148 Safari/604.1",
    ),
    agent(
        Browser,
        12,
        480,
        30,
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 [FBAN/FBIOS;FBAV/{}.0.0.39.110;FBDV/iPhone14,5]",
    ),
    agent(
        Browser,
        190,
        124,
        18,
        "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Mobile Safari/537.36",
    ),
    agent(
        Browser,
        30,
        22,
        6,
        "Mozilla/5.0 (Linux; Android 14; SM-S921B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/{}.0 Chrome/121.0.0.0 Mobile Safari/537.36",
    ),
    agent(Browser, 8, 115, 30, "Mozilla/5.0 (Android 14; Mobile; rv:{}.0) Gecko/{}.0 Firefox/{}.0"),
    // Tablets.
    agent(
        Browser,
        24,
        15,
        4,
        "Mozilla/5.0 (iPad; CPU OS {}_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/{}.6 Mobile/15E148 Safari/604.1",
    ),
    agent(
        Browser,
        14,
        124,
        18,
        "Mozilla/5.0 (Linux; Android 13; SM-X710) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36",
    ),
    agent(
        Browser,
        4,
        124,
        8,
        "Mozilla/5.0 (Linux; Android 11; KFTRWI) AppleWebKit/537.36 (KHTML, like Gecko) Silk/{}.3.1 like Chrome/{}.0.0.0 Safari/537.36",
    ),
    // The shop's own app.
    agent(App, 45, 4, 4, "ClickShop/{}.4.1 (iPhone; iOS 18.1; Scale/3.00)"),
    agent(App, 48, 4, 4, "ClickShop/{}.4.0 (Linux; Android 14; Pixel 8) okhttp/4.12.0"),
    agent(App, 5, 4, 4, "ClickShop/{}.4.1 (iPad; iPadOS 18.1; Scale/2.00)"),
    // Robots.
    agent(
        Bot,
        14,
        124,
        18,
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; Googlebot/2.1; +http://www.google.com/bot.html) Chrome/{}.0.0.0 Safari/537.36",
    ),
    agent(
        Bot,
        6,
        112,
        6,
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm) Chrome/{}.0.0.0 Safari/537.36",
    ),
    agent(Bot, 5, 6, 2, "Mozilla/5.0 (compatible; AhrefsBot/{}.0; +http://ahrefs.com/robot/)"),
    agent(Bot, 2, 2, 1, "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)"),
    agent(Bot, 2, 26, 6, "python-requests/2.{}.0"),
    agent(Bot, 1, 1, 9, "curl/8.{}.0"),
];
