//! APIRules of version v1beta1.

use super::super::oathkeeper::Handler;
use super::super::tokens::{ONE, TWO, keys_of};
use super::super::v1beta1::{ApiRule, Mesh, Rule};
use super::super::{ApiRules, Cluster, JwtHandler};
use super::{Draw, METHODS};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Of v1beta1; they are expressions.
const EXPRESSIONS: [&str; 18] = [
    "/.*", "/.*", "/.*", "/a", "/a", "/a/.*", "/a/.*", "/a.*", "/b", "/b/", "/b/a", "/a/b",
    "/a/b/?", "/(a)?", "/b(/.*)?", "/a.b", "/*", "/.*/b",
];

// === impl Draw ===

impl Draw {
    pub fn v1beta1(&mut self, handler: JwtHandler) -> Cluster {
        let count = 1 + self.0.usize(..2);
        let apis = (0..count).map(|index| ApiRule {
            name: format!("api-{index}"),
            host: ["a.example.com", "b.example.com"][index].to_owned(),
            service: ["shop", if self.once_in(4) { "shop" } else { "store" }][index].to_owned(),
            rules: self.v1beta1_rules(handler),
        });
        let apis = apis.collect();
        Cluster {
            rules: ApiRules::V1beta1(Mesh::new(handler, apis)),
        }
    }

    fn v1beta1_rules(&mut self, handler: JwtHandler) -> Vec<Rule> {
        let wanted = 1 + self.0.usize(..4);
        let mut rules: Vec<Rule> = Vec::new();
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
            rules.push(Rule {
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
        let jwt = self.jwt(&Default::default());
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
}
