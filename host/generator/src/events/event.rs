//! One event of a message, whole or spoiled.

use super::super::bad::BadKind;
use super::super::clicks::event::{CENTURY_MS, push_uuid};
use super::super::clicks::page::{Page, Step, category, push_outside_referrer};
use super::super::clicks::visitor::Visitor;
use super::super::dice::Dice;
use super::super::text::{push_decimal, push_hex, push_number, push_text};
use super::super::time::push_rfc3339;
use super::item::Item;

pub(super) struct Event {
    pub(super) at: i64,
    pub(super) page: Page,
    /// None for the first of a message.
    pub(super) previous: Option<Page>,
    pub(super) items: Vec<Item>,
}

/// How an event is to be bad. Kinds that spoil the whole message do nothing here.
pub(super) struct Damage<'a> {
    pub(super) kind: BadKind,
    pub(super) dice: &'a mut Dice,
}

/// What is wrong with an event.
#[derive(Default)]
struct Wrong {
    /// The key that is absent.
    missing: Option<&'static str>,
    timestamp: Option<&'static str>,
    is_late: bool,
    event_type: Option<&'static str>,
    /// An item's number, and what stands in place of its price, and of its pieces.
    item: Option<(usize, [Option<&'static str>; 2])>,
    /// The tags are a text.
    tags: bool,
}

impl Wrong {
    fn of(spoil: Option<Damage<'_>>, items: usize) -> Self {
        let none = Self::default();
        let Some(Damage { kind, dice }) = spoil else { return none };
        match kind {
            BadKind::MissingRequired => {
                let missing = dice.pick(&["event_id", "event_timestamp", "event_type"]);
                Self { missing: Some(missing), ..none }
            }
            BadKind::WrongType => {
                let wrong = match dice.below(3) {
                    0 => [Some("\"free\""), None],
                    1 => [None, Some("{\"pieces\":1}")],
                    _ => return Self { tags: true, ..none },
                };
                Self { item: Some((dice.below(items as u32) as usize, wrong)), ..none }
            }
            BadKind::NegativePrice => {
                let wrong = [Some(dice.pick(&["-0.01", "-19.90"])), None];
                Self { item: Some((dice.below(items as u32) as usize, wrong)), ..none }
            }
            BadKind::BadTimestamp => {
                let wrong = dice.pick(&["yesterday", "2026-13-45T25:61:61Z", "2026-02-30T10:00Z"]);
                Self { timestamp: Some(wrong), ..none }
            }
            BadKind::FutureTimestamp => Self { is_late: true, ..none },
            BadKind::UnknownEventType => {
                Self { event_type: Some(dice.pick(&["page_veiw", "teleport", "hover"])), ..none }
            }
            _ => none,
        }
    }
}

impl Event {
    /// Appends the event as an object. `dice` decides its details, the spoil's own what is wrong with it.
    pub(super) fn write(
        &self,
        visitor: &Visitor,
        dice: &mut Dice,
        spoil: Option<Damage<'_>>,
        out: &mut Vec<u8>,
    ) {
        let wrong = Wrong::of(spoil, self.items.len());
        out.push(b'{');
        let id = [dice.u64(), dice.u64()];
        if wrong.missing != Some("event_id") {
            push_text(out, "\"event_id\":\"");
            push_uuid(out, id);
            push_text(out, "\",");
        }
        if wrong.missing != Some("event_timestamp") {
            push_text(out, "\"event_timestamp\":\"");
            match wrong.timestamp {
                Some(text) => push_text(out, text),
                None if wrong.is_late => push_rfc3339(out, self.at.saturating_add(CENTURY_MS)),
                None => push_rfc3339(out, self.at),
            }
            push_text(out, "\",");
        }
        if wrong.missing != Some("event_type") {
            push_text(out, "\"event_type\":\"");
            push_text(out, wrong.event_type.unwrap_or_else(|| self.page.step.event_type()));
            push_text(out, "\",");
        }
        self.push_page(visitor, dice, out);
        push_text(out, ",\"currency\":\"EUR\",\"items\":[");
        for (number, item) in self.items.iter().enumerate() {
            if number > 0 {
                out.push(b',');
            }
            let of_item = wrong.item.filter(|(at, _)| *at == number);
            item.write(of_item.map_or([None; 2], |(_, wrong)| wrong), out);
        }
        push_text(out, "],");
        self.push_params(visitor, dice, out);
        push_text(out, if wrong.tags { ",\"tags\":\"none\"" } else { ",\"tags\":[" });
        if !wrong.tags {
            self.push_tags(out);
        }
        if matches!(self.page.step, Step::Checkout | Step::Purchase) {
            self.push_payment(dice, out);
        }
        out.push(b'}');
    }

    fn push_page(&self, visitor: &Visitor, dice: &mut Dice, out: &mut Vec<u8>) {
        push_text(out, "\"page\":{\"url\":\"");
        self.page.push_url(out, visitor, dice);
        push_text(out, "\",\"title\":\"");
        push_text(
            out,
            match self.page.step {
                Step::Page => "Clothing for every day",
                Step::Search => "Search",
                Step::Checkout => "Checkout",
                Step::Purchase => "Thank you for your order",
                _ => category(self.page.product),
            },
        );
        push_text(out, " | Example Shop\",\"referrer\":");
        let start = out.len();
        out.push(b'"');
        let any = match self.previous {
            Some(previous) => {
                previous.push_as_referrer(out, visitor, dice);
                true
            }
            None => push_outside_referrer(out, visitor, dice),
        };
        if any {
            out.push(b'"');
        } else {
            out.truncate(start);
            push_text(out, "null");
        }
        out.push(b'}');
    }

    /// Keys and values, each value under a name that tells its type.
    fn push_params(&self, visitor: &Visitor, dice: &mut Dice, out: &mut Vec<u8>) {
        let mut first = true;
        let mut key = |out: &mut Vec<u8>, key: &str, of: &str| {
            push_text(out, if std::mem::take(&mut first) { "{\"key\":\"" } else { ",{\"key\":\"" });
            push_text(out, key);
            push_text(out, "\",\"value\":{\"");
            push_text(out, of);
            push_text(out, "\":");
        };
        push_text(out, "\"params\":[");
        let texts = [
            ("campaign", dice.pick(&["autumn_sale", "newsletter_48", "(none)", "retargeting"])),
            ("medium", dice.pick(&["cpc", "email", "organic", "referral"])),
            ("experiment", dice.pick(&["checkout-2:a", "checkout-2:b", "search-rank:b"])),
            ("consent", dice.pick(&["analytics,ads", "analytics", "none"])),
        ];
        for (name, value) in texts {
            key(out, name, "string_value");
            out.push(b'"');
            push_text(out, value);
            push_text(out, "\"}}");
        }
        for (name, most) in [("engagement_ms", 90_000), ("scroll_depth", 100)] {
            key(out, name, "int_value");
            push_number(out, u64::from(dice.below(most)));
            push_text(out, "}}");
        }
        key(out, "load_seconds", "double_value");
        push_decimal(out, 1 + u64::from(dice.below(4000)), 3);
        push_text(out, "}}");
        if dice.per_mille(40) {
            // As careless forms send it: for `mask` to find.
            key(out, "contact", "string_value");
            push_text(out, "\"please write to ");
            visitor.push_email(out, "@");
            push_text(out, "\"}}");
        }
        out.push(b']');
    }

    /// With the bracket that ends them.
    fn push_tags(&self, out: &mut Vec<u8>) {
        let mut tags = vec![self.page.step.event_type()];
        if self.items.len() > 2 {
            tags.push("large_cart");
        }
        if self.page.variant < 64 {
            tags.push("returning");
        }
        for (number, tag) in tags.into_iter().enumerate() {
            push_text(out, if number > 0 { ",\"" } else { "\"" });
            push_text(out, tag);
            out.push(b'"');
        }
        out.push(b']');
    }

    fn push_payment(&self, dice: &mut Dice, out: &mut Vec<u8>) {
        let revenue: u64 = self.items.iter().map(|item| item.revenue()).sum();
        push_text(out, ",\"payment\":{\"order_id\":\"o");
        push_hex(out, dice.u64(), 12);
        push_text(out, "\",\"shipping\":");
        push_text(out, dice.pick(&["0", "4.95", "9.9"]));
        // To six digits behind the point: nothing is rounded.
        push_text(out, ",\"tax\":");
        push_decimal(out, revenue * 19, 6);
        push_text(out, ",\"coupon\":");
        push_text(out, dice.pick(&["null", "null", "\"WELCOME10\"", "\"FRIENDS\""]));
        push_text(out, "}");
    }
}
