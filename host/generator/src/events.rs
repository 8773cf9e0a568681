//! Messages of a web shop's own kit: what a visitor has done since the last one, with what is common to
//! all of it around the list.
//!
//! Out: JSON objects with one to five events each, in order of time, as table `shop_events_raw` has
//! them once they are taken apart: items, tags, parameters as a list of keys and values, and prices in
//! euros, exact to the last digit: with a discount they have four of them behind the point. An event is
//! of about 1.2 KB with its part of what is around it. The last event of a message has an item, so that
//! there is one to spoil.
//!
//! A message that is spoiled as a whole (cut, no UTF-8, too deep, no address) has no event that is whole;
//! of the others one event is spoiled.

mod event;
mod item;

use super::Options;
use super::bad::BadKind;
use super::clicks::event::{TOO_DEEP, truncate};
use super::clicks::page::{PRODUCTS, Page, Step};
use super::clicks::visitor::{Device, Visitor, Visitors};
use super::dice::{Curve, Dice, Weighted, mix};
use super::text::{push_hex, push_number, push_padded, push_text};
use super::time::{DAY_MS, Timestamp, days_from_civil, push_rfc3339};
use event::{Damage, Event};
use item::Item;

const START: Timestamp =
    Timestamp::from_millis(days_from_civil(2026, 1, 5) * DAY_MS + 8 * 3_600_000);
/// Between two events of a message: log-normal, median in ms and spread.
const THINK: (f64, f64) = (9_000.0, 0.9);
const MOST_ITEMS: usize = 6;

pub(super) struct Events {
    seed: u64,
    users: u64,
    dice: Dice,
    visitors: Visitors,
    products: Weighted,
    think: Curve,
    gaps: Curve,
    /// When the next message is sent.
    at: f64,
    /// Mean time between messages, in ms.
    gap: f64,
    made: u64,
}

impl Events {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            seed: options.seed,
            users: options.users.max(1),
            dice: Dice::new(options.seed, b"messages"),
            visitors: Visitors::new(),
            products: Weighted::new((0..PRODUCTS).map(|rank| 1.0 / (f64::from(rank) + 3.0))),
            think: Curve::log_normal(THINK.0, THINK.1),
            gaps: Curve::exponential(),
            at: options.start.unwrap_or(START).millis() as f64,
            gap: 1000.0 / options.rate.unwrap_or(1).max(1) as f64,
            made: 0,
        }
    }

    /// Appends the next message, without line ending. What is spoiled is decided by `spoil` alone.
    pub(super) fn write(&mut self, bad: Option<BadKind>, spoil: &mut Dice, out: &mut Vec<u8>) {
        let start = out.len();
        out.reserve(4096);
        self.at += self.gaps.draw(&mut self.dice) * self.gap;
        let sent_at = self.at as i64;
        let events = self.visit(sent_at);
        let user = self.dice.below_u64(self.users).min(self.dice.below_u64(self.users));
        let device = if self.dice.per_mille(250) { Device::Other } else { Device::Usual };
        let visitor = self.visitors.visitor(user, device);
        // One to one, so that no two messages share a session.
        let session = mix(self.made ^ mix(self.seed ^ 0x6576_656e_7473));
        self.made += 1;

        push_text(out, "{\"session_id\":\"s");
        push_hex(out, session, 16);
        push_text(out, "\",\"sent_at\":\"");
        push_rfc3339(out, sent_at);
        push_text(out, "\",\"context\":{");
        push_context(&visitor, bad, spoil, out);
        push_text(out, "},\"events\":[");
        let spoiled = match bad {
            // The last one has an item.
            Some(BadKind::WrongType | BadKind::NegativePrice) => events.len() - 1,
            Some(_) => spoil.below(events.len() as u32) as usize,
            None => events.len(),
        };
        for (number, event) in events.iter().enumerate() {
            if number > 0 {
                out.push(b',');
            }
            let spoil =
                bad.filter(|_| number == spoiled).map(|kind| Damage { kind, dice: &mut *spoil });
            event.write(&visitor, &mut self.dice, spoil, out);
        }
        push_text(out, "]}");
        if bad == Some(BadKind::TruncatedJson) {
            truncate(out, start, spoil);
        }
    }

    /// What a visitor does before a message is sent.
    fn visit(&mut self, sent_at: i64) -> Vec<Event> {
        let dice = &mut self.dice;
        let count = dice.pick(&[1, 1, 2, 2, 2, 3, 3, 4, 5]);
        // What was put into the cart before.
        let mut cart: Vec<Item> =
            (0..dice.pick(&[0, 0, 1, 2, 3])).map(|_| Item::new(&self.products, dice)).collect();
        let mut looked_at = Item::new(&self.products, dice);
        let mut events: Vec<Event> = Vec::with_capacity(count);
        for number in 0..count {
            let is_last = number + 1 == count;
            let step = match (dice.below(100), cart.is_empty()) {
                (0..12, _) if !is_last => Step::Page,
                (12..20, _) if !is_last => Step::Search,
                (50..70, _) if cart.len() < MOST_ITEMS => Step::AddToCart,
                (70..84, false) => Step::Checkout,
                (84.., false) => Step::Purchase,
                _ => Step::Product,
            };
            let items = match step {
                Step::Product => {
                    looked_at = Item::new(&self.products, dice);
                    vec![looked_at.one()]
                }
                Step::AddToCart => {
                    cart.push(looked_at);
                    vec![looked_at]
                }
                Step::Checkout => cart.clone(),
                Step::Purchase => std::mem::take(&mut cart),
                Step::Page | Step::Search | Step::RemoveFromCart => Vec::new(),
            };
            let product = items.first().map_or(looked_at.product, |item| item.product);
            let page = Page { step, product, variant: dice.u32() as u8 };
            let previous = events.last().map(|event| event.page);
            // Worked out from the end below.
            events.push(Event { at: 0, page, previous, items });
        }
        let mut at = sent_at;
        for event in events.iter_mut().rev() {
            event.at = at;
            at -= 1 + self.think.draw(dice) as i64;
        }
        events
    }
}

/// What is common to the events of a message: who, and by which program.
fn push_context(visitor: &Visitor, bad: Option<BadKind>, spoil: &mut Dice, out: &mut Vec<u8>) {
    push_text(out, "\"user\":{\"id\":\"u");
    push_padded(out, visitor.user, 7);
    push_text(out, "\",\"email\":\"");
    visitor.push_email(out, "@");
    push_text(out, "\",\"ip\":\"");
    if bad == Some(BadKind::BadIp) {
        push_text(out, spoil.pick(&["999.12.7.300", "10.0.0", "2001:db8:::1", "unknown"]));
    } else {
        visitor.push_ip(out);
    }
    push_text(out, "\",\"country\":\"");
    push_text(out, visitor.country.code);
    push_text(out, "\"},\"client\":{\"user_agent\":\"");
    if bad == Some(BadKind::InvalidUtf8) {
        out.extend_from_slice(spoil.pick(&[b"\xff\xfe", b"\xc3(", b"\xa0\xa1"]));
    }
    visitor.push_user_agent(out);
    let traits = mix(visitor.user ^ 0x6c69_656e);
    push_text(out, "\",\"language\":\"");
    push_text(out, ["pl-PL", "de-DE", "cs-CZ", "en-GB", "fr-FR"][(traits % 5) as usize]);
    push_text(out, "\",\"screen\":\"");
    push_text(out, ["1920x1080", "1440x900", "390x844", "412x915"][(traits >> 8 & 3) as usize]);
    push_text(out, "\",\"app_version\":\"4.");
    push_number(out, traits >> 16 & 15);
    push_text(out, "\"}");
    if bad == Some(BadKind::TooDeep) {
        push_text(out, ",\"debug\":");
        out.extend([b'['; TOO_DEEP]);
        out.extend([b']'; TOO_DEEP]);
    }
}

#[cfg(test)]
mod tests;
