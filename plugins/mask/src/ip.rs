//! IP addresses without the part that tells people apart: IPv4 keeps 24 bits, IPv6 keeps 48, each in
//! its canonical text. An IPv6 address that maps an IPv4 one is that IPv4 address, and so is one of 6to4,
//! which has the IPv4 address of its user in the 48 bits that would stay. Other ways to write an IPv4 address
//! into one of IPv6 (NAT64, Teredo, ISATAP) have it in the bits that go.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use clickmill_plugin::{Column, Texts};

/// The column with each address truncated. Calls `bad` for a row that holds none, which becomes null; so
/// does an empty text, which says nothing.
pub(crate) fn column(source: &Column, mut bad: impl FnMut(usize)) -> Column {
    let rows = source.len();
    let mut texts = Texts::with_capacity(rows, rows * 16);
    let mut address = String::new();
    // A session's clicks lie together and have the same address.
    let mut last: Option<&[u8]> = None;
    for row in 0..rows {
        let Some(text) = source.bytes(row).filter(|text| !text.is_empty()) else {
            texts.push_null();
            continue;
        };
        if last != Some(text) {
            last = None;
            if source.text(row).is_some_and(|text| write_network(text, &mut address)) {
                last = Some(text);
            }
        }
        match last {
            Some(_) => texts.push(&address),
            None => {
                bad(row);
                texts.push_null();
            }
        }
    }
    texts.finish(&source.name)
}

/// Writes the network of an address in place of what was there. Whether the text is one.
fn write_network(text: &str, network: &mut String) -> bool {
    network.clear();
    // An IPv4 address has one spelling, so the first three parts are spelled already. Formatting them takes a
    // component longer than all else here.
    if let (Ok(_), Some(last)) = (text.parse::<Ipv4Addr>(), text.rfind('.')) {
        network.push_str(&text[..=last]);
        network.push('0');
        return true;
    }
    // Writing to a `String` never fails.
    truncate(text).is_some_and(|address| write!(network, "{address}").is_ok())
}

/// The network of an address: `None` where the text is no address.
pub(crate) fn truncate(text: &str) -> Option<IpAddr> {
    Some(match text.parse::<IpAddr>().ok()?.to_canonical() {
        IpAddr::V4(address) => network(address).into(),
        IpAddr::V6(address) => match address.segments() {
            [0x2002, high, low, ..] => {
                network(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))).into()
            }
            [a, b, c, ..] => Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0).into(),
        },
    })
}

fn network(address: Ipv4Addr) -> Ipv4Addr {
    let [a, b, c, _] = address.octets();
    Ipv4Addr::new(a, b, c, 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{truncate, write_network};

    proptest! {
        #[test]
        fn what_is_written_is_the_address_of_the_network(
            octets in any::<[u8; 4]>(),
            other in "[0-9.]{0,15}|[0-9a-f:.]{0,24}",
        ) {
            let [a, b, c, d] = octets;
            for text in [format!("{a}.{b}.{c}.{d}"), format!("::ffff:{a}.{b}.{c}.{d}"), other] {
                let mut written = "left over".to_owned();
                let is_one = write_network(&text, &mut written);
                let wanted = truncate(&text).map(|address| address.to_string());
                prop_assert_eq!(is_one.then_some(written), wanted, "{}", text);
            }
        }
    }

    #[test]
    fn addresses_keep_only_their_network() {
        let cases = [
            ("192.0.2.57", Some("192.0.2.0")),
            ("0.0.0.0", Some("0.0.0.0")),
            ("::ffff:192.0.2.57", Some("192.0.2.0")),
            ("2001:db8:85a3:8d3:1319:8a2e:370:7348", Some("2001:db8:85a3::")),
            ("2001:0DB8:0:0:0:0:0:1", Some("2001:db8::")),
            ("::1", Some("::")),
            // 6to4.
            ("2002:c000:239::1", Some("192.0.2.0")),
            ("2002:C000:0239:1:2:3:4:5", Some("192.0.2.0")),
            ("2002::", Some("0.0.0.0")),
            // NAT64, Teredo (the server's address, and that of the user inverted), ISATAP, compatible with
            // IPv4, translated.
            ("64:ff9b::192.0.2.57", Some("64:ff9b::")),
            ("64:ff9b:1::c000:239", Some("64:ff9b:1::")),
            ("2001:0:4136:e378:8000:63bf:3fff:fdc6", Some("2001:0:4136::")),
            ("2001:db8::5efe:192.0.2.57", Some("2001:db8::")),
            ("fe80::200:5efe:c000:239", Some("fe80::")),
            ("::192.0.2.57", Some("::")),
            ("::ffff:0:192.0.2.57", Some("::")),
            ("", None),
            (" 192.0.2.57", None),
            ("192.0.2", None),
            ("192.0.2.256", None),
            ("192.0.2.57:8080", None),
            ("192.0.2.57, 10.0.0.1", None),
            ("fe80::1%eth0", None),
            ("shop.example.com", None),
        ];
        for (text, expected) in cases {
            assert_eq!(truncate(text).map(|a| a.to_string()).as_deref(), expected, "{text}");
        }
    }
}
