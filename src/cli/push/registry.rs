//! A registry, by `oci-client`: what is uploaded to it, and what is read back.
//!
//! Every call has a deadline, and every error says what to do. Plain HTTP is spoken only when asked.

use super::credentials::Credentials;
use super::reference::Reference;
use crate::cli::image::build::{Blob, Image, media_type};
use crate::cli::image::fetcher::{Descriptor, Source};
use http::HeaderValue;
use oci_client::client::{ClientConfig, ClientProtocol, LayerDescriptor};
use oci_client::errors::{OciDistributionError as Error, OciErrorCode};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, RegistryOperation};
use std::time::Duration;
use tokio::runtime::Runtime;

/// A registry that let us in.
pub(super) struct Registry<'a> {
    runtime: &'a Runtime,
    client: Client,
    auth: RegistryAuth,
    image: Reference,
    insecure_http: bool,
    /// Where the credentials are from.
    credentials: Option<String>,
}

/// What is meant to be done there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Push,
    Check,
}

/// `oci-client` cannot be told to keep to TLS: plain HTTP goes to this proxy, which cannot be.
const NOWHERE: &str = "http://127.0.0.1:0";

/// How long it may take to get a connection, or the next bytes.
const CONNECT: Duration = Duration::from_secs(10);
const READ: Duration = Duration::from_secs(60);

/// How long one manifest or blob may take.
const PATIENCE: Duration = Duration::from_secs(600);

// === impl Registry ===

impl<'a> Registry<'a> {
    /// Connects to the registry of an image, and logs in.
    ///
    /// # Errors
    /// It is not there, or does not let us in.
    pub(super) fn open(
        runtime: &'a Runtime,
        image: &Reference,
        credentials: Option<Credentials>,
        insecure_http: bool,
        purpose: Purpose,
    ) -> Result<Self, String> {
        // Whoever is first decides for the process; then it is there.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = ClientConfig {
            protocol: match insecure_http {
                true => ClientProtocol::Http,
                false => ClientProtocol::Https,
            },
            // Also where a registry leads elsewhere, to a token or an upload.
            http_proxy: (!insecure_http).then(|| NOWHERE.to_owned()),
            connect_timeout: Some(CONNECT),
            read_timeout: Some(READ),
            user_agent: concat!("portcullis/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        };
        // `Client::new` would go on with another configuration if this one cannot be used.
        let client = Client::try_from(config).map_err(|error| error.to_string())?;
        let from = credentials.as_ref().map(|it| it.from.clone());
        let auth = credentials.map_or(RegistryAuth::Anonymous, |it| {
            RegistryAuth::Basic(it.username, it.password)
        });
        let opened = Self {
            runtime,
            client,
            auth,
            image: image.clone(),
            insecure_http,
            credentials: from,
        };
        let operation = match purpose {
            Purpose::Push => RegistryOperation::Push,
            Purpose::Check => RegistryOperation::Pull,
        };
        let name = opened.named(opened.image.identifier());
        let login = opened.client.auth(&name, &opened.auth, operation);
        opened.wait(login)?;
        Ok(opened)
    }

    /// Uploads an image under a tag.
    ///
    /// # Errors
    /// It could not be uploaded.
    pub(super) fn push(&self, image: &Image, tag: &str) -> Result<(), String> {
        let name = self.named(tag);
        for blob in &image.blobs {
            self.push_blob(&name, blob)?;
        }
        let media_type = HeaderValue::from_static(image.manifest.media_type);
        let manifest = image.manifest.bytes.clone();
        let push = self.client.push_manifest_raw(&name, manifest, media_type);
        self.wait(push).map(|_| ())
    }

    fn push_blob(&self, name: &oci_client::Reference, blob: &Blob) -> Result<(), String> {
        let exists = self.client.blob_exists(name, &blob.digest);
        // Who cannot tell is asked to take it.
        if self.wait(exists).unwrap_or(false) {
            return Ok(());
        }
        let bytes = blob.bytes.clone();
        let push = self.client.push_blob(name, bytes, &blob.digest);
        self.wait(push).map(|_| ())
    }

    /// The image by tag or digest, for `oci-client`.
    fn named(&self, identifier: &str) -> oci_client::Reference {
        let registry = self.image.registry.clone();
        let repository = self.image.repository.clone();
        let identifier = identifier.to_owned();
        match identifier.starts_with("sha256:") {
            true => oci_client::Reference::with_digest(registry, repository, identifier),
            false => oci_client::Reference::with_tag(registry, repository, identifier),
        }
    }

    fn wait<T>(&self, future: impl Future<Output = Result<T, Error>>) -> Result<T, String> {
        // The timer is made inside of the runtime.
        let answer = self
            .runtime
            .block_on(async { tokio::time::timeout(PATIENCE, future).await });
        match answer {
            Ok(answer) => answer.map_err(|error| self.in_words(&error)),
            Err(_) => Err(format!(
                "`{}` took longer than {} minutes",
                self.image.registry,
                PATIENCE.as_secs().div_euclid(60)
            )),
        }
    }

    /// What went wrong, and what to do.
    fn in_words(&self, error: &Error) -> String {
        let registry = &self.image.registry;
        match error {
            Error::RequestError(error) => {
                let cause = causes(error);
                if cause.contains("InvalidContentType") {
                    return format!(
                        "`{registry}` does not answer with TLS; if it is meant to speak plain HTTP, \
                         give `--insecure-http`"
                    );
                }
                let elsewhere = error.url().filter(|url| url.scheme() == "http");
                if let Some(url) = elsewhere.filter(|_| !self.insecure_http) {
                    return format!(
                        "`{registry}` leads to `http://{}`, where everything would go without \
                         encryption: let it name an address with `https://`",
                        url.host_str().unwrap_or_default()
                    );
                }
                let cause = cause.trim_start_matches("client error (Connect): ");
                match (error.is_connect(), error.is_timeout()) {
                    (true, _) => format!(
                        "`{registry}` cannot be reached: {cause}; is it running, and are host and \
                         port right?"
                    ),
                    (_, true) => format!("`{registry}` does not answer: {cause}"),
                    _ => format!("`{registry}` could not be asked: {cause}"),
                }
            }
            Error::UnauthorizedError { .. } | Error::ServerError { code: 401, .. } => {
                self.denied("")
            }
            Error::AuthenticationFailure(says) => self.denied(says),
            Error::ServerError {
                code: 403, message, ..
            } => self.denied(message),
            Error::RegistryError { envelope, .. } => {
                let mut codes = envelope.errors.iter().map(|error| &error.code);
                let says = envelope.errors.iter().map(|error| error.message.as_str());
                let says = says.collect::<Vec<_>>().join(", ");
                match codes.next() {
                    Some(OciErrorCode::Denied | OciErrorCode::Unauthorized) => self.denied(&says),
                    Some(
                        OciErrorCode::ManifestUnknown
                        | OciErrorCode::NameUnknown
                        | OciErrorCode::NotFound,
                    ) => format!("`{registry}` has no {}: {says}", self.image),
                    _ => format!("`{registry}` refuses: {says}"),
                }
            }
            Error::ServerError { code, message, .. } => {
                let message = message.trim();
                format!("`{registry}` failed with {code}: {message}")
            }
            error => format!("`{registry}`: {error}"),
        }
    }

    fn denied(&self, says: &str) -> String {
        let registry = &self.image.registry;
        let says = match says.trim() {
            "" => String::new(),
            says => format!(" ({says})"),
        };
        match &self.credentials {
            Some(from) => format!("`{registry}` refuses the credentials from {from}{says}"),
            None => format!(
                "`{registry}` demands credentials{says}: give them by `docker login {registry}`, by \
                 PORTCULLIS_REGISTRY_USERNAME and PORTCULLIS_REGISTRY_PASSWORD, or by `--username` \
                 and `--password-stdin`"
            ),
        }
    }
}

impl Source for Registry<'_> {
    fn manifest(&self, identifier: &str) -> Result<Vec<u8>, String> {
        let name = self.named(identifier);
        let accepted = [
            media_type::OCI_MANIFEST,
            media_type::OCI_INDEX,
            media_type::DOCKER_MANIFEST,
            media_type::DOCKER_INDEX,
        ];
        let pull = self.client.pull_manifest_raw(&name, &self.auth, &accepted);
        self.wait(pull).map(|(manifest, _)| manifest.to_vec())
    }

    fn blob(&self, layer: &Descriptor) -> Result<Vec<u8>, String> {
        let name = self.named(self.image.identifier());
        let layer = LayerDescriptor {
            digest: &layer.digest,
            urls: &None,
        };
        let mut bytes = Vec::new();
        let pull = self.client.pull_blob(&name, &layer, &mut bytes);
        self.wait(pull)?;
        Ok(bytes)
    }
}

/// An error and what it came from, each once.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let chain = std::iter::successors(error.source(), |error| (*error).source());
    let mut said: Vec<String> = Vec::new();
    for cause in chain.map(ToString::to_string) {
        if !said.iter().any(|known| known.contains(&cause)) {
            said.push(cause);
        }
    }
    match said.is_empty() {
        true => error.to_string(),
        false => said.join(": "),
    }
}
