//! The layer that holds `plugin.wasm`: a tar archive, compressed by gzip.
//!
//! [`pack`] gives the same bytes for the same module: no time, no owner, no name of a machine.
//! [`unpack`] finds the module as Istio's agent does, in archives that others wrote.

use flate2::{Compression, GzBuilder, read::MultiGzDecoder};
use std::io::{self, Read, Write};

/// The name that Istio's agent looks for, in any folder.
pub const FILE_NAME: &str = "plugin.wasm";

/// Istio's agent reads no more of an archive than this (`ISTIO_WASM_MAX_BINARY_SIZE_BYTES`).
pub const MAX_BYTES: u64 = 256 << 20;

/// A packed layer.
pub struct Packed {
    /// The archive.
    pub tar: Vec<u8>,
    /// The archive, compressed.
    pub compressed: Vec<u8>,
}

/// Packs a module.
///
/// # Errors
/// The module is too large for an archive.
pub fn pack(module: &[u8]) -> io::Result<Packed> {
    let mut header = tar::Header::new_ustar();
    header.set_size(u64::try_from(module.len()).map_err(io::Error::other)?);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_data(&mut header, FILE_NAME, module)?;
    let tar = archive.into_inner()?;
    // 255 is "unknown": the compressed bytes do not tell the system that they were made on.
    let gzip = GzBuilder::new().mtime(0).operating_system(255);
    let mut gzip = gzip.write(Vec::new(), Compression::best());
    gzip.write_all(&tar)?;
    let compressed = gzip.finish()?;
    Ok(Packed { tar, compressed })
}

/// Finds the module in a layer. What goes wrong is told in Istio's words.
///
/// # Errors
/// The layer is no archive, or holds no `plugin.wasm`.
pub fn unpack(layer: &[u8]) -> Result<Vec<u8>, String> {
    if !layer.starts_with(&[0x1f, 0x8b]) {
        return Err("failed to parse layer as tar.gz: gzip: invalid header".to_owned());
    }
    let decompressed = MultiGzDecoder::new(layer).take(MAX_BYTES);
    let mut archive = tar::Archive::new(decompressed);
    let broken = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => "unexpected EOF".to_owned(),
        _ => format!("archive/tar: invalid tar header ({error})"),
    };
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        if !is_plugin(&entry.path_bytes()) {
            continue;
        }
        // A folder of that name is the first hit, too: an empty one.
        let mut module = Vec::new();
        let size = entry.size();
        let read = entry.read_to_end(&mut module);
        let complete = read.is_ok_and(|read| u64::try_from(read) == Ok(size));
        return match complete {
            true => Ok(module),
            false => Err(format!("failed to read {FILE_NAME}: unexpected EOF")),
        };
    }
    Err(format!("{FILE_NAME} not found in the archive"))
}

/// Whether that is the last part of a path, as Go's `filepath.Base` takes it.
fn is_plugin(path: &[u8]) -> bool {
    let end = path.iter().rposition(|byte| *byte != b'/');
    let path = end.and_then(|end| path.get(..=end)).unwrap_or_default();
    path.rsplit(|byte| *byte == b'/').next() == Some(FILE_NAME.as_bytes())
}

#[cfg(test)]
mod tests;
