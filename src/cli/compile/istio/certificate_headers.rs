//! Headers by which VirtualServices tell their upstream of client certificates.
//!
//! A route that sets one leaves what a client wrote there when the certificate has nothing to say;
//! so the plugin writes them itself, and whatever a client sends under such a name goes.

use super::routes::Route;
use crate::cli::compile::Context;
use crate::cli::compile::draft::Draft;
use crate::cli::yaml::Node;

/// What every operator about a client certificate begins with.
const OPERATOR: &str = "%DOWNSTREAM_PEER_";

/// Adds the headers of every route.
pub fn compile(context: &Context<'_>, draft: &mut Draft, routes: &[Route<'_>]) {
    let mut seen: Vec<&Node> = Vec::new();
    for arm in routes.iter().flat_map(|route| &route.arms) {
        for headers in &arm.headers {
            if seen.iter().any(|it| std::ptr::eq(*it, *headers)) {
                continue;
            }
            seen.push(headers);
            let reading = context.reading(arm.resource);
            let operations = headers.get("request").map_or(&[][..], Node::members);
            for (operation, names) in operations {
                for (name, value) in names.members() {
                    let Some(text) = value.text().filter(|text| text.contains(OPERATOR)) else {
                        continue;
                    };
                    if operation.name != "set" {
                        reading.warning(
                            value,
                            format!(
                                "`{}` adds a line to `{}`, beside whatever a client sends there",
                                operation.name, name.name
                            ),
                            "use `set`; the gateway will write the header as one line",
                        );
                    }
                    draft.tell_certificate(&name.name, text, reading, value);
                }
            }
        }
    }
}
