//! What was decided, and why. Every answer carries its reason and the rule that gave it.
//!
//! Reasons are a closed list, in [`Reason`].

mod reason;

pub use reason::{Class, Reason};

use crate::trail::NearMiss;
use std::fmt;
use std::rc::Rc;

/// The decision on a request.
#[derive(Debug)]
pub enum Verdict {
    /// It goes on, changed so.
    Allow(Allow),
    /// It is answered by us.
    Refuse(Refusal),
}

/// A verdict, and what is to be told about it.
#[derive(Debug)]
pub struct Decision {
    /// What becomes of the request.
    pub verdict: Verdict,
    /// What policies that do not decide say.
    pub notes: Vec<Note>,
}

/// What a policy that does not decide says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A policy with `dryRun` would have refused the request.
    WouldRefuse(Refusal),
    /// A rule of an `AUDIT` policy matches.
    Audited(Rc<str>),
}

/// A request goes on.
#[derive(Debug, Default)]
pub struct Allow {
    /// What is changed before it does, in order.
    pub changes: Vec<Change>,
    /// The rule that allowed it, if one was needed.
    pub rule: Option<Rc<str>>,
}

/// A change to the request that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Every line of this header goes.
    Remove(Vec<u8>),
    /// This is the one line of this header, or pseudo-header; its value is printable ASCII, but for
    /// parts of what the client sent in it.
    Set(Vec<u8>, Vec<u8>),
}

/// A request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// The rule that refused it, if it was a rule.
    pub rule: Option<Rc<str>>,
    /// The rule that came closest to allowing it, if none did and somebody wants to know.
    pub closest: Option<NearMiss>,
}

// === impl Refusal ===

impl Refusal {
    /// A rule refuses.
    pub(crate) fn by(reason: Reason, rule: Rc<str>) -> Self {
        Self {
            rule: Some(rule),
            ..reason.into()
        }
    }
}

/// For the log: names of rules and fields, nothing of the request.
impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Audited(rule) => write!(f, "audit: {rule}"),
            Self::WouldRefuse(refusal) => write!(f, "dry run: would be refused: {refusal}"),
        }
    }
}

/// For the log: names of rules and fields, nothing of the request.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = self.rule.as_deref().unwrap_or("none");
        write!(f, "{}, matched rule {rule}", self.reason)?;
        match &self.closest {
            Some(closest) => write!(f, "; {closest}"),
            None => Ok(()),
        }
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self {
            reason,
            rule: None,
            closest: None,
        }
    }
}
