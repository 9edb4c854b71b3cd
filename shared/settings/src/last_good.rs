//! What a program runs with while its files are wrong: the last good ones, or single settings of
//! the wrong ones.
//!
//! Contract: a copy is only ever of files that were taken as a whole, and is only used for the
//! configuration that it is a copy of. Salvaged settings are for finding the queue and taking mail
//! into it, never for sending.
//! Failures: a copy that is missing, damaged or of other files is none.

use std::{
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;
use serde_spanned::Spanned;
use toml::de::{DeString, DeTable, DeValue, Deserializer};

use system::log::{Level, line};

use super::{
    ConfigError,
    faults::Wrong,
    first,
    layers::Layer,
    provision,
    written::{self, quote},
};

/// Largest copy: of four files, with quotes escaped.
const MOST: u64 = 8 * provision::MOST;
/// The copy's name in the state directory.
const NAME: &str = "config.last-good";
/// The fault that the administrators were told of.
const TOLD: &str = "config.told";

/// What is wrong with the files, and what the program does about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The error, as `check` prints it.
    pub text: String,
    /// Whether the last good ones are used in their place; if there are none, mail is queued and
    /// not sent.
    pub remembered: bool,
}

impl Fault {
    /// In one line: the first error, and how many others `check` tells.
    pub fn summary(&self) -> String {
        let (first, others) = first(&self.text);
        let line = first.lines().next().unwrap_or_default();
        match others {
            0 => line.to_owned(),
            1 => format!("{line} (and one more)"),
            _ => format!("{line} (and {others} more)"),
        }
    }

    /// Why mail waits, in one line.
    pub fn reason(&self) -> String {
        format!("the configuration is wrong: {}", self.summary())
    }

    /// What the program does meanwhile, as a sentence without its point.
    pub fn consequence(&self) -> &'static str {
        if self.remembered {
            "the last good configuration stays in force until the file is mended"
        } else {
            "mail is queued and not sent until the file is mended"
        }
    }
}

/// A key of a file and its value.
type Entry<'a> = (Spanned<DeString<'a>>, Spanned<DeValue<'a>>);

/// Keeps a copy of the files of a configuration that is in force; `of` is what it is known by.
fn keep(directory: &Path, of: &Path, layers: &[Layer]) -> io::Result<()> {
    let mut text = String::from(
        "# The last good configuration: what the program goes on with while its file is wrong.\n",
    );
    // Writing to a String cannot fail.
    let _ = writeln!(text, "of = {}", written::path(of));
    for (path, content) in layers {
        let path = written::path(path);
        let _ = writeln!(text, "[[file]]\npath = {path}\ntext = {}", quote(content));
    }
    let path = directory.join(NAME);
    if system::read::bytes(&path, MOST).is_ok_and(|known| known == text.as_bytes()) {
        return Ok(());
    }
    system::fs::replace(&path, text.as_bytes(), 0o600)
}

/// Where mail is queued, and a copy is looked for, while nothing says where: for the machine's own
/// configuration (`system`) in the default place, for another one beside it.
pub fn refuge(of: &Path, system: &Path, default: &Path, kind: &str) -> PathBuf {
    if of == system {
        return default.to_owned();
    }
    let mut name = of.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{kind}"));
    of.with_file_name(name)
}

/// The files, where they may be gone or emptied that there were: that is a mistake, and no wish for
/// the defaults.
pub fn present(directory: &Path, of: &Path, layers: Vec<Layer>) -> Result<Vec<Layer>, ConfigError> {
    let blank = |layers: &[Layer]| layers.iter().all(|(_, text)| text.trim().is_empty());
    let gone = blank(&layers) && recall(directory, of).is_some_and(|known| !blank(&known));
    if !gone {
        return Ok(layers);
    }
    // There may be more than one copy, and none is the administrator's.
    let text = format!(
        "{} is gone or empty; write it again, or, if you want the defaults, write the line `# \
         empty` into it",
        of.display()
    );
    Err(ConfigError { text })
}

/// Keeps the copy where it is found even if the name of the directory is what goes wrong next, or
/// the file that names it; the fault is over.
pub fn remember(directory: &Path, refuge: &Path, of: &Path, layers: &[Layer]) {
    let also = (refuge != directory).then_some(refuge);
    for directory in std::iter::once(directory).chain(also) {
        let kept = system::fs::create_directory(directory, 0o700)
            .and_then(|()| keep(directory, of, layers));
        // Where the configuration lies the program may often make nothing.
        let wanted = Some(directory) != also || directory.is_dir();
        if let Err(error) = kept
            && wanted
        {
            let text = format_args!(
                "no copy of the configuration is kept in {}: {error}",
                directory.display()
            );
            line(Level::Warning, &text);
        }
        is_over(directory, TOLD);
    }
}

/// The copy of a configuration. Read by hand: what serde makes for it would be in `sendmail`, too.
pub fn recall(directory: &Path, of: &Path) -> Option<Vec<Layer>> {
    let text = system::read::text(&directory.join(NAME), MOST).ok()?;
    let copy = DeTable::parse(&text).ok()?;
    let copy = copy.get_ref();
    if Path::new(string(copy, "of")?) != of {
        return None;
    }
    let Some(files) = copy.get("file") else {
        return Some(Vec::new());
    };
    let layer = |file: &Spanned<DeValue<'_>>| {
        let file = file.get_ref().as_table()?;
        Some((
            string(file, "path")?.into(),
            string(file, "text")?.to_owned(),
        ))
    };
    files.get_ref().as_array()?.iter().map(layer).collect()
}

fn string<'a>(table: &'a DeTable<'_>, key: &str) -> Option<&'a str> {
    table.get(key)?.get_ref().as_str()
}

/// Whether there is something new in this fault, of which the administrators are to be told; it is
/// known from now on. One of several that is mended is no news.
pub fn is_news(directory: &Path, fault: &Fault) -> bool {
    is_news_of(directory, TOLD, &fault.text)
}

/// The same of what is known by a file of another name.
pub fn is_news_of(directory: &Path, name: &str, text: &str) -> bool {
    let path = directory.join(name);
    let told = system::read::text(&path, MOST).unwrap_or_default();
    if told == text {
        return false;
    }
    // If it cannot be kept they are told again after the next start, which is better than never.
    let _ = system::fs::replace(&path, text.as_bytes(), 0o600);
    has_news(&told, text)
}

/// Whether a text says something that is not said in the one that is known.
pub fn has_news(known: &str, text: &str) -> bool {
    let known: Vec<_> = known.lines().collect();
    text.lines().any(|line| !known.contains(&line))
}

/// What is known by that file is right: the next fault is news.
pub fn is_over(directory: &Path, name: &str) {
    // What stays is compared with the next fault, and differs most likely.
    let _ = fs::remove_file(directory.join(name));
}

/// What can be used of files that are wrong as a whole: what `make` makes of those of these keys
/// that are right by themselves, and without each that it finds wrong.
pub fn salvage<T: DeserializeOwned + Default, C>(
    layers: &[Layer],
    keys: &[&str],
    make: impl Fn(T) -> Result<C, Wrong>,
) -> Result<C, Wrong> {
    let usable = keys.iter().filter_map(|key| {
        let mut files = layers.iter().map(|(_, text)| text);
        let text = files.find(|text| only::<T>(&[(text, key)]).is_some_and(|(_, any)| any))?;
        Some((text.as_str(), *key))
    });
    let mut usable: Vec<_> = usable.collect();
    loop {
        let settings = only(&usable).map_or_else(T::default, |(settings, _)| settings);
        let wrong = match make(settings) {
            Ok(settings) => return Ok(settings),
            Err(wrong) => wrong,
        };
        let before = usable.len();
        usable.retain(|(_, key)| wrong.setting() != Some(*key));
        if usable.len() == before {
            return Err(wrong.discreet(layers));
        }
    }
}

/// A configuration of these keys alone, each from its text, and whether one of them is there.
fn only<T: DeserializeOwned>(wanted: &[(&str, &str)]) -> Option<(T, bool)> {
    let mut all = DeTable::new();
    for (text, key) in wanted {
        let (mut table, errors) = DeTable::parse_recoverable(text);
        // Of a value that is cut off the parser makes one that nobody has written.
        let whole = |(_, value): &Entry<'_>| {
            let (from, to) = (value.span().start, value.span().end);
            let wrong = |at: std::ops::Range<usize>| at.start <= to && at.end >= from;
            !errors.iter().filter_map(toml::de::Error::span).any(wrong)
        };
        let found = table.get_mut().remove_entry(*key).filter(whole);
        if let Some((key, value)) = found.or_else(|| alone(text, key)) {
            all.insert(key, value);
        }
    }
    let any = !all.is_empty();
    let all = Deserializer::from(Spanned::new(0..0, all));
    T::deserialize(all).ok().map(|settings| (settings, any))
}

/// A setting from its line alone: the parser may lose what stands behind a line that is no TOML.
fn alone<'a>(text: &'a str, key: &str) -> Option<Entry<'a>> {
    let top = text.lines().take_while(|line| !line.starts_with('['));
    top.filter_map(|line| DeTable::parse(line).ok())
        .find_map(|mut table| table.get_mut().remove_entry(key))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize, Default, PartialEq, Debug)]
    #[serde(deny_unknown_fields, default)]
    struct Sample {
        spool: Option<PathBuf>,
        hostname: Option<String>,
        size: Option<u32>,
    }

    fn layer(name: &str, text: &str) -> Layer {
        (PathBuf::from(name), text.to_owned())
    }

    #[test]
    fn a_copy_is_read_back_as_it_was_and_only_for_its_own_configuration() {
        let directory = tempfile::tempdir().unwrap();
        let of = Path::new("/etc/x/config.toml");
        assert_eq!(recall(directory.path(), of), None);
        let layers = vec![
            layer("/etc/x/config.toml", "a = \"\\\"\u{7f}\"\n\n# é\ttab\r\n"),
            layer("/etc/x/debconf.toml", ""),
        ];
        keep(directory.path(), of, &layers).unwrap();
        let read = recall(directory.path(), of).unwrap();
        assert_eq!(read, layers);
        assert_eq!(
            recall(directory.path(), Path::new("/etc/y/config.toml")),
            None
        );
        // They are gone, or cut off at their beginning.
        for files in [vec![], vec![layer("/etc/x/config.toml", " \n")]] {
            assert!(present(directory.path(), of, files).is_err());
        }
        for text in ["a = 2", "# empty"] {
            let other = vec![layer("/etc/x/config.toml", text)];
            assert_eq!(present(directory.path(), of, other.clone()).unwrap(), other);
        }
        keep(directory.path(), of, &[]).unwrap();
        assert_eq!(present(directory.path(), of, vec![]).unwrap(), []);
        assert_eq!(recall(directory.path(), of).unwrap(), []);
        system::fs::replace(&directory.path().join(NAME), b"of = [", 0o600).unwrap();
        assert_eq!(recall(directory.path(), of), None);
    }

    #[test]
    fn a_fault_is_news_once_and_again_after_the_file_was_right() {
        let directory = tempfile::tempdir().unwrap();
        let fault = |text: &str| Fault {
            text: text.to_owned(),
            remembered: false,
        };
        assert!(is_news(directory.path(), &fault("a")));
        assert!(!is_news(directory.path(), &fault("a")));
        assert!(is_news(directory.path(), &fault("b")));
        is_over(directory.path(), TOLD);
        assert!(is_news(directory.path(), &fault("b")));
        assert!(is_news(directory.path(), &fault("b\nc")));
        assert!(!is_news(directory.path(), &fault("c")), "one is mended");
        assert!(!is_news(directory.path(), &fault("c")));
        assert!(
            is_news(directory.path(), &fault("b\nc")),
            "and broken again"
        );
    }

    #[test]
    fn of_a_wrong_file_the_settings_are_used_that_are_right_by_themselves() {
        let keys = ["spool", "hostname", "size"];
        for (text, spool, size) in [
            (
                "spool = \"/q\"\nnonsense = 1\nsize = 5",
                Some("/q"),
                Some(5),
            ),
            ("spool = \"/q\"\nsize = \"x\"", Some("/q"), None),
            ("spool = 7\nsize = 5", None, Some(5)),
            ("spool = \"/q\"\nsize = 5\nsize = 6", Some("/q"), Some(5)),
            (
                "spool = \"/q\"\nthis is no TOML\nsize = 5",
                Some("/q"),
                Some(5),
            ),
            (
                "spool = \"/q\"\nhostname = \"open\nsize = 5",
                Some("/q"),
                Some(5),
            ),
            ("spool = \"/cut\nsize = 5", None, Some(5)),
            ("spool = \"/cut", None, None),
            ("size = 5\nspool = '/cut", None, Some(5)),
            ("\u{0}\u{1}[[[", None, None),
            ("", None, None),
        ] {
            let found: Sample = salvage(&[layer("f", text)], &keys, Ok).unwrap();
            assert_eq!(found.spool.as_deref(), spool.map(Path::new), "{text}");
            assert_eq!(found.size, size, "{text}");
        }
        let below = layer("g", "spool = \"/r\"\nsize = 9");
        let both = [layer("f", "spool = \"/q\"\nsize = [1]"), below];
        let found: Sample = salvage(&both, &keys, Ok).unwrap();
        assert_eq!(found.spool.as_deref(), Some(Path::new("/q")));
        assert_eq!(found.size, Some(9));
        let small = |sample: Sample| match sample.size {
            Some(size @ 8..) => Err(Wrong::of(&["size"], format!("{size} is too much"))),
            _ => Ok(sample),
        };
        let found = salvage(&both, &keys, small).unwrap();
        assert_eq!(found.spool.as_deref(), Some(Path::new("/q")));
        assert_eq!(found.size, None);
        let never = |_: Sample| Err::<(), _>(Wrong::of(&["name"], "never"));
        assert!(salvage(&both, &keys, never).is_err());
    }
}
