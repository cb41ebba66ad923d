//! What is to be said about the input, gathered while it is read.

use super::resource::Resource;
use crate::cli::report::{Note, Place, Severity};
use crate::cli::yaml::Node;
use std::cell::RefCell;

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
        let span = match path.is_empty() {
            true => node.span.clone(),
            false => resource.root.place(&path),
        };
        let title = resource.title();
        self.push(Note {
            severity,
            message,
            place: Some(Place {
                source: resource.source,
                span,
            }),
            subject: match path.is_empty() {
                true => title,
                false => format!("{title}, {path}"),
            },
            help: Some(help).filter(|help| !help.is_empty()),
        });
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
        notes.dedup_by(|one, other| {
            one.message == other.message && one.place == other.place && one.help == other.help
        });
        notes
    }
}
