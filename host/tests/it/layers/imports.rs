//! Which file of a crate uses which: read from the code by names, without a compiler.
//!
//! Read are `use` declarations, with their groups, and paths in the code that begin with `crate`, `super`,
//! `self`, a module of the file or what a `use` of it has named. A name that a file has from elsewhere by `use` counts as that of the file
//! where it is defined, so a parent that only re-exports is passed through. Tests do not count, nor do
//! methods: a call says no file's name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A crate's files, by their module's path: `["run", "stream"]` is `src/run/stream.rs`.
pub(super) struct Imports {
    modules: BTreeMap<Vec<String>, Module>,
}

/// What a file says.
#[derive(Default)]
struct Module {
    children: BTreeSet<String>,
    uses: Vec<Use>,
    /// Paths in the code.
    paths: Vec<Vec<String>>,
}

struct Use {
    path: Vec<String>,
    /// What the file calls it.
    name: String,
    /// It is handed on to others.
    is_public: bool,
}

/// As deep as names are followed from `use` to `use`.
const MOST_STEPS: usize = 8;

impl Imports {
    /// Reads the crate whose root is in `src`: `lib.rs`, or else `main.rs`.
    pub(super) fn read(src: &Path) -> Self {
        let mut imports = Self { modules: BTreeMap::new() };
        let root = if src.join("lib.rs").is_file() { "lib" } else { "main" };
        imports.read_folder(src, root, &[]);
        imports
    }

    fn read_folder(&mut self, folder: &Path, root: &str, module: &[String]) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
            let below: Vec<String> = module.iter().cloned().chain([stem.clone()]).collect();
            if path.is_dir() {
                self.read_folder(&path, root, &below);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                // Beside a library, `main.rs` is another crate.
                && (stem == root || !["main", "tests"].contains(&stem.as_str()))
            {
                let code = std::fs::read_to_string(&path).unwrap();
                let module = if stem == root { Vec::new() } else { below };
                self.modules.insert(module, Module::read(&tokens(&code)));
            }
        }
    }

    /// Each file with those that it uses. The root is left out: it puts the crate together, and what it
    /// defines is what all of the crate is about.
    pub(super) fn edges(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (at, module) in self.modules.iter().filter(|(at, _)| !at.is_empty()) {
            // To hand a child's names on is not to use it.
            let hands_on =
                |used: &&Use| !used.is_public || !module.children.contains(&used.path[0]);
            let uses = module.uses.iter().filter(hands_on).map(|used| &used.path);
            let used = uses.chain(&module.paths);
            let used = used.filter_map(|path| self.resolve(at, path, 0));
            let used = used.filter(|to| !to.is_empty() && to != at);
            edges.insert(name(at), used.map(|to| name(&to)).collect());
        }
        edges
    }

    /// The module that defines what a path names, as seen from the module `at`. `None` where that is
    /// another crate.
    fn resolve(&self, at: &[String], path: &[String], steps: usize) -> Option<Vec<String>> {
        let module = self.modules.get(at)?;
        let (first, rest) = path.split_first()?;
        let mut now = match first.as_str() {
            "crate" => Vec::new(),
            "self" => at.to_vec(),
            "super" => at.split_last()?.1.to_vec(),
            child if module.children.contains(child) => [at, &[child.to_owned()]].concat(),
            named => {
                let used = module.uses.iter().find(|used| used.name == named)?;
                let longer = [used.path.as_slice(), rest].concat();
                // The name of another crate leads to itself.
                return (steps < MOST_STEPS)
                    .then(|| self.resolve(at, &longer, steps + 1))
                    .flatten();
            }
        };
        let mut rest = rest;
        while let Some((next, after)) = rest.split_first() {
            let module = self.modules.get(&now)?;
            if next == "super" {
                now.pop();
            } else if module.children.contains(next) {
                now.push(next.clone());
            } else {
                let known = module.uses.iter().find(|used| used.name == *next);
                let longer = known.map(|used| [used.path.as_slice(), after].concat());
                return match longer {
                    Some(path) if steps < MOST_STEPS => self.resolve(&now, &path, steps + 1),
                    _ => Some(now),
                };
            }
            rest = after;
        }
        Some(now)
    }
}

/// The files that use each other, all those of one circle together.
pub(super) fn circles(edges: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<Vec<String>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        edges.keys().map(|from| (from.as_str(), reached(edges, from))).collect();
    let on_a_circle = reached.iter().filter(|(from, to)| to.contains(*from));
    let circle = |(from, to): (&&str, &BTreeSet<&str>)| {
        let back = to.iter().filter(|other| reached[**other].contains(from));
        back.map(|file| (*file).to_owned()).collect()
    };
    on_a_circle.map(circle).collect()
}

fn reached<'a>(edges: &'a BTreeMap<String, BTreeSet<String>>, from: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut waiting = vec![from];
    while let Some(file) = waiting.pop() {
        for next in edges.get(file).into_iter().flatten() {
            if reached.insert(next.as_str()) {
                waiting.push(next);
            }
        }
    }
    reached
}

fn name(module: &[String]) -> String {
    format!("{}.rs", module.join("/"))
}

impl Module {
    fn read(tokens: &[String]) -> Self {
        let mut module = Self::default();
        let is = |at: usize, text: &str| tokens.get(at).is_some_and(|token| token == text);
        // Modules and uses first: a path may name what is declared after it.
        for at in 0..tokens.len() {
            if is(at, "mod") && is(at + 2, ";") {
                module.children.insert(tokens[at + 1].clone());
            } else if is(at, "use") {
                let is_public = at > 0 && (is(at - 1, "pub") || is(at - 1, ")"));
                tree(tokens, at + 1, &[], is_public, &mut module.uses);
            }
        }
        let mut at = 0;
        while at < tokens.len() {
            let begins = ["crate", "super", "self"].contains(&tokens[at].as_str())
                || module.children.contains(&tokens[at])
                || module.uses.iter().any(|used| used.name == tokens[at]);
            if is(at, "use") {
                at = tree(tokens, at + 1, &[], false, &mut Vec::new());
            } else if begins && is(at + 1, "::") && (at == 0 || !is(at - 1, "::")) {
                let mut path = vec![tokens[at].clone()];
                while is(at + 1, "::") && tokens.get(at + 2).is_some_and(|token| is_word(token)) {
                    path.push(tokens[at + 2].clone());
                    at += 2;
                }
                module.paths.push(path);
            }
            at += 1;
        }
        module
    }
}

/// Reads what a `use` names, from the token `at` on. Returns the token after it.
fn tree(
    tokens: &[String],
    mut at: usize,
    before: &[String],
    is_public: bool,
    uses: &mut Vec<Use>,
) -> usize {
    let mut path = before.to_vec();
    while let Some(token) = tokens.get(at) {
        match token.as_str() {
            "::" => at += 1,
            "{" => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token != "}") {
                    at = tree(tokens, at, &path, is_public, uses);
                    at += usize::from(tokens.get(at).is_some_and(|token| token == ","));
                }
                return at + 1;
            }
            "self" if !path.is_empty() => at += 1,
            "*" => {
                uses.push(Use { path, name: "*".to_owned(), is_public });
                return at + 1;
            }
            "as" => {
                let name = tokens[at + 1].clone();
                uses.push(Use { path, name, is_public });
                return at + 2;
            }
            word if is_word(word) => {
                path.push(word.to_owned());
                at += 1;
            }
            _ => break,
        }
    }
    if let Some(name) = path.last().cloned() {
        uses.push(Use { path, name, is_public });
    }
    at
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// The code in words and signs, without comments, texts and tests.
pub(super) fn tokens(code: &str) -> Vec<String> {
    let all = words(code);
    let mut kept = Vec::new();
    let mut at = 0;
    while at < all.len() {
        let test = ["#", "[", "cfg", "(", "test", ")", "]"];
        if all[at..].iter().zip(test).filter(|(token, test)| token == test).count() == test.len() {
            at = after_item(&all, at + test.len());
        } else {
            kept.push(all[at].clone());
            at += 1;
        }
    }
    kept
}

/// The token after the item that begins at `at`: after its `;`, or its last brace.
fn after_item(tokens: &[String], mut at: usize) -> usize {
    let mut depth = 0;
    while let Some(token) = tokens.get(at) {
        at += 1;
        match token.as_str() {
            "{" => depth += 1,
            "}" if depth == 1 => break,
            "}" => depth -= 1,
            ";" if depth == 0 => break,
            _ => {}
        }
    }
    at
}

fn words(code: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(length) = text(rest) {
            length
        } else if first.is_alphanumeric() || first == '_' {
            let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
            let length = length.unwrap_or(rest.len());
            words.push(rest[..length].to_owned());
            length
        } else {
            let length = if rest.starts_with("::") { 2 } else { first.len_utf8() };
            if !first.is_whitespace() {
                words.push(rest[..length].to_owned());
            }
            length
        };
        rest = &rest[length..];
    }
    words
}

/// The length of the text or character that `code` begins with, where it does.
fn text(code: &str) -> Option<usize> {
    let raw = code.strip_prefix("br").or_else(|| code.strip_prefix('r'));
    if let Some(raw) = raw {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let begin = code.len() - raw.len() + hashes + 1;
            let end = format!("\"{}", "#".repeat(hashes));
            return Some(code[begin..].find(&end).map_or(code.len(), |at| begin + at + end.len()));
        }
    }
    let quoted = code.strip_prefix('b').unwrap_or(code);
    let quote = quoted.chars().next().filter(|first| ['"', '\''].contains(first))?;
    let begin = code.len() - quoted.len() + 1;
    if quote == '\'' && !code[begin..].starts_with('\\') {
        // A lifetime has no second quote after one character.
        let one = code[begin..].chars().next()?.len_utf8();
        return code[begin + one..].starts_with('\'').then_some(begin + one + 1);
    }
    let mut escaped = false;
    for (at, c) in code[begin..].char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(begin + at + 1),
            _ => {}
        }
    }
    Some(code.len())
}
