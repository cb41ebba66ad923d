//! Layers that Istio's agent reads, and those that it does not.

use super::*;

/// An archive of files, compressed.
fn layer(files: &[(&str, &[u8])]) -> Vec<u8> {
    gzip(&archive(files))
}

fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        if name.ends_with('/') {
            header.set_entry_type(tar::EntryType::Directory);
        }
        archive.append_data(&mut header, name, *content).unwrap();
    }
    archive.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzBuilder::new().write(Vec::new(), Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

#[test]
fn what_is_packed_is_unpacked() {
    let packed = pack(b"\0asm\x01\0\0\0").unwrap();
    assert_eq!(unpack(&packed.compressed).unwrap(), b"\0asm\x01\0\0\0");
}

#[test]
fn the_same_module_gives_the_same_bytes_that_tell_nothing_else() {
    let [one, two] = [pack(b"module").unwrap(), pack(b"module").unwrap()];
    assert_eq!(one.compressed, two.compressed);
    // RFC 1952: no flags, no time, best compression, unknown system.
    assert_eq!(one.compressed[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255]);
    let mut archive = tar::Archive::new(one.tar.as_slice());
    let entry = archive.entries().unwrap().next().unwrap().unwrap();
    let header = entry.header();
    assert_eq!(header.path_bytes().as_ref(), b"plugin.wasm");
    // Istio's agent knows an archive by this.
    assert_eq!(header.as_ustar().unwrap().magic, *b"ustar\0");
    assert_eq!(header.mtime().unwrap(), 0);
    assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
    assert_eq!(header.mode().unwrap(), 0o644);
    assert_eq!(header.username(), Ok(Some("")));
    assert_ne!(pack(b"modulo").unwrap().compressed, one.compressed);
}

#[test]
fn the_first_file_of_that_name_is_taken_from_any_folder() {
    type Files<'a> = &'a [(&'a str, &'a [u8])];
    let cases: &[(&str, Files, &[u8])] = &[
        ("alone", &[("plugin.wasm", b"a")], b"a"),
        ("in a folder", &[("opt/x/plugin.wasm", b"a")], b"a"),
        (
            "behind others",
            &[("README", b"r"), ("plugin.wasm", b"a")],
            b"a",
        ),
        (
            "the first",
            &[("z/plugin.wasm", b"a"), ("plugin.wasm", b"b")],
            b"a",
        ),
        (
            "a folder before it",
            &[("plugin.wasm/", b""), ("x/plugin.wasm", b"b")],
            b"",
        ),
    ];
    for (name, files, expected) in cases {
        assert_eq!(unpack(&layer(files)).as_deref(), Ok(*expected), "{name}");
    }
}

#[test]
fn other_layers_are_refused() {
    let whole = archive(&[("plugin.wasm", &[7; 2000])]);
    let not_found = "plugin.wasm not found in the archive";
    let cases: &[(&str, Vec<u8>, &str)] = &[
        ("another name", layer(&[("filter.wasm", b"a")]), not_found),
        (
            "a longer name",
            layer(&[("my-plugin.wasm", b"a")]),
            not_found,
        ),
        (
            "a folder around it",
            layer(&[("plugin.wasm/x", b"a")]),
            not_found,
        ),
        ("nothing", layer(&[]), not_found),
        (
            "no gzip",
            whole.clone(),
            "failed to parse layer as tar.gz: gzip: invalid header",
        ),
        (
            "cut",
            gzip(&whole[..1500]),
            "failed to read plugin.wasm: unexpected EOF",
        ),
    ];
    for (name, layer, expected) in cases {
        assert_eq!(unpack(layer), Err((*expected).to_owned()), "{name}");
    }
    let error = unpack(&gzip(&[1; 1024])).unwrap_err();
    assert!(
        error.starts_with("archive/tar: invalid tar header"),
        "{error}"
    );
}
