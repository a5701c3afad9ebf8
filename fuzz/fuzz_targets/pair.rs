#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| synfin_fuzz_targets::pair(data));
