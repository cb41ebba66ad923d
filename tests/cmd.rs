//! The command as one calls it: what it prints and how it ends, word for word.
//!
//! `TRYCMD=overwrite cargo test --test cmd` writes what it prints into the files.

#[test]
fn commands_print_what_they_should() {
    trycmd::TestCases::new().case("tests/cmd/**/*.trycmd");
}
