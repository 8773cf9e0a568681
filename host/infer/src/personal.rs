//! Which columns look personal: by their names, and by what their values look like.

mod held;

use std::net::IpAddr;

use crate::names::in_ascii;

/// How a column is masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Treatment {
    /// A keyed pseudonym.
    Pseudonym,
    /// The network of an address.
    Ip,
    /// Marks in the place of what is personal in a text.
    Clean,
    /// Nothing.
    Remove,
}

/// What a single value looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Look {
    Email,
    Ip,
    Card,
    Iban,
    Phone,
    UserAgent,
    Url,
    /// A text with an e-mail address in it.
    HoldsEmail,
    /// A text with an address of the network in it.
    HoldsIp,
    /// A text with the number of a phone in it.
    HoldsPhone,
    /// A text with a URL in it.
    HoldsUrl,
    /// Words, as people write them.
    Prose,
}

/// What a value looks like, if like anything of a person's.
pub(crate) fn look(text: &str) -> Option<Look> {
    const PROSE_WORDS: usize = 6;
    let text = text.trim();
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let is_all = |more: &[u8]| text.bytes().all(|b| b.is_ascii_digit() || more.contains(&b));
    if is_email(text) {
        Some(Look::Email)
    } else if text.contains(['.', ':']) && text.parse::<IpAddr>().is_ok() {
        Some(Look::Ip)
    } else if text.starts_with("Mozilla/") {
        Some(Look::UserAgent)
    } else if is_url(text) {
        Some(Look::Url)
    } else if is_all(b" -") && is_card(text) {
        Some(Look::Card)
    } else if is_iban(text) {
        Some(Look::Iban)
    } else if (text.starts_with('+') && (8..=15).contains(&digits) && is_all(b"+ -()."))
        || ((9..=15).contains(&digits) && is_all(b" -/()") && begins_with_area(text))
    {
        Some(Look::Phone)
    } else {
        held(text)
            .or_else(|| (text.split_whitespace().count() >= PROSE_WORDS).then_some(Look::Prose))
    }
}

/// What a text has in it, if anything of a person's.
fn held(text: &str) -> Option<Look> {
    // All of it has one of these, or an escape.
    if !text.contains(['.', ':', '+', '/', '%', '\\', '&']) {
        return None;
    }
    let text = &*held::unescaped(text);
    if held::has_email(text) {
        Some(Look::HoldsEmail)
    } else if held::has_ip(text) {
        Some(Look::HoldsIp)
    } else if held::has_phone(text) {
        Some(Look::HoldsPhone)
    } else {
        text.split_whitespace().any(is_url).then_some(Look::HoldsUrl)
    }
}

/// Whether an address of the network stands in a URL, of which [`look`] says only that it is one.
pub(crate) fn has_ip(url: &str) -> bool {
    held::has_ip(&held::unescaped(url))
}

/// Whether a key has something of a person's in it, so that it is no name: `ada@example.com`, as where visits are
/// counted by address, or `visits of ada@example.com`. Who reads it as a name writes it into files.
pub(crate) fn is_in_key(key: &str) -> bool {
    const BETWEEN: &[char] = &[' ', '_', '/', '|', ',', ';', '(', ')', '[', ']', '\'', '"'];
    let is_personal = |text: &str| match look(text) {
        None | Some(Look::Prose) => false,
        // Those of vocabularies are names: `https://schema.org/name`.
        Some(Look::Url | Look::HoldsUrl) => {
            text.contains(['?', '@']) || !matches!(held(text), None | Some(Look::HoldsUrl))
        }
        Some(_) => true,
    };
    is_personal(key) || key.split(BETWEEN).any(is_personal)
}

/// Whether a text is a URL of whatever scheme, or one of a site's own that asks for something: `/reset?key=1`.
fn is_url(text: &str) -> bool {
    let has_scheme = text.split_once("://").is_some_and(|(scheme, _)| {
        let is_of_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(is_of_scheme)
    });
    let asks = || {
        text.split_once('?').is_some_and(|(path, query)| path.contains('/') && query.contains('='))
    };
    !text.contains(char::is_whitespace) && (has_scheme || asks())
}

pub(crate) fn is_email(text: &str) -> bool {
    let Some((name, host)) = text.rsplit_once('@') else { return false };
    let is_name = !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '/');
    let is_host = host.contains('.')
        && host.split('.').all(|part| !part.is_empty())
        && host.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-'));
    is_name && is_host
}

/// Whether a number begins as that of a phone does at home, with its area behind a zero or in brackets, and goes on:
/// `0171 1234567`, `(555) 010-9999`, `0049 30 123456`. Digits alone may be any number.
fn begins_with_area(text: &str) -> bool {
    let is_sign = |c: char| !c.is_ascii_digit();
    let Some((area, _)) = text.trim_start_matches(is_sign).split_once(is_sign) else {
        return false;
    };
    ((3..=5).contains(&area.len()) && area.starts_with('0'))
        || (text.starts_with('(') && (2..=5).contains(&area.len()))
}

/// Whether a number is one of a payment card, by its network and check digit (Luhn).
fn is_card(text: &str) -> bool {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(10)).collect();
    let sum: u32 = (digits.iter().rev().enumerate())
        .map(|(at, digit)| match digit * (1 + at as u32 % 2) {
            two @ 10.. => two - 9,
            one => one,
        })
        .sum();
    (13..=19).contains(&digits.len()) && (2..=6).contains(&digits[0]) && sum.is_multiple_of(10)
}

/// Whether a text is an account number, by its check digits.
fn is_iban(text: &str) -> bool {
    let text: String = text.chars().filter(|c| *c != ' ').collect();
    let bytes = text.as_bytes();
    let fits = (15..=34).contains(&bytes.len())
        && bytes[..2].iter().all(u8::is_ascii_uppercase)
        && bytes[2..4].iter().all(u8::is_ascii_digit)
        && bytes.iter().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase());
    let turned = || text[4..].chars().chain(text[..4].chars());
    let rest = |rest: u32, c: char| match c.to_digit(36) {
        Some(value @ 10..) => (rest * 100 + value) % 97,
        Some(value) => (rest * 10 + value) % 97,
        None => rest,
    };
    fits && turned().fold(0, rest) == 1
}

/// The words of a name, in small letters of ASCII: of `userId`, `user_id` and `User ID` they are `user` and `id`, of
/// `Straße` it is `strasse`.
pub(crate) fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut last_is_small = false;
    for c in name.chars() {
        let begins = last_is_small && c.is_uppercase();
        if begins || !c.is_alphanumeric() {
            words.push(String::new());
        }
        if c.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            for small in c.to_lowercase() {
                match in_ascii(small) {
                    Some(spelled) => word.push_str(spelled),
                    None => word.push(small),
                }
            }
        }
        last_is_small = c.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

fn has(words: &[String], list: &str) -> bool {
    list.split(' ').any(|wanted| words.iter().any(|word| word == wanted))
}

/// Whether the last word is one of a list.
fn ends_with(words: &[String], list: &str) -> bool {
    words.last().is_some_and(|last| list.split(' ').any(|word| word == last))
}

/// Words for people.
const PEOPLE: &str = "user users customer client visitor member person people contact guest patient employee \
    subscriber buyer seller recipient sender author owner passenger driver student cardholder kunde kundin klient \
    ansprechpartner empfaenger besteller mitarbeiter auftraggeber";

/// Whether a name says that its values tell one thing from another, so that they are no quantities.
pub(crate) fn is_identifier(name: &str) -> bool {
    const LAST: &str = "id ids uid uuid guid key sku nr no zip zipcode postcode plz phone tel mobile fax account iban ean gtin \
        isbn upc barcode serial ssn pesel nip vat card hash token ref reference session userid orderid productid msisdn imei";
    const CODES: &str = "postal post zip country product promo coupon voucher currency tax customer store branch area";
    let words = words(name);
    let Some(last) = words.last() else { return false };
    ends_with(&words, LAST)
        || (last == "code" && has(&words, CODES))
        || (last == "number"
            && has(
                &words,
                "phone order invoice account card customer serial tracking flight ticket",
            ))
}

/// Whether a name says that its values are versions, whose parts between points are numbers of their own.
pub(crate) fn is_version(name: &str) -> bool {
    const VERSIONS: &str = "version versions ver firmware";
    ends_with(&words(name), VERSIONS)
}

/// Whether a name says that its values are money.
pub(crate) fn is_money(name: &str) -> bool {
    const MONEY: &str = "price amount total subtotal cost revenue tax vat discount fee fees shipping salary payment \
        balance tip fare value_usd usd eur gbp pln preis betrag summe kwota cena prix montant precio importe";
    let words = words(name);
    has(&words, MONEY)
        && !has(&words, "quantity qty pieces visits views clicks visitors sessions users")
        && !has(&words, "count rate ratio percent pct id code currency type method status name")
}

/// Whether a name says that its values are moments.
pub(crate) fn is_moment(name: &str) -> bool {
    let words = words(name);
    has(&words, "time timestamp ts epoch")
        && !has(&words, "duration elapsed response load zone spent")
        || words.last().is_some_and(|w| w == "at")
}

/// Whether a column has names of properties, of which a column beside it has the values: `user_properties` of `key` and
/// `value`. Whose they are says nothing of what they are called.
pub(crate) fn names_property<'a>(path: &[&str], mut beside: impl Iterator<Item = &'a str>) -> bool {
    const PROPERTIES: &str = "properties property params parameters attributes attribute attrs traits fields dimensions \
        metrics labels tags metadata settings preferences variables vars";
    let [.., of, own] = path else { return false };
    ends_with(&words(of), PROPERTIES)
        && matches!(&*words(own).concat(), "key" | "name" | "k" | "property" | "attribute")
        && beside.any(|name| has(&words(name), "value values val v"))
}

/// What a name says of its column, with the words for why. `path` has the names of the records it is in too.
pub(crate) fn by_name(path: &[&str], has_contacts: bool) -> Option<(Treatment, &'static str)> {
    use Treatment::{Clean, Ip, Pseudonym, Remove};
    let own = words(path.last()?);
    let all: Vec<String> = path.iter().flat_map(|name| words(name)).collect();
    let own_has = |list: &str| has(&own, list);
    let all_has = |list: &str| has(&all, list);
    let last = |list: &str| ends_with(&own, list);
    let whole = own.concat();
    let is = |list: &str| list.split(' ').any(|word| word == whole);
    // Of `http_user_agent` too, whose words are several.
    let ends = |list: &str| list.split(' ').any(|word| whole.ends_with(word));
    // Of a person or not, such words tell of what is about people, not who they are.
    if last(
        "count type status verified valid domain provider version length size rate flag opt consent language country",
    ) {
        return None;
    }
    Some(
        if own_has("password passwd pwd secret apikey authorization cvv cvc pin jwt")
            || last("token")
            || is("accesstoken apikey privatekey")
        {
            (Remove, "its name says that it is a secret")
        } else if own_has("email mail emails correo courriel") && !own_has("subject body template")
            || is("emailaddress")
        {
            (Pseudonym, "its name says that it is an e-mail address")
        } else if own_has("ip ipaddress ipaddr remoteaddr")
            || ends("remoteaddr clientip forwardedfor")
        {
            (Ip, "its name says that it is an address of the network")
        } else if own_has("phone tel telephone mobile cellphone fax msisdn telefon telefono handy")
            // What somebody's phone is, and not who answers it.
            && !last("name brand model make manufacturer os browser app category")
        {
            (Pseudonym, "its name says that it is a phone number")
        } else if own_has("iban pan cardnumber creditcard bic")
            || is("ccnumber cardno kontonummer kontonr accountnumber")
            || own_has("card") && own_has("number no num")
        {
            (Remove, "its name says that it is a number of a card or an account")
        } else if own_has("ssn pesel passport nin dni nif cpf sin aadhaar imei imsi svnr")
            || is("steuerid steuernummer sozialversicherungsnummer")
            || own_has("social") && own_has("security")
            || own_has("tax") && last("id")
        {
            (Pseudonym, "its name says that it is a number of a person")
        } else if own_has(
            "birth birthday birthdate dob geburtsdatum geburtstag naissance nacimiento urodzenia",
        ) || is("dateofbirth")
        {
            (Remove, "its name says that it is a day of birth")
        } else if last("lat latitude lon lng longitude gps coordinates latlng latlon") {
            (Remove, "its name says that it is where somebody is")
        } else if is("ua") || ends("useragent") {
            (Clean, "its name says that it is a user agent")
        } else if own_has(
            "firstname lastname surname forename fullname username login nickname vorname nachname imie nazwisko \
        prenom apellido apellidos cognome voornaam achternaam maiden screenname displayname cardholder kontoinhaber",
        ) || own_has(
            "first last given family full middle sur user login nick display holder",
        ) && last("name")
            || last("name") && all_has(PEOPLE)
            || own.len() == 2 && last("name") && own_has("billing shipping delivery card account invoice payer payee")
            || is("accountholder contactperson createdby updatedby modifiedby approvedby assignedto")
            // In whatever language.
            || has_contacts && is("name name1 name2 nom nombre nome naam first last")
            || last(PEOPLE) && own.len() == 1 && path.len() == 1
        {
            (Pseudonym, "its name says that it is who somebody is")
        } else if own_has(
            "street address addr address1 address2 addressline strasse adresse adres ulica rue calle house",
        ) && !own_has("mac web url contract wallet")
        {
            (Pseudonym, "its name says that it is where somebody lives")
        } else if is("uid cookie session")
            || last(
                "userid customerid clientid visitorid memberid accountid deviceid sessionid anonymousid distinctid cookieid gclid \
            fbclid idfa gaid fingerprint",
            )
            || is("kundennummer kundennr kundenid mitgliedsnummer personalnummer")
            || last("cookie")
            || last("id ids uuid guid key no nr number hash pseudo")
                && (has(&all, PEOPLE)
                    || all_has("account device anonymous session cookie advertising distinct"))
                && (own.len() > 1 || has(&all, PEOPLE))
            || is("mac bssid macaddress macaddr")
            || own_has("mac") && last("address addr")
        {
            (Pseudonym, "by its name it identifies a person or device")
        } else if last("url uri referrer referer href link querystring")
            || is("pageurl landingpage")
        {
            (Clean, "its name says that it is a URL, which may hold addresses and tokens")
        } else if last(
            "comment comments message msg note notes feedback review remark remarks query search searchterm keyword subject body bio \
        freetext complaint kommentar uwagi",
        ) {
            (Clean, "its name says that people write into it what they like")
        } else {
            return None;
        },
    )
}

#[cfg(test)]
mod tests;
