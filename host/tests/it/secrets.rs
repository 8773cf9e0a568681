//! Secrets stay secret: what is asked of them before anything runs, who is granted which, and where none
//! of them comes to light: configurations, golden cases, logs, what is kept, builds.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value as Json;

use crate::live::{Live, clicks};
use crate::support::{KEY, Scratch, another, files, head, plugins, talk};

const FEW: [&str; 2] = ["source.rows=200", "source.rate=100000"];

/// The command that runs the clicks stream to its end.
fn few(scratch: &Scratch, set: &[&str]) -> Command {
    scratch.load(&clicks(), &[&FEW, set].concat())
}

/// Runs the clicks stream to its end, with this key in the environment.
fn run(scratch: &Scratch, key: Option<&str>, set: &[&str]) -> Output {
    let mut command = few(scratch, set);
    match key {
        Some(key) => command.env("CLICKMILL_MASK_KEY", key),
        None => command.env_remove("CLICKMILL_MASK_KEY"),
    };
    command.output().unwrap()
}

/// What a run says that is refused, which tells no key and leaves nothing behind.
#[track_caller]
fn refused(key: Option<&str>, set: &[&str]) -> String {
    let scratch = Scratch::new();
    let output = run(&scratch, key, set);
    let told = talk(&output, &scratch);
    assert_eq!(output.status.code(), Some(2), "{told}");
    let key = key.unwrap_or(KEY).trim();
    assert!(key.is_empty() || !told.contains(key), "{told}");
    assert!(!scratch.path("warehouse").exists(), "something was started: {told}");
    told
}

#[test]
fn a_secret_that_is_not_in_order_is_refused_before_anything_starts() {
    for (key, why) in [
        (None, "is not set"),
        (Some(""), "has 0 bytes, wanted at least 16"),
        (Some("fifteen bytes.."), "has 15 bytes, wanted at least 16"),
        (Some("a key for tests, 32 bytes or more\n"), "ends in white space"),
        (Some("a key for tests, 32 bytes or more\r\n"), "ends in white space"),
        (Some("a key for tests, 32 bytes or more "), "ends in white space"),
        (Some("\ta key for tests, 32 bytes or more"), "begins or ends in white space"),
    ] {
        let told = refused(key, &[]);
        for said in ["stage `mask`", "secret `key`", "`CLICKMILL_MASK_KEY`", why] {
            assert!(told.contains(said), "{key:?}: {told}");
        }
    }
}

#[test]
fn a_secret_is_granted_by_name_and_its_variable_can_be_another() {
    let told = refused(Some(KEY), &["plugin.mask.secrets=[]"]);
    assert!(told.contains("it asks for secret `key`"), "{told}");
    assert!(told.contains("`secrets = [\"key\"]`"), "{told}");
    let told = refused(Some(KEY), &["plugin.mask.secrets={ key = \"SHOP_KEY\" }"]);
    assert!(told.contains("`SHOP_KEY`, is not set"), "{told}");
    // Of two names that make one variable neither is guessed.
    let set = [
        "plugin.mask.secrets=[\"key\", \"v2_key\"]",
        "plugin.parse.name=mask-v2",
        "plugin.mask-v2.secrets=[\"key\"]",
    ];
    let told = refused(Some(KEY), &set);
    let said = "`CLICKMILL_MASK_V2_KEY`, and so is secret `key` of stage `mask-v2`: name another";
    assert!(told.contains(said), "{told}");

    let users = |scratch: &Scratch, output: &Output| {
        assert!(output.status.success(), "{}", talk(output, scratch));
        let sql = "SELECT DISTINCT user_id FROM clickstream_analytics.clicks_raw ORDER BY 1";
        scratch.query(sql)
    };
    let (one, other) = (Scratch::new(), Scratch::new());
    let wanted = users(&one, &run(&one, Some(KEY), &[]));
    let mut command = few(&other, &["plugin.mask.secrets={ key = \"SHOP\" }"]);
    let found = command.env_remove("CLICKMILL_MASK_KEY").env("SHOP", KEY).output().unwrap();
    assert_eq!(users(&other, &found), wanted);
}

#[test]
fn a_secret_in_a_configuration_is_refused_in_the_file_and_in_a_swap() {
    for (set, place) in [
        (format!("plugin.mask.config.key={KEY}"), "config.key"),
        ("plugin.mask.config.key=another key, 24 bytes".to_owned(), "config.key"),
        (format!("plugin.enrich.config.salt=Bearer {KEY}"), "config.salt"),
        (format!("plugin.parse.config.deep={{ list = [\"{KEY}\"] }}"), "config.deep.list[0]"),
        ("plugin.mask.config.salt=${CLICKMILL_MASK_KEY}".to_owned(), "config.salt"),
        ("name=${CLICKMILL_MASK_KEY}".to_owned(), "name"),
    ] {
        let told = refused(Some(KEY), &[&set]);
        assert!(told.contains(place), "{set}: {told}");
        assert!(!told.contains("another key, 24 bytes"), "{told}");
    }

    let scratch = Scratch::new();
    let live = Live::start(&scratch, &clicks(), &[]);
    live.wait_for_rows(1, 100);
    for config in [
        "mask.key=another key, 24 bytes".to_owned(),
        format!("mask.key={KEY}"),
        format!("mask.salt={KEY}"),
        format!(
            "validate.rules=[{{\"enum\": {{\"column\": \"country\", \"values\": [\"{KEY}\"]}}}}]"
        ),
    ] {
        let error = live.swap(&scratch, &["--config", &config]).unwrap_err();
        assert!(error.contains("check `component`") && error.contains("take it out"), "{error}");
        assert!(!error.contains(KEY) && !error.contains("24 bytes"), "{error}");
    }
    assert_eq!(live.history().len(), 1);
    assert!(!live.talk().contains(KEY));
    live.end();
    for folder in ["warehouse/_state", "clickmill-data/audit"] {
        for file in files(&scratch.path(folder)) {
            let bytes = std::fs::read(&file).unwrap();
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.contains(KEY) && !text.contains("24 bytes"), "{}", file.display());
        }
    }
}

#[test]
fn golden_cases_do_not_tell_what_the_real_secret_makes() {
    let scratch = Scratch::new();
    let live = Live::start(&scratch, &clicks(), &[]);
    live.wait_for_rows(1, 100);
    std::fs::create_dir_all(scratch.path("oracle/tests")).unwrap();
    scratch.write("oracle/mask.wasm", another("plugins/mask"));
    let asked = |secrets: &str| {
        let golden = format!(
            r#"{{"columns": {{"user_id": "STRING"}}, "config": {{"key_id": "k1", "columns": {{"user_id": "pseudonym"}}}}, {secrets}
            "cases": [{{"input": {{"user_id": "ada@example.com"}}, "output": {{"user_id": "?"}}}}]}}"#
        );
        scratch.write("oracle/tests/oracle.json", golden);
    };
    let pseudonym = |text: &str| {
        let at = text.find("k1_").unwrap_or_else(|| panic!("no pseudonym: {text}"));
        text[at..at + 35].to_owned()
    };
    // What a pseudonym is under the key of the running pipeline.
    asked(&format!(r#""secrets": {{"key": "{KEY}"}},"#));
    let test = ["plugin", "test", "oracle/mask.wasm"];
    let real = pseudonym(&String::from_utf8(scratch.run(&test).stdout).unwrap());
    asked("");
    let made_up = pseudonym(&String::from_utf8(scratch.run(&test).stdout).unwrap());
    assert_ne!(made_up, real);
    let error = live.swap(&scratch, &["mask=oracle/mask.wasm", "--dry-run"]).unwrap_err();
    assert_eq!(pseudonym(&error), made_up);
    live.end();
}

/// A plugin crate that nobody has built.
fn krate(scratch: &Scratch) -> PathBuf {
    let folder = scratch.path("krate");
    std::fs::create_dir_all(folder.join("src")).unwrap();
    let manifest =
        "[package]\nname = \"krate\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n";
    scratch.write("krate/Cargo.toml", manifest);
    scratch.write("krate/src/lib.rs", "");
    folder
}

#[test]
fn a_build_sees_settings_and_no_secrets() {
    // Whatever is missing to build them is there then.
    plugins();
    let scratch = Scratch::new();
    let folder = krate(&scratch);
    let script = "fn main() {\n    let seen: Vec<String> = \
                  std::env::vars().map(|(name, value)| format!(\"{name}={value}\")).collect();\n    \
                  std::fs::write(\"seen.txt\", seen.join(\"\\n\")).unwrap();\n}\n";
    scratch.write("krate/build.rs", script);
    let secrets = [
        "CLICKMILL_MASK_KEY",
        "CLICKMILL_SEAL_KEY",
        "CLICKMILL_ADMIN_TOKEN",
        "CLICKMILL_SIGNING_PASSWORD",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "GITHUB_TOKEN",
        "DATABASE_URL",
        "SSH_AUTH_SOCK",
        "CARGO_REGISTRY_TOKEN",
        "CARGO_REGISTRIES_MINE_TOKEN",
        "CARGO_REGISTRIES_MINE_APIKEY",
        "CARGO_PAT",
        "RUSTUP_PASSWORD",
        "XDG_SESSION_COOKIE",
    ];
    let mut command = scratch.command(&["plugin", "build", &folder.to_string_lossy()]);
    command.envs(secrets.map(|name| (name, "what nobody is to see")));
    let settings = [
        ("CARGO_NET_OFFLINE", "true"),
        ("CARGO_REGISTRIES_MINE_INDEX", "sparse+https://crates.example/"),
        ("LC_TIME", "C"),
        ("https_proxy", "http://127.0.0.1:9"),
        ("PIP_INDEX_URL", "https://pypi.example/simple"),
        ("NPM_CONFIG_REGISTRY", "https://npm.example/"),
    ];
    let output = command.envs(settings).output().unwrap();
    let seen = std::fs::read_to_string(folder.join("seen.txt"));
    let seen = seen.unwrap_or_else(|_| panic!("it was not built: {}", talk(&output, &scratch)));
    assert!(!seen.contains("what nobody is to see"), "{seen}");
    let names: Vec<&str> =
        seen.lines().filter_map(|line| line.split_once('=')).map(|(n, _)| n).collect();
    for secret in secrets {
        assert!(!names.contains(&secret), "{secret}");
    }
    for (name, value) in settings {
        assert!(seen.lines().any(|line| line == format!("{name}={value}")), "{name}: {seen}");
    }
    assert!(names.contains(&"PATH") && names.contains(&"HOME"), "{names:?}");
}

#[test]
fn nothing_is_installed_unless_somebody_asks_for_it() {
    let scratch = Scratch::new();
    let folder = krate(&scratch);
    let source = r#"kind = "generator", data = "clicks", rows = 10, rate = 1000"#;
    let stage = "[[plugin]]\nname = \"krate\"\ncomponent = \"krate\"\n";
    let text = head("krate", source, "test.out", "out.json") + stage;
    scratch.write("out.json", r#"[{"name": "message_id", "type": "STRING", "mode": "REQUIRED"}]"#);
    let pipeline = scratch.write("krate.toml", text).to_string_lossy().into_owned();
    // A machine without a compiler for plugins: what is called says so, and enters what it was told.
    let tools = scratch.path("tools");
    std::fs::create_dir_all(&tools).unwrap();
    let calls = scratch.path("calls");
    for (tool, does) in [
        ("rustc", "exit 1"),
        ("cargo", "exit 1"),
        ("rustup", "exit 1"),
        ("apt-get", "exit 1"),
        ("id", "echo 0"),
    ] {
        let script = format!("#!/bin/sh\necho \"{tool} $*\" >> '{}'\n{does}\n", calls.display());
        scratch.program(&format!("tools/{tool}"), script);
    }
    let call = |arguments: &[&str]| {
        std::fs::write(&calls, "").unwrap();
        let output = scratch.command(arguments).env("PATH", &tools).output().unwrap();
        let told = talk(&output, &scratch);
        assert_eq!(output.status.code(), Some(3), "{arguments:?}: {told}");
        (told, std::fs::read_to_string(&calls).unwrap())
    };
    let folder = folder.to_string_lossy();
    let swap = format!("krate={folder}");
    for arguments in [
        &["plugin", "inspect", &*folder][..],
        &["plugin", "test", &folder],
        &["plugin", "build", &folder],
        &["validate", &pipeline],
        &["run", &pipeline],
        &["run", &pipeline, "--watch"],
    ] {
        let (told, calls) = call(arguments);
        assert!(told.contains("clickmill plugin build --install <scratch>/krate"), "{told}");
        assert!(told.contains("rustup target add wasm32-unknown-unknown"), "{told}");
        for tried in ["target add", "update", "apt-get install"] {
            assert!(!calls.contains(tried), "{arguments:?}: {calls}");
        }
    }
    // Where nothing runs, a swap builds nothing.
    let (told, calls) = call(&["plugin", "swap", &swap, "--admin", "127.0.0.1:9"]);
    assert!(told.contains("127.0.0.1:9") && calls.is_empty(), "{told}{calls}");
    let (told, calls) = call(&["plugin", "build", "--install", &folder]);
    assert!(!told.contains("--install"), "{told}");
    for tried in ["rustup target add wasm32-unknown-unknown\n", "apt-get update -q\n"] {
        assert!(calls.contains(tried), "{calls}");
    }
}

#[test]
fn a_crate_is_not_built_where_only_signed_components_are_taken() {
    let scratch = Scratch::new();
    scratch.done(&["plugin", "keygen", "--output", "release"]);
    let pipeline = clicks().to_string_lossy().into_owned();
    let keys = format!("trust.keys=[\"{}\"]", scratch.path("release.pub").display());
    let output = scratch.run(&["run", &pipeline, "--set", &keys]);
    assert_eq!(output.status.code(), Some(2));
    let told = talk(&output, &scratch);
    assert!(told.contains("plugin `parse` is a crate") && told.contains("plugin sign"), "{told}");
}

#[test]
fn a_grant_of_a_secret_is_entered() {
    let scratch = Scratch::new();
    scratch.summary(&clicks(), &FEW);
    let mut command = few(&scratch, &["plugin.mask.secrets={ key = \"SHOP_KEY\" }"]);
    let output = command.env("SHOP_KEY", KEY).output().unwrap();
    assert!(output.status.success(), "{}", talk(&output, &scratch));
    let sql = "SELECT subject, detail FROM clickstream_analytics.audit_log WHERE action = 'grant'";
    let entries: Vec<Json> = scratch.query(sql);
    assert_eq!(entries.len(), 1, "{entries:?}");
    assert_eq!(entries[0]["subject"], "mask");
    let detail = entries[0]["detail"].as_str().unwrap();
    for said in ["secrets [key = CLICKMILL_MASK_KEY]", "secrets [key = SHOP_KEY]"] {
        assert!(detail.contains(said), "{detail}");
    }
}

#[test]
fn the_sql_engine_is_given_settings_and_no_secrets() {
    let scratch = Scratch::new();
    let engine = scratch.program("engine", "#!/bin/sh\nenv > seen.txt\n");
    let secrets = ["CLICKMILL_MASK_KEY", "CLICKMILL_ADMIN_TOKEN", "SEAL_KEY", "DATABASE_URL"];
    let mut command = scratch.command(&["query", "SELECT 1"]);
    command.envs(secrets.map(|name| (name, "what nobody is to see")));
    command.env("CLICKMILL_SQL", &engine).env("CLICKMILL_SQL_MEMORY_MB", "512");
    let output = command.output().unwrap();
    let seen = std::fs::read_to_string(scratch.path("seen.txt"));
    let seen = seen.unwrap_or_else(|_| panic!("it was not asked: {}", talk(&output, &scratch)));
    assert!(!seen.contains("what nobody is to see"), "{seen}");
    assert!(seen.lines().any(|line| line == "CLICKMILL_SQL_MEMORY_MB=512"), "{seen}");
    assert!(seen.lines().any(|line| line.starts_with("PATH=")), "{seen}");
}
