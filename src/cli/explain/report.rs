//! What is printed: the verdict, what was supposed, the trail, and what to do; as text or as JSON.
//!
//! Every text goes through [`Secrets::masked`] before it is printed.

mod json;

use super::advice::{Advice, advice};
use super::secrets::{Secrets, shown_target};
use super::trail::{Entry, Outcome, Step};
use crate::call::{Call, Question};
use crate::cli::Exit;
use crate::cli::request::RequestSpec;
use crate::policy::Policy;
use crate::reply::Reply;
use crate::request::Request;
use crate::verdict::{Allow, Change, Decision, Note, Refusal, Verdict};
use anstyle::{AnsiColor, Style};

/// All that is said of a request.
pub(super) struct Report {
    /// Method and URL.
    asked: String,
    pub verdict: Verdicts,
    pub steps: Vec<Step>,
    /// What policies that do not decide say.
    pub notes: Vec<String>,
    pub secrets: Secrets,
    supposed: Vec<String>,
}

/// What became of it.
pub(super) enum Verdicts {
    Allowed(Allow),
    /// A CORS preflight, answered with this status.
    Preflight(u16),
    Refused(Box<Refused>),
    Undecided(Undecided),
}

/// A refusal, and the answer to the caller.
pub(super) struct Refused {
    pub refusal: Refusal,
    reply: Reply,
}

/// Somebody would be asked, and the options do not say what is answered.
pub(super) struct Undecided {
    /// Whether an authorization server is asked about the token.
    pub is_about_a_token: bool,
    /// Who is asked, and by which cluster.
    pub whom: String,
    /// Method and path of the question.
    what: String,
    /// What to give.
    give: String,
}

/// More entries of a step than this are counted, not listed, unless they decide.
const MAX_ENTRIES: usize = 40;

/// A body of more characters is cut.
const MAX_BODY: usize = 300;

// === impl Verdicts ===

impl Verdicts {
    pub(super) fn of(decision: Decision, request: &Request<'_>, notes: &mut Vec<String>) -> Self {
        notes.extend(decision.notes.iter().map(|note| match note {
            Note::Audited(rule) => format!("audit: `{rule}` matches"),
            other => other.to_string(),
        }));
        match decision.verdict {
            Verdict::Allow(allow) => Self::Allowed(allow),
            Verdict::Refuse(refusal) => Self::of_refusal(&refusal, Some(request)),
            Verdict::Preflight(response) => Self::Preflight(response.status),
        }
    }

    pub(super) fn of_refusal(refusal: &Refusal, request: Option<&Request<'_>>) -> Self {
        Self::Refused(Box::new(Refused {
            refusal: refusal.clone(),
            reply: Reply::to(refusal, request),
        }))
    }

    fn style(&self) -> Style {
        let color = match self {
            Self::Allowed(_) | Self::Preflight(_) => AnsiColor::Green,
            Self::Refused(_) => AnsiColor::Red,
            Self::Undecided(_) => AnsiColor::Yellow,
        };
        color.on_default().bold()
    }
}

// === impl Undecided ===

impl Undecided {
    pub(super) fn of(policy: &Policy, call: &Call) -> Self {
        let sent = |name: &str| {
            let mut headers = call.http.headers.iter();
            let value = headers.find(|(known, _)| &**known == name);
            value.map(|(_, value)| value.as_slice()).unwrap_or_default()
        };
        let method = String::from_utf8_lossy(sent(":method")).into_owned();
        let what = format!("`{method}` {}", shown_target(sent(":path")));
        match call.question {
            Question::Introspection { provider, .. } => {
                let provider = policy.introspection_providers.get(provider);
                let name = provider.map(ToString::to_string).unwrap_or_default();
                Self {
                    is_about_a_token: true,
                    whom: format!("introspection provider {name}"),
                    what,
                    give: "say what it answers: `--introspection '{\"active\": true, \"scope\": \
                           \"read\"}'`, `--introspection '{\"active\": false}'`, a status such as \
                           `--introspection 401`, or `--introspection unreachable`"
                        .to_owned(),
                }
            }
            Question::Authorizer(index) => {
                let authorizer = policy.authorizers.get(index);
                let name = authorizer
                    .map(|it| it.name().to_owned())
                    .unwrap_or_default();
                let whom = authorizer.map(ToString::to_string).unwrap_or_default();
                Self {
                    is_about_a_token: false,
                    whom: format!("external authorizer {whom}"),
                    what,
                    give: format!(
                        "say what it answers: `--authorizer {name}=200`, `--authorizer \
                         {name}=403`, or `--authorizer {name}=unreachable`"
                    ),
                }
            }
        }
    }
}

// === impl Report ===

impl Report {
    pub(super) fn new(spec: &RequestSpec, secrets: Secrets) -> Self {
        let (scheme, rest) = spec.url.split_once("://").unwrap_or_default();
        let end = rest.find('/').unwrap_or(rest.len());
        let (authority, target) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let target = shown_target(target.as_bytes());
        let target = target.trim_matches('`');
        Self {
            asked: format!("{} {scheme}://{authority}{target}", spec.method),
            verdict: Verdicts::Preflight(0),
            steps: Vec::new(),
            notes: Vec::new(),
            secrets,
            supposed: Vec::new(),
        }
    }

    /// Notes what was supposed, each once.
    pub(super) fn suppose<'s>(&mut self, supposed: impl Iterator<Item = &'s String>) {
        for text in supposed {
            if !self.supposed.contains(text) {
                self.supposed.push(text.clone());
            }
        }
    }

    pub(super) fn exit(&self) -> Exit {
        match self.verdict {
            Verdicts::Allowed(_) | Verdicts::Preflight(_) => Exit::Ok,
            Verdicts::Refused(_) => Exit::Refused,
            Verdicts::Undecided(_) => Exit::CouldNotRun,
        }
    }

    /// Prints it as text, with colours where it is read by a human.
    pub(super) fn print(&self) {
        anstream::print!("{}", self.masked_text());
    }

    /// Prints it for machines.
    pub(super) fn print_json(&self) {
        println!("{:#}", self.masked_json());
    }

    pub(super) fn masked_text(&self) -> String {
        self.secrets.masked(&self.text())
    }

    /// The text, with colours.
    fn text(&self) -> String {
        let mut lines = vec![self.headline(), String::new(), self.asked.clone()];
        lines.extend(self.supposed.iter().map(|it| format!("  note: {it}")));
        for step in &self.steps {
            lines.push(String::new());
            lines.push(painted(&step.step, Style::new().bold()));
            lines.extend(step_lines(step));
        }
        let changes = self.changes();
        if !changes.is_empty() {
            lines.push(String::new());
            lines.push(painted(
                "what changes for the upstream",
                Style::new().bold(),
            ));
            lines.extend(changes.iter().map(|it| format!("  {it}")));
        }
        if !self.notes.is_empty() {
            lines.push(String::new());
            lines.push(painted("what does not decide", Style::new().bold()));
            lines.extend(self.notes.iter().map(|it| format!("  {it}")));
        }
        lines.extend(self.ending());
        lines.push(String::new());
        lines.join("\n")
    }

    fn headline(&self) -> String {
        let style = self.verdict.style();
        match &self.verdict {
            Verdicts::Allowed(allow) => {
                let by = match &allow.rule {
                    Some(rule) => format!("by `{rule}`"),
                    None => "since no rule refuses it and none has to allow it".to_owned(),
                };
                format!("{} {by}", painted("allowed", style))
            }
            Verdicts::Preflight(status) => {
                let text = "a CORS preflight, which the gateway itself answers";
                format!("{} {text} with {status}", painted("allowed:", style))
            }
            Verdicts::Refused(refused) => {
                let Refusal { reason, rule, .. } = &refused.refusal;
                let status = refused.reply.status;
                let by = rule.as_ref().map(|rule| format!(" by `{rule}`"));
                let refused = painted(&format!("refused: {status} {reason}"), style);
                format!("{refused}{}", by.unwrap_or_default())
            }
            Verdicts::Undecided(undecided) => {
                let undecided = format!(": it depends on what the {} answers", undecided.whom);
                format!("{}{undecided}", painted("undecided", style))
            }
        }
    }

    /// What it means and what to do.
    fn ending(&self) -> Vec<String> {
        let bold = |text: &str| painted(text, Style::new().bold());
        match &self.verdict {
            Verdicts::Allowed(_) | Verdicts::Preflight(_) => Vec::new(),
            Verdicts::Undecided(undecided) => {
                let Undecided { what, give, .. } = undecided;
                vec![
                    String::new(),
                    bold("what would be asked"),
                    format!("  {what}"),
                    String::new(),
                    bold("what to do"),
                    format!("  {give}"),
                ]
            }
            Verdicts::Refused(refused) => {
                let Advice { means, act } = advice(refused.refusal.reason);
                let mut lines = Vec::new();
                if let Some(closest) = &refused.refusal.closest {
                    lines.extend([
                        String::new(),
                        bold("what came closest"),
                        format!("  {closest}"),
                    ]);
                }
                let body = self.body(refused);
                lines.extend([String::new(), bold("what the caller gets")]);
                lines.push(format!("  {}{body}", refused.reply.status));
                lines.extend([String::new(), bold("what it means"), format!("  {means}")]);
                lines.extend([String::new(), bold("what to do"), format!("  {act}")]);
                lines
            }
        }
    }

    fn body(&self, refused: &Refused) -> String {
        let body = String::from_utf8_lossy(&refused.reply.body);
        let body: String = body.trim().chars().take(MAX_BODY).collect();
        match body.is_empty() {
            true => String::new(),
            false => format!(": {body}"),
        }
    }

    /// What changes for the upstream: names, since values may hold claims.
    fn changes(&self) -> Vec<String> {
        let Verdicts::Allowed(allow) = &self.verdict else {
            return Vec::new();
        };
        let (removed, set) = changed(allow);
        let named = |what: &str, names: Vec<String>| {
            let names: Vec<_> = names.iter().map(|it| format!("`{it}`")).collect();
            (!names.is_empty()).then(|| format!("{what}: {}", names.join(", ")))
        };
        [named("removed", removed), named("set", set)]
            .into_iter()
            .flatten()
            .collect()
    }
}

/// The names of headers that are taken out, and of those that are set.
fn changed(allow: &Allow) -> (Vec<String>, Vec<String>) {
    let (mut removed, mut set) = (Vec::new(), Vec::new());
    for change in &allow.changes {
        let (names, name) = match change {
            Change::Remove(name) => (&mut removed, name),
            Change::Set(name, _) => (&mut set, name),
        };
        let name = String::from_utf8_lossy(name).into_owned();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    (removed, set)
}

fn step_lines(step: &Step) -> Vec<String> {
    let decides = |entry: &Entry| entry.outcome != Outcome::DoesNotMatch;
    let (mut lines, mut left_out) = (Vec::new(), 0_usize);
    for (index, entry) in step.entries.iter().enumerate() {
        if index >= MAX_ENTRIES && !decides(entry) {
            left_out = left_out.saturating_add(1);
            continue;
        }
        let (word, style) = outcome(entry.outcome);
        let word = match word {
            "" => String::new(),
            word => format!(" {}", painted(word, style)),
        };
        let note = match entry.note.as_str() {
            "" => String::new(),
            note => format!(": {note}"),
        };
        lines.push(format!("  {}{word}{note}", entry.subject));
        for (index, why) in entry.why.iter().enumerate() {
            let or = match (index, entry.outcome) {
                (0, _) => "",
                (_, Outcome::DoesNotMatch) => "or: ",
                _ => "and: ",
            };
            lines.push(format!("      {or}{why}"));
        }
    }
    if left_out > 0 {
        lines.push(format!(
            "  and {left_out} more that do not match (`--json` has them)"
        ));
    }
    lines
}

fn outcome(outcome: Outcome) -> (&'static str, Style) {
    let (word, color) = match outcome {
        Outcome::Fact => return ("", Style::new()),
        Outcome::Fulfilled => ("is fulfilled", AnsiColor::Green),
        Outcome::Accepts => ("accepts", AnsiColor::Green),
        Outcome::Taken => ("is taken", AnsiColor::Green),
        Outcome::PassedOver => ("is passed over", AnsiColor::BrightBlack),
        Outcome::Matches => ("matches", AnsiColor::Cyan),
        Outcome::DoesNotMatch => ("does not match", AnsiColor::BrightBlack),
        Outcome::CannotBeTold => ("cannot be told", AnsiColor::Yellow),
        Outcome::Refused => ("refuses", AnsiColor::Red),
        Outcome::Fails => ("fails", AnsiColor::Red),
        Outcome::Asked => ("would be asked", AnsiColor::Yellow),
    };
    (word, color.on_default())
}

fn painted(text: &str, style: Style) -> String {
    format!("{style}{text}{style:#}")
}
