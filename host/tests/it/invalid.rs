//! Bad pipeline files, each beside the exact text it earns: `invalid/*.toml` and `invalid/*.err`. What good
//! ones mean that leave settings out.

use std::fs;

use clickmill_config as config;

use crate::readme::blocks;
use crate::support::{Scratch, root};

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
    let scratch = Scratch::new();
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
        format!("{letters}seal = [\"{secret}\", \"s1\"]"),
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

/// The settings of one table in another, section by section.
fn merge(into: &mut toml::Table, from: &toml::Table) {
    for (key, value) in from {
        match (into.get_mut(key), value) {
            (Some(toml::Value::Table(into)), toml::Value::Table(from)) => merge(into, from),
            (Some(toml::Value::Array(into)), toml::Value::Array(from)) => {
                assert_eq!(into.len(), from.len(), "{key}");
                for (into, from) in into.iter_mut().zip(from) {
                    merge(into.as_table_mut().unwrap(), from.as_table().unwrap());
                }
            }
            (_, value) => drop(into.insert(key.clone(), value.clone())),
        }
    }
}

#[test]
fn what_the_readme_shows_of_a_pipeline_file_are_its_defaults() {
    let scratch = Scratch::new();
    let readme = fs::read_to_string(root().join("host/README.md")).unwrap();
    let shown = blocks(&readme).into_iter().filter(|block| block.language == "toml");
    let shown: Vec<toml::Table> = shown.map(|block| block.text.parse().unwrap()).collect();
    let [bigquery, objects, subscription, made_up, routes, rest] = &shown[..] else {
        panic!("{} blocks", shown.len())
    };
    let mut objects = objects.clone();
    // Of the plugins, which say so themselves.
    objects.remove("plugin").unwrap();
    // Else nothing is said of how it watches.
    let watch = objects["source"].as_table_mut().unwrap().insert("watch".to_owned(), true.into());
    assert_eq!(watch, Some(false.into()));
    let stream = r#"kind = "generator", data = "clicks", rate = 1"#;
    let folder = r#"kind = "storage", uri = "in/*.csv.gz", watch = true"#;
    let messages = r#"kind = "pubsub", subscription = "projects/my-project/subscriptions/clicks""#;
    for (shown, source, sink) in [
        (subscription, messages, ""),
        (made_up, r#"kind = "generator", data = "clicks""#, ""),
        (bigquery, stream, r#", kind = "bigquery", project = "shop""#),
        (&objects, folder, ""),
        (rest, stream, ""),
    ] {
        let schema = root().join("host/tests/it/invalid/schema.json");
        let text = format!(
            r#"
            name = "shop"
            source = {{ {source} }}
            sink = {{ table = "d.t", schema = "{schema}"{sink} }}
            dead_letter = {{ table = "d.dead_letter", schema = "{schema}" }}
            [[plugin]]
            name = "mask"
            component = "{schema}"
            "#,
            schema = schema.display()
        );
        let read = |file: &toml::Table| {
            let path = scratch.write("shop.toml", toml::to_string(file).unwrap());
            let pipeline = config::read(&path, &[]).map_err(anyhow::Error::from).unwrap();
            // The usual address is the usual one, named or not.
            format!("{pipeline:#?}").replace("Usual(", "At(")
        };
        let bare: toml::Table = text.parse().unwrap();
        let mut full = bare.clone();
        merge(&mut full, shown);
        assert_ne!(full, bare);
        assert_eq!(read(&full), read(&bare));
    }
    // A route has no defaults but for what is said beside its condition.
    let schema = root().join("host/tests/it/invalid/schema.json");
    for name in ["events.json", "purchases.json"] {
        fs::copy(&schema, scratch.path(name)).unwrap();
    }
    let source = format!("source = {{ {folder} }}\n");
    let dead_letter = format!("[dead_letter]\ntable = \"d.dead_letter\"\nschema = {schema:?}\n");
    let stage = format!("[[plugin]]\nname = \"mask\"\ncomponent = {schema:?}\n");
    let read = |routes: &toml::Table| {
        let text = format!("name = \"shop\"\n{source}{routes}\n{dead_letter}{stage}");
        let path = scratch.write("routes.toml", text);
        format!("{:#?}", config::read(&path, &[]).map_err(anyhow::Error::from).unwrap())
    };
    let mut bare = routes.clone();
    let sink = bare["sink"].as_table_mut().unwrap();
    assert!(sink.remove("unrouted").is_some());
    assert!(sink["route"][0].as_table_mut().unwrap().remove("copy").is_some());
    assert_eq!(read(routes), read(&bare));
}
