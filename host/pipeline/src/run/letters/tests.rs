use arrow::array::{AsArray, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;

use super::*;
use clickmill_core::Fault;

/// A table that takes letters one by one, and does not take all.
#[derive(Default)]
struct Table {
    taken: Mutex<Vec<String>>,
    /// Letters of which it says so.
    refused: Vec<&'static str>,
    /// Letters that fail the append they are in, so that nobody knows which it was.
    fatal: Vec<&'static str>,
    /// After so many it is away, until it is asked again.
    takes: Option<usize>,
    /// For ever.
    away: Mutex<bool>,
}

impl Table {
    fn taken(&self) -> Vec<String> {
        lock(&self.taken).clone()
    }
}

fn failed(transient: bool) -> SinkError {
    SinkError::new(Fault::Environment, transient, std::io::Error::other("it does not answer"))
}

/// What is given away of it.
struct Handle(Arc<Table>);

#[async_trait]
impl Appender for Handle {
    fn overlap(&self) -> usize {
        1
    }

    fn takes_many(&self) -> bool {
        false
    }

    fn min_wait(&self) -> Duration {
        Duration::ZERO
    }

    async fn append(&self, rows: &mut Vec<Rows>, so_far: &mut Appended) -> Result<(), SinkError> {
        let Self(table) = self;
        let mut taken = 0;
        for rows in rows.iter_mut() {
            while rows.rows.num_rows() > 0 {
                let id = rows.rows.column(0).as_string::<i32>().value(0).to_owned();
                if *lock(&table.away) || table.takes == Some(taken) {
                    return Err(failed(true));
                }
                if table.fatal.contains(&id.as_str()) {
                    return Err(failed(false));
                }
                if table.refused.contains(&id.as_str()) {
                    let refused = rows.take_out(&[(0, "not this one".to_owned())]);
                    so_far.refused.extend(refused.expect("rows"));
                    continue;
                }
                taken += 1;
                lock(&table.taken).push(id);
                *rows = rows.part(1..rows.rows.num_rows());
            }
        }
        Ok(())
    }

    async fn close(&self) {}
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("letter_id", DataType::Utf8, false)]))
}

fn batch(ids: &[&str]) -> RecordBatch {
    RecordBatch::try_new(schema(), vec![Arc::new(StringArray::from(ids.to_vec()))]).unwrap()
}

/// Letters that go to a table, with their spool in a folder.
fn letters(folder: &tempfile::TempDir, table: &Arc<Table>) -> Letters {
    let spool = Spool::open(folder.path(), "clicks", "disk/logs.letters", 1 << 20).unwrap();
    let writer = Writer { pipeline: "clicks".to_owned(), schema: schema(), keys: None };
    Letters::new(Box::new(Handle(table.clone())), Arc::new(writer), Some(spool), Arc::default())
}

impl Letters {
    fn spool(&self) -> &Spool {
        self.spool.as_ref().expect("there is one")
    }
}

fn held(letters: &Letters) -> (u64, u64) {
    let held = letters.status.snapshot().spool;
    assert_eq!(held, letters.spool().held().unwrap(), "it is told as it is");
    (held.waiting, held.set_aside)
}

#[tokio::test]
async fn a_file_that_the_table_never_takes_stops_no_other_and_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let table = Arc::new(Table { fatal: vec!["bad"], ..Table::default() });
    let letters = letters(&folder, &table);
    for ids in [&["bad", "with it"][..], &["a", "b"], &["c"]] {
        letters.spool().keep(&batch(ids)).unwrap();
    }
    for _ in 0..3 {
        letters.carry_over_once().await;
        assert_eq!(table.taken(), ["a", "b", "c"]);
        assert_eq!(held(&letters), (0, 2));
    }
}

#[tokio::test]
async fn what_the_table_has_taken_of_a_file_is_not_appended_again() {
    let folder = tempfile::tempdir().unwrap();
    // As a request that is sent in pieces, of which one has no answer.
    let table = Arc::new(Table { takes: Some(2), ..Table::default() });
    let first = letters(&folder, &table);
    first.spool().keep(&batch(&["a", "b", "c", "d", "e"])).unwrap();
    first.carry_over_once().await;
    assert_eq!((table.taken().len(), held(&first)), (2, (3, 0)));
    // Killed here, another process goes on.
    drop(first);
    let second = letters(&folder, &table);
    for _ in 0..3 {
        second.carry_over_once().await;
    }
    assert_eq!(table.taken(), ["a", "b", "c", "d", "e"]);
    assert_eq!(held(&second), (0, 0));
}

#[tokio::test]
async fn letters_that_the_table_refuses_are_set_aside_and_the_others_pass() {
    let folder = tempfile::tempdir().unwrap();
    let table = Arc::new(Table { refused: vec!["x", "y"], ..Table::default() });
    let first = letters(&folder, &table);
    // From the spool, and on their way to the table.
    first.spool().keep(&batch(&["a", "x", "b"])).unwrap();
    first.carry_over_once().await;
    let kept = first.put(batch(&["y", "c"])).await.unwrap();
    assert_eq!(kept, Kept { spooled: 1, ..Kept::default() });
    assert_eq!((table.taken(), held(&first)), (vec!["a".into(), "b".into(), "c".into()], (0, 2)));
    // The next start tries them again, which changes nothing where the table has not changed.
    let next = letters(&folder, &table);
    assert_eq!(held(&next), (2, 0));
    next.carry_over_once().await;
    assert_eq!((table.taken().len(), held(&next)), (3, (0, 2)));
    let mended = Arc::new(Table::default());
    let next = letters(&folder, &mended);
    next.carry_over_once().await;
    assert_eq!((mended.taken().len(), held(&next)), (2, (0, 0)));
}

#[tokio::test]
async fn a_table_that_is_away_is_not_asked_for_every_file_and_takes_all_once_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let table = Arc::new(Table { away: Mutex::new(true), ..Table::default() });
    let letters = letters(&folder, &table);
    let kept = letters.put(batch(&["a"])).await.unwrap();
    assert_eq!(kept, Kept { spooled: 1, retries: 1, ..Kept::default() });
    for id in ["b", "c", "d"] {
        letters.put(batch(&[id])).await.unwrap();
    }
    for _ in 0..5 {
        letters.carry_over_once().await;
        assert_eq!(held(&letters), (4, 0), "none of them is at fault");
    }
    assert!(letters.status.snapshot().spool_oldest_secs.is_some());
    *lock(&table.away) = false;
    letters.carry_over_once().await;
    let mut taken = table.taken();
    taken.sort();
    assert_eq!((taken.join(""), held(&letters)), ("abcd".to_owned(), (0, 0)));
}

#[tokio::test]
async fn two_processes_that_share_a_spool_append_each_letter_once() {
    let folder = tempfile::tempdir().unwrap();
    let table = Arc::new(Table::default());
    let (one, other) = (letters(&folder, &table), letters(&folder, &table));
    for n in 0..20 {
        let from = if n % 2 == 0 { &one } else { &other };
        from.spool().keep(&batch(&[&n.to_string()])).unwrap();
    }
    // The one that comes second leaves them to the first.
    let carrier = one.spool().carrier().unwrap();
    other.carry_over_once().await;
    assert_eq!((table.taken().len(), held(&other)), (0, (20, 0)));
    drop(carrier);
    futures::join!(one.carry_over_once(), other.carry_over_once());
    assert_eq!((table.taken().len(), held(&one)), (20, (0, 0)));
}

#[tokio::test]
async fn where_nothing_can_be_set_aside_what_was_taken_is_still_taken_once() {
    let folder = tempfile::tempdir().unwrap();
    let table = Arc::new(Table { refused: vec!["x"], ..Table::default() });
    let letters = letters(&folder, &table);
    letters.spool().keep(&batch(&["a", "x", "b"])).unwrap();
    let obstacle = folder.path().join("clicks.refused");
    std::fs::write(&obstacle, "").unwrap();
    for _ in 0..3 {
        letters.carry_over_once().await;
        assert_eq!(table.taken(), ["a", "b"]);
    }
    std::fs::remove_file(obstacle).unwrap();
    letters.carry_over_once().await;
    assert_eq!((table.taken().len(), held(&letters)), (2, (0, 1)));
}

#[tokio::test]
async fn another_process_that_carries_over_for_long_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let table = Arc::new(Table::default());
    let (one, other) = (letters(&folder, &table), letters(&folder, &table));
    one.spool().keep(&batch(&["a"])).unwrap();
    let carrier = one.spool().carrier().unwrap();
    other.carry_over_once().await;
    assert!(lock(&other.told).is_none());
    *lock(&other.another) = Instant::now().checked_sub(LONG);
    other.carry_over_once().await;
    assert!(lock(&other.told).is_some());
    drop(carrier);
    other.carry_over_once().await;
    assert!(lock(&other.told).is_none() && lock(&other.another).is_none());
    assert_eq!(table.taken(), ["a"]);
}

#[tokio::test]
async fn without_a_spool_letters_are_held_until_the_table_takes_them() {
    let table = Arc::new(Table { away: Mutex::new(true), ..Table::default() });
    let writer = Writer { pipeline: "clicks".to_owned(), schema: schema(), keys: None };
    let to = Box::new(Handle(table.clone()));
    let letters = Letters::new(to, Arc::new(writer), None, Arc::default());
    let is_back = async {
        tokio::task::yield_now().await;
        assert_eq!(table.taken(), [""; 0]);
        *lock(&table.away) = false;
    };
    let (kept, ()) = tokio::join!(letters.put(batch(&["a", "b"])), is_back);
    assert_eq!(kept.unwrap(), Kept { retries: 1, ..Kept::default() });
    assert_eq!(table.taken(), ["a", "b"]);
    letters.carry_over_once().await;
    assert_eq!(letters.status.snapshot().spool, clickmill_dead_letter::Held::default());
}
