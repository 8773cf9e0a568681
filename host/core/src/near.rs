//! What a misspelt name may be meant for.

/// How like each other two names are, of 1, where one may be a slip of the other.
const LIKE: f64 = 0.85;

/// Of these names the one that is most like a name, where it may be a slip of it.
pub fn near<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let names = names.into_iter().map(|other| (strsim::jaro(name, other), other));
    let near = names.filter(|(likeness, _)| *likeness > LIKE);
    let nearest = near.max_by(|(a, one), (b, other)| a.total_cmp(b).then(other.cmp(one)));
    nearest.map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_near_what_is_meant() {
        let names = ["event_date", "event_timestamp", "event_type", "ip", "user_id"];
        for (name, wanted) in [
            ("event_typ", Some("event_type")),
            ("evnet_date", Some("event_date")),
            ("user_idd", Some("user_id")),
            ("ipp", Some("ip")),
            ("country", None),
            ("", None),
        ] {
            assert_eq!(near(name, names), wanted, "{name}");
        }
        assert_eq!(near("ip", []), None);
    }
}
