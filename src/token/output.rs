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
            Some(float) => fixed(float)?,
            None => number.to_string(),
        },
        Value::Array(_) | Value::Object(_) => BASE64.encode(claim.to_string()),
    };
    let printable = text.bytes().all(|byte| (0x20..=0x7e).contains(&byte));
    (printable && !text.is_empty()).then_some(text)
}

/// As C's `%f` writes it: six decimals, rounded half to even, none if it is whole. `None` beyond
/// 2^120, where no claim is a number that anybody reads.
///
/// The standard library's way to write a float would be a twentieth of the module.
fn fixed(float: f64) -> Option<String> {
    const DECIMALS: u128 = 1_000_000;
    let bits = float.to_bits();
    let exponent = u32::try_from(bits >> 52 & 0x7ff).ok()?;
    let fraction = u128::from(bits & ((1 << 52) - 1));
    // The value is `mantissa` times two to the power of `exponent - 1075`.
    let (mantissa, exponent) = match exponent {
        0 => (fraction, 1),
        normal => (fraction | 1 << 52, normal),
    };
    let sign = if float.is_sign_negative() { "-" } else { "" };
    if let Some(shift) = exponent.checked_sub(1075) {
        let fits = shift <= 67;
        return fits.then(|| format!("{sign}{}", mantissa << shift));
    }
    let shift = 1075_u32.checked_sub(exponent)?;
    let scaled = mantissa.checked_mul(DECIMALS)?;
    // Less than half of the last decimal from there on.
    let (mut whole, rest) = match shift {
        ..=100 => {
            let whole = scaled >> shift;
            (whole, scaled ^ (whole << shift))
        }
        _ => (0, 0),
    };
    let half = 1_u128
        .checked_shl(shift.saturating_sub(1))
        .unwrap_or(u128::MAX);
    if rest > half || (rest == half && whole & 1 == 1) {
        whole = whole.checked_add(1)?;
    }
    let (units, decimals) = (whole.checked_div(DECIMALS)?, whole.checked_rem(DECIMALS)?);
    Some(match float.fract() == 0.0 {
        true => format!("{sign}{units}"),
        false => format!("{sign}{units}.{decimals:06}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
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

    #[test]
    fn floats_are_written_as_the_standard_library_does() {
        let expected = |float: f64| match float.fract() == 0.0 {
            true => format!("{float:.0}"),
            false => format!("{float:.6}"),
        };
        for float in [
            0.5,
            1.5,
            -2.25,
            0.1,
            0.000_000_5,
            0.000_001_5,
            1e-7,
            1e-300,
            123_456.789,
            9_007_199_254_740_993.5,
            1e15,
            1e20,
            2.0_f64.powi(52) + 0.5,
            1.0 / 3.0,
            -0.0,
            5e-324,
            0.999_999_5,
            999_999.999_999_5,
        ] {
            assert_eq!(fixed(float).unwrap(), expected(float), "{float}");
        }
        assert_eq!(fixed(1e300), None);
    }

    proptest! {
        #[test]
        fn any_float_too(float in -1e15_f64..1e15) {
            let expected = match float.fract() == 0.0 {
                true => format!("{float:.0}"),
                false => format!("{float:.6}"),
            };
            prop_assert_eq!(fixed(float), Some(expected));
        }
    }
}
