//! The little ASN.1 (ITU-T X.690) that stands between a JWS and a host that verifies.

/// ECDSA-Sig-Value (RFC 3279, 2.2.3) of what a JWS carries: r and s side by side, each of `size`
/// bytes (RFC 7518, 3.4). `None` in any other length, and if one of them is zero.
pub(super) fn ecdsa_signature(fixed: &[u8], size: usize) -> Option<Vec<u8>> {
    let (r, s) = fixed.split_at_checked(size)?;
    if s.len() != size {
        return None;
    }
    let (r, s) = (integer(r)?, integer(s)?);
    Some(value(0x30, &[r, s].concat()))
}

/// A positive INTEGER: without leading zeros, but with one where it would be negative.
fn integer(bytes: &[u8]) -> Option<Vec<u8>> {
    let start = bytes.iter().position(|byte| *byte != 0)?;
    let digits = bytes.get(start..)?;
    let sign: &[u8] = match digits.first()? {
        0x80.. => &[0],
        _ => &[],
    };
    Some(value(0x02, &[sign, digits].concat()))
}

/// A value of less than 256 bytes with its tag and its length.
fn value(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = u8::try_from(contents.len()).unwrap_or(u8::MAX);
    let head: &[u8] = match length {
        0x80.. => &[tag, 0x81, length],
        _ => &[tag, length],
    };
    [head, contents].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_of_a_fixed_length_become_two_integers() {
        let long = |first: u8| [&[first][..], &[0x55; 65]].concat();
        let long_der = |sign: &[u8], first: u8, length: u8| {
            let one = [&[0x02, length][..], sign, &long(first)].concat();
            let both = [one.clone(), one].concat();
            [&[0x30, 0x81, u8::try_from(both.len()).unwrap()][..], &both].concat()
        };
        for (name, fixed, size, expected) in [
            (
                "small",
                vec![0, 1, 0, 2],
                2,
                Some(vec![0x30, 6, 2, 1, 1, 2, 1, 2]),
            ),
            (
                "whole",
                vec![1, 2, 3, 4],
                2,
                Some(vec![0x30, 8, 2, 2, 1, 2, 2, 2, 3, 4]),
            ),
            (
                "would be negative",
                vec![0x80, 0, 0, 0xff],
                2,
                Some(vec![0x30, 9, 2, 3, 0, 0x80, 0, 2, 2, 0, 0xff]),
            ),
            ("r is zero", vec![0, 0, 0, 1], 2, None),
            ("s is zero", vec![0, 1, 0, 0], 2, None),
            ("a byte less", vec![1, 2, 3], 2, None),
            ("a byte more", vec![1, 2, 3, 4, 5], 2, None),
            ("nothing", vec![], 2, None),
            (
                "of P-521",
                [long(1), long(1)].concat(),
                66,
                Some(long_der(&[], 1, 66)),
            ),
            (
                "longer than any",
                [long(0xff), long(0xff)].concat(),
                66,
                Some(long_der(&[0], 0xff, 67)),
            ),
        ] {
            assert_eq!(ecdsa_signature(&fixed, size), expected, "{name}");
        }
    }
}
