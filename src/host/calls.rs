//! Questions to others that are on their way: each is sent once, however many requests wait for it.
//!
//! [`super::http`] asks and has them sent, [`super::root`] brings the replies. A call belongs to the
//! root context, so that a client that leaves cannot take an answer away from others.

use super::abi::{self, Buffer};
use super::meter;
use super::parked::Awaited;
use super::root::{Plugin, resume, status};
use crate::call::{Call, HttpCall, HttpReply, MAX_REPLY, Question, answered};
use crate::config::Limits;
use crate::meter::Metric;
use crate::request::Headers;
use std::time::Duration;

/// The calls of a configuration on one worker.
pub struct Calls {
    /// So many are on their way at a time, also if nobody waits for them any more.
    most: usize,
    next: u64,
    /// Asked for, and not sent yet.
    queued: Vec<(u64, HttpCall)>,
    /// Not answered yet. There are never so many that it would be worth more than a list.
    open: Vec<Open>,
}

struct Open {
    id: u64,
    /// By which the host knows it, once it was sent.
    token: Option<u32>,
    question: Question,
}

/// So many questions about tokens are on their way at a time.
const MAX_SHARED: usize = 256;
/// So long the same trouble is not told again.
const QUIET: Duration = Duration::from_secs(1);

// === impl Calls ===

impl Calls {
    pub fn new(limits: &Limits) -> Self {
        Self {
            most: limits.parked_requests,
            next: 0,
            queued: Vec::new(),
            open: Vec::new(),
        }
    }

    /// Has a question sent, or finds the same one on its way; its number. `None` if there are too
    /// many.
    pub fn ask(&mut self, call: Call) -> Option<u64> {
        let Call { question, http } = call;
        if question.is_shared() {
            let shared = self.open.iter().filter(|it| it.question.is_shared());
            if let Some(same) = shared.clone().find(|it| it.question == question) {
                return Some(same.id);
            }
            if shared.count() >= MAX_SHARED {
                return None;
            }
        }
        if self.open.len() >= self.most {
            return None;
        }
        let id = self.next;
        self.next = self.next.wrapping_add(1);
        self.open.push(Open {
            id,
            token: None,
            question,
        });
        self.queued.push((id, http));
        Some(id)
    }

    /// What is to be sent now.
    pub fn take_queued(&mut self) -> Vec<(u64, HttpCall)> {
        std::mem::take(&mut self.queued)
    }

    /// Notes that a call is on its way, under the host's token for it.
    pub fn sent(&mut self, id: u64, token: u32) {
        let mut open = self.open.iter_mut();
        if let Some(call) = open.find(|it| it.id == id) {
            call.token = Some(token);
        }
    }

    /// The call that the host has a reply for.
    pub fn by_token(&self, token: u32) -> Option<u64> {
        let mut open = self.open.iter();
        open.find(|it| it.token == Some(token)).map(|it| it.id)
    }

    /// Ends a call, and gives its question.
    pub fn end(&mut self, id: u64) -> Option<Question> {
        let at = self.open.iter().position(|it| it.id == id)?;
        Some(self.open.swap_remove(at).question)
    }
}

/// Takes the reply to a call, and asks again for those who wait for it.
pub fn replied(plugin: &Plugin, token: u32, headers: Option<Headers>, body_size: usize) {
    let call = match plugin.state.try_borrow_mut() {
        Ok(state) => state.calls.by_token(token),
        Err(_) => None,
    };
    let Some(call) = call else { return };
    let reply = headers.and_then(|headers| {
        let status = status(headers.all(":status").next()?);
        let most = body_size.min(MAX_REPLY.saturating_add(1));
        Some(HttpReply {
            status,
            headers,
            body: abi::buffer(Buffer::HttpCallResponseBody, most),
        })
    });
    end(plugin, call, reply, abi::now());
}

/// Ends a call, and asks again for those who wait for it; without a reply, nobody has answered.
pub fn end(plugin: &Plugin, call: u64, reply: Option<HttpReply>, now: Duration) {
    let answer = match plugin.state.try_borrow_mut() {
        Ok(mut state) => {
            let state = &mut *state;
            let question = state.calls.end(call);
            let answered =
                |question| answered(&plugin.policy, &mut state.caches, &question, reply, now);
            question.and_then(answered)
        }
        Err(_) => None,
    };
    let answered = answer.as_ref();
    let counter = answered.and_then(|it| Metric::answer(it, &plugin.policy));
    counter.into_iter().for_each(meter::count);
    if let Some(trouble) = answered.and_then(|it| it.trouble(&plugin.policy)) {
        tell_trouble(plugin, trouble, now);
    }
    resume(plugin, now, answer.as_ref(), |waiting| {
        waiting.on == Awaited::Call(call)
    });
}

/// Warns of somebody who does not answer; of the same trouble once in a while, since every request may
/// meet it.
fn tell_trouble(plugin: &Plugin, trouble: String, now: Duration) {
    let Ok(mut state) = plugin.state.try_borrow_mut() else {
        return;
    };
    let told = |(known, until): &(String, Duration)| *known == trouble && now < *until;
    if !state.told.as_ref().is_some_and(told) {
        log::warn!("{trouble}");
        state.told = Some((trouble, now.saturating_add(QUIET)));
    }
}

/// Sends what was asked for, as calls of the root context, which outlives every request. It is the
/// effective one after that.
pub fn send(plugin: &Plugin, now: Duration) {
    let calls = match plugin.state.try_borrow_mut() {
        Ok(mut state) => state.calls.take_queued(),
        Err(_) => return,
    };
    for (id, http) in calls {
        let headers = http.headers.iter();
        let headers: Vec<_> = headers
            .map(|(name, value)| (name.as_bytes(), value.as_slice()))
            .collect();
        let sent = abi::set_effective_context(plugin.root)
            .and_then(|()| abi::http_call(&http.cluster, &headers, &http.body, http.timeout));
        match sent {
            Ok(token) => {
                if let Ok(mut state) = plugin.state.try_borrow_mut() {
                    state.calls.sent(id, token);
                }
            }
            Err(_) => end(plugin, id, None, now),
        }
    }
}
