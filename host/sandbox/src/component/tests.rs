use wasm_encoder::{
    BlockType, CodeSection, Function, FunctionSection, Module, StartSection, TypeSection, ValType,
};

use super::*;
use crate::testing::{engine, idle_plugin, section};
use wasmtime::wasmparser::{Parser, Payload};

/// Values that each turn of a loop moves by one place: the most that a block may take.
const MOVED: usize = 1000;

/// A module that runs at its start, forever: each turn costs two fuel, and moves a thousand vectors.
fn moves_at_its_start() -> Module {
    let mut types = TypeSection::new();
    types.ty().function([], []);
    types.ty().function([ValType::V128; MOVED], []);
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut body = Function::new([]);
    let mut does = body.instructions();
    for _ in 0..MOVED {
        does.v128_const(1);
    }
    does.loop_(BlockType::FunctionType(1)).v128_const(1).br(0).end().end();
    let mut code = CodeSection::new();
    code.function(&body);
    let mut module = Module::new();
    module.section(&types).section(&functions);
    module.section(&StartSection { function_index: 0 }).section(&code);
    module
}

fn told(bytes: &[u8]) -> String {
    let (_folder, engine) = engine();
    let described = describe(&engine, Path::new("guest.wasm"), bytes, None);
    clickmill_core::causes(&described.expect_err("it does not describe itself"))
}

/// That is what whoever inspects a file is promised, with the limits that they have where they name none: compiling
/// takes them in a process of its own, and the rest is less than a second and a tenth of the memory.
#[test]
fn any_file_is_looked_at_within_a_minute_and_a_gigabyte() {
    let limits = ComponentLimits::default();
    assert!(limits.max_compile_secs + MAX_DESCRIBE_SECS < 60);
    let guests = Limits::default().max_memory_bytes as u64;
    assert!(limits.max_compile_bytes.max(limits.max_bytes as u64 + guests) < 1_000_000_000);
}

/// Fuel alone is no end that anybody would wait for.
#[test]
fn what_a_component_is_asked_first_it_has_seconds_for() {
    let plugin = idle_plugin();
    let parts = Parser::new(0).parse_all(&plugin).map(|payload| payload.expect("it is whole"));
    let modules = parts.filter(|part| matches!(part, Payload::ModuleSection { .. })).count();
    let last = u8::try_from(modules).expect("there are few");
    // One instance, of the module that is added last, which takes nothing.
    let instance = section(2, &[1, 0, last, 0]);
    let bytes = [plugin, section(1, &moves_at_its_start().finish()), instance].concat();
    let told = told(&bytes);
    assert!(told.ends_with("took too long: limit 3 s of processor time a call"), "{told}");
}

/// A component that exports an empty instance by each of these names.
fn exports(names: &[&str]) -> Vec<u8> {
    let mut instances = wasm_encoder::ComponentInstanceSection::new();
    instances.export_items::<&str, _>([]);
    let mut exports = wasm_encoder::ComponentExportSection::new();
    for name in names {
        exports.export(*name, wasm_encoder::ComponentExportKind::Instance, 0, None);
    }
    let mut component = wasm_encoder::Component::new();
    component.section(&instances).section(&exports);
    component.finish()
}

/// What it exports says what it is.
#[test]
fn a_component_for_another_world_is_told_what_plugins_are_built_for() {
    for (names, wanted) in [
        (&[][..], "it exports nothing at all"),
        (&["a:b/c", "a:b/d"], "whose exports are `a:b/c`, `a:b/d`"),
        (&["a:b/c", "a:b/d", "a:b/e", "a:b/f", "a:b/g", "a:b/h"], "`a:b/g` and 1 more"),
        (&["wasi:cli/run@0.2.0"], "it is a program of WASI"),
        (&["wasi:http/incoming-handler@0.2.0"], "it answers HTTP requests"),
    ] {
        let told = told(&exports(names));
        assert!(told.contains("it does not export `describe`") && told.contains(wanted), "{told}");
        let hint = told.split_once("\nhint: ").expect("what to do").1;
        assert!(hint.contains("clickmill plugin build FOLDER"), "{told}");
    }
}

/// A component that imports one instance of so many functions by so many names.
fn imports(names: usize, functions: usize) -> Vec<u8> {
    let mut instance = wasm_encoder::InstanceType::new();
    instance.ty().function().params::<[_; 0], wasm_encoder::ComponentValType>([]).result(None);
    for function in 0..functions {
        let name = format!("f{function}");
        instance.export(&*name, wasm_encoder::ComponentTypeRef::Func(0));
    }
    let mut types = wasm_encoder::ComponentTypeSection::new();
    types.instance(&instance);
    let mut imports = wasm_encoder::ComponentImportSection::new();
    for name in 0..names {
        let name = format!("a:b/c{name}");
        imports.import(&*name, wasm_encoder::ComponentTypeRef::Instance(0));
    }
    let mut component = wasm_encoder::Component::new();
    component.section(&types).section(&imports);
    component.finish()
}

/// For each function that it imports the host makes one, so few bytes could ask for gigabytes.
#[test]
fn what_a_component_imports_is_bounded_over_all_its_instances() {
    let told_of = |names, functions| told(&imports(names, functions));
    for (names, functions) in [(1, MAX_IMPORTED), (100, 100), (900, 900)] {
        let told = told_of(names, functions);
        assert!(told.contains("it imports more than 10000 functions"), "{names}: {told}");
    }
    for (names, functions) in [(1, 0), (90, 100)] {
        let told = told_of(names, functions);
        assert!(told.contains("it does not export `describe`"), "{names}: {told}");
    }
}
