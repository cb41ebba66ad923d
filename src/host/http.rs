//! One request: gather it, have it judged, do what the verdict says.
//!
//! Whatever goes wrong refuses. A paused request is in [`super::parked::Parked`], which has a
//! deadline for it.

use super::abi::{self, Failed, Map};
use super::parked::Awaited;
use super::root::Plugin;
use super::{calls, connection, meter};
use crate::config::AccessLog;
use crate::decide::{Answers, Step, decide};
use crate::meter::{ALLOWED, Metric, NONE, PREFLIGHT};
use crate::reply::Reply;
use crate::request::{Connection, Headers, Request};
use crate::verdict::{Allow, Change, Decision, Note, Reason, Refusal, Verdict};
use std::rc::Rc;
use std::time::Duration;

/// What the host does with a request after a callback.
#[repr(u32)]
#[derive(Clone, Copy, Debug)]
pub enum Action {
    Continue = 0,
    Pause = 1,
}

/// What is known of a request, read from the host once.
pub struct Gathered {
    pub headers: Headers,
    pub connection: Connection,
}

/// So much longer than the call itself may take, a request waits for its answer.
const GRACE: Duration = Duration::from_secs(1);

/// The property that tells access logs of a decision.
const FILTER_STATE: &str = "portcullis";

/// What became of a request.
#[derive(PartialEq, Eq)]
pub enum Concluded {
    Allowed,
    Answered,
    Parked,
}

/// A request has come. Without a configuration, or if it cannot be read, it is refused.
pub fn on_request_headers(plugin: Option<&Rc<Plugin>>, id: u32) -> Action {
    let (Some(plugin), Some(headers)) = (plugin, abi::headers(Map::Request)) else {
        refuse(&Reason::Internal.into(), None);
        return Action::Pause;
    };
    let Ok(mut state) = plugin.state.try_borrow_mut() else {
        refuse(&Reason::Internal.into(), None);
        return Action::Pause;
    };
    let certificates = &mut state.certificates;
    let connection = connection::gather(&plugin.policy.needs, &headers, certificates);
    drop(state);
    let facts = Gathered {
        headers: plugin.policy.with_derived(headers, &connection),
        connection,
    };
    let answers = Answers {
        trail: log::log_enabled!(log::Level::Debug),
        ..Answers::default()
    };
    match judge(plugin, id, facts, answers, abi::now()) {
        Concluded::Allowed => Action::Continue,
        Concluded::Answered | Concluded::Parked => Action::Pause,
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

/// Has a request judged, does what the verdict says, but for letting it go on, and sends what is
/// to be asked.
fn judge(plugin: &Plugin, id: u32, facts: Gathered, answers: Answers, now: Duration) -> Concluded {
    let concluded = look(plugin, id, facts, answers, now);
    if concluded == Concluded::Parked {
        calls::send(plugin, now);
        // Whoever was asked for on the way belongs to the root; what follows is about the stream.
        let _ = abi::set_effective_context(id);
    }
    concluded
}

fn look(plugin: &Plugin, id: u32, facts: Gathered, answers: Answers, now: Duration) -> Concluded {
    let request = match plugin.policy.read(&facts.headers, &facts.connection) {
        Ok(request) => request,
        Err(reason) => return refuse(&reason.into(), None),
    };
    let Ok(mut borrowed) = plugin.state.try_borrow_mut() else {
        return refuse(&Reason::Internal.into(), Some(&request));
    };
    let state = &mut *borrowed;
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
                    Ok(()) => {
                        meter::allowed(allow.rule.as_ref());
                        if plugin.policy.access_log == AccessLog::All {
                            tell_access_log(allow.rule.as_deref(), ALLOWED, NONE);
                        }
                        Concluded::Allowed
                    }
                    Err(_) => refuse(&Reason::Internal.into(), Some(&request)),
                },
                Verdict::Preflight(response) => {
                    meter::count(Metric::decision(None, PREFLIGHT));
                    tell_access_log(None, PREFLIGHT, NONE);
                    send(&Reply::to_preflight(&response))
                }
            }
        }
        Step::Peer => {
            drop(request);
            let Gathered {
                headers,
                mut connection,
            } = facts;
            let certificates = &mut state.certificates;
            connection::gather_peer(&mut connection, false, &headers, certificates);
            let facts = Gathered {
                headers,
                connection,
            };
            drop(borrowed);
            look(plugin, id, facts, answers, now)
        }
        Step::Wait(_) | Step::Call(_) if !state.parked.has_room(&facts, (id, now)) => {
            refuse(&Reason::Overloaded.into(), None)
        }
        Step::Wait(source) => {
            let on = Awaited::Keys(source);
            let longest = (now, Duration::ZERO);
            state.parked.park(id, facts, answers, on, longest);
            Concluded::Parked
        }
        Step::Call(call) => {
            let longest = call.http.timeout.saturating_add(GRACE);
            let Some(call) = state.calls.ask(*call) else {
                return refuse(&Reason::Overloaded.into(), None);
            };
            let on = Awaited::Call(call);
            state.parked.park(id, facts, answers, on, (now, longest));
            Concluded::Parked
        }
    }
}

/// Tells what policies that do not decide say; names of rules, nothing of the request.
fn tell(note: &Note) {
    meter::count(Metric::note(note));
    log::info!("{note}");
}

fn change(allow: &Allow) -> Result<(), Failed> {
    allow.changes.iter().try_for_each(|change| match change {
        Change::Remove(name) => abi::remove_header(name),
        Change::Set(name, value) => abi::set_header(name, value),
    })
}

fn refuse(refusal: &Refusal, request: Option<&Request<'_>>) -> Concluded {
    let reason = refusal.reason;
    let (rule, outcome) = (refusal.rule.as_deref(), reason.class().name());
    meter::count(Metric::refusal(reason));
    meter::count(Metric::decision(rule, outcome));
    tell_access_log(rule, outcome, reason.code());
    log::debug!("refused: {refusal}");
    send(&Reply::to(refusal, request))
}

/// Tells access logs of a decision, in names of the configuration and fixed words.
fn tell_access_log(rule: Option<&str>, outcome: &'static str, reason: &'static str) {
    let told = [outcome, reason, rule.unwrap_or(NONE)].join(",");
    abi::set_property(FILTER_STATE, told.as_bytes());
}

fn send(reply: &Reply) -> Concluded {
    // Should the host not take it, the request stays paused and never reaches the upstream.
    let _ = abi::send_local_response(reply.status, &reply.headers, &reply.body, &reply.details);
    Concluded::Answered
}
