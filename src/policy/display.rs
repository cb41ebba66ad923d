//! What was compiled, in the words in which an operator writes it: for the command, which shows what a
//! condition demands. The plugin has no use for it, and does not contain it.

use super::api_path::Segment;
use super::glob::{Gap, Glob, Part};
use super::path::Kind;
use super::scope::{CLAIMS, Required};
use super::string_match::Shape;
use super::{
    ApiPath, Cors, OriginMatch, PathPattern, PeerPrincipal, Predicate, RequestPrincipal,
    RequiredScopes, StringMatch,
};
use crate::identity::Identity;
use std::fmt::{Display, Formatter, Result};

impl Display for StringMatch {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self.shape {
            Shape::Exact => f.write_str(&self.text),
            Shape::Prefix => write!(f, "{}*", self.text),
            Shape::Suffix => write!(f, "*{}", self.text),
            Shape::Present => f.write_str("*"),
        }
    }
}

impl Display for Glob {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Literal(text) => f.write_str(&String::from_utf8_lossy(text)),
            Part::Gap(Gap::Any | Gap::Some | Gap::UpToSlash) => f.write_str("*"),
            Part::Gap(Gap::Segment) => f.write_str("{*}"),
            Part::Gap(Gap::Path) => f.write_str("{**}"),
        })
    }
}

impl Display for PathPattern {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match &self.0 {
            Kind::Plain(value) => value.fmt(f),
            Kind::Template(glob) => glob.fmt(f),
        }
    }
}

impl Display for ApiPath {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        if let Some(regex) = &self.regex {
            return f.write_str(unanchored(regex.as_str()));
        }
        if self.within().is_some() {
            return f.write_str("/*");
        }
        self.segments.iter().try_for_each(|segment| {
            let text = match segment {
                Segment::Literal(text) => text,
                Segment::One => "{*}",
                Segment::Rest => "{**}",
            };
            write!(f, "/{text}")
        })
    }
}

impl Display for OriginMatch {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Exact(text) => f.write_str(text),
            Self::Prefix(text) => write!(f, "{text}*"),
            Self::Regex(regex) => f.write_str(unanchored(regex.as_str())),
        }
    }
}

impl Display for RequestPrincipal {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match (self.issuer.shape, self.subject.shape) {
            (Shape::Present, Shape::Present) => f.write_str("*"),
            _ => write!(f, "{}/{}", self.issuer, self.subject),
        }
    }
}

impl Display for PeerPrincipal {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        // The others are the same with more before and behind.
        self.0.first().map_or(Ok(()), |glob| glob.fmt(f))
    }
}

impl Display for Required {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Matches(value) => value.fmt(f),
            Self::Hierarchic(scope) | Self::Wildcard(scope) => f.write_str(scope),
        }
    }
}

// === impl Cors ===

impl Cors {
    /// The origins that are admitted.
    pub fn origins(&self) -> impl Iterator<Item = &OriginMatch> {
        self.origins.iter()
    }
}

// === impl RequiredScopes ===

impl RequiredScopes {
    /// Each of them.
    pub fn texts(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(ToString::to_string)
    }

    /// The claims that may grant them, with what an identity has in each.
    pub fn granted(
        identity: &Identity,
    ) -> impl Iterator<Item = (&'static str, &serde_json::Value)> {
        let claims = CLAIMS.into_iter();
        claims.filter_map(|name| Some((name, identity.claim(&[name.to_owned()])?)))
    }
}

// === impl Predicate ===

impl Predicate {
    /// The value that it demands.
    #[must_use]
    pub fn demanded(&self) -> String {
        match self {
            Self::Authority(value)
            | Self::Method(value)
            | Self::Target(value)
            | Self::Claim(_, value)
            | Self::Peer(_, value)
            | Self::Sni(value)
            | Self::Metadata(_, value)
            | Self::MetadataList(_, value)
            | Self::Header(_, Some(value))
            | Self::Derived(_, _, Some(value)) => value.to_string(),
            Self::Header(_, None) | Self::Derived(_, _, None) => "*".to_owned(),
            Self::Path(value) => value.to_string(),
            Self::Port(port) => port.to_string(),
            Self::DestinationIp(block) | Self::SourceIp(block) | Self::RemoteIp(block) => {
                block.to_string()
            }
            Self::RequestPrincipal(value) => value.to_string(),
            Self::Scopes(scopes) => scopes.texts().collect::<Vec<_>>().join(" "),
            Self::Principal(value) => value.to_string(),
        }
    }
}

/// An expression as it was written, without what makes it match as a whole.
fn unanchored(regex: &str) -> &str {
    let inner = regex
        .strip_prefix("^(?:")
        .and_then(|rest| rest.strip_suffix(")$"));
    inner.unwrap_or(regex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_shown() {
        for path in ["/a", "/a*", "*/b", "*", "/a/{*}/b/{**}"] {
            assert_eq!(PathPattern::parse(path).unwrap().to_string(), path);
        }
        for path in ["/a/b", "/a/{*}/{**}/c", "/*", "/"] {
            assert_eq!(ApiPath::parse(path).unwrap().to_string(), path);
        }
        let regex = ApiPath::parse_regex("/(a|b)").unwrap();
        assert_eq!(regex.to_string(), "/(a|b)");
        for principal in ["*", "i/s", "i/*", "*/s", "https://i/s*"] {
            let read = RequestPrincipal::parse(principal).unwrap();
            assert_eq!(read.to_string(), principal);
        }
        let principal = PeerPrincipal::principal("cluster.local/ns/a/sa/b").unwrap();
        assert_eq!(principal.to_string(), "spiffe://cluster.local/ns/a/sa/b");
        assert_eq!(PeerPrincipal::namespace("a*").to_string(), "*/ns/a*/*");
    }
}
