//! Whether two texts are the same bytes, which is asked many times for each request.
//!
//! Not for secrets that a stranger could guess byte by byte: it ends at the first difference.

/// Whether they have the same bytes. WebAssembly has no `memcmp` of its own, and the one that is
/// linked goes byte by byte, which took a tenth of a decision.
#[must_use]
pub fn is_same(one: &[u8], other: &[u8]) -> bool {
    let ((words, rest), (other_words, other_rest)) = (one.as_chunks::<8>(), other.as_chunks::<8>());
    let words = words.iter().map(|word| u64::from_ne_bytes(*word));
    let other_words = other_words.iter().map(|word| u64::from_ne_bytes(*word));
    one.len() == other.len() && words.eq(other_words) && rest.iter().eq(other_rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_counts() {
        let text: Vec<u8> = (0..=64).collect();
        for length in 0..=text.len() {
            let text = text.get(..length).unwrap();
            assert!(is_same(text, text), "{length} bytes");
            for at in 0..length {
                let mut other = text.to_vec();
                other[at] ^= 0x80;
                assert!(!is_same(text, &other), "byte {at} of {length}");
            }
            assert!(
                !is_same(text, &[text, b"x"].concat()),
                "{length} bytes and one"
            );
        }
    }
}
