//! What is wrong in a table.

use std::{path::Path, sync::Arc};

use mail::maps::Problem;

/// What is wrong with a key that stands alone. It is found all the same, with an empty value: what
/// that means is for whoever asks to say, who knows what is safe.
pub const NO_VALUE: &str = "there is no value; write `key value`";

/// What is wrong with a file, gathered.
pub(super) struct Problems {
    path: Arc<Path>,
    pub(super) told: Vec<Problem>,
}

impl Problems {
    pub(super) fn new(path: &Arc<Path>) -> Self {
        Self {
            path: Arc::clone(path),
            told: Vec::new(),
        }
    }

    pub(super) fn fault(&mut self, line: u32, text: impl Into<String>) {
        self.tell(line, text.into(), true);
    }

    pub(super) fn hint(&mut self, line: u32, text: impl Into<String>) {
        self.tell(line, text.into(), false);
    }

    fn tell(&mut self, line: u32, text: String, fault: bool) {
        self.told.push(Problem {
            path: self.path.to_path_buf(),
            line,
            text,
            fault,
        });
    }
}
