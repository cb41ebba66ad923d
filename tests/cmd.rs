//! The command as one calls it: what it prints and how it ends, word for word.
//!
//! `TRYCMD=overwrite cargo test --test cmd` writes what it prints into the files.

#[test]
fn commands_print_what_they_should() {
    trycmd::TestCases::new().case("tests/cmd/**/*.trycmd");
}

/// The WasmPlugins beside the tutorials' manifests are what the command makes of them.
#[test]
fn examples_are_what_compile_makes() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("wasmplugin/tutorials");
    let mut compared = 0;
    for tutorial in std::fs::read_dir(folder).expect("the tutorials") {
        let tutorial = tutorial.expect("a tutorial").path();
        for (name, options) in [
            ("wasmplugin.yaml", &[][..]),
            (
                "wasmplugin-inline.yaml",
                &["--inline", "--allow-unverified-email"],
            ),
        ] {
            let Ok(shown) = std::fs::read_to_string(tutorial.join(name)) else {
                continue;
            };
            let made = std::process::Command::new(env!("CARGO_BIN_EXE_portcullis"))
                .arg("compile")
                .arg(tutorial.join("original"))
                .args(options)
                .output()
                .expect("the command");
            let made = String::from_utf8(made.stdout).expect("text");
            assert_eq!(
                made,
                shown,
                "{}: compile it again",
                tutorial.join(name).display()
            );
            compared += 1;
        }
    }
    assert_eq!(compared, 6);
}

/// A whole cluster: 5,000 resources, and a broken file among them, which is named while all others are
/// read.
#[test]
fn a_whole_cluster_is_compiled_at_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for number in 0..1_250 {
        let text = CLUSTER.replace("NAME", &format!("service-{number}"));
        let text = text.replace("SPACE", &format!("space-{}", number % 50));
        let file = folder.path().join(format!("{number:04}.yaml"));
        std::fs::write(file, text).expect("a file");
    }
    let compile = || {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_portcullis"));
        let started = std::time::Instant::now();
        let made = command.arg("compile").arg(folder.path()).output();
        (made.expect("the command"), started.elapsed())
    };
    let (made, took) = compile();
    println!("5,000 resources in {took:?}");
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let written = String::from_utf8_lossy(&made.stdout).into_owned();
    assert_eq!(written.matches("- issuer: ").count(), 1_250);
    assert_eq!(written.matches("namespace: space-").count(), 1_250);
    // An unoptimised build, beside other tests; the command as one installs it takes a tenth.
    assert!(took.as_secs() < 10, "{took:?}");

    std::fs::write(folder.path().join("broken.yaml"), "a: [1").expect("a file");
    let (made, _) = compile();
    assert_eq!(made.status.code(), Some(3));
    let told = String::from_utf8_lossy(&made.stderr).into_owned();
    assert!(told.contains("error: not valid YAML"), "{told}");
    assert!(told.contains("broken.yaml:1"), "{told}");
    assert!(
        told.contains("the gateway judges what comes through it"),
        "the rest is read"
    );
    assert!(made.stdout.is_empty());
}

const CLUSTER: &str = "\
apiVersion: v1
kind: Service
metadata: {name: NAME, namespace: SPACE}
spec: {selector: {app: NAME}, ports: [{port: 80}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: NAME, namespace: SPACE}
spec:
  hosts: [NAME.example.com]
  gateways: [istio-system/gateway]
  http:
  - match: [{uri: {prefix: /api}}]
    route: [{destination: {host: NAME}}]
  - route: [{destination: {host: NAME}}]
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: NAME, namespace: SPACE}
spec:
  selector: {matchLabels: {app: NAME}}
  jwtRules: [{issuer: https://idp.example.com, jwksUri: https://idp.example.com/jwks}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: NAME, namespace: SPACE}
spec:
  selector: {matchLabels: {app: NAME}}
  rules:
  - from: [{source: {requestPrincipals: [\"https://idp.example.com/*\"]}}]
    to: [{operation: {methods: [GET], paths: [/api/*]}}]
";
