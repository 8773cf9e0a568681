//! What the pipeline file may set. Each column's treatment is one line of it: a word, or a word with
//! options. A line that makes no sense is kept as the text of its problem, so that all of them are
//! told at once, each with its column.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// How the columns are masked.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The secret that the pseudonyms are made with. Not for the pipeline file: the host refuses it there, and
    /// fills it in from an environment variable, `CLICKMILL_MASK_KEY` unless the pipeline file names another.
    /// Without it there are no pseudonyms.
    #[serde(default)]
    pub(crate) key: Option<String>,

    /// What each pseudonym starts with, 1 to 8 of `a-z` and `0-9`. Change it with the key, so that old
    /// and new pseudonyms can be told apart.
    #[serde(default = "default_key_id")]
    pub(crate) key_id: String,

    /// What becomes of a row with text in an `ip` column that is no address.
    #[serde(default)]
    pub(crate) unreadable: Unreadable,

    /// The treatment of each column, by its path: `user.email`, `items.note`. Lists keep their length: an element
    /// that would become null is an empty text. A list that is removed is an empty one.
    #[schemars(with = "BTreeMap<String, Treatment>")]
    pub(crate) columns: BTreeMap<String, Entry>,
}

/// What becomes of a row with text in an `ip` column that is no address, such as one with a port.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unreadable {
    /// It is refused with the code `bad_ip`.
    #[default]
    Reject,
    /// The column is null, and that is counted: in the summary of a run and in the metrics.
    Null,
}

/// A treatment, or what is wrong with it.
pub(crate) struct Entry(pub(crate) Result<Treatment, String>);

/// What is done to a column.
#[derive(Debug, PartialEq)]
pub(crate) enum Treatment {
    Pseudonym(Pseudonym),
    Ip(Ip),
    Clean(Clean),
    Remove,
    Keep,
}

/// IPv4 addresses keep 24 bits, IPv6 addresses 48. A text column; an empty text is null.
#[derive(Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ip {
    /// For this column, in place of the plugin's own `unreadable`.
    #[serde(default)]
    pub(crate) unreadable: Option<Unreadable>,
}

/// A keyed hash in place of the value: `<key_id>_<32 hex digits>`. Equal values have equal pseudonyms,
/// and nobody without the key can tell which value one stands for. Text and int64 columns; an integer
/// is hashed as its decimal text, so 42 and "42" have the same pseudonym. An empty text is nobody's, and
/// null: or all that is anonymous would be one person.
#[derive(Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pseudonym {
    /// Equal values of one domain have equal pseudonyms, those of two domains do not, so columns can be
    /// joined within a domain only. Without it all columns and tables share the domain "".
    #[serde(default)]
    pub(crate) domain: String,
    /// The column whose value is hashed, where it is not the one written. It stays as it is: have it
    /// removed as well where it must not be seen.
    #[serde(default)]
    pub(crate) from: Option<String>,
}

/// Replaces personal data within URLs, JSON and free text, for what they mean and however they are escaped.
/// JSON stays JSON: its keys stay, and a number in the place of which a mark would stand is null. Text
/// columns.
#[derive(Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Clean {
    /// What is replaced. Without it `email`, `phone` and `token` are.
    #[serde(default = "Kind::usual")]
    pub(crate) kinds: Vec<Kind>,
    /// The only parameters that stay in a URL's query: all others go, and so does a fragment with a `=`
    /// in it. `[]` drops the whole query. Without it all parameters stay.
    #[serde(default)]
    pub(crate) keep_params: Option<Vec<String>>,
}

/// What can be cleaned out of text, however it is escaped.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// E-mail addresses become `[email]`.
    Email,
    /// Phone numbers become `[phone]`: international ones with a leading +, national ones that are
    /// grouped, and those that a name like `tel:` or `phone=` announces.
    Phone,
    /// JSON web tokens, bearer tokens, passwords, one-time codes, values of parameters like `token`, `key`
    /// or `session` that look like one, and a URL's user and password become `[token]`.
    Token,
    /// IPv4 and IPv6 addresses become `[ip]`.
    Ip,
    /// International bank account numbers with valid check digits become `[iban]`.
    Iban,
    /// Numbers of payment cards with a valid check digit become `[card]`.
    Card,
    /// Keys of well-known services, JSON web tokens and private keys become `[api_key]`.
    ApiKey,
}

const TREATMENTS: &str = "`pseudonym`, `ip`, `clean`, `remove` or `keep`";

impl Kind {
    /// Those that are replaced where nothing else is asked for.
    pub(crate) fn usual() -> Vec<Self> {
        vec![Self::Email, Self::Phone, Self::Token]
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(|value| Self(Treatment::parse(value)))
    }
}

impl Treatment {
    fn parse(value: Value) -> Result<Self, String> {
        match value {
            Value::String(word) => match word.as_str() {
                "pseudonym" => Ok(Self::Pseudonym(Pseudonym::default())),
                "ip" => Ok(Self::Ip(Ip::default())),
                "clean" => Ok(Self::Clean(Clean { kinds: Kind::usual(), keep_params: None })),
                "remove" => Ok(Self::Remove),
                "keep" => Ok(Self::Keep),
                _ => Err(unknown(&word)),
            },
            Value::Object(object) if object.len() == 1 => object
                .into_iter()
                .map(|(word, options)| Self::with(&word, options))
                .collect::<Result<Vec<_>, _>>()
                .map(|mut one| one.swap_remove(0)),
            other => Err(format!("`{other}` is no treatment: wanted {TREATMENTS}")),
        }
    }

    fn with(word: &str, options: Value) -> Result<Self, String> {
        let wrong = |error: serde_json::Error| format!("`{word}`: {error}");
        match (word, options) {
            ("pseudonym", options) => {
                serde_json::from_value(options).map(Self::Pseudonym).map_err(wrong)
            }
            ("clean", kinds @ Value::Array(_)) => {
                let kinds = serde_json::from_value(kinds).map_err(wrong)?;
                Ok(Self::Clean(Clean { kinds, keep_params: None }))
            }
            ("clean", options) => serde_json::from_value(options).map(Self::Clean).map_err(wrong),
            ("ip", options) => serde_json::from_value(options).map(Self::Ip).map_err(wrong),
            ("remove" | "keep", _) => {
                Err(format!("`{word}` takes no options: write it as a word, \"{word}\""))
            }
            _ => Err(unknown(word)),
        }
    }
}

impl JsonSchema for Treatment {
    fn schema_name() -> Cow<'static, str> {
        "Treatment".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let pseudonym = generator.subschema_for::<Pseudonym>();
        let ip = generator.subschema_for::<Ip>();
        let clean = generator.subschema_for::<Clean>();
        let kinds = generator.subschema_for::<Vec<Kind>>();
        let with = |word: &str, options: Schema| {
            json_schema!({
                "type": "object",
                "properties": { word: options },
                "required": [word],
                "additionalProperties": false,
            })
        };
        let clean = with("clean", json_schema!({ "anyOf": [kinds, clean] }));
        json_schema!({
            "description": "What is done to a column: a word, or a word with options.",
            "anyOf": [
                {
                    "const": "pseudonym",
                    "description": "A keyed hash in place of the value, in the domain shared by all.",
                },
                {
                    "const": "ip",
                    "description": "IPv4 addresses keep 24 bits, IPv6 addresses 48. Of anything else \
                                    `unreadable` says what becomes. A text column.",
                },
                {
                    "const": "clean",
                    "description": "E-mail addresses, phone numbers and tokens are replaced.",
                },
                { "const": "remove", "description": "Null in place of the value. Any type." },
                {
                    "const": "keep",
                    "description": "No change: a note that someone thought about it. The column is \
                                    neither read nor checked.",
                },
                with("pseudonym", pseudonym),
                with("ip", ip),
                clean,
            ],
        })
    }
}

fn default_key_id() -> String {
    "k1".to_owned()
}

fn unknown(word: &str) -> String {
    format!("no treatment is called `{word}`: wanted {TREATMENTS}")
}
