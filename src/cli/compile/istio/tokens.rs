//! Who sees which tokens: in Istio, the gateway and each workload verify tokens for themselves, and a
//! policy knows only what its own proxy has verified. Here one verification serves all; so it must
//! come to the same.

use super::attachment::{Attachments, Spot};
use super::authentication::select_alike;
use super::routes::Arm;
use super::workloads::Target;
use crate::cli::compile::resource::Reading;
use crate::cli::compile::written::{AppliesTo, JwtRule};
use crate::cli::yaml::Node;
use std::rc::Rc;

/// The rules of every RequestAuthentication that is carried over.
#[derive(Default)]
pub struct Tokens<'a> {
    /// Those of the gateway, each with the resource that has it.
    pub at_gateway: Vec<(JwtRule, String)>,
    /// Those of workloads behind it.
    pub behind: Vec<Behind<'a>>,
}

/// A RequestAuthentication of workloads.
pub struct Behind<'a> {
    /// The resource.
    pub reading: Reading<'a>,
    /// What it is attached to.
    pub target: Target,
    /// Its rules.
    pub rules: Vec<JwtRule>,
}

/// What is wrong, and what to do about it.
pub type Wrong = (String, String);

// === impl Tokens ===

impl<'a> Tokens<'a> {
    /// Whether the workloads at a place see the same tokens as the gateway.
    ///
    /// # Errors
    /// Why not.
    pub fn are_seen_at(
        &self,
        attachments: &Attachments<'_, 'a>,
        spot: &Spot<'a>,
        policy: Reading<'a>,
    ) -> Result<(), Wrong> {
        let all = self.behind.iter().flat_map(|it| &it.rules);
        let all = all.chain(self.at_gateway.iter().map(|(rule, _)| rule));
        if let Some(wrong) = all.filter_map(|rule| changed(rule, &spot.arms)).next() {
            return Err(wrong);
        }
        if let Some((_, gateway)) = self.at_gateway.iter().find(|(rule, _)| !forwards(rule)) {
            return Err((
                format!(
                    "{gateway} takes the token out at the gateway, so that Istio sees none at its \
                     workload"
                ),
                "set `forwardOriginalToken: true` there, or attach this policy to the gateway"
                    .to_owned(),
            ));
        }
        self.are_known_to(attachments, &spot.arms, policy)
    }

    /// Whether workloads accept every token that the gateway lets through to them. Without arms, they
    /// are those that `policy` selects.
    ///
    /// # Errors
    /// Why not.
    pub fn are_known_to(
        &self,
        attachments: &Attachments<'_, 'a>,
        arms: &[Rc<Arm<'a>>],
        policy: Reading<'a>,
    ) -> Result<(), Wrong> {
        let forwarded = self.at_gateway.iter().filter(|(rule, _)| forwards(rule));
        for (rule, gateway) in forwarded {
            let knows = |behind: &Behind<'a>| behind.rules.iter().any(|it| is_same(it, rule));
            let known = self.behind.iter().filter(|it| knows(it));
            let leads = |arm: &Arm<'a>, behind: &Behind<'a>| {
                attachments.leads(arm, behind.reading, &behind.target) == Some(true)
            };
            let known: Vec<_> = known.collect();
            let everywhere = match arms.is_empty() {
                true => known.iter().any(|it| {
                    it.target == Target::Pods(None, Vec::new())
                        || select_alike(it.reading.resource, policy.resource)
                }),
                false => arms.iter().all(|arm| known.iter().any(|it| leads(arm, it))),
            };
            if !everywhere {
                let issuer = rule.issuer.as_deref().unwrap_or("any issuer");
                return Err((
                    format!(
                        "{gateway} lets tokens of `{issuer}` through, and no RequestAuthentication of \
                         its workload has the same rule for them: Istio knows none of them there"
                    ),
                    "give the workload the same rule, or attach this to the gateway".to_owned(),
                ));
            }
        }
        Ok(())
    }
}

/// Whether a token goes on behind the gateway.
fn forwards(rule: &JwtRule) -> bool {
    rule.forward_original_token == Some(true)
}

/// Whether two rules accept the same tokens and tell the same of them, wherever they are attached.
pub fn is_same(one: &JwtRule, other: &JwtRule) -> bool {
    let bare = |rule: &JwtRule| JwtRule {
        name: None,
        applies_to: Vec::<AppliesTo>::new(),
        forward_original_token: None,
        ..rule.clone()
    };
    bare(one) == bare(other)
}

/// What a route does to the header in which a rule finds its tokens.
pub fn changed<'r, 'a: 'r>(rule: &JwtRule, arms: &'r [Rc<Arm<'a>>]) -> Option<Wrong> {
    // Most do nothing at all to headers.
    if arms.iter().all(|arm| arm.headers.is_empty()) {
        return None;
    }
    let named = rule.from_headers.iter().map(|it| it.name.as_str());
    let default =
        rule.from_headers.is_empty() && rule.from_params.is_empty() && rule.from_cookies.is_empty();
    let cookie = !rule.from_cookies.is_empty();
    let names = named.chain(default.then_some("authorization"));
    let names: Vec<_> = names.chain(cookie.then_some("cookie")).collect();
    arms.iter().find_map(|arm| {
        let name = names.iter().find(|name| arm.changes(name).is_some())?;
        Some((
            format!(
                "{} changes the header `{name}`, in which its workload looks for tokens",
                arm.resource.title()
            ),
            "leave it as the client sends it, or leave this policy at the workload, and out of the \
             input"
                .to_owned(),
        ))
    })
}

/// Whether rules are about tokens.
pub fn are_judged_by(rules: &[Node]) -> bool {
    let list = |rule: &Node, name| rule.get(name).map_or(&[][..], Node::items).to_vec();
    rules.iter().any(|rule| {
        let sources = list(rule, "from");
        let of_source = sources
            .iter()
            .filter_map(|it| it.get("source"))
            .any(|source| {
                ["requestPrincipals", "notRequestPrincipals"]
                    .iter()
                    .any(|it| source.get(it).is_some())
            });
        let conditions = list(rule, "when");
        let mut keys = conditions.iter().filter_map(|it| it.get("key")?.text());
        of_source || keys.any(|key| key.starts_with("request.auth."))
    })
}
