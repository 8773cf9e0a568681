//! Objects on their way in.

use tokio::runtime::Handle;

use super::load_error::LoadError;
use clickmill_config::Pipeline;
use clickmill_core::Micros;
use clickmill_decode::Decoder;
use clickmill_source::{Interrupt, Object, Progress};

/// Opens an object and begins to decode it. `None` where it holds nothing.
pub(crate) fn open_object(
    object: &Object,
    pipeline: &Pipeline,
    ingest_time: Micros,
    runtime: &Handle,
    progress: &Progress,
    interrupt: &Interrupt,
) -> Result<Option<Decoder>, LoadError> {
    let Some(input) = object.open(runtime, progress, interrupt)? else { return Ok(None) };
    let name = object.name().into();
    let decoder = Decoder::new(&pipeline.format, pipeline.batch, name, ingest_time, input)?;
    Ok(if decoder.holds_nothing() { None } else { Some(decoder) })
}
