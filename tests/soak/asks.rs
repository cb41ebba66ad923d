//! What is asked, and what each question must be answered, whatever happens meanwhile.
//!
//! A question is made by a lane, which remembers the tokens that it has shown before; it is sent and
//! judged by `crowd.rs`.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::{
    answers::Answer,
    authorization_server::{DEMO_CLIENT, now},
    issuers::{Span, Token},
    switch::Switch,
    world::{API, SHOP, Truth},
};

/// What kind of question; as many kinds as there are things to get wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    KnownToken,
    NewToken,
    EndingToken,
    ExpiredToken,
    BrokenToken,
    UnknownIssuer,
    UnknownKey,
    DroppedKey,
    OtherScope,
    OtherIssuer,
    NoToken,
    OtherPath,
    OtherHost,
    OpenPath,
    ClosedPath,
    ChangingPath,
    KnownOpaque,
    NewOpaque,
    InactiveOpaque,
    OtherScopeOpaque,
    Authorized,
    Unauthorized,
}

/// A question.
pub struct Ask<'t> {
    pub kind: Kind,
    pub authority: &'static str,
    pub path: &'static str,
    pub token: Option<String>,
    /// Every answer that may be given in this time; one, unless something changes just then.
    pub judge: Judge<'t>,
    /// What the lane remembers once it has passed.
    pub remember: Remember,
}

/// Tells every answer that is right for a request that was under way in this time.
pub type Judge<'t> = Box<dyn Fn(&Span) -> Vec<Answer> + 't>;

/// What to remember of a question.
pub enum Remember {
    Nothing,
    Token(Token),
    Opaque(String),
}

/// What one lane has shown before.
pub struct Memory {
    known: Vec<Token>,
    ending: Vec<Token>,
    broken: Option<Token>,
    /// Each with the time when it was shown first.
    opaque: Vec<(String, Instant)>,
}

/// Questions that are answered at once, with their shares.
pub const QUICK: [(Kind, u32); 15] = [
    (Kind::KnownToken, 30),
    (Kind::NewToken, 20),
    (Kind::EndingToken, 6),
    (Kind::ExpiredToken, 4),
    (Kind::BrokenToken, 6),
    (Kind::UnknownIssuer, 2),
    (Kind::OtherScope, 4),
    (Kind::OtherIssuer, 3),
    (Kind::NoToken, 5),
    (Kind::OtherPath, 3),
    (Kind::OtherHost, 2),
    (Kind::OpenPath, 3),
    (Kind::ClosedPath, 2),
    (Kind::ChangingPath, 2),
    (Kind::KnownOpaque, 10),
];

/// Questions about which the gateway may have to ask somebody, who may be in trouble.
pub const ASKING: [(Kind, u32); 7] = [
    (Kind::NewOpaque, 35),
    (Kind::InactiveOpaque, 15),
    (Kind::OtherScopeOpaque, 15),
    (Kind::Authorized, 12),
    (Kind::Unauthorized, 6),
    (Kind::UnknownKey, 5),
    (Kind::DroppedKey, 5),
];

const MOST_KNOWN: usize = 50;
const MOST_ENDING: usize = 8;
const MOST_OPAQUE: usize = 4;
/// An opaque token is known for 60 s to the worker that was asked first.
const OPAQUE_KNOWN: Duration = Duration::from_secs(40);

/// One of these kinds, by their shares.
pub fn draw(kinds: &[(Kind, u32)]) -> Kind {
    let mut place = fastrand::u32(0..kinds.iter().map(|(_, share)| share).sum());
    let kind = kinds
        .iter()
        .find(|(_, share)| match place.checked_sub(*share) {
            None => true,
            Some(rest) => {
                place = rest;
                false
            }
        });
    kind.map_or(Kind::NoToken, |(kind, _)| *kind)
}

// === impl Memory ===

impl Memory {
    pub fn new() -> Self {
        Memory {
            known: Vec::new(),
            ending: Vec::new(),
            broken: None,
            opaque: Vec::new(),
        }
    }

    pub fn remember(&mut self, what: Remember, shown: Instant) {
        match what {
            Remember::Nothing => {}
            Remember::Token(token) => {
                if self.known.len() >= MOST_KNOWN {
                    self.known.swap_remove(fastrand::usize(..MOST_KNOWN));
                }
                self.known.push(token);
            }
            Remember::Opaque(token) => self.opaque.push((token, shown)),
        }
    }

    /// A question of this kind, or of one that it needs before; none if there is nothing to ask now.
    pub fn ask<'t>(&mut self, kind: Kind, truth: &'t Truth) -> Option<Ask<'t>> {
        let keys = match fastrand::bool() {
            true => &truth.north,
            false => &truth.south,
        };
        let signed = |token: Token, good| Ask::signed(kind, "/items/1", token, good);
        let opaque = |token: &str, good| {
            let judge = waiting_for(&truth.introspection, good);
            Ask::new(kind, API, "/opaque", judge).token(token)
        };
        let claims = |scope: &str| json!({"scope": scope, "sub": "ada", "exp": now() + 24 * 3600});
        Some(match kind {
            Kind::KnownToken => {
                // Whether the last tokens of a key pass, is what `DroppedKey` asks.
                self.known.retain(Token::is_kept);
                match fastrand::choice(&self.known) {
                    Some(token) => signed(token.clone(), Answer::Passed),
                    None => return self.ask(Kind::NewToken, truth),
                }
            }
            Kind::NewToken => {
                let token = keys.token();
                let ask = signed(token.clone(), Answer::Passed);
                ask.remember(Remember::Token(token))
            }
            Kind::EndingToken => {
                self.ending.retain(|token| token.expires() + 5 > now());
                if self.ending.len() < MOST_ENDING {
                    let ends = now() + fastrand::i64(2..12);
                    self.ending.push(keys.token_until(ends));
                }
                signed(fastrand::choice(&self.ending)?.clone(), Answer::Passed)
            }
            Kind::ExpiredToken => signed(keys.token_until(now() - 60), Answer::Passed),
            Kind::BrokenToken => {
                let again = self.broken.take();
                let token = again.unwrap_or_else(|| keys.token().broken());
                self.broken = fastrand::bool().then(|| token.clone());
                signed(token, Answer::SignatureWrong)
            }
            Kind::UnknownIssuer => {
                let token = keys.of_stranger(json!({"iss": "https://nobody.example.com"}));
                Ask::fixed(kind, SHOP, "/items/1", Answer::IssuerUnknown).token(&token)
            }
            // North's alone, so that south's new keys are looked for as soon as they sign.
            Kind::UnknownKey => {
                let token = truth.north.of_stranger(json!({}));
                Ask::fixed(kind, SHOP, "/items/1", Answer::KeyUnknown).token(&token)
            }
            Kind::DroppedKey => signed(keys.of_dropped_key()?, Answer::Passed),
            Kind::OtherScope => signed(keys.without_scope(), Answer::NotAllowed),
            Kind::OtherIssuer => {
                let (keys, good) = match fastrand::bool() {
                    true => (&truth.north, Answer::Passed),
                    false => (&truth.south, Answer::NotAllowed),
                };
                Ask::signed(kind, "/north", keys.token(), good)
            }
            Kind::NoToken => Ask::fixed(kind, SHOP, "/items/1", Answer::NotAllowed),
            Kind::OtherPath => Ask::signed(kind, "/admin", keys.token(), Answer::NotAllowed),
            Kind::OtherHost => Ask::fixed(
                kind,
                "nowhere.example.com",
                "/items/1",
                Answer::AuthorityUnknown,
            )
            .token(&keys.token().text),
            Kind::OpenPath => Ask::fixed(kind, API, "/open", Answer::Passed),
            Kind::ClosedPath => Ask::fixed(kind, API, "/closed", Answer::Denied),
            Kind::ChangingPath => {
                let judge = |during: &Span| truth.changing.between(during.sent, during.answered);
                Ask::new(kind, API, "/changing", Box::new(judge))
            }
            Kind::KnownOpaque => {
                self.opaque
                    .retain(|(_, shown)| shown.elapsed() < OPAQUE_KNOWN);
                if self.opaque.len() < MOST_OPAQUE && truth.introspection.is(None) {
                    let ask = self.ask(Kind::NewOpaque, truth)?;
                    let token = ask.token.clone()?;
                    return Some(ask.remember(Remember::Opaque(token)));
                }
                let (token, _) = fastrand::choice(&self.opaque)?;
                Ask::fixed(kind, API, "/opaque", Answer::Passed).token(token)
            }
            Kind::NewOpaque => opaque(&truth.opaque.opaque(claims("read")), Answer::Passed),
            Kind::InactiveOpaque => opaque(
                &format!("{:032x}", fastrand::u128(..)),
                Answer::TokenInactive,
            ),
            Kind::OtherScopeOpaque => {
                opaque(&truth.opaque.opaque(claims("write")), Answer::ScopeMissing)
            }
            Kind::Authorized => {
                let claims = truth.north.issuer.claims(json!({"aud": DEMO_CLIENT}));
                let token = truth.north.issuer.sign(claims, json!({"alg": "ES256"}));
                let judge = waiting_for(&truth.authorization, Answer::Passed);
                Ask::new(kind, API, "/asked", judge).token(&token)
            }
            Kind::Unauthorized => {
                let judge = waiting_for(&truth.authorization, Answer::AuthorizerDenied);
                Ask::new(kind, API, "/asked", judge)
            }
        })
    }
}

/// What is answered if somebody has to be asked who may be in trouble.
fn waiting_for(trouble: &Switch<Option<Answer>>, good: Answer) -> Judge<'_> {
    Box::new(move |during| {
        let trouble = trouble.between(during.sent, during.answered);
        trouble.into_iter().map(|it| it.unwrap_or(good)).collect()
    })
}

// === impl Ask ===

impl<'t> Ask<'t> {
    fn new(kind: Kind, authority: &'static str, path: &'static str, judge: Judge<'t>) -> Self {
        Ask {
            kind,
            authority,
            path,
            token: None,
            judge,
            remember: Remember::Nothing,
        }
    }

    /// One with the same answer at any time.
    fn fixed(kind: Kind, authority: &'static str, path: &'static str, answer: Answer) -> Self {
        Ask::new(kind, authority, path, Box::new(move |_| vec![answer]))
    }

    /// One with a token of an issuer, which is answered this as long as the token is good.
    fn signed(kind: Kind, path: &'static str, token: Token, good: Answer) -> Self {
        let text = token.text.clone();
        let judge = move |during: &Span| token.answers(good, during);
        Ask::new(kind, SHOP, path, Box::new(judge)).token(&text)
    }

    fn token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    fn remember(mut self, what: Remember) -> Self {
        self.remember = what;
        self
    }
}
