//! `principals` and their kin: who is at the other end of the TLS connection.
//!
//! Istio writes each of these as an expression over a SPIFFE identity, and Envoy compares it with
//! every URI name in the certificate, then every DNS name, then the subject. Without a certificate
//! none of them matches.

use super::glob::{Gap, Glob};
use super::{StringMatch, Truth};
use crate::peer::DistinguishedName;
use crate::request::{Peer, PeerOperator};
use std::fmt;

/// A value of `principals`, `namespaces`, `serviceAccounts` or `trustDomains`.
#[derive(Clone, Debug)]
pub struct PeerPrincipal(pub(super) Vec<Glob>);

/// What `connection.peer.…` is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerFact {
    /// `subject`, whole, or one of its attributes.
    Subject(Option<Box<str>>),
    /// `issuer`, whole, or one of its attributes.
    Issuer(Option<Box<str>>),
    /// `san.uri`
    Uri,
    /// `san.dns`
    Dns,
    /// `sha256`, in lower-case hexadecimal digits.
    Sha256,
}

// === impl PeerPrincipal ===

impl PeerPrincipal {
    /// A value of `principals`, without `spiffe://`: `*` is any name, `*x` a suffix, `x*` a prefix.
    ///
    /// # Errors
    /// What is allowed instead.
    pub fn principal(text: &str) -> Result<Self, String> {
        if text.contains("spiffe://") {
            return Err("an identity without `spiffe://`".into());
        }
        let spiffe = || Glob::new().literal("spiffe://");
        let glob = match (text.strip_prefix('*'), text.strip_suffix('*')) {
            _ if text == "*" => Glob::new().gap(Gap::Some),
            (Some(suffix), _) => spiffe().gap(Gap::Any).literal(suffix),
            (None, Some(prefix)) => spiffe().literal(prefix).gap(Gap::Any),
            (None, None) => spiffe().literal(text),
        };
        Ok(Self(vec![glob]))
    }

    /// A value of `namespaces`, in which each `*` is a gap.
    #[must_use]
    pub fn namespace(text: &str) -> Self {
        let glob = Glob::new()
            .gap(Gap::Any)
            .literal("/ns/")
            .stars(text, Gap::Any);
        Self(vec![glob.literal("/").gap(Gap::Any)])
    }

    /// A value of `serviceAccounts`: `NAMESPACE/NAME`, or `NAME` in the policy's own namespace.
    ///
    /// # Errors
    /// What is allowed instead.
    pub fn service_account(text: &str, own_namespace: &str) -> Result<Self, String> {
        let (namespace, name) = text.split_once('/').unwrap_or((own_namespace, text));
        if namespace.is_empty() || name.is_empty() || name.contains('/') || text.contains('*') {
            return Err("`NAMESPACE/NAME` or `NAME`, without `*`".into());
        }
        let start = || {
            let start = Glob::new().literal("spiffe://").gap(Gap::Some);
            start.literal("/ns/").literal(namespace).literal("/")
        };
        let direct = || start().literal("sa/").literal(name);
        let nested = || start().gap(Gap::Some).literal("/sa/").literal(name);
        let below = |glob: Glob| glob.literal("/").gap(Gap::Some);
        Ok(Self(vec![
            direct(),
            nested(),
            below(direct()),
            below(nested()),
        ]))
    }

    /// A value of `trustDomains`, in which a `*` does not span a slash.
    ///
    /// # Errors
    /// What is allowed instead.
    pub fn trust_domain(text: &str) -> Result<Self, String> {
        if text.contains('/') {
            return Err("a trust domain, without `/`".into());
        }
        let spiffe = Glob::new().literal("spiffe://");
        let glob = match text {
            "*" => spiffe,
            _ => spiffe.stars(text, Gap::UpToSlash).literal("/"),
        };
        Ok(Self(vec![glob.gap(Gap::Any)]))
    }

    pub(super) fn truth(&self, peer: Option<&Peer>) -> Truth {
        let Some(peer) = peer else {
            return Truth::False;
        };
        // A NUL ends a name for some readers and not for others (CVE-2025-66220): such a name is
        // nobody's, and its certificate may hold anything.
        let odd = |name: &[u8]| name.contains(&0);
        let subject = Some(peer.subject.as_slice()).filter(|subject| !subject.is_empty());
        let names = || peer.uris().chain(peer.dns()).chain(subject);
        let mut plain = names().filter(|name| !odd(name));
        match plain.any(|name| self.0.iter().any(|glob| glob.matches(name))) {
            true => Truth::True,
            // What is not seen may match.
            false if !peer.knows_uris() || !peer.knows_dns() || names().any(odd) => Truth::Unknown,
            false => Truth::False,
        }
    }
}

// === impl PeerFact ===

impl PeerFact {
    /// Reads what stands behind `connection.peer.`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let attribute = |text: &str| -> Option<Box<str>> {
            let name = text.strip_prefix('[')?.strip_suffix(']')?;
            let letter = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
            (!name.is_empty() && name.bytes().all(letter)).then(|| name.into())
        };
        match (
            text,
            text.strip_prefix("subject"),
            text.strip_prefix("issuer"),
        ) {
            ("subject", ..) => Some(Self::Subject(None)),
            ("issuer", ..) => Some(Self::Issuer(None)),
            ("san.uri", ..) => Some(Self::Uri),
            ("san.dns", ..) => Some(Self::Dns),
            ("sha256", ..) => Some(Self::Sha256),
            (_, Some(rest), _) => attribute(rest).map(|it| Self::Subject(Some(it))),
            (_, _, Some(rest)) => attribute(rest).map(|it| Self::Issuer(Some(it))),
            _ => None,
        }
    }

    pub(super) fn truth(&self, value: &StringMatch, peer: Option<&Peer>) -> Truth {
        let Some(peer) = peer else {
            return Truth::False;
        };
        let odd = |name: &[u8]| name.contains(&0);
        let any = |names: Vec<&[u8]>, are_all: bool| {
            let mut plain = names.iter().filter(|name| !odd(name));
            match plain.any(|name| value.matches(name)) {
                true => Truth::True,
                false if !are_all || names.iter().any(|name| odd(name)) => Truth::Unknown,
                false => Truth::False,
            }
        };
        let within = |name: Option<&[u8]>, attribute: &Option<Box<str>>| match (name, attribute) {
            (None, _) => Truth::Unknown,
            (Some(name), None) => any(vec![name], true),
            (Some(name), Some(attribute)) => match DistinguishedName::parse(name) {
                Some(name) => any(name.values(attribute).collect(), true),
                None => Truth::Unknown,
            },
        };
        let certificate = peer.certificate.as_deref();
        match self {
            Self::Subject(attribute) => within(Some(&peer.subject), attribute),
            Self::Issuer(attribute) => {
                within(certificate.map(|it| it.issuer.as_bytes()), attribute)
            }
            Self::Uri => any(peer.uris().collect(), peer.knows_uris()),
            Self::Dns => any(peer.dns().collect(), peer.knows_dns()),
            Self::Sha256 => match peer.tell(PeerOperator::Fingerprint256) {
                Some(digest) => value.matches(&digest).into(),
                None => Truth::Unknown,
            },
        }
    }
}

impl fmt::Display for PeerFact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subject(None) => f.write_str("subject"),
            Self::Issuer(None) => f.write_str("issuer"),
            Self::Subject(Some(attribute)) => write!(f, "subject[{attribute}]"),
            Self::Issuer(Some(attribute)) => write!(f, "issuer[{attribute}]"),
            Self::Uri => f.write_str("san.uri"),
            Self::Dns => f.write_str("san.dns"),
            Self::Sha256 => f.write_str("sha256"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::Certificate;
    use std::sync::Arc;

    /// One URI name, of a certificate that can be read or not.
    fn peer(name: &str, all_names_known: bool) -> Peer {
        let certificate = Certificate {
            issuer: String::new(),
            serial: String::new(),
            uris: vec![name.as_bytes().to_vec()],
            dns: Vec::new(),
            sha256: [0; 32],
            pem: String::new(),
        };
        Peer {
            uri: name.as_bytes().to_vec(),
            certificate: all_names_known.then(|| Arc::new(certificate)),
            ..Peer::default()
        }
    }

    #[test]
    fn follow_istio() {
        let principal = |text| PeerPrincipal::principal(text).unwrap();
        let account = |text| PeerPrincipal::service_account(text, "own").unwrap();
        let domain = |text| PeerPrincipal::trust_domain(text).unwrap();
        let foo = "spiffe://cluster.local/ns/foo/sa/bar";
        for (what, value, name, matches) in [
            ("any", principal("*"), "CN=x", true),
            ("exact", principal("cluster.local/ns/foo/sa/bar"), foo, true),
            ("exact", principal("cluster.local/ns/foo/sa/ba"), foo, false),
            (
                "a DNS name",
                principal("cluster.local/ns/foo/sa/bar"),
                "cluster.local/ns/foo/sa/bar",
                false,
            ),
            ("prefix", principal("cluster.local/ns/foo/*"), foo, true),
            ("prefix", principal("cluster.local/ns/fo/*"), foo, false),
            ("suffix", principal("*/sa/bar"), foo, true),
            (
                "suffix of no SPIFFE name",
                principal("*/sa/bar"),
                "x/sa/bar",
                false,
            ),
            ("namespace", PeerPrincipal::namespace("foo"), foo, true),
            ("namespace", PeerPrincipal::namespace("fo"), foo, false),
            ("namespace", PeerPrincipal::namespace("f*"), foo, true),
            ("namespace", PeerPrincipal::namespace("f.o"), foo, false),
            (
                "any namespace",
                PeerPrincipal::namespace("*"),
                "spiffe://td/sa/x",
                false,
            ),
            ("account", account("foo/bar"), foo, true),
            (
                "account",
                account("foo/bar"),
                "spiffe://td/ns/foo/x/sa/bar/y",
                true,
            ),
            (
                "account",
                account("foo/bar"),
                "spiffe://td/ns/foo/sa/barx",
                false,
            ),
            ("account", account("bar"), foo, false),
            ("account", account("bar"), "spiffe://td/ns/own/sa/bar", true),
            ("domain", domain("cluster.local"), foo, true),
            ("domain", domain("cluster"), foo, false),
            ("domain", domain("clus*"), foo, true),
            ("domain", domain("*local"), foo, true),
            ("domain", domain("*sa"), foo, false),
            ("any domain", domain("*"), foo, true),
        ] {
            assert_eq!(
                value.truth(Some(&peer(name, true))),
                matches.into(),
                "{what}: {value:?} and `{name}`"
            );
        }
    }

    #[test]
    fn names_that_are_not_seen_may_match() {
        let value = PeerPrincipal::principal("td/x").unwrap();
        assert_eq!(
            value.truth(Some(&peer("spiffe://td/y", false))),
            Truth::Unknown
        );
        assert_eq!(
            value.truth(Some(&peer("spiffe://td/x", false))),
            Truth::True
        );
        assert_eq!(value.truth(None), Truth::False);
    }

    #[test]
    fn a_name_with_a_nul_is_nobodys() {
        for value in ["td/ns/shop/*", "*/sa/cart", "*"] {
            let value = PeerPrincipal::principal(value).unwrap();
            let odd = peer("spiffe://td/ns/shop/sa/cart\0/sa/cart", true);
            assert_eq!(value.truth(Some(&odd)), Truth::Unknown, "{value:?}");
        }
    }
}
