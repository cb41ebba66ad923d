//! Command lines as people paste them, and the requests that curl would send.

use super::*;

fn variable(name: &str) -> Option<String> {
    match name {
        "TOKEN" => Some("t0ken".to_owned()),
        "DOMAIN" => Some("example.com".to_owned()),
        _ => None,
    }
}

/// Method and URL, then the headers, without those that curl always sends.
fn sent(line: &str) -> Result<String, String> {
    let request = read(line, variable)?;
    let always = |name: &str, value: &str| {
        matches!((name, value), ("accept", "*/*") | ("user-agent", "curl"))
    };
    let headers = request
        .headers
        .iter()
        .filter(|(name, value)| !always(name, value));
    let headers = headers.map(|(name, value)| format!("\n{name}: {value}"));
    Ok(format!("{} {}", request.method, request.url) + &headers.collect::<String>())
}

#[test]
fn usual_command_lines() {
    for (line, expected) in [
        ("curl a.com", "GET http://a.com/"),
        ("$ curl https://a.com/x#y", "GET https://a.com/x"),
        ("curl https://a.com?q=1", "GET https://a.com/?q=1"),
        ("/usr/bin/curl -ksS a.com", "GET http://a.com/"),
        ("curl -I a.com", "HEAD http://a.com/"),
        ("curl -X DELETE a.com/x", "DELETE http://a.com/x"),
        ("curl -XDELETE a.com/x", "DELETE http://a.com/x"),
        ("curl -T f a.com/x", "PUT http://a.com/x"),
        (
            "curl -ik -X GET https://httpbin.$DOMAIN/headers --header \"Authorization:Bearer ${TOKEN}\"",
            "GET https://httpbin.example.com/headers\nauthorization: Bearer t0ken",
        ),
        (
            "curl --key k \\  \n   --cert c.pem:secret \\\n   --cacert ca.pem -ik -X GET https://a.com/ip",
            "GET https://a.com/ip",
        ),
        (
            "curl -d a=1 -d b=2 a.com",
            "POST http://a.com/\ncontent-type: application/x-www-form-urlencoded",
        ),
        (
            "curl -G -d a=1 --data-urlencode 'b=x y' a.com",
            "GET http://a.com/?a=1&b=x%20y",
        ),
        (
            "curl --json '{}' a.com",
            "POST http://a.com/\naccept: application/json\ncontent-type: application/json",
        ),
        (
            "curl -F a=b a.com",
            "POST http://a.com/\ncontent-type: multipart/form-data",
        ),
        (
            "curl -u me:pass a.com",
            "GET http://a.com/\nauthorization: Basic bWU6cGFzcw==",
        ),
        (
            "curl http://me:pass@a.com",
            "GET http://a.com/\nauthorization: Basic bWU6cGFzcw==",
        ),
        (
            "curl --oauth2-bearer t a.com",
            "GET http://a.com/\nauthorization: Bearer t",
        ),
        (
            "curl -b 's=1; t=2' a.com",
            "GET http://a.com/\ncookie: s=1; t=2",
        ),
        (
            "curl -A me -e you a.com",
            "GET http://a.com/\nuser-agent: me\nreferer: you",
        ),
        (
            "curl -H 'x-a: 1' -H 'x-a: 2' a.com",
            "GET http://a.com/\nx-a: 1\nx-a: 2",
        ),
        ("curl -H 'x-a;' a.com", "GET http://a.com/\nx-a: "),
        (
            "curl -H 'Host: b.com' a.com",
            "GET http://a.com/\nhost: b.com",
        ),
        (
            "curl --resolve a.com:443:127.0.0.1 -o f -w '%{http_code}' https://a.com",
            "GET https://a.com/",
        ),
        ("curl https://a.com/a/../b/./c/..", "GET https://a.com/b/"),
        (
            "curl --path-as-is https://a.com/a/../b",
            "GET https://a.com/a/../b",
        ),
        (
            "curl 'https://a.com/?$filter=x'",
            "GET https://a.com/?$filter=x",
        ),
    ] {
        assert_eq!(sent(line).as_deref(), Ok(expected), "{line}");
    }
    let request = read("curl --cert c.pem:secret https://a.com", variable).unwrap();
    assert_eq!(request.certificate, Some("c.pem".into()));
    let request = read("curl -H accept: a.com", variable).unwrap();
    assert!(
        request.headers.iter().all(|(name, _)| name != "accept"),
        "{request:?}"
    );
}

#[test]
fn what_it_does_not_understand_it_says() {
    for (line, expected) in [
        ("wget a.com", "`curl`"),
        ("curl", "no URL"),
        ("curl a.com b.com", "several URLs"),
        ("curl --frobnicate a.com", "`--frobnicate`"),
        ("curl -kQ a.com", "`-Q`"),
        ("curl a.com -H", "`-H` has no value"),
        ("curl a.com --header", "`--header` has no value"),
        (
            "curl -H 'authorization secret' a.com",
            "`-H 'authorization'`",
        ),
        ("curl -H @file a.com", "@file"),
        ("curl -b secret a.com", "`-b` names a file"),
        ("curl 'a.com", "quote"),
        ("curl https://$HOST_NAME/", "`$HOST_NAME` is not set"),
    ] {
        let error = sent(line).unwrap_err();
        assert!(error.contains(expected), "{line}: {error}");
        assert!(!error.contains("secret"), "{error}");
    }
}
