//! The page of shop events, whose rows have lists in them.

use serde_json::{Value as Json, json};

use super::drawn::go;
use super::{asked, first_value, shown};
use crate::browser::Browser;
use crate::support::{Dashboard, Scratch, plugins, root};

/// The values of a column, as numbers.
fn numbers(rows: &[Json], column: &str) -> Vec<f64> {
    rows.iter().map(|row| row[column].as_f64().unwrap()).collect()
}

/// The values of a column, as texts.
fn texts(rows: &[Json], column: &str) -> Vec<String> {
    rows.iter().map(|row| row[column].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_page_of_shop_events_shows_what_the_sql_says_and_its_filters_work() {
    let test = "the_page_of_shop_events_shows_what_the_sql_says_and_its_filters_work";
    let Some(browser) = Browser::open(test) else { return };
    plugins();
    let scratch = Scratch::new();
    scratch.done(&["generate", "events", "--rows", "2000", "--bad", "2%", "--output", "e.ndjson"]);
    let pipeline = root().join("host/pipelines/shop_events.toml");
    scratch.summary(&pipeline, &["source.uri=e.ndjson", "dead_letter.max_rejected_share=1.0"]);
    let dashboard = Dashboard::start(&scratch, &[]);
    browser.sign_in(&dashboard.at);
    let size = json!({ "width": 1400, "height": 1200, "deviceScaleFactor": 1, "mobile": false });
    browser.command("Emulation.setDeviceMetricsOverride", size);
    go(&browser, &dashboard, "events");
    let tab = "document.querySelector('#tab-events[aria-current=page]').textContent";
    assert_eq!(browser.value(tab), "Shop events");

    let is_as_asked = |filters: &[(&str, &str)]| {
        let categories = asked(&scratch, "item_categories", filters);
        let plot = "document.querySelector('[data-tile=item_categories] .plot').data[0].x";
        browser.wait(&format!("{plot}.length === {}", categories.len()));
        let bars: Vec<f64> = serde_json::from_value(browser.value(plot)).unwrap();
        assert_eq!(bars, numbers(&categories, "revenue"), "{filters:?}");
        let products = asked(&scratch, "item_products", filters);
        let ids = "[...document.querySelectorAll('[data-tile=item_products] tbody th')]\
             .map((of) => of.textContent)";
        let ids: Vec<String> = serde_json::from_value(browser.value(ids)).unwrap();
        assert_eq!(ids, texts(&products, "product"), "{filters:?}");
        let revenue = first_value(&asked(&scratch, "item_revenue", filters));
        assert_eq!(shown(&browser, "item_revenue"), revenue, "{filters:?}");
        (revenue, texts(&categories, "category"))
    };
    let (all, categories) = is_as_asked(&[]);
    assert!(all > Some(0.0) && categories.len() > 1, "{all:?} {categories:?}");
    // Exact to the cent, and in euros.
    let written = "document.querySelector('[data-tile=item_revenue] data').title";
    assert!(browser.value(written).as_str().unwrap().contains('€'), "{}", browser.value(written));
    let heads = "[...document.querySelectorAll('[data-tile=item_products] thead th')]\
         .map((of) => of.textContent)";
    let wanted = json!(["product", "name", "category", "purchases", "pieces", "revenue"]);
    assert_eq!(browser.value(heads), wanted);
    let cut = "[...document.querySelectorAll('.card.table .scroll')]\
         .some((of) => of.scrollWidth > of.clientWidth)";
    assert_eq!(browser.value(cut), false);

    // By a filter that all tiles follow, and by one that the number does not.
    let choose = |filter: &str, value: &str| {
        let value = json!(value);
        browser.value(&format!(
            "(() => {{ const of = document.querySelector('#filter-{filter}'); of.value = {value}; \
             of.dispatchEvent(new Event('change', {{ bubbles: true }})); }})()"
        ));
        let set = "new URLSearchParams(location.hash.split('?')[1])";
        browser.wait(&format!("({set}.get('{filter}') ?? '') === {value}"));
        // The page follows the address once it has heard of it.
        browser.wait(&format!(
            "document.querySelector('#filter-{filter}').form.querySelector('#reset').hidden === ({value} === '')"
        ));
        browser.wait("!document.querySelector('[data-tile][data-state=loading]')");
    };
    let country = browser.value("document.querySelector('#filter-country').options[1].value");
    let country = country.as_str().unwrap();
    choose("country", country);
    let (of_country, _) = is_as_asked(&[("country", country)]);
    assert!(of_country < all, "{of_country:?} of {all:?} in {country}");
    choose("country", "");
    let category = categories[0].as_str();
    choose("category", category);
    let (revenue, left) = is_as_asked(&[("category", category)]);
    assert_eq!((revenue, left), (all, vec![category.to_owned()]));
    let note = "document.querySelector('[data-tile=item_revenue] .note').innerText";
    assert_eq!(browser.value(note), "Not filtered by category.");

    let phone = json!({ "width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": true });
    browser.command("Emulation.setDeviceMetricsOverride", phone);
    browser.wait("innerWidth === 360");
    assert_eq!(browser.value("document.documentElement.scrollWidth"), 360);
    assert!(browser.print().starts_with(b"%PDF"));
    assert_eq!(browser.said(), Vec::<String>::new());
}
