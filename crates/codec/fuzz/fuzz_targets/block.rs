//! `cargo fuzz run block`: no bytes make the decoder panic, hang or take memory without end.

#![no_main]

#[path = "../decode_all.rs"]
mod decode_all;

libfuzzer_sys::fuzz_target!(|data: &[u8]| decode_all::decode_all(data));
