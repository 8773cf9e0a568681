mod secrets;

use super::*;
use crate::chain::ChainWorker;
use crate::set::LookupMade;
use crate::testing::{Body, CONTRACT_WIT, World, batch_of_numbers, engine, idle_plugin};

fn plugin(name: &str, component: &std::path::Path) -> Plugin {
    Plugin {
        component: component.to_owned(),
        reads: Grant::All,
        ..Plugin::named(name.parse().unwrap())
    }
}

#[test]
fn a_set_is_known_by_the_digest_that_an_earlier_version_remembers() {
    let (folder, engine) = engine();
    let path = folder.path().join("idle.wasm");
    std::fs::write(&path, idle_plugin()).unwrap();
    let library = Library::load(&engine, &[plugin("one", &path), plugin("two", &path)]).unwrap();
    let set = library.set();
    assert_ne!(set.digest, set.digest_v0());
    assert!(library.is_set(&set.digest));
    assert!(library.is_set(&set.digest_v0()));
    let other = Library::load(&engine, &[plugin("one", &path)]).unwrap();
    assert!(!other.is_set(&set.digest));
    assert!(!other.is_set(&set.digest_v0()));
}

/// A set that an earlier version kept carries the digest of its own form: it is made again, and runs
/// under the digest of this one.
#[test]
fn a_set_that_an_earlier_version_kept_is_made_again() {
    let (folder, engine) = engine();
    let path = folder.path().join("idle.wasm");
    std::fs::write(&path, idle_plugin()).unwrap();
    let library = Library::load(&engine, &[plugin("one", &path)]).unwrap();
    let kept = PluginSet { digest: library.set().digest_v0(), ..library.set() };
    assert!(kept.is_whole());
    let blobs = library.blobs();
    let restored = library.restore(&kept, |digest| Ok::<_, PluginError>(blobs[digest].clone()));
    assert_eq!(restored.unwrap().digest(), library.digest());
}

/// Whoever wrote it: of a set come components, configurations and the content of lookup tables, and nothing
/// that says what a stage may do.
#[test]
fn what_stages_there_are_and_may_do_is_no_matter_of_a_kept_set() {
    let (folder, engine) = engine();
    let path = folder.path().join("idle.wasm");
    std::fs::write(&path, idle_plugin()).unwrap();
    let words = folder.path().join("words.csv");
    std::fs::write(&words, "key,word\nkey,old\n").unwrap();
    let mask = Plugin {
        reads: Grant::Only(vec!["ip".to_owned()]),
        secrets: vec![("key".to_owned(), "CLICKMILL_MASK_KEY".to_owned())],
        lookups: vec![("words".to_owned(), words)],
        ..plugin("mask", &path)
    };
    let library = Library::load(&engine, &[plugin("parse", &path), mask]).unwrap();
    let (file, new) = (library.set(), Bytes::from_static(b"key,word\nkey,new\n"));
    let mut blobs = library.blobs();
    assert_eq!(blobs.len(), 2, "a component of two stages, and a table");
    blobs.insert(Digest::of(&new), new.clone());
    let restore = |change: &dyn Fn(&mut PluginSet)| {
        let mut kept = file.clone();
        kept.stages[1].config.insert("key_id".to_owned(), "k2".into());
        kept.stages[1].lookups[0].digest = Digest::of(&new);
        change(&mut kept);
        let restored = library.restore(&kept, |digest| Ok::<_, PluginError>(blobs[digest].clone()));
        restored.unwrap().set()
    };
    let wanted = restore(&|_| {});
    assert_eq!(wanted.stages[1].config["key_id"], "k2");
    assert_eq!(wanted.stages[1].lookups[0].digest, Digest::of(&new));
    assert_ne!(wanted.digest, file.digest);
    let changes: [fn(&mut PluginSet); 10] = [
        |kept| kept.stages[1].reads = Grant::All,
        |kept| kept.stages[0].writes = Grant::All,
        |kept| kept.stages[1].limits.max_fuel_per_record *= 1000,
        |kept| kept.stages[1].secrets.push(("home".to_owned(), "HOME".to_owned())),
        |kept| kept.stages[1].secrets[0].1 = "HOME".to_owned(),
        |kept| kept.stages[1].instance = clickmill_config::InstanceLife::Reuse,
        |kept| kept.stages.reverse(),
        |kept| kept.stages.push(kept.stages[1].clone()),
        |kept| kept.stages[0].stage = "spy".parse().unwrap(),
        |kept| {
            let more = LookupMade { table: "more".to_owned(), ..kept.stages[1].lookups[0].clone() };
            kept.stages[1].lookups.push(more);
        },
    ];
    for (number, change) in changes.iter().enumerate() {
        assert_eq!(restore(change), wanted, "{number}");
    }
    // A stage that the set lacks stays as the pipeline file has it.
    assert_eq!(restore(&|kept| drop(kept.stages.remove(1))), file);
}

/// What an embedder does: a component's bytes, columns in, columns out; no file, no table.
#[test]
fn a_component_runs_without_a_pipeline() {
    let (_folder, engine) = engine();
    let component =
        NewComponent { path: "idle".into(), bytes: idle_plugin().into(), signature: None };
    let stage = (Plugin::named("idle".parse().unwrap()), component, Vec::new());
    let library = Library::from_components(&engine, [stage]).unwrap();
    let batch = batch_of_numbers(3);
    let columns = batch.columns.clone();
    let chain = library.configure(&columns.schema(), &Secrets::new()).unwrap();
    let processed = ChainWorker::new(&chain).run(batch).unwrap();
    assert_eq!(processed.batch.columns, columns);
    assert_eq!((processed.rejected.len(), processed.filtered), (0, 0));
}

#[test]
fn a_budget_is_held_by_each_row_and_by_all_cases_together() {
    let (folder, engine) = engine();
    let path = folder.path().join("idle.wasm");
    std::fs::write(&path, idle_plugin()).unwrap();
    let library = Library::load(&engine, &[plugin("idle", &path)]).unwrap();
    let tested = |budget: &str, measure| {
        let text = format!(
            r#"{{"columns": {{"n": "INTEGER"}}, {budget} "cases": [{{"input": {{"n": 1}}, "output": {{"n": 1}}}}]}}"#
        );
        let golden = Golden::parse(&text, "t.json".to_owned()).unwrap();
        library.golden("idle", &golden, measure).unwrap()
    };
    let free = tested("", Measure::Budgets);
    assert_eq!((free.failed(), free.cases[0].fuel_per_row), (0, None));
    assert!(free.fuel > 0);
    let measured = tested("", Measure::All);
    // It looks at no row.
    assert_eq!((measured.fuel, measured.cases[0].fuel_per_row), (free.fuel, Some(0)));
    let held = format!(r#""max_fuel_per_row": 0, "max_fuel": {},"#, free.fuel);
    assert_eq!(tested(&held, Measure::Budgets).problems().collect::<Vec<_>>(), [""; 0]);
    let tight = tested(&format!(r#""max_fuel": {},"#, free.fuel - 1), Measure::Budgets);
    let told: Vec<String> = tight.problems().collect();
    let begins = format!(
        "t.json: all cases in one batch take {} fuel, wanted at most {} (+",
        free.fuel,
        free.fuel - 1
    );
    assert!(told.len() == 1 && told[0].starts_with(&begins), "{told:?}");
    assert_eq!(tight.failed(), 1);
}

#[test]
fn a_bench_repeats_rows_and_takes_the_same_fuel_each_time() {
    let (folder, engine) = engine();
    let path = folder.path().join("idle.wasm");
    std::fs::write(&path, idle_plugin()).unwrap();
    let library = Library::load(&engine, &[plugin("idle", &path)]).unwrap();
    let text = r#"{"columns": {"n": "INTEGER"}, "cases": [{"input": {"n": 1}, "output": {}}]}"#;
    let golden = Golden::parse(text, "t.json".to_owned()).unwrap();
    let rows =
        [r#"{"n": 1, "other": "left out"}"#, "{}"].map(|row| serde_json::from_str(row).unwrap());
    for rows in [&[][..], &rows] {
        let bench = library.bench("idle", &golden, rows, 10_000).unwrap();
        let [first, second] = [bench.round().unwrap(), bench.round().unwrap()];
        assert_eq!((first.made, first.rejected, first.dropped), (10_000, 0, 0));
        assert_eq!(first.fuel, second.fuel);
        assert!(first.fuel > 0 && !first.time.is_zero());
    }
    let wrong = [serde_json::from_str(r#"{"n": "many"}"#).unwrap()];
    assert!(library.bench("idle", &golden, &wrong, 1).is_err());
}

#[test]
fn rows_become_cases_that_pass_and_equal_rows_become_one() {
    let (folder, engine) = engine();
    let path = folder.path().join("idle.wasm");
    std::fs::write(&path, idle_plugin()).unwrap();
    let words = folder.path().join("some.csv");
    std::fs::write(&words, "key,word\nkey,old\n").unwrap();
    let stage = Plugin { lookups: vec![("words".to_owned(), words)], ..plugin("idle", &path) };
    let library = Library::load(&engine, &[stage]).unwrap();
    let rows = batch_of_numbers(3);
    let recorded = library.record("idle", "t.json", &rows.columns, rows.ingest_time).unwrap();
    // It reads nothing, so all rows are the same to it.
    assert_eq!((recorded.golden.cases(), recorded.left_out), (1, 0));
    let text = recorded.golden.text();
    let written: serde_json::Value = serde_json::from_str(&text).unwrap();
    let wanted = serde_json::json!({
        "columns": {},
        "lookups": {"words": "words.csv"},
        "ingest_time": "1970-01-01T00:00:00Z",
        "cases": [{"input": {}, "output": {}}],
    });
    assert_eq!(written, wanted);
    let files: Vec<_> = recorded.golden.files().collect();
    assert_eq!(files, [("words.csv", "key,word\nkey,old\n")]);
    std::fs::create_dir(folder.path().join("tests")).unwrap();
    std::fs::write(folder.path().join("tests/t.json"), text).unwrap();
    std::fs::write(folder.path().join("tests/words.csv"), files[0].1).unwrap();
    let read = Golden::beside(folder.path()).unwrap();
    let tested = library.golden("idle", &read[0], Measure::Budgets).unwrap();
    assert_eq!((tested.cases.len(), tested.failed()), (1, 0));
    assert!(library.record("other", "t.json", &rows.columns, rows.ingest_time).is_err());
}

#[test]
fn a_profile_says_where_the_fuel_goes_and_is_the_same_each_time() {
    let (folder, engine) = engine();
    let path = folder.path().join("busy.wasm");
    let turns: Body<'_> = ("process", &|body| {
        body.i32_const(100_000).local_set(0).loop_(wasm_encoder::BlockType::Empty);
        body.local_get(0).i32_const(1).i32_sub().local_tee(0).br_if(0).end();
    });
    let world = World::parse(CONTRACT_WIT).unwrap();
    std::fs::write(&path, world.component(&[turns])).unwrap();
    let library = Library::load(&engine, &[plugin("busy", &path)]).unwrap();
    let text = r#"{"columns": {"n": "INTEGER"}, "cases": [{"input": {"n": 1}, "output": {}}]}"#;
    let golden = Golden::parse(text, "t.json".to_owned()).unwrap();
    let profile = || library.bench("busy", &golden, &[], 3).unwrap().profile(100).unwrap();
    let told = profile();
    assert_eq!(told, profile());
    assert!(told.rows == 3 && told.fuel > 400_000, "{}", told.fuel);
    // The loop is all that there is to it.
    let functions = told.functions();
    assert!(functions[0].own > 0.98, "{functions:?}");
    // Functions of such guests have no names, but numbers.
    assert!(functions[0].function.starts_with("function "), "{functions:?}");
    let own: f64 = functions.iter().map(|function| function.own).sum();
    assert!((own - 1.0).abs() < 1e-9, "{functions:?}");
}
