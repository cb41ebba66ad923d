//! What is to be said about the input, gathered while it is read.

use super::resource::Resource;
use crate::cli::report::{Note, Place, Severity};
use crate::cli::yaml::Node;
use std::cell::RefCell;
use std::collections::HashSet;
use std::ops::Range;

/// Everything that is to be said so far.
#[derive(Debug, Default)]
pub struct Notes(RefCell<Vec<Note>>);

// === impl Notes ===

impl Notes {
    /// Adds a note about a field of a resource, told by its node. `help` may be empty.
    pub fn add(
        &self,
        severity: Severity,
        resource: &Resource,
        node: &Node,
        message: String,
        help: String,
    ) {
        let path = resource.root.path_to(node).unwrap_or_default();
        // A resource as a whole is shown by its name.
        let shown = match path.is_empty() {
            true => ".metadata.name",
            false => &path,
        };
        let span = resource.root.place(shown);
        self.add_at(severity, resource, (node, &span), message, help);
    }

    /// Adds a note about a field of a resource that is shown by another place.
    pub fn add_at(
        &self,
        severity: Severity,
        resource: &Resource,
        (node, span): (&Node, &Range<usize>),
        message: String,
        help: String,
    ) {
        let path = resource.root.path_to(node).unwrap_or_default();
        let title = resource.title();
        self.push(Note {
            severity,
            message,
            place: Some(Place {
                source: resource.source,
                span: span.clone(),
            }),
            subject: match path.is_empty() {
                true => title,
                false => format!("{title}, {path}"),
            },
            help: Some(help).filter(|help| !help.is_empty()),
        });
    }

    /// Whether the same was said before, about anything.
    pub fn has_said(&self, message: &str) -> bool {
        let notes = self.0.try_borrow();
        notes.is_ok_and(|notes| notes.iter().any(|note| note.message == message))
    }

    /// Adds a note.
    pub fn push(&self, note: Note) {
        if let Ok(mut notes) = self.0.try_borrow_mut() {
            notes.push(note);
        }
    }

    /// All of them: by file and place, each once.
    #[must_use]
    pub fn into_sorted(self) -> Vec<Note> {
        let mut notes = self.0.into_inner();
        let key = |note: &Note| {
            let place = note.place.as_ref();
            place.map(|it| (it.source, it.span.start))
        };
        notes.sort_by_key(key);
        let mut said = HashSet::new();
        notes.retain(|note| {
            let span = note.place.as_ref().map(|it| (it.source, it.span.clone()));
            said.insert((note.message.clone(), span))
        });
        notes
    }
}
