//! Where credentials are found, which ones count, and that none is printed.

use super::*;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use tempfile::TempDir;

fn nothing() -> Places {
    Places {
        username: None,
        password: None,
        env_username: None,
        env_password: None,
        docker: None,
    }
}

fn find(places: Places, registry: &str) -> Result<Option<(String, String)>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let found = runtime.block_on(places.find(registry))?;
    Ok(found.map(|it| (it.username, it.password)))
}

/// A folder with a Docker configuration.
fn docker(config: &str) -> (TempDir, Places) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.json");
    fs::write(&file, config).unwrap();
    let places = Places {
        docker: Some(file),
        ..nothing()
    };
    (folder, places)
}

fn login(username: &str, password: &str) -> Option<(String, String)> {
    Some((username.to_owned(), password.to_owned()))
}

#[test]
fn options_count_before_the_environment_and_that_before_docker() {
    let some = |text: &str| Some(text.to_owned());
    let auth = STANDARD.encode("docker:d");
    let docker = || {
        docker(&format!(
            r#"{{"auths": {{"a.example": {{"auth": "{auth}"}}}}}}"#
        ))
    };
    let cases = [
        (
            "nothing but Docker's",
            [None, None, None, None],
            login("docker", "d"),
        ),
        (
            "the environment",
            [None, None, Some("env"), Some("e")],
            login("env", "e"),
        ),
        (
            "options",
            [Some("opt"), Some("o"), Some("env"), Some("e")],
            login("opt", "o"),
        ),
        (
            "a name by option",
            [Some("opt"), None, Some("env"), Some("e")],
            login("opt", "e"),
        ),
        (
            "a password by option",
            [None, Some("o"), Some("env"), None],
            login("env", "o"),
        ),
    ];
    for (name, [username, password, env_username, env_password], expected) in cases {
        let (_folder, places) = docker();
        let places = Places {
            username: username.and_then(some),
            password: password.and_then(some),
            env_username: env_username.and_then(some),
            env_password: env_password.and_then(some),
            ..places
        };
        assert_eq!(find(places, "a.example"), Ok(expected), "{name}");
    }
    assert_eq!(find(nothing(), "a.example"), Ok(None));
}

#[test]
fn half_of_it_is_an_error() {
    let some = |text: &str| Some(text.to_owned());
    let cases = [
        (
            [Some("opt"), None, None, None],
            "`--username` without a password",
        ),
        ([None, Some("o"), None, None], "and no name"),
        (
            [None, None, Some("env"), None],
            "no PORTCULLIS_REGISTRY_PASSWORD",
        ),
        ([None, None, None, Some("e")], "and no name"),
        ([Some("opt"), Some(""), None, None], "is empty"),
    ];
    for ([username, password, env_username, env_password], expected) in cases {
        let places = Places {
            username: username.and_then(some),
            password: password.and_then(some),
            env_username: env_username.and_then(some),
            env_password: env_password.and_then(some),
            docker: None,
        };
        let error = find(places, "a.example").unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn dockers_configuration_is_read_for_the_host_alone() {
    let auth = STANDARD.encode("ada:pass:word");
    let filled = STANDARD.encode("ada:word\0\0");
    let entry =
        |key: &str, auth: &str| format!(r#"{{"auths": {{"{key}": {{"auth": "{auth}"}}}}}}"#);
    let ada = login("ada", "pass:word");
    let hub = "https://index.docker.io/v1/";
    let plain = r#"{"auths": {"a.example": {"username": "ada", "password": "pass:word"}}}"#;
    let cases = [
        (
            "the host",
            entry("a.example", &auth),
            "a.example",
            ada.clone(),
        ),
        ("another host", entry("b.example", &auth), "a.example", None),
        (
            "a host above it",
            entry("example", &auth),
            "a.example",
            None,
        ),
        (
            "with a port",
            entry("a.example:5000", &auth),
            "a.example:5000",
            ada.clone(),
        ),
        (
            "another port",
            entry("a.example:5000", &auth),
            "a.example:5001",
            None,
        ),
        ("no port", entry("a.example", &auth), "a.example:5000", None),
        (
            "as a URL",
            entry("https://a.example/v2/", &auth),
            "a.example",
            ada.clone(),
        ),
        ("Docker Hub", entry(hub, &auth), "docker.io", ada.clone()),
        ("not Docker Hub", entry(hub, &auth), "a.example", None),
        (
            "filled with zeros",
            entry("a.example", &filled),
            "a.example",
            login("ada", "word"),
        ),
        ("name and password", plain.to_owned(), "a.example", ada),
        ("logged out", entry("a.example", ""), "a.example", None),
        ("nothing", "{}".to_owned(), "a.example", None),
    ];
    for (name, config, registry, expected) in cases {
        let (_folder, places) = docker(&config);
        assert_eq!(find(places, registry), Ok(expected), "{name}");
    }
    let missing = Places {
        docker: Some("/nonexistent/config.json".into()),
        ..nothing()
    };
    assert_eq!(find(missing, "a.example"), Ok(None));
}

#[test]
fn a_broken_configuration_is_an_error_that_prints_no_secret() {
    let token = r#"{"auths": {"a.example": {"identitytoken": "s3cret"}}}"#;
    let cases = [
        (
            r#"{"auths": {"a.example": "s3cret"}}"#,
            "not a Docker configuration, at line 1",
        ),
        (
            r#"{"auths": {"a.example": {"auth": "s3cret"}}}"#,
            "is no name and password",
        ),
        (
            r#"{"auths": {"a.example": {"auth": "czNjcmV0"}}}"#,
            "is no name and password",
        ),
        (token, "identity token"),
        (
            r#"{"credHelpers": {"a.example": "../s3cret"}}"#,
            "no name of a credential helper",
        ),
    ];
    for (config, expected) in cases {
        let (_folder, places) = docker(config);
        let error = find(places, "a.example").unwrap_err();
        assert!(error.contains(expected), "{error}");
        let helper = expected.contains("helper");
        assert!(helper || !error.contains("s3cret"), "{error}");
    }
}

/// Runs one helper as a program of its own.
fn helped(script: &str) -> Result<Option<(String, String)>, String> {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("docker-credential-test");
    fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let patience = Duration::from_millis(500);
    let program = program.to_str().unwrap();
    let answer = runtime.block_on(ask(program, "a.example", patience));
    answer.map(|it| it.map(|it| (it.username, it.password)))
}

#[test]
fn a_helper_is_asked_for_the_host() {
    let answers = r#"[ "$1" = get ] && [ "$(cat)" = a.example ] && echo '{"ServerURL": "a.example", "Username": "ada", "Secret": "word"}'"#;
    assert_eq!(helped(answers), Ok(login("ada", "word")));
    let unknown = "echo credentials not found in native keychain; exit 1";
    assert_eq!(helped(unknown), Ok(None));
}

#[test]
fn a_helper_that_fails_is_an_error_that_prints_no_secret() {
    let cases = [
        ("echo s3cret; exit 1", "failed with exit status: 1"),
        ("echo s3cret", "did not answer with a name and a secret"),
        ("echo s3cret; exec sleep 60", "does not end"),
        (
            r#"echo '{"Username": "<token>", "Secret": "s3cret"}'"#,
            "identity token",
        ),
    ];
    for (script, expected) in cases {
        let error = helped(script).unwrap_err();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
    let (_folder, places) = docker(r#"{"credsStore": "of-this-test-missing"}"#);
    let error = find(places, "a.example").unwrap_err();
    assert!(error.contains("could not be run"), "{error}");
}
