//! The address of whoever is connected, for policies of the gateway.

use crate::cli::compile::Context;
use crate::cli::compile::draft::Draft;
use crate::cli::compile::resource::Reading;
use crate::cli::yaml::Node;

/// Istio's gateways tell the address of whoever is connected, unless a proxy in front of them says
/// another one.
pub fn tell<'a>(context: &Context<'a>, draft: &mut Draft, reading: Reading<'a>, rules: &[Node]) {
    if !ask(rules) {
        return;
    }
    let mesh = super::mesh_config(context.inventory);
    let proxy = mesh.and_then(|it| {
        it.root
            .at(&["defaultConfig", "gatewayTopology", "proxyProtocol"])
    });
    if proxy.is_some() {
        reading.error(
            &reading.resource.root,
            "behind a proxy with PROXY protocol (`gatewayTopology.proxyProtocol`), `ipBlocks` and \
             `source.ip` are of that proxy, and here they would be of the client",
            "use `remoteIpBlocks` or `remote.ip` for the client",
        );
    }
    draft.config.mesh.get_or_insert_default().use_remote_address = Some(true);
}

/// Whether rules are about the address of whoever is connected.
fn ask(rules: &[Node]) -> bool {
    let list = |rule: &'_ Node, name| rule.get(name).map_or(&[][..], Node::items).to_vec();
    rules.iter().any(|rule| {
        let sources = list(rule, "from");
        let fields = ["ipBlocks", "notIpBlocks"];
        let of_source = sources.iter().filter_map(|it| it.get("source"));
        let mut of_source = of_source.flat_map(|it| fields.map(|field| it.get(field)));
        let conditions = list(rule, "when");
        let mut keys = conditions.iter().filter_map(|it| it.get("key")?.text());
        of_source.any(|it| it.is_some()) || keys.any(|key| key == "source.ip")
    })
}
