use super::*;
use crate::signature::{generate, sign};

const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
/// 2026-01-01T00:00:00Z.
const NEW_YEAR: i64 = 1_767_225_600;

/// Who trusts a key, and what that key signs.
struct Signer {
    trust: clickmill_config::Trust,
    secret: String,
}

impl Signer {
    fn new() -> Self {
        let (public, secret) = generate(None).expect("a key pair");
        let trust = clickmill_config::Trust { keys: vec![public], ..Default::default() };
        Self { trust, secret }
    }

    fn check(&self, comment: &str) -> Result<Claim, TrustError> {
        let signature = sign(&self.secret, None, COMPONENT, comment).expect("signed");
        Trust::of(&self.trust).expect("a key").check("mask", COMPONENT, &signature)
    }
}

#[test]
fn without_keys_anything_is_taken_that_is_not_revoked() {
    let trust = Trust::default();
    assert_eq!(trust.check("mask", COMPONENT, ""), Ok(Claim::default()));
    let digest = Digest::of(COMPONENT);
    let revoked = clickmill_config::Trust { revoked: vec![digest.clone()], ..Default::default() };
    let trust = Trust::of(&revoked).unwrap();
    assert_eq!(trust.check("mask", COMPONENT, ""), Err(TrustError::Revoked { digest }));
    assert!(trust.check("mask", b"another", "").is_ok());
}

#[test]
fn what_is_revoked_is_not_taken_whoever_signed_it() {
    let mut signer = Signer::new();
    assert!(signer.check("release 7").is_ok());
    signer.trust.revoked = vec![Digest::of(COMPONENT)];
    assert!(matches!(signer.check("release 7"), Err(TrustError::Revoked { .. })));
}

#[test]
fn a_signature_is_taken_that_says_all_that_is_asked_for() {
    let mut signer = Signer::new();
    let takes = |signer: &Signer, comment: &str| {
        let signature = sign(&signer.secret, None, COMPONENT, comment).expect("signed");
        Trust::of(&signer.trust).expect("a key").takes("mask", COMPONENT, Some(&signature))
    };
    assert!(Trust::default().takes("mask", COMPONENT, None));
    assert!(!Trust::of(&signer.trust).unwrap().takes("mask", COMPONENT, None));
    assert!(takes(&signer, "stage:parse timestamp:1"));
    signer.trust.bind = true;
    assert!(!takes(&signer, "stage:parse"));
    assert!(takes(&signer, "stage:mask timestamp:1"));
    signer.trust.not_before = Some(Micros::from(NEW_YEAR * 1_000_000));
    assert!(!takes(&signer, "stage:mask timestamp:1"));
    assert!(takes(&signer, &format!("stage:mask timestamp:{NEW_YEAR}")));
    // Another signature would not help it.
    signer.trust.revoked = vec![Digest::of(COMPONENT)];
    assert!(takes(&signer, "release 7"));
}

#[test]
fn a_bound_signature_is_of_a_stage_and_a_version() {
    let mut signer = Signer::new();
    let comments = ["stage:mask version:1.4.2", "a\tstage:parse\tstage:mask\tversion:1.4.2 b"];
    for comment in comments {
        // Unless that is asked for, a comment says nothing.
        assert_eq!(signer.check(comment).unwrap().check_version("1.4.3"), Ok(()));
    }
    signer.trust.bind = true;
    for comment in comments {
        let claim = signer.check(comment).unwrap();
        assert_eq!(claim.check_version("1.4.2"), Ok(()));
        let error = claim.check_version("1.4.3").unwrap_err().to_string();
        assert_eq!(error, "it is signed as version `1.4.2`, and says that it is version `1.4.3`");
    }
    let told = |comment: &str| signer.check(comment).unwrap_err().to_string();
    assert_eq!(
        told("stage:parse version:1.4.2"),
        "it is signed for stage `parse`, and the stage is `mask`: `plugin sign --stage mask` says that it is meant for it"
    );
    // What looks like it is not it: the whole word counts.
    for comment in [
        "",
        "stage:",
        "stage:mask-eu",
        "xstage:mask",
        "stage: mask",
        "Stage:mask",
        "file:mask.wasm",
    ] {
        assert!(matches!(signer.check(comment), Err(TrustError::Stage { .. })), "{comment}");
    }
    for comment in ["stage:mask", "stage:mask version:1.4.2 version:1.4.3"] {
        let claim = signer.check(comment).unwrap();
        assert!(matches!(
            claim.check_version("1.4.2"),
            Err(TrustError::Version { signed: None, .. })
        ));
    }
}

#[test]
fn a_signature_that_is_too_old_or_says_no_time_is_not_taken() {
    let mut signer = Signer::new();
    assert!(signer.check("release 7").is_ok());
    signer.trust.not_before = Some(Micros::from(NEW_YEAR * 1_000_000));
    for comment in [format!("timestamp:{NEW_YEAR}"), format!("a timestamp:{} b", NEW_YEAR + 1)] {
        assert!(signer.check(&comment).is_ok(), "{comment}");
    }
    let error = signer.check(&format!("timestamp:{}", NEW_YEAR - 1)).unwrap_err().to_string();
    assert_eq!(
        error,
        "it was signed at 2025-12-31T23:59:59Z, `trust.not_before` is 2026-01-01T00:00:00Z"
    );
    let twice = format!("timestamp:{NEW_YEAR} timestamp:1");
    for comment in ["release 7", "timestamp:soon", "timestamp:99999999999999999999", &twice] {
        let error = signer.check(comment);
        assert!(matches!(error, Err(TrustError::TooOld { signed: None, .. })), "{comment}");
    }
}
