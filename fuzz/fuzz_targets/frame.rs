//! A frame, as the other end of a link sends it.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tests::fuzzing::frame(bytes));
