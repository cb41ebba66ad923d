//! `portcullis push`: the module into a registry, and a look at it as Istio's agent sees it.
//!
//! `reference` reads the name of the image, `credentials` finds who we are, `registry` speaks with the
//! registry, `report` prints. The image itself is made and judged in `image`.

mod credentials;
mod reference;
mod registry;
mod report;

use super::Exit;
use super::image::build::{self, Image, Layout};
use super::image::fetcher::{self, Failure, Fetched, Wanted};
use super::image::{Content, Format};
use credentials::Places;
use reference::Reference;
use registry::{Purpose, Registry};
use report::{Outcome, Report};
use std::time::{Duration, Instant};

/// Push the module to a registry as an image, and check that Istio's agent takes it.
///
/// What was pushed is pulled back and read exactly as the agent at the gateway reads it: an image
/// that it does not take means a gateway that answers 403 to everything. The digest to pin in the
/// WasmPlugin is printed. With `--check` nothing is pushed, and an image that is there already is
/// read.
#[derive(clap::Args)]
#[command(after_help = EXAMPLE, after_long_help = LONG_HELP)]
pub(super) struct Arguments {
    /// The image: `[oci://]HOST[:PORT]/REPOSITORY[:TAG][@sha256:DIGEST]`.
    ///
    /// A push needs a tag. With a digest, nothing but the image of that digest is pushed.
    #[arg(value_name = "REFERENCE")]
    reference: String,

    /// The layout of the image; `portcullis image --help` tells of them.
    #[arg(long, value_enum, value_name = "LAYOUT", default_value = "docker")]
    layout: Layout,

    #[command(flatten)]
    content: Content,

    /// Push nothing: read the image that is there, as Istio's agent would.
    #[arg(long, conflicts_with_all = ["layout", "module", "source", "revision"])]
    check: bool,

    /// What the image is checked against: `spec.sha256` of a WasmPlugin.
    #[arg(long, value_name = "HEX", requires = "check")]
    sha256: Option<String>,

    /// Speak plain HTTP with the registry, which anybody on the way can read and change.
    #[arg(long, help_heading = "Registry")]
    insecure_http: bool,

    /// The name to log in with.
    #[arg(long, value_name = "NAME", help_heading = "Registry")]
    username: Option<String>,

    /// Read the password from standard input.
    #[arg(long, help_heading = "Registry")]
    password_stdin: bool,

    /// How to print the result.
    #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
    format: Format,
}

const EXAMPLE: &str = "\
Example:
  portcullis push ghcr.io/example/portcullis:0.1.0

`--help` has more of them.";

const LONG_HELP: &str = "\
Examples:
  With the credentials that `docker login` left behind:
    portcullis push ghcr.io/example/portcullis:0.1.0

  With a password from elsewhere:
    pass show registry | portcullis push --username ci --password-stdin \\
      registry.example.com/portcullis:0.1.0

  To a registry on this machine that has no certificate:
    portcullis push --insecure-http localhost:5000/portcullis:dev

  The gateway answers `RBAC: access denied` to everything. Does the agent take the image?
    portcullis push --check --sha256 \"$(kubectl get wasmplugin portcullis -n istio-system \\
      -o jsonpath='{.spec.sha256}')\" oci://ghcr.io/example/portcullis:0.1.0

  The digest alone, for a script:
    portcullis push --format json ghcr.io/example/portcullis:0.1.0 | jq -r .digest

Credentials, of which the first that are given count:
  1  --username and --password-stdin
  2  PORTCULLIS_REGISTRY_USERNAME and PORTCULLIS_REGISTRY_PASSWORD
  3  config.json in DOCKER_CONFIG or ~/.docker: credHelpers, auths, credsStore
  They are never printed, and never sent without TLS unless --insecure-http is given.

Other variables of the environment:
  SSL_CERT_FILE            certificates to trust in place of the system's, as PEM
  HTTPS_PROXY, NO_PROXY    the proxy to the registry, and for which hosts there is none

What Istio's agent does:
  It compares `spec.sha256` with the digest of the image's manifest, and with an index, of the
  manifest for linux/amd64 in it. A URL with `@sha256:` needs no `spec.sha256`. It fetches within
  30 seconds, and does not try again until the WasmPlugin changes or the gateway starts anew. Of an
  image without digest it keeps what it has, unless the tag is `latest` or `imagePullPolicy` is
  `Always`.

Exit codes:
  0  the image is there, and Istio's agent takes it
  1  could not run: the registry is not reached, demands credentials, or has no such image
  2  Istio's agent does not take the image, or it is not the one of the digest";

/// Istio's agent gives up after this.
const AGENT_PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn run(arguments: &Arguments) -> Result<Exit, String> {
    let reference = Reference::parse(&arguments.reference)?;
    let mut report = Report::new(&reference);
    warn_of_the_name(&reference, arguments, &mut report);
    let ended = match arguments.check {
        true => check(arguments, &reference, &mut report),
        false => push(arguments, &reference, &mut report),
    };
    report.outcome = match ended {
        Ok(outcome) => outcome,
        Err(Failure::Refused(refused)) => Outcome::Refused(*refused),
        Err(Failure::Source(error)) => {
            report.warn();
            return Err(error);
        }
    };
    match arguments.format {
        Format::Text => report.print(),
        Format::Json => report.print_json(),
    }
    Ok(report.exit())
}

/// Reads the image that is there.
fn check(
    arguments: &Arguments,
    reference: &Reference,
    report: &mut Report,
) -> Result<Outcome, Failure> {
    let sha256 = arguments.sha256.as_deref();
    if sha256.is_some_and(|it| !reference::is_sha256(it)) {
        let what = "`--sha256`: allowed: 64 hexadecimal digits in lower case, without `sha256:`";
        return Err(what.to_owned().into());
    }
    let runtime = runtime()?;
    let registry = open(arguments, reference, &runtime, Purpose::Check, report)?;
    let fetched = fetch(&registry, reference, sha256, report)?;
    Ok(Outcome::of_check(&fetched))
}

/// Pushes the image, and reads it back.
fn push(
    arguments: &Arguments,
    reference: &Reference,
    report: &mut Report,
) -> Result<Outcome, Failure> {
    let Some(tag) = &reference.tag else {
        let what = format!(
            "{reference} has no tag: add one, such as `:{}`",
            env!("CARGO_PKG_VERSION")
        );
        return Err(what.into());
    };
    let image = arguments.content.image(arguments.layout)?;
    if let Some(digest) = &reference.digest
        && *digest != image.manifest.digest
    {
        return Ok(Outcome::another(&image, digest));
    }
    let runtime = runtime()?;
    let registry = open(arguments, reference, &runtime, Purpose::Push, report)?;
    registry.push(&image, tag)?;
    // Once by the tag, which must lead to it, and once as it is to be pinned.
    let tagged = Reference {
        digest: None,
        ..reference.clone()
    };
    let by_tag = fetch(&registry, &tagged, None, report)?;
    let pinned = reference.pinned(&image.manifest.digest);
    let fetched = fetch(&registry, &pinned, None, report)?;
    if by_tag.digest != image.manifest.digest {
        let what = format!(
            "{tagged} leads to `{}` right after `{}` was pushed: somebody else pushes to this tag, \
             or the registry rewrites what it is given",
            by_tag.digest, image.manifest.digest
        );
        return Err(what.into());
    }
    is_the_module(&fetched, &image)?;
    Ok(Outcome::of_push(&fetched, &image))
}

/// Whether what the agent gets is what was given.
fn is_the_module(fetched: &Fetched, image: &Image) -> Result<(), String> {
    match build::digest(&fetched.module) == image.module {
        true => Ok(()),
        false => Err("the module that was read back is not the one that was pushed".to_owned()),
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, String> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build();
    runtime.map_err(|error| error.to_string())
}

fn open<'a>(
    arguments: &Arguments,
    reference: &Reference,
    runtime: &'a tokio::runtime::Runtime,
    purpose: Purpose,
    report: &mut Report,
) -> Result<Registry<'a>, String> {
    let places = Places::of_this_process(arguments.username.clone(), arguments.password_stdin)?;
    let credentials = runtime.block_on(places.find(&reference.registry))?;
    if credentials.is_some() && arguments.insecure_http {
        report.warnings.push(format!(
            "the credentials go to `{}` without encryption",
            reference.registry
        ));
    }
    let http = arguments.insecure_http;
    Registry::open(runtime, reference, credentials, http, purpose)
}

/// Fetches as Istio's agent does, and with its clock.
fn fetch(
    registry: &Registry<'_>,
    reference: &Reference,
    sha256: Option<&str>,
    report: &mut Report,
) -> Result<Fetched, Failure> {
    let began = Instant::now();
    let url = reference.to_string();
    let fetched = fetcher::fetch(
        registry,
        &Wanted {
            url: &url,
            identifier: reference.identifier(),
            sha256,
        },
    )?;
    let took = began.elapsed();
    if took > AGENT_PATIENCE {
        report.warnings.push(format!(
            "it took {} seconds to fetch the image, and Istio's agent gives up after {}",
            took.as_secs(),
            AGENT_PATIENCE.as_secs()
        ));
    }
    Ok(fetched)
}

/// What Istio would read otherwise than it seems.
fn warn_of_the_name(reference: &Reference, arguments: &Arguments, report: &mut Report) {
    if arguments.check && !reference.fits_a_wasm_plugin {
        report.warnings.push(format!(
            "write `url: {reference}` in a WasmPlugin: without `oci://`, Istio reads what stands \
             before the port as a scheme"
        ));
    }
    if !arguments.check || reference.digest.is_some() || arguments.sha256.is_some() {
        return;
    }
    match reference.tag.as_deref() {
        None => report.warnings.push(
            "without a tag Istio fetches `latest`, and keeps it when that is moved: pin the digest"
                .to_owned(),
        ),
        Some("latest") => report.warnings.push(
            "Istio fetches `:latest` again whenever the WasmPlugin changes: pin the digest"
                .to_owned(),
        ),
        Some(_) => {}
    }
}
