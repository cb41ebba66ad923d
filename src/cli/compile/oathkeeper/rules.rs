//! Access rules that stand on their own: files of them, and objects of the kind `Rule`.

use super::config::{Handler, Oathkeeper, Value};
use super::handlers::{Authenticated, authenticate};
use super::judge::{AccessRule, Demand, Paths, Route, judge};
use super::{mutators, name, places};
use crate::cli::compile::Context;
use crate::cli::compile::draft::Draft;
use crate::cli::compile::expression::Expression;
use crate::cli::compile::kyma;
use crate::cli::compile::methods::Methods;
use crate::cli::compile::oathkeeper_url::{MatchingStrategy, OathkeeperUrl};
use crate::cli::compile::resource::{Fields, Reading, Resource};
use crate::cli::compile::written::ApiRules;
use crate::cli::yaml::Node;
use crate::policy::AuthorityPattern;
use std::rc::Rc;

/// A rule, and which host it is for.
struct HostRule<'a> {
    host: AuthorityPattern,
    access: AccessRule<'a>,
}

const GROUP: &str = "oathkeeper.ory.sh";

/// Adds what access rules say.
pub fn compile<'a>(context: &Context<'a>, draft: &mut Draft) {
    let oathkeeper = Oathkeeper::new(context, false);
    let Some(strategy) = oathkeeper.matching_strategy() else {
        return;
    };
    let inventory = context.inventory;
    let objects = inventory.of(GROUP, "Rule");
    let objects = objects.filter(|it| !is_of_api_rule(context, it));
    let objects = objects.map(|it| (it, it.spec()));
    let files = inventory.of("", "OathkeeperRule");
    let files = files.map(|it| (it, &it.root));
    let mut rules: Vec<HostRule<'a>> = Vec::new();
    let mut upstream = None;
    for (resource, node) in objects.chain(files) {
        let at = Value {
            reading: context.reading(resource),
            node,
        };
        upstream = upstream.or_else(|| at.member("upstream"));
        rules.extend(read(&oathkeeper, draft, at, strategy));
    }
    if let Some(upstream) = upstream {
        upstream.warning(
            "`upstream` of access rules is not carried over: the gateway routes, and Portcullis \
             judges",
            "let a VirtualService route each host to its service, and strip there what `strip_path` \
             stripped",
        );
    }
    let mut hosts: Vec<&AuthorityPattern> = Vec::new();
    for rule in &rules {
        if !hosts.contains(&&rule.host) {
            hosts.push(&rule.host);
        }
    }
    for host in hosts {
        add_host(draft, host, &rules);
    }
}

/// Whether an object was made for an APIRule that is there itself.
fn is_of_api_rule(context: &Context<'_>, resource: &Resource) -> bool {
    let label = resource.label("apirule.gateway.kyma-project.io/v1beta1");
    let label = label.and_then(|it| it.rsplit_once('.'));
    let there = |(name, namespace): (&str, &str)| {
        let inventory = context.inventory;
        let found = inventory.named(kyma::GROUP, "APIRule", namespace, name);
        found.is_some()
    };
    context.is_generated(resource) || label.is_some_and(there)
}

fn read<'a>(
    oathkeeper: &Oathkeeper<'a>,
    draft: &mut Draft,
    at: Value<'a>,
    strategy: MatchingStrategy,
) -> Option<HostRule<'a>> {
    let reading = at.reading;
    let mut fields = reading.fields(at.node)?;
    fields.skip(&["id", "version", "description", "upstream", "configMapName"]);
    let matching = fields.required("match");
    let list = |fields: &mut Fields<'a>, name| fields.get(name).map(|node| at.with(node));
    let authenticators = list(&mut fields, "authenticators");
    let authorizer = list(&mut fields, "authorizer");
    let mutators = list(&mut fields, "mutators");
    if let Some(errors) = list(&mut fields, "errors") {
        errors.warning(
            "`errors` is not carried over: refusals look as Oathkeeper's do by default",
            "leave it out; or set `errorStyle` in the result",
        );
    }
    fields.finish();
    let (url, methods) = matched(reading, matching?)?;
    let demand = demand(
        oathkeeper,
        draft,
        at,
        (authenticators, authorizer, mutators),
    );
    let url_at = at.with(url);
    let text = url_at.text()?;
    let url = match OathkeeperUrl::parse(text, strategy) {
        Ok(url) => url,
        Err(why) => {
            url_at.error(why, "");
            return None;
        }
    };
    if Expression::regex("/.*/").ok()?.covers(&url.paths) == Some(true) {
        url_at.warning(
            "Oathkeeper compares paths without the slash at their end, so that this rule never \
             matches; it is left out",
            "leave the `/` at the end out of the pattern",
        );
        return None;
    }
    for note in &url.notes {
        url_at.warning(note.clone(), "");
    }
    if let [only] = url.schemes.as_slice() {
        url_at.warning(
            format!("the rule is for `{only}` alone there, and for `http` and `https` here"),
            "write `<http|https>://`; let the Gateway serve this host by one of them alone, if that \
             is meant",
        );
    }
    if methods.is_empty() {
        at.warning(
            "the rule has no `methods` and never matches; it is left out",
            "",
        );
        return None;
    }
    Some(HostRule {
        access: AccessRule {
            guarded: false,
            at,
            paths: Rc::new(Paths::new(text, url.paths)),
            methods,
            demand: demand?,
        },
        host: url.host,
    })
}

/// `match`
fn matched<'a>(reading: Reading<'a>, node: &'a Node) -> Option<(&'a Node, Methods)> {
    let mut fields = reading.fields(node)?;
    if fields.get("authority").is_some() || fields.get("full_method").is_some() {
        let message = "rules for gRPC (`authority`, `full_method`) have no counterpart here";
        let help = "write `url: <http|https>://HOST/PACKAGE.SERVICE/METHOD` and `methods: [POST]`";
        reading.error(node, message, help);
        return None;
    }
    let url = fields.required("url");
    let methods = fields.get("methods");
    let methods = methods.map_or(Methods::NONE, |it| Methods::read(reading, it, true));
    fields.finish();
    Some((url?, methods))
}

type Handlers<'a> = (Option<Value<'a>>, Option<Value<'a>>, Option<Value<'a>>);

fn demand<'a>(
    oathkeeper: &Oathkeeper<'a>,
    draft: &mut Draft,
    at: Value<'a>,
    (authenticators, authorizer, mutators): Handlers<'a>,
) -> Option<Demand<'a>> {
    let read = |list: Option<Value<'a>>| match list {
        Some(list) => Handler::read_all(list),
        None => Some(Vec::new()),
    };
    let place = authenticators.unwrap_or(at);
    let places = places(place, mutators.unwrap_or(at));
    let (authenticators, mutators) = (read(authenticators), read(mutators));
    let allowed = is_allowed(oathkeeper, at, authorizer);
    let (authenticators, mutators, allowed) = (authenticators?, mutators?, allowed?);
    if authenticators.is_empty() {
        at.warning(
            "no `authenticators`: nobody is let in, neither there nor here",
            "name one, such as `noop`",
        );
        return Some(Demand::deny());
    }
    // What brings the objects to Oathkeeper fills in `noop`; it does not for a file.
    if mutators.is_empty() && at.reading.resource.group.is_empty() {
        at.warning(
            "no `mutators`, which Oathkeeper answers 500: the rule refuses here, too",
            "write `mutators: [{handler: noop}]`",
        );
        return Some(Demand::deny());
    }
    let Authenticated { strategy, extra } =
        authenticate(oathkeeper, draft, place, &authenticators)?;
    let request = mutators::mutate(oathkeeper, &mutators, extra)?;
    Some(match allowed {
        true => Demand {
            strategy,
            error_style: None,
            request,
            places,
        },
        false => Demand::deny(),
    })
}

/// Whether the authorizer lets anybody in; `None` if it cannot be told, which has been noted.
fn is_allowed<'a>(
    oathkeeper: &Oathkeeper<'a>,
    at: Value<'a>,
    authorizer: Option<Value<'a>>,
) -> Option<bool> {
    let Some(authorizer) = authorizer else {
        at.warning(
            "no `authorizer`: nobody is let in, neither there nor here",
            "write `authorizer: {handler: allow}`",
        );
        return Some(false);
    };
    let handler = Handler::read(authorizer)?;
    if !matches!(handler.name, "allow" | "deny") {
        let message = format!(
            "the authorizer `{}` has no counterpart here",
            handler.name.escape_debug()
        );
        let help = "let the same server judge as an external authorizer: `extAuth` of an APIRule in \
                    version v2, or a CUSTOM AuthorizationPolicy";
        handler.at.error(message, help);
        return None;
    }
    let config = oathkeeper.configured("authorizers", &handler)?;
    config.finish_empty(handler.name);
    Some(handler.name == "allow")
}

fn add_host(draft: &mut Draft, host: &AuthorityPattern, rules: &[HostRule<'_>]) {
    let of_host = rules.iter().filter(|rule| covers(&rule.host, host));
    let of_host: Vec<_> = of_host.map(|rule| rule.access.clone()).collect();
    let (Some(first), Ok(everything)) = (of_host.first(), Expression::regex("/.*")) else {
        return;
    };
    let route = Route {
        at: first.at,
        paths: Rc::new(Paths::new("/.*", everything)),
        methods: Methods::ALL,
        direct: None,
    };
    let judged = judge(&[route], &of_host);
    let entry = ApiRules {
        name: format!("oathkeeper-{}", name(&host.to_string())),
        hosts: vec![host.to_string()],
        error_style: Some("oathkeeper"),
        ..ApiRules::default()
    };
    super::judge::add(draft, entry, first.at, judged);
}

/// Whether a rule for one host is also for another.
fn covers(wide: &AuthorityPattern, narrow: &AuthorityPattern) -> bool {
    match (wide, narrow) {
        (
            AuthorityPattern::Wildcard(suffix),
            AuthorityPattern::Exact(text) | AuthorityPattern::Wildcard(text),
        ) => text.ends_with(&**suffix),
        (wide, narrow) => wide == narrow,
    }
}
