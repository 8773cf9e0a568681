//! The chain for other engines: elements come in as frames, rows, letters and counts go out as frames, and
//! nothing is written anywhere. `host/README.md` has the protocol.
//!
//! The threads are those of [`line`]: one takes what comes in ([`elements`]), some run the chain
//! ([`executor`]), this one writes the answers ([`answers`]).

mod answers;
mod elements;
mod error;
mod executor;
mod frame;
mod gather;
mod input;
mod plugins;
mod said;

use std::convert::Infallible;
use std::io::{Read, Write};
use std::sync::Arc;

use crossbeam_channel::{Receiver, bounded};

use super::build::Options;
use super::build::chain::{self, Loaded};
use super::observe::tap::Taps;
use super::run::line;
use super::run::transform::Worker;
use super::threads::Threads;
use super::versions::actor;
use super::versions::reading::Reading;
use super::versions::slot::{Slot, SlotEvent};
use super::versions::version::Origin;
use answers::Answers;
use clickmill_config::Pipeline;
use clickmill_source::Interrupt;
use elements::Elements;
pub use error::ExecError;
use executor::Executor;
pub use said::error_frame;

/// How `exec` runs a pipeline.
#[derive(Debug, Clone)]
pub struct Exec {
    /// Threads that run the chain.
    pub workers: usize,
    /// Plugins are taken up when they change, as the pipeline file says.
    pub watch: bool,
    /// How the digest of the plugin set begins; any will do where absent.
    pub plugin_set: Option<String>,
    /// The most bytes of a frame's body.
    pub max_frame_bytes: usize,
}

/// Answers the elements on `input` by frames on `output`, until the input ends.
pub fn exec(
    mut pipeline: Pipeline,
    options: &Options,
    how: &Exec,
    input: impl Read + Send + 'static,
    output: &mut impl Write,
) -> Result<(), ExecError> {
    if pipeline.swap.fleet.is_some() {
        return Err(ExecError::Fleet);
    }
    let Loaded { runtime, engine, library, secrets } = chain::load(&mut pipeline, options)?;
    let plugin_set = library.digest().to_string();
    if let Some(wanted) = how.plugin_set.as_ref().filter(|wanted| !plugin_set.starts_with(*wanted))
    {
        return Err(ExecError::PluginSet { plugin_set, wanted: wanted.clone() });
    }
    let target = chain::target(&pipeline);
    if let Some(columns) = &target.columns {
        target.fit(&library, columns, &secrets)?;
    }
    let origin = Origin { actor: actor::FILE.to_owned(), ..Origin::default() };
    let reading = Reading { plugins: pipeline.plugins.clone(), library: library.clone(), secrets };
    let (slot, events) = Slot::new(target, pipeline.swap.clone(), library, reading, origin);
    let executor = Arc::new(Executor {
        letters: chain::letters(&pipeline)?,
        runtime: runtime.handle().clone(),
        engine,
        slot,
        taps: Taps::default(),
        max_frame_bytes: how.max_frame_bytes,
        pipeline,
    });
    // They end first.
    let threads = Threads::default();
    if how.watch {
        plugins::watch(&executor, &threads);
    }
    let ran = run(&executor, how, input, output, events);
    // Nothing that is compiled now would run any more.
    executor.engine.stop();
    ran
}

fn run(
    executor: &Executor,
    how: &Exec,
    input: impl Read + Send + 'static,
    output: &mut impl Write,
    events: Receiver<SlotEvent>,
) -> Result<(), ExecError> {
    let mut answers = Answers::new(executor, output, events);
    answers.greet(how.watch)?;
    let interrupt = Interrupt::default();
    let (end, ended) = bounded(1);
    let frames = frame::read_all(input, how.max_frame_bytes);
    let mut elements = Elements::new(executor, frames, ended, interrupt.clone());
    let worker = || {
        let mut worker = Worker::new(&executor.slot, &executor.taps);
        // An error waits for its turn: what came before is answered.
        move |work| Ok::<_, ExecError>(executor.answer(&mut worker, work))
    };
    let write = |done: Result<_, _>| answers.write(done?);
    let end = || {
        interrupt.interrupt();
        // Once is enough.
        let _ = end.try_send(());
    };
    let ran: Result<Option<Infallible>, _> =
        line::run(how.workers, || elements.next(), worker, write, end);
    ran.map(|_| ()).map_err(ExecError::from)
}
