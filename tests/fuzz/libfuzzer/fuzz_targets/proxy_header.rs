//! The target `proxy_header` of `tests/fuzz/targets.rs`, with damage that coverage guides.
#![no_main]

#[path = "../../targets.rs"]
#[allow(dead_code)]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::proxy_header(data));
