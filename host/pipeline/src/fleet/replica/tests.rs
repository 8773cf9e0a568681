use super::*;

#[test]
fn who_gives_no_sign_for_a_while_is_gone_by_the_clock_of_who_looks() {
    let mut sightings = Sightings::default();
    let (began, gone) = (Instant::now(), Duration::from_secs(3));
    let mut see = |secs: u64, signs: &[(&str, u64)]| {
        let sign = |(name, number): &(&str, u64)| {
            ((*name).to_owned(), Sign { number: *number, at: Micros::default() })
        };
        let signs = signs.iter().map(sign).collect();
        let (live, forgotten) = sightings.see(signs, began + Duration::from_secs(secs), gone);
        (live.into_iter().collect::<Vec<_>>().join(" "), forgotten)
    };
    // The first that is seen of anyone may be old: it counts from then on.
    assert_eq!(see(0, &[("a", 7), ("b", 1)]).0, "a b");
    assert_eq!(see(2, &[("a", 7), ("b", 2)]).0, "a b");
    assert_eq!(see(3, &[("a", 7), ("b", 2)]).0, "b");
    assert_eq!(see(4, &[("a", 8), ("b", 3)]).0, "a b");
    // An older one that was left behind is no sign.
    assert_eq!(see(7, &[("a", 6), ("b", 4)]).0, "b");
    // It ended, and what is left of another is removed after an hour.
    assert_eq!(see(8, &[("b", 4)]).0, "b");
    assert_eq!(see(3608, &[("b", 4), ("c", 1)]), ("c".to_owned(), vec!["b".to_owned()]));
}
