//! A guest that misbehaves: for the rows whose payload contains `guilty` it commits the misdeed that
//! its configuration names, and answers properly for batches without such a row. It speaks the contract
//! directly, since the SDK would not let it do most of this.
//!
//! Configuration: `{"misdeed": "spin"}`. Reads `payload`, writes text `out` and boolean `flag`; nested columns
//! too, where it has `"nested": true`.

mod nested;
pub mod speak;

use speak::{
    Batch, Column, ColumnSpec, Configured, DataType, Dictionary, Fault, Guest, Manifest, Needs,
    Output, Rejection, Secret, Text, Values, lookup,
};

/// Makes the component. Natively there is nothing to export.
#[cfg(target_family = "wasm")]
const _: () = {
    speak::export!(Hostile with_types_in speak);
};

/// The guest.
pub struct Hostile;

/// What `describe` does, which nobody configures: a test writes another word over this one in the compiled
/// component.
static DESCRIBE: [u8; 20] = *b"describe:as it ought";

impl Guest for Hostile {
    fn describe() -> Manifest {
        speak::tell_panics();
        let mut manifest = Manifest {
            name: "hostile".to_owned(),
            version: "0.1.0".to_owned(),
            description: "misbehaves".to_owned(),
            config_schema: "{}".to_owned(),
            secrets: Vec::new(),
        };
        // Read as it lies in memory, not as the compiler knows it.
        let does = std::hint::black_box(&DESCRIBE);
        match std::str::from_utf8(does).unwrap_or_default().trim_end() {
            "describe:spin" => spin(),
            "describe:panic" => panic!("I am nobody"),
            "describe:ask names" => ask_names(),
            "describe:long name" => manifest.name = "hostile ".repeat(1000),
            "describe:endless" => manifest.description = zeros(24 << 20),
            "describe:escapes" => manifest.name = "\u{1b}]52;c;ZXZpbA==\u{7}".to_owned(),
            "describe:turned" => manifest.version = "1.0\u{202e}0.2".to_owned(),
            "describe:secrets" => {
                manifest.secrets = vec![Secret { name: String::new(), min_bytes: 0 }; 100_000];
            }
            _ => {}
        }
        manifest
    }

    fn configure(config: String, _available: Vec<ColumnSpec>) -> Result<Configured, Vec<String>> {
        speak::tell_panics();
        let needs = match misdeed(&config).as_str() {
            "refuse_config" => Err(vec!["first problem".to_owned(), "second problem".to_owned()]),
            "panic_in_configure" => panic!("no configuration will do"),
            "read_more" => Ok(needs().reads("secret", DataType::Text)),
            "write_more" => Ok(needs().writes("secret", DataType::Text)),
            "write_provenance" => Ok(needs().writes("plugin_set", DataType::Text)),
            "write_twice" => Ok(needs().writes("out", DataType::Text)),
            "read_twice" => Ok(needs().reads("payload", DataType::Text)),
            "spin_in_configure" => spin(),
            "ask_names_in_configure" => ask_names(),
            "many_reads" => Ok(Needs { reads: columns(100_000), ..needs() }),
            "many_writes" => Ok(Needs { writes: columns(100_000), ..needs() }),
            "endless_writes" => Ok(Needs { writes: columns(500_000), ..needs() }),
            "many_lookups" => Ok(Needs { lookups: vec![String::new(); 100_000], ..needs() }),
            "wide_name" => Ok(needs().writes(&"x".repeat(1 << 16), DataType::Text)),
            "many_problems" => Err(vec!["one of many".to_owned(); 10_000]),
            "long_problem" => Err(vec!["no ".repeat(1 << 16)]),
            "lookup_more" => Ok(needs().lookup("secret")),
            "lookup" => Ok(needs().lookup("words")),
            "lost_rows" | "rows_of_nobody" | "too_many_rows" => {
                Ok(Needs { multiplies: true, ..needs() })
            }
            _ if is_nested(&config) => Ok(nested::needs(needs())),
            _ => Ok(needs()),
        };
        needs.map(|needs| Configured { needs, prepared: config.into_bytes() })
    }

    fn process(config: String, prepared: Vec<u8>, batch: Batch) -> Result<Output, Fault> {
        speak::tell_panics();
        // No secret is in it, so it is what was configured.
        assert_eq!(prepared, config.as_bytes());
        let misdeed = misdeed(&config);
        let rows = batch.rows as usize;
        let payload = batch.column("payload");
        let texts = |row: usize| payload.and_then(|column| column.text(row)).unwrap_or_default();
        let out = Column::texts("out", (0..rows).map(texts));
        let flag = Column::booleans("flag", (0..rows).map(|_| true));
        let mut output = Output::new(vec![out, flag]);
        if is_nested(&config) {
            output.columns.extend(nested::columns(rows));
        }
        let guilty = |row: &u32| texts(*row as usize).contains("guilty");
        let mut guilty = (0..batch.rows).filter(guilty);
        match misdeed.as_str() {
            // Keeps what it sees, and tells of it with the next batch.
            "remember" => {
                static SEEN: std::sync::Mutex<Vec<String>> = std::sync::Mutex::new(Vec::new());
                let mut seen = SEEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                let told = if seen.is_empty() { "nothing".to_owned() } else { seen.join(" ") };
                let told = (0..rows).map(|_| told.as_str());
                output.columns[0] = Column::texts("out", told);
                seen.extend((0..rows).map(|row| texts(row).to_owned()));
            }
            // Good at first, and for whoever looks at old batches.
            "turn" if batch.ingest_time >= number(&config, "bad_from") => {
                let bad = (0..batch.rows).step_by(2);
                output.rejections.extend(bad.map(|row| refuse(row, "turned", "good no more")));
            }
            // Says what the table has.
            "lookup" => {
                let keys = vec!["key"; rows];
                let found = lookup::find("words", "word", keys.iter().copied())?;
                output.columns[0] =
                    Column::texts("out", found.iter().flatten().map(String::as_str));
            }
            // Says what it was configured to, so that a row tells which configuration made it.
            "tag" => {
                let tag = text(&config, "tag");
                let tagged = (0..rows).map(|row| format!("{tag}|{}", texts(row)));
                let tagged: Vec<String> = tagged.collect();
                output.columns[0] = Column::texts("out", tagged.iter().map(String::as_str));
            }
            // Loses rows without a word: at once, or good at first as above.
            "drop_all" => output.dropped.extend(0..batch.rows),
            "fault_all" => return Err(Fault { message: "of no batch".to_owned() }),
            "turn_drop" if batch.ingest_time >= number(&config, "bad_from") => {
                output.dropped.extend((0..batch.rows).step_by(2));
            }
            // Sends its rows elsewhere, where the flag says to which table a row goes.
            "turn_flag" if batch.ingest_time >= number(&config, "bad_from") => {
                output.columns[1] = Column::booleans("flag", (0..rows).map(|_| false));
            }
            // No misdeeds, but what every plugin may do.
            "drop" => output.dropped.extend(guilty),
            "reject" => {
                output.rejections.extend(guilty.map(|row| refuse(row, "guilty", "as charged")))
            }
            // Says what it sees, in every way it has.
            "tell" => {
                for row in guilty {
                    let seen = texts(row as usize);
                    speak::warn(seen);
                    output.rejections.push(refuse(row, "told", &format!("seen: {seen}")));
                }
            }
            "tell_and_fail" => {
                if let Some(row) = guilty.next() {
                    panic!("I have seen {}", texts(row as usize));
                }
            }
            "log_errors" => {
                for row in guilty {
                    speak::error("it failed, and went on");
                    speak::warn("a line between");
                    speak::error("it failed again");
                    assert!(!texts(row as usize).contains("too much"), "that was too much");
                }
            }
            // Another reason for each row.
            "many_codes" => {
                let code = |row| texts(row as usize).trim_matches('"').replace(' ', "_");
                output.rejections.extend(guilty.map(|row| refuse(row, &code(row), "")))
            }
            misdeed => {
                if let Some(row) = guilty.next() {
                    return commit(misdeed, row, batch.rows, output);
                }
            }
        }
        Ok(output)
    }
}

fn needs() -> Needs {
    Needs { reads: Vec::new(), writes: Vec::new(), lookups: Vec::new(), multiplies: false }
        .reads("payload", DataType::Text)
        .writes("out", DataType::Text)
        .writes("flag", DataType::Boolean)
}

fn misdeed(config: &str) -> String {
    text(config, "misdeed")
}

fn text(config: &str, key: &str) -> String {
    let config: serde_json::Value = serde_json::from_str(config).unwrap_or_default();
    config[key].as_str().unwrap_or_default().to_owned()
}

fn is_nested(config: &str) -> bool {
    let config: serde_json::Value = serde_json::from_str(config).unwrap_or_default();
    config["nested"] == true
}

fn number(config: &str, key: &str) -> i64 {
    let config: serde_json::Value = serde_json::from_str(config).unwrap_or_default();
    config[key].as_i64().unwrap_or_default()
}

fn commit(misdeed: &str, row: u32, rows: u32, mut output: Output) -> Result<Output, Fault> {
    match misdeed {
        "spin" => spin(),
        "allocate" => {
            let mut hoard = Vec::new();
            loop {
                hoard.push(Vec::<u8>::with_capacity(1 << 20));
                std::hint::black_box(&hoard);
            }
        }
        "recurse" => {
            recurse(u64::from(row));
        }
        "panic" => panic!("I can't stand row {row}"),
        "abort" => std::process::abort(),
        "forge_pointer" => {
            // Far beyond what the guest has: the sandbox stops the read.
            let far = std::hint::black_box(0xffff_0000_usize as *const u8);
            // SAFETY: there is none; that is the misdeed.
            let byte = unsafe { far.read_volatile() };
            std::hint::black_box(byte);
        }
        "fault" => return Err(Fault { message: "I give up".to_owned() }),
        "huge_fault" => return Err(Fault { message: "no ".repeat(1 << 20) }),
        "huge_output" => output.columns[0] = texts("out", rows, vec![b'x'; 16 << 20]),
        "huge_message" => output.rejections.push(refuse(row, "long", &"why ".repeat(1 << 18))),
        "log_flood" => {
            for line in 0..10_000 {
                speak::warn(&format!("line {line} of many"));
            }
            output.rejections.push(refuse(row, "logged", "after ten thousand lines"));
        }
        "log_and_trap" => {
            for line in 0..16 {
                speak::warn(&format!("line {line} before the end"));
            }
            panic!("that was all");
        }
        "log_long" => {
            let line = zeros(3 << 20);
            loop {
                speak::warn(&line);
            }
        }
        "unreadable_names" => {
            // Counted by the path of a column, were it one.
            let path = zeros(3 << 20);
            loop {
                speak::unreadable(&path, 1);
            }
        }
        "lookup_names" => ask_names(),
        "lookup_fields" => {
            let name = zeros(24 << 20);
            loop {
                let found = lookup::find("words", &name, []);
                std::hint::black_box(&found);
            }
        }
        "grow_nothing" => loop {
            std::hint::black_box(core_grow(0));
        },
        "long_column" => refuse_for(&mut output, row, &"x".repeat(1 << 16)),
        "foreign_column" => refuse_for(&mut output, row, "someone@example.com"),
        "unannounced_column" => output.columns.push(Column::int64s("extra", (0..rows).map(|_| 1))),
        "missing_column" => output.columns.truncate(1),
        "column_twice" => output.columns.push(output.columns[0].clone()),
        "wrong_type" => output.columns[0] = Column::int64s("out", (0..rows).map(|_| 1)),
        "wrong_length" => output.columns[1] = Column::booleans("flag", (0..=rows).map(|_| true)),
        "text_of_no_rows" => {
            output.columns[0].values = Values::Texts(Text { offsets: vec![], bytes: vec![] })
        }
        "falling_offsets" => {
            let mut offsets = vec![0; rows as usize + 1];
            offsets[0] = 0;
            offsets[rows as usize] = 4;
            offsets[rows as usize - 1] = if rows > 1 { 9 } else { 0 };
            if rows == 1 {
                offsets = vec![2, 1];
            }
            output.columns[0].values = Values::Texts(Text { offsets, bytes: b"four".to_vec() });
        }
        "offsets_beyond_bytes" => {
            let mut offsets = vec![0; rows as usize + 1];
            offsets[rows as usize] = u32::MAX;
            output.columns[0].values = Values::Texts(Text { offsets, bytes: b"four".to_vec() });
        }
        "offsets_of_host_addresses" => {
            // What a pointer of the host would look like, cut in two.
            let forged = [0xdead_beef, 0x0000_7fff, 0xffff_fff0];
            let offsets = (0..=rows as usize).map(|at| forged[at % 3]).collect();
            output.columns[0].values = Values::Texts(Text { offsets, bytes: vec![b'x'; 64] });
        }
        "gigabytes" => {
            // A gigabyte in a thousand columns, none of which is announced.
            for number in 0..1024 {
                output.columns.push(texts(&format!("c{number}"), rows, vec![b'x'; 1 << 20]));
            }
        }
        "grow_beyond" => {
            // Page by page, to the cap and over it.
            while std::hint::black_box(core_grow(1)) != usize::MAX {}
            panic!("the memory is full");
        }
        "slow_death" => {
            // Cheap work, a little of it for each row, and then forever for this one.
            let mut sum = 0_u64;
            loop {
                sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(u64::from(row)));
            }
        }
        "not_utf8" => output.columns[0] = texts("out", rows, vec![0xff, 0xfe]),
        "cut_character" => {
            // Valid as a whole, cut in two by the offsets.
            let mut offsets = vec![0; rows as usize + 1];
            offsets[rows as usize] = 2;
            offsets[rows as usize - 1] = u32::from(rows > 1);
            let bytes = if rows > 1 { "é".as_bytes().to_vec() } else { vec![0xc3, 0x28] };
            output.columns[0].values = Values::Texts(Text { offsets, bytes });
        }
        "bad_boolean" => output.columns[1].values = Values::Booleans(vec![7; rows as usize]),
        "short_validity" => output.columns[0].validity = Some(Vec::new()),
        "reject_no_row" => output.rejections.push(refuse(rows, "beyond", "there is no such row")),
        "reject_twice" => {
            output.rejections = vec![refuse(row, "once", ""), refuse(row, "twice", "")];
        }
        "reject_and_drop" => {
            output.rejections.push(refuse(row, "once", ""));
            output.dropped.push(row);
        }
        "drop_no_row" => output.dropped.push(u32::MAX),
        "bad_code" => output.rejections.push(refuse(row, "Not A Code!", "")),
        "empty_code" => output.rejections.push(refuse(row, "", "")),
        "host_code" => output.rejections.push(refuse(row, "plugin_out_of_fuel", "")),
        "lookup_flood" => {
            let keys = vec!["key"; 10_000];
            loop {
                // Refused each time, but the host has to read the keys.
                let found = lookup::find("secret", "value", keys.iter().copied());
                std::hint::black_box(&found);
            }
        }
        "foreign_lookup" => {
            let found = lookup::find("secret", "value", ["key"])?;
            output.rejections.push(refuse(row, "found", &format!("{found:?}")));
        }
        "parent_of_nobody" => output.columns[1].parent = Some(7),
        "parent_without_fields" => output.columns[1].parent = Some(0),
        "offsets_of_no_list" => output.columns[0].offsets = Some((0..=rows).collect()),
        "record_for_a_text" => output.columns[0].values = Values::Records,
        "beyond_dictionary" => {
            let values = Text { offsets: vec![0, 1], bytes: b"x".to_vec() };
            let indices = vec![u32::MAX; rows as usize];
            output.columns[0].values = Values::Dictionary(Dictionary { indices, values });
        }
        "unannounced_rows" => output.came_from = Some((0..rows).collect()),
        "lost_rows" => output.came_from = Some(Vec::new()),
        "rows_of_nobody" => output.came_from = Some((0..=rows).collect()),
        "too_many_rows" => {
            // A thousand and one of this row, and one of each other.
            let times = |at| if at == row { 1001 } else { 1 };
            let came_from: Vec<u32> = (0..rows).flat_map(|at| vec![at; times(at)]).collect();
            let texts = |at: &u32| output.columns[0].text(*at as usize).unwrap_or_default();
            let out = Column::texts("out", came_from.iter().map(texts));
            let flag = Column::booleans("flag", came_from.iter().map(|_| true));
            output.columns = vec![out, flag];
            output.came_from = Some(came_from);
        }
        other if nested::commit(other, &mut output.columns) => {}
        other => panic!("no such misdeed: {other}"),
    }
    Ok(output)
}

/// Work without end.
fn spin() -> ! {
    loop {
        std::hint::black_box(());
    }
}

/// Asks for tables by names of megabytes, forever: next to no work here.
fn ask_names() -> ! {
    let name = zeros(3 << 20);
    loop {
        let found = lookup::find(&name, "value", []);
        std::hint::black_box(&found);
    }
}

/// A long text that costs nothing: memory that the host hands out is zero already.
fn zeros(bytes: usize) -> String {
    // SAFETY: zeros are UTF-8, and to look whether they are would cost fuel.
    unsafe { String::from_utf8_unchecked(vec![0; bytes]) }
}

fn columns(count: usize) -> Vec<ColumnSpec> {
    vec![speak::spec("", DataType::Text); count]
}

fn refuse_for(output: &mut Output, row: u32, column: &str) {
    let rejection = refuse(row, "foreign", "of a column that is not mine");
    output.rejections.push(Rejection { column: Some(column.to_owned()), ..rejection });
}

fn refuse(row: u32, code: &str, message: &str) -> Rejection {
    Rejection { row, code: code.to_owned(), message: message.to_owned(), column: None }
}

#[cfg(target_family = "wasm")]
fn core_grow(pages: usize) -> usize {
    core::arch::wasm32::memory_grow(0, pages)
}

#[cfg(not(target_family = "wasm"))]
fn core_grow(_pages: usize) -> usize {
    usize::MAX
}

fn recurse(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 64]);
    if frame[0] == u64::MAX { 0 } else { recurse(depth + 1) + frame[63] }
}

/// A text column of which the last row holds all bytes.
fn texts(name: &str, rows: u32, bytes: Vec<u8>) -> Column {
    let mut offsets = vec![0; rows as usize + 1];
    offsets[rows as usize] = bytes.len() as u32;
    Column { values: Values::Texts(Text { offsets, bytes }), ..Column::texts(name, []) }
}
