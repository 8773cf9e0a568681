//! Which curves there are: what grows, over which sizes, and the work of each size.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use clickmill_generator::{BadShares, Generator, Kind, Options};

use crate::host::{Host, Took};
use crate::smoke;
use crate::table::Table;

/// A curve, and how it is drawn.
pub(crate) struct Curve {
    pub name: &'static str,
    pub title: &'static str,
    /// What grows.
    pub x: &'static str,
    /// Whether its sizes are decades apart.
    pub log: bool,
    pub cost: Cost,
    pub left: Side,
    pub right: Side,
    pub measure: fn(&Host) -> Table,
}

/// What the figures of the left panel are the cost of.
#[derive(Clone, Copy)]
pub(crate) enum Cost {
    /// One of what `x` counts.
    OfUnit,
    /// All of it.
    OfAll,
}

/// A panel: figures of the table that have a unit in common.
pub(crate) struct Side {
    pub label: &'static str,
    pub columns: &'static [&'static str],
}

const MEMORY: Side = Side { label: "memory at the peak, MiB", columns: &["peak_mib"] };
const A_ROW: Side = Side { label: "processor time a row, ns", columns: &["processor_ns"] };

pub(crate) const CURVES: &[Curve] = &[
    Curve {
        name: "rows",
        title: "Rows: shop clicks from CSV into the warehouse",
        x: "rows",
        log: true,
        cost: Cost::OfUnit,
        left: A_ROW,
        right: MEMORY,
        measure: rows,
    },
    Curve {
        name: "columns",
        title: "Columns: a CSV file of numbers and texts",
        x: "columns",
        log: true,
        cost: Cost::OfUnit,
        left: Side { label: "processor time a value, ns", columns: &["processor_ns"] },
        right: MEMORY,
        measure: columns,
    },
    Curve {
        name: "messages",
        title: "Size of a message: clicks of which one text grows",
        x: "bytes a message",
        log: true,
        cost: Cost::OfUnit,
        left: Side { label: "processor time a byte, ns", columns: &["processor_ns"] },
        right: MEMORY,
        measure: messages,
    },
    Curve {
        name: "plugins",
        title: "Plugins: one that parses, the others with a rule each",
        x: "plugins",
        log: false,
        cost: Cost::OfAll,
        left: A_ROW,
        right: MEMORY,
        measure: plugins,
    },
    Curve {
        name: "workers",
        title: "Workers: clicks from JSON into the warehouse",
        x: "workers",
        log: false,
        cost: Cost::OfAll,
        left: Side { label: "time a row, ns", columns: &["processor_ns", "clock_ns"] },
        right: MEMORY,
        measure: workers,
    },
    Curve {
        name: "files",
        title: "Files in the warehouse, of 100 rows each",
        x: "files of the table",
        log: true,
        cost: Cost::OfAll,
        left: Side {
            label: "processor time, ms",
            columns: &["query_ms", "one_more_object_ms", "object_of_many_ms"],
        },
        right: Side { label: "memory of a query at the peak, MiB", columns: &["peak_mib"] },
        measure: files,
    },
    Curve {
        name: "letters",
        title: "Dead letters: clicks of which a share is bad",
        x: "records that become letters, %",
        log: false,
        cost: Cost::OfAll,
        left: Side { label: "processor time a record, ns", columns: &["processor_ns"] },
        right: MEMORY,
        measure: letters,
    },
];

/// Beyond that an input is no file: a process that is alone with a pipe takes no disk.
const LARGEST_FILE: u64 = 500_000_000;

/// The work of one size.
struct Work {
    pipeline: PathBuf,
    set: Vec<String>,
    input: Box<dyn Fn() -> Box<dyn Read> + Sync>,
    /// About how many bytes that is.
    bytes: u64,
    records: u64,
    /// What the cost is told for: rows, values, bytes.
    units: f64,
    /// Whether some of the records become letters.
    has_letters: bool,
}

/// Measures all sizes, in turn, three rounds; what takes long, once. Times are the least, memory the most.
fn sweep(host: &Host, x: &str, sizes: &[f64], work: impl Fn(f64) -> Work) -> Table {
    let mut table = Table::new(&[x, "processor_ns", "clock_ns", "peak_mib"]);
    let mut rounds: Vec<Vec<Took>> = vec![Vec::new(); sizes.len()];
    let mut units = vec![1.0; sizes.len()];
    for _ in 0..smoke::of(3, 1) {
        for (at, size) in sizes.iter().enumerate() {
            if rounds[at].first().is_none_or(|first| first.processor < 20.0) {
                let work = work(*size);
                units[at] = work.units;
                eprint!("  {size} {x}: ");
                rounds[at].push(measure(host, &work));
            }
        }
    }
    for ((took, size), units) in rounds.iter().zip(sizes).zip(units) {
        let nanos = |of: fn(&Took) -> f64| least(took, of) * 1e9 / units;
        let most = took.iter().map(|took| took.peak_mib).fold(0.0, f64::max);
        let (processor, clock) = (nanos(|took| took.processor), nanos(|took| took.clock));
        table.rows.push(vec![*size, processor, clock, most]);
    }
    table
}

/// The least of several: what others do on the machine only adds.
fn least(took: &[Took], of: fn(&Took) -> f64) -> f64 {
    took.iter().map(of).fold(f64::INFINITY, f64::min)
}

fn measure(host: &Host, work: &Work) -> Took {
    let file = host.path("input");
    let is_file = work.bytes < LARGEST_FILE;
    if is_file {
        let mut writer = BufWriter::new(fs::File::create(&file).unwrap());
        std::io::copy(&mut (work.input)(), &mut writer).unwrap();
        writer.flush().unwrap();
    }
    let mut set = work.set.clone();
    let uri = if is_file { file.to_string_lossy().into_owned() } else { "-".to_owned() };
    set.push(format!("source.uri={uri}"));
    let took = Host::repeated(|| {
        let _ = fs::remove_dir_all(host.path("warehouse"));
        let input = (!is_file).then_some(&*work.input);
        let (took, summary) = host.load(&work.pipeline, &set, input.map(|input| input as _));
        assert_eq!(summary["rows_in"], work.records, "{summary}");
        assert_eq!(summary["rows_rejected"] != 0, work.has_letters, "{summary}");
        took
    });
    // What a long curve has found so far is not lost when it is ended.
    eprintln!(
        "{:.3} s of processor time, {:.3} s, {:.0} MiB",
        took.processor, took.clock, took.peak_mib
    );
    took
}

fn generated(pipeline: PathBuf, options: Options, bytes_each: u64) -> Work {
    Work {
        pipeline,
        set: Vec::new(),
        bytes: options.rows * bytes_each,
        records: options.rows,
        units: options.rows as f64,
        has_letters: false,
        input: Box::new(move || Box::new(Generator::new(&options))),
    }
}

/// The same records in every file of that many.
fn made(pipeline: PathBuf, records: u64, bytes: Vec<u8>, units: f64) -> Work {
    let length = bytes.len() as u64;
    let bytes = std::sync::Arc::<[u8]>::from(bytes);
    Work {
        pipeline,
        set: Vec::new(),
        bytes: length,
        records,
        units,
        has_letters: false,
        input: Box::new(move || Box::new(std::io::Cursor::new(bytes.clone()))),
    }
}

fn rows(host: &Host) -> Table {
    let most = std::env::var("CLICKMILL_GROWTH_ROWS").map_or(1e8, |rows| rows.parse().unwrap());
    let all = smoke::of(&[1e4, 3e4, 1e5, 3e5, 1e6, 3e6, 1e7, 3e7, 1e8][..], &[100.0, 1000.0]);
    let sizes: Vec<f64> = all.iter().copied().filter(|rows| *rows <= most).collect();
    sweep(host, "rows", &sizes, |rows| {
        generated(host.shipped("batch.toml"), Options::new(Kind::Shop, rows as u64, 2008), 40)
    })
}

fn columns(host: &Host) -> Table {
    let sizes = smoke::of(&[5.0, 10.0, 20.0, 50.0, 100.0, 200.0][..], &[5.0, 20.0]);
    let values = smoke::of(4_000_000, 4_000);
    sweep(host, "columns", sizes, |count| {
        let count = count as usize;
        let kind = |column: usize| ["int64", "float64", "text", "text"][column % 4];
        let columns: Vec<(String, &str)> =
            (0..count).map(|column| (format!("c{column}"), kind(column))).collect();
        let pipeline = pipeline(host, "csv", &columns, &[("validate", "c0")]);
        let rows = values / count as u64;
        let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
        let mut text = names.join(",") + "\n";
        let mut dice = Dice(7);
        for _ in 0..rows {
            for (at, (_, kind)) in columns.iter().enumerate() {
                let comma = if at == 0 { "" } else { "," };
                match *kind {
                    "int64" => write!(text, "{comma}{}", dice.below(100_000)).unwrap(),
                    "float64" => write!(text, "{comma}{}.5", dice.below(1000)).unwrap(),
                    _ => write!(text, "{comma}{}", WORDS[dice.below(WORDS.len())]).unwrap(),
                }
            }
            text.push('\n');
        }
        made(pipeline, rows, text.into_bytes(), (rows * count as u64) as f64)
    })
}

fn messages(host: &Host) -> Table {
    let sizes = smoke::of(&[150.0, 500.0, 2e3, 1e4, 5e4, 2e5, 1e6][..], &[150.0, 1e6]);
    let bytes = smoke::of(64_000_000, 2_000_000);
    sweep(host, "bytes", sizes, |size| {
        let records = (bytes / size as usize).min(200_000);
        let mut text = String::new();
        let mut dice = Dice(7);
        for number in 0..records {
            let begin = text.len();
            write!(
                text,
                r#"{{"event_id":"{number:08}","event_timestamp":"2026-01-05T08:00:00Z","session_id":"{}","user_id":"{}","event_type":"error","error_message":""#,
                dice.below(1000),
                100_000 + dice.below(1000)
            )
            .unwrap();
            while text.len() - begin + 12 < size as usize {
                text.push_str(WORDS[dice.below(WORDS.len())]);
                text.push(' ');
            }
            text.push_str("\"}\n");
        }
        let length = text.len() as f64;
        let mut work = made(host.shipped("clicks.toml"), records as u64, text.into_bytes(), length);
        // The default is for clicks of half a kilobyte.
        for stage in ["parse", "mask"] {
            work.set.push(format!("plugin.{stage}.limits.max_fuel_per_record=1000000000"));
        }
        work
    })
}

fn plugins(host: &Host) -> Table {
    let sizes = smoke::of(&[1.0, 2.0, 4.0, 8.0, 12.0, 16.0][..], &[1.0, 16.0]);
    let rows = smoke::of(400_000, 1_000);
    sweep(host, "plugins", sizes, |count| {
        let columns: Vec<(String, &str)> =
            [("price", "float64"), ("order", "int64"), ("country", "int64")]
                .map(|(name, kind)| (name.to_owned(), kind))
                .to_vec();
        let names: Vec<String> =
            (1..count as usize).map(|number| format!("rule{number}")).collect();
        let rules: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "price")).collect();
        let pipeline = pipeline(host, "csv", &columns, &rules);
        let mut work = generated(pipeline, Options::new(Kind::Shop, rows, 2008), 40);
        work.set.push("source.csv.delimiter=;".to_owned());
        work
    })
}

fn workers(host: &Host) -> Table {
    let rows = smoke::of(400_000, 1_000);
    sweep(host, "workers", &[1.0, 2.0], |count| {
        let options = Options::new(Kind::Clicks, rows, 7);
        let mut work = generated(host.shipped("clicks.toml"), options, 590);
        work.set.push(format!("workers={count}"));
        work
    })
}

fn letters(host: &Host) -> Table {
    let sizes = smoke::of(&[0.0, 1.0, 5.0, 10.0, 20.0, 35.0, 50.0][..], &[0.0, 50.0]);
    let rows = smoke::of(200_000, 1_000);
    sweep(host, "percent", sizes, |percent| {
        let mut options = Options::new(Kind::Clicks, rows, 7);
        options.bad = format!("{percent}%").parse::<BadShares>().unwrap();
        let mut work = generated(host.shipped("clicks.toml"), options, 590);
        work.set.push("dead_letter.max_rejected_share=1.0".to_owned());
        work.has_letters = percent > 0.0;
        work
    })
}

/// Loads objects of 100 rows until there are so many, then asks a query and loads one more.
fn files(host: &Host) -> Table {
    let sizes: &[usize] = smoke::of(&[1, 30, 100, 300, 1_000, 3_000, 10_000], &[1, 5]);
    let mut table =
        Table::new(&["files", "query_ms", "one_more_object_ms", "object_of_many_ms", "peak_mib"]);
    let _ = fs::remove_dir_all(host.path("warehouse"));
    let folder = host.path("objects");
    fs::create_dir_all(&folder).unwrap();
    let set = [format!("source.uri={}/", folder.display())];
    let mut put = 0;
    let mut load = |count: usize| {
        for _ in 0..count {
            put += 1;
            let path = folder.join(format!("{put:06}.csv"));
            let mut object = Generator::new(&Options::new(Kind::Shop, 100, put));
            std::io::copy(&mut object, &mut fs::File::create(path).unwrap()).unwrap();
        }
        let (took, summary) = host.load(&host.shipped("batch.toml"), &set, None);
        assert_eq!(summary["rows_in"], 100 * count, "{summary}");
        took
    };
    let mut there: usize = 0;
    for size in sizes {
        let missing = size.saturating_sub(there).max(1);
        there += missing;
        let of_many = load(missing);
        let sql = "SELECT country, COUNT(*) AS clicks FROM clickstream_analytics.clickstream_batch \
                   GROUP BY 1";
        let query = Host::repeated(|| host.query(sql));
        let mut added = 0;
        let one_more = Host::repeated(|| {
            added += 1;
            load(1)
        });
        let millis = [query.processor, one_more.processor, of_many.processor / missing as f64];
        let mut row = vec![there as f64];
        row.extend(millis.map(|secs| 1e3 * secs));
        row.push(query.peak_mib);
        eprintln!("  {row:?}");
        table.rows.push(row);
        there += added;
    }
    table
}

/// A pipeline of its own: `parse` makes these columns of a record, and a rule looks at a column in each of
/// the other stages.
fn pipeline(
    host: &Host,
    format: &str,
    columns: &[(String, &str)],
    rules: &[(&str, &str)],
) -> PathBuf {
    let share = host.share.display();
    let provenance = r#"{"name": "source", "type": "STRING", "mode": "REQUIRED"},
        {"name": "source_line", "type": "INTEGER", "mode": "NULLABLE"},
        {"name": "plugin_set", "type": "STRING", "mode": "REQUIRED"}"#;
    let (mut schema, mut parsed) = (String::new(), String::new());
    for (name, kind) in columns {
        let of_table = match *kind {
            "int64" => "INTEGER",
            "float64" => "FLOAT",
            _ => "STRING",
        };
        writeln!(schema, r#"{{"name": "{name}", "type": "{of_table}", "mode": "NULLABLE"}},"#)
            .unwrap();
        writeln!(parsed, r#"{{ name = "{name}", type = "{kind}" }},"#).unwrap();
    }
    fs::write(host.path("schema.json"), format!("[{schema}{provenance}]")).unwrap();
    let mut text = format!(
        r#"
name = "growth"
source = {{ kind = "storage", uri = "-", format = "{format}" }}
sink = {{ table = "growth.rows", schema = "schema.json" }}
dead_letter = {{ table = "growth.dead_letter", schema = "{share}/schemas/dead_letter.json" }}
[[plugin]]
name = "parse"
component = "{share}/plugins/parse"
reads = ["*"]
writes = ["*"]
config = {{ format = "{format}", unknown = "ignore", columns = [{parsed}] }}
"#
    );
    for (name, column) in rules {
        write!(
            text,
            r#"
[[plugin]]
name = "{name}"
component = "{share}/plugins/validate"
reads = ["{column}"]
config = {{ rules = [{{ range = {{ column = "{column}", min = 0 }} }}] }}
"#
        )
        .unwrap();
    }
    let path = host.path("pipeline.toml");
    fs::write(Path::new(&path), text).unwrap();
    path
}

const WORDS: [&str; 16] = [
    "basket", "blue", "cannot", "checkout", "delivery", "empty", "from", "item", "missing",
    "order", "payment", "refused", "shop", "stock", "timeout", "wool",
];

/// The same numbers each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }
}
