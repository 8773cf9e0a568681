//! What guests get and tell of secrets.

use serde_json::json;
use wasm_encoder::{InstructionSink, MemArg};

use super::*;
use crate::chain::Chain;
use crate::secrets::made_up;
use crate::signature;
use crate::testing::{CONTRACT_WIT, World};
use crate::trust::Trust;
use clickmill_core::batch::{Batch, Reason};

/// A value that a code of a rejection may be.
const KEY: &str = "a_key_for_tests_0123456789abcdef";

/// Where a guest puts lists, and texts of its own. Answers begin at 0.
const LIST: i32 = 200;
const TEXT: i32 = 400;

/// Writes a number into the guest's memory.
fn put(body: &mut InstructionSink<'_>, at: i32, value: impl FnOnce(&mut InstructionSink<'_>)) {
    body.i32_const(at);
    value(body);
    body.i32_store(MemArg { offset: 0, align: 2, memory_index: 0 });
}

fn put_number(body: &mut InstructionSink<'_>, at: i32, value: i32) {
    put(body, at, |body| {
        body.i32_const(value);
    });
}

/// A text that is the configuration: where it is, and its length.
fn put_config(body: &mut InstructionSink<'_>, at: i32) {
    put(body, at, |body| {
        body.local_get(0);
    });
    put(body, at + 4, |body| {
        body.local_get(1);
    });
}

/// A text of at most three letters.
fn put_text(body: &mut InstructionSink<'_>, at: i32, text: &str) {
    let mut letters = [0; 4];
    letters[..text.len()].copy_from_slice(text.as_bytes());
    put_number(body, TEXT + at, i32::from_le_bytes(letters));
    put_number(body, at, TEXT + at);
    put_number(body, at + 4, text.len() as i32);
}

/// Asks for secret `key`.
fn asks(body: &mut InstructionSink<'_>) {
    put_number(body, 32, LIST);
    put_number(body, 36, 1);
    put_text(body, LIST, "key");
}

fn refuses_its_config(body: &mut InstructionSink<'_>) {
    put_number(body, 0, 1);
    put_number(body, 4, LIST);
    put_number(body, 8, 1);
    put_config(body, LIST);
}

fn fails(body: &mut InstructionSink<'_>) {
    put_number(body, 0, 1);
    put_config(body, 4);
}

fn panics(body: &mut InstructionSink<'_>) {
    let error = 3;
    body.i32_const(error).local_get(0).local_get(1).call(0).unreachable();
}

/// Where an answer has its lists, behind the one of where its rows came from.
const COLUMNS: i32 = 16;
const REJECTIONS: i32 = 24;

/// Refuses row 0 with the configuration as the message and the column.
fn refuses(body: &mut InstructionSink<'_>) {
    put_number(body, REJECTIONS, LIST);
    put_number(body, REJECTIONS + 4, 1);
    put_text(body, LIST + 4, "bad");
    put_config(body, LIST + 12);
    put_number(body, LIST + 20, 1);
    put_config(body, LIST + 24);
}

/// Refuses row 0 with the key as the code: what stands behind `{"key":"`.
fn refuses_by_code(body: &mut InstructionSink<'_>) {
    put_number(body, REJECTIONS, LIST);
    put_number(body, REJECTIONS + 4, 1);
    put(body, LIST + 4, |body| {
        body.local_get(0).i32_const(8).i32_add();
    });
    put_number(body, LIST + 8, KEY.len() as i32);
}

/// Returns a column that is called like the configuration.
fn names_a_column(body: &mut InstructionSink<'_>) {
    put_number(body, COLUMNS, LIST);
    put_number(body, COLUMNS + 4, 1);
    put_config(body, LIST);
}

type Does = fn(&mut InstructionSink<'_>);

fn guest(configure: Option<Does>, process: Option<Does>) -> Vec<u8> {
    let world = World::parse(CONTRACT_WIT).expect("the contract parses");
    let nothing: Does = |_| {};
    world.component(&[
        ("describe", &asks),
        ("configure", &configure.unwrap_or(nothing)),
        ("process", &process.unwrap_or(nothing)),
    ])
}

fn library(engine: &Engine, component: Vec<u8>, config: serde_json::Value) -> Library {
    let config = config.as_object().cloned().unwrap_or_default();
    let plugin = Plugin { config, ..Plugin::named("teller".parse().unwrap()) };
    let component =
        NewComponent { path: "teller".into(), bytes: component.into(), signature: None };
    Library::from_components(engine, [(plugin, component, Vec::new())]).unwrap()
}

fn secrets() -> Secrets {
    Secrets::new().with("teller", "key", KEY)
}

fn row() -> Batch {
    batch_of_numbers(1)
}

fn chain(library: &Library) -> Chain {
    library.configure(&row().columns.schema(), &secrets()).unwrap()
}

/// Why the one row is refused.
fn reason(mut worker: ChainWorker) -> Reason {
    let processed = worker.run(row()).unwrap();
    assert_eq!(processed.rejected.len(), 1);
    processed.rejected[0].reason.clone()
}

#[test]
fn no_text_that_a_guest_utters_tells_its_secret() {
    let (_folder, engine) = engine();
    let utterances: [(&str, Does); 5] = [
        ("fault", fails),
        ("panic", panics),
        ("message and column", refuses),
        ("code", refuses_by_code),
        ("name of a column", names_a_column),
    ];
    for (what, does) in utterances {
        let library = library(&engine, guest(None, Some(does)), json!({}));
        let chain = chain(&library);
        let Reason { code, message, column } = reason(ChainWorker::new(&chain));
        let told = format!("{code} {message} {column:?}");
        assert!(!told.contains(KEY), "{what}: {told}");
        assert!(told.contains("[secret key]") || code == "told_a_secret", "{what}: {told}");
        // It is told that it got another one, so the guest does say what it was given.
        let Reason { code, message, column } = reason(ChainWorker::rehearsing(&chain));
        let told = format!("{code} {message} {column:?}");
        let made_up = made_up("key", 0);
        assert!(told.contains(&made_up[..KEY.len()]), "{what}: {told}");
        assert!(!told.contains(KEY), "{what}: {told}");
    }
}

#[test]
fn configure_gets_a_made_up_secret() {
    let (_folder, engine) = engine();
    let library = library(&engine, guest(Some(refuses_its_config), None), json!({}));
    let Err(error) = library.configure(&row().columns.schema(), &secrets()) else {
        panic!("it refuses its configuration")
    };
    let told = error.to_string();
    assert!(told.contains(&made_up("key", 0)) && !told.contains(KEY), "{told}");
}

#[test]
fn golden_cases_get_their_own_secret_or_a_made_up_one() {
    let (_folder, engine) = engine();
    let library = library(&engine, guest(None, Some(refuses_by_code)), json!({}));
    let told = |secrets: &str| {
        let text = format!(
            r#"{{"columns": {{"n": "INTEGER"}}, {secrets} "cases": [{{"input": {{"n": 1}}, "output": {{}}}}]}}"#
        );
        let golden = Golden::parse(&text, "t.json".to_owned()).unwrap();
        let tested = library.golden("teller", &golden, Measure::Budgets);
        let problems = tested.map(|tested| tested.problems().collect::<Vec<_>>());
        problems.map_err(|error| error.to_string())
    };
    // The guest says as much of its secret as the host's has.
    let line = |code: &str| {
        Ok(vec![format!("t.json, case `1`: wanted a row, got rejected as `{code}`: ")])
    };
    assert_eq!(told(""), line(&made_up("key", 0)[..KEY.len()]));
    let own = format!(r#""secrets": {{"key": "{}"}},"#, KEY.replace('a', "b"));
    assert_eq!(told(&own), line("told_a_secret"));
    let short = told(r#""secrets": {"key": "short"},"#);
    let wanted = "golden cases `t.json`: secret `key` has 5 bytes, wanted at least 16";
    assert_eq!(short, Err(wanted.to_owned()));
}

#[test]
fn a_secret_that_is_not_granted_is_not_given() {
    let (_folder, engine) = engine();
    let library = library(&engine, guest(None, None), json!({}));
    for granted in [
        Secrets::new(),
        Secrets::new().with("teller", "salt", KEY),
        Secrets::new().with("other", "key", KEY),
    ] {
        let error = library.check_secrets(&granted).expect_err("refused");
        assert!(matches!(error, PluginError::Grant { .. }), "{error}");
        assert!(error.to_string().contains(r#"`secrets = ["key"]`"#), "{error}");
        assert!(library.configure(&row().columns.schema(), &granted).is_err());
    }
    assert!(library.check_secrets(&secrets()).is_ok());
    let short = library.check_secrets(&Secrets::new().with("teller", "key", "short"));
    let told = short.expect_err("refused").to_string();
    assert!(told.ends_with("secret `key` has 5 bytes, wanted at least 16"), "{told}");
}

#[test]
fn a_configuration_that_holds_a_secret_is_refused() {
    let (_folder, engine) = engine();
    let component = guest(None, None);
    for (config, place) in [
        (json!({ "key": "anything" }), "`config.key`"),
        (json!({ "salt": KEY }), "`config.salt`"),
        (json!({ "list": [{ "of": format!("Bearer {KEY}") }] }), "`config.list[0].of`"),
    ] {
        let refused = |library: &Library| {
            let error = library.check_secrets(&secrets()).expect_err("refused").to_string();
            assert!(error.contains(place) && !error.contains(KEY), "{error}");
            assert!(library.configure(&row().columns.schema(), &secrets()).is_err());
        };
        refused(&library(&engine, component.clone(), config.clone()));
        // As a change of what runs too.
        let config = config.as_object().cloned().unwrap();
        let change = Change { stage: "teller".to_owned(), config, ..Change::default() };
        let good = library(&engine, component.clone(), json!({}));
        refused(&good.with(vec![change]).unwrap());
    }
}

#[test]
fn a_crate_is_not_built_where_only_signed_components_are_taken() {
    let (folder, engine) = engine();
    let krate = folder.path().join("krate");
    std::fs::create_dir(&krate).unwrap();
    // A build would say that this is none.
    std::fs::write(krate.join("Cargo.toml"), "no manifest").unwrap();
    let (public, _) = signature::generate(None).unwrap();
    let keys = clickmill_config::Trust { keys: vec![public], ..Default::default() };
    let trusting = engine.trusting(Trust::of(&keys).unwrap());
    let error = Library::load(&trusting, &[plugin("one", &krate)]).err().expect("refused");
    assert!(matches!(error, PluginError::UnsignedCrate { .. }), "{error}");
    // A component in the crate's place is looked at.
    std::fs::remove_file(krate.join("Cargo.toml")).unwrap();
    std::fs::write(krate.join("krate.wasm"), idle_plugin()).unwrap();
    let error = Library::load(&trusting, &[plugin("one", &krate)]).err().expect("unsigned");
    assert!(matches!(error, PluginError::Compile { .. }), "{error}");
}

#[test]
fn a_plugin_may_want_more_bytes_of_a_secret_than_are_wanted_of_any() {
    let asks_for_more: Does = |body| {
        asks(body);
        put_number(body, LIST + 8, 40);
    };
    let world = World::parse(CONTRACT_WIT).expect("the contract parses");
    let nothing: Does = |_| {};
    let component = world.component(&[
        ("describe", &asks_for_more),
        ("configure", &nothing),
        ("process", &nothing),
    ]);
    let (_folder, engine) = engine();
    let library = library(&engine, component, json!({}));
    let refused = library.check_secrets(&secrets()).unwrap_err();
    assert!(refused.to_string().contains("has 32 bytes, wanted at least 40"), "{refused}");
    let longer = Secrets::new().with("teller", "key", &KEY.repeat(2));
    library.check_secrets(&longer).unwrap();
    assert!(made_up("key", 100).len() >= 100);
}
