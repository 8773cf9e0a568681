//! The binary `clickmill`: everything is in the library.

// Column buffers of a megabyte come and go with every batch; glibc's allocator gives them back to the
// kernel each time and pays for page faults (measured: up to 2.4 times slower).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    // The allocator asks for huge pages, of which each is cleared as a whole for the first byte that is wanted of it:
    // a third more memory, and no less time (host/benches/README.md). That it can't be had is no reason not to start.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    clickmill::main()
}
