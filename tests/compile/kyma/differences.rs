//! In what Portcullis is meant to differ from Kyma, by name. Nothing else may.
//!
//! A difference is no predicate over a request that somebody wrote down, which could match too much:
//! it is a switch of the model. It explains that we allow what Kyma refuses if, and only if, Kyma would
//! allow it with that one point judged as we judge it.

use super::{Answer, Cluster, Request, tokens::Tokens};

/// A point in which we differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    UnneededToken,
    ScopesAsText,
    SchemeCase,
    LiteralLetters,
    Overlap,
    OtherHosts,
    HostSpelling,
    EscapedLetters,
    TrailingSlash,
    PathsAsExpressions,
    SharedWorkload,
    IncompleteEscape,
    IssuedInFuture,
    KeyId,
    ScopeClaims,
    BearerInside,
    OwnPlaces,
    HeaderLines,
}

use Difference::{
    BearerInside, EscapedLetters, HeaderLines, HostSpelling, IncompleteEscape, IssuedInFuture,
    KeyId, LiteralLetters, OtherHosts, Overlap, OwnPlaces, PathsAsExpressions, SchemeCase,
    ScopeClaims, ScopesAsText, SharedWorkload, TrailingSlash, UnneededToken,
};

/// Some of them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Differences(u32);

// === impl Difference ===

impl Difference {
    pub const ALL: [Self; 18] = [
        UnneededToken,
        ScopesAsText,
        SchemeCase,
        LiteralLetters,
        Overlap,
        OtherHosts,
        HostSpelling,
        EscapedLetters,
        TrailingSlash,
        PathsAsExpressions,
        SharedWorkload,
        IncompleteEscape,
        IssuedInFuture,
        KeyId,
        ScopeClaims,
        BearerInside,
        OwnPlaces,
        HeaderLines,
    ];

    /// What it is, and what Kyma does instead.
    pub fn about(self) -> &'static str {
        match self {
            UnneededToken => {
                "a bad token where none is needed is ignored; Kyma: 401 where the workload has a jwt rule"
            }
            ScopesAsText => "`scp` and `scopes` as a text are split at spaces; Kyma: one value",
            SchemeCase => "the scheme `bearer` in any case; Kyma: no token",
            LiteralLetters => {
                "letters of a path are letters; Kyma: `.` and `+` are expressions in the route"
            }
            Overlap => {
                "the first rule that fits decides alone; Kyma: authorizers of overlapping rules are asked \
                 as well, and two Oathkeeper rules for one request are 500"
            }
            OtherHosts => {
                "a host of its own beside a wildcard host has only its own rules; Kyma: the wildcard's \
                 authorizers are asked as well"
            }
            HostSpelling => {
                "a port, a trailing dot or another case in Host names the same host; Kyma: 403 or 404"
            }
            EscapedLetters => {
                "an escape in a path is also the letter it stands for; Kyma: only the escape"
            }
            TrailingSlash => "a path is judged as sent; Oathkeeper: without its trailing slash",
            PathsAsExpressions => {
                "a path of v1beta1 is an expression; Kyma with jwtHandler istio: a text or prefix in its \
                 policies, so that most expressions match nothing"
            }
            SharedWorkload => {
                "an APIRule of v1beta1 decides by its own rules; Kyma: 403 if only policies of others \
                 guard the workload"
            }
            IncompleteEscape => {
                "`%` without two digits is a letter; Kyma: no route, Oathkeeper: 400"
            }
            IssuedInFuture => "`iat` is no condition; Oathkeeper: 401 while it is in the future",
            ScopeClaims => {
                "scopes may be in `scp`, `scope` or `scopes`; Oathkeeper: in the first of them that is there"
            }
            BearerInside => {
                "`Bearer` behind something else is no token; Kyma: the token behind it counts"
            }
            OwnPlaces => {
                "a token counts where the rule itself looks for one; Kyma: the first that any rule of the \
                 workload verifies"
            }
            HeaderLines => "every line of a header may hold the token; Oathkeeper: the first alone",
            KeyId => "a token without `kid` is tried with all keys; Oathkeeper: 401",
        }
    }
}

// === impl Differences ===

impl Differences {
    pub const NONE: Self = Self(0);

    pub fn of(differences: &[Difference]) -> Self {
        Self(
            differences
                .iter()
                .fold(0, |bits, it| bits | 1 << *it as u32),
        )
    }

    pub fn has(self, difference: Difference) -> bool {
        self.0 & (1 << difference as u32) != 0
    }
}

/// The fewest of `meant` with which Kyma would allow the request too; [`None`] if not even all of them
/// together explain it.
pub fn explained(
    cluster: &Cluster,
    request: &Request,
    tokens: &Tokens,
    meant: &[Difference],
) -> Option<Vec<Difference>> {
    let allows = |some: &[Difference]| {
        cluster.judge(request, tokens, Differences::of(some)) == Answer::Allowed
    };
    // One of them can lead to another rule, so that it hides what the others explain.
    let without = |one: &Difference| -> Vec<_> {
        let others = meant.iter().filter(|it| *it != one);
        others.copied().collect()
    };
    let sets = std::iter::once(meant.to_vec()).chain(meant.iter().map(without));
    let mut needed = sets.into_iter().find(|set| allows(set))?;
    // Take away what is not needed, one after the other.
    for difference in meant {
        let rest: Vec<_> = needed
            .iter()
            .copied()
            .filter(|it| it != difference)
            .collect();
        if allows(&rest) {
            needed = rest;
        }
    }
    Some(needed)
}
