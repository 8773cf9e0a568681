//! Makes components of modules.

use std::convert::Infallible;
use std::fs;
use std::path::{Path, PathBuf};

use wasm_encoder::reencode::{Error as ReencodeError, Reencode, utils};
use wasm_encoder::{ImportSection, Module};
use wasmtime::wasmparser::{BinaryReaderError, Import, ImportSectionReader, Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use super::error::BuildError;

/// What the runtimes of languages ask for by this name is answered by a module of ours.
const WASI: &str = "wasi_snapshot_preview1";
/// Compiled of `wasi.wat`, to which a test holds it: a compiler of Wasm's text takes half a minute to build.
const ADAPTER: &[u8] = include_bytes!("encode/wasi.wasm");

/// A component that was made.
pub(super) struct Made {
    pub component: Vec<u8>,
    /// The same but for names of functions, where there are any.
    pub named: Option<Vec<u8>>,
}

/// The component beside another that is the same but for names of functions.
pub fn named(component: &Path) -> PathBuf {
    component.with_extension("named.wasm")
}

/// Makes a component of a module in which the contract stands, and one that has the names of functions yet.
/// `folder` is the plugin's, for messages.
pub(super) fn encode(folder: &Path, module: &[u8]) -> Result<Made, BuildError> {
    encode_with(folder, module, None)
}

/// The same of a module for WASI, of which it is given nothing, and in which the contract does not stand yet:
/// `contract` is the file of its text.
pub(super) fn encode_wasi(
    folder: &Path,
    contract: &Path,
    mut module: Vec<u8>,
) -> Result<Made, BuildError> {
    let text = fs::read_to_string(contract);
    let text = text.map_err(|source| BuildError::File { path: contract.to_owned(), source })?;
    let adapter = embed(&mut module, &text).map_err(|what| {
        let path = folder.to_owned();
        BuildError::Component { path, what }
    })?;
    encode_with(folder, &module, Some(&adapter))
}

fn encode_with(folder: &Path, module: &[u8], adapter: Option<&[u8]>) -> Result<Made, BuildError> {
    let failed = |what: String| BuildError::Component { path: folder.to_owned(), what };
    let encode = |module: &[u8]| {
        let mut encoder = ComponentEncoder::default().validate(true).module(module)?;
        if let Some(adapter) = adapter {
            encoder = encoder.adapter(WASI, adapter)?;
        }
        encoder.encode()
    };
    let encode = |module: &[u8]| encode(module).map_err(|error| failed(format!("{error:#}")));
    let without = |is_left_out: fn(&str) -> bool| {
        without_sections(module, is_left_out).map_err(|error| failed(error.to_string()))
    };
    let (nameless, named) = (without(is_for_tools)?, without(is_for_debuggers)?);
    Ok(Made { component: encode(&nameless)?, named: Some(encode(&named)?) })
}

/// Writes a contract into a module that was made for it, and makes the adapter that goes with it.
fn embed(module: &mut Vec<u8>, contract: &str) -> Result<Vec<u8>, String> {
    let mut resolve = Resolve::default();
    let world_of = |resolve: &mut Resolve, name: &str, text: &str| {
        let package = resolve.push_source(name, text).map_err(|error| format!("{error:#}"))?;
        let world = resolve.select_world(&[package], None).map_err(|error| format!("{error:#}"))?;
        Ok::<_, String>((package, world))
    };
    let (package, world) = world_of(&mut resolve, "plugin.wit", contract)?;
    let version = &resolve.packages[package].name.version;
    let version = version.as_ref().ok_or("the contract has no version")?.to_string();
    let told = |error| format!("{error:#}");
    embed_component_metadata(module, &resolve, world, StringEncoding::UTF8).map_err(told)?;

    let mut adapter = adapter(&version).map_err(|error| error.to_string())?;
    let log =
        format!("package clickmill:wasi; world wasi {{ import clickmill:plugin/log@{version}; }}");
    let (_, world) = world_of(&mut resolve, "wasi.wit", &log)?;
    let told = |error| format!("{error:#}");
    embed_component_metadata(&mut adapter, &resolve, world, StringEncoding::UTF8).map_err(told)?;
    Ok(adapter)
}

/// The module that answers WASI, for a version of the contract.
fn adapter(version: &str) -> Result<Vec<u8>, ReencodeError> {
    struct OfVersion<'a>(&'a str);

    impl Reencode for OfVersion<'_> {
        type Error = Infallible;

        fn parse_import_section(
            &mut self,
            imports: &mut ImportSection,
            section: ImportSectionReader<'_>,
        ) -> Result<(), ReencodeError> {
            for import in section.into_imports() {
                let import = import?;
                let module = import.module.replace("VERSION", self.0);
                utils::parse_import(self, imports, Import { module: &module, ..import })?;
            }
            Ok(())
        }
    }

    let mut module = Module::new();
    OfVersion(version).parse_core_module(&mut module, Parser::new(0), ADAPTER)?;
    Ok(module.finish())
}

/// Whether linkers leave a section for tools: names of functions, who made the module, of what, or for debuggers.
fn is_for_tools(section: &str) -> bool {
    ["name", "producers", "target_features"].contains(&section) || is_for_debuggers(section)
}

/// Whether a section is for debuggers. The C library that zig compiles has such whatever zig is told, and where a
/// linker leaves them out, it leaves out the names of functions too.
fn is_for_debuggers(section: &str) -> bool {
    section.starts_with(".debug_")
}

/// A module without some of its custom sections.
fn without_sections(
    module: &[u8],
    is_left_out: fn(&str) -> bool,
) -> Result<Vec<u8>, BinaryReaderError> {
    const PREAMBLE: usize = 8;
    let mut kept = module.get(..PREAMBLE).unwrap_or(module).to_vec();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload?;
        if let Payload::CustomSection(section) = &payload
            && is_left_out(section.name())
        {
            continue;
        }
        if let Some((id, range)) = payload.as_section() {
            kept.push(id);
            // The length, in seven bits a byte.
            let mut length = range.len();
            while length >= 0x80 {
                kept.push((length & 0x7f) as u8 | 0x80);
                length >>= 7;
            }
            kept.push(length as u8);
            kept.extend_from_slice(&module[range]);
        }
    }
    Ok(kept)
}

/// Writes by renaming, so that nobody ever sees half a component.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), BuildError> {
    let failed = |source| BuildError::File { path: path.to_owned(), source };
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(failed)?;
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    std::io::Write::write_all(&mut file, bytes).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an empty crate compiles to.
    const EMPTY_MODULE: &[u8] = b"\0asm\x01\0\0\0";

    /// With `UPDATE_WASM=1` it is made anew, after its text was changed.
    #[test]
    fn the_module_that_answers_wasi_is_what_its_text_says() {
        let text = wast::parser::ParseBuffer::new(include_str!("encode/wasi.wat")).unwrap();
        let made = wast::parser::parse::<wast::Wat<'_>>(&text).unwrap().encode().unwrap();
        if std::env::var_os("UPDATE_WASM").is_some() {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/build/encode/wasi.wasm");
            fs::write(path, &made).unwrap();
        }
        assert!(made == ADAPTER, "`encode/wasi.wasm` is not of `encode/wasi.wat`: UPDATE_WASM=1");
        let of_version = |version: &str| {
            let text = include_str!("encode/wasi.wat").replace("VERSION", version);
            let text = wast::parser::ParseBuffer::new(&text).unwrap();
            wast::parser::parse::<wast::Wat<'_>>(&text).unwrap().encode().unwrap()
        };
        for version in ["0.1.0", "10.20.30-a-rather-long-one"] {
            assert!(adapter(version).unwrap() == of_version(version), "{version}");
        }
    }

    #[test]
    fn a_module_loses_its_names_and_nothing_else() {
        let section = crate::testing::section;
        let custom = |name: &str, content: &[u8]| {
            section(0, &[&[name.len() as u8][..], name.as_bytes(), content].concat())
        };
        let types = section(1, &[1, 0x60, 0, 0]);
        let functions = section(3, &[1, 0]);
        let code = section(10, &[1, 2, 0, 0x0b]);
        // Longer than a length of one byte tells.
        let world = custom("component-type:x", &[7; 300]);
        let whole = [
            EMPTY_MODULE.to_vec(),
            custom("producers", b"a compiler"),
            types.clone(),
            functions.clone(),
            code.clone(),
            world.clone(),
            custom("name", &[0, 2, 1, b'm']),
            custom("target_features", &[0]),
            custom(".debug_info", &[7; 300]),
            custom(".debug_str", b"a name"),
        ];
        let wanted = [EMPTY_MODULE.to_vec(), types, functions, code, world].concat();
        let nameless = |module: &[u8]| without_sections(module, is_for_tools);
        assert_eq!(nameless(&whole.concat()).unwrap(), wanted);
        assert_eq!(nameless(&wanted).unwrap(), wanted);
        assert_eq!(nameless(EMPTY_MODULE).unwrap(), EMPTY_MODULE);
        assert!(nameless(&wanted[..wanted.len() - 1]).is_err());
        // The one with names has them, and nothing for debuggers.
        let named = without_sections(&whole.concat(), is_for_debuggers).unwrap();
        assert_eq!(named, whole[..whole.len() - 2].concat());
    }

    /// Profiles show those of the one, and the other is what is shipped.
    #[test]
    fn names_of_functions_are_in_one_of_the_two_components() {
        let name = [&b"\x04name"[..], &[1, 8, 1, 0, 5], b"a_row"].concat();
        let section = crate::testing::section;
        let module = [EMPTY_MODULE.to_vec(), section(1, &[1, 0x60, 0, 0]), section(3, &[1, 0])];
        let module = [module.concat(), section(10, &[1, 2, 0, 0x0b]), section(0, &name)];
        let made = encode(Path::new("plugin"), &module.concat()).unwrap();
        let has_name = |component: &[u8]| component.windows(5).any(|part| part == b"a_row");
        assert!(has_name(&made.named.unwrap()) && !has_name(&made.component));
    }
}
