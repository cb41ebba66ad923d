//! As much of HTTP/2 as it takes to send any bytes as `:path` and read status and body.
//!
//! It compresses nothing, has one stream at a time and believes the Envoy that the test has started:
//! anything unexpected panics. Used by `path_normalization.rs` alone.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
    time::Duration,
};

/// One connection.
pub struct Http2 {
    stream: TcpStream,
    next_id: u32,
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// Types of frames (RFC 9113, 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;

// Flags of frames.
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

// === impl Http2 ===

impl Http2 {
    pub fn connect(port: u16) -> Self {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("a connection");
        stream
            .set_read_timeout(Some(Duration::from_secs(15)))
            .expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        let mut this = Http2 { stream, next_id: 1 };
        this.stream.write_all(PREFACE).expect("a written preface");
        this.write(SETTINGS, 0, 0, &[]);
        // Room for the bodies of all streams.
        this.write(WINDOW_UPDATE, 0, 0, &0x3fff_ffff_u32.to_be_bytes());
        this
    }

    /// Status and body of the answer.
    pub fn get(&mut self, path: &[u8]) -> (u16, Vec<u8>) {
        let id = self.next_id;
        self.next_id += 2;
        let mut block = Vec::new();
        for (name, value) in [
            (":method", &b"GET"[..]),
            (":scheme", b"http"),
            (":authority", b"localhost"),
            (":path", path),
        ] {
            // A literal that is not to be remembered (RFC 7541, 6.2.2).
            block.push(0);
            push_text(&mut block, name.as_bytes());
            push_text(&mut block, value);
        }
        self.write(HEADERS, END_STREAM | END_HEADERS, id, &block);

        let (mut status, mut body) = (0, Vec::new());
        loop {
            let (kind, flags, of, payload) = self.read();
            match kind {
                SETTINGS if flags & ACK == 0 => self.write(SETTINGS, ACK, 0, &[]),
                SETTINGS | WINDOW_UPDATE => {}
                HEADERS if of == id => status = read_status(&payload),
                DATA if of == id => body.extend(payload),
                _ => panic!("a frame of type {kind} on stream {of}: {payload:?}"),
            }
            if of == id && matches!(kind, HEADERS | DATA) && flags & END_STREAM != 0 {
                return (status, body);
            }
        }
    }

    fn write(&mut self, kind: u8, flags: u8, id: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).expect("a short frame");
        let frame = [
            &length.to_be_bytes()[1..],
            &[kind, flags],
            &id.to_be_bytes(),
            payload,
        ]
        .concat();
        self.stream.write_all(&frame).expect("a written frame");
    }

    fn read(&mut self) -> (u8, u8, u32, Vec<u8>) {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).expect("a frame");
        let [a, b, c, kind, flags, id @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.stream.read_exact(&mut payload).expect("a whole frame");
        (kind, flags, u32::from_be_bytes(id), payload)
    }
}

/// A text without Huffman's code (RFC 7541, 5.2).
fn push_text(block: &mut Vec<u8>, text: &[u8]) {
    let length = u8::try_from(text.len()).expect("a short text");
    match length {
        0..127 => block.push(length),
        127..=254 => block.extend([127, length - 127]),
        255 => panic!("a text of 255 bytes or more"),
    }
    block.extend(text);
}

/// Envoy sends `:status` first, from the static table (RFC 7541, A).
fn read_status(block: &[u8]) -> u16 {
    match block {
        // The size of the table to come.
        [0x20..0x40, rest @ ..] => read_status(rest),
        [0x88, ..] => 200,
        [0x8c, ..] => 400,
        _ => panic!("headers that begin otherwise: {block:?}"),
    }
}
