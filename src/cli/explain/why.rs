//! Why a condition holds or does not: the field or key as Istio names it, what the configuration
//! demands there, and the value that it saw.
//!
//! Whether a condition holds is the core's own answer; here it is only put into words.

use super::secrets::{is_secret_name, shown, shown_target};
use crate::identity::Identity;
use crate::policy::{Condition, Facts, Predicate, RequiredScopes, Truth};
use crate::request::Peer;
use serde::Serialize;
use serde_json::Value;

/// One condition, and what it saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Why {
    /// The field or key, as an operator writes it.
    pub field: String,
    /// The values that are demanded (one of them), or excluded.
    pub demands: Vec<String>,
    /// Whether none of them may be there.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub excluded: bool,
    /// The value in the request, in words.
    pub saw: String,
}

/// The fields of Istio that have a negative of their own.
const WITH_NEGATIVE: [&str; 8] = [
    "hosts",
    "methods",
    "paths",
    "ports",
    "principals",
    "requestPrincipals",
    "ipBlocks",
    "remoteIpBlocks",
];

/// What a header is compared with where the value must not be shown.
const HIDDEN: &str = "(hidden)";

/// What a condition lacks; of several alternatives, what each lacks. Nothing, if it holds.
pub(super) fn lacks(condition: &Condition, facts: &Facts<'_>) -> Vec<Why> {
    if condition.truth(facts) == Truth::True {
        return Vec::new();
    }
    match condition {
        Condition::All(parts) => {
            let is = |truth: Truth| parts.iter().find(|part| part.truth(facts) == truth);
            let first = is(Truth::False).or_else(|| is(Truth::Unknown));
            first.map(|part| lacks(part, facts)).unwrap_or_default()
        }
        Condition::Any(parts) => match values_of_one_field(parts) {
            Some(values) => vec![Why::of(&values, false, facts)],
            None => distinct(parts.iter().flat_map(|part| lacks(part, facts))),
        },
        Condition::Not(part) => excluded(part, facts),
        Condition::Is(predicate) => vec![Why::of(&[predicate], false, facts)],
    }
}

/// What makes a condition hold, or not be told.
pub(super) fn holds(condition: &Condition, facts: &Facts<'_>) -> Vec<Why> {
    match condition {
        Condition::All(parts) => distinct(parts.iter().flat_map(|part| holds(part, facts))),
        Condition::Any(parts) => {
            let is = |truth: Truth| parts.iter().find(|part| part.truth(facts) == truth);
            let first = is(Truth::True).or_else(|| is(Truth::Unknown));
            first.map(|part| holds(part, facts)).unwrap_or_default()
        }
        Condition::Not(part) => excluded(part, facts),
        Condition::Is(predicate) => vec![Why::of(&[predicate], false, facts)],
    }
}

fn excluded(part: &Condition, facts: &Facts<'_>) -> Vec<Why> {
    let values = match part {
        Condition::Is(predicate) => Some(vec![predicate]),
        Condition::Any(parts) => values_of_one_field(parts),
        Condition::All(_) | Condition::Not(_) => None,
    };
    let values = values.into_iter();
    values.map(|it| Why::of(&it, true, facts)).collect()
}

/// The values of a field, if that is all that the alternatives are.
fn values_of_one_field(parts: &[Condition]) -> Option<Vec<&Predicate>> {
    let values = parts.iter().map(|part| match part {
        Condition::Is(predicate) => Some(predicate),
        _ => None,
    });
    let values: Vec<_> = values.collect::<Option<_>>()?;
    let field = values.first()?.field();
    values
        .iter()
        .all(|it| it.field() == field)
        .then_some(values)
}

fn distinct(all: impl Iterator<Item = Why>) -> Vec<Why> {
    let mut known = Vec::new();
    for why in all {
        if !known.contains(&why) {
            known.push(why);
        }
    }
    known
}

// === impl Why ===

impl Why {
    /// A demand that is no condition of a policy.
    pub(super) fn new(field: &str, demands: Vec<String>, saw: String) -> Self {
        Self {
            field: field.to_owned(),
            demands,
            excluded: false,
            saw,
        }
    }

    fn of(values: &[&Predicate], excluded: bool, facts: &Facts<'_>) -> Self {
        let field = values.first().map(|it| it.field()).unwrap_or_default();
        let field = match excluded {
            true if WITH_NEGATIVE.contains(&field.as_str()) => {
                let mut letters = field.chars();
                let first = letters.next().map(|it| it.to_ascii_uppercase());
                format!("not{}{}", first.unwrap_or_default(), letters.as_str())
            }
            true => format!("{field} notValues"),
            false => field,
        };
        let hidden = values.iter().any(|it| match it {
            Predicate::Header(name, _) => is_secret_name(name),
            _ => false,
        });
        let demands = values.iter().map(|it| match hidden {
            true => HIDDEN.to_owned(),
            false => it.demanded(),
        });
        Self {
            field,
            demands: demands.collect(),
            excluded,
            saw: values.first().map(|it| saw(it, facts)).unwrap_or_default(),
        }
    }
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { field, saw, .. } = self;
        let verb = if self.excluded { "excludes" } else { "demands" };
        let demands: Vec<_> = self.demands.iter().map(|it| format!("`{it}`")).collect();
        match demands.as_slice() {
            [] => write!(f, "{field}: {saw}"),
            values => write!(f, "`{field}` {verb} {}, saw {saw}", values.join(" or ")),
        }
    }
}

/// What a fact is, in words.
fn saw(predicate: &Predicate, facts: &Facts<'_>) -> String {
    let connection = facts.connection;
    match predicate {
        Predicate::Authority(_) => shown(facts.authority),
        Predicate::Method(_) => shown(facts.method),
        Predicate::Path(_) => shown(facts.path.bytes),
        Predicate::Target(_) => shown_target(facts.target),
        Predicate::Port(_) => match connection.destination {
            Some(destination) => format!("`{}`", destination.port()),
            None => not_given("--destination IP:PORT"),
        },
        Predicate::DestinationIp(_) => match connection.destination {
            Some(destination) => format!("`{}`", destination.ip()),
            None => not_given("--destination IP:PORT"),
        },
        Predicate::Header(name, _) => header(name, facts),
        Predicate::RequestPrincipal(_) => principal(facts.identity),
        Predicate::Claim(path, _) => claim(path, facts.identity),
        Predicate::Scopes(_) => scopes(facts.identity),
        Predicate::Peer(fact, _) => peer(connection.peer.as_ref(), |peer| {
            let certificate = peer.certificate.as_deref();
            use crate::policy::PeerFact;
            match fact {
                PeerFact::Subject(_) => shown(&peer.subject),
                PeerFact::Issuer(_) => match certificate {
                    Some(it) => shown(it.issuer.as_bytes()),
                    None => not_given("--cert or --peer-issuer"),
                },
                PeerFact::Uri => names(peer.uris().collect()),
                PeerFact::Dns => names(peer.dns().collect()),
                PeerFact::Sha256 => match peer.sha256 {
                    Some(digest) => format!("`{}`", crate::peer::hex(&digest)),
                    None => not_given("--cert or --peer-sha256"),
                },
            }
        }),
        Predicate::Derived(_, format, _) => peer(connection.peer.as_ref(), |peer| {
            match format.of_peer(peer) {
                Some(told) => shown(&told),
                None => "a value of the certificate that cannot be told".to_owned(),
            }
        }),
        Predicate::Principal(_) => peer(connection.peer.as_ref(), |peer| {
            let subject = Some(peer.subject.as_slice()).filter(|it| !it.is_empty());
            names(peer.uris().chain(peer.dns()).chain(subject).collect())
        }),
        Predicate::SourceIp(_) => match facts.headers.last_forwarded_for() {
            Some(address) => format!("`{address}`"),
            None => not_given("--source IP"),
        },
        Predicate::RemoteIp(_) => match connection.remote {
            Some(address) => format!("`{address}`"),
            None => not_given("--source IP"),
        },
        Predicate::Sni(_) => match connection.sni.as_slice() {
            [] => "no server name".to_owned(),
            name => shown(name),
        },
        Predicate::Metadata(..) | Predicate::MetadataList(..) => {
            "nothing: what other filters leave is not known here".to_owned()
        }
    }
}

fn not_given(option: &str) -> String {
    format!("nothing, so it cannot be told; give `{option}`")
}

fn header(name: &str, facts: &Facts<'_>) -> String {
    let lines: Vec<_> = facts.headers.all(name).collect();
    match lines.as_slice() {
        [] => "no such header".to_owned(),
        _ if is_secret_name(name) => HIDDEN.to_owned(),
        lines => names(lines.to_vec()),
    }
}

fn names(names: Vec<&[u8]>) -> String {
    match names.as_slice() {
        [] => "none".to_owned(),
        names => names
            .iter()
            .map(|it| shown(it))
            .collect::<Vec<_>>()
            .join(", "),
    }
}

fn peer(peer: Option<&Peer>, of: impl Fn(&Peer) -> String) -> String {
    peer.map_or_else(|| "no client certificate".to_owned(), of)
}

/// Where no token was accepted.
const NOBODY: &str = "no verified token";

fn principal(identity: Option<&Identity>) -> String {
    let Some(identity) = identity else {
        return NOBODY.to_owned();
    };
    match (identity.issuer(), identity.subject()) {
        (None, _) => "a token without `iss`".to_owned(),
        (_, None | Some("")) => "a token without `sub`, which has no principal".to_owned(),
        (Some(issuer), Some(subject)) => shown(format!("{issuer}/{subject}").as_bytes()),
    }
}

fn claim(path: &[String], identity: Option<&Identity>) -> String {
    let Some(identity) = identity else {
        return NOBODY.to_owned();
    };
    match identity.claim(path) {
        None => "no such claim".to_owned(),
        Some(value) => of_claim(value),
    }
}

/// A claim that a condition has compared.
pub(super) fn of_claim(value: &Value) -> String {
    let text = shown(value.to_string().as_bytes());
    match value {
        Value::String(text) => shown(text.as_bytes()),
        Value::Array(_) => text,
        _ => format!("{text}, which is neither a text nor a list of texts"),
    }
}

fn scopes(identity: Option<&Identity>) -> String {
    let Some(identity) = identity else {
        return NOBODY.to_owned();
    };
    let granted = RequiredScopes::granted(identity);
    let granted: Vec<_> = granted
        .map(|(name, value)| format!("`{name}`: {}", shown(value.to_string().as_bytes())))
        .collect();
    match granted.is_empty() {
        true => "none of the claims `scp`, `scope` and `scopes`".to_owned(),
        false => granted.join(", "),
    }
}
