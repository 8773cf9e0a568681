use wasm_encoder::{
    CodeSection, CompositeInnerType, CompositeType, ConstExpr, ElementSection, Elements, FuncType,
    Function, FunctionSection, MemorySection, MemoryType, Module, RefType, SubType, TableSection,
    TableType, TypeSection,
};

use super::*;
use crate::guest::{Guest, link, store};
use crate::testing::{component, engine, section};

/// A component around a core module: the section of a component that holds one has the number 1.
fn component_of(module: Module) -> Vec<u8> {
    component(&[section(1, &module.finish())])
}

/// A module that calls a function of one type as one of another, by a table. A type that is not final may
/// have subtypes, so that the host is asked whether the first is one of the second.
fn calls_through_a_table(is_final: bool) -> Module {
    let function = |params: Vec<wasm_encoder::ValType>| SubType {
        is_final,
        supertype_idx: None,
        composite_type: CompositeType {
            inner: CompositeInnerType::Func(FuncType::new(params, [])),
            shared: false,
            describes: None,
            descriptor: None,
        },
    };
    let mut types = TypeSection::new();
    types.ty().subtype(&function(Vec::new()));
    types.ty().subtype(&function(vec![wasm_encoder::ValType::I32]));
    let mut functions = FunctionSection::new();
    functions.function(0).function(0);
    let mut tables = TableSection::new();
    tables.table(TableType {
        element_type: RefType::FUNCREF,
        table64: false,
        minimum: 1,
        maximum: None,
        shared: false,
    });
    let mut elements = ElementSection::new();
    elements.active(None, &ConstExpr::i32_const(0), Elements::Functions(vec![0].into()));
    let mut code = CodeSection::new();
    let mut called = Function::new([]);
    called.instructions().end();
    let mut calls = Function::new([]);
    calls.instructions().i32_const(1).i32_const(0).call_indirect(0, 1).end();
    code.function(&called).function(&calls);
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&tables).section(&elements).section(&code);
    module
}

/// Without wasmtime's feature `gc` that question aborts the process (RUSTSEC-2026-0570).
#[test]
fn a_component_that_would_ask_what_wasmtime_aborts_at_is_refused_with_words() {
    let (_folder, engine) = engine();
    engine.compile(&component_of(calls_through_a_table(true))).unwrap();
    let error = engine.compile(&component_of(calls_through_a_table(false))).err().unwrap();
    assert!(matches!(error, EngineError::Compile(_)), "{error}");
    let causes = clickmill_core::causes(&error);
    assert!(causes.contains("gc proposal must be enabled"), "{causes}");
}

/// Fuel is counted in 64 bits, and growing a table costs as much as it is to grow: where that number has 64
/// bits too, the count overflows, and a guest that makes it do so is ended by nothing any more.
#[test]
fn what_counts_in_64_bits_is_refused() {
    let (_folder, engine) = engine();
    let module = |table64: bool, memory64: bool| {
        let mut tables = TableSection::new();
        let (element_type, minimum, maximum) = (RefType::FUNCREF, 1, None);
        tables.table(TableType { element_type, table64, minimum, maximum, shared: false });
        let mut memories = MemorySection::new();
        let page_size_log2 = None;
        memories.memory(MemoryType { minimum, maximum, memory64, shared: false, page_size_log2 });
        let mut module = Module::new();
        module.section(&tables).section(&memories);
        component_of(module)
    };
    engine.compile(&module(false, false)).unwrap();
    for (table64, memory64) in [(true, false), (false, true)] {
        let error = engine.compile(&module(table64, memory64)).err().unwrap();
        assert!(matches!(error, EngineError::Compile(_)), "{error}");
        let causes = clickmill_core::causes(&error);
        assert!(causes.contains("memory64 must be enabled"), "{causes}");
    }
}

/// A component that instantiates its one module, which has so many memories of one page.
fn with_memories(count: u64) -> Vec<u8> {
    let mut memories = MemorySection::new();
    for _ in 0..count {
        let (minimum, maximum, page_size_log2) = (1, Some(8), None);
        let memory64 = false;
        memories.memory(MemoryType { minimum, maximum, memory64, shared: false, page_size_log2 });
    }
    let mut module = Module::new();
    module.section(&memories);
    component(&[section(1, &module.finish()), section(2, &[1, 0, 0, 0])])
}

/// An instance whose memories may have so many bytes in all, with no code to run.
fn instantiate(
    engine: &Engine,
    component: &[u8],
    max_memory_bytes: usize,
) -> Result<usize, String> {
    let told = |error: wasmtime::Error| format!("{error:#}");
    let component = engine.compile(component).map_err(|error| clickmill_core::causes(&error))?;
    let limits = clickmill_config::Limits { max_memory_bytes, ..Default::default() };
    let guest = Guest::new("test".into(), limits, Default::default());
    let mut store = store(component.engine(), guest);
    store.set_fuel(u64::MAX).map_err(told)?;
    let linker = link(component.engine(), &component).map_err(told)?;
    linker.instantiate(&mut store, &component).map_err(told)?;
    Ok(store.data().most_memory)
}

/// Interpreters have several memories, for which the pool has no room.
#[test]
fn memory_is_bounded_in_all_whatever_it_is_made_of() {
    const PAGE: usize = 64 << 10;
    let (_folder, engine) = engine();
    for count in 1..=4 {
        let (component, bytes) = (with_memories(count as u64), count * PAGE);
        assert_eq!(instantiate(&engine, &component, bytes), Ok(bytes));
        assert!(instantiate(&engine, &component, bytes - 1).is_err(), "{count}");
    }
    let told = instantiate(&engine, &with_memories(5), usize::MAX).unwrap_err();
    assert!(told.contains("5 memories"), "{told}");
}

/// What the process that compiles leaves in the cache is found by either engine.
#[test]
fn code_is_compiled_alike_for_both() {
    let (_folder, engine) = engine();
    let hash = |engine: &wasmtime::Engine| {
        let mut hasher = std::hash::DefaultHasher::new();
        std::hash::Hash::hash(&engine.precompile_compatibility_hash(), &mut hasher);
        std::hash::Hasher::finish(&hasher)
    };
    assert_eq!(hash(&engine.wasmtime), hash(&engine.on_demand));
}
