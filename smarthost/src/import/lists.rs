//! Several lists of restrictions made into one that decides the same. Pure.
//!
//! In Postfix each list ends alone: who is permitted in one is still asked about in the next. Here
//! there is one list, and a permit ends it. So a restriction may stand behind a permit only if that
//! permit stood in front of it in its own list, too: first comes what holds for everybody, then a
//! permit that all that is left has in front of it, and so on.

use std::collections::BTreeSet;

/// What a restriction can do to what stands behind it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ends {
    /// Refuses, or lets the next one decide.
    Nothing,
    /// Only permits, so that it may stand anywhere: `permit_mynetworks`.
    Permits,
    /// Refuses some and permits others: a table with OK, a policy server.
    Both,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Item {
    pub(super) text: String,
    pub(super) ends: Ends,
}

/// The one list, and what no order decides the same.
#[derive(Debug, Default)]
pub(super) struct Merged {
    pub(super) items: Vec<Item>,
    /// Restrictions that are asked about more clients than before.
    pub(super) stricter: Vec<String>,
    /// What lets somebody pass, and the restrictions that he is not asked about any more.
    pub(super) laxer: Vec<(String, Vec<String>)>,
}

pub(super) fn merged(mut lists: Vec<Vec<Item>>) -> Merged {
    let mut out = Merged::default();
    loop {
        for list in &mut lists {
            take(list, &mut out.items);
        }
        lists.retain(|list| !list.is_empty());
        if lists.is_empty() {
            return out;
        }
        let Some(permit) = common_permit(&lists).or_else(|| alone(&lists)) else {
            give_way(&mut lists, &mut out);
            continue;
        };
        for list in &mut lists {
            list.retain(|item| item.text != permit.text);
        }
        push(&mut out.items, &permit);
    }
}

/// No order is the same. Whom a table or a policy server lets pass is not asked about the other
/// lists either: an administrator named him. A plain permit gives way: what stands behind it is
/// asked about everybody.
fn give_way(lists: &mut [Vec<Item>], out: &mut Merged) {
    let heads = lists.iter().map(|list| list.first().map(|item| item.ends));
    let both = heads.clone().position(|ends| ends == Some(Ends::Both));
    if let Some(which) = both {
        let others = lists.iter().enumerate().filter(|(nth, _)| *nth != which);
        let others = others
            .flat_map(|(_, list)| list)
            .filter(|item| item.ends != Ends::Permits);
        let skipped: Vec<_> = others.map(|item| item.text.clone()).collect();
        if let Some(list) = lists.get_mut(which) {
            let item = list.remove(0);
            if !skipped.is_empty() {
                out.laxer.push((item.text.clone(), skipped));
            }
            push(&mut out.items, &item);
        }
    } else if let Some(list) = lists.first_mut() {
        list.remove(0);
        let next = list.iter().take_while(|item| item.ends == Ends::Nothing);
        out.stricter.extend(next.map(|item| item.text.clone()));
    }
}

fn push(out: &mut Vec<Item>, item: &Item) {
    if !out.contains(item) {
        out.push(item.clone());
    }
}

/// What stands in front of the first permit.
fn take(list: &mut Vec<Item>, out: &mut Vec<Item>) {
    let end = list.iter().position(|item| item.ends != Ends::Nothing);
    for item in list.drain(..end.unwrap_or(list.len())) {
        push(out, &item);
    }
    // A permit at the end of a list changes nothing there.
    if list.iter().all(|item| item.ends == Ends::Permits) {
        list.retain(|item| !out.contains(item));
    }
}

/// A plain permit that everything that is left has in front of it.
fn common_permit(lists: &[Vec<Item>]) -> Option<Item> {
    let mut common: Option<BTreeSet<&str>> = None;
    for list in lists {
        let mut before = BTreeSet::new();
        for item in list {
            if item.ends == Ends::Permits {
                before.insert(item.text.as_str());
            } else {
                common = Some(match common {
                    Some(common) => common.intersection(&before).copied().collect(),
                    None => before.clone(),
                });
            }
        }
    }
    let mut all = lists.iter().flatten();
    match common {
        Some(common) => {
            let found =
                all.find(|item| item.ends == Ends::Permits && common.contains(item.text.as_str()));
            found.cloned()
        }
        // Only permits are left.
        None => all.next().cloned(),
    }
}

/// What only one list is left with.
fn alone(lists: &[Vec<Item>]) -> Option<Item> {
    match lists {
        [list] => list.first().cloned(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lists(text: &str) -> Vec<Vec<Item>> {
        let item = |word: &str| Item {
            text: word.to_owned(),
            ends: match word.chars().next() {
                Some('P') => Ends::Permits,
                Some('T') => Ends::Both,
                _ => Ends::Nothing,
            },
        };
        let list = |text: &str| text.split_whitespace().map(item).collect();
        text.split('|').map(list).collect()
    }

    /// What the lists say of somebody for whom these permits and tables hold, and whom these
    /// refuse.
    fn refused(lists: &[Vec<Item>], holds: &[&str], refuses: &str) -> bool {
        lists.iter().any(|list| {
            let ends = |item: &&Item| item.text == refuses || holds.contains(&item.text.as_str());
            list.iter()
                .find(ends)
                .is_some_and(|item| item.text == refuses)
        })
    }

    #[test]
    fn one_list_decides_as_several_did_and_says_where_it_cannot() {
        for (text, order, stricter, laxer) in [
            ("a Pm b | c Pm d", "a c Pm b d", 0, 0),
            ("a | Pm b", "a Pm b", 0, 0),
            ("Pm a | Pm Ps b", "Pm a Ps b", 0, 0),
            ("Ps a | Pm Ps b", "Ps a Pm b", 0, 0),
            ("T1 a b Pm c", "T1 a b Pm c", 0, 0),
            ("a Pm | b Pm T1 c", "a b Pm T1 c", 0, 0),
            ("Pm a | Ps b", "a Ps b", 1, 0),
            ("T1 a | Pm b", "T1 a Pm b", 0, 1),
            ("Pm | Pm", "Pm", 0, 0),
            ("", "", 0, 0),
        ] {
            let before = lists(text);
            let after = merged(before.clone());
            let shown: Vec<_> = after.items.iter().map(|item| item.text.as_str()).collect();
            assert_eq!(shown.join(" "), order, "{text}");
            let told = (after.stricter.len(), after.laxer.len());
            assert_eq!(told, (stricter, laxer), "{text}: {after:?}");
            let all: Vec<_> = before.iter().flatten().collect();
            let is_permit = |it: &&&Item| it.ends != Ends::Nothing;
            let permits: Vec<_> = all
                .iter()
                .filter(is_permit)
                .map(|it| it.text.as_str())
                .collect();
            for choice in 0..1u32 << permits.len() {
                let holds = (0..)
                    .zip(&permits)
                    .filter(|(bit, _)| choice >> bit & 1 == 1);
                let holds: Vec<_> = holds.map(|(_, it)| *it).collect();
                for item in all.iter().filter(|it| it.ends == Ends::Nothing) {
                    let was = refused(&before, &holds, &item.text);
                    let is = refused(std::slice::from_ref(&after.items), &holds, &item.text);
                    let allowed = is == was || is && stricter > 0 || was && laxer > 0;
                    assert!(allowed, "{text}: {holds:?} {}", item.text);
                }
            }
        }
    }
}
