//! The configuration while it grows, and where each part of it came from.
//!
//! Every source language adds to it. [`Draft::check`] reads the whole with [`crate::config`], as the
//! plugin will, so that nothing is handed out that the plugin would refuse.

use super::Context;
use super::resource::Reading;
use super::written::{
    ApiRules, AuthorizationPolicy, Config, ExtensionProvider, IntrospectionProvider, JwtRule,
};
use crate::cli::report::{Note, Place, Severity};
use crate::cli::yaml::Node;
use crate::config;
use serde::Serialize;

/// The configuration so far.
pub struct Draft {
    /// What was written.
    pub config: Config,
    /// What the gateway must be able to reach, each once.
    pub endpoints: Vec<Endpoint>,
    /// Hosts that the gateway serves without anything to judge: open, as they were.
    pub open_hosts: Vec<String>,
    /// Wildcard hosts that the gateway admits, and by which Gateway.
    pub wildcards: Vec<(String, String)>,
    origins: Vec<Origin>,
}

/// A server that the plugin calls.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// Its name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether it is called by `https`.
    pub tls: bool,
}

/// Where a part of the configuration came from.
struct Origin {
    /// Its JSON path, such as `$.jwtRules[0]`.
    path: String,
    place: Place,
    subject: String,
}

// === impl Draft ===

impl Draft {
    /// A configuration that says nothing yet.
    pub fn new() -> Self {
        Self {
            config: Config {
                version: 1,
                ..Config::default()
            },
            endpoints: Vec::new(),
            open_hosts: Vec::new(),
            wildcards: Vec::new(),
            origins: Vec::new(),
        }
    }

    /// Adds a JWT rule that was made from `node`.
    pub fn add_jwt_rule(&mut self, rule: JwtRule, reading: Reading<'_>, node: &Node) {
        let index = self.config.jwt_rules.len();
        self.came_from(format!("$.jwtRules[{index}]"), reading, node);
        self.config.jwt_rules.push(rule);
    }

    /// Adds an entry of API rules that was made from `node`; its index.
    pub fn add_api_rules(&mut self, entry: ApiRules, reading: Reading<'_>, node: &Node) -> usize {
        let index = self.config.api_rules.len();
        self.came_from(format!("$.apiRules[{index}]"), reading, node);
        self.config.api_rules.push(entry);
        index
    }

    /// Adds a policy that was made from `node`.
    pub fn add_policy(&mut self, policy: AuthorizationPolicy, reading: Reading<'_>, node: &Node) {
        let index = self.config.authorization_policies.len();
        let path = format!("$.authorizationPolicies[{index}]");
        self.came_from(path, reading, node);
        self.config.authorization_policies.push(policy);
    }

    /// Adds an authorizer, unless it is there.
    pub fn add_extension_provider(
        &mut self,
        provider: ExtensionProvider,
        reading: Reading<'_>,
        node: &Node,
    ) {
        let index = self.config.extension_providers.len();
        if self.config.extension_providers.contains(&provider) {
            return;
        }
        self.came_from(format!("$.extensionProviders[{index}]"), reading, node);
        self.config.extension_providers.push(provider);
    }

    /// Adds a provider, or finds an equal one; the name by which rules refer to it. Names that are
    /// taken get a number.
    pub fn add_introspection_provider(
        &mut self,
        mut provider: IntrospectionProvider,
        reading: Reading<'_>,
        node: &Node,
    ) -> String {
        let wanted = provider.name.clone();
        let providers = &self.config.introspection_providers;
        for number in 1_usize.. {
            provider.name = match number {
                1 => wanted.clone(),
                _ => format!("{wanted}-{number}"),
            };
            match providers.iter().find(|it| it.name == provider.name) {
                Some(known) if *known == provider => return provider.name,
                Some(_) => {}
                None => break,
            }
        }
        let path = format!("$.introspectionProviders[{}]", providers.len());
        self.came_from(path, reading, node);
        let name = provider.name.clone();
        self.config.introspection_providers.push(provider);
        name
    }

    /// Has a header tell the upstream of the client certificate.
    pub fn tell_certificate(&mut self, name: &str, value: &str, reading: Reading<'_>, node: &Node) {
        let section = self.config.client_certificate.get_or_insert_default();
        let same = |(known, _): &&(String, String)| known.eq_ignore_ascii_case(name);
        match section.headers.0.iter().find(same) {
            Some((_, known)) if known == value => {}
            Some((known, other)) => reading.error(
                node,
                format!(
                    "`{known}` is `{other}` elsewhere; one header tells one thing at a gateway"
                ),
                "give the two headers names of their own",
            ),
            None => {
                section.headers.0.push((name.to_owned(), value.to_owned()));
                let path = format!("$.clientCertificate.headers.{name}");
                self.came_from(path, reading, node);
            }
        }
    }

    /// Notes where a part of the configuration came from, so that a fault in it can be shown there.
    pub fn came_from(&mut self, path: String, reading: Reading<'_>, node: &Node) {
        let resource = reading.resource;
        let within = resource.root.path_to(node).unwrap_or_default();
        self.origins.push(Origin {
            place: Place {
                source: resource.source,
                span: resource.root.place(&within),
            },
            subject: match within.is_empty() {
                true => resource.title(),
                false => format!("{}, {within}", resource.title()),
            },
            path,
        });
    }

    /// The gateway must reach what a URL names. What is no URL is left to the check of the whole.
    pub fn reach_url(&mut self, url: &str) {
        let Ok(uri) = url.parse::<http::Uri>() else {
            return;
        };
        let (Some(host), Some(scheme)) = (uri.host(), uri.scheme_str()) else {
            return;
        };
        let tls = scheme == "https";
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        self.reach(host, port, tls);
    }

    /// The gateway must reach a server.
    pub fn reach(&mut self, host: &str, port: u16, tls: bool) {
        let endpoint = Endpoint {
            host: host.to_lowercase(),
            port,
            tls,
        };
        if !self.endpoints.contains(&endpoint) {
            self.endpoints.push(endpoint);
        }
    }

    /// Notes the servers that Istio makes no cluster of: the gateway cannot call them.
    fn check_endpoints(&self, context: &Context<'_>) {
        for Endpoint { host, port, .. } in self.endpoints.iter().filter(|it| !it.has_name()) {
            context.notes.push(Note {
                severity: Severity::Warning,
                message: format!("`{host}` is no host name, and Istio knows no other servers"),
                place: None,
                subject: format!("the call of {host}:{port}"),
                help: Some(
                    "give the server a name, and put that in its URL; a ServiceEntry can have \
                     the address as its endpoint"
                        .to_owned(),
                ),
            });
        }
    }

    /// Reads the whole as the plugin will; what it would refuse or warn of is noted at its origin.
    pub fn check(&self, context: &Context<'_>) {
        self.check_endpoints(context);
        let text = json(&self.config);
        match config::Config::read(text.as_bytes()) {
            Ok(config) => {
                for warning in &config.warnings {
                    self.tell(Severity::Warning, warning, context);
                }
            }
            Err(faults) => {
                for fault in &faults {
                    self.tell(Severity::Error, fault, context);
                }
            }
        }
    }

    fn tell(&self, severity: Severity, fault: &config::Fault, context: &Context<'_>) {
        let within = |origin: &&Origin| {
            let rest = fault.path.strip_prefix(origin.path.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        let origin = self.origins.iter().filter(within);
        let origin = origin.max_by_key(|origin| origin.path.len());
        context.notes.push(Note {
            severity,
            message: fault.message.clone(),
            place: origin.map(|it| it.place.clone()),
            subject: origin.map_or_else(|| fault.path.clone(), |it| it.subject.clone()),
            help: origin.map(|_| format!("this is about `{}` of the result", fault.path)),
        });
    }
}

// === impl Endpoint ===

impl Endpoint {
    /// Whether Istio takes it as a host of a ServiceEntry: an address it does not.
    pub fn has_name(&self) -> bool {
        let is_label = |label: &str| {
            let inner = |it: u8| it.is_ascii_alphanumeric() || it == b'-';
            (1..=63).contains(&label.len())
                && label.bytes().all(inner)
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let host = self.host.strip_suffix('.').unwrap_or(&self.host);
        let last = host.rsplit('.').next().unwrap_or_default();
        host.len() <= 255
            && host.split('.').all(is_label)
            && !last.bytes().all(|it| it.is_ascii_digit())
    }
}

/// The JSON text of something that has one.
pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::Endpoint;

    /// As `istioctl validate` has them.
    #[test]
    fn names_that_istio_takes() {
        for (host, expected) in [
            ("idp.example.com", true),
            ("idp.example.com.", true),
            ("localhost", true),
            ("xn--bcher-kva.example", true),
            ("1.2.3.example", true),
            ("10.0.0.1", false),
            ("[::1]", false),
            ("idp.1", false),
            ("idp_1.example.com", false),
            ("-idp.example.com", false),
            ("idp..com", false),
        ] {
            let endpoint = Endpoint {
                host: host.to_owned(),
                port: 443,
                tls: true,
            };
            assert_eq!(endpoint.has_name(), expected, "{host}");
        }
    }
}
