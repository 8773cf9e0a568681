use serde::{Deserialize, Serialize};

use super::*;
use crate::{DataType, testing};

#[derive(Deserialize, JsonSchema)]
struct Config {}

#[derive(Serialize, Deserialize)]
struct Item {
    name: String,
    price: Decimal,
}

/// A row for each item: what it costs, and the first item with each.
struct Lines;

impl RowPlugin for Lines {
    type Config = Config;

    fn configure(_: Config, _: &[ColumnSpec]) -> Result<Self, Problems> {
        Ok(Self)
    }

    fn needs(&self) -> Needs {
        Needs::new()
            .reads("id", DataType::Text)
            .reads_list("items", DataType::Record)
            .writes("price", DataType::Decimal)
            .writes("items.half", DataType::Decimal)
            .writes("first", DataType::Record)
            .writes("first.name", DataType::Text)
            .writes("first.price", DataType::Decimal)
            .multiplies()
    }

    fn prepare(&self) -> Vec<u8> {
        b"ready".to_vec()
    }

    fn restore(config: &str, prepared: &[u8], _: &[ColumnSpec]) -> Result<Self, Problems> {
        assert_eq!((config, prepared), ("{}", &b"ready"[..]));
        Ok(Self)
    }

    fn row(&self, row: &mut Row<'_>) -> Result<(), Refusal> {
        let items: Vec<Item> = row.get("items")?;
        for item in row.list("items").records() {
            let price = item.decimal("price");
            row.set("price", price);
            let half = |item: &Item| Decimal::from_scaled(item.price.scaled() / 2);
            row.set("items.half", Value::list(items.iter().map(half)));
            row.set_typed("first", &items[0]);
            match item.text("name") {
                Some("cap") => row.emit_refused(reject("no_caps", "a cap").column("items[1].name")),
                Some("bomb") => return Err(reject("no_bombs", "a bomb")),
                _ => row.emit(),
            }
        }
        if items.is_empty() {
            row.filter_out();
        }
        Ok(())
    }
}

fn exact(text: &str) -> Decimal {
    text.parse().expect("a number")
}

fn item(name: &str, price: &str) -> Value {
    Value::record([("name", Value::from(name)), ("price", exact(price).into())])
}

fn orders(items: Vec<Vec<Value>>) -> Vec<crate::Column> {
    let types = Needs::new()
        .writes("id", DataType::Text)
        .writes_list("items", DataType::Record)
        .writes("items.name", DataType::Text)
        .writes("items.price", DataType::Decimal);
    let order = |items| Value::record([("id", Value::from("a")), ("items", Value::List(items))]);
    testing::columns(&types.writes, items.into_iter().map(order))
}

#[test]
fn a_row_becomes_those_that_are_emitted() {
    let columns = orders(vec![
        vec![item("hat", "19.99"), item("cap", "0.01")],
        vec![],
        vec![item("bag", "5"), item("bomb", "6")],
        vec![item("bag", "5")],
    ]);
    let output = testing::run::<Lines>("{}", columns).expect("it runs");
    assert_eq!(output.came_from, Some(vec![0, 0, 1, 2, 3]));
    assert_eq!(output.dropped, [2]);
    let refused: Vec<_> = output.rejections.iter().map(|r| (r.row, r.code.as_str())).collect();
    assert_eq!(refused, [(1, "no_caps"), (3, "no_bombs")]);
    let rows = testing::rows(&output.columns);
    let halves = |halves: &[&str]| {
        Value::list(halves.iter().map(|half| Value::record([("half", exact(half))])))
    };
    for (at, price) in [(0, "19.99"), (1, "0.01")] {
        let wanted = [
            ("price", Value::from(exact(price))),
            ("items", halves(&["9.995", "0.005"])),
            ("first", item("hat", "19.99")),
        ];
        assert_eq!(rows[at], Value::record(wanted));
    }
    let filtered = [("price", Value::Null), ("items", halves(&[])), ("first", Value::Null)];
    assert_eq!(rows[2], Value::record(filtered));
}

#[test]
#[should_panic(expected = "`n` is announced as a list but set to Int64(1)")]
fn a_value_in_the_place_of_a_list_is_a_mistake() {
    let types = Needs::new().writes_list("n", DataType::Int64);
    testing::columns(&types.writes, [Value::record([("n", 1i64)])]);
}

#[test]
#[should_panic(expected = "`r.b` is set but not announced")]
fn a_field_that_is_not_announced_is_a_mistake() {
    let types = Needs::new().writes("r", DataType::Record).writes("r.a", DataType::Int64);
    testing::columns(&types.writes, [Value::record([("r", Value::record([("b", 1i64)]))])]);
}

/// A plugin with a mistake in each way of setting, told by its configuration.
struct Mistaken(String);

#[derive(Deserialize, JsonSchema)]
struct Mistake {
    mistake: String,
}

impl RowPlugin for Mistaken {
    type Config = Mistake;

    fn configure(config: Mistake, _: &[ColumnSpec]) -> Result<Self, Problems> {
        Ok(Self(config.mistake))
    }

    fn needs(&self) -> Needs {
        Needs::new()
            .reads("id", DataType::Text)
            .reads("no", DataType::Text)
            .reads("user.name", DataType::Text)
            .writes("n", DataType::Int64)
    }

    fn row(&self, row: &mut Row<'_>) -> Result<(), Refusal> {
        // What is announced and no test gives is null.
        assert_eq!((row.text("no"), row.text("user.name")), (None, None));
        match self.0.as_str() {
            "unread" => drop(row.text("di")),
            "another read" => drop(row.require_decimal("id")?),
            "no record" => drop(row.text("id.name")),
            "no list" => drop(row.list("id")),
            "any" => drop(row.value("di")),
            "name" => row.set("m", 1i64),
            "type" => row.set("n", "one"),
            "serde" => row.set_typed("m", &1i64),
            _ => row.emit(),
        }
        Ok(())
    }
}

#[test]
fn a_mistake_is_told_with_the_line_of_the_author() {
    static SAID: std::sync::Mutex<Vec<String>> = std::sync::Mutex::new(Vec::new());
    let id = [("id", Value::from("a"))];
    let columns = |types: &[ColumnSpec]| testing::columns(types, [Value::record(id.clone())]);
    let types = Needs::new().writes("id", DataType::Text).writes;
    let here = std::thread::current().id();
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if std::thread::current().id() == here {
            SAID.lock().unwrap().push(info.to_string());
        } else {
            before(info);
        }
    }));
    let mistakes =
        ["name", "type", "serde", "emit", "unread", "another read", "no record", "no list", "any"];
    for mistake in mistakes {
        let config = format!(r#"{{ "mistake": "{mistake}" }}"#);
        let columns = columns(&types);
        let ran = std::panic::catch_unwind(move || testing::run::<Mistaken>(&config, columns));
        assert!(ran.is_err(), "{mistake}");
    }
    let said = SAID.lock().unwrap();
    let lines: Vec<&str> = said.iter().map(|said| said.lines().next().unwrap()).collect();
    assert_eq!(lines.len(), mistakes.len());
    assert!(lines.iter().all(|line| line.contains("row/tests.rs:")), "{lines:?}");
}
