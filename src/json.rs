//! Reads JSON strictly: no duplicate names, bounded depth, nothing after the value.
//!
//! Parsers that disagree about a duplicate name let one party see another value than the next; so
//! every document that decides something (configuration, token, key set) is read here and nowhere
//! else. Input may be hostile; the caller bounds its length.

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::fmt;

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
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let value = Strict { depth: max_depth }
        .deserialize(&mut deserializer)
        .map_err(JsonError)?;
    deserializer.end().map_err(JsonError)?;
    Ok(value)
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

/// Builds a value while at most `depth` more levels may open.
#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
}

// === impl JsonError ===

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for JsonError {}

// === impl Strict ===

impl Strict {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        let depth = self.depth.checked_sub(1);
        depth
            .map(|depth| Self { depth })
            .ok_or_else(|| E::custom("nested too deep"))
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value);
        number
            .map(Value::Number)
            .ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if object.contains_key(&name) {
                return Err(A::Error::custom("the same name twice in one object"));
            }
            object.insert(name, members.next_value_seed(inner)?);
        }
        Ok(Value::Object(object))
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
