//! YAML and JSON as a tree that knows where each thing stands in its file.
//!
//! What reads somebody's manifests walks this tree, so that whatever is wrong can be shown in the
//! text around it. It knows no kind of resource. Only `cli` calls it.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::Value;
use serde_saphyr::Spanned;
use std::fmt;
use std::ops::Range;

/// One value in a document, and where it stands.
#[derive(Clone, Debug)]
pub struct Node {
    /// What stands there.
    pub content: Content,
    /// Where, in bytes of the file; of a list or map, where it begins.
    pub span: Range<usize>,
}

/// What a [`Node`] holds; the members of a map are in the order of the file, and no name is twice.
#[derive(Clone, Debug)]
pub enum Content {
    /// `null`, or nothing.
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number.
    Number(serde_json::Number),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A map.
    Map(Vec<(Key, Node)>),
}

/// The name of a member.
#[derive(Clone, Debug)]
pub struct Key {
    /// The name.
    pub name: String,
    /// Where it stands.
    pub span: Range<usize>,
}

/// Why a text is no YAML.
#[derive(Clone, Debug)]
pub struct Invalid {
    /// What is wrong.
    pub message: String,
    /// Where, in bytes, if that is known.
    pub at: Option<usize>,
}

/// Reads every document of a text; those that are empty are left out.
///
/// # Errors
/// The text is neither YAML nor JSON, or beyond what a reasonable file holds.
pub fn documents(text: &str) -> Result<Vec<Node>, Invalid> {
    let mut options = serde_saphyr::Options::default();
    // Whole clusters are exported into one file.
    if let Some(budget) = &mut options.budget {
        budget.max_events = 50_000_000;
        budget.max_nodes = 20_000_000;
        budget.max_documents = 1_000_000;
        budget.max_total_scalar_bytes = 1 << 30;
        budget.max_reader_input_bytes = None;
    }
    options.with_snippet = false;
    let read: Result<Vec<Node>, _> = serde_saphyr::from_multiple_with_options(text, options);
    let mut documents = read.map_err(|error| {
        let message = error.to_string();
        // The place is told by whoever shows it; options of the library are nobody's business.
        let told = message.rfind(" at line ").and_then(|at| message.get(..at));
        let told = told.unwrap_or(&message).split(", set DuplicateKeyPolicy");
        let place = |it: serde_saphyr::Location| offset(text, it.line(), it.column());
        Invalid {
            message: told.take(1).collect(),
            at: error.location().and_then(place),
        }
    })?;
    documents.retain(|document| !document.is_null());
    Ok(documents)
}

/// The byte at which a character of a line stands; both are counted from 1.
fn offset(text: &str, line: u64, column: u64) -> Option<usize> {
    let before = usize::try_from(line).ok()?.checked_sub(1)?;
    let begin: usize = text.split_inclusive('\n').take(before).map(str::len).sum();
    let skipped = usize::try_from(column).ok()?.checked_sub(1)?;
    let within = text.get(begin..)?.chars().take(skipped);
    Some(begin.saturating_add(within.map(char::len_utf8).sum()))
}

// === impl Node ===

impl Node {
    /// The member of that name, unless it is `null`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        let mut members = self.members().iter();
        let (_, member) = members.find(|(key, _)| key.name == name)?;
        (!member.is_null()).then_some(member)
    }

    /// What stands at the end of this way of names, unless it is `null`.
    #[must_use]
    pub fn at(&self, names: &[&str]) -> Option<&Self> {
        names.iter().try_fold(self, |node, name| node.get(name))
    }

    /// The members of a map; of anything else, none.
    #[must_use]
    pub fn members(&self) -> &[(Key, Self)] {
        match &self.content {
            Content::Map(members) => members,
            _ => &[],
        }
    }

    /// The items of a list; of anything else, none.
    #[must_use]
    pub fn items(&self) -> &[Self] {
        match &self.content {
            Content::List(items) => items,
            _ => &[],
        }
    }

    /// The text, if it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether nothing stands here.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self.content, Content::Null)
    }

    /// Whether it is a map.
    #[must_use]
    pub fn is_map(&self) -> bool {
        matches!(self.content, Content::Map(_))
    }

    /// Whether it is a list.
    #[must_use]
    pub fn is_list(&self) -> bool {
        matches!(self.content, Content::List(_))
    }

    /// The same as plain JSON, without places.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match &self.content {
            Content::Null => Value::Null,
            Content::Bool(it) => Value::Bool(*it),
            Content::Number(it) => Value::Number(it.clone()),
            Content::Text(it) => Value::String(it.clone()),
            Content::List(items) => items.iter().map(Self::to_json).collect(),
            Content::Map(members) => {
                let members = members.iter();
                let members = members.map(|(key, node)| (key.name.clone(), node.to_json()));
                Value::Object(members.collect())
            }
        }
    }

    /// What it is, in a word or two, for messages: a scalar as it is, in backticks.
    #[must_use]
    pub fn described(&self) -> String {
        match &self.content {
            Content::Null => "nothing".to_owned(),
            Content::Bool(it) => format!("`{it}`"),
            Content::Number(it) => format!("`{it}`"),
            Content::Text(it) => format!("`{}`", it.escape_debug()),
            Content::List(_) => "a list".to_owned(),
            Content::Map(_) => "an object".to_owned(),
        }
    }

    /// The place of a path such as `$.spec.rules[0].to`, or of as much of it as is there: the name of
    /// a member rather than the value behind it.
    #[must_use]
    pub fn place(&self, path: &str) -> Range<usize> {
        let path = path.strip_prefix('$').unwrap_or(path);
        self.place_of(path).unwrap_or_else(|| self.span.clone())
    }

    fn place_of(&self, path: &str) -> Option<Range<usize>> {
        if let Some(rest) = path.strip_prefix('.') {
            // Names may hold dots; the longest that fits is meant.
            let fits = |(key, _): &&(Key, Self)| {
                rest.strip_prefix(key.name.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
            };
            let members = self.members().iter().filter(fits);
            let (key, node) = members.max_by_key(|(key, _)| key.name.len())?;
            let rest = rest.strip_prefix(key.name.as_str())?;
            return node
                .place_of(rest)
                .or_else(|| Some(node.own_place(key, rest)));
        }
        let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
        let item = self.items().get(index.parse::<usize>().ok()?)?;
        item.place_of(rest).or_else(|| Some(item.span.clone()))
    }

    /// A scalar stands for itself, a list or map for its name.
    fn own_place(&self, key: &Key, rest: &str) -> Range<usize> {
        match self.is_map() || self.is_list() || self.is_null() || !rest.is_empty() {
            true => key.span.clone(),
            false => self.span.clone(),
        }
    }

    /// The path to a node below this one, which is told by its identity: `.spec.rules[0]`.
    #[must_use]
    pub fn path_to(&self, node: &Self) -> Option<String> {
        if std::ptr::eq(self, node) {
            return Some(String::new());
        }
        if let Content::List(items) = &self.content {
            let mut items = items.iter().enumerate();
            return items.find_map(|(index, item)| {
                let rest = item.path_to(node)?;
                Some(format!("[{index}]{rest}"))
            });
        }
        let mut members = self.members().iter();
        members.find_map(|(key, member)| {
            let rest = member.path_to(node)?;
            Some(format!(".{}{rest}", key.name))
        })
    }

    /// The same tree, standing as a whole at one place: what a text within a document holds.
    #[must_use]
    pub fn placed(self, span: &Range<usize>) -> Self {
        let content = match self.content {
            Content::List(items) => {
                Content::List(items.into_iter().map(|it| it.placed(span)).collect())
            }
            Content::Map(members) => {
                let placed = |(key, node): (Key, Self)| {
                    let span = span.clone();
                    let name = key.name;
                    (
                        Key {
                            name,
                            span: span.clone(),
                        },
                        node.placed(&span),
                    )
                };
                Content::Map(members.into_iter().map(placed).collect())
            }
            scalar => scalar,
        };
        let span = span.clone();
        Self { content, span }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned {
            value, referenced, ..
        } = Spanned::<Content>::deserialize(deserializer)?;
        Ok(Self {
            content: value,
            span: bytes(referenced),
        })
    }
}

/// The place in bytes.
fn bytes(location: serde_saphyr::Location) -> Range<usize> {
    let number = |it: Option<u64>| it.and_then(|it| usize::try_from(it).ok()).unwrap_or(0);
    let start = number(location.span().byte_offset());
    start..start.saturating_add(number(location.span().byte_len()))
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Content, E> {
        Ok(Content::Null)
    }

    fn visit_none<E>(self) -> Result<Content, E> {
        Ok(Content::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Content, D::Error> {
        Content::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Content, E> {
        Ok(Content::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Content, E> {
        Ok(Content::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Content, E> {
        Ok(Content::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Content, E> {
        let number = serde_json::Number::from_f64(value).map(Content::Number);
        number.ok_or_else(|| E::custom("a number that JSON does not have"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Content, E> {
        Ok(Content::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Content, E> {
        Ok(Content::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Content, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Content::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Content, A::Error> {
        let mut members = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let span = bytes(key.referenced);
            let name = key.value;
            members.push((Key { name, span }, map.next_value()?));
        }
        Ok(Content::Map(members))
    }
}

/// Written in the order of the file.
impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.content {
            Content::Null => serializer.serialize_unit(),
            Content::Bool(it) => serializer.serialize_bool(*it),
            Content::Number(it) => it.serialize(serializer),
            Content::Text(it) => serializer.serialize_str(it),
            Content::List(items) => {
                let mut seq = serializer.serialize_seq(Some(items.len()))?;
                items.iter().try_for_each(|it| seq.serialize_element(it))?;
                seq.end()
            }
            Content::Map(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                let mut members = members.iter();
                members.try_for_each(|(key, it)| map.serialize_entry(&key.name, it))?;
                map.end()
            }
        }
    }
}

#[cfg(test)]
mod tests;
