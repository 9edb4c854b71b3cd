//! Which rows go where a table of so many is full: the oldest tenth, so that it is full again only
//! after a while. Pure.

/// Their names. `rows`: how old each is, and its name.
pub fn tenth<'a, A: Ord>(most: usize, rows: impl Iterator<Item = (A, &'a String)>) -> Vec<String> {
    let mut rows: Vec<_> = rows.collect();
    rows.sort_unstable();
    let oldest = rows.into_iter().take(most / 10);
    oldest.map(|(_, name)| name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_tenth_goes_and_of_equal_age_the_first_by_name() {
        let names: Vec<_> = (0..20).map(|number| format!("{number:02}")).collect();
        let ages = (0..).zip(&names).map(|(age, name)| (30 - age / 3, name));
        assert_eq!(tenth(20, ages), ["18", "19"]);
        assert_eq!(tenth(20, names.iter().map(|name| (0, name))), ["00", "01"]);
    }
}
