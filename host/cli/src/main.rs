//! The binary `clickmill`: everything is in the library.

fn main() -> std::process::ExitCode {
    clickmill_allocator::take_no_huge_pages();
    // Frames of `exec` take the memory of those before them: to have it anew is a microsecond of processor time a
    // message (host/benches/README.md).
    if std::env::args_os().nth(1).is_none_or(|verb| verb != "exec") {
        clickmill_allocator::give_back_soon();
    }
    clickmill::main()
}
