//! What bytes are, told before they are compiled: no WebAssembly, a module, something cut short, or a flood of
//! things that no plugin has. It takes one look at each section, and asks the system for nothing.
//!
//! What passes may still be no component, or dear to compile: that is found out by compiling it.

use wasmtime::wasmparser::{
    BinaryReaderError, ElementItems, Encoding, FunctionBody, Instance, Parser, Payload,
};

/// Functions, over all modules. Python's interpreter has some 15,000.
const MAX_FUNCTIONS: u64 = 100_000;
/// Bytes of a function. Of large interpreters, the largest have some 200 kB.
const MAX_FUNCTION_BYTES: u64 = 1 << 20;
/// Locals of a function: what a compiler does grows with locals times blocks.
const MAX_LOCALS: u64 = 20_000;
/// Types, imports, exports and whatever else is listed, over all sections.
const MAX_ITEMS: u64 = 1_000_000;
/// What each instance of a module has a place for that is none of a guest's memory, over all modules: imports,
/// globals, tags, and elements of segments. Such a place takes up to 32 bytes, and the one byte that asks for it may
/// be in as many instances as there may be. Python's interpreter has some 9,000.
const MAX_PLACES: u64 = 50_000;
/// Segments of data, over all modules: an instance has 12 bytes for each. Go's linker makes 44,000 for a small plugin.
const MAX_DATA: u64 = 250_000;
/// Modules and components within.
const MAX_PARTS: u64 = 1_000;
/// How deep they lie within each other.
const MAX_DEPTH: u64 = 16;
/// Imports and exports of the component.
const MAX_NAMES: u64 = 1_000;
/// Bytes of the name of one of those, which are told to people.
const MAX_NAME_BYTES: u64 = 1_000;

/// What a component may be made of. Python's interpreter makes 38 instances of one memory, a JavaScript engine
/// some 20 of three.
pub(super) const MOST_PARTS: Parts = Parts { core_instances: 64, memories: 4, tables: 16 };

/// What is set aside when a component is instantiated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Parts {
    /// Instances of its modules.
    pub core_instances: u32,
    /// Memories, over all modules.
    pub memories: u32,
    /// Tables, over all modules.
    pub tables: u32,
}

impl Parts {
    /// Whether there is room for each of them.
    pub(super) fn fit(self, room: Self) -> bool {
        self.core_instances <= room.core_instances
            && self.memories <= room.memories
            && self.tables <= room.tables
    }
}

/// Why bytes are not compiled.
#[derive(Debug, thiserror::Error)]
pub enum ShapeError {
    /// The bytes are not WebAssembly.
    #[error("it is not WebAssembly: it does not begin with the bytes `\\0asm`")]
    NotWasm,
    /// They are a module.
    #[error("it is a module of WebAssembly, wanted a component: {0}")]
    Module(ModuleKind),
    /// They end too soon, or are damaged.
    #[error("it is cut short or damaged at byte {at}: {what}")]
    Damaged {
        /// Where.
        at: usize,
        /// What is wrong there.
        what: String,
    },
    /// They have more of something than any plugin.
    #[error("it has {what}, wanted at most {limit}")]
    Flood {
        /// Of what.
        what: String,
        /// How many are allowed.
        limit: u64,
    },
}

/// What a module was made for, as far as it shows: what is to be done depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ModuleKind {
    /// A plugin: the contract stands in it.
    #[error(
        "a plugin was compiled, and not yet made into one\nhint: `clickmill plugin build FOLDER` does both, `wasm-tools component new MODULE` the rest"
    )]
    Plugin,
    /// WASI of before there were components.
    #[error(
        "it was built for WASI\nhint: `clickmill plugin build FOLDER` makes a component of a plugin's sources that wants nothing of WASI; in Rust that is the target wasm32-unknown-unknown"
    )]
    Wasi,
    /// A web page.
    #[error(
        "it was built for JavaScript, such as that of a web page\nhint: a plugin is built without wasm-bindgen and the like: `clickmill plugin build FOLDER` does so for a plugin's sources"
    )]
    JavaScript,
    /// Nothing that is known.
    #[error(
        "nothing in it speaks of the contract of plugins\nhint: `clickmill plugin build FOLDER` makes a component of sources in Rust, C, Go, Python or JavaScript with their SDK; in another language, bind to `wit/plugin.wit` first, then `wasm-tools component new MODULE`"
    )]
    Unknown,
}

impl ModuleKind {
    /// By what a module imports, and by what bindings leave in it for whoever makes a component of it. What is
    /// damaged behind that is of no interest.
    fn of(bytes: &[u8]) -> Self {
        let mut kind = Self::Unknown;
        for payload in Parser::new(0).parse_all(bytes).map_while(Result::ok) {
            match payload {
                Payload::CustomSection(section) if section.name().starts_with("component-type") => {
                    return Self::Plugin;
                }
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports().map_while(Result::ok) {
                        match import.module {
                            name if name.starts_with("wasi_") => kind = Self::Wasi,
                            "gojs" | "wbg" | "__wbindgen_placeholder__" => kind = Self::JavaScript,
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        kind
    }
}

impl From<BinaryReaderError> for ShapeError {
    fn from(error: BinaryReaderError) -> Self {
        Self::Damaged { at: error.offset(), what: error.message().to_owned() }
    }
}

/// Looks at the sections of what is to be a component. Returns what it is made of, as it stands there: what is
/// instantiated more than once is seen when it is.
///
/// # Errors
///
/// Where it is none at first sight, or has more of something than any plugin.
pub(super) fn check(bytes: &[u8]) -> Result<Parts, ShapeError> {
    if !bytes.starts_with(b"\0asm") {
        return Err(ShapeError::NotWasm);
    }
    let mut counted = Counted::default();
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload?;
        // Cut between two sections of its own, what lies within would pass for whole.
        if let Payload::ModuleSection { unchecked_range, .. }
        | Payload::ComponentSection { unchecked_range, .. } = &payload
            && unchecked_range.end > bytes.len()
        {
            let (at, what) = (bytes.len(), "unexpected end".to_owned());
            return Err(ShapeError::Damaged { at, what });
        }
        if let Payload::Version { encoding: Encoding::Module, .. } = &payload
            && counted.depth == 0
        {
            return Err(ShapeError::Module(ModuleKind::of(bytes)));
        }
        counted.count(&payload)?;
    }
    Ok(counted.made_of)
}

#[derive(Default)]
struct Counted {
    made_of: Parts,
    functions: u64,
    items: u64,
    places: u64,
    data: u64,
    parts: u64,
    /// Of what is read now: 1 is the component itself.
    depth: u64,
}

impl Counted {
    fn count(&mut self, payload: &Payload<'_>) -> Result<(), ShapeError> {
        let items = match payload {
            Payload::Version { .. } => {
                self.depth += 1;
                self.parts += 1;
                at_most(MAX_DEPTH, self.depth, |n| format!("components {n} deep in each other"))?;
                return at_most(MAX_PARTS, self.parts, |n| format!("{n} modules and components"));
            }
            Payload::End(_) => {
                self.depth = self.depth.saturating_sub(1);
                return Ok(());
            }
            Payload::CodeSectionStart { count, .. } => {
                self.functions += u64::from(*count);
                return at_most(MAX_FUNCTIONS, self.functions, |n| format!("{n} functions"));
            }
            Payload::CodeSectionEntry(body) => return function(body),
            Payload::ComponentImportSection(imports) => {
                at_most(MAX_NAMES, imports.count().into(), |n| format!("{n} imports"))?;
                for import in imports.clone() {
                    name(import?.name.name)?;
                }
                imports.count()
            }
            Payload::ComponentExportSection(exports) => {
                at_most(MAX_NAMES, exports.count().into(), |n| format!("{n} exports"))?;
                for export in exports.clone() {
                    name(export?.name.name)?;
                }
                exports.count()
            }
            Payload::TypeSection(section) => section.count(),
            Payload::ImportSection(section) => self.place(section.count())?,
            Payload::FunctionSection(section) => section.count(),
            Payload::TableSection(section) => {
                let tables = &mut self.made_of.tables;
                *tables = tables.saturating_add(section.count());
                let limit = MOST_PARTS.tables;
                at_most(limit.into(), (*tables).into(), |n| format!("{n} tables"))?;
                section.count()
            }
            Payload::MemorySection(section) => {
                let memories = &mut self.made_of.memories;
                *memories = memories.saturating_add(section.count());
                let limit = MOST_PARTS.memories;
                at_most(limit.into(), (*memories).into(), |n| format!("{n} memories"))?;
                section.count()
            }
            Payload::TagSection(section) => self.place(section.count())?,
            Payload::GlobalSection(section) => self.place(section.count())?,
            Payload::ExportSection(section) => section.count(),
            Payload::ElementSection(section) => {
                for element in section.clone() {
                    self.place(match element?.items {
                        ElementItems::Functions(items) => items.count(),
                        ElementItems::Expressions(_, items) => items.count(),
                    })?;
                }
                self.place(section.count())?
            }
            Payload::DataSection(section) => {
                self.data += u64::from(section.count());
                at_most(MAX_DATA, self.data, |n| format!("{n} segments of data"))?;
                section.count()
            }
            Payload::InstanceSection(section) => {
                // Others only name what is there.
                let limit = MOST_PARTS.core_instances;
                for instance in section.clone() {
                    if let Instance::Instantiate { .. } = instance? {
                        let instances = &mut self.made_of.core_instances;
                        *instances += 1;
                        let found = (*instances).into();
                        at_most(limit.into(), found, |n| format!("{n} instances of modules"))?;
                    }
                }
                section.count()
            }
            Payload::CoreTypeSection(section) => section.count(),
            Payload::ComponentInstanceSection(section) => section.count(),
            Payload::ComponentAliasSection(section) => section.count(),
            Payload::ComponentTypeSection(section) => section.count(),
            Payload::ComponentCanonicalSection(section) => section.count(),
            _ => 1,
        };
        self.items += u64::from(items);
        at_most(MAX_ITEMS, self.items, |n| format!("{n} types, imports, exports and the like"))
    }

    /// Counts places of instances; returns how many these are.
    fn place(&mut self, count: u32) -> Result<u32, ShapeError> {
        self.places += u64::from(count);
        at_most(MAX_PLACES, self.places, |n| format!("{n} imports, globals and elements"))?;
        Ok(count)
    }
}

fn function(body: &FunctionBody<'_>) -> Result<(), ShapeError> {
    let bytes = body.range().len() as u64;
    at_most(MAX_FUNCTION_BYTES, bytes, |n| format!("a function of {n} bytes"))?;
    let mut locals = 0;
    for local in body.get_locals_reader()? {
        locals += u64::from(local?.0);
        at_most(MAX_LOCALS, locals, |n| format!("a function with {n} locals"))?;
    }
    Ok(())
}

fn name(name: &str) -> Result<(), ShapeError> {
    at_most(MAX_NAME_BYTES, name.len() as u64, |n| format!("a name of {n} bytes"))
}

fn at_most(limit: u64, found: u64, what: impl Fn(u64) -> String) -> Result<(), ShapeError> {
    if found > limit { Err(ShapeError::Flood { what: what(found), limit }) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
