//! What an oauth2-proxy is told: by flags, by its environment, by its file; in that order the first
//! counts.
//!
//! Names are those of the flags. What a setting means is said where it is used.

use crate::cli::compile::Context;
use crate::cli::compile::resource::{Reading, Resource};
use crate::cli::yaml::{Content, Node};
use std::collections::BTreeMap;

/// One oauth2-proxy.
pub struct Proxy<'a> {
    /// The resource that it is told by.
    pub reading: Reading<'a>,
    /// What its Service is called, as far as one can tell.
    pub name: String,
    /// Where it runs.
    pub namespace: String,
    /// Whether it was found as a Deployment; Helm values do not name their release.
    pub is_deployed: bool,
    settings: BTreeMap<String, Setting<'a>>,
    unknown: Vec<Unknown<'a>>,
    unreadable: Vec<(&'a Node, String)>,
}

/// One setting.
pub struct Setting<'a> {
    /// Its values; a flag without one is `true`.
    pub values: Vec<String>,
    /// Where it stands.
    pub node: &'a Node,
}

/// Settings that are not in the input.
pub struct Unknown<'a> {
    /// What they are: a file, or one setting.
    pub what: String,
    /// Where they are named.
    pub node: &'a Node,
}

/// Settings that may be given several times; in files and environments their names are plurals.
const LISTS: [&str; 15] = [
    "allowed-group",
    "allowed-role",
    "api-route",
    "cookie-domain",
    "email-domain",
    "github-user",
    "gitlab-group",
    "gitlab-project",
    "google-group",
    "oidc-audience-claim",
    "oidc-extra-audience",
    "skip-auth-route",
    "trusted-ip",
    "upstream",
    "whitelist-domain",
];

// === impl Proxy ===

impl<'a> Proxy<'a> {
    fn new(reading: Reading<'a>) -> Self {
        Self {
            reading,
            name: super::NAME.to_owned(),
            namespace: super::NAME.to_owned(),
            is_deployed: false,
            settings: BTreeMap::new(),
            unknown: Vec::new(),
            unreadable: Vec::new(),
        }
    }

    /// Told by the values of its Helm chart.
    pub fn of_values(reading: Reading<'a>) -> Self {
        let root = &reading.resource.root;
        let mut proxy = Self::new(reading);
        let config = |name: &str| {
            let node = root.at(&["config", name])?;
            (node.text() != Some("")).then_some(node)
        };
        match (root.at(&["config", "configFile"]), config("existingConfig")) {
            (_, Some(node)) => proxy.unknown("the file of `existingConfig`", node),
            (Some(file), None) => proxy.read_file(file, file),
            // The chart's own file.
            (None, None) => {
                proxy.set("email-domain", vec!["*".to_owned()], root);
                proxy.set("upstream", vec!["file:///dev/null".to_owned()], root);
            }
        }
        match (config("existingSecret"), config("clientID")) {
            (Some(node), _) => proxy.unknown("client-id", node),
            (None, Some(node)) => proxy.set("client-id", scalar(node).into_iter().collect(), node),
            (None, None) => {}
        }
        let (mut environment, mut flags) = (Self::new(reading), Self::new(reading));
        environment.read_environment(root.get("extraEnv"));
        proxy.overrule(environment);
        let enabled = |name: &str| {
            let node = root.at(&[name, "enabled"])?;
            matches!(node.content, Content::Bool(true)).then_some(node)
        };
        for (section, name) in [
            ("authenticatedEmailsFile", "authenticated-emails-file"),
            ("htpasswdFile", "htpasswd-file"),
            ("alphaConfig", "alpha-config"),
        ] {
            if let Some(node) = enabled(section) {
                proxy.set(name, vec![section.to_owned()], node);
            }
        }
        if let Some(arguments) = root.get("extraArgs") {
            flags.read_arguments(arguments);
        }
        proxy.overrule(flags);
        if let Some(file) = proxy.settings.get("config") {
            let (what, node) = (format!("the file `{}`", file.values.concat()), file.node);
            proxy.unknown(&what, node);
        }
        proxy
    }

    /// Told by the container of its Deployment; `None` if none runs oauth2-proxy.
    pub fn of_deployment(context: &Context<'a>, resource: &'a Resource) -> Option<Self> {
        let containers = resource
            .root
            .at(&["spec", "template", "spec", "containers"])?;
        let image = |it: &Node| {
            it.get("image")
                .and_then(Node::text)
                .unwrap_or_default()
                .to_owned()
        };
        let mut containers = containers.items().iter();
        let container = containers.find(|it| image(it).contains(super::NAME))?;
        let mut proxy = Self::new(context.reading(resource));
        proxy.name.clone_from(&resource.name);
        proxy.namespace.clone_from(&resource.namespace);
        proxy.is_deployed = true;
        let (mut environment, mut flags) = (Self::new(proxy.reading), Self::new(proxy.reading));
        environment.read_environment(container.get("env"));
        if let Some(node) = container.get("envFrom") {
            proxy.unknown("the environment of `envFrom`", node);
        }
        for name in ["command", "args"] {
            if let Some(arguments) = container.get(name) {
                flags.read_arguments(arguments);
            }
        }
        if let Some(file) = flags.get("config").or(environment.get("config")) {
            let (node, path) = (file.node, file.values.concat());
            let name = path.rsplit('/').next().unwrap_or_default();
            let maps = context.inventory.of("", "ConfigMap");
            let mut maps = maps.filter(|it| it.namespace == resource.namespace);
            match maps.find_map(|it| it.root.at(&["data", name])) {
                Some(text) => proxy.read_file(text, node),
                None => proxy.unknown(&format!("the file `{path}`"), node),
            }
        }
        proxy.overrule(environment);
        proxy.overrule(flags);
        Some(proxy)
    }

    /// A setting, if it was given.
    pub fn get(&self, name: &str) -> Option<&Setting<'a>> {
        self.settings.get(name)
    }

    /// Its last value.
    pub fn text(&self, name: &str) -> Option<&str> {
        let text = self.get(name)?.values.last()?;
        Some(text.as_str()).filter(|text| !text.is_empty())
    }

    /// Whether it is on.
    pub fn flag(&self, name: &str) -> bool {
        let text = self.text(name).map(str::to_lowercase);
        text.is_some_and(|it| ["true", "t", "1"].contains(&it.as_str()))
    }

    /// Its values, which may also be separated by commas.
    pub fn list(&self, name: &str) -> Vec<&str> {
        let values = self.get(name).map_or(&[][..], |it| &it.values);
        let values = values.iter().flat_map(|it| it.split(','));
        values.map(str::trim).filter(|it| !it.is_empty()).collect()
    }

    /// Where a setting stands, or the whole.
    pub fn place(&self, name: &str) -> &'a Node {
        let given = self.get(name).map(|it| it.node);
        given.unwrap_or(&self.reading.resource.root)
    }

    /// What is not in the input.
    pub fn unknowns(&self) -> &[Unknown<'a>] {
        &self.unknown
    }

    /// Notes what could not be read.
    pub fn tell_unreadable(&self) {
        for (node, message) in &self.unreadable {
            let help = "only lines such as `key = \"value\"` and `keys = [\"value\"]` are read; give \
                        the setting as one of these or as a flag";
            self.reading.error(node, message, help);
        }
    }

    fn set(&mut self, name: &str, values: Vec<String>, node: &'a Node) {
        self.settings
            .insert(name.to_owned(), Setting { values, node });
    }

    fn unknown(&mut self, what: &str, node: &'a Node) {
        let what = what.to_owned();
        self.unknown.push(Unknown { what, node });
    }

    /// Takes over what counts more.
    fn overrule(&mut self, upper: Self) {
        for (name, setting) in upper.settings {
            self.unknown.retain(|it| it.what != name);
            self.settings.insert(name, setting);
        }
        for unknown in upper.unknown {
            self.settings.remove(&unknown.what);
            self.unknown.push(unknown);
        }
    }

    /// Adds a flag; given once more, it has both values.
    fn flag_of(
        &mut self,
        flags: &mut BTreeMap<String, Vec<String>>,
        (name, value): (&str, String),
        node: &'a Node,
    ) {
        let name = flag_name(name);
        let values = flags.entry(name.clone()).or_default();
        values.push(value);
        let values = values.clone();
        match values.iter().any(|it| it.contains("$(")) {
            true => {
                self.settings.remove(&name);
                self.unknown(&name, node);
            }
            false => self.set(&name, values, node),
        }
    }

    /// Flags: a list as a container has it, or a map of their names.
    fn read_arguments(&mut self, arguments: &'a Node) {
        let mut flags = BTreeMap::new();
        for (key, node) in arguments.members() {
            let items = if node.is_list() {
                node.items()
            } else {
                std::slice::from_ref(node)
            };
            for item in items {
                let value = scalar(item).unwrap_or_else(|| "true".to_owned());
                self.flag_of(&mut flags, (&key.name, value), node);
            }
        }
        let mut items = arguments.items().iter().peekable();
        while let Some(item) = items.next() {
            let Some(flag) = item.text().and_then(|it| it.strip_prefix("--")) else {
                continue;
            };
            let (name, value) = match flag.split_once('=') {
                Some((name, value)) => (name, value.to_owned()),
                None => {
                    let is_value = |it: &&'a Node| it.text().is_some_and(|it| !it.starts_with('-'));
                    let value = items.next_if(is_value).and_then(Node::text);
                    (flag, value.unwrap_or("true").to_owned())
                }
            };
            self.flag_of(&mut flags, (name, value), item);
        }
    }

    /// Environment variables, `OAUTH2_PROXY_…`.
    fn read_environment(&mut self, env: Option<&'a Node>) {
        for entry in env.map_or(&[][..], Node::items) {
            let name = entry.get("name").and_then(Node::text);
            let Some(name) = name.and_then(|it| it.strip_prefix("OAUTH2_PROXY_")) else {
                continue;
            };
            let name = flag_name(name);
            match entry.get("value").and_then(scalar) {
                Some(value) => self.set(&name, vec![value], entry),
                None => self.unknown(&name, entry),
            }
        }
    }

    /// A file in TOML; notes stand at `node`.
    fn read_file(&mut self, file: &'a Node, node: &'a Node) {
        let text = file.text().unwrap_or_default();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match assignment(line) {
                Some((name, values)) => self.set(&flag_name(name), values, node),
                None => {
                    let number = number.saturating_add(1);
                    let name = line.split('=').next().unwrap_or_default().trim();
                    let message = format!("line {number} of the file, `{name}`, cannot be read");
                    self.unreadable.push((node, message));
                }
            }
        }
    }
}

/// The text of a value that stands for itself.
fn scalar(node: &Node) -> Option<String> {
    match &node.content {
        Content::Text(text) => Some(text.clone()),
        Content::Bool(flag) => Some(flag.to_string()),
        Content::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// `OIDC_ISSUER_URL` and `oidc_issuer_url` as `oidc-issuer-url`, `email_domains` as `email-domain`.
fn flag_name(name: &str) -> String {
    let name = name.to_lowercase().replace('_', "-");
    let singular = name.strip_suffix('s');
    match singular.filter(|it| LISTS.contains(it)) {
        Some(singular) => singular.to_owned(),
        None => name,
    }
}

/// `key = "value"`, `key = true`, `keys = ["value", "value"]`
fn assignment(line: &str) -> Option<(&str, Vec<String>)> {
    let (name, value) = line.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if name.is_empty() || !name.bytes().all(plain) {
        return None;
    }
    let list = value.strip_prefix('[').map(|rest| rest.strip_suffix(']'));
    let values = match list {
        Some(list) => {
            let items = list?.split(',').map(str::trim).filter(|it| !it.is_empty());
            items.map(quoted).collect::<Option<Vec<_>>>()?
        }
        None => vec![quoted(value).or_else(|| bare(value))?],
    };
    Some((name, values))
}

fn quoted(text: &str) -> Option<String> {
    let inner = ['"', '\''].into_iter().find_map(|quote| {
        let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
        (!inner.contains([quote, '\\'])).then_some(inner)
    })?;
    Some(inner.to_owned())
}

fn bare(text: &str) -> Option<String> {
    let is_bare = matches!(text, "true" | "false") || text.parse::<i64>().is_ok();
    is_bare.then(|| text.to_owned())
}
