//! The files of a proposal: the pipeline file, the schemas, a README.

mod schema;

use crate::kind::Kind;
use crate::personal::{Look, Treatment};
use crate::rules::{Rules, rules};
use crate::shape::Column;
use crate::toml::{comment, inline, key, quoted};
use crate::{About, Proposal, Shape, UNKNOWN};
use clickmill_core::terminal::shown;
use schema::schema;

/// Rows that may be made of a record where nothing is said, and at most.
const ROWS_PER_RECORD: usize = 1000;
const MAX_ROWS_PER_RECORD: usize = 10_000;
/// What a record may cost where nothing is said, and what a byte of nested JSON may.
const FUEL_PER_RECORD: usize = 200_000;
const FUEL_PER_BYTE: usize = 1000;
/// Cleaning looks through each text for each kind, escapes too: a byte of it costs more.
const FUEL_PER_BYTE_CLEANED: usize = 5000;
const FUEL_PER_RECORD_CLEANED: usize = 2_000_000;
const CLEANED: &str = "# Whoever sends texts that are made to be dear to clean takes no rows of others along.\nmax_fuel_per_kib = 3_000_000";
/// What an instance may return where nothing is said, by a wide margin, and at most.
const ROOM_BYTES: usize = 16 << 20;
const MAX_ROOM_BYTES: usize = 1 << 30;

/// All kinds that can be cleaned out of text.
const ALL_KINDS: &str =
    r#"{ clean = ["email", "phone", "token", "ip", "iban", "card", "api_key"] }"#;

pub(crate) fn write(shape: &Shape<'_>, about: &About) -> Result<Proposal, String> {
    let (largest, events, room) = (about.largest, shape.most_events, room(shape, about));
    let cannot = if events > MAX_ROWS_PER_RECORD {
        Some(format!("and at most {MAX_ROWS_PER_RECORD} become rows of one"))
    } else if room > MAX_ROOM_BYTES {
        Some(format!("which with what is around them may take {room} bytes, of {MAX_ROOM_BYTES}"))
    } else {
        None
    };
    if let Some(cannot) = cannot {
        return Err(format!(
            "a message of {largest} bytes holds {events} events, {cannot}: write a line for each event, such as by `jq -c '.[]'`"
        ));
    }
    let mut all = Vec::new();
    shape.columns.iter().for_each(|column| column.walk("", &mut all));
    let leaves: Vec<(String, &Column<'_>)> =
        all.into_iter().filter(|(_, column)| column.kind != Kind::Record).collect();
    let masked: Vec<Masked<'_>> = leaves
        .iter()
        .filter_map(|(path, column)| {
            let (treatment, why) = column.treatment.as_ref()?;
            Some(Masked { path, treatment: *treatment, setting: setting(*treatment, column), why })
        })
        .collect();
    let rules = rules(&leaves, UNKNOWN, about.year);
    let schema_file = format!("{}.json", about.table);
    let run = format!("{}clickmill run {}", about.before_run, about.pipeline);
    let pipeline = pipeline(shape, about, &masked, &rules, &schema_file, &run);
    let personal = masked.iter().map(|masked| {
        format!("{}: {} ({})", comment(masked.path), masked.treatment.word(), masked.why)
    });
    let unknown = unknown(shape);
    let removed =
        unknown.iter().map(|why| format!("{UNKNOWN}: {} ({why})", Treatment::Remove.word()));
    let personal: Vec<String> = personal.chain(removed).collect();
    let readme = readme(shape, about, &personal, &run);
    let files = vec![
        ("pipeline.toml".to_owned(), pipeline),
        (schema_file, schema(shape, about, unknown.as_deref())),
        ("dead_letter.json".to_owned(), about.dead_letter.clone()),
        ("README.md".to_owned(), readme),
    ];
    let (records, columns) = (shape.records, leaves.len());
    let told = shape.refused.told.iter().cloned().chain(of_map(shape)).collect();
    Ok(Proposal { files, records, columns, personal, told, run })
}

/// Why nothing of what no column takes may be in the table, if so.
fn unknown(shape: &Shape<'_>) -> Option<String> {
    let (keys, have) = match shape.left.personal_keys {
        0 if shape.left.map_is_personal => {
            let why = "something in it is personal by its name, which `clean` does not know";
            return Some(why.to_owned());
        }
        0 => return None,
        1 => ("1 key".to_owned(), "has"),
        keys => (format!("{keys} keys"), "have"),
    };
    let mut why = format!(
        "{keys} of the data {have} something personal in them, such as an e-mail address: they name no columns, and `clean` leaves keys as they are"
    );
    if shape.is_csv {
        why.push_str("; with other names in the header they are columns");
    }
    Some(why)
}

/// Why keys of the records name no columns though nothing personal is in them, if there are any.
fn of_map(shape: &Shape<'_>) -> Option<String> {
    let keys = shape.left.map_keys;
    let left = match unknown(shape) {
        None => format!("kept with what they hold in `{UNKNOWN}`, as the text of a JSON object"),
        Some(_) => format!("left to `{UNKNOWN}`, which `mask` empties"),
    };
    (keys > 0).then(|| {
        format!(
            "{keys} keys of the records are those of a map: they are values, such as days, or each record has few of them, as of the numbers of products. They name no columns, and are {left}"
        )
    })
}

/// A column that is masked.
struct Masked<'a> {
    path: &'a str,
    treatment: Treatment,
    setting: String,
    why: &'a str,
}

impl Treatment {
    fn word(self) -> &'static str {
        match self {
            Self::Pseudonym => "pseudonym",
            Self::Ip => "ip",
            Self::Clean => "clean",
            Self::Remove => "remove",
        }
    }

    /// The policy tag of its columns; none where only parts of a text are taken out.
    fn tag(self) -> Option<&'static str> {
        match self {
            Self::Pseudonym => Some("pseudonym"),
            Self::Ip => Some("network"),
            Self::Remove => Some("personal"),
            Self::Clean => None,
        }
    }
}

fn setting(treatment: Treatment, column: &Column<'_>) -> String {
    let seen = column.seen;
    match treatment {
        Treatment::Ip => r#"{ ip = { unreadable = "null" } }"#.to_owned(),
        // In URLs and user agents versions look like addresses, and numbers of products like those of cards.
        Treatment::Clean if seen.looking(Look::Url) + seen.looking(Look::UserAgent) > 0 => {
            match seen.looking(Look::Ip) + seen.looking(Look::HoldsIp) {
                0 => "\"clean\"".to_owned(),
                _ => r#"{ clean = ["email", "phone", "token", "ip"] }"#.to_owned(),
            }
        }
        Treatment::Clean => ALL_KINDS.to_owned(),
        other => format!("\"{}\"", other.word()),
    }
}

fn pipeline(
    shape: &Shape<'_>,
    about: &About,
    masked: &[Masked<'_>],
    rules: &Rules,
    schema_file: &str,
    run: &str,
) -> String {
    let mut text = Text::default();
    let looked = if about.is_all { "all" } else { "the first" };
    text.comment(&format!(
        "Made by `clickmill init` of {}: {looked} {} records were looked at.",
        about.origin, shape.records
    ));
    text.comment("Comments say what was seen; more may come. Change what you know better.");
    text.comment("");
    text.comment("  export CLICKMILL_MASK_KEY=$(openssl rand -hex 32)   # once; keep it: pseudonyms are made with it");
    text.comment(&format!("  {run}"));
    text.line("");
    text.line(&format!("name = {}", quoted(&about.name)));
    text.line("\n[source]");
    about.source.iter().for_each(|line| text.line(line));
    parse(&mut text, shape, about);
    let paths = || masked.iter().map(|masked| masked.path).chain([UNKNOWN]);
    stage(&mut text, "mask", about, paths(), paths());
    text.comment(
        "From the environment variable CLICKMILL_MASK_KEY; `{ key = \"OTHER\" }` names another.",
    );
    text.line("secrets = [\"key\"]");
    let cleaning = FUEL_PER_RECORD_CLEANED.max(about.largest * FUEL_PER_BYTE_CLEANED);
    limits(&mut text, shape, about, cleaning, &[CLEANED]);
    text.line("\n[plugin.config]");
    text.comment("Kept in front of every pseudonym, so that keys can rotate.");
    text.line("key_id = \"k1\"");
    text.line("\n[plugin.config.columns]");
    for masked in masked {
        text.comment(masked.why);
        text.line(&format!("{} = {}", key(masked.path), masked.setting));
    }
    if let Some(why) = unknown(shape) {
        text.comment(&why);
        text.line(&format!("{UNKNOWN} = \"{}\"", Treatment::Remove.word()));
    } else {
        text.comment("Nobody has looked at what comes here.");
        text.line(&format!("{UNKNOWN} = {ALL_KINDS}"));
    }
    stage(&mut text, "validate", about, rules.reads.iter().map(String::as_str), [].into_iter());
    limits(&mut text, shape, about, about.largest * FUEL_PER_BYTE, &[]);
    text.line("\n[plugin.config]\nrules = [");
    rules.lines.iter().for_each(|line| text.line(&format!("    {}", comment_or_rule(line))));
    text.line("]");
    text.line("\n[sink]");
    text.line(&format!("table = {}", quoted(&format!("{}.{}", about.dataset, about.table))));
    text.line(&format!("schema = {}", quoted(schema_file)));
    text.line("\n[dead_letter]");
    text.line(&format!("table = {}", quoted(&format!("{}.dead_letter", about.dataset))));
    text.line("schema = \"dead_letter.json\"");
    text.comment("The run ends when more than this share of the last records was refused.");
    let refused = &shape.refused;
    refused.told.iter().for_each(|why| text.comment(&format!("{why}.")));
    refused.why_more().iter().for_each(|why| text.comment(why));
    let share = refused.max_share();
    text.line(&format!("max_rejected_share = {share:.1}\nwindow_rows = 100_000"));
    text.0
}

/// A line of a comment without what a terminal would take amiss; rules are quoted already.
fn comment_or_rule(line: &str) -> String {
    shown(line).chars().filter(|c| !c.is_control()).collect()
}

fn stage<'a>(
    text: &mut Text,
    name: &str,
    about: &About,
    reads: impl Iterator<Item = &'a str>,
    writes: impl Iterator<Item = &'a str>,
) {
    text.line(&format!("\n[[plugin]]\nname = \"{name}\""));
    let component = quoted(&format!("{}/{name}", about.plugins));
    text.line(&format!("component = {component}"));
    text.line(&format!("reads = {}", inline(reads.map(quoted))));
    let writes = inline(writes.map(quoted));
    if writes != "[]" {
        text.line(&format!("writes = {writes}"));
    }
}

/// What a message becomes, by a wide margin: its events share its bytes, and each has all that is around them.
fn room(shape: &Shape<'_>, about: &About) -> usize {
    let has_around = shape.columns.iter().any(|column| column.is_around);
    about.largest.saturating_mul(if has_around { shape.most_events.max(8) } else { 8 })
}

/// Room for large records, and for dear ones.
fn limits(text: &mut Text, shape: &Shape<'_>, about: &About, fuel: usize, more: &[&str]) {
    let mut lines: Vec<String> = more.iter().map(|line| (*line).to_owned()).collect();
    if fuel > FUEL_PER_RECORD {
        lines.push(format!("max_fuel_per_record = {fuel}"));
    }
    if room(shape, about) > ROOM_BYTES {
        lines.push(format!(
            "max_memory_bytes = {MAX_ROOM_BYTES}\nmax_output_bytes = {MAX_ROOM_BYTES}"
        ));
    }
    if shape.most_events * 2 > ROWS_PER_RECORD {
        lines.push(format!("max_rows_per_record = {MAX_ROWS_PER_RECORD}"));
    }
    if !lines.is_empty() {
        text.line("\n[plugin.limits]");
        text.comment(&format!("The largest record had {} bytes.", about.largest));
        lines.iter().for_each(|line| text.line(line));
    }
}

fn parse(text: &mut Text, shape: &Shape<'_>, about: &About) {
    let reads = if shape.is_csv { "*" } else { "payload" };
    stage(text, "parse", about, [reads].into_iter(), ["*"].into_iter());
    limits(text, shape, about, about.largest * FUEL_PER_BYTE, &[]);
    text.line("\n[plugin.config]");
    text.line(&format!("format = \"{}\"", if shape.is_csv { "csv" } else { "json" }));
    if unknown(shape).is_some() {
        text.comment(&format!("What no column takes goes into the column `{UNKNOWN}`, which `mask` empties, for the reason that stands there."));
    } else {
        text.comment(&format!("What no column takes is kept in the column `{UNKNOWN}`, so that nothing is lost when more comes."));
    }
    of_map(shape).iter().for_each(|why| text.comment(&format!("{why}.")));
    text.line("unknown = \"keep\"");
    if shape.repeats_keys {
        text.comment("Some objects have a key twice.");
        text.line("duplicates = \"last\"");
    }
    if let Some(explode) = shape.explode {
        text.comment(&format!(
            "A row for each event of a message; at most {} were seen in one.",
            shape.most_events
        ));
        text.line(&format!("explode = {}", quoted(explode)));
        let around = shape.columns.iter().filter(|column| column.is_around);
        let around: Vec<String> = around
            .map(|column| {
                let from = column.key.replace('.', "\\.");
                format!("{} = {}", key(&column.name), quoted(&from))
            })
            .collect();
        if !around.is_empty() {
            text.comment("Of what is around the events in their message.");
            text.line(&format!("envelope = {{ {} }}", around.join(", ")));
        }
    }
    text.line("columns = [");
    for column in &shape.columns {
        parsed(text, column, 1, shape.is_csv);
    }
    text.line("]");
}

/// A column as `parse` makes it.
fn parsed(text: &mut Text, column: &Column<'_>, depth: usize, is_csv: bool) {
    let indent = "    ".repeat(depth);
    text.line(&format!("{indent}# {}", comment(&seen(column))));
    let mut parts = vec![
        format!("name = {}", quoted(&column.name)),
        format!("type = \"{}\"", column.kind.parsed()),
    ];
    let from = match (is_csv, depth) {
        (false, 1) => column.key.replace('.', "\\."),
        _ => column.key.to_owned(),
    };
    if !column.is_around && from != column.name {
        parts.push(format!("from = {}", quoted(&from)));
    }
    if column.is_list {
        parts.push("repeated = true".to_owned());
    }
    if column.nothing_is_null {
        parts.push("unreadable = \"null\"".to_owned());
    }
    if column.fields.is_empty() {
        return text.line(&format!("{indent}{{ {} }},", parts.join(", ")));
    }
    text.line(&format!("{indent}{{ {}, fields = [", parts.join(", ")));
    column.fields.iter().for_each(|field| parsed(text, field, depth + 1, is_csv));
    text.line(&format!("{indent}] }},"));
}

/// What was seen of a column, in words.
fn seen(column: &Column<'_>) -> String {
    let (values, places) = column.there;
    let there = match values {
        0 => format!("empty in all {places}"),
        _ if values == places => format!("in all {places}"),
        _ => format!("in {values} of {places}"),
    };
    let why = &column.why;
    if why.is_empty() { there } else { format!("{there}; {why}") }
}

fn readme(shape: &Shape<'_>, about: &About, personal: &[String], run: &str) -> String {
    let mut text = format!(
        "# {}\n\nA pipeline that `clickmill init` made of {}, of which it looked at {} records. `pipeline.toml` says what it does and why, line by line; `{}.json` has the columns of its table.\n\n```\n",
        about.name,
        comment(&about.origin),
        shape.records,
        about.table,
    );
    text.push_str("export CLICKMILL_MASK_KEY=$(openssl rand -hex 32)\n");
    text.push_str(&format!(
        "clickmill validate {}\n{run}\nclickmill query \"SELECT * FROM {}.{} LIMIT 10\"\nclickmill dead-letter list\n```\n",
        about.pipeline, about.dataset, about.table
    ));
    text.push_str("\nKeep the key: the same one makes the same pseudonyms.\n");
    if !personal.is_empty() {
        text.push_str("\nThese columns look personal, and are masked:\n\n");
        personal.iter().for_each(|line| text.push_str(&format!("- {line}\n")));
        text.push_str("\nNobody but you can say whether these are all. With `keep` in place of a treatment, and without the `policyTags` in the schema, a column stays as it is.\n");
    }
    shown(&text).into_owned()
}

/// A file in the making.
#[derive(Default)]
struct Text(String);

impl Text {
    fn line(&mut self, text: &str) {
        self.0.push_str(text);
        self.0.push('\n');
    }

    fn comment(&mut self, text: &str) {
        self.line(format!("# {}", comment(text)).trim_end());
    }
}
