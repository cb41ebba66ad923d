//! What Envoy's connection manager makes of a `:path` before any filter sees it.
//!
//! Each of Istio's options for `meshConfig.pathNormalization` stands for settings of that manager,
//! and this does what they do, byte by byte, also where RFC 3986 would have it otherwise:
//! `tests/envoy/path_normalization.rs` holds it against real Envoys. The input is hostile. It never
//! decides whether a path is safe, it never touches a query, and it never decodes an escape that it
//! has itself uncovered. Called where a request is read, with what the operator has configured.

use super::path::UnreadablePath;
use std::borrow::Cow;

/// Istio's `meshConfig.pathNormalization.normalization`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PathNormalization {
    /// `NONE`: the path stays as it was received.
    #[default]
    None,
    /// `BASE`, Envoy's `normalize_path`: dot segments are resolved (`%2e` is a dot, `\` a slash,
    /// and `..;x=y` is `..`), escapes of letters, digits, `-`, `_`, `.` and `~` are decoded, and what
    /// may not stand in a path is escaped.
    Base,
    /// `MERGE_SLASHES`, Envoy's `merge_slashes` as well: then several slashes become one.
    MergeSlashes,
    /// `DECODE_AND_MERGE_SLASHES`, Envoy's `UNESCAPE_AND_FORWARD` as well: before all that, `%2f`
    /// becomes `/` and `%5c` becomes `\`.
    DecodeAndMergeSlashes,
}

// === impl PathNormalization ===

impl PathNormalization {
    /// A `:path` as Envoy would have it, borrowed if that is as it was received.
    ///
    /// What does not begin with `/` stays as it is. A fragment is cut off, as in Istio's gateways,
    /// which set `http_reject_path_with_fragment` to false; an Envoy left to itself answers 400. The
    /// result is at most three times as long as the path.
    ///
    /// It is what Envoy 1.36.10, 1.37.6, 1.38.4, 1.39.1 and later do; earlier ones leave a dot
    /// segment with parameters (`/a/..;/b`) alone, which is CVE-2026-73551.
    ///
    /// Done twice it gives the same, with an exception that is Envoy's own: parameters are looked for
    /// before `%2e` and `\` are read, so `/a/%2e%2e;/b` becomes `/a/..;/b`, which would become `/b`.
    ///
    /// # Errors
    /// There is a NUL in the path or an escape for it: Envoy answers 400.
    pub fn normalize(self, path: &[u8]) -> Result<Cow<'_, [u8]>, UnreadablePath> {
        if self == Self::None || path.first() != Some(&b'/') {
            return Ok(Cow::Borrowed(path));
        }
        let (whole, _fragment) = split(path, b'#');
        let (path, query) = split(whole, b'?');
        if self.is_plain(path) {
            return Ok(Cow::Borrowed(whole));
        }
        let decoded = match self {
            Self::DecodeAndMergeSlashes => Cow::Owned(decode_slashes(path)),
            _ => Cow::Borrowed(path),
        };
        let mut normal = canonicalize(&drop_dot_parameters(&decoded))?;
        if self.merges_slashes() {
            merge_slashes(&mut normal);
        }
        if normal == path {
            return Ok(Cow::Borrowed(whole));
        }
        normal.extend_from_slice(query);
        Ok(Cow::Owned(normal))
    }

    fn merges_slashes(self) -> bool {
        matches!(self, Self::MergeSlashes | Self::DecodeAndMergeSlashes)
    }

    /// Whether nothing is in it that anything is ever done about.
    fn is_plain(self, path: &[u8]) -> bool {
        let mut previous = 0;
        path.iter().all(|byte| {
            let begins_segment = previous == b'/';
            previous = *byte;
            match byte {
                b'%' | b'\\' => false,
                b'.' => !begins_segment,
                b'/' => !begins_segment || !self.merges_slashes(),
                other => !must_be_escaped(*other),
            }
        })
    }
}

/// What is before the first such byte, and the rest, which begins with it.
fn split(text: &[u8], at: u8) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| *byte == at);
    end.and_then(|end| text.split_at_checked(end))
        .unwrap_or((text, &[]))
}

/// Decodes escapes for `/` and `\`, once.
fn decode_slashes(path: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [first, tail @ ..] = rest {
        let (byte, after) = match rest {
            [b'%', b'2', b'f' | b'F', after @ ..] => (b'/', after),
            [b'%', b'5', b'c' | b'C', after @ ..] => (b'\\', after),
            _ => (*first, tail),
        };
        decoded.push(byte);
        rest = after;
    }
    decoded
}

/// Drops the parameters of dot segments, of those alone, and only if dots and slashes stand there as
/// they are.
fn drop_dot_parameters(path: &[u8]) -> Cow<'_, [u8]> {
    if !path.windows(2).any(|pair| pair == b".;") {
        return Cow::Borrowed(path);
    }
    let mut kept = Vec::with_capacity(path.len());
    for (index, segment) in path.split(|byte| *byte == b'/').enumerate() {
        if index > 0 {
            kept.push(b'/');
        }
        kept.extend_from_slice(match segment {
            [b'.', b'.', b';', ..] => b"..",
            [b'.', b';', ..] => b".",
            other => other,
        });
    }
    Cow::Owned(kept)
}

/// Resolves dot segments, decodes what need not be escaped and escapes what must be.
fn canonicalize(path: &[u8]) -> Result<Vec<u8>, UnreadablePath> {
    let mut canonical = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [first, tail @ ..] = rest {
        if let Some(after) = after_dot(rest) {
            rest = if canonical.last() == Some(&b'/') {
                read_dots(&mut canonical, after)
            } else {
                canonical.push(b'.');
                after
            };
            continue;
        }
        rest = tail;
        match (first, tail) {
            (0, _) => return Err(UnreadablePath),
            (b'\\', _) => canonical.push(b'/'),
            (b'%', [high, low, after @ ..]) => match decode_digits(*high, *low) {
                Some(0) => return Err(UnreadablePath),
                Some(value) if need_not_be_escaped(value) => {
                    canonical.push(value);
                    escape_percent(&mut canonical, after);
                    rest = after;
                }
                Some(_) => {
                    canonical.extend([b'%', *high, *low]);
                    rest = after;
                }
                None => canonical.push(b'%'),
            },
            (other, _) if must_be_escaped(*other) => {
                canonical.extend(percent_encoding::percent_encode_byte(*other).bytes());
            }
            (other, _) => canonical.push(*other),
        }
    }
    Ok(canonical)
}

/// What follows a dot, plain or escaped, if there is one.
fn after_dot(path: &[u8]) -> Option<&[u8]> {
    match path {
        [b'.', after @ ..] | [b'%', b'2', b'e' | b'E', after @ ..] => Some(after),
        _ => None,
    }
}

/// Reads on behind a dot that begins a segment, and returns what has not been read.
fn read_dots<'a>(canonical: &mut Vec<u8>, after: &'a [u8]) -> &'a [u8] {
    match (after, after_dot(after)) {
        ([], _) => after,
        ([b'/' | b'\\', rest @ ..], _) => rest,
        (_, Some(rest @ [])) | (_, Some([b'/' | b'\\', rest @ ..])) => {
            // The parent, of which the root has none.
            canonical.pop();
            while canonical.last().is_some_and(|byte| *byte != b'/') {
                canonical.pop();
            }
            if canonical.is_empty() {
                canonical.push(b'/');
            }
            rest
        }
        _ => {
            canonical.push(b'.');
            after
        }
    }
}

/// Keeps a `%` that begins no escape from beginning one now that what follows it was decoded: of
/// `%%32e` it makes `%252e`.
fn escape_percent(canonical: &mut Vec<u8>, rest: &[u8]) {
    let is_digit = |byte: &u8| byte.is_ascii_hexdigit();
    // A `%` in either place begins no escape that was kept: such a one ends with its own two digits.
    let digits = match (canonical.as_slice(), rest) {
        ([.., b'%', high, low], _) if is_digit(high) && is_digit(low) => 2,
        ([.., b'%', high], [low, ..]) if is_digit(high) && is_digit(low) => 1,
        _ => return,
    };
    let at = canonical.len().saturating_sub(digits);
    canonical.splice(at..at, *b"25");
}

/// Merges slashes. Of nothing but slashes, two stay: Envoy keeps one in front and one at the end.
fn merge_slashes(path: &mut Vec<u8>) {
    if path.iter().all(|byte| *byte == b'/') {
        path.truncate(2);
    } else {
        path.dedup_by(|next, previous| *next == b'/' && *previous == b'/');
    }
}

fn decode_digits(high: u8, low: u8) -> Option<u8> {
    let digit = |byte| char::from(byte).to_digit(16);
    let value = (digit(high)? << 4) | digit(low)?;
    u8::try_from(value).ok()
}

/// Unreserved characters (RFC 3986, 2.3), but for the dot, which is read before.
fn need_not_be_escaped(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~')
}

/// Neither a letter, a digit nor a punctuation mark that a path may have in Envoy's eyes.
fn must_be_escaped(byte: u8) -> bool {
    !byte.is_ascii_graphic()
        || matches!(
            byte,
            b'"' | b'#' | b'<' | b'>' | b'?' | b'^' | b'`' | b'{' | b'|' | b'}'
        )
}

#[cfg(test)]
mod tests;
