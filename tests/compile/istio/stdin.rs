//! The command reads standard input as it reads a file.

use std::io::Write as _;
use std::process::{Command, Stdio};

#[test]
fn standard_input_is_read_as_a_file_is() {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/cmd/compile/istio/input.in"
    );
    let file = format!("{folder}/list.yaml");
    let command = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.args(["compile", "--output", "config"]);
        command
    };
    let from_file = command().arg(&file).output().unwrap();
    let mut piped = command();
    piped
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut piped = piped.spawn().unwrap();
    piped
        .stdin
        .take()
        .unwrap()
        .write_all(&std::fs::read(&file).unwrap())
        .unwrap();
    let piped = piped.wait_with_output().unwrap();
    assert!(from_file.status.success() && piped.status.success());
    assert!(!piped.stdout.is_empty());
    assert_eq!(piped.stdout, from_file.stdout);
    let told = String::from_utf8(piped.stderr).unwrap();
    assert!(told.contains("--> standard input:"), "{told}");
}
