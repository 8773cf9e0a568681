use super::*;
use clickmill_core::Micros;

/// A sign of a replica: its number, and the second of the store.
type Signs<'a> = &'a [(&'a str, u64, i64)];

/// Looks of whoever watches, each at a second of theirs. Who is gone, and whether that is sure.
fn looks<const N: usize>(looks: [(u64, Signs<'_>); N]) -> [(String, bool); N] {
    let (began, gone) = (Instant::now(), Duration::from_secs(15));
    let mut watch = Watch::default();
    looks.map(|(secs, signs)| {
        let sign = |(name, number, at): &(&str, u64, i64)| {
            let at = Micros::from(at * 1_000_000);
            ((*name).to_owned(), Sign { number: *number, at })
        };
        let signs = signs.iter().map(sign).collect();
        let (ages, is_sure) = watch.ages(&signs, began + Duration::from_secs(secs), gone);
        let of_gone = ages.into_iter().filter(|(_, age)| *age >= gone).map(|(name, _)| name);
        (of_gone.collect::<Vec<_>>().join(" "), is_sure)
    })
}

#[test]
fn who_is_silent_beside_one_that_is_not_is_gone() {
    let told = looks([(0, &[("a", 7, 1000), ("b", 3, 1004)])]);
    assert_eq!(told, [(String::new(), true)], "nobody is");
    let told = looks([
        (0, &[("a", 7, 900), ("b", 3, 1004)]),
        (5, &[("a", 7, 900), ("b", 4, 1009)]),
        (6, &[("a", 7, 900), ("b", 4, 1009)]),
    ]);
    assert_eq!(told, [("a".to_owned(), false), ("a".to_owned(), true), ("a".to_owned(), true)]);
}

#[test]
fn a_sign_from_the_future_of_one_that_is_gone_makes_no_other_gone() {
    const TOMORROW: i64 = 87_400;
    let told = looks([
        (0, &[("a", 7, 1000), ("b", 3, 1004), ("dead", 9, TOMORROW)]),
        (5, &[("a", 8, 1005), ("b", 4, 1009), ("dead", 9, TOMORROW)]),
        (15, &[("a", 10, 1015), ("b", 6, 1019), ("dead", 9, TOMORROW)]),
        // One more that ends later is gone too.
        (31, &[("a", 13, 1030), ("b", 6, 1019), ("dead", 9, TOMORROW)]),
        (40, &[("a", 15, 1040), ("b", 6, 1019), ("dead", 9, TOMORROW)]),
    ]);
    assert!(!told[0].1 && !told[1].1);
    assert_eq!(told[2], ("dead".to_owned(), true));
    assert_eq!(told[3], ("b dead".to_owned(), true));
    assert_eq!(told[4], ("b dead".to_owned(), true));
}

#[test]
fn where_all_fall_silent_the_watch_ends() {
    let signs = &[("a", 7, 900), ("b", 3, 1004)];
    let told = looks([(0, signs), (10, signs), (15, signs)]);
    assert_eq!(
        told.map(|(gone, is_sure)| (gone.len(), is_sure)),
        [(1, false), (1, false), (3, true)]
    );
}
