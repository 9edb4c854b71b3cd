//! Under libFuzzer.
#![no_main]
#[path = "../bodies/control.rs"]
mod body;
libfuzzer_sys::fuzz_target!(|input: &[u8]| body::run(input));
