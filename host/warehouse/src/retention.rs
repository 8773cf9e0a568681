//! How long rows are kept: whole folders of days go, once all that was written on such a day is too old.
//! The ledger keeps its entries, or objects that are still where they were would be loaded again.

use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use object_store::path::Path;
use object_store::{Error, ObjectStoreExt};

use super::load::date;
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

    /// Removes what of a table was written too long ago. Returns how many files that were.
    pub async fn expire(
        &self,
        table: &TableName,
        now: SystemTime,
    ) -> Result<usize, WarehouseError> {
        let days = self.retention_days.load(Ordering::Relaxed);
        let oldest = now.checked_sub(DAY * days).map(|oldest| format!("{FOLDER}{}", date(oldest)));
        let (Some(oldest), true) = (oldest, days > 0) else { return Ok(0) };
        let mut removed = 0;
        // Files that were replaced first: they are left out because others are there.
        for folder in [replaced(&self.table(table)), self.table(table)] {
            for file in self.list(&folder).await? {
                if day_of(&file.location).is_some_and(|day| day < oldest.as_str()) {
                    match self.store.delete(&file.location).await {
                        Ok(()) => removed += 1,
                        Err(Error::NotFound { .. }) => {}
                        Err(source) => {
                            return Err(self.failed(format!("remove `{}`", file.location), source));
                        }
                    }
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

/// The folder of a day that a file lies in: these names are in the order of days.
fn day_of(path: &Path) -> Option<&str> {
    let folder = path.as_ref().rsplit('/').nth(1)?;
    let day = folder.strip_prefix(FOLDER)?;
    let is_day = day.len() == 10
        && day.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    is_day.then_some(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whole_days_go_when_all_of_them_is_too_old_and_nothing_else_does() {
        let folder = tempfile::tempdir().unwrap();
        let warehouse = Warehouse::open(&folder.path().to_string_lossy()).unwrap();
        let table = TableName { dataset: "d".to_owned(), table: "t".to_owned() };
        let put = async |path: &str| {
            warehouse.store.put(&Path::from(path), "rows".into()).await.unwrap();
        };
        for day in ["2026-11-20", "2026-11-21", "2026-11-22"] {
            put(&format!("d/t/load_date={day}/a.parquet")).await;
            put(&format!("d/u/load_date={day}/a.parquet")).await;
            put(&format!("_replaced/d/t/load_date={day}/live-x-0-0-d.parquet")).await;
        }
        for other in ["d/t/_schema.json", "d/t/b.parquet", "d/t/load_date=x/c.parquet"] {
            put(other).await;
        }
        let left = async || {
            let files = warehouse.list(&Path::ROOT).await.unwrap();
            let mut left: Vec<String> =
                files.iter().map(|file| file.location.to_string()).collect();
            left.retain(|path| path.contains("/t/load_date=2026"));
            left.sort();
            (left, files.len())
        };
        // 2026-11-23T23:59:59Z
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_478_399);
        assert_eq!(date(now), "2026-11-23");
        assert_eq!(warehouse.expire(&table, now).await.unwrap(), 0, "for ever, unless told");
        warehouse.keep_for(2);
        assert_eq!(warehouse.expire(&table, now).await.unwrap(), 2);
        let (days, files) = left().await;
        assert_eq!((days.len(), files), (4, 10));
        assert_eq!(warehouse.expire(&table, now).await.unwrap(), 0);
        // One second later it is another day.
        let later = now + Duration::from_secs(1);
        assert_eq!(warehouse.expire(&table, later).await.unwrap(), 2);
        let wanted = [
            "_replaced/d/t/load_date=2026-11-22/live-x-0-0-d.parquet",
            "d/t/load_date=2026-11-22/a.parquet",
        ];
        assert_eq!(left().await.0, wanted);
    }
}
