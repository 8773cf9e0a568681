//! The keys that columns take, as a tree, and the fast finding of them.

use std::cell::OnceCell;
use std::fmt::Display;

use clickmill_plugin::{Problems, same};

/// How many keys deep a path may lead: the scanner recurses along it.
const MAX_KEYS: usize = 16;

/// A key that a column takes, or that leads to one.
pub(super) struct Node {
    /// The key, unescaped.
    pub(super) key: Box<[u8]>,
    /// The key as a JSON string, once it was asked for.
    quoted: OnceCell<String>,
    /// How the key mostly stands in a message.
    pub(super) pattern: Pattern,
    pub(super) parent: u16,
    pub(super) first_child: u16,
    /// The next child of the same parent.
    pub(super) next: u16,
    last_child: u16,
    children: u16,
    /// Its children.
    table: Table,
}

/// All keys. Node 0 is the message itself.
pub(super) struct Paths {
    pub(super) nodes: Vec<Node>,
}

impl Paths {
    pub(super) fn new() -> Self {
        Self { nodes: vec![Node::new(String::new(), 0)] }
    }

    /// The node of a path, which is added where it is not there yet.
    pub(super) fn add(&mut self, path: &str, place: impl Display, problems: &mut Problems) -> u16 {
        let keys = split(path);
        if keys.iter().any(String::is_empty) {
            problems.push(format!("`{place}` is `{path}`, which has an empty key"));
        }
        if keys.len() > MAX_KEYS {
            problems
                .push(format!("`{place}` is {} keys deep, wanted at most {MAX_KEYS}", keys.len()));
        }
        if self.nodes.len() + keys.len() > usize::from(u16::MAX) {
            problems.push(format!("`{place}` is one key too many: limit {}", u16::MAX));
            return 0;
        }
        let mut node = 0;
        for key in keys {
            node = match self.find(node, key.as_bytes()) {
                0 => self.add_child(node, key),
                child => child,
            };
        }
        node
    }

    fn add_child(&mut self, parent: u16, key: String) -> u16 {
        let child = self.nodes.len() as u16;
        self.nodes.push(Node::new(key, parent));
        let above = &mut self.nodes[usize::from(parent)];
        above.children += 1;
        let before = std::mem::replace(&mut above.last_child, child);
        if before == 0 {
            above.first_child = child;
        } else {
            self.nodes[usize::from(before)].next = child;
        }
        let above = &self.nodes[usize::from(parent)];
        let children = usize::from(above.children);
        if above.table.is_full(children) {
            let mut table = Table::with_room(2 * children);
            let mut at = above.first_child;
            while at != 0 {
                table.enter(&self.nodes[usize::from(at)].key, at);
                at = self.nodes[usize::from(at)].next;
            }
            self.nodes[usize::from(parent)].table = table;
        } else {
            let key = self.nodes[usize::from(child)].key.clone();
            self.nodes[usize::from(parent)].table.enter(&key, child);
        }
        child
    }

    /// The child with that key, 0 where there is none: the root is nobody's child.
    #[inline]
    pub(super) fn find(&self, parent: u16, key: &[u8]) -> u16 {
        let table = &self.nodes[usize::from(parent)].table;
        table.find(key, |child| &self.nodes[usize::from(child)].key)
    }

    /// Whether `node` is below `above`.
    pub(super) fn is_below(&self, mut node: u16, above: u16) -> bool {
        while node != 0 {
            node = self.nodes[usize::from(node)].parent;
            if node == above {
                return true;
            }
        }
        false
    }

    /// The nodes that lead to a node, the message itself left out, the node included.
    pub(super) fn way_to(&self, mut node: u16) -> Vec<u16> {
        let mut way = Vec::new();
        while node != 0 {
            way.push(node);
            node = self.nodes[usize::from(node)].parent;
        }
        way.reverse();
        way
    }
}

impl Node {
    fn new(key: String, parent: u16) -> Self {
        let pattern = Pattern::new(key.as_bytes());
        let key = key.into_bytes().into_boxed_slice();
        Self {
            key,
            quoted: OnceCell::new(),
            pattern,
            parent,
            first_child: 0,
            next: 0,
            last_child: 0,
            children: 0,
            table: Table::default(),
        }
    }

    /// The key as a JSON string.
    pub(super) fn quoted(&self) -> &str {
        let quote = || serde_json::Value::from(String::from_utf8_lossy(&self.key)).to_string();
        self.quoted.get_or_init(quote)
    }
}

/// Keys by hash: a number of each, 0 where there is none.
#[derive(Default)]
pub(super) struct Table(Vec<u16>);

impl Table {
    pub(super) fn with_room(keys: usize) -> Self {
        Self(vec![0; (4 * keys).next_power_of_two()])
    }

    /// It is to be a quarter full at most, so that a key that nobody takes is mostly told by one look.
    fn is_full(&self, keys: usize) -> bool {
        4 * keys > self.0.len()
    }

    pub(super) fn enter(&mut self, key: &[u8], number: u16) {
        let mask = self.0.len() - 1;
        let mut slot = hash(key) & mask;
        while self.0[slot] != 0 {
            slot = (slot + 1) & mask;
        }
        self.0[slot] = number;
    }

    /// The number of a key. `key_of` tells the key of a number.
    #[inline]
    pub(super) fn find<'k>(&self, key: &[u8], key_of: impl Fn(u16) -> &'k [u8]) -> u16 {
        let Some(mask) = self.0.len().checked_sub(1) else {
            return 0;
        };
        let mut slot = hash(key) & mask;
        loop {
            let number = self.0[slot];
            if number == 0 || same(key_of(number), key) {
                return number;
            }
            slot = (slot + 1) & mask;
        }
    }
}

/// A key as it mostly stands in a message: unescaped, its closing quote and the colon right after it.
/// Compared in words under a mask, that is without a branch but the last.
#[derive(Clone, Copy)]
pub(super) struct Pattern {
    words: [u64; WORDS],
    mask: [u64; WORDS],
    len: usize,
}

const WORDS: usize = 4;

impl Pattern {
    pub(super) fn new(key: &[u8]) -> Self {
        let mut bytes = [0; 8 * WORDS];
        let mut mask = [0; 8 * WORDS];
        let len = key.len() + 2;
        let plain = key.iter().all(|byte| *byte >= 0x20 && *byte != b'"' && *byte != b'\\');
        if plain && !key.is_empty() && len <= bytes.len() {
            bytes[..key.len()].copy_from_slice(key);
            bytes[key.len()..len].copy_from_slice(b"\":");
            mask[..len].fill(0xff);
        } else {
            // Nothing under the mask is ever that.
            bytes[0] = 0xff;
        }
        Self { words: words(&bytes), mask: words(&mask), len }
    }

    /// Where the pattern ends, if it stands at `at`. It is overlooked where fewer bytes than a
    /// pattern may have follow.
    #[inline]
    pub(super) fn ends(&self, text: &[u8], at: usize) -> Option<usize> {
        let text = words(text.get(at..)?.first_chunk()?);
        let differences = (0..WORDS)
            .fold(0, |differences, at| differences | ((text[at] & self.mask[at]) ^ self.words[at]));
        (differences == 0).then_some(at + self.len)
    }
}

#[inline]
fn words(bytes: &[u8; 8 * WORDS]) -> [u64; WORDS] {
    std::array::from_fn(|at| word(bytes, 8 * at).unwrap_or(0))
}

/// The keys of a path: a dot divides them, `\.` is a dot, `\\` a backslash.
pub(super) fn split(path: &str) -> Vec<String> {
    if memchr::memchr2(b'.', b'\\', path.as_bytes()).is_none() {
        return vec![path.to_owned()];
    }
    let mut keys = vec![String::new()];
    let mut characters = path.chars().peekable();
    while let Some(character) = characters.next() {
        if character == '.' {
            keys.push(String::new());
            continue;
        }
        let escaped = characters.next_if(|next| character == '\\' && matches!(next, '.' | '\\'));
        if let Some(key) = keys.last_mut() {
            key.push(escaped.unwrap_or(character));
        }
    }
    keys
}

/// The eight bytes from `at`, the first in the lowest place.
#[inline]
fn word(text: &[u8], at: usize) -> Option<u64> {
    let bytes = text.get(at..)?.first_chunk()?;
    Some(u64::from_le_bytes(*bytes))
}

/// A hash of the first and last eight bytes and the length. Only the configured keys are in a table, so
/// nobody can fill it with collisions.
#[inline]
fn hash(key: &[u8]) -> usize {
    let ends = match key.len().checked_sub(8) {
        Some(last) => word(key, 0).unwrap_or(0) ^ word(key, last).unwrap_or(0).rotate_left(29),
        None => key.iter().fold(0, |bytes, byte| bytes << 8 | u64::from(*byte)),
    };
    ((ends ^ key.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_split_at_dots_that_are_not_escaped() {
        let cases: &[(&str, &[&str])] = &[
            ("price", &["price"]),
            ("geo.country", &["geo", "country"]),
            (r"geo\.country", &["geo.country"]),
            (r"a\\.b", &[r"a\", "b"]),
            (r"a\b", &[r"a\b"]),
            (r"a\", &[r"a\"]),
            ("a..b", &["a", "", "b"]),
            ("", &[""]),
        ];
        for (path, keys) in cases {
            assert_eq!(split(path), *keys, "{path:?}");
        }
    }

    #[test]
    fn every_key_is_found_and_no_other() {
        let mut paths = Paths::new();
        let mut problems = Problems::new();
        let keys: Vec<String> = (0..300).map(|n| format!("{}{n}", "key_".repeat(n % 7))).collect();
        let nodes: Vec<u16> = keys.iter().map(|k| paths.add(k, "a", &mut problems)).collect();
        let nested = paths.add("key_1.key_1", "a", &mut problems);
        for (key, node) in keys.iter().zip(nodes) {
            assert_eq!(paths.find(0, key.as_bytes()), node, "{key}");
            assert_eq!(paths.find(0, format!("{key}x").as_bytes()), 0);
            assert_eq!(paths.find(node, key.as_bytes()), if key == "key_1" { nested } else { 0 });
        }
        assert!(problems.is_empty());
        assert_eq!(paths.find(0, b""), 0);
    }
}
