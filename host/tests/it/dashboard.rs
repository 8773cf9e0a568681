//! The dashboard, as its readers meet it: in a browser, and by what the page asks for.

mod drawn;
mod entered;
mod nested;
mod seen;

use std::path::PathBuf;

use serde_json::{Value as Json, json};

use crate::browser::Browser;
use crate::cloud::wait_until;
use crate::live::{Live, clicks};
use crate::support::{Dashboard, Scratch, plugins, root};

/// A warehouse with events of both kinds, some of them rejected.
fn filled() -> Scratch {
    plugins();
    let scratch = Scratch::new();
    scratch.done(&["generate", "shop", "--rows", "3000", "--bad", "2%", "--output", "shop.csv"]);
    scratch.done(&["generate", "clicks", "--rows", "5000", "--bad", "2%", "--output", "c.ndjson"]);
    let pipelines = root().join("host/pipelines");
    scratch.summary(&pipelines.join("batch.toml"), &["source.uri=shop.csv"]);
    scratch.summary(&pipelines.join("clicks.toml"), &["source.uri=c.ndjson"]);
    scratch
}

/// What a tile's file answers on the command line, for all time.
fn asked(scratch: &Scratch, tile: &str, filters: &[(&str, &str)]) -> Vec<Json> {
    let sql = std::fs::read_to_string(root().join(format!("sql/dashboard/{tile}.sql"))).unwrap();
    let mut arguments = vec![
        "query".to_owned(),
        "--json".to_owned(),
        sql,
        "--parameter=from:TIMESTAMP:1970-01-01T00:00:00Z".to_owned(),
        "--parameter=to:TIMESTAMP:9999-12-31T00:00:00Z".to_owned(),
        "--parameter=now:TIMESTAMP:2026-11-25T00:00:00Z".to_owned(),
        "--parameter=bucket_secs:INT64:3600".to_owned(),
    ];
    for name in ["event_type", "category", "country"] {
        let set = filters.iter().find(|(filter, _)| *filter == name);
        arguments.push(format!("--parameter={name}::{}", set.map_or("NULL", |(_, value)| value)));
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    scratch.done(&arguments).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn first_value(rows: &[Json]) -> Option<f64> {
    rows.first()?.as_object()?.values().next()?.as_f64()
}

#[test]
fn the_page_shows_what_the_sql_says_and_its_filters_work() {
    let test = "the_page_shows_what_the_sql_says_and_its_filters_work";
    let Some(browser) = Browser::open(test) else { return };
    let scratch = filled();
    let dashboard = Dashboard::start(&scratch, &[]);
    browser.sign_in(&dashboard.at);
    for page in ["stream", "batch"] {
        browser.go(&format!("http://{}/#/{page}?range=all", dashboard.at.address));
        browser.wait(&format!("document.querySelector('main').dataset.page === '{page}'"));
        browser.wait("document.querySelectorAll('[data-tile]').length > 5");
        browser.wait("!document.querySelector('[data-tile][data-state=loading]')");
        let (_, described) = dashboard.at.json("/v1/dashboard");
        let tiles = described["tiles"].as_array().unwrap();
        let tiles = tiles.iter().filter(|tile| tile["page"] == page);
        for tile in tiles {
            let name = tile["name"].as_str().unwrap();
            let state = browser
                .value(&format!("document.querySelector('[data-tile={name}]').dataset.state"));
            assert_eq!(state, "ready", "{name}");
            // The age of the newest event is that of the moment.
            if tile["chart"] == "number" && name != "freshness" {
                let wanted = first_value(&asked(&scratch, name, &[]));
                assert_eq!(shown(&browser, name), wanted, "{name}");
            }
        }
        assert_eq!(browser.said(), Vec::<String>::new());
    }

    browser.go(&format!("http://{}/#/stream?range=all", dashboard.at.address));
    browser.wait("document.querySelector('#filter-country option[value=PL]')");
    browser.value(
        "(() => { const f = document.querySelector('#filter-country'); f.value = 'PL'; \
         f.dispatchEvent(new Event('change', { bubbles: true })); })()",
    );
    browser.wait("location.hash.includes('country=PL')");
    browser.wait("!document.querySelector('[data-tile][data-state=loading]')");
    for name in ["sessions", "purchases", "revenue", "error_rate"] {
        let wanted = first_value(&asked(&scratch, name, &[("country", "PL")]));
        assert_eq!(shown(&browser, name), wanted, "{name}");
        assert_ne!(wanted, first_value(&asked(&scratch, name, &[])), "{name} is filtered");
    }
    // Nothing came from elsewhere.
    let elsewhere = "performance.getEntriesByType('resource')\
         .map((entry) => new URL(entry.name).origin).filter((from) => from !== location.origin)";
    assert_eq!(browser.value(elsewhere), json!([]));
    assert_eq!(browser.said(), Vec::<String>::new());
}

#[test]
fn a_page_that_hardly_ever_asks_again_shows_what_is_past_and_rests() {
    let test = "a_page_that_hardly_ever_asks_again_shows_what_is_past_and_rests";
    let Some(browser) = Browser::open(test) else { return };
    let scratch = Scratch::new();
    let dashboard = Dashboard::start(&scratch, &["--refresh", "366days"]);
    browser.sign_in(&dashboard.at);
    browser.go(&format!("http://{}/#/stream?range=15m", dashboard.at.address));
    browser.wait("document.documentElement.dataset.round >= 1");
    let begins = "performance.getEntriesByType('resource')\
         .map(({ name }) => new URL(name).searchParams.get('from')).filter((from) => from)";
    let is_past = format!("{begins}.map((from) => Date.parse(from) < Date.now())");
    browser.wait(&format!("{begins}.length > 0"));
    let is_past = browser.value(&is_past);
    assert!(is_past.as_array().unwrap().iter().all(|is_past| *is_past == true), "{is_past}");
    // What a timer takes at most; beyond, it goes off at once.
    browser.value(
        "(() => { const set = window.setTimeout; window.rests = []; \
         window.setTimeout = (what, ms) => { window.rests.push(ms); return set(what, ms); }; \
         document.dispatchEvent(new Event('visibilitychange')); })()",
    );
    // Others set timers too, some without a time.
    let long = "window.rests.filter((ms) => ms > 1e9)";
    browser.wait(&format!("{long}.length > 0"));
    assert_eq!(browser.value(&format!("Math.max(...{long})")), json!(i32::MAX));
}

/// The number that a tile shows.
fn shown(browser: &Browser, tile: &str) -> Option<f64> {
    let value =
        browser.value(&format!("document.querySelector('[data-tile={tile}]').dataset.value"));
    value.as_str().and_then(|text| text.parse().ok())
}

/// How far the last of each row ends before its place does, of rows that are not full.
fn gaps_at_the_right(place: &str, parts: &str) -> String {
    format!(
        "(() => {{ const place = document.querySelector('{place}'), rows = new Map(); \
         for (const part of place.querySelectorAll(':scope > {parts}')) {{ \
           const {{ top, right }} = part.getBoundingClientRect(); \
           rows.set(Math.round(top), Math.max(right, rows.get(Math.round(top)) ?? 0)); }} \
         const {{ right }} = place.getBoundingClientRect(); \
         return [...rows.values()].map((end) => Math.round(right - end)).filter((left) => left > 1) }})()"
    )
}

#[test]
fn the_page_is_for_phones_the_dark_keyboards_and_paper_too() {
    let test = "the_page_is_for_phones_the_dark_keyboards_and_paper_too";
    let Some(browser) = Browser::open(test) else { return };
    let scratch = filled();
    let dashboard = Dashboard::start(&scratch, &[]);
    browser.sign_in(&dashboard.at);
    browser.go(&format!("http://{}/#/stream?range=all", dashboard.at.address));
    browser.wait("document.querySelector('.plot[data-drawn]')");
    browser.wait("!document.querySelector('[data-tile][data-state=loading]')");
    // The first key leads past the head of the page; charts say what they show.
    browser.press(&["\u{E004}"]);
    assert_eq!(browser.value("document.activeElement.id"), "skip");
    browser.press(&["\u{E007}"]);
    assert_eq!(browser.value("document.activeElement.id"), "main");
    let nameless = "[...document.querySelectorAll('[role=img]')]\
         .filter((chart) => !chart.getAttribute('aria-label')).length";
    assert_eq!(browser.value(nameless), 0);
    let charts = "document.querySelectorAll('.plot').length";
    let tables = "document.querySelectorAll('[data-tile] details summary').length";
    assert_eq!(browser.value(charts), browser.value(tables), "each has its numbers as a table");

    let light = browser.value("getComputedStyle(document.body).backgroundColor");
    let dark = json!({ "features": [{ "name": "prefers-color-scheme", "value": "dark" }] });
    browser.command("Emulation.setEmulatedMedia", dark);
    browser.wait(&format!("getComputedStyle(document.body).backgroundColor !== {light}"));

    let phone = json!({ "width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": true });
    browser.command("Emulation.setDeviceMetricsOverride", phone);
    browser.wait("innerWidth === 360");
    assert_eq!(browser.value("document.documentElement.scrollWidth"), 360);
    assert!(browser.print().starts_with(b"%PDF"));
    assert_eq!(browser.said(), Vec::<String>::new());
}

#[test]
fn a_file_dropped_into_the_folder_is_a_tile_and_one_that_is_none_is_told() {
    let test = "a_file_dropped_into_the_folder_is_a_tile_and_one_that_is_none_is_told";
    let scratch = filled();
    let tiles = scratch.path("tiles");
    std::fs::create_dir(&tiles).unwrap();
    let dashboard = Dashboard::start(&scratch, &["--tiles", &*tiles.to_string_lossy()]);
    let tile =
        "-- title: Rows\n-- page: batch\n-- chart: number\n-- order: 1\n-- about: All of them.\n";
    let write = |name: &str, text: String| std::fs::write(tiles.join(name), text).unwrap();
    write(
        "rows.sql",
        format!("{tile}SELECT COUNT(*) AS n FROM clickstream_analytics.clickstream_batch"),
    );
    write("none.sql", format!("{tile}SELECT n FROM clickstream_analytics.nowhere"));
    // Its error has the words of a missing table, and none is missing.
    write(
        "odd.sql",
        format!("{tile}SELECT `not found` FROM clickstream_analytics.clickstream_batch"),
    );
    write("pie.sql", tile.replace("number", "pie"));
    let rows = scratch.number("SELECT COUNT(*) FROM clickstream_analytics.clickstream_batch");
    let (status, answer) = dashboard.at.json("/v1/dashboard/tiles/rows");
    assert_eq!((status, &answer["rows"]), (200, &json!([[rows]])));
    let (status, answer) = dashboard.at.json("/v1/dashboard/tiles/none");
    assert_eq!(status, 503);
    assert!(answer["error"].as_str().unwrap().contains("nowhere"), "{answer}");
    assert_eq!(answer["code"], "missing_table");
    assert_eq!(answer["hint"], "the table is made by the first run of its pipeline");
    let (status, answer) = dashboard.at.json("/v1/dashboard/tiles/odd");
    assert_eq!(status, 503);
    assert!(answer["error"].as_str().unwrap().contains("not found"), "{answer}");
    assert_eq!(answer["hint"], Json::Null, "{answer}");
    assert_eq!(dashboard.at.json("/v1/dashboard/tiles/pie").0, 404);
    assert_eq!(dashboard.at.json("/v1/dashboard/tiles/rows?from=noon").0, 400);
    assert_eq!(dashboard.at.json("/v1/status").0, 404);

    let Some(browser) = Browser::open(test) else { return };
    browser.sign_in(&dashboard.at);
    browser.go(&format!("http://{}/#/batch", dashboard.at.address));
    browser.wait("document.querySelector('[data-tile=none][data-state=error] button')");
    browser.wait("document.querySelector('[data-tile=odd][data-state=error] button')");
    // A table that is not there yet is no fault, and does not look like one.
    let colour = |tile: &str| {
        browser.value(&format!(
            "getComputedStyle(document.querySelector('[data-tile={tile}] .message strong')).color"
        ))
    };
    let plain = browser.value("getComputedStyle(document.body).color");
    assert_eq!(colour("none"), plain);
    assert_ne!(colour("odd"), plain);
    browser.wait("document.querySelector('[data-tile=rows][data-state=ready]')");
    assert_eq!(shown(&browser, "rows"), Some(rows as f64));
    let problems = browser.value("document.querySelector('#problems').innerText");
    assert!(problems.as_str().unwrap().contains("`chart` is `pie`, wanted number"), "{problems}");
    browser.go(&format!("http://{}/#/pipeline", dashboard.at.address));
    browser.wait("document.querySelector('#pipeline[data-state=none]')");
    assert_eq!(browser.said(), Vec::<String>::new());
}

#[test]
fn a_running_stream_updates_its_page_and_shows_its_swaps_letters_and_log() {
    let test = "a_running_stream_updates_its_page_and_shows_its_swaps_letters_and_log";
    let Some(browser) = Browser::open(test) else { return };
    let scratch = Scratch::new();
    let live = Live::start(&scratch, &clicks(), &["--set", "source.rate=2000"]);
    live.wait_for_rows(1, 2000);
    browser.sign_in(&live.at);
    browser.wait("document.querySelector('[data-tile=sessions][data-state=ready]')");
    // A mark that a reload would take away.
    browser.value("(() => { window.mark = 1; })()");
    let before = shown(&browser, "sessions").unwrap();
    browser.wait(&format!(
        "Number(document.querySelector('[data-tile=sessions]').dataset.value) > {before}"
    ));
    browser.value("(() => { location.hash = '#/pipeline'; })()");
    browser.wait("document.querySelector('#pipeline[data-state=running]')");
    browser.wait("document.querySelectorAll('#flow > li, #flow li.step').length >= 7");
    for width in [1280, 1400, 1024, 800, 1920] {
        let size =
            json!({ "width": width, "height": 1200, "deviceScaleFactor": 1, "mobile": false });
        browser.command("Emulation.setDeviceMetricsOverride", size);
        browser.wait(&format!("innerWidth === {width}"));
        let left = browser.value(&gaps_at_the_right("#flow", ".step"));
        assert_eq!(left, json!([]), "the flow at {width}");
    }
    browser.command("Emulation.clearDeviceMetricsOverride", json!({}));
    live.swap(&scratch, &["--config", "mask.key_id=k2", "--note", "a <b>new</b> key"]).unwrap();
    browser.wait("document.querySelector('#versions').innerText.includes('a <b>new</b> key')");
    browser.wait("document.querySelector('[data-tile=pipeline_rates] .plot[data-drawn]')");
    browser.wait("document.querySelector('#audit tbody tr')");
    browser.wait("document.querySelector('#letters tbody tr, #letters li, #letters details')");
    assert_eq!(browser.value("window.mark"), 1, "it was not loaded again");
    assert_eq!(browser.said(), Vec::<String>::new());
    live.end();
    browser.wait("!document.querySelector('#banner').hidden");
}

#[test]
fn letters_come_page_by_page_each_once() {
    let scratch = filled();
    let dashboard = Dashboard::start(&scratch, &[]);
    let page = |query: &str| -> (Vec<String>, Json) {
        let (_, page) = dashboard.at.json(&format!("/v1/dead-letters?{query}"));
        let letters = page["letters"].as_array().unwrap().iter();
        let ids = letters.map(|letter| letter["letter_id"].as_str().unwrap().to_owned());
        (ids.collect(), page["next"].clone())
    };
    let (all, end) = page("limit=500");
    let rejected = scratch.number("SELECT COUNT(*) FROM clickstream_analytics.dead_letters");
    assert_eq!((all.len() as u64, end), (rejected, Json::Null));
    // Those of a batch have the same time, so pages end amid them.
    let times =
        scratch.number("SELECT COUNT(DISTINCT timestamp) FROM clickstream_analytics.dead_letters");
    assert!(times < rejected / 7, "{times} of {rejected}");
    let (mut paged, mut next) = page("limit=7");
    while let Some(after) = next.as_str() {
        let (more, then) = page(&format!("limit=7&after={after}"));
        paged.extend(more);
        next = then;
    }
    assert_eq!(paged, all);
    // Those of one pipeline, which a pipeline's own page asks for.
    let (of_clicks, _) = page("limit=500&pipeline=clicks");
    let of = "SELECT COUNT(*) FROM clickstream_analytics.dead_letters WHERE pipeline = 'clicks'";
    assert_eq!(of_clicks.len() as u64, scratch.number(of));
    assert!(!of_clicks.is_empty() && of_clicks.len() < all.len());
    // So does the audit log.
    let log = |query: &str| -> Vec<String> {
        let (_, log) = dashboard.at.json(&format!("/v1/audit?limit=500&{query}"));
        let entries = log["entries"].as_array().unwrap().iter();
        entries.map(|entry| entry["pipeline"].as_str().unwrap().to_owned()).collect()
    };
    let of_clicks = log("pipeline=clicks");
    assert!(!of_clicks.is_empty() && of_clicks.len() < log("").len(), "{of_clicks:?}");
    assert!(of_clicks.iter().all(|pipeline| pipeline == "clicks"), "{of_clicks:?}");
    assert_eq!(dashboard.at.json("/v1/dead-letters?after=yesterday").0, 400);
    assert_eq!(dashboard.at.json("/v1/audit?limit=0").0, 400);
}

#[test]
fn payloads_are_shown_only_where_they_are_revealed_and_the_log_tells_of_the_start() {
    let scratch = Scratch::new();
    for (reveal, shown) in [("[]", false), ("[\"payload\"]", true)] {
        let set = format!("admin.reveal={reveal}");
        let live = Live::start(&scratch, &clicks(), &["--set", "source.rate=5000", "--set", &set]);
        let at = &live.at;
        wait_until("letters", || {
            at.json("/v1/dead-letters?limit=4").1["letters"].as_array().map(Vec::len) == Some(4)
        });
        let (_, page) = at.json("/v1/dead-letters?limit=2");
        let letters = page["letters"].as_array().unwrap();
        assert_eq!(letters.len(), 2);
        assert!(letters.iter().all(|letter| letter["payload_hidden"] == json!(!shown)));
        // A payload that is no text has none to show.
        let any = letters.iter().any(|letter| letter["payload"].is_string());
        assert!(!any || shown, "{page:#}");
        let code = letters[0]["code"].as_str().unwrap();
        let (_, of_code) = at.json(&format!("/v1/dead-letters?code={code}"));
        let of_code = of_code["letters"].as_array().unwrap();
        assert!(!of_code.is_empty() && of_code.iter().all(|letter| letter["code"] == code));
        // That they were shown is entered too.
        let newest = if shown { "reveal" } else { "start" };
        wait_until("what was done in the log", || {
            at.json("/v1/audit?limit=1").1["entries"][0]["action"] == newest
        });
        live.end();
    }
}

#[test]
fn a_tile_that_changes_something_or_has_too_many_rows_does_neither() {
    let scratch = filled();
    let tiles = scratch.path("tiles");
    std::fs::create_dir(&tiles).unwrap();
    let dashboard = Dashboard::start(&scratch, &["--tiles", &*tiles.to_string_lossy()]);
    let header =
        "-- title: Rows\n-- page: batch\n-- chart: table\n-- order: 1\n-- about: All of them.\n";
    let ask = |name: &str, sql: &str| {
        std::fs::write(tiles.join(format!("{name}.sql")), format!("{header}{sql}")).unwrap();
        dashboard.at.json(&format!("/v1/dashboard/tiles/{name}"))
    };
    let elsewhere = scratch.path("elsewhere.csv");
    for (name, sql) in [
        ("copy", format!("COPY (SELECT 1 AS one) TO '{}'", elsewhere.display())),
        ("insert", "INSERT INTO clickstream_analytics.clicks_raw VALUES ('x')".to_owned()),
        ("drop", "DROP TABLE clickstream_analytics.clicks_raw".to_owned()),
        ("set", "SET datafusion.execution.batch_size = 1".to_owned()),
        ("two", "SELECT 1 AS one; DROP TABLE clickstream_analytics.clicks_raw".to_owned()),
    ] {
        let (status, answer) = ask(name, &sql);
        assert_eq!(status, 503, "{name}: {answer}");
    }
    assert!(!elsewhere.exists());
    let (status, answer) = ask(
        "many",
        "SELECT one.event_id FROM clickstream_analytics.clicks_raw AS one CROSS JOIN clickstream_analytics.clicks_raw AS other",
    );
    assert_eq!((status, &answer["cut"]), (200, &json!(true)), "{}", answer["error"]);
    assert_eq!(answer["rows"].as_array().unwrap().len(), 5000);
}

#[test]
fn an_engine_that_cannot_be_built_is_told_of_once_and_not_built_for_each_tile() {
    let scratch = Scratch::new();
    // As it lies in the target folder of a clone whose engine was never built.
    let target = scratch.path("target/release");
    std::fs::create_dir_all(target.join("deps")).unwrap();
    let binary = target.join("clickmill");
    std::fs::copy(env!("CARGO_BIN_EXE_clickmill"), &binary).unwrap();
    let calls = scratch.path("calls");
    // A build is given no variable of ours.
    let script = format!("#!/bin/sh\necho \"$@\" >>'{}'\nexit 101\n", calls.display());
    let cargo = scratch.program("cargo", script);
    let nowhere = scratch.path("nowhere/cargo");
    for (cargo, why, called) in [
        (&cargo, "cargo ended with exit status: 101", 1),
        (&nowhere, "cargo does not start: No such file or directory", 0),
    ] {
        let mut command = scratch.command_of(&binary, &["dashboard", "--listen", "127.0.0.1:0"]);
        command.env("CARGO", cargo).env_remove("CLICKMILL_SQL");
        let dashboard = Dashboard::of(command);
        let told = |tile: &str| {
            let (status, answer) = dashboard.at.json(&format!("/v1/dashboard/tiles/{tile}"));
            assert_eq!(status, 503, "{answer}");
            answer["error"].as_str().unwrap().to_owned()
        };
        wait_until("the end of the build", || told("sessions").contains(why));
        for tile in ["sessions", "users", "purchases", "revenue", "funnel"] {
            assert!(told(tile).contains(why), "{}", told(tile));
        }
        let (_, letters) = dashboard.at.json("/v1/dead-letters");
        assert!(letters["error"].as_str().unwrap().contains(why), "{letters}");
        let calls_made = std::fs::read_to_string(&calls).unwrap_or_default();
        assert_eq!(calls_made.lines().count(), called, "{calls_made}");
        let _ = std::fs::remove_file(&calls);
        let talk = dashboard.talk.lock().unwrap().join("\n");
        assert_eq!(talk.matches("cannot build `clickmill-sql`").count(), 1, "{talk}");
        assert!(talk.contains(why), "{talk}");
    }
}

#[test]
fn the_link_to_looker_studio_names_every_view() {
    let scratch = Scratch::new();
    let pipeline = root().join("host/pipelines/stream_gcp.toml").to_string_lossy().into_owned();
    let link = scratch.done(&["dashboard", &pipeline, "--looker"]);
    assert!(link.starts_with("https://lookerstudio.google.com/reporting/create?"), "{link}");
    for view in ["clicks", "dead_letters", "sessions", "daily", "shop_sessions"] {
        assert!(
            link.contains(&format!("tableId={view}&"))
                || link.trim_end().ends_with(&format!("tableId={view}")),
            "{link}"
        );
    }
    let local: PathBuf = root().join("host/pipelines/stream.toml");
    let output = scratch.run(&["dashboard", &*local.to_string_lossy(), "--looker"]);
    assert_eq!(output.status.code(), Some(2));
}
