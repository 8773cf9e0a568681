//! Questions to the tables: few at once, few that wait, and none asked again a moment later.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::{OnceCell, Semaphore};

use clickmill_core::lock;
use clickmill_tables::result_set::ResultSet;

/// Queries at once: they use all cores, and the pipeline wants some of them.
const AT_ONCE: usize = 2;
/// Questions that wait or are answered, at most: a page asks six at a time.
const MAX_ASKED: usize = 36;
/// Answers that are kept, at most.
const MAX_KEPT: usize = 64;
/// The most rows of an answer that is kept.
const MAX_KEPT_ROWS: usize = 1000;

/// The questions of all readers.
pub(super) struct Answers {
    turns: Semaphore,
    places: Semaphore,
    kept: Mutex<HashMap<String, Arc<Kept>>>,
}

/// A question, and its answer once there is one.
struct Kept {
    until: Instant,
    answer: OnceCell<Arc<ResultSet>>,
}

/// Too many questions wait already.
#[derive(Debug, thiserror::Error)]
#[error("too many questions wait already: ask again in a moment")]
pub(super) struct TooMany;

impl Answers {
    pub(super) fn new() -> Self {
        Self {
            turns: Semaphore::new(AT_ONCE),
            places: Semaphore::new(MAX_ASKED),
            kept: Mutex::default(),
        }
    }

    /// Asks, once it is its turn.
    pub(super) async fn in_turn<E: From<TooMany>>(
        &self,
        asked: impl Future<Output = Result<ResultSet, E>>,
    ) -> Result<ResultSet, E> {
        // Neither is ever closed.
        let Ok(_place) = self.places.try_acquire() else { return Err(TooMany.into()) };
        let _turn = self.turns.acquire().await;
        asked.await
    }

    /// Answers in turn, unless somebody asked the same lately. Who asks it at the same time waits for the one
    /// answer. A failure is none, and is asked anew.
    pub(super) async fn kept<E: From<TooMany>>(
        &self,
        question: String,
        life: Duration,
        asked: impl Future<Output = Result<ResultSet, E>>,
    ) -> Result<Arc<ResultSet>, E> {
        let kept = self.entry(&question, life);
        let ask = || async { self.in_turn(asked).await.map(Arc::new) };
        let answer = kept.answer.get_or_try_init(ask).await?.clone();
        if answer.rows.len() > MAX_KEPT_ROWS {
            lock(&self.kept).remove(&question);
        }
        Ok(answer)
    }

    fn entry(&self, question: &str, life: Duration) -> Arc<Kept> {
        let now = Instant::now();
        let mut all = lock(&self.kept);
        all.retain(|_, kept| kept.until > now);
        if let Some(kept) = all.get(question) {
            return kept.clone();
        }
        if all.len() >= MAX_KEPT {
            let first = all.iter().min_by_key(|(_, kept)| kept.until).map(|(key, _)| key.clone());
            first.and_then(|first| all.remove(&first));
        }
        let kept = Arc::new(Kept { until: now + life, answer: OnceCell::new() });
        all.insert(question.to_owned(), kept.clone());
        kept
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    fn rows(count: usize) -> ResultSet {
        ResultSet { columns: Vec::new(), rows: vec![Vec::new(); count] }
    }

    #[tokio::test]
    async fn what_was_asked_lately_is_not_asked_again() {
        let answers = Answers::new();
        let asked = AtomicUsize::new(0);
        let ask = |question: &str, life, answer: Result<usize, TooMany>| {
            let asked = &asked;
            let counted = async move {
                asked.fetch_add(1, Ordering::Relaxed);
                // Somebody else comes meanwhile.
                tokio::task::yield_now().await;
                answer.map(rows)
            };
            answers.kept(question.to_owned(), life, counted)
        };
        let (one, other) = tokio::join!(ask("a", LONG, Ok(1)), ask("a", LONG, Ok(2)));
        assert_eq!([one.unwrap().rows.len(), other.unwrap().rows.len()], [1, 1]);
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        ask("a", LONG, Ok(1)).await.unwrap();
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        // Another question; one whose answer is old; a failure; an answer that is too large to keep.
        for (question, life, answer) in [
            ("b", LONG, Ok(1)),
            ("c", Duration::ZERO, Ok(1)),
            ("c", Duration::ZERO, Ok(1)),
            ("d", LONG, Err(TooMany)),
            ("d", LONG, Ok(1)),
            ("e", LONG, Ok(MAX_KEPT_ROWS + 1)),
            ("e", LONG, Ok(MAX_KEPT_ROWS + 1)),
        ] {
            let before = asked.load(Ordering::Relaxed);
            let _ = ask(question, life, answer).await;
            assert_eq!(asked.load(Ordering::Relaxed), before + 1, "{question}");
        }
        for number in 0..3 * MAX_KEPT {
            ask(&number.to_string(), LONG, Ok(1)).await.unwrap();
        }
        assert!(lock(&answers.kept).len() <= MAX_KEPT);
    }

    #[tokio::test]
    async fn few_are_asked_at_once_few_wait_and_the_rest_is_told() {
        let answers = Arc::new(Answers::new());
        let (at_once, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let asking: Vec<_> = (0..MAX_ASKED + 10)
            .map(|_| {
                let (answers, at_once, gate) = (answers.clone(), at_once.clone(), gate.clone());
                tokio::spawn(async move {
                    let held = async {
                        at_once.fetch_add(1, Ordering::Relaxed);
                        let most = at_once.load(Ordering::Relaxed);
                        let _ = gate.acquire().await;
                        at_once.fetch_sub(1, Ordering::Relaxed);
                        Ok::<_, TooMany>(rows(most))
                    };
                    answers.in_turn(held).await
                })
            })
            .collect();
        // One thread: all of them have begun once this comes again.
        for _ in 0..3 * MAX_ASKED {
            tokio::task::yield_now().await;
        }
        gate.add_permits(1);
        let (mut answered, mut refused) = (0, 0);
        for asking in asking {
            match asking.await.unwrap() {
                Ok(found) => {
                    assert!(found.rows.len() <= AT_ONCE);
                    answered += 1;
                }
                Err(TooMany) => refused += 1,
            }
        }
        assert_eq!((answered, refused), (MAX_ASKED, 10));
        assert!(answers.in_turn(async { Ok::<_, TooMany>(rows(1)) }).await.is_ok());
    }
}
