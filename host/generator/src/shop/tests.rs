//! Properties of shop rows, read back field by field.

use std::collections::HashMap;

use super::super::{Generator, Kind, tests::text};
use super::*;

fn rows(options: &Options) -> Vec<Vec<String>> {
    text(options)
        .strip_prefix(&format!("{HEADER}\r\n"))
        .unwrap()
        .split_terminator("\r\n")
        .map(|line| line.split(';').map(str::to_owned).collect())
        .collect()
}

fn numbers(row: &[String]) -> [i64; 14] {
    assert_eq!(row.len(), 14);
    std::array::from_fn(|i| if i == at::MODEL { 0 } else { row[i].parse().unwrap() })
}

/// Every rule of the original's description, and the order of its rows.
#[test]
fn good_rows_keep_all_rules() {
    let rows = rows(&Options::new(Kind::Shop, 60_000, 3));
    assert_eq!(rows.len(), 60_000);
    let mut known: HashMap<String, Vec<String>> = HashMap::new();
    let mut before = [0; 14];
    for row in &rows {
        let now = numbers(row);
        let [year, month, day, order, country, session, category, _, rest @ ..] = now;
        let [colour, location, photography, _, above, page] = rest;
        let days = days_from_civil(year, month, day);
        assert_eq!(civil_from_days(days), (year, month, day));
        assert!((FIRST_DAY..FIRST_DAY + DAYS).contains(&days));
        assert!((1..=47).contains(&country) && (1..=14).contains(&colour));
        assert!((1..=6).contains(&location) && (1..=2).contains(&photography));
        assert!((1..=2).contains(&above) && (1..=5).contains(&page));
        assert_eq!(row[at::MODEL].as_bytes()[0], b"ABCP"[category as usize - 1]);

        let same_model = known.entry(row[at::MODEL].clone()).or_insert(row[8..].to_vec());
        assert_eq!(*same_model, row[8..]);
        if session == before[at::SESSION] {
            assert_eq!(order, before[at::ORDER] + 1);
            assert_eq!(now[..3], before[..3]);
            assert_eq!(country, before[at::COUNTRY]);
        } else {
            assert_eq!((session, order), (before[at::SESSION] + 1, 1));
            assert!(now[..3] >= before[..3]);
        }
        before = now;
    }
    assert_eq!(known.len(), 217);
    assert_eq!(numbers(&rows[0])[..3], [2008, 4, 1]);
    assert_eq!(before[..3], [2008, 8, 13]);
}

#[test]
fn price_2_says_whether_above_the_categorys_average() {
    let shop = Shop::new(&Options::new(Kind::Shop, 1, 1));
    for (models, _) in &shop.models {
        let mean = models.iter().map(|m| m.price as f64).sum::<f64>() / models.len() as f64;
        for model in models {
            assert_eq!(model.above_average == 1, model.price as f64 > mean);
        }
        assert!(models.iter().any(|m| m.above_average == 1));
        assert!(models.iter().any(|m| m.above_average == 2));
    }
}

/// The figures to meet are the original file's.
#[test]
fn shape_is_that_of_the_original() {
    let rows = rows(&Options::new(Kind::Shop, 165_474, 42));
    let rows: Vec<[i64; 14]> = rows.iter().map(|row| numbers(row)).collect();
    let share = |test: &dyn Fn(&[i64; 14]) -> bool| {
        rows.iter().filter(|row| test(row)).count() as f64 / rows.len() as f64
    };
    let near = |found: f64, wanted: f64, by: f64| {
        assert!((found - wanted).abs() < by, "{found} is not {wanted}");
    };
    let sessions = rows[rows.len() - 1][at::SESSION] as f64;
    near(rows.len() as f64 / sessions, 6.89, 0.35);
    near(share(&|row| row[at::ORDER] == 1) * 6.89, 1.0, 0.05);
    near(share(&|row| row[at::COUNTRY] == 29), 0.81, 0.03);
    near(share(&|row| row[at::MONTH] == 4), 0.29, 0.01);
    near(share(&|row| row[at::MONTH] == 8), 0.086, 0.01);
    near(share(&|row| row[at::CATEGORY] == 1), 0.30, 0.03);
    near(share(&|row| row[at::PAGE] == 1), 0.565, 0.05);
    near(share(&|row| row[at::PAGE] == 5), 0.017, 0.01);
}

#[test]
fn each_bad_kind_spoils_just_its_field() {
    let good = rows(&Options::new(Kind::Shop, 300, 5));
    for kind in BadKind::of(Kind::Shop) {
        let bad = format!("{kind}=100%").parse().unwrap();
        let mut generator = Generator::new(&Options { bad, ..Options::new(Kind::Shop, 300, 5) });
        for good in &good {
            let mut line = Vec::new();
            assert!(generator.next_record(&mut line));
            let text = String::from_utf8_lossy(&line);
            let fields: Vec<&str> = text.split(';').collect();
            let changed: Vec<usize> =
                (0..14).filter(|i| fields.get(*i) != Some(&good[*i].as_str())).collect();
            let n = |i: usize| fields[i].parse::<i64>();
            let right = match kind {
                BadKind::WrongFieldCount => fields.len() == 13 || fields.len() == 15,
                BadKind::NotANumber => [3, 5, 11].iter().any(|i| n(*i).is_err()),
                BadKind::UnknownCode => {
                    [4, 8, 9, 10].iter().any(|i| n(*i).is_ok_and(|code| code >= 90))
                }
                BadKind::BadDate => {
                    let (y, m, d) = (2008, n(1).unwrap(), n(2).unwrap());
                    civil_from_days(days_from_civil(y, m, d)) != (y, m, d)
                }
                BadKind::ModelCategoryMismatch => {
                    changed == [6] && (1..=4).contains(&n(6).unwrap())
                }
                BadKind::NegativePrice => changed == [11] && n(11).is_ok_and(|price| price < 0),
                BadKind::UnbalancedQuote => fields[7] == format!("\"{}", good[7]),
                BadKind::InvalidUtf8 => changed == [7] && std::str::from_utf8(&line).is_err(),
                _ => false,
            };
            assert!(right, "{kind}: {text}");
            assert!(changed.len() <= 2 && (fields.len() == 14 || changed.len() <= 1));
        }
        assert_eq!(generator.counts().bad(*kind), 300);
    }
}
