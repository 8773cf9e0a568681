//! What an event is about: a product, how many pieces, and what they cost.

use super::super::clicks::page::{category, price, push_product_id};
use super::super::dice::{Dice, Weighted, mix};
use super::super::text::{push_cents, push_decimal, push_number, push_text};

const BRANDS: [&str; 6] =
    ["Norrland", "Lumi\u{e8}re", "Kopernik", "Atelier 9", "K\u{f8}ge", "Vistula"];
const COLOURS: [&str; 8] = ["navy", "black", "ecru", "olive", "red", "white", "camel", "denim"];

#[derive(Clone, Copy)]
pub(super) struct Item {
    pub(super) product: u16,
    pieces: u8,
    /// In percent.
    discount: u8,
    /// Colour, size and what else there is to choose.
    choice: u16,
}

impl Item {
    pub(super) fn new(products: &Weighted, dice: &mut Dice) -> Self {
        Self {
            product: products.draw(dice) as u16,
            pieces: dice.pick(&[1, 1, 1, 1, 1, 1, 2, 2, 3]),
            discount: dice.pick(&[0, 0, 0, 0, 5, 10, 15, 33]),
            choice: dice.u32() as u16,
        }
    }

    /// A piece of it.
    pub(super) fn one(self) -> Self {
        Self { pieces: 1, ..self }
    }

    /// What all pieces cost, less the discount, in ten-thousandths of a euro: nothing is rounded.
    pub(super) fn revenue(self) -> u64 {
        price(self.product) * (100 - u64::from(self.discount)) * u64::from(self.pieces)
    }

    /// Appends it as an object. `wrong` stands in place of the price, and of the pieces.
    pub(super) fn write(self, wrong: [Option<&str>; 2], out: &mut Vec<u8>) {
        let colour = COLOURS[usize::from(self.choice) % COLOURS.len()];
        let size = 34 + u64::from(self.choice >> 3 & 7) * 2;
        let of_product = mix(u64::from(self.product) << 32);
        push_text(out, "{\"product_id\":\"");
        push_product_id(out, self.product);
        push_text(out, "\",\"name\":\"");
        push_text(out, ["Classic", "Summer", "City", "Soft"][(of_product & 3) as usize]);
        out.push(b' ');
        push_text(out, category(self.product));
        push_text(out, " no. ");
        push_number(out, 100 + of_product % 900);
        push_text(out, "\",\"brand\":\"");
        push_text(out, BRANDS[(of_product >> 16) as usize % BRANDS.len()]);
        push_text(out, "\",\"category\":\"");
        push_text(out, category(self.product));
        push_text(out, "\",\"variant\":\"");
        push_text(out, colour);
        push_text(out, " / ");
        push_number(out, size);
        push_text(out, "\",\"price\":");
        match wrong[0] {
            Some(wrong) => push_text(out, wrong),
            None => push_cents(out, price(self.product)),
        }
        push_text(out, ",\"quantity\":");
        match wrong[1] {
            Some(wrong) => push_text(out, wrong),
            None => push_number(out, u64::from(self.pieces)),
        }
        if self.discount > 0 {
            push_text(out, ",\"discount\":");
            push_decimal(out, price(self.product) * u64::from(self.discount), 4);
        }
        push_text(out, ",\"revenue\":");
        push_decimal(out, self.revenue(), 4);
        push_text(out, ",\"options\":{\"gift_wrap\":");
        push_text(out, if self.choice >> 8 & 7 == 0 { "true" } else { "false" });
        push_text(out, ",\"sizes\":[");
        for (number, offset) in [0, 2, 4].into_iter().enumerate() {
            if number > 0 {
                out.push(b',');
            }
            push_number(out, size + offset);
        }
        push_text(out, "]}}");
    }
}
