//! Texts in a configuration and in faults about it: durations, and how found values are repeated.

use crate::json::Node;
use std::time::Duration;

/// The longest piece of a found value that a fault repeats, in characters.
const MAX_QUOTED: usize = 60;

/// Numbers with the units `h`, `m`, `s` and `ms`, one behind the other.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|it: char| !it.is_ascii_digit())?;
        let (number, tail) = rest.split_at_checked(digits)?;
        let unit_end = tail
            .find(|it: char| it.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(unit_end)?;
        let unit = Duration::from_millis(match unit {
            "h" => 3_600_000,
            "m" => 60_000,
            "s" => 1_000,
            "ms" => 1,
            _ => return None,
        });
        total = total.checked_add(unit.checked_mul(number.parse().ok()?)?)?;
        rest = tail;
    }
    Some(total)
}

/// A duration as one writes it.
pub(super) fn written(duration: Duration) -> String {
    match duration.subsec_millis() {
        0 => format!("{}s", duration.as_secs()),
        _ => format!("{}ms", duration.as_millis()),
    }
}

/// A found value as it may stand in a fault: cut, on one line.
pub(super) fn quoted(value: &Node<'_>) -> String {
    let kind = match value {
        Node::Array(_) | Node::Object(_) => return value.to_string(),
        Node::String(text) => text.escape_default().to_string(),
        other => other.to_string(),
    };
    let mut cut: String = kind.chars().take(MAX_QUOTED).collect();
    if cut.len() < kind.len() {
        cut.push('…');
    }
    format!("`{cut}`")
}

/// Words in backticks, separated by commas.
pub(super) fn listed<'w>(words: impl Iterator<Item = &'w str>) -> String {
    let words: Vec<_> = words.map(|word| format!("`{word}`")).collect();
    words.join(", ")
}
