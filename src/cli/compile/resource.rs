//! One resource of the input, and how its fields are read.
//!
//! [`Resource`] is a Kubernetes object, or a file that is none (`OathkeeperConfig`, `OathkeeperRule`,
//! `OAuth2ProxyValues`), told by its shape. [`Reading`] reads fields and notes what is wrong with them.

use super::notes::Notes;
use crate::cli::likely::likely;
use crate::cli::report::Severity;
use crate::cli::yaml::Node;

/// One resource.
#[derive(Debug)]
pub struct Resource {
    /// Which file it stands in.
    pub source: usize,
    /// The whole document.
    pub root: Node,
    /// The group of `apiVersion`; empty for core kinds and for what is no Kubernetes object.
    pub group: String,
    /// The version of `apiVersion`.
    pub version: String,
    /// `kind`
    pub kind: String,
    /// `metadata.name`
    pub name: String,
    /// `metadata.namespace`; `default` if absent, as kubectl has it.
    pub namespace: String,
}

/// A resource while it is read: notes carry its name and the path of the field.
#[derive(Clone, Copy)]
pub struct Reading<'a> {
    /// The resource.
    pub resource: &'a Resource,
    /// Where notes go.
    pub notes: &'a Notes,
}

/// The members of an object while they are read; tells which names nobody asked for.
pub struct Fields<'a> {
    reading: Reading<'a>,
    node: &'a Node,
    known: Vec<&'static str>,
}

/// An object without anything in it, for what is absent.
pub const NOTHING: &Node = &Node {
    content: crate::cli::yaml::Content::Null,
    span: 0..0,
};

// === impl Resource ===

impl Resource {
    /// A Kubernetes object; `None` if the document is none.
    #[must_use]
    pub fn of_kubernetes(source: usize, root: Node) -> Option<Self> {
        let text = |names: &[&str]| root.at(names).and_then(Node::text).map(str::to_owned);
        let api_version = text(&["apiVersion"])?;
        let kind = text(&["kind"])?;
        let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
        Some(Self {
            source,
            group: group.to_owned(),
            version: version.to_owned(),
            kind,
            name: text(&["metadata", "name"]).unwrap_or_default(),
            namespace: text(&["metadata", "namespace"]).unwrap_or_else(|| "default".to_owned()),
            root,
        })
    }

    /// A document that is no Kubernetes object, by what it was recognized as.
    #[must_use]
    pub fn of_file(source: usize, root: Node, kind: &str, name: &str) -> Self {
        Self {
            source,
            root,
            group: String::new(),
            version: String::new(),
            kind: kind.to_owned(),
            name: name.to_owned(),
            namespace: "default".to_owned(),
        }
    }

    /// `spec`; nothing, if it is absent.
    #[must_use]
    pub fn spec(&self) -> &Node {
        self.root.get("spec").unwrap_or(NOTHING)
    }

    /// An annotation.
    #[must_use]
    pub fn annotation(&self, name: &str) -> Option<&Node> {
        self.root.at(&["metadata", "annotations", name])
    }

    /// A label.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        self.root.at(&["metadata", "labels", name])?.text()
    }

    /// Whether another one of its kind can have the same name.
    #[must_use]
    pub fn is_named(&self) -> bool {
        !self.name.is_empty() && !self.version.is_empty()
    }

    /// `KIND NAMESPACE/NAME`, as messages name it.
    #[must_use]
    pub fn title(&self) -> String {
        match (
            self.group.is_empty() && self.version.is_empty(),
            self.name.is_empty(),
        ) {
            (true, true) => self.kind.clone(),
            (true, false) => format!("{} {}", self.kind, self.name),
            (false, _) => format!("{} {}/{}", self.kind, self.namespace, self.name),
        }
    }
}

// === impl Reading ===

impl<'a> Reading<'a> {
    /// Something cannot be carried over, or is wrong: nothing will be written. `help` may be empty.
    pub fn error(&self, node: &Node, message: impl Into<String>, help: impl Into<String>) {
        self.note(Severity::Error, node, message.into(), help.into());
    }

    /// Something to know before the result is used. `help` may be empty.
    pub fn warning(&self, node: &Node, message: impl Into<String>, help: impl Into<String>) {
        self.note(Severity::Warning, node, message.into(), help.into());
    }

    fn note(&self, severity: Severity, node: &Node, message: String, help: String) {
        self.notes.add(severity, self.resource, node, message, help);
    }

    /// The members of an object; anything else is an error.
    pub fn fields(&self, node: &'a Node) -> Option<Fields<'a>> {
        if !node.is_map() {
            self.unexpected(node, "an object");
            return None;
        }
        Some(Fields {
            reading: *self,
            node,
            known: Vec::new(),
        })
    }

    /// A text; numbers and truth values are none.
    pub fn text(&self, node: &'a Node) -> Option<&'a str> {
        let text = node.text();
        if text.is_none() {
            self.unexpected(node, "a text");
        }
        text
    }

    /// The items of a list; anything else is an error.
    pub fn items(&self, node: &'a Node) -> &'a [Node] {
        if !node.is_list() {
            self.unexpected(node, "a list");
        }
        node.items()
    }

    /// A list of texts.
    pub fn texts(&self, node: &'a Node) -> Vec<String> {
        let items = self.items(node).iter();
        let texts = items.filter_map(|item| self.text(item));
        texts.map(str::to_owned).collect()
    }

    /// `true` or `false`.
    pub fn flag(&self, node: &Node) -> Option<bool> {
        let crate::cli::yaml::Content::Bool(flag) = node.content else {
            self.unexpected(node, "`true` or `false`");
            return None;
        };
        Some(flag)
    }

    /// A whole number that is not negative.
    pub fn number(&self, node: &Node) -> Option<u64> {
        let number = match &node.content {
            crate::cli::yaml::Content::Number(number) => number.as_u64(),
            _ => None,
        };
        if number.is_none() {
            self.unexpected(node, "a whole number");
        }
        number
    }

    /// Something else stands here than what is allowed.
    pub fn unexpected(&self, node: &Node, allowed: &str) {
        let message = format!("found {}; allowed: {allowed}", node.described());
        self.error(node, message, "");
    }
}

// === impl Fields ===

impl<'a> Fields<'a> {
    /// The member of that name, unless it is absent or `null`; from now on the name is known.
    pub fn get(&mut self, name: &'static str) -> Option<&'a Node> {
        self.known.push(name);
        self.node.get(name)
    }

    /// The member of that name, or an error.
    pub fn required(&mut self, name: &'static str) -> Option<&'a Node> {
        let found = self.get(name);
        if found.is_none() {
            let message = format!("`{name}` is missing");
            self.reading.error(self.node, message, "");
        }
        found
    }

    /// Names that are of no interest here.
    pub fn skip(&mut self, names: &[&'static str]) {
        self.known.extend(names);
    }

    /// Notes every member whose name nobody asked for: the API server would drop it silently.
    pub fn finish(self) {
        for (key, value) in self.node.members() {
            let known = || self.known.iter().any(|known| *known == key.name);
            if known() {
                continue;
            }
            let help = match likely(&key.name, self.known.iter().copied()) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("known here: {}", self.known.join(", ")),
            };
            let message = format!("unknown field `{}`", key.name.escape_debug());
            let Reading { resource, notes } = self.reading;
            let severity = Severity::Error;
            notes.add_at(severity, resource, (value, &key.span), message, help);
        }
    }
}
