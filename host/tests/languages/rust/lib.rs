//! What the SDK can, in one plugin: the same in each language, with the same golden cases.

use clickmill_plugin::lookup;
use clickmill_plugin::prelude::*;

#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// How many items are believed.
    most: usize,
    /// A secret.
    key: String,
}

struct Orders(Config);

impl RowPlugin for Orders {
    type Config = Config;
    const SECRETS: &'static [Secret] = &[Secret::new("key").at_least(20)];

    fn configure(config: Config, _available: &[ColumnSpec]) -> Result<Self, Problems> {
        Ok(Self(config))
    }

    fn needs(&self) -> Needs {
        Needs::new()
            .reads("what", DataType::Text)
            .reads("country", DataType::Text)
            .reads("number", DataType::Int64)
            .reads("day", DataType::Date)
            .reads("flag", DataType::Boolean)
            .reads("ratio", DataType::Float64)
            .reads("clock", DataType::Time)
            .reads("local", DataType::Datetime)
            .reads("instant", DataType::Timestamp)
            .reads("document", DataType::Json)
            .reads("blob", DataType::Blob)
            .reads("user", DataType::Record)
            .reads_list("items", DataType::Record)
            .writes("country", DataType::Text)
            .writes("number", DataType::Int64)
            .writes("day", DataType::Date)
            .writes("flag", DataType::Boolean)
            .writes("ratio", DataType::Float64)
            .writes("clock", DataType::Time)
            .writes("local", DataType::Datetime)
            .writes("instant", DataType::Timestamp)
            .writes("document", DataType::Json)
            .writes("blob", DataType::Blob)
            .writes("seen", DataType::Timestamp)
            .writes("user.email", DataType::Text)
            .writes("items.total", DataType::Decimal)
            .writes("total", DataType::Decimal)
            .writes_list("words", DataType::Text)
            .lookup("countries")
            .multiplies()
    }

    fn row(&self, row: &mut Row<'_>) -> Result<(), Refusal> {
        let what = row.text("what").unwrap_or_default();
        // What is an exception in other languages ends the call here, so that it is refused.
        let exception = |what: &str| reject("exception", what);
        match what {
            "fail" => return Err(exception("as asked")),
            "drop" => {
                row.filter_out();
                return Ok(());
            }
            "now" => row.set("seen", Value::Timestamp(row.ingest_time())),
            "next" => {
                let next = row.require_int64("number")?.checked_add(1);
                row.set("number", next.ok_or_else(|| exception("there is none"))?);
            }
            "secret" => row.set("number", self.0.key.len() as i64),
            "twice" => {
                let number = row.require_int64("number")?;
                row.set("words", Value::list(["first"]));
                row.emit();
                row.set("number", number + 1);
                row.set("words", Value::list(["second"]));
                row.emit();
                return Ok(());
            }
            "many" => {
                for at in 0..1001_i64 {
                    row.set("number", at);
                    row.emit();
                }
                return Ok(());
            }
            "wide" => row.set("words", Value::list(["x".repeat(1_500_000)])),
            words if words.starts_with("words") => {
                row.set("words", Value::list(words.split_whitespace()));
            }
            _ => {}
        }
        if let Some(country) = row.text("country") {
            let found = lookup::find("countries", "name", [country]);
            let mut found = found.map_err(|fault| exception(&fault.message))?;
            row.set("country", found.pop().flatten());
        }
        if let Some(day) = row.date("day") {
            row.set("day", Value::Date(day + 1));
        }
        if let Some(flag) = row.boolean("flag") {
            row.set("flag", !flag);
        }
        if let Some(ratio) = row.float64("ratio") {
            row.set("ratio", ratio * 2.0);
        }
        if let Some(clock) = row.time("clock") {
            row.set("clock", Value::Time(clock + 1));
        }
        if let Some(local) = row.datetime("local") {
            row.set("local", Value::Datetime(local + 1));
        }
        if let Some(instant) = row.timestamp("instant") {
            row.set("instant", Value::Timestamp(instant + 1));
        }
        if let Some(document) = row.json("document") {
            row.set("document", Value::Json(format!("[{document}]")));
        }
        if let Some(blob) = row.blob("blob") {
            row.set("blob", blob.iter().rev().copied().collect::<Vec<u8>>());
        }
        let user = row.record("user");
        if let Some(email) = user.as_ref().and_then(|user| user.text("email")) {
            row.set("user.email", email.to_lowercase());
        }
        let items = row.list("items");
        let (len, most) = (items.len(), self.0.most);
        if len > most {
            let message = format!("has {len} items, wanted {most} at most");
            return Err(reject("too_many", message).column("items"));
        }
        let (mut totals, mut total) = (Vec::new(), Decimal::from_scaled(0));
        for (at, item) in items.records().enumerate() {
            let column = format!("items[{at}].price");
            let Some(price) = item.decimal("price") else {
                return Err(reject("required", format!("`{column}` is missing")).column(column));
            };
            let of_item = price.checked_times(item.int64("quantity").unwrap_or_default());
            total = total.zip(of_item).and_then(|(total, of_item)| total.checked_add(of_item));
            totals.push(of_item.ok_or_else(|| exception("more than 38 digits"))?);
        }
        row.set("items.total", Value::list(totals));
        row.set("total", total.ok_or_else(|| exception("more than 38 digits"))?);
        Ok(())
    }
}

clickmill_plugin::export!(Orders);
