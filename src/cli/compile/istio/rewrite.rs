//! Which paths before a route's rewrite are those that a policy names behind it.

use super::matches::ArmPath;
use super::routes::Arm;

/// What a route does with the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rewriting {
    /// Nothing.
    None,
    /// What begins with the first begins with the second then.
    Prefix(String, String),
    /// This path becomes that one.
    Exact(String, String),
    /// Something that cannot be turned round: why.
    Other(&'static str),
}

// === impl Rewriting ===

impl Rewriting {
    /// What some arms do; one that rewrites is the only one of its place.
    pub fn of(arms: &[&Arm<'_>]) -> Self {
        let Some(arm) = arms.iter().find(|arm| arm.rewrite.is_any()) else {
            return Self::None;
        };
        if arm.rewrite.regex.is_some() {
            return Self::Other("by an expression");
        }
        let Some(uri) = arm.rewrite.uri else {
            return Self::None;
        };
        let to = uri.text().unwrap_or_default().to_owned();
        if !is_plain(&to) {
            return Self::Other("to something that is read in other ways again");
        }
        match &arm.path {
            ArmPath::Any => Self::Prefix("/".to_owned(), to),
            ArmPath::Prefix(prefix) => Self::Prefix(prefix.clone(), to),
            ArmPath::Exact(path) => Self::Exact(path.clone(), to),
            ArmPath::Other => Self::Other("after an expression"),
        }
    }

    /// The patterns of the paths that match `pattern` once they are rewritten. `generous`: also of
    /// those that may do, if a proxy on the way reads the new path in another way.
    ///
    /// # Errors
    /// Why it cannot be told.
    pub fn before(&self, pattern: &str, generous: bool) -> Result<Vec<String>, &'static str> {
        if pattern.contains('{') {
            return Err("and a template cannot be turned round");
        }
        if pattern == "*" {
            return Ok(vec![pattern.to_owned()]);
        }
        if pattern.starts_with('*') {
            return Err("and a suffix cannot be turned round");
        }
        match self {
            Self::None => Ok(vec![pattern.to_owned()]),
            Self::Other(why) => Err(why),
            Self::Exact(from, to) => {
                let fits = match pattern.strip_suffix('*') {
                    Some(prefix) => to.starts_with(prefix),
                    None => to == pattern,
                };
                Ok(fits.then(|| from.clone()).into_iter().collect())
            }
            Self::Prefix(from, to) => {
                let mut found = Vec::new();
                // What comes behind `from` begins in the middle of a segment, and is one of its own
                // behind `to`: `/a../b` becomes `/../b`, and `/a/b` becomes `//b`.
                let joint = !from.ends_with('/') && to.ends_with('/');
                if let Some(rest) = pattern.strip_prefix(to.as_str()) {
                    found.push(format!("{from}{rest}"));
                    if joint && generous {
                        found.push(format!("{from}/{rest}"));
                    }
                } else {
                    // Every path behind the rewrite begins with what the pattern begins with.
                    let prefix = pattern.strip_suffix('*');
                    let wider = prefix.is_some_and(|prefix| to.starts_with(prefix));
                    found.extend(wider.then(|| format!("{from}*")));
                }
                if joint && generous {
                    found.extend(DOTS.map(|dots| format!("{from}{dots}")));
                }
                Ok(found)
            }
        }
    }
}

/// How a segment goes on that becomes one of dots alone.
const DOTS: [&str; 4] = [".", "./*", "..", "../*"];

/// Whether a proxy leaves a path as it is.
fn is_plain(path: &str) -> bool {
    let dots = path.split('/').any(|segment| matches!(segment, "." | ".."));
    path.starts_with('/')
        && !dots
        && !path.contains("//")
        && !path.contains(['?', '#', '%', '\\', ';'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_before_a_rewrite() {
        let prefix = Rewriting::Prefix("/shop".to_owned(), "/v1".to_owned());
        let root = Rewriting::Prefix("/shop/".to_owned(), "/".to_owned());
        let exact = Rewriting::Exact("/old".to_owned(), "/new".to_owned());
        for (rewriting, pattern, expected) in [
            (&prefix, "/v1/orders", Ok(Some("/shop/orders"))),
            (&prefix, "/v1/orders*", Ok(Some("/shop/orders*"))),
            (&prefix, "/v1", Ok(Some("/shop"))),
            (&prefix, "/v1*", Ok(Some("/shop*"))),
            (&prefix, "/v*", Ok(Some("/shop*"))),
            (&prefix, "/*", Ok(Some("/shop*"))),
            (&prefix, "*", Ok(Some("*"))),
            (&prefix, "/v2*", Ok(None)),
            (&prefix, "/orders", Ok(None)),
            (
                &prefix,
                "*/orders",
                Err("and a suffix cannot be turned round"),
            ),
            (
                &prefix,
                "/v1/{*}",
                Err("and a template cannot be turned round"),
            ),
            (&root, "/orders", Ok(Some("/shop/orders"))),
            (&root, "/*", Ok(Some("/shop/*"))),
            (&exact, "/new", Ok(Some("/old"))),
            (&exact, "/n*", Ok(Some("/old"))),
            (&exact, "/old", Ok(None)),
            (&Rewriting::None, "/a", Ok(Some("/a"))),
            (&Rewriting::Other("so"), "/a", Err("so")),
        ] {
            let expected = expected.map(|it| it.map(str::to_owned).into_iter().collect());
            let found: Result<Vec<String>, _> = rewriting.before(pattern, false);
            assert_eq!(found, expected, "{rewriting:?} {pattern}");
        }
    }

    /// A prefix that is cut in the middle of a segment leaves slashes and dots to be read anew.
    #[test]
    fn paths_that_another_proxy_may_read_anew() {
        let joint = Rewriting::Prefix("/shop".to_owned(), "/".to_owned());
        let found = joint.before("/admin", true).unwrap();
        assert!(found.contains(&"/shop/admin".to_owned()), "{found:?}");
        assert!(found.contains(&"/shopadmin".to_owned()), "{found:?}");
        assert!(found.contains(&"/shop../*".to_owned()), "{found:?}");
        assert_eq!(joint.before("/admin", false).unwrap(), ["/shopadmin"]);
    }
}
