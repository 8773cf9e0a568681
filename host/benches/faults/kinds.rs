//! Which faults there are, and to what they happen.

use crate::proxy::{Mode, Proxy};
use std::fmt;
use std::time::Duration;

/// What runs while the faults happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scene {
    /// A stream, out of Pub/Sub.
    Stream(Sink),
    /// Loads of the same objects.
    Load(Place),
}

/// Where a stream goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sink {
    Warehouse,
    BigQuery,
    /// BigQuery, by streams with offsets.
    ExactlyOnce,
}

/// From where to where objects are loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Disk,
    StorageToDisk,
    DiskToStorage,
    DiskToBigQuery,
}

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Kill,
    Terminate,
    Interrupt,
    InterruptTwice,
    /// A process is stopped, for longer than messages are leased to it, and goes on.
    Pause,
    Break(Wire, Break),
    /// The answer to an append or an acknowledgement is late, and its connection is cut meanwhile.
    LoseAnswer(Wire),
    RestartEmulator,
    FillDisk,
    DropTable,
    Swap,
    /// Two replays at once beside the stream, the second killed every other time.
    Replay,
    /// One more run over the same objects, late.
    SecondLoader,
    /// An object is written over while it is read.
    Overwrite,
}

/// A connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    PubSub,
    /// BigQuery's Storage Write interface.
    Write,
    /// BigQuery's REST interface.
    Rest,
    /// Cloud Storage.
    Storage,
}

/// What becomes of a connection for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Break {
    Cut,
    Refuse,
    Freeze,
    Slow,
    Late,
}

const BREAKS: [Break; 5] = [Break::Cut, Break::Refuse, Break::Freeze, Break::Slow, Break::Late];

/// Something that can go wrong somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    pub scene: Scene,
    pub fault: Fault,
}

/// All of them.
pub(crate) fn kinds() -> Vec<Kind> {
    let everywhere = |wire| BREAKS.map(|how| Fault::Break(wire, how)).to_vec();
    let ends = [Fault::Kill, Fault::Terminate, Fault::Interrupt, Fault::InterruptTwice];
    let of = |scene, faults: Vec<Fault>| faults.into_iter().map(move |fault| Kind { scene, fault });
    let to_warehouse =
        [Fault::Pause, Fault::RestartEmulator, Fault::FillDisk, Fault::Swap, Fault::Replay];
    let to_warehouse = [&ends[..], &to_warehouse, &everywhere(Wire::PubSub)].concat();
    let to_bigquery = [
        Fault::Kill,
        Fault::InterruptTwice,
        Fault::Pause,
        Fault::LoseAnswer(Wire::Write),
        Fault::LoseAnswer(Wire::PubSub),
        Fault::DropTable,
        Fault::Swap,
        Fault::Replay,
    ];
    let to_bigquery =
        [&to_bigquery[..], &everywhere(Wire::Write), &everywhere(Wire::Rest)].concat();
    let exactly_once = vec![
        Fault::Kill,
        Fault::LoseAnswer(Wire::Write),
        Fault::Break(Wire::Write, Break::Cut),
        Fault::Break(Wire::Write, Break::Freeze),
    ];
    let on_disk = [Fault::FillDisk, Fault::SecondLoader, Fault::Overwrite];
    let on_disk = [&ends[..], &on_disk].concat();
    let loads_to_bigquery =
        [&[Fault::Kill, Fault::SecondLoader][..], &everywhere(Wire::Rest)].concat();
    of(Scene::Stream(Sink::Warehouse), to_warehouse)
        .chain(of(Scene::Stream(Sink::BigQuery), to_bigquery))
        .chain(of(Scene::Stream(Sink::ExactlyOnce), exactly_once))
        .chain(of(Scene::Load(Place::Disk), on_disk))
        .chain(of(Scene::Load(Place::StorageToDisk), everywhere(Wire::Storage)))
        .chain(of(Scene::Load(Place::DiskToStorage), vec![Fault::Kill, Fault::SecondLoader]))
        .chain(of(Scene::Load(Place::DiskToBigQuery), loads_to_bigquery))
        .collect()
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.scene {
            Scene::Stream(Sink::Warehouse) => "stream to the warehouse",
            Scene::Stream(Sink::BigQuery) => "stream to BigQuery",
            Scene::Stream(Sink::ExactlyOnce) => "stream to BigQuery, exactly once",
            Scene::Load(Place::Disk) => "loads to the warehouse",
            Scene::Load(Place::StorageToDisk) => "loads from Cloud Storage",
            Scene::Load(Place::DiskToStorage) => "loads to a warehouse in Cloud Storage",
            Scene::Load(Place::DiskToBigQuery) => "loads to BigQuery",
        })?;
        f.write_str(": ")?;
        match self.fault {
            Fault::Kill => f.write_str("kill -9"),
            Fault::Terminate => f.write_str("SIGTERM"),
            Fault::Interrupt => f.write_str("Ctrl-C"),
            Fault::InterruptTwice => f.write_str("Ctrl-C twice"),
            Fault::Pause => f.write_str("SIGSTOP, SIGCONT"),
            Fault::Break(wire, how) => write!(f, "{} {}", name(wire), name_of_break(how)),
            Fault::LoseAnswer(wire) => write!(f, "{} answer lost", name(wire)),
            Fault::RestartEmulator => f.write_str("Pub/Sub emulator made anew"),
            Fault::FillDisk => f.write_str("no room for files"),
            Fault::DropTable => f.write_str("table deleted and made again"),
            Fault::Swap => f.write_str("plugins swapped"),
            Fault::Replay => f.write_str("two replays beside it"),
            Fault::SecondLoader => f.write_str("one more run"),
            Fault::Overwrite => f.write_str("object written over"),
        }
    }
}

fn name(wire: Wire) -> &'static str {
    match wire {
        Wire::PubSub => "Pub/Sub",
        Wire::Write => "Write API",
        Wire::Rest => "REST",
        Wire::Storage => "Cloud Storage",
    }
}

fn name_of_break(how: Break) -> &'static str {
    match how {
        Break::Cut => "cut",
        Break::Refuse => "refused",
        Break::Freeze => "frozen",
        Break::Slow => "slow",
        Break::Late => "late",
    }
}

/// Breaks a wire for a while.
pub(crate) fn break_for(wire: &Proxy, how: Break, time: Duration) {
    match how {
        Break::Cut => wire.cut(),
        Break::Refuse => {
            wire.set(Mode::Refuse);
            wire.cut();
        }
        Break::Freeze => wire.set(Mode::Freeze),
        Break::Slow => wire.set(Mode::Slow),
        Break::Late => wire.set(Mode::Late),
    }
    std::thread::sleep(time);
    wire.set(Mode::Pass);
}

/// Loses the answers to what is sent right now.
pub(crate) fn lose_answers(wire: &Proxy) {
    wire.set(Mode::Late);
    std::thread::sleep(Duration::from_millis(150));
    wire.cut();
    wire.set(Mode::Pass);
}

/// A number of milliseconds between two, at random.
pub(crate) fn between(least: u64, most: u64) -> Duration {
    Duration::from_millis(least + rand::random::<u64>() % (most - least))
}
