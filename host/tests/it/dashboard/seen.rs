//! What tiles and pages have in common, whatever they show: tiles with answers of all kinds, looked at on
//! screens, phones and paper.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::json;

use super::drawn::go;
use super::gaps_at_the_right;
use crate::browser::Browser;
use crate::support::{Dashboard, Scratch};

/// What is written from right to left, and what has others written so.
const TURNED: [&str; 2] = ["قبعات (صيف)!", "abc \u{202e}evil"];
const LONG: &str = "bottom in the middle of the page";
/// Of more lines than any label has.
const LONGER: &str = "a long name of a product that has more words than the label of a bar has lines for, wherever it is drawn";

/// Writes a tile whose answer is these rows, in no order.
fn tile(folder: &Path, name: &str, header: &str, columns: &[&str], rows: &[Vec<String>]) {
    let row = |values: &Vec<String>| {
        let values = columns.iter().zip(values).map(|(name, value)| format!("{value} AS {name}"));
        format!("SELECT {}", values.collect::<Vec<_>>().join(", "))
    };
    let rows: Vec<String> = rows.iter().map(row).collect();
    let header = format!("-- title: Tile {name}\n-- page: batch\n-- about: All of it.\n{header}");
    let sql = format!("{header}\nSELECT * FROM ({})\n", rows.join("\nUNION ALL "));
    std::fs::write(folder.join(format!("{name}.sql")), sql).unwrap();
}

fn at(minute: usize) -> String {
    format!("TIMESTAMP '2026-11-20 10:{minute:02}:00+00:00'")
}

fn text(value: &str) -> String {
    format!("'{value}'")
}

/// Tiles of all charts: of eighteen codes, one bucket, no value, huge and tiny numbers, many columns, and
/// texts of both directions.
fn tiles(folder: &Path) {
    std::fs::create_dir(folder).unwrap();
    let codes: Vec<String> = (10..28).map(|number| text(&format!("code_{number}"))).collect();
    let letters = |minute: usize| {
        codes.iter().enumerate().map(move |(place, code)| {
            vec![at(minute), code.clone(), ((place + 1) * (minute + 1)).to_string()]
        })
    };
    let over_time: Vec<Vec<String>> = [31, 0, 2, 30, 1].into_iter().flat_map(letters).collect();
    let by_code: Vec<Vec<String>> = codes
        .iter()
        .enumerate()
        .map(|(place, code)| vec![code.clone(), (place + 1).to_string()])
        .collect();
    let three = ["time", "code", "letters"];
    let counted = "-- unit: count\n-- bucket_secs: 60";
    for (order, chart) in ["line", "column", "area"].iter().enumerate() {
        let header = format!("-- chart: {chart}\n-- order: {order}\n{counted}");
        tile(folder, &format!("codes_{chart}"), &header, &three, &over_time);
    }
    let header = "-- chart: donut\n-- order: 3\n-- unit: count";
    tile(folder, "codes_donut", header, &["code", "letters"], &by_code);
    let one = [vec![at(5), "7".to_owned()]];
    let header = format!("-- chart: column\n-- order: 4\n{counted}");
    tile(folder, "one", &header, &["time", "letters"], &one);
    let none = [vec![at(5), "CAST(NULL AS INT64)".to_owned()]];
    tile(folder, "none", "-- chart: line\n-- order: 5", &["time", "letters"], &none);
    let texts = [TURNED[0], TURNED[1], LONG, LONGER];
    let bars: Vec<Vec<String>> =
        texts.iter().enumerate().map(|(place, of)| vec![text(of), place.to_string()]).collect();
    tile(folder, "bars", "-- chart: bar\n-- order: 6", &["place", "letters"], &bars);
    let names: Vec<String> = (0..20).map(|number| format!("a_column_{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let wide = vec![vec![text(&"v".repeat(40)); names.len()]; 30];
    tile(folder, "wide", "-- chart: table\n-- order: 7", &names, &wide);
    for (order, (name, value)) in
        [("huge", "1.2345e30"), ("tiny", "1.5e-9"), ("zero", "0"), ("third", "0.25"), ("last", "7")]
            .iter()
            .enumerate()
    {
        let value = vec![format!("CAST('{value}' AS FLOAT64)")];
        tile(folder, name, &format!("-- chart: number\n-- order: {order}"), &["n"], &[value]);
    }
}

/// The colours of the parts of a chart, by their names, as its legend has them.
fn colours(browser: &Browser, tile: &str) -> BTreeMap<String, String> {
    let found = browser.value(&format!(
        "Object.fromEntries([...document.querySelectorAll('[data-tile={tile}] .key')].map((of) => [\
         of.querySelector('.name').textContent.replace(/^\\d+ others$/, 'other'), \
         of.querySelector('.swatch').style.getPropertyValue('--colour')]))"
    ));
    serde_json::from_value(found).unwrap()
}

/// How wide the window is, and whether it is a phone's; one of those has no room for bars to scroll by.
fn resize(browser: &Browser, width: u32, mobile: bool) {
    let size = json!({ "width": width, "height": 1200, "deviceScaleFactor": 1, "mobile": mobile });
    browser.command("Emulation.setDeviceMetricsOverride", size);
    browser.wait(&format!("innerWidth === {width}"));
}

/// Parts of the page that end behind its edge, and boxes that hide some of what they hold.
const LOST: &str = "[...document.querySelectorAll('main *')].filter((of) => {\
     const { width, right } = of.getBoundingClientRect();\
     if (of.closest('svg, .unseen') || width < 2) return false;\
     return right > innerWidth + 1 || (getComputedStyle(of).overflow !== 'visible' && \
       (of.scrollWidth > of.clientWidth + 1 || of.scrollHeight > of.clientHeight + 1)); })\
     .map((of) => `${of.tagName}.${of.className}`)";

#[test]
fn tiles_of_all_kinds_are_drawn_as_they_are_on_screens_and_paper() {
    let test = "tiles_of_all_kinds_are_drawn_as_they_are_on_screens_and_paper";
    let Some(browser) = Browser::open(test) else { return };
    let scratch = Scratch::new();
    let folder = scratch.path("tiles");
    tiles(&folder);
    let dashboard = Dashboard::start(&scratch, &["--tiles", &*folder.to_string_lossy()]);
    browser.sign_in(&dashboard.at);
    resize(&browser, 1400, false);
    go(&browser, &dashboard, "batch");
    // All have the one axis once all are there.
    browser.wait("document.querySelector('[data-tile=one] .plot').layout.xaxis.range[0].startsWith('2026-11-20 10:00')");

    // Of eighteen codes seven have colours, and the others one of their own, the same in each chart.
    let known = colours(&browser, "codes_donut");
    assert_eq!(known.len(), 8, "{known:?}");
    assert_eq!(known.values().collect::<BTreeSet<_>>().len(), 8, "{known:?}");
    for chart in ["line", "column", "area"] {
        assert_eq!(colours(&browser, &format!("codes_{chart}")), known, "{chart}");
        // Rows come in no order, and are drawn in that of time.
        let found = browser.value(&format!(
            "Object.fromEntries(document.querySelector('[data-tile=codes_{chart}] .plot').data.map((of) => [of.name, \
             of.x.map((x, at) => [x.slice(11, 16), of.y[at]]).filter(([, value]) => value > 0).slice(0, 5)]))"
        ));
        let found: BTreeMap<String, Vec<(String, f64)>> = serde_json::from_value(found).unwrap();
        let minutes =
            [("10:00", 1.0), ("10:01", 2.0), ("10:02", 3.0), ("10:30", 31.0), ("10:31", 32.0)];
        for (name, share) in [("code_27", 18.0), ("code_21", 12.0), ("other", 66.0)] {
            let wanted: Vec<(String, f64)> =
                minutes.map(|(at, times)| (at.to_owned(), share * times)).into();
            assert_eq!(found[name], wanted, "{chart}: {name}");
        }
    }
    // Also in another order, after the page was loaded anew.
    let ranked = "import('/assets/parts.js').then(({ OTHERS, place }) => { \
         const keys = ['b', 'a', 'd', 'c', 'g', 'f', OTHERS], one = new Map(), other = new Map(); \
         place(one, keys); place(other, [...keys].reverse()); \
         const again = new Map(), shared = new Map(); \
         place(new Map(), ['x', 'y', 'z'], shared); const y = shared.get('y'); place(again, ['y'], shared); \
         return [keys.every((key) => one.get(key) === other.get(key)), again.get('y') === y, one.get(OTHERS)] })";
    assert_eq!(browser.value(ranked), json!([true, true, 7]));

    // One bucket stands on the page's axis, at its place.
    let range = "document.querySelector('[data-tile=one] .plot').layout.xaxis.range.map((of) => of.slice(0, 16))";
    assert_eq!(browser.value(range), json!(["2026-11-20 10:00", "2026-11-20 10:32"]));
    let state = "[document.querySelector('[data-tile=none]').dataset.state, \
         ...[...document.querySelector('[data-tile=none] .message').children].map((of) => of.textContent)]";
    // There is a row, so that it is not told that none was written.
    let told = json!(["empty", "No values in this range", "Nothing to show yet."]);
    assert_eq!(browser.value(state), told);
    let numbers = "Object.fromEntries(['huge', 'tiny', 'zero', 'third'].map((name) => [name, \
         document.querySelector(`[data-tile=${name}] data`).textContent]))";
    let wanted = json!({ "huge": "1.235E30", "tiny": "1.5E-9", "zero": "0", "third": "0.25" });
    assert_eq!(browser.value(numbers), wanted);

    // What is written beside a text that turns stays beside it; a long one has all its words.
    let labels = browser
        .value("document.querySelector('[data-tile=bars] .plot').layout.yaxis.ticktext.toSorted()");
    let labels: Vec<String> = serde_json::from_value(labels).unwrap();
    for turned in TURNED {
        assert!(labels.contains(&format!("\u{2068}{turned}\u{2069}")), "{labels:?}");
    }
    assert!(labels.iter().any(|label| label.replace("<br>", " ") == LONG), "{labels:?}");
    // One that is longer yet has its first words.
    let begins = |label: &String| {
        let cut = label.replace("<br>", " ");
        cut.strip_suffix('…').is_some_and(|begin| LONGER.starts_with(begin))
    };
    assert!(labels.iter().any(begins), "{labels:?}");
    let direction = "getComputedStyle(document.querySelector('[data-tile=wide] td')).unicodeBidi";
    assert_eq!(browser.value(direction), "plaintext");
    let summaries =
        "[...document.querySelectorAll('[data-tile] summary')].map((of) => of.textContent)";
    let summaries: Vec<String> = serde_json::from_value(browser.value(summaries)).unwrap();
    assert_eq!(summaries.iter().collect::<BTreeSet<_>>().len(), summaries.len(), "{summaries:?}");

    // A table that is wider than its place scrolls in it, under its header.
    let header = browser.value(
        "(() => { const box = document.querySelector('[data-tile=wide] .scroll'); \
         box.scrollTop = 200; box.scrollLeft = 100; \
         const top = (of) => of.getBoundingClientRect().top; \
         return [box.scrollTop, box.scrollLeft, Math.round(top(box.querySelector('thead th')) - top(box))] })()",
    );
    assert_eq!(header, json!([200, 100, 1]));
    for (width, mobile) in [(1400, false), (1000, false), (390, true)] {
        resize(&browser, width, mobile);
        assert_eq!(browser.value("document.documentElement.scrollWidth <= innerWidth"), true);
        for place in [".numbers", ".charts"] {
            let left = browser.value(&gaps_at_the_right(place, ".card"));
            assert_eq!(left, json!([]), "{place} at {width}");
        }
    }

    // On a sheet of A4 without its margins. What the reader has opened is printed, and nothing ends early.
    resize(&browser, 688, true);
    browser.command("Emulation.setEmulatedMedia", json!({ "media": "print" }));
    browser.value(
        "(() => { document.querySelector('[data-tile=codes_donut] details').open = true; \
         dispatchEvent(new Event('beforeprint')); })()",
    );
    browser.wait(
        "document.querySelectorAll('[data-tile=codes_donut] details tbody tr').length === 18",
    );
    browser.wait("document.querySelector('[data-tile=bars] .plot').layout.width > 600");
    assert_eq!(browser.value(LOST), json!([]));
    for place in [".numbers", ".charts"] {
        assert_eq!(
            browser.value(&gaps_at_the_right(place, ".card")),
            json!([]),
            "{place} on paper"
        );
    }
    let alone = "[...document.querySelectorAll('.charts [data-wide] .plot')]\
         .every((of) => of.layout.width > innerWidth / 2)";
    assert_eq!(browser.value(alone), true);
    let open = "[...document.querySelectorAll('[data-tile] details')]\
         .filter((of) => of.getBoundingClientRect().height > 0).length";
    assert_eq!(browser.value(open), 1);
    assert_eq!(browser.said(), Vec::<String>::new());
}
