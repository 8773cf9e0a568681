//! Whether the clock can be believed, before what is old by it is removed for ever: that of the machine, or of
//! Cloud Storage, which has one of its own.
//!
//! A warehouse remembers when it was last looked at, by whatever process, in [`SEEN`]. Where the clock has not gone
//! on by much since then, it is believed. Where it has, nobody may have been here for long, or it has jumped: it is
//! believed a day after that was first seen, unless it jumps once more. Files that were written meanwhile have the
//! time of the same clock, and tell nothing.

use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use futures::StreamExt;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt};
use serde::{Deserialize, Serialize};

use super::disk::MAX_SMALL_BYTES;
use super::load::date;
use super::{STAGING, Warehouse, WarehouseError};

/// Where a warehouse remembers when it was last looked at.
const SEEN: &str = "_clock.json";
const DAY: Duration = Duration::from_secs(86_400);
/// So far a clock may have gone on since.
const MOST: Duration = DAY.saturating_mul(2);
/// So far it may have gone on while it is doubted: many a warehouse is looked at once a month.
const MOST_IN_DOUBT: Duration = DAY.saturating_mul(32);
/// What is remembered need not be newer.
const OFTEN: Duration = Duration::from_secs(3600);

/// What is remembered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Seen {
    /// When the warehouse was last looked at by a clock that is believed.
    at: SystemTime,
    /// Since when, by the clock itself, it is not, and when it was last looked at since.
    doubted: Option<[SystemTime; 2]>,
}

impl Seen {
    /// What is known once the clock says this.
    fn by(&self, now: SystemTime) -> Self {
        let goes_on =
            |[since, last]: &[SystemTime; 2]| *since <= now && now <= *last + MOST_IN_DOUBT;
        let since = self.doubted.filter(goes_on).map_or(now, |[since, _]| since);
        if now <= self.at + MOST || now >= since + DAY {
            Self { at: now, doubted: None }
        } else {
            Self { at: self.at, doubted: Some([since, now]) }
        }
    }
}

impl Warehouse {
    /// Whether it may really be as late as the clock says. To be asked again and again, also where nothing rests on
    /// it yet.
    pub(super) async fn believes(&self, now: SystemTime) -> Result<bool, WarehouseError> {
        let path = Path::from(SEEN);
        let remembered = self.remembered(&path).await?;
        let before = match &remembered {
            Some(seen) => seen.clone(),
            None => Seen { at: self.newest().await?.unwrap_or(now), doubted: None },
        };
        let seen = before.by(now);
        let last = |seen: &Seen| seen.doubted.map_or(seen.at, |[_, last]| last);
        let is_same = |old: &Seen| {
            let moved = last(&seen).duration_since(last(old)).is_ok_and(|moved| moved < OFTEN);
            moved && seen.doubted.is_some() == old.doubted.is_some()
        };
        let is_believed = seen.doubted.is_none();
        if !remembered.as_ref().is_some_and(is_same) {
            let failed = |source| self.failed(format!("write `{path}`"), source);
            let bytes = serde_json::to_vec(&seen).map_err(|error| {
                failed(Error::Generic { store: "memory", source: error.into() })
            })?;
            match self.store.put(&path, bytes.into()).await {
                // It is what is removed now that gives a full disk its space, and what was remembered before tells
                // enough.
                Err(_) if is_believed && remembered.is_some() => {}
                put => put.map(drop).map_err(failed)?,
            }
        }
        if !is_believed && !self.doubted.swap(true, Ordering::Relaxed) {
            let seen_on = date(seen.at);
            tracing::warn!(
                warehouse = self.uri,
                seen_on,
                "the clock says that this warehouse was not looked at for days: in case it is wrong, nothing is \
                 removed for a day"
            );
        }
        self.doubted.fetch_and(!is_believed, Ordering::Relaxed);
        Ok(is_believed)
    }

    async fn remembered(&self, path: &Path) -> Result<Option<Seen>, WarehouseError> {
        let failed = |source| self.failed(format!("read `{path}`"), source);
        let bytes = match self.store.get(path).await {
            // Nor is one read that is as large as only somebody else makes it.
            Ok(got) if got.meta.size > MAX_SMALL_BYTES => return Ok(None),
            Ok(got) => got.bytes().await.map_err(failed)?,
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(source) => return Err(failed(source)),
        };
        // One that is damaged is written anew.
        Ok(serde_json::from_slice(&bytes).ok())
    }

    /// When a file of it was written last; not those that are being made now.
    async fn newest(&self) -> Result<Option<SystemTime>, WarehouseError> {
        let (mut files, mut newest) = (self.store.list(None), None);
        while let Some(file) = files.next().await {
            match file {
                Ok(file) if file.location.as_ref().starts_with(STAGING) => {}
                Ok(file) => newest = newest.max(Some(file.last_modified)),
                // A folder of somebody else, such as `lost+found`.
                Err(_) if self.disk.is_some() => {}
                Err(source) => return Err(self.failed("list its files".to_owned(), source)),
            }
        }
        Ok(newest.map(SystemTime::from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(days: u32) -> SystemTime {
        SystemTime::UNIX_EPOCH + DAY * (20_000 + days)
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_clock_that_jumps_is_believed_after_a_day() {
        let mut seen = Seen { at: day(0), doubted: None };
        let mut believes = |now: SystemTime| {
            seen = seen.by(now);
            seen.doubted.is_none()
        };
        assert!(believes(day(2)));
        assert!(believes(day(1)), "it was set right");
        assert!(!believes(day(1000)));
        assert!(!believes(day(1000) + MINUTE));
        assert!(!believes(day(1001) - MINUTE), "by whatever process");
        assert!(!believes(day(900)), "it has jumped again");
        assert!(!believes(day(901) - MINUTE));
        assert!(believes(day(2)), "it was set right");
        assert!(!believes(day(1000)));
        assert!(believes(day(1001)));
        assert!(believes(day(1002)));
        assert!(!believes(day(2000)));
        assert!(believes(day(2030)), "nobody came for a month");
        assert!(!believes(day(3000)));
        assert!(!believes(day(3900)), "it has jumped once more");
        assert!(believes(day(3901)));
    }

    #[tokio::test]
    async fn what_is_remembered_is_read_again_and_damage_is_mended() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Warehouse::open(&folder.path().to_string_lossy()).unwrap();
        assert!(open().believes(day(0)).await.unwrap(), "nothing is at stake");
        assert!(!open().believes(day(3)).await.unwrap());
        assert!(!open().believes(day(3) + MINUTE).await.unwrap());
        assert!(open().believes(day(4)).await.unwrap());
        let file = folder.path().join(SEEN);
        for damage in [&b""[..], b"{", b"{\"at\": -1}", &[0; 64]] {
            std::fs::write(&file, damage).unwrap();
            std::fs::File::open(&file).unwrap().set_modified(day(4)).unwrap();
            assert!(open().believes(day(5)).await.unwrap());
            let seen = open().remembered(&Path::from(SEEN)).await.unwrap();
            assert_eq!(seen, Some(Seen { at: day(5), doubted: None }));
        }
        std::fs::File::create(&file).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(open().remembered(&Path::from(SEEN)).await.unwrap(), None);
    }
}
