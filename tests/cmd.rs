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
