//! Name and password for a registry: from options, the environment, or the Docker configuration.
//!
//! Nothing in here is ever printed, nor what a helper of Docker's prints.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use std::collections::HashMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

/// What a registry is shown.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    pub username: String,
    pub password: String,
    /// Where they are from, to be told when they are refused.
    pub from: String,
}

/// Where credentials may stand.
pub(super) struct Places {
    /// `--username`
    pub username: Option<String>,
    /// What came from standard input.
    pub password: Option<String>,
    /// `PORTCULLIS_REGISTRY_USERNAME`
    pub env_username: Option<String>,
    /// `PORTCULLIS_REGISTRY_PASSWORD`
    pub env_password: Option<String>,
    /// Docker's `config.json`, if it is known where it is.
    pub docker: Option<PathBuf>,
}

/// Docker's `config.json`, as far as it tells credentials.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DockerConfig {
    auths: HashMap<String, Login>,
    cred_helpers: HashMap<String, String>,
    creds_store: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Login {
    /// `NAME:PASSWORD` in base64.
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
}

/// What a helper says.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Helped {
    username: String,
    secret: String,
}

const USERNAME: &str = "PORTCULLIS_REGISTRY_USERNAME";
const PASSWORD: &str = "PORTCULLIS_REGISTRY_PASSWORD";

/// How long a helper may take; some ask the network.
const PATIENCE: Duration = Duration::from_secs(30);

/// By this name Docker's configuration knows Docker Hub.
const DOCKER_HUB: &str = "index.docker.io";

// === impl Places ===

impl Places {
    /// Those of this process; reads standard input, if it holds the password.
    ///
    /// # Errors
    /// Standard input cannot be read.
    pub(super) fn of_this_process(
        username: Option<String>,
        password_stdin: bool,
    ) -> Result<Self, String> {
        let variable = |name| std::env::var(name).ok().filter(|it| !it.is_empty());
        let docker = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
        let home = || std::env::home_dir().map(|home| home.join(".docker"));
        let mut password = None;
        if password_stdin {
            let mut text = String::new();
            let read = io::stdin().read_to_string(&mut text);
            read.map_err(|error| format!("`--password-stdin`: {error}"))?;
            let line = text.strip_suffix('\n').unwrap_or(&text);
            password = Some(line.strip_suffix('\r').unwrap_or(line).to_owned());
        }
        Ok(Self {
            username,
            password,
            env_username: variable(USERNAME),
            env_password: variable(PASSWORD),
            docker: docker.or_else(home).map(|it| it.join("config.json")),
        })
    }

    /// The credentials for a registry, if there are any.
    ///
    /// # Errors
    /// Something is given, and cannot be used.
    pub(super) async fn find(self, registry: &str) -> Result<Option<Credentials>, String> {
        let by_option = self.username.is_some() || self.password.is_some();
        let source = match (&self.password, &self.env_password) {
            (Some(_), _) => "`--password-stdin`",
            (None, _) => PASSWORD,
        };
        let username = self.username.or(self.env_username);
        let password = self.password.or(self.env_password);
        match (username, password) {
            (Some(_), Some(password)) if password.is_empty() => {
                Err(format!("the password from {source} is empty"))
            }
            (Some(username), Some(password)) => Ok(Some(Credentials {
                username,
                password,
                from: source.to_owned(),
            })),
            (None, Some(_)) => Err(format!(
                "there is a password from {source} and no name: give `--username` or {USERNAME}"
            )),
            (Some(_), None) if by_option => Err(format!(
                "`--username` without a password: give `--password-stdin` or {PASSWORD}"
            )),
            (Some(_), None) => Err(format!("there is {USERNAME} and no {PASSWORD}")),
            (None, None) => match &self.docker {
                Some(file) => of_docker(file, registry).await,
                None => Ok(None),
            },
        }
    }
}

/// What Docker's configuration says of a registry.
async fn of_docker(file: &Path, registry: &str) -> Result<Option<Credentials>, String> {
    let from = file.display();
    let text = match std::fs::read(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("{from}: {error}")),
    };
    // The parser's own words could hold a piece of a secret.
    let config: DockerConfig = serde_json::from_slice(&text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        format!("{from}: not a Docker configuration, at line {line} column {column}")
    })?;
    let known = host_of(registry);
    if let Some((key, helper)) = of_host(&config.cred_helpers, known) {
        return ask(&helper_program(helper, file)?, key, PATIENCE).await;
    }
    let login = of_host(&config.auths, known);
    if let Some((key, login)) = &login
        && let Some(found) = login.read(key, &from.to_string())?
    {
        return Ok(Some(found));
    }
    if config.creds_store.is_empty() {
        return Ok(None);
    }
    let key = login.map_or_else(|| server(known), |(key, _)| key.to_owned());
    ask(&helper_program(&config.creds_store, file)?, &key, PATIENCE).await
}

/// The entry of a host.
fn of_host<'a, T>(map: &'a HashMap<String, T>, host: &str) -> Option<(&'a str, &'a T)> {
    // Several keys may mean the same host: the one that is exactly it counts first.
    let exact = map.get_key_value(host);
    let found = exact.or_else(|| map.iter().find(|(key, _)| host_of(key) == host));
    found.map(|(key, value)| (key.as_str(), value))
}

/// The host of a registry, however it is written: `https://index.docker.io/v1/`, `docker.io`.
fn host_of(key: &str) -> &str {
    let key = key.split_once("://").map_or(key, |(_, rest)| rest);
    let host = key.split_once('/').map_or(key, |(host, _)| host);
    match host {
        "docker.io" | "registry-1.docker.io" => DOCKER_HUB,
        host => host,
    }
}

/// By which name a store knows a host.
fn server(host: &str) -> String {
    match host {
        DOCKER_HUB => format!("https://{host}/v1/"),
        host => host.to_owned(),
    }
}

// === impl Login ===

impl Login {
    fn read(&self, key: &str, from: &str) -> Result<Option<Credentials>, String> {
        let broken =
            || format!("{from}: `auths[\"{key}\"].auth` is no name and password in base64");
        let found = |username: &str, password: &str| {
            Ok(Some(Credentials {
                username: username.to_owned(),
                password: password.to_owned(),
                from: from.to_owned(),
            }))
        };
        if !self.identitytoken.is_empty() {
            return Err(identity_token(key, from));
        }
        if !self.username.is_empty() && !self.password.is_empty() {
            return found(&self.username, &self.password);
        }
        if self.auth.is_empty() {
            return Ok(None);
        }
        let bytes = STANDARD.decode(&self.auth).map_err(|_| broken())?;
        let text = String::from_utf8(bytes).map_err(|_| broken())?;
        // Docker fills the end of the password with zeros.
        let (username, password) = text.split_once(':').ok_or_else(broken)?;
        found(username, password.trim_end_matches('\0'))
    }
}

fn identity_token(key: &str, from: &str) -> String {
    format!(
        "{from}: `{key}` is logged in with an identity token, which only Docker can use: give \
         `--username` and `--password-stdin` with an access token"
    )
}

/// The program of one of Docker's credential helpers, which is looked for in `PATH`.
fn helper_program(helper: &str, file: &Path) -> Result<String, String> {
    match helper.contains(['/', '\\']) {
        true => Err(format!(
            "{}: `{helper}` is no name of a credential helper",
            file.display()
        )),
        false => Ok(format!("docker-credential-{helper}")),
    }
}

/// Asks a credential helper.
async fn ask(program: &str, key: &str, patience: Duration) -> Result<Option<Credentials>, String> {
    let failed = |what: &str| {
        format!(
            "`{program} get` for `{key}` {what}; try `docker login`, or give `--username` and \
             `--password-stdin`"
        )
    };
    let answer = tokio::time::timeout(patience, run(program, key));
    let answer = answer.await.map_err(|_| failed("does not end"))?;
    let output = answer.map_err(|error| failed(&format!("could not be run: {error}")))?;
    if !output.status.success() {
        // The words of Docker's own library, which all helpers share.
        let says = String::from_utf8_lossy(&output.stdout);
        return match says.contains("credentials not found") {
            true => Ok(None),
            false => Err(failed(&format!("failed with {}", output.status))),
        };
    }
    let helped: Helped = serde_json::from_slice(&output.stdout)
        .map_err(|_| failed("did not answer with a name and a secret"))?;
    match helped.username.as_str() {
        "<token>" => Err(identity_token(key, program)),
        _ => Ok(Some(Credentials {
            username: helped.username,
            password: helped.secret,
            from: program.to_owned(),
        })),
    }
}

/// Runs a helper, which ends when nobody waits for it any more.
async fn run(program: &str, key: &str) -> io::Result<std::process::Output> {
    let piped = std::process::Stdio::piped;
    let mut child = tokio::process::Command::new(program)
        .arg("get")
        .stdin(piped())
        .stdout(piped())
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that does not read it will say so by how it ends.
        let _ = stdin.write_all(key.as_bytes()).await;
    }
    child.wait_with_output().await
}

#[cfg(test)]
mod tests;
