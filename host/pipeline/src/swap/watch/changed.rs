//! What has changed, and what it holds.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::ObjectStore;
use tokio::runtime::Handle;

use super::place::{LookupPlace, Place};
use clickmill_config::PipelineFile;
use clickmill_core::{Digest, causes};
use clickmill_sandbox::build::{self, Freshness, Install};
use clickmill_sandbox::{Change, Engine, FetchError, Golden, LookupFile, NewComponent};

/// Something that has changed.
pub(super) enum Changed {
    Pipeline(PipelineFile),
    File { stage: String, path: PathBuf },
    Crate { stage: String, folder: PathBuf },
    Lookup(LookupPlace),
    Object { stage: String, store: Arc<dyn ObjectStore>, path: object_store::path::Path },
}

/// What a stage is to have.
pub(super) struct Content {
    pub change: Change,
    pub golden: Vec<Golden>,
    /// Of the component, or of the lookup table.
    pub digest: Digest,
}

impl Changed {
    /// What lies in a place, of which a prefix has one for each object.
    pub(super) fn of(place: &Place) -> Option<Self> {
        Some(match place {
            Place::Pipeline(file) => Self::Pipeline(file.clone()),
            Place::File { stage, path } => Self::File { stage: stage.clone(), path: path.clone() },
            Place::Crate { stage, folder } => {
                Self::Crate { stage: stage.clone(), folder: folder.clone() }
            }
            Place::Lookup(place) => Self::Lookup(place.clone()),
            Place::Prefix { .. } => return None,
        })
    }

    /// The name of the place where it lies.
    pub(super) fn place(&self) -> String {
        match self {
            Self::Pipeline(file) => format!("pipeline file {}", file.path.display()),
            Self::File { stage, path } | Self::Crate { stage, folder: path } => {
                format!("{stage} {}", path.display())
            }
            Self::Lookup(LookupPlace { stage, table, path, .. }) => {
                format!("lookup {stage}.{table} {}", path.display())
            }
            Self::Object { stage, path, .. } => format!("object {stage} {path}"),
        }
    }

    /// What it holds, a crate once it is built; a pipeline file holds what others do.
    pub(super) fn read(self, engine: &Engine, runtime: &Handle) -> Result<Option<Content>, String> {
        let max_bytes = engine.limits().max_bytes;
        let of_file =
            |path: &Path| NewComponent::read(path, max_bytes).map_err(|error| causes(&error));
        let (stage, component, golden) = match self {
            Self::Pipeline(_) => return Ok(None),
            Self::File { stage, path } => {
                let folder = path.parent().unwrap_or(Path::new(".")).to_owned();
                (stage, of_file(&path)?, Golden::beside(&folder))
            }
            Self::Crate { stage, folder } => {
                let built = build::build(&folder, Freshness::Sources, Install::Never);
                let path = built.map_err(|error| causes(&error))?;
                (stage, of_file(&path)?, Golden::beside(&folder))
            }
            Self::Lookup(LookupPlace { stage, table, path, .. }) => {
                let file = LookupFile::read(&table, &path).map_err(|error| causes(&error))?;
                let digest = file.digest().clone();
                let change = Change { stage, lookups: vec![file], ..Change::default() };
                return Ok(Some(Content { change, golden: Vec::new(), digest }));
            }
            Self::Object { stage, store, path } => {
                let failed =
                    |error: FetchError| format!("cannot read `{path}`: {}", causes(&error));
                let named = PathBuf::from(path.to_string());
                let got = NewComponent::get(&*store, &path, named, max_bytes);
                (stage, runtime.block_on(got).map_err(failed)?, Ok(Vec::new()))
            }
        };
        let golden = golden.map_err(|error| causes(&error))?;
        let digest = Digest::of(&component.bytes);
        let change = Change { stage, component: Some(component), ..Change::default() };
        Ok(Some(Content { change, golden, digest }))
    }
}
