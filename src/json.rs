//! Reads JSON strictly: no duplicate names, bounded depth, nothing after the value.
//!
//! Parsers that disagree about a duplicate name let one party see another value than the next; so
//! every document that decides something (configuration, token, key set) is read here and nowhere
//! else. Input may be hostile; the caller bounds its length.

mod node;

pub use node::{Members, Node};

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// How deep arrays and objects of a token, a key set or a reply may nest.
pub const MAX_DEPTH: usize = 32;

/// What an allocation takes beside what it is for, in bytes.
const ALLOCATION: usize = 16;

/// A node of the tree that [`Value`] keeps members in, in bytes.
const NODE: usize = 11 * (size_of::<String>() + size_of::<Value>()) + 2 * ALLOCATION;

/// Why a text is not acceptable JSON; names a place in the text, never quotes it.
#[derive(Debug)]
pub struct JsonError(serde_json::Error);

/// Reads one JSON value and nothing after it.
///
/// # Errors
/// The text is not JSON (RFC 8259), not UTF-8, nests deeper than `max_depth`, has a number that
/// does not fit, or an object with the same name twice (compared after unescaping).
pub fn parse(text: &[u8], max_depth: usize) -> Result<Value, JsonError> {
    read(text, max_depth)
}

/// The same, as a value that borrows from the text.
///
/// # Errors
/// See [`parse`].
pub fn parse_borrowed(text: &[u8], max_depth: usize) -> Result<Node<'_>, JsonError> {
    read(text, max_depth)
}

/// What a value takes in memory, in bytes, beside itself: a few times its text, or fifty times if it
/// is made of many small objects.
#[must_use]
pub fn weight(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len().saturating_add(ALLOCATION),
        Value::Array(items) => {
            let own = items.capacity().saturating_mul(size_of::<Value>());
            let all = items.iter().map(weight);
            all.fold(own.saturating_add(ALLOCATION), usize::saturating_add)
        }
        Value::Object(members) => {
            // One node has room for eleven; of several, each is half full at least.
            let nodes = match members.len() {
                0 => 0,
                1..=11 => 1,
                many => many / 5,
            };
            let own = nodes.saturating_mul(NODE);
            let all = members.iter().map(|(name, value)| {
                let name = name.len().saturating_add(ALLOCATION);
                name.saturating_add(weight(value))
            });
            all.fold(own, usize::saturating_add)
        }
    }
}

fn read<'t, T: Tree<'t>>(text: &'t [u8], max_depth: usize) -> Result<T, JsonError> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let value = Strict::new(max_depth)
        .deserialize(&mut deserializer)
        .map_err(JsonError)?;
    deserializer.end().map_err(JsonError)?;
    Ok(value)
}

/// What a value is kept in.
trait Tree<'t>: Sized {
    /// Those of an object that is still read.
    type Members: Default;

    fn null() -> Self;
    fn bool(truth: bool) -> Self;
    fn number(number: Number) -> Self;
    fn text(text: Cow<'t, str>) -> Self;
    fn array(items: Vec<Self>) -> Self;
    fn has(members: &Self::Members, name: &str) -> bool;
    fn add(members: &mut Self::Members, name: Cow<'t, str>, value: Self);
    fn object(members: Self::Members) -> Self;
}

/// Builds a value while at most `depth` more levels may open.
struct Strict<T> {
    depth: usize,
    tree: PhantomData<T>,
}

/// Reads the name of a member.
struct Name;

// === impl JsonError ===

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for JsonError {}

// === impl Strict ===

impl<T> Strict<T> {
    fn new(depth: usize) -> Self {
        let tree = PhantomData;
        Self { depth, tree }
    }

    fn deeper<E: serde::de::Error>(&self) -> Result<usize, E> {
        let depth = self.depth.checked_sub(1);
        depth.ok_or_else(|| E::custom("nested too deep"))
    }
}

impl<'de, T: Tree<'de>> DeserializeSeed<'de> for Strict<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Tree<'de>> Visitor<'de> for Strict<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::null())
    }

    fn visit_bool<E>(self, value: bool) -> Result<T, E> {
        Ok(T::bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<T, E> {
        Ok(T::number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<T, E> {
        Ok(T::number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<T, E> {
        let number = Number::from_f64(value);
        number
            .map(T::number)
            .ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<T, E> {
        Ok(T::text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<T, E> {
        Ok(T::text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<T, A::Error> {
        let depth = self.deeper()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(Self::new(depth))? {
            array.push(item);
        }
        Ok(T::array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<T, A::Error> {
        let depth = self.deeper()?;
        let mut object = T::Members::default();
        while let Some(name) = members.next_key_seed(Name)? {
            if T::has(&object, &name) {
                return Err(A::Error::custom("the same name twice in one object"));
            }
            T::add(
                &mut object,
                name,
                members.next_value_seed(Self::new(depth))?,
            );
        }
        Ok(T::object(object))
    }
}

// === impl Name ===

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

// === impl Value ===

impl<'t> Tree<'t> for Value {
    type Members = Map<String, Value>;

    fn null() -> Self {
        Value::Null
    }

    fn bool(truth: bool) -> Self {
        Value::Bool(truth)
    }

    fn number(number: Number) -> Self {
        Value::Number(number)
    }

    fn text(text: Cow<'t, str>) -> Self {
        Value::String(text.into_owned())
    }

    fn array(items: Vec<Self>) -> Self {
        Value::Array(items)
    }

    fn has(members: &Self::Members, name: &str) -> bool {
        members.contains_key(name)
    }

    fn add(members: &mut Self::Members, name: Cow<'t, str>, value: Self) {
        members.insert(name.into_owned(), value);
    }

    fn object(members: Self::Members) -> Self {
        Value::Object(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_is_json_and_nothing_else() {
        for (name, text, accepted) in [
            (
                "object",
                r#"{"a":[1,-2,1.5,"x",true,null]}"#.as_bytes(),
                true,
            ),
            ("duplicate name", br#"{"a":1,"a":1}"#, false),
            (
                "duplicate after unescaping",
                br#"{"k\u0069d":1,"kid":1}"#,
                false,
            ),
            ("duplicate deeper down", br#"{"a":{"b":1,"b":2}}"#, false),
            ("same name in two objects", br#"[{"a":1},{"a":1}]"#, true),
            ("trailing text", b"{} x", false),
            ("byte order mark", b"\xef\xbb\xbf{}", false),
            ("invalid UTF-8", b"\"\xff\"", false),
            ("lone surrogate", br#""\ud800""#, false),
            ("number beyond a double", b"1e400", false),
            ("empty", b"", false),
            ("as deep as allowed", b"[[[]]]", true),
            ("too deep", b"[[[[]]]]", false),
        ] {
            assert_eq!(parse(text, 3).is_ok(), accepted, "{name}");
            assert_eq!(
                parse_borrowed(text, 3).is_ok(),
                accepted,
                "{name}, borrowed"
            );
        }
    }

    #[test]
    fn weighs_what_is_kept_not_how_long_the_text_was() {
        let weight = |text: &str| weight(&parse(text.as_bytes(), MAX_DEPTH).unwrap());
        let flat = format!(r#"{{"a":"{}"}}"#, "x".repeat(8_000));
        let small = format!("[{}]", [r#"{"":0}"#; 1_000].join(","));
        let numbers = format!("[{}]", ["0"; 4_000].join(","));
        for (name, text, least, most) in [
            ("nothing", "{}", 0, 0),
            ("a long text", &*flat, 8_000, 9_000),
            (
                "many small objects",
                &small,
                1_000 * NODE,
                1_000 * (NODE + 100),
            ),
            (
                "many numbers",
                &numbers,
                4_000 * size_of::<Value>(),
                9_000 * size_of::<Value>(),
            ),
        ] {
            let weight = weight(text);
            assert!((least..=most).contains(&weight), "{name}: {weight}");
        }
    }

    #[test]
    fn ten_thousand_levels_do_not_overflow_the_stack() {
        assert!(parse("[".repeat(10_000).as_bytes(), usize::MAX).is_err());
    }
}
