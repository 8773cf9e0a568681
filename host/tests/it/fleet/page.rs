//! A fleet on the page of one of its replicas.

use serde_json::json;

use super::{Fleet, end};
use crate::browser::Browser;

/// Whether so many replicas are on the page, each with this set.
fn all_run(count: usize, set: &str) -> String {
    format!(
        "(rows => rows.length === {count} && rows.every(row => row.querySelector('code').title === '{set}'))\
         ([...document.querySelectorAll('#replicas tbody tr')])"
    )
}

#[test]
fn the_page_of_a_replica_shows_what_each_of_them_runs() {
    let test = "the_page_of_a_replica_shows_what_each_of_them_runs";
    let Some(browser) = Browser::open(test) else { return };
    let fleet = Fleet::new("fleet");
    let replicas = [fleet.replica(), fleet.replica()];
    let before = fleet.agree(&replicas);
    browser.sign_in(&replicas[0].at);
    browser.value("(() => { location.hash = '#/pipeline'; })()");
    browser.wait(&all_run(2, &before));
    let status = fleet.status(&replicas[0]);
    let own = browser.value(
        "[...document.querySelectorAll('#replicas tbody th')].filter(name => name.querySelector('.badge')).map(name => name.firstChild.data)",
    );
    assert_eq!(own, json!([status["replica"]]));
    // It is made anew with each round: who has come to it by the keyboard stays there.
    browser.value("(() => { window.held = document.querySelector('#replicas').parentNode; window.held.focus(); })()");
    browser.wait("!window.held.isConnected && document.activeElement === document.querySelector('#replicas').parentNode");
    let swapped = fleet.done("swap", &["--config", "mask.key_id=k2"]);
    let after = swapped["plugin_set"].as_str().unwrap();
    assert_ne!(after, before);
    browser.wait(&all_run(2, after));
    let [first, second] = replicas;
    end(second);
    browser.wait(&all_run(1, after));
    assert_eq!(browser.said(), Vec::<String>::new());
    end(first);
}
