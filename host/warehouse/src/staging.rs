//! Removes what processes have left in the staging folder that were killed, or lost to a faster one.
//!
//! On a disk everything of a living process is locked: a file in the making (`….part`) itself, and the
//! folder `<id>` of a load by its claim, `<id>.lock`. All else may be removed at any time. In Cloud Storage,
//! which has no locks, age decides, and a load that was decided for and not ended is ended: nobody may come to its
//! object again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, SystemTime};

use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt};

use super::decision::is_decision;
use super::{STAGING, Warehouse, WarehouseError};
use clickmill_core::durable;

/// After so long without a write a file counts as abandoned, where no lock tells.
const ABANDONED: Duration = Duration::from_secs(7 * 24 * 3600);
/// After so long its moves are made for a load that was decided for: the same that it makes, should it live.
const INTERRUPTED: Duration = Duration::from_secs(3600);

impl Warehouse {
    /// A name in the staging folder for a file in the making.
    pub(super) fn part(&self) -> Path {
        Path::from(STAGING).join(format!("{:016x}.part", rand::random::<u64>()))
    }

    /// The time by the clock that gives files their times, since ages are not to rest on the clocks of two
    /// machines. A store tells it by a file that is put for this.
    pub async fn now(&self) -> Result<SystemTime, WarehouseError> {
        if self.disk.is_some() {
            return Ok(SystemTime::now());
        }
        let path = self.part();
        let failed = |source| self.failed("ask what time it is".to_owned(), source);
        self.store.put(&path, Vec::new().into()).await.map_err(failed)?;
        let probe = self.store.head(&path).await;
        // One that stays is swept.
        let _ = self.store.delete(&path).await;
        let probe = probe.map_err(failed)?;
        Ok(probe.last_modified.into())
    }

    /// Removes what is abandoned. What can't be removed now is removed by a later run.
    ///
    /// # Errors
    ///
    /// Rows of a load that has not happened can't be removed from a table on a disk, where they are seen.
    pub(super) async fn sweep(&self, now: SystemTime) -> Result<(), WarehouseError> {
        match &self.disk {
            Some(disk) => {
                let staging = disk.at(&Path::from(STAGING));
                // Of what lies behind another user's link nothing is removed.
                if disk.check_way(staging.join("any")).is_ok() {
                    return self.sweep_disk(&staging, now).await;
                }
            }
            None => {
                // What can't be listed is swept next time.
                let files = self.list(&Path::from(STAGING)).await.unwrap_or_default();
                let (nobodys, decided) = abandoned(&files, now);
                for path in nobodys {
                    let _ = self.store.delete(&path).await;
                }
                for id in decided {
                    if let Err(error) = self.end_decided(&id).await {
                        let error = clickmill_core::causes(&error);
                        tracing::warn!(load = id, error, "an interrupted load cannot be ended now");
                    }
                }
            }
        }
        Ok(())
    }

    async fn sweep_disk(
        &self,
        staging: &std::path::Path,
        now: SystemTime,
    ) -> Result<(), WarehouseError> {
        durable::sweep(staging);
        let mut ids = BTreeSet::new();
        for entry in fs::read_dir(staging).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let Some(name) = name.to_str() else { continue };
            if path.is_dir() {
                ids.insert(name.to_owned());
            } else if let Some(id) = name.strip_suffix(".lock").filter(|id| is_name(id)) {
                ids.insert(id.to_owned());
            } else if !name.ends_with(".part") && is_old(entry.metadata().ok(), now) {
                // Versions before this one have made files there by other names.
                let _ = fs::remove_file(path);
            }
        }
        let mut swept = Ok(());
        for id in ids {
            // A living process has the claim.
            if let Ok(Some(claim)) = self.claim(&id) {
                let folder = staging.join(&id);
                // What can't be removed from its tables now needs the trace that is there.
                let removed = self.unpublish_left(&id).await;
                if removed.is_ok() {
                    let _ = fs::remove_dir_all(folder);
                }
                swept = swept.and(removed);
                drop(claim);
            }
        }
        swept
    }
}

/// Whether it is the name of something in a folder: not the folder itself, nor the one above.
fn is_name(id: &str) -> bool {
    std::path::Path::new(id).file_name() == Some(id.as_ref())
}

fn is_old(metadata: Option<fs::Metadata>, now: SystemTime) -> bool {
    let modified = metadata.and_then(|metadata| metadata.modified().ok());
    modified
        .and_then(|modified| now.duration_since(modified).ok())
        .is_some_and(|age| age > ABANDONED)
}

/// Files of loads, and others, that nobody has written to for long; and loads that were decided for and interrupted:
/// their files are what the moves are made from.
fn abandoned(files: &[ObjectMeta], now: SystemTime) -> (Vec<Path>, Vec<String>) {
    let mut loads: BTreeMap<&str, Vec<&ObjectMeta>> = BTreeMap::new();
    for file in files {
        let load = file.location.as_ref().split('/').nth(1);
        loads.entry(load.unwrap_or_default()).or_default().push(file);
    }
    let is_older = |file: &ObjectMeta, than: Duration| {
        let age = now.duration_since(SystemTime::from(file.last_modified));
        age.is_ok_and(|age| age > than)
    };
    let (mut nobodys, mut decided) = (Vec::new(), Vec::new());
    for (load, files) in loads {
        if let Some(decision) = files.iter().find(|file| is_decision(&file.location)) {
            if is_older(decision, INTERRUPTED) {
                decided.push(load.to_owned());
            }
        } else if files.iter().all(|file| is_older(file, ABANDONED)) {
            nobodys.extend(files.into_iter().map(|file| file.location.clone()));
        }
    }
    (nobodys, decided)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;

    use super::*;

    #[tokio::test]
    async fn on_a_disk_what_is_nobodys_goes_and_what_is_locked_stays() {
        let folder = tempfile::tempdir().unwrap();
        let warehouse = Warehouse::open(&folder.path().to_string_lossy()).unwrap();
        let staging = folder.path().join(STAGING);
        for load in ["living", "dead", "unlocked"] {
            fs::create_dir_all(staging.join(load)).unwrap();
            fs::write(staging.join(load).join("rows.parquet"), "half").unwrap();
        }
        let claim = warehouse.claim("living").unwrap().unwrap();
        fs::write(staging.join("dead.lock"), "").unwrap();
        fs::write(staging.join("a.part"), "half").unwrap();
        fs::write(staging.join("live-x-0-1.parquet"), "half").unwrap();
        let part = durable::Part::begin(staging.join("b.part")).unwrap();
        let names = || {
            let entries = fs::read_dir(&staging).unwrap();
            let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            names.collect::<BTreeSet<String>>()
        };
        let left = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let now = SystemTime::now();
        warehouse.sweep(now).await.unwrap();
        let wanted: BTreeSet<String> =
            left(&["living", "living.lock", "b.part", "live-x-0-1.parquet"]);
        assert_eq!(names(), wanted);
        warehouse.sweep(now + 2 * ABANDONED).await.unwrap();
        assert_eq!(names(), left(&["living", "living.lock", "b.part"]));
        drop((claim, part));
        warehouse.sweep(now).await.unwrap();
        assert_eq!(names(), left(&[]));
    }

    #[tokio::test]
    async fn what_is_named_like_the_claim_of_a_folder_above_takes_none_along() {
        let folder = tempfile::tempdir().unwrap();
        let warehouse = Warehouse::open(&folder.path().to_string_lossy()).unwrap();
        let staging = folder.path().join(STAGING);
        let [table, living] = [folder.path().join("clicks"), staging.join("living")];
        for kept in [&table, &living] {
            fs::create_dir_all(kept).unwrap();
        }
        let _claim = warehouse.claim("living").unwrap().unwrap();
        for id in ["", ".", ".."] {
            fs::write(staging.join(format!("{id}.lock")), "").unwrap();
        }
        warehouse.sweep(SystemTime::now()).await.unwrap();
        assert!(table.is_dir() && living.is_dir());
    }

    #[tokio::test]
    async fn what_a_link_of_another_user_leads_to_stays() {
        use std::os::unix::fs::{lchown, symlink};
        let scratch = tempfile::tempdir().unwrap();
        let [folder, home] = ["warehouse", "home"].map(|name| scratch.path().join(name));
        fs::create_dir_all(&folder).unwrap();
        fs::create_dir_all(home.join("letters")).unwrap();
        fs::write(home.join("letters/a"), "kept").unwrap();
        fs::write(home.join("b"), "kept").unwrap();
        let staging = folder.join(STAGING);
        symlink(&home, &staging).unwrap();
        // Others' links are made by root alone.
        if lchown(&staging, Some(12_345), None).is_err() {
            return;
        }
        let warehouse = Warehouse::open(&folder.to_string_lossy()).unwrap();
        warehouse.sweep(SystemTime::now() + 2 * ABANDONED).await.unwrap();
        assert!(home.join("letters/a").exists() && home.join("b").exists());
    }

    #[tokio::test]
    async fn a_store_says_what_time_it_is_and_keeps_nothing_of_that() {
        let folder = tempfile::tempdir().unwrap();
        let warehouse = Warehouse::open(&folder.path().to_string_lossy()).unwrap();
        let store = Arc::new(InMemory::new());
        for warehouse in [Warehouse { store, disk: None, ..warehouse.clone() }, warehouse] {
            let before = SystemTime::now();
            let now = warehouse.now().await.unwrap();
            assert!(before <= now && now <= SystemTime::now());
            assert!(warehouse.list(&Path::ROOT).await.unwrap().is_empty());
        }
    }

    #[test]
    fn without_locks_age_tells_and_what_was_decided_is_ended() {
        let file = |path: &str| ObjectMeta {
            location: Path::from(path),
            last_modified: SystemTime::UNIX_EPOCH.into(),
            size: 1,
            e_tag: None,
            version: None,
        };
        let files = [
            file("_staging/a/1/rows.parquet"),
            file("_staging/b/1/rows.parquet"),
            file("_staging/b/decision.json"),
            file("_staging/c.part"),
        ];
        let old = abandoned(&files, SystemTime::UNIX_EPOCH + 2 * ABANDONED);
        let nobodys = vec![files[0].location.clone(), files[3].location.clone()];
        assert_eq!(old, (nobodys, vec!["b".to_owned()]));
        let younger = abandoned(&files, SystemTime::UNIX_EPOCH + ABANDONED / 2);
        assert_eq!(younger, (Vec::new(), vec!["b".to_owned()]));
        let young = abandoned(&files, SystemTime::UNIX_EPOCH + INTERRUPTED / 2);
        assert_eq!(young, (Vec::new(), Vec::new()));
    }
}
