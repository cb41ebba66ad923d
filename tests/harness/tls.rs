//! Certificates made for one test, and both ends of TLS with them.
//!
//! An authority signs what it is asked to, and a gateway that trusts it asks clients for a
//! certificate without demanding one, as Istio's OPTIONAL_MUTUAL does. It judges nothing.

use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rcgen::{KeyPair, PublicKeyData as _, SigningKey as _};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer},
    sign::{CertifiedKey, SingleCertAndKey},
};
use serde_json::{Value, json};

use super::certificate::pem;
#[allow(unused_imports, reason = "the face of this module, as `mod.rs` has it")]
pub use super::certificate::{
    Attribute, BMP_STRING, Contents, Name, PRINTABLE_STRING, TELETEX_STRING, UTF8_STRING,
};

/// A certificate authority of one test.
pub struct Authority {
    subject: Vec<u8>,
    identity: Identity,
}

/// A certificate with its key.
pub struct Identity {
    certificate: Vec<u8>,
    key: KeyPair,
}

/// What Envoy leaves as it is in the PEM that it forwards.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-');

// === impl Authority ===

impl Authority {
    pub fn new() -> Self {
        Authority::named(&[("CN", "Authority of a test")])
    }

    /// One whose name has these attributes, in the order of the encoding.
    pub fn named(attributes: &[(&'static str, &str)]) -> Self {
        let contents = Contents {
            authority: true,
            ..Contents::subject(attributes)
        };
        let subject = contents.subject_der();
        let key = KeyPair::generate().expect("a key");
        let certificate = signed(&contents, &subject, &key, &key);
        let identity = Identity { certificate, key };
        Authority { subject, identity }
    }

    /// A client's certificate with these URI and DNS names, in this order, and this common name.
    pub fn client(&self, uris: &[&str], dns: &[&str], common_name: &str) -> Identity {
        let contents = Contents::subject(&[("CN", common_name)]);
        self.client_with(&contents.uris(uris).dns(dns))
    }

    /// A client's certificate that says anything.
    pub fn client_with(&self, contents: &Contents) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let certificate = signed(contents, &self.subject, &key, &self.identity.key);
        Identity { certificate, key }
    }

    /// The authority's own certificate.
    pub fn pem(&self) -> String {
        self.identity.pem()
    }

    /// The transport socket of a listener, for any server name.
    pub fn gateway(&self) -> Value {
        self.gateway_of(&["gateway.test"])
    }

    /// The same with a certificate for these server names.
    pub fn gateway_of(&self, names: &[&str]) -> Value {
        let contents = Contents::subject(&[("CN", "gateway")]).dns(names);
        let identity = self.client_with(&contents);
        json!({
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                "require_client_certificate": false,
                "common_tls_context": {
                    "tls_certificates": [{
                        "certificate_chain": {"inline_string": identity.pem()},
                        "private_key": {"inline_string": identity.key_pem()},
                    }],
                    "validation_context": {"trusted_ca": {"inline_string": self.pem()}},
                },
            },
        })
    }

    /// A client's end, which shows this certificate or none.
    pub fn client_config(&self, identity: Option<&Identity>) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from(self.identity.certificate.clone());
        roots.add(root).expect("a root");
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions of TLS")
            .with_root_certificates(roots);
        let config = match identity {
            None => builder.with_no_client_auth(),
            // Not `with_client_auth_cert`, which reads the certificate and knows only v3.
            Some(identity) => builder.with_client_cert_resolver(Arc::new(identity.resolver())),
        };
        Arc::new(config)
    }
}

// === impl Identity ===

impl Identity {
    pub fn pem(&self) -> String {
        pem("CERTIFICATE", &self.certificate)
    }

    pub fn key_pem(&self) -> String {
        pem("PRIVATE KEY", self.key.serialized_der())
    }

    /// SHA-256 of the certificate.
    pub fn fingerprint(&self) -> Vec<u8> {
        let suite = ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
        let suite = suite.tls13().expect("a suite of TLS 1.3");
        let hash = suite.common.hash_provider.hash(&self.certificate);
        hash.as_ref().to_vec()
    }

    /// The same in hexadecimal, as Envoy writes it.
    pub fn fingerprint_hex(&self) -> String {
        let bytes = self.fingerprint();
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The certificate as Envoy puts PEM into a header.
    pub fn encoded_pem(&self) -> String {
        utf8_percent_encode(&self.pem(), PLAIN).to_string()
    }

    /// What `x-forwarded-client-cert` says of it, for who forges that header.
    pub fn forwarded(&self, subject: &str) -> String {
        let (hash, cert) = (self.fingerprint_hex(), self.encoded_pem());
        format!("Hash={hash};Cert=\"{cert}\";Subject=\"{subject}\";URI=")
    }

    fn resolver(&self) -> SingleCertAndKey {
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).expect("a key");
        let key = ring::default_provider().key_provider.load_private_key(key);
        let chain = vec![CertificateDer::from(self.certificate.clone())];
        CertifiedKey::new(chain, key.expect("a key for signatures")).into()
    }
}

/// A certificate for one key, signed with the other.
fn signed(contents: &Contents, issuer: &[u8], key: &KeyPair, by: &KeyPair) -> Vec<u8> {
    let sign = |message: &[u8]| by.sign(message).expect("a signature");
    contents.der(issuer, &key.subject_public_key_info(), sign)
}
