//! The threads of a load, whatever they do: one that reads, some that work on what it reads, and this one,
//! which writes what they make in the order in which it was read.
//!
//! Both queues are bounded, and so is how far the reader gets ahead of the writer, so memory does not
//! depend on how much there is. Whatever ends it, an error, a panic, the writer's word, ends all threads:
//! who waits for a queue is let go, and who waits for what is read is interrupted.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::reorder::Reorder;

/// Pieces that wait before and after the workers, per worker: one in hand and one ready.
const QUEUED_PER_WORKER: usize = 2;

/// Why it did not come to its end.
#[derive(Debug, PartialEq)]
pub(crate) enum LineError<E> {
    /// Somebody failed.
    Failed(E),
    /// A thread panicked.
    Panicked { thread: String, message: String },
}

/// Runs it to the end of what is read, or until `write` has something to say, which is returned. Reading
/// ends early where `interrupt` is called while it waits.
pub(crate) fn run<I: Send, O: Send, E: Send, R, W: FnMut(I) -> Result<O, E>>(
    workers: usize,
    mut read: impl FnMut() -> Result<Option<I>, E> + Send,
    worker: impl Fn() -> W + Sync,
    mut write: impl FnMut(O) -> Result<Option<R>, E>,
    interrupt: impl Fn() + Sync,
) -> Result<Option<R>, LineError<E>> {
    let queued = workers * QUEUED_PER_WORKER;
    std::thread::scope(|scope| {
        let (to_workers, from_reader) = bounded::<(u64, I)>(queued);
        let (to_writer, from_workers) = bounded::<(u64, Result<O, LineError<E>>)>(queued);
        // What overtakes something slow waits in the writer: the reader gets no further ahead of it than
        // there are permits, of which each written piece gives one back.
        let (permit, permits) = bounded::<()>(2 * queued + workers);
        while permit.try_send(()).is_ok() {}
        let reading = named("reader", scope, move || {
            guarded("reader", || read_all(&mut read, &to_workers, &permits))?
        });
        let working: Vec<_> = (1..=workers)
            .map(|number| {
                let name = format!("worker {number}");
                let (from, to) = (from_reader.clone(), to_writer.clone());
                let worker = &worker;
                named(&name.clone(), scope, move || work(&name, worker, &from, &to))
            })
            .collect();
        // The queues end when the threads that fill them do.
        drop((from_reader, to_writer));
        let end = End(&interrupt);
        let written = write_all(&from_workers, &permit, &mut write);
        // Whoever waits to put something into a queue, or for a permit, is let go.
        drop((from_workers, permit, end));
        for worker in working {
            // Its panics are caught, and told by the queue.
            let _ = worker.join();
        }
        let read = reading.join().unwrap_or(Ok(()));
        match written? {
            Some(said) => Ok(Some(said)),
            None => read.map(|()| None),
        }
    })
}

/// Interrupts the reader, also where the writer panics.
struct End<'a, F: Fn()>(&'a F);

impl<F: Fn()> Drop for End<'_, F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

fn named<'scope, T: Send + 'scope>(
    name: &str,
    scope: &'scope std::thread::Scope<'scope, '_>,
    run: impl FnOnce() -> T + Send + 'scope,
) -> std::thread::ScopedJoinHandle<'scope, T> {
    let thread = std::thread::Builder::new().name(name.to_owned());
    thread.spawn_scoped(scope, run).expect("the system has room for a thread")
}

/// Runs something, and makes an error of its panic.
fn guarded<T, E>(thread: &str, run: impl FnOnce() -> T) -> Result<T, LineError<E>> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| LineError::Panicked {
        thread: thread.to_owned(),
        message: message(&*panic),
    })
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "it does not say why".to_owned())
}

fn read_all<I, E>(
    read: &mut impl FnMut() -> Result<Option<I>, E>,
    to: &Sender<(u64, I)>,
    permits: &Receiver<()>,
) -> Result<(), LineError<E>> {
    let mut number = 0;
    while permits.recv().is_ok()
        && let Some(piece) = read().map_err(LineError::Failed)?
    {
        if to.send((number, piece)).is_err() {
            break;
        }
        number += 1;
    }
    Ok(())
}

fn work<I, O, E, W: FnMut(I) -> Result<O, E>>(
    name: &str,
    worker: &impl Fn() -> W,
    from: &Receiver<(u64, I)>,
    to: &Sender<(u64, Result<O, LineError<E>>)>,
) {
    let mut worker = worker();
    for (number, piece) in from {
        let done = guarded(name, || worker(piece));
        let done = done.and_then(|done| done.map_err(LineError::Failed));
        let is_over = matches!(done, Err(LineError::Panicked { .. }));
        if to.send((number, done)).is_err() || is_over {
            break;
        }
    }
}

/// Hands on what comes from the workers in the order in which it was read, and a permit for each, until
/// the queue or the run ends.
fn write_all<O, E, R>(
    from: &Receiver<(u64, Result<O, LineError<E>>)>,
    permit: &Sender<()>,
    write: &mut impl FnMut(O) -> Result<Option<R>, E>,
) -> Result<Option<R>, LineError<E>> {
    let mut in_order = Reorder::default();
    for (number, done) in from {
        in_order.push(number, done?);
        while let Some(done) = in_order.pop() {
            if let Some(said) = write(done).map_err(LineError::Failed)? {
                return Ok(Some(said));
            }
            // Fails only where the reader has ended and wants none.
            let _ = permit.try_send(());
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    /// So long a test waits for what is to end at once.
    const DEADLINE: Duration = Duration::from_secs(60);

    type Ran = Result<Option<u64>, LineError<&'static str>>;

    /// Runs a line over numbers on a thread, which must end.
    fn ends(
        workers: usize,
        worker: fn(u64) -> Result<u64, &'static str>,
        write: impl FnMut(u64) -> Result<Option<u64>, &'static str> + Send + 'static,
        numbers: u64,
    ) -> Ran {
        let (done, ran) = mpsc::channel();
        std::thread::spawn(move || {
            let mut left = 0..numbers;
            done.send(run(workers, || Ok(left.next()), || worker, write, || {}))
        });
        ran.recv_timeout(DEADLINE).expect("it ends")
    }

    #[test]
    fn what_is_made_is_written_in_the_order_in_which_it_was_read() {
        let (to, written) = mpsc::channel();
        let write = move |n| {
            to.send(n).map_err(|_| "nobody listens")?;
            Ok(None)
        };
        let slow_at_times = |n: u64| {
            if n.is_multiple_of(7) {
                std::thread::yield_now();
            }
            Ok(n)
        };
        assert_eq!(ends(4, slow_at_times, write, 10_000), Ok(None));
        assert_eq!(written.iter().collect::<Vec<_>>(), (0..10_000).collect::<Vec<_>>());
    }

    #[test]
    fn a_panic_of_one_worker_of_several_ends_it_and_names_the_worker() {
        for workers in [1, 2, 5] {
            let panics = |n| if n == 3 { panic!("at {n}") } else { Ok(n) };
            let Err(LineError::Panicked { thread, message }) =
                ends(workers, panics, |_| Ok(None), 1000)
            else {
                panic!("it does not end by the panic");
            };
            assert!(thread.starts_with("worker "), "{thread}");
            assert_eq!(message, "at 3");
        }
    }

    #[test]
    fn an_error_or_a_word_of_anybody_ends_it() {
        let fails = |n| if n == 100 { Err("worker") } else { Ok(n) };
        assert_eq!(ends(2, fails, |_| Ok(None), 1000), Err(LineError::Failed("worker")));
        assert_eq!(ends(2, Ok, |_| Err("writer"), 1000), Err(LineError::Failed("writer")));
        assert_eq!(ends(2, Ok, |n| Ok((n == 7).then_some(n)), 1000), Ok(Some(7)));
    }

    #[test]
    fn a_panic_of_the_reader_is_told() {
        let read = || -> Result<Option<u64>, ()> { panic!("no more") };
        let ran = run(2, read, || Ok, |_| Ok(None::<()>), || {});
        let (thread, message) = ("reader".to_owned(), "no more".to_owned());
        assert_eq!(ran, Err(LineError::Panicked { thread, message }));
    }

    #[test]
    fn an_error_of_the_writer_does_not_wait_for_a_read_that_waits() {
        let (interrupt, interrupted) = mpsc::channel::<()>();
        let (done, ran) = mpsc::channel();
        std::thread::spawn(move || {
            let mut first = true;
            // Gives one number and then waits forever, unless it is interrupted.
            let read = move || {
                if std::mem::take(&mut first) {
                    return Ok(Some(1));
                }
                interrupted.recv().map_err(|_| "never")?;
                Err("interrupted")
            };
            let interrupt = || interrupt.send(()).unwrap_or_default();
            done.send(run(2, read, || Ok, |_: u64| Err::<Option<u64>, _>("writer"), interrupt))
        });
        assert_eq!(ran.recv_timeout(DEADLINE).expect("it ends"), Err(LineError::Failed("writer")));
    }
}
