use std::path::Path;
use std::time::Duration;

use arrow::datatypes::{DataType, Field, Schema};

use super::*;
use crate::observe::tap::Taps;
use crate::versions::fit::Target;
use crate::versions::reading::Reading;
use crate::versions::version::Origin;
use clickmill_config as config;
use clickmill_core::causes;
use clickmill_sandbox::{Engine, Library, Secrets};

/// A slot without plugins, whose table has a number in the place of the payload.
fn slot(cache: &Path) -> Slot {
    let target = Target::of_columns(r#"[{ "name": "payload", "type": "INTEGER" }]"#);
    let config = config::Swap {
        watch: None,
        watch_interval: Duration::ZERO,
        state: None,
        fleet: None,
        fleet_interval: Duration::from_secs(5),
        fleet_deadline: Duration::from_secs(120),
        fleet_canary_replicas: 0.0,
        components: config::ComponentLimits::default(),
        shadow_batches: 0,
        canary_share: 1.0,
        canary: Duration::ZERO,
        probation: Duration::ZERO,
        rules: config::Rules {
            window_rows: 1,
            min_rows: 1,
            max_rejected_increase: 0.0,
            max_filtered_increase: 0.0,
            max_changed_share: 1.0,
            max_routed_change: 0.1,
            max_fault_increase: 0.0,
            max_fuel_ratio: 1.0,
        },
    };
    let engine = Engine::new(cache).expect("an engine");
    let library = Library::load(&engine, &[]).expect("no plugins");
    let reading =
        Reading { plugins: Vec::new(), library: library.clone(), secrets: Secrets::new() };
    Slot::new(target, config, library, reading, Origin::default()).0
}

#[test]
fn a_batch_that_cannot_be_made_says_why() {
    let cache = tempfile::tempdir().expect("a folder");
    let (slot, taps) = (slot(cache.path()), Taps::default());
    // Fitted to other columns than messages have, as no pipeline does.
    let columns = Arc::new(Schema::new(vec![Field::new("payload", DataType::Int64, true)]));
    let name = "pubsub:clicks".into();
    let decoding =
        Decoding { columns: &columns, name: &name, max_record_bytes: 100, payload: Payload::Text };
    let message = Message {
        id: "1".to_owned(),
        publish_time: Micros::default(),
        ordering_key: String::new(),
        attributes: Vec::new(),
    };
    let messages = vec![(Arc::new(message), Bytes::from("a record"))];
    let batch = Messages { number: 0, messages, ingest_time: Micros::default() };
    let made = transform(&mut Worker::new(&slot, &taps), &slot, &decoding, batch);
    let error = made.err().expect("columns do not fit");
    let told = causes(&error);
    assert!(told.starts_with("a worker failed on a batch, its messages are released: "), "{told}");
    assert!(told.contains("Int64") && told.contains("Utf8"), "{told}");
}
