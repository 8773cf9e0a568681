//! Letters that are sealed, and those whose bytes a sealed letter has.

use std::collections::BTreeSet;

use super::error::ReplayError;
use crate::context::Context;
use clickmill_audit::{Action, Event};
use clickmill_dead_letter::{Contents, Opened, SealKeys};
use clickmill_sink::{Lender, Letter};

/// Opens letters that are sealed, once it is entered that this is done.
pub(super) fn open_all(context: &Context, letters: &mut [Letter]) -> Result<(), ReplayError> {
    let is_sealed = |letter: &&Letter| letter.sealed_with.is_some();
    let lent = |letter: &Letter| {
        let lender = letter.lender.as_ref().filter(|lender| lender.sealed_with.is_some());
        lender.map(|lender| lender.letter_id.clone())
    };
    let sealed = letters.iter().filter(is_sealed);
    let sealed: BTreeSet<String> = sealed
        .flat_map(|letter| [Some(letter.letter_id.clone()), lent(letter)])
        .flatten()
        .collect();
    if sealed.is_empty() {
        return Ok(());
    }
    let detail = format!("letters to be opened: {}", sealed.len());
    let entered = context.audit.enter(Event {
        subject: sealed.iter().cloned().collect::<Vec<_>>().join(", "),
        ..Event::new(&context.actor, Action::Unseal, detail)
    });
    entered.map_err(ReplayError::Audit)?;
    for letter in letters.iter_mut() {
        let Some(key_id) = &letter.sealed_with else { continue };
        match open(context, &letter.letter_id, key_id, &letter.payload)? {
            Opened::Whole(Contents { payload, message, attributes }) => {
                (letter.payload, letter.message, letter.attributes) =
                    (payload.into(), message, attributes);
            }
            Opened::Payload(payload) => letter.payload = payload.into(),
        }
        let Some(Lender { letter_id, sealed_with, payload: Some(lent) }) = &letter.lender else {
            continue;
        };
        letter.payload = match sealed_with {
            None => lent.clone(),
            Some(key_id) => match open(context, letter_id, key_id, lent)? {
                Opened::Whole(Contents { payload, .. }) | Opened::Payload(payload) => {
                    payload.into()
                }
            },
        };
        letter.lender = None;
    }
    Ok(())
}

/// Opens what is sealed of a letter.
fn open(
    context: &Context,
    letter_id: &str,
    key_id: &str,
    sealed: &[u8],
) -> Result<Opened, ReplayError> {
    let keys = context.letters.keys.as_ref();
    let Some(seal) = keys.and_then(|keys| keys.find(key_id)) else {
        let named = keys.into_iter().flat_map(SealKeys::iter);
        let named = named.map(|seal| format!("`{}`", seal.key_id())).collect::<Vec<_>>();
        let named = if named.is_empty() { "no key".to_owned() } else { named.join(", ") };
        let (letter_id, key_id) = (letter_id.to_owned(), key_id.to_owned());
        return Err(ReplayError::NoKey { letter_id, key_id, named });
    };
    Ok(seal.open(sealed, letter_id)?)
}
