//! What a value holds, by the name it is given.
//!
//! - A password, passphrase or secret is one whatever it is, but `pass` and `pw` alone may be counts.
//! - A passphrase, a mnemonic or the phrase of a seed is one of several words.
//! - A name like `access_token`, `reset` or `ticket` is given to tokens, `key`, `session` or `signature` to
//!   long ones only, `otp` or `verification_code` to short one-time codes, `code` to both.
//! - A name like `phone`, `tel` or `mobile_number` is given to phone numbers.
//! - A name like `version` or `build` is given to versions, which look like IP addresses.
//!
//! Words that say which of several it is may follow (`password_confirmation`, `phone_home`), and it may be
//! of more than one (`tokens`).
//!
//! What is replaced under each is said in [`value`](super::value).

mod ends;
mod holds;
mod known;

use ends::{Ends, last, letter};
pub(super) use holds::Holds;
use known::{ENDINGS, OTHERS, WHERE, WHICH, WORDS};

/// The longest name that is looked at: longer ones are cut at their beginning.
pub(super) const MAX_NAME: usize = 32;

/// The only name of two letters that tells. It is a word of its own: `userPw`, but not `npw`.
const SHORTEST: &[u8] = b"pw";

/// How many words that say which of several it is may follow a name.
const MAX_WHICH: usize = 3;

/// The last three letters of all of these, and of those of which there may be several with an `s`: by the last
/// and the one before it, a bit for each before these.
static LAST_THREE: [[u32; 26]; 26] = {
    let mut last_three = [[0; 26]; 26];
    let mut at = 0;
    while at < WORDS.len() {
        let (name, holds) = WORDS[at];
        let [a, b, c] = last(name);
        // Where one is no letter, as in `2fa`, nothing is ruled out.
        if a.is_ascii_alphabetic() {
            add(&mut last_three, [a, b, c]);
        }
        if is_token(holds) {
            add(&mut last_three, [b, c, b's']);
        }
        at += 1;
    }
    let mut at = 0;
    while at < ENDINGS.len() {
        let (name, holds) = ENDINGS[at];
        let [a, b, c] = last(name);
        add(&mut last_three, [a, b, c]);
        if !matches!(holds, Holds::Version) {
            add(&mut last_three, [b, c, b's']);
        }
        at += 1;
    }
    let mut at = 0;
    while at < WHICH.len() + WHERE.len() {
        let word = if at < WHICH.len() { WHICH[at] } else { WHERE[at - WHICH.len()] };
        add(&mut last_three, last(word));
        at += 1;
    }
    // What is before it is another word: `userPw`.
    last_three[letter(SHORTEST[1])][letter(SHORTEST[0])] = u32::MAX;
    // Of `val`, which says that the name is given elsewhere.
    add(&mut last_three, *b"val");
    last_three
};

const fn add(last_three: &mut [[u32; 26]; 26], [a, b, c]: [u8; 3]) {
    last_three[letter(c)][letter(b)] |= 1 << letter(a);
}

/// Whether this is a token or a password, of which a word may announce several: `pins`, `cells` and `builds`
/// are other things.
const fn is_token(holds: Holds) -> bool {
    matches!(holds, Holds::Secret | Holds::Token | Holds::LongToken)
}

static WORDS_END: Ends<{ WORDS.len() }> = Ends::of(WORDS);
static ENDINGS_END: Ends<{ ENDINGS.len() }> = Ends::of(ENDINGS);

/// Whether the name that ends the text can be one that [`holds`] knows: its last three letters already rule
/// most out.
pub(super) fn may_tell(text: &[u8]) -> bool {
    let [.., a, b, c] = text else {
        return text.eq_ignore_ascii_case(SHORTEST);
    };
    // A quote, a bracket, a number behind the name; within it, what separates words (`session_id`) or is of
    // another script.
    may_end([*a, *b, *c])
}

/// Whether a name may end so.
fn may_end([a, b, c]: [u8; 3]) -> bool {
    let are_letters = [a, b, c].iter().all(u8::is_ascii_alphabetic);
    !are_letters || LAST_THREE[letter(c)][letter(b)] & 1 << letter(a) != 0
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
    let name = Name::of(name);
    let holds = name.holds()?;
    // `2fa9:` is a group of an IPv6 address.
    let is_group = is_numbered && name.word().first().is_some_and(u8::is_ascii_digit);
    (!is_group).then_some(holds)
}

/// A name in small letters, without what separates its words.
struct Name {
    letters: [u8; MAX_NAME],
    length: usize,
    /// A bit for each place at which a word begins.
    words: u32,
}

impl Name {
    fn of(name: &[u8]) -> Self {
        let (mut letters, mut length, mut words) = ([0; MAX_NAME], 0, 1);
        let mut before = b' ';
        for byte in name {
            if byte.is_ascii_alphanumeric() {
                if byte.is_ascii_uppercase() && before.is_ascii_lowercase()
                    || !before.is_ascii_alphanumeric()
                {
                    words |= 1 << length;
                }
                letters[length] = byte.to_ascii_lowercase();
                length += 1;
            }
            before = *byte;
        }
        Self { letters, length, words }
    }

    fn whole(&self) -> &[u8] {
        &self.letters[..self.length]
    }

    /// The last word.
    fn word(&self) -> &[u8] {
        let begun = u64::from(self.words) & ((1 << self.length) - 1);
        &self.letters[begun.checked_ilog2().unwrap_or(0) as usize..self.length]
    }

    /// What has this name, or has it with words behind it that say which of several it is.
    fn holds(&self) -> Option<Holds> {
        if !may_tell(self.whole()) {
            return None;
        }
        self.known_without_which()
            .or_else(|| self.known().map(|(holds, _)| holds))
            .or_else(|| self.several())
    }

    /// What the name holds, and whether one of the endings says so.
    fn known(&self) -> Option<(Holds, bool)> {
        let (name, word) = (self.whole(), self.word());
        // `user_pass` is no count.
        let pass = if word == name { Holds::Pass } else { Holds::Secret };
        if word == SHORTEST {
            return Some((pass, false));
        }
        let last_three = *name.last_chunk()?;
        let by_ending = ENDINGS_END.find(ENDINGS, last_three, |known| name.ends_with(known));
        if let Some(holds) = by_ending {
            return Some((holds, true));
        }
        let holds = WORDS_END.find(WORDS, last_three, |known| word == known)?;
        if holds == Holds::Pass {
            return Some((pass, false));
        }
        // `country_code`, `discount_code`: only where it is the whole name is there nothing else it may be of.
        (holds != Holds::Code || word == name).then_some((holds, false))
    }

    /// What the name holds if it is that of several: all of a word has to be known, `headphones` are none.
    fn several(&self) -> Option<Holds> {
        let [one @ .., b's'] = self.whole() else {
            return None;
        };
        let one = self.until(one.len());
        let last_three = *one.whole().last_chunk()?;
        let fits = |known: &[u8]| {
            one.whole().ends_with(known) && one.words & 1 << (one.length - known.len()) != 0
        };
        let by_ending = ENDINGS_END.find(ENDINGS, last_three, fits);
        let by_word = || WORDS_END.find(WORDS, last_three, |known| one.word() == known);
        by_ending
            .filter(|holds| *holds != Holds::Version)
            .or_else(|| by_word().filter(|holds| *holds == Holds::Token))
            // `max_tokens` and `tickets` are numbers.
            .map(|holds| if holds == Holds::Token { Holds::LongToken } else { holds })
    }

    /// What the name holds without the words at its end that say which of several it is.
    fn known_without_which(&self) -> Option<Holds> {
        let mut one = self.until(self.length);
        let (mut is_where, mut is_value) = (true, false);
        for _ in 0..MAX_WHICH {
            let whole = one.whole();
            // The last letter rules most out.
            let ends_with = |words: &[&[u8]]| {
                let mut words = words.iter().filter(|word| word.last() == whole.last());
                words.find(|word| whole.ends_with(word)).map(|word| word.len())
            };
            let by_place = ends_with(WHERE);
            let Some(length) = by_place.or_else(|| ends_with(WHICH)) else {
                break;
            };
            is_where &= by_place.is_some();
            is_value |= one.whole().ends_with(b"value");
            one = self.until(one.length - length);
        }
        if one.length == self.length {
            return None;
        }
        // `phone1_home`
        let length = one.whole().iter().rposition(u8::is_ascii_alphabetic)? + 1;
        let one = self.until(length);
        let Some((holds, by_ending)) = one.known() else {
            return one.several();
        };
        // `key_value`, `cell_value` and `session_new` are other things.
        let is_one_of_several = match holds {
            Holds::Secret | Holds::Phrase | Holds::Pass | Holds::Token | Holds::OneTimeCode => true,
            Holds::LongToken => by_ending,
            // `phone value` is what one costs.
            Holds::Phone => by_ending && !is_value || is_where,
            Holds::Code | Holds::Version => false,
        };
        is_one_of_several.then_some(holds)
    }

    /// The first so many letters of the name.
    fn until(&self, length: usize) -> Self {
        Self { length, ..*self }
    }
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
            ("pw", Some(Holds::Pass)),
            ("PW", Some(Holds::Pass)),
            ("pw2", Some(Holds::Pass)),
            ("pw_old", Some(Holds::Pass)),
            ("user_pw", Some(Holds::Secret)),
            ("dbPw", Some(Holds::Secret)),
            ("user_pass", Some(Holds::Secret)),
            ("npw", None),
            ("w", None),
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
            ("password_confirmation", Some(Holds::Secret)),
            ("passwordConfirm", Some(Holds::Secret)),
            ("passwordconfirm", Some(Holds::Secret)),
            ("passwordRepeat", Some(Holds::Secret)),
            ("password_verification", Some(Holds::Secret)),
            ("new_password2", Some(Holds::Secret)),
            ("new-password-again", Some(Holds::Secret)),
            ("password1_confirmation", Some(Holds::Secret)),
            ("PASSWORD_HASH", Some(Holds::Secret)),
            ("pwd_old", Some(Holds::Secret)),
            ("passwords", Some(Holds::Secret)),
            ("old_passwords_confirmed", Some(Holds::Secret)),
            ("phones", Some(Holds::Phone)),
            ("phoneNumbers", Some(Holds::Phone)),
            ("téléphones", Some(Holds::Phone)),
            ("mobiles", Some(Holds::Phone)),
            ("phone_home", Some(Holds::Phone)),
            ("phoneWork2", Some(Holds::Phone)),
            ("phone_digits", Some(Holds::Phone)),
            ("phone_mobile", Some(Holds::Phone)),
            ("tel_home", Some(Holds::Phone)),
            ("tokens", Some(Holds::LongToken)),
            ("token_value", Some(Holds::Token)),
            ("accessTokens", Some(Holds::LongToken)),
            ("api_keys", Some(Holds::LongToken)),
            ("apiKeyValue", Some(Holds::LongToken)),
            ("pin_confirmation", Some(Holds::OneTimeCode)),
            ("recovery_codes", Some(Holds::OneTimeCode)),
            ("email_confirm", Some(Holds::LongToken)),
            ("headphones", None),
            ("smartphones", None),
            ("cells", None),
            ("cell_value", None),
            ("key_value", None),
            ("session_new", None),
            ("pins", None),
            ("builds", None),
            ("codes", None),
            ("country_codes", None),
            ("confirmation", None),
            ("new", None),
            ("home", None),
            ("s", None),
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
