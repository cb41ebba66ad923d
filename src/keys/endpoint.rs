//! Where something is fetched from: a URI, and the Envoy cluster through which it is reached.
//!
//! Knows no key and no issuer. The configuration makes one of what an operator writes,
//! [`super::discovery`] of what an issuer says of itself.

use http::Uri;

/// A place to fetch from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `host[:port]` of the URI.
    pub authority: String,
    /// Path and query of the URI.
    pub path: String,
    /// As configured, or `outbound|<port>||<host>` as Istio names it.
    pub cluster: String,
}

/// What an endpoint must be.
const ALLOWED: &str = "an `http://` or `https://` URI with a host and without user";

// === impl Endpoint ===

impl Endpoint {
    /// Reads a URI. Without a cluster, it is derived from host and port.
    ///
    /// # Errors
    /// What is allowed instead.
    pub fn parse(uri: &str, cluster: Option<&str>) -> Result<Self, String> {
        let uri: Uri = uri.parse().map_err(|_| ALLOWED.to_owned())?;
        let default_port = match uri.scheme_str() {
            Some("https") => 443,
            Some("http") => 80,
            _ => return Err(ALLOWED.to_owned()),
        };
        let authority = uri.authority().filter(|it| !it.as_str().contains('@'));
        let authority = authority.ok_or(ALLOWED)?;
        let port = authority.port_u16().unwrap_or(default_port);
        let derived = || format!("outbound|{port}||{}", authority.host());
        Ok(Self {
            authority: authority.as_str().to_owned(),
            path: uri
                .path_and_query()
                .map_or("/", |path| path.as_str())
                .to_owned(),
            cluster: cluster.map_or_else(derived, str::to_owned),
        })
    }

    /// The host, without port, in lower case.
    #[must_use]
    pub fn host(&self) -> String {
        let authority: Option<http::uri::Authority> = self.authority.parse().ok();
        authority.map_or_else(String::new, |it| it.host().to_ascii_lowercase())
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}{} (cluster {})",
            self.authority, self.path, self.cluster
        )
    }
}
