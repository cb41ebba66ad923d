//! APIRules that Kyma's own validation accepts, and requests that are likely to meet them. The same
//! seed gives the same.
//!
//! The alphabets are small, so that rules overlap and requests hit more than one of them.

use super::differences::{Difference, Differences};
use super::istio::{Authentication, Authorization, FromHeader};
use super::oathkeeper::Handler;
use super::tokens::{Kind, ONE, TWO, Token, Tokens, keys_of};
use super::{ApiRules, Cluster, JwtHandler, Request, v1beta1, v2};
use fastrand::Rng;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Draws clusters and requests.
pub struct Draw(pub Rng);

const METHODS: [&str; 4] = ["GET", "POST", "PUT", "DELETE"];
const SEGMENTS: [&str; 16] = [
    "a", "a", "a", "a", "b", "b", "b", "c", "A", "a.b", "a+b", "x%41", "{*}", "{*}", "{*}", "c",
];
const SCOPES: [&str; 6] = ["read", "read", "write", "admin", "rea*", "orders.all"];
const AUDIENCES: [&str; 3] = ["shop", "till", "*op"];
/// Of v1beta1; they are expressions.
const EXPRESSIONS: [&str; 18] = [
    "/.*", "/.*", "/.*", "/a", "/a", "/a/.*", "/a/.*", "/a.*", "/b", "/b/", "/b/a", "/a/b", "/a/b/?",
    "/(a)?", "/b(/.*)?", "/a.b", "/*", "/.*/b",
];

/// Where the tokens of an issuer are looked for.
#[derive(Clone)]
struct Locations(Vec<FromHeader>, Vec<String>);

// === impl Draw ===

impl Draw {
    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.0.usize(..words.len())]
    }

    /// One time in so many.
    fn once_in(&mut self, times: usize) -> bool {
        self.0.usize(..times) == 0
    }

    /// Some of them, at least one, in their order.
    fn some(&mut self, words: &[&str], most: usize) -> Vec<String> {
        let count = 1 + self.0.usize(..most);
        let drawn: Vec<_> = (0..count).map(|_| self.pick(words)).collect();
        let known: BTreeSet<_> = drawn.into_iter().collect();
        known.into_iter().map(str::to_owned).collect()
    }

    // === APIRules of version v2 ===

    pub fn v2(&mut self) -> Cluster {
        let count = 1 + self.0.usize(..3);
        let hosts = ["a.example.com", "*.example.com", "b.example.com"];
        let skipped = self.0.usize(..3);
        let apis = (0..count).map(|index| v2::ApiRule {
            name: format!("api-{index}"),
            version: if self.once_in(2) { "v2" } else { "v2alpha1" },
            host: hosts[(skipped + index) % 3].to_owned(),
            service: "shop".to_owned(),
            rules: self.v2_rules(),
        });
        let apis = apis.collect();
        Cluster {
            rules: ApiRules::V2(v2::Mesh::new(apis)),
        }
    }

    fn v2_rules(&mut self) -> Vec<v2::Rule> {
        let wanted = 1 + self.0.usize(..5);
        let locations = [self.locations(), self.locations()];
        let mut rules: Vec<v2::Rule> = Vec::new();
        while rules.len() < wanted {
            let mut rule = self.v2_rule(&locations);
            if self.once_in(4) && !rules.is_empty() {
                rule.path.clone_from(&rules[self.0.usize(..rules.len())].path);
            }
            // Often, the root is guarded on its own, and the last rule is for all that is left.
            if rules.is_empty() && self.once_in(4) {
                rule.path = "/".to_owned();
            } else if rules.len() + 1 == wanted && self.once_in(3) {
                rule.path = "/{**}".to_owned();
            }
            // After a rule for everything, nothing else may come.
            if self.once_in(20) && !rules.is_empty() {
                break;
            }
            if !conflicts(&rule, &rules) {
                rules.push(rule);
            }
        }
        rules
    }

    fn v2_rule(&mut self, locations: &[Locations; 2]) -> v2::Rule {
        let mut rule = v2::Rule {
            path: self.template(),
            methods: self.some(&METHODS[..3], 2),
            service: None,
            no_auth: None,
            jwt: None,
            ext_auth: None,
        };
        match self.0.usize(..9) {
            0..3 => rule.no_auth = Some(true),
            3..7 => rule.jwt = Some(self.jwt(locations)),
            _ => {
                rule.ext_auth = Some(v2::ExtAuth {
                    authorizers: self.some(&v2::AUTHORIZERS, 2),
                    restrictions: self.once_in(2).then(|| self.jwt(locations)),
                });
            }
        }
        if self.once_in(8) {
            rule.service = Some(v2::Service {
                name: "store".to_owned(),
                port: 80,
            });
        }
        rule
    }

    /// A path: literal segments, `{*}`, and `{**}` as the last operator.
    fn template(&mut self) -> String {
        if self.once_in(12) {
            return self.pick(&["/*", "/", "/{**}"]).to_owned();
        }
        let mut segments: Vec<&str> = (0..1 + self.0.usize(..3)).map(|_| self.pick(&SEGMENTS)).collect();
        if self.once_in(3) {
            segments.push("{**}");
            if self.once_in(4) {
                segments.push(self.pick(&["a", "b", "c"]));
            }
        }
        if self.once_in(10) && segments.last() != Some(&"{**}") {
            segments.push("");
        }
        format!("/{}", segments.join("/"))
    }

    /// By default, or at places of its own.
    fn locations(&mut self) -> Locations {
        let header = |name: &str, prefix: Option<&str>| FromHeader {
            name: name.to_owned(),
            prefix: prefix.map(str::to_owned),
        };
        match self.0.usize(..8) {
            0 => Locations(vec![header("x-token", None)], Vec::new()),
            1 => Locations(vec![header("x-token", Some("JWT "))], Vec::new()),
            2 => Locations(Vec::new(), vec!["token".to_owned()]),
            _ => Locations(Vec::new(), Vec::new()),
        }
    }

    fn jwt(&mut self, locations: &[Locations; 2]) -> v2::Jwt {
        let issuers = [(ONE, &locations[0]), (TWO, &locations[1])];
        let all = self.once_in(4);
        let first = self.0.usize(..2);
        let issuers = issuers.into_iter().enumerate().filter(|(index, _)| all || *index == first);
        // Several places of one kind, or places of both kinds, are refused within one rule.
        let mixed = all && (locations[0].is_own() || locations[1].is_own());
        let issuers: Vec<_> = issuers.take(if mixed { 1 } else { 2 }).collect();
        let authentications = issuers.into_iter().map(|(_, (issuer, places))| Authentication {
            issuer: issuer.to_owned(),
            jwks_uri: keys_of(issuer),
            from_headers: places.0.clone(),
            from_params: places.1.clone(),
        });
        v2::Jwt {
            authentications: authentications.collect(),
            authorizations: self.authorizations(),
        }
    }

    fn authorizations(&mut self) -> Option<Vec<Authorization>> {
        let one = |draw: &mut Self| {
            let scopes = (!draw.once_in(3)).then(|| draw.some(&SCOPES, 2));
            let audiences = draw.once_in(4).then(|| draw.some(&AUDIENCES, 2));
            Authorization {
                required_scopes: scopes.unwrap_or_default(),
                audiences: audiences.unwrap_or_default(),
            }
        };
        match self.0.usize(..4) {
            0 => None,
            1 => Some(vec![one(self), one(self)]),
            _ => Some(vec![one(self)]),
        }
    }

    // === APIRules of version v1beta1 ===

    pub fn v1beta1(&mut self, handler: JwtHandler) -> Cluster {
        let count = 1 + self.0.usize(..2);
        let apis = (0..count).map(|index| v1beta1::ApiRule {
            name: format!("api-{index}"),
            host: ["a.example.com", "b.example.com"][index].to_owned(),
            service: self.pick(&["shop", "store"]).to_owned(),
            rules: self.v1beta1_rules(handler),
        });
        let apis = apis.collect();
        Cluster {
            rules: ApiRules::V1beta1(v1beta1::Mesh::new(handler, apis)),
        }
    }

    fn v1beta1_rules(&mut self, handler: JwtHandler) -> Vec<v1beta1::Rule> {
        let wanted = 1 + self.0.usize(..4);
        let mut rules: Vec<v1beta1::Rule> = Vec::new();
        for _ in 0..wanted {
            let path = match rules.last() {
                Some(rule) if self.once_in(4) => rule.path.clone(),
                // Others have hardly any effect there.
                _ if handler == JwtHandler::Istio && self.once_in(2) => {
                    self.pick(&["/.*", "/.*", "/a", "/b", "/a/b"]).to_owned()
                }
                _ => self.pick(&EXPRESSIONS).to_owned(),
            };
            let mut methods = self.some(&METHODS[..3], 2);
            // The same path and method twice is refused.
            let same = rules.iter().filter(|rule| rule.path == path);
            let taken: BTreeSet<_> = same.flat_map(|rule| rule.methods.clone()).collect();
            methods.retain(|method| !taken.contains(method));
            if methods.is_empty() {
                continue;
            }
            rules.push(v1beta1::Rule {
                path,
                methods,
                access_strategies: self.access_strategies(handler),
            });
        }
        rules
    }

    fn access_strategies(&mut self, handler: JwtHandler) -> Vec<Handler> {
        let plain = |name: &str| Handler {
            handler: name.to_owned(),
            config: Value::Null,
        };
        let first = match self.0.usize(..12) {
            0 => plain("allow"),
            1 => plain("noop"),
            2 => plain("unauthorized"),
            3..5 => plain("no_auth"),
            5..9 => match handler {
                JwtHandler::Ory => self.oathkeeper_jwt(),
                JwtHandler::Istio => self.istio_jwt(),
            },
            _ => self.introspection(),
        };
        // Of those that may stand together; rare, since they say that one of them will do.
        if handler == JwtHandler::Ory && first.handler == "jwt" && self.once_in(12) {
            return vec![first, self.introspection()];
        }
        vec![first]
    }

    fn istio_jwt(&mut self) -> Handler {
        let default = || Locations(Vec::new(), Vec::new());
        let jwt = self.jwt(&[default(), default()]);
        let mut config = json!({"authentications": jwt.authentications});
        if let Some(authorizations) = jwt.authorizations {
            config["authorizations"] = json!(authorizations);
        }
        Handler {
            handler: "jwt".to_owned(),
            config,
        }
    }

    fn oathkeeper_jwt(&mut self) -> Handler {
        let issuer = self.pick(&[ONE, TWO]);
        let mut config = json!({"trusted_issuers": [issuer], "jwks_urls": [keys_of(issuer)]});
        self.demand(&mut config, 3);
        Handler {
            handler: "jwt".to_owned(),
            config,
        }
    }

    fn introspection(&mut self) -> Handler {
        let mut config = json!({});
        self.demand(&mut config, 2);
        if self.once_in(6) {
            config["trusted_issuers"] = json!([ONE]);
        }
        if config == json!({}) {
            config["required_scope"] = json!(["read"]);
        }
        Handler {
            handler: "oauth2_introspection".to_owned(),
            config,
        }
    }

    /// What Oathkeeper asks of a token in both forms.
    fn demand(&mut self, config: &mut Value, scoped: usize) {
        if !self.once_in(scoped) {
            config["required_scope"] = json!(self.some(&["read", "write", "orders.all"], 2));
        }
        if self.once_in(5) {
            config["target_audience"] = json!(self.some(&["shop", "till"], 2));
        }
        if self.once_in(10) {
            config["token_from"] = json!({"header": "x-token"});
        }
    }

    // === requests ===

    pub fn request(&mut self, cluster: &Cluster, tokens: &Tokens) -> Request {
        let (host, path, methods, places, fits) = self.aim(cluster, tokens);
        let method = match self.once_in(5) {
            true => self.pick(&METHODS).to_owned(),
            false => self.pick(&methods.iter().map(String::as_str).collect::<Vec<_>>()).to_owned(),
        };
        let mut request = Request {
            method,
            authority: self.authority(&host),
            path: without_dots(&self.mutated(path)),
            headers: Vec::new(),
            refused_by: BTreeSet::new(),
        };
        for name in v2::AUTHORIZERS {
            if self.once_in(3) {
                request.refused_by.insert(name.to_owned());
            }
        }
        if self.once_in(10) {
            request.path.push_str("?x=1");
        }
        if !self.once_in(5) {
            self.carry(&mut request, tokens, &fits, &places);
        }
        if self.once_in(12) {
            self.carry(&mut request, tokens, &[], &places);
        }
        request
    }

    /// A rule to hit: its host, a path for it, its methods, where its tokens go, and which would do.
    #[allow(clippy::type_complexity, reason = "taken apart at once by its only caller")]
    fn aim(
        &mut self,
        cluster: &Cluster,
        tokens: &Tokens,
    ) -> (String, String, Vec<String>, Locations, Vec<usize>) {
        let fitting = |fits: &dyn Fn(&Token) -> bool| {
            let all = tokens.list.iter().enumerate();
            all.filter(|(_, token)| fits(token)).map(|(index, _)| index).collect()
        };
        match &cluster.rules {
            ApiRules::V2(mesh) => {
                let api = &mesh.apis()[self.0.usize(..mesh.apis().len())];
                let rule = &api.rules[self.0.usize(..api.rules.len())];
                let first = rule.jwt().and_then(|jwt| jwt.authentications.first());
                let places = first.map(|it| Locations(it.from_headers.clone(), it.from_params.clone()));
                let fits = |token: &Token| match (&token.kind, rule.jwt()) {
                    (Kind::Jwt(it), Some(jwt)) => {
                        let issuer = it.signed_by.unwrap_or_default();
                        let authorizations = jwt.authorizations.as_deref().unwrap_or_default();
                        jwt.authentications.iter().any(|it| it.issuer == issuer)
                            && (authorizations.is_empty()
                                || authorizations.iter().any(|it| {
                                    it.allows(Some(jwt_of(token)), Differences::of(&Difference::ALL))
                                }))
                    }
                    _ => false,
                };
                let path = self.path_of(&rule.path);
                let places = places.unwrap_or(Locations(Vec::new(), Vec::new()));
                (api.host.clone(), path, rule.methods.clone(), places, fitting(&fits))
            }
            ApiRules::V1beta1(mesh) => {
                let api = &mesh.apis()[self.0.usize(..mesh.apis().len())];
                let rule = &api.rules[self.0.usize(..api.rules.len())];
                let handler = &rule.access_strategies[0];
                let header = handler.config.pointer("/token_from/header").is_some();
                let places = header.then(|| FromHeader {
                    name: "x-token".to_owned(),
                    prefix: None,
                });
                let fits = |token: &Token| handler.fits(rule, token, tokens);
                let path = self.path_for(&rule.path);
                let places = Locations(places.into_iter().collect(), Vec::new());
                (api.host.clone(), path, rule.methods.clone(), places, fitting(&fits))
            }
        }
    }

    /// A path for a template.
    fn path_of(&mut self, template: &str) -> String {
        if template == "/*" {
            return format!("/{}", self.segments(3));
        }
        let segments = template.split('/').map(|segment| match segment {
            "{*}" => self.pick(&["a", "b", "c", "z", "a+b", "a%20b"]).to_owned(),
            "{**}" => self.segments(3),
            literal => literal.to_owned(),
        });
        segments.collect::<Vec<_>>().join("/")
    }

    /// So many segments at most.
    fn segments(&mut self, most: usize) -> String {
        let segments = (0..self.0.usize(..=most)).map(|_| self.pick(&["a", "b", "c", "z"]));
        segments.collect::<Vec<_>>().join("/")
    }

    /// A path for an expression.
    fn path_for(&mut self, expression: &str) -> String {
        let path = match expression {
            "/*" => self.pick(&["/", "/", "/a", "//"]).to_owned(),
            "/(a)?" => self.pick(&["/", "/a"]).to_owned(),
            "/a/b/?" => self.pick(&["/a/b", "/a/b/"]).to_owned(),
            "/b(/.*)?" => format!("/b{}", self.pick(&["", "/", "/a", "/a/c"])),
            "/a.b" => self.pick(&["/a.b", "/axb"]).to_owned(),
            other => other.replace(".*", &self.segments(2)),
        };
        if path.is_empty() { "/".to_owned() } else { path }
    }

    fn authority(&mut self, host: &str) -> String {
        let label = self.pick(&["a", "b", "x", "x.a"]);
        let mut host = host.replace('*', label);
        match self.0.usize(..40) {
            0 => host.push_str(":443"),
            1 => host.push('.'),
            2 => host = host.to_uppercase(),
            3 => host = "c.example.org".to_owned(),
            _ => {}
        }
        host
    }

    fn mutated(&mut self, path: String) -> String {
        let last = path.rfind('/').unwrap_or(0);
        match self.0.usize(..50) {
            0 => format!("{path}/"),
            1 => format!("{path}/{}", self.pick(&["a", "b", "z"])),
            2 => path[..last.max(1)].to_owned(),
            3 => format!("{}/{}", &path[..last], &path[last..]),
            4 => path.to_uppercase(),
            5 => path.replacen('a', "%61", 1),
            6 => path.replacen('/', "%2f", 2).replacen("%2f", "/", 1),
            7 => format!("{path};x"),
            8 => path.replacen("/a", "/a;x=1", 1),
            9 => format!("{path}/.."),
            10 => format!("/b/..{path}"),
            11 => format!("/.{path}"),
            12 => path.replacen("%41", "A", 1),
            13 => path.replace('.', "x").replace('+', "a"),
            14 => format!("{path}%"),
            15 => format!("{path}["),
            16 => self.path_of("/{**}"),
            17 => path.trim_end_matches('/').to_owned() + self.pick(&["", "%20", "%2", "é"]),
            _ => path,
        }
    }

    /// Puts a token somewhere, mostly where the rule looks for it.
    fn carry(&mut self, request: &mut Request, tokens: &Tokens, fits: &[usize], places: &Locations) {
        let index = match fits.is_empty() || self.once_in(4) {
            true => self.0.usize(..tokens.list.len()),
            false => fits[self.0.usize(..fits.len())],
        };
        let token = &tokens.list[index].text;
        let at_default = self.once_in(8);
        let (header, parameter) = (places.0.first(), places.1.first());
        if let Some(header) = header.filter(|_| !at_default) {
            let prefix = header.prefix.as_deref().unwrap_or_default();
            let value = format!("{prefix}{token}");
            request.headers.push((header.name.clone(), value));
        } else if let Some(name) = parameter.filter(|_| !at_default) {
            request.add_parameter(name, token);
        } else if self.once_in(12) {
            request.add_parameter("access_token", token);
        } else {
            let scheme = match self.0.usize(..24) {
                0 => "bearer ",
                1 => "BEARER ",
                2 => "Basic ",
                3 => "x Bearer ",
                _ => "Bearer ",
            };
            let value = format!("{scheme}{token}");
            request.headers.push(("authorization".to_owned(), value));
        }
    }
}

/// As Envoy normalizes a path before any filter sees it.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let last = path.rsplit('/').next();
    for segment in path.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            name => kept.push(name),
        }
    }
    if matches!(last, Some("." | "..")) {
        kept.push("");
    }
    format!("/{}", kept.join("/"))
}

fn jwt_of(token: &Token) -> &super::tokens::Jwt {
    match &token.kind {
        Kind::Jwt(jwt) => jwt,
        Kind::Opaque(_) | Kind::Malformed => panic!("{} is no JWT", token.name),
    }
}

// === impl Handler ===

impl Handler {
    /// Whether a token would satisfy it.
    fn fits(&self, rule: &v1beta1::Rule, token: &Token, tokens: &Tokens) -> bool {
        let authentications = rule.authentications();
        match &token.kind {
            Kind::Jwt(jwt) if !authentications.is_empty() => {
                let authorizations = rule.authorizations();
                let granted = |it: &Authorization| it.allows(Some(jwt), Differences::of(&Difference::ALL));
                authentications.iter().any(|it| jwt.signed_by == Some(&it.issuer))
                    && (authorizations.is_empty() || authorizations.iter().any(granted))
            }
            _ => self.accepts(&token.text, tokens, Differences::of(&Difference::ALL)),
        }
    }
}

// === impl Locations ===

impl Locations {
    fn is_own(&self) -> bool {
        !self.0.is_empty() || !self.1.is_empty()
    }
}

// === impl Request ===

impl Request {
    fn add_parameter(&mut self, name: &str, value: &str) {
        let mark = if self.path.contains('?') { '&' } else { '?' };
        self.path = format!("{}{mark}{name}={value}", self.path);
    }
}

// === what Kyma refuses ===

/// Whether an earlier rule takes all that a rule is for, by one of its methods.
fn conflicts(rule: &v2::Rule, earlier: &[v2::Rule]) -> bool {
    let shares = |it: &&v2::Rule| it.methods.iter().any(|method| rule.methods.contains(method));
    earlier.iter().filter(shares).any(|it| covers(&it.path, &rule.path))
}

/// Kyma's walk through its tree of paths, for one path that is in it.
fn covers(known: &str, new: &str) -> bool {
    let segments = |path: &str| -> Vec<String> {
        let path = if path == "/*" { "/{**}" } else { path };
        path.trim_start_matches('/').split('/').map(str::to_owned).collect()
    };
    let (known, new) = (segments(known), segments(new));
    for (index, segment) in known.iter().enumerate() {
        if segment == "{**}" {
            let suffix = &known[index + 1..];
            return new.len() >= index && (suffix.is_empty() || new[index..].ends_with(suffix));
        }
        let fits = new.get(index).is_some_and(|it| it == segment || segment == "{*}" && it != "{**}");
        if !fits {
            return false;
        }
    }
    known.len() == new.len()
}

#[cfg(test)]
mod tests {
    use super::covers;

    /// The examples of Kyma's documentation on the order of paths.
    #[test]
    fn a_specific_path_may_come_before_a_general_one_but_not_behind_it() {
        for (known, new, expected) in [
            ("/anything/one", "/anything/{**}", false),
            ("/anything/{**}", "/anything/one", true),
            ("/anything/{*}/one", "/anything/{**}", false),
            ("/anything/{**}", "/anything/{*}/one", true),
            ("/anything/{*}", "/anything/one", true),
            ("/anything/one", "/anything/{*}", false),
            ("/anything/{*}", "/anything/one/two", false),
            ("/{**}/one", "/a/b/one", true),
            ("/{**}/one", "/a/b/two", false),
            ("/*", "/a", true),
            ("/a", "/*", false),
            ("/a", "/a", true),
            ("/a", "/a/", false),
        ] {
            assert_eq!(covers(known, new), expected, "{known} before {new}");
        }
    }
}
