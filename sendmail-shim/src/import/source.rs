//! The files of another program: their names there, their lines and their words.

use std::char::REPLACEMENT_CHARACTER;

/// What is said of text that was not read as it was written.
pub(super) const UNREADABLE: &str =
    "has bytes that are no UTF-8, and would be another word here: left out, write it by hand";

/// A file of the other program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Source {
    /// As the other program names it.
    pub path: String,
    pub text: String,
    /// Whether everybody on the machine may read it.
    pub world_readable: bool,
}

/// Finds a file by the name that the other program uses for it.
pub type Lookup<'a> = dyn Fn(&str) -> Option<Source> + 'a;

/// Where a key stands: file and line.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub path: &'a str,
    pub line: usize,
}

/// Whether a text was read as it was written.
pub(super) fn is_readable(text: &str) -> bool {
    !text.contains(REPLACEMENT_CHARACTER)
}

/// A name, or the first line of the file that is named.
pub(super) fn named(lookup: &Lookup<'_>, value: &str) -> String {
    let file = value.starts_with('/').then(|| lookup(value)).flatten();
    let text = file.map_or_else(|| value.to_owned(), |file| file.text);
    text.lines().next().unwrap_or_default().trim().to_owned()
}

/// Numbered lines, from 1.
pub(super) fn lines(source: &Source) -> impl Iterator<Item = (Place<'_>, &str)> {
    // Editors of other systems begin a file with a mark.
    let text = source.text.trim_start_matches('\u{feff}');
    (1..).zip(text.lines()).map(|(line, text)| {
        (
            Place {
                path: &source.path,
                line,
            },
            text,
        )
    })
}

/// Words as a shell sees them: blanks separate, quotes and backslashes keep.
pub(super) fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match (c, quote) {
            ('\\', quote) if quote != Some('\'') => {
                word.get_or_insert_default().extend(characters.next());
            }
            (c, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}
