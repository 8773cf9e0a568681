//! Cargo, called by a program that cargo may have started itself.

use std::ffi::OsStr;
use std::process::Command;

/// A call of cargo, by its name or path. Variables that cargo sets for programs that it starts, such as the
/// tests of a package, are not handed on: build scripts look at them, and crates would be compiled again.
pub fn cargo(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_of_package) {
            command.env_remove(name);
        }
    }
    command
}

fn is_of_package(name: &str) -> bool {
    name.starts_with("CARGO_PKG_")
        || name.starts_with("CARGO_BIN_")
        || name.starts_with("CARGO_MANIFEST_")
        || ["CARGO", "CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE", "CARGO_TARGET_TMPDIR", "OUT_DIR"]
            .contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_describes_this_package_is_not_handed_on_and_the_rest_is() {
        // Cargo runs this test.
        assert!(std::env::var_os("CARGO_PKG_NAME").is_some());
        let mut command = cargo("env");
        command.env("CARGO_PROFILE_RELEASE_LTO", "fat");
        let text = String::from_utf8(command.output().unwrap().stdout).unwrap();
        let names: Vec<&str> = text.lines().filter_map(|line| line.split('=').next()).collect();
        assert!(!names.iter().any(|name| is_of_package(name)), "{names:?}");
        assert!(
            names.contains(&"CARGO_PROFILE_RELEASE_LTO") && names.contains(&"PATH"),
            "{names:?}"
        );
    }
}
