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
