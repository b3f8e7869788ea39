//! An invitation, as it was pasted.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tests::fuzzing::invite(bytes));
