#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| magnum_fuzzing::paging(data));
