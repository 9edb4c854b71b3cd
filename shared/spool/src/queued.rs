//! How much is queued in a directory, for who only looks: nothing is opened to be written, no
//! damage is put aside, nobody is kept out.
//!
//! Contract: a spool that a process has open is counted as far as it is written. What cannot be
//! read is an error, or, as a part of a segment, not counted.

use std::{io, path::Path};

use super::{
    disk::Native,
    index::Segment,
    layout::{self, Layout},
    recovered::{Recovered, names},
    recovery::read_segment,
};

/// Messages that are queued there; none where no spool is.
pub fn queued(directory: &Path) -> io::Result<u64> {
    let layout = Layout::new(directory);
    let names = match names(&layout.segments) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        names => names?,
    };
    let segments = names.iter().filter_map(|name| layout::parse_segment(name));
    let mut segments: Vec<_> = segments.collect();
    segments.sort_unstable();
    let mut recovered = Recovered::default();
    let newest = segments.last().map(|(number, _)| *number);
    for (number, mark) in segments {
        let path = layout.segment(number, mark);
        let segment = Segment {
            path: path.clone(),
            mark,
            ..Segment::default()
        };
        recovered.index.segments.insert(number, segment);
        match read_segment(&Native, &mut recovered, number, mark, path) {
            // It was emptied meanwhile by who has the spool open.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            read => {
                let found = read?;
                let is_torn = |it: &&_| found.is_torn(it, Some(number) == newest);
                for range in found.scanned.damaged.iter().filter(is_torn) {
                    if let Some(id) = recovered.damaged_at(number, range.start) {
                        recovered.forget_damaged(id);
                    }
                }
            }
        }
    }
    Ok(u64::try_from(recovered.index.len()).unwrap_or(u64::MAX))
}
