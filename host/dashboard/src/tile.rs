//! Tiles and filters: SQL files with a header of comment lines, `-- key: value`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::PAGES;

/// How a tile is drawn.
const CHARTS: [&str; 8] = ["number", "line", "area", "column", "bar", "donut", "funnel", "table"];
/// The widest bucket of time, in seconds: a hundred years.
const MAX_BUCKET_SECS: i64 = 3_155_760_000;

/// A tile of the dashboard.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Tile {
    /// The file's name, without its ending.
    pub name: String,
    pub page: String,
    pub title: String,
    /// One sentence on what it says.
    pub about: String,
    pub chart: String,
    pub unit: Option<String>,
    pub order: i64,
    /// How wide its buckets of time are, in seconds, where that is always the same.
    #[serde(skip)]
    pub bucket_secs: Option<i64>,
    /// The query parameters in its text.
    pub parameters: Vec<String>,
    #[serde(skip)]
    pub sql: String,
}

/// A filter: its query gives the values to choose from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Filter {
    /// The query parameter that it sets.
    #[serde(rename = "name")]
    pub parameter: String,
    pub title: String,
    pub pages: Vec<String>,
    #[serde(skip)]
    pub order: i64,
    #[serde(skip)]
    pub sql: String,
}

/// A file that is neither.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Problem {
    pub file: String,
    pub error: String,
}

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum HeaderError {
    #[error("its header lacks `-- {0}: …`")]
    Missing(&'static str),
    #[error("`{key}` is `{value}`, wanted {wanted}")]
    Value { key: &'static str, value: String, wanted: String },
    #[error("its header has `{0}` twice")]
    Twice(String),
    #[error("its header has `{key}`, wanted one of {wanted}")]
    Unknown { key: String, wanted: String },
}

impl Tile {
    /// Reads a tile.
    pub(crate) fn parse(name: &str, text: &str) -> Result<Self, HeaderError> {
        let keys = ["title", "page", "chart", "order", "unit", "bucket_secs", "about"];
        let mut header = Header::parse(text, &keys)?;
        Ok(Self {
            name: name.to_owned(),
            page: header.one_of("page", &PAGES.map(|page| page.name))?,
            title: header.take("title")?,
            about: header.take("about")?,
            chart: header.one_of("chart", &CHARTS)?,
            unit: header.take("unit").ok(),
            order: header.number("order")?,
            bucket_secs: header.width("bucket_secs")?,
            parameters: parameters(text),
            sql: text.to_owned(),
        })
    }
}

impl Filter {
    /// Reads a filter.
    pub(crate) fn parse(text: &str) -> Result<Self, HeaderError> {
        let mut header = Header::parse(text, &["title", "parameter", "order", "page"])?;
        let pages = header.take("page")?;
        let pages: Vec<String> = pages.split(',').map(|page| page.trim().to_owned()).collect();
        let known = PAGES.map(|page| page.name);
        if let Some(page) = pages.iter().find(|page| !known.contains(&page.as_str())) {
            let (value, wanted) = (page.clone(), known.join(", "));
            return Err(HeaderError::Value { key: "page", value, wanted });
        }
        Ok(Self {
            parameter: header.take("parameter")?,
            title: header.take("title")?,
            pages,
            order: header.number("order")?,
            sql: text.to_owned(),
        })
    }
}

struct Header(BTreeMap<String, String>);

impl Header {
    /// The first lines of the file that are `-- key: value`.
    fn parse(text: &str, keys: &[&str]) -> Result<Self, HeaderError> {
        let mut found = BTreeMap::new();
        for line in text.lines() {
            let Some(comment) = line.strip_prefix("--") else { break };
            let Some((key, value)) = comment.split_once(':') else { break };
            let key = key.trim();
            // A comment that happens to have a colon.
            if !key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') {
                break;
            }
            if !keys.contains(&key) {
                let wanted = keys.join(", ");
                return Err(HeaderError::Unknown { key: key.to_owned(), wanted });
            }
            if found.insert(key.to_owned(), value.trim().to_owned()).is_some() {
                return Err(HeaderError::Twice(key.to_owned()));
            }
        }
        Ok(Self(found))
    }

    fn take(&mut self, key: &'static str) -> Result<String, HeaderError> {
        self.0.remove(key).filter(|value| !value.is_empty()).ok_or(HeaderError::Missing(key))
    }

    fn one_of(&mut self, key: &'static str, known: &[&str]) -> Result<String, HeaderError> {
        let value = self.take(key)?;
        if known.contains(&value.as_str()) {
            Ok(value)
        } else {
            Err(HeaderError::Value { key, value, wanted: known.join(", ") })
        }
    }

    fn number(&mut self, key: &'static str) -> Result<i64, HeaderError> {
        let value = self.take(key)?;
        let wanted = "a whole number".to_owned();
        value.parse().map_err(|_| HeaderError::Value { key, value, wanted })
    }

    /// A number of seconds, which may be missing.
    fn width(&mut self, key: &'static str) -> Result<Option<i64>, HeaderError> {
        let Some(value) = self.0.remove(key) else { return Ok(None) };
        match value.parse() {
            Ok(seconds) if (1..=MAX_BUCKET_SECS).contains(&seconds) => Ok(Some(seconds)),
            _ => {
                let wanted = format!("whole seconds, 1 to {MAX_BUCKET_SECS}");
                Err(HeaderError::Value { key, value, wanted })
            }
        }
    }
}

/// The query parameters in a text, each once.
pub(super) fn parameters(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for line in text.lines() {
        let code = line.split("--").next().unwrap_or_default();
        for part in code.split('@').skip(1) {
            let name = part.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next();
            let name = name.unwrap_or_default();
            if !name.is_empty() && !found.iter().any(|known| known == name) {
                found.push(name.to_owned());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQL: &str = "-- title: Orders\n-- page: stream\n-- chart: bar\n-- order: 3\n\
                       -- about: How many.\n-- Grain: an order.\nSELECT @from, '@x' -- @no\n, @from";

    #[test]
    fn a_tile_is_its_header_and_its_text() {
        let tile = Tile::parse("orders", SQL).unwrap();
        assert_eq!((tile.title.as_str(), tile.chart.as_str(), tile.order), ("Orders", "bar", 3));
        assert_eq!((tile.unit, tile.bucket_secs), (None, None));
        assert_eq!(tile.parameters, ["from", "x"]);
        let by_day = SQL.replace("-- order", "-- bucket_secs: 86400\n-- order");
        assert_eq!(Tile::parse("orders", &by_day).unwrap().bucket_secs, Some(86_400));
    }

    #[test]
    fn a_header_that_is_none_says_what_is_wrong() {
        for (from, to, wanted) in [
            ("bar", "pie", "`chart` is `pie`, wanted number, line, area"),
            ("-- title: Orders\n", "", "its header lacks `-- title: …`"),
            ("order: 3", "order: first", "`order` is `first`, wanted a whole number"),
            (
                "-- order",
                "-- bucket_secs: 0\n-- order",
                "`bucket_secs` is `0`, wanted whole seconds, 1 to",
            ),
            ("-- order", "-- size: 3\n-- order", "its header has `size`, wanted one of title"),
            ("-- order", "-- page: batch\n-- order", "its header has `page` twice"),
        ] {
            let error = Tile::parse("orders", &SQL.replace(from, to)).unwrap_err();
            assert!(error.to_string().starts_with(wanted), "{error}");
        }
    }
}
