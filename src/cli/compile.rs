//! `portcullis compile`: from the YAML that people have to a configuration.
//!
//! Files are read into an `Inventory`, each source language adds to a `Draft`, the whole is read
//! as the plugin reads it, and written. Nothing becomes more open than it was: what cannot be carried
//! over is an error or a warning, and with an error nothing is written.

mod draft;
mod expression;
mod input;
mod istio;
mod kyma;
mod methods;
mod notes;
mod oathkeeper;
mod oathkeeper_url;
mod oauth2_proxy;
mod output;
mod resource;
mod secrets;
mod settings;
mod template;
mod written;

use super::Exit;
use super::output::Output;
use super::report::{self, Severity, Sources};
use crate::cli::yaml::Node;
use clap::Parser as _;
use draft::Draft;
use input::Inventory;
use notes::Notes;
use resource::{Reading, Resource};
use settings::Settings;
use std::path::PathBuf;

/// Compile Istio's, Kyma's, Oathkeeper's and oauth2-proxy's YAML into a WasmPlugin.
///
/// Files may hold what `kubectl get … -o yaml` prints. The result goes to standard output, what is to
/// be said about it to standard error. With an error nothing is written.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Files, folders of them, or `-` for standard input.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    settings: settings::Arguments,
}

const EXAMPLES: &str = "\
Examples:
  kubectl get requestauthentications,authorizationpolicies,virtualservices,gateways,services \\
    -A -o yaml | portcullis compile - > wasmplugin.yaml
  portcullis compile manifests/ --labels istio=ingressgateway --strict
  portcullis compile apirule.yaml oathkeeper.yaml --output config";

/// What every source language needs to know.
pub(crate) struct Context<'a> {
    inventory: &'a Inventory,
    settings: &'a Settings,
    notes: &'a Notes,
}

/// A command line of its own, for [`compile_text`].
#[derive(clap::Parser)]
struct Line {
    #[command(flatten)]
    arguments: Arguments,
}

/// What came of a compilation.
pub struct Compiled {
    /// What is to be said.
    pub notes: Vec<report::Note>,
    /// The result; nothing, if there was an error.
    pub text: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, String> {
    let mut sources = Sources::default();
    let notes = Notes::default();
    let inventory = input::read(&arguments.paths, &mut sources, &notes)?;
    let compiled = compile(&inventory, &arguments.settings, notes)?;
    sources.mask_likely(&compiled.notes, secrets::places);
    let renderer = report::renderer();
    let mut errors = Output::errors();
    for note in &compiled.notes {
        match arguments.settings.is_json() {
            true => writeln!(errors, "{}", sources.to_json(note)),
            false => writeln!(errors, "{}\n", sources.render(note, &renderer)),
        }
    }
    errors.finish()?;
    let Some(text) = compiled.text else {
        return Ok(Exit::InvalidConfiguration);
    };
    let mut output = Output::new();
    write!(output, "{text}");
    output.finish()?;
    Ok(Exit::Ok)
}

/// Compiles a text, for those who have it at hand; `arguments` are options of the command line.
///
/// # Errors
/// There is no such option, or the result cannot be written.
pub fn compile_text(name: &str, text: &str, arguments: &[&str]) -> Result<Compiled, String> {
    let line = ["compile", "-"].iter().chain(arguments);
    let line = Line::try_parse_from(line).map_err(|error| error.to_string())?;
    let (mut sources, notes) = (Sources::default(), Notes::default());
    let mut inventory = Inventory::default();
    inventory.add_text(name, text.to_owned(), &mut sources, &notes);
    inventory.finish(&notes);
    compile(&inventory, &line.arguments.settings, notes)
}

/// Compiles what was read.
///
/// # Errors
/// The result cannot be written.
pub(crate) fn compile(
    inventory: &Inventory,
    arguments: &settings::Arguments,
    notes: Notes,
) -> Result<Compiled, String> {
    let settings = Settings::new(arguments, inventory);
    let mut draft = Draft::new();
    let context = Context {
        inventory,
        settings: &settings,
        notes: &notes,
    };
    oauth2_proxy::compile(&context, &mut draft);
    kyma::compile(&context, &mut draft);
    oathkeeper::compile(&context, &mut draft);
    istio::compile(&context, &mut draft);
    draft.check(&context);
    let text = output::write(&draft, &context)?;
    let notes = notes.into_sorted();
    let refused = |note: &report::Note| note.severity == Severity::Error || settings.strict;
    let text = (!notes.iter().any(refused)).then_some(text);
    Ok(Compiled { notes, text })
}

// === impl Context ===

impl<'a> Context<'a> {
    /// A resource, to be read.
    fn reading(&self, resource: &'a Resource) -> Reading<'a> {
        Reading {
            resource,
            notes: self.notes,
        }
    }

    /// Whether a resource was made by Kyma from an APIRule that the input has, too.
    fn is_generated(&self, resource: &Resource) -> bool {
        let owners = resource.root.at(&["metadata", "ownerReferences"]);
        let mut owners = owners.map_or(&[][..], Node::items).iter();
        owners.any(|owner| {
            let name = owner.get("name").and_then(Node::text).unwrap_or_default();
            let kind = owner.get("kind").and_then(Node::text);
            let group = "gateway.kyma-project.io";
            let mut rules = self.inventory.of(group, "APIRule");
            // What it makes beside a workload stands in the namespace of the workload.
            kind == Some("APIRule") && rules.any(|it| it.name == name)
        })
    }

    /// Whether a host is a service of the mesh, which the gateway reaches without further ado.
    fn is_in_mesh(&self, host: &str) -> bool {
        host.ends_with(".svc.cluster.local") || host.ends_with(".svc")
    }

    /// Whether a ServiceEntry of the input makes a port of a host known.
    fn has_port(&self, host: &str, port: u16) -> bool {
        let entries = self.inventory.of("networking.istio.io", "ServiceEntry");
        let mut entries = entries.map(Resource::spec).filter(|spec| names(spec, host));
        entries.any(|spec| {
            let ports = spec.get("ports").map_or(&[][..], Node::items).iter();
            let mut numbers = ports.filter_map(|it| it.get("number")).map(Node::to_json);
            numbers.any(|number| number == port)
        })
    }

    /// Whether a DestinationRule of the input is about a host.
    fn has_destination_rule(&self, host: &str) -> bool {
        let mut rules = self.inventory.of("networking.istio.io", "DestinationRule");
        rules.any(|it| it.spec().get("host").and_then(Node::text) == Some(host))
    }
}

fn names(spec: &Node, host: &str) -> bool {
    let hosts = spec.get("hosts").map_or(&[][..], Node::items);
    hosts.iter().any(|it| it.text() == Some(host))
}
