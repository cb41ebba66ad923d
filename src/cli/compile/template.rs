//! Templates of Oathkeeper's mutators `header` and `cookie`, in the format of our header values.
//!
//! It reads field paths of what an authenticator found out, and nothing that computes: whatever
//! else Go's templates can do is refused by name.

use crate::format::Format;

/// What `.Extra` holds, which depends on the authenticator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extra {
    /// `jwt`: the claims of the token.
    Claims,
    /// `oauth2_introspection`: four members of the reply, and those of its `ext`.
    Reply,
    /// Any other: nothing that is known here.
    Unknown,
}

/// A header value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Translated {
    /// As `request.headers` takes it.
    pub value: String,
    /// What differs from the original.
    pub notes: Vec<String>,
}

/// A part of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Word {
    /// `.Extra.a.b`, as names.
    Field(Vec<String>),
    /// A text in quotes.
    Text(String),
    /// Anything else without a blank in it.
    Other(String),
}

/// Claims by which Oathkeeper knows scopes. It writes the first of them anew, as `scp`.
const SCOPES: [&str; 3] = ["scp", "scope", "scopes"];

/// Members of a reply that `.Extra` holds itself.
const MEMBERS: [&str; 4] = ["username", "client_id", "scope", "aud"];

/// What Go trims beside `{{-` and `-}}`.
const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];

// === impl Translated ===

impl Translated {
    /// Translates a template.
    ///
    /// # Errors
    /// What in it cannot be taken over, and what to do instead.
    pub fn read(template: &str, extra: Extra) -> Result<Self, String> {
        let mut read = Self {
            value: String::new(),
            notes: Vec::new(),
        };
        let mut rest = template;
        let mut trims = false;
        while let Some((text, behind)) = rest.split_once("{{") {
            let Some((action, behind)) = behind.split_once("}}") else {
                return Err(format!(
                    "the template `{template}` has a `{{{{` without its `}}}}`; close it"
                ));
            };
            let (before, inner, after) = trimmed(action);
            read.literal(text, trims, before);
            let (value, note) = operator(inner, extra)
                .map_err(|why| format!("the action `{{{{{action}}}}}` {why}"))?;
            read.value.push_str(&value);
            read.notes.extend(note);
            (rest, trims) = (behind, after);
        }
        read.literal(rest, trims, false);
        Format::parse(&read.value)
            .map_err(|allowed| format!("the value `{template}` is not allowed; {allowed}"))?;
        Ok(read)
    }

    fn literal(&mut self, text: &str, trims_start: bool, trims_end: bool) {
        let text = match trims_start {
            true => text.trim_start_matches(BLANKS),
            false => text,
        };
        let text = match trims_end {
            true => text.trim_end_matches(BLANKS),
            false => text,
        };
        self.value.push_str(&text.replace('%', "%%"));
    }
}

/// Whether an action trims before itself, what it is, and whether it trims behind itself.
fn trimmed(action: &str) -> (bool, &str, bool) {
    let blank = |text: &&str| text.starts_with(BLANKS);
    let before = action.strip_prefix('-').filter(blank);
    let inner = before.unwrap_or(action);
    let after = inner.strip_suffix('-').filter(|it| it.ends_with(BLANKS));
    let text = after.unwrap_or(inner);
    (before.is_some(), text.trim_matches(BLANKS), after.is_some())
}

/// What an action becomes, and what to say of it.
fn operator(action: &str, extra: Extra) -> Result<(String, Option<String>), String> {
    let words = words(action).ok_or_else(other)?;
    let words = match words.as_slice() {
        [Word::Other(print), value @ ..] if print == "print" => value,
        whole => whole,
    };
    let field = field(words).ok_or_else(other)?;
    let (root, names) = field.split_first().ok_or_else(other)?;
    match (root.as_str(), names) {
        ("Subject", []) => Ok(("%SUBJECT%".to_owned(), None)),
        ("Extra", [name, rest @ ..]) => claim(name, rest, extra),
        ("Extra", []) => Err("writes all that is known; name one, as in `.Extra.name`".to_owned()),
        _ => Err(other()),
    }
}

fn other() -> String {
    "does more than to name a field, which is not supported; write a field path such as \
     `{{ .Subject }}` or `{{ print .Extra.name }}`, or set the header behind the gateway"
        .to_owned()
}

/// The names of `.A.b`, `index .A "b"`, or either in parentheses.
fn field(words: &[Word]) -> Option<Vec<String>> {
    match words {
        [Word::Field(names)] => Some(names.clone()),
        [Word::Other(index), Word::Field(names), keys @ ..] if index == "index" => {
            let mut names = names.clone();
            for key in keys {
                let Word::Text(key) = key else { return None };
                names.push(key.clone());
            }
            (!keys.is_empty()).then_some(names)
        }
        [Word::Other(open), inner @ .., Word::Other(close)] if open == "(" && close == ")" => {
            field(inner)
        }
        _ => None,
    }
}

fn claim(name: &str, rest: &[String], extra: Extra) -> Result<(String, Option<String>), String> {
    let mut note = None;
    let mut path = Vec::new();
    match extra {
        Extra::Unknown => {
            return Err(
                "reads `.Extra` of an authenticator that tells nothing here; leave it out, or set \
                 the header behind the gateway"
                    .to_owned(),
            );
        }
        Extra::Claims if SCOPES.contains(&name) => {
            return Err(format!(
                "reads `{name}`, which Oathkeeper writes anew as a list named `scp`; set the \
                 header behind the gateway"
            ));
        }
        Extra::Reply if name == "aud" => {
            note = Some(
                "`.Extra.aud` is written as `a,b`; Oathkeeper writes it as `[a b]`".to_owned(),
            );
        }
        Extra::Reply if !MEMBERS.contains(&name) => path.push("ext"),
        Extra::Claims | Extra::Reply => {}
    }
    path.push(name);
    path.extend(rest.iter().map(String::as_str));
    let readable = |name: &&str| {
        let letter = |byte: u8| byte.is_ascii_graphic() && !b".%".contains(&byte);
        !name.is_empty() && name.bytes().all(letter)
    };
    if let Some(name) = path.iter().find(|name| !readable(name)) {
        return Err(format!(
            "reads the claim `{name}`, whose name cannot be written in `%CLAIM(…)%`; set the \
             header behind the gateway"
        ));
    }
    Ok((format!("%CLAIM({})%", path.join(".")), note))
}

/// The parts of an action; `None` if it has something that is none.
fn words(action: &str) -> Option<Vec<Word>> {
    let mut words = Vec::new();
    let mut rest = action.trim_start_matches(BLANKS);
    while let Some(first) = rest.chars().next() {
        let (word, behind) = match first {
            '(' | ')' => (Word::Other(first.into()), rest.strip_prefix(first)?),
            '"' | '`' => {
                let (text, behind) = rest.strip_prefix(first)?.split_once(first)?;
                // An escape says something else than it shows.
                let plain = first == '`' || !text.contains('\\');
                (plain.then(|| Word::Text(text.into()))?, behind)
            }
            _ => {
                let ends = |letter: char| BLANKS.contains(&letter) || "()\"`".contains(letter);
                let end = rest.find(ends).unwrap_or(rest.len());
                let (text, behind) = rest.split_at_checked(end)?;
                (Word::plain(text)?, behind)
            }
        };
        // A word ends where a blank or a parenthesis is: `"a"b` is none, nor is `(…).b`.
        let is_closed = behind.is_empty() || behind.starts_with(BLANKS) || behind.starts_with(')');
        if !is_closed && first != '(' {
            return None;
        }
        words.push(word);
        rest = behind.trim_start_matches(BLANKS);
    }
    Some(words)
}

// === impl Word ===

impl Word {
    fn plain(text: &str) -> Option<Self> {
        let Some(path) = text.strip_prefix('.') else {
            return Some(Self::Other(text.to_owned()));
        };
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let name = |name: &str| {
            let starts = name.starts_with(|it: char| it.is_ascii_alphabetic() || it == '_');
            (starts && name.bytes().all(letter)).then(|| name.to_owned())
        };
        path.split('.')
            .map(name)
            .collect::<Option<_>>()
            .map(Self::Field)
    }
}

#[cfg(test)]
mod tests;
