//! Who clicks: country, address, program and e-mail of a user, worked out from the user's number.
//!
//! Nothing is stored per user, so there may be any number of them; the same user on the same
//! device is always the same. Nobody real is meant: addresses come from ranges set aside for
//! shared use, tests and documentation (100.64/10, 198.18/15, 2001:db8::/32), mail goes to the
//! `example` domains.

use super::super::dice::{Weighted, mix};
use super::super::text::{push_hex, push_number};
use super::user_agents::{AGENTS, Agent};

pub(crate) struct Country {
    pub(crate) code: &'static str,
    pub(super) currency: &'static str,
    /// What 100 of the catalogue's cents cost there, in hundredths of its currency.
    pub(super) rate: u64,
    weight: u16,
}

const fn country(code: &'static str, currency: &'static str, rate: u64, weight: u16) -> Country {
    Country { code, currency, rate, weight }
}

const COUNTRIES: [Country; 24] = [
    country("PL", "PLN", 425, 300),
    country("DE", "EUR", 100, 180),
    country("CZ", "CZK", 2500, 90),
    country("GB", "GBP", 85, 80),
    country("FR", "EUR", 100, 60),
    country("US", "USD", 108, 55),
    country("LT", "EUR", 100, 35),
    country("SK", "EUR", 100, 30),
    country("AT", "EUR", 100, 25),
    country("NL", "EUR", 100, 25),
    country("IT", "EUR", 100, 22),
    country("ES", "EUR", 100, 20),
    country("SE", "SEK", 1140, 14),
    country("IE", "EUR", 100, 12),
    country("HU", "HUF", 39500, 12),
    country("CH", "CHF", 95, 10),
    country("DK", "DKK", 746, 8),
    country("NO", "NOK", 1170, 8),
    country("BE", "EUR", 100, 8),
    country("RO", "RON", 498, 7),
    country("UA", "UAH", 4400, 6),
    country("FI", "EUR", 100, 5),
    country("LV", "EUR", 100, 5),
    country("PT", "EUR", 100, 4),
];

const FIRST_NAMES: [&str; 16] = [
    "anna",
    "piotr",
    "maria",
    "jan",
    "katarzyna",
    "tomas",
    "eva",
    "lukas",
    "julia",
    "marek",
    "sophie",
    "adam",
    "laura",
    "erik",
    "zofia",
    "daniel",
];
const LAST_NAMES: [&str; 16] = [
    "nowak",
    "kowalska",
    "mueller",
    "novakova",
    "schmidt",
    "wisniewski",
    "dvorak",
    "smith",
    "lewandowska",
    "martin",
    "zielinski",
    "svoboda",
    "weber",
    "kaminska",
    "larsen",
    "rossi",
];
const MAIL_DOMAINS: [&str; 3] = ["example.com", "example.org", "example.net"];

/// All visitors there can be.
pub(crate) struct Visitors {
    countries: Weighted,
    agents: Weighted,
}

#[derive(Clone, Copy)]
pub(crate) struct Visitor {
    pub(crate) user: u64,
    pub(crate) country: &'static Country,
    pub(super) agent: &'static Agent,
    person: u64,
    device: u64,
}

/// Which of their devices a user is on.
#[derive(Clone, Copy)]
pub(crate) enum Device {
    Usual,
    Other,
}

impl Visitors {
    pub(crate) fn new() -> Self {
        Self {
            countries: Weighted::new(COUNTRIES.iter().map(|country| country.weight.into())),
            agents: Weighted::new(AGENTS.iter().map(|agent| agent.weight.into())),
        }
    }

    pub(crate) fn visitor(&self, user: u64, device: Device) -> Visitor {
        let person = mix(user);
        let device = mix(person ^ device as u64);
        Visitor {
            user,
            country: &COUNTRIES[self.countries.at((person >> 32) as u32)],
            agent: &AGENTS[self.agents.at((device >> 32) as u32)],
            person,
            device,
        }
    }
}

impl Visitor {
    pub(crate) fn push_user_agent(&self, out: &mut Vec<u8>) {
        self.agent.push(out, self.device & 0xffff);
    }

    /// IPv4 for most, IPv6 for one in six.
    pub(crate) fn push_ip(&self, out: &mut Vec<u8>) {
        let bits = mix(self.device);
        if bits >> 56 < 43 {
            out.extend_from_slice(b"2001:db8:");
            // Groups of four digits without leading zeros need no shortening to be canonical.
            for (shift, after) in [(0, &b":"[..]), (16, b"::"), (32, b"")] {
                push_hex(out, 0x1000 + (bits >> shift & 0xffff) % 0xf000, 4);
                out.extend_from_slice(after);
            }
            return;
        }
        let [a, b, c, d] = if bits >> 48 & 3 > 0 {
            [100, 64 + (bits & 63), bits >> 8 & 255, 1 + (bits >> 16) % 254]
        } else {
            [198, 18 + (bits & 1), bits >> 8 & 255, 1 + (bits >> 16) % 254]
        };
        for (number, before) in [(a, &b""[..]), (b, b"."), (c, b"."), (d, b".")] {
            out.extend_from_slice(before);
            push_number(out, number);
        }
    }

    /// With `at` between name and domain: in a URL that is `@` or `%40`.
    pub(crate) fn push_email(&self, out: &mut Vec<u8>, at: &str) {
        let name = FIRST_NAMES[self.person as usize & 15];
        out.extend_from_slice(name.as_bytes());
        out.push(b'.');
        out.extend_from_slice(LAST_NAMES[self.person as usize >> 4 & 15].as_bytes());
        push_number(out, self.person >> 8 & 1023);
        out.extend_from_slice(at.as_bytes());
        let domain = MAIL_DOMAINS[(self.person >> 18) as usize % MAIL_DOMAINS.len()];
        out.extend_from_slice(domain.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn addresses_are_canonical_and_nobodys() {
        let visitors = Visitors::new();
        let mut v6 = 0;
        for user in 0..20_000 {
            let mut out = Vec::new();
            visitors.visitor(user, Device::Other).push_ip(&mut out);
            let text = String::from_utf8(out).unwrap();
            let ip: IpAddr = text.parse().unwrap();
            assert_eq!(ip.to_string(), text);
            match ip {
                IpAddr::V4(ip) => match ip.octets() {
                    [100, 64..=127, ..] | [198, 18..=19, ..] => {}
                    other => panic!("{other:?}"),
                },
                IpAddr::V6(ip) => {
                    v6 += 1;
                    assert_eq!(ip.segments()[..2], [0x2001, 0xdb8]);
                }
            }
        }
        assert!((2_800..3_900).contains(&v6), "{v6}");
    }

    #[test]
    fn user_agents_are_filled_in_and_all_in_use() {
        let visitors = Visitors::new();
        let mut seen = std::collections::HashSet::new();
        for user in 0..50_000 {
            let visitor = visitors.visitor(user, Device::Usual);
            let mut out = Vec::new();
            visitor.push_user_agent(&mut out);
            let text = String::from_utf8(out).unwrap();
            assert!(!text.contains(['{', '"', '\\']), "{text}");
            seen.insert(text);
        }
        assert!(seen.len() > 200, "{}", seen.len());
    }
}
