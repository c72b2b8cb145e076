//! Any bytes as a file of which a span is wanted. What it finds goes to `tests/regressions`.

#![no_main]

#[path = "../../tests/kit/any.rs"]
mod any;

libfuzzer_sys::fuzz_target!(|data: &[u8]| futures_executor::block_on(any::read(data)));
