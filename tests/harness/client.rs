//! A blocking HTTP/1.1 client that sends exactly the bytes it is given.
//!
//! It corrects nothing on the way out, so that a test can be hostile, and it believes nothing on
//! the way in: sizes and times are bounded, and a connection that closes is an error value.

use std::{
    io::{self, ErrorKind},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::net::TcpSocket;

use super::exchange::{Wire, exchange};

/// Talks to one port on 127.0.0.1, and keeps its connection from one request to the next.
pub struct Client {
    address: SocketAddr,
    from: Ipv4Addr,
    timeout: Duration,
    tls: Option<(Arc<rustls::ClientConfig>, String)>,
    idle: Mutex<Option<Box<dyn Wire>>>,
}

/// A request that is being put together; see [`Client::get`].
#[must_use = "a request is sent by `send`"]
pub struct Request<'c> {
    client: &'c Client,
    method: String,
    target: Vec<u8>,
    authority: Option<Vec<u8>>,
    lines: Vec<u8>,
    body: Vec<u8>,
}

/// An answer, its body complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub headers: Headers,
    pub body: Vec<u8>,
}

/// Header lines in the order in which they came, names in lower case.
pub type Headers = Vec<(String, Vec<u8>)>;

// === impl Client ===

impl Client {
    pub fn new(port: u16) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Client {
            address,
            from: Ipv4Addr::UNSPECIFIED,
            timeout: Duration::from_secs(15),
            tls: None,
            idle: Mutex::new(None),
        }
    }

    /// Connects from another address of this machine.
    pub fn from(mut self, address: Ipv4Addr) -> Self {
        self.from = address;
        self
    }

    /// Speaks TLS, and asks for this server name in it.
    pub fn tls(mut self, config: Arc<rustls::ClientConfig>, server_name: &str) -> Self {
        self.tls = Some((config, server_name.to_owned()));
        self
    }

    /// The time for one request and its whole answer.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    pub fn get(&self, target: impl AsRef<[u8]>) -> Request<'_> {
        self.request("GET", target)
    }

    pub fn post(&self, target: impl AsRef<[u8]>, body: impl AsRef<[u8]>) -> Request<'_> {
        self.request("POST", target).body(body)
    }

    /// The target is written as it is: no escaping, no normalisation.
    pub fn request(&self, method: &str, target: impl AsRef<[u8]>) -> Request<'_> {
        Request {
            client: self,
            method: method.to_owned(),
            target: target.as_ref().to_vec(),
            authority: Some(b"localhost".to_vec()),
            lines: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Sends these bytes and nothing else on a new connection, and reads one answer.
    pub fn raw(&self, bytes: impl AsRef<[u8]>) -> io::Result<Response> {
        let deadline = Instant::now() + self.timeout;
        let mut stream = self.connect()?;
        exchange(stream.as_mut(), bytes.as_ref(), "", deadline).map(|(response, _)| response)
    }

    fn connect(&self) -> io::Result<Box<dyn Wire>> {
        let stream = self.connect_tcp()?;
        let Some((config, name)) = &self.tls else {
            return Ok(Box::new(stream));
        };
        let name = name.clone().try_into().map_err(io::Error::other)?;
        let tls = rustls::ClientConnection::new(Arc::clone(config), name);
        let tls = tls.map_err(io::Error::other)?;
        Ok(Box::new(rustls::StreamOwned::new(tls, stream)))
    }

    fn connect_tcp(&self) -> io::Result<TcpStream> {
        // The standard library cannot choose the address to connect from.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let stream = runtime.block_on(async {
            let socket = TcpSocket::new_v4()?;
            socket.bind((self.from, 0).into())?;
            tokio::time::timeout(self.timeout, socket.connect(self.address)).await?
        })?;
        let stream = stream.into_std()?;
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn send(&self, bytes: &[u8], method: &str) -> io::Result<Response> {
        let deadline = Instant::now() + self.timeout;
        let idle = self.idle.lock().expect("no panic while held").take();
        let reused = idle.is_some();
        let mut stream = idle.map_or_else(|| self.connect(), Ok)?;
        let mut answer = exchange(stream.as_mut(), bytes, method, deadline);
        let unanswered = |error: &io::Error| error.kind() == ErrorKind::ConnectionAborted;
        if reused && answer.as_ref().is_err_and(unanswered) {
            // The server may have closed the idle connection; that says nothing about the request.
            stream = self.connect()?;
            answer = exchange(stream.as_mut(), bytes, method, deadline);
        }
        let (response, reusable) = answer?;
        if reusable {
            *self.idle.lock().expect("no panic while held") = Some(stream);
        }
        Ok(response)
    }
}

// === impl Request ===

impl Request<'_> {
    /// The value of `Host`; it is `localhost` otherwise.
    pub fn authority(mut self, authority: impl AsRef<[u8]>) -> Self {
        self.authority = Some(authority.as_ref().to_vec());
        self
    }

    /// Leaves `Host` out.
    pub fn no_authority(mut self) -> Self {
        self.authority = None;
        self
    }

    /// Adds a header line; calling it again with the same name makes another line.
    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        for part in [name.as_ref(), b": ", value.as_ref(), b"\r\n"] {
            self.lines.extend_from_slice(part);
        }
        self
    }

    /// Adds `Authorization: Bearer TOKEN`.
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    /// The same, if there is a token.
    pub fn maybe_bearer(self, token: Option<&str>) -> Self {
        match token {
            Some(token) => self.bearer(token),
            None => self,
        }
    }

    /// Sends a body with its `Content-Length`.
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        let length = self.body.len().to_string();
        self.header("content-length", length)
    }

    pub fn send(self) -> io::Result<Response> {
        let mut bytes = Vec::with_capacity(self.lines.len() + self.body.len() + 256);
        for part in [self.method.as_bytes(), b" ", &self.target, b" HTTP/1.1\r\n"] {
            bytes.extend_from_slice(part);
        }
        if let Some(authority) = &self.authority {
            for part in [b"host: ", authority.as_slice(), b"\r\n"] {
                bytes.extend_from_slice(part);
            }
        }
        for part in [self.lines.as_slice(), b"\r\n", &self.body] {
            bytes.extend_from_slice(part);
        }
        self.client.send(&bytes, &self.method)
    }
}

// === impl Response ===

impl Response {
    /// The first header of this name as text.
    pub fn header(&self, name: &str) -> Option<String> {
        let found = self
            .headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    }

    /// The body as text; bytes that are no UTF-8 are replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("the body is no JSON ({error}): {}", self.text()))
    }
}
