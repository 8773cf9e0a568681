//! What `clickmill permissions` says a pipeline needs, in each of its forms.

use std::process::Command;

use serde_json::Value as Json;

use crate::support::root;

const PIPELINES: [(&str, &[&str]); 6] = [
    ("stream_gcp.toml", &[]),
    (
        "stream_gcp.toml",
        &["source.create_from_topic=projects/other-project/topics/clicks", PSEUDONYM, NETWORK],
    ),
    (
        "stream_gcp.toml",
        &["dead_letter.table=refused.letters", "sink.missing_tables=refuse", NETWORK],
    ),
    ("batch_gcp.toml", &[PSEUDONYM]),
    ("batch.toml", &["source.uri=gs://shop-input/*.csv.gz"]),
    ("stream_gcp.toml", &[FLEET]),
];
const FLEET: &str = "swap.fleet=gs://shop-fleets/clicks/";
const PSEUDONYM: &str =
    "sink.policy_tags.pseudonym=projects/tags/locations/eu/taxonomies/5/policyTags/71";
const NETWORK: &str =
    "sink.policy_tags.network=projects/tags/locations/eu/taxonomies/5/policyTags/72";

#[track_caller]
fn permissions(pipeline: &str, set: &[&str], more: &[&str], warehouse: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_clickmill"));
    command.arg("permissions").arg(root().join("host/pipelines").join(pipeline)).args(more);
    for set in set {
        command.args(["--set", set]);
    }
    let output = command
        .env("CLICKMILL_WAREHOUSE", warehouse)
        .env("GOOGLE_CLOUD_PROJECT", "shop-project")
        .env("CLICKSTREAM_BUCKET", "shop-bucket")
        .env_remove("CLICKMILL_SUBSCRIPTION")
        .env_remove("CLICKMILL_TOPIC")
        .output()
        .expect("the binary starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{pipeline} {set:?}: {errors}");
    String::from_utf8(output.stdout).expect("text")
}

fn json(pipeline: &str, set: &[&str], warehouse: &str) -> Json {
    let text = permissions(pipeline, set, &["--json"], warehouse);
    serde_json::from_str(&text).expect("JSON")
}

fn grants(of: &Json) -> &[Json] {
    of["grants"].as_array().expect("a list")
}

/// Role and the parts of the resource's name.
fn names(grant: &Json) -> Vec<&str> {
    let on = grant["on"].as_object().expect("an object");
    let parts = on.iter().filter(|(key, _)| *key != "kind").map(|(_, part)| part);
    parts.chain([&grant["role"]]).map(|name| name.as_str().expect("text")).collect()
}

#[test]
fn a_stream_from_pubsub_to_bigquery_as_a_table() {
    insta::assert_snapshot!(permissions("stream_gcp.toml", &[], &[], "warehouse"));
}

#[test]
fn a_stream_from_pubsub_to_bigquery_as_terraform() {
    let terraform = ["--format", "terraform"];
    insta::assert_snapshot!(permissions("stream_gcp.toml", &[], &terraform, "warehouse"));
}

#[test]
fn a_stream_from_pubsub_to_bigquery_as_a_shell_script() {
    let gcloud = ["--format", "gcloud"];
    insta::assert_snapshot!(permissions("stream_gcp.toml", &[], &gcloud, "warehouse"));
}

#[test]
fn a_load_from_cloud_storage_to_bigquery_as_a_table() {
    insta::assert_snapshot!(permissions("batch_gcp.toml", &[], &[], "warehouse"));
}

#[test]
fn policy_tags_want_more_of_the_host_and_are_opened_one_by_one() {
    let set = [PSEUDONYM, NETWORK];
    insta::assert_snapshot!(permissions("stream_gcp.toml", &set, &[], "warehouse"));
}

#[test]
fn a_pipeline_of_this_machine_needs_nothing() {
    for form in ["table", "terraform", "gcloud"] {
        let text = permissions("stream.toml", &[], &["--format", form], "warehouse");
        let said = "Pipeline `clicks-stream` needs nothing on Google Cloud.";
        assert_eq!(text.lines().last().map(|line| line.trim_start_matches("# ")), Some(said));
    }
    assert!(grants(&json("stream.toml", &[], "warehouse")).is_empty());
}

#[test]
fn every_form_names_every_role_and_what_it_is_on() {
    for (pipeline, set) in PIPELINES {
        let warehouse = "gs://shop-warehouse/tables";
        let access = json(pipeline, set, warehouse);
        let printed = |form| permissions(pipeline, set, &["--format", form], warehouse);
        let (table, terraform, gcloud) =
            (printed("table"), printed("terraform"), printed("gcloud"));
        assert!(!grants(&access).is_empty());
        for grant in grants(&access) {
            let all_in = |text: &str| names(grant).iter().all(|name| text.contains(name));
            assert!(table.lines().any(all_in), "{grant}\n{table}");
            let mut commands = gcloud.lines().filter(|line| !line.starts_with('#'));
            assert!(commands.any(all_in), "{grant}\n{gcloud}");
            assert!(terraform.split("\nresource ").any(all_in), "{grant}\n{terraform}");
        }
        let blocks = terraform.matches("\n  role ").count();
        assert_eq!(blocks, grants(&access).len(), "{terraform}");
    }
}

#[test]
fn readers_are_never_given_what_holds_dead_letters() {
    for (pipeline, set) in PIPELINES {
        for grant in grants(&json(pipeline, set, "gs://shop-warehouse/tables")) {
            let (on, role) = (&grant["on"], &grant["role"]);
            if grant["who"] == "readers" {
                let opens = on["kind"] == "project" && role != "roles/bigquery.jobUser"
                    || on["kind"] == "bucket"
                    || on["kind"] == "dataset" && on["dataset"] != "clickstream_analytics_masked"
                    || on["table"] == "dead_letter"
                    || on["table"] == "letters";
                assert!(!opens, "{pipeline}: {grant}");
            }
        }
    }
}

#[test]
fn replicas_meet_in_a_bucket_that_the_host_alone_writes_to() {
    let of_place = |warehouse: &str, set: &[&str]| -> Vec<String> {
        let access = json("stream_gcp.toml", set, warehouse);
        let of_place = grants(&access).iter().filter(|grant| names(grant).contains(&"shop-fleets"));
        of_place.map(|grant| format!("{} {}", grant["who"], names(grant).join(" "))).collect()
    };
    let wanted = ["\"host\" shop-fleets roles/storage.objectUser"];
    assert_eq!(of_place("warehouse", &[FLEET]), wanted);
    assert!(of_place("warehouse", &[]).is_empty());
}

#[test]
fn a_column_without_a_policy_tag_is_left_out_unless_asked_for() {
    let readers_of = |set: &[&str]| json("stream_gcp.toml", set, "warehouse")["readers_of"].clone();
    assert_eq!(readers_of(&[]), "view");
    assert_eq!(readers_of(&[NETWORK]), "view");
    assert_eq!(readers_of(&[NETWORK, PSEUDONYM]), "table");
    let access = json("stream_gcp.toml", &[], "warehouse");
    assert_eq!(access["view"]["without"], serde_json::json!(["user_id", "ip"]));
    let sql = access["view"]["sql"].as_str().expect("text");
    assert!(!sql.contains("`user_id`") && !sql.contains("`ip`") && sql.contains("`session_id`"));
}

#[test]
fn what_exists_is_not_created() {
    let set = ["sink.missing_tables=refuse", PSEUDONYM];
    let creating = ["roles/bigquery.user", "roles/bigquery.dataOwner", "roles/datacatalog.viewer"];
    for grant in grants(&json("batch_gcp.toml", &set, "warehouse")) {
        assert!(!creating.contains(&grant["role"].as_str().expect("text")), "{grant}");
    }
}

#[test]
fn a_member_is_checked_and_nobody_opens_a_table_to_everybody() {
    for (member, fine) in [
        ("serviceAccount:mill@shop-project.iam.gserviceaccount.com", true),
        ("allUsers", false),
        ("allAuthenticatedUsers", false),
        ("analysts@shop.example", false),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_clickmill"));
        let stream = root().join("host/pipelines/stream.toml");
        let output = command
            .arg("permissions")
            .arg(stream)
            .args(["--readers", member])
            .output()
            .expect("the binary starts");
        assert_eq!(output.status.code(), Some(if fine { 0 } else { 2 }), "{member}");
    }
}

#[test]
fn tables_of_routes_are_written_and_read_as_the_pipelines_own() {
    let schema = root().join("schemas/clicks_raw.json");
    let routes = format!(
        "sink.route=[{{table=\"clickstream_analytics.purchases\",schema=\"{0}\",where=\"event_type = 'purchase'\"}},{{table=\"robots.visits\",schema=\"{0}\",where=\"is_bot\"}}]",
        schema.display()
    );
    let access = json("stream_gcp.toml", &[&routes], "warehouse");
    let has = |who: &str, role: &str, name: &str| {
        let is_it = |grant: &&Json| {
            grant["who"] == who && names(grant).contains(&role) && names(grant).contains(&name)
        };
        grants(&access).iter().filter(is_it).count()
    };
    for dataset in ["clickstream_analytics", "robots"] {
        assert_eq!(has("host", "roles/bigquery.dataEditor", dataset), 1, "{access:#}");
        let masked = format!("{dataset}_masked");
        assert_eq!(has("readers", "roles/bigquery.dataViewer", &masked), 1, "{access:#}");
    }
    for table in ["clicks_raw", "purchases", "visits"] {
        assert_eq!(has("readers", "roles/bigquery.dataViewer", table), 1, "{access:#}");
    }
    let views = access["views"].as_array().expect("a list");
    let named: Vec<&str> = views.iter().map(|view| view["name"].as_str().expect("text")).collect();
    let masked = "clickstream_analytics_masked";
    let wanted = [format!("{masked}.clicks_raw"), format!("{masked}.purchases")];
    assert_eq!(named[..2], wanted);
    assert_eq!(named[2], "robots_masked.visits");
    let terraform = permissions("stream_gcp.toml", &[&routes], &["--format", "terraform"], "w");
    for (block, times) in [
        ("resource \"google_bigquery_dataset\" \"masked\"", 1),
        ("resource \"google_bigquery_dataset\" \"masked_2\"", 0),
        ("resource \"google_bigquery_dataset\" \"masked_3\"", 1),
        ("resource \"google_bigquery_table\" \"masked\"", 1),
        ("resource \"google_bigquery_table\" \"masked_2\"", 1),
        ("resource \"google_bigquery_table\" \"masked_3\"", 1),
    ] {
        assert_eq!(terraform.matches(block).count(), times, "{block} in\n{terraform}");
    }
    let script = permissions("stream_gcp.toml", &[&routes], &["--format", "gcloud"], "w");
    assert_eq!(script.matches("CREATE OR REPLACE VIEW").count(), 3, "{script}");
}
