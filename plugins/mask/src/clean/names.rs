//! What a value holds, by the name it is given.
//!
//! - A password, passphrase or secret is one whatever it is.
//! - A name like `access_token`, `reset` or `ticket` is given to tokens, `key`, `session` or `signature` to
//!   long ones only, `otp` or `verification_code` to short one-time codes, `code` to both.
//! - A name like `phone`, `tel` or `mobile_number` is given to phone numbers.
//! - A name like `version` or `build` is given to versions, which look like IP addresses.
//!
//! What is replaced under each is said in [`value`](super::value).

/// What the value of some name holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Holds {
    /// A password: any text.
    Secret,
    /// A token, of which 8 characters are enough.
    Token,
    /// A token, or something short and harmless.
    LongToken,
    /// A code that is valid once.
    OneTimeCode,
    /// A code that is valid once, a token, or one of errors, countries or discounts.
    Code,
    /// A phone number.
    Phone,
    /// A version, and no IP address.
    Version,
}

/// The longest name that is looked at: longer ones are cut at their beginning.
pub(super) const MAX_NAME: usize = 32;

/// The last words of names.
const WORDS: &[(&[u8], Holds)] = &[
    (b"heslo", Holds::Secret),
    (b"parola", Holds::Secret),
    (b"pass", Holds::Secret),
    (b"pwd", Holds::Secret),
    (b"senha", Holds::Secret),
    (b"sifre", Holds::Secret),
    (b"jwt", Holds::Token),
    (b"magic", Holds::Token),
    (b"reset", Holds::Token),
    (b"ticket", Holds::Token),
    (b"auth", Holds::LongToken),
    (b"activate", Holds::LongToken),
    (b"activation", Holds::LongToken),
    (b"confirm", Holds::LongToken),
    (b"csrf", Holds::LongToken),
    (b"nonce", Holds::LongToken),
    (b"recovery", Holds::LongToken),
    (b"sess", Holds::LongToken),
    (b"sso", Holds::LongToken),
    (b"verification", Holds::LongToken),
    (b"xsrf", Holds::LongToken),
    (b"invite", Holds::LongToken),
    (b"key", Holds::LongToken),
    (b"session", Holds::LongToken),
    (b"sid", Holds::LongToken),
    (b"sig", Holds::LongToken),
    (b"verify", Holds::LongToken),
    (b"cvc", Holds::OneTimeCode),
    (b"cvv", Holds::OneTimeCode),
    (b"2fa", Holds::OneTimeCode),
    (b"mfa", Holds::OneTimeCode),
    (b"otp", Holds::OneTimeCode),
    (b"pin", Holds::OneTimeCode),
    (b"tfa", Holds::OneTimeCode),
    (b"tan", Holds::OneTimeCode),
    (b"totp", Holds::OneTimeCode),
    (b"code", Holds::Code),
    (b"cell", Holds::Phone),
    (b"cellulare", Holds::Phone),
    (b"celular", Holds::Phone),
    (b"fax", Holds::Phone),
    (b"gsm", Holds::Phone),
    (b"handy", Holds::Phone),
    (b"mobil", Holds::Phone),
    (b"movil", Holds::Phone),
    (b"portable", Holds::Phone),
    (b"tel", Holds::Phone),
    (b"whatsapp", Holds::Phone),
    (b"build", Holds::Version),
    (b"firmware", Holds::Version),
    (b"release", Holds::Version),
    (b"rev", Holds::Version),
    (b"revision", Holds::Version),
    (b"sdk", Holds::Version),
    (b"ver", Holds::Version),
];

/// The ends of names, without what separates their words.
const ENDINGS: &[(&[u8], Holds)] = &[
    (b"adgangskode", Holds::Secret),
    (b"contrasena", Holds::Secret),
    (b"haslo", Holds::Secret),
    (b"kennwort", Holds::Secret),
    (b"losenord", Holds::Secret),
    (b"motdepasse", Holds::Secret),
    (b"passord", Holds::Secret),
    (b"passphrase", Holds::Secret),
    (b"passwd", Holds::Secret),
    (b"password", Holds::Secret),
    (b"passwort", Holds::Secret),
    (b"salasana", Holds::Secret),
    (b"secret", Holds::Secret),
    (b"wachtwoord", Holds::Secret),
    (b"bearer", Holds::Token),
    (b"token", Holds::Token),
    (b"magiclink", Holds::Token),
    (b"accesskey", Holds::LongToken),
    (b"accountkey", Holds::LongToken),
    (b"apikey", Holds::LongToken),
    (b"assertion", Holds::LongToken),
    (b"authkey", Holds::LongToken),
    (b"encryptionkey", Holds::LongToken),
    (b"privatekey", Holds::LongToken),
    (b"secretkey", Holds::LongToken),
    (b"sessionkey", Holds::LongToken),
    (b"signingkey", Holds::LongToken),
    (b"authorization", Holds::LongToken),
    (b"credential", Holds::LongToken),
    (b"credentials", Holds::LongToken),
    (b"hmac", Holds::LongToken),
    (b"samlrequest", Holds::LongToken),
    (b"samlresponse", Holds::LongToken),
    (b"sessid", Holds::LongToken),
    (b"sessionid", Holds::LongToken),
    (b"signature", Holds::LongToken),
    (b"verifier", Holds::LongToken),
    (b"accesscode", Holds::OneTimeCode),
    (b"activationcode", Holds::OneTimeCode),
    (b"authcode", Holds::OneTimeCode),
    (b"authenticationcode", Holds::OneTimeCode),
    (b"authorizationcode", Holds::OneTimeCode),
    (b"backupcode", Holds::OneTimeCode),
    (b"confirmationcode", Holds::OneTimeCode),
    (b"confirmcode", Holds::OneTimeCode),
    (b"devicecode", Holds::OneTimeCode),
    (b"facode", Holds::OneTimeCode),
    (b"factorcode", Holds::OneTimeCode),
    (b"logincode", Holds::OneTimeCode),
    (b"onetimecode", Holds::OneTimeCode),
    (b"oobcode", Holds::OneTimeCode),
    (b"otpcode", Holds::OneTimeCode),
    (b"passcode", Holds::OneTimeCode),
    (b"recoverycode", Holds::OneTimeCode),
    (b"resetcode", Holds::OneTimeCode),
    (b"securitycode", Holds::OneTimeCode),
    (b"signincode", Holds::OneTimeCode),
    (b"smscode", Holds::OneTimeCode),
    (b"usercode", Holds::OneTimeCode),
    (b"verificationcode", Holds::OneTimeCode),
    (b"verifycode", Holds::OneTimeCode),
    (b"contactnumber", Holds::Phone),
    (b"handynummer", Holds::Phone),
    (b"mobile", Holds::Phone),
    (b"mobilenumber", Holds::Phone),
    (b"mobilnummer", Holds::Phone),
    (b"msisdn", Holds::Phone),
    (b"phone", Holds::Phone),
    (b"phoneno", Holds::Phone),
    (b"phonenumber", Holds::Phone),
    (b"puhelin", Holds::Phone),
    (b"puhelinnumero", Holds::Phone),
    (b"rufnummer", Holds::Phone),
    (b"telefon", Holds::Phone),
    (b"telefone", Holds::Phone),
    (b"telefonnummer", Holds::Phone),
    (b"telefono", Holds::Phone),
    (b"telefonu", Holds::Phone),
    (b"telefoon", Holds::Phone),
    (b"telefoonnummer", Holds::Phone),
    (b"telno", Holds::Phone),
    (b"telnumber", Holds::Phone),
    (b"version", Holds::Version),
    (b"versions", Holds::Version),
];

/// The ends of names in other letters than those of ASCII, small.
const OTHERS: &[(&str, Holds)] = &[
    ("contraseña", Holds::Secret),
    ("hasło", Holds::Secret),
    ("lösenord", Holds::Secret),
    ("salasõna", Holds::Secret),
    ("şifre", Holds::Secret),
    ("jelszó", Holds::Secret),
    ("пароль", Holds::Secret),
    ("κωδικός", Holds::Secret),
    ("סיסמה", Holds::Secret),
    ("密码", Holds::Secret),
    ("密碼", Holds::Secret),
    ("パスワード", Holds::Secret),
    ("비밀번호", Holds::Secret),
    ("รหัสผ่าน", Holds::Secret),
    ("验证码", Holds::OneTimeCode),
    ("驗證碼", Holds::OneTimeCode),
    ("認証コード", Holds::OneTimeCode),
    ("暗証番号", Holds::OneTimeCode),
    ("인증번호", Holds::OneTimeCode),
    ("móvil", Holds::Phone),
    ("telefón", Holds::Phone),
    ("teléfono", Holds::Phone),
    ("telefonní_číslo", Holds::Phone),
    ("телефон", Holds::Phone),
    ("телефона", Holds::Phone),
    ("телефону", Holds::Phone),
    ("τηλέφωνο", Holds::Phone),
    ("טלפון", Holds::Phone),
    ("هاتف", Holds::Phone),
    ("جوال", Holds::Phone),
    ("电话", Holds::Phone),
    ("電話", Holds::Phone),
    ("電話番号", Holds::Phone),
    ("电话号码", Holds::Phone),
    ("手机", Holds::Phone),
    ("手机号", Holds::Phone),
    ("手機", Holds::Phone),
    ("携帯", Holds::Phone),
    ("휴대폰", Holds::Phone),
    ("전화", Holds::Phone),
    ("전화번호", Holds::Phone),
    ("โทรศัพท์", Holds::Phone),
];

/// The last three letters of all of these: by the last and the one before it, a bit for each before these.
static LAST_THREE: [[u32; 26]; 26] = {
    let mut last_three = [[0; 26]; 26];
    let mut at = 0;
    while at < WORDS.len() + ENDINGS.len() {
        let (name, _) = if at < WORDS.len() { WORDS[at] } else { ENDINGS[at - WORDS.len()] };
        let length = name.len();
        // Where one is no letter, as in `2fa`, nothing is ruled out.
        if name[length - 3].is_ascii_alphabetic() {
            let before = &mut last_three[letter(name[length - 1])][letter(name[length - 2])];
            *before |= 1 << letter(name[length - 3]);
        }
        at += 1;
    }
    last_three
};

/// The last three letters of each: looked at before the names, which lie about.
static WORDS_END: [[u8; 3]; WORDS.len()] = ends(WORDS);
static ENDINGS_END: [[u8; 3]; ENDINGS.len()] = ends(ENDINGS);

const fn ends<const N: usize>(names: &[(&[u8], Holds)]) -> [[u8; 3]; N] {
    let mut ends = [[0; 3]; N];
    let mut at = 0;
    while at < N {
        let (name, _) = names[at];
        let length = name.len();
        ends[at] = [name[length - 3], name[length - 2], name[length - 1]];
        at += 1;
    }
    ends
}

const fn letter(byte: u8) -> usize {
    ((byte | 0x20) - b'a') as usize
}

/// Whether the name that ends the text can be one that [`holds`] knows: its last three letters already rule
/// most out.
pub(super) fn may_tell(text: &[u8]) -> bool {
    let [.., a, b, c] = text else {
        return false;
    };
    // A quote, a bracket, a number behind the name; within it, what separates words (`session_id`) or is of
    // another script.
    let are_letters = [a, b, c].iter().all(|byte| byte.is_ascii_alphabetic());
    !are_letters || LAST_THREE[letter(*c)][letter(*b)] & 1 << letter(*a) != 0
}

/// What the first of the names holds that ends with these letters and fits.
fn find(
    names: &[(&[u8], Holds)],
    ends: &[[u8; 3]],
    last_three: [u8; 3],
    fits: impl Fn(&[u8]) -> bool,
) -> Option<Holds> {
    let candidates = ends.iter().zip(names).filter(|(end, _)| **end == last_three);
    candidates.map(|(_, name)| name).find(|(known, _)| fits(known)).map(|(_, holds)| *holds)
}

/// What the value of this name holds, as far as the name tells.
pub(super) fn holds(name: &[u8]) -> Option<Holds> {
    let other = name.iter().rposition(|byte| !byte.is_ascii());
    if other.is_some()
        && let Some(holds) = holds_in_other_letters(name)
    {
        return Some(holds);
    }
    // `téléphone` ends in `phone`.
    let name = &name[other.map_or(0, |at| at + 1)..];
    // `phone2` is one more phone, `user[password]` a password.
    let length = name.iter().rposition(u8::is_ascii_alphabetic)? + 1;
    let is_numbered = name.get(length).is_some_and(u8::is_ascii_digit);
    let name = &name[length.saturating_sub(MAX_NAME)..length];
    let mut squeezed = [0; MAX_NAME];
    let (mut length, mut last_word) = (0, 0);
    let mut before = b' ';
    for byte in name {
        if byte.is_ascii_uppercase() && before.is_ascii_lowercase() {
            last_word = length;
        }
        if byte.is_ascii_alphanumeric() {
            squeezed[length] = byte.to_ascii_lowercase();
            length += 1;
        } else {
            last_word = length;
        }
        before = *byte;
    }
    let (name, word) = (&squeezed[..length], &squeezed[last_word..length]);
    let [.., a, b, c] = name else {
        return None;
    };
    let last_three = [*a, *b, *c];
    let by_ending = find(ENDINGS, &ENDINGS_END, last_three, |known| name.ends_with(known));
    let by_word = || find(WORDS, &WORDS_END, last_three, |known| word == known);
    let holds = by_ending.or_else(by_word)?;
    // `2fa9:` is a group of an IPv6 address.
    if is_numbered && word.first().is_some_and(u8::is_ascii_digit) {
        return None;
    }
    // `country_code`, `discount_code`: only where it is the whole name is there nothing else it may be of.
    (holds != Holds::Code || word == name).then_some(holds)
}

/// What the value of a name holds that is not of ASCII alone, by its end.
fn holds_in_other_letters(name: &[u8]) -> Option<Holds> {
    let name = String::from_utf8_lossy(name).to_lowercase();
    OTHERS.iter().find(|(known, _)| name.ends_with(known)).map(|(_, holds)| *holds)
}

#[cfg(test)]
mod tests {
    use super::{ENDINGS, Holds, WORDS, holds, may_tell};

    #[test]
    fn names_tell_by_their_last_word_or_their_end_however_they_are_written() {
        for (name, expected) in WORDS.iter().chain(ENDINGS) {
            assert!(name.len() >= 3 && may_tell(name));
            assert!(may_tell(&name.to_ascii_uppercase()));
            assert_eq!(holds(name), Some(*expected), "{}", String::from_utf8_lossy(name));
        }
        for (name, expected) in [
            ("userPassword", Some(Holds::Secret)),
            ("user[new-password]", Some(Holds::Secret)),
            ("X-Amz-Security-Token", Some(Holds::Token)),
            ("X-Amz-Signature", Some(Holds::LongToken)),
            ("userPin", Some(Holds::OneTimeCode)),
            ("2fa_code", Some(Holds::OneTimeCode)),
            ("2fa", Some(Holds::OneTimeCode)),
            ("2fa9", None),
            ("phone2", Some(Holds::Phone)),
            ("a very long name that goes on and on: mobile number", Some(Holds::Phone)),
            ("session_id", Some(Holds::LongToken)),
            ("php_sess_id", Some(Holds::LongToken)),
            ("téléphone", Some(Holds::Phone)),
            ("Пароль", Some(Holds::Secret)),
            ("домашний телефон", Some(Holds::Phone)),
            ("電話番号", Some(Holds::Phone)),
            ("цена", None),
            ("prénom", None),
            ("monkey", None),
            ("laptop", None),
            ("country_code", None),
            ("countryCode", None),
            ("shipping", None),
            ("capital", None),
            ("", None),
            ("42", None),
        ] {
            assert_eq!(holds(name.as_bytes()), expected, "{name}");
        }
    }
}
