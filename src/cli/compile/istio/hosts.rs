//! Hosts as Gateways and VirtualServices name them: exact, `*.suffix`, or `*` for every host.

/// Every host.
pub const EVERY: &str = "*";

/// Whether every host of `narrow` is one of `wide`.
pub fn covers(wide: &str, narrow: &str) -> bool {
    if wide == EVERY {
        return true;
    }
    match wide.strip_prefix('*') {
        // `*.a.com` covers `x.a.com` and `*.x.a.com`, and itself.
        Some(suffix) => narrow.len() > suffix.len() && narrow.ends_with(suffix) || wide == narrow,
        None => wide == narrow,
    }
}

/// The hosts that are in both, if there are any.
pub fn intersection<'a>(one: &'a str, other: &'a str) -> Option<&'a str> {
    match (covers(one, other), covers(other, one)) {
        (true, _) => Some(other),
        (_, true) => Some(one),
        _ => None,
    }
}

/// A host without the port that it may have.
pub fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port == EVERY || port.bytes().all(|byte| byte.is_ascii_digit()) => {
            name
        }
        _ => host,
    }
}

/// The full name of a service that a resource in `namespace` calls `host`; of anything else, the host
/// as it is.
pub fn full_name(host: &str, namespace: &str) -> String {
    match host.split('.').collect::<Vec<_>>().as_slice() {
        [EVERY] => host.to_owned(),
        [name] => format!("{name}.{namespace}.svc.cluster.local"),
        [name, namespace, "svc"] => format!("{name}.{namespace}.svc.cluster.local"),
        _ => host.to_owned(),
    }
}

/// The service and the namespace of a full name, in whatever domain the cluster has.
pub fn service(host: &str) -> Option<(&str, &str)> {
    let (name, rest) = host.split_once('.')?;
    let (namespace, rest) = rest.split_once('.')?;
    let is_service = rest == "svc" || rest.starts_with("svc.");
    is_service.then_some((name, namespace))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_both() {
        for (one, other, both) in [
            ("a.com", "a.com", Some("a.com")),
            ("a.com", "b.com", None),
            ("*", "a.com", Some("a.com")),
            ("*.com", "a.com", Some("a.com")),
            ("*.a.com", "a.com", None),
            ("*.a.com", "x.a.com", Some("x.a.com")),
            ("*.a.com", "xa.com", None),
            ("*.com", "*.a.com", Some("*.a.com")),
            ("*.a.com", "*.b.com", None),
            ("*", "*", Some("*")),
        ] {
            assert_eq!(intersection(one, other), both, "{one} and {other}");
            assert_eq!(intersection(other, one), both, "{other} and {one}");
        }
    }

    #[test]
    fn names_of_services() {
        for (host, expected) in [
            ("httpbin", Some(("httpbin", "shop"))),
            ("httpbin.other.svc", Some(("httpbin", "other"))),
            (
                "httpbin.other.svc.cluster.local",
                Some(("httpbin", "other")),
            ),
            ("httpbin.other.svc.corp.test", Some(("httpbin", "other"))),
            ("api.example.com", None),
            ("api.svc.example.com", None),
            ("*", None),
        ] {
            let full = full_name(host, "shop");
            assert_eq!(service(&full), expected, "{host}");
        }
        assert_eq!(without_port("a.com:8443"), "a.com");
        assert_eq!(without_port("a.com:*"), "a.com");
        assert_eq!(without_port("a.com"), "a.com");
    }
}
