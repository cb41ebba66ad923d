//! What the matches of routes ask of a request.

use super::gateways::Gateways;
use crate::cli::compile::Context;
use crate::cli::compile::resource::{Reading, Resource};
use crate::cli::yaml::Node;

/// Which paths an arm takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArmPath {
    /// Every path.
    Any,
    /// This one.
    Exact(String),
    /// Those that begin so.
    Prefix(String),
    /// Those that an expression matches, or letters in any case: not to be told by patterns.
    Other,
}

/// A match of a route, before it is known what becomes of its requests.
#[derive(Clone)]
pub struct Matched {
    /// Which paths it takes.
    pub path: ArmPath,
    /// Whether `uri` is given at all.
    pub has_uri: bool,
    /// Whether anything but the path is matched, too.
    pub conditional: bool,
}

/// The matches of a route in `owner` that can be met at our gateway.
pub fn matches(
    route: &Node,
    owner: &Resource,
    service: &Resource,
    context: &Context<'_>,
    gateways: &Gateways<'_>,
) -> Vec<Matched> {
    let reading = context.reading(owner);
    let matches = route.get("match").map_or(&[][..], Node::items);
    if matches.is_empty() {
        return vec![Matched {
            path: ArmPath::Any,
            has_uri: false,
            conditional: false,
        }];
    }
    let mut found = Vec::new();
    for node in matches {
        let (here, everywhere) = gateways.match_at(node, owner, service);
        if !here {
            continue;
        }
        for (name, value) in node.members() {
            if name.name == "headers" || name.name == "withoutHeaders" {
                warn_of_claims(reading, value);
            }
        }
        let (path, conditional) = matched(node);
        found.push(Matched {
            path,
            has_uri: node.get("uri").is_some(),
            conditional: conditional || !everywhere,
        });
    }
    found
}

/// Native routing by claims knows only tokens that Istio itself has verified.
fn warn_of_claims(reading: Reading<'_>, headers: &Node) {
    for (name, value) in headers.members() {
        if name.name.starts_with("@request.auth.claims") {
            reading.warning(
                value,
                format!("`{}` routes by a token that Istio verified, and sees none of ours", name.name),
                "keep the RequestAuthentication at the gateway for this route, or route by a header \
                 of `outputClaimToHeaders`",
            );
        }
    }
}

/// The paths of one match, and whether it asks for more.
fn matched(found: &Node) -> (ArmPath, bool) {
    let any_case = found.get("ignoreUriCase");
    let any_case = any_case.is_some_and(|it| it.to_json() == true);
    let path = match found.get("uri") {
        None => ArmPath::Any,
        Some(_) if any_case => ArmPath::Other,
        Some(uri) => {
            let text = |name| uri.get(name).and_then(Node::text).map(str::to_owned);
            match (text("exact"), text("prefix")) {
                (Some(exact), None) => ArmPath::Exact(exact),
                (None, Some(prefix)) if prefix == "/" => ArmPath::Any,
                (None, Some(prefix)) => ArmPath::Prefix(prefix),
                _ => ArmPath::Other,
            }
        }
    };
    let path = match path {
        // Letters that mean something else in a policy's paths.
        ArmPath::Exact(text) | ArmPath::Prefix(text) if text.contains(['*', '{', '}']) => {
            ArmPath::Other
        }
        path => path,
    };
    // Which Gateways are meant is looked at elsewhere.
    let plain = ["name", "uri", "ignoreUriCase", "gateways", "statPrefix"];
    let mut members = found.members().iter();
    let conditional =
        members.any(|(key, value)| !plain.contains(&key.name.as_str()) && !value.is_null());
    (path, conditional)
}

// === impl Matched ===

impl Matched {
    /// What is both here and in the match of a route that delegates; none, if Istio does not take it
    /// for a part of that.
    pub fn within(&self, outer: &Self) -> Option<Self> {
        let path = match (outer.has_uri, self.has_uri) {
            (false, _) => self.path.clone(),
            (_, false) => outer.path.clone(),
            _ => match (&outer.path, &self.path) {
                (ArmPath::Other, _) | (_, ArmPath::Other) => ArmPath::Other,
                (one, other) if one.covers(other) => self.path.clone(),
                _ => return None,
            },
        };
        Some(Self {
            path,
            has_uri: outer.has_uri || self.has_uri,
            conditional: outer.conditional || self.conditional,
        })
    }
}

// === impl ArmPath ===

impl ArmPath {
    /// As a pattern of Istio's policies; `None` if it has none.
    pub fn pattern(&self) -> Option<String> {
        match self {
            Self::Any => Some("/*".to_owned()),
            Self::Exact(path) => Some(path.clone()),
            Self::Prefix(prefix) => Some(format!("{prefix}*")),
            Self::Other => None,
        }
    }

    /// Whether a path can be for both.
    pub fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(one), Self::Exact(other)) => one == other,
            (Self::Exact(path), Self::Prefix(prefix))
            | (Self::Prefix(prefix), Self::Exact(path)) => path.starts_with(prefix.as_str()),
            (Self::Prefix(one), Self::Prefix(other)) => {
                one.starts_with(other.as_str()) || other.starts_with(one.as_str())
            }
            _ => true,
        }
    }

    /// Whether every path of `other` is one of it.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (Self::Exact(one), Self::Exact(other)) => one == other,
            (Self::Prefix(prefix), Self::Exact(other) | Self::Prefix(other)) => {
                other.starts_with(prefix.as_str())
            }
            _ => false,
        }
    }
}
