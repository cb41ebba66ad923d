//! What a soak has seen, as tables in Markdown.
//!
//! Whether that is as it must be, is told by `verdict.rs`.

use crate::{
    crowd::Tally,
    events::{Rotations, Troubles, Updates},
    memory::{LastHalf, Sample},
    verdict::{ACTIVE, FILL, OURS, Seen},
};

/// The tables.
pub fn tables(seen: &Seen) -> String {
    let parts = [
        answers(&seen.tally),
        totals(seen),
        troubles(&seen.troubles),
        memory(seen),
        counters(seen),
    ];
    let parts = parts.iter().map(|lines| lines.join("\n") + "\n");
    parts.collect::<Vec<_>>().join("\n")
}

fn answers(tally: &Tally) -> Vec<String> {
    let mut lines = table("asked | answers | of these | could have been another | slowest");
    lines.extend(tally.slowest.iter().map(|(kind, slowest)| {
        let of_kind = tally.answers.iter().filter(|((it, _), _)| it == kind);
        let each = of_kind.map(|((_, answer), count)| format!("{answer:?} {count}"));
        let each = each.collect::<Vec<_>>().join(", ");
        let (all, ambiguous) = (tally.of_kind(*kind), tally.ambiguous.get(kind));
        let ambiguous = ambiguous.unwrap_or(&0);
        format!("| {kind:?} | {all} | {each} | {ambiguous} | {slowest:.0?} |")
    }));
    lines
}

fn totals(seen: &Seen) -> Vec<String> {
    let tally = &seen.tally;
    let Updates {
        accepted,
        rejected,
        slowest,
        ..
    } = &seen.updates;
    let Rotations { published, dropped } = &seen.rotations;
    vec![
        format!(
            "{} answers in {} s ({:.0} a second) by {} connections, {} of them wrong.",
            tally.total() + tally.wrong,
            seen.seconds,
            tally.total() as f64 / f64::from(seen.seconds),
            tally.connections,
            tally.wrong,
        ),
        format!(
            "Of {} ({:.3} %) another one would have been right, too.",
            seen.ambiguous(),
            seen.ambiguous_part() * 100.0,
        ),
        format!(
            "{accepted} updates accepted, {rejected} faulty ones rejected, the slowest in {slowest:.0?}."
        ),
        format!(
            "{published} times new keys of both issuers; {dropped} times the old ones were dropped."
        ),
    ]
}

fn troubles(all: &[(&str, Troubles)]) -> Vec<String> {
    let mut lines = table("trouble | of whom | times | questions of the gateway that failed");
    for (whom, troubles) in all {
        lines.extend(troubles.iter().map(|(name, failed)| {
            let each: Vec<_> = failed.iter().map(i64::to_string).collect();
            let each = each.join(", ");
            format!("| {name} | {whom} | {} | {each} |", failed.len())
        }));
    }
    lines
}

fn memory(seen: &Seen) -> Vec<String> {
    let samples = &seen.memory;
    let mut lines = table("after | resident, MiB | given out by Envoy's allocator, MiB");
    let tenths = (1..=10).map(|tenth| (samples.len() * tenth).div_ceil(10));
    let tenths = tenths.filter_map(|end| samples.get(end.checked_sub(1)?));
    lines.extend(tenths.map(|sample| {
        let Sample {
            at,
            resident,
            allocated,
        } = sample;
        format!("| {at:.0?} | {resident:.1} | {allocated:.1} |")
    }));
    let last = LastHalf::of(samples);
    lines.push(format!(
        "\nThe last half: {:.1} MiB in the third quarter, {:.1} MiB in the last ({:+.1} %), medians; \
         at most {:.1} MiB ({:+.1} %).",
        last.third,
        last.fourth,
        last.growth() * 100.0,
        last.peak,
        last.excess() * 100.0,
    ));
    if !seen.caches_are_full() {
        lines.push(format!(
            "That is not judged: below {FILL} answers, caches are still filling in the last half."
        ));
    }
    lines
}

fn counters(seen: &Seen) -> Vec<String> {
    let mut lines = table("counter | value");
    let counters = seen.after.iter().filter(|(name, _)| {
        let ours = name.starts_with(OURS) && name.ends_with("_total");
        ours || name.starts_with("wasm.portcullis.") || *name == ACTIVE
    });
    lines.extend(counters.map(|(name, value)| format!("| {name} | {value} |")));
    lines
}

/// The first two lines of a table.
fn table(names: &str) -> Vec<String> {
    let line = names.split('|').map(|_| "---").collect::<Vec<_>>();
    vec![format!("| {names} |"), format!("|{}|", line.join("|"))]
}
