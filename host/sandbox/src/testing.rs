//! Guests for tests, made of a contract's text: no compiler is asked for them.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use wasm_encoder::{
    CodeSection, EntityType, ExportKind, ExportSection, Function, FunctionSection, GlobalSection,
    GlobalType, ImportSection, InstructionSink, MemorySection, MemoryType, Module, TypeSection,
    ValType,
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::abi::{AbiVariant, WasmSignature, WasmType};
use wit_parser::{Resolve, WorldId, WorldItem};

use super::engine::Engine;
use clickmill_core::Micros;
use clickmill_core::batch::{Batch, Origins, Positions};

/// The text of the contract.
pub(crate) const CONTRACT_WIT: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/plugin.wit"));

/// The text of the contract before it.
pub(crate) const CONTRACT_0_1_WIT: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../wit/deps/clickmill-plugin-0.1.0/plugin.wit"
));

/// Memory of a guest: four pages.
const PAGES: u64 = 4;
/// Where a guest's allocations begin. What is below stays zero.
const HEAP: i32 = 1024;

/// A world that guests are made for.
#[derive(Clone)]
pub(crate) struct World {
    pub resolve: Resolve,
    pub id: WorldId,
}

/// Writes the body of an export, without the result. The functions of the world's imports have the
/// numbers from 0 on, in the order of the world. `cabi_realloc` and `cabi_post_…` are exports too: the
/// guest's allocator, and what it does once an answer was taken.
pub(crate) type Body<'a> = (&'a str, &'a dyn Fn(&mut InstructionSink<'_>));

impl World {
    /// The world `plugin` of a text.
    pub(crate) fn parse(wit: &str) -> Result<Self, String> {
        let mut resolve = Resolve::default();
        let package = resolve.push_source("plugin.wit", wit).map_err(|e| format!("{e:#}"))?;
        let world = resolve.select_world(&[package], Some("plugin"));
        let id = world.map_err(|e| format!("{e:#}"))?;
        Ok(Self { resolve, id })
    }

    /// The imported functions, each with its module.
    pub(crate) fn imports(&self) -> Vec<(String, &wit_parser::Function)> {
        let world = &self.resolve.worlds[self.id];
        let mut imports = Vec::new();
        for (key, item) in &world.imports {
            match item {
                WorldItem::Interface { id, .. } => {
                    let module = self.resolve.name_world_key(key);
                    let functions = self.resolve.interfaces[*id].functions.values();
                    imports.extend(functions.map(|function| (module.clone(), function)));
                }
                WorldItem::Function(function) => imports.push(("$root".to_owned(), function)),
                WorldItem::Type { .. } => {}
            }
        }
        imports
    }

    /// The exported functions.
    pub(crate) fn exports(&self) -> Vec<&wit_parser::Function> {
        let exports = self.resolve.worlds[self.id].exports.values();
        exports
            .filter_map(|item| match item {
                WorldItem::Function(function) => Some(function),
                WorldItem::Interface { .. } | WorldItem::Type { .. } => None,
            })
            .collect()
    }

    /// A component of this world that imports all there is. Each export answers zeros, which are texts
    /// and lists without anything in them, and the first case of every variant; `bodies` do something
    /// before that.
    pub(crate) fn component(&self, bodies: &[Body<'_>]) -> Vec<u8> {
        let mut types = TypeSection::new();
        let mut imports = ImportSection::new();
        let mut functions = FunctionSection::new();
        let mut exports = ExportSection::new();
        let mut code = CodeSection::new();
        let mut index = 0;
        for (module, function) in self.imports() {
            let signature = self.resolve.wasm_signature(AbiVariant::GuestImport, function);
            add_type(&mut types, &signature);
            imports.import(&module, &function.name, EntityType::Function(index));
            index += 1;
        }
        for function in self.exports() {
            let signature = self.resolve.wasm_signature(AbiVariant::GuestExport, function);
            add_type(&mut types, &signature);
            functions.function(index);
            exports.export(&function.name, ExportKind::Func, index);
            let mut made = Function::new([]);
            let mut body = made.instructions();
            for (_, write) in bodies.iter().filter(|(name, _)| *name == function.name) {
                write(&mut body);
            }
            for result in &signature.results {
                match val_type(*result) {
                    ValType::I64 => body.i64_const(0),
                    _ => body.i32_const(0),
                };
            }
            body.end();
            code.function(&made);
            index += 1;
        }
        // The allocator goes up and never frees.
        types.ty().function([ValType::I32; 4], [ValType::I32]);
        functions.function(index);
        exports.export("cabi_realloc", ExportKind::Func, index);
        let mut realloc = Function::new([]);
        for (_, write) in bodies.iter().filter(|(name, _)| *name == "cabi_realloc") {
            write(&mut realloc.instructions());
        }
        let (align, size) = (2, 3);
        realloc.instructions().global_get(0).local_get(align).i32_add().i32_const(1).i32_sub();
        realloc.instructions().i32_const(0).local_get(align).i32_sub().i32_and();
        realloc.instructions().global_set(0).global_get(0);
        realloc.instructions().global_get(0).local_get(size).i32_add().global_set(0).end();
        code.function(&realloc);
        for (name, write) in bodies.iter().filter(|(name, _)| name.starts_with("cabi_post_")) {
            index += 1;
            types.ty().function([ValType::I32], []);
            functions.function(index);
            exports.export(name, ExportKind::Func, index);
            let mut made = Function::new([]);
            write(&mut made.instructions());
            made.instructions().end();
            code.function(&made);
        }
        exports.export("memory", ExportKind::Memory, 0);
        let mut memory = MemorySection::new();
        let (maximum, page_size_log2) = (None, None);
        let (memory64, shared) = (false, false);
        memory.memory(MemoryType { minimum: PAGES, maximum, memory64, shared, page_size_log2 });
        let mut globals = GlobalSection::new();
        let heap = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
        globals.global(heap, &wasm_encoder::ConstExpr::i32_const(HEAP));
        let mut module = Module::new();
        module.section(&types).section(&imports).section(&functions).section(&memory);
        module.section(&globals).section(&exports).section(&code);
        let mut module = module.finish();
        embed_component_metadata(&mut module, &self.resolve, self.id, StringEncoding::UTF8)
            .expect("the module takes its world");
        ComponentEncoder::default()
            .validate(true)
            .module(&module)
            .and_then(|mut encoder| encoder.encode())
            .unwrap_or_else(|error| panic!("the module makes a component: {error:#}"))
    }
}

/// An engine with a cache of its own.
pub(crate) fn engine() -> (tempfile::TempDir, Engine) {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let engine = Engine::new(folder.path()).expect("an engine");
    (folder, engine)
}

/// A batch of these columns, of lines from 1 on.
pub(crate) fn batch_of(columns: RecordBatch) -> Batch {
    let rows = columns.num_rows();
    let origins = Origins {
        source: "test".into(),
        header: None,
        positions: Positions::Lines((1..=rows as u64).collect()),
        places: None,
        block: bytes::Bytes::new(),
        ranges: vec![0..0; rows],
    };
    Batch { columns, origins, ingest_time: Micros::default() }
}

/// A batch of one column, `n`, of the numbers from 0 on.
pub(crate) fn batch_of_numbers(rows: usize) -> Batch {
    let numbers: ArrayRef = Arc::new((0..rows as i64).collect::<Int64Array>());
    batch_of(RecordBatch::try_from_iter([("n", numbers)]).expect("a batch"))
}

/// A plugin that reads, writes and refuses nothing.
pub(crate) fn idle_plugin() -> Vec<u8> {
    World::parse(CONTRACT_WIT).expect("the contract parses").component(&[])
}

/// How a component begins, and a module.
pub(crate) const COMPONENT: [u8; 8] = *b"\0asm\x0d\0\x01\0";
pub(crate) const MODULE: [u8; 8] = *b"\0asm\x01\0\0\0";

/// A number as WebAssembly writes it.
pub(crate) fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// A section of a module or a component.
pub(crate) fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [&[id][..], &leb(content.len()), content].concat()
}

/// A component of these sections.
pub(crate) fn component(sections: &[Vec<u8>]) -> Vec<u8> {
    [&COMPONENT[..], &sections.concat()].concat()
}

/// A component around a module of functions that take and answer nothing, each with these bytes.
pub(crate) fn functions(count: usize, body: &[u8]) -> Vec<u8> {
    let body = [&leb(body.len())[..], body].concat();
    let module = [
        MODULE.to_vec(),
        section(1, &[1, 0x60, 0, 0]),
        section(3, &[leb(count), vec![0; count]].concat()),
        section(10, &[leb(count), body.repeat(count)].concat()),
    ];
    component(&[section(1, &module.concat())])
}

fn add_type(types: &mut TypeSection, signature: &WasmSignature) {
    let of = |types: &[WasmType]| types.iter().map(|ty| val_type(*ty)).collect::<Vec<_>>();
    types.ty().function(of(&signature.params), of(&signature.results));
}

fn val_type(ty: WasmType) -> ValType {
    match ty {
        WasmType::I32 | WasmType::Pointer | WasmType::Length => ValType::I32,
        WasmType::I64 | WasmType::PointerOrI64 => ValType::I64,
        WasmType::F32 => ValType::F32,
        WasmType::F64 => ValType::F64,
    }
}
