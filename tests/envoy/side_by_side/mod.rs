//! Portcullis beside Envoy's own filters, in one Envoy, with the same policies: the same answers.
//!
//! `native` writes a configuration in Envoy's terms, as Istio would; `pair` asks both; what may
//! differ is the list in `differences`, each with its reason. `by_hand` has a case for each field
//! and each trap, `generated` has thousands that nobody thought of, `moments` the seconds at which
//! tokens begin and end.

mod by_hand;
mod differences;
mod generated;
mod matchers;
mod moments;
mod native;
mod pair;
mod peers;
mod tokens;
