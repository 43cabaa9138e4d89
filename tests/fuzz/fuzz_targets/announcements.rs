#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| peerage_fuzz::run("announcements", input));
