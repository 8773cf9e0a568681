//! Who may change plugins, which plugins are trusted, and what the host checks of what they promise.

use serde_json::Value as Json;

use crate::live::{Live, clicks};
use crate::support::{Scratch, agent, component, root, talk};

/// A pipeline of the clicks stream whose plugins are files in the scratch folder.
pub(crate) fn with_files(scratch: &Scratch) -> String {
    let text = std::fs::read_to_string(clicks()).unwrap();
    let mut text = text.replace("../../schemas", &root().join("schemas").to_string_lossy());
    for name in ["parse", "enrich", "mask", "validate"] {
        let file = scratch.path(&format!("{name}.wasm"));
        std::fs::copy(component(&format!("plugins/{name}")), &file).unwrap();
        let here = format!("component = \"{}\"", file.display());
        text = text.replace(&format!("component = \"../../plugins/{name}\""), &here);
    }
    scratch.write("clicks.toml", text).to_string_lossy().into_owned()
}

#[test]
fn a_pipeline_that_lists_keys_takes_nothing_unsigned_at_start_or_swap() {
    let scratch = Scratch::new();
    let pipeline = with_files(&scratch);
    scratch.done(&["plugin", "keygen", "--output", "release"]);
    scratch.done(&["plugin", "keygen", "--output", "other"]);
    let trusted = ["--set", "trust.keys=[\"release.pub\"]", "--set", "source.rows=1000"];
    let run = [&["run", &pipeline][..], &trusted].concat();
    let mut told = String::new();
    let mut refused = |what: &str| {
        let output = scratch.run(&run);
        assert_eq!(output.status.code(), Some(2));
        let text = talk(&output, &scratch);
        // A key's id is a random number.
        let text = text.split('`').enumerate().map(|(at, part)| {
            let is_id = part.len() == 16 && part.bytes().all(|b| b.is_ascii_hexdigit());
            format!("{}{}", if at > 0 { "`" } else { "" }, if is_id { "<key>" } else { part })
        });
        told.push_str(&format!("# {what}\n{}\n", text.collect::<String>()));
    };
    let files = ["parse.wasm", "enrich.wasm", "mask.wasm", "validate.wasm"];
    let sign = |key: &str, files: &[&str]| {
        scratch.done(&[&["plugin", "sign", "--key", key][..], files].concat());
    };
    refused("unsigned");
    sign("other.key", &files);
    refused("signed by another");
    sign("release.key", &files);
    scratch.done(&run);
    let mut bytes = std::fs::read(scratch.path("mask.wasm")).unwrap();
    bytes.extend([0, 4, 3, b'a', b'b', b'c']);
    std::fs::write(scratch.path("mask.wasm"), &bytes).unwrap();
    refused("changed after signing");
    sign("release.key", &files);
    insta::assert_snapshot!(told);

    let keys = ["--set", "trust.keys=[\"release.pub\"]"];
    let live = Live::start(&scratch, std::path::Path::new(&pipeline), &keys);
    live.wait_for_rows(1, 100);
    bytes.extend([0, 4, 3, b'a', b'b', b'd']);
    std::fs::create_dir_all(scratch.path("new")).unwrap();
    std::fs::write(scratch.path("new/mask.wasm"), &bytes).unwrap();
    let error = live.swap(&scratch, &["mask=new/mask.wasm"]).unwrap_err();
    assert!(error.contains("it has no signature"), "{error}");
    sign("release.key", &["new/mask.wasm"]);
    live.swap(&scratch, &["mask=new/mask.wasm"]).unwrap();
    live.wait_for_rows(2, 100);
    live.end();
}

#[test]
fn a_bound_signature_counts_for_its_stage_and_time_and_a_revoked_component_for_nothing() {
    let scratch = Scratch::new();
    let pipeline = with_files(&scratch);
    scratch.done(&["plugin", "keygen", "--output", "release"]);
    for name in ["parse", "enrich", "mask", "validate"] {
        let file = format!("{name}.wasm");
        scratch.done(&["plugin", "sign", "--key", "release.key", &file]);
    }
    let run = |more: &[&str]| {
        let trusted = ["--set", "trust.keys=[\"release.pub\"]", "--set", "trust.bind=true"];
        let few = ["--set", "source.rows=100", "--set", "source.rate=10000"];
        scratch.run(&[&["run", &pipeline][..], &trusted, &few, more].concat())
    };
    let refused = |output: &std::process::Output, why: &str| {
        let text = talk(output, &scratch);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(why), "{text}");
    };
    let whole = run(&[]);
    assert!(whole.status.success(), "{}", talk(&whole, &scratch));
    let later = ["--set", "trust.not_before=2999-01-01T00:00:00Z"];
    refused(&run(&later), "`trust.not_before` is 2999-01-01T00:00:00Z");
    let mask = scratch.done(&["plugin", "inspect", "--json", "mask.wasm"]);
    let mask: Json = serde_json::from_str(&mask).unwrap();
    let revoked = format!("trust.revoked=[{}]", mask["digest"]);
    refused(&run(&["--set", &revoked]), "`trust.revoked` lists its digest");
    // Revoked is revoked without keys too.
    let few = ["--set", "source.rows=100", "--set", &revoked];
    refused(&scratch.run(&[&["run", &pipeline][..], &few].concat()), "lists its digest");
    // One that is signed, in another's place.
    for ending in ["wasm", "wasm.minisig"] {
        let from = scratch.path(&format!("enrich.{ending}"));
        std::fs::copy(from, scratch.path(&format!("mask.{ending}"))).unwrap();
    }
    refused(&run(&[]), "it is signed for stage `enrich`, and the stage is `mask`");
    scratch.done(&["plugin", "sign", "--key", "release.key", "--stage", "mask", "mask.wasm"]);
    // It is trusted now, and knows nothing of what `mask` is configured to do.
    refused(&run(&[]), "refuses its configuration");
    // A comment of one's own goes along, and binds nothing by itself.
    std::fs::copy(component("plugins/mask"), scratch.path("mask.wasm")).unwrap();
    let sign = ["plugin", "sign", "--key", "release.key", "--comment", "release 7", "mask.wasm"];
    scratch.done(&sign);
    let signature = std::fs::read_to_string(scratch.path("mask.wasm.minisig")).unwrap();
    assert!(signature.contains("trusted comment: release 7\ttimestamp:"), "{signature}");
    assert!(signature.contains("\tstage:mask\tversion:"), "{signature}");
    let whole = run(&[]);
    assert!(whole.status.success(), "{}", talk(&whole, &scratch));
}

#[test]
fn the_admin_interface_lets_in_whoever_has_a_token_and_may_with_it() {
    let scratch = Scratch::new();
    scratch.write("token", "a token of more than sixteen bytes\n");
    let readers = ("READERS", "another of more than sixteen bytes");
    let set = ["--set", "admin.token_file=token", "--set", "admin.reader_token_env=READERS"];
    let live = Live::start_with(&scratch, &clicks(), &set, &[readers]);
    let history = ["plugin", "history", "--admin", &live.admin];
    // Whoever runs it is let in by what it has made.
    scratch.done(&history);
    // Another user of the machine finds nothing that would let in.
    let elsewhere = scratch.path("elsewhere");
    let by_another = |arguments: &[&str]| {
        let mut command = scratch.command(arguments);
        command.env("CLICKMILL_CACHE", &elsewhere);
        command
    };
    let output = by_another(&history).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let text = talk(&output, &scratch);
    assert!(text.contains("Authorization: Bearer") && text.contains("--token-file"), "{text}");
    let named = by_another(&[&history[..], &["--token-file", "token"]].concat()).output().unwrap();
    assert!(named.status.success(), "{}", talk(&named, &scratch));
    // A reader looks, and changes nothing.
    let reads = |arguments: &[&str]| {
        by_another(arguments).env("CLICKMILL_ADMIN_TOKEN", readers.1).output().unwrap()
    };
    let looked = reads(&["top", "--json", "--admin", &live.admin]);
    assert!(looked.status.success(), "{}", talk(&looked, &scratch));
    let before = live.history();
    let config = ["--config", "mask.key_id=k2", "--admin", &live.admin];
    for change in
        [&["plugin", "swap"][..], &["plugin", "swap", "--dry-run"], &["plugin", "rollback"]]
    {
        let arguments = match change {
            ["plugin", "rollback"] => [change, &config[2..]].concat(),
            _ => [change, &config].concat(),
        };
        let refused = reads(&arguments);
        assert_eq!(refused.status.code(), Some(3), "{change:?}");
        let text = talk(&refused, &scratch);
        assert!(text.contains("operator's token"), "{text}");
    }
    assert_eq!(live.history().len(), before.len());
    let wrong = by_another(&history).env("CLICKMILL_ADMIN_TOKEN", "another token").output();
    assert_eq!(wrong.unwrap().status.code(), Some(3));
    // Health needs none.
    let health = ureq::get(format!("http://{}/healthz", live.admin)).call().unwrap();
    assert_eq!(health.status(), 200);
    let said = live.talk();
    assert!(!said.contains("more than sixteen"), "a token is in the log: {said}");
    let (_, made) = live.at.bearer.split_once(' ').unwrap();
    assert!(!said.contains(made), "the token is in the log: {said}");
    assert!(said.contains("somebody was not let in"), "{said}");
    let mut live = live;
    live.child.kill().unwrap();
    live.child.wait().unwrap();
}

#[test]
fn without_a_token_in_the_file_one_is_made_and_wanted() {
    let scratch = Scratch::new();
    let live = Live::start(&scratch, &clicks(), &[]);
    let url = format!("http://{}/v1/plugins", live.admin);
    let ask = |headers: &[(&str, &str)]| {
        let request = headers
            .iter()
            .fold(agent().get(&url), |request, (name, value)| request.header(*name, *value));
        request.call().unwrap().status().as_u16()
    };
    let bearer = ("authorization", live.at.bearer.as_str());
    assert_eq!(ask(&[]), 401);
    assert_eq!(ask(&[("authorization", "Bearer ")]), 401);
    assert_eq!(ask(&[bearer]), 200);
    assert_eq!(ask(&[bearer, ("host", "localhost")]), 200);
    assert_eq!(ask(&[bearer, ("host", "attacker.example")]), 403);
    // A form can't send JSON without the browser asking first.
    let swap = format!("http://{}/v1/plugins/swap", live.admin);
    let form = agent().post(&swap).header("content-type", "text/plain");
    let form = form.header("authorization", &live.at.bearer).send("{\"changes\":{}}");
    assert_eq!(form.unwrap().status(), 415);
    live.end();
}

#[test]
fn a_sensitive_value_that_the_plugins_let_through_is_stopped() {
    let scratch = Scratch::new();
    let columns = |user: &str| {
        format!(
            "plugin.mask.config.columns={{ {user} ip = \"ip\", url = \"clean\", referrer = \"clean\", error_message = \"clean\", unknown_fields = \"clean\" }}"
        )
    };
    let pipeline = clicks();
    let set = ["source.rows=3000", "source.rate=100000", "source.bad=0%"];
    let summary = scratch.summary(&pipeline, &[&set[..], &[&columns("")]].concat());
    let stopped = summary["rejected_by"].as_array().unwrap();
    let unmasked = stopped.iter().find(|one| one["code"] == "unmasked").unwrap();
    assert_eq!(unmasked["stage"], "guard");
    let rows = "SELECT COUNT(user_id) FROM clickstream_analytics.clicks_raw";
    assert_eq!(scratch.number(rows), 0, "a raw user id is in the table");
    // Rows without a user have nothing to hide.
    assert_eq!(summary["rows_in"], 3000);
    let whole = Scratch::new().summary(&pipeline, &set);
    assert_eq!(whole["rows_rejected"], 0, "{whole:#}");

    // As a swap it does not even begin.
    let live = Live::start(
        &scratch,
        &pipeline,
        &["--set", "source.rate=20000", "--set", "batch.max_rows=500"],
    );
    live.wait_for_rows(1, 3000);
    let change = r#"mask.columns={"ip": "ip"}"#;
    let error = live.swap(&scratch, &["--config", change]).unwrap_err();
    assert!(error.contains("check `shadow`"), "{error}");
    live.end();
}

#[test]
fn a_change_of_what_a_plugin_may_do_is_entered() {
    let scratch = Scratch::new();
    let pipeline = clicks();
    let few = ["source.rows=100", "source.rate=10000"];
    scratch.summary(&pipeline, &few);
    scratch.summary(&pipeline, &[&few[..], &["plugin.enrich.limits.max_log_lines=3"]].concat());
    let sql = "SELECT subject, detail FROM clickstream_analytics.audit_log WHERE action = 'grant'";
    let entries = scratch.query(sql);
    assert_eq!(entries.len(), 1, "{entries:?}");
    assert_eq!(entries[0]["subject"], "enrich");
    let detail = entries[0]["detail"].as_str().unwrap();
    assert!(
        detail.contains("max_log_lines: 16") && detail.contains("max_log_lines: 3"),
        "{detail}"
    );
}

#[test]
fn the_audit_log_tells_what_was_changed_in_it() {
    let scratch = Scratch::new();
    let live = Live::start(&scratch, &clicks(), &["--set", "source.rate=20000"]);
    live.wait_for_rows(1, 1000);
    live.swap(&scratch, &["--config", "mask.key_id=k2"]).unwrap();
    live.end();
    scratch.done(&["audit", "verify"]);
    let actions: Vec<Json> =
        scratch.query("SELECT action FROM clickstream_analytics.audit_log ORDER BY sequence");
    let actions: Vec<&str> = actions.iter().map(|row| row["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["start", "swap", "stop"]);
    let path = scratch.path("clickmill-data/audit/clicks-stream.jsonl");
    let whole = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    for (what, tampered) in [
        ("changed", whole.replace("\"swap\"", "\"refuse\"")),
        ("missing", format!("{}\n{}\n", lines[0], lines[2])),
        ("reordered", format!("{}\n{}\n{}\n", lines[1], lines[0], lines[2])),
        ("cut", format!("{}\n{}\n", lines[0], lines[1])),
    ] {
        std::fs::write(&path, tampered).unwrap();
        let output = scratch.run(&["audit", "verify"]);
        assert_eq!(output.status.code(), Some(1), "{what}: {}", talk(&output, &scratch));
    }
    std::fs::write(&path, whole).unwrap();
    scratch.done(&["audit", "verify"]);
}
