//! The binary `clickmill`: everything is in the library.

fn main() -> std::process::ExitCode {
    clickmill_allocator::keep_little();
    clickmill::main()
}
