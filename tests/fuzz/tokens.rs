//! A token and a key set: any bytes are read or refused.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::keys::KeySet;
use portcullis::token::jwt;
use portcullis::token::signature::Provenance;

fuzz_target!(|data: &[u8]| {
    let _ = jwt::parse(data);
    let _ = KeySet::read(data, Provenance::Fetched);
    let _ = KeySet::read(data, Provenance::Configuration);
});
