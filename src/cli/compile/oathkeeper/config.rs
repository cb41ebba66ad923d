//! Oathkeeper's own configuration, and what a handler's is together with a rule's.
//!
//! A handler is configured by the rule, and beneath that by Oathkeeper's file: objects are merged,
//! anything else is the rule's. It knows no handler. [`super::handlers`] and [`super::mutators`] call
//! it.

use crate::cli::compile::Context;
use crate::cli::compile::oathkeeper_url::MatchingStrategy;
use crate::cli::compile::resource::{Fields, Reading};
use crate::cli::yaml::Node;

/// Oathkeeper, as it is configured.
#[derive(Clone, Copy)]
pub struct Oathkeeper<'a> {
    /// Its file, if the input has it.
    file: Option<Value<'a>>,
    /// Whether it is the one that Kyma installs.
    pub is_kymas: bool,
}

/// A node, and whom to tell what is wrong with it.
#[derive(Clone, Copy)]
pub struct Value<'a> {
    /// Whom.
    pub reading: Reading<'a>,
    /// What stands there.
    pub node: &'a Node,
}

/// A handler that a rule names.
#[derive(Clone, Copy)]
pub struct Handler<'a> {
    /// `handler`
    pub name: &'a str,
    /// The whole of it.
    pub at: Value<'a>,
    /// `config`
    pub config: Option<Value<'a>>,
}

/// An object that stands in several places; what stands in an earlier one counts.
pub struct Merged<'a> {
    /// Where it would stand, if it is nowhere.
    at: Value<'a>,
    layers: Vec<(Value<'a>, Fields<'a>)>,
}

// === impl Oathkeeper ===

impl<'a> Oathkeeper<'a> {
    /// The one that the input tells of.
    pub fn new(context: &Context<'a>, is_kymas: bool) -> Self {
        let files = context.inventory.of("", "OathkeeperConfig");
        let file = files.last().map(|resource| Value {
            reading: context.reading(resource),
            node: &resource.root,
        });
        Self { file, is_kymas }
    }

    /// Whether the input has its file.
    pub fn has_file(&self) -> bool {
        self.file.is_some()
    }

    /// `access_rules.matching_strategy`; `None` if it is not known, which has been noted.
    pub fn matching_strategy(&self) -> Option<MatchingStrategy> {
        let way = ["access_rules", "matching_strategy"];
        let found = self
            .file
            .and_then(|file| Some(file.with(file.node.at(&way)?)));
        let Some(found) = found else {
            return Some(MatchingStrategy::Regexp);
        };
        match found.text()? {
            "" | "regexp" => Some(MatchingStrategy::Regexp),
            "glob" => Some(MatchingStrategy::Glob),
            _ => {
                found.unexpected("`regexp`, `glob`");
                None
            }
        }
    }

    /// What a handler is told by a rule and by the file together; `None` if it cannot work, which has
    /// been noted.
    pub fn configured(&self, section: &str, handler: &Handler<'a>) -> Option<Merged<'a>> {
        let mut layers: Vec<_> = handler.config.into_iter().collect();
        if let Some(file) = self.file {
            let own = file.node.at(&[section, handler.name]);
            let own = own.map(|node| file.with(node));
            let enabled = own.and_then(|own| own.member("enabled"));
            if enabled.and_then(|it| it.flag()) != Some(true) {
                let name = handler.name;
                handler.at.error(
                    format!("`{name}` is not enabled in Oathkeeper, which answers 500"),
                    format!(
                        "set `{section}.{name}.enabled: true` in Oathkeeper's configuration, or use \
                         another handler"
                    ),
                );
                return None;
            }
            layers.extend(own.and_then(|own| own.member("config")));
        }
        Merged::new(handler.at, layers)
    }
}

// === impl Value ===

impl<'a> Value<'a> {
    /// Another node of the same resource.
    pub fn with(self, node: &'a Node) -> Self {
        Self { node, ..self }
    }

    /// A member of an object, unless it is absent.
    pub fn member(self, name: &str) -> Option<Self> {
        self.node.get(name).map(|node| self.with(node))
    }

    /// See [`Reading::error`].
    pub fn error(self, message: impl Into<String>, help: impl Into<String>) {
        self.reading.error(self.node, message, help);
    }

    /// See [`Reading::warning`].
    pub fn warning(self, message: impl Into<String>, help: impl Into<String>) {
        self.reading.warning(self.node, message, help);
    }

    /// See [`Reading::unexpected`].
    pub fn unexpected(self, allowed: &str) {
        self.reading.unexpected(self.node, allowed);
    }

    /// See [`Reading::text`].
    pub fn text(self) -> Option<&'a str> {
        self.reading.text(self.node)
    }

    /// See [`Reading::flag`].
    pub fn flag(self) -> Option<bool> {
        self.reading.flag(self.node)
    }

    /// The items of a list.
    pub fn items(self) -> impl Iterator<Item = Self> {
        self.reading
            .items(self.node)
            .iter()
            .map(move |node| self.with(node))
    }
}

// === impl Handler ===

impl<'a> Handler<'a> {
    /// Reads a handler.
    pub fn read(at: Value<'a>) -> Option<Self> {
        let mut fields = at.reading.fields(at.node)?;
        let name = fields.required("handler");
        let config = fields.get("config").map(|node| at.with(node));
        fields.finish();
        Some(Self {
            name: at.reading.text(name?)?,
            at,
            config,
        })
    }

    /// Reads a list of them; `None` if one of them is none, which has been noted.
    pub fn read_all(at: Value<'a>) -> Option<Vec<Self>> {
        let read: Vec<_> = at.items().map(Self::read).collect();
        read.into_iter().collect()
    }

    /// Where its configuration stands, or would.
    pub fn place(&self) -> Value<'a> {
        self.config.unwrap_or(self.at)
    }
}

// === impl Merged ===

impl<'a> Merged<'a> {
    fn new(at: Value<'a>, layers: Vec<Value<'a>>) -> Option<Self> {
        let at = layers.first().copied().unwrap_or(at);
        let read = |layer: Value<'a>| Some((layer, layer.reading.fields(layer.node)?));
        let layers: Option<Vec<_>> = layers.into_iter().map(read).collect();
        Some(Self {
            at,
            layers: layers?,
        })
    }

    /// Where it stands.
    pub fn at(&self) -> Value<'a> {
        self.at
    }

    /// A member; from now on its name is known.
    pub fn get(&mut self, name: &'static str) -> Option<Value<'a>> {
        let layers = self.layers.iter_mut();
        let found = layers.filter_map(|(layer, fields)| Some(layer.with(fields.get(name)?)));
        // In every layer the name is known.
        let found: Vec<_> = found.collect();
        found.first().copied()
    }

    /// A member that is an object, merged.
    pub fn object(&mut self, name: &'static str) -> Option<Self> {
        let layers = self.layers.iter_mut();
        let found = layers.filter_map(|(layer, fields)| Some(layer.with(fields.get(name)?)));
        let found: Vec<_> = found.collect();
        (!found.is_empty()).then(|| Self::new(self.at, found))?
    }

    /// A member that is a list of texts; of one that is absent, none.
    pub fn texts(&mut self, name: &'static str) -> Vec<Value<'a>> {
        let items = self
            .get(name)
            .into_iter()
            .flat_map(|it| it.items().collect::<Vec<_>>());
        items.filter(|item| item.text().is_some()).collect()
    }

    /// Names that are of no interest here.
    pub fn skip(&mut self, names: &[&'static str]) {
        for (_, fields) in &mut self.layers {
            fields.skip(names);
        }
    }

    /// The names with their texts: those of the last layer first, as they are there.
    pub fn into_texts(self) -> Vec<(&'a str, Value<'a>)> {
        let mut members: Vec<(&'a str, Value<'a>)> = Vec::new();
        for (layer, _) in self.layers.iter().rev() {
            for (key, node) in layer.node.members() {
                let value = layer.with(node);
                match members.iter_mut().find(|(name, _)| *name == key.name) {
                    Some((_, known)) => *known = value,
                    None => members.push((&key.name, value)),
                }
            }
        }
        members.retain(|(_, value)| value.text().is_some());
        members
    }

    /// Notes every name: this handler takes no configuration.
    pub fn finish_empty(self, handler: &str) {
        for (layer, _) in self.layers {
            if !layer.node.members().is_empty() {
                let message = format!("`{handler}` takes no configuration");
                layer.error(message, "leave `config` out");
            }
        }
    }

    /// Notes every name that nobody asked for: Oathkeeper answers 500 for it.
    pub fn finish(self) {
        for (_, fields) in self.layers {
            fields.finish();
        }
    }
}
