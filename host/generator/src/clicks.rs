//! Click events of a web shop, as they would arrive: sessions of many users, interleaved, in
//! order of time.
//!
//! Out: JSON objects in the shape of table `clicks_raw`, about 590 bytes each. Sessions start at
//! random, more by day than by night; each then walks through the shop by the chances in `NEXT`
//! (look, search, put into the cart, check out, buy, or leave at any point). Response times have
//! a long tail, and slow pages fail more often; a failed step is reported as an `error` and does
//! not count as done, so there is never a purchase without a checkout nor a cart without a view.
//!
//! Memory: one small record per session under way, about 100 for 10,000 users; bounded by
//! `MOST_USERS`. There are no late or repeated events here: delivery faults are another's task.

pub(super) mod event;
pub(super) mod page;
mod user_agents;
pub(super) mod visitor;

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use super::Options;
use super::bad::BadKind;
use super::dice::{Curve, Dice, Weighted, mix};
use super::text::push_number;
use super::time::{DAY_MS, Timestamp, days_from_civil, weekday};
use event::{Event, Item};
use page::{PRODUCTS, Page, Step};
use user_agents::Class;
use visitor::{Device, Visitor, Visitors};

const START: Timestamp =
    Timestamp::from_millis(days_from_civil(2026, 1, 5) * DAY_MS + 8 * 3_600_000);

/// Traffic grows with the users within these bounds: below, so that a test with one user does
/// not run through centuries; above, so that sessions under way fit in memory.
const LEAST_USERS: u64 = 10_000;
const MOST_USERS: u64 = 10_000_000;
const SESSIONS_PER_USER_DAY: f64 = 3.0;
/// What the chances below come to.
const EVENTS_PER_SESSION: f64 = 5.0;
/// Traffic by hour (UTC) and by weekday from Monday, in percent of the mean.
const HOURS: [u16; 24] = [
    40, 25, 17, 14, 16, 28, 52, 78, 98, 112, 120, 124, 122, 118, 116, 120, 130, 145, 165, 185, 190,
    170, 132, 83,
];
const WEEKDAYS: [u16; 7] = [104, 106, 102, 98, 92, 93, 105];

/// Between two events of a session: log-normal, median in ms and spread.
const THINK: (f64, f64) = (14_000.0, 1.0);
const RESPONSE: (f64, f64) = (95.0, 0.85);

/// Chances of the next step in percent, by the last; in the order of `STEPS`, rest: leave.
const STEPS: [Step; 7] = [
    Step::Page,
    Step::Product,
    Step::Search,
    Step::AddToCart,
    Step::RemoveFromCart,
    Step::Checkout,
    Step::Purchase,
];
const NEXT: [[u32; 7]; 7] = [
    [24, 42, 14, 0, 0, 0, 0],
    [14, 43, 8, 12, 0, 0, 0],
    [4, 62, 16, 0, 0, 0, 0],
    [8, 28, 4, 0, 9, 36, 0],
    [16, 40, 8, 0, 0, 0, 0],
    [10, 0, 0, 0, 0, 0, 58],
    [22, 8, 0, 0, 0, 0, 0],
];
const NEXT_FOR_BOTS: [u32; 7] = [30, 62, 0, 0, 0, 0, 0];

struct Session {
    /// When the next event is due; with `number`, the order of events.
    at: i64,
    number: u64,
    visitor: Visitor,
    /// The last step that succeeded.
    done: Step,
    next: Step,
    product: u16,
    pieces: u8,
    previous: Option<Page>,
}

pub(super) struct Clicks {
    seed: u64,
    users: u64,
    dice: Dice,
    under_way: BinaryHeap<Session>,
    sessions: u64,
    /// When the next session begins.
    arrival: f64,
    /// Mean time between sessions, in ms, at average traffic.
    gap: f64,
    /// Traffic is the same at all hours.
    steady: bool,
    visitors: Visitors,
    products: Weighted,
    gaps: Curve,
    think: Curve,
    response: Curve,
}

impl Clicks {
    pub(super) fn new(options: &Options) -> Self {
        let active = options.users.clamp(LEAST_USERS, MOST_USERS) as f64;
        Self {
            seed: options.seed,
            users: options.users.max(1),
            dice: Dice::new(options.seed, b"clicking"),
            under_way: BinaryHeap::new(),
            sessions: 0,
            arrival: options.start.unwrap_or(START).millis() as f64,
            gap: match options.rate {
                Some(rate) => 1000.0 * EVENTS_PER_SESSION / rate.max(1) as f64,
                None => DAY_MS as f64 / (active * SESSIONS_PER_USER_DAY),
            },
            steady: options.rate.is_some(),
            visitors: Visitors::new(),
            products: Weighted::new((0..PRODUCTS).map(|rank| 1.0 / (f64::from(rank) + 3.0))),
            gaps: Curve::exponential(),
            think: Curve::log_normal(THINK.0, THINK.1),
            response: Curve::log_normal(RESPONSE.0, RESPONSE.1),
        }
    }

    /// Appends the next event, without line ending.
    pub(super) fn write(&mut self, bad: Option<BadKind>, spoil: &mut Dice, out: &mut Vec<u8>) {
        while self.under_way.peek().is_none_or(|first| self.arrival < first.at as f64) {
            self.start_session();
        }
        let Some(mut session) = self.under_way.peek_mut() else {
            return;
        };
        let dice = &mut self.dice;

        if session.next == Step::Product {
            session.product = self.products.draw(dice) as u16;
        } else if session.next == Step::AddToCart {
            session.pieces = dice.pick(&[1, 1, 1, 1, 1, 1, 2, 2, 3]);
        }
        let page = Page { step: session.next, product: session.product, variant: dice.u32() as u8 };
        let event = happen(&session, page, self.seed, &self.response, dice);
        event.write(bad, dice, spoil, out);

        if event.error.is_none() {
            session.done = session.next;
        }
        session.previous = Some(page);
        let bot = session.visitor.agent.class == Class::Bot;
        let gives_up = event.error.is_some() && dice.per_mille(350);
        match next_step(session.done, bot, dice).filter(|_| !gives_up) {
            Some(next) => {
                let think = self.think.draw(dice) / if bot { 12.0 } else { 1.0 };
                session.next = next;
                session.at = session.at.saturating_add(1 + think as i64);
            }
            None => {
                PeekMut::pop(session);
            }
        }
    }

    fn start_session(&mut self) {
        let dice = &mut self.dice;
        // The smaller of two: some users come far more often than others.
        let user = dice.below_u64(self.users).min(dice.below_u64(self.users));
        let device = if dice.per_mille(250) { Device::Other } else { Device::Usual };
        self.under_way.push(Session {
            at: self.arrival as i64,
            number: self.sessions,
            visitor: self.visitors.visitor(user, device),
            done: Step::Page,
            next: dice.pick(&[Step::Page, Step::Page, Step::Page, Step::Product, Step::Product]),
            product: self.products.draw(dice) as u16,
            pieces: 1,
            previous: None,
        });
        self.sessions += 1;

        let now = self.arrival as i64;
        let hour = now.rem_euclid(DAY_MS) / 3_600_000;
        let traffic = if self.steady {
            10_000
        } else {
            let weekday = weekday(now.div_euclid(DAY_MS));
            u32::from(HOURS[hour as usize]) * u32::from(WEEKDAYS[weekday])
        };
        self.arrival += self.gaps.draw(dice) * self.gap * 10_000.0 / f64::from(traffic);
    }
}

/// None is to leave.
fn next_step(done: Step, bot: bool, dice: &mut Dice) -> Option<Step> {
    let chances = if bot { &NEXT_FOR_BOTS } else { &NEXT[done as usize] };
    let mut point = dice.below(100);
    for (step, chance) in STEPS.into_iter().zip(*chances) {
        if point < chance {
            return Some(step);
        }
        point -= chance;
    }
    None
}

/// Lets the step succeed or fail.
fn happen(session: &Session, page: Page, seed: u64, response: &Curve, dice: &mut Dice) -> Event {
    let load = match page.step {
        Step::Page => 1.0,
        Step::Product | Step::AddToCart | Step::RemoveFromCart => 1.3,
        Step::Search => 2.0,
        Step::Checkout => 2.6,
        Step::Purchase => 4.0,
    };
    let response_ms = 3 + (response.draw(dice) * load) as u64;
    let failure_per_mille = match response_ms {
        0..400 => 4,
        400..1000 => 25,
        1000..2500 => 120,
        _ => 350,
    };
    let failed = dice.per_mille(failure_per_mille);
    let (status, error) = if failed {
        let (status, message) = failure(page.step, response_ms, dice);
        (status, Some(message))
    } else {
        (if page.step == Step::Page && dice.per_mille(60) { 304 } else { 200 }, None)
    };
    Event {
        at: session.at,
        visitor: session.visitor,
        // One to one, so that no two sessions share an id.
        session: mix(session.number ^ mix(seed)),
        event_type: if failed { "error" } else { page.step.event_type() },
        page,
        previous: session.previous,
        item: match page.step {
            Step::Page | Step::Search => Item::None,
            Step::Product => Item::Product,
            _ => Item::Pieces(session.pieces),
        },
        status,
        error,
        response_ms,
    }
}

fn failure(step: Step, response_ms: u64, dice: &mut Dice) -> (u16, &'static str) {
    if response_ms >= 1000 {
        return dice.pick(&[
            (504, "upstream timed out"),
            (504, "payment gateway timed out after 3 attempts"),
            (503, "service unavailable: connection pool exhausted"),
            (500, "deadline exceeded while reading from catalogue"),
        ]);
    }
    match step {
        Step::Checkout | Step::Purchase => dice.pick(&[
            (402, "payment declined by issuer"),
            (402, "Zahlung abgelehnt: Karte ung\u{fc}ltig"),
            (409, "item no longer in stock"),
        ]),
        _ => dice.pick(&[
            (404, "not found"),
            (403, "session expired"),
            (500, "unexpected token \\\"<\\\" in response"),
            (429, "too many requests"),
        ]),
    }
}

/// Earliest first: the heap gives the greatest.
impl Ord for Session {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl PartialOrd for Session {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Session {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Session {}

#[cfg(test)]
mod tests;
