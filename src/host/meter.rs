//! Counters and gauges of the host: each is defined once in a VM's life, and known by its number.
//!
//! This is the one state that all configurations of a VM share: a host that is told to define a
//! metric again keeps both, so a name must be defined only once, however often policies change.
//! What is counted stays here until the next tick, so that no request pays for a call to the host.

use super::abi;
use crate::meter::{ALLOWED, Family, Metric, OTHER, configuration_gauges};
use hashbrown::HashMap;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

/// What is counted, and when that was told last.
#[derive(Default)]
struct Meter {
    /// Where the series stand that are about a name; those about none are under the empty name.
    names: HashMap<Box<str>, usize>,
    series: Vec<Vec<Series>>,
    /// Requests that rules have allowed and that are in no series yet. By the address of the name of
    /// the rule, which stays where it is since it is kept here: that is found without its text.
    allowed: HashMap<*const u8, (Rc<str>, u64)>,
    /// As time since the Unix epoch, in whole seconds from the first time.
    told: Option<Duration>,
}

/// One counter or gauge.
struct Series {
    family: Family,
    word: &'static str,
    /// By which the host knows it; nothing if it does not want to.
    number: Option<u32>,
    /// Counted, and not told yet.
    untold: i64,
}

/// So many names are told apart in a VM's life; what is about further ones counts together, and is
/// not measured.
const MAX_NAMES: usize = 500;

thread_local! {
    static METER: RefCell<Meter> = RefCell::default();
}

/// Of which configuration of a plugin the gauges and the log have told last in a VM.
#[derive(Default)]
pub struct Told {
    digest: Cell<u64>,
    at: Cell<Duration>,
}

/// A configuration that is put in force again is told of at most so often.
const QUIET: Duration = Duration::from_secs(1);

/// Counts one.
pub fn count(metric: Metric<'_>) {
    add(metric, 1);
}

/// Counts a request that goes on.
pub fn allowed(by: Option<&Rc<str>>) {
    match by {
        None => count(Metric::decision(None, ALLOWED)),
        Some(rule) => with(|meter| {
            let known = meter.allowed.entry(Rc::as_ptr(rule).cast());
            let (_, times) = known.or_insert_with(|| (Rc::clone(rule), 0));
            *times = times.saturating_add(1);
            Some(())
        }),
    }
}

/// Counts several.
pub fn add(metric: Metric<'_>, several: u64) {
    with(|meter| meter.add(&metric, several));
}

/// Counts requests that begin to wait, or that wait no more. An operator sees that at once.
pub fn parked(by: i64) {
    with(|meter| {
        let parked = Metric::fixed(Family::ParkedRequests, "");
        let number = meter.series(&parked, abi::define_gauge)?.number?;
        abi::increment_metric(number, by);
        Some(())
    });
}

/// Sets a gauge; not one of a name too many, since one value would not fit the others.
pub fn gauge(metric: Metric<'_>, value: u64) {
    with(|meter| {
        if meter.is_beyond(metric.of.unwrap_or_default()) {
            return None;
        }
        let number = meter.series(&metric, abi::define_gauge)?.number?;
        abi::set_gauge(number, value);
        Some(())
    });
}

/// Tells the host what was counted since it was told last, and that the module is alive.
pub fn tell(now: Duration) {
    with(|meter| {
        // Anew where the clock was set back.
        let since = meter.told.filter(|since| *since <= now).unwrap_or(now);
        let seconds = now.saturating_sub(since).as_secs();
        meter.told = Some(since.saturating_add(Duration::from_secs(seconds)));
        meter.add(&Metric::fixed(Family::AliveSeconds, ""), seconds);
        for (rule, times) in std::mem::take(&mut meter.allowed).into_values() {
            meter.add(&Metric::decision(Some(&rule), ALLOWED), times);
        }
        for series in meter.series.iter_mut().flatten() {
            let untold = std::mem::take(&mut series.untold);
            if let (Some(number), 1..) = (series.number, untold) {
                abi::increment_metric(number, untold);
            }
        }
        Some(())
    });
}

fn with(use_it: impl FnOnce(&mut Meter) -> Option<()>) {
    METER.with(|meter| use_it(&mut *meter.try_borrow_mut().ok()?));
}

// === impl Told ===

impl Told {
    /// Tells of the configuration that the plugin of this name has got.
    pub fn tell(&self, plugin: &[u8], digest: u64, now: Duration) {
        self.digest.set(digest);
        self.at.set(now);
        let plugin = String::from_utf8_lossy(plugin);
        for (metric, value) in configuration_gauges(&plugin, digest, now) {
            gauge(metric, value);
        }
    }

    /// The same for one that decides about a request. A host that still has it, when it comes back
    /// soon after another one, does not say so.
    pub fn decides(&self, plugin: &[u8], digest: u64) {
        if self.digest.get() == digest {
            return;
        }
        let now = abi::now();
        if now.abs_diff(self.at.get()) >= QUIET {
            log::info!("configuration {digest:012x} in force again");
            self.tell(plugin, digest, now);
        }
    }
}

// === impl Meter ===

impl Meter {
    fn add(&mut self, metric: &Metric<'_>, several: u64) -> Option<()> {
        let series = self.series(metric, abi::define_counter)?;
        let several = i64::try_from(several).unwrap_or_default();
        series.untold = series.untold.saturating_add(several);
        Some(())
    }

    /// The series of a metric, which is defined when it is met first.
    fn series(
        &mut self,
        metric: &Metric<'_>,
        define: fn(&str) -> Option<u32>,
    ) -> Option<&mut Series> {
        let name = metric.of.unwrap_or_default();
        let (at, of) = match self.names.get(name) {
            Some(at) => (*at, metric.of),
            None if self.is_beyond(name) => (self.place_of_others(), Some(OTHER)),
            None => (self.admit(name), metric.of),
        };
        let alike = self.series.get_mut(at)?;
        let same = |it: &Series| it.family == metric.family && it.word == metric.word;
        let at = alike.iter().position(same).unwrap_or_else(|| {
            let metric = Metric { of, ..*metric };
            alike.push(Series {
                family: metric.family,
                word: metric.word,
                number: define(&metric.name()),
                untold: 0,
            });
            alike.len().saturating_sub(1)
        });
        alike.get_mut(at)
    }

    /// Whether a name is one too many.
    fn is_beyond(&self, name: &str) -> bool {
        self.names.len() >= MAX_NAMES && !name.is_empty() && !self.names.contains_key(name)
    }

    fn admit(&mut self, name: &str) -> usize {
        let at = self.series.len();
        self.names.insert(name.into(), at);
        self.series.push(Vec::new());
        at
    }

    fn place_of_others(&mut self) -> usize {
        let known = self.names.get(OTHER).copied();
        known.unwrap_or_else(|| self.admit(OTHER))
    }
}
