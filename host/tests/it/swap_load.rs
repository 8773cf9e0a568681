//! Hundreds of swaps, good and bad, under load and through kills: rows are conserved, every row was made
//! by the plugins that it names, no batch is mixed, and old plugins are freed.

use bytes::Bytes;
use clickmill_config::Payload;
use clickmill_core::Micros;
use clickmill_core::batch::Message;
use clickmill_decode::messages;
use clickmill_pipeline::SetStore;
use clickmill_sandbox::{ChainWorker, Engine, Library, Secrets};
use serde_json::{Value as Json, json};

use crate::cloud::wait_until;
use crate::live::{Live, hostile};
use crate::support::{Scratch, agent, cache};

/// Asked for between kills; the variable makes them more, and the stream faster.
const SWAPS: u64 = 60;
const SWAPS_VARIABLE: &str = "CLICKMILL_TEST_SWAPS";
const KILLS: usize = 3;
/// Rows of the last life.
const ROWS: u64 = 20_000;

fn swap(live: &Live, body: &Json) -> u16 {
    let request = agent().post(format!("http://{}/v1/plugins/swap", live.admin));
    let request = request.header("authorization", &live.at.bearer);
    request.send_json(body).unwrap().status().as_u16()
}

fn config(config: Json) -> Json {
    json!({ "actor": "test", "changes": { "hostile": { "config": config } } })
}

#[test]
fn hundreds_of_swaps_under_load_lose_double_and_mix_nothing() {
    let scratch = Scratch::new();
    let pipeline = hostile(&scratch, "swap = { shadow_batches = 2, min_rows = 200 }");
    let (mut taken, mut refused, mut rows_in) = (0, 0, 0);
    let mut number = 0;
    let more = std::env::var(SWAPS_VARIABLE).ok().and_then(|swaps| swaps.parse().ok());
    let rate = if more.is_some() { "source.rate=400000" } else { "source.rate=20000" };
    for life in 0..=KILLS {
        let mut live = Live::start(&scratch, &pipeline, &["--set", rate]);
        for _ in 0..more.unwrap_or(SWAPS) {
            number += 1;
            let tag = format!("v{number}");
            let status = match number % 5 {
                // The shadow run sees that it rejects half.
                0 => swap(&live, &config(json!({ "misdeed": "turn", "bad_from": 0 }))),
                // It is not even configured.
                1 => swap(&live, &config(json!({ "misdeed": "refuse_config" }))),
                2 => {
                    let mut body = config(json!({ "misdeed": "tag", "tag": tag }));
                    (body["canary_share"], body["canary_secs"]) = (json!(0.3), json!(0.1));
                    swap(&live, &body)
                }
                _ => swap(&live, &config(json!({ "misdeed": "tag", "tag": tag }))),
            };
            match status {
                200 => taken += 1,
                409 => refused += 1,
                other => panic!("swap {number} is answered {other}: {}", live.talk()),
            }
        }
        if life < KILLS {
            live.child.kill().unwrap();
            live.child.wait().unwrap();
            continue;
        }
        live.wait_for_more_rows_than(ROWS);
        let summary = live.end();
        rows_in = summary["rows_in"].as_u64().unwrap();
        let pause = &summary["stream"]["pause_p99_us"];
        eprintln!("{taken} swaps taken, {refused} refused, pause {pause} us at p99");
    }
    // One that is checked while the canary before it takes over is refused, too.
    assert!(taken >= 80 && refused >= 50, "{taken} taken, {refused} refused");
    assert!(rows_in > ROWS, "{rows_in} rows in the last life");
    let count = |sql: &str| scratch.number(sql);
    let rows = count("SELECT COUNT(*) FROM test.out");
    assert_eq!(count("SELECT COUNT(DISTINCT message_id) FROM test.out"), rows);
    // Right after a start there are no batches to try a set on: the bad one begins, and is rolled back.
    let turned = "SELECT COUNT(*) FROM test.dead_letter WHERE code = 'turned'";
    assert_eq!(count("SELECT COUNT(*) FROM test.dead_letter"), count(turned));
    // Each row has the tag that its plugin set was configured with.
    let strange = "SELECT COUNT(*) FROM test.out AS made JOIN test.plugin_sets AS sets \
        ON sets.plugin_set = made.plugin_set \
        WHERE sets.config LIKE '%\"misdeed\":\"tag\"%' \
        AND STRPOS(sets.config, CONCAT('\"tag\":\"', SPLIT(made.out, '|')[SAFE_OFFSET(0)], '\"')) = 0";
    let found =
        strange.replace("COUNT(*)", "made.plugin_set, SUBSTR(made.out, 1, 20), sets.config");
    assert_eq!(count(strange), 0, "{:#?}", scratch.query(&format!("{found} LIMIT 3")));
    let unknown = "SELECT COUNT(*) FROM test.out \
        WHERE plugin_set NOT IN (SELECT plugin_set FROM test.plugin_sets)";
    assert_eq!(count(unknown), 0);
    let mixed = "SELECT COUNT(*) FROM (SELECT ingested_at FROM test.out GROUP BY ingested_at \
        HAVING COUNT(DISTINCT plugin_set) > 1) AS mixed";
    assert_eq!(count(mixed), 0);
    sample_is_made_again(&scratch);
}

/// Runs some rows of some sets through those sets, as they were kept.
fn sample_is_made_again(scratch: &Scratch) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let state = format!("{}/_state", scratch.warehouse());
    let store = SetStore::open(&state, runtime.handle()).unwrap();
    let engine = Engine::new(&cache()).unwrap();
    let pipeline = clickmill_config::read(&scratch.path("hostile.toml"), &[]).unwrap();
    let file = Library::load(&engine, &pipeline.plugins).unwrap();
    // A bad set that had begun before it was rolled back has rows too, and rejects every second one again.
    let sets = scratch.query(
        "SELECT DISTINCT made.plugin_set FROM test.out AS made JOIN test.plugin_sets AS sets \
         ON sets.plugin_set = made.plugin_set WHERE sets.config LIKE '%\"misdeed\":\"tag\"%' \
         ORDER BY made.plugin_set LIMIT 12",
    );
    assert_eq!(sets.len(), 12);
    for set in sets {
        let digest = set["plugin_set"].as_str().unwrap();
        let sql =
            format!("SELECT out FROM test.out AS made WHERE plugin_set = '{digest}' LIMIT 20");
        let wanted: Vec<String> =
            scratch.query(&sql).iter().map(|row| row["out"].as_str().unwrap().to_owned()).collect();
        let library = store.restore(&file, &store.set(digest).unwrap()).unwrap();
        let chain = library.configure(&messages::schema(Payload::Text), &Secrets::new()).unwrap();
        let given = wanted.iter().map(|out| {
            let payload = out.split_once('|').map_or(out.as_str(), |(_, payload)| payload);
            let message = Message {
                id: String::new(),
                publish_time: Micros::default(),
                ordering_key: String::new(),
                attributes: Vec::new(),
            };
            (std::sync::Arc::new(message), Bytes::from(payload.to_owned()))
        });
        let decoded = messages::decode(
            given.collect(),
            "again".into(),
            1 << 20,
            Payload::Text,
            Micros::default(),
        )
        .unwrap();
        let made = ChainWorker::new(&chain).run(decoded.batch).unwrap();
        let out = made.batch.columns.column_by_name("out").unwrap();
        let out = arrow::array::AsArray::as_string::<i32>(out).iter().flatten();
        assert_eq!(out.collect::<Vec<_>>(), wanted, "{digest}");
    }
}

#[test]
fn old_versions_are_freed() {
    let scratch = Scratch::new();
    // No probation: what is replaced is let go at once.
    let pipeline = hostile(&scratch, "swap = { probation_secs = 0.0 }");
    // Few rows: the ids of those written lately take memory too.
    let slow = ["--set", "source.rate=3000", "--set", "batch.max_rows=100"];
    let live = Live::start(&scratch, &pipeline, &slow);
    live.wait_for_rows(1, 1000);
    let resident = || {
        let text = std::fs::read_to_string(format!("/proc/{}/status", live.child.id())).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap().trim();
        line.split(' ').next().unwrap().parse::<u64>().unwrap()
    };
    // Each is another component: the same with other bytes of no meaning at its end.
    let component = std::fs::read(crate::support::component("host/tests/hostile")).unwrap();
    let mut after = Vec::new();
    // It grows at first: threads, caches, pools. Then, what is least of thirty swaps counts: packing files,
    // or a swap under way, takes some for a moment.
    let least = |part: &[u64]| part.iter().min().copied().unwrap();
    let grown = |after: &[u64]| {
        let (before, now) = after[after.len() - 60..].split_at(30);
        let (before, now) = (least(before), least(now));
        eprintln!("at least {before} kB, then {now} kB");
        now >= before + before / 10
    };
    for number in 0..150_u8 {
        // What is never freed grows on; what a busy machine frees late does not.
        if number >= 60 && number % 30 == 0 && !grown(&after) {
            break;
        }
        let mut bytes = component.clone();
        bytes.extend([0, 5, 1, b'n', number, 0, 0]);
        let path = scratch.write("next.wasm", bytes).to_string_lossy().into_owned();
        live.swap(&scratch, &[&format!("hostile={path}")]).unwrap();
        wait_until("rows of the new version", || {
            live.history().last().is_some_and(|version| version["rows"].as_u64() > Some(300))
        });
        after.push(resident());
    }
    live.end();
    assert!(!grown(&after), "memory grows with swaps, by a tenth in thirty of them");
}
