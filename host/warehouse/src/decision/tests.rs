use std::sync::Arc;
use std::time::{Duration, SystemTime};

use object_store::memory::InMemory;

use super::*;

const ID: &str = "0123456789abcdef";

struct Scratch {
    warehouse: Warehouse,
    table: TableName,
}

impl Scratch {
    fn new() -> Self {
        let store = Arc::new(InMemory::new());
        let opened = Warehouse::open("/nowhere").unwrap();
        let warehouse = Warehouse { store, disk: None, ..opened };
        let table = TableName { dataset: "d".to_owned(), table: "t".to_owned() };
        Self { warehouse, table }
    }

    /// Stages the files of a run: steps 1 and 2.
    async fn stage(&self, attempt: &str) -> Decision {
        let warehouse = &self.warehouse;
        let staging = warehouse.staging(ID).join(attempt);
        let mut files = Vec::new();
        for name in ["dead_letters", "rows"] {
            let from = staging.clone().join(name);
            warehouse.store.put(&from, format!("{name} {attempt}").into()).await.unwrap();
            // Another day: another place.
            let day = format!("load_date={attempt}");
            files.push((from, warehouse.table(&self.table).join(name).join(day)));
        }
        let entry = entry(attempt);
        warehouse.plan(ID, &self.table, &staging, files, entry).await.unwrap()
    }

    async fn decide(&self, decision: &Decision, attempt: &str) -> Committed {
        let entry = entry(attempt);
        self.warehouse.decide(ID, &self.table, decision, &entry).await.unwrap()
    }

    /// Everything there is, by name.
    async fn files(&self) -> Vec<(String, String)> {
        let warehouse = &self.warehouse;
        let mut files = Vec::new();
        for file in warehouse.list(&Path::ROOT).await.unwrap() {
            let got = warehouse.store.get(&file.location).await.unwrap();
            let text = String::from_utf8(got.bytes().await.unwrap().to_vec()).unwrap();
            files.push((file.location.to_string(), text));
        }
        files.sort();
        files
    }

    /// The load of one attempt has happened, and nothing else is there.
    async fn is_of(&self, attempt: &str) {
        let texts: Vec<String> = self.files().await.into_iter().map(|(_, text)| text).collect();
        let wanted = ["entry", "dead_letters", "rows"];
        assert_eq!(texts, wanted.map(|name| format!("{name} {attempt}")));
    }
}

fn entry(attempt: &str) -> Vec<u8> {
    format!("entry {attempt}").into_bytes()
}

#[tokio::test]
async fn of_two_at_once_one_is_decided_for() {
    let scratch = Scratch::new();
    let (first, second) = (scratch.stage("1").await, scratch.stage("2").await);
    assert!(!scratch.warehouse.happened(ID, &scratch.table).await.unwrap());
    assert_eq!(scratch.decide(&second, "2").await, Committed::Now);
    scratch.is_of("2").await;
    assert_eq!(scratch.decide(&first, "1").await, Committed::ByAnother);
    scratch.is_of("2").await;
    assert!(scratch.warehouse.happened(ID, &scratch.table).await.unwrap());
}

#[tokio::test]
async fn killed_after_any_move_the_next_one_makes_the_others() {
    for made in 0..=3 {
        // The next one may come to begin, or it has begun already and comes to its own decision.
        for begun in [false, true] {
            let scratch = Scratch::new();
            let warehouse = &scratch.warehouse;
            let second = if begun { Some(scratch.stage("2").await) } else { None };
            let first = scratch.stage("1").await;
            warehouse.propose(ID, &first).await.unwrap();
            for (from, to) in &first.moves[..made] {
                let (from, to) = (Path::from(from.as_str()), Path::from(to.as_str()));
                warehouse.store.copy_if_not_exists(&from, &to).await.unwrap();
            }
            match second {
                Some(second) => {
                    assert_eq!(scratch.decide(&second, "2").await, Committed::ByAnother);
                }
                None => assert!(warehouse.happened(ID, &scratch.table).await.unwrap()),
            }
            scratch.is_of("1").await;
        }
    }
}

#[tokio::test]
async fn killed_after_any_move_whoever_clears_up_makes_the_others() {
    for made in 0..=3 {
        let scratch = Scratch::new();
        let warehouse = &scratch.warehouse;
        let first = scratch.stage("1").await;
        warehouse.propose(ID, &first).await.unwrap();
        for (from, to) in &first.moves[..made] {
            let (from, to) = (Path::from(from.as_str()), Path::from(to.as_str()));
            warehouse.store.copy_if_not_exists(&from, &to).await.unwrap();
        }
        let now = std::time::SystemTime::now();
        warehouse.sweep(now).await.unwrap();
        assert!(warehouse.decision(ID).await.unwrap().is_some(), "it may live");
        warehouse.sweep(now + std::time::Duration::from_secs(2 * 3600)).await.unwrap();
        scratch.is_of("1").await;
    }
}

#[tokio::test]
async fn a_decision_after_the_load_has_happened_is_void() {
    let scratch = Scratch::new();
    let late = scratch.stage("2").await;
    let first = scratch.stage("1").await;
    assert_eq!(scratch.decide(&first, "1").await, Committed::Now);
    // Its files are gone with the staging folder; it is killed once it has decided.
    scratch.stage("2").await;
    scratch.warehouse.propose(ID, &late).await.unwrap();
    assert!(scratch.warehouse.happened(ID, &scratch.table).await.unwrap());
    scratch.is_of("1").await;
}

#[tokio::test]
async fn what_was_swept_is_not_decided_for_and_the_object_is_loaded_anew() {
    // Before the decision, or between it and the moves.
    for is_decided in [false, true] {
        let scratch = Scratch::new();
        let warehouse = &scratch.warehouse;
        let swept = scratch.stage("1").await;
        if is_decided {
            warehouse.propose(ID, &swept).await.unwrap();
        }
        for (from, _) in &swept.moves {
            warehouse.store.delete(&Path::from(from.as_str())).await.unwrap();
        }
        if is_decided {
            assert!(!warehouse.happened(ID, &scratch.table).await.unwrap());
        } else {
            let entry = entry("1");
            warehouse.decide(ID, &scratch.table, &swept, &entry).await.unwrap_err();
        }
        assert_eq!(scratch.files().await.len(), usize::from(is_decided));
        let next = scratch.stage("2").await;
        assert_eq!(scratch.decide(&next, "2").await, Committed::Now);
        scratch.is_of("2").await;
    }
}

/// A run that has read what cannot be carried out, and was stopped since, does not replace what is decided.
#[tokio::test]
async fn what_cannot_be_carried_out_is_replaced_once() {
    for is_damaged in [false, true] {
        let scratch = Scratch::new();
        let warehouse = &scratch.warehouse;
        let void = scratch.stage("0").await;
        for (from, _) in &void.moves {
            warehouse.store.delete(&Path::from(from.as_str())).await.unwrap();
        }
        if is_damaged {
            let path = warehouse.decision_path(ID);
            warehouse.store.put(&path, "{".into()).await.unwrap();
        } else {
            warehouse.propose(ID, &void).await.unwrap();
        }
        let late = scratch.stage("1").await;
        let stood = warehouse.decision(ID).await.unwrap().unwrap();
        let next = scratch.stage("2").await;
        warehouse.propose(ID, &next).await.unwrap();
        let update = PutMode::Update(stood.version);
        assert!(!warehouse.put_decision(ID, &late, update).await.unwrap());
        assert_eq!(scratch.decide(&late, "1").await, Committed::ByAnother);
        scratch.is_of("2").await;
    }
}

#[tokio::test]
async fn what_is_no_decision_of_this_load_is_replaced_and_the_object_is_loaded_anew() {
    let others = |from: &str, to: &str| format!(r#"{{"moves":[["{from}","{to}"]]}}"#);
    let ledger = format!("d/load_ledger/{ID}.parquet");
    for damaged in [
        String::new(),
        r#"{"moves":["#.to_owned(),
        r#"{"moves":[]}"#.to_owned(),
        others("_state/key", &ledger),
        others("_staging/../_state/key", &ledger),
        others(&format!("_staging/{ID}/1/rows"), "d/t/rows"),
        others(&format!("_staging/{ID}/../key"), &ledger),
        others(&format!("_staging/{ID}/1/rows"), &format!("d//{ledger}")),
    ] {
        let scratch = Scratch::new();
        let warehouse = &scratch.warehouse;
        warehouse.store.put(&Path::from("_state/key"), "theirs".into()).await.unwrap();
        let next = scratch.stage("2").await;
        let path = warehouse.decision_path(ID);
        warehouse.store.put(&path, damaged.clone().into()).await.unwrap();
        assert!(!warehouse.happened(ID, &scratch.table).await.unwrap(), "{damaged}");
        assert_eq!(scratch.decide(&next, "2").await, Committed::Now, "{damaged}");
        warehouse.store.delete(&Path::from("_state/key")).await.unwrap();
        scratch.is_of("2").await;
    }
}

#[tokio::test]
async fn what_was_decided_is_swept_once_it_has_happened() {
    let scratch = Scratch::new();
    let warehouse = &scratch.warehouse;
    let later = SystemTime::now() + Duration::from_secs(30 * 86_400);
    let first = scratch.stage("1").await;
    warehouse.propose(ID, &first).await.unwrap();
    assert_eq!(scratch.decide(&first, "1").await, Committed::Now);
    // A run that was late, and killed once it had decided.
    let late = scratch.stage("2").await;
    warehouse.propose(ID, &late).await.unwrap();
    warehouse.sweep(SystemTime::now()).await.unwrap();
    assert_eq!(scratch.files().await.len(), 3 + 4);
    warehouse.sweep(later).await.unwrap();
    scratch.is_of("1").await;
}

#[tokio::test]
async fn an_answer_that_is_lost_is_not_another_run() {
    let scratch = Scratch::new();
    let decision = scratch.stage("1").await;
    scratch.warehouse.propose(ID, &decision).await.unwrap();
    assert_eq!(scratch.decide(&decision, "1").await, Committed::Now);
    scratch.is_of("1").await;
}
