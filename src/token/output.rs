//! A claim as the text of a header for the upstream, as Envoy's `claim_to_headers` writes it.
//!
//! Claims are signed but their texts were chosen by users, too: what is not printable ASCII is never
//! written, so that no claim can end a header line.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

/// The text of a claim; `None` for null, for an empty text, and for one that is not all printable
/// ASCII (0x20 to 0x7E). Lists and objects are the Base64 of their JSON.
#[must_use]
pub fn claim_text(claim: &Value) -> Option<String> {
    let text = match claim {
        Value::Null => return None,
        Value::String(text) => text.clone(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            // C's `%f`.
            Some(float) if float.fract() != 0.0 => format!("{float:.6}"),
            Some(whole) => format!("{whole:.0}"),
            None => number.to_string(),
        },
        Value::Array(_) | Value::Object(_) => BASE64.encode(claim.to_string()),
    };
    let printable = text.bytes().all(|byte| (0x20..=0x7e).contains(&byte));
    (printable && !text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn follows_envoy() {
        for (claim, expected) in [
            (json!("text"), Some("text")),
            (json!(""), None),
            (json!("a\r\nx-admin: 1"), None),
            (json!("a\u{0}"), None),
            (json!("\u{e9}"), None),
            (json!(true), Some("true")),
            (json!(42), Some("42")),
            (json!(-1), Some("-1")),
            (json!(3.0), Some("3")),
            (json!(1.5), Some("1.500000")),
            (json!(null), None),
            (json!(["a", 1]), Some("WyJhIiwxXQ==")),
            (json!({"a": 1}), Some("eyJhIjoxfQ==")),
        ] {
            assert_eq!(claim_text(&claim).as_deref(), expected, "{claim}");
        }
    }
}
