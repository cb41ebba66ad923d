//! What must not be printed: tokens, passwords, cookies.
//!
//! A value is hidden by the name that it stands under, and whatever text is printed in the end goes
//! through [`Secrets::masked`] besides, which takes out every secret of the request.

use crate::request::{Headers, query_of};

/// The secrets of a request.
#[derive(Default)]
pub(super) struct Secrets(Vec<String>);

/// The longest value that is printed, in characters.
const MAX_SHOWN: usize = 200;

/// Shorter ones would be found in words that are none.
const MIN_SECRET: usize = 6;

/// What stands in place of a secret.
const MASK: &str = "***";

/// What the name of a secret has in it.
const NAMES: [&str; 14] = [
    "auth",
    "cookie",
    "token",
    "secret",
    "passw",
    "key",
    "jwt",
    "code",
    "session",
    "signature",
    "assertion",
    "credential",
    "bearer",
    "x-forwarded-access",
];

/// Whether a header or parameter of this name may hold a secret.
pub(super) fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    // Pseudo-headers hold none.
    !name.starts_with(':') && NAMES.iter().any(|part| name.contains(part))
}

/// Bytes of a request in backticks, escaped and cut.
pub(super) fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut shown: String = text.chars().take(MAX_SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    let shown: String = shown
        .chars()
        .flat_map(|it| {
            match it.is_control() {
                true => it.escape_default().to_string(),
                false => it.to_string(),
            }
            .chars()
            .collect::<Vec<_>>()
        })
        .collect();
    format!("`{shown}`")
}

/// Path and query, without the values of parameters that may be secrets.
pub(super) fn shown_target(target: &[u8]) -> String {
    let query = query_of(target);
    let path = target
        .len()
        .checked_sub(query.len())
        .and_then(|end| target.get(..end));
    let path = String::from_utf8_lossy(path.unwrap_or(target)).into_owned();
    let query = String::from_utf8_lossy(query).into_owned();
    let query: Vec<_> = query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((name, value)) if is_secret_name(name) && !value.is_empty() => {
                format!("{name}={MASK}")
            }
            _ => pair.to_owned(),
        })
        .collect();
    shown(format!("{path}{}", query.join("&")).as_bytes())
}

// === impl Secrets ===

impl Secrets {
    /// Those that stand in the headers of a request.
    pub(super) fn of(headers: &Headers) -> Self {
        let mut secrets = Self::default();
        for (name, value) in headers.iter() {
            let name = String::from_utf8_lossy(name);
            let value = String::from_utf8_lossy(value);
            if name == "cookie" {
                for (_, value) in value.split(';').filter_map(|it| it.split_once('=')) {
                    secrets.add(value.trim().trim_matches('"'));
                }
            } else if name == ":path" {
                let query = value.split_once('?').map_or("", |(_, query)| query);
                let pairs = query.split('&').filter_map(|it| it.split_once('='));
                let pairs = pairs.filter(|(name, _)| is_secret_name(name));
                pairs.for_each(|(_, value)| secrets.add(value));
            } else if is_secret_name(&name) {
                secrets.add(&value);
                if let Some((_, credential)) = value.split_once(' ') {
                    secrets.add(credential);
                }
            }
        }
        secrets
    }

    /// Adds one, and its parts between dots, which may be written alone.
    pub(super) fn add(&mut self, secret: &str) {
        let parts = secret.split('.').filter(|it| it.len() < secret.len());
        for text in parts.chain([secret]) {
            let text = text.trim();
            if text.len() >= MIN_SECRET && !self.0.iter().any(|it| it == text) {
                self.0.push(text.to_owned());
            }
        }
        // A longer one first, since it may contain a shorter one.
        self.0.sort_by_key(|it| std::cmp::Reverse(it.len()));
    }

    /// A text without them.
    pub(super) fn masked(&self, text: &str) -> String {
        let mask = |text: String, secret: &String| text.replace(secret.as_str(), MASK);
        self.0.iter().fold(text.to_owned(), mask)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_by_name_and_by_value() {
        let mut headers = Headers::default();
        for (name, value) in [
            (":path", "/a?access_token=q-secret&x=plain-value"),
            (
                "authorization",
                "Bearer eyJhbGciOiJ9.cGF5bG9hZA.c2lnbmF0dXJl",
            ),
            ("cookie", "a=c-secret; b=1"),
            ("x-api-key", "k-secret"),
            ("x-plain", "plain-value"),
        ] {
            headers.push(name, value.as_bytes());
        }
        let secrets = Secrets::of(&headers);
        for (text, expected) in [
            ("t=eyJhbGciOiJ9.cGF5bG9hZA.c2lnbmF0dXJl", "t=***"),
            ("p=cGF5bG9hZA", "p=***"),
            ("c-secret k-secret q-secret", "*** *** ***"),
            ("plain-value 1", "plain-value 1"),
        ] {
            assert_eq!(secrets.masked(text), expected);
        }
        let target = shown_target(b"/a?access_token=x&y=1&z");
        assert_eq!(target, "`/a?access_token=***&y=1&z`");
        assert_eq!(shown(b"a\nb"), "`a\\nb`");
    }

    #[test]
    fn names() {
        for (name, secret) in [
            ("authorization", true),
            ("X-Api-Key", true),
            ("access_token", true),
            ("x-user", false),
            (":authority", false),
            ("accept", false),
        ] {
            assert_eq!(is_secret_name(name), secret, "{name}");
        }
    }
}
