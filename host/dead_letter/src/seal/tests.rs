use super::*;

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const KEY_BASE64: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const LETTER: &str = "0a1b2c3d";
const PAYLOAD: &[u8] = b"{\"ip\":\"203.0.113.7\"}";

fn seal(key: &str, key_id: &str) -> Seal {
    Seal::new(key, key_id).expect("a key")
}

fn contents(payload: &[u8]) -> Contents {
    Contents {
        payload: payload.to_vec(),
        message: "`ip` is `ada@example.com`".to_owned(),
        attributes: vec![("user".to_owned(), "u-4711".to_owned())],
    }
}

fn whole() -> Opened {
    Opened::Whole(contents(PAYLOAD))
}

fn sealed(seal: &Seal) -> Vec<u8> {
    seal.seal(&contents(PAYLOAD), LETTER).expect("sealed")
}

#[track_caller]
fn refused(opened: Result<Opened, SealError>) {
    let refused = SealError::Refused { letter_id: LETTER.to_owned(), key_id: "k1".to_owned() };
    assert_eq!(opened, Err(refused));
}

#[test]
fn what_is_sealed_opens() {
    let seal = seal(KEY, "k1");
    for payload in [&b""[..], PAYLOAD, &[0xff; 100_000]] {
        let contents = contents(payload);
        let sealed = seal.seal(&contents, LETTER).expect("sealed");
        assert_eq!(sealed.len(), contents.to_bytes().len() + LEAST_BYTES);
        assert_eq!(seal.open(&sealed, LETTER), Ok(Opened::Whole(contents)));
    }
    let sealed = sealed(&seal);
    let clear = contents(PAYLOAD).to_bytes();
    assert!(!sealed.windows(4).any(|bytes| clear.windows(4).any(|part| part == bytes)));
}

#[test]
fn what_an_earlier_version_has_sealed_opens() {
    // Of the version, the key and the letter above, with the nonce 40, 41, 42, ….
    let sealed = "01404142434445464748494a4b999bc7530406a531fdf73906b555226857f170219af73734d666ff99\
                  4678dd2a8c7f799e";
    let sealed = hex(sealed.as_bytes()).expect("hexadecimal");
    let seal = seal(KEY, "k1");
    assert_eq!(seal.open(&sealed, LETTER), Ok(Opened::Payload(PAYLOAD.to_vec())));
    // One version can't pass for the other.
    let mut other = sealed.clone();
    other[0] = VERSION;
    refused(seal.open(&other, LETTER));
    assert!(seal.open(&sealed, "0a1b2c3e").is_err());
}

#[test]
fn a_letter_finds_the_key_that_opens_it() {
    let keys =
        SealKeys { current: seal(KEY, "k2"), old: vec![seal(KEY_BASE64, "k1"), seal(KEY, "k0")] };
    for key_id in ["k0", "k1", "k2"] {
        let sealed = sealed(&seal(KEY, key_id));
        let found = keys.find(key_id).expect("a key");
        assert_eq!(found.open(&sealed, LETTER), Ok(whole()));
    }
    assert!(keys.find("k3").is_none());
    assert_eq!(keys.iter().map(Seal::key_id).collect::<Vec<_>>(), ["k2", "k1", "k0"]);
}

#[test]
fn a_key_is_the_same_in_every_writing() {
    let sealed = sealed(&seal(KEY, "k1"));
    let base64 = [KEY_BASE64, KEY_BASE64.trim_end_matches('=')];
    for key in [&KEY.to_uppercase(), &format!("{KEY}\n"), base64[0], base64[1]] {
        assert_eq!(seal(key, "k1").open(&sealed, LETTER), Ok(whole()));
    }
}

#[test]
fn a_bad_key_says_what_is_wanted_and_not_what_it_is() {
    #[track_caller]
    fn check(key: &str, expected: &str) {
        let error = Seal::new(key, "k1").expect_err("refused").to_string();
        assert_eq!(error, expected);
    }
    let length = |got: usize| {
        format!("key `k1` has {got} bytes, wanted 32, as `openssl rand -hex 32` makes them")
    };
    check("", &length(0));
    check(&KEY[..32], &length(16));
    check(&KEY.repeat(2), &length(64));
    check("c2VjcmV0IQ==", &length(7));
    check(
        "not a key!",
        "key `k1` is neither hexadecimal nor base64, wanted 32 bytes of it, as `openssl rand -hex 32` makes them",
    );
}

#[test]
fn contents_open_for_their_letter_only() {
    let key = seal(KEY, "k1");
    let moved = key.seal(&contents(PAYLOAD), "0a1b2c3e").expect("sealed");
    refused(key.open(&moved, LETTER));
    // The ends of the ids are part of what is sealed.
    let shifted = seal(KEY, "k10").seal(&contents(PAYLOAD), &LETTER[1..]).expect("sealed");
    refused(key.open(&shifted, LETTER));
}

#[test]
fn a_changed_byte_is_noticed_wherever_it_is() {
    let seal = seal(KEY, "k1");
    let sealed = sealed(&seal);
    for at in 1..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        refused(seal.open(&changed, LETTER));
    }
    let mut other = sealed;
    other[0] = 3;
    let error = seal.open(&other, LETTER).expect_err("refused").to_string();
    assert_eq!(
        error,
        "cannot open letter `0a1b2c3d`: its payload is sealed in version 3, known are 1 and 2"
    );
}

#[test]
fn another_key_opens_nothing() {
    let sealed = sealed(&seal(&KEY.replace("1f", "2f"), "k1"));
    refused(seal(KEY, "k1").open(&sealed, LETTER));
    let error = seal(KEY, "k1").open(&sealed, LETTER).expect_err("refused").to_string();
    assert_eq!(
        error,
        "cannot open letter `0a1b2c3d` with key `k1`: sealed with another key, for another letter, or changed since, which can't be told apart"
    );
}

#[test]
fn a_key_under_another_id_opens_nothing() {
    refused(seal(KEY, "k1").open(&sealed(&seal(KEY, "k2")), LETTER));
}

#[test]
fn what_is_cut_off_is_refused() {
    let seal = seal(KEY, "k1");
    let sealed = sealed(&seal);
    for length in LEAST_BYTES..sealed.len() {
        refused(seal.open(&sealed[..length], LETTER));
    }
    for length in 0..LEAST_BYTES {
        let error = seal.open(&sealed[..length], LETTER).expect_err("refused");
        assert!(matches!(error, SealError::TooShort { got, .. } if got == length), "{error}");
    }
}

#[test]
fn no_two_letters_have_the_same_nonce() {
    let seal = seal(KEY, "k1");
    let nonce = || sealed(&seal)[1..1 + NONCE_LEN].to_vec();
    let nonces: std::collections::HashSet<_> = (0..1000).map(|_| nonce()).collect();
    assert_eq!(nonces.len(), 1000);
}

#[test]
fn the_key_is_not_printed() {
    assert_eq!(format!("{:?}", seal(KEY, "k1")), "Seal { key_id: \"k1\", .. }");
}
