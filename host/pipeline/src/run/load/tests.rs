use bytes::Bytes;

use super::*;
use clickmill_core::batch::{Position, Reason};
use clickmill_core::stage;

/// Rows that the table says only at the end of a load that it does not take.
fn refused(lines: std::ops::RangeInclusive<u64>) -> Vec<Rejected> {
    let refused = |line| Rejected {
        source: "clicks.csv@1".into(),
        header: None,
        position: Position::Line(line),
        record_index: 0,
        payload: Bytes::from("a record"),
        stage: stage::SINK.parse().unwrap(),
        plugin_digest: None,
        plugin_set: Digest::of(b"set"),
        reason: Reason {
            code: "refused_by_table".to_owned(),
            message: "no such partition".to_owned(),
            column: None,
        },
        ingest_time: Micros::default(),
    };
    lines.map(refused).collect()
}

/// Counts a load of batches of ten lines, of which the table refuses `lines` at its end. Returns how
/// many letters are written, and the verdict.
fn ends(
    judge: &mut Judge,
    batches: u64,
    lines: std::ops::RangeInclusive<u64>,
) -> (u64, Result<(), TooManyRejected>) {
    let mut counts = Counts { rows_in: batches * 10, ..Counts::default() };
    counts.rows_out = counts.rows_in;
    counts.rows_by_table = vec![counts.rows_in];
    judge.begin();
    for batch in 1..=batches {
        assert_eq!(judge.count(10, 0, Some(Position::Line(batch * 10))), Ok(()));
    }
    let mut letters = 0;
    let write = |refused: &[Rejected]| {
        letters = refused.len() as u64;
        Ok(())
    };
    let found = late_refusals(&[refused(lines)], judge, &mut counts, write).unwrap();
    assert_eq!(counts.rows_in, counts.rows_out + counts.rows_rejected);
    assert_eq!(counts.rows_by_table, [counts.rows_out]);
    (letters, found.map_or_else(|| judge.end(), Err))
}

#[test]
fn rows_that_the_table_refuses_late_end_a_load_as_those_refused_at_once() {
    let too_many = |rejected, rows| Err(TooManyRejected { rejected, rows, max_share: 0.5 });
    let judge = || Judge::by(clickmill_dead_letter::StopRule::new(0.5, 100));
    // All of a short load.
    assert_eq!(ends(&mut judge(), 2, 1..=20), (20, too_many(20, 20)));
    // All that a long load has in the window, though few of the whole.
    assert_eq!(ends(&mut judge(), 100, 401..=500), (100, too_many(60, 100)));
    // As many, but never half of a window.
    let mut judge = judge();
    assert_eq!(ends(&mut judge, 100, 401..=440), (40, Ok(())));
    // An object is judged by itself, whatever came before.
    assert_eq!(ends(&mut judge, 4, 1..=20), (20, Ok(())));
    assert_eq!(ends(&mut judge, 2, 1..=20), (20, too_many(20, 20)));
}
