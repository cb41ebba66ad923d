//! Questions that a decision puts to somebody outside, as data: what to send, what came back.
//!
//! [`crate::decide`] asks, the shell sends, [`answered`] reads the reply. Nothing here waits.

use crate::authorizer::Ruling;
use crate::cache::{Caches, Introspected};
use crate::introspection::{Introspection, Outage};
use crate::policy::Policy;
use crate::request::Headers;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

/// A question, and the HTTP request that puts it.
#[derive(Clone, Debug)]
pub struct Call {
    /// What is asked.
    pub question: Question,
    /// The request.
    pub http: HttpCall,
}

/// What is asked. Equal questions about a token have one answer; an authorizer is asked about one
/// request, so that its answer is for that request alone.
#[derive(Clone, PartialEq, Eq)]
pub enum Question {
    /// Whether a token is active.
    Introspection {
        /// Index of the provider.
        provider: usize,
        /// The token.
        token: Rc<[u8]>,
        /// Scopes that the provider compares.
        scopes: Option<Box<str>>,
    },
    /// Whether a request may go on: index of the authorizer.
    Authorizer(usize),
}

/// An HTTP request. It may hold a token and a credential.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpCall {
    /// The Envoy cluster that it goes to.
    pub cluster: Box<str>,
    /// Its headers, pseudo-headers included.
    pub headers: Vec<(Box<str>, Vec<u8>)>,
    /// Its body.
    pub body: Vec<u8>,
    /// How long the answer may take.
    pub timeout: Duration,
}

/// An HTTP response.
#[derive(Debug)]
pub struct HttpReply {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: Headers,
    /// At most one byte more than [`MAX_REPLY`].
    pub body: Vec<u8>,
}

/// What came of a question.
#[derive(Clone, Debug)]
pub enum Answer {
    /// What is known of the token.
    Introspected(usize, Option<Box<str>>, Result<Introspection, Outage>),
    /// What the authorizer says.
    Ruled(usize, Rc<Ruling>),
}

/// The longest body of a reply, in bytes.
pub const MAX_REPLY: usize = 64 * 1024;

/// A request may put so many questions.
pub const MAX_CALLS: usize = 8;

/// Reads the reply to a question, and remembers what may be remembered. Without a reply, the cluster
/// is not there, or the reply broke off.
#[must_use]
pub fn answered(
    policy: &Policy,
    caches: &mut Caches,
    question: &Question,
    reply: Option<HttpReply>,
    now: Duration,
) -> Option<Answer> {
    match question {
        Question::Introspection {
            provider: index,
            token,
            scopes,
        } => {
            let provider = policy.introspection_providers.get(*index)?;
            let outcome = provider.read(reply);
            // Whether these scopes are granted is no fact about the token.
            if let (Ok(known), None, Some(cache)) =
                (&outcome, scopes, caches.introspected.get(*index))
                && let Some(until) = provider.believed_until(known, now)
            {
                let known = known.clone();
                cache.insert(token, Introspected { known, until });
            }
            Some(Answer::Introspected(*index, scopes.clone(), outcome))
        }
        Question::Authorizer(index) => {
            let authorizer = policy.authorizers.get(*index)?;
            Some(Answer::Ruled(*index, Rc::new(authorizer.read(reply))))
        }
    }
}

/// What came in place of an answer, in words.
pub(crate) fn no_answer(reply: Option<&HttpReply>) -> Rc<str> {
    match reply.map(|reply| reply.status) {
        None => "no connection, or the reply broke off".into(),
        Some(503) => "status 503, or no connection".into(),
        Some(504) => "status 504, or no answer in time".into(),
        Some(status) => format!("status {status}").into(),
    }
}

// === impl Answer ===

impl Answer {
    /// Why it is none, if it is none, for the log: who was asked, and what came.
    #[must_use]
    pub fn trouble(&self, policy: &Policy) -> Option<String> {
        match self {
            Self::Introspected(provider, _, Err(outage)) => {
                let provider = policy.introspection_providers.get(*provider)?;
                Some(format!("introspection provider {provider}: {outage}"))
            }
            Self::Ruled(authorizer, ruling) => match ruling.as_ref() {
                Ruling::Failed(why) => {
                    let authorizer = policy.authorizers.get(*authorizer)?;
                    Some(format!("authorizer {authorizer}: {why}"))
                }
                Ruling::Allowed(_) | Ruling::Denied(_) => None,
            },
            Self::Introspected(_, _, Ok(_)) => None,
        }
    }
}

// === impl Question ===

impl Question {
    /// Whether requests that ask the same may share the answer.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        matches!(self, Self::Introspection { .. })
    }
}

/// Without the token.
impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Introspection { provider, .. } => write!(f, "Introspection({provider})"),
            Self::Authorizer(authorizer) => write!(f, "Authorizer({authorizer})"),
        }
    }
}

/// Without headers and body.
impl fmt::Debug for HttpCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpCall({}, {:?})", self.cluster, self.timeout)
    }
}
