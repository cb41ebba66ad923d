//! The tutorials' RequestAuthentications and AuthorizationPolicies, enforced by Istio itself, beside
//! what `portcullis compile` makes of them: the same requests, the same answers.
//!
//! istiod gives Envoy's own filters to one gateway in each namespace, and our WasmPlugin to another.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

use crate::{
    authorization_server::{now, with_broken_signature},
    harness::{Client, wait},
    mesh::{EXPOSED, Gateway, Mesh},
    table::Line,
};

const PATIENCE: Duration = Duration::from_secs(5);

/// Who asks: in words, and with which headers.
type Caller = (&'static str, Vec<(&'static str, String)>);

/// Where a request goes, as `HOST/PATH`, in each namespace.
const TARGETS: [(&str, &[&str]); 2] = [
    (
        "jwt",
        &[
            "httpbin.example.com/headers",
            "httpbin.example.com/status/200?a=b",
            "HTTPBIN.example.com/headers",
            "httpbin.example.com:80/headers",
        ],
    ),
    (
        "issuers",
        &[
            "example.com/status/200",
            "example.com/healthz",
            "example.com:80/status/200",
            "another-host.com/healthz",
            "another-host.com/healthz?a=b",
            "another-host.com/healthz/",
            "another-host.com/HEALTHZ",
            "another-host.com//healthz",
            "another-host.com/a/../healthz",
            "another-host.com/%68ealthz",
            "another-host.com/healthz;a=b",
            "another-host.com/status/200",
            "Another-Host.com/healthz",
            "another-host.com:80/healthz",
        ],
    ),
];

/// Plays it all: a line for each target.
pub fn play() -> Vec<Line> {
    let mesh = Mesh::start();
    let portcullis = mesh.with_portcullis();
    let callers = callers(&mesh);
    let mut lines = Vec::new();
    for (exposed, (namespace, targets)) in EXPOSED.iter().zip(TARGETS) {
        assert_eq!(exposed.namespace, namespace);
        let istio = mesh.with_native_filters(exposed);
        let compare_all = || -> Vec<Line> {
            let targets = targets.iter();
            targets
                .map(|it| compare(&istio, &portcullis, it, &callers))
                .collect()
        };
        // Until keys and configuration are everywhere.
        wait::until(PATIENCE, || {
            compare_all().iter().all(Line::is_as_expected).then_some(())
        });
        lines.extend(compare_all());
        if namespace == "issuers" {
            lines.push(scheme_in_lower_case(&istio, &portcullis, &mesh));
        }
    }
    lines
}

fn compare(istio: &Gateway, portcullis: &Gateway, target: &str, callers: &[Caller]) -> Line {
    let (istio, portcullis) = (istio.client(), portcullis.client());
    let mut statuses = BTreeMap::new();
    let mut unlike = Vec::new();
    for (caller, headers) in callers {
        let theirs = ask(&istio, target, headers);
        let ours = ask(&portcullis, target, headers);
        if theirs != ours {
            unlike.push(format!("{caller}: Istio `{theirs}`, Portcullis `{ours}`"));
        }
        let status = theirs.get(..3).unwrap_or_default().to_owned();
        *statuses.entry(status).or_insert(0) += 1;
    }
    let statuses = statuses
        .iter()
        .map(|(status, count)| format!("{count} x {status}"));
    let statuses = statuses.collect::<Vec<_>>().join(", ");
    let got = match unlike.is_empty() {
        true => statuses.clone(),
        false => unlike.join("; "),
    };
    let what = format!(
        "Istio's policies and ours: GET {target}, {} callers",
        callers.len()
    );
    Line::new(what, statuses, got)
}

/// To Istio it is no token; RFC 9110, 11.1, has schemes compared without regard to case.
fn scheme_in_lower_case(istio: &Gateway, portcullis: &Gateway, mesh: &Mesh) -> Line {
    let token = mesh.server.issuer("foo").token(json!({}));
    let headers = [("authorization", format!("bearer {token}"))];
    let status = |gateway: &Gateway| {
        let answer = ask(&gateway.client(), "example.com/status/200", &headers);
        answer.get(..3).unwrap_or_default().to_owned()
    };
    Line::new(
        "`bearer` in lower case, as RFC 9110 allows: GET example.com/status/200",
        "Istio 403, Portcullis 200",
        format!("Istio {}, Portcullis {}", status(istio), status(portcullis)),
    )
}

/// The answer in a line: what a client goes by.
fn ask(client: &Client, target: &str, headers: &[(&'static str, String)]) -> String {
    let (host, path) = target.split_once('/').expect("HOST/PATH");
    let mut request = client.get(format!("/{path}")).authority(host);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let answer = match request.send() {
        Ok(answer) => answer,
        Err(error) => return error.to_string(),
    };
    let mut line = answer.status.to_string();
    // The workload's own bodies tell the port of the connection.
    if answer.status >= 400 {
        line = format!("{line} {}", answer.text());
    } else if let Ok(body) = serde_json::from_slice::<Value>(&answer.body) {
        line = format!("{line} Authorization: {}", body["headers"]["Authorization"]);
    }
    match answer.header("www-authenticate") {
        Some(challenge) => format!("{line}; {challenge}"),
        None => line,
    }
}

fn callers(mesh: &Mesh) -> Vec<Caller> {
    let issuer = |name| mesh.server.issuer(name);
    let token = |name| issuer(name).token(json!({}));
    let bearer = |token: String| ("authorization", format!("Bearer {token}"));
    let claims = |over: Value| issuer("foo").sign(issuer("foo").claims(over), json!({}));
    let valid = token("foo");
    let past = now() - 3600;
    vec![
        ("no token", vec![]),
        ("demo", vec![bearer(token("demo"))]),
        ("foo", vec![bearer(valid.clone())]),
        ("bar", vec![bearer(token("bar"))]),
        (
            "expired",
            vec![bearer(claims(json!({"iat": past, "exp": past})))],
        ),
        (
            "not yet valid",
            vec![bearer(claims(json!({"nbf": now() + 3600})))],
        ),
        (
            "wrongly signed",
            vec![bearer(with_broken_signature(&valid))],
        ),
        (
            "foo, as bar",
            vec![bearer(claims(json!({"iss": "issuer-bar"})))],
        ),
        (
            "unknown issuer",
            vec![bearer(claims(json!({"iss": "issuer-baz"})))],
        ),
        ("no sub", vec![bearer(claims(json!({"sub": null})))]),
        ("malformed", vec![bearer("a.b".to_owned())]),
        ("Basic", vec![("authorization", "Basic YTpi".to_owned())]),
        (
            "foo and bar",
            vec![bearer(valid.clone()), bearer(token("bar"))],
        ),
        ("foo twice", vec![bearer(valid.clone()), bearer(valid)]),
    ]
}
