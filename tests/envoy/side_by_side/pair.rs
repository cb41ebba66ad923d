//! Two listeners of one Envoy with the same policies: one with Envoy's filters, one with ours.
//!
//! Both show what would reach an upstream in headers of their answer. Nothing is judged here.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
};

use serde_json::{Value, json};

use super::{native, tokens::Tokens};
use crate::harness::{Client, Envoy, Filter, Listener, Plugin};

/// One question to both.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub authority: String,
    pub target: String,
    pub lines: Vec<(String, String)>,
    /// Whether another filter leaves metadata for those behind it.
    pub metadata: bool,
    /// Whether the client shows a certificate.
    pub certificate: bool,
}

/// What a client sees of an answer, and what an upstream would have seen of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub body: String,
    pub challenge: Option<String>,
    pub upstream: BTreeMap<&'static str, String>,
}

/// What is the same for both listeners beside the configuration.
#[derive(Default)]
pub struct Setting {
    /// What another filter has left in the request's metadata, as `FILTER: {KEY: VALUE}`.
    pub metadata: Value,
    /// Istio's `meshConfig.pathNormalization`: done by Envoy on their side, by us on ours.
    pub path_normalization: Option<&'static str>,
    /// The transport socket.
    pub tls: Option<Value>,
}

/// The clients of both listeners.
pub struct Pair {
    theirs: Client,
    ours: Client,
}

/// The client's address as its proxy tells it, and that of the proxy, to which Envoy gives no
/// address of its own as it does to 127.0.0.1.
pub const CLIENT: &str = "192.0.2.7";
pub const PEER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// What is shown of a request that goes on, and must be the same on both sides.
const SHOWN: [&str; 10] = [
    ":path",
    "authorization",
    "cookie",
    "x-token",
    "x-payload",
    "x-claim-sub",
    "x-claim-level",
    "x-claim-role",
    "x-claim-list",
    "x-claim-admin",
];

/// A port in a policy: of the listener itself.
const PORT: &str = "\"PORT\"";

/// The two listeners for a configuration: Istio's part of one, with the names of key sets.
pub fn listeners(name: &str, config: &Value, setting: &Setting, tokens: &Tokens) -> [Listener; 2] {
    let config = tokens.configuration(config.clone());
    let listener = |side: &str, normalize: Value, filters: &dyn Fn(&Value) -> Vec<Filter>| {
        let text = config.to_string();
        // A policy that names the port needs to know it before Envoy starts.
        let port = if text.contains(PORT) { free_port() } else { 0 };
        let text = text.replace(PORT, &format!("\"{port}\""));
        let config = serde_json::from_str(&text).expect("JSON with a port in it");
        let filters = set_metadata(&setting.metadata)
            .into_iter()
            .chain(filters(&config));
        let listener = Listener::new(&format!("{name}, {side}")).port(port);
        let listener = filters.fold(listener, Listener::filter);
        let manager = json!({"use_remote_address": true, "xff_num_trusted_hops": 1});
        let listener = listener.connection_manager(manager);
        let listener = listener.connection_manager(normalize).route(showing());
        match &setting.tls {
            Some(socket) => listener.transport_socket(socket.clone()),
            None => listener,
        }
    };
    let normalization = setting.path_normalization.unwrap_or("NONE");
    let theirs = native::path_normalization(normalization);
    [
        listener("theirs", theirs, &native::filters),
        // Ours does it itself.
        listener("ours", json!({}), &|config| {
            vec![ours(config, normalization)]
        }),
    ]
}

/// Another filter, which leaves `FILTER: {KEY: VALUE}` for those behind it.
fn set_metadata(metadata: &Value) -> Option<Filter> {
    let entries = metadata
        .as_object()?
        .iter()
        .map(|(filter, values)| json!({"metadata_namespace": filter, "value": values}));
    Some(Filter::Json(json!({
        "name": "envoy.filters.http.set_metadata",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.set_metadata.v3.Config",
            "metadata": entries.collect::<Vec<_>>(),
        },
    })))
}

/// Our side: as Istio judges, with Envoy's knowledge of addresses.
fn ours(config: &Value, normalization: &str) -> Filter {
    let mut config = config.clone();
    config["version"] = json!(1);
    config["pathMatching"] = json!("ISTIO");
    config["mesh"] = json!({"useRemoteAddress": true, "pathNormalization": normalization});
    Plugin::new(config).inline()
}

fn showing() -> Value {
    let shown = SHOWN.map(|name| {
        let key = format!("x-shown-{}", name.trim_start_matches(':'));
        json!({"header": {"key": key, "value": format!("%REQ({name})%")}})
    });
    json!({
        "match": {"prefix": "/"},
        "direct_response": {"status": 200, "body": {"inline_string": "through"}},
        "response_headers_to_add": shown,
    })
}

/// A port that is free now and that nobody gets by chance: the kernel gives out those above 32,768.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let mut candidates = (0..1_000).map(|_| {
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let start = u16::try_from(std::process::id() % 10_000).expect("below 10,000");
        20_000 + start + next
    });
    let free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    candidates.find(free).expect("a free port among 1,000")
}

// === impl Asked ===

impl Asked {
    pub fn new(method: &str, authority: &str, target: &str) -> Self {
        Asked {
            method: method.to_owned(),
            authority: authority.to_owned(),
            target: target.to_owned(),
            lines: Vec::new(),
            metadata: false,
            certificate: false,
        }
    }

    pub fn line(mut self, name: &str, value: &str) -> Self {
        self.lines.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The values of a header.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = self
            .lines
            .iter()
            .filter(move |(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str())
    }

    fn ask(&self, client: &Client, tokens: &Tokens) -> Answer {
        let request = client.request(&self.method, tokens.fill(&self.target));
        let request = request
            .authority(&self.authority)
            .header("x-forwarded-for", CLIENT);
        let request = self.lines.iter().fold(request, |request, (name, value)| {
            request.header(name, tokens.fill(value))
        });
        let answer = request
            .send()
            .unwrap_or_else(|error| panic!("{self:?}: {error}"));
        let shown = SHOWN.iter().filter_map(|name| {
            let value = answer.header(&format!("x-shown-{}", name.trim_start_matches(':')))?;
            Some((*name, value))
        });
        Answer {
            status: answer.status,
            body: answer.text(),
            challenge: answer.header("www-authenticate"),
            upstream: shown.collect(),
        }
    }
}

// === impl Pair ===

impl Pair {
    pub fn of(envoy: &Envoy, name: &str) -> Self {
        let client = |side: &str| envoy.client(&format!("{name}, {side}")).from(PEER);
        Pair {
            theirs: client("theirs"),
            ours: client("ours"),
        }
    }

    /// The same over TLS.
    pub fn over_tls(self, config: &Arc<rustls::ClientConfig>, server_name: &str) -> Self {
        Pair {
            theirs: self.theirs.tls(Arc::clone(config), server_name),
            ours: self.ours.tls(Arc::clone(config), server_name),
        }
    }

    /// What Envoy's filters say, and what we say.
    pub fn ask(&self, asked: &Asked, tokens: &Tokens) -> (Answer, Answer) {
        (
            asked.ask(&self.theirs, tokens),
            asked.ask(&self.ours, tokens),
        )
    }
}
