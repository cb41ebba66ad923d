//! Certificates made for one test, and both ends of TLS with them.
//!
//! An authority signs what it is asked to, and a gateway that trusts it asks clients for a
//! certificate without demanding one, as Istio's OPTIONAL_MUTUAL does. It judges nothing.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
    SanType,
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use serde_json::{Value, json};

/// A certificate authority of one test.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate with its key.
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

// === impl Authority ===

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name = subject("Authority of a test");
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate");
        Authority { issuer }
    }

    /// A client's certificate with these URI and DNS names, in this order, and this common name.
    pub fn client(&self, uris: &[&str], dns: &[&str], common_name: &str) -> Identity {
        let name = |text: &&str| (*text).try_into().expect("a name in ASCII");
        let uris = uris.iter().map(|uri| SanType::URI(name(uri)));
        let names = uris.chain(dns.iter().map(|dns| SanType::DnsName(name(dns))));
        let mut params = CertificateParams::default();
        params.subject_alt_names = names.collect();
        params.distinguished_name = subject(common_name);
        let (certificate, key) = self.signed(params);
        Identity {
            chain: vec![certificate.der().clone()],
            key: PrivateKeyDer::try_from(key.serialize_der()).expect("a key"),
        }
    }

    /// The transport socket of a listener, for any server name.
    pub fn gateway(&self) -> Value {
        let names = vec!["gateway.test".to_owned()];
        let params = CertificateParams::new(names).expect("a name");
        let (certificate, key) = self.signed(params);
        json!({
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                "common_tls_context": {
                    "tls_certificates": [{
                        "certificate_chain": {"inline_string": certificate.pem()},
                        "private_key": {"inline_string": key.serialize_pem()},
                    }],
                    "validation_context": {"trusted_ca": {"inline_string": self.issuer.pem()}},
                },
            },
        })
    }

    /// A client's end, which shows this certificate or none.
    pub fn client_config(&self, identity: Option<&Identity>) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("a root");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions of TLS")
            .with_root_certificates(roots);
        let config = match identity {
            None => builder.with_no_client_auth(),
            Some(Identity { chain, key }) => builder
                .with_client_auth_cert(chain.clone(), key.clone_key())
                .expect("a certificate that fits its key"),
        };
        Arc::new(config)
    }

    fn signed(&self, params: CertificateParams) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        (certificate, key)
    }
}

fn subject(common_name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, common_name);
    subject
}
