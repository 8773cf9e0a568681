use super::*;

/// What is kept of error lines.
fn kept(guest: &mut Guest, lines: &[&str]) -> Option<String> {
    for line in lines {
        guest.log(Level::Error, (*line).to_owned());
    }
    guest.last_error.clone()
}

#[test]
fn of_a_trace_its_first_line_is_kept_and_else_the_last() {
    for (lines, wanted) in [
        (&["one", "another"][..], "another"),
        // As Go writes them, but for the ends of lines.
        (&["said", "panic: ", "boom", "goroutine ", "6", " [", "running", "0x2"], "panic: boom"),
        (&["panic: ", "(", "main.Odd", ") ", "0xce10", "goroutine "], "panic: (main.Odd) 0xce10"),
        (
            &["panic: ", "first", "\t", "panic: ", "second", "[signal ", "0xb", "goroutine ", "6"],
            "panic: first\tpanic: second",
        ),
        (
            &["fatal error: ", "all goroutines are asleep - deadlock!", "goroutine ", "1"],
            "fatal error: all goroutines are asleep - deadlock!",
        ),
        (&["panic: ", "goroutine ", "1"], "panic: "),
        // In whole lines.
        (&["panic: boom", "goroutine 1 [running]:", "main.go:5"], "panic: boom"),
        // No trace, but lines that somebody wrote.
        (&["panic: averted", "another"], "another"),
        (&["goroutine 1", "another"], "another"),
    ] {
        let mut guest = Guest::new("test".into(), Limits::default(), Default::default());
        assert_eq!(kept(&mut guest, lines).as_deref(), Some(wanted), "{lines:?}");
        guest.next_call(HiddenValues::default(), Duration::MAX, 10);
        assert_eq!(guest.last_error, None);
        assert_eq!(kept(&mut guest, &["another"]).as_deref(), Some("another"), "{lines:?}");
    }
}

/// What is told with a fault is not told before it, and what it did not end by is no reason of it.
#[test]
fn error_lines_are_kept_until_it_is_known_what_they_were() {
    let lines = |lines: &[(Level, &str)]| {
        let mut guest = Guest::new("test".into(), Limits::default(), Default::default());
        let reader = tracing_subscriber::fmt().with_writer(std::io::sink).finish();
        tracing::subscriber::with_default(reader, || {
            for (level, line) in lines {
                guest.log(*level, (*line).to_owned());
            }
        });
        let of_trap = guest.errors[guest.last_error_at..].join(", ");
        (guest.last_error, guest.errors.len(), of_trap)
    };
    use Level::{Error, Info};
    let said = |text: &str| Some(text.to_owned());
    for (logged, wanted) in [
        (&[(Error, "a"), (Error, "b")][..], (said("b"), 2, "b")),
        (&[(Error, "a"), (Info, "b")], (None, 0, "")),
        (&[(Error, "panic: a"), (Info, "b"), (Error, "c")], (said("c"), 1, "c")),
        (
            &[(Error, "a"), (Error, "panic: "), (Error, "b"), (Error, "goroutine 1")],
            (said("panic: b"), 4, "panic: , b, goroutine 1"),
        ),
        // Beyond the lines that it may write.
        (&[(Error, "a"); 20], (said("a"), 16, "")),
    ] {
        let (last, kept, of_trap) = lines(logged);
        assert_eq!((last, kept, of_trap.as_str()), wanted, "{logged:?}");
    }
}

#[test]
fn pieces_of_a_trace_are_no_longer_than_a_line_and_tell_no_secret() {
    let limits = Limits::default();
    let secrets = [("key", "0123456789abcdef")];
    let guest = Guest::new("test".into(), limits, Default::default());
    let mut guest = guest.redacting(Redactor::new(secrets.into_iter()));
    let told = kept(&mut guest, &["panic: ", "of 01234567", "89abcdef"]).unwrap();
    assert_eq!(told, "panic: of [secret key]");
    let piece = "x".repeat(100);
    let told = kept(&mut guest, &[&*piece; 100]).unwrap();
    assert!(told.len() <= limits.max_message_bytes + '…'.len_utf8(), "{}", told.len());
}

/// Else pieces of nothing would have the host look at the others for ever, at the cost of a line.
#[test]
fn a_piece_of_a_trace_costs_what_is_looked_at_of_those_before_it() {
    let mut guest = Guest::new("test".into(), Limits::default(), Default::default());
    kept(&mut guest, &["one line", "panic: in one line"]);
    assert_eq!(guest.cost_of_line(), 0);
    guest.next_call(HiddenValues::default(), Duration::MAX, 10);
    kept(&mut guest, &["panic: ", "boom", ""]);
    assert_eq!(guest.cost_of_line(), "panic: boom".len());
    kept(&mut guest, &["goroutine "]);
    assert_eq!(guest.cost_of_line(), 0);
}
