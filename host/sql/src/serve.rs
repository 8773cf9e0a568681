//! The process that answers: a task per question, all answers through one writer.

use std::collections::HashMap;
use std::future::poll_fn;
use std::io::{self, BufReader, Write};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use clickmill_core::{lock, panics};
use clickmill_query::wire::{self, Fault, Hello, Reply, Request};
use clickmill_tables::result_set::{Answer, Bounds, Parameter};
use datafusion::execution::memory_pool::{FairSpillPool, MemoryPool};
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{AbortHandle, JoinError};

use super::{Queries, QueryError, RowFilter, memory};

/// Questions that are answered at once; the others wait. More share the cores and the memory, no more.
const AT_ONCE: usize = 8;

/// What all questions share.
struct Service {
    pool: Arc<dyn MemoryPool>,
    /// Bytes of footers that are kept of each warehouse.
    footers: usize,
    warehouses: Mutex<HashMap<String, Arc<Queries>>>,
    turns: Semaphore,
}

/// Threads that read files, at least; more where there are more processors.
const READERS: usize = 8;
/// Stacks may have one part in so many of the memory, …
const STACKS_SHARE: usize = 16;
/// … and where that is little for so many processors, the shortest of them one in so many.
const SHORT_STACKS_SHARE: usize = 4;
const SHORT_STACK: usize = 4 << 20;
const LONG_STACK: usize = 32 << 20;
/// Planning goes on with another stack where this has less left. Not all that goes deep asks for that, and some of it
/// takes forty kilobytes for a subquery: what asks leaves so much to what does not.
const STACK_LEFT: usize = 8 << 20;

/// How many threads there are, and the bytes of their stacks. Planning goes into a query as deep as its parts are
/// within each other, and each `UNION ALL` is one deeper, so stacks are long, and grow; and they count towards what
/// the process may have, which is mostly for rows.
#[derive(Debug)]
struct Threads {
    workers: usize,
    readers: usize,
    stack: usize,
}

impl Threads {
    fn of(memory: usize, processors: usize) -> Self {
        let most = memory / SHORT_STACKS_SHARE / SHORT_STACK;
        let workers = processors.min(most / 2).max(1);
        let readers = workers.max(READERS);
        let stack = memory / STACKS_SHARE / (workers + readers);
        Self { workers, readers, stack: stack.clamp(SHORT_STACK, LONG_STACK) }
    }

    /// However many files are read at once, there are no more than these.
    fn runtime(&self) -> io::Result<Runtime> {
        recursive::set_minimum_stack_size(STACK_LEFT);
        recursive::set_stack_allocation_size(LONG_STACK);
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(self.workers)
            .max_blocking_threads(self.readers)
            .thread_stack_size(self.stack)
            .enable_all()
            .build()
    }
}

/// Rows, or what is at fault and why.
type Answering = Result<Vec<u8>, (Fault, String)>;
type Answered = (u64, Answering);

/// Answers questions until standard input ends.
pub fn serve() -> io::Result<()> {
    let bytes = memory::bound();
    // The accounts are of what operators hold on purpose; the rest needs room too.
    let pool = Arc::new(FairSpillPool::new((bytes / 2) as usize));
    let service = Arc::new(Service {
        pool,
        footers: (bytes / 16) as usize,
        warehouses: Mutex::default(),
        turns: Semaphore::new(AT_ONCE),
    });
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = Threads::of(bytes as usize, processors).runtime()?;
    let (answers, to_write) = mpsc::unbounded_channel::<Answered>();
    let mut output = io::stdout();
    wire::write(&mut output, 0, &Hello { version: wire::VERSION }, &[])?;
    let writer = std::thread::spawn(move || write(output, to_write));
    let mut asked: HashMap<u64, AbortHandle> = HashMap::new();
    let mut input = BufReader::new(io::stdin());
    while let Some((number, request, body)) = wire::read::<Request>(&mut input)? {
        asked.retain(|_, task| !task.is_finished());
        if let Request::Cancel = request {
            if let Some(task) = asked.remove(&number) {
                task.abort();
            }
            continue;
        }
        let (service, answers) = (service.clone(), answers.clone());
        let task = runtime.spawn(with_room(async move { service.answer(request, body).await }));
        asked.insert(number, task.abort_handle());
        runtime.spawn(async move {
            if let Some(answer) = ended(task.await) {
                // Whoever has ended the writer does not want to know.
                let _ = answers.send((number, answer));
            }
        });
    }
    // Nobody waits for what is still computed.
    drop((answers, writer));
    runtime.shutdown_background();
    Ok(())
}

/// Runs something on a stack that has room for planning, also where threads have short ones.
async fn with_room<F: Future>(planning: F) -> F::Output {
    let mut planning = pin!(planning);
    poll_fn(|context| poll(planning.as_mut(), context)).await
}

#[recursive::recursive]
fn poll<F: Future>(future: Pin<&mut F>, context: &mut Context<'_>) -> Poll<F::Output> {
    future.poll(context)
}

/// What is answered once a task has ended; nobody waits for the answer to a question that was taken back.
/// A panic in the engine is a failure of its question: whoever asked must not wait forever.
fn ended(task: Result<Answering, JoinError>) -> Option<Answering> {
    match task {
        Ok(answer) => Some(answer),
        Err(error) if error.is_cancelled() => None,
        Err(_) if panics::lacked_threads() => {
            Some(Err((Fault::Tables, panics::NO_THREADS.to_owned())))
        }
        Err(error) => {
            let what =
                format!("the SQL engine fails on this question, by a fault of its own: {error}");
            Some(Err((Fault::Question, what)))
        }
    }
}

fn write(mut output: impl Write, mut answers: mpsc::UnboundedReceiver<Answered>) -> io::Result<()> {
    while let Some((number, answer)) = answers.blocking_recv() {
        // An answer that is too long for a frame is a failure too, and no end of all answers.
        let written = answer.and_then(|rows| {
            let written = wire::write(&mut output, number, &Reply::Rows, &rows);
            written.map_err(|error| (Fault::Question, error.to_string()))
        });
        if let Err((fault, what)) = written {
            wire::write(&mut output, number, &Reply::Failed { fault, what }, &[])?;
        }
    }
    Ok(())
}

impl Service {
    async fn answer(&self, request: Request, body: Vec<u8>) -> Answering {
        let _turn = self.turns.acquire().await;
        let of_question =
            |error: &dyn std::error::Error| (Fault::Question, clickmill_core::causes(error));
        match request {
            Request::Query { warehouse, sql, parameters, bounds } => {
                let answer = self.query(&warehouse, &sql, &parameters, bounds).await;
                let answer = answer.map_err(|error| match &error {
                    QueryError::Warehouse(error) => {
                        (Fault::Tables, clickmill_core::causes(&**error))
                    }
                    QueryError::NoTable(_) => (Fault::NoTable, error.to_string()),
                    QueryError::Query(_) => (Fault::Question, error.to_string()),
                })?;
                let rows = wire::write_rows(&answer.schema, &answer.batches);
                rows.map_err(|error| of_question(&error))
            }
            Request::Check { condition } => RowFilter::parse(&condition)
                .map(|_| Vec::new())
                .map_err(|error| of_question(&error)),
            Request::Filter { condition } => {
                let kept = filter(&condition, &body).map_err(|error| of_question(&*error))?;
                let rows = wire::write_rows(&kept.schema(), std::slice::from_ref(&kept));
                rows.map_err(|error| of_question(&error))
            }
            Request::Cancel => Ok(Vec::new()),
        }
    }

    async fn query(
        &self,
        warehouse: &str,
        sql: &str,
        parameters: &[(String, Parameter)],
        bounds: Bounds,
    ) -> Result<Answer, QueryError> {
        let queries = {
            let mut known = lock(&self.warehouses);
            match known.get(warehouse) {
                Some(queries) => queries.clone(),
                None => {
                    let queries =
                        Arc::new(Queries::open(warehouse, self.pool.clone(), self.footers)?);
                    known.insert(warehouse.to_owned(), queries.clone());
                    queries
                }
            }
        };
        queries.query(sql, parameters, bounds).await
    }
}

fn filter(
    condition: &str,
    rows: &[u8],
) -> Result<RecordBatch, Box<dyn std::error::Error + Send + Sync>> {
    let filter = RowFilter::parse(condition)?;
    let Answer { schema, batches } = wire::read_rows(rows)?;
    let kept: Vec<RecordBatch> =
        batches.iter().map(|rows| filter.keep(rows)).collect::<Result<_, _>>()?;
    let kept: Result<RecordBatch, ArrowError> = arrow::compute::concat_batches(&schema, &kept);
    Ok(kept?)
}

#[cfg(test)]
mod tests;
