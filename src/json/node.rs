//! A JSON document that borrows its texts, for a large one that is read once and then forgotten.
//!
//! [`Value`](serde_json::Value) keeps a tree with room for eleven members for each object; the
//! memory of WebAssembly never shrinks again, so what a document takes for an instant stays taken.

use super::Tree;
use serde_json::Number;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// One JSON value.
#[derive(Debug)]
pub enum Node<'t> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text, of its own only if it has escapes.
    String(Cow<'t, str>),
    /// A list.
    Array(Box<[Node<'t>]>),
    /// An object.
    Object(Members<'t>),
}

/// The members of an object, sorted by name; no name is there twice.
#[derive(Debug)]
pub struct Members<'t>(Box<[(Cow<'t, str>, Node<'t>)]>);

// === impl Node ===

impl Node<'_> {
    /// The text, if it is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Node::String(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if it is a whole one and not negative.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Node::Number(number) => number.as_u64(),
            _ => None,
        }
    }

    /// The truth, if it is one.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Node::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    /// The items, if it is a list.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Self]> {
        match self {
            Node::Array(items) => Some(items),
            _ => None,
        }
    }
}

impl fmt::Display for Node<'_> {
    /// A text without quotes; of lists and objects only what they are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Node::Null => f.write_str("null"),
            Node::Bool(truth) => truth.fmt(f),
            Node::Number(number) => number.fmt(f),
            Node::String(text) => text.fmt(f),
            Node::Array(_) => f.write_str("a list"),
            Node::Object(_) => f.write_str("an object"),
        }
    }
}

impl<'t> Tree<'t> for Node<'t> {
    type Members = BTreeMap<Cow<'t, str>, Self>;

    fn null() -> Self {
        Node::Null
    }

    fn bool(truth: bool) -> Self {
        Node::Bool(truth)
    }

    fn number(number: Number) -> Self {
        Node::Number(number)
    }

    fn text(text: Cow<'t, str>) -> Self {
        Node::String(text)
    }

    fn array(items: Vec<Self>) -> Self {
        Node::Array(items.into())
    }

    fn has(members: &Self::Members, name: &str) -> bool {
        members.contains_key(name)
    }

    fn add(members: &mut Self::Members, name: Cow<'t, str>, value: Self) {
        members.insert(name, value);
    }

    fn object(members: Self::Members) -> Self {
        Node::Object(Members(members.into_iter().collect()))
    }
}

// === impl Members ===

impl<'t> Members<'t> {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Node<'t>> {
        let at = self.0.binary_search_by(|(it, _)| (**it).cmp(name)).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    /// All of them, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Node<'t>)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }
}
