//! The shop as its visitors see it: steps of a visit, products with prices, URLs and referrers.
//!
//! Products are made by rule, the same for every seed. Some URLs carry what a careless shop puts
//! there (an e-mail address, a token), in plain and in escaped form, for `mask` to find; all
//! are valid JSON text as they stand.

use super::super::dice::{Dice, mix};
use super::super::text::{push_hex, push_number, push_padded};
use super::visitor::Visitor;

/// What a visitor does; the funnel is `Product`, `AddToCart`, `Checkout`, `Purchase`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Page,
    Product,
    Search,
    AddToCart,
    RemoveFromCart,
    Checkout,
    Purchase,
}

impl Step {
    pub(crate) const fn event_type(self) -> &'static str {
        match self {
            Self::Page => "page_view",
            Self::Product => "product_view",
            Self::Search => "search",
            Self::AddToCart => "add_to_cart",
            Self::RemoveFromCart => "remove_from_cart",
            Self::Checkout => "checkout",
            Self::Purchase => "purchase",
        }
    }
}

pub(crate) const PRODUCTS: u16 = 1200;

const CATEGORIES: [&str; 8] =
    ["trousers", "skirts", "blouses", "dresses", "shoes", "jackets", "accessories", "sale"];

pub(crate) fn category(product: u16) -> &'static str {
    CATEGORIES[(mix(u64::from(product)) % 8) as usize]
}

/// In euro cents: 9.90 to 149.95.
pub(crate) fn price(product: u16) -> u64 {
    let hash = mix(u64::from(product) << 16);
    (9 + hash % 141) * 100 + 90 + hash / 1000 % 2 * 5
}

pub(crate) fn push_product_id(out: &mut Vec<u8>, product: u16) {
    out.push(b'P');
    push_padded(out, u64::from(product) + 1, 4);
}

/// A place in the shop.
#[derive(Clone, Copy)]
pub(crate) struct Page {
    pub(crate) step: Step,
    pub(crate) product: u16,
    /// 0 to 255: which of several pages of the same sort it is.
    pub(crate) variant: u8,
}

/// Sorts of `Step::Page`, by variant.
enum Sort {
    Home,
    Category,
    Account,
    Info,
}

impl Page {
    fn sort(self) -> Sort {
        match self.variant {
            0..70 => Sort::Home,
            70..205 => Sort::Category,
            205..230 => Sort::Account,
            _ => Sort::Info,
        }
    }

    fn push_path(self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"https://shop.example.com/");
        let info = ["shipping", "returns", "size-guide", "about", "newsletter"];
        match (self.step, self.sort()) {
            (Step::Page, Sort::Home) => {}
            (Step::Page, Sort::Category) => {
                out.extend_from_slice(b"c/");
                out.extend_from_slice(category(self.product).as_bytes());
            }
            (Step::Page, Sort::Account) => out.extend_from_slice(b"account"),
            (Step::Page, Sort::Info) => {
                out.extend_from_slice(b"info/");
                out.extend_from_slice(info[usize::from(self.variant) % info.len()].as_bytes());
            }
            (Step::Product, _) => {
                out.extend_from_slice(b"product/");
                push_product_id(out, self.product);
            }
            (Step::Search, _) => out.extend_from_slice(b"search"),
            (Step::AddToCart | Step::RemoveFromCart, _) => out.extend_from_slice(b"cart"),
            (Step::Checkout, _) => out.extend_from_slice(b"checkout"),
            (Step::Purchase, _) => out.extend_from_slice(b"order/confirmation"),
        }
    }

    /// Path and query.
    pub(crate) fn push_url(self, out: &mut Vec<u8>, visitor: &Visitor, dice: &mut Dice) {
        self.push_path(out);
        match (self.step, self.sort()) {
            (Step::Page, Sort::Home) => match dice.below(5) {
                0 => {
                    out.extend_from_slice(b"?utm_source=newsletter&utm_medium=email&email=");
                    visitor.push_email(out, "%40");
                }
                1 | 2 => {
                    out.extend_from_slice(b"?utm_source=google&utm_medium=cpc&gclid=");
                    push_hex(out, dice.u64(), 16);
                }
                _ => {}
            },
            (Step::Page, Sort::Category) => {
                out.extend_from_slice(
                    dice.pick(&["?page=", "?sort=price&page=", "?view=grid&page="]).as_bytes(),
                );
                push_number(out, 1 + u64::from(dice.below(5)));
            }
            (Step::Page, Sort::Account) => match dice.below(3) {
                0 => {
                    out.extend_from_slice(b"?reset=1&token=");
                    push_token(out, dice);
                }
                1 => {
                    out.extend_from_slice(b"?email=");
                    visitor.push_email(out, "@");
                }
                _ => {}
            },
            (Step::Page, Sort::Info) => {}
            (Step::Product, _) => {
                out.extend_from_slice(
                    dice.pick(&[
                        "?color=navy",
                        "?color=black",
                        "?size=38",
                        "?ref=list",
                        "?ref=home",
                    ])
                    .as_bytes(),
                );
                if dice.per_mille(20) {
                    out.extend_from_slice(b"&share_to=");
                    visitor.push_email(out, "%40");
                }
            }
            (Step::Search, _) => {
                let (first, second) = (
                    dice.pick(&[
                        "red",
                        "black",
                        "summer",
                        "linen",
                        "long",
                        "wool",
                        "tr%C3%A8s+chic",
                    ]),
                    dice.pick(&[
                        "dress",
                        "jeans",
                        "skirt",
                        "coat",
                        "shirt",
                        "sp%C3%B3dnica",
                        "bag",
                    ]),
                );
                for part in ["?q=", first, "+", second, "&page=1"] {
                    out.extend_from_slice(part.as_bytes());
                }
            }
            (Step::AddToCart | Step::RemoveFromCart, _) => {
                let adds = self.step == Step::AddToCart;
                out.extend_from_slice(if adds { b"?add=" } else { b"?remove=" });
                push_product_id(out, self.product);
            }
            (Step::Checkout, _) => {
                out.extend_from_slice(b"?step=payment");
                if dice.per_mille(400) {
                    out.extend_from_slice(b"&access_token=");
                    push_token(out, dice);
                }
            }
            (Step::Purchase, _) => {
                out.extend_from_slice(b"?order=");
                push_number(out, 10_000_000 + u64::from(dice.below(90_000_000)));
                if dice.per_mille(500) {
                    out.extend_from_slice(b"&email=");
                    visitor.push_email(out, "%40");
                }
            }
        }
    }

    /// What the browser says when going on from here: the path, at times with more.
    pub(crate) fn push_as_referrer(self, out: &mut Vec<u8>, visitor: &Visitor, dice: &mut Dice) {
        self.push_path(out);
        if dice.per_mille(15) {
            out.extend_from_slice(b"?login=");
            visitor.push_email(out, "@");
        }
    }
}

/// Where visitors come from, for their first event; false, with nothing written, if they typed
/// the address.
pub(crate) fn push_outside_referrer(out: &mut Vec<u8>, visitor: &Visitor, dice: &mut Dice) -> bool {
    match dice.below(10) {
        0..4 => return false,
        4..7 => out.extend_from_slice(b"https://www.google.com/"),
        7 => out.extend_from_slice(b"https://www.bing.com/"),
        8 => out.extend_from_slice(
            dice.pick(&[
                "https://l.instagram.com/",
                "https://www.facebook.com/",
                "https://www.pinterest.com/",
            ])
            .as_bytes(),
        ),
        _ => {
            out.extend_from_slice(b"https://news.example.org/read?to=");
            visitor.push_email(out, "%40");
            out.extend_from_slice(b"&token=");
            push_token(out, dice);
        }
    }
    true
}

/// Hexadecimal, or in the form of a JWT.
fn push_token(out: &mut Vec<u8>, dice: &mut Dice) {
    if dice.per_mille(500) {
        push_hex(out, dice.u64(), 16);
        push_hex(out, dice.u64(), 16);
        return;
    }
    const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    out.extend_from_slice(b"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI");
    for end in [b'.', b'A'] {
        for _ in 0..2 {
            let bits = dice.u64();
            out.extend((0..10).map(|i| BASE64[(bits >> (6 * i)) as usize & 63]));
        }
        out.push(end);
    }
}
