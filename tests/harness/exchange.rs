//! One request written and its answer read, byte by byte, on a connection of HTTP/1.1.
//!
//! It believes nothing that comes in: sizes and times are bounded. It opens and keeps no connection;
//! `client.rs` does.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use super::client::{Headers, Response};

/// Far above anything a test asks for.
const MAX_RESPONSE_BYTES: usize = 64 * 1024 * 1024;
const MAX_RESPONSE_HEADERS: usize = 256;

/// A connection, be it TCP or TLS over it.
pub(super) trait Wire: Read + Write + Send {
    fn tcp(&self) -> &TcpStream;
}

/// One request and its answer; also tells whether the connection can be used again.
pub(super) fn exchange(
    stream: &mut dyn Wire,
    bytes: &[u8],
    method: &str,
    deadline: Instant,
) -> io::Result<(Response, bool)> {
    stream.tcp().set_write_timeout(Some(remaining(deadline)?))?;
    // The server may refuse before it has read all; then writing fails and an answer is there.
    let written = stream.write_all(bytes);
    let mut reader = Reader {
        stream,
        buffer: Vec::new(),
        seen: 0,
        deadline,
    };
    let answer = loop {
        match reader.response(method) {
            Ok((informational, _)) if (100..200).contains(&informational.status) => {}
            other => break other,
        }
    };
    match (answer, written) {
        (Ok((response, reusable)), written) => Ok((response, reusable && written.is_ok())),
        (Err(error), _) if error.kind() == ErrorKind::TimedOut || reader.seen > 0 => Err(error),
        (Err(error), _) => Err(io::Error::new(
            ErrorKind::ConnectionAborted,
            format!("the connection closed without an answer: {error}"),
        )),
    }
}

/// What has been read and not yet understood.
struct Reader<'s> {
    stream: &'s mut dyn Wire,
    buffer: Vec<u8>,
    /// Bytes read so far.
    seen: usize,
    deadline: Instant,
}

// === impl Wire ===

impl Wire for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Wire for rustls::StreamOwned<rustls::ClientConnection, TcpStream> {
    fn tcp(&self) -> &TcpStream {
        &self.sock
    }
}

// === impl Reader ===

impl Reader<'_> {
    fn response(&mut self, method: &str) -> io::Result<(Response, bool)> {
        let (status, headers) = self.head()?;
        let mut response = Response {
            status,
            headers,
            body: Vec::new(),
        };
        let no_body = method == "HEAD"
            || matches!(status, 100..200 | 204 | 304)
            || (method == "CONNECT" && (200..300).contains(&status));
        let length = response
            .header("content-length")
            .and_then(|text| text.parse().ok());
        let chunked = response
            .header("transfer-encoding")
            .is_some_and(|text| text == "chunked");
        let mut reusable = response
            .header("connection")
            .is_none_or(|text| text != "close");
        if !no_body {
            response.body = match (chunked, length) {
                (true, _) => self.chunked_body()?,
                (false, Some(length)) => self.take(length)?,
                (false, None) => {
                    reusable = false;
                    while self.fill()? {}
                    std::mem::take(&mut self.buffer)
                }
            };
        }
        Ok((
            response,
            reusable && self.buffer.is_empty() && method != "CONNECT",
        ))
    }

    fn head(&mut self) -> io::Result<(u16, Headers)> {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; MAX_RESPONSE_HEADERS];
            let mut head = httparse::Response::new(&mut headers);
            let parsed = head
                .parse(&self.buffer)
                .map_err(|error| invalid(&error.to_string()))?;
            if let httparse::Status::Complete(length) = parsed {
                let status = head.code.ok_or_else(|| invalid("no status"))?;
                let pair = |header: &httparse::Header<'_>| {
                    (header.name.to_ascii_lowercase(), header.value.to_vec())
                };
                let headers = head.headers.iter().map(pair).collect();
                self.buffer.drain(..length);
                return Ok((status, headers));
            }
            self.need_more()?;
        }
    }

    fn chunked_body(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let parsed =
                httparse::parse_chunk_size(&self.buffer).map_err(|_| invalid("a bad chunk"))?;
            let httparse::Status::Complete((start, size)) = parsed else {
                self.need_more()?;
                continue;
            };
            self.buffer.drain(..start);
            let size = usize::try_from(size).map_err(|_| invalid("a chunk beyond memory"))?;
            if size == 0 {
                while self.line()? != b"\r\n" {}
                return Ok(body);
            }
            body.extend(self.take(size)?);
            if self.take(2)? != b"\r\n" {
                return Err(invalid("a chunk without its end"));
            }
        }
    }

    fn line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            match self.buffer.iter().position(|byte| *byte == b'\n') {
                Some(end) => return self.take(end + 1),
                None => self.need_more()?,
            }
        }
    }

    fn take(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < length {
            self.need_more()?;
        }
        Ok(self.buffer.drain(..length).collect())
    }

    fn need_more(&mut self) -> io::Result<()> {
        match self.fill()? {
            true => Ok(()),
            false => Err(io::Error::new(
                ErrorKind::UnexpectedEof,
                "the connection closed before the answer was complete",
            )),
        }
    }

    /// Reads what is there; false at the end of the stream.
    fn fill(&mut self) -> io::Result<bool> {
        self.stream
            .tcp()
            .set_read_timeout(Some(remaining(self.deadline)?))?;
        let mut chunk = [0; 16 * 1024];
        let count = self
            .stream
            .read(&mut chunk)
            .map_err(|error| match error.kind() {
                ErrorKind::WouldBlock => timed_out(),
                _ => error,
            })?;
        self.buffer.extend_from_slice(&chunk[..count]);
        self.seen += count;
        if self.buffer.len() > MAX_RESPONSE_BYTES {
            return Err(invalid("an answer beyond any size a test asks for"));
        }
        Ok(count > 0)
    }
}

fn remaining(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        Err(timed_out())
    } else {
        Ok(left)
    }
}

fn timed_out() -> io::Error {
    io::Error::new(ErrorKind::TimedOut, "no complete answer in time")
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what.to_owned())
}
