//! The planted mistakes of `tests/mistakes` can still be made.

use super::source::file;

#[test]
fn every_planted_mistake_stands_once_in_the_sources() {
    let list = file("tests/mistakes/list");
    let mut stale = Vec::new();
    let mut planted = 0;
    for block in list.split("\n\n") {
        let lines = || block.lines().filter(|line| !line.starts_with('#'));
        let mut heads = lines();
        let (Some(name), Some(path)) = (heads.next(), heads.next()) else {
            continue;
        };
        let right: Vec<_> = lines().filter_map(|line| line.strip_prefix('-')).collect();
        let stands = file(path).matches(&right.join("\n")).count();
        planted += 1;
        if right.is_empty() || stands != 1 {
            stale.push(format!("{name}: its line stands {stands} times in {path}"));
        }
    }
    assert!(planted >= 30, "{planted} mistakes are planted");
    assert!(stale.is_empty(), "{stale:#?}");
}
