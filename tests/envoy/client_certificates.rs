//! Client certificates at a gateway: what is derived from them, and what nobody can forge.
//!
//! What Envoy's own operators write is pinned here, certificate by certificate, and the headers that
//! the plugin derives are held against it in the same request. Envoy 1.36 tells a filter no more than
//! the subject, the digest and the first names, so the gateways forward the certificate to it in
//! `x-forwarded-client-cert`, as Istio's do.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use rustls::ClientConfig;
use serde_json::{Value, json};

use crate::{
    authorization_server::{Key, now, sign_with},
    harness::{
        Client, Envoy, Listener, Plugin, Response, Tool, Version, httpbin,
        tls::{
            Attribute, Authority, BMP_STRING, Contents, Identity, Name, PRINTABLE_STRING,
            TELETEX_STRING,
        },
    },
};

fn tools(version: Version) -> [Tool; 3] {
    [Tool::Envoy(version), Tool::Httpbin, Tool::Plugin]
}

const GATEWAY: &str = "gateway.test";
const OTHER: &str = "other.test";

/// The certificate that a policy lets through, as its subject is written.
const ALLOWED: &str = "O=example,CN=client2.example.com";

/// What the plugin derives in all tests but those of single operators.
const CN: &str = "X-Client-Ssl-Cn";
const ISSUER: &str = "X-Client-Ssl-Issuer";

/// Envoy's operators by a short name, which ends the names of the headers that show them.
const OPERATORS: [(&str, &str); 7] = [
    ("Subject", "%DOWNSTREAM_PEER_SUBJECT%"),
    ("Issuer", "%DOWNSTREAM_PEER_ISSUER%"),
    ("Uri", "%DOWNSTREAM_PEER_URI_SAN%"),
    ("Dns", "%DOWNSTREAM_PEER_DNS_SAN%"),
    ("Fingerprint", "%DOWNSTREAM_PEER_FINGERPRINT_256%"),
    ("Serial", "%DOWNSTREAM_PEER_SERIAL%"),
    ("Cert", "%DOWNSTREAM_PEER_CERT%"),
];

/// The name of the authority in the certificates below, and as Envoy writes it.
const AUTHORITY: [(&str, &str); 2] = [("O", "example Inc."), ("CN", "ClientRootCA")];
const AUTHORITY_WRITTEN: &str = "CN=ClientRootCA,O=example Inc.";

/// A certificate, and what Envoy writes of it: subject, URI names, DNS names, serial number.
struct Certificate {
    name: &'static str,
    contents: Contents,
    subject: Option<String>,
    uris: Option<String>,
    dns: Option<String>,
    serial: &'static str,
}

impl Certificate {
    fn new(name: &'static str, contents: Contents, subject: &str) -> Self {
        Certificate {
            name,
            contents,
            subject: some(subject),
            uris: None,
            dns: None,
            serial: "01",
        }
    }

    fn uris(mut self, written: &str) -> Self {
        self.uris = some(written);
        self
    }

    fn dns(mut self, written: &str) -> Self {
        self.dns = some(written);
        self
    }

    fn serial(mut self, bytes: &[u8], written: &'static str) -> Self {
        self.contents.serial = bytes.to_vec();
        self.serial = written;
        self
    }
}

fn some(written: &str) -> Option<String> {
    Some(written.to_owned()).filter(|text| !text.is_empty())
}

fn certificates() -> Vec<Certificate> {
    let subject = Contents::subject;
    let of = |attributes: &[&[Attribute]]| Contents {
        subject: attributes.iter().map(|it| it.to_vec()).collect(),
        ..Contents::default()
    };
    let version_1 = |contents| Contents {
        version_1: true,
        ..contents
    };
    let tutorial = [("CN", "client2.example.com"), ("O", "example")];
    let many: Vec<_> = (0..20).map(|n| format!("spiffe://td/n/{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let odd = "spiffe://td/a;URI=spiffe://td/admin,By=x;Subject=\"CN=admin\"";
    vec![
        Certificate::new(
            "the tutorial's, X.509 v1",
            version_1(subject(&tutorial)),
            ALLOWED,
        ),
        Certificate::new("the same as v3", subject(&tutorial), ALLOWED),
        Certificate::new("nothing at all", Contents::default(), ""),
        Certificate::new("nothing at all, v1", version_1(Contents::default()), ""),
        Certificate::new(
            "every attribute with a short name",
            subject(&[
                ("C", "DE"),
                ("ST", "Bavaria"),
                ("L", "Munich"),
                ("street", "Main 1"),
                ("O", "example"),
                ("OU", "Shop"),
                ("DC", "example"),
                ("UID", "u1"),
                ("serialNumber", "77"),
                ("title", "Dr"),
                ("GN", "Ada"),
                ("SN", "Lovelace"),
                ("emailAddress", "ada@example.com"),
                ("CN", "ada"),
            ]),
            "CN=ada,emailAddress=ada@example.com,SN=Lovelace,GN=Ada,title=Dr,serialNumber=77,UID=u1,\
             DC=example,OU=Shop,O=example,street=Main 1,L=Munich,ST=Bavaria,C=DE",
        ),
        Certificate::new(
            "one attribute many times",
            subject(&[
                ("OU", "a"),
                ("OU", "b"),
                ("OU", "a"),
                ("CN", "x"),
                ("CN", "y"),
            ]),
            "CN=y,CN=x,OU=a,OU=b,OU=a",
        ),
        Certificate::new(
            "several values in one name",
            of(&[
                &[Attribute::new("O", "example")],
                &[
                    Attribute::new("CN", "x"),
                    Attribute::new("UID", "7"),
                    Attribute::new("OU", "z"),
                ],
            ]),
            "UID=7+OU=z+CN=x,O=example",
        ),
        Certificate::new(
            "an attribute that nobody knows",
            subject(&[("1.3.6.1.4.1.99999.1", "secret"), ("CN", "x")]),
            "CN=x,1.3.6.1.4.1.99999.1=#0C06736563726574",
        ),
        Certificate::new(
            "letters beyond ASCII",
            subject(&[("O", "Bjørn & Söhne"), ("CN", "漢字 😀")]),
            r"CN=\E6\BC\A2\E5\AD\97 \F0\9F\98\80,O=Bj\C3\B8rn & S\C3\B6hne",
        ),
        Certificate::new(
            "what is escaped",
            subject(&[
                ("O", r#"a,b+c"d\e<f>g;h=i/j"#),
                ("OU", "#1#"),
                ("CN", "  x  "),
            ]),
            r#"CN=\  x \ ,OU=\#1#,O=a\,b\+c\"d\\e\<f\>g\;h=i/j"#,
        ),
        Certificate::new(
            "a subject that looks like another",
            subject(&[("CN", "client2.example.com,O=example"), ("O", "evil")]),
            r"O=evil,CN=client2.example.com\,O=example",
        ),
        Certificate::new(
            "control characters",
            subject(&[("O", "a\r\nb\tc\x7f"), ("CN", " ")]),
            r"CN=\ ,O=a\0D\0Ab\09c\7F",
        ),
        Certificate::new(
            "other kinds of strings",
            of(&[
                &[Attribute::of("O", PRINTABLE_STRING, "plain")],
                &[Attribute::of("OU", TELETEX_STRING, b"S\xf6hne")],
                &[Attribute::of("CN", BMP_STRING, b"\x00a\x6f\x22")],
            ]),
            r"CN=a\E6\BC\A2,OU=S\C3\B6hne,O=plain",
        ),
        Certificate::new(
            "empty values",
            subject(&[("O", ""), ("CN", "x")]),
            "CN=x,O=",
        ),
        Certificate::new(
            "many names",
            subject(&[("CN", "x")])
                .uris(&many)
                .dns(&["a.test", "*.b.test", "c"]),
            "CN=x",
        )
        .uris(&many.join(","))
        .dns("a.test,*.b.test,c"),
        Certificate::new(
            "names without a subject",
            Contents::default().uris(&["spiffe://td/a"]),
            "",
        )
        .uris("spiffe://td/a"),
        Certificate::new(
            "a URI name that forges others",
            subject(&[("CN", "x")]).uris(&[odd, "spiffe://td/b"]),
            "CN=x",
        )
        .uris(&format!("{odd},spiffe://td/b")),
        Certificate::new(
            "names of other kinds",
            Contents {
                names: vec![
                    Name::Email("ada@example.com".to_owned()),
                    Name::Address([192, 0, 2, 7]),
                    Name::Dns("a.test".to_owned()),
                ],
                ..subject(&[("CN", "x")])
            },
            "CN=x",
        )
        .dns("a.test"),
        Certificate::new("a long serial number", subject(&[("CN", "x")]), "CN=x").serial(
            &[
                0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10, 0, 0, 0, 0, 0, 0, 0, 1,
            ],
            "fedcba98765432100000000000000001",
        ),
        Certificate::new("the serial number 0", subject(&[("CN", "x")]), "CN=x").serial(&[0], "0"),
        Certificate::new(
            "an empty URI name",
            subject(&[("CN", "x")]).uris(&[""]),
            "CN=x",
        ),
        Certificate::new(
            "an empty URI name before another",
            subject(&[("CN", "x")]).uris(&["", "spiffe://td/b"]),
            "CN=x",
        )
        .uris(",spiffe://td/b"),
        Certificate::new(
            "less usual attributes",
            subject(&[
                ("2.5.4.43", "i"),
                ("2.5.4.44", "gq"),
                ("2.5.4.46", "dq"),
                ("2.5.4.65", "ps"),
                ("2.5.4.13", "d"),
                ("2.5.4.17", "pc"),
                ("2.5.4.15", "bc"),
                ("2.5.4.97", "oi"),
                ("1.3.6.1.4.1.311.60.2.1.3", "DE"),
                ("1.2.840.113549.1.9.2", "un"),
                ("1.2.840.113549.1.9.8", "ua"),
                ("2.5.4.41", "name"),
                ("2.5.4.20", "tel"),
                ("0.9.2342.19200300.100.1.3", "mail"),
                ("2.5.4.45", "uid2"),
                ("2.5.4.72", "role"),
            ]),
            "role=role,x500UniqueIdentifier=uid2,mail=mail,telephoneNumber=tel,name=name,\
             unstructuredAddress=ua,unstructuredName=un,1.3.6.1.4.1.311.60.2.1.3=#0C024445,\
             2.5.4.97=#0C026F69,businessCategory=bc,postalCode=pc,description=d,pseudonym=ps,\
             dnQualifier=dq,generationQualifier=gq,initials=i",
        ),
        Certificate::new(
            "kinds of strings that no name has",
            of(&[
                &[Attribute::of("CN", 0x04, "ab")],
                &[Attribute::of("O", 0x16, "ia5")],
                &[Attribute::of("OU", 0x12, "12")],
                &[Attribute::of("L", 0x1c, b"\0\0\0a")],
                &[Attribute::new("ST", "a\0b")],
            ]),
            r"ST=a\00b,L=a,OU=12,O=ia5,CN=#04026162",
        ),
        Certificate::new("a short serial number", subject(&[("CN", "x")]), "CN=x")
            .serial(&[0x0a], "0a"),
    ]
}

on_every_envoy! {
    needs tools;

    /// What Envoy itself writes, with no plugin in the way.
    fn what_envoys_operators_write(version) {
        let httpbin = httpbin::shared();
        let authority = Authority::named(&AUTHORITY);
        let listener = gateway("gateway", &authority).route(native_operators());
        let envoy = Envoy::builder(version).cluster("httpbin", httpbin.port()).listener(listener).start();
        let mut failures = Vec::new();
        for it in certificates() {
            let identity = authority.client_with(&it.contents);
            let answer = ask(&over_tls(&envoy, "gateway", &authority, Some(&identity)), "/headers");
            let expected = [
                ("Subject", it.subject.clone()),
                ("Issuer", some(AUTHORITY_WRITTEN)),
                ("Uri", it.uris.clone()),
                ("Dns", it.dns.clone()),
                ("Fingerprint", Some(identity.fingerprint_hex())),
                ("Serial", some(it.serial)),
                ("Cert", Some(identity.encoded_pem())),
            ];
            for (operator, expected) in expected {
                let written = shown(&answer, &format!("X-Native-{operator}"));
                if written != expected {
                    failures.push(format!("{}, {operator}: expected {expected:?}, got {written:?}", it.name));
                }
            }
        }
        assert!(failures.is_empty(), "{}", failures.join("\n"));
        let none = ask(&over_tls(&envoy, "gateway", &authority, None), "/headers");
        for (operator, _) in OPERATORS {
            assert_eq!(shown(&none, &format!("X-Native-{operator}")), None, "{operator}");
        }
    }

    /// The plugin's headers say what Envoy's say, for each certificate and for none.
    fn derived_headers_are_what_envoy_writes(version) {
        let httpbin = httpbin::shared();
        let authority = Authority::named(&AUTHORITY);
        let headers = OPERATORS.map(|(name, operator)| (format!("x-our-{}", name.to_lowercase()), json!(operator)));
        let plugin = Plugin::new(json!({
            "version": 1,
            "clientCertificate": {"headers": Value::Object(headers.into_iter().collect())},
        }));
        let listener = gateway("gateway", &authority).route(native_operators()).filter(plugin.inline());
        let envoy = Envoy::builder(version).cluster("httpbin", httpbin.port()).listener(listener).start();
        let mut failures = Vec::new();
        let mut compare = |name: &str, identity: Option<&Identity>| {
            let client = over_tls(&envoy, "gateway", &authority, identity);
            // What the client says of itself is to be replaced, or taken out.
            let request = OPERATORS.iter().fold(client.get("/headers"), |request, (operator, _)| {
                request.header(format!("X-Our-{operator}"), "forged").header(format!("x_our_{operator}"), "forged")
            });
            let answer = request.authority(GATEWAY).send().expect("an answer");
            for (operator, _) in OPERATORS {
                let [ours, theirs] = ["Our", "Native"].map(|whose| shown(&answer, &format!("X-{whose}-{operator}")));
                if answer.status != 200 || ours != theirs {
                    failures.push(format!("{name}, {operator}: {}, ours {ours:?}, Envoy's {theirs:?}", answer.status));
                }
            }
        };
        for it in certificates() {
            compare(it.name, Some(&authority.client_with(&it.contents)));
        }
        compare("no certificate", None);
        assert!(failures.is_empty(), "{}", failures.join("\n"));
        envoy.assert_no_wasm_failures();
    }

    /// Whatever the gateway does with `x-forwarded-client-cert`, a forged one proves nothing.
    fn every_mode_of_xfcc(version) {
        let modes = ["SANITIZE", "SANITIZE_SET", "APPEND_FORWARD", "FORWARD_ONLY", "ALWAYS_FORWARD_ONLY"];
        let httpbin = httpbin::shared();
        let authority = Authority::named(&AUTHORITY);
        let tutorial = Contents::subject(&[("CN", "client2.example.com"), ("O", "example")]);
        let allowed = authority.client_with(&tutorial);
        let other = authority.client(&["spiffe://td/other"], &[], "other");
        // Somebody else's authority vouches for the same subject.
        let foreign = Authority::named(&[("CN", "Foreign")]).client_with(&tutorial);
        let forgeries = [
            ("nothing", String::new()),
            ("the allowed one", allowed.forwarded(ALLOWED)),
            ("a foreign one", foreign.forwarded(ALLOWED)),
            ("two", format!("{},{}", other.forwarded("CN=other"), allowed.forwarded(ALLOWED))),
            ("the other's digest with the allowed one", allowed.forwarded(ALLOWED)
                .replace(&allowed.fingerprint_hex(), &other.fingerprint_hex())),
            ("no certificate in it", format!("Subject=\"{ALLOWED}\";Hash={}", allowed.fingerprint_hex())),
            ("garbage", "Cert=\"%%%;=,\"\\\"".to_owned()),
        ];
        let when = |header: &str, value: &str, path: &str| json!({
            "to": [{"operation": {"paths": [path]}}],
            "when": [{"key": format!("request.headers[{header}]"), "values": [value]}],
        });
        let rules = json!([
            when(CN, ALLOWED, "/status/200"),
            when(ISSUER, "CN=Foreign", "/status/201"),
            {"to": [{"operation": {"paths": ["/headers"]}}]},
        ]);
        let builder = Envoy::builder(version).cluster("httpbin", httpbin.port());
        let envoy = modes.iter().fold(builder, |builder, mode| {
            let manager = json!({"forward_client_cert_details": mode});
            let listener = gateway(mode, &authority).connection_manager(manager);
            builder.listener(listener.filter(Plugin::new(with_rules(&rules, &json!({}))).inline()))
        }).start();
        let mut failures = Vec::new();
        for mode in modes {
            for (who, identity) in [("allowed", Some(&allowed)), ("other", Some(&other)), ("nobody", None)] {
                let client = over_tls(&envoy, mode, &authority, identity);
                for (what, forged) in &forgeries {
                    let get = |path: &str| {
                        let mut request = client.get(path).authority(GATEWAY);
                        if !forged.is_empty() {
                            request = request.header("X-Forwarded-Client-Cert", forged);
                        }
                        request.send().expect("an answer")
                    };
                    let mut check = |what_of_it: &str, good: bool, got: String| if !good {
                        failures.push(format!("{mode}, {who} with {what}: {what_of_it}: {got}"));
                    };
                    let guarded = get("/status/200").status;
                    check("guarded", guarded == if who == "allowed" { 200 } else { 403 }, guarded.to_string());
                    let foreign = get("/status/201").status;
                    check("of a foreign issuer", foreign == 403, foreign.to_string());
                    let seen = get("/headers");
                    let issuer = shown(&seen, ISSUER);
                    let proven = identity.map(|_| AUTHORITY_WRITTEN.to_owned());
                    check("issuer", issuer.is_none() || issuer == proven, format!("{issuer:?}"));
                    let subject = shown(&seen, CN);
                    let proven = match who {
                        "allowed" => some(ALLOWED),
                        "other" => some("CN=other"),
                        _ => None,
                    };
                    check("subject", subject == proven, format!("{subject:?}"));
                }
            }
        }
        assert!(failures.is_empty(), "{}", failures.join("\n"));
        // With Istio's default the issuer is known.
        let client = over_tls(&envoy, "SANITIZE_SET", &authority, Some(&allowed));
        assert_eq!(shown(&ask(&client, "/headers"), ISSUER), some(AUTHORITY_WRITTEN));
        envoy.assert_no_wasm_failures();
    }

    /// A connection that was opened for one host serves no other where certificates matter.
    fn server_name_must_be_the_authority(version) {
        let httpbin = httpbin::shared();
        let authority = Authority::named(&AUTHORITY);
        let certificate = json!([{"when": [{"key": format!("request.headers[{CN}]"), "values": [ALLOWED]}]}]);
        let builder = Envoy::builder(version).cluster("httpbin", httpbin.port());
        let listeners = [("required", json!({})), ("not required", json!({"requireSniMatch": false}))];
        let envoy = listeners.into_iter().fold(builder, |builder, (name, settings)| {
            let plugin = Plugin::new(with_rules(&certificate, &settings));
            builder.listener(gateway(name, &authority).filter(plugin.inline()))
        }).start();
        let allowed = authority.client_with(&Contents::subject(&[("CN", "client2.example.com"), ("O", "example")]));
        let other = authority.client(&[], &[], "other");
        let cases = [
            ("the same", "required", GATEWAY, "gateway.test", Some(&allowed), 200),
            ("in capitals", "required", GATEWAY, "GATEWAY.test", Some(&allowed), 200),
            ("with a port", "required", GATEWAY, "gateway.test:443", Some(&allowed), 200),
            ("another", "required", OTHER, "gateway.test", Some(&allowed), 421),
            ("the other way round", "required", GATEWAY, "other.test", Some(&allowed), 421),
            ("a longer one", "required", GATEWAY, "a.gateway.test", Some(&allowed), 421),
            ("the wrong certificate", "required", GATEWAY, "gateway.test", Some(&other), 403),
            ("no certificate", "required", GATEWAY, "gateway.test", None, 403),
            ("not required, the same", "not required", GATEWAY, "gateway.test", Some(&allowed), 200),
            ("not required, another", "not required", OTHER, "gateway.test", Some(&allowed), 200),
            ("not required, none", "not required", OTHER, "gateway.test", None, 403),
        ];
        for (name, listener, server_name, host, identity, status) in cases {
            let client = envoy.client(listener).tls(authority.client_config(identity), server_name);
            let answer = client.get("/status/200").authority(host).send().expect("an answer");
            assert_eq!(answer.status, status, "{name}: {}", answer.text());
        }
        envoy.assert_no_wasm_failures();
    }

    /// RFC 8705: a token that names a certificate is good with that certificate only.
    fn bound_tokens(version) {
        let httpbin = httpbin::shared();
        let authority = Authority::named(&AUTHORITY);
        let own = authority.client(&[], &[], "own");
        let other = authority.client(&[], &[], "other");
        let key = Key::stranger("k1");
        let token = |claims: Value| {
            let mut all = json!({"iss": "one", "sub": "u", "exp": now() + 3600});
            for (name, value) in claims.as_object().into_iter().flatten() {
                all[name] = value.clone();
            }
            sign_with(&key, &all, json!({}))
        };
        let thumbprint = BASE64URL.encode(own.fingerprint());
        let bound = token(json!({"cnf": {"x5t#S256": thumbprint}}));
        let free = token(json!({}));
        let by_key = token(json!({"cnf": {"jkt": thumbprint}}));
        let padded = token(json!({"cnf": {"x5t#S256": format!("{thumbprint}=")}}));
        let odd = token(json!({"cnf": {"x5t#S256": 7}}));
        let hex = token(json!({"cnf": {"x5t#S256": own.fingerprint_hex()}}));
        let modes = [
            ("default", json!({})),
            ("ifPresent", json!({"bindTokens": "ifPresent"})),
            ("required", json!({"bindTokens": "required"})),
            ("off", json!({"bindTokens": "off"})),
        ];
        let rules = json!([{"from": [{"source": {"requestPrincipals": ["*"]}}]}]);
        let builder = Envoy::builder(version).cluster("httpbin", httpbin.port());
        let envoy = modes.into_iter().fold(builder, |builder, (name, settings)| {
            let mut config = with_rules(&rules, &settings);
            let key_set = json!({"keys": [key.jwk()]}).to_string();
            config["jwtRules"] = json!([{"issuer": "one", "jwks": key_set}]);
            builder.listener(gateway(name, &authority).filter(Plugin::new(config).inline()))
        }).start();
        // Who shows the token, and what comes of it: by default, required, off.
        let cases = [
            ("bound, its own certificate", &bound, Some(&own), [200, 200, 200]),
            ("bound, another certificate", &bound, Some(&other), [401, 401, 200]),
            ("bound, no certificate", &bound, None, [401, 401, 200]),
            ("not bound", &free, Some(&own), [200, 401, 200]),
            ("not bound, no certificate", &free, None, [200, 401, 200]),
            ("bound to a key", &by_key, Some(&own), [401, 401, 200]),
            ("bound to a key, no certificate", &by_key, None, [401, 401, 200]),
            ("padded", &padded, Some(&own), [401, 401, 200]),
            ("a number", &odd, Some(&own), [401, 401, 200]),
            ("in hexadecimal", &hex, Some(&own), [401, 401, 200]),
        ];
        for (name, token, identity, [by_default, required, off]) in cases {
            for (mode, status) in
                [("default", by_default), ("ifPresent", by_default), ("required", required), ("off", off)]
            {
                let client = over_tls(&envoy, mode, &authority, identity);
                let answer = client.get("/status/200").authority(GATEWAY).bearer(token).send();
                let answer = answer.expect("an answer");
                assert_eq!(answer.status, status, "{name}, {mode}: {}", answer.text());
            }
        }
        envoy.assert_no_wasm_failures();
    }

    /// A policy on who the peer is sees every URI name, not only the first.
    fn every_uri_name_is_a_principal(version) {
        let httpbin = httpbin::shared();
        let authority = Authority::named(&AUTHORITY);
        let source = |source: Value| json!([{"from": [{"source": source}]}]);
        let policies = [
            ("principals", source(json!({"principals": ["cluster.local/ns/foo/sa/bar"]}))),
            ("namespaces", source(json!({"namespaces": ["foo"]}))),
            ("not principals", source(json!({"notPrincipals": ["cluster.local/ns/foo/sa/bar"]}))),
        ];
        let builder = Envoy::builder(version).cluster("httpbin", httpbin.port());
        let envoy = policies.iter().fold(builder, |builder, (name, rules)| {
            let plugin = Plugin::new(with_rules(rules, &json!({})));
            builder.listener(gateway(name, &authority).filter(plugin.inline()))
        }).start();
        let (bar, web) = ("spiffe://cluster.local/ns/foo/sa/bar", "spiffe://other.example/ns/shop/sa/web");
        let odd = format!("spiffe://other.example/x;URI={bar}");
        // The statuses in the order of the policies.
        let cases: [(_, &[&str], _); 5] = [
            ("the first", &[bar, web], [200, 200, 403]),
            ("the second", &[web, bar], [200, 200, 403]),
            ("the last of many", &[web, web, web, web, bar], [200, 200, 403]),
            ("none", &[web], [403, 403, 200]),
            // Istio's expression for a namespace finds it anywhere in a name.
            ("one that looks like it", &[&odd], [403, 200, 200]),
        ];
        for (name, uris, statuses) in cases {
            let identity = authority.client(uris, &[], "x");
            for ((policy, _), status) in policies.iter().zip(statuses) {
                let answer = ask(&over_tls(&envoy, policy, &authority, Some(&identity)), "/status/200");
                assert_eq!(answer.status, status, "{name}, {policy}");
            }
        }
        envoy.assert_no_wasm_failures();
    }
}

/// A listener with TLS that forwards what Istio's gateways forward.
fn gateway(name: &str, authority: &Authority) -> Listener {
    Listener::new(name)
        .transport_socket(authority.gateway_of(&[GATEWAY, OTHER]))
        .connection_manager(json!({
            "forward_client_cert_details": "SANITIZE_SET",
            "set_current_client_cert_details":
                {"subject": true, "cert": true, "dns": true, "uri": true},
        }))
}

/// A route to httpbin that adds what each operator says.
fn native_operators() -> Value {
    let headers = OPERATORS.map(|(name, operator)| {
        json!({
            "header": {"key": format!("x-native-{}", name.to_lowercase()), "value": operator},
            "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
        })
    });
    json!({
        "match": {"prefix": "/"},
        "route": {"cluster": "httpbin"},
        "request_headers_to_add": headers,
    })
}

/// One ALLOW policy with these rules, beside the two headers; settings are laid over.
fn with_rules(rules: &Value, settings: &Value) -> Value {
    let mut section = json!({
        "headers": {CN: "%DOWNSTREAM_PEER_SUBJECT%", ISSUER: "%DOWNSTREAM_PEER_ISSUER%"},
    });
    for (name, value) in settings.as_object().into_iter().flatten() {
        section[name] = value.clone();
    }
    json!({
        "version": 1,
        "clientCertificate": section,
        "authorizationPolicies":
            [{"name": "p", "namespace": "foo", "action": "ALLOW", "rules": rules}],
    })
}

/// A client of this listener that shows this certificate or none.
fn over_tls(
    envoy: &Envoy,
    listener: &str,
    authority: &Authority,
    identity: Option<&Identity>,
) -> Client {
    let config: Arc<ClientConfig> = authority.client_config(identity);
    envoy.client(listener).tls(config, GATEWAY)
}

fn ask(client: &Client, path: &str) -> Response {
    let request = client.get(path).authority(GATEWAY);
    request.send().expect("an answer")
}

/// A header as httpbin saw it.
fn shown(answer: &Response, name: &str) -> Option<String> {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    body["headers"][name].as_str().map(str::to_owned)
}
