//! Which names a set of headers may hold, in 64 bits: no is certain, yes is not.
//!
//! Most of what a policy asks of the headers of a request is not there, and is told so without a
//! look at any line. Nothing is decided by it: where it says yes, the names are compared.

/// A set of names, in which `_` is `-` and case does not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Names(u64);

// === impl Names ===

impl Names {
    /// These.
    #[must_use]
    pub const fn of(mut names: &[&str]) -> Self {
        let mut bits = 0;
        while let [first, rest @ ..] = names {
            bits |= bit(first.as_bytes());
            names = rest;
        }
        Self(bits)
    }

    /// Adds one.
    pub const fn insert(&mut self, name: &[u8]) {
        self.0 |= bit(name);
    }

    /// Whether this may be one of them.
    #[must_use]
    pub const fn may_contain(self, name: &[u8]) -> bool {
        self.0 & bit(name) != 0
    }

    /// Whether some may be in both.
    #[must_use]
    pub const fn may_meet(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// A bit for its length and its last byte, by which most names differ. The factors are those with
/// which hardly any header that browsers and gateways send has the bit of one that we look for.
const fn bit(name: &[u8]) -> u64 {
    let last = match name {
        [] => 0,
        [.., last] => fold_byte(*last),
    };
    #[expect(clippy::cast_possible_truncation, reason = "any mixture will do")]
    let length = name.len() as u32;
    1_u64.wrapping_shl(
        length
            .wrapping_mul(7)
            .wrapping_add((last as u32).wrapping_mul(11)),
    )
}

/// As many servers behind a gateway see it: lower case, `_` the same as `-`.
pub(super) const fn fold_byte(byte: u8) -> u8 {
    match byte {
        b'_' => b'-',
        other => other.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn common_requests_hold_nothing_that_is_looked_for_in_all() {
        let sent = [
            ":method",
            ":scheme",
            ":authority",
            ":path",
            "user-agent",
            "accept",
            "accept-encoding",
            "accept-language",
            "authorization",
            "content-type",
            "content-length",
            "cookie",
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-request-id",
            "traceparent",
            "tracestate",
            "origin",
            "referer",
            "x-forwarded-client-cert",
        ];
        for looked_for in [
            [
                "x-http-method-override",
                "x-http-method",
                "x-method-override",
            ],
            ["x-original-url", "x-rewrite-url", "x-envoy-original-path"],
        ] {
            assert!(
                !Names::of(&sent).may_meet(Names::of(&looked_for)),
                "{looked_for:?}"
            );
        }
    }

    #[test]
    fn names_that_are_the_same_to_a_server_are_the_same_here() {
        let names = Names::of(&["x-user", "a-"]);
        for name in ["x-user", "X_USER", "a_", "A-"] {
            assert!(names.may_contain(name.as_bytes()), "`{name}`");
        }
        for name in ["x-users", "x-uset", ""] {
            assert!(!names.may_contain(name.as_bytes()), "`{name}`");
        }
    }

    proptest! {
        #[test]
        fn no_is_certain(names: Vec<String>, other: Vec<String>, shared: String) {
            let of = |names: &[String]| {
                let names = names.iter().chain([&shared]).map(String::as_str);
                Names::of(&names.collect::<Vec<_>>())
            };
            let (all, others) = (of(&names), of(&other));
            prop_assert!(names.iter().all(|name| all.may_contain(name.as_bytes())));
            prop_assert!(all.may_contain(shared.as_bytes()));
            prop_assert!(all.may_meet(others));
        }
    }
}
