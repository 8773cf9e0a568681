//! Marks of loads in Cloud Storage, which has no locks: objects that are created once.
//!
//! ```text
//! <warehouse>/_staging/<load id>/claim-<period>
//! ```
//!
//! Nothing that is right rests on them, see [`super::decision`]. They are removed by whoever made them, with
//! what else a load has in the staging folder, or by age.

use object_store::path::Path;
use object_store::{Error, ObjectStoreExt, PutMode, PutOptions, PutPayload};

use super::{Warehouse, WarehouseError};

impl Warehouse {
    /// Creates a mark. `false` where it is there: where the answer to a try was lost, it is told by what is in it.
    pub(super) async fn mark(&self, id: &str, period: u64) -> Result<bool, WarehouseError> {
        let path = self.mark_path(id, period);
        let own = format!("{:016x}", rand::random::<u64>());
        let create = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.store.put_opts(&path, PutPayload::from(own.clone()), create).await {
            Ok(_) => Ok(true),
            Err(Error::AlreadyExists { .. }) => {
                let there = async { self.store.get(&path).await?.bytes().await };
                Ok(there.await.is_ok_and(|there| *there == *own.as_bytes()))
            }
            Err(source) => Err(self.failed(format!("write `{path}`"), source)),
        }
    }

    /// Removes marks. What can't be removed is in nobody's way for long.
    pub(super) async fn unmark(&self, id: &str, periods: &[u64]) {
        for period in periods {
            let _ = self.store.delete(&self.mark_path(id, *period)).await;
        }
    }

    fn mark_path(&self, id: &str, period: u64) -> Path {
        self.staging(id).join(format!("claim-{period}"))
    }
}

#[cfg(test)]
mod tests {
    use crate::Warehouse;

    #[tokio::test]
    async fn a_mark_is_made_once_until_it_is_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Warehouse::open(folder.path().to_str().unwrap()).unwrap();
        let (one, other) = (open(), open());
        assert!(one.mark("a1", 7).await.unwrap());
        assert!(!other.mark("a1", 7).await.unwrap());
        assert!(other.mark("a1", 8).await.unwrap() && other.mark("b2", 7).await.unwrap());
        one.unmark("a1", &[7, 9]).await;
        assert!(other.mark("a1", 7).await.unwrap());
    }
}
