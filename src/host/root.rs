//! A configuration in force on one worker: its policy, its keys, its caches, the requests that wait.
//!
//! `on_configure` is one pure pass and fails only for a faulty configuration, the same on every
//! thread: Envoy then keeps the last good one. A failure on a worker alone would leave its gate
//! open, so nothing else may make it fail. Keys are fetched from the tick, each worker for itself.

use super::abi::{self, Buffer, Map};
use super::calls::{self, Calls};
use super::connection::Certificates;
use super::fetches;
use super::http::conclude;
use super::meter::{self, Told};
use super::parked::{Awaited, Parked, Waiting};
use super::signature::HostVerifier;
use crate::cache::Caches;
use crate::call::Answer;
use crate::config::{self, Config};
use crate::keys::{self, Fetch, FetchFailure, Health, KeySource, Keys, Reply, SourceId};
use crate::meter::{configuration_digest, key_gauges, take_lookups};
use crate::policy::Policy;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// The root context that the host makes for each configuration.
pub struct Root {
    id: u32,
    plugin: RefCell<Option<Rc<Plugin>>>,
    /// By the host's token for the call.
    fetching: RefCell<Vec<(u32, Fetch)>>,
}

/// What every stream of a configuration shares on one worker.
pub struct Plugin {
    /// The context that calls belong to.
    pub root: u32,
    /// What the host calls the plugin whose configuration this is.
    name: Vec<u8>,
    digest: u64,
    /// Shared by all configurations of the plugin.
    told: Rc<Told>,
    pub policy: Policy,
    pub state: RefCell<State>,
}

/// The part of it that changes.
pub struct State {
    pub keys: Keys,
    pub caches: Caches,
    pub parked: Parked,
    pub calls: Calls,
    pub certificates: Certificates,
    /// The trouble that was warned of last, and until when it is not again.
    pub told: Option<(String, Duration)>,
}

const TICK: Duration = Duration::from_secs(1);
/// A tick that was asked for: the least that the host can count.
pub const SOON: Duration = Duration::from_millis(1);

// === impl Root ===

impl Root {
    pub fn new(id: u32) -> Self {
        Self {
            id,
            plugin: RefCell::default(),
            fetching: RefCell::default(),
        }
    }

    pub fn id(&self) -> u32 {
        self.id
    }

    /// What decides now; nothing before the first configuration, or after a faulty one.
    pub fn plugin(&self) -> Option<Rc<Plugin>> {
        self.plugin.try_borrow().ok()?.clone()
    }

    /// Puts a configuration in force, or none; the one before.
    fn put(&self, plugin: Option<Rc<Plugin>>) -> Option<Rc<Plugin>> {
        let mut current = self.plugin.try_borrow_mut().ok()?;
        std::mem::replace(&mut *current, plugin)
    }

    fn fetch_keys(&self, plugin: &Plugin, now: Duration) {
        let due = plugin
            .state
            .try_borrow_mut()
            .map(|mut state| state.keys.due(now));
        for fetch in due.unwrap_or_default() {
            // Whoever was resumed by an earlier one would be the effective context, and its client
            // could take the call along.
            let own = abi::set_effective_context(self.id).ok();
            match own.and_then(|()| fetches::dispatch(&fetch)) {
                Some(token) => {
                    if let Ok(mut fetching) = self.fetching.try_borrow_mut() {
                        fetching.push((token, fetch));
                    }
                }
                None => fetches::fetched(plugin, &fetch, Err(FetchFailure::NotSent), now),
            }
        }
    }

    /// A reply has come to a fetch or to a call.
    pub fn on_http_call_response(&self, token: u32, headers: usize, body_size: usize) {
        let Some(plugin) = self.plugin() else {
            return;
        };
        let headers = (headers > 0)
            .then(|| abi::headers(Map::HttpCallResponse))
            .flatten();
        let Some(fetch) = self.fetch(token) else {
            return calls::replied(&plugin, token, headers, body_size);
        };
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
        fetches::fetched(&plugin, &fetch, result, abi::now());
    }

    fn fetch(&self, token: u32) -> Option<Fetch> {
        let mut fetching = self.fetching.try_borrow_mut().ok()?;
        let at = fetching.iter().position(|(it, _)| *it == token)?;
        Some(fetching.swap_remove(at).1)
    }

    /// Takes a configuration; `false` if it is faulty. Those that decide on this worker so far come
    /// with it, the latest first: what they know of keys and tokens that are still good stays known,
    /// if they are of the same plugin. Several plugins of one module run in the same VM.
    pub fn on_configure(&self, size: usize, before: &[Rc<Plugin>]) -> bool {
        let started = abi::now();
        let most = size.min(config::MAX_BYTES.saturating_add(1));
        let text = abi::buffer(Buffer::PluginConfiguration, most);
        let resolved = |mut config: Config| {
            config.resolve_secrets(|name| std::env::var(name).ok())?;
            Ok(config)
        };
        let config = match Config::read(&text).and_then(resolved) {
            Ok(config) => config,
            Err(faults) => {
                log::error!("the configuration is refused; {} faults:", faults.len());
                faults.iter().for_each(|fault| log::error!("{fault}"));
                return false;
            }
        };
        let warnings = config.warnings.iter();
        warnings.for_each(|warning| log::warn!("{warning}"));
        let policy = Policy::compile(config);
        let verifier = HostVerifier::probed();
        let native: Vec<_> = verifier.native().iter().map(|it| it.name()).collect();
        let now = abi::now();
        let digest = configuration_digest(&text);
        log::info!(
            "portcullis {}: configuration {digest:012x} of {} bytes in force after {} ms; signatures \
             verified by the host: {}",
            env!("CARGO_PKG_VERSION"),
            text.len(),
            now.saturating_sub(started).as_millis(),
            native.join(", "),
        );
        // Envoy makes a new root for a new configuration; a host that does not must leave nobody
        // waiting for keys that no longer come.
        if let Some(before) = self.put(None) {
            resume(&before, now, None, |_| true);
        }
        let seed = u64::from(now.subsec_nanos()).wrapping_mul(u64::from(self.id).wrapping_add(1));
        let name = abi::property(&["plugin_name"]);
        let before = before.iter().filter(|it| it.name == name);
        let told = before.clone().next().map(|it| Rc::clone(&it.told));
        let told = told.unwrap_or_default();
        told.tell(&name, digest, now);
        let known = before.filter_map(|it| Some((&it.policy, it.state.try_borrow().ok()?)));
        let known: Vec<_> = known.collect();
        let keys = Keys::new(
            &policy.key_sources,
            &policy.limits,
            Box::new(verifier),
            seed,
            &known
                .iter()
                .map(|(_, state)| &state.keys)
                .collect::<Vec<_>>(),
        );
        let caches = known.iter();
        let caches =
            caches.map(|(policy, state)| (&state.caches, &*policy.introspection_providers));
        let caches = Caches::new(
            &policy.limits,
            &policy.introspection_providers,
            &caches.collect::<Vec<_>>(),
        );
        drop(known);
        for (SourceId(source), skipped) in keys.unserved() {
            log::warn!("`jwks` of key source {source}: {skipped}");
        }
        let state = State {
            keys,
            caches,
            parked: Parked::new(&policy.limits),
            calls: Calls::new(&policy.limits),
            certificates: Certificates::new(),
            told: None,
        };
        self.put(Some(Rc::new(Plugin {
            root: self.id,
            name,
            digest,
            told,
            policy,
            state: RefCell::new(state),
        })));
        if let Ok(mut fetching) = self.fetching.try_borrow_mut() {
            fetching.clear();
        }
        super::log::follow_host();
        // Keys are fetched right after this, not here: this pass asks nobody.
        abi::set_tick_period(SOON);
        true
    }

    /// A second has passed, or somebody asked to be called soon.
    pub fn on_tick(&self) {
        abi::set_tick_period(TICK);
        let now = abi::now();
        meter::tell(now);
        let Some(plugin) = self.plugin() else {
            return;
        };
        super::log::follow_host();
        if let Ok(mut state) = plugin.state.try_borrow_mut() {
            state.parked.forget_gone(self.id, now);
            take_lookups(&plugin.policy, &mut state.caches)
                .for_each(|(counter, several)| meter::add(counter, several));
        }
        self.fetch_keys(&plugin, now);
        fetches::tell_health(&plugin, now);
        overdue(&plugin, now);
    }
}

// === impl Plugin ===

impl Drop for Plugin {
    /// What was measured of its keys is nobody's any more; who goes on with them tells it anew.
    fn drop(&mut self) {
        let sources = self.policy.key_sources.iter();
        for (source, rule) in sources.zip(&self.policy.key_source_names) {
            if matches!(source, KeySource::Inline(_)) {
                continue;
            }
            let gauges = key_gauges(rule, &Health::default());
            for (gauge, value) in gauges {
                meter::gauge(gauge, value);
            }
        }
    }
}

impl Plugin {
    /// A request comes that it decides about.
    pub fn decides(&self) {
        self.told.decides(&self.name, self.digest);
    }
}

/// A status; 0 for what is none.
pub fn status(text: &[u8]) -> u16 {
    let text = std::str::from_utf8(text).unwrap_or_default();
    text.parse().unwrap_or_default()
}

/// Ends the waiting of those that have waited too long.
fn overdue(plugin: &Plugin, now: Duration) {
    let is_due = |waiting: &Waiting| waiting.deadline <= now;
    let calls: Vec<u64> = match plugin.state.try_borrow() {
        Ok(state) => state.parked.calls(is_due).collect(),
        Err(_) => return,
    };
    // The host ends a call in time; should it not, that is no answer.
    calls
        .into_iter()
        .for_each(|call| calls::end(plugin, call, None, now));
    resume(plugin, now, None, is_due);
}

/// Asks again for every waiting request that `ready` names, with the answer that there is now.
pub fn resume(
    plugin: &Plugin,
    now: Duration,
    answer: Option<&Answer>,
    ready: impl Fn(&Waiting) -> bool,
) {
    let waiting = match plugin.state.try_borrow_mut() {
        Ok(mut state) => state.parked.take(ready),
        Err(_) => return,
    };
    for (id, mut waiting) in waiting {
        match waiting.on {
            Awaited::Keys(source) => waiting.answers.waited.push(source),
            Awaited::Call(_) => waiting.answers.given.extend(answer.cloned()),
        }
        // A stream that is gone needs no answer.
        if abi::set_effective_context(id).is_ok() {
            conclude(plugin, id, waiting.facts, waiting.answers, now);
        }
    }
}
