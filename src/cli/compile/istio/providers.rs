//! External authorizers: `extensionProviders` of the MeshConfig, and `authorizers` of Kyma's Istio
//! resource, which Kyma writes there.

use super::authorization::Translated;
use crate::cli::compile::Context;
use crate::cli::compile::draft::Draft;
use crate::cli::compile::resource::{Reading, Resource};
use crate::cli::compile::written::{EnvoyExtAuthzHttp, ExtensionProvider, Members};
use crate::cli::yaml::{Content, Node};

/// The group of Kyma's Istio resource.
const KYMA: &str = "operator.kyma-project.io";
const KIND: &str = "Istio";

/// Adds the authorizer of that name, which `node` asks for, to the draft. Whether it is there and can
/// be asked; if not, that has been noted.
pub fn require(
    context: &Context<'_>,
    draft: &mut Draft,
    reading: Reading<'_>,
    node: &Node,
    name: &str,
) -> bool {
    let mut providers = draft.config.extension_providers.iter();
    if providers.any(|it| it.name == name) {
        return true;
    }
    let Some((resource, found)) = defined(context, name) else {
        reading.error(
            node,
            "Authorizer not found in Istio ConfigMap mesh data",
            format!(
                "add what defines `{name}` to the input: the ConfigMap `istio`, an IstioOperator, or \
                 Kyma's Istio resource"
            ),
        );
        return false;
    };
    let defined = context.reading(resource);
    let provider = match resource.kind == KIND {
        true => authorizer(defined, found),
        false => extension_provider(defined, found, reading, node),
    };
    let Some(provider) = provider else {
        return false;
    };
    let http = &provider.envoy_ext_authz_http;
    let host = http
        .service
        .rsplit_once('/')
        .map_or(&*http.service, |(_, host)| host);
    let port = u16::try_from(http.port).unwrap_or_default();
    draft.reach(host, port, false);
    draft.add_extension_provider(provider, defined, found);
    true
}

/// Istio refuses what CUSTOM policies of one proxy match, if they name different providers.
pub fn check(translated: &[Translated<'_>]) {
    let custom = translated.iter().filter(|it| it.policy.provider.is_some());
    let custom: Vec<_> = custom.collect();
    for (index, one) in custom.iter().enumerate() {
        for other in custom.iter().skip(index.saturating_add(1)) {
            let at_gateway = one.at_gateway && other.at_gateway;
            let behind = one.behind.as_ref().zip(other.behind.as_ref());
            let together = at_gateway || behind.is_some_and(|(one, other)| one.meets(other));
            if !together || one.policy.provider == other.policy.provider {
                continue;
            }
            other.reading.error(
                other
                    .reading
                    .resource
                    .spec()
                    .get("provider")
                    .unwrap_or(&other.reading.resource.root),
                format!(
                    "{} names another provider for the same proxy: Istio refuses whatever one of \
                     them matches",
                    one.reading.resource.title()
                ),
                "name one provider in both, or attach them to different workloads",
            );
        }
    }
}

/// The entry of `extensionProviders` of that name, else that of `authorizers`.
pub fn defined<'a>(context: &Context<'a>, name: &str) -> Option<(&'a Resource, &'a Node)> {
    let named = |it: &(_, &Node)| it.1.get("name").and_then(Node::text) == Some(name);
    all(context).into_iter().find(named)
}

/// Every entry of `extensionProviders` and of `authorizers`.
pub fn all<'a>(context: &Context<'a>) -> Vec<(&'a Resource, &'a Node)> {
    let mesh = super::mesh_config(context.inventory).into_iter();
    let mesh = mesh.map(|it| (it, it.root.get("extensionProviders")));
    let kyma = context.inventory.of(KYMA, KIND);
    let kyma = kyma.map(|it| (it, it.root.at(&["spec", "config", "authorizers"])));
    let entries = mesh.chain(kyma).flat_map(|(resource, list)| {
        let items = list.map_or(&[][..], Node::items);
        items.iter().map(move |item| (resource, item))
    });
    entries.collect()
}

/// Istio's `extensionProviders[]`.
fn extension_provider<'a>(
    reading: Reading<'a>,
    provider: &'a Node,
    asking: Reading<'_>,
    asked: &Node,
) -> Option<ExtensionProvider> {
    let name = provider.get("name").and_then(|it| reading.text(it))?;
    let Some(http) = provider.get("envoyExtAuthzHttp") else {
        asking.error(
            asked,
            format!("EnvoyExtAuthzHttp not found in the extension provider `{name}`"),
            "the gateway asks authorizers over HTTP: give it `envoyExtAuthzHttp`",
        );
        return None;
    };
    let mut fields = reading.fields(http)?;
    let text = |it: Option<&'a Node>| it.and_then(|it| reading.text(it)).map(str::to_owned);
    let texts = |it: Option<&'a Node>| it.map(|it| reading.texts(it)).unwrap_or_default();
    let service = text(fields.required("service"));
    let port = fields.required("port").and_then(|it| reading.number(it));
    let timeout = fields.get("timeout");
    let include = fields.get("includeRequestHeadersInCheck");
    let deprecated = fields.get("includeHeadersInCheck");
    let additional = fields.get("includeAdditionalHeadersInCheck");
    if let Some(body) = fields.get("includeRequestBodyInCheck") {
        reading.error(
            body,
            "a request is decided before its body arrives",
            "leave it out, or judge the body behind the gateway",
        );
    }
    if let Some(headers) = fields.get("headersToDownstreamOnAllow") {
        reading.error(
            headers,
            "headers cannot be added to answers of the upstream",
            "leave it out, or have the upstream set them from `headersToUpstreamOnAllow`",
        );
    }
    let status = fields.get("statusOnError");
    let http = EnvoyExtAuthzHttp {
        timeout: shortened(reading, timeout),
        path_prefix: text(fields.get("pathPrefix")),
        fail_open: fields
            .get("failOpen")
            .and_then(|it| reading.flag(it))
            .filter(|open| *open),
        status_on_error: status.map(|it| it.to_json().to_string().replace('"', "")),
        include_request_headers_in_check: texts(include.or(deprecated)),
        include_additional_headers_in_check: members(reading, additional),
        headers_to_upstream_on_allow: texts(fields.get("headersToUpstreamOnAllow")),
        headers_to_downstream_on_deny: fields
            .get("headersToDownstreamOnDeny")
            .map(|it| reading.texts(it)),
        service: service?,
        port: port?,
    };
    fields.finish();
    Some(ExtensionProvider {
        name: name.to_owned(),
        envoy_ext_authz_http: http,
        ..ExtensionProvider::default()
    })
}

/// Kyma's `authorizers[]`.
fn authorizer<'a>(reading: Reading<'a>, node: &'a Node) -> Option<ExtensionProvider> {
    let mut fields = reading.fields(node)?;
    let name = fields.required("name").and_then(|it| reading.text(it));
    let service = fields.required("service").and_then(|it| reading.text(it));
    let port = fields.required("port").and_then(|it| reading.number(it));
    let prefix = fields.get("pathPrefix").and_then(|it| reading.text(it));
    let headers = fields.get("headers");
    fields.finish();
    let at = |names: &[&str]| headers.and_then(|it| it.at(names));
    let texts = |names: &[&str]| at(names).map(|it| reading.texts(it));
    if let Some(on_allow) = at(&["toDownstream", "onAllow"]) {
        reading.error(
            on_allow,
            "headers cannot be added to answers of the upstream",
            "leave it out, or have the upstream set them from `toUpstream.onAllow`",
        );
    }
    Some(ExtensionProvider {
        name: name?.to_owned(),
        envoy_ext_authz_http: EnvoyExtAuthzHttp {
            service: service?.to_owned(),
            port: port?,
            path_prefix: prefix.map(str::to_owned),
            include_request_headers_in_check: texts(&["inCheck", "include"]).unwrap_or_default(),
            include_additional_headers_in_check: members(reading, at(&["inCheck", "add"])),
            headers_to_upstream_on_allow: texts(&["toUpstream", "onAllow"]).unwrap_or_default(),
            headers_to_downstream_on_deny: texts(&["toDownstream", "onDeny"]),
            ..EnvoyExtAuthzHttp::default()
        },
        ..ExtensionProvider::default()
    })
}

/// Names with texts.
fn members(reading: Reading<'_>, node: Option<&Node>) -> Members<String> {
    let members = node.map_or(&[][..], Node::members).iter();
    let members = members.filter_map(|(key, value)| {
        let text = match &value.content {
            Content::Text(text) => text.clone(),
            _ => {
                reading.unexpected(value, "a text");
                return None;
            }
        };
        Some((key.name.clone(), text))
    });
    Members(members.collect())
}

/// A timeout, of at most what the plugin waits for.
fn shortened(reading: Reading<'_>, node: Option<&Node>) -> Option<String> {
    let node = node?;
    let text = node.text()?;
    let duration = humantime::parse_duration(text).ok()?;
    let longest = std::time::Duration::from_secs(60);
    if duration > longest {
        let message = format!("`{text}` is longer than a client waits; the gateway waits for 60s");
        reading.warning(node, message, "give a timeout of at most `60s`");
        return Some("60s".to_owned());
    }
    Some(text.to_owned())
}
