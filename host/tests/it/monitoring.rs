//! What a running pipeline tells its keepers: metrics, health, traces, rows as they pass.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use clickmill_telemetry::metrics::{self, Kind};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde_json::{Value as Json, json};

use crate::cloud::wait_until;
use crate::live::{Live, clicks};
use crate::support::{Scratch, agent, installed, not_run, root};

/// The sum of a metric's samples.
fn sum(text: &str, name: &str) -> f64 {
    let samples = text.lines().filter(|line| {
        line.starts_with(&format!("{name}{{")) || line.starts_with(&format!("{name} "))
    });
    samples.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

/// The names that Prometheus is told.
fn told() -> BTreeSet<String> {
    let names = |metric: &metrics::Metric| match metric.kind {
        Kind::Counter => vec![format!("{}_total", metric.name)],
        Kind::Gauge => vec![metric.name.to_owned()],
        Kind::Histogram => {
            ["_bucket", "_sum", "_count", ""].map(|end| format!("{}{end}", metric.name)).into()
        }
    };
    metrics::ALL.iter().flat_map(names).collect()
}

#[test]
fn metrics_tell_all_that_the_list_names_and_rows_are_conserved() {
    let scratch = Scratch::new();
    let live = Live::start(&scratch, &clicks(), &["--set", "source.rate=5000"]);
    live.wait_for_rows(1, 10_000);
    // From here on an address that can't be read is null, and counted.
    live.swap(&scratch, &["--config", "mask.key_id=k2", "--config", "mask.unreadable=\"null\""])
        .unwrap();
    live.wait_for_rows(2, 5000);
    wait_until("a value that can't be read", || {
        live.at.get("/metrics").1.contains(metrics::PLUGIN_UNREADABLE.name)
    });
    let (status, found) = live.at.get("/metrics");
    assert_eq!(status, 200);
    for metric in metrics::ALL {
        assert!(found.contains(&format!("# HELP {}", metric.name)), "{} in\n{found}", metric.name);
    }
    let samples = found.lines().filter(|line| !line.starts_with('#'));
    for line in samples.clone() {
        assert!(line.contains("pipeline=\"clicks-stream\""), "{line}");
    }
    let names: BTreeSet<&str> =
        samples.map(|line| line.split(['{', ' ']).next().unwrap()).collect();
    let unknown: Vec<_> = names.iter().filter(|name| !told().contains(**name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    let rows = |name: &str| sum(&found, &format!("clickmill_rows_{name}_total"));
    let done = rows("out") + rows("rejected") + rows("filtered");
    assert!(rows("out") >= 10_000.0 && rows("rejected") > 0.0 && rows("in") >= done, "{found}");
    assert_eq!(sum(&found, "clickmill_swaps_total"), 1.0);
    assert!(sum(&found, "clickmill_plugin_memory_bytes") >= 4.0 * 65_536.0);
    assert!(sum(&found, "clickmill_latency_seconds_count") > 10_000.0);
    // And once it has ended, as its summary says.
    let (_, status) = live.at.get("/v1/status");
    let status: Json = serde_json::from_str(&status).unwrap();
    assert_eq!(status["plugins"].as_array().unwrap().len(), 4);
    assert!(status["rates"]["rows_out"].as_f64() > Some(100.0), "{status:#}");
    let (_, series) = live.at.get("/v1/series");
    let series: Json = serde_json::from_str(&series).unwrap();
    let moments = series["times"].as_array().unwrap().len();
    assert!(moments > 0);
    assert_eq!(series["plugins"]["mask"]["fuel_per_million"].as_array().unwrap().len(), moments);
    live.end();
}

#[test]
fn dashboards_alerts_and_the_list_name_the_metrics_that_there_are() {
    let folder = root().join("host/monitoring");
    let names = regex::Regex::new(r"clickmill_[a-z_]+").unwrap();
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let mut used = BTreeSet::new();
    for file in ["grafana.json", "alerts.yml", "README.md"] {
        for name in names.find_iter(&read(file)) {
            assert!(told().contains(name.as_str()), "{file} names {}", name.as_str());
            if file == "grafana.json" {
                used.insert(name.as_str().to_owned());
            }
        }
    }
    let list = read("README.md");
    for metric in metrics::ALL {
        let name = match metric.kind {
            Kind::Counter => format!("{}_total", metric.name),
            _ => metric.name.to_owned(),
        };
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let line = format!("| `{name}` | {} | {} |", labels.join(", "), metric.about);
        assert!(list.contains(&line), "README.md lacks {line}");
        assert!(used.iter().any(|used| used.starts_with(metric.name)), "no panel shows {name}");
    }
    let rules = folder.join("alerts.yml");
    match installed("promtool", &["prometheus"]) {
        Some(promtool) => {
            let mut command = std::process::Command::new(&promtool);
            let output = command.args(["check", "rules"]).arg(&rules).output().unwrap();
            assert!(output.status.success(), "{output:?}");
            let readme = std::fs::read_to_string(folder.join("README.md")).unwrap();
            let blocks = crate::readme::blocks(&readme).into_iter();
            let scrape = blocks.filter(|block| block.language == "yaml").map(|block| block.text);
            let mut config = tempfile::NamedTempFile::new().unwrap();
            config.write_all(scrape.collect::<String>().as_bytes()).unwrap();
            let mut command = std::process::Command::new(&promtool);
            let output = command.args(["check", "config"]).arg(config.path()).output().unwrap();
            assert!(output.status.success(), "{output:?}");
        }
        None => {
            not_run("promtool check rules", "Prometheus is missing: `apt-get install prometheus`")
        }
    }
}

#[test]
fn a_pipeline_whose_table_is_away_is_not_ready_and_says_why() {
    let scratch = Scratch::new();
    let set = ["--set", "admin.max_freshness_secs=1"];
    let live = Live::start(&scratch, &clicks(), &set);
    live.wait_for_rows(1, 500);
    wait_until("ready", || live.at.get("/readyz") == (200, "ready\n".to_owned()));
    // Where small flushes go first.
    let table = scratch.path("warehouse/_log/clickstream_analytics/clicks_raw");
    let aside = scratch.path("aside");
    std::fs::rename(&table, &aside).unwrap();
    // No folder can be made here now.
    std::fs::write(&table, "").unwrap();
    wait_until("not ready", || live.at.get("/readyz").0 == 503);
    wait_until("both reasons", || {
        let (_, why) = live.at.get("/readyz");
        why.contains("the table has not taken rows for")
            && why.contains("the newest durable message was published")
    });
    assert_eq!(live.at.get("/healthz").0, 200);
    assert_eq!(sum(&live.at.get("/metrics").1, "clickmill_ready"), 0.0);
    let top = scratch.done(&["top", "--admin", &live.admin]);
    assert!(top.contains("NOT READY") && top.contains("has not taken rows"), "{top}");
    std::fs::remove_file(&table).unwrap();
    std::fs::rename(&aside, &table).unwrap();
    wait_until("ready again", || live.at.get("/readyz").0 == 200);
    let rows = live.end();
    let kept = scratch.number("SELECT COUNT(*) FROM clickstream_analytics.clicks_raw");
    assert_eq!(rows["rows_out"], kept);
}

#[test]
fn letters_that_wait_in_the_spool_are_counted_and_too_long_a_wait_is_not_ready() {
    let scratch = Scratch::new();
    let set = [
        "dead_letter.spool_max_wait_secs=1",
        "dead_letter.max_rejected_share=1.0",
        "source.bad=20%",
        "source.rate=1000",
    ];
    let set: Vec<&str> = set.into_iter().flat_map(|set| ["--set", set]).collect();
    let live = Live::start(&scratch, &clicks(), &set);
    live.wait_for_rows(1, 500);
    let spooled = || sum(&live.at.get("/metrics").1, "clickmill_spool_letters");
    assert_eq!(spooled(), 0.0);
    let table = scratch.path("warehouse/_log/clickstream_analytics/dead_letter");
    let aside = scratch.path("aside");
    std::fs::rename(&table, &aside).unwrap();
    std::fs::write(&table, "").unwrap();
    wait_until("letters in the spool", || spooled() > 0.0);
    wait_until("not ready", || {
        let (status, why) = live.at.get("/readyz");
        status == 503 && why.contains("dead letters wait in the spool, the oldest for")
    });
    assert!(sum(&live.at.get("/metrics").1, "clickmill_spool_oldest_seconds") > 0.0);
    wait_until("it is told", || live.talk().contains("letters stay in the spool"));
    std::fs::remove_file(&table).unwrap();
    std::fs::rename(&aside, &table).unwrap();
    wait_until("an empty spool", || spooled() == 0.0);
    wait_until("ready again", || live.at.get("/readyz").0 == 200);
    let summary = live.end();
    let letters = "SELECT COUNT(*) FROM clickstream_analytics.dead_letter";
    assert_eq!(summary["rows_rejected"], scratch.number(letters));
}

#[test]
fn a_tap_shows_rows_in_their_last_form_and_sensitive_ones_only_where_revealed() {
    let scratch = Scratch::new();
    let live = Live::start(&scratch, &clicks(), &["--set", "source.rate=5000"]);
    let tap = |arguments: &[&str]| -> Vec<Json> {
        let tap = ["tap", "--admin", &live.admin];
        let lines = scratch.done(&[&tap[..], arguments].concat());
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let last = tap(&["--limit", "20", "--where", "event_type = 'product_view'"]);
    assert_eq!(last.len(), 20);
    for row in &last {
        assert_eq!(row["event_type"], "product_view");
        assert_eq!(row["payload"], "(hidden)");
        assert!(row["user_id"].is_null() || row["user_id"] == "(hidden)", "{row}");
        assert!(row["url"].as_str().is_none_or(|url| url.starts_with("http")), "{row}");
    }
    // Before mask, what mask still writes is hidden.
    let early = tap(&["parse", "--limit", "5"]);
    assert!(early.iter().all(|row| row["url"].is_null() || row["url"] == "(hidden)"), "{early:?}");
    assert!(early.iter().all(|row| row["event_type"] != "(hidden)"), "{early:?}");
    let rejected = tap(&["--rejected", "--limit", "3"]);
    assert!(rejected.iter().all(|row| row["code"].is_string() && row["payload"] == "(hidden)"));
    for (arguments, wanted) in [
        (vec!["nowhere"], "there is no stage `nowhere`, wanted one of `parse`"),
        (vec!["--where", "event_type = = 1"], "condition `event_type = = 1`"),
        (vec!["--where", "no_such_column = 1"], "no_such_column"),
        (vec!["--where", "COUNTIF(price > 1)"], "condition `COUNTIF(price > 1)`"),
    ] {
        let output = scratch.run(&[&["tap", "--admin", &live.admin][..], &arguments].concat());
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert!(error.contains(wanted), "{error}");
    }
    // A reader that takes nothing does not hold the pipeline up.
    let tap = agent().get(format!("http://{}/v1/tap", live.admin));
    let tap = tap.header("authorization", &live.at.bearer).call().unwrap();
    let mut idle = tap.into_body().into_reader();
    idle.read_exact(&mut [0; 1]).unwrap();
    let rows = live.history()[0]["rows"].as_u64().unwrap();
    live.wait_for_rows(1, rows + 20_000);
    live.end();

    let live =
        Live::start(&scratch, &clicks(), &["--set", "admin.reveal=[\"user_id\", \"payload\"]"]);
    let lines = scratch.done(&["tap", "--admin", &live.admin, "--limit", "20"]);
    assert!(lines.contains("\"user_id\":\"k1_") || lines.contains("\"user_id\":\"k1"), "{lines}");
    live.end();
}

#[test]
fn top_shows_the_flow_the_plugins_and_the_versions() {
    let scratch = Scratch::new();
    let live = Live::start(&scratch, &clicks(), &["--set", "source.rate=5000"]);
    live.wait_for_rows(1, 5000);
    let shown = scratch.done(&["top", "--admin", &live.admin]);
    for wanted in [
        " READY ",
        "clicks-stream",
        "freshness",
        "validate",
        "fuel/million",
        "current",
        "rejected by stage and code",
    ] {
        assert!(shown.contains(wanted), "{wanted} in\n{shown}");
    }
    let json: Json =
        serde_json::from_str(&scratch.done(&["top", "--json", "--admin", &live.admin])).unwrap();
    assert_eq!((&json["pipeline"], &json["ready"]), (&json!("clicks-stream"), &json!(true)));
    live.end();
    let gone = scratch.run(&["top", "--admin", "127.0.0.1:9"]);
    assert_eq!(gone.status.code(), Some(3));
}

#[test]
fn metrics_and_traces_go_to_the_collector_that_is_configured() {
    type Bodies = Arc<Mutex<Vec<(String, Bytes)>>>;
    async fn take(State(bodies): State<Bodies>, uri: axum::http::Uri, body: Bytes) {
        bodies.lock().unwrap().push((uri.path().to_owned(), body));
    }
    let bodies = Bodies::default();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let router = Router::new()
        .route("/v1/metrics", post(take))
        .route("/v1/traces", post(take))
        .with_state(bodies.clone());
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    runtime.spawn(async move { axum::serve(listener, router).await });

    let scratch = Scratch::new();
    let environment = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str())];
    let live = Live::start_with(&scratch, &clicks(), &["--set", "source.rate=5000"], &environment);
    live.wait_for_rows(1, 5000);
    let summary = live.end();
    let bodies = bodies.lock().unwrap();
    let of = |path: &str| {
        bodies.iter().filter(|(at, _)| at == path).map(|(_, body)| body.clone()).collect::<Vec<_>>()
    };
    let sent: Vec<_> = of("/v1/metrics")
        .into_iter()
        .map(|body| ExportMetricsServiceRequest::decode(body).unwrap())
        .flat_map(|request| request.resource_metrics)
        .collect();
    let names: BTreeSet<&str> = sent
        .iter()
        .flat_map(|resource| &resource.scope_metrics)
        .flat_map(|scope| &scope.metrics)
        .map(|metric| metric.name.as_str())
        .collect();
    // Nothing is unreadable without the setting.
    for metric in metrics::ALL.iter().filter(|m| m.name != metrics::PLUGIN_UNREADABLE.name) {
        assert!(names.contains(metric.name), "{} is not sent", metric.name);
    }
    let spans: Vec<_> = of("/v1/traces")
        .into_iter()
        .map(|body| ExportTraceServiceRequest::decode(body).unwrap())
        .flat_map(|request| request.resource_spans)
        .flat_map(|resource| resource.scope_spans)
        .flat_map(|scope| scope.spans)
        .collect();
    let named = |name: &str| spans.iter().filter(|span| span.name == name).collect::<Vec<_>>();
    let (batches, stages, deliveries) = (named("batch"), named("stage"), named("deliver"));
    assert!(!batches.is_empty() && summary["rows_in"].as_u64() > Some(5000));
    assert_eq!(stages.len(), 4 * batches.len());
    assert!(stages.iter().all(|stage| batches.iter().any(|b| b.span_id == stage.parent_span_id)));
    // Each batch is delivered, and the delivery says which it was.
    let linked: BTreeSet<_> =
        deliveries.iter().flat_map(|span| &span.links).map(|link| link.span_id.clone()).collect();
    assert!(batches.iter().all(|batch| linked.contains(&batch.span_id)));
}
