//! Every single damage to a record and to a segment: all of them, not a sample.

use std::{fs::File, io::Read as _, os::unix::fs::FileExt as _};

use super::super::{
    Event, QueueId,
    record::{Change, HEADER, Header, Record, What},
    scan::{Scanned, scan},
};
use mail::clock::Timestamp;

const MARK: u64 = 0x1122_3344_5566_7788;

fn record(number: u64, commit: u32) -> Vec<u8> {
    let change = Change {
        segment: number,
        what: What::Event(Event::Removed),
    };
    let id = QueueId::from_number(number);
    let mut record = Record::change(id, Timestamp::from_secs(1_800_000_000), &change).unwrap();
    record.seal(MARK, commit);
    let mut bytes = Vec::new();
    for mut piece in record.pieces().map(|piece| piece.to_vec()) {
        bytes.append(&mut piece);
    }
    bytes
}

fn header(bytes: &[u8]) -> Option<Header> {
    Header::decode(bytes, MARK)
}

#[test]
fn any_byte_of_a_header_that_is_another_one_any_two_bits_and_any_missing_end_are_found() {
    let whole = record(7, 0)[..HEADER].to_vec();
    assert!(header(&whole).is_some());
    for end in 0..HEADER {
        assert_eq!(header(&whole[..end]), None, "cut at {end}");
    }
    let mut damaged = whole.clone();
    for place in 0..HEADER {
        for value in (0..=u8::MAX).filter(|value| *value != whole[place]) {
            damaged[place] = value;
            assert_eq!(header(&damaged), None, "{value} at {place}");
        }
        damaged[place] = whole[place];
    }
    for first in 0..HEADER * 8 {
        for second in 0..first {
            for bit in [first, second] {
                damaged[bit / 8] ^= 1 << (bit % 8);
            }
            assert_eq!(header(&damaged), None, "bits {first} and {second}");
            damaged.copy_from_slice(&whole);
        }
    }
}

/// A segment of three records and some room behind them, on a file system.
struct Segment {
    file: File,
    records: Vec<(u64, Vec<u8>)>,
    bytes: Vec<u8>,
}

impl Segment {
    fn new() -> Self {
        let (mut records, mut bytes) = (Vec::new(), Vec::new());
        for number in 1..=3 {
            let offset = bytes.len();
            let record = record(number, u32::try_from(offset).unwrap());
            records.push((offset as u64, record.clone()));
            bytes.extend(record);
        }
        bytes.resize(bytes.len() + 100, 0);
        let file = tempfile::tempfile().unwrap();
        Self {
            file,
            records,
            bytes,
        }
    }

    /// Where the records end.
    fn end(&self) -> u64 {
        self.records
            .iter()
            .map(|(_, bytes)| bytes.len() as u64)
            .sum()
    }

    /// What the start makes of these bytes in place of its own.
    fn scanned(&self, bytes: &[u8]) -> (Vec<(u64, Vec<u8>)>, Scanned) {
        self.file.set_len(bytes.len() as u64).unwrap();
        self.file.write_all_at(bytes, 0).unwrap();
        let mut found = Vec::new();
        let scanned = scan(&self.file, MARK, |seen| {
            if !seen.is_whole {
                return false;
            }
            let start = usize::try_from(seen.offset).unwrap();
            let length = usize::try_from(seen.header.record_length()).unwrap();
            let mut record = Vec::new();
            let mut from = &bytes[start..start + length];
            from.read_to_end(&mut record).unwrap();
            found.push((seen.offset, record));
            true
        });
        (found, scanned.unwrap())
    }

    /// The records of which no byte lies there.
    fn beside(&self, place: u64) -> Vec<(u64, Vec<u8>)> {
        let hit = |offset: u64, length: usize| (offset..offset + length as u64).contains(&place);
        let all = self.records.iter();
        all.filter(|(offset, bytes)| !hit(*offset, bytes.len()))
            .cloned()
            .collect()
    }
}

#[test]
fn any_bit_of_a_segment_that_flips_costs_one_record_at_most_and_is_told() {
    let segment = Segment::new();
    let (found, scanned) = segment.scanned(&segment.bytes);
    assert_eq!(found, segment.records);
    assert!(scanned.damaged.is_empty());
    for place in 0..segment.bytes.len() {
        for bit in 0..8 {
            let mut bytes = segment.bytes.clone();
            bytes[place] ^= 1 << bit;
            let (found, scanned) = segment.scanned(&bytes);
            let at = place as u64;
            assert_eq!(found, segment.beside(at), "bit {bit} of {place}");
            let told = scanned.damaged.iter().any(|range| range.contains(&at));
            assert!(told, "bit {bit} of {place}: {:?}", scanned.damaged);
        }
    }
}

#[test]
fn a_segment_that_ends_anywhere_has_the_records_before_and_its_torn_end_is_told() {
    let segment = Segment::new();
    for end in 0..segment.bytes.len() {
        let before: Vec<_> = segment
            .records
            .iter()
            .filter(|(offset, bytes)| offset + bytes.len() as u64 <= end as u64)
            .cloned()
            .collect();
        let (cut, mut zeroed) = (segment.bytes[..end].to_vec(), segment.bytes.clone());
        zeroed[end..].fill(0);
        let whole: u64 = before.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        for bytes in [cut, zeroed] {
            let (found, scanned) = segment.scanned(&bytes);
            assert_eq!(found, before, "{end}");
            assert_eq!(scanned.end, whole, "{end}");
            let torn = bytes.iter().skip(usize::try_from(whole).unwrap());
            let is_torn = torn.into_iter().any(|byte| *byte != 0);
            assert_eq!(!scanned.damaged.is_empty(), is_torn, "{end}");
        }
    }
    assert!(segment.end() < segment.bytes.len() as u64);
}

/// As a disk leaves a commit that it had not flushed: some pieces of it written, others not.
#[test]
fn any_piece_of_a_segment_that_was_not_written_brings_up_nothing_that_is_not_in_it() {
    let segment = Segment::new();
    let end = usize::try_from(segment.end()).unwrap();
    for from in 0..end {
        for to in from + 1..=end {
            let mut bytes = segment.bytes.clone();
            bytes[from..to].fill(0);
            let (found, _) = segment.scanned(&bytes);
            let untouched = segment.records.iter().filter(|(offset, record)| {
                let start = usize::try_from(*offset).unwrap();
                bytes[start..start + record.len()] == record[..]
            });
            assert_eq!(
                found,
                untouched.cloned().collect::<Vec<_>>(),
                "{from}..{to}"
            );
        }
    }
}
