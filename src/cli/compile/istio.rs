//! Istio's resources: RequestAuthentication, AuthorizationPolicy, VirtualService, Gateway, and the
//! mesh's own configuration.
//!
//! `gateways` and `routes` tell how requests come to workloads, `attachment` where a policy holds at
//! the gateway, `authentication` and `authorization` what it says there.

mod addresses;
mod api_rules;
mod attachment;
mod authentication;
mod authorization;
mod carry;
mod certificate_headers;
mod exposure;
pub(super) mod gateways;
mod headers;
pub(super) mod hosts;
mod joining;
mod matches;
mod order;
pub(super) mod providers;
mod rewrite;
mod routes;
mod targets;
mod tokens;
mod traps;
mod unrouted;
mod workloads;

use super::Context;
use super::draft::Draft;
use super::input::Inventory;
use super::resource::Resource;
use crate::cli::yaml::Node;
use attachment::Attachments;
use gateways::Gateways;

/// The mesh's own configuration, if the input has it.
pub(super) fn mesh_config(inventory: &Inventory) -> Option<&Resource> {
    inventory.of("", "MeshConfig").last()
}

/// Adds what Istio's resources say. What judges hosts in other ways must have been added before.
pub(super) fn compile(context: &Context<'_>, draft: &mut Draft) {
    trust_domain(context, draft);
    let gateways = Gateways::of(context);
    let mut routes = routes::read(context, &gateways);
    routes.extend(api_rules::routes(context, draft));
    certificate_headers::compile(context, draft, &routes);
    let attachments = Attachments::new(context, &routes);
    let tokens = authentication::compile(&attachments, draft);
    authorization::compile(&attachments, &tokens, draft);
    authentication::reach_keys(draft);
    let wildcards = gateways.wildcards().into_iter();
    let wildcards = wildcards.map(|(host, gateway)| (host, gateway.title()));
    draft.wildcards = wildcards.collect();
    exposure::redirects(context, draft, &gateways, &routes);
    exposure::default_action(context, draft, &routes);
    exposure::trailing_dots(context, draft, &routes);
    traps::warn(context, draft, &routes);
    warn_of_what_is_left(context, draft);
}

/// The trust domain of the mesh, for principals.
fn trust_domain(context: &Context<'_>, draft: &mut Draft) {
    let Some(resource) = mesh_config(context.inventory) else {
        return;
    };
    let root = &resource.root;
    let aliases = root.get("trustDomainAliases").map_or(&[][..], Node::items);
    let aliases: Vec<_> = aliases.iter().filter_map(Node::text).collect();
    let domain = root.get("trustDomain").and_then(Node::text);
    if domain.is_none() && aliases.is_empty() {
        return;
    }
    let mesh = draft.config.mesh.get_or_insert_default();
    mesh.trust_domain = domain.map(str::to_owned);
    mesh.trust_domain_aliases = aliases.into_iter().map(str::to_owned).collect();
    draft.came_from("$.mesh".to_owned(), context.reading(resource), root);
}

/// What holds behind the gateway, and no gateway can do.
fn warn_of_what_is_left(context: &Context<'_>, draft: &Draft) {
    let group = authentication::GROUP;
    let kinds = ["AuthorizationPolicy", "RequestAuthentication"];
    let policies = kinds
        .iter()
        .flat_map(|kind| context.inventory.of(group, kind));
    let carried = |namespace: &str| namespace != context.settings.namespace;
    let Some(first) = policies.into_iter().find(|it| carried(&it.namespace)) else {
        return;
    };
    let strips = draft.config.jwt_rules.iter();
    let strips = strips
        .filter(|it| it.forward_original_token != Some(true))
        .count();
    let help = match strips > 0 && !context.settings.keep_native {
        true => {
            "keep the policies of workloads that are called from within the mesh; they need the \
             token, which stays at the gateway unless you compile with `--keep-native`"
        }
        false => "keep the policies of workloads that are called from within the mesh",
    };
    context.reading(first).warning(
        &first.root,
        "the gateway judges what comes through it, not calls within the mesh; and Istio's own \
         policies do not see the identities that it has verified",
        help,
    );
}
