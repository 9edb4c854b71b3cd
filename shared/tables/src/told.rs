//! What is told of files in which much is wrong: a log, a mail and a terminal hold so many lines of
//! each and the number of the others. Pure.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use mail::maps::Problem;

/// Lines that are told of one file at once.
const MOST: usize = 20;

/// The first problems of each file, in their order, and how many more it has.
pub fn bounded<'a>(problems: impl IntoIterator<Item = &'a Problem>) -> Vec<Problem> {
    let mut counts: HashMap<&Path, (usize, bool)> = HashMap::new();
    let mut told = Vec::new();
    let mut files: Vec<&Path> = Vec::new();
    for problem in problems {
        let (count, fault) = counts.entry(&problem.path).or_insert_with(|| {
            files.push(&problem.path);
            (0, false)
        });
        *count = count.saturating_add(1);
        if *count <= MOST {
            told.push(problem.clone());
        } else {
            *fault |= problem.fault;
        }
    }
    for file in files {
        let (count, fault) = counts.get(file).copied().unwrap_or_default();
        let more = count.saturating_sub(MOST);
        if more > 0 {
            told.push(Problem {
                path: PathBuf::from(file),
                line: 0,
                text: format!("and {more} more lines are wrong"),
                fault,
            });
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_file_with_twenty_thousand_wrong_lines_twenty_are_told_and_the_number_of_the_others() {
        let problem = |path: &str, line: u32| Problem {
            path: path.into(),
            line,
            text: "wrong".to_owned(),
            fault: line > 10,
        };
        let mut all: Vec<Problem> = (1..=20_000).map(|line| problem("/list", line)).collect();
        all.insert(50, problem("/other", 1));
        let told = bounded(&all);
        assert_eq!(told.len(), 22);
        assert_eq!(told[20], problem("/other", 1));
        assert_eq!(
            (told[21].text.as_str(), told[21].fault),
            ("and 19980 more lines are wrong", true)
        );
        let few = &all[..10];
        assert_eq!(bounded(few), few);
    }
}
