//! The headers of one request in one block of bytes, as the host hands them over.
//!
//! Names are lower case; values are bytes, several lines of one name stay several values. Building
//! one costs one allocation for the places and copies nothing.

use super::Names;
use crate::bytes::is_same;
use std::net::IpAddr;

/// Header lines in the order in which the host gives them.
#[derive(Debug, Default, Clone)]
pub struct Headers {
    block: Vec<u8>,
    lines: Vec<Line>,
    names: Names,
    taken: Vec<Box<[u8]>>,
}

/// Where a line stands in the block.
#[derive(Debug, Clone, Copy)]
struct Line {
    name: (usize, usize),
    value: (usize, usize),
}

/// The block from the host is not what the ABI says.
#[derive(Debug, PartialEq, Eq)]
pub struct MalformedHeaders;

// === impl Headers ===

impl Headers {
    /// Reads a header map as proxy-wasm ABI 0.2.1 serialises it: a count, the lengths of each name
    /// and value, then each name and value with a NUL behind it; numbers little-endian, 32 bits.
    ///
    /// # Errors
    /// A length leads outside of the block.
    pub fn from_abi(block: Vec<u8>) -> Result<Self, MalformedHeaders> {
        #[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
        let low = |both: u64| both as u32 as usize;
        let mut names = Names::default();
        let mut read = || -> Option<Vec<Line>> {
            let (count, rest) = block.split_first_chunk()?;
            let count = usize::try_from(u32::from_le_bytes(*count)).ok()?;
            // Each line needs ten bytes at least, so the count cannot make us reserve more.
            let (lengths, _) = rest.get(..count.checked_mul(8)?)?.as_chunks::<8>();
            let mut at = count.checked_mul(8)?.checked_add(4)?;
            let mut span = |length: usize| -> Option<(usize, usize)> {
                let end = at.checked_add(length)?;
                block.get(at..end)?;
                let start = std::mem::replace(&mut at, end.checked_add(1)?);
                Some((start, end))
            };
            let mut lines = Vec::with_capacity(count);
            for lengths in lengths {
                let both = u64::from_le_bytes(*lengths);
                let name = span(low(both))?;
                names.insert(block.get(name.0..name.1)?);
                let value = span(low(both >> 32))?;
                lines.push(Line { name, value });
            }
            Some(lines)
        };
        let lines = match block.is_empty() {
            true => Vec::new(),
            false => read().ok_or(MalformedHeaders)?,
        };
        Ok(Self {
            block,
            lines,
            names,
            taken: Vec::new(),
        })
    }

    /// Adds a line; the name becomes lower case.
    pub fn push(&mut self, name: &str, value: &[u8]) {
        let mut append = |bytes: &[u8]| {
            let start = self.block.len();
            self.block.extend_from_slice(bytes);
            (start, self.block.len())
        };
        let name = append(name.to_ascii_lowercase().as_bytes());
        let value = append(value);
        let text = self.block.get(name.0..name.1).unwrap_or_default();
        self.names.insert(text);
        self.lines.push(Line { name, value });
    }

    /// Takes lines out, by their names: nobody sees them any more.
    pub fn take(&mut self, is_taken: impl Fn(&[u8]) -> bool) {
        let block = &self.block;
        let taken = self.lines.extract_if(.., |line| {
            let name = block.get(line.name.0..line.name.1).unwrap_or_default();
            is_taken(name)
        });
        let names = taken.filter_map(|line| block.get(line.name.0..line.name.1));
        self.taken.extend(names.map(Into::into));
    }

    /// The names of lines that were taken out.
    pub fn taken(&self) -> impl Iterator<Item = &[u8]> {
        self.taken.iter().map(AsRef::as_ref)
    }

    /// Which names there may be; also those of lines that were taken out.
    #[must_use]
    pub fn names(&self) -> Names {
        self.names
    }

    /// Every line: name and value.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let bytes = |(start, end): (usize, usize)| self.block.get(start..end).unwrap_or_default();
        self.lines
            .iter()
            .map(move |line| (bytes(line.name), bytes(line.value)))
    }

    /// Every value of a name, which is given in lower case.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let named = move |line: &&Line| {
            line.name.1.wrapping_sub(line.name.0) == name.len()
                && self
                    .block
                    .get(line.name.0..line.name.1)
                    .is_some_and(|known| is_same(known, name.as_bytes()))
        };
        let lines = match self.names.may_contain(name.as_bytes()) {
            true => self.lines.as_slice(),
            false => &[],
        };
        let lines = lines.iter().filter(named);
        lines.map(|line| {
            self.block
                .get(line.value.0..line.value.1)
                .unwrap_or_default()
        })
    }

    /// Who is connected, if Envoy appends that to `x-forwarded-for`: its last element.
    #[must_use]
    pub fn last_forwarded_for(&self) -> Option<IpAddr> {
        let last = self.all("x-forwarded-for").last()?;
        let last = last.rsplit(|byte| *byte == b',').next()?.trim_ascii();
        std::str::from_utf8(last).ok()?.parse().ok()
    }

    /// How many bytes it holds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.block.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The form in which a host hands headers over.
    fn abi(lines: &[(&[u8], &[u8])]) -> Vec<u8> {
        let number = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
        let mut block = number(lines.len()).to_vec();
        for (name, value) in lines {
            block.extend(number(name.len()));
            block.extend(number(value.len()));
        }
        for (name, value) in lines {
            block.extend([name, &b"\0"[..], value, b"\0"].concat());
        }
        block
    }

    #[test]
    fn reads_what_the_host_writes() {
        let lines: [(&[u8], &[u8]); 4] = [
            (b":path", b"/"),
            (b"x", b"\xff\0"),
            (b"x", b""),
            (b"y", b"2"),
        ];
        let headers = Headers::from_abi(abi(&lines)).unwrap();
        assert_eq!(headers.iter().collect::<Vec<_>>(), lines);
        assert_eq!(headers.all("x").collect::<Vec<_>>(), [&b"\xff\0"[..], b""]);
        assert_eq!(headers.all("z").count(), 0);
        assert_eq!(Headers::from_abi(Vec::new()).unwrap().iter().count(), 0);
    }

    #[test]
    fn a_cut_block_is_malformed() {
        let whole = abi(&[(b":path", b"/"), (b"x", b"1")]);
        // The NUL behind the last value carries nothing.
        for length in 1..whole.len() - 1 {
            let cut = whole[..length].to_vec();
            assert_eq!(
                Headers::from_abi(cut).unwrap_err(),
                MalformedHeaders,
                "{length} bytes"
            );
        }
        let huge = u32::MAX.to_le_bytes().to_vec();
        assert_eq!(Headers::from_abi(huge).unwrap_err(), MalformedHeaders);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(block: Vec<u8>) {
            if let Ok(headers) = Headers::from_abi(block) {
                headers.iter().count();
            }
        }
    }
}
