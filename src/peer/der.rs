//! The elements of a text in DER (X.690), one after the other; [`super::certificate`] and
//! [`super::name`] walk along them.
//!
//! Lengths are the `der` crate's business; of tags it knows too few for the names in use. Nothing here
//! copies, or goes deeper than it is told.

use der::{Decode as _, Length, Reader as _, SliceReader};

/// `INTEGER`.
pub const INTEGER: u8 = 0x02;
/// `BIT STRING`.
pub const BIT_STRING: u8 = 0x03;
/// `OCTET STRING`.
pub const OCTET_STRING: u8 = 0x04;
/// `OBJECT IDENTIFIER`.
pub const OBJECT_IDENTIFIER: u8 = 0x06;
/// `SEQUENCE` and `SEQUENCE OF`.
pub const SEQUENCE: u8 = 0x30;
/// `SET` and `SET OF`.
pub const SET: u8 = 0x31;

/// What is still to be read.
#[derive(Debug, Clone)]
pub struct Reader<'a>(&'a [u8]);

/// One element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element<'a> {
    /// Its first byte: class, form and number.
    pub tag: u8,
    /// What it holds.
    pub value: &'a [u8],
    /// All its bytes, with the tag and the length.
    pub whole: &'a [u8],
}

// === impl Reader ===

impl<'a> Reader<'a> {
    /// Reads from the start.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next element, of whatever type.
    pub fn element(&mut self) -> Option<Element<'a>> {
        let (tag, behind) = self.0.split_first()?;
        if tag & 0x1f == 0x1f {
            return None;
        }
        let mut reader = SliceReader::new(behind).ok()?;
        let length = Length::decode(&mut reader).ok()?;
        let value = reader.read_slice(length).ok()?;
        let rest = behind.get(usize::try_from(reader.position()).ok()?..)?;
        let whole = self.0.get(..self.0.len().checked_sub(rest.len())?)?;
        self.0 = rest;
        Some(Element {
            tag: *tag,
            value,
            whole,
        })
    }

    /// What the next element holds, which must be of this type.
    pub fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.element()
            .filter(|element| element.tag == tag)
            .map(|element| element.value)
    }

    /// What the next element holds if it is of this type; `None` if it is and cannot be read.
    pub fn optional(&mut self, tag: u8) -> Option<Option<&'a [u8]>> {
        match self.0.first() == Some(&tag) {
            true => self.take(tag).map(Some),
            false => Some(None),
        }
    }

    /// Nothing is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Demands that nothing is left.
    pub fn end(&self) -> Option<()> {
        self.is_empty().then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lengths_in_their_shortest_form() {
        let long = |head: &[u8], length: usize| [head, &vec![7; length]].concat();
        for (bytes, length) in [
            (long(&[4, 0], 0), Some(0)),
            (long(&[4, 0x7f], 0x7f), Some(0x7f)),
            (long(&[4, 0x81, 0x80], 0x80), Some(0x80)),
            (long(&[4, 0x82, 1, 0], 0x100), Some(0x100)),
            (long(&[4, 0x81, 0x7f], 0x7f), None),
            (long(&[4, 0x82, 0, 0xff], 0xff), None),
            (long(&[4, 0x83, 0, 1, 0], 0x100), None),
            (long(&[4, 0x80], 2), None),
            (long(&[0x1f, 0], 0), None),
            (long(&[4, 5], 4), None),
            (long(&[4, 0x82, 1], 0), None),
            (long(&[4, 0x81], 0), None),
            (long(&[4], 0), None),
            (long(&[], 0), None),
        ] {
            let element = Reader::new(&bytes).element();
            assert_eq!(element.map(|element| element.value.len()), length);
            assert!(element.is_none_or(|element| element.whole == bytes));
        }
    }

    #[test]
    fn reads_one_after_the_other() {
        let mut reader = Reader::new(&[2, 1, 9, 0x80, 0, 4, 2]);
        assert_eq!(reader.optional(SEQUENCE), Some(None));
        assert_eq!(reader.optional(INTEGER), Some(Some(&[9][..])));
        assert_eq!(reader.end(), None);
        assert_eq!(reader.clone().take(INTEGER), None);
        assert_eq!(reader.take(0x80), Some(&[][..]));
        assert_eq!(reader.optional(OCTET_STRING), None);
    }
}
