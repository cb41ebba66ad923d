//! Keys are fetched: what is due is asked for, its result is taken and told.
//!
//! Which keys are due, and what a result means, is [`crate::keys`]'s business. Called by
//! [`super::root`], from its tick and for the replies of the host.

use super::abi;
use super::meter;
use super::parked::Awaited;
use super::root::{Plugin, SOON, resume};
use crate::keys::{Endpoint, Fetch, FetchFailure, Outcome, Reply, SourceId};
use crate::meter::{Metric, key_gauges};
use std::time::Duration;

/// Takes the result of a fetch, tells of it, and asks again for those who wait for it.
pub fn fetched(
    plugin: &Plugin,
    fetch: &Fetch,
    result: Result<Reply<'_>, FetchFailure>,
    now: Duration,
) {
    let source = fetch.source;
    let outcome = match plugin.state.try_borrow_mut() {
        Ok(mut state) => state.keys.fetched(source, result, now),
        Err(_) => None,
    };
    let Some(outcome) = outcome else {
        return;
    };
    if let Some(rule) = plugin.policy.key_source_names.get(source.0) {
        meter::count(Metric::fetch(rule, &outcome));
    }
    match (outcome.is_failure(), outcome.is_news()) {
        (true, _) => log::warn!("keys from {}: {outcome}", fetch.from),
        (false, true) => log::info!("keys from {}: {outcome}", fetch.from),
        (false, false) => {}
    }
    match outcome {
        // The keys themselves come next.
        Outcome::Discovered(_) => abi::set_tick_period(SOON),
        _ => resume(plugin, now, None, |waiting| {
            waiting.on == Awaited::Keys(source)
        }),
    }
}

/// Shows in gauges how the keys of each source are.
pub fn tell_health(plugin: &Plugin, now: Duration) {
    let Ok(state) = plugin.state.try_borrow() else {
        return;
    };
    for (index, rule) in plugin.policy.key_source_names.iter().enumerate() {
        let health = state.keys.health(SourceId(index), now);
        let gauges = health.iter().flat_map(|health| key_gauges(rule, health));
        gauges.for_each(|(gauge, value)| meter::gauge(gauge, value));
    }
}

/// Asks for what is due. The call belongs to the root context, so that it outlives every request.
pub fn dispatch(fetch: &Fetch) -> Option<u32> {
    let Endpoint {
        authority,
        path,
        cluster,
    } = &fetch.from;
    let accept: &[u8] = b"application/jwk-set+json, application/json";
    let mut headers: Vec<(&[u8], &[u8])> = vec![
        (b":method", b"GET"),
        (b":path", path.as_bytes()),
        (b":authority", authority.as_bytes()),
        (b"accept", accept),
    ];
    let etag = fetch.etag.as_deref().map(str::as_bytes);
    headers.extend(etag.map(|etag| (&b"if-none-match"[..], etag)));
    abi::http_call(cluster, &headers, b"", fetch.timeout).ok()
}
