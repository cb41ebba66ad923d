//! As much of PromQL as it takes to see which metrics and labels an expression names, and the page
//! on which Envoy tells them.
//!
//! Whether an expression is right is for promtool to say.

use std::{collections::BTreeMap, iter::Peekable, str::Chars};

/// A selector of an expression: a name, or a regular expression for names, and the labels that it
/// or the expression around it wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    pub name: String,
    pub is_regex: bool,
    /// Which label must have which value; of another matcher than `=`, no value.
    pub labels: Vec<(String, Option<String>)>,
}

/// A series with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Sign(char),
}

/// Words before a list of labels.
const GROUPING: [&str; 4] = ["by", "without", "on", "ignoring"];
const OPERATORS: [&str; 3] = ["and", "or", "unless"];

/// The selectors of an expression; labels by which it groups are wanted of each.
pub fn selectors(expression: &str) -> Vec<Selector> {
    let tokens = tokens(expression);
    let (mut selectors, mut grouped) = (Vec::new(), Vec::new());
    let mut rest = tokens.iter().peekable();
    while let Some(token) = rest.next() {
        match token {
            Token::Word(word) if GROUPING.contains(&word.as_str()) => {
                let list = rest.by_ref().take_while(|it| **it != Token::Sign(')'));
                grouped.extend(list.filter_map(|it| match it {
                    Token::Word(label) => Some((label.clone(), None)),
                    _ => None,
                }));
            }
            Token::Word(word) if OPERATORS.contains(&word.as_str()) => {}
            // A function, or an aggregation.
            Token::Word(_) if rest.peek() == Some(&&Token::Sign('(')) => {}
            Token::Word(_) if matches!(rest.peek(), Some(Token::Word(it)) if GROUPING.contains(&it.as_str())) =>
                {}
            Token::Word(name) => {
                let matchers = match rest.peek() {
                    Some(Token::Sign('{')) => matchers(&mut rest),
                    _ => Vec::new(),
                };
                let labels = matchers
                    .into_iter()
                    .map(|(label, exact, value)| (label, exact.then_some(value)));
                selectors.push(Selector {
                    name: name.clone(),
                    is_regex: false,
                    labels: labels.collect(),
                });
            }
            Token::Sign('{') => {
                let matchers = matchers(&mut rest);
                let name = matchers.iter().find(|(label, ..)| label == "__name__");
                let (_, exact, name) = name.expect("a selector without a name");
                selectors.push(Selector {
                    name: name.clone(),
                    is_regex: !exact,
                    labels: Vec::new(),
                });
            }
            Token::Text(_) | Token::Sign(_) => {}
        }
    }
    for selector in &mut selectors {
        selector.labels.extend(grouped.iter().cloned());
    }
    selectors
}

/// Label, whether the operator is `=`, and value; up to the closing brace.
fn matchers<'t>(tokens: &mut impl Iterator<Item = &'t Token>) -> Vec<(String, bool, String)> {
    let (mut matchers, mut label, mut operator) = (Vec::new(), String::new(), String::new());
    for token in tokens {
        match token {
            Token::Sign('}') => break,
            Token::Sign(sign) if "=!~".contains(*sign) => operator.push(*sign),
            Token::Sign(_) => {}
            Token::Word(word) => label.clone_from(word),
            Token::Text(value) => {
                matchers.push((label.clone(), operator == "=", value.clone()));
                operator.clear();
            }
        }
    }
    matchers
}

/// Words, texts and signs; what stands in `[]` is a time, and no name.
fn tokens(expression: &str) -> Vec<Token> {
    let mut letters = expression.chars().peekable();
    let mut tokens = Vec::new();
    let is_inner = |letter: &char| letter.is_ascii_alphanumeric() || "_:".contains(*letter);
    while let Some(letter) = letters.next() {
        match letter {
            '"' => tokens.push(Token::Text(text(&mut letters))),
            '[' => letters.by_ref().take_while(|it| *it != ']').for_each(drop),
            '0'..='9' => while letters.next_if(|it| is_inner(it) || *it == '.').is_some() {},
            letter if is_inner(&letter) => {
                let mut word = letter.to_string();
                while let Some(letter) = letters.next_if(is_inner) {
                    word.push(letter);
                }
                tokens.push(Token::Word(word));
            }
            letter if letter.is_whitespace() => {}
            letter => tokens.push(Token::Sign(letter)),
        }
    }
    tokens
}

/// The rest of a text in quotes.
fn text(letters: &mut Peekable<Chars<'_>>) -> String {
    let mut text = String::new();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => break,
            '\\' => text.extend(letters.next()),
            letter => text.push(letter),
        }
    }
    text
}

/// Every series of a page in Prometheus' format.
pub fn page(text: &str) -> Vec<Series> {
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let series = lines.map(|line| {
        let (id, value) = line.rsplit_once(' ').expect("a name and a value");
        let mut tokens = tokens(id).into_iter();
        let Some(Token::Word(name)) = tokens.next() else {
            panic!("no name: {line}");
        };
        let rest: Vec<_> = tokens.collect();
        let labels = matchers(&mut rest.iter()).into_iter();
        Series {
            name,
            labels: labels.map(|(label, _, value)| (label, value)).collect(),
            value: value.parse().expect("a number"),
        }
    });
    series.collect()
}

// === impl Selector ===

impl Selector {
    /// Whether a series has such a name, and every label that is wanted.
    pub fn selects(&self, series: &Series) -> bool {
        let named = match self.is_regex {
            false => self.name == series.name,
            true => regex_lite::Regex::new(&format!("^(?:{})$", self.name))
                .expect("a regular expression")
                .is_match(&series.name),
        };
        named
            && self.labels.iter().all(|(label, value)| {
                let found = series.labels.get(label);
                found.is_some() && (value.is_none() || found == value.as_ref())
            })
    }
}

#[test]
fn what_an_expression_names() {
    let selector = |name: &str, is_regex, labels: &[(&str, Option<&str>)]| Selector {
        name: name.to_owned(),
        is_regex,
        labels: labels
            .iter()
            .map(|(label, value)| ((*label).to_owned(), value.map(str::to_owned)))
            .collect(),
    };
    for (expression, expected) in [
        ("a_total", vec![selector("a_total", false, &[])]),
        (
            r#"sum by (x) (rate(a{l="v", m!~"b|c"}[5m])) / 3.5e1 > 2 and b"#,
            vec![
                selector("a", false, &[("l", Some("v")), ("m", None), ("x", None)]),
                selector("b", false, &[("x", None)]),
            ],
        ),
        (
            r#"increase(label_replace({__name__=~"a_.*"}, "stat", "$1", "__name__", "(.*)")[1h:])"#,
            vec![selector("a_.*", true, &[])],
        ),
        (
            "max(a) by (y) * 2",
            vec![selector("a", false, &[("y", None)])],
        ),
    ] {
        assert_eq!(selectors(expression), expected, "{expression}");
    }
    let page = page("# TYPE a counter\na{x=\"1\",y=\"b c\"} 5\n\nb 1e3\n");
    assert_eq!(page.len(), 2);
    for (expression, found) in [
        ("a", true),
        (r#"a{x="1"}"#, true),
        (r#"a{x="2"}"#, false),
        ("sum by (y) (a)", true),
        ("sum by (z) (a)", false),
        ("ab", false),
        (r#"{__name__=~"a|c"}"#, true),
        (r#"{__name__=~"aa"}"#, false),
    ] {
        let selector = selectors(expression).remove(0);
        assert_eq!(
            page.iter().any(|series| selector.selects(series)),
            found,
            "{expression}"
        );
    }
}
