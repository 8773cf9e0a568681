//! The executable `clickmill-sql`: the SQL engine, which `clickmill` starts when it is first asked.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
    match clickmill_sql::serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("clickmill-sql: {error}");
            ExitCode::FAILURE
        }
    }
}
