//! What names say: which of them a pattern means, and which are not data.

use glob::{MatchOptions, Pattern};

use super::SourceError;

/// Characters that make a name a pattern.
const MAGIC: [char; 3] = ['*', '?', '['];
const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: false,
};

/// What is passed over, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedOver {
    /// What it is called.
    pub uri: String,
    /// Why there is nothing to load, as the rest of a sentence that begins with its name.
    pub why: &'static str,
}

/// A file or folder that can't be looked at.
#[derive(Debug)]
pub struct NotSeen {
    /// What it is called.
    pub uri: String,
    /// Why.
    pub error: SourceError,
}

/// Whether a name, or a part of it, may be meant as a pattern.
pub(super) fn is_pattern(name: &str) -> bool {
    name.contains(MAGIC)
}

/// A name without empty parts, as a path may be spelled: `/a//b` is `a/b`. A slash at its end stays.
pub(super) fn collapsed(name: &str) -> String {
    let parts: Vec<&str> = name.split('/').filter(|part| !part.is_empty()).collect();
    let end = if name.ends_with('/') && !parts.is_empty() { "/" } else { "" };
    format!("{}{end}", parts.join("/"))
}

/// Which of the names in a folder are meant.
pub(super) struct Selection {
    /// All of them where absent.
    pattern: Option<Pattern>,
    /// Parts of the pattern that ask for hidden names.
    asks_hidden: Vec<Pattern>,
    /// What folders on the way are called: the parts of the pattern before the first `**`, where each of
    /// them is a pattern by itself.
    folders: Vec<Pattern>,
    /// How many folders deep a name may be.
    pub depth: usize,
}

/// What a selection says of a name.
pub(super) enum Verdict {
    Meant,
    NotMeant,
    PassedOver(&'static str),
}

impl Selection {
    /// All that a folder holds, however deep.
    pub(super) fn all() -> Self {
        Self { pattern: None, asks_hidden: Vec::new(), folders: Vec::new(), depth: usize::MAX }
    }

    /// What a pattern matches. `uri` is what was given.
    pub(super) fn matching(pattern: &str, uri: &str) -> Result<Self, SourceError> {
        let compiled = |part: &str| {
            let failed = |source| SourceError::Pattern { uri: uri.to_owned(), source };
            Pattern::new(part).map_err(failed)
        };
        let parts: Vec<&str> = pattern.split('/').collect();
        let hidden = parts.iter().filter(|part| asks_hidden(part));
        let folders = parts.iter().take_while(|part| **part != "**").map(|part| Pattern::new(part));
        Ok(Self {
            pattern: Some(compiled(pattern)?),
            asks_hidden: hidden.map(|part| compiled(part)).collect::<Result<_, _>>()?,
            folders: folders.collect::<Result<_, _>>().unwrap_or_default(),
            depth: if parts.contains(&"**") { usize::MAX } else { parts.len() },
        })
    }

    /// Whether the object of this name, relative to the folder, is to be loaded.
    pub(super) fn verdict(&self, name: &str, size: u64) -> Verdict {
        if self.pattern.as_ref().is_some_and(|pattern| !pattern.matches_with(name, OPTIONS)) {
            return Verdict::NotMeant;
        }
        if size == 0 && (name.ends_with('/') || name.is_empty()) {
            return Verdict::PassedOver("is the marker of a folder");
        }
        if self.hides(name) {
            return Verdict::PassedOver("is hidden, or beside the data, by its name");
        }
        if size == 0 {
            return Verdict::PassedOver(EMPTY);
        }
        Verdict::Meant
    }

    /// Whether the pattern matches the name.
    pub(super) fn is_meant(&self, name: &str) -> bool {
        !matches!(self.verdict(name, 1), Verdict::NotMeant)
    }

    /// Whether a folder of this name may hold what is meant.
    pub(super) fn may_hold(&self, folder: &str) -> bool {
        let mut parts = self.folders.iter().zip(folder.split('/'));
        parts.all(|(asked, part)| asked.matches_with(part, OPTIONS))
    }

    /// Whether the name, or that of a folder that it is in, says that it is not data.
    pub(super) fn hides(&self, name: &str) -> bool {
        name.split('/').any(|part| self.is_hidden(part))
    }

    /// Temporary and hidden names begin with a dot, rsync's and Hadoop's among them; Spark, Hive and their
    /// like add names that begin with an underscore, and sums that end in `.crc`.
    fn is_hidden(&self, part: &str) -> bool {
        let is_named = self.asks_hidden.iter().any(|asked| asked.matches_with(part, OPTIONS));
        // A bucket's names may have such parts, which mean nothing there.
        let is_dots = part == "." || part == "..";
        !is_named && !is_dots && (part.starts_with(HIDDEN) || part.ends_with(SUM))
    }
}

/// Whether a part of a pattern matches only names of what is not data.
fn asks_hidden(part: &str) -> bool {
    let first = part.strip_prefix('[').and_then(|class| class.split_once(']'));
    let is_of_hidden =
        |(class, _): (&str, &str)| !class.is_empty() && class.chars().all(|c| HIDDEN.contains(&c));
    part.starts_with(HIDDEN) || part.ends_with(SUM) || first.is_some_and(is_of_hidden)
}

/// How names begin of what is not data.
const HIDDEN: [char; 2] = ['.', '_'];
/// How the names of sums end.
const SUM: &str = ".crc";
/// Why an object without bytes is passed over.
pub(super) const EMPTY: &str = "is empty";

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(pattern: Option<&str>, name: &str) -> &'static str {
        let selection = match pattern {
            Some(pattern) => Selection::matching(pattern, pattern).expect("a pattern"),
            None => Selection::all(),
        };
        match selection.verdict(name, u64::from(!name.ends_with('/') && !name.is_empty())) {
            Verdict::Meant => "meant",
            Verdict::NotMeant => "not meant",
            Verdict::PassedOver(_) => "passed over",
        }
    }

    #[test]
    fn names_that_are_not_data_are_passed_over_unless_they_are_asked_for() {
        for name in [
            ".part-0.csv.crc",
            "part-0.csv.crc",
            "_SUCCESS",
            "_temporary/0/a.csv",
            "a/.b.csv.Xy12Zz",
            "a/",
            "",
        ] {
            assert_eq!(verdict(None, name), "passed over", "{name}");
        }
        for name in ["a.csv", "a/b/c.csv", "a_b/c.d/e", "a//b.csv", "a\nb", "[1].csv", "..."] {
            let wanted = if name.starts_with('.') { "passed over" } else { "meant" };
            assert_eq!(verdict(None, name), wanted, "{name:?}");
        }
        assert_eq!(verdict(Some("*.csv"), "_a.csv"), "passed over");
        assert_eq!(verdict(Some("_*.csv"), "_a.csv"), "meant");
        assert_eq!(verdict(Some("_out/*.csv"), "_out/a.csv"), "meant");
        assert_eq!(verdict(Some("_out/*.csv"), "_out/.a.csv"), "passed over");
        assert_eq!(verdict(Some("*.crc"), "a.crc"), "meant");
        assert_eq!(verdict(Some("*.crc"), ".a.crc"), "meant");
        assert_eq!(verdict(Some("*"), "a.crc"), "passed over");
        assert_eq!(verdict(Some("[_]*.csv"), "_a.csv"), "meant");
        assert_eq!(verdict(Some("[._]*"), "_a.csv"), "meant");
        assert_eq!(verdict(Some("[!a]*.csv"), "_a.csv"), "passed over");
        assert_eq!(verdict(Some("[a_]*.csv"), "_a.csv"), "passed over");
        assert_eq!(verdict(Some("*.csv"), "a/b.csv"), "not meant");
        assert_eq!(verdict(Some("**/*.csv"), "a/b.csv"), "meant");
        assert_eq!(verdict(Some("*.csv"), "_SUCCESS"), "not meant");
    }

    #[test]
    fn a_name_that_ends_in_a_slash_is_a_marker_where_it_holds_nothing() {
        assert!(matches!(Selection::all().verdict("a/", 0), Verdict::PassedOver(_)));
        assert!(matches!(Selection::all().verdict("a/", 1), Verdict::Meant));
    }

    #[test]
    fn folders_are_looked_into_that_may_hold_what_is_meant() {
        let selection = Selection::matching("a*/[bc]/**/*.csv", "").expect("a pattern");
        for (folder, may_hold) in
            [("a", true), ("ab/b", true), ("ab/c/d/e", true), ("b", false), ("ab/d", false)]
        {
            assert_eq!(selection.may_hold(folder), may_hold, "{folder}");
        }
        assert!(Selection::all().may_hold("a/b"));
    }

    #[test]
    fn odd_spellings_come_to_one_name() {
        for (spelled, name) in
            [("/a//b", "a/b"), ("a/b", "a/b"), ("//", ""), ("/", ""), ("a//b//", "a/b/"), ("", "")]
        {
            assert_eq!(collapsed(spelled), name);
        }
    }
}
