use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{Cut, Platter, SECTOR};

const SECTORS: usize = 8;

fn filled(with: u8, count: usize) -> Vec<u8> {
    vec![with; count]
}

#[test]
fn what_was_flushed_is_there_after_a_cut_and_what_came_later_may_be() {
    let mut outcomes = BTreeSet::new();
    for seed in 0..200 {
        let mut disk = Platter::new(SECTORS * SECTOR);
        disk.write(0, &filled(1, SECTOR)).unwrap();
        let mark = disk.mark();
        disk.write(SECTOR as u64, &filled(2, 2 * SECTOR)).unwrap();
        disk.flush(mark);
        assert_eq!(disk.read(SECTOR as u64, 1), [2], "a read sees all");
        let cut = disk.cut(seed);
        assert_eq!(disk.read(0, SECTOR), filled(1, SECTOR));
        assert_eq!(cut.kept + cut.lost, 2);
        outcomes.insert([1, 2].map(|nth| disk.read(nth * SECTOR as u64, 1)[0]));
        assert_eq!(disk.cut(seed), Cut::default(), "nothing waits any more");
    }
    // None, the first, the second (torn in any order), both.
    assert_eq!(outcomes, [[0, 0], [2, 0], [0, 2], [2, 2]].into());
}

#[test]
fn what_lies_outside_is_not_written() {
    let mut disk = Platter::new(SECTOR);
    assert!(disk.write(1, &filled(1, SECTOR)).is_none());
    assert!(disk.write(u64::MAX, &[1]).is_none());
    assert!(disk.read(u64::MAX, 5).is_empty());
    assert_eq!(disk.read(SECTOR as u64 - 1, 5), [0]);
}

proptest! {
    /// After a cut each sector holds what it held at the last flush, or what one of the writes
    /// since then made of it: nothing else, and no mixture within a sector.
    #[test]
    fn a_cut_leaves_nothing_that_was_never_written(
        writes in proptest::collection::vec((0..SECTORS, 1..4usize, 1u8..=255), 0..12),
        flushed in 0..12usize,
        seed: u64,
    ) {
        let mut disk = Platter::new(SECTORS * SECTOR);
        let mut possible = vec![BTreeSet::from([0u8]); SECTORS];
        for (nth, (first, count, with)) in writes.into_iter().enumerate() {
            let count = count.min(SECTORS - first);
            disk.write((first * SECTOR) as u64, &filled(with, count * SECTOR)).unwrap();
            for sector in &mut possible[first..first + count] {
                sector.insert(with);
            }
            if nth == flushed {
                disk.flush(disk.mark());
                for (sector, values) in possible.iter_mut().enumerate() {
                    *values = [disk.read((sector * SECTOR) as u64, 1)[0]].into();
                }
            }
        }
        disk.cut(seed);
        for (sector, values) in possible.iter().enumerate() {
            let now = disk.read((sector * SECTOR) as u64, SECTOR);
            prop_assert!(values.contains(&now[0]), "{} of {values:?}", now[0]);
            prop_assert!(now.iter().all(|byte| *byte == now[0]));
        }
    }
}
