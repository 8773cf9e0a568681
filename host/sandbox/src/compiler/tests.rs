//! Processes that compile: this very executable, as one that is asked to run a single test.

use std::io::Write;
use std::os::unix::fs::MetadataExt;

use super::*;
use crate::engine::{Engine, EngineError};
use crate::testing::{component, functions, idle_plugin, section};

const PROCESS: &str = "compiler::tests::a_process_that_compiles";
/// What precedes the arguments of a process that compiles.
const LAST: &str = "--nocapture";

/// What `clickmill compile` is elsewhere. Where all tests are run, it does nothing.
#[test]
fn a_process_that_compiles() {
    let arguments: Vec<OsString> = std::env::args_os().skip_while(|word| word != LAST).collect();
    let [_, cache, secs, bytes] = arguments.as_slice() else { return };
    let number = |text: &OsString| text.to_str().and_then(|text| text.parse().ok());
    let (Some(secs), Some(bytes)) = (number(secs), number(bytes)) else { return };
    let code = match compile(Path::new(cache), secs, bytes, io::stdin().lock()) {
        Ok(()) => 0,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{}", causes(&error));
            error.exit_code()
        }
    };
    std::process::exit(code.into());
}

fn compiler() -> Compiler {
    Compiler::new(std::env::current_exe().expect("it runs"), ["--exact", PROCESS, LAST])
}

fn shell(script: &str) -> Compiler {
    Compiler::new("/bin/sh", ["-c", script])
}

/// Five million calls, each of which is a piece of machine code: minutes and gigabytes.
fn flood() -> Vec<u8> {
    let body = [vec![0], [0x10, 0].repeat(5_000), vec![0x0b]].concat();
    functions(1_000, &body)
}

fn limits(max_compile_secs: u64, max_compile_bytes: u64) -> ComponentLimits {
    ComponentLimits { max_compile_secs, max_compile_bytes, ..ComponentLimits::default() }
}

/// Of two large components that differ in what no code depends on, as by an interpreter's script.
#[test]
fn functions_of_a_large_component_are_compiled_once() {
    let cache = tempfile::tempdir().expect("a folder");
    let large = |script: u8| {
        let section = section(0, &[&[1, b'a'][..], &vec![script; LARGE_BYTES]].concat());
        [idle_plugin(), section].concat()
    };
    // By a single thread: how the compiler names a function depends a little on what its thread compiled before.
    let exe = std::env::current_exe().expect("it runs").into_os_string();
    let words = ["RAYON_NUM_THREADS=1".into(), exe].into_iter();
    let one = words.chain(["--exact", PROCESS, LAST].map(OsString::from));
    let compiler = Compiler::new("/usr/bin/env", one);
    let engine = Engine::new(cache.path()).expect("an engine").compiling_by(compiler);
    let kept = || {
        let kept = std::fs::metadata(cache.path().join("compiled/functions/1/kept"));
        kept.map(|kept| (kept.ino(), kept.len()))
    };
    engine.compile(&idle_plugin()).expect("a process compiles it");
    assert!(kept().is_err(), "it is small");
    engine.compile(&large(1)).expect("a process compiles it");
    let first = kept().expect("its functions are kept");
    engine.compile(&large(2)).expect("a process compiles it");
    assert_eq!(kept().expect("they are kept still"), first, "one was compiled again");
}

#[test]
fn what_was_compiled_once_takes_no_process_again() {
    let cache = tempfile::tempdir().expect("a folder");
    let engine = || Engine::new(cache.path()).expect("an engine");
    let bytes = idle_plugin();
    let compiled = engine().compiling_by(compiler()).compile(&bytes);
    compiled.expect("a process compiles it");
    // It is the process's code that runs: here nothing was compiled beside it.
    let modules = std::fs::read_dir(cache.path().join("compiled/modules")).expect("a folder");
    let files = modules
        .flat_map(|folder| std::fs::read_dir(folder.expect("a name").path()).expect("a folder"));
    let files = files.map(|file| file.expect("a name").path());
    assert_eq!(files.filter(|file| file.extension().is_none()).count(), 1);

    let none = engine().compiling_by(Compiler::new("/nowhere/clickmill", ["compile"]));
    none.compile(&bytes).expect("it is in the cache");
    let another = [bytes, vec![0, 2, 1, b'x']].concat();
    let error = none.compile(&another).expect_err("there is no process");
    assert!(matches!(error, EngineError::Compiler(CompileError::Start(_))), "{error}");
    assert_eq!(error.fault(), Fault::Environment);
}

#[test]
fn compiling_ends_where_it_takes_too_much() {
    let cache = tempfile::tempdir().expect("a folder");
    let flood = flood();
    let compile = |limits: ComponentLimits| {
        let engine = Engine::new(cache.path()).expect("an engine");
        let engine = engine.limiting(limits).compiling_by(compiler());
        engine.compile(&flood).expect_err("it takes too much")
    };
    let error = compile(limits(1, 8 << 30));
    assert!(matches!(error, EngineError::Compiler(CompileError::Time { secs: 1 })), "{error}");
    assert_eq!(error.fault(), Fault::Input);
    let error = compile(limits(600, 100_000_000));
    assert!(matches!(error, EngineError::Compiler(CompileError::Memory { .. })), "{error}");
    assert_eq!(error.fault(), Fault::Input);
}

#[test]
fn a_component_that_cannot_be_compiled_says_why() {
    let cache = tempfile::tempdir().expect("a folder");
    let processes = Processes::default();
    let compile = |compiler: &Compiler, bytes: &[u8]| {
        let error = processes.compile(compiler, cache.path(), ComponentLimits::default(), bytes);
        error.expect_err("it is refused")
    };
    // An addition of nothing.
    let error = compile(&compiler(), &functions(1, &[0, 0x6a, 0x0b]));
    assert!(error.to_string().contains("type mismatch"), "{error}");
    let error = compile(&compiler(), &component(&[section(99, &[])]));
    assert!(matches!(error, CompileError::Refused(_)), "{error}");
    let error = compile(&shell("echo out of order >&2; kill -9 $$"), &[0; 1 << 20]);
    let told = error.to_string();
    assert!(told.contains("signal: 9") && told.contains("out of order"), "{told}");
    assert_eq!(error.fault(), Fault::Environment);
    // One that the compiler breaks on, which is not the machine's fault.
    for end in ["exit 101", "kill -ABRT $$", "kill -SEGV $$"] {
        let error = compile(&shell(&format!("echo too deep >&2; {end}")), &[]);
        assert!(
            matches!(&error, CompileError::Broke { said, .. } if said == "too deep"),
            "{error}"
        );
        assert_eq!(error.fault(), Fault::Input);
    }
    // One that talks without end is not heard to its end.
    let error = compile(&shell("while :; do echo nonsense >&2; done"), &[]);
    assert!(matches!(&error, CompileError::Ended { said, .. } if said.len() < 9_000), "{error}");
}

#[test]
fn a_process_is_told_no_secrets() {
    let cache = tempfile::tempdir().expect("a folder");
    let limits = ComponentLimits::default();
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    let told = Processes::default().compile(&shell("env >&2; exit 1"), cache.path(), limits, &[]);
    let told = told.expect_err("it ends so").to_string();
    assert!(told.contains("RAYON_NUM_THREADS=") && !told.contains("CARGO"), "{told}");
}

#[test]
fn nobody_waits_for_what_is_stopped() {
    let cache = tempfile::tempdir().expect("a folder");
    let (processes, flood) = (Processes::default(), flood());
    let compile = || processes.compile(&compiler(), cache.path(), limits(600, 8 << 30), &flood);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(compile);
        while lock(&processes.0).children.is_empty() {
            std::thread::yield_now();
        }
        processes.stop();
        let error = waiting.join().expect("it ends").expect_err("it is stopped");
        assert!(matches!(error, CompileError::Stopped), "{error}");
    });
    assert!(matches!(compile(), Err(CompileError::Stopped)));
}
