//! What becomes of a rule that asks an oauth2-proxy, by what that is told.

use super::*;
use crate::cli::compile::input::Inventory;
use crate::cli::compile::notes::Notes;
use crate::cli::compile::settings::{Arguments, Settings};
use crate::cli::compile::written::{ApiRule, Authorization, ExtAuth, JwtDemand, Strategy};
use crate::cli::report::{Severity, Sources};
use clap::Parser;
use serde_json::{Value, json};

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    settings: Arguments,
}

/// The tutorial's flags, on which the cases below vary.
const FLAGS: &str = "\
login-url: static://401
oidc-issuer-url: https://idp.example.com
provider: oidc
set-xauthrequest: true
skip-jwt-bearer-tokens: true
upstream: static://200
";

/// The tutorial's values, with other flags or more of them.
fn values(more: &str) -> String {
    let names = more.lines().filter_map(|line| line.split_once(':'));
    let kept = names.fold(FLAGS.to_owned(), |flags, (name, _)| without(&flags, name));
    values_of(&format!("{kept}{more}"))
}

fn values_of(flags: &str) -> String {
    let flags = flags.lines().map(|line| format!("  {line}\n"));
    let flags: String = flags.collect();
    format!("config: {{clientID: shop, clientSecret: s3cret}}\nextraArgs:\n{flags}")
}

/// Flags without one.
fn without(flags: &str, name: &str) -> String {
    let lines = flags.lines().filter(|line| !line.starts_with(name));
    lines.map(|line| format!("{line}\n")).collect()
}

/// Kyma's authorizer of that name, with headers for the upstream.
fn authorizer(name: &str, service: &str, on_allow: &str) -> String {
    format!(
        "apiVersion: operator.kyma-project.io/v1alpha2\nkind: Istio\n\
         metadata: {{name: {name}, namespace: kyma-system}}\nspec:\n  config:\n    authorizers:\n\
         \x20   - {{name: {name}, service: {service}, port: 80, headers: {{toUpstream: {{onAllow: \
         [{on_allow}]}}}}}}\n"
    )
}

const ASKING: &str = "\
apiVersion: gateway.kyma-project.io/v2
kind: APIRule
metadata: {name: asking}
";

const SERVICE: &str = "oauth2-proxy.oauth2-proxy.svc.cluster.local";

/// The strategy of a rule that asks, its style, and what is said.
struct Inlined {
    strategy: Value,
    style: Option<&'static str>,
    errors: Vec<String>,
    warnings: Vec<String>,
}

fn played(documents: &[&str], flags: &[&str], ext_auth: ExtAuth) -> Inlined {
    let (mut sources, notes) = (Sources::default(), Notes::default());
    let mut inventory = Inventory::default();
    for document in documents {
        inventory.add_text("input", (*document).to_owned(), &mut sources, &notes);
    }
    inventory.add_text("asking", ASKING.to_owned(), &mut sources, &notes);
    inventory.finish(&notes);
    let arguments = Command::parse_from(["test"].iter().chain(flags));
    let settings = Settings::new(&arguments.settings, &inventory);
    let context = Context {
        inventory: &inventory,
        settings: &settings,
        notes: &notes,
    };
    let mut asking = inventory.of("gateway.kyma-project.io", "APIRule");
    let asking = asking.next().unwrap();
    let mut draft = Draft::new();
    let reading = context.reading(asking);
    let mut rule = ApiRule {
        strategy: Strategy::ExtAuth(ext_auth),
        ..ApiRule::default()
    };
    inline(&context, &mut draft, (reading, &asking.root), &mut rule);
    let notes = notes.into_sorted();
    let told = |severity: Severity| {
        let notes = notes.iter().filter(|it| it.severity == severity);
        notes.map(|it| it.message.clone()).collect()
    };
    Inlined {
        strategy: serde_json::to_value(rule.strategy).unwrap(),
        style: rule.error_style,
        errors: told(Severity::Error),
        warnings: told(Severity::Warning),
    }
}

fn asks(authorizers: &[&str]) -> ExtAuth {
    ExtAuth {
        authorizers: authorizers.iter().map(|it| (*it).to_owned()).collect(),
        restrictions: None,
    }
}

const INLINE: [&str; 2] = ["--inline", "--allow-unverified-email"];

fn demand(more: Value) -> Value {
    let mut demand = json!({
        "issuer": "https://idp.example.com",
        "audiences": ["shop"],
        "clockSkew": "0s",
        "fromHeaders": [{"name": "Authorization", "prefix": "Bearer "}],
    });
    let members = demand.as_object_mut().unwrap();
    members.extend(more.as_object().unwrap().clone());
    demand
}

#[test]
fn the_tutorials_tokens_are_verified_in_the_gateway() {
    let istio = authorizer("oauth2-proxy", SERVICE, "");
    let found = played(&[&values(""), &istio], &INLINE, asks(&["oauth2-proxy"]));
    let expected = json!({"jwt": {"authentications": [demand(json!({}))]}});
    assert_eq!(found.strategy, expected);
    assert_eq!(found.style, Some("oauth2-proxy"));
    assert!(found.errors.is_empty(), "{:?}", found.errors);
    assert!(found.warnings.is_empty(), "{:?}", found.warnings);
}

#[test]
fn who_asks_what() {
    let istio = authorizer("oauth2-proxy", SERVICE, "");
    let by_service = authorizer("login", SERVICE, "");
    let other = authorizer("opa", "opa.opa.svc.cluster.local", "");
    let ext_auth = |names: &[&str]| json!({"extAuth": {"authorizers": names}});
    let jwt = json!({"authentications": [demand(json!({}))]});
    let inlined = json!({"jwt": jwt});
    for (name, documents, flags, asked, expected) in [
        (
            "not wanted",
            vec![&istio],
            &[][..],
            vec!["oauth2-proxy"],
            ext_auth(&["oauth2-proxy"]),
        ),
        (
            "by its name",
            vec![&istio],
            &INLINE,
            vec!["oauth2-proxy"],
            inlined.clone(),
        ),
        (
            "by its service",
            vec![&by_service],
            &INLINE,
            vec!["login"],
            inlined.clone(),
        ),
        (
            "not registered",
            vec![],
            &INLINE,
            vec!["oauth2-proxy"],
            inlined.clone(),
        ),
        (
            "somebody else's",
            vec![&other],
            &INLINE,
            vec!["opa"],
            ext_auth(&["opa"]),
        ),
        (
            "beside another",
            vec![&istio, &other],
            &INLINE,
            vec!["opa", "oauth2-proxy"],
            json!({"extAuth": {"authorizers": ["opa"], "restrictions": jwt}}),
        ),
    ] {
        let values = values("");
        let mut texts = vec![values.as_str()];
        texts.extend(documents.into_iter().map(String::as_str));
        let found = played(&texts, flags, asks(&asked));
        assert_eq!(found.strategy, expected, "{name}");
        assert!(found.errors.is_empty(), "{name}: {:?}", found.errors);
    }
    let restrictions = JwtDemand {
        authorizations: vec![Authorization::default()],
        ..JwtDemand::default()
    };
    let both = ExtAuth {
        restrictions: Some(restrictions),
        ..asks(&["oauth2-proxy"])
    };
    let found = played(&[&values(""), &istio], &INLINE, both);
    assert!(
        found.errors[0].contains("several demands at once"),
        "{:?}",
        found.errors
    );
}

#[test]
fn settings() {
    let file = |text: &str| {
        let file = json!(text);
        values("").replace("clientSecret: s3cret", &format!("configFile: {file}"))
    };
    // What the only issuer is like; or, if it is empty, the error.
    for (name, input, expected) in [
        (
            "extra audiences",
            values("oidc-extra-audience: [api, web]\n"),
            json!({"audiences": ["shop", "api", "web"]}),
        ),
        (
            "extra audiences in one",
            values("oidc-extra-audience: api,web\n"),
            json!({"audiences": ["shop", "api", "web"]}),
        ),
        (
            "keys by their URL",
            values("skip-oidc-discovery: true\noidc-jwks-url: https://idp.example.com/keys\n"),
            json!({"jwksUri": "https://idp.example.com/keys"}),
        ),
        (
            "an URL that is discovered anyway",
            values("oidc-jwks-url: https://idp.example.com/keys\n"),
            json!({}),
        ),
        (
            "a list of flags",
            values("").split("extraArgs").next().unwrap().to_owned()
                + "extraArgs: [--provider=oidc, --oidc-issuer-url, https://idp.example.com, --skip-jwt-bearer-tokens, --login-url=static://401]\n",
            json!({}),
        ),
        (
            "an environment",
            values_of(&without(FLAGS, "oidc-issuer"))
                + "extraEnv: [{name: OAUTH2_PROXY_OIDC_ISSUER_URL, value: https://idp.example.com}]\n",
            json!({}),
        ),
        (
            "a flag overrules the environment",
            values("")
                + "extraEnv: [{name: OAUTH2_PROXY_OIDC_ISSUER_URL, value: https://other.example.com}]\n",
            json!({}),
        ),
        (
            "a file",
            file(
                "# everybody\nemail_domains = [ \"*\" ]\noidc_extra_audiences = ['api', \"web\"]\n",
            ),
            json!({"audiences": ["shop", "api", "web"]}),
        ),
        (
            "a flag overrules the file",
            file("email_domains = \"*\"\nprovider = \"google\"\nskip_jwt_bearer_tokens = false\n"),
            json!({}),
        ),
        (
            "the client's name by a flag",
            values("client-id: api\n").replace("clientSecret: s3cret", "existingSecret: s"),
            json!({"audiences": ["api"]}),
        ),
        (
            "groups",
            values("allowed-group: staff\n"),
            json!("`allowed-group` cannot be kept"),
        ),
        (
            "groups, as a file has it",
            file("email_domains = \"*\"\nallowed_groups = [\"staff\"]\n"),
            json!("`allowed-group` cannot be kept"),
        ),
        (
            "roles",
            values("allowed-role: staff\n"),
            json!("`allowed-role` cannot be kept"),
        ),
        (
            "domains",
            values("email-domain: example.com\n"),
            json!("`email-domain` cannot be kept"),
        ),
        (
            "no domains",
            file(""),
            json!("`email-domain` cannot be kept"),
        ),
        (
            "addresses",
            values("") + "authenticatedEmailsFile: {enabled: true}\n",
            json!("`authenticated-emails-file` cannot be kept"),
        ),
        (
            "no addresses",
            values("") + "authenticatedEmailsFile: {enabled: false}\n",
            json!({}),
        ),
        (
            "another claim",
            values("oidc-audience-claim: azp\n"),
            json!("`oidc-audience-claim` cannot be kept"),
        ),
        (
            "the same claim",
            values("oidc-audience-claim: aud\n"),
            json!({}),
        ),
        (
            "another provider",
            values_of(&without(FLAGS, "provider")),
            json!("the provider `google`"),
        ),
        (
            "no tokens",
            values_of(&without(FLAGS, "skip-jwt")),
            json!("without `skip-jwt-bearer-tokens`"),
        ),
        (
            "no issuer",
            values_of(&without(FLAGS, "oidc-issuer")),
            json!("`oidc-issuer-url` is missing"),
        ),
        (
            "no keys",
            values("skip-oidc-discovery: true\n"),
            json!("`oidc-jwks-url` is missing"),
        ),
        (
            "a secret",
            values("").replace("clientSecret: s3cret", "existingSecret: s"),
            json!("client-id is not in the input"),
        ),
        (
            "a variable",
            values("client-id: $(CLIENT)\n"),
            json!("client-id is not in the input"),
        ),
        (
            "a file elsewhere",
            values("").replace("clientSecret: s3cret", "existingConfig: c"),
            json!("the file of `existingConfig`"),
        ),
        (
            "a file by a flag",
            values("config: /etc/x.cfg\n"),
            json!("the file `/etc/x.cfg` is not in the input"),
        ),
        (
            "other settings",
            values("") + "alphaConfig: {enabled: true}\n",
            json!("`alpha-config` cannot be kept"),
        ),
        (
            "an odd pair",
            values("extra-jwt-issuers: https://other.example.com\n"),
            json!("found `https://other.example.com`; allowed: `ISSUER=AUDIENCE`"),
        ),
    ] {
        let found = played(&[&input], &INLINE, asks(&["oauth2-proxy"]));
        match expected.as_str() {
            Some(error) => {
                let is_it = |it: &String| it.contains(error);
                assert!(found.errors.iter().any(is_it), "{name}: {:?}", found.errors);
            }
            None => {
                let authentications = &found.strategy["jwt"]["authentications"];
                assert_eq!(*authentications, json!([demand(expected)]), "{name}");
                assert!(found.errors.is_empty(), "{name}: {:?}", found.errors);
            }
        }
    }
}

#[test]
fn several_issuers() {
    let input = values("extra-jwt-issuers: https://a.example.com=web,b=api\n");
    let flags = [
        "--inline",
        "--allow-unverified-email",
        "--jwks-uri",
        "b=https://b.example.com/jwks",
    ];
    let found = played(&[&input], &flags, asks(&["oauth2-proxy"]));
    let expected = json!([
        demand(json!({})),
        demand(json!({"issuer": "https://a.example.com", "audiences": ["web"]})),
        demand(
            json!({"issuer": "b", "audiences": ["api"], "jwksUri": "https://b.example.com/jwks"})
        ),
    ]);
    assert_eq!(found.strategy["jwt"]["authentications"], expected);
    assert!(found.errors.is_empty(), "{:?}", found.errors);
}

#[test]
fn addresses_that_are_not_verified() {
    let told = "`email_verified: false`";
    for (name, more, flags, refused) in [
        ("by default", "", &["--inline"][..], true),
        ("accepted", "", &INLINE, false),
        (
            "allowed by it",
            "insecure-oidc-allow-unverified-email: true\n",
            &["--inline"],
            false,
        ),
        (
            "not looked at",
            "oidc-email-claim: mail\n",
            &["--inline"],
            false,
        ),
        (
            "of another issuer, at which it always looks",
            "oidc-email-claim: mail\nextra-jwt-issuers: https://a.example.com=web\n",
            &["--inline"],
            true,
        ),
    ] {
        let found = played(&[&values(more)], flags, asks(&["oauth2-proxy"]));
        let is_told = found.errors.iter().any(|it| it.contains(told));
        assert_eq!(is_told, refused, "{name}: {:?}", found.errors);
    }
}

#[test]
fn what_the_gateway_does_not_let_in() {
    for (more, told) in [
        (
            "skip-auth-route: [GET=^/public]\n",
            Some("`skip-auth-route` is left out"),
        ),
        (
            "skip-auth-preflight: true\n",
            Some("`skip-auth-preflight` is left out"),
        ),
        ("skip-auth-preflight: false\n", None),
        (
            "trusted-ip: 192.0.2.0/24\n",
            Some("`trusted-ip` is left out"),
        ),
        (
            "htpasswd-file: /etc/users\n",
            Some("`htpasswd-file` is left out"),
        ),
        (
            "bearer-token-login-fallback: false\n",
            Some("401 rather than 403"),
        ),
        (
            "login-url: https://idp.example.com/login\n",
            Some("browsers are no longer"),
        ),
    ] {
        let found = played(&[&values(more)], &INLINE, asks(&["oauth2-proxy"]));
        let warnings = &found.warnings;
        match told {
            Some(told) => assert!(
                warnings.len() == 1 && warnings[0].contains(told),
                "{more}: {warnings:?}"
            ),
            None => assert!(warnings.is_empty(), "{more}: {warnings:?}"),
        }
        assert!(found.errors.is_empty(), "{more}: {:?}", found.errors);
    }
}

#[test]
fn headers_for_the_upstream() {
    let outputs = |pairs: &[(&str, &str)]| {
        let outputs = pairs
            .iter()
            .map(|(header, claim)| json!({"header": header, "claim": claim}));
        outputs.collect::<Vec<_>>()
    };
    let user = ("x-auth-request-user", "sub");
    let name = ("x-auth-request-preferred-username", "preferred_username");
    let (groups, token) = (
        "`x-auth-request-groups` cannot be told",
        "`x-auth-request-access-token` cannot",
    );
    for (on_allow, more, expected, error) in [
        ("authorization", "", vec![], None),
        ("X-Auth-Request-User", "", vec![user], None),
        (
            "x-auth-request-email",
            "",
            vec![("x-auth-request-email", "email")],
            None,
        ),
        (
            "x-auth-request-email, x-auth-request-preferred-username",
            "oidc-email-claim: mail\n",
            vec![("x-auth-request-email", "mail"), name],
            None,
        ),
        (
            "x-auth-request-user",
            "set-xauthrequest: false\n",
            vec![],
            None,
        ),
        ("x-auth-request-groups", "", vec![], Some(groups)),
        ("x-auth-request-p*", "", vec![name], None),
        (
            "x-auth-request-*",
            "",
            vec![user, ("x-auth-request-email", "email"), name],
            Some(groups),
        ),
        ("x-auth-request-access-token", "", vec![], None),
        (
            "x-auth-request-access-token",
            "pass-access-token: true\n",
            vec![],
            Some(token),
        ),
        ("gap-auth", "", vec![], Some("`gap-auth` cannot be told")),
        ("x-forwarded-user", "", vec![], None),
    ] {
        let istio = authorizer("oauth2-proxy", SERVICE, on_allow);
        let found = played(&[&values(more), &istio], &INLINE, asks(&["oauth2-proxy"]));
        let rule = &found.strategy["jwt"]["authentications"][0];
        let told = rule["outputClaimToHeaders"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        assert_eq!(told, outputs(&expected), "{on_allow}");
        match error {
            Some(error) => assert!(
                found.errors[0].contains(error),
                "{on_allow}: {:?}",
                found.errors
            ),
            None => assert!(found.errors.is_empty(), "{on_allow}: {:?}", found.errors),
        }
    }
}

const DEPLOYMENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: login, namespace: team}
spec:
  template:
    spec:
      containers:
      - image: quay.io/oauth2-proxy/oauth2-proxy:v7.6.0
        args: [--config=/etc/oauth2_proxy/oauth2_proxy.cfg, --client-id=shop]
        env:
        - name: OAUTH2_PROXY_CLIENT_ID
          valueFrom: {secretKeyRef: {name: login, key: client-id}}
        - {name: OAUTH2_PROXY_LOGIN_URL, value: static://401}
";

const CONFIG_MAP: &str = "\
apiVersion: v1
kind: ConfigMap
metadata: {name: login, namespace: team}
data:
  oauth2_proxy.cfg: |
    provider = \"oidc\"
    oidc_issuer_url = \"https://idp.example.com\"
    client_id = \"overruled\"
    email_domains = [\"*\"]
    skip_jwt_bearer_tokens = true
";

#[test]
fn deployments() {
    let jwt = json!({"jwt": {"authentications": [demand(json!({}))]}});
    let asked = json!({"extAuth": {"authorizers": ["login"]}});
    let here = authorizer("login", "login.team.svc.cluster.local", "");
    let elsewhere = authorizer("login", "login.other.svc.cluster.local", "");
    let by_name = authorizer("oauth2-proxy", "login-http.team.svc.cluster.local", "");
    let (values, without_flag) = (values(""), DEPLOYMENT.replace(", --client-id=shop", ""));
    let several = "may be any of several: OAuth2ProxyValues, Deployment team/login";
    for (name, documents, authorizer, expected, error) in [
        (
            "by its Service",
            vec![DEPLOYMENT, CONFIG_MAP, &here],
            "login",
            Some(&jwt),
            None,
        ),
        (
            "by its name",
            vec![DEPLOYMENT, CONFIG_MAP, &by_name],
            "oauth2-proxy",
            Some(&jwt),
            None,
        ),
        (
            "in another namespace",
            vec![DEPLOYMENT, CONFIG_MAP, &elsewhere],
            "login",
            Some(&asked),
            None,
        ),
        (
            "without its file",
            vec![DEPLOYMENT, &here],
            "login",
            None,
            Some("the file `/etc/oauth2_proxy/oauth2_proxy.cfg`"),
        ),
        (
            "by a secret, not by the file",
            vec![&without_flag, CONFIG_MAP, &here],
            "login",
            None,
            Some("client-id is not in the input"),
        ),
        (
            "beside its values",
            vec![DEPLOYMENT, CONFIG_MAP, &values],
            "oauth2-proxy",
            None,
            None,
        ),
    ] {
        let found = played(&documents, &INLINE, asks(&[authorizer]));
        if let Some(expected) = expected {
            assert_eq!(found.strategy, *expected, "{name}");
            assert!(found.errors.is_empty(), "{name}: {:?}", found.errors);
        }
        if let Some(error) = error {
            assert!(
                found.errors.iter().any(|it| it.contains(error)),
                "{name}: {:?}",
                found.errors
            );
        }
    }
    let both = authorizer("oauth2-proxy", "oauth2-proxy.team.svc.cluster.local", "");
    let deployment = DEPLOYMENT.replace("name: login, namespace", "name: oauth2-proxy, namespace");
    let found = played(
        &[&deployment, CONFIG_MAP, &values, &both],
        &INLINE,
        asks(&["oauth2-proxy"]),
    );
    let several = several.replace("team/login", "team/oauth2-proxy");
    assert!(
        found.errors.iter().any(|it| it.contains(&several)),
        "{:?}",
        found.errors
    );
}
