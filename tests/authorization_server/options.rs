//! What a server is started with: issuers, their clients, the port.
//!
//! Plain values that are read once at start; run-time switches live in `faults.rs`.
//! Built by the demo and the tests, and by the stand-alone program.

/// Everything about a server that is fixed while it lives.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// The first one also answers at the root, without `/issuers/NAME`.
    pub issuers: Vec<Issuer>,
}

/// One issuer: its own keys, clients and path prefix `/issuers/NAME`.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// The path segment, and the name in Rust: `server.issuer("foo")`.
    pub name: String,
    /// The text of `iss`; absent, it is the URL under which the issuer answers.
    pub iss: Option<String>,
    pub clients: Vec<Client>,
}

/// One registered OAuth2 client.
#[derive(Clone, Debug)]
pub struct Client {
    pub id: String,
    pub secret: String,
    /// The scopes it may ask for; it gets all of them if it asks for none.
    pub scopes: Vec<String>,
    /// What it gets unless the request says `token_format=jwt` or `token_format=opaque`.
    pub tokens: TokenFormat,
}

/// What an access token looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenFormat {
    #[default]
    Jwt,
    Opaque,
}

/// The client that every issuer of the tutorials has.
pub const DEMO_CLIENT: &str = "demo-client";
pub const DEMO_SECRET: &str = "demo-secret";

// === impl Options ===

impl Options {
    /// The issuers of the tutorials: `demo`, `issuer-foo` and `issuer-bar`, each with one client.
    pub fn tutorials() -> Self {
        let client = Client::new(DEMO_CLIENT, DEMO_SECRET).scopes("read write");
        let issuer = |name| Issuer::new(name).client(client.clone());
        Options {
            port: 0,
            issuers: vec![
                issuer("demo"),
                issuer("foo").iss("issuer-foo"),
                issuer("bar").iss("issuer-bar"),
            ],
        }
    }

    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    pub fn issuer(mut self, issuer: Issuer) -> Self {
        self.issuers.push(issuer);
        self
    }
}

// === impl Issuer ===

impl Issuer {
    pub fn new(name: &str) -> Self {
        Issuer {
            name: name.to_owned(),
            iss: None,
            clients: Vec::new(),
        }
    }

    pub fn iss(mut self, iss: &str) -> Self {
        self.iss = Some(iss.to_owned());
        self
    }

    pub fn client(mut self, client: Client) -> Self {
        self.clients.push(client);
        self
    }
}

// === impl Client ===

impl Client {
    pub fn new(id: &str, secret: &str) -> Self {
        Client {
            id: id.to_owned(),
            secret: secret.to_owned(),
            scopes: Vec::new(),
            tokens: TokenFormat::Jwt,
        }
    }

    /// The scopes it may ask for, parted by spaces.
    pub fn scopes(mut self, scopes: &str) -> Self {
        self.scopes = scopes.split_whitespace().map(str::to_owned).collect();
        self
    }

    pub fn opaque(mut self) -> Self {
        self.tokens = TokenFormat::Opaque;
        self
    }
}

// === impl TokenFormat ===

impl TokenFormat {
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "jwt" => Some(TokenFormat::Jwt),
            "opaque" => Some(TokenFormat::Opaque),
            _ => None,
        }
    }
}
