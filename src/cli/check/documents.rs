//! Which documents of a file are ours: pluginConfigs, and WasmPlugins that carry one.
//!
//! Other resources are passed over, and so are the plugins of others.

use crate::cli::yaml::Node;

/// A pluginConfig, or a WasmPlugin.
pub(in crate::cli) struct Document<'a> {
    /// The WasmPlugin, if it is one.
    pub plugin: Option<&'a Node>,
    /// The configuration, unless it is missing.
    pub config: Option<&'a Node>,
    /// `WasmPlugin NAMESPACE/NAME`; empty for a pluginConfig by itself.
    pub title: String,
    is_ours: bool,
}

/// Where the configuration stands in a WasmPlugin.
const CONFIG: [&str; 2] = ["spec", "pluginConfig"];

/// Sections that no other plugin is likely to have.
const SECTIONS: [&str; 9] = [
    "version",
    "defaultAction",
    "accessLog",
    "jwtRules",
    "introspectionProviders",
    "extensionProviders",
    "apiRules",
    "authorizationPolicies",
    "clientCertificate",
];

/// Every document below `root` that may be ours: itself, or those in the List that it is.
pub(in crate::cli) fn of(root: &Node) -> Vec<Document<'_>> {
    let text = |name: &str| root.get(name).and_then(Node::text);
    let (kind, api_version) = (text("kind"), text("apiVersion"));
    match kind {
        Some(kind) if kind.ends_with("List") => {
            let items = root.get("items").map_or(&[][..], Node::items);
            items.iter().flat_map(of).collect()
        }
        Some("WasmPlugin") => {
            let foreign = api_version.is_some_and(|it| !it.starts_with("extensions.istio.io/"));
            let plugin = (!foreign).then(|| Document::of_plugin(root));
            plugin.into_iter().collect()
        }
        _ if kind.is_some() && api_version.is_some() => Vec::new(),
        _ => vec![Document {
            plugin: None,
            config: Some(root),
            title: String::new(),
            is_ours: true,
        }],
    }
}

// === impl Document ===

impl<'a> Document<'a> {
    fn of_plugin(root: &'a Node) -> Self {
        let text = |names: &[&str]| root.at(names).and_then(Node::text);
        let name = text(&["metadata", "name"]).unwrap_or_default();
        let title = match text(&["metadata", "namespace"]) {
            Some(namespace) => format!("WasmPlugin {namespace}/{name}"),
            None => format!("WasmPlugin {name}"),
        };
        let config = root.at(&CONFIG);
        let has_section = |config: &Node| SECTIONS.iter().any(|name| config.get(name).is_some());
        // Also without a `version`, which is a fault then.
        let named = |text: &str| text.to_lowercase().contains("portcullis");
        let is_named = named(name) || text(&["spec", "url"]).is_some_and(named);
        Self {
            plugin: Some(root),
            config,
            title,
            is_ours: config.is_some_and(has_section) || is_named,
        }
    }

    pub(in crate::cli) fn is_ours(&self) -> bool {
        self.is_ours
    }

    /// How messages name what stands at a path below `root`, the plugin or its configuration.
    pub(super) fn subject(&self, root: &Node, path: &str) -> String {
        let Some(plugin) = self.plugin else {
            return if path == "$" { "" } else { path }.to_owned();
        };
        let within = path.strip_prefix('$').unwrap_or(path);
        let title = &self.title;
        match (std::ptr::eq(root, plugin), within.is_empty()) {
            (true, true) => title.clone(),
            (true, false) => format!("{title}, {within}"),
            (false, _) => format!("{title}, .{}{within}", CONFIG.join(".")),
        }
    }
}
