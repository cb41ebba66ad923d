//! The memory of Envoy over time, and whether it is flat in the last half.
//!
//! What a worker of Envoy holds is not told apart from the others': they are threads of one process,
//! and so it is that of all of them which has to be flat.

use std::{thread, time::Duration, time::Instant};

use crate::{events::Clock, harness::Envoy};

/// What Envoy held at some time, in MiB.
#[derive(Clone, Copy)]
pub struct Sample {
    /// Since the begin.
    pub at: Duration,
    /// The whole process: Envoy, its buffers, V8 and the module in it.
    pub resident: f64,
    /// What Envoy's allocator has given out: without V8 and the module.
    pub allocated: f64,
}

/// How memory went in the last half.
#[derive(Clone, Copy)]
pub struct LastHalf {
    /// The medians of the third quarter and of the last.
    pub third: f64,
    pub fourth: f64,
    pub peak: f64,
}

const EVERY: Duration = Duration::from_secs(2);
const MIB: f64 = 1024.0 * 1024.0;
/// As parts of the median of the third quarter.
const MOST_GROWTH: f64 = 0.05;
const MOST_PEAK: f64 = 0.05;

/// Samples until the end.
pub fn watch(clock: Clock, envoy: &Envoy) -> Vec<Sample> {
    let mut samples = Vec::new();
    while Instant::now() < clock.until {
        let stats = envoy.stats();
        let allocated = stats.get("server.memory_allocated").copied();
        samples.extend(envoy.resident_kib().map(|kib| Sample {
            at: clock.begun.elapsed(),
            resident: kib as f64 / 1024.0,
            allocated: allocated.unwrap_or(0) as f64 / MIB,
        }));
        thread::sleep(EVERY);
    }
    samples
}

// === impl LastHalf ===

impl LastHalf {
    /// Of samples at even distances, of which there are some in each quarter.
    pub fn of(samples: &[Sample]) -> Self {
        let resident: Vec<_> = samples.iter().map(|sample| sample.resident).collect();
        let half = &resident[resident.len() / 2..];
        let (third, fourth) = half.split_at(half.len() / 2);
        LastHalf {
            third: median(third),
            fourth: median(fourth),
            peak: half.iter().copied().fold(f64::NAN, f64::max),
        }
    }

    pub fn growth(&self) -> f64 {
        self.fourth / self.third - 1.0
    }

    pub fn excess(&self) -> f64 {
        self.peak / self.third - 1.0
    }

    /// What is not flat about it.
    pub fn faults(&self) -> Vec<String> {
        let LastHalf {
            third,
            fourth,
            peak,
        } = self;
        // Written so that what is not a number is a fault, too.
        let flat = self.growth() <= MOST_GROWTH;
        let even = self.excess() <= MOST_PEAK;
        let grows = format!(
            "memory grows: {third:.1} MiB in the third quarter, {fourth:.1} MiB in the last"
        );
        let peaks =
            format!("memory has a peak in the last half: {peak:.1} MiB above {third:.1} MiB");
        let faults = [(flat, grows), (even, peaks)].into_iter();
        faults.filter(|(good, _)| !good).map(|it| it.1).collect()
    }
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
