//! Reads files, folders and standard input into resources.
//!
//! What cannot be read is noted, and the rest is read all the same. Lists are flattened; of resources
//! with one name the last counts, as `kubectl apply` has it.

use super::notes::Notes;
use super::resource::Resource;
use crate::cli::report::{Note, Place, Severity, Sources};
use crate::cli::yaml::{self, Node};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Everything that was given, in the order in which it was given.
#[derive(Debug, Default)]
pub struct Inventory {
    resources: Vec<Resource>,
    by_kind: HashMap<String, Vec<usize>>,
    by_name: HashMap<String, Vec<usize>>,
}

/// What files of manifests are called.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// Reads everything below `paths`; `-` is standard input.
///
/// # Errors
/// A path that was named cannot be read.
pub fn read(paths: &[PathBuf], sources: &mut Sources, notes: &Notes) -> Result<Inventory, String> {
    let mut inventory = Inventory::default();
    for path in paths {
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        if path.is_dir() {
            for file in files_below(path).map_err(failed)? {
                match std::fs::read_to_string(&file) {
                    Ok(text) => {
                        inventory.add_text(&file.display().to_string(), text, sources, notes);
                    }
                    Err(error) => notes.push(unreadable(&file, &error)),
                }
            }
        } else {
            let (name, text) = crate::cli::read_text(path)?;
            inventory.add_text(&name, text, sources, notes);
        }
    }
    inventory.finish(notes);
    Ok(inventory)
}

/// The manifests below a folder, in order of their names; hidden files and folders are left out.
fn files_below(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let entries = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let mut entries = entries.collect::<std::io::Result<Vec<_>>>()?;
    entries.sort();
    for entry in entries {
        let name = entry.file_name().and_then(|name| name.to_str());
        if name.is_none_or(|name| name.starts_with('.')) {
            continue;
        }
        let extension = entry.extension().and_then(|it| it.to_str());
        if entry.is_dir() {
            files.extend(files_below(&entry)?);
        } else if extension.is_some_and(|it| EXTENSIONS.contains(&it)) {
            files.push(entry);
        }
    }
    Ok(files)
}

fn unreadable(file: &Path, error: &std::io::Error) -> Note {
    Note {
        severity: Severity::Error,
        message: format!("{}: {error}", file.display()),
        place: None,
        subject: String::new(),
        help: None,
    }
}

// === impl Inventory ===

impl Inventory {
    /// Adds what one file holds.
    pub fn add_text(&mut self, name: &str, text: String, sources: &mut Sources, notes: &Notes) {
        let read = yaml::documents(&text);
        let source = sources.add(name.to_owned(), text);
        match read {
            Ok(documents) => {
                for document in documents {
                    self.add(source, document, notes);
                }
            }
            Err(invalid) => notes.push(Note::invalid(source, invalid)),
        }
    }

    fn add(&mut self, source: usize, document: Node, notes: &Notes) {
        let kind = document.get("kind").and_then(Node::text);
        let is_list = kind.is_some_and(|kind| kind.ends_with("List"));
        if let Some(items) = document.get("items").filter(|_| is_list) {
            for item in items.items().to_vec() {
                self.add(source, item, notes);
            }
            return;
        }
        let place = Place {
            source,
            span: document.span.clone(),
        };
        if let Some(resource) = Resource::of_kubernetes(source, document.clone()) {
            self.resources.extend(embedded(&resource, notes));
            self.resources.push(resource);
        } else if let Some(recognized) = recognize(source, document) {
            self.resources.extend(recognized);
        } else {
            notes.push(Note {
                severity: Severity::Error,
                message: "neither a Kubernetes object (`apiVersion` and `kind`) nor a file of a \
                          system that is known"
                    .to_owned(),
                place: Some(place),
                subject: String::new(),
                help: Some("leave the file out, or give it `apiVersion` and `kind`".to_owned()),
            });
        }
    }

    /// Of several resources with one name the last counts; after that, all can be looked up.
    pub fn finish(&mut self, notes: &Notes) {
        let mut last = HashMap::new();
        for (index, resource) in self.resources.iter().enumerate() {
            last.insert(identity(resource), index);
        }
        let resources = self.resources.iter().enumerate();
        let counts = |(index, it): (usize, &Resource)| {
            !it.is_named() || last.get(&identity(it)) == Some(&index)
        };
        let counts: Vec<bool> = resources.map(counts).collect();
        for (resource, counts) in self.resources.iter().zip(&counts) {
            if !counts {
                let title = resource.title();
                let message = format!("{title} is given again later; only the last one counts");
                let help = "leave one of them out".to_owned();
                notes.add(Severity::Warning, resource, &resource.root, message, help);
            }
        }
        let mut counts = counts.into_iter();
        self.resources.retain(|_| counts.next().unwrap_or(true));
        for (index, resource) in self.resources.iter().enumerate() {
            let kind = self.by_kind.entry(resource.kind.clone());
            kind.or_default().push(index);
            let name = self.by_name.entry(resource.name.clone());
            name.or_default().push(index);
        }
    }

    /// Every resource of a kind; the group tells kinds of one name apart.
    pub fn of<'a>(&'a self, group: &'a str, kind: &str) -> impl Iterator<Item = &'a Resource> {
        let indices = self.by_kind.get(kind).map_or(&[][..], Vec::as_slice);
        let found = indices
            .iter()
            .filter_map(|index| self.resources.get(*index));
        found.filter(move |it| it.group == group)
    }

    /// A resource by its name.
    pub fn named(&self, group: &str, kind: &str, namespace: &str, name: &str) -> Option<&Resource> {
        let indices = self.by_name.get(name).map_or(&[][..], Vec::as_slice);
        let mut found = indices
            .iter()
            .filter_map(|index| self.resources.get(*index));
        found.find(|it| it.group == group && it.kind == kind && it.namespace == namespace)
    }
}

fn identity(resource: &Resource) -> (String, String, String, String) {
    let Resource {
        group,
        kind,
        namespace,
        name,
        ..
    } = resource;
    (group.clone(), kind.clone(), namespace.clone(), name.clone())
}

/// What stands inside a resource: the mesh's own configuration, Oathkeeper's files.
fn embedded(resource: &Resource, notes: &Notes) -> Vec<Resource> {
    let source = resource.source;
    let of_mesh = |root: Node| {
        let name = format!("of {}", resource.title());
        Resource::of_file(source, root, "MeshConfig", &name)
    };
    if resource.kind == "IstioOperator" {
        let mesh = resource.root.at(&["spec", "meshConfig"]).cloned();
        return mesh.map(of_mesh).into_iter().collect();
    }
    if resource.kind != "ConfigMap" || !resource.group.is_empty() {
        return Vec::new();
    }
    let mut found = Vec::new();
    let data = resource.root.get("data").map_or(&[][..], Node::members);
    for (key, value) in data {
        let Some(text) = value.text() else { continue };
        let is_mesh = key.name == "mesh" && resource.name.starts_with("istio");
        match yaml::documents(text) {
            Ok(documents) => {
                for document in documents {
                    let document = document.placed(&value.span);
                    if is_mesh {
                        found.push(of_mesh(document));
                    } else {
                        found.extend(recognize(source, document).into_iter().flatten());
                    }
                }
            }
            Err(invalid) if is_mesh => {
                let message = format!("not valid YAML: {}", invalid.message);
                notes.add(Severity::Error, resource, value, message, String::new());
            }
            Err(_) => {}
        }
    }
    found
}

/// What a document is that is no Kubernetes object, told by its shape.
fn recognize(source: usize, document: Node) -> Option<Vec<Resource>> {
    let has = |names: &[&str]| document.at(names).is_some();
    let file = |document, kind: &str, name: &str| Resource::of_file(source, document, kind, name);
    let is_rule = |node: &Node| {
        node.get("match").is_some() || node.get("authenticators").is_some_and(Node::is_list)
    };
    if document.is_list() && document.items().iter().all(is_rule) {
        // A file of access rules.
        let rules = document.items().iter().cloned();
        let rules = rules.map(|rule| {
            let id = rule
                .get("id")
                .and_then(Node::text)
                .unwrap_or_default()
                .to_owned();
            file(rule, "OathkeeperRule", &id)
        });
        return Some(rules.collect());
    }
    if is_rule(&document) && has(&["match"]) {
        let id = document
            .get("id")
            .and_then(Node::text)
            .unwrap_or_default()
            .to_owned();
        return Some(vec![file(document, "OathkeeperRule", &id)]);
    }
    let of_oathkeeper = ["authenticators", "authorizers", "mutators", "access_rules"];
    if of_oathkeeper
        .iter()
        .any(|name| document.get(name).is_some_and(Node::is_map))
    {
        return Some(vec![file(document, "OathkeeperConfig", "")]);
    }
    if has(&["config", "clientID"]) || has(&["extraArgs", "oidc-issuer-url"]) {
        return Some(vec![file(document, "OAuth2ProxyValues", "")]);
    }
    if has(&["spec", "config", "authorizers"]) {
        // A merge patch for Kyma's Istio resource.
        return Some(vec![Resource {
            group: "operator.kyma-project.io".to_owned(),
            version: "v1alpha2".to_owned(),
            namespace: "kyma-system".to_owned(),
            ..file(document, "Istio", "default")
        }]);
    }
    None
}
