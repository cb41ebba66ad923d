//! Istio's resources: RequestAuthentication, AuthorizationPolicy, VirtualService, Gateway, and the
//! mesh's own configuration.

pub(super) mod providers;

use super::Context;
use super::draft::Draft;
use super::input::Inventory;
use crate::cli::yaml::Node;

/// The mesh's own configuration, if the input has it.
pub(super) fn mesh_config(inventory: &Inventory) -> Option<&Node> {
    let mut found = inventory.of("", "MeshConfig");
    found.next().map(|it| &it.root)
}

/// Adds what Istio's resources say.
pub(super) fn compile(_context: &Context<'_>, _draft: &mut Draft) {}
