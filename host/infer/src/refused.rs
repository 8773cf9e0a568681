//! Records that a run will refuse: how many of those that were looked at, and why the first of them.

use std::collections::BTreeSet;

use crate::value::{MAX_DEPTH, is_too_deep};
use crate::{About, Records};

/// A run ends where more than this share is refused, unless so many were seen.
const MAX_SHARE: f64 = 0.2;

/// Records that a run will refuse.
pub(crate) struct Refused {
    pub count: usize,
    /// How many there are in all.
    pub of: usize,
    /// A sentence for each way in which they are refused.
    pub told: Vec<String>,
}

impl Refused {
    /// Those of the records, and those that could not even be decoded. `no_json` has the places of texts that are no
    /// JSON; lists are records where `has_lists`.
    pub(crate) fn of(records: &Records, no_json: &[usize], has_lists: bool, about: &About) -> Self {
        let (looked, texts) = match records {
            Records::Csv { rows, .. } => (rows.len(), &[][..]),
            Records::Json(texts) => (texts.len(), &texts[..]),
        };
        let is_record = |text: &str| {
            let text = text.trim_start();
            text.starts_with('{') || (has_lists && text.starts_with('['))
        };
        let others = texts.iter().enumerate().filter(|(_, text)| !is_record(text));
        let bad: BTreeSet<usize> =
            no_json.iter().copied().chain(others.map(|(at, _)| at)).collect();
        let is_deep = |(at, text): &(usize, &String)| !bad.contains(at) && is_too_deep(text);
        let deep = texts.iter().enumerate().filter(is_deep).count();
        let mut told = Vec::new();
        if about.malformed > 0 {
            told.push(format!(
                "{} cannot be decoded, and will be dead letters; the first: {}",
                counted(about.malformed),
                about.first_malformed
            ));
        }
        if let Some(first) = bad.first() {
            let why = if no_json.contains(first) {
                format!("not JSON: {}", why_no_json(&texts[*first]))
            } else {
                "JSON, but no object".to_owned()
            };
            told.push(format!(
                "{} will be refused by `parse`, and be dead letters; the first, record {} of those that were decoded, is {why}",
                counted(bad.len()),
                first + 1
            ));
        }
        if deep > 0 {
            told.push(format!(
                "{} nested more than {MAX_DEPTH} deep, which `parse` refuses as `too_deep`: dead letters, unless `max_depth` in its configuration is raised",
                if deep == 1 { "1 record is".to_owned() } else { format!("{deep} records are") }
            ));
        }
        let count = about.malformed + bad.len() + deep;
        Self { count, of: about.malformed + looked, told }
    }

    /// The share that may be refused: with room where more are than may be where nothing was seen.
    pub(crate) fn max_share(&self) -> f64 {
        let share = self.count as f64 / self.of.max(1) as f64;
        if share > MAX_SHARE { ((share * 15.0).ceil() / 10.0).min(1.0) } else { MAX_SHARE }
    }

    /// Why that is more than it would be, if so.
    pub(crate) fn why_more(&self) -> Option<String> {
        (self.max_share() > MAX_SHARE).then(|| {
            format!(
                "{} of {} were, and with {MAX_SHARE} nothing of them would be loaded. Lower it once they are mended.",
                self.count,
                counted(self.of)
            )
        })
    }
}

fn counted(count: usize) -> String {
    if count == 1 { "1 record".to_owned() } else { format!("{count} records") }
}

/// Why a text is no JSON, without a letter of it.
fn why_no_json(text: &str) -> String {
    match serde_json::from_str::<serde_json::Value>(text) {
        Err(error) => {
            let told = error.to_string();
            let why = told.split(" at line ").next().unwrap_or_default();
            format!("{why} at byte {}", error.column())
        }
        Ok(_) => "it cannot be read".to_owned(),
    }
}
