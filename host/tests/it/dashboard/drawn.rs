//! What charts draw: what is there and no more, in colours that are told apart, over the whole width.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use super::{filled, gaps_at_the_right, shown};
use crate::browser::Browser;
use crate::support::{Dashboard, Scratch, plugins, root};
use clickmill_core::Micros;

/// Two bursts of clicks with half an hour between them, many of them refused.
fn bursts() -> Scratch {
    let scratch = filled();
    let clicks = root().join("host/pipelines/clicks.toml");
    for (number, start) in ["2026-11-20T10:00:00Z", "2026-11-20T10:35:00Z"].iter().enumerate() {
        let (file, seed) = (format!("burst{number}.ndjson"), (number + 2).to_string());
        let generate = ["generate", "clicks", "--rows", "400", "--bad", "30%", "--start", start];
        scratch.done(&[&generate[..], &["--seed", &seed, "--output", &file]].concat());
        let source = format!("source.uri={file}");
        scratch.summary(&clicks, &[&source, "dead_letter.max_rejected_share=1.0"]);
    }
    scratch
}

/// Goes to a page, and waits until its charts are drawn.
pub(super) fn go(browser: &Browser, dashboard: &Dashboard, hash: &str) {
    browser.go(&format!("http://{}/#/{hash}", dashboard.at.address));
    let page = hash.split('?').next().unwrap();
    browser.wait(&format!("document.querySelector('main').dataset.page === '{page}'"));
    browser.wait("document.querySelector('[data-tile]')");
    browser.wait("!document.querySelector('[data-tile][data-state=loading]')");
    // Those that are far are drawn when they come near.
    browser
        .value("(() => document.querySelectorAll('.plot').forEach((of) => of.scrollIntoView()))()");
    let charts = "[...document.querySelectorAll('[data-tile][data-state=ready] .plot')]";
    browser.wait(&format!("{charts}.every((of) => of.dataset.drawn || of.scrollIntoView())"));
}

/// Milliseconds and values.
type Points = Vec<(f64, Option<f64>)>;

/// A series that is drawn.
struct Series {
    name: String,
    colour: String,
    /// That of its line.
    shape: Option<String>,
    points: Points,
}

impl Series {
    fn sum(&self) -> f64 {
        self.points.iter().filter_map(|(_, value)| *value).sum()
    }
}

/// The series that a tile draws over time.
fn drawn(browser: &Browser, tile: &str) -> Vec<Series> {
    let series = browser.value(&format!(
        "document.querySelector('[data-tile={tile}] .plot').data.map((of) => [\
         of.name, of.marker.color, of.line?.shape ?? null, \
         of.x.map((x, at) => [Date.parse(x.replace(' ', 'T') + 'Z'), of.y[at]])])"
    ));
    let series: Vec<(String, String, Option<String>, Points)> =
        serde_json::from_value(series).unwrap();
    let series = series.into_iter();
    series.map(|(name, colour, shape, points)| Series { name, colour, shape, points }).collect()
}

const MINUTE: f64 = 60_000.0;

#[test]
fn a_bucket_without_rows_is_zero_and_a_measure_has_none_there() {
    let test = "a_bucket_without_rows_is_zero_and_a_measure_has_none_there";
    let Some(browser) = Browser::open(test) else { return };
    let scratch = bursts();
    let dashboard = Dashboard::start(&scratch, &[]);
    browser.sign_in(&dashboard.at);
    // Of one country alone, neighbours are seldom neighbouring buckets.
    for country in ["", "&country=LT"] {
        let range = "from=2026-11-20T10:00:00Z&to=2026-11-20T11:00:00Z";
        go(&browser, &dashboard, &format!("stream?range=custom&{range}{country}"));
        let series = drawn(&browser, "events_over_time");
        assert!(!series.is_empty());
        // What is covered is where the table has rows, whatever the filter: zero up to there, and no further.
        let path = format!("/v1/dashboard/tiles/events_over_time?{range}{country}");
        let covered = dashboard.at.json(&path).1["covered"].clone();
        let ends = format!(
            "{covered}.map((at, last) => 60000 * (Math.floor(Date.parse(at) / 60000) + last))"
        );
        let ends: [f64; 2] = serde_json::from_value(browser.value(&ends)).unwrap();
        for Series { name, shape, points, .. } in series {
            assert_eq!(shape.as_deref(), Some("hv"), "{name} {country}");
            let drawn = [points[0].0, points[points.len() - 1].0];
            assert_eq!(drawn, ends, "{name} {country}");
            for pair in points.windows(2) {
                let [(from, value), (to, _)] = pair else { unreachable!("two of them") };
                assert!(
                    to - from <= MINUTE || *value == Some(0.0),
                    "{name} {country}: {value:?} for {} min",
                    (to - from) / MINUTE
                );
            }
        }
        for Series { name, points, .. } in drawn(&browser, "response_times") {
            let is_known = points.iter().any(|(_, value)| value.is_some());
            assert!(is_known, "{name} {country}");
            for pair in points.windows(2) {
                let [(from, value), (to, next)] = pair else { unreachable!("two of them") };
                assert!(
                    to - from <= MINUTE || value.is_none() || next.is_none(),
                    "{name} {country}"
                );
            }
        }
        let (_, answer) = dashboard.at.json(&format!("/v1/dashboard/tiles/response_times?{range}"));
        assert_eq!(answer["bucket_secs"], 60, "{answer}");
    }
    // What was said in words is what is drawn.
    let words = "document.querySelector('[data-tile=events_over_time] .plot').ariaLabel";
    assert!(
        browser.value(words).as_str().unwrap().contains("lowest 0"),
        "{}",
        browser.value(words)
    );
    // A day is a bucket too, where a tile says so.
    let (_, answer) = dashboard.at.json("/v1/dashboard/tiles/shop_clicks_over_time");
    assert_eq!(answer["bucket_secs"], 86_400);
    assert_eq!(browser.said(), Vec::<String>::new());
}

#[test]
fn gaps_are_found_by_the_width_of_a_bucket() {
    let test = "gaps_are_found_by_the_width_of_a_bucket";
    let Some(browser) = Browser::open(test) else { return };
    let dashboard = Dashboard::start(&Scratch::new(), &[]);
    browser.go(&format!("http://{}/", dashboard.at.address));
    let gaps = |chart: &str, unit: &str, bucket: Json, rows: Json, look: Json| {
        let answer = json!({
            "columns": [{ "name": "time", "type": "timestamp" }, { "name": "n", "type": "number" }],
            "bucket_secs": bucket,
            "rows": rows,
        });
        let tile = json!({ "chart": chart, "unit": unit });
        let found = browser.value(&format!(
            "import('/assets/series.js').then(({{ shape, withGaps }}) => {{ \
             const {{ xs, series }} = withGaps(shape({answer}), {tile}, {look}); \
             return xs.map((x, at) => [x.slice(11, 16), series[0].values[at]]) }})"
        ));
        serde_json::from_value::<Vec<(String, Option<f64>)>>(found).unwrap()
    };
    let at = |minute: u32| format!("2026-11-20T10:{minute:02}:00Z");
    let said = |points: &[(&str, Option<f64>)]| -> Vec<(String, Option<f64>)> {
        points.iter().map(|(at, value)| ((*at).to_owned(), *value)).collect()
    };
    let two = json!([[at(0), 4], [at(30), 9]]);
    let zero = said(&[
        ("10:00", Some(4.0)),
        ("10:01", Some(0.0)),
        ("10:29", Some(0.0)),
        ("10:30", Some(9.0)),
    ]);
    let none =
        said(&[("10:00", Some(4.0)), ("10:01", None), ("10:29", None), ("10:30", Some(9.0))]);
    // Nothing but two rows, as far apart as they like: the answer says how wide a bucket is.
    assert_eq!(gaps("area", "count", json!(60), two.clone(), json!({})), zero);
    assert_eq!(gaps("line", "count", json!(60), two.clone(), json!({})), zero);
    assert_eq!(gaps("line", "ms", json!(60), two.clone(), json!({})), none);
    // A bucket as wide as the gap has none in between, and one in between is one point.
    assert_eq!(gaps("area", "count", json!(1800), two.clone(), json!({})).len(), 2);
    let one = said(&[("10:00", Some(4.0)), ("10:15", Some(0.0)), ("10:30", Some(9.0))]);
    assert_eq!(gaps("area", "count", json!(900), two.clone(), json!({})), one);
    // Where it is not said, it is what most rows are apart: these were looked at each minute, and once late.
    let samples = json!([[at(0), 1], [at(1), 2], [at(2), 3], [at(32), 4], [at(33), 5]]);
    let found = gaps("line", "count", Json::Null, samples, json!({}));
    assert_eq!(found.iter().filter(|(_, value)| value.is_none()).count(), 2, "{found:?}");
    // Buckets of zero go on as far as the page has rows, and are whole.
    let millis = |minute: u32| {
        let text = json!(at(minute));
        browser.value(&format!("Date.parse({text})"))
    };
    let look = json!({ "covered": [millis(5), millis(50)], "window": [at(5), at(45)] });
    let middle = json!([[at(20), 4], [at(21), 9]]);
    let ends = said(&[
        ("10:05", Some(0.0)),
        ("10:19", Some(0.0)),
        ("10:20", Some(4.0)),
        ("10:21", Some(9.0)),
        ("10:22", Some(0.0)),
        ("10:44", Some(0.0)),
    ]);
    assert_eq!(gaps("area", "count", json!(60), middle.clone(), look.clone()), ends);
    assert_eq!(gaps("line", "ms", json!(60), middle, look).len(), 2);
    assert_eq!(gaps("area", "count", json!(60), json!([[at(0), 4]]), json!({})).len(), 1);
    // What is at no moment is in the table alone.
    let lost = json!([[null, 4], [at(0), 4], [at(30), 9]]);
    assert_eq!(gaps("area", "count", json!(60), lost, json!({})), zero);
}

#[test]
fn between_few_whole_numbers_there_are_no_ticks() {
    let test = "between_few_whole_numbers_there_are_no_ticks";
    let Some(browser) = Browser::open(test) else { return };
    let dashboard = Dashboard::start(&Scratch::new(), &[]);
    browser.go(&format!("http://{}/", dashboard.at.address));
    let step = |chart: &str, rows: &Json| {
        let tile = json!({ "chart": chart, "unit": "count" });
        let axis = if chart == "bar" { "xaxis" } else { "yaxis" };
        let columns = [("time", "timestamp"), ("code", "text"), ("n", "number")]
            .map(|(name, kind)| json!({ "name": name, "type": kind }));
        let answer = json!({ "columns": columns, "bucket_secs": 60, "rows": rows });
        browser.value(&format!(
            "import('/assets/figure.js').then(({{ figure }}) => {{ \
             const paint = (keys) => keys.map(() => '#000000'); \
             const {{ layout }} = figure({tile}, {answer}, {{ width: 600, hidden: new Set(), paint }}); \
             return layout.{axis}.dtick ?? null }})"
        ))
    };
    let row = |code: &str, value: f64| json!(["2026-11-20T10:00:00Z", code, value]);
    let few = json!([row("a", 1.0), row("b", 4.0)]);
    let parts = json!([row("a", 0.5), row("b", 1.0)]);
    // Each is few, and what they are stacked to is not.
    let many = json!([row("a", 5.0), row("b", 5.0)]);
    for (chart, stacks) in [("area", true), ("column", true), ("line", false), ("bar", false)] {
        assert_eq!(step(chart, &few), json!(1), "{chart}");
        assert_eq!(step(chart, &parts), Json::Null, "{chart}");
        let wanted = if stacks { Json::Null } else { json!(1) };
        assert_eq!(step(chart, &many), wanted, "{chart}");
    }
}

#[test]
fn no_two_parts_share_a_colour_and_the_rest_is_one() {
    let test = "no_two_parts_share_a_colour_and_the_rest_is_one";
    let Some(browser) = Browser::open(test) else { return };
    let scratch = bursts();
    let dashboard = Dashboard::start(&scratch, &[]);
    browser.sign_in(&dashboard.at);
    go(&browser, &dashboard, "stream?range=all");
    let letters = "SELECT COUNT(*) FROM clickstream_analytics.dead_letter WHERE pipeline";
    let of_clicks = scratch.number(&format!("{letters} = 'clicks'"));
    // The batch pipeline's are not of this page.
    assert!(scratch.number(&format!("{letters} <> 'clicks'")) > 0);
    let series = drawn(&browser, "rejects_over_time");
    assert_eq!(series.iter().map(Series::sum).sum::<f64>(), of_clicks as f64);
    assert_eq!(series.len(), 8);
    assert_eq!(series[7].name, "other");
    let codes = scratch.query(
        "SELECT code, COUNT(*) AS letters FROM clickstream_analytics.dead_letter \
         WHERE pipeline = 'clicks' GROUP BY code ORDER BY letters DESC",
    );
    assert!(codes.len() > 8, "{codes:?}");
    let least = series[..7].iter().map(Series::sum).fold(f64::INFINITY, f64::min);
    assert_eq!(Some(least), codes[6]["letters"].as_f64(), "the commonest are named: {codes:?}");
    let note = browser.value("document.querySelector('[data-tile=rejects_over_time]').innerText");
    let told = format!("“other” is {} more, each in the table.", codes.len() - 7);
    assert!(note.as_str().unwrap().contains(&told), "{note}");
    let parts = "document.querySelectorAll('[data-tile=rejects_over_time] .key').length";
    assert_eq!(browser.value(parts), 8);
    for tile in ["rejects_over_time", "events_over_time", "errors_over_time"] {
        let series = drawn(&browser, tile);
        let colours: BTreeSet<&str> = series.iter().map(|of| of.colour.as_str()).collect();
        assert_eq!(colours.len(), series.len(), "{tile}");
    }
    // Parts that come and go take no other's colour, and a text named like the rest is not the rest.
    let places = browser.value(
        "import('/assets/parts.js').then(({ COLOURS, OTHERS, fewest, place }) => { \
         const series = Array.from({ length: 30 }, (_, at) => \
           ({ key: at ? `c${at}` : 'other', name: at ? `c${at}` : 'other', values: [at ? '1' : 99, at] })); \
         const few = fewest(series, [0, 1], true), alone = fewest(series, [0, 1], false); \
         const places = new Map(), same = []; \
         for (let round = 0; round < 50; round += 1) { \
           const keys = [OTHERS, ...Array.from({ length: COLOURS - 1 }, (_, at) => `c${(round * 3 + at) % 30}`)]; \
           const before = new Map(places); place(places, keys); \
           const now = keys.map((key) => places.get(key)); \
           if (new Set(now).size !== COLOURS || Math.max(...now) >= COLOURS) same.push(round); \
           if (keys.some((key) => before.has(key) && before.get(key) !== places.get(key))) same.push(-round); \
         } \
         return [few.series.length, few.left, few.series[0].name, few.series.at(-1).values, \
           alone.series.length, alone.left, same] })",
    );
    // Of the 23 that are left, c1 to c23, each has 1 at the one, and together 276 at the other.
    let wanted = json!([8, 23, "other", [23, 276], 7, 23, []]);
    assert_eq!(places, wanted);
}

/// When nothing gets through, the reasons matter most.
#[test]
fn rejections_are_told_of_a_day_on_which_all_is_refused() {
    plugins();
    let scratch = Scratch::new();
    let clicks = root().join("host/pipelines/clicks.toml");
    let now = Micros::now().get();
    let load = |name: &str, at: i64, event_type: &str| {
        let at = Micros::from(at).to_string();
        let event = json!({
            "event_id": name, "event_timestamp": at, "session_id": "s", "event_type": event_type,
            "country": "PL", "url": "https://shop.example.com/",
        });
        let file = format!("{name}.ndjson");
        scratch.write(&file, format!("{event}\n"));
        let source = format!("source.uri={file}");
        scratch.summary(&clicks, &[&source, "dead_letter.max_rejected_share=1.0"])
    };
    let two_days = 2 * 86_400_000_000;
    assert_eq!(load("before", now - two_days, "page_view")["rows_out"], 1);
    assert_eq!(load("now", now, "nobody knows this one")["rows_rejected"], 1);
    let dashboard = Dashboard::start(&scratch, &[]);
    let hour = 3_600_000_000;
    let [from, to] = [now - hour, now + hour].map(|end| Micros::from(end).to_string());
    let path = format!("/v1/dashboard/tiles/rejects_over_time?from={from}&to={to}");
    let (_, answer) = dashboard.at.json(&path);
    let rows = answer["rows"].as_array().unwrap();
    let told: Vec<_> = rows.iter().map(|row| (&row[1], &row[2])).collect();
    assert_eq!(told, [(&json!("unknown_event_type"), &json!(1))], "{answer}");
}

#[test]
fn tables_have_room_and_rows_of_a_page_are_full() {
    let test = "tables_have_room_and_rows_of_a_page_are_full";
    let Some(browser) = Browser::open(test) else { return };
    let scratch = filled();
    let dashboard = Dashboard::start(&scratch, &[]);
    browser.sign_in(&dashboard.at);
    for page in ["stream?range=all", "batch"] {
        for width in [1400, 1024, 1280, 1920, 700] {
            let size =
                json!({ "width": width, "height": 1200, "deviceScaleFactor": 1, "mobile": false });
            browser.command("Emulation.setDeviceMetricsOverride", size);
            browser.wait(&format!("innerWidth === {width}"));
            go(&browser, &dashboard, page);
            let cut = "[...document.querySelectorAll('.card.table .scroll')]\
                 .filter((of) => of.scrollWidth > of.clientWidth).length";
            assert_eq!(browser.value(cut), 0, "{page} at {width}");
            assert_eq!(
                browser.value(&gaps_at_the_right(".charts", ".card")),
                json!([]),
                "{page} at {width}"
            );
        }
    }
    assert_eq!(browser.said(), Vec::<String>::new());
}

#[test]
fn what_visitors_send_is_text_wherever_it_is_shown_and_has_an_end() {
    let test = "what_visitors_send_is_text_wherever_it_is_shown_and_has_an_end";
    plugins();
    let scratch = Scratch::new();
    let long = "ą".repeat(5000);
    let markup = "<img src=x onerror=window.ran=1>";
    let texts = [
        markup,
        "</script><script>window.ran=1</script>",
        "<a href=\"javascript:window.ran=1\">x</a>",
        "%{customdata[0]}<extra>%{fullData.name}</extra>",
        "&lt;b&gt;&#60;b&#62;",
        "__proto__",
        "constructor",
        "other",
        "2026-11-26",
        "1e9",
        "\u{202e}evil",
        "\u{7}\u{1b}]52;c;eA==\u{7}",
        &long,
    ];
    let events = texts.iter().enumerate().map(|(number, text)| {
        let at = format!("2026-11-20T10:{number:02}:00Z");
        json!({
            "event_id": number.to_string(), "event_timestamp": at, "session_id": text,
            "event_type": text, "category": text, "country": text, "url": "https://shop.example.com/",
        })
    });
    let events: String = events.map(|event| format!("{event}\n")).collect();
    let file = scratch.write(&format!("{markup}.ndjson"), &events);
    let source = format!("source.uri={}", file.display());
    let clicks = root().join("host/pipelines/clicks.toml");
    // Refused as they are, and let through where nothing is asked of them.
    let refused = scratch.summary(&clicks, &[&source, "dead_letter.max_rejected_share=1.0"]);
    assert_eq!(refused["rows_rejected"], texts.len(), "{refused:#}");
    let text = std::fs::read_to_string(&clicks).unwrap();
    let (before, rest) = text.split_once("[[plugin]]\nname = \"validate\"").unwrap();
    let (_, sink) = rest.split_once("[sink]").unwrap();
    let lax = format!("{before}[sink]{sink}\n[admin]\nreveal = [\"payload\"]\n")
        .replace("../../", &format!("{}/", root().display()))
        .replace("name = \"clicks\"", "name = \"lax\"");
    let lax = scratch.write("lax.toml", lax);
    scratch.write("again.ndjson", &events);
    assert_eq!(scratch.summary(&lax, &["source.uri=again.ndjson"])["rows_out"], texts.len());

    let dashboard = Dashboard::start(&scratch, &[&*lax.to_string_lossy()]);
    let (_, described) = dashboard.at.json("/v1/dashboard");
    let choices = described["filters"].as_array().unwrap();
    let choices = choices.iter().find(|filter| filter["name"] == "event_type").unwrap();
    // One that is too long to choose from is not among them.
    assert_eq!(choices["values"].as_array().unwrap().len(), texts.len() - 1, "{choices}");
    let (_, answer) = dashboard.at.json("/v1/dashboard/tiles/categories");
    let rows = answer["rows"].as_array().unwrap();
    let length = |row: &Json| row[0].as_str().unwrap().chars().count();
    assert_eq!(rows.iter().map(length).max(), Some(1000));
    let (_, letters) = dashboard.at.json("/v1/dead-letters?limit=500");
    let letters = letters["letters"].as_array().unwrap();
    let payloads = letters.iter().map(|letter| letter["payload"].as_str().unwrap().chars().count());
    assert_eq!(payloads.max(), Some(4000));

    let Some(browser) = Browser::open(test) else { return };
    browser.sign_in(&dashboard.at);
    go(&browser, &dashboard, "stream?range=all");
    browser.value(
        "(() => document.querySelectorAll('details').forEach((of) => { of.open = true; }))()",
    );
    browser.wait("document.querySelectorAll('[data-tile] details[open] td').length > 20");
    let made =
        "document.querySelectorAll('main img, main script, main iframe, svg a, svg image').length";
    let runs = "[...document.querySelectorAll('a')].filter((of) => of.href.startsWith('javascript')).length";
    let is_text = |where_: &str| {
        assert_eq!(browser.value(made), 0, "{where_}");
        assert_eq!(browser.value(runs), 0, "{where_}");
        assert_eq!(browser.value("window.ran ?? null"), Json::Null, "{where_}");
        assert_eq!(browser.value("document.documentElement.scrollWidth <= innerWidth"), true);
    };
    is_text("live events");
    assert!(browser.value("document.body.innerText").as_str().unwrap().contains(markup));
    for text in &texts[..texts.len() - 1] {
        let value = json!(text);
        browser.value(&format!(
            "(() => {{ const of = document.querySelector('#filter-category'); of.value = {value}; \
             of.dispatchEvent(new Event('change', {{ bubbles: true }})); }})()"
        ));
        let types = "[...document.querySelectorAll('[data-tile=event_types] tbody th')]";
        browser.wait(&format!("{types}.map((of) => of.textContent).join() === {value}"));
        browser.wait("!document.querySelector('[data-tile][data-state=loading]')");
        let plot = "document.querySelector('[data-tile=events_over_time] .plot')";
        browser.value(&format!("{plot}.scrollIntoView()"));
        browser.wait(&format!("{plot}.data.length === 1"));
        assert_eq!(shown(&browser, "error_rate"), Some(0.0), "{text}: one event, and no error");
        is_text(text);
    }
    browser.go(&format!("http://{}/#/pipeline", dashboard.at.address));
    browser.wait(&format!("document.querySelectorAll('.letter').length === {}", letters.len()));
    browser.value(
        "(() => document.querySelectorAll('.letter').forEach((of) => { of.open = true; }))()",
    );
    browser.wait(&format!("document.querySelectorAll('.letter pre').length === {}", letters.len()));
    is_text("dead letters");
    assert!(browser.value("document.body.innerText").as_str().unwrap().contains(markup));
    assert_eq!(browser.said(), Vec::<String>::new());
}
