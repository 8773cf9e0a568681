//! Entries as a terminal shows them.

use clickmill_audit::Entry;
use clickmill_core::Micros;

/// Columns that a terminal has at least.
const WIDTH: usize = 80;

/// What stands before a line that says more on the one above.
const INDENT: &str = "  ";

/// Who did what when in a line, and below it what else is known.
pub(super) fn listed(entry: &Entry) -> String {
    let Entry { sequence, time, pipeline, actor, action, subject, outcome, detail, .. } = entry;
    let time = Micros::from(*time).to_the_second();
    let what = format!("{} {subject}", action.as_str());
    let (what, outcome) = (what.trim_end(), outcome.as_str());
    let head = format!("{time} {pipeline} {sequence} {what}: {outcome}, by {actor}");
    let more = detail.split("; ").flat_map(|part| wrapped(part, INDENT));
    let lines: Vec<String> = wrapped(&head, "").into_iter().chain(more).collect();
    lines.join("\n")
}

/// A text in lines, cut between words. Line ends in it are spaces: none of it looks like another entry.
fn wrapped(text: &str, indent: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if line.is_empty() {
            line = format!("{indent}{word}");
        } else if line.chars().count() + 1 + word.chars().count() <= WIDTH {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(std::mem::replace(&mut line, format!("{indent}{INDENT}{word}")));
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use clickmill_audit::{Action, Outcome};

    use super::*;

    fn entry(subject: &str, detail: &str) -> Entry {
        Entry {
            sequence: 2,
            time: 1_795_900_000_000_000,
            pipeline: "clothing_batch".to_owned(),
            actor: "ada@host".to_owned(),
            action: Action::Swap,
            subject: subject.to_owned(),
            old_plugin_set: None,
            new_plugin_set: None,
            outcome: Outcome::Done,
            detail: detail.to_owned(),
            previous: String::new(),
            hash: String::new(),
        }
    }

    #[test]
    fn an_entry_is_no_wider_than_a_terminal_and_looks_like_no_other() {
        let time = Micros::from(1_795_900_000_000_000).to_the_second();
        let head = format!("{time} clothing_batch 2 swap: done, by ada@host");
        assert_eq!(listed(&entry("", "")), head);
        let note = "phone numbers too\n2026-11-28T19:10:31Z clothing_batch 3 stop: done, by eve";
        let detail = format!("{note}; {}", "mask 0.1.0 instead of mask 0.1.1, ".repeat(8));
        let shown = listed(&entry("mask", &detail));
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[0], head.replace("swap:", "swap mask:"));
        assert!(
            lines.len() > 4 && lines[1..].iter().all(|line| line.starts_with(INDENT)),
            "{shown}"
        );
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH), "{shown}");
        let words: Vec<&str> = shown.split_whitespace().skip(8).collect();
        assert_eq!(words, detail.replace("; ", " ").split_whitespace().collect::<Vec<_>>());
    }
}
