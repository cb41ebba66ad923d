//! The case file as one writes it.

use crate::cli::request::RequestSpec;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use serde_saphyr::Spanned;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct CaseFile {
    /// The configuration, or …
    pub config: Option<Value>,
    /// … where it stands, beside this file.
    pub config_file: Option<PathBuf>,
    /// The clock of every case (RFC 3339).
    #[serde(default = "default_now")]
    pub now: String,
    /// Keys that tokens are signed with, by name.
    #[serde(default)]
    pub keys: BTreeMap<String, KeyFile>,
    pub cases: Vec<Spanned<Case>>,
}

/// A private or shared key, as a JWK in a file beside this one; made if it is not there.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyFile {
    /// What it signs by; keys of several algorithms may be in one file.
    pub alg: String,
    pub file: PathBuf,
    /// Members that differ from those of its public JWK; null takes one out.
    #[serde(default)]
    pub jwk: Map<String, Value>,
}

/// One request and what becomes of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub name: String,
    /// `${name}` in the request stands for the token of that name.
    #[serde(default)]
    pub tokens: BTreeMap<String, TokenSpec>,
    pub request: RequestSpec,
    /// What the outside world answers, in order.
    #[serde(default)]
    pub calls: Vec<CallSpec>,
    pub expect: Expect,
}

/// A token: made, or as it is.
#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub(in crate::cli) enum TokenSpec {
    /// Its very text.
    Raw { raw: String },
    /// Signed with a key of the file.
    Signed {
        key: String,
        /// Members that differ from `{alg, kid, typ: JWT}`; null takes one out.
        #[serde(default)]
        header: Map<String, Value>,
        /// `now`, `now+N` and `now-N` stand for the clock of the case.
        #[serde(default)]
        claims: Map<String, Value>,
    },
}

/// A call to the outside, and its answer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CallSpec {
    /// The cluster.
    pub to: String,
    #[serde(default)]
    pub expect: CallExpect,
    pub answer: CallAnswer,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CallExpect {
    pub path: Option<String>,
    pub method: Option<String>,
    /// Headers of the call; `*` is any value, null that there is none.
    #[serde(default)]
    pub headers: BTreeMap<String, Option<String>>,
    pub body: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CallAnswer {
    #[serde(default = "default_status")]
    pub status: u16,
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// In place of an answer: nobody is there.
    #[serde(default)]
    pub unreachable: bool,
    /// A string is sent as it is, anything else as JSON.
    #[serde(default)]
    pub body: Value,
}

/// What matters of the outcome; what is not given is not compared.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expect {
    /// 200 means let through.
    pub status: u16,
    #[serde(default, deserialize_with = "given")]
    pub reason: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    pub rule: Option<Option<String>>,
    pub body: Option<String>,
    /// What came closest, when no rule allowed the request.
    pub trail: Option<String>,
    /// What policies that do not decide say, as the plugin logs it.
    pub notes: Option<Vec<String>>,
    /// Headers of the answer; `*` is any value, null that there is none.
    #[serde(default)]
    pub headers: BTreeMap<String, Option<String>>,
    pub upstream: Option<Upstream>,
}

/// What changes on the way to the upstream.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Upstream {
    /// Headers that are set, `:path` included.
    #[serde(default)]
    pub set: BTreeMap<String, String>,
    /// Headers that are taken out.
    #[serde(default)]
    pub removed: Vec<String>,
}

/// Tells `null` from a field that is absent.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

fn default_now() -> String {
    "2026-01-01T00:00:00Z".to_owned()
}

fn default_status() -> u16 {
    200
}
