//! The name of an image in a registry, read as Istio reads the `url` of a WasmPlugin.
//!
//! Istio reads a URL first, and what is behind `oci://` by the rules of go-containerregistry. What
//! would mean something else there than it seems to is an error here.

use std::fmt;

/// The name of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    /// The host of the registry, with its port.
    pub registry: String,
    pub repository: String,
    pub tag: Option<String>,
    /// `sha256:` and the digest of a manifest.
    pub digest: Option<String>,
    /// Whether it was written as a WasmPlugin can have it.
    pub fits_a_wasm_plugin: bool,
}

/// Where a name without a registry leads.
const DOCKER_HUB: &str = "docker.io";

/// What a name looks like.
const FORM: &str = "allowed: `oci://HOST[:PORT]/REPOSITORY[:TAG][@sha256:DIGEST]`";

// === impl Reference ===

impl Reference {
    /// Reads what was given on the command line.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| format!("found `{text}`: {what}; {FORM}");
        let (has_scheme, name) = match text.split_once("://") {
            Some(("oci", name)) => (true, name),
            Some((scheme, _)) => {
                return Err(wrong(&format!("`{scheme}` is not the scheme of an image")));
            }
            None => (false, text),
        };
        let (name, digest) = match name.split_once('@') {
            Some((name, digest)) if is_digest(digest) => (name, Some(digest)),
            // It may be a password, and is not printed.
            Some(_) => {
                return Err(format!(
                    "behind the first `@` of the image there is no digest, and no credentials belong \
                     before it; {FORM}"
                ));
            }
            None => (name, None),
        };
        let (path, tag) = match name.rsplit_once(':') {
            // What has a slash behind it is a port.
            Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
            _ => (name, None),
        };
        let (registry, repository) = match path.split_once('/') {
            Some((host, repository)) if is_host(host) => (host, repository),
            Some(_) => (DOCKER_HUB, path),
            None => return Err(wrong("there is no repository")),
        };
        if !is_authority(registry) {
            return Err(wrong(&format!("`{registry}` is no host")));
        }
        if !is_repository(repository) {
            return Err(wrong(&format!(
                "`{repository}` is no repository: it has lower-case letters, digits, `_`, `-`, `.` and `/`"
            )));
        }
        if let Some(tag) = tag.filter(|tag| !is_tag(tag)) {
            return Err(wrong(&format!("`{tag}` is no tag")));
        }
        Ok(Self {
            registry: registry.to_owned(),
            repository: repository.to_owned(),
            tag: tag.map(str::to_owned),
            digest: digest.map(str::to_owned),
            fits_a_wasm_plugin: has_scheme || !registry.contains(':'),
        })
    }

    /// What Istio asks a registry for.
    pub(super) fn identifier(&self) -> &str {
        let tag = self.tag.as_deref().unwrap_or("latest");
        self.digest.as_deref().unwrap_or(tag)
    }

    /// The same image, by its digest alone: no tag can be moved under it.
    pub(super) fn pinned(&self, digest: &str) -> Self {
        Self {
            tag: None,
            digest: Some(digest.to_owned()),
            ..self.clone()
        }
    }
}

/// As the `url` of a WasmPlugin.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "oci://{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

/// Whether the first part of a name is a host: else it is part of the repository.
fn is_host(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost"
}

fn is_authority(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let is_name = |name: &str| {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        !name.is_empty() && name.bytes().all(known)
    };
    let address = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    let is_host = match address {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => is_name(host),
    };
    let digits = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    is_host && port.is_none_or(|port| digits(port) && port.parse::<u16>().is_ok())
}

fn is_repository(text: &str) -> bool {
    let known = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-' | b'.')
    };
    let mut parts = text.split('/');
    (2..=255).contains(&text.len()) && parts.all(|part| !part.is_empty() && part.bytes().all(known))
}

fn is_tag(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    (1..=127).contains(&text.len()) && text.bytes().all(known)
}

/// Whether that is `sha256:` and 64 digits.
fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(is_sha256)
}

/// Whether that is a `spec.sha256`.
pub(super) fn is_sha256(text: &str) -> bool {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.len() == 64 && text.bytes().all(is_digit)
}

#[cfg(test)]
mod tests;
