//! The policy by authority: which rules a request to an authority can meet at all.
//!
//! Sites nest: `a.example.com` lies in `*.example.com`, which lies in the whole gateway. A rule
//! stands once, at the widest site it is attached to, and a request walks from the narrowest site
//! outwards; so the cost of a request does not grow with the number of other authorities.

use super::{Api, AuthorityPattern, JwtRule, Rules, Within};
use crate::config::Action;
use crate::request::{OwnedHeaders, ReadPath};
use hashbrown::HashMap;
use smallvec::SmallVec;
use std::rc::Rc;

/// What is attached to one authority, one wildcard, or everything.
#[derive(Default, Debug)]
pub struct Site {
    /// Rules about tokens.
    pub jwt_rules: Vec<Entry<JwtRule>>,
    /// Rules of policies that decide.
    pub enforced: RuleSet,
    /// Rules of policies that only tell what they would have decided.
    pub dry_run: RuleSet,
    /// API rules that decide.
    pub api: Option<Rc<Api>>,
    /// API rules that only tell what they would have decided.
    pub dry_run_api: Option<Rc<Api>>,
    /// Headers that no upstream behind it may see as a client wrote them.
    pub owned_headers: OwnedHeaders,
    /// Whether a rule that decides is about client certificates.
    pub judges_peer: bool,
    /// Where plain HTTP is redirected.
    pub https_only: Option<Rc<Within>>,
    /// Whether the configuration names this authority.
    pub named: bool,
    wider: Option<usize>,
}

/// Rules of policies, by action.
#[derive(Default, Debug)]
pub struct RuleSet {
    /// Rules that an external authorizer is to judge.
    pub custom: Rules,
    /// Rules that note.
    pub audit: Rules,
    /// Rules that refuse.
    pub deny: Rules,
    /// Rules that allow.
    pub allow: Rules,
    allow_everywhere: bool,
    allow_within: Vec<Rc<Within>>,
}

/// A rule where it is attached.
#[derive(Debug)]
pub struct Entry<T> {
    /// Where it stands among its like.
    pub order: usize,
    /// The paths it is attached to.
    pub within: Rc<Within>,
    /// The rule, shared by every place where it is attached.
    pub item: Rc<T>,
}

/// The sites that cover an authority, the narrowest first.
pub type Covering<'a> = SmallVec<[&'a Site; 4]>;

/// Every site, found by authority.
#[derive(Default)]
pub(super) struct Sites {
    exact: HashMap<Box<str>, usize>,
    /// By the suffix, which begins with a dot.
    wildcards: HashMap<Box<str>, usize>,
    sites: Vec<Site>,
    everything: Site,
}

// === impl Site ===

impl Site {
    pub(super) fn rules(&mut self, dry_run: bool) -> &mut RuleSet {
        if dry_run {
            &mut self.dry_run
        } else {
            &mut self.enforced
        }
    }

    /// Whether there are rules that decide nothing, and tell what they find.
    #[must_use]
    pub fn has_observers(&self) -> bool {
        !self.enforced.audit.is_empty() || !self.dry_run.is_empty()
    }

    fn finish(&mut self) {
        for rules in [&mut self.enforced, &mut self.dry_run] {
            rules.custom.finish_by_name();
            rules.audit.finish_by_name();
            rules.deny.finish_by_name();
            rules.allow.finish_by_name();
        }
    }
}

// === impl RuleSet ===

impl RuleSet {
    /// Whether an ALLOW policy is attached to this path, so that one must match.
    #[must_use]
    pub fn demands_allow(&self, path: ReadPath<'_>) -> bool {
        self.allow_everywhere || self.allow_within.iter().any(|within| within.covers(path))
    }

    fn is_empty(&self) -> bool {
        let mut rules = [&self.custom, &self.audit, &self.deny, &self.allow].into_iter();
        rules.all(Rules::is_empty) && self.allow_within.is_empty()
    }

    pub(super) fn of(&mut self, action: Action) -> &mut Rules {
        match action {
            Action::Allow => &mut self.allow,
            Action::Deny => &mut self.deny,
            Action::Audit => &mut self.audit,
            Action::Custom => &mut self.custom,
        }
    }

    pub(super) fn demand_allow(&mut self, within: Rc<Within>) {
        self.allow_everywhere |= within.is_everything();
        self.allow_within.push(within);
    }
}

// === impl Entry ===

impl<T> Entry<T> {
    /// Whether it is attached to this path.
    #[must_use]
    pub fn covers(&self, path: ReadPath<'_>) -> bool {
        self.within.covers(path)
    }
}

// === impl Sites ===

impl Sites {
    /// The site of a pattern, made if need be; `None` is everything.
    pub(super) fn at(&mut self, pattern: Option<&AuthorityPattern>) -> &mut Site {
        let Some(pattern) = pattern else {
            return &mut self.everything;
        };
        let next = self.sites.len();
        let index = match pattern {
            AuthorityPattern::Exact(name) => self.exact.entry(name.clone()),
            AuthorityPattern::Wildcard(suffix) => self.wildcards.entry(suffix.clone()),
        };
        let index = *index.or_insert(next);
        if index == next {
            self.sites.push(Site::default());
        }
        match self.sites.get_mut(index) {
            Some(site) => site,
            None => &mut self.everything,
        }
    }

    /// The same, for a pattern that the configuration attaches something to.
    pub(super) fn attached(&mut self, pattern: Option<&AuthorityPattern>) -> &mut Site {
        let site = self.at(pattern);
        site.named |= pattern.is_some();
        site
    }

    /// Links each site to the next wider one and indexes its rules; after that, nothing is added.
    pub(super) fn finish(&mut self) {
        self.sites
            .iter_mut()
            .chain([&mut self.everything])
            .for_each(Site::finish);
        let exact = self
            .exact
            .iter()
            .map(|(name, index)| (name.as_ref(), *index));
        let wildcards = self.wildcards.iter();
        let wildcards = wildcards.map(|(suffix, index)| (suffix.trim_start_matches('.'), *index));
        let wider: Vec<_> = exact
            .chain(wildcards)
            .map(|(name, index)| (index, self.wildcard(name)))
            .collect();
        for (index, wider) in wider {
            if let Some(site) = self.sites.get_mut(index) {
                site.wider = wider;
            }
        }
    }

    /// The sites that cover a normalised authority, the narrowest first.
    pub(super) fn covering(&self, authority: &str) -> Covering<'_> {
        let exact = self.exact.get(authority).copied();
        let mut next = exact.or_else(|| self.wildcard(authority));
        let mut covering = Covering::new();
        while let Some(site) = next.and_then(|index| self.sites.get(index)) {
            covering.push(site);
            next = site.wider;
        }
        covering.push(&self.everything);
        covering
    }

    /// The narrowest wildcard that covers a name.
    fn wildcard(&self, name: &str) -> Option<usize> {
        let dots = name.match_indices('.');
        let mut suffixes = dots.filter_map(|(at, _)| name.get(at..));
        suffixes.find_map(|suffix| self.wildcards.get(suffix).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites_nest_from_the_narrowest_outwards() {
        let mut sites = Sites::default();
        for (order, pattern) in ["a.example.com", "*.example.com", "*.a.example.com", "*.com"]
            .iter()
            .enumerate()
        {
            let pattern = AuthorityPattern::parse(pattern).unwrap();
            sites.attached(Some(&pattern)).jwt_rules.push(rule(order));
        }
        sites.at(None).jwt_rules.push(rule(9));
        sites.finish();
        for (authority, expected) in [
            ("a.example.com", vec![0, 1, 3, 9]),
            ("b.example.com", vec![1, 3, 9]),
            ("b.a.example.com", vec![2, 1, 3, 9]),
            ("c.b.a.example.com", vec![2, 1, 3, 9]),
            ("example.com", vec![3, 9]),
            ("example.org", vec![9]),
            ("com", vec![9]),
        ] {
            let found = sites
                .covering(authority)
                .into_iter()
                .flat_map(|site| &site.jwt_rules);
            let found: Vec<_> = found.map(|entry| entry.order).collect();
            assert_eq!(found, expected, "`{authority}`");
        }
    }

    fn rule(order: usize) -> Entry<JwtRule> {
        let item = Rc::new(JwtRule {
            name: "test".into(),
            issuer: None,
            demands: crate::token::jwt::Demands::default(),
            audiences: Vec::new(),
            keys: crate::keys::SourceId(0),
            locations: crate::token::Locations::default(),
            forward_original_token: false,
            space_delimited: Rc::from([]),
            required: false,
            payload_header: None,
            claim_headers: Vec::new(),
        });
        Entry {
            order,
            within: Rc::default(),
            item,
        }
    }
}
