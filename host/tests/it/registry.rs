//! Plugins that OCI registries hold, with Docker's own registry, and with registries that lie.

mod liar;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

use crate::emulators::DockerRegistry;
use crate::live::{FAST, Live, clicks};
use crate::support::{Scratch, agent, another, cache, component, files, head, root, talk};
use crate::trust::with_files;
use liar::{Answer, Asked, Liar};

/// A cache of the scratch folder's own, but for compiled code and where processes are.
fn own_cache(scratch: &Scratch, name: &str) -> String {
    let own = scratch.path(name);
    clickmill_core::private::create_dir_all(&own).unwrap();
    for shared in ["compiled", "processes"] {
        let shared = cache().join(shared);
        clickmill_core::private::create_dir_all(&shared).unwrap();
        std::os::unix::fs::symlink(&shared, own.join(shared.file_name().unwrap())).unwrap();
    }
    own.to_string_lossy().into_owned()
}

/// A command with a cache and Docker's configuration in the scratch folder.
fn command(scratch: &Scratch, cache: &str, arguments: &[&str]) -> Command {
    let mut command = scratch.command(arguments);
    command.env("CLICKMILL_CACHE", cache).env("DOCKER_CONFIG", scratch.path("docker"));
    command
}

fn run(scratch: &Scratch, cache: &str, arguments: &[&str]) -> Output {
    command(scratch, cache, arguments).output().unwrap()
}

#[track_caller]
fn done(scratch: &Scratch, cache: &str, arguments: &[&str]) -> String {
    let output = run(scratch, cache, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", talk(&output, scratch));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[track_caller]
fn refused(scratch: &Scratch, cache: &str, arguments: &[&str], exit: i32, why: &[&str]) {
    let output = run(scratch, cache, arguments);
    let told = talk(&output, scratch);
    assert_eq!(output.status.code(), Some(exit), "{arguments:?}: {told}");
    for why in why {
        assert!(told.contains(why), "{arguments:?}: wanted `{why}` in {told}");
    }
    assert!(told.len() < 4000, "{told}");
}

/// Lists what a registry has with the credentials that a helper of Docker's keeps, as `gcloud auth configure-docker`
/// has it.
#[track_caller]
fn lists_by_helper(scratch: &Scratch, cache: &str, address: &str, list: &[&str], helper: &str) {
    let config = json!({ "credHelpers": { address: "of-a-test" } });
    scratch.write("docker/config.json", config.to_string());
    scratch.program("docker-credential-of-a-test", helper);
    let mut list = command(scratch, cache, list);
    let list = list.env("PATH", scratch.search_path()).output().unwrap();
    assert!(list.status.success(), "{}", talk(&list, scratch));
}

/// A folder with `mask` as packages have it: component, golden cases, README.
fn packed_mask(scratch: &Scratch) -> PathBuf {
    let folder = scratch.path("mask");
    std::fs::create_dir_all(folder.join("tests")).unwrap();
    std::fs::copy(component("plugins/mask"), folder.join("mask.wasm")).unwrap();
    std::fs::copy(root().join("plugins/mask/README.md"), folder.join("README.md")).unwrap();
    for entry in std::fs::read_dir(root().join("plugins/mask/tests")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::copy(&path, folder.join("tests").join(path.file_name().unwrap())).unwrap();
        }
    }
    folder
}

/// Pushes `mask`, and then another component, under one tag: the references with their digests.
fn two_pushed(scratch: &Scratch, tagged: &str) -> [String; 2] {
    let mask = packed_mask(scratch);
    let named = mask.to_string_lossy().into_owned();
    let push = || scratch.done(&["plugin", "push", &named, tagged]).trim().to_owned();
    let first = push();
    std::fs::write(mask.join("mask.wasm"), another("plugins/mask")).unwrap();
    let second = push();
    assert_ne!(first, second);
    [first, second]
}

/// A pipeline of 1000 clicks, with `mask` named like that.
fn naming(scratch: &Scratch, mask: &str) -> String {
    let pipeline = with_files(scratch);
    let text = std::fs::read_to_string(&pipeline).unwrap();
    let here = format!("component = \"{}\"", scratch.path("mask.wasm").display());
    assert!(text.contains(&here));
    std::fs::write(&pipeline, text.replace(&here, &format!("component = \"{mask}\" # mine")))
        .unwrap();
    pipeline
}

const FEW: [&str; 2] = ["--set", "source.rows=1000"];

#[test]
fn a_plugin_is_pushed_listed_inspected_pulled_and_copied_with_all_that_belongs_to_it() {
    let Some(registry) = DockerRegistry::start("what is pushed and pulled") else { return };
    let Some(other) = DockerRegistry::start("what is copied") else { return };
    let scratch = Scratch::new();
    let cache = own_cache(&scratch, "cache");
    let done = |arguments: &[&str]| done(&scratch, &cache, arguments);
    let mask = packed_mask(&scratch).to_string_lossy().into_owned();
    done(&["plugin", "keygen", "--output", "release"]);
    done(&["plugin", "sign", "--key", "release.key", &format!("{mask}/mask.wasm")]);

    // Data that lies about is nobody else's.
    std::fs::write(Path::new(&mask).join("tests/visitors.csv"), "ip\n192.0.2.77\n").unwrap();
    let tagged = format!("oci://{}/shop/mask:1.2.0", registry.address);
    let pushed = done(&["plugin", "push", &mask, &tagged]);
    assert!(pushed.starts_with(&format!("{tagged}@sha256:")), "{pushed}");
    // The same content has the same digest, whoever pushes it and when.
    assert_eq!(done(&["plugin", "push", &mask, &tagged]), pushed);
    let latest = format!("oci://{}/shop/mask:latest", registry.address);
    done(&["plugin", "push", &mask, &latest]);
    let digest = pushed.rsplit('@').next().unwrap();
    let repository = format!("oci://{}/shop/mask", registry.address);
    let listed = done(&["plugin", "list", &repository]);
    assert_eq!(listed, format!("1.2.0   {digest}\nlatest  {digest}"));
    let listed = done(&["plugin", "list", "--json", &repository]);
    let first: Json = serde_json::from_str(listed.lines().next().unwrap()).unwrap();
    assert_eq!(first, json!({ "tag": "1.2.0", "digest": digest }));

    let inspected: Json =
        serde_json::from_str(&done(&["plugin", "inspect", "--json", &tagged])).unwrap();
    assert_eq!(inspected["name"], "mask");
    let held = &inspected["registry"];
    assert_eq!(held["reference"], pushed);
    assert!(held["signature"]["comment"].as_str().unwrap().contains("stage:mask"), "{held:#}");
    assert!(held["readme"].as_str().unwrap().starts_with("# mask"), "{held:#}");
    let cases = held["golden_cases"].as_array().unwrap();
    let beside = std::fs::read_dir(Path::new(&mask).join("tests")).unwrap().count();
    assert_eq!(cases.len(), beside - 1);
    assert!(!held["files"].to_string().contains("visitors"), "{held:#}");
    assert!(cases.iter().all(|file| file["cases"].as_u64() > Some(0)), "{held:#}");
    let text = done(&["plugin", "inspect", &pushed]);
    for part in [&format!("reference {pushed}"), "not checked: ", "cases ", "config ", "readme\n"] {
        assert!(text.contains(part), "{part}: {text}");
    }

    // Its cases are run as they were pushed, and what is kept of it stays as it is.
    let kept = || files(&scratch.path("cache/registry")).len();
    let before = kept();
    let told: Json = serde_json::from_str(&done(&["plugin", "test", &pushed, "--json"])).unwrap();
    let here: Json = serde_json::from_str(&done(&["plugin", "test", &mask, "--json"])).unwrap();
    assert_eq!(told, here);
    let few = ["--count", "10", "--rounds", "1"];
    let bench = [&["plugin", "bench", &tagged, "--against", &mask][..], &few].concat();
    assert!(done(&bench).contains("clicks.json"));
    assert_eq!(kept(), before);
    for flags in [&["--watch"][..], &["--record", "pipeline.toml"]] {
        let test = [&["plugin", "test", &pushed][..], flags].concat();
        refused(&scratch, &cache, &test, 2, &["lie in a registry", "clickmill plugin pull"]);
    }
    done(&["plugin", "profile", &pushed, "--samples", "5", "--count", "2"]);
    assert!(scratch.path("mask.cpuprofile").is_file());

    // The folder is a plugin like any other.
    done(&["plugin", "pull", &pushed, "--output", "pulled/mask"]);
    done(&["plugin", "test", "pulled/mask"]);
    for file in ["mask.wasm", "mask.wasm.minisig", "README.md", "tests/clicks.json"] {
        let (was, is) = (Path::new(&mask).join(file), scratch.path("pulled/mask").join(file));
        assert_eq!(std::fs::read(was).unwrap(), std::fs::read(is).unwrap(), "{file}");
    }
    let schema = std::fs::read(scratch.path("pulled/mask/config.schema.json")).unwrap();
    let schema: Json = serde_json::from_slice(&schema).unwrap();
    assert_eq!(schema, inspected["config_schema"]);
    refused(
        &scratch,
        &cache,
        &["plugin", "pull", &pushed, "-o", "pulled/mask"],
        2,
        &["is there already"],
    );
    done(&["plugin", "pull", &pushed, "--output", "alone.wasm"]);
    assert!(scratch.path("alone.wasm.minisig").is_file());
    // A signature of something else is not written over.
    std::fs::remove_file(scratch.path("alone.wasm")).unwrap();
    let alone = ["plugin", "pull", &pushed, "-o", "alone.wasm"];
    refused(&scratch, &cache, &alone, 2, &["alone.wasm.minisig` is there already"]);
    // A name may have a version in it.
    done(&["plugin", "pull", &pushed, "--output", "pulled/mask-1.2.0"]);
    done(&["plugin", "test", "pulled/mask-1.2.0"]);

    let to = format!("oci://{}/elsewhere/deep/mask:1", other.address);
    let copied = done(&["plugin", "copy", &tagged, &to]);
    assert_eq!(copied, format!("{to}@{digest}"));
    // From there alone: nothing of it is in that cache.
    let fresh = own_cache(&scratch, "fresh");
    drop(registry);
    let inspected = run(&scratch, &fresh, &["plugin", "inspect", "--json", &copied]);
    let inspected: Json = serde_json::from_slice(&inspected.stdout).unwrap();
    for key in ["signature", "golden_cases", "readme", "files"] {
        assert_eq!(inspected["registry"][key], held[key], "{key}");
    }
    let none = format!("oci://{}/elsewhere/deep/mask:2", other.address);
    refused(
        &scratch,
        &fresh,
        &["plugin", "pull", &none, "-o", "none"],
        2,
        &["has no `oci://", "mask:2`"],
    );
}

#[test]
fn a_pipeline_that_is_locked_starts_without_its_registry_and_a_tag_does_not() {
    let Some(registry) = DockerRegistry::start("a pipeline with a plugin of a registry") else {
        return;
    };
    let scratch = Scratch::new();
    let cache = own_cache(&scratch, "cache");
    let mask = packed_mask(&scratch).to_string_lossy().into_owned();
    let tagged = format!("oci://{}/shop/mask:1.2.0", registry.address);
    let pushed = done(&scratch, &cache, &["plugin", "push", &mask, &tagged]);
    let pipeline = naming(&scratch, &tagged);
    let before = std::fs::read_to_string(&pipeline).unwrap();

    let start = [&["run", &pipeline][..], &FEW].concat();
    let why = ["stage `mask`", "is a tag", "clickmill plugin lock", "trust.allow_tags"];
    refused(&scratch, &cache, &start, 2, &why);
    refused(&scratch, &cache, &[&["validate", &pipeline][..], &FEW].concat(), 2, &why);
    done(&scratch, &cache, &[&start[..], &["--set", "trust.allow_tags=true"]].concat());

    refused(&scratch, &cache, &["plugin", "lock", "--check", &pipeline], 1, &["mask"]);
    assert_eq!(std::fs::read_to_string(&pipeline).unwrap(), before);
    let locked = done(&scratch, &cache, &["plugin", "lock", &pipeline]);
    assert_eq!(locked, format!("mask  {pushed}"));
    let after = std::fs::read_to_string(&pipeline).unwrap();
    // Its form and comments stay.
    let line = format!("component = \"{tagged}\" # mine");
    assert_eq!(after, before.replace(&line, &format!("component = \"{pushed}\" # mine")));
    done(&scratch, &cache, &["plugin", "lock", "--check", &pipeline]);
    done(&scratch, &cache, &start);

    // The tag moves on, and the pipeline stays.
    std::fs::write(Path::new(&mask).join("mask.wasm"), another("plugins/mask")).unwrap();
    let moved = done(&scratch, &cache, &["plugin", "push", &mask, &tagged]);
    assert_ne!(moved, pushed);
    done(&scratch, &cache, &["plugin", "lock", "--check", &pipeline]);
    refused(&scratch, &cache, &["plugin", "lock", "--upgrade", "--check", &pipeline], 1, &["mask"]);

    let host = registry.address.clone();
    drop(registry);
    done(&scratch, &cache, &start);
    let upgrade = ["plugin", "lock", "--upgrade", &pipeline];
    refused(&scratch, &cache, &upgrade, 3, &["cannot reach the registry", &host]);
    assert_eq!(std::fs::read_to_string(&pipeline).unwrap(), after);
    // What is damaged is as good as none, and without a cache nothing is made before that is told.
    let kept = Path::new(&cache).join("registry").join(pushed.rsplit(':').next().unwrap());
    std::fs::write(kept.join("plugin.wasm"), another("plugins/mask")).unwrap();
    let why = ["stage `mask`", "cannot reach the registry", &host];
    refused(&scratch, &cache, &start, 3, &why);
    let elsewhere = Scratch::new();
    let fresh = own_cache(&elsewhere, "fresh");
    refused(&elsewhere, &fresh, &start, 3, &why);
    assert!(!elsewhere.path("warehouse").exists());
}

#[test]
fn lock_writes_nothing_where_one_tag_has_no_digest() {
    let Some(registry) = DockerRegistry::start("a lock of several stages") else { return };
    let scratch = Scratch::new();
    let cache = own_cache(&scratch, "cache");
    let mask = component("plugins/mask").to_string_lossy().into_owned();
    let tagged = format!("oci://{}/mask:1", registry.address);
    let pushed = done(&scratch, &cache, &["plugin", "push", &mask, &tagged]);
    // A pipeline file that is no whole one can be locked: nothing but its components is looked at.
    let text = format!(
        "# two stages\nplugin = [\n  {{ name = 'a', component = '{tagged}' }}, # one\n  {{ name = 'b', component = 'oci://{}/none:1' }},\n]\n",
        registry.address
    );
    let pipeline = scratch.write("two.toml", &text).to_string_lossy().into_owned();
    refused(&scratch, &cache, &["plugin", "lock", &pipeline], 2, &["none:1"]);
    assert_eq!(std::fs::read_to_string(&pipeline).unwrap(), text);
    let fine = text.replace("none:1", "mask:1");
    std::fs::write(&pipeline, &fine).unwrap();
    done(&scratch, &cache, &["plugin", "lock", &pipeline]);
    let wanted = fine.replace(&format!("'{tagged}'"), &format!("\"{pushed}\""));
    assert_eq!(std::fs::read_to_string(&pipeline).unwrap(), wanted);
    std::fs::write(&pipeline, text.replace("none:1", "${NAME}")).unwrap();
    refused(&scratch, &cache, &["plugin", "lock", &pipeline], 2, &["${NAME}"]);
    std::fs::write(&pipeline, "plugin = [").unwrap();
    refused(&scratch, &cache, &["plugin", "lock", &pipeline], 2, &["is not TOML"]);
}

#[test]
fn a_signature_that_is_pushed_later_is_found_as_what_refers_to_the_component() {
    let Some(registry) = DockerRegistry::start("a signature in a registry") else { return };
    let scratch = Scratch::new();
    let cache = own_cache(&scratch, "cache");
    let done = |arguments: &[&str]| done(&scratch, &cache, arguments);
    for key in ["release", "other"] {
        done(&["plugin", "keygen", "--output", key]);
    }
    let mask = packed_mask(&scratch).to_string_lossy().into_owned();
    let tagged = format!("oci://{}/mask:1", registry.address);
    let pushed = done(&["plugin", "push", &mask, &tagged]);
    let pipeline = naming(&scratch, &pushed);
    for name in ["parse", "enrich", "validate"] {
        done(&["plugin", "sign", "--key", "release.key", &format!("{name}.wasm")]);
    }
    let trusting = ["--set", "trust.keys=[\"release.pub\"]"];
    let start = [&["run", &pipeline][..], &FEW, &trusting].concat();
    refused(&scratch, &cache, &start, 2, &["it has no signature"]);
    // Another's first: the one that is trusted is taken all the same.
    for key in ["other.key", "release.key"] {
        done(&["plugin", "sign", "--key", key, &format!("{mask}/mask.wasm")]);
        assert_eq!(done(&["plugin", "push", &mask, &tagged]), pushed);
    }
    done(&start);
    // The registry has no interface for referrers: a tag stands in for it, which is not listed.
    let (_, digest) = pushed.split_once("@sha256:").unwrap();
    let index = format!("http://{}/v2/mask/manifests/sha256-{digest}", registry.address);
    let index = agent().get(&index).header("accept", "application/vnd.oci.image.index.v1+json");
    let index: Json = index.call().unwrap().body_mut().read_json().unwrap();
    let kinds = index["manifests"].as_array().unwrap().iter();
    let kinds: Vec<&str> = kinds.map(|entry| entry["artifactType"].as_str().unwrap()).collect();
    let signature = "application/vnd.clickmill.minisig";
    assert_eq!(kinds.iter().filter(|kind| **kind == signature).count(), 2, "{kinds:?}");
    assert!(kinds.contains(&"application/vnd.clickmill.files.v1"), "{kinds:?}");
    let repository = format!("oci://{}/mask", registry.address);
    assert_eq!(done(&["plugin", "list", &repository]), format!("1  sha256:{digest}"));
    // Whoever trusts nobody of them takes the one that is kept away from nobody.
    done(&["plugin", "keygen", "--output", "third"]);
    let third = ["--set", "trust.keys=[\"third.pub\"]"];
    let third = [&["run", &pipeline][..], &FEW, &third].concat();
    refused(&scratch, &cache, &third, 2, &["which is not trusted"]);
    drop(registry);
    done(&start);
}

#[test]
fn a_signature_that_is_meant_for_the_stage_is_found_behind_one_that_is_not() {
    let Some(registry) = DockerRegistry::start("signatures of one key") else { return };
    let scratch = Scratch::new();
    let cache = own_cache(&scratch, "cache");
    let done = |arguments: &[&str]| done(&scratch, &cache, arguments);
    done(&["plugin", "keygen", "--output", "release"]);
    let mask = packed_mask(&scratch).to_string_lossy().into_owned();
    let tagged = format!("oci://{}/mask:1", registry.address);
    let file = format!("{mask}/mask.wasm");
    let sign = |stage: &str| {
        done(&["plugin", "sign", "--key", "release.key", "--stage", stage, &file]);
        done(&["plugin", "push", &mask, &tagged])
    };
    let pushed = sign("elsewhere");
    let pipeline = naming(&scratch, &pushed);
    for name in ["parse", "enrich", "validate"] {
        done(&["plugin", "sign", "--key", "release.key", &format!("{name}.wasm")]);
    }
    let trusting = ["--set", "trust.keys=[\"release.pub\"]", "--set", "trust.bind=true"];
    let start = [&["run", &pipeline][..], &FEW, &trusting].concat();
    let why = ["it is signed for stage `elsewhere`, and the stage is `mask`"];
    refused(&scratch, &cache, &start, 2, &why);
    assert_eq!(sign("mask"), pushed);
    done(&start);
    drop(registry);
    done(&start);
}

#[test]
fn a_swap_takes_a_digest_and_what_was_swapped_goes_on_without_the_registry() {
    let Some(registry) = DockerRegistry::start("a swap from a registry") else { return };
    let scratch = Scratch::new();
    clicks();
    let tagged = format!("oci://{}/mask:1", registry.address);
    let [first, second] = two_pushed(&scratch, &tagged);
    let pipeline = PathBuf::from(naming(&scratch, &first));
    let live = Live::start(&scratch, &pipeline, &FAST);
    live.wait_for_rows(1, 1000);
    let error = live.swap(&scratch, &[&format!("mask={tagged}")]).unwrap_err();
    assert!(error.contains("is a tag") && error.contains(&second), "{error}");
    let swapped = live.swap(&scratch, &[&format!("mask={second}")]).unwrap();
    let golden = swapped["checks"].to_string();
    assert!(golden.contains("golden"), "{golden}");
    live.wait_for_rows(2, 1000);
    live.end();
    drop(registry);
    let live = Live::start(&scratch, &pipeline, &FAST);
    live.wait_for_rows(1, 1000);
    assert_eq!(live.history()[0]["plugin_set"], swapped["to"]);
    live.end();
}

#[test]
fn a_pipeline_file_that_is_read_again_may_name_another_digest() {
    let Some(registry) = DockerRegistry::start("a pipeline file that is read again") else {
        return;
    };
    let scratch = Scratch::new();
    clicks();
    let tagged = format!("oci://{}/mask:1", registry.address);
    let [first, second] = two_pushed(&scratch, &tagged);
    let pipeline = PathBuf::from(naming(&scratch, &first));
    let text = std::fs::read_to_string(&pipeline).unwrap();
    let live = Live::start(&scratch, &pipeline, &FAST);
    live.wait_for_rows(1, 1000);
    std::fs::write(&pipeline, text.replace(&first, &tagged)).unwrap();
    let error = live.swap(&scratch, &["--pipeline"]).unwrap_err();
    assert!(error.contains("is a tag") && error.contains("plugin lock"), "{error}");
    std::fs::write(&pipeline, text.replace(&first, &second)).unwrap();
    let taken = live.swap(&scratch, &["--pipeline"]).unwrap();
    // The cases that came with it were run.
    assert_eq!(taken["checks"][3][0], "golden");
    assert_ne!(taken["checks"][3][1], "0 cases");
    live.wait_for_rows(2, 1000);
    live.end();
}

#[test]
fn a_registry_with_passwords_is_shown_what_docker_keeps_for_it() {
    let Some(registry) = DockerRegistry::start_locked("a registry with passwords") else { return };
    let scratch = Scratch::new();
    let cache = own_cache(&scratch, "cache");
    let mask = component("plugins/mask").to_string_lossy().into_owned();
    let tagged = format!("oci://{}/mask:1", registry.address);
    let push = ["plugin", "push", &mask, &tagged];
    let why = ["does not allow", "with no credentials", "401", "docker login"];
    refused(&scratch, &cache, &push, 3, &why);
    let login = |password: &str| {
        let auth = STANDARD.encode(format!("reader:{password}"));
        let config = json!({ "auths": { &registry.address: { "auth": auth } } });
        std::fs::create_dir_all(scratch.path("docker")).unwrap();
        scratch.write("docker/config.json", config.to_string());
    };
    login("wrong password");
    refused(&scratch, &cache, &push, 3, &["with those of Docker's configuration", "401"]);
    let told = talk(&run(&scratch, &cache, &push), &scratch);
    assert!(!told.contains("wrong password") && !told.contains("cmVhZGVy"), "{told}");
    login("open sesame");
    done(&scratch, &cache, &push);
    std::fs::remove_dir_all(scratch.path("docker")).unwrap();
    refused(&scratch, &cache, &["plugin", "pull", &tagged], 3, &["with no credentials"]);
    std::fs::create_dir_all(scratch.path("docker")).unwrap();
    let list = ["plugin", "list", &format!("oci://{}/mask", registry.address)];
    let helper = "#!/bin/sh\nread -r host\n[ -z \"$CLICKMILL_MASK_KEY\" ] || exit 1\necho '{\"ServerURL\": \"'\"$host\"'\", \"Username\": \"reader\", \"Secret\": \"open sesame\"}'\n";
    lists_by_helper(&scratch, &cache, &registry.address, &list, helper);
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn sha256(bytes: &[u8]) -> String {
    let mut sum = Command::new("sha256sum");
    let mut sum = sum.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    sum.stdin.take().unwrap().write_all(bytes).unwrap();
    let output = sum.wait_with_output().unwrap();
    format!("sha256:{}", String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap())
}

/// A manifest of a component that is these bytes.
fn manifest(component: &[u8]) -> Json {
    json!({
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": {
            "mediaType": "application/vnd.wasm.config.v0+json", "digest": sha256(b"{}"), "size": 2,
        },
        "layers": [
            { "mediaType": "application/wasm", "digest": sha256(component), "size": component.len() },
        ],
    })
}

/// A registry of one manifest, whose component is answered like that.
fn of_one(
    manifest: &Json,
    blob: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
) -> (Liar, String) {
    of_one_but(manifest, |_| None, blob)
}

/// The same, where it does not give another answer first. Nothing refers to the component.
fn of_one_but(
    manifest: &Json,
    other: impl Fn(&Asked) -> Option<Answer> + Send + Sync + 'static,
    blob: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
) -> (Liar, String) {
    let text = manifest.to_string();
    let digest = sha256(text.as_bytes());
    let config = sha256(b"{}");
    let registry = Liar::start(move |asked| {
        if let Some(other) = other(asked) {
            other
        } else if asked.line.contains("/manifests/sha256-") || asked.line.contains("/referrers/") {
            Answer::new(404, "")
        } else if asked.line.contains("/manifests/") {
            Answer::new(200, text.clone()).with("Content-Type", MANIFEST)
        } else if asked.line.contains(&config) {
            Answer::new(200, "{}")
        } else {
            blob(asked)
        }
    });
    let reference = format!("oci://{}/mask@{digest}", registry.address);
    (registry, reference)
}

#[test]
fn a_registry_that_lies_is_refused_by_name() {
    let scratch = Scratch::new();
    let cache = own_cache(&scratch, "cache");
    let bytes = b"a component of thirty bytes...";
    let right = manifest(bytes);
    let pull = |reference: &str, exit: i32, why: &[&str]| {
        let arguments = ["plugin", "pull", reference, "--output", "taken"];
        refused(&scratch, &cache, &arguments, exit, why);
        assert!(!scratch.path("taken").exists());
        let kept = std::fs::read_dir(Path::new(&cache).join("registry"));
        assert_eq!(kept.map(Iterator::count).unwrap_or_default(), 0, "{reference}");
    };
    let digest = sha256(bytes);
    let (_liar, reference) = of_one(&right, |_| Answer::new(200, "a component of thirty other..."));
    pull(&reference, 2, &["is not taken", &digest, &sha256(b"a component of thirty other...")]);
    let (_liar, reference) = of_one(&right, |_| Answer::new(200, "short"));
    pull(&reference, 2, &[&digest, "has 5 bytes, its manifest says 30"]);
    let (_liar, reference) = of_one(&right, |_| Answer::endless(&[0; 1000]));
    pull(&reference, 2, &[&digest, "bytes or more, wanted at most 30"]);
    let (_liar, reference) = of_one(&right, |_| Answer::new(200, vec![0; 1 << 20]));
    pull(&reference, 2, &["1048576 bytes or more, wanted at most 30"]);
    let (_liar, reference) = of_one(&right, |_| {
        Answer::new(500, r#"{"errors": [{"code": "BAD", "message": "\u001b[2J"}]}"#)
    });
    pull(&reference, 3, &["it answers 500, BAD"]);

    // Another manifest than was asked for.
    let (_liar, reference) = of_one(&right, move |_| Answer::new(200, bytes));
    let other = format!("{}{}", reference.split('@').next().unwrap(), "@sha256:");
    pull(
        &format!("{other}{}", "0".repeat(64)),
        2,
        &["0000`", "has the digest", reference.split('@').next_back().unwrap()],
    );
    let mut large = right.clone();
    large["layers"][0]["size"] = (1_u64 << 40).into();
    let (_liar, reference) = of_one(&large, |_| Answer::endless(&[0; 1000]));
    pull(&reference, 2, &["1099511627776 bytes, wanted at most 33554432"]);
    let mut image = right.clone();
    image["layers"][0]["mediaType"] = "application/vnd.oci.image.layer.v1.tar+gzip".into();
    let (_liar, reference) = of_one(&image, move |_| Answer::new(200, bytes));
    pull(&reference, 2, &["layer.v1.tar+gzip`, wanted `application/wasm`"]);
    let mut elsewhere = right.clone();
    elsewhere["layers"][0]["digest"] = "sha256:../../../etc/passwd".into();
    let (liar, reference) = of_one(&elsewhere, move |_| Answer::new(200, bytes));
    pull(&reference, 2, &["names a digest that is none"]);
    assert!(liar.asked().iter().all(|asked| !asked.line.contains("passwd")));

    // Manifests and lists without an end.
    let liar = Liar::start(|_| Answer::endless(&[b'['; 100_000]));
    let at = format!("oci://{}/mask", liar.address);
    pull(&format!("{at}:1"), 2, &["its manifest has", "bytes or more, wanted at most 4194304"]);
    let why = ["a list of tags has", "bytes or more, wanted at most 4194304"];
    refused(&scratch, &cache, &["plugin", "list", &at], 2, &why);
    let liar = Liar::start(|asked| {
        // It goes round.
        let next = asked.line.split(' ').nth(1).unwrap_or_default().to_owned();
        Answer::new(307, "").with("Location", next)
    });
    pull(&format!("oci://{}/mask:1", liar.address), 2, &["redirects again and again"]);
    // A digest of the header that is not the content's.
    let text = right.to_string();
    let liar = Liar::start(move |_| {
        let wrong = format!("sha256:{}", "1".repeat(64));
        Answer::new(200, text.clone()).with("Docker-Content-Digest", wrong)
    });
    pull(
        &format!("oci://{}/mask:1", liar.address),
        2,
        &["the registry says that it is `sha256:1111"],
    );
}

#[test]
fn a_registry_that_answers_with_a_page_for_people_has_no_list_of_what_refers_to_a_component() {
    let scratch = Scratch::new();
    let bytes = b"a component of thirty bytes...";
    let right = manifest(bytes);
    for (status, is_elsewhere) in [(429, true), (404, true), (200, true), (200, false)] {
        let page = Liar::start(move |_| Answer::new(status, "<html>log in</html>"));
        let to = format!("http://{}/login", page.address);
        let referrers = move |asked: &Asked| {
            asked.line.contains("/referrers/").then(|| {
                if is_elsewhere {
                    Answer::new(303, "").with("Location", to.clone())
                } else {
                    Answer::new(status, "<html>log in</html>")
                }
            })
        };
        let (registry, reference) = of_one_but(&right, referrers, move |_| Answer::new(200, bytes));
        // A cache for each: what is kept is had without the registry.
        let name = format!("{status} {is_elsewhere}");
        let cache = own_cache(&scratch, &format!("cache {name}"));
        done(&scratch, &cache, &["plugin", "pull", &reference, "--output", &format!("to {name}")]);
        let asked = registry.asked();
        assert!(asked.iter().any(|asked| asked.line.contains("/manifests/sha256-")), "{name}");
    }
}

#[test]
fn a_signature_is_found_behind_what_is_gone_malformed_or_of_others() {
    let scratch = Scratch::new();
    let cache = own_cache(&scratch, "cache");
    let bytes = b"a component of thirty bytes...";
    let kind = "application/vnd.clickmill.minisig";
    let signed = "signed";
    let component = manifest(bytes).to_string();
    let [config, of_signed, of_component] =
        [&b"{}"[..], signed.as_bytes(), component.as_bytes()].map(sha256);
    let signature = |layers: Json| {
        json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": kind,
            "config": {
                "mediaType": "application/vnd.oci.empty.v1+json", "digest": config, "size": 2,
            },
            "layers": layers,
            "subject": { "mediaType": MANIFEST, "digest": of_component, "size": component.len() },
        })
        .to_string()
    };
    let layer = json!({ "mediaType": kind, "digest": of_signed, "size": signed.len() });
    let manifests = [signature(json!([])), signature(json!([layer])), component.clone()];
    let digests = manifests.each_ref().map(|manifest| sha256(manifest.as_bytes()));
    let entry = |kind: &str, digest: &str| json!({ "mediaType": MANIFEST, "artifactType": kind, "digest": digest, "size": 2 });
    let gone = format!("sha256:{:064}", 0);
    let mut listed: Vec<Json> =
        (1..100).map(|at| entry("text/others", &format!("sha256:{at:064}"))).collect();
    listed.extend([&gone, &digests[0], &digests[1]].map(|digest| entry(kind, digest)));
    let index = json!({ "schemaVersion": 2, "manifests": listed }).to_string();
    let reference = format!("mask@{of_component}");
    let registry = Liar::start(move |asked| {
        let asks = |part: &str| asked.line.contains(part);
        let at = digests.iter().position(|digest| asks(&format!("/manifests/{digest}")));
        if asks("/referrers/") {
            Answer::new(200, index.clone())
        } else if let Some(at) = at {
            Answer::new(200, manifests[at].clone())
        } else if asks("/manifests/") {
            Answer::new(404, "")
        } else if asks(&config) {
            Answer::new(200, "{}")
        } else if asks(&of_signed) {
            Answer::new(200, signed)
        } else {
            Answer::new(200, bytes)
        }
    });
    let reference = format!("oci://{}/{reference}", registry.address);
    done(&scratch, &cache, &["plugin", "pull", &reference, "--output", "taken.wasm"]);
    assert_eq!(std::fs::read_to_string(scratch.path("taken.wasm.minisig")).unwrap(), signed);
    assert!(registry.asked().iter().all(|asked| !asked.line.contains(&format!("{:064}", 1))));
}

#[test]
fn names_of_files_lead_nowhere_and_files_of_another_digest_are_left() {
    let scratch = Scratch::new();
    let cache = own_cache(&scratch, "cache");
    let bytes = std::fs::read(component("plugins/mask")).unwrap();
    let evil = b"[]";
    let layer = json!({
        "mediaType": "application/vnd.clickmill.tests.v1+json",
        "digest": sha256(evil), "size": evil.len(),
        "annotations": { "org.opencontainers.image.title": "tests/../../../../evil.json" },
    });
    let line = format!("{} 2 tests/../../../../evil.json\n", sha256(evil));
    for (files, exit, why) in
        [(sha256(line.as_bytes()), 2, "named `tests/../../../../evil.json`"), (sha256(b""), 0, "")]
    {
        let mut right = manifest(&bytes);
        right["annotations"] = json!({ "com.clickmill.files": files });
        let digest = sha256(right.to_string().as_bytes());
        let referrer = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "artifactType": "application/vnd.clickmill.files.v1",
            "config": {
                "mediaType": "application/vnd.oci.empty.v1+json", "digest": sha256(b"{}"), "size": 2,
            },
            "layers": [layer],
            "subject": { "mediaType": MANIFEST, "digest": digest, "size": right.to_string().len() },
        })
        .to_string();
        let of_it = sha256(referrer.as_bytes());
        let listed = json!({ "schemaVersion": 2, "manifests": [{
            "mediaType": MANIFEST, "digest": of_it, "size": referrer.len(),
            "artifactType": "application/vnd.clickmill.files.v1",
        }] });
        let files = move |asked: &Asked| {
            let asks = |part: &str| asked.line.contains(part);
            if asks("/referrers/") {
                Some(Answer::new(200, listed.to_string()))
            } else if asks(&format!("/manifests/{of_it}")) {
                Some(Answer::new(200, referrer.clone()))
            } else {
                None
            }
        };
        let blob = bytes.clone();
        let (_liar, reference) = of_one_but(&right, files, move |_| Answer::new(200, blob.clone()));
        let output = run(&scratch, &cache, &["plugin", "pull", &reference, "-o", "taken"]);
        let told = talk(&output, &scratch);
        assert_eq!(output.status.code(), Some(exit), "{told}");
        assert!(told.contains(why), "{told}");
    }
    // The component is there, and nothing that the manifest did not name.
    let taken = std::fs::read_dir(scratch.path("taken")).unwrap();
    let taken: Vec<_> = taken.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(taken, ["taken.wasm"]);
    assert!(files(scratch.folder.path()).iter().all(|file| !file.ends_with("evil.json")));
}

#[test]
fn credentials_go_to_the_registry_that_they_are_for_and_to_nobody_else() {
    let scratch = Scratch::new();
    let cache = own_cache(&scratch, "cache");
    let bytes = std::fs::read(component("plugins/mask")).unwrap();
    let right = manifest(&bytes);
    let blob = bytes.clone();
    let storage = Liar::start(move |_| Answer::new(200, blob.clone()));
    let to = format!("http://{}/bucket/blob?signature=s", storage.address);
    let unknown = |asked: &Asked| {
        let who = || Answer::new(401, "").with("WWW-Authenticate", "Basic realm=\"clicks\"");
        asked.authorization().is_none().then(who)
    };
    let (registry, reference) =
        of_one_but(&right, unknown, move |_| Answer::new(307, "").with("Location", to.clone()));
    let auth = STANDARD.encode("reader:open sesame");
    std::fs::create_dir_all(scratch.path("docker")).unwrap();
    let login = |host: &str| {
        let config = json!({ "auths": { host: { "auth": auth } } });
        scratch.write("docker/config.json", config.to_string());
    };
    login(&registry.address);
    let mut debug = command(&scratch, &cache, &["plugin", "pull", &reference, "-o", "taken"]);
    let output = debug.env("CLICKMILL_LOG", "trace").output().unwrap();
    let told = talk(&output, &scratch);
    assert!(output.status.success(), "{told}");
    assert!(
        !told.contains(&auth) && !told.contains("open sesame") && !told.contains("signature=s")
    );
    let shown = registry.asked();
    assert!(shown.iter().any(|asked| asked.authorization() == Some(&format!("Basic {auth}"))));
    let passed = storage.asked();
    assert_eq!(passed.len(), 1);
    assert_eq!(passed[0].authorization(), None);

    // Who gives out tokens elsewhere is shown nothing.
    let thief = Liar::start(|_| Answer::new(200, "{\"token\": \"t\"}"));
    let realm = format!("Bearer realm=\"http://{}/token\",service=\"s\"", thief.address);
    let lured = Liar::start(move |_| Answer::new(401, "").with("WWW-Authenticate", realm.clone()));
    login(&lured.address);
    let reference = format!("oci://{}/mask:1", lured.address);
    let why = ["wants credentials to be shown to `127.0.0.1`, which is none of its own"];
    refused(&scratch, &cache, &["plugin", "pull", &reference], 2, &why);
    assert!(thief.asked().is_empty());

    // One of its own is shown them, and its token is what the registry gets.
    let registry = Liar::start(|asked| {
        if asked.line.contains("/token?") {
            return Answer::new(200, "{\"token\": \"t0k\"}");
        }
        match asked.authorization() {
            Some("Bearer t0k") => Answer::new(200, "{\"tags\": [\"1\", \"../x\", \"sha256-0\"]}"),
            _ => {
                let host = asked.headers.iter().find_map(|h| h.strip_prefix("host: ")).unwrap();
                let realm =
                    format!("Bearer realm=\"http://{host}/token\",service=\"the registry\"");
                Answer::new(401, "").with("WWW-Authenticate", realm)
            }
        }
    });
    login(&registry.address);
    let list = ["plugin", "list", &format!("oci://{}/shop/mask", registry.address)];
    assert_eq!(done(&scratch, &cache, &list), "1  no plugin");
    let asked = registry.asked();
    let token = asked.iter().find(|asked| asked.line.contains("/token?")).unwrap();
    assert_eq!(token.authorization(), Some(&*format!("Basic {auth}")));
    for part in ["service=the+registry", "scope=repository%3Ashop%2Fmask%3Apull"] {
        assert!(token.line.contains(part), "{}", token.line);
    }
    let with_tokens = asked.iter().filter(|asked| !asked.line.contains("/token?"));
    assert!(
        with_tokens.filter_map(|asked| asked.authorization()).all(|shown| shown == "Bearer t0k")
    );
    // Without TLS nobody but this machine is asked.
    let far = ["plugin", "list", "oci://registry.invalid/mask"];
    refused(&scratch, &cache, &far, 3, &["cannot reach the registry `registry.invalid`"]);
}

/// As Azure and others leave it after a login by a browser.
#[test]
fn an_identity_token_is_exchanged_by_the_server_that_gives_out_tokens() {
    let scratch = Scratch::new();
    let cache = own_cache(&scratch, "cache");
    let registry = Liar::start(|asked| {
        if asked.line.starts_with("POST ") {
            let is_known = asked.body.contains("&refresh_token=the+id%2Fentity");
            let known =
                Answer::new(200, "{\"access_token\": \"t0k\", \"refresh_token\": \"other\"}");
            return if is_known {
                known
            } else {
                Answer::new(400, "{\"error\": \"invalid_grant\"}")
            };
        }
        match asked.authorization() {
            Some("Bearer t0k") => Answer::new(200, "{\"tags\": [\"1\"]}"),
            _ => {
                let host = asked.headers.iter().find_map(|h| h.strip_prefix("host: ")).unwrap();
                let realm = format!("Bearer realm=\"http://{host}/oauth2/token\",service=\"s\"");
                Answer::new(401, "").with("WWW-Authenticate", realm)
            }
        }
    });
    std::fs::create_dir_all(scratch.path("docker")).unwrap();
    let login = |host: &str, token: &str| {
        let auth = STANDARD.encode("00000000-0000-0000-0000-000000000000:");
        let config = json!({ "auths": { host: { "auth": auth, "identitytoken": token } } });
        scratch.write("docker/config.json", config.to_string());
    };
    login(&registry.address, "the id/entity");
    let list = ["plugin", "list", &format!("oci://{}/shop/mask", registry.address)];
    assert_eq!(done(&scratch, &cache, &list), "1  no plugin");
    let asked = registry.asked();
    let exchange = asked.iter().find(|asked| asked.line.starts_with("POST ")).unwrap();
    assert!(exchange.line.starts_with("POST /oauth2/token HTTP"), "{}", exchange.line);
    assert_eq!(exchange.authorization(), None);
    assert_eq!(
        exchange.body,
        "service=s&scope=repository%3Ashop%2Fmask%3Apull&grant_type=refresh_token&client_id=clickmill&refresh_token=the+id%2Fentity"
    );
    // Nobody else is shown it.
    let others = asked.iter().filter(|asked| !asked.line.starts_with("POST "));
    assert!(others.clone().count() > 0);
    for other in others {
        assert!(!other.line.contains("entity") && other.body.is_empty(), "{}", other.line);
        assert!(matches!(other.authorization(), None | Some("Bearer t0k")));
    }

    login(&registry.address, "run out");
    let why = ["with those of Docker's configuration", "400", "docker login"];
    refused(&scratch, &cache, &list, 3, &why);
    let told = talk(&run(&scratch, &cache, &list), &scratch);
    assert!(!told.contains("run out"), "{told}");

    // So it is where a helper keeps it, which has that in the place of a name.
    let helper = "#!/bin/sh\ncat >/dev/null\necho '{\"Username\": \"<token>\", \"Secret\": \"the id/entity\"}'\n";
    lists_by_helper(&scratch, &cache, &registry.address, &list, helper);

    // A registry that takes names and passwords only has no use for one.
    let basic =
        Liar::start(|_| Answer::new(401, "").with("WWW-Authenticate", "Basic realm=\"clicks\""));
    login(&basic.address, "the id/entity");
    let list = ["plugin", "list", &format!("oci://{}/shop/mask", basic.address)];
    let why = ["are an identity token, and the registry wants a name and a password"];
    refused(&scratch, &cache, &list, 3, &why);
    assert!(basic.asked().iter().all(|asked| asked.authorization().is_none()));
}

#[test]
fn a_reference_that_is_none_is_told_with_all_else_that_is_wrong() {
    let scratch = Scratch::new();
    let schema = root().join("schemas/clicks_raw.json");
    let begins =
        head("t", "kind = \"stdin\", format = \"ndjson\"", "t.t", &schema.to_string_lossy());
    let stage = |name: &str, more: &str| format!("[[plugin]]\nname = \"{name}\"\n{more}\n");
    let stages = [
        stage("a", "component = \"oci://mask\""),
        stage("b", "component = \"oci://localhost/mask\""),
        stage("c", "component = \"oci://localhost/mask:1\"\nwatch = true"),
        stage("d", "component = \"oci://user:secret@localhost/mask:1\""),
    ];
    let pipeline = scratch.write("t.toml", begins + &stages.concat());
    let pipeline = pipeline.to_string_lossy();
    let output = scratch.run(&["validate", &pipeline]);
    let told = talk(&output, &scratch);
    assert_eq!(output.status.code(), Some(2), "{told}");
    for part in [
        "`plugin[0].component`: `oci://mask` is not a reference",
        "`plugin[1].component`: `oci://localhost/mask` has neither a tag nor a digest",
        "`plugin[2].watch`: is for files and crates",
        "`plugin[3].component`",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains("secret@"), "{told}");
}

#[test]
fn permissions_name_the_repository_that_plugins_are_pulled_from() {
    let scratch = Scratch::new();
    let schema = root().join("schemas/clicks_raw.json");
    let begins =
        head("t", "kind = \"stdin\", format = \"ndjson\"", "t.t", &schema.to_string_lossy());
    let digest = "0".repeat(64);
    let stage = |name: &str, from: &str| {
        format!(
            "[[plugin]]\nname = \"{name}\"\ncomponent = \"oci://{from}/{name}:1@sha256:{digest}\"\n"
        )
    };
    let ours = "europe-docker.pkg.dev/my-project/plugins/shop";
    let stages = stage("a", ours) + &stage("b", ours) + &stage("c", "ghcr.io/shop");
    let pipeline = scratch.write("t.toml", begins + &stages).to_string_lossy().into_owned();
    let listed = scratch.done(&["permissions", &pipeline]);
    let role = "roles/artifactregistry.reader";
    assert_eq!(listed.matches(role).count(), 1, "{listed}");
    assert!(
        listed.contains("projects/my-project/locations/europe/repositories/plugins"),
        "{listed}"
    );
    let terraform = scratch.done(&["permissions", &pipeline, "--format", "terraform"]);
    assert!(terraform.contains("google_artifact_registry_repository_iam_member"), "{terraform}");
    let gcloud = scratch.done(&["permissions", &pipeline, "--format", "gcloud"]);
    let binding = "gcloud artifacts repositories add-iam-policy-binding plugins --location=europe --project=my-project";
    assert!(gcloud.contains(binding), "{gcloud}");
}
