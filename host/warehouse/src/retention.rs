//! How long rows are kept: whole folders of days go, once all that was written on such a day is too old.
//! The ledger keeps its entries, or objects that are still where they were would be loaded again.
//!
//! What is removed is gone, so neither a folder's name nor the clock is enough. Another tool may name its
//! folders by other days, so the file must be as old too; and the clock must be one that can be believed.

use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use object_store::path::Path;
use object_store::{Error, ObjectMeta, ObjectStoreExt};

use super::load::date;
use super::log::LOCK;
use super::reading::replaced;
use super::{Warehouse, WarehouseError};
use clickmill_config::TableName;

/// How the names of folders begin that hold what was written on a day.
const FOLDER: &str = "load_date=";
const DAY: Duration = Duration::from_secs(86_400);

impl Warehouse {
    /// From now on rows are kept for so many days after the day on which they were written.
    pub fn keep_for(&self, days: u32) {
        self.retention_days.store(days, Ordering::Relaxed);
    }

    /// Removes what of a table was written too long ago, or as much of it as is done before it is not to go
    /// on. Returns how many files that were.
    pub async fn expire(
        &self,
        table: &TableName,
        now: SystemTime,
        goes_on: impl Fn() -> bool,
    ) -> Result<usize, WarehouseError> {
        let days = self.retention_days.load(Ordering::Relaxed);
        let Some(limit) = now.checked_sub(DAY * days).filter(|_| days > 0) else { return Ok(0) };
        if !goes_on() {
            return Ok(0);
        }
        let is_believed = self.believes(now).await?;
        let oldest = date(limit);
        let is_before = |file: &ObjectMeta| SystemTime::from(file.last_modified) < limit;
        let is_day_over =
            |file: &ObjectMeta| day_of(&file.location).is_some_and(|day| day < &*oldest);
        // A flush is written before it is packed. Its row would be seen again without the pack.
        let mut logged = Vec::new();
        if self.disk.is_some() {
            let log = self.log(table);
            logged = self.list(&log).await?;
            logged.extend(self.list(&replaced(&log)).await?);
        }
        // In this order: what is moved meanwhile is found.
        let mut in_table = self.list(&self.table(table)).await?;
        let mut replaced = self.list(&replaced(&self.table(table))).await?;
        // Those that were set aside too, but not the lock.
        let is_lock = |file: &ObjectMeta| file.location.filename() == Some(LOCK);
        logged.retain(|file| date(file.last_modified.into()) < oldest && !is_lock(file));
        // These were touched when they were replaced, and others hold their rows.
        replaced.retain(is_day_over);
        in_table.retain(|file| is_day_over(file) && is_before(file));
        let mut removed = 0;
        // Files that are left out because others are there come first.
        let files = [logged, replaced, in_table].concat();
        if files.is_empty() || !is_believed {
            return Ok(0);
        }
        for file in files {
            if !goes_on() {
                break;
            }
            match self.store.delete(&file.location).await {
                Ok(()) => removed += 1,
                Err(Error::NotFound { .. }) => {}
                Err(source) => {
                    return Err(self.failed(format!("remove `{}`", file.location), source));
                }
            }
        }
        if removed > 0 {
            let table = table.to_string();
            tracing::info!(table, files = removed, days, "rows beyond their retention are removed");
        }
        Ok(removed)
    }
}

/// The day in whose folder a file lies: their names are in the order of days.
fn day_of(path: &Path) -> Option<&str> {
    let folder = path.as_ref().rsplit('/').nth(1)?;
    let day = folder.strip_prefix(FOLDER)?;
    let is_day = day.len() == 10
        && day.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    is_day.then_some(day)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-23T23:59:59Z
    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_478_399)
    }

    struct Scratch {
        folder: tempfile::TempDir,
        warehouse: Warehouse,
        table: TableName,
    }

    impl Scratch {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let warehouse = Warehouse::open(&folder.path().to_string_lossy()).unwrap();
            let table = TableName { dataset: "d".to_owned(), table: "t".to_owned() };
            Self { folder, warehouse, table }
        }

        /// A file, written so many days before now.
        async fn put(&self, path: &str, days: u32) {
            self.warehouse.store.put(&Path::from(path), "rows".into()).await.unwrap();
            let file = std::fs::File::open(self.folder.path().join(path)).unwrap();
            file.set_modified(now() - DAY * days).unwrap();
        }

        async fn expire(&self, now: SystemTime) -> usize {
            self.warehouse.expire(&self.table, now, || true).await.unwrap()
        }

        async fn left(&self) -> Vec<String> {
            let files = self.warehouse.list(&Path::ROOT).await.unwrap();
            let mut left: Vec<String> =
                files.iter().map(|file| file.location.to_string()).collect();
            left.retain(|path| !path.starts_with("_clock"));
            left.sort();
            left
        }
    }

    #[tokio::test]
    async fn whole_days_go_when_all_of_them_is_too_old_and_nothing_else_does() {
        let scratch = Scratch::new();
        assert_eq!(date(now()), "2026-11-23");
        for (days, day) in [(3, "2026-11-20"), (2, "2026-11-21"), (1, "2026-11-22")] {
            scratch.put(&format!("d/t/load_date={day}/a.parquet"), days).await;
            scratch.put(&format!("d/u/load_date={day}/a.parquet"), days).await;
            // Replaced a moment ago.
            let replaced = format!("_replaced/d/t/load_date={day}/live-x-0-0-d.parquet");
            scratch.put(&replaced, 0).await;
        }
        for other in ["d/t/_schema.json", "d/t/b.parquet", "d/t/load_date=x/c.parquet"] {
            scratch.put(other, 9).await;
        }
        let left = async || {
            let mut left = scratch.left().await;
            let files = left.len();
            left.retain(|path| path.contains("/t/load_date=2026"));
            (left, files)
        };
        assert_eq!(scratch.expire(now()).await, 0, "forever, unless told");
        scratch.warehouse.keep_for(2);
        assert_eq!(scratch.expire(now()).await, 2);
        let (days, files) = left().await;
        assert_eq!((days.len(), files), (4, 10));
        assert_eq!(scratch.expire(now()).await, 0);
        // One second later it is another day.
        assert_eq!(scratch.expire(now() + Duration::from_secs(1)).await, 2);
        let wanted = [
            "_replaced/d/t/load_date=2026-11-22/live-x-0-0-d.parquet",
            "d/t/load_date=2026-11-22/a.parquet",
        ];
        assert_eq!(left().await.0, wanted);
    }

    #[tokio::test]
    async fn what_is_cut_short_removes_no_more_and_is_gone_on_with() {
        let scratch = Scratch::new();
        scratch.put("d/t/load_date=2026-11-20/live-s1-0-1.parquet", 3).await;
        for flush in ["s1-0-d", "s1-1-d"] {
            scratch.put(&format!("_log/d/t/p/{flush}.parquet"), 3).await;
        }
        scratch.put("d/u/load_date=2026-11-23/a.parquet", 0).await;
        scratch.warehouse.keep_for(2);
        let asked = std::cell::Cell::new(0);
        let expire = async |most: u32| {
            asked.set(0);
            let goes_on = || asked.replace(asked.get() + 1) < most;
            scratch.warehouse.expire(&scratch.table, now(), goes_on).await.unwrap()
        };
        // Before it is known whether the clock is right, and before the first file or the second.
        assert_eq!(expire(0).await, 0);
        let mut removed = 0;
        for most in 1..100 {
            let now = expire(most).await;
            removed += now;
            if now > 0 {
                break;
            }
        }
        assert_eq!(removed, 1, "it ends with the first that it may remove");
        assert!(scratch.left().await.iter().any(|path| path.starts_with("d/t/")), "packs go last");
        assert_eq!(scratch.expire(now()).await, 2);
    }

    #[tokio::test]
    async fn a_file_that_was_written_lately_stays_whatever_its_folder_is_called() {
        let scratch = Scratch::new();
        scratch.put("d/t/load_date=1999-12-31/part.parquet", 1).await;
        scratch.warehouse.keep_for(2);
        assert_eq!(scratch.expire(now()).await, 0);
        assert_eq!(scratch.expire(now() + DAY).await, 0);
        scratch.put("d/t/load_date=2026-11-23/a.parquet", 0).await;
        assert_eq!(scratch.expire(now() + 2 * DAY).await, 1);
    }

    #[tokio::test]
    async fn a_clock_that_is_ahead_removes_nothing() {
        let scratch = Scratch::new();
        for (days, day) in [(3, "2026-11-20"), (0, "2026-11-23")] {
            scratch.put(&format!("d/t/load_date={day}/a.parquet"), days).await;
        }
        let ahead = now() + 400 * DAY;
        scratch.warehouse.keep_for(2);
        assert_eq!(scratch.expire(ahead).await, 0);
        // What is written meanwhile has the time of the same clock.
        let path = scratch.folder.path().join("d/t/load_date=2026-11-23/a.parquet");
        std::fs::File::open(path).unwrap().set_modified(ahead).unwrap();
        assert_eq!(scratch.expire(ahead).await, 0);
        // Another process by the same clock, and one by whose clock it is so early.
        let uri = scratch.folder.path().to_string_lossy().into_owned();
        let other = Scratch { warehouse: Warehouse::open(&uri).unwrap(), ..scratch };
        other.warehouse.keep_for(2);
        assert_eq!(other.expire(ahead + Duration::from_secs(1)).await, 0);
        assert_eq!(other.expire(now()).await, 1);
    }

    #[tokio::test]
    async fn a_disk_that_takes_nothing_any_more_is_given_its_space() {
        let scratch = Scratch::new();
        scratch.warehouse.keep_for(2);
        scratch.put("d/t/load_date=2026-11-23/a.parquet", 0).await;
        assert_eq!(scratch.expire(now()).await, 0);
        scratch.put("d/t/load_date=2026-11-20/a.parquet", 3).await;
        // Nothing can be made any more.
        let staging = scratch.folder.path().join("_staging");
        let _ = std::fs::remove_dir_all(&staging);
        std::fs::write(&staging, "in the way").unwrap();
        let later = now() + DAY / 4;
        assert_eq!(scratch.expire(later).await, 1);
        // Where nothing is remembered, nothing is known of the clock.
        std::fs::remove_file(scratch.folder.path().join("_clock.json")).unwrap();
        assert!(scratch.warehouse.expire(&scratch.table, later, || true).await.is_err());
    }

    #[tokio::test]
    async fn a_clock_that_jumps_under_a_stream_removes_nothing_for_a_day() {
        let scratch = Scratch::new();
        scratch.warehouse.keep_for(2);
        scratch.put("d/t/load_date=2026-11-23/a.parquet", 0).await;
        assert_eq!(scratch.expire(now()).await, 0);
        let ahead = now() + 400 * DAY;
        for hours in [0, 1, 23] {
            let now = ahead + Duration::from_secs(hours * 3600);
            // Its own flushes.
            let path = format!("d/t/load_date=2027-12-28/{hours}.parquet");
            scratch.put(&path, 0).await;
            let file = std::fs::File::open(scratch.folder.path().join(path)).unwrap();
            file.set_modified(now).unwrap();
            assert_eq!(scratch.expire(now).await, 0, "{hours}");
        }
        assert_eq!(scratch.expire(ahead + DAY).await, 1);
    }

    #[tokio::test]
    async fn the_log_goes_with_the_days_that_it_was_packed_into() {
        let scratch = Scratch::new();
        let packed = "d/t/load_date=2026-11-20/live-s1-0-1.parquet";
        scratch.put(packed, 3).await;
        scratch.put("_log/d/t/p/s1-0-d.parquet", 3).await;
        scratch.put("_log/d/t/p/s1-1-d.parquet", 3).await;
        scratch.put("_log/d/t/p/s2-0-d.parquet", 1).await;
        scratch.put("_log/d/t/p/s2-1-d.parquet.damaged", 3).await;
        scratch.put("_log/d/t/p/lock", 3).await;
        scratch.put("_log/d/u/p/s3-0-d.parquet", 3).await;
        scratch.warehouse.keep_for(2);
        assert_eq!(scratch.expire(now()).await, 4);
        let wanted = ["_log/d/t/p/lock", "_log/d/t/p/s2-0-d.parquet", "_log/d/u/p/s3-0-d.parquet"];
        assert_eq!(scratch.left().await, wanted);
    }
}
