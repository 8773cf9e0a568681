//! A click event as a line of JSON, whole or spoiled.
//!
//! In: an [`Event`], all decided. Out: its bytes. Text is written as it is: whatever gets here is
//! already valid within JSON quotes. Fields that do not apply are null from browsers and absent
//! from the app.

use super::super::bad::BadKind;
use super::super::dice::{Dice, mix};
use super::super::text::{push_cents, push_hex, push_number, push_padded};
use super::super::time::{DAY_MS, push_rfc3339};
use super::page::{Page, category, price, push_outside_referrer, push_product_id};
use super::user_agents::Class;
use super::visitor::Visitor;

/// Deeper than parsers go that guard their stack (serde_json: 128).
pub(crate) const TOO_DEEP: usize = 200;
pub(crate) const CENTURY_MS: i64 = 36_525 * DAY_MS;

pub(super) struct Event {
    pub(super) at: i64,
    pub(super) visitor: Visitor,
    pub(super) session: u64,
    pub(super) event_type: &'static str,
    pub(super) page: Page,
    /// None for the first of a session.
    pub(super) previous: Option<Page>,
    pub(super) item: Item,
    pub(super) status: u16,
    /// As it stands between JSON quotes.
    pub(super) error: Option<&'static str>,
    pub(super) response_ms: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Item {
    None,
    /// Looked at.
    Product,
    /// In the cart, this many.
    Pieces(u8),
}

impl Event {
    /// Appends the event, without line ending. `dice` decides details of the good event, `spoil`
    /// those of the spoiling.
    pub(super) fn write(
        &self,
        bad: Option<BadKind>,
        dice: &mut Dice,
        spoil: &mut Dice,
        out: &mut Vec<u8>,
    ) {
        out.reserve(1024);
        let start = out.len();
        let missing = (bad == Some(BadKind::MissingRequired)).then(|| spoil.below(3));
        let wrong_type = (bad == Some(BadKind::WrongType)).then(|| spoil.below(3));

        out.push(b'{');
        let id = [dice.u64(), dice.u64()];
        if missing != Some(0) {
            out.extend_from_slice(b"\"event_id\":\"");
            push_uuid(out, id);
            out.extend_from_slice(b"\",");
        }
        if missing != Some(1) {
            out.extend_from_slice(b"\"event_timestamp\":\"");
            match bad {
                Some(BadKind::BadTimestamp) => out.extend_from_slice(
                    spoil
                        .pick(&[
                            "yesterday",
                            "2026-13-45T25:61:61Z",
                            "2026-02-30T10:00:00.000Z",
                            "05/01/2026 10:11",
                        ])
                        .as_bytes(),
                ),
                Some(BadKind::FutureTimestamp) => {
                    push_rfc3339(out, self.at.saturating_add(CENTURY_MS));
                }
                _ => push_rfc3339(out, self.at),
            }
            out.extend_from_slice(b"\",");
        }
        out.extend_from_slice(b"\"user_id\":\"u");
        push_padded(out, self.visitor.user, 7);
        out.extend_from_slice(b"\",\"session_id\":\"s");
        push_hex(out, self.session, 16);
        if missing != Some(2) {
            out.extend_from_slice(b"\",\"event_type\":\"");
            let event_type = match bad {
                Some(BadKind::UnknownEventType) => {
                    spoil.pick(&["page_veiw", "teleport", "hover", "wishlist_add"])
                }
                _ => self.event_type,
            };
            out.extend_from_slice(event_type.as_bytes());
        }
        out.extend_from_slice(b"\",\"url\":\"");
        self.page.push_url(out, &self.visitor, dice);
        out.extend_from_slice(b"\",");
        self.push_referrer(dice, out);
        self.push_client(bad, wrong_type, spoil, out);
        self.push_item(bad, out);
        self.push_outcome(wrong_type, out);
        if bad == Some(BadKind::TooDeep) {
            out.extend_from_slice(b",\"context\":");
            out.extend([b'['; TOO_DEEP]);
            out.extend([b']'; TOO_DEEP]);
        }
        out.push(b'}');
        if bad == Some(BadKind::TruncatedJson) {
            truncate(out, start, spoil);
        }
    }

    fn push_referrer(&self, dice: &mut Dice, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(b"\"referrer\":\"");
        let any = match self.previous {
            Some(previous) => {
                previous.push_as_referrer(out, &self.visitor, dice);
                true
            }
            None => push_outside_referrer(out, &self.visitor, dice),
        };
        if any {
            out.extend_from_slice(b"\",");
        } else {
            out.truncate(start);
            self.push_none(out, "referrer");
        }
    }

    fn push_client(
        &self,
        bad: Option<BadKind>,
        wrong_type: Option<u32>,
        spoil: &mut Dice,
        out: &mut Vec<u8>,
    ) {
        out.extend_from_slice(b"\"user_agent\":\"");
        if bad == Some(BadKind::InvalidUtf8) {
            out.extend_from_slice(spoil.pick(&[b"\xff\xfe", b"\xc3(", b"\xa0\xa1"]));
        }
        self.visitor.push_user_agent(out);
        out.extend_from_slice(b"\",\"ip\":\"");
        if bad == Some(BadKind::BadIp) {
            let ip = spoil.pick(&["999.12.7.300", "10.0.0", "2001:db8:::1", "unknown"]);
            out.extend_from_slice(ip.as_bytes());
        } else {
            self.visitor.push_ip(out);
        }
        let (open, close): (&[u8], &[u8]) = match wrong_type {
            Some(0) => (b"[\"", b"\"]"),
            _ => (b"\"", b"\""),
        };
        out.extend_from_slice(b"\",\"country\":");
        out.extend_from_slice(open);
        out.extend_from_slice(self.visitor.country.code.as_bytes());
        out.extend_from_slice(close);
        out.push(b',');
    }

    /// Product, category, price, quantity, currency.
    fn push_item(&self, bad: Option<BadKind>, out: &mut Vec<u8>) {
        let negative = bad == Some(BadKind::NegativePrice);
        if self.item == Item::None && !negative {
            for field in ["product_id", "category", "price", "quantity", "currency"] {
                self.push_none(out, field);
            }
            return;
        }
        out.extend_from_slice(b"\"product_id\":\"");
        push_product_id(out, self.page.product);
        out.extend_from_slice(b"\",\"category\":\"");
        out.extend_from_slice(category(self.page.product).as_bytes());
        out.extend_from_slice(b"\",\"price\":");
        if negative {
            out.push(b'-');
        }
        push_cents(out, price(self.page.product) * self.visitor.country.rate / 100);
        out.push(b',');
        if let Item::Pieces(pieces) = self.item {
            out.extend_from_slice(b"\"quantity\":");
            push_number(out, u64::from(pieces));
            out.push(b',');
        } else {
            self.push_none(out, "quantity");
        }
        out.extend_from_slice(b"\"currency\":\"");
        out.extend_from_slice(self.visitor.country.currency.as_bytes());
        out.extend_from_slice(b"\",");
    }

    /// Status, error message, response time: the last field, which is always there.
    fn push_outcome(&self, wrong_type: Option<u32>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\"status_code\":");
        if wrong_type == Some(1) {
            out.extend_from_slice(b"{\"code\":200}");
        } else {
            push_number(out, u64::from(self.status));
        }
        out.push(b',');
        match self.error {
            Some(message) => {
                out.extend_from_slice(b"\"error_message\":\"");
                out.extend_from_slice(message.as_bytes());
                out.extend_from_slice(b"\",");
            }
            None => self.push_none(out, "error_message"),
        }
        out.extend_from_slice(b"\"response_time_ms\":");
        if wrong_type == Some(2) {
            out.extend_from_slice(b"\"fast\"");
        } else {
            push_number(out, self.response_ms);
        }
    }

    fn push_none(&self, out: &mut Vec<u8>, field: &str) {
        if self.visitor.agent.class != Class::App {
            out.push(b'"');
            out.extend_from_slice(field.as_bytes());
            out.extend_from_slice(b"\":null,");
        }
    }
}

/// In the form of a random (version 4) UUID.
pub(crate) fn push_uuid(out: &mut Vec<u8>, [high, low]: [u64; 2]) {
    let low = mix(low);
    push_hex(out, high >> 32, 8);
    out.push(b'-');
    push_hex(out, high >> 16, 4);
    out.extend_from_slice(b"-4");
    push_hex(out, high, 3);
    out.push(b'-');
    out.push(b"89ab"[(low >> 60) as usize & 3]);
    push_hex(out, low >> 48, 3);
    out.push(b'-');
    push_hex(out, low, 12);
}

/// Keeps between a quarter and three quarters of the line, and whole characters: the line is to
/// be bad JSON, not bad UTF-8 as well.
pub(crate) fn truncate(out: &mut Vec<u8>, start: usize, spoil: &mut Dice) {
    let length = out.len() - start;
    let mut keep = start + length / 4 + spoil.below((length / 2) as u32) as usize;
    while keep > start + 1 && out[keep] & 0xc0 == 0x80 {
        keep -= 1;
    }
    out.truncate(keep);
}
