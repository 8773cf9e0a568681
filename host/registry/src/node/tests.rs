use super::*;

fn content() -> Content {
    Content {
        component: Bytes::from_static(b"\0asm component"),
        name: "mask".to_owned(),
        version: "1.2.0".to_owned(),
        signature: Some("untrusted comment: a signature".to_owned()),
        files: vec![
            ("tests/b.json".to_owned(), Bytes::from_static(b"{}")),
            (README.to_owned(), Bytes::from_static(b"# mask")),
            ("tests/a.csv".to_owned(), Bytes::from_static(b"a\n1\n")),
        ],
        ..Content::default()
    }
}

#[test]
fn the_same_content_makes_the_same_manifests_which_fit_what_they_name() {
    let (component, referrers) = Node::pack(&content()).unwrap();
    assert_eq!(Node::pack(&content()).unwrap().0.digest(), component.digest());
    let read = Manifest::read("m", &component.bytes).unwrap();
    assert_eq!(read, component.manifest);
    read.check_component("m", 1000).unwrap();
    let [files, signature] = &referrers[..] else { panic!("two refer to it") };
    assert_eq!(read.of_files(), Some(files.manifest.files().as_str()));
    files.manifest.check_files("m").unwrap();
    signature.manifest.check_signature("m").unwrap();
    for node in referrers.iter().chain([&component]) {
        for (named, blob) in node.named() {
            named.check("m", blob).unwrap();
        }
    }
    for node in &referrers {
        assert_eq!(node.manifest.subject.as_ref().unwrap().digest, component.digest());
    }
    // Another file is another component's, to whom it belongs.
    let mut other = content();
    other.files[0].1 = Bytes::from_static(b"[]");
    assert_ne!(Node::pack(&other).unwrap().0.digest(), component.digest());
}

#[test]
fn names_lead_nowhere_else() {
    for (name, wanted) in [
        ("README.md", true),
        ("config.schema.json", true),
        ("tests/a.json", true),
        ("tests/a-b_c.1.csv", true),
        ("", false),
        ("plugin.wasm", false),
        ("manifest.json", false),
        ("tests", false),
        ("tests/", false),
        ("tests/.json", false),
        ("tests/..", false),
        ("tests/../a.json", false),
        ("tests/a/b.json", false),
        ("tests/a\\b.json", false),
        ("tests/a\0.json", false),
        ("tests/a.json\n", false),
        ("tests/a.wasm", false),
        ("../README.md", false),
        ("/etc/passwd", false),
        ("C:/README.md", false),
    ] {
        assert_eq!(type_of(name).is_some(), wanted, "{name:?}");
    }
    assert!(type_of(&format!("tests/{}.json", "a".repeat(200))).is_none());
}

#[test]
fn what_a_manifest_may_not_say_is_refused_by_name() {
    let digest = sha256(b"x");
    let layer = |media_type: &str, digest: &str, size: u64| json!({ "mediaType": media_type, "digest": digest, "size": size });
    let manifest = |layers: serde_json::Value| json!({ "schemaVersion": 2, "config": layer(WASM_CONFIG, &digest, 2), "layers": layers });
    let told = |manifest: &serde_json::Value| {
        let read = Manifest::read("m", manifest.to_string().as_bytes());
        read.and_then(|read| read.check_component("m", 100)).err().map(|error| error.to_string())
    };
    assert_eq!(told(&manifest(json!([layer(WASM, &digest, 100)]))), None);
    let image = "application/vnd.oci.image.layer.v1.tar+gzip";
    let mut index = manifest(json!([]));
    index["mediaType"] = INDEX.into();
    for (manifest, wanted) in [
        (manifest(json!([layer(WASM, &digest, 101)])), "101 bytes, wanted at most 100"),
        (manifest(json!([layer(WASM, &digest, u64::MAX)])), "wanted at most 100"),
        (manifest(json!([layer(image, &digest, 1)])), "wanted `application/wasm`"),
        (manifest(json!([layer(WASM, "sha512:00", 1)])), "SHA-256"),
        (manifest(json!([layer(WASM, "sha256:../../x", 1)])), "SHA-256"),
        (manifest(json!([])), "0 layers"),
        (manifest(json!([layer(WASM, &digest, 1), layer(WASM, &digest, 1)])), "2 layers"),
        (manifest(json!("x")), "malformed"),
        (index, "media type `application/vnd.oci.image.index.v1+json`"),
        (json!([]), "malformed"),
    ] {
        let told = told(&manifest).unwrap();
        assert!(told.contains(wanted), "{told}");
    }
    assert!(Manifest::read("m", b"\xff").is_err());
}

#[test]
fn files_have_names_of_their_own_and_are_not_too_many() {
    let of = |names: &[&str]| {
        let named = |name: &&str| Descriptor::named(name, type_of(name).unwrap_or(TESTS), b"{}");
        let layers = names.iter().map(named).collect();
        Manifest::new(Some(FILES), Descriptor::of(EMPTY.0, EMPTY.1), layers).check_files("m")
    };
    of(&["tests/a.json", "README.md"]).unwrap();
    for (names, wanted) in [
        (&["tests/a.json", "tests/a.json"][..], "two files"),
        (&["tests/../../a.json"], "named `tests/../../a.json`"),
        (&["tests/a.json"; 257], "257 files"),
    ] {
        let told = of(names).unwrap_err().to_string();
        assert!(told.contains(wanted), "{told}");
    }
    let mut wrong = Descriptor::named("README.md", WASM, b"{}");
    let check = |layer: &Descriptor| {
        let config = Descriptor::of(EMPTY.0, EMPTY.1);
        Manifest::new(None, config, vec![layer.clone()]).check_files("m").unwrap_err().to_string()
    };
    assert!(check(&wrong).contains("`README.md` is of the media type `application/wasm`"));
    wrong.media_type = MARKDOWN.to_owned();
    wrong.size = u64::MAX;
    assert!(check(&wrong).contains("wanted at most 67108864"));
}

#[test]
fn content_is_held_against_its_descriptor() {
    let descriptor = Descriptor::of(WASM, b"abc");
    descriptor.check("m", b"abc").unwrap();
    let told = |content: &[u8]| descriptor.check("m", content).unwrap_err().to_string();
    assert!(told(b"xyz").contains(&sha256(b"xyz")), "{}", told(b"xyz"));
    assert!(told(b"abcd").contains("has 4 bytes, its manifest says 3"));
}
