//! What Portcullis says of a request: the plugin's own core, with a world around it that answers from
//! the same facts as the model.

use super::model::Request;
use super::tokens::NOW;
use portcullis::cache::Caches;
use portcullis::call::{HttpReply, answered};
use portcullis::decide::{Answers, Step, decide};
use portcullis::keys::Keys;
use portcullis::policy::Policy;
use portcullis::request::{Connection, Headers};
use portcullis::token::signature::PureRust;
use portcullis::verdict::{Decision, Verdict};
use std::time::Duration;

/// A gateway with a policy.
pub struct Gateway {
    policy: Policy,
    keys: Keys,
    caches: Caches,
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Ours {
    /// The rule that lets it through.
    Allowed(String),
    /// Reason and rule.
    Refused(&'static str, String),
}

/// More looks than this at one request mean that it would never end.
const MAX_LOOKS: usize = 16;

// === impl Gateway ===

impl Gateway {
    pub fn new(policy: Policy) -> Self {
        Self {
            keys: Keys::new(
                &policy.key_sources,
                &policy.limits,
                Box::new(PureRust),
                0,
                &[],
            ),
            caches: Caches::new(&policy.limits, &policy.introspection_providers, &[]),
            policy,
        }
    }

    pub fn ask(&mut self, asked: &Request) -> Ours {
        let port = if asked.port == 80 { 8080 } else { 8443 };
        let connection = Connection {
            destination: Some(([10, 0, 0, 1], port).into()),
            remote: Some([192, 0, 2, 1].into()),
            sni: asked.sni.clone().into_bytes(),
            peer_known: true,
            ..Connection::default()
        };
        let headers = self.policy.with_derived(headers_of(asked), &connection);
        let request = match self.policy.read(&headers, &connection) {
            Ok(request) => request,
            Err(reason) => return Ours::Refused(reason.code(), String::new()),
        };
        let now = Duration::from_secs(NOW);
        let mut answers = Answers::default();
        for _ in 0..MAX_LOOKS {
            let (keys, caches) = (&mut self.keys, &mut self.caches);
            match decide(&self.policy, keys, caches, &request, &answers, now) {
                Step::Done(Decision { verdict, .. }) => {
                    return match verdict {
                        Verdict::Allow(allow) => {
                            Ours::Allowed(allow.rule.as_deref().unwrap_or_default().to_owned())
                        }
                        Verdict::Refuse(refusal) => {
                            let rule = refusal.rule.as_deref().unwrap_or_default().to_owned();
                            Ours::Refused(refusal.reason.code(), rule)
                        }
                        Verdict::Preflight(_) => {
                            panic!("no API rule answers preflights: {asked:?}")
                        }
                    };
                }
                Step::Peer => panic!("it is known who is connected"),
                Step::Wait(_) => panic!("every key is in the configuration"),
                Step::Call(call) => {
                    let refuses =
                        |name: &&&str| call.http.cluster.contains(&format!("|{name}.auth."));
                    let mut headers = Headers::default();
                    headers.push("x-role", b"guest");
                    let reply = HttpReply {
                        status: if asked.refused_by.iter().find(refuses).is_some() {
                            403
                        } else {
                            200
                        },
                        headers,
                        body: Vec::new(),
                    };
                    let answer = answered(
                        &self.policy,
                        &mut self.caches,
                        &call.question,
                        Some(reply),
                        now,
                    );
                    answers.given.extend(answer);
                }
            }
        }
        panic!("undecided after {MAX_LOOKS} looks: {asked:?}");
    }
}

fn headers_of(request: &Request) -> Headers {
    let mut headers = Headers::default();
    let scheme = if request.port == 80 { "http" } else { "https" };
    for (name, value) in [
        (":method", request.method.as_str()),
        (":scheme", scheme),
        (":authority", &request.authority),
        (":path", &request.path),
    ] {
        headers.push(name, value.as_bytes());
    }
    for (name, value) in &request.headers {
        headers.push(name, value.as_bytes());
    }
    headers
}
