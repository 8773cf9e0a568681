//! Bytes of each kind, and what is said of them.

use proptest::prelude::*;

use super::*;
use crate::testing::{
    COMPONENT, CONTRACT_WIT, MODULE, World, component, functions, idle_plugin, leb, section,
};

fn told(bytes: &[u8]) -> String {
    check(bytes).expect_err("it is refused").to_string()
}

#[test]
fn floods_are_told_by_what_they_have_too_much_of() {
    let nops = |bytes: usize| [&[0][..], &vec![0x01; bytes - 2], &[0x0b]].concat();
    assert!(check(&functions(100_000, &nops(2))).is_ok());
    assert!(told(&functions(100_001, &nops(2))).contains("100001 functions"));
    assert!(check(&functions(1, &nops(1 << 20))).is_ok());
    assert!(told(&functions(2, &nops(7 << 20))).contains("a function of 7340032 bytes"));
    let locals = |groups: &[usize]| {
        [
            leb(groups.len()),
            groups.iter().flat_map(|n| [leb(*n), vec![0x7f]].concat()).collect(),
            vec![0x0b],
        ]
        .concat()
    };
    assert!(check(&functions(1, &locals(&[10_000, 10_000]))).is_ok());
    assert!(told(&functions(1, &locals(&[50_000]))).contains("50000 locals"));
    assert!(told(&functions(1, &locals(&[u32::MAX as usize; 9]))).contains("locals"));
    assert!(told(&functions(1, &locals(&[1; 20_001]))).contains("20001 locals"));

    let deep = |depth: usize| {
        (1..depth).fold(component(&[]), |within, _| component(&[section(4, &within)]))
    };
    assert!(check(&deep(16)).is_ok());
    assert!(told(&deep(17)).contains("17 deep"));
    assert!(told(&deep(3_000)).contains("17 deep"));
    assert!(check(&component(&vec![section(1, &MODULE); 999])).is_ok());
    assert!(told(&component(&vec![section(1, &MODULE); 1_000])).contains("1001 modules"));

    // Instances of no module: they are counted before they are looked at.
    let name = |length: usize| [vec![0], leb(length), vec![b'n'; length], vec![1, 0]].concat();
    let imports = |count: usize, length: usize| {
        component(&[section(10, &[leb(count), name(length).repeat(count)].concat())])
    };
    assert!(check(&imports(1_000, 9)).is_ok());
    assert!(told(&imports(1_001, 9)).contains("1001 imports"));
    assert!(told(&imports(1, 1_001)).contains("a name of 1001 bytes"));
    assert!(told(&imports(1, 99_999)).contains("a name of 99999 bytes"));
    let claimed = component(&[section(7, &leb(u32::MAX as usize))]);
    assert!(told(&claimed).contains("4294967295 types"));
    assert!(told(&component(&vec![section(0, &[1, b'x']); 1_000_001])).contains("1000001 types"));
}

/// Instances of the first module, and one that only names what is there.
fn instances(count: usize) -> Vec<u8> {
    let named = [vec![1, 1], leb(1), b"x".to_vec(), vec![0, 0]].concat();
    section(2, &[leb(count + 1), [0, 0, 0].repeat(count), named].concat())
}

#[test]
fn parts_are_counted_as_they_stand_there() {
    let of = |memories: u32, tables: u32, count: usize| {
        let listed = |number, each: &[u8], count: u32| {
            section(number, &[leb(count as usize), each.repeat(count as usize)].concat())
        };
        let sections = [listed(4, &[0x70, 0, 1], tables), listed(5, &[0, 1], memories)];
        let module = [MODULE.to_vec(), sections.concat()].concat();
        component(&[section(1, &module), instances(count)])
    };
    let parts = check(&of(3, 9, 38)).expect("interpreters have that");
    assert_eq!(parts, Parts { core_instances: 38, memories: 3, tables: 9 });
    assert!(parts.fit(MOST_PARTS));
    assert!(!parts.fit(Parts { memories: 2, ..MOST_PARTS }));
    assert!(told(&of(5, 1, 1)).contains("5 memories, wanted at most 4"));
    assert!(told(&of(1, 17, 1)).contains("17 tables, wanted at most 16"));
    assert!(told(&of(1, 1, 65)).contains("65 instances of modules, wanted at most 64"));
}

/// Each instance has its own of them, whatever the guest's memory may be.
#[test]
fn what_instances_have_places_for_is_bounded() {
    let module = |number, content: Vec<u8>| [MODULE.to_vec(), section(number, &content)].concat();
    // One segment, passive, of functions: a byte each.
    let elements = |count: usize| module(9, [vec![1, 1, 0], leb(count), vec![0; count]].concat());
    // Integers that are 0.
    let globals =
        |count: usize| module(6, [leb(count), [0x7f, 0, 0x41, 0, 0x0b].repeat(count)].concat());
    let parts = |modules: &[Vec<u8>]| {
        let modules: Vec<Vec<u8>> = modules.iter().map(|module| section(1, module)).collect();
        component(&modules)
    };
    assert!(check(&parts(&[elements(24_999), globals(25_000)])).is_ok());
    for modules in [vec![elements(50_000)], vec![globals(30_000), globals(30_000)]] {
        assert!(told(&parts(&modules)).contains("imports, globals and elements, wanted at most"));
    }
    // Passive, and empty.
    let data = |count: usize| module(11, [leb(count), [1, 0].repeat(count)].concat());
    assert!(check(&parts(&[data(125_000), data(125_000)])).is_ok());
    assert!(told(&parts(&[data(125_000), data(125_001)])).contains("250001 segments of data"));
}

#[test]
fn what_is_no_component_is_told_by_what_it_is() {
    assert!(told(&MODULE).contains("a module of WebAssembly, wanted a component"));
    assert!(told(b"").contains("not WebAssembly"));
    assert!(told(b"\x1f\x8b\x08\0").contains("not WebAssembly"));
    assert!(told(b"(component)").contains("not WebAssembly"));
    assert!(told(b"\0asm").contains("at byte 4"));
    assert!(told(b"\0asm\x0d\0\x09\0").contains("unknown"));
    assert!(check(&COMPONENT).is_ok());
}

/// A module with one section before whatever else is in it.
fn module(number: u8, content: &[u8]) -> Vec<u8> {
    [MODULE.to_vec(), section(number, content)].concat()
}

#[test]
fn a_module_is_told_by_what_it_was_made_for() {
    let custom = |name: &str| module(0, &[leb(name.len()), name.into()].concat());
    // A memory that is imported, from a module of this name.
    let imports = |from: &str| {
        let name = |name: &str| [leb(name.len()), name.into()].concat();
        module(2, &[leb(1), name(from), name("m"), vec![2, 0, 1]].concat())
    };
    for (bytes, wanted, hint) in [
        (
            custom("component-type:plugin"),
            "not yet made into one",
            "wasm-tools component new MODULE",
        ),
        (imports("wasi_snapshot_preview1"), "built for WASI", "wasm32-unknown-unknown"),
        (imports("wbg"), "built for JavaScript", "without wasm-bindgen"),
        (imports("gojs"), "built for JavaScript", "clickmill plugin build FOLDER"),
        (imports("env"), "nothing in it speaks of the contract", "wit/plugin.wit"),
        (custom("name"), "nothing in it speaks of the contract", "wit/plugin.wit"),
    ] {
        let told = told(&bytes);
        let (what, advice) = told.split_once("\nhint: ").expect("what to do");
        assert!(what.contains("wanted a component") && what.contains(wanted), "{told}");
        assert!(advice.contains(hint), "{told}");
    }
    // Whatever lies behind it.
    let damaged = [custom("component-type:plugin"), vec![0x0a, 0xff]].concat();
    assert!(told(&damaged).contains("not yet made into one"));
}

/// Cut between two sections it is a component, of which the contract's exports are missed later.
#[test]
fn a_component_that_is_cut_says_where() {
    let whole = idle_plugin();
    check(&whole).expect("it is whole");
    let mut passed = Vec::new();
    for end in 0..whole.len() {
        match check(&whole[..end]) {
            Ok(_) => passed.push(end),
            Err(ShapeError::NotWasm) => assert!(end < 4),
            Err(ShapeError::Damaged { at, .. }) => assert!(at <= end, "{at} of {end}"),
            Err(other) => panic!("cut at {end}: {other}"),
        }
    }
    let mut ends = vec![8];
    while let Some(at) = ends.last().copied().filter(|at| *at < whole.len()) {
        let digits = whole[at + 1..].iter().take_while(|byte| **byte >= 0x80).count() + 1;
        let length = whole[at + 1..at + 1 + digits].iter().rev();
        let length = length.fold(0, |sum, byte| sum << 7 | usize::from(byte & 0x7f));
        ends.push(at + 1 + digits + length);
    }
    assert_eq!(ends.pop(), Some(whole.len()));
    assert_eq!(passed, ends);
}

proptest! {
    #[test]
    fn any_bytes_have_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..400), at in any::<prop::sample::Index>()) {
        let _ = check(&bytes);
        let _ = check(&component(std::slice::from_ref(&bytes)));
        let mut damaged = World::parse(CONTRACT_WIT).expect("the contract parses").component(&[]);
        let at = at.index(damaged.len());
        for (place, byte) in damaged[at..].iter_mut().zip(&bytes) {
            *place = *byte;
        }
        let _ = check(&damaged);
    }
}
