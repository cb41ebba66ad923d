//! What a gateway is told of a client certificate: any bytes are read or refused, and a name never
//! yields an attribute that stands only in the text of another.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::peer::{Certificate, DistinguishedName, digest, xfcc};

fuzz_target!(|data: &[u8]| {
    let _ = digest(data);
    let _ = Certificate::from_pem(data);
    let _ = xfcc::certificate([data].into_iter(), &[0; 32]);
    if let Some(name) = DistinguishedName::parse(data) {
        let _ = name.values("CN").count();
    }
    // Escaped whole, it is text and nothing more.
    let escaped: Vec<u8> = data
        .iter()
        .flat_map(|byte| format!("\\{byte:02X}").into_bytes())
        .collect();
    let inside = [b"O=x", escaped.as_slice()].concat();
    if let Some(name) = DistinguishedName::parse(&inside) {
        assert_eq!(name.values("CN").count(), 0);
        assert_eq!(name.values("O").count(), 1);
    }
});
