//! A configuration in force on one worker: its policy, its keys, its caches, the requests that wait.
//!
//! `on_configure` is one pure pass and fails only for a faulty configuration, the same on every
//! thread: Envoy then keeps the last good one. A failure on a worker alone would leave its gate
//! open, so nothing else may make it fail. Keys are fetched from the tick, each worker for itself.

use super::abi::{self, Buffer, Map};
use super::http::{Filter, conclude};
use super::meter;
use super::parked::{Parked, Waiting};
use super::signature::HostVerifier;
use crate::cache::Caches;
use crate::config::{self, Config};
use crate::keys::{self, Fetch, FetchFailure, Keys, Outcome, Reply, SourceId};
use crate::meter::key_gauges;
use crate::policy::Policy;
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// The root context that the host makes for each configuration.
pub struct Root {
    id: u32,
    plugin: Option<Rc<Plugin>>,
    fetching: BTreeMap<u32, Fetch>,
}

/// What every stream of a configuration shares on one worker.
pub struct Plugin {
    pub policy: Policy,
    pub state: RefCell<State>,
}

/// The part of it that changes.
pub struct State {
    pub keys: Keys,
    pub caches: Caches,
    pub parked: Parked,
}

const TICK: Duration = Duration::from_secs(1);
/// A tick that was asked for: the least that the host can count.
pub const SOON: Duration = Duration::from_millis(1);

// === impl Root ===

impl Root {
    pub fn new(id: u32) -> Self {
        Self {
            id,
            plugin: None,
            fetching: BTreeMap::new(),
        }
    }

    fn fetch_keys(&mut self, plugin: &Plugin, now: Duration) {
        let due = plugin
            .state
            .try_borrow_mut()
            .map(|mut state| state.keys.due(now));
        for fetch in due.unwrap_or_default() {
            match dispatch(&fetch) {
                Some(token) => {
                    self.fetching.insert(token, fetch);
                }
                None => fetched(plugin, &fetch, Err(FetchFailure::NotSent), now),
            }
        }
    }
}

impl Context for Root {
    fn on_http_call_response(&mut self, token: u32, headers: usize, body_size: usize, _: usize) {
        let (Some(fetch), Some(plugin)) = (self.fetching.remove(&token), self.plugin.clone())
        else {
            return;
        };
        let headers = (headers > 0)
            .then(|| abi::headers(Map::HttpCallResponse))
            .flatten();
        let first = |name: &str| headers.as_ref().and_then(|it| it.all(name).next());
        // One byte more than is allowed tells that there was more.
        let most = body_size.min(keys::MAX_BYTES.saturating_add(1));
        let body;
        let result = match first(":status").map(status) {
            None => Err(FetchFailure::Reset),
            Some(status) => {
                body = abi::buffer(Buffer::HttpCallResponseBody, most);
                Ok(Reply {
                    status,
                    body: &body,
                    etag: first("etag"),
                    cache_control: first("cache-control"),
                })
            }
        };
        fetched(&plugin, &fetch, result, abi::now());
    }
}

/// Takes the result of a fetch, tells of it, and asks again for those who wait for it.
fn fetched(plugin: &Plugin, fetch: &Fetch, result: Result<Reply<'_>, FetchFailure>, now: Duration) {
    let source = fetch.source;
    let outcome = match plugin.state.try_borrow_mut() {
        Ok(mut state) => state.keys.fetched(source, result, now),
        Err(_) => None,
    };
    let Some(outcome) = outcome else {
        return;
    };
    match (outcome.is_failure(), outcome.is_news()) {
        (true, _) => log::warn!("keys from {}: {outcome}", fetch.from),
        (false, true) => log::info!("keys from {}: {outcome}", fetch.from),
        (false, false) => {}
    }
    match outcome {
        // The keys themselves come next.
        Outcome::Discovered(_) => abi::set_tick_period(SOON),
        _ => resume(plugin, now, |waiting| waiting.source == source),
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        let started = abi::now();
        let most = size.min(config::MAX_BYTES.saturating_add(1));
        let text = abi::buffer(Buffer::PluginConfiguration, most);
        let config = match Config::read(&text) {
            Ok(config) => config,
            Err(faults) => {
                log::error!("the configuration is refused; {} faults:", faults.len());
                faults.iter().for_each(|fault| log::error!("{fault}"));
                return false;
            }
        };
        let policy = Policy::compile(config);
        let verifier = HostVerifier::probed();
        let native: Vec<_> = verifier.native().iter().map(|it| it.name()).collect();
        let now = abi::now();
        log::info!(
            "portcullis {}: configuration of {} bytes in force after {} ms; signatures verified by \
             the host: {}",
            env!("CARGO_PKG_VERSION"),
            text.len(),
            now.saturating_sub(started).as_millis(),
            native.join(", "),
        );
        // Envoy makes a new root for a new configuration; a host that does not must leave nobody
        // waiting for keys that no longer come.
        if let Some(before) = self.plugin.take() {
            resume(&before, now, |_| true);
        }
        let seed = u64::from(now.subsec_nanos()).wrapping_mul(u64::from(self.id).wrapping_add(1));
        let keys = Keys::new(
            &policy.key_sources,
            &policy.limits,
            Box::new(verifier),
            seed,
        );
        for (SourceId(source), skipped) in keys.unserved() {
            log::warn!("`jwks` of key source {source}: {skipped}");
        }
        let state = State {
            keys,
            caches: Caches::new(&policy.limits),
            parked: Parked::new(&policy.limits),
        };
        self.plugin = Some(Rc::new(Plugin {
            policy,
            state: RefCell::new(state),
        }));
        self.fetching.clear();
        set_log_level();
        // Keys are fetched right after this, not here: this pass asks nobody.
        abi::set_tick_period(SOON);
        true
    }

    fn on_tick(&mut self) {
        abi::set_tick_period(TICK);
        let Some(plugin) = self.plugin.clone() else {
            return;
        };
        set_log_level();
        let now = abi::now();
        self.fetch_keys(&plugin, now);
        tell_health(&plugin, now);
        resume(&plugin, now, |waiting| waiting.deadline <= now);
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Filter::new(id, self.plugin.clone())))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

/// Follows the level at which the host logs, so that what nobody reads is not even thought of.
fn set_log_level() {
    let level = match abi::logs_debug() {
        true => log::LevelFilter::Debug,
        false => log::LevelFilter::Info,
    };
    log::set_max_level(level);
}

/// Shows in gauges how the keys of each source are.
fn tell_health(plugin: &Plugin, now: Duration) {
    let Ok(state) = plugin.state.try_borrow() else {
        return;
    };
    for (index, rule) in plugin.policy.key_source_names.iter().enumerate() {
        let health = state.keys.health(SourceId(index), now);
        let gauges = health.iter().flat_map(|health| key_gauges(rule, health));
        gauges.for_each(|(name, value)| meter::gauge(name, value));
    }
}

/// Asks for what is due. The call belongs to the root context, so that it outlives every request.
fn dispatch(fetch: &Fetch) -> Option<u32> {
    let mut headers = vec![
        (":method", "GET"),
        (":path", fetch.from.path.as_str()),
        (":authority", fetch.from.authority.as_str()),
        ("accept", "application/jwk-set+json, application/json"),
    ];
    headers.extend(fetch.etag.as_deref().map(|etag| ("if-none-match", etag)));
    // Ours would not tell the SDK which context to give the answer to. It panics on no status that
    // Envoy gives here.
    #[expect(
        clippy::disallowed_methods,
        reason = "the only way to register the call"
    )]
    let sent =
        hostcalls::dispatch_http_call(&fetch.from.cluster, headers, None, vec![], fetch.timeout);
    sent.ok()
}

/// A status; 0 for what is none.
fn status(text: &[u8]) -> u16 {
    let text = std::str::from_utf8(text).unwrap_or_default();
    text.parse().unwrap_or_default()
}

/// Asks again for every waiting request that `ready` names.
fn resume(plugin: &Plugin, now: Duration, ready: impl Fn(&Waiting) -> bool) {
    let waiting = match plugin.state.try_borrow_mut() {
        Ok(mut state) => state.parked.take(ready),
        Err(_) => return,
    };
    for (id, mut waiting) in waiting {
        waiting.answers.waited.push(waiting.source);
        // A stream that is gone needs no answer.
        if abi::set_effective_context(id).is_ok() {
            conclude(plugin, id, waiting.facts, waiting.answers, now);
        }
    }
}
