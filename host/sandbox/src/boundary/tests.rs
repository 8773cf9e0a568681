//! The types of this module mirror the contract's text: whatever differs fails here, not when a plugin
//! is loaded.

use wasmtime::Store;
use wasmtime::component::{ComponentNamedList, Instance, Lift, Lower};
use wit_parser::{TypeDefKind, TypeId};

use super::*;
use crate::engine::Engine;
use crate::guest::{Guest, given, store};
use crate::testing::{CONTRACT_WIT, World, engine};

/// The functions that the host calls.
const EXPORTS: [&str; 3] = ["describe", "configure", "process"];
/// The functions that the host has for plugins.
const IMPORTS: [&str; 3] = [
    "clickmill:plugin/log@0.2.0#write",
    "clickmill:plugin/log@0.2.0#unreadable",
    "clickmill:plugin/lookup@0.2.0#find",
];

/// Whether this module is the mirror of a world: wasmtime compares the types of each function, with the
/// names and the order of all fields and cases, once in linking and once where an export is called.
fn mirrors(engine: &Engine, world: &World) -> Result<(), String> {
    let imports: Vec<String> =
        world.imports().iter().map(|(module, f)| format!("{module}#{}", f.name)).collect();
    if imports != IMPORTS {
        return Err(format!("it imports {imports:?}"));
    }
    let exports: Vec<&str> = world.exports().iter().map(|f| f.name.as_str()).collect();
    if exports != EXPORTS {
        return Err(format!("it exports {exports:?}"));
    }
    let component = engine.compile(&world.component(&[])).expect("a component");
    let told = |error: wasmtime::Error| format!("{error:#}");
    let linker = given(&engine.wasmtime).map_err(told)?;
    let limits = clickmill_config::Limits::default();
    let guest = Guest::new("test".into(), limits, Default::default());
    let mut store = store(&engine.wasmtime, guest);
    store.set_fuel(u64::MAX).map_err(told)?;
    let instance = linker.instantiate(&mut store, &component).map_err(told)?;
    typed::<(), (Manifest,)>(&mut store, &instance, "describe")?;
    typed::<ConfigureIn<'_>, (ConfigureOut,)>(&mut store, &instance, "configure")?;
    typed::<ProcessIn<'_>, (ProcessOut,)>(&mut store, &instance, "process")
}

fn typed<Params, Answer>(
    store: &mut Store<Guest>,
    instance: &Instance,
    export: &str,
) -> Result<(), String>
where
    Params: ComponentNamedList + Lower,
    Answer: ComponentNamedList + Lift,
{
    let func = instance.get_func(&mut *store, export).ok_or(format!("no {export}"))?;
    match func.typed::<Params, Answer>(&*store) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("{export}: {error:#}")),
    }
}

#[test]
fn the_types_mirror_the_contract() {
    let (_folder, engine) = engine();
    let world = World::parse(CONTRACT_WIT).expect("the contract parses");
    assert_eq!(mirrors(&engine, &world), Ok(()));
    let package = world.resolve.worlds[world.id].package.expect("a package");
    assert_eq!(world.resolve.packages[package].name.to_string(), CONTRACT);
}

/// The contract with each of its types changed in turn: its last member renamed, its first two in the
/// other order, one more at its end. All of that has to show.
#[test]
fn a_type_that_differs_from_the_contract_shows() {
    let (_folder, engine) = engine();
    let world = World::parse(CONTRACT_WIT).expect("the contract parses");
    let named: Vec<TypeId> = world
        .resolve
        .types
        .iter()
        .filter(|(_, ty)| ty.name.is_some() && !matches!(ty.kind, TypeDefKind::Type(_)))
        .map(|(id, _)| id)
        .collect();
    // text, dictionary, data-type, values, column, batch, rejection, output, fault, column-spec, secret,
    // manifest, needs, configured; level; lookup-error.
    assert_eq!(named.len(), 16);
    let mut missed = Vec::new();
    for id in named {
        for drift in [Drift::Renamed, Drift::Swapped, Drift::Added] {
            let mut other = world.clone();
            if drift.make(&mut other.resolve.types[id].kind) && mirrors(&engine, &other) == Ok(()) {
                missed.push((world.resolve.types[id].name.clone(), drift));
            }
        }
    }
    assert_eq!(missed, []);
}

#[test]
fn a_function_that_differs_from_the_contract_shows() {
    let (_folder, engine) = engine();
    let changes = [
        ("write: func(level: level, message: string)", "write: func(message: string)"),
        ("unreadable: func(column: string, values: u32)", "unreadable: func(column: string)"),
        ("write: func(", "say: func("),
        ("find: func(table: string, field: string", "find: func(table: string, field: u32"),
        ("-> result<column, lookup-error>", "-> result<column, string>"),
        ("export describe: func() -> manifest", "export describe: func() -> configured"),
        ("available: list<column-spec>)", "available: list<string>)"),
        ("-> result<output, fault>", "-> result<output>"),
        ("import log;", "import log; import now: func() -> s64;"),
        ("export process:", "export stop: func(); export process:"),
        ("int64s(list<s64>)", "int64s(list<u64>)"),
        ("validity: option<list<u8>>", "validity: list<u8>"),
        ("rows: u32", "rows: u64"),
        ("parent: option<u32>", "parent: u32"),
        ("came-from: option<list<u32>>", "came-from: list<u32>"),
        ("prepared: list<u8>, input", "input"),
        ("decimals(list<u64>)", "decimals(list<s64>)"),
    ];
    for (from, to) in changes {
        assert!(CONTRACT_WIT.contains(from), "{from}");
        let world = World::parse(&CONTRACT_WIT.replacen(from, to, 1))
            .unwrap_or_else(|error| panic!("{to}: {error}"));
        assert!(mirrors(&engine, &world).is_err(), "{to}");
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Drift {
    Renamed,
    Swapped,
    Added,
}

impl Drift {
    /// Changes a type. False where it has too few members for that.
    fn make(self, kind: &mut TypeDefKind) -> bool {
        fn change<T: Clone>(
            drift: Drift,
            members: &mut Vec<T>,
            name: impl Fn(&mut T) -> &mut String,
        ) -> bool {
            let Some(last) = members.last().cloned() else { return false };
            match drift {
                Drift::Renamed => {
                    let renamed = members.iter_mut().next_back();
                    renamed.into_iter().for_each(|last| name(last).push_str("-x"));
                }
                Drift::Added => {
                    members.push(last);
                    let added = members.iter_mut().next_back();
                    added.into_iter().for_each(|last| name(last).push_str("-x"));
                }
                Drift::Swapped if members.len() < 2 => return false,
                Drift::Swapped => members.swap(0, 1),
            }
            true
        }
        match kind {
            TypeDefKind::Record(record) => change(self, &mut record.fields, |f| &mut f.name),
            TypeDefKind::Variant(variant) => change(self, &mut variant.cases, |c| &mut c.name),
            TypeDefKind::Enum(cases) => change(self, &mut cases.cases, |c| &mut c.name),
            other => panic!("the contract has no {}", other.as_str()),
        }
    }
}
