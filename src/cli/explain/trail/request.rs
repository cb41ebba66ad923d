//! The first steps: the request as it is read, its connection, and what its authority is to the
//! configuration; and the last one, what becomes of an authority that nothing names.

use super::{Entry, Outcome, Step, Walk};
use crate::cli::explain::secrets::{shown, shown_target};
use crate::cli::explain::why::Why;
use crate::config::DefaultAction;
use crate::request::{Headers, Reading};

/// More readings than this are counted, not listed.
const MAX_READINGS: usize = 8;

/// The one step of a request that cannot be read.
pub(in crate::cli::explain) fn unread(headers: &Headers) -> Step {
    let pseudo = [
        (":method", "method"),
        (":authority", "authority"),
        (":path", "path"),
    ];
    let entries = pseudo.map(|(name, subject)| {
        let values: Vec<_> = headers.all(name).collect();
        let told = match values.as_slice() {
            [] => "none".to_owned(),
            values => {
                let shown = |value: &&[u8]| match name {
                    ":path" => shown_target(value),
                    _ => shown(value),
                };
                values.iter().map(shown).collect::<Vec<_>>().join(", ")
            }
        };
        Entry::new(subject, Outcome::Fact).note(told)
    });
    Step::new("request", entries.into())
}

/// Method and path of a reading.
pub(super) fn of_reading(reading: &Reading<'_>) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    shown(format!("{} {}", text(&reading.method), text(&reading.path)).as_bytes())
}

// === impl Walk ===

impl Walk<'_> {
    pub(super) fn request_step(&self) -> Step {
        let request = self.request;
        let mut entries = vec![
            Entry::new("method", Outcome::Fact).note(shown(request.method)),
            Entry::new("authority", Outcome::Fact).note(match request.authority {
                sent if sent == request.authority_name.as_bytes() => shown(sent),
                sent => format!(
                    "{}, read as {}",
                    shown(sent),
                    shown(request.authority_name.as_bytes())
                ),
            }),
            Entry::new("path", Outcome::Fact).note(match request.changed_path() {
                None => shown_target(&request.path),
                Some(path) => format!(
                    "{}, as `mesh.pathNormalization` makes it",
                    shown_target(path)
                ),
            }),
        ];
        match self.readings.as_slice() {
            [] => entries.push(
                Entry::new("reading", Outcome::Fails)
                    .note("there is none that servers would agree on"),
            ),
            [_] => {}
            readings => {
                let listed = readings.iter().take(MAX_READINGS).map(of_reading);
                let mut note = format!(
                    "servers may read it as {}",
                    listed.collect::<Vec<_>>().join(" or ")
                );
                if readings.len() > MAX_READINGS {
                    note.push_str(&format!(", and in {} ways in all", readings.len()));
                }
                note.push_str("; each must be allowed");
                entries.push(Entry::new("readings", Outcome::Fact).note(note));
            }
        }
        let taken: Vec<_> = request.headers.taken().map(shown).collect();
        if !taken.is_empty() {
            let note = format!(
                "{}: the gateway alone tells of client certificates",
                taken.join(", ")
            );
            entries.push(Entry::new("headers taken out", Outcome::Fact).note(note));
        }
        Step::new("request", entries)
    }

    /// Whether plain HTTP, or the server name of the connection, will do.
    pub(super) fn connection_step(&self) -> Option<Step> {
        let (request, connection) = (self.request, self.request.connection);
        let mut entries = Vec::new();
        let within = self.sites.iter().find_map(|site| site.https_only.as_ref());
        if let Some(within) = within.filter(|_| request.scheme.eq_ignore_ascii_case(b"http")) {
            let readings = self.request.readings(self.policy.path_matching);
            let exempts = |reading: &Reading<'_>| !within.covers(reading.read_path());
            let outcome = match readings.is_ok_and(|it| it.iter().all(exempts)) {
                true => Outcome::Fulfilled,
                false => Outcome::Fails,
            };
            let paths = within.except.iter().map(ToString::to_string);
            let paths: Vec<_> = paths.collect();
            let mut why = vec![Why::new(
                "scheme",
                vec!["https".to_owned()],
                shown(request.scheme),
            )];
            if !paths.is_empty() {
                why.push(Why::new("exceptPaths", paths, shown_target(&request.path)));
            }
            entries.push(Entry::new("mesh.httpsRedirect", outcome).why(why));
        }
        let judged = self.sites.iter().any(|site| site.judges_peer);
        let demanded = self.policy.client_certificate.require_sni_match && judged;
        if demanded && connection.peer.is_some() {
            let sni = connection.sni.strip_suffix(b".").unwrap_or(&connection.sni);
            let name = request.authority_name.as_bytes();
            let outcome = match sni.eq_ignore_ascii_case(name) {
                true => Outcome::Fulfilled,
                false => Outcome::Fails,
            };
            let saw = match sni {
                [] => "no server name".to_owned(),
                sni => shown(sni),
            };
            let demands = vec![request.authority_name.clone().into_owned()];
            entries.push(
                Entry::new("clientCertificate.requireSniMatch", outcome)
                    .note("a client certificate decides here")
                    .why(vec![Why::new("connection.sni", demands, saw)]),
            );
        }
        (!entries.is_empty()).then(|| Step::new("connection", entries))
    }

    /// What the configuration has for the authority.
    pub(super) fn authority_step(&self) -> Option<Step> {
        let named = self.sites.iter().any(|site| site.named);
        let mut found = Vec::new();
        if let Some(api) = self.api {
            found.push(format!("`{}`", api.id));
        }
        let tokens: usize = self.sites.iter().map(|site| site.jwt_rules.len()).sum();
        let policies = self.sites.iter().map(|site| &site.enforced);
        let policies: usize = policies
            .map(|it| {
                let sets = [&it.custom, &it.audit, &it.deny, &it.allow];
                sets.map(|rules| rules.iter().count()).iter().sum::<usize>()
            })
            .sum();
        for (count, what) in [(tokens, "JWT rule"), (policies, "rule of policies")] {
            match count {
                0 => {}
                1 => found.push(format!("1 {what}")),
                count => found.push(format!("{count} {}", what.replacen("rule", "rules", 1))),
            }
        }
        let entry = Entry::new(self.request.authority_name.as_ref(), Outcome::Fact);
        let found = match found.is_empty() {
            true => "nothing".to_owned(),
            false => found.join(", "),
        };
        let note = match named {
            true => format!("named by the configuration; attached: {found}"),
            false => format!("not named by the configuration; attached: {found}"),
        };
        Some(Step::new("authority", vec![entry.note(note)]))
    }

    /// What becomes of an authority that nothing names.
    pub(super) fn default_action_step(&self) -> Option<Step> {
        if self.sites.iter().any(|site| site.named) {
            return None;
        }
        let (action, outcome) = match self.policy.default_action {
            DefaultAction::Allow => ("ALLOW", Outcome::Fulfilled),
            DefaultAction::Deny => ("DENY", Outcome::Refused),
        };
        let note = format!("`{action}`, for an authority that nothing names");
        let entry = Entry::new("defaultAction", outcome).note(note);
        Some(Step::new("authority that nothing names", vec![entry]))
    }
}
