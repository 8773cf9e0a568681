use super::*;

/// What the `minisign` tool was given and what it made of it; the secret key is gone.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
const TOOL_KEY: &str = "RWRl85S6c5y7b7ONrjTsj0xUU5PYHyda1eYbl5Q9H6kTM+JlP6F+qV6A";
const TOOL_KEY_ID: &str = "6FBB9C73BA94F365";
const TOOL_SIGNATURE: &str = "\
untrusted comment: signature from minisign secret key
RURl85S6c5y7bxxOdDtwqrD/lEjuo3Xu4TWvBs+Oz7Y7Tt6d3QHZze+/bXx/CU0t5mNgLJlw700UiPhQ8FXeFQBAqYoh64EQGA8=
trusted comment: timestamp:1767225600\tfile:mask.wasm\thashed
t8phxj+E62Ql9AAG/+0H604QFvdnuJji5XaHOwys7OUsDZ6JPvwnLOAuohtc8m+Xw+n6zt9G5d1PJgKurd0bAA==
";
const TOOL_LEGACY_SIGNATURE: &str = "\
untrusted comment: signature from minisign secret key
RWRl85S6c5y7b+7V634MUJurW0BLvlK6ox502DJbxz+ZzJYRva6XXmQqeIc2IbGUVSU/q8y6RnZTgcpayo+ba/kLVzv+ITiA7AE=
trusted comment: timestamp:1767225600\tfile:mask.wasm
3RgTRbZhUQuUerFibLqvzdH8P56km8ydepbpxuL0nQoo9Sg0de6wB8VOtmd1+wSLrFrbKtuzRNEU5pihnk6MDA==
";

fn keys(texts: &[&str]) -> Result<Keys, KeyError> {
    Keys::parse(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
}

/// A key pair, and its signature of the component.
fn signed() -> (Keys, String, String) {
    let (public, secret) = generate(None).expect("a key pair");
    let signature = sign(&secret, None, COMPONENT, "release 7").expect("signed");
    (keys(&[&public]).expect("a key"), secret, signature)
}

#[test]
fn what_is_signed_is_trusted() {
    let (keys, _, signature) = signed();
    let signed = keys.check(COMPONENT, &signature).expect("trusted");
    let comment = "release 7".to_owned();
    assert_eq!(signed, Signed { key_id: hex(keys.0[0].keynum()), comment });
    assert!(signature.contains("\ntrusted comment: release 7\n"), "{signature}");
}

#[test]
fn signatures_of_the_tool_are_trusted() {
    let file = format!("untrusted comment: minisign public key {TOOL_KEY_ID}\r\n{TOOL_KEY}\r\n");
    for key in [TOOL_KEY, &file] {
        let keys = keys(&[key]).expect("a key");
        for signature in [TOOL_SIGNATURE, TOOL_LEGACY_SIGNATURE] {
            let signed = keys.check(COMPONENT, signature).expect("trusted");
            assert_eq!(signed.key_id, TOOL_KEY_ID);
            assert!(signed.comment.starts_with("timestamp:1767225600\tfile:mask.wasm"));
        }
    }
}

#[test]
fn any_of_the_keys_may_sign() {
    let (mut many, _, signature) = signed();
    many.0.insert(0, keys(&[TOOL_KEY]).expect("a key").0.remove(0));
    assert!(many.check(COMPONENT, &signature).is_ok());
    assert!(many.check(COMPONENT, TOOL_SIGNATURE).is_ok());
}

#[test]
fn a_changed_byte_is_noticed() {
    let keys = keys(&[TOOL_KEY]).expect("a key");
    let changed = SignatureError::Changed { key_id: TOOL_KEY_ID.to_owned() };
    for at in 0..COMPONENT.len() {
        let mut component = COMPONENT.to_vec();
        component[at] ^= 1;
        for signature in [TOOL_SIGNATURE, TOOL_LEGACY_SIGNATURE] {
            assert_eq!(keys.check(&component, signature), Err(changed.clone()));
        }
    }
    let comment = TOOL_SIGNATURE.replace("1767225600", "1767225601");
    assert_eq!(keys.check(COMPONENT, &comment), Err(changed.clone()));
    assert_eq!(
        changed.to_string(),
        "the signature by the key `6FBB9C73BA94F365` does not fit: the component or the signature was changed after signing"
    );
}

#[test]
fn another_key_is_named() {
    let (others, _, _) = signed();
    let other = hex(others.0[0].keynum());
    #[track_caller]
    fn check(keys: &Keys, expected: &str) {
        let error = keys.check(COMPONENT, TOOL_SIGNATURE).expect_err("not trusted");
        assert_eq!(error.to_string(), expected);
    }
    let signed_by = "it is signed by the key `6FBB9C73BA94F365`, which is not trusted";
    check(&others, &format!("{signed_by}: `{other}` is"));
    check(&Keys(Vec::new()), &format!("{signed_by}: no key is"));
}

#[test]
fn a_key_that_takes_anothers_id_is_not_taken_for_it() {
    let (others, _, _) = signed();
    let mut bytes = others.0[0].to_bytes();
    bytes[2..10].copy_from_slice(keys(&[TOOL_KEY]).expect("a key").0[0].keynum());
    let impostor = STANDARD.encode(bytes);
    let alone = keys(&[&impostor]).expect("a key").check(COMPONENT, TOOL_SIGNATURE);
    assert!(matches!(alone, Err(SignatureError::Changed { .. })), "{alone:?}");
    // And it does not get in the way of the true one.
    let both = keys(&[&impostor, TOOL_KEY]).expect("keys").check(COMPONENT, TOOL_SIGNATURE);
    assert_eq!(both.expect("trusted").key_id, TOOL_KEY_ID);
}

#[test]
fn a_signature_cut_anywhere_is_refused() {
    let keys = keys(&[TOOL_KEY]).expect("a key");
    assert_eq!(keys.check(COMPONENT, ""), Err(SignatureError::Missing));
    assert_eq!(keys.check(COMPONENT, "\n \n"), Err(SignatureError::Missing));
    let whole = TOOL_SIGNATURE.trim_end().len();
    for end in 1..whole {
        let error = keys.check(COMPONENT, &TOOL_SIGNATURE[..end]).expect_err("refused");
        assert!(matches!(error, SignatureError::Malformed { .. }), "{end}: {error}");
    }
    assert!(keys.check(COMPONENT, &TOOL_SIGNATURE[..whole]).is_ok());
}

#[test]
fn a_malformed_signature_is_refused() {
    #[track_caller]
    fn check(from: &str, to: &str, expected: &str) {
        let signature = TOOL_SIGNATURE.replacen(from, to, 1);
        let error = keys(&[TOOL_KEY]).expect("a key").check(COMPONENT, &signature);
        let error = error.expect_err("refused").to_string();
        assert_eq!(error, format!("the signature is malformed: {expected}"));
    }
    check("GA8=", "", "its second line is not a whole signature");
    // Half a signature of the comment, which is whole base64.
    let half = TOOL_SIGNATURE.lines().nth(3).expect("four lines");
    check(half, &half[..44], "its fourth line is not a whole signature");
    check(half, &half.replace('t', "?"), "its fourth line is not a whole signature");
    check("RUR", "RVR", "it is not in minisign's format");
    check("untrusted comment: ", "comment: ", "it is not in minisign's format");
    check("\ntrusted comment: ", "\ncomment: ", "it is not in minisign's format");
    check(TOOL_SIGNATURE, "yes", "it has fewer than four lines, perhaps it was cut off");
}

#[test]
fn a_bad_key_is_named_by_its_start_alone() {
    #[track_caller]
    fn check(key: &str, expected: &str) {
        let error = keys(&[TOOL_KEY, key]).expect_err("refused");
        assert_eq!(error.to_string(), expected);
    }
    let wanted = "is not a public key of minisign, wanted `RW…`, as in a `.pub` file";
    check(&TOOL_KEY[..50], &format!("trusted key 2, `RWRl85S6…`, {wanted}"));
    check(&TOOL_KEY.replace("RW", "RX"), &format!("trusted key 2, `RXRl85S6…`, {wanted}"));
    check("keys/release.pub", &format!("trusted key 2, `keys/rel…`, {wanted}"));
    check(&format!("{TOOL_KEY}\n{TOOL_KEY}"), &format!("trusted key 2, `RWRl85S6…`, {wanted}"));
    check("", &format!("trusted key 2, `…`, {wanted}"));
    let secret = "trusted key 2 is a secret key, wanted the public one, as in a `.pub` file";
    check(&generate(None).expect("a key pair").1, secret);
}

#[test]
fn a_password_protects_a_key() {
    let (public, secret) = generate(Some("correct horse".to_owned())).expect("a key pair");
    let with =
        |password: Option<&str>| sign(&secret, password.map(str::to_owned), COMPONENT, "release 7");
    let signature = with(Some("correct horse")).expect("signed");
    assert!(keys(&[&public]).expect("a key").check(COMPONENT, &signature).is_ok());
    assert!(matches!(with(Some("battery")), Err(SigningError::WrongPassword)));
    assert!(matches!(with(None), Err(SigningError::NoPassword)));
}

/// The text of a secret key file after a change of the key's bytes.
fn with_bytes(secret: &str, change: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut bytes = STANDARD.decode(secret.lines().nth(1).expect("two lines")).expect("base64");
    change(&mut bytes);
    format!("untrusted comment: changed\n{}\n", STANDARD.encode(bytes))
}

#[test]
fn a_key_without_a_checksum_signs_as_the_tool_makes_it_so() {
    let (keys, secret, _) = signed();
    let without = |bytes: &mut Vec<u8>| bytes[SECRET_KEY_BYTES - CHECKSUM_BYTES..].fill(0);
    let secret = with_bytes(&secret, without);
    let signature = sign(&secret, None, COMPONENT, "release 7").expect("signed");
    assert!(keys.check(COMPONENT, &signature).is_ok());
    // The halves of the key still tell that it was changed.
    let secret = with_bytes(&secret, |bytes| bytes[70] ^= 1);
    let damaged = sign(&secret, None, COMPONENT, "release 7");
    assert!(matches!(damaged, Err(SigningError::Damaged)), "{damaged:?}");
}

#[test]
fn a_damaged_secret_key_signs_nothing() {
    let (_, secret, _) = signed();
    #[track_caller]
    fn check(secret: &str, expected: &str) {
        let error = sign(secret, None, COMPONENT, "release 7").expect_err("refused");
        assert_eq!(error.to_string(), expected);
    }
    let damaged = "the secret key is damaged: its parts do not fit together";
    for at in [56, 70, 100, 157] {
        check(&with_bytes(&secret, |bytes| bytes[at] ^= 1), damaged);
    }
    let malformed = "the secret key is malformed, wanted the text of a secret key file of minisign";
    check(&with_bytes(&secret, |bytes| bytes.truncate(157)), malformed);
    check(&with_bytes(&secret, |bytes| bytes[0] = 0), malformed);
    check(&with_bytes(&secret, |bytes| bytes[2] = 1), malformed);
    check("", malformed);
    check(TOOL_KEY, malformed);
}

#[test]
fn a_comment_is_a_line() {
    let (keys, secret, _) = signed();
    let with = |comment: &str| sign(&secret, None, COMPONENT, comment);
    for comment in ["", "  release 7 ", "größer\t7", &"x".repeat(MAX_COMMENT_BYTES)] {
        let signature = with(comment).expect("signed");
        assert!(keys.check(COMPONENT, &signature).is_ok(), "{comment}");
    }
    let error = with("release\n7").expect_err("refused").to_string();
    assert_eq!(error, r"the comment has the character '\n', wanted a line of plain text");
    let error = with(&"x".repeat(8001)).expect_err("refused").to_string();
    assert_eq!(error, "the comment is too long: limit 8000 bytes, got 8001");
}

#[test]
fn a_signature_is_beside_its_component() {
    assert_eq!(beside(Path::new("a/mask.wasm")), Path::new("a/mask.wasm.minisig"));
    assert_eq!(beside(Path::new("mask")), Path::new("mask.minisig"));
}
