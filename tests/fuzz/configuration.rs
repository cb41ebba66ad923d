//! A configuration: any text is read or refused, and what is read compiles.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::config::Config;
use portcullis::policy::Policy;

fuzz_target!(|data: &[u8]| {
    if let Ok(config) = Config::read(data) {
        let _ = Policy::compile(config);
    }
});
