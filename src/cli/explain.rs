//! `portcullis explain`: what becomes of one request, and why.
//!
//! It judges with the plugin's own core, then tells the way that the decision took. It opens no
//! connection: what keys, authorization servers and authorizers say is given by options. `given` reads
//! the request, `curl` a command line, `credential` makes tokens that can be judged, `trail` walks
//! the rules, `why` says what each condition saw, `advice` what to do, `report` prints it.

mod advice;
mod credential;
mod curl;
mod given;
mod outside;
mod report;
mod secrets;
mod trail;
mod why;

use super::Exit;
use super::worker::Worker;
use crate::config::{Config, Fault};
use crate::policy::Policy;
use credential::Credential;
use given::Given;
use outside::{Halt, World};
use report::{Report, Undecided, Verdicts};
use secrets::Secrets;
use std::path::PathBuf;

/// Explain what becomes of a request: the verdict, and every rule that was considered.
///
/// The configuration is a pluginConfig or a WasmPlugin resource, as YAML or JSON. The request is
/// given by options, or as a `curl` command line. No connection is opened: a token whose keys are
/// not at hand (`--jwks`, or `jwks` in the configuration) is judged as if its signature were good,
/// which the answer says.
#[derive(clap::Args)]
#[command(after_help = EXAMPLE, after_long_help = LONG_HELP)]
pub(super) struct Arguments {
    /// The configuration.
    #[arg(value_name = "CONFIG")]
    config: PathBuf,

    /// The URL as a caller would write it, with scheme and host.
    #[arg(
        value_name = "URL",
        required_unless_present = "curl",
        conflicts_with = "curl"
    )]
    url: Option<String>,

    /// A whole `curl` command line in place of method, URL and headers.
    ///
    /// Variables in capitals, such as `$TOKEN`, are filled from the environment. curl's own options
    /// are read; one that is not known is an error.
    #[arg(long, value_name = "COMMAND")]
    curl: Option<String>,

    /// The method.
    #[arg(
        short = 'X',
        long,
        visible_alias = "request",
        value_name = "METHOD",
        default_value = "GET",
        conflicts_with = "curl"
    )]
    method: String,

    /// A header; several are given one by one.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,

    /// A token, sent as `Authorization: Bearer TOKEN`, or wherever `{token}` stands in a header or
    /// in the URL.
    #[arg(long, value_name = "TOKEN", help_heading = "Token")]
    token: Option<String>,

    /// The claims of a token in place of the token: JSON, or `@FILE`.
    ///
    /// A token with these claims is made, and signed so that it is good. Times may be relative to
    /// the clock: `"exp": "now+60"`.
    #[arg(
        long,
        value_name = "JSON",
        conflicts_with = "token",
        help_heading = "Token"
    )]
    claims: Option<String>,

    /// The key set of the issuer, as it would be fetched from `jwksUri`: then the signature is
    /// checked.
    #[arg(long, value_name = "FILE", help_heading = "Token")]
    jwks: Option<PathBuf>,

    /// Suppose that keys cannot be fetched.
    #[arg(long, conflicts_with = "jwks", help_heading = "Token")]
    keys_unavailable: bool,

    /// The client certificate, as PEM.
    #[arg(long, value_name = "FILE", help_heading = "Connection")]
    cert: Option<PathBuf>,

    /// The subject of the client certificate in place of the certificate, such as `CN=ada,O=Example`.
    ///
    /// Of a certificate that is given so, what is not given is taken as not there.
    #[arg(
        long,
        value_name = "DN",
        conflicts_with = "cert",
        help_heading = "Connection"
    )]
    peer_subject: Option<String>,

    /// Its issuer.
    #[arg(
        long,
        value_name = "DN",
        requires = "peer_subject",
        help_heading = "Connection"
    )]
    peer_issuer: Option<String>,

    /// A URI among its alternative names.
    #[arg(
        long,
        value_name = "URI",
        requires = "peer_subject",
        help_heading = "Connection"
    )]
    peer_uri_san: Vec<String>,

    /// A DNS name among its alternative names.
    #[arg(
        long,
        value_name = "NAME",
        requires = "peer_subject",
        help_heading = "Connection"
    )]
    peer_dns_san: Vec<String>,

    /// Its SHA-256, in hexadecimal digits.
    #[arg(
        long,
        value_name = "HEX",
        requires = "peer_subject",
        help_heading = "Connection"
    )]
    peer_sha256: Option<String>,

    /// The address of the client.
    #[arg(long, value_name = "IP[:PORT]", help_heading = "Connection")]
    source: Option<String>,

    /// The address of the gateway that the connection ended at, which `ports` is about.
    #[arg(long, value_name = "IP:PORT", help_heading = "Connection")]
    destination: Option<std::net::SocketAddr>,

    /// The server name of the TLS connection; the host of the URL, if not given.
    #[arg(long, value_name = "NAME", help_heading = "Connection")]
    sni: Option<String>,

    /// What the authorization server says of the token: the JSON of its reply or `@FILE`, or a
    /// status such as `401`, or `unreachable`.
    #[arg(long, value_name = "REPLY", help_heading = "What others say")]
    introspection: Option<String>,

    /// What the external authorizer says: a status, or `unreachable`. With a name before it, that
    /// one alone.
    #[arg(long, value_name = "[NAME=]STATUS", help_heading = "What others say")]
    authorizer: Vec<String>,

    /// The clock (RFC 3339); now, if not given.
    #[arg(long, value_name = "TIME", help_heading = "What others say")]
    now: Option<String>,

    /// Print JSON, for machines.
    #[arg(long)]
    json: bool,
}

const EXAMPLE: &str = "\
Example:
  portcullis explain wasmplugin.yaml https://api.example.com/orders/7 \\
    --claims '{\"iss\": \"https://idp.example.com\", \"sub\": \"ada\"}'

`--help` has more of them.";

const LONG_HELP: &str = "\
Examples:
  Why is this refused? Method, URL and headers as the caller sends them:
    portcullis explain wasmplugin.yaml -X POST https://api.example.com/orders -H 'x-tenant: a'

  What may somebody with these claims do? No token and no key is needed:
    portcullis explain wasmplugin.yaml https://api.example.com/orders/7 \\
      --claims '{\"iss\": \"https://idp.example.com\", \"sub\": \"ada\", \"exp\": \"now+60\"}'

  A token that was refused, with the keys that its issuer publishes:
    curl -s https://idp.example.com/jwks > jwks.json
    portcullis explain wasmplugin.yaml https://api.example.com/orders/7 \\
      --token \"$TOKEN\" --jwks jwks.json

  The command line that failed, pasted whole:
    portcullis explain wasmplugin.yaml --curl \\
      'curl -ik -X GET https://api.example.com/ --header \"Authorization:Bearer $TOKEN\"'

  A client certificate, from a file or told by its names:
    portcullis explain wasmplugin.yaml https://api.example.com/ --cert client.pem
    portcullis explain wasmplugin.yaml https://api.example.com/ \\
      --peer-subject CN=ada,O=Example --peer-dns-san ada.example.com

  What the authorization server or the authorizer would say:
    portcullis explain wasmplugin.yaml https://api.example.com/ --token t0ken \\
      --introspection '{\"active\": true, \"scope\": \"read\"}'
    portcullis explain wasmplugin.yaml https://api.example.com/ --authorizer opa=403

  For a script, JSON; the verdict alone is the exit code:
    portcullis explain wasmplugin.yaml https://api.example.com/ --json | jq -r .reason

What is printed:
  The verdict and its reason, then the way of the request in the order of the gateway: the
  request as it is read, the API rules of its authority, authorizers, tokens, policies (CUSTOM,
  AUDIT, DENY, ALLOW), and what changes for the upstream. Each rule is named as logs and metrics
  name it; below one that does not match stands the first condition that failed, what it
  demands, and the value that it saw. Steps behind the one that refuses are not reached and not
  shown. Tokens, secrets and cookies are never printed, claims only where a condition is about
  them.

Exit codes:
  0  the request is allowed (or a CORS preflight that is answered)
  1  could not run, or undecided until somebody else is asked; the output says what to give
  2  the request is refused
  3  the configuration has faults";

pub(super) fn run(arguments: &Arguments) -> Result<Exit, String> {
    let document = super::read_config(&arguments.config)?;
    let config = match Config::read(document.to_string().as_bytes()) {
        Ok(config) => config,
        Err(faults) => return Ok(faulty(arguments, &faults)),
    };
    let report = explain(arguments, config)?;
    match arguments.json {
        true => report.print_json(),
        false => report.print(),
    }
    Ok(report.exit())
}

/// Tells the faults of a configuration.
fn faulty(arguments: &Arguments, faults: &[Fault]) -> Exit {
    let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
    match arguments.json {
        true => println!(
            "{}",
            serde_json::json!({"verdict": "invalid configuration", "faults": faults})
        ),
        false => {
            let file = arguments.config.display();
            faults.iter().for_each(|fault| println!("{file}: {fault}"));
        }
    }
    Exit::InvalidConfiguration
}

fn explain(arguments: &Arguments, config: Config) -> Result<Report, String> {
    let mut given = Given::read(arguments, config.mesh.use_remote_address)?;
    let policy = Policy::compile(config);
    let connection = given.connection(arguments)?;
    let credential = Credential::ready(arguments, &policy, &mut given, &connection)?;
    let headers = policy.with_derived(given.headers()?, &connection);
    let mut secrets = Secrets::of(&headers);
    given.secrets.iter().for_each(|it| secrets.add(it));
    let mut report = Report::new(&given.spec, secrets);
    report.suppose(credential.supposed.iter().chain(&given.supposed));
    let request = match policy.read(&headers, &connection) {
        Ok(request) => request,
        Err(reason) => {
            report.steps.push(trail::unread(&headers));
            report.verdict = Verdicts::of_refusal(&reason.into(), None);
            return Ok(report);
        }
    };
    let mut world = World::read(arguments, &policy)?;
    let mut worker = Worker::new(&policy, &credential.sources, given.now);
    let judged = worker.judge(&policy, &request, &mut world);
    let verdict = match judged {
        Ok(decision) => Verdicts::of(decision, &request, &mut report.notes),
        Err(Halt::Unanswered(call)) => Verdicts::Undecided(Undecided::of(&policy, &call)),
        Err(Halt::Error(error)) => return Err(error),
    };
    let walk = trail::Walk::new(&policy, &worker, &request, &world);
    report.steps = walk.steps(&verdict);
    for token in walk.tokens() {
        report.secrets.add(&String::from_utf8_lossy(&token));
    }
    report.verdict = verdict;
    Ok(report)
}

#[cfg(test)]
mod tests;
