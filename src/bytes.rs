//! Whether two texts are the same bytes, which is asked many times for each request.
//!
//! Every byte is looked at, also behind the first difference, so that the time it takes does not tell
//! a stranger how much of a token was guessed.

/// Whether they have the same bytes. WebAssembly has no `memcmp` of its own, and the one that is
/// linked goes byte by byte, which took a tenth of a decision.
#[must_use]
pub fn is_same(one: &[u8], other: &[u8]) -> bool {
    let ((words, rest), (other_words, other_rest)) = (one.as_chunks::<8>(), other.as_chunks::<8>());
    let words = words.iter().zip(other_words);
    let words = words.map(|(word, other)| u64::from_ne_bytes(*word) ^ u64::from_ne_bytes(*other));
    let rest = rest.iter().zip(other_rest);
    let rest = rest.map(|(byte, other)| u64::from(byte ^ other));
    let differences = words.chain(rest).fold(0, |all, one| all | one);
    one.len() == other.len() && differences == 0
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
