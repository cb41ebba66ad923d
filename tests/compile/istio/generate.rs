//! Small meshes, and requests that are likely to meet their rules. The same seed gives the same.
//!
//! The alphabets are small, so that policies and routes overlap. What cannot be carried over at all
//! is rare, so that most meshes compile.

use super::model::{Request, without_dots};
use super::tokens::{ONE, TWO, Tokens};
use super::world::{
    Action, AuthorizationPolicy, Deployment, Fields, Gateway, Http, JwtRule, Labels, Match, Meta,
    ROOT, RequestAuthentication, Rewrite, Rule, Server, Service, Uri, VirtualService, When, World,
};
use fastrand::Rng;
use std::collections::BTreeSet;

/// Draws meshes and requests.
pub struct Draw(pub Rng);

const HOSTS: [&str; 8] = [
    "a.example.com",
    "a.example.com",
    "b.example.com",
    "b.example.com",
    "*.example.com",
    "*.a.example.com",
    "*",
    "c.example.org",
];
const PATHS: [&str; 8] = ["/", "/a", "/a/", "/a/b", "/b", "/ab", "/b/a", "/c"];
const SERVICES: [(&str, &str); 4] = [
    ("web", "shop"),
    ("api", "shop"),
    ("web", "pay"),
    ("status", ROOT),
];
const AUTHORIZERS: [&str; 2] = ["authz-one", "authz-two"];

// === impl Draw ===

impl Draw {
    fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.0.usize(..items.len())]
    }

    /// One time in so many.
    fn once_in(&mut self, times: usize) -> bool {
        self.0.usize(..times) == 0
    }

    /// Up to so many of some items, at least one, each once.
    fn some(&mut self, items: &[&str], most: usize) -> Vec<String> {
        let count = 1 + self.0.usize(..most);
        let drawn: BTreeSet<_> = (0..count).map(|_| self.pick(items)).collect();
        drawn.into_iter().map(str::to_owned).collect()
    }

    // === meshes ===

    pub fn world(&mut self) -> World {
        let gateway_namespace = if self.once_in(3) { "ingress" } else { ROOT };
        let mut world = World {
            gateway_namespace,
            ..World::default()
        };
        for (name, namespace) in SERVICES {
            self.workload(&mut world, name, namespace);
        }
        self.gateways(&mut world);
        let services = 1 + self.0.usize(..4);
        for index in 0..services {
            let service = self.virtual_service(&world, index);
            world.virtual_services.push(service);
        }
        if self.once_in(12) {
            self.delegate(&mut world);
        }
        if self.once_in(6) {
            world.providers = AUTHORIZERS.into();
        }
        self.authentications(&mut world);
        for index in 0..self.0.usize(..4) {
            let policy = self.policy(&world, index);
            world.policies.push(policy);
        }
        world
    }

    fn workload(&mut self, world: &mut World, name: &'static str, namespace: &'static str) {
        let meta = Meta {
            namespace,
            name: name.to_owned(),
            created: None,
        };
        let mut selector = Labels::from([("app", name)]);
        if self.once_in(12) {
            selector.insert("version", "v1");
        }
        for version in ["v1", "v2"] {
            if version == "v1" || self.once_in(8) {
                let labels = Labels::from([("app", name), ("version", version)]);
                let meta = Meta {
                    name: format!("{name}-{version}"),
                    ..meta.clone()
                };
                world.deployments.push(Deployment { meta, labels });
            }
        }
        world.services.push(Service { meta, selector });
    }

    fn gateways(&mut self, world: &mut World) {
        let count = if self.once_in(4) { 2 } else { 1 };
        for index in 0..count {
            let hosts: &[&[&str]] = match index {
                0 => &[
                    &["*"],
                    &["*"],
                    &["*.example.com"],
                    &["*.example.com", "c.example.org"],
                    &["shop/*", "*/*.example.com"],
                ],
                _ => &[&["*.example.com"], &["b.example.com"], &["./*"]],
            };
            let hosts: Vec<_> = self.pick(hosts).iter().map(|it| (*it).to_owned()).collect();
            let mut servers = Vec::new();
            if index == 0 || self.once_in(2) {
                let redirects = self.once_in(6);
                servers.push(Server {
                    port: 80,
                    hosts: hosts.clone(),
                    redirects,
                });
            }
            if self.once_in(3) || servers.is_empty() {
                servers.push(Server {
                    port: 443,
                    hosts,
                    redirects: false,
                });
            }
            let namespace = world.gateway_namespace;
            let created = Some(self.0.u32(..60));
            let meta = Meta {
                namespace,
                name: format!("gateway-{index}"),
                created,
            };
            let ours = index == 0 || !self.once_in(3);
            world.gateways.push(Gateway {
                meta,
                ours,
                servers,
            });
        }
    }

    fn virtual_service(&mut self, world: &World, index: usize) -> VirtualService {
        let namespace = self.pick(&["shop", "shop", "pay"]);
        let created = (!self.once_in(4)).then(|| self.0.u32(..60));
        let meta = Meta {
            namespace,
            name: format!("routes-{index}"),
            created,
        };
        let mut gateways: Vec<_> = world.gateways.iter().map(reference).collect();
        if gateways.len() > 1 && self.once_in(2) {
            let kept = self.0.usize(..2);
            gateways = vec![gateways[kept].clone()];
        }
        let most = if self.once_in(4) { 2 } else { 1 };
        let hosts = self.some(&HOSTS, most);
        let mut http = Vec::new();
        let simple = self.once_in(3);
        for _ in 0..if simple { 0 } else { self.0.usize(..3) } {
            let matches = self.matches(world);
            http.push(self.http(matches));
        }
        if !self.once_in(6) || http.is_empty() {
            let matches = match self.once_in(3) {
                true => vec![Match {
                    uri: Some(Uri::Prefix("/".to_owned())),
                    ..Match::default()
                }],
                false => Vec::new(),
            };
            http.push(self.http(matches));
        }
        if self.once_in(10) {
            let matches = self.matches(world);
            http.push(self.http(matches));
        }
        VirtualService {
            meta,
            hosts,
            gateways,
            http,
            private: self.once_in(20),
        }
    }

    fn matches(&mut self, world: &World) -> Vec<Match> {
        let count = if self.once_in(5) { 2 } else { 1 };
        let mut matches = Vec::new();
        for _ in 0..count {
            let path = self.pick(&PATHS).to_owned();
            let uri = if self.once_in(3) {
                Uri::Exact(path)
            } else {
                Uri::Prefix(path)
            };
            let mut found = Match {
                uri: Some(uri),
                ..Match::default()
            };
            match self.0.usize(..24) {
                0 => found.method = Some(self.pick(&["GET", "POST"])),
                1 => found.header = Some(("x-version", "v1")),
                2 => found.port = Some(self.pick(&[80, 443])),
                3 => {
                    let index = self.0.usize(..world.gateways.len());
                    found.gateways = vec![reference(&world.gateways[index])];
                }
                4 => found.uri = None,
                _ => {}
            }
            matches.push(found);
        }
        matches
    }

    fn http(&mut self, matches: Vec<Match>) -> Http {
        let mut http = Http {
            matches,
            ..Http::default()
        };
        if self.once_in(10) {
            http.redirects = true;
            return http;
        }
        let count = if self.once_in(25) { 2 } else { 1 };
        for _ in 0..count {
            let (name, namespace) = self.pick(&SERVICES);
            http.destinations
                .push(format!("{name}.{namespace}.svc.cluster.local"));
        }
        if self.once_in(5) {
            let uri = (!self.once_in(6))
                .then(|| self.pick(&["/", "/", "/a", "/c", "/a/", "/v1/"]).to_owned());
            let authority = self.once_in(6).then_some("inner.example.com");
            if uri.is_some() || authority.is_some() {
                http.rewrite = Some(Rewrite { uri, authority });
            }
        }
        if self.once_in(12) {
            let set = [
                ("x-group", "admin"),
                ("x-role", "admin"),
                ("host", "inner.example.com"),
                ("authorization", "none"),
            ];
            http.set.push(self.pick(&set));
        }
        if self.once_in(20) {
            http.remove
                .push(self.pick(&["authorization", "x-jwt", "x-group"]));
        }
        http
    }

    /// Lets a route delegate to a VirtualService without hosts.
    fn delegate(&mut self, world: &mut World) {
        let mut inner = self.virtual_service(world, 9);
        (inner.hosts, inner.gateways) = (Vec::new(), Vec::new());
        let place = (inner.meta.namespace, inner.meta.name.clone());
        let http = &mut world.virtual_services[0].http[0];
        *http = Http {
            matches: http.matches.clone(),
            delegate: Some(place),
            ..Http::default()
        };
        world.virtual_services.push(inner);
    }

    /// Where a policy is, and what it selects.
    fn attached(&mut self, world: &World) -> (&'static str, Labels) {
        match self.0.usize(..12) {
            0..2 => (ROOT, Labels::new()),
            2..5 => (
                world.gateway_namespace,
                Labels::from([("istio", "ingressgateway")]),
            ),
            5 => (world.gateway_namespace, Labels::new()),
            6..8 => (self.pick(&["shop", "pay"]), Labels::new()),
            8 if self.once_in(2) => (ROOT, Labels::from([("app", "web")])),
            9 if self.once_in(3) => ("shop", Labels::from([("app", "web"), ("version", "v1")])),
            _ => {
                let (name, namespace) = self.pick(&SERVICES[..3]);
                (namespace, Labels::from([("app", name)]))
            }
        }
    }

    fn authentications(&mut self, world: &mut World) {
        let rules = self.jwt_rules();
        for index in 0..self.0.usize(..3) {
            let (namespace, selector) = self.attached(world);
            let meta = Meta {
                namespace,
                name: format!("tokens-{index}"),
                created: None,
            };
            let rules = if self.once_in(5) {
                self.jwt_rules()
            } else {
                rules.clone()
            };
            world.authentications.push(RequestAuthentication {
                meta,
                selector,
                rules,
            });
        }
    }

    fn jwt_rules(&mut self) -> Vec<JwtRule> {
        let mut rules = Vec::new();
        let forward = !self.once_in(3);
        for issuer in [ONE, TWO] {
            if issuer == ONE || self.once_in(3) {
                rules.push(JwtRule {
                    issuer,
                    audience: self.once_in(6).then_some("shop"),
                    from_header: self.once_in(6).then_some("x-jwt"),
                    forward: forward ^ self.once_in(10),
                    output: self.once_in(6).then_some(("x-group", "group")),
                });
            }
        }
        rules
    }

    fn policy(&mut self, world: &World, index: usize) -> AuthorizationPolicy {
        let (namespace, selector) = self.attached(world);
        let meta = Meta {
            namespace,
            name: format!("policy-{index}"),
            created: None,
        };
        let action = match self.0.usize(..10) {
            0..6 => Action::Allow,
            6 if !world.providers.is_empty() => Action::Custom(self.pick(&AUTHORIZERS)),
            _ => Action::Deny,
        };
        let least = usize::from(action != Action::Allow || !self.once_in(10));
        let count = least + if self.once_in(3) { least } else { 0 };
        let rules = (0..count).map(|_| self.rule(world, action)).collect();
        AuthorizationPolicy {
            meta,
            selector,
            action,
            rules,
        }
    }

    fn rule(&mut self, world: &World, action: Action) -> Rule {
        let mut rule = Rule::default();
        let custom = matches!(action, Action::Custom(_));
        let allow = action == Action::Allow;
        if allow && self.once_in(6) {
            return rule;
        }
        if !custom && self.once_in(2) {
            for _ in 0..=usize::from(self.once_in(5)) {
                rule.from.push(self.source(world, allow));
            }
        }
        if self.once_in(2) || (rule.from.is_empty() && !custom) {
            for _ in 0..=usize::from(self.once_in(4)) {
                rule.to.push(self.operation());
            }
        }
        if self.once_in(5) || (rule.from.is_empty() && rule.to.is_empty()) {
            rule.when.push(self.when(custom));
        }
        rule
    }

    fn source(&mut self, world: &World, allow: bool) -> Fields {
        let mut fields = Fields::new();
        let negative = self.once_in(if allow { 6 } else { 2 });
        if self.once_in(8) {
            let gateway = format!(
                "cluster.local/ns/{}/sa/istio-ingressgateway-service-account",
                self.pick(&[world.gateway_namespace, world.gateway_namespace, "pay"])
            );
            let field = if negative {
                "notPrincipals"
            } else {
                "principals"
            };
            fields.insert(field, vec![gateway]);
            if self.once_in(2) {
                return fields;
            }
        }
        if self.once_in(30) {
            let field = if negative {
                "notNamespaces"
            } else {
                "namespaces"
            };
            fields.insert(field, self.some(&[world.gateway_namespace, "pay"], 2));
        }
        let one = format!("{ONE}/*");
        let ada = format!("{ONE}/ada");
        let two = format!("{TWO}/*");
        let field = if negative {
            "notRequestPrincipals"
        } else {
            "requestPrincipals"
        };
        fields.insert(field, self.some(&["*", &one, &one, &ada, &two, "*/bob"], 2));
        fields
    }

    fn operation(&mut self) -> Fields {
        let mut fields = Fields::new();
        let negative = self.once_in(4);
        match self.0.usize(..8) {
            0 => {
                let field = if negative { "notHosts" } else { "hosts" };
                let hosts = [
                    "a.example.com",
                    "b.example.com",
                    "*.example.com",
                    "a.example.com:*",
                    "inner.example.com",
                ];
                fields.insert(field, self.some(&hosts, 2));
            }
            1..3 => {
                let field = if negative { "notMethods" } else { "methods" };
                fields.insert(field, self.some(&["GET", "POST", "OPTIONS"], 2));
            }
            3 if self.once_in(4) => {
                fields.insert("ports", self.some(&["8080", "8443", "8000"], 1));
            }
            _ => {}
        }
        if fields.is_empty() || self.once_in(3) {
            let field = if self.once_in(5) { "notPaths" } else { "paths" };
            let mut paths = self.some(
                &[
                    "/", "/*", "/a", "/a*", "/a/*", "/b*", "/ab", "/c", "/v1/*", "/a/b", "*",
                ],
                2,
            );
            if self.once_in(8) {
                paths = self.some(&["/a/{*}", "/{*}/b", "/a/{**}", "*/b"], 1);
            }
            fields.insert(field, paths);
        }
        fields
    }

    fn when(&mut self, custom: bool) -> When {
        let (key, values): (&str, &[&str]) = match self.0.usize(if custom { 4 } else { 0 }..8) {
            0..2 => ("request.auth.claims[group]", &["admin", "user", "*"]),
            2 => ("request.auth.audiences", &["shop", "till"]),
            3 => (
                "request.auth.principal",
                &["https://one.example.org/ada", "*"],
            ),
            4..6 => ("request.headers[x-group]", &["admin", "user", "*"]),
            6 => ("request.headers[x-role]", &["admin", "guest", "*"]),
            _ => ("request.headers[x-version]", &["v1", "*"]),
        };
        let values = self.some(values, 2);
        let (values, not_values) = if self.once_in(4) {
            (Vec::new(), values)
        } else {
            (values, Vec::new())
        };
        When {
            key: key.to_owned(),
            values,
            not_values,
        }
    }

    // === requests ===

    pub fn request(&mut self, world: &World, tokens: &Tokens) -> Request {
        let services = &world.virtual_services;
        let service = services[self.0.usize(..services.len())].clone();
        let host = match service.hosts.is_empty() {
            true => "a.example.com".to_owned(),
            false => service.hosts[self.0.usize(..service.hosts.len())].clone(),
        };
        let authority = self.authority(&host);
        let path = self.path(&service, world);
        let port = if self.once_in(3) { 443 } else { 80 };
        let sni = authority
            .split(':')
            .next()
            .unwrap_or_default()
            .trim_end_matches('.')
            .to_lowercase();
        let mut request = Request {
            port,
            sni: if self.once_in(10) {
                self.authority("*.example.com")
            } else {
                sni
            },
            method: self
                .pick(&["GET", "GET", "GET", "POST", "PUT", "OPTIONS"])
                .to_owned(),
            authority,
            path: without_dots(&path),
            headers: Vec::new(),
            refused_by: BTreeSet::new(),
        };
        for name in AUTHORIZERS {
            if self.once_in(3) {
                request.refused_by.insert(name);
            }
        }
        for (name, values) in [
            ("x-group", &["admin", "user"][..]),
            ("x-role", &["admin", "guest"]),
            ("x-version", &["v1", "v2"]),
            ("origin", &["https://a.example.com"]),
            ("access-control-request-method", &["GET"]),
        ] {
            if self.once_in(4) {
                request
                    .headers
                    .push((name.to_owned(), self.pick(values).to_owned()));
            }
        }
        if !self.once_in(4) {
            self.carry(world, &mut request, tokens);
        }
        if self.once_in(15) {
            self.carry(world, &mut request, tokens);
        }
        request
    }

    fn authority(&mut self, host: &str) -> String {
        let label = self.pick(&["a", "b", "x", "x.a"]);
        let mut host = match host {
            "*" => self
                .pick(&[
                    "a.example.com",
                    "x.example.com",
                    "c.example.org",
                    "d.example.net",
                ])
                .to_owned(),
            host => host.replace('*', label),
        };
        match self.0.usize(..30) {
            0 => host.push_str(":443"),
            1 => host.push('.'),
            4 if HOSTS.contains(&host.as_str()) => host.push_str(".:443"),
            2 => host = host.to_uppercase(),
            3 => host = "a.example.com".to_owned(),
            _ => {}
        }
        host
    }

    fn path(&mut self, service: &VirtualService, world: &World) -> String {
        let uris = service
            .http
            .iter()
            .flat_map(|it| &it.matches)
            .filter_map(|it| it.uri.as_ref());
        let mut heads: Vec<_> = uris
            .map(|it| match it {
                Uri::Exact(path) | Uri::Prefix(path) => path.clone(),
            })
            .collect();
        heads.extend(PATHS.map(str::to_owned));
        // What policies name, before and behind a rewrite.
        let operations = world
            .policies
            .iter()
            .flat_map(|it| &it.rules)
            .flat_map(|it| &it.to);
        let named = operations.flat_map(|it| it.get("paths").or(it.get("notPaths")));
        let named: Vec<_> = named
            .flatten()
            .map(|it| it.replace(['*', '{', '}'], ""))
            .collect();
        heads.extend(named.iter().filter(|it| it.starts_with('/')).cloned());
        let head = heads[self.0.usize(..heads.len())].clone();
        let tail = self.pick(&[
            "", "", "", "/", "a", "/a", "/b", "b", "/a/b", "../a", "/../a", "//a", "?x=1", "%2fa",
            ";x", ".",
        ]);
        let mut path = format!("{head}{tail}");
        if self.once_in(4) && !named.is_empty() {
            path = format!("{head}{}", named[self.0.usize(..named.len())]);
        }
        path
    }

    /// Puts a token where rules look for it.
    fn carry(&mut self, world: &World, request: &mut Request, tokens: &Tokens) {
        let index = if self.once_in(3) {
            self.0.usize(..tokens.0.len())
        } else {
            self.0.usize(..3)
        };
        let token = &tokens.0[index].text;
        // A copy of a token counts as one token in ours; whoever sends it can as well leave it out.
        let lines = request.headers.iter().map(|(_, value)| value.as_str());
        if lines
            .chain([request.path.as_str()])
            .any(|it| it.contains(token))
        {
            return;
        }
        let places = world.authentications.iter().flat_map(|it| &it.rules);
        let places: Vec<_> = places.map(|it| it.from_header).collect();
        let place = if places.is_empty() {
            None
        } else {
            self.pick(&places)
        };
        match (place, self.0.usize(..12)) {
            (_, 0) if !request.path.contains('?') => {
                request.path = format!("{}?access_token={token}", request.path);
            }
            (Some(name), 1..) => request.headers.push((name.to_owned(), token.clone())),
            _ => request
                .headers
                .push(("authorization".to_owned(), format!("Bearer {token}"))),
        }
    }
}

fn reference(gateway: &Gateway) -> String {
    format!("{}/{}", gateway.meta.namespace, gateway.meta.name)
}
