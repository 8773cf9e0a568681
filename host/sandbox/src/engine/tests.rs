use wasm_encoder::{
    CodeSection, CompositeInnerType, CompositeType, ConstExpr, ElementSection, Elements, FuncType,
    Function, FunctionSection, MemorySection, MemoryType, Module, RefType, SubType, TableSection,
    TableType, TypeSection,
};

use super::*;
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
