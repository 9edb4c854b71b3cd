//! Keys and values in one piece of memory, with eight bytes beside each entry.
//!
//! Contract: the piece is no longer than the lines that it is made of; a key is found in as many
//! steps as its number has bits. Neither keys nor values hold a line end.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

/// Between a key and its value, and behind that; no logical line holds it.
const END: char = '\n';

/// All entries, each key once.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Packed {
    /// `key END value END` for each.
    piece: Box<str>,
    /// Where they begin in the piece, and in which line they are, in the order of their keys.
    entries: Box<[(u32, u32)]>,
}

/// What is being packed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Packing {
    piece: String,
    entries: Vec<(u32, u32)>,
}

/// A key that was given again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Again<'a> {
    pub key: &'a str,
    /// The line that stays.
    pub first: u32,
    /// The line that is left out.
    pub later: u32,
}

impl Packing {
    /// Of a text of so many bytes.
    pub fn of_text(size: usize) -> Self {
        Self {
            piece: String::with_capacity(size),
            entries: Vec::new(),
        }
    }

    /// Adds an entry; whether there is room for it.
    pub fn push(&mut self, key: &str, value: &str, line: u32) -> bool {
        let Ok(start) = u32::try_from(self.piece.len()) else {
            return false;
        };
        for part in [key, value] {
            self.piece.push_str(part);
            self.piece.push(END);
        }
        self.entries.push((start, line));
        true
    }

    /// All of them; of two with the same key the first stays.
    pub fn packed(self, mut again: impl FnMut(Again<'_>)) -> Packed {
        let Self { piece, mut entries } = self;
        entries
            .sort_unstable_by(|a, b| key_at(&piece, a.0).cmp(key_at(&piece, b.0)).then(a.cmp(b)));
        entries.dedup_by(|later, first| {
            let key = key_at(&piece, later.0);
            let twice = key == key_at(&piece, first.0);
            if twice {
                again(Again {
                    key,
                    first: first.1,
                    later: later.1,
                });
            }
            twice
        });
        Packed {
            piece: piece.into(),
            entries: entries.into(),
        }
    }
}

impl Packed {
    /// The value of a key, and its line.
    pub fn get(&self, key: &str) -> Option<(&str, u32)> {
        let order = |&(start, _): &(u32, u32)| key_at(&self.piece, start).cmp(key);
        let at = self.entries.binary_search_by(order).ok()?;
        let (_, value, line) = self.entry(*self.entries.get(at)?)?;
        Some((value, line))
    }

    /// Keys, values and lines.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &str, u32)> {
        self.entries.iter().filter_map(|entry| self.entry(*entry))
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many bytes it takes.
    pub fn size(&self) -> usize {
        size_of_val(&*self.piece).saturating_add(size_of_val(&*self.entries))
    }

    fn entry(&self, (start, line): (u32, u32)) -> Option<(&str, &str, u32)> {
        let (key, rest) = from(&self.piece, start).split_once(END)?;
        Some((key, rest.split_once(END)?.0, line))
    }
}

fn from(piece: &str, start: u32) -> &str {
    let start = usize::try_from(start).ok();
    start
        .and_then(|start| piece.get(start..))
        .unwrap_or_default()
}

fn key_at(piece: &str, start: u32) -> &str {
    from(piece, start).split(END).next().unwrap_or_default()
}

#[cfg(test)]
#[expect(
    clippy::arithmetic_side_effects,
    reason = "the numbers of a test are small"
)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a map: the first of each key, found by it alone, in no more memory than its text
        /// and eight bytes an entry.
        #[test]
        fn each_key_has_its_first_value(pairs in prop::collection::vec(("[a-c]{0,3}", "[a-z ]{0,4}"), 0..20)) {
            let mut packing = Packing::default();
            let mut expected = std::collections::BTreeMap::new();
            let mut twice = 0;
            for (line, (key, value)) in (1..).zip(&pairs) {
                prop_assert!(packing.push(key, value, line));
                if expected.contains_key(key.as_str()) {
                    twice += 1;
                } else {
                    expected.insert(key.as_str(), (value.as_str(), line));
                }
            }
            let mut told = 0;
            let packed = packing.packed(|again| {
                assert!(again.first < again.later);
                told += 1;
            });
            prop_assert_eq!(told, twice);
            let all: Vec<_> = packed.entries().collect();
            let wanted: Vec<_> = expected.iter().map(|(key, (value, line))| (*key, *value, *line)).collect();
            prop_assert_eq!(all, wanted);
            for key in ["", "a", "ab", "abc", "d"] {
                prop_assert_eq!(packed.get(key), expected.get(key).copied());
            }
            let text: usize = pairs.iter().map(|(key, value)| key.len() + value.len() + 2).sum();
            prop_assert!(packed.size() <= text + 8 * expected.len());
        }
    }
}
