//! Guests that fail on purpose, each at some limit: whatever they do ends, costs what was granted, and is
//! told by its code. Guests in Rust that do the same, with what the operator reads: `tests/it/hostile.rs`.

use std::collections::BTreeMap;

use wasm_encoder::{BlockType, InstructionSink, MemArg};

use crate::chain::{Chain, ChainWorker, Processed};
use crate::change::NewComponent;
use crate::counts::StageCounts;
use crate::engine::Engine;
use crate::error::PluginError;
use crate::library::Library;
use crate::lookup::LookupFile;
use crate::secrets::Secrets;
use crate::testing::{Body, CONTRACT_WIT, World, batch_of_numbers as batch, engine};
use clickmill_config::{InstanceLife, Limits, Plugin};

/// The imports of the world, by number.
const WRITE: u32 = 0;
const UNREADABLE: u32 = 1;
const FIND: u32 = 2;

/// So little that a test is over soon.
const LIMITS: Limits = Limits {
    max_memory_bytes: 1 << 20,
    max_fuel_per_record: 20_000,
    max_fuel_per_kib: 0,
    max_fuel_per_batch: 1_000_000,
    max_call_secs: 30,
    max_rows_per_record: 1000,
    max_output_bytes: 1 << 20,
    max_message_bytes: 1024,
    max_log_lines: 16,
};

/// The chain of a guest that does something in one of its exports.
fn chain(engine: &Engine, body: Body<'_>, plugin: Plugin) -> Result<Chain, PluginError> {
    let bytes = World::parse(CONTRACT_WIT).unwrap().component(&[body]);
    let component = NewComponent { path: "guest".into(), bytes: bytes.into(), signature: None };
    let long = format!("k,v\nk,{}\n", "x".repeat(50_000));
    let table = LookupFile::new("t".to_owned(), "t.csv".into(), long.into());
    let library = Library::from_components(engine, [(plugin, component, vec![table])])?;
    library.configure(&batch(1).columns.schema(), &Secrets::new())
}

fn plugin(limits: Limits) -> Plugin {
    Plugin { limits, ..Plugin::named("guest".parse().unwrap()) }
}

/// What becomes of a batch if the guest does this with it.
fn process(
    does: &dyn Fn(&mut InstructionSink<'_>),
    limits: Limits,
    rows: usize,
) -> (Processed, StageCounts) {
    let (_folder, engine) = engine();
    let chain = chain(&engine, ("process", does), plugin(limits)).unwrap();
    let mut worker = ChainWorker::new(&chain);
    let processed = worker.run(batch(rows)).unwrap();
    (processed, worker.take_counts().remove(0))
}

fn codes(processed: &Processed) -> BTreeMap<&str, usize> {
    let mut codes = BTreeMap::new();
    for rejected in &processed.rejected {
        *codes.entry(rejected.reason.code.as_str()).or_default() += 1;
    }
    codes
}

fn spin(body: &mut InstructionSink<'_>) {
    body.loop_(BlockType::Empty).br(0).end();
}

#[test]
fn a_guest_that_spins_on_every_row_costs_a_multiple_of_its_fuel_and_no_row() {
    let (processed, counts) = process(&spin, LIMITS, 2000);
    assert_eq!((processed.rejected.len(), processed.batch.rows()), (2000, 0));
    let (found, again) = (codes(&processed), process(&spin, LIMITS, 2000).0);
    assert!(found["plugin_out_of_fuel"] > 50, "{found:?}");
    assert_eq!(found["plugin_out_of_fuel"] + found["plugin_batch_given_up"], 2000);
    assert_eq!(found, codes(&again));
    let call = 2000 * LIMITS.max_fuel_per_record + LIMITS.max_fuel_per_batch;
    assert!(counts.fuel < 12 * call, "{} fuel, a call may use {call}", counts.fuel);
    let given_up = processed.rejected.iter().find(|r| r.reason.code == "plugin_batch_given_up");
    let message = &given_up.unwrap().reason.message;
    assert!(message.starts_with("plugin `guest` failed on so much of a batch that the rest"));
    let raised =
        "for all calls, which its `max_fuel_per_record` under `[plugin.limits]` raises, 20000 now";
    assert!(message.ends_with(raised), "{message}");
}

#[test]
fn rows_that_trap_stand_alone_however_many_they_are() {
    let trap = |body: &mut InstructionSink<'_>| {
        body.unreachable();
    };
    let (processed, counts) = process(&trap, Limits::default(), 500);
    assert_eq!(codes(&processed), BTreeMap::from([("plugin_trap", 500)]));
    assert_eq!(counts.faults, 999);
}

/// On some processors zero by zero is a NaN with its sign set, on others one without: a guest could refuse a
/// row on one machine only.
#[test]
fn what_is_no_number_has_the_same_bits_on_every_machine() {
    let zero = MemArg { offset: 0, align: 3, memory_index: 0 };
    let divide = |body: &mut InstructionSink<'_>| {
        body.i32_const(0).f64_load(zero).i32_const(0).f64_load(zero).f64_div();
        body.i64_reinterpret_f64().i64_const(f64::NAN.to_bits().cast_signed()).i64_ne();
        body.if_(BlockType::Empty).unreachable().end();
    };
    let (processed, _) = process(&divide, LIMITS, 1);
    assert_eq!(processed.batch.rows(), 1, "{:?}", codes(&processed));
}

/// The allowance of lines is for the batch: what is said again of each piece is counted.
#[test]
fn log_lines_do_not_start_anew_with_each_piece() {
    let talk = |body: &mut InstructionSink<'_>| {
        for _ in 0..3 {
            body.i32_const(1).i32_const(0).i32_const(0).call(WRITE);
        }
        body.unreachable();
    };
    let (processed, counts) = process(&talk, LIMITS, 16);
    assert_eq!(processed.rejected.len(), 16);
    assert_eq!((counts.faults, counts.lines_unwritten), (31, 3 * 31 - 16));
}

/// What takes time and hardly any fuel: a memory that grows by nothing.
#[test]
fn a_guest_that_makes_its_fuel_last_is_ended_by_the_clock() {
    let last = |body: &mut InstructionSink<'_>| {
        body.loop_(BlockType::Empty).i32_const(0).memory_grow(0).drop().br(0).end();
    };
    // The same, with a word to the host in between.
    let talk = |body: &mut InstructionSink<'_>| {
        body.loop_(BlockType::Empty).i32_const(0).memory_grow(0).drop();
        body.i32_const(1).i32_const(0).i32_const(0).call(WRITE).br(0).end();
    };
    let limits = Limits { max_fuel_per_batch: 1 << 50, max_call_secs: 1, ..LIMITS };
    let doings: [&dyn Fn(&mut InstructionSink<'_>); 2] = [&last, &talk];
    for does in doings {
        let (processed, counts) = process(does, limits, 1);
        assert_eq!(codes(&processed), BTreeMap::from([("plugin_timed_out", 1)]));
        assert_eq!((counts.faults, counts.timeouts), (1, 1));
        let message = &processed.rejected[0].reason.message;
        let wanted = "plugin `guest` took too long: limit 1 s of processor time a call";
        assert_eq!(message, wanted);
    }
}

#[test]
fn questions_have_an_end_too() {
    let (_folder, engine) = engine();
    for export in ["describe", "configure"] {
        let told = chain(&engine, (export, &spin), plugin(LIMITS)).err().unwrap().to_string();
        let limit = match export {
            "describe" => "100000000 for a call",
            _ => {
                "10000000 for a call, which its `max_fuel_per_batch` under `[plugin.limits]` raises, 1000000 now"
            }
        };
        let wanted = format!(
            "plugin `guest` failed while it was asked to `{export}`: ran out of fuel: limit {limit}"
        );
        assert_eq!(told, wanted);
    }
    let limits = Limits { max_fuel_per_batch: 1 << 50, max_call_secs: 1, ..LIMITS };
    let told = chain(&engine, ("configure", &spin), plugin(limits)).err().unwrap().to_string();
    assert!(told.ends_with("took too long: limit 1 s of processor time a call"), "{told}");
}

fn store(body: &mut InstructionSink<'_>, at: u64, number: i32) {
    let place = MemArg { offset: at, align: 2, memory_index: 0 };
    body.i32_const(0).i32_const(number).i32_store(place);
}

#[test]
fn an_answer_to_a_question_is_bounded_in_number_and_length() {
    let (_folder, engine) = engine();
    // Where an answer has a list, by its place: so many items, all of which lie in memory that is zero.
    let list = |body: &mut InstructionSink<'_>, at: u64, items: i32| {
        store(body, at, 1 << 16);
        store(body, at + 4, items);
    };
    let answers: [(Body<'_>, &str); 9] = [
        (("describe", &|body| list(body, 0, 65)), "its name has 65 characters, wanted at most 64"),
        (("describe", &|body| list(body, 0, 1)), "its name has the character `\\u{0}`, wanted"),
        (("describe", &|body| list(body, 8, 1 << 17)), "its version has 131072 characters"),
        (("describe", &|body| list(body, 16, 513)), "its description has 513 characters"),
        (("describe", &|body| list(body, 32, 10_000)), "it wants 10000 secrets, wanted at most 32"),
        (("describe", &|body| list(body, 32, 1)), "it wants a secret ``, wanted 1 to 64 of"),
        (("configure", &|body| list(body, 4, 12_000)), "it wants 12000 columns to read, wanted"),
        (("configure", &|body| list(body, 12, 10_001)), "it wants 10001 columns to write, wanted"),
        (("configure", &|body| list(body, 20, 101)), "it wants 101 lookup tables, wanted"),
    ];
    for (body, wanted) in answers {
        let told = chain(&engine, body, plugin(LIMITS)).err().unwrap().to_string();
        assert!(told.contains(&format!("answered nonsense: {wanted}")), "{told}");
    }
    // Problems without end, of which each is empty.
    let problems: Body<'_> = ("configure", &|body| {
        store(body, 0, 1);
        list(body, 4, 20_000);
    });
    let told = chain(&engine, problems, plugin(LIMITS)).err().unwrap().to_string();
    assert!(told.ends_with("\n  and 19900 more"), "{told}");
    assert_eq!(told.lines().count(), 102);
}

/// What the host looks at and copies for a call costs the guest fuel, in and out.
#[test]
fn host_calls_are_paid_by_the_byte() {
    let find = |table: [i32; 2], field: [i32; 2], offsets: [i32; 2], keys: [i32; 2]| {
        move |body: &mut InstructionSink<'_>| {
            store(body, 100, i32::from(b't'));
            store(body, 104, i32::from(b'v'));
            store(body, 108, i32::from(b'k'));
            store(body, 116, 1);
            for argument in [table, field, offsets, keys].as_flattened() {
                body.i32_const(*argument);
            }
            body.i32_const(512).call(FIND);
        }
    };
    let (t, v, k, one) = ([100, 1], [104, 1], [108, 1], [112, 2]);
    let (long, none) = ([1 << 16, 100_000], [0, 0]);
    let write = |body: &mut InstructionSink<'_>| {
        body.i32_const(1).i32_const(1 << 16).i32_const(100_000).call(WRITE);
    };
    let unreadable = |body: &mut InstructionSink<'_>| {
        body.i32_const(1 << 16).i32_const(100_000).i32_const(1).call(UNREADABLE);
    };
    let calls: [(Body<'_>, u64); 8] = [
        (("a log line", &write), 100_000),
        (("the path of a column", &unreadable), 100_000),
        (("a long table", &find(long, v, one, k)), 100_000),
        (("a long field", &find(t, long, one, k)), 100_000),
        (("two long names", &find(long, long, one, k)), 200_000),
        (("long keys", &find(t, v, one, long)), 100_000),
        (("many keys", &find(t, v, [1 << 16, 20_000], none)), 1_080_000),
        (("a long answer", &find(t, v, one, k)), 50_000),
    ];
    let limits = Limits { max_fuel_per_batch: 10_000_000, ..LIMITS };
    for ((name, call), least) in calls {
        let (processed, counts) = process(call, limits, 1);
        assert_eq!(processed.batch.rows(), 1, "{name}: {:?}", codes(&processed));
        assert!(counts.fuel >= least, "{name}: {} fuel", counts.fuel);
        assert!(counts.fuel < least + 20_000, "{name}: {} fuel", counts.fuel);
    }
}

#[test]
fn arguments_that_lie_outside_of_the_memory_or_are_no_text_cost_their_row() {
    let outside: [&dyn Fn(&mut InstructionSink<'_>); 4] = [
        &|body| {
            body.i32_const(-1).i32_const(-1).i32_const(1).call(UNREADABLE);
        },
        &|body| {
            body.i32_const(1).i32_const(-1).i32_const(-1).call(WRITE);
        },
        &|body| {
            store(body, 100, -1);
            body.i32_const(1).i32_const(100).i32_const(4).call(WRITE);
        },
        &|body| {
            body.i32_const(0).i32_const(1 << 30).i32_const(0).i32_const(0);
            body.i32_const(4).i32_const(-1).i32_const(0).i32_const(0).i32_const(512).call(FIND);
        },
    ];
    for call in outside {
        let (processed, _) = process(call, LIMITS, 4);
        assert_eq!(codes(&processed), BTreeMap::from([("plugin_bad_output", 4)]));
    }
}

/// An allocator that goes beyond the memory: what is configured does not fit in.
#[test]
fn a_guest_that_takes_nothing_in_is_told() {
    let (_folder, engine) = engine();
    let text = serde_json::json!({ "text": "x".repeat(300_000) });
    let config = text.as_object().cloned().unwrap();
    let plugin = Plugin { config, ..plugin(LIMITS) };
    let told = chain(&engine, ("configure", &|_| {}), plugin).err().unwrap().to_string();
    assert!(told.contains("asked to `configure`: answered nonsense: realloc"), "{told}");
}

/// The host calls the guest's allocator while it hands over what it asks with, and frees the answer by it.
#[test]
fn an_allocator_that_misbehaves_is_as_bounded_as_the_rest() {
    let (_folder, engine) = engine();
    let trap = |body: &mut InstructionSink<'_>| {
        body.unreachable();
    };
    let talk = |body: &mut InstructionSink<'_>| {
        body.i32_const(1).i32_const(0).i32_const(0).call(WRITE);
    };
    let doings: [(Body<'_>, &str); 5] = [
        (("cabi_realloc", &spin), "`configure`: ran out of fuel: limit 10000000 for a call"),
        (("cabi_realloc", &trap), "`configure`: trapped: it ended itself"),
        (("cabi_realloc", &talk), "`configure`: trapped: wasm trap: cannot leave component"),
        (("cabi_post_describe", &spin), "`describe`: ran out of fuel: limit 100000000 for a call"),
        (("cabi_post_configure", &trap), "`configure`: trapped: it ended itself"),
    ];
    for (body, wanted) in doings {
        let told = chain(&engine, body, plugin(LIMITS)).err().unwrap().to_string();
        assert!(told.contains(&format!("asked to {wanted}")), "{told}");
    }
    let chain = chain(&engine, ("cabi_post_process", &trap), plugin(LIMITS)).unwrap();
    let processed = ChainWorker::new(&chain).run(batch(4)).unwrap();
    assert_eq!(codes(&processed), BTreeMap::from([("plugin_trap", 4)]));
}

/// Two places, and six workers that would each keep one: all get their turn.
#[test]
fn workers_that_find_no_place_wait_and_refuse_no_row() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::start(Some(&folder.path().join("compiled")), 2).unwrap();
    let plugin = Plugin { instance: InstanceLife::Reuse, ..plugin(LIMITS) };
    let chain = chain(&engine, ("process", &|_| {}), plugin).unwrap();
    std::thread::scope(|scope| {
        let work = || {
            let mut worker = ChainWorker::new(&chain);
            for _ in 0..50 {
                let processed = worker.run(batch(10)).unwrap();
                assert_eq!((processed.batch.rows(), processed.rejected.len()), (10, 0));
            }
        };
        let workers: Vec<_> = (0..6).map(|_| scope.spawn(work)).collect();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    });
}
