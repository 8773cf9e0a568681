//! Any bytes as a request to the admin interface.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    clickmill_admin::fuzz::request(bytes);
});
