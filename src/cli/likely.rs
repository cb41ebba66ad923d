//! Which name was probably meant, where one stands that nobody knows.

/// The known name that is nearest, unless none is near.
pub(super) fn likely<'k>(found: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let nearest = known.map(|name| (distance(found, name), name)).min();
    let ((distance, _), name) = nearest?;
    let length = found.chars().count();
    let near = distance <= (length / 3).max(3) && distance.saturating_mul(2) <= length;
    near.then_some(name)
}

/// Without case, and without what separates words.
fn plain(name: &str) -> String {
    name.to_lowercase().replace(['_', '-'], "")
}

/// How many letters are to be changed to make one name of the other, where a shortened one is near;
/// then, how many in truth.
fn distance(one: &str, other: &str) -> (usize, usize) {
    let (one, other) = (plain(one), plain(other));
    let letters = strsim::damerau_levenshtein(&one, &other);
    match one.starts_with(&other) || other.starts_with(&one) {
        true => (letters.min(1), letters),
        false => (letters, letters),
    }
}

#[cfg(test)]
mod tests {
    use super::likely;

    #[test]
    fn the_nearest_name_is_meant_if_it_is_near() {
        let known = ["issuer", "jwksUri", "jwks", "env"];
        for (found, expected) in [
            ("jwks_uri", Some("jwksUri")),
            ("JwksURI", Some("jwksUri")),
            ("jwksUrl", Some("jwksUri")),
            ("jwksX", Some("jwks")),
            ("isuser", Some("issuer")),
            ("environment", Some("env")),
            ("foo", None),
            ("audiences", None),
        ] {
            assert_eq!(likely(found, known.into_iter()), expected, "`{found}`");
        }
    }
}
