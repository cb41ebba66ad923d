//! A running container registry, Debian's `docker-registry`, on a free port of 127.0.0.1.
//!
//! What it is given stays in a folder of its own and goes away with it. It is also spoken to by hand
//! here, so that a test can put into it what no tool would.

use std::{fs, process::Command, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    Client, Response,
    process::Process,
    requirements::Tool,
    tls::{Authority, Contents, Name},
    wait,
};

pub const TOOL: Tool = Tool::Program("docker-registry");

/// A running registry; dropping it ends it.
pub struct Registry {
    port: u16,
    client: Client,
    guard: Guard,
    process: Process,
    folder: TempDir,
}

/// How it is guarded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    Open,
    /// [`LOGIN`] lets in.
    Password,
    /// It speaks TLS, and its authority is that of [`Registry::authority`].
    Tls,
}

/// Name and password of a guarded registry.
pub const LOGIN: (&str, &str) = ("ada", "s3cret-of-the-test");

/// The password as Apache's `htpasswd -B` writes it.
const HTPASSWD: &str = "ada:$2b$04$X3/fpa7AMW/qzYC0yyQoJe/KtvFRyU5sFSDWXoETlnSH8j7P4cHZi\n";

const PATIENCE: Duration = Duration::from_secs(30);

// === impl Registry ===

impl Registry {
    /// Starts one; it answers when this returns.
    pub fn start(guard: Guard) -> Self {
        Self::start_with(guard, None)
    }

    /// Starts one that lets in whoever shows a token from elsewhere: its `auth.token`, and the
    /// certificate by which tokens are verified.
    pub fn start_with_tokens(guard: Guard, auth: Value, certificate: &str) -> Self {
        Self::start_with(guard, Some((auth, certificate)))
    }

    fn start_with(guard: Guard, tokens: Option<(Value, &str)>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let at = |name: &str| folder.path().join(name);
        let write = |name: &str, text: &str| fs::write(at(name), text).expect("a file");
        let mut config = json!({
            "version": "0.1",
            "log": {"level": "info", "accesslog": {"disabled": false}},
            "storage": {"filesystem": {"rootdirectory": at("storage")}},
            "http": {"addr": "127.0.0.1:0", "secret": "of one process"},
        });
        let mut tls = None;
        match guard {
            Guard::Open => {}
            Guard::Password => {
                write("htpasswd", HTPASSWD);
                config["auth"] = json!({"htpasswd": {"realm": "test", "path": at("htpasswd")}});
            }
            Guard::Tls => {
                let authority = Authority::new();
                let mut contents = Contents::subject(&[("CN", "registry")]);
                contents.names.push(Name::Address([127, 0, 0, 1]));
                let identity = authority.client_with(&contents);
                write("authority.pem", &authority.pem());
                write("certificate.pem", &identity.pem());
                write("key.pem", &identity.key_pem());
                config["http"]["tls"] = json!({
                    "certificate": at("certificate.pem"),
                    "key": at("key.pem"),
                });
                tls = Some(authority.client_config(None));
            }
        }
        if let Some((mut token, certificate)) = tokens {
            write("tokens.pem", certificate);
            token["rootcertbundle"] = json!(at("tokens.pem"));
            config["auth"] = json!({"token": token});
        }
        // JSON is YAML, too.
        write("config.yml", &config.to_string());
        let mut command = Command::new(TOOL.path());
        command.arg("serve").arg(at("config.yml"));
        let mut process = Process::start(&mut command, &at("log")).expect("docker-registry");
        let port = wait::until(PATIENCE, || {
            let ended = process.ended().is_some();
            assert!(!ended, "the registry ended:\n{}", process.log_tail(20));
            let log = process.log();
            let (_, rest) = log.split_once("listening on 127.0.0.1:")?;
            rest.split(|it: char| !it.is_ascii_digit())
                .next()?
                .parse()
                .ok()
        });
        let Some(port) = port else {
            panic!(
                "the registry did not say its port:\n{}",
                process.log_tail(20)
            );
        };
        let client = Client::new(port);
        let client = match tls {
            Some(config) => client.tls(config, "127.0.0.1"),
            None => client,
        };
        Registry {
            port,
            client,
            guard,
            process,
            folder,
        }
    }

    /// `HOST:PORT`
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The certificate of its authority, as a file.
    pub fn authority(&self) -> std::path::PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Ends it, and tells where nobody listens any more.
    pub fn stop(self) -> String {
        self.host()
    }

    /// Puts a blob there; what a manifest says of it.
    pub fn put_blob(&self, repository: &str, media_type: &str, bytes: &[u8]) -> Value {
        let digest = portcullis::cli::image::build::digest(bytes);
        let begun = self.send("POST", &format!("/v2/{repository}/blobs/uploads/"), "", b"");
        let location = begun.header("location").expect("where to upload");
        let (_, target) = location
            .split_once(&self.host())
            .expect("a URL of this registry");
        let done = self.send(
            "PUT",
            &format!("{target}&digest={digest}"),
            "application/octet-stream",
            bytes,
        );
        assert_eq!(done.status, 201, "{}", done.text());
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    }

    /// Puts a manifest there, by tag or digest.
    pub fn put_manifest(&self, repository: &str, name: &str, manifest: &Value) {
        let media_type = manifest["mediaType"].as_str().expect("a media type");
        let target = format!("/v2/{repository}/manifests/{name}");
        let done = self.send("PUT", &target, media_type, manifest.to_string().as_bytes());
        assert_eq!(done.status, 201, "{}", done.text());
    }

    /// What is there by tag or digest, whatever it is.
    pub fn manifest(&self, repository: &str, name: &str) -> Response {
        let all = "application/vnd.docker.distribution.manifest.v2+json, \
                   application/vnd.docker.distribution.manifest.list.v2+json, \
                   application/vnd.oci.image.manifest.v1+json, \
                   application/vnd.oci.image.index.v1+json";
        let target = format!("/v2/{repository}/manifests/{name}");
        let request = self.client.get(target).authority(self.host());
        let answer = self.logged_in(request.header("accept", all)).send();
        answer.expect("an answer")
    }

    fn send(&self, method: &str, target: &str, media_type: &str, body: &[u8]) -> Response {
        let request = self.client.request(method, target).authority(self.host());
        let request = request.header("content-type", media_type).body(body);
        let answer = self.logged_in(request).send();
        answer.expect("an answer")
    }

    fn logged_in<'c>(&self, request: super::client::Request<'c>) -> super::client::Request<'c> {
        if self.guard != Guard::Password {
            return request;
        }
        let login = STANDARD.encode(format!("{}:{}", LOGIN.0, LOGIN.1));
        request.header("authorization", format!("Basic {login}"))
    }
}
