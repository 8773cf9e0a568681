//! Any bytes as what a plugin answers and says of itself.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    clickmill_sandbox::fuzz::guest_answer(bytes);
});
