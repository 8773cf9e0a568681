//! Plugins in JavaScript and TypeScript: componentize-qjs makes a component of `plugin.js` or `plugin.ts`, with the
//! engine QuickJS, after what it imports was imported.
//!
//! To componentize-qjs an integer of 64 bits is a number, which is exact up to 53. So it is given a contract in which
//! lists of them are lists of halves ([`in_halves`]), and its component is put right afterwards ([`put_right`]):
//! values lie in memory as before, and the component speaks the contract.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use super::asked::Install;
use super::encode::Made;
use super::error::BuildError;
use super::project::Project;
use super::tools;
use clickmill_core::{build_tool, shell_word};

/// What builds them, of npm: the engine, and what takes types out.
const PACKAGES: [&str; 2] = ["componentize-qjs@0.4.5", "amaro@1.1.4"];
const FOLDER: &str = "componentize-qjs-0.4.5";

/// The oldest version of Node that they and the SDK's tests run by.
const NODE: (u32, u32) = (20, 0);

/// Calls them.
const CALL: &str = include_str!("javascript/build.mjs");

/// The same with the hashes of their content, and of what they depend on.
const PINNED: [(&str, &str); 2] = [
    ("package.json", include_str!("javascript/package.json")),
    ("package-lock.json", include_str!("javascript/package-lock.json")),
];

/// How npm installs: no scripts of packages are run.
const OPTIONS: [&str; 4] = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];

/// What installs the tools, where they are not here.
pub(super) fn missing() -> Option<String> {
    here().is_none().then(line)
}

fn here() -> Option<PathBuf> {
    let folder = tools::folder(FOLDER)?;
    let node = tools::version("node").is_some_and(|version| version >= NODE);
    (node && folder.join("node_modules/componentize-qjs").is_dir()).then_some(folder)
}

fn line() -> String {
    let node = tools::version("node");
    if node.is_some_and(|version| version < NODE) {
        return "install Node 20 or later from https://nodejs.org: the one here is older"
            .to_owned();
    }
    if node.is_none() || !tools::is_here("npm", ["--version"]) {
        return "`sudo apt-get install -y nodejs npm` where that gives Node 20 or later, else what https://nodejs.org has"
            .to_owned();
    }
    let folder = tools::folder(FOLDER).unwrap_or_default();
    let (options, packages) = (OPTIONS.join(" "), PACKAGES.join(" "));
    let folder = shell_word(&folder.to_string_lossy());
    format!("`npm install --no-save {options} --prefix {folder} {packages}`")
}

/// Builds a plugin.
pub(super) fn build(project: &Project, install: Install) -> Result<Made, BuildError> {
    if install == Install::Allowed && here().is_none() {
        tools::install(FOLDER, |folder| {
            let mut pinned = PINNED.iter();
            let options = ["ci"].into_iter().chain(OPTIONS).chain(["--prefix"]).map(OsString::from);
            pinned.all(|(name, content)| fs::write(folder.join(name), content).is_ok())
                && tools::run("npm", options.chain([folder.into()]))
        });
    }
    let tools = here().ok_or_else(|| project.no_tools(&line(), install))?;
    let file = |path: PathBuf| move |source| BuildError::File { path, source };
    let (contract, work) = (project.contract(), project.work_folder()?);
    let text = fs::read_to_string(&contract).map_err(file(contract))?;
    let wit = work.join("plugin.wit");
    fs::write(&wit, in_halves(&text)).map_err(file(wit.clone()))?;
    let mut node = build_tool("node");
    node.args(["--no-warnings", "--input-type=module", "--eval", CALL]).args([
        &tools,
        &project.folder,
        &work,
        &wit,
    ]);
    let component = project.made_by(&mut node, work.join("plugin.wasm"))?;
    let component = put_right(component).ok_or_else(|| BuildError::Component {
        path: project.given.clone(),
        what: "integers of 64 bits are not where they were expected".to_owned(),
    })?;
    Ok(Made { component, named: None })
}

/// Types of the contract, and what stands for them: of the same size, and told apart by bytes ([`put_right`]).
const HALVES: [(&str, &str); 2] =
    [("list<s64>", "list<tuple<u32, u32>>"), ("list<u64>", "list<tuple<u32, s32>>")];

/// The contract with lists of halves.
fn in_halves(contract: &str) -> String {
    HALVES.iter().fold(contract.to_owned(), |text, (whole, halves)| text.replace(whole, halves))
}

/// The binary format's words: a tuple of two, 32 bits without and with sign, 64 bits, and what a list is of.
const TUPLE_OF_2: [u8; 2] = [0x6f, 2];
const U32: u8 = 0x79;
const S32: u8 = 0x7a;
const S64: u8 = 0x78;
const U64: u8 = 0x77;
/// Behind the tuple: it is a type, and so is a list of the one that follows.
const LIST_OF: [u8; 2] = [1, 0x70];
/// Asks for memory for a list of halves, aligned to 4 bytes: up to the local that has its length.
const ASK: [u8; 7] = [0x41, 0, 0x41, 0, 0x41, 4, 0x20];
/// Behind that: times 8 bytes, into a local.
const OF_8_BYTES: [u8; 4] = [0x41, 8, 0x6c, 0x22];

/// A component that speaks of whole integers: no byte is added or taken away. `None` where it is none of
/// componentize-qjs's, or not as that was.
fn put_right(mut component: Vec<u8>) -> Option<Vec<u8>> {
    let (mut signed, mut unsigned, mut asked) = (0, 0, 0);
    for at in 0..component.len() {
        match component.get(at..at + 7) {
            // Which type the list is of, by its number, which is a byte.
            Some([a, b, U32, second, c, d, number])
                if [*a, *b] == TUPLE_OF_2 && [*c, *d] == LIST_OF && *number < 0x40 =>
            {
                let (count, whole) = match *second {
                    U32 => (&mut signed, S64),
                    S32 => (&mut unsigned, U64),
                    _ => continue,
                };
                *count += 1;
                component[at + 6] = whole;
            }
            // Whole integers are aligned to 8 bytes, even where there are none.
            Some(ask) if *ask == ASK && component.get(at + 8..at + 12) == Some(&OF_8_BYTES) => {
                asked += 1;
                component[at + 5] = 8;
            }
            _ => {}
        }
    }
    (signed > 0 && signed == unsigned && asked > 0).then_some(component)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_to_be_installed_is_what_is_installed() {
        let json = |(_, text): (_, &str)| serde_json::from_str::<serde_json::Value>(text).unwrap();
        let [package, lock] = PINNED.map(json);
        assert_eq!(package["dependencies"].as_object().unwrap().len(), PACKAGES.len());
        for (name, version) in PACKAGES.map(|named| named.split_once('@').unwrap()) {
            assert_eq!(package["dependencies"][name], version);
            let installed = &lock["packages"][format!("node_modules/{name}")];
            assert_eq!(installed["version"], version);
        }
        assert_eq!(FOLDER.rsplit_once('-'), PACKAGES[0].split_once('@'));
    }

    #[test]
    fn the_contract_is_told_in_halves() {
        let contract = include_str!("../../../../wit/plugin.wit");
        let told = in_halves(contract);
        assert_eq!(told.matches("list<tuple<u32, u32>>").count(), 4);
        assert_eq!(told.matches("list<tuple<u32, s32>>").count(), 1);
        // What is left of 64 bits is exact as a number: a time in microseconds.
        let left = told.lines().filter(|line| line.contains("s64") || line.contains("u64"));
        let left: Vec<&str> = left.filter(|line| !line.contains("64s(")).map(str::trim).collect();
        assert_eq!(left, ["ingest-time: s64,"]);
    }

    #[test]
    fn a_component_is_put_right_where_it_has_halves_and_nowhere_else() {
        let signed = [&TUPLE_OF_2[..], &[U32, U32], &LIST_OF, &[6]].concat();
        let unsigned = [&TUPLE_OF_2[..], &[U32, S32], &LIST_OF, &[9]].concat();
        let ask = [&ASK[..], &[14], &OF_8_BYTES, &[16, 0x10, 1]].concat();
        let other = [&ASK[..], &[14], &[0x41, 16, 0x6c, 0x22], &[16, 0x10, 1]].concat();
        let whole = [&b"\0asm"[..], &signed, &unsigned, &ask, &other].concat();
        let mut wanted = whole.clone();
        (wanted[10], wanted[17], wanted[23]) = (S64, U64, 8);
        assert_eq!(put_right(whole.clone()), Some(wanted));
        for part in [&signed, &unsigned, &ask] {
            let without = String::from_utf8_lossy(&whole).into_owned();
            let without = without.replace(&*String::from_utf8_lossy(part), "").into_bytes();
            assert_eq!(put_right(without), None);
        }
    }
}
