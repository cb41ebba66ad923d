//! A request: any block of headers is read or refused, and what is read has a reading.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::config::PathMatching;
use portcullis::request::{Headers, PathNormalization, Request, UNKNOWN_CONNECTION, path_readings};

fuzz_target!(|data: &[u8]| {
    let _ = path_readings(data);
    for normalization in [
        PathNormalization::Base,
        PathNormalization::MergeSlashes,
        PathNormalization::DecodeAndMergeSlashes,
    ] {
        // What is normalized can be normalized.
        if let Ok(path) = normalization.normalize(data) {
            assert!(normalization.normalize(&path).is_ok());
        }
    }
    let Ok(headers) = Headers::from_abi(data.to_vec()) else {
        return;
    };
    if let Ok(request) = Request::read(&headers, &UNKNOWN_CONNECTION)
        && let Ok(readings) = request.readings(PathMatching::Strict)
    {
        assert!(!readings.is_empty());
    }
});
