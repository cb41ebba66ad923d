//! One fetch: what is asked, what was answered, and what came of it, in words for the log.
//!
//! Nothing of a reply's body is repeated.

use super::{Endpoint, KeySetError, Skipped, SourceId};
use std::fmt;
use std::time::Duration;

/// Something to fetch now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// For which source.
    pub source: SourceId,
    /// From where.
    pub from: Endpoint,
    /// How long it may take.
    pub timeout: Duration,
    /// The version that is here already, for `If-None-Match` (RFC 9110, 13.1.2).
    pub etag: Option<String>,
}

/// What a server answered; its bytes are believed by nobody yet.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reply<'a> {
    /// HTTP status.
    pub status: u16,
    /// At most one byte more than is allowed.
    pub body: &'a [u8],
    /// `ETag`
    pub etag: Option<&'a [u8]>,
    /// `Cache-Control`
    pub cache_control: Option<&'a [u8]>,
}

/// Why a fetch brought nothing.
#[derive(Debug)]
pub enum FetchFailure {
    /// The cluster does not exist in this proxy, or has no healthy host.
    NotSent,
    /// Something else than 200.
    Status(u16),
    /// The reply broke off, or was larger than the host buffers.
    Reset,
    /// Not a key set.
    Unreadable(KeySetError),
    /// A key set of which no key can be used.
    NoUsableKey(Vec<Skipped>),
    /// A discovery document that is not believed.
    Discovery(&'static str),
}

/// What a fetch changed, for one log line.
#[derive(Debug)]
pub enum Outcome {
    /// The issuer says where its keys are; they are fetched next.
    Discovered(Endpoint),
    /// Other keys are there, or the first.
    Fetched {
        /// How many can be used.
        usable: usize,
        /// Which cannot.
        skipped: Vec<Skipped>,
    },
    /// The keys are those of before.
    Unchanged {
        /// Whether fetches had failed in between.
        recovered: bool,
    },
    /// No new keys.
    Failed {
        /// Why.
        failure: FetchFailure,
        /// How long until the next attempt.
        retry_in: Duration,
        /// How old the keys are that go on serving, if there are any.
        serving: Option<Duration>,
    },
}

/// The longest ETag that is kept, in bytes.
const MAX_ETAG: usize = 256;

// === impl Reply ===

impl<'a> Reply<'a> {
    /// A reply with status 200.
    #[must_use]
    pub fn ok(body: &'a [u8]) -> Self {
        Self {
            status: 200,
            body,
            ..Self::default()
        }
    }

    /// The body, if the status is 200.
    pub(super) fn expect_ok(&self) -> Result<&'a [u8], FetchFailure> {
        match self.status {
            200 => Ok(self.body),
            other => Err(FetchFailure::Status(other)),
        }
    }

    /// The ETag as it can be sent back.
    pub(super) fn etag(&self) -> Option<String> {
        let etag = self.etag.filter(|etag| etag.len() <= MAX_ETAG)?;
        let printable = etag.iter().all(|byte| (0x21..=0x7e).contains(byte));
        let text = std::str::from_utf8(etag).ok();
        text.filter(|_| printable).map(str::to_owned)
    }

    /// `max-age` of `Cache-Control` (RFC 9111, 5.2.2.1).
    pub(super) fn max_age(&self) -> Option<Duration> {
        let text = std::str::from_utf8(self.cache_control?).ok()?;
        let directives = text.split(',').map(str::trim);
        let mut ages = directives.filter_map(|it| {
            let (name, value) = it.split_once('=')?;
            let named = name.eq_ignore_ascii_case("max-age");
            named.then(|| value.trim_matches('"').parse().ok())?
        });
        ages.next().map(Duration::from_secs)
    }
}

// === impl Outcome ===

impl Outcome {
    /// Whether an operator wants to know of it.
    #[must_use]
    pub fn is_news(&self) -> bool {
        !matches!(self, Self::Unchanged { recovered: false })
    }

    /// Whether it is bad news.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::Failed { .. })
    }
}

impl fmt::Display for FetchFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSent => f.write_str("the cluster is unknown or has no healthy host"),
            Self::Status(504) => f.write_str("status 504, or no answer in time"),
            Self::Status(503) => f.write_str("status 503, or no connection"),
            Self::Status(status) => write!(f, "status {status}; 200 is expected"),
            Self::Reset => f.write_str("the reply broke off or was too large to buffer"),
            Self::Unreadable(error) => write!(f, "no key set: {error}"),
            Self::NoUsableKey(skipped) if skipped.is_empty() => f.write_str("no key in the set"),
            Self::NoUsableKey(skipped) => write!(f, "no usable key: {}", Listed(skipped)),
            Self::Discovery(why) => write!(f, "no discovery document to be believed: {why}"),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Discovered(keys) => write!(f, "keys are at {keys}"),
            Self::Fetched { usable, skipped } if skipped.is_empty() => write!(f, "{usable} keys"),
            Self::Fetched { usable, skipped } => write!(f, "{usable} keys; {}", Listed(skipped)),
            Self::Unchanged { .. } => f.write_str("the keys of before"),
            Self::Failed {
                failure,
                retry_in,
                serving,
            } => {
                let (seconds, tenths) = (retry_in.as_secs(), retry_in.subsec_millis() / 100);
                write!(f, "{failure}; next attempt in {seconds}.{tenths} s; ")?;
                match serving {
                    Some(age) => write!(f, "the keys of {} s ago go on serving", age.as_secs()),
                    None => f.write_str("tokens of this issuer are refused until then"),
                }
            }
        }
    }
}

struct Listed<'a>(&'a [Skipped]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LISTED: usize = 5;
        for (index, skipped) in self.0.iter().take(LISTED).enumerate() {
            write!(f, "{}{skipped}", if index == 0 { "" } else { "; " })?;
        }
        match self.0.len().saturating_sub(LISTED) {
            0 => Ok(()),
            more => write!(f, "; {more} more skipped"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn freshness_is_read_from_cache_control() {
        for (header, seconds) in [
            ("max-age=60", Some(60)),
            ("public, Max-Age=60, must-revalidate", Some(60)),
            ("max-age=\"60\"", Some(60)),
            ("s-maxage=5,max-age=60", Some(60)),
            ("no-store", None),
            ("max-age", None),
            ("max-age=", None),
            ("max-age=-1", None),
            ("max-age=99999999999999999999", None),
        ] {
            let reply = Reply {
                cache_control: Some(header.as_bytes()),
                ..Reply::default()
            };
            let found = reply.max_age().map(|it| it.as_secs());
            assert_eq!(found, seconds, "`{header}`");
        }
    }

    #[test]
    fn an_etag_is_kept_only_if_it_can_be_sent_back() {
        for (etag, kept) in [
            (&b"\"abc\""[..], true),
            (b"W/\"abc\"", true),
            (b"a b", false),
            (b"\xff", false),
            (b"a\r\nx: y", false),
            (&[b'a'; 257], false),
        ] {
            let reply = Reply {
                etag: Some(etag),
                ..Reply::default()
            };
            assert_eq!(reply.etag().is_some(), kept, "{}", etag.escape_ascii());
        }
    }
}
