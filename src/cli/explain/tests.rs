//! That the trail tells what the core has decided, for every case of the project; that every refusal
//! is shown; and that nothing secret is.

use super::outside::World;
use super::report::{Report, Verdicts};
use super::trail::{Outcome, Step, Walk};
use super::*;
use crate::cli::cases;
use crate::cli::worker::Worker;
use crate::request::Request;
use crate::verdict::{Decision, Reason, Verdict};
use clap::Parser;
use serde_json::Value;
use std::path::Path;

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    arguments: Arguments,
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// What is told of a request.
fn told(arguments: &[&str]) -> Report {
    let arguments = Command::parse_from([&["explain"], arguments].concat()).arguments;
    let config = std::fs::read_to_string(&arguments.config).unwrap();
    let config: Value = serde_saphyr::from_str(&config).unwrap();
    explain(
        &arguments,
        Config::read(config.to_string().as_bytes()).unwrap(),
    )
    .unwrap()
}

/// Reasons that no request brings about in a gateway that is configured; the advice on them is
/// checked beside it.
const NOT_BY_A_REQUEST: [(Reason, &str); 2] = [
    (Reason::Overloaded, "it takes a thousand others that wait"),
    (
        Reason::Internal,
        "it takes a gateway without a configuration, or a host that fails",
    ),
];

#[test]
fn every_reason_is_shown() {
    for reason in Reason::ALL {
        let file = folder("tests/cmd/explain").join(format!("{reason}.trycmd"));
        if NOT_BY_A_REQUEST.iter().any(|(it, _)| *it == reason) {
            assert!(!file.exists(), "{reason}");
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let shown = text.lines().any(|line| {
            let verdict = line.strip_prefix("refused: ");
            verdict.is_some_and(|it| it.split(' ').nth(1) == Some(reason.code()))
        });
        assert!(shown, "no golden text in {}", file.display());
    }
}

#[test]
fn the_trail_tells_what_the_core_has_decided() {
    let files = cases::files(&[folder("tests/cases")]).unwrap();
    let (mut told, mut wrong) = (0, Vec::new());
    for file in files {
        let mut watch =
            |name: &str, policy: &Policy, worker: &Worker, request: &Request<'_>, it: &Decision| {
                let world = World::default();
                let walk = Walk::new(policy, worker, request, &world);
                let verdict = match &it.verdict {
                    Verdict::Refuse(refusal) => Verdicts::of_refusal(refusal, Some(request)),
                    Verdict::Preflight(response) => Verdicts::Preflight(response.status),
                    Verdict::Allow(allow) => Verdicts::Allowed(crate::verdict::Allow {
                        changes: Vec::new(),
                        rule: allow.rule.clone(),
                    }),
                };
                let steps = walk.steps(&verdict);
                told += 1;
                if let Err(error) = agrees(&steps, &it.verdict) {
                    wrong.push(format!("{}: {name}: {error}\n{steps:#?}", file.display()));
                }
            };
        cases::play_watched(&file, &mut watch).unwrap();
    }
    assert!(told > 1_000, "{told} cases told");
    assert!(
        wrong.is_empty(),
        "{} of {told}\n{}",
        wrong.len(),
        wrong.first().unwrap()
    );
}

/// Whether the steps say the same as the verdict.
fn agrees(steps: &[Step], verdict: &Verdict) -> Result<(), String> {
    let says = |step: &str, subject: Option<&str>, outcomes: &[Outcome]| {
        let steps = steps.iter().filter(|it| it.step.starts_with(step));
        let mut entries = steps.flat_map(|it| &it.entries);
        entries.any(|it| {
            subject.is_none_or(|subject| it.subject == subject) && outcomes.contains(&it.outcome)
        })
    };
    let must = |holds: bool, what: &str| holds.then_some(()).ok_or_else(|| what.to_owned());
    let matching = [Outcome::Matches, Outcome::CannotBeTold];
    match verdict {
        Verdict::Preflight(_) => must(says("API rules", None, &[Outcome::Taken]), "no rule taken"),
        Verdict::Allow(allow) => {
            must(
                !says("policies with action DENY", None, &matching),
                "a DENY rule matches",
            )?;
            for step in ["connection", "API rules", "authority that"] {
                must(!says(step, None, &[Outcome::Refused, Outcome::Fails]), step)?;
            }
            let demanded = says("demand", None, &[Outcome::Refused]);
            let fulfilled = says("demand", None, &[Outcome::Fulfilled]);
            must(!demanded || fulfilled, "the demand is not fulfilled")?;
            match allow.rule.as_deref() {
                Some(rule) if rule.starts_with("api[") => must(
                    says("API rules", Some(rule), &[Outcome::Taken]),
                    "not taken",
                ),
                Some(rule) => must(
                    says(
                        "policies with action ALLOW",
                        Some(rule),
                        &[Outcome::Matches],
                    ),
                    rule,
                ),
                None => Ok(()),
            }
        }
        Verdict::Refuse(refusal) => match (refusal.reason, refusal.rule.as_deref()) {
            (Reason::PolicyDenied, rule) => must(
                says("policies with action DENY", rule, &matching),
                "no DENY rule",
            ),
            (Reason::AuthorizerUnknown, rule) => must(
                says("policies with action CUSTOM", rule, &matching),
                "no CUSTOM rule",
            ),
            (Reason::PolicyNotAllowed, None) => {
                let allow = steps
                    .iter()
                    .filter(|it| it.step.starts_with("policies with action ALLOW"));
                let lacking =
                    |step: &Step| step.entries.iter().all(|it| it.outcome != Outcome::Matches);
                must(allow.into_iter().any(lacking), "every reading is allowed")
            }
            (Reason::RuleUnknown, _) => must(
                steps.iter().any(|it| {
                    it.step.starts_with("API rules")
                        && it
                            .entries
                            .iter()
                            .all(|it| it.outcome == Outcome::PassedOver)
                }),
                "a rule is taken",
            ),
            (Reason::ReadingsDiffer, _) => {
                let steps = steps.iter().filter(|it| it.step.starts_with("API rules"));
                must(steps.count() > 1, "one reading")
            }
            _ => must(
                says("", None, &[Outcome::Refused, Outcome::Fails]),
                "nothing refuses",
            ),
        },
    }
}

#[test]
fn nothing_secret_is_printed() {
    let shop = folder("tests/cmd/explain/shop.yaml");
    let shop = shop.to_str().unwrap();
    let token = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJodHRwczovL2lkcC5leGFtcGxlLmNvbSIsInN1YiI6ImFkYSJ9.c2lnbmF0dXJl";
    let claims = r#"{"iss": "https://idp.example.com", "sub": "ada", "aud": "shop", "exp": "now+60", "salary": "a-private-claim"}"#;
    let url = format!("https://api.example.com/orders?access_token={token}");
    let curl = format!(
        "curl -u me:s3cret-password -b 'session=s3cret-session; jwt={token}' {url} -H 'x-api-key: s3cret-key'"
    );
    let opaque = "https://shop.example.com/reports/1?api_key=s3cret-key";
    for arguments in [
        vec![shop, "https://api.example.com/orders", "--token", token],
        vec![shop, "https://api.example.com/orders", "--claims", claims],
        vec![shop, &url],
        vec![shop, "--curl", &curl],
        vec![shop, opaque, "--token", "s3cret-opaque-token"],
        vec![
            shop,
            opaque,
            "--token",
            "s3cret-opaque-token",
            "--introspection",
            r#"{"active": true, "scope": "reports", "salary": "a-private-claim"}"#,
        ],
    ] {
        let report = told(&arguments);
        for text in [report.masked_text(), report.masked_json().to_string()] {
            for secret in ["s3cret", "c2lnbmF0dXJl", "eyJ", "a-private-claim"] {
                assert!(!text.contains(secret), "`{secret}`: {arguments:?}\n{text}");
            }
        }
    }
}

#[test]
fn a_token_whose_keys_are_not_at_hand_is_judged_and_that_is_said() {
    let shop = folder("tests/cmd/explain/shop.yaml");
    let shop = shop.to_str().unwrap();
    // RS256 and `exp` in 2100.
    let header = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImEsYiJ9";
    let payload = "eyJpc3MiOiJodHRwczovL2lkcC5leGFtcGxlLmNvbSIsInN1YiI6ImFkYSIsImF1ZCI6InNob3AiLCJleHAiOjQxMDI0NDQ4MDB9";
    let token = format!("{header}.{payload}.c2ln");
    let url = "https://api.example.com/orders";
    let authorization = format!("authorization: Bearer {token}");
    for (arguments, allowed) in [
        (vec![shop, url, "--token", &token], true),
        (vec![shop, url, "-H", &authorization], true),
        (
            vec![
                shop,
                url,
                "-H",
                "authorization: Bearer {token}",
                "--token",
                &token,
            ],
            true,
        ),
        (
            vec![shop, url, "--token", &token, "--keys-unavailable"],
            false,
        ),
    ] {
        let report = told(&arguments);
        let text = report.masked_text();
        assert_eq!(
            matches!(report.verdict, Verdicts::Allowed(_)),
            allowed,
            "{text}"
        );
        assert_eq!(text.contains("was not checked"), allowed, "{text}");
    }
}
