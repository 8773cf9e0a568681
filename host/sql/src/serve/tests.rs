use std::collections::HashSet;
use std::time::Duration;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use datafusion::execution::memory_pool::UnboundedMemoryPool;

use super::*;

#[test]
fn however_many_files_are_read_at_once_only_so_many_threads_have_stacks() {
    let threads = Threads::of(1 << 30, 2);
    let runtime = threads.runtime().unwrap();
    let slow = || {
        std::thread::sleep(Duration::from_millis(20));
        std::thread::current().id()
    };
    let reading: Vec<_> = (0..200).map(|_| runtime.spawn_blocking(slow)).collect();
    let seen: HashSet<_> =
        reading.into_iter().map(|read| runtime.block_on(read).unwrap()).collect();
    assert!((2..=threads.readers).contains(&seen.len()), "{} of {threads:?}", seen.len());
}

#[test]
fn stacks_leave_most_of_the_memory_to_rows_however_many_processors_there_are() {
    for memory in [256 << 20, 512 << 20, 4 << 30, 64 << 30] {
        for processors in [1, 2, 8, 64, 192, 1024] {
            let threads = Threads::of(memory, processors);
            let stacks = (threads.workers + threads.readers) * threads.stack;
            assert!(stacks <= memory / 4, "{threads:?} of {memory} bytes");
            assert!((1..=processors).contains(&threads.workers), "{threads:?}");
        }
    }
    let usual = Threads::of(4 << 30, 64);
    assert_eq!((usual.workers, usual.readers), (64, 64));
}

#[tokio::test]
async fn a_panic_is_an_answer_and_a_question_taken_back_has_none() {
    let panics: tokio::task::JoinHandle<Answering> =
        tokio::spawn(async { panic!("out of its depth") });
    let Some(Err((Fault::Question, what))) = ended(panics.await) else {
        panic!("a panic has no answer");
    };
    assert!(what.contains("out of its depth"), "{what}");
    let waits = tokio::spawn(std::future::pending::<Answering>());
    waits.abort();
    assert!(ended(waits.await).is_none());
    let answers = tokio::spawn(async { Ok(vec![1]) });
    assert!(matches!(ended(answers.await), Some(Ok(rows)) if rows == [1]));
}

/// Whatever is written many times over: an answer, or a sentence, and never the end of the process.
#[test]
fn what_is_deep_is_answered_or_told_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let uri = folder.path().to_str().unwrap();
    let queries =
        Arc::new(Queries::open(uri, Arc::new(UnboundedMemoryPool::default()), 1 << 20).unwrap());
    // The shortest stacks that there are.
    let runtime = Threads { workers: 1, readers: 1, stack: SHORT_STACK }.runtime().unwrap();
    let ask = |sql: String| {
        let queries = queries.clone();
        let asked = async move { queries.query(&sql, &[], Bounds::NONE).await };
        let answer = runtime.block_on(runtime.spawn(with_room(asked))).unwrap();
        answer.map_err(|error| error.to_string())
    };
    let within = |before: &str, inner: &str, after: &str, times: usize| {
        format!("SELECT {}{inner}{}", before.repeat(times), after.repeat(times))
    };
    let named = |times: usize| {
        let more = (1..times).map(|at| format!(", t{at} AS (SELECT a + 1 AS a FROM t{})", at - 1));
        format!(
            "WITH t0 AS (SELECT 1 AS a){} SELECT a FROM t{}",
            more.collect::<String>(),
            times - 1
        )
    };
    let taken = [
        (within("", "1", " + 1", 150), 151),
        (within("ABS(", "-1", ")", 100), 1),
        (within("(", "1", ")", 190), 1),
        (within("CASE WHEN TRUE THEN ", "1", " END", 150), 1),
        (within("- ", "1", "", 150), 1),
        (within("IF(", "FALSE", " OR FALSE", 1) + &" OR FALSE".repeat(10_000) + ", 0, 1)", 1),
        (
            ["SELECT a"].repeat(2).join(" FROM (")
                + &" FROM (SELECT a".repeat(90)
                + " FROM (SELECT 1 AS a"
                + &")".repeat(92),
            1,
        ),
        ("SELECT COUNT(*) FROM (".to_owned() + &["SELECT 1"; 400].join(" UNION ALL ") + ")", 400),
        (named(400), 400),
    ];
    for (sql, expected) in taken {
        let begins = sql[..sql.len().min(80)].to_owned();
        let answer = ask(sql).unwrap_or_else(|error| panic!("{error}: {begins}"));
        let number = answer.batches.iter().find(|batch| batch.num_rows() > 0).expect("a row");
        let number = number.column(0).as_primitive::<Int64Type>().value(0);
        assert_eq!(number, expected, "{begins}");
    }
    const TIMES: usize = 20_000;
    let refused = [
        (within("", "1", " + 1", TIMES), "more than 200 deep"),
        (within("", "'a'", " || 'a'", TIMES), "more than 200 deep"),
        (within("ABS(", "-1", ")", TIMES), "more than 200 deep"),
        (within("(", "1", ")", TIMES), "more than 200 deep"),
        (within("(", "", "", TIMES), "more than 200 deep"),
        (within("[", "1", "]", TIMES), "more than 200 deep"),
        (within("NOT ", "TRUE", "", TIMES), "more than 200 deep"),
        (within("- ", "1", "", TIMES), "more than 200 deep"),
        (within("CASE WHEN ", "TRUE", "", TIMES), "more than 200 deep"),
        (within("", "1", " IS NULL", TIMES), "more than 200 deep"),
        (within("", "1", " BETWEEN 0 AND 2", TIMES), "more than 200 deep"),
        (within("", "a", ".b", TIMES), "more than 200 deep"),
        (within("", "1", " UNION ALL SELECT 1", 2_000), "take 500 queries"),
        (named(600), "take 500 queries"),
    ];
    for (sql, expected) in refused {
        let begins = sql[..sql.len().min(80)].to_owned();
        let error = ask(sql).err().unwrap_or_default();
        assert!(error.contains(expected), "{error}: {begins}");
    }
}
