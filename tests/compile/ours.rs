//! What Portcullis says of a request: the plugin's own core, with a world around it that answers from
//! the same facts as the model.

use crate::kyma::Request;
use crate::kyma::tokens::Tokens;
use percent_encoding::percent_decode;
use portcullis::cache::Caches;
use portcullis::call::{HttpCall, HttpReply, Question, answered};
use portcullis::decide::{Answers, Step, decide};
use portcullis::keys::{FetchFailure, Keys, Reply};
use portcullis::policy::Policy;
use portcullis::reply::Reply as Response;
use portcullis::request::{Connection, Headers};
use portcullis::token::signature::PureRust;
use portcullis::verdict::{Decision, Verdict};
use std::time::Duration;

/// A gateway with a policy; it remembers what it has fetched and asked.
pub struct Gateway<'a> {
    policy: &'a Policy,
    keys: Keys,
    caches: Caches,
    tokens: &'a Tokens,
}

/// What becomes of a request.
#[derive(Debug, PartialEq)]
pub enum Ours {
    /// The rule that lets it through.
    Allowed(String),
    /// Status and reason.
    Refused(u16, &'static str),
}

/// More looks than this at one request mean that it would never end.
const MAX_LOOKS: usize = 16;

// === impl Gateway ===

impl<'a> Gateway<'a> {
    pub fn new(policy: &'a Policy, tokens: &'a Tokens) -> Self {
        Self {
            policy,
            keys: Keys::new(
                &policy.key_sources,
                &policy.limits,
                Box::new(PureRust),
                0,
                &[],
            ),
            caches: Caches::new(&policy.limits, &policy.introspection_providers, &[]),
            tokens,
        }
    }

    pub fn ask(&mut self, asked: &Request) -> Ours {
        let connection = Connection {
            peer_known: true,
            ..Connection::default()
        };
        let headers = self.policy.with_derived(headers_of(asked), &connection);
        let request = match self.policy.read(&headers, &connection) {
            Ok(request) => request,
            Err(reason) => return Ours::Refused(400, reason.code()),
        };
        let now = Duration::from_secs(self.tokens.now);
        let mut answers = Answers::default();
        for _ in 0..MAX_LOOKS {
            let step = decide(
                self.policy,
                &mut self.keys,
                &mut self.caches,
                &request,
                &answers,
                now,
            );
            match step {
                Step::Done(Decision { verdict, .. }) => {
                    return match verdict {
                        Verdict::Allow(allow) => {
                            Ours::Allowed(allow.rule.as_deref().unwrap_or_default().to_owned())
                        }
                        Verdict::Refuse(refusal) => {
                            let status = Response::to(&refusal, Some(&request)).status;
                            Ours::Refused(status, refusal.reason.code())
                        }
                        Verdict::Preflight(_) => panic!("no preflight was sent: {asked:?}"),
                    };
                }
                Step::Peer => panic!("it is known who is connected"),
                Step::Wait(source) => {
                    self.fetch(now);
                    answers.waited.push(source);
                }
                Step::Call(call) => {
                    let reply = self.answer(asked, &call.question, &call.http);
                    let answer = answered(
                        self.policy,
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

    fn fetch(&mut self, now: Duration) {
        for fetch in self.keys.due(now) {
            let uri = format!("https://{}{}", fetch.from.authority, fetch.from.path);
            let reply = self
                .tokens
                .key_set(&uri)
                .map(|keys| Reply::ok(keys.as_bytes()));
            self.keys
                .fetched(fetch.source, reply.ok_or(FetchFailure::NotSent), now);
        }
    }

    fn answer(&self, asked: &Request, question: &Question, http: &HttpCall) -> HttpReply {
        let reply = |status, body: String| HttpReply {
            status,
            headers: Headers::default(),
            body: body.into_bytes(),
        };
        match question {
            Question::Introspection { .. } => {
                let body = String::from_utf8_lossy(&http.body);
                let mut pairs = body.split('&').filter_map(|pair| pair.split_once('='));
                let token = pairs
                    .find(|(name, _)| *name == "token")
                    .map_or("", |(_, it)| it);
                let token = percent_decode(token.as_bytes()).decode_utf8_lossy();
                reply(200, self.tokens.introspect(&token).to_string())
            }
            Question::Authorizer(_) => {
                let refuses = |name: &String| http.cluster.contains(&format!("|{name}.auth."));
                let refused = asked.refused_by.iter().any(refuses);
                reply(if refused { 403 } else { 200 }, String::new())
            }
        }
    }
}

fn headers_of(request: &Request) -> Headers {
    let mut headers = Headers::default();
    for (name, value) in [
        (":method", &request.method),
        (":scheme", &"https".to_owned()),
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
