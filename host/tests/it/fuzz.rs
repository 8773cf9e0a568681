//! Inputs that the fuzz targets keep, and others made of them: many, and the same ones each time.
//! `host/fuzz/run` goes on from there, led by what each input reaches, for as long as one likes.

use std::collections::BTreeSet;
use std::fs;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::support::root;

/// Inputs that are made for each target: some twenty seconds of them.
const GUEST_ANSWERS: u64 = 1_000_000;
const PIPELINE_FILES: u64 = 50_000;
const ADMIN_REQUESTS: u64 = 150_000;

/// Bytes of another input that are put into one, at most.
const MAX_PIECE: usize = 64;

#[test]
fn of_whatever_a_guest_answers_only_what_was_announced_is_taken() {
    feed("guest_answers", GUEST_ANSWERS, clickmill_sandbox::fuzz::guest_answer);
}

#[test]
fn whatever_a_pipeline_file_holds_it_is_a_pipeline_or_an_error_that_says_where() {
    feed("pipeline_files", PIPELINE_FILES, clickmill_config::fuzz::pipeline_file);
}

#[test]
fn whatever_is_asked_of_the_admin_interface_nobody_is_let_in_without_a_token() {
    feed("admin_requests", ADMIN_REQUESTS, clickmill_admin::fuzz::request);
}

#[test]
fn each_target_has_inputs_that_are_kept_and_a_test() {
    let names = |folder: &str| -> BTreeSet<String> {
        let entries = fs::read_dir(root().join("host/fuzz").join(folder)).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect()
    };
    let tested = ["admin_requests", "guest_answers", "pipeline_files"].map(str::to_owned);
    assert_eq!(names("fuzz_targets"), BTreeSet::from(tested.clone()));
    assert_eq!(names("corpus"), BTreeSet::from(tested));
}

/// Gives a target what is kept for it, then inputs that are made of that. It panics where something is
/// wrong, and else says whether an input was taken.
fn feed(target: &str, made: u64, give: fn(&[u8]) -> bool) {
    let kept = kept(target);
    let give = |input: &[u8]| {
        let shown = Shown(input);
        let taken = give(shown.0);
        u64::from(taken)
    };
    let taken: u64 = kept.iter().map(|input| give(input)).sum();
    assert!((1..kept.len() as u64).contains(&taken), "{taken} of {} were taken", kept.len());

    let mut dice = ChaCha8Rng::seed_from_u64(13);
    let taken: u64 = (0..made).map(|_| give(&changed(&mut dice, &kept))).sum();
    // Else nothing was looked at but how they are refused, or the other way round.
    assert!((made / 1000..made).contains(&taken), "{taken} of {made} were taken");
}

/// What is kept for a target, by name.
fn kept(target: &str) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(root().join("host/fuzz/corpus").join(target)).unwrap();
    let paths: BTreeSet<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// An input of which some bytes are others, missing, there twice, or from another input.
fn changed(dice: &mut ChaCha8Rng, kept: &[Vec<u8>]) -> Vec<u8> {
    let mut input = kept[dice.random_range(0..kept.len())].clone();
    for _ in 0..dice.random_range(1..=4) {
        let at = dice.random_range(0..=input.len());
        let end = (at + dice.random_range(0..=16)).min(input.len());
        match dice.random_range(0..5) {
            0 if at < input.len() => input[at] = dice.random(),
            1 if at < input.len() => input[at] ^= 1_u8 << dice.random_range(0..8_u32),
            2 => drop(input.drain(at..end)),
            3 => {
                let again = input[at..end].to_vec();
                drop(input.splice(at..at, again));
            }
            _ => {
                let other = &kept[dice.random_range(0..kept.len())];
                let from = dice.random_range(0..=other.len());
                let to = (from + dice.random_range(0..=MAX_PIECE)).min(other.len());
                drop(input.splice(at..end, other[from..to].iter().copied()));
            }
        }
    }
    input
}

/// An input that is told where it makes the target panic.
struct Shown<'a>(&'a [u8]);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the input is b\"{}\"", self.0.escape_ascii());
        }
    }
}
