//! The executable `clickmill-sql`: the SQL engine, which `clickmill` starts when it is first asked.

use std::io::{IsTerminal, stderr};
use std::process::ExitCode;

use clickmill_allocator as _;
use clickmill_core::{panics, terminal};
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::format::debug_fn;

const ABOUT: &str = "clickmill-sql answers the SQL queries of `clickmill`, which starts it by itself. \
It speaks frames on standard input and output, nothing for people: ask by `clickmill query`.";

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        None => {}
        Some("--version" | "-V") => {
            println!("clickmill-sql {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        Some(_) => {
            println!("{ABOUT}");
            return ExitCode::SUCCESS;
        }
    }
    panics::tell();
    log();
    match clickmill_sql::serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::talk(format_args!("clickmill-sql: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// What goes wrong with a warehouse's files is told on standard error, in the form of `clickmill`'s own log.
fn log() {
    let lines = tracing_subscriber::fmt()
        .with_writer(stderr)
        .with_target(false)
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN);
    if stderr().is_terminal() {
        let shown =
            debug_fn(|to, field, value| write!(to, "{}", terminal::field(field.name(), value)));
        lines.fmt_fields(shown.delimited(" ")).init();
    } else {
        lines.json().flatten_event(true).init();
    }
}
