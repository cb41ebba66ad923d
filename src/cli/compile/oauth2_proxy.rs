//! oauth2-proxy: an authorizer that is asked, or tokens that are verified here in its place.
//!
//! [`compile`] sees to it that the authorizer is there, and warns of the traps in it. With `--inline`
//! an importer gives its rules to [`inline()`], which has the gateway verify the tokens that
//! oauth2-proxy would. Nothing is inlined that would let more in.

mod inline;
mod losses;
mod outputs;
mod settings;

pub(super) use inline::{inline, is_inlined};

use super::Context;
use super::draft::Draft;
use super::istio::providers;
use super::resource::Reading;
use super::written::{EnvoyExtAuthzHttp, ExtensionProvider};
use crate::cli::yaml::Node;
use settings::Proxy;

/// The name of the authorizer, of the release and of its namespace, unless the input says otherwise.
const NAME: &str = "oauth2-proxy";

/// Adds the authorizer of the input's oauth2-proxy, unless the mesh has one, and warns of its traps.
pub(super) fn compile(context: &Context<'_>, draft: &mut Draft) {
    let proxies = proxies(context);
    for proxy in &proxies {
        proxy.tell_unreadable();
    }
    if context.settings.inline {
        return;
    }
    let mut added: Option<&Proxy<'_>> = None;
    for proxy in &proxies {
        let asking = asking(context, proxy, proxies.len());
        match (asking.is_empty(), added) {
            (true, None) => {
                add(context, draft, proxy);
                added = Some(proxy);
            }
            (true, Some(other)) => proxy.reading.error(
                &proxy.reading.resource.root,
                format!(
                    "no authorizer of the mesh is this oauth2-proxy, and none is {}",
                    other.reading.resource.title()
                ),
                "leave all but one of them out of the input, or add the mesh's configuration or \
                 Kyma's Istio resource, which names their Services",
            ),
            (false, _) => {}
        }
        let has_prefix = |node: &Node| http(node).get("pathPrefix").is_some();
        if asking.is_empty() || !asking.iter().all(|it| has_prefix(it)) {
            warn_of_open_paths(proxy);
        }
        warn_of_answers(proxy);
    }
}

/// Every oauth2-proxy of the input.
fn proxies<'a>(context: &Context<'a>) -> Vec<Proxy<'a>> {
    let values = context.inventory.of("", "OAuth2ProxyValues");
    let values = values.map(|it| Proxy::of_values(context.reading(it)));
    let deployments = context.inventory.of("apps", "Deployment");
    let deployments = deployments.filter_map(|it| Proxy::of_deployment(context, it));
    values.chain(deployments).collect()
}

/// Definitions of authorizers that ask this one, of so many.
fn asking<'a>(context: &Context<'a>, proxy: &Proxy<'_>, of: usize) -> Vec<&'a Node> {
    let defined = providers::all(context).into_iter().map(|(_, node)| node);
    defined.filter(|node| is_of(proxy, node, of)).collect()
}

/// The oauth2-proxy that an authorizer asks. If that cannot be told, it has been noted.
fn of_authorizer<'a>(
    context: &Context<'a>,
    (reading, node): (Reading<'_>, &Node),
    name: &str,
) -> Option<Proxy<'a>> {
    let defined = providers::defined(context, name);
    let proxies = proxies(context);
    let count = proxies.len();
    let asked = |proxy: &Proxy<'_>| match defined {
        Some((_, node)) => is_of(proxy, node, count),
        None => name == NAME,
    };
    let mut found: Vec<_> = proxies.into_iter().filter(asked).collect();
    let titles: Vec<_> = found.iter().map(|it| it.reading.resource.title()).collect();
    if found.len() > 1 {
        reading.error(
            node,
            format!("`{name}` may be any of several: {}", titles.join(", ")),
            "leave all but one of them out of the input, such as the values that a Deployment was \
             made from",
        );
    }
    let found = found.pop()?;
    let services = asking(context, &found, count).into_iter();
    let mut services: Vec<_> = services
        .filter_map(|it| http(it).get("service")?.text())
        .collect();
    services.dedup();
    if !found.is_deployed && services.len() > 1 {
        reading.error(
            node,
            format!(
                "values do not say which of these they are for: `{}`",
                services.join("`, `")
            ),
            "give the Deployments in place of the values",
        );
    }
    Some(found)
}

/// Where an authorizer's definition says how it is asked: Istio's or Kyma's.
fn http(definition: &Node) -> &Node {
    definition.get("envoyExtAuthzHttp").unwrap_or(definition)
}

/// Whether an authorizer, by its definition, is this oauth2-proxy. Where there is one alone, its name
/// is enough.
fn is_of(proxy: &Proxy<'_>, definition: &Node, of: usize) -> bool {
    let service = http(definition).get("service").and_then(Node::text);
    let service = service.unwrap_or_default();
    let host = service.rsplit_once('/').map_or(service, |(_, host)| host);
    let mut labels = host.split('.');
    let (name, namespace) = (labels.next(), labels.next());
    let same_name = of == 1 && definition.get("name").and_then(Node::text) == Some(NAME);
    match proxy.is_deployed {
        true => {
            let here = namespace == Some(&*proxy.namespace);
            here && (same_name || name == Some(&*proxy.name))
        }
        // Values do not say what their release is called.
        false => same_name || name.is_some_and(|it| it.contains(NAME)),
    }
}

/// The authorizer as the tutorial registers it.
fn add(context: &Context<'_>, draft: &mut Draft, proxy: &Proxy<'_>) {
    let host = format!("{}.{}.svc.cluster.local", proxy.name, proxy.namespace);
    let service = context
        .inventory
        .named("", "Service", &proxy.namespace, &proxy.name);
    let ports = service.and_then(|it| it.spec().get("ports"));
    let port = ports.and_then(|it| it.items().first()?.get("port"));
    let port = port.and_then(|it| it.to_json().as_u64()).unwrap_or(80);
    let headers = ["authorization", "cookie", "x-forwarded-for"];
    let (reading, root) = (proxy.reading, &proxy.reading.resource.root);
    reading.warning(
        root,
        format!("no authorizer of the mesh is this oauth2-proxy; `{NAME}` is added, at {host}:{port}"),
        "if its Service is called otherwise, add the mesh's configuration or Kyma's Istio resource, \
         which names it",
    );
    draft.reach(&host, u16::try_from(port).unwrap_or_default(), false);
    let provider = ExtensionProvider {
        name: NAME.to_owned(),
        envoy_ext_authz_http: EnvoyExtAuthzHttp {
            service: host,
            port,
            include_request_headers_in_check: headers.map(str::to_owned).into(),
            ..EnvoyExtAuthzHttp::default()
        },
        ..ExtensionProvider::default()
    };
    draft.add_extension_provider(provider, reading, root);
}

/// It answers some paths itself, with 200 for anybody: those are open in the application, too.
fn warn_of_open_paths(proxy: &Proxy<'_>) {
    let path = |name: &str, otherwise: &str| proxy.text(name).unwrap_or(otherwise).to_owned();
    let prefix = path("proxy-prefix", "/oauth2");
    let mut open = vec![
        path("ping-path", "/ping"),
        path("ready-path", "/ready"),
        "/robots.txt".to_owned(),
        format!("{prefix}/static/*"),
    ];
    for name in ["skip-auth-route", "skip-auth-regex"] {
        open.extend(proxy.list(name).into_iter().map(str::to_owned));
    }
    proxy.reading.warning(
        &proxy.reading.resource.root,
        format!(
            "oauth2-proxy answers `{}` itself, so that these paths of every application that it \
             guards are open to anybody, as they were",
            open.join("`, `")
        ),
        format!(
            "give the authorizer `checkPath: {prefix}/auth` and `allowStatuses: [202]`, or compile \
             with `--inline`"
        ),
    );
}

/// What a caller is allowed by is a plain 200.
fn warn_of_answers(proxy: &Proxy<'_>) {
    let upstreams = proxy.list("upstream");
    if upstreams.contains(&"static://200") {
        return;
    }
    let (node, found) = match proxy.get("upstream") {
        Some(setting) => (setting.node, format!("`{}`", upstreams.join("`, `"))),
        None => (&proxy.reading.resource.root, "nothing".to_owned()),
    };
    proxy.reading.warning(
        node,
        format!("its upstream is {found}: callers are allowed by an answer of 200 alone"),
        "write `upstream: static://200`, unless the authorizer has `checkPath`",
    );
}

#[cfg(test)]
mod tests;
