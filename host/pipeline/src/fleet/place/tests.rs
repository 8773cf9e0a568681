use object_store::memory::InMemory;

use super::super::objects::{Canary, Proposal, Rollback};
use super::*;
use clickmill_core::Digest;

fn proposal(after: u64, actor: &str) -> Entry {
    let set = |text: &str| Digest::of(text.as_bytes()).short();
    let (parent, plugin_set) = (set("0"), set(actor));
    let (actor, note, at) = (actor.to_owned(), String::new(), String::new());
    Entry::Proposal(Proposal { after, parent, plugin_set, actor, note, at, canary: None })
}

fn commit(by: &str) -> Decision {
    Decision { commit: true, by: by.to_owned(), why: String::new(), at: String::new() }
}

#[test]
fn what_is_created_first_counts_and_what_strangers_write_commits_nothing() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let store = Arc::new(InMemory::new());
    let place = Place::over(store.clone(), runtime.handle());
    let put = |path: &str, bytes: &[u8]| {
        let path = Path::from(path);
        let put = store.put(&path, Bytes::copy_from_slice(bytes).into());
        runtime.block_on(put).expect("put");
    };
    let mut log = Log::default();
    place.catch_up(&mut log).expect("an empty log");
    assert!(place.enter(1, proposal(0, "ada")).expect("entered"));
    assert!(!place.enter(1, proposal(0, "bob")).expect("another was first"));
    place.catch_up(&mut log).expect("a log");
    assert_eq!((log.last(), log.state().open), (1, Some(1)));
    assert!(place.decide(1, commit("a")).expect("decided"));
    assert!(!place.decide(1, Decision { commit: false, ..commit("b") }).expect("it is"));
    place.catch_up(&mut log).expect("a log");
    assert_eq!(log.state().effect, 1);
    // Many at once are read as one by one.
    for number in 2..80 {
        let of = if number % 2 == 0 { 1 } else { 0 };
        let (actor, reason, at) = (String::new(), String::new(), String::new());
        let entry = Entry::Rollback(Rollback { of, actor, reason, at });
        assert!(place.enter(number, entry).expect("entered"));
    }
    place.catch_up(&mut log).expect("a log");
    let mut anew = Log::default();
    place.catch_up(&mut anew).expect("a log");
    assert_eq!((log.last(), log.state()), (79, anew.state()));
    assert_eq!(log.state().effect, 0);
    // Garbage in place of a decision is no commit, in place of a vote no ok, and of an entry no entry.
    let parent = log.state().set.expect("a set");
    let Entry::Proposal(next) = proposal(0, "eve") else { panic!("a proposal") };
    place.enter(80, Entry::Proposal(Proposal { parent, ..next })).expect("entered");
    put("votes/000080/a.json", b"{\"ok\": true}");
    put("votes/000080/b.json", &vec![b' '; 1 << 20]);
    put("votes/000080/..json", b"{\"ok\": true, \"why\": \"\"}");
    put("votes/000080/c.json", b"{\"ok\": true, \"why\": \"fine\"}");
    let mut votes = BTreeMap::new();
    place.votes(80, &mut votes).expect("votes");
    let ok: Vec<(&str, bool)> = votes.iter().map(|(name, vote)| (&**name, vote.ok)).collect();
    assert_eq!(ok, [("a", false), ("b", false), ("c", true)]);
    put("decisions/000080.json", b"commit");
    place.catch_up(&mut log).expect("a log");
    assert_eq!((log.state().open, log.state().effect), (None, 0));
    // Nobody has tried out what a stranger says was tried.
    assert_eq!(place.canaries(80).expect("none"), None);
    put("canaries/000080.json", b"{\"replicas\": [\"../a\"], \"by\": \"eve\", \"at\": \"now\"}");
    assert_eq!(place.canaries(80).expect("canaries"), Some(BTreeSet::new()));
    let named = |name: &str| {
        let (replicas, at) = (BTreeSet::from([name.to_owned()]), String::new());
        Canaries { replicas, by: name.to_owned(), at }
    };
    assert!(!place.name(80, named("a")).expect("another was first"));
    assert!(place.name(81, named("a")).expect("named"));
    assert_eq!(place.canaries(81).expect("canaries"), Some(named("a").replicas));
    put("verdicts/000081/a.json", b"fine");
    let mut verdicts = BTreeMap::new();
    place.verdicts(81, &mut verdicts).expect("verdicts");
    assert!(!verdicts["a"].ok);
    // Of times and shares that are none no proposal is made.
    let Entry::Proposal(next) = proposal(0, "eve") else { panic!("a proposal") };
    let secs = |secs| Some(Canary::of_replicas(1.0, secs));
    let canary = Entry::Proposal(Proposal { canary: secs(123.0), ..next });
    let canary = String::from_utf8(canary.written().expect("written")).expect("a text");
    for garbage in [
        "{\"kind\": \"order\"}".to_owned(),
        canary.replace("123.0", "-1"),
        canary.replace("123.0", "1e300"),
        canary.replace("123.0", "1e999"),
        canary.replace("123.0", "NaN"),
    ] {
        put("log/000081.json", garbage.as_bytes());
        let error = place.catch_up(&mut log).expect_err("no entry");
        assert!(matches!(error, FleetError::Malformed { .. }), "{error}");
    }
    put("log/000081.json", canary.as_bytes());
    place.catch_up(&mut log).expect("an entry");
    assert_eq!(log.last(), 81);
}

#[test]
fn a_folder_in_place_of_a_decision_is_told_and_not_waited_for() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let scratch = tempfile::tempdir().expect("a folder");
    let fleet = scratch.path().to_str().expect("text");
    let place = Place::open(fleet, "clicks", runtime.handle()).expect("a place");
    assert!(place.enter(1, proposal(0, "ada")).expect("entered"));
    std::fs::create_dir_all(scratch.path().join("clicks/decisions/000001.json")).expect("made");
    let mut log = Log::default();
    place.catch_up(&mut log).expect("a log");
    assert_eq!(log.state().open, Some(1));
    let told = clickmill_core::causes(&place.decide(1, commit("a")).expect_err("in the way"));
    assert!(told.contains("000001.json` is in the way"), "{told}");
}

#[test]
fn a_full_log_takes_no_proposal_and_what_is_in_effect_can_be_taken_back() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let store = Arc::new(InMemory::new());
    let place = Place::over(store.clone(), runtime.handle());
    let rollback = || {
        let (actor, reason, at) = (String::new(), String::new(), String::new());
        Entry::Rollback(Rollback { of: 1, actor, reason, at })
    };
    let last = MAX_ENTRIES - FOR_ROLLBACKS;
    assert!(place.enter(last, proposal(0, "ada")).expect("entered"));
    let full = |entered| matches!(entered, Err(FleetError::Full { .. }));
    assert!(full(place.enter(last + 1, proposal(0, "ada"))));
    assert!(place.enter(last + 1, rollback()).expect("entered"));
    assert!(place.enter(MAX_ENTRIES, rollback()).expect("entered"));
    assert!(full(place.enter(MAX_ENTRIES + 1, rollback())));
    // What a stranger writes behind the last counts for nobody.
    let bytes = rollback().written().expect("written");
    for number in 1..=MAX_ENTRIES + 1 {
        let (path, bytes) = (entry_path(number), Bytes::from(bytes.clone()));
        runtime.block_on(store.put(&path, bytes.into())).expect("put");
    }
    let mut log = Log::default();
    place.catch_up(&mut log).expect("a log");
    assert_eq!(log.last(), MAX_ENTRIES);
}

#[test]
fn of_the_signs_of_life_of_a_replica_the_newest_counts() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let store = Arc::new(InMemory::new());
    let place = Place::over(store.clone(), runtime.handle());
    let life = || Life { plugin_set: Digest::of(b"set").short(), ..Life::default() };
    for number in 1..4 {
        place.live("a", number, life()).expect("a sign of life");
    }
    place.live("b", 1, life()).expect("a sign of life");
    assert!(matches!(place.live("b", 1, life()), Err(FleetError::Taken { .. })));
    let signs = place.signs().expect("signs");
    let numbers: Vec<(&str, u64)> =
        signs.iter().map(|(name, sign)| (&**name, sign.number)).collect();
    assert_eq!(numbers, [("a", 3), ("b", 1)]);
    assert_eq!(place.lives(&signs).expect("lives").len(), 2);
    let listed = store.list(Some(&lives_path())).try_collect::<Vec<_>>();
    assert_eq!(runtime.block_on(listed).expect("listed").len(), 4);
    place.forget("b", 1).expect("forgotten");
    place.forget("b", 1).expect("as often as one likes");
    assert_eq!(place.signs().expect("signs").len(), 1);
    place.forget_all("a").expect("forgotten");
    assert!(place.signs().expect("signs").is_empty());
}
