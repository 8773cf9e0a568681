//! Guests that make several rows of one.

use arrow::array::{Array, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use wasm_encoder::{BlockType, InstructionSink, MemArg};

use super::*;
use crate::change::{Change, NewComponent};
use crate::engine::Engine;
use crate::error::PluginError;
use crate::library::Library;
use crate::secrets::Secrets;
use crate::testing::{Body, CONTRACT_WIT, World, batch_of_numbers as batch, engine};
use clickmill_config::{Limits, Plugin};
use clickmill_core::batch::{Position, Reason};

/// Where the guest puts where its rows came from.
const CAME_FROM: i32 = 1 << 17;
/// What `process` is given: how many rows there are, and one that is used for counting.
const ROWS: u32 = 4;
const COUNT: u32 = 0;

fn word(offset: u64) -> MemArg {
    MemArg { offset, align: 2, memory_index: 0 }
}

fn put(body: &mut InstructionSink<'_>, at: i32, value: i32) {
    body.i32_const(at).i32_const(value).i32_store(word(0));
}

/// Says that it makes several rows of one.
fn multiplies(body: &mut InstructionSink<'_>) {
    put(body, 28, 1);
}

/// Makes two rows of each.
fn doubles(body: &mut InstructionSink<'_>) {
    body.block(BlockType::Empty).loop_(BlockType::Empty);
    body.local_get(COUNT).local_get(ROWS).i32_ge_u().br_if(1);
    for half in [0, 4] {
        body.local_get(COUNT).i32_const(3).i32_shl().local_get(COUNT);
        body.i32_store(word(CAME_FROM as u64 + half));
    }
    body.local_get(COUNT).i32_const(1).i32_add().local_set(COUNT).br(0).end().end();
    put(body, 4, 1);
    put(body, 8, CAME_FROM);
    body.i32_const(12).local_get(ROWS).i32_const(1).i32_shl().i32_store(word(0));
}

/// The same, of one row at a time.
fn doubles_alone(body: &mut InstructionSink<'_>) {
    body.i32_const(0).local_set(COUNT);
    body.local_get(ROWS).i32_const(1).i32_gt_u().if_(BlockType::Empty).unreachable().end();
    doubles(body);
}

fn starts_at_none(body: &mut InstructionSink<'_>) {
    body.i32_const(0).local_set(COUNT);
    doubles(body);
}

/// Drops the second of the rows.
fn drops_second(body: &mut InstructionSink<'_>) {
    put(body, CAME_FROM, 1);
    put(body, 32, CAME_FROM);
    put(body, 36, 1);
}

type Does = fn(&mut InstructionSink<'_>);

fn component((configure, process): &(Does, Does)) -> NewComponent {
    let bodies: [Body<'_>; 2] = [("configure", configure), ("process", process)];
    let bytes = World::parse(CONTRACT_WIT).unwrap().component(&bodies).into();
    NewComponent { path: "guest".into(), bytes, signature: None }
}

fn library(engine: &Engine, stages: &[(Does, Does)]) -> Result<Library, PluginError> {
    library_within(engine, stages, Limits::default())
}

fn library_within(
    engine: &Engine,
    stages: &[(Does, Does)],
    limits: Limits,
) -> Result<Library, PluginError> {
    let stages = stages.iter().enumerate().map(|(at, does)| {
        let plugin = Plugin::named(format!("guest{at}").parse().unwrap());
        (Plugin { limits, ..plugin }, component(does), Vec::new())
    });
    Library::from_components(engine, stages.collect::<Vec<_>>())
}

fn configured(library: &Library) -> Result<Chain, PluginError> {
    library.configure(&batch(1).columns.schema(), &Secrets::new())
}

fn chain(engine: &Engine, stages: &[(Does, Does)]) -> Result<Chain, PluginError> {
    configured(&library(engine, stages)?)
}

fn run(stages: &[(Does, Does)], rows: usize) -> Processed {
    let (_folder, engine) = engine();
    ChainWorker::new(&chain(&engine, stages).unwrap()).run(batch(rows)).unwrap()
}

fn nothing(_: &mut InstructionSink<'_>) {}

/// Lines, places and what the column says, by row.
fn rows(processed: &Processed) -> Vec<(Position, u64, i64)> {
    let origins = &processed.batch.origins;
    let numbers = processed.batch.columns.column(0).as_primitive::<Int64Type>();
    let row = |row| (origins.position(row), origins.record_index(row), numbers.value(row));
    (0..processed.batch.rows()).map(row).collect()
}

#[test]
fn a_row_becomes_two_and_each_of_them_two_with_places_of_their_own() {
    let two: (Does, Does) = (multiplies, starts_at_none);
    let processed = run(&[two, (nothing, nothing), two], 2);
    let row = |line, place, number| (Position::Line(line), place, number);
    let wanted = [
        row(1, 0, 0),
        row(1, 10_000, 0),
        row(1, 1, 0),
        row(1, 10_001, 0),
        row(2, 0, 1),
        row(2, 10_000, 1),
        row(2, 1, 1),
        row(2, 10_001, 1),
    ];
    assert_eq!(rows(&processed), wanted);
    let counts = RecordCounts { with_rows: 2, ..RecordCounts::default() };
    assert_eq!(processed.records, counts);
}

/// A message of many events is in memory once.
#[test]
fn the_rows_of_a_record_share_its_text() {
    let (_folder, engine) = engine();
    let two: (Does, Does) = (multiplies, starts_at_none);
    let mut worker = ChainWorker::new(&chain(&engine, &[two, two]).unwrap());
    let mut batch = batch(3);
    let texts: StringArray =
        ["a".repeat(1000), String::new(), "c".repeat(1000)].into_iter().map(Some).collect();
    let bytes = texts.values().as_ptr();
    let (payload, texts): (Field, ArrayRef) =
        (Field::new("payload", DataType::Utf8, false), Arc::new(texts));
    batch.set_columns(vec![(payload, texts)]).unwrap();
    let processed = worker.run(batch).unwrap();
    let payload = processed.batch.columns.column_by_name("payload").unwrap();
    let shared = payload.as_any_dictionary();
    assert_eq!(shared.values().as_string::<i32>().values().as_ptr(), bytes);
    assert!(payload.get_array_memory_size() < 6000, "{}", payload.get_array_memory_size());
    let plain = cast(payload, &DataType::Utf8).unwrap();
    let lengths: Vec<usize> = plain.as_string::<i32>().iter().flatten().map(str::len).collect();
    assert_eq!(lengths, [[1000; 4], [0; 4], [1000; 4]].concat());
}

/// As they were before an earlier stage masked them: a megabyte stays a megabyte, however many events it becomes.
#[test]
fn the_rows_of_a_record_share_its_raw_values() {
    let (_folder, engine) = engine();
    let [two, second]: [(Does, Does); 2] = [(multiplies, starts_at_none), (nothing, drops_second)];
    let mut worker = ChainWorker::new(&chain(&engine, &[two, second, two]).unwrap());
    let raw: ArrayRef = Arc::new(StringArray::from(vec!["a".repeat(1000), "b".repeat(1000)]));
    let bytes = raw.as_string::<i32>().values().as_ptr();
    let mut underway = Underway::begin(batch(2)).unwrap();
    underway.raw = vec![RawColumn::new("user_id", raw)];
    let processed = worker.go_on(0, underway, |_, _, _| {}).unwrap().end().unwrap();
    let raw = processed.raw[0].leaves().next().unwrap();
    let values = raw.values.as_string::<i32>();
    assert_eq!((values.values().as_ptr(), values.len()), (bytes, 2));
    let numbers = processed.batch.columns.column(0).as_primitive::<Int64Type>();
    assert_eq!((raw.rows(), numbers.len()), (6, 6));
    for (row, number) in numbers.values().iter().enumerate() {
        assert_eq!(raw.of_row(row), *number as usize..*number as usize + 1);
    }
}

/// What a row of many has of its record's text is a number, unless somebody has to write it out.
#[test]
fn a_text_that_nobody_wants_counts_once_however_many_rows_share_it() {
    let (_folder, engine) = engine();
    let two: (Does, Does) = (multiplies, starts_at_none);
    let limits = Limits { max_output_bytes: 1 << 19, ..Limits::default() };
    let library = library_within(&engine, &[two, two], limits).unwrap();
    let run = |chain: Chain| {
        let mut batch = batch(3);
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["a".repeat(100_000); 3]));
        batch.set_columns(vec![(Field::new("payload", DataType::Utf8, false), texts)]).unwrap();
        let processed = ChainWorker::new(&chain).run(batch).unwrap();
        let reasons = processed.rejected.into_iter().map(|letter| letter.reason);
        (reasons.collect::<Vec<_>>(), processed.batch.rows())
    };
    let chain = || configured(&library).unwrap();
    assert_eq!(run(chain().wanting(std::iter::empty())), (vec![], 12));
    for wanted in [chain(), chain().wanting(["payload"].into_iter())] {
        let (reasons, _) = run(wanted);
        assert!(!reasons.is_empty(), "all of it has room");
        for Reason { code, message, .. } in &reasons {
            assert_eq!(code, "plugin_output_too_large");
            let (bytes, room) = message
                .split_once("made rows of ")
                .and_then(|(_, told)| told.split_once(" bytes, with what is repeated for each of"))
                .and_then(|(bytes, told)| Some((bytes, told.split_once("room for ")?.1)))
                .and_then(|(bytes, told)| Some((bytes, told.split_once(':')?.0)))
                .unwrap_or_else(|| panic!("{message}"));
            let [bytes, room] = [bytes, room].map(|number| number.parse::<usize>().unwrap());
            assert!(bytes > 200_000 && room < bytes, "{message}");
        }
    }
}

/// However a batch is split, the rows are the same.
#[test]
fn places_do_not_depend_on_how_a_batch_is_split() {
    let (two, alone): ((Does, Does), (Does, Does)) =
        ((multiplies, starts_at_none), (multiplies, doubles_alone));
    let whole = run(&[two, two], 7);
    assert_eq!(rows(&whole), rows(&run(&[two, alone], 7)));
    assert_eq!(rows(&whole), rows(&run(&[alone, alone], 7)));
    assert_eq!(rows(&whole).len(), 28);
}

#[test]
fn a_row_that_is_dropped_leaves_the_others_their_places() {
    let processed = run(&[(multiplies, starts_at_none), (nothing, drops_second)], 1);
    assert_eq!(rows(&processed), [(Position::Line(1), 0, 0)]);
    assert_eq!((processed.filtered, processed.records.with_rows), (1, 1));
    let second = (multiplies as Does, starts_at_none as Does);
    let processed = run(&[(multiplies, starts_at_none), (nothing, drops_second), second], 1);
    let places: Vec<u64> = rows(&processed).iter().map(|(_, place, _)| *place).collect();
    assert_eq!(places, [0, 10_000]);
}

/// The place of a row has digits for four stages.
#[test]
fn a_chain_has_so_many_stages_that_make_several_rows_of_one() {
    let (_folder, engine) = engine();
    let two: (Does, Does) = (multiplies, starts_at_none);
    assert!(chain(&engine, &[two; 4]).is_ok());
    let told = chain(&engine, &[two; 5]).err().unwrap().to_string();
    assert!(told.contains("a chain may have 4 such stages"), "{told}");
}

#[test]
fn rows_that_came_of_a_row_are_refused_each_with_its_place() {
    let fails: Does = |body| {
        body.unreachable();
    };
    let processed = run(&[(multiplies, starts_at_none), (nothing, fails)], 2);
    let letters: Vec<_> = processed
        .rejected
        .iter()
        .map(|letter| (letter.position.clone(), letter.record_index))
        .collect();
    let line = Position::Line;
    assert_eq!(letters, [(line(1), 0), (line(1), 1), (line(2), 0), (line(2), 1)]);
    let counts = RecordCounts { with_letters_only: 2, ..RecordCounts::default() };
    assert_eq!(processed.records, counts);
}

#[test]
fn a_plugin_that_did_not_say_that_it_makes_several_rows_makes_none() {
    let processed = run(&[(nothing, starts_at_none)], 1);
    assert_eq!(processed.rejected[0].reason.code, "plugin_bad_output");
}

/// As where a set is tried that differs in one stage.
#[test]
fn stages_that_two_chains_begin_with_are_run_once_for_both() {
    let (_folder, engine) = engine();
    let two: (Does, Does) = (multiplies, starts_at_none);
    let library = library(&engine, &[two, (nothing, nothing), two]).unwrap();
    let change = Change {
        stage: "guest1".to_owned(),
        component: Some(component(&(nothing, drops_second))),
        ..Change::default()
    };
    let changed = library.with(vec![change]).unwrap();
    let chains = [&library, &changed].map(|library| configured(library).unwrap());
    let [mut one, mut other] = chains.each_ref().map(ChainWorker::rehearsing);
    let both = one.run_both(&mut other, batch(3)).unwrap();
    let told = |(processed, counts): &(Processed, Vec<StageCounts>)| {
        let counts = counts.iter();
        let counts = counts.map(|c| (c.rows_in, c.rows_made, c.filtered, c.faults, c.fuel));
        (rows(processed), processed.filtered, processed.records, counts.collect::<Vec<_>>())
    };
    for (both, chain) in both.iter().zip(&chains) {
        let mut alone = ChainWorker::rehearsing(chain);
        let processed = alone.run(batch(3)).unwrap();
        assert_eq!(told(both), told(&(processed, alone.take_counts())));
    }
    assert_ne!(rows(&both[0].0), rows(&both[1].0));
    let has_run = |worker: &ChainWorker| {
        let memory = worker.stages.iter().map(|(stage, _)| stage.most_memory);
        memory.map(|memory| memory > 0).collect::<Vec<_>>()
    };
    assert_eq!(has_run(&one), [true, true, true]);
    assert_eq!(has_run(&other), [false, true, true]);
}

#[test]
fn chains_that_begin_otherwise_share_no_stage() {
    let (_folder, engine) = engine();
    let library = library(&engine, &[(nothing, nothing), (nothing, nothing)]).unwrap();
    let change = Change {
        stage: "guest0".to_owned(),
        component: Some(component(&(nothing, drops_second))),
        ..Change::default()
    };
    let changed = library.with(vec![change]).unwrap();
    let [chain, changed] = [&library, &changed].map(|library| configured(library).unwrap());
    let [one, other] = [&chain, &changed].map(ChainWorker::rehearsing);
    assert!(!one.does_as(&other, 0, &batch(3)));
    assert!(one.does_as(&other, 1, &batch(3)), "by itself the second is the same");
    assert!(!one.does_as(&one, 2, &batch(3)), "there is none");
}
