//! oauth2-proxy, the real one, in the place of our stand-in: tutorial 4 behind Portcullis in Envoy,
//! and what a browser gets.
//!
//! It is started with the flags of the tutorial, before the tests' authorization server.

use std::{process::Command, time::Duration};

use tempfile::TempDir;

use crate::{
    authorization_server::{AuthorizationServer, DEMO_CLIENT, Options, bind},
    authorizer::COOKIE,
    harness::{
        Client, Envoy, Plugin, Response, Version, httpbin, process::Process,
        requirements::OAUTH2_PROXY, wait,
    },
    table::Line,
    tutorials::{self, AUTHORIZATION_SERVER, AUTHORIZER, Tutorial, client_certificate},
};

/// A running oauth2-proxy; dropping it ends it.
struct Oauth2Proxy {
    port: u16,
    _process: Process,
    /// Holds the log; removed after the process has ended.
    _folder: TempDir,
}

/// The flags of the tutorial but for those that a part of this chooses.
const FLAGS: [&str; 18] = [
    "--client-secret=demo-secret",
    "--cookie-secret=bm90LWEtc2VjcmV0LW5vdC1hLXNlY3JldC1ub3QtYS0=",
    "--cookie-domain=example.com",
    "--cookie-samesite=lax",
    "--cookie-secure=false",
    "--email-domain=*",
    "--pass-access-token=true",
    "--pass-authorization-header=true",
    "--pass-host-header=true",
    "--pass-user-headers=true",
    "--provider=oidc",
    "--reverse-proxy=true",
    "--scope=openid",
    "--set-authorization-header=true",
    "--set-xauthrequest=true",
    "--skip-jwt-bearer-tokens=true",
    "--skip-provider-button=true",
    "--upstream=static://200",
];

const AUTHORITY: &str = "ext-auth.example.com";
const GATEWAY: &str = "gateway";
const PATIENCE: Duration = Duration::from_secs(30);

/// As the tutorial has it: a caller who may not in is told so, and never sent away to log in.
const FOR_PROGRAMS: [&str; 2] = ["--force-json-errors=true", "--login-url=static://401"];

/// Plays it all.
pub fn play() -> Vec<Line> {
    let server = AuthorizationServer::start(Options::tutorials());
    let mut tutorials = tutorials::all(&server, &client_certificate::authority());
    tutorials.retain(|tutorial| tutorial.number == 4);

    let mut lines = Vec::new();
    // It ends with its last user, and two gateways use it.
    let _httpbin = httpbin::shared();
    let proxy = Oauth2Proxy::start(&server, &FOR_PROGRAMS);
    let gateway = gateway(&server, &proxy, &tutorials);
    let client = gateway.client(GATEWAY);
    let rows = tutorials.iter().flat_map(|tutorial| &tutorial.rows);
    lines.extend(rows.map(|row| Line::of_row(row, &client)));
    for (what, path, cookie, expected) in [
        (
            "/ping, which oauth2-proxy answers to anybody",
            "/ping",
            None,
            "404",
        ),
        (
            "/headers, no cookie",
            "/headers",
            None,
            "401, no cookie set",
        ),
        (
            "/headers, a stale cookie",
            "/headers",
            Some(format!("{COOKIE}=stale")),
            CLEARED,
        ),
    ] {
        lines.push(Line::new(what, expected, ask(&client, path, cookie)));
    }
    gateway.assert_no_wasm_failures();
    drop(gateway);

    let proxy = Oauth2Proxy::start(&server, &[]);
    let gateway = self::gateway(&server, &proxy, &tutorials);
    lines.extend(browser(&server, &gateway.client(GATEWAY)));
    gateway.assert_no_wasm_failures();
    lines
}

/// Without the tutorial's flags for programs a browser is sent to the login, comes back with a code,
/// gets a cookie, and is let in with it.
fn browser(server: &AuthorizationServer, client: &Client) -> Vec<Line> {
    let login = format!("{}/oauth2/authorize", server.issuer("demo").url);
    let mut lines = vec![Line::new(
        "/headers, a browser",
        format!("302 to {login}, {COOKIE}_csrf set"),
        ask(client, "/headers", None),
    )];
    let get = |client: &Client, path: &str, cookie: &str| {
        let request = client.get(path).authority(AUTHORITY);
        request.header("cookie", cookie).send().expect("an answer")
    };
    let target = |answer: &Response| {
        let location = answer.header("location").unwrap_or_default();
        let (_, rest) = location.split_once("//").unwrap_or_default();
        rest.find('/')
            .map_or(location.clone(), |at| rest[at..].to_owned())
    };
    // Of that name, since the one of the login goes when that of the session comes.
    let cookie = |answer: &Response, name: &str| {
        let lines = answer
            .headers
            .iter()
            .filter(|(name, _)| name == "set-cookie");
        let mut set = lines.map(|(_, value)| String::from_utf8_lossy(value).into_owned());
        let whole = set.find(|it| it.strip_prefix(name).is_some_and(|it| it.starts_with('=')));
        whole
            .unwrap_or_default()
            .split(';')
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    let sent_away = get(client, "/headers", "");
    let logged_in = get(&Client::new(server.port()), &target(&sent_away), "");
    let brought = cookie(&sent_away, &format!("{COOKIE}_csrf"));
    let back = get(client, &target(&logged_in), &brought);
    let session = cookie(&back, COOKIE);
    let (name, value) = session.split_once('=').unwrap_or_default();
    let got = format!("{}, {name} set", back.status);
    lines.push(Line::new(
        "the login's code",
        format!("302, {COOKIE} set"),
        got,
    ));
    for (what, session, expected) in [
        ("the session's cookie", session.clone(), 200),
        (
            "a cookie of nobody's",
            format!(
                "{name}={}",
                value.replace(|it: char| it.is_lowercase(), "a")
            ),
            302,
        ),
    ] {
        let got = get(client, "/headers", &session).status;
        lines.push(Line::new(
            format!("/headers, {what}"),
            expected.to_string(),
            got.to_string(),
        ));
    }
    lines
}

const CLEARED: &str =
    "401, _oauth2_proxy=; Path=/; Domain=example.com; Max-Age=0; HttpOnly; SameSite=Lax";

/// What a caller without a token gets, in one line: status, where to, and what cookie.
fn ask(client: &Client, path: &str, cookie: Option<String>) -> String {
    let mut request = client.get(path).authority(AUTHORITY);
    if let Some(cookie) = cookie {
        request = request.header("cookie", cookie);
    }
    let answer = match request.send() {
        Ok(answer) => answer,
        Err(error) => return error.to_string(),
    };
    let location = answer.header("location");
    let location = location.as_deref().and_then(|it| it.split('?').next());
    match (answer.status, location, answer.header("set-cookie")) {
        (401, None, None) => "401, no cookie set".to_owned(),
        (status, None, Some(cookie)) => format!("{status}, {cookie}"),
        (status, Some(to), Some(cookie)) => {
            let name = cookie.split('=').next().unwrap_or_default();
            format!("{status} to {to}, {name} set")
        }
        (status, _, None) => status.to_string(),
    }
}

/// An Envoy with the tutorial's plugin, which asks this authorizer.
fn gateway(server: &AuthorizationServer, proxy: &Oauth2Proxy, tutorials: &[Tutorial]) -> Envoy {
    let plugin = Plugin::new(tutorials::plugin_config(tutorials));
    Envoy::builder(Version::V1_40)
        .cluster("httpbin", httpbin::shared().port())
        .cluster(AUTHORIZATION_SERVER, server.port())
        .cluster(
            &format!("outbound|{}||127.0.0.1", server.port()),
            server.port(),
        )
        .cluster(AUTHORIZER, proxy.port)
        .listener(tutorials::listener(GATEWAY, tutorials).filter(plugin.discovered()))
        .start()
}

// === impl Oauth2Proxy ===

impl Oauth2Proxy {
    /// Starts it before the issuer `demo`; it answers when this returns.
    fn start(server: &AuthorizationServer, flags: &[&str]) -> Self {
        // It takes a port of the kernel, but does not say which.
        let port = bind(0).local_addr().expect("a bound socket").port();
        let program = OAUTH2_PROXY.path();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new(&program);
        command.args(FLAGS).args(flags);
        command.arg(format!("--client-id={DEMO_CLIENT}"));
        command.arg(format!("--oidc-issuer-url={}", server.issuer("demo").iss));
        command.arg(format!("--http-address=127.0.0.1:{port}"));
        let mut process = Process::start(&mut command, &folder.path().join("oauth2-proxy.log"))
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", program.display()));
        let client = Client::new(port);
        let answers = wait::until(PATIENCE, || {
            let ended = process.ended().is_some();
            assert!(!ended, "oauth2-proxy ended:\n{}", process.log_tail(20));
            client.get("/ping").send().ok()
        });
        assert!(answers.is_some(), "{}", process.log_tail(20));
        Oauth2Proxy {
            port,
            _process: process,
            _folder: folder,
        }
    }
}
