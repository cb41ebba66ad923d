//! Where results go: `target/bench`, and with `BENCH_SAVE` what is to be kept beside this file.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use crate::harness::environment;

const KEPT: &str = "tests/bench/results";

/// Writes a file and tells where it is.
pub fn write(name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").map_or("target".into(), PathBuf::from);
    write_to(&here().join(target).join("bench"), name, content.as_ref())
}

/// The same for a result; under `BENCH_SAVE` there is a copy to be checked in.
pub fn write_result(name: &str, content: &str) {
    write(name, content);
    if environment::is_on("BENCH_SAVE") {
        write_to(&here().join(KEPT), name, content.as_bytes());
    }
}

fn write_to(folder: &Path, name: &str, content: &[u8]) -> PathBuf {
    let path = folder.join(name);
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(&path, content));
    written.unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
    path
}

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
