//! The outside tools: where they are, and what a test does when one is missing.
//!
//! A test without its tool is skipped with one line on standard error, which the test runner does
//! not capture; with `REQUIRE=all` in the environment it fails instead. `LONG=1` adds long tests.
//! Nothing is installed or built here: that is what `make setup` and `make build` are for.

use std::{
    env, fmt,
    io::{self, Write as _},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
};

use super::environment;

/// An Envoy that Portcullis supports; `ENVOY=/path/to/envoy` in the environment replaces any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    V1_40,
    V1_36,
}

/// Something outside that a test may need.
#[derive(Clone, Copy, Debug)]
pub enum Tool {
    Envoy(Version),
    Httpbin,
    /// kubectl, which has kustomize in it.
    Kubectl,
    /// The module itself, `dist/plugin.wasm`.
    Plugin,
    /// A program that was built from somebody else's sources, in `.tools`.
    Peer(&'static str),
    /// A program that the machine brings along.
    Program(&'static str),
    /// An address of this machine beside 127.0.0.1, which Envoy treats unlike any other.
    Address(Ipv4Addr),
}

/// Istio's control plane, its command line, and what its agent fetches modules with.
pub const PILOT_DISCOVERY: Tool = Tool::Peer("istio-1.31/pilot-discovery");
pub const ISTIOCTL: Tool = Tool::Peer("istio-1.31/istioctl");
pub const FETCH_IMAGE: Tool = Tool::Peer("istio-1.31/fetch-image");

/// The authorizer of tutorial 4.
pub const OAUTH2_PROXY: Tool = Tool::Peer("oauth2-proxy-7.15.6/oauth2-proxy");

/// The authorization server of tutorial 5.
pub const HYDRA: Tool = Tool::Peer("hydra-2.3.0/hydra");

/// Whether all tools are there; if not, says so, or panics under `REQUIRE=all`.
pub fn met(test: &str, tools: &[Tool]) -> bool {
    let Some(missing) = tools.iter().find(|tool| !tool.is_there()) else {
        return true;
    };
    let line = format!("skipped: {test}: needs {missing}");
    assert!(env::var("REQUIRE").as_deref() != Ok("all"), "{line}");
    // Not `eprintln!`, whose text the test runner keeps back when a test passes.
    let _ = writeln!(io::stderr(), "{line}");
    false
}

/// Whether long tests shall run: `LONG=1`.
pub fn long() -> bool {
    environment::is_on("LONG")
}

// === impl Version ===

impl Version {
    pub const ALL: [Version; 2] = [Version::V1_40, Version::V1_36];

    /// Reads `1.40` or `1.36`.
    pub fn parse(text: &str) -> Option<Self> {
        Version::ALL
            .into_iter()
            .find(|version| version.to_string() == text)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Version::V1_40 => "1.40",
            Version::V1_36 => "1.36",
        })
    }
}

// === impl Tool ===

impl Tool {
    pub fn is_there(&self) -> bool {
        match self {
            Tool::Address(address) => TcpListener::bind((*address, 0)).is_ok(),
            tool => tool.path().exists(),
        }
    }

    /// Where it is, or would be.
    pub fn path(&self) -> PathBuf {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        match self {
            Tool::Envoy(version) => match env::var_os("ENVOY") {
                Some(path) => path.into(),
                None => here.join(format!(".tools/envoy-{version}/bin/envoy")),
            },
            Tool::Httpbin => here.join(".tools/httpbin/bin/waitress-serve"),
            Tool::Kubectl => here.join(".tools/kubectl/bin/kubectl"),
            Tool::Plugin => here.join("dist/plugin.wasm"),
            Tool::Peer(program) => here.join(".tools").join(program),
            Tool::Program(name) => {
                let path = env::var_os("PATH").unwrap_or_default();
                let mut places = env::split_paths(&path).map(|folder| folder.join(name));
                places.find(|place| place.exists()).unwrap_or_default()
            }
            Tool::Address(_) => PathBuf::new(),
        }
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Tool::Envoy(version) => write!(f, "Envoy {version} (make setup)"),
            Tool::Httpbin => f.write_str("httpbin (make setup)"),
            Tool::Kubectl => f.write_str("kubectl (make setup)"),
            Tool::Plugin => f.write_str("dist/plugin.wasm (make build)"),
            Tool::Peer(program) => write!(f, "{program} (make test-peers)"),
            Tool::Program(name) => f.write_str(name),
            Tool::Address(address) => write!(f, "the address {address}"),
        }
    }
}
