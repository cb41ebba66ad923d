//! Texts with gaps: what Istio writes as a regular expression or a URI template.
//!
//! A gap takes any run of bytes of its class. Matching costs at most the number of parts times the
//! length of the value, whatever the value is; there is nothing to backtrack into.

/// A text with gaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glob(pub(super) Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Literal(Box<[u8]>),
    Gap(Gap),
}

/// What a gap takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gap {
    /// Anything, or nothing. Like `.*`, no line break.
    Any,
    /// Anything but nothing. Like `.+`.
    Some,
    /// Anything up to the next slash, or nothing.
    UpToSlash,
    /// A path segment of a URI template: at least one of the letters that RFC 3986 calls `pchar`.
    Segment,
    /// The rest of a path in a URI template: those letters and slashes, or nothing.
    Path,
}

impl Glob {
    /// Nothing but the empty text; parts are added to it.
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn literal(mut self, text: &str) -> Self {
        if !text.is_empty() {
            self.0.push(Part::Literal(text.as_bytes().into()));
        }
        self
    }

    pub(super) fn gap(mut self, gap: Gap) -> Self {
        self.0.push(Part::Gap(gap));
        self
    }

    /// A text in which each `*` is a gap.
    pub(super) fn stars(mut self, text: &str, gap: Gap) -> Self {
        for (index, piece) in text.split('*').enumerate() {
            if index > 0 {
                self = self.gap(gap);
            }
            self = self.literal(piece);
        }
        self
    }

    /// What every matching value begins with.
    pub(super) fn head(&self) -> &[u8] {
        match self.0.first() {
            Some(Part::Literal(text)) => text,
            _ => b"",
        }
    }

    /// Whether the whole value matches.
    pub(super) fn matches(&self, value: &[u8]) -> bool {
        self.matches_where(value, Gap::takes)
    }

    /// The same for a value whose escapes are decoded: the gaps of a URI template take whatever an
    /// escape may stand for there.
    pub(super) fn matches_decoded(&self, value: &[u8]) -> bool {
        self.matches_where(value, Gap::takes_decoded)
    }

    fn matches_where(&self, value: &[u8], takes: fn(Gap, u8) -> bool) -> bool {
        // Most values differ before the first gap; the others cost a list of places.
        let (rest, parts) = match self.0.split_first() {
            Some((Part::Literal(text), parts)) => match value.strip_prefix(text.as_ref()) {
                Some(rest) => (rest, parts),
                None => return false,
            },
            _ => (value, self.0.as_slice()),
        };
        // The places up to which the parts so far can have matched.
        let mut reached = vec![0];
        for part in parts {
            reached = match part {
                Part::Literal(text) => reached
                    .into_iter()
                    .filter(|at| rest.get(*at..).is_some_and(|it| it.starts_with(text)))
                    .map(|at| at.saturating_add(text.len()))
                    .collect(),
                Part::Gap(gap) => gap.from(&reached, rest, takes),
            };
        }
        reached.last() == Some(&rest.len())
    }
}

impl Gap {
    fn takes(self, byte: u8) -> bool {
        match self {
            Self::Any | Self::Some => byte != b'\n',
            Self::UpToSlash => byte != b'/' && byte != b'\n',
            Self::Segment => is_pchar(byte),
            Self::Path => is_pchar(byte) || byte == b'/',
        }
    }

    fn takes_decoded(self, byte: u8) -> bool {
        match self {
            Self::Segment => byte != b'/',
            Self::Path => true,
            Self::Any | Self::Some | Self::UpToSlash => self.takes(byte),
        }
    }

    fn is_optional(self) -> bool {
        matches!(self, Self::Any | Self::UpToSlash | Self::Path)
    }

    /// The places behind the gap when it begins at one of these, both in ascending order.
    fn from(self, starts: &[usize], value: &[u8], takes: fn(Self, u8) -> bool) -> Vec<usize> {
        let mut starts = starts.iter().copied().peekable();
        let mut places = Vec::new();
        let mut open = false;
        for at in 0..=value.len() {
            let begins = starts.next_if_eq(&at).is_some();
            if open || (begins && self.is_optional()) {
                places.push(at);
            }
            open = (open || begins) && value.get(at).is_some_and(|byte| takes(self, *byte));
        }
        places
    }
}

/// The letters of a path segment, as Envoy's URI templates know them.
pub(super) fn is_pchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;:@=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps() {
        use Gap::*;
        let glob = Glob::new;
        for (name, glob, value, matches) in [
            ("nothing", glob(), "", true),
            ("nothing", glob(), "x", false),
            ("any", glob().gap(Any), "", true),
            ("some", glob().gap(Some), "", false),
            ("some", glob().gap(Some), "x", true),
            ("a line break", glob().gap(Some), "x\ny", false),
            ("middle", glob().stars("a*c", Any), "abbc", true),
            ("middle", glob().stars("a*c", Any), "ac", true),
            ("middle", glob().stars("a*c", Any), "abcd", false),
            ("a later end", glob().stars("a*bc", Any), "abcbc", true),
            (
                "two gaps",
                glob().stars("*/ns/*/x", Any),
                "a/ns/b/c/x",
                true,
            ),
            ("two gaps", glob().stars("*/ns/*/x", Any), "a/ns/x", false),
            (
                "up to a slash",
                glob().literal("a").gap(UpToSlash).literal("/"),
                "ab/",
                true,
            ),
            (
                "up to a slash",
                glob().literal("a").gap(UpToSlash).literal("/"),
                "ab/c/",
                false,
            ),
            ("segment", glob().literal("/").gap(Segment), "/a", true),
            ("segment", glob().literal("/").gap(Segment), "/", false),
            ("segment", glob().literal("/").gap(Segment), "/a/b", false),
            ("segment", glob().literal("/").gap(Segment), "/a*", true),
            ("segment", glob().literal("/").gap(Segment), "/a|", false),
            ("path", glob().literal("/a/").gap(Path), "/a/", true),
            ("path", glob().literal("/a/").gap(Path), "/a/b/c", true),
            (
                "path",
                glob().literal("/a/").gap(Path).literal("/c"),
                "/a//c",
                true,
            ),
            (
                "path",
                glob().literal("/a/").gap(Path).literal("/c"),
                "/a/c",
                false,
            ),
        ] {
            assert_eq!(glob.matches(value.as_bytes()), matches, "{name}: `{value}`");
        }
        assert!(!glob().gap(Segment).matches(b"\xff"));
    }
}
