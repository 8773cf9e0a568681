//! The files of a new project. Those of its template have names in double braces, which are filled in; the
//! SDK comes along whole, so that the project is built by its language's tools alone, from a clone of it on any
//! machine.

use serde_json::json;

use super::language::{Files, Language};
use crate::new_folder::{DEAD_LETTER, FILLED_IN};

const LOCK_FILE: &str = "Cargo.lock";

/// A project that is to be made.
pub(super) struct Project {
    pub language: Language,
    /// Of the plugin and the stage.
    pub name: String,
    /// Columns, one at least.
    pub reads: Vec<String>,
    pub writes: String,
}

impl Project {
    /// Whether a crate of that name is among those that plugins in Rust are made of.
    pub(super) fn is_built_with(name: &str) -> bool {
        // In a program both are spelled the same.
        let spelled = |name: &str| name.replace('-', "_");
        let (template, _) = Language::Rust.files();
        let lock = template.iter().find(|(path, _)| path == LOCK_FILE);
        let named = format!("name = \"{}\"", spelled(name));
        lock.is_some_and(|(_, text)| text.lines().any(|line| spelled(line) == named))
    }

    /// All files, by their path in the project.
    pub(super) fn files(&self) -> Files {
        let table = self.table();
        let (template, sdk) = self.language.files();
        let template = template.into_iter().map(|(path, text)| {
            let text = self.filled_in(&text);
            let text = if path == LOCK_FILE { sorted(&text) } else { text };
            (path, text)
        });
        let sdk = sdk.into_iter().map(|(path, text)| (format!("sdk/{path}"), text));
        let own = [
            (format!("schemas/{table}.json"), self.schema()),
            ("schemas/dead_letter.json".to_owned(), DEAD_LETTER.to_owned()),
            ("events/events.csv".to_owned(), self.events()),
        ];
        template.chain(sdk).chain(own).collect()
    }

    /// The table that the made-up events go to.
    fn table(&self) -> String {
        self.name.replace('-', "_")
    }

    fn filled_in(&self, template: &str) -> String {
        let listed = |each: fn(&str) -> String| {
            self.reads.iter().map(|name| each(name)).collect::<Vec<_>>().join(", ")
        };
        let (first, last) = (self.reads.first(), self.reads.last());
        let values = [
            ("name", self.name.clone()),
            ("table", self.table()),
            ("reads", listed(|name| format!("\"{name}\""))),
            ("reads_in_words", listed(|name| format!("`{name}`"))),
            ("types", listed(|name| format!("\"{name}\": \"STRING\""))),
            ("first", first.cloned().unwrap_or_default()),
            ("last", last.cloned().unwrap_or_default()),
            ("writes", self.writes.clone()),
            ("limits", self.language.limits()),
            ("clickmill", env!("CARGO_PKG_VERSION").to_owned()),
            ("rust", env!("CARGO_PKG_RUST_VERSION").to_owned()),
        ];
        values.iter().fold(template.to_owned(), |text, (key, value)| {
            text.replace(&format!("{{{{{key}}}}}"), value)
        })
    }

    /// The columns of the table: all that there are, and what the host fills in, by which a replay knows which rows are
    /// there.
    fn schema(&self) -> String {
        let made = Some(&self.writes).filter(|name| !self.reads.contains(name));
        let field = |name: &str, kind: &str, description: &str| json!({"name": name, "type": kind, "mode": "NULLABLE", "description": description});
        let column = |name: &String| {
            let verb = if *name == self.writes { "Written" } else { "Read" };
            let description = format!("{verb} by {}", self.name);
            field(name, "STRING", &description)
        };
        let columns = self.reads.iter().chain(made).map(column);
        let filled_in = FILLED_IN.iter().map(|(name, kind, what)| field(name, kind, what));
        let columns: Vec<_> = columns.chain(filled_in).collect();
        format!("{:#}\n", serde_json::Value::from(columns))
    }

    /// Made-up events: values in each of the columns, every one of them beside several others.
    fn events(&self) -> String {
        const ROWS: usize = 60;
        const VALUES: [&str; 10] = [
            "google",
            "Google ",
            "FB",
            "newsletter",
            "",
            "  Spring   Sale",
            "google.com",
            "",
            "partner",
            "a value that is much longer than anybody would believe a value of this column to be, were it ever so dear",
        ];
        let line = |row: usize| {
            let value =
                |column: usize| format!("\"{}\"", VALUES[(row + 3 * column) % VALUES.len()]);
            (0..self.reads.len()).map(value).collect::<Vec<_>>().join(",")
        };
        let header = std::iter::once(self.reads.join(","));
        header.chain((0..ROWS).map(line)).map(|line| line + "\n").collect()
    }
}

/// A lock file with its packages in the order that cargo wants, by their names.
fn sorted(lock: &str) -> String {
    const PACKAGE: &str = "\n[[package]]\n";
    let mut parts = lock.split(PACKAGE);
    let head = parts.next().unwrap_or_default().to_owned();
    let mut packages: Vec<&str> = parts.collect();
    packages.sort_unstable();
    packages.into_iter().fold(head, |text, package| text + PACKAGE + package)
}
