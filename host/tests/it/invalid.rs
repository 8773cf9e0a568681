//! Bad pipeline files, each beside the exact text it earns: `invalid/*.toml` and `invalid/*.err`.

use std::fs;

use clickmill_config as config;

use crate::support::root;

#[test]
fn every_bad_pipeline_file_earns_its_exact_text() {
    let folder = root().join("host/tests/it/invalid");
    let update = std::env::var_os("UPDATE_ERR").is_some();
    let mut count = 0;
    let mut files: Vec<_> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in
        files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "toml"))
    {
        let error = config::read(file, &[]).expect_err("bad files are refused");
        let text = format!("{:#}\n", anyhow::Error::from(error));
        let text = text.replace(&*folder.to_string_lossy(), "<folder>");
        let wanted = file.with_extension("err");
        if update {
            fs::write(&wanted, &text).unwrap();
        }
        assert_eq!(text, fs::read_to_string(&wanted).unwrap_or_default(), "{}", file.display());
        count += 1;
    }
    assert!(count >= 12, "only {count} bad files");
}

#[test]
fn settings_are_text_where_text_is_wanted() {
    let pipeline = root().join("host/pipelines/batch.toml");
    let read = |set: &[&str]| {
        let set: Vec<String> = set.iter().map(|set| (*set).to_owned()).collect();
        config::read(&pipeline, &set).unwrap()
    };
    let here = std::env::current_dir().unwrap();
    for uri in ["2026-11-20", "2026", "1e5", "07:32:00", "true", "1979-05-27T07:32:00Z", "0x1F"] {
        let config::Source::Storage { uri: got, .. } = read(&[&format!("source.uri={uri}")]).source
        else {
            panic!("another source");
        };
        assert_eq!(got, here.join(uri).to_string_lossy());
    }
    // What stands in the file says what is wanted, and so do the names of keys that do not.
    let set = ["plugin.mask.config.key_id=2", "plugin.mask.config.since=2026-11-20"];
    let mask = &read(&set).plugins[2].config;
    assert_eq!(mask["key_id"], "2");
    assert_eq!(mask["since"], "2026-11-20");
    let set = ["plugin.enrich.secrets.key=true", "plugin.enrich.config.level=3", "name=7"];
    let pipeline = read(&set);
    assert_eq!(pipeline.plugins[1].secrets, [("key".to_owned(), "true".to_owned())]);
    assert_eq!(pipeline.plugins[1].config["level"], 3);
    assert_eq!(pipeline.name, "7");
}

#[test]
fn settings_that_make_no_sense_are_told() {
    let pipeline = crate::support::root().join("host/pipelines/batch.toml");
    let error = |set: &str| config::read(&pipeline, &[set.to_owned()]).unwrap_err().to_string();
    assert_eq!(
        error("source.uri"),
        "`--set source.uri`: wanted key=value, such as source.uri=clicks.csv"
    );
    assert_eq!(
        error("plugin.msk.config.key_id=k2"),
        "`--set plugin.msk.config.key_id`: there is no `plugin` named `msk`"
    );
    assert_eq!(error("name.first=x"), "`--set name.first`: `name` holds a value, not a section");
}

#[test]
fn what_stands_in_a_wrong_place_is_not_told() {
    let scratch = crate::support::Scratch::new();
    let secret = "Zm9yLXRoZS1leWVzLW9mLW9uZS1vbmx5";
    let letters = "[dead_letter]\ntable = \"d.t\"\nschema = \"s\"\n";
    let plugin = "[[plugin]]\nname = \"mask\"\ncomponent = \"c\"\n";
    for text in [
        // No TOML.
        format!("key = {secret}"),
        format!("name = \"shop\"\nkey = \"{secret}"),
        format!("[admin]\ntoken = \"{secret}\" \"{secret}\""),
        format!("key = \"\"\"{secret}"),
        format!("= {secret}"),
        // Something else is wanted there.
        format!("admin = \"{secret}\""),
        format!("admin = {{ token_file = [\"{secret}\"] }}"),
        format!("admin = {{ strict_port = \"{secret}\" }}"),
        format!("admin = {{ token_env = \"{secret}\" }}"),
        format!("admin = {{ reader_token_env = \"{secret}\" }}"),
        format!("{letters}seal = \"{secret}\""),
        format!("{letters}seal = {{ key_env = 7, key_id = \"{secret}\" }}"),
        format!("{letters}seal = {{ key_env = \"K\", key_id = \"s1\", old = [\"{secret}\"] }}"),
        format!("plugin = [\"{secret}\"]"),
        format!("{plugin}secrets = \"{secret}\""),
        format!("{plugin}secrets = [{{ key = \"{secret}\" }}]"),
        format!("{plugin}secrets = {{ key = \"{secret}\" }}"),
        format!("{plugin}config = \"{secret}\""),
    ] {
        let file = scratch.path("shop.toml");
        fs::write(&file, &text).unwrap();
        let error = config::read(&file, &[]).expect_err("bad files are refused");
        let told = format!("{:#}", anyhow::Error::from(error));
        assert!(!told.contains(secret), "{text}: {told}");
    }
    let pipeline = root().join("host/pipelines/batch.toml");
    let set = format!("plugin.nobody.secrets.key={secret}");
    let told = config::read(&pipeline, &[set]).unwrap_err().to_string();
    assert!(told.contains("plugin.nobody.secrets.key") && !told.contains(secret), "{told}");
}
