//! Who verifies JWTs in a cluster: Oathkeeper, or Istio.

use crate::cli::compile::Context;
use crate::cli::compile::kyma::GROUP;
use crate::cli::compile::resource::Reading;
use crate::cli::compile::settings::JwtHandler;
use crate::cli::yaml::{self, Node};

/// The JWT handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Oathkeeper does.
    Ory,
    /// Istio does; Oathkeeper is asked for other strategies alone.
    Istio,
}

const KEY: &str = "jwtHandler";

// === impl Mode ===

impl Mode {
    /// As the command line says it, or Kyma's ConfigMap, or else how the rules are written.
    pub fn of(context: &Context<'_>, reading: Reading<'_>) -> Self {
        if let Some(handler) = context.settings.jwt_handler {
            return match handler {
                JwtHandler::Ory => Self::Ory,
                JwtHandler::Istio => Self::Istio,
            };
        }
        let inventory = context.inventory;
        let settings = inventory.named("", "ConfigMap", "kyma-system", "api-gateway-config");
        let data = settings.and_then(|it| it.root.get("data"));
        if let Some(handler) = data.and_then(named) {
            return match handler.as_str() {
                "istio" => Self::Istio,
                _ => Self::Ory,
            };
        }
        let others = inventory.of(GROUP, "APIRule");
        let mut specs = others.map(|it| it.spec()).chain([reading.resource.spec()]);
        match specs.any(is_of_istio) {
            true => Self::Istio,
            false => Self::Ory,
        }
    }
}

/// The handler that a ConfigMap names, as a key of its own or in a text.
fn named(data: &Node) -> Option<String> {
    if let Some(name) = data.get(KEY).and_then(Node::text) {
        return Some(name.trim().to_owned());
    }
    data.members().iter().find_map(|(_, value)| {
        let documents = yaml::documents(value.text()?).ok()?;
        let name = documents.first()?.get(KEY)?.text()?;
        Some(name.to_owned())
    })
}

/// Whether a rule has a strategy `jwt` as Istio's handler reads it.
fn is_of_istio(spec: &Node) -> bool {
    let rules = spec.get("rules").map_or(&[][..], Node::items).iter();
    let strategies = rules.filter_map(|rule| rule.get("accessStrategies"));
    let mut strategies = strategies.flat_map(Node::items);
    strategies.any(|it| it.at(&["config", "authentications"]).is_some())
}
