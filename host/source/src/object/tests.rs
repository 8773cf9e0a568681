use std::io::Write;

use super::*;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).expect("written");
    gzip.finish().expect("finished")
}

/// What a file of these bytes reads as; `None` where there is nothing in it.
fn read(bytes: &[u8]) -> Result<Option<Vec<u8>>, SourceError> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.csv");
    std::fs::write(&path, bytes).expect("a file");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let listing = runtime.block_on(list(&path.display().to_string(), None)).expect("a list");
    let Some(object) = listing.objects.first() else { return Ok(None) };
    let opened = object.open(runtime.handle(), &Progress::default(), &Interrupt::default())?;
    let Some(mut reader) = opened else { return Ok(None) };
    let mut text = Vec::new();
    match reader.read_to_end(&mut text) {
        Ok(_) => Ok(Some(text)),
        Err(error) => Err(error.downcast().expect("errors say what they mean")),
    }
}

#[test]
fn compressed_once_or_twice_bytes_are_read_as_they_were() {
    let text = b"a,b\n1,2\n".repeat(100_000);
    let zstd = zstd::encode_all(text.as_slice(), 1).expect("compressed");
    // As `pzstd` writes it: each frame behind one that is skipped, which says how long it is.
    let to_skip = b"\x50\x2a\x4d\x18\x04\0\0\0size";
    let framed = [&to_skip[..], &zstd, to_skip, &zstd].concat();
    assert!(read(&framed).expect("read") == Some(text.repeat(2)));
    for stored in [text.clone(), gzip(&text), gzip(&gzip(&text)), gzip(&zstd), zstd] {
        assert!(read(&stored).expect("read").as_deref() == Some(&text));
    }
}

#[test]
fn an_object_that_holds_nothing_is_told_from_one_that_holds_little() {
    for nothing in [&b""[..], b"\xef\xbb\xbf", b"\r\n\n", b"\xef\xbb\xbf\n", b"\xff\xfe"] {
        for stored in [nothing.to_vec(), gzip(nothing)] {
            assert_eq!(read(&stored).expect("read"), None, "{nothing:?}");
        }
    }
    for little in [&b"a"[..], b"\n\na\n", b" ", &b"\n".repeat(100)[..]] {
        assert_eq!(read(little).expect("read").as_deref(), Some(little));
    }
}

#[test]
fn damaged_compression_is_the_inputs_fault() {
    use clickmill_core::Fault;
    let whole = gzip(&b"a,b\n1,2\n".repeat(100_000));
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 0xff;
    for damaged in [&whole[..whole.len() / 2], &whole[..5], &flipped] {
        let error = read(damaged).expect_err("damaged");
        assert!(matches!(error, SourceError::Compression { .. }), "{error}");
        assert_eq!(error.fault(), Fault::Input);
    }
}

#[test]
fn what_comes_once_is_told_from_what_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.csv");
    std::fs::write(&path, "x").expect("a file");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let object = |path: &str| runtime.block_on(list(path, None)).expect("a list").objects.remove(0);
    let (data, bad) = ("shop".to_owned(), "2%".to_owned());
    let generated = Generated { data, rows: 1, seed: 1, bad };
    let generator = Object::generator(&generated).expect("a generator");
    for (object, stays, is_read_once) in [
        (object(&path.display().to_string()), true, false),
        (object("/dev/null"), false, true),
        (Object::stdin(), false, true),
        (generator, false, false),
    ] {
        assert_eq!((object.stays(), object.is_read_once()), (stays, is_read_once), "{object:?}");
    }
}

#[test]
fn what_has_no_identity_gets_one_of_its_own() {
    assert_ne!(Object::stdin().name(), Object::stdin().name());
}
