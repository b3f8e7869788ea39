//! Changes that are received into an honest document.
#![no_main]

libfuzzer_sys::fuzz_target!(init: tests::fuzzing::contain_panics(), |bytes: &[u8]| tests::fuzzing::receive(bytes));
