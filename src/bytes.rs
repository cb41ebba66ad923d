//! Bytes of a stranger, compared and cut: what is done many times for each request.

use memchr::memchr;

/// Whether they have the same bytes. Every one is looked at, also behind the first difference, so that
/// the time it takes does not tell a stranger how much of a token was guessed. WebAssembly has no
/// `memcmp` of its own, and the one that is linked goes byte by byte, which took a tenth of a decision.
#[must_use]
#[inline(always)]
pub fn is_same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && are_same(one, other)
}

/// The parts between such bytes; at least one, which may be empty.
pub fn parts(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let (part, behind) = cut(rest?, separator);
        rest = behind;
        Some(part)
    })
}

/// What is before the first such byte, and what is behind it, if there is one.
#[must_use]
pub fn cut(text: &[u8], separator: u8) -> (&[u8], Option<&[u8]>) {
    let halves = memchr(separator, text).and_then(|at| text.split_at_checked(at));
    match halves {
        Some((before, [_, behind @ ..])) => (before, Some(behind)),
        _ => (text, None),
    }
}

/// The same of two texts of the same length.
fn are_same(one: &[u8], other: &[u8]) -> bool {
    let ((blocks, one), (others, other)) = (one.as_chunks::<32>(), other.as_chunks::<32>());
    let mut differences = 0;
    for (block, other) in blocks.iter().zip(others) {
        differences |= difference_of_words(block, other);
    }
    (differences | difference_of_words(one, other) | difference_at_end(one, other)) == 0
}

/// What is different in the whole words; zero if nothing is.
#[inline(always)]
fn difference_of_words(one: &[u8], other: &[u8]) -> u64 {
    let ((words, _), (others, _)) = (one.as_chunks(), other.as_chunks());
    let words = words.iter().zip(others);
    words.fold(0, |all, (word, other)| all | word_difference(word, other))
}

/// What is different in the last word, which may overlap the one before.
fn difference_at_end(one: &[u8], other: &[u8]) -> u64 {
    if let (Some(word), Some(other)) = (one.last_chunk(), other.last_chunk()) {
        return word_difference(word, other);
    }
    let half = |one: &[u8; 4], other: &[u8; 4]| {
        u64::from(u32::from_ne_bytes(*one) ^ u32::from_ne_bytes(*other))
    };
    let starts = one.first_chunk().zip(other.first_chunk());
    let ends = one.last_chunk().zip(other.last_chunk());
    match starts.zip(ends) {
        Some(((start, other), (end, other_end))) => half(start, other) | half(end, other_end),
        None => {
            let bytes = one.iter().zip(other);
            bytes.fold(0, |all, (byte, other)| all | u64::from(byte ^ other))
        }
    }
}

fn word_difference(one: &[u8; 8], other: &[u8; 8]) -> u64 {
    u64::from_ne_bytes(*one) ^ u64::from_ne_bytes(*other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_cut_at_each_separator() {
        for (text, expected) in [
            ("", vec![""]),
            ("a", vec!["a"]),
            ("a.b", vec!["a", "b"]),
            (".a..", vec!["", "a", "", ""]),
        ] {
            let parts: Vec<_> = parts(text.as_bytes(), b'.').collect();
            let expected: Vec<_> = expected.iter().map(|part| part.as_bytes()).collect();
            assert_eq!(parts, expected, "`{text}`");
        }
    }

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
