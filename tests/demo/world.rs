//! Everything the tutorials need, running: authorization server, authorizer, httpbin, Envoy with the
//! plugin.
//!
//! It decides nothing and prints nothing. The demo shows it to a person, the tests ask it things.
#![allow(
    dead_code,
    reason = "each program that includes this uses its own part of it"
)]

use std::sync::Arc;

use crate::{
    authorization_server::{AuthorizationServer, DEMO_CLIENT, Options},
    authorizer::Authorizer,
    harness::{
        Client, Envoy, Httpbin, Listener, Plugin, Tool, Version, httpbin,
        module_server::{MODULES, ModuleServer},
        plugin::Fetched,
        tls::Authority,
    },
    tutorials::{self, AUTHORIZATION_SERVER, AUTHORIZER, Row, Tutorial, client_certificate},
};
use serde_json::json;

/// A running world; dropping it ends all of it.
pub struct World {
    // Envoy goes first, so that it does not log the loss of the others.
    pub envoy: Envoy,
    pub httpbin: Arc<Httpbin>,
    pub authorizer: Authorizer,
    pub server: AuthorizationServer,
    /// What signs the certificates of the gateway with TLS and of its clients.
    pub authority: Authority,
    pub tutorials: Vec<Tutorial>,
}

/// The listener of all tutorials but those with client certificates.
pub const GATEWAY: &str = "gateway";

/// The one with TLS, which asks for a client certificate without demanding one.
pub const TLS_GATEWAY: &str = "gateway with TLS";

/// What has to be there.
pub fn tools(version: Version) -> [Tool; 3] {
    [Tool::Envoy(version), Tool::Httpbin, Tool::Plugin]
}

// === impl World ===

impl World {
    /// The world of the tutorials on a free port.
    pub fn start(version: Version) -> Self {
        World::start_with(version, |_| (), |listener| listener)
    }

    /// The same with a word to the authorization server before Envoy starts, such as to stop it,
    /// and with other settings of the listener.
    pub fn start_with(
        version: Version,
        before_envoy: impl FnOnce(&mut AuthorizationServer),
        listener: impl FnOnce(Listener) -> Listener,
    ) -> Self {
        World::start_from(version, None, before_envoy, listener)
    }

    /// The same with the module from a server, of which Envoy knows what it must be.
    pub fn start_fetching(version: Version, modules: &ModuleServer, module: Fetched) -> Self {
        let fetched = Some((modules, module));
        World::start_from(version, fetched, |_| (), |listener| listener)
    }

    fn start_from(
        version: Version,
        fetched: Option<(&ModuleServer, Fetched)>,
        before_envoy: impl FnOnce(&mut AuthorizationServer),
        listener: impl FnOnce(Listener) -> Listener,
    ) -> Self {
        let mut server = AuthorizationServer::start(Options::tutorials());
        let authorizer = Authorizer::start(server.issuer("demo").clone(), DEMO_CLIENT);
        let authority = client_certificate::authority();
        let tutorials = tutorials::all(&server, &authority);
        let httpbin = httpbin::shared();
        before_envoy(&mut server);
        let mut plugin = Plugin::new(tutorials::plugin_config(&tutorials));
        let mut envoy = Envoy::builder(version);
        if let Some((modules, module)) = fetched {
            envoy = envoy.cluster(MODULES, modules.port());
            plugin = plugin.fetched(module);
        }
        let gateway = tutorials::listener(GATEWAY, &tutorials).filter(plugin.discovered());
        // The same filter, and what Istio's gateways forward of a certificate.
        let tls_gateway = tutorials::listener(TLS_GATEWAY, &tutorials)
            .filter(plugin.discovered())
            .transport_socket(client_certificate::gateway(&authority))
            .connection_manager(json!({
                "forward_client_cert_details": "SANITIZE_SET",
                "set_current_client_cert_details":
                    {"subject": true, "cert": true, "dns": true, "uri": true},
            }));
        let envoy = envoy
            .cluster("httpbin", httpbin.port())
            .cluster(AUTHORIZATION_SERVER, server.port())
            // What the plugin derives from its URLs. Istio would make no cluster of an address.
            .cluster(
                &format!("outbound|{}||127.0.0.1", server.port()),
                server.port(),
            )
            .cluster(AUTHORIZER, authorizer.port())
            .listener(listener(gateway))
            .listener(tls_gateway)
            .start();
        World {
            envoy,
            httpbin,
            authorizer,
            server,
            authority,
            tutorials,
        }
    }

    /// A client of the gateway.
    pub fn client(&self) -> Client {
        self.envoy.client(GATEWAY)
    }

    /// A client that asks the listener which a row wants, with its certificate.
    pub fn client_for(&self, row: &Row) -> Client {
        match &row.tls {
            None => self.client(),
            Some(config) => {
                let client = self.envoy.client(TLS_GATEWAY);
                client.tls(Arc::clone(config), row.authority)
            }
        }
    }
}
