//! Places that are looked at.

use std::path::PathBuf;
use std::sync::Arc;

use object_store::ObjectStore;

use clickmill_config::{PipelineFile, Plugin};

/// What is looked at.
pub(super) enum Place {
    /// A stage's component file.
    File { stage: String, path: PathBuf },
    /// A stage's crate.
    Crate { stage: String, folder: PathBuf },
    /// A lookup table's file.
    Lookup(LookupPlace),
    /// The pipeline file.
    Pipeline(PipelineFile),
    /// Where each stage may have its component.
    Prefix { store: Arc<dyn ObjectStore>, prefix: object_store::path::Path },
}

/// A lookup table's file.
#[derive(Clone)]
pub(super) struct LookupPlace {
    pub stage: String,
    pub table: String,
    pub path: PathBuf,
    /// What changes is taken up, and not only told.
    pub watched: bool,
}

/// What is watched of stages.
pub(super) fn stages(plugins: &[Plugin], all: bool) -> Vec<Place> {
    let watched = plugins.iter().filter(|plugin| all || plugin.watch);
    let mut places: Vec<Place> = watched
        .map(|plugin| {
            let (stage, path) = (plugin.name.to_string(), plugin.component.clone());
            if path.is_dir() {
                Place::Crate { stage, folder: path }
            } else {
                Place::File { stage, path }
            }
        })
        .collect();
    for plugin in plugins {
        places.extend(plugin.lookups.iter().map(|(table, path)| {
            Place::Lookup(LookupPlace {
                stage: plugin.name.to_string(),
                table: table.clone(),
                path: path.clone(),
                watched: all || plugin.watch,
            })
        }));
    }
    places
}
