use arrow::array::{ArrayRef, AsArray, Int64Array, ListArray, StringArray, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::Int64Type;
use arrow::util::display::array_value_to_string;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::prelude::SessionContext;

use super::*;
use crate::query::{context, plan};

fn list(values: ArrayRef, lengths: &[usize]) -> ArrayRef {
    let item = Arc::new(Field::new("item", values.data_type().clone(), true));
    Arc::new(ListArray::new(
        item,
        OffsetBuffer::from_lengths(lengths.iter().copied()),
        values,
        None,
    ))
}

/// Two orders: one of two items, of which the first has two tags, and one of none.
fn session() -> SessionContext {
    let context = context(Arc::new(RuntimeEnv::default()));
    let tags = list(Arc::new(StringArray::from(vec!["new", "red"])), &[2, 0]);
    let sku: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
    let pieces: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let fields = [("sku", &sku), ("pieces", &pieces), ("tags", &tags)]
        .map(|(name, array)| Field::new(name, array.data_type().clone(), true));
    let items = StructArray::new(fields.to_vec().into(), vec![sku, pieces, tags], None);
    let orders: [(&str, ArrayRef); 2] =
        [("id", Arc::new(Int64Array::from(vec![7, 8]))), ("items", list(Arc::new(items), &[2, 0]))];
    let orders = orders.map(|(name, array)| (name, array, true));
    let orders = RecordBatch::try_from_iter_with_nullable(orders).expect("a batch");
    let shops: [(&str, ArrayRef); 2] = [
        ("order_id", Arc::new(Int64Array::from(vec![7, 8]))),
        ("shop", Arc::new(StringArray::from(vec!["x", "y"]))),
    ];
    let shops = RecordBatch::try_from_iter(shops).expect("a batch");
    context.register_batch("orders", orders).expect("a table");
    context.register_batch("shops", shops).expect("a table");
    context
}

async fn ask(sql: &str) -> Result<Vec<String>, String> {
    let context = session();
    let plan = plan(&context, sql, &[]).await.map_err(|error| error.to_string())?;
    let frame = context.execute_logical_plan(plan).await.map_err(|error| error.to_string())?;
    let batches = frame.collect().await.map_err(|error| error.to_string())?;
    let mut rows = Vec::new();
    for batch in batches {
        rows.extend((0..batch.num_rows()).map(|row| {
            let cell = |column: &ArrayRef| array_value_to_string(column, row).expect("a text");
            batch.columns().iter().map(cell).collect::<Vec<_>>().join("|")
        }));
    }
    Ok(rows)
}

#[tokio::test]
async fn elements_of_a_column_are_rows_beside_those_of_its_table() {
    let unnested = [
        "FROM orders, UNNEST(orders.items) AS item",
        "FROM orders AS o, UNNEST(o.items) AS item",
        "FROM orders, UNNEST(items) AS item",
        "FROM orders CROSS JOIN UNNEST(orders.items) AS item",
        "FROM orders JOIN UNNEST(orders.items) AS item",
    ];
    for from in unnested {
        let sql = format!(
            "SELECT id, item.sku, item.pieces {from} WHERE item.pieces > 0 ORDER BY item.sku"
        );
        assert_eq!(ask(&sql).await, Ok(vec!["7|a|1".to_owned(), "7|b|2".to_owned()]), "{sql}");
    }
    let sum = "SELECT id, SUM(item.pieces) AS pieces FROM orders, UNNEST(orders.items) AS item GROUP BY id";
    assert_eq!(ask(sum).await, Ok(vec!["7|3".to_owned()]));
    let tags = "SELECT item.sku, tag FROM orders, UNNEST(orders.items) AS item, UNNEST(item.tags) AS tag ORDER BY tag";
    assert_eq!(ask(tags).await, Ok(vec!["a|new".to_owned(), "a|red".to_owned()]));
    let red = "SELECT item.sku, 'red' IN UNNEST(item.tags) AS red FROM orders, UNNEST(items) AS item ORDER BY 1";
    assert_eq!(ask(red).await, Ok(vec!["a|true".to_owned(), "b|false".to_owned()]));
    let joined = "SELECT shop, item.sku FROM orders JOIN shops ON shops.order_id = orders.id CROSS JOIN UNNEST(orders.items) AS item ORDER BY 2";
    assert_eq!(ask(joined).await, Ok(vec!["x|a".to_owned(), "x|b".to_owned()]));
    let lengths = "SELECT id, ARRAY_LENGTH(items) AS n FROM orders ORDER BY id";
    assert_eq!(ask(lengths).await, Ok(vec!["7|2".to_owned(), "8|0".to_owned()]));
}

#[tokio::test]
async fn a_field_is_named_by_its_own_name() {
    let context = session();
    let names = async |sql: &str| -> Vec<String> {
        let plan = plan(&context, sql, &[]).await.expect(sql);
        plan.schema().fields().iter().map(|field| field.name().clone()).collect()
    };
    let from = "FROM orders AS o, UNNEST(o.items) AS item";
    assert_eq!(
        names(&format!("SELECT o.id, item.sku, item.pieces {from}")).await,
        ["id", "sku", "pieces"]
    );
    let twice = names(&format!("SELECT item.sku AS a, item.sku AS b, item.pieces {from}")).await;
    assert_eq!(twice, ["a", "b", "pieces"]);
    let within = "SELECT sku FROM (SELECT item.sku FROM orders, UNNEST(items) AS item) ORDER BY 1";
    assert_eq!(names(within).await, ["sku"]);
    let hiding = "SELECT items, items.pieces FROM orders, UNNEST(items) AS items";
    assert_eq!(names(hiding).await, ["items", "pieces"]);
    let first = "SELECT items[OFFSET(0)].sku, o.items[OFFSET(1)].tags FROM orders AS o";
    assert_eq!(names(first).await, ["sku", "tags"]);
    assert_eq!(ask(within).await, Ok(vec!["a".to_owned(), "b".to_owned()]));
}

#[tokio::test]
async fn a_field_is_taken_of_what_has_no_name() {
    for (selected, wanted) in [
        ("items[SAFE_OFFSET(0)].sku", ["a", ""]),
        ("orders.items[SAFE_ORDINAL(2)].pieces", ["2", ""]),
        ("items[SAFE_OFFSET(0)].tags[SAFE_OFFSET(1)]", ["red", ""]),
        ("(items[SAFE_OFFSET(1)]).`sku`", ["b", ""]),
        ("IFNULL(items[SAFE_OFFSET(0)].sku, 'none')", ["a", "none"]),
    ] {
        let sql = format!("SELECT {selected} AS x FROM orders ORDER BY id");
        assert_eq!(ask(&sql).await, Ok(wanted.map(str::to_owned).to_vec()), "{sql}");
    }
    let any = "SELECT ANY_VALUE(items)[OFFSET(1)].sku FROM orders WHERE id = 7";
    assert_eq!(ask(any).await, Ok(vec!["b".to_owned()]));
    let same = "SELECT items.items[SAFE_OFFSET(0)].sku FROM (SELECT id, items FROM orders) AS items ORDER BY items.id";
    assert_eq!(ask(same).await, Ok(vec!["a".to_owned(), String::new()]));
    let error = ask("SELECT items[OFFSET(0)].'sku' FROM orders").await.expect_err("a text");
    assert!(error.contains("is not taken here"), "{error}");
}

#[tokio::test]
async fn an_element_may_be_called_as_its_column() {
    let of = "FROM orders, UNNEST(orders.items) AS items";
    for (sql, wanted) in [
        (
            "SELECT id, items.sku, items.pieces FROM orders, UNNEST(items) AS items ORDER BY items.sku"
                .to_owned(),
            vec!["7|a|1", "7|b|2"],
        ),
        (
            format!("SELECT items.sku FROM (SELECT items {of}) WHERE items.pieces > 1"),
            vec!["b"],
        ),
        (
            format!("SELECT id, items.sku {of}, UNNEST(items.tags) AS tags WHERE tags = 'red'"),
            vec!["7|a"],
        ),
        (
            format!("SELECT items.sku {of} GROUP BY items.sku HAVING SUM(items.pieces) > 1"),
            vec!["b"],
        ),
        (
            format!("SELECT items.sku AS items {of} GROUP BY items ORDER BY items DESC"),
            vec!["b", "a"],
        ),
        (
            format!(
                "SELECT shop, items.sku {of} JOIN shops ON order_id = id AND items.pieces = 2"
            )
            .replace(", UNNEST", " CROSS JOIN UNNEST"),
            vec!["x|b"],
        ),
        (
            format!("SELECT orders.items[OFFSET(1)].sku AS second, items.sku {of} ORDER BY 2"),
            vec!["b|a", "b|b"],
        ),
    ] {
        let wanted: Vec<String> = wanted.into_iter().map(str::to_owned).collect();
        assert_eq!(ask(&sql).await, Ok(wanted), "{sql}");
    }
    let within =
        format!("SELECT id {of} WHERE EXISTS (SELECT 1 FROM shops WHERE shop = items.sku)");
    let error = ask(&within).await.expect_err("a subquery");
    assert!(error.contains("give it another name"), "{error}");
}

#[tokio::test]
async fn what_is_not_taken_says_what_to_write() {
    for (sql, said) in [
        (
            "SELECT (SELECT SUM(i.pieces) FROM UNNEST(items) AS i) FROM orders",
            "wants its table before it in FROM",
        ),
        (
            "SELECT id FROM orders LEFT JOIN UNNEST(orders.items) AS item",
            "with a comma or CROSS JOIN",
        ),
        ("SELECT * FROM orders, UNNEST(orders.items) AS item", "name the columns"),
        ("SELECT orders.* FROM orders, UNNEST(orders.items) AS item", "name the columns"),
        ("SELECT id FROM orders, UNNEST(orders.items)", "wants a name for its elements"),
        ("SELECT id FROM orders, shops, UNNEST(items) AS item", "say which table has the column"),
        (
            "SELECT id FROM shops LEFT JOIN orders ON orders.id = shops.order_id, UNNEST(orders.items) AS item",
            "outer join",
        ),
    ] {
        let error = ask(sql).await.expect_err(sql);
        assert!(error.contains(said), "{sql}: {error}");
    }
}

#[test]
fn json_is_told_from_text_while_a_query_runs_and_shown_as_text() {
    let json = Field::new("raw", DataType::Utf8, true).with_metadata(json_metadata());
    let item = Field::new("item", DataType::Struct(vec![json.clone()].into()), false);
    let table = Schema::new(vec![json, Field::new_list("items", item, false)]);
    let read = as_read(&table, true);
    assert_eq!(*read.field(0).data_type(), JSON);
    assert!(read.field(1).is_nullable());
    assert_eq!(read.field(2).name(), RECORD_INDEX);
    let raw: ArrayRef = Arc::new(arrow::array::LargeBinaryArray::from_iter_values([b"[1]"]));
    let fields: Fields = vec![Field::new("raw", JSON, true)].into();
    let items = list(Arc::new(StructArray::new(fields, vec![raw.clone()], None)), &[1]);
    let place: ArrayRef = Arc::new(Int64Array::from(vec![0]));
    let batch = RecordBatch::try_new(read.clone(), vec![raw, items, place]).expect("a batch");
    let answer = shown(Answer { schema: read, batches: vec![batch] }).expect("an answer");
    assert!(is_json(answer.schema.field(0)));
    assert_eq!(answer.batches[0].column(0).as_string::<i32>().value(0), "[1]");
    let items = answer.batches[0].column(1).as_list::<i32>().values();
    assert_eq!(items.as_struct().column(0).as_string::<i32>().value(0), "[1]");
    assert_eq!(answer.batches[0].column(2).as_primitive::<Int64Type>().value(0), 0);
    let flat = Schema::new(vec![Field::new("n", DataType::Int64, false)]);
    assert_eq!(*as_read(&flat, false), flat);
}
