//! Questions to others that are on their way: each is sent once, however many requests wait for it.
//!
//! [`super::http`] asks, [`super::root`] sends and takes the replies. A call belongs to the root
//! context, so that a client that leaves cannot take an answer away from others.

use crate::call::{Call, HttpCall, Question};
use crate::config::Limits;

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
