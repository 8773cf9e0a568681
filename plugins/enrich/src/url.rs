//! Page category and product, from a url.
//!
//! In: a text column of urls. Out: the category of the first rule whose prefix fits the path, and the
//! product that the path or the query names. A url that is not one (no `scheme://host` and no leading
//! `/`) gives nulls: what to do about it is for `validate` to say.
//!
//! The url is only cut into path and query; nothing is normalised but percent-encoding in the product.

mod parts;
mod prefixes;

use std::borrow::Cow;
use std::fmt::Display;
use std::ops::Range;

use clickmill_plugin::{Batch, Column, DataType, Fault, Text, Texts, Values};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Answer;
use crate::columns::{column, gather, text};
use crate::plan::{Plan, output};
use parts::{Paths, decode, parameter, query, segment};
use prefixes::{MAX_PREFIXES, Prefixes};

/// What to take from a url. An output set to null or "" is left out.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The text column of urls, absolute (`https://shop.example/cart?x=1`) or from the path on.
    #[serde(default = "default_column")]
    column: String,
    /// The text column to write the page category to.
    #[serde(default = "default_page_category")]
    page_category: Option<String>,
    /// The text column to write the product to. Where it exists already, its values are kept, and only
    /// its nulls are filled.
    #[serde(default = "default_product")]
    product: Option<String>,
    /// Which paths are of which category: the first rule that fits wins.
    #[serde(default = "default_rules")]
    rules: Vec<Rule>,
    /// The category of paths that fit no rule.
    #[serde(default = "default_other")]
    other: String,
    /// The paths below which the next segment is the product, as the prefixes of `rules`.
    #[serde(default = "default_product_prefixes")]
    product_prefixes: Vec<String>,
    /// The query parameter that holds the product where the path has none.
    product_param: Option<String>,
}

/// A category, and where it begins.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Rule {
    /// A path: fits itself and all that is below it, by whole segments and whatever the case. `/cart`
    /// fits `/cart`, `/cart/` and `/cart/items`, not `/cartoons`; `/` fits the home page alone.
    prefix: String,
    /// The category of such pages.
    category: String,
}

fn default_column() -> String {
    "url".to_owned()
}

fn default_page_category() -> Option<String> {
    Some("page_category".to_owned())
}

fn default_product() -> Option<String> {
    Some("product_id".to_owned())
}

fn default_rules() -> Vec<Rule> {
    const RULES: &[(&str, &[&str])] = &[
        ("home", &["/", "/home", "/index.html"]),
        ("search", &["/search"]),
        ("category", &["/category", "/categories", "/c"]),
        ("product", &["/product", "/products", "/p"]),
        ("cart", &["/cart", "/basket"]),
        ("checkout", &["/checkout", "/payment"]),
        ("account", &["/account", "/login", "/register"]),
    ];
    let rules = RULES.iter().flat_map(|(category, prefixes)| {
        prefixes
            .iter()
            .map(|prefix| Rule { prefix: (*prefix).to_owned(), category: (*category).to_owned() })
    });
    rules.collect()
}

fn default_other() -> String {
    "other".to_owned()
}

fn default_product_prefixes() -> Vec<String> {
    vec!["/product".to_owned(), "/products".to_owned(), "/p".to_owned()]
}

/// The enrichment, ready.
#[derive(Serialize, Deserialize)]
pub(crate) struct Url {
    column: String,
    page_category: Option<String>,
    product: Option<Product>,
    rules: Prefixes,
    /// Those of the rules in their order, and last that of paths which fit none.
    categories: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Product {
    column: String,
    prefixes: Prefixes,
    param: Option<String>,
}

impl Url {
    pub(crate) fn configure(config: Config, plan: &mut Plan<'_>) -> Option<Self> {
        let page_category = output(config.page_category);
        let product = output(config.product);
        plan.read("url.column", &config.column, &[DataType::Text]);
        if page_category.is_none() && product.is_none() {
            plan.problem("url", "no output: set `page_category` or `product`");
        }
        if let Some(column) = &page_category {
            plan.write("url.page_category", column, DataType::Text);
        }
        if let Some(column) = &product {
            if plan.type_of(column).is_some() {
                plan.read("url.product", column, &[DataType::Text]);
            }
            plan.write("url.product", column, DataType::Text);
        }
        for (setting, count) in [
            ("url.rules", config.rules.len()),
            ("url.product_prefixes", config.product_prefixes.len()),
        ] {
            if count > MAX_PREFIXES {
                plan.problem(setting, format!("{count} of them, wanted at most {MAX_PREFIXES}"));
                return None;
            }
        }
        for (at, rule) in config.rules.iter().enumerate() {
            check(format_args!("url.rules[{at}].prefix"), &rule.prefix, plan);
        }
        let rules = Prefixes::of(config.rules.iter().map(|rule| rule.prefix.as_str()));
        let categories = config.rules.into_iter().map(|rule| rule.category);
        let categories = categories.chain([config.other]).collect();
        for (at, prefix) in config.product_prefixes.iter().enumerate() {
            check(format_args!("url.product_prefixes[{at}]"), prefix, plan);
        }
        let prefixes = Prefixes::of(config.product_prefixes.iter().map(String::as_str));
        Some(Self {
            column: config.column,
            page_category,
            product: product.map(|column| Product {
                column,
                prefixes,
                param: output(config.product_param),
            }),
            rules,
            categories,
        })
    }

    pub(crate) fn enrich(&self, batch: &mut Batch, answer: &mut Answer) -> Result<(), Fault> {
        let urls = column(batch, &self.column)?;
        let urls_text = text(urls)?;
        let mut paths = Paths::default();
        let rests: Vec<Option<&[u8]>> = (0..urls.len())
            .map(|row| if urls.is_valid(row) { paths.of(urls_text.get(row)) } else { None })
            .collect();
        if let Some(name) = &self.page_category {
            let ids: Vec<u32> = rests.iter().map(|rest| self.category(*rest)).collect();
            let named = self.categories.iter().map(|name| Some(name.as_bytes()));
            let values: Vec<Option<&[u8]>> = std::iter::once(None).chain(named).collect();
            answer.add(gather(name, &ids, &values)?);
        }
        if let Some(product) = &self.product {
            let column = product.fill(&rests, batch)?;
            match column {
                Some(column) => answer.add(column),
                None => answer.columns.extend(
                    batch
                        .take(&product.column)
                        .map(|kept| Column { name: product.column.clone(), ..kept }),
                ),
            }
        }
        Ok(())
    }

    /// 0 for what is not a url, else one more than the category's place.
    fn category(&self, rest: Option<&[u8]>) -> u32 {
        let Some(rest) = rest else { return 0 };
        let rule = self.rules.find(rest);
        let place = rule.map_or(self.categories.len() - 1, |(place, _)| place);
        place as u32 + 1
    }
}

impl Product {
    /// The product column with its nulls filled from the urls; `None` where it can stay as it is.
    fn fill(&self, rests: &[Option<&[u8]>], batch: &Batch) -> Result<Option<Column>, Fault> {
        let rows = rests.len();
        let product = |row: usize| self.of(rests[row]?);
        let Some(kept) = batch.column(&self.column) else {
            let mut texts = Texts::with_capacity(rows, 0);
            for row in 0..rows {
                texts.push_option(product(row).as_deref());
            }
            return Ok(Some(texts.finish(&self.column)));
        };
        let mut validity = match &kept.validity {
            Some(validity) => validity.clone(),
            None => return Ok(None),
        };
        let kept_text = text(kept)?;
        let mut offsets = Vec::with_capacity(rows + 1);
        let mut bytes = Vec::with_capacity(kept_text.bytes.len() + 16);
        // Rows before this one are copied: runs of kept rows are copied at once.
        let mut copied = 0;
        let mut filled = false;
        for row in (0..rows).filter(|row| !kept.is_valid(*row)) {
            if let Some(product) = product(row) {
                copy(kept_text, copied..row, &mut offsets, &mut bytes);
                offsets.push(bytes.len() as u32);
                bytes.extend_from_slice(product.as_bytes());
                validity[row / 8] |= 1 << (row % 8);
                copied = row + 1;
                filled = true;
            }
        }
        if !filled {
            return Ok(None);
        }
        copy(kept_text, copied..rows, &mut offsets, &mut bytes);
        offsets.push(bytes.len() as u32);
        let values = Values::Texts(Text { offsets, bytes });
        Ok(Some(Column::new(&self.column, values, Some(validity))))
    }

    /// The product that a url names, given from its path on.
    fn of<'u>(&self, rest: &'u [u8]) -> Option<Cow<'u, str>> {
        let below = self.prefixes.find(rest).map(|(_, below)| segment(below));
        let raw = match below {
            Some(segment) if !segment.is_empty() => Cow::Borrowed(segment),
            _ => parameter(query(rest), self.param.as_deref()?.as_bytes())?,
        };
        decode(raw)
    }
}

fn check(place: impl Display, prefix: &str, plan: &mut Plan<'_>) {
    if !prefix.starts_with('/') {
        plan.problem(place, format!("`{prefix}` does not begin with `/`"));
    }
}

/// Appends rows of a text to another.
fn copy(from: &Text, rows: Range<usize>, offsets: &mut Vec<u32>, bytes: &mut Vec<u8>) {
    let start = from.offsets[rows.start];
    let end = from.offsets[rows.end];
    let shift = (bytes.len() as u32).wrapping_sub(start);
    let run = &from.offsets[rows];
    offsets.extend(run.iter().map(|offset| offset.wrapping_add(shift)));
    bytes.extend_from_slice(&from.bytes[start as usize..end as usize]);
}
