//! IP addresses without the part that tells people apart: IPv4 keeps 24 bits, IPv6 keeps 48, each in
//! its canonical text. An IPv6 address that maps an IPv4 one is that IPv4 address.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use clickmill_plugin::{Column, Texts};

/// The column with each address truncated. Calls `bad` for a row that holds none, which becomes null; so
/// does an empty text, which says nothing.
pub(crate) fn column(source: &Column, mut bad: impl FnMut(u32)) -> Column {
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
            if let Some(truncated) = source.text(row).and_then(truncate) {
                address.clear();
                // Writing to a `String` never fails.
                let _ = write!(address, "{truncated}");
                last = Some(text);
            }
        }
        match last {
            Some(_) => texts.push(&address),
            None => {
                bad(row as u32);
                texts.push_null();
            }
        }
    }
    texts.finish(&source.name)
}

/// The network of an address: `None` where the text is no address.
pub(crate) fn truncate(text: &str) -> Option<IpAddr> {
    Some(match text.parse::<IpAddr>().ok()?.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            Ipv4Addr::new(a, b, c, 0).into()
        }
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0).into()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::truncate;

    #[test]
    fn addresses_keep_only_their_network() {
        let cases = [
            ("192.0.2.57", Some("192.0.2.0")),
            ("0.0.0.0", Some("0.0.0.0")),
            ("::ffff:192.0.2.57", Some("192.0.2.0")),
            ("2001:db8:85a3:8d3:1319:8a2e:370:7348", Some("2001:db8:85a3::")),
            ("2001:0DB8:0:0:0:0:0:1", Some("2001:db8::")),
            ("::1", Some("::")),
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
