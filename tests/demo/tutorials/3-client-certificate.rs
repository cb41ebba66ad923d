//! Tutorial 3: a workload that only one client certificate opens, and no header that claims it.

use std::sync::Arc;

use rustls::ClientConfig;
use serde_json::{Value, json};

use super::{Body, Credentials, Expected, Row, Tutorial, compiled};
use crate::authorization_server::AuthorizationServer;
use crate::harness::tls::{Authority, Contents, Identity};

const MANIFESTS: &str =
    include_str!("../../../wasmplugin/tutorials/3-client-certificate/original/httpbin.yaml");

const CLIENT: &str = "client.example.com";

/// The subject that the policy lets through.
const ALLOWED: &str = "O=example,CN=client2.example.com";

/// The authority's name, as the encoding has it.
const AUTHORITY: [(&str, &str); 2] = [("O", "example Inc."), ("CN", "ClientRootCA")];

/// What signs the gateway's certificate and those of its clients.
pub fn authority() -> Authority {
    Authority::named(&AUTHORITY)
}

/// Hosts for those who bring manifests of their own.
pub const OTHER_HOSTS: [&str; 2] = [
    "httpbin-vs.mtls-gw.goat.build.kyma-project.io",
    "function-example.mtls-gw.goat.build.kyma-project.io",
];

/// The server names of the gateway.
pub fn gateway(authority: &Authority) -> Value {
    authority.gateway_of(&[[CLIENT].as_slice(), &OTHER_HOSTS].concat())
}

pub fn tutorial(server: &AuthorizationServer, authority: &Authority) -> Tutorial {
    let allowed = client(authority, "client2.example.com", false);
    let other = client(authority, "client.example.com", true);
    let with = |identity: Option<&Identity>| authority.client_config(identity);
    let (as_allowed, as_other, as_nobody) = (with(Some(&allowed)), with(Some(&other)), with(None));
    let get = |tls: &Arc<ClientConfig>, caller, expected| {
        let row = Row::get(CLIENT, "/headers", expected);
        row.tls(tls.clone()).caller(caller)
    };
    // As the tutorial prints them; the certificate has no URI name.
    let derived = || {
        Expected::ok(Body::Json(vec![
            ("/headers/Host", CLIENT.into()),
            ("/headers/X-Client-Ssl-Cn", ALLOWED.into()),
            (
                "/headers/X-Client-Ssl-Issuer",
                "CN=ClientRootCA,O=example Inc.".into(),
            ),
            ("/headers/X-Client-Ssl-San", json!(null)),
        ]))
    };
    let forwarded = allowed.forwarded(ALLOWED);
    let denied = Expected::forbidden;
    Tutorial {
        number: 3,
        title: "Expose and secure a workload with a client certificate",
        guards: &[
            "client.example.com needs the certificate of client2.example.com, over TLS;",
            "httpbin is told of it in X-Client-Ssl-*, which nobody else can write",
        ],
        config: compiled(server, &[MANIFESTS], &[]),
        routes: Vec::new(),
        rows: vec![
            get(&as_allowed, "allowed certificate", derived()),
            get(&as_other, "another certificate", denied()),
            get(&as_nobody, "no certificate", denied()),
            get(&as_nobody, "no certificate, forged header", denied())
                .header("X-Client-Ssl-Cn", ALLOWED),
            get(&as_nobody, "no certificate, forged with `_`", denied())
                .header("x_client_ssl_cn", ALLOWED),
            get(&as_nobody, "no certificate, forged XFCC", denied())
                .header("X-Forwarded-Client-Cert", &forwarded),
            get(&as_nobody, "no certificate, both forged", denied())
                .header("X-Client-Ssl-Cn", ALLOWED)
                .header("X-Forwarded-Client-Cert", &forwarded),
            get(&as_other, "another certificate, forged header", denied())
                .header("X-Client-Ssl-Cn", ALLOWED),
            get(&as_other, "another certificate, both forged", denied())
                .header("X-Client-Ssl-Cn", ALLOWED)
                .header("X-Forwarded-Client-Cert", &forwarded),
            get(
                &as_allowed,
                "allowed certificate, forged headers",
                derived(),
            )
            .header("X-Client-Ssl-Cn", "O=example,CN=admin")
            .header("X-Client-Ssl-San", "spiffe://example/admin")
            .header("x_client_ssl_issuer", "CN=admin"),
            Row::get(CLIENT, "/headers", denied())
                .caller("no TLS, forged header")
                .header("X-Client-Ssl-Cn", ALLOWED),
        ],
        tokens: Vec::new(),
        tries: &[],
        credentials: Some(Credentials {
            authority: CLIENT,
            path: "/headers",
            files: vec![
                ("ca.crt", authority.pem()),
                ("allowed.crt", allowed.pem()),
                ("allowed.key", allowed.key_pem()),
                ("other.crt", other.pem()),
                ("other.key", other.key_pem()),
            ],
            clients: &["allowed", "other"],
        }),
    }
}

/// A client of the organisation `example`; the first one of the tutorial is X.509 v1, and names no URI.
pub fn client(authority: &Authority, common_name: &str, uri: bool) -> Identity {
    let contents = Contents::subject(&[("CN", common_name), ("O", "example")]);
    authority.client_with(&if uri {
        contents.uris(&["spiffe://example/client"])
    } else {
        Contents {
            version_1: true,
            ..contents
        }
    })
}
