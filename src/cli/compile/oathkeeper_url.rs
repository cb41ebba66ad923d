//! `match.url` of an Oathkeeper rule: the schemes, the host and the paths that it is for.
//!
//! Oathkeeper compares it with scheme, host and path as one text. A rule here has each on its own;
//! what cannot be taken apart without changing what it matches is refused by name.

use super::expression::Expression;
use crate::policy::AuthorityPattern;

/// What a rule is for.
#[derive(Clone, Debug)]
pub struct OathkeeperUrl {
    /// `http`, `https`, or both.
    pub schemes: Vec<&'static str>,
    /// One host, or every host below one.
    pub host: AuthorityPattern,
    /// Its paths.
    pub paths: Expression,
    /// What differs from the original.
    pub notes: Vec<String>,
}

/// `matching_strategy`: what stands between `<` and `>`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MatchingStrategy {
    /// `regexp`
    #[default]
    Regexp,
    /// `glob`
    Glob,
}

/// A part of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// It stands for itself.
    Literal(String),
    /// A pattern as it is written, and as a regular expression.
    Pattern(String, String),
}

/// The letters of a host in lower case, as requests are compared.
const HOST_LETTERS: &str = "[a-z0-9._-]";

// === impl OathkeeperUrl ===

impl OathkeeperUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// What in it cannot be taken over, and what to write instead.
    pub fn parse(url: &str, strategy: MatchingStrategy) -> Result<Self, String> {
        let fault = |why: String| format!("the URL `{url}`: {why}");
        let pieces = pieces(url, strategy).map_err(fault)?;
        let Some((scheme, pieces)) = split(pieces, "://") else {
            return Err(fault(
                "no `://` stands outside of `<` and `>`; write `<http|https>://`, the host and the \
                 paths"
                    .into(),
            ));
        };
        let schemes = schemes(&scheme).map_err(fault)?;
        let mut notes = Vec::new();
        let (host, path) = host_and_path(pieces);
        let host = authority(&host, &mut notes).map_err(fault)?;
        let paths = paths(&path).map_err(fault)?;
        if written(&path).ends_with('/') && written(&path) != "/" {
            notes.push(
                "Oathkeeper compares paths without the slash at their end, so that this rule never \
                 matched there; here it does"
                    .to_owned(),
            );
        }
        Ok(Self {
            schemes,
            host,
            paths,
            notes,
        })
    }
}

/// A URL in pieces; what is in `<` and `>` may itself have these in pairs.
fn pieces(url: &str, strategy: MatchingStrategy) -> Result<Vec<Piece>, String> {
    let unbalanced = || "`<` and `>` do not stand in pairs; close each `<`".to_owned();
    let mut pieces = Vec::new();
    let (mut text, mut depth) = (String::new(), 0_usize);
    for letter in url.chars() {
        match (letter, depth) {
            ('<', 0) => pieces.push(Piece::Literal(std::mem::take(&mut text))),
            ('>', 0) => return Err(unbalanced()),
            ('>', 1) => pieces.push(Piece::pattern(std::mem::take(&mut text), strategy)?),
            _ => text.push(letter),
        }
        depth = match letter {
            '<' => depth.saturating_add(1),
            '>' => depth.saturating_sub(1),
            _ => depth,
        };
    }
    if depth > 0 {
        return Err(unbalanced());
    }
    pieces.push(Piece::Literal(text));
    pieces.retain(|piece| *piece != Piece::Literal(String::new()));
    Ok(pieces)
}

/// What stands before and behind the first separator in literal text.
fn split(pieces: Vec<Piece>, separator: &str) -> Option<(Vec<Piece>, Vec<Piece>)> {
    let (mut before, mut pieces) = (Vec::new(), pieces.into_iter());
    loop {
        let piece = pieces.next()?;
        if let Piece::Literal(text) = &piece
            && let Some((head, tail)) = text.split_once(separator)
        {
            before.push(Piece::Literal(head.into()));
            let behind = std::iter::once(Piece::Literal(tail.into())).chain(pieces);
            return Some((before, behind.collect()));
        }
        before.push(piece);
    }
}

fn schemes(scheme: &[Piece]) -> Result<Vec<&'static str>, String> {
    let written = written(scheme);
    let allowed = || {
        format!("the scheme `{written}` is not `http`, `https` or both; write `<http|https>://`")
    };
    // A scheme is no path, but a text that both compare.
    let scheme = Expression::regex(&format!("/(?:{})", regex(scheme)))?;
    if Expression::regex("/https?")?.covers(&scheme) != Some(true) {
        return Err(allowed());
    }
    let mut schemes = Vec::new();
    for name in ["http", "https"] {
        if scheme.covers(&Expression::regex(&format!("/{name}"))?) == Some(true) {
            schemes.push(name);
        }
    }
    match schemes.is_empty() {
        true => Err(allowed()),
        false => Ok(schemes),
    }
}

/// The host is the first pattern, if one comes first, and literal text up to a slash or a pattern.
fn host_and_path(pieces: Vec<Piece>) -> (Vec<Piece>, Vec<Piece>) {
    let mut pieces = pieces;
    pieces.retain(|piece| *piece != Piece::Literal(String::new()));
    let (mut host, mut path, mut pieces) = (Vec::new(), Vec::new(), pieces.into_iter());
    for piece in pieces.by_ref() {
        let Piece::Literal(text) = &piece else {
            if host.is_empty() {
                host.push(piece);
                continue;
            }
            path.push(piece);
            break;
        };
        let Some((name, rest)) = text.split_once('/') else {
            host.push(piece);
            continue;
        };
        host.push(Piece::Literal(name.into()));
        path.push(Piece::Literal(format!("/{rest}")));
        break;
    }
    path.extend(pieces);
    (host, path)
}

fn authority(host: &[Piece], notes: &mut Vec<String>) -> Result<AuthorityPattern, String> {
    let allowed = || {
        format!(
            "the host `{}` is neither one host nor every host below one; write its name, \
             `<[^/]+>.` and a name, or one rule for each host",
            written(host)
        )
    };
    let (pattern, text) = match host {
        [Piece::Literal(text)] => (None, text),
        [Piece::Pattern(_, regex), Piece::Literal(text)] => (Some(regex), text),
        _ => return Err(allowed()),
    };
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (text.as_str(), None),
    };
    if let Some(port) = port {
        if port.parse::<u16>().is_err() {
            return Err(allowed());
        }
        notes.push(format!(
            "the port `:{port}` is left out: hosts are compared without their ports"
        ));
    }
    let name = match pattern {
        // A star outside of `<` and `>` is a letter.
        None => Some(name.to_owned()).filter(|name| !name.contains('*')),
        Some(regex) => (name.starts_with('.') && is_any_prefix(regex)?).then(|| format!("*{name}")),
    };
    let name = name.ok_or_else(allowed)?;
    AuthorityPattern::parse(&name).map_err(|_| allowed())
}

/// Whether a pattern takes every beginning of a host, and nothing that reaches beyond it.
fn is_any_prefix(regex: &str) -> Result<bool, String> {
    let beginning = Expression::regex(&format!("/(?:{regex})"))?;
    let every = Expression::regex(&format!("/{HOST_LETTERS}+"))?;
    let beyond = Expression::regex("/.*/.*")?;
    Ok(beginning.covers(&every) == Some(true) && beginning.intersects(&beyond) == Some(false))
}

fn paths(path: &[Piece]) -> Result<Expression, String> {
    let written = written(path);
    let text = regex(path);
    // Behind one letter more, so that what does not begin with a slash is seen.
    let behind = Expression::regex(&format!("/(?:{text})"))?;
    let slashed = Expression::regex("/(?:/.*)?")?;
    match slashed.covers(&behind) {
        Some(true) if path.is_empty() => {
            return Err("no path stands behind the host; write `/<.*>`".to_owned());
        }
        Some(true) => {}
        Some(false) => {
            return Err(format!(
                "what stands behind the host, `{written}`, does not always begin with `/`, so that \
                 it reaches other hosts; write a rule for each host, and `/` behind it"
            ));
        }
        None => {
            return Err(format!(
                "the path `{written}` is too long to be judged; write it simpler"
            ));
        }
    }
    let paths = Expression::regex(&text)?;
    if Expression::path("/*")?.intersects(&paths) == Some(false) {
        return Err(format!(
            "no path is in `{written}`: a path begins with `/` and has no `?` or `#`; write the \
             path alone"
        ));
    }
    Ok(paths)
}

/// The pieces as one regular expression.
fn regex(pieces: &[Piece]) -> String {
    let text = |piece: &Piece| match piece {
        Piece::Literal(text) => quoted(text),
        // A group where something would reach out of it.
        Piece::Pattern(_, regex) if regex.contains('|') || regex.contains("(?") => {
            format!("({regex})")
        }
        Piece::Pattern(_, regex) => regex.clone(),
    };
    pieces.iter().map(text).collect()
}

/// The pieces as they stand in the URL.
fn written(pieces: &[Piece]) -> String {
    let text = |piece: &Piece| match piece {
        Piece::Literal(text) => text.clone(),
        Piece::Pattern(source, _) => format!("<{source}>"),
    };
    pieces.iter().map(text).collect()
}

/// A text as a regular expression. Nothing is escaped that need not be: an operator reads it.
fn quoted(text: &str) -> String {
    let escape = |letter: char| "\\.+*?()|[]{}^$".contains(letter).then_some('\\');
    let letters = text.chars();
    letters
        .flat_map(|it| escape(it).into_iter().chain([it]))
        .collect()
}

// === impl Piece ===

impl Piece {
    fn pattern(source: String, strategy: MatchingStrategy) -> Result<Self, String> {
        let regex = match strategy {
            MatchingStrategy::Regexp => source.clone(),
            MatchingStrategy::Glob => glob(&source)?,
        };
        // On its own too, so that it cannot reach into what stands beside it.
        Expression::regex(&regex).map_err(|why| format!("`<{source}>`: {why}"))?;
        Ok(Self::Pattern(source, regex))
    }
}

/// A glob as a regular expression. Its separators are `.` and `/`.
fn glob(source: &str) -> Result<String, String> {
    let fault = |what: &str, instead: &str| format!("`<{source}>` has {what}; {instead}");
    let mut regex = String::new();
    let (mut letters, mut depth) = (source.chars().peekable(), 0_usize);
    while let Some(letter) = letters.next() {
        match letter {
            '*' if letters.next_if_eq(&'*').is_some() => regex.push_str(".*"),
            '*' => regex.push_str("[^./]*"),
            '?' => regex.push_str("[^./]"),
            '{' => {
                depth = depth.saturating_add(1);
                regex.push_str("(?:");
            }
            ',' if depth > 0 => regex.push('|'),
            '}' if depth > 0 => {
                depth = depth.saturating_sub(1);
                regex.push(')');
            }
            '[' => {
                let mut class = String::new();
                let closed = letters.by_ref().any(|letter| {
                    class.push(letter);
                    letter == ']'
                });
                let class = glob_class(class.trim_end_matches(']')).filter(|_| closed);
                let class = class.ok_or_else(|| {
                    fault(
                        "a list of letters that cannot be read",
                        "write `[abc]`, `[a-z]`, or `[!` and the same",
                    )
                })?;
                regex.push_str(&class);
            }
            '\\' => match letters.next() {
                Some(letter) => regex.push_str(&quoted(&letter.to_string())),
                None => return Err(fault("a `\\` at its end", "leave it out")),
            },
            letter => regex.push_str(&quoted(&letter.to_string())),
        }
    }
    match depth {
        0 => Ok(regex),
        _ => Err(fault("a `{` without its `}`", "close it")),
    }
}

/// `[abc]`, `[a-z]`, `[!abc]`, `[!a-z]`, without the brackets.
fn glob_class(source: &str) -> Option<String> {
    let (caret, letters) = match source.strip_prefix('!') {
        Some(letters) => ("^", letters),
        None => ("", source),
    };
    let all: Vec<_> = letters.chars().collect();
    let escaped = |letter: &char| match letter.is_ascii_alphanumeric() {
        true => letter.to_string(),
        false => format!("\\x{{{:x}}}", u32::from(*letter)),
    };
    let list = match all.as_slice() {
        [] => return None,
        [first, '-', last] if first <= last => format!("{}-{}", escaped(first), escaped(last)),
        // A range is all that its brackets hold, and nothing in it is escaped.
        [_, '-', ..] => return None,
        letters if letters.contains(&'\\') => return None,
        letters => letters.iter().map(escaped).collect(),
    };
    Some(format!("[{caret}{list}]"))
}

#[cfg(test)]
mod tests;
