//! What the command line and the mesh's own configuration say about the gateway.

use super::input::Inventory;
use super::output::{Format, Output};

/// The gateway, as the command line names it.
#[derive(clap::Args, Clone, Debug)]
#[group(id = "gateway")]
pub(crate) struct Arguments {
    /// The namespace of the gateway.
    #[arg(long, default_value = "istio-system")]
    namespace: String,
    /// The labels of the gateway's pods, NAME=VALUE, separated by commas.
    #[arg(
        long,
        value_delimiter = ',',
        value_parser = label,
        default_value = "istio=ingressgateway,app=istio-ingressgateway",
        value_name = "NAME=VALUE"
    )]
    labels: Vec<(String, String)>,
    /// The name of the gateway, if it is one of the Gateway API.
    #[arg(long, value_name = "NAME")]
    gateway_name: Option<String>,
    /// Hosts by which a workload is reached for which the input has no route.
    #[arg(long, value_delimiter = ',', value_name = "HOST")]
    hosts: Vec<String>,
    /// Where the keys of an issuer are, for which the input does not say it.
    #[arg(long, value_parser = jwks_uri, value_name = "ISSUER=URL")]
    jwks_uri: Vec<(String, String)>,
    /// The policies of workloads stay in force: forward the tokens that they judge.
    #[arg(long)]
    keep_native: bool,
    /// Who verifies the JWTs of Kyma's APIRules in version v1beta1.
    #[arg(long, value_enum, value_name = "HANDLER")]
    jwt_handler: Option<JwtHandler>,
    /// Verify tokens in the gateway instead of asking oauth2-proxy about them.
    #[arg(long)]
    inline: bool,
    /// With `--inline`: accept tokens with `email_verified: false`, which oauth2-proxy refuses.
    #[arg(long, requires = "inline")]
    allow_unverified_email: bool,
    /// What becomes of hosts that nothing names: 404, or on to the router.
    #[arg(long, value_enum, value_name = "ACTION")]
    default_action: Option<DefaultAction>,
    /// Treat warnings as errors.
    #[arg(long)]
    strict: bool,
    /// What to write.
    #[arg(
        long,
        short,
        value_enum,
        default_value = "wasmplugin",
        value_name = "WHAT"
    )]
    output: Output,
    /// The language to write it in; with `json`, what is to be said is JSON, too, a line each.
    #[arg(long, value_enum, default_value = "yaml", value_name = "LANGUAGE")]
    format: Format,
    /// The name of the WasmPlugin.
    #[arg(long, default_value = "portcullis")]
    name: String,
    /// Where the gateway fetches the module: `portcullis push` prints it. The default stands for
    /// nothing that exists, so that the gateway stays closed until it is replaced.
    #[arg(long, default_value = PLACEHOLDER)]
    url: String,
}

/// In place of an image; no digest is all zeros.
const PLACEHOLDER: &str = "oci://registry.example.com/portcullis@sha256:\
                           0000000000000000000000000000000000000000000000000000000000000000";

/// `--default-action`
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum DefaultAction {
    /// They go on to the router.
    Allow,
    /// They are answered 404.
    Deny,
}

/// `--jwt-handler`
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum JwtHandler {
    /// Oathkeeper.
    Ory,
    /// Istio.
    Istio,
}

/// Everything that is known about the gateway.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The namespace of the gateway.
    pub namespace: String,
    /// Istio's root namespace.
    pub root_namespace: String,
    /// The labels of the gateway's pods.
    pub labels: Vec<(String, String)>,
    /// Those that the WasmPlugin selects it by.
    pub selector: Vec<(String, String)>,
    /// The name of a gateway of the Gateway API.
    pub gateway_name: Option<String>,
    /// Hosts by which a workload is reached for which the input has no route.
    pub hosts: Vec<String>,
    /// Where the keys of an issuer are, for which the input does not say it.
    pub jwks_uris: Vec<(String, String)>,
    /// Whether tokens are forwarded, since policies of workloads stay in force.
    pub keep_native: bool,
    /// Who verifies the JWTs of APIRules in version v1beta1, if it was said.
    pub jwt_handler: Option<JwtHandler>,
    /// Whether tokens are verified in the gateway instead of asking oauth2-proxy.
    pub inline: bool,
    /// Whether tokens with an address that is not verified may be accepted then.
    pub allow_unverified_email: bool,
    /// What becomes of hosts that nothing names, if it was said.
    pub default_action: Option<DefaultAction>,
    /// Whether warnings are errors.
    pub strict: bool,
    /// What is written.
    pub output: Output,
    /// In which language.
    pub format: Format,
    /// The name of the WasmPlugin.
    pub name: String,
    /// Where the gateway fetches the module.
    pub url: String,
}

// === impl Arguments ===

impl Arguments {
    /// Whether the output is for machines.
    pub(super) fn is_json(&self) -> bool {
        self.format == Format::Json
    }
}

// === impl Settings ===

impl Settings {
    pub(super) fn new(arguments: &Arguments, inventory: &Inventory) -> Self {
        let mesh = super::istio::mesh_config(inventory);
        let root = mesh.and_then(|mesh| mesh.root.get("rootNamespace")?.text());
        let labels = arguments.labels.clone();
        // The one that every installation of the ingress gateway has, if it is among them.
        let own = labels.iter().find(|(name, _)| name == "istio").cloned();
        Self {
            namespace: arguments.namespace.clone(),
            root_namespace: root.unwrap_or("istio-system").to_owned(),
            selector: own.map_or_else(|| labels.clone(), |own| vec![own]),
            labels,
            gateway_name: arguments.gateway_name.clone(),
            hosts: arguments.hosts.clone(),
            jwks_uris: arguments.jwks_uri.clone(),
            keep_native: arguments.keep_native,
            jwt_handler: arguments.jwt_handler,
            inline: arguments.inline,
            allow_unverified_email: arguments.allow_unverified_email,
            default_action: arguments.default_action,
            strict: arguments.strict,
            output: arguments.output,
            format: arguments.format,
            name: arguments.name.clone(),
            url: arguments.url.clone(),
        }
    }

    /// Whether a selector selects the gateway's pods.
    pub(super) fn is_selected_by(&self, selector: &[(String, String)]) -> bool {
        selector.iter().all(|label| self.labels.contains(label))
    }
}

fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// An issuer may hold `=`, a URL of keys hardly does before its `://`.
fn jwks_uri(text: &str) -> Result<(String, String), String> {
    let scheme = text.rfind("=https://").or_else(|| text.rfind("=http://"));
    let split = scheme.and_then(|at| Some((text.get(..at)?, text.get(at.saturating_add(1)..)?)));
    let (issuer, url) = split.ok_or("write it ISSUER=https://…")?;
    Ok((issuer.to_owned(), url.to_owned()))
}
