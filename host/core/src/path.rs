//! Where a column stands in a table or a batch: its name, and before it those of the records that it is a
//! field of. Lists have no part in it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// What stands between the names in text.
const BETWEEN: char = '.';

/// Bytes that a name may have, as in BigQuery.
pub const MAX_NAME_BYTES: usize = 300;

/// Records that may stand one in another, as in BigQuery.
pub const MAX_DEPTH: usize = 15;

/// A column by its names, the outermost first. In text there are dots between them: `items.price`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(Arc<[Box<str>]>);

/// A text that is no path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAPath {
    /// A name is missing.
    #[error(
        "`{0}` is not a path of a column: wanted names with dots between them, such as `items.price`"
    )]
    Empty(String),
    /// A name is too long.
    #[error("a path of a column has a name of {0} bytes, at most {MAX_NAME_BYTES} are allowed")]
    Long(usize),
    /// There are more records around the column than BigQuery allows.
    #[error("a path of a column has {0} names, at most {most} are allowed", most = MAX_DEPTH + 1)]
    Deep(usize),
}

impl Path {
    /// The path of a column of the batch itself, whatever its name is.
    pub fn of(name: &str) -> Self {
        Self(Arc::new([name.into()]))
    }

    /// The path of a field of this record, whatever its name is.
    #[must_use]
    pub fn field(&self, name: &str) -> Self {
        Self(self.0.iter().cloned().chain([name.into()]).collect())
    }

    /// The path of what is below this record by that path.
    #[must_use]
    pub fn join(&self, below: &Self) -> Self {
        Self(self.0.iter().chain(&*below.0).cloned().collect())
    }

    /// The names, the outermost first. There is at least one.
    pub fn names(&self) -> impl DoubleEndedIterator<Item = &str> + ExactSizeIterator {
        self.0.iter().map(AsRef::as_ref)
    }

    /// The outermost name: that of the column of the batch.
    pub fn first(&self) -> &str {
        self.0.first().map_or("", AsRef::as_ref)
    }

    /// The column's own name.
    pub fn last(&self) -> &str {
        self.0.last().map_or("", AsRef::as_ref)
    }

    /// The record that it is a field of.
    pub fn parent(&self) -> Option<Self> {
        let (_, above) = self.0.split_last()?;
        (!above.is_empty()).then(|| Self(above.into()))
    }

    /// Whether it is `other`, or below it.
    pub fn starts_with(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }
}

impl FromStr for Path {
    type Err = NotAPath;

    fn from_str(text: &str) -> Result<Self, NotAPath> {
        let names: Arc<[Box<str>]> = text.split(BETWEEN).map(Into::into).collect();
        if names.iter().any(|name| name.is_empty()) {
            return Err(NotAPath::Empty(text.to_owned()));
        }
        if let Some(name) = names.iter().find(|name| name.len() > MAX_NAME_BYTES) {
            return Err(NotAPath::Long(name.len()));
        }
        if names.len() > MAX_DEPTH + 1 {
            return Err(NotAPath::Deep(names.len()));
        }
        Ok(Self(names))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, name) in self.names().enumerate() {
            if at > 0 {
                write!(to, "{BETWEEN}")?;
            }
            to.write_str(name)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Path {
        text.parse().expect("a path")
    }

    #[test]
    fn a_path_is_told_as_it_was_read() {
        for text in ["price", "items.price", "a.b.c", "Straße.größe", " a "] {
            assert_eq!(path(text).to_string(), text);
        }
        assert_eq!(path("items.price"), Path::of("items").field("price"));
        assert_eq!(path("a.b.c").names().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!((path("a.b.c").first(), path("a.b.c").last()), ("a", "c"));
    }

    #[test]
    fn a_record_has_what_is_below_it_and_nothing_else() {
        assert!(path("items").starts_with(&path("items")));
        assert!(path("items.price.net").starts_with(&path("items.price")));
        for (other, record) in
            [("items", "items.price"), ("items2.price", "items"), ("price", "items")]
        {
            assert!(!path(other).starts_with(&path(record)), "{other} in {record}");
        }
        assert_eq!(path("a.b.c").parent(), Some(path("a.b")));
        assert_eq!(path("a").parent(), None);
        assert_eq!(path("a").join(&path("b.c")), path("a.b.c"));
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in ["", ".", "a.", ".a", "a..b"] {
            assert_eq!(text.parse::<Path>(), Err(NotAPath::Empty(text.to_owned())));
        }
        let long = "x".repeat(MAX_NAME_BYTES + 1);
        assert_eq!(format!("a.{long}").parse::<Path>(), Err(NotAPath::Long(301)));
        assert_eq!(vec!["r"; 17].join(".").parse::<Path>(), Err(NotAPath::Deep(17)));
        assert!(vec!["r"; 16].join(".").parse::<Path>().is_ok());
    }
}
