//! OpenID Connect Discovery 1.0, as far as it leads to keys: from an issuer to its `jwks_uri`.
//!
//! The document is fetched from the issuer's own host and says where to fetch from next, so it is
//! believed only about the issuer that it names, and leads nowhere but to the issuer's host, unless
//! the operator has configured the cluster that everything goes through.

use super::Endpoint;
use crate::json;
use serde_json::Value;

/// How an issuer's keys are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovery {
    /// The issuer, to the letter.
    pub issuer: String,
    /// Where its document is.
    pub document: Endpoint,
    /// Whether the operator has configured the cluster.
    pub fixed_cluster: bool,
}

/// Behind the issuer (OpenID Connect Discovery 1.0, 4).
const WELL_KNOWN: &str = "/.well-known/openid-configuration";

// === impl Discovery ===

impl Discovery {
    /// For an issuer that is an https URL.
    ///
    /// # Errors
    /// What is allowed instead.
    pub fn of(issuer: &str, cluster: Option<&str>) -> Result<Self, String> {
        let base = issuer.strip_suffix('/').unwrap_or(issuer);
        let allowed = "an `https://` URL without query, so that its keys can be discovered; or give \
                       `jwks` or `jwksUri`";
        if !issuer.starts_with("https://") || issuer.contains(['?', '#']) {
            return Err(allowed.to_owned());
        }
        let document = Endpoint::parse(&format!("{base}{WELL_KNOWN}"), cluster);
        Ok(Self {
            issuer: issuer.to_owned(),
            document: document.map_err(|_| allowed.to_owned())?,
            fixed_cluster: cluster.is_some(),
        })
    }

    /// Reads the document: where the keys are.
    ///
    /// # Errors
    /// Why it is not believed; nothing of it is repeated.
    pub fn read(&self, document: &[u8]) -> Result<Endpoint, &'static str> {
        let document = json::parse(document, json::MAX_DEPTH).map_err(|_| "not JSON")?;
        let member = |name: &str| document.get(name).and_then(Value::as_str);
        if member("issuer") != Some(&self.issuer) {
            return Err("its `issuer` is another");
        }
        let uri = member("jwks_uri").ok_or("no `jwks_uri`")?;
        if self.fixed_cluster {
            let cluster = Some(self.document.cluster.as_str());
            return Endpoint::parse(uri, cluster).map_err(|_| "`jwks_uri` is no URL");
        }
        if !uri.starts_with("https://") {
            return Err("`jwks_uri` is not https");
        }
        let keys = Endpoint::parse(uri, None).map_err(|_| "`jwks_uri` is no URL")?;
        match keys.host() == self.document.host() {
            true => Ok(keys),
            false => Err("`jwks_uri` is on another host; configure the `cluster` to allow that"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_leads_to_its_document() {
        for (issuer, document) in [
            (
                "https://idp.example.com",
                Some(
                    "idp.example.com/.well-known/openid-configuration (cluster outbound|443||idp.example.com)",
                ),
            ),
            (
                "https://idp.example.com:8443/realms/a/",
                Some(
                    "idp.example.com:8443/realms/a/.well-known/openid-configuration (cluster outbound|8443||idp.example.com)",
                ),
            ),
            ("http://idp.example.com", None),
            ("https://u@idp.example.com", None),
            ("https://idp.example.com?x", None),
            ("idp", None),
        ] {
            let found = Discovery::of(issuer, None).ok();
            let found = found.map(|it| it.document.to_string());
            assert_eq!(found.as_deref(), document, "`{issuer}`");
        }
    }

    #[test]
    fn a_document_is_believed_about_its_own_issuer_and_host() {
        let issuer = "https://idp.example.com/a";
        for (document, cluster, expected) in [
            (
                r#"{"issuer":"ISS","jwks_uri":"https://idp.example.com/keys?x=1"}"#,
                None,
                Ok("idp.example.com/keys?x=1 (cluster outbound|443||idp.example.com)"),
            ),
            (
                r#"{"issuer":"ISS","jwks_uri":"https://IDP.example.com:8443/keys"}"#,
                None,
                Ok("IDP.example.com:8443/keys (cluster outbound|8443||IDP.example.com)"),
            ),
            (
                r#"{"issuer":"ISS/","jwks_uri":"https://idp.example.com/keys"}"#,
                None,
                Err("its `issuer` is another"),
            ),
            (
                r#"{"jwks_uri":"https://idp.example.com/keys"}"#,
                None,
                Err("its `issuer` is another"),
            ),
            (r#"{"issuer":"ISS"}"#, None, Err("no `jwks_uri`")),
            (
                r#"{"issuer":"ISS","jwks_uri":["https://idp.example.com/"]}"#,
                None,
                Err("no `jwks_uri`"),
            ),
            (
                r#"{"issuer":"ISS","issuer":"ISS","jwks_uri":"https://idp.example.com/"}"#,
                None,
                Err("not JSON"),
            ),
            (
                r#"{"issuer":"ISS","jwks_uri":"http://idp.example.com/keys"}"#,
                None,
                Err("`jwks_uri` is not https"),
            ),
            (
                r#"{"issuer":"ISS","jwks_uri":"https://169.254.169.254/keys"}"#,
                None,
                Err("`jwks_uri` is on another host; configure the `cluster` to allow that"),
            ),
            (
                r#"{"issuer":"ISS","jwks_uri":"https://idp.example.com@evil.example/"}"#,
                None,
                Err("`jwks_uri` is no URL"),
            ),
            (
                r#"{"issuer":"ISS","jwks_uri":"https://www.example.com/keys"}"#,
                Some("idp"),
                Ok("www.example.com/keys (cluster idp)"),
            ),
            ("<html>", None, Err("not JSON")),
        ] {
            let document = document.replace("ISS", issuer);
            let found = Discovery::of(issuer, cluster)
                .unwrap()
                .read(document.as_bytes());
            let found = found.map(|it| it.to_string());
            assert_eq!(found.as_deref().map_err(|it| *it), expected, "{document}");
        }
    }
}
