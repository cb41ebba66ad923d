//! What was decided, and why. Every answer carries its reason and the rule that gave it.
//!
//! Reasons are a closed list, in [`Reason`].

mod reason;

pub use reason::{Class, Kind, Reason};

use crate::reply::Style;
use crate::trail::NearMiss;
use smallvec::SmallVec;
use std::fmt;
use std::rc::Rc;

/// The decision on a request.
#[derive(Debug)]
pub enum Verdict {
    /// It goes on, changed so.
    Allow(Allow),
    /// It is answered by us.
    Refuse(Refusal),
    /// It is a CORS preflight, and answered by us.
    Preflight(Response),
}

/// An answer in place of the upstream's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// Headers, beside those that the host adds.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Its body.
    pub body: Vec<u8>,
}

/// A verdict, and what is to be told about it.
#[derive(Debug)]
pub struct Decision {
    /// What becomes of the request.
    pub verdict: Verdict,
    /// What policies that do not decide say.
    pub notes: Vec<Note>,
    /// Which rules it matched.
    #[cfg(not(target_arch = "wasm32"))]
    pub matched: Matched,
}

/// Which rules a request matched, also those that did not decide it; empty unless somebody wants to
/// know the trail. Only the command tells them.
#[cfg(not(target_arch = "wasm32"))]
#[derive(Debug, Default)]
pub struct Matched {
    /// Rules of policies and of `apiRules`.
    pub rules: Vec<Rc<str>>,
    /// The `jwtRules` that verified a token, as indices into [`RuleNames::jwt_rules`].
    ///
    /// [`RuleNames::jwt_rules`]: crate::policy::RuleNames::jwt_rules
    pub jwt_rules: Vec<usize>,
}

/// What a policy that does not decide says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A policy with `dryRun` would have refused the request.
    WouldRefuse(Box<Refusal>),
    /// A rule of an `AUDIT` policy matches.
    Audited(Rc<str>),
    /// An `apiRules` entry with `dryRun` would have asked somebody: the rule, and whom.
    WouldAsk(Rc<str>, Box<str>),
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
    Remove(Name),
    /// This is the one line of this header, or pseudo-header; its value is printable ASCII, but for
    /// parts of what the client sent in it.
    Set(Name, Vec<u8>),
}

/// The name of a header; most need no memory of their own.
pub type Name = SmallVec<[u8; 16]>;

/// A request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// The rule that refused it, if it was a rule.
    pub rule: Option<Rc<str>>,
    /// The rule that came closest to allowing it, if none did and somebody wants to know.
    pub closest: Option<NearMiss>,
    /// How it looks.
    pub style: Style,
    /// Its status, where neither the reason nor the style decides it.
    pub status: Option<u16>,
    /// Headers that the answer has beside those of its style.
    pub headers: Vec<(&'static str, String)>,
    /// The scopes that would have been needed, separated by spaces.
    pub scopes: Option<Box<str>>,
    /// What somebody else answers in our place.
    pub response: Option<Box<Response>>,
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
            Self::WouldAsk(rule, whom) => write!(f, "dry run: {rule} would ask {whom}"),
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
            style: Style::default(),
            status: None,
            headers: Vec::new(),
            scopes: None,
            response: None,
        }
    }
}
