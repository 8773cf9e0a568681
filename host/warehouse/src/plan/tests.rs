use std::collections::BTreeMap;

use super::*;

const DAY: u64 = 172_800;

/// A file of so many bytes for each flush it holds.
fn file(path: Path, bytes: u64) -> ObjectMeta {
    ObjectMeta {
        location: path,
        last_modified: Default::default(),
        size: bytes,
        e_tag: None,
        version: None,
    }
}

fn folder(day: u64) -> Path {
    Path::from(format!("d/t/load_date={day:02}"))
}

fn flush(session: &str, number: u64, day: u64) -> ObjectMeta {
    let flushes = Flushes { session: session.to_owned(), first: number, last: number };
    file(flushes.in_table(&folder(day), &number.to_le_bytes()), 15_000)
}

fn packed(session: &str, first: u64, last: u64, day: u64) -> ObjectMeta {
    let flushes = Flushes { session: session.to_owned(), first, last };
    file(flushes.packed_in(&folder(day)), 15_000)
}

/// How far sessions are settled, as the files say.
fn settled(files: &[ObjectMeta], over: bool) -> impl Fn(&str) -> Settled {
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    for of in files.iter().filter_map(|file| Flushes::of(&file.location)) {
        let last = last.entry(of.session).or_default();
        *last = of.last.max(*last);
    }
    move |session| if over { Settled::All } else { Settled::Before(last[session]) }
}

/// A table's files as they are while merges are made.
#[derive(Default)]
struct Table(BTreeMap<Path, ObjectMeta>);

impl Table {
    fn add(&mut self, file: ObjectMeta) {
        assert!(self.0.insert(file.location.clone(), file).is_none());
    }

    /// Merges until nothing is left to merge, as [`Warehouse::compact`](super::super::Warehouse) does.
    fn settle(&mut self, over: bool) {
        loop {
            let files: Vec<ObjectMeta> = self.0.values().cloned().collect();
            let merges = plan(&files, &settled(&files, over));
            if merges.is_empty() {
                return;
            }
            for merge in merges {
                let of = Flushes::of(&merge.to).unwrap();
                // What holds sixteen flushes is not sixteen times as large as what holds one.
                let bytes = merge.from.iter().map(|file| file.size).sum::<u64>() / 8;
                for file in merge.from {
                    let part = Flushes::of(&file.location).unwrap();
                    assert!(of.first <= part.first && part.last <= of.last);
                    assert_eq!(file.location.parent(), merge.to.parent());
                    self.0.remove(&file.location).unwrap();
                }
                self.add(file(merge.to, bytes.max(15_000)));
            }
        }
    }

    /// How many files a day's folder has.
    fn of_day(&self, day: u64) -> usize {
        self.0.keys().filter(|path| path.prefix_matches(&folder(day))).count()
    }

    /// Each flush from 0 on is in one file.
    fn holds(&self, session: &str, flushes: u64) {
        let of = self.0.keys().filter_map(Flushes::of).filter(|of| of.session == session);
        let mut ranges: Vec<(u64, u64)> = of.map(|of| (of.first, of.last)).collect();
        ranges.sort_unstable();
        let mut next = 0;
        for (first, last) in ranges {
            assert_eq!(first, next, "{session}");
            next = last + 1;
        }
        assert_eq!(next, flushes, "{session}");
    }
}

#[test]
fn thirty_days_of_two_processes_are_a_hundred_files_a_day_at_most() {
    let mut table = Table::default();
    // One whose flushes are files at once, one whose log is packed.
    let mut most = 0;
    for day in 0..30 {
        for chunk in 0..DAY / 64 {
            let first = day * DAY + chunk * 64;
            for number in first..first + 64 {
                table.add(flush("s1", number, day));
            }
            for number in (first..first + 64).step_by(32) {
                table.add(packed("s2", number, number + 31, day));
            }
            // Often enough, and not at each flush, to keep the test short.
            if chunk % 16 == 15 || chunk == DAY / 64 - 1 {
                table.settle(false);
            }
        }
        most = most.max(table.of_day(day));
        table.holds("s1", (day + 1) * DAY);
        table.holds("s2", (day + 1) * DAY);
    }
    // While the day goes on, too.
    assert!(most <= 100, "{most}");
    for day in 0..30 {
        assert!(table.of_day(day) <= 100, "day {day}: {}", table.of_day(day));
    }
    table.settle(true);
    for day in 0..30 {
        assert!(table.of_day(day) <= 2, "day {day}: {}", table.of_day(day));
    }
}

#[test]
fn what_versions_before_have_left_is_merged_where_its_session_is_over() {
    let mut table = Table::default();
    // Packs that begin and end anywhere, with large flushes between, and one that was not.
    for first in (0..DAY).step_by(27) {
        table.add(packed("0123456789abcdef", first, (first + 26).min(DAY - 1), 1));
    }
    table.add(flush("0123456789abcdef", 40, 1));
    table.settle(false);
    assert!(table.of_day(1) > 6000);
    table.settle(true);
    assert!(table.of_day(1) <= 50, "{}", table.of_day(1));
}

#[test]
fn nothing_is_merged_before_it_is_whole() {
    let flushes = |numbers: &mut dyn Iterator<Item = u64>| -> Vec<ObjectMeta> {
        numbers.map(|number| flush("s", number, 0)).collect()
    };
    let merges = |files: &[ObjectMeta]| plan(files, &settled(files, false));
    // The flush after the block tells that the last one of it is settled.
    assert_eq!(merges(&flushes(&mut (0..16))), []);
    assert_eq!(merges(&flushes(&mut (0..17)))[0].from.len(), 16);
    // One is not there yet.
    assert_eq!(merges(&flushes(&mut (0..17).filter(|number| *number != 7))), []);
    // Two tries of one flush are merged with the others.
    let mut twice = flushes(&mut (0..17));
    let of = Flushes { session: "s".to_owned(), first: 3, last: 3 };
    twice.push(file(of.in_table(&folder(0), b"another"), 1));
    assert_eq!(merges(&twice)[0].from.len(), 17);
    // Over midnight there are two, and what is large stays as it is.
    let mut midnight = flushes(&mut (0..10));
    midnight.extend((10..17).map(|number| flush("s", number, 1)));
    let to: Vec<String> =
        merges(&midnight).iter().map(|merge| merge.to.filename().unwrap().to_owned()).collect();
    assert_eq!(to, ["live-s-0-9-all.parquet", "live-s-10-15-all.parquet"]);
    let mut large = flushes(&mut (0..17));
    large[3].size = LARGE_BYTES;
    assert_eq!(merges(&large), []);
}

/// Whoever plans from whatever part of the files it has seen, no two merges overlap in part.
#[test]
fn merges_of_any_two_are_within_each_other_or_apart() {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    let mut seen = Table::default();
    let mut late = Table::default();
    for number in 0..2000 {
        let day = number / 700;
        seen.add(flush("s", number, day));
        late.add(flush("s", number, day));
        for (table, often) in [(&mut seen, 37), (&mut late, 301)] {
            if number % often == 0 {
                let files: Vec<ObjectMeta> = table.0.values().cloned().collect();
                for merge in plan(&files, &settled(&files, false)) {
                    let of = Flushes::of(&merge.to).unwrap();
                    ranges.push((of.first, of.last));
                }
                table.settle(false);
            }
        }
    }
    for (first, last) in &ranges {
        for (start, end) in &ranges {
            let apart = last < start || end < first;
            let within = (start <= first && last <= end) || (first <= start && end <= last);
            assert!(apart || within, "{first}-{last} and {start}-{end}");
        }
    }
    assert!(ranges.len() > 50);
}
