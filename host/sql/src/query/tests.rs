use std::fs::{self, File};
use std::path::Path;

use arrow::array::{AsArray, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::Int64Type;
use datafusion::execution::memory_pool::UnboundedMemoryPool;

use super::super::each_once::MOST_MESSAGES;
use super::*;

const FOOTERS: usize = 1 << 20;

/// A table of whole numbers, in several files.
async fn numbers(warehouse: &Warehouse, table: &str, columns: &[&str], rows: &[Vec<i64>]) {
    let name = TableName { dataset: "d".to_owned(), table: table.to_owned() };
    let column = |name: &&str| format!(r#"{{"name": "{name}", "type": "INTEGER"}}"#);
    let schema = format!("[{}]", columns.iter().map(column).collect::<Vec<_>>().join(","));
    let schema = TableSchema::parse(&schema, Path::new("t.json")).unwrap();
    warehouse.ensure_table(&name, &schema).await.unwrap();
    for (number, rows) in rows.chunks(rows.len().div_ceil(3)).enumerate() {
        let column = |at| Int64Array::from_iter_values(rows.iter().map(|row: &Vec<i64>| row[at]));
        let columns = (0..columns.len()).map(|at| Arc::new(column(at)) as _).collect();
        let rows = RecordBatch::try_new(schema.arrow(), columns).unwrap();
        warehouse.enter(&name, &format!("f{number}"), &rows).await.unwrap();
    }
}

/// All rows of an answer, as whole numbers.
fn rows(answer: &Answer) -> Vec<Vec<i64>> {
    let mut all = Vec::new();
    for batch in &answer.batches {
        let columns: Vec<_> =
            batch.columns().iter().map(|column| column.as_primitive::<Int64Type>()).collect();
        let row = |row| columns.iter().map(|column| column.value(row)).collect();
        all.extend((0..batch.num_rows()).map(row));
    }
    all
}

/// Columns of both sides have the same names, and answers are held against loops over the rows.
#[tokio::test]
async fn joins_answer_as_loops_do_whatever_columns_are_called() {
    let folder = tempfile::tempdir().unwrap();
    let uri = folder.path().to_str().unwrap();
    let warehouse = Warehouse::open(uri).unwrap();
    let sorted = |mut rows: Vec<Vec<i64>>| {
        rows.sort();
        rows
    };
    let of = |id: i64, by: i64| vec![id, (id * by) % 7, (id * id + by) % 5, id % 3];
    let x: Vec<Vec<i64>> = (1..=60).map(|id| of(id, 3)).collect();
    let y: Vec<Vec<i64>> = (1..=25).map(|id| of(id, 4)).collect();
    numbers(&warehouse, "x", &["id", "a", "b", "s"], &x).await;
    numbers(&warehouse, "y", &["id", "a", "b", "s"], &y).await;
    let queries = Queries::open(uri, Arc::new(UnboundedMemoryPool::default()), FOOTERS).unwrap();
    let ask = async |sql: &str| {
        let answer = queries.query(sql, &[], Bounds::NONE).await;
        rows(&answer.unwrap_or_else(|error| panic!("{sql}: {error}")))
    };
    let ys = &y;
    let sides = || y.iter().flat_map(|y| x.iter().map(move |x| (x, y)));
    let three = sides().filter(|(x, y)| x[1] == y[2]).flat_map(|(x, y)| {
        let thirds = ys.iter().filter(|q| q[2] == x[2] && q[3] == x[3] && q[0] < 3);
        thirds.map(|_| vec![x[0], x[1], y[2]])
    });
    let three = sorted(three.collect());
    let sql = "SELECT x.id, x.a AS xa, y.b AS yb FROM d.x AS x JOIN d.y AS y ON x.a = y.b \
               JOIN d.y AS q ON q.b = x.b AND q.s = x.s WHERE q.id < 3";
    for order in ["", " ORDER BY x.a", " ORDER BY yb"] {
        assert_eq!(sorted(ask(&format!("{sql}{order}")).await), three, "{order}");
    }
    let both = sides().filter(|(x, y)| x[2] == y[1] && y[1] > x[1] && y[3] < 1);
    let both = sorted(both.map(|(x, y)| vec![x[0], y[0], x[1], y[1]]).collect());
    let alone = ys.iter().filter(|y| x.iter().all(|x| x[2] != y[1]));
    let alone = sorted(alone.map(|y| vec![y[0]]).collect());
    for join in ["RIGHT", "FULL"] {
        let from = format!("FROM d.x AS x {join} JOIN d.y AS y ON x.b = y.a");
        let sql = format!(
            "SELECT x.id AS xi, y.id AS yi, x.a AS xa, y.a AS ya {from} WHERE y.s < 1 AND y.a > x.a"
        );
        assert_eq!(sorted(ask(&sql).await), both, "{join}");
        assert_eq!(sorted(ask(&format!("SELECT y.id {from} WHERE x.a IS NULL")).await), alone);
    }
    // Columns of ORDER BY behind the key of a group that is joined, or whose array becomes rows.
    for sql in [
        "WITH f AS (SELECT a, MIN(b) AS least FROM d.y GROUP BY a) \
         SELECT f.a, x.b, COUNT(*) AS n FROM d.x AS x JOIN f ON x.a = f.a GROUP BY 1, 2 ORDER BY 1, 2",
        "WITH f AS (SELECT DISTINCT a FROM d.y) \
         SELECT DISTINCT f.a, x.b FROM d.x AS x JOIN f ON x.a = f.a ORDER BY 1, 2",
        "WITH f AS (SELECT a, ARRAY_AGG(id ORDER BY b DESC) AS ids FROM d.x GROUP BY a) \
         SELECT f.a, id FROM f, UNNEST(f.ids) AS id ORDER BY f.a, id",
    ] {
        let answer = ask(sql).await;
        assert!(answer.len() > 10 && answer.is_sorted(), "{sql}: {answer:?}");
    }
    // Groups of groups that are joined.
    let sql = "WITH f AS (SELECT a, MIN(b) AS least FROM d.y GROUP BY a), \
               g AS (SELECT f.a AS a, x.b AS b, COUNT(*) AS n FROM d.x AS x JOIN f ON x.a = f.a GROUP BY 1, 2) \
               SELECT a, b, COUNT(*) AS n FROM g GROUP BY a, b";
    assert!(ask(sql).await.iter().all(|row| row[2] == 1));
    // What SELECT computes is not computed of rows that WHERE leaves out.
    for sql in [
        "SELECT id, DIV(b, a) AS r FROM d.x WHERE id = 1",
        "SELECT a, DIV(b, a) AS r FROM d.x WHERE a > 0 AND s > 0",
        "SELECT n, DIV(1, n - 1) AS r FROM (SELECT a, COUNT(*) AS n FROM d.x GROUP BY a) WHERE n > 1",
    ] {
        ask(sql).await;
    }
}

#[tokio::test]
async fn what_a_footer_says_is_read_once() {
    let folder = tempfile::tempdir().unwrap();
    let uri = folder.path().to_str().unwrap();
    let warehouse = Warehouse::open(uri).unwrap();
    let name = TableName { dataset: "d".to_owned(), table: "t".to_owned() };
    let schema = r#"[{"name": "n", "type": "INTEGER", "mode": "REQUIRED"}]"#;
    let schema = TableSchema::parse(schema, Path::new("t.json")).unwrap();
    warehouse.ensure_table(&name, &schema).await.unwrap();
    for file in ["a", "b", "c"] {
        let rows = vec![Arc::new(Int64Array::from(vec![1, 2])) as _];
        let rows = RecordBatch::try_new(schema.arrow(), rows).unwrap();
        warehouse.enter(&name, file, &rows).await.unwrap();
    }
    let memory = Arc::new(UnboundedMemoryPool::default());
    let queries = Queries::open(uri, memory, FOOTERS).unwrap();
    let count = async || {
        let answer = queries.query("SELECT COUNT(*) AS n FROM d.t", &[], Bounds::NONE).await;
        answer.unwrap().batches[0].column(0).as_primitive::<Int64Type>().value(0)
    };
    assert_eq!(count().await, 6);
    let kept = &queries.runtime.cache_manager;
    assert_eq!(kept.get_metadata_cache_limit(), FOOTERS);
    let statistics = kept.get_file_statistic_cache().unwrap();
    assert_eq!((statistics.len(), statistics.cache_limit()), (3, FOOTERS / 2));
    // Nobody who read it again would take it for a file.
    for file in ["a", "b", "c"] {
        let path = folder.path().join(format!("d/t/{file}.parquet"));
        let before = fs::metadata(&path).unwrap();
        fs::write(&path, vec![0; before.len() as usize]).unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        file.set_modified(before.modified().unwrap()).unwrap();
    }
    assert_eq!(count().await, 6);
    // A file that has come since, and one that is written anew.
    let rows = RecordBatch::try_new(schema.arrow(), vec![Arc::new(Int64Array::from(vec![3]))]);
    warehouse.enter(&name, "d", &rows.unwrap()).await.unwrap();
    assert_eq!(count().await, 7);
    let [from, to] = ["d", "a"].map(|file| folder.path().join(format!("d/t/{file}.parquet")));
    fs::copy(from, to).unwrap();
    assert_eq!(count().await, 6);
}

#[tokio::test]
async fn a_column_without_a_name_has_one_in_the_answer_alone() {
    let names = async |sql: &str| {
        let context = context(Arc::new(RuntimeEnv::default()));
        let plan = plan(&context, sql, &[]).await?;
        let answer = executed(context.execute_logical_plan(plan).await?).await?;
        let fields = answer.schema.fields().iter().map(|field| field.name().clone());
        Ok::<_, QueryError>(fields.collect::<Vec<_>>().join(", "))
    };
    for (sql, wanted) in [
        ("SELECT 1, 2 AS b, 3", "f0_, b, f1_"),
        ("SELECT * FROM (SELECT COUNT(*) FROM UNNEST([1]) AS x)", "f0_"),
        ("SELECT 1, * FROM (SELECT 2, 3 AS x, 2)", "f0_, f1_, x, f2_"),
        ("SELECT * FROM (SELECT 2), (SELECT 2)", "f0_, f1_"),
        (
            "WITH t AS (SELECT COUNT(*) FROM UNNEST([1])) SELECT * FROM t AS a CROSS JOIN t AS b",
            "f0_, f1_",
        ),
        ("SELECT * FROM (SELECT 1 UNION ALL SELECT 2 AS b)", "f0_"),
        ("SELECT * FROM UNNEST([1, 2])", "f0_"),
        ("SELECT (x) FROM (SELECT 1 AS x)", "x"),
        ("SELECT COUNT(*) FROM UNNEST([1]) AS x WHERE EXISTS (SELECT 1, 1)", "f0_"),
    ] {
        assert_eq!(names(sql).await.expect(sql), wanted, "{sql}");
    }
    for (sql, said) in [
        ("SELECT f0_ FROM (SELECT 1)", "No field named f0_"),
        ("SELECT `count(*)` FROM (SELECT COUNT(*) FROM UNNEST([1]))", "No field named"),
        ("SELECT -x FROM UNNEST([1]) AS x ORDER BY f0_", "No field named f0_"),
        ("SELECT 1, f0_ FROM (SELECT 2 AS f0_)", "two columns `f0_`"),
    ] {
        let error = names(sql).await.expect_err(sql).to_string();
        assert!(error.contains(said), "{sql}: {error}");
    }
}

/// Some messages come again: in a file, in another, with a later time of writing or an earlier one, and without
/// any time of publishing.
#[tokio::test]
async fn a_view_has_each_message_once_whatever_is_asked_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let uri = folder.path().to_str().unwrap();
    let warehouse = Warehouse::open(uri).unwrap();
    let name = TableName { dataset: "d".to_owned(), table: "t_raw".to_owned() };
    let columns = [
        ("event_date", "INTEGER"),
        ("source", "STRING"),
        ("source_line", "INTEGER"),
        ("message_id", "STRING"),
        ("publish_time", "TIMESTAMP"),
        ("record_index", "INTEGER"),
        ("ingested_at", "INTEGER"),
        ("n", "INTEGER"),
    ];
    let schema = columns.map(|(name, kind)| format!(r#"{{"name": "{name}", "type": "{kind}"}}"#));
    let schema = TableSchema::parse(&format!("[{}]", schema.join(",")), Path::new("t.json"));
    let schema = schema.unwrap();
    warehouse.ensure_table(&name, &schema).await.unwrap();
    let queries = Queries::open(uri, Arc::new(UnboundedMemoryPool::default()), FOOTERS).unwrap();
    let ask = async |sql: String| {
        let answer = queries.query(&sql, &[], Bounds::NONE).await;
        rows(&answer.unwrap_or_else(|error| panic!("{sql}: {error}")))
    };
    let mut written = 0;
    let mut write = async |file: &str, messages: &mut dyn Iterator<Item = i64>| {
        let messages: Vec<i64> = messages.collect();
        let whole = |of: &dyn Fn(i64) -> Option<i64>| {
            Arc::new(messages.iter().map(|message| of(*message)).collect::<Int64Array>()) as _
        };
        let text = |of: &dyn Fn(i64) -> Option<String>| {
            Arc::new(messages.iter().map(|message| of(*message)).collect::<StringArray>()) as _
        };
        // Messages of one number are told apart by their time, and some have none.
        let times =
            messages.iter().map(|message| (message % 11 > 0).then_some(message % 50 * 1000));
        let times: TimestampMicrosecondArray = times.collect();
        let (first, count) = (written, messages.len() as i64);
        written += count;
        let at = |message: i64| (message * 7919 + first) % 1000;
        let rows = RecordBatch::try_new(
            schema.arrow(),
            vec![
                whole(&|message| Some(message % 50 / 10)),
                text(&|message| Some(format!("s{}", message % 2))),
                whole(&|message| Some(message)),
                text(&|message| (message % 13 > 0).then(|| (message / 2).to_string())),
                Arc::new(times.with_timezone("UTC")),
                whole(&|message| (message % 3 > 0).then_some(message % 2)),
                whole(&|message| Some(at(message))),
                whole(&|message| Some(at(message) * 1000 + message % 17)),
            ],
        );
        warehouse.enter(&name, file, &rows.unwrap()).await.unwrap();
    };
    let check = async || {
        for rows in [
            "",
            "WHERE event_date = 2",
            "WHERE event_date IN (1, 3) AND n > 500000",
            "WHERE publish_time > TIMESTAMP '1970-01-01 00:00:00.02 UTC'",
            "WHERE publish_time IS NULL",
            "WHERE n > 500000",
            "WHERE message_id = '77' OR source = 's1'",
            "WHERE n > (SELECT AVG(n) FROM d.t)",
            "WHERE n IN (SELECT MAX(n) FROM d.t GROUP BY event_date)",
        ] {
            let asked = |of: &str| {
                let rows = rows.replace("FROM d.t", &format!("FROM {of}"));
                format!(
                    "SELECT COUNT(*), IFNULL(SUM(n), 0), COUNT(DISTINCT source_line) FROM {of} {rows}"
                )
            };
            let all = "(SELECT * FROM d.t_raw QUALIFY ROW_NUMBER() OVER (PARTITION BY publish_time, \
                       COALESCE(message_id, CONCAT(source, '#', CAST(source_line AS STRING))), \
                       COALESCE(record_index, 0) ORDER BY ingested_at) = 1)";
            assert_eq!(ask(asked("d.t")).await, ask(asked(all)).await, "{rows}");
        }
        let counted = ask("SELECT COUNT(*) FROM d.t".to_owned()).await;
        let rows = ask("SELECT n FROM d.t".to_owned()).await;
        assert_eq!(counted, [[rows.len() as i64]]);
        assert_eq!(ask("SELECT n FROM d.t LIMIT 7".to_owned()).await.len(), 7);
    };
    // None comes again.
    write("a", &mut (0..300).step_by(2)).await;
    check().await;
    write("b", &mut (1..300).step_by(2)).await;
    check().await;
    // A few do, in another file and in their own.
    write("c", &mut (280..320).chain(310..315)).await;
    check().await;
    // More than are told by their moments.
    write("d", &mut (1000..1000 + 2 * MOST_MESSAGES as i64)).await;
    write("e", &mut (1000..1000 + 2 * MOST_MESSAGES as i64)).await;
    check().await;
}
