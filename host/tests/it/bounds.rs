//! Whatever is given for a component, looking at it ends, compiling it ends, and nobody waits for either who
//! wants to take plugins back or to stop.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value as Json;

use crate::cloud::{ended, spawn, wait_until};
use crate::live::{Live, clicks};
use crate::support::{Process, Scratch, after, component, head, root};

const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
const MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// A number as WebAssembly writes it.
fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [&[id][..], &leb(content.len()), content].concat()
}

/// A section of a component: a module of functions that take and answer nothing, each with these bytes.
fn functions(count: usize, body: &[u8]) -> Vec<u8> {
    let body = [&leb(body.len())[..], body].concat();
    let module = [
        MODULE.to_vec(),
        section(1, &[1, 0x60, 0, 0]),
        section(3, &[leb(count), vec![0; count]].concat()),
        section(10, &[leb(count), body.repeat(count)].concat()),
    ];
    section(1, &module.concat())
}

/// A module of thousands of calls, two bytes each, of which every one is a piece of machine code. Its functions are
/// others each time: those of an earlier run of the tests are in the cache.
fn calls(thousands: usize) -> Vec<u8> {
    let number = leb(rand::random_range(0..1 << 27));
    let body = [&[0, 0x41][..], &number, &[0x1a], &[0x10, 0].repeat(5_000), &[0x0b]].concat();
    functions(thousands / 5, &body)
}

/// A plugin with such a module beside its own, which nobody uses.
fn heavy(scratch: &Scratch, plugin: &str, thousands: usize) -> PathBuf {
    let plugin = std::fs::read(component(plugin)).unwrap();
    scratch.write("heavy.wasm", [plugin, calls(thousands)].concat())
}

/// Inspects what is bad, and returns what is said of it.
#[track_caller]
fn refused(scratch: &Scratch, path: &Path, arguments: &[&str]) -> String {
    let path = path.to_string_lossy();
    let output =
        ended(scratch, scratch.command(&[&["plugin", "inspect", &path][..], arguments].concat()));
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{path}: {told}");
    assert!(output.stdout.is_empty(), "{path}");
    told
}

#[test]
fn any_file_is_inspected_to_an_end_and_told_by_what_it_is() {
    let scratch = Scratch::new();
    let whole = std::fs::read(component("host/tests/hostile")).unwrap();
    let of = |sections: &[u8]| [COMPONENT, sections].concat();
    let packed = {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(&whole).unwrap();
        packer.finish().unwrap()
    };
    let deep = (0..500).fold(COMPONENT.to_vec(), |within, _| of(&section(4, &within)));
    let name = [vec![1, 0], leb(90_000), vec![b'n'; 90_000], vec![1, 0]].concat();
    let locals = [vec![1], leb(50_000), vec![0x7f, 0x0b]].concat();
    let large = [vec![0], vec![0x01; 7_000_000], vec![0x0b]].concat();
    for (file, bytes, words) in [
        ("empty.wasm", Vec::new(), "it is not WebAssembly"),
        ("text.wat", b"(component)".to_vec(), "it is not WebAssembly"),
        ("packed.wasm.gz", packed, "it is not WebAssembly"),
        ("module.wasm", MODULE.to_vec(), "a module of WebAssembly, wanted a component"),
        ("cut.wasm", whole[..whole.len() / 2].to_vec(), "cut short or damaged at byte"),
        ("nothing.wasm", COMPONENT.to_vec(), "does not export `describe`"),
        ("untyped.wasm", of(&functions(1, &[0, 0x6a, 0x0b])), "type mismatch"),
        ("functions.wasm", of(&functions(150_000, &[0, 0x0b])), "150000 functions"),
        ("large.wasm", of(&functions(1, &large)), "a function of 7000002 bytes"),
        ("locals.wasm", of(&functions(1, &locals)), "50000 locals"),
        ("deep.wasm", of(&section(4, &deep)), "deep in each other"),
        ("name.wasm", of(&section(10, &name)), "a name of 90000 bytes"),
        ("claims.wasm", of(&section(7, &leb(u32::MAX as usize))), "4294967295 types"),
    ] {
        let told = refused(&scratch, &scratch.write(file, bytes), &[]);
        assert!(told.contains(words), "{file}: {told}");
    }
    let mut dice = ChaCha8Rng::seed_from_u64(8);
    for length in [1, 100, 10_000, 1_000_000] {
        let mut noise = vec![0; length];
        dice.fill_bytes(&mut noise);
        refused(&scratch, &scratch.write("noise.wasm", &noise), &[]);
        refused(&scratch, &scratch.write("noise.wasm", of(&noise)), &[]);
    }
}

#[test]
fn what_is_no_file_is_not_waited_for() {
    let scratch = Scratch::new();
    let sparse = std::fs::File::create(scratch.path("sparse.wasm")).unwrap();
    sparse.set_len(1 << 40).unwrap();
    let pipe = Command::new("mkfifo").arg(scratch.path("pipe.wasm")).status();
    assert!(pipe.unwrap().success());
    let (link, folder) = (scratch.path("link.wasm"), scratch.path("folder"));
    std::os::unix::fs::symlink(&link, &link).unwrap();
    std::fs::create_dir(&folder).unwrap();
    let schema = root().join("schemas/clicks_raw.json");
    let (large, no_file) = ("wanted at most 33554432", "a pipe or a device, wanted a file");
    for (path, words, of_a_pipeline) in [
        (scratch.path("sparse.wasm"), large, large),
        (scratch.path("pipe.wasm"), no_file, no_file),
        ("/dev/zero".into(), no_file, no_file),
        (link, "symbolic links", "there is no `"),
        (folder, "is no plugin", "is no plugin"),
    ] {
        let told = refused(&scratch, &path, &[]);
        assert!(told.contains(words), "{}: {told}", path.display());
        let stage = format!("[[plugin]]\nname = \"odd\"\ncomponent = \"{}\"\n", path.display());
        let source = r#"kind = "generator", data = "clicks", rate = 1"#;
        let text = head("odd", source, "test.out", &schema.to_string_lossy()) + &stage;
        let pipeline = scratch.write("odd.toml", text);
        let output = ended(&scratch, scratch.command(&["validate", &pipeline.to_string_lossy()]));
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{}: {told}", path.display());
        assert!(told.contains(of_a_pipeline), "{}: {told}", path.display());
    }
}

#[test]
fn compiling_ends_where_a_setting_says() {
    let scratch = Scratch::new();
    let dear = scratch.write("dear.wasm", [COMPONENT, &calls(8_000)].concat());
    let told = refused(&scratch, &dear, &["--max-compile-secs", "1"]);
    assert!(told.contains("more than 1 s of processor time"), "{told}");
    let told = refused(&scratch, &dear, &["--max-compile-bytes", "100000000"]);
    assert!(told.contains("more than 100000000 bytes of memory"), "{told}");
    let told = refused(&scratch, &dear, &["--max-component-bytes", "1000"]);
    assert!(told.contains("wanted at most 1000"), "{told}");
    // The same of a pipeline, where they are in its file.
    let pipeline = clicks();
    let of = |set: &str| {
        let component = format!("plugin.mask.component={}", dear.display());
        let validate =
            ["validate", &*pipeline.to_string_lossy(), "--set", &component, "--set", set];
        let output = ended(&scratch, scratch.command(&validate));
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    let told = of("swap.max_compile_secs=1");
    assert!(told.contains("more than 1 s of processor time"), "{told}");
    let told = of("swap.max_compile_bytes=100000000");
    assert!(told.contains("more than 100000000 bytes of memory"), "{told}");
    let told = of("swap.max_component_bytes=1024");
    assert!(told.contains("wanted at most 1024"), "{told}");
}

/// Who signs asks the component for its version first, and until then it is anybody's.
#[test]
fn what_is_to_be_signed_is_bounded_like_the_rest() {
    let scratch = Scratch::new();
    scratch.done(&["plugin", "keygen", "--output", "release"]);
    let dear = scratch.write("dear.wasm", [COMPONENT, &calls(8_000)].concat());
    let sparse = scratch.path("sparse.wasm");
    std::fs::File::create(&sparse).unwrap().set_len(1 << 40).unwrap();
    let secs = ["--max-compile-secs", "1"];
    for (path, arguments, words) in [
        (dear, &secs[..], "more than 1 s of processor time"),
        (sparse, &[], "wanted at most 33554432"),
        ("/dev/zero".into(), &[], "a pipe or a device, wanted a file"),
    ] {
        let path = path.to_string_lossy();
        let sign = ["plugin", "sign", "--key", "release.key", &path];
        let output = ended(&scratch, scratch.command(&[&sign[..], arguments].concat()));
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{path}: {told}");
        assert!(told.contains(words), "{path}: {told}");
    }
}

#[test]
fn a_machine_that_bounds_addresses_is_told_what_to_bound() {
    let scratch = Scratch::new();
    let mask = component("plugins/mask");
    let inspect = scratch.command(&["plugin", "inspect", &mask.to_string_lossy()]);
    let output = ended(&scratch, after("ulimit -v 50000000", &inspect));
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{told}");
    assert!(told.contains("`ulimit -v` (RLIMIT_AS) allows 51200000000 bytes"), "{told}");
    assert!(told.contains("RLIMIT_DATA"), "{told}");
}

/// One byte of a huge page costs all of it.
#[test]
fn a_process_is_given_no_huge_pages() {
    let scratch = Scratch::new();
    let live = Live::start(&scratch, &clicks(), &[]);
    let status = std::fs::read_to_string(format!("/proc/{}/status", live.child.id())).unwrap();
    assert!(status.lines().any(|line| line == "THP_enabled:\t0"), "{status}");
    live.end();
}

/// The process that compiles for another, where there is one.
fn compiling(of: u32) -> Option<u32> {
    let processes = std::fs::read_dir("/proc").unwrap();
    let names = processes.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    names.into_iter().find(|id| {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{id}/{file}"));
        let parent = read("stat").ok().and_then(|stat| {
            let after = stat.rsplit_once(')')?.1;
            after.split_whitespace().nth(1)?.parse::<u32>().ok()
        });
        parent == Some(of) && read("cmdline").is_ok_and(|line| line.contains("compile"))
    })
}

/// A pipeline that has swapped once, and a swap that is being checked: the process that compiles for it.
fn in_a_gate(scratch: &Scratch, thousands: usize) -> (Live, Process, u32) {
    let live = Live::start(scratch, &clicks(), &["--set", "batch.max_rows=500"]);
    live.wait_for_rows(1, 1000);
    live.swap(scratch, &["--config", "mask.key_id=k2"]).unwrap();
    let stage = format!("mask={}", heavy(scratch, "plugins/mask", thousands).display());
    let swap = spawn(scratch.command(&["plugin", "swap", "--admin", &live.admin, &stage]));
    let mut process = None;
    wait_until("the gate to compile", || {
        process = compiling(live.child.id());
        process.is_some()
    });
    (live, swap, process.unwrap())
}

fn roll_back(scratch: &Scratch, live: &Live) -> Json {
    let told = scratch.done(&["plugin", "rollback", "--json", "--admin", &live.admin]);
    serde_json::from_str(&told).unwrap()
}

#[test]
fn neither_a_rollback_nor_an_end_waits_for_a_gate() {
    let scratch = Scratch::new();
    let (live, swap, process) = in_a_gate(&scratch, 12_000);
    // Others ask for swaps meanwhile: three wait, more are told, and none has the thread of a rollback.
    let asked =
        ["plugin", "swap", "--admin", &live.admin, "--config", "mask.key_id=k3", "--dry-run"];
    let mut others: Vec<Process> = (0..8).map(|_| spawn(scratch.command(&asked))).collect();
    let mut refused = 0;
    wait_until("more swaps than there may be to be refused", || {
        let over = |swap: &mut Process| swap.try_wait().unwrap().is_some();
        refused = others.iter_mut().map(over).filter(|over| *over).count();
        refused >= 5
    });
    assert_eq!(refused, 5);
    let version = roll_back(&scratch, &live);
    assert_eq!(version["plugin_set"], live.history()[0]["plugin_set"]);
    assert_eq!(compiling(live.child.id()), Some(process), "the gate was over first");
    live.end();
    let output = swap.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    // It was not let run until it had taken too much.
    assert!(!told.contains("more than"), "{told}");
    wait_until("the end of what compiles", || {
        let line = std::fs::read(format!("/proc/{process}/cmdline"));
        line.map_or(true, |line| line.is_empty())
    });
}

#[test]
fn a_gate_comes_to_nothing_where_what_runs_was_taken_back_meanwhile() {
    let scratch = Scratch::new();
    let (live, swap, _) = in_a_gate(&scratch, 1_500);
    let before = roll_back(&scratch, &live)["plugin_set"].clone();
    let output = swap.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("what runs has changed while this was checked"), "{told}");
    assert_eq!(live.history().len(), 2);
    // Asked again, it passes, and is compiled already.
    let stage = format!("mask={}", scratch.path("heavy.wasm").display());
    let swapped = live.swap(&scratch, &[&stage]).unwrap();
    assert_eq!(swapped["from"], before);
    live.end();
    // What came to nothing is no swap in the audit log.
    let entered = |action: &str| {
        let count = "SELECT COUNT(*) FROM clickstream_analytics.audit_log WHERE action = ";
        scratch.number(&format!("{count}'{action}'"))
    };
    assert_eq!((entered("swap"), entered("refuse")), (2, 1));
}
