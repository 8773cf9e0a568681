use std::fs::{self, File};
use std::path::Path;

use arrow::array::{AsArray, Int64Array};
use arrow::datatypes::Int64Type;
use datafusion::execution::memory_pool::UnboundedMemoryPool;

use super::*;

const FOOTERS: usize = 1 << 20;

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
        ("WITH t AS (SELECT COUNT(*)) SELECT * FROM t AS a CROSS JOIN t AS b", "f0_, f1_"),
        ("SELECT * FROM (SELECT 1 UNION ALL SELECT 2 AS b)", "f0_"),
        ("SELECT * FROM UNNEST([1, 2])", "f0_"),
        ("SELECT (x) FROM (SELECT 1 AS x)", "x"),
        ("SELECT COUNT(*) FROM UNNEST([1]) AS x WHERE EXISTS (SELECT 1, 1)", "f0_"),
    ] {
        assert_eq!(names(sql).await.expect(sql), wanted, "{sql}");
    }
    for (sql, said) in [
        ("SELECT f0_ FROM (SELECT 1)", "No field named f0_"),
        ("SELECT `count(*)` FROM (SELECT COUNT(*))", "No field named"),
        ("SELECT -x FROM UNNEST([1]) AS x ORDER BY f0_", "No field named f0_"),
        ("SELECT 1, f0_ FROM (SELECT 2 AS f0_)", "two columns `f0_`"),
    ] {
        let error = names(sql).await.expect_err(sql).to_string();
        assert!(error.contains(said), "{sql}: {error}");
    }
}
