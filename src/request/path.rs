//! The ways in which servers read one path.
//!
//! Some decode escapes before they resolve dot segments, some drop `;parameters`, some merge
//! slashes. A rule for `/admin` must hold against whichever of them stands behind the gateway, so
//! each way is a reading, and what could be read further still (a second decoding) is refused.

use memchr::memchr2;
use smallvec::{SmallVec, smallvec};
use std::borrow::Cow;

/// The path can be read in ways that cannot be foreseen.
#[derive(Debug, PartialEq, Eq)]
pub struct UnreadablePath;

/// All readings of a path, which are mostly one.
pub type Paths<'a> = SmallVec<[Cow<'a, [u8]>; 1]>;

/// The longest path, in bytes, that is read in several ways; each reading is a copy.
pub const MAX_UNUSUAL_BYTES: usize = 16 * 1024;

/// The part of `:path` before the query or fragment.
#[must_use]
pub fn without_query(path: &[u8]) -> &[u8] {
    let end = memchr2(b'?', b'#', path);
    end.and_then(|end| path.get(..end)).unwrap_or(path)
}

/// What stands behind the path in `:path`: `?` and query, `#` and fragment; may be empty.
#[must_use]
pub fn query_of(path: &[u8]) -> &[u8] {
    path.get(without_query(path).len()..).unwrap_or_default()
}

/// Every reading of a path without query, each once, the path as received first.
///
/// A path without `%`, `\`, `;`, `//`, dot segments and beginnings of overlong UTF-8 has one reading
/// and is not copied.
///
/// # Errors
/// It is not such a path and longer than [`MAX_UNUSUAL_BYTES`]; or after one decoding an escape for
/// `/`, `\`, `.`, `;`, `%` or NUL is left, or there is a NUL or overlong UTF-8 in it.
pub fn readings(path: &[u8]) -> Result<Paths<'_>, UnreadablePath> {
    if is_plain(path) {
        return Ok(smallvec![Cow::Borrowed(path)]);
    }
    if path.len() > MAX_UNUSUAL_BYTES {
        return Err(UnreadablePath);
    }
    let decoded = decode(path);
    // What could be decoded once more is letters at most; some servers do.
    let twice = decode(&decoded);
    let odd = |path: &[u8]| path.contains(&0) || has_overlong_utf8(path);
    if leaves_escapes(&decoded) || odd(&decoded) || odd(&twice) {
        return Err(UnreadablePath);
    }
    let mut readings: Paths<'_> = smallvec![Cow::Borrowed(path)];
    // Servers drop parameters before or after they decode; an escaped `;` tells them apart.
    let unparameterized = drop_parameters(path);
    let then_decoded = decode(&unparameterized);
    let then_unparameterized = drop_parameters(&decoded);
    // Some resolve dot segments before they decode; an escaped slash then hides in a segment.
    let resolved_first = decode(&resolve_dots(path));
    let resolved_then = decode(&resolve_dots(&unparameterized));
    for start in [
        path,
        &unparameterized,
        &decoded,
        &then_decoded,
        &then_unparameterized,
        &resolved_first,
        &resolved_then,
        &twice,
        &decode(&then_decoded),
        &drop_parameters(&twice),
    ] {
        for reading in [resolve_dots(start), resolve_dots(&merge_slashes(start))] {
            if readings.iter().all(|known| **known != *reading) {
                readings.push(Cow::Owned(reading));
            }
        }
    }
    Ok(readings)
}

/// Whether it has one reading.
pub(super) fn is_plain(path: &[u8]) -> bool {
    let (mut found, mut before) = (0, 0);
    for byte in path {
        let class = CLASSES.get(usize::from(*byte)).copied();
        let class = class.unwrap_or(SPECIAL);
        found |= class & (SPECIAL | before & SPECIAL_BEHIND_SLASH);
        // The bit of a slash moves to that of what is special behind one.
        before = (class & SLASH) << 1;
    }
    found == 0
}

const SPECIAL: u8 = 1;
const SLASH: u8 = 2;
const SPECIAL_BEHIND_SLASH: u8 = 4;

/// What each byte is in a path: looked up, which takes less time than ten comparisons.
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = u8::MAX;
    loop {
        #[expect(clippy::indexing_slicing, reason = "it would not compile")]
        let class = &mut classes[byte as usize];
        *class = match byte {
            b'/' => SLASH | SPECIAL_BEHIND_SLASH,
            b'.' => SPECIAL_BEHIND_SLASH,
            b'%' | b'\\' | b';' | 0 | 0xc0 | 0xc1 | 0xe0 | 0xf0 | 0xf8 | 0xfc => SPECIAL,
            _ => 0,
        };
        match byte.checked_sub(1) {
            Some(next) => byte = next,
            None => break classes,
        }
    }
};

/// Decodes escapes once and turns `\` into `/`. An incomplete escape stands for itself.
fn decode(path: &[u8]) -> Vec<u8> {
    let hex = |byte: &u8| {
        char::from(*byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [first, tail @ ..] = rest {
        rest = tail;
        let byte = match (first, tail) {
            (b'%', [high, low, tail @ ..]) => match (hex(high), hex(low)) {
                (Some(high), Some(low)) => {
                    rest = tail;
                    (high << 4) | low
                }
                _ => b'%',
            },
            (other, _) => *other,
        };
        decoded.push(if byte == b'\\' { b'/' } else { byte });
    }
    decoded
}

/// Whether what was decoded once would say something else if it were decoded again.
fn leaves_escapes(decoded: &[u8]) -> bool {
    decoded.windows(3).any(|window| {
        matches!(
            window,
            [b'%', b'2', b'f' | b'F' | b'e' | b'E' | b'5']
                | [b'%', b'5', b'c' | b'C']
                | [b'%', b'3', b'b' | b'B']
                | [b'%', b'0', b'0']
        )
    })
}

/// Whether a byte sequence stands for a character that has a shorter one (RFC 3629, 3).
fn has_overlong_utf8(decoded: &[u8]) -> bool {
    decoded.contains(&0xc0)
        || decoded.contains(&0xc1)
        || decoded.windows(2).any(|window| {
            matches!(
                window,
                [0xe0, 0x80..=0x9f]
                    | [0xf0, 0x80..=0x8f]
                    | [0xf8, 0x80..=0x87]
                    | [0xfc, 0x80..=0x83]
            )
        })
}

/// Drops `;parameters` of every segment.
fn drop_parameters(path: &[u8]) -> Vec<u8> {
    let mut inside = false;
    let keep = |byte: &&u8| {
        inside = match byte {
            b'/' => false,
            b';' => true,
            _ => inside,
        };
        !inside
    };
    path.iter().filter(keep).copied().collect()
}

fn merge_slashes(path: &[u8]) -> Vec<u8> {
    let mut merged: Vec<u8> = path.to_vec();
    merged.dedup_by(|next, previous| *next == b'/' && *previous == b'/');
    merged
}

/// Resolves `.` and `..` segments (RFC 3986, 5.2.4); `..` at the root stays there.
fn resolve_dots(path: &[u8]) -> Vec<u8> {
    let absolute = path.strip_prefix(b"/").unwrap_or(path);
    let mut resolved: Vec<&[u8]> = Vec::new();
    let mut open = false;
    for segment in absolute.split(|byte| *byte == b'/') {
        open = matches!(segment, b"." | b"..");
        match segment {
            b"." => {}
            b".." => {
                resolved.pop();
            }
            other => resolved.push(other),
        }
    }
    let mut path = Vec::with_capacity(path.len());
    for segment in &resolved {
        path.push(b'/');
        path.extend_from_slice(segment);
    }
    // `/a/.` is the folder `/a/`.
    if open || path.is_empty() {
        path.push(b'/');
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(path: &str) -> Option<Vec<String>> {
        let readings = readings(path.as_bytes()).ok()?;
        Some(
            readings
                .iter()
                .map(|it| String::from_utf8_lossy(it).into_owned())
                .collect(),
        )
    }

    #[test]
    fn a_path_is_plain_without_special_bytes_and_odd_segments() {
        let special = b"%\\;\0\xc0\xc1\xe0\xf0\xf8\xfc";
        let bytes = || 0..=u8::MAX;
        for (first, second) in bytes().flat_map(|first| bytes().map(move |second| (first, second)))
        {
            let path = [b'/', first, second, b'x'];
            let has_odd_segment = path.windows(2).any(|two| two == b"//" || two == b"/.");
            let has_special = path.iter().any(|byte| special.contains(byte));
            assert_eq!(
                is_plain(&path),
                !has_special && !has_odd_segment,
                "{path:?}"
            );
        }
        assert!(is_plain(b"") && is_plain(b"/") && !is_plain(b"/a/%") && !is_plain(b"/a/."));
    }

    #[test]
    fn cuts_query_and_fragment() {
        for (path, expected) in [("/a?b#c", "/a"), ("/a#b?c", "/a"), ("/a", "/a"), ("?", "")] {
            assert_eq!(
                without_query(path.as_bytes()),
                expected.as_bytes(),
                "`{path}`"
            );
        }
    }

    #[test]
    fn plain_paths_have_one_reading() {
        for path in [
            "/",
            "/a",
            "/a/b.html",
            "/a/",
            "/a.b/c",
            "/a:b@c,d=e",
            "*",
            "/\u{e9}",
        ] {
            assert_eq!(texts(path), Some(vec![path.to_owned()]), "`{path}`");
        }
    }

    #[test]
    fn others_include_what_a_server_may_take_them_for() {
        for (path, reading) in [
            ("/public/../admin", "/admin"),
            ("/public/%2e%2e/admin", "/admin"),
            ("/%2e%2E/admin", "/admin"),
            ("//admin", "/admin"),
            ("/%2Fadmin", "/admin"),
            ("/admin%5C..", "/"),
            ("/x\\..\\admin", "/admin"),
            ("/a%2fb", "/a/b"),
            ("/%61dmin", "/admin"),
            ("/admin;x=1", "/admin"),
            ("/..;/admin", "/admin"),
            ("/x/..;y/admin", "/admin"),
            ("/x/..%3By/admin", "/admin"),
            ("/public;%2f..%2fadmin", "/admin"),
            ("/a%3Bb;c/%61dmin", "/a;b/admin"),
            ("/a%2Fx/../%61dmin", "/admin"),
            ("/a\\x/../%61dmin", "/admin"),
            ("/a/%2e%2e/../%61dmin", "/a/admin"),
            ("/a%2Fx/..;/admin%40x", "/admin@x"),
            ("/a/./b", "/a/b"),
            ("/a/.", "/a/"),
            ("/a/b/..", "/a/"),
            ("/..", "/"),
            ("/../../admin", "/admin"),
            ("/a//../b", "/a/b"),
            ("/a//../b", "/b"),
            ("/.admin", "/.admin"),
            ("/100%", "/100%"),
            ("/%zz", "/%zz"),
            ("/%2561dmin", "/%61dmin"),
            ("/%2561dmin", "/admin"),
            ("/x;y/..;/%2561dmin;z", "/admin"),
        ] {
            let readings = texts(path).unwrap();
            assert_eq!(readings[0], path, "the path as received comes first");
            assert!(
                readings.iter().any(|it| it == reading),
                "`{path}` as `{reading}`: {readings:?}"
            );
        }
    }

    #[test]
    fn what_could_be_decoded_twice_is_refused() {
        for path in [
            "/%252fadmin",
            "/%252e%252e/admin",
            "/%255c",
            "/%253b",
            "/%2525",
            "/%2500",
            "/%00",
            "/%c0%af",
            "/%c1%81",
            "/%e0%80%af",
            "/%f0%80%80%af",
            "/%f8%80%80%80%af",
            "/%fc%80%80%80%80%af",
            "/%252Fadmin",
            "/%25c0%25afadmin",
            "/%25252e",
            "/a\0b",
        ] {
            assert_eq!(texts(path), None, "`{path}`");
        }
        for path in [
            &b"/\xc0\xafadmin"[..],
            b"/\xc1\x81",
            b"/\xe0\x80\xaf",
            b"/\xf0\x80\x80\xaf",
        ] {
            assert_eq!(
                readings(path),
                Err(UnreadablePath),
                "{}",
                path.escape_ascii()
            );
        }
    }

    #[test]
    fn a_long_path_is_read_only_if_it_has_one_reading() {
        let long = format!("/{}", "a".repeat(MAX_UNUSUAL_BYTES));
        assert_eq!(texts(&long), Some(vec![long.clone()]));
        assert_eq!(texts(&format!("{long};b")), None);
        let just_not = format!("/{};b", "a".repeat(MAX_UNUSUAL_BYTES - 3));
        assert!(texts(&just_not).is_some());
    }

    proptest! {
        #[test]
        fn readings_are_bounded_and_stable(path in proptest::collection::vec(
            prop_oneof![Just(b'/'), Just(b'.'), Just(b'%'), Just(b'2'), Just(b'e'), Just(b'f'),
                        Just(b';'), Just(b'\\'), any::<u8>()], 0..40)) {
            let path = [&b"/"[..], &path].concat();
            if let Ok(found) = readings(&path) {
                prop_assert!(found.len() <= 21);
                for reading in &found[1..] {
                    prop_assert_eq!(resolve_dots(reading), reading.to_vec(), "dots stay resolved");
                }
            }
        }
    }
}
