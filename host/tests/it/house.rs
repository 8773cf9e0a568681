//! What the project's files tell people and machines to run.

use crate::readme::tracked;
use crate::support::root;

/// `cargo install` alone passes the lock file over, of a folder too, and takes the newest versions of everything,
/// which nobody has tested together.
#[test]
fn whoever_installs_from_a_clone_gets_the_versions_of_the_lock_file() {
    // In two, so that this file does not say it.
    let install = concat!("cargo ", "install --");
    let mut found = 0;
    for name in tracked() {
        let Ok(text) = std::fs::read_to_string(root().join(&name)) else { continue };
        for options in text.split(install).skip(1) {
            let line = options.lines().next().unwrap_or_default();
            assert!(options.starts_with("locked "), "{}: {install}{line}", name.display());
            found += 1;
        }
    }
    assert!(found > 0, "nobody is told how to install it");
}
