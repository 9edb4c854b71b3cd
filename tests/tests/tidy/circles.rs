//! No two files of a crate use each other, directly or over others: whoever reads one can read on
//! downwards.

use std::collections::{BTreeMap, BTreeSet};

use super::{modules::Modules, source::CRATES};

#[test]
fn no_file_is_used_by_what_it_uses() {
    let mut found = BTreeSet::new();
    for member in CRATES {
        let modules = Modules::of(member);
        let circles = circles(&modules.arrows()).into_iter();
        found.extend(
            circles
                .map(|circle| -> Vec<String> { circle.into_iter().map(str::to_owned).collect() }),
        );
    }
    assert!(
        found.is_empty(),
        "files that use each other; put what they share below both: {found:#?}"
    );
}

/// Files that reach each other.
fn circles<'a>(arrows: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> BTreeSet<Vec<&'a str>> {
    let reached: BTreeMap<_, _> = arrows
        .keys()
        .map(|from| (*from, reached(arrows, from)))
        .collect();
    let circle = |file: &&'a str| {
        let others = reached[file].iter();
        let mut circle: Vec<_> = others
            .filter(|other| reached.get(*other).is_some_and(|back| back.contains(file)))
            .copied()
            .collect();
        circle.sort_unstable();
        circle
    };
    let circles = arrows.keys().map(circle);
    circles.filter(|circle| circle.len() > 1).collect()
}

fn reached<'a>(arrows: &BTreeMap<&'a str, BTreeSet<&'a str>>, from: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&str> = vec![from];
    while let Some(file) = next.pop() {
        for used in arrows.get(file).into_iter().flatten() {
            if reached.insert(*used) {
                next.push(used);
            }
        }
    }
    reached
}

#[test]
fn a_circle_is_found_over_any_number_of_files() {
    let arrows = [("a", "b"), ("b", "c"), ("c", "a"), ("d", "a"), ("c", "e")];
    let mut map: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for (from, to) in arrows {
        map.entry(from).or_default().insert(to);
    }
    assert_eq!(circles(&map), BTreeSet::from([vec!["a", "b", "c"]]));
}
