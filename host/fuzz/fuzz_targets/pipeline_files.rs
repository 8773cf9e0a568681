//! Any bytes as a pipeline file.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    clickmill_config::fuzz::pipeline_file(bytes);
});
