#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lacuna::targets::schema(data));
