//! The ledger's place in a warehouse: a small file per load.

use std::collections::HashSet;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;

use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectMeta;
use object_store::path::Path;

use super::{Warehouse, WarehouseError};
use clickmill_config::TableName;
use clickmill_core::file;
use clickmill_tables::ledger::{self, Entry, State, TABLE};

/// Up to so many loads a store without a disk is asked for one by one.
const ASKED_ONE_BY_ONE: usize = 16;
/// So many of those questions are on their way at once.
const ASKED_AT_ONCE: usize = 32;
/// So many names a request lists.
const LISTED_AT_ONCE: usize = 1000;
/// So many names at most are listed for each load that is asked for: about half of what asking for each costs.
const LISTED_FOR_EACH: usize = 10;
/// How a Parquet file begins and ends.
const MAGIC: [u8; 4] = *b"PAR1";

impl Warehouse {
    /// Whether a load has happened. What its run could not clear up any more is removed.
    pub(super) async fn is_loaded(
        &self,
        load_id: &str,
        target: &TableName,
    ) -> Result<bool, WarehouseError> {
        let loaded = self.has_entry(load_id, target).await?;
        if loaded {
            self.clear_loaded(load_id).await;
        }
        Ok(loaded)
    }

    /// Which of these loads have happened.
    pub(super) async fn loaded(
        &self,
        load_ids: &[String],
        target: &TableName,
    ) -> Result<HashSet<String>, WarehouseError> {
        if self.disk.is_none() {
            return self.loaded_in_store(load_ids, target).await;
        }
        let mut loaded = HashSet::new();
        for id in load_ids {
            // A look at both ends costs microseconds, and nothing that depends on how many there are.
            let file = self.on_disk(&self.ledger_path(id, target));
            let is_loaded = match file.map(|file| has_both_ends(&file)) {
                Some(Ok(true)) => {
                    self.clear_loaded(id).await;
                    true
                }
                Some(Err(error)) if error.kind() == ErrorKind::NotFound => false,
                Some(Ok(false) | Err(_)) | None => self.is_loaded(id, target).await?,
            };
            if is_loaded {
                loaded.insert(id.clone());
            }
        }
        Ok(loaded)
    }

    /// The same where there is no disk. What it costs depends on how many are asked for, and not on how many have
    /// happened before: what a listing of bounded length does not name is asked for.
    async fn loaded_in_store(
        &self,
        load_ids: &[String],
        target: &TableName,
    ) -> Result<HashSet<String>, WarehouseError> {
        let (mut loaded, is_all) = match load_ids.len() {
            ..=ASKED_ONE_BY_ONE => (HashSet::new(), false),
            _ => self.listed(load_ids, target).await?,
        };
        if is_all {
            return Ok(loaded);
        }
        let unknown = load_ids.iter().filter(|id| !loaded.contains(*id));
        let asked = unknown.map(|id| async move {
            let is_loaded = self.is_loaded(id, target).await?;
            Ok::<_, WarehouseError>(is_loaded.then(|| id.clone()))
        });
        let asked: Vec<_> = asked.collect();
        let found = stream::iter(asked).buffer_unordered(ASKED_AT_ONCE);
        let found: Vec<Option<String>> = found.try_collect().await?;
        loaded.extend(found.into_iter().flatten());
        Ok(loaded)
    }

    /// Which of these loads a listing of the ledger names, and whether it is all of the ledger. A listing gives a
    /// thousand names for what one question costs, and a store keeps what it has confirmed.
    async fn listed(
        &self,
        load_ids: &[String],
        target: &TableName,
    ) -> Result<(HashSet<String>, bool), WarehouseError> {
        let most = LISTED_AT_ONCE.max(load_ids.len().saturating_mul(LISTED_FOR_EACH));
        let folder = self.table(&target.beside(TABLE));
        let listed = self.store.list(Some(&folder)).take(most).try_collect::<Vec<ObjectMeta>>();
        let listed = listed.await;
        let listed = listed.map_err(|source| self.failed(format!("list `{folder}`"), source))?;
        let names = listed.iter().filter_map(|file| file.location.filename());
        let names: HashSet<&str> = names.filter_map(|name| name.strip_suffix(".parquet")).collect();
        let found = load_ids.iter().filter(|id| names.contains(id.as_str())).cloned();
        Ok((found.collect(), listed.len() < most))
    }

    /// Whether a load is in the ledger.
    pub(super) async fn has_entry(
        &self,
        load_id: &str,
        target: &TableName,
    ) -> Result<bool, WarehouseError> {
        self.is_entered(&target.beside(TABLE), load_id).await
    }

    pub(super) fn ledger_path(&self, load_id: &str, target: &TableName) -> Path {
        self.table(&target.beside(TABLE)).join(format!("{load_id}.parquet"))
    }
}

/// Whether a file begins and ends as Parquet does. What a loss of power leaves of an entry does not; the rest
/// of it is looked at by who reads it.
fn has_both_ends(path: &std::path::Path) -> io::Result<bool> {
    let file = file::open(path)?;
    let length = file.metadata()?.len();
    let (mut first, mut last) = ([0; MAGIC.len()], [0; MAGIC.len()]);
    if length < 2 * MAGIC.len() as u64 {
        return Ok(false);
    }
    file.read_exact_at(&mut first, 0)?;
    file.read_exact_at(&mut last, length - MAGIC.len() as u64)?;
    Ok([first, last] == [MAGIC; 2])
}

/// The entry as a Parquet file.
pub(super) fn encode(warehouse: &Warehouse, entry: &Entry) -> Result<Vec<u8>, WarehouseError> {
    let schema = ledger::schema()
        .map_err(|source| WarehouseError::Schema { uri: warehouse.uri.clone(), source })?;
    let row = ledger::row(entry, &State::Committed, &schema);
    warehouse.parquet(&row.map_err(|error| warehouse.small_file(error.into()))?)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;

    use super::*;
    use clickmill_core::{Digest, Micros};

    fn target() -> TableName {
        TableName { dataset: "d".to_owned(), table: "t".to_owned() }
    }

    fn id(number: usize) -> String {
        format!("{number:032x}")
    }

    /// Enters loads of even numbers.
    async fn enter(warehouse: &Warehouse, numbers: std::ops::Range<usize>) {
        for number in numbers.step_by(2) {
            let entry = Entry {
                load_id: id(number),
                pipeline: "p".to_owned(),
                table: target(),
                source: format!("file:///{number}.csv@1"),
                bytes: 1,
                rows_in: 1,
                rows_out: 1,
                rows_rejected: 0,
                rows_filtered: 0,
                plugin_set: Digest::default(),
                started_at: Micros::default(),
                finished_at: Micros::default(),
            };
            let bytes = encode(warehouse, &entry).unwrap();
            let path = warehouse.ledger_path(&id(number), &target());
            warehouse.put_once(&path, bytes).await.unwrap();
        }
    }

    /// Numbers of the loads that have happened, of as many.
    async fn loaded(warehouse: &Warehouse, numbers: std::ops::Range<usize>) -> Vec<usize> {
        let ids: Vec<String> = numbers.clone().map(id).collect();
        let loaded = warehouse.loaded(&ids, &target()).await.unwrap();
        let found: Vec<usize> = numbers.filter(|number| loaded.contains(&id(*number))).collect();
        assert_eq!(found.len(), loaded.len(), "no other is named");
        found
    }

    #[tokio::test]
    async fn few_and_many_loads_are_found_on_a_disk_and_in_a_store() {
        let folder = tempfile::tempdir().unwrap();
        let on_disk = Warehouse::open(folder.path().to_str().unwrap()).unwrap();
        let store = Arc::new(InMemory::new());
        let in_store = Warehouse { store, disk: None, ..on_disk.clone() };
        for warehouse in [&on_disk, &in_store] {
            assert_eq!(loaded(warehouse, 0..100).await, [0; 0]);
            enter(warehouse, 0..90).await;
            // Names of others in the folder are no loads.
            let beside = warehouse.table(&target().beside(TABLE));
            for name in [format!("{}.parquet.damaged", id(1)), "_schema.json".to_owned()] {
                warehouse.store.put(&beside.clone().join(name), "[]".into()).await.unwrap();
            }
            let even: Vec<usize> = (0..90).step_by(2).collect();
            assert_eq!(loaded(warehouse, 0..100).await, even);
            assert_eq!(loaded(warehouse, 84..95).await, [84, 86, 88]);
        }
    }

    #[tokio::test]
    async fn of_a_long_ledger_in_a_store_no_more_is_listed_than_asking_would_cost() {
        let folder = tempfile::tempdir().unwrap();
        let on_disk = Warehouse::open(folder.path().to_str().unwrap()).unwrap();
        let store = Arc::new(InMemory::new());
        let warehouse = Warehouse { store, disk: None, ..on_disk };
        enter(&warehouse, 0..3000).await;
        let ids: Vec<String> = (2900..3000).map(id).collect();
        let (found, is_all) = warehouse.listed(&ids, &target()).await.unwrap();
        // The first thousand names, of loads up to 2000.
        assert_eq!((found.len(), is_all), (0, false));
        let even: Vec<usize> = (2900..3000).step_by(2).collect();
        assert_eq!(loaded(&warehouse, 2900..3000).await, even);
        // Where more is asked for, one listing does.
        let ids: Vec<String> = (0..3000).map(id).collect();
        let (found, is_all) = warehouse.listed(&ids, &target()).await.unwrap();
        assert_eq!((found.len(), is_all), (1500, true));
    }

    #[tokio::test]
    async fn what_a_loss_of_power_leaves_of_an_entry_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let warehouse = Warehouse::open(folder.path().to_str().unwrap()).unwrap();
        enter(&warehouse, 0..10).await;
        let file = |number| warehouse.on_disk(&warehouse.ledger_path(&id(number), &target()));
        let whole = fs::read(file(0).unwrap()).unwrap();
        let mut zeros = whole.clone();
        zeros[whole.len() / 2..].fill(0);
        let left = [&[][..], &b"PAR1"[..], &whole[..100], zeros.as_slice()];
        for (number, left) in [0, 2, 4, 6].into_iter().zip(left) {
            fs::write(file(number).unwrap(), left).unwrap();
        }
        assert_eq!(loaded(&warehouse, 0..20).await, [8]);
        let aside = |number| file(number).unwrap().with_extension("parquet.damaged");
        assert!([0, 2, 4, 6].into_iter().all(|number| aside(number).exists()));
        // A run that was killed right after its entry has left its claim and what it staged.
        let staged = folder.path().join("_staging").join(id(8));
        let claim = staged.with_extension("lock");
        fs::create_dir_all(&staged).unwrap();
        fs::write(&claim, "").unwrap();
        assert_eq!(loaded(&warehouse, 8..9).await, [8]);
        assert!(!staged.exists() && !claim.exists());
    }
}
