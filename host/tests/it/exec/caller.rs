//! A caller of `clickmill exec`, as an engine would be one.

use std::io::{BufReader, Read, Write};
use std::process::{ChildStdin, ChildStdout, Stdio};

use arrow::array::{AsArray, RecordBatch};
use arrow::ipc::reader::StreamReader;
use serde_json::Value as Json;

use super::tables::{self, Record};
use crate::support::{Process, Scratch};

/// What frames hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Hello = 1,
    Batch = 2,
    Object = 3,
    Crashed = 4,
    Find = 5,
    Rows = 16,
    Letters = 17,
    PluginSet = 18,
    Counts = 19,
    Failed = 20,
    Objects = 21,
    Error = 22,
}

impl Kind {
    const OF_THE_PROCESS: [Self; 8] = [
        Self::Hello,
        Self::Rows,
        Self::Letters,
        Self::PluginSet,
        Self::Counts,
        Self::Failed,
        Self::Objects,
        Self::Error,
    ];
}

/// A frame as it is written.
pub(super) fn frame(kind: Kind, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("a body").to_le_bytes();
    [&length[..], &[kind as u8, 0, 0, 0], body].concat()
}

/// The body of a batch.
pub(super) fn messages(records: &[Record]) -> Vec<u8> {
    tables::stream(&tables::columns(records))
}

/// A frame as it is read.
struct Frame {
    kind: Kind,
    table: u16,
    body: Vec<u8>,
}

impl Frame {
    fn json(&self) -> Json {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    fn batches(&self) -> Vec<RecordBatch> {
        let reader = StreamReader::try_new(&*self.body, None).expect("an Arrow IPC stream");
        reader.map(|batch| batch.expect("a batch")).collect()
    }
}

/// What an element is answered.
#[derive(Debug)]
pub(super) struct Answer {
    /// By table.
    pub rows: Vec<Vec<RecordBatch>>,
    pub letters: Vec<RecordBatch>,
    /// Plugin sets of which it is told with this answer what they are.
    pub sets: Vec<String>,
    /// Its counts.
    pub end: Json,
    /// Its frames of rows and letters, byte for byte.
    pub bytes: Vec<u8>,
}

impl Answer {
    /// What the caller checks: so many records came in, and all that came out is counted.
    #[track_caller]
    pub(super) fn conserved(&self, records: usize) {
        let count = |key: &str| self.end[key].as_u64().expect("a count") as usize;
        let len =
            |batches: &[RecordBatch]| batches.iter().map(RecordBatch::num_rows).sum::<usize>();
        assert_eq!(count("rows_in"), records, "{:#}", self.end);
        assert_eq!(count("rows_rejected"), len(&self.letters), "{:#}", self.end);
        let by_table: Vec<_> = self.rows.iter().map(|rows| len(rows)).collect();
        assert_eq!(self.end["rows_by_table"], Json::from(by_table));
        let out = count("rows_out") + count("rows_rejected") + count("rows_filtered");
        assert_eq!(count("rows_in") + count("rows_made"), out, "{:#}", self.end);
    }
}

/// A process of `exec`, and what it has said of itself.
pub(super) struct Caller {
    process: Process,
    input: Option<ChildStdin>,
    output: Option<BufReader<ChildStdout>>,
    tables: usize,
    pub hello: Json,
}

impl Caller {
    /// Starts one, and says nothing yet.
    pub(super) fn spawn(scratch: &Scratch, arguments: &[&str]) -> Self {
        let mut command = scratch.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = Process::spawn(&mut command);
        let (input, output) = (process.stdin.take(), process.stdout.take().map(BufReader::new));
        Self { process, input, output, tables: 0, hello: Json::Null }
    }

    /// Starts one, and reads what it says of itself.
    #[track_caller]
    pub(super) fn start_without_hello(scratch: &Scratch, arguments: &[&str]) -> Self {
        let mut caller = Self::spawn(scratch, arguments);
        let hello = caller.said(Kind::Hello);
        assert_eq!(hello["protocol"], 1);
        let tables = hello["tables"].as_array().expect("a list").len();
        for number in 0..tables {
            let schema = caller.frame().expect("a schema");
            assert_eq!((schema.kind, schema.table as usize), (Kind::Rows, number));
            let reader = StreamReader::try_new(&*schema.body, None).expect("a schema");
            let columns = hello["tables"][number]["columns"].as_array().expect("columns");
            assert_eq!(reader.schema().fields().len(), columns.len());
            assert_eq!(reader.count(), 0);
        }
        assert_eq!(caller.frame().expect("a schema").kind, Kind::Letters);
        let set = caller.frame().expect("a plugin set");
        assert_eq!(set.kind, Kind::PluginSet);
        assert_eq!(digests(&set), [hello["plugin_set"].as_str().expect("a digest")]);
        Self { tables, hello, ..caller }
    }

    /// Starts one, and says hello.
    #[track_caller]
    pub(super) fn start(scratch: &Scratch, arguments: &[&str]) -> Self {
        let mut caller = Self::start_without_hello(scratch, arguments);
        caller.send(Kind::Hello, br#"{"protocol": 1, "caller": "tests"}"#);
        caller
    }

    #[track_caller]
    pub(super) fn send(&mut self, kind: Kind, body: &[u8]) {
        let input = self.input.as_mut().expect("it is open");
        input.write_all(&frame(kind, body)).expect("it reads");
    }

    /// Sends what may not be read any more.
    pub(super) fn try_send(&mut self, kind: Kind, body: &[u8]) {
        let input = self.input.as_mut().expect("it is open");
        let _ = input.write_all(&frame(kind, body));
    }

    /// Its standard input, which is closed when that is dropped.
    pub(super) fn take_input(&mut self) -> ChildStdin {
        self.input.take().expect("it is open")
    }

    /// Reads nothing more.
    pub(super) fn close_output(&mut self) {
        self.output = None;
    }

    fn frame(&mut self) -> Option<Frame> {
        let output = self.output.as_mut().expect("it is open");
        let mut header = [0; 8];
        if output.read(&mut header[..1]).expect("it can be read") == 0 {
            return None;
        }
        output.read_exact(&mut header[1..]).expect("a header");
        let [a, b, c, d, kind, 0, low, high] = header else { panic!("{header:?}") };
        let kind = Kind::OF_THE_PROCESS.into_iter().find(|known| *known as u8 == kind);
        let mut body = vec![0; u32::from_le_bytes([a, b, c, d]) as usize];
        output.read_exact(&mut body).expect("a body");
        let table = u16::from_le_bytes([low, high]);
        Some(Frame { kind: kind.expect("a kind"), table, body })
    }

    /// What it says next, which has to be of this kind.
    #[track_caller]
    pub(super) fn said(&mut self, kind: Kind) -> Json {
        loop {
            let frame = self.frame().expect("it says something");
            // Of an object that has failed some was sent.
            if kind == Kind::Failed && matches!(frame.kind, Kind::Rows | Kind::Letters) {
                continue;
            }
            let said = String::from_utf8_lossy(&frame.body);
            assert_eq!(frame.kind, kind, "{}", said.chars().take(1000).collect::<String>());
            return frame.json();
        }
    }

    /// The answer to the next element.
    #[track_caller]
    pub(super) fn answer(&mut self) -> Answer {
        let mut answer = Answer {
            rows: vec![Vec::new(); self.tables],
            letters: Vec::new(),
            sets: Vec::new(),
            end: Json::Null,
            bytes: Vec::new(),
        };
        loop {
            let frame = self.frame().expect("an answer");
            match frame.kind {
                Kind::Rows => answer.rows[frame.table as usize].extend(frame.batches()),
                Kind::Letters => answer.letters.extend(frame.batches()),
                Kind::PluginSet => answer.sets.extend(digests(&frame)),
                Kind::Counts => {
                    answer.end = frame.json();
                    return answer;
                }
                other => panic!("{other:?}: {}", String::from_utf8_lossy(&frame.body)),
            }
            if frame.kind != Kind::PluginSet {
                answer.bytes.extend([frame.kind as u8, frame.table as u8]);
                answer.bytes.extend(&frame.body);
            }
        }
    }

    /// The answer to a batch.
    #[track_caller]
    pub(super) fn ask(&mut self, batch: &[u8]) -> Answer {
        self.send(Kind::Batch, batch);
        self.answer()
    }

    pub(super) fn kill(mut self) {
        self.process.kill().expect("it runs");
    }

    /// Sends no more: it ends well, and says nothing else.
    #[track_caller]
    pub(super) fn end(mut self) {
        self.input = None;
        assert!(self.frame().is_none(), "it says something that nobody asked for");
        assert_eq!(self.exit_code(), 0);
    }

    #[track_caller]
    pub(super) fn exit_code(&mut self) -> i32 {
        self.process.wait().expect("it ends").code().expect("it was not killed")
    }
}

/// The plugin set that a frame tells of, once.
fn digests(frame: &Frame) -> Vec<String> {
    let mut digests: Vec<String> = Vec::new();
    for batch in frame.batches() {
        let sets = batch.column_by_name("plugin_set").expect("a column").as_string::<i32>().clone();
        digests.extend(sets.iter().flatten().map(str::to_owned));
    }
    digests.dedup();
    digests
}
