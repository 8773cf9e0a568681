//! What the project's files tell people and machines to run.

use std::ffi::OsStr;
use std::path::Path;

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

/// A tag is what its owner makes of it tomorrow, and so is the newest version of a tool. Dependabot reads the version
/// behind a commit, and keeps both together.
#[test]
fn workflows_name_actions_by_commits_and_tools_by_versions() {
    let (mut actions, mut tools) = (0, 0);
    for name in ["ci.yml", "release.yml"] {
        let text = std::fs::read_to_string(root().join(".github/workflows").join(name)).unwrap();
        // A command may go on in the next line.
        for line in text.replace("\\\n", " ").lines() {
            if let Some((_, action)) = line.split_once("uses: ") {
                let (_, named) = action.split_once('@').unwrap_or_default();
                let (commit, version) = named.split_once(" # v").unwrap_or_default();
                let is_commit = commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit());
                assert!(is_commit && !version.is_empty(), "{name}: {action}");
                actions += 1;
            }
            if let Some((_, wanted)) = line.split_once("pip\" install ") {
                for tool in wanted.split_whitespace().filter(|word| !word.starts_with('-')) {
                    assert!(tool.contains("=="), "{name}: {tool}");
                    tools += 1;
                }
            }
        }
    }
    assert!(actions > 0 && tools > 0, "{actions} actions, {tools} tools");
}

#[test]
fn files_that_the_guides_name_are_there() {
    let tracked = tracked();
    for guide in [".github/CONTRIBUTING.md", ".github/SECURITY.md", "host/README.md"] {
        let text = std::fs::read_to_string(root().join(guide)).unwrap();
        let quoted = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
        for name in quoted.filter(|name| name.ends_with(".rs") && !name.contains(' ')) {
            // How a file of tests may be called.
            let is_there = name == "name/tests.rs" || tracked.iter().any(|f| f.ends_with(name));
            assert!(is_there, "{guide} names `{name}`");
        }
    }
}

/// The links of a page, without those to other places; code has none.
fn links(text: &str) -> Vec<&str> {
    let mut is_code = false;
    let lines = text.lines().filter(|line| {
        is_code ^= line.starts_with("```");
        !is_code
    });
    let links = lines.flat_map(|line| line.split("](").skip(1));
    let links = links.filter_map(|rest| rest.split_once(')')).map(|(link, _)| link);
    links.filter(|link| !link.contains("://")).collect()
}

/// A heading's name in links, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let heading = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Those of new plugins lead to what is made beside them.
#[test]
fn links_lead_to_files_and_headings_that_are_there() {
    let read = |page: &Path| std::fs::read_to_string(page).unwrap();
    let mut followed = 0;
    for name in tracked() {
        if name.extension() != Some(OsStr::new("md")) || name.starts_with("host/cli/templates") {
            continue;
        }
        let page = root().join(&name);
        for link in links(&read(&page)) {
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let file = if path.is_empty() { page.clone() } else { page.with_file_name(path) };
            assert!(file.exists(), "{}: {link}", name.display());
            let is_there = heading.is_empty()
                || read(&file).lines().any(|line| line.starts_with('#') && anchor(line) == heading);
            assert!(is_there, "{}: {link}", name.display());
            followed += 1;
        }
    }
    assert!(followed > 0, "no page leads to another");
}

/// Of faults that one file brings about, the table says how many tests that file has.
#[test]
fn the_table_of_faults_counts_the_tests_of_its_files() {
    let text = std::fs::read_to_string(root().join("host/README.md")).unwrap();
    let mut counted = 0;
    for line in text.lines() {
        let [_, _, file, much, ..] = line.split('|').map(str::trim).collect::<Vec<_>>()[..] else {
            continue;
        };
        let name = file.strip_prefix('`').and_then(|file| file.strip_suffix('`'));
        let told = much.split_once(" tests").and_then(|(count, _)| count.parse::<usize>().ok());
        let (Some(name), Some(told)) = (name, told) else { continue };
        // The names of several are no name of a file.
        let file = root().join(format!("host/tests/it/{name}.rs"));
        let Ok(tests) = std::fs::read_to_string(file) else { continue };
        assert_eq!(tests.matches("\n#[test]\n").count(), told, "{line}");
        counted += 1;
    }
    assert!(counted > 0, "no file is counted");
}
