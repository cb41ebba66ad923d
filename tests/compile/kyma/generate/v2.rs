//! APIRules of version v2 and v2alpha1.

use super::super::istio::{Authentication, Authorization, FromHeader};
use super::super::tokens::{ONE, TWO, keys_of};
use super::super::v2::{AUTHORIZERS, ApiRule, ExtAuth, Jwt, Mesh, Rule, Service};
use super::super::{ApiRules, Cluster};
use super::{Draw, Locations, METHODS};

const SEGMENTS: [&str; 16] = [
    "a", "a", "a", "a", "b", "b", "b", "c", "A", "a.b", "a+b", "x%41", "{*}", "{*}", "{*}", "c",
];
const SCOPES: [&str; 6] = ["read", "read", "write", "admin", "rea*", "orders.all"];
const AUDIENCES: [&str; 3] = ["shop", "till", "*op"];

// === impl Draw ===

impl Draw {
    pub fn v2(&mut self) -> Cluster {
        let count = 1 + self.0.usize(..3);
        let hosts = ["a.example.com", "*.example.com", "b.example.com"];
        let skipped = self.0.usize(..3);
        let apis = (0..count).map(|index| ApiRule {
            name: format!("api-{index}"),
            version: if self.once_in(2) { "v2" } else { "v2alpha1" },
            host: hosts[(skipped + index) % 3].to_owned(),
            service: "shop".to_owned(),
            rules: self.v2_rules(),
        });
        let apis = apis.collect();
        Cluster {
            rules: ApiRules::V2(Mesh::new(apis)),
        }
    }

    fn v2_rules(&mut self) -> Vec<Rule> {
        let wanted = 1 + self.0.usize(..5);
        let locations = [self.locations(), self.locations()];
        let mut rules: Vec<Rule> = Vec::new();
        while rules.len() < wanted {
            let mut rule = self.v2_rule(&locations);
            if self.once_in(4) && !rules.is_empty() {
                rule.path
                    .clone_from(&rules[self.0.usize(..rules.len())].path);
            }
            // Often, the root is guarded on its own, and the last rule is for all that is left.
            if rules.is_empty() && self.once_in(4) {
                rule.path = "/".to_owned();
            } else if rules.len() + 1 == wanted && self.once_in(3) {
                rule.path = "/{**}".to_owned();
                if self.once_in(3) {
                    (rule.no_auth, rule.jwt) = (None, None);
                    rule.ext_auth = Some(self.ext_auth(&locations));
                }
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

    fn v2_rule(&mut self, locations: &[Locations; 2]) -> Rule {
        let mut rule = Rule {
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
            _ => rule.ext_auth = Some(self.ext_auth(locations)),
        }
        if self.once_in(8) {
            rule.service = Some(Service {
                name: "store".to_owned(),
                port: 80,
            });
        }
        rule
    }

    fn ext_auth(&mut self, locations: &[Locations; 2]) -> ExtAuth {
        ExtAuth {
            authorizers: self.some(&AUTHORIZERS, 2),
            restrictions: self.once_in(2).then(|| self.jwt(locations)),
        }
    }

    /// A path: literal segments, `{*}`, and `{**}` as the last operator.
    fn template(&mut self) -> String {
        if self.once_in(12) {
            return self.pick(&["/*", "/", "/{**}"]).to_owned();
        }
        let mut segments: Vec<&str> = (0..1 + self.0.usize(..3))
            .map(|_| self.pick(&SEGMENTS))
            .collect();
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
            _ => Locations::default(),
        }
    }

    pub(super) fn jwt(&mut self, locations: &[Locations; 2]) -> Jwt {
        let issuers = [(ONE, &locations[0]), (TWO, &locations[1])];
        let all = self.once_in(4);
        let first = self.0.usize(..2);
        let issuers = issuers
            .into_iter()
            .enumerate()
            .filter(|(index, _)| all || *index == first);
        // Several places of one kind, or places of both kinds, are refused within one rule.
        let mixed = all && (locations[0].is_own() || locations[1].is_own());
        let issuers: Vec<_> = issuers.take(if mixed { 1 } else { 2 }).collect();
        let authentications = issuers
            .into_iter()
            .map(|(_, (issuer, places))| Authentication {
                issuer: issuer.to_owned(),
                jwks_uri: keys_of(issuer),
                from_headers: places.0.clone(),
                from_params: places.1.clone(),
            });
        Jwt {
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
}

// === what Kyma refuses ===

/// Whether an earlier rule takes all that a rule is for, by one of its methods.
fn conflicts(rule: &Rule, earlier: &[Rule]) -> bool {
    let shares = |it: &&Rule| {
        it.methods
            .iter()
            .any(|method| rule.methods.contains(method))
    };
    earlier
        .iter()
        .filter(shares)
        .any(|it| covers(&it.path, &rule.path))
}

/// Kyma's walk through its tree of paths, for one path that is in it.
fn covers(known: &str, new: &str) -> bool {
    let segments = |path: &str| -> Vec<String> {
        let path = if path == "/*" { "/{**}" } else { path };
        path.trim_start_matches('/')
            .split('/')
            .map(str::to_owned)
            .collect()
    };
    let (known, new) = (segments(known), segments(new));
    for (index, segment) in known.iter().enumerate() {
        if segment == "{**}" {
            let suffix = &known[index + 1..];
            return new.len() >= index && (suffix.is_empty() || new[index..].ends_with(suffix));
        }
        let fits = new
            .get(index)
            .is_some_and(|it| it == segment || segment == "{*}" && it != "{**}");
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
