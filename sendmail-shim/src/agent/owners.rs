//! Whose a user number is: the numbers that `/etc/subuid` gives to a user count as his.
//!
//! Contract: only for shares and quotas, never for permission or names. The numbers of a range of
//! root's (containers without privileges) are one party together, and not root. A file that is not
//! there or cannot be understood makes each number its own. `subuid(5)`.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

const FILE: &str = "/etc/subuid";
/// Longest file, bytes.
const MOST: u64 = 1024 * 1024;

/// The ranges.
#[derive(Debug, Default)]
pub(crate) struct Owners(Vec<Range>);

#[derive(Debug)]
struct Range {
    owner: u32,
    first: u32,
    last: u32,
}

impl Owners {
    /// As this machine has them; read at start.
    pub(crate) fn of_machine() -> Self {
        let text = system::read::text(FILE.as_ref(), MOST).unwrap_or_default();
        Self::parse(&text, |name| {
            uzers::get_user_by_name(name).map(|user| user.uid())
        })
    }

    /// `name:first:count`, or a number instead of the name, a line each.
    pub(crate) fn parse(text: &str, number: impl Fn(&str) -> Option<u32>) -> Self {
        let range = |line: &str| {
            let mut words = line.trim().split(':');
            let (name, first, count) = (words.next()?, words.next()?, words.next()?);
            let (first, count): (u32, u32) = (first.parse().ok()?, count.parse().ok()?);
            Some(Range {
                owner: name.parse().ok().or_else(|| number(name))?,
                first,
                last: first.saturating_add(count.checked_sub(1)?),
            })
        };
        Self(text.lines().filter_map(range).collect())
    }

    /// Who counts for this number.
    pub(crate) fn party(&self, uid: u32) -> u32 {
        let range = self
            .0
            .iter()
            .find(|range| uid != 0 && (range.first..=range.last).contains(&uid));
        match range {
            Some(range) if range.owner == 0 => range.first.max(1),
            Some(range) => range.owner,
            None => uid,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_a_user_are_his_and_those_of_root_are_not_root() {
        let text = "alice:100000:65536\n1001:165536:65536\nroot:1000000:1000000\nbroken:x:1\n\
            ghost:300000:10\nbob:400000:0\n:::\n";
        let owners = Owners::parse(text, |name| match name {
            "alice" => Some(1000),
            "bob" => Some(1002),
            "root" => Some(0),
            _ => None,
        });
        for (uid, party) in [
            (0, 0),
            (33, 33),
            (1000, 1000),
            (100_000, 1000),
            (165_535, 1000),
            (165_536, 1001),
            (1_000_000, 1_000_000),
            (1_999_999, 1_000_000),
            (2_000_000, 2_000_000),
            (300_001, 300_001),
            (400_000, 400_000),
        ] {
            assert_eq!(owners.party(uid), party, "{uid}");
        }
        let wide = Owners::parse("0:0:4294967295", |_| None);
        assert_eq!(
            (wide.party(0), wide.party(7)),
            (0, 1),
            "nobody becomes root"
        );
    }
}
