//! What others say of the request, as the options tell: authorization servers and authorizers.
//!
//! Nobody is asked. Where an option is missing, the decision waits for it.

use super::Arguments;
use crate::call::{Call, HttpReply, Question};
use crate::cli::worker::Outside;
use crate::keys::{FetchFailure, Keys};
use crate::policy::Policy;
use crate::request::Headers;
use serde_json::Value;
use std::time::Duration;

/// What the options say.
#[derive(Default)]
pub(super) struct World {
    introspection: Option<Reply>,
    /// By name, or for all.
    authorizers: Vec<(Option<String>, Reply)>,
    /// The names of the authorizers, by index.
    names: Vec<String>,
}

/// Why there is no verdict.
pub(super) enum Halt {
    /// Nobody has said what is answered.
    Unanswered(Box<Call>),
    /// It went wrong.
    Error(String),
}

/// What is answered.
#[derive(Clone)]
enum Reply {
    Unreachable,
    Status(u16),
    Body(String),
}

// === impl World ===

impl World {
    pub(super) fn read(arguments: &Arguments, policy: &Policy) -> Result<Self, String> {
        let names: Vec<_> = policy
            .authorizers
            .iter()
            .map(|it| it.name().to_owned())
            .collect();
        let introspection = arguments
            .introspection
            .as_deref()
            .map(Reply::of_introspection);
        let authorizers = arguments.authorizer.iter().map(|text| {
            let (name, status) = match text.split_once('=') {
                Some((name, status)) => (Some(name.to_owned()), status),
                None => (None, text.as_str()),
            };
            if let Some(unknown) = name.as_ref().filter(|name| !names.contains(name)) {
                let known = names.iter().map(|it| format!("`{it}`")).collect::<Vec<_>>();
                return Err(format!(
                    "`--authorizer`: no authorizer `{unknown}`; there are: {}",
                    known.join(", ")
                ));
            }
            let reply = Reply::of_status(status).ok_or_else(|| {
                format!("`--authorizer`: found `{status}`; allowed: a status such as `200` or `403`, or `unreachable`")
            })?;
            Ok((name, reply))
        });
        Ok(Self {
            introspection: introspection.transpose()?,
            authorizers: authorizers.collect::<Result<_, _>>()?,
            names,
        })
    }

    /// A member of what the authorization server says.
    pub(super) fn introspected(&self) -> Option<Value> {
        match self.introspection.as_ref()? {
            Reply::Body(text) => serde_json::from_str(text).ok(),
            Reply::Unreachable | Reply::Status(_) => None,
        }
    }

    fn authorizer(&self, index: usize) -> Option<&Reply> {
        let name = self.names.get(index);
        let named =
            |(known, _): &&(Option<String>, Reply)| known.is_some() && known.as_ref() == name;
        let every = |(known, _): &&(Option<String>, Reply)| known.is_none();
        let found = self.authorizers.iter().find(named);
        let found = found.or_else(|| self.authorizers.iter().find(every));
        found.map(|(_, reply)| reply)
    }
}

impl Outside for World {
    type Halt = Halt;

    fn fetch_keys(&mut self, keys: &mut Keys, now: Duration) -> Result<(), Halt> {
        for fetch in keys.due(now) {
            keys.fetched(fetch.source, Err(FetchFailure::NotSent), now);
        }
        Ok(())
    }

    fn reply(&mut self, call: &Call) -> Result<Option<HttpReply>, Halt> {
        let reply = match &call.question {
            Question::Introspection { .. } => self.introspection.as_ref(),
            Question::Authorizer(index) => self.authorizer(*index),
        };
        let Some(reply) = reply else {
            return Err(Halt::Unanswered(Box::new(call.clone())));
        };
        let answer = |status, body: &str| HttpReply {
            status,
            headers: Headers::default(),
            body: body.as_bytes().to_vec(),
        };
        Ok(match reply {
            Reply::Unreachable => None,
            Reply::Status(status) => Some(answer(*status, "")),
            Reply::Body(body) => Some(answer(200, body)),
        })
    }
}

// === impl Halt ===

impl From<String> for Halt {
    fn from(error: String) -> Self {
        Self::Error(error)
    }
}

// === impl Reply ===

impl Reply {
    fn of_status(text: &str) -> Option<Self> {
        if text == "unreachable" {
            return Some(Self::Unreachable);
        }
        let status = text.parse().ok().filter(|it| (100..600).contains(it));
        status.map(Self::Status)
    }

    fn of_introspection(text: &str) -> Result<Self, String> {
        if let Some(reply) = Self::of_status(text) {
            return Ok(reply);
        }
        let body = match text.strip_prefix('@') {
            Some(file) => {
                let read = std::fs::read_to_string(file);
                read.map_err(|error| format!("{file}: {error}"))?
            }
            None => text.to_owned(),
        };
        let is_object = serde_json::from_str::<Value>(&body).is_ok_and(|it| it.is_object());
        match is_object {
            true => Ok(Self::Body(body)),
            false => Err(
                "`--introspection` must be a JSON object such as `{\"active\": true}`, \
                          `@FILE` with one, a status, or `unreachable`"
                    .to_owned(),
            ),
        }
    }
}
