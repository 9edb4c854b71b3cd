//! Names in a spool's directory.

use std::path::{Path, PathBuf};

use super::QueueId;

/// Where everything lies.
#[derive(Clone)]
pub(super) struct Layout {
    pub(super) root: PathBuf,
    pub(super) segments: PathBuf,
    pub(super) bodies: PathBuf,
    pub(super) quarantine: PathBuf,
    /// An empty segment in reserve.
    pub(super) spare: PathBuf,
    /// What lay there at a clean end.
    pub(super) closed: PathBuf,
    pub(super) lock: PathBuf,
}

impl Layout {
    pub(super) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            segments: root.join("segments"),
            bodies: root.join("bodies"),
            quarantine: root.join("quarantine"),
            spare: root.join("segments/spare"),
            closed: root.join("segments/closed"),
            lock: root.join("lock"),
        }
    }

    pub(super) fn segment(&self, number: u64, mark: u64) -> PathBuf {
        self.segments.join(segment_name(number, mark))
    }

    pub(super) fn body(&self, id: QueueId) -> PathBuf {
        self.bodies.join(id.file_name())
    }

    /// Names in quarantine for a damaged range, best first: nothing that lies there is replaced.
    pub(super) fn quarantined(&self, segment: u64, offset: u64) -> impl Iterator<Item = PathBuf> {
        self.quarantine_names(format!("{segment:016x}-{offset:08x}"))
    }

    /// The same for a note that a segment has lost its end.
    pub(super) fn quarantined_end(&self, segment: u64, end: u64) -> impl Iterator<Item = PathBuf> {
        self.quarantine_names(format!("{segment:016x}-{end:08x}.lost"))
    }

    /// The same for a body file.
    pub(super) fn quarantined_body(&self, name: &str) -> impl Iterator<Item = PathBuf> {
        self.quarantine_names(name.to_owned())
    }

    fn quarantine_names(&self, name: String) -> impl Iterator<Item = PathBuf> {
        let first = self.quarantine.join(&name);
        let directory = self.quarantine.clone();
        let more = (1..1000).map(move |number| directory.join(format!("{name}.{number}")));
        std::iter::once(first).chain(more)
    }
}

/// The name of a segment.
pub(super) fn segment_name(number: u64, mark: u64) -> String {
    format!("{number:016x}-{mark:016x}")
}

/// Number and mark of a segment by its name.
pub(super) fn parse_segment(name: &str) -> Option<(u64, u64)> {
    let (number, mark) = name.split_once('-')?;
    let hex = |text: &str| {
        (text.len() == 16)
            .then(|| u64::from_str_radix(text, 16).ok())
            .flatten()
    };
    Some((hex(number)?, hex(mark)?))
}
