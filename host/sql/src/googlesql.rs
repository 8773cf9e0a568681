//! Expressions with the answers that GoogleSQL's documentation gives, in `googlesql.tsv`: the expression, or a
//! query; its answer, or `error: ` and a part of the error; and the page of github.com/google/googlesql/docs
//! that it is from. A page that does not say what the answer is has an error here.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use clickmill_query::wire;
use datafusion::execution::runtime_env::RuntimeEnv;

use super::functions::Kind;
use super::query::{QueryError, context, executed, plan};
use super::types;

const TABLE: &str = include_str!("googlesql.tsv");

/// Rows are parted by bars, columns by commas.
async fn answer(expression: &str) -> Result<String, QueryError> {
    let query = ["SELECT ", "WITH ", "VALUES", "SHOW ", "INSERT ", "COPY "];
    let sql = if query.iter().any(|word| expression.starts_with(word)) {
        expression.to_owned()
    } else {
        format!("SELECT {expression}")
    };
    let context = context(Arc::new(RuntimeEnv::default()));
    let plan = plan(&context, &sql, &[]).await?;
    // What is done twice to a view must be done once.
    let plan = types::checked(plan)?;
    let answer = executed(context.execute_logical_plan(plan).await?).await?;
    for field in answer.schema.fields() {
        // Whoever reads the answer knows these types and no other.
        let found = field.data_type();
        let known =
            found.is_nested() || Kind::of(found).is_none_or(|kind| kind.data_type() == *found);
        assert!(known, "{expression} is {found}");
    }
    let through = wire::write_rows(&answer.schema, &answer.batches);
    let answer = wire::read_rows(&through.expect(expression)).expect(expression);
    Ok(answer.batches.iter().flat_map(rows).collect::<Vec<_>>().join(" | "))
}

fn rows(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::new().with_null("NULL");
    let formats: Vec<ArrayFormatter<'_>> = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column, &options).unwrap())
        .collect();
    let row = |row| {
        let values = formats.iter().map(|format| format.value(row).to_string());
        values.collect::<Vec<_>>().join(", ")
    };
    (0..batch.num_rows()).map(row).collect()
}

#[tokio::test]
async fn expressions_answer_as_the_documentation_says_or_say_what_differs() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in TABLE.lines().skip(1) {
        let line = line.replace("<TAB>", "\u{1f}");
        let [expression, wanted, page] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("three columns in `{line}`");
        };
        let [expression, wanted] = [expression, wanted].map(|text| text.replace('\u{1f}', "\t"));
        count += 1;
        let found = answer(&expression).await;
        let fits = match (&found, wanted.strip_prefix("error: ")) {
            (Ok(found), None) => *found == wanted,
            (Err(error), Some(part)) => error.to_string().contains(part),
            _ => false,
        };
        if !fits {
            let found = found.unwrap_or_else(|error| format!("error: {error}"));
            wrong.push(format!("{page}: {expression}\n    wanted {wanted}\n    found  {found}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count >= 200, "{count}");
}
