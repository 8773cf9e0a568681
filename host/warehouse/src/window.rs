//! The keys of the rows that a stream wrote lately, so that a row that comes again is dropped.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use arrow::array::{AsArray, StringArray};
use parquet::arrow::ProjectionMask;

use super::log::is_live;
use super::{Warehouse, WarehouseError};
use clickmill_config::TableName;
use clickmill_core::Micros;

/// Keys that are remembered, at most: about 40 MB.
const MOST_KEYS: usize = 1_000_000;
/// Keys older than that are not read back at the start.
const AGE: Duration = Duration::from_secs(30 * 60);

/// Keys by digest, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Window {
    seen: HashSet<u128>,
    order: VecDeque<u128>,
}

impl Window {
    /// Which of these keys are new: neither in the window nor in `fresh`, to which they are added. A
    /// null is always new.
    pub(crate) fn unseen(&self, keys: &StringArray, fresh: &mut Fresh) -> Vec<bool> {
        let new = |key: Option<&str>| match key.map(digest) {
            Some(digest) => !self.seen.contains(&digest) && fresh.insert(digest),
            None => true,
        };
        keys.iter().map(new).collect()
    }

    /// Adds keys whose rows are durable.
    pub(crate) fn add(&mut self, fresh: Fresh) {
        for digest in fresh {
            if self.seen.insert(digest) {
                self.order.push_back(digest);
            }
        }
        while self.order.len() > MOST_KEYS
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
    }
}

/// Digests of keys that are being written.
pub(super) type Fresh = HashSet<u128>;

fn digest(key: &str) -> u128 {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&blake3::hash(key.as_bytes()).as_bytes()[..16]);
    u128::from_le_bytes(bytes)
}

impl Warehouse {
    /// Reads back the keys of the files that a stream has written lately, the newest first.
    pub(super) async fn read_window(
        &self,
        table: &TableName,
        key: &str,
        window: &mut Window,
    ) -> Result<(), WarehouseError> {
        let mut files = self.list(&self.table(table)).await?;
        files.retain(|file| is_live(&file.location));
        files.extend(self.logged(table).await?);
        files.retain(|file| age_of(file.last_modified.timestamp_millis()) < AGE);
        files.sort_by_key(|file| std::cmp::Reverse(file.last_modified));
        let mut newest_first = Vec::new();
        for file in files {
            if newest_first.len() >= MOST_KEYS {
                break;
            }
            let path = &file.location;
            let failed = |source| self.unread(path, source);
            let reader = self.reader(path).await?;
            let mask = ProjectionMask::columns(reader.parquet_schema(), [key]);
            let reader = reader.with_projection(mask).build().map_err(failed)?;
            for batch in reader {
                let batch = batch.map_err(|error| failed(error.into()))?;
                let Some(keys) = batch.column_by_name(key) else { continue };
                newest_first.extend(keys.as_string::<i32>().iter().flatten().map(digest));
            }
        }
        for digest in newest_first.into_iter().take(MOST_KEYS).rev() {
            if window.seen.insert(digest) {
                window.order.push_back(digest);
            }
        }
        Ok(())
    }
}

/// How long ago that was.
fn age_of(millis: i64) -> Duration {
    let now = Micros::now().get() / 1000;
    Duration::from_millis(u64::try_from(now - millis).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_new_once_and_again_when_it_is_long_gone() {
        let mut window = Window::default();
        let keys = |keys: &[Option<&str>]| StringArray::from(keys.to_vec());
        let mut fresh = Fresh::new();
        let batch = keys(&[Some("a"), Some("b"), Some("a"), None, None]);
        assert_eq!(window.unseen(&batch, &mut fresh), [true, true, false, true, true]);
        window.add(fresh);
        let mut fresh = Fresh::new();
        let batch = keys(&[Some("b"), Some("c")]);
        assert_eq!(window.unseen(&batch, &mut fresh), [false, true]);
        window.add((0..MOST_KEYS as u128).collect());
        assert_eq!(window.order.len(), MOST_KEYS);
        assert_eq!(window.seen.len(), MOST_KEYS);
        assert_eq!(window.unseen(&batch, &mut Fresh::new()), [true, true]);
    }
}
