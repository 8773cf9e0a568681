//! Finds keys of well-known services by the form that these give them, JSON web tokens and private keys
//! (PEM). Keys without a form of their own are found by the name they are given, if at all: that is what the
//! kind `token` does.

use super::span::{Mark, Span};
use super::token;

/// How keys begin, and what follows.
struct Form {
    begins: &'static [&'static [u8]],
    /// The fewest characters that follow, and the most.
    length: (usize, usize),
    follows: fn(u8) -> bool,
}

const FORMS: &[Form] = &[
    // Amazon Web Services.
    form(&[b"AKIA", b"ASIA", b"ABIA", b"ACCA"], (16, 16), is_capital),
    // Anthropic, OpenAI.
    form(&[b"sk-"], (32, MANY), is_word),
    // Apify, Atlassian, Buildkite, CircleCI, Contentful, Databricks, Doppler.
    form(&[b"apify_api_"], (30, MANY), is_alphanumeric),
    form(&[b"ATATT3", b"ATCTT3", b"ATBB"], (28, MANY), is_padded),
    form(&[b"bkua_"], (40, MANY), is_alphanumeric),
    form(&[b"CCIPAT_", b"CCIPRJ_"], (40, MANY), is_word),
    form(&[b"CFPAT-"], (40, MANY), is_word),
    form(&[b"dapi"], (32, 32), is_lower_hex),
    form(&[b"dp.pt.", b"dp.st.", b"dp.ct."], (40, MANY), is_dotted),
    // DigitalOcean.
    form(&[b"dop_v1_", b"doo_v1_", b"dor_v1_"], (32, MANY), is_alphanumeric),
    // Docker.
    form(&[b"dckr_pat_"], (20, MANY), is_word),
    // Facebook, Figma.
    form(&[b"EAA"], (100, MANY), is_alphanumeric),
    form(&[b"figd_", b"figo_"], (36, MANY), is_word),
    // GitHub.
    form(&[b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_"], (36, MANY), is_alphanumeric),
    form(&[b"github_pat_"], (22, MANY), is_word),
    // GitLab.
    form(
        &[b"glpat-", b"gldt-", b"glrt-", b"glptt-", b"glcbt-", b"glft-", b"glsoat-", b"glagent-"],
        (20, MANY),
        is_dotted,
    ),
    // Google.
    form(&[b"AIza"], (35, 35), is_word),
    form(&[b"GOCSPX-"], (24, MANY), is_word),
    form(&[b"ya29."], (20, MANY), is_word),
    // Grafana, Groq, xAI, Perplexity, Replicate.
    form(&[b"glsa_", b"glc_"], (32, MANY), is_padded),
    form(&[b"gsk_", b"xai-", b"pplx-"], (40, MANY), is_alphanumeric),
    form(&[b"r8_"], (37, MANY), is_alphanumeric),
    // HashiCorp Vault, Heroku, HubSpot.
    form(&[b"hvs.", b"hvb.", b"hvr."], (24, MANY), is_word),
    form(&[b"HRKU-"], (36, MANY), is_word),
    form(&[b"pat-na1-", b"pat-eu1-"], (36, MANY), is_word),
    // Hugging Face.
    form(&[b"hf_"], (30, MANY), is_alphanumeric),
    // Linear, Netlify, New Relic, Notion.
    form(&[b"lin_api_", b"lin_oauth_"], (32, MANY), is_alphanumeric),
    form(&[b"nfp_"], (36, MANY), is_alphanumeric),
    form(&[b"NRAK-", b"NRII-", b"NRJS-"], (19, MANY), is_word),
    form(&[b"ntn_"], (40, MANY), is_alphanumeric),
    // npm, PyPI, RubyGems.
    form(&[b"npm_"], (36, MANY), is_alphanumeric),
    form(&[b"pypi-"], (50, MANY), is_word),
    form(&[b"rubygems_"], (48, MANY), is_alphanumeric),
    // age.
    form(&[b"AGE-SECRET-KEY-1", b"AGE-SECRET-KEY-PQ-1"], (40, MANY), is_capital),
    // 1Password, PlanetScale, Postman, Pulumi.
    form(&[b"ops_ey"], (100, MANY), is_padded),
    form(&[b"pscale_tkn_", b"pscale_pw_", b"pscale_oauth_"], (32, MANY), is_dotted),
    form(&[b"PMAK-"], (40, MANY), is_word),
    form(&[b"pul-"], (40, 40), is_lower_hex),
    // SendGrid, Mailgun, Brevo.
    form(&[b"SG."], (40, MANY), is_dotted),
    form(&[b"key-"], (32, 32), is_alphanumeric),
    form(&[b"xkeysib-"], (60, MANY), is_word),
    // Sentry, SonarQube, Supabase, Tailscale, Typeform.
    form(&[b"sntrys_", b"sntryu_"], (40, MANY), is_padded),
    form(&[b"sqp_", b"squ_", b"sqa_"], (40, 40), is_lower_hex),
    form(&[b"sbp_", b"sb_secret_"], (24, MANY), is_word),
    form(&[b"tskey-"], (24, MANY), is_word),
    form(&[b"tfp_"], (40, MANY), is_word),
    // Shopify.
    form(&[b"shpat_", b"shpca_", b"shppa_", b"shpss_"], (32, MANY), is_alphanumeric),
    // Slack.
    form(
        &[b"xoxa-", b"xoxb-", b"xoxe-", b"xoxp-", b"xoxr-", b"xoxs-", b"xapp-"],
        (10, MANY),
        is_word,
    ),
    // Square.
    form(&[b"sq0atp-", b"sq0csp-"], (22, MANY), is_word),
    // Razorpay, Stripe.
    form(
        &[
            b"pk_live_",
            b"pk_test_",
            b"rk_live_",
            b"rk_test_",
            b"sk_live_",
            b"sk_test_",
            b"rzp_live_",
            b"rzp_test_",
        ],
        (14, MANY),
        is_alphanumeric,
    ),
    form(&[b"whsec_"], (24, MANY), is_alphanumeric),
    // Twilio.
    form(&[b"SK"], (32, 32), is_lower_hex),
];

/// As many as there are. So many are looked at: that tells whether it is a key.
const MANY: usize = 128;

const fn form(
    begins: &'static [&'static [u8]],
    length: (usize, usize),
    follows: fn(u8) -> bool,
) -> Form {
    Form { begins, length, follows }
}

pub(super) fn find(text: &[u8], spans: &mut Vec<Span>) {
    token::jwts(text, Mark::ApiKey, spans);
    private_keys(text, spans);
    let mut at = 0;
    let mut before = b' ';
    while at < text.len() {
        let byte = text[at];
        let known = !before.is_ascii_alphanumeric() && may_begin(&text[at..]);
        before = byte;
        match known.then(|| key_length(&text[at..])).flatten() {
            Some(length) => {
                spans.push(Span { start: at, end: at + length, mark: Mark::ApiKey });
                at += length;
                before = b'a';
            }
            None => at += 1,
        }
    }
}

/// The length of the key that the text begins with.
fn key_length(text: &[u8]) -> Option<usize> {
    if text.starts_with(PUTTY) {
        return putty_length(text);
    }
    let mut left = BY_FIRST[usize::from(text.first()? & 31)];
    let mut forms = std::iter::from_fn(|| {
        let at = left.trailing_zeros();
        left &= left.checked_sub(1)?;
        Some(&FORMS[at as usize])
    });
    let (form, rest) = forms.find_map(|form| {
        let rest = form.begins.iter().find_map(|begin| text.strip_prefix(*begin))?;
        Some((form, rest))
    })?;
    let (fewest, most) = form.length;
    let follows = |b: &&u8| (form.follows)(**b);
    let looked_at = rest.iter().take(most).take_while(follows).count();
    if looked_at < fewest || !is_random(&rest[..looked_at]) {
        return None;
    }
    // Of a longer run than a key of this form has, no more is looked at: many may begin within it.
    let beyond = rest[looked_at..].iter().take(if most == MANY { usize::MAX } else { 1 });
    let length = looked_at + beyond.take_while(follows).count();
    (length <= most || most == MANY).then_some(text.len() - rest.len() + length)
}

/// Whether this is no row of words: it has a capital, or letters and digits mixed in a part that is longer
/// than a measure or a year.
fn is_random(text: &[u8]) -> bool {
    let is_mixed = |part: &[u8]| {
        part.len() >= 8
            && part.iter().any(u8::is_ascii_digit)
            && (part.len() > 8 || part.iter().any(u8::is_ascii_alphabetic))
    };
    text.iter().any(u8::is_ascii_uppercase)
        || text.split(|b| !b.is_ascii_alphanumeric()).any(is_mixed)
}

/// Finds private keys, from their first line to their last, or to the end.
fn private_keys(text: &[u8], spans: &mut Vec<Span>) {
    // Behind the words there are spaces, or what a form makes of them.
    const BEGIN: &[u8] = b"-----BEGIN";
    const NAME: &[u8] = b"PRIVATE";
    const END: &[u8] = b"-----END";
    const LINE: &[u8] = b"-----";
    /// The longest first line, such as that of an encrypted key of OpenSSH.
    const MAX_LINE: usize = 64;
    let mut at = 0;
    while let Some(found) = memchr::memmem::find(&text[at..], BEGIN) {
        let start = at + found;
        at = start + BEGIN.len();
        let line = &text[at..text.len().min(at + MAX_LINE)];
        if memchr::memmem::find(line, NAME).is_none() {
            continue;
        }
        let end = memchr::memmem::find(&text[at..], END).map(|end| at + end + END.len());
        let end = end.and_then(|end| {
            memchr::memmem::find(&text[end..], LINE).map(|line| end + line + LINE.len())
        });
        at = end.unwrap_or(text.len());
        spans.push(Span { start, end: at, mark: Mark::ApiKey });
    }
}

/// Begins a file of PuTTY's, with a public key and a private one.
const PUTTY: &[u8] = b"PuTTY-User-Key-File-";

/// The length of such a file: to the sum that ends it, or to the end.
fn putty_length(text: &[u8]) -> Option<usize> {
    /// More than what is before the private key. It bounds the time.
    const MAX_PUBLIC: usize = 4096;
    const PRIVATE: &[u8] = b"Private-Lines";
    const END: &[u8] = b"Private-MAC";
    let private = memchr::memmem::find(&text[..text.len().min(MAX_PUBLIC)], PRIVATE)?;
    let end = memchr::memmem::find(&text[private..], END).map(|end| private + end + END.len());
    let Some(end) = end else { return Some(text.len()) };
    let is_between = |byte: &&u8| matches!(byte, b':' | b' ' | b'+');
    let between = text[end..].iter().take(2).take_while(is_between).count();
    let digits = text[end + between..].iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    Some(end + between + digits)
}

/// By the lower five bits of the first byte: a bit for each form that begins with it.
static BY_FIRST: [u64; 32] = {
    let mut by_first = [0; 32];
    let mut at = 0;
    while at < FORMS.len() {
        let mut begins = FORMS[at].begins;
        while let [begin, others @ ..] = begins {
            by_first[(begin[0] & 31) as usize] |= 1 << at;
            begins = others;
        }
        at += 1;
    }
    by_first
};

/// The first three bytes of all beginnings: by the lower five bits of the first and of the second, a bit for
/// those of the third. Nearly all words are ruled out by it, which are not compared with each beginning.
static FIRST_THREE: [[u32; 32]; 32] = {
    let mut first_three = [[0; 32]; 32];
    first_three[(PUTTY[0] & 31) as usize][(PUTTY[1] & 31) as usize] = 1 << (PUTTY[2] & 31);
    let mut at = 0;
    while at < FORMS.len() {
        let mut begins = FORMS[at].begins;
        while let [begin, others @ ..] = begins {
            let third = if begin.len() > 2 { 1 << (begin[2] & 31) } else { u32::MAX };
            first_three[(begin[0] & 31) as usize][(begin[1] & 31) as usize] |= third;
            begins = others;
        }
        at += 1;
    }
    first_three
};

/// Whether a key may begin here.
fn may_begin(text: &[u8]) -> bool {
    let [a, b, c, ..] = text else {
        return false;
    };
    FIRST_THREE[usize::from(a & 31)][usize::from(b & 31)] & 1 << (c & 31) != 0
}

fn is_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

fn is_capital(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

fn is_lower_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

fn is_padded(byte: u8) -> bool {
    is_word(byte) || byte == b'='
}

fn is_dotted(byte: u8) -> bool {
    is_word(byte) || byte == b'.'
}

#[cfg(test)]
mod tests {
    use super::FORMS;
    use crate::config::Kind;
    use crate::tests::{check_clean_of, clean_of};

    #[test]
    fn keys_of_each_form_are_found_whole() {
        let forms =
            FORMS.iter().flat_map(|form| form.begins.iter().map(move |begin| (form, begin)));
        for (form, begin) in forms {
            let rest: Vec<u8> =
                (b'0'..=b'z').filter(|b| (form.follows)(*b)).cycle().take(form.length.0).collect();
            let begin = String::from_utf8_lossy(begin);
            let key = format!("{begin}{}", String::from_utf8_lossy(&rest));
            for (before, after) in
                [("", ""), ("key=", "&b=1"), ("\"", "\","), ("https://example.com/", "/x")]
            {
                let cleaned = clean_of(&[Kind::ApiKey], &format!("{before}{key}{after}"));
                assert_eq!(cleaned, format!("{before}[api_key]{after}"), "{key}");
            }
            let part = format!("x{key} {}", &key[..key.len() - 1]);
            assert_eq!(clean_of(&[Kind::ApiKey], &part), part);
        }
    }

    #[test]
    fn private_keys_are_found_to_their_end() {
        check_clean_of(
            Kind::ApiKey,
            &[
                (
                    "a -----BEGIN RSA PRIVATE KEY-----\nMII1==\n-----END RSA PRIVATE KEY----- b",
                    "a [api_key] b",
                ),
                (
                    r#"{"k":"-----BEGIN PRIVATE KEY-----\nMII1\n-----END PRIVATE KEY-----\n"}"#,
                    r#"{"k":"[api_key]\n"}"#,
                ),
                ("-----BEGIN PRIVATE KEY-----\nMII1", "[api_key]"),
                (
                    "-----BEGIN CERTIFICATE-----\nMII1\n-----END CERTIFICATE-----",
                    "-----BEGIN CERTIFICATE-----\nMII1\n-----END CERTIFICATE-----",
                ),
            ],
        );
    }

    #[test]
    fn what_only_looks_like_a_key_stays() {
        for text in [
            "sk-learn-based-pipelines-for-texts-and-more",
            "AKIAN shoes 42",
            "key-value-store-1",
            "sk-ii-facial-treatment-essence-250ml-2024",
            "xoxb-",
            "npm_config_registry_of_the_company_and_more_1",
        ] {
            check_clean_of(Kind::ApiKey, &[(text, text)]);
        }
    }
}
