//! One worker of the gateway with fresh caches, put to one request: it looks, asks and looks again, as
//! the plugin does, until there is a verdict.
//!
//! It opens no connection: who asks says, as an [`Outside`], what the outside world answers.

use crate::cache::Caches;
use crate::call::{Call, HttpReply, answered};
use crate::decide::{Answers, Step, decide};
use crate::keys::{KeySource, Keys};
use crate::policy::Policy;
use crate::request::Request;
use crate::token::signature::PureRust;
use crate::verdict::Decision;
use std::time::Duration;

/// What a worker knows.
pub(super) struct Worker {
    pub keys: Keys,
    pub caches: Caches,
    /// What was answered to the request so far.
    pub answers: Answers,
    /// The clock, as time since the Unix epoch.
    pub now: Duration,
}

/// The outside world.
pub(super) trait Outside {
    /// Why there is no answer, not even that nobody is there.
    type Halt: From<String>;

    /// Fetches the keys that are due.
    fn fetch_keys(&mut self, keys: &mut Keys, now: Duration) -> Result<(), Self::Halt>;

    /// The reply to a call; nothing, if nobody is there.
    fn reply(&mut self, call: &Call) -> Result<Option<HttpReply>, Self::Halt>;
}

/// More looks than this at one request mean that it would never end.
const MAX_LOOKS: usize = 16;

// === impl Worker ===

impl Worker {
    /// Before any request, with keys from these sources.
    pub(super) fn new(policy: &Policy, sources: &[KeySource], now: Duration) -> Self {
        let limits = &policy.limits;
        Self {
            keys: Keys::new(sources, limits, Box::new(PureRust), 0, &[]),
            caches: Caches::new(limits, &policy.introspection_providers, &[]),
            answers: Answers {
                trail: true,
                ..Answers::default()
            },
            now,
        }
    }

    /// What becomes of a request.
    pub(super) fn judge<O: Outside>(
        &mut self,
        policy: &Policy,
        request: &Request<'_>,
        outside: &mut O,
    ) -> Result<Decision, O::Halt> {
        let (keys, caches, now) = (&mut self.keys, &mut self.caches, self.now);
        for _ in 0..MAX_LOOKS {
            match decide(policy, keys, caches, request, &self.answers, now) {
                Step::Done(decision) => return Ok(decision),
                Step::Peer => return Err("nobody is gathered".to_owned().into()),
                Step::Wait(source) => {
                    outside.fetch_keys(keys, now)?;
                    self.answers.waited.push(source);
                }
                Step::Call(call) => {
                    let reply = outside.reply(&call)?;
                    let answer = answered(policy, caches, &call.question, reply, now);
                    self.answers.given.extend(answer);
                }
            }
        }
        Err(format!("undecided after {MAX_LOOKS} looks").into())
    }
}
