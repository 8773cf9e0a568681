use arrow::array::{Int64Array, ListArray, RecordBatch};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::Field;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::kind::Spec;
use crate::testing::batch_of;
use clickmill_core::path::Path;

fn batch(columns: &[(&str, ArrayRef)]) -> Batch {
    batch_of(RecordBatch::try_from_iter(columns.iter().cloned()).expect("a batch"))
}

fn users(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

/// What is told of the first row of a batch that is read before the sensitive columns are there.
fn early(columns: &[(&str, &str)], message: &str) -> String {
    let columns: Vec<(&str, ArrayRef)> =
        columns.iter().map(|(name, value)| (*name, users(&[Some(value)]))).collect();
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let reads = reads(&names);
    let hidden = HiddenValues::of(&batch(&columns), &["ip".to_owned()], &[], Some(&reads));
    told(&hidden, 0, message)
}

/// What a stage reads that reads these columns.
fn reads(names: &[&str]) -> Columns {
    let spec = |name: &&str| {
        let (path, data_type) = (Path::of(name), crate::boundary::DataType::Text);
        Spec { path, data_type, repeated: false }
    };
    let specs: Vec<Spec> = names.iter().map(spec).collect();
    Columns::of(&specs, |_| None).expect("columns of texts").0
}

fn told(hidden: &HiddenValues, row: usize, message: &str) -> String {
    let told = hidden.keep_out(row, &refused(&[message]));
    let [(0, reason)] = &told[..] else { panic!("one row is refused: {told:?}") };
    reason.message.clone()
}

/// Rows that were refused with these messages.
fn refused(messages: &[&str]) -> Vec<(u32, Reason)> {
    let reason = |message: &&str| {
        let (code, message) = ("bad".to_owned(), (*message).to_owned());
        Reason { code, message, column: None }
    };
    (0..).zip(messages.iter().map(reason)).collect()
}

#[test]
fn messages_say_the_column_and_not_the_value() {
    let batch = batch(&[("user_id", users(&[Some("u-4711"), None, Some("u-12")]))]);
    let hidden = HiddenValues::of(&batch, &["user_id".to_owned(), "ip".to_owned()], &[], None);
    for (message, wanted) in [
        ("`u-4711` is no user, u-12 is", "`[user_id]` is no user, u-12 is"),
        ("U-4711 and u-4711", "[user_id] and [user_id]"),
        ("xu-47110", "x[user_id]0"),
    ] {
        assert_eq!(told(&hidden, 0, message), wanted);
    }
    assert_eq!(told(&hidden, 1, "u-4711"), "u-4711");
    assert_eq!(hidden.keep_all_out("u-12 and u-4711, 12"), "[user_id] and [user_id], 12");
}

#[test]
fn columns_of_numbers_and_what_was_masked_since_are_hidden_too() {
    let sessions: ArrayRef = Arc::new(Int64Array::from(vec![24026]));
    let batch = batch(&[("session_id", users(&[Some("k1:5f5f")])), ("phone", sessions.clone())]);
    let names = ["session_id".to_owned(), "phone".to_owned()];
    let raw = [RawColumn::new("session_id", users(&[Some("s-77")]))];
    let hidden = HiddenValues::of(&batch, &names, &raw, None);
    let wanted = "[phone] of [session_id], [session_id]";
    assert_eq!(told(&hidden, 0, "24026 of s-77, k1:5f5f"), wanted);
    assert_eq!(hidden.keep_all_out("24026 of s-77, k1:5f5f"), wanted);
}

#[test]
fn a_value_that_a_message_has_cut_is_hidden_as_far_as_it_goes() {
    let long = "é0123456789abcdef0123456789abcdef".repeat(4);
    let hidden = HiddenValues::of(
        &batch(&[("user_id", users(&[Some(&long)]))]),
        &["user_id".to_owned()],
        &[],
        None,
    );
    let cut: String = long.chars().take(64).collect();
    assert_eq!(told(&hidden, 0, &format!("`{cut}…` is long")), "`[user_id]…` is long");
    assert_eq!(hidden.keep_all_out(&format!("<{long}>")), "<[user_id]>");
}

#[test]
fn a_message_that_says_a_value_with_escapes_is_left_out() {
    let value = "ada \"lovelace\"\t1815";
    let json = serde_json::json!({ "user": value }).to_string();
    let batch = batch(&[("user_id", users(&[Some(value)]))]);
    let hidden = HiddenValues::of(&batch, &["user_id".to_owned()], &[], None);
    for message in [
        format!("no user: {value:?}"),
        format!("no user in {json}"),
        format!("no user in {json:?}"),
        format!("no user in {:?}", Some(&json)),
        r"no user: \u0061da \u0022lovelace\u0022\u00091815".to_owned(),
        "no user: /u?id=ada%20%22lovelace%22%091815".to_owned(),
        "no user: /r?u=%2Fu%3Fid%3Dada%2520%2522lovelace%2522%25091815".to_owned(),
    ] {
        let wanted = "[left out: it says a value of user_id with escapes]";
        assert_eq!(told(&hidden, 0, &message), wanted, "{message}");
        assert_eq!(hidden.keep_all_out(&message), wanted, "{message}");
    }
    for message in ["C:\\users\\ada", "\"ada\" is \\\"new\\\"", "\\"] {
        assert_eq!(told(&hidden, 0, message), message);
    }
}

#[test]
fn a_message_grows_by_no_more_than_a_name_for_each_value() {
    // What stands in place of one value holds others.
    let values = ["aaaa", "column", "olum", "[a_c"];
    let name = "a_column_with_aaaa";
    let column = users(&values.map(Some));
    let hidden = HiddenValues::of(&batch(&[(name, column)]), &[name.to_owned()], &[], None);
    let line = "aaaa ".repeat(200);
    let wanted = format!("[{name}] ").repeat(200);
    assert_eq!(hidden.keep_all_out(&line), wanted);
}

#[test]
fn lines_of_a_batch_are_looked_through_so_often_and_then_left_out() {
    let batch = batch(&[("user_id", users(&[Some("u-4711")]))]);
    let names = ["user_id".to_owned()];
    let hidden = HiddenValues::of(&batch, &names, &[], None);
    let line = |hidden: &HiddenValues| hidden.keep_all_out("u-4711");
    // Pieces of a batch share it.
    let piece = hidden.clone();
    (0..MAX_LINES / 2).for_each(|_| {
        assert_eq!((line(&hidden), line(&piece)), ("[user_id]".to_owned(), "[user_id]".to_owned()))
    });
    assert_eq!((line(&hidden).as_str(), line(&piece).as_str()), (LEFT_OUT, LEFT_OUT));
    assert_eq!(hidden.cost_of_line(), FUEL_PER_VALUE);
    // Where nothing is sensitive there is nothing to look for.
    let open = HiddenValues::of(&batch, &[], &[], None);
    (0..2 * MAX_LINES).for_each(|_| assert_eq!(line(&open), "u-4711"));
    assert_eq!(open.cost_of_line(), 0);
}

#[test]
fn before_sensitive_columns_are_there_a_rejection_quotes_nothing_of_the_record() {
    let event = r#"{"session_id":"ada@example.com","ip":"203.0.113.9","n":123456,"name":"Zo\u00eb K\u00f6nig"}"#;
    for (message, wanted) in [
        (
            "`session_id` is `ada@example.com`, wanted an integer",
            "`session_id` is `[15 characters]`, wanted an integer",
        ),
        ("`ip` is `203.0.113.9`", "`ip` is `[11 characters]`"),
        ("ADA@EXAMPLE.COM", "[15 characters]"),
        (
            "the message is `\"203.0.113.9`, wanted an object",
            "the message is `[12 characters]`, wanted an object",
        ),
        // Cut, and of a number.
        ("`ada@exa…` and 123456", "`[7 characters]…` and [6 characters]"),
        ("xada@examplex", "x[11 characters]x"),
        ("Zoë König", "[9 characters]"),
        ("xamples are x3456x", "xamples are x[4 characters]x"),
        ("not JSON: byte 12 is `x`, wanted a name", "not JSON: byte 12 is `x`, wanted a name"),
        ("", ""),
        ("abc", "abc"),
    ] {
        assert_eq!(early(&[("payload", event)], message), wanted);
    }
    // Of a map the keys may be anybody's.
    let map = r#"{"event_type":1,"bob@example.com":5,"u-471108":{"a":1},"v2.utm-source":2}"#;
    for (key, told) in [
        ("event_type", "event_type"),
        ("v2.utm-source", "v2.utm-source"),
        ("bob@example.com", "[15 characters]"),
        ("u-471108", "[8 characters]"),
    ] {
        let wanted = format!("key `{told}` is unknown");
        assert_eq!(early(&[("payload", map)], &format!("key `{key}` is unknown")), wanted);
    }
    // Fields of delimited text, as they are decoded.
    let fields = [("session ID", "say \"x\" 12"), ("country", "29")];
    assert_eq!(
        early(&fields, "`session_id` is `say \"x\" 12`"),
        "`session_id` is `[10 characters]`"
    );
    assert_eq!(early(&fields, "`country` is `29`"), "`country` is `29`");
}

#[test]
fn names_of_columns_stay_readable_between_backticks() {
    // Parts of the record are parts of the names, and one value is a name.
    let event = r#"{"session":"a sent_", "page":"checkout_step", "user":"step", "kind":"click_no", "n":470815}"#;
    let names = ["sent_id", "checkout_step", "items.step_2", "click_no"].map(str::to_owned);
    let names: Arc<HashSet<String>> = Arc::new(names.into());
    let reads = reads(&["payload"]);
    let columns = [("payload", users(&[Some(event)])), ("user", users(&[Some("checkout_step")]))];
    let guarded = ["user".to_owned()];
    let hidden = HiddenValues::of(&batch(&columns), &guarded, &[], Some(&reads));
    assert_eq!(told(&hidden, 0, "`sent_id` is missing"), "`[5 characters]id` is missing");
    let hidden = hidden.but_for(names);
    for (message, wanted) in [
        ("`sent_id` is missing", "`sent_id` is missing"),
        ("`click_no` of `items.step_2`", "`click_no` of `items.step_2`"),
        // A place in a list is no part of a name, and may be a visitor's number.
        ("`items[3].step_2` is missing", "`items[3].step_2` is missing"),
        ("`items[470815].step_2`", "`items[[6 characters]].step_2`"),
        ("`checkout_step` is `click_no`", "`checkout_step` is `click_no`"),
        // Nothing but the whole name, and only between backticks.
        ("`sent_id ` of checkout_step", "`[5 characters]id ` of [user]"),
        ("`sent_i` is missing", "`[5 characters]i` is missing"),
        ("`a sent_id`", "`[7 characters]id`"),
    ] {
        assert_eq!(told(&hidden, 0, message), wanted);
    }
    let line = "`items.step_2` of items.step_2, `checkout_step`, checkout_step";
    let wanted = "`items.step_2` of [12 characters], `checkout_step`, [user]";
    assert_eq!(hidden.keep_all_out(line), wanted);
}

/// What becomes of the codes of a row.
fn codes_told(hidden: &HiddenValues, codes: &[&str]) -> Vec<String> {
    let mut refused = refused(&vec!["no"; codes.len()]);
    for ((_, reason), code) in refused.iter_mut().zip(codes) {
        reason.code = (*code).to_owned();
    }
    hidden.keep_out(0, &refused).into_iter().map(|(_, reason)| reason.code).collect()
}

#[test]
fn codes_say_no_value_however_it_is_spelt() {
    let values = ["491512345678", "203.0.113.9", "Ada.Lovelace@example.com", "anonymous", "u-1"];
    for (value, code, is_told) in [
        (values[0], "491512345678", false),
        (values[0], "phone_4915_1234_5678_bad", false),
        (values[0], "phone_4915", true),
        (values[1], "203_0_113_9", false),
        (values[1], "ip20301139", false),
        (values[2], "ada_lovelace_example_com", false),
        // A part of it only.
        (values[2], "adalovelaceexampleco", true),
        (values[3], "anonymous", true),
        (values[4], "u_1", true),
        (values[0], "bad_ip", true),
    ] {
        let batch = batch(&[("user_id", users(&[Some(value)]))]);
        let hidden = HiddenValues::of(&batch, &["user_id".to_owned()], &[], None);
        let wanted = if is_told { code } else { code::HIDDEN };
        assert_eq!(codes_told(&hidden, &["bad", code]), ["bad", wanted], "{value}");
    }
}

#[test]
fn before_the_columns_are_there_no_code_quotes_a_number() {
    let columns = [("payload", users(&[Some(r#"{"event":"bad_ip","phone":491512345678}"#)]))];
    let reads = reads(&["payload"]);
    let hidden = HiddenValues::of(&batch(&columns), &["phone".to_owned()], &[], Some(&reads));
    let codes = ["bad_ip", "at_4915", "http_404", "year_2008"];
    assert_eq!(codes_told(&hidden, &codes), ["bad_ip", code::HIDDEN, "http_404", "year_2008"]);
}

#[test]
fn what_is_quoted_of_a_record_that_is_no_json_is_hidden() {
    for record in [r#"{"a":"u-4711","#, r#""u-4711"#, "u-4711", r#"{"a\":"u-4711""#, "\\\"u-4711\\"]
    {
        assert_eq!(
            early(&[("payload", record)], "not `u-4711`"),
            "not `[6 characters]`",
            "{record}"
        );
    }
}

#[test]
fn reasons_for_many_rows_of_one_record_are_told_as_each_alone_is() {
    let columns = [
        ("payload", users(&[Some(r#"{"user":"u-4711","ip":"203.0.113.9"}"#), Some("u-0815")])),
        ("phone", users(&[Some("+49 151 1"), None])),
    ];
    let names = ["phone".to_owned(), "ip".to_owned()];
    let reads = reads(&["payload"]);
    let hidden = HiddenValues::of(&batch(&columns), &names, &[], Some(&reads));
    let messages =
        ["`u-4711`", "", "`user` is 203.0.113", "+49 151 1 of u-4711", "u-0815", "0.113.9"];
    let many = hidden.keep_out(0, &refused(&messages));
    let many: Vec<String> = many.into_iter().map(|(_, reason)| reason.message).collect();
    assert_eq!(many, messages.map(|message| told(&hidden, 0, message)));
    assert_eq!(many[0], "`[6 characters]`");
    assert_eq!(many[3], "[phone] of [6 characters]");
    assert_eq!(many[4], "u-0815", "it is of another row");
}

/// Where it were looked through for each of them, this would take hours.
#[test]
fn a_record_of_which_many_rows_are_refused_is_looked_through_once() {
    let record = (0..200_000).map(|number| format!("{number}, ")).collect::<String>();
    let reads = reads(&["payload"]);
    let batch = batch(&[("payload", users(&[Some(&record)]))]);
    let hidden = HiddenValues::of(&batch, &["ip".to_owned()], &[], Some(&reads));
    let told = hidden.keep_out(0, &refused(&["not `199999`"; 10_000]));
    assert_eq!(told.len(), 10_000);
    let is_told = |(_, reason): &(u32, Reason)| reason.message == "not `[6 characters]`";
    assert!(told.iter().all(is_told), "{:?}", told[0]);
}

/// Where each were looked for in each of them, this would take hours.
#[test]
fn of_a_row_that_has_very_many_values_messages_are_told_or_left_out_and_lines_cost_more() {
    let list = |values: Vec<String>| -> ArrayRef {
        let offsets = OffsetBuffer::from_lengths([values.len()]);
        let values: ArrayRef = Arc::new(StringArray::from(values));
        let field = Arc::new(Field::new("item", values.data_type().clone(), true));
        Arc::new(ListArray::new(field, offsets, values, None))
    };
    let numbers = list((0..1_000_000).map(|number| format!("u-{number}")).collect());
    // Each may be in the message, as far as its parts tell.
    let alike = list((0..100_000).map(|number| format!("{}{number}", "a".repeat(24))).collect());
    let same = list(vec!["a".repeat(30); 1_000_000]);
    let long = "a".repeat(100);
    for (values, message, line, wanted) in [
        (numbers, "no u-999 \\n", "no [users] \\n", "no [users] \\n"),
        (alike, &long, "[users]aaaa", LEFT_OUT),
        (same, &long, "[users]aaaaaaaaaa", "[users]aaaaaaaaaa"),
    ] {
        let batch = batch(&[("users", values.clone())]);
        let hidden = HiddenValues::of(&batch, &["users".to_owned()], &[], None);
        let number = values.as_list::<i32>().values().len();
        assert_eq!(hidden.cost_of_line(), number * FUEL_PER_VALUE);
        assert_eq!(hidden.keep_all_out(message), line);
        let told = hidden.keep_out(0, &refused(&[message; 1000]));
        assert_eq!(told.len(), 1000);
        let is_told = |(_, reason): &(u32, Reason)| reason.message == wanted;
        assert!(told.iter().all(is_told), "{:?}", told[0]);
    }
}

/// Nor is a column copied that it cannot quote: thousands of rows may share a text.
#[test]
fn a_stage_quotes_what_it_reads() {
    let columns = [("payload", users(&[Some("u-4711")])), ("url", users(&[Some("/u-0815")]))];
    let reads = reads(&["url", "gone"]);
    let hidden = HiddenValues::of(&batch(&columns), &["ip".to_owned()], &[], Some(&reads));
    assert_eq!(told(&hidden, 0, "/u-0815, u-4711"), "[7 characters], u-4711");
}

#[test]
fn before_sensitive_columns_are_there_a_line_has_words_of_letters_only() {
    let hidden = |to_come: Option<&Columns>| {
        HiddenValues::of(
            &batch(&[("payload", users(&[Some("x")]))]),
            &["ip".to_owned()],
            &[],
            to_come,
        )
    };
    let reads = reads(&["payload"]);
    for (line, wanted) in [
        ("ada@example.com logged in.", "[15 characters] logged in."),
        (
            "user=u-4711, ip=203.0.113.9: refused",
            "user=[6 characters], ip=[11 characters]: refused",
        ),
        (
            "3 of 8192 rows have no price_above_average.",
            "3 of 8192 rows have no price_above_average.",
        ),
        ("Zoë-Käthe", "[9 characters]"),
    ] {
        assert_eq!(hidden(Some(&reads)).keep_all_out(line), wanted);
        assert_eq!(hidden(None).keep_all_out(line), line);
    }
}

/// A message that says some of these values, among other words.
fn saying(values: &[String], order: &[(usize, String)]) -> String {
    let word = |(at, other): &(usize, String)| match values.get(*at) {
        Some(value) => format!("{other}{value}"),
        None => other.clone(),
    };
    order.iter().map(word).collect()
}

proptest! {
    #[test]
    fn no_value_is_in_what_is_told(
        values in vec("[ab1@.é]{4,40}", 1..6),
        order in vec((0..8_usize, "[ab1 ]{0,4}"), 0..12),
    ) {
        let rows: Vec<Option<&str>> = values.iter().map(|value| Some(value.as_str())).collect();
        // A name that is a part of no value.
        let hidden = HiddenValues::of(&batch(&[("~", users(&rows))]), &["~".to_owned()], &[], None);
        let line = saying(&values, &order);
        let all = hidden.keep_all_out(&line);
        for (row, value) in values.iter().enumerate() {
            prop_assert!(!all.contains(value.as_str()), "{value} in {all}, of {line}");
            let told = told(&hidden, row, &line);
            prop_assert!(!told.contains(value.as_str()), "{value} in {told}, of {line}");
        }
    }

    /// Values that a message cannot hold are passed over, which changes nothing of what is told.
    #[test]
    fn what_is_told_is_as_if_each_value_were_looked_for(
        values in vec("[abAB1é]{0,30}", 1..12),
        order in vec((0..16_usize, "[ab1 ]{0,4}"), 0..12),
    ) {
        let rows: Vec<Option<&str>> = values.iter().map(|value| Some(value.as_str())).collect();
        let hidden = HiddenValues::of(&batch(&[("~", users(&rows))]), &["~".to_owned()], &[], None);
        let line = saying(&values, &order);
        let of_values = |values: &[String]| {
            let mut marks = Marks::on(&line, &HashSet::new());
            let long = values.iter().filter(|value| value.len() >= LEAST_BYTES);
            long.for_each(|value| marks.hide(value, "~"));
            marks.told()
        };
        prop_assert_eq!(hidden.keep_all_out(&line), of_values(&values));
        for (row, value) in values.iter().enumerate() {
            prop_assert_eq!(told(&hidden, row, &line), of_values(std::slice::from_ref(value)));
        }
    }

    #[test]
    fn no_value_of_a_record_is_quoted_before_it_is_a_column(
        values in vec("[ab1@.éÄ\"\\\\\n]{3,40}1", 1..4),
        order in vec((0..5_usize, "[ xyz]{0,4}"), 0..8),
    ) {
        let line = saying(&values, &order);
        let record = serde_json::json!({ "users": values }).to_string();
        let fields: Vec<(&str, &str)> = ["a", "b", "c"].into_iter().zip(values.iter().map(String::as_str)).collect();
        for told in [early(&[("payload", &record)], &line), early(&fields, &line)] {
            for value in &values {
                prop_assert!(!told.contains(value.as_str()), "{value} in {told}, of {line}");
            }
        }
    }
}
