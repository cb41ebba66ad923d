//! One request: gather it, have it judged, do what the verdict says.
//!
//! Whatever goes wrong refuses. A paused request is in [`super::parked::Parked`], which has a
//! deadline for it.

use super::abi::{self, Failed, Map};
use super::root::Plugin;
use super::{connection, meter};
use crate::decide::{Answers, Step, decide};
use crate::meter::Counter;
use crate::reply::Reply;
use crate::request::{Connection, Headers, Request};
use crate::verdict::{Allow, Change, Decision, Note, Reason, Refusal, Verdict};
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;
use std::rc::Rc;
use std::time::Duration;

/// The context that the host makes for each request.
pub struct Filter {
    id: u32,
    /// Of the configuration that was in force when the request came.
    plugin: Option<Rc<Plugin>>,
    parked: bool,
}

/// What is known of a request, read from the host once.
pub struct Gathered {
    pub headers: Headers,
    pub connection: Connection,
}

/// What became of a request.
#[derive(PartialEq, Eq)]
pub enum Concluded {
    Allowed,
    Answered,
    Parked,
}

// === impl Filter ===

impl Filter {
    pub fn new(id: u32, plugin: Option<Rc<Plugin>>) -> Self {
        Self {
            id,
            plugin,
            parked: false,
        }
    }
}

impl Context for Filter {}

impl HttpContext for Filter {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let (Some(plugin), Some(headers)) = (&self.plugin, abi::headers(Map::Request)) else {
            refuse(&Reason::Internal.into(), None);
            return Action::Pause;
        };
        let connection = connection::gather(&plugin.policy.needs);
        let facts = Gathered {
            headers,
            connection,
        };
        let answers = Answers {
            trail: log::log_enabled!(log::Level::Debug),
            ..Answers::default()
        };
        match judge(plugin, self.id, facts, answers, abi::now()) {
            Concluded::Allowed => Action::Continue,
            Concluded::Answered => Action::Pause,
            Concluded::Parked => {
                self.parked = true;
                Action::Pause
            }
        }
    }
}

impl Drop for Filter {
    fn drop(&mut self) {
        if let (true, Some(plugin)) = (self.parked, &self.plugin)
            && let Ok(mut state) = plugin.state.try_borrow_mut()
        {
            state.parked.forget(self.id);
        }
    }
}

/// Judges a request that waited; its stream is the effective context.
pub fn conclude(plugin: &Plugin, id: u32, facts: Gathered, answers: Answers, now: Duration) {
    if judge(plugin, id, facts, answers, now) == Concluded::Allowed
        && abi::continue_request().is_err()
    {
        refuse(&Reason::Internal.into(), None);
    }
}

/// Has a request judged and does what the verdict says, but for letting it go on.
fn judge(plugin: &Plugin, id: u32, facts: Gathered, answers: Answers, now: Duration) -> Concluded {
    let request = match plugin.policy.read(&facts.headers, &facts.connection) {
        Ok(request) => request,
        Err(reason) => return refuse(&reason.into(), None),
    };
    let Ok(mut state) = plugin.state.try_borrow_mut() else {
        return refuse(&Reason::Internal.into(), Some(&request));
    };
    let state = &mut *state;
    match decide(
        &plugin.policy,
        &mut state.keys,
        &mut state.caches,
        &request,
        &answers,
        now,
    ) {
        Step::Done(Decision { verdict, notes }) => {
            notes.iter().for_each(tell);
            match verdict {
                Verdict::Refuse(refusal) => refuse(&refusal, Some(&request)),
                Verdict::Allow(allow) => match change(&allow) {
                    Ok(()) => Concluded::Allowed,
                    Err(_) => refuse(&Reason::Internal.into(), Some(&request)),
                },
            }
        }
        Step::Wait(source) => match state.parked.park(id, facts, answers, source, now) {
            true => Concluded::Parked,
            false => refuse(&Reason::Overloaded.into(), None),
        },
    }
}

/// Tells what policies that do not decide say; names of rules, nothing of the request.
fn tell(note: &Note) {
    meter::count(Counter::of(note));
    log::info!("{note}");
}

fn change(allow: &Allow) -> Result<(), Failed> {
    allow.changes.iter().try_for_each(|change| match change {
        Change::Remove(name) => abi::remove_header(name),
        Change::Set(name, value) => abi::set_header(name, value),
    })
}

fn refuse(refusal: &Refusal, request: Option<&Request<'_>>) -> Concluded {
    let reply = Reply::to(refusal, request);
    meter::count(Counter::Refused(refusal.reason));
    log::debug!("refused: {refusal}");
    // Should the host not take it, the request stays paused and never reaches the upstream.
    let _ = abi::send_local_response(reply.status, &reply.headers, reply.body, &reply.details);
    Concluded::Answered
}
