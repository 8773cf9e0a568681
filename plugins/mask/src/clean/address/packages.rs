//! Tells versions in the names of packages from addresses in the names of files.

/// More letters than there are in a word that announces a version.
pub(super) const MAX_WORD: usize = 16;

/// What stands behind the version in the name of a package: `tool_1.2.3.4_amd64.deb`.
const OF_PACKAGES: &[&[u8]] = &[
    b"all",
    b"alpha",
    b"amd64",
    b"any",
    b"arm",
    b"arm64",
    b"armhf",
    b"beta",
    b"build",
    b"darwin",
    b"dev",
    b"final",
    b"i386",
    b"linux",
    b"mac",
    b"macos",
    b"osx",
    b"portable",
    b"pre",
    b"rc",
    b"release",
    b"setup",
    b"snapshot",
    b"stable",
    b"win",
    b"win32",
    b"win64",
    b"windows",
    b"x32",
    b"x64",
    b"x86",
];

/// How the names of packages end.
const PACKAGES: &[&[u8]] = &[
    b"apk",
    b"appimage",
    b"bin",
    b"bz2",
    b"cab",
    b"crx",
    b"deb",
    b"dll",
    b"dmg",
    b"dsc",
    b"exe",
    b"gem",
    b"gz",
    b"ipa",
    b"iso",
    b"jar",
    b"msi",
    b"nupkg",
    b"orig",
    b"pkg",
    b"rpm",
    b"snap",
    b"so",
    b"tar",
    b"tgz",
    b"vsix",
    b"war",
    b"whl",
    b"xpi",
    b"xz",
    b"zip",
];

pub(super) fn is_of_package(text: &[u8]) -> bool {
    begins_with_one_of(text, OF_PACKAGES)
}

pub(super) fn is_package(after: &[u8]) -> bool {
    after.strip_prefix(b".").is_some_and(|end| begins_with_one_of(end, PACKAGES))
}

/// Whether the first word of a text, without a number at its end (`rc1`), is one of these.
fn begins_with_one_of(text: &[u8], words: &[&[u8]]) -> bool {
    let length = text.iter().take(MAX_WORD).take_while(|b| b.is_ascii_alphanumeric()).count();
    let word = &text[..length];
    let letters = word.iter().rposition(u8::is_ascii_alphabetic).map_or(0, |at| at + 1);
    words.iter().any(|known| {
        known.eq_ignore_ascii_case(word) || known.eq_ignore_ascii_case(&word[..letters])
    })
}
