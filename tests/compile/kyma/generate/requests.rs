//! Requests that are likely to meet the rules of a cluster.

use super::super::differences::{Difference, Differences};
use super::super::istio::{Authentication, Authorization, FromHeader};
use super::super::tokens::{Jwt, Kind, Token, Tokens};
use super::super::v2::AUTHORIZERS;
use super::super::{ApiRules, Cluster, Request, v1beta1, v2};
use super::{Draw, Locations, METHODS};
use std::collections::BTreeSet;

/// A rule that a request is to hit.
struct Aim<'c> {
    host: &'c str,
    /// A path for it.
    path: String,
    methods: &'c [String],
    /// Where its tokens go.
    places: Locations,
    /// Which tokens would do, by index.
    fitting: Vec<usize>,
}

// === impl Draw ===

impl Draw {
    pub fn request(&mut self, cluster: &Cluster, tokens: &Tokens) -> Request {
        let aim = match &cluster.rules {
            ApiRules::V2(mesh) => self.aim_at_v2(mesh.apis(), tokens),
            ApiRules::V1beta1(mesh) => self.aim_at_v1beta1(mesh.apis(), tokens),
        };
        let method = match self.once_in(5) {
            true => self.pick(&METHODS).to_owned(),
            false => aim.methods[self.0.usize(..aim.methods.len())].clone(),
        };
        let mut request = Request {
            method,
            authority: self.authority(aim.host),
            path: without_dots(&self.mutated(aim.path)),
            headers: Vec::new(),
            refused_by: BTreeSet::new(),
        };
        for name in AUTHORIZERS {
            if self.once_in(3) {
                request.refused_by.insert(name.to_owned());
            }
        }
        if self.once_in(10) {
            request.path.push_str("?x=1");
        }
        if !self.once_in(5) {
            self.carry(&mut request, tokens, &aim.fitting, &aim.places);
        }
        // Another one, often at another place or before it.
        if self.once_in(if aim.places.is_own() { 3 } else { 8 }) {
            let default = Locations::default();
            let places = if self.once_in(2) {
                &default
            } else {
                &aim.places
            };
            self.carry(&mut request, tokens, &[], places);
            if self.once_in(2) {
                request.headers.reverse();
            }
        }
        request
    }

    fn aim_at_v2<'c>(&mut self, apis: &'c [v2::ApiRule], tokens: &Tokens) -> Aim<'c> {
        let api = &apis[self.0.usize(..apis.len())];
        let rule = &api.rules[self.0.usize(..api.rules.len())];
        let first = rule.jwt().and_then(|jwt| jwt.authentications.first());
        let places = first.map(|it| Locations(it.from_headers.clone(), it.from_params.clone()));
        let fits = |token: &Token| match (&token.kind, rule.jwt()) {
            (Kind::Jwt(token), Some(jwt)) => {
                let authorizations = jwt.authorizations.as_deref().unwrap_or_default();
                satisfies(token, &jwt.authentications, authorizations)
            }
            _ => false,
        };
        Aim {
            host: &api.host,
            path: self.path_of(&rule.path),
            methods: &rule.methods,
            places: places.unwrap_or_default(),
            fitting: tokens.indices(fits),
        }
    }

    fn aim_at_v1beta1<'c>(&mut self, apis: &'c [v1beta1::ApiRule], tokens: &Tokens) -> Aim<'c> {
        let api = &apis[self.0.usize(..apis.len())];
        let rule = &api.rules[self.0.usize(..api.rules.len())];
        let handler = &rule.access_strategies[0];
        let is_own = handler.config.pointer("/token_from/header").is_some();
        let place = is_own.then(|| FromHeader {
            name: "x-token".to_owned(),
            prefix: None,
        });
        let authentications = rule.authentications();
        let fits = |token: &Token| match &token.kind {
            Kind::Jwt(token) if !authentications.is_empty() => {
                satisfies(token, &authentications, &rule.authorizations())
            }
            _ => handler.accepts(&token.text, tokens, Differences::of(&Difference::ALL)),
        };
        Aim {
            host: &api.host,
            path: self.path_for(&rule.path),
            methods: &rule.methods,
            places: Locations(place.into_iter().collect(), Vec::new()),
            fitting: tokens.indices(fits),
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
        if path.is_empty() {
            "/".to_owned()
        } else {
            path
        }
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
    fn carry(
        &mut self,
        request: &mut Request,
        tokens: &Tokens,
        fits: &[usize],
        places: &Locations,
    ) {
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

/// Whether a token is of one of these issuers and holds what one of the authorizations demands, by what
/// Kyma or we say.
fn satisfies(token: &Jwt, issuers: &[Authentication], authorizations: &[Authorization]) -> bool {
    let differences = Differences::of(&Difference::ALL);
    let mut allowing = authorizations.iter();
    issuers.iter().any(|it| token.signed_by == Some(&it.issuer))
        && (authorizations.is_empty() || allowing.any(|it| it.allows(Some(token), differences)))
}

// === impl Request ===

impl Request {
    fn add_parameter(&mut self, name: &str, value: &str) {
        let mark = if self.path.contains('?') { '&' } else { '?' };
        self.path = format!("{}{mark}{name}={value}", self.path);
    }
}
