//! Rows of a clothing shop, in the shape of UCI's `e-shop clothing 2008.csv`.
//!
//! Out: rows of 14 numbers and codes; session ids from 1 upwards, each session's rows together,
//! counted by `order`, in one day and from one country. The shape (how long sessions are, how
//! people stay in a category, which models and countries lead, how days differ) is fitted to the
//! original by the parameters below. The 217 models are made by rule and the same for every seed,
//! so that what is known of a model holds for all files; none of it is the original's data.
//!
//! Days follow from how far along the file is: rows are spread over the same 135 days whether
//! there are a thousand or a billion.

use super::Options;
use super::bad::BadKind;
use super::dice::{Curve, Dice, Weighted};
use super::text::{push_number, push_signed};
use super::time::{DAY_MS, civil_from_days, days_from_civil, weekday};

pub(super) const HEADER: &str = "year;month;day;order;country;session ID;\
    page 1 (main category);page 2 (clothing model);colour;location;model photography;price;\
    price 2;page";

const FIRST_DAY: i64 = days_from_civil(2008, 4, 1);
const DAYS: i64 = 135;
/// The first month was the busiest by half, the rest level.
const BUSY_DAYS: i64 = 30;
const BUSY: f64 = 1.45;
/// Monday first.
const WEEKDAYS: [f64; 7] = [1.13, 1.24, 1.16, 1.04, 0.97, 0.69, 0.77];

/// Rows in a session: log-normal, with these median and spread.
const SESSION_ROWS: (f64, f64) = (3.75, 1.08);

/// Country codes and their sessions in ten thousand; all other codes get `RARE_COUNTRY`.
const COUNTRIES: [(usize, u16); 12] = [
    (29, 8150),
    (9, 941),
    (46, 283),
    (24, 219),
    (44, 100),
    (41, 53),
    (16, 42),
    (21, 42),
    (34, 37),
    (12, 12),
    (27, 11),
    (42, 11),
];
const RARE_COUNTRY: u16 = 3;
const COUNTRY_CODES: usize = 47;

/// Models by colour code, 1 to 14.
const COLOURS: [f64; 14] = [9., 45., 18., 25., 3., 27., 10., 2., 22., 1., 8., 14., 9., 24.];

const PRICES: [i64; 14] = [18, 20, 23, 28, 33, 38, 43, 48, 52, 57, 62, 67, 72, 82];

struct Category {
    letter: u8,
    models: u32,
    /// Of all rows, in percent.
    share: f64,
    /// Index into `PRICES` around which its prices lie.
    usual_price: usize,
}

/// By code, 1 to 4: trousers, skirts, blouses, sale.
const CATEGORIES: [Category; 4] = [
    Category { letter: b'A', models: 43, share: 31.0, usual_price: 6 },
    Category { letter: b'B', models: 33, share: 23.0, usual_price: 8 },
    Category { letter: b'C', models: 59, share: 23.0, usual_price: 6 },
    Category { letter: b'P', models: 82, share: 23.0, usual_price: 5 },
];
/// How often the next click stays in the category, besides returning to it by chance.
const STAY_PER_MILLE: u32 = 750;
/// A page of the shop shows this many models, in six places of three.
const MODELS_PER_PAGE: u32 = 18;

/// What is fixed for a model.
struct Model {
    number: u64,
    colour: i64,
    location: i64,
    photography: i64,
    price: i64,
    above_average: i64,
    page: i64,
}

struct Session {
    id: i64,
    order: i64,
    left: u64,
    /// Year, month, day.
    date: (i64, i64, i64),
    country: i64,
    category: usize,
}

pub(super) struct Shop {
    dice: Dice,
    rows: u64,
    made: u64,
    first_day: i64,
    session: Session,
    days: Weighted,
    countries: Weighted,
    session_rows: Curve,
    categories: Weighted,
    /// Per category: its models and how often each is clicked.
    models: [(Vec<Model>, Weighted); 4],
}

impl Shop {
    pub(super) fn new(options: &Options) -> Self {
        let first_day = options.start.map_or(FIRST_DAY, |start| start.millis().div_euclid(DAY_MS));
        let day_weights = (0..DAYS).map(|day| {
            let season = if day < BUSY_DAYS { BUSY } else { 1.0 };
            season * WEEKDAYS[weekday(first_day + day)]
        });
        let mut countries = [f64::from(RARE_COUNTRY); COUNTRY_CODES];
        for (code, weight) in COUNTRIES {
            countries[code - 1] = f64::from(weight);
        }
        let mut rule = Dice::new(0, b"clothing");
        Self {
            dice: Dice::new(options.seed, b"shoprows"),
            rows: options.rows,
            made: 0,
            first_day,
            session: Session {
                id: 0,
                order: 0,
                left: 0,
                date: civil_from_days(first_day),
                country: 1,
                category: 0,
            },
            days: Weighted::new(day_weights),
            countries: Weighted::new(countries),
            session_rows: Curve::log_normal(SESSION_ROWS.0, SESSION_ROWS.1),
            categories: Weighted::new(CATEGORIES.iter().map(|category| category.share)),
            models: CATEGORIES.each_ref().map(|category| models(category, &mut rule)),
        }
    }

    /// Appends one row, without line ending.
    pub(super) fn write(&mut self, bad: Option<BadKind>, spoil: &mut Dice, out: &mut Vec<u8>) {
        if self.session.left == 0 {
            self.start_session();
        }
        self.made += 1;
        self.session.left -= 1;
        self.session.order += 1;
        if !self.dice.per_mille(STAY_PER_MILLE) {
            self.session.category = self.categories.draw(&mut self.dice);
        }
        let (models, popularity) = &self.models[self.session.category];
        let model = &models[popularity.draw(&mut self.dice)];
        push_row(out, &self.session, model, bad, spoil);
    }

    fn start_session(&mut self) {
        let along = (u128::from(self.made) << 32) / u128::from(self.rows.max(1));
        let day = self.days.at(along as u32) as i64;
        let id = self.session.id + 1;
        self.session = Session {
            id,
            order: 0,
            left: (self.session_rows.draw(&mut self.dice) + 0.5).max(1.0) as u64,
            date: civil_from_days(self.first_day + day),
            country: self.countries.draw(&mut self.dice) as i64 + 1,
            category: self.categories.draw(&mut self.dice),
        };
    }
}

fn models(category: &Category, rule: &mut Dice) -> (Vec<Model>, Weighted) {
    let colours = Weighted::new(COLOURS);
    let mut models: Vec<Model> = (0..category.models)
        .map(|index| Model {
            number: u64::from(index) + 1,
            colour: colours.draw(rule) as i64 + 1,
            location: i64::from(index % MODELS_PER_PAGE / 3) + 1,
            photography: if rule.per_mille(650) { 1 } else { 2 },
            price: price(category, rule),
            above_average: 2,
            page: i64::from(index / MODELS_PER_PAGE) + 1,
        })
        .collect();
    let sum: i64 = models.iter().map(|model| model.price).sum();
    for model in &mut models {
        if model.price * i64::from(category.models) > sum {
            model.above_average = 1;
        }
    }
    // Zipf with a flattened head. What is shown first is clicked most, but not in strict order.
    let popularity = (0..category.models)
        .map(|index| 1.0 / f64::from(10 + index + rule.below(MODELS_PER_PAGE)))
        .collect::<Vec<f64>>();
    (models, Weighted::new(popularity))
}

fn price(category: &Category, rule: &mut Dice) -> i64 {
    let step = category.usual_price + (rule.below(5) + rule.below(5)) as usize;
    PRICES[step.saturating_sub(4).min(PRICES.len() - 1)]
}

/// Columns by their place, for spoiling.
mod at {
    pub(super) const MONTH: usize = 1;
    pub(super) const DAY: usize = 2;
    pub(super) const ORDER: usize = 3;
    pub(super) const COUNTRY: usize = 4;
    pub(super) const SESSION: usize = 5;
    pub(super) const CATEGORY: usize = 6;
    pub(super) const MODEL: usize = 7;
    pub(super) const COLOUR: usize = 8;
    pub(super) const LOCATION: usize = 9;
    pub(super) const PHOTOGRAPHY: usize = 10;
    pub(super) const PRICE: usize = 11;
    pub(super) const PAGE: usize = 13;
}

fn push_row(
    out: &mut Vec<u8>,
    session: &Session,
    model: &Model,
    bad: Option<BadKind>,
    spoil: &mut Dice,
) {
    let (year, month, day) = session.date;
    let mut fields = [
        year,
        month,
        day,
        session.order,
        session.country,
        session.id,
        session.category as i64 + 1,
        0, // the model, which is no number
        model.colour,
        model.location,
        model.photography,
        model.price,
        model.above_average,
        model.page,
    ];
    let mut count = fields.len();
    let mut instead: Option<(usize, &str)> = None;
    match bad {
        Some(BadKind::WrongFieldCount) => count = spoil.pick(&[at::PAGE, fields.len() + 1]),
        Some(BadKind::NotANumber) => {
            let field = spoil.pick(&[at::ORDER, at::SESSION, at::PRICE]);
            instead = Some((field, spoil.pick(&["abc", "n/a", "--", "1o"])));
        }
        Some(BadKind::UnknownCode) => {
            let codes = [at::COUNTRY, at::COLOUR, at::LOCATION, at::PHOTOGRAPHY];
            fields[spoil.pick(&codes)] = 90 + i64::from(spoil.below(10));
        }
        Some(BadKind::BadDate) => {
            let (month, day) = spoil.pick(&[(13, 1), (0, 1), (2, 30), (6, 31), (5, 32), (5, 0)]);
            fields[at::MONTH] = month;
            fields[at::DAY] = day;
        }
        Some(BadKind::ModelCategoryMismatch) => {
            fields[at::CATEGORY] = fields[at::CATEGORY] % CATEGORIES.len() as i64 + 1;
        }
        Some(BadKind::NegativePrice) => fields[at::PRICE] = -model.price,
        _ => {}
    }

    for (index, field) in fields.into_iter().enumerate().take(count) {
        if index > 0 {
            out.push(b';');
        }
        match instead {
            Some((place, text)) if place == index => out.extend_from_slice(text.as_bytes()),
            _ if index == at::MODEL => {
                match bad {
                    Some(BadKind::UnbalancedQuote) => out.push(b'"'),
                    Some(BadKind::InvalidUtf8) => out.push(0xff),
                    _ => {}
                }
                out.push(CATEGORIES[session.category].letter);
                push_number(out, model.number);
            }
            _ => push_signed(out, field),
        }
    }
    if count > fields.len() {
        out.extend_from_slice(b";1");
    }
}

#[cfg(test)]
mod tests;
