//! Installed, without a clone: the executables, and beside them what `.ci/share` puts there.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Scratch, plugins, root};

/// A prefix such as `/usr/local`, with the executables in its `bin`.
fn installed(scratch: &Scratch) -> PathBuf {
    let prefix = scratch.path("prefix");
    let bin = prefix.join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::copy(env!("CARGO_BIN_EXE_clickmill"), bin.join("clickmill")).unwrap();
    let engine = clickmill_query::prepare().unwrap();
    std::fs::copy(engine, bin.join("clickmill-sql")).unwrap();
    prefix
}

/// The installed binary in a folder of its own, where no compiler and no clone is in sight.
fn command(scratch: &Scratch, prefix: &Path, arguments: &[&str]) -> Command {
    let home = scratch.path("home");
    std::fs::create_dir_all(&home).unwrap();
    let named = scratch.command(arguments);
    let mut command = Command::new(prefix.join("bin/clickmill"));
    command.args(named.get_args()).current_dir(&home);
    command.env_clear().env("HOME", &home).env("PATH", prefix.join("bin"));
    command.env("CLICKMILL_MASK_KEY", crate::support::KEY);
    command
}

#[test]
fn installed_it_needs_no_clone_and_no_compiler() {
    plugins();
    let scratch = Scratch::new();
    let prefix = installed(&scratch);
    let share = prefix.join("share/clickmill");
    let packed = Command::new(root().join(".ci/share"))
        .args([&*share, Path::new(env!("CARGO_BIN_EXE_clickmill"))])
        .output()
        .unwrap();
    assert!(packed.status.success(), "{}", String::from_utf8_lossy(&packed.stderr));
    // A name of its own, by which the ledger tells it from the pipeline of the clone.
    let file = share.join("host/pipelines/batch.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let renamed = text.replace("name = \"clothing_batch\"", "name = \"of_the_share\"");
    assert_ne!(renamed, text);
    std::fs::write(&file, renamed).unwrap();

    let run = |arguments: &[&str]| {
        let output = command(&scratch, &prefix, arguments).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    };
    let told = run(&["demo", "--for", "1s"]);
    assert!(told.contains("clickstream_batch: 16"), "{told}");
    run(&["generate", "shop", "--rows", "100", "--output", "shop.csv"]);
    for name in ["batch", "batch.toml", "host/pipelines/batch.toml"] {
        run(&["validate", name, "--set", "source.uri=shop.csv"]);
    }
    // A folder of that name is no pipeline file.
    std::fs::create_dir(scratch.path("home").join("batch")).unwrap();
    run(&["run", "batch", "--set", "source.uri=shop.csv"]);
    let loaded = "SELECT DISTINCT pipeline FROM clickstream_analytics.load_ledger";
    assert_eq!(run(&["query", "--json", loaded]).trim(), "{\"pipeline\":\"of_the_share\"}");
}

#[test]
fn without_what_comes_with_it_the_demo_says_what_is_missing_and_where_it_is_looked_for() {
    let scratch = Scratch::new();
    let prefix = installed(&scratch);
    let share = scratch.path("share");
    std::fs::create_dir(&share).unwrap();
    let run = || {
        let mut demo = command(&scratch, &prefix, &["demo", "--for", "0s"]);
        let output = demo.env("CLICKMILL_SHARE", &share).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, told) = run();
    assert_eq!(code, Some(2), "{told}");
    for part in ["host/pipelines/batch.toml", "share/clickmill", "CLICKMILL_SHARE", ".ci/share"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    // All but the components.
    for folder in ["schemas", "host/pipelines", "host/pipelines/reference"] {
        std::fs::create_dir_all(share.join(folder)).unwrap();
        for file in std::fs::read_dir(root().join(folder)).unwrap().map(Result::unwrap) {
            if file.path().is_file() {
                std::fs::copy(file.path(), share.join(folder).join(file.file_name())).unwrap();
            }
        }
    }
    let (code, told) = run();
    assert_eq!(code, Some(2), "{told}");
    for name in ["parse", "enrich", "mask", "validate"] {
        let missing = format!("there is no `{}`", share.join("plugins").join(name).display());
        assert!(told.contains(&missing), "{missing}: {told}");
    }
}

#[test]
fn what_a_stranger_may_have_put_above_the_current_folder_is_passed_over_and_told() {
    let scratch = Scratch::new();
    let open = scratch.path("open");
    std::fs::create_dir_all(open.join("host/pipelines")).unwrap();
    std::fs::create_dir_all(open.join("below")).unwrap();
    std::fs::write(open.join("host/pipelines/theirs.toml"), "name = \"theirs\"\n").unwrap();
    let validate = |share: Option<&Path>| {
        let mut command = scratch.command(&["validate", "theirs"]);
        command.current_dir(open.join("below")).env_remove("CLICKMILL_SHARE");
        command.envs(share.map(|share| ("CLICKMILL_SHARE", share)));
        String::from_utf8(command.output().unwrap().stderr).unwrap()
    };
    let taken = "no `theirs` here: it is ";
    for folder in ["", "host", "host/pipelines"] {
        let folder = open.join(folder);
        let set = |mode| {
            std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        set(0o777);
        let told = validate(None);
        assert!(told.contains("is passed over") && told.contains("may be written by everybody"));
        assert!(told.contains("CLICKMILL_SHARE=") && !told.contains(taken), "{told}");
        // Whoever names it knows it.
        let told = validate(Some(&open));
        assert!(told.contains(taken) && !told.contains("is passed over"), "{told}");
        set(0o755);
        let told = validate(None);
        assert!(told.contains(taken) && !told.contains("is passed over"), "{told}");
    }
}
