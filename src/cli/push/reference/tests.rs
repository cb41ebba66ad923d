//! Names of images, and what is none.

use super::*;

const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

#[test]
fn names_are_read_as_istio_reads_them() {
    let digest = Some(DIGEST);
    let cases = [
        (
            "ghcr.io/acme/portcullis:1",
            "ghcr.io",
            "acme/portcullis",
            Some("1"),
            None,
        ),
        (
            "oci://ghcr.io/acme/portcullis:1",
            "ghcr.io",
            "acme/portcullis",
            Some("1"),
            None,
        ),
        (
            "oci://ghcr.io/acme/portcullis",
            "ghcr.io",
            "acme/portcullis",
            None,
            None,
        ),
        (
            "oci://127.0.0.1:5000/p_l-u.g/in:v1.2_3-x",
            "127.0.0.1:5000",
            "p_l-u.g/in",
            Some("v1.2_3-x"),
            None,
        ),
        (
            "localhost/portcullis:1",
            "localhost",
            "portcullis",
            Some("1"),
            None,
        ),
        (
            "localhost:5000/portcullis",
            "localhost:5000",
            "portcullis",
            None,
            None,
        ),
        (
            "[::1]:5000/portcullis:1",
            "[::1]:5000",
            "portcullis",
            Some("1"),
            None,
        ),
        (
            "acme/portcullis:1",
            "docker.io",
            "acme/portcullis",
            Some("1"),
            None,
        ),
        (
            &format!("ghcr.io/acme/portcullis@{DIGEST}"),
            "ghcr.io",
            "acme/portcullis",
            None,
            digest,
        ),
        (
            &format!("ghcr.io/acme/portcullis:1@{DIGEST}"),
            "ghcr.io",
            "acme/portcullis",
            Some("1"),
            digest,
        ),
    ];
    for (text, registry, repository, tag, digest) in cases {
        let read = Reference::parse(text).unwrap();
        let found = (
            read.registry.as_str(),
            read.repository.as_str(),
            read.tag.as_deref(),
            read.digest.as_deref(),
        );
        assert_eq!(found, (registry, repository, tag, digest), "{text}");
        // As it is printed, it is read again.
        let printed = Reference::parse(&read.to_string()).unwrap();
        assert_eq!(printed.to_string(), read.to_string(), "{text}");
    }
}

#[test]
fn what_istio_asks_for_is_the_digest_or_else_the_tag() {
    let cases = [
        ("a.example/bb", "latest"),
        ("a.example/bb:1", "1"),
        (&format!("a.example/bb:1@{DIGEST}"), DIGEST),
    ];
    for (text, expected) in cases {
        assert_eq!(Reference::parse(text).unwrap().identifier(), expected);
    }
    let pinned = Reference::parse("a.example/bb:1").unwrap().pinned(DIGEST);
    assert_eq!(pinned.to_string(), format!("oci://a.example/bb@{DIGEST}"));
}

#[test]
fn without_a_scheme_a_port_does_not_fit_a_wasm_plugin() {
    let cases = [
        ("a.example/bb:1", true),
        ("oci://a.example:5000/bb:1", true),
        ("a.example:5000/bb:1", false),
        ("a.example:5000/bb", false),
    ];
    for (text, fits) in cases {
        let read = Reference::parse(text).unwrap();
        assert_eq!(read.fits_a_wasm_plugin, fits, "{text}");
    }
}

#[test]
fn other_names_are_refused() {
    let long = format!("a.example/{}", "b".repeat(256));
    let tag = format!("a.example/bb:{}", "t".repeat(128));
    let cases = [
        ("", "there is no repository"),
        ("portcullis:1", "there is no repository"),
        ("localhost:5000", "there is no repository"),
        ("oci://ghcr.io", "there is no repository"),
        (
            "https://ghcr.io/acme/portcullis:1",
            "`https` is not the scheme",
        ),
        ("OCI://ghcr.io/acme/portcullis:1", "`OCI` is not the scheme"),
        ("file://plugin.wasm", "`file` is not the scheme"),
        ("a.example/Portcullis:1", "is no repository"),
        ("a.example/b", "is no repository"),
        ("a.example//bb", "is no repository"),
        ("a.example/bb/", "is no repository"),
        ("a.example/bb%2fc", "is no repository"),
        ("a.example/bb?x=1", "is no repository"),
        (&long, "is no repository"),
        ("a.example/bb:", "is no tag"),
        ("a.example/bb:a b", "is no tag"),
        (&tag, "is no tag"),
        ("a.example:http/bb:1", "is no host"),
        ("a.example:65536/bb:1", "is no host"),
        ("a.example:+1/bb:1", "is no host"),
        ("[::1/bb:1", "is no host"),
        ("a.example/bb@sha256:abc", "there is no digest"),
        (
            &format!("a.example/bb@{}", DIGEST.to_uppercase()),
            "there is no digest",
        ),
        (&format!("a.example/bb@{DIGEST}0"), "there is no digest"),
    ];
    for (text, expected) in cases {
        let error = Reference::parse(text).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
        assert!(error.contains("allowed: `oci://HOST"), "{text}: {error}");
    }
}

#[test]
fn a_password_in_a_name_is_not_printed() {
    for name in [
        "ada:s3cret@a.example/bb:1",
        "oci://ada:s3cret@a.example/bb:1",
    ] {
        for name in [name.to_owned(), format!("{name}@{DIGEST}")] {
            let error = Reference::parse(&name).unwrap_err();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
