//! What the command prints and how it ends, as `tests/cmd/**/*.trycmd` show it.

#[test]
fn the_command_does_what_its_transcripts_show() {
    trycmd::TestCases::new().case("tests/cmd/**/*.trycmd");
}
