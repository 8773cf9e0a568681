//! Properties that all generators share.

use super::*;

/// The whole stream, which must be UTF-8.
pub(super) fn text(options: &Options) -> String {
    String::from_utf8(bytes(options)).unwrap()
}

fn bytes(options: &Options) -> Vec<u8> {
    let mut bytes = Vec::new();
    Generator::new(options).read_to_end(&mut bytes).unwrap();
    bytes
}

fn mixed(kind: Kind, seed: u64) -> Options {
    Options { bad: "10%".parse().unwrap(), ..Options::new(kind, 5_000, seed) }
}

const KINDS: [Kind; 3] = [Kind::Shop, Kind::Clicks, Kind::Events];

#[test]
fn kinds_read_as_they_are_written() {
    for kind in KINDS {
        assert_eq!(kind.to_string().parse(), Ok(kind));
    }
    assert_eq!(
        "shops".parse::<Kind>().unwrap_err().to_string(),
        "unknown generator `shops`: generators are `shop`, `clicks`, `events`"
    );
}

#[test]
fn same_options_give_same_bytes_and_other_seeds_others() {
    for kind in KINDS {
        assert!(bytes(&mixed(kind, 1)) == bytes(&mixed(kind, 1)));
        assert!(bytes(&mixed(kind, 1)) != bytes(&mixed(kind, 2)));
    }
}

/// Pinned: files that others made with this version stay the same. Change it knowingly.
#[test]
fn bytes_are_the_same_on_every_machine() {
    for (kind, expected) in
        [(Kind::Shop, 16_222_639_727_400_687_648), (Kind::Clicks, 18_308_598_190_158_309_292)]
    {
        let hash = bytes(&mixed(kind, 42))
            .iter()
            .fold(0_u64, |hash, byte| dice::mix(hash ^ u64::from(*byte)));
        assert_eq!(hash, expected, "{kind}");
    }
}

#[test]
fn rows_are_good_plus_bad_and_as_many_as_asked_for() {
    for kind in KINDS {
        for rows in [0, 1, 4_321] {
            let options = Options { rows, ..mixed(kind, 3) };
            let mut generator = Generator::new(&options);
            let mut bytes = Vec::new();
            generator.read_to_end(&mut bytes).unwrap();
            let lines = bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
            assert_eq!(lines, rows + u64::from(generator.header().is_some()));
            assert_eq!(generator.counts().total(), rows);
        }
    }
}

#[test]
fn bad_share_is_kept_to() {
    for kind in KINDS {
        let mut generator = Generator::new(&Options { rows: 50_000, ..mixed(kind, 3) });
        let mut line = Vec::new();
        while generator.next_record(&mut line) {
            line.clear();
        }
        let bad = generator.counts().bad_total();
        assert!((4_700..5_300).contains(&bad), "{kind}: {bad}");
    }
}

#[test]
fn spoiling_some_records_leaves_the_others_alone() {
    for kind in KINDS {
        let mut spoiled = Generator::new(&mixed(kind, 9));
        let mut whole = Generator::new(&Options { bad: BadShares::default(), ..mixed(kind, 9) });
        let (mut one, mut other) = (Vec::new(), Vec::new());
        let mut different = 0;
        while spoiled.next_record(&mut one) && whole.next_record(&mut other) {
            different += u64::from(one != other);
            one.clear();
            other.clear();
        }
        assert_eq!(different, spoiled.counts().bad_total());
        assert_eq!(whole.counts().good(), 5_000);
    }
}

#[test]
fn small_reads_and_records_give_the_same_bytes() {
    for kind in KINDS {
        let expected = bytes(&mixed(kind, 4));
        let mut generator = Generator::new(&mixed(kind, 4));
        let mut found = Vec::new();
        let mut chunk = [0; 7];
        loop {
            match generator.read(&mut chunk).unwrap() {
                0 => break,
                n => found.extend_from_slice(&chunk[..n]),
            }
        }
        assert!(found == expected);

        let mut generator = Generator::new(&mixed(kind, 4));
        let end = generator.line_end();
        let mut found = generator.header().map(str::as_bytes).unwrap_or_default().to_vec();
        if !found.is_empty() {
            found.extend_from_slice(end);
        }
        while generator.next_record(&mut found) {
            found.extend_from_slice(end);
        }
        assert!(found == expected);
    }
}
